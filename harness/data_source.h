/* Between the sources of data.h: reading files, finding them, and building the memory file. */
#ifndef BM_DATA_SOURCE_H
#define BM_DATA_SOURCE_H

#include "data.h"

#include <sha2.h>
#include <zlib.h>

#define BM_DATA_PATH_SIZE 1024
#define BM_DATA_CHUNK 65536u

/* ---- One file, plain or gzip'd, read forwards ---- */

struct bm_data_file {
    char path[BM_DATA_PATH_SIZE];
    int fd;
    int32_t is_gzip;
    int32_t has_ended; /* the gzip stream's end was seen, its checksum was right */
    uint64_t stored_bytes;
    uint64_t offset; /* of the next byte of the content */
    z_stream stream; /* next_in, avail_in: what is read and not used; plain files use these too */
    SHA2_CTX digest; /* of the stored bytes */
    uint8_t chunk[BM_DATA_CHUNK];
};

/* Opens a regular file. On success give it back with bm_data_file_close. */
int32_t bm_data_file_open(const char *path, struct bm_data_file *file, struct bm_error *error);
void bm_data_file_close(struct bm_data_file *file);

/* Exactly `count` bytes of content, or INVALID: truncated. `what` is what they hold. */
int32_t bm_data_file_read(struct bm_data_file *file,
                          void *bytes,
                          uint64_t count,
                          const char *what,
                          struct bm_error *error);

/* Refuses a file that cannot hold exactly `content_bytes`, before memory is taken for them. */
int32_t bm_data_file_expect(const struct bm_data_file *file,
                            uint64_t content_bytes,
                            struct bm_error *error);

/* The content must end here, with nothing stored behind it; then writes the file's name and digest.
 */
int32_t bm_data_file_finish(struct bm_data_file *file,
                            struct bm_data_source *source,
                            struct bm_error *error);

/* ---- Formats ---- */

/* idx header (big-endian): magic 0x0000TTDD (type, dimensions), then sizes. Images are unsigned
 * bytes in 3 dimensions, labels in 1. */
int32_t bm_idx_images(struct bm_data_file *file,
                      uint64_t *count,
                      struct bm_shape *shape,
                      struct bm_error *error);
int32_t bm_idx_labels(struct bm_data_file *file, uint64_t *count, struct bm_error *error);

/* What follows the label file's header: checked and widened. */
int32_t bm_idx_read_labels(struct bm_data_file *file,
                           uint64_t count,
                           uint32_t class_count,
                           int32_t *labels,
                           struct bm_error *error);

#define BM_CIFAR_PIXELS 3072u

/* `count` records of CIFAR-10 (label, pixels) or, with class_count 100, CIFAR-100 (coarse label,
 * fine label, pixels). */
int32_t bm_cifar_read(struct bm_data_file *file,
                      uint64_t count,
                      uint32_t class_count,
                      uint8_t *images,
                      int32_t *labels,
                      struct bm_error *error);

/* ---- Where files are ---- */

#define BM_DATA_FORMAT_IDX 0u
#define BM_DATA_FORMAT_CIFAR 1u
#define BM_DATA_FORMAT_SYNTHETIC 2u

/* One data set that we know. */
struct bm_data_set {
    const char *name;
    uint32_t format; /* BM_DATA_FORMAT_* */
    uint32_t class_count;
    const char *folders[3]; /* names its folder goes by, besides its own; NULL-terminated */
    const char *files[BM_DATA_SOURCE_MAX]; /* without .gz; IDX: train images, train labels, test
                                              images, test labels; CIFAR: the last one is the test's
                                            */
    uint32_t file_count;
    uint32_t file_records; /* CIFAR: records of a training file; a test file has 10 000 */
    double mean[BM_DATA_CHANNEL_MAX]; /* of the training images, pixel / 255 */
    double deviation[BM_DATA_CHANNEL_MAX];
    const char *hint;       /* how to get it */
    const char *mirrors[3]; /* folders on the net that have it, without the last slash */
    const char *archive;    /* .tar.gz that has its files in a folder, folders[0]; NULL: they lie
                               there each as FILE.gz */
    const char *archive_sha256;
    const char
        *content_sha256[BM_DATA_SOURCE_MAX]; /* of the originals, unpacked; NULL: not known */
};

/* By its own name or one of its folder's; NULL if there is none. */
const struct bm_data_set *bm_data_set_find(const char *name);

/* Paths of its files, in the order of `files`. */
struct bm_data_location {
    char folder[BM_DATA_PATH_SIZE];
    char paths[BM_DATA_SOURCE_MAX][BM_DATA_PATH_SIZE];
};

/* INVALID where a file is missing; `location->folder` is then the one that has others of the set,
 * or empty. */
int32_t bm_data_locate(const struct bm_data_set *set,
                       const char *data_dir,
                       struct bm_data_location *location,
                       struct bm_error *error);

/* Counts and shape from headers and sizes, without reading the content. */
struct bm_data_summary {
    struct bm_shape shape;
    uint32_t class_count;
    uint64_t train_count;
    uint64_t test_count;
};

int32_t bm_data_summarize(const struct bm_data_set *set,
                          const struct bm_data_location *location,
                          struct bm_data_summary *summary,
                          struct bm_error *error);

/* Fetches a data set into `folder`, which is made, from `mirror` or, NULL, from the published
 * places in turn. Files that are there already are only checked, against what is known of
 * them: *is_checked 0 if that is nothing. Statuses as bm_download's. */
int32_t bm_data_fetch(const struct bm_data_set *set,
                      const char *folder,
                      const char *mirror,
                      double silence_s,
                      uint32_t *is_checked,
                      struct bm_error *error);

/* The user's own data folder, $XDG_DATA_HOME/batchmark or ~/.local/share/batchmark; 0: none. */
int bm_data_home(char *folder, size_t capacity);

/* FOLDER/FILE or FOLDER/FILE.gz, whichever is there; 0: neither. */
int bm_data_find_file(const char *folder, const char *file, char path[BM_DATA_PATH_SIZE]);

/* SHA-256 of a file's content, unpacked. */
int32_t bm_data_content_digest(const char *path, char sha256[65], struct bm_error *error);

/* ---- The memory file ---- */

/* A memory file that is being written; arrays are reached through the two functions. */
struct bm_data_build {
    int fd;
    void *mapped;
    uint64_t bytes;
    struct bm_data_summary summary;
};

/* On success give it on with bm_data_build_finish, or back with bm_data_build_abandon. */
int32_t bm_data_build_begin(struct bm_data_build *build,
                            const char *name,
                            const struct bm_data_summary *summary,
                            struct bm_error *error);
uint8_t *bm_data_build_images(struct bm_data_build *build, uint32_t split);
int32_t *bm_data_build_labels(struct bm_data_build *build, uint32_t split);
struct bm_data_source *bm_data_build_source(struct bm_data_build *build);

/* input = (pixel / 255 - mean) / deviation, by channel */
void bm_data_build_normalize(struct bm_data_build *build,
                             const double *mean,
                             const double *deviation);

/* Seals and maps it. The build is over, whatever the status. */
int32_t bm_data_build_finish(struct bm_data_build *build,
                             struct bm_dataset *dataset,
                             struct bm_error *error);
void bm_data_build_abandon(struct bm_data_build *build);

int32_t bm_synthetic_open(const struct bm_data_synthetic *synthetic,
                          struct bm_dataset *dataset,
                          struct bm_error *error);

#endif
