#include "gate.h"

#include "error.h"
#include "random.h"
#include "yuen.h"

#include <math.h>

#define SUSPECT_LEVEL 0.80
#define LEVEL 0.98
#define EARLY_LEVEL 0.995
#define INTERVAL_TAIL 0.025
#define RESOLUTION 0.01    /* a slow-down below this is no reason not to pass */
#define AA_TOLERANCE 0.002 /* by which the arms of base may always differ */
#define DWARFS 20.0        /* times their difference: a change that it cannot have made */

#define RESAMPLES 200u
#define POWER 0.9
#define BISECTIONS 9u

static double threshold_log(const struct bm_gate_rule *rule) {
    return log1p(rule->threshold);
}

static double passing_log(const struct bm_gate_rule *rule) {
    return log1p(rule->threshold > RESOLUTION ? rule->threshold : RESOLUTION);
}

static struct bm_yuen summarize(const double *values, uint32_t count) {
    double scratch[BM_GATE_SETS_MAX];
    struct bm_yuen summary;
    bm_yuen_one(values, count, &summary, scratch);
    return summary;
}

static double lower(const struct bm_yuen *summary, double level) {
    return bm_yuen_bound(summary, 1 - level);
}

static double upper(const struct bm_yuen *summary, double level) {
    return bm_yuen_bound(summary, level);
}

void bm_gate_add(struct bm_gate *gate, double log_ratio, double aa) {
    BM_ASSERT(gate->count < BM_GATE_SETS_MAX);
    gate->log_ratio[gate->count] = log_ratio;
    gate->aa[gate->count++] = aa;
}

/* ---- First stage ---- */

/* 1: may be slower than the threshold, -1: faster, 0: neither. */
static int
suspicion(const struct bm_yuen *summary, uint32_t count, const struct bm_gate_rule *rule) {
    double limit = threshold_log(rule);
    int is_late = count >= BM_GATE_SCREEN_SETS;
    if (lower(summary, SUSPECT_LEVEL) > limit || (is_late && summary->estimate > limit)) {
        return 1;
    }
    if (upper(summary, SUSPECT_LEVEL) < -limit || (is_late && summary->estimate < -limit)) {
        return -1;
    }
    return 0;
}

static enum bm_gate_verdict screen(struct bm_gate *gate, const struct bm_gate_rule *rule) {
    struct bm_yuen summary = summarize(gate->log_ratio, gate->count);
    int suspect = suspicion(&summary, gate->count, rule);
    /* A second stage needs room for one look at least. */
    if (suspect != 0 && gate->count + BM_GATE_LOOK <= rule->sets_max) {
        gate->is_confirming = 1;
        gate->screened = gate->count;
        return BM_GATE_OPEN;
    }
    if (suspect <= 0 && upper(&summary, LEVEL) < passing_log(rule)) {
        return BM_GATE_PASS;
    }
    return gate->count == rule->sets_max ? BM_GATE_INCONCLUSIVE : BM_GATE_OPEN;
}

/* ---- Second stage ---- */

static enum bm_gate_verdict confirm(const struct bm_gate *gate, const struct bm_gate_rule *rule) {
    struct bm_yuen screened = summarize(gate->log_ratio, gate->screened);
    int suspect = suspicion(&screened, gate->screened, rule);
    uint32_t count = gate->count - gate->screened;
    struct bm_yuen summary = summarize(gate->log_ratio + gate->screened, count);
    int is_last = count == BM_GATE_CONFIRM_SETS || gate->count == rule->sets_max;
    double level = is_last ? LEVEL : EARLY_LEVEL;
    double limit = threshold_log(rule);
    if (suspect > 0 && lower(&summary, level) > limit) {
        return BM_GATE_REGRESSION;
    }
    if (suspect < 0 && upper(&summary, level) < -limit) {
        return BM_GATE_IMPROVEMENT;
    }
    if (is_last) {
        return upper(&summary, LEVEL) < passing_log(rule) ? BM_GATE_PASS : BM_GATE_INCONCLUSIVE;
    }
    /* Acquitted before the end: neither slower nor, if that was the suspicion, faster. */
    int is_acquitted =
        upper(&summary, LEVEL) < limit && (suspect > 0 || lower(&summary, LEVEL) > -limit);
    return is_acquitted ? BM_GATE_PASS : BM_GATE_OPEN;
}

/* ---- Both ---- */

/* How far the second stage is beyond the threshold at least; 0 where it convicts nobody. */
static double
beyond(const struct bm_gate *gate, const struct bm_gate_rule *rule, enum bm_gate_verdict verdict) {
    struct bm_yuen summary =
        summarize(gate->log_ratio + gate->screened, gate->count - gate->screened);
    switch (verdict) {
    case BM_GATE_REGRESSION:
        return lower(&summary, LEVEL) - threshold_log(rule);
    case BM_GATE_IMPROVEMENT:
        return -upper(&summary, LEVEL) - threshold_log(rule);
    default:
        return 0;
    }
}

/* Two arms of the same file that differ show a run that cannot be believed, unless what it found is
 * of another order than their difference. */
static int
is_void(const struct bm_gate *gate, const struct bm_gate_rule *rule, enum bm_gate_verdict verdict) {
    double half = rule->threshold / 2;
    double tolerance = log1p(half > AA_TOLERANCE ? half : AA_TOLERANCE);
    struct bm_yuen summary = summarize(gate->aa, gate->count);
    double low = lower(&summary, LEVEL);
    double high = upper(&summary, LEVEL);
    int differ = low > tolerance || high < -tolerance;
    return differ && beyond(gate, rule, verdict) <= DWARFS * fmax(fabs(low), fabs(high));
}

