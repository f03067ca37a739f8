/* The L-BFGS of NLopt, which calls for values and takes no word on its iterations: these are
 * told from the points that it asks for. */
#include "ascent_parts.h"

#include "error.h"
#include "library.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of <nlopt.h>, 2.7. */
struct nlopt_opt_s;
typedef double nlopt_function(unsigned n, const double *x, double *gradient, void *context);
typedef int (*nlopt_algorithm_from_string)(const char *name);
typedef struct nlopt_opt_s *(*nlopt_create)(int algorithm, unsigned n);
typedef void (*nlopt_destroy)(struct nlopt_opt_s *opt);
typedef int (*nlopt_set_max_objective)(struct nlopt_opt_s *opt, nlopt_function *f, void *context);
typedef int (*nlopt_set_bounds)(struct nlopt_opt_s *opt, const double *bounds);
typedef int (*nlopt_set_vector_storage)(struct nlopt_opt_s *opt, unsigned count);
typedef int (*nlopt_force_stop)(struct nlopt_opt_s *opt);
typedef int (*nlopt_optimize)(struct nlopt_opt_s *opt, double *x, double *value);

#define NLOPT_FORCED_STOP (-5)
#define NLOPT_OUT_OF_MEMORY (-3)

/* Points whose directions from the line's beginning agree to this are on one line. */
#define SAME_LINE (1 - 1e-10)

struct nlopt {
    nlopt_algorithm_from_string find;
    nlopt_create create;
    nlopt_destroy destroy;
    nlopt_set_max_objective set_function;
    nlopt_set_bounds set_lower;
    nlopt_set_bounds set_upper;
    nlopt_set_vector_storage set_pairs;
    nlopt_force_stop stop;
    nlopt_optimize optimize;
    struct nlopt_opt_s *opt;
};

/* An ascent on its way. */
struct climb {
    const struct bm_ascent_function *function;
    struct nlopt nlopt;
    struct bm_ascent *ascent;
    struct bm_error *error;
    uint32_t steps_max;
    uint32_t evaluations_max;
    uint32_t is_over;
    int32_t status;
    uint32_t has_line;
    double from;       /* the value at the line's beginning, */
    double last_value; /* and at the point that was evaluated last */
    double *begin;     /* [count]: where the line begins */
    double *direction; /* [count]: to the line's first point */
    double *last;      /* [count]: the point that was evaluated last */
    double *z;         /* [count]: NLopt's */
    double *lower;     /* [count] */
};

static int32_t open_library(struct nlopt *nlopt, struct bm_error *error) {
    static const char *const names[] = {"nlopt_algorithm_from_string",
                                        "nlopt_create",
                                        "nlopt_destroy",
                                        "nlopt_set_max_objective",
                                        "nlopt_set_lower_bounds",
                                        "nlopt_set_upper_bounds",
                                        "nlopt_set_vector_storage",
                                        "nlopt_force_stop",
                                        "nlopt_optimize",
                                        NULL};
    void (*functions[9])(void);
    int32_t status = bm_library_open("libnlopt.so.0", "libnlopt0", names, functions, error);
    if (status == BM_STATUS_OK) {
        nlopt->find = (nlopt_algorithm_from_string)functions[0];
        nlopt->create = (nlopt_create)functions[1];
        nlopt->destroy = (nlopt_destroy)functions[2];
        nlopt->set_function = (nlopt_set_max_objective)functions[3];
        nlopt->set_lower = (nlopt_set_bounds)functions[4];
        nlopt->set_upper = (nlopt_set_bounds)functions[5];
        nlopt->set_pairs = (nlopt_set_vector_storage)functions[6];
        nlopt->stop = (nlopt_force_stop)functions[7];
        nlopt->optimize = (nlopt_optimize)functions[8];
    }
    return status;
}

/* ---- Lines ---- */

/* The cosine between `direction` and the way from `begin` to z. */
static double along(const struct climb *climb, const double *z) {
    double product = 0;
    double a = 0;
    double b = 0;
    for (uint64_t i = 0; i < climb->function->count; i++) {
        const double way = z[i] - climb->begin[i];
        product += way * climb->direction[i];
        a += way * way;
        b += climb->direction[i] * climb->direction[i];
    }
    return a > 0 && b > 0 ? product / sqrt(a * b) : 0;
}

/* A line ends when the next one begins: it was accepted if it led up. */
static void end_line(struct climb *climb) {
    if (climb->has_line && climb->last_value > climb->from) {
        climb->ascent->steps++;
        climb->from = climb->last_value;
        memcpy(climb->begin, climb->last, climb->function->count * sizeof *climb->begin);
    }
    climb->has_line = 0;
}

