#include "history_table.h"

#include "change_points.h"
#include "field.h"
#include "printable.h"
#include "table.h"

#include <stdarg.h>
#include <string.h>

#define TITLE_SIZE 512
/* A cell whose level changes more often than that is told in the other formats. */
#define CHANGES_SHOWN 3u

/* ---- Texts ---- */

/* snprintf behind what is there already. */
__attribute__((format(printf, 3, 4))) static void
extend(char *text, size_t capacity, const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, capacity - used, format, arguments);
    va_end(arguments);
}

/* One line, whatever a record holds. */
static void print_line(char *text, FILE *stream) {
    bm_printable(text, "");
    (void)fprintf(stream, "%s\n", text);
}

/* Of made data, which may have any shape. */
static void extend_data(const json_t *data, char *title, size_t capacity) {
    size_t i;
    const json_t *side;
    extend(title, capacity, ", %llu images of", (unsigned long long)bm_field_whole(data, "train"));
    json_array_foreach(json_object_get(data, "shape"), i, side) {
        extend(title, capacity, "%s%.0f", i == 0 ? " " : "x", json_number_value(side));
    }
}

/* "mlp, fashion-mnist, momentum, 2 threads, float32": what the rows of a table share. */
static void case_title(const json_t *object, char *title, size_t capacity) {
    uint64_t threads = bm_field_whole(object, "threads");
    uint64_t slice = bm_field_whole(object, "micro_batch");
    const json_t *seed = json_object_get(object, "seed");
    (void)snprintf(title, capacity, "%s, %s, %s, %llu thread%s, %s", bm_field_text(object, "model"),
                   bm_field_text(object, "dataset"), bm_field_text(object, "optimizer"),
                   (unsigned long long)threads, threads == 1 ? "" : "s",
                   bm_field_text(object, "precision"));
    if (strcmp(bm_field_text(object, "dataset"), "synthetic") == 0) {
        extend_data(json_object_get(object, "data"), title, capacity);
    }
    if (slice > 0) {
        extend(title, capacity, ", slices of %llu", (unsigned long long)slice);
    }
    if (json_is_integer(seed) && json_integer_value(seed) != 1) {
        extend(title, capacity, ", seed %lld", (long long)json_integer_value(seed));
    }
    if (strncmp(bm_field_text(object, "model"), "custom", strlen("custom")) == 0) {
        extend(title, capacity, " (%s)", bm_field_text(object, "layers"));
    }
}

/* "vulkan:1 (Example GPU) tile=8, batch 100" */
static void row_title(const json_t *object, char *title, size_t capacity) {
    size_t i;
    const json_t *setting;
    const char *label = bm_field_text(object, "label");
    const char *device = bm_field_text(object, "device_name");
    const char *cpu = bm_field_text(json_object_get(object, "host"), "cpu");
    (void)snprintf(title, capacity, "%s",
                   label[0] != '\0' ? label : bm_field_text(object, "backend"));
    if (device[0] != '\0' && strcmp(device, cpu) != 0) {
        extend(title, capacity, " (%s)", device);
    }
    json_array_foreach(json_object_get(object, "settings"), i, setting) {
        extend(title, capacity, " %s=%s", bm_field_text(setting, "key"),
               bm_field_text(setting, "value"));
    }
    extend(title, capacity, ", batch %llu", (unsigned long long)bm_field_whole(object, "batch"));
}

/* "amd-epyc: AMD EPYC, 2 cores, L3 32768K, Release -O2" */
static void host_title(const json_t *host, char *title, size_t capacity) {
    const char *name;
    const json_t *value;
    const json_t *isa = json_object_get(host, "isa");
    const char *widest = json_string_value(json_array_get(isa, json_array_size(isa) - 1));
    uint64_t cores = bm_field_whole(host, "cores");
    (void)snprintf(title, capacity, "%s: %s", bm_field_text(host, "machine"),
                   bm_field_text(host, "cpu"));
    if (widest != NULL) {
        extend(title, capacity, ", %s", widest);
    }
    extend(title, capacity, ", %llu core%s", (unsigned long long)cores, cores == 1 ? "" : "s");
    json_object_foreach((json_t *)json_object_get(host, "caches"), name, value) {
        if (strncmp(name, "L3", 2) == 0 && json_is_string(value)) {
            extend(title, capacity, ", L3 %s", json_string_value(value));
        }
    }
    if (bm_field_text(host, "governor")[0] != '\0') {
        extend(title, capacity, ", governor %s", bm_field_text(host, "governor"));
    }
    extend(title, capacity, ", %s", bm_field_text(host, "flags"));
    for (size_t end = strlen(title); end > 0 && title[end - 1] == ' '; end--) {
        title[end - 1] = '\0'; /* flags end in one */
    }
}

