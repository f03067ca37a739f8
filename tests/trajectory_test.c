/* Equal training: real backends stay inside over twenty updates of many kinds, what is subtly wrong
 * is caught, and what the judge says at its edges. Prints the ratios of distance and spread. */
#include "bench.h"
#include "loader.h"
#include "test.h"
#include "trajectory.h"

#include <math.h>
#include <unistd.h>

#define IMAGES 1030u
#define BATCH 50u /* the last of the epoch has 30 */

static const char dense_layers[] = "dense 64, relu, dense 48, relu, dense 10";
static const char norm_layers[] = "dense 64, batchnorm, relu, dropout 0.3, dense 10";
static const char conv_layers[] = "conv 6 3x3 pad 1, batchnorm, relu, maxpool 3 stride 2, "
                                  "conv 8 3x3, relu, dense 30, batchnorm, relu, dropout 0.5, "
                                  "dense 10";

/* ---- A backend that steps, rightly or not ---- */

enum fault {
    NO_FAULT,
    RATE,          /* too large by 1e-4 of itself */
    EPSILON,       /* 1e-7 for 1e-8 */
    MOMENTUM,      /* .9001 for .9 */
    GRADIENT_BF16, /* rounded before it is applied */
    INPUT_TF32,    /* images rounded to 11 bits */
    LAST_IMAGE,    /* left out of sum and mean */
    NO_DROPOUT,
    FAULT_COUNT
};

static const char *const fault_names[FAULT_COUNT] = {
    "none",          "rate 1e-4 too large", "epsilon 1e-7",       "momentum .9001",
    "gradient bf16", "images tf32",         "last image dropped", "no dropout",
};

struct problem {
    const char *layers;
    uint32_t optimizer;
    double rate;
    uint64_t seed;
};

static struct bm_dataset dataset;
static struct bm_dataset coarse; /* images as a tf32 unit reads them */
static struct bm_page page;
static struct bm_error error;

static struct bm_hyper right_hyper(void *context, uint64_t update) {
    const struct problem *problem = context;
    return bm_optimizer_defaults(problem->optimizer, problem->rate, update);
}

static struct bm_hyper hyper_of(const struct problem *problem, enum fault fault, uint64_t update) {
    struct bm_hyper hyper = bm_optimizer_defaults(problem->optimizer, problem->rate, update);
    hyper.rate *= fault == RATE ? 1 + 1e-4 : 1;
    hyper.epsilon = fault == EPSILON ? 1e-7 : hyper.epsilon;
    hyper.momentum = fault == MOMENTUM ? 0.9001 : hyper.momentum;
    return hyper;
}

/* To `bits` bits after the first, to nearest. */
static float rounded(float value, int bits) {
    int exponent = 0;
    float fraction = frexpf(value, &exponent);
    return ldexpf(rintf(ldexpf(fraction, bits + 1)), exponent - bits - 1);
}

static void round_gradient(struct bm_bench *bench, float *values) {
    const struct bm_plugin *plugin = bench->plugin;
    TEST_CHECK(plugin->write_gradient != NULL);
    TEST_CHECK(bm_bench_read_gradient(bench, values, &error) == BM_STATUS_OK);
    for (uint64_t i = 0; i < bench->param_count; i++) {
        values[i] = rounded(values[i], 7);
    }
    TEST_CHECK(plugin->write_gradient(bench->session, values, bench->param_count, &error) ==
               BM_STATUS_OK);
}

/* One update by gradient and apply, so that a fault can come between them. */
static void update(struct bm_bench *bench,
                   const struct problem *problem,
                   enum fault fault,
                   uint64_t number,
                   float *params) {
    uint64_t first = (number - 1) * BATCH;
    uint64_t count = IMAGES - first < BATCH ? IMAGES - first : BATCH;
    count -= fault == LAST_IMAGE;
    struct bm_hyper hyper = hyper_of(problem, fault, number);
    struct bm_slice slice = {.size = sizeof slice,
                             .flags = fault == NO_DROPOUT ? BM_SLICE_NO_DROPOUT : 0,
                             .first = first,
                             .count = count,
                             .update = number,
                             .divisor = (double)count};
    const struct bm_plugin *plugin = bench->plugin;
    if (fault == NO_FAULT && plugin->update != NULL) {
        TEST_CHECK(plugin->update(bench->session, &slice, &hyper, &error) == BM_STATUS_OK);
    } else {
        TEST_CHECK(plugin->gradient(bench->session, &slice, &error) == BM_STATUS_OK);
        if (fault == GRADIENT_BF16) {
            round_gradient(bench, params);
        }
        TEST_CHECK(plugin->apply(bench->session, &hyper, &error) == BM_STATUS_OK);
    }
    TEST_CHECK(bm_bench_read_params(bench, params, &error) == BM_STATUS_OK);
}

