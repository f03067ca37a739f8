/* The plugin's table: the device, what it supports, and the life of a session. */
#include "torch.h"

#include <stdlib.h>

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    (void)error;
    *count = 1;
    return BM_STATUS_OK;
}

/* ---- What torch cannot do ---- */

static int32_t check_rule(const struct bm_problem *problem, struct bm_error *error) {
    if (problem->optimizer == BM_OPTIMIZER_LARS || problem->optimizer == BM_OPTIMIZER_LAMB) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "optimizer: expected one that torch::optim has (sgd, momentum, "
                           "nesterov, adagrad, rmsprop, adam, adamw), found %s",
                           problem->optimizer == BM_OPTIMIZER_LARS ? "lars" : "lamb");
    }
    return BM_STATUS_OK;
}

static int32_t check_pools(const struct bm_kit_network *network, struct bm_error *error) {
    for (uint32_t i = 0; i < network->layer_count; i++) {
        const struct bm_kit_layer *layer = &network->layers[i];
        if (layer->kind == BM_LAYER_MAXPOOL && (layer->padding > layer->kernel_height / 2 ||
                                                layer->padding > layer->kernel_width / 2)) {
            return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                               "layer %u, maxpool: torch expects a padding of at most half the "
                               "kernel, found %u for %ux%u",
                               i, layer->padding, layer->kernel_height, layer->kernel_width);
        }
    }
    return BM_STATUS_OK;
}

/* ---- Memory ---- */

/* Floats that autograd keeps of one value of a layer's output: the value; a pool's place of the
 * maximum (64 bits); a dropout's factor and bytes. */
static uint64_t floats_of(uint32_t kind) {
    return kind == BM_LAYER_MAXPOOL || kind == BM_LAYER_DROPOUT ? 3 : 1;
}

/* Parameters, their gradient and state; for the largest slice the images as bytes and floats, the
 * outputs that are kept and the two gradients that a backward step lives on. */
static int32_t
count_bytes(const struct bm_kit_session *core, uint64_t *bytes, struct bm_error *error) {
    const struct bm_kit_network *network = &core->network;
    uint64_t fixed = (2 + (uint64_t)core->slot_count) * network->param_count;
    uint64_t each = 2 * network->input_size + 2 * network->widest;
    uint64_t floats = 0;
    for (uint32_t i = 0; i < network->layer_count; i++) {
        each += floats_of(network->layers[i].kind) * network->layers[i].output_size;
    }
    if (__builtin_mul_overflow(each, core->batch_max, &floats) ||
        __builtin_add_overflow(floats, fixed, &floats) ||
        __builtin_mul_overflow(floats, sizeof(float), bytes)) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "batch_max: expected tensors that can be addressed, found %llu images",
                           (unsigned long long)core->batch_max);
    }
    return BM_STATUS_OK;
}

/* Torch takes its memory pass by pass; a session that cannot train is refused at its start. */
static int32_t check_memory(uint64_t bytes, struct bm_error *error) {
    struct bm_device_info info = {.size = sizeof info};
    int32_t status = bm_kit_cpu_info(0, &info, error);
    if (status == BM_STATUS_OK && info.memory_bytes > 0 && bytes > info.memory_bytes) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY,
                           "no memory for %llu bytes of tensors: there are %llu",
                           (unsigned long long)bytes, (unsigned long long)info.memory_bytes);
    }
    return status;
}

/* ---- Sessions ---- */

static int32_t open_core(uint32_t device,
                         const struct bm_problem *problem,
                         struct bm_kit_session *core,
                         uint64_t *bytes,
                         struct bm_error *error) {
    int32_t status = bm_kit_cpu_check(device, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_session_init(core, problem, NULL, 0, NULL, error);
    }
    if (status == BM_STATUS_OK) {
        status = check_rule(problem, error);
    }
    if (status == BM_STATUS_OK) {
        status = check_pools(&core->network, error);
    }
    return status == BM_STATUS_OK ? count_bytes(core, bytes, error) : status;
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    struct bm_kit_session core = {0};
    int32_t status = open_core(device, problem, &core, bytes, error);
    bm_kit_session_deinit(&core);
    return status;
}

static void destroy(struct bm_session *session) {
    if (session != NULL) {
        bm_torch_engine_destroy(session->engine);
        bm_kit_session_deinit(&session->core);
        free(session);
    }
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    uint64_t bytes = 0;
    *session = NULL;
    struct bm_session *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a session");
    }
    int32_t status = open_core(device, problem, &made->core, &bytes, error);
    if (status == BM_STATUS_OK) {
        status = check_memory(bytes, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_torch_engine_create(made, error);
    }
    if (status != BM_STATUS_OK) {
        destroy(made);
        return status;
    }
    *session = made;
    return BM_STATUS_OK;
}

static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof(struct bm_plugin),
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .name = "torch",
    .version = "0.1.0",
    .summary = "libtorch as its users write it: modules, autograd, torch::optim",
    .device_count = device_count,
    .device_info = bm_kit_cpu_info,
    .supports = supports,
    .create = create,
    .destroy = destroy,
    .bind_data = bm_torch_bind_data,
    .set_order = bm_torch_set_order,
    .write_params = bm_torch_write_params,
    .read_params = bm_torch_read_params,
    .read_gradient = bm_torch_read_gradient,
    .write_gradient = bm_torch_write_gradient,
    .read_state = bm_torch_read_state,
    .write_state = bm_torch_write_state,
    .gradient = bm_torch_gradient_call,
    .apply = bm_torch_apply_call,
    /* No update: torch has no step fused with the gradient. */
    .evaluate = bm_torch_evaluate_call,
    .wait = bm_torch_wait,
    .describe = bm_torch_describe,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : NULL;
}
