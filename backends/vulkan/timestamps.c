/* Time on the device's clock. */
#include "calls.h"

#define STAMPS_EACH 2u
#define GRADIENT 0u
#define APPLY 1u

int32_t bm_vulkan_open_timestamps(struct bm_session *session, struct bm_error *error) {
    const VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                        .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                        .queryCount = 2 * STAMPS_EACH};
    if (session->device.facts.timestamp_bits == 0) {
        return BM_STATUS_OK;
    }
    VkResult result = session->device.instance.vk.CreateQueryPool(session->device.handle, &info,
                                                                  NULL, &session->timestamps);
    return result == VK_SUCCESS ? BM_STATUS_OK : bm_vulkan_fail(error, result, "vkCreateQueryPool");
}

void bm_vulkan_close_timestamps(struct bm_session *session) {
    if (session->timestamps != VK_NULL_HANDLE) {
        session->device.instance.vk.DestroyQueryPool(session->device.handle, session->timestamps,
                                                     NULL);
    }
}

static int32_t is_timed(const struct bm_session *session, uint32_t kind) {
    return session->timestamps != VK_NULL_HANDLE && kind != BM_VULKAN_EVALUATE;
}

static uint32_t first_stamp(uint32_t kind) {
    return STAMPS_EACH * (kind == BM_VULKAN_APPLY ? APPLY : GRADIENT);
}

void bm_vulkan_begin_time(const struct bm_session *session,
                          VkCommandBuffer commands,
                          uint32_t kind) {
    const struct bm_vulkan_calls *vk = &session->device.instance.vk;
    if (is_timed(session, kind)) {
        vk->CmdResetQueryPool(commands, session->timestamps, first_stamp(kind), STAMPS_EACH);
        vk->CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, session->timestamps,
                              first_stamp(kind));
    }
}

void bm_vulkan_end_time(const struct bm_session *session, VkCommandBuffer commands, uint32_t kind) {
    if (is_timed(session, kind)) {
        session->device.instance.vk.CmdWriteTimestamp(commands,
                                                      VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                                      session->timestamps, first_stamp(kind) + 1);
    }
}

/* Counters have timestamp_bits bits and wrap around. */
int32_t bm_vulkan_read_stamps(struct bm_session *session,
                              VkQueryPool pool,
                              uint32_t first,
                              double *ns,
                              struct bm_error *error) {
    const struct bm_vulkan_facts *facts = &session->device.facts;
    uint64_t stamps[STAMPS_EACH];
    VkResult result = session->device.instance.vk.GetQueryPoolResults(
        session->device.handle, pool, first, STAMPS_EACH, sizeof stamps, stamps, sizeof stamps[0],
        VK_QUERY_RESULT_64_BIT);
    if (result != VK_SUCCESS) {
        return bm_vulkan_fail(error, result, "vkGetQueryPoolResults");
    }
    uint64_t mask =
        facts->timestamp_bits < 64 ? (UINT64_C(1) << facts->timestamp_bits) - 1 : UINT64_MAX;
    *ns = (double)((stamps[1] - stamps[0]) & mask) * (double)facts->timestamp_ns;
    return BM_STATUS_OK;
}

static int32_t
read_span(struct bm_session *session, uint32_t which, double *ns, struct bm_error *error) {
    *ns = -1;
    if (session->timestamps == VK_NULL_HANDLE || (session->timed >> which & 1) == 0) {
        return BM_STATUS_OK;
    }
    return bm_vulkan_read_stamps(session, session->timestamps, STAMPS_EACH * which, ns, error);
}

int32_t bm_vulkan_device_time(struct bm_session *session,
                              struct bm_device_time *time,
                              struct bm_error *error) {
    int32_t status = bm_kit_struct(time, sizeof *time, "time", error);
    if (status == BM_STATUS_OK) {
        status = bm_vulkan_wait_all(&session->queue, error);
    }
    if (status == BM_STATUS_OK) {
        status = read_span(session, GRADIENT, &time->gradient_ns, error);
    }
    if (status == BM_STATUS_OK) {
        status = read_span(session, APPLY, &time->apply_ns, error);
    }
    return status;
}
