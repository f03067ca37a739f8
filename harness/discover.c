#include "discover.h"

#include "error.h"
#include "loader.h"
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Files ---- */

static int32_t is_known(const struct bm_plugin_list *list, const char *path) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (strcmp(list->file[i].path, path) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Opens the file, the only time; says in `fault` if it is not to be loaded. */
static int32_t
open_file(const struct bm_options *options, struct bm_plugin_file *file, struct bm_error *error) {
    int fd = -1;
    int32_t status = bm_trust_open(file->path, &fd, file->fault, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (file->fault[0] != '\0' && options->trust) {
        file->trusted = 1;
        file->fault[0] = '\0';
    }
    status = bm_opened_file_note(fd, file->path, &file->opened, error);
    if (status == BM_STATUS_OK) {
        status = bm_opened_file_digest(&file->opened, file->path, file->sha256, error);
    }
    if (status != BM_STATUS_OK) {
        bm_opened_file_close(&file->opened);
    }
    return status;
}

/* Fills in everything but `shadowed`. On failure nothing is open. */
static int32_t describe_file(const struct bm_options *options,
                             const char *path,
                             struct bm_plugin_file *file,
                             struct bm_error *error) {
    *file = (struct bm_plugin_file){.opened.fd = -1};
    char absolute[PATH_MAX];
    if (realpath(path, absolute) == NULL) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: no such plugin", path);
    }
    if (strlen(absolute) >= sizeof file->path) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a shorter path", path);
    }
    int32_t status = bm_loader_name(absolute, file->name, sizeof file->name, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    memcpy(file->path, absolute, strlen(absolute) + 1);
    return open_file(options, file, error);
}

/* Takes it over. */
static int32_t
append_file(struct bm_plugin_list *list, struct bm_plugin_file *file, struct bm_error *error) {
    if (is_known(list, file->path)) {
        bm_opened_file_close(&file->opened);
        return BM_STATUS_OK;
    }
    if (list->count == BM_PLUGIN_MAX) {
        bm_opened_file_close(&file->opened);
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected at most %d plugins", file->path,
                       BM_PLUGIN_MAX);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        file->shadowed |= strcmp(list->file[i].name, file->name) == 0;
    }
    list->file[list->count++] = *file;
    return BM_STATUS_OK;
}

/* A file that the user named must be a plugin; naming it does not tell who else may change it. */
static int32_t add_named(const struct bm_options *options,
                         struct bm_plugin_list *list,
                         const char *path,
                         struct bm_error *error) {
    struct bm_plugin_file file;
    int32_t status = describe_file(options, path, &file, error);
    return status == BM_STATUS_OK ? append_file(list, &file, error) : status;
}

/* One that lies in a searched folder and is none is listed with its fault; the others are not lost
 * for it. */
static int32_t add_found(const struct bm_options *options,
                         struct bm_plugin_list *list,
                         const char *folder,
                         const char *name,
                         struct bm_error *error) {
    struct bm_plugin_file file;
    struct bm_error fault = {0};
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof file.path) {
        return BM_STATUS_OK;
    }
    if (describe_file(options, path, &file, &fault) != BM_STATUS_OK) {
        file = (struct bm_plugin_file){.opened.fd = -1};
        (void)snprintf(file.name, sizeof file.name, "%.*s", (int)sizeof file.name - 1, name);
        (void)snprintf(file.path, sizeof file.path, "%.*s", (int)sizeof file.path - 1, path);
        (void)snprintf(file.fault, sizeof file.fault, "%.*s", (int)sizeof file.fault - 1,
                       fault.text);
    }
    return append_file(list, &file, error);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_plugin_name(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 6 && strncmp(entry->d_name, "bm_", 3) == 0 &&
           strcmp(entry->d_name + length - 3, ".so") == 0;
}

