#include "seeds.h"

#include "error.h"
#include "student.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

/* A sample: values a[i], or differences a[i] - b[i] where b is not NULL. */
struct sample {
    const double *a;
    const double *b;
    uint64_t count;
};

static double value_at(const struct sample *sample, uint64_t i) {
    return sample->b == NULL ? sample->a[i] : sample->a[i] - sample->b[i];
}

static void check_finite(const struct sample *sample) {
    for (uint64_t i = 0; i < sample->count; i++) {
        BM_ASSERT(isfinite(value_at(sample, i)));
    }
}

/* Values closer than this are the same but for the rounding of what they were made from: a
 * difference is as uncertain as the numbers that were subtracted, however small it is. */
static double rounding_of(const struct sample *sample) {
    double largest = 0.0;
    for (uint64_t i = 0; i < sample->count; i++) {
        largest = fmax(largest, fabs(sample->a[i]));
        largest = sample->b == NULL ? largest : fmax(largest, fabs(sample->b[i]));
    }
    return 4.0 * DBL_EPSILON * largest;
}

static int32_t all_agree(const struct sample *sample) {
    double low = value_at(sample, 0);
    double high = low;
    for (uint64_t i = 1; i < sample->count; i++) {
        low = fmin(low, value_at(sample, i));
        high = fmax(high, value_at(sample, i));
    }
    return high - low <= rounding_of(sample);
}

static double mean_of(const struct sample *sample) {
    double sum = 0.0;
    for (uint64_t i = 0; i < sample->count; i++) {
        sum += value_at(sample, i);
    }
    return sum / (double)sample->count;
}

/* sqrt(sum (x - mean)^2 / (count - 1)) */
static double deviation_of(const struct sample *sample, double mean) {
    double sum = 0.0;
    for (uint64_t i = 0; i < sample->count; i++) {
        double off = value_at(sample, i) - mean;
        sum += off * off;
    }
    return sqrt(sum / (double)(sample->count - 1));
}

static double standard_error(const struct bm_seeds_mean *mean) {
    return mean->deviation / sqrt((double)mean->count);
}

static struct bm_seeds_mean summarize(const struct sample *sample, double coverage) {
    struct bm_seeds_mean out = {
        .count = sample->count, .mean = NAN, .deviation = NAN, .low = NAN, .high = NAN};
    BM_ASSERT(coverage > 0.0 && coverage < 1.0);
    check_finite(sample);
    if (sample->count == 0) {
        return out;
    }
    if (all_agree(sample)) {
        double value = value_at(sample, 0);
        out.mean = fabs(value) <= rounding_of(sample) ? 0.0 : value;
        out.deviation = sample->count == 1 ? (double)NAN : 0.0;
        return out;
    }
    out.mean = mean_of(sample);
    out.deviation = deviation_of(sample, out.mean);
    double t = bm_student_quantile(0.5 + coverage / 2.0, (double)(out.count - 1));
    out.low = out.mean - t * standard_error(&out);
    out.high = out.mean + t * standard_error(&out);
    out.has_interval = 1;
    return out;
}

struct bm_seeds_mean bm_seeds_mean(const double *values, uint64_t count, double coverage) {
    return summarize(&(struct sample){values, NULL, count}, coverage);
}

/* 2^-count: that many differences on one side by chance. */
static double one_sign(uint64_t count) {
    return exp2(-(double)count);
}

static double paired_p(const struct bm_seeds_mean *difference) {
    if (difference->has_interval) {
        return bm_student_two_sided(difference->mean / standard_error(difference),
                                    (double)(difference->count - 1));
    }
    return difference->count == 0 || difference->mean == 0.0
               ? 1.0
               : fmin(1.0, 2.0 * one_sign(difference->count));
}

