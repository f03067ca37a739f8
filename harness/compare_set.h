/*
 * One set of a comparison: fresh processes for the three arms (base, the same file again, head),
 * whose turns alternate in rounds while the other two are stopped; and the two numbers that it
 * gives. Between sets everything is new: the processes, where their memory lies, their stacks, the
 * order in which they come.
 */
#ifndef BM_COMPARE_SET_H
#define BM_COMPARE_SET_H

#include "cell.h"

enum bm_arm { BM_ARM_BASE, BM_ARM_AGAIN, BM_ARM_HEAD, BM_ARM_COUNT };

/* Whose plugin, for what both arms of base share. */
enum bm_side { BM_SIDE_BASE, BM_SIDE_HEAD, BM_SIDE_COUNT };

#define BM_SET_ROUNDS_MAX 84u

struct bm_set_request {
    const struct bm_case *of;
    uint64_t batch;
    struct bm_row *row[BM_SIDE_COUNT];
    uint32_t number;    /* of the cell's sets, from 0 */
    uint32_t checks;    /* against the float64 reference, before, and against a replay, after */
    uint32_t retries;   /* of tuners, so that all arms run alike */
    double length_s;    /* of the whole without checks and retries, if that leaves 10 rounds */
    double longest_s;   /* the same, if it leaves 3 */
    double update_ns;   /* of the slowest arm; 0: not known, it is measured first */
    double hang_time_s; /* beyond what it should take, for every answer */
};

struct bm_set_result {
    struct bm_verdict verdict[BM_SIDE_COUNT]; /* unless both are OK there are no numbers */
    uint32_t rounds;
    uint32_t retries;                /* sessions that were created again for that */
    uint32_t is_unlike;              /* in the end an arm chose otherwise than another, */
    uint32_t is_stubborn;            /* and no arm ever changed its mind, nor did base's differ */
    double log_ratio;                /* log(head / base) */
    double aa;                       /* log(second arm of base / first) */
    double update_ns[BM_SIDE_COUNT]; /* median over the rounds */
    double estimate_ns;              /* of the slowest arm's update, that turns were shaped by */
    double seconds;                  /* of the whole */
    double checks_s;                 /* of them for the checks */
    char describe[BM_SIDE_COUNT][4096];
};

/* Measures one set; afterwards none of its workers runs. Verdicts of both sides are filled as far
 * as they are known: a head that fails does not keep base from being asked, nor the other way
 * round, until the check has passed. */
void bm_set_measure(const struct bm_set_request *request, struct bm_set_result *result);

/* The numbers of a set from the turns' values, times_ns[rounds][arm], rounds > 0. log_ratio: the
 * mean of two medians over the rounds, of the log of head over each arm of base. (The median of
 * head over the mean of both arms would be too small: times have long tails to one side, and a mean
 * of two lies higher than one alone.) aa: the median of base's second arm over its first. */
void bm_set_values(const double (*times_ns)[BM_ARM_COUNT],
                   uint32_t rounds,
                   double *log_ratio,
                   double *aa);

/* The order of the arms in a round of a set: in every six rounds, from the first on, each of the
 * six orders comes once, and which when is drawn, so that nothing periodic favours an arm. */
void bm_set_order(uint64_t seed, uint32_t number, uint32_t round, enum bm_arm order[BM_ARM_COUNT]);

#endif
