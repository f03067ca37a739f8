/*
 * Counting from outside where the hardware does not: a worker is started behind valgrind's
 * callgrind, which writes down the instructions executed inside of bm_counted_updates. It emulates
 * the processor, without AVX-512.
 */
#ifndef BM_CALLGRIND_H
#define BM_CALLGRIND_H

#include <batchmark/plugin.h>

#include <limits.h>

#define BM_CALLGRIND_WORDS 9

struct bm_callgrind {
    char folder[PATH_MAX]; /* of what it writes; empty: none */
    char text[BM_CALLGRIND_WORDS][PATH_MAX + 64];
    char *words[BM_CALLGRIND_WORDS + 1]; /* the wrapper of a worker: its texts, then NULL */
};

/* Finds valgrind and makes a folder for what it writes. UNSUPPORTED and why if there is no
 * valgrind. The struct must stay where it is until it is closed. */
int32_t bm_callgrind_open(struct bm_callgrind *callgrind, struct bm_error *error);

/* After bm_counted_updates has returned once in the worker: the instructions executed in it. */
int32_t bm_callgrind_read(const struct bm_callgrind *callgrind,
                          uint64_t *instructions,
                          struct bm_error *error);

/* Whether valgrind met an instruction that it does not know; then *what is a text of static
 * storage. */
int bm_callgrind_met_unknown(const struct bm_callgrind *callgrind, const char **what);

/* Removes the folder and what is in it; closing what is not open is fine. */
void bm_callgrind_close(struct bm_callgrind *callgrind);

#endif
