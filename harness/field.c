#include "field.h"

#include "printable.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *bm_field_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

double bm_field_number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

uint64_t bm_field_whole(const json_t *object, const char *key) {
    double number = bm_field_number(object, key);
    return number >= 0 && number < 1e18 ? (uint64_t)number : 0;
}

int bm_field_is_kind(const json_t *object, const char *kind) {
    return strcmp(bm_field_text(object, "kind"), kind) == 0;
}

int bm_field_has_status(const json_t *object, const char *status) {
    return strcmp(bm_field_text(object, "status"), status) == 0;
}

/* Jansson is the judge of UTF-8: what it does not take loses one byte after the other. */
static json_t *mended(const char *text) {
    char *copy = strdup(text);
    json_t *json = NULL;
    for (char *p = copy; p != NULL && *p != '\0';) {
        size_t length = 1;
        while (length < 4 && ((unsigned char)p[length] & 0xc0) == 0x80) {
            length++;
        }
        json = json_stringn(p, length);
        if (json == NULL) {
            memset(p, '?', length);
        }
        json_decref(json);
        p += length;
    }
    json = copy == NULL ? NULL : json_string(copy);
    free(copy);
    return json;
}

json_t *bm_field_string(const char *text) {
    json_t *json = json_string(text);
    return json != NULL ? json : mended(text);
}

json_t *bm_field_finite(double number) {
    return isfinite(number) ? json_real(number) : json_null();
}

void bm_field_print_line(json_t *object, FILE *stream) {
    if (json_dumpf(object, stream, JSON_COMPACT) == 0) {
        (void)fputc('\n', stream);
    }
    json_decref(object);
}

void bm_field_print_csv_text(const char *text, FILE *stream) {
    char *copy = strdup(text);
    if (copy != NULL) {
        bm_printable(copy, "");
    }
    (void)fputc('"', stream);
    for (const char *at = copy == NULL ? "" : copy; *at != '\0'; at++) {
        if (*at == '"') {
            (void)fputc('"', stream);
        }
        (void)fputc(*at, stream);
    }
    (void)fputc('"', stream);
    free(copy);
}

void bm_field_print_csv_number(const json_t *object, const char *key, FILE *stream) {
    const json_t *number = json_object_get(object, key);
    (void)fputc(',', stream);
    if (json_is_number(number)) {
        (void)fprintf(stream, "%.9g", json_number_value(number));
    }
}
