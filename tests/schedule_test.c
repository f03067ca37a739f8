/* Rounds of made-up cells: the program is its own worker, which answers what a test has written,
 * and the clock moves by what is announced. No time is measured. */
#include "schedule.h"

#include "channel.h"
#include "interrupt.h"
#include "serve.h"
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMAGES 100u
#define BATCH 10u
#define HOST_SERIES 5u /* gradient, apply, update, pipelined, updates */
#define ANSWERS "SCHEDULE_TEST_ANSWERS"

/* ---- The worker ---- */

/* Of a block the series, of anything else what is to be done. */
static const char *question(const json_t *command) {
    const char *what = json_string_value(json_object_get(command, "do"));
    return strcmp(what, "block") == 0 ? json_string_value(json_object_get(command, "series"))
                                      : what;
}

static void stretch(json_t *samples, double factor) {
    for (size_t i = 0; i < json_array_size(samples); i++) {
        double ns = json_number_value(json_array_get(samples, i));
        (void)json_array_set_new(samples, i, json_real(factor * ns));
    }
}

/* With a `drift` each block of updates takes longer than the one before. */
static json_t *answer(const json_t *answers, const json_t *command) {
    static uint32_t blocks;
    const char *name = question(command);
    json_t *reply = json_deep_copy(json_object_get(answers, name));
    reply = reply == NULL ? json_object() : reply;
    if (strcmp(name, "update") == 0) {
        double drift = json_number_value(json_object_get(answers, "drift"));
        stretch(json_object_get(reply, "samples_ns"), 1 + drift * blocks++);
    }
    (void)json_object_set_new(reply, "status", json_string("ok"));
    return reply;
}

static _Noreturn void serve(void) {
    struct bm_frame_buffer buffer = {0};
    struct bm_error error;
    json_t *answers = json_loads(bm_test_env(ANSWERS), 0, NULL);
    json_t *command = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int32_t status = bm_channel_receive(BM_SERVE_COMMAND_FD, &buffer, &command, &error);
    while (status == BM_STATUS_OK && command != NULL) {
        json_t *reply = answer(answers, command);
        json_decref(command);
        status = bm_channel_send(BM_SERVE_REPLY_FD, reply, &error);
        json_decref(reply);
        if (status == BM_STATUS_OK) {
            status = bm_channel_receive(BM_SERVE_COMMAND_FD, &buffer, &command, &error);
        }
    }
    _exit(0);
}

/* ---- The clock ---- */

/* What a cell's work takes, and what it may take. */
struct scene {
    double check_s;
    double step_ns[HOST_SERIES];
    double budget_s;
    double spare_s;
    double deadline_s;
    double epoch_time_s;
    double epoch_s; /* of one */
    double later_s;
    double second_ns; /* estimate of an update of another cell; 0: there is none */
    double drift;
    uint32_t replayed; /* the next series that may be replayed */
};

static double clock_s;

static double read_clock(void) {
    return clock_s;
}

static double block_s(const struct scene *scene, const struct bm_cell *cell, uint32_t series) {
    const struct bm_block_shape *shape = &cell->series[series].shape;
    double steps = (double)shape->values * (double)shape->per_value;
    double before_ns = BM_MEASURE_WARM_UP * scene->step_ns[BM_SERIES_UPDATE];
    if (series == BM_SERIES_APPLY) {
        before_ns += scene->step_ns[BM_SERIES_GRADIENT];
    }
    return 1e-9 * (before_ns + steps * scene->step_ns[series]);
}

static double replay_s(struct scene *scene, const struct bm_cell *cell) {
    while (scene->replayed < HOST_SERIES && (!bm_series_steps((enum bm_series)scene->replayed) ||
                                             cell->series[scene->replayed].rounds == 0)) {
        scene->replayed++;
    }
    TEST_CHECK(scene->replayed < HOST_SERIES);
    return block_s(scene, cell, scene->replayed++);
}

static void pass_time(void *context, const struct bm_cell *cell, const char *what) {
    struct scene *scene = context;
    if (strcmp(what, "check") == 0) {
        clock_s += scene->check_s;
    } else if (strcmp(what, "replay") == 0) {
        clock_s += replay_s(scene, cell);
    } else if (strcmp(what, "epoch") == 0) {
        clock_s += scene->epoch_s;
    }
    for (uint32_t i = 0; i < HOST_SERIES; i++) {
        clock_s += strcmp(what, bm_series_names[i]) == 0 ? block_s(scene, cell, i) : 0;
    }
}

