#include "schedule.h"

#include "check.h"
#include "error.h"
#include "interrupt.h"
#include "now.h"
#include "random.h"
#include "row_worker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_NS 50e6        /* of one block */
#define DEVICE_BLOCK_NS 10e6 /* of one by the device's clock */
#define PIPELINE_NS 16e6     /* of the updates before one wait */
#define VALUES_MAX 1000u
#define PER_VALUE_MAX 1000000u
#define CLOCK_SHARE 1000.0 /* a value lasts at least so many readings of the clock */
#define UPDATES_MIN 3u
#define TOLERANCE 0.01
#define SLOW_NS 5e9   /* above this, one round will do */
#define PART_VALUES 3 /* of the block that estimates a part of an update */
#define EPOCHS_MAX 3u
#define FAILURES_MAX 3u
/* A session above this share of the free memory is not held three times. */
#define MEMORY_SHARE 0.1

static double now_s(const struct bm_schedule *schedule) {
    return schedule->now_s == NULL ? bm_now_s() : schedule->now_s();
}

/* A corrupted worker may answer anything. */
static int32_t is_time(double value) {
    return value > 0 && isfinite(value);
}

static uint64_t clamp(double value, uint64_t low, uint64_t high) {
    if (!(value > (double)low)) {
        return low;
    }
    return value > (double)high ? high : (uint64_t)ceil(value);
}

/* ---- Plan of one cell ---- */

static uint32_t rounds_min(const struct bm_cell *cell) {
    return cell->update_ns > SLOW_NS ? 1 : BM_STATS_ROUNDS_MIN;
}

/* At least a second, for processes, sessions and what is short. */
static double at_least_s(double large_s) {
    return large_s > 1 ? 1 + large_s : 1.5;
}

/* The updates of the fewest rounds with their unrecorded ones, and of the replay. */
static double rounds_s(double update_ns) {
    double block = BM_MEASURE_WARM_UP + UPDATES_MIN;
    double blocks = update_ns > SLOW_NS ? 2 : BM_STATS_ROUNDS_MIN + 1;
    return 1e-9 * update_ns * blocks * block;
}

double bm_schedule_need_s(double update_ns) {
    return at_least_s(1e-9 * update_ns * bm_check_updates(update_ns) + rounds_s(update_ns));
}

static void explain(struct bm_cell *cell, const char *what, double need_s, double left_s) {
    cell->verdict.kind = BM_VERDICT_SKIPPED;
    (void)snprintf(cell->verdict.reason, sizeof cell->verdict.reason,
                   "an update takes about %.3g s, so %s %.0f s; %.0f s of the time limit are left "
                   "for it",
                   1e-9 * cell->update_ns, what, ceil(need_s), left_s > 0 ? floor(left_s) : 0);
}

void bm_schedule_explain(struct bm_cell *cell, double left_s) {
    explain(cell, "the cell", bm_schedule_need_s(cell->update_ns), left_s);
}

/* A value is long against the clock, a block about BLOCK_NS and at least three updates. */
static void shape_waited(struct bm_block_shape *shape, double update_ns, double clock_ns) {
    double least_ns = CLOCK_SHARE * clock_ns;
    shape->per_value = update_ns >= least_ns ? 1 : clamp(least_ns / update_ns, 1, PER_VALUE_MAX);
    double value_ns = (double)shape->per_value * update_ns;
    shape->values = clamp(BLOCK_NS / value_ns, UPDATES_MIN, VALUES_MAX);
}

static void
shape_joined(struct bm_block_shape *shape, double update_ns, double clock_ns, uint64_t most) {
    double enough_ns = PIPELINE_NS > CLOCK_SHARE * clock_ns ? PIPELINE_NS : CLOCK_SHARE * clock_ns;
    uint64_t least = most < UPDATES_MIN ? most : UPDATES_MIN;
    shape->per_value = clamp(enough_ns / update_ns, least, most);
    double value_ns = (double)shape->per_value * update_ns;
    shape->values = clamp(BLOCK_NS / value_ns, 1, VALUES_MAX);
    if (shape->per_value < UPDATES_MIN) {
        shape->values =
            clamp((double)UPDATES_MIN / (double)shape->per_value, shape->values, VALUES_MAX);
    }
}

