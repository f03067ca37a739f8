/* The plugin's table, and what answers before the processor has been looked at: compiled for the
 * baseline, once for each plugin of this folder. */
#include "calls.h"

#include <stddef.h>

/* What this processor or system lacks to run this plugin; NULL: nothing.
 * __builtin_cpu_supports looks at the system's state too (XCR0). */
static const char *missing(void) {
    __builtin_cpu_init();
#if defined(BM_CPU_NEEDS_NOBODY)
    return "an instruction set that no processor has";
#elif BM_CPU_AVX512
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma")
               ? NULL
               : "AVX-512 F, VL and DQ";
#else
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "AVX2 and FMA";
#endif
}

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    const char *what = missing();
    *count = what == NULL;
    if (what != NULL) {
        (void)bm_kit_fail(error, BM_STATUS_OK, "not available: this processor has not got %s",
                          what);
    }
    return BM_STATUS_OK;
}

static int32_t check_device(uint32_t device, struct bm_error *error) {
    const char *what = missing();
    if (what != NULL) {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED, "expected a processor with %s", what);
    }
    return bm_kit_cpu_check(device, error);
}

static int32_t supports(uint32_t device,
                        const struct bm_problem *problem,
                        uint64_t *bytes,
                        struct bm_error *error) {
    int32_t status = check_device(device, error);
    return status == BM_STATUS_OK ? bm_cpu_supports(problem, bytes, error) : status;
}

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    *session = NULL;
    int32_t status = check_device(device, error);
    return status == BM_STATUS_OK ? bm_cpu_create(problem, session, error) : status;
}

static const struct bm_plugin plugin = {
    .magic = BM_PLUGIN_MAGIC,
    .size = sizeof(struct bm_plugin),
    .abi_major = BM_ABI_MAJOR,
    .abi_minor = BM_ABI_MINOR,
    .name = BM_CPU_NAME,
    .version = "0.1.0",
    .summary =
        "vector kernels for every layer, weights in panels, optimizer fused into the gradient",
    .device_count = device_count,
    .device_info = bm_kit_cpu_info,
    .supports = supports,
    .create = create,
    .destroy = bm_cpu_destroy,
    .bind_data = bm_cpu_bind_data,
    .set_order = bm_cpu_set_order,
    .write_params = bm_cpu_write_params,
    .read_params = bm_cpu_read_params,
    .read_gradient = bm_cpu_read_gradient,
    .write_gradient = bm_cpu_write_gradient,
    .read_state = bm_cpu_read_state,
    .write_state = bm_cpu_write_state,
    .gradient = bm_cpu_gradient,
    .apply = bm_cpu_apply_call,
    .update = bm_cpu_update,
    .updates = bm_cpu_updates,
    .evaluate = bm_cpu_evaluate,
    .wait = bm_cpu_wait,
    .describe = bm_cpu_describe,
};

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    return bm_kit_negotiate(host_major, host_minor, error) == BM_STATUS_OK ? &plugin : NULL;
}
