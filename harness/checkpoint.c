#include "checkpoint.h"

#include "error.h"
#include "part_file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const unsigned char magic[8] = {0x89, 'B', 'M', 'C', 'K', 'P', 'T', '\n'};

#define PARTIAL ".partial"
#define VERSION_OFFSET 8u
#define LENGTH_OFFSET 12u
#define HEADER_OFFSET 16u
#define CRC_BYTES 4u
#define CHUNK_FLOATS 16384u

/* A file on its way in or out. */
struct stream {
    const char *path; /* as the user knows it */
    int fd;
    uint64_t size;   /* of a file that is read */
    uint64_t offset; /* of a file that is read */
    uint32_t crc;    /* of all bytes so far */
};

/* ---- Fields of the header ---- */

#define TEXT(field)                                                                                \
    { #field, offsetof(struct bm_checkpoint, field), sizeof((struct bm_checkpoint *)0)->field }

static const struct text_field {
    const char *name;
    size_t offset;
    size_t size;
} text_fields[] = {TEXT(backend),   TEXT(model),     TEXT(layers),  TEXT(dataset),
                   TEXT(optimizer), TEXT(precision), TEXT(schedule)};

#define NUMBER(field, low, high)                                                                   \
    { #field, offsetof(struct bm_checkpoint, field), low, high }

/* The seed's upper half is written as negative numbers: JSON of Jansson has 64 bits with a sign. */
static const struct number_field {
    const char *name;
    size_t offset;
    json_int_t low;
    json_int_t high;
} number_fields[] = {NUMBER(seed, INT64_MIN, INT64_MAX),
                     NUMBER(batch, 1, INT64_MAX),
                     NUMBER(micro_batch, 0, INT64_MAX),
                     NUMBER(threads, 1, INT64_MAX),
                     NUMBER(epoch, 0, INT64_MAX),
                     NUMBER(first, 0, INT64_MAX),
                     NUMBER(update, 1, INT64_MAX),
                     NUMBER(train_count, 0, INT64_MAX),
                     NUMBER(validation_count, 0, INT64_MAX),
                     NUMBER(param_count, 1, INT64_MAX),
                     NUMBER(slot_count, 0, BM_STATE_SLOT_MAX),
                     NUMBER(statistics_count, 0, INT64_MAX)};

#define TEXT_FIELDS (sizeof text_fields / sizeof text_fields[0])
#define NUMBER_FIELDS (sizeof number_fields / sizeof number_fields[0])

static int32_t bad_field(const char *path,
                         const char *field,
                         const char *expected,
                         const json_t *value,
                         struct bm_error *error) {
    char *found = value == NULL
                      ? NULL
                      : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    (void)bm_fail(error, BM_STATUS_INVALID, "%s: offset %u: header: %s: expected %s, found %.100s",
                  path, HEADER_OFFSET, field, expected, found == NULL ? "none" : found);
    free(found);
    return BM_STATUS_INVALID;
}

/* Control characters would reach the terminal of whoever prints the text. */
static int is_plain(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return 0;
        }
    }
    return 1;
}

static int32_t get_text(const char *path,
                        const json_t *header,
                        const struct text_field *field,
                        struct bm_checkpoint *checkpoint,
                        struct bm_error *error) {
    const json_t *value = json_object_get(header, field->name);
    size_t length = json_string_length(value);
    if (!json_is_string(value) || length >= field->size ||
        !is_plain(json_string_value(value), length)) {
        char expected[96];
        (void)snprintf(expected, sizeof expected,
                       "UTF-8 text of at most %zu bytes without control characters",
                       field->size - 1);
        return bad_field(path, field->name, expected, value, error);
    }
    memcpy((char *)checkpoint + field->offset, json_string_value(value), length + 1);
    return BM_STATUS_OK;
}

