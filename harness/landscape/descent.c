#include "descent.h"

#include "error.h"
#include "normal.h"
#include "reference.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Streams of BM_RANDOM_ESCAPE. */
#define STREAM_NOISE 0u
#define STREAM_START 1u

/* A point as the parameters of a network for the reference's rules, none of which looks beyond one
 * element: the weight and the bias of one unit with one input. */
static const struct bm_model two_params = {
    .name = "point",
    .input = {1, 1, 1},
    .class_count = 1,
    .layer_count = 1,
    .layers = {{.size = sizeof(struct bm_layer), .kind = BM_LAYER_DENSE, .outputs = 1}},
    .output = {{1, 1, 1}},
};

struct run {
    const struct bm_descent_setup *setup;
    struct bm_normal noise;
    double point[2];
    double before[2]; /* the last update */
    double slots[BM_STATE_SLOT_MAX][2];
    double gradient[2]; /* with its noise */
    struct bm_surface_values values;
};

static void take_gradient(struct run *run) {
    const struct bm_descent_setup *setup = run->setup;
    double deviation = setup->noise / sqrt((double)setup->batch);
    for (uint32_t i = 0; i < setup->surface->dimensions; i++) {
        run->gradient[i] = run->values.gradient[i];
        if (setup->noise > 0) {
            run->gradient[i] += deviation * bm_normal_next(&run->noise);
        }
    }
}

static void apply(struct run *run, uint64_t update) {
    double *const state[BM_STATE_SLOT_MAX] = {run->slots[0], run->slots[1]};
    struct bm_hyper hyper = bm_optimizer_defaults(run->setup->optimizer, run->setup->rate, update);
    hyper.momentum = run->setup->momentum;
    memcpy(run->before, run->point, sizeof run->before);
    bm_reference_apply(&two_params, run->setup->optimizer, &hyper, run->gradient, run->point,
                       state);
    run->setup->surface->at(run->point, &run->values);
}

static int is_far(const struct run *run) {
    return !(fabs(run->point[0]) <= BM_DESCENT_FAR && fabs(run->point[1]) <= BM_DESCENT_FAR);
}

/* With momentum a gradient of 0 on a hilltop is no end, so the step must be 0 too. */
static int has_stopped(const struct run *run) {
    double step = hypot(run->point[0] - run->before[0], run->point[1] - run->before[1]);
    return run->setup->noise == 0 && step <= BM_POINT_TOLERANCE * run->setup->rate &&
           bm_surface_gradient_norm(run->setup->surface, &run->values) <= BM_POINT_TOLERANCE;
}

static void
look_for_goal(const struct run *run, uint64_t update, uint32_t *been, struct bm_descent *d) {
    const struct bm_descent_goal *goal = &run->setup->goal;
    uint32_t is_there = goal->kind == BM_DESCENT_BEYOND ? run->point[0] > goal->limit
                                                        : run->values.value < goal->limit;
    if (is_there && !*been) {
        d->reached_at = update;
    }
    *been = *been || is_there;
    d->reached = goal->stays ? is_there : *been;
}

void bm_descent_run(const struct bm_descent_setup *setup,
                    struct bm_descent *descent,
                    double *points,
                    double *gradients) {
    struct run run = {.setup = setup, .point = {setup->start[0], setup->start[1]}};
    uint32_t been = 0;
    BM_ASSERT(setup->batch > 0);
    memset(descent, 0, sizeof *descent);
    descent->ended = BM_DESCENT_LIMIT;
    bm_normal_init(&run.noise, setup->seed, BM_RANDOM_ESCAPE, STREAM_NOISE);
    setup->surface->at(run.point, &run.values);
    look_for_goal(&run, 0, &been, descent);
    for (uint64_t i = 0; points != NULL && i < 2; i++) {
        points[i] = run.point[i];
    }
    while (descent->updates < setup->updates && descent->ended == BM_DESCENT_LIMIT) {
        take_gradient(&run);
        for (uint64_t i = 0; gradients != NULL && i < 2; i++) {
            gradients[2 * descent->updates + i] = run.gradient[i];
        }
        apply(&run, ++descent->updates);
        look_for_goal(&run, descent->updates, &been, descent);
        for (uint64_t i = 0; points != NULL && i < 2; i++) {
            points[2 * descent->updates + i] = run.point[i];
        }
        descent->ended = is_far(&run)        ? BM_DESCENT_DIVERGED
                         : has_stopped(&run) ? BM_DESCENT_STOPPED
                                             : BM_DESCENT_LIMIT;
    }
    descent->reached = descent->reached && descent->ended != BM_DESCENT_DIVERGED;
    memcpy(descent->end, run.point, sizeof descent->end);
    descent->at_end = run.values;
}

void bm_descent_start(const double middle[2],
                      const double spread[2],
                      uint64_t seed,
                      double start[2]) {
    struct bm_random random;
    bm_random_init(&random, seed, BM_RANDOM_ESCAPE, STREAM_START);
    for (uint32_t i = 0; i < 2; i++) {
        start[i] = middle[i] + spread[i] * (2 * bm_random_double(&random) - 1);
    }
}

void bm_momentum_coefficients(double rate,
                              double momentum,
                              uint64_t updates,
                              double *coefficients) {
    double coefficient = -rate;
    for (uint64_t i = updates; i > 0; i--) {
        coefficients[i - 1] = coefficient;
        coefficient *= momentum;
    }
}
