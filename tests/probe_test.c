/*
 * A backend as a function of its parameters (landscape/probe.h): loss and gradient against the
 * float64 reference, evaluation, running statistics renewed, trainings from given parameters,
 * limits, and a backend that crashes. In the worker's process and in this one.
 */
#include "line.h"

#include "division.h"
#include "now.h"
#include "random.h"
#include "serve.h"

#include "test.h"

#include <math.h>

#define IMAGES 60u
#define LOOKED_AT 40u
#define BATCH 16u
#define PARAM_MAX 512u

static struct bm_error error;
static struct bm_landscape landscape;
static struct bm_campaign campaign;
static struct bm_options options;
static struct bm_model model;

static void open_row(const char *folder, const char *plugin, uint32_t in_process) {
    memset(&options, 0, sizeof options);
    options.hang_time_s = 60;
    options.in_process = in_process;
    options.data_parallel = 1;
    options.backend = (struct bm_name_list){.count = 1};
    (void)snprintf(options.backend.names[0], BM_NAME_SIZE, "%s", plugin);
    options.plugin.count = 1;
    (void)snprintf(options.plugin.paths[0], BM_PATH_SIZE, "%s/bm_%s.so", folder, plugin);
    TEST_CHECK_MSG(bm_selection_make(&options, &campaign.selection, &error) == BM_STATUS_OK, "%s",
                   error.text);
    TEST_CHECK(campaign.selection.row_count == 1);
    landscape.row = &campaign.selection.row[0];
}

static void set_up(const char *layers) {
    const struct bm_data_synthetic synthetic = {
        .shape = {1, 4, 4}, .class_count = 4, .train_count = IMAGES, .test_count = 30, .seed = 7};
    memset(&campaign, 0, sizeof campaign);
    memset(&landscape, 0, sizeof landscape);
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &synthetic, &campaign.dataset, &error) ==
                       BM_STATUS_OK,
                   "%s", error.text);
    TEST_CHECK(bm_model_parse("custom", layers, campaign.dataset.shape, 4, &model, &error) ==
               BM_STATUS_OK);
    TEST_CHECK(bm_model_param_count(&model) <= PARAM_MAX);
    campaign.options = &options;
    campaign.error = &error;
    campaign.model = model;
    campaign.deadline_s = bm_now_s() + 1000;
    campaign.of.model = &campaign.model;
    campaign.of.dataset = &campaign.dataset;
    campaign.of.precision = BM_PRECISION_FLOAT32;
    campaign.of.threads = 1;
    campaign.of.seed = 1;
    campaign.of.lr = 1e-4;
    landscape.campaign = &campaign;
}

static void tear_down(void) {
    bm_selection_free(&campaign.selection);
    bm_dataset_close(&campaign.dataset);
}

static void
open_probe_by(struct bm_probe *probe, uint64_t slice, uint64_t batch, uint32_t running) {
    const struct bm_probe_setup setup = {.model = &model,
                                         .dataset = &campaign.dataset,
                                         .optimizer = BM_OPTIMIZER_MOMENTUM,
                                         .batch = batch,
                                         .seed = 3,
                                         .images = LOOKED_AT,
                                         .slice = slice,
                                         .running_statistics = running};
    TEST_CHECK_MSG(bm_probe_open(&landscape, &setup, probe, &error) == BM_STATUS_OK, "%s",
                   error.text);
}

static void open_probe(struct bm_probe *probe, uint64_t slice, uint64_t batch) {
    open_probe_by(probe, slice, batch, 0);
}

static void start_params(float *params) {
    bm_model_start(&model, 11, params);
    for (uint32_t i = 0; i < bm_model_param_count(&model); i++) {
        params[i] += 0.01f * (float)(i % 5); /* biases and shifts other than 0 */
    }
}

/* ---- Against the reference ---- */

