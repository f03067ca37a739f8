#include "examples.h"

#include "data_source.h"

#include <math.h>
#include <string.h>

/* x = (byte - CENTRE) / UNIT. The classes overlap, so that the loss has a minimum. */
#define CENTRE 128
#define UNIT 50

static const struct {
    uint8_t byte;
    uint8_t label;
} examples[BM_EXAMPLES_COUNT] = {
    {13, 0},  {68, 1},  {33, 0},  {98, 1},  {48, 0},  {123, 1}, {58, 0},
    {143, 1}, {73, 0},  {158, 1}, {88, 0},  {178, 1}, {103, 0}, {193, 1},
    {118, 0}, {208, 1}, {148, 0}, {228, 1}, {173, 0}, {248, 1},
};

/* log(1 + exp(z)) without overflow */
static double softplus(double z) {
    return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

static void examples_at(const double point[2], struct bm_surface_values *values) {
    *values = (struct bm_surface_values){.value = 0};
    for (uint32_t i = 0; i < BM_EXAMPLES_COUNT; i++) {
        double x = ((double)examples[i].byte - CENTRE) / UNIT;
        double z = point[0] * x + point[1];
        double p = 1 / (1 + exp(-z));
        double off = (p - examples[i].label) / BM_EXAMPLES_COUNT;
        double bend = p * (1 - p) / BM_EXAMPLES_COUNT;
        values->value += softplus(examples[i].label ? -z : z) / BM_EXAMPLES_COUNT;
        values->gradient[0] += off * x;
        values->gradient[1] += off;
        values->hessian[0] += bend * x * x;
        values->hessian[1] += bend * x;
        values->hessian[2] += bend;
    }
}

const struct bm_surface bm_examples_surface = {
    .name = "examples",
    .about = "mean loss over 20 examples of two overlapping classes, of slope and offset",
    .formula = "mean of log(1 + exp(-s (slope x + offset))), s = -1 for class 0, +1 for class 1",
    .dimensions = 2,
    .low = {-2, -3},
    .high = {5, 4},
    .at = examples_at,
    .critical_count = 1,
    .critical = {{1.33, 0.12}},
};

int32_t bm_examples_open(struct bm_dataset *dataset, struct bm_error *error) {
    const struct bm_data_summary summary = {{1, 1, 1}, 2, BM_EXAMPLES_COUNT, BM_EXAMPLES_COUNT};
    const double mean = CENTRE / 255.0;
    const double deviation = UNIT / 255.0;
    struct bm_data_build build;
    int32_t status = bm_data_build_begin(&build, "20 examples", &summary, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    bm_data_build_normalize(&build, &mean, &deviation);
    for (uint32_t i = 0; i < BM_EXAMPLES_COUNT; i++) {
        static const uint32_t splits[] = {BM_SPLIT_TRAIN, BM_SPLIT_TEST};
        for (uint32_t k = 0; k < 2; k++) {
            bm_data_build_images(&build, splits[k])[i] = examples[i].byte;
            bm_data_build_labels(&build, splits[k])[i] = examples[i].label;
        }
    }
    return bm_data_build_finish(&build, dataset, error);
}

void bm_examples_to_params(const double point[2], float params[BM_EXAMPLES_PARAMS]) {
    for (size_t i = 0; i < 2; i++) {
        params[2 * i + 1] = (float)(point[i] / 2);
        params[2 * i] = -params[2 * i + 1];
    }
}

void bm_examples_to_point(const float params[BM_EXAMPLES_PARAMS], double point[2]) {
    for (size_t i = 0; i < 2; i++) {
        point[i] = (double)params[2 * i + 1] - (double)params[2 * i];
    }
}

double bm_examples_asymmetry(const float params[BM_EXAMPLES_PARAMS]) {
    return fmax(fabs((double)params[0] + (double)params[1]),
                fabs((double)params[2] + (double)params[3]));
}
