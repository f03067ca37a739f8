/*
 * The part `saddle`: a network that is at rest is made wider by doubling its units (duplicate.h),
 * which is a saddle of the wide network; who leaves it, and after how many updates?
 *
 * The network is one narrow hidden layer over images reduced to a few pixels, so that full-batch
 * descent does come to rest, and the plateau is not just slow progress.
 */
#include "escape_saddle.h"

#include "curvature.h"
#include "error.h"
#include "reduced.h"
#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGES 1000u /* unless --images says otherwise */
#define UNITS 3u
#define REST_RATE 0.1
#define REST_UPDATES 1500u
#define SLOW_UPDATES 500u /* before and after them, at a tenth of the rate */
#define REST_CHECK 100u   /* updates from one message to the next */
#define SHARE 0.5

/* ---- Sessions ---- */

int32_t bm_saddle_open(struct bm_saddle *saddle,
                       const struct bm_model *model,
                       const struct bm_saddle_rule *rule,
                       uint64_t seed,
                       struct bm_probe *probe,
                       struct bm_error *error) {
    const struct bm_probe_setup setup = {.model = model,
                                         .dataset = &saddle->dataset,
                                         .optimizer = rule->optimizer,
                                         .batch = rule->batch > 0 ? rule->batch : saddle->images,
                                         .seed = seed};
    return bm_probe_open(saddle->landscape, &setup, probe, error);
}

int32_t bm_saddle_begin(struct bm_probe *probe,
                        const struct bm_saddle_rule *rule,
                        const float *params,
                        struct bm_error *error) {
    const struct bm_rate_overrides overrides = {.momentum = BM_SADDLE_MOMENTUM, .decay = NAN};
    uint64_t images = probe->setup.dataset->split[BM_SPLIT_TRAIN].count;
    uint64_t batch = probe->setup.batch;
    struct bm_rate_plan plan =
        bm_rate_plan_defaults(BM_RATE_CONSTANT, rule->rate, batch, (images + batch - 1) / batch, 0);
    return bm_probe_begin(probe, &plan, &overrides, params, error);
}

/* ---- The narrow network, to rest ---- */

/* Trains `updates` more with the full batch, which is an epoch each. */
static int32_t train_full(struct bm_probe *probe, uint64_t updates, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint64_t i = 0; i < updates && status == BM_STATUS_OK; i++) {
        struct bm_stretch stretch = {0};
        status = bm_probe_train(probe, 1, &stretch, error);
    }
    return status;
}

static int32_t look(struct bm_saddle *saddle,
                    struct bm_probe *probe,
                    float *gradient,
                    double *norm,
                    struct bm_error *error) {
    int32_t status = bm_probe_read(probe, saddle->narrow_params, error);
    status = status ? status
                    : bm_objective_at(&probe->objective, saddle->narrow_params,
                                      &saddle->narrow_loss, gradient, error);
    *norm = bm_curvature_norm_float(gradient, probe->param_count);
    return status;
}

static int32_t train_stretch(struct bm_saddle *saddle,
                             struct bm_probe *probe,
                             const struct bm_saddle_rule *rule,
                             const float *params,
                             uint64_t updates,
                             struct bm_error *error) {
    int32_t status = bm_saddle_begin(probe, rule, params, error);
    for (uint64_t made = 0; made < updates && status == BM_STATUS_OK; made += REST_CHECK) {
        bm_landscape_show(saddle->landscape, "escape: a narrow network comes to rest, %llu updates",
                          (unsigned long long)saddle->updates);
        status = bm_landscape_stopped(saddle->landscape)
                     ? bm_fail(error, BM_STATUS_TIMEOUT, "the time limit or a signal")
                     : train_full(probe, REST_CHECK, error);
        saddle->updates += REST_CHECK;
    }
    return status;
}

/* Slowly at first, so that few units are lost, being off for all images, and slowly at the end, to
 * come nearer to where kinks of relu turn the gradient round. */
static int32_t come_to_rest(struct bm_saddle *saddle,
                            struct bm_probe *probe,
                            float *gradient,
                            struct bm_error *error) {
    static const struct bm_saddle_rule slow = {BM_OPTIMIZER_MOMENTUM, REST_RATE / 10, 0};
    static const struct bm_saddle_rule fast = {BM_OPTIMIZER_MOMENTUM, REST_RATE, 0};
    const struct bm_saddle_rule *const rules[] = {&slow, &fast, &slow};
    static const uint64_t updates[] = {SLOW_UPDATES, REST_UPDATES, SLOW_UPDATES};
    double norm = 0;
    int32_t status = bm_saddle_begin(probe, &slow, NULL, error);
    status = status ? status : look(saddle, probe, gradient, &saddle->start_norm, error);
    for (uint32_t i = 0; i < 3 && status == BM_STATUS_OK; i++) {
        status = train_stretch(saddle, probe, rules[i], saddle->narrow_params, updates[i], error);
        status = status ? status : bm_probe_read(probe, saddle->narrow_params, error);
    }
    return status ? status : look(saddle, probe, gradient, &norm, error);
}

