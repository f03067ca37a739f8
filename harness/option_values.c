/* Setters of the option table: text to a field of struct bm_options, or one line of refusal. */
#include "error.h"
#include "option_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int32_t
fail_value(const struct bm_assignment *a, struct bm_error *error, const char *expected) {
    return bm_fail(error, BM_STATUS_INVALID, "%s: expected %s, found \"%s\"", a->label, expected,
                   a->value);
}

/* ---- Numbers ---- */

/* The length is part of it: a list hands over pieces of its text. */
static int32_t
parse_digits(const char *text, size_t length, uint64_t low, uint64_t high, uint64_t *number) {
    uint64_t value = 0;
    if (length == 0) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return 0;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return value >= low && value <= high;
}

int32_t bm_parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *number) {
    return parse_digits(text, strlen(text), low, high, number);
}

/* Finite and at least 0, in plain or scientific notation; *end is what follows it. */
static int32_t parse_decimal(const char *text, double *number, const char **end) {
    char *stop = NULL;
    if (strchr("0123456789.", text[0]) == NULL || text[0] == '\0' || text[1] == 'x' ||
        text[1] == 'X') {
        return 0;
    }
    *number = strtod(text, &stop);
    *end = stop;
    return stop != text && isfinite(*number);
}

static int32_t parse_positive(const char *text, double *number, const char **end) {
    return parse_decimal(text, number, end) && *number > 0;
}

int32_t bm_parse_duration(const char *text, double *seconds, struct bm_error *error) {
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"min", 60}, {"h", 3600}};

    const char *end = NULL;
    if (parse_positive(text, seconds, &end)) {
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (strcmp(end, units[i].unit) == 0) {
                *seconds *= units[i].seconds;
                return BM_STATUS_OK;
            }
        }
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "expected a duration above 0 like 90s, 5m, 1h or 200ms, found \"%s\"", text);
}

static int32_t fail_number(const struct bm_assignment *a, struct bm_error *error) {
    char expected[112];
    (void)snprintf(expected, sizeof expected, "a number from %" PRIu64 " to %" PRIu64 "%s",
                   a->option->low, a->option->high,
                   strchr(a->value, '-') != NULL ? " or a rising range like 1-5 or 1-1024*2" : "");
    return fail_value(a, error, expected);
}

int32_t bm_set_number(const struct bm_assignment *a, struct bm_error *error) {
    uint64_t *target = a->target;
    uint64_t number = 0;
    if (!bm_parse_number(a->value, a->option->low, a->option->high, &number)) {
        return fail_number(a, error);
    }
    *target = number;
    return BM_STATUS_OK;
}

int32_t bm_set_rate(const struct bm_assignment *a, struct bm_error *error) {
    double number = 0;
    const char *end = NULL;
    if (!parse_positive(a->value, &number, &end) || *end != '\0') {
        return fail_value(a, error, "a number above 0");
    }
    *(double *)a->target = number;
    return BM_STATUS_OK;
}

/* A decimal of at least 0 and below 1. */
int32_t bm_set_fraction(const struct bm_assignment *a, struct bm_error *error) {
    double number = 0;
    const char *end = NULL;
    if (!parse_decimal(a->value, &number, &end) || *end != '\0' || number >= 1) {
        return fail_value(a, error, "a number from 0 to below 1");
    }
    *(double *)a->target = number;
    return BM_STATUS_OK;
}

/* "2%" or 0.02; at most everything. */
int32_t bm_set_share(const struct bm_assignment *a, struct bm_error *error) {
    double number = 0;
    const char *end = NULL;
    int is_decimal = parse_decimal(a->value, &number, &end);
    int is_percent = is_decimal && strcmp(end, "%") == 0;
    number = is_percent ? number / 100 : number;
    if (!is_decimal || (!is_percent && *end != '\0') || number > 1) {
        return fail_value(a, error, "a share like 2% or 0.02");
    }
    *(double *)a->target = number;
    return BM_STATUS_OK;
}

