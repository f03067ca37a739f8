/* The sealed memory file: a header, then 64-byte aligned arrays. The parent writes it once; workers
 * map it and believe nothing in it. */
#include "data_source.h"
#include "error.h"
#include "mapping.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYOUT_MAGIC UINT64_C(0x3141544144544d42) /* "BMTDATA1" read as a little-endian number */
#define ALIGNMENT UINT64_C(64)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

struct split_layout {
    uint64_t count;
    uint64_t image_offset;
    uint64_t label_offset;
    uint32_t type; /* BM_DATA_* */
    uint32_t reserved;
};

/* Both sides are the same program on the same machine: native numbers. */
struct layout {
    uint64_t magic;
    uint64_t total_bytes;
    char name[BM_DATA_NAME_SIZE];
    struct bm_shape shape;
    uint32_t class_count;
    float scale[BM_DATA_CHANNEL_MAX];
    float shift[BM_DATA_CHANNEL_MAX];
    struct split_layout split[BM_SPLIT_COUNT];
    uint32_t source_count;
    uint32_t reserved;
    struct bm_data_source source[BM_DATA_SOURCE_MAX];
};

static uint64_t aligned(uint64_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint64_t image_values(struct bm_shape shape) {
    return (uint64_t)shape.channels * shape.height * shape.width;
}

/* ---- Writing ---- */

static int32_t check_summary(const struct bm_data_summary *s, struct bm_error *error) {
    uint64_t values = image_values(s->shape);
    if (s->shape.channels == 0 || s->shape.channels > BM_DATA_CHANNEL_MAX || values == 0 ||
        s->shape.height > 1024 || s->shape.width > 1024) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "data: expected images of at most %dx1024x1024, found %ux%ux%u",
                       BM_DATA_CHANNEL_MAX, s->shape.channels, s->shape.height, s->shape.width);
    }
    if (s->class_count < 2 || s->class_count > BM_DATA_CLASS_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "data: expected 2 to %u classes, found %u",
                       BM_DATA_CLASS_MAX, s->class_count);
    }
    if (s->train_count == 0 || s->train_count > BM_DATA_COUNT_MAX || s->test_count == 0 ||
        s->test_count > BM_DATA_COUNT_MAX) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "data: expected 1 to 2^31 images in each split, found %" PRIu64
                       " and %" PRIu64,
                       s->train_count, s->test_count);
    }
    return BM_STATUS_OK;
}

/* Offsets of one split, images first. The limits of check_summary keep the sums below 2^55. */
static uint64_t
place_split(struct split_layout *split, uint64_t offset, uint64_t count, uint64_t values) {
    split->type = BM_DATA_UINT8;
    split->count = count;
    split->image_offset = offset;
    split->label_offset = aligned(offset + count * values);
    return aligned(split->label_offset + count * sizeof(int32_t));
}

/* Memory is taken here and now, so that writing cannot fail later; more than the machine has would
 * not be refused by the kernel but killed. */
static int32_t take_memory(struct bm_data_build *build, struct bm_error *error) {
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (build->bytes > machine) {
        return bm_fail(error, BM_STATUS_NO_MEMORY,
                       "data: expected at most the %" PRIu64
                       " bytes of this machine, found a need of %" PRIu64,
                       machine, build->bytes);
    }
    build->fd = memfd_create("batchmark data", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (build->fd < 0) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "data: no memory file");
    }
    if (ftruncate(build->fd, (off_t)build->bytes) != 0 ||
        fallocate(build->fd, 0, 0, (off_t)build->bytes) != 0) {
        return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "data: no %" PRIu64 " bytes of memory",
                             build->bytes);
    }
    build->mapped = mmap(NULL, build->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, build->fd, 0);
    if (build->mapped == MAP_FAILED) {
        build->mapped = NULL;
        return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "data: no mapping of %" PRIu64 " bytes",
                             build->bytes);
    }
    return BM_STATUS_OK;
}

