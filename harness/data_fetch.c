/* Fetching a data set from where it was published: files that are checked one by one, or an archive
 * that is checked and unpacked. */
#include "data_source.h"
#include "digest.h"
#include "download.h"
#include "error.h"
#include "interrupt.h"
#include "part_file.h"
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The largest, CIFAR-10's archive, has 170 052 171. */
#define BYTES_MAX (UINT64_C(256) << 20)

extern char **environ;

struct fetch {
    const struct bm_data_set *set;
    const char *folder;
    const char *mirror; /* NULL: the set's own */
    double silence_s;
};

static int32_t make_path(const struct fetch *fetch,
                         const char *file,
                         const char *ending,
                         char path[BM_DATA_PATH_SIZE],
                         struct bm_error *error) {
    int length = snprintf(path, BM_DATA_PATH_SIZE, "%s/%s%s", fetch->folder, file, ending);
    return length > 0 && length < BM_DATA_PATH_SIZE
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID, "%.64s...: expected a shorter path",
                         fetch->folder);
}

/* ---- What is expected ---- */

static int32_t
expect_digest(const char *path, const char *expected, const char *found, struct bm_error *error) {
    return strcmp(expected, found) == 0
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID,
                         "%s: expected the published file with SHA-256 %s, found %s", path,
                         expected, found);
}

/* Of what is in the gzip: a mirror may have packed it anew. */
static int32_t check_content(const char *path, const void *own, struct bm_error *error) {
    char found[65];
    int32_t status = bm_data_content_digest(path, found, error);
    return status ? status : expect_digest(path, own, found, error);
}

static int32_t check_stored(const char *path, const void *own, struct bm_error *error) {
    char found[65];
    int32_t status = bm_digest_file(path, found, error);
    return status ? status : expect_digest(path, own, found, error);
}

/* ---- From a mirror, or the next ---- */

static int32_t download_from(const struct fetch *fetch,
                             const char *mirror,
                             const char *file,
                             struct bm_download *download,
                             struct bm_error *error) {
    char url[2 * BM_DATA_PATH_SIZE];
    size_t length = strlen(mirror);
    while (length > 0 && mirror[length - 1] == '/') {
        length--;
    }
    int written = snprintf(url, sizeof url, "%.*s/%s", (int)length, mirror, file);
    if (written < 0 || (size_t)written >= sizeof url) {
        return bm_fail(error, BM_STATUS_INVALID, "--mirror: expected a shorter address");
    }
    download->url = url;
    download->name = file;
    download->bytes_max = BYTES_MAX;
    download->silence_s = fetch->silence_s;
    return bm_download(download, error);
}

/* `file` is the name there. The error is that of the last mirror. */
static int32_t get(const struct fetch *fetch,
                   const char *file,
                   struct bm_download *download,
                   struct bm_error *error) {
    if (fetch->mirror != NULL) {
        return download_from(fetch, fetch->mirror, file, download, error);
    }
    int32_t status = BM_STATUS_INVALID;
    for (uint32_t i = 0; i < 3 && fetch->set->mirrors[i] != NULL && status == BM_STATUS_INVALID;
         i++) {
        status = download_from(fetch, fetch->set->mirrors[i], file, download, error);
    }
    return status;
}

/* ---- Files ---- */

static int32_t fetch_file(const struct fetch *fetch, uint32_t index, struct bm_error *error) {
    const char *file = fetch->set->files[index];
    const char *digest = fetch->set->content_sha256[index];
    char path[BM_DATA_PATH_SIZE];
    char name[128];
    if (bm_data_find_file(fetch->folder, file, path)) {
        return check_content(path, digest, error);
    }
    (void)snprintf(name, sizeof name, "%s.gz", file);
    int32_t status = make_path(fetch, name, "", path, error);
    struct bm_download download = {.path = path, .check = check_content, .own = digest};
    return status ? status : get(fetch, name, &download, error);
}

/* ---- An archive ---- */

static int has_all_files(const struct fetch *fetch) {
    char path[BM_DATA_PATH_SIZE];
    for (uint32_t i = 0; i < fetch->set->file_count; i++) {
        if (!bm_data_find_file(fetch->folder, fetch->set->files[i], path)) {
            return 0;
        }
    }
    return 1;
}