/* A folder that is not there holds nothing; that is no fault. */
static int32_t add_folder(const struct bm_options *options,
                          struct bm_plugin_list *list,
                          const char *folder,
                          struct bm_error *error) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_plugin_name, by_name);
    int32_t status = BM_STATUS_OK;
    for (int i = 0; i < count; i++) {
        if (status == BM_STATUS_OK) {
            status = add_found(options, list, folder, entries[i]->d_name, error);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int32_t add_folders(const struct bm_options *options,
                           struct bm_plugin_list *list,
                           const char *folders,
                           struct bm_error *error) {
    char *copy = strdup(folders);
    char *rest = copy;
    int32_t status = copy == NULL ? BM_STATUS_NO_MEMORY : BM_STATUS_OK;
    for (char *folder; status == BM_STATUS_OK && (folder = strsep(&rest, ":")) != NULL;) {
        status = folder[0] == '\0' ? BM_STATUS_OK : add_folder(options, list, folder, error);
    }
    free(copy);
    return status;
}

static int32_t add_build_tree(const struct bm_options *options,
                              struct bm_plugin_list *list,
                              struct bm_error *error) {
    char tree[PATH_MAX];
    char folder[PATH_MAX];
    if (!bm_place_build_tree(tree, sizeof tree) ||
        snprintf(folder, sizeof folder, "%s/plugins", tree) >= (int)sizeof folder) {
        return BM_STATUS_OK;
    }
    return add_folder(options, list, folder, error);
}

static int32_t add_installed(const struct bm_options *options,
                             struct bm_plugin_list *list,
                             struct bm_error *error) {
    char folder[PATH_MAX];
    return bm_place_installed_plugins(folder, sizeof folder)
               ? add_folder(options, list, folder, error)
               : BM_STATUS_OK;
}

static int32_t
add_home(const struct bm_options *options, struct bm_plugin_list *list, struct bm_error *error) {
    char folder[PATH_MAX];
    const char *home = getenv("HOME");
    if (home == NULL ||
        snprintf(folder, sizeof folder, "%s/.local/lib/batchmark", home) >= (int)sizeof folder) {
        return BM_STATUS_OK;
    }
    return add_folder(options, list, folder, error);
}

int32_t bm_discover_files(const struct bm_options *options,
                          struct bm_plugin_list *list,
                          struct bm_error *error) {
    const char *folders = getenv("BATCHMARK_PLUGINS");
    int32_t status = BM_STATUS_OK;
    memset(list, 0, sizeof *list);
    for (uint32_t i = 0; i < options->plugin.count && status == BM_STATUS_OK; i++) {
        status = add_named(options, list, options->plugin.paths[i], error);
    }
    if (status == BM_STATUS_OK && folders != NULL) {
        status = add_folders(options, list, folders, error);
    }
    if (status == BM_STATUS_OK) {
        status = add_build_tree(options, list, error);
    }
    if (status == BM_STATUS_OK) {
        status = add_home(options, list, error);
    }
    return status == BM_STATUS_OK ? add_installed(options, list, error) : status;
}

int32_t bm_discover_place(const struct bm_options *options,
                          const char *path,
                          struct bm_plugin_list *list,
                          struct bm_error *error) {
    struct stat about;
    memset(list, 0, sizeof *list);
    if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)) {
        return add_named(options, list, path, error);
    }
    int32_t status = add_folder(options, list, path, error);
    if (status == BM_STATUS_OK && list->count == 0) {
        status =
            bm_fail(error, BM_STATUS_INVALID, "%s: expected files bm_NAME.so, found none", path);
    }
    return status;
}

/* ---- Asking ---- */

uint32_t bm_discover_variables(const struct bm_options *options,
                               const char *backend,
                               struct bm_worker_variable *variables,
                               uint32_t capacity) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < options->setting_count && count < capacity; i++) {
        const struct bm_backend_setting *setting = &options->setting[i];
        if (setting->is_environment && strcmp(setting->backend, backend) == 0) {
            variables[count].name = setting->key;
            variables[count].value = setting->value;
            count++;
        }
    }
    return count;
}

void bm_discover_ask(const struct bm_options *options,
                     struct bm_plugin_list *list,
                     uint32_t index) {
    struct bm_plugin_answer *answer = &list->answer[index];
    struct bm_worker_variable variables[BM_LIST_MAX];
    struct bm_worker_spec spec = {.data_fd = -1, .reference_fd = -1, .variables = variables};
    struct bm_worker worker;
    struct bm_error error = {0};
    if (list->file[index].fault[0] != '\0') {
        answer->verdict.kind = BM_VERDICT_REFUSED;
        memcpy(answer->verdict.reason, list->file[index].fault, sizeof list->file[index].fault);
        return;
    }
    spec.plugin = &list->file[index].opened;
    spec.variable_count =
        bm_discover_variables(options, list->file[index].name, variables, BM_LIST_MAX);
    spec.in_process = options->in_process;
    if (bm_worker_start(&spec, &worker, &error) != BM_STATUS_OK) {
        answer->verdict.kind = BM_VERDICT_ERROR;
        (void)snprintf(answer->verdict.reason, sizeof answer->verdict.reason, "%s", error.text);
        return;
    }
    json_t *command =
        bm_worker_load_command("load", list->file[index].path, &list->file[index].opened);
    bm_worker_ask(&worker, command, options->hang_time_s, &answer->reply, &answer->verdict);
    json_decref(command);
    bm_worker_stop(&worker);
}

void bm_discover_free(struct bm_plugin_list *list) {
    for (uint32_t i = 0; i < list->count; i++) {
        json_decref(list->answer[i].reply);
        list->answer[i].reply = NULL;
        bm_opened_file_close(&list->file[i].opened);
    }
}