int32_t bm_data_build_begin(struct bm_data_build *build,
                            const char *name,
                            const struct bm_data_summary *summary,
                            struct bm_error *error) {
    struct layout layout = {.magic = LAYOUT_MAGIC};
    uint64_t values = image_values(summary->shape);
    *build = (struct bm_data_build){.fd = -1, .summary = *summary};
    int32_t status = check_summary(summary, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    uint64_t end = aligned(sizeof layout);
    end = place_split(&layout.split[BM_SPLIT_TRAIN], end, summary->train_count, values);
    end = place_split(&layout.split[BM_SPLIT_TEST], end, summary->test_count, values);
    layout.total_bytes = build->bytes = end;
    layout.shape = summary->shape;
    layout.class_count = summary->class_count;
    (void)snprintf(layout.name, sizeof layout.name, "%s", name);
    status = take_memory(build, error);
    if (status != BM_STATUS_OK) {
        bm_data_build_abandon(build);
        return status;
    }
    BM_ASSERT(build->mapped != NULL);
    memcpy(build->mapped, &layout, sizeof layout);
    return BM_STATUS_OK;
}

void bm_data_build_abandon(struct bm_data_build *build) {
    if (build->mapped != NULL) {
        (void)munmap(build->mapped, build->bytes);
    }
    if (build->fd >= 0) {
        (void)close(build->fd);
    }
    build->mapped = NULL;
    build->fd = -1;
}

uint8_t *bm_data_build_images(struct bm_data_build *build, uint32_t split) {
    const struct layout *layout = build->mapped;
    return (uint8_t *)build->mapped + layout->split[split].image_offset;
}

int32_t *bm_data_build_labels(struct bm_data_build *build, uint32_t split) {
    const struct layout *layout = build->mapped;
    return (int32_t *)(void *)((uint8_t *)build->mapped + layout->split[split].label_offset);
}

struct bm_data_source *bm_data_build_source(struct bm_data_build *build) {
    struct layout *layout = build->mapped;
    BM_ASSERT(layout->source_count < BM_DATA_SOURCE_MAX);
    return &layout->source[layout->source_count++];
}

void bm_data_build_normalize(struct bm_data_build *build,
                             const double *mean,
                             const double *deviation) {
    struct layout *layout = build->mapped;
    for (uint32_t c = 0; c < layout->shape.channels; c++) {
        layout->scale[c] = (float)(1 / (255 * deviation[c]));
        layout->shift[c] = (float)(-mean[c] / deviation[c]);
    }
}

int32_t bm_data_build_finish(struct bm_data_build *build,
                             struct bm_dataset *dataset,
                             struct bm_error *error) {
    /* A writable mapping would refuse the seal. */
    (void)munmap(build->mapped, build->bytes);
    build->mapped = NULL;
    if (fcntl(build->fd, F_ADD_SEALS, SEALS) != 0) {
        int32_t status = bm_fail_errno(error, BM_STATUS_INTERNAL, "data: no seal on memory file");
        bm_data_build_abandon(build);
        return status;
    }
    int fd = build->fd;
    build->fd = -1;
    return bm_dataset_map(fd, dataset, error);
}

/* ---- Reading ---- */

static int32_t fail_layout(struct bm_error *error, const char *what) {
    return bm_fail(error, BM_STATUS_INVALID, "data: memory file: expected %s, found another", what);
}

static int is_text(const char *text, size_t capacity) {
    return memchr(text, '\0', capacity) != NULL;
}

/* Whether [offset, offset + count * size) is aligned and lies behind the header, inside the file.
 * size is at most 2^24. */
static int is_inside(uint64_t offset, uint64_t count, uint64_t size, uint64_t total_bytes) {
    return offset % ALIGNMENT == 0 && offset >= sizeof(struct layout) && offset <= total_bytes &&
           count <= BM_DATA_COUNT_MAX && count * size <= total_bytes - offset;
}

static int32_t check_split(const struct layout *layout, uint32_t split, struct bm_error *error) {
    const struct split_layout *s = &layout->split[split];
    if (s->count == 0) {
        return split == BM_SPLIT_TRAIN ? fail_layout(error, "training images") : BM_STATUS_OK;
    }
    if (s->type != BM_DATA_UINT8 && s->type != BM_DATA_FLOAT32) {
        return fail_layout(error, "a data type of uint8 or float32");
    }
    uint64_t value_size = s->type == BM_DATA_UINT8 ? 1 : sizeof(float);
    uint64_t image_size = image_values(layout->shape) * value_size;
    if (!is_inside(s->image_offset, s->count, image_size, layout->total_bytes) ||
        !is_inside(s->label_offset, s->count, sizeof(int32_t), layout->total_bytes)) {
        return fail_layout(error, "arrays inside the file");
    }
    const int32_t *labels =
        (const int32_t *)(const void *)((const uint8_t *)layout + s->label_offset);
    for (uint64_t i = 0; i < s->count; i++) {
        if (labels[i] < 0 || (uint32_t)labels[i] >= layout->class_count) {
            return fail_layout(error, "labels below the number of classes");
        }
    }
    return BM_STATUS_OK;
}

static int32_t check_normalization(const struct layout *layout, struct bm_error *error) {
    for (uint32_t c = 0; c < layout->shape.channels; c++) {
        if (!isfinite(layout->scale[c]) || !isfinite(layout->shift[c])) {
            return fail_layout(error, "finite scale and shift");
        }
    }
    return BM_STATUS_OK;
}

static int32_t check_sources(const struct layout *layout, struct bm_error *error) {
    if (layout->source_count > BM_DATA_SOURCE_MAX) {
        return fail_layout(error, "at most 8 sources");
    }
    for (uint32_t i = 0; i < layout->source_count; i++) {
        if (!is_text(layout->source[i].file, sizeof layout->source[i].file) ||
            !is_text(layout->source[i].sha256, sizeof layout->source[i].sha256)) {
            return fail_layout(error, "terminated texts");
        }
    }
    return BM_STATUS_OK;
}

static int32_t
check_layout(const struct layout *layout, uint64_t file_bytes, struct bm_error *error) {
    struct bm_shape shape = layout->shape;
    if (layout->magic != LAYOUT_MAGIC) {
        return fail_layout(error, "its magic number");
    }
    if (layout->total_bytes != file_bytes) {
        return fail_layout(error, "the size in its header");
    }
    if (!is_text(layout->name, sizeof layout->name)) {
        return fail_layout(error, "terminated texts");
    }
    if (shape.channels == 0 || shape.channels > BM_DATA_CHANNEL_MAX || shape.height == 0 ||
        shape.height > 1024 || shape.width == 0 || shape.width > 1024) {
        return fail_layout(error, "images of at most 4x1024x1024");
    }
    if (layout->class_count < 2 || layout->class_count > BM_DATA_CLASS_MAX) {
        return fail_layout(error, "2 to 65536 classes");
    }
    int32_t status = check_normalization(layout, error);
    for (uint32_t split = 0; status == BM_STATUS_OK && split < BM_SPLIT_COUNT; split++) {
        status = check_split(layout, split, error);
    }
    return status == BM_STATUS_OK ? check_sources(layout, error) : status;
}

/* Without the seals the writer could change or cut under our eyes what was checked. */
static int32_t map_sealed(struct bm_dataset *dataset, struct bm_error *error) {
    struct stat info;
    int seals = fcntl(dataset->fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS) {
        return fail_layout(error, "a memory file sealed against all changes");
    }
    if (fstat(dataset->fd, &info) != 0 || (uint64_t)info.st_size < sizeof(struct layout)) {
        return fail_layout(error, "room for its header");
    }
    void *mapped = bm_mapping_read(dataset->fd, (size_t)info.st_size);
    if (mapped == NULL) {
        return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "data: memory file: no mapping");
    }
    dataset->mapped = mapped;
    dataset->mapped_bytes = (uint64_t)info.st_size;
    return check_layout(mapped, dataset->mapped_bytes, error);
}

