/*
 * The float64 reference of the case being measured: made once for all backends, kept while the
 * cases that follow have the same, and given a share of the time limit.
 */
#ifndef BM_CASE_REFERENCE_H
#define BM_CASE_REFERENCE_H

#include "cell.h"

struct bm_case_reference {
    int fd;              /* memory file of the results; -1: none */
    uint32_t size_count; /* batch sizes in it: the first of those asked for */
    char key[512];       /* what it was computed for */
    char missing[256];   /* why the sizes behind those are not in it, in a line */
    double limit_s;      /* monotonic: no size is begun that would end after this */
    /* Called before each size, with its batch. May be NULL. */
    void (*progress)(void *context, uint64_t batch);
    void *context;
};

/* An empty reference; `started_s` and `time_limit_s` are those of the whole run. */
void bm_case_reference_init(struct bm_case_reference *reference,
                            double started_s,
                            double time_limit_s);

/* Computes the reference of the case at the ascending `batches`, if it is not that of the case
 * before. Sizes that would take too long or more memory than there is are left out, with
 * everything above them; the time limit never leaves out the first. On failure there is none. */
int32_t bm_case_reference_make(struct bm_case_reference *reference,
                               const struct bm_case *of,
                               const uint64_t *batches,
                               uint32_t batch_count,
                               struct bm_error *error);

/* NO_MEMORY, with the reason, if not even the first size found memory; OK also if none was asked
 * for. */
int32_t bm_case_reference_expect(const struct bm_case_reference *reference, struct bm_error *error);

/* Forgets what it holds. */
void bm_case_reference_close(struct bm_case_reference *reference);

#endif
