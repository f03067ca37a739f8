#include "bench.h"

#include "environment.h"
#include "error.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

/* Backends evaluate in slices of batch_max images at most: one image at a time, an evaluation would
 * take longer than an epoch of large batches. */
#define EVALUATED_IMAGES 256u

static void enter(const struct bm_bench *bench, uint32_t phase) {
    bench->page->phase = phase;
}

static int32_t leave(const struct bm_bench *bench, int32_t status) {
    bench->page->phase = BM_PHASE_HOST;
    return status;
}

/* ---- Life ---- */

static int32_t create_session(struct bm_bench *bench, struct bm_error *error) {
    enter(bench, BM_PHASE_CREATE);
    return leave(
        bench, bench->data_parallel > 1
                   ? bm_parallel_create(&bench->parallel, &bench->problem, &bench->session, error)
                   : bench->plugin->create(bench->device, &bench->problem, &bench->session, error));
}

static int32_t bind_split(struct bm_bench *bench, uint32_t split, struct bm_error *error) {
    if (bench->dataset->split[split].count == 0) {
        return BM_STATUS_OK;
    }
    enter(bench, BM_PHASE_BIND_DATA);
    return leave(bench, bench->plugin->bind_data(bench->session, split,
                                                 &bench->dataset->split[split], error));
}

static int32_t send_order(struct bm_bench *bench, struct bm_error *error) {
    enter(bench, BM_PHASE_SET_ORDER);
    return leave(bench,
                 bench->plugin->set_order(bench->session, bench->order, bench->order_count, error));
}

int32_t bm_bench_write_params(struct bm_bench *bench, const float *values, struct bm_error *error) {
    enter(bench, BM_PHASE_WRITE_PARAMS);
    return leave(bench,
                 bench->plugin->write_params(bench->session, values, bench->param_count, error));
}

static void destroy_session(struct bm_bench *bench) {
    enter(bench, BM_PHASE_DESTROY);
    bench->plugin->destroy(bench->session);
    bench->session = NULL;
    (void)leave(bench, BM_STATUS_OK);
}