static int32_t
train_narrow(struct bm_saddle *saddle, struct bm_probe *probe, struct bm_error *error) {
    const struct bm_saddle_rule rule = {BM_OPTIMIZER_MOMENTUM, REST_RATE, 0};
    uint64_t seed = saddle->landscape->campaign->options->seed.values[0];
    int32_t status = bm_saddle_open(saddle, &saddle->narrow, &rule, seed, probe, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    float *gradient = calloc(probe->param_count, sizeof *gradient);
    saddle->narrow_params = calloc(probe->param_count, sizeof *saddle->narrow_params);
    if (gradient == NULL || saddle->narrow_params == NULL) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "escape: no memory for a network");
    } else {
        status = come_to_rest(saddle, probe, gradient, error);
    }
    free(gradient);
    return status;
}

/* ---- The saddle ---- */

/* All units, so that the wide network has twice as many. */
static int32_t double_units(struct bm_saddle *saddle, struct bm_error *error) {
    struct bm_duplicate *duplicate = &saddle->duplicate;
    duplicate->layer = 0;
    duplicate->unit_count = UNITS;
    duplicate->share = SHARE;
    for (uint32_t i = 0; i < UNITS; i++) {
        duplicate->units[i] = i;
    }
    int32_t status = bm_duplicate_model(&saddle->narrow, duplicate, &saddle->wide, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    (void)snprintf(saddle->wide.name, sizeof saddle->wide.name, "wide");
    saddle->wide_params = calloc(bm_model_param_count(&saddle->wide), sizeof(float));
    if (saddle->wide_params == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "escape: no memory for a network");
    }
    bm_duplicate_params(&saddle->narrow, duplicate, &saddle->wide, saddle->narrow_params,
                        saddle->wide_params);
    return BM_STATUS_OK;
}

/* ---- All of it ---- */

static int32_t make_narrow(struct bm_saddle *saddle, struct bm_error *error) {
    const struct bm_campaign *campaign = saddle->landscape->campaign;
    uint64_t asked = campaign->options->train.images;
    char layers[64];
    int32_t status =
        bm_reduced_open(&campaign->dataset, asked > 0 ? asked : IMAGES, &saddle->dataset, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    saddle->images = saddle->dataset.split[BM_SPLIT_TRAIN].count;
    (void)snprintf(layers, sizeof layers, "dense %u, relu, dense %u", UNITS,
                   saddle->dataset.class_count);
    return bm_model_parse("narrow", layers, saddle->dataset.shape, saddle->dataset.class_count,
                          &saddle->narrow, error);
}

/* A failure before there is a saddle is that of its object. */
static void write_failure(struct bm_landscape *landscape,
                          struct bm_probe *probe,
                          int32_t status,
                          const struct bm_error *error) {
    json_t *object = bm_landscape_object("escape", "saddle");
    bm_probe_fail(probe, object, status, error);
    bm_landscape_write(landscape, object);
}

int32_t bm_escape_saddle(struct bm_landscape *landscape) {
    struct bm_saddle saddle = {.landscape = landscape, .dataset = {.fd = -1}};
    struct bm_error error = {0};
    struct bm_probe probe = {.vectors_fd = -1};
    int32_t status = make_narrow(&saddle, &error);
    if (status == BM_STATUS_OK) {
        status = train_narrow(&saddle, &probe, &error);
        struct bm_verdict verdict = probe.verdict;
        bm_probe_close(&probe);
        probe.verdict = verdict;
    }
    status = status ? status : double_units(&saddle, &error);
    status = status ? status : bm_saddle_plateau(&saddle, &error);
    if (status == BM_STATUS_OK) {
        status = bm_saddle_leave(&saddle);
    } else {
        write_failure(landscape, &probe, status, &error);
    }
    free(saddle.narrow_params);
    free(saddle.wide_params);
    bm_dataset_close(&saddle.dataset);
    return status == BM_STATUS_NO_MEMORY ? status : BM_STATUS_OK;
}
