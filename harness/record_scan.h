/*
 * Records read fast, a line at a time: of the lines of one kind only the members asked for are
 * parsed, so that the samples, which are most of a record, are passed over. For those who read
 * thousands of records; bm_record_read keeps all of one.
 */
#ifndef BM_RECORD_SCAN_H
#define BM_RECORD_SCAN_H

#include <batchmark/plugin.h>

#include <jansson.h>
#include <stddef.h>

/* Longest line of a record. */
#define BM_RECORD_LINE_MAX ((size_t)16 << 20)

/* Longest text or name in it; none of ours comes near. */
#define BM_RECORD_TEXT_MAX ((size_t)1 << 20)

/* What is read of the lines of that kind: these members, and of members that are objects these.
 * Lists end with NULL. Of other kinds, `whole` is read whole and the others are passed over. */
struct bm_record_wanted {
    const char *thin;
    const char *const *members;
    const char *const *inner;
    const char *whole;
};

/* A file being read; `line` is the number of the object that came last. Zero it, or open it. */
struct bm_record_scan {
    const struct bm_record_wanted *wanted;
    const char *path;
    int fd;
    uint64_t line;
    char *buffer; /* holds begin .. end of the file, and room for a 0 */
    size_t capacity;
    size_t begin;
    size_t end;
    char *thin; /* [capacity], a line cut down */
    uint32_t is_at_end;
};

/* Borrows `path` and `wanted` until it is closed; `wanted` NULL: every object, and whole. INVALID
 * if it is no plain file that can be read. */
int32_t bm_record_scan_open(struct bm_record_scan *scan,
                            const char *path,
                            const struct bm_record_wanted *wanted,
                            struct bm_error *error);

/* The next object of the two kinds, the caller's; NULL at the end, a torn last line being dropped.
 * INVALID, with file and line, for what is no JSON object with a kind, or beyond these sizes;
 * NO_MEMORY. */
int32_t bm_record_scan_next(struct bm_record_scan *scan, json_t **object, struct bm_error *error);

/* Whether a last line was dropped, once all objects came. */
int bm_record_scan_is_torn(const struct bm_record_scan *scan);

/* Keeps the memory for the next file. */
void bm_record_scan_close(struct bm_record_scan *scan);

void bm_record_scan_free(struct bm_record_scan *scan);

#endif
