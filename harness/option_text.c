#include "error.h"
#include "option_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text of one kind of value, written to `out`; nothing where it was not given. */
typedef void write_function(const struct bm_option_spec *option, const void *value, FILE *out);

static void write_text(const struct bm_option_spec *option, const void *value, FILE *out) {
    (void)option;
    (void)fputs(value, out);
}

static void write_names(const struct bm_option_spec *option, const void *value, FILE *out) {
    const struct bm_name_list *list = value;
    (void)option;
    for (uint32_t i = 0; i < list->count; i++) {
        (void)fprintf(out, "%s%s", i > 0 ? "," : "", list->names[i]);
    }
}

static void write_numbers(const struct bm_option_spec *option, const void *value, FILE *out) {
    const struct bm_number_list *list = value;
    (void)option;
    for (uint32_t i = 0; i < list->count; i++) {
        (void)fprintf(out, "%s%" PRIu64, i > 0 ? "," : "", list->values[i]);
    }
}

/* One outside the option's own range stands for "not given". */
static void write_number(const struct bm_option_spec *option, const void *value, FILE *out) {
    const uint64_t *number = value;
    if (*number >= option->low && *number <= option->high) {
        (void)fprintf(out, "%" PRIu64, *number);
    }
}

/* None may be 0, which stands for "not given". */
static void write_rate(const struct bm_option_spec *option, const void *value, FILE *out) {
    const double *rate = value;
    (void)option;
    if (*rate > 0) {
        (void)fprintf(out, "%.17g", *rate);
    }
}

static void write_duration(const struct bm_option_spec *option, const void *value, FILE *out) {
    const double *seconds = value;
    (void)option;
    if (*seconds > 0) {
        (void)fprintf(out, "%.17gs", *seconds);
    }
}

/* Not a number: not given. */
static void write_fraction(const struct bm_option_spec *option, const void *value, FILE *out) {
    const double *fraction = value;
    (void)option;
    if (!isnan(*fraction)) {
        (void)fprintf(out, "%.17g", *fraction);
    }
}

static void write_sizes(const struct bm_option_spec *option, const void *value, FILE *out) {
    const struct bm_target_list *list = value;
    (void)option;
    for (uint32_t i = 0; i < list->count; i++) {
        (void)fprintf(out, "%s%.17g", i > 0 ? "," : "", list->values[i]);
    }
}

static void write_targets(const struct bm_option_spec *option, const void *value, FILE *out) {
    const struct bm_target_list *list = value;
    (void)option;
    for (uint32_t i = 0; i < list->count; i++) {
        (void)fprintf(out, "%s%.15g%%", i > 0 ? "," : "", 100 * list->values[i]);
    }
}

static write_function *writer_of(const struct bm_option_spec *option) {
    static const struct {
        int32_t (*set)(const struct bm_assignment *assignment, struct bm_error *error);
        write_function *write;
    } kinds[] = {{bm_set_text, write_text},         {bm_set_choice, write_text},
                 {bm_set_names, write_names},       {bm_set_backends, write_names},
                 {bm_set_numbers, write_numbers},   {bm_set_number, write_number},
                 {bm_set_rate, write_rate},         {bm_set_duration, write_duration},
                 {bm_set_fraction, write_fraction}, {bm_set_sizes, write_sizes},
                 {bm_set_targets, write_targets}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].set == option->set) {
            return kinds[i].write;
        }
    }
    return NULL;
}

char *bm_option_text(const struct bm_option_spec *option, const struct bm_options *options) {
    char *text = NULL;
    size_t size = 0;
    write_function *write = writer_of(option);
    BM_ASSERT(write != NULL);
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    write(option, (const char *)options + option->offset, out);
    if (fclose(out) != 0 || size == 0) {
        free(text);
        return NULL;
    }
    return text;
}
