/*
 * A plugin's file, opened once: hashed through its descriptor by the parent, and what a worker has
 * loaded must be that very file, unchanged.
 *
 * The worker loads by the path, and then looks whether what is mapped is the file behind the
 * descriptor that it inherited, before it calls anything in it. Loading the descriptor itself
 * (/proc/self/fd/N, or a sealed copy in memory) would leave no time between: but $ORIGIN would be
 * /proc/self/fd, so that a plugin no longer finds the libraries beside it, and debuggers and
 * profilers would not find the plugin.
 *
 * What that leaves: constructors of a file that is swapped in the moment between the last look and
 * dlopen have run when it is refused. Nobody but the user and root can do that to a plugin that
 * trust.h has no doubt about. Then it is an accident, a build that goes on while it is measured,
 * and no record will name a file that did not run.
 */
#ifndef BM_OPENED_FILE_H
#define BM_OPENED_FILE_H

#include <batchmark/plugin.h>

#include <jansson.h>

struct bm_opened_file {
    int fd; /* -1: none */
    uint64_t bytes;
    int64_t modified_ns; /* of its content and of its facts, by its file system's clock */
    int64_t changed_ns;
};

/* Takes note of what is open in `fd`, which it takes over. INVALID, naming `path`, if that cannot
 * be told. */
int32_t
bm_opened_file_note(int fd, const char *path, struct bm_opened_file *file, struct bm_error *error);

/* Hexadecimal SHA-256 of its content. INVALID, naming `path`, if it cannot be read or was changed
 * since it was noted. */
int32_t bm_opened_file_digest(const struct bm_opened_file *file,
                              const char *path,
                              char hex[65],
                              struct bm_error *error);

/* A file that is not open is fine. */
void bm_opened_file_close(struct bm_opened_file *file);

/* For the way to the worker, which has its own number for the descriptor. */
json_t *bm_opened_file_json(const struct bm_opened_file *file);
int32_t bm_opened_file_parse(const json_t *object,
                             int fd,
                             struct bm_opened_file *file,
                             struct bm_error *error);

/* INVALID if there is now another file at that path, or this one was changed: the last look before
 * it is loaded. */
int32_t
bm_opened_file_check(const struct bm_opened_file *file, const char *path, struct bm_error *error);

/* INVALID if `handle`, of dlopen(path), is mapped from another file, or this one was changed. */
int32_t bm_opened_file_check_loaded(const struct bm_opened_file *file,
                                    const char *path,
                                    void *handle,
                                    struct bm_error *error);

#endif
