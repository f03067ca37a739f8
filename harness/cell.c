#include "cell.h"

#include "paired.h"
#include "reference.h"

#include <stdio.h>
#include <string.h>

#define EPOCH_PARTS 3

/* Images that normalize together: a slice of the batch, or a session's part of one. */
static uint64_t images_together(const struct bm_cell *cell) {
    const struct bm_case *of = cell->of;
    uint64_t slice =
        of->micro_batch > 0 && of->micro_batch < cell->batch ? of->micro_batch : cell->batch;
    return bm_parallel_share(slice, cell->row->data_parallel);
}

void bm_row_label(const struct bm_row *row, char *label, uint32_t capacity) {
    size_t devices = row->answer->reply == NULL
                         ? 0
                         : json_array_size(json_object_get(row->answer->reply, "devices"));
    if (devices > 1) {
        (void)snprintf(label, capacity, "%s:%u", row->file->name, row->device_index);
    } else {
        (void)snprintf(label, capacity, "%s", row->file->name);
    }
    if (row->data_parallel > 1) {
        size_t used = strlen(label);
        (void)snprintf(label + used, capacity - used, " x%u", row->data_parallel);
    }
}

void bm_row_learn(struct bm_row *row, uint64_t batch, double update_ns) {
    if (row->known_count == 0 || row->known_batch[0] != batch) {
        row->known_ns[1] = row->known_ns[0];
        row->known_batch[1] = row->known_batch[0];
        row->known_batch[0] = batch;
        row->known_count++;
    }
    row->known_ns[0] = update_ns;
}

double bm_row_estimate_ns(const struct bm_row *row, uint64_t batch) {
    if (row->known_count < 2 || row->known_batch[0] <= row->known_batch[1] ||
        row->known_ns[0] <= row->known_ns[1]) {
        return row->known_count == 0 ? 0 : row->known_ns[0];
    }
    double slope =
        (row->known_ns[0] - row->known_ns[1]) / (double)(row->known_batch[0] - row->known_batch[1]);
    return row->known_ns[0] + slope * ((double)batch - (double)row->known_batch[0]);
}

void bm_cell_stats(const struct bm_cell_series *series, struct bm_series_stats *stats) {
    memset(stats, 0, sizeof *stats);
    if (series->rounds > 0) {
        double scratch[BM_STATS_SAMPLES_MAX + BM_CELL_ROUNDS_MAX];
        bm_stats_series(series->samples_ns, series->round_counts, series->rounds, stats, scratch);
    }
}

static json_t *series_json(const struct bm_cell_series *series) {
    struct bm_series_stats stats;
    bm_cell_stats(series, &stats);
    if (stats.count == 0) {
        return json_null();
    }
    json_t *samples = json_array();
    json_t *counts = json_array();
    for (uint64_t i = 0; i < stats.count; i++) {
        (void)json_array_append_new(samples, json_real(series->samples_ns[i]));
    }
    for (uint32_t r = 0; r < series->rounds; r++) {
        (void)json_array_append_new(counts, json_integer((json_int_t)series->round_counts[r]));
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:i, s:s, s:f, s:b, s:o, s:o}",
                     "median_ns", stats.median_ns, "q1_ns", stats.q1_ns, "q3_ns", stats.q3_ns,
                     "min_ns", stats.min_ns, "spread", stats.spread, "low_ns", stats.low_ns,
                     "high_ns", stats.high_ns, "count", (json_int_t)stats.count, "block",
                     (json_int_t)series->shape.per_value, "rounds", (int)stats.rounds, "stopped",
                     series->stopped == NULL ? "" : series->stopped, "cpu_ns", series->cpu_ns,
                     "repeatable", (int)series->repeatable, "round_counts", counts, "samples_ns",
                     samples);
}

/* Median of the measured epochs, or updates times the time of one, marked; with the gap between the
 * epoch and the sum of its updates. */
static json_t *epoch_json(const struct bm_cell *cell) {
    struct bm_series_stats update;
    struct bm_series_stats pipelined;
    double scratch[EPOCH_PARTS];
    bm_cell_stats(&cell->series[BM_SERIES_UPDATE], &update);
    bm_cell_stats(&cell->series[BM_SERIES_PIPELINED], &pipelined);
    if (update.count == 0) {
        return json_null();
    }
    double each_ns = pipelined.count > 0 ? pipelined.median_ns : update.median_ns;
    double sum_s = 1e-9 * update.median_ns * (double)cell->epoch_updates;
    if (cell->epoch_count == 0) {
        return json_pack("{s:f, s:I, s:b, s:n}", "seconds",
                         1e-9 * each_ns * (double)cell->epoch_updates, "updates",
                         (json_int_t)cell->epoch_updates, "measured", 0, "gap");
    }
    double seconds = bm_stats_quantile(cell->epoch_s, cell->epoch_count, 0.5, scratch);
    json_t *samples = json_array();
    for (uint32_t i = 0; i < cell->epoch_count; i++) {
        (void)json_array_append_new(samples, json_real(cell->epoch_s[i]));
    }
    return json_pack("{s:f, s:I, s:b, s:f, s:o}", "seconds", seconds, "updates",
                     (json_int_t)cell->epoch_updates, "measured", 1, "gap",
                     (seconds - sum_s) / seconds, "samples_s", samples);
}

