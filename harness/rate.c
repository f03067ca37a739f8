#include "rate.h"

#include "error.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

const char *const bm_rate_schedule_names[BM_RATE_SCHEDULE_COUNT + 1] = {
    "constant", "linear", "sqrt", "step", "polynomial", NULL,
};

const char *const bm_rate_form_names[BM_RATE_FORM_COUNT + 1] = {"lecture", "pytorch", NULL};

static int32_t find_name(const char *const *names, const char *name) {
    for (int32_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

int32_t bm_rate_schedule_find(const char *name) {
    return find_name(bm_rate_schedule_names, name);
}

int32_t bm_rate_form_find(const char *name) {
    return find_name(bm_rate_form_names, name);
}

struct bm_rate_plan bm_rate_plan_defaults(
    uint32_t schedule, double rate, uint64_t batch, uint64_t updates_per_epoch, uint64_t updates) {
    return (struct bm_rate_plan){.schedule = schedule,
                                 .momentum_form = BM_RATE_LECTURE,
                                 .rate = rate,
                                 .batch = batch,
                                 .base_batch = BM_RATE_BASE_BATCH,
                                 .updates_per_epoch = updates_per_epoch,
                                 .updates = updates,
                                 .warmup_epochs = 5.0,
                                 .step_factor = 0.1,
                                 .power = 2.0,
                                 .end_rate = 0.0};
}

/* ---- Fields: one list for ranges and for JSON ---- */

struct count_field {
    const char *name;
    size_t offset;
    uint64_t low;
};

static const struct count_field count_fields[] = {
    {"batch", offsetof(struct bm_rate_plan, batch), 1},
    {"base_batch", offsetof(struct bm_rate_plan, base_batch), 1},
    {"updates_per_epoch", offsetof(struct bm_rate_plan, updates_per_epoch), 1},
    {"updates", offsetof(struct bm_rate_plan, updates), 0},
};

enum range { ABOVE_ZERO, ZERO_OR_MORE, ABOVE_ZERO_TO_ONE };

struct real_field {
    const char *name;
    size_t offset;
    enum range range;
};

static const struct real_field plan_reals[] = {
    {"rate", offsetof(struct bm_rate_plan, rate), ABOVE_ZERO},
    {"warmup_epochs", offsetof(struct bm_rate_plan, warmup_epochs), ZERO_OR_MORE},
    {"step_factor", offsetof(struct bm_rate_plan, step_factor), ABOVE_ZERO_TO_ONE},
    {"power", offsetof(struct bm_rate_plan, power), ABOVE_ZERO},
    {"end_rate", offsetof(struct bm_rate_plan, end_rate), ZERO_OR_MORE},
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static uint64_t count_of(const struct bm_rate_plan *plan, const struct count_field *field) {
    uint64_t value = 0;
    memcpy(&value, (const char *)plan + field->offset, sizeof value);
    return value;
}

static double real_of(const struct bm_rate_plan *plan, const struct real_field *field) {
    double value = 0;
    memcpy(&value, (const char *)plan + field->offset, sizeof value);
    return value;
}

static int32_t check_count(const char *name, uint64_t value, uint64_t low, struct bm_error *error) {
    if (value >= low && value <= BM_RATE_COUNT_MAX) {
        return BM_STATUS_OK;
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "rate plan: expected %s from %" PRIu64 " to 2^53, found %" PRIu64, name, low,
                   value);
}

static int32_t check_real(const struct real_field *field, double value, struct bm_error *error) {
    static const char *const words[] = {
        [ABOVE_ZERO] = "above 0",
        [ZERO_OR_MORE] = "of 0 or more",
        [ABOVE_ZERO_TO_ONE] = "above 0, at most 1",
    };
    int32_t inside = isfinite(value) && value >= 0;
    switch (field->range) {
    case ABOVE_ZERO:
        inside = inside && value > 0;
        break;
    case ABOVE_ZERO_TO_ONE:
        inside = inside && value > 0 && value <= 1;
        break;
    case ZERO_OR_MORE:
        break;
    }
    return inside ? BM_STATUS_OK
                  : bm_fail(error, BM_STATUS_INVALID, "rate plan: expected %s %s, found %g",
                            field->name, words[field->range], value);
}

/* ---- Checks ---- */

static int32_t check_fields(const struct bm_rate_plan *plan, struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; i < COUNT_OF(count_fields) && status == BM_STATUS_OK; i++) {
        const struct count_field *field = &count_fields[i];
        status = check_count(field->name, count_of(plan, field), field->low, error);
    }
    for (size_t i = 0; i < COUNT_OF(plan_reals) && status == BM_STATUS_OK; i++) {
        status = check_real(&plan_reals[i], real_of(plan, &plan_reals[i]), error);
    }
    return status;
}

/* The rate after scaling to the batch. */
static double scaled_rate(const struct bm_rate_plan *plan) {
    double scale = (double)plan->batch / (double)plan->base_batch;
    switch (plan->schedule) {
    case BM_RATE_LINEAR:
        return plan->rate * scale;
    case BM_RATE_SQRT:
        return plan->rate * sqrt(scale);
    default:
        return plan->rate;
    }
}

static int32_t check_together(const struct bm_rate_plan *plan, struct bm_error *error) {
    const char *schedule = bm_rate_schedule_names[plan->schedule];
    int32_t needs_updates = plan->schedule == BM_RATE_STEP || plan->schedule == BM_RATE_POLYNOMIAL;
    double scaled = scaled_rate(plan);
    if (needs_updates && plan->updates == 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "schedule %s: expected a known number of updates (a budget of epochs or "
                       "updates), found none",
                       schedule);
    }
    if (plan->end_rate > plan->rate) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "rate plan: expected end_rate at most the rate %g, found %g", plan->rate,
                       plan->end_rate);
    }
    if (!isfinite(scaled) || scaled <= 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "schedule %s: expected a finite rate above 0 at batch %" PRIu64 ", found %g",
                       schedule, plan->batch, scaled);
    }
    return BM_STATUS_OK;
}

