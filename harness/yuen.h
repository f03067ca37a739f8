/*
 * Means that a few wild values cannot move: Student's t on samples of which a fifth is trimmed at
 * each end. One sample: Tukey and McLaughlin, Sankhya A 25 (1963); two independent samples: Yuen,
 * "The two-sample trimmed t for unequal population variances", Biometrika 61 (1974).
 *
 * Values are logarithms of times or of ratios, so that an effect is a factor.
 */
#ifndef BM_YUEN_H
#define BM_YUEN_H

#include <stdint.h>

/* Fewer values than this say nothing of their spread. */
#define BM_YUEN_COUNT_MIN 2u

/* An estimate and how well it is known. */
struct bm_yuen {
    double estimate;
    double error;   /* standard error */
    double freedom; /* degrees of freedom, above 0 */
};

/* Trimmed mean of values[0 .. count), count >= BM_YUEN_COUNT_MIN, all finite: m = sum of the h
 * middle ones / h, h = count - 2 floor(count / 5); error^2 = (count - 1) s^2 / (h (h - 1)), s^2 the
 * variance of the values with the trimmed ones moved to their nearest neighbours (winsorized);
 * freedom = h - 1. `scratch` is [count]. Other arguments stop at BM_ASSERT. */
void bm_yuen_one(const double *values, uint32_t count, struct bm_yuen *result, double *scratch);

/* Trimmed mean of head minus that of base, each as above: the errors' squares add up, and the
 * freedom is Welch's. `scratch` is [the larger count]. */
void bm_yuen_two(const double *base,
                 uint32_t base_count,
                 const double *head,
                 uint32_t head_count,
                 struct bm_yuen *result,
                 double *scratch);

/* The value that the true one exceeds with probability 1 - `probability`, 0 < probability < 1:
 * .02 gives the lower bound of a one-sided interval of 98 %, .98 the upper one. */
double bm_yuen_bound(const struct bm_yuen *result, double probability);

/* One-sided p-value of "the true value is at most `limit`": small says that it is above. Without
 * any error 0 or 1. */
double bm_yuen_p_above(const struct bm_yuen *result, double limit);

/* How far above a limit the true value must be for a share `power` of such samples to say, by a
 * one-sided bound at `level`, that it is above: (t_level + t_power) error. */
double bm_yuen_sensitivity(const struct bm_yuen *result, double level, double power);

#endif