/* ---- Trajectories ---- */

static struct bm_trajectory *
open_trajectory(const struct problem *problem, struct bm_model *model, uint64_t batch) {
    union {
        const struct problem *given;
        void *context;
    } of = {problem};

    TEST_CHECK_MSG(bm_model_parse("test", problem->layers, dataset.shape, dataset.class_count,
                                  model, &error) == BM_STATUS_OK,
                   "%s", error.text);
    struct bm_trajectory_request request = {.model = model,
                                            .dataset = &dataset,
                                            .optimizer = problem->optimizer,
                                            .seed = problem->seed,
                                            .batch = batch,
                                            .thread_count = 1,
                                            .hyper = right_hyper,
                                            .context = of.context};
    struct bm_trajectory *trajectory = NULL;
    TEST_CHECK_MSG(bm_trajectory_open(&request, &trajectory, &error) == BM_STATUS_OK, "%s",
                   error.text);
    return trajectory;
}

static void open_bench(const struct bm_plugin *plugin,
                       const struct problem *problem,
                       const struct bm_model *model,
                       enum fault fault,
                       struct bm_bench *bench) {
    struct bm_bench_request request = {.model = model,
                                       .dataset = fault == INPUT_TF32 ? &coarse : &dataset,
                                       .optimizer = problem->optimizer,
                                       .thread_count = 1,
                                       .precision = BM_PRECISION_FLOAT32,
                                       .seed = problem->seed,
                                       .batch = BATCH,
                                       .rate = problem->rate};
    TEST_CHECK_MSG(bm_bench_open(plugin, &page, &request, bench, &error) == BM_STATUS_OK, "%s",
                   error.text);
}

#define BACKEND_MAX (2 + FAULT_COUNT)

/* All backends beside one trajectory, over the epoch or, each, until it has left. */
static void run(const struct problem *problem,
                const struct bm_plugin *const *plugins,
                const enum fault *faults,
                uint32_t count,
                struct bm_trajectory_verdict *verdicts) {
    struct bm_model model;
    struct bm_bench *benches = calloc(count, sizeof *benches);
    struct bm_trajectory *trajectory = open_trajectory(problem, &model, BATCH);
    float *params = malloc(bm_model_param_count(&model) * sizeof *params);
    TEST_CHECK(params != NULL && benches != NULL);
    memset(verdicts, 0, count * sizeof *verdicts);
    for (uint32_t k = 0; k < count; k++) {
        open_bench(plugins[k], problem, &model, faults[k], &benches[k]);
    }
    TEST_CHECK(bm_trajectory_update_max(trajectory) == 21);
    for (uint64_t number = 1; number <= 21; number++) {
        double spread = 0;
        TEST_CHECK_MSG(bm_trajectory_step(trajectory, &spread, &error) == BM_STATUS_OK, "%s",
                       error.text);
        for (uint32_t k = 0; k < count; k++) {
            if (verdicts[k].left_at == 0) {
                update(&benches[k], problem, faults[k], number, params);
                bm_trajectory_judge(trajectory, params, &verdicts[k]);
            }
        }
    }
    for (uint32_t k = 0; k < count; k++) {
        bm_bench_close(&benches[k]);
    }
    free(benches);
    free(params);
    bm_trajectory_close(trajectory);
}

