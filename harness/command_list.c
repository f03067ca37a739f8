/* `batchmark list`: plugins and their devices, presets and data sets, and why one is not available.
 */
#include "command.h"
#include "discover.h"
#include "field.h"
#include "interrupt.h"
#include "properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the conformance suite tells of the device: kept from before, or found out now; a software
 * device, which runs only when named, is not run for it. */
static void print_properties(const struct bm_conform_subject *subject) {
    size_t index;
    const json_t *property;
    int software = json_integer_value(json_object_get(subject->device, "kind")) ==
                   (json_int_t)BM_DEVICE_KIND_SOFTWARE;
    json_t *properties = software ? bm_properties_known(subject) : bm_properties_find(subject);
    if (properties == NULL) {
        (void)printf("        properties not known: batchmark check %s\n", subject->word);
    }
    json_array_foreach(properties, index, property) {
        const char *status = bm_field_text(property, "status");
        const char *reason = bm_field_text(property, "reason");
        (void)printf("        %s %s%s%s\n", bm_field_text(property, "name"),
                     strcmp(status, "pass") == 0   ? "holds"
                     : strcmp(status, "fail") == 0 ? "does not hold"
                                                   : status,
                     reason[0] == '\0' ? "" : ": ", reason);
    }
    json_decref(properties);
}

static void print_device(const char *plugin, size_t index, const json_t *device, uint32_t verbose) {
    static const char *const kinds[] = {"cpu", "gpu", "software"};
    size_t kind = (size_t)json_integer_value(json_object_get(device, "kind"));
    size_t i;
    const json_t *precision;
    (void)printf("    %s:%zu  %s (%s", plugin, index, bm_field_text(device, "name"),
                 kind < 3 ? kinds[kind] : "unknown kind");
    json_array_foreach(json_object_get(device, "precisions"), i, precision) {
        (void)printf("%s%s", i == 0 ? "; " : ", ", bm_field_text(precision, "name"));
    }
    (void)printf(")%s\n", kind == 2 ? " runs only when named" : "");
    if (verbose) {
        (void)printf("        vendor \"%s\", driver \"%s\", uuid \"%s\", pci \"%s\", %.0f MiB\n",
                     bm_field_text(device, "vendor"), bm_field_text(device, "driver"),
                     bm_field_text(device, "uuid"), bm_field_text(device, "pci"),
                     json_number_value(json_object_get(device, "memory")) / 1048576);
    }
}

static void print_calls(const json_t *reply) {
    static const char *const calls[][2] = {{"has_update", "update"},
                                           {"has_updates", "updates"},
                                           {"has_state", "read_state and write_state"},
                                           {"has_write_gradient", "write_gradient"},
                                           {"has_device_time", "device_time"}};
    (void)printf("      optional calls:");
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (json_is_true(json_object_get(reply, calls[i][0]))) {
            (void)printf(" %s", calls[i][1]);
        }
    }
    (void)printf("\n");
}

static void print_plugin(const struct bm_options *options,
                         const struct bm_plugin_file *file,
                         const struct bm_plugin_answer *answer) {
    size_t index;
    const json_t *device;
    uint32_t verbose = options->verbose;
    if (file->shadowed) {
        (void)printf("  %s  shadowed by an earlier file of that name: %s\n", file->name,
                     file->path);
        return;
    }
    if (answer->verdict.kind != BM_VERDICT_OK) {
        (void)printf("  %s  not available: %s\n      %s\n", file->name, answer->verdict.reason,
                     file->path);
        return;
    }
    (void)printf("  %s %s  %s\n", file->name, bm_field_text(answer->reply, "version"),
                 bm_field_text(answer->reply, "summary"));
    if (verbose) {
        (void)printf("      %s\n      sha256 %s\n", file->path, file->sha256);
        print_calls(answer->reply);
    }
    json_array_foreach(json_object_get(answer->reply, "devices"), index, device) {
        const struct bm_conform_subject subject = {.options = options,
                                                   .file = file,
                                                   .device = device,
                                                   .device_index = (uint32_t)index,
                                                   .word = file->path};
        print_device(file->name, index, device, verbose);
        if (verbose) {
            print_properties(&subject);
        }
    }
    if (index == 0) {
        (void)printf("    no device: %s\n", bm_field_text(answer->reply, "why_none"));
    }
}

static void print_presets(void) {
    static const struct {
        const char *command;
        const char *names[5]; /* NULL behind the last */
    } presets[] = {{"run", {"lecture", "quick"}},
                   {"train", {"accuracy", "optimizers", "keskar", "gate"}},
                   {"landscape", {"lecture"}}};

    for (size_t c = 0; c < sizeof presets / sizeof presets[0]; c++) {
        (void)printf("\npresets of %s:\n", presets[c].command);
        for (const char *const *name = presets[c].names; *name != NULL; name++) {
            char path[BM_PATH_SIZE];
            char whole[64];
            struct bm_error error;
            (void)snprintf(whole, sizeof whole, "%s/%s", presets[c].command, *name);
            int32_t status = bm_preset_find(whole, path, sizeof path, &error);
            (void)printf("  %s  %s\n", *name, status == BM_STATUS_OK ? path : error.text);
        }
    }
}

static int list(const struct bm_options *options, struct bm_plugin_list *plugins) {
    struct bm_error error = {0};
    if (bm_discover_files(options, plugins, &error) != BM_STATUS_OK) {
        (void)fprintf(stderr, "batchmark list: %s\n", error.text);
        return BM_EXIT_USAGE;
    }
    (void)printf("plugins:\n");
    for (uint32_t i = 0; i < plugins->count; i++) {
        if (!plugins->file[i].shadowed) {
            bm_discover_ask(options, plugins, i);
        }
        if (bm_interrupt_signal() != 0) {
            bm_discover_free(plugins);
            (void)fprintf(stderr, "batchmark list: interrupted\n");
            return 128 + bm_interrupt_signal();
        }
        print_plugin(options, &plugins->file[i], &plugins->answer[i]);
    }
    if (plugins->count == 0) {
        (void)printf("  none found\n");
    }
    print_presets();
    bm_discover_free(plugins);
    /* The data sets are a command of their own; this is its short form. */
    (void)printf("\n");
    char name[] = "data";
    char what[] = "list";
    char folder_flag[] = "--data-dir";
    char folder[BM_PATH_SIZE];
    char *argv[] = {name, what, folder_flag, folder, NULL};
    (void)snprintf(folder, sizeof folder, "%s", options->data_dir);
    return bm_command_data(options->data_dir[0] == '\0' ? 2 : 4, argv);
}

int bm_command_list(int argc, char **argv) {
    struct bm_options *options = malloc(sizeof *options);
    struct bm_plugin_list *plugins = malloc(sizeof *plugins);
    struct bm_error error = {0};
    const char *words[1];
    uint32_t word_count = 0;
    int code = BM_EXIT_USAGE;
    bm_interrupt_catch();
    if (options == NULL || plugins == NULL) {
        (void)fprintf(stderr, "batchmark list: no memory\n");
    } else if (bm_options_parse(BM_COMMAND_LIST, argc, argv, options, words, 0, &word_count,
                                &error) != BM_STATUS_OK) {
        (void)fprintf(stderr, "batchmark list: %s\n", error.text);
    } else if (options->help) {
        (void)printf("usage: batchmark list [OPTIONS]\n\n"
                     "Plugins and their devices, presets and data sets, and why one is not "
                     "available.\n\n");
        bm_options_help(BM_COMMAND_LIST, stdout);
        code = BM_EXIT_OK;
    } else {
        code = list(options, plugins);
    }
    free(options);
    free(plugins);
    return code;
}