int32_t bm_rate_plan_check(const struct bm_rate_plan *plan, struct bm_error *error) {
    if (plan->schedule >= BM_RATE_SCHEDULE_COUNT) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "rate plan: expected a schedule below %u, found %" PRIu32,
                       BM_RATE_SCHEDULE_COUNT, plan->schedule);
    }
    if (plan->momentum_form >= BM_RATE_FORM_COUNT) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "rate plan: expected a momentum form below %u, found %" PRIu32,
                       BM_RATE_FORM_COUNT, plan->momentum_form);
    }
    int32_t status = check_fields(plan, error);
    return status == BM_STATUS_OK ? check_together(plan, error) : status;
}

/* ---- Rates ---- */

/* `done` updates were made before this one. */
static double linear_rate(const struct bm_rate_plan *plan, uint64_t done) {
    double target = scaled_rate(plan);
    double warmup = plan->warmup_epochs * (double)plan->updates_per_epoch;
    if (plan->updates > 0) {
        warmup = fmin(warmup, (double)plan->updates / 2.0);
    }
    if (target <= plan->rate || (double)done >= warmup) {
        return target;
    }
    return plan->rate + (target - plan->rate) * ((double)done / warmup);
}

static double step_rate(const struct bm_rate_plan *plan, uint64_t done) {
    double rate = plan->rate;
    rate *= 3 * done >= plan->updates ? plan->step_factor : 1.0;
    rate *= 3 * done >= 2 * plan->updates ? plan->step_factor : 1.0;
    rate *= 9 * done >= 8 * plan->updates ? plan->step_factor : 1.0;
    return rate;
}

static double polynomial_rate(const struct bm_rate_plan *plan, uint64_t done) {
    if (done >= plan->updates) {
        return plan->end_rate;
    }
    double left = 1.0 - (double)done / (double)plan->updates;
    return plan->end_rate + (plan->rate - plan->end_rate) * pow(left, plan->power);
}

double bm_rate_at(const struct bm_rate_plan *plan, uint64_t update) {
    BM_ASSERT(update >= 1 && update <= BM_RATE_COUNT_MAX);
    switch (plan->schedule) {
    case BM_RATE_LINEAR:
        return linear_rate(plan, update - 1);
    case BM_RATE_STEP:
        return step_rate(plan, update - 1);
    case BM_RATE_POLYNOMIAL:
        return polynomial_rate(plan, update - 1);
    default:
        BM_ASSERT(plan->schedule == BM_RATE_CONSTANT || plan->schedule == BM_RATE_SQRT);
        return scaled_rate(plan);
    }
}

double bm_rate_momentum(const struct bm_rate_plan *plan, uint64_t update, double mu) {
    if (plan->momentum_form == BM_RATE_LECTURE || update == 1) {
        return mu;
    }
    double before = bm_rate_at(plan, update - 1);
    /* Schedules do not rise from 0: nothing moves any more. */
    return before > 0 ? mu * (bm_rate_at(plan, update) / before) : mu;
}

uint32_t bm_rate_has_form(uint32_t optimizer) {
    return optimizer == BM_OPTIMIZER_MOMENTUM;
}

struct bm_hyper bm_rate_hyper(const struct bm_rate_plan *plan,
                              uint32_t optimizer,
                              uint64_t update,
                              const struct bm_rate_overrides *overrides) {
    struct bm_hyper hyper = bm_optimizer_defaults(optimizer, bm_rate_at(plan, update), update);
    if (overrides != NULL && !isnan(overrides->momentum)) {
        hyper.momentum = overrides->momentum;
    }
    if (overrides != NULL && !isnan(overrides->decay)) {
        hyper.decay = overrides->decay;
    }
    if (bm_rate_has_form(optimizer)) {
        hyper.momentum = bm_rate_momentum(plan, update, hyper.momentum);
    }
    return hyper;
}

