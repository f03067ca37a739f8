/* Single values of a record made fit for the page: texts cut and without paths, numbers rounded. */
#include "report_parts.h"

#include "field.h"
#include "run_object.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A `describe` has at most so many characters; more is no record of ours. */
#define TEXT_MAX 4096u
#define MEMBERS_MAX 512u
#define DEPTH_MAX 6u

/* ---- Texts ---- */

/* Cut between letters of UTF-8. */
static size_t cut_length(const char *text) {
    size_t length = strnlen(text, TEXT_MAX + 1);
    if (length <= TEXT_MAX) {
        return length;
    }
    length = TEXT_MAX;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
        length--;
    }
    return length;
}

/* Of "/home/jane/a.so" the length without the file's name; 0 where no such path begins. */
static size_t path_length(const char *text, const char *at) {
    static const char before[] = " \t\n\"'`(=:,<[";
    static const char ends[] = " \t\n\"'`):,;<>]";
    if (at != text && strchr(before, at[-1]) == NULL) {
        return 0;
    }
    if ((at[0] != '/' || at[1] == '/') && strncmp(at, "~/", 2) != 0) {
        return 0;
    }
    size_t length = strcspn(at, ends);
    size_t last = length;
    while (at[last - 1] != '/') {
        last--;
    }
    return last > 1 ? last : 0;
}

static void print_plain(const char *text, FILE *stream) {
    for (const char *at = text; *at != '\0'; at++) {
        at += path_length(text, at);
        if (*at == '\0') {
            return;
        }
        (void)fputc(*at, stream);
    }
}

static void print_command(const char *text, FILE *stream) {
    while (*text != '\0') {
        size_t blanks = strspn(text, " ");
        size_t length = strcspn(text + blanks, " ");
        char *word = strndup(text + blanks, length);
        int prefix = 0;
        if (word != NULL) {
            const char *rest = bm_run_plain_word(word, &prefix);
            (void)fprintf(stream, "%.*s%.*s%s", (int)blanks, text, prefix, word, rest);
        }
        free(word);
        text += blanks + length;
    }
}

static json_t *text_by(const char *text, void (*print)(const char *text, FILE *stream)) {
    char *kept = strndup(text, cut_length(text));
    char *made = NULL;
    size_t size = 0;
    FILE *stream = kept == NULL ? NULL : open_memstream(&made, &size);
    if (stream != NULL) {
        print(kept, stream);
        (void)fclose(stream);
    }
    json_t *json = made == NULL ? NULL : bm_field_string(made);
    free(made);
    free(kept);
    return json;
}

/* Most texts stay as they are. */
static int has_nothing_to_hide(const char *text) {
    return strchr(text, '/') == NULL && cut_length(text) == strlen(text);
}

static json_t *
text_field(const json_t *object, const char *key, void (*print)(const char *text, FILE *stream)) {
    json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        return json_null();
    }
    const char *text = json_string_value(value);
    return has_nothing_to_hide(text) ? json_incref(value) : text_by(text, print);
}

json_t *bm_report_text(const json_t *object, const char *key) {
    return text_field(object, key, print_plain);
}

json_t *bm_report_command(const json_t *object, const char *key) {
    return text_field(object, key, print_command);
}

/* ---- Numbers ---- */

/* As many digits as a reader of a chart can use. */
#define DIGITS 6

json_t *bm_report_real(double number) {
    char text[32];
    if (!isfinite(number)) {
        return json_null();
    }
    (void)snprintf(text, sizeof text, "%.*g", DIGITS, number);
    double rounded = strtod(text, NULL);
    return rounded == floor(rounded) && fabs(rounded) < 1e15 ? json_integer((json_int_t)rounded)
                                                             : json_real(rounded);
}

json_t *bm_report_number(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    if (json_is_integer(value)) {
        return json_incref(value);
    }
    return json_is_real(value) ? bm_report_real(json_real_value(value)) : json_null();
}

json_t *bm_report_flag(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_incref(value) : json_null();
}

/* ---- Any value ---- */

static json_t *plain(json_t *value, uint32_t depth);

static json_t *plain_list(const json_t *list, uint32_t depth) {
    json_t *copy = json_array();
    for (size_t i = 0; i < json_array_size(list) && i < MEMBERS_MAX; i++) {
        (void)json_array_append_new(copy, plain(json_array_get(list, i), depth));
    }
    return copy;
}

static json_t *plain_object(json_t *object, uint32_t depth) {
    json_t *copy = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        json_t *name = text_by(key, print_plain);
        if (name != NULL && json_object_size(copy) < MEMBERS_MAX) {
            (void)json_object_set_new(copy, json_string_value(name), plain(value, depth));
        }
        json_decref(name);
    }
    return copy;
}

static json_t *plain(json_t *value, uint32_t depth) {
    if (depth == 0) {
        return json_null();
    }
    switch (json_typeof(value)) {
    case JSON_STRING:
        return text_by(json_string_value(value), print_plain);
    case JSON_REAL:
        return bm_report_real(json_real_value(value));
    case JSON_ARRAY:
        return plain_list(value, depth - 1);
    case JSON_OBJECT:
        return plain_object(value, depth - 1);
    default:
        return json_copy(value);
    }
}

json_t *bm_report_plain(json_t *value) {
    return value == NULL ? json_null() : plain(value, DEPTH_MAX);
}

json_t *bm_report_any(const json_t *object, const char *key) {
    return bm_report_plain(json_object_get(object, key));
}

/* ---- Copies ---- */

void bm_report_copy(const struct bm_report_field *fields, const json_t *from, json_t *to) {
    for (; fields->key != NULL; fields++) {
        json_t *value = fields->make(from, fields->key);
        (void)json_object_set_new(to, fields->key, value != NULL ? value : json_null());
    }
}

const char *bm_report_machine(const struct bm_report_run *run) {
    return bm_field_text(run->run, "machine");
}
