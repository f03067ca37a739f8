/*
 * The worker's side of a training (trainer.h), in process with the scalar backend: the walk through
 * epochs with their short last batch, the update of a loss that is no number found whatever the
 * stretch, and states that are left and taken up again to the same bits.
 */
#include "trainer.h"

#include "loader.h"
#include "random.h"
#include "test_bench.h"

#include "test.h"

#include <math.h>

#define IMAGES 50u
#define BATCH 8u
#define EACH 7u /* updates of an epoch: six of 8 images and one of 2 */

static const struct bm_plugin *healthy;
static uint64_t nan_at;      /* update after which a parameter is no number; 0: none */
static uint64_t counts[64];  /* images of the update of that number */
static uint32_t orders[256]; /* the order that was set last */
static uint64_t order_count; /* how often one was set */
static uint64_t order_length;

static const struct bm_test_bench_spec spec = {
    .layers = "dense 6, batchnorm, relu, dropout 0.25, dense 4",
    .input = {1, 4, 4},
    .image_count = IMAGES,
    .optimizer = BM_OPTIMIZER_ADAM,
    .batch = BATCH};

/* ---- The scalar backend, watched ---- */

static int32_t poison(struct bm_session *session, struct bm_error *error) {
    static float values[4096];
    uint64_t count = 16 * 6 + 6 + 2 * 6 + 6 * 4 + 4;
    int32_t status = healthy->read_params(session, values, count, error);
    values[count - 1] = NAN;
    return status ? status : healthy->write_params(session, values, count, error);
}

static int32_t watch_update(struct bm_session *session,
                            const struct bm_slice *slice,
                            const struct bm_hyper *hyper,
                            struct bm_error *error) {
    TEST_CHECK(slice->update == hyper->update && slice->update < 64);
    counts[slice->update] = slice->count;
    int32_t status = healthy->update(session, slice, hyper, error);
    return status == BM_STATUS_OK && slice->update == nan_at ? poison(session, error) : status;
}

static int32_t watch_order(struct bm_session *session,
                           const uint32_t *order,
                           uint64_t count,
                           struct bm_error *error) {
    TEST_CHECK(count <= sizeof orders / sizeof orders[0]);
    memcpy(orders, order, count * sizeof *order);
    order_length = count;
    order_count++;
    return healthy->set_order(session, order, count, error);
}

/* ---- One training ---- */

struct training {
    struct bm_test_bench *test;
    struct bm_trainer trainer;
    struct bm_error error;
};

static struct training *open_training(void) {
    static struct bm_plugin table;
    const struct bm_rate_plan plan =
        bm_rate_plan_defaults(BM_RATE_POLYNOMIAL, 0.01, BATCH, EACH, 5 * EACH);
    const struct bm_rate_overrides none = {NAN, NAN};
    struct training *training = calloc(1, sizeof *training);
    TEST_CHECK(training != NULL);
    table = *healthy;
    table.update = watch_update;
    table.set_order = watch_order;
    nan_at = 0;
    training->test = bm_test_bench_create(&table, &spec);
    TEST_CHECK_MSG(bm_trainer_open(&training->trainer, &training->test->bench, &plan, &none,
                                   &training->error) == BM_STATUS_OK,
                   "%s", training->error.text);
    return training;
}

static void close_training(struct training *training) {
    bm_trainer_close(&training->trainer);
    TEST_CHECK(training->test->bench.hyper == NULL);
    bm_test_bench_destroy(training->test);
    free(training);
}

static struct bm_stretch run(struct training *training, uint64_t updates) {
    struct bm_stretch stretch;
    TEST_CHECK_MSG(bm_trainer_run(&training->trainer, updates, &stretch, &training->error) ==
                       BM_STATUS_OK,
                   "%s", training->error.text);
    return stretch;
}

/* That many more, whatever epochs they are in; `most` a stretch. */
static struct bm_stretch run_all(struct training *training, uint64_t updates, uint64_t most) {
    struct bm_stretch stretch = {0};
    for (uint64_t done = 0; done < updates; done += stretch.updates) {
        uint64_t left = updates - done;
        stretch = run(training, left < most ? left : most);
    }
    return stretch;
}