/* Slices of `slice` images normalize alone. */
static void check_gradient(struct bm_probe *probe, const float *params, uint64_t slice) {
    static double gradient[PARAM_MAX];
    static double bound[PARAM_MAX];
    static float found[PARAM_MAX];
    double statistics[64];
    uint32_t order[IMAGES];
    double loss = 0;
    double loss_bound = 0;
    double found_loss = 0;
    memset(gradient, 0, sizeof gradient);
    memset(bound, 0, sizeof bound);
    for (uint64_t i = 0; i < probe->statistics_count; i++) {
        statistics[i] = (double)probe->statistics[i];
    }
    bm_random_permutation(3, 0, order, IMAGES);
    for (uint64_t first = 0; first < LOOKED_AT; first += slice) {
        const struct bm_reference_request request = {
            .model = &model,
            .data = &campaign.dataset.split[BM_SPLIT_TRAIN],
            .order = order + first,
            .count = LOOKED_AT - first < slice ? LOOKED_AT - first : slice,
            .divisor = LOOKED_AT,
            .update = 1,
            .flags =
                BM_SLICE_NO_DROPOUT | (probe->setup.running_statistics ? BM_SLICE_USE_RUNNING : 0),
            .statistics = statistics,
            .thread_count = 1,
            .multiply_roundoff = 0x1p-24,
            .accumulate_roundoff = 0x1p-24,
            .params = params};
        struct bm_reference reference = {0};
        TEST_CHECK_MSG(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_OK, "%s",
                       error.text);
        loss += reference.loss;
        loss_bound += reference.loss_bound;
        for (uint64_t i = 0; i < probe->param_count; i++) {
            gradient[i] += reference.gradient[i];
            bound[i] += reference.bound[i];
        }
        bm_reference_free(&reference);
    }
    TEST_CHECK_MSG(bm_objective_at(&probe->objective, params, &found_loss, found, &error) ==
                       BM_STATUS_OK,
                   "%s", error.text);
    TEST_CHECK_MSG(fabs(found_loss - loss) <= loss_bound + 1e-12, "loss %.9g, expected %.9g",
                   found_loss, loss);
    for (uint64_t i = 0; i < probe->param_count; i++) {
        TEST_CHECK_MSG(fabs((double)found[i] - gradient[i]) <= bound[i] + 1e-12,
                       "gradient %llu: %.9g, expected %.9g within %.3g", (unsigned long long)i,
                       (double)found[i], gradient[i], bound[i]);
    }
}

