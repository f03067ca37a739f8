#include "instructions.h"

#include "callgrind.h"
#include "error.h"
#include "hardware_counter.h"

#include <stdio.h>
#include <string.h>

const char *bm_instructions_source_name(enum bm_instructions_source source) {
    static const char *const names[] = {[BM_INSTRUCTIONS_ANY] = "any",
                                        [BM_INSTRUCTIONS_HARDWARE] = "hardware counter",
                                        [BM_INSTRUCTIONS_VALGRIND] = "valgrind"};
    return names[source];
}

/* ---- The worker ---- */

static int32_t status_of(const struct bm_verdict *verdict, struct bm_error *error) {
    switch (verdict->kind) {
    case BM_VERDICT_OK:
        return BM_STATUS_OK;
    case BM_VERDICT_UNSUPPORTED:
        return bm_fail(error, BM_STATUS_UNSUPPORTED, "%.480s", verdict->reason);
    case BM_VERDICT_TIMEOUT:
        return bm_fail(error, BM_STATUS_TIMEOUT, "%.480s", verdict->reason);
    default:
        return bm_fail(error, BM_STATUS_INTERNAL, "%.480s", verdict->reason);
    }
}

/* One question; takes over `command`. *reply is the caller's, NULL unless OK. */
static int32_t ask(struct bm_worker *worker,
                   const struct bm_instructions_request *request,
                   json_t *command,
                   json_t **reply,
                   struct bm_error *error) {
    struct bm_verdict verdict = {0};
    *reply = NULL;
    if (command == NULL) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "expected a path in UTF-8 for the worker, found other bytes");
    }
    bm_worker_ask(worker, command, request->limit_s, reply, &verdict);
    json_decref(command);
    int32_t status = status_of(&verdict, error);
    if (status != BM_STATUS_OK) {
        json_decref(*reply);
        *reply = NULL;
    }
    return status;
}

/* Under valgrind a plugin may find that the processor lacks what it needs. */
static int32_t load(struct bm_worker *worker,
                    const struct bm_instructions_request *request,
                    struct bm_error *error) {
    json_t *reply = NULL;
    json_int_t device = json_integer_value(json_object_get(request->create, "device"));
    int32_t status =
        ask(worker, request, bm_worker_load_command("load", request->plugin, request->file), &reply,
            error);
    size_t count = json_array_size(json_object_get(reply, "devices"));
    if (status == BM_STATUS_OK && (size_t)device >= count) {
        const char *why = json_string_value(json_object_get(reply, "why_none"));
        status = bm_fail(error, BM_STATUS_UNSUPPORTED, "device %lld of %zu: %.400s",
                         (long long)device, count, why == NULL ? "" : why);
    }
    json_decref(reply);
    return status;
}

static int32_t create(struct bm_worker *worker,
                      const struct bm_instructions_request *request,
                      struct bm_instructions *result,
                      struct bm_error *error) {
    json_t *reply = NULL;
    json_t *command = json_deep_copy(request->create);
    (void)json_object_set_new(command, "threads", json_integer(1));
    int32_t status = ask(worker, request, command, &reply, error);
    const char *describe = json_string_value(json_object_get(reply, "describe"));
    (void)snprintf(result->describe, sizeof result->describe, "%s",
                   describe == NULL ? "" : describe);
    json_decref(reply);
    return status;
}

/* Everything that is asked of one worker; *instructions is 0 if it does not count itself. */
static int32_t count_in(struct bm_worker *worker,
                        const struct bm_instructions_request *request,
                        struct bm_instructions *result,
                        uint64_t *instructions,
                        struct bm_error *error) {
    json_t *reply = NULL;
    int32_t status = load(worker, request, error);
    status = status ? status : create(worker, request, result, error);
    if (status == BM_STATUS_OK) {
        json_t *command =
            json_pack("{s:s, s:I, s:b}", "do", "count", "updates", (json_int_t)request->updates,
                      "by_hardware", result->source == BM_INSTRUCTIONS_HARDWARE);
        status = ask(worker, request, command, &reply, error);
    }
    *instructions = (uint64_t)json_integer_value(json_object_get(reply, "instructions"));
    json_decref(reply);
    return status;
}