static void save(struct training *training, struct bm_checkpoint *checkpoint) {
    TEST_CHECK_MSG(bm_trainer_save(&training->trainer, checkpoint, &training->error) ==
                       BM_STATUS_OK,
                   "%s", training->error.text);
}

static int same_floats(const float *a, const float *b, uint64_t count) {
    return memcmp(a, b, count * sizeof *a) == 0;
}

static void check_same(const struct bm_checkpoint *a, const struct bm_checkpoint *b) {
    TEST_CHECK_MSG(a->epoch == b->epoch && a->first == b->first && a->update == b->update,
                   "expected epoch %llu, image %llu, update %llu; found %llu, %llu, %llu",
                   (unsigned long long)b->epoch, (unsigned long long)b->first,
                   (unsigned long long)b->update, (unsigned long long)a->epoch,
                   (unsigned long long)a->first, (unsigned long long)a->update);
    TEST_CHECK(a->slot_count == 2 && b->slot_count == 2 && a->statistics_count == 12);
    TEST_CHECK(same_floats(a->params, b->params, a->param_count));
    TEST_CHECK(same_floats(a->slot[0], b->slot[0], a->param_count));
    TEST_CHECK(same_floats(a->slot[1], b->slot[1], a->param_count));
    TEST_CHECK(same_floats(a->statistics, b->statistics, a->statistics_count));
}

/* The state after so many updates, none of them asked for alone, or all. */
static void make_state(uint64_t updates, uint64_t most, struct bm_checkpoint *checkpoint) {
    struct training *training = open_training();
    memset(checkpoint, 0, sizeof *checkpoint);
    (void)run_all(training, updates, most);
    save(training, checkpoint);
    close_training(training);
}

/* ---- The walk ---- */

static void test_epochs(void) {
    struct training *training = open_training();
    uint32_t first[IMAGES];
    struct bm_stretch stretch = run(training, 5);
    TEST_CHECK(stretch.updates == 5 && !stretch.ended_epoch && isfinite(stretch.loss));
    TEST_CHECK(order_length == IMAGES);
    memcpy(first, orders, sizeof first);
    stretch = run(training, 5); /* not beyond the epoch's end */
    TEST_CHECK(stretch.updates == 2 && stretch.ended_epoch);
    TEST_CHECK(counts[6] == BATCH && counts[EACH] == IMAGES % BATCH);
    uint64_t set_before = order_count;
    stretch = run(training, 1);
    TEST_CHECK(stretch.updates == 1 && !stretch.ended_epoch && counts[EACH + 1] == BATCH);
    TEST_CHECK(order_count == set_before + 1 && memcmp(first, orders, sizeof first) != 0);
    TEST_CHECK(training->trainer.epoch == 1 && training->test->bench.update == EACH + 2);
    uint32_t seen[IMAGES] = {0};
    for (uint32_t i = 0; i < IMAGES; i++) {
        TEST_CHECK(orders[i] < IMAGES && seen[orders[i]]++ == 0);
    }
    close_training(training);
}

/* Epoch after epoch the shuffle of the seed and that epoch's number. */
static void test_orders(void) {
    struct training *training = open_training();
    uint32_t expected[IMAGES];
    for (uint32_t epoch = 0; epoch < 5; epoch++) {
        TEST_CHECK(training->trainer.epoch == epoch);
        (void)run(training, EACH);
        bm_random_permutation(1, epoch, expected, IMAGES);
        TEST_CHECK_MSG(memcmp(orders, expected, sizeof expected) == 0, "of epoch %u", epoch);
    }
    close_training(training);
}

