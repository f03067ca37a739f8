/* No wrong backend gets a time: the scalar backend passes every check, and each plugin of one fault
 * around it is called wrong. */
#include "check.h"
#include "test.h"
#include "test_bench.h"

#include <math.h>

#include "session.h"

static const struct bm_plugin *base;
static uint64_t value_count; /* of the session under test */
static uint64_t statistics_count;
static float *values; /* [value_count], scratch */
static float *kept;   /* [value_count], scratch */
static uint32_t unwaited;
static uint32_t gradients;

/* ---- The faults ---- */

static uint64_t largest(const float *of) {
    uint64_t at = 0;
    for (uint64_t i = 0; i < value_count; i++) {
        at = fabsf(of[i]) > fabsf(of[at]) ? i : at;
    }
    return at;
}

static int32_t
gradient_element(struct bm_session *session, const struct bm_slice *slice, struct bm_error *error) {
    int32_t status = base->gradient(session, slice, error);
    status = status ? status : base->read_gradient(session, values, value_count, error);
    values[largest(values)] *= 1.01f;
    return status ? status : base->write_gradient(session, values, value_count, error);
}

static int32_t gradient_accumulates(struct bm_session *session,
                                    const struct bm_slice *slice,
                                    struct bm_error *error) {
    struct bm_slice own = *slice;
    own.flags |= gradients++ > 0 ? BM_SLICE_ACCUMULATE : 0;
    return base->gradient(session, &own, error);
}

static int32_t gradient_replaces(struct bm_session *session,
                                 const struct bm_slice *slice,
                                 struct bm_error *error) {
    struct bm_slice own = *slice;
    own.flags &= ~BM_SLICE_ACCUMULATE;
    return base->gradient(session, &own, error);
}

static int32_t gradient_divides_by_count(struct bm_session *session,
                                         const struct bm_slice *slice,
                                         struct bm_error *error) {
    struct bm_slice own = *slice;
    own.divisor = (double)own.count;
    return base->gradient(session, &own, error);
}

static int32_t gradient_stays_at_first(struct bm_session *session,
                                       const struct bm_slice *slice,
                                       struct bm_error *error) {
    struct bm_slice own = *slice;
    own.first = 0;
    return base->gradient(session, &own, error);
}

static int32_t gradient_keeps_statistics(struct bm_session *session,
                                         const struct bm_slice *slice,
                                         struct bm_error *error) {
    struct bm_slice own = *slice;
    own.flags |= BM_SLICE_KEEP_STATISTICS;
    return base->gradient(session, &own, error);
}

static int32_t loss_is_off(struct bm_session *session, double *loss, struct bm_error *error) {
    int32_t status = base->wait(session, loss, error);
    if (loss != NULL) {
        *loss += 1e-3;
    }
    return status;
}

/* Copies one parameter back over the step. */
static int32_t
apply_skips_one(struct bm_session *session, const struct bm_hyper *hyper, struct bm_error *error) {
    int32_t status = base->read_gradient(session, values, value_count, error);
    uint64_t at = largest(values);
    status = status ? status : base->read_params(session, kept, value_count, error);
    status = status ? status : base->apply(session, hyper, error);
    status = status ? status : base->read_params(session, values, value_count, error);
    values[at] = kept[at];
    return status ? status : base->write_params(session, values, value_count, error);
}

static int32_t apply_is_always_first(struct bm_session *session,
                                     const struct bm_hyper *hyper,
                                     struct bm_error *error) {
    struct bm_hyper own = *hyper;
    own.update = 1;
    return base->apply(session, &own, error);
}

static int32_t forget_state(struct bm_session *session, struct bm_error *error) {
    memset(values, 0, value_count * sizeof *values);
    return base->write_state(session, 0, values, value_count, error);
}

static int32_t apply_forgets_state(struct bm_session *session,
                                   const struct bm_hyper *hyper,
                                   struct bm_error *error) {
    int32_t status = forget_state(session, error);
    return status ? status : base->apply(session, hyper, error);
}

