/* Schedules against values by hand, both forms of momentum against their recursions, and plans
 * through JSON and back. */
#include "error.h"
#include "rate.h"
#include "test.h"

#include <math.h>

static void check_close(double found, double expected) {
    TEST_CHECK_MSG(fabs(found - expected) <= 1e-14 * fabs(expected), "found %.17g, expected %.17g",
                   found, expected);
}

/* 10 updates an epoch, 90 planned, rate .5. */
static struct bm_rate_plan make_plan(uint32_t schedule) {
    struct bm_rate_plan plan = bm_rate_plan_defaults(schedule, 0.5, 100, 10, 90);
    struct bm_error error;
    TEST_CHECK(bm_rate_plan_check(&plan, &error) == BM_STATUS_OK);
    return plan;
}

static void test_names(void) {
    const char *const schedules[] = {[BM_RATE_CONSTANT] = "constant",
                                     [BM_RATE_LINEAR] = "linear",
                                     [BM_RATE_SQRT] = "sqrt",
                                     [BM_RATE_STEP] = "step",
                                     [BM_RATE_POLYNOMIAL] = "polynomial"};
    const char *const forms[] = {[BM_RATE_LECTURE] = "lecture", [BM_RATE_PYTORCH] = "pytorch"};
    for (int32_t i = 0; i < (int32_t)BM_RATE_SCHEDULE_COUNT; i++) {
        TEST_CHECK(bm_rate_schedule_find(schedules[i]) == i);
    }
    for (int32_t i = 0; i < (int32_t)BM_RATE_FORM_COUNT; i++) {
        TEST_CHECK(bm_rate_form_find(forms[i]) == i);
    }
    TEST_CHECK(bm_rate_schedule_find("cosine") == -1 && bm_rate_form_find("Lecture") == -1);
    TEST_CHECK(bm_rate_schedule_names[BM_RATE_SCHEDULE_COUNT] == NULL);
    TEST_CHECK(bm_rate_form_names[BM_RATE_FORM_COUNT] == NULL);
}

static void test_defaults(void) {
    struct bm_rate_plan plan = bm_rate_plan_defaults(BM_RATE_STEP, 0.5, 7, 11, 13);
    TEST_CHECK(plan.schedule == BM_RATE_STEP && plan.momentum_form == BM_RATE_LECTURE);
    TEST_CHECK(plan.rate == 0.5 && plan.batch == 7 && plan.base_batch == 100);
    TEST_CHECK(plan.updates_per_epoch == 11 && plan.updates == 13);
    TEST_CHECK(plan.warmup_epochs == 5 && plan.step_factor == 0.1);
    TEST_CHECK(plan.power == 2 && plan.end_rate == 0);
}

/* ---- Rates ---- */

static void test_constant(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_CONSTANT);
    plan.batch = 60000;
    plan.updates = 0;
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5 && bm_rate_at(&plan, 90) == 0.5);
    TEST_CHECK(bm_rate_at(&plan, 1ull << 53) == 0.5);
}

static void test_sqrt(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_SQRT);
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5);
    plan.batch = 400;
    TEST_CHECK(bm_rate_at(&plan, 1) == 1.0 && bm_rate_at(&plan, 90) == 1.0);
    plan.batch = 25;
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.25);
}

/* k = 8: from .5 by steps of 3.5 / 20 to 4 at update 21. */
static void test_linear(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_LINEAR);
    plan.batch = 800;
    plan.warmup_epochs = 2;
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5);
    check_close(bm_rate_at(&plan, 2), 0.5 + 3.5 / 20);
    check_close(bm_rate_at(&plan, 11), 2.25);
    check_close(bm_rate_at(&plan, 20), 4.0 - 3.5 / 20);
    TEST_CHECK(bm_rate_at(&plan, 21) == 4.0 && bm_rate_at(&plan, 90) == 4.0);
    plan.warmup_epochs = 0.25;
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5);
    check_close(bm_rate_at(&plan, 2), 1.9);
    check_close(bm_rate_at(&plan, 3), 3.3);
    TEST_CHECK(bm_rate_at(&plan, 4) == 4.0);
    plan.warmup_epochs = 0;
    TEST_CHECK(bm_rate_at(&plan, 1) == 4.0);
}

