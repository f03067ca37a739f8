#include "percent.h"

#include <batchmark/kit.h>

#include <stdlib.h>
#include <string.h>

#define PERCENT_MAX 1000.0
#define DIGITS "0123456789"

/* Digits, and perhaps a point and digits, whatever the locale. */
static int parse(const char *text, double *percent) {
    size_t whole = strspn(text, DIGITS);
    const char *rest = text + whole;
    size_t fraction = *rest == '.' ? strspn(rest + 1, DIGITS) : 0;
    double unit = 1;
    *percent = 0;
    for (const char *c = text; c < rest; c++) {
        *percent = 10 * *percent + (*c - '0');
    }
    for (size_t i = 0; i < fraction; i++) {
        unit /= 10;
        *percent += unit * (rest[1 + i] - '0');
    }
    const char *end = *rest == '.' && fraction > 0 ? rest + 1 + fraction : rest;
    return whole > 0 && *end == '\0' && *percent <= PERCENT_MAX;
}

static int32_t
read_percent(const char *name, const char *text, double *percent, struct bm_error *error) {
    if (!parse(text, percent)) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "%s: expected a number of percent, 0 .. %g, found \"%.64s\"", name,
                           PERCENT_MAX, text);
    }
    return BM_STATUS_OK;
}

/* Whether the options can be read at all; the wrapped plugin says it of those that cannot. */
static int has_options(const struct bm_problem *given) {
    struct bm_error unused;
    return bm_kit_struct(given, sizeof *given, "problem", &unused) == BM_STATUS_OK &&
           given->option_count > 0 && given->options != NULL &&
           given->option_stride >= sizeof(struct bm_option);
}

static int32_t
take_out(const struct bm_problem *given, struct bm_delay_problem *problem, struct bm_error *error) {
    uint32_t kept = 0;
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < given->option_count && status == BM_STATUS_OK; i++) {
        struct bm_option option = bm_kit_option_at(given, i);
        if (option.key == NULL || strcmp(option.key, "percent") != 0) {
            problem->options[kept++] = option;
        } else if (kept < i) {
            status =
                bm_kit_fail(error, BM_STATUS_INVALID, "option percent: expected once, found twice");
        } else {
            const char *value = option.value == NULL ? "NULL" : option.value;
            status = read_percent("option percent", value, &problem->percent, error);
        }
    }
    problem->copy = *given;
    problem->copy.size = sizeof problem->copy; /* what follows in a longer one is zeros */
    problem->copy.options = kept > 0 ? problem->options : NULL;
    problem->copy.option_count = kept;
    problem->copy.option_stride = sizeof(struct bm_option);
    problem->problem = &problem->copy;
    return status;
}

int32_t bm_delay_problem_init(const struct bm_problem *given,
                              struct bm_delay_problem *problem,
                              struct bm_error *error) {
    const char *usual = getenv(BM_DELAY_PERCENT);
    memset(problem, 0, sizeof *problem);
    problem->problem = given;
    int32_t status = usual == NULL || usual[0] == '\0'
                         ? BM_STATUS_OK
                         : read_percent("$" BM_DELAY_PERCENT, usual, &problem->percent, error);
    if (status != BM_STATUS_OK || !has_options(given)) {
        return status;
    }
    problem->options = calloc(given->option_count, sizeof *problem->options);
    status = problem->options == NULL ? bm_kit_fail(error, BM_STATUS_NO_MEMORY,
                                                    "no memory for %u options", given->option_count)
                                      : take_out(given, problem, error);
    if (status != BM_STATUS_OK) {
        bm_delay_problem_deinit(problem);
    }
    return status;
}

void bm_delay_problem_deinit(struct bm_delay_problem *problem) {
    free(problem->options);
    problem->options = NULL;
}