static double later_s(void *context) {
    return ((const struct scene *)context)->later_s;
}

/* ---- Measuring ---- */

static struct bm_options options;
static struct bm_plugin_file file = {.name = "made", .opened = {.fd = -1}};
static struct bm_plugin_answer loaded;
static struct bm_dataset dataset = {.name = "made", .shape = {1, 6, 6}, .class_count = 10};
static struct bm_model model;
static struct bm_case of = {.model = &model,
                            .dataset = &dataset,
                            .precision = BM_PRECISION_FLOAT32,
                            .optimizer = BM_OPTIMIZER_SGD,
                            .threads = 1,
                            .seed = 1,
                            .lr = 1e-3,
                            .reference_fd = -1};

static struct bm_cell cell;
static struct bm_cell second;
static double learned_ns; /* what larger sizes are planned by */

static void make_case(void) {
    struct bm_error error;
    dataset.fd = -1;
    dataset.split[BM_SPLIT_TRAIN].count = IMAGES;
    TEST_CHECK_MSG(bm_model_parse("custom", "dense 10", dataset.shape, dataset.class_count, &model,
                                  &error) == BM_STATUS_OK,
                   "%s", error.text);
    bm_model_format(&model, of.layers, sizeof of.layers);
}

/* Those of a worker that is well. */
static json_t *answers_of(const struct scene *scene) {
    double update_ns = scene->step_ns[BM_SERIES_UPDATE];
    json_t *answers =
        json_pack("{s:{s:f, s:i}, s:{s:f}, s:{s:f}, s:{s:f}, s:f}", "create", "clock_ns", 20.0,
                  "updates_max", 64, "check", "update_ns", update_ns, "calibrate", "update_ns",
                  update_ns, "epoch", "seconds", 0.25, "drift", scene->drift);
    TEST_CHECK(answers != NULL);
    for (uint32_t i = 0; i < HOST_SERIES; i++) {
        double ns = scene->step_ns[i];
        (void)json_object_set_new(
            answers, bm_series_names[i],
            json_pack("{s:[f, f, f], s:f}", "samples_ns", ns, ns, ns, "cpu_ns", ns));
    }
    return answers;
}

static void tell_worker(json_t *answers) {
    char *text = json_dumps(answers, JSON_COMPACT);
    TEST_CHECK(text != NULL && setenv(ANSWERS, text, 1) == 0);
    free(text);
    json_decref(answers);
}