static int32_t apply_keeps_state(struct bm_session *session,
                                 const struct bm_hyper *hyper,
                                 struct bm_error *error) {
    int32_t status = base->read_state(session, 0, kept, value_count, error);
    status = status ? status : base->apply(session, hyper, error);
    return status ? status : base->write_state(session, 0, kept, value_count, error);
}

static int32_t update_is_longer(struct bm_session *session,
                                const struct bm_slice *slice,
                                const struct bm_hyper *hyper,
                                struct bm_error *error) {
    struct bm_hyper own = *hyper;
    own.rate *= 1.01;
    return base->update(session, slice, &own, error);
}

static int32_t update_stays_at_first(struct bm_session *session,
                                     const struct bm_slice *slice,
                                     const struct bm_hyper *hyper,
                                     struct bm_error *error) {
    struct bm_slice own = *slice;
    own.first = 0;
    return base->update(session, &own, hyper, error);
}

static int32_t update_forgets_state(struct bm_session *session,
                                    const struct bm_slice *slice,
                                    const struct bm_hyper *hyper,
                                    struct bm_error *error) {
    int32_t status = forget_state(session, error);
    return status ? status : base->update(session, slice, hyper, error);
}

static int32_t update_keeps_state(struct bm_session *session,
                                  const struct bm_slice *slice,
                                  const struct bm_hyper *hyper,
                                  struct bm_error *error) {
    int32_t status = base->read_state(session, 0, kept, value_count, error);
    status = status ? status : base->update(session, slice, hyper, error);
    return status ? status : base->write_state(session, 0, kept, value_count, error);
}

static int32_t update_keeps_statistics(struct bm_session *session,
                                       const struct bm_slice *slice,
                                       const struct bm_hyper *hyper,
                                       struct bm_error *error) {
    struct bm_slice own = *slice;
    own.flags |= BM_SLICE_KEEP_STATISTICS;
    return base->update(session, &own, hyper, error);
}

static int32_t update_is_always_first(struct bm_session *session,
                                      const struct bm_slice *slice,
                                      const struct bm_hyper *hyper,
                                      struct bm_error *error) {
    struct bm_hyper own = *hyper;
    own.update = 1;
    return base->update(session, slice, &own, error);
}

static int32_t update_skips_one(struct bm_session *session,
                                const struct bm_slice *slice,
                                const struct bm_hyper *hyper,
                                struct bm_error *error) {
    int32_t status = base->read_params(session, kept, value_count, error);
    status = status ? status : base->update(session, slice, hyper, error);
    status = status ? status : base->read_params(session, values, value_count, error);
    values[value_count - 1] = kept[value_count - 1];
    return status ? status : base->write_params(session, values, value_count, error);
}

/* Every second update that is not waited for is dropped. */
static int32_t pipelined_is_dropped(struct bm_session *session,
                                    const struct bm_slice *slice,
                                    const struct bm_hyper *hyper,
                                    struct bm_error *error) {
    return unwaited++ > 0 ? BM_STATUS_OK : base->update(session, slice, hyper, error);
}

static int32_t pipelined_keeps_statistics(struct bm_session *session,
                                          const struct bm_slice *slice,
                                          const struct bm_hyper *hyper,
                                          struct bm_error *error) {
    return unwaited++ > 0 ? update_keeps_statistics(session, slice, hyper, error)
                          : base->update(session, slice, hyper, error);
}

static int32_t pipelined_keeps_state(struct bm_session *session,
                                     const struct bm_slice *slice,
                                     const struct bm_hyper *hyper,
                                     struct bm_error *error) {
    return unwaited++ > 0 ? update_keeps_state(session, slice, hyper, error)
                          : base->update(session, slice, hyper, error);
}

static int32_t counting_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    unwaited = 0;
    return base->wait(session, loss, error);
}

static int32_t updates_one_less(struct bm_session *session,
                                const struct bm_slice *slice,
                                uint32_t count,
                                const struct bm_hyper *hyper,
                                uint32_t stride,
                                struct bm_error *error) {
    return base->updates(session, slice, count - 1, hyper, stride, error);
}

