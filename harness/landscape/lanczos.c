#include "lanczos.h"

#include "error.h"
#include "library.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of <arpack/arpack.h>; its a_int is int in Debian's package. */
typedef void (*saupd)(int *ido,
                      const char *bmat,
                      int n,
                      const char *which,
                      int nev,
                      double tol,
                      double *resid,
                      int ncv,
                      double *v,
                      int ldv,
                      int *iparam,
                      int *ipntr,
                      double *workd,
                      double *workl,
                      int lworkl,
                      int *info);
typedef void (*seupd)(int rvec,
                      const char *howmny,
                      const int *select,
                      double *d,
                      double *z,
                      int ldz,
                      double sigma,
                      const char *bmat,
                      int n,
                      const char *which,
                      int nev,
                      double tol,
                      double *resid,
                      int ncv,
                      double *v,
                      int ldv,
                      int *iparam,
                      int *ipntr,
                      double *workd,
                      double *workl,
                      int lworkl,
                      int *info);

#define STANDARD "I"   /* bmat: H v = value v */
#define BOTH_ENDS "BE" /* which */
#define IDO_START (-1) /* the method asks for a product, */
#define IDO_PRODUCT 1
#define IDO_SHIFTS 3 /* for the shifts with which the next cycle begins, */
#define IDO_END 99   /* or has come to an end */

/* iparam and ipntr, counted from 0, and the offsets, from 1, of what is in workl. */
#define PARAM_SHIFTS 0 /* 0: given by the caller, so that each cycle can be looked at */
#define PARAM_CYCLES 2
#define PARAM_BLOCK 3
#define PARAM_GOOD 4
#define PARAM_MODE 6
#define PARAM_SHIFT_COUNT 7
#define POINTER_X 0
#define POINTER_Y 1
#define POINTER_RITZ 5
#define POINTER_BOUNDS 6
#define POINTER_SHIFTS 10

struct arpack {
    saupd step;
    seupd extract;
    int ido;
    int n;
    int nev;
    int ncv;
    int lworkl;
    int info;
    int iparam[11];
    int ipntr[14];
    double *resid; /* [n] */
    double *v;     /* [ncv][n] */
    double *workd; /* [3 n] */
    double *workl; /* [lworkl] */
    int *select;   /* [ncv] */
    uint64_t products;
};

static int32_t open_library(struct arpack *arpack, struct bm_error *error) {
    static const char *const names[] = {"dsaupd_c", "dseupd_c", NULL};
    void (*functions[2])(void);
    const int32_t status = bm_library_open("libarpack.so.2", "libarpack2", names, functions, error);
    if (status == BM_STATUS_OK) {
        arpack->step = (saupd)functions[0];
        arpack->extract = (seupd)functions[1];
    }
    return status;
}

static void arpack_close(struct arpack *arpack) {
    free(arpack->resid);
    free(arpack->v);
    free(arpack->workd);
    free(arpack->workl);
    free(arpack->select);
}

static int32_t arpack_open(
    struct arpack *arpack, uint64_t count, uint32_t values, uint64_t seed, struct bm_error *error) {
    const int basis = 4 * (int)values + 10;
    const int32_t status = open_library(arpack, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    arpack->n = (int)count;
    arpack->nev = 2 * (int)values;
    arpack->ncv = basis < arpack->n ? basis : arpack->n;
    arpack->lworkl = arpack->ncv * (arpack->ncv + 8);
    arpack->info = 1; /* resid holds the start */
    arpack->iparam[PARAM_CYCLES] = INT_MAX;
    arpack->iparam[PARAM_BLOCK] = 1;
    arpack->iparam[PARAM_MODE] = 1;
    arpack->resid = malloc(count * sizeof *arpack->resid);
    arpack->v = malloc(count * (size_t)arpack->ncv * sizeof *arpack->v);
    arpack->workd = calloc(3 * count, sizeof *arpack->workd);
    arpack->workl = calloc((size_t)arpack->lworkl, sizeof *arpack->workl);
    arpack->select = calloc((size_t)arpack->ncv, sizeof *arpack->select);
    if (arpack->resid == NULL || arpack->v == NULL || arpack->workd == NULL ||
        arpack->workl == NULL || arpack->select == NULL) {
        arpack_close(arpack);
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "expected memory for %d vectors of %llu parameters", arpack->ncv,
                       (unsigned long long)count);
    }
    bm_curvature_random(seed, 0, arpack->resid, count);
    return BM_STATUS_OK;
}

/* ---- What a cycle has found ---- */

struct ritz {
    double value;
    double bound; /* the method's estimate of |Hv - value v| */
    int index;
};

static int compare_ritz(const void *a, const void *b) {
    const double left = ((const struct ritz *)a)->value;
    const double right = ((const struct ritz *)b)->value;
    return (left > right) - (left < right);
}

static void set_value(struct bm_eigenvalue *value, const struct ritz *ritz) {
    *value = (struct bm_eigenvalue){ritz->value, ritz->bound / fabs(ritz->value), (double)NAN};
}