/* A device's clock starts and stops with the work: a few readings are enough. */
static void shape_device(struct bm_block_shape *shape, double update_ns) {
    shape->per_value = 1;
    shape->values = clamp(DEVICE_BLOCK_NS / update_ns, UPDATES_MIN, BM_CELL_KEEP);
}

/* gradient_ns and apply_ns are estimates of the parts. */
static void shape_series(struct bm_cell *cell, double gradient_ns, double apply_ns) {
    static const enum bm_series all[] = {BM_SERIES_GRADIENT,     BM_SERIES_APPLY,
                                         BM_SERIES_UPDATE,       BM_SERIES_PIPELINED,
                                         BM_SERIES_UPDATES,      BM_SERIES_DEVICE_GRADIENT,
                                         BM_SERIES_DEVICE_APPLY, BM_SERIES_DEVICE_UPDATE};

    for (uint32_t i = 0; i < BM_SERIES_COUNT; i++) {
        cell->series[i].shape.series = all[i];
        cell->series[i].repeatable = 1;
        cell->series[i].step_ns = cell->update_ns;
    }
    cell->series[BM_SERIES_GRADIENT].step_ns = gradient_ns;
    cell->series[BM_SERIES_APPLY].step_ns = apply_ns;
    cell->series[BM_SERIES_DEVICE_GRADIENT].step_ns = gradient_ns;
    cell->series[BM_SERIES_DEVICE_APPLY].step_ns = apply_ns;
    double clock_ns = cell->clock_ns;
    shape_waited(&cell->series[BM_SERIES_UPDATE].shape, cell->update_ns, clock_ns);
    shape_waited(&cell->series[BM_SERIES_GRADIENT].shape, gradient_ns, clock_ns);
    shape_waited(&cell->series[BM_SERIES_APPLY].shape, apply_ns, clock_ns);
    shape_joined(&cell->series[BM_SERIES_PIPELINED].shape, cell->update_ns, clock_ns,
                 PER_VALUE_MAX);
    if (cell->updates_max >= 2) {
        shape_joined(&cell->series[BM_SERIES_UPDATES].shape, cell->update_ns, clock_ns,
                     cell->updates_max);
    }
    for (uint32_t i = 0; i < BM_SERIES_COUNT && cell->tells_device_time; i++) {
        if (bm_series_is_device(all[i])) {
            shape_device(&cell->series[i].shape, cell->update_ns);
        }
    }
}

/* The unrecorded updates, for applies the gradient that all of them take, and the block's own
 * steps. */
static double block_s(const struct bm_cell *cell, enum bm_series which) {
    const struct bm_cell_series *series = &cell->series[which];
    double steps = (double)series->shape.values * (double)series->shape.per_value;
    double before_ns = BM_MEASURE_WARM_UP * cell->update_ns;
    if (which == BM_SERIES_APPLY || which == BM_SERIES_DEVICE_APPLY) {
        before_ns += cell->series[BM_SERIES_GRADIENT].step_ns;
    }
    return 1e-9 * (before_ns + steps * series->step_ns);
}

/* Time of a block and, for a series that has one, of its replay. */
static double series_s(const struct bm_cell *cell, enum bm_series series) {
    return block_s(cell, series) * (bm_series_steps(series) ? 2 : 1);
}

/* Whether a series other than update is measured in this round: always when all of it is cheap;
 * otherwise once, and only from what the updates leave over. */
