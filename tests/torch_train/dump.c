/*
 * Writes what results/torch_train.py has to reproduce, a number a line:
 *
 *     start MODEL CHANNELS SIDE SEED          bits of the start
 *     order SEED EPOCH COUNT                  order of an epoch
 *     data NAME DIR                           scale, shift, and a sum for each split
 *     train NAME DIR TRAIN_COUNT MODEL OPTIMIZER RATE MOMENTUM DECAY SEED BATCH UPDATES
 *                                             float64 training without dropout: losses, parameters,
 * statistics
 */
#include "data.h"
#include "random.h"
#include "reference.h"
#include "test.h"

#include <inttypes.h>
#include <math.h>

static struct bm_error error;
static struct bm_model model;

static void *take(uint64_t count, size_t size) {
    void *memory = calloc(count + 1, size);
    TEST_CHECK(memory != NULL);
    return memory;
}

static uint64_t number(const char *word) {
    char *end = NULL;
    uint64_t found = strtoull(word, &end, 10);
    TEST_CHECK_MSG(*word != '\0' && *end == '\0', "expected a whole number, found \"%s\"", word);
    return found;
}

static double real(const char *word) {
    char *end = NULL;
    double found = strtod(word, &end);
    TEST_CHECK_MSG(*word != '\0' && *end == '\0', "expected a number, found \"%s\"", word);
    return found;
}

static void build_model(const char *name, struct bm_shape shape) {
    TEST_CHECK_MSG(bm_model_named(name, shape, 10, &model, &error) == BM_STATUS_OK, "%s",
                   error.text);
}

static void print_bits(const float *values, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &values[i], sizeof bits);
        (void)printf("%08" PRIx32 "\n", bits);
    }
}

static void print_start(char **words) {
    uint32_t side = (uint32_t)number(words[2]);
    build_model(words[0], (struct bm_shape){(uint32_t)number(words[1]), side, side});
    uint64_t count = bm_model_param_count(&model);
    float *values = take(count, sizeof *values);
    bm_model_start(&model, number(words[3]), values);
    print_bits(values, count);
    free(values);
}

static void print_order(char **words) {
    uint32_t count = (uint32_t)number(words[2]);
    uint32_t *order = take(count, sizeof *order);
    bm_random_permutation(number(words[0]), (uint32_t)number(words[1]), order, count);
    for (uint32_t i = 0; i < count; i++) {
        (void)printf("%" PRIu32 "\n", order[i]);
    }
    free(order);
}

static void open_data(char **words, struct bm_dataset *dataset) {
    TEST_CHECK_MSG(bm_dataset_open(words[0], words[1], NULL, dataset, &error) == BM_STATUS_OK, "%s",
                   error.text);
}

/* Each byte times its place, so that no two bytes may be exchanged. */
static void print_split(const struct bm_data *data, uint64_t size) {
    uint64_t sum = 0;
    const uint8_t *pixels = data->images;
    for (uint64_t i = 0; i < data->count * size; i++) {
        sum += pixels[i] * (i + 1);
    }
    for (uint64_t i = 0; i < data->count; i++) {
        sum += (uint64_t)data->labels[i] * (i + 1);
    }
    (void)printf("%" PRIu64 "\n%" PRIu64 "\n", data->count, sum);
}

static void print_data(char **words) {
    struct bm_dataset dataset;
    open_data(words, &dataset);
    struct bm_shape shape = dataset.shape;
    print_bits(dataset.scale, shape.channels);
    print_bits(dataset.shift, shape.channels);
    print_split(&dataset.split[BM_SPLIT_TRAIN],
                (uint64_t)shape.channels * shape.height * shape.width);
    print_split(&dataset.split[BM_SPLIT_TEST],
                (uint64_t)shape.channels * shape.height * shape.width);
    bm_dataset_close(&dataset);
}

/* ---- Training in float64 ---- */

struct training {
    const struct bm_data *data;
    struct bm_hyper hyper;
    uint32_t optimizer;
    uint32_t count; /* images that are trained on: the first ones */
    uint64_t seed;
    uint64_t batch;
    uint64_t param_count;
    double *params;
    double *state[BM_STATE_SLOT_MAX];
    float *narrow; /* the parameters as the gradient takes them */
    double *statistics;
    uint32_t *order;
};