static void print_verdict(const struct problem *problem,
                          const char *what,
                          const struct bm_trajectory_verdict *verdict) {
    printf("%-9s %-20s ratio %9.2f of %.2f, %2llu compared, left at %llu, ended at %llu  %.20s\n",
           bm_optimizer_names[problem->optimizer], what, verdict->ratio_max, verdict->ratio_limit,
           (unsigned long long)verdict->compared, (unsigned long long)verdict->left_at,
           (unsigned long long)verdict->ended_at, problem->layers);
}

/* ---- Tests ---- */

static const struct problem problems[] = {
    {dense_layers, BM_OPTIMIZER_SGD, 0.1, 1},      {dense_layers, BM_OPTIMIZER_MOMENTUM, 0.01, 1},
    {dense_layers, BM_OPTIMIZER_ADAM, 1e-3, 1},    {norm_layers, BM_OPTIMIZER_SGD, 0.1, 2},
    {norm_layers, BM_OPTIMIZER_MOMENTUM, 0.01, 2}, {norm_layers, BM_OPTIMIZER_ADAM, 1e-3, 2},
    {conv_layers, BM_OPTIMIZER_SGD, 0.01, 3},      {conv_layers, BM_OPTIMIZER_MOMENTUM, 1e-2, 3},
    {conv_layers, BM_OPTIMIZER_ADAM, 1e-3, 1},     {dense_layers, BM_OPTIMIZER_LAMB, 1e-2, 4},
    {dense_layers, BM_OPTIMIZER_RMSPROP, 1e-3, 5}, {norm_layers, BM_OPTIMIZER_LARS, 1, 6},
};
#define PROBLEM_COUNT (sizeof problems / sizeof problems[0])

/* Whether a fault can have an effect. */
static int has_effect(const struct problem *problem, enum fault fault) {
    switch (fault) {
    case EPSILON:
        return problem->optimizer == BM_OPTIMIZER_ADAM;
    case MOMENTUM:
        return problem->optimizer == BM_OPTIMIZER_MOMENTUM;
    case NO_DROPOUT:
        return problem->layers != dense_layers;
    default:
        return fault != NO_FAULT;
    }
}

static void check_inside(const struct bm_trajectory_verdict *verdict) {
    TEST_CHECK(verdict->left_at == 0 && verdict->compared >= 10);
    TEST_CHECK(verdict->ended_at == 0 || verdict->compared == verdict->ended_at - 1);
}

static void check_caught(const struct bm_trajectory_verdict *verdict) {
    TEST_CHECK(verdict->left_at > 0 && verdict->left_at <= 3);
    TEST_CHECK(verdict->ratio_max > verdict->ratio_limit);
    TEST_CHECK(verdict->compared == verdict->left_at);
}

/* The backends as they are and, with the first of them, the faults: they share a trajectory, which
 * takes most of the time. */
static void test_problem(const struct problem *problem,
                         const struct bm_plugin *const *real,
                         const char *const *names,
                         uint32_t real_count,
                         int with_faults) {
    const struct bm_plugin *plugins[BACKEND_MAX] = {NULL};

    enum fault faults[BACKEND_MAX] = {NO_FAULT};
    struct bm_trajectory_verdict verdicts[BACKEND_MAX];
    uint32_t count = real_count;

    for (uint32_t k = 0; k < real_count; k++) {
        plugins[k] = real[k];
    }
    for (uint32_t fault = 0; with_faults && fault < FAULT_COUNT; fault++) {
        if (has_effect(problem, (enum fault)fault)) {
            plugins[count] = real[0];
            faults[count++] = (enum fault)fault;
        }
    }
    run(problem, plugins, faults, count, verdicts);
    for (uint32_t k = 0; k < count; k++) {
        print_verdict(problem, k < real_count ? names[k] : fault_names[faults[k]], &verdicts[k]);
        if (k < real_count) {
            check_inside(&verdicts[k]);
        } else {
            check_caught(&verdicts[k]);
        }
    }
}

/* With sanitizers each network and optimizer once. */
static void
test_problems(const struct bm_plugin *const *real, const char *const *names, uint32_t real_count) {
    size_t step = bm_test_sanitized() ? 4 : 1;
    for (size_t p = 0; p < PROBLEM_COUNT; p += step) {
        test_problem(&problems[p], real, names, real_count, p < 9);
    }
}

