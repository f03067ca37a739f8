#include "place.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int bm_place_program(char *folder, size_t capacity) {
    ssize_t length = readlink("/proc/self/exe", folder, capacity - 1);
    if (length <= 0 || (size_t)length >= capacity - 1) {
        return 0;
    }
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        return 0;
    }
    *slash = '\0';
    return 1;
}

/* folder + "/" + tail in place; 0 if it does not fit. */
static int append(char *folder, size_t capacity, const char *tail) {
    size_t used = strlen(folder);
    int length = snprintf(folder + used, capacity - used, "/%s", tail);
    return length > 0 && (size_t)length < capacity - used;
}

static int has_cache(const char *folder) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/CMakeCache.txt", folder);
    return length > 0 && (size_t)length < sizeof path && access(path, R_OK) == 0;
}

int bm_place_build_tree(char *folder, size_t capacity) {
    if (!bm_place_program(folder, capacity)) {
        return 0;
    }
    if (has_cache(folder)) {
        return 1;
    }
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder) {
        return 0;
    }
    *slash = '\0';
    return has_cache(folder);
}

/* The value of a line KEY=VALUE of the cache, in place of the folder that holds it. */
static int read_cache(char *folder, size_t capacity, const char *key) {
    char line[4096];
    int length = snprintf(line, sizeof line, "%s/CMakeCache.txt", folder);
    FILE *cache = length > 0 && (size_t)length < sizeof line ? fopen(line, "re") : NULL;
    if (cache == NULL) {
        return 0;
    }
    int found = 0;
    while (!found && fgets(line, sizeof line, cache) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = strncmp(line, key, strlen(key)) == 0;
    }
    (void)fclose(cache);
    length = found ? snprintf(folder, capacity, "%s", line + strlen(key)) : 0;
    return length > 0 && (size_t)length < capacity;
}

int bm_place_source(char *folder, size_t capacity, const char *tail) {
    return bm_place_build_tree(folder, capacity) &&
           read_cache(folder, capacity, "CMAKE_HOME_DIRECTORY:INTERNAL=") &&
           append(folder, capacity, tail);
}

int bm_place_installed_plugins(char *folder, size_t capacity) {
    return bm_place_program(folder, capacity) && append(folder, capacity, BM_PLUGINS_FROM_PROGRAM);
}

int bm_place_installed_presets(char *folder, size_t capacity) {
    return bm_place_program(folder, capacity) && append(folder, capacity, BM_PRESETS_FROM_PROGRAM);
}

int bm_place_installed_data(char *folder, size_t capacity) {
    return bm_place_program(folder, capacity) && append(folder, capacity, BM_DATA_FROM_PROGRAM);
}

int bm_place_installed_template(char *folder, size_t capacity) {
    return bm_place_program(folder, capacity) && append(folder, capacity, BM_TEMPLATE_FROM_PROGRAM);
}

int bm_place_installed_report(char *folder, size_t capacity) {
    return bm_place_program(folder, capacity) && append(folder, capacity, BM_REPORT_FROM_PROGRAM);
}

int bm_place_prefix(char *folder, size_t capacity) {
    return bm_place_program(folder, capacity) && append(folder, capacity, BM_PREFIX_FROM_PROGRAM);
}

int bm_place_allocations(char *path, size_t capacity) {
    int known = bm_place_build_tree(path, capacity)
                    ? append(path, capacity, "libbatchmark_allocations.so")
                    : bm_place_installed_plugins(path, capacity) &&
                          append(path, capacity, "allocations/libbatchmark_allocations.so");
    return known && access(path, R_OK) == 0;
}

int bm_place_delay(char *path, size_t capacity) {
    int known = bm_place_build_tree(path, capacity)
                    ? append(path, capacity, "plugins/delay/bm_delay.so")
                    : bm_place_installed_plugins(path, capacity) &&
                          append(path, capacity, "delay/bm_delay.so");
    return known && access(path, R_OK) == 0;
}

static int same_stat(const char *a, const char *b) {
    struct stat first;
    struct stat second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* The last name of a path, in it; `folder` gets what it lies in. NULL if that does not fit. */
static const char *split(const char *path, char *folder, size_t capacity) {
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    int length = snprintf(folder, capacity, "%.*s.", (int)(name - path), path);
    return length > 0 && (size_t)length < capacity ? name : NULL;
}

int bm_place_same_file(const char *a, const char *b) {
    char folder_a[4096];
    char folder_b[4096];
    if (access(a, F_OK) == 0 || access(b, F_OK) == 0) {
        return same_stat(a, b);
    }
    const char *name_a = split(a, folder_a, sizeof folder_a);
    const char *name_b = split(b, folder_b, sizeof folder_b);
    return name_a != NULL && name_b != NULL && name_a[0] != '\0' && strcmp(name_a, name_b) == 0 &&
           same_stat(folder_a, folder_b);
}

int32_t bm_place_make_folders(const char *folder, struct bm_error *error) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", folder);
    for (char *c = path + 1;; c++) {
        char kept = *c;
        if (kept != '/' && kept != '\0') {
            continue;
        }
        *c = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot make this folder", path);
        }
        *c = kept;
        if (kept == '\0') {
            break;
        }
    }
    return BM_STATUS_OK;
}
