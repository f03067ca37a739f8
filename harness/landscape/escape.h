/* Between the parts of the analysis `escape`: each in its file, and what they share. */
#ifndef BM_ESCAPE_H
#define BM_ESCAPE_H

#include "escape_counts.h"
#include "landscape.h"
#include "probe.h"
#include "surface.h"

/* The parts. They write their objects; a status other than OK ends the command. */
int32_t bm_escape_examples(struct bm_landscape *landscape);
int32_t bm_escape_surfaces(struct bm_landscape *landscape);
int32_t bm_escape_weights(struct bm_landscape *landscape);
int32_t bm_escape_saddle(struct bm_landscape *landscape);

/* ---- Runs over seeds ---- */

#define BM_ESCAPE_RUNS 20u

/* The seeds of a count, at most BM_COUNTS_MAX: those of --seed where it names several, else
 * BM_ESCAPE_RUNS from its one on. Returns how many. */
uint32_t bm_escape_seeds(const struct bm_landscape *landscape, uint64_t seeds[BM_COUNTS_MAX]);

/* What all runs of one count have in common. */
struct bm_escape_rule {
    const char *optimizer;
    double rate;
    double momentum; /* NaN: the rule has none */
    uint64_t batch;  /* 0: full, or no noise */
    double noise;
};

/* Sets `optimizer`, `rate`, `momentum`, `batch` and `noise` of an object. */
void bm_escape_set_rule(json_t *object, const struct bm_escape_rule *rule);

/* An object `count`: of `runs` runs `yes` did what is asked for, after updates[0 .. yes). The
 * caller may add to it before it writes it. */
json_t *bm_escape_count(const char *surface,
                        const char *question,
                        const struct bm_escape_rule *rule,
                        uint64_t runs,
                        const uint64_t *updates,
                        uint64_t yes,
                        uint64_t limit);

/* ---- Pictures ---- */

#define BM_ESCAPE_GRID 41u   /* values of a contour along each axis */
#define BM_ESCAPE_LINE 281u  /* of a surface of one dimension */
#define BM_ESCAPE_POINTS 64u /* most that are kept of a path */

/* A contour of a surface whose value at a point is asked for by `value`, which may be NULL: the
 * surface's own. NULL if `value` failed, with `error`. */
typedef int32_t
bm_escape_value(void *context, const double point[2], double *value, struct bm_error *error);
json_t *bm_escape_contour(const struct bm_surface *surface,
                          bm_escape_value *value,
                          void *context,
                          struct bm_error *error);

/* Which of `count` points, the first and the last included, are kept: `kept` ascending numbers, at
 * most BM_ESCAPE_POINTS, denser at the beginning, where a path moves most. Returns how many. */
uint32_t bm_escape_thin(uint64_t count, uint64_t kept[BM_ESCAPE_POINTS]);

/* `end` of a path. */
json_t *bm_escape_end(const struct bm_surface *surface, const double point[2]);

#endif
