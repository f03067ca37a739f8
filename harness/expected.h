/*
 * What honest backends must find: gradients, bounds and losses of the float64 reference, computed
 * once by the parent for all backends, kept in a sealed memory file and mapped by the workers.
 */
#ifndef BM_EXPECTED_H
#define BM_EXPECTED_H

#include "data.h"
#include "reference.h"

#define BM_EXPECTED_MAX 128
#define BM_EXPECTED_IMAGES 1000u /* distinct images of a check, at any batch size */

/* What all checks of one memory file have in common. */
struct bm_expected_request {
    const struct bm_model *model;
    const struct bm_dataset *dataset;
    uint64_t seed;
    uint64_t micro_batch;   /* 0: the whole batch in one slice */
    uint32_t data_parallel; /* above 1: also for a session that splits every slice over so many */
    uint32_t thread_count;
    double multiply_roundoff;
    double accumulate_roundoff;
};

/* The mapped results of one batch size; pointers live as long as the mapping. */
struct bm_expected_entry {
    uint64_t batch;
    uint64_t data_parallel;   /* 0: the same however many sessions share the batch */
    uint64_t is_undetermined; /* as in struct bm_reference, of any slice */
    double loss;
    double loss_bound;
    const double *gradient;
    const double *gradient_bound;
    const double *statistics;
    const double *statistics_bound;
};

struct bm_expected {
    uint64_t param_count;
    uint32_t entry_count;
    struct bm_expected_entry entry[BM_EXPECTED_MAX];
    void *mapped;
    uint64_t mapped_bytes;
};

/* The images of a check of this batch size: the beginning of epoch 0's order, or, from batch 1000
 * on, draws with repetition from its first 1000, so that the reference costs 1000 images at any
 * size. `order` is [batch]. INVALID never; NO_MEMORY. */
int32_t bm_expected_order(
    uint64_t seed, uint64_t image_count, uint64_t batch, uint32_t *order, struct bm_error *error);

/* Makes the memory file for these batch sizes, at most BM_EXPECTED_MAX / 2; the caller closes *fd.
 * `stop` (may be NULL) is called before each size; non-zero leaves out this size and those after
 * it. */
int32_t bm_expected_create(const struct bm_expected_request *request,
                           const uint64_t *batches,
                           uint32_t batch_count,
                           int32_t (*stop)(void *context, uint32_t index),
                           void *context,
                           int *fd,
                           struct bm_error *error);

/* Worker side; takes over `fd`. Every length is checked against the file's. */
int32_t bm_expected_map(int fd, struct bm_expected *expected, struct bm_error *error);

/* Of one session, or of several that split every slice; NULL if the file has no such size. */
const struct bm_expected_entry *
bm_expected_find(const struct bm_expected *expected, uint64_t batch, uint32_t data_parallel);

void bm_expected_unmap(struct bm_expected *expected);

#endif