static int32_t takes_turn(struct bm_cell *cell, enum bm_series series, uint32_t round) {
    if (cell->series[series].shape.values == 0) {
        return 0;
    }
    if (series == BM_SERIES_UPDATE) {
        return 1;
    }
    double all_s = 0;
    for (uint32_t i = 0; i < BM_SERIES_COUNT; i++) {
        all_s += cell->series[i].shape.values > 0 ? block_s(cell, (enum bm_series)i) : 0;
    }
    if (BM_STATS_ROUNDS_MIN * all_s <= cell->budget_s) {
        return 1;
    }
    if (round > 0 || series_s(cell, series) > cell->spare_s) {
        return 0;
    }
    cell->spare_s -= series_s(cell, series);
    return 1;
}

/* ---- Asking a cell's workers ---- */

/* Processor time of all workers but one. */
static uint64_t others_cpu_ns(const struct bm_schedule *schedule, const struct bm_worker *awake) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < schedule->row_count; i++) {
        for (uint32_t k = 0; k < BM_CELL_WORKERS; k++) {
            const struct bm_worker *worker = &schedule->rows[i].worker[k];
            sum += worker == awake ? 0 : bm_worker_cpu_ns(worker);
        }
    }
    return sum;
}

/* One question; a worker that ended is noted. 1 if the answer is good. `expected_s` is what it
 * should take. */
static int32_t ask(const struct bm_schedule *schedule,
                   struct bm_cell *cell,
                   uint32_t index,
                   json_t *command,
                   double expected_s,
                   json_t **reply,
                   struct bm_verdict *verdict) {
    double limit_s = schedule->hang_time_s + 20 * expected_s;
    return bm_row_ask(cell->row, index, command, limit_s, reply, verdict);
}

/* What the check's session says when it has made every call is told; until then, what the last
 * session says. */
static void note_describe(struct bm_cell *cell, const json_t *reply) {
    const char *describe = json_string_value(json_object_get(reply, "describe"));
    (void)snprintf(cell->describe, sizeof cell->describe, "%s", describe == NULL ? "" : describe);
}

/* Makes worker `index` ready for the cell: running, plugin loaded, session open. */
static int32_t make_ready(const struct bm_schedule *schedule,
                          struct bm_cell *cell,
                          uint32_t index,
                          struct bm_verdict *verdict) {
    struct bm_row *row = cell->row;
    json_t *reply = NULL;
    double before_s = now_s(schedule);
    if (!bm_worker_running(&row->worker[index])) {
        if (!bm_row_start(row, index, cell->of, schedule->hang_time_s, verdict)) {
            return 0;
        }
        cell->worker_ready_ns = 1e9 * (now_s(schedule) - before_s);
    }
    if (row->open_batch[index] == cell->batch) {
        return 1;
    }
    before_s = now_s(schedule);
    int32_t good = ask(schedule, cell, index, bm_row_create_command(row, cell->of, cell->batch), 1,
                       &reply, verdict);
    if (good) {
        row->open_batch[index] = cell->batch;
        if (!cell->checked) {
            note_describe(cell, reply);
        }
        cell->bytes = (uint64_t)json_integer_value(json_object_get(reply, "bytes"));
        cell->resident_bytes =
            (uint64_t)json_integer_value(json_object_get(reply, "resident_bytes"));
        cell->clock_ns = json_number_value(json_object_get(reply, "clock_ns"));
        cell->updates_max = (uint32_t)json_integer_value(json_object_get(reply, "updates_max"));
        cell->tells_device_time = json_is_true(json_object_get(reply, "tells_device_time"));
        cell->memory_share = json_number_value(json_object_get(reply, "memory_share"));
        cell->create_ns = 1e9 * (now_s(schedule) - before_s);
    }
    json_decref(reply);
    return good;
}

/* The largest of its processes. */
static void note_peak(struct bm_cell *cell, uint32_t index) {
    const struct bm_row *row = cell->row;
    if (row->open_batch[index] != 0 && cell->resident_bytes > 0) {
        uint64_t peak = bm_worker_peak_bytes(&row->worker[index]);
        cell->peak_bytes = peak > cell->peak_bytes ? peak : cell->peak_bytes;
    }
}

