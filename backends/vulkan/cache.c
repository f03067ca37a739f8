/* The files of the cache: a header, then the data. */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x31454843414b5642) /* "BVKACHE1" */
#define BYTES_MAX (UINT64_C(256) << 20)
#define PATH_SIZE 1024u

/* Drivers trust what they are given, so a torn or altered file must not reach them. */
struct header {
    uint64_t magic;
    uint64_t bytes;
    uint64_t checksum;
};

/* FNV-1a, 64 bits: Fowler, Noll, Vo. */
static uint64_t checksum_of(const unsigned char *data, size_t bytes) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ data[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* $XDG_CACHE_HOME/batchmark, or ~/.cache/batchmark; 0 if neither is known or the path is too long.
 */
static int32_t folder_path(char path[PATH_SIZE]) {
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (cache != NULL && cache[0] == '/') {
        length = snprintf(path, PATH_SIZE, "%s/batchmark", cache);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(path, PATH_SIZE, "%s/.cache/batchmark", home);
    }
    return length > 0 && (size_t)length < PATH_SIZE;
}

/* Named after device and driver, whose identity the cache's own holds. */
static int32_t
file_path(const struct bm_vulkan_facts *facts, const char *what, char path[PATH_SIZE]) {
    if (!folder_path(path)) {
        return 0;
    }
    size_t used = strlen(path);
    if (used + 64 > PATH_SIZE) {
        return 0;
    }
    used += (size_t)snprintf(path + used, PATH_SIZE - used, "/vulkan-");
    for (uint32_t i = 0; i < VK_UUID_SIZE; i++) {
        used += (size_t)snprintf(path + used, PATH_SIZE - used, "%02x", facts->cache_uuid[i]);
    }
    (void)snprintf(path + used, PATH_SIZE - used, ".%s", what);
    return 1;
}

static void *read_checked(FILE *file, size_t *bytes) {
    struct header header;
    if (fread(&header, sizeof header, 1, file) != 1 || header.magic != MAGIC || header.bytes == 0 ||
        header.bytes > BYTES_MAX) {
        return NULL;
    }
    unsigned char *data = malloc(header.bytes);
    if (data != NULL && (fread(data, 1, header.bytes, file) != header.bytes ||
                         checksum_of(data, header.bytes) != header.checksum)) {
        free(data);
        data = NULL;
    }
    *bytes = data != NULL ? header.bytes : 0;
    return data;
}

void *bm_vulkan_load_cache(const struct bm_vulkan_facts *facts, const char *what, size_t *bytes) {
    char path[PATH_SIZE];
    *bytes = 0;
    if (!file_path(facts, what, path)) {
        return NULL;
    }
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return NULL;
    }
    void *data = read_checked(file, bytes);
    (void)fclose(file);
    return data;
}

/* With the folders above it. */
static void make_folder(const char folder[PATH_SIZE]) {
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s", folder);
    for (char *c = path + 1; *c != '\0'; c++) {
        if (*c == '/') {
            *c = '\0';
            (void)mkdir(path, 0700);
            *c = '/';
        }
    }
    (void)mkdir(path, 0700);
}

static int32_t write_all(int fd, const void *data, size_t bytes) {
    const unsigned char *next = data;
    while (bytes > 0) {
        ssize_t written = write(fd, next, bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return 0;
        }
        next += written;
        bytes -= (size_t)written;
    }
    return 1;
}

static int32_t write_file(int fd, const void *data, size_t bytes) {
    const struct header header = {MAGIC, bytes, checksum_of(data, bytes)};
    return write_all(fd, &header, sizeof header) && write_all(fd, data, bytes) && fsync(fd) == 0;
}

/* A file that has no name, so that a process killed while it writes leaves nothing behind, or,
 * where the file system has no such files, one named `temporary`, which ends in XXXXXX. */
static int open_temporary(const char *folder, char *temporary, int32_t *has_name) {
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    *has_name = fd < 0;
    if (fd >= 0) {
        (void)snprintf(temporary + strlen(temporary) - 6, 7, "%06u", (unsigned)getpid() % 1000000);
    }
    return fd >= 0 ? fd : mkostemp(temporary, O_CLOEXEC);
}

/* rename replaces what is there, and takes a name. */
static int32_t
put_in_place(int fd, int32_t has_name, const char *temporary, const char path[PATH_SIZE]) {
    char own[64];
    (void)snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    return (has_name || linkat(AT_FDCWD, own, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) == 0) &&
           rename(temporary, path) == 0;
}

void bm_vulkan_save_cache(const struct bm_vulkan_facts *facts,
                          const char *what,
                          const void *data,
                          size_t bytes) {
    char path[PATH_SIZE];
    char folder[PATH_SIZE];
    char temporary[PATH_SIZE + 8];
    int32_t has_name = 0;
    if (bytes == 0 || bytes > BYTES_MAX || !folder_path(folder) || !file_path(facts, what, path)) {
        return;
    }
    make_folder(folder);
    (void)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = open_temporary(folder, temporary, &has_name);
    if (fd < 0) {
        return;
    }
    if (!write_file(fd, data, bytes) || !put_in_place(fd, has_name, temporary, path)) {
        (void)unlink(temporary);
    }
    (void)close(fd);
}