/* The usual 5 epochs are 50 updates, but of 90 planned at most 45, of 3 at most 1.5. */
static void test_linear_in_short_runs(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_LINEAR);
    plan.batch = 1000;
    check_close(bm_rate_at(&plan, 45), 5.0 - 4.5 / 45);
    TEST_CHECK(bm_rate_at(&plan, 46) == 5.0);
    plan.updates = 3;
    check_close(bm_rate_at(&plan, 2), 3.5);
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5 && bm_rate_at(&plan, 3) == 5.0);
    plan.updates = 0;
    check_close(bm_rate_at(&plan, 46), 0.5 + 4.5 * 45 / 50);
    TEST_CHECK(bm_rate_at(&plan, 51) == 5.0);
}

static void test_linear_below_the_base(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_LINEAR);
    plan.batch = 10;
    check_close(bm_rate_at(&plan, 1), 0.05);
    check_close(bm_rate_at(&plan, 90), 0.05);
    plan.batch = 100;
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5 && bm_rate_at(&plan, 90) == 0.5);
}

static void test_step(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_STEP);
    plan.batch = 800;
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5 && bm_rate_at(&plan, 30) == 0.5);
    check_close(bm_rate_at(&plan, 31), 0.05);
    check_close(bm_rate_at(&plan, 60), 0.05);
    check_close(bm_rate_at(&plan, 61), 0.005);
    check_close(bm_rate_at(&plan, 80), 0.005);
    check_close(bm_rate_at(&plan, 81), 0.0005);
    check_close(bm_rate_at(&plan, 1000), 0.0005);
    plan.updates = 10; /* after 3.33, 6.67 and 8.89 updates */
    TEST_CHECK(bm_rate_at(&plan, 4) == 0.5);
    check_close(bm_rate_at(&plan, 5), 0.05);
    check_close(bm_rate_at(&plan, 7), 0.05);
    check_close(bm_rate_at(&plan, 8), 0.005);
    check_close(bm_rate_at(&plan, 9), 0.005);
    check_close(bm_rate_at(&plan, 10), 0.0005);
    plan.step_factor = 0.5;
    check_close(bm_rate_at(&plan, 10), 0.0625);
}

static void test_polynomial(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_POLYNOMIAL);
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5);
    check_close(bm_rate_at(&plan, 46), 0.125);
    check_close(bm_rate_at(&plan, 90), 0.5 / 8100);
    TEST_CHECK(bm_rate_at(&plan, 91) == 0 && bm_rate_at(&plan, 1000) == 0);
    plan.power = 1;
    plan.end_rate = 0.1;
    TEST_CHECK(bm_rate_at(&plan, 1) == 0.5);
    check_close(bm_rate_at(&plan, 46), 0.3);
    check_close(bm_rate_at(&plan, 90), 0.1 + 0.4 / 90);
    TEST_CHECK(bm_rate_at(&plan, 91) == 0.1);
}

/* ---- Momentum ---- */

#define TRAINED 100u /* ten updates more than planned */

/* A gradient that depends on where the parameter is: w of (w - 1)^2 with a little of the update. */
static double gradient_at(double w, uint64_t update) {
    return 2.0 * (w - 1.0) + 0.1 * sin((double)update);
}

/* What a plugin computes from what bm_rate_hyper hands to it. */
static void train_plugin(const struct bm_rate_plan *plan, double *path) {
    double w = 0;
    double m = 0;
    for (uint64_t t = 1; t <= TRAINED; t++) {
        struct bm_hyper hyper = bm_rate_hyper(plan, BM_OPTIMIZER_MOMENTUM, t, NULL);
        TEST_CHECK(hyper.update == t && hyper.rate == bm_rate_at(plan, t));
        m = hyper.momentum * m - hyper.rate * gradient_at(w, t);
        w += m;
        path[t - 1] = w;
    }
}

static void train_lecture(const struct bm_rate_plan *plan, double *path) {
    double w = 0;
    double m = 0;
    for (uint64_t t = 1; t <= TRAINED; t++) {
        m = 0.9 * m - bm_rate_at(plan, t) * gradient_at(w, t);
        w += m;
        path[t - 1] = w;
    }
}

/* torch.optim.SGD: buf = momentum * buf + grad; param = param - lr * buf. */
static void train_pytorch(const struct bm_rate_plan *plan, double *path) {
    double w = 0;
    double v = 0;
    for (uint64_t t = 1; t <= TRAINED; t++) {
        v = 0.9 * v + gradient_at(w, t);
        w -= bm_rate_at(plan, t) * v;
        path[t - 1] = w;
    }
}