/* A session that cannot be given back is a mishap of its cell. */
static void
close_session(const struct bm_schedule *schedule, struct bm_cell *cell, uint32_t index) {
    struct bm_row *row = cell->row;
    struct bm_verdict verdict = {.kind = BM_VERDICT_OK};
    json_t *reply = NULL;
    if (row->open_batch[index] != 0 && bm_worker_running(&row->worker[index])) {
        json_t *command = json_pack("{s:s}", "do", "destroy");
        (void)ask(schedule, cell, index, command, 1, &reply, &verdict);
        json_decref(reply);
    }
    row->open_batch[index] = 0;
    if (cell->mishap.kind == BM_VERDICT_OK && verdict.kind != BM_VERDICT_INTERRUPTED) {
        cell->mishap = verdict;
    }
}

static void
report(const struct bm_schedule *schedule, const struct bm_cell *cell, const char *what) {
    if (schedule->progress != NULL) {
        schedule->progress(schedule->context, cell, what);
    }
}

/* ---- Check ---- */

static void note_check(struct bm_cell *cell, const json_t *reply) {
    note_describe(cell, reply);
    cell->checked = 1;
    cell->is_determined = json_is_true(json_object_get(reply, "determined"));
    cell->check_ratio = json_number_value(json_object_get(reply, "ratio"));
    cell->check_error = json_number_value(json_object_get(reply, "max_error"));
    cell->gradient_ratio = json_number_value(json_object_get(reply, "gradient_ratio"));
    cell->apply_ratio = json_number_value(json_object_get(reply, "apply_ratio"));
    cell->update_ratio = json_number_value(json_object_get(reply, "update_ratio"));
    cell->check_bound = json_number_value(json_object_get(reply, "bound"));
    cell->update_ns = json_number_value(json_object_get(reply, "update_ns"));
}

static void fail_answer(struct bm_verdict *verdict, const char *of) {
    verdict->kind = BM_VERDICT_ERROR;
    (void)snprintf(verdict->reason, sizeof verdict->reason,
                   "worker: expected a positive time of %s, found another", of);
}

/* Estimate of one update, from the check's if it is long, otherwise measured in a warm session. */
static int32_t estimate(const struct bm_schedule *schedule, struct bm_cell *cell, json_t **reply) {
    if (cell->update_ns > 1e7) {
        return 1;
    }
    json_t *command = json_pack("{s:s}", "do", "calibrate");
    if (!ask(schedule, cell, 0, command, 1, reply, &cell->verdict)) {
        return 0;
    }
    cell->update_ns = json_number_value(json_object_get(*reply, "update_ns"));
    if (!is_time(cell->update_ns)) {
        fail_answer(&cell->verdict, "an update");
        return 0;
    }
    return 1;
}

/* Median of a block of three values of a part of the update, for its shape. The update's own time
 * where that is long anyway. */
static double
estimate_part(const struct bm_schedule *schedule, struct bm_cell *cell, enum bm_series series) {
    json_t *reply = NULL;
    double samples_ns[PART_VALUES] = {0};
    if (cell->update_ns > 1e8 || cell->verdict.kind != BM_VERDICT_OK) {
        return cell->update_ns;
    }
    json_t *command = json_pack("{s:s, s:s, s:i, s:i, s:i}", "do", "block", "series",
                                bm_series_names[series], "values", PART_VALUES, "per_value",
                                cell->update_ns < 1e4 ? 1000 : 1, "keep", PART_VALUES);
    if (ask(schedule, cell, 0, command, 1, &reply, &cell->verdict)) {
        const json_t *samples = json_object_get(reply, "samples_ns");
        for (size_t i = 0; i < PART_VALUES; i++) {
            samples_ns[i] = json_number_value(json_array_get(samples, i));
        }
    }
    json_decref(reply);
    double median_ns = bm_stats_median(samples_ns, PART_VALUES);
    return is_time(median_ns) ? median_ns : cell->update_ns;
}