static enum bm_gate_verdict look(struct bm_gate *gate, const struct bm_gate_rule *rule) {
    uint32_t count = gate->is_confirming ? gate->count - gate->screened : gate->count;
    int is_last = gate->count >= rule->sets_max;
    if (count < BM_GATE_LOOK) {
        return is_last ? BM_GATE_INCONCLUSIVE : BM_GATE_OPEN;
    }
    if (count % BM_GATE_LOOK != 0 && !is_last) {
        return BM_GATE_OPEN;
    }
    return gate->is_confirming ? confirm(gate, rule) : screen(gate, rule);
}

enum bm_gate_verdict bm_gate_judge(struct bm_gate *gate, const struct bm_gate_rule *rule) {
    BM_ASSERT(gate->count <= rule->sets_max && rule->sets_max <= BM_GATE_SETS_MAX);
    enum bm_gate_verdict verdict = look(gate, rule);
    if (verdict == BM_GATE_OPEN || gate->count < BM_GATE_LOOK) {
        return verdict;
    }
    return is_void(gate, rule, verdict) ? BM_GATE_VOID : verdict;
}

static double spread_of(const double *values, uint32_t count) {
    double sum = 0;
    double squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += values[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        squares += (values[i] - sum / count) * (values[i] - sum / count);
    }
    return sqrt(squares / (count - 1));
}

/* Of a second stage with too few sets to say anything, the first. */
static const double *deciding_stage(const struct bm_gate *gate, uint32_t *count) {
    if (gate->is_confirming && gate->count - gate->screened >= BM_GATE_LOOK) {
        *count = gate->count - gate->screened;
        return gate->log_ratio + gate->screened;
    }
    *count = gate->is_confirming ? gate->screened : gate->count;
    return gate->log_ratio;
}

void bm_gate_figures(const struct bm_gate *gate,
                     const struct bm_gate_rule *rule,
                     struct bm_gate_figures *figures) {
    const double *values = deciding_stage(gate, &figures->sets);
    figures->estimate = figures->low = figures->high = figures->p = NAN;
    figures->aa_estimate = figures->aa_spread = NAN;
    if (figures->sets < BM_YUEN_COUNT_MIN) {
        return;
    }
    struct bm_yuen summary = summarize(values, figures->sets);
    struct bm_yuen aa = summarize(gate->aa, gate->count);
    figures->estimate = summary.estimate;
    figures->low = bm_yuen_bound(&summary, INTERVAL_TAIL);
    figures->high = bm_yuen_bound(&summary, 1 - INTERVAL_TAIL);
    figures->p = bm_yuen_p_above(&summary, threshold_log(rule));
    figures->aa_estimate = aa.estimate;
    figures->aa_spread = spread_of(gate->aa, gate->count);
}

/* ---- Sensitivity ---- */

/* What sets scatter by, around the middle of their stage; a little wider, since a sample lies
 * closer to its own middle than to the true one. */
static uint32_t make_scatter(const struct bm_gate *gate, double *scatter) {
    uint32_t screened = gate->is_confirming ? gate->screened : gate->count;
    uint32_t confirmed = gate->count - screened;
    uint32_t used = confirmed >= BM_GATE_LOOK ? gate->count : screened;
    double first = summarize(gate->log_ratio, screened).estimate;
    double second = used > screened ? summarize(gate->log_ratio + screened, confirmed).estimate : 0;
    double lost = used > screened ? 2 : 1;
    for (uint32_t i = 0; i < used; i++) {
        scatter[i] =
            (gate->log_ratio[i] - (i < screened ? first : second)) * sqrt(used / (used - lost));
    }
    return used;
}

static int would_find(const double *scatter,
                      uint32_t count,
                      double shift,
                      const struct bm_gate_rule *rule,
                      struct bm_random *random) {
    struct bm_gate drawn = {.count = 0};
    enum bm_gate_verdict verdict = BM_GATE_OPEN;
    while (verdict == BM_GATE_OPEN) {
        bm_gate_add(&drawn, shift + scatter[bm_random_below(random, count)], 0);
        verdict = bm_gate_judge(&drawn, rule);
    }
    return verdict == BM_GATE_REGRESSION;
}

/* The same draws for every shift: with a larger one at least as many are found, nearly always. */
static double
found_share(const double *scatter, uint32_t count, double shift, const struct bm_gate_rule *rule) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < RESAMPLES; i++) {
        struct bm_random random;
        bm_random_init(&random, 0, BM_RANDOM_GATE, i);
        found += would_find(scatter, count, shift, rule, &random) != 0;
    }
    return (double)found / RESAMPLES;
}

double bm_gate_sensitivity(const struct bm_gate *gate, const struct bm_gate_rule *rule) {
    double scatter[BM_GATE_SETS_MAX];
    if (gate->count < BM_GATE_LOOK || rule->sets_max < 2 * BM_GATE_LOOK) {
        return NAN;
    }
    uint32_t count = make_scatter(gate, scatter);
    double low = threshold_log(rule);
    double step = 1e-3;
    while (found_share(scatter, count, low + step, rule) < POWER) {
        low += step;
        step *= 2;
        if (low > threshold_log(rule) + log(2.0)) {
            return NAN;
        }
    }
    double high = low + step;
    for (uint32_t i = 0; i < BISECTIONS; i++) {
        double middle = (low + high) / 2;
        if (found_share(scatter, count, middle, rule) < POWER) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return expm1(high);
}
