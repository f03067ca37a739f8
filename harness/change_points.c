#include "change_points.h"

#include "error.h"
#include "stats.h"
#include "student.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MIN BM_CHANGE_SIDE_MIN
/* A candidate may be this unlikely to be one; neighbours that it has too many of hide others. */
#define CANDIDATE_P 0.1
/* Of Hampel's filter: half of the window, and how many standard deviations are far. */
#define HALF_WINDOW 2u
#define FAR 5.0
/* Of normal values the standard deviation over the median absolute deviation. */
#define NORMAL_MAD 1.4826
/* The place of a change lies, with 95 %, where the logarithm of the likelihood is less than this
 * below its largest: on each side that is an exponential variable, and
 * (1 - exp(-3.68))^2 = 0.95 (Siegmund, "Confidence sets in change-point problems", 1988). */
#define PLACE_DEPTH 3.68
/* Larger correlations of neighbours are not told from a change. */
#define LIKENESS_MAX 0.9
/* What rounding alone may make of equal logarithms. */
#define ROUNDING 1e-12

/* The filtered logarithms y, centred, as sums: sum[i] = y[0] + .. + y[i-1], square[i] likewise. */
struct profile {
    uint32_t count;
    double tests; /* splits looked at */
    double *sum;
    double *square;
    double *product; /* of neighbours: product[i] = y[0] y[1] + .. + y[i-1] y[i] */
};

struct side {
    double count;
    double mean;
    double residual; /* sum of (y - mean)^2 */
    double variance;
};

/* A split of begin .. end, the new level beginning at `index`. */
struct split {
    uint32_t begin;
    uint32_t end;
    uint32_t index;
    double contrast; /* see contrast_at */
    double p;        /* as it is, of this split alone */
};

/* ---- Odd runs ---- */

/* Of values without trend, from the differences of neighbours: a step is only one of them. */
static double deviation(const double *values, uint32_t count, double *scratch) {
    for (uint32_t i = 1; i < count; i++) {
        scratch[i - 1] = fabs(values[i] - values[i - 1]);
    }
    return NORMAL_MAD * bm_stats_median(scratch, count - 1) / sqrt(2.0);
}

static double window_median(const double *values, uint32_t count, uint32_t at) {
    double window[2 * HALF_WINDOW + 1];
    uint32_t begin = at < HALF_WINDOW ? 0 : at - HALF_WINDOW;
    if (begin + 2 * HALF_WINDOW + 1 > count) {
        begin = count - 2 * HALF_WINDOW - 1;
    }
    memcpy(window, values + begin, sizeof window);
    return bm_stats_median(window, 2 * HALF_WINDOW + 1);
}

static void filter(const double *values, uint32_t count, double *filtered, double *scratch) {
    double far = FAR * deviation(values, count, scratch) + ROUNDING;
    for (uint32_t i = 0; i < count; i++) {
        double middle = window_median(values, count, i);
        filtered[i] = fabs(values[i] - middle) > far ? middle : values[i];
    }
}

/* ---- Splits ---- */

static struct side side_of(const struct profile *profile, uint32_t begin, uint32_t end) {
    double sum = profile->sum[end] - profile->sum[begin];
    double square = profile->square[end] - profile->square[begin];
    double count = (double)(end - begin);
    double residual = square - sum * sum / count;
    residual = residual > count * ROUNDING ? residual : 0;
    return (struct side){count, sum / count, residual, residual / (count - 1)};
}

/* |mean before - mean after| sqrt(a b / (a + b)), a and b the numbers of values: largest where the
 * two sides leave the least sum of squares. */
static double
contrast_at(const struct profile *profile, uint32_t begin, uint32_t index, uint32_t end) {
    double before = (double)(index - begin);
    double after = (double)(end - index);
    double before_sum = profile->sum[index] - profile->sum[begin];
    double after_sum = profile->sum[end] - profile->sum[index];
    return fabs(before_sum / before - after_sum / after) * sqrt(before * after / (before + after));
}