/* "12.3", without a sign: +12.3 % is slower. */
static double percent(double ratio) {
    return 100 * (ratio - 1);
}

/* "2026-03-01 +12.3 % (+11.0 to +13.6) 0123abc..4567def" */
static void describe_change(const json_t *change, char *text, size_t capacity) {
    const char *after = bm_field_text(change, "after");
    const char *upto = bm_field_text(change, "upto");
    int is_same = strcmp(after, upto) == 0;
    extend(text, capacity, "%.10s %+.1f %% (%+.1f to %+.1f) %s%s%s",
           bm_field_text(change, "started"), percent(bm_field_number(change, "ratio")),
           percent(bm_field_number(change, "low")), percent(bm_field_number(change, "high")), after,
           is_same ? ", no commit between" : "..", is_same ? "" : upto);
}

static void describe_changes(const json_t *object, char *text, size_t capacity) {
    const json_t *changes = json_object_get(object, "changes");
    size_t count = json_array_size(changes);
    size_t shown = count < CHANGES_SHOWN ? count : CHANGES_SHOWN;
    text[0] = '\0';
    for (size_t i = count - shown; i < count; i++) {
        extend(text, capacity, "%s", text[0] == '\0' ? "" : "; ");
        describe_change(json_array_get(changes, i), text, capacity);
    }
    if (count > shown) {
        extend(text, capacity, "; %zu before", count - shown);
    }
    if (count == 0) {
        int is_short = bm_field_number(object, "runs") < 2 * BM_CHANGE_SIDE_MIN;
        extend(text, capacity, "%s", is_short ? "too few runs" : "-");
    }
}

/* ---- Tables ---- */

/* Both may be absent. */
static int same_field(const json_t *a, const json_t *b, const char *key) {
    const json_t *left = json_object_get(a, key);
    const json_t *right = json_object_get(b, key);
    return left == right || json_equal(left, right);
}

static int same_table(const json_t *a, const json_t *b) {
    char title[2][TITLE_SIZE];
    case_title(a, title[0], sizeof title[0]);
    case_title(b, title[1], sizeof title[1]);
    return same_field(a, b, "host") && same_field(a, b, "data") && same_field(a, b, "layers") &&
           strcmp(title[0], title[1]) == 0;
}

static void fill_row(const json_t *object, uint32_t row, struct bm_grid *grid) {
    char text[1024];
    row_title(object, text, sizeof text);
    bm_grid_set(grid, row, 0, "%s", text);
    bm_grid_set(grid, row, 1, "%llu", (unsigned long long)bm_field_whole(object, "runs"));
    bm_table_time(bm_field_number(json_object_get(object, "first"), "median_ns"), text,
                  sizeof text);
    bm_grid_set(grid, row, 2, "%s", text);
    bm_table_time(bm_field_number(json_object_get(object, "last"), "median_ns"), text, sizeof text);
    bm_grid_set(grid, row, 3, "%s", text);
    bm_grid_set(grid, row, 4, "%.3f", bm_field_number(object, "ratio"));
    describe_changes(object, text, sizeof text);
    bm_grid_set(grid, row, 5, "%s", text);
}

/* The cells `begin` .. `end`, of one machine and case. */
static void
print_block(const json_t *objects, size_t begin, size_t end, uint32_t format, FILE *stream) {
    static const char *const heads[] = {"runs", "first", "last", "last / first", "changes"};
    const json_t *first = json_array_get(objects, begin);
    char title[TITLE_SIZE];
    struct bm_grid grid;
    if (bm_grid_init(&grid, (uint32_t)(end - begin) + 1, 6) != 0) {
        return;
    }
    grid.ends_in_prose = 1;
    case_title(first, title, sizeof title);
    bm_grid_set(&grid, 0, 0, "%s: %s", bm_field_text(first, "series"), title);
    for (uint32_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        bm_grid_set(&grid, 0, i + 1, "%s", heads[i]);
    }
    for (size_t i = begin; i < end; i++) {
        fill_row(json_array_get(objects, i), (uint32_t)(i - begin) + 1, &grid);
    }
    bm_table_print_grid(&grid, format, stream);
    (void)fputc('\n', stream);
    bm_grid_deinit(&grid);
}

/* Cells that newer runs no longer have. */
static void print_lost(const json_t *object, FILE *stream) {
    const json_t *lost = json_object_get(object, "lost");
    char title[TITLE_SIZE];
    char row[TITLE_SIZE];
    char text[3 * TITLE_SIZE];
    if (!json_is_object(lost)) {
        return;
    }
    case_title(object, title, sizeof title);
    row_title(object, row, sizeof row);
    int is_absent = strcmp(bm_field_text(lost, "status"), "absent") == 0;
    (void)snprintf(text, sizeof text, "lost: %s of %s: %s %.10s, %s", row, title,
                   is_absent ? "not measured since" : bm_field_text(lost, "status"),
                   bm_field_text(lost, "started"), bm_field_text(lost, "revision"));
    print_line(text, stream);
}