/* Everything before the first timed block. `claimed_s` is what the cells need that were checked
 * before it. */
static void check_cell(const struct bm_schedule *schedule, struct bm_cell *cell, double claimed_s) {
    json_t *reply = NULL;
    double expected_s = 1e-9 * cell->update_ns * 8;
    report(schedule, cell, "check");
    if (!make_ready(schedule, cell, 0, &cell->verdict)) {
        return;
    }
    if (!cell->row->computes_nothing) {
        json_t *command = json_pack("{s:s}", "do", "check");
        int32_t good = ask(schedule, cell, 0, command, expected_s, &reply, &cell->verdict);
        if (reply != NULL) {
            note_check(cell, reply);
        }
        json_decref(reply);
        reply = NULL;
        if (!good) {
            return;
        }
    }
    int32_t good = estimate(schedule, cell, &reply);
    json_decref(reply);
    if (!good) {
        return;
    }
    bm_row_learn(cell->row, cell->batch, cell->update_ns);
    double left_s = schedule->deadline_s - now_s(schedule) - claimed_s;
    double need_s = at_least_s(rounds_s(cell->update_ns));
    if (need_s > left_s) {
        explain(cell, "the rest of the cell", need_s, left_s);
        return;
    }
    double gradient_ns = estimate_part(schedule, cell, BM_SERIES_GRADIENT);
    double apply_ns = estimate_part(schedule, cell, BM_SERIES_APPLY);
    shape_series(cell, gradient_ns, apply_ns);
    cell->process_count =
        rounds_min(cell) == 1 || cell->memory_share > MEMORY_SHARE ? 1 : BM_CELL_WORKERS;
    cell->active = cell->verdict.kind == BM_VERDICT_OK;
}

/* ---- Rounds ---- */

/* A corrupted worker may answer anything: 0 unless there is at least one sample and all are
 * positive. */
static int32_t keep_samples(struct bm_cell_series *series, const json_t *reply) {
    const json_t *samples = json_object_get(reply, "samples_ns");
    uint64_t used = 0;
    for (uint32_t r = 0; r < series->rounds; r++) {
        used += series->round_counts[r];
    }
    size_t count = json_array_size(samples);
    if (count == 0 || count > BM_CELL_KEEP || used + count > BM_STATS_SAMPLES_MAX) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        series->samples_ns[used + i] = json_number_value(json_array_get(samples, i));
        if (!is_time(series->samples_ns[used + i])) {
            return 0;
        }
    }
    series->round_counts[series->rounds] = count;
    uint32_t crc = (uint32_t)json_integer_value(json_object_get(reply, "params_crc"));
    series->repeatable = series->repeatable && (series->rounds == 0 || crc == series->params_crc);
    series->params_crc = crc;
    series->cpu_ns = json_number_value(json_object_get(reply, "cpu_ns"));
    series->rounds++;
    return 1;
}

/* The plugin has the call, but the device no clock: the series is not asked for again. */
static int32_t is_unknown(enum bm_series series, const json_t *reply) {
    const json_t *samples = json_object_get(reply, "samples_ns");
    return bm_series_is_device(series) && json_is_array(samples) && json_array_size(samples) == 0;
}

