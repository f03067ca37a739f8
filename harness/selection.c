#include "selection.h"

#include "error.h"
#include "option_table.h"
#include "properties.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "vulkan" is plugin vulkan with all its devices, "vulkan:1" its device 1, "vulkan:h200" those that
 * have this in their name or UUID. */
struct wanted {
    char name[BM_NAME_SIZE];
    char device[BM_NAME_SIZE]; /* empty: all */
};

static struct wanted parse_wanted(const char *text) {
    struct wanted wanted = {.device = ""};
    size_t length = strcspn(text, ":");
    (void)snprintf(wanted.name, sizeof wanted.name, "%.*s", (int)length, text);
    if (text[length] == ':') {
        (void)snprintf(wanted.device, sizeof wanted.device, "%s", text + length + 1);
    }
    return wanted;
}

static int32_t
has_device(const struct wanted *wanted, const char *name, size_t device, const json_t *info) {
    uint64_t number = 0;
    const char *own_name = json_string_value(json_object_get(info, "name"));
    const char *uuid = json_string_value(json_object_get(info, "uuid"));
    if (strcmp(wanted->name, name) != 0) {
        return 0;
    }
    if (wanted->device[0] == '\0') {
        return 1;
    }
    if (bm_parse_number(wanted->device, 0, UINT32_MAX, &number)) {
        return number == device;
    }
    return (own_name != NULL && strcasestr(own_name, wanted->device) != NULL) ||
           (uuid != NULL && strcasestr(uuid, wanted->device) != NULL);
}

/* Whether the plugin is to be asked for its devices. */
static int32_t is_wanted(const struct bm_options *options, const char *name) {
    for (uint32_t i = 0; i < options->backend.count; i++) {
        struct wanted wanted = parse_wanted(options->backend.names[i]);
        if (strcmp(wanted.name, name) == 0) {
            return 1;
        }
    }
    return options->backend.count == 0;
}

/* The place where a device was named; options->backend.count: nowhere. */
static uint32_t
place_of(const struct bm_options *options, const char *name, size_t device, const json_t *info) {
    for (uint32_t i = 0; i < options->backend.count; i++) {
        struct wanted wanted = parse_wanted(options->backend.names[i]);
        if (has_device(&wanted, name, device, info)) {
            return i;
        }
    }
    return options->backend.count;
}

static void leave_out(struct bm_selection *selection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void leave_out(struct bm_selection *selection, const char *format, ...) {
    size_t used = strlen(selection->left_out);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && used + 2 < sizeof selection->left_out) {
        (void)snprintf(selection->left_out + used, sizeof selection->left_out - used, "; ");
        used += 2;
    }
    (void)vsnprintf(selection->left_out + used, sizeof selection->left_out - used, format,
                    arguments);
    va_end(arguments);
}

static struct bm_row *
add_row(const struct bm_options *options, struct bm_selection *selection, uint32_t index) {
    BM_ASSERT(selection->row_count < BM_ROW_MAX);
    struct bm_row *row = &selection->row[selection->row_count++];
    memset(row, 0, sizeof *row);
    row->options = options;
    row->file = &selection->plugins.file[index];
    row->answer = &selection->plugins.answer[index];
    row->data_parallel = 1;
    return row;
}

static json_t *known_properties(const struct bm_row *row) {
    const struct bm_conform_subject subject = {.options = row->options,
                                               .file = row->file,
                                               .device = row->device,
                                               .device_index = row->device_index};
    return bm_properties_known(&subject);
}

static void
add_devices(const struct bm_options *options, struct bm_selection *selection, uint32_t index) {
    const struct bm_plugin_file *file = &selection->plugins.file[index];
    const json_t *reply = selection->plugins.answer[index].reply;
    const json_t *devices = json_object_get(reply, "devices");
    size_t device;
    const json_t *info;
    json_array_foreach(devices, device, info) {
        int32_t named = place_of(options, file->name, device, info) < options->backend.count;
        uint32_t software = json_integer_value(json_object_get(info, "kind")) ==
                            (json_int_t)BM_DEVICE_KIND_SOFTWARE;
        if (options->backend.count == 0 && software && !selection->is_named) {
            leave_out(selection, "%s:%zu (a software device, runs only when named)", file->name,
                      device);
        } else if ((named || options->backend.count == 0) && selection->row_count < BM_ROW_MAX) {
            struct bm_row *row = add_row(options, selection, index);
            row->device = info;
            row->device_index = (uint32_t)device;
            row->devices[0] = (uint32_t)device;
            row->software = software;
            row->properties = known_properties(row);
            row->computes_nothing = json_is_true(json_object_get(reply, "computes_nothing"));
        }
    }
    if (json_array_size(devices) == 0) {
        const char *why = json_string_value(json_object_get(reply, "why_none"));
        leave_out(selection, "%s (no device: %s)", file->name, why == NULL ? "?" : why);
    }
}