static int has_no_child(void) {
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* Takes over the answers. */
static void measure(struct scene *scene, json_t *answers) {
    const struct bm_row row = {
        .options = &options, .file = &file, .answer = &loaded, .data_parallel = 1};
    struct bm_row rows[2] = {row, row};
    struct bm_cell cells[2];
    const struct bm_schedule schedule = {.rows = rows,
                                         .row_count = 2,
                                         .deadline_s = scene->deadline_s,
                                         .epoch_time_s = scene->epoch_time_s,
                                         .hang_time_s = 60,
                                         .seed = 1,
                                         .now_s = read_clock,
                                         .later_s = later_s,
                                         .progress = pass_time,
                                         .context = scene};
    tell_worker(answers);
    clock_s = 0;
    scene->replayed = 0;
    for (uint32_t i = 0; i < 2; i++) {
        cells[i] = (struct bm_cell){.row = &rows[i],
                                    .of = &of,
                                    .batch = BATCH,
                                    .requested = BATCH,
                                    .update_ns = i == 0 ? 0 : scene->second_ns,
                                    .budget_s = scene->budget_s,
                                    .spare_s = scene->spare_s,
                                    .active = 1};
    }
    bm_schedule_measure(&schedule, cells, scene->second_ns > 0 ? 2 : 1);
    cell = cells[0];
    second = cells[1];
    learned_ns = bm_row_estimate_ns(&rows[0], BATCH);
    json_t *object = bm_cell_json(&cell);
    TEST_CHECK_STR(json_string_value(json_object_get(object, "status")),
                   bm_verdict_status(cell.verdict.kind));
    json_decref(object);
    bm_schedule_stop(&rows[0]);
    bm_schedule_stop(&rows[1]);
    TEST_CHECK(has_no_child());
    cell.row = NULL;
    second.row = NULL;
}

static void measure_well(struct scene *scene) {
    measure(scene, answers_of(scene));
    TEST_CHECK_MSG(cell.verdict.kind == BM_VERDICT_OK, "%s", cell.verdict.reason);
}

static void check_rounds(uint32_t series, uint32_t expected) {
    TEST_CHECK_MSG(cell.series[series].rounds == expected, "%s: found %u rounds, expected %u",
                   bm_series_names[series], cell.series[series].rounds, expected);
}

/* ---- Series that are shorter than an update ---- */

/* An apply takes a fiftieth of its update. A round of all series is 0.57 s: the unrecorded updates
 * of each are 46 ms, and its steps 50 to 70. */
static const struct scene uneven = {
    .check_s = 0.2,
    .step_ns = {22.5e6, 0.48e6, 23e6, 22e6, 22e6},
    .budget_s = 6,
    .spare_s = 6,
    .deadline_s = 1000,
};

static void test_all_series(void) {
    struct scene scene = uneven;
    measure_well(&scene);
    TEST_CHECK_STR(cell.series[BM_SERIES_UPDATE].stopped, "known to 1 %");
    for (uint32_t i = 0; i < HOST_SERIES; i++) {
        check_rounds(i, 5);
    }
    TEST_CHECK_MSG(cell.spent_s < 3.1, "%g s", cell.spent_s);
}

/* Five rounds of all series do not fit: those beside the update have one. */
static void test_short_cell(void) {
    struct scene scene = uneven;
    scene.budget_s = 2;
    scene.drift = 0.1;
    measure_well(&scene);
    TEST_CHECK_STR(cell.series[BM_SERIES_UPDATE].stopped, "cell time");
    TEST_CHECK(cell.series[BM_SERIES_UPDATE].rounds > 5 && cell.spent_s <= scene.budget_s);
    check_rounds(BM_SERIES_GRADIENT, 1);
    check_rounds(BM_SERIES_APPLY, 1);
    check_rounds(BM_SERIES_PIPELINED, 1);
}

/* Nine rounds of 0.57 s after the check, with 0.46 s for the replays. */
static void test_time_limit(void) {
    struct scene scene = uneven;
    scene.budget_s = 100;
    scene.deadline_s = 6;
    scene.drift = 0.1;
    measure_well(&scene);
    TEST_CHECK_STR(cell.series[BM_SERIES_UPDATE].stopped, "time limit");
    for (uint32_t i = 0; i < HOST_SERIES; i++) {
        check_rounds(i, 9);
    }
    TEST_CHECK_MSG(clock_s <= scene.deadline_s, "over after %g s", clock_s);
}

/* Six rounds fit beside what larger sizes need; where none does, the fewest are made all the same.
 */
static void test_later_sizes(void) {
    struct scene scene = uneven;
    scene.budget_s = 100;
    scene.drift = 0.1;
    scene.later_s = 995.5;
    measure_well(&scene);
    TEST_CHECK_STR(cell.series[BM_SERIES_UPDATE].stopped, "time limit");
    check_rounds(BM_SERIES_UPDATE, 6);
    TEST_CHECK_MSG(clock_s + scene.later_s <= scene.deadline_s, "over after %g s", clock_s);
    scene.later_s = 1000;
    measure_well(&scene);
    TEST_CHECK_STR(cell.series[BM_SERIES_UPDATE].stopped, "time limit");
    check_rounds(BM_SERIES_UPDATE, 5);
}

/* Of three values something disturbed the second. */
static void test_disturbed_estimate(void) {
    struct scene scene = uneven;
    json_t *answers = answers_of(&scene);
    (void)json_object_set_new(answers, "apply",
                              json_pack("{s:[f, f, f]}", "samples_ns", 0.4e6, 5e6, 0.5e6));
    measure(&scene, answers);
    TEST_CHECK(cell.series[BM_SERIES_APPLY].shape.values == 100);
}

/* The check's update took twice as long as those that were timed. */
static void test_disturbed_check(void) {
    struct scene scene = uneven;
    json_t *answers = answers_of(&scene);
    (void)json_object_set_new(answers, "check", json_pack("{s:f}", "update_ns", 46e6));
    measure(&scene, answers);
    TEST_CHECK(cell.update_ns == 46e6 && learned_ns == 23e6);
}

/* ---- A long check ---- */

/* It says nothing about rounds of a second: five of them and a replay fit behind it. A cell needs
 * 8.6 s with its check, 7 without. */
static const struct scene long_check = {
    .check_s = 30,
    .step_ns = {0.2e9, 0.2e9, 0.2e9, 0.2e9, 0.2e9},
    .budget_s = 9,
    .deadline_s = 37.5,
};

static void test_long_check(void) {
    struct scene scene = long_check;
    measure_well(&scene);
    check_rounds(BM_SERIES_UPDATE, 5);
    TEST_CHECK_STR(cell.series[BM_SERIES_UPDATE].stopped, "known to 1 %");
    TEST_CHECK(cell.check_s == 30 && clock_s <= scene.deadline_s);
}

/* What the first needs is not left for the second, whose check would take it. */
static void test_claim(void) {
    struct scene scene = long_check;
    scene.deadline_s = 44.5;
    scene.second_ns = 0.2e9;
    measure_well(&scene);
    check_rounds(BM_SERIES_UPDATE, 5);
    TEST_CHECK(second.verdict.kind == BM_VERDICT_SKIPPED && second.check_s == 0);
    TEST_CHECK_STR(second.verdict.reason,
                   "an update takes about 0.2 s, so the cell 9 s; 7 s of the time limit are left "
                   "for it");
    scene.deadline_s = 36.5;
    measure(&scene, answers_of(&scene));
    TEST_CHECK(cell.verdict.kind == BM_VERDICT_SKIPPED);
    TEST_CONTAINS(cell.verdict.reason, "so the rest of the cell");
}

/* ---- Epochs ---- */

static void check_epochs(const struct scene *sane, uint32_t expected) {
    struct scene scene = *sane;
    measure_well(&scene);
    TEST_CHECK_MSG(cell.epoch_count == expected, "found %u epochs, expected %u", cell.epoch_count,
                   expected);
    TEST_CHECK(clock_s + scene.later_s <= scene.deadline_s);
}

/* An epoch of ten updates of 22 ms that takes 0.35 s, after 3.5 s for check, rounds and replays. */
static void test_epochs(void) {
    struct scene scene = uneven;
    scene.epoch_s = 0.35;
    check_epochs(&scene, 0);
    scene.epoch_time_s = 20;
    check_epochs(&scene, 3);
    scene.epoch_time_s = 0.8;
    check_epochs(&scene, 2);
    scene.epoch_time_s = 20;
    scene.spare_s = 0.5; /* the first takes none of it, and two are more */
    check_epochs(&scene, 1);
    scene.spare_s = 6;
    scene.later_s = 995.6;
    check_epochs(&scene, 2);
    scene.later_s = 996.3;
    check_epochs(&scene, 0);
}

/* ---- Answers that are none ---- */

/* Takes over `reply`. */
static void
check_garbage(const struct scene *sane, const char *what, json_t *reply, const char *reason) {
    struct scene scene = *sane;
    json_t *answers = answers_of(&scene);
    (void)json_object_set_new(answers, what, reply);
    measure(&scene, answers);
    TEST_CHECK_MSG(cell.verdict.kind == BM_VERDICT_ERROR, "%s: found %s: %s", what,
                   bm_verdict_status(cell.verdict.kind), cell.verdict.reason);
    TEST_CONTAINS(cell.verdict.reason, reason);
}

static void test_garbage(void) {
    struct scene scene = uneven;
    scene.epoch_time_s = 100;
    measure_well(&scene);
    TEST_CHECK(cell.epoch_count == 3 && cell.epoch_s[2] == 0.25);
    check_garbage(&scene, "epoch", json_object(), "time of an epoch");
    check_garbage(&scene, "epoch", json_pack("{s:f}", "seconds", 0.0), "time of an epoch");
    check_garbage(&scene, "epoch", json_pack("{s:f}", "seconds", -1.5), "time of an epoch");
    check_garbage(&scene, "epoch", json_pack("{s:s}", "seconds", "1"), "time of an epoch");
    check_garbage(&scene, "update", json_object(), "1 to 20 positive times");
    scene.step_ns[BM_SERIES_UPDATE] = 1000; /* too short for the check's own to do */
    check_garbage(&scene, "calibrate", json_object(), "time of an update");
    check_garbage(&scene, "calibrate", json_pack("{s:f}", "update_ns", -1.0), "time of an update");
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "worker") == 0) {
        serve();
    }
    (void)alarm(600);
    bm_interrupt_catch();
    make_case();
    test_all_series();
    test_short_cell();
    test_time_limit();
    test_later_sizes();
    test_disturbed_estimate();
    test_disturbed_check();
    test_long_check();
    test_claim();
    test_epochs();
    test_garbage();
    return 0;
}
