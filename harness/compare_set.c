#include "compare_set.h"

#include "choices.h"
#include "error.h"
#include "now.h"
#include "random.h"
#include "row_worker.h"
#include "schedule.h"
#include "stats.h"
#include "turn.h"

#include <math.h>
#include <string.h>

#define PADDING_MAX 4096u
#define ROUNDS_WANTED 10u
#define ROUNDS_LEAST 3u
#define ORDERS 6u /* of three arms */
/* What a check costs, in updates. */
#define CHECK_UPDATES 8.0
/* A time from the check is good enough from here on. */
#define LONG_NS 1e7

struct set {
    const struct bm_set_request *request;
    struct bm_set_result *result;
    struct bm_turn_shape shape;
    double round_s; /* mean of the rounds so far */
    char describe[BM_ARM_COUNT][4096];
    double times_ns[BM_SET_ROUNDS_MAX][BM_ARM_COUNT];
};

static enum bm_side side_of(enum bm_arm arm) {
    return arm == BM_ARM_HEAD ? BM_SIDE_HEAD : BM_SIDE_BASE;
}

static uint32_t worker_of(enum bm_arm arm) {
    return arm == BM_ARM_AGAIN ? 1 : 0;
}

static int is_good(const struct set *set, enum bm_side side) {
    return set->result->verdict[side].kind == BM_VERDICT_OK;
}

static int are_good(const struct set *set) {
    return is_good(set, BM_SIDE_BASE) && is_good(set, BM_SIDE_HEAD);
}

/* One question to an arm, which takes over `command`. 1 if the answer is good. */
static int32_t
ask(const struct set *set, enum bm_arm arm, json_t *command, double expected_s, json_t **reply) {
    enum bm_side side = side_of(arm);
    double limit_s = set->request->hang_time_s + 20 * expected_s;
    return bm_row_ask(set->request->row[side], worker_of(arm), command, limit_s, reply,
                      &set->result->verdict[side]);
}

/* The same where only the verdict matters. */
static int32_t tell(const struct set *set, enum bm_arm arm, const char *what, double expected_s) {
    json_t *reply = NULL;
    int32_t good = ask(set, arm, json_pack("{s:s}", "do", what), expected_s, &reply);
    json_decref(reply);
    return good;
}

/* ---- Numbers ---- */

void bm_set_values(const double (*times_ns)[BM_ARM_COUNT],
                   uint32_t rounds,
                   double *log_ratio,
                   double *aa) {
    double to_base[BM_SET_ROUNDS_MAX];
    double to_again[BM_SET_ROUNDS_MAX];
    double arms[BM_SET_ROUNDS_MAX];
    BM_ASSERT(rounds > 0 && rounds <= BM_SET_ROUNDS_MAX);
    for (uint32_t i = 0; i < rounds; i++) {
        double head = log(times_ns[i][BM_ARM_HEAD]);
        to_base[i] = head - log(times_ns[i][BM_ARM_BASE]);
        to_again[i] = head - log(times_ns[i][BM_ARM_AGAIN]);
        arms[i] = to_base[i] - to_again[i];
    }
    *log_ratio = (bm_stats_median(to_base, rounds) + bm_stats_median(to_again, rounds)) / 2;
    *aa = bm_stats_median(arms, rounds);
}

static double median_ns(const struct set *set, enum bm_side side) {
    double values[2 * BM_SET_ROUNDS_MAX] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->result->rounds; i++) {
        if (side == BM_SIDE_HEAD) {
            values[count++] = set->times_ns[i][BM_ARM_HEAD];
        } else {
            values[count++] = set->times_ns[i][BM_ARM_BASE];
            values[count++] = set->times_ns[i][BM_ARM_AGAIN];
        }
    }
    return bm_stats_median(values, count);
}

