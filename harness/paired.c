#include "paired.h"

#include "stats.h"

#include <math.h>
#include <string.h>

/* What no clock has seen is damage; within these, ratios stay numbers. */
#define LEAST_NS 1e-3
#define MOST_NS 1e18

/* Round medians of a series, [BM_STATS_SAMPLES_MAX] at most; their number. */
static uint32_t round_medians(const json_t *cell, const char *series, double *medians) {
    double samples[BM_STATS_SAMPLES_MAX];
    double scratch[BM_STATS_SAMPLES_MAX];
    uint64_t counts[BM_STATS_SAMPLES_MAX];
    const json_t *figures = json_object_get(cell, series);
    const json_t *stored = json_object_get(figures, "samples_ns");
    const json_t *rounds = json_object_get(figures, "round_counts");
    uint64_t sum = 0;
    if (json_array_size(stored) > BM_STATS_SAMPLES_MAX ||
        json_array_size(rounds) > BM_STATS_SAMPLES_MAX) {
        return 0;
    }
    for (size_t i = 0; i < json_array_size(rounds); i++) {
        counts[i] = (uint64_t)json_integer_value(json_array_get(rounds, i));
        if (counts[i] > json_array_size(stored)) {
            return 0; /* the sum below must not wrap around */
        }
        sum += counts[i];
    }
    for (size_t i = 0; i < json_array_size(stored); i++) {
        samples[i] = json_number_value(json_array_get(stored, i));
        if (!(samples[i] >= LEAST_NS && samples[i] <= MOST_NS)) {
            return 0;
        }
    }
    return sum != json_array_size(stored) || sum == 0
               ? 0
               : bm_stats_round_medians(samples, counts, (uint32_t)json_array_size(rounds), medians,
                                        scratch);
}

static int is_ok(const json_t *cell) {
    const char *status = json_string_value(json_object_get(cell, "status"));
    return status != NULL && strcmp(status, "ok") == 0;
}

int32_t bm_paired_ratio(const json_t *base, const json_t *cell, struct bm_paired_ratio *ratio) {
    double base_medians[BM_STATS_SAMPLES_MAX];
    double medians[BM_STATS_SAMPLES_MAX];
    double scratch[2 * BM_STATS_SAMPLES_MAX];
    uint32_t base_rounds = is_ok(base) ? round_medians(base, "update", base_medians) : 0;
    uint32_t rounds = is_ok(cell) ? round_medians(cell, "update", medians) : 0;
    memset(ratio, 0, sizeof *ratio);
    ratio->rounds = rounds < base_rounds ? rounds : base_rounds;
    if (ratio->rounds == 0) {
        return 0;
    }
    ratio->apart = bm_stats_ratio(base_medians, medians, ratio->rounds, &ratio->ratio, &ratio->low,
                                  &ratio->high, scratch);
    ratio->has_interval = ratio->rounds >= BM_STATS_ROUNDS_MIN;
    return 1;
}

void bm_paired_reduce(json_t *cell) {
    double medians[BM_STATS_SAMPLES_MAX];
    uint32_t rounds = round_medians(cell, "update", medians);
    const char *name;
    json_t *figures;
    json_object_foreach(cell, name, figures) {
        (void)json_object_del(figures, "samples_ns");
        (void)json_object_del(figures, "round_counts");
    }
    if (rounds > 0) {
        json_t *samples = json_array();
        json_t *counts = json_array();
        for (uint32_t i = 0; i < rounds; i++) {
            (void)json_array_append_new(samples, json_real(medians[i]));
            (void)json_array_append_new(counts, json_integer(1));
        }
        figures = json_object_get(cell, "update");
        (void)json_object_set_new(figures, "samples_ns", samples);
        (void)json_object_set_new(figures, "round_counts", counts);
    }
}

/* ---- Several devices that share a batch ---- */

static json_int_t sessions_of(const json_t *cell) {
    return json_integer_value(json_object_get(cell, "data_parallel"));
}

/* The same work on the first device alone. `model` may differ: it tells what normalizes together.
 */
static int is_alone(const json_t *cell, const json_t *joint) {
    static const char *const keys[] = {"kind",      "backend", "device",     "layers",
                                       "dataset",   "batch",   "optimizer",  "threads",
                                       "precision", "seed",    "micro_batch"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!json_equal(json_object_get(cell, keys[i]), json_object_get(joint, keys[i]))) {
            return 0;
        }
    }
    return sessions_of(cell) == 1;
}

static const json_t *find_alone(const json_t *objects, const json_t *joint) {
    size_t index;
    const json_t *cell;
    json_array_foreach(objects, index, cell) {
        if (is_alone(cell, joint)) {
            return cell;
        }
    }
    return NULL;
}

json_t *bm_paired_efficiency(const json_t *objects, const json_t *cell) {
    struct bm_paired_ratio ratio;
    double sessions = (double)sessions_of(cell);
    if (sessions < 2 || json_is_true(json_object_get(cell, "computes_nothing")) ||
        !bm_paired_ratio(find_alone(objects, cell), cell, &ratio)) {
        return NULL;
    }
    return json_pack("{s:f, s:f, s:f, s:i}", "value", ratio.ratio / sessions, "low",
                     ratio.low / sessions, "high", ratio.high / sessions, "rounds",
                     (int)ratio.rounds);
}

/* ---- The host's part ---- */

json_t *bm_paired_submission(const json_t *cell) {
    double updates[BM_STATS_SAMPLES_MAX];
    double device[BM_STATS_SAMPLES_MAX];
    double scratch[BM_STATS_SAMPLES_MAX];
    uint32_t rounds = is_ok(cell) ? round_medians(cell, "update", updates) : 0;
    uint32_t device_rounds = is_ok(cell) ? round_medians(cell, "device_update", device) : 0;
    double low = 0;
    double high = 0;
    rounds = rounds < device_rounds ? rounds : device_rounds;
    if (rounds == 0) {
        return NULL;
    }
    /* Noise may make a difference negative; with an offset all are positive, as statistics of times
     * want them. */
    double offset = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        offset = device[i] > offset ? device[i] : offset;
    }
    for (uint32_t i = 0; i < rounds; i++) {
        updates[i] += offset - device[i];
    }
    bm_stats_interval(updates, rounds, &low, &high, scratch);
    double median = bm_stats_quantile(updates, rounds, 0.5, scratch);
    return json_pack("{s:f, s:f, s:f, s:i}", "median_ns", median - offset, "low_ns", low - offset,
                     "high_ns", high - offset, "rounds", (int)rounds);
}
