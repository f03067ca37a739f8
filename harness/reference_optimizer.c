/*
 * The nine rules in float64, and how far one float32 step may be from them.
 *
 * The bound of an element is the sum of two parts. The interval: with g in [g - e, g + e] the rule
 * is evaluated at both ends, and where it turns inside the interval (adam: at one known g) there
 * too; layer norms have their own interval. The roundings: each intermediate result of the rule has
 * a relative error u, so that a sum of terms has at most u times the sum of the terms' sizes,
 * however much they cancel. Divisions and square roots take what Vulkan allows (2.5 and 3 ulp); a
 * processor that rounds them correctly has half an ulp. Coefficients (1 - b1, 1 / (1 - b1^t), ...)
 * are functions of the double hyper-parameters and are rounded once.
 */
#include "error.h"
#include "reference.h"

#include <math.h>
#include <string.h>

#define U 0x1p-24
#define DIVIDE_ROUNDINGS 5.0 /* in units of u = half an ulp */
#define ROOT_ROUNDINGS 6.0
#define TINY 0x1p-126 /* results below may be flushed to zero */

#define NORM_ROUNDINGS                                                                             \
    4.0 /* a ratio of norms summed in double, rounded to float32 and multiplied */

const char *const bm_optimizer_names[BM_OPTIMIZER_COUNT + 1] = {
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lars", "lamb", NULL,
};