static int32_t updates_with_one_hyper(struct bm_session *session,
                                      const struct bm_slice *slice,
                                      uint32_t count,
                                      const struct bm_hyper *hyper,
                                      uint32_t stride,
                                      struct bm_error *error) {
    struct bm_slice own = *slice;
    int32_t status = BM_STATUS_OK;
    (void)stride;
    for (uint32_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        status = base->update(session, &own, hyper, error);
        own.first += own.count;
        own.update++;
    }
    return status;
}

static int32_t updates_stay_at_first(struct bm_session *session,
                                     const struct bm_slice *slice,
                                     uint32_t count,
                                     const struct bm_hyper *hyper,
                                     uint32_t stride,
                                     struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        const char *at = (const char *)hyper + (size_t)i * stride;
        status = base->update(session, slice, (const struct bm_hyper *)(const void *)at, error);
    }
    return status;
}

static int32_t updates_keep_statistics(struct bm_session *session,
                                       const struct bm_slice *slice,
                                       uint32_t count,
                                       const struct bm_hyper *hyper,
                                       uint32_t stride,
                                       struct bm_error *error) {
    struct bm_slice own = *slice;
    own.flags |= BM_SLICE_KEEP_STATISTICS;
    return base->updates(session, &own, count, hyper, stride, error);
}

static int32_t updates_keep_state(struct bm_session *session,
                                  const struct bm_slice *slice,
                                  uint32_t count,
                                  const struct bm_hyper *hyper,
                                  uint32_t stride,
                                  struct bm_error *error) {
    int32_t status = base->updates(session, slice, count - 1, hyper, stride, error);
    struct bm_slice last = *slice;
    last.first += (count - 1) * last.count;
    last.update += count - 1;
    const char *at = (const char *)hyper + (size_t)(count - 1) * stride;
    status = status ? status : base->read_state(session, 0, kept, value_count, error);
    status = status
                 ? status
                 : base->update(session, &last, (const struct bm_hyper *)(const void *)at, error);
    return status ? status : base->write_state(session, 0, kept, value_count, error);
}

static int32_t order_is_ignored(struct bm_session *session,
                                const uint32_t *order,
                                uint64_t count,
                                struct bm_error *error) {
    uint32_t *own = calloc(count, sizeof *own);
    TEST_CHECK(own != NULL);
    (void)order;
    for (uint64_t i = 0; i < count; i++) {
        own[i] = (uint32_t)(i % 100);
    }
    int32_t status = base->set_order(session, own, count, error);
    free(own);
    return status;
}

/* ---- Checking ---- */

#define BATCHNORM "dense 12, batchnorm, relu, dense 4"
#define PLAIN "dense 12, relu, dense 4"

static uint32_t is_wrong(const struct bm_plugin *plugin,
                         const struct bm_test_bench_spec *spec,
                         struct bm_check_result *result) {
    struct bm_test_bench *test = bm_test_bench_create(plugin, spec);
    value_count = test->bench.param_count;
    statistics_count = test->bench.statistics_count;
    values = calloc(value_count, sizeof *values);
    kept = calloc(value_count, sizeof *kept);
    TEST_CHECK(values != NULL && kept != NULL);
    unwaited = gradients = 0;
    int32_t status = bm_check_run(&test->bench, test->entry, result, &test->error);
    TEST_CHECK_MSG(status == BM_STATUS_OK, "%s", test->error.text);
    TEST_CHECK(test->bench.first == 0 && test->bench.update == 1);
    TEST_CHECK(test->bench.order_count == spec->image_count && test->bench.rate == 1e-3);
    free(values);
    free(kept);
    bm_test_bench_destroy(test);
    return result->wrong;
}

