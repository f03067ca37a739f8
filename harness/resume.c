#include "resume.h"

#include "error.h"
#include "option_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Options as texts ---- */

static json_t *join_names(const struct bm_name_list *list) {
    char text[BM_LIST_MAX * (BM_NAME_SIZE + 1)] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "",
                                 list->names[i]);
    }
    return json_string(text);
}

static json_t *join_numbers(const struct bm_number_list *list) {
    char text[BM_LIST_MAX * 24] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%llu", i > 0 ? "," : "",
                                 (unsigned long long)list->values[i]);
    }
    return json_string(text);
}

static void add_names(json_t *object, const char *key, const struct bm_name_list *list) {
    if (list->count > 0) {
        (void)json_object_set_new(object, key, join_names(list));
    }
}

static void add_numbers(json_t *object, const char *key, const struct bm_number_list *list) {
    if (list->count > 0) {
        (void)json_object_set_new(object, key, join_numbers(list));
    }
}

/* "settings": what single backends were given; those from the environment come back by --config
 * only. */
static void add_settings(json_t *object, const struct bm_options *options) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < options->setting_count; i++) {
        const struct bm_backend_setting *setting = &options->setting[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:s, s:b}", "backend", setting->backend,
                                              "key", setting->key, "value", setting->value,
                                              "environment", (int)setting->is_environment));
    }
    (void)json_object_set_new(object, "settings", list);
}

static void add_count(json_t *object, const char *key, uint64_t value) {
    (void)json_object_set_new(object, key, json_sprintf("%llu", (unsigned long long)value));
}

/* A value of 0, or none, is the default and stays unsaid. */
static void add_value(json_t *object, const char *key, double value, const char *unit) {
    if (value > 0) {
        (void)json_object_set_new(object, key, json_sprintf("%.17g%s", value, unit));
    }
}

/* Not a number: not given. */
static void add_given(json_t *object, const char *key, double value) {
    if (!isnan(value)) {
        (void)json_object_set_new(object, key, json_sprintf("%.17g", value));
    }
}

static json_t *join_targets(const struct bm_target_list *list) {
    char text[BM_TARGET_MAX * 32] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.15g%%", i > 0 ? "," : "",
                                 100 * list->values[i]);
    }
    return json_string(text);
}

static void add_budgets(json_t *object, const struct bm_train_options *train) {
    if (train->epochs > 0) {
        add_count(object, "epochs", train->epochs);
    }
    if (train->updates > 0) {
        add_count(object, "updates", train->updates);
    }
    add_value(object, "seconds", train->seconds, "s");
    if (train->target.count > 0) {
        (void)json_object_set_new(object, "target", join_targets(&train->target));
    }
}

/* What only `train` takes. */
static void add_train(json_t *object, const struct bm_train_options *train) {
    add_budgets(object, train);
    add_names(object, "schedule", &train->schedule);
    add_count(object, "base-batch", train->base_batch);
    add_value(object, "warmup-epochs", train->warmup_epochs, "");
    add_given(object, "momentum", train->momentum);
    add_given(object, "weight-decay", train->weight_decay);
    (void)json_object_set_new(object, "momentum-form", json_string(train->momentum_form));
    add_count(object, "tune", train->tune);
    add_count(object, "tune-epochs", train->tune_epochs);
    add_count(object, "images", train->images);
    if (train->held_out != UINT64_MAX) {
        add_count(object, "held-out", train->held_out);
    }
    add_value(object, "training-time", train->training_time_s, "s");
    add_given(object, "margin", train->margin);
    add_count(object, "trajectory", train->trajectory);
    add_count(object, "swap", train->swap);
    if (train->swap_batch > 0) {
        add_count(object, "swap-batch", train->swap_batch);
    }
    add_count(object, "swap-epochs", train->swap_epochs);
}

json_t *bm_resume_options(const struct bm_options *options) {
    json_t *object = json_object();
    add_names(object, "backend", &options->backend);
    add_names(object, "model", &options->model);
    if (options->layers[0] != '\0') {
        (void)json_object_set_new(object, "layers", json_string(options->layers));
    }
    add_names(object, "dataset", &options->dataset);
    add_names(object, "optimizer", &options->optimizer);
    add_names(object, "precision", &options->precision);
    add_numbers(object, "batch", &options->batch);
    add_numbers(object, "threads", &options->threads);
    add_numbers(object, "seed", &options->seed);
    add_value(object, "lr", options->lr, "");
    if (options->train.schedule.count > 0) {
        add_train(object, &options->train);
    } else {
        add_value(object, "cell-time", options->cell_time_s, "s");
        add_value(object, "epoch-time", options->epoch_time_s, "s");
        (void)json_object_set_new(object, "roofline", json_string(options->roofline));
        add_count(object, "data-parallel", options->data_parallel);
    }
    (void)json_object_set_new(object, "time-limit", json_sprintf("%.17gs", options->time_limit_s));
    (void)json_object_set_new(object, "hang-time", json_sprintf("%.17gs", options->hang_time_s));
    add_count(object, "micro-batch", options->micro_batch);
    add_settings(object, options);
    return object;
}