static int32_t start_session(struct bm_bench *bench, struct bm_error *error) {
    int32_t status = create_session(bench, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    for (uint32_t split = 0; split < BM_SPLIT_COUNT && status == BM_STATUS_OK; split++) {
        status = bind_split(bench, split, error);
    }
    if (status == BM_STATUS_OK) {
        status = send_order(bench, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_write_params(bench, bench->start, error);
    }
    if (status != BM_STATUS_OK) {
        destroy_session(bench);
    }
    return status;
}

static void fill_problem(struct bm_bench *bench, const struct bm_bench_request *request) {
    struct bm_problem *problem = &bench->problem;
    problem->size = sizeof *problem;
    problem->layer_count = bench->model.layer_count;
    problem->layer_stride = sizeof bench->model.layers[0];
    problem->layers = bench->model.layers;
    problem->input_channels = bench->model.input.channels;
    problem->input_height = bench->model.input.height;
    problem->input_width = bench->model.input.width;
    problem->optimizer = request->optimizer;
    problem->thread_count = request->thread_count;
    problem->batch_max = bench->micro_batch;
    if (request->evaluates && problem->batch_max < EVALUATED_IMAGES) {
        problem->batch_max = EVALUATED_IMAGES;
    }
    problem->seed = request->seed;
    problem->precision = request->precision;
    problem->options = request->options;
    problem->option_count = request->option_count;
    problem->option_stride = sizeof(struct bm_option);
}

static int32_t allocate(struct bm_bench *bench, struct bm_error *error) {
    uint64_t zeros =
        bench->param_count > bench->statistics_count ? bench->param_count : bench->statistics_count;
    bench->start = malloc(bench->param_count * sizeof *bench->start);
    bench->zeros = calloc(zeros, sizeof *bench->zeros);
    bench->order = malloc(bench->order_count * sizeof *bench->order);
    bench->hypers = malloc(BM_BENCH_UPDATES_MAX * sizeof *bench->hypers);
    if (bench->start == NULL || bench->zeros == NULL || bench->order == NULL ||
        bench->hypers == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "session: no memory for its %llu parameters",
                       (unsigned long long)bench->param_count);
    }
    return BM_STATUS_OK;
}

static int is_first_of_device(const struct bm_bench *bench, uint32_t index) {
    for (uint32_t i = 0; i < index; i++) {
        if (bench->devices[i] == bench->devices[index]) {
            return 0;
        }
    }
    return 1;
}

/* Memory of the devices; for a processor's own, what the system has left. */
static int32_t ask_memory(struct bm_bench *bench, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    uint64_t host = UINT64_MAX;
    uint64_t own = 0;
    for (uint32_t i = 0; i < bench->data_parallel && status == BM_STATUS_OK; i++) {
        struct bm_device_info info = {0};
        info.size = sizeof info;
        if (!is_first_of_device(bench, i)) {
            continue;
        }
        enter(bench, BM_PHASE_DEVICE_INFO);
        status = leave(bench, bench->plugin->device_info(bench->devices[i], &info, error));
        own = info.memory_bytes == 0 || info.memory_bytes > UINT64_MAX - own
                  ? UINT64_MAX
                  : own + info.memory_bytes;
        if (info.kind == BM_DEVICE_KIND_GPU) {
            bench->on_gpu = 1;
        } else {
            host = bm_environment_memory_available();
        }
    }
    bench->available = own < host ? own : host;
    return status;
}

static int32_t ask_support(struct bm_bench *bench, struct bm_error *error) {
    int32_t status = ask_memory(bench, error);
    if (status == BM_STATUS_OK) {
        enter(bench, BM_PHASE_SUPPORTS);
        status = leave(
            bench,
            bench->data_parallel > 1
                ? bm_parallel_supports(&bench->parallel, &bench->problem, &bench->bytes, error)
                : bench->plugin->supports(bench->device, &bench->problem, &bench->bytes, error));
    }
    if (status == BM_STATUS_OK && bench->bytes > bench->available) {
        status = bm_fail(error, BM_STATUS_UNSUPPORTED,
                         "needs %.1f GiB of memory, %.1f are available; --micro-batch N takes "
                         "slices of N images",
                         (double)bench->bytes / 1073741824, (double)bench->available / 1073741824);
    }
    return status;
}

static void choose_devices(struct bm_bench *bench,
                           const struct bm_plugin *plugin,
                           const struct bm_bench_request *request) {
    BM_ASSERT(request->data_parallel <= BM_PARALLEL_MAX);
    bench->plugin = plugin;
    bench->device = request->device;
    bench->data_parallel = 1;
    bench->devices[0] = request->device;
    if (request->data_parallel > 1) {
        bench->data_parallel = request->data_parallel;
        memcpy(bench->devices, request->devices, request->data_parallel * sizeof bench->devices[0]);
        bench->parallel = (struct bm_parallel_spec){.plugin = plugin,
                                                    .devices = bench->devices,
                                                    .count = bench->data_parallel,
                                                    .param_count = bench->param_count,
                                                    .statistics_count = bench->statistics_count};
        bm_parallel_table(plugin, &bench->table);
        bench->plugin = &bench->table;
    }
}

int32_t bm_bench_open(const struct bm_plugin *plugin,
                      struct bm_page *page,
                      const struct bm_bench_request *request,
                      struct bm_bench *bench,
                      struct bm_error *error) {
    memset(bench, 0, sizeof *bench);
    bench->page = page;
    bench->model = *request->model;
    bench->dataset = request->dataset;
    bench->batch = request->batch;
    bench->micro_batch = request->micro_batch == 0 || request->micro_batch > request->batch
                             ? request->batch
                             : request->micro_batch;
    bench->flags = BM_SLICE_NO_DROPOUT;
    bench->rate = request->rate;
    bench->param_count = bm_model_param_count(&bench->model);
    bench->statistics_count = bm_model_statistics_count(&bench->model);
    bench->slot_count = bm_optimizer_slot_count(request->optimizer);
    choose_devices(bench, plugin, request);
    bench->order_count = request->dataset->split[BM_SPLIT_TRAIN].count;
    fill_problem(bench, request);
    int32_t status = allocate(bench, error);
    if (status == BM_STATUS_OK) {
        bm_model_start(&bench->model, request->seed, bench->start);
        bm_random_permutation(request->seed, 0, bench->order, (uint32_t)bench->order_count);
        status = ask_support(bench, error);
    }
    if (status == BM_STATUS_OK) {
        status = start_session(bench, error);
    }
    if (status != BM_STATUS_OK) {
        bm_bench_close(bench);
        return status;
    }
    bench->update = 1;
    return BM_STATUS_OK;
}

void bm_bench_close(struct bm_bench *bench) {
    if (bench->session != NULL) {
        destroy_session(bench);
    }
    free(bench->start);
    free(bench->zeros);
    free(bench->order);
    free(bench->hypers);
    memset(bench, 0, sizeof *bench);
}

int32_t bm_bench_set_order(struct bm_bench *bench,
                           const uint32_t *order,
                           uint64_t count,
                           struct bm_error *error) {
    if (count > bench->order_count) {
        uint32_t *grown = realloc(bench->order, count * sizeof *grown);
        if (grown == NULL) {
            return bm_fail(error, BM_STATUS_NO_MEMORY, "order: no memory for %llu images",
                           (unsigned long long)count);
        }
        bench->order = grown;
    }
    memmove(bench->order, order, count * sizeof *order);
    bench->order_count = count;
    bench->first = 0;
    return send_order(bench, error);
}

int32_t bm_bench_write_state(struct bm_bench *bench,
                             uint32_t slot,
                             const float *values,
                             uint64_t count,
                             struct bm_error *error) {
    if (bench->plugin->write_state == NULL) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED, "write_state: the plugin does not offer it");
    }
    enter(bench, BM_PHASE_WRITE_STATE);
    return leave(bench, bench->plugin->write_state(bench->session, slot, values, count, error));
}

