/* From the doubled network's saddle: who leaves it, and after how many updates. */
#include "escape_saddle.h"
#include "normal.h"
#include "trainer.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PERTURBATION 1e-4
#define LIMIT 2000u /* updates of a run */
#define CHECK                                                                                      \
    10u           /* updates of small batches from one full loss to the next; those of the full    \
                     batch tell it themselves */
#define LEFT 0.9  /* of the plateau's loss */
#define STREAM 2u /* of BM_RANDOM_ESCAPE, behind those of descent.c */

static const char surface[] = "network";
static const char question[] = "leaves the saddle of a network";

/* One rate for all, and ten times it for plain descent, which is as long a step as momentum's. */
#define RATE 0.05

static const struct bm_saddle_rule rules[] = {
    {BM_OPTIMIZER_SGD, RATE, 0},       {BM_OPTIMIZER_SGD, 10 * RATE, 0},
    {BM_OPTIMIZER_SGD, RATE, 100},     {BM_OPTIMIZER_SGD, RATE, 10},
    {BM_OPTIMIZER_MOMENTUM, RATE, 0},  {BM_OPTIMIZER_MOMENTUM, RATE, 100},
    {BM_OPTIMIZER_MOMENTUM, RATE, 10},
};

/* One run. */
struct leave {
    const struct bm_saddle_rule *rule;
    uint64_t seed;
    double perturbation;
    uint64_t updates; /* when the loss was first seen below; 0: never */
    uint64_t made;
    uint32_t count; /* of the curve */
    uint64_t at[LIMIT + 1];
    double losses[LIMIT + 1];
};

static struct bm_escape_rule words_of(const struct bm_saddle_rule *rule) {
    return (struct bm_escape_rule){.optimizer = bm_optimizer_names[rule->optimizer],
                                   .rate = rule->rate,
                                   .momentum =
                                       rule->optimizer == BM_OPTIMIZER_SGD ? 0 : BM_SADDLE_MOMENTUM,
                                   .batch = rule->batch};
}

/* ---- Running ---- */

/* params = doubled + perturbation z, z normal */
static void
perturb(const struct bm_saddle *saddle, const struct leave *leave, uint64_t count, float *params) {
    struct bm_normal normal;
    bm_normal_init(&normal, leave->seed, BM_RANDOM_ESCAPE, STREAM);
    for (uint64_t i = 0; i < count; i++) {
        double by = leave->perturbation * bm_normal_next(&normal);
        params[i] = (float)((double)saddle->wide_params[i] + by);
    }
}

static void
note(struct leave *leave, const struct bm_saddle *saddle, uint64_t update, double loss) {
    leave->at[leave->count] = update;
    leave->losses[leave->count++] = loss;
    if (leave->updates == 0 && loss < LEFT * saddle->plateau) {
        leave->updates = update;
    }
}

/* The full batch's update t tells the loss after update t - 1. */
static int32_t run_full(struct bm_saddle *saddle,
                        struct bm_probe *probe,
                        struct leave *leave,
                        struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    while (status == BM_STATUS_OK && leave->made <= LIMIT && leave->updates == 0) {
        struct bm_stretch stretch = {0};
        status = bm_probe_train(probe, 1, &stretch, error);
        if (status == BM_STATUS_OK) {
            note(leave, saddle, leave->made, stretch.loss);
            leave->made += stretch.updates;
        }
    }
    return status;
}

static int32_t run_small(struct bm_saddle *saddle,
                         struct bm_probe *probe,
                         struct leave *leave,
                         float *params,
                         struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    while (status == BM_STATUS_OK && leave->made < LIMIT && leave->updates == 0) {
        struct bm_stretch stretch = {0};
        double loss = 0;
        status = bm_probe_train(probe, CHECK - leave->made % CHECK, &stretch, error);
        leave->made += stretch.updates;
        if (status != BM_STATUS_OK || leave->made % CHECK != 0) {
            continue;
        }
        status = bm_probe_read(probe, params, error);
        status = status ? status : bm_objective_at(&probe->objective, params, &loss, NULL, error);
        if (status == BM_STATUS_OK) {
            note(leave, saddle, leave->made, loss);
        }
    }
    return status;
}

static int32_t run_probe(struct bm_saddle *saddle,
                         struct bm_probe *probe,
                         struct leave *leave,
                         struct bm_error *error) {
    float *params = malloc(probe->param_count * sizeof *params);
    if (params == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "escape: no memory for a network");
    }
    perturb(saddle, leave, probe->param_count, params);
    int32_t status = bm_saddle_begin(probe, leave->rule, params, error);
    if (status == BM_STATUS_OK) {
        status = leave->rule->batch == 0 ? run_full(saddle, probe, leave, error)
                                         : run_small(saddle, probe, leave, params, error);
    }
    free(params);
    return status;
}

/* ---- Objects ---- */