/* Products of neighbouring residuals of a side, summed. */
static double neighbours_of(const struct profile *profile, uint32_t begin, uint32_t end) {
    double mean = (profile->sum[end] - profile->sum[begin]) / (double)(end - begin);
    double products = profile->product[end - 1] - profile->product[begin];
    double left = profile->sum[end - 1] - profile->sum[begin];
    double right = profile->sum[end] - profile->sum[begin + 1];
    return products - mean * (left + right) + (double)(end - begin - 1) * mean * mean;
}

/* By how much a standard error is too small because runs near in time are alike:
 * sqrt((1 + r) / (1 - r)), r the correlation of neighbours within the two sides. */
static double likeness(const struct profile *profile, const struct split *split, double residual) {
    double r = (neighbours_of(profile, split->begin, split->index) +
                neighbours_of(profile, split->index, split->end)) /
               residual;
    r = r < LIKENESS_MAX ? r : LIKENESS_MAX;
    return r > 0 ? sqrt((1 + r) / (1 - r)) : 1;
}

/* What a t test of the two sides needs. The standard error is the larger of Welch's and of that of
 * equal variances: four quiet runs prove no quiet level. */
struct test {
    double difference; /* of the means */
    double error;
    double freedom;
};

static struct test test_of(const struct profile *profile, const struct split *split) {
    struct side before = side_of(profile, split->begin, split->index);
    struct side after = side_of(profile, split->index, split->end);
    double freedom = before.count + after.count - 2;
    double pooled =
        (before.residual + after.residual) / freedom * (1 / before.count + 1 / after.count);
    double welch = before.variance / before.count + after.variance / after.count;
    return (struct test){after.mean - before.mean, sqrt(fmax(welch, pooled)), freedom};
}

/* The same where the sides hold no other change, which would make neighbours look alike. */
static struct test final_test_of(const struct profile *profile, const struct split *split) {
    struct test test = test_of(profile, split);
    double residual = side_of(profile, split->begin, split->index).residual +
                      side_of(profile, split->index, split->end).residual;
    test.error *= residual > 0 ? likeness(profile, split, residual) : 1;
    return test;
}

/* Two-sided, of this split alone; 1 at once where even a normal variable would be above `enough`:
 * most intervals hold no change, and t is dear. */
static double p_of(const struct test *test, double enough) {
    if (fabs(test->difference) <= ROUNDING) {
        return 1;
    }
    double t = test->error > 0 ? fabs(test->difference) / test->error : HUGE_VAL;
    return erfc(t / sqrt(2.0)) > enough ? 1 : bm_student_two_sided(t, test->freedom);
}

/* The best split of begin .. end, which has room for one. */
static struct split
best_split(const struct profile *profile, uint32_t begin, uint32_t end, double enough) {
    struct split best = {begin, end, begin + SIDE_MIN, -1, 1};
    for (uint32_t i = begin + SIDE_MIN; i + SIDE_MIN <= end; i++) {
        double contrast = contrast_at(profile, begin, i, end);
        if (contrast > best.contrast) {
            best.index = i;
            best.contrast = contrast;
        }
    }
    struct test test = test_of(profile, &best);
    best.p = p_of(&test, enough);
    return best;
}

/* ---- Candidates ---- */

/* Layer k has intervals of length n 2^(-k/2), about 2 n / length of them, evenly spread. */
struct layer {
    uint32_t length;
    uint32_t intervals;
};

static struct layer layer_of(uint32_t count, uint32_t k) {
    double shrink = pow(2.0, k / 2.0);
    return (struct layer){(uint32_t)ceil(count / shrink), 2 * (uint32_t)ceil(shrink) - 1};
}

static uint32_t layer_begin(uint32_t count, const struct layer *layer, uint32_t interval) {
    if (layer->intervals == 1) {
        return 0;
    }
    return (uint32_t)((uint64_t)(count - layer->length) * interval / (layer->intervals - 1));
}

