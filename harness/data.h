/*
 * Data sets: found by name, read once by the parent into a sealed memory file, and mapped read-only
 * by workers.
 */
#ifndef BM_DATA_H
#define BM_DATA_H

#include "model.h"

#define BM_DATA_NAME_SIZE 32
#define BM_DATA_CHANNEL_MAX 4
#define BM_DATA_SOURCE_MAX 8
#define BM_DATA_CLASS_MAX 65536u
#define BM_DATA_COUNT_MAX (UINT64_C(1) << 31) /* images of one split */

/* One file a data set came from, for the record: file name without folder, and SHA-256 of its
 * content as stored. */
struct bm_data_source {
    char file[64];
    char sha256[65];
};

/* Mapped data. `split[BM_SPLIT_*]` are views ready for bind_data; a split that the set does not
 * have has count 0. Images are 64-byte aligned. */
struct bm_dataset {
    char name[BM_DATA_NAME_SIZE];
    struct bm_shape shape;
    uint32_t class_count;
    struct bm_data split[BM_SPLIT_COUNT];
    uint64_t train_total; /* training images of the file, however they are divided */
    float scale[BM_DATA_CHANNEL_MAX];
    float shift[BM_DATA_CHANNEL_MAX];
    uint32_t source_count;
    struct bm_data_source source[BM_DATA_SOURCE_MAX];
    int fd;       /* the sealed memory file; inherited by workers */
    void *mapped; /* the read-only mapping of it */
    uint64_t mapped_bytes;
    void *held_out; /* images and labels of a division, or NULL */
};

/* What `synthetic` makes; zeros take the defaults 1x28x28, 10 classes, 60 000 + 10 000. */
struct bm_data_synthetic {
    struct bm_shape shape;
    uint32_t class_count;
    uint64_t train_count;
    uint64_t test_count;
    uint64_t seed;
};

/* Names of the data sets, NULL-terminated. */
extern const char *const bm_data_names[];

/* Reads a data set by name into a sealed memory file. `data_dir` (may be NULL) is searched first,
 * then $BATCHMARK_DATA, the XDG data folder and the distribution's folder. On success the caller
 * gives it back with bm_dataset_close. On failure nothing is left behind and the text names file,
 * offset, expected and found, or the folders searched. */
int32_t bm_dataset_open(const char *name,
                        const char *data_dir,
                        const struct bm_data_synthetic *synthetic,
                        struct bm_dataset *dataset,
                        struct bm_error *error);

/* Worker side: maps a memory file made by bm_dataset_open; every field is checked against the
 * file's size. Takes over `fd`. */
int32_t bm_dataset_map(int fd, struct bm_dataset *dataset, struct bm_error *error);

/* NULL and a zeroed struct (fd = -1 or mapped = NULL) are fine. */
void bm_dataset_close(struct bm_dataset *dataset);

#endif