static void print_sum(const json_t *objects, FILE *stream) {
    size_t i;
    const json_t *object;
    size_t changes = 0;
    json_array_foreach(objects, i, object) {
        changes += json_array_size(json_object_get(object, "changes"));
    }
    (void)fprintf(stream, "%zu cell%s, %zu change%s\n", i, i == 1 ? "" : "s", changes,
                  changes == 1 ? "" : "s");
}

static void print_tables(const json_t *objects, uint32_t format, FILE *stream) {
    size_t count = json_array_size(objects);
    const json_t *host = NULL;
    size_t end = 0;
    for (size_t begin = 0; begin < count; begin = end) {
        const json_t *first = json_array_get(objects, begin);
        for (end = begin + 1; end < count && same_table(first, json_array_get(objects, end));) {
            end++;
        }
        if (!json_equal(host, json_object_get(first, "host"))) {
            char title[TITLE_SIZE];
            host = json_object_get(first, "host");
            host_title(host, title, sizeof title);
            print_line(title, stream);
            (void)fputc('\n', stream);
        }
        print_block(objects, begin, end, format, stream);
    }
    for (size_t i = 0; i < count; i++) {
        print_lost(json_array_get(objects, i), stream);
    }
    print_sum(objects, stream);
}

/* ---- CSV ---- */

static void print_csv_texts(const json_t *object, const char *const *keys, FILE *stream) {
    for (; *keys != NULL; keys++) {
        bm_field_print_csv_text(bm_field_text(object, *keys), stream);
        (void)fputc(',', stream);
    }
}

static void print_csv_moment(const json_t *moment, FILE *stream) {
    (void)fputc(',', stream);
    bm_field_print_csv_text(bm_field_text(moment, "started"), stream);
    (void)fputc(',', stream);
    bm_field_print_csv_text(bm_field_text(moment, "revision"), stream);
    bm_field_print_csv_number(moment, "median_ns", stream);
}

/* `change` NULL: a cell that has none. */
static void print_csv_line(const json_t *object, const json_t *change, FILE *stream) {
    static const char *const texts[] = {"backend", "label",     "device_name", "model",
                                        "dataset", "optimizer", "precision",   NULL};
    static const char *const numbers[] = {"batch",         "threads", "seed", "micro_batch",
                                          "data_parallel", "runs",    NULL};
    static const char *const change_texts[] = {"started", "after", "upto", NULL};
    static const char *const change_numbers[] = {"ratio", "low", "high", "p", NULL};
    bm_field_print_csv_text(bm_field_text(json_object_get(object, "host"), "machine"), stream);
    (void)fputc(',', stream);
    print_csv_texts(object, texts, stream);
    bm_field_print_csv_text(bm_field_text(object, "series"), stream);
    for (size_t i = 0; numbers[i] != NULL; i++) {
        bm_field_print_csv_number(object, numbers[i], stream);
    }
    print_csv_moment(json_object_get(object, "first"), stream);
    print_csv_moment(json_object_get(object, "last"), stream);
    bm_field_print_csv_number(object, "ratio", stream);
    for (size_t i = 0; change_texts[i] != NULL; i++) {
        (void)fputc(',', stream);
        bm_field_print_csv_text(bm_field_text(change, change_texts[i]), stream);
    }
    for (size_t i = 0; change_numbers[i] != NULL; i++) {
        bm_field_print_csv_number(change, change_numbers[i], stream);
    }
    (void)fputc(',', stream);
    bm_field_print_csv_text(bm_field_text(json_object_get(object, "lost"), "status"), stream);
    (void)fputc('\n', stream);
}

static void print_csv(const json_t *objects, FILE *stream) {
    size_t i;
    const json_t *object;
    (void)fputs(
        "machine,backend,label,device_name,model,dataset,optimizer,precision,series,batch,threads,"
        "seed,micro_batch,data_parallel,runs,first,first_revision,first_ns,last,last_revision,"
        "last_ns,ratio,change,after,upto,change_ratio,low,high,p,lost\n",
        stream);
    json_array_foreach(objects, i, object) {
        size_t k;
        const json_t *change;
        const json_t *changes = json_object_get(object, "changes");
        json_array_foreach(changes, k, change) {
            print_csv_line(object, change, stream);
        }
        if (json_array_size(changes) == 0) {
            print_csv_line(object, NULL, stream);
        }
    }
}

void bm_history_table_print(const json_t *objects, uint32_t format, FILE *stream) {
    if (format == BM_TABLE_CSV) {
        print_csv(objects, stream);
    } else {
        print_tables(objects, format, stream);
    }
}