static void test_honest(void) {
    static const struct bm_shape input = {2, 6, 6};
    static const char *const layers[] = {PLAIN, BATCHNORM,
                                         "conv 3 3x3 pad 1, batchnorm, relu, maxpool 2, dense 4",
                                         "dense 9, relu, dropout 0.5, dense 4"};
    static const uint64_t batches[] = {1, 7, 1200};
    struct bm_check_result result;
    for (size_t l = 0; l < sizeof layers / sizeof layers[0]; l++) {
        for (uint32_t b = 0; b < 3; b++) {
            for (uint32_t o = 0; o < BM_OPTIMIZER_COUNT; o++) {
                struct bm_test_bench_spec spec = {.layers = layers[l],
                                                  .input = input,
                                                  .image_count = 1300,
                                                  .optimizer = o,
                                                  .batch = batches[b]};
                TEST_CHECK_MSG(!is_wrong(base, &spec, &result), "%s, %s, batch %d: %s", layers[l],
                               bm_optimizer_names[o], (int)batches[b], result.reason);
                TEST_CHECK(result.ratio > 0 && result.ratio <= 1);
            }
            struct bm_test_bench_spec split = {.layers = layers[l],
                                               .input = input,
                                               .image_count = 1300,
                                               .optimizer = BM_OPTIMIZER_MOMENTUM,
                                               .batch = batches[b],
                                               .micro_batch = 3};
            TEST_CHECK_MSG(!is_wrong(base, &split, &result), "%s, batch %d in slices of 3: %s",
                           layers[l], (int)batches[b], result.reason);
        }
    }
}

struct mutant {
    const char *name;
    struct bm_plugin faults; /* the functions that are not NULL replace the scalar backend's */
    const char *layers;
    uint32_t optimizer;
    uint32_t is_split;    /* no update, no updates */
    const char *expected; /* the reason begins with this */
    uint64_t micro_batch;
};

static const struct mutant mutants[] = {
    {.name = "gradient element",
     .faults = {.gradient = gradient_element},
     .expected = "gradient: "},
    {.name = "gradient accumulates",
     .faults = {.gradient = gradient_accumulates},
     .expected = "gradient: "},
    {.name = "gradient replaces",
     .faults = {.gradient = gradient_replaces},
     .micro_batch = 3,
     .expected = "gradient: "},
    {.name = "gradient divides by count",
     .faults = {.gradient = gradient_divides_by_count},
     .micro_batch = 3,
     .expected = "gradient: "},
    {.name = "gradient stays at first",
     .faults = {.gradient = gradient_stays_at_first},
     .expected = "gradient: "},
    {.name = "gradient keeps statistics",
     .faults = {.gradient = gradient_keeps_statistics},
     .layers = BATCHNORM,
     .expected = "gradient: running statistics: "},
    {.name = "loss", .faults = {.wait = loss_is_off}, .expected = "gradient: loss: "},
    {.name = "apply skips one", .faults = {.apply = apply_skips_one}, .expected = "apply: "},
    {.name = "apply is always first",
     .faults = {.apply = apply_is_always_first},
     .optimizer = BM_OPTIMIZER_ADAM,
     .expected = "apply: "},
    {.name = "apply forgets state",
     .faults = {.apply = apply_forgets_state},
     .optimizer = BM_OPTIMIZER_MOMENTUM,
     .expected = "apply: "},
    {.name = "apply keeps state",
     .faults = {.apply = apply_keeps_state},
     .optimizer = BM_OPTIMIZER_ADAM,
     .expected = "apply: state 0: "},
    {.name = "update is longer", .faults = {.update = update_is_longer}, .expected = "update: "},
    {.name = "update stays at first",
     .faults = {.update = update_stays_at_first},
     .expected = "update: "},
    {.name = "update forgets state",
     .faults = {.update = update_forgets_state},
     .optimizer = BM_OPTIMIZER_MOMENTUM,
     .expected = "update: "},
    {.name = "update keeps state",
     .faults = {.update = update_keeps_state},
     .optimizer = BM_OPTIMIZER_MOMENTUM,
     .expected = "update: state 0: "},
    {.name = "update keeps statistics",
     .faults = {.update = update_keeps_statistics},
     .layers = BATCHNORM,
     .expected = "update: running statistics: "},
    {.name = "update is always first",
     .faults = {.update = update_is_always_first},
     .optimizer = BM_OPTIMIZER_ADAM,
     .expected = "update: "},
    {.name = "update skips one", .faults = {.update = update_skips_one}, .expected = "update: "},
    {.name = "pipelined is dropped",
     .faults = {.update = pipelined_is_dropped, .wait = counting_wait},
     .expected = "pipelined update: "},
    {.name = "pipelined keeps statistics",
     .faults = {.update = pipelined_keeps_statistics, .wait = counting_wait},
     .layers = BATCHNORM,
     .expected = "pipelined update: running statistics: "},
    {.name = "pipelined keeps state",
     .faults = {.update = pipelined_keeps_state, .wait = counting_wait},
     .optimizer = BM_OPTIMIZER_MOMENTUM,
     .expected = "pipelined update: state 0: "},
    {.name = "updates one less", .faults = {.updates = updates_one_less}, .expected = "updates: "},
    {.name = "updates with one hyper",
     .faults = {.updates = updates_with_one_hyper},
     .optimizer = BM_OPTIMIZER_ADAM,
     .expected = "updates: "},
    {.name = "updates stay at first",
     .faults = {.updates = updates_stay_at_first},
     .expected = "updates: "},
    {.name = "updates keep statistics",
     .faults = {.updates = updates_keep_statistics},
     .layers = BATCHNORM,
     .expected = "updates: running statistics: "},
    {.name = "updates keep state",
     .faults = {.updates = updates_keep_state},
     .optimizer = BM_OPTIMIZER_MOMENTUM,
     .expected = "updates: state 0: "},
    {.name = "order is ignored",
     .faults = {.set_order = order_is_ignored},
     .expected = "gradient: "},
    {.name = "split update skips one",
     .faults = {.apply = apply_skips_one},
     .is_split = 1,
     .expected = "apply: "},
};