/* ---- Options as words ---- */

/* Those that bm_resume_options writes. A record may come from somebody else: it says what was
 * measured, and not which files to load or to write. */
static int is_ours(const char *name) {
    static const char *const names[] = {
        "backend",       "model",      "dataset",       "optimizer",   "precision",
        "batch",         "threads",    "seed",          "lr",          "cell-time",
        "epoch-time",    "time-limit", "hang-time",     "micro-batch", "roofline",
        "data-parallel", "epochs",     "updates",       "seconds",     "target",
        "schedule",      "base-batch", "warmup-epochs", "momentum",    "weight-decay",
        "momentum-form", "tune",       "tune-epochs",   "images",      "held-out",
        "training-time", "margin",     "trajectory",    "swap",        "swap-batch",
        "swap-epochs",   "layers"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* "--batch", "--batch=1,2" or a short form "-B", "-B1,2": has the user given this option? */
static int is_given(const char *name, int argc, char **argv) {
    const struct bm_option_spec *option = bm_option_find(BM_COMMAND_RUN | BM_COMMAND_TRAIN, name);
    size_t length = strlen(name);
    char letter = '\0';
    if (option != NULL) {
        letter = option->letter;
    }
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0 && strncmp(argv[i] + 2, name, length) == 0 &&
            (argv[i][2 + length] == '\0' || argv[i][2 + length] == '=')) {
            return 1;
        }
        if (argv[i][0] == '-' && letter != '\0' && argv[i][1] == letter) {
            return 1;
        }
    }
    return 0;
}

static const json_t *run_of(const json_t *objects) {
    size_t index;
    const json_t *object;
    json_array_foreach(objects, index, object) {
        const char *kind = json_string_value(json_object_get(object, "kind"));
        if (strcmp(kind, "run") == 0) {
            return object;
        }
    }
    return NULL;
}

const char *bm_resume_command(const json_t *objects) {
    const char *name = json_string_value(json_object_get(run_of(objects), "command_name"));
    return name == NULL ? "run" : name;
}

int32_t bm_resume_check_data(const json_t *objects, json_t *data, struct bm_error *error) {
    const json_t *earlier = json_object_get(run_of(objects), "data");
    const char *name;
    json_t *value;
    json_object_foreach(data, name, value) {
        const json_t *had = json_object_get(earlier, name);
        if (had != NULL && !json_equal(had, value)) {
            char *expected = json_dumps(had, JSON_COMPACT | JSON_ENCODE_ANY);
            char *found = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
            int32_t status =
                bm_fail(error, BM_STATUS_INVALID,
                        "--resume: expected the record's data, %s %.160s, found %.160s", name,
                        expected == NULL ? "?" : expected, found == NULL ? "?" : found);
            free(expected);
            free(found);
            return status;
        }
    }
    return BM_STATUS_OK;
}

const json_t *bm_resume_roofline(const json_t *objects) {
    return json_object_get(run_of(objects), "roofline");
}

char **bm_resume_arguments(const json_t *objects, int argc, char **argv, int *count) {
    json_t *options = json_object_get(run_of(objects), "options");
    char **words = calloc((size_t)argc + json_object_size(options) + 1, sizeof *words);
    const char *key;
    json_t *value;
    *count = 0;
    if (words == NULL) {
        return NULL;
    }
    words[(*count)++] = strdup(argv[0]);
    json_object_foreach(options, key, value) {
        char *word = NULL;
        if (json_is_string(value) && is_ours(key) && !is_given(key, argc, argv) &&
            asprintf(&word, "--%s=%s", key, json_string_value(value)) > 0) {
            words[(*count)++] = word;
        }
    }
    for (int i = 1; i < argc; i++) {
        words[(*count)++] = strdup(argv[i]);
    }
    return words;
}

void bm_resume_free(char **arguments, int count) {
    for (int i = 0; arguments != NULL && i < count; i++) {
        free(arguments[i]);
    }
    free(arguments);
}

/* ---- Finished cells ---- */

/* Records did not always say. */
static json_int_t data_parallel(const json_t *cell) {
    const json_t *number = json_object_get(cell, "data_parallel");
    return number == NULL ? 1 : json_integer_value(number);
}

static int same_cell(const json_t *a, const json_t *b) {
    static const char *const keys[] = {"backend",   "device",    "model",      "layers",
                                       "dataset",   "optimizer", "batch",      "threads",
                                       "precision", "seed",      "micro_batch"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i]))) {
            return 0;
        }
    }
    return data_parallel(a) == data_parallel(b);
}

int bm_resume_is_finished(const json_t *object) {
    const char *kind = json_string_value(json_object_get(object, "kind"));
    const char *status = json_string_value(json_object_get(object, "status"));
    return strcmp(kind, "cell") == 0 && status != NULL && strcmp(status, "skipped") != 0;
}

json_t *bm_resume_find(const json_t *objects, const json_t *cell) {
    size_t index;
    json_t *object;
    json_array_foreach(objects, index, object) {
        if (bm_resume_is_finished(object) && same_cell(object, cell)) {
            return object;
        }
    }
    return NULL;
}
