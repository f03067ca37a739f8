/*
 * Student's t distribution, of Boost.Math, behind a C header: what intervals and tests of a mean
 * over few seeds need.
 */
#ifndef BM_STUDENT_H
#define BM_STUDENT_H

#ifdef __cplusplus
extern "C" {
#endif

/* The t with P(T <= t) = probability, 0 < probability < 1, at `freedom` degrees of freedom, finite
 * and above 0. Other arguments stop at BM_ASSERT. */
double bm_student_quantile(double probability, double freedom);

/* P(|T| >= |t|): the two-sided p-value of a statistic. t may be infinite (then 0), not NaN;
 * `freedom` as above. */
double bm_student_two_sided(double t, double freedom);

#ifdef __cplusplus
}
#endif

#endif