/* Of `count` values the `values` at each end. Sorts them. */
static void
set_ends(struct ritz *ritz, uint32_t count, uint32_t values, struct bm_lanczos *lanczos) {
    qsort(ritz, count, sizeof *ritz, compare_ritz);
    lanczos->values = values;
    for (uint32_t i = 0; i < values; i++) {
        set_value(&lanczos->smallest[i], &ritz[i]);
        set_value(&lanczos->largest[i], &ritz[count - 1 - i]);
    }
}

static int is_good(const struct bm_eigenvalue *value, const struct bm_lanczos_setup *setup) {
    const double bound = value->residual * fabs(value->value);
    return value->residual <= setup->tolerance || bound <= setup->floor;
}

static int32_t look_at_cycle(const struct arpack *arpack,
                             const struct bm_lanczos_setup *setup,
                             struct bm_lanczos *lanczos,
                             struct bm_error *error) {
    const double *values = &arpack->workl[arpack->ipntr[POINTER_RITZ] - 1];
    const double *bounds = &arpack->workl[arpack->ipntr[POINTER_BOUNDS] - 1];
    struct ritz *ritz = malloc((size_t)arpack->ncv * sizeof *ritz);
    if (ritz == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "expected memory for %d values", arpack->ncv);
    }
    for (int i = 0; i < arpack->ncv; i++) {
        ritz[i] = (struct ritz){values[i], bounds[i], i};
    }
    set_ends(ritz, (uint32_t)arpack->ncv, (uint32_t)arpack->nev / 2, lanczos);
    free(ritz);
    lanczos->cycles++;
    lanczos->converged = 1;
    for (uint32_t i = 0; i < lanczos->values; i++) {
        lanczos->converged &=
            is_good(&lanczos->largest[i], setup) && is_good(&lanczos->smallest[i], setup);
    }
    return BM_STATUS_OK;
}

/* ---- The method ---- */

/* The unwanted values as shifts, which is what ARPACK itself takes. */
static void give_shifts(struct arpack *arpack) {
    memcpy(&arpack->workl[arpack->ipntr[POINTER_SHIFTS] - 1],
           &arpack->workl[arpack->ipntr[POINTER_RITZ] - 1],
           (size_t)arpack->iparam[PARAM_SHIFT_COUNT] * sizeof *arpack->workl);
}

static int is_enough(const struct arpack *arpack,
                     const struct bm_lanczos_setup *setup,
                     const struct bm_lanczos *lanczos) {
    const uint64_t next = (uint64_t)arpack->iparam[PARAM_SHIFT_COUNT];
    if (lanczos->converged || arpack->products + next > setup->products) {
        return 1;
    }
    return setup->goes_on != NULL && !setup->goes_on(setup->context, lanczos, next);
}

static int32_t iterate(struct arpack *arpack,
                       struct bm_curvature *curvature,
                       const struct bm_lanczos_setup *setup,
                       struct bm_lanczos *lanczos,
                       struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    while (status == BM_STATUS_OK) {
        arpack->step(&arpack->ido, STANDARD, arpack->n, BOTH_ENDS, arpack->nev, 0, arpack->resid,
                     arpack->ncv, arpack->v, arpack->n, arpack->iparam, arpack->ipntr,
                     arpack->workd, arpack->workl, arpack->lworkl, &arpack->info);
        if (arpack->ido == IDO_START || arpack->ido == IDO_PRODUCT) {
            status = bm_curvature_product(curvature, &arpack->workd[arpack->ipntr[POINTER_X] - 1],
                                          &arpack->workd[arpack->ipntr[POINTER_Y] - 1], error);
            arpack->products++;
        } else if (arpack->ido == IDO_SHIFTS) {
            status = look_at_cycle(arpack, setup, lanczos, error);
            if (status != BM_STATUS_OK || is_enough(arpack, setup, lanczos)) {
                break;
            }
            give_shifts(arpack);
        } else {
            lanczos->converged = arpack->info == 0;
            break;
        }
    }
    if (status == BM_STATUS_OK && arpack->info < 0) {
        status = bm_fail(error, BM_STATUS_INTERNAL, "dsaupd: expected info >= 0, found %d",
                         arpack->info);
    }
    return status;
}

/* Vectors to the front of v, values to `found`, ascending. The method may have ended between two
 * cycles: the basis and the tridiagonal matrix are complete there, and what dseupd is told is that
 * all wanted values are good. */
static int32_t extract(struct arpack *arpack, struct ritz *found, struct bm_error *error) {
    double values[2 * BM_LANCZOS_VALUES_MAX] = {0};
    const double anything = 1e300;
    int info = 0;
    arpack->iparam[PARAM_GOOD] = arpack->nev;
    arpack->extract(1, "A", arpack->select, values, arpack->v, arpack->n, 0, STANDARD, arpack->n,
                    BOTH_ENDS, arpack->nev, anything, arpack->resid, arpack->ncv, arpack->v,
                    arpack->n, arpack->iparam, arpack->ipntr, arpack->workd, arpack->workl,
                    arpack->lworkl, &info);
    if (info != 0) {
        return bm_fail(error, BM_STATUS_INTERNAL, "dseupd: expected info 0, found %d", info);
    }
    for (int i = 0; i < arpack->nev; i++) {
        found[i] = (struct ritz){values[i], (double)NAN, i};
    }
    qsort(found, (size_t)arpack->nev, sizeof *found, compare_ritz);
    return BM_STATUS_OK;
}