static int32_t get_number(const char *path,
                          const json_t *header,
                          const struct number_field *field,
                          struct bm_checkpoint *checkpoint,
                          struct bm_error *error) {
    const json_t *value = json_object_get(header, field->name);
    json_int_t found = json_integer_value(value);
    if (!json_is_integer(value) || found < field->low || found > field->high) {
        char expected[96];
        (void)snprintf(expected, sizeof expected,
                       "an integer from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
                       field->low, field->high);
        return bad_field(path, field->name, expected, value, error);
    }
    uint64_t number = (uint64_t)found;
    memcpy((char *)checkpoint + field->offset, &number, sizeof number);
    return BM_STATUS_OK;
}

static int32_t get_fields(const char *path,
                          const json_t *header,
                          struct bm_checkpoint *checkpoint,
                          struct bm_error *error) {
    const json_t *seconds = json_object_get(header, "seconds");
    json_t *details = json_object_get(header, "details");
    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; i < TEXT_FIELDS && status == BM_STATUS_OK; i++) {
        status = get_text(path, header, &text_fields[i], checkpoint, error);
    }
    for (size_t i = 0; i < NUMBER_FIELDS && status == BM_STATUS_OK; i++) {
        status = get_number(path, header, &number_fields[i], checkpoint, error);
    }
    if (status == BM_STATUS_OK && !(json_is_number(seconds) && json_number_value(seconds) >= 0)) {
        status = bad_field(path, "seconds", "a number of at least 0", seconds, error);
    }
    if (status == BM_STATUS_OK && !json_is_object(details)) {
        status = bad_field(path, "details", "an object", details, error);
    }
    if (status == BM_STATUS_OK) {
        checkpoint->seconds = json_number_value(seconds);
        checkpoint->details = json_incref(details);
    }
    return status;
}

/* Jansson quotes what it could not read: as printable text it stays one line. */
static int32_t not_json(const char *path, json_error_t *json_error, struct bm_error *error) {
    for (char *c = json_error->text; *c != '\0'; c++) {
        if (!is_plain(c, 1)) {
            *c = '?';
        }
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "%s: offset %" PRIu64 ": header: expected a JSON object, found %.160s", path,
                   HEADER_OFFSET + (uint64_t)(json_error->position > 0 ? json_error->position : 0),
                   json_error->text);
}

/* The fields of the header; on failure no details are left. NUL bytes are let through to be refused
 * in texts, and kept in details. */
static int32_t parse_header(const char *path,
                            const char *text,
                            size_t length,
                            struct bm_checkpoint *checkpoint,
                            struct bm_error *error) {
    json_error_t json_error;
    json_t *header = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &json_error);
    if (header != NULL) {
        (void)snprintf(json_error.text, sizeof json_error.text, "another value");
        json_error.position = 0;
    }
    int32_t status = json_is_object(header) ? get_fields(path, header, checkpoint, error)
                                            : not_json(path, &json_error, error);
    json_decref(header);
    return status;
}

static json_t *make_header(const struct bm_checkpoint *checkpoint) {
    json_t *header = json_object();
    for (size_t i = 0; i < TEXT_FIELDS; i++) {
        const char *text = (const char *)checkpoint + text_fields[i].offset;
        BM_ASSERT(memchr(text, '\0', text_fields[i].size) != NULL);
        (void)json_object_set_new(header, text_fields[i].name, json_string(text));
    }
    for (size_t i = 0; i < NUMBER_FIELDS; i++) {
        uint64_t number;
        memcpy(&number, (const char *)checkpoint + number_fields[i].offset, sizeof number);
        (void)json_object_set_new(header, number_fields[i].name, json_integer((json_int_t)number));
    }
    (void)json_object_set_new(header, "seconds", json_real(checkpoint->seconds));
    (void)json_object_set_new(header, "details",
                              checkpoint->details == NULL ? json_object()
                                                          : json_incref(checkpoint->details));
    return header;
}

/* The header's text, the caller's, which has been read once as bm_checkpoint_read will. A value
 * that JSON does not have is missing in it. */
