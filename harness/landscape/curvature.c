#include "curvature.h"

#include "error.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the step, as long as no two halves agree; and after so many such vectors it is asked whether
 * this is any use. */
static const double scales[] = {1, .45, .2};
#define REPEATED_MIN 8u

#define ASTRAY .1

double bm_curvature_dot(const double *a, const double *b, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

double bm_curvature_norm(const double *a, uint64_t count) {
    return sqrt(bm_curvature_dot(a, a, count));
}

double bm_curvature_norm_float(const float *a, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)a[i];
    }
    return sqrt(sum);
}

void bm_curvature_random(uint64_t seed, uint32_t index, double *v, uint64_t count) {
    const double size = 1 / sqrt((double)count);
    struct bm_random random;
    uint32_t bits = 0;
    bm_random_init(&random, seed, BM_RANDOM_CURVATURE, index);
    for (uint64_t i = 0; i < count; i++) {
        bits = i % 32 == 0 ? bm_random_u32(&random) : bits >> 1;
        v[i] = (bits & 1) != 0 ? size : -size;
    }
}

int32_t bm_curvature_open(struct bm_objective *objective,
                          const float *params,
                          const float *gradient,
                          struct bm_curvature *curvature,
                          struct bm_error *error) {
    const uint64_t count = objective->count;
    int missing;
    *curvature = (struct bm_curvature){
        .objective = objective, .params = params, .gradient = gradient, .count = count};
    curvature->moved = malloc(count * sizeof *curvature->moved);
    missing = curvature->moved == NULL;
    for (uint32_t i = 0; i < BM_CURVATURE_ENDS; i++) {
        curvature->ends[i].gradient = malloc(count * sizeof(float));
        missing |= curvature->ends[i].gradient == NULL;
    }
    if (missing) {
        bm_curvature_close(curvature);
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "expected memory for products of %llu parameters",
                       (unsigned long long)count);
    }
    return BM_STATUS_OK;
}

void bm_curvature_close(struct bm_curvature *curvature) {
    if (curvature == NULL) {
        return;
    }
    free(curvature->moved);
    for (uint32_t i = 0; i < BM_CURVATURE_ENDS; i++) {
        free(curvature->ends[i].gradient);
    }
    *curvature = (struct bm_curvature){0};
}

/* ---- Ends ---- */

/* moved = x + way v / norm, and the way along v that was left by rounding. INVALID where rounding
 * leads away from v by more than ASTRAY of that. */
static int32_t go(struct bm_curvature *curvature,
                  const double *v,
                  double norm,
                  double way,
                  double *along,
                  struct bm_error *error) {
    double sum = 0;
    double square = 0;
    for (uint64_t i = 0; i < curvature->count; i++) {
        const double here = (double)curvature->params[i];
        double moved;
        curvature->moved[i] = (float)(here + way / norm * v[i]);
        moved = (double)curvature->moved[i] - here;
        sum += moved * v[i];
        square += moved * moved;
    }
    *along = sum / norm;
    if (*along * way > 0 && square <= (1 + ASTRAY * ASTRAY) * *along * *along) {
        return BM_STATUS_OK;
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "expected a step that float32 parameters can make, found %.3g", fabs(way));
}

