/* What plugin.h asks of the shared object itself. */
#include "cases.h"
#include "object.h"

#include "page.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* ---- Symbols ---- */

/* Seen by whoever loads the file. An absolute symbol is the name of a version, neither code nor
 * data. */
static int is_exported(const ElfW(Sym) * symbol) {
    uint32_t binding = symbol->st_info >> 4;
    uint32_t visibility = symbol->st_other & 3u;
    return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS && binding != STB_LOCAL &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* The exported names but bm_plugin_entry; returns their number. */
static uint32_t list_others(const struct bm_conform_object *object,
                            char *list,
                            size_t capacity,
                            uint32_t *entries) {
    uint32_t others = 0;
    list[0] = '\0';
    *entries = 0;
    for (uint32_t i = 1; i < object->symbol_count; i++) {
        const char *name = bm_conform_object_name(object, &object->symbols[i]);
        size_t used = strlen(list);
        if (!is_exported(&object->symbols[i])) {
            continue;
        }
        if (strcmp(name, "bm_plugin_entry") == 0) {
            *entries += 1;
            continue;
        }
        others++;
        if (used + strlen(name) + 3 < capacity) {
            (void)snprintf(list + used, capacity - used, "%s%s", used > 0 ? ", " : "", name);
        }
    }
    return others;
}

static void leave_if_sanitized(struct bm_conform *conform, const struct bm_conform_object *object) {
    const char *name = bm_conform_object_sanitizer(object);
    if (name != NULL) {
        bm_conform_leave(conform, "the plugin is built with a sanitizer (it calls %s)", name);
    }
}

void bm_conform_file_exports(struct bm_conform *conform) {
    struct bm_conform_object object;
    char list[400];
    uint32_t entries = 0;
    bm_conform_object_open(conform, &object);
    leave_if_sanitized(conform, &object);
    uint32_t others = list_others(&object, list, sizeof list, &entries);
    EXPECT(conform, entries == 1 && others == 0,
           "expected bm_plugin_entry as the one exported symbol, found %s and %u other%s%s%s",
           entries > 0 ? "it" : "no bm_plugin_entry", others, others == 1 ? "" : "s",
           others > 0 ? ": " : "", list);
    bm_conform_object_close(&object);
}

/* Through the plugin's own handle, which does not reach what only the program links. */
static int is_found(void *handle, const char *name, const char *version) {
    return (version != NULL ? dlvsym(handle, name, version) : dlsym(handle, name)) != NULL;
}

void bm_conform_file_dependencies(struct bm_conform *conform) {
    struct bm_conform_object object;
    void *handle = bm_conform_handle(conform);
    bm_conform_object_open(conform, &object);
    leave_if_sanitized(conform, &object);
    for (uint32_t i = 1; i < object.symbol_count; i++) {
        const ElfW(Sym) *symbol = &object.symbols[i];
        const char *name = bm_conform_object_name(&object, symbol);
        if (symbol->st_shndx != SHN_UNDEF || symbol->st_info >> 4 == STB_WEAK) {
            continue;
        }
        const char *version = bm_conform_object_version(&object, i);
        EXPECT(conform, is_found(handle, name, version),
               "%s%s%s: expected it in a library that the plugin itself is linked with, found it "
               "in none (link with -z defs)",
               name, version != NULL ? "@" : "", version != NULL ? version : "");
    }
    bm_conform_object_close(&object);
}

/* ---- Flags ---- */

void bm_conform_file_nodelete(struct bm_conform *conform) {
    struct bm_conform_object object;
    bm_conform_object_open(conform, &object);
    uint64_t flags = bm_conform_object_tag(&object, DT_FLAGS_1);
    EXPECT(conform, (flags & DF_1_NODELETE) != 0,
           "expected NODELETE among the flags of the file (link with -z nodelete), found flags_1 "
           "0x%llx",
           (unsigned long long)flags);
    bm_conform_object_close(&object);
}

static int has_tag(const struct bm_conform_object *object, int64_t tag) {
    for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == tag) {
            return 1;
        }
    }
    return 0;
}

void bm_conform_file_now(struct bm_conform *conform) {
    struct bm_conform_object object;
    bm_conform_object_open(conform, &object);
    uint64_t flags = bm_conform_object_tag(&object, DT_FLAGS);
    uint64_t flags_1 = bm_conform_object_tag(&object, DT_FLAGS_1);
    EXPECT(conform,
           (flags & DF_BIND_NOW) != 0 || (flags_1 & DF_1_NOW) != 0 || has_tag(&object, DT_BIND_NOW),
           "expected BIND_NOW among the flags of the file (link with -z now), found flags 0x%llx "
           "and flags_1 0x%llx",
           (unsigned long long)flags, (unsigned long long)flags_1);
    bm_conform_object_close(&object);
}

/* ---- Loading ---- */

/* The start-up code that -ffast-math links in sets the mode of the thread that loads the file. */
void bm_conform_file_floating_point(struct bm_conform *conform) {
    if (bm_conform_handle(conform) != NULL) {
        bm_conform_leave(conform, "the plugin was already loaded when the case began; run it "
                                  "without --in-process");
    }
    conform->request->page->phase = BM_PHASE_LOAD;
    uint32_t before = bm_conform_floating_point_mode();
    void *handle = dlopen(conform->request->path, RTLD_NOW | RTLD_LOCAL);
    uint32_t after = bm_conform_floating_point_mode();
    conform->request->page->phase = BM_PHASE_HOST;
    EXPECT(conform, handle != NULL, "cannot load: %s", dlerror());
    EXPECT(conform, before == after,
           "expected rounding and floating-point mode 0x%x as before the file was loaded, found "
           "0x%x (is it, or a library it needs, linked with -ffast-math?)",
           before, after);
}

/* ---- The table ---- */

static void check_string(struct bm_conform *conform, const char *field, const char *text) {
    Dl_info info;
    EXPECT(conform, dladdr(text, &info) != 0,
           "%s: expected a static string, found one that lies in no loaded file: \"%.100s\"", field,
           text);
    EXPECT(conform, text[0] != '\0', "%s: expected a text, found an empty one", field);
    for (const char *c = text; *c != '\0'; c++) {
        EXPECT(conform, (unsigned char)*c >= ' ' && *c != 0x7f,
               "%s: expected one line without control characters, found byte 0x%x in \"%.100s\"",
               field, (unsigned char)*c, text);
    }
}

void bm_conform_file_table(struct bm_conform *conform) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    const struct bm_plugin *table = conform->table;
    Dl_info info;
    EXPECT(conform, dladdr(table, &info) != 0,
           "expected a table of static storage, found one that lies in no loaded file");
    check_string(conform, "name", table->name);
    check_string(conform, "version", table->version);
    check_string(conform, "summary", table->summary);
    EXPECT(conform, table->name[strspn(table->name, allowed)] == '\0' && strlen(table->name) <= 31,
           "name: expected at most 31 of a-z, 0-9, _ and -, found \"%.100s\"", table->name);
    EXPECT(conform, (table->flags & ~BM_PLUGIN_COMPUTES_NOTHING) == 0,
           "flags: expected bits of 0x%x, found 0x%x", BM_PLUGIN_COMPUTES_NOTHING, table->flags);
}