static json_t *check_json(const struct bm_cell *cell) {
    if (cell->row->computes_nothing) {
        return json_pack("{s:s, s:n, s:n}", "status", "none", "max_error", "bound");
    }
    if (!cell->checked) {
        return json_pack("{s:s, s:n, s:n}", "status", "untested", "max_error", "bound");
    }
    int wrong = cell->verdict.kind == BM_VERDICT_WRONG;
    return json_pack("{s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f}", "status", wrong ? "wrong" : "ok",
                     "determined", (int)cell->is_determined, "max_error", cell->check_error,
                     "bound", cell->check_bound, "ratio", cell->check_ratio, "gradient_ratio",
                     cell->gradient_ratio, "apply_ratio", cell->apply_ratio, "update_ratio",
                     cell->update_ratio);
}

/* Why a cell has no bound; NULL if it has one. */
static const char *why_unbound(const struct bm_cell *cell) {
    const struct bm_case *of = cell->of;
    json_int_t kind = json_integer_value(json_object_get(cell->row->device, "kind"));
    if (cell->row->device == NULL) {
        return "no device";
    }
    if (kind != (json_int_t)BM_DEVICE_KIND_CPU) {
        return "the roofline is the processor's, and this device is another";
    }
    if (strcmp(of->precision, BM_PRECISION_FLOAT32) != 0) {
        return "the roofline is measured in float32 only";
    }
    if (of->roofline->point_count == 0) {
        return of->roofline->reason;
    }
    return bm_roofline_find(of->roofline, of->threads) == NULL
               ? "the roofline was not measured for this number of threads"
               : NULL;
}

/* Counts always, the time where the machine's limits are known, the share where an update was
 * timed. */
static json_t *bound_json(const struct bm_cell *cell) {
    const struct bm_case *of = cell->of;
    uint32_t slots = bm_optimizer_slot_count(of->optimizer);
    struct bm_bound bound = {
        .flops = bm_model_gradient_flops(of->model) * (double)cell->batch,
        .bytes = bm_model_update_bytes(of->model, slots),
        .working_bytes = bm_model_working_bytes(of->model, slots),
    };
    struct bm_series_stats update;
    const char *reason = why_unbound(cell);
    json_t *object = json_pack("{s:f, s:f, s:f, s:n, s:n, s:n, s:n, s:s}", "flops", bound.flops,
                               "bytes", bound.bytes, "working_bytes", bound.working_bytes, "ns",
                               "share", "level", "limit", "reason", reason == NULL ? "" : reason);
    if (reason != NULL) {
        return object;
    }
    bm_roofline_bound(bm_roofline_find(of->roofline, of->threads), &bound);
    (void)json_object_set_new(object, "ns", json_real(bound.ns));
    (void)json_object_set_new(object, "level", json_string(bound.level));
    (void)json_object_set_new(object, "limit", json_string(bound.limit));
    bm_cell_stats(&cell->series[BM_SERIES_UPDATE], &update);
    if (cell->verdict.kind == BM_VERDICT_OK && update.count > 0 && !cell->row->computes_nothing) {
        (void)json_object_set_new(object, "share", json_real(bound.ns / update.median_ns));
    }
    return object;
}

/* What an update has to hold, and how much larger a process became. Several sessions are added up
 * in a copy of each one's gradient. */
static json_t *memory_json(const struct bm_cell *cell) {
    const struct bm_case *of = cell->of;
    uint32_t slots = bm_optimizer_slot_count(of->optimizer);
    double sessions = cell->row->data_parallel;
    double copy = sessions > 1 ? (double)bm_model_param_count(of->model) * sizeof(float) : 0;
    double needed =
        sessions * (bm_model_memory_bytes(of->model, slots, images_together(cell)) + copy) +
        (double)of->dataset->mapped_bytes;
    json_t *object = json_pack("{s:f, s:n, s:n}", "needed_bytes", needed, "peak_bytes", "ratio");
    if (cell->peak_bytes > cell->resident_bytes && cell->resident_bytes > 0) {
        double peak = (double)(cell->peak_bytes - cell->resident_bytes);
        (void)json_object_set_new(object, "peak_bytes", json_real(peak));
        (void)json_object_set_new(object, "ratio", json_real(peak / needed));
    }
    return object;
}

static json_t *plugin_json(const struct bm_cell *cell) {
    const struct bm_row *row = cell->row;
    const json_t *version = json_object_get(row->answer->reply, "version");
    return json_pack("{s:s, s:s, s:b, s:s*, s:s}", "name", row->file->name, "sha256",
                     row->file->sha256, "by_trust", (int)row->file->trusted, "version",
                     json_string_value(version), "describe", cell->describe);
}

