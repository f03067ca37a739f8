/* The constants of an optimizer's step. */
#include <batchmark/kit.h>

#include <math.h>

void bm_kit_rule_init(struct bm_kit_rule *rule, uint32_t optimizer, const struct bm_hyper *hyper) {
    double t = (double)hyper->update;
    *rule = (struct bm_kit_rule){
        .optimizer = optimizer,
        .rate = (float)hyper->rate,
        .momentum = (float)hyper->momentum,
        .decay = (float)hyper->decay,
        .rate_decay = (float)(hyper->rate * hyper->decay),
        .beta1 = (float)hyper->beta1,
        .beta2 = (float)hyper->beta2,
        .rest1 = (float)(1 - hyper->beta1),
        .rest2 = (float)(1 - hyper->beta2),
        .correction1 = (float)(1 / (1 - pow(hyper->beta1, t))),
        .correction2 = (float)(1 / (1 - pow(hyper->beta2, t))),
        .epsilon = (float)hyper->epsilon,
        .trust = hyper->trust,
    };
}

int32_t bm_kit_rule_is_local(uint32_t optimizer) {
    return optimizer != BM_OPTIMIZER_LARS && optimizer != BM_OPTIMIZER_LAMB;
}
