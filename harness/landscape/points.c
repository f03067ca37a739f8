/* The points of a landscape: read from checkpoints, or trained here. */
#include "error.h"
#include "probe.h"
#include "tuning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a training, between two questions. */
#define STRETCH_S 1.0

static struct bm_landscape_point *new_point(struct bm_landscape *landscape) {
    if (landscape->points == NULL) {
        landscape->points = calloc(BM_LANDSCAPE_POINT_MAX, sizeof *landscape->points);
    }
    if (landscape->points == NULL || landscape->point_count == BM_LANDSCAPE_POINT_MAX) {
        return NULL;
    }
    struct bm_landscape_point *point = &landscape->points[landscape->point_count++];
    point->train_loss = point->train_accuracy = (double)NAN;
    point->test_loss = point->test_accuracy = (double)NAN;
    return point;
}

static void free_point(struct bm_landscape_point *point) {
    for (uint32_t i = 0; i < point->path_count; i++) {
        free(point->path[i].params);
        free(point->path[i].statistics);
    }
    bm_checkpoint_free(&point->state);
    memset(point, 0, sizeof *point);
}

void bm_landscape_points_free(struct bm_landscape *landscape) {
    for (uint32_t i = 0; i < landscape->point_count; i++) {
        free_point(&landscape->points[i]);
    }
    free(landscape->points);
    landscape->points = NULL;
    landscape->point_count = 0;
}

static int32_t fail_new(const struct bm_landscape *landscape, struct bm_error *error) {
    return landscape->points == NULL
               ? bm_fail(error, BM_STATUS_NO_MEMORY, "landscape: no memory for points")
               : bm_fail(error, BM_STATUS_INVALID, "expected at most %u points, found more",
                         BM_LANDSCAPE_POINT_MAX);
}

/* ---- Read ---- */

static void name_after(const char *path, char *name, size_t capacity) {
    const char *slash = strrchr(path, '/');
    const char *file = slash == NULL ? path : slash + 1;
    const char *end = strstr(file, ".checkpoint");
    size_t length = end == NULL ? strlen(file) : (size_t)(end - file);
    (void)snprintf(name, capacity, "%.*s", (int)(length < 63 ? length : 63), file);
}

static int32_t check_same(const char *path,
                          const struct bm_checkpoint *first,
                          const struct bm_checkpoint *other,
                          struct bm_error *error) {
    if (strcmp(first->layers, other->layers) != 0 || first->param_count != other->param_count ||
        first->statistics_count != other->statistics_count) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected the network of the first checkpoint, \"%.200s\", found "
                       "\"%.200s\"",
                       path, first->layers, other->layers);
    }
    if (strcmp(first->dataset, other->dataset) != 0 || first->train_count != other->train_count ||
        first->validation_count != other->validation_count) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected %llu training images of %s, held out %llu, as the first "
                       "checkpoint, found %llu of %s, held out %llu",
                       path, (unsigned long long)first->train_count, first->dataset,
                       (unsigned long long)first->validation_count,
                       (unsigned long long)other->train_count, other->dataset,
                       (unsigned long long)other->validation_count);
    }
    return BM_STATUS_OK;
}

static void take_options(const struct bm_checkpoint *state, struct bm_options *options) {
    options->model.count = options->dataset.count = 1;
    (void)snprintf(options->model.names[0], BM_NAME_SIZE, "custom");
    (void)snprintf(options->layers, sizeof options->layers, "%s", state->layers);
    (void)snprintf(options->dataset.names[0], BM_NAME_SIZE, "%s", state->dataset);
    options->train.images = state->train_count + state->validation_count;
    options->train.held_out = state->validation_count;
}

int32_t bm_landscape_points_read(struct bm_landscape *landscape,
                                 const char *const *paths,
                                 uint32_t count,
                                 struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        struct bm_landscape_point *point = new_point(landscape);
        if (point == NULL) {
            return fail_new(landscape, error);
        }
        status = bm_checkpoint_read(paths[i], &point->state, error);
        if (status == BM_STATUS_OK) {
            name_after(paths[i], point->name, sizeof point->name);
            status = check_same(paths[i], &landscape->points[0].state, &point->state, error);
        }
    }
    if (status == BM_STATUS_OK && count > 0) {
        take_options(&landscape->points[0].state, landscape->campaign->options);
    }
    return status;
}

/* ---- Trained ---- */

static float *copy_of(const float *values, uint64_t count) {
    float *copy = count == 0 ? NULL : malloc(count * sizeof *copy);
    return copy == NULL ? NULL : memcpy(copy, values, count * sizeof *copy);
}

