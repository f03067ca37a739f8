#include "callgrind.h"

#include "error.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first executable file "valgrind" in the folders of $PATH. */
static int find_valgrind(char path[PATH_MAX]) {
    const char *folders = getenv("PATH");
    while (folders != NULL && *folders != '\0') {
        int length = (int)strcspn(folders, ":");
        int used = snprintf(path, PATH_MAX, "%.*s/valgrind", length, folders);
        if (length > 0 && used < PATH_MAX && access(path, X_OK) == 0) {
            return 1;
        }
        folders += length;
        folders += *folders == ':';
    }
    return 0;
}

static int32_t make_folder(struct bm_callgrind *callgrind, struct bm_error *error) {
    const char *parent = getenv("TMPDIR");
    int length = snprintf(callgrind->folder, sizeof callgrind->folder, "%s/batchmark-XXXXXX",
                          parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (length >= (int)sizeof callgrind->folder || mkdtemp(callgrind->folder) == NULL) {
        int32_t status =
            bm_fail_errno(error, BM_STATUS_INTERNAL,
                          "%.256s: cannot make a folder for valgrind's files", callgrind->folder);
        callgrind->folder[0] = '\0';
        return status;
    }
    return BM_STATUS_OK;
}

/* How valgrind is to run a worker. Its own settings of this user are left out of it. */
static void make_words(struct bm_callgrind *callgrind) {
    static const char *const options[BM_CALLGRIND_WORDS - 3] = {
        "--command-line-only=yes",
        "--tool=callgrind",
        "--toggle-collect=bm_counted_updates",
        "--dump-after=bm_counted_updates",
        "--sigill-diagnostics=yes",
        "--vgdb=no", /* or its pipes stay in the folder for temporary files */
    };
    size_t size = sizeof callgrind->text[0];
    for (size_t i = 0; i < BM_CALLGRIND_WORDS; i++) {
        callgrind->words[i] = callgrind->text[i];
    }
    for (size_t i = 0; i < BM_CALLGRIND_WORDS - 3; i++) {
        (void)snprintf(callgrind->text[1 + i], size, "%s", options[i]);
    }
    (void)snprintf(callgrind->text[BM_CALLGRIND_WORDS - 2], size, "--callgrind-out-file=%s/out",
                   callgrind->folder);
    (void)snprintf(callgrind->text[BM_CALLGRIND_WORDS - 1], size, "--log-file=%s/log",
                   callgrind->folder);
}

int32_t bm_callgrind_open(struct bm_callgrind *callgrind, struct bm_error *error) {
    memset(callgrind, 0, sizeof *callgrind);
    if (!find_valgrind(callgrind->text[0])) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED, "valgrind: not found in $PATH");
    }
    int32_t status = make_folder(callgrind, error);
    if (status == BM_STATUS_OK) {
        make_words(callgrind);
    }
    return status;
}

/* One file of the folder. */
static FILE *open_file(const struct bm_callgrind *callgrind, const char *name) {
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", callgrind->folder, name);
    return fopen(path, "re");
}

int32_t bm_callgrind_read(const struct bm_callgrind *callgrind,
                          uint64_t *instructions,
                          struct bm_error *error) {
    char line[512];
    unsigned long long count = 0;
    FILE *file = open_file(callgrind, "out.1"); /* the first dump */
    while (file != NULL && count == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "totals: %llu", &count) != 1) {
            count = 0;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (count == 0) {
        return bm_fail(error, BM_STATUS_INTERNAL,
                       "valgrind: expected a file with the instructions of bm_counted_updates, "
                       "found %s",
                       file == NULL ? "none" : "no total in it");
    }
    *instructions = count;
    return BM_STATUS_OK;
}

int bm_callgrind_met_unknown(const struct bm_callgrind *callgrind, const char **what) {
    char line[512];
    *what = NULL;
    FILE *file = open_file(callgrind, "log");
    while (file != NULL && *what == NULL && fgets(line, sizeof line, file) != NULL) {
        const char *bytes = strstr(line, "unhandled instruction bytes: ");
        if (bytes != NULL) { /* 62 begins all of AVX-512, and in 64-bit mode nothing else */
            *what = strstr(bytes, ": 0x62 ") != NULL
                        ? "valgrind runs no AVX-512"
                        : "valgrind does not know one of its instructions";
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return *what != NULL;
}

void bm_callgrind_close(struct bm_callgrind *callgrind) {
    char path[PATH_MAX + NAME_MAX + 2];
    DIR *folder = callgrind->folder[0] == '\0' ? NULL : opendir(callgrind->folder);
    const struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", callgrind->folder, entry->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    if (folder != NULL) {
        (void)closedir(folder);
        (void)rmdir(callgrind->folder);
    }
    callgrind->folder[0] = '\0';
}
