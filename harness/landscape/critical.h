/*
 * What kind of point this is, with the evidence: first whether it is a critical point at all, then
 * what its eigenvalues say.
 *
 * A point that a computer holds is never exactly critical. It counts as one if the gradient is what
 * float32 leaves of zero,
 *
 *     |g| <= noise of g + largest |eigenvalue| times half a unit in the last place of the
 * parameters
 *
 * or if the critical point that the gradient and the curvature k = g'Hg / |g|^2 along it foretell
 * is so near that the loss there differs by at most BM_CRITICAL_SHARE of itself: |g|^2 / (2 |k|).
 */
#ifndef BM_CRITICAL_H
#define BM_CRITICAL_H

#include "lanczos.h"

#define BM_CRITICAL_SHARE .01

#define BM_CRITICAL_MINIMUM 0u
#define BM_CRITICAL_MAXIMUM 1u
#define BM_CRITICAL_SADDLE 2u
#define BM_CRITICAL_FLAT 3u
#define BM_CRITICAL_MOVING 4u /* not critical */

extern const char *const bm_critical_names[]; /* by BM_CRITICAL_* */

struct bm_critical {
    /* Given. */
    double loss;
    double gradient_norm;
    double gradient_noise; /* of its norm, from the differences */
    double curvature;      /* k; NaN: not known */
    double params_norm;
    struct bm_eigenvalue largest;
    struct bm_eigenvalue smallest;
    /* Found. */
    double allowed;     /* what |g| may be by float32 */
    double change;      /* |g|^2 / (2 |k|) */
    uint32_t kind;      /* BM_CRITICAL_* */
    char evidence[512]; /* one line */
};

/* The sign of an end of the spectrum: -1, 1, or 0 where it is not known. It is if the value is
 * larger than its error; for the smallest, where positive, and the largest, where negative, only if
 * it is larger than error and residual together, as the true one may lie so much further out.
 * `outward` is the sign that a Rayleigh quotient proves by itself: -1 of the smallest, 1 of the
 * largest. */
int bm_critical_sign(const struct bm_eigenvalue *found, int outward);

/* Fills what is to be found. */
void bm_critical_judge(struct bm_critical *critical);

#endif