static void check_evaluation(struct bm_probe *probe, const float *params) {
    double statistics[64];
    double expected = 0;
    uint64_t correct = 0;
    double loss = 0;
    double accuracy = 0;
    for (uint64_t i = 0; i < probe->statistics_count; i++) {
        probe->statistics[i] = 0.5f + 0.1f * (float)i;
        statistics[i] = (double)probe->statistics[i];
    }
    TEST_CHECK(bm_reference_evaluate(&model, &campaign.dataset.split[BM_SPLIT_TEST], 0, 30, params,
                                     statistics, 1, &expected, &correct, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_probe_evaluate(probe, params, BM_SPLIT_TEST, &loss, &accuracy, &error) ==
               BM_STATUS_OK);
    TEST_CHECK_MSG(fabs(loss - expected / 30) < 1e-5 * fabs(loss), "loss %.9g, expected %.9g", loss,
                   expected / 30);
    TEST_CHECK(fabs(accuracy - (double)correct / 30) < 1e-12);
}

/* With a batch of all images the walk sees their own means and variances a hundred times. */
static void check_renewal(const float *params) {
    uint32_t order[IMAGES];
    struct bm_probe probe;
    struct bm_reference reference = {0};
    open_probe(&probe, 0, IMAGES);
    bm_random_permutation(3, 0, order, IMAGES);
    const struct bm_reference_request request = {.model = &model,
                                                 .data = &campaign.dataset.split[BM_SPLIT_TRAIN],
                                                 .order = order,
                                                 .count = IMAGES,
                                                 .divisor = IMAGES,
                                                 .update = 1,
                                                 .flags = BM_SLICE_NO_DROPOUT,
                                                 .thread_count = 1,
                                                 .params = params,
                                                 .no_bound = 1};
    TEST_CHECK(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_probe_renew(&probe, params, &error) == BM_STATUS_OK);
    TEST_CHECK(probe.statistics_count == 12 && reference.statistics_count == 12);
    for (uint64_t i = 0; i < 12; i++) {
        double old = i < 6 ? 0 : 1; /* running = .9 old + .1 of the images */
        double images = (reference.statistics[i] - 0.9 * old) / 0.1;
        TEST_CHECK_MSG(fabs((double)probe.statistics[i] - images) < 1e-3 * fabs(images) + 1e-3,
                       "statistic %llu: %.6g, expected %.6g", (unsigned long long)i,
                       (double)probe.statistics[i], images);
    }
    bm_reference_free(&reference);
    bm_probe_close(&probe);
}

/* ---- Training ---- */

static void train_epoch(struct bm_probe *probe, const float *from, float *to) {
    const struct bm_rate_plan plan = bm_rate_plan_defaults(BM_RATE_CONSTANT, 0.05, BATCH, 4, 8);
    struct bm_stretch stretch = {0};
    uint64_t updates = 0;
    TEST_CHECK_MSG(bm_probe_begin(probe, &plan, NULL, from, &error) == BM_STATUS_OK, "%s",
                   error.text);
    while (!stretch.ended_epoch) {
        TEST_CHECK(bm_probe_train(probe, 3, &stretch, &error) == BM_STATUS_OK);
        TEST_CHECK(isfinite(stretch.loss));
        updates += stretch.updates;
    }
    TEST_CHECK_MSG(updates == 4, "an epoch of 60 images in batches of 16: %llu updates",
                   (unsigned long long)updates);
    TEST_CHECK(bm_probe_read(probe, to, &error) == BM_STATUS_OK);
}

static void check_training(struct bm_probe *probe, const float *params) {
    static float once[PARAM_MAX];
    static float twice[PARAM_MAX];
    static float other[PARAM_MAX];
    static float statistics[64];
    const uint64_t bytes = probe->param_count * sizeof(float);
    double loss = 0;
    memcpy(statistics, probe->statistics, probe->statistics_count * sizeof(float));
    train_epoch(probe, params, once);
    TEST_CHECK(memcmp(once, params, bytes) != 0);
    TEST_CHECK(memcmp(statistics, probe->statistics, probe->statistics_count * sizeof(float)) != 0);
    /* A gradient elsewhere in between does not matter to a training that begins anew. */
    TEST_CHECK(bm_objective_at(&probe->objective, once, &loss, NULL, &error) == BM_STATUS_OK);
    memcpy(probe->statistics, statistics, probe->statistics_count * sizeof(float));
    train_epoch(probe, params, twice);
    TEST_CHECK(memcmp(once, twice, bytes) == 0);
    train_epoch(probe, NULL, other);
    TEST_CHECK(memcmp(once, other, bytes) != 0);
}

static void check_noise(struct bm_probe *probe, const float *params) {
    const struct bm_rate_plan plan = bm_rate_plan_defaults(BM_RATE_CONSTANT, 0.05, BATCH, 4, 8);
    struct bm_noise first;
    struct bm_noise second;
    TEST_CHECK(bm_probe_begin(probe, &plan, NULL, params, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_probe_noise(probe, 4, 10, &first, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_probe_noise(probe, 4, 10, &second, &error) == BM_STATUS_OK);
    TEST_CHECK(first.trace > 0 && first.trace == second.trace && first.slices == 10);
    TEST_CHECK(bm_probe_noise(probe, 4, 100, &first, &error) != BM_STATUS_OK);
    TEST_CONTAINS(error.text, "100 slices");
}

static void check_object(const struct bm_probe *probe, const char *batch_norm) {
    json_t *object = bm_probe_object(probe, "line", "line");
    const char *found = json_string_value(json_object_get(object, "batch_norm"));
    TEST_CHECK((found == NULL) == (batch_norm == NULL));
    if (found != NULL) {
        TEST_CHECK_STR(found, batch_norm);
    }
    TEST_CHECK(json_integer_value(json_object_get(object, "images")) == LOOKED_AT);
    TEST_CHECK_STR(json_string_value(json_object_get(object, "backend")), "scalar");
    json_decref(object);
}

static void check_backend(uint32_t in_process) {
    static float params[PARAM_MAX];
    struct bm_probe probe;
    set_up("dense 6, batchnorm, relu, dropout 0.5, dense 4");
    open_row(bm_test_env("BM_TEST_PLUGIN_DIR"), "scalar", in_process);
    start_params(params);
    open_probe(&probe, 0, BATCH);
    check_gradient(&probe, params, LOOKED_AT);
    check_object(&probe, "batch");
    check_evaluation(&probe, params);
    check_training(&probe, params);
    check_gradient(&probe, params, LOOKED_AT); /* after a training too */
    check_noise(&probe, params);
    TEST_CHECK(probe.objective.gradients == 2 && probe.objective.losses == 1);
    bm_probe_close(&probe);
    open_probe(&probe, 15, BATCH);
    check_gradient(&probe, params, 15);
    check_object(&probe, "ghost-15");
    bm_probe_close(&probe);
    open_probe_by(&probe, 0, BATCH, 1);
    for (uint64_t i = 0; i < probe.statistics_count; i++) {
        probe.statistics[i] = 0.5f + 0.1f * (float)i;
    }
    check_gradient(&probe, params, LOOKED_AT);
    check_object(&probe, "running");
    bm_probe_close(&probe);
    check_renewal(params);
    tear_down();
}

static void check_plain_network(void) {
    static float params[PARAM_MAX];
    struct bm_probe probe;
    set_up("dense 7, relu, dense 4");
    open_row(bm_test_env("BM_TEST_PLUGIN_DIR"), "scalar", 0);
    start_params(params);
    open_probe(&probe, 0, 1000);
    TEST_CHECK(probe.setup.batch == IMAGES && probe.statistics_count == 0);
    check_gradient(&probe, params, LOOKED_AT);
    check_object(&probe, NULL);
    TEST_CHECK(bm_probe_renew(&probe, params, &error) == BM_STATUS_OK);
    /* No time is left. */
    double loss = 0;
    campaign.deadline_s = bm_now_s() - 1;
    TEST_CHECK(bm_objective_at(&probe.objective, params, &loss, NULL, &error) == BM_STATUS_TIMEOUT);
    json_t *object = bm_probe_object(&probe, "line", "line");
    bm_probe_fail(&probe, object, BM_STATUS_TIMEOUT, &error);
    TEST_CHECK_STR(json_string_value(json_object_get(object, "status")), "cut");
    TEST_CONTAINS(json_string_value(json_object_get(object, "reason")), "--time-limit");
    json_decref(object);
    bm_probe_close(&probe);
    tear_down();
}

static void check_crash(void) {
    static float params[PARAM_MAX];
    struct bm_probe probe;
    char folder[1024];
    double loss = 0;
    set_up("dense 7, relu, dense 4");
    (void)snprintf(folder, sizeof folder, "%s/tests/plugins/bad",
                   bm_test_env("BM_TEST_BINARY_DIR"));
    open_row(folder, "bad_segfault_gradient", 0);
    start_params(params);
    open_probe(&probe, 0, BATCH);
    TEST_CHECK(bm_objective_at(&probe.objective, params, &loss, NULL, &error) ==
               BM_STATUS_INTERNAL);
    json_t *object = bm_probe_object(&probe, "hessian", "spectrum");
    bm_probe_fail(&probe, object, BM_STATUS_INTERNAL, &error);
    TEST_CHECK_STR(json_string_value(json_object_get(object, "status")), "crashed");
    TEST_CONTAINS(json_string_value(json_object_get(object, "reason")), "gradient");
    json_decref(object);
    bm_probe_close(&probe);
    tear_down();
}

/* ---- Lines ---- */

static void check_line(void) {
    static const float from[2] = {1, -2};
    static const float to[2] = {3, 4};
    static const double places[4] = {0, 0.5, 1, 1.5};
    static const double losses[4] = {1, 4, 2, 9};
    float params[2];
    bm_line_at(BM_LINE_STRAIGHT, from, to, 2, 1.5, params);
    TEST_CHECK(params[0] == 4 && params[1] == 7);
    bm_line_at(BM_LINE_CURVED, from, to, 2, 0.5, params); /* sin and cos of 45 degrees */
    TEST_CHECK(fabs((double)params[0] - 4 / sqrt(2.)) < 1e-6);
    TEST_CHECK(fabs((double)params[1] - 2 / sqrt(2.)) < 1e-6);
    bm_line_at(BM_LINE_CURVED, from, to, 2, -1, params);
    TEST_CHECK(fabs((double)params[0] + 3) < 1e-6 && fabs((double)params[1] + 4) < 1e-6);
    TEST_CHECK(bm_line_barrier(places, losses, 4) == 2.5); /* 4 over the mean of 1 and 2 */
    TEST_CHECK(isnan(bm_line_barrier(places, losses, 2)));
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        bm_serve_main(argc - 1, argv + 1);
    }
    check_line();
    check_backend(0);
    check_backend(1);
    check_plain_network();
    check_crash();
    return 0;
}