static int32_t run_block(const struct bm_schedule *schedule,
                         struct bm_cell *cell,
                         uint32_t index,
                         enum bm_series which) {
    struct bm_cell_series *series = &cell->series[which];
    const struct bm_worker *worker = &cell->row->worker[index];
    json_t *reply = NULL;
    json_t *command =
        json_pack("{s:s, s:s, s:I, s:I, s:i}", "do", "block", "series", bm_series_names[which],
                  "values", (json_int_t)series->shape.values, "per_value",
                  (json_int_t)series->shape.per_value, "keep", (int)BM_CELL_KEEP);
    uint64_t cpu_before_ns = others_cpu_ns(schedule, worker);
    double before_s = now_s(schedule);
    report(schedule, cell, bm_series_names[which]);
    int32_t good = ask(schedule, cell, index, command, block_s(cell, which), &reply, &cell->mishap);
    if (good) {
        double passed_s = now_s(schedule) - before_s;
        double others_s = 1e-9 * (double)(others_cpu_ns(schedule, worker) - cpu_before_ns);
        double share = others_s / passed_s;
        cell->asleep_cpu_share = share > cell->asleep_cpu_share ? share : cell->asleep_cpu_share;
        series->worker = index;
        if (is_unknown(which, reply)) {
            series->shape.values = 0;
        } else {
            good = keep_samples(series, reply);
        }
        if (!good) {
            cell->mishap.kind = BM_VERDICT_ERROR;
            (void)snprintf(cell->mishap.reason, sizeof cell->mishap.reason,
                           "worker: expected 1 to %u positive times, found others", BM_CELL_KEEP);
        }
    }
    json_decref(reply);
    return good;
}

/* The cell's turn in a round: one block of each series that is due, in worker round % 3. */
static void take_turn(const struct bm_schedule *schedule, struct bm_cell *cell, uint32_t round) {
    uint32_t index = round % cell->process_count;
    double before_s = now_s(schedule);
    cell->mishap.kind = BM_VERDICT_OK;
    int32_t good = make_ready(schedule, cell, index, &cell->mishap);
    for (uint32_t i = 0; i < BM_SERIES_COUNT && good; i++) {
        if (takes_turn(cell, (enum bm_series)i, round)) {
            good = run_block(schedule, cell, index, (enum bm_series)i);
        }
    }
    cell->active = good != 0;
    cell->spent_s += now_s(schedule) - before_s;
}

static int32_t is_known(const struct bm_cell_series *series) {
    double scratch[BM_STATS_SAMPLES_MAX];
    double medians[BM_CELL_ROUNDS_MAX];
    uint32_t rounds = bm_stats_round_medians(series->samples_ns, series->round_counts,
                                             series->rounds, medians, scratch);
    return bm_stats_known(medians, rounds, TOLERANCE, scratch);
}

/* Time of the replays that follow the rounds of these cells. */
static double replays_s(const struct bm_cell *cells, uint32_t count) {
    double sum_s = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t s = 0; s < BM_SERIES_COUNT; s++) {
            if (bm_series_steps((enum bm_series)s) && cells[i].series[s].rounds > 0 &&
                !cells[i].row->computes_nothing) {
                sum_s += block_s(&cells[i], (enum bm_series)s);
            }
        }
    }
    return sum_s;
}

static double later_s(const struct bm_schedule *schedule) {
    return schedule->later_s == NULL ? 0 : schedule->later_s(schedule->context);
}

/* Why the cell needs no further round, or NULL. `reserved_s` is what comes after the rounds. The
 * fewest rounds are made as far as the time limit lets them, more only with what later sizes do not
 * need. */
static const char *why_stop(const struct bm_schedule *schedule,
                            const struct bm_cell *cell,
                            uint32_t rounds,
                            double reserved_s) {
    double next_s = rounds == 0 ? 0 : (cell->spent_s - cell->check_s) / rounds;
    if (rounds > 0 && now_s(schedule) + next_s + reserved_s > schedule->deadline_s) {
        return "time limit";
    }
    if (rounds < rounds_min(cell)) {
        return NULL;
    }
    if (rounds_min(cell) == 1) {
        return "one round above 5 s an update";
    }
    if (is_known(&cell->series[BM_SERIES_UPDATE])) {
        return "known to 1 %";
    }
    if (cell->spent_s + next_s > cell->budget_s) {
        return "cell time";
    }
    if (now_s(schedule) + next_s + reserved_s + later_s(schedule) > schedule->deadline_s) {
        return "time limit";
    }
    return rounds == BM_CELL_ROUNDS_MAX ? "most rounds" : NULL;
}

