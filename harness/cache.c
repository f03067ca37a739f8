#include "cache.h"

#include "error.h"
#include "options.h"
#include "place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1 << 20)

int32_t bm_cache_path(const char *name, char *path, size_t capacity) {
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length = 0;
    if (cache != NULL && cache[0] == '/') {
        length = snprintf(path, capacity, "%s/batchmark/%s", cache, name);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(path, capacity, "%s/.cache/batchmark/%s", home, name);
    }
    return length > 0 && (size_t)length < capacity;
}

json_t *bm_cache_read(const char *path) {
    struct stat found;
    if (stat(path, &found) != 0 || !S_ISREG(found.st_mode) || found.st_size > FILE_BYTES_MAX) {
        return NULL;
    }
    return json_load_file(path, 0, NULL);
}

static int32_t make_folder_of(const char *path, struct bm_error *error) {
    char folder[BM_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return BM_STATUS_OK;
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return bm_place_make_folders(folder, error);
}

int32_t bm_cache_write(const char *path, const json_t *object, struct bm_error *error) {
    char temporary[BM_PATH_SIZE + 16];
    int32_t status = make_folder_of(path, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    (void)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot make this file", temporary);
    }
    int written = json_dumpfd(object, fd, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if ((close(fd) != 0) | (written != 0) || rename(temporary, path) != 0) {
        status = bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot write it", path);
        (void)unlink(temporary);
    }
    return status;
}
