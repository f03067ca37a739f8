#include "conform_worker.h"

#include "now.h"
#include "place.h"
#include "record.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A driver may compile for minutes where a processor is at once ready. */
#define DRIVER_PATIENCE 10.0

static json_t *options_json(const struct bm_conform_subject *subject) {
    const struct bm_options *options = subject->options;
    json_t *object = json_object();
    for (uint32_t i = 0; i < options->setting_count; i++) {
        const struct bm_backend_setting *setting = &options->setting[i];
        if (!setting->is_environment && strcmp(setting->backend, subject->file->name) == 0) {
            (void)json_object_set_new(object, setting->key, json_string(setting->value));
        }
    }
    return object;
}

/* Whether the worker of this case needs the allocator that counts, and has one. */
static uint32_t counts_allocations(const struct bm_conform_case *which, char path[PATH_MAX]) {
    return (which->flags & BM_CONFORM_ALLOCATIONS) != 0 && bm_place_allocations(path, PATH_MAX);
}

/* The command that runs this case alone, here. */
static json_t *repro_json(const struct bm_conform_subject *subject,
                          const struct bm_conform_case *which) {
    const struct bm_options *options = subject->options;
    char settings[1024] = "";
    char allocations[PATH_MAX];
    char preload[PATH_MAX + 16] = "";
    if (counts_allocations(which, allocations)) {
        (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s ", allocations);
    }
    for (uint32_t i = 0; i < options->setting_count; i++) {
        const struct bm_backend_setting *setting = &options->setting[i];
        size_t used = strlen(settings);
        (void)snprintf(settings + used, sizeof settings - used, " --option %s.%s=%s",
                       setting->backend, setting->key, setting->value);
    }
    return json_sprintf("%sbatchmark check %s --backend %s:%u --filter %s%s%s --in-process",
                        preload, subject->word, subject->file->name, subject->device_index,
                        which->name, settings, subject->file->trusted ? " --trust" : "");
}

static double limit_s(const struct bm_conform_subject *subject) {
    int is_cpu = json_integer_value(json_object_get(subject->device, "kind")) == BM_DEVICE_KIND_CPU;
    return subject->options->hang_time_s * (is_cpu ? 1 : DRIVER_PATIENCE);
}

static void ask(const struct bm_conform_subject *subject,
                const struct bm_conform_case *which,
                json_t **reply,
                struct bm_verdict *verdict) {
    const struct bm_options *options = subject->options;
    char allocations[PATH_MAX];
    const struct bm_worker_variable preload = {"LD_PRELOAD", allocations};
    const struct bm_worker_spec spec = {.data_fd = -1,
                                        .reference_fd = -1,
                                        .plugin = &subject->file->opened,
                                        .in_process = options->in_process,
                                        .variables = &preload,
                                        .variable_count = counts_allocations(which, allocations)};
    struct bm_worker worker;
    struct bm_error error = {0};
    uint64_t threads = options->threads.count > 0 ? options->threads.values[0] : BM_CONFORM_THREADS;
    *reply = NULL;
    memset(verdict, 0, sizeof *verdict);
    if (bm_worker_start(&spec, &worker, &error) != BM_STATUS_OK) {
        verdict->kind = BM_VERDICT_ERROR;
        (void)snprintf(verdict->reason, sizeof verdict->reason, "%s", error.text);
        return;
    }
    json_t *command =
        bm_worker_load_command("conform", subject->file->path, &subject->file->opened);
    json_t *rest =
        json_pack("{s:s, s:i, s:I, s:o}", "case", which->name, "device", (int)subject->device_index,
                  "threads", (json_int_t)threads, "options", options_json(subject));
    (void)json_object_update(command, rest);
    json_decref(rest);
    bm_worker_ask(&worker, command, limit_s(subject), reply, verdict);
    json_decref(command);
    bm_worker_stop(&worker);
}

/* "pass" and so on; what ended the worker where there was no answer. */
static const char *status_of(const json_t *reply, const struct bm_verdict *verdict) {
    const char *result = json_string_value(json_object_get(reply, "result"));
    return verdict->kind == BM_VERDICT_OK && result != NULL ? result
                                                            : bm_verdict_status(verdict->kind);
}

json_t *bm_conform_ask(const struct bm_conform_subject *subject,
                       const struct bm_conform_case *which) {
    struct bm_verdict verdict;
    json_t *reply = NULL;
    json_t *object = NULL;
    double started_s = bm_now_s();
    ask(subject, which, &reply, &verdict);
    if (verdict.kind != BM_VERDICT_INTERRUPTED) {
        const char *text = json_string_value(json_object_get(reply, "text"));
        int property = (which->flags & BM_CONFORM_PROPERTY) != 0;
        object = json_pack("{s:s, s:i, s:i, s:s, s:b, s:b, s:s, s:s, s:i, s:s, s:s, s:f, s:o}",
                           "kind", "case", "schema", BM_RECORD_SCHEMA, "number", (int)which->number,
                           "name", which->name, "property", property, "counts",
                           !property || subject->options->strict, "holds", which->holds, "backend",
                           subject->file->name, "device", (int)subject->device_index, "status",
                           status_of(reply, &verdict), "reason",
                           verdict.kind == BM_VERDICT_OK && text != NULL ? text : verdict.reason,
                           "seconds", bm_now_s() - started_s, "repro", repro_json(subject, which));
    }
    json_decref(reply);
    return object;
}
