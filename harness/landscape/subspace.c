#include "subspace.h"

#include "error.h"
#include "normal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void bm_subspace_close(struct bm_subspace *subspace) {
    if (subspace != NULL) {
        free(subspace->columns);
        free(subspace->factor);
        *subspace = (struct bm_subspace){0};
    }
}

/* Lower triangle of A'A, a row of A after the other. */
static void add_products(const struct bm_subspace *subspace) {
    const uint32_t p = subspace->dimensions;
    for (uint64_t row = 0; row < subspace->count; row++) {
        const float *a = &subspace->columns[row * p];
        for (uint32_t i = 0; i < p; i++) {
            const double left = (double)a[i];
            double *sums = &subspace->factor[(size_t)i * p];
            for (uint32_t j = 0; j <= i; j++) {
                sums[j] += left * (double)a[j];
            }
        }
    }
}

/* Cholesky's factor in place. A pivot that rounding may have made has lost its column. */
static int32_t factorize(double *a, uint32_t p, struct bm_error *error) {
    for (uint32_t i = 0; i < p; i++) {
        const double whole = a[(size_t)i * p + i];
        for (uint32_t j = 0; j <= i; j++) {
            double sum = a[(size_t)i * p + j];
            for (uint32_t k = 0; k < j; k++) {
                sum -= a[(size_t)i * p + k] * a[(size_t)j * p + k];
            }
            if (i == j && !(sum > whole * p * 0x1p-52)) {
                return bm_fail(error, BM_STATUS_INVALID,
                               "subspace: expected %u independent columns, found %u", p, i);
            }
            a[(size_t)i * p + j] = i == j ? sqrt(sum) : sum / a[(size_t)j * p + j];
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_subspace_open(uint64_t count,
                         uint32_t dimensions,
                         uint64_t seed,
                         struct bm_subspace *subspace,
                         struct bm_error *error) {
    const size_t p = dimensions;
    struct bm_normal normal;
    int32_t status;
    *subspace = (struct bm_subspace){.count = count, .dimensions = dimensions, .seed = seed};
    subspace->columns = calloc(count, p * sizeof *subspace->columns);
    subspace->factor = calloc(p * p, sizeof *subspace->factor);
    if (subspace->columns == NULL || subspace->factor == NULL) {
        bm_subspace_close(subspace);
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "subspace: expected memory for %u columns of %llu numbers, found less",
                       dimensions, (unsigned long long)count);
    }
    bm_normal_init(&normal, seed, BM_RANDOM_SHARPNESS, 0);
    for (uint64_t i = 0; i < count * p; i++) {
        subspace->columns[i] = (float)bm_normal_next(&normal);
    }
    add_products(subspace);
    status = factorize(subspace->factor, dimensions, error);
    if (status != BM_STATUS_OK) {
        bm_subspace_close(subspace);
    }
    return status;
}

/* L L' z = z, in place. */
static void solve(const double *l, uint32_t p, double *z) {
    for (uint32_t i = 0; i < p; i++) {
        for (uint32_t k = 0; k < i; k++) {
            z[i] -= l[(size_t)i * p + k] * z[k];
        }
        z[i] /= l[(size_t)i * p + i];
    }
    for (uint32_t i = p; i-- > 0;) {
        for (uint32_t k = i + 1; k < p; k++) {
            z[i] -= l[(size_t)k * p + i] * z[k];
        }
        z[i] /= l[(size_t)i * p + i];
    }
}

void bm_subspace_coordinates(const struct bm_subspace *subspace, const float *x, double *z) {
    bm_subspace_gradient(subspace, x, z);
    solve(subspace->factor, subspace->dimensions, z);
}

void bm_subspace_move(const struct bm_subspace *subspace,
                      const float *x,
                      const double *z,
                      float *moved) {
    for (uint64_t row = 0; row < subspace->count; row++) {
        const float *a = &subspace->columns[row * subspace->dimensions];
        double sum = (double)x[row];
        for (uint32_t j = 0; j < subspace->dimensions; j++) {
            sum += (double)a[j] * z[j];
        }
        moved[row] = (float)sum;
    }
}

void bm_subspace_gradient(const struct bm_subspace *subspace, const float *g, double *gradient) {
    memset(gradient, 0, subspace->dimensions * sizeof *gradient);
    for (uint64_t row = 0; row < subspace->count; row++) {
        const float *a = &subspace->columns[row * subspace->dimensions];
        for (uint32_t j = 0; j < subspace->dimensions; j++) {
            gradient[j] += (double)a[j] * (double)g[row];
        }
    }
}