static int32_t format_header(const char *path,
                             const struct bm_checkpoint *checkpoint,
                             char **text,
                             struct bm_error *error) {
    struct bm_checkpoint again = {0};
    json_t *header = make_header(checkpoint);
    *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (*text == NULL) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: details: expected what JSON can hold", path);
    }
    size_t length = strlen(*text);
    int32_t status =
        length > BM_CHECKPOINT_HEADER_MAX
            ? bm_fail(error, BM_STATUS_INVALID, "%s: header: expected at most %u bytes, found %zu",
                      path, BM_CHECKPOINT_HEADER_MAX, length)
            : parse_header(path, *text, length, &again, error);
    json_decref(again.details);
    if (status != BM_STATUS_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

/* ---- Arrays ---- */

static void free_arrays(struct bm_checkpoint *checkpoint) {
    free(checkpoint->params);
    free(checkpoint->statistics);
    checkpoint->params = NULL;
    checkpoint->statistics = NULL;
    for (uint32_t i = 0; i < BM_STATE_SLOT_MAX; i++) {
        free(checkpoint->slot[i]);
        checkpoint->slot[i] = NULL;
    }
}

/* Those that the counts ask for, where there are none. */
static int32_t
allocate_arrays(struct bm_checkpoint *checkpoint, const char *what, struct bm_error *error) {
    int failed = 0;
    checkpoint->params = malloc(checkpoint->param_count * sizeof(float));
    failed |= checkpoint->params == NULL;
    for (uint64_t i = 0; i < checkpoint->slot_count; i++) {
        checkpoint->slot[i] = malloc(checkpoint->param_count * sizeof(float));
        failed |= checkpoint->slot[i] == NULL;
    }
    if (checkpoint->statistics_count > 0) {
        checkpoint->statistics = malloc(checkpoint->statistics_count * sizeof(float));
        failed |= checkpoint->statistics == NULL;
    }
    if (failed) {
        free_arrays(checkpoint);
        return bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory for its %" PRIu64 " parameters",
                       what, checkpoint->param_count);
    }
    return BM_STATUS_OK;
}

void bm_checkpoint_free(struct bm_checkpoint *checkpoint) {
    if (checkpoint != NULL) {
        free_arrays(checkpoint);
        json_decref(checkpoint->details);
        memset(checkpoint, 0, sizeof *checkpoint);
    }
}

/* What is done with one array of a file. */
typedef int32_t
each_array(struct stream *stream, float *values, uint64_t count, struct bm_error *error);

static int32_t for_each_array(const struct bm_checkpoint *checkpoint,
                              struct stream *stream,
                              each_array *each,
                              struct bm_error *error) {
    int32_t status = each(stream, checkpoint->params, checkpoint->param_count, error);
    for (uint64_t i = 0; i < checkpoint->slot_count && status == BM_STATUS_OK; i++) {
        status = each(stream, checkpoint->slot[i], checkpoint->param_count, error);
    }
    return status == BM_STATUS_OK && checkpoint->statistics_count > 0
               ? each(stream, checkpoint->statistics, checkpoint->statistics_count, error)
               : status;
}

/* ---- Writing ---- */

static int32_t cannot_write(const char *path, struct bm_error *error) {
    return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", path);
}

static int32_t put(struct stream *stream, const void *bytes, size_t count, struct bm_error *error) {
    const unsigned char *next = bytes;
    stream->crc = (uint32_t)crc32_z(stream->crc, bytes, count);
    while (count > 0) {
        ssize_t written = write(stream->fd, next, count);
        if (written < 0 && errno != EINTR) {
            return cannot_write(stream->path, error);
        }
        next += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0;
    }
    return BM_STATUS_OK;
}

static int32_t put_word(struct stream *stream, uint32_t word, struct bm_error *error) {
    word = htole32(word);
    return put(stream, &word, sizeof word, error);
}

