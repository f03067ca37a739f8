#include "noise.h"

#include "error.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- The estimate ---- */

/* Student's t that leaves (1 - BM_NOISE_COVERAGE) / 2 above it, by the normal's 1.96: Abramowitz
 * and Stegun, 26.7.5; too small by 2e-5 of itself at 7 degrees of freedom, and less above. */
static double student_t(double freedom) {
    const double z = 1.959963984540054;
    const double z2 = z * z;
    const double g1 = (z2 + 1) * z / 4;
    const double g2 = ((5 * z2 + 16) * z2 + 3) * z / 96;
    const double g3 = (((3 * z2 + 19) * z2 + 17) * z2 - 15) * z / 384;
    const double g4 = ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) * z / 92160;
    return z + (g1 + (g2 + (g3 + g4 / freedom) / freedom) / freedom) / freedom;
}

static double mean_of(const double *values, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum / count;
}

struct slices {
    const double *squares;  /* |g_i|^2 */
    const double *products; /* G'.g_i */
    uint32_t count;
    double images;      /* of one */
    double square_mean; /* m */
    double mean_square; /* |G'|^2 */
};

/* |G|^2 and S of `count` slices of `images` images. m >= |G'|^2, but for rounding. */
static void unbiased_pair(double square_mean,
                          double mean_square,
                          double count,
                          double images,
                          double *gradient2,
                          double *trace) {
    *gradient2 = (count * mean_square - square_mean) / (count - 1);
    *trace = fmax(0, images * count / (count - 1) * (square_mean - mean_square));
}

/* A function of the pair. */
typedef double quantity(double gradient2, double trace);

static double gradient2_of(double gradient2, double trace) {
    (void)trace;
    return gradient2;
}

static double inverse_of(double gradient2, double trace) {
    return gradient2 / trace;
}

static double log_scale_of(double gradient2, double trace) {
    return log(trace / gradient2);
}

/* Of all slices but one. */
static double without(const struct slices *slices, uint32_t left_out, quantity *of) {
    const double k = slices->count;
    const double square = slices->squares[left_out];
    const double product = slices->products[left_out];
    double gradient2;
    double trace;
    double square_mean = (k * slices->square_mean - square) / (k - 1);
    double mean_square =
        (k * k * slices->mean_square - 2 * k * product + square) / ((k - 1) * (k - 1));
    unbiased_pair(square_mean, mean_square, k - 1, slices->images, &gradient2, &trace);
    return of(gradient2, trace);
}

/* t times the jackknife's standard error, sqrt((K - 1) / K sum_i (q_-i - mean)^2). Not finite where
 * the quantity is not for all slices but one. */
static double half_width(const struct slices *slices, quantity *of) {
    const uint32_t count = slices->count;
    double mean = 0;
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        mean += without(slices, i, of) / count;
    }
    for (uint32_t i = 0; i < count; i++) {
        double distance = without(slices, i, of) - mean;
        sum += distance * distance;
    }
    return student_t(count - 1) * sqrt(sum * (count - 1) / count);
}

static void find_interval(const struct slices *slices, struct bm_noise *noise) {
    if (noise->gradient2 - half_width(slices, gradient2_of) > 0) {
        double factor = exp(half_width(slices, log_scale_of));
        if (isfinite(factor)) {
            noise->low = noise->scale / factor;
            noise->high = noise->scale * factor;
            return;
        }
    }
    double most = noise->gradient2 / noise->trace + half_width(slices, inverse_of);
    if (most > 0) { /* and a number: without noise in all slices but one, it is none */
        noise->low = 1 / most;
    }
    if (noise->reason == NULL) {
        noise->reason = "so few images set no upper limit";
    }
}

static void find_scale(const struct slices *slices, struct bm_noise *noise) {
    if (noise->gradient2 > 0) {
        noise->scale = noise->trace / noise->gradient2;
    } else {
        noise->reason = "the gradient does not stand out from the noise";
    }
    if (slices->count < BM_NOISE_INTERVAL_SLICES) {
        noise->reason = noise->reason == NULL ? "so few slices give no interval" : noise->reason;
    } else if (noise->trace > 0) {
        find_interval(slices, noise);
    } else {
        noise->low = 0;
        noise->high = 0;
    }
}

void bm_noise_estimate(const double *squares,
                       const double *products,
                       uint32_t slices,
                       uint64_t images,
                       struct bm_noise *noise) {
    BM_ASSERT(slices >= BM_NOISE_SLICES_MIN && images >= 1);
    struct slices all = {.squares = squares,
                         .products = products,
                         .count = slices,
                         .images = (double)images,
                         .square_mean = mean_of(squares, slices),
                         .mean_square = mean_of(products, slices)};
    *noise = (struct bm_noise){.slices = slices,
                               .images = images,
                               .gradient2 = (double)NAN,
                               .trace = (double)NAN,
                               .scale = (double)NAN,
                               .low = (double)NAN,
                               .high = (double)NAN};
    if (!isfinite(all.square_mean) || !isfinite(all.mean_square)) {
        noise->reason = "a gradient is not finite";
        return;
    }
    unbiased_pair(all.square_mean, all.mean_square, slices, all.images, &noise->gradient2,
                  &noise->trace);
    if (all.square_mean == 0) {
        noise->reason = "all gradients are zero";
        return;
    }
    find_scale(&all, noise);
}

