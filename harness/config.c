/* Ini files: inih splits lines into section, key and value; the meaning comes from the table of
 * options. */
#include "error.h"
#include "option_table.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* inih 55 keeps 49 bytes of a section's name without a word. */
#define SECTION_MAX 49

struct reading {
    const char *path;
    FILE *file;
    uint32_t command;
    uint32_t line;          /* of the line that inih was given last, from 1 */
    int32_t is_indented;    /* that line begins with a blank */
    char key[BM_NAME_SIZE]; /* of the last key, which an indented line goes on with */
    struct bm_option_source source;
    struct bm_options *options;
    int32_t status;
    uint32_t failed_line;
    struct bm_error *error;
};

/* ---- Errors: the first one stays ---- */

static int32_t
fail_line(struct reading *r, const char *where, const char *expected, const char *found) {
    if (r->status == BM_STATUS_OK) {
        r->failed_line = r->line;
        r->status = bm_fail(r->error, BM_STATUS_INVALID, "%s:%u: %s%sexpected %s, found \"%.64s\"",
                            r->path, r->line, where, where[0] == '\0' ? "" : ": ", expected, found);
    }
    return r->status;
}

static int32_t fail_key(struct reading *r, const char *key, const char *section_keys) {
    char expected[192];
    const char *nearest =
        section_keys == NULL ? bm_option_nearest(r->command, key, 1) : section_keys;
    (void)snprintf(
        expected, sizeof expected, "%s%s%s", section_keys != NULL ? "" : "the name of an option",
        section_keys == NULL && nearest != NULL ? " such as " : "", nearest != NULL ? nearest : "");
    return fail_line(r, "", expected, key);
}

/* ---- Lines ---- */

/* Reads one line for inih, which would cut a long one and take its rest for the next line; gives
 * NULL at the end of the file and at a line that cannot be handed on. */
static char *read_line(char *text, int capacity, void *context) {
    struct reading *r = context;
    int used = 0;
    int c = 0;
    r->line++;
    while (used < capacity - 1 && c != '\n' && (c = getc(r->file)) != EOF) {
        if (c == '\0') {
            (void)fail_line(r, "", "text", "a zero byte");
            return NULL;
        }
        text[used++] = (char)c;
    }
    text[used] = '\0';
    if (used == capacity - 1 && c != '\n') {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "a line of at most %d bytes", capacity - 2);
        (void)fail_line(r, "", expected, "a longer one");
        return NULL;
    }
    r->is_indented = text[0] == ' ' || text[0] == '\t';
    if (text[strspn(text, " \t")] == '[' && !r->is_indented) {
        r->key[0] = '\0';
        if (strcspn(text, "]") > SECTION_MAX) {
            (void)fail_line(r, "", "a section name of at most 48 bytes", text);
            return NULL;
        }
    }
    return used > 0 ? text : NULL;
}

/* ---- Keys ---- */

static int32_t set_layers(struct reading *r, const char *value, int32_t goes_on) {
    char *layers = r->options->layers;
    size_t used = goes_on ? strlen(layers) : 0;
    int needed = snprintf(layers + used, BM_LAYERS_SIZE - used, "%s%s", goes_on ? " " : "", value);
    if ((size_t)needed >= BM_LAYERS_SIZE - used) {
        return fail_line(r, "layers", "at most 2047 bytes", "more");
    }
    return BM_STATUS_OK;
}

static int32_t set_option(struct reading *r, const char *key, const char *value) {
    char label[BM_PATH_SIZE + 96];
    const struct bm_option_spec *option = bm_option_find(r->command, key);
    if (option == NULL || option->command_line_only) {
        return fail_key(r, key, NULL);
    }
    (void)snprintf(label, sizeof label, "%s:%u: %s", r->path, r->line, key);
    int32_t status = bm_option_set(option, label, value, &r->source, r->options, r->error);
    if (status != BM_STATUS_OK) {
        r->status = status;
        r->failed_line = r->line;
    }
    return status;
}

static int32_t set_shape(struct reading *r, const char *value) {
    struct bm_shape shape = {0, 0, 0};
    char rest = '\0';
    int fields =
        sscanf(value, "%5ux%5ux%5u%c", &shape.channels, &shape.height, &shape.width, &rest);
    if (fields != 3 || value[strspn(value, "0123456789x")] != '\0' || shape.channels == 0 ||
        shape.channels > BM_DATA_CHANNEL_MAX || shape.height == 0 || shape.height > 1024 ||
        shape.width == 0 || shape.width > 1024) {
        return fail_line(r, "shape", "CHANNELSxHEIGHTxWIDTH of at most 4x1024x1024", value);
    }
    r->options->synthetic.shape = shape;
    return BM_STATUS_OK;
}

static int32_t set_bounded(struct reading *r,
                           const char *key,
                           const char *value,
                           uint64_t low,
                           uint64_t high,
                           uint64_t *number) {
    char expected[64];
    if (bm_parse_number(value, low, high, number)) {
        return BM_STATUS_OK;
    }
    (void)snprintf(expected, sizeof expected, "a number from %llu to %llu", (unsigned long long)low,
                   (unsigned long long)high);
    return fail_line(r, key, expected, value);
}