static void
shuffle(const struct bm_schedule *schedule, uint32_t round, uint32_t *order, uint32_t count) {
    struct bm_random random;
    bm_random_init(&random, schedule->seed, BM_RANDOM_ROUND, round);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (uint32_t i = count; i > 1; i--) {
        uint32_t k = bm_random_below(&random, i);
        uint32_t moved = order[i - 1];
        order[i - 1] = order[k];
        order[k] = moved;
    }
}

/* ---- After the rounds ---- */

static void replay(const struct bm_schedule *schedule, struct bm_cell *cell) {
    for (uint32_t i = 0; i < BM_SERIES_COUNT; i++) {
        struct bm_cell_series *series = &cell->series[i];
        json_t *reply = NULL;
        if (series->rounds == 0 || !bm_series_steps((enum bm_series)i) ||
            cell->row->computes_nothing) {
            continue;
        }
        report(schedule, cell, "replay");
        json_t *command = json_pack("{s:s, s:s}", "do", "replay", "series", bm_series_names[i]);
        int32_t good = ask(schedule, cell, series->worker, command,
                           block_s(cell, (enum bm_series)i), &reply, &cell->verdict);
        json_decref(reply);
        if (!good) {
            return;
        }
    }
}

/* Time of one update in an epoch: pipelined where that was measured. */
static double epoch_update_ns(const struct bm_cell *cell) {
    struct bm_series_stats stats;
    const struct bm_cell_series *pipelined = &cell->series[BM_SERIES_PIPELINED];
    bm_cell_stats(pipelined->rounds > 0 ? pipelined : &cell->series[BM_SERIES_UPDATE], &stats);
    return stats.count > 0 ? stats.median_ns : cell->update_ns;
}

/* The first epoch takes nothing that later sizes need; another one only from what the cell may
 * spend beyond its own need. */
static int32_t epoch_fits(const struct bm_schedule *schedule,
                          const struct bm_cell *cell,
                          double expected_s,
                          double spent_s) {
    if (cell->epoch_count == EPOCHS_MAX || spent_s + expected_s > schedule->epoch_time_s ||
        now_s(schedule) + expected_s + later_s(schedule) > schedule->deadline_s) {
        return 0;
    }
    return cell->epoch_count == 0 || spent_s + expected_s <= cell->spare_s;
}

static void run_epochs(const struct bm_schedule *schedule, struct bm_cell *cell, uint32_t index) {
    uint64_t images = cell->of->dataset->split[BM_SPLIT_TRAIN].count;
    uint64_t updates = (images + cell->batch - 1) / cell->batch;
    double expected_s = 1e-9 * epoch_update_ns(cell) * (double)updates;
    double spent_s = 0;
    cell->epoch_updates = updates;
    while (epoch_fits(schedule, cell, expected_s, spent_s)) {
        json_t *reply = NULL;
        double before_s = now_s(schedule);
        report(schedule, cell, "epoch");
        json_t *command =
            json_pack("{s:s, s:i}", "do", "epoch", "epoch", (int)cell->epoch_count + 1);
        if (!ask(schedule, cell, index, command, expected_s, &reply, &cell->mishap)) {
            json_decref(reply);
            return;
        }
        double seconds = json_number_value(json_object_get(reply, "seconds"));
        json_decref(reply);
        if (!is_time(seconds)) {
            fail_answer(&cell->mishap, "an epoch");
            return;
        }
        cell->epoch_s[cell->epoch_count++] = seconds;
        spent_s += now_s(schedule) - before_s;
    }
}

/* A cell that lost its worker in the middle is a crash, whatever was measured before. What larger
 * sizes are planned by is now the rounds' median. */
static void conclude(struct bm_cell *cell) {
    struct bm_series_stats stats;
    bm_cell_stats(&cell->series[BM_SERIES_UPDATE], &stats);
    if (stats.count > 0) {
        bm_row_learn(cell->row, cell->batch, stats.median_ns);
    }
    if (cell->verdict.kind == BM_VERDICT_OK && cell->mishap.kind != BM_VERDICT_OK) {
        cell->verdict = cell->mishap;
    }
    if (cell->verdict.kind == BM_VERDICT_OK && cell->series[BM_SERIES_UPDATE].rounds == 0) {
        cell->verdict.kind = BM_VERDICT_SKIPPED;
        (void)snprintf(cell->verdict.reason, sizeof cell->verdict.reason,
                       "the time limit came before its first round");
    }
}