struct bm_seeds_paired
bm_seeds_paired(const double *a, const double *b, uint64_t count, double coverage) {
    struct bm_seeds_paired out = {.difference = summarize(&(struct sample){a, b, count}, coverage)};
    const struct bm_seeds_mean *difference = &out.difference;
    out.p = paired_p(difference);
    out.distinguishable = difference->has_interval ? difference->low > 0.0 || difference->high < 0.0
                                                   : out.p <= 1.0 - coverage;
    return out;
}

/* ---- Equivalence ---- */

/* The nearer end of the margin decides: T = (margin - |mean|) / error, p = P(T' >= T). */
static double equivalence_p(const struct bm_seeds_mean *difference, double margin) {
    double room = margin - fabs(difference->mean);
    if (!difference->has_interval) {
        return difference->count > 0 && room > 0.0 ? one_sign(difference->count) : 1.0;
    }
    double p =
        bm_student_two_sided(room / standard_error(difference), (double)(difference->count - 1));
    return room > 0.0 ? p / 2.0 : 1.0 - p / 2.0;
}

static void set_verdict(struct bm_seeds_equivalence *out, uint32_t verdict, const char *reason) {
    out->verdict = verdict;
    out->reason = reason;
}

static void judge(struct bm_seeds_equivalence *out, double margin, double alpha) {
    const struct bm_seeds_mean *difference = &out->difference;
    double low = difference->has_interval ? difference->low : difference->mean;
    double high = difference->has_interval ? difference->high : difference->mean;
    if (difference->count < BM_SEEDS_PAIRS_MIN) {
        set_verdict(out, BM_SEEDS_UNDECIDED, "needs at least 5 paired seeds");
    } else if (!difference->has_interval && one_sign(difference->count) > alpha) {
        set_verdict(out, BM_SEEDS_UNDECIDED,
                    "all differences agree, but there are too few pairs for this alpha");
    } else if (low > -margin && high < margin) {
        set_verdict(out, BM_SEEDS_EQUIVALENT, "the difference lies inside the margin");
    } else if (low > margin || high < -margin) {
        set_verdict(out, BM_SEEDS_DIFFERENT, "the difference lies outside the margin");
    } else {
        set_verdict(out, BM_SEEDS_UNDECIDED,
                    "the interval of the difference crosses the margin; more seeds narrow it");
    }
}

struct bm_seeds_equivalence
bm_seeds_equivalent(const double *a, const double *b, uint64_t count, double margin, double alpha) {
    BM_ASSERT(isfinite(margin) && margin > 0.0);
    struct bm_seeds_equivalence out = {
        .difference = summarize(&(struct sample){a, b, count}, 1.0 - 2.0 * alpha)};
    out.p = equivalence_p(&out.difference, margin);
    judge(&out, margin, alpha);
    return out;
}

const char *bm_seeds_verdict_name(uint32_t verdict) {
    static const char *const names[] = {[BM_SEEDS_EQUIVALENT] = "equivalent",
                                        [BM_SEEDS_DIFFERENT] = "different",
                                        [BM_SEEDS_UNDECIDED] = "undecided"};
    BM_ASSERT(verdict < sizeof names / sizeof names[0]);
    return names[verdict];
}

/* ---- Many tests ---- */

/* Holm's adjusted value is the largest of min(1, (count - k) q) over the q <= p[i], k being how
 * many are below q. */
void bm_seeds_holm(const double *p, uint64_t count, double *adjusted) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t below = 0;
        BM_ASSERT(p[i] >= 0.0 && p[i] <= 1.0);
        for (uint64_t j = 0; j < count; j++) {
            below += p[j] < p[i];
        }
        adjusted[i] = fmin(1.0, (double)(count - below) * p[i]);
    }
    /* In place: an entry that has been raised is still one of a smaller or equal p. */
    for (uint64_t i = 0; i < count; i++) {
        for (uint64_t j = 0; j < count; j++) {
            if (p[j] <= p[i]) {
                adjusted[i] = fmax(adjusted[i], adjusted[j]);
            }
        }
    }
}
