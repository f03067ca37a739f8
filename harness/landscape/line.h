/* Lines and planes between points, and how far these are from where they began. */
#ifndef BM_LANDSCAPE_LINE_H
#define BM_LANDSCAPE_LINE_H

#include "probe.h"

#define BM_LINE_STRAIGHT 0u
#define BM_LINE_CURVED 1u

/* "straight", "curved". */
extern const char *const bm_line_shapes[];

/* params = (1 - t) from + t to, or cos(t pi / 2) from + sin(t pi / 2) to; [count] each. */
void bm_line_at(
    uint32_t shape, const float *from, const float *to, uint64_t count, double t, float *params);

/* Most that a loss at 0 <= t <= 1 lies above the line between those at t = 0 and t = 1; NAN if
 * these are not among them. */
double bm_line_barrier(const double *t, const double *losses, uint64_t count);

/* Objects of part "distance": of each point from its start, and of each from the first. */
void bm_line_distances(struct bm_landscape *landscape);

/* An object of part "plane": training loss on the plane through the start and two points, with the
 * paths of their trainings as far as they are known. */
void bm_line_plane(struct bm_probe *probe,
                   const struct bm_landscape_point *from,
                   const struct bm_landscape_point *to);

#endif
