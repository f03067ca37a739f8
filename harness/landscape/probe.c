#include "probe.h"

#include "error.h"
#include "interrupt.h"
#include "now.h"
#include "row_worker.h"
#include "schedule.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Slowest speed that is waited for before a gradient has been timed. */
#define FLOPS_MIN 5e8

/* Images of a call where batch norm does not care: enough for full speed, few enough for memory. */
#define SLICE_USUAL UINT64_C(2000)

/* Above the numbers that a worker gets. */
#define LOWEST_FD 10

static uint64_t train_count(const struct bm_probe *probe) {
    return probe->setup.dataset->split[BM_SPLIT_TRAIN].count;
}

/* ---- Asking ---- */

static double expected_s(const struct bm_probe *probe, double images) {
    double flops = images * bm_model_gradient_flops(probe->setup.model);
    double first_s = flops / FLOPS_MIN;
    return probe->at_s > 0 ? probe->at_s * images / (double)probe->setup.images : first_s;
}

static int32_t failed(const struct bm_probe *probe, struct bm_error *error) {
    if (probe->verdict.kind == BM_VERDICT_INTERRUPTED) {
        return bm_fail(error, BM_STATUS_TIMEOUT, "%s", bm_landscape_stop_text());
    }
    return bm_fail(error, BM_STATUS_INTERNAL, "%s", probe->verdict.reason);
}

/* One question of about `images` images; takes over `command`. *reply is the caller's. */
static int32_t ask(struct bm_probe *probe,
                   json_t *command,
                   double images,
                   json_t **reply,
                   struct bm_error *error) {
    const struct bm_campaign *campaign = probe->landscape->campaign;
    double limit_s = campaign->options->hang_time_s + 20 * expected_s(probe, images);
    if (bm_landscape_stopped(probe->landscape)) {
        *reply = NULL;
        json_decref(command);
        return bm_fail(error, BM_STATUS_TIMEOUT, "%s", bm_landscape_stop_text());
    }
    if (bm_row_ask(probe->landscape->row, 0, command, limit_s, reply, &probe->verdict)) {
        return BM_STATUS_OK;
    }
    json_decref(*reply);
    *reply = NULL;
    return failed(probe, error);
}

/* A question whose answer only says that it was done. */
static int32_t
tell(struct bm_probe *probe, json_t *command, double images, struct bm_error *error) {
    json_t *reply = NULL;
    int32_t status = ask(probe, command, images, &reply, error);
    json_decref(reply);
    return status;
}

static double number_of(const json_t *reply, const char *key) {
    const json_t *member = json_object_get(reply, key);
    return json_is_number(member) ? json_number_value(member) : (double)NAN;
}

/* ---- The shared arrays ---- */

static size_t vector_bytes(const struct bm_probe *probe) {
    return (2 * probe->param_count + probe->statistics_count) * sizeof(float);
}

static int32_t make_vectors(struct bm_probe *probe, struct bm_error *error) {
    size_t bytes = vector_bytes(probe);
    int fd = memfd_create("batchmark vectors", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    probe->vectors_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (probe->vectors_fd < 0 || ftruncate(probe->vectors_fd, (off_t)bytes) != 0 ||
        fallocate(probe->vectors_fd, 0, 0, (off_t)bytes) != 0 ||
        fcntl(probe->vectors_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "landscape: no %zu bytes of memory",
                             bytes);
    }
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, probe->vectors_fd, 0);
    if (mapped == MAP_FAILED) {
        return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "landscape: no mapping of %zu bytes",
                             bytes);
    }
    probe->vectors = mapped;
    probe->statistics = probe->vectors + 2 * probe->param_count;
    return BM_STATUS_OK;
}

static void give_params(struct bm_probe *probe, const float *params) {
    memmove(probe->vectors, params, probe->param_count * sizeof *params);
}

/* ---- The objective ---- */