static struct bm_plugin make_mutant(const struct mutant *mutant) {
    struct bm_plugin table = *base;
    const struct bm_plugin *faults = &mutant->faults;
    table.gradient = faults->gradient != NULL ? faults->gradient : table.gradient;
    table.apply = faults->apply != NULL ? faults->apply : table.apply;
    table.update = faults->update != NULL ? faults->update : table.update;
    table.updates = faults->updates != NULL ? faults->updates : table.updates;
    table.wait = faults->wait != NULL ? faults->wait : table.wait;
    table.set_order = faults->set_order != NULL ? faults->set_order : table.set_order;
    if (mutant->is_split) {
        table.update = NULL;
        table.updates = NULL;
    }
    return table;
}

static void test_mutants(void) {
    static const uint64_t batches[] = {1, 7, 1200};
    uint32_t missed = 0;
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        const struct mutant *mutant = &mutants[i];
        struct bm_plugin table = make_mutant(mutant);
        for (uint32_t b = 0; b < 3; b++) {
            struct bm_check_result result;
            struct bm_test_bench_spec spec = {.layers = mutant->layers ? mutant->layers : PLAIN,
                                              .input = {1, 5, 5},
                                              .image_count = 2500,
                                              .optimizer = mutant->optimizer,
                                              .batch = batches[b],
                                              .micro_batch = mutant->micro_batch};
            if (batches[b] <= mutant->micro_batch || (batches[b] == 1 && mutant->layers != NULL)) {
                continue; /* the fault cannot show */
            }
            if (!is_wrong(&table, &spec, &result) ||
                strncmp(result.reason, mutant->expected, strlen(mutant->expected)) != 0) {
                (void)fprintf(stderr, "%s, batch %d: expected \"%s...\", found \"%s\"\n",
                              mutant->name, (int)batches[b], mutant->expected, result.reason);
                missed++;
            }
        }
    }
    TEST_CHECK_MSG(missed == 0, "%u mutants are not called wrong as they should", missed);
}

int main(void) {
    base = bm_test_plugin("scalar");
    test_honest();
    test_mutants();
    return 0;
}
