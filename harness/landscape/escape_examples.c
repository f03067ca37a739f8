/* The part `examples`: full batch against batch 1 on the loss of twenty examples, with a backend
 * that does the updates. */
#include "error.h"
#include "escape.h"
#include "examples.h"
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCHS 60u
#define DENSE 100u /* updates from the start of which each is a point of the path */
#define STRIDE 10u /* updates from point to point after that; an epoch is a multiple of it */
#define POINTS_MAX 400u
#define TUNED_EPOCHS 10u /* the last ones, whose mean loss says which rate is best */

/* Both batch sizes with this one, and each with the best of the others. */
static const double equal_rate = 0.5;
static const double rates[] = {0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20};
static const double start[2] = {-1.5, 3};

struct examples {
    struct bm_landscape *landscape;
    struct bm_model model;
    struct bm_dataset dataset;
    struct bm_error error;
};

/* A path while it is walked. */
struct trace {
    uint32_t count;
    float params[POINTS_MAX][BM_EXAMPLES_PARAMS];
    uint64_t updates[POINTS_MAX];
    double seconds[POINTS_MAX];
    double losses[POINTS_MAX];
    double asymmetry;
};

static struct bm_escape_rule rule_of(uint64_t batch, double rate) {
    return (struct bm_escape_rule){
        .optimizer = "sgd", .rate = rate, .batch = batch < BM_EXAMPLES_COUNT ? batch : 0};
}

/* ---- Walking ---- */

static int32_t begin(struct bm_probe *probe, double rate, struct bm_error *error) {
    const struct bm_rate_overrides overrides = {.momentum = NAN, .decay = NAN};
    float params[BM_EXAMPLES_PARAMS];
    struct bm_rate_plan plan = bm_rate_plan_defaults(BM_RATE_CONSTANT, rate, probe->setup.batch,
                                                     BM_EXAMPLES_COUNT / probe->setup.batch, 0);
    bm_examples_to_params(start, params);
    return bm_probe_begin(probe, &plan, &overrides, params, error);
}

static int32_t add_point(struct bm_probe *probe,
                         uint64_t updates,
                         double seconds,
                         struct trace *trace,
                         struct bm_error *error) {
    uint32_t i = trace->count;
    BM_ASSERT(i < POINTS_MAX);
    int32_t status = bm_probe_read(probe, trace->params[i], error);
    trace->updates[i] = updates;
    trace->seconds[i] = seconds;
    trace->asymmetry = fmax(trace->asymmetry, bm_examples_asymmetry(trace->params[i]));
    trace->count++;
    return status;
}

/* Full loss at the points; after the walk, whose session it would disturb. */
static int32_t take_losses(struct bm_probe *probe, struct trace *trace, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < trace->count && status == BM_STATUS_OK; i++) {
        status =
            bm_objective_at(&probe->objective, trace->params[i], &trace->losses[i], NULL, error);
    }
    return status;
}

/* EPOCHS epochs; a point after every update up to `dense`, then after every `stride`. */
static int32_t walk(struct bm_probe *probe,
                    double rate,
                    uint64_t dense,
                    uint64_t stride,
                    struct trace *trace,
                    struct bm_error *error) {
    uint64_t total = EPOCHS * (BM_EXAMPLES_COUNT / probe->setup.batch);
    uint64_t updates = 0;
    double seconds = 0;
    trace->count = 0;
    trace->asymmetry = 0;
    int32_t status = begin(probe, rate, error);
    status = status ? status : add_point(probe, 0, 0, trace, error);
    while (status == BM_STATUS_OK && updates < total) {
        struct bm_stretch stretch = {0};
        status = bm_probe_train(probe, updates < dense ? 1 : stride, &stretch, error);
        updates += stretch.updates;
        seconds += stretch.seconds;
        status = status ? status : add_point(probe, updates, seconds, trace, error);
    }
    return status ? status : take_losses(probe, trace, error);
}

/* ---- Rates ---- */