static double largest_gap(const double *a, const double *b) {
    double gap = 0;
    for (uint32_t i = 0; i < TRAINED; i++) {
        TEST_CHECK(isfinite(a[i]) && isfinite(b[i]));
        gap = fmax(gap, fabs(a[i] - b[i]));
    }
    return gap;
}

/* Each form is its recursion under every schedule; the two are one only where the rate stays. */
static void test_momentum_forms(void) {
    double plugin[TRAINED];
    double lecture[TRAINED];
    double pytorch[TRAINED];
    for (uint32_t schedule = 0; schedule < BM_RATE_SCHEDULE_COUNT; schedule++) {
        struct bm_rate_plan plan = make_plan(schedule);
        uint32_t changes = schedule != BM_RATE_CONSTANT && schedule != BM_RATE_SQRT;
        plan.rate = 0.05;
        plan.batch = 400;
        train_lecture(&plan, lecture);
        train_pytorch(&plan, pytorch);
        TEST_CHECK((largest_gap(lecture, pytorch) > 1e-3) == changes);
        train_plugin(&plan, plugin);
        TEST_CHECK(largest_gap(plugin, lecture) == 0);
        plan.momentum_form = BM_RATE_PYTORCH;
        train_plugin(&plan, plugin);
        TEST_CHECK_MSG(largest_gap(plugin, pytorch) < 1e-13, "%s: %g",
                       bm_rate_schedule_names[schedule], largest_gap(plugin, pytorch));
    }
}

static void test_momentum_values(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_STEP);
    TEST_CHECK(bm_rate_momentum(&plan, 31, 0.9) == 0.9);
    plan.momentum_form = BM_RATE_PYTORCH;
    TEST_CHECK(bm_rate_momentum(&plan, 1, 0.9) == 0.9 && bm_rate_momentum(&plan, 30, 0.9) == 0.9);
    check_close(bm_rate_momentum(&plan, 31, 0.9), 0.09);
    TEST_CHECK(bm_rate_momentum(&plan, 32, 0.9) == 0.9);
    plan.schedule = BM_RATE_POLYNOMIAL;
    TEST_CHECK(bm_rate_momentum(&plan, 91, 0.9) == 0 && bm_rate_momentum(&plan, 92, 0.9) == 0.9);
    plan.schedule = BM_RATE_CONSTANT;
    TEST_CHECK(bm_rate_momentum(&plan, 77, 0.9) == 0.9);
}

/* ---- Hyper-parameters ---- */

static void test_hyper_of_every_rule(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_STEP);
    plan.momentum_form = BM_RATE_PYTORCH;
    for (uint32_t rule = 0; rule < BM_OPTIMIZER_COUNT; rule++) {
        struct bm_hyper expected = bm_optimizer_defaults(rule, bm_rate_at(&plan, 31), 31);
        struct bm_hyper found = bm_rate_hyper(&plan, rule, 31, NULL);
        TEST_CHECK(bm_rate_has_form(rule) == (rule == BM_OPTIMIZER_MOMENTUM));
        if (bm_rate_has_form(rule)) {
            check_close(found.momentum, 0.1 * expected.momentum);
            found.momentum = expected.momentum;
        }
        TEST_CHECK(memcmp(&found, &expected, sizeof found) == 0);
    }
}

static void test_overrides(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_STEP);
    const struct bm_rate_overrides none = {(double)NAN, (double)NAN};
    const struct bm_rate_overrides momentum = {0.5, (double)NAN};
    const struct bm_rate_overrides decay = {(double)NAN, 0.25};
    const struct bm_rate_overrides zeros = {0, 0};
    struct bm_hyper usual = bm_rate_hyper(&plan, BM_OPTIMIZER_LAMB, 5, NULL);
    struct bm_hyper hyper = bm_rate_hyper(&plan, BM_OPTIMIZER_LAMB, 5, &none);
    TEST_CHECK(memcmp(&hyper, &usual, sizeof hyper) == 0);
    TEST_CHECK(usual.decay == 0.01 && usual.momentum == 0.9);
    hyper = bm_rate_hyper(&plan, BM_OPTIMIZER_LAMB, 5, &momentum);
    TEST_CHECK(hyper.momentum == 0.5 && hyper.decay == 0.01);
    hyper = bm_rate_hyper(&plan, BM_OPTIMIZER_LAMB, 5, &decay);
    TEST_CHECK(hyper.momentum == 0.9 && hyper.decay == 0.25);
    hyper = bm_rate_hyper(&plan, BM_OPTIMIZER_LAMB, 5, &zeros);
    TEST_CHECK(hyper.momentum == 0 && hyper.decay == 0);
    plan.momentum_form = BM_RATE_PYTORCH;
    check_close(bm_rate_hyper(&plan, BM_OPTIMIZER_MOMENTUM, 31, &momentum).momentum, 0.05);
}

