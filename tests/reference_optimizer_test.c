/* The nine rules: a plain float32 step stays inside the bound of the float64 one, faults do not;
 * with a gradient bound, every gradient inside it gives a step inside. */
#include "random.h"
#include "reference.h"
#include "test.h"

#include <math.h>

#define COUNT_MAX 600
#define UPDATES 4

static struct bm_model model;
static size_t count;
static double params[COUNT_MAX], gradient[COUNT_MAX], gradient_bound[COUNT_MAX];
static double slots[2][COUNT_MAX], param_bound[COUNT_MAX], slot_bounds[2][COUNT_MAX];
static float narrow_params[COUNT_MAX], narrow_gradient[COUNT_MAX], narrow_slots[2][COUNT_MAX];
static double *const state[2] = {slots[0], slots[1]};
static const double *const state_read[2] = {slots[0], slots[1]};
static double *const state_bound[2] = {slot_bounds[0], slot_bounds[1]};

/* ---- The rules in float32, written once more ---- */

static double norm(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sqrt(sum);
}

static float adam(const struct bm_hyper *h, float g, float *m, float *v) {
    float c1 = (float)(1 / (1 - pow(h->beta1, (double)h->update)));
    float c2 = (float)(1 / (1 - pow(h->beta2, (double)h->update)));
    *m = (float)h->beta1 * *m + (float)(1 - h->beta1) * g;
    *v = (float)h->beta2 * *v + (float)(1 - h->beta2) * (g * g);
    return *m * c1 / (sqrtf(*v * c2) + (float)h->epsilon);
}

static void
narrow_element(uint32_t rule, const struct bm_hyper *h, size_t i, float decay, float ratio) {
    float *w = &narrow_params[i];
    float *s = &narrow_slots[0][i];
    float raw = narrow_gradient[i];
    float g = raw + decay * *w;
    float rate = (float)h->rate;
    float momentum = (float)h->momentum;
    float direction;
    switch (rule) {
    case BM_OPTIMIZER_SGD:
        *w -= rate * g;
        break;
    case BM_OPTIMIZER_MOMENTUM:
        *s = momentum * *s - rate * g;
        *w += *s;
        break;
    case BM_OPTIMIZER_NESTEROV:
        *s = momentum * *s - rate * g;
        *w += momentum * *s - rate * g;
        break;
    case BM_OPTIMIZER_ADAGRAD:
        *s += g * g;
        *w -= rate * g / (sqrtf(*s) + (float)h->epsilon);
        break;
    case BM_OPTIMIZER_RMSPROP:
        *s = (float)h->beta2 * *s + (float)(1 - h->beta2) * (g * g);
        *w -= rate * g / (sqrtf(*s) + (float)h->epsilon);
        break;
    case BM_OPTIMIZER_ADAM:
        *w -= rate * adam(h, g, s, &narrow_slots[1][i]);
        break;
    case BM_OPTIMIZER_ADAMW:
        *w -= rate * decay * *w;
        *w -= rate * adam(h, raw, s, &narrow_slots[1][i]);
        break;
    case BM_OPTIMIZER_LARS:
        *s = momentum * *s + rate * ratio * g;
        *w -= *s;
        break;
    default:
        direction = adam(h, raw, s, &narrow_slots[1][i]) + decay * *w;
        *w -= rate * ratio * direction;
    }
}

static float narrow_ratio(uint32_t rule, const struct bm_hyper *h, const struct bm_tensor *t) {
    static float direction[COUNT_MAX];
    double w = norm(narrow_params + t->offset, t->count);
    if (t->kind != BM_TENSOR_WEIGHT) {
        return 1;
    }
    if (rule == BM_OPTIMIZER_LARS) {
        double g = norm(narrow_gradient + t->offset, t->count);
        return (float)(h->trust * w / (g + h->decay * w));
    }
    if (rule != BM_OPTIMIZER_LAMB) {
        return 1;
    }
    for (size_t i = 0; i < t->count; i++) {
        float m = narrow_slots[0][t->offset + i];
        float v = narrow_slots[1][t->offset + i];
        direction[i] = adam(h, narrow_gradient[t->offset + i], &m, &v) +
                       (float)h->decay * narrow_params[t->offset + i];
    }
    return (float)(w / norm(direction, t->count));
}

static void narrow_step(uint32_t rule, const struct bm_hyper *h) {
    struct bm_tensor tensors[16];
    uint32_t tensor_count = bm_model_tensors(&model, tensors, 16);
    for (uint32_t t = 0; t < tensor_count; t++) {
        uint32_t exempt = (rule == BM_OPTIMIZER_LARS || rule == BM_OPTIMIZER_LAMB) &&
                          tensors[t].kind != BM_TENSOR_WEIGHT;
        float ratio = narrow_ratio(rule, h, &tensors[t]);
        for (size_t i = 0; i < tensors[t].count; i++) {
            narrow_element(rule, h, tensors[t].offset + i, exempt ? 0 : (float)h->decay, ratio);
        }
    }
}

/* ---- Comparison ---- */

static double ratio_of(const float *found, const double *expected, const double *bound) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)found[i] - expected[i]) / bound[i]);
    }
    return most;
}

static double compare(uint32_t rule) {
    double most = ratio_of(narrow_params, params, param_bound);
    for (uint32_t s = 0; s < bm_optimizer_slot_count(rule); s++) {
        most = fmax(most, ratio_of(narrow_slots[s], slots[s], slot_bounds[s]));
    }
    return most;
}

static void start(struct bm_random *random) {
    for (size_t i = 0; i < count; i++) {
        narrow_params[i] = (float)(bm_random_double(random) - 0.5);
        narrow_slots[0][i] = 0;
        narrow_slots[1][i] = 0;
    }
}