/* Stretches of any length, evaluations and noise between them: the training is the same. */
static void test_stretches(void) {
    struct bm_checkpoint whole;
    struct bm_checkpoint pieces;
    struct training *training = open_training();
    make_state(3 * EACH, EACH, &whole);
    for (uint32_t i = 0; i < 3 * EACH; i++) {
        struct bm_noise noise;
        double loss = 0;
        uint64_t correct = 0;
        (void)run(training, 1);
        TEST_CHECK(bm_bench_evaluate(&training->test->bench,
                                     i % 2 == 0 ? BM_SPLIT_TRAIN : BM_SPLIT_TEST, &loss, &correct,
                                     &training->error) == BM_STATUS_OK);
        TEST_CHECK_MSG(bm_trainer_noise(&training->trainer, 2, 8, &noise, &training->error) ==
                           BM_STATUS_OK,
                       "%s", training->error.text);
    }
    memset(&pieces, 0, sizeof pieces);
    save(training, &pieces);
    check_same(&pieces, &whole);
    close_training(training);
    bm_checkpoint_free(&pieces);
    bm_checkpoint_free(&whole);
}

/* ---- Losses that are no numbers ---- */

/* A parameter is none after update `at`, so the loss of the next is the first that is none; the
 * stretch that shows it is `length` long. Afterwards everything is as without the search. */
static void check_located(uint64_t at, uint64_t length) {
    struct training *training = open_training();
    struct bm_checkpoint before = {0};
    struct bm_checkpoint after = {0};
    struct bm_stretch stretch = {0};
    uint64_t update = 0;
    nan_at = at;
    do {
        stretch = run(training, length);
    } while (isfinite(stretch.loss));
    save(training, &before);
    TEST_CHECK_MSG(bm_trainer_locate(&training->trainer, &update, &training->error) == BM_STATUS_OK,
                   "%s", training->error.text);
    TEST_CHECK_MSG(update == at + 1, "expected update %llu, found %llu (stretches of %llu)",
                   (unsigned long long)at + 1, (unsigned long long)update,
                   (unsigned long long)length);
    save(training, &after);
    check_same(&after, &before);
    (void)run(training, 1);
    TEST_CHECK(training->test->bench.update == before.update + 1);
    TEST_CHECK(counts[before.update] == (before.update % EACH == 0 ? IMAGES % BATCH : BATCH));
    close_training(training);
    bm_checkpoint_free(&before);
    bm_checkpoint_free(&after);
}

static void test_locate(void) {
    for (uint64_t length = 1; length <= EACH; length++) {
        check_located(1, length);
        check_located(EACH - 2, length); /* shown by the epoch's short last batch */
        check_located(EACH - 1, length);
        check_located(EACH, length); /* of the epoch's last update, shown by the next one's first */
        check_located(EACH + 3, length);
        check_located(2 * EACH - 1, length);
    }
    struct training *training = open_training();
    uint64_t update = 1;
    (void)run(training, 3);
    TEST_CHECK(bm_trainer_locate(&training->trainer, &update, &training->error) == BM_STATUS_OK);
    TEST_CHECK(update == 0);
    close_training(training);
}

/* A plugin that keeps its state to itself: there is no way back, and it is said. */
static void test_locate_unsupported(void) {
    struct training *training = open_training();
    struct bm_plugin table = *training->test->bench.plugin;
    uint64_t update = 1;
    table.read_state = NULL;
    training->test->bench.plugin = &table;
    (void)run(training, 3);
    TEST_CHECK(bm_trainer_locate(&training->trainer, &update, &training->error) ==
               BM_STATUS_UNSUPPORTED);
    TEST_CHECK(update == 0);
    TEST_CONTAINS(training->error.text, "state");
    close_training(training);
}

/* ---- Left and taken up again ---- */

static void check_restored(uint64_t at, uint64_t end) {
    struct bm_checkpoint whole;
    struct bm_checkpoint middle;
    struct bm_checkpoint found = {0};
    make_state(end, EACH, &whole);
    make_state(at, 3, &middle);
    struct training *training = open_training();
    (void)run_all(training, 4, 4); /* whatever it has done before */
    middle.seconds = 5;
    TEST_CHECK_MSG(bm_trainer_restore(&training->trainer, &middle, &training->error) ==
                       BM_STATUS_OK,
                   "%s", training->error.text);
    (void)run_all(training, end - at, EACH);
    save(training, &found);
    check_same(&found, &whole);
    TEST_CHECK(found.seconds > 5);
    close_training(training);
    bm_checkpoint_free(&whole);
    bm_checkpoint_free(&middle);
    bm_checkpoint_free(&found);
}

