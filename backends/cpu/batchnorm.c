/*
 * Batch norm per channel. x, y: [rows][ld], a row being one position of one image; n = rows;
 * normal = (x - mean) inverse with inverse = 1 / sqrt(variance + epsilon).
 *
 * Statistics are made of blocks of rows, each with its own mean, so that the rows come from far
 * away once: sum (x - mean)^2 = sum over blocks of (M2 + n (block mean - mean)^2), Chan, Golub and
 * LeVeque 1983, equation 2.1. Blocks are added in their order, in double. A thread has columns, or,
 * where these are few, blocks; either way the bits are the same.
 */
#include "cpu.h"

#include <math.h>

#define GROUP UINT64_C(8) /* vectors of columns side by side */

/* A piece of the matrix: rows and columns, these in floats and whole vectors. */
struct area {
    uint64_t row_begin;
    uint64_t row_end;
    uint64_t begin;
    uint64_t end;
};

static uint64_t rows_of(const struct bm_cpu_work *work) {
    return work->session->pass.count * work->stage->out.positions;
}

static uint64_t blocks_of(uint64_t rows) {
    return (rows + BM_CPU_NORM_ROWS - 1) / BM_CPU_NORM_ROWS;
}

static int32_t uses_running(const struct bm_cpu_pass *pass) {
    return !pass->training || (pass->flags & BM_SLICE_USE_RUNNING) != 0;
}

/* Two sums of each block and column. */
static float *partial_of(const struct bm_cpu_work *work, uint64_t block, uint64_t which) {
    return work->session->norm_partial + (2 * block + which) * work->stage->out.ld;
}

static void block_area(uint64_t rows, uint64_t block, struct area *area) {
    area->row_begin = block * BM_CPU_NORM_ROWS;
    area->row_end =
        rows - area->row_begin < BM_CPU_NORM_ROWS ? rows : area->row_begin + BM_CPU_NORM_ROWS;
}

/* ---- Statistics ---- */

/* Mean and sum of squared distances from it, of some rows. */
BM_INLINE void block_moments(const uint64_t vectors,
                             const float *x,
                             uint64_t ld,
                             uint64_t rows,
                             float *means,
                             float *squares) {
    const bm_vector share = bm_spread(1 / (float)rows);
    bm_vector sum[GROUP];
    bm_vector mean[GROUP];
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        sum[v] = bm_nothing();
    }
    for (uint64_t row = 0; row < rows; row++) {
        BM_UNROLL
        for (uint64_t v = 0; v < vectors; v++) {
            sum[v] = bm_add(sum[v], bm_load(x + row * ld + v * BM_CPU_WIDTH));
        }
    }
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        mean[v] = bm_multiply(sum[v], share);
        bm_store(means + v * BM_CPU_WIDTH, mean[v]);
        sum[v] = bm_nothing();
    }
    for (uint64_t row = 0; row < rows; row++) {
        BM_UNROLL
        for (uint64_t v = 0; v < vectors; v++) {
            bm_vector distance = bm_subtract(bm_load(x + row * ld + v * BM_CPU_WIDTH), mean[v]);
            sum[v] = bm_multiply_add(distance, distance, sum[v]);
        }
    }
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        bm_store(squares + v * BM_CPU_WIDTH, sum[v]);
    }
}

static void moments(const struct bm_cpu_work *work, uint64_t block, uint64_t begin, uint64_t end) {
    uint64_t ld = work->stage->in.ld;
    struct area area;
    block_area(rows_of(work), block, &area);
    const float *x = work->x + area.row_begin * ld;
    uint64_t rows = area.row_end - area.row_begin;
    float *means = partial_of(work, block, 0);
    float *squares = partial_of(work, block, 1);
    uint64_t c = begin;
    for (; c + GROUP * BM_CPU_WIDTH <= end; c += GROUP * BM_CPU_WIDTH) {
        block_moments(GROUP, x + c, ld, rows, means + c, squares + c);
    }
    for (; c + GROUP / 2 * BM_CPU_WIDTH <= end; c += GROUP / 2 * BM_CPU_WIDTH) {
        block_moments(GROUP / 2, x + c, ld, rows, means + c, squares + c);
    }
    for (; c < end; c += BM_CPU_WIDTH) {
        block_moments(1, x + c, ld, rows, means + c, squares + c);
    }
}

