/*
 * What the cases that look at numbers compare with: the float64 reference of a slice at a session's
 * own data, and texts that say which network, batch, flags, threads and element went wrong.
 */
#ifndef BM_CONFORM_COMPARE_H
#define BM_CONFORM_COMPARE_H

#include "case.h"

#define BM_CONFORM_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Thread budgets of the sessions that are compared. */
#define BM_CONFORM_BUDGETS 4u

/* Budgets that a case tries, from 1 on; returns their number, at least 1. */
uint32_t bm_conform_budgets(const struct bm_conform *conform, uint32_t budgets[BM_CONFORM_BUDGETS]);

/* Where a comparison stands. */
struct bm_conform_place {
    const struct bm_conform_session *test;
    struct bm_slice slice;
    const char *what; /* "gradient": what is compared */
    const char *how;  /* ", of sparse bytes, in three parts": what else tells it apart; or "" */
};

/* What the values of an array belong to. */
#define BM_CONFORM_PARAMS 0u     /* canonical layout of the parameters */
#define BM_CONFORM_STATISTICS 1u /* running statistics */

/* Every value is finite and within its bound; otherwise the case fails. */
void bm_conform_expect_near(const struct bm_conform_place *place,
                            uint32_t layout,
                            const float *found,
                            const double *expected,
                            const double *bound);

/* The same bits, -0 and 0 being two. */
void bm_conform_expect_bits(const struct bm_conform_place *place,
                            uint32_t layout,
                            const float *found,
                            const float *expected);

void bm_conform_expect_number(const struct bm_conform_place *place,
                              double found,
                              double expected,
                              double bound);

/* The unit roundoffs that the device declares for the session's precision. */
const struct bm_precision *bm_conform_precision(const struct bm_conform_session *test);

/* The reference of a slice with these parameters (NULL: test->params) and running statistics before
 * it (NULL: means 0, variances 1). Give it back with bm_reference_free. */
void bm_conform_reference(struct bm_conform_session *test,
                          const struct bm_slice *slice,
                          const float *params,
                          const double *statistics,
                          struct bm_reference *reference);

/* Whether the session's optimizer state and running statistics can be read and written. */
int bm_conform_has_state(const struct bm_conform_session *test);

#endif