/* The gradient there. */
static int32_t look(struct bm_curvature *curvature,
                    const double *v,
                    double norm,
                    double way,
                    struct bm_curvature_end *end,
                    struct bm_error *error) {
    double loss;
    double sum = 0;
    int32_t status = go(curvature, v, norm, way, &end->way, error);
    if (status == BM_STATUS_OK) {
        status =
            bm_objective_at(curvature->objective, curvature->moved, &loss, end->gradient, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    for (uint64_t i = 0; i < curvature->count; i++) {
        sum += (double)end->gradient[i];
    }
    return isfinite(sum) ? BM_STATUS_OK
                         : bm_fail(error, BM_STATUS_INVALID,
                                   "gradient at a distance of %.3g: expected finite numbers, found "
                                   "others",
                                   fabs(way));
}

/* By what the halves that end there differ, for a unit vector. */
static double differ(const struct bm_curvature *curvature,
                     const struct bm_curvature_end *a,
                     const struct bm_curvature_end *b) {
    double sum = 0;
    for (uint64_t i = 0; i < curvature->count; i++) {
        const double here = (double)curvature->gradient[i];
        const double apart =
            ((double)a->gradient[i] - here) / a->way - ((double)b->gradient[i] - here) / b->way;
        sum += apart * apart;
    }
    return sqrt(sum);
}

/* product = scale (g(a) - g(b)) / (a - b), b being x itself where both are on one side of it. */
static void join(const struct bm_curvature *curvature,
                 const struct bm_curvature_end *a,
                 const struct bm_curvature_end *b,
                 double scale,
                 double *product) {
    const int is_one_side = a->way * b->way > 0;
    const struct bm_curvature_end *far = fabs(a->way) > fabs(b->way) ? a : b;
    const struct bm_curvature_end *to = is_one_side ? far : a;
    const float *from = is_one_side ? curvature->gradient : b->gradient;
    const double way = is_one_side ? far->way : a->way - b->way;
    for (uint64_t i = 0; i < curvature->count; i++) {
        product[i] = ((double)to->gradient[i] - (double)from[i]) * (scale / way);
    }
}

/* Two ends and what their halves differ by. */
struct pair {
    const struct bm_curvature_end *a;
    const struct bm_curvature_end *b;
    double apart;
};

/* Takes one of the ends from `first` to `last` with one of those before `others` into account. */
static void pair_up(const struct bm_curvature *curvature,
                    uint32_t first,
                    uint32_t last,
                    uint32_t others,
                    struct pair *best) {
    for (uint32_t i = first; i <= last; i++) {
        for (uint32_t j = 0; j < i && j < others; j++) {
            const struct bm_curvature_end *a = &curvature->ends[i];
            const struct bm_curvature_end *b = &curvature->ends[j];
            const double apart = differ(curvature, a, b);
            if (apart < best->apart) {
                *best = (struct pair){a, b, apart};
            }
        }
    }
}

/* ---- Products ---- */

/* Where further ends do not help, as with so many kinks that none can be avoided, they are not
 * looked at for ever. */
static int is_worth_repeating(const struct bm_curvature *curvature) {
    return curvature->limit > 0 &&
           (curvature->repeated < REPEATED_MIN || curvature->improved * 2 > curvature->repeated);
}

int32_t bm_curvature_product(struct bm_curvature *curvature,
                             const double *v,
                             double *product,
                             struct bm_error *error) {
    const double norm = bm_curvature_norm(v, curvature->count);
    const uint32_t most = is_worth_repeating(curvature) ? BM_CURVATURE_ENDS : 2;
    struct pair best = {.apart = INFINITY};
    uint32_t count = 0;
    if (norm == 0) {
        memset(product, 0, curvature->count * sizeof *product);
        return BM_STATUS_OK;
    }
    while (count < most && (count == 0 || best.apart > curvature->limit)) {
        const double way = curvature->step * scales[count / 2];
        int32_t status = look(curvature, v, norm, way, &curvature->ends[count], error);
        if (status == BM_STATUS_OK) {
            status = look(curvature, v, norm, -way, &curvature->ends[count + 1], error);
        }
        if (status == BM_STATUS_INVALID && count > 0) {
            break;
        }
        if (status != BM_STATUS_OK) {
            return status;
        }
        count += 2;
        pair_up(curvature, count - 2, count - 1, count, &best);
    }
    if (best.a == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "gradient: expected finite numbers, found others");
    }
    curvature->products++;
    curvature->repeated += count > 2;
    curvature->improved += count > 2 && best.apart <= curvature->limit;
    join(curvature, best.a, best.b, norm, product);
    return BM_STATUS_OK;
}

int32_t bm_curvature_form(struct bm_curvature *curvature,
                          const double *v,
                          double scale,
                          double *product,
                          double *value,
                          struct bm_error *error) {
    const double step = curvature->step;
    curvature->step = step * scale;
    int32_t status = bm_curvature_product(curvature, v, product, error);
    curvature->step = step;
    if (status == BM_STATUS_OK) {
        *value = bm_curvature_dot(v, product, curvature->count);
    }
    return status;
}

double bm_curvature_largest(const struct bm_curvature *curvature) {
    const double norm = bm_curvature_norm_float(curvature->params, curvature->count);
    return norm > 1 ? norm / 4 : 1.0 / 4;
}

/* ---- The step ---- */

/* Both ends of a step into the first two places, those before into the next two. *is_known: whether
 * they are finite. */
static int32_t try_step(struct bm_curvature *curvature,
                        const double *v,
                        double norm,
                        int *is_known,
                        struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < 2 && status == BM_STATUS_OK; i++) {
        const struct bm_curvature_end kept = curvature->ends[i];
        curvature->ends[i] = curvature->ends[i + 2];
        curvature->ends[i + 2] = kept;
        status = look(curvature, v, norm, i == 0 ? curvature->step : -curvature->step,
                      &curvature->ends[i], error);
    }
    *is_known = status == BM_STATUS_OK;
    return status == BM_STATUS_INVALID ? BM_STATUS_OK : status;
}

