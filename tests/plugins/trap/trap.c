/* No plugin, but what somebody puts in the place of one: it adds a line to the file of TRAP_FILE
 * when it is loaded and another when it is called. */
#include <batchmark/plugin.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static void note(const char *what) {
    const char *path = getenv("TRAP_FILE");
    FILE *file = path == NULL ? NULL : fopen(path, "ae");
    if (file != NULL) {
        (void)fprintf(file, "%s\n", what);
        (void)fclose(file);
    }
}

__attribute__((constructor)) static void load(void) {
    note("loaded");
}

const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    (void)host_major;
    (void)host_minor;
    (void)error;
    note("called");
    return NULL;
}