static void begin_line(struct climb *climb, const double *z) {
    for (uint64_t i = 0; i < climb->function->count; i++) {
        climb->direction[i] = z[i] - climb->begin[i];
    }
    climb->has_line = 1;
}

static double stop(struct climb *climb, const char *why) {
    if (!climb->is_over) {
        climb->ascent->end = why;
    }
    climb->is_over = 1;
    (void)climb->nlopt.stop(climb->nlopt.opt);
    return HUGE_VAL; /* a line search ends at once where the value is infinite */
}

static double ask(unsigned n, const double *z, double *gradient, void *context) {
    struct climb *climb = context;
    double value = NAN;
    memset(gradient, 0, n * sizeof *gradient);
    if (climb->ascent->evaluations > 0 && (!climb->has_line || along(climb, z) < SAME_LINE)) {
        end_line(climb);
        begin_line(climb, z);
    }
    if (climb->is_over || climb->ascent->steps == climb->steps_max) {
        return stop(climb, "all steps were made");
    }
    if (climb->ascent->evaluations == climb->evaluations_max) {
        return stop(climb, "no evaluations were left");
    }
    climb->status =
        bm_ascent_evaluate(climb->function, z, climb->ascent, &value, gradient, climb->error);
    if (climb->status != BM_STATUS_OK) {
        return stop(climb, "an evaluation failed");
    }
    if (!isfinite(value)) {
        memset(gradient, 0, n * sizeof *gradient);
        value = BM_ASCENT_TOO_LOW;
    }
    climb->from = climb->ascent->evaluations == 1 ? value : climb->from;
    climb->last_value = value;
    memcpy(climb->last, z, n * sizeof *z);
    return value;
}

/* ---- The method ---- */

static void close_climb(struct climb *climb) {
    free(climb->begin);
    free(climb->direction);
    free(climb->last);
    free(climb->z);
    free(climb->lower);
    if (climb->nlopt.opt != NULL) {
        climb->nlopt.destroy(climb->nlopt.opt);
    }
}

static int32_t open_climb(struct climb *climb, struct bm_error *error) {
    struct nlopt *nlopt = &climb->nlopt;
    const uint64_t count = climb->function->count;
    climb->begin = calloc(count, sizeof *climb->begin);
    climb->direction = calloc(count, sizeof *climb->direction);
    climb->last = calloc(count, sizeof *climb->last);
    climb->z = calloc(count, sizeof *climb->z);
    climb->lower = calloc(count, sizeof *climb->lower);
    nlopt->opt = nlopt->create(nlopt->find("LD_LBFGS"), (unsigned)count);
    if (climb->begin == NULL || climb->direction == NULL || climb->last == NULL ||
        climb->z == NULL || climb->lower == NULL || nlopt->opt == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "expected memory for an ascent in %llu "
                       "dimensions, found less",
                       (unsigned long long)count);
    }
    for (uint64_t i = 0; i < count; i++) {
        climb->lower[i] = -climb->function->bound[i];
    }
    if (nlopt->set_function(nlopt->opt, ask, climb) < 0 ||
        nlopt->set_lower(nlopt->opt, climb->lower) < 0 ||
        nlopt->set_upper(nlopt->opt, climb->function->bound) < 0 ||
        nlopt->set_pairs(nlopt->opt, BM_ASCENT_PAIRS) < 0) {
        return bm_fail(error, BM_STATUS_INTERNAL,
                       "NLopt: expected LD_LBFGS with bounds, found an error");
    }
    return BM_STATUS_OK;
}

static const char *end_of(int result, const struct bm_ascent *ascent) {
    return result == NLOPT_FORCED_STOP ? ascent->end
           : result < 0                ? "the method saw no way up"
                                       : "the method took the gradient for 0";
}

int32_t bm_ascent_nlopt(const struct bm_ascent_function *function,
                        uint32_t steps,
                        uint32_t evaluations,
                        struct bm_ascent *ascent,
                        struct bm_error *error) {
    struct climb climb = {.function = function,
                          .ascent = ascent,
                          .error = error,
                          .steps_max = steps,
                          .evaluations_max = evaluations};
    double highest;
    int32_t status = open_library(&climb.nlopt, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = open_climb(&climb, error);
    if (status == BM_STATUS_OK) {
        const int result = climb.nlopt.optimize(climb.nlopt.opt, climb.z, &highest);
        end_line(&climb);
        ascent->end = climb.is_over ? ascent->end : end_of(result, ascent);
        status = climb.status != BM_STATUS_OK || result != NLOPT_OUT_OF_MEMORY
                     ? climb.status
                     : bm_fail(error, BM_STATUS_NO_MEMORY,
                               "NLopt: expected memory for %llu dimensions, found less",
                               (unsigned long long)function->count);
    }
    close_climb(&climb);
    return status;
}