/* ---- Refusals ---- */

static void check_refused(const struct bm_rate_plan *plan, const char *text) {
    struct bm_error error = {0};
    TEST_CHECK(bm_rate_plan_check(plan, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, text);
}

#define CHECK_FIELD(field, value, text)                                                            \
    do {                                                                                           \
        struct bm_rate_plan changed = make_plan(BM_RATE_CONSTANT);                                 \
        changed.field = (value);                                                                   \
        check_refused(&changed, "rate plan: expected " text);                                      \
    } while (0)

static void test_count_refusals(void) {
    CHECK_FIELD(batch, 0, "batch from 1 to 2^53, found 0");
    CHECK_FIELD(batch, (1ull << 53) + 1, "batch from 1 to 2^53, found 9007199254740993");
    CHECK_FIELD(base_batch, 0, "base_batch from 1 to 2^53, found 0");
    CHECK_FIELD(updates_per_epoch, 0, "updates_per_epoch from 1 to 2^53, found 0");
    CHECK_FIELD(updates, UINT64_MAX, "updates from 0 to 2^53, found 18446744073709551615");
    CHECK_FIELD(schedule, 5, "a schedule below 5, found 5");
    CHECK_FIELD(momentum_form, 2, "a momentum form below 2, found 2");
}

static void test_number_refusals(void) {
    CHECK_FIELD(rate, 0, "rate above 0, found 0");
    CHECK_FIELD(rate, -1, "rate above 0, found -1");
    CHECK_FIELD(rate, (double)INFINITY, "rate above 0, found inf");
    CHECK_FIELD(rate, (double)NAN, "rate above 0, found nan");
    CHECK_FIELD(warmup_epochs, -0.5, "warmup_epochs of 0 or more, found -0.5");
    CHECK_FIELD(warmup_epochs, (double)INFINITY, "warmup_epochs of 0 or more, found inf");
    CHECK_FIELD(step_factor, 0, "step_factor above 0, at most 1, found 0");
    CHECK_FIELD(step_factor, 1.5, "step_factor above 0, at most 1, found 1.5");
    CHECK_FIELD(power, 0, "power above 0, found 0");
    CHECK_FIELD(end_rate, -0.1, "end_rate of 0 or more, found -0.1");
    CHECK_FIELD(end_rate, 0.6, "end_rate at most the rate 0.5, found 0.6");
}

static void test_refusals_of_schedules(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_STEP);
    struct bm_error error;
    plan.updates = 0;
    check_refused(&plan, "schedule step: expected a known number of updates (a budget of epochs or "
                         "updates), found none");
    plan.schedule = BM_RATE_POLYNOMIAL;
    check_refused(&plan, "schedule polynomial: expected a known number of updates (a budget of "
                         "epochs or updates), found none");
    for (uint32_t schedule = BM_RATE_CONSTANT; schedule <= BM_RATE_SQRT; schedule++) {
        plan.schedule = schedule;
        TEST_CHECK(bm_rate_plan_check(&plan, &error) == BM_STATUS_OK);
    }
    plan.schedule = BM_RATE_LINEAR;
    plan.rate = 1e300;
    plan.batch = 1000000000000;
    check_refused(&plan, "schedule linear: expected a finite rate above 0 at batch 1000000000000, "
                         "found inf");
    plan.rate = 5e-324;
    plan.batch = 1;
    check_refused(&plan, "schedule linear: expected a finite rate above 0 at batch 1, found 0");
}

/* ---- JSON ---- */

/* As over the pipe: written, parsed, read. */
static json_t *through_text(json_t *object) {
    TEST_CHECK(object != NULL);
    char *text = json_dumps(object, JSON_COMPACT);
    TEST_CHECK(text != NULL);
    json_t *parsed = json_loads(text, 0, NULL);
    TEST_CHECK(parsed != NULL);
    free(text);
    json_decref(object);
    return parsed;
}

