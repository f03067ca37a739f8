#include "table.h"

#include "field.h"
#include "options.h"
#include "paired.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The spread is half of what lies between the quartiles of the rounds, so this is 10 %. */
#define UNSTEADY 0.05
/* A process that became so many times larger than needed is told, from so many bytes on. */
#define MEMORY_RATIO 1.2
#define MEMORY_BYTES 268435456.0
/* Most of a table, rows times columns: a record may have cells that all differ in everything. */
#define FIELDS_MAX 100000u

int32_t bm_table_format(const char *name) {
    static const char *const names[] = {"table", "markdown", "csv"};
    for (int32_t i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

int bm_table_is_unsteady(const json_t *series) {
    return bm_field_number(series, "spread") > UNSTEADY;
}

void bm_table_time(double ns, char *text, uint32_t capacity) {
    static const struct {
        double ns;
        const char *name;
    } units[] = {{1, "ns"}, {1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}};

    uint32_t unit = 0;
    while (unit < 3 && ns >= 999.5 * units[unit].ns) {
        unit++;
    }
    double value = ns / units[unit].ns;
    int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    (void)snprintf(text, capacity, "%.*f %s", digits, value, units[unit].name);
}

void bm_table_print_grid(const struct bm_grid *grid, uint32_t format, FILE *stream) {
    static void (*const print[])(const struct bm_grid *grid, FILE *stream) = {
        [BM_TABLE_TEXT] = bm_grid_print_text,
        [BM_TABLE_MARKDOWN] = bm_grid_print_markdown,
        [BM_TABLE_BLOCKS] = bm_grid_print_line,
    };
    print[format](grid, stream);
}

void bm_table_print_heading(const json_t *objects, FILE *stream) {
    size_t index;
    const json_t *object;
    json_array_foreach(objects, index, object) {
        if (bm_field_is_kind(object, "run")) {
            const json_t *host = json_object_get(object, "host");
            char quota[48] = "";
            if (bm_field_number(host, "quota") > 0) {
                (void)snprintf(quota, sizeof quota, " (a quota of %.3g)",
                               bm_field_number(host, "quota"));
            }
            (void)fprintf(stream, "batchmark %s on %s, %.0f core%s%s%s\n\n",
                          bm_field_text(object, "version"), bm_field_text(host, "cpu"),
                          bm_field_number(host, "cores"),
                          bm_field_number(host, "cores") == 1 ? "" : "s", quota,
                          json_is_true(json_object_get(object, "in_process"))
                              ? ", in process (not comparable)"
                              : "");
            return;
        }
    }
}

/* "1.23 M" */
static void format_rate(double rate, char *text, uint32_t capacity) {
    static const char *const names[] = {"", " k", " M", " G"};
    uint32_t unit = 0;
    while (unit < 3 && rate >= 999.5) {
        rate /= 1000;
        unit++;
    }
    int digits = rate >= 99.95 ? 0 : rate >= 9.995 ? 1 : 2;
    (void)snprintf(text, capacity, "%.*f%s", digits, rate, names[unit]);
}

/* ---- Looking into cells ---- */

static int is_joint(const json_t *cell) {
    return bm_field_number(cell, "data_parallel") > 1;
}

/* Of a batch that several sessions share, as one session has it: which parts normalize alone is
 * told in a note. */
static void model_of(const json_t *cell, char *model, size_t capacity) {
    (void)snprintf(model, capacity, "%s", bm_field_text(cell, "model"));
    char *ghost = strstr(model, " ghost-");
    if (ghost == NULL || !is_joint(cell)) {
        return;
    }
    uint64_t slice = bm_field_whole(cell, "micro_batch");
    *ghost = '\0';
    if (slice > 0 && slice < bm_field_whole(cell, "batch")) {
        (void)snprintf(ghost, capacity - (size_t)(ghost - model), " ghost-%llu",
                       (unsigned long long)slice);
    }
}

/* Cells of one case share a table: everything but backend, device and batch. Where several records
 * stand side by side, rows tell their threads and seed, and cells what else their case is. */
static void case_key(const json_t *cell, char *key, size_t capacity) {
    char model[128];
    char threads[48] = "";
    int has_row = json_object_get(cell, "row") != NULL;
    model_of(cell, model, sizeof model);
    if (!has_row) {
        (void)snprintf(threads, sizeof threads, ", %lld thread%s",
                       (long long)bm_field_whole(cell, "threads"),
                       bm_field_number(cell, "threads") == 1 ? "" : "s");
    }
    (void)snprintf(key, capacity, "%.127s, %.100s, %.100s%s, %.100s%.3000s", model,
                   bm_field_text(cell, "dataset"), bm_field_text(cell, "optimizer"), threads,
                   bm_field_text(cell, "precision"), bm_field_text(cell, "detail"));
    if (!has_row && bm_field_number(cell, "seed") != 1) {
        size_t used = strlen(key);
        (void)snprintf(key + used, capacity - used, ", seed %lld",
                       (long long)bm_field_whole(cell, "seed"));
    }
}

/* The axes of one table, in order of first appearance (rows) and of size (columns). Cells and texts
 * are borrowed from the record. */
struct layout {
    uint32_t row_count;
    const char **rows; /* [row_count] */
    uint32_t batch_count;
    uint64_t *batches;    /* [batch_count] */
    const json_t **cells; /* [row_count][batch_count], NULL where there is none */
    uint64_t full;        /* a batch that is the whole set, or 0 */
};

/* What a row is called: in a record of its own by the label, among others as they say. */
static const char *row_of(const json_t *cell) {
    const char *row = json_string_value(json_object_get(cell, "row"));
    return row != NULL ? row : bm_field_text(cell, "label");
}

static uint32_t row_index(struct layout *layout, const char *row) {
    for (uint32_t i = 0; i < layout->row_count; i++) {
        if (strcmp(layout->rows[i], row) == 0) {
            return i;
        }
    }
    layout->rows[layout->row_count] = row;
    return layout->row_count++;
}

/* The first place of a batch that is not smaller. */
static uint32_t batch_index(const struct layout *layout, uint64_t batch) {
    uint32_t at = 0;
    while (at < layout->batch_count && layout->batches[at] < batch) {
        at++;
    }
    return at;
}

static void add_batch(struct layout *layout, uint64_t batch) {
    uint32_t at = batch_index(layout, batch);
    if (at < layout->batch_count && layout->batches[at] == batch) {
        return;
    }
    memmove(&layout->batches[at + 1], &layout->batches[at],
            (layout->batch_count - at) * sizeof layout->batches[0]);
    layout->batches[at] = batch;
    layout->batch_count++;
}

static void find_axes(const json_t *cells, struct layout *layout) {
    size_t index;
    const json_t *cell;
    json_array_foreach(cells, index, cell) {
        (void)row_index(layout, row_of(cell));
        add_batch(layout, bm_field_whole(cell, "batch"));
        if (json_is_true(json_object_get(cell, "full"))) {
            layout->full = bm_field_whole(cell, "batch");
        }
    }
}

/* Of cells that are there twice the first counts. */
static void place_cells(const json_t *cells, struct layout *layout) {
    size_t index;
    const json_t *cell;
    json_array_foreach(cells, index, cell) {
        uint32_t row = row_index(layout, row_of(cell));
        uint32_t batch = batch_index(layout, bm_field_whole(cell, "batch"));
        const json_t **place = &layout->cells[(size_t)row * layout->batch_count + batch];
        *place = *place == NULL ? cell : *place;
    }
}

/* Of the cells of a case. 0, or -1 without memory; free it in both cases. Of more than FIELDS_MAX
 * there are the axes alone, and `cells` is NULL. */
static int find_layout(const json_t *cells, struct layout *layout) {
    size_t count = json_array_size(cells);
    memset(layout, 0, sizeof *layout);
    layout->rows = calloc(count, sizeof *layout->rows);
    layout->batches = calloc(count, sizeof *layout->batches);
    if (layout->rows == NULL || layout->batches == NULL) {
        return -1;
    }
    find_axes(cells, layout);
    if ((uint64_t)layout->row_count * layout->batch_count > FIELDS_MAX) {
        return 0;
    }
    layout->cells =
        calloc((size_t)layout->row_count * layout->batch_count + 1, sizeof(const json_t *));
    if (layout->cells == NULL) {
        return -1;
    }
    place_cells(cells, layout);
    return 0;
}

static void free_layout(struct layout *layout) {
    free(layout->rows);
    free(layout->batches);
    free(layout->cells);
}

static const json_t *find_cell(const struct layout *layout, uint32_t row, uint32_t batch) {
    return layout->cells[(size_t)row * layout->batch_count + batch];
}

/* For what is the same in all cells of a row: side by side, rows have different batch sizes. */
static const json_t *first_cell(const struct layout *layout, uint32_t row) {
    for (uint32_t i = 0; i < layout->batch_count; i++) {
        if (find_cell(layout, row, i) != NULL) {
            return find_cell(layout, row, i);
        }
    }
    return NULL;
}

/* ---- Fields ---- */

/* What stands in place of a time: wrong, crashed, ... or absent. */
static const char *mark_of(const json_t *cell) {
    if (cell == NULL || bm_field_has_status(cell, "skipped") ||
        bm_field_has_status(cell, "unsupported")) {
        return "-";
    }
    if (bm_field_has_status(cell, "wrong")) {
        return "! WRONG";
    }
    return bm_field_has_status(cell, "crashed")   ? "! crashed"
           : bm_field_has_status(cell, "timeout") ? "! timeout"
                                                  : "! error";
}

static void series_field(const json_t *cell, const char *series, char *text, uint32_t capacity) {
    const json_t *figures = json_object_get(cell, series);
    char time[32];
    if (cell == NULL || !bm_field_has_status(cell, "ok") || !json_is_object(figures)) {
        (void)snprintf(text, capacity, "%s", bm_field_has_status(cell, "ok") ? "-" : mark_of(cell));
        return;
    }
    bm_table_time(bm_field_number(figures, "median_ns"), time, sizeof time);
    double percent = 100 * bm_field_number(figures, "spread");
    (void)snprintf(text, capacity, "%s ± %.*f %%", time, percent < 9.95 ? 1 : 0, percent);
}

static void device_gradient_field(const json_t *cell, char *text, uint32_t capacity) {
    series_field(cell, "device_gradient", text, capacity);
}

static void device_apply_field(const json_t *cell, char *text, uint32_t capacity) {
    series_field(cell, "device_apply", text, capacity);
}

static void device_update_field(const json_t *cell, char *text, uint32_t capacity) {
    series_field(cell, "device_update", text, capacity);
}

static void epoch_field(const json_t *cell, char *text, uint32_t capacity) {
    const json_t *epoch = json_object_get(cell, "epoch");
    char time[32];
    if (cell == NULL || !bm_field_has_status(cell, "ok") || !json_is_object(epoch)) {
        (void)snprintf(text, capacity, "%s", bm_field_has_status(cell, "ok") ? "-" : mark_of(cell));
        return;
    }
    bm_table_time(1e9 * bm_field_number(epoch, "seconds"), time, sizeof time);
    (void)snprintf(text, capacity, "%s%s",
                   json_is_true(json_object_get(epoch, "measured")) ? "" : "~", time);
}

static void share_field(const json_t *cell, char *text, uint32_t capacity) {
    const json_t *share = json_object_get(json_object_get(cell, "bound"), "share");
    if (cell == NULL || !bm_field_has_status(cell, "ok") || !json_is_number(share)) {
        (void)snprintf(text, capacity, "%s", bm_field_has_status(cell, "ok") ? "-" : mark_of(cell));
        return;
    }
    double percent = 100 * json_number_value(share);
    (void)snprintf(text, capacity, "%.*f %%", percent < 9.95 ? 1 : 0, percent);
}

/* "87 % (84 to 90)" */
static void efficiency_field(const json_t *cell, char *text, uint32_t capacity) {
    const json_t *efficiency = json_object_get(cell, "efficiency");
    if (cell == NULL || !bm_field_has_status(cell, "ok") || !json_is_object(efficiency)) {
        (void)snprintf(text, capacity, "%s", bm_field_has_status(cell, "ok") ? "-" : mark_of(cell));
        return;
    }
    double percent = 100 * bm_field_number(efficiency, "value");
    int digits = percent < 9.95 ? 1 : 0;
    (void)snprintf(text, capacity, "%.*f %% (%.*f to %.*f)", digits, percent, digits,
                   100 * bm_field_number(efficiency, "low"), digits,
                   100 * bm_field_number(efficiency, "high"));
}

/* Differences of times, which noise may make negative. */
static void format_difference(double ns, char *text, uint32_t capacity) {
    char time[32];
    bm_table_time(fabs(ns), time, sizeof time);
    (void)snprintf(text, capacity, "%s%s", ns < 0 ? "-" : "", time);
}

/* "21.3 µs (19.8 µs to 22.1 µs)" */
static void submission_field(const json_t *cell, char *text, uint32_t capacity) {
    const json_t *submission = json_object_get(cell, "submission");
    char times[3][40];
    if (cell == NULL || !bm_field_has_status(cell, "ok") || !json_is_object(submission)) {
        (void)snprintf(text, capacity, "%s", bm_field_has_status(cell, "ok") ? "-" : mark_of(cell));
        return;
    }
    format_difference(bm_field_number(submission, "median_ns"), times[0], sizeof times[0]);
    format_difference(bm_field_number(submission, "low_ns"), times[1], sizeof times[1]);
    format_difference(bm_field_number(submission, "high_ns"), times[2], sizeof times[2]);
    (void)snprintf(text, capacity, "%s (%s to %s)", times[0], times[1], times[2]);
}

static void fill_heading(const struct layout *layout, struct bm_grid *grid, const char *corner) {
    bm_grid_set(grid, 0, 0, "%s", corner);
    for (uint32_t i = 0; i < layout->batch_count; i++) {
        if (layout->batches[i] == layout->full) {
            bm_grid_set(grid, 0, i + 1, "full (%llu)", (unsigned long long)layout->batches[i]);
        } else {
            bm_grid_set(grid, 0, i + 1, "%llu", (unsigned long long)layout->batches[i]);
        }
    }
}

/* One block: a row a backend, a column a batch size. `series` NULL: epochs. */
static void print_block(const struct layout *layout,
                        const char *title,
                        const char *series,
                        uint32_t format,
                        FILE *stream) {
    struct bm_grid grid;
    if (bm_grid_init(&grid, layout->row_count + 1, layout->batch_count + 1) != 0) {
        return;
    }
    fill_heading(layout, &grid, title);
    for (uint32_t row = 0; row < layout->row_count; row++) {
        bm_grid_set(&grid, row + 1, 0, "%s", layout->rows[row]);
        for (uint32_t i = 0; i < layout->batch_count; i++) {
            char text[96];
            const json_t *cell = find_cell(layout, row, i);
            if (series == NULL) {
                epoch_field(cell, text, sizeof text);
            } else {
                series_field(cell, series, text, sizeof text);
            }
            bm_grid_set(&grid, row + 1, i + 1, "%s", text);
        }
    }
    bm_table_print_grid(&grid, format, stream);
    (void)fputc('\n', stream);
    bm_grid_deinit(&grid);
}

/* ---- Ratios ---- */

/* Only rounds of one run took turns. */
static int same_run(const json_t *a, const json_t *b) {
    const json_t *left = json_object_get(a, "run");
    const json_t *right = json_object_get(b, "run");
    return left == right || json_equal(left, right);
}

/* "2.31x (2.25 to 2.40)": how much faster than `base`, paired by round; "tie" where the interval
 * holds 1; "2.31x (2 rounds)" where these are too few for one. */
static void ratio_field(const json_t *base, const json_t *cell, char *text, uint32_t capacity) {
    struct bm_paired_ratio ratio;
    if (!same_run(base, cell) || !bm_paired_ratio(base, cell, &ratio)) {
        (void)snprintf(text, capacity, "-");
        return;
    }
    if (!ratio.has_interval) {
        (void)snprintf(text, capacity, "%.2fx (%u round%s)", ratio.ratio, ratio.rounds,
                       ratio.rounds == 1 ? "" : "s");
        return;
    }
    (void)snprintf(text, capacity, "%.2fx (%.2f to %.2f)%s", ratio.ratio, ratio.low, ratio.high,
                   ratio.apart ? "" : " tie");
}

static int computes(const struct layout *layout, uint32_t row) {
    for (uint32_t i = 0; i < layout->batch_count; i++) {
        const json_t *cell = find_cell(layout, row, i);
        if (json_is_true(json_object_get(cell, "computes_nothing"))) {
            return 0;
        }
    }
    return 1;
}

/* A block of the rows that have a number `key` in the object `figure`; nothing if none has. */
struct part_block {
    const char *title;
    const char *figure;
    const char *key;
    void (*field)(const json_t *cell, char *text, uint32_t capacity);
};

/* How much of what the machine could reach the updates reach. */
static const struct part_block shares = {"share of the bound, batch", "bound", "share",
                                         share_field};

/* How well several sessions share a batch. */
static const struct part_block efficiencies = {"efficiency, batch", "efficiency", "value",
                                               efficiency_field};

/* What the device's own clock does not see of an update. */
static const struct part_block submissions = {"submitting and waiting, batch", "submission",
                                              "median_ns", submission_field};

static int has_figure(const struct layout *layout, uint32_t row, const struct part_block *block) {
    for (uint32_t i = 0; i < layout->batch_count; i++) {
        const json_t *cell = find_cell(layout, row, i);
        if (json_is_number(json_object_get(json_object_get(cell, block->figure), block->key))) {
            return 1;
        }
    }
    return 0;
}

static void print_part_block(const struct layout *layout,
                             const struct part_block *block,
                             uint32_t format,
                             FILE *stream) {
    struct bm_grid grid;
    uint32_t count = 0;
    for (uint32_t row = 0; row < layout->row_count; row++) {
        count += has_figure(layout, row, block) != 0;
    }
    if (count == 0 || bm_grid_init(&grid, count + 1, layout->batch_count + 1) != 0) {
        return;
    }
    fill_heading(layout, &grid, block->title);
    count = 0;
    for (uint32_t row = 0; row < layout->row_count; row++) {
        if (!has_figure(layout, row, block)) {
            continue;
        }
        count++;
        bm_grid_set(&grid, count, 0, "%s", layout->rows[row]);
        for (uint32_t i = 0; i < layout->batch_count; i++) {
            char text[96];
            block->field(find_cell(layout, row, i), text, sizeof text);
            bm_grid_set(&grid, count, i + 1, "%s", text);
        }
    }
    bm_table_print_grid(&grid, format, stream);
    (void)fputc('\n', stream);
    bm_grid_deinit(&grid);
}

/* Of the machine that a row is of, the text; "" in a record of its own. */
static const char *machine_of(const struct layout *layout, uint32_t row) {
    return bm_field_text(first_cell(layout, row), "machine");
}

/* The rows from `first` on, that one in front, that compute on its machine. */
static uint32_t find_rivals(const struct layout *layout, uint32_t first, uint32_t *rows) {
    uint32_t count = 0;
    for (uint32_t row = first; row < layout->row_count; row++) {
        if (computes(layout, row) &&
            strcmp(machine_of(layout, row), machine_of(layout, first)) == 0) {
            rows[count++] = row;
        }
    }
    return count;
}

static void print_ratios_to(const struct layout *layout,
                            const uint32_t *rows,
                            uint32_t count,
                            uint32_t format,
                            FILE *stream) {
    struct bm_grid grid;
    char title[512];
    if (bm_grid_init(&grid, count, layout->batch_count + 1) != 0) {
        return;
    }
    (void)snprintf(title, sizeof title, "speed against %s, batch", layout->rows[rows[0]]);
    fill_heading(layout, &grid, title);
    for (uint32_t k = 1; k < count; k++) {
        bm_grid_set(&grid, k, 0, "%s", layout->rows[rows[k]]);
        for (uint32_t i = 0; i < layout->batch_count; i++) {
            char text[96];
            ratio_field(find_cell(layout, rows[0], i), find_cell(layout, rows[k], i), text,
                        sizeof text);
            bm_grid_set(&grid, k, i + 1, "%s", text);
        }
    }
    bm_table_print_grid(&grid, format, stream);
    (void)fputc('\n', stream);
    bm_grid_deinit(&grid);
}

/* Whether two rows have a ratio at any batch. */
static int have_ratio(const struct layout *layout, uint32_t base, uint32_t row) {
    for (uint32_t i = 0; i < layout->batch_count; i++) {
        struct bm_paired_ratio ratio;
        const json_t *a = find_cell(layout, base, i);
        const json_t *b = find_cell(layout, row, i);
        if (same_run(a, b) && bm_paired_ratio(a, b, &ratio)) {
            return 1;
        }
    }
    return 0;
}

/* A row that computes may be the one that the others of its machine are compared with, if it has
 * anything in common with one of them and no row before it was. */
static int is_base(const struct layout *layout, const uint32_t *rows, uint32_t count) {
    for (uint32_t k = 1; k < count; k++) {
        if (have_ratio(layout, rows[0], rows[k])) {
            return 1;
        }
    }
    return 0;
}

static int is_told(const struct layout *layout, const uint8_t *was_base, uint32_t row) {
    for (uint32_t i = 0; i < row; i++) {
        if (was_base[i] && strcmp(machine_of(layout, i), machine_of(layout, row)) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Speed of every backend relative to the first of its machine that computes; nothing if there is
 * but one. */
static void print_ratios(const struct layout *layout, uint32_t format, FILE *stream) {
    uint32_t *rows = calloc((size_t)layout->row_count + 1, sizeof *rows);
    uint8_t *was_base = calloc((size_t)layout->row_count + 1, sizeof *was_base);
    for (uint32_t row = 0; rows != NULL && was_base != NULL && row < layout->row_count; row++) {
        uint32_t count = find_rivals(layout, row, rows);
        if (computes(layout, row) && !is_told(layout, was_base, row) &&
            is_base(layout, rows, count)) {
            was_base[row] = 1;
            print_ratios_to(layout, rows, count, format, stream);
        }
    }
    free(rows);
    free(was_base);
}

/* Images per second of each row at the batch where that is largest. */
static void print_best(const struct layout *layout, FILE *stream) {
    for (uint32_t row = 0; row < layout->row_count; row++) {
        double best = 0;
        uint64_t best_batch = 0;
        for (uint32_t i = 0; i < layout->batch_count; i++) {
            const json_t *cell = find_cell(layout, row, i);
            const json_t *update = json_object_get(cell, "update");
            if (cell == NULL || !bm_field_has_status(cell, "ok") || !json_is_object(update) ||
                json_is_true(json_object_get(cell, "computes_nothing"))) {
                continue;
            }
            double images = 1e9 * (double)layout->batches[i] / bm_field_number(update, "median_ns");
            if (images > best) {
                best = images;
                best_batch = layout->batches[i];
            }
        }
        if (best > 0) {
            char rate[32];
            format_rate(best, rate, sizeof rate);
            (void)fprintf(stream, "%s: %s images/s at its best batch, %llu\n", layout->rows[row],
                          rate, (unsigned long long)best_batch);
        }
    }
}

/* ---- Notes ---- */

/* Whether all sessions are on one device. */
static int shares_device(const json_t *cell) {
    const json_t *devices = json_object_get(cell, "devices");
    for (size_t i = 1; i < json_array_size(devices); i++) {
        if (!json_equal(json_array_get(devices, i), json_array_get(devices, 0))) {
            return 0;
        }
    }
    return 1;
}

/* "; ghost-4 at batch 7, ghost-32 at 64": what each session normalizes. */
static void print_ghosts(const struct layout *layout, uint32_t row, FILE *stream) {
    int count = 0;
    for (uint32_t i = 0; i < layout->batch_count; i++) {
        const json_t *cell = find_cell(layout, row, i);
        const char *ghost = strstr(bm_field_text(cell, "model"), " ghost-");
        if (ghost != NULL) {
            (void)fprintf(stream, "%s%s at %s%llu",
                          count == 0 ? "; each normalizes its own part:" : ",", ghost,
                          count == 0 ? "batch " : "", (unsigned long long)layout->batches[i]);
            count++;
        }
    }
}

/* What rows of several sessions are made of. */
static void print_joint(const struct layout *layout, FILE *stream) {
    for (uint32_t row = 0; row < layout->row_count; row++) {
        const json_t *cell = first_cell(layout, row);
        double sessions = bm_field_number(cell, "data_parallel");
        double threads = bm_field_number(cell, "threads");
        if (!is_joint(cell)) {
            continue;
        }
        (void)fprintf(stream, "%s: %.0f sessions", layout->rows[row], sessions);
        if (shares_device(cell)) {
            (void)fprintf(stream, " share one device: an efficiency of %.0f %% is its speed alone",
                          100 / sessions);
        }
        if (threads < sessions) {
            (void)fprintf(stream, "; the budget is %.0f thread%s, and each has one", threads,
                          threads == 1 ? "" : "s");
        }
        print_ghosts(layout, row, stream);
        (void)fputc('\n', stream);
    }
}

/* Side by side, a row may have cells of several runs. */
static int is_by_trust(const struct layout *layout, uint32_t row) {
    for (uint32_t i = 0; i < layout->batch_count; i++) {
        const json_t *plugin = json_object_get(find_cell(layout, row, i), "plugin");
        if (json_is_true(json_object_get(plugin, "by_trust"))) {
            return 1;
        }
    }
    return 0;
}

/* Plugins that others might have changed before they were loaded. */
static void print_trusted(const struct layout *layout, FILE *stream) {
    for (uint32_t row = 0; row < layout->row_count; row++) {
        if (is_by_trust(layout, row)) {
            (void)fprintf(stream, "%s: loaded by --trust: others may change this plugin\n",
                          layout->rows[row]);
        }
    }
}

/* The same reason at several batch sizes is one line. */
static void print_failures(const struct layout *layout, FILE *stream) {
    for (uint32_t row = 0; row < layout->row_count; row++) {
        char last[1024] = "";
        for (uint32_t i = 0; i < layout->batch_count; i++) {
            const json_t *cell = find_cell(layout, row, i);
            char line[1024];
            if (cell == NULL || bm_field_has_status(cell, "ok")) {
                continue;
            }
            (void)snprintf(line, sizeof line, "%s: %s", bm_field_text(cell, "status"),
                           bm_field_text(cell, "reason"));
            if (strcmp(line, last) != 0) {
                (void)fprintf(stream, "%s, batch %llu: %s\n", layout->rows[row],
                              (unsigned long long)layout->batches[i], line);
            }
            (void)snprintf(last, sizeof last, "%s", line);
        }
    }
}

/* Cells that were measured, but not as well as the protocol wants. */
static void print_doubts(const struct layout *layout, FILE *stream) {
    for (uint32_t row = 0; row < layout->row_count; row++) {
        for (uint32_t i = 0; i < layout->batch_count; i++) {
            const json_t *cell = find_cell(layout, row, i);
            const json_t *update = json_object_get(cell, "update");
            if (cell == NULL || !bm_field_has_status(cell, "ok") || !json_is_object(update)) {
                continue;
            }
            const char *label = layout->rows[row];
            unsigned long long batch = (unsigned long long)layout->batches[i];
            if (bm_table_is_unsteady(update)) {
                (void)fprintf(stream, "%s, batch %llu: unsteady: %.0f %% between rounds\n", label,
                              batch, 200 * bm_field_number(update, "spread"));
            }
            if (bm_field_number(update, "rounds") < 5) {
                (void)fprintf(stream, "%s, batch %llu: only %.0f round%s (%s)\n", label, batch,
                              bm_field_number(update, "rounds"),
                              bm_field_number(update, "rounds") == 1 ? "" : "s",
                              bm_field_text(update, "stopped"));
            }
            double share = bm_field_number(json_object_get(cell, "bound"), "share");
            if (share > 1) {
                (void)fprintf(stream,
                              "%s, batch %llu: %.0f %% of the bound: something disturbed the "
                              "probe, or a nearer cache keeps a part of the data; --roofline "
                              "measure tries again\n",
                              label, batch, 100 * share);
            }
            const json_t *memory = json_object_get(cell, "memory");
            if (bm_field_number(memory, "ratio") > MEMORY_RATIO &&
                bm_field_number(memory, "needed_bytes") > MEMORY_BYTES) {
                (void)fprintf(stream,
                              "%s, batch %llu: %.1f GiB at its peak, %.1f times what activations, "
                              "data and parameters need\n",
                              label, batch, bm_field_number(memory, "peak_bytes") / 1073741824,
                              bm_field_number(memory, "ratio"));
            }
            if (bm_field_number(cell, "asleep_cpu_share") > 0.05) {
                (void)fprintf(stream,
                              "%s, batch %llu: other workers used %.0f %% of a processor while "
                              "they should have slept\n",
                              label, batch, 100 * bm_field_number(cell, "asleep_cpu_share"));
            }
        }
    }
}

static void print_harness_cost(const struct layout *layout, FILE *stream) {
    for (uint32_t row = 0; row < layout->row_count; row++) {
        const json_t *cell = first_cell(layout, row);
        const json_t *update = json_object_get(cell, "update");
        if (json_is_true(json_object_get(cell, "computes_nothing")) && json_is_object(update)) {
            char time[32];
            bm_table_time(bm_field_number(update, "median_ns"), time, sizeof time);
            (void)fprintf(stream,
                          "%s computes nothing: %s is what the harness itself costs an update\n",
                          layout->rows[row], time);
        }
    }
}

/* "58 % of the bound (memory, L3)" */
static void print_bound(const json_t *cell, FILE *stream) {
    const json_t *bound = json_object_get(cell, "bound");
    if (json_is_number(json_object_get(bound, "share"))) {
        int by_memory = strcmp(bm_field_text(bound, "limit"), "memory") == 0;
        (void)fprintf(stream, "; %.1f %% of the bound (%s%s)",
                      100 * bm_field_number(bound, "share"), by_memory ? "bandwidth of " : "",
                      bm_field_text(bound, by_memory ? "level" : "limit"));
    } else if (bm_field_text(bound, "reason")[0] != '\0') {
        (void)fprintf(stream, "; no bound: %s", bm_field_text(bound, "reason"));
    }
}

/* "; 812 MiB at its peak, 1.08 of what is needed" */
static void print_memory(const json_t *cell, FILE *stream) {
    const json_t *memory = json_object_get(cell, "memory");
    if (json_is_number(json_object_get(memory, "ratio"))) {
        (void)fprintf(stream, "; %.0f MiB at its peak, %.2f of what is needed",
                      bm_field_number(memory, "peak_bytes") / 1048576,
                      bm_field_number(memory, "ratio"));
    }
}

/* The larger of reading and updating, as bounds use it. */
static double bandwidth_of(const json_t *level) {
    double read = bm_field_number(json_object_get(level, "read_bytes_per_s"), "best");
    double update = bm_field_number(json_object_get(level, "update_bytes_per_s"), "best");
    return read > update ? read : update;
}

static void print_point(const json_t *point, FILE *stream) {
    size_t index;
    const json_t *level;
    (void)fprintf(stream, "roofline, %.0f thread%s: %.0f GFLOP/s",
                  bm_field_number(point, "threads"),
                  bm_field_number(point, "threads") == 1 ? "" : "s",
                  1e-9 * bm_field_number(json_object_get(point, "flop_per_s"), "best"));
    json_array_foreach(json_object_get(point, "levels"), index, level) {
        (void)fprintf(stream, "%s %.0f GB/s %s", index == 0 ? ";" : ",", 1e-9 * bandwidth_of(level),
                      bm_field_text(level, "name"));
    }
    (void)fprintf(stream, "%s\n\n",
                  json_is_false(json_object_get(point, "steady"))
                      ? " (the probe was disturbed and may be too low)"
                      : "");
}

/* What the bounds of a case are made of: the point of its number of threads. */
static void print_roofline(const json_t *objects, const struct layout *layout, FILE *stream) {
    const json_t *cell = first_cell(layout, 0);
    size_t index;
    size_t k;
    const json_t *object;
    const json_t *point;
    json_array_foreach(objects, index, object) {
        const json_t *points = json_object_get(json_object_get(object, "roofline"), "points");
        json_array_foreach(points, k, point) {
            if (bm_field_is_kind(object, "run") &&
                bm_field_whole(point, "threads") == bm_field_whole(cell, "threads")) {
                print_point(point, stream);
            }
        }
    }
}

static void print_check(const json_t *check, FILE *stream) {
    (void)fprintf(stream, "check %s", bm_field_text(check, "status"));
    if (json_is_number(json_object_get(check, "gradient_ratio"))) {
        (void)fprintf(stream, ", largest gradient error %.2g of its bound",
                      bm_field_number(check, "gradient_ratio"));
    }
    if (json_is_false(json_object_get(check, "determined"))) {
        (void)fputs(" (float32 determines no more than its order of magnitude)", stream);
    }
}

/* Only the rows of devices that tell their time. */
static void print_device_times(const struct layout *layout, uint32_t format, FILE *stream) {
    static const struct part_block blocks[] = {
        {"one gradient, device time", "device_gradient", "median_ns", device_gradient_field},
        {"one apply, device time", "device_apply", "median_ns", device_apply_field},
        {"one update, device time", "device_update", "median_ns", device_update_field}};
    for (uint32_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        print_part_block(layout, &blocks[i], format, stream);
    }
}

/* "scalar:0: properties: 5 of 6 hold; not no-allocation (found 3 allocations)" */
static void print_properties(const json_t *cell, const char *label, FILE *stream) {
    const json_t *properties = json_object_get(cell, "properties");
    size_t held = 0;
    size_t index;
    const json_t *property;
    if (!json_is_array(properties)) {
        return;
    }
    json_array_foreach(properties, index, property) {
        held += strcmp(bm_field_text(property, "status"), "pass") == 0;
    }
    (void)fprintf(stream, "%s: properties: %zu of %zu hold", label, held,
                  json_array_size(properties));
    json_array_foreach(properties, index, property) {
        if (strcmp(bm_field_text(property, "status"), "pass") != 0) {
            (void)fprintf(stream, "; not %s (%s)", bm_field_text(property, "name"),
                          bm_field_text(property, "reason"));
        }
    }
    (void)fputc('\n', stream);
}

static void
print_verbose(const json_t *objects, const struct layout *layout, uint32_t format, FILE *stream) {
    static const char *const series[][2] = {{"gradient", "one gradient"},
                                            {"apply", "one apply"},
                                            {"pipelined", "one update of many before a wait"},
                                            {"updates", "one update of many in a call"}};
    for (uint32_t i = 0; i < sizeof series / sizeof series[0]; i++) {
        print_block(layout, series[i][1], series[i][0], format, stream);
    }
    print_device_times(layout, format, stream);
    print_roofline(objects, layout, stream);
    for (uint32_t row = 0; row < layout->row_count; row++) {
        print_properties(first_cell(layout, row), layout->rows[row], stream);
        for (uint32_t i = 0; i < layout->batch_count; i++) {
            const json_t *cell = find_cell(layout, row, i);
            const json_t *update = json_object_get(cell, "update");
            const json_t *epoch = json_object_get(cell, "epoch");
            if (cell == NULL) {
                continue;
            }
            (void)fprintf(stream, "%s, batch %.0f: ", layout->rows[row],
                          bm_field_number(cell, "batch"));
            print_check(json_object_get(cell, "check"), stream);
            if (json_is_object(update) &&
                !json_is_true(json_object_get(cell, "computes_nothing"))) {
                (void)fprintf(stream, "; %.0f rounds, stopped: %s; %.2f GFLOP/s",
                              bm_field_number(update, "rounds"), bm_field_text(update, "stopped"),
                              bm_field_number(json_object_get(cell, "bound"), "flops") /
                                  bm_field_number(update, "median_ns"));
                print_bound(cell, stream);
                print_memory(cell, stream);
            }
            if (json_is_number(json_object_get(epoch, "gap"))) {
                (void)fprintf(stream, "; epoch - sum of updates: %+.1f %%",
                              100 * bm_field_number(epoch, "gap"));
            }
            (void)fputc('\n', stream);
        }
    }
    (void)fputc('\n', stream);
}

/* ---- Whole tables ---- */

static void print_case(const json_t *objects,
                       const char *key,
                       const json_t *cells,
                       uint32_t format,
                       uint32_t verbose,
                       FILE *stream) {
    struct layout layout;
    int status = find_layout(cells, &layout);
    if (status == 0) {
        (void)fprintf(stream, "%s\n\n", key);
    }
    if (status == 0 && layout.cells == NULL) {
        (void)fprintf(stream, "%u rows and %u batch sizes: too many for a table; csv has them\n\n",
                      layout.row_count, layout.batch_count);
    } else if (status == 0) {
        print_block(&layout, "one update, batch", "update", format, stream);
        print_block(&layout, "one epoch, batch", NULL, format, stream);
        print_part_block(&layout, &shares, format, stream);
        print_part_block(&layout, &efficiencies, format, stream);
        print_part_block(&layout, &submissions, format, stream);
        print_ratios(&layout, format, stream);
        if (verbose) {
            print_verbose(objects, &layout, format, stream);
        }
        print_best(&layout, stream);
        print_harness_cost(&layout, stream);
        print_joint(&layout, stream);
        print_trusted(&layout, stream);
        print_failures(&layout, stream);
        print_doubts(&layout, stream);
        (void)fputc('\n', stream);
    }
    free_layout(&layout);
}

static void print_csv_end(const json_t *cell, FILE *stream) {
    const json_t *bound = json_object_get(cell, "bound");
    bm_field_print_csv_number(bound, "ns", stream);
    bm_field_print_csv_number(bound, "share", stream);
    bm_field_print_csv_number(cell, "data_parallel", stream);
    bm_field_print_csv_number(json_object_get(cell, "efficiency"), "value", stream);
    bm_field_print_csv_number(json_object_get(cell, "device_update"), "median_ns", stream);
    bm_field_print_csv_number(json_object_get(cell, "submission"), "median_ns", stream);
    (void)fputc('\n', stream);
}

/* Whether cells say which machine they are of: those of several records do. */
static int has_machines(const json_t *objects) {
    size_t index;
    const json_t *cell;
    json_array_foreach(objects, index, cell) {
        if (bm_field_is_kind(cell, "cell")) {
            return json_object_get(cell, "machine") != NULL;
        }
    }
    return 0;
}

static void print_csv(const json_t *objects, FILE *stream) {
    static const char *const texts[] = {"backend",   "device_name", "model",  "dataset",
                                        "optimizer", "precision",   "status", "reason"};
    size_t index;
    const json_t *cell;
    int with_machine = has_machines(objects);
    (void)fputs(with_machine ? "machine," : "", stream);
    (void)fputs("backend,device_name,model,dataset,optimizer,precision,status,reason,device,batch,"
                "threads,update_ns,spread,rounds,gradient_ns,apply_ns,pipelined_ns,epoch_s,"
                "epoch_measured,bound_ns,share,data_parallel,efficiency,device_update_ns,"
                "submission_ns\n",
                stream);
    json_array_foreach(objects, index, cell) {
        if (!bm_field_is_kind(cell, "cell")) {
            continue;
        }
        if (with_machine) {
            bm_field_print_csv_text(bm_field_text(cell, "machine"), stream);
            (void)fputc(',', stream);
        }
        for (uint32_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            bm_field_print_csv_text(bm_field_text(cell, texts[i]), stream);
            (void)fputc(',', stream);
        }
        (void)fprintf(stream, "%.0f,%.0f,%.0f", bm_field_number(cell, "device"),
                      bm_field_number(cell, "batch"), bm_field_number(cell, "threads"));
        const json_t *update = json_object_get(cell, "update");
        if (!json_is_object(update)) {
            (void)fputs(",,,,,,,,", stream);
            print_csv_end(cell, stream);
            continue;
        }
        const json_t *epoch = json_object_get(cell, "epoch");
        (void)fprintf(stream, ",%.9g,%.4g,%.0f", bm_field_number(update, "median_ns"),
                      bm_field_number(update, "spread"), bm_field_number(update, "rounds"));
        static const char *const others[] = {"gradient", "apply", "pipelined"};
        for (uint32_t i = 0; i < 3; i++) {
            bm_field_print_csv_number(json_object_get(cell, others[i]), "median_ns", stream);
        }
        (void)fprintf(stream, ",%.9g,%s", bm_field_number(epoch, "seconds"),
                      json_is_true(json_object_get(epoch, "measured")) ? "yes" : "no");
        print_csv_end(cell, stream);
    }
}

/* {key: [cells]}, in order of first appearance; the caller's. */
static json_t *find_cases(const json_t *objects) {
    json_t *cases = json_object();
    size_t index;
    json_t *cell;
    json_array_foreach(objects, index, cell) {
        char key[4096];
        if (!bm_field_is_kind(cell, "cell")) {
            continue;
        }
        case_key(cell, key, sizeof key);
        json_t *cells = json_object_get(cases, key);
        if (cells == NULL) {
            cells = json_array();
            /* What was cut to fit may end inside a letter. */
            (void)json_object_set_new_nocheck(cases, key, cells);
        }
        (void)json_array_append(cells, cell);
    }
    return cases;
}

void bm_table_print(const json_t *objects, uint32_t format, uint32_t verbose, FILE *stream) {
    const char *key;
    json_t *cells;
    if (format == BM_TABLE_CSV) {
        print_csv(objects, stream);
        return;
    }
    bm_table_print_heading(objects, stream);
    json_t *cases = find_cases(objects);
    json_object_foreach(cases, key, cells) {
        print_case(objects, key, cells, format, verbose, stream);
    }
    json_decref(cases);
}
