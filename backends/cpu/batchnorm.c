/*
 * Batch norm per channel. x, y: [rows][ld], a row being one position of one image; n = rows;
 * normal = (x - mean) inverse with inverse = 1 / sqrt(variance + epsilon). A thread owns channels,
 * in the statistics as in the elements.
 */
#include "cpu.h"

#include <math.h>

#define SUM_ROWS 128u     /* added in float32 before they go into a double */
#define GROUP UINT64_C(8) /* vectors of columns side by side */

#define INLINE static inline __attribute__((always_inline))

/* What is summed over the rows. */
struct operands {
    const float *x;
    const float *dy;
    const float *mean;
    const float *inverse;
};

typedef bm_vector term(const struct operands *operands, uint64_t row, uint64_t column);

INLINE bm_vector plain(const struct operands *of, uint64_t row, uint64_t column) {
    return bm_load(of->x + row + column);
}

INLINE bm_vector square(const struct operands *of, uint64_t row, uint64_t column) {
    bm_vector distance = bm_subtract(bm_load(of->x + row + column), bm_load(of->mean + column));
    return bm_multiply(distance, distance);
}

INLINE bm_vector normal_of(const struct operands *of, uint64_t row, uint64_t column) {
    bm_vector distance = bm_subtract(bm_load(of->x + row + column), bm_load(of->mean + column));
    return bm_multiply(distance, bm_load(of->inverse + column));
}

INLINE bm_vector product(const struct operands *of, uint64_t row, uint64_t column) {
    return bm_multiply(bm_load(of->dy + row + column), normal_of(of, row, column));
}

/* sums[column ...] += rows first .. last, for `vectors` vectors of columns */
INLINE void sum_block(term *value,
                      const uint64_t vectors,
                      const struct operands *operands,
                      uint64_t ld,
                      uint64_t first,
                      uint64_t last,
                      uint64_t column,
                      double *sums) {
    bm_vector sum[GROUP];
    _Pragma("GCC unroll 8") for (uint64_t v = 0; v < vectors; v++) {
        sum[v] = bm_nothing();
    }
    for (uint64_t row = first; row < last; row++) {
        _Pragma("GCC unroll 8") for (uint64_t v = 0; v < vectors; v++) {
            sum[v] = bm_add(sum[v], value(operands, row * ld, column + v * BM_CPU_WIDTH));
        }
    }
    _Pragma("GCC unroll 8") for (uint64_t v = 0; v < vectors; v++) {
        bm_add_to_doubles(sums + column + v * BM_CPU_WIDTH, sum[v]);
    }
}

INLINE void sum_rows(term *value,
                     const struct operands *operands,
                     uint64_t ld,
                     uint64_t rows,
                     uint64_t begin,
                     uint64_t end,
                     double *sums) {
    for (uint64_t c = begin; c < end; c++) {
        sums[c] = 0;
    }
    for (uint64_t first = 0; first < rows; first += SUM_ROWS) {
        uint64_t last = rows - first < SUM_ROWS ? rows : first + SUM_ROWS;
        uint64_t c = begin;
        for (; c + GROUP * BM_CPU_WIDTH <= end; c += GROUP * BM_CPU_WIDTH) {
            sum_block(value, GROUP, operands, ld, first, last, c, sums);
        }
        for (; c < end; c += BM_CPU_WIDTH) {
            sum_block(value, 1, operands, ld, first, last, c, sums);
        }
    }
}

void bm_cpu_sum_rows(
    const float *x, uint64_t ld, uint64_t rows, uint64_t begin, uint64_t end, double *sums) {
    const struct operands operands = {.x = x};
    sum_rows(plain, &operands, ld, rows, begin, end, sums);
}

static uint64_t rows_of(const struct bm_cpu_work *work) {
    return work->session->pass.count * work->stage->out.positions;
}