/* A list of percents up to most_percent, as shares; one of 0 where there may be none. */
static int32_t set_percents(const struct bm_assignment *a,
                            double most_percent,
                            int may_be_zero,
                            const char *expected,
                            struct bm_error *error) {
    struct bm_target_list *target = a->target;
    struct bm_target_list list = {.count = 0};
    if (a->appends) {
        list = *target;
    }
    for (const char *p = a->value;;) {
        double percent = 0;
        const char *end = NULL;
        int is_number =
            may_be_zero ? parse_decimal(p, &percent, &end) : parse_positive(p, &percent, &end);
        if (!is_number || *end != '%' || percent > most_percent ||
            (end[1] != ',' && end[1] != '\0')) {
            return fail_value(a, error, expected);
        }
        if (list.count == BM_TARGET_MAX) {
            return fail_value(a, error, "at most 8 of them");
        }
        list.values[list.count++] = percent / 100;
        if (end[1] == '\0') {
            break;
        }
        p = end + 2;
    }
    *target = list;
    return BM_STATUS_OK;
}

/* 1e-3,5e-4 */
int32_t bm_set_sizes(const struct bm_assignment *a, struct bm_error *error) {
    struct bm_target_list *target = a->target;
    struct bm_target_list list = {.count = 0};
    if (a->appends) {
        list = *target;
    }
    for (const char *p = a->value;;) {
        double size = 0;
        const char *end = NULL;
        if (!parse_positive(p, &size, &end) || (*end != ',' && *end != '\0')) {
            return fail_value(a, error, "numbers above 0 like 1e-3,5e-4");
        }
        if (list.count == BM_TARGET_MAX) {
            return fail_value(a, error, "at most 8 of them");
        }
        list.values[list.count++] = size;
        if (*end == '\0') {
            break;
        }
        p = end + 1;
    }
    *target = list;
    return BM_STATUS_OK;
}

/* 97%, 98.5% */
int32_t bm_set_targets(const struct bm_assignment *a, struct bm_error *error) {
    return set_percents(a, 100, 0, "accuracies like 97%,98.5%", error);
}

/* 0%, 1.5%, 100%: more than the delay plugin can is refused by it. */
int32_t bm_set_delays(const struct bm_assignment *a, struct bm_error *error) {
    return set_percents(a, 1000, 1, "delays like 0%,1%,2.5%", error);
}

int32_t bm_set_duration(const struct bm_assignment *a, struct bm_error *error) {
    double seconds = 0;
    struct bm_error why;
    int32_t status = bm_parse_duration(a->value, &seconds, &why);
    if (status != BM_STATUS_OK) {
        return bm_fail(error, status, "%s: %s", a->label, why.text);
    }
    *(double *)a->target = seconds;
    return BM_STATUS_OK;
}

int32_t bm_set_flag(const struct bm_assignment *a, struct bm_error *error) {
    uint32_t is_yes = strcmp(a->value, "yes") == 0;
    if (!is_yes && strcmp(a->value, "no") != 0) {
        return fail_value(a, error, "yes or no");
    }
    *(uint32_t *)a->target = is_yes;
    return BM_STATUS_OK;
}

/* ---- Lists of numbers: 1,10,100  1-5  1-9+2  1-1024*2 ---- */

struct range {
    uint64_t first;
    uint64_t last;
    uint64_t step;
    int is_factor;
};

/* One item of a list. Returns 0 if it is none. */
static int32_t
parse_range(const struct bm_option_spec *option, const char *text, size_t length, struct range *r) {
    size_t dash = 0;
    while (dash < length && text[dash] != '-') {
        dash++;
    }
    *r = (struct range){.step = 1};
    if (!parse_digits(text, dash, option->low, option->high, &r->first)) {
        return 0;
    }
    r->last = r->first;
    if (dash == length) {
        return 1;
    }
    size_t mark = dash + 1;
    while (mark < length && text[mark] != '*' && text[mark] != '+') {
        mark++;
    }
    if (!parse_digits(text + dash + 1, mark - dash - 1, r->first, option->high, &r->last)) {
        return 0;
    }
    if (mark == length) {
        return 1;
    }
    r->is_factor = text[mark] == '*';
    return parse_digits(text + mark + 1, length - mark - 1, r->is_factor ? 2 : 1, UINT64_MAX,
                        &r->step) &&
           !(r->is_factor && r->first == 0);
}