/* ---- The gradients of a session ---- */

struct measure {
    struct bm_bench *bench;
    uint64_t first;
    uint64_t images;
    uint32_t slices;
    float *gradient;  /* [param_count] of one slice */
    double *mean;     /* [param_count] of all, G' */
    double *squares;  /* [slices] */
    double *products; /* [slices] */
};

static int32_t read_slice(struct measure *measure, uint32_t index, struct bm_error *error) {
    struct bm_bench *bench = measure->bench;
    bench->first = measure->first + index * measure->images;
    int32_t status = bm_bench_gradient(bench, measure->images, error);
    return status == BM_STATUS_OK ? bm_bench_read_gradient(bench, measure->gradient, error)
                                  : status;
}

static int32_t add_up(struct measure *measure, struct bm_error *error) {
    const uint64_t count = measure->bench->param_count;
    for (uint32_t i = 0; i < measure->slices; i++) {
        int32_t status = read_slice(measure, i, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        for (uint64_t p = 0; p < count; p++) {
            measure->mean[p] += (double)measure->gradient[p];
        }
    }
    for (uint64_t p = 0; p < count; p++) {
        measure->mean[p] /= measure->slices;
    }
    return BM_STATUS_OK;
}

static int32_t multiply(struct measure *measure, struct bm_error *error) {
    const uint64_t count = measure->bench->param_count;
    for (uint32_t i = 0; i < measure->slices; i++) {
        int32_t status = read_slice(measure, i, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        for (uint64_t p = 0; p < count; p++) {
            const double value = (double)measure->gradient[p];
            measure->squares[i] += value * value;
            measure->products[i] += value * measure->mean[p];
        }
    }
    return BM_STATUS_OK;
}

/* The walk and the flags are the session's again afterwards, whatever happened. */
static int32_t take_gradients(struct measure *measure, struct bm_error *error) {
    struct bm_bench *bench = measure->bench;
    const uint64_t first = bench->first;
    const uint32_t flags = bench->flags;
    bench->flags = BM_SLICE_KEEP_STATISTICS | BM_SLICE_NO_DROPOUT;
    int32_t status = add_up(measure, error);
    if (status == BM_STATUS_OK) {
        status = multiply(measure, error);
    }
    bench->first = first;
    bench->flags = flags;
    return status;
}

static int32_t check_range(const struct measure *measure, struct bm_error *error) {
    const uint64_t order_count = measure->bench->order_count;
    uint64_t left = measure->first < order_count ? order_count - measure->first : 0;
    if (measure->slices < BM_NOISE_SLICES_MIN) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "noise scale: expected at least %u slices, found %u", BM_NOISE_SLICES_MIN,
                       measure->slices);
    }
    if (measure->images == 0 || measure->images > left / measure->slices) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "noise scale: expected 1 to %" PRIu64 " images in each of %u slices of the "
                       "order's last %" PRIu64 ", found %" PRIu64,
                       left / measure->slices, measure->slices, left, measure->images);
    }
    return BM_STATUS_OK;
}

static int32_t allocate(struct measure *measure, struct bm_error *error) {
    const uint64_t count = measure->bench->param_count;
    measure->gradient = malloc(count * sizeof *measure->gradient);
    measure->mean = calloc(count, sizeof *measure->mean);
    measure->squares = calloc(measure->slices, sizeof *measure->squares);
    measure->products = calloc(measure->slices, sizeof *measure->products);
    return measure->gradient != NULL && measure->mean != NULL && measure->squares != NULL &&
                   measure->products != NULL
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_NO_MEMORY,
                         "noise scale: no memory for gradients of %" PRIu64 " parameters", count);
}

int32_t bm_noise_measure(struct bm_bench *bench,
                         uint64_t first,
                         uint64_t images,
                         uint32_t slices,
                         struct bm_noise *noise,
                         struct bm_error *error) {
    struct measure measure = {.bench = bench, .first = first, .images = images, .slices = slices};
    int32_t status = check_range(&measure, error);
    if (status == BM_STATUS_OK) {
        status = allocate(&measure, error);
    }
    if (status == BM_STATUS_OK) {
        status = take_gradients(&measure, error);
    }
    if (status == BM_STATUS_OK) {
        bm_noise_estimate(measure.squares, measure.products, slices, images, noise);
    }
    free(measure.gradient);
    free(measure.mean);
    free(measure.squares);
    free(measure.products);
    return status;
}