/* The session's present state, as one more stop and as the point's own. */
static int32_t take_stop(struct bm_probe *probe,
                         struct bm_landscape_point *point,
                         double epoch,
                         uint64_t update,
                         struct bm_error *error) {
    BM_ASSERT(point->path_count < BM_LANDSCAPE_PATH_MAX);
    struct bm_landscape_stop *stop = &point->path[point->path_count];
    int32_t status = bm_probe_read(probe, point->state.params, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    *stop = (struct bm_landscape_stop){.epoch = epoch,
                                       .update = update,
                                       .params = copy_of(point->state.params, probe->param_count),
                                       .statistics =
                                           copy_of(probe->statistics, probe->statistics_count)};
    if (stop->params == NULL || (probe->statistics_count > 0 && stop->statistics == NULL)) {
        free(stop->params);
        free(stop->statistics);
        return bm_fail(error, BM_STATUS_NO_MEMORY, "landscape: no memory for the path");
    }
    point->path_count++;
    if (point->state.statistics != NULL) {
        memcpy(point->state.statistics, probe->statistics, probe->statistics_count * sizeof(float));
    }
    return BM_STATUS_OK;
}

/* One epoch, in stretches. */
static int32_t train_epoch(struct bm_probe *probe,
                           struct bm_landscape_point *point,
                           uint64_t epoch,
                           struct bm_error *error) {
    struct bm_stretch stretch = {0};
    uint64_t updates = 1;
    int32_t status = BM_STATUS_OK;
    while (status == BM_STATUS_OK && !stretch.ended_epoch) {
        bm_landscape_show(probe->landscape, "%s: epoch %llu, loss %.4g", point->name,
                          (unsigned long long)epoch + 1, stretch.loss);
        status = bm_probe_train(probe, updates, &stretch, error);
        point->state.update += stretch.updates;
        point->state.seconds += stretch.seconds;
        if (status == BM_STATUS_OK && !isfinite(stretch.loss)) {
            status =
                bm_fail(error, BM_STATUS_INTERNAL, "the loss is not a number after %llu updates",
                        (unsigned long long)point->state.update - 1);
        }
        double each_s = stretch.seconds / (double)(stretch.updates > 0 ? stretch.updates : 1);
        updates = each_s < STRETCH_S ? (uint64_t)(STRETCH_S / fmax(each_s, 1e-6)) : 1;
    }
    return status;
}

static int32_t
train_epochs(struct bm_probe *probe, struct bm_landscape_point *point, struct bm_error *error) {
    uint64_t epochs = probe->landscape->campaign->options->train.epochs;
    uint64_t each = (epochs + BM_LANDSCAPE_PATH_MAX - 2) / (BM_LANDSCAPE_PATH_MAX - 1);
    int32_t status = take_stop(probe, point, 0, 0, error);
    for (uint64_t epoch = 0; epoch < epochs && status == BM_STATUS_OK; epoch++) {
        status = train_epoch(probe, point, epoch, error);
        point->state.epoch = epoch + 1;
        if (status == BM_STATUS_OK && ((epoch + 1) % each == 0 || epoch + 1 == epochs)) {
            status = take_stop(probe, point, (double)(epoch + 1), point->state.update - 1, error);
        }
    }
    return status;
}

static int32_t
evaluate(struct bm_probe *probe, struct bm_landscape_point *point, struct bm_error *error) {
    int32_t status = bm_probe_evaluate(probe, point->state.params, BM_SPLIT_TRAIN,
                                       &point->train_loss, &point->train_accuracy, error);
    if (status == BM_STATUS_OK && probe->setup.dataset->split[BM_SPLIT_TEST].count > 0) {
        status = bm_probe_evaluate(probe, point->state.params, BM_SPLIT_TEST, &point->test_loss,
                                   &point->test_accuracy, error);
    }
    return status;
}

static int32_t begin(struct bm_probe *probe, struct bm_error *error) {
    const struct bm_options *options = probe->landscape->campaign->options;
    const struct bm_probe_setup *setup = &probe->setup;
    uint64_t images = setup->dataset->split[BM_SPLIT_TRAIN].count;
    uint64_t each = (images + setup->batch - 1) / setup->batch;
    double rate = options->lr > 0 ? options->lr : bm_tuning_default_rate(setup->optimizer);
    const struct bm_rate_plan plan = bm_rate_plan_defaults(BM_RATE_CONSTANT, rate, setup->batch,
                                                           each, options->train.epochs * each);
    return bm_probe_begin(probe, &plan, NULL, NULL, error);
}

/* What the point is, as its checkpoint would say. */
static int32_t
fill_state(const struct bm_probe *probe, struct bm_landscape_point *point, struct bm_error *error) {
    struct bm_checkpoint *state = &point->state;
    const struct bm_case *of = &probe->of;
    (void)snprintf(state->backend, sizeof state->backend, "%s", probe->landscape->row->file->name);
    (void)snprintf(state->model, sizeof state->model, "%s", of->model->name);
    (void)snprintf(state->layers, sizeof state->layers, "%s", of->layers);
    (void)snprintf(state->dataset, sizeof state->dataset, "%s", of->dataset->name);
    (void)snprintf(state->optimizer, sizeof state->optimizer, "%s",
                   bm_optimizer_names[of->optimizer]);
    (void)snprintf(state->precision, sizeof state->precision, "%s", of->precision);
    (void)snprintf(state->schedule, sizeof state->schedule, "constant");
    state->seed = of->seed;
    state->batch = probe->setup.batch;
    state->threads = of->threads;
    state->update = 1;
    state->train_count = of->dataset->split[BM_SPLIT_TRAIN].count;
    state->validation_count = of->dataset->split[BM_SPLIT_VALIDATION].count;
    state->param_count = probe->param_count;
    state->statistics_count = probe->statistics_count;
    state->params = calloc(probe->param_count, sizeof *state->params);
    state->statistics = probe->statistics_count == 0
                            ? NULL
                            : calloc(probe->statistics_count, sizeof *state->statistics);
    return state->params == NULL || (probe->statistics_count > 0 && state->statistics == NULL)
               ? bm_fail(error, BM_STATUS_NO_MEMORY, "landscape: no memory for a point")
               : BM_STATUS_OK;
}

static void name_point(const struct bm_landscape *landscape,
                       uint64_t batch,
                       uint64_t seed,
                       struct bm_landscape_point *point) {
    char of_seed[32] = "";
    if (landscape->campaign->options->seed.count > 1) {
        (void)snprintf(of_seed, sizeof of_seed, ", seed %llu", (unsigned long long)seed);
    }
    (void)snprintf(point->name, sizeof point->name, "batch %llu%s", (unsigned long long)batch,
                   of_seed);
}

/* As a checkpoint that `landscape` reads again, with the name that `train` would give it. */
static int32_t
keep(const struct bm_probe *probe, const struct bm_landscape_point *point, struct bm_error *error) {
    char path[BM_PATH_SIZE];
    const char *folder = probe->landscape->campaign->options->train.keep;
    const struct bm_checkpoint *state = &point->state;
    if (folder[0] == '\0') {
        return BM_STATUS_OK;
    }
    int length = snprintf(path, sizeof path, "%s/%s-%u-%s-%s-%s-%s-%llu-seed%llu.checkpoint",
                          folder, state->backend, probe->landscape->row->device_index, state->model,
                          state->dataset, state->optimizer, state->schedule,
                          (unsigned long long)state->batch, (unsigned long long)state->seed);
    return length < 0 || (size_t)length >= sizeof path
               ? bm_fail(error, BM_STATUS_INVALID, "--keep: a shorter path is expected")
               : bm_checkpoint_write(path, state, error);
}

static void write_training(struct bm_probe *probe,
                           const struct bm_landscape_point *point,
                           int32_t status,
                           const struct bm_error *error) {
    json_t *object = bm_probe_object(probe, "points", "training");
    uint64_t images = probe->setup.dataset->split[BM_SPLIT_TRAIN].count;
    bm_landscape_describe(point, object);
    (void)json_object_set_new(object, "images", json_integer((json_int_t)images));
    (void)json_object_set_new(object, "updates", json_integer((json_int_t)point->state.update - 1));
    (void)json_object_set_new(object, "seconds", json_real(point->state.seconds));
    if (status != BM_STATUS_OK) {
        bm_probe_fail(probe, object, status, error);
    }
    bm_landscape_write(probe->landscape, object);
}

/* A mishap of one training is told in its object, and the others go on. */
static int32_t
train_point(struct bm_landscape *landscape, uint64_t batch, uint64_t seed, struct bm_error *error) {
    const struct bm_campaign *campaign = landscape->campaign;
    const struct bm_probe_setup setup = {
        .model = &campaign->model,
        .dataset = &campaign->dataset,
        .optimizer = (uint32_t)bm_optimizer_find(campaign->options->optimizer.names[0]),
        .batch = batch,
        .seed = seed,
        .images = 1, /* the objective is not asked */
    };
    struct bm_probe probe;
    struct bm_landscape_point *point = new_point(landscape);
    if (point == NULL) {
        return fail_new(landscape, error);
    }
    name_point(landscape, batch, seed, point);
    int32_t status = bm_probe_open(landscape, &setup, &probe, error);
    if (status != BM_STATUS_OK) {
        json_t *object = bm_landscape_object("points", "training");
        (void)json_object_set_new(object, "point", json_string(point->name));
        bm_probe_fail(&probe, object, status, error);
        bm_landscape_write(landscape, object);
        landscape->point_count--;
        return BM_STATUS_OK;
    }
    status = fill_state(&probe, point, error);
    status = status ? status : begin(&probe, error);
    status = status ? status : train_epochs(&probe, point, error);
    status = status ? status : evaluate(&probe, point, error);
    status = status ? status : keep(&probe, point, error);
    write_training(&probe, point, status, error);
    bm_probe_close(&probe);
    if (status != BM_STATUS_OK) {
        free_point(point);
        landscape->point_count--;
    }
    return BM_STATUS_OK;
}

int32_t bm_landscape_points_train(struct bm_landscape *landscape, struct bm_error *error) {
    const struct bm_campaign *campaign = landscape->campaign;
    const struct bm_number_list *seeds = &campaign->options->seed;
    int32_t status = BM_STATUS_OK;
    for (uint32_t s = 0; s < seeds->count; s++) {
        for (uint32_t b = 0; b < campaign->batch_count; b++) {
            if (status == BM_STATUS_OK && !bm_landscape_stopped(landscape)) {
                status = train_point(landscape, campaign->batches[b], seeds->values[s], error);
            }
        }
    }
    return status;
}
