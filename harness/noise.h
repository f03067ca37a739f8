/*
 * The simple gradient noise scale B = tr(Sigma) / |G|^2: G is the gradient of the mean loss at the
 * present parameters, Sigma the covariance of the gradients of single images; B is the batch size,
 * in images, from which on the mean gradient of a batch is more signal than noise. McCandlish,
 * Kaplan, Amodei and the OpenAI Dota Team, "An empirical model of large-batch training", arXiv
 * 1812.06162, equation 2.9; estimated as in its appendix A.1, at parameters that stand still.
 *
 * K disjoint slices of b images have the mean gradients g_i, G' is the mean of those, m the mean of
 * |g_i|^2. Batch sizes b and K b give the unbiased pair of appendix A.1:
 *
 *     |G|^2 = (K |G'|^2 - m) / (K - 1)        S = b K / (K - 1) (m - |G'|^2)
 *
 * where S estimates tr(Sigma), and B = S / |G|^2.
 *
 * Interval. The jackknife over slices (Efron and Stein 1981), with |G'_-i|^2 = (K^2 |G'|^2 - 2 K
 * G'.g_i + |g_i|^2) / (K - 1)^2 of all slices but i, and Student's t with K - 1 degrees of freedom.
 * Where |G|^2 stands out from the noise, being above 0 by its own interval, it is that of log B.
 * Elsewhere it is open above, so many images setting no upper limit, and the lower limit is that of
 * 1 / B = |G|^2 / S, whose error is finite whatever |G|^2 is. For Gaussian gradients of 5 to 500
 * parameters, 8 to 32 slices, and 0.3 B to 77 B images in all, what was given held B in 91 to 99 %
 * of the cases.
 *
 * Slices come from an order without repetitions, that is, without replacement: the pair is then
 * unbiased for the distribution that the data set was drawn from, not for the data set. At the end
 * of a training, when the gradient on its images is below what N of them know of that distribution,
 * |G|^2 is not positive, and no number of slices makes it so.
 *
 * Batch norm. Each slice normalizes by its own images, so that its gradient is that of another loss
 * for another b, and not a mean over independent images. B is then the noise scale of training with
 * b images normalized together, and compares with others of the same b only.
 */
#ifndef BM_NOISE_H
#define BM_NOISE_H

#include "bench.h"

#define BM_NOISE_COVERAGE 0.95      /* of low .. high, nominal */
#define BM_NOISE_SLICES_MIN 2u      /* for an estimate */
#define BM_NOISE_INTERVAL_SLICES 8u /* for an interval */

/* What is not known is NAN, and `reason` says why. |G|^2 and S are known but for gradients that are
 * not finite. */
struct bm_noise {
    uint32_t slices;    /* K */
    uint64_t images;    /* b */
    double gradient2;   /* |G|^2, which may be negative, being unbiased */
    double trace;       /* S, in units of |G|^2 times images; not negative */
    double scale;       /* B in images; NAN where |G|^2 is not positive */
    double low;         /* the interval of B; low may be known where the scale is not */
    double high;        /* NAN: no upper limit */
    const char *reason; /* of static storage; NULL if all is known */
};

/* Pure: squares[i] = |g_i|^2 and products[i] = G'.g_i of `slices` >= BM_NOISE_SLICES_MIN slices of
 * `images` >= 1 images each. Slices that are all equal have scale 0. */
void bm_noise_estimate(const double *squares,
                       const double *products,
                       uint32_t slices,
                       uint64_t images,
                       struct bm_noise *noise);

/* Takes the gradients of order[first .. first + slices * images) at the session's parameters, each
 * slice in parts of the session's micro_batch, with BM_SLICE_KEEP_STATISTICS and
 * BM_SLICE_NO_DROPOUT, twice: for their mean, and for the products with it, so that two arrays of
 * the parameters' size are enough; sums are in double. Parameters, optimizer state, statistics and
 * the walk stay as they were; the gradient that the session keeps is another. INVALID if there are
 * fewer than BM_NOISE_SLICES_MIN slices, no images in them, or more than the order has. */
int32_t bm_noise_measure(struct bm_bench *bench,
                         uint64_t first,
                         uint64_t images,
                         uint32_t slices,
                         struct bm_noise *noise,
                         struct bm_error *error);

#endif
