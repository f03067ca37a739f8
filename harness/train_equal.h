/* Whether two backends train alike: the final test accuracies of the same settings and seeds. */
#ifndef BM_TRAIN_EQUAL_H
#define BM_TRAIN_EQUAL_H

#include <jansson.h>

/* How far final accuracies of the same training may be apart, as a fraction, on that data set:
 * about three standard errors of a test set of 10 000 at the accuracy usual there. */
double bm_train_margin(const char *dataset);

/* Compares the final trainings of `objects` that have `key` (without backend, device and seed) on
 * two backends, paired by seed: the `equivalence` object, the caller's. */
json_t *bm_train_equivalence(
    const json_t *objects, json_t *key, json_t *backend, json_t *baseline, double margin);

#endif
