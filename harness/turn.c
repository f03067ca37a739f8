#include "turn.h"

#include "error.h"
#include "now.h"
#include "stats.h"

#include <math.h>

#define TURN_NS 2.5e6
#define QUARTILE_LEAST 5u /* times: fewer have no quartile worth the name */

/* After another's turn the first updates of a short one are slow; of a long one no part is worth
 * throwing away. */
static uint32_t unrecorded_of(double update_ns) {
    if (update_ns < 1e6) {
        return 3;
    }
    return update_ns < 1e7 ? 1 : 0;
}

struct bm_turn_shape bm_turn_shape(double update_ns) {
    BM_ASSERT(update_ns > 0);
    double wanted = nearbyint(TURN_NS / update_ns);
    double least = wanted < 1 ? 1 : wanted;
    struct bm_turn_shape shape = {
        .unrecorded = unrecorded_of(update_ns),
        .updates = least < BM_TURN_UPDATES_MAX ? (uint32_t)least : BM_TURN_UPDATES_MAX,
    };
    return shape;
}

double bm_turn_value(double *times_ns, uint32_t count) {
    BM_ASSERT(count > 0);
    if (count >= QUARTILE_LEAST) {
        return bm_stats_quantile(times_ns, count, 0.25, times_ns);
    }
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += times_ns[i];
    }
    return sum / count;
}

static int32_t update(struct bm_bench *bench, struct bm_error *error) {
    int32_t status = bm_bench_update(bench, error);
    return status ? status : bm_bench_wait(bench, NULL, error);
}

int32_t bm_turn_run(struct bm_bench *bench,
                    const struct bm_turn_shape *shape,
                    double *times_ns,
                    double *value_ns,
                    struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < shape->unrecorded && status == BM_STATUS_OK; i++) {
        status = update(bench, error);
    }
    for (uint32_t i = 0; i < shape->updates && status == BM_STATUS_OK; i++) {
        double before_ns = (double)bm_now_ns();
        status = update(bench, error);
        times_ns[i] = (double)bm_now_ns() - before_ns;
        /* Two readings of a coarse clock may be one. */
        times_ns[i] = times_ns[i] > 0 ? times_ns[i] : 1;
    }
    if (status == BM_STATUS_OK) {
        *value_ns = bm_turn_value(times_ns, shape->updates);
    }
    return status;
}