/* running = decay running + (1 - decay) batch, the variance unbiased; a single value has none. */
static void update_running(const struct bm_cpu_work *work, uint64_t c, float mean, float variance) {
    const struct bm_kit_layer *facts = &work->stage->facts;
    float *running_mean = work->session->statistics + facts->mean_offset + c;
    float *running_variance = work->session->statistics + facts->variance_offset + c;
    const float decay = (float)BM_BATCHNORM_DECAY;
    const float rest = (float)(1 - BM_BATCHNORM_DECAY);
    double n = (double)rows_of(work);
    *running_mean = decay * *running_mean + rest * mean;
    if (n > 1) {
        float unbiased = variance * (float)(n / (n - 1));
        *running_variance = decay * *running_variance + rest * unbiased;
    }
}

static void add_block_means(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    double *sums = work->stage->sums;
    for (uint64_t c = begin; c < end; c++) {
        sums[c] = 0;
    }
    for (uint64_t block = 0; block < blocks_of(rows_of(work)); block++) {
        const float *means = partial_of(work, block, 0);
        struct area area;
        block_area(rows_of(work), block, &area);
        double n = (double)(area.row_end - area.row_begin);
        for (uint64_t c = begin; c < end; c++) {
            sums[c] += n * (double)means[c];
        }
    }
}

static void add_block_squares(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    double *squares = work->stage->sums + work->stage->out.ld;
    const double *sums = work->stage->sums;
    double share = 1 / (double)rows_of(work);
    for (uint64_t c = begin; c < end; c++) {
        squares[c] = 0;
    }
    for (uint64_t block = 0; block < blocks_of(rows_of(work)); block++) {
        const float *means = partial_of(work, block, 0);
        const float *own = partial_of(work, block, 1);
        struct area area;
        block_area(rows_of(work), block, &area);
        double n = (double)(area.row_end - area.row_begin);
        for (uint64_t c = begin; c < end; c++) {
            double distance = (double)means[c] - sums[c] * share;
            squares[c] += (double)own[c] + n * distance * distance;
        }
    }
}

static void batch_statistics(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    const struct bm_cpu_stage *stage = work->stage;
    double rows = (double)rows_of(work);
    int32_t keeps = (work->session->pass.flags & BM_SLICE_KEEP_STATISTICS) != 0;
    add_block_means(work, begin, end);
    add_block_squares(work, begin, end);
    for (uint64_t c = begin; c < end; c++) {
        float variance = (float)(stage->sums[stage->out.ld + c] / rows);
        stage->mean[c] = (float)(stage->sums[c] / rows);
        if (!keeps && c < stage->out.channels) {
            update_running(work, c, stage->mean[c], variance);
        }
        stage->inverse[c] = 1 / sqrtf(variance + (float)BM_BATCHNORM_EPSILON);
    }
}

static void running_statistics(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *mean = work->session->statistics + stage->facts.mean_offset;
    const float *variance = work->session->statistics + stage->facts.variance_offset;
    for (uint64_t c = begin; c < end; c++) {
        int32_t used = c < stage->out.channels;
        stage->mean[c] = used ? mean[c] : 0;
        stage->inverse[c] = 1 / sqrtf((used ? variance[c] : 0) + (float)BM_BATCHNORM_EPSILON);
    }
}

/* ---- Forward ---- */

BM_INLINE bm_vector normal_of(const struct bm_cpu_work *work, uint64_t at, uint64_t column) {
    bm_vector distance = bm_subtract(bm_load(work->x + at), bm_load(work->stage->mean + column));
    return bm_multiply(distance, bm_load(work->stage->inverse + column));
}

/* y = gain normal + shift */
BM_INLINE void
normalize_rows(const struct bm_cpu_work *work, const struct area *area, const int32_t has_relu) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *gain = work->session->params + stage->weight;
    const float *shift = work->session->params + stage->bias;
    for (uint64_t row = area->row_begin; row < area->row_end; row++) {
        for (uint64_t c = area->begin; c < area->end; c += BM_CPU_WIDTH) {
            uint64_t at = row * stage->out.ld + c;
            bm_vector y =
                bm_add(bm_multiply(bm_load(gain + c), normal_of(work, at, c)), bm_load(shift + c));
            bm_store(work->y + at, has_relu ? bm_maximum(y, bm_nothing()) : y);
        }
    }
}

