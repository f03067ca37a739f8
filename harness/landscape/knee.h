/*
 * Where larger batches stop to save updates: McCandlish et al. (arXiv 1812.06162), equation 2.11,
 * (S / S_min - 1)(E / E_min - 1) = 1 for S updates and E = S B examples to a target, which is S =
 * S_min (1 + B_crit / B) with B_crit = E_min / S_min.
 */
#ifndef BM_LANDSCAPE_KNEE_H
#define BM_LANDSCAPE_KNEE_H

#include <jansson.h>
#include <stdint.h>

#define BM_KNEE_POINTS_MIN 3u /* batch sizes, for a fit; 4 for an interval */

/* What is not known is NAN. */
struct bm_knee {
    double updates;  /* S_min */
    double examples; /* E_min */
    double critical; /* B_crit, images; 0 or infinite where the data show no knee: then NAN */
    double low; /* of B_crit, 95 %: leaving out one batch size at a time (jackknife), on logs */
    double high;
};

/* Pure: least squares of the logarithms of updates[i] at batches[i], both above 0. Returns 0 with
 * everything NAN where there are fewer than BM_KNEE_POINTS_MIN. */
int bm_knee_fit(const double *batches, const double *updates, uint32_t count, struct bm_knee *knee);

/* Objects of part "knee" from the final trainings of a record of `train`: one for each optimizer
 * and target; medians over seeds, of batch sizes where every seed reached the target. `name` is the
 * record's. An array, the caller's; empty if there is no target in it. */
json_t *bm_knee_objects(const json_t *objects, const char *name);

#endif
