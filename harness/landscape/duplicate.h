/*
 * A network made wider without changing its function: hidden units are doubled. Both copies take
 * the incoming weights v of the unit; its outgoing weights w are split into a w and (1 - a) w.
 * Fukumizu and Amari, "Local minima and plateaus in hierarchical structures of multilayer
 * perceptrons", Neural Networks 13 (2000).
 *
 * Where the narrow network is at a critical point, so is the wide one: the gradient by each copy's
 * outgoing weights is that by w, which is 0, and by its incoming weights a or 1 - a times that by
 * v, which is 0.
 *
 * What kind of a point. Move the copies apart by changes that leave the output as it is to first
 * order: v_1 = v + (1 - a) d, v_2 = v - a d, w_1 = a w + u, w_2 = (1 - a) w - u. With h the unit's
 * activation and e = dL/dz for the inputs z of the layer behind it, for each example, the loss
 * changes to second order by
 *
 *     u^T M d + a (1 - a) / 2 d^T B d,    M = sum_n e_n (dh_n/dv)^T,  B = sum_n (w.e_n) d2h_n/dv2
 *
 * B is the matrix of the paper. Its network has one output, and there w^T M is the gradient by v
 * and M is 0: minimum or saddle is up to B and the sign of a (1 - a). With several outputs only w^T
 * M = 0, M itself is not, and the form is indefinite whatever a and B are, since u^T M d is linear
 * in u: a strict saddle. At a = 1/2, where the lengths of (u, -u) and (d, -d) / 2 can be had alike,
 * an eigenvalue is -s or below, s being the largest singular value of M. For relu d2h/dv2 and so B
 * are 0 but for kinks: it is M that makes the saddle.
 *
 * Copies with a = 1/2 have the same gradients, whatever the batch: neither momentum nor the noise
 * of batches ever parts them, only a perturbation does.
 */
#ifndef BM_DUPLICATE_H
#define BM_DUPLICATE_H

#include "model.h"

#define BM_DUPLICATE_UNITS_MAX 64u

struct bm_duplicate {
    uint32_t layer; /* the dense layer whose units are doubled; relu, if anything, stands between it
                       and the next dense layer */
    uint32_t unit_count;
    uint32_t units[BM_DUPLICATE_UNITS_MAX]; /* ascending */
    double share;                           /* a, of the first copy */
};

/* The wide network: copies come behind the units that there were, in the order of `units`. INVALID
 * if the layer is not as said above or a unit is not of it. */
int32_t bm_duplicate_model(const struct bm_model *narrow,
                           const struct bm_duplicate *duplicate,
                           struct bm_model *wide,
                           struct bm_error *error);

/* Its parameters. The outgoing weights are rounded once: a w + (1 - a) w is w to the last bit of a
 * float where a is 1/2. */
void bm_duplicate_params(const struct bm_model *narrow,
                         const struct bm_duplicate *duplicate,
                         const struct bm_model *wide,
                         const float *narrow_params,
                         float *wide_params);

#endif
