/* The page from its template: scripts, styles, Chart.js and the data in one file that loads
 * nothing. */
#include "report_parts.h"

#include "error.h"
#include "place.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No part of the template is larger, nor Chart.js. */
#define PART_MAX ((size_t)8 << 20)

/* A text that grows. */
struct text {
    char *bytes;
    size_t size;
    FILE *stream;
};

static int32_t fail_memory(struct bm_error *error) {
    return bm_fail(error, BM_STATUS_NO_MEMORY, "report: no memory");
}

static int32_t text_open(struct text *text, struct bm_error *error) {
    *text = (struct text){.bytes = NULL};
    text->stream = open_memstream(&text->bytes, &text->size);
    return text->stream == NULL ? fail_memory(error) : BM_STATUS_OK;
}

static int32_t text_close(struct text *text, int32_t status, struct bm_error *error) {
    int failed = fclose(text->stream) != 0;
    return failed && status == BM_STATUS_OK ? fail_memory(error) : status;
}

/* ---- Files of the template ---- */

/* Appends a file. */
static int32_t add_file(const char *path, FILE *stream, struct bm_error *error) {
    char buffer[65536];
    size_t got = 0;
    size_t total = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", path);
    }
    while (total <= PART_MAX && (got = fread(buffer, 1, sizeof buffer, file)) > 0) {
        total += fwrite(buffer, 1, got, stream);
    }
    int failed = ferror(file);
    (void)fclose(file);
    if (failed || total > PART_MAX) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected a file of at most %zu bytes that can be read", path, PART_MAX);
    }
    return BM_STATUS_OK;
}

static int32_t read_file(const char *path, struct text *text, struct bm_error *error) {
    int32_t status = text_open(text, error);
    return status ? status : text_close(text, add_file(path, text->stream, error), error);
}

static int has_page(const char *folder) {
    char path[BM_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/page.html", folder);
    return access(path, R_OK) == 0;
}

/* Where the template is: $BATCHMARK_REPORT, or in the sources of a build tree, or installed. */
static int32_t find_folder(char *folder, size_t capacity, struct bm_error *error) {
    const char *chosen = getenv("BATCHMARK_REPORT");
    char place[BM_PATH_SIZE] = "";
    char source[BM_PATH_SIZE];
    const char *built =
        bm_place_source(source, sizeof source, "harness/report/page") ? source : NULL;
    const char *installed =
        bm_place_installed_report(place, sizeof place) ? place : "the install folder";
    const char *const folders[] = {chosen, chosen == NULL ? built : NULL,
                                   chosen == NULL ? installed : NULL};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (folders[i] != NULL && has_page(folders[i])) {
            (void)snprintf(folder, capacity, "%s", folders[i]);
            return BM_STATUS_OK;
        }
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "expected the report's template, page.html, in %s%s%s, found none",
                   chosen != NULL  ? chosen
                   : built != NULL ? built
                                   : "",
                   chosen == NULL && built != NULL ? ", " : "", chosen == NULL ? installed : "");
}

/* ---- Parts ---- */

/* The end of a script or style inside its own text would end it. */
static int32_t
check_part(const char *path, const struct text *text, const char *ending, struct bm_error *error) {
    if (strlen(text->bytes) != text->size || strcasestr(text->bytes, ending) != NULL) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: expected a text without %s and zeros, found one", path, ending);
    }
    return BM_STATUS_OK;
}

static int32_t
add_part(const char *path, const char *ending, FILE *stream, struct bm_error *error) {
    struct text text;
    int32_t status = read_file(path, &text, error);
    status = status ? status : check_part(path, &text, ending, error);
    if (status == BM_STATUS_OK) {
        (void)fwrite(text.bytes, 1, text.size, stream);
    }
    free(text.bytes);
    return status;
}