static int32_t set_synthetic(struct reading *r, const char *key, const char *value) {
    struct bm_data_synthetic *synthetic = &r->options->synthetic;
    if (strcmp(key, "shape") == 0) {
        return set_shape(r, value);
    }
    if (strcmp(key, "classes") == 0) {
        uint64_t classes = 0;
        int32_t status = set_bounded(r, key, value, 2, BM_DATA_CLASS_MAX, &classes);
        synthetic->class_count = (uint32_t)classes;
        return status;
    }
    if (strcmp(key, "train") == 0) {
        return set_bounded(r, key, value, 1, BM_DATA_COUNT_MAX, &synthetic->train_count);
    }
    if (strcmp(key, "test") == 0) {
        return set_bounded(r, key, value, 1, BM_DATA_COUNT_MAX, &synthetic->test_count);
    }
    if (strcmp(key, "seed") == 0) {
        return set_bounded(r, key, value, 0, UINT64_MAX, &synthetic->seed);
    }
    return fail_key(r, key, "shape, classes, train, test or seed");
}

static int32_t is_environment_name(const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return name[0] != '\0' && strchr("0123456789", name[0]) == NULL &&
           name[strspn(name, letters)] == '\0';
}

/* option.KEY or env.KEY in [backend NAME] */
static int32_t
set_backend(struct reading *r, const char *backend, const char *key, const char *value) {
    struct bm_backend_setting setting = {.is_environment = strncmp(key, "env.", 4) == 0};
    char label[BM_PATH_SIZE + 32];
    const char *name = strchr(key, '.') != NULL ? strchr(key, '.') + 1 : "";
    if (!setting.is_environment && strncmp(key, "option.", 7) != 0) {
        return fail_key(r, key, "option.KEY or env.NAME");
    }
    if (strlen(name) >= sizeof setting.key || name[0] == '\0' ||
        (setting.is_environment && !is_environment_name(name))) {
        return fail_line(r, "", "a name of 1 to 63 letters after the dot", key);
    }
    if (strlen(value) >= sizeof setting.value) {
        return fail_line(r, key, "a value of at most 255 bytes", value);
    }
    (void)snprintf(setting.backend, sizeof setting.backend, "%s", backend);
    (void)snprintf(setting.key, sizeof setting.key, "%s", name);
    (void)snprintf(setting.value, sizeof setting.value, "%s", value);
    (void)snprintf(label, sizeof label, "%s:%u", r->path, r->line);
    int32_t status = bm_option_set_backend(r->options, label, &setting, r->error);
    if (status != BM_STATUS_OK) {
        r->status = status;
        r->failed_line = r->line;
    }
    return status;
}

static int32_t set_key(struct reading *r, const char *section, const char *key, const char *value) {
    if (section[0] == '\0') {
        return strcmp(key, "layers") == 0 ? set_layers(r, value, 0) : set_option(r, key, value);
    }
    if (strcmp(section, "synthetic") == 0) {
        return set_synthetic(r, key, value);
    }
    if (strncmp(section, "backend ", 8) == 0) {
        const char *backend = section + 8 + strspn(section + 8, " \t");
        if (backend[0] != '\0' && strchr(backend, ' ') == NULL) {
            return set_backend(r, backend, key, value);
        }
    }
    return fail_line(r, "", "the section [synthetic] or [backend NAME]", section);
}

/* inih gives an indented line to the key before it. Only `layers` goes on like that. */
static int on_pair(void *context, const char *section, const char *key, const char *value) {
    struct reading *r = context;
    if (r->status != BM_STATUS_OK) {
        return 0;
    }
    if (r->is_indented && r->key[0] != '\0') {
        if (section[0] != '\0' || strcmp(r->key, "layers") != 0) {
            return fail_line(r, "", "a key at the beginning of the line", value) == BM_STATUS_OK;
        }
        return set_layers(r, value, 1) == BM_STATUS_OK;
    }
    (void)snprintf(r->key, sizeof r->key, "%s", key);
    return set_key(r, section, key, value) == BM_STATUS_OK;
}

int32_t bm_config_load(const char *path,
                       uint32_t command,
                       struct bm_options *options,
                       struct bm_error *error) {
    struct reading reading = {
        .path = path,
        .command = command,
        .options = options,
        .error = error,
        .file = fopen(path, "re"),
    };
    if (reading.file == NULL) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: expected a readable ini file", path);
    }
    int bad_line = ini_parse_stream(read_line, &reading, on_pair, &reading);
    int is_broken = ferror(reading.file);
    (void)fclose(reading.file);
    if (is_broken) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected a readable ini file, found a folder "
                       "or a read error",
                       path);
    }
    if (bad_line > 0 &&
        (reading.status == BM_STATUS_OK || (uint32_t)bad_line < reading.failed_line)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s:%d: expected `key = value` or `[section]`, found something else", path,
                       bad_line);
    }
    return reading.status;
}
