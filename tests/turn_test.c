/* A turn: its shape, its value, and what it and its replay ask of a plugin, call by call. No clock
 * but for times being positive. */
#include "serve_turn.h"
#include "session.h"
#include "test.h"
#include "test_bench.h"

#include <math.h>

#define IMAGES 103u
#define BATCH 10u

static const struct bm_test_bench_spec spec = {.layers = "dense 6, relu, dense 4",
                                               .input = {1, 3, 3},
                                               .image_count = IMAGES,
                                               .optimizer = BM_OPTIMIZER_MOMENTUM,
                                               .batch = BATCH};

/* ---- A plugin that keeps notes ---- */

static const struct bm_plugin *base;
static uint64_t first_number; /* of the updates since forget_notes */
static uint64_t last_number;
static uint32_t updates;
static uint32_t waits;
static uint32_t read_losses;
static uint64_t dropped; /* the update of this number does nothing */

static int32_t note_update(struct bm_session *session,
                           const struct bm_slice *slice,
                           const struct bm_hyper *hyper,
                           struct bm_error *error) {
    TEST_CHECK(updates == waits); /* each is waited for before the next */
    first_number = updates++ == 0 ? slice->update : first_number;
    last_number = slice->update;
    return slice->update == dropped ? BM_STATUS_OK : base->update(session, slice, hyper, error);
}

static int32_t note_wait(struct bm_session *session, double *loss, struct bm_error *error) {
    waits++;
    read_losses += loss != NULL;
    return base->wait(session, loss, error);
}

static void forget_notes(void) {
    updates = waits = read_losses = 0;
    first_number = last_number = dropped = 0;
}

static struct bm_test_bench *open_noting(void) {
    static struct bm_plugin table;
    table = *base;
    table.update = note_update;
    table.wait = note_wait;
    struct bm_test_bench *test = bm_test_bench_create(&table, &spec);
    forget_notes();
    return test;
}

/* ---- Shapes and values ---- */

static void check_shape(double update_ns, uint32_t unrecorded, uint32_t recorded) {
    struct bm_turn_shape shape = bm_turn_shape(update_ns);
    TEST_CHECK_MSG(shape.unrecorded == unrecorded && shape.updates == recorded,
                   "%g ns: found %u + %u", update_ns, shape.unrecorded, shape.updates);
}

static void test_shapes(void) {
    check_shape(0.5, 3, BM_TURN_UPDATES_MAX);
    check_shape(1e5, 3, 25);
    check_shape(0.999e6, 3, 3);
    check_shape(1e6, 1, 2);
    check_shape(4e6, 1, 1);
    check_shape(0.999e7, 1, 1);
    check_shape(1e7, 0, 1);
    check_shape(1e10, 0, 1);
}

static void test_values(void) {
    double four[] = {4, 1, 2, 9};
    double five[] = {9, 7, 5, 3, 1};
    TEST_CHECK(bm_turn_value(four, 4) == 4);
    TEST_CHECK(bm_turn_value(four, 1) == 4);
    TEST_CHECK(bm_turn_value(five, 5) == 3);
}

/* ---- Turns ---- */

static void test_run(void) {
    struct bm_test_bench *test = open_noting();
    const struct bm_turn_shape shape = {3, 7};
    double times_ns[8] = {0, 0, 0, 0, 0, 0, 0, -1};
    double value_ns = 0;
    TEST_CHECK(bm_turn_run(&test->bench, &shape, times_ns, &value_ns, &test->error) ==
               BM_STATUS_OK);
    TEST_CHECK(updates == 10 && waits == 10 && read_losses == 0);
    TEST_CHECK(first_number == 1 && last_number == 10);
    for (uint32_t i = 0; i < 7; i++) {
        TEST_CHECK(times_ns[i] > 0 && isfinite(times_ns[i]));
    }
    TEST_CHECK(times_ns[7] == -1);
    TEST_CHECK(value_ns >= times_ns[0] && value_ns <= times_ns[6]);
    /* The next turn goes on where this one ended. */
    TEST_CHECK(bm_turn_run(&test->bench, &shape, times_ns, &value_ns, &test->error) ==
               BM_STATUS_OK);
    TEST_CHECK(last_number == 20);
    bm_test_bench_destroy(test);
}

