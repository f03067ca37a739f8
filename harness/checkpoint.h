/*
 * The state of a training on disk, so that an interrupted training goes on: to the same bits on the
 * same backend, and on another backend from the same numbers, as everything is in the canonical
 * layout of plugin.h.
 *
 * The file, all numbers little-endian:
 *
 *     8 bytes    magic "\x89" "BMCKPT\n"
 *     uint32     BM_CHECKPOINT_VERSION
 *     uint32     bytes of the header, at most BM_CHECKPOINT_HEADER_MAX
 *     header     a JSON object with the fields of struct bm_checkpoint by their names, the arrays
 *                apart
 *     float32    params [param_count], slot 0 [param_count], ..., statistics [statistics_count]
 *     uint32     CRC-32 (zlib's) of everything before it
 *
 * A file may come from anywhere: nothing in it is believed before it is checked, and no memory is
 * asked for beyond what the file's own size has earned.
 */
#ifndef BM_CHECKPOINT_H
#define BM_CHECKPOINT_H

#include "bench.h"
#include "options.h"

#include <jansson.h>

#define BM_CHECKPOINT_VERSION 1u
#define BM_CHECKPOINT_HEADER_MAX (UINT32_C(1) << 20) /* bytes */
#define BM_CHECKPOINT_SCHEDULE_SIZE 256

/* Texts are UTF-8 without control characters; numbers are at most 2^63 - 1, but for the seed, which
 * may be any. Zeroed memory holds nothing and is ready for bm_checkpoint_take. */
struct bm_checkpoint {
    char backend[BM_NAME_SIZE]; /* as `list` prints it: NAME or NAME:DEVICE */
    char model[BM_NAME_SIZE];
    char layers[BM_LAYERS_SIZE]; /* as bm_model_format writes them */
    char dataset[BM_NAME_SIZE];
    char optimizer[BM_NAME_SIZE];
    char precision[BM_NAME_SIZE];
    char schedule[BM_CHECKPOINT_SCHEDULE_SIZE];
    uint64_t seed;
    uint64_t batch;            /* at least 1 */
    uint64_t micro_batch;      /* 0: the whole batch */
    uint64_t threads;          /* at least 1 */
    uint64_t epoch;            /* whose order is being walked, from 0 */
    uint64_t first;            /* images of that order that are done */
    uint64_t update;           /* number of the next update, from 1 */
    uint64_t train_count;      /* images of the split */
    uint64_t validation_count; /* likewise */
    double seconds;            /* trained so far: finite, not negative */
    uint64_t param_count;      /* at least 1 */
    uint64_t slot_count;       /* at most BM_STATE_SLOT_MAX */
    uint64_t statistics_count;
    json_t *details; /* an object of the caller's, kept as it is; owned. NULL: none, read back as {}
                      */
    float *params;   /* [param_count], owned as are the others */
    float *slot[BM_STATE_SLOT_MAX]; /* [param_count] each; NULL from slot_count on */
    float *statistics;              /* [statistics_count]: means and variances; NULL if 0 */
};

/* Replaces `path` as a whole: written to `path`.partial, synced, renamed, and the folder synced.
 * INVALID, before anything is written, if a text or number is not as said above, if `path` is not a
 * plain file, or if another process is writing it; INTERNAL with the system's reason if the disk
 * does not take it. On failure the old file stays and nothing is left beside it; only if syncing
 * the folder fails is the new file there, but may not outlive a loss of power. */
int32_t bm_checkpoint_write(const char *path,
                            const struct bm_checkpoint *checkpoint,
                            struct bm_error *error);

/* Fills `checkpoint`, whatever was in it (give that back first), from the file. INVALID, naming
 * file, offset, expected and found, if it is anything but what bm_checkpoint_write writes; INVALID
 * with the system's reason if it cannot be read. On failure `checkpoint` is zeroed. Parameters are
 * taken as they are, those of a diverged training included. */
int32_t
bm_checkpoint_read(const char *path, struct bm_checkpoint *checkpoint, struct bm_error *error);

/* Frees arrays and details and zeroes the struct. NULL is fine. */
void bm_checkpoint_free(struct bm_checkpoint *checkpoint);

/* Reads parameters, every slot and the statistics of an open session, with its `first` and
 * `update`; all other fields are the caller's. Arrays of the right size are used again, so that
 * only the first call allocates. UNSUPPORTED if the optimizer has slots or the network batch norm
 * and the plugin has no read_state. On failure the arrays hold no one state. */
int32_t bm_checkpoint_take(struct bm_bench *bench,
                           struct bm_checkpoint *checkpoint,
                           struct bm_error *error);

/* Writes them to an open session whose order is that of checkpoint->epoch, and sets its walk. Its
 * model and optimizer are the checkpoint's: the caller has compared the names. INVALID if a count
 * is not that of the session or `first` lies beyond its order; UNSUPPORTED if there is something
 * that the plugin, having no write_state, cannot take; both before anything is written. If the
 * plugin itself fails, the session holds no one state: close it, or bm_bench_reset. */
int32_t bm_checkpoint_give(const struct bm_checkpoint *checkpoint,
                           struct bm_bench *bench,
                           struct bm_error *error);

#endif
