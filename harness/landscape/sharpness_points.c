/*
 * Sharpness of the points in boxes of the sizes asked for, of the full space and of a random
 * subspace; the same network re-scaled; a line along a filter-normalized direction; and small
 * against large batch.
 */
#include "error.h"
#include "filter_line.h"
#include "probe.h"
#include "rescale.h"
#include "sharpness.h"
#include "sharpness_pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the re-scaling control: a power of 2, so that not a bit of the function changes. */
#define FACTOR 4.0

/* What is measured at every point before the next is begun, so that a time limit leaves pairs. */
struct setting {
    double epsilon;
    uint32_t in_subspace;
    double scaled;
};

struct run {
    struct bm_landscape *landscape;
    struct setting setting; /* epsilon 0: none, it is the line */
    const struct bm_landscape_point *point;
    struct bm_probe probe;
    struct bm_objective watched; /* the probe's, which also shows how far it is */
    struct bm_subspace *subspace;
    uint64_t subspace_seed;
    double function_change;
    const char *method; /* whose value is the sharpness */
};

static const char *space_of(const struct setting *setting) {
    return setting->in_subspace ? "subspace" : "full";
}

static int32_t watched_at(
    void *context, const float *params, double *loss, float *gradient, struct bm_error *error) {
    struct run *run = context;
    const struct setting *setting = &run->setting;
    if (setting->epsilon == 0) {
        bm_landscape_show(run->landscape, "filter-normalized line of %s, point %llu of %u",
                          run->point->name, (unsigned long long)run->watched.losses,
                          BM_FILTER_LINE_POINTS);
    } else {
        bm_landscape_show(run->landscape, "sharpness of %s, %s, %g%s: evaluation %llu",
                          run->point->name, space_of(setting), setting->epsilon,
                          setting->scaled == 1 ? "" : ", re-scaled",
                          (unsigned long long)run->watched.gradients);
    }
    return bm_objective_at(&run->probe.objective, params, loss, gradient, error);
}

/* On failure the object says so. */
static int32_t
open_point(struct run *run, const struct bm_landscape_point *point, const char *part) {
    struct bm_error error = {0};
    run->point = point;
    int32_t status = bm_probe_open_point(run->landscape, point, &run->probe, &error);
    if (status != BM_STATUS_OK) {
        json_t *object = bm_landscape_object("sharpness", part);
        bm_landscape_describe(point, object);
        bm_probe_fail(&run->probe, object, status, &error);
        bm_landscape_write(run->landscape, object);
        return status;
    }
    run->watched =
        (struct bm_objective){.count = run->probe.param_count, .at = watched_at, .context = run};
    return BM_STATUS_OK;
}

static void write_point(struct run *run, json_t *object, json_t *fields) {
    (void)json_object_update(object, fields);
    json_decref(fields);
    bm_landscape_describe(run->point, object);
    bm_landscape_write(run->landscape, object);
}

/* ---- The metric ---- */

static json_t *after_json(const struct bm_ascent *ascent) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < ascent->evaluations; i++) {
        (void)json_array_append_new(list,
                                    bm_field_finite(bm_sharpness_phi(ascent, ascent->values[i])));
    }
    return list;
}

static json_t *ascent_json(const struct bm_ascent *ascent, uint32_t method) {
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:o, s:s}", "method", bm_ascent_names[method],
                     "value", bm_field_finite(bm_sharpness_phi(ascent, ascent->highest)), "loss",
                     bm_field_finite(ascent->start), "highest", bm_field_finite(ascent->highest),
                     "steps", (json_int_t)ascent->steps, "evaluations",
                     (json_int_t)ascent->evaluations, "after", after_json(ascent), "ended",
                     ascent->end);
}

/* What a method beside found, or why it did not. */
static json_t *beside_json(const struct bm_sharpness *sharpness, uint32_t method) {
    if (sharpness->missing[method].code == BM_STATUS_OK) {
        return ascent_json(&sharpness->ascent[method], method);
    }
    return json_pack("{s:s, s:n, s:s}", "method", bm_ascent_names[method], "value", "reason",
                     sharpness->missing[method].text);
}

