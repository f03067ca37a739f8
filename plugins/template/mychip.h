/*
 * The session of the backend mychip, and what its two files offer each other: mychip.c answers the
 * host, mychip_compute.c does the work that the chip should do.
 */
#ifndef MYCHIP_H
#define MYCHIP_H

#include <batchmark/kit.h>

struct bm_session {
    struct bm_kit_session core; /* problem, data and order as the host gave them, all checked */
    uint64_t piece;             /* images that go through the layers at once */
    float *memory;              /* [float_count]: all arrays below lie in it, one after another */
    uint64_t float_count;
    float *params; /* [param_count] in the layout of plugin.h, as are the next two */
    float *gradient;
    float *momentum; /* the optimizer's state; NULL: the rule has none */
    float *values;   /* the input of every layer in turn, the images first; each [piece][size] */
    float *logits;   /* the last of these */
    float *delta[2]; /* gradients of two neighbouring values; each [piece][widest] */
};

/* Images first, first + 1, ... of a split, or those that an order names. */
struct bm_mychip_work {
    const struct bm_data *data;
    const uint32_t *order; /* [count] image numbers; NULL: first, first + 1, ... */
    uint64_t first;
    uint64_t count;
    double divisor; /* of the gradient; 0: no gradient is wanted */
};

/* Sends the images forward through the layers and, where a gradient is wanted, back again: it is
 * added to session->gradient. Returns the summed loss; adds to *correct the right answers. */
double
bm_mychip_run(struct bm_session *session, const struct bm_mychip_work *work, uint64_t *correct);

/* One step of the optimizer with session->gradient. */
void bm_mychip_step(struct bm_session *session, const struct bm_hyper *hyper);

#endif