static void normalize(const struct bm_cpu_work *work, const struct area *area) {
    if (work->stage->relu) {
        normalize_rows(work, area, 1);
    } else {
        normalize_rows(work, area, 0);
    }
}

/* ---- Backward ---- */

/* Sums of dy and of dy normal, of some rows. */
BM_INLINE void block_products(const uint64_t vectors,
                              const struct bm_cpu_work *work,
                              const struct area *area,
                              uint64_t column,
                              float *sums,
                              float *products) {
    bm_vector sum[GROUP];
    bm_vector product[GROUP];
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        sum[v] = bm_nothing();
        product[v] = bm_nothing();
    }
    for (uint64_t row = area->row_begin; row < area->row_end; row++) {
        BM_UNROLL
        for (uint64_t v = 0; v < vectors; v++) {
            uint64_t c = column + v * BM_CPU_WIDTH;
            uint64_t at = row * work->stage->out.ld + c;
            bm_vector dy = bm_load(work->dy + at);
            sum[v] = bm_add(sum[v], dy);
            product[v] = bm_multiply_add(dy, normal_of(work, at, c), product[v]);
        }
    }
    BM_UNROLL
    for (uint64_t v = 0; v < vectors; v++) {
        bm_store(sums + column + v * BM_CPU_WIDTH, sum[v]);
        bm_store(products + column + v * BM_CPU_WIDTH, product[v]);
    }
}

static void products(const struct bm_cpu_work *work, uint64_t block, uint64_t begin, uint64_t end) {
    struct area area;
    float *sums = partial_of(work, block, 0);
    float *others = partial_of(work, block, 1);
    uint64_t c = begin;
    block_area(rows_of(work), block, &area);
    for (; c + GROUP / 2 * BM_CPU_WIDTH <= end; c += GROUP / 2 * BM_CPU_WIDTH) {
        block_products(GROUP / 2, work, &area, c, sums, others);
    }
    for (; c < end; c += BM_CPU_WIDTH) {
        block_products(1, work, &area, c, sums, others);
    }
}

/* stage->sums = { sum dy, sum dy normal } */
static void add_products(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    uint64_t ld = work->stage->out.ld;
    double *sums = work->stage->sums;
    for (uint64_t c = begin; c < end; c++) {
        sums[c] = 0;
        sums[ld + c] = 0;
    }
    for (uint64_t block = 0; block < blocks_of(rows_of(work)); block++) {
        const float *own = partial_of(work, block, 0);
        const float *others = partial_of(work, block, 1);
        for (uint64_t c = begin; c < end; c++) {
            sums[c] += (double)own[c];
            sums[ld + c] += (double)others[c];
        }
    }
}

/* With the batch's statistics dx = gain inverse (dy - sum dy / n - normal sum(dy normal) / n), with
 * constant ones dx = gain inverse dy; a single value is a constant too, and gets no gradient. */
static void gradient_factors(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *gain = work->session->params + stage->weight;
    uint64_t ld = stage->out.ld;
    double share = uses_running(&work->session->pass) ? 0 : 1 / (double)rows_of(work);
    for (uint64_t c = begin; c < end; c++) {
        stage->factors[c] = gain[c] * stage->inverse[c];
        stage->factors[ld + c] = (float)(stage->sums[c] * share);
        stage->factors[2 * ld + c] = (float)(stage->sums[ld + c] * share);
    }
}

BM_INLINE void
gradient_rows(const struct bm_cpu_work *work, const struct area *area, const int32_t is_masked) {
    const float *factor = work->stage->factors;
    const float *mean = factor + work->stage->out.ld;
    const float *slope = mean + work->stage->out.ld;
    for (uint64_t row = area->row_begin; row < area->row_end; row++) {
        for (uint64_t c = area->begin; c < area->end; c += BM_CPU_WIDTH) {
            uint64_t at = row * work->stage->out.ld + c;
            bm_vector dy = bm_subtract(bm_load(work->dy + at), bm_load(mean + c));
            bm_vector pull = bm_multiply(normal_of(work, at, c), bm_load(slope + c));
            bm_vector dx = bm_multiply(bm_load(factor + c), bm_subtract(dy, pull));
            bm_store(work->dx + at,
                     is_masked ? bm_where_positive(bm_load(work->mask + at), dx) : dx);
        }
    }
}

