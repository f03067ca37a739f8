/* Where presets lie. */
#include "error.h"
#include "options.h"
#include "place.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int preset_in(const char *folder, const char *name, char *path, size_t capacity) {
    if (folder == NULL || folder[0] == '\0') {
        return 0;
    }
    int length = snprintf(path, capacity, "%s/%s.ini", folder, name);
    return length > 0 && (size_t)length < capacity && access(path, R_OK) == 0;
}

int32_t
bm_preset_find(const char *command_and_name, char *path, size_t capacity, struct bm_error *error) {
    const char *chosen = getenv("BATCHMARK_PRESETS");
    char place[BM_PATH_SIZE] = "";
    char source[BM_PATH_SIZE];
    const char *built = bm_place_source(source, sizeof source, "harness/presets") ? source : NULL;
    const char *installed =
        bm_place_installed_presets(place, sizeof place) ? place : "the install folder";
    if (command_and_name[strspn(command_and_name, "abcdefghijklmnopqrstuvwxyz0123456789_-/")] !=
        '\0') {
        return bm_fail(error, BM_STATUS_INVALID,
                       "--preset: expected a name of small letters, digits, - and _, found \"%s\"",
                       command_and_name);
    }
    if (preset_in(chosen, command_and_name, path, capacity) ||
        preset_in(built, command_and_name, path, capacity) ||
        preset_in(installed, command_and_name, path, capacity)) {
        return BM_STATUS_OK;
    }
    return bm_fail(
        error, BM_STATUS_INVALID, "--preset: expected a preset in %s%s%s%s%s, found no %s.ini",
        chosen != NULL ? chosen : "", chosen != NULL ? ", " : "", built != NULL ? built : "",
        built != NULL ? ", " : "", installed, command_and_name);
}
