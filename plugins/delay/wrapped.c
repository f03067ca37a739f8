#include "wrapped.h"

#include <batchmark/kit.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef const struct bm_plugin *entry_function(uint32_t, uint32_t, struct bm_error *);

static const struct bm_plugin *refuse(struct bm_error *error, const char *what, const char *found) {
    (void)bm_kit_fail(error, BM_STATUS_INVALID, "$" BM_DELAY_PLUGIN ": expected %s, found %.300s",
                      what, found);
    return NULL;
}

/* The first mandatory call that the table lacks; NULL: it has all. */
static const char *missing_call(const struct bm_plugin *plugin) {
    const struct {
        const char *name;
        int32_t present;
    } calls[] = {
        {"name", plugin->name != NULL},
        {"version", plugin->version != NULL},
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
    };

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (!calls[i].present) {
            return calls[i].name;
        }
    }
    return NULL;
}

static const struct bm_plugin *check(const struct bm_plugin *plugin, struct bm_error *error) {
    if (plugin->magic != BM_PLUGIN_MAGIC) {
        return refuse(error, "a table that begins with the magic of plugins", "another one");
    }
    if (plugin->abi_major != BM_ABI_MAJOR || plugin->size < sizeof *plugin) {
        (void)bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                          "$" BM_DELAY_PLUGIN ": expected ABI %u.%u and a table of at least %zu "
                          "bytes, found %u.%u and %u",
                          BM_ABI_MAJOR, BM_ABI_MINOR, sizeof *plugin, plugin->abi_major,
                          plugin->abi_minor, plugin->size);
        return NULL;
    }
    const char *missing = missing_call(plugin);
    if (missing != NULL) {
        (void)bm_kit_fail(error, BM_STATUS_INVALID,
                          "$" BM_DELAY_PLUGIN ": expected %s in its table, found NULL", missing);
        return NULL;
    }
    return plugin;
}

static const struct bm_plugin *enter(entry_function *entry, struct bm_error *error) {
    struct bm_error why = {0};
    if (entry == bm_plugin_entry) { /* it would wait for itself */
        return refuse(error, "another plugin", "this one");
    }
    const struct bm_plugin *plugin = entry(BM_ABI_MAJOR, BM_ABI_MINOR, &why);
    if (plugin == NULL) {
        return refuse(error, "a plugin for this ABI", why.text);
    }
    return check(plugin, error);
}

const struct bm_plugin *bm_delay_wrapped(struct bm_error *error) {
    const char *given = getenv(BM_DELAY_PLUGIN);
    if (given == NULL || given[0] == '\0') {
        return refuse(error, "the file of the plugin to delay", "nothing");
    }
    char *path = realpath(given, NULL);
    if (path == NULL) {
        (void)bm_kit_fail(error, BM_STATUS_INVALID, "$" BM_DELAY_PLUGIN ": %.300s: %s", given,
                          strerror(errno));
        return NULL;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    free(path);
    if (handle == NULL) {
        return refuse(error, "a shared object", dlerror());
    }
    void *symbol = dlsym(handle, "bm_plugin_entry");
    if (symbol == NULL) {
        return refuse(error, "the symbol bm_plugin_entry", "none");
    }
    /* ISO C has no conversion from object to function pointer; POSIX guarantees this one. */
    entry_function *entry;
    memcpy(&entry, &symbol, sizeof entry);
    return enter(entry, error);
}
