/* Options key=value of a problem, checked against the table of the keys a backend knows. */
#include <batchmark/kit.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SIZE 256

/* Appends ", name" (or the name alone) as far as there is room. */
static void append_name(char names[NAMES_SIZE], const char *name) {
    size_t used = strlen(names);
    (void)snprintf(names + used, NAMES_SIZE - used, "%s%s", used > 0 ? ", " : "", name);
}

static int32_t fail_key(const char *key,
                        const struct bm_kit_option *known,
                        uint32_t known_count,
                        struct bm_error *error) {
    char names[NAMES_SIZE] = "";
    for (uint32_t i = 0; i < known_count; i++) {
        append_name(names, known[i].key);
    }
    return bm_kit_fail(error, BM_STATUS_INVALID, "option \"%.64s\": unknown, expected %s", key,
                       known_count > 0 ? names : "none: this backend has no options");
}

static int32_t parse_choice(const struct bm_kit_option *known,
                            const char *text,
                            int64_t *value,
                            struct bm_error *error) {
    char names[NAMES_SIZE] = "";
    for (int64_t i = 0; known->choices[i] != NULL; i++) {
        if (strcmp(known->choices[i], text) == 0) {
            *value = i;
            return BM_STATUS_OK;
        }
        append_name(names, known->choices[i]);
    }
    return bm_kit_fail(error, BM_STATUS_INVALID, "option %s: expected one of %s, found \"%.64s\"",
                       known->key, names, text);
}

static int32_t parse_integer(const struct bm_kit_option *known,
                             const char *text,
                             int64_t *value,
                             struct bm_error *error) {
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    /* strtoll takes leading blanks and a plus sign; an option does not. */
    int digits_first = text[0] == '-' || (text[0] >= '0' && text[0] <= '9');
    if (!digits_first || *end != '\0' || errno != 0 || number < known->minimum ||
        number > known->maximum) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "option %s: expected an integer %lld .. %lld, found \"%.64s\"",
                           known->key, (long long)known->minimum, (long long)known->maximum, text);
    }
    *value = number;
    return BM_STATUS_OK;
}

static uint32_t find_key(const char *key, const struct bm_kit_option *known, uint32_t known_count) {
    uint32_t index = 0;
    while (index < known_count && strcmp(known[index].key, key) != 0) {
        index++;
    }
    return index;
}

struct bm_option bm_kit_option_at(const struct bm_problem *problem, uint32_t index) {
    struct bm_option option;
    memcpy(&option,
           (const unsigned char *)problem->options + (size_t)index * problem->option_stride,
           sizeof option);
    return option;
}

static int32_t check_key(const struct bm_problem *problem,
                         uint32_t index,
                         const struct bm_kit_option *known,
                         uint32_t known_count,
                         struct bm_error *error) {
    struct bm_option option = bm_kit_option_at(problem, index);
    if (option.key == NULL || option.value == NULL) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "option %u: expected a key and a value, found NULL", index);
    }
    if (find_key(option.key, known, known_count) == known_count) {
        return fail_key(option.key, known, known_count, error);
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(bm_kit_option_at(problem, i).key, option.key) == 0) {
            return bm_kit_fail(error, BM_STATUS_INVALID, "option %s: expected once, found twice",
                               option.key);
        }
    }
    return BM_STATUS_OK;
}

int32_t bm_kit_options(const struct bm_problem *problem,
                       const struct bm_kit_option *known,
                       uint32_t known_count,
                       int64_t *values,
                       struct bm_error *error) {
    if (problem->option_count > 0 &&
        (problem->options == NULL || problem->option_stride < sizeof(struct bm_option))) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "option_stride: expected at least %zu for %u options, found %u",
                           sizeof(struct bm_option), problem->option_count,
                           problem->options == NULL ? 0 : problem->option_stride);
    }
    for (uint32_t i = 0; i < known_count; i++) {
        values[i] = known[i].fallback;
    }
    for (uint32_t i = 0; i < problem->option_count; i++) {
        int32_t status = check_key(problem, i, known, known_count, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        struct bm_option option = bm_kit_option_at(problem, i);
        uint32_t index = find_key(option.key, known, known_count);
        status = known[index].choices != NULL
                     ? parse_choice(&known[index], option.value, &values[index], error)
                     : parse_integer(&known[index], option.value, &values[index], error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    return BM_STATUS_OK;
}
