#include "self_test.h"

#include "command.h"
#include "compare_run.h"
#include "comparison_words.h"
#include "error.h"
#include "grid.h"
#include "interrupt.h"
#include "option_table.h"
#include "place.h"
#include "trust.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELAY_NAME "delay" /* of the plugin, as options call it */
#define DELAY_VARIABLE "BATCHMARK_DELAY_PLUGIN"
#define VARIANT_SIZE 32u

/* All gates of one cell and delay. */
struct tally {
    const struct bm_comparison_cell *first;
    double delay;
    uint32_t counts[BM_COMPARISON_VERDICT_COUNT];
    uint32_t gates;
    uint32_t measured;  /* of them have a ratio, */
    uint32_t sensitive; /* and these a sensitivity */
    double ratios;      /* sums */
    double sensitivities;
    double seconds;
    double most_sensitivity;
    double most_seconds;
};

static int fail(const char *text) {
    (void)fprintf(stderr, "batchmark compare: %s\n", text);
    return BM_EXIT_USAGE;
}

static void variant_of(double delay, char *text) {
    (void)snprintf(text, VARIANT_SIZE, "+%g%%", 100 * delay);
}

/* ---- What is compared ---- */

/* The path of a plugin that is found by itself. */
static int32_t find_plugin(const struct bm_options *options, char *path, struct bm_error *error) {
    struct bm_selection *selection = calloc(1, sizeof *selection);
    if (selection == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "--self-test: no memory");
    }
    int32_t status = bm_selection_make(options, selection, error);
    const struct bm_row *found = NULL;
    for (uint32_t i = 0; i < selection->row_count && found == NULL; i++) {
        const struct bm_row *row = &selection->row[i];
        found = row->device != NULL && !row->computes_nothing ? row : NULL;
    }
    if (status == BM_STATUS_OK && found != NULL) {
        (void)snprintf(path, BM_PATH_SIZE, "%s", found->file->path);
    } else if (status == BM_STATUS_OK) {
        status = bm_fail(error, BM_STATUS_INVALID,
                         "--self-test: expected a plugin with a device, found none");
    }
    bm_selection_free(selection);
    free(selection);
    return status;
}

static int32_t
set_option(struct bm_options *options, const char *key, const char *value, struct bm_error *error) {
    struct bm_backend_setting setting = {.backend = DELAY_NAME, .is_environment = 0};
    (void)snprintf(setting.key, sizeof setting.key, "%s", key);
    (void)snprintf(setting.value, sizeof setting.value, "%s", value);
    return bm_option_set_backend(options, "--delay", &setting, error);
}

/* What the plugin is told by its own name holds for it in disguise too. */
static int32_t copy_options(struct bm_options *options, const char *name, struct bm_error *error) {
    uint32_t count = options->setting_count;
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        struct bm_backend_setting setting = options->setting[i];
        if (strcmp(setting.backend, name) == 0) {
            (void)snprintf(setting.backend, sizeof setting.backend, DELAY_NAME);
            status = bm_option_set_backend(options, "--option", &setting, error);
        }
    }
    return status;
}

