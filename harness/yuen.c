#include "yuen.h"

#include "error.h"
#include "stats.h"
#include "student.h"

#include <math.h>

static void sort_copy(const double *values, uint32_t count, double *sorted) {
    BM_ASSERT(count >= BM_YUEN_COUNT_MIN);
    for (uint32_t i = 0; i < count; i++) {
        BM_ASSERT(isfinite(values[i]));
        sorted[i] = values[i];
    }
    bm_stats_sort(sorted, count);
}

static double mean_of(const double *values, uint32_t count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum / count;
}

static void winsorize(double *sorted, uint32_t count, uint32_t trimmed) {
    for (uint32_t i = 0; i < trimmed; i++) {
        sorted[i] = sorted[trimmed];
        sorted[count - 1 - i] = sorted[count - 1 - trimmed];
    }
}

void bm_yuen_one(const double *values, uint32_t count, struct bm_yuen *result, double *scratch) {
    uint32_t trimmed = count / 5;
    uint32_t kept = count - 2 * trimmed;
    double squares = 0;
    sort_copy(values, count, scratch);
    result->estimate = mean_of(scratch + trimmed, kept);
    winsorize(scratch, count, trimmed);
    double mean = mean_of(scratch, count);
    for (uint32_t i = 0; i < count; i++) {
        squares += (scratch[i] - mean) * (scratch[i] - mean);
    }
    result->error = sqrt(squares / ((double)kept * (kept - 1)));
    result->freedom = kept - 1;
}

/* d^2 / freedom of one sample, d its error's square: a term of Welch's formula. */
static double welch_term(const struct bm_yuen *sample) {
    return pow(sample->error, 4) / sample->freedom;
}

void bm_yuen_two(const double *base,
                 uint32_t base_count,
                 const double *head,
                 uint32_t head_count,
                 struct bm_yuen *result,
                 double *scratch) {
    struct bm_yuen samples[2];
    bm_yuen_one(base, base_count, &samples[0], scratch);
    bm_yuen_one(head, head_count, &samples[1], scratch);
    double squares = pow(samples[0].error, 2) + pow(samples[1].error, 2);
    double terms = welch_term(&samples[0]) + welch_term(&samples[1]);
    result->estimate = samples[1].estimate - samples[0].estimate;
    result->error = sqrt(squares);
    /* Of two samples without any spread, or with so little that its fourth power is 0. */
    result->freedom =
        terms > 0 ? squares * squares / terms : samples[0].freedom + samples[1].freedom;
}

double bm_yuen_bound(const struct bm_yuen *result, double probability) {
    return result->estimate + bm_student_quantile(probability, result->freedom) * result->error;
}

double bm_yuen_p_above(const struct bm_yuen *result, double limit) {
    double distance = result->estimate - limit;
    if (result->error <= 0) {
        return distance > 0 ? 0 : 1;
    }
    double tails = bm_student_two_sided(distance / result->error, result->freedom);
    return distance > 0 ? tails / 2 : 1 - tails / 2;
}

double bm_yuen_sensitivity(const struct bm_yuen *result, double level, double power) {
    return (bm_student_quantile(level, result->freedom) +
            bm_student_quantile(power, result->freedom)) *
           result->error;
}
