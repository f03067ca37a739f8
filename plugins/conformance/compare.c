#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Three, or as many as there are; and the largest. */
uint32_t bm_conform_budgets(const struct bm_conform *conform,
                            uint32_t budgets[BM_CONFORM_BUDGETS]) {
    uint32_t count = 0;
    while (count < BM_CONFORM_BUDGETS - 1 && count < conform->thread_max) {
        budgets[count] = count + 1;
        count++;
    }
    if (count == 0 || budgets[count - 1] < conform->thread_max) {
        budgets[count++] = conform->thread_max > 0 ? conform->thread_max : 1;
    }
    return count;
}

/* ---- Names ---- */

static int name_param(const struct bm_model *model, uint64_t index, char *text, size_t capacity) {
    static const char *const kinds[] = {"weight", "bias", "gain", "shift"};
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (index >= tensors[i].offset && index - tensors[i].offset < tensors[i].count) {
            return snprintf(text, capacity, "layer %u %s [%llu]", tensors[i].layer,
                            kinds[tensors[i].kind],
                            (unsigned long long)(index - tensors[i].offset));
        }
    }
    return snprintf(text, capacity, "[%llu]", (unsigned long long)index);
}

static int
name_statistic(const struct bm_model *model, uint64_t index, char *text, size_t capacity) {
    for (uint32_t l = 0; l < model->layer_count; l++) {
        uint64_t channels = model->output[l].channels;
        if (model->layers[l].kind != BM_LAYER_BATCHNORM) {
            continue;
        }
        if (index < 2 * channels) {
            return snprintf(text, capacity, "layer %u running %s [%llu]", l,
                            index < channels ? "mean" : "variance",
                            (unsigned long long)(index % channels));
        }
        index -= 2 * channels;
    }
    return snprintf(text, capacity, "[%llu]", (unsigned long long)index);
}

struct element_name {
    char text[64];
};

static struct element_name
name_element(const struct bm_conform_place *place, uint32_t layout, uint64_t index) {
    struct element_name name = {.text = ""};
    if (layout == BM_CONFORM_PARAMS) {
        (void)name_param(&place->test->model, index, name.text, sizeof name.text);
    } else {
        (void)name_statistic(&place->test->model, index, name.text, sizeof name.text);
    }
    return name;
}

struct place_name {
    char text[512];
};

static struct place_name name_place(const struct bm_conform_place *place) {
    struct place_name name;
    char layers[256];
    const struct bm_problem *problem = &place->test->problem;
    const struct bm_slice *slice = &place->slice;
    bm_model_format(&place->test->model, layers, sizeof layers);
    (void)snprintf(name.text, sizeof name.text,
                   "%s of \"%s\" on %ux%ux%u, %s, batch %llu (first %llu, flags %u, update %llu, "
                   "divisor %g), batch_max %llu, threads %u%s",
                   place->what, layers, problem->input_channels, problem->input_height,
                   problem->input_width, bm_optimizer_names[problem->optimizer],
                   (unsigned long long)slice->count, (unsigned long long)slice->first, slice->flags,
                   (unsigned long long)slice->update, slice->divisor,
                   (unsigned long long)problem->batch_max, problem->thread_count, place->how);
    return name;
}

static uint64_t length_of(const struct bm_conform_place *place, uint32_t layout) {
    return layout == BM_CONFORM_PARAMS ? place->test->param_count : place->test->statistics_count;
}

/* ---- Comparisons ---- */

static int is_near(double found, double expected, double bound) {
    return isfinite(found) && fabs(found - expected) <= bound;
}

void bm_conform_expect_near(const struct bm_conform_place *place,
                            uint32_t layout,
                            const float *found,
                            const double *expected,
                            const double *bound) {
    uint64_t count = length_of(place, layout);
    uint64_t first = count;
    uint64_t wrong = 0;
    for (uint64_t i = count; i > 0; i--) {
        if (!is_near((double)found[i - 1], expected[i - 1], bound[i - 1])) {
            first = i - 1;
            wrong++;
        }
    }
    EXPECT(place->test->conform, wrong == 0,
           "%s: %s: expected %.9g +- %.3g, found %.9g (%llu of %llu values are outside)",
           name_place(place).text, name_element(place, layout, first).text, expected[first],
           bound[first], (double)found[first], (unsigned long long)wrong,
           (unsigned long long)count);
}

void bm_conform_expect_bits(const struct bm_conform_place *place,
                            uint32_t layout,
                            const float *found,
                            const float *expected) {
    uint64_t count = length_of(place, layout);
    for (uint64_t i = 0; i < count; i++) {
        EXPECT(place->test->conform, memcmp(&found[i], &expected[i], sizeof found[i]) == 0,
               "%s: %s: expected the bits of %a, found %a", name_place(place).text,
               name_element(place, layout, i).text, (double)expected[i], (double)found[i]);
    }
}

void bm_conform_expect_number(const struct bm_conform_place *place,
                              double found,
                              double expected,
                              double bound) {
    EXPECT(place->test->conform, is_near(found, expected, bound),
           "%s: expected %.12g +- %.3g, found %.12g", name_place(place).text, expected, bound,
           found);
}

/* ---- The reference ---- */

const struct bm_precision *bm_conform_precision(const struct bm_conform_session *test) {
    const struct bm_device_info *info = &test->conform->info;
    for (uint32_t i = 0; i < info->precision_count && i < BM_PRECISION_COUNT_MAX; i++) {
        if (strcmp(info->precisions[i].name, test->problem.precision) == 0) {
            return &info->precisions[i];
        }
    }
    bm_conform_fail(test->conform, "device_info: expected the precision %.16s, found none of it",
                    test->problem.precision);
}

/* A thread costs more than it saves on a small slice. */
#define SMALL_SLICE (UINT64_C(1) << 17)

void bm_conform_reference(struct bm_conform_session *test,
                          const struct bm_slice *slice,
                          const float *params,
                          const double *statistics,
                          struct bm_reference *reference) {
    const struct bm_precision *precision = bm_conform_precision(test);
    const struct bm_reference_request request = {
        .model = &test->model,
        .data = &test->data,
        .order = test->order + slice->first,
        .count = slice->count,
        .divisor = slice->divisor,
        .update = slice->update,
        .seed = test->problem.seed,
        .flags = slice->flags & ~BM_SLICE_ACCUMULATE,
        .thread_count = slice->count * test->param_count < SMALL_SLICE
                            ? 1
                            : test->conform->request->thread_count,
        .multiply_roundoff = precision->multiply_roundoff,
        .accumulate_roundoff = precision->accumulate_roundoff,
        .params = params != NULL ? params : test->params,
        .statistics = statistics};
    struct bm_error error = {0};
    EXPECT(test->conform, bm_reference_gradient(&request, reference, &error) == BM_STATUS_OK, "%s",
           error.text);
}

int bm_conform_has_state(const struct bm_conform_session *test) {
    return test->plugin->read_state != NULL && test->plugin->write_state != NULL;
}
