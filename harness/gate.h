/*
 * The rule that turns sets into a verdict: is head slower than base by more than is accepted? The
 * sets are the sample, each one a log ratio of fresh processes. A first stage screens; who looks
 * slower, or faster, than the threshold is a suspect and gets a second stage, whose sets alone can
 * convict. Pure functions of the values.
 *
 * Looks come every BM_GATE_LOOK sets. A suspect is one whose one-sided 80 % bound (after
 * BM_GATE_SCREEN_SETS sets, whose estimate) is beyond the threshold; convicted by a bound of
 * 99.5 %, at the last look of 98 %; passed when the upper bound of 98 % is below the threshold or
 * 1 %, whichever is more. Bounds are those of trimmed means (yuen.h).
 */
#ifndef BM_GATE_H
#define BM_GATE_H

#include <stdint.h>

#define BM_GATE_LOOK 6u
#define BM_GATE_SCREEN_SETS 18u
#define BM_GATE_CONFIRM_SETS 30u
#define BM_GATE_SETS_MAX 48u

enum bm_gate_verdict {
    BM_GATE_OPEN, /* more sets are needed */
    BM_GATE_PASS,
    BM_GATE_REGRESSION,
    BM_GATE_IMPROVEMENT,
    BM_GATE_INCONCLUSIVE,
    BM_GATE_VOID, /* inconclusive, since the two arms of base differ */
};

struct bm_gate_rule {
    double threshold;  /* accepted slow-down as a share, at least 0 */
    uint32_t sets_max; /* that fit into the time, at most BM_GATE_SETS_MAX */
};

/* The sets so far. Begin with a zeroed one. */
struct bm_gate {
    uint32_t count;
    uint32_t is_confirming;             /* the second stage has begun */
    uint32_t screened;                  /* sets of the first stage, once the second has begun */
    double log_ratio[BM_GATE_SETS_MAX]; /* log(head / base) */
    double aa[BM_GATE_SETS_MAX];        /* log(second base arm / first) */
};

/* What the deciding stage says, in logarithms, and the arms of base over all sets. */
struct bm_gate_figures {
    uint32_t sets; /* of the deciding stage; with fewer than two there are no figures */
    double estimate;
    double low; /* two-sided interval of 95 % */
    double high;
    double p; /* one-sided, of "no slower than the threshold" */
    double aa_estimate;
    double aa_spread; /* standard deviation */
};

void bm_gate_add(struct bm_gate *gate, double log_ratio, double aa);

/* After every set: a verdict, or OPEN and possibly the second stage begun. rule->sets_max reached
 * means that no more can come. */
enum bm_gate_verdict bm_gate_judge(struct bm_gate *gate, const struct bm_gate_rule *rule);

void bm_gate_figures(const struct bm_gate *gate,
                     const struct bm_gate_rule *rule,
                     struct bm_gate_figures *figures);

/* The smallest slow-down, as a share, that this gate would have found in 9 of 10 cases: by going
 * through it with sets drawn from its own, shifted. The same sets give the same. NaN if there are
 * fewer than BM_GATE_LOOK, no second stage fits, or a doubling beyond what is accepted would not
 * have been found either. */
double bm_gate_sensitivity(const struct bm_gate *gate, const struct bm_gate_rule *rule);

#endif