/* For one member |z| / |z'| has the distribution (2 / pi) atan(1 / factor) above `factor`. */
static void test_factor(void) {
    double single = 1 / tan(BM_TRAJECTORY_RISK * acos(-1) / 2);
    TEST_CHECK(fabs(bm_trajectory_factor(1) / single - 1) < 1e-4);
    TEST_CHECK(fabs(bm_trajectory_factor(8) - 4.179) < 1e-3);
    TEST_CHECK(bm_trajectory_factor(64) > 1 && bm_trajectory_factor(64) < bm_trajectory_factor(8));
}

/* At rate 0 nobody moves, and who does is outside. */
static void test_rest(void) {
    const struct problem still = {dense_layers, BM_OPTIMIZER_SGD, 0, 1};
    struct bm_model model;
    struct bm_trajectory_verdict verdict = {0};
    struct bm_trajectory *trajectory = open_trajectory(&still, &model, BATCH);
    float *params = malloc(bm_model_param_count(&model) * sizeof *params);
    double spread = -1;
    TEST_CHECK(params != NULL);
    bm_model_start(&model, still.seed, params);
    TEST_CHECK(bm_trajectory_step(trajectory, &spread, &error) == BM_STATUS_OK && spread == 0);
    bm_trajectory_judge(trajectory, params, &verdict);
    TEST_CHECK(verdict.compared == 1 && verdict.left_at == 0 && verdict.ratio_max == 0);
    TEST_CHECK(bm_trajectory_distance(trajectory, params) == 0);
    params[3] = nextafterf(params[3], 1);
    TEST_CHECK(!(bm_trajectory_distance(trajectory, params) < HUGE_VAL));
    bm_trajectory_judge(trajectory, params, &verdict);
    TEST_CHECK(verdict.compared == 2 && verdict.left_at == 1);
    verdict = (struct bm_trajectory_verdict){0};
    params[3] = NAN;
    bm_trajectory_judge(trajectory, params, &verdict);
    TEST_CHECK(verdict.left_at == 1);
    bm_trajectory_close(trajectory);
    free(params);
}

/* A batch norm of two images is all but a sign: float32 says nothing, and nothing is compared. */
static void test_undetermined(void) {
    const struct problem pairs = {"dense 64, batchnorm, relu, dense 64, batchnorm, relu, dense 64, "
                                  "batchnorm, relu, dense 10",
                                  BM_OPTIMIZER_SGD, 0.1, 1};
    struct bm_model model;
    struct bm_trajectory_verdict verdict = {0};
    struct bm_trajectory *trajectory = open_trajectory(&pairs, &model, 2);
    float *params = calloc(bm_model_param_count(&model), sizeof *params);
    double most = 0;
    TEST_CHECK(params != NULL);
    for (uint32_t i = 0; i < 30 && verdict.ended_at == 0; i++) {
        double spread = 0;
        TEST_CHECK(bm_trajectory_step(trajectory, &spread, &error) == BM_STATUS_OK);
        most = fmax(most, spread);
        if (most > BM_TRAJECTORY_SPREAD_MAX) {
            bm_trajectory_judge(trajectory, params, &verdict);
            TEST_CHECK(verdict.ended_at == i + 1);
        }
    }
    printf("two images: spread %.1e at update %llu\n", most, (unsigned long long)verdict.ended_at);
    TEST_CHECK(verdict.ended_at > 0 && verdict.compared == 0 && verdict.left_at == 0);
    bm_trajectory_close(trajectory);
    free(params);
}

/* Numbers that overflow: not the backend is at fault, float32 says nothing. */
static void test_overflow(void) {
    const struct problem wild = {dense_layers, BM_OPTIMIZER_SGD, 1e30, 1};
    struct bm_model model;
    struct bm_trajectory_verdict verdict = {0};
    struct bm_trajectory *trajectory = open_trajectory(&wild, &model, BATCH);
    float *params = calloc(bm_model_param_count(&model), sizeof *params);
    double spread = 0;
    TEST_CHECK(params != NULL);
    for (uint32_t i = 0; i < 3; i++) {
        TEST_CHECK(bm_trajectory_step(trajectory, &spread, &error) == BM_STATUS_OK);
    }
    TEST_CHECK(isnan(spread));
    bm_trajectory_judge(trajectory, params, &verdict);
    TEST_CHECK(verdict.compared == 0 && verdict.left_at == 0 && verdict.ended_at > 0);
    bm_trajectory_close(trajectory);
    free(params);
}