void bm_set_order(uint64_t seed, uint32_t number, uint32_t round, enum bm_arm order[BM_ARM_COUNT]) {
    static const enum bm_arm orders[ORDERS][BM_ARM_COUNT] = {
        {BM_ARM_BASE, BM_ARM_AGAIN, BM_ARM_HEAD}, {BM_ARM_HEAD, BM_ARM_AGAIN, BM_ARM_BASE},
        {BM_ARM_AGAIN, BM_ARM_HEAD, BM_ARM_BASE}, {BM_ARM_BASE, BM_ARM_HEAD, BM_ARM_AGAIN},
        {BM_ARM_HEAD, BM_ARM_BASE, BM_ARM_AGAIN}, {BM_ARM_AGAIN, BM_ARM_BASE, BM_ARM_HEAD},
    };

    uint32_t drawn[ORDERS] = {0, 1, 2, 3, 4, 5};
    uint32_t block = number * BM_SET_ROUNDS_MAX + round / ORDERS;
    struct bm_random random;
    bm_random_init(&random, seed, BM_RANDOM_ARMS, block);
    for (uint32_t i = ORDERS; i > 1; i--) {
        uint32_t k = bm_random_below(&random, i);
        uint32_t moved = drawn[i - 1];
        drawn[i - 1] = drawn[k];
        drawn[k] = moved;
    }
    memcpy(order, orders[drawn[round % ORDERS]], sizeof orders[0]);
}

/* ---- Before the rounds ---- */

/* Where stacks lie can make a program faster or slower; a little more environment moves them. */
static void fill_padding(const struct set *set, enum bm_arm arm, char *padding) {
    struct bm_random random;
    bm_random_init(&random, set->request->of->seed, BM_RANDOM_SET,
                   set->request->number * BM_ARM_COUNT + (uint32_t)arm);
    uint32_t length = bm_random_below(&random, PADDING_MAX);
    memset(padding, 'x', length);
    padding[length] = '\0';
}

static void note_describe(struct set *set, enum bm_arm arm, const json_t *reply) {
    const char *text = json_string_value(json_object_get(reply, "describe"));
    if (text != NULL) {
        (void)snprintf(set->describe[arm], sizeof set->describe[0], "%s", text);
    }
}

/* The session of an arm whose worker runs, in place of one that it has. */
static int32_t create_session(struct set *set, enum bm_arm arm) {
    const struct bm_set_request *request = set->request;
    json_t *reply = NULL;
    json_t *create = bm_row_create_command(request->row[side_of(arm)], request->of, request->batch);
    int32_t good = ask(set, arm, create, 1, &reply);
    if (good) {
        note_describe(set, arm, reply);
    }
    json_decref(reply);
    return good;
}

static void open_arm(struct set *set, enum bm_arm arm) {
    const struct bm_set_request *request = set->request;
    enum bm_side side = side_of(arm);
    struct bm_row *row = request->row[side];
    char padding[PADDING_MAX];
    fill_padding(set, arm, padding);
    row->padding = padding;
    int32_t good = bm_row_start(row, worker_of(arm), request->of, request->hang_time_s,
                                &set->result->verdict[side]);
    row->padding = NULL;
    if (good) {
        (void)create_session(set, arm);
    }
}

static void check_arm(struct set *set, enum bm_arm arm, double *update_ns) {
    json_t *reply = NULL;
    double expected_s = 1e-9 * CHECK_UPDATES * set->request->update_ns;
    if (ask(set, arm, json_pack("{s:s}", "do", "check"), expected_s, &reply)) {
        note_describe(set, arm, reply);
        *update_ns = json_number_value(json_object_get(reply, "update_ns"));
    }
    json_decref(reply);
}

/* Each arm of a side until one fails; the other side goes on. */
static void open_arms(struct set *set) {
    enum bm_arm order[BM_ARM_COUNT];
    bm_set_order(set->request->of->seed, set->request->number, 0, order);
    for (uint32_t place = 0; place < BM_ARM_COUNT; place++) {
        if (is_good(set, side_of(order[place]))) {
            open_arm(set, order[place]);
        }
    }
}

/* A tuner that measures may choose otherwise in every process, and then sets would compare one
 * choice with another: until the others agree with the arm that came first, they are asked again.
 */
