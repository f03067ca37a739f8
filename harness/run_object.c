#include "run_object.h"

#include "environment.h"
#include "record.h"
#include "resume.h"
#include "roofline_cache.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static json_t *make_id(const char *stamp) {
    unsigned char bytes[4] = {0};
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return json_string(stamp);
    }
    return json_sprintf("%s-%02x%02x%02x%02x", stamp, bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* "bf16/f32" is no path. */
static int is_precision(const char *word) {
    static const char *const names[] = {BM_PRECISION_BF16_F32, BM_PRECISION_F16_F32};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(word);
        size_t own = strlen(names[i]);
        if (length >= own && strcmp(word + length - own, names[i]) == 0 &&
            (length == own || strchr("=,", word[length - own - 1]) != NULL)) {
            return 1;
        }
    }
    return 0;
}

const char *bm_run_plain_word(const char *word, int *prefix) {
    const char *slash = strrchr(word, '/');
    const char *equals = strchr(word, '=');
    *prefix = 0;
    if (slash == NULL || is_precision(word)) {
        return word;
    }
    *prefix = equals != NULL && equals < slash ? (int)(equals - word) + 1 : 0;
    return slash + 1;
}

/* The command line with paths as file names only. */
static json_t *command_line(int argc, char **argv) {
    char text[4096] = "batchmark";
    size_t used = strlen(text);
    for (int i = 0; i < argc && used < sizeof text; i++) {
        int prefix = 0;
        const char *rest = bm_run_plain_word(argv[i], &prefix);
        int written = snprintf(text + used, sizeof text - used, " %.*s%s", prefix, argv[i], rest);
        used += written > 0 ? (size_t)written : 0;
    }
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("(not UTF-8)");
}

json_t *bm_run_data(const struct bm_options *options, const struct bm_dataset *dataset) {
    json_t *sources = json_array();
    for (uint32_t i = 0; i < dataset->source_count; i++) {
        (void)json_array_append_new(sources,
                                    json_pack("{s:s, s:s}", "file", dataset->source[i].file,
                                              "sha256", dataset->source[i].sha256));
    }
    int is_made = strcmp(dataset->name, "synthetic") == 0;
    json_t *seed = is_made ? json_integer((json_int_t)options->synthetic.seed) : json_null();
    return json_pack(
        "{s:s, s:[i, i, i], s:i, s:I, s:I, s:o, s:o}", "name", dataset->name, "shape",
        (int)dataset->shape.channels, (int)dataset->shape.height, (int)dataset->shape.width,
        "classes", (int)dataset->class_count, "train", (json_int_t)dataset->train_total, "test",
        (json_int_t)dataset->split[BM_SPLIT_TEST].count, "files", sources, "seed", seed);
}

static void add_roofline(json_t *object, const struct bm_roofline *roofline) {
    if (roofline->point_count == 0) {
        (void)json_object_set_new(object, "roofline", json_null());
        (void)json_object_set_new(object, "roofline_reason", json_string(roofline->reason));
        return;
    }
    json_t *key = bm_roofline_key();
    (void)json_object_set_new(object, "roofline", bm_roofline_json(roofline, key));
    json_decref(key);
}

json_t *
bm_run_head(const char *command_name, const struct bm_options *options, int argc, char **argv) {
    char stamp[32];
    char started[32];
    char machine[BM_NAME_SIZE];
    time_t now = time(NULL);
    struct tm utc;
    (void)gmtime_r(&now, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    (void)strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &utc);
    bm_environment_machine(machine, sizeof machine);
    return json_pack(
        "{s:s, s:i, s:o, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:s}", "kind", "run", "schema",
        BM_RECORD_SCHEMA, "id", make_id(stamp), "started", started, "command",
        command_line(argc, argv), "version", BM_VERSION, "revision", bm_environment_revision(),
        "machine", options->machine[0] != '\0' ? options->machine : machine, "host",
        bm_environment_host(), "build", bm_environment_build(), "command_name", command_name);
}

json_t *bm_run_object(const char *command_name,
                      const struct bm_options *options,
                      const struct bm_dataset *dataset,
                      const struct bm_roofline *roofline,
                      uint32_t resumed,
                      int argc,
                      char **argv) {
    json_t *object = bm_run_head(command_name, options, argc, argv);
    json_t *rest =
        json_pack("{s:I, s:o, s:b, s:b, s:o}", "seed", (json_int_t)options->seed.values[0],
                  "options", bm_resume_options(options), "in_process", (int)options->in_process,
                  "resumed", (int)resumed, "data", bm_run_data(options, dataset));
    (void)json_object_update(object, rest);
    json_decref(rest);
    add_roofline(object, roofline);
    return object;
}