static int32_t run_worker(const struct bm_instructions_request *request,
                          char *const *wrapper,
                          struct bm_instructions *result,
                          uint64_t *instructions,
                          struct bm_error *error) {
    struct bm_worker worker;
    struct bm_worker_spec spec = {.data_fd = request->data_fd,
                                  .reference_fd = -1,
                                  .plugin = request->file,
                                  .variables = request->variables,
                                  .variable_count = request->variable_count,
                                  .wrapper = wrapper};
    int32_t status = bm_worker_start(&spec, &worker, error);
    if (status == BM_STATUS_OK) {
        status = count_in(&worker, request, result, instructions, error);
        bm_worker_stop(&worker);
    }
    return status;
}

/* ---- The sources ---- */

static int32_t count_by_hardware(const struct bm_instructions_request *request,
                                 struct bm_instructions *result,
                                 uint64_t *instructions,
                                 struct bm_error *error) {
    struct bm_hardware_counter counter;
    /* Where this process has none, no worker need be started to find that out. */
    int32_t status = bm_hardware_counter_open(&counter, error);
    if (status == BM_STATUS_OK) {
        bm_hardware_counter_close(&counter);
        result->source = BM_INSTRUCTIONS_HARDWARE;
        status = run_worker(request, NULL, result, instructions, error);
    }
    return status;
}

static int32_t count_by_valgrind(const struct bm_instructions_request *request,
                                 struct bm_instructions *result,
                                 uint64_t *instructions,
                                 struct bm_error *error) {
    struct bm_callgrind callgrind;
    const char *what = NULL;
    int32_t status = bm_callgrind_open(&callgrind, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    result->source = BM_INSTRUCTIONS_VALGRIND;
    status = run_worker(request, callgrind.words, result, instructions, error);
    if (status == BM_STATUS_OK) {
        status = bm_callgrind_read(&callgrind, instructions, error);
    } else if (bm_callgrind_met_unknown(&callgrind, &what)) {
        status = bm_fail(error, BM_STATUS_UNSUPPORTED, "%s", what);
    } else if (status == BM_STATUS_UNSUPPORTED) {
        char reason[BM_ERROR_TEXT_SIZE];
        memcpy(reason, error->text, sizeof reason);
        status = bm_fail(error, status, "under valgrind, which runs no AVX-512: %.400s", reason);
    }
    bm_callgrind_close(&callgrind);
    return status;
}

int32_t bm_instructions_count(const struct bm_instructions_request *request,
                              struct bm_instructions *result,
                              struct bm_error *error) {
    struct bm_error first = {0};
    struct bm_error second = {0};
    uint64_t instructions = 0;
    int32_t status = BM_STATUS_UNSUPPORTED;
    BM_ASSERT(request->updates > 0);
    memset(result, 0, sizeof *result);
    if (request->source != BM_INSTRUCTIONS_VALGRIND) {
        status = count_by_hardware(request, result, &instructions, &first);
    }
    if (request->source != BM_INSTRUCTIONS_HARDWARE && status == BM_STATUS_UNSUPPORTED) {
        status = count_by_valgrind(request, result, &instructions, &second);
    }
    if (status == BM_STATUS_UNSUPPORTED) {
        return bm_fail(error, status, "not counted: %.240s%s%.240s", first.text,
                       first.text[0] != '\0' && second.text[0] != '\0' ? "; " : "", second.text);
    }
    if (status != BM_STATUS_OK) {
        *error = second.text[0] != '\0' ? second : first;
        return status;
    }
    result->per_update = (double)instructions / (double)request->updates;
    return BM_STATUS_OK;
}
