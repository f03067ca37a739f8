/* The page of one command's own objects, for --export html. */
#include "report.h"

#include "error.h"
#include "field.h"

#include <string.h>

/* The name that the record of these objects has, or would have by default. */
static void
name_record(const struct bm_options *options, const json_t *objects, char *name, size_t capacity) {
    const json_t *first = json_array_get(objects, 0);
    const char *slash = strrchr(options->output, '/');
    if (options->output[0] != '\0') {
        (void)snprintf(name, capacity, "%s", slash == NULL ? options->output : slash + 1);
    } else if (bm_field_is_kind(first, "run")) {
        (void)snprintf(name, capacity, "%.16s-%.16s.jsonl", bm_field_text(first, "id"),
                       bm_field_text(first, "command_name"));
    } else {
        (void)snprintf(name, capacity, "%.16s.jsonl", bm_field_text(first, "kind"));
    }
}

int32_t bm_report_export(const json_t *objects,
                         const struct bm_options *options,
                         const char *path,
                         struct bm_error *error) {
    struct bm_report report = {.options = options};
    char name[BM_PATH_SIZE];
    json_t *data = NULL;
    name_record(options, objects, name, sizeof name);
    int32_t status = bm_report_add(&report, name, objects, error);
    if (status == BM_STATUS_OK) {
        data = bm_report_data(&report, error);
        status = data == NULL ? error->code : bm_report_write_page(data, path, NULL, error);
    }
    json_decref(data);
    bm_report_deinit(&report);
    return status;
}