/* Appends first .. last; 0 if the list is full. */
static int32_t append_range(struct bm_number_list *list, const struct range *r) {
    uint64_t value = r->first;
    for (;;) {
        if (list->count == BM_LIST_MAX) {
            return 0;
        }
        list->values[list->count++] = value;
        if (r->is_factor ? value > r->last / r->step : r->last - value < r->step) {
            return 1;
        }
        value = r->is_factor ? value * r->step : value + r->step;
    }
}

int32_t bm_set_numbers(const struct bm_assignment *a, struct bm_error *error) {
    struct bm_number_list *target = a->target;
    struct bm_number_list list = {.count = 0};
    if (a->appends) {
        list = *target;
    }
    for (const char *p = a->value;;) {
        struct range range;
        size_t length = strcspn(p, ",");
        if (!parse_range(a->option, p, length, &range)) {
            char item[64];
            (void)snprintf(item, sizeof item, "%.*s", (int)(length < 63 ? length : 63), p);
            struct bm_assignment one = *a;
            one.value = item;
            return fail_number(&one, error);
        }
        if (!append_range(&list, &range)) {
            return fail_value(a, error, "at most 64 values");
        }
        if (p[length] == '\0') {
            break;
        }
        p += length + 1;
    }
    *target = list;
    return BM_STATUS_OK;
}

/* ---- Names and paths ---- */

static int32_t is_choice(const struct bm_option_spec *option, const char *name) {
    if (option->choices == NULL) {
        return 1;
    }
    for (uint32_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(name, option->choices[i]) == 0) {
            return 1;
        }
    }
    return option->extra_choice != NULL && strcmp(name, option->extra_choice) == 0;
}

static int32_t
fail_choice(const struct bm_assignment *a, const char *found, struct bm_error *error) {
    char expected[256] = "one of";
    size_t used = strlen(expected);
    for (uint32_t i = 0; a->option->choices[i] != NULL && used < sizeof expected; i++) {
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s %s",
                                 i == 0 ? "" : ",", a->option->choices[i]);
    }
    if (a->option->extra_choice != NULL && used < sizeof expected) {
        (void)snprintf(expected + used, sizeof expected - used, ", %s", a->option->extra_choice);
    }
    return bm_fail(error, BM_STATUS_INVALID, "%s: expected %s, found \"%s\"", a->label, expected,
                   found);
}

int32_t bm_set_text(const struct bm_assignment *a, struct bm_error *error) {
    size_t length = strlen(a->value);
    if (length == 0 || length >= a->option->size) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "a text of 1 to %zu bytes", a->option->size - 1);
        return fail_value(a, error, expected);
    }
    memcpy(a->target, a->value, length + 1);
    return BM_STATUS_OK;
}

/* A name that becomes a folder: it stays where it is put. */
int32_t bm_set_folder(const struct bm_assignment *a, struct bm_error *error) {
    if (strchr(a->value, '/') != NULL || a->value[0] == '.') {
        return fail_value(a, error, "a name without / that does not begin with a dot");
    }
    return bm_set_text(a, error);
}

int32_t bm_set_choice(const struct bm_assignment *a, struct bm_error *error) {
    return is_choice(a->option, a->value) ? bm_set_text(a, error) : fail_choice(a, a->value, error);
}

/* Appends the names of a comma-separated list, each of which `is_right` must accept. */
static int32_t set_name_list(const struct bm_assignment *a,
                             int32_t (*is_right)(const char *name),
                             const char *expected,
                             struct bm_error *error) {
    struct bm_name_list *target = a->target;
    uint32_t count = a->appends ? target->count : 0;
    for (const char *p = a->value;;) {
        char name[BM_NAME_SIZE];
        size_t length = strcspn(p, ",");
        if (length == 0 || length >= BM_NAME_SIZE) {
            return fail_value(a, error, "names of 1 to 63 bytes, separated by commas");
        }
        memcpy(name, p, length);
        name[length] = '\0';
        if (!is_choice(a->option, name)) {
            return fail_choice(a, name, error);
        }
        if (is_right != NULL && !is_right(name)) {
            return fail_value(a, error, expected);
        }
        if (count == BM_LIST_MAX) {
            return fail_value(a, error, "at most 64 names");
        }
        memcpy(target->names[count++], name, length + 1);
        if (p[length] == '\0') {
            break;
        }
        p += length + 1;
    }
    target->count = count;
    return BM_STATUS_OK;
}