int32_t bm_optimizer_find(const char *name) {
    for (uint32_t i = 0; i < BM_OPTIMIZER_COUNT; i++) {
        if (strcmp(bm_optimizer_names[i], name) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

uint32_t bm_optimizer_slot_count(uint32_t optimizer) {
    static const uint32_t counts[BM_OPTIMIZER_COUNT] = {
        [BM_OPTIMIZER_MOMENTUM] = 1, [BM_OPTIMIZER_NESTEROV] = 1, [BM_OPTIMIZER_ADAGRAD] = 1,
        [BM_OPTIMIZER_RMSPROP] = 1,  [BM_OPTIMIZER_ADAM] = 2,     [BM_OPTIMIZER_ADAMW] = 2,
        [BM_OPTIMIZER_LARS] = 1,     [BM_OPTIMIZER_LAMB] = 2,
    };
    BM_ASSERT(optimizer < BM_OPTIMIZER_COUNT);
    return counts[optimizer];
}

struct bm_hyper bm_optimizer_defaults(uint32_t optimizer, double rate, uint64_t update) {
    struct bm_hyper hyper = {.size = sizeof hyper,
                             .update = update,
                             .rate = rate,
                             .momentum = 0.9,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .epsilon = 1e-8,
                             .trust = 0.001};
    if (optimizer == BM_OPTIMIZER_ADAGRAD) {
        hyper.epsilon = 1e-10;
    } else if (optimizer == BM_OPTIMIZER_RMSPROP) {
        hyper.beta2 = 0.99;
    } else if (optimizer == BM_OPTIMIZER_LAMB) {
        hyper.epsilon = 1e-6;
    }
    if (optimizer == BM_OPTIMIZER_ADAMW || optimizer == BM_OPTIMIZER_LAMB) {
        hyper.decay = 0.01;
    }
    return hyper;
}

/* ---- One element ---- */

/* A step of one tensor; a rule without momenta has its ratio 1. */
struct step {
    uint32_t optimizer;
    const struct bm_hyper *hyper;
    double decay;    /* 0 where the tensor is not decayed */
    double correct1; /* 1 - b1^t */
    double correct2;
    double ratio; /* lars: q, lamb: |w| / |p| */
    double ratio_low;
    double ratio_high;
};

struct element {
    double param;
    double state[BM_STATE_SLOT_MAX];
};

/* (m / c1) / (sqrt(v / c2) + e) */
static double adam_direction(const struct step *step, const struct element *to) {
    return to->state[0] / step->correct1 /
           (sqrt(to->state[1] / step->correct2) + step->hyper->epsilon);
}

static void adam_moments(const struct bm_hyper *hyper, double g, struct element *to) {
    to->state[0] = hyper->beta1 * to->state[0] + (1 - hyper->beta1) * g;
    to->state[1] = hyper->beta2 * to->state[1] + (1 - hyper->beta2) * g * g;
}

/* The rules of plugin.h, for the element `e` with the gradient g. */
static struct element take_step(const struct step *step, struct element e, double g, double ratio) {
    const struct bm_hyper *h = step->hyper;
    double coupled = g + step->decay * e.param;
    switch (step->optimizer) {
    case BM_OPTIMIZER_SGD:
        e.param -= h->rate * coupled;
        break;
    case BM_OPTIMIZER_MOMENTUM:
        e.state[0] = h->momentum * e.state[0] - h->rate * coupled;
        e.param += e.state[0];
        break;
    case BM_OPTIMIZER_NESTEROV:
        e.state[0] = h->momentum * e.state[0] - h->rate * coupled;
        e.param += h->momentum * e.state[0] - h->rate * coupled;
        break;
    case BM_OPTIMIZER_ADAGRAD:
        e.state[0] += coupled * coupled;
        e.param -= h->rate * coupled / (sqrt(e.state[0]) + h->epsilon);
        break;
    case BM_OPTIMIZER_RMSPROP:
        e.state[0] = h->beta2 * e.state[0] + (1 - h->beta2) * coupled * coupled;
        e.param -= h->rate * coupled / (sqrt(e.state[0]) + h->epsilon);
        break;
    case BM_OPTIMIZER_ADAM:
        adam_moments(h, coupled, &e);
        e.param -= h->rate * adam_direction(step, &e);
        break;
    case BM_OPTIMIZER_ADAMW:
        adam_moments(h, g, &e);
        e.param -= h->rate * (step->decay * e.param + adam_direction(step, &e));
        break;
    case BM_OPTIMIZER_LARS:
        e.state[0] = h->momentum * e.state[0] + h->rate * ratio * coupled;
        e.param -= e.state[0];
        break;
    default:
        BM_ASSERT(step->optimizer == BM_OPTIMIZER_LAMB);
        adam_moments(h, g, &e);
        e.param -= h->rate * ratio * (adam_direction(step, &e) + step->decay * e.param);
    }
    return e;
}

/* ---- Norms ---- */

static uint32_t uses_norms(uint32_t optimizer) {
    return optimizer == BM_OPTIMIZER_LARS || optimizer == BM_OPTIMIZER_LAMB;
}

static double norm_of(const double *values, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += values[i] * values[i];
    }
    return sqrt(sum);
}

static struct element
element_at(const struct step *step, const double *params, const double *const *state, uint64_t i) {
    struct element e = {.param = params[i]};
    for (uint32_t slot = 0; slot < bm_optimizer_slot_count(step->optimizer); slot++) {
        e.state[slot] = state[slot][i];
    }
    return e;
}

static double lamb_direction(const struct step *step, const struct element *before, double g) {
    struct element after = *before;
    adam_moments(step->hyper, g, &after);
    return adam_direction(step, &after) + step->decay * before->param;
}

static double divide_or_one(double above, double below) {
    return above == 0 || below == 0 ? 1 : above / below;
}

/* The ratio with `below` in [below - slack, below + slack]. */
static void set_ratio(struct step *step, double above, double below, double slack) {
    step->ratio = divide_or_one(above, below);
    step->ratio_low = above == 0 ? 1 : above / (below + slack);
    step->ratio_high = above == 0 ? 1 : below > slack ? above / (below - slack) : HUGE_VAL;
    if (below == 0) { /* a ratio of 1 where the norm is 0 for everybody */
        step->ratio_low = fmin(step->ratio_low, 1);
        step->ratio_high = slack == 0 ? 1 : HUGE_VAL;
    }
}

static struct step
make_step(uint32_t optimizer, const struct bm_hyper *hyper, const struct bm_tensor *tensor) {
    uint32_t exempt = uses_norms(optimizer) && tensor->kind != BM_TENSOR_WEIGHT;
    return (struct step){.optimizer = optimizer,
                         .hyper = hyper,
                         .decay = exempt ? 0 : hyper->decay,
                         .correct1 = 1 - pow(hyper->beta1, (double)hyper->update),
                         .correct2 = 1 - pow(hyper->beta2, (double)hyper->update),
                         .ratio = 1,
                         .ratio_low = 1,
                         .ratio_high = 1};
}

/* ---- Bounds of one element ---- */

static double sum_of_sizes(double a, double b) {
    return fabs(a) + fabs(b);
}

/* Roundings of g + wd w: wd, the product, the sum. */
static double coupled_rounding(const struct step *step, double w, double g) {
    double decayed = step->decay * w;
    return step->decay == 0 ? 0 : U * (2 * fabs(decayed) + sum_of_sizes(g, decayed));
}

/* Roundings of c a + d b with rounded coefficients. */
static double mix_rounding(double ca, double db) {
    return 3 * U * sum_of_sizes(ca, db);
}

/* Error of r a / (sqrt(s) + e) for errors of a and s. `quotient` is the exact value, `sized` that
 * of |a|'s upper bound. */
static double quotient_error(double a, double a_error, double s, double s_error, double epsilon) {
    double root = sqrt(s);
    double lowest = sqrt(fmax(s - s_error, 0));
    double root_error = root - lowest + ROOT_ROUNDINGS * U * root;
    double below = root + epsilon;
    double least = fmax(below - root_error - 2 * U * below, epsilon * (1 - 2 * U));
    double quotient_high = (fabs(a) + a_error) / least;
    return quotient_high - fabs(a) / below + DIVIDE_ROUNDINGS * U * quotient_high;
}

/* Roundings of m and v of adam, and of the direction made from them. */
struct adam_rounding {
    double m;
    double v;
    double direction;
};

static struct adam_rounding
adam_roundings(const struct step *step, const struct element *before, double g, double g_error) {
    const struct bm_hyper *h = step->hyper;
    struct element after = *before;
    struct adam_rounding r;
    adam_moments(h, g, &after);
    r.m = mix_rounding(h->beta1 * before->state[0], (1 - h->beta1) * g) + (1 - h->beta1) * g_error;
    r.v = mix_rounding(h->beta2 * before->state[1], (1 - h->beta2) * g * g) +
          (1 - h->beta2) * (U * g * g + 2 * fabs(g) * g_error) + TINY;
    double m = after.state[0] / step->correct1;
    double v = after.state[1] / step->correct2;
    r.direction = quotient_error(m, r.m / step->correct1 + DIVIDE_ROUNDINGS * U * fabs(m), v,
                                 r.v / step->correct2 + DIVIDE_ROUNDINGS * U * v, h->epsilon);
    return r;
}

static struct element adam_family_rounding(const struct step *step,
                                           const struct element *e,
                                           const struct element *after,
                                           double g) {
    const struct bm_hyper *h = step->hyper;
    uint32_t coupled = step->optimizer == BM_OPTIMIZER_ADAM;
    double used = coupled ? g + step->decay * e->param : g;
    struct adam_rounding r =
        adam_roundings(step, e, used, coupled ? coupled_rounding(step, e->param, g) : 0);
    double direction = adam_direction(step, after);
    double decayed = coupled ? 0 : step->decay * e->param;
    double error = r.direction + 2 * U * fabs(decayed) + U * sum_of_sizes(direction, decayed);
    double scale = h->rate * step->ratio;
    double ratio_error = step->optimizer == BM_OPTIMIZER_LAMB ? NORM_ROUNDINGS * U : 0;
    double sizes = scale * sum_of_sizes(direction, decayed);
    struct element out = {.state = {r.m, r.v}};
    out.param = scale * error + (2 * U + ratio_error) * sizes;
    if (step->optimizer == BM_OPTIMIZER_ADAMW) {
        /* w (1 - r wd), rounded by itself, then the step. */
        out.param += 2 * U * fabs(e->param) * (step->decay > 0);
    }
    return out;
}

static struct element root_family_rounding(const struct step *step,
                                           const struct element *e,
                                           const struct element *after,
                                           double g) {
    const struct bm_hyper *h = step->hyper;
    double coupled = g + step->decay * e->param;
    double error = coupled_rounding(step, e->param, g);
    double kept = step->optimizer == BM_OPTIMIZER_ADAGRAD ? 1 : h->beta2;
    double share = step->optimizer == BM_OPTIMIZER_ADAGRAD ? 1 : 1 - h->beta2;
    double s_error = share * (2 * fabs(coupled) * error + U * coupled * coupled) +
                     mix_rounding(kept * e->state[0], share * coupled * coupled) + TINY;
    double quotient = quotient_error(coupled, error, after->state[0], s_error, h->epsilon);
    double value = coupled / (sqrt(after->state[0]) + h->epsilon);
    return (struct element){h->rate * (quotient + 3 * U * fabs(value)), {s_error, 0}};
}

static struct element momentum_family_rounding(const struct step *step,
                                               const struct element *e,
                                               const struct element *after,
                                               double g) {
    const struct bm_hyper *h = step->hyper;
    double coupled = g + step->decay * e->param;
    double scale = h->rate * step->ratio;
    double pushed = scale * coupled;
    double ratio_error = step->optimizer == BM_OPTIMIZER_LARS ? NORM_ROUNDINGS * U : 0;
    double push =
        scale * coupled_rounding(step, e->param, g) + (2 * U + ratio_error) * fabs(pushed);
    if (step->optimizer == BM_OPTIMIZER_SGD) {
        return (struct element){.param = push};
    }
    double m = push + mix_rounding(h->momentum * e->state[0], pushed);
    struct element out = {m, {m, 0}};
    if (step->optimizer == BM_OPTIMIZER_NESTEROV) {
        double carried = h->momentum * after->state[0];
        out.param = fabs(h->momentum) * m + push + mix_rounding(carried, pushed);
    }
    return out;
}

/* What rounding alone may do. */
static struct element step_rounding(const struct step *step, const struct element *e, double g) {
    struct element after = take_step(step, *e, g, step->ratio);
    struct element out;
    switch (step->optimizer) {
    case BM_OPTIMIZER_ADAGRAD:
    case BM_OPTIMIZER_RMSPROP:
        out = root_family_rounding(step, e, &after, g);
        break;
    case BM_OPTIMIZER_ADAM:
    case BM_OPTIMIZER_ADAMW:
    case BM_OPTIMIZER_LAMB:
        out = adam_family_rounding(step, e, &after, g);
        break;
    default:
        out = momentum_family_rounding(step, e, &after, g);
    }
    /* The parameter's own rounding; everything may be flushed. */
    out.param += U * sum_of_sizes(after.param, out.param) + TINY;
    out.state[0] += U * out.state[0] + TINY;
    out.state[1] += U * out.state[1] + TINY;
    return out;
}

/*
 * Where (a + p g) / (sqrt(b + q g^2) + e) turns: p (b + e sqrt(b + q g^2)) = a q g, by iteration
 * from e = 0. For a coupled rule g is g + wd w.
 */
static double turning_point(const struct step *step, const struct element *e) {
    const struct bm_hyper *h = step->hyper;
    double a = h->beta1 * e->state[0];
    double p = 1 - h->beta1;
    double b = h->beta2 * e->state[1];
    double q = 1 - h->beta2;
    double epsilon = h->epsilon * sqrt(step->correct2);
    double g = p * b / (a * q);
    for (uint32_t i = 0; i < 8 && isfinite(g); i++) {
        g = p * (b + epsilon * sqrt(b + q * g * g)) / (a * q);
    }
    return step->optimizer == BM_OPTIMIZER_ADAM ? g - step->decay * e->param : g;
}

static void
widen_by(struct element *bound, const struct element *middle, const struct element *end) {
    bound->param = fmax(bound->param, fabs(end->param - middle->param));
    for (uint32_t slot = 0; slot < BM_STATE_SLOT_MAX; slot++) {
        bound->state[slot] = fmax(bound->state[slot], fabs(end->state[slot] - middle->state[slot]));
    }
}

/* How far the exact rule may be for a gradient in [g - error, g + error] and a ratio in its
 * interval. */
static struct element
step_interval(const struct step *step, const struct element *e, double g, double error) {
    struct element middle = take_step(step, *e, g, step->ratio);
    struct element bound = {0};
    /* Both ends, where the square of g (coupled) is least, and where adam's direction turns. */
    double points[4] = {g - error, g + error, -step->decay * e->param, g};
    uint32_t adam = step->optimizer == BM_OPTIMIZER_ADAM || step->optimizer == BM_OPTIMIZER_ADAMW ||
                    step->optimizer == BM_OPTIMIZER_LAMB;
    if (adam && step->optimizer != BM_OPTIMIZER_ADAM) {
        points[2] = 0;
    }
    points[3] = adam ? turning_point(step, e) : g;
    for (uint32_t i = 0; i < 4; i++) {
        if (!(points[i] >= g - error && points[i] <= g + error)) {
            continue;
        }
        struct element low = take_step(step, *e, points[i], step->ratio_low);
        struct element high = take_step(step, *e, points[i], step->ratio_high);
        widen_by(&bound, &middle, &low);
        widen_by(&bound, &middle, &high);
    }
    return bound;
}

/* Standard and simple: every value of the interval has roundings no larger than those at its ends.
 */
static struct element
step_bound(const struct step *step, const struct element *e, double g, double error) {
    struct element interval = step_interval(step, e, g, error);
    struct element bound = step_rounding(step, e, g);
    if (error > 0) {
        struct element low = step_rounding(step, e, g - error);
        struct element high = step_rounding(step, e, g + error);
        bound.param = fmax(bound.param, fmax(low.param, high.param));
        bound.state[0] = fmax(bound.state[0], fmax(low.state[0], high.state[0]));
        bound.state[1] = fmax(bound.state[1], fmax(low.state[1], high.state[1]));
    }
    /* The rounding is taken at the middle ratio. */
    double widest = step->ratio_high > step->ratio ? step->ratio_high / step->ratio : 1;
    bound.param = bound.param * widest + interval.param;
    bound.state[0] = bound.state[0] * widest + interval.state[0];
    bound.state[1] += interval.state[1];
    return bound;
}

/* ---- Tensors ---- */

struct vectors {
    const double *gradient;
    const double *gradient_bound;
    const double *params;
    const double *const *state;
};

static double lars_slack(const struct bm_tensor *tensor, const struct vectors *of) {
    return of->gradient_bound == NULL ? 0
                                      : norm_of(of->gradient_bound + tensor->offset, tensor->count);
}

static void
set_lars_ratio(struct step *step, const struct bm_tensor *tensor, const struct vectors *of) {
    double w = norm_of(of->params + tensor->offset, tensor->count);
    double g = norm_of(of->gradient + tensor->offset, tensor->count);
    double trust = step->hyper->trust;
    if (w == 0 || g == 0) {
        step->ratio_high = g == 0 && w > 0 && lars_slack(tensor, of) > 0 ? HUGE_VAL : 1;
        return;
    }
    set_ratio(step, trust * w, g + step->decay * w, lars_slack(tensor, of));
}

static void set_lamb_ratio(struct step *step,
                           const struct bm_tensor *tensor,
                           const struct vectors *of,
                           uint32_t bounded) {
    double w = norm_of(of->params + tensor->offset, tensor->count);
    double squares = 0;
    double errors = 0;
    for (uint64_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
        struct element e = element_at(step, of->params, of->state, i);
        double p = lamb_direction(step, &e, of->gradient[i]);
        squares += p * p;
        if (bounded) {
            /* With rate and ratio 1 the parameter's error is the direction's. */
            struct bm_hyper plain = *step->hyper;
            struct step single = *step;
            plain.rate = 1;
            single.hyper = &plain;
            double gradient_error = of->gradient_bound == NULL ? 0 : of->gradient_bound[i];
            double error = step_interval(&single, &e, of->gradient[i], gradient_error).param +
                           adam_roundings(step, &e, of->gradient[i], gradient_error).direction *
                               (gradient_error == 0) +
                           4 * U * sum_of_sizes(p, step->decay * e.param);
            errors += error * error;
        }
    }
    set_ratio(step, w, sqrt(squares), sqrt(errors));
}

static void set_ratios(struct step *step,
                       const struct bm_tensor *tensor,
                       const struct vectors *of,
                       uint32_t bounded) {
    if (tensor->kind != BM_TENSOR_WEIGHT) {
        return;
    }
    if (step->optimizer == BM_OPTIMIZER_LARS) {
        set_lars_ratio(step, tensor, of);
    } else if (step->optimizer == BM_OPTIMIZER_LAMB) {
        set_lamb_ratio(step, tensor, of, bounded);
    }
}

void bm_reference_apply(const struct bm_model *model,
                        uint32_t optimizer,
                        const struct bm_hyper *hyper,
                        const double *gradient,
                        double *params,
                        double *const state[BM_STATE_SLOT_MAX]) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    uint32_t slot_count = state == NULL ? 0 : bm_optimizer_slot_count(optimizer);
    const double *slots[BM_STATE_SLOT_MAX] = {state == NULL ? NULL : state[0],
                                              state == NULL ? NULL : state[1]};
    BM_ASSERT(slot_count == bm_optimizer_slot_count(optimizer));
    for (uint32_t t = 0; t < count; t++) {
        struct step step = make_step(optimizer, hyper, &tensors[t]);
        struct vectors of = {gradient, NULL, params, slots};
        set_ratios(&step, &tensors[t], &of, 0);
        for (uint64_t i = tensors[t].offset; i < tensors[t].offset + tensors[t].count; i++) {
            struct element e =
                take_step(&step, element_at(&step, params, slots, i), gradient[i], step.ratio);
            params[i] = e.param;
            for (uint32_t slot = 0; slot < slot_count; slot++) {
                state[slot][i] = e.state[slot];
            }
        }
    }
}

void bm_reference_apply_bound(const struct bm_model *model,
                              uint32_t optimizer,
                              const struct bm_hyper *hyper,
                              const double *gradient,
                              const double *gradient_bound,
                              const double *params,
                              const double *const state[BM_STATE_SLOT_MAX],
                              double *param_bound,
                              double *const state_bound[BM_STATE_SLOT_MAX]) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(model, tensors, 2 * BM_MODEL_LAYER_MAX);
    for (uint32_t t = 0; t < count; t++) {
        struct step step = make_step(optimizer, hyper, &tensors[t]);
        struct vectors of = {gradient, gradient_bound, params, state};
        set_ratios(&step, &tensors[t], &of, 1);
        for (uint64_t i = tensors[t].offset; i < tensors[t].offset + tensors[t].count; i++) {
            struct element e = element_at(&step, params, state, i);
            struct element bound =
                step_bound(&step, &e, gradient[i], gradient_bound == NULL ? 0 : gradient_bound[i]);
            if (param_bound != NULL) {
                param_bound[i] = bound.param;
            }
            for (uint32_t slot = 0; slot < bm_optimizer_slot_count(optimizer); slot++) {
                if (state_bound != NULL && state_bound[slot] != NULL) {
                    state_bound[slot][i] = bound.state[slot];
                }
            }
        }
    }
}
