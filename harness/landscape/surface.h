/*
 * Error surfaces of one or two dimensions, in double, with exact first and second derivatives: what
 * an optimizer meets in a network, made small enough to be drawn. And what kind of a point one is.
 */
#ifndef BM_SURFACE_H
#define BM_SURFACE_H

#include <stdint.h>

#define BM_SURFACE_CRITICAL_MAX 9u

/* Value and derivatives at a point. Of one dimension: those with y are 0. */
struct bm_surface_values {
    double value;
    double gradient[2];
    double hessian[3]; /* xx, xy, yy */
};

struct bm_surface {
    const char *name;
    const char *about; /* one line */
    const char *formula;
    uint32_t dimensions; /* 1 or 2; the second coordinate of one is not looked at */
    uint32_t is_log;     /* drawn on a log scale */
    double low[2];       /* what is drawn */
    double high[2];
    void (*at)(const double point[2], struct bm_surface_values *values);
    uint32_t critical_count;
    double critical[BM_SURFACE_CRITICAL_MAX][2]; /* near to each critical point */
};

extern const struct bm_surface *const bm_surfaces[]; /* NULL-terminated */

/* NULL for an unknown name. */
const struct bm_surface *bm_surface_find(const char *name);

/* The critical point number `index` to machine precision, by Newton's method from near to it. */
void bm_surface_critical(const struct bm_surface *surface, uint32_t index, double point[2]);

/* Which critical point is nearest to `point`; BM_SURFACE_CRITICAL_MAX if there is none. */
uint32_t bm_surface_nearest(const struct bm_surface *surface, const double point[2]);

/* ---- What kind of a point ---- */

#define BM_POINT_MINIMUM 0u
#define BM_POINT_SADDLE 1u
#define BM_POINT_MAXIMUM 2u
#define BM_POINT_FLAT 3u   /* an eigenvalue is 0: these derivatives do not tell */
#define BM_POINT_MOVING 4u /* the gradient is not 0 */

/* A gradient of this norm or less is 0, and so is an eigenvalue of this size or less. */
#define BM_POINT_TOLERANCE 1e-6

/* "minimum", "saddle", "maximum", "flat", "moving". */
const char *bm_point_kind_name(uint32_t kind);

double bm_surface_gradient_norm(const struct bm_surface *surface,
                                const struct bm_surface_values *values);

/* The Hessian's eigenvalues, ascending, as many as dimensions. */
void bm_surface_eigenvalues(const struct bm_surface *surface,
                            const struct bm_surface_values *values,
                            double eigenvalues[2]);

/* BM_POINT_*: by the gradient's norm, then by the signs of the eigenvalues. */
uint32_t bm_surface_kind(const struct bm_surface *surface, const struct bm_surface_values *values);

#endif