static void make_alike(struct set *set) {
    struct bm_set_result *result = set->result;
    enum bm_arm order[BM_ARM_COUNT];
    char before[sizeof set->describe[0]];
    bm_set_order(set->request->of->seed, set->request->number, 0, order);
    const char *wanted = set->describe[order[0]];
    uint32_t is_lottery =
        bm_choices_differ(set->describe[BM_ARM_BASE], set->describe[BM_ARM_AGAIN]);
    for (uint32_t place = 1; place < BM_ARM_COUNT; place++) {
        const char *found = set->describe[order[place]];
        for (uint32_t i = 0; i < set->request->retries && bm_choices_differ(wanted, found); i++) {
            memcpy(before, found, sizeof before);
            result->retries++;
            if (!create_session(set, order[place])) {
                return;
            }
            is_lottery |= bm_choices_differ(before, found);
        }
        result->is_unlike |= bm_choices_differ(wanted, found);
    }
    result->is_stubborn = result->is_unlike && !is_lottery;
}

/* All three, so that they have lived through the same. */
static void check_arms(struct set *set, double *update_ns) {
    for (uint32_t arm = 0; arm < BM_ARM_COUNT; arm++) {
        enum bm_side side = side_of((enum bm_arm)arm);
        double found_ns = 0;
        if (is_good(set, side) && !set->request->row[side]->computes_nothing) {
            check_arm(set, (enum bm_arm)arm, &found_ns);
        }
        *update_ns = fmax(*update_ns, found_ns);
    }
}

static double calibrate(const struct set *set, enum bm_arm arm) {
    json_t *reply = NULL;
    double found_ns = 0;
    if (ask(set, arm, json_pack("{s:s}", "do", "calibrate"), 1, &reply)) {
        found_ns = json_number_value(json_object_get(reply, "update_ns"));
    }
    json_decref(reply);
    return found_ns;
}

/* How long an update of the slowest arm takes, in a warm session: turns are as many updates for all
 * arms, and those of a head many times as slow would leave no time for enough of them. */
static double estimate_ns(const struct set *set, double checked_ns) {
    if (set->request->update_ns > 0) {
        return set->request->update_ns;
    }
    if (checked_ns > LONG_NS) {
        return checked_ns;
    }
    double slowest_ns = 0;
    for (uint32_t arm = 0; arm < BM_ARM_COUNT && are_good(set); arm++) {
        slowest_ns = fmax(slowest_ns, calibrate(set, (enum bm_arm)arm));
    }
    return slowest_ns;
}

static int32_t fail_answer(const struct set *set, enum bm_arm arm) {
    struct bm_verdict *verdict = &set->result->verdict[side_of(arm)];
    verdict->kind = BM_VERDICT_ERROR;
    (void)snprintf(verdict->reason, sizeof verdict->reason,
                   "worker: expected a positive time, found another");
    return 0;
}

/* Shapes the turns and has all arms go back to the start. */
static int32_t open_turns(struct set *set, double checked_ns) {
    double update_ns = estimate_ns(set, checked_ns);
    if (!are_good(set)) {
        return 0;
    }
    if (!(update_ns > 0) || !isfinite(update_ns)) {
        return fail_answer(set, BM_ARM_BASE);
    }
    set->result->estimate_ns = update_ns;
    set->shape = bm_turn_shape(update_ns);
    int32_t good = 1;
    for (uint32_t arm = 0; arm < BM_ARM_COUNT && good; arm++) {
        good = tell(set, (enum bm_arm)arm, "turn_open", 1);
    }
    return good;
}

/* ---- Rounds ---- */

/* A corrupted worker may answer anything. */
static int32_t take_turn(const struct set *set, enum bm_arm arm, double *time_ns) {
    const struct bm_turn_shape *shape = &set->shape;
    double updates = (double)shape->unrecorded + shape->updates;
    json_t *reply = NULL;
    json_t *command =
        json_pack("{s:s, s:I, s:I}", "do", "turn", "unrecorded", (json_int_t)shape->unrecorded,
                  "updates", (json_int_t)shape->updates);
    int32_t good = ask(set, arm, command, 1e-9 * updates * set->result->estimate_ns, &reply);
    *time_ns = json_number_value(json_object_get(reply, "ns"));
    json_decref(reply);
    return !good || (*time_ns > 0 && isfinite(*time_ns)) ? good : fail_answer(set, arm);
}

