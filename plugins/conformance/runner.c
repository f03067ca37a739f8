/* Runs one case: loads the plugin, puts it under watch, and turns what ends the case into a result.
 */
#include "case.h"
#include "measure.h"

#include "error.h"
#include "loader.h"
#include "page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct bm_conform_case *bm_conform_find(const char *name) {
    for (uint32_t i = 0; i < bm_conform_case_count; i++) {
        if (strcmp(bm_conform_cases[i].name, name) == 0) {
            return &bm_conform_cases[i];
        }
    }
    return NULL;
}

/* ---- What ends a case ---- */

/* One line, whatever the plugin's texts hold. */
__attribute__((format(printf, 2, 0))) static void
write_text(struct bm_conform_result *result, const char *format, va_list arguments) {
    (void)vsnprintf(result->text, sizeof result->text, format, arguments);
    for (char *c = result->text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            *c = ' ';
        }
    }
}

void bm_conform_fail(struct bm_conform *conform, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_text(conform->result, format, arguments);
    va_end(arguments);
    conform->result->status = BM_CONFORM_FAILED;
    longjmp(conform->end, 1);
}

void bm_conform_leave(struct bm_conform *conform, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_text(conform->result, format, arguments);
    va_end(arguments);
    conform->result->status = BM_CONFORM_UNSUPPORTED;
    longjmp(conform->end, 1);
}

/* What has been noted already is not said again: a case may open many sessions alike. */
void bm_conform_note(struct bm_conform *conform, const char *format, ...) {
    char *text = conform->result->text;
    size_t used = strlen(text);
    char note[sizeof conform->result->text];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(note, sizeof note, format, arguments);
    va_end(arguments);
    if (strstr(text, note) == NULL) {
        (void)snprintf(text + used, sizeof conform->result->text - used, "%s%s",
                       used > 0 ? "; " : "", note);
    }
}

void *bm_conform_allocate(struct bm_conform *conform, uint64_t count, size_t size) {
    void *memory = calloc(count + 1, size);
    EXPECT(conform, memory != NULL, "no memory for %llu values of %zu bytes",
           (unsigned long long)count, size);
    return memory;
}

/* ---- One case ---- */

static void load(struct bm_conform *conform) {
    struct bm_error error = {0};
    conform->request->page->phase = BM_PHASE_LOAD;
    int32_t status =
        bm_loader_load(conform->request->path, conform->request->file, &conform->table, &error);
    EXPECT(conform, status == BM_STATUS_OK, "%s", error.text);
    conform->plugin = bm_conform_watch(conform->table, conform->request->page);
}

static void find_device(struct bm_conform *conform) {
    struct bm_error error = {0};
    uint32_t count = 0;
    int32_t status = conform->plugin->device_count(&count, &error);
    EXPECT(conform, status == BM_STATUS_OK, "device_count: expected OK, found %d: %s", status,
           error.text);
    if (count == 0) {
        bm_conform_leave(conform, "no device: %s", error.text);
    }
    EXPECT(conform, conform->device < count, "device %u: expected one below %u (device_count)",
           conform->device, count);
    conform->info.size = sizeof conform->info;
    status = conform->plugin->device_info(conform->device, &conform->info, &error);
    EXPECT(conform, status == BM_STATUS_OK, "device_info: expected OK, found %d: %s", status,
           error.text);
}

/* The first calls do what later ones need not. */
static void measure_entry(struct bm_conform *conform) {
    int64_t threads = bm_conform_thread_count();
    uint64_t start_ns = bm_conform_cpu_ns();
    find_device(conform);
    conform->entry_cpu_ns = bm_conform_cpu_ns() - start_ns;
    conform->entry_threads = bm_conform_thread_count() - threads;
}

static void run_case(struct bm_conform *conform) {
    const struct bm_conform_case *which = conform->which;
    if ((which->flags & BM_CONFORM_UNLOADED) != 0) {
        which->run(conform);
        return;
    }
    load(conform);
    measure_entry(conform);
    if ((which->flags & BM_CONFORM_NUMERIC) != 0 &&
        (conform->plugin->flags & BM_PLUGIN_COMPUTES_NOTHING) != 0) {
        bm_conform_leave(conform, "the plugin says that it computes nothing");
    }
    conform->thread_max =
        conform->info.kind == BM_DEVICE_KIND_CPU ? conform->request->thread_count : 1;
    which->run(conform);
    if (conform->made == 0 && conform->asked > 0) {
        conform->result->status = BM_CONFORM_UNSUPPORTED;
    }
}

void bm_conform_run(const struct bm_conform_case *which,
                    const struct bm_conform_request *request,
                    struct bm_conform_result *result) {
    struct bm_conform *conform = calloc(1, sizeof *conform);
    BM_ASSERT(conform != NULL);
    memset(result, 0, sizeof *result);
    conform->which = which;
    conform->request = request;
    conform->result = result;
    conform->device = request->device;
    if (setjmp(conform->end) == 0) {
        run_case(conform);
    }
    const char *breach = bm_conform_breach();
    if (breach != NULL) {
        result->status = BM_CONFORM_FAILED;
        (void)snprintf(result->text, sizeof result->text, "%s", breach);
    }
    request->page->phase = BM_PHASE_HOST;
    free(conform);
}