static int32_t
put_floats(struct stream *stream, float *values, uint64_t count, struct bm_error *error) {
    uint32_t words[CHUNK_FLOATS];
    int32_t status = BM_STATUS_OK;
    for (uint64_t done = 0; done < count && status == BM_STATUS_OK; done += CHUNK_FLOATS) {
        size_t part = count - done < CHUNK_FLOATS ? (size_t)(count - done) : CHUNK_FLOATS;
        memcpy(words, values + done, part * sizeof *words);
        for (size_t i = 0; i < part; i++) {
            words[i] = htole32(words[i]);
        }
        status = put(stream, words, part * sizeof *words, error);
    }
    return status;
}

static int32_t put_all(struct stream *stream,
                       const struct bm_checkpoint *checkpoint,
                       const char *header,
                       struct bm_error *error) {
    uint32_t length = (uint32_t)strlen(header);
    int32_t status = put(stream, magic, sizeof magic, error);
    if (status == BM_STATUS_OK) {
        status = put_word(stream, BM_CHECKPOINT_VERSION, error);
    }
    if (status == BM_STATUS_OK) {
        status = put_word(stream, length, error);
    }
    if (status == BM_STATUS_OK) {
        status = put(stream, header, length, error);
    }
    if (status == BM_STATUS_OK) {
        status = for_each_array(checkpoint, stream, put_floats, error);
    }
    return status == BM_STATUS_OK ? put_word(stream, stream->crc, error) : status;
}

static int32_t open_partial(struct stream *stream, const char *partial, struct bm_error *error) {
    int32_t status = bm_part_file_open(partial, &stream->fd, error);
    if (status == BM_STATUS_OK && ftruncate(stream->fd, 0) != 0) {
        status = cannot_write(partial, error);
        (void)close(stream->fd);
    }
    return status;
}

/* A file system that knows no sync of folders answers EINVAL. */
static int32_t sync_folder(const char *path, struct bm_error *error) {
    char folder[BM_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    int length = slash == NULL || slash == path ? 1 : (int)(slash - path);
    (void)snprintf(folder, sizeof folder, "%.*s", length, slash == NULL ? "." : path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int32_t status = BM_STATUS_OK;
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot sync the folder of %s",
                               folder, path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

static void assert_arrays(const struct bm_checkpoint *checkpoint) {
    BM_ASSERT(checkpoint->params != NULL);
    BM_ASSERT((checkpoint->statistics != NULL) == (checkpoint->statistics_count > 0));
    for (uint64_t i = 0; i < checkpoint->slot_count; i++) {
        BM_ASSERT(checkpoint->slot[i] != NULL);
    }
}

/* The lock is kept until the file has its name. */
static int32_t replace(const char *path,
                       const struct bm_checkpoint *checkpoint,
                       const char *header,
                       struct bm_error *error) {
    char partial[BM_PATH_SIZE];
    struct stream stream = {.path = path, .crc = (uint32_t)crc32(0, NULL, 0)};
    (void)snprintf(partial, sizeof partial, "%s" PARTIAL, path);
    int32_t status = open_partial(&stream, partial, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = put_all(&stream, checkpoint, header, error);
    if (status == BM_STATUS_OK && (fsync(stream.fd) != 0 || rename(partial, path) != 0)) {
        status = cannot_write(path, error);
    }
    if (status != BM_STATUS_OK) {
        (void)unlink(partial);
    }
    (void)close(stream.fd);
    return status == BM_STATUS_OK ? sync_folder(path, error) : status;
}

int32_t bm_checkpoint_write(const char *path,
                            const struct bm_checkpoint *checkpoint,
                            struct bm_error *error) {
    struct stat found;
    char *header = NULL;
    if (strlen(path) + sizeof PARTIAL > BM_PATH_SIZE) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "checkpoint: expected a path of at most %zu bytes, found %zu: %.64s...",
                       BM_PATH_SIZE - sizeof PARTIAL, strlen(path), path);
    }
    if (stat(path, &found) == 0 && !S_ISREG(found.st_mode)) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a plain file", path);
    }
    int32_t status = format_header(path, checkpoint, &header, error);
    if (status == BM_STATUS_OK) {
        assert_arrays(checkpoint);
        status = replace(path, checkpoint, header, error);
    }
    free(header);
    return status;
}

/* ---- Reading ---- */

static int32_t get(struct stream *stream, void *bytes, size_t count, struct bm_error *error) {
    unsigned char *next = bytes;
    for (size_t left = count; left > 0;) {
        ssize_t found = read(stream->fd, next, left);
        if (found < 0 && errno != EINTR) {
            return bm_fail_errno(error, BM_STATUS_INVALID, "%s: offset %" PRIu64 ": cannot read it",
                                 stream->path, stream->offset);
        }
        if (found == 0) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "%s: offset %" PRIu64 ": expected %zu more bytes, found the file's end",
                           stream->path, stream->offset, left);
        }
        next += found > 0 ? found : 0;
        left -= found > 0 ? (size_t)found : 0;
        stream->offset += found > 0 ? (uint64_t)found : 0;
    }
    stream->crc = (uint32_t)crc32_z(stream->crc, bytes, count);
    return BM_STATUS_OK;
}

