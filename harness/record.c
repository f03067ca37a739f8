#include "record.h"

#include "environment.h"
#include "error.h"
#include "place.h"
#include "record_scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- Where ---- */

static void default_folder(const struct bm_options *options, char *folder, size_t capacity) {
    char machine[BM_NAME_SIZE];
    struct stat results;
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    bm_environment_machine(machine, sizeof machine);
    if (options->machine[0] != '\0') {
        (void)snprintf(machine, sizeof machine, "%s", options->machine);
    }
    if (stat("results", &results) == 0 && S_ISDIR(results.st_mode)) {
        (void)snprintf(folder, capacity, "results/%s", machine);
    } else if (state != NULL && state[0] == '/') {
        (void)snprintf(folder, capacity, "%s/batchmark/%s", state, machine);
    } else {
        (void)snprintf(folder, capacity, "%s/.local/state/batchmark/%s", home == NULL ? "." : home,
                       machine);
    }
}

int32_t bm_record_path(const struct bm_options *options,
                       const char *command,
                       char *path,
                       uint32_t capacity,
                       struct bm_error *error) {
    char folder[BM_PATH_SIZE];
    char stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    if (options->output[0] != '\0') {
        (void)snprintf(path, capacity, "%s", options->output);
        return BM_STATUS_OK;
    }
    default_folder(options, folder, sizeof folder);
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    int length = snprintf(path, capacity, "%s/%s-%s.jsonl", folder, stamp, command);
    if (length < 0 || (uint32_t)length >= capacity) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a shorter path", folder);
    }
    return bm_place_make_folders(folder, error);
}

/* ---- Writing ---- */

static int32_t open_new(struct bm_record *record, const char *name, struct bm_error *error) {
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot write it", name);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        return bm_fail(error, BM_STATUS_INVALID, "%s: another process is writing it", name);
    }
    if (ftruncate(fd, 0) != 0 || (record->stream = fdopen(fd, "w")) == NULL) {
        (void)close(fd);
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot write it", name);
    }
    return BM_STATUS_OK;
}

static int32_t is_locked(const char *name) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    int32_t locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return locked;
}

/* The name under which a record that replaces a partial file grows until bm_record_commit. */
static void fresh_name(const struct bm_record *record, char *name, size_t capacity) {
    (void)snprintf(name, capacity, "%s.new", record->partial);
}

int32_t bm_record_create(const char *path,
                         uint32_t replace,
                         struct bm_record *record,
                         struct bm_error *error) {
    char name[BM_PATH_SIZE + 16];
    struct stat found;
    memset(record, 0, sizeof *record);
    if (strlen(path) + 16 > sizeof record->partial) {
        return bm_fail(error, BM_STATUS_INVALID, "output: expected a shorter path");
    }
    (void)snprintf(record->path, sizeof record->path, "%s", path);
    (void)snprintf(record->partial, sizeof record->partial, "%.*s.partial",
                   (int)sizeof record->partial - 16, path);
    if (stat(path, &found) == 0 && !S_ISREG(found.st_mode)) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a plain file", path);
    }
    if (is_locked(record->partial)) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: another process is writing it",
                       record->partial);
    }
    if (!replace && stat(record->partial, &found) == 0 && found.st_size > 0) {
        return bm_fail(
            error, BM_STATUS_INVALID,
            "%s: an interrupted run left it; --resume %s goes on with it (run, train), or remove "
            "it",
            record->partial, path);
    }
    fresh_name(record, name, sizeof name);
    record->is_fresh = replace;
    return open_new(record, replace ? name : record->partial, error);
}

int32_t bm_record_write(struct bm_record *record, const json_t *object, struct bm_error *error) {
    if (json_dumpf(object, record->stream, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 ||
        fputc('\n', record->stream) == EOF || fflush(record->stream) != 0) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", record->partial);
    }
    return BM_STATUS_OK;
}

int32_t bm_record_commit(struct bm_record *record, struct bm_error *error) {
    char name[BM_PATH_SIZE + 16];
    fresh_name(record, name, sizeof name);
    if (fsync(fileno(record->stream)) != 0 ||
        (record->is_fresh && rename(name, record->partial) != 0)) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", record->partial);
    }
    record->is_fresh = 0;
    return BM_STATUS_OK;
}

int32_t bm_record_finish(struct bm_record *record, struct bm_error *error) {
    int failed = fflush(record->stream) != 0 || fsync(fileno(record->stream)) != 0;
    failed |= fclose(record->stream) != 0;
    record->stream = NULL;
    if (failed || rename(record->partial, record->path) != 0) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot finish it", record->path);
    }
    return BM_STATUS_OK;
}

void bm_record_tell(const struct bm_record *record, FILE *stream) {
    (void)fprintf(stream, "record: %s; for a page: batchmark report %s -o report.html\n",
                  record->path, record->path);
}

void bm_record_abandon(struct bm_record *record) {
    if (record->stream != NULL) {
        (void)fclose(record->stream);
    }
    record->stream = NULL;
}

void bm_record_discard(struct bm_record *record) {
    bm_record_abandon(record);
    (void)unlink(record->partial);
}

/* ---- Reading ---- */

static int32_t
read_objects(struct bm_record_scan *scan, json_t *objects, uint32_t *torn, struct bm_error *error) {
    json_t *object = NULL;
    int32_t status;
    do {
        status = bm_record_scan_next(scan, &object, error);
        if (object != NULL) {
            (void)json_array_append_new(objects, object);
        }
    } while (object != NULL);
    *torn = status == BM_STATUS_OK && bm_record_scan_is_torn(scan);
    return status;
}

static int32_t
read_file(const char *name, json_t **objects, uint32_t *torn, struct bm_error *error) {
    struct bm_record_scan scan = {.fd = -1};
    *objects = NULL;
    *torn = 0;
    int32_t status = bm_record_scan_open(&scan, name, NULL, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    json_t *list = json_array();
    status = read_objects(&scan, list, torn, error);
    bm_record_scan_close(&scan);
    bm_record_scan_free(&scan);
    if (status != BM_STATUS_OK) {
        json_decref(list);
        return status;
    }
    *objects = list;
    return BM_STATUS_OK;
}

/* What a partial file holds; -1 if there is none. `name` gets its own. */
static off_t find_partial(const char *path, char *name, size_t capacity) {
    struct stat info;
    int length = snprintf(name, capacity, "%s.partial", path);
    return length > 0 && (size_t)length < capacity && stat(name, &info) == 0 ? info.st_size : -1;
}

int32_t bm_record_read(const char *path, json_t **objects, uint32_t *torn, struct bm_error *error) {
    char partial[BM_PATH_SIZE + 16];
    int is_partial = find_partial(path, partial, sizeof partial) >= 0 && access(path, F_OK) != 0;
    return read_file(is_partial ? partial : path, objects, torn, error);
}

int32_t bm_record_read_unfinished(const char *path,
                                  json_t **objects,
                                  uint32_t *torn,
                                  struct bm_error *error) {
    char partial[BM_PATH_SIZE + 16];
    return find_partial(path, partial, sizeof partial) > 0
               ? read_file(partial, objects, torn, error)
               : bm_record_read(path, objects, torn, error);
}