/* Mean loss at the ends of the last epochs: of batch 1 a single one is luck. */
static int32_t loss_of_rate(struct bm_probe *probe,
                            double rate,
                            struct trace *trace,
                            double *loss,
                            struct bm_error *error) {
    int32_t status = walk(probe, rate, 0, BM_EXAMPLES_COUNT / probe->setup.batch, trace, error);
    *loss = 0;
    for (uint32_t i = 0; i < TUNED_EPOCHS && status == BM_STATUS_OK; i++) {
        *loss += trace->losses[trace->count - 1 - i] / TUNED_EPOCHS;
    }
    return status;
}

static int32_t
find_rate(struct bm_probe *probe, struct trace *trace, double *best, struct bm_error *error) {
    double least = HUGE_VAL;
    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0] && status == BM_STATUS_OK; i++) {
        double loss = HUGE_VAL;
        status = loss_of_rate(probe, rates[i], trace, &loss, error);
        if (status == BM_STATUS_OK && loss < least) {
            least = loss;
            *best = rates[i];
        }
    }
    return status;
}

/* ---- Objects ---- */

static void set_arrays(json_t *object, const struct trace *trace, uint64_t batch) {
    json_t *points = json_array();
    json_t *updates = json_array();
    json_t *examples = json_array();
    for (uint32_t i = 0; i < trace->count; i++) {
        const uint64_t seen = trace->updates[i] * batch;
        double point[2];
        bm_examples_to_point(trace->params[i], point);
        (void)json_array_append_new(points, bm_landscape_numbers(point, 2));
        (void)json_array_append_new(updates, json_integer((json_int_t)trace->updates[i]));
        (void)json_array_append_new(examples, json_integer((json_int_t)seen));
    }
    (void)json_object_set_new(object, "points", points);
    (void)json_object_set_new(object, "updates", updates);
    (void)json_object_set_new(object, "examples", examples);
    (void)json_object_set_new(object, "seconds",
                              bm_landscape_numbers(trace->seconds, trace->count));
    (void)json_object_set_new(object, "losses", bm_landscape_numbers(trace->losses, trace->count));
}

/* Loss at the end above the least that there is. */
static double above_minimum(const struct trace *trace) {
    struct bm_surface_values values;
    double point[2];
    bm_surface_critical(&bm_examples_surface, 0, point);
    bm_examples_surface.at(point, &values);
    return trace->losses[trace->count - 1] - values.value;
}

static void write_path(const struct examples *of,
                       const struct bm_probe *probe,
                       double rate,
                       const char *chosen,
                       const struct trace *trace) {
    char why[200];
    double end[2];
    uint64_t batch = probe->setup.batch;
    const struct bm_escape_rule rule = rule_of(batch, rate);
    json_t *object = bm_probe_object(probe, "escape", "path");
    (void)json_object_set_new(object, "surface", json_string(bm_examples_surface.name));
    bm_escape_set_rule(object, &rule);
    (void)json_object_set_new(object, "examples_per_update", json_integer((json_int_t)batch));
    set_arrays(object, trace, batch);
    (void)json_object_set_new(object, "asymmetry", bm_field_finite(trace->asymmetry));
    bm_examples_to_point(trace->params[trace->count - 1], end);
    (void)json_object_set_new(object, "end", bm_escape_end(&bm_examples_surface, end));
    (void)json_object_set_new(object, "crossed", json_null());
    (void)snprintf(why, sizeof why, "%s; %u epochs, %.2g above the minimum at their end", chosen,
                   EPOCHS, above_minimum(trace));
    (void)json_object_set_new(object, "why", json_string(why));
    bm_landscape_write(of->landscape, object);
}

/* ---- A batch size ---- */

static int32_t walk_and_write(const struct examples *of,
                              struct bm_probe *probe,
                              double rate,
                              const char *chosen,
                              struct trace *trace,
                              struct bm_error *error) {
    int32_t status = walk(probe, rate, DENSE, STRIDE, trace, error);
    if (status == BM_STATUS_OK) {
        write_path(of, probe, rate, chosen, trace);
    }
    return status;
}

