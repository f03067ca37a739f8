#include "serve_landscape.h"

#include "error.h"
#include "field.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- The shared arrays ---- */

static int32_t map_vectors(struct bm_served_landscape *landscape,
                           int fd,
                           const struct bm_bench *bench,
                           struct bm_error *error) {
    uint64_t expected = (2 * bench->param_count + bench->statistics_count) * sizeof(float);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected a file of vectors, found none");
    }
    if (info.st_size < 0 || (uint64_t)info.st_size != expected) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "worker: expected a file of vectors of %llu bytes, found %llu",
                       (unsigned long long)expected, (unsigned long long)info.st_size);
    }
    void *mapped = mmap(NULL, expected, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "worker: cannot map the vectors");
    }
    landscape->mapped = mapped;
    landscape->mapped_bytes = expected;
    landscape->params = mapped;
    landscape->gradient = landscape->params + bench->param_count;
    landscape->statistics = landscape->gradient + bench->param_count;
    return BM_STATUS_OK;
}

static int32_t give_state(const struct bm_served_landscape *landscape,
                          struct bm_bench *bench,
                          struct bm_error *error) {
    int32_t status = bm_bench_write_params(bench, landscape->params, error);
    if (status == BM_STATUS_OK && bench->statistics_count > 0) {
        status = bm_bench_write_state(bench, BM_STATE_STATISTICS, landscape->statistics,
                                      bench->statistics_count, error);
    }
    return status;
}

static int32_t take_state(const struct bm_served_landscape *landscape,
                          struct bm_bench *bench,
                          struct bm_error *error) {
    int32_t status = bm_bench_read_params(bench, landscape->params, error);
    if (status == BM_STATUS_OK && bench->statistics_count > 0) {
        status = bm_bench_read_state(bench, BM_STATE_STATISTICS, landscape->statistics,
                                     bench->statistics_count, error);
    }
    return status;
}

/* ---- The objective ---- */

static int32_t get_count(const json_t *command,
                         const char *key,
                         uint64_t most,
                         uint64_t *value,
                         struct bm_error *error) {
    const json_t *member = json_object_get(command, key);
    json_int_t number = json_integer_value(member);
    if (!json_is_integer(member) || number < 1 || (uint64_t)number > most) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected a number \"%s\" from 1 to %llu",
                       key, (unsigned long long)most);
    }
    *value = (uint64_t)number;
    return BM_STATUS_OK;
}

static int32_t do_open(struct bm_served_landscape *landscape,
                       struct bm_bench *bench,
                       const json_t *command,
                       struct bm_error *error) {
    uint64_t batch = 0;
    uint64_t all = bench->dataset->split[BM_SPLIT_TRAIN].count;
    int32_t status = get_count(command, "images", all, &landscape->images, error);
    status = status ? status : get_count(command, "slice", all, &landscape->slice, error);
    status = status ? status : get_count(command, "batch", all, &batch, error);
    if (status == BM_STATUS_OK &&
        (batch > bench->problem.batch_max || landscape->slice > bench->problem.batch_max)) {
        status = bm_fail(error, BM_STATUS_INVALID,
                         "worker: expected batch and slice of at most %llu images",
                         (unsigned long long)bench->problem.batch_max);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    free(landscape->order);
    landscape->order = malloc(all * sizeof *landscape->order);
    if (landscape->order == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "worker: no memory for an order of %llu",
                       (unsigned long long)all);
    }
    bench->batch = batch;
    bench->micro_batch = batch;
    bm_random_permutation(bench->problem.seed, 0, landscape->order, (uint32_t)all);
    landscape->flags = BM_SLICE_NO_DROPOUT | BM_SLICE_KEEP_STATISTICS;
    if (json_is_true(json_object_get(command, "running"))) {
        landscape->flags |= BM_SLICE_USE_RUNNING;
    }
    return BM_STATUS_OK;
}

