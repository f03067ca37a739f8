#include "trainer.h"

#include "error.h"
#include "now.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t images_of(const struct bm_trainer *trainer) {
    return trainer->bench->dataset->split[BM_SPLIT_TRAIN].count;
}

static struct bm_hyper hyper_of(const void *context, uint64_t update) {
    const struct bm_trainer *trainer = context;
    return bm_rate_hyper(&trainer->plan, trainer->bench->problem.optimizer, update,
                         &trainer->overrides);
}

int32_t bm_trainer_open(struct bm_trainer *trainer,
                        struct bm_bench *bench,
                        const struct bm_rate_plan *plan,
                        const struct bm_rate_overrides *overrides,
                        struct bm_error *error) {
    memset(trainer, 0, sizeof *trainer);
    trainer->bench = bench;
    trainer->plan = *plan;
    trainer->overrides = *overrides;
    trainer->order = malloc(images_of(trainer) * sizeof *trainer->order);
    if (trainer->order == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "training: no memory for an order of %llu",
                       (unsigned long long)images_of(trainer));
    }
    int32_t status = bm_bench_reset(bench, error);
    if (status != BM_STATUS_OK) {
        bm_trainer_close(trainer);
        return status;
    }
    bench->flags = 0;
    bench->hyper = hyper_of;
    bench->hyper_context = trainer;
    return BM_STATUS_OK;
}

void bm_trainer_close(struct bm_trainer *trainer) {
    if (trainer->bench != NULL) {
        trainer->bench->hyper = NULL;
        trainer->bench->flags = BM_SLICE_NO_DROPOUT;
    }
    free(trainer->order);
    bm_checkpoint_free(&trainer->before);
    memset(trainer, 0, sizeof *trainer);
}

/* ---- Walking ---- */

static int32_t give_order(struct bm_trainer *trainer, struct bm_error *error) {
    uint64_t first = trainer->bench->first;
    if (trainer->is_ordered) {
        return BM_STATUS_OK;
    }
    bm_random_permutation(trainer->bench->problem.seed, (uint32_t)trainer->epoch, trainer->order,
                          (uint32_t)images_of(trainer));
    int32_t status = bm_bench_set_order(trainer->bench, trainer->order, images_of(trainer), error);
    trainer->bench->first = first;
    trainer->is_ordered = status == BM_STATUS_OK;
    return status;
}

static uint64_t next_count(const struct bm_trainer *trainer) {
    uint64_t left = images_of(trainer) - trainer->bench->first;
    return left < trainer->bench->batch ? left : trainer->bench->batch;
}

static int32_t walk(struct bm_trainer *trainer,
                    uint64_t updates,
                    struct bm_stretch *stretch,
                    struct bm_error *error) {
    struct bm_bench *bench = trainer->bench;
    int32_t status = give_order(trainer, error);
    while (status == BM_STATUS_OK && stretch->updates < updates &&
           bench->first < images_of(trainer)) {
        status = bm_bench_step(bench, next_count(trainer), error);
        stretch->updates++;
    }
    return status == BM_STATUS_OK ? bm_bench_wait(bench, &stretch->loss, error) : status;
}

static void note_before(struct bm_trainer *trainer) {
    struct bm_error ignored; /* what cannot be kept is only missed where something goes wrong */
    trainer->before.epoch = trainer->epoch;
    trainer->has_before =
        bm_checkpoint_take(trainer->bench, &trainer->before, &ignored) == BM_STATUS_OK;
}

int32_t bm_trainer_run(struct bm_trainer *trainer,
                       uint64_t updates,
                       struct bm_stretch *stretch,
                       struct bm_error *error) {
    struct bm_bench *bench = trainer->bench;
    memset(stretch, 0, sizeof *stretch);
    note_before(trainer);
    double begin_s = bm_now_s();
    int32_t status = walk(trainer, updates, stretch, error);
    stretch->seconds = bm_now_s() - begin_s;
    trainer->seconds += stretch->seconds;
    if (status == BM_STATUS_OK && bench->first >= images_of(trainer)) {
        bench->first = 0;
        trainer->epoch++;
        trainer->is_ordered = 0;
        stretch->ended_epoch = 1;
    }
    return status;
}

/* ---- Going there again ---- */

static int32_t return_to(struct bm_trainer *trainer,
                         const struct bm_checkpoint *checkpoint,
                         struct bm_error *error) {
    trainer->epoch = checkpoint->epoch;
    trainer->is_ordered = 0;
    int32_t status = give_order(trainer, error);
    return status == BM_STATUS_OK ? bm_checkpoint_give(checkpoint, trainer->bench, error) : status;
}

