#include "opened_file.h"

#include "error.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <link.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES 65536u
#define CHANGED "expected the file that was hashed when the command began, found "

static int64_t in_ns(const struct timespec *time) {
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

int32_t
bm_opened_file_note(int fd, const char *path, struct bm_opened_file *file, struct bm_error *error) {
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        int32_t status = bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: cannot read it", path);
        (void)close(fd);
        file->fd = -1;
        return status;
    }
    file->fd = fd;
    file->bytes = (uint64_t)facts.st_size;
    file->modified_ns = in_ns(&facts.st_mtim);
    file->changed_ns = in_ns(&facts.st_ctim);
    return BM_STATUS_OK;
}

void bm_opened_file_close(struct bm_opened_file *file) {
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    file->fd = -1;
}

/* ---- The same content ---- */

/* The time of the last change cannot be set; it is also that of a new name or mode. */
static int32_t
check_unchanged(const struct bm_opened_file *file, const char *path, struct bm_error *error) {
    struct stat facts;
    if (fstat(file->fd, &facts) != 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: cannot read it", path);
    }
    if ((uint64_t)facts.st_size != file->bytes || in_ns(&facts.st_mtim) != file->modified_ns ||
        in_ns(&facts.st_ctim) != file->changed_ns) {
        return bm_fail(error, BM_STATUS_INVALID, "%.300s: " CHANGED "it changed", path);
    }
    return BM_STATUS_OK;
}

int32_t bm_opened_file_digest(const struct bm_opened_file *file,
                              const char *path,
                              char hex[65],
                              struct bm_error *error) {
    unsigned char piece[PIECE_BYTES];
    SHA2_CTX digest;
    uint64_t done = 0;
    ssize_t count = 1;
    SHA256Init(&digest);
    while (count > 0 && (count = pread(file->fd, piece, sizeof piece, (off_t)done)) > 0) {
        SHA256Update(&digest, piece, (size_t)count);
        done += (uint64_t)count;
    }
    (void)SHA256End(&digest, hex);
    if (count < 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: cannot read it", path);
    }
    return check_unchanged(file, path, error);
}

/* ---- To the worker ---- */

json_t *bm_opened_file_json(const struct bm_opened_file *file) {
    return json_pack("{s:I, s:I, s:I}", "bytes", (json_int_t)file->bytes, "modified_ns",
                     (json_int_t)file->modified_ns, "changed_ns", (json_int_t)file->changed_ns);
}

int32_t bm_opened_file_parse(const json_t *object,
                             int fd,
                             struct bm_opened_file *file,
                             struct bm_error *error) {
    const json_t *bytes = json_object_get(object, "bytes");
    const json_t *modified = json_object_get(object, "modified_ns");
    const json_t *changed = json_object_get(object, "changed_ns");
    if (fd < 0 || !json_is_integer(bytes) || !json_is_integer(modified) ||
        !json_is_integer(changed)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "worker: expected the plugin's open file and its facts, found none");
    }
    file->fd = fd;
    file->bytes = (uint64_t)json_integer_value(bytes);
    file->modified_ns = json_integer_value(modified);
    file->changed_ns = json_integer_value(changed);
    return BM_STATUS_OK;
}

/* ---- The same file ---- */

int32_t
bm_opened_file_check(const struct bm_opened_file *file, const char *path, struct bm_error *error) {
    struct stat opened;
    struct stat named;
    if (fstat(file->fd, &opened) != 0 || stat(path, &named) != 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: no such plugin", path);
    }
    if (opened.st_dev != named.st_dev || opened.st_ino != named.st_ino) {
        return bm_fail(error, BM_STATUS_INVALID, "%.300s: " CHANGED "another one", path);
    }
    return check_unchanged(file, path, error);
}

/* Device and number of the file that is mapped at an address, as the system tells of mappings: some
 * file systems have other numbers for stat. */
static int find_mapped(const void *address, char *identity, size_t capacity) {
    char *line = NULL;
    size_t size = 0;
    int is_found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    identity[0] = '\0';
    while (maps != NULL && !is_found && getline(&line, &size, maps) > 0) {
        uintptr_t begin = 0;
        uintptr_t end = 0;
        char device[32];
        char number[32];
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %31s %31s", &begin, &end, device,
                   number) == 4 &&
            (uintptr_t)address >= begin && (uintptr_t)address < end) {
            is_found = snprintf(identity, capacity, "%s %s", device, number) > 0;
        }
    }
    free(line);
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return is_found;
}

/* The same of the file that is open. */
static int find_opened(int fd, char *identity, size_t capacity) {
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED) {
        return 0;
    }
    int is_found = find_mapped(page, identity, capacity);
    (void)munmap(page, bytes);
    return is_found;
}

int32_t bm_opened_file_check_loaded(const struct bm_opened_file *file,
                                    const char *path,
                                    void *handle,
                                    struct bm_error *error) {
    struct link_map *map = NULL;
    char opened[72];
    char loaded[72];
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 ||
        !find_mapped(map->l_ld, loaded, sizeof loaded) ||
        !find_opened(file->fd, opened, sizeof opened)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%.300s: cannot tell from /proc/self/maps whether it is the file that was "
                       "hashed",
                       path);
    }
    if (strcmp(opened, loaded) != 0) {
        return bm_fail(error, BM_STATUS_INVALID, "%.300s: " CHANGED "another one was loaded", path);
    }
    return check_unchanged(file, path, error);
}