/* ---- Questions ---- */

static int32_t ask(struct bm_served_turns *turns,
                   struct bm_test_bench *test,
                   const char *what,
                   json_t *command,
                   json_t **reply) {
    *reply = json_object();
    int32_t status = bm_serve_turn(turns, &test->bench, what, command, *reply, &test->error);
    json_decref(command);
    return status;
}

static void check_ask(struct bm_served_turns *turns, struct bm_test_bench *test, const char *what) {
    json_t *reply = NULL;
    json_t *command = json_pack("{s:i, s:i}", "unrecorded", 1, "updates", 2);
    TEST_CHECK_MSG(ask(turns, test, what, command, &reply) == BM_STATUS_OK, "%s", test->error.text);
    TEST_CHECK(json_object_get(reply, "status") == NULL);
    TEST_CHECK(strcmp(what, "turn") != 0 || json_number_value(json_object_get(reply, "ns")) > 0);
    json_decref(reply);
}

static void check_refusal(struct bm_served_turns *turns,
                          struct bm_test_bench *test,
                          const char *what,
                          json_t *command,
                          const char *text) {
    json_t *reply = NULL;
    TEST_CHECK(ask(turns, test, what, command, &reply) == BM_STATUS_INVALID);
    TEST_CONTAINS(test->error.text, text);
    json_decref(reply);
}

static void test_questions(void) {
    struct bm_served_turns turns = {.is_open = 0};
    struct bm_test_bench *test = open_noting();
    check_refusal(&turns, test, "turn", json_object(), "turn before turn_open");
    check_ask(&turns, test, "turn_open");
    check_refusal(&turns, test, "turn", json_object(), "expected 0 to 4096 \"unrecorded\"");
    check_refusal(&turns, test, "turn", json_pack("{s:i, s:i}", "unrecorded", 1, "updates", 0),
                  "expected 1 to 4096 \"updates\", found 0");
    check_refusal(&turns, test, "turn", json_pack("{s:i, s:i}", "unrecorded", 1, "updates", 4097),
                  "found 4097");
    check_refusal(&turns, test, "turn_replay", json_object(), "at least 2 updates");
    check_refusal(&turns, test, "turnip", json_object(), "unknown command turnip");
    check_ask(&turns, test, "turn");
    check_ask(&turns, test, "turn");
    TEST_CHECK(turns.updates == 6 && updates == 6);
    forget_notes();
    check_ask(&turns, test, "turn_replay");
    TEST_CHECK(updates == 6 && first_number == 1);
    check_refusal(&turns, test, "turn", json_object(), "turn before turn_open");
    /* Again from the start. */
    forget_notes();
    check_ask(&turns, test, "turn_open");
    check_ask(&turns, test, "turn");
    TEST_CHECK(first_number == 1 && turns.updates == 3);
    bm_served_turns_close(&turns);
    check_refusal(&turns, test, "turn", json_object(), "turn before turn_open");
    bm_served_turns_free(&turns);
    bm_test_bench_destroy(test);
}

/* A timed update that did nothing is seen. */
static void test_dropped(void) {
    struct bm_served_turns turns = {.is_open = 0};
    struct bm_test_bench *test = open_noting();
    json_t *reply = NULL;
    dropped = 5;
    check_ask(&turns, test, "turn_open");
    check_ask(&turns, test, "turn");
    check_ask(&turns, test, "turn");
    dropped = 0;
    TEST_CHECK(ask(&turns, test, "turn_replay", json_object(), &reply) == BM_STATUS_OK);
    TEST_CHECK_STR(json_string_value(json_object_get(reply, "status")), "wrong");
    TEST_CONTAINS(json_string_value(json_object_get(reply, "reason")), "an untimed replay");
    json_decref(reply);
    bm_served_turns_free(&turns);
    bm_test_bench_destroy(test);
}

int main(void) {
    base = bm_test_plugin("scalar");
    test_shapes();
    test_values();
    test_run();
    test_questions();
    test_dropped();
    return 0;
}