static int32_t run_round(const struct set *set, uint32_t round, double *times_ns) {
    enum bm_arm order[BM_ARM_COUNT];
    int32_t good = 1;
    bm_set_order(set->request->of->seed, set->request->number, round, order);
    for (uint32_t place = 0; place < BM_ARM_COUNT && good; place++) {
        good = take_turn(set, order[place], &times_ns[order[place]]);
    }
    return good;
}

static int is_enough(const struct set *set, uint32_t rounds, double passed_s) {
    const struct bm_set_request *request = set->request;
    double next_s = passed_s + set->round_s;
    return (rounds >= ROUNDS_WANTED && next_s > request->length_s) ||
           (rounds >= ROUNDS_LEAST && next_s > request->longest_s);
}

/* The first round fetches code and data, and does not count. */
static int32_t run_rounds(struct set *set, double begun_s) {
    double thrown_away[BM_ARM_COUNT];
    double first_s = bm_now_s();
    int32_t good = run_round(set, 0, thrown_away);
    uint32_t round = 0;
    for (; round < BM_SET_ROUNDS_MAX && good; round++) {
        double now_s = bm_now_s();
        set->round_s = (now_s - first_s) / (round + 1);
        if (is_enough(set, round, now_s - begun_s)) {
            break;
        }
        good = run_round(set, round, set->times_ns[round]);
    }
    set->result->rounds = round;
    return good;
}

/* ---- After the rounds ---- */

/* The timed updates must have done their work, and the sessions must end well. */
static void check_after(const struct set *set) {
    static const enum bm_arm arms[] = {BM_ARM_BASE, BM_ARM_HEAD};

    double updates =
        (double)(set->result->rounds + 1) * (double)(set->shape.unrecorded + set->shape.updates);
    for (size_t i = 0; i < sizeof arms / sizeof arms[0] && are_good(set); i++) {
        if (!set->request->row[side_of(arms[i])]->computes_nothing) {
            (void)tell(set, arms[i], "turn_replay", 1e-9 * updates * set->result->estimate_ns);
        }
    }
    for (size_t i = 0; i < sizeof arms / sizeof arms[0] && are_good(set); i++) {
        (void)tell(set, arms[i], "destroy", 1);
    }
}

static void stop_arms(const struct set *set) {
    for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
        bm_schedule_stop(set->request->row[side]);
    }
}

static void measure(struct set *set) {
    struct bm_set_result *result = set->result;
    double begun_s = bm_now_s();
    double checked_ns = 0;
    open_arms(set);
    double opened_s = bm_now_s();
    if (are_good(set)) {
        make_alike(set);
    }
    double alike_s = bm_now_s();
    if (set->request->checks) {
        check_arms(set, &checked_ns);
        result->checks_s = bm_now_s() - alike_s;
    }
    begun_s += bm_now_s() - opened_s;
    if (!are_good(set) || !open_turns(set, checked_ns) || !run_rounds(set, begun_s)) {
        return;
    }
    bm_set_values((const double(*)[BM_ARM_COUNT])set->times_ns, result->rounds, &result->log_ratio,
                  &result->aa);
    result->update_ns[BM_SIDE_BASE] = median_ns(set, BM_SIDE_BASE);
    result->update_ns[BM_SIDE_HEAD] = median_ns(set, BM_SIDE_HEAD);
    double ended_s = bm_now_s();
    if (set->request->checks) {
        check_after(set);
        result->checks_s += bm_now_s() - ended_s;
    }
}

void bm_set_measure(const struct bm_set_request *request, struct bm_set_result *result) {
    struct set set = {.request = request, .result = result};
    double begun_s = bm_now_s();
    memset(result, 0, sizeof *result);
    measure(&set);
    stop_arms(&set);
    (void)snprintf(result->describe[BM_SIDE_BASE], sizeof result->describe[0], "%s",
                   set.describe[BM_ARM_BASE]);
    (void)snprintf(result->describe[BM_SIDE_HEAD], sizeof result->describe[0], "%s",
                   set.describe[BM_ARM_HEAD]);
    result->seconds = bm_now_s() - begun_s;
}