static void input_gradient(const struct bm_cpu_work *work, const struct area *area) {
    if (work->mask != NULL) {
        gradient_rows(work, area, 1);
    } else {
        gradient_rows(work, area, 0);
    }
}

static void sink_sums(const struct bm_cpu_work *work,
                      const double *sums,
                      uint64_t offset,
                      uint64_t begin,
                      uint64_t end) {
    for (uint64_t c = begin; c < end; c += GROUP * BM_CPU_WIDTH) {
        float values[GROUP * BM_CPU_WIDTH] __attribute__((aligned(64)));
        uint64_t count = end - c < GROUP * BM_CPU_WIDTH ? end - c : GROUP * BM_CPU_WIDTH;
        for (uint64_t i = 0; i < count; i++) {
            values[i] = (float)sums[c + i];
        }
        bm_cpu_sink(work->session, work->session->pass.adds, work->session->pass.steps, offset + c,
                    values, count);
    }
}

/* dshift = sum dy, dgain = sum dy normal; the sink may change the gain, so its readers go first. */
static void sink_gradients(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    sink_sums(work, work->stage->sums + work->stage->out.ld, work->stage->weight, begin, end);
    sink_sums(work, work->stage->sums, work->stage->bias, begin, end);
}

/* ---- Sharing out ---- */

/* A thread's columns. */
static void columns_of(const struct bm_cpu_work *work,
                       uint32_t thread,
                       uint32_t thread_count,
                       uint64_t *begin,
                       uint64_t *end) {
    bm_kit_split(bm_padded(work->stage->out.channels), BM_CPU_WIDTH, thread, thread_count, begin,
                 end);
}

/* A thread's blocks. */
static void blocks_of_thread(const struct bm_cpu_work *work,
                             uint32_t thread,
                             uint32_t thread_count,
                             uint64_t *begin,
                             uint64_t *end) {
    bm_kit_split(blocks_of(rows_of(work)), 1, thread, thread_count, begin, end);
}

/* All columns of some blocks. */
static struct area blocks_area(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    uint64_t rows = rows_of(work);
    return (struct area){.row_begin = begin * BM_CPU_NORM_ROWS,
                         .row_end = end * BM_CPU_NORM_ROWS < rows ? end * BM_CPU_NORM_ROWS : rows,
                         .end = bm_padded(work->stage->out.channels)};
}

static struct area
area_of_thread(const struct bm_cpu_work *work, uint32_t thread, uint32_t thread_count) {
    uint64_t begin = 0;
    uint64_t end = 0;
    blocks_of_thread(work, thread, thread_count, &begin, &end);
    return blocks_area(work, begin, end);
}

/* A thread's columns of a matrix that stay in its second cache. */
#define NEAR_BYTES (UINT64_C(2) << 20)

/* A thread has the columns that it makes and reads in the dense layers around, where a row of them
 * is some lines long and they stay near; otherwise it has blocks, which come from far away row by
 * row. */
static int32_t by_columns(const struct bm_cpu_work *work) {
    uint64_t vectors = work->stage->out.ld / BM_CPU_WIDTH;
    uint64_t thread_count = work->session->core.thread_count;
    uint64_t bytes = rows_of(work) * work->stage->out.ld * sizeof(float);
    return (vectors >= GROUP * thread_count && bytes <= NEAR_BYTES * thread_count) ||
           blocks_of(rows_of(work)) < 4 * thread_count;
}

static void forward_columns(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    struct area area = {.row_end = rows_of(work)};
    columns_of(work, thread, thread_count, &area.begin, &area.end);
    if (uses_running(&work->session->pass)) {
        running_statistics(work, area.begin, area.end);
    } else {
        for (uint64_t block = 0; block < blocks_of(rows_of(work)); block++) {
            moments(work, block, area.begin, area.end);
        }
        batch_statistics(work, area.begin, area.end);
    }
    normalize(work, &area);
}