static json_t *sharpness_json(const struct run *run, const struct bm_sharpness *sharpness) {
    const struct bm_subspace *subspace = sharpness->subspace;
    const uint32_t method = sharpness->method;
    json_t *object = ascent_json(&sharpness->ascent[method], method);
    json_t *beside = json_array();
    for (uint32_t other = 0; other < BM_SHARPNESS_METHODS; other++) {
        if (other != method) {
            (void)json_array_append_new(beside, beside_json(sharpness, other));
        }
    }
    json_t *of = json_pack(
        "{s:s, s:I, s:f, s:o, s:s?, s:f, s:o, s:o}", "space", space_of(&run->setting), "dimensions",
        (json_int_t)(subspace == NULL ? run->probe.param_count : subspace->dimensions), "epsilon",
        sharpness->epsilon, "draw",
        subspace == NULL ? json_null() : json_integer((json_int_t)subspace->seed), "columns",
        subspace == NULL ? NULL : "standard normal", "scaled", run->setting.scaled,
        "function_change", bm_field_finite(run->function_change), "beside", beside);
    (void)json_object_update(object, of);
    json_decref(of);
    return object;
}

/* The loss of what is differentiated, and that of the test images by running statistics. */
static int32_t
losses_at(struct run *run, const float *params, double losses[2], struct bm_error *error) {
    double accuracy;
    int32_t status = bm_objective_at(&run->probe.objective, params, &losses[0], NULL, error);
    losses[1] = 0;
    if (status == BM_STATUS_OK && run->probe.setup.dataset->split[BM_SPLIT_TEST].count > 0) {
        status =
            bm_probe_evaluate(&run->probe, params, BM_SPLIT_TEST, &losses[1], &accuracy, error);
    }
    return status;
}

/* Another point with the same function, and by how much it is not the same. */
static int32_t rescale(struct run *run, float *rescaled, struct bm_error *error) {
    const float *params = run->point->state.params;
    double before[2];
    double after[2];
    if (bm_rescale(run->probe.setup.model, params, run->setting.scaled, rescaled) == 0) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "re-scaling: expected a relu between layers with weights, found none");
    }
    int32_t status = losses_at(run, params, before, error);
    status = status ? status : losses_at(run, rescaled, after, error);
    if (status == BM_STATUS_OK) {
        run->function_change = fmax(fabs(after[0] - before[0]), fabs(after[1] - before[1]));
    }
    return status;
}

