#include "loader.h"

#include "error.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 31

int32_t bm_loader_name(const char *path, char *name, uint32_t capacity, struct bm_error *error) {
    const char *slash = strrchr(path, '/');
    const char *file = slash == NULL ? path : slash + 1;
    size_t length = strlen(file);
    if (length < 7 || strncmp(file, "bm_", 3) != 0 || strcmp(file + length - 3, ".so") != 0) {
        return bm_fail(error, BM_STATUS_INVALID, "plugin: expected a file bm_NAME.so, found %s",
                       file);
    }
    size_t name_length = length - 6;
    if (name_length > NAME_MAX_BYTES || name_length >= capacity) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "plugin: expected a name of at most %d bytes, found %s", NAME_MAX_BYTES,
                       file);
    }
    if (strspn(file + 3, "abcdefghijklmnopqrstuvwxyz0123456789_-") < name_length) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "plugin: expected a name of a-z, 0-9, _ and -, found %s", file);
    }
    memcpy(name, file + 3, name_length);
    name[name_length] = '\0';
    return BM_STATUS_OK;
}

static int32_t check_header(const struct bm_plugin *plugin, struct bm_error *error) {
    if (plugin->magic != BM_PLUGIN_MAGIC) {
        return bm_fail(error, BM_STATUS_INVALID, "plugin: expected magic %016llx, found %016llx",
                       (unsigned long long)BM_PLUGIN_MAGIC, (unsigned long long)plugin->magic);
    }
    if (plugin->abi_major != BM_ABI_MAJOR) { /* minors only add */
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "plugin: ABI: host has %u.%u, plugin has %u.%u", BM_ABI_MAJOR, BM_ABI_MINOR,
                       plugin->abi_major, plugin->abi_minor);
    }
    /* A host whose table is longer must go on taking those of 1.0, with NULL for what they lack. */
    if (plugin->size < sizeof *plugin) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "plugin: expected a table of at least %zu bytes, found %u", sizeof *plugin,
                       plugin->size);
    }
    return BM_STATUS_OK;
}

static int32_t check_calls(const struct bm_plugin *plugin, struct bm_error *error) {
    const struct {
        const char *name;
        int32_t present;
    } calls[] = {
        {"name", plugin->name != NULL},
        {"version", plugin->version != NULL},
        {"summary", plugin->summary != NULL},
        {"device_count", plugin->device_count != NULL},
        {"device_info", plugin->device_info != NULL},
        {"supports", plugin->supports != NULL},
        {"create", plugin->create != NULL},
        {"destroy", plugin->destroy != NULL},
        {"bind_data", plugin->bind_data != NULL},
        {"set_order", plugin->set_order != NULL},
        {"write_params", plugin->write_params != NULL},
        {"read_params", plugin->read_params != NULL},
        {"read_gradient", plugin->read_gradient != NULL},
        {"gradient", plugin->gradient != NULL},
        {"apply", plugin->apply != NULL},
        {"evaluate", plugin->evaluate != NULL},
        {"wait", plugin->wait != NULL},
        {"describe", plugin->describe != NULL},
        {"both read_state and write_state, or neither",
         (plugin->read_state == NULL) == (plugin->write_state == NULL)},
    };

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (!calls[i].present) {
            return bm_fail(error, BM_STATUS_INVALID, "plugin: expected %s in its table, found NULL",
                           calls[i].name);
        }
    }
    return BM_STATUS_OK;
}

static int32_t
check_name(const struct bm_plugin *plugin, const char *path, struct bm_error *error) {
    char name[NAME_MAX_BYTES + 1];
    int32_t status = bm_loader_name(path, name, sizeof name, error);
    if (status == BM_STATUS_OK && strcmp(name, plugin->name) != 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "plugin: expected the name of its file, %s, found %.64s", name,
                       plugin->name);
    }
    return status;
}

int32_t bm_loader_open(const char *path,
                       const struct bm_opened_file *file,
                       void **handle,
                       struct bm_error *error) {
    int32_t status = file == NULL ? BM_STATUS_OK : bm_opened_file_check(file, path, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*handle == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "plugin: cannot load: %s", dlerror());
    }
    return file == NULL ? BM_STATUS_OK : bm_opened_file_check_loaded(file, path, *handle, error);
}

int32_t bm_loader_load(const char *path,
                       const struct bm_opened_file *file,
                       const struct bm_plugin **plugin,
                       struct bm_error *error) {
    void *handle = NULL;
    int32_t status = bm_loader_open(path, file, &handle, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    /* ISO C has no conversion from object to function pointer; POSIX guarantees this one. */
    const struct bm_plugin *(*entry)(uint32_t, uint32_t, struct bm_error *);
    void *symbol = dlsym(handle, "bm_plugin_entry");
    if (symbol == NULL) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "plugin: expected the symbol bm_plugin_entry, found none");
    }
    memcpy(&entry, &symbol, sizeof entry);
    struct bm_error refusal = {0};
    const struct bm_plugin *table = entry(BM_ABI_MAJOR, BM_ABI_MINOR, &refusal);
    if (table == NULL) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "plugin: refuses this host (ABI %u.%u): %.400s", BM_ABI_MAJOR, BM_ABI_MINOR,
                       refusal.text);
    }
    status = check_header(table, error);
    if (status == BM_STATUS_OK) {
        status = check_calls(table, error);
    }
    if (status == BM_STATUS_OK) {
        status = check_name(table, path, error);
    }
    if (status == BM_STATUS_OK) {
        *plugin = table;
    }
    return status;
}
