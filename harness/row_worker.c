#include "row_worker.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

#define PADDING_VARIABLE "BATCHMARK_PADDING" /* nobody reads it */

int32_t bm_row_ask(struct bm_row *row,
                   uint32_t index,
                   json_t *command,
                   double limit_s,
                   json_t **reply,
                   struct bm_verdict *verdict) {
    *reply = NULL;
    if (!bm_worker_running(&row->worker[index])) {
        /* It ended at an earlier question, whose verdict stands. */
        BM_ASSERT(verdict->kind != BM_VERDICT_OK);
        json_decref(command);
        return 0;
    }
    if (command == NULL) {
        verdict->kind = BM_VERDICT_ERROR;
        (void)snprintf(verdict->reason, sizeof verdict->reason,
                       "expected paths and names in UTF-8 for the worker, found other bytes");
        return 0;
    }
    bm_worker_ask(&row->worker[index], command, limit_s, reply, verdict);
    json_decref(command);
    if (!bm_worker_running(&row->worker[index])) {
        row->open_batch[index] = 0;
        row->failures += verdict->kind == BM_VERDICT_CRASHED || verdict->kind == BM_VERDICT_TIMEOUT;
    }
    return verdict->kind == BM_VERDICT_OK;
}

static int32_t start_process(struct bm_row *row,
                             uint32_t index,
                             const struct bm_case *of,
                             struct bm_verdict *verdict) {
    struct bm_worker_variable variables[BM_LIST_MAX + 1];
    struct bm_error error = {0};
    struct bm_worker_spec spec = {.data_fd = of->dataset->fd,
                                  .reference_fd = of->reference_fd,
                                  .vectors_fd = of->vectors_fd,
                                  .plugin = &row->file->opened,
                                  .variables = variables};
    spec.variable_count =
        bm_discover_variables(row->options, row->file->name, variables, BM_LIST_MAX);
    if (row->padding != NULL) {
        struct bm_worker_variable *padding = &variables[spec.variable_count++];
        padding->name = PADDING_VARIABLE;
        padding->value = row->padding;
    }
    spec.in_process = row->options->in_process;
    if (bm_worker_start(&spec, &row->worker[index], &error) == BM_STATUS_OK) {
        return 1;
    }
    verdict->kind = BM_VERDICT_ERROR;
    (void)snprintf(verdict->reason, sizeof verdict->reason, "%s", error.text);
    return 0;
}

int32_t bm_row_start(struct bm_row *row,
                     uint32_t index,
                     const struct bm_case *of,
                     double limit_s,
                     struct bm_verdict *verdict) {
    json_t *reply = NULL;
    row->open_batch[index] = 0;
    if (!start_process(row, index, of, verdict)) {
        return 0;
    }
    json_t *load = bm_worker_load_command("load", row->file->path, &row->file->opened);
    int32_t good = bm_row_ask(row, index, load, limit_s, &reply, verdict);
    json_decref(reply);
    return good;
}

/* The device of each session, where there are several. */
static json_t *devices_json(const struct bm_row *row) {
    json_t *devices = json_array();
    for (uint32_t i = 0; i < row->data_parallel && row->data_parallel > 1; i++) {
        (void)json_array_append_new(devices, json_integer((json_int_t)row->devices[i]));
    }
    return devices;
}

json_t *bm_row_create_command(const struct bm_row *row, const struct bm_case *of, uint64_t batch) {
    json_t *options = json_object();
    const struct bm_options *given = row->options;
    for (uint32_t i = 0; i < given->setting_count; i++) {
        const struct bm_backend_setting *setting = &given->setting[i];
        if (!setting->is_environment && strcmp(setting->backend, row->file->name) == 0) {
            (void)json_object_set_new(options, setting->key, json_string(setting->value));
        }
    }
    json_t *command =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:f, s:o, s:o}", "do",
                  "create", "device", (int)row->device_index, "model", of->model->name, "layers",
                  of->layers, "precision", of->precision, "optimizer", (int)of->optimizer,
                  "threads", (int)of->threads, "seed", (json_int_t)of->seed, "batch",
                  (json_int_t)batch, "micro_batch", (json_int_t)of->micro_batch, "lr", of->lr,
                  "options", options, "devices", devices_json(row));
    if (of->is_divided) {
        (void)json_object_set_new(command, "images", json_integer((json_int_t)of->image_count));
        (void)json_object_set_new(command, "held_out", json_integer((json_int_t)of->held_out));
    }
    return command;
}
