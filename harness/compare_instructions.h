/* The second gate of a cell: instructions of one update on one thread, of base and of head. */
#ifndef BM_COMPARE_INSTRUCTIONS_H
#define BM_COMPARE_INSTRUCTIONS_H

#include "compare_plan.h"
#include "comparison.h"

struct bm_compare_count {
    const struct bm_case *of;
    const struct bm_compare_pair *pair;
    uint64_t batch;
    uint32_t is_asked; /* valgrind may count where the processor's counter cannot be read */
    double threshold;  /* accepted growth as a share */
    double limit_s;    /* of each answer; valgrind gets 50 times as long */
};

/* Counts both by the same source. Not known, with the reason if they were asked for, where neither
 * can be counted, the device is no processor, or the two chose other code when they were counted.
 */
void bm_compare_instructions(const struct bm_compare_count *count,
                             struct bm_comparison_instructions *found);

#endif