/* Means 0, variances 1. */
static int32_t write_statistics_start(struct bm_bench *bench, struct bm_error *error) {
    float *values = calloc(bench->statistics_count, sizeof *values);
    if (values == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "running statistics: no memory");
    }
    float *next = values;
    for (uint32_t layer = 0; layer < bench->model.layer_count; layer++) {
        if (bench->model.layers[layer].kind == BM_LAYER_BATCHNORM) {
            uint32_t channels = bench->model.output[layer].channels;
            for (uint32_t i = 0; i < channels; i++) {
                next[channels + i] = 1.0f;
            }
            next += 2 * (size_t)channels;
        }
    }
    int32_t status =
        bm_bench_write_state(bench, BM_STATE_STATISTICS, values, bench->statistics_count, error);
    free(values);
    return status;
}

int32_t bm_bench_reset(struct bm_bench *bench, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    bench->first = 0;
    bench->update = 1;
    int32_t has_state = bench->slot_count > 0 || bench->statistics_count > 0;
    if (has_state && bench->plugin->write_state == NULL) {
        destroy_session(bench);
        return start_session(bench, error);
    }
    for (uint32_t slot = 0; slot < bench->slot_count && status == BM_STATUS_OK; slot++) {
        status = bm_bench_write_state(bench, slot, bench->zeros, bench->param_count, error);
    }
    if (status == BM_STATUS_OK && bench->statistics_count > 0) {
        status = write_statistics_start(bench, error);
    }
    return status == BM_STATUS_OK ? bm_bench_write_params(bench, bench->start, error) : status;
}

/* ---- Steps ---- */

struct bm_hyper bm_bench_hyper(const struct bm_bench *bench, uint64_t update) {
    return bench->hyper != NULL
               ? bench->hyper(bench->hyper_context, update)
               : bm_optimizer_defaults(bench->problem.optimizer, bench->rate, update);
}

static struct bm_slice make_slice(const struct bm_bench *bench, uint64_t first, uint64_t count) {
    struct bm_slice slice = {0};
    slice.size = sizeof slice;
    slice.flags = bench->flags;
    slice.first = first;
    slice.count = count;
    slice.update = bench->update;
    slice.divisor = (double)count;
    return slice;
}

static int32_t
ask_gradient(struct bm_bench *bench, const struct bm_slice *slice, struct bm_error *error) {
    enter(bench, BM_PHASE_GRADIENT);
    return leave(bench, bench->plugin->gradient(bench->session, slice, error));
}

int32_t bm_bench_gradient(struct bm_bench *bench, uint64_t count, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint64_t done = 0; done < count && status == BM_STATUS_OK; done += bench->micro_batch) {
        uint64_t left = count - done;
        uint64_t part = left < bench->micro_batch ? left : bench->micro_batch;
        struct bm_slice slice = make_slice(bench, bench->first + done, part);
        slice.divisor = (double)count;
        slice.flags |= done > 0 ? BM_SLICE_ACCUMULATE : 0;
        status = ask_gradient(bench, &slice, error);
    }
    return status;
}

int32_t bm_bench_apply(struct bm_bench *bench, struct bm_error *error) {
    struct bm_hyper hyper = bm_bench_hyper(bench, bench->update);
    enter(bench, BM_PHASE_APPLY);
    return leave(bench, bench->plugin->apply(bench->session, &hyper, error));
}

static int32_t update_of(struct bm_bench *bench, uint64_t count, struct bm_error *error) {
    if (bench->plugin->update != NULL && count <= bench->micro_batch) {
        struct bm_slice slice = make_slice(bench, bench->first, count);
        struct bm_hyper hyper = bm_bench_hyper(bench, bench->update);
        enter(bench, BM_PHASE_UPDATE);
        return leave(bench, bench->plugin->update(bench->session, &slice, &hyper, error));
    }
    int32_t status = bm_bench_gradient(bench, count, error);
    return status == BM_STATUS_OK ? bm_bench_apply(bench, error) : status;
}

