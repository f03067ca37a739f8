#include "gbench_format.h"

#include "field.h"
#include "measure.h"
#include "stats.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define NAME_SIZE 512

/* ---- Context ---- */

static json_t *context_of(const json_t *run) {
    const json_t *host = json_object_get(run, "host");
    const json_t *load = json_object_get(host, "load");
    const char *governor = bm_field_text(host, "governor"); /* empty: not known */
    return json_pack("{s:o, s:s, s:o, s:I, s:b, s:[], s:o, s:s}", "date",
                     bm_field_string(bm_field_text(run, "started")), "executable", "batchmark",
                     "cpu", bm_field_string(bm_field_text(host, "cpu")), "num_cpus",
                     (json_int_t)bm_field_whole(host, "processors"), "cpu_scaling_enabled",
                     governor[0] != '\0' && strcmp(governor, "performance") != 0, "caches",
                     "load_avg", json_is_array(load) ? json_deep_copy(load) : json_array(),
                     "library_build_type", "release");
}

/* ---- Names ---- */

static void put_name(const json_t *cell, const char *series, char name[NAME_SIZE]) {
    const char *machine = bm_field_text(cell, "machine");
    uint64_t micro_batch = bm_field_whole(cell, "micro_batch");
    uint64_t parallel = bm_field_whole(cell, "data_parallel");
    char modes[64] = "";
    if (micro_batch > 0) {
        (void)snprintf(modes, sizeof modes, "/micro_batch:%" PRIu64, micro_batch);
    }
    if (parallel > 1) {
        size_t used = strlen(modes);
        (void)snprintf(modes + used, sizeof modes - used, "/data_parallel:%" PRIu64, parallel);
    }
    (void)snprintf(name, NAME_SIZE,
                   "%.60s%s%.60s:%" PRIu64 "/%.60s/%.60s/%.60s/batch:%" PRIu64 "/threads:%" PRIu64
                   "/%.20s%s/%s",
                   machine, machine[0] == '\0' ? "" : "/", bm_field_text(cell, "backend"),
                   bm_field_whole(cell, "device"), bm_field_text(cell, "model"),
                   bm_field_text(cell, "dataset"), bm_field_text(cell, "optimizer"),
                   bm_field_whole(cell, "batch"), bm_field_whole(cell, "threads"),
                   bm_field_text(cell, "precision"), modes, series);
}

static json_t *named(const json_t *cell, const char *series) {
    char name[NAME_SIZE];
    put_name(cell, series, name);
    return json_pack("{s:o, s:o, s:s, s:o}", "name", bm_field_string(name), "run_name",
                     bm_field_string(name), "run_type", "iteration", "label",
                     bm_field_string(bm_field_text(cell, "device_name")));
}

/* ---- Series ---- */

/* The median of samples[first .. first + count), NAN where one of them is no time. */
static double median_of(const json_t *samples, uint64_t first, uint64_t count) {
    double values[BM_STATS_SAMPLES_MAX];
    double scratch[BM_STATS_SAMPLES_MAX];
    for (uint64_t i = 0; i < count; i++) {
        values[i] = json_number_value(json_array_get(samples, (size_t)(first + i)));
        if (!(values[i] > 0) || !isfinite(values[i])) {
            return (double)NAN;
        }
    }
    return bm_stats_quantile(values, count, 0.5, scratch);
}

static void
add_series(const json_t *cell, const char *series, const json_t *times, json_t *benchmarks) {
    const json_t *samples = json_object_get(times, "samples_ns");
    const json_t *counts = json_object_get(times, "round_counts");
    uint64_t left = json_array_size(samples);
    uint64_t first = 0;
    double cpu_ns = bm_field_number(times, "cpu_ns");
    json_int_t block = (json_int_t)bm_field_whole(times, "block");
    if (block > INT64_MAX / (json_int_t)BM_STATS_SAMPLES_MAX) {
        return; /* of a damaged record: its steps cannot be counted */
    }
    for (size_t r = 0; r < json_array_size(counts); r++) {
        json_int_t count = json_integer_value(json_array_get(counts, r));
        if (count <= 0 || (uint64_t)count > left || count > (json_int_t)BM_STATS_SAMPLES_MAX) {
            return; /* of a damaged record */
        }
        double median_ns = median_of(samples, first, (uint64_t)count);
        first += (uint64_t)count;
        left -= (uint64_t)count;
        if (isnan(median_ns)) {
            continue;
        }
        json_t *benchmark = named(cell, series);
        json_t *fields =
            json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:s}", "repetitions",
                      (json_int_t)json_array_size(counts), "repetition_index", (json_int_t)r,
                      "threads", (json_int_t)1, "iterations", count * block, "real_time", median_ns,
                      "cpu_time", cpu_ns > 0 ? cpu_ns : median_ns, "time_unit", "ns");
        (void)json_object_update(benchmark, fields);
        json_decref(fields);
        (void)json_array_append_new(benchmarks, benchmark);
    }
}

/* compare.py wants times in all benchmarks: what has none stands apart. */
static void add_error(const json_t *cell, json_t *errors) {
    char name[NAME_SIZE];
    const char *reason = bm_field_text(cell, "reason");
    put_name(cell, bm_series_names[BM_SERIES_UPDATE], name);
    (void)json_array_append_new(errors,
                                json_pack("{s:o, s:b, s:o}", "name", bm_field_string(name),
                                          "error_occurred", 1, "error_message",
                                          json_sprintf("%s%s%s", bm_field_text(cell, "status"),
                                                       reason[0] == '\0' ? "" : ": ", reason)));
}

static void add_cell(const json_t *cell, json_t *benchmarks, json_t *errors) {
    if (!bm_field_has_status(cell, "ok")) {
        add_error(cell, errors);
        return;
    }
    for (uint32_t i = 0; i < BM_SERIES_COUNT; i++) {
        add_series(cell, bm_series_names[i], json_object_get(cell, bm_series_names[i]), benchmarks);
    }
}

void bm_gbench_format_print(const json_t *objects, FILE *stream) {
    json_t *benchmarks = json_array();
    json_t *errors = json_array();
    const json_t *run = NULL;
    size_t index;
    const json_t *object;
    json_array_foreach(objects, index, object) {
        if (run == NULL && bm_field_is_kind(object, "run")) {
            run = object;
        }
        if (bm_field_is_kind(object, "cell")) {
            add_cell(object, benchmarks, errors);
        }
    }
    json_t *all = json_pack("{s:o, s:o, s:o}", "context", context_of(run), "benchmarks", benchmarks,
                            "errors", errors);
    (void)json_dumpf(all, stream, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    (void)fputc('\n', stream);
    json_decref(all);
}