static void moments_by_blocks(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    blocks_of_thread(work, thread, thread_count, &begin, &end);
    for (uint64_t block = begin; block < end; block++) {
        moments(work, block, 0, bm_padded(work->stage->out.channels));
    }
}

static void statistics_by_columns(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    columns_of(work, thread, thread_count, &begin, &end);
    if (uses_running(&work->session->pass)) {
        running_statistics(work, begin, end);
    } else {
        batch_statistics(work, begin, end);
    }
}

static void normalize_by_blocks(void *context, uint32_t thread, uint32_t thread_count) {
    const struct area area = area_of_thread(context, thread, thread_count);
    normalize(context, &area);
}

void bm_cpu_batchnorm_forward(struct bm_cpu_work *work) {
    struct bm_kit_pool *pool = work->session->pool;
    if (by_columns(work)) {
        bm_kit_pool_run(pool, forward_columns, work);
        return;
    }
    if (!uses_running(&work->session->pass) && !work->has_sums) {
        bm_kit_pool_run(pool, moments_by_blocks, work);
    }
    bm_kit_pool_run(pool, statistics_by_columns, work);
    if (!work->leaves_rows) {
        bm_kit_pool_run(pool, normalize_by_blocks, work);
    }
}

static void backward_columns(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    struct area area = {.row_end = rows_of(work)};
    columns_of(work, thread, thread_count, &area.begin, &area.end);
    for (uint64_t block = 0; block < blocks_of(rows_of(work)); block++) {
        products(work, block, area.begin, area.end);
    }
    add_products(work, area.begin, area.end);
    if (work->dx != NULL) {
        gradient_factors(work, area.begin, area.end);
        input_gradient(work, &area);
    }
    sink_gradients(work, area.begin, area.end);
}

static void products_by_blocks(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    blocks_of_thread(work, thread, thread_count, &begin, &end);
    for (uint64_t block = begin; block < end; block++) {
        products(work, block, 0, bm_padded(work->stage->out.channels));
    }
}

static void factors_by_columns(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    uint64_t begin = 0;
    uint64_t end = 0;
    columns_of(work, thread, thread_count, &begin, &end);
    add_products(work, begin, end);
    gradient_factors(work, begin, end);
    sink_gradients(work, begin, end);
}

static void gradient_by_blocks(void *context, uint32_t thread, uint32_t thread_count) {
    const struct area area = area_of_thread(context, thread, thread_count);
    input_gradient(context, &area);
}

void bm_cpu_batchnorm_backward(struct bm_cpu_work *work) {
    struct bm_kit_pool *pool = work->session->pool;
    if (by_columns(work)) {
        bm_kit_pool_run(pool, backward_columns, work);
        return;
    }
    if (!work->has_sums) {
        bm_kit_pool_run(pool, products_by_blocks, work);
    }
    bm_kit_pool_run(pool, factors_by_columns, work);
    if (work->dx != NULL && !work->leaves_rows) {
        bm_kit_pool_run(pool, gradient_by_blocks, work);
    }
}

/* ---- Woven into the dense layers around ---- */

/* Blocks of a thread from which on one more or less does not matter. */
#define WOVEN_BLOCKS UINT64_C(32)

int32_t bm_cpu_batchnorm_is_woven(struct bm_session *session, const struct bm_cpu_stage *stage) {
    const struct bm_cpu_work work = {.session = session, .stage = stage};
    return stage->out.positions == 1 && !uses_running(&session->pass) && !by_columns(&work) &&
           blocks_of(rows_of(&work)) >= WOVEN_BLOCKS * session->core.thread_count;
}

void bm_cpu_batchnorm_sum_block(const struct bm_cpu_work *work, uint64_t block) {
    uint64_t end = bm_padded(work->stage->out.channels);
    if (work->dy == NULL) {
        moments(work, block, 0, end);
    } else {
        products(work, block, 0, end);
    }
}

void bm_cpu_batchnorm_make_block(const struct bm_cpu_work *work, uint64_t block) {
    const struct area area = blocks_area(work, block, block + 1);
    if (work->dy == NULL) {
        normalize(work, &area);
    } else {
        input_gradient(work, &area);
    }
}
