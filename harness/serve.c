#include "serve.h"

#include "channel.h"
#include "check.h"
#include "conform.h"
#include "counted.h"
#include "division.h"
#include "error.h"
#include "loader.h"
#include "measure.h"
#include "resident.h"
#include "serve_landscape.h"
#include "serve_train.h"
#include "serve_turn.h"
#include "stats.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define BLOCK_VALUES_MAX 100000u
#define OPTIONS_MAX 64

/* One worker: what its plugin and the commands so far have made. */
struct server {
    const struct bm_serve_files *files;
    const struct bm_plugin *plugin;
    struct bm_dataset dataset;
    struct bm_expected expected;
    struct bm_bench bench;
    struct bm_option options[OPTIONS_MAX]; /* of its problem, which points to them */
    uint32_t bench_open;
    struct bm_trainer trainer; /* of the open session; its bench is NULL: none */
    struct bm_served_turns turns;
    struct bm_served_landscape landscape;
    uint64_t resident;     /* bytes before the first session; 0: unknown */
    json_t *bench_command; /* holds the texts that the open problem points to */
    struct bm_block_shape shape[BM_SERIES_COUNT]; /* of the last block of each series */
    float *after[BM_SERIES_COUNT];                /* the parameters it left */
    double *samples_ns;                           /* [BLOCK_VALUES_MAX] */
};

/* ---- Reading commands ---- */

static int32_t
get_integer(const json_t *command, const char *key, uint64_t *value, struct bm_error *error) {
    const json_t *member = json_object_get(command, key);
    if (!json_is_integer(member) || json_integer_value(member) < 0) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: expected a number \"%s\"", key);
    }
    *value = (uint64_t)json_integer_value(member);
    return BM_STATUS_OK;
}

static int32_t
get_text(const json_t *command, const char *key, const char **value, struct bm_error *error) {
    *value = json_string_value(json_object_get(command, key));
    return *value == NULL ? bm_fail(error, BM_STATUS_INVALID, "worker: expected a text \"%s\"", key)
                          : BM_STATUS_OK;
}

/* ---- Commands: each adds to `reply` and returns a status ---- */

static json_t *describe_device(const struct bm_device_info *info) {
    json_t *precisions = json_array();
    uint32_t count = info->precision_count < BM_PRECISION_COUNT_MAX ? info->precision_count
                                                                    : BM_PRECISION_COUNT_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct bm_precision *precision = &info->precisions[i];
        (void)json_array_append_new(precisions,
                                    json_pack("{s:s, s:f, s:f}", "name", precision->name,
                                              "multiply", precision->multiply_roundoff,
                                              "accumulate", precision->accumulate_roundoff));
    }
    return json_pack("{s:s, s:i, s:i, s:I, s:s, s:s, s:s, s:s, s:o}", "name", info->name, "kind",
                     (int)info->kind, "flags", (int)info->flags, "memory",
                     (json_int_t)info->memory_bytes, "vendor", info->vendor, "driver", info->driver,
                     "uuid", info->uuid, "pci", info->pci, "precisions", precisions);
}

static int32_t list_devices(struct server *server, json_t *reply, struct bm_error *error) {
    const struct bm_plugin *plugin = server->plugin;
    json_t *devices = json_array();
    uint32_t count = 0;
    struct bm_error why = {0};
    (void)json_object_set_new(reply, "devices", devices);
    server->files->page->phase = BM_PHASE_DEVICE_COUNT;
    int32_t status = plugin->device_count(&count, &why);
    if (status != BM_STATUS_OK) {
        *error = why;
        return status;
    }
    why.text[sizeof why.text - 1] = '\0';
    (void)json_object_set_new(reply, "why_none", json_string(count == 0 ? why.text : ""));
    for (uint32_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        struct bm_device_info info = {0};
        info.size = sizeof info;
        server->files->page->phase = BM_PHASE_DEVICE_INFO;
        status = plugin->device_info(i, &info, error);
        json_t *device = status == BM_STATUS_OK ? describe_device(&info) : NULL;
        if (status == BM_STATUS_OK && json_array_append_new(devices, device) != 0) {
            status = bm_fail(error, BM_STATUS_INVALID,
                             "device %u: expected names in UTF-8 from device_info", i);
        }
    }
    server->files->page->phase = BM_PHASE_HOST;
    return status;
}

