#include "trace.h"

#include "error.h"

#include <math.h>
#include <stdlib.h>

/* Running mean and sum of squares (Welford, "Note on a method for calculating corrected sums of
 * squares and products", Technometrics 4, 1962). */
static void add(struct bm_trace *trace, double value, double fine) {
    const double before = trace->vectors > 0 ? value - trace->value : 0;
    trace->vectors++;
    trace->sum += value;
    trace->fine_sum += fine;
    trace->value = trace->sum / (double)trace->vectors;
    trace->error = fabs(trace->sum - trace->fine_sum) / (double)trace->vectors;
    trace->square += before * (value - trace->value);
    trace->standard_error =
        trace->vectors < 2
            ? (double)NAN
            : sqrt(trace->square / (double)(trace->vectors - 1) / (double)trace->vectors);
}

int32_t bm_trace_add(struct bm_curvature *curvature,
                     uint64_t seed,
                     uint64_t vectors,
                     struct bm_trace *trace,
                     struct bm_error *error) {
    const uint64_t count = curvature->count;
    double *z = malloc(count * sizeof *z);
    double *product = malloc(count * sizeof *product);
    double value = 0;
    double fine = 0;
    int32_t status = BM_STATUS_OK;
    if (trace->vectors == 0) {
        trace->error = (double)NAN;
        trace->value = NAN;
        trace->standard_error = NAN;
    }
    if (z == NULL || product == NULL) {
        status =
            bm_fail(error, BM_STATUS_NO_MEMORY, "expected memory for vectors of %llu parameters",
                    (unsigned long long)count);
    }
    for (uint64_t i = 0; i < vectors && status == BM_STATUS_OK; i++) {
        bm_curvature_random(seed, (uint32_t)trace->vectors + 1, z, count);
        status = bm_curvature_form(curvature, z, 1, product, &value, error);
        status = status ? status : bm_curvature_form(curvature, z, .5, product, &fine, error);
        if (status == BM_STATUS_OK) {
            add(trace, (double)count * value, (double)count * fine); /* z = sqrt(count) unit */
        }
    }
    free(z);
    free(product);
    return status;
}