static int32_t get_word(struct stream *stream, uint32_t *word, struct bm_error *error) {
    int32_t status = get(stream, word, sizeof *word, error);
    *word = le32toh(*word);
    return status;
}

static int32_t
get_floats(struct stream *stream, float *values, uint64_t count, struct bm_error *error) {
    int32_t status = get(stream, values, count * sizeof *values, error);
    for (uint64_t i = 0; i < count && status == BM_STATUS_OK; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof word);
        word = le32toh(word);
        memcpy(&values[i], &word, sizeof word);
    }
    return status;
}

static int32_t get_magic(struct stream *stream, struct bm_error *error) {
    unsigned char found[sizeof magic];
    int32_t status = get(stream, found, sizeof found, error);
    if (status == BM_STATUS_OK && memcmp(found, magic, sizeof magic) != 0) {
        char text[2 * sizeof found + 1];
        for (size_t i = 0; i < sizeof found; i++) {
            (void)snprintf(text + 2 * i, 3, "%02x", found[i]);
        }
        status = bm_fail(error, BM_STATUS_INVALID,
                         "%s: offset 0: expected the magic of a checkpoint, 89424d434b50540a, "
                         "found %s",
                         stream->path, text);
    }
    return status;
}

static int32_t get_version(struct stream *stream, struct bm_error *error) {
    uint32_t version = 0;
    int32_t status = get_word(stream, &version, error);
    return status != BM_STATUS_OK || version == BM_CHECKPOINT_VERSION
               ? status
               : bm_fail(error, BM_STATUS_INVALID,
                         "%s: offset %u: expected version %u of the format, found %u", stream->path,
                         VERSION_OFFSET, BM_CHECKPOINT_VERSION, version);
}

