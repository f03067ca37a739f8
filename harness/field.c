#include "field.h"

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

void bm_field_print_csv_text(const char *text, FILE *stream) {
    (void)fputc('"', stream);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            (void)fputc('"', stream);
        }
        (void)fputc(*text, stream);
    }
    (void)fputc('"', stream);
}

void bm_field_print_csv_number(const json_t *object, const char *key, FILE *stream) {
    const json_t *number = json_object_get(object, key);
    (void)fputc(',', stream);
    if (json_is_number(number)) {
        (void)fprintf(stream, "%.9g", json_number_value(number));
    }
}