int32_t bm_trainer_locate(struct bm_trainer *trainer, uint64_t *update, struct bm_error *error) {
    struct bm_bench *bench = trainer->bench;
    uint64_t epoch = trainer->epoch;
    uint64_t end = bench->update;
    *update = 0;
    if (!trainer->has_before) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "the update cannot be found: the plugin cannot read and write its state");
    }
    int32_t status = return_to(trainer, &trainer->before, error);
    while (status == BM_STATUS_OK && bench->update < end) {
        double loss = 0;
        status = bm_bench_step(bench, next_count(trainer), error);
        status = status ? status : bm_bench_wait(bench, &loss, error);
        if (status == BM_STATUS_OK && !isfinite(loss) && *update == 0) {
            *update = bench->update - 1;
        }
    }
    if (trainer->epoch != epoch) {
        trainer->epoch = epoch;
        bench->first = 0;
        trainer->is_ordered = 0;
    }
    return status;
}

/* ---- Checkpoints ---- */

int32_t bm_trainer_save(struct bm_trainer *trainer,
                        struct bm_checkpoint *checkpoint,
                        struct bm_error *error) {
    checkpoint->epoch = trainer->epoch;
    checkpoint->seconds = trainer->seconds;
    checkpoint->seed = trainer->bench->problem.seed;
    checkpoint->batch = trainer->bench->batch;
    checkpoint->micro_batch = trainer->bench->micro_batch;
    checkpoint->threads = trainer->bench->problem.thread_count;
    checkpoint->train_count = images_of(trainer);
    checkpoint->validation_count = trainer->bench->dataset->split[BM_SPLIT_VALIDATION].count;
    return bm_checkpoint_take(trainer->bench, checkpoint, error);
}

int32_t bm_trainer_restore(struct bm_trainer *trainer,
                           const struct bm_checkpoint *checkpoint,
                           struct bm_error *error) {
    if (checkpoint->train_count != images_of(trainer)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "checkpoint: expected one of %llu training images, found %llu",
                       (unsigned long long)images_of(trainer),
                       (unsigned long long)checkpoint->train_count);
    }
    trainer->seconds = checkpoint->seconds;
    return return_to(trainer, checkpoint, error);
}

int32_t bm_trainer_begin_from(struct bm_trainer *trainer,
                              const struct bm_checkpoint *checkpoint,
                              struct bm_error *error) {
    struct bm_bench *bench = trainer->bench;
    if (checkpoint->param_count != bench->param_count ||
        checkpoint->statistics_count != bench->statistics_count) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "checkpoint: expected %llu parameters and %llu statistics, found %llu and "
                       "%llu",
                       (unsigned long long)bench->param_count,
                       (unsigned long long)bench->statistics_count,
                       (unsigned long long)checkpoint->param_count,
                       (unsigned long long)checkpoint->statistics_count);
    }
    int32_t status = bm_bench_write_params(bench, checkpoint->params, error);
    if (status == BM_STATUS_OK && bench->statistics_count > 0) {
        status = bm_bench_write_state(bench, BM_STATE_STATISTICS, checkpoint->statistics,
                                      bench->statistics_count, error);
    }
    return status;
}

int32_t
bm_trainer_renew_statistics(struct bm_trainer *trainer, uint64_t slices, struct bm_error *error) {
    struct bm_bench *bench = trainer->bench;
    uint64_t first = bench->first;
    int32_t status = bench->statistics_count > 0 ? give_order(trainer, error) : BM_STATUS_OK;
    uint64_t all = (images_of(trainer) + bench->batch - 1) / bench->batch;
    slices = slices == 0 ? all : slices;
    if (slices < BM_TRAINER_RENEWING_SLICES_MIN) {
        slices = BM_TRAINER_RENEWING_SLICES_MIN;
    }
    bench->first = 0;
    for (uint64_t i = 0; i < slices && bench->statistics_count > 0 && status == BM_STATUS_OK; i++) {
        uint64_t count = next_count(trainer);
        status = bm_bench_gradient(bench, count, error);
        bench->first = bench->first + count < images_of(trainer) ? bench->first + count : 0;
    }
    bench->first = first;
    return status == BM_STATUS_OK ? bm_bench_wait(bench, NULL, error) : status;
}

int32_t bm_trainer_noise(struct bm_trainer *trainer,
                         uint64_t images,
                         uint64_t slices,
                         struct bm_noise *noise,
                         struct bm_error *error) {
    int32_t status = give_order(trainer, error);
    if (status == BM_STATUS_OK && slices > UINT32_MAX) {
        status = bm_fail(error, BM_STATUS_INVALID, "noise: expected below 2^32 slices, found %llu",
                         (unsigned long long)slices);
    }
    return status == BM_STATUS_OK
               ? bm_noise_measure(trainer->bench, 0, images, (uint32_t)slices, noise, error)
               : status;
}