/* Whether one of the plugin's devices is meant; a plugin that did not answer is no reason to doubt.
 */
static int32_t finds_device(const struct wanted *wanted, const char *name, const json_t *reply) {
    size_t device;
    const json_t *info;
    if (reply == NULL || wanted->device[0] == '\0') {
        return 1;
    }
    json_array_foreach(json_object_get(reply, "devices"), device, info) {
        if (has_device(wanted, name, device, info)) {
            return 1;
        }
    }
    return 0;
}

static int32_t check_named(const struct bm_options *options,
                           const struct bm_selection *selection,
                           struct bm_error *error) {
    for (uint32_t i = 0; i < options->backend.count; i++) {
        struct wanted wanted = parse_wanted(options->backend.names[i]);
        char known[256] = "";
        int32_t found = 0;
        int32_t device_found = 0;
        for (uint32_t k = 0; k < selection->plugins.count; k++) {
            const struct bm_plugin_file *file = &selection->plugins.file[k];
            size_t used = strlen(known);
            (void)snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "",
                           file->name);
            if (strcmp(file->name, wanted.name) == 0 && !file->shadowed) {
                found = 1;
                device_found |=
                    finds_device(&wanted, file->name, selection->plugins.answer[k].reply);
            }
        }
        if (!found) {
            return bm_fail(error, BM_STATUS_INVALID, "--backend: expected one of %s, found \"%s\"",
                           known[0] == '\0' ? "no plugins at all" : known, wanted.name);
        }
        if (!device_found) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "--backend: expected a number, or part of the name or UUID, of a device "
                           "of %s (see `batchmark list`), found \"%s\"",
                           wanted.name, wanted.device);
        }
    }
    return BM_STATUS_OK;
}

/* Where the user named a row's backend; the same for all where nothing was named. */
static uint32_t rank_of(const struct bm_options *options, const struct bm_row *row) {
    if (row->device != NULL) {
        return place_of(options, row->file->name, row->device_index, row->device);
    }
    for (uint32_t i = 0; i < options->backend.count; i++) {
        if (strcmp(parse_wanted(options->backend.names[i]).name, row->file->name) == 0) {
            return i;
        }
    }
    return options->backend.count;
}

/* Rows in the order in which they were named (insertion sort: stable, and there are few). */
static void sort_rows(const struct bm_options *options, struct bm_selection *selection) {
    for (uint32_t i = 1; i < selection->row_count; i++) {
        struct bm_row moved = selection->row[i];
        uint32_t at = i;
        for (; at > 0 && rank_of(options, &selection->row[at - 1]) > rank_of(options, &moved);
             at--) {
            selection->row[at] = selection->row[at - 1];
        }
        selection->row[at] = moved;
    }
}

/* ---- Several devices that share every batch ---- */

static json_int_t kind_of(const json_t *device) {
    return json_integer_value(json_object_get(device, "kind"));
}

static int has_index(const uint32_t *devices, uint32_t count, size_t device) {
    for (uint32_t i = 0; i < count; i++) {
        if (devices[i] == device) {
            return 1;
        }
    }
    return 0;
}

static int is_like(const struct bm_row *row, const struct bm_row *other) {
    return other->device != NULL && other->file == row->file &&
           kind_of(other->device) == kind_of(row->device);
}

/* Devices of this row's plugin and kind: its own, those of the other rows in their order, then
 * those that have none, from its own on. Returns their number, at most `most`. */
static uint32_t find_devices(const struct bm_selection *selection,
                             const struct bm_row *row,
                             uint32_t most,
                             uint32_t *devices) {
    const json_t *all = json_object_get(row->answer->reply, "devices");
    size_t number = json_array_size(all);
    uint32_t count = 0;
    devices[count++] = row->device_index;
    for (uint32_t r = 0; r < selection->row_count && count < most; r++) {
        const struct bm_row *other = &selection->row[r];
        if (is_like(row, other) && !has_index(devices, count, other->device_index)) {
            devices[count++] = other->device_index;
        }
    }
    for (size_t i = 1; i < number && count < most; i++) {
        size_t device = (row->device_index + i) % number;
        if (kind_of(json_array_get(all, device)) == kind_of(row->device) &&
            !has_index(devices, count, device)) {
            devices[count++] = (uint32_t)device;
        }
    }
    return count;
}