static int32_t keep_vectors(struct arpack *arpack,
                            uint32_t values,
                            struct bm_lanczos *lanczos,
                            struct bm_error *error) {
    const size_t count = lanczos->count;
    struct ritz found[2 * BM_LANCZOS_VALUES_MAX] = {0};
    const int32_t status = extract(arpack, found, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (arpack->ido == IDO_END) { /* no cycle was looked at since */
        set_ends(found, 2 * values, values, lanczos);
    }
    lanczos->vectors = malloc(count * 2 * values * sizeof *lanczos->vectors);
    if (lanczos->vectors == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "expected memory for %u eigenvectors",
                       2 * values);
    }
    for (uint32_t i = 0; i < values; i++) {
        const size_t high = (size_t)found[2 * values - 1 - i].index;
        const size_t low = (size_t)found[i].index;
        memcpy(&lanczos->vectors[i * count], &arpack->v[high * count], count * sizeof(double));
        memcpy(&lanczos->vectors[(values + i) * count], &arpack->v[low * count],
               count * sizeof(double));
    }
    return BM_STATUS_OK;
}

/* ---- Products apart from the method's ---- */

static int32_t check_value(struct bm_curvature *curvature,
                           const double *v,
                           double *product,
                           struct bm_eigenvalue *value,
                           struct bm_error *error) {
    double fine = 0;
    double here = 0;
    double sum = 0;
    int32_t status = bm_curvature_form(curvature, v, 1, product, &here, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    for (uint64_t i = 0; i < curvature->count; i++) {
        const double apart = product[i] - here * v[i];
        sum += apart * apart;
    }
    *value = (struct bm_eigenvalue){here, sqrt(sum) / fabs(here), (double)NAN};
    status = bm_curvature_form(curvature, v, .5, product, &fine, error);
    if (status == BM_STATUS_OK) {
        value->error = fabs(here - fine);
    }
    return status;
}

static int32_t
check_values(struct bm_curvature *curvature, struct bm_lanczos *lanczos, struct bm_error *error) {
    double *product = malloc(lanczos->count * sizeof *product);
    int32_t status = BM_STATUS_OK;
    if (product == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "expected memory for a vector of %llu parameters",
                       (unsigned long long)lanczos->count);
    }
    for (uint32_t i = 0; i < 2 * lanczos->values && status == BM_STATUS_OK; i++) {
        struct bm_eigenvalue *value =
            i % 2 == 0 ? &lanczos->largest[i / 2] : &lanczos->smallest[i / 2];
        const size_t row = i % 2 == 0 ? i / 2 : lanczos->values + i / 2;
        status =
            check_value(curvature, &lanczos->vectors[row * lanczos->count], product, value, error);
    }
    free(product);
    return status;
}

/* ---- Together ---- */

static uint32_t values_for(uint64_t count, uint32_t values) {
    const uint64_t most = (count - 1) / 2;
    values = values < BM_LANCZOS_VALUES_MAX ? values : BM_LANCZOS_VALUES_MAX;
    return values < most ? values : (uint32_t)most;
}

int32_t bm_lanczos_run(struct bm_curvature *curvature,
                       const struct bm_lanczos_setup *setup,
                       struct bm_lanczos *lanczos,
                       struct bm_error *error) {
    struct arpack arpack = {0};
    uint32_t values;
    int32_t status;
    *lanczos = (struct bm_lanczos){.count = curvature->count};
    if (curvature->count < 3 || curvature->count > INT_MAX || setup->values == 0) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "eigenvalues: expected 3 to %d parameters, found %llu", INT_MAX,
                       (unsigned long long)curvature->count);
    }
    values = values_for(curvature->count, setup->values);
    status = arpack_open(&arpack, curvature->count, values, setup->seed, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = iterate(&arpack, curvature, setup, lanczos, error);
    if (status == BM_STATUS_OK) {
        status = keep_vectors(&arpack, values, lanczos, error);
    }
    arpack_close(&arpack);
    if (status == BM_STATUS_OK && setup->refine.steps > 0) {
        struct bm_refine_setup refine = setup->refine;
        refine.values = lanczos->values;
        status = bm_refine(curvature, &refine, lanczos->vectors, error);
    }
    return status == BM_STATUS_OK ? check_values(curvature, lanczos, error) : status;
}

void bm_lanczos_free(struct bm_lanczos *lanczos) {
    if (lanczos != NULL) {
        free(lanczos->vectors);
        *lanczos = (struct bm_lanczos){0};
    }
}