/* What is to be loaded: a path, and what must be found there. */
static int32_t get_plugin(const struct server *server,
                          const json_t *command,
                          const char **path,
                          struct bm_opened_file *file,
                          struct bm_error *error) {
    int32_t status = get_text(command, "plugin", path, error);
    return status ? status
                  : bm_opened_file_parse(json_object_get(command, "file"), server->files->plugin_fd,
                                         file, error);
}

static int32_t
do_load(struct server *server, const json_t *command, json_t *reply, struct bm_error *error) {
    const char *path = NULL;
    struct bm_opened_file file;
    int32_t status = get_plugin(server, command, &path, &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    server->files->page->phase = BM_PHASE_LOAD;
    status = bm_loader_load(path, &file, &server->plugin, error);
    server->files->page->phase = BM_PHASE_HOST;
    if (status != BM_STATUS_OK) {
        (void)json_object_set_new(reply, "refused", json_true());
        (void)json_object_set_new(reply, "other_abi",
                                  json_boolean(status == BM_STATUS_UNSUPPORTED));
        return status;
    }
    const struct bm_plugin *plugin = server->plugin;
    (void)json_object_set_new(reply, "name", json_string(plugin->name));
    (void)json_object_set_new(reply, "version", json_string(plugin->version));
    (void)json_object_set_new(reply, "summary", json_string(plugin->summary));
    (void)json_object_set_new(reply, "computes_nothing",
                              json_boolean((plugin->flags & BM_PLUGIN_COMPUTES_NOTHING) != 0));
    (void)json_object_set_new(reply, "has_update", json_boolean(plugin->update != NULL));
    (void)json_object_set_new(reply, "has_updates", json_boolean(plugin->updates != NULL));
    (void)json_object_set_new(reply, "has_state", json_boolean(plugin->read_state != NULL));
    (void)json_object_set_new(reply, "has_write_gradient",
                              json_boolean(plugin->write_gradient != NULL));
    (void)json_object_set_new(reply, "has_device_time", json_boolean(plugin->device_time != NULL));
    return list_devices(server, reply, error);
}

static void close_bench(struct server *server) {
    bm_trainer_close(&server->trainer);
    bm_served_turns_close(&server->turns);
    bm_served_landscape_close(&server->landscape);
    if (server->bench_open) {
        bm_bench_close(&server->bench);
    }
    server->bench_open = 0;
    json_decref(server->bench_command);
    server->bench_command = NULL;
    for (uint32_t i = 0; i < BM_SERIES_COUNT; i++) {
        free(server->after[i]);
        server->after[i] = NULL;
        server->shape[i].values = 0;
    }
}

static int32_t map_files(struct server *server, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    if (server->dataset.mapped == NULL) {
        int fd = dup(server->files->data_fd);
        status = fd < 0 ? bm_fail_errno(error, BM_STATUS_INVALID, "worker: no data file")
                        : bm_dataset_map(fd, &server->dataset, error);
    }
    if (status == BM_STATUS_OK && server->files->reference_fd >= 0 &&
        server->expected.mapped == NULL) {
        int fd = dup(server->files->reference_fd);
        status = fd < 0 ? bm_fail_errno(error, BM_STATUS_INVALID, "worker: no reference file")
                        : bm_expected_map(fd, &server->expected, error);
    }
    return status;
}

/* For training some of the images are held out. */
static int32_t divide(struct server *server, const json_t *command, struct bm_error *error) {
    uint64_t images = 0;
    uint64_t held_out = 0;
    if (json_object_get(command, "held_out") == NULL) {
        return BM_STATUS_OK;
    }
    int32_t status = get_integer(command, "images", &images, error);
    status = status ? status : get_integer(command, "held_out", &held_out, error);
    return status ? status : bm_dataset_divide(&server->dataset, images, held_out, error);
}

static uint32_t read_options(const json_t *command, struct bm_option options[OPTIONS_MAX]) {
    uint32_t count = 0;
    const char *key;
    json_t *value;
    json_t *object = json_object_get(command, "options");
    json_object_foreach(object, key, value) {
        if (count < OPTIONS_MAX && json_is_string(value)) {
            options[count].key = key;
            options[count].value = json_string_value(value);
            count++;
        }
    }
    return count;
}

/* Several sessions: the device of each. */
static int32_t read_devices(const json_t *command, uint32_t *devices, uint32_t *count) {
    const json_t *list = json_object_get(command, "devices");
    *count = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < *count && i < BM_PARALLEL_MAX; i++) {
        devices[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    }
    return *count <= BM_PARALLEL_MAX;
}

static int32_t open_bench(struct server *server, json_t *command, struct bm_error *error) {
    uint32_t devices[BM_PARALLEL_MAX];
    struct bm_bench_request request = {
        .dataset = &server->dataset, .options = server->options, .devices = devices};
    struct bm_model model;
    const char *name = NULL;
    const char *layers = NULL;
    uint64_t device = 0;
    uint64_t optimizer = 0;
    uint64_t threads = 0;
    int32_t status = get_text(command, "model", &name, error);
    status = status ? status : get_text(command, "layers", &layers, error);
    status = status ? status : get_text(command, "precision", &request.precision, error);
    status = status ? status : get_integer(command, "device", &device, error);
    status = status ? status : get_integer(command, "optimizer", &optimizer, error);
    status = status ? status : get_integer(command, "threads", &threads, error);
    status = status ? status : get_integer(command, "seed", &request.seed, error);
    status = status ? status : get_integer(command, "batch", &request.batch, error);
    status = status ? status : get_integer(command, "micro_batch", &request.micro_batch, error);
    if (status == BM_STATUS_OK && !read_devices(command, devices, &request.data_parallel)) {
        status = bm_fail(error, BM_STATUS_INVALID, "worker: expected at most %u devices",
                         BM_PARALLEL_MAX);
    }
    if (status == BM_STATUS_OK) {
        status = bm_model_parse(name, layers, server->dataset.shape, server->dataset.class_count,
                                &model, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    request.device = (uint32_t)device;
    request.optimizer = (uint32_t)optimizer;
    request.thread_count = (uint32_t)threads;
    request.model = &model;
    request.rate = json_number_value(json_object_get(command, "lr"));
    request.evaluates = json_is_integer(json_object_get(command, "images")); /* a training */
    request.option_count = read_options(command, server->options);
    status = bm_bench_open(server->plugin, server->files->page, &request, &server->bench, error);
    server->bench_open = status == BM_STATUS_OK;
    if (server->bench_open) {
        server->bench_command = json_incref(command);
    }
    return status;
}

/* From here on the peak is that of a session; without a reset it is that of an earlier one. */
static void note_resident(struct server *server, json_t *reply) {
    if (server->resident == 0) {
        server->resident = bm_resident_bytes();
    }
    (void)json_object_set_new(
        reply, "resident_bytes",
        json_integer(bm_resident_reset_peak() ? (json_int_t)server->resident : 0));
}

/* What really runs, as far as the session knows it by now. */
static int32_t describe_session(struct server *server, json_t *reply, struct bm_error *error) {
    char text[4096] = "";
    server->files->page->phase = BM_PHASE_DESCRIBE;
    int32_t status =
        server->bench.plugin->describe(server->bench.session, text, sizeof text, error);
    server->files->page->phase = BM_PHASE_HOST;
    text[sizeof text - 1] = '\0';
    (void)json_object_set_new(reply, "describe", json_string(text));
    return status;
}

static int32_t
do_create(struct server *server, json_t *command, json_t *reply, struct bm_error *error) {
    close_bench(server);
    int32_t status = server->plugin == NULL
                         ? bm_fail(error, BM_STATUS_INVALID, "worker: create before load")
                         : map_files(server, error);
    status = status ? status : divide(server, command, error);
    if (status == BM_STATUS_OK) {
        note_resident(server, reply);
        status = open_bench(server, command, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = describe_session(server, reply, error);
    (void)json_object_set_new(reply, "bytes", json_integer((json_int_t)server->bench.bytes));
    (void)json_object_set_new(
        reply, "memory_share",
        json_real((double)server->bench.bytes / (double)server->bench.available));
    (void)json_object_set_new(reply, "clock_ns", json_real(bm_measure_clock_ns()));
    (void)json_object_set_new(reply, "updates_max",
                              json_integer(bm_bench_updates_max(&server->bench)));
    (void)json_object_set_new(reply, "tells_device_time",
                              json_boolean(bm_bench_has_device_time(&server->bench)));
    return status;
}

/* JSON has no infinity; what is that wrong is wrong enough. */
static json_t *finite_json(double value) {
    return json_real(value < 1e300 ? value : 1e300);
}

/* What the check took is the harness's: the peak that is told is that of what follows. */
static void forget_check(const struct server *server) {
    (void)madvise(server->expected.mapped, server->expected.mapped_bytes, MADV_DONTNEED);
    (void)malloc_trim(0);
    (void)bm_resident_reset_peak();
}

static int32_t do_check(struct server *server, json_t *reply, struct bm_error *error) {
    struct bm_check_result result;
    const struct bm_expected_entry *entry =
        bm_expected_find(&server->expected, server->bench.batch, server->bench.data_parallel);
    if (entry == NULL || server->expected.param_count != server->bench.param_count) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: no reference for batch %llu",
                       (unsigned long long)server->bench.batch);
    }
    int32_t status = bm_check_run(&server->bench, entry, &result, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (result.wrong) {
        (void)json_object_set_new(reply, "status", json_string("wrong"));
        (void)json_object_set_new(reply, "reason", json_string(result.reason));
    }
    (void)json_object_set_new(reply, "ratio", finite_json(result.ratio));
    (void)json_object_set_new(reply, "max_error", finite_json(result.error));
    (void)json_object_set_new(reply, "bound", json_real(result.bound));
    (void)json_object_set_new(reply, "gradient_ratio", finite_json(result.gradient_ratio));
    (void)json_object_set_new(reply, "apply_ratio", finite_json(result.apply_ratio));
    (void)json_object_set_new(reply, "update_ratio", finite_json(result.update_ratio));
    (void)json_object_set_new(reply, "update_ns", json_real(result.update_ns));
    (void)json_object_set_new(reply, "determined", json_boolean(!entry->is_undetermined));
    forget_check(server);
    return describe_session(server, reply, error);
}

static int32_t do_calibrate(struct server *server, json_t *reply, struct bm_error *error) {
    double update_ns = 0;
    int32_t status = bm_measure_calibrate(&server->bench, 2e6, &update_ns, error);
    (void)json_object_set_new(reply, "update_ns", json_real(update_ns));
    return status;
}

static int32_t get_series(const json_t *command, enum bm_series *series, struct bm_error *error) {
    const char *name = NULL;
    int32_t status = get_text(command, "series", &name, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    for (uint32_t i = 0; i < BM_SERIES_COUNT; i++) {
        if (strcmp(name, bm_series_names[i]) == 0) {
            *series = (enum bm_series)i;
            return BM_STATUS_OK;
        }
    }
    return bm_fail(error, BM_STATUS_INVALID, "worker: unknown series %s", name);
}

static json_t *pack_samples(const double *samples, uint64_t count) {
    json_t *list = json_array();
    for (uint64_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_real(samples[i]));
    }
    return list;
}

static int32_t
get_shape(const json_t *command, struct bm_block_shape *shape, struct bm_error *error) {
    int32_t status = get_series(command, &shape->series, error);
    status = status ? status : get_integer(command, "values", &shape->values, error);
    status = status ? status : get_integer(command, "per_value", &shape->per_value, error);
    if (status == BM_STATUS_OK && (shape->values == 0 || shape->values > BLOCK_VALUES_MAX)) {
        status = bm_fail(error, BM_STATUS_INVALID, "worker: expected 1 to %u values, found %llu",
                         BLOCK_VALUES_MAX, (unsigned long long)shape->values);
    }
    return status;
}

static int32_t
do_block(struct server *server, const json_t *command, json_t *reply, struct bm_error *error) {
    struct bm_block_shape shape = {0};
    struct bm_block_result result;
    uint64_t keep = 0;
    int32_t status = get_shape(command, &shape, error);
    status = status ? status : get_integer(command, "keep", &keep, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    BM_ASSERT(server->bench_open);
    float **after = &server->after[shape.series];
    if (*after == NULL) {
        *after = malloc(server->bench.param_count * sizeof **after);
    }
    if (server->samples_ns == NULL) {
        server->samples_ns = malloc(BLOCK_VALUES_MAX * sizeof *server->samples_ns);
    }
    if (*after == NULL || server->samples_ns == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "worker: no memory for a block");
    }
    status = bm_measure_block(&server->bench, &shape, *after, server->samples_ns, &result, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    server->shape[shape.series] = shape;
    uint64_t kept = result.is_unknown ? 0 : bm_stats_thin(server->samples_ns, shape.values, keep);
    (void)json_object_set_new(reply, "samples_ns", pack_samples(server->samples_ns, kept));
    (void)json_object_set_new(reply, "cpu_ns", json_real(result.cpu_ns));
    (void)json_object_set_new(reply, "params_crc", json_integer(result.params_crc));
    return BM_STATUS_OK;
}

static int32_t
do_replay(struct server *server, const json_t *command, json_t *reply, struct bm_error *error) {
    enum bm_series series = BM_SERIES_UPDATE;
    uint32_t equal = 1;
    char reason[256] = "";
    int32_t status = get_series(command, &series, error);
    if (status == BM_STATUS_OK && server->shape[series].values > 0) {
        status = bm_measure_replay(&server->bench, &server->shape[series], server->after[series],
                                   &equal, reason, sizeof reason, error);
    }
    if (status == BM_STATUS_OK && !equal) {
        (void)json_object_set_new(reply, "status", json_string("wrong"));
        (void)json_object_set_new(reply, "reason",
                                  json_sprintf("%s: %s", bm_series_names[series], reason));
    }
    return status;
}

static int32_t
do_epoch(struct server *server, const json_t *command, json_t *reply, struct bm_error *error) {
    uint64_t epoch = 0;
    uint64_t updates = 0;
    double seconds = 0;
    int32_t status = get_integer(command, "epoch", &epoch, error);
    if (status == BM_STATUS_OK) {
        status = bm_measure_epoch(&server->bench, (uint32_t)epoch, &seconds, &updates, error);
    }
    (void)json_object_set_new(reply, "seconds", json_real(seconds));
    (void)json_object_set_new(reply, "updates", json_integer((json_int_t)updates));
    return status;
}

/* Instructions, counted here by the hardware or outside of this process by who runs it. */
static int32_t
do_count(struct server *server, const json_t *command, json_t *reply, struct bm_error *error) {
    uint64_t updates = 0;
    uint64_t instructions = 0;
    uint32_t by_hardware = json_is_true(json_object_get(command, "by_hardware"));
    int32_t status = get_integer(command, "updates", &updates, error);
    status = status ? status
                    : bm_counted_run(&server->bench, updates, by_hardware, &instructions, error);
    (void)json_object_set_new(reply, "instructions", json_integer((json_int_t)instructions));
    return status;
}

/* One case of the conformance suite, which loads the plugin by itself. */
static int32_t
do_conform(struct server *server, json_t *command, json_t *reply, struct bm_error *error) {
    static const char *const words[] = {[BM_CONFORM_PASSED] = "pass",
                                        [BM_CONFORM_FAILED] = "fail",
                                        [BM_CONFORM_UNSUPPORTED] = "unsupported"};
    struct bm_option options[OPTIONS_MAX];
    struct bm_opened_file file;
    struct bm_conform_request request = {
        .file = &file, .options = options, .page = server->files->page};
    struct bm_conform_result result;
    const char *name = NULL;
    uint64_t device = 0;
    uint64_t threads = 0;
    int32_t status = get_plugin(server, command, &request.path, &file, error);
    status = status ? status : bm_opened_file_check(&file, request.path, error);
    status = status ? status : get_text(command, "case", &name, error);
    status = status ? status : get_integer(command, "device", &device, error);
    status = status ? status : get_integer(command, "threads", &threads, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    const struct bm_conform_case *which = bm_conform_find(name);
    if (which == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: unknown case %.64s", name);
    }
    request.device = (uint32_t)device;
    request.thread_count = (uint32_t)threads;
    request.option_count = read_options(command, options);
    bm_conform_run(which, &request, &result);
    (void)json_object_set_new(reply, "result", json_string(words[result.status]));
    json_t *text = json_string(result.text);
    (void)json_object_set_new(reply, "text",
                              text != NULL ? text : json_string("the text is not UTF-8"));
    return BM_STATUS_OK;
}

/* ---- The loop ---- */

static int32_t needs_bench(const char *what) {
    static const char *const names[] = {"check", "calibrate", "block", "replay", "epoch", "count"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(what, names[i]) == 0) {
            return 1;
        }
    }
    return strncmp(what, "train", 5) == 0 || strncmp(what, "turn", 4) == 0 ||
           strncmp(what, "landscape", 9) == 0;
}

static int32_t
dispatch(struct server *server, json_t *command, json_t *reply, struct bm_error *error) {
    const char *what = NULL;
    int32_t status = get_text(command, "do", &what, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (needs_bench(what) && !server->bench_open) {
        return bm_fail(error, BM_STATUS_INVALID, "worker: %s before create", what);
    }
    if (strcmp(what, "load") == 0) {
        return do_load(server, command, reply, error);
    }
    if (strcmp(what, "create") == 0) {
        return do_create(server, command, reply, error);
    }
    if (strcmp(what, "check") == 0) {
        return do_check(server, reply, error);
    }
    if (strcmp(what, "calibrate") == 0) {
        return do_calibrate(server, reply, error);
    }
    if (strcmp(what, "block") == 0) {
        return do_block(server, command, reply, error);
    }
    if (strcmp(what, "replay") == 0) {
        return do_replay(server, command, reply, error);
    }
    if (strcmp(what, "epoch") == 0) {
        return do_epoch(server, command, reply, error);
    }
    if (strcmp(what, "count") == 0) {
        return do_count(server, command, reply, error);
    }
    if (strncmp(what, "train", 5) == 0) {
        return bm_serve_train(&server->trainer, &server->bench, what, command, reply, error);
    }
    if (strncmp(what, "turn", 4) == 0) {
        return bm_serve_turn(&server->turns, &server->bench, what, command, reply, error);
    }
    if (strncmp(what, "landscape", 9) == 0) {
        return bm_serve_landscape(&server->landscape, server->files->vectors_fd, &server->trainer,
                                  what, command, reply, error);
    }
    if (strcmp(what, "conform") == 0) {
        return do_conform(server, command, reply, error);
    }
    if (strcmp(what, "destroy") == 0) {
        close_bench(server);
        return BM_STATUS_OK;
    }
    return bm_fail(error, BM_STATUS_INVALID, "worker: unknown command %.64s", what);
}

/* "ok", or what the status of a call means for the cell. */
static const char *status_word(int32_t status, int32_t refused) {
    if (status == BM_STATUS_OK) {
        return "ok";
    }
    if (refused) {
        return "refused";
    }
    if (status == BM_STATUS_TIMEOUT) {
        return "timeout";
    }
    return status == BM_STATUS_UNSUPPORTED || status == BM_STATUS_NO_MEMORY ? "unsupported"
                                                                            : "error";
}

static json_t *answer(struct server *server, json_t *command) {
    struct bm_error error = {0};
    json_t *reply = json_object();
    int32_t status = dispatch(server, command, reply, &error);
    int32_t refused = json_object_get(reply, "refused") != NULL;
    error.text[sizeof error.text - 1] = '\0';
    if (json_object_get(reply, "status") == NULL) {
        (void)json_object_set_new(reply, "status", json_string(status_word(status, refused)));
    }
    if (status != BM_STATUS_OK) {
        json_t *reason = json_string(error.text);
        (void)json_object_set_new(
            reply, "reason",
            reason != NULL ? reason : json_string("the plugin's error text is not UTF-8"));
    }
    return reply;
}

void bm_serve(const struct bm_serve_files *files) {
    struct server *server = calloc(1, sizeof *server);
    struct bm_frame_buffer buffer = {0};
    struct bm_error error;
    json_t *command = NULL;
    int32_t status = server == NULL ? BM_STATUS_NO_MEMORY : BM_STATUS_OK;
    if (server != NULL) {
        server->files = files;
        files->page->phase = BM_PHASE_HOST;
    }
    while (status == BM_STATUS_OK) {
        status = bm_channel_receive(files->command_fd, &buffer, &command, &error);
        if (status != BM_STATUS_OK || command == NULL) {
            break;
        }
        json_t *reply = answer(server, command);
        json_decref(command);
        /* What a plugin printed must be seen before its answer is believed. */
        (void)fflush(stdout);
        status = bm_channel_send(files->reply_fd, reply, &error);
        json_decref(reply);
    }
    if (server != NULL) {
        close_bench(server);
        bm_expected_unmap(&server->expected);
        if (server->dataset.mapped != NULL) {
            bm_dataset_close(&server->dataset);
        }
        free(server->samples_ns);
        bm_served_turns_free(&server->turns);
    }
    free(server);
    bm_frame_buffer_deinit(&buffer);
    (void)close(files->command_fd);
    (void)close(files->reply_fd);
    if (files->data_fd >= 0) {
        (void)close(files->data_fd);
    }
    if (files->reference_fd >= 0) {
        (void)close(files->reference_fd);
    }
    if (files->vectors_fd >= 0) {
        (void)close(files->vectors_fd);
    }
    if (files->plugin_fd >= 0) {
        (void)close(files->plugin_fd);
    }
}

static int has_word(int argc, char **argv, const char *word) {
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], word) == 0) {
            return 1;
        }
    }
    return 0;
}

void bm_serve_main(int argc, char **argv) {
    struct rlimit no_core = {0, 0};
    long parent = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    /* The parent may have died before the call: then nobody is left to send the signal. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || parent <= 0 || getppid() != (pid_t)parent) {
        (void)fputs("batchmark worker: started by batchmark itself only\n", stderr);
        _exit(2);
    }
    (void)setrlimit(RLIMIT_CORE, &no_core);
    void *page =
        mmap(NULL, sizeof(struct bm_page), PROT_READ | PROT_WRITE, MAP_SHARED, BM_SERVE_PAGE_FD, 0);
    if (page == MAP_FAILED || bm_page_catch_signals(page) != 0) {
        (void)fprintf(stderr, "batchmark worker: cannot start: %s\n", strerror(errno));
        _exit(2);
    }
    struct bm_serve_files files = {
        .command_fd = BM_SERVE_COMMAND_FD,
        .reply_fd = BM_SERVE_REPLY_FD,
        .data_fd = has_word(argc, argv, "data") ? BM_SERVE_DATA_FD : -1,
        .reference_fd = has_word(argc, argv, "reference") ? BM_SERVE_REFERENCE_FD : -1,
        .vectors_fd = has_word(argc, argv, "vectors") ? BM_SERVE_VECTORS_FD : -1,
        .plugin_fd = has_word(argc, argv, "plugin") ? BM_SERVE_PLUGIN_FD : -1,
        .page = page,
    };
    bm_serve(&files);
    /* Neither exit handlers nor static destructors of plugins run: nothing is left to lose. */
    _exit(0);
}
