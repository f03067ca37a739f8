/* What the files of a dense layer offer each other. */
#ifndef BM_CPU_DENSE_H
#define BM_CPU_DENSE_H

#include "cpu.h"

/* ---- dense_weights.c ---- */

/* Cuts of at most BM_CPU_GROUP tiles that some inputs are divided into. */
uint64_t bm_cpu_dense_cuts(uint64_t inputs);

/* Images begin .. end of a pass. What comes of them is added to what came of those before, and
 * stepped with if they are the last and session->pass says so. */
struct bm_cpu_span {
    uint64_t begin;
    uint64_t end;
};

/* The gradient of the weights of cut number `cut` of inputs first .. last and of at most
 * BM_CPU_GROUP_PANELS panels. */
void bm_cpu_dense_cut(const struct bm_cpu_work *work,
                      const struct bm_cpu_span *span,
                      uint64_t first,
                      uint64_t last,
                      uint64_t cut,
                      uint64_t panel_begin,
                      uint64_t panel_end);

/* A thread's part of the biases' gradient. */
void bm_cpu_dense_bias(const struct bm_cpu_work *work, uint32_t thread, uint32_t thread_count);

/* ---- dense_few.c ---- */

/* Both gradients, for at most BM_CPU_DOT_COUNT_MAX images. */
void bm_cpu_dense_backward_few(struct bm_cpu_work *work);

/* ---- What follows from shapes ---- */

/* Tiles that `rows` rows are divided into. */
static inline uint64_t bm_cpu_tiles(uint64_t rows) {
    return (rows + BM_CPU_ROWS - 1) / BM_CPU_ROWS;
}

/* Of one product over all images. */
static inline uint64_t bm_cpu_dense_multiplications(const struct bm_cpu_work *work) {
    return work->session->pass.count * work->stage->depth *
           bm_cpu_panel_columns(work->stage->out.channels);
}

/*
 * In the skinny regime a thread has panels, forward and back, and with them the weights that it
 * reads and steps: they stay in its caches, and no line of them goes from one processor to another.
 * Where there are fewer panels than threads, a thread has inputs instead.
 */
static inline void bm_cpu_dense_share(const struct bm_cpu_work *work,
                                      uint32_t thread,
                                      uint32_t thread_count,
                                      struct bm_cpu_share *share) {
    uint64_t panels = bm_cpu_panel_count(work->stage->out.channels);
    *share = (struct bm_cpu_share){.input_end = work->stage->depth, .panel_end = panels};
    if (panels < thread_count) {
        bm_kit_split(work->stage->depth, BM_CPU_WIDTH, thread, thread_count, &share->input_begin,
                     &share->input_end);
    } else {
        bm_kit_split(panels, 1, thread, thread_count, &share->panel_begin, &share->panel_end);
    }
}

/* Whether this pass steps the weights in registers. */
static inline int32_t bm_cpu_is_skinny(const struct bm_session *session) {
    return session->pass.steps && !session->pass.adds && session->pass.count <= session->skinny_max;
}

#endif