/* The gradient of all images, in slices; the walk and the way of a training are as before. */
static int32_t ask_gradient(const struct bm_served_landscape *landscape,
                            struct bm_trainer *trainer,
                            double *loss,
                            struct bm_error *error) {
    struct bm_bench *bench = trainer->bench;
    const uint64_t first = bench->first;
    const uint64_t micro_batch = bench->micro_batch;
    const uint32_t flags = bench->flags;
    trainer->is_ordered = 0;
    int32_t status = bm_bench_set_order(bench, landscape->order, landscape->images, error);
    if (status == BM_STATUS_OK) {
        bench->micro_batch = landscape->slice;
        bench->flags = landscape->flags;
        status = bm_bench_gradient(bench, landscape->images, error);
        status = status ? status : bm_bench_wait(bench, loss, error);
    }
    bench->first = first;
    bench->micro_batch = micro_batch;
    bench->flags = flags;
    return status;
}

static int32_t do_at(const struct bm_served_landscape *landscape,
                     struct bm_trainer *trainer,
                     const json_t *command,
                     json_t *reply,
                     struct bm_error *error) {
    double loss = 0;
    if (landscape->order == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: landscape_at before landscape_open");
    }
    int32_t status = give_state(landscape, trainer->bench, error);
    status = status ? status : ask_gradient(landscape, trainer, &loss, error);
    if (status == BM_STATUS_OK && json_is_true(json_object_get(command, "gradient"))) {
        status = bm_bench_read_gradient(trainer->bench, landscape->gradient, error);
    }
    (void)json_object_set_new(reply, "loss", bm_field_finite(loss));
    return status;
}

/* ---- Evaluation ---- */

static int32_t do_evaluate(const struct bm_served_landscape *landscape,
                           struct bm_bench *bench,
                           const json_t *command,
                           json_t *reply,
                           struct bm_error *error) {
    const json_t *member = json_object_get(command, "split");
    json_int_t split = json_integer_value(member);
    double loss = 0;
    uint64_t correct = 0;
    if (!json_is_integer(member) || split < 0 || split >= BM_SPLIT_COUNT ||
        bench->dataset->split[split].count == 0) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected a split with images");
    }
    double count = (double)bench->dataset->split[split].count;
    int32_t status = give_state(landscape, bench, error);
    status = status ? status : bm_bench_evaluate(bench, (uint32_t)split, &loss, &correct, error);
    (void)json_object_set_new(reply, "loss", bm_field_finite(loss / count));
    (void)json_object_set_new(reply, "accuracy", json_real((double)correct / count));
    return status;
}

/* From zeros on, so that the result does not depend on what was there before; a hundred slices
 * leave 3e-5 of them. */
static int32_t do_renew(const struct bm_served_landscape *landscape,
                        struct bm_trainer *trainer,
                        struct bm_error *error) {
    memset(landscape->statistics, 0, trainer->bench->statistics_count * sizeof(float));
    int32_t status = give_state(landscape, trainer->bench, error);
    status = status ? status
                    : bm_trainer_renew_statistics(trainer, BM_TRAINER_RENEWING_SLICES_MIN, error);
    return status ? status : take_state(landscape, trainer->bench, error);
}

/* ---- Which ---- */

int32_t bm_serve_landscape(struct bm_served_landscape *landscape,
                           int vectors_fd,
                           struct bm_trainer *trainer,
                           const char *what,
                           const json_t *command,
                           json_t *reply,
                           struct bm_error *error) {
    struct bm_bench *bench = trainer->bench;
    if (bench == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: %s before train_open", what);
    }
    if (landscape->mapped == NULL) {
        int32_t status = map_vectors(landscape, vectors_fd, bench, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    if (strcmp(what, "landscape_open") == 0) {
        return do_open(landscape, bench, command, error);
    }
    if (strcmp(what, "landscape_at") == 0) {
        return do_at(landscape, trainer, command, reply, error);
    }
    if (strcmp(what, "landscape_evaluate") == 0) {
        return do_evaluate(landscape, bench, command, reply, error);
    }
    if (strcmp(what, "landscape_renew") == 0) {
        return do_renew(landscape, trainer, error);
    }
    if (strcmp(what, "landscape_write") == 0) {
        return give_state(landscape, bench, error);
    }
    if (strcmp(what, "landscape_read") == 0) {
        return take_state(landscape, bench, error);
    }
    return bm_fail(error, BM_STATUS_INVALID, "worker: unknown command %.64s", what);
}

void bm_served_landscape_close(struct bm_served_landscape *landscape) {
    if (landscape->mapped != NULL) {
        (void)munmap(landscape->mapped, landscape->mapped_bytes);
    }
    free(landscape->order);
    memset(landscape, 0, sizeof *landscape);
}