/* Of two neighbours: a half of each, those that agree best, in relation to the product, which a
 * step far too large makes small too. */
static void compare(struct bm_curvature *curvature,
                    double step,
                    double *product,
                    double *least,
                    struct bm_curvature_choice *choice) {
    struct pair best = {.apart = INFINITY};
    double norm;
    pair_up(curvature, 2, 3, 2, &best); /* at a symmetric point both halves are wrong alike */
    choice->tried[choice->count] = step;
    choice->errors[choice->count++] = best.apart;
    if (best.a == NULL) {
        return;
    }
    join(curvature, best.a, best.b, 1, product);
    norm = bm_curvature_norm(product, curvature->count);
    if (best.apart == 0 || best.apart / norm < *least) {
        *least = best.apart == 0 ? 0 : best.apart / norm;
        choice->step = step;
        choice->error = best.apart;
        choice->norm = norm;
    }
}

static int32_t try_steps(struct bm_curvature *curvature,
                         const double *v,
                         double largest,
                         double *product,
                         struct bm_curvature_choice *choice,
                         struct bm_error *error) {
    const double norm = bm_curvature_norm(v, curvature->count);
    double least = INFINITY;
    int was_known = 0;
    for (uint32_t i = 0; i <= BM_CURVATURE_TRIES; i++) {
        const double before = curvature->step;
        int is_known;
        int32_t status;
        curvature->step = largest / pow(BM_CURVATURE_RATIO, i);
        status = try_step(curvature, v, norm, &is_known, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        if (is_known && was_known) {
            compare(curvature, before, product, &least, choice);
        } else if (i > 0) {
            choice->tried[choice->count] = before;
            choice->errors[choice->count++] = (double)NAN;
        }
        was_known = is_known;
    }
    return BM_STATUS_OK;
}

int32_t bm_curvature_choose(struct bm_curvature *curvature,
                            const double *v,
                            double largest,
                            struct bm_curvature_choice *choice,
                            struct bm_error *error) {
    double *product = malloc(curvature->count * sizeof *product);
    int32_t status = BM_STATUS_NO_MEMORY;
    *choice = (struct bm_curvature_choice){.error = INFINITY};
    if (product == NULL) {
        (void)bm_fail(error, status, "expected memory for a product of %llu parameters",
                      (unsigned long long)curvature->count);
    } else {
        status = try_steps(curvature, v, largest, product, choice, error);
    }
    free(product);
    if (status == BM_STATUS_OK && !isfinite(choice->error)) {
        status = bm_fail(error, BM_STATUS_INVALID,
                         "steps from %.3g to %.3g: expected finite gradients, found none",
                         choice->tried[0], curvature->step);
    }
    curvature->step = choice->step;
    curvature->limit = 2 * choice->error;
    return status;
}