static int32_t measure(struct run *run, struct bm_sharpness *sharpness, struct bm_error *error) {
    const float *params = run->point->state.params;
    float *rescaled = NULL;
    int32_t status = BM_STATUS_OK;
    run->function_change = NAN;
    if (run->setting.scaled != 1) {
        rescaled = malloc(run->probe.param_count * sizeof *rescaled);
        status = rescaled == NULL
                     ? bm_fail(error, BM_STATUS_NO_MEMORY, "sharpness: expected memory, found none")
                     : rescale(run, rescaled, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_sharpness_measure(&run->watched, rescaled == NULL ? params : rescaled,
                                      sharpness, error);
    }
    free(rescaled);
    return status;
}

/* The subspace is the same for all points. It is made when it is needed first. */
static int32_t open_subspace(struct run *run, struct bm_error *error) {
    const uint64_t dimensions = run->landscape->campaign->options->landscape.subspace;
    const uint64_t count = run->probe.param_count;
    if (!run->setting.in_subspace || run->subspace->count > 0) {
        return BM_STATUS_OK;
    }
    bm_landscape_show(run->landscape, "sharpness: a random subspace of %llu dimensions",
                      (unsigned long long)dimensions);
    return bm_subspace_open(count, (uint32_t)(dimensions < count ? dimensions : count),
                            run->subspace_seed, run->subspace, error);
}

/* Of a point, in percent; NaN where it is not known. */
struct value {
    double published; /* by the paper's method */
    double highest;   /* of all methods: each is a lower limit of the maximum */
};

static struct value value_of(const struct bm_sharpness *sharpness) {
    const struct bm_ascent *ascent = &sharpness->ascent[sharpness->method];
    struct value value = {bm_sharpness_phi(ascent, ascent->highest), NAN};
    for (uint32_t i = 0; i < BM_SHARPNESS_METHODS; i++) {
        if (sharpness->ascent[i].evaluations > 0) {
            value.highest = fmax(value.highest, bm_sharpness_phi(&sharpness->ascent[i],
                                                                 sharpness->ascent[i].highest));
        }
    }
    return value;
}

static struct value measure_point(struct run *run, const struct bm_landscape_point *point) {
    const struct value unknown = {NAN, NAN};
    struct bm_error error = {0};
    struct bm_sharpness sharpness = bm_sharpness_init(run->setting.epsilon, NULL);
    if (open_point(run, point, "sharpness") != BM_STATUS_OK) {
        return unknown;
    }
    int32_t status = open_subspace(run, &error);
    sharpness.subspace = run->setting.in_subspace ? run->subspace : NULL;
    status = status ? status : measure(run, &sharpness, &error);
    json_t *object = bm_probe_object(&run->probe, "sharpness", "sharpness");
    if (status != BM_STATUS_OK) {
        bm_probe_fail(&run->probe, object, status, &error);
    }
    write_point(run, object, sharpness_json(run, &sharpness));
    bm_probe_close(&run->probe);
    if (status == BM_STATUS_OK) {
        run->method = bm_ascent_names[sharpness.method];
    }
    return status == BM_STATUS_OK ? value_of(&sharpness) : unknown;
}

/* ---- Small against large batch ---- */

/* The point of that batch size that was trained as `other` was. */
static uint32_t find_twin(const struct bm_landscape *landscape,
                          const struct bm_landscape_point *other,
                          uint64_t batch) {
    uint32_t i = 0;
    while (i < landscape->point_count &&
           (landscape->points[i].state.batch != batch ||
            landscape->points[i].state.seed != other->state.seed ||
            strcmp(landscape->points[i].state.optimizer, other->state.optimizer) != 0)) {
        i++;
    }
    return i;
}

static json_t *
comparison_json(const struct run *run, const char *method, const struct bm_sharpness_ratio *ratio) {
    const struct bm_landscape *landscape = run->landscape;
    const struct bm_checkpoint *state = &landscape->points[0].state;
    const struct setting *setting = &run->setting;
    const struct bm_sharpness_paper *paper =
        bm_sharpness_paper(state->model, state->dataset, setting->in_subspace, setting->epsilon);
    const int is_decided = strcmp(ratio->agrees, BM_SHARPNESS_UNDECIDED) != 0;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:s, s:f, s:{s:o, s:o, s:o}, s:o, s:o, s:s}", "method", method,
        "model", state->model, "dataset", state->dataset, "optimizer", state->optimizer, "pairs",
        (json_int_t)ratio->pairs, "space", space_of(setting), "epsilon", setting->epsilon, "ratio",
        "value", bm_field_finite(ratio->value), "low", bm_field_finite(ratio->low), "high",
        bm_field_finite(ratio->high), "paper",
        paper == NULL ? json_null()
                      : json_pack("{s:f, s:f}", "small", paper->small, "large", paper->large),
        "agrees",
        is_decided ? json_boolean(strcmp(ratio->agrees, BM_SHARPNESS_AGREES) == 0) : json_null(),
        "verdict", ratio->agrees);
}

/* Of the smallest and the largest batch size; nothing where there is one size only. */
static void compare(struct run *run, const char *method, const double *values) {
    const struct bm_landscape *landscape = run->landscape;
    double small[BM_LANDSCAPE_POINT_MAX];
    double large[BM_LANDSCAPE_POINT_MAX];
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < landscape->point_count; i++) {
        const uint64_t batch = landscape->points[i].state.batch;
        least = batch < least ? batch : least;
        most = batch > most ? batch : most;
    }
    for (uint32_t i = 0; i < landscape->point_count && least < most; i++) {
        const uint32_t twin = find_twin(landscape, &landscape->points[i], most);
        if (landscape->points[i].state.batch == least && twin < landscape->point_count) {
            small[pairs] = values[i];
            large[pairs++] = values[twin];
        }
    }
    const struct bm_sharpness_ratio ratio = bm_sharpness_compare(small, large, pairs);
    if (ratio.pairs == 0) {
        return;
    }
    json_t *object = bm_landscape_object("sharpness", "comparison");
    json_t *fields = comparison_json(run, method, &ratio);
    (void)json_object_set_new(fields, "small_batch", json_integer((json_int_t)least));
    (void)json_object_set_new(fields, "large_batch", json_integer((json_int_t)most));
    (void)json_object_set_new(fields, "small", bm_landscape_numbers(small, pairs));
    (void)json_object_set_new(fields, "large", bm_landscape_numbers(large, pairs));
    (void)json_object_update(object, fields);
    json_decref(fields);
    bm_landscape_write(run->landscape, object);
}