static int32_t
at(void *context, const float *params, double *loss, float *gradient, struct bm_error *error) {
    struct bm_probe *probe = context;
    json_t *reply = NULL;
    double begun_s = bm_now_s();
    give_params(probe, params);
    json_t *command =
        json_pack("{s:s, s:b}", "do", "landscape_at", "gradient", (int)(gradient != NULL));
    int32_t status = ask(probe, command, (double)probe->setup.images, &reply, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    probe->at_s = bm_now_s() - begun_s;
    *loss = number_of(reply, "loss");
    json_decref(reply);
    if (gradient != NULL) {
        memcpy(gradient, probe->vectors + probe->param_count,
               probe->param_count * sizeof *gradient);
    }
    return BM_STATUS_OK;
}

/* ---- Opening ---- */

/* Replaces what the setup leaves open. */
static void complete(struct bm_probe *probe) {
    struct bm_probe_setup *setup = &probe->setup;
    uint64_t all = train_count(probe);
    setup->images = setup->images == 0 || setup->images > all ? all : setup->images;
    if (setup->slice == 0 && !bm_model_has_batchnorm(setup->model)) {
        setup->slice = SLICE_USUAL;
    }
    setup->slice = setup->slice == 0 || setup->slice > setup->images ? setup->images : setup->slice;
    setup->batch = setup->batch == 0 || setup->batch > all ? all : setup->batch;
}

static void fill_case(struct bm_probe *probe) {
    struct bm_case *of = &probe->of;
    const struct bm_campaign *campaign = probe->landscape->campaign;
    *of = campaign->of;
    of->model = probe->setup.model;
    of->dataset = probe->setup.dataset;
    of->optimizer = probe->setup.optimizer;
    of->seed = probe->setup.seed;
    of->micro_batch = 0;
    of->data_parallel = 1;
    of->reference_fd = -1;
    of->vectors_fd = probe->vectors_fd;
    of->is_divided = 1;
    if (of->dataset != campaign->of.dataset) {
        of->image_count = train_count(probe);
        of->held_out = 0;
    }
    bm_model_format(of->model, of->layers, sizeof of->layers);
}

static int32_t open_session(struct bm_probe *probe, struct bm_error *error) {
    struct bm_row *row = probe->landscape->row;
    const struct bm_probe_setup *setup = &probe->setup;
    double hang_s = probe->landscape->campaign->options->hang_time_s;
    uint64_t most = setup->batch > setup->slice ? setup->batch : setup->slice;
    bm_schedule_stop(row);
    if (!bm_row_start(row, 0, &probe->of, hang_s, &probe->verdict)) {
        return failed(probe, error);
    }
    return tell(probe, bm_row_create_command(row, &probe->of, most), (double)most, error);
}

static int32_t open_objective(struct bm_probe *probe, struct bm_error *error) {
    const struct bm_probe_setup *setup = &probe->setup;
    json_t *command =
        json_pack("{s:s, s:I, s:I, s:I, s:b}", "do", "landscape_open", "images",
                  (json_int_t)setup->images, "slice", (json_int_t)setup->slice, "batch",
                  (json_int_t)setup->batch, "running", (int)setup->running_statistics);
    probe->objective =
        (struct bm_objective){.count = probe->param_count, .at = at, .context = probe};
    return tell(probe, command, 1, error);
}

int32_t bm_probe_open(struct bm_landscape *landscape,
                      const struct bm_probe_setup *setup,
                      struct bm_probe *probe,
                      struct bm_error *error) {
    const struct bm_rate_plan plan = bm_rate_plan_defaults(BM_RATE_CONSTANT, 1e-3, 1, 1, 0);
    memset(probe, 0, sizeof *probe);
    probe->landscape = landscape;
    probe->setup = *setup;
    probe->vectors_fd = -1;
    probe->param_count = bm_model_param_count(setup->model);
    probe->statistics_count = bm_model_statistics_count(setup->model);
    complete(probe);
    int32_t status = make_vectors(probe, error);
    if (status == BM_STATUS_OK) {
        fill_case(probe);
        status = open_session(probe, error);
    }
    status = status ? status : bm_probe_begin(probe, &plan, NULL, NULL, error);
    status = status ? status : open_objective(probe, error);
    status = status ? status : tell(probe, json_pack("{s:s}", "do", "landscape_read"), 1, error);
    if (status != BM_STATUS_OK) {
        const struct bm_verdict verdict = probe->verdict;
        bm_probe_close(probe);
        probe->landscape = landscape;
        probe->verdict = verdict;
    }
    return status;
}

int32_t bm_probe_open_point(struct bm_landscape *landscape,
                            const struct bm_landscape_point *point,
                            struct bm_probe *probe,
                            struct bm_error *error) {
    const struct bm_campaign *campaign = landscape->campaign;
    const struct bm_options *options = campaign->options;
    int32_t optimizer = bm_optimizer_find(point->state.optimizer);
    const struct bm_probe_setup setup = {
        .model = &campaign->model,
        .dataset = &campaign->dataset,
        .optimizer = optimizer < 0 ? BM_OPTIMIZER_SGD : (uint32_t)optimizer,
        .batch = point->state.batch,
        .seed = point->state.seed,
        .images = options->landscape.images,
        .slice = options->micro_batch,
        .running_statistics = strcmp(options->landscape.statistics, "running") == 0,
    };
    int32_t status = bm_probe_open(landscape, &setup, probe, error);
    if (status == BM_STATUS_OK && probe->statistics_count > 0) {
        memcpy(probe->statistics, point->state.statistics, probe->statistics_count * sizeof(float));
    }
    return status;
}

void bm_probe_close(struct bm_probe *probe) {
    if (probe->landscape != NULL) {
        bm_schedule_stop(probe->landscape->row);
    }
    if (probe->vectors != NULL) {
        (void)munmap(probe->vectors, vector_bytes(probe));
    }
    if (probe->vectors_fd > 0) {
        (void)close(probe->vectors_fd);
    }
    memset(probe, 0, sizeof *probe);
}

/* ---- Evaluation ---- */

int32_t bm_probe_evaluate(struct bm_probe *probe,
                          const float *params,
                          uint32_t split,
                          double *loss,
                          double *accuracy,
                          struct bm_error *error) {
    double count = (double)probe->setup.dataset->split[split].count;
    json_t *reply = NULL;
    give_params(probe, params);
    json_t *command = json_pack("{s:s, s:i}", "do", "landscape_evaluate", "split", (int)split);
    int32_t status = ask(probe, command, count, &reply, error);
    *loss = number_of(reply, "loss");
    *accuracy = number_of(reply, "accuracy");
    json_decref(reply);
    return status;
}

int32_t bm_probe_renew(struct bm_probe *probe, const float *params, struct bm_error *error) {
    double images = (double)BM_TRAINER_RENEWING_SLICES_MIN * (double)probe->setup.batch;
    if (probe->statistics_count == 0) {
        return BM_STATUS_OK;
    }
    give_params(probe, params);
    return tell(probe, json_pack("{s:s}", "do", "landscape_renew"), images, error);
}

/* ---- Training ---- */

static json_t *override_json(double value) {
    return isnan(value) ? json_null() : json_real(value);
}

int32_t bm_probe_begin(struct bm_probe *probe,
                       const struct bm_rate_plan *plan,
                       const struct bm_rate_overrides *overrides,
                       const float *params,
                       struct bm_error *error) {
    json_t *open =
        json_pack("{s:s, s:o, s:o, s:o}", "do", "train_open", "plan", bm_rate_plan_json(plan),
                  "momentum", override_json(overrides == NULL ? (double)NAN : overrides->momentum),
                  "decay", override_json(overrides == NULL ? (double)NAN : overrides->decay));
    int32_t status = tell(probe, open, 1, error);
    if (status == BM_STATUS_OK && params != NULL) {
        give_params(probe, params);
        status = tell(probe, json_pack("{s:s}", "do", "landscape_write"), 1, error);
    }
    return status;
}

int32_t bm_probe_train(struct bm_probe *probe,
                       uint64_t updates,
                       struct bm_stretch *stretch,
                       struct bm_error *error) {
    json_t *reply = NULL;
    json_t *command = json_pack("{s:s, s:I}", "do", "train", "updates", (json_int_t)updates);
    double images = (double)updates * (double)probe->setup.batch;
    int32_t status = ask(probe, command, images, &reply, error);
    stretch->updates = (uint64_t)json_integer_value(json_object_get(reply, "updates"));
    stretch->seconds = json_number_value(json_object_get(reply, "seconds"));
    stretch->loss = number_of(reply, "loss");
    stretch->ended_epoch = json_is_true(json_object_get(reply, "ended_epoch"));
    json_decref(reply);
    return status;
}

int32_t bm_probe_read(struct bm_probe *probe, float *params, struct bm_error *error) {
    int32_t status = tell(probe, json_pack("{s:s}", "do", "landscape_read"), 1, error);
    if (status == BM_STATUS_OK) {
        memcpy(params, probe->vectors, probe->param_count * sizeof *params);
    }
    return status;
}

int32_t bm_probe_noise(struct bm_probe *probe,
                       uint64_t images,
                       uint64_t slices,
                       struct bm_noise *noise,
                       struct bm_error *error) {
    json_t *reply = NULL;
    json_t *command = json_pack("{s:s, s:I, s:I}", "do", "train_noise", "slice", (json_int_t)images,
                                "slices", (json_int_t)slices);
    int32_t status = ask(probe, command, 2 * (double)images * (double)slices, &reply, error);
    *noise = (struct bm_noise){.slices = (uint32_t)slices,
                               .images = images,
                               .gradient2 = number_of(reply, "gradient_squared"),
                               .trace = number_of(reply, "trace"),
                               .scale = number_of(reply, "scale"),
                               .low = number_of(reply, "low"),
                               .high = number_of(reply, "high")};
    json_decref(reply);
    return status;
}

/* ---- Objects ---- */

/* How batch norm normalizes in the loss; NULL without it. */
static json_t *batch_norm_json(const struct bm_probe *probe) {
    const struct bm_probe_setup *setup = &probe->setup;
    if (probe->statistics_count == 0) {
        return json_null();
    }
    if (setup->running_statistics) {
        return json_string("running");
    }
    return setup->slice < setup->images
               ? json_sprintf("ghost-%llu", (unsigned long long)setup->slice)
               : json_string("batch");
}

json_t *bm_probe_object(const struct bm_probe *probe, const char *analysis, const char *part) {
    const struct bm_row *row = probe->landscape->row;
    const struct bm_case *of = &probe->of;
    json_t *object = bm_landscape_object(analysis, part);
    json_t *fields = json_pack(
        "{s:s, s:i, s:s?, s:s?, s:b, s:b, s:s, s:s, s:s, s:I, s:o, s:i, s:s, s:I}", "backend",
        row->file->name, "device", (int)row->device_index, "device_name",
        json_string_value(json_object_get(row->device, "name")), "plugin_sha256", row->file->sha256,
        "plugin_by_trust", (int)row->file->trusted, "software", (int)row->software, "model",
        of->model->name, "layers", of->layers, "dataset", of->dataset->name, "images",
        (json_int_t)probe->setup.images, "batch_norm", batch_norm_json(probe), "threads",
        (int)of->threads, "precision", of->precision, "seed", (json_int_t)of->seed);
    (void)json_object_update(object, fields);
    json_decref(fields);
    return object;
}

void bm_probe_fail(struct bm_probe *probe,
                   json_t *object,
                   int32_t status,
                   const struct bm_error *error) {
    const char *word = status == BM_STATUS_TIMEOUT       ? "cut"
                       : status == BM_STATUS_UNSUPPORTED ? "unsupported"
                       : probe->verdict.kind != BM_VERDICT_OK
                           ? bm_verdict_status(probe->verdict.kind)
                           : "error";
    bm_landscape_fail(object, word, error->text);
    (void)json_object_set_new(object, "refused",
                              json_boolean(probe->verdict.kind == BM_VERDICT_REFUSED));
}
