/*
 * Fields of the JSON objects in a record, for those that print them: a field that is absent or of
 * another type is an empty text or 0, so a damaged record makes a strange table and nothing worse.
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

/* In quotes, those inside doubled. */
void bm_field_print_csv_text(const char *text, FILE *stream);

/* A number with a comma before it; nothing behind the comma if it is none. */
void bm_field_print_csv_number(const json_t *object, const char *key, FILE *stream);

#endif