static void count_splits(struct profile *profile, uint32_t *intervals) {
    *intervals = 0;
    profile->tests = 0;
    for (uint32_t k = 0;; k++) {
        struct layer layer = layer_of(profile->count, k);
        if (layer.length < 2 * SIDE_MIN) {
            return;
        }
        *intervals += layer.intervals;
        profile->tests += (double)layer.intervals * (layer.length - 2 * SIDE_MIN + 1);
    }
}

static uint32_t collect(const struct profile *profile, struct split *candidates) {
    double enough = CANDIDATE_P / profile->tests;
    uint32_t found = 0;
    for (uint32_t k = 0;; k++) {
        struct layer layer = layer_of(profile->count, k);
        if (layer.length < 2 * SIDE_MIN) {
            return found;
        }
        for (uint32_t i = 0; i < layer.intervals; i++) {
            uint32_t begin = layer_begin(profile->count, &layer, i);
            struct split split = best_split(profile, begin, begin + layer.length, enough);
            if (split.p <= enough) {
                candidates[found++] = split;
            }
        }
    }
}

/* The surest first; where p is too small for a double, the largest contrast. Places last, so that
 * equals have one order. */
static int compare_splits(const void *left, const void *right) {
    const struct split *a = left;
    const struct split *b = right;
    if (a->p != b->p) {
        return a->p < b->p ? -1 : 1;
    }
    if (a->contrast != b->contrast) {
        return a->contrast > b->contrast ? -1 : 1;
    }
    return (a->begin > b->begin) - (a->begin < b->begin);
}

static int compare_places(const void *left, const void *right) {
    const struct split *a = left;
    const struct split *b = right;
    return (a->index > b->index) - (a->index < b->index);
}

/* Keeps each candidate whose interval holds none that was kept before: at most one in SIDE_MIN
 * values. They come back in order of place. */
static uint32_t select_splits(struct split *candidates, uint32_t count) {
    uint32_t kept = 0;
    qsort(candidates, count, sizeof *candidates, compare_splits);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        while (k < kept && (candidates[k].index <= candidates[i].begin ||
                            candidates[k].index >= candidates[i].end)) {
            k++;
        }
        if (k == kept) {
            candidates[kept++] = candidates[i];
        }
    }
    qsort(candidates, kept, sizeof *candidates, compare_places);
    return kept;
}

/* ---- What stands ---- */

/* Between which neighbours split `at` lies, and how sure it is there. Noise that begins with the
 * new level must not make it: the two sides must differ by Welch's test too. */
static void
judge(const struct profile *profile, struct split *splits, uint32_t count, uint32_t at) {
    struct split *split = &splits[at];
    split->begin = at == 0 ? 0 : splits[at - 1].index;
    split->end = at + 1 == count ? profile->count : splits[at + 1].index;
    split->contrast = contrast_at(profile, split->begin, split->index, split->end);
    struct test test = final_test_of(profile, split);
    split->p = p_of(&test, 1);
}

/* Places split `at` anew between its neighbours. */
static void
place(const struct profile *profile, struct split *splits, uint32_t count, uint32_t at) {
    judge(profile, splits, count, at);
    splits[at] = best_split(profile, splits[at].begin, splits[at].end, 1);
}

/* The least sure split, or `count` if all are sure enough. */
static uint32_t
find_worst(const struct profile *profile, const struct split *splits, uint32_t count) {
    uint32_t worst = count;
    double worst_p = BM_CHANGE_P_MAX / profile->tests;
    for (uint32_t i = 0; i < count; i++) {
        if (splits[i].p > worst_p) {
            worst = i;
            worst_p = splits[i].p;
        }
    }
    return worst;
}

/* One leaves at a time: without it, those beside it are surer. */
static uint32_t merge(const struct profile *profile, struct split *splits, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        place(profile, splits, count, i);
    }
    for (;;) {
        for (uint32_t i = 0; i < count; i++) {
            judge(profile, splits, count, i);
        }
        uint32_t worst = find_worst(profile, splits, count);
        if (worst == count) {
            return count;
        }
        count--;
        memmove(&splits[worst], &splits[worst + 1], (count - worst) * sizeof *splits);
        if (worst > 0) {
            place(profile, splits, count, worst - 1);
        }
        if (worst < count) {
            place(profile, splits, count, worst);
        }
    }
}

