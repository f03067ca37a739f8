#include "surface_paths.h"

#include "error.h"
#include "escape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The top of the hill is at 1.85, the plateau of the saddle at 0; its valleys are .25 below. */
const struct bm_surface_case bm_surface_cases[] = {
    {.surface = "hill",
     .from = "on the slope in front of the hill",
     .question = "crosses the hill",
     .start = {-3},
     .spread = {0.1},
     .rate = 0.1,
     .adam_rate = 0.1,
     .noise = 2,
     .updates = 4000,
     .goal = {BM_DESCENT_BEYOND, 2.2, 1}},
    {.surface = "saddle",
     .from = "a thousandth beside the ridge",
     .question = "leaves the saddle",
     .start = {1, 1e-3},
     .spread = {0.1, 5e-4},
     .rate = 0.1,
     .adam_rate = 0.01,
     .noise = 0.1,
     .updates = 2000,
     .goal = {BM_DESCENT_BELOW, -0.025, 1}},
    {.surface = "saddle",
     .from = "exactly on the ridge",
     .question = "leaves the ridge of the saddle",
     .start = {1, 0},
     .spread = {0.1, 0},
     .rate = 0.1,
     .adam_rate = 0.01,
     .noise = 0.1,
     .updates = 2000,
     .goal = {BM_DESCENT_BELOW, -0.025, 1}},
    {.surface = "valley",
     .from = "at the valley's upper end",
     .question = "reaches the bottom of the valley",
     .start = {-8, 1},
     .spread = {0.5, 0.1},
     .rate = 0.025,
     .adam_rate = 0.1,
     .noise = 1,
     .updates = 4000,
     .goal = {BM_DESCENT_BELOW, 0.05, 0}},
    {.surface = "rosenbrock",
     .from = "the usual start, behind the bend",
     .question = "reaches the minimum of Rosenbrock's function",
     .start = {-1.2, 1},
     .spread = {0.05, 0.05},
     .rate = 1e-3,
     .adam_rate = 0.01,
     .noise = 1,
     .updates = 20000,
     .goal = {BM_DESCENT_BELOW, 0.01, 0}},
    {.surface = "himmelblau",
     .from = "beside the maximum",
     .question = "reaches a minimum of Himmelblau's function",
     .start = {-0.27, -0.92},
     .spread = {0.05, 0.05},
     .rate = 0.01,
     .adam_rate = 0.05,
     .noise = 5,
     .updates = 4000,
     .goal = {BM_DESCENT_BELOW, 0.1, 0}},
    {.surface = "beale",
     .from = "on the steep side",
     .question = "reaches the minimum of Beale's function",
     .start = {1, 1},
     .spread = {0.05, 0.05},
     .rate = 0.01,
     .adam_rate = 0.05,
     .noise = 1,
     .updates = 4000,
     .goal = {BM_DESCENT_BELOW, 0.01, 0}},
};

const uint32_t bm_surface_case_count = sizeof bm_surface_cases / sizeof bm_surface_cases[0];

const struct bm_surface_rule bm_surface_rules[] = {
    {BM_OPTIMIZER_SGD, 1, 0},        {BM_OPTIMIZER_SGD, 10, 0},
    {BM_OPTIMIZER_MOMENTUM, 1, 0.9}, {BM_OPTIMIZER_MOMENTUM, 0.1, 0.9},
    {BM_OPTIMIZER_NESTEROV, 1, 0.9}, {BM_OPTIMIZER_ADAM, 1, 0},
};

const uint32_t bm_surface_rule_count = sizeof bm_surface_rules / sizeof bm_surface_rules[0];

/* Batch sizes of the noise; 0: none. */
static const uint64_t batches[] = {0, 10, 1};

struct bm_descent_setup bm_surface_setup(const struct bm_surface_case *of,
                                         const struct bm_surface_rule *rule,
                                         uint64_t batch,
                                         uint64_t seed) {
    uint32_t is_adam = rule->optimizer == BM_OPTIMIZER_ADAM;
    struct bm_descent_setup setup = {.surface = bm_surface_find(of->surface),
                                     .optimizer = rule->optimizer,
                                     .rate = rule->factor * (is_adam ? of->adam_rate : of->rate),
                                     .momentum = rule->momentum,
                                     .noise = batch > 0 ? of->noise : 0,
                                     .batch = batch > 0 ? batch : 1,
                                     .seed = seed,
                                     .updates = of->updates,
                                     .goal = of->goal};
    bm_descent_start(of->start, of->spread, seed, setup.start);
    return setup;
}

