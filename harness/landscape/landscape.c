#include "landscape.h"

#include "interrupt.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

json_t *bm_landscape_object(const char *analysis, const char *part) {
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "kind", "landscape", "schema",
                     BM_RECORD_SCHEMA, "analysis", analysis, "part", part, "status", "ok", "reason",
                     "");
}

json_t *bm_landscape_numbers(const double *values, uint64_t count) {
    json_t *list = json_array();
    for (uint64_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, bm_field_finite(values[i]));
    }
    return list;
}

static json_t *split_json(double loss, double accuracy) {
    return isnan(loss) ? json_null()
                       : json_pack("{s:o, s:o}", "loss", bm_field_finite(loss), "accuracy",
                                   bm_field_finite(accuracy));
}

void bm_landscape_describe(const struct bm_landscape_point *point, json_t *object) {
    const struct bm_checkpoint *state = &point->state;
    double epochs = (double)state->epoch;
    if (state->train_count > 0) {
        epochs += (double)state->first / (double)state->train_count;
    }
    json_t *fields = json_pack("{s:s, s:s, s:I, s:f, s:I, s:o, s:o}", "point", point->name,
                               "optimizer", state->optimizer, "batch", (json_int_t)state->batch,
                               "epochs", epochs, "training_seed", (json_int_t)state->seed, "train",
                               split_json(point->train_loss, point->train_accuracy), "test",
                               split_json(point->test_loss, point->test_accuracy));
    (void)json_object_update(object, fields);
    json_decref(fields);
}

void bm_landscape_write(struct bm_landscape *landscape, json_t *object) {
    struct bm_campaign *campaign = landscape->campaign;
    const char *status = json_string_value(json_object_get(object, "status"));
    campaign->outcome.measured += strcmp(status, "cut") == 0;
    bm_outcome_count(&campaign->outcome, object);
    bm_campaign_write(campaign, object);
}

void bm_landscape_fail(json_t *object, const char *status, const char *reason) {
    json_t *text = json_string(reason);
    (void)json_object_set_new(object, "status", json_string(status));
    (void)json_object_set_new(object, "reason",
                              text != NULL ? text : json_string("the reason is not UTF-8"));
}

void bm_landscape_show(struct bm_landscape *landscape, const char *format, ...) {
    struct bm_campaign *campaign = landscape->campaign;
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bm_progress_show(&campaign->progress, bm_campaign_left_s(campaign), "%s", text);
}

const char *bm_landscape_stop_text(void) {
    return bm_interrupt_signal() != 0 ? "interrupted" : "the time limit (--time-limit)";
}

int bm_landscape_stopped(const struct bm_landscape *landscape) {
    return bm_interrupt_signal() != 0 || bm_campaign_left_s(landscape->campaign) <= 0 ||
           landscape->campaign->outcome.write_failed;
}