/* Where the change may lie: see PLACE_DEPTH. n/2 log(residual) is the likelihood that is lost. */
static void find_place(const struct profile *profile,
                       const struct split *split,
                       struct bm_change_point *point) {
    struct side whole = side_of(profile, split->begin, split->end);
    double least = whole.residual - split->contrast * split->contrast;
    least = least > whole.count * ROUNDING ? least : whole.count * ROUNDING;
    double most = least * exp(2 * PLACE_DEPTH / whole.count);
    point->first = split->index;
    point->last = split->index;
    for (uint32_t i = split->begin + 1; i < split->end; i++) {
        double contrast = contrast_at(profile, split->begin, i, split->end);
        if (whole.residual - contrast * contrast <= most) {
            point->first = i < point->first ? i : point->first;
            point->last = i > point->last ? i : point->last;
        }
    }
}

static struct bm_change_point point_of(const struct profile *profile, const struct split *split) {
    struct test test = final_test_of(profile, split);
    struct bm_change_point point = {.index = split->index};
    double half = bm_student_quantile(0.975, test.freedom) * test.error;
    point.ratio = exp(test.difference);
    point.low = exp(test.difference - half);
    point.high = exp(test.difference + half);
    point.p = split->p * profile->tests;
    find_place(profile, split, &point);
    return point;
}

/* ---- The whole ---- */

static void fill_profile(const double *values, struct profile *profile, double *scratch) {
    uint32_t count = profile->count;
    double *logs = scratch;
    double *filtered = scratch + count;
    double *spare = scratch + 2 * (size_t)count;
    for (uint32_t i = 0; i < count; i++) {
        BM_ASSERT(isfinite(values[i]) && values[i] > 0);
        logs[i] = log(values[i]);
    }
    filter(logs, count, filtered, spare);
    memcpy(spare, filtered, count * sizeof *spare);
    double centre = bm_stats_median(spare, count); /* sums of squares lose least near 0 */
    profile->sum[0] = 0;
    profile->square[0] = 0;
    profile->product[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        double y = filtered[i] - centre;
        double next = i + 1 < count ? filtered[i + 1] - centre : 0;
        profile->product[i + 1] = profile->product[i] + y * next;
        profile->sum[i + 1] = profile->sum[i] + y;
        profile->square[i + 1] = profile->square[i] + y * y;
    }
}

int32_t bm_change_points_find(const double *values,
                              uint32_t count,
                              double threshold,
                              struct bm_change_point *points,
                              uint32_t *point_count,
                              struct bm_error *error) {
    struct profile profile = {.count = count};
    uint32_t intervals = 0;
    *point_count = 0;
    if (count < 2 * SIDE_MIN) {
        return BM_STATUS_OK;
    }
    count_splits(&profile, &intervals);
    BM_ASSERT(intervals > 0);
    double *numbers = malloc((6 * (size_t)count + 3) * sizeof *numbers);
    struct split *splits = malloc(intervals * sizeof *splits);
    if (numbers == NULL || splits == NULL) {
        free(numbers);
        free(splits);
        return bm_fail(error, BM_STATUS_NO_MEMORY, "change points: no memory");
    }
    profile.sum = numbers;
    profile.square = numbers + count + 1;
    profile.product = numbers + 2 * ((size_t)count + 1);
    fill_profile(values, &profile, numbers + 3 * ((size_t)count + 1));
    uint32_t found = select_splits(splits, collect(&profile, splits));
    found = merge(&profile, splits, found);
    for (uint32_t i = 0; i < found; i++) {
        struct bm_change_point point = point_of(&profile, &splits[i]);
        if (fabs(log(point.ratio)) >= log1p(threshold)) {
            points[(*point_count)++] = point;
        }
    }
    free(numbers);
    free(splits);
    return BM_STATUS_OK;
}
