/* One file of a data set, plain or gzip'd, read forwards and refused with its offset. */
#include "data_source.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deflate cannot pack more than 1032 bytes into one. */
#define DEFLATE_RATIO_MAX UINT64_C(1032)

static uint64_t stored_offset(const struct bm_data_file *file) {
    off_t at = lseek(file->fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at - file->stream.avail_in;
}

/* Fills the chunk when it is used up; avail_in 0 afterwards means the end of the file. */
static int32_t refill(struct bm_data_file *file, struct bm_error *error) {
    if (file->stream.avail_in > 0) {
        return BM_STATUS_OK;
    }
    ssize_t count = 0;
    do {
        count = read(file->fd, file->chunk, sizeof file->chunk);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: expected a readable file", file->path);
    }
    SHA256Update(&file->digest, file->chunk, (size_t)count);
    file->stream.next_in = file->chunk;
    file->stream.avail_in = (uInt)count;
    return BM_STATUS_OK;
}

static int32_t open_regular(struct bm_data_file *file, struct bm_error *error) {
    struct stat info;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &info) != 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: expected a readable file", file->path);
    }
    if (!S_ISREG(info.st_mode)) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a regular file, found another kind",
                       file->path);
    }
    file->stored_bytes = (uint64_t)info.st_size;
    return BM_STATUS_OK;
}

int32_t bm_data_file_open(const char *path, struct bm_data_file *file, struct bm_error *error) {
    memset(file, 0, sizeof *file);
    file->fd = -1;
    if (strlen(path) >= sizeof file->path) {
        return bm_fail(error, BM_STATUS_INVALID, "%.64s...: expected a path of at most %d bytes",
                       path, BM_DATA_PATH_SIZE - 1);
    }
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    SHA256Init(&file->digest);
    int32_t status = open_regular(file, error);
    if (status == BM_STATUS_OK) {
        status = refill(file, error);
    }
    if (status == BM_STATUS_OK && file->stream.avail_in >= 2 && file->chunk[0] == 0x1f &&
        file->chunk[1] == 0x8b) {
        file->is_gzip = 1;
        if (inflateInit2(&file->stream, 16 + MAX_WBITS) != Z_OK) {
            file->is_gzip = 0;
            status = bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory to unpack it", path);
        }
    }
    if (status != BM_STATUS_OK) {
        bm_data_file_close(file);
    }
    return status;
}

void bm_data_file_close(struct bm_data_file *file) {
    if (file->is_gzip) {
        (void)inflateEnd(&file->stream);
    }
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    file->fd = -1;
    file->is_gzip = 0;
}

/* ---- Content ---- */