static void test_refusals(void) {
    const struct problem *problem = &problems[0];
    struct bm_model model;
    struct bm_trajectory *trajectory = open_trajectory(problem, &model, 2 * IMAGES);
    double spread = 0;
    TEST_CHECK(bm_trajectory_update_max(trajectory) == 1); /* all of them */
    TEST_CHECK(bm_trajectory_step(trajectory, &spread, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_trajectory_step(trajectory, &spread, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "epoch 0, which has 1, found 2");
    bm_trajectory_close(trajectory);
    struct bm_trajectory_request request = {.model = &model,
                                            .dataset = &dataset,
                                            .batch = BATCH,
                                            .member_count = BM_TRAJECTORY_MEMBER_MAX + 1};
    TEST_CHECK(bm_trajectory_open(&request, &trajectory, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected at most 64 members, found 65");
    request.batch = 0;
    TEST_CHECK(bm_trajectory_open(&request, &trajectory, &error) == BM_STATUS_INVALID);
    TEST_CHECK(trajectory == NULL);
    bm_trajectory_close(NULL);
}

/* ---- Data and plugins ---- */

static float *make_coarse(void) {
    const struct bm_data *data = &dataset.split[BM_SPLIT_TRAIN];
    size_t units = (size_t)dataset.shape.height * dataset.shape.width;
    float *images = aligned_alloc(64, (IMAGES * units * sizeof *images + 63) / 64 * 64);
    TEST_CHECK(images != NULL && data->type == BM_DATA_UINT8);
    for (size_t i = 0; i < IMAGES * units; i++) {
        float value = data->scale[0] * (float)((const uint8_t *)data->images)[i] + data->shift[0];
        images[i] = rounded(value, 10);
    }
    coarse = dataset;
    coarse.split[BM_SPLIT_TRAIN] = (struct bm_data){.size = sizeof(struct bm_data),
                                                    .type = BM_DATA_FLOAT32,
                                                    .count = IMAGES,
                                                    .images = images,
                                                    .labels = data->labels};
    return images;
}

/* Those that are built and that this processor runs. */
static uint32_t find_plugins(const struct bm_plugin **plugins, const char **names) {
    static const char *const wanted[] = {"scalar", "avx2"};
    uint32_t count = 0;
    for (uint32_t i = 0; i < 2; i++) {
        char path[512];
        uint32_t devices = 0;
        (void)snprintf(path, sizeof path, "%s/bm_%s.so", bm_test_env("BM_TEST_PLUGIN_DIR"),
                       wanted[i]);
        if (access(path, R_OK) != 0) {
            continue;
        }
        TEST_CHECK_MSG(bm_loader_load(path, NULL, &plugins[count], &error) == BM_STATUS_OK, "%s",
                       error.text);
        names[count] = wanted[i];
        TEST_CHECK(plugins[count]->device_count(&devices, &error) == BM_STATUS_OK);
        count += devices > 0;
    }
    return count;
}

int main(void) {
    const struct bm_plugin *plugins[2] = {NULL};
    const char *names[2] = {NULL};
    const struct bm_data_synthetic synthetic = {
        .shape = {1, 14, 14}, .class_count = 10, .train_count = IMAGES, .test_count = 1, .seed = 3};
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &synthetic, &dataset, &error) == BM_STATUS_OK,
                   "%s", error.text);
    float *images = make_coarse();
    test_factor();
    test_rest();
    test_undetermined();
    test_overflow();
    test_refusals();
    uint32_t count = find_plugins(plugins, names);
    if (count == 0) {
        TEST_SKIP("neither bm_scalar.so nor bm_avx2.so is built");
    }
    test_problems(plugins, names, count);
    free(images);
    bm_dataset_close(&dataset);
    return 0;
}