/* The plugin in disguise loads this one by itself: it is judged here. UNSUPPORTED: not trusted. */
static int32_t check_trust(const char *absolute, struct bm_error *error) {
    char doubt[BM_TRUST_DOUBT_SIZE];
    int fd = -1;
    int32_t status = bm_trust_open(absolute, &fd, doubt, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    (void)close(fd);
    return doubt[0] == '\0' ? BM_STATUS_OK : bm_fail(error, BM_STATUS_UNSUPPORTED, "%.510s", doubt);
}

/* Absolute, since a worker is handed it in the environment. */
static int32_t
hand_over(const struct bm_options *options, const char *plugin, struct bm_error *error) {
    char absolute[PATH_MAX];
    if (realpath(plugin, absolute) == NULL) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: no such plugin", plugin);
    }
    int32_t status = options->trust ? BM_STATUS_OK : check_trust(absolute, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    return setenv(DELAY_VARIABLE, absolute, 1) == 0
               ? BM_STATUS_OK
               : bm_fail_errno(error, BM_STATUS_INVALID, "--self-test: cannot set " DELAY_VARIABLE);
}

/* ---- Gates ---- */

/* One gate of every cell for every delay, as often as asked. */
static int32_t run_gates(struct bm_compare_run *run, struct bm_options *options) {
    const struct bm_compare_options *compare = &options->compare;
    int32_t status = BM_STATUS_OK;
    for (uint64_t r = 0; r < compare->repeat && status == BM_STATUS_OK; r++) {
        for (uint32_t d = 0; d < compare->delay.count && status == BM_STATUS_OK; d++) {
            char variant[VARIANT_SIZE];
            char percent[VARIANT_SIZE];
            variant_of(compare->delay.values[d], variant);
            (void)snprintf(percent, sizeof percent, "%.9g", 100 * compare->delay.values[d]);
            status = set_option(options, "percent", percent, &run->error);
            run->variant = variant;
            run->repeat = (uint32_t)r;
            if (status == BM_STATUS_OK && !bm_compare_run_cells(run)) {
                return BM_STATUS_OK;
            }
        }
    }
    return status;
}

/* ---- Tallies ---- */

static int belongs(const struct tally *tally, const struct bm_comparison_cell *cell) {
    return strcmp(tally->first->name, cell->name) == 0 &&
           strcmp(tally->first->backend, cell->backend) == 0;
}

static void count_cell(struct tally *tally, const struct bm_comparison_cell *cell) {
    tally->counts[cell->verdict]++;
    tally->gates++;
    tally->measured += cell->ratio > 0;
    tally->ratios += cell->ratio;
    if (isfinite(cell->sensitivity)) {
        tally->sensitive++;
        tally->sensitivities += cell->sensitivity;
        tally->most_sensitivity = fmax(tally->most_sensitivity, cell->sensitivity);
    }
    tally->seconds += cell->seconds;
    tally->most_seconds = fmax(tally->most_seconds, cell->seconds);
}

/* The delay that a cell's name ends with. */
static double delay_of(const struct bm_compare_options *options,
                       const struct bm_comparison_cell *cell) {
    const char *mark = strrchr(cell->backend, '+');
    for (uint32_t d = 0; d < options->delay.count; d++) {
        char variant[VARIANT_SIZE];
        variant_of(options->delay.values[d], variant);
        if (mark != NULL && strcmp(mark, variant) == 0) {
            return options->delay.values[d];
        }
    }
    return NAN;
}

/* tallies[cell_count]; returns how many there are. */
static uint32_t make_tallies(const struct bm_compare_run *run, struct tally *tallies) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->comparison.cell_count; i++) {
        const struct bm_comparison_cell *cell = &run->comparison.cells[i];
        uint32_t k = 0;
        while (k < count && !belongs(&tallies[k], cell)) {
            k++;
        }
        if (k == count) {
            tallies[count++] = (struct tally){
                .first = cell, .delay = delay_of(&run->campaign.options->compare, cell)};
        }
        count_cell(&tallies[k], cell);
    }
    return count;
}

static uint32_t other_count(const struct tally *tally) {
    return tally->gates - tally->counts[BM_COMPARISON_PASS] -
           tally->counts[BM_COMPARISON_REGRESSION] - tally->counts[BM_COMPARISON_IMPROVEMENT] -
           tally->counts[BM_COMPARISON_INCONCLUSIVE];
}

/* NULL where the gate did what it should. */
static const char *fault_of(const struct tally *tally) {
    uint32_t found = tally->counts[BM_COMPARISON_REGRESSION];
    if (other_count(tally) > 0) {
        return "gates without a verdict";
    }
    if (tally->delay > 0 && tally->counts[BM_COMPARISON_IMPROVEMENT] > 0) {
        return "a slow-down is called an improvement";
    }
    if (tally->delay <= 0 && 100 * found > tally->gates) {
        return "false alarms in more than 1 of 100";
    }
    return tally->sensitive > 0 && tally->delay > tally->most_sensitivity &&
                   2 * found < tally->gates
               ? "less than half is found of what should be"
               : NULL;
}

static void fill_row(const struct tally *tally, struct bm_grid *grid, uint32_t row) {
    const uint32_t *counts = tally->counts;
    const char *fault = fault_of(tally);
    char change[32];
    char sensitivity[32];
    /* Of no gates there is no mean: 0 / 0 is printed as what was not measured. */
    bm_comparison_percent(tally->ratios / tally->measured - 1, 1, change, sizeof change);
    bm_comparison_percent(tally->sensitivities / tally->sensitive, 0, sensitivity,
                          sizeof sensitivity);
    bm_grid_set(grid, row, 0, "%s", tally->first->backend);
    bm_grid_set(grid, row, 1, "%llu", (unsigned long long)tally->first->batch);
    bm_grid_set(grid, row, 2, "%u", tally->gates);
    bm_grid_set(grid, row, 3, "%u", counts[BM_COMPARISON_PASS]);
    bm_grid_set(grid, row, 4, "%u", counts[BM_COMPARISON_REGRESSION]);
    bm_grid_set(grid, row, 5, "%u", counts[BM_COMPARISON_IMPROVEMENT]);
    bm_grid_set(grid, row, 6, "%u", counts[BM_COMPARISON_INCONCLUSIVE]);
    bm_grid_set(grid, row, 7, "%s", change);
    bm_grid_set(grid, row, 8, "%s", sensitivity);
    bm_grid_set(grid, row, 9, "%.0f s", tally->seconds / tally->gates);
    bm_grid_set(grid, row, 10, "%.0f s", tally->most_seconds);
    bm_grid_set(grid, row, 11, "%s%s", fault == NULL ? "" : "FAILED: ", fault == NULL ? "" : fault);
}