static json_t *repro_json(const struct bm_cell *cell) {
    const struct bm_case *of = cell->of;
    char parallel[48] = "";
    if (cell->row->data_parallel > 1) {
        (void)snprintf(parallel, sizeof parallel, " --data-parallel %u", cell->row->data_parallel);
    }
    json_t *text = json_sprintf(
        "batchmark run --backend %s:%u --model %s --dataset %s --optimizer %s --batch %llu "
        "--threads %u --precision %s --seed %llu --lr %g%s",
        cell->row->file->name, cell->row->device_index, of->model->name, of->dataset->name,
        bm_optimizer_names[of->optimizer], (unsigned long long)cell->requested, of->threads,
        of->precision, (unsigned long long)of->seed, of->lr, parallel);
    return text;
}

static void add_identity(const struct bm_cell *cell, json_t *object) {
    const struct bm_row *row = cell->row;
    const struct bm_case *of = cell->of;
    const json_t *name = json_object_get(row->device, "name");
    char label[BM_NAME_SIZE + 16];
    char model_label[BM_NAME_SIZE + 32];
    bm_row_label(row, label, sizeof label);
    uint64_t together = images_together(cell);
    int ghost = together < cell->batch && bm_model_has_batchnorm(of->model);
    (void)snprintf(model_label, sizeof model_label, ghost ? "%s ghost-%llu" : "%s", of->model->name,
                   (unsigned long long)together);
    json_t *identity = json_pack(
        "{s:s, s:s, s:i, s:s?, s:b, s:b, s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:i, s:s, s:I, s:I}",
        "backend", row->file->name, "label", label, "device", (int)row->device_index, "device_name",
        json_string_value(name), "software", (int)row->software, "computes_nothing",
        (int)row->computes_nothing, "model", model_label, "layers", of->layers, "dataset",
        of->dataset->name, "optimizer", bm_optimizer_names[of->optimizer], "batch",
        (json_int_t)cell->batch, "requested_batch", (json_int_t)cell->requested, "full",
        cell->batch == of->dataset->split[BM_SPLIT_TRAIN].count, "threads", (int)of->threads,
        "precision", of->precision, "seed", (json_int_t)of->seed, "micro_batch",
        (json_int_t)of->micro_batch);
    json_t *devices = json_array();
    for (uint32_t i = 0; i < row->data_parallel; i++) {
        (void)json_array_append_new(devices, json_integer((json_int_t)row->devices[i]));
    }
    (void)json_object_set_new(identity, "data_parallel", json_integer(row->data_parallel));
    (void)json_object_set_new(identity, "devices", devices);
    (void)json_object_update_missing(object, identity);
    json_decref(identity);
}

static const char *reason_of(const struct bm_cell *cell) {
    return cell->verdict.kind == BM_VERDICT_OK ? "" : cell->verdict.reason;
}

json_t *bm_cell_json(const struct bm_cell *cell) {
    json_t *object = json_pack("{s:s, s:i}", "kind", "cell", "schema", 1);
    json_t *reason = json_string(reason_of(cell));
    int timed = cell->verdict.kind == BM_VERDICT_OK;
    add_identity(cell, object);
    (void)json_object_set_new(object, "status", json_string(bm_verdict_status(cell->verdict.kind)));
    (void)json_object_set_new(object, "refused",
                              json_boolean(cell->verdict.kind == BM_VERDICT_REFUSED));
    (void)json_object_set_new(object, "reason",
                              reason != NULL ? reason : json_string("(text is not UTF-8)"));
    (void)json_object_set_new(object, "repro", repro_json(cell));
    for (uint32_t i = 0; i < BM_SERIES_COUNT; i++) {
        (void)json_object_set_new(object, bm_series_names[i],
                                  timed ? series_json(&cell->series[i]) : json_null());
    }
    json_t *submission = bm_paired_submission(object);
    (void)json_object_set_new(object, "submission", submission == NULL ? json_null() : submission);
    (void)json_object_set_new(object, "epoch", timed ? epoch_json(cell) : json_null());
    (void)json_object_set_new(object, "bound", bound_json(cell));
    (void)json_object_set_new(object, "check", check_json(cell));
    (void)json_object_set_new(object, "plugin", plugin_json(cell));
    (void)json_object_set_new(object, "properties",
                              cell->row->properties == NULL ? json_null()
                                                            : json_incref(cell->row->properties));
    (void)json_object_set_new(object, "session_bytes", json_integer((json_int_t)cell->bytes));
    (void)json_object_set_new(object, "memory", memory_json(cell));
    (void)json_object_set_new(object, "processes", json_integer(cell->process_count));
    (void)json_object_set_new(object, "setup",
                              json_pack("{s:f, s:f}", "worker_ready_ns", cell->worker_ready_ns,
                                        "create_ns", cell->create_ns));
    (void)json_object_set_new(object, "estimate_ns",
                              cell->update_ns > 0 ? json_real(cell->update_ns) : json_null());
    (void)json_object_set_new(object, "asleep_cpu_share", json_real(cell->asleep_cpu_share));
    return object;
}