static void walk_on(struct bm_bench *bench, uint64_t updates) {
    bench->first += bench->batch * updates;
    bench->update += updates;
    if (bench->first + bench->batch > bench->order_count) {
        bench->first = 0;
    }
}

void bm_bench_walk(struct bm_bench *bench) {
    walk_on(bench, 1);
}

int32_t bm_bench_update(struct bm_bench *bench, struct bm_error *error) {
    int32_t status = update_of(bench, bench->batch, error);
    walk_on(bench, 1);
    return status;
}

uint32_t bm_bench_updates_max(const struct bm_bench *bench) {
    uint64_t fit = bench->order_count / bench->batch;
    if (bench->plugin->updates == NULL || bench->micro_batch < bench->batch) {
        return 0;
    }
    return fit < BM_BENCH_UPDATES_MAX ? (uint32_t)fit : BM_BENCH_UPDATES_MAX;
}

void bm_bench_make_room(struct bm_bench *bench, uint64_t count) {
    if (bench->first + count * bench->batch > bench->order_count) {
        bench->first = 0;
    }
}

int32_t bm_bench_updates(struct bm_bench *bench, uint32_t count, struct bm_error *error) {
    BM_ASSERT(count <= bm_bench_updates_max(bench));
    bm_bench_make_room(bench, count);
    struct bm_slice slice = make_slice(bench, bench->first, bench->batch);
    for (uint32_t i = 0; i < count; i++) {
        bench->hypers[i] = bm_bench_hyper(bench, bench->update + i);
    }
    enter(bench, BM_PHASE_UPDATES);
    int32_t status =
        leave(bench, bench->plugin->updates(bench->session, &slice, count, bench->hypers,
                                            sizeof bench->hypers[0], error));
    walk_on(bench, count);
    return status;
}

int32_t bm_bench_step(struct bm_bench *bench, uint64_t count, struct bm_error *error) {
    int32_t status = update_of(bench, count, error);
    bench->first += count;
    bench->update++;
    return status;
}

int32_t bm_bench_epoch(struct bm_bench *bench, uint64_t *updates, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    *updates = 0;
    for (bench->first = 0; bench->first < bench->order_count && status == BM_STATUS_OK;) {
        uint64_t left = bench->order_count - bench->first;
        uint64_t count = left < bench->batch ? left : bench->batch;
        status = bm_bench_step(bench, count, error);
        (*updates)++;
    }
    bench->first = 0;
    return status;
}

int32_t bm_bench_wait(struct bm_bench *bench, double *loss, struct bm_error *error) {
    enter(bench, BM_PHASE_WAIT);
    return leave(bench, bench->plugin->wait(bench->session, loss, error));
}

uint32_t bm_bench_has_device_time(const struct bm_bench *bench) {
    return bench->plugin->device_time != NULL && bench->micro_batch == bench->batch;
}

int32_t
bm_bench_device_time(struct bm_bench *bench, struct bm_device_time *time, struct bm_error *error) {
    memset(time, 0, sizeof *time);
    time->size = sizeof *time;
    enter(bench, BM_PHASE_DEVICE_TIME);
    return leave(bench, bench->plugin->device_time(bench->session, time, error));
}

/* ---- Reading ---- */

int32_t bm_bench_read_params(struct bm_bench *bench, float *values, struct bm_error *error) {
    enter(bench, BM_PHASE_READ_PARAMS);
    return leave(bench,
                 bench->plugin->read_params(bench->session, values, bench->param_count, error));
}

int32_t bm_bench_read_gradient(struct bm_bench *bench, float *values, struct bm_error *error) {
    enter(bench, BM_PHASE_READ_GRADIENT);
    return leave(bench,
                 bench->plugin->read_gradient(bench->session, values, bench->param_count, error));
}

int32_t bm_bench_read_state(
    struct bm_bench *bench, uint32_t slot, float *values, uint64_t count, struct bm_error *error) {
    if (bench->plugin->read_state == NULL) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED, "read_state: the plugin does not offer it");
    }
    enter(bench, BM_PHASE_READ_STATE);
    return leave(bench, bench->plugin->read_state(bench->session, slot, values, count, error));
}

int32_t bm_bench_evaluate(struct bm_bench *bench,
                          uint32_t split,
                          double *loss,
                          uint64_t *correct,
                          struct bm_error *error) {
    enter(bench, BM_PHASE_EVALUATE);
    return leave(bench, bench->plugin->evaluate(bench->session, split, 0,
                                                bench->dataset->split[split].count, 0, loss,
                                                correct, error));
}