static struct bm_escape_rule words_of(const struct bm_descent_setup *setup) {
    return (struct bm_escape_rule){
        .optimizer = bm_optimizer_names[setup->optimizer],
        .rate = setup->rate,
        .momentum = setup->optimizer == BM_OPTIMIZER_ADAM ? (double)NAN : setup->momentum,
        .batch = setup->noise > 0 ? setup->batch : 0,
        .noise = setup->noise,
    };
}

/* ---- Paths ---- */

static void why_it_ended(const struct bm_descent_setup *setup,
                         const struct bm_descent *descent,
                         char *text,
                         size_t capacity) {
    const struct bm_surface *surface = setup->surface;
    struct bm_surface_values values;
    double near[2] = {0, 0};
    double norm = bm_surface_gradient_norm(surface, &descent->at_end);
    if (descent->ended == BM_DESCENT_DIVERGED) {
        (void)snprintf(text, capacity, "diverged after %llu updates: the step is too long here",
                       (unsigned long long)descent->updates);
        return;
    }
    bm_surface_critical(surface, bm_surface_nearest(surface, descent->end), near);
    surface->at(near, &values);
    const char *kind = bm_point_kind_name(bm_surface_kind(surface, &values));
    if (descent->ended == BM_DESCENT_STOPPED) {
        (void)snprintf(text, capacity, "stopped after %llu updates at the %s (%.3g, %.3g)",
                       (unsigned long long)descent->updates, kind, near[0], near[1]);
        return;
    }
    (void)snprintf(text, capacity,
                   "still moving after %llu updates, gradient norm %.2g%s; nearest is the %s "
                   "(%.3g, %.3g)",
                   (unsigned long long)descent->updates, norm,
                   setup->noise > 0 ? " without its noise" : "", kind, near[0], near[1]);
}

static void set_points(json_t *object,
                       const struct bm_descent_setup *setup,
                       const double *points,
                       uint64_t count) {
    uint64_t kept[BM_ESCAPE_POINTS];
    uint32_t most = bm_escape_thin(count, kept);
    uint64_t each = setup->noise > 0 ? setup->batch : 0;
    json_t *places = json_array();
    json_t *updates = json_array();
    json_t *examples = json_array();
    json_t *losses = json_array();
    for (uint32_t i = 0; i < most; i++) {
        const uint64_t seen = kept[i] * each;
        struct bm_surface_values values;
        setup->surface->at(points + 2 * kept[i], &values);
        (void)json_array_append_new(
            places, bm_landscape_numbers(points + 2 * kept[i], setup->surface->dimensions));
        (void)json_array_append_new(updates, json_integer((json_int_t)kept[i]));
        (void)json_array_append_new(losses, bm_field_finite(values.value));
        if (each > 0) {
            (void)json_array_append_new(examples, json_integer((json_int_t)seen));
        }
    }
    (void)json_object_set_new(object, "points", places);
    (void)json_object_set_new(object, "updates", updates);
    (void)json_object_set_new(object, "examples", examples);
    (void)json_object_set_new(object, "seconds", json_array());
    (void)json_object_set_new(object, "losses", losses);
}

static void write_path(struct bm_landscape *landscape,
                       const struct bm_surface_case *of,
                       const struct bm_descent_setup *setup,
                       const struct bm_descent *descent,
                       const double *points) {
    char why[256];
    struct bm_escape_rule rule = words_of(setup);
    json_t *object = bm_landscape_object("escape", "path");
    (void)json_object_set_new(object, "surface", json_string(of->surface));
    (void)json_object_set_new(object, "from", json_string(of->from));
    bm_escape_set_rule(object, &rule);
    (void)json_object_set_new(object, "examples_per_update",
                              rule.batch > 0 ? json_integer((json_int_t)rule.batch) : json_null());
    (void)json_object_set_new(object, "seed", json_integer((json_int_t)setup->seed));
    set_points(object, setup, points, descent->updates + 1);
    (void)json_object_set_new(object, "end", bm_escape_end(setup->surface, descent->end));
    (void)json_object_set_new(object, "crossed", json_boolean(descent->reached));
    why_it_ended(setup, descent, why, sizeof why);
    (void)json_object_set_new(object, "why", json_string(why));
    bm_landscape_write(landscape, object);
}

