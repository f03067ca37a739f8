/* Where a data set's files are: folders in the order of their strength. */
#include "data_source.h"
#include "error.h"
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT_MAX 12u
#define DISTRIBUTION_FOLDER "/usr/share/datasets"

struct roots {
    char paths[ROOT_MAX][BM_DATA_PATH_SIZE];
    uint32_t count;
};

static void add_root(struct roots *roots, const char *path, size_t length, const char *below) {
    if (length == 0 || length + strlen(below) >= BM_DATA_PATH_SIZE || roots->count == ROOT_MAX) {
        return;
    }
    (void)snprintf(roots->paths[roots->count++], BM_DATA_PATH_SIZE, "%.*s%s", (int)length, path,
                   below);
}

static void add_variable(struct roots *roots, const char *name, const char *below) {
    const char *value = getenv(name);
    while (value != NULL && *value != '\0') {
        size_t length = strcspn(value, ":");
        add_root(roots, value, length, below);
        value += length;
        value += *value == ':';
    }
}

/* The data that came with the program, if any did. */
static void add_installed(struct roots *roots) {
    char path[BM_DATA_PATH_SIZE];
    if (bm_place_installed_data(path, sizeof path) && access(path, F_OK) == 0) {
        add_root(roots, path, strlen(path), "");
    }
}

int bm_data_home(char *folder, size_t capacity) {
    const char *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int length = 0;
    if (xdg != NULL && xdg[0] != '\0') {
        length = snprintf(folder, capacity, "%s/batchmark", xdg);
    } else if (home != NULL && home[0] != '\0') {
        length = snprintf(folder, capacity, "%s/.local/share/batchmark", home);
    }
    return length > 0 && (size_t)length < capacity;
}

static void find_roots(const char *data_dir, struct roots *roots) {
    char home[BM_DATA_PATH_SIZE];
    roots->count = 0;
    if (data_dir != NULL) {
        add_root(roots, data_dir, strlen(data_dir), "");
    }
    add_variable(roots, "BATCHMARK_DATA", "");
    if (bm_data_home(home, sizeof home)) {
        add_root(roots, home, strlen(home), "");
    }
    add_installed(roots);
    add_root(roots, DISTRIBUTION_FOLDER, strlen(DISTRIBUTION_FOLDER), "");
}

int bm_data_find_file(const char *folder, const char *file, char path[BM_DATA_PATH_SIZE]) {
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        int length = snprintf(path, BM_DATA_PATH_SIZE, "%s/%s%s", folder, file, endings[i]);
        if (length > 0 && length < BM_DATA_PATH_SIZE && access(path, F_OK) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A folder counts as soon as it has one of the files: what else it lacks is an error then. */
static int has_some_file(const char *folder, const struct bm_data_set *set) {
    char path[BM_DATA_PATH_SIZE];
    for (uint32_t i = 0; i < set->file_count; i++) {
        if (bm_data_find_file(folder, set->files[i], path)) {
            return 1;
        }
    }
    return 0;
}

/* Several data sets use the same file names: a folder that is called like another one is that other
 * one's. */
static int belongs_to_another(const char *folder, const struct bm_data_set *set) {
    const char *slash = strrchr(folder, '/');
    const struct bm_data_set *other = bm_data_set_find(slash == NULL ? folder : slash + 1);
    return other != NULL && other != set;
}

/* ROOT/<name>, ROOT/<other names of its folder>, ROOT itself. */
static int
search_root(const char *root, const struct bm_data_set *set, struct bm_data_location *location) {
    const char *below[5] = {set->name, set->folders[0], set->folders[1], set->folders[2], NULL};
    for (int i = 0; i < 4; i++) {
        if (below[i] == NULL) {
            continue;
        }
        int length = snprintf(location->folder, sizeof location->folder, "%s/%s", root, below[i]);
        if ((size_t)length < sizeof location->folder && has_some_file(location->folder, set)) {
            return 1;
        }
    }
    (void)snprintf(location->folder, sizeof location->folder, "%s", root);
    return !belongs_to_another(root, set) && has_some_file(root, set);
}

static int32_t
fail_search(const struct bm_data_set *set, const struct roots *roots, struct bm_error *error) {
    char searched[300] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < roots->count && used < sizeof searched; i++) {
        used += (size_t)snprintf(searched + used, sizeof searched - used, "%s%s",
                                 i == 0 ? "" : ", ", roots->paths[i]);
    }
    return bm_fail(error, BM_STATUS_INVALID, "%s: expected %s[.gz] in or below %s, found none (%s)",
                   set->name, set->files[0], searched, set->hint);
}

int32_t bm_data_locate(const struct bm_data_set *set,
                       const char *data_dir,
                       struct bm_data_location *location,
                       struct bm_error *error) {
    struct roots roots;
    uint32_t i = 0;
    find_roots(data_dir, &roots);
    while (i < roots.count && !search_root(roots.paths[i], set, location)) {
        i++;
    }
    if (i == roots.count) {
        location->folder[0] = '\0';
        return fail_search(set, &roots, error);
    }
    for (uint32_t f = 0; f < set->file_count; f++) {
        if (!bm_data_find_file(location->folder, set->files[f], location->paths[f])) {
            return bm_fail(error, BM_STATUS_INVALID, "%s: %s: expected %s or %s.gz, found neither",
                           set->name, location->folder, set->files[f], set->files[f]);
        }
    }
    return BM_STATUS_OK;
}
