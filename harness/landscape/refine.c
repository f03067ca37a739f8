#include "refine.h"

#include "error.h"
#include "library.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of LAPACK, as <lapack.h> declares it. */
typedef void (*syev)(const char *jobz,
                     const char *uplo,
                     const int *n,
                     double *a,
                     const int *lda,
                     double *w,
                     double *work,
                     const int *lwork,
                     int *info);

struct refine {
    struct bm_curvature *curvature;
    const struct bm_refine_setup *setup;
    syev eigen;
    uint32_t values;
    uint64_t count;
    double *vectors;  /* [values][count], the caller's */
    double *products; /* [values][count] */
    double *small;    /* [values][values] */
    double *value;    /* [values] */
    double *work;     /* [8 values] */
};

static int32_t open_library(struct refine *refine, struct bm_error *error) {
    static const char *const names[] = {"dsyev_", NULL};
    void (*function)(void);
    const int32_t status = bm_library_open("liblapack.so.3", "liblapack3", names, &function, error);
    if (status == BM_STATUS_OK) {
        refine->eigen = (syev)function;
    }
    return status;
}

static double *row(double *rows, const struct refine *refine, uint32_t i) {
    return &rows[i * refine->count];
}

/* Eigenvalues and vectors of (V'W + W'V) / 2, of the largest first: those of row i in row i. */
static int32_t solve_small(struct refine *refine, struct bm_error *error) {
    const uint32_t values = refine->values;
    const int n = (int)values;
    const int lwork = 8 * n;
    int info = 0;
    for (uint32_t i = 0; i < values; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            const double one = bm_curvature_dot(row(refine->vectors, refine, i),
                                                row(refine->products, refine, j), refine->count);
            const double other = bm_curvature_dot(row(refine->vectors, refine, j),
                                                  row(refine->products, refine, i), refine->count);
            /* Turned around, so that the smallest, which comes first, is the largest. */
            refine->small[i * values + j] = refine->small[j * values + i] = -(one + other) / 2;
        }
    }
    refine->eigen("V", "U", &n, refine->small, &n, refine->value, refine->work, &lwork, &info);
    for (uint32_t i = 0; i < values; i++) {
        refine->value[i] = -refine->value[i];
    }
    return info == 0 ? BM_STATUS_OK
                     : bm_fail(error, BM_STATUS_INTERNAL, "dsyev: expected info 0, found %d", info);
}

/* rows = small rows, element by element of the parameters. */
static void turn(const struct refine *refine, double *rows) {
    const uint32_t values = refine->values;
    double *turned = refine->work;
    for (uint64_t p = 0; p < refine->count; p++) {
        for (uint32_t i = 0; i < values; i++) {
            turned[i] = 0;
            for (uint32_t j = 0; j < values; j++) {
                turned[i] += refine->small[i * values + j] * rows[j * refine->count + p];
            }
        }
        for (uint32_t i = 0; i < values; i++) {
            rows[i * refine->count + p] = turned[i];
        }
    }
}

/* vectors = products, made orthonormal (modified Gram-Schmidt, twice). */
static void step(struct refine *refine) {
    for (uint32_t i = 0; i < refine->values; i++) {
        double *v = row(refine->vectors, refine, i);
        memcpy(v, row(refine->products, refine, i), refine->count * sizeof *v);
        for (uint32_t k = 0; k < 2 * i; k++) {
            const double *other = row(refine->vectors, refine, k % i);
            const double along = bm_curvature_dot(v, other, refine->count);
            for (uint64_t p = 0; p < refine->count; p++) {
                v[p] -= along * other[p];
            }
        }
        const double norm = bm_curvature_norm(v, refine->count);
        for (uint64_t p = 0; p < refine->count; p++) {
            v[p] /= norm;
        }
    }
}

/* |W - value V| / |value|: the largest, and the mean. */
static void measure_residuals(const struct refine *refine, double *worst, double *mean) {
    *worst = 0;
    *mean = 0;
    for (uint32_t i = 0; i < refine->values; i++) {
        const double *v = row(refine->vectors, refine, i);
        const double *w = row(refine->products, refine, i);
        double sum = 0;
        for (uint64_t p = 0; p < refine->count; p++) {
            const double apart = w[p] - refine->value[i] * v[p];
            sum += apart * apart;
        }
        *worst = fmax(*worst, sqrt(sum) / fabs(refine->value[i]));
        *mean += sqrt(sum) / fabs(refine->value[i]) / refine->values;
    }
}

/* One look at the vectors: products, and both turned to the eigenvectors in their space. */
static int32_t look(struct refine *refine, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < refine->values && status == BM_STATUS_OK; i++) {
        status = bm_curvature_product(refine->curvature, row(refine->vectors, refine, i),
                                      row(refine->products, refine, i), error);
    }
    status = status ? status : solve_small(refine, error);
    if (status == BM_STATUS_OK) {
        turn(refine, refine->vectors);
        turn(refine, refine->products);
    }
    return status;
}

static int32_t iterate(struct refine *refine, struct bm_error *error) {
    const struct bm_refine_setup *setup = refine->setup;
    double before = INFINITY;
    for (uint32_t i = 0; i < setup->steps; i++) {
        double worst;
        double mean;
        const int32_t status = look(refine, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        measure_residuals(refine, &worst, &mean);
        if (worst <= setup->tolerance || mean > before || i + 1 == setup->steps ||
            (setup->goes_on != NULL && !setup->goes_on(setup->context, worst, refine->values))) {
            break;
        }
        before = mean;
        step(refine);
    }
    return BM_STATUS_OK;
}

int32_t bm_refine(struct bm_curvature *curvature,
                  const struct bm_refine_setup *setup,
                  /* NOLINTNEXTLINE(readability-non-const-parameter): struct refine writes there */
                  double *vectors,
                  struct bm_error *error) {
    const size_t values = setup->values;
    struct refine refine = {.curvature = curvature,
                            .setup = setup,
                            .values = setup->values,
                            .count = curvature->count,
                            .vectors = vectors};
    int32_t status = open_library(&refine, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    refine.products = malloc(values * curvature->count * sizeof(double));
    refine.small = calloc(values * values, sizeof(double));
    refine.value = calloc(values, sizeof(double));
    refine.work = calloc(8 * values, sizeof(double));
    if (refine.products == NULL || refine.small == NULL || refine.value == NULL ||
        refine.work == NULL) {
        status =
            bm_fail(error, BM_STATUS_NO_MEMORY, "expected memory for %u products", setup->values);
    } else {
        status = iterate(&refine, error);
    }
    free(refine.products);
    free(refine.small);
    free(refine.value);
    free(refine.work);
    return status;
}