/* tar -xzOf ARCHIVE MEMBER >FD */
static int32_t run_tar(const char *archive, const char *member, int fd, struct bm_error *error) {
    char program[] = "tar";
    char how[] = "-xzOf"; /* of a gzip, to standard output */
    char *words[] = {program, how, strdup(archive), strdup(member), NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    int ended = 0;
    int32_t status = BM_STATUS_NO_MEMORY;
    if (words[2] != NULL && words[3] != NULL && posix_spawn_file_actions_init(&actions) == 0) {
        (void)posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
        errno = posix_spawnp(&pid, "tar", &actions, NULL, words, environ);
        status = errno == 0 ? BM_STATUS_OK
                            : bm_fail_errno(error, BM_STATUS_UNSUPPORTED,
                                            "%s: expected the program tar to unpack it", archive);
        (void)posix_spawn_file_actions_destroy(&actions);
    } else {
        (void)bm_fail(error, status, "%s: no memory to unpack it", archive);
    }
    free(words[2]);
    free(words[3]);
    while (status == BM_STATUS_OK && waitpid(pid, &ended, 0) < 0 && errno == EINTR) {
    }
    if (status != BM_STATUS_OK || (WIFEXITED(ended) && WEXITSTATUS(ended) == 0)) {
        return status;
    }
    return bm_fail(error, bm_interrupt_signal() != 0 ? BM_STATUS_TIMEOUT : BM_STATUS_INTERNAL,
                   "%s: expected to unpack %s, tar failed", archive, member);
}

/* Beside its place first, so that the name means a whole file. */
static int32_t unpack_file(const struct fetch *fetch,
                           const char *archive,
                           const char *file,
                           struct bm_error *error) {
    char path[BM_DATA_PATH_SIZE];
    char part[BM_DATA_PATH_SIZE];
    char member[256];
    (void)snprintf(member, sizeof member, "%s/%s", fetch->set->folders[0], file);
    int32_t status = make_path(fetch, file, "", path, error);
    status = status ? status : make_path(fetch, file, ".part", part, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    int fd = -1;
    status = bm_part_file_open(part, &fd, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    if (ftruncate(fd, 0) != 0) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: expected a file to write", part);
    }
    status = status ? status : run_tar(archive, member, fd, error);
    if (status == BM_STATUS_OK && (fsync(fd) != 0 || rename(part, path) != 0)) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: expected it to be written", path);
    }
    (void)close(fd);
    if (status != BM_STATUS_OK) {
        (void)unlink(part);
    }
    return status;
}

static int32_t fetch_archive(const struct fetch *fetch, struct bm_error *error) {
    const struct bm_data_set *set = fetch->set;
    char path[BM_DATA_PATH_SIZE];
    int32_t status = make_path(fetch, set->archive, "", path, error);
    if (status == BM_STATUS_OK && access(path, F_OK) == 0) {
        status = check_stored(path, set->archive_sha256, error);
    } else if (status == BM_STATUS_OK) {
        struct bm_download download = {
            .path = path, .check = check_stored, .own = set->archive_sha256};
        status = get(fetch, set->archive, &download, error);
    }
    for (uint32_t i = 0; i < set->file_count && status == BM_STATUS_OK; i++) {
        status = unpack_file(fetch, path, set->files[i], error);
    }
    if (status == BM_STATUS_OK) {
        (void)unlink(path);
    }
    return status;
}

int32_t bm_data_fetch(const struct bm_data_set *set,
                      const char *folder,
                      const char *mirror,
                      double silence_s,
                      uint32_t *is_checked,
                      struct bm_error *error) {
    const struct fetch fetch = {set, folder, mirror, silence_s};
    int32_t status = bm_place_make_folders(folder, error);
    if (status != BM_STATUS_OK) {
        return BM_STATUS_INTERNAL; /* as any file that cannot be written */
    }
    *is_checked = set->archive == NULL || !has_all_files(&fetch);
    if (set->archive != NULL) {
        return *is_checked ? fetch_archive(&fetch, error) : BM_STATUS_OK;
    }
    for (uint32_t i = 0; i < set->file_count && status == BM_STATUS_OK; i++) {
        status = fetch_file(&fetch, i, error);
    }
    return status;
}
