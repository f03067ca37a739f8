/*
 * Fields of the JSON objects in a record. For those that print them: a field that is absent or of
 * another type is an empty text or 0, so a damaged record makes a strange table and nothing worse.
 * For those that make them: texts and numbers as JSON can hold them.
 */
#ifndef BM_FIELD_H
#define BM_FIELD_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* Borrowed from the object. */
const char *bm_field_text(const json_t *object, const char *key);

double bm_field_number(const json_t *object, const char *key);

/* A whole number from 0 on; what a damaged record holds instead becomes 0. */
uint64_t bm_field_whole(const json_t *object, const char *key);

/* Whether the fields `kind` and `status` say that. */
int bm_field_is_kind(const json_t *object, const char *kind);
int bm_field_has_status(const json_t *object, const char *status);

/* A JSON text, in which what is no UTF-8 became question marks: a text of a record that was cut may
 * end inside a letter. The caller's; NULL without memory. */
json_t *bm_field_string(const char *text);

/* A number; null where it is not finite. The caller's. */
json_t *bm_field_finite(double number);

/* An object as a line; takes it. */
void bm_field_print_line(json_t *object, FILE *stream);

/* In quotes, those inside doubled, on one line. */
void bm_field_print_csv_text(const char *text, FILE *stream);

/* A number with a comma before it; nothing behind the comma if it is none. */
void bm_field_print_csv_number(const json_t *object, const char *key, FILE *stream);

#endif
