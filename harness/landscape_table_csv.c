/*
 * All single values of the landscape's objects, a line each. An object inside, as {value, low,
 * high}, gives a column a field, "share.low"; lists and what lies deeper are left out.
 */
#include "field.h"
#include "landscape_table_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 256u

static int is_single(const json_t *value) {
    return !json_is_object(value) && !json_is_array(value);
}

/* Adds a column, which may be there. */
static void add_column(json_t *columns, const char *name) {
    if (json_object_size(columns) < COLUMNS_MAX) {
        (void)json_object_set_new_nocheck(columns, name, json_true());
    }
}

static void add_inner(json_t *columns, const char *outer, json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s.%s", outer, key);
        if (is_single(value)) {
            add_column(columns, name);
        }
    }
}

static void add_columns(json_t *columns, json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        if (json_is_object(value)) {
            add_inner(columns, key, value);
        } else if (is_single(value) && strcmp(key, "kind") != 0 && strcmp(key, "schema") != 0) {
            add_column(columns, key);
        }
    }
}

/* In the order of their first appearance, as Jansson keeps it. */
static json_t *find_columns(const json_t *objects) {
    json_t *columns = json_object();
    size_t index;
    json_t *object;
    json_array_foreach(objects, index, object) {
        if (bm_field_is_kind(object, "landscape")) {
            add_columns(columns, object);
        }
    }
    return columns;
}

static void print_value(const json_t *value, FILE *stream) {
    if (json_is_string(value)) {
        bm_field_print_csv_text(json_string_value(value), stream);
    } else if (json_is_integer(value)) {
        (void)fprintf(stream, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value) && isfinite(json_real_value(value))) {
        (void)fprintf(stream, "%.9g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        (void)fputs(json_is_true(value) ? "true" : "false", stream);
    }
}

/* What stands in a column. A key of a damaged record may itself hold a point. */
static const json_t *value_of(const json_t *object, const char *column) {
    const json_t *value = json_object_get(object, column);
    return value != NULL ? value : bm_landscape_at(object, column);
}

static void print_object(json_t *columns, const json_t *object, FILE *stream) {
    const char *name;
    const char *between = "";
    json_t *unused;
    json_object_foreach(columns, name, unused) {
        (void)unused;
        (void)fputs(between, stream);
        between = ",";
        print_value(value_of(object, name), stream);
    }
    (void)fputc('\n', stream);
}

/* Keys of a damaged record may be anything. */
static void print_name(const char *name, FILE *stream) {
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(name)) {
        (void)fputs(name, stream);
    } else {
        bm_field_print_csv_text(name, stream);
    }
}

static void print_heading(json_t *columns, FILE *stream) {
    const char *name;
    const char *between = "";
    json_t *unused;
    json_object_foreach(columns, name, unused) {
        (void)unused;
        (void)fputs(between, stream);
        between = ",";
        print_name(name, stream);
    }
    (void)fputc('\n', stream);
}

void bm_landscape_print_csv(const json_t *objects, FILE *stream) {
    json_t *columns = find_columns(objects);
    size_t index;
    const json_t *object;
    print_heading(columns, stream);
    json_array_foreach(objects, index, object) {
        if (bm_field_is_kind(object, "landscape")) {
            print_object(columns, object, stream);
        }
    }
    json_decref(columns);
}