/* ---- Counts ---- */

/* How the runs of a count ended, by how they ended and by the kind of the end. */
struct ends {
    uint64_t kinds[BM_POINT_MOVING + 1];
    uint64_t diverged;
};

static void
note_end(struct ends *ends, const struct bm_surface *surface, const struct bm_descent *descent) {
    if (descent->ended == BM_DESCENT_DIVERGED) {
        ends->diverged++;
    } else {
        ends->kinds[bm_surface_kind(surface, &descent->at_end)]++;
    }
}

static json_t *ends_json(const struct ends *ends) {
    json_t *object = json_object();
    for (uint32_t kind = 0; kind <= BM_POINT_MOVING; kind++) {
        (void)json_object_set_new(object, bm_point_kind_name(kind),
                                  json_integer((json_int_t)ends->kinds[kind]));
    }
    (void)json_object_set_new(object, "diverged", json_integer((json_int_t)ends->diverged));
    return object;
}

/* All seeds of one rule with one noise; the first one's path is written. `points` has room for it.
 */
static void run_seeds(struct bm_landscape *landscape,
                      const struct bm_surface_case *of,
                      const struct bm_surface_rule *rule,
                      uint64_t batch,
                      double *points) {
    uint64_t seeds[BM_COUNTS_MAX];
    uint64_t reached[BM_COUNTS_MAX];
    uint64_t yes = 0;
    struct ends ends = {.diverged = 0};
    struct bm_escape_rule words = {.optimizer = NULL};
    uint32_t runs = bm_escape_seeds(landscape, seeds);
    for (uint32_t i = 0; i < runs; i++) {
        struct bm_descent_setup setup = bm_surface_setup(of, rule, batch, seeds[i]);
        struct bm_descent descent;
        bm_descent_run(&setup, &descent, i == 0 ? points : NULL, NULL);
        note_end(&ends, setup.surface, &descent);
        words = words_of(&setup);
        if (descent.reached) {
            reached[yes++] = descent.reached_at;
        }
        if (i == 0) {
            write_path(landscape, of, &setup, &descent, points);
        }
    }
    json_t *object =
        bm_escape_count(of->surface, of->question, &words, runs, reached, yes, of->updates);
    (void)json_object_set_new(object, "from", json_string(of->from));
    (void)json_object_set_new(object, "ends", ends_json(&ends));
    bm_landscape_write(landscape, object);
}

static int32_t write_contours(struct bm_landscape *landscape) {
    for (size_t i = 0; bm_surfaces[i] != NULL; i++) {
        json_t *object = bm_escape_contour(bm_surfaces[i], NULL, NULL, landscape->campaign->error);
        if (object == NULL) {
            return landscape->campaign->error->code;
        }
        bm_landscape_write(landscape, object);
    }
    return BM_STATUS_OK;
}

static void
run_case(struct bm_landscape *landscape, const struct bm_surface_case *of, double *points) {
    bm_landscape_show(landscape, "escape: surface %s, %s", of->surface, of->from);
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        for (uint32_t r = 0; r < bm_surface_rule_count; r++) {
            if (!bm_landscape_stopped(landscape)) {
                run_seeds(landscape, of, &bm_surface_rules[r], batches[b], points);
            }
        }
    }
}

int32_t bm_escape_surfaces(struct bm_landscape *landscape) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < bm_surface_case_count; i++) {
        most = bm_surface_cases[i].updates > most ? bm_surface_cases[i].updates : most;
    }
    double *points = malloc((most + 1) * 2 * sizeof *points);
    if (points == NULL) {
        return bm_fail(landscape->campaign->error, BM_STATUS_NO_MEMORY,
                       "escape: no memory for a path");
    }
    int32_t status = write_contours(landscape);
    for (uint32_t i = 0; i < bm_surface_case_count && status == BM_STATUS_OK; i++) {
        run_case(landscape, &bm_surface_cases[i], points);
    }
    free(points);
    return status;
}