static void test_plan_comes_back(void) {
    for (uint32_t schedule = 0; schedule < BM_RATE_SCHEDULE_COUNT; schedule++) {
        struct bm_rate_plan plan = make_plan(schedule);
        struct bm_rate_plan back;
        struct bm_error error;
        memset(&back, 0xff, sizeof back);
        plan.momentum_form = schedule % 2;
        plan.rate = 0.1 + 0x1p-56;
        plan.batch = 256;
        plan.base_batch = 3;
        plan.updates_per_epoch = 235;
        plan.updates = 1ull << 53;
        plan.warmup_epochs = 1.0 / 3.0;
        plan.step_factor = 1e-9;
        plan.power = 1.7;
        plan.end_rate = 5e-324;
        json_t *object = through_text(bm_rate_plan_json(&plan));
        TEST_CHECK(bm_rate_plan_read(object, &back, &error) == BM_STATUS_OK);
        TEST_CHECK(memcmp(&back, &plan, sizeof plan) == 0);
        json_decref(object);
    }
}

static void test_whole_numbers_are_numbers(void) {
    struct bm_rate_plan plan = make_plan(BM_RATE_CONSTANT);
    struct bm_error error;
    json_t *object = bm_rate_plan_json(&plan);
    TEST_CHECK(json_object_set_new(object, "rate", json_integer(2)) == 0);
    TEST_CHECK(json_object_set_new(object, "later", json_true()) == 0);
    TEST_CHECK(bm_rate_plan_read(object, &plan, &error) == BM_STATUS_OK);
    TEST_CHECK(plan.rate == 2.0);
    json_decref(object);
}

static void check_damage(const char *member, json_t *value, const char *text) {
    struct bm_rate_plan plan = make_plan(BM_RATE_STEP);
    struct bm_error error = {0};
    json_t *object = bm_rate_plan_json(&plan);
    TEST_CHECK(object != NULL);
    TEST_CHECK((value == NULL ? json_object_del(object, member)
                              : json_object_set_new(object, member, value)) == 0);
    TEST_CHECK(bm_rate_plan_read(object, &plan, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, text);
    json_decref(object);
}

static void test_damaged_plans(void) {
    const char *const members[] = {
        "schedule", "momentum_form", "batch",       "base_batch", "updates", "updates_per_epoch",
        "rate",     "warmup_epochs", "step_factor", "power",      "end_rate"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char text[128];
        const char *type = i < 2 ? "a text" : i < 6 ? "an integer" : "a number";
        (void)snprintf(text, sizeof text, "rate plan: expected \"%s\" to be %s, found nothing",
                       members[i], type);
        check_damage(members[i], NULL, text);
        (void)snprintf(text, sizeof text, "rate plan: expected \"%s\" to be %s, found null",
                       members[i], type);
        check_damage(members[i], json_null(), text);
        (void)snprintf(text, sizeof text, "rate plan: expected \"%s\" to be %s, found an array",
                       members[i], type);
        check_damage(members[i], json_array(), text);
    }
    check_damage("schedule", json_string("cosine"),
                 "rate plan: expected \"schedule\" to be one of constant, linear, sqrt, step, "
                 "polynomial, found \"cosine\"");
    check_damage("momentum_form", json_string("heavy ball"),
                 "rate plan: expected \"momentum_form\" to be one of lecture, pytorch, found "
                 "\"heavy ball\"");
    check_damage("batch", json_real(100.0),
                 "rate plan: expected \"batch\" to be an integer, found a number");
    check_damage("rate", json_string("0.1"),
                 "rate plan: expected \"rate\" to be a number, found a text");
    check_damage("batch", json_integer(-1), "rate plan: expected batch from 1 to 2^53, found -1");
    check_damage("rate", json_real(-0.5), "rate plan: expected rate above 0, found -0.5");
    check_damage("updates", json_integer(0),
                 "schedule step: expected a known number of updates (a budget of epochs or "
                 "updates), found none");
}

static void test_not_an_object(void) {
    struct bm_rate_plan plan;
    struct bm_error error = {0};
    json_t *list = json_array();
    TEST_CHECK(bm_rate_plan_read(NULL, &plan, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "rate plan: expected an object, found nothing");
    TEST_CHECK(bm_rate_plan_read(list, &plan, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "rate plan: expected an object, found an array");
    json_decref(list);
}

int main(void) {
    test_names();
    test_defaults();
    test_constant();
    test_sqrt();
    test_linear();
    test_linear_in_short_runs();
    test_linear_below_the_base();
    test_step();
    test_polynomial();
    test_momentum_forms();
    test_momentum_values();
    test_hyper_of_every_rule();
    test_overrides();
    test_count_refusals();
    test_number_refusals();
    test_refusals_of_schedules();
    test_plan_comes_back();
    test_whole_numbers_are_numbers();
    test_damaged_plans();
    test_not_an_object();
    return 0;
}
