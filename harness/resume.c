#include "resume.h"

#include "error.h"
#include "field.h"
#include "option_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Options as texts ---- */

/* What single backends were given. A record keeps it, and does not give it back: the user says it
 * anew. */
static json_t *make_settings(const struct bm_options *options) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < options->setting_count; i++) {
        const struct bm_backend_setting *setting = &options->setting[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s, s:s, s:b}", "backend", setting->backend,
                                              "key", setting->key, "value", setting->value,
                                              "environment", (int)setting->is_environment));
    }
    return list;
}

json_t *bm_resume_options(const struct bm_options *options) {
    json_t *object = json_object();
    for (uint32_t i = 0; i < bm_option_count; i++) {
        const struct bm_option_spec *option = &bm_option_table[i];
        if (!option->is_recorded || (option->commands & options->command) == 0) {
            continue;
        }
        char *text = bm_option_text(option, options);
        if (text != NULL) {
            (void)json_object_set_new(object, option->name, json_string(text));
        }
        free(text);
    }
    (void)json_object_set_new(object, "settings", make_settings(options));
    return object;
}

/* ---- Options as words ---- */

/* Those that bm_resume_options writes, if the user does not give them anew. A record may come from
 * somebody else: it says what was measured, and not which files to load or to write. */
static int
is_taken(uint32_t command, const char *name, const struct bm_option_source *command_line) {
    const struct bm_option_spec *option = bm_option_find(command, name);
    return option != NULL && option->is_recorded && !command_line->given[option - bm_option_table];
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

static int has_setting(const json_t *settings, const json_t *wanted) {
    size_t index;
    const json_t *setting;
    json_array_foreach(settings, index, setting) {
        if (json_equal(setting, wanted)) {
            return 1;
        }
    }
    return 0;
}

/* In any order; none is there twice. */
static int same_settings(const json_t *a, const json_t *b) {
    size_t index;
    const json_t *setting;
    int same = json_array_size(a) == json_array_size(b);
    json_array_foreach(a, index, setting) {
        same = same && has_setting(b, setting);
    }
    return same;
}

/* As the user gives them: as options, those of the environment in an ini file. */
static void write_settings(const json_t *settings, char *text, size_t capacity) {
    size_t used = 0;
    size_t index;
    const json_t *setting;
    (void)snprintf(text, capacity, "none");
    json_array_foreach(settings, index, setting) {
        int is_environment = json_is_true(json_object_get(setting, "environment"));
        if (used < capacity) {
            used += (size_t)snprintf(
                text + used, capacity - used, "%s%s%s%s%s%s%s", index > 0 ? " " : "",
                is_environment ? "[backend " : "--option ", bm_field_text(setting, "backend"),
                is_environment ? "] env." : ".", bm_field_text(setting, "key"),
                is_environment ? " = " : "=", bm_field_text(setting, "value"));
        }
    }
}

int32_t bm_resume_check_settings(const json_t *objects,
                                 const struct bm_options *options,
                                 struct bm_error *error) {
    const json_t *recorded = json_object_get(run_of(objects), "options");
    const json_t *earlier = json_object_get(recorded, "settings");
    json_t *present = make_settings(options);
    int32_t status = BM_STATUS_OK;
    if (earlier != NULL && !same_settings(present, earlier)) {
        char expected[208];
        char found[208];
        write_settings(earlier, expected, sizeof expected);
        write_settings(present, found, sizeof found);
        status = bm_fail(error, BM_STATUS_INVALID,
                         "--resume: expected the record's settings of backends, %s, found %s",
                         expected, found);
    }
    json_decref(present);
    return status;
}

const json_t *bm_resume_roofline(const json_t *objects) {
    return json_object_get(run_of(objects), "roofline");
}

char **
bm_resume_arguments(const json_t *objects, uint32_t command, int argc, char **argv, int *count) {
    struct bm_option_source command_line;
    json_t *options = json_object_get(run_of(objects), "options");
    char **words = calloc((size_t)argc + json_object_size(options) + 1, sizeof *words);
    const char *key;
    json_t *value;
    *count = 0;
    bm_option_given(command, argc, argv, &command_line);
    if (words == NULL) {
        return NULL;
    }
    words[(*count)++] = strdup(argv[0]);
    json_object_foreach(options, key, value) {
        char *word = NULL;
        if (json_is_string(value) && is_taken(command, key, &command_line) &&
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