static int32_t uses_running(const struct bm_cpu_pass *pass) {
    return !pass->training || (pass->flags & BM_SLICE_USE_RUNNING) != 0;
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

static void batch_statistics(const struct bm_cpu_work *work, uint64_t begin, uint64_t end) {
    const struct bm_cpu_stage *stage = work->stage;
    const struct operands operands = {.x = work->x, .mean = stage->mean};
    uint64_t rows = rows_of(work);
    int32_t keeps = (work->session->pass.flags & BM_SLICE_KEEP_STATISTICS) != 0;
    sum_rows(plain, &operands, stage->in.ld, rows, begin, end, stage->sums);
    for (uint64_t c = begin; c < end; c++) {
        stage->mean[c] = (float)(stage->sums[c] / (double)rows);
    }
    sum_rows(square, &operands, stage->in.ld, rows, begin, end, stage->sums);
    for (uint64_t c = begin; c < end; c++) {
        float variance = (float)(stage->sums[c] / (double)rows);
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

/* y = gain normal + shift */
static void forward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    const float *gain = work->session->params + stage->weight;
    const float *shift = work->session->params + stage->bias;
    const struct operands operands = {.x = work->x, .mean = stage->mean, .inverse = stage->inverse};
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_padded(stage->out.channels), BM_CPU_WIDTH, thread, thread_count, &begin, &end);
    if (uses_running(&work->session->pass)) {
        running_statistics(work, begin, end);
    } else {
        batch_statistics(work, begin, end);
    }
    for (uint64_t row = 0; row < rows_of(work) * stage->out.ld; row += stage->out.ld) {
        for (uint64_t c = begin; c < end; c += BM_CPU_WIDTH) {
            bm_vector y = bm_add(bm_multiply(bm_load(gain + c), normal_of(&operands, row, c)),
                                 bm_load(shift + c));
            bm_store(work->y + row + c, stage->relu ? bm_maximum(y, bm_nothing()) : y);
        }
    }
}

/* With the batch's statistics dx = gain inverse (dy - sum dy / n - normal sum(dy normal) / n), with
 * constant ones dx = gain inverse dy; a single value is a constant too, and gets no gradient. */
static void input_gradient(const struct bm_cpu_work *work,
                           const struct operands *operands,
                           uint64_t begin,
                           uint64_t end) {
    const struct bm_cpu_stage *stage = work->stage;
    const float *gain = work->session->params + stage->weight;
    const double *products = stage->sums + stage->out.ld;
    uint64_t rows = rows_of(work);
    double share = uses_running(&work->session->pass) ? 0 : 1 / (double)rows;
    for (uint64_t c = begin; c < end; c += BM_CPU_WIDTH) {
        float means[BM_CPU_WIDTH];
        float slopes[BM_CPU_WIDTH];
        for (uint64_t i = 0; i < BM_CPU_WIDTH; i++) {
            means[i] = (float)(stage->sums[c + i] * share);
            slopes[i] = (float)(products[c + i] * share);
        }
        bm_store(stage->factors + c, bm_multiply(bm_load(gain + c), bm_load(stage->inverse + c)));
        bm_store(stage->factors + stage->out.ld + c, bm_load(means));
        bm_store(stage->factors + 2 * stage->out.ld + c, bm_load(slopes));
    }
    const float *factor = stage->factors;
    const float *mean = factor + stage->out.ld;
    const float *slope = mean + stage->out.ld;
    for (uint64_t row = 0; row < rows * stage->out.ld; row += stage->out.ld) {
        for (uint64_t c = begin; c < end; c += BM_CPU_WIDTH) {
            bm_vector dy = bm_subtract(bm_load(work->dy + row + c), bm_load(mean + c));
            bm_vector pull = bm_multiply(normal_of(operands, row, c), bm_load(slope + c));
            bm_vector dx = bm_multiply(bm_load(factor + c), bm_subtract(dy, pull));
            bm_store(work->dx + row + c,
                     work->mask == NULL ? dx
                                        : bm_where_positive(bm_load(work->mask + row + c), dx));
        }
    }
}

static void sink_sums(const struct bm_cpu_work *work,
                      const double *sums,
                      uint64_t offset,
                      uint64_t begin,
                      uint64_t end) {
    for (uint64_t c = begin; c < end; c += BM_CPU_WIDTH) {
        float values[BM_CPU_WIDTH];
        for (uint64_t i = 0; i < BM_CPU_WIDTH; i++) {
            values[i] = (float)sums[c + i];
        }
        bm_cpu_sink(work->session, offset + c, values, BM_CPU_WIDTH);
    }
}

/* dshift = sum dy, dgain = sum dy normal */
static void backward(void *context, uint32_t thread, uint32_t thread_count) {
    const struct bm_cpu_work *work = context;
    const struct bm_cpu_stage *stage = work->stage;
    const struct operands operands = {
        .x = work->x, .dy = work->dy, .mean = stage->mean, .inverse = stage->inverse};
    const struct operands gradient = {.x = work->dy};
    double *products = stage->sums + stage->out.ld;
    uint64_t begin = 0;
    uint64_t end = 0;
    bm_kit_split(bm_padded(stage->out.channels), BM_CPU_WIDTH, thread, thread_count, &begin, &end);
    sum_rows(plain, &gradient, stage->out.ld, rows_of(work), begin, end, stage->sums);
    sum_rows(product, &operands, stage->out.ld, rows_of(work), begin, end, products);
    /* The sink may change the gain, so its last reader goes first. */
    if (work->dx != NULL) {
        input_gradient(work, &operands, begin, end);
    }
    sink_sums(work, products, stage->weight, begin, end);
    sink_sums(work, stage->sums, stage->bias, begin, end);
}

void bm_cpu_batchnorm_forward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, forward, work);
}

void bm_cpu_batchnorm_backward(struct bm_cpu_work *work) {
    bm_kit_pool_run(work->session->pool, backward, work);
}