/* OK only if the file has room for a header of that length. */
static int32_t get_length(struct stream *stream, uint32_t *length, struct bm_error *error) {
    int32_t status = get_word(stream, length, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    uint64_t rest = HEADER_OFFSET + CRC_BYTES;
    uint64_t most = stream->size < rest ? 0 : stream->size - rest;
    most = most < BM_CHECKPOINT_HEADER_MAX ? most : BM_CHECKPOINT_HEADER_MAX;
    return *length <= most ? BM_STATUS_OK
                           : bm_fail(error, BM_STATUS_INVALID,
                                     "%s: offset %u: expected a header of at most %" PRIu64
                                     " bytes in a file of %" PRIu64 ", found %u",
                                     stream->path, LENGTH_OFFSET, most, stream->size, *length);
}

static int32_t
get_header(struct stream *stream, struct bm_checkpoint *checkpoint, struct bm_error *error) {
    uint32_t length = 0;
    int32_t status = get_length(stream, &length, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    char *text = malloc((size_t)length + 1);
    if (text == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory for its header", stream->path);
    }
    status = get(stream, text, length, error);
    if (status == BM_STATUS_OK) {
        status = parse_header(stream->path, text, length, checkpoint, error);
    }
    free(text);
    return status;
}

/* With param_count at most the number of floats, below 2^61, and statistics_count below 2^63 the
 * sum cannot overflow. */
static int32_t check_counts(const struct stream *stream,
                            const struct bm_checkpoint *checkpoint,
                            struct bm_error *error) {
    uint64_t bytes = stream->size - stream->offset - CRC_BYTES;
    uint64_t floats = bytes / sizeof(float);
    if (bytes % sizeof(float) == 0 && checkpoint->param_count <= floats &&
        checkpoint->param_count * (1 + checkpoint->slot_count) + checkpoint->statistics_count ==
            floats) {
        return BM_STATUS_OK;
    }
    return bm_fail(error, BM_STATUS_INVALID,
                   "%s: offset %" PRIu64 ": expected %" PRIu64 " parameters, as many in %" PRIu64
                   " slots, %" PRIu64 " statistics, of 4 bytes each, found %" PRIu64 " bytes",
                   stream->path, stream->offset, checkpoint->param_count, checkpoint->slot_count,
                   checkpoint->statistics_count, bytes);
}

static int32_t get_crc(struct stream *stream, struct bm_error *error) {
    uint32_t expected = stream->crc;
    uint64_t offset = stream->offset;
    uint32_t found = 0;
    int32_t status = get_word(stream, &found, error);
    return status != BM_STATUS_OK || found == expected
               ? status
               : bm_fail(error, BM_STATUS_INVALID,
                         "%s: offset %" PRIu64 ": expected CRC-32 %08x, as its content has, found "
                         "%08x: it is damaged",
                         stream->path, offset, expected, found);
}

static int32_t
get_all(struct stream *stream, struct bm_checkpoint *checkpoint, struct bm_error *error) {
    int32_t status = get_magic(stream, error);
    if (status == BM_STATUS_OK) {
        status = get_version(stream, error);
    }
    if (status == BM_STATUS_OK) {
        status = get_header(stream, checkpoint, error);
    }
    if (status == BM_STATUS_OK) {
        status = check_counts(stream, checkpoint, error);
    }
    if (status == BM_STATUS_OK) {
        status = allocate_arrays(checkpoint, stream->path, error);
    }
    if (status == BM_STATUS_OK) {
        status = for_each_array(checkpoint, stream, get_floats, error);
    }
    return status == BM_STATUS_OK ? get_crc(stream, error) : status;
}

/* Without O_NONBLOCK a pipe in the file's place would be waited for. */
int32_t
bm_checkpoint_read(const char *path, struct bm_checkpoint *checkpoint, struct bm_error *error) {
    struct stat found;
    struct stream stream = {.path = path, .crc = (uint32_t)crc32(0, NULL, 0)};
    int32_t status = BM_STATUS_OK;
    memset(checkpoint, 0, sizeof *checkpoint);
    stream.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (stream.fd < 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", path);
    }
    if (fstat(stream.fd, &found) != 0 || !S_ISREG(found.st_mode)) {
        status = bm_fail(error, BM_STATUS_INVALID, "%s: expected a plain file", path);
    } else {
        stream.size = (uint64_t)found.st_size;
        status = get_all(&stream, checkpoint, error);
    }
    (void)close(stream.fd);
    if (status != BM_STATUS_OK) {
        bm_checkpoint_free(checkpoint);
    }
    return status;
}

/* ---- Sessions ---- */

static int32_t
check_has_call(const struct bm_bench *bench, int has, const char *call, struct bm_error *error) {
    return has || (bench->slot_count == 0 && bench->statistics_count == 0)
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_UNSUPPORTED,
                         "checkpoint: expected a plugin with %s, for %u slots of %s and %" PRIu64
                         " running statistics, found none in %s",
                         call, bench->slot_count, bm_optimizer_names[bench->problem.optimizer],
                         bench->statistics_count, bench->plugin->name);
}

static int32_t
fit_arrays(const struct bm_bench *bench, struct bm_checkpoint *checkpoint, struct bm_error *error) {
    if (checkpoint->params != NULL && checkpoint->param_count == bench->param_count &&
        checkpoint->slot_count == bench->slot_count &&
        checkpoint->statistics_count == bench->statistics_count) {
        return BM_STATUS_OK;
    }
    free_arrays(checkpoint);
    checkpoint->param_count = bench->param_count;
    checkpoint->slot_count = bench->slot_count;
    checkpoint->statistics_count = bench->statistics_count;
    return allocate_arrays(checkpoint, "checkpoint", error);
}

int32_t bm_checkpoint_take(struct bm_bench *bench,
                           struct bm_checkpoint *checkpoint,
                           struct bm_error *error) {
    int32_t status = check_has_call(bench, bench->plugin->read_state != NULL, "read_state", error);
    if (status == BM_STATUS_OK) {
        status = fit_arrays(bench, checkpoint, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_read_params(bench, checkpoint->params, error);
    }
    for (uint32_t i = 0; i < bench->slot_count && status == BM_STATUS_OK; i++) {
        status = bm_bench_read_state(bench, i, checkpoint->slot[i], checkpoint->param_count, error);
    }
    if (status == BM_STATUS_OK && checkpoint->statistics_count > 0) {
        status = bm_bench_read_state(bench, BM_STATE_STATISTICS, checkpoint->statistics,
                                     checkpoint->statistics_count, error);
    }
    if (status == BM_STATUS_OK) {
        checkpoint->first = bench->first;
        checkpoint->update = bench->update;
    }
    return status;
}

static int32_t
check_count(const char *what, uint64_t expected, uint64_t found, struct bm_error *error) {
    return found == expected ? BM_STATUS_OK
                             : bm_fail(error, BM_STATUS_INVALID,
                                       "checkpoint: expected %" PRIu64 " %s, found %" PRIu64,
                                       expected, what, found);
}

static int32_t check_fits(const struct bm_checkpoint *checkpoint,
                          const struct bm_bench *bench,
                          struct bm_error *error) {
    int32_t status = check_count("parameters", bench->param_count, checkpoint->param_count, error);
    if (status == BM_STATUS_OK) {
        status =
            check_count("slots of the optimizer", bench->slot_count, checkpoint->slot_count, error);
    }
    if (status == BM_STATUS_OK) {
        status = check_count("running statistics", bench->statistics_count,
                             checkpoint->statistics_count, error);
    }
    if (status == BM_STATUS_OK && checkpoint->first > bench->order_count) {
        status = bm_fail(error, BM_STATUS_INVALID,
                         "checkpoint: expected a position in an order of %" PRIu64
                         " images, found %" PRIu64,
                         bench->order_count, checkpoint->first);
    }
    return status;
}

int32_t bm_checkpoint_give(const struct bm_checkpoint *checkpoint,
                           struct bm_bench *bench,
                           struct bm_error *error) {
    int32_t status = check_fits(checkpoint, bench, error);
    if (status == BM_STATUS_OK) {
        status = check_has_call(bench, bench->plugin->write_state != NULL, "write_state", error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_bench_write_params(bench, checkpoint->params, error);
    }
    for (uint32_t i = 0; i < bench->slot_count && status == BM_STATUS_OK; i++) {
        status =
            bm_bench_write_state(bench, i, checkpoint->slot[i], checkpoint->param_count, error);
    }
    if (status == BM_STATUS_OK && checkpoint->statistics_count > 0) {
        status = bm_bench_write_state(bench, BM_STATE_STATISTICS, checkpoint->statistics,
                                      checkpoint->statistics_count, error);
    }
    if (status == BM_STATUS_OK) {
        bench->first = checkpoint->first;
        bench->update = checkpoint->update;
    }
    return status;
}