/* Gradients from tiny to large, some zero. The reference starts from the float32 values. */
static void draw(struct bm_random *random) {
    for (size_t i = 0; i < count; i++) {
        double size = pow(10, -8 * bm_random_double(random));
        double g = i % 17 == 0 ? 0 : size * (2 * bm_random_double(random) - 1);
        narrow_gradient[i] = (float)g;
        gradient[i] = (double)narrow_gradient[i];
        params[i] = (double)narrow_params[i];
        slots[0][i] = (double)narrow_slots[0][i];
        slots[1][i] = (double)narrow_slots[1][i];
        gradient_bound[i] = 1e-5 * size;
    }
}

static void step_reference(uint32_t rule, const struct bm_hyper *h, const double *bound) {
    bm_reference_apply_bound(&model, rule, h, gradient, bound, params, state_read, param_bound,
                             state_bound);
    bm_reference_apply(&model, rule, h, gradient, params, state);
}

static void test_rule(uint32_t rule, double decay) {
    struct bm_random random;
    double exact = 0;
    double inside = 0;
    bm_random_init(&random, rule, BM_RANDOM_CHECK, 0);
    start(&random);
    for (uint64_t update = 1; update <= UPDATES; update++) {
        struct bm_hyper h = bm_optimizer_defaults(rule, 0.03, update);
        h.decay = decay;
        draw(&random);
        step_reference(rule, &h, update % 2 == 0 ? gradient_bound : NULL);
        for (size_t i = 0; i < count && update % 2 == 0; i++) {
            double moved = gradient[i] + (2 * bm_random_double(&random) - 1) * gradient_bound[i];
            narrow_gradient[i] = (float)moved;
        }
        narrow_step(rule, &h);
        double ratio = compare(rule);
        TEST_CHECK_MSG(ratio <= 1, "%s, decay %g, update %d: error / bound %.3g",
                       bm_optimizer_names[rule], decay, (int)update, ratio);
        exact = update % 2 == 0 ? exact : fmax(exact, ratio);
        inside = update % 2 == 0 ? fmax(inside, ratio) : inside;
    }
    printf("%-9s decay %-5g error / bound %.3f, with a gradient bound %.3f\n",
           bm_optimizer_names[rule], decay, exact, inside);
    TEST_CHECK(exact > 0.01); /* a few ulp, not a blank cheque */
}

/* A wrong hyper-parameter, a wrong sign, a skipped state: outside. */
static void expect_outside(uint32_t rule, const char *what, struct bm_hyper wrong, float sign) {
    struct bm_random random;
    bm_random_init(&random, rule, BM_RANDOM_CHECK, 1);
    start(&random);
    for (uint64_t update = 1; update <= 2; update++) {
        struct bm_hyper h = bm_optimizer_defaults(rule, 0.03, update);
        h.decay = 0.01;
        draw(&random);
        step_reference(rule, &h, NULL);
        if (update == 2) {
            h = wrong;
            for (size_t i = 0; i < count; i++) {
                narrow_gradient[i] *= sign;
            }
        }
        narrow_step(rule, &h);
    }
    double ratio = compare(rule);
    TEST_CHECK_MSG(ratio > 1, "%s: %s is inside: %.3g", bm_optimizer_names[rule], what, ratio);
}

static void test_mutants(uint32_t rule) {
    struct bm_hyper h = bm_optimizer_defaults(rule, 0.03, 2);
    h.decay = 0.01;
    struct bm_hyper wrong = h;
    wrong.rate *= 1.001;
    expect_outside(rule, "rate off by 0.1 %", wrong, 1);
    wrong = h;
    wrong.decay = 0;
    expect_outside(rule, "no decay", wrong, 1);
    expect_outside(rule, "wrong sign", h, -1);
    if (rule == BM_OPTIMIZER_ADAM || rule == BM_OPTIMIZER_ADAMW || rule == BM_OPTIMIZER_LAMB) {
        wrong = h;
        wrong.update = 3;
        expect_outside(rule, "bias correction of another update", wrong, 1);
    }
    if (bm_optimizer_slot_count(rule) == 1 && rule != BM_OPTIMIZER_ADAGRAD) {
        wrong = h;
        wrong.momentum *= 0.999;
        wrong.beta2 *= 0.999;
        expect_outside(rule, "momentum off by 0.1 %", wrong, 1);
    }
}

static void test_names(void) {
    for (uint32_t i = 0; i < BM_OPTIMIZER_COUNT; i++) {
        TEST_CHECK(bm_optimizer_find(bm_optimizer_names[i]) == (int32_t)i);
    }
    TEST_CHECK(bm_optimizer_find("sdg") == -1);
    TEST_CHECK(bm_optimizer_names[BM_OPTIMIZER_COUNT] == NULL);
    TEST_CHECK(bm_optimizer_defaults(BM_OPTIMIZER_RMSPROP, 1, 1).beta2 == 0.99);
    TEST_CHECK(bm_optimizer_defaults(BM_OPTIMIZER_ADAGRAD, 1, 1).epsilon == 1e-10);
    TEST_CHECK(bm_optimizer_defaults(BM_OPTIMIZER_LAMB, 1, 1).decay == 0.01);
}

int main(void) {
    struct bm_error error;
    struct bm_shape shape = {20, 1, 1};
    TEST_CHECK(bm_model_parse("test", "dense 16, batchnorm, relu, dense 3", shape, 3, &model,
                              &error) == BM_STATUS_OK);
    count = bm_model_param_count(&model);
    TEST_CHECK(count <= COUNT_MAX);
    test_names();
    for (uint32_t rule = 0; rule < BM_OPTIMIZER_COUNT; rule++) {
        test_rule(rule, 0);
        test_rule(rule, 0.01);
        test_mutants(rule);
    }
    return 0;
}
