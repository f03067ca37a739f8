#include "serve_train.h"

#include "error.h"
#include "field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t
get_count(const json_t *command, const char *key, uint64_t *value, struct bm_error *error) {
    const json_t *member = json_object_get(command, key);
    if (!json_is_integer(member) || json_integer_value(member) <= 0) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected a number \"%s\" above 0", key);
    }
    *value = (uint64_t)json_integer_value(member);
    return BM_STATUS_OK;
}

static int32_t get_path(const json_t *command, const char **path, struct bm_error *error) {
    *path = json_string_value(json_object_get(command, "path"));
    return *path == NULL ? bm_fail(error, BM_STATUS_INVALID, "worker: expected a path")
                         : BM_STATUS_OK;
}

/* JSON has neither infinity nor NaN. */
static double number_or_nan(const json_t *command, const char *key) {
    const json_t *member = json_object_get(command, key);
    return json_is_number(member) ? json_number_value(member) : (double)NAN;
}

/* ---- Life ---- */

static int32_t begin_from(struct bm_trainer *trainer, const char *path, struct bm_error *error) {
    struct bm_checkpoint checkpoint = {0};
    int32_t status = bm_checkpoint_read(path, &checkpoint, error);
    if (status == BM_STATUS_OK) {
        status = bm_trainer_begin_from(trainer, &checkpoint, error);
    }
    bm_checkpoint_free(&checkpoint);
    return status;
}

static int32_t do_open(struct bm_trainer *trainer,
                       struct bm_bench *bench,
                       const json_t *command,
                       struct bm_error *error) {
    struct bm_rate_plan plan;
    const struct bm_rate_overrides overrides = {.momentum = number_or_nan(command, "momentum"),
                                                .decay = number_or_nan(command, "decay")};
    const char *from = json_string_value(json_object_get(command, "from"));
    bm_trainer_close(trainer);
    int32_t status = bm_rate_plan_read(json_object_get(command, "plan"), &plan, error);
    if (status == BM_STATUS_OK) {
        status = bm_trainer_open(trainer, bench, &plan, &overrides, error);
    }
    return status == BM_STATUS_OK && from != NULL ? begin_from(trainer, from, error) : status;
}

/* ---- Going on ---- */

static int32_t
do_run(struct bm_trainer *trainer, const json_t *command, json_t *reply, struct bm_error *error) {
    struct bm_stretch stretch = {0};
    uint64_t updates = 0;
    int32_t status = get_count(command, "updates", &updates, error);
    status = status ? status : bm_trainer_run(trainer, updates, &stretch, error);
    (void)json_object_set_new(reply, "updates", json_integer((json_int_t)stretch.updates));
    (void)json_object_set_new(reply, "seconds", json_real(stretch.seconds));
    (void)json_object_set_new(reply, "total_seconds", json_real(trainer->seconds));
    (void)json_object_set_new(reply, "loss", bm_field_finite(stretch.loss));
    (void)json_object_set_new(reply, "ended_epoch", json_boolean(stretch.ended_epoch));
    return status;
}

static int32_t do_evaluate(struct bm_trainer *trainer,
                           const json_t *command,
                           json_t *reply,
                           struct bm_error *error) {
    const json_t *member = json_object_get(command, "split");
    json_int_t split = json_integer_value(member);
    double loss = 0;
    uint64_t correct = 0;
    if (!json_is_integer(member) || split < 0 || split >= BM_SPLIT_COUNT) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected a split");
    }
    uint64_t count = trainer->bench->dataset->split[split].count;
    if (count == 0) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: split %d has no images", (int)split);
    }
    int32_t status = bm_bench_evaluate(trainer->bench, (uint32_t)split, &loss, &correct, error);
    (void)json_object_set_new(reply, "loss", bm_field_finite(loss / (double)count));
    (void)json_object_set_new(reply, "accuracy", json_real((double)correct / (double)count));
    (void)json_object_set_new(reply, "count", json_integer((json_int_t)count));
    return status;
}

static int32_t do_locate(struct bm_trainer *trainer, json_t *reply, struct bm_error *error) {
    uint64_t update = 0;
    int32_t status = bm_trainer_locate(trainer, &update, error);
    (void)json_object_set_new(reply, "update", json_integer((json_int_t)update));
    return status;
}

/* ---- Checkpoints ---- */

static int32_t
copy_text(const json_t *of, const char *key, char *text, size_t capacity, struct bm_error *error) {
    const char *value = json_string_value(json_object_get(of, key));
    if (value == NULL || strlen(value) >= capacity) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected a text \"%s\" below %zu bytes",
                       key, capacity);
    }
    (void)snprintf(text, capacity, "%s", value);
    return BM_STATUS_OK;
}

static int32_t
fill_texts(const json_t *of, struct bm_checkpoint *checkpoint, struct bm_error *error) {
    const struct {
        const char *key;
        char *text;
        size_t capacity;
    } texts[] = {
        {"backend", checkpoint->backend, sizeof checkpoint->backend},
        {"model", checkpoint->model, sizeof checkpoint->model},
        {"layers", checkpoint->layers, sizeof checkpoint->layers},
        {"dataset", checkpoint->dataset, sizeof checkpoint->dataset},
        {"optimizer", checkpoint->optimizer, sizeof checkpoint->optimizer},
        {"precision", checkpoint->precision, sizeof checkpoint->precision},
        {"schedule", checkpoint->schedule, sizeof checkpoint->schedule},
    };

    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && status == BM_STATUS_OK; i++) {
        status = copy_text(of, texts[i].key, texts[i].text, texts[i].capacity, error);
    }
    return status;
}