static void run_rounds(const struct bm_schedule *schedule, struct bm_cell *cells, uint32_t count) {
    uint32_t order[BM_PLUGIN_MAX * 8];
    uint32_t active = 1;
    BM_ASSERT(count <= sizeof order / sizeof order[0]);
    for (uint32_t round = 0; round < BM_CELL_ROUNDS_MAX && active; round++) {
        shuffle(schedule, round, order, count);
        active = 0;
        for (uint32_t i = 0; i < count; i++) {
            struct bm_cell *cell = &cells[order[i]];
            if (!cell->active || bm_interrupt_signal() != 0) {
                continue;
            }
            take_turn(schedule, cell, round);
            const char *why = cell->active
                                  ? why_stop(schedule, cell, round + 1, replays_s(cells, count))
                                  : "failure";
            if (why != NULL) {
                for (uint32_t s = 0; s < BM_SERIES_COUNT; s++) {
                    cell->series[s].stopped = why;
                }
                cell->active = 0;
            }
            active |= cell->active;
        }
    }
}

/* Whether it has rounds, and nothing has gone wrong so far. */
static int32_t is_well(const struct bm_cell *cell) {
    return cell->verdict.kind == BM_VERDICT_OK && cell->mishap.kind == BM_VERDICT_OK &&
           cell->series[BM_SERIES_UPDATE].rounds > 0;
}

static void run_rest(const struct bm_schedule *schedule, struct bm_cell *cells, uint32_t count) {
    for (uint32_t i = 0; i < count && bm_interrupt_signal() == 0; i++) {
        struct bm_cell *cell = &cells[i];
        if (is_well(cell)) {
            replay(schedule, cell);
        }
        if (is_well(cell)) {
            run_epochs(schedule, cell, cell->series[BM_SERIES_UPDATE].worker);
        }
    }
}

void bm_schedule_measure(const struct bm_schedule *schedule,
                         struct bm_cell *cells,
                         uint32_t count) {
    double claimed_s = 0;
    for (uint32_t i = 0; i < count && bm_interrupt_signal() == 0; i++) {
        struct bm_cell *cell = &cells[i];
        if (!cell->active) {
            continue;
        }
        cell->active = 0;
        if (cell->row->failures >= FAILURES_MAX) {
            cell->verdict.kind = BM_VERDICT_SKIPPED;
            (void)snprintf(cell->verdict.reason, sizeof cell->verdict.reason,
                           "not tried again after %u crashes or hangs", cell->row->failures);
            continue;
        }
        double before_s = now_s(schedule);
        double left_s = schedule->deadline_s - before_s - claimed_s;
        if (cell->update_ns > 0 && bm_schedule_need_s(cell->update_ns) > left_s) {
            bm_schedule_explain(cell, left_s);
            continue;
        }
        check_cell(schedule, cell, claimed_s);
        cell->check_s = now_s(schedule) - before_s;
        cell->spent_s = cell->check_s;
        claimed_s += cell->active ? at_least_s(rounds_s(cell->update_ns)) : 0;
    }
    run_rounds(schedule, cells, count);
    run_rest(schedule, cells, count);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < BM_CELL_WORKERS; k++) {
            note_peak(&cells[i], k);
            close_session(schedule, &cells[i], k);
        }
        conclude(&cells[i]);
    }
}

void bm_schedule_stop(struct bm_row *row) {
    for (uint32_t k = 0; k < BM_CELL_WORKERS; k++) {
        if (bm_worker_running(&row->worker[k])) {
            bm_worker_stop(&row->worker[k]);
        }
        row->open_batch[k] = 0;
    }
}