/* ---- The line ---- */

static int32_t measure_line(struct run *run, struct bm_filter_line *line, struct bm_error *error) {
    const float *params = run->point->state.params;
    float *direction = malloc(run->probe.param_count * sizeof *direction);
    if (direction == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "filter line: expected memory, found none");
    }
    bm_filter_direction(run->probe.setup.model, params, run->subspace_seed, direction);
    int32_t status = bm_filter_line_measure(&run->watched, params, direction, line, error);
    free(direction);
    return status;
}

static void write_line(struct run *run, const struct bm_landscape_point *point) {
    struct bm_error error = {0};
    struct bm_filter_line line = {.width = NAN};
    if (open_point(run, point, "filter_line") != BM_STATUS_OK) {
        return;
    }
    int32_t status = measure_line(run, &line, &error);
    json_t *object = bm_probe_object(&run->probe, "sharpness", "filter_line");
    json_t *fields = json_pack("{s:I, s:o, s:o, s:o, s:b}", "seed", (json_int_t)run->subspace_seed,
                               "t", bm_landscape_numbers(line.t, line.count), "losses",
                               bm_landscape_numbers(line.losses, line.count), "width",
                               bm_field_finite(line.width), "at_least", (int)line.at_least);
    if (status != BM_STATUS_OK) {
        bm_probe_fail(&run->probe, object, status, &error);
    }
    write_point(run, object, fields);
    bm_probe_close(&run->probe);
}

/* ---- All ---- */

static void run_setting(struct run *run, double epsilon, uint32_t in_subspace, double scaled) {
    const struct bm_landscape *landscape = run->landscape;
    double published[BM_LANDSCAPE_POINT_MAX] = {0};
    double highest[BM_LANDSCAPE_POINT_MAX] = {0};
    run->setting = (struct setting){epsilon, in_subspace, scaled};
    for (uint32_t i = 0; i < landscape->point_count; i++) {
        struct value value = {NAN, NAN};
        if (!bm_landscape_stopped(landscape)) {
            value = measure_point(run, &landscape->points[i]);
        }
        published[i] = value.published;
        highest[i] = value.highest;
    }
    if (scaled == 1) {
        compare(run, run->method, published);
        compare(run, BM_SHARPNESS_HIGHEST, highest);
    }
}

static void run_space(struct run *run, uint32_t in_subspace) {
    const struct bm_target_list *epsilon = &run->landscape->campaign->options->landscape.epsilon;
    for (uint32_t i = 0; i < epsilon->count; i++) {
        run_setting(run, epsilon->values[i], in_subspace, 1);
    }
}

int32_t bm_landscape_sharpness(struct bm_landscape *landscape) {
    const struct bm_options *options = landscape->campaign->options;
    struct bm_subspace subspace = {0};
    struct run run = {
        .landscape = landscape, .subspace = &subspace, .subspace_seed = options->seed.values[0]};
    run_space(&run, 0);
    run_setting(&run, options->landscape.epsilon.values[0], 0, FACTOR);
    run.setting = (struct setting){0};
    for (uint32_t i = 0; i < landscape->point_count && !bm_landscape_stopped(landscape); i++) {
        write_line(&run, &landscape->points[i]);
    }
    if (options->landscape.subspace > 0) {
        run_space(&run, 1);
    }
    bm_subspace_close(&subspace);
    return BM_STATUS_OK;
}