/* Too few GPUs are refused; any other device takes all sessions itself. */
static int32_t share_devices(const struct bm_options *options,
                             struct bm_selection *selection,
                             struct bm_row *row,
                             struct bm_error *error) {
    uint32_t wanted = (uint32_t)options->data_parallel;
    uint32_t found = find_devices(selection, row, wanted, row->devices);
    row->data_parallel = wanted;
    if (found == wanted) {
        return BM_STATUS_OK;
    }
    if (kind_of(row->device) == (json_int_t)BM_DEVICE_KIND_GPU) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "--data-parallel %u: expected %u GPUs of %s, "
                       "found %u",
                       wanted, wanted, row->file->name, found);
    }
    for (uint32_t i = 0; i < wanted; i++) {
        row->devices[i] = row->device_index;
    }
    return BM_STATUS_OK;
}

static int is_first_of_kind(const struct bm_selection *selection, uint32_t index) {
    for (uint32_t i = 0; i < index; i++) {
        if (is_like(&selection->row[index], &selection->row[i])) {
            return 0;
        }
    }
    return 1;
}

/* A row of several devices behind that of the first of them, unless there is nothing to share; what
 * was not named and cannot have one is left out. */
static int32_t add_parallel(const struct bm_options *options,
                            struct bm_selection *selection,
                            struct bm_error *error) {
    for (uint32_t i = 0; i < selection->row_count && options->data_parallel > 1; i++) {
        struct bm_row row = selection->row[i];
        if (row.device == NULL || row.computes_nothing || !is_first_of_kind(selection, i) ||
            selection->row_count == BM_ROW_MAX) {
            continue;
        }
        int32_t status = share_devices(options, selection, &row, error);
        if (status != BM_STATUS_OK && options->backend.count > 0) {
            return status;
        }
        if (status != BM_STATUS_OK) {
            leave_out(selection, "%s", error->text);
            continue;
        }
        memmove(&selection->row[i + 2], &selection->row[i + 1],
                (selection->row_count - i - 1) * sizeof row);
        selection->row[i + 1] = row;
        (void)json_incref(row.properties);
        selection->row_count++;
    }
    return BM_STATUS_OK;
}

/* Asks the plugins that are wanted for their devices. */
static void ask_plugins(const struct bm_options *options, struct bm_selection *selection) {
    struct bm_plugin_list *plugins = &selection->plugins;
    for (uint32_t i = 0; i < plugins->count; i++) {
        if (plugins->file[i].shadowed || !is_wanted(options, plugins->file[i].name)) {
            continue;
        }
        bm_discover_ask(options, plugins, i);
        if (plugins->answer[i].verdict.kind == BM_VERDICT_OK) {
            add_devices(options, selection, i);
        } else if (selection->row_count < BM_ROW_MAX) {
            (void)add_row(options, selection, i);
        }
    }
    sort_rows(options, selection);
}

int32_t bm_selection_make(const struct bm_options *options,
                          struct bm_selection *selection,
                          struct bm_error *error) {
    memset(selection, 0, sizeof *selection);
    int32_t status = bm_discover_files(options, &selection->plugins, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    ask_plugins(options, selection);
    status = check_named(options, selection, error);
    return status == BM_STATUS_OK ? add_parallel(options, selection, error) : status;
}

int32_t bm_selection_of(const struct bm_options *options,
                        const char *path,
                        struct bm_selection *selection,
                        struct bm_error *error) {
    struct stat about;
    memset(selection, 0, sizeof *selection);
    selection->is_named = stat(path, &about) == 0 && !S_ISDIR(about.st_mode);
    int32_t status = bm_discover_place(options, path, &selection->plugins, error);
    if (status == BM_STATUS_OK) {
        ask_plugins(options, selection);
    }
    return status;
}

void bm_selection_free(struct bm_selection *selection) {
    for (uint32_t i = 0; i < selection->row_count; i++) {
        json_decref(selection->row[i].properties);
    }
    bm_discover_free(&selection->plugins);
}