/* ---- JSON ---- */

/* NULL, with the object given back, if a member could not be added. */
static json_t *add_reals(json_t *object, const struct bm_rate_plan *plan) {
    int failed = object == NULL;
    for (size_t i = 0; i < COUNT_OF(plan_reals) && !failed; i++) {
        failed = json_object_set_new(object, plan_reals[i].name,
                                     json_real(real_of(plan, &plan_reals[i])));
    }
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *bm_rate_plan_json(const struct bm_rate_plan *plan) {
    struct bm_error error;
    BM_ASSERT(bm_rate_plan_check(plan, &error) == BM_STATUS_OK);
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I}", "schedule", bm_rate_schedule_names[plan->schedule],
        "momentum_form", bm_rate_form_names[plan->momentum_form], "batch", (json_int_t)plan->batch,
        "base_batch", (json_int_t)plan->base_batch, "updates_per_epoch",
        (json_int_t)plan->updates_per_epoch, "updates", (json_int_t)plan->updates);
    return add_reals(object, plan);
}

static const char *type_of(const json_t *value) {
    if (value == NULL) {
        return "nothing";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

static int32_t
fail_type(struct bm_error *error, const char *name, const char *expected, const json_t *found) {
    return bm_fail(error, BM_STATUS_INVALID, "rate plan: expected \"%s\" to be %s, found %s", name,
                   expected, type_of(found));
}

static void list_names(const char *const *names, char *text, size_t capacity) {
    size_t used = 0;
    for (size_t i = 0; names[i] != NULL && used < capacity; i++) {
        used +=
            (size_t)snprintf(text + used, capacity - used, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
}

static int32_t read_name(const json_t *object,
                         const char *member,
                         const char *const *names,
                         uint32_t *index,
                         struct bm_error *error) {
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value)) {
        return fail_type(error, member, "a text", value);
    }
    int32_t found = find_name(names, json_string_value(value));
    if (found < 0) {
        char known[96] = "";
        list_names(names, known, sizeof known);
        return bm_fail(error, BM_STATUS_INVALID,
                       "rate plan: expected \"%s\" to be one of %s, found \"%.64s\"", member, known,
                       json_string_value(value));
    }
    *index = (uint32_t)found;
    return BM_STATUS_OK;
}

static int32_t read_count(const json_t *object,
                          const struct count_field *field,
                          struct bm_rate_plan *plan,
                          struct bm_error *error) {
    const json_t *value = json_object_get(object, field->name);
    if (!json_is_integer(value)) {
        return fail_type(error, field->name, "an integer", value);
    }
    if (json_integer_value(value) < 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "rate plan: expected %s from %" PRIu64
                       " to 2^53, found %" JSON_INTEGER_FORMAT,
                       field->name, field->low, json_integer_value(value));
    }
    uint64_t count = (uint64_t)json_integer_value(value);
    memcpy((char *)plan + field->offset, &count, sizeof count);
    return BM_STATUS_OK;
}

static int32_t read_reals(const json_t *object, struct bm_rate_plan *plan, struct bm_error *error) {
    for (size_t i = 0; i < COUNT_OF(plan_reals); i++) {
        const json_t *value = json_object_get(object, plan_reals[i].name);
        if (!json_is_number(value)) {
            return fail_type(error, plan_reals[i].name, "a number", value);
        }
        double number = json_number_value(value);
        memcpy((char *)plan + plan_reals[i].offset, &number, sizeof number);
    }
    return BM_STATUS_OK;
}

int32_t bm_rate_plan_read(const json_t *object, struct bm_rate_plan *plan, struct bm_error *error) {
    memset(plan, 0, sizeof *plan);
    if (!json_is_object(object)) {
        return bm_fail(error, BM_STATUS_INVALID, "rate plan: expected an object, found %s",
                       type_of(object));
    }
    int32_t status = read_name(object, "schedule", bm_rate_schedule_names, &plan->schedule, error);
    if (status == BM_STATUS_OK) {
        status =
            read_name(object, "momentum_form", bm_rate_form_names, &plan->momentum_form, error);
    }
    for (size_t i = 0; i < COUNT_OF(count_fields) && status == BM_STATUS_OK; i++) {
        status = read_count(object, &count_fields[i], plan, error);
    }
    if (status == BM_STATUS_OK) {
        status = read_reals(object, plan, error);
    }
    return status == BM_STATUS_OK ? bm_rate_plan_check(plan, error) : status;
}
