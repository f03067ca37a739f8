// SPDX-License-Identifier: MIT
// The session of the backend eigen, and what its two files offer each other: eigen.cc answers the
// host, compute.cc computes with Eigen. Both know the contract, <batchmark/plugin.h>, from which
// all formulas are taken; its names (w, g, r, ...) are used here as well.
#ifndef BM_EIGEN_SESSION_H
#define BM_EIGEN_SESSION_H

#include <batchmark/kit.h>

// One network on one processor. Made of plain members, so that memory of zeros is an empty session.
struct bm_session {
    bm_kit_session core; // problem, data and order as the host gave them, all checked
    bm_kit_pool *pool;   // the threads; each product and each step is split over them
    uint64_t piece;      // images that go through the layers at once
    char *memory;        // [byte_count]: all arrays below lie in it, one after another
    uint64_t byte_count;
    uint64_t zero_count; // the first bytes of it, which start at 0: params, state, statistics
    float *params;       // [param_count] in the layout of plugin.h, as are gradient and state
    float *state[2];     // the slots of the optimizer; those that the rule lacks are NULL
    float *statistics;   // [statistics_count] running means and variances
    float *gradient;
    double *moments; // [statistics_count] this batch's means, and 1 / deviation for its variances
    double *sums;    // [2][widest]: sums over the images of a batch, one for each column
    double *squares; // [thread_count][2]: each thread's part of the squares of two norms
    float *values;   // the input of every layer in turn, the images first; see bm_eigen_place
    float *delta[2]; // gradients of two neighbouring values; each [piece][widest]
};

// Images first, first + 1, ... of a split, or those that an order names, and what to do with them.
struct bm_eigen_work {
    const bm_data *data;
    const uint32_t *order; // [count] image numbers; NULL: first, first + 1, ...
    uint64_t first;
    uint64_t count;
    uint32_t flags;        // BM_SLICE_*
    double divisor;        // of the gradient; 0: no gradient is wanted
    const bm_hyper *hyper; // a step with this as soon as a layer's gradient is done; NULL: none
};

struct bm_eigen_result {
    double loss;      // summed over the images
    uint64_t correct; // right answers
};

// Floats between the input of a layer and that of the next, for `piece` images: whole cache lines.
// 0 for a relu, which works in place: its derivative can be told from its output as well.
inline uint64_t bm_eigen_place(const bm_kit_layer *layer, uint64_t piece) {
    return layer->kind == BM_LAYER_RELU ? 0 : (piece * layer->input_size + 15) / 16 * 16;
}

// Sends the images forward through the layers and, where a gradient is wanted, back again; the
// gradient replaces session->gradient or, with BM_SLICE_ACCUMULATE, is added to it.
int32_t bm_eigen_run(bm_session *session,
                     const bm_eigen_work *work,
                     bm_eigen_result *result,
                     bm_error *error) noexcept;

// One step of the optimizer with session->gradient, which stays as it is.
int32_t bm_eigen_step(bm_session *session, const bm_hyper *hyper, bm_error *error) noexcept;

// "Eigen 3.4.0", static.
const char *bm_eigen_version() noexcept;

#endif
