#include "case_reference.h"

#include "environment.h"
#include "error.h"
#include "expected.h"
#include "interrupt.h"
#include "now.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of the time limit that the reference may take. */
#define SHARE 0.4

void bm_case_reference_init(struct bm_case_reference *reference,
                            double started_s,
                            double time_limit_s) {
    memset(reference, 0, sizeof *reference);
    reference->fd = -1;
    reference->limit_s = started_s + SHARE * time_limit_s;
}

void bm_case_reference_close(struct bm_case_reference *reference) {
    if (reference->fd >= 0) {
        (void)close(reference->fd);
    }
    reference->fd = -1;
    reference->size_count = 0;
    reference->key[0] = '\0';
    reference->missing[0] = '\0';
}

int32_t bm_case_reference_expect(const struct bm_case_reference *reference,
                                 struct bm_error *error) {
    return reference->size_count > 0 || reference->missing[0] == '\0'
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_NO_MEMORY, "%s", reference->missing);
}

static void roundoffs(const char *precision, double *multiply, double *accumulate) {
    *accumulate = BM_ROUNDOFF_FLOAT32;
    *multiply = strcmp(precision, BM_PRECISION_TF32) == 0       ? BM_ROUNDOFF_TF32
                : strcmp(precision, BM_PRECISION_BF16_F32) == 0 ? BM_ROUNDOFF_BF16
                : strcmp(precision, BM_PRECISION_F16_F32) == 0  ? BM_ROUNDOFF_F16
                                                                : BM_ROUNDOFF_FLOAT32;
}

/* What one size took, and the images its cost grows with. */
struct timed_size {
    double images;
    double seconds;
};

/* The sizes made so far. */
struct pace {
    struct bm_case_reference *reference;
    const uint64_t *batches;
    double begun_s; /* the size being made */
    struct timed_size before;
    struct timed_size last;
};

static double distinct_images(uint64_t batch) {
    return (double)(batch < BM_EXPECTED_IMAGES ? batch : BM_EXPECTED_IMAGES);
}

/* By the line through the last two sizes, since a part of the cost does not grow with the images;
 * by the last alone where there is no rising line. */
static double estimate_s(const struct pace *pace, double images) {
    double more_images = pace->last.images - pace->before.images;
    double more_s = pace->last.seconds - pace->before.seconds;
    double slope =
        pace->before.images > 0 && more_images > 0 && more_s > 0 ? more_s / more_images : 0;
    return pace->last.seconds + slope * (images - pace->last.images);
}

/* Before each size: whether it and those after it are left out. */
static int32_t stop(void *context, uint32_t index) {
    struct pace *pace = context;
    struct bm_case_reference *reference = pace->reference;
    double now_s = bm_now_s();
    if (reference->progress != NULL) {
        reference->progress(reference->context, pace->batches[index]);
    }
    if (bm_interrupt_signal() != 0) {
        return 1;
    }
    if (index > 0) {
        pace->before = pace->last;
        pace->last.images = distinct_images(pace->batches[index - 1]);
        pace->last.seconds = now_s - pace->begun_s;
        if (now_s + estimate_s(pace, distinct_images(pace->batches[index])) > reference->limit_s) {
            return 1;
        }
    }
    pace->begun_s = now_s;
    reference->size_count = index + 1;
    return 0;
}

int32_t bm_case_reference_make(struct bm_case_reference *reference,
                               const struct bm_case *of,
                               const uint64_t *batches,
                               uint32_t batch_count,
                               struct bm_error *error) {
    char key[sizeof reference->key];
    struct bm_expected_request request = {
        .model = of->model,
        .dataset = of->dataset,
        .seed = of->seed,
        .micro_batch = of->micro_batch,
        .data_parallel = of->data_parallel,
        .thread_count = bm_environment_cores(),
    };
    (void)snprintf(key, sizeof key, "%s %s %llu %s %llu %u", of->dataset->name, of->model->name,
                   (unsigned long long)of->seed, of->precision, (unsigned long long)of->micro_batch,
                   of->data_parallel);
    if (reference->fd >= 0 && strcmp(key, reference->key) == 0) {
        return BM_STATUS_OK;
    }
    bm_case_reference_close(reference);
    (void)snprintf(reference->missing, sizeof reference->missing,
                   "its float64 reference did not fit into the time limit");
    roundoffs(of->precision, &request.multiply_roundoff, &request.accumulate_roundoff);
    int32_t status = BM_STATUS_OK;
    do { /* without memory, with those below the size that it was not enough for */
        struct pace pace = {.reference = reference, .batches = batches};
        reference->size_count = 0;
        status =
            bm_expected_create(&request, batches, batch_count, stop, &pace, &reference->fd, error);
        if (status == BM_STATUS_NO_MEMORY) {
            (void)snprintf(reference->missing, sizeof reference->missing,
                           "its float64 reference found no memory: %.180s", error->text);
            batch_count = reference->size_count > 0 ? reference->size_count - 1 : 0;
        }
    } while (status == BM_STATUS_NO_MEMORY && batch_count > 0);
    if (status == BM_STATUS_OK) {
        (void)snprintf(reference->key, sizeof reference->key, "%s", key);
    } else {
        reference->size_count = 0;
    }
    return status == BM_STATUS_NO_MEMORY ? BM_STATUS_OK : status;
}