int32_t bm_set_names(const struct bm_assignment *a, struct bm_error *error) {
    return set_name_list(a, NULL, NULL, error);
}

#define BACKEND_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_-"

/* NAME or NAME:DEVICE, a number or a part of a name */
static int32_t is_backend(const char *name) {
    size_t length = strspn(name, BACKEND_LETTERS);
    return length > 0 &&
           (name[length] == '\0' || (name[length] == ':' && name[length + 1] != '\0'));
}

int32_t bm_set_backends(const struct bm_assignment *a, struct bm_error *error) {
    return set_name_list(a, is_backend, "names like avx2 or vulkan:0, separated by commas", error);
}

int32_t bm_set_paths(const struct bm_assignment *a, struct bm_error *error) {
    struct bm_path_list *target = a->target;
    uint32_t count = a->appends ? target->count : 0;
    size_t length = strlen(a->value);
    if (length == 0 || length >= BM_PATH_SIZE) {
        return fail_value(a, error, "a path of 1 to 1023 bytes");
    }
    if (count == sizeof target->paths / sizeof target->paths[0]) {
        return fail_value(a, error, "at most 16 paths");
    }
    memcpy(target->paths[count], a->value, length + 1);
    target->count = count + 1;
    return BM_STATUS_OK;
}

/* FORMAT=FILE */
int32_t bm_set_exports(const struct bm_assignment *a, struct bm_error *error) {
    char format[BM_NAME_SIZE] = "";
    size_t length = strcspn(a->value, "=");
    if (a->value[length] == '\0' || a->value[length + 1] == '\0') {
        return fail_value(a, error, "FORMAT=FILE");
    }
    (void)snprintf(format, sizeof format, "%.*s", (int)(length < 63 ? length : 63), a->value);
    return is_choice(a->option, format) ? bm_set_paths(a, error) : fail_choice(a, format, error);
}

/* ---- Settings of a backend ---- */

int32_t bm_option_set_backend(struct bm_options *options,
                              const char *label,
                              const struct bm_backend_setting *setting,
                              struct bm_error *error) {
    uint32_t i = 0;
    while (i < options->setting_count &&
           (strcmp(options->setting[i].backend, setting->backend) != 0 ||
            strcmp(options->setting[i].key, setting->key) != 0 ||
            options->setting[i].is_environment != setting->is_environment)) {
        i++;
    }
    if (i == BM_LIST_MAX) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected at most 64 settings of backends, found more", label);
    }
    options->setting[i] = *setting;
    options->setting_count += i == options->setting_count;
    return BM_STATUS_OK;
}

static int32_t copy_part(const char *begin, size_t length, char *part, size_t capacity) {
    if (length == 0 || length >= capacity) {
        return 0;
    }
    memcpy(part, begin, length);
    part[length] = '\0';
    return 1;
}

/* BACKEND.KEY=VALUE; the field in the table is the whole of struct bm_options. */
int32_t bm_set_backend_option(const struct bm_assignment *a, struct bm_error *error) {
    struct bm_backend_setting setting = {.is_environment = 0};
    const char *dot = strchr(a->value, '.');
    const char *equals = strchr(a->value, '=');
    if (dot == NULL || equals == NULL || equals < dot ||
        !copy_part(a->value, (size_t)(dot - a->value), setting.backend, sizeof setting.backend) ||
        !copy_part(dot + 1, (size_t)(equals - dot - 1), setting.key, sizeof setting.key) ||
        !copy_part(equals + 1, strlen(equals + 1), setting.value, sizeof setting.value)) {
        return fail_value(a, error, "BACKEND.KEY=VALUE");
    }
    return bm_option_set_backend(a->target, a->label, &setting, error);
}