static void start_training(struct training *training) {
    training->param_count = bm_model_param_count(&model);
    training->narrow = take(training->param_count, sizeof(float));
    training->params = take(training->param_count, sizeof(double));
    training->state[0] = take(training->param_count, sizeof(double));
    training->state[1] = take(training->param_count, sizeof(double));
    training->statistics = take(bm_model_statistics_count(&model), sizeof(double));
    training->order = take(training->count, sizeof(uint32_t));
    bm_model_start(&model, training->seed, training->narrow);
    for (uint64_t i = 0; i < training->param_count; i++) {
        training->params[i] = (double)training->narrow[i];
    }
}

static void end_training(struct training *training) {
    free(training->narrow);
    free(training->params);
    free(training->state[0]);
    free(training->state[1]);
    free(training->statistics);
    free(training->order);
}

/* One update with order[first .. first + count), count the mean's divisor. */
static void update(struct training *training, uint64_t first, uint64_t count) {
    struct bm_reference reference;
    struct bm_reference_request request = {
        .model = &model,
        .data = training->data,
        .order = training->order + first,
        .count = count,
        .divisor = (double)count,
        .update = training->hyper.update,
        .seed = training->seed,
        .flags = BM_SLICE_NO_DROPOUT,
        .thread_count = 1,
        .multiply_roundoff = 0x1p-24,
        .accumulate_roundoff = 0x1p-24,
        .params = training->narrow,
        .statistics = training->hyper.update == 1 ? NULL : training->statistics,
    };
    TEST_CHECK_MSG(bm_reference_gradient(&request, &reference, &error) == BM_STATUS_OK, "%s",
                   error.text);
    bm_reference_apply(&model, training->optimizer, &training->hyper, reference.gradient,
                       training->params, training->state);
    for (uint64_t i = 0; i < training->param_count; i++) {
        training->narrow[i] = (float)training->params[i];
    }
    memcpy(training->statistics, reference.statistics, reference.statistics_count * sizeof(double));
    (void)printf("%a\n", reference.loss);
    bm_reference_free(&reference);
}

static void train(struct training *training, uint64_t updates) {
    uint64_t first = 0;
    uint32_t epoch = 0;
    for (uint64_t t = 1; t <= updates; t++) {
        if (first == 0) {
            bm_random_permutation(training->seed, epoch++, training->order, training->count);
        }
        uint64_t left = training->count - first;
        uint64_t count = left < training->batch ? left : training->batch;
        training->hyper.update = t;
        update(training, first, count);
        first = (first + count) % training->count;
    }
}

static void print_training(char **words) {
    struct bm_dataset dataset;
    struct training training = {0};
    open_data(words, &dataset);
    build_model(words[3], dataset.shape);
    training.data = &dataset.split[BM_SPLIT_TRAIN];
    training.count = (uint32_t)number(words[2]);
    training.optimizer = (uint32_t)bm_optimizer_find(words[4]);
    training.hyper = bm_optimizer_defaults(training.optimizer, real(words[5]), 1);
    training.hyper.momentum = real(words[6]);
    training.hyper.decay = real(words[7]);
    training.seed = number(words[8]);
    training.batch = number(words[9]);
    start_training(&training);
    train(&training, number(words[10]));
    for (uint64_t i = 0; i < training.param_count; i++) {
        (void)printf("%a\n", training.params[i]);
    }
    for (uint64_t i = 0; i < bm_model_statistics_count(&model); i++) {
        (void)printf("%a\n", training.statistics[i]);
    }
    end_training(&training);
    bm_dataset_close(&dataset);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int words;
        void (*print)(char **words);
    } modes[] = {{"start", 4, print_start},
                 {"order", 3, print_order},
                 {"data", 2, print_data},
                 {"train", 11, print_training}};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (argc == modes[i].words + 2 && strcmp(argv[1], modes[i].name) == 0) {
            modes[i].print(argv + 2);
            return fflush(stdout) == 0 ? 0 : 1;
        }
    }
    (void)fprintf(stderr, "bm_dump: expected start, order, data or train with its words\n");
    return 2;
}