static int32_t do_save(struct bm_trainer *trainer, const json_t *command, struct bm_error *error) {
    struct bm_checkpoint checkpoint = {0};
    const char *path = NULL;
    int32_t status = get_path(command, &path, error);
    status = status ? status : fill_texts(json_object_get(command, "of"), &checkpoint, error);
    status = status ? status : bm_trainer_save(trainer, &checkpoint, error);
    if (status == BM_STATUS_OK) {
        checkpoint.details = json_incref(json_object_get(command, "details"));
        status = bm_checkpoint_write(path, &checkpoint, error);
    }
    bm_checkpoint_free(&checkpoint);
    return status;
}

static int32_t do_restore(struct bm_trainer *trainer,
                          const json_t *command,
                          json_t *reply,
                          struct bm_error *error) {
    struct bm_checkpoint checkpoint = {0};
    const char *path = NULL;
    int32_t status = get_path(command, &path, error);
    status = status ? status : bm_checkpoint_read(path, &checkpoint, error);
    status = status ? status : bm_trainer_restore(trainer, &checkpoint, error);
    bm_checkpoint_free(&checkpoint);
    (void)json_object_set_new(reply, "total_seconds", json_real(trainer->seconds));
    return status;
}

/* Adds a checkpoint's parameters, of the same network, to sums in double. */
static int32_t add_params(const struct bm_trainer *trainer,
                          const char *path,
                          double *sums,
                          struct bm_error *error) {
    struct bm_checkpoint checkpoint = {0};
    uint64_t count = trainer->bench->param_count;
    if (path == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected paths to average");
    }
    int32_t status = bm_checkpoint_read(path, &checkpoint, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (checkpoint.param_count == count && checkpoint.params != NULL) {
        for (uint64_t i = 0; i < count; i++) {
            sums[i] += (double)checkpoint.params[i];
        }
    } else {
        status = bm_fail(error, BM_STATUS_INVALID, "%s: expected %llu parameters, found %llu", path,
                         (unsigned long long)count, (unsigned long long)checkpoint.param_count);
    }
    bm_checkpoint_free(&checkpoint);
    return status;
}

/* The mean of the checkpoints at `paths` becomes the session's parameters. */
static int32_t write_mean(struct bm_trainer *trainer,
                          const json_t *paths,
                          double *sums,
                          float *params,
                          struct bm_error *error) {
    uint64_t count = trainer->bench->param_count;
    size_t path_count = json_array_size(paths);
    int32_t status = path_count == 0
                         ? bm_fail(error, BM_STATUS_INVALID, "worker: expected paths to average")
                         : BM_STATUS_OK;
    for (size_t i = 0; i < path_count && status == BM_STATUS_OK; i++) {
        status = add_params(trainer, json_string_value(json_array_get(paths, i)), sums, error);
    }
    for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        params[i] = (float)(sums[i] / (double)path_count);
    }
    return status ? status : bm_bench_write_params(trainer->bench, params, error);
}

static int32_t
do_average(struct bm_trainer *trainer, const json_t *command, struct bm_error *error) {
    uint64_t count = trainer->bench->param_count;
    double *sums = calloc(count, sizeof *sums);
    float *params = malloc(count * sizeof *params);
    int32_t status = BM_STATUS_OK;
    if (sums == NULL || params == NULL) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "average: no memory");
    } else {
        status = write_mean(trainer, json_object_get(command, "paths"), sums, params, error);
    }
    free(sums);
    free(params);
    return status ? status : bm_trainer_renew_statistics(trainer, 0, error);
}

/* ---- Noise ---- */

static int32_t
do_noise(struct bm_trainer *trainer, const json_t *command, json_t *reply, struct bm_error *error) {
    struct bm_noise noise;
    uint64_t slice = 0;
    uint64_t slices = 0;
    int32_t status = get_count(command, "slice", &slice, error);
    status = status ? status : get_count(command, "slices", &slices, error);
    status = status ? status : bm_trainer_noise(trainer, slice, slices, &noise, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    (void)json_object_set_new(reply, "gradient_squared", bm_field_finite(noise.gradient2));
    (void)json_object_set_new(reply, "trace", bm_field_finite(noise.trace));
    (void)json_object_set_new(reply, "scale", bm_field_finite(noise.scale));
    (void)json_object_set_new(reply, "low", bm_field_finite(noise.low));
    (void)json_object_set_new(reply, "high", bm_field_finite(noise.high));
    (void)json_object_set_new(reply, "reason",
                              json_string(noise.reason == NULL ? "" : noise.reason));
    return BM_STATUS_OK;
}

/* ---- Which ---- */

int32_t bm_serve_train(struct bm_trainer *trainer,
                       struct bm_bench *bench,
                       const char *what,
                       const json_t *command,
                       json_t *reply,
                       struct bm_error *error) {
    if (strcmp(what, "train_open") == 0) {
        return do_open(trainer, bench, command, error);
    }
    if (trainer->bench == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: %s before train_open", what);
    }
    if (strcmp(what, "train") == 0) {
        return do_run(trainer, command, reply, error);
    }
    if (strcmp(what, "train_evaluate") == 0) {
        return do_evaluate(trainer, command, reply, error);
    }
    if (strcmp(what, "train_locate") == 0) {
        return do_locate(trainer, reply, error);
    }
    if (strcmp(what, "train_save") == 0) {
        return do_save(trainer, command, error);
    }
    if (strcmp(what, "train_restore") == 0) {
        return do_restore(trainer, command, reply, error);
    }
    if (strcmp(what, "train_average") == 0) {
        return do_average(trainer, command, error);
    }
    if (strcmp(what, "train_noise") == 0) {
        return do_noise(trainer, command, reply, error);
    }
    return bm_fail(error, BM_STATUS_INVALID, "worker: unknown command %.64s", what);
}