static json_t *curve_json(const struct leave *leave) {
    uint64_t kept[BM_ESCAPE_POINTS];
    uint32_t count = leave->count > 0 ? bm_escape_thin(leave->count, kept) : 0;
    json_t *updates = json_array();
    json_t *losses = json_array();
    for (uint32_t i = 0; i < count; i++) {
        (void)json_array_append_new(updates, json_integer((json_int_t)leave->at[kept[i]]));
        (void)json_array_append_new(losses, bm_field_finite(leave->losses[kept[i]]));
    }
    return json_pack("{s:o, s:o}", "updates", updates, "losses", losses);
}

/* `probe` is NULL where no session could be opened. */
static json_t *leave_json(const struct leave *leave, const struct bm_probe *probe) {
    const struct bm_escape_rule rule = words_of(leave->rule);
    json_t *object = probe != NULL ? bm_probe_object(probe, "escape", "leave")
                                   : bm_landscape_object("escape", "leave");
    bm_escape_set_rule(object, &rule);
    (void)json_object_set_new(object, "seed", json_integer((json_int_t)leave->seed));
    (void)json_object_set_new(object, "perturbation", bm_field_finite(leave->perturbation));
    (void)json_object_set_new(object, "updates",
                              leave->updates > 0 ? json_integer((json_int_t)leave->updates)
                                                 : json_null());
    (void)json_object_set_new(object, "limit", json_integer(LIMIT));
    (void)json_object_set_new(object, "resolution",
                              json_integer(leave->rule->batch == 0 ? 1 : CHECK));
    (void)json_object_set_new(object, "curve", curve_json(leave));
    return object;
}

/* One run with its object; 0 if it could not be made. */
static int run_and_write(struct bm_saddle *saddle, struct leave *leave) {
    struct bm_error error = {0};
    struct bm_probe probe;
    int32_t status =
        bm_saddle_open(saddle, &saddle->wide, leave->rule, leave->seed, &probe, &error);
    uint32_t is_open = status == BM_STATUS_OK;
    status = status ? status : run_probe(saddle, &probe, leave, &error);
    json_t *object = leave_json(leave, is_open ? &probe : NULL);
    if (status != BM_STATUS_OK) {
        bm_probe_fail(&probe, object, status, &error);
    }
    bm_landscape_write(saddle->landscape, object);
    if (is_open) {
        bm_probe_close(&probe);
    }
    return status == BM_STATUS_OK;
}

/* ---- All runs ---- */

static void begin_run(struct leave *leave,
                      const struct bm_saddle_rule *rule,
                      uint64_t seed,
                      double perturbation) {
    memset(leave, 0, sizeof *leave);
    leave->rule = rule;
    leave->seed = seed;
    leave->perturbation = perturbation;
}

static void
run_seeds(struct bm_saddle *saddle, const struct bm_saddle_rule *rule, struct leave *leave) {
    uint64_t seeds[BM_COUNTS_MAX];
    uint64_t updates[BM_COUNTS_MAX];
    uint64_t yes = 0;
    uint64_t runs = 0;
    const struct bm_escape_rule words = words_of(rule);
    uint32_t planned = bm_escape_seeds(saddle->landscape, seeds);
    for (uint32_t i = 0; i < planned && !bm_landscape_stopped(saddle->landscape); i++) {
        bm_landscape_show(saddle->landscape,
                          "escape: leaving a saddle, %s batch %llu, run %u of %u", words.optimizer,
                          (unsigned long long)(rule->batch > 0 ? rule->batch : saddle->images),
                          i + 1, planned);
        begin_run(leave, rule, seeds[i], PERTURBATION);
        if (!run_and_write(saddle, leave)) {
            break;
        }
        runs++;
        if (leave->updates > 0) {
            updates[yes++] = leave->updates;
        }
    }
    if (runs == 0) {
        return;
    }
    json_t *object = bm_escape_count(surface, question, &words, runs, updates, yes, LIMIT);
    (void)json_object_set_new(object, "perturbation", bm_field_finite(PERTURBATION));
    if (runs < planned) {
        bm_landscape_fail(object, "cut", "not all seeds could be run");
    }
    bm_landscape_write(saddle->landscape, object);
}

/* Without perturbation the copies stay equal: what the narrow network could still do by itself. */
static void run_controls(struct bm_saddle *saddle, struct leave *leave) {
    uint64_t seeds[BM_COUNTS_MAX];
    (void)bm_escape_seeds(saddle->landscape, seeds);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (!bm_landscape_stopped(saddle->landscape)) {
            begin_run(leave, &rules[i], seeds[0], 0);
            (void)run_and_write(saddle, leave);
        }
    }
}

int32_t bm_saddle_leave(struct bm_saddle *saddle) {
    struct leave *leave = malloc(sizeof *leave);
    if (leave == NULL) {
        return bm_fail(saddle->landscape->campaign->error, BM_STATUS_NO_MEMORY,
                       "escape: no memory for a curve");
    }
    run_controls(saddle, leave);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        run_seeds(saddle, &rules[i], leave);
    }
    free(leave);
    return BM_STATUS_OK;
}