/* One row for each cell and delay; returns how many failed. */
static uint32_t
print_tallies(const struct bm_compare_run *run, const struct tally *tallies, uint32_t count) {
    static const char *const heading[] = {"made slower", "batch",       "gates",        "PASS",
                                          "REGRESSION",  "IMPROVEMENT", "INCONCLUSIVE", "measured",
                                          "would find",  "time",        "longest",      ""};
    uint32_t failed = 0;
    struct bm_grid grid;
    FILE *stream = strcmp(run->campaign.options->format, "table") == 0 ? stdout : stderr;
    (void)fprintf(stream, "%s against itself made slower, %.3g %% accepted\n\n",
                  run->comparison.base_name, 100 * run->comparison.threshold);
    for (uint32_t i = 0; i < count; i++) {
        failed += fault_of(&tallies[i]) != NULL;
    }
    if (bm_grid_init(&grid, count + 1, sizeof heading / sizeof heading[0]) != 0) {
        (void)fail("--self-test: no memory for its table");
        return failed;
    }
    grid.ends_in_prose = 1;
    for (uint32_t column = 0; column < grid.columns; column++) {
        bm_grid_set(&grid, 0, column, "%s", heading[column]);
    }
    for (uint32_t i = 0; i < count; i++) {
        fill_row(&tallies[i], &grid, i + 1);
    }
    bm_grid_print_text(&grid, stream);
    (void)fputc('\n', stream);
    bm_grid_deinit(&grid);
    return failed;
}

/* ---- The whole ---- */

static int judge(struct bm_compare_run *run) {
    struct tally *tallies = calloc(run->comparison.cell_count + 1, sizeof *tallies);
    if (tallies == NULL) {
        return fail("--self-test: no memory");
    }
    uint32_t count = make_tallies(run, tallies);
    uint32_t failed = print_tallies(run, tallies, count);
    free(tallies);
    if (count == 0) {
        return BM_EXIT_NOTHING;
    }
    return failed > 0 ? BM_EXIT_WRONG : BM_EXIT_OK;
}

static int measure(struct bm_compare_run *run,
                   struct bm_options *options,
                   const char *const paths[BM_SIDE_COUNT],
                   int argc,
                   char **argv) {
    uint64_t gates = options->compare.repeat * options->compare.delay.count;
    int code = bm_compare_run_open(run, options, paths, gates, argc, argv);
    if (code != BM_EXIT_OK) {
        return code;
    }
    if (run->plan.pair_count > 0 &&
        copy_options(options, run->plan.side[BM_SIDE_BASE].plugins.file[0].name, &run->error) !=
            BM_STATUS_OK) {
        return fail(run->error.text);
    }
    int32_t status = run_gates(run, options);
    if (status != BM_STATUS_OK) {
        return fail(run->error.text);
    }
    code = judge(run);
    bm_compare_run_end(run, code);
    bm_compare_run_print(run);
    return bm_compare_run_exit_code(run, code);
}

int bm_self_test(struct bm_options *options, const char *plugin, int argc, char **argv) {
    char found[BM_PATH_SIZE];
    char delay[BM_PATH_SIZE];
    struct bm_error error = {0};
    if (!bm_place_delay(delay, sizeof delay)) {
        return fail("--self-test: expected delay/bm_delay.so beside the plugins, found none");
    }
    if (plugin == NULL && find_plugin(options, found, &error) != BM_STATUS_OK) {
        return fail(error.text);
    }
    const char *const paths[BM_SIDE_COUNT] = {plugin == NULL ? found : plugin, delay};
    int32_t status = hand_over(options, paths[BM_SIDE_BASE], &error);
    if (status != BM_STATUS_OK) {
        (void)fail(error.text);
        return status == BM_STATUS_UNSUPPORTED ? BM_EXIT_REFUSED : BM_EXIT_USAGE;
    }
    struct bm_compare_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return fail("--self-test: no memory");
    }
    /* It chose the plugin, and would leave out the one in disguise. */
    options->backend.count = 0;
    int code = measure(run, options, paths, argc, argv);
    bm_compare_run_close(run);
    free(run);
    return code;
}