static void fill_views(struct bm_dataset *dataset) {
    const struct layout *layout = dataset->mapped;
    const uint8_t *base = dataset->mapped;
    memcpy(dataset->name, layout->name, sizeof dataset->name);
    memcpy(dataset->scale, layout->scale, sizeof dataset->scale);
    memcpy(dataset->shift, layout->shift, sizeof dataset->shift);
    memcpy(dataset->source, layout->source, sizeof dataset->source);
    dataset->source_count = layout->source_count;
    dataset->shape = layout->shape;
    dataset->class_count = layout->class_count;
    dataset->train_total = layout->split[BM_SPLIT_TRAIN].count;
    for (uint32_t i = 0; i < BM_SPLIT_COUNT; i++) {
        const struct split_layout *s = &layout->split[i];
        dataset->split[i] = (struct bm_data){.size = sizeof(struct bm_data), .type = s->type};
        if (s->count == 0) {
            continue;
        }
        dataset->split[i].count = s->count;
        dataset->split[i].images = base + s->image_offset;
        dataset->split[i].labels = (const int32_t *)(const void *)(base + s->label_offset);
        /* Those of the mapping, so that a dataset may be copied by assignment. */
        dataset->split[i].scale = s->type == BM_DATA_UINT8 ? layout->scale : NULL;
        dataset->split[i].shift = s->type == BM_DATA_UINT8 ? layout->shift : NULL;
    }
}

int32_t bm_dataset_map(int fd, struct bm_dataset *dataset, struct bm_error *error) {
    *dataset = (struct bm_dataset){.fd = fd};
    int32_t status = map_sealed(dataset, error);
    if (status != BM_STATUS_OK) {
        bm_dataset_close(dataset);
        return status;
    }
    fill_views(dataset);
    return BM_STATUS_OK;
}

void bm_dataset_close(struct bm_dataset *dataset) {
    if (dataset == NULL) {
        return;
    }
    if (dataset->mapped != NULL) {
        (void)munmap(dataset->mapped, dataset->mapped_bytes);
        (void)close(dataset->fd);
    } else if (dataset->fd > 0) {
        (void)close(dataset->fd);
    }
    free(dataset->held_out);
    *dataset = (struct bm_dataset){.fd = -1};
}