static int32_t run_batch(struct examples *of, struct bm_probe *probe) {
    char chosen[80];
    double best = 0;
    struct bm_error *error = &of->error;
    struct trace *trace = calloc(1, sizeof *trace);
    if (trace == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "escape: no memory for a path");
    }
    bm_landscape_show(of->landscape, "escape: 20 examples, batch %llu",
                      (unsigned long long)probe->setup.batch);
    int32_t status =
        walk_and_write(of, probe, equal_rate, "the rate of both batch sizes", trace, error);
    status = status ? status : find_rate(probe, trace, &best, error);
    (void)snprintf(chosen, sizeof chosen, "the best of %zu rates for this batch size",
                   sizeof rates / sizeof rates[0]);
    status = status ? status : walk_and_write(of, probe, best, chosen, trace, error);
    free(trace);
    return status;
}

/* ---- The contour ---- */

/* The backend's loss, and how far it is from the formula's. */
struct compared {
    struct bm_probe *probe;
    double difference;
};

static int32_t
backend_loss(void *context, const double point[2], double *value, struct bm_error *error) {
    struct compared *compared = context;
    struct bm_surface_values exact;
    float params[BM_EXAMPLES_PARAMS];
    bm_examples_to_params(point, params);
    int32_t status = bm_objective_at(&compared->probe->objective, params, value, NULL, error);
    bm_examples_surface.at(point, &exact);
    compared->difference = fmax(compared->difference, fabs(*value - exact.value));
    return status;
}

static int32_t write_contour(struct examples *of, struct bm_probe *probe) {
    struct compared compared = {.probe = probe};
    bm_landscape_show(of->landscape, "escape: the loss of 20 examples");
    json_t *object = bm_escape_contour(&bm_examples_surface, backend_loss, &compared, &of->error);
    if (object == NULL) {
        return of->error.code;
    }
    json_t *fields = bm_probe_object(probe, "escape", "contour");
    (void)json_object_update_missing(object, fields);
    json_decref(fields);
    (void)json_object_set_new(
        object, "check", json_pack("{s:o}", "difference", bm_field_finite(compared.difference)));
    bm_landscape_write(of->landscape, object);
    return BM_STATUS_OK;
}

/* ---- All of it ---- */

/* A session for one batch size: both paths and, of the full batch, the contour. */
static void run_session(struct examples *of, uint64_t batch) {
    struct bm_probe probe;
    const struct bm_probe_setup setup = {.model = &of->model,
                                         .dataset = &of->dataset,
                                         .optimizer = BM_OPTIMIZER_SGD,
                                         .batch = batch,
                                         .seed = of->landscape->campaign->options->seed.values[0]};
    int32_t status = bm_probe_open(of->landscape, &setup, &probe, &of->error);
    uint32_t is_open = status == BM_STATUS_OK;
    status =
        status == BM_STATUS_OK && batch == BM_EXAMPLES_COUNT ? write_contour(of, &probe) : status;
    status = status ? status : run_batch(of, &probe);
    if (status != BM_STATUS_OK) {
        json_t *object = bm_landscape_object("escape", "path");
        const struct bm_escape_rule rule = rule_of(batch, equal_rate);
        (void)json_object_set_new(object, "surface", json_string(bm_examples_surface.name));
        bm_escape_set_rule(object, &rule);
        bm_probe_fail(&probe, object, status, &of->error);
        bm_landscape_write(of->landscape, object);
    }
    if (is_open) {
        bm_probe_close(&probe);
    }
}

int32_t bm_escape_examples(struct bm_landscape *landscape) {
    struct examples of = {.landscape = landscape};
    struct bm_error *error = landscape->campaign->error;
    int32_t status = bm_examples_open(&of.dataset, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_model_parse("examples", BM_EXAMPLES_LAYERS, of.dataset.shape,
                            of.dataset.class_count, &of.model, error);
    if (status == BM_STATUS_OK) {
        run_session(&of, BM_EXAMPLES_COUNT);
        run_session(&of, 1);
    }
    bm_dataset_close(&of.dataset);
    return status;
}