static int32_t add_style(const char *folder, FILE *stream, struct bm_error *error) {
    char path[2 * BM_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/page.css", folder);
    return add_part(path, "</style", stream, error);
}

/* One that lies with the template comes first: an installed program takes its own along. */
static int32_t add_chart(const char *folder, FILE *stream, struct bm_error *error) {
    char path[2 * BM_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/chart.min.js", folder);
    if (access(path, R_OK) != 0) {
        (void)snprintf(path, sizeof path, "%s", BM_CHART_JS);
    }
    if (access(path, R_OK) != 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "expected Chart.js, chart.min.js, in %s or as %s, found none (the package "
                       "libjs-chart.js has it)",
                       folder, BM_CHART_JS);
    }
    return add_part(path, "</script", stream, error);
}

static int32_t
add_script(const char *folder, const char *name, FILE *stream, struct bm_error *error) {
    char path[2 * BM_PATH_SIZE];
    if (strchr(name, '/') != NULL) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s/order.txt: expected names of files, found %.80s", folder, name);
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int32_t status = add_part(path, "</script", stream, error);
    (void)fputc('\n', stream);
    return status;
}

/* Calls `use` with each line of a text, its newline removed; empty ones too. */
static int32_t for_lines(char *text,
                         int32_t (*use)(void *context, char *line, struct bm_error *error),
                         void *context,
                         struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    while (status == BM_STATUS_OK && *text != '\0') {
        size_t length = strcspn(text, "\n");
        char *next = text + length + (text[length] == '\n');
        text[length] = '\0';
        status = use(context, text, error);
        text = next;
    }
    return status;
}

struct scripts {
    const char *folder;
    FILE *stream;
};

static int32_t use_script(void *context, char *line, struct bm_error *error) {
    const struct scripts *scripts = context;
    return line[0] == '\0' ? BM_STATUS_OK
                           : add_script(scripts->folder, line, scripts->stream, error);
}

static int32_t add_scripts(const char *folder, FILE *stream, struct bm_error *error) {
    char path[2 * BM_PATH_SIZE];
    struct text order;
    struct scripts scripts = {folder, stream};
    (void)snprintf(path, sizeof path, "%s/order.txt", folder);
    int32_t status = read_file(path, &order, error);
    status = status ? status : check_part(path, &order, "</script", error);
    status = status ? status : for_lines(order.bytes, use_script, &scripts, error);
    free(order.bytes);
    return status;
}

/* Nothing that a text of a record holds ends the element, or a line of the script that reads it. */
static void put_escaped(const char *text, FILE *stream) {
    for (; *text != '\0'; text++) {
        const unsigned char *at = (const unsigned char *)text;
        if (*text == '<' || *text == '>' || *text == '&') {
            (void)fprintf(stream, "\\u%04x", (unsigned)*at);
        } else if (at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9)) {
            (void)fputs(at[2] == 0xa8 ? "\\u2028" : "\\u2029", stream);
            text += 2;
        } else {
            (void)fputc(*text, stream);
        }
    }
}

static int32_t add_data(const json_t *data, FILE *stream, struct bm_error *error) {
    char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text == NULL) {
        return fail_memory(error);
    }
    put_escaped(text, stream);
    free(text);
    return BM_STATUS_OK;
}

/* ---- The whole page ---- */

enum part { STYLE, CHART, SCRIPT, DATA, PART_COUNT };

static const char *const part_names[PART_COUNT] = {
    [STYLE] = "@STYLE@", [CHART] = "@CHART@", [SCRIPT] = "@SCRIPT@", [DATA] = "@DATA@"};

struct page {
    const char *folder;
    const json_t *data;
    FILE *stream;
    uint32_t seen[PART_COUNT];
};

static int32_t put_part(const struct page *page, enum part part, struct bm_error *error) {
    switch (part) {
    case STYLE:
        return add_style(page->folder, page->stream, error);
    case CHART:
        return add_chart(page->folder, page->stream, error);
    case SCRIPT:
        return add_scripts(page->folder, page->stream, error);
    default:
        return add_data(page->data, page->stream, error);
    }
}

static int32_t use_line(void *context, char *line, struct bm_error *error) {
    struct page *page = context;
    const char *word = line + strspn(line, " \t");
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < PART_COUNT; i++) {
        if (strcmp(word, part_names[i]) == 0) {
            page->seen[i]++;
            status = put_part(page, (enum part)i, error);
            (void)fputc('\n', page->stream);
            return status;
        }
    }
    (void)fprintf(page->stream, "%s\n", line);
    return status;
}

static int32_t fill_template(struct page *page, const char *path, struct bm_error *error) {
    struct text html;
    int32_t status = read_file(path, &html, error);
    status = status ? status : for_lines(html.bytes, use_line, page, error);
    free(html.bytes);
    for (uint32_t i = 0; status == BM_STATUS_OK && i < PART_COUNT; i++) {
        if (page->seen[i] != 1) {
            status = bm_fail(error, BM_STATUS_INVALID, "%s: expected one line %s, found %u", path,
                             part_names[i], page->seen[i]);
        }
    }
    return status;
}

int32_t bm_report_page(const json_t *data, char **page_text, size_t *size, struct bm_error *error) {
    struct text text;
    char folder[BM_PATH_SIZE];
    char path[2 * BM_PATH_SIZE];
    struct page page = {.folder = folder, .data = data};
    int32_t status = find_folder(folder, sizeof folder, error);
    status = status ? status : text_open(&text, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    page.stream = text.stream;
    (void)snprintf(path, sizeof path, "%s/page.html", folder);
    status = text_close(&text, fill_template(&page, path, error), error);
    if (status != BM_STATUS_OK) {
        free(text.bytes);
        return status;
    }
    *page_text = text.bytes;
    *size = text.size;
    return BM_STATUS_OK;
}