static void test_restore(void) {
    for (uint64_t at = 1; at < 2 * EACH; at++) {
        check_restored(at, 2 * EACH + 3);
    }
    struct training *training = open_training();
    struct bm_checkpoint other = {.train_count = IMAGES + 1};
    TEST_CHECK(bm_trainer_restore(&training->trainer, &other, &training->error) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(training->error.text, "expected one of 50 training images, found 51");
    close_training(training);
}

/* Another training from a state: its parameters and statistics, and nothing else of it. */
static void test_begin_from(void) {
    struct bm_checkpoint source;
    struct bm_checkpoint found = {0};
    make_state(EACH + 3, EACH, &source);
    struct training *training = open_training();
    TEST_CHECK_MSG(bm_trainer_begin_from(&training->trainer, &source, &training->error) ==
                       BM_STATUS_OK,
                   "%s", training->error.text);
    save(training, &found);
    TEST_CHECK(found.update == 1 && found.epoch == 0 && found.first == 0 && found.seconds == 0);
    TEST_CHECK(same_floats(found.params, source.params, source.param_count));
    TEST_CHECK(same_floats(found.statistics, source.statistics, source.statistics_count));
    for (uint64_t i = 0; i < found.param_count; i++) {
        TEST_CHECK(found.slot[0][i] == 0 && found.slot[1][i] == 0);
    }
    source.param_count--;
    TEST_CHECK(bm_trainer_begin_from(&training->trainer, &source, &training->error) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(training->error.text, "parameters");
    source.param_count++;
    close_training(training);
    bm_checkpoint_free(&source);
    bm_checkpoint_free(&found);
}

/* Running statistics anew change nothing else, and forget what they were. */
static void test_renew(void) {
    struct training *training = open_training();
    struct bm_checkpoint before = {0};
    struct bm_checkpoint after = {0};
    struct bm_checkpoint again = {0};
    (void)run_all(training, EACH + 3, 4);
    save(training, &before);
    TEST_CHECK(bm_trainer_renew_statistics(&training->trainer, 0, &training->error) ==
               BM_STATUS_OK);
    save(training, &after);
    TEST_CHECK(same_floats(after.params, before.params, before.param_count));
    TEST_CHECK(same_floats(after.slot[0], before.slot[0], before.param_count));
    TEST_CHECK(after.first == before.first && after.update == before.update);
    TEST_CHECK(!same_floats(after.statistics, before.statistics, before.statistics_count));
    for (uint64_t i = 0; i < before.statistics_count; i++) {
        before.statistics[i] = 1000;
    }
    TEST_CHECK(bm_checkpoint_give(&before, training->trainer.bench, &training->error) ==
               BM_STATUS_OK);
    TEST_CHECK(bm_trainer_renew_statistics(&training->trainer, 0, &training->error) ==
               BM_STATUS_OK);
    save(training, &again);
    for (uint64_t i = 0; i < again.statistics_count; i++) {
        TEST_CHECK(fabsf(again.statistics[i] - after.statistics[i]) < 0.1f);
    }
    close_training(training);
    bm_checkpoint_free(&before);
    bm_checkpoint_free(&after);
    bm_checkpoint_free(&again);
}

int main(void) {
    char path[1024];
    struct bm_error error;
    (void)snprintf(path, sizeof path, "%s/bm_scalar.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    TEST_CHECK_MSG(bm_loader_load(path, NULL, &healthy, &error) == BM_STATUS_OK, "%s", error.text);
    test_epochs();
    test_orders();
    test_stretches();
    test_locate();
    test_locate_unsupported();
    test_restore();
    test_begin_from();
    test_renew();
    return 0;
}
