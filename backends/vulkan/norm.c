/* Batch norm: sums of blocks of rows, facts of channels, rows (shaders/norm.glsl). */
#include "session.h"

#define INVOCATIONS 64u

/* Blocks of a matrix are so many that a device is busy with them, and few enough to be added up;
 * and a block has so many rows that its mean is worth something. */
#define BLOCKS_MAX BM_VULKAN_NORM_BLOCK_MAX
#define BLOCK_ROWS_MIN 32u

static uint32_t block_rows_of(uint64_t rows) {
    uint64_t least = (rows + BLOCKS_MAX - 1) / BLOCKS_MAX;
    return least > BLOCK_ROWS_MIN ? (uint32_t)least : BLOCK_ROWS_MIN;
}

static uint64_t rows_of(const struct bm_vulkan_recorder *recorder,
                        const struct bm_vulkan_stage *stage) {
    return recorder->mode.count * stage->out.positions;
}

static uint32_t uses_running(const struct bm_vulkan_recorder *recorder) {
    return recorder->mode.kind == BM_VULKAN_EVALUATE ||
           (recorder->mode.flags & BM_SLICE_USE_RUNNING) != 0;
}

static struct bm_vulkan_kernel kernel_of(const struct bm_vulkan_recorder *recorder,
                                         const struct bm_vulkan_stage *stage,
                                         uint32_t shader,
                                         uint32_t is_backward) {
    return (struct bm_vulkan_kernel){.shader = shader,
                                     .constants = {
                                         [0] = INVOCATIONS,
                                         [1] = is_backward,
                                         [2] = stage->out.vectors,
                                         [3] = uses_running(recorder),
                                     }};
}

static void sum_blocks(struct bm_vulkan_recorder *recorder,
                       const struct bm_vulkan_stage *stage,
                       uint32_t is_backward) {
    const struct bm_vulkan_kernel kernel =
        kernel_of(recorder, stage, BM_VULKAN_NORM_SUMS, is_backward);
    uint64_t rows = rows_of(recorder, stage);
    uint32_t block_rows = block_rows_of(rows);

    const struct {
        VkDeviceAddress x;
        VkDeviceAddress dy;
        VkDeviceAddress facts;
        VkDeviceAddress partial;
        uint32_t rows;
        uint32_t block_rows;
    } push = {stage->input->address,
              stage->delta != NULL ? stage->delta->address : 0,
              stage->channel_facts->address,
              recorder->session->norm_partial->address,
              (uint32_t)rows,
              block_rows};

    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push,
                       (rows + block_rows - 1) / block_rows * stage->out.vectors);
}

static VkDeviceAddress statistics_at(const struct bm_session *session, uint64_t offset) {
    return session->statistics->address + offset * sizeof(float);
}

static void find_facts(struct bm_vulkan_recorder *recorder,
                       const struct bm_vulkan_stage *stage,
                       uint32_t is_backward) {
    struct bm_session *session = recorder->session;
    struct bm_vulkan_kernel kernel =
        kernel_of(recorder, stage, BM_VULKAN_NORM_CHANNELS, is_backward);
    uint64_t rows = rows_of(recorder, stage);

    const struct {
        VkDeviceAddress facts;
        VkDeviceAddress partial;
        VkDeviceAddress running_mean;
        VkDeviceAddress running_variance;
        struct bm_vulkan_sink sink;
        uint32_t rows;
        uint32_t block_rows;
    } push = {stage->channel_facts->address,
              session->norm_partial->address,
              statistics_at(session, stage->facts.mean_offset),
              statistics_at(session, stage->facts.variance_offset),
              bm_vulkan_sink_of(session, stage),
              (uint32_t)rows,
              block_rows_of(rows)};

    kernel.constants[4] = stage->out.channels;
    kernel.constants[5] = (recorder->mode.flags & BM_SLICE_KEEP_STATISTICS) != 0;
    bm_vulkan_set_sink(recorder, &kernel, 6);
    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push,
                       (uint64_t)stage->out.vectors * INVOCATIONS);
}

static void make_rows(struct bm_vulkan_recorder *recorder,
                      const struct bm_vulkan_stage *stage,
                      uint32_t is_backward) {
    struct bm_session *session = recorder->session;
    struct bm_vulkan_kernel kernel = kernel_of(recorder, stage, BM_VULKAN_NORM_ROWS, is_backward);
    uint64_t rows = rows_of(recorder, stage);

    const struct {
        VkDeviceAddress x;
        VkDeviceAddress y;
        VkDeviceAddress dx;
        VkDeviceAddress facts;
        VkDeviceAddress weights;
        uint32_t rows;
    } push = {stage->input->address,
              is_backward ? stage->delta->address : stage->output->address,
              is_backward ? stage[-1].delta->address : 0,
              stage->channel_facts->address,
              bm_vulkan_sink_of(session, stage).weights,
              (uint32_t)rows};

    kernel.constants[4] = !is_backward && stage->relu;
    kernel.constants[5] = is_backward && stage[-1].relu;
    bm_vulkan_dispatch(recorder, &kernel, &push, sizeof push, rows * stage->out.vectors);
}

void bm_vulkan_norm_forward(struct bm_vulkan_recorder *recorder,
                            const struct bm_vulkan_stage *stage) {
    if (!uses_running(recorder)) {
        sum_blocks(recorder, stage, 0);
        bm_vulkan_pass_barrier(recorder);
    }
    find_facts(recorder, stage, 0);
    bm_vulkan_pass_barrier(recorder);
    make_rows(recorder, stage, 0);
}

void bm_vulkan_norm_backward(struct bm_vulkan_recorder *recorder,
                             const struct bm_vulkan_stage *stage,
                             uint32_t wants_input_gradient) {
    sum_blocks(recorder, stage, 1);
    bm_vulkan_pass_barrier(recorder);
    find_facts(recorder, stage, 1);
    if (wants_input_gradient) {
        bm_vulkan_pass_barrier(recorder);
        make_rows(recorder, stage, 1);
    }
}