static int32_t some_plain(struct bm_data_file *file,
                          uint8_t *bytes,
                          uint64_t capacity,
                          uint64_t *count,
                          struct bm_error *error) {
    int32_t status = refill(file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    *count = capacity < file->stream.avail_in ? capacity : file->stream.avail_in;
    memcpy(bytes, file->stream.next_in, (size_t)*count);
    file->stream.next_in += *count;
    file->stream.avail_in -= (uInt)*count;
    return BM_STATUS_OK;
}

static int32_t
fail_gzip(const struct bm_data_file *file, const char *found, struct bm_error *error) {
    return bm_fail(error, BM_STATUS_INVALID,
                   "%s: stored offset %" PRIu64 ": expected a whole gzip stream, found %s",
                   file->path, stored_offset(file), found);
}

static int32_t some_gzip(struct bm_data_file *file,
                         uint8_t *bytes,
                         uint64_t capacity,
                         uint64_t *count,
                         struct bm_error *error) {
    uInt room = capacity < (1u << 30) ? (uInt)capacity : 1u << 30;
    file->stream.next_out = bytes;
    file->stream.avail_out = room;
    while (!file->has_ended && file->stream.avail_out == room) {
        int32_t status = refill(file, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        if (file->stream.avail_in == 0) {
            return fail_gzip(file, "its end too early (truncated)", error);
        }
        int answer = inflate(&file->stream, Z_NO_FLUSH);
        if (answer != Z_OK && answer != Z_STREAM_END) {
            return fail_gzip(file, file->stream.msg != NULL ? file->stream.msg : "damage", error);
        }
        file->has_ended = answer == Z_STREAM_END;
    }
    *count = room - file->stream.avail_out;
    return BM_STATUS_OK;
}

/* Up to `capacity` bytes of content; *count 0 at its end. */
static int32_t read_some(struct bm_data_file *file,
                         uint8_t *bytes,
                         uint64_t capacity,
                         uint64_t *count,
                         struct bm_error *error) {
    *count = 0;
    if (capacity == 0) {
        return BM_STATUS_OK;
    }
    int32_t status = file->is_gzip ? some_gzip(file, bytes, capacity, count, error)
                                   : some_plain(file, bytes, capacity, count, error);
    file->offset += *count;
    return status;
}

int32_t bm_data_file_read(struct bm_data_file *file,
                          void *bytes,
                          uint64_t count,
                          const char *what,
                          struct bm_error *error) {
    uint64_t start = file->offset;
    for (uint64_t done = 0; done < count;) {
        uint64_t found = 0;
        int32_t status = read_some(file, (uint8_t *)bytes + done, count - done, &found, error);
        if (status != BM_STATUS_OK) {
            return status;
        }
        if (found == 0) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "%s: offset %" PRIu64 ": truncated: expected %" PRIu64
                           " bytes of %s, found %" PRIu64,
                           file->path, start, count, what, done);
        }
        done += found;
    }
    return BM_STATUS_OK;
}

int32_t bm_data_file_expect(const struct bm_data_file *file,
                            uint64_t content_bytes,
                            struct bm_error *error) {
    if (file->is_gzip ? content_bytes / DEFLATE_RATIO_MAX <= file->stored_bytes
                      : content_bytes == file->stored_bytes) {
        return BM_STATUS_OK;
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "%s: %s: expected %" PRIu64 " bytes of content, found "
                   "%" PRIu64 " bytes%s",
                   file->path, content_bytes > file->stored_bytes ? "truncated" : "oversized",
                   content_bytes, file->stored_bytes, file->is_gzip ? " of gzip" : "");
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

int32_t bm_data_file_finish(struct bm_data_file *file,
                            struct bm_data_source *source,
                            struct bm_error *error) {
    uint8_t extra = 0;
    uint64_t end = file->offset;
    uint64_t found = 0;
    int32_t status = read_some(file, &extra, 1, &found, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (found != 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: offset %" PRIu64 ": oversized: expected the end, found more bytes",
                       file->path, end);
    }
    status = refill(file, error); /* what is stored behind a gzip stream */
    if (status == BM_STATUS_OK && file->stream.avail_in > 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: stored offset %" PRIu64 ": oversized: expected the end after the gzip "
                       "stream, found more bytes",
                       file->path, stored_offset(file));
    }
    (void)snprintf(source->file, sizeof source->file, "%.63s", base_name(file->path));
    (void)SHA256End(&file->digest, source->sha256);
    return status;
}

static int32_t digest_content(struct bm_data_file *file, SHA2_CTX *digest, struct bm_error *error) {
    static const uint64_t piece = BM_DATA_CHUNK;
    uint8_t bytes[BM_DATA_CHUNK];
    struct bm_data_source source;
    for (;;) {
        uint64_t count = 0;
        int32_t status = read_some(file, bytes, piece, &count, error);
        if (status != BM_STATUS_OK || count == 0) {
            return status != BM_STATUS_OK ? status : bm_data_file_finish(file, &source, error);
        }
        SHA256Update(digest, bytes, (size_t)count);
    }
}

int32_t bm_data_content_digest(const char *path, char sha256[65], struct bm_error *error) {
    struct bm_data_file file;
    SHA2_CTX digest;
    int32_t status = bm_data_file_open(path, &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    SHA256Init(&digest);
    status = digest_content(&file, &digest, error);
    (void)SHA256End(&digest, sha256);
    bm_data_file_close(&file);
    return status;
}
