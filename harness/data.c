#include "data.h"

#include "data_source.h"
#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CIFAR_TEST_COUNT 10000u

#define IDX_FILES                                                                                  \
    {                                                                                              \
        "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",            \
            "t10k-labels-idx1-ubyte"                                                               \
    }

const char *const bm_data_names[] = {"fashion-mnist", "mnist",     "cifar10",
                                     "cifar100",      "synthetic", NULL};

/* Means and deviations are those of the training images as they are commonly published, rounded to
 * four digits; the data test recomputes them. Digests are of the unpacked originals. */
static const struct bm_data_set sets[] = {
    {
        .name = "fashion-mnist",
        .format = BM_DATA_FORMAT_IDX,
        .class_count = 10,
        .files = IDX_FILES,
        .file_count = 4,
        .mean = {0.2860},
        .deviation = {0.3530},
        .hint = "Debian: dataset-fashion-mnist; or `batchmark data fetch fashion-mnist`",
        .mirrors = {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"},
        .content_sha256 = {"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                           "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                           "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                           "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
    },
    {
        .name = "mnist",
        .format = BM_DATA_FORMAT_IDX,
        .class_count = 10,
        .folders = {"MNIST"},
        .files = IDX_FILES,
        .file_count = 4,
        .mean = {0.1307},
        .deviation = {0.3081},
        .hint = "`batchmark data fetch mnist`",
        .mirrors = {"https://storage.googleapis.com/cvdf-datasets/mnist",
                    "https://ossci-datasets.s3.amazonaws.com/mnist"},
        .content_sha256 = {"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                           "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                           "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                           "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
    },
    {
        .name = "cifar10",
        .format = BM_DATA_FORMAT_CIFAR,
        .class_count = 10,
        .folders = {"cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar-10"},
        .files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                  "data_batch_5.bin", "test_batch.bin"},
        .file_count = 6,
        .file_records = 10000,
        .mean = {0.4914, 0.4822, 0.4465},
        .deviation = {0.2470, 0.2435, 0.2616},
        .hint = "`batchmark data fetch cifar10`",
        .mirrors = {"https://www.cs.toronto.edu/~kriz"},
        .archive = "cifar-10-binary.tar.gz",
        .archive_sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    },
    {
        .name = "cifar100",
        .format = BM_DATA_FORMAT_CIFAR,
        .class_count = 100,
        .folders = {"cifar-100-binary", "cifar100/cifar-100-binary", "cifar-100"},
        .files = {"train.bin", "test.bin"},
        .file_count = 2,
        .file_records = 50000,
        .mean = {0.5071, 0.4865, 0.4409},
        .deviation = {0.2673, 0.2564, 0.2762},
        .hint = "`batchmark data fetch cifar100`",
        .mirrors = {"https://www.cs.toronto.edu/~kriz"},
        .archive = "cifar-100-binary.tar.gz",
        .archive_sha256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    },
    {
        .name = "synthetic",
        .format = BM_DATA_FORMAT_SYNTHETIC,
        .class_count = 10,
        .hint = "made from the seed",
    },
};

const struct bm_data_set *bm_data_set_find(const char *name) {
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (strcmp(name, sets[i].name) == 0) {
            return &sets[i];
        }
        for (int f = 0; f < 3 && sets[i].folders[f] != NULL; f++) {
            if (strcmp(name, sets[i].folders[f]) == 0) {
                return &sets[i];
            }
        }
    }
    return NULL;
}

/* ---- Summary ---- */

/* Image and label file number `first` and `first + 1`: equal counts, one shape. */
static int32_t summarize_pair(const struct bm_data_location *location,
                              uint32_t first,
                              struct bm_shape *shape,
                              uint64_t *count,
                              struct bm_error *error) {
    struct bm_data_file file;
    uint64_t label_count = 0;
    int32_t status = bm_data_file_open(location->paths[first], &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_idx_images(&file, count, shape, error);
    bm_data_file_close(&file);
    if (status == BM_STATUS_OK) {
        status = bm_data_file_open(location->paths[first + 1], &file, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_idx_labels(&file, &label_count, error);
    bm_data_file_close(&file);
    if (status == BM_STATUS_OK && label_count != *count) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: offset 4: expected %" PRIu64 " labels, as many as there are images, "
                       "found %" PRIu64,
                       location->paths[first + 1], *count, label_count);
    }
    return status;
}

int32_t bm_data_summarize(const struct bm_data_set *set,
                          const struct bm_data_location *location,
                          struct bm_data_summary *summary,
                          struct bm_error *error) {
    struct bm_shape test_shape;
    *summary = (struct bm_data_summary){.class_count = set->class_count};
    if (set->format == BM_DATA_FORMAT_CIFAR) {
        summary->shape = (struct bm_shape){3, 32, 32};
        summary->train_count = (uint64_t)set->file_records * (set->file_count - 1);
        summary->test_count = CIFAR_TEST_COUNT;
        return BM_STATUS_OK;
    }
    int32_t status = summarize_pair(location, 0, &summary->shape, &summary->train_count, error);
    if (status == BM_STATUS_OK) {
        status = summarize_pair(location, 2, &test_shape, &summary->test_count, error);
    }
    if (status == BM_STATUS_OK &&
        (test_shape.height != summary->shape.height || test_shape.width != summary->shape.width)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: offset 8: expected %ux%u pixels, as in the training images, found "
                       "%ux%u",
                       location->paths[2], summary->shape.height, summary->shape.width,
                       test_shape.height, test_shape.width);
    }
    return status;
}

/* ---- Content ---- */

static int32_t load_idx_images(struct bm_data_build *build,
                               const char *path,
                               uint32_t split,
                               struct bm_error *error) {
    struct bm_data_file file;
    struct bm_shape shape;
    uint64_t count = 0;
    int32_t status = bm_data_file_open(path, &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_idx_images(&file, &count, &shape, error);
    uint64_t expected =
        split == BM_SPLIT_TRAIN ? build->summary.train_count : build->summary.test_count;
    if (status == BM_STATUS_OK &&
        (count != expected || shape.height != build->summary.shape.height ||
         shape.width != build->summary.shape.width)) {
        status =
            bm_fail(error, BM_STATUS_INVALID, "%s: expected the same file, found it changed", path);
    }
    if (status == BM_STATUS_OK) {
        status = bm_data_file_read(&file, bm_data_build_images(build, split),
                                   count * shape.height * shape.width, "pixels", error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_data_file_finish(&file, bm_data_build_source(build), error);
    }
    bm_data_file_close(&file);
    return status;
}

static int32_t load_idx_labels(struct bm_data_build *build,
                               const char *path,
                               uint32_t split,
                               struct bm_error *error) {
    struct bm_data_file file;
    uint64_t count = 0;
    int32_t status = bm_data_file_open(path, &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_idx_labels(&file, &count, error);
    uint64_t expected =
        split == BM_SPLIT_TRAIN ? build->summary.train_count : build->summary.test_count;
    if (status == BM_STATUS_OK && count != expected) {
        status =
            bm_fail(error, BM_STATUS_INVALID, "%s: expected the same file, found it changed", path);
    }
    if (status == BM_STATUS_OK) {
        status = bm_idx_read_labels(&file, count, build->summary.class_count,
                                    bm_data_build_labels(build, split), error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_data_file_finish(&file, bm_data_build_source(build), error);
    }
    bm_data_file_close(&file);
    return status;
}

static int32_t load_idx(struct bm_data_build *build,
                        const struct bm_data_location *location,
                        struct bm_error *error) {
    static const uint32_t splits[] = {BM_SPLIT_TRAIN, BM_SPLIT_TEST};
    int32_t status = BM_STATUS_OK;
    for (size_t i = 0; status == BM_STATUS_OK && i < 2; i++) {
        status = load_idx_images(build, location->paths[2 * i], splits[i], error);
        if (status == BM_STATUS_OK) {
            status = load_idx_labels(build, location->paths[2 * i + 1], splits[i], error);
        }
    }
    return status;
}

/* File number `number`: the last one is the test's, the others follow each other. */
static int32_t load_cifar_file(struct bm_data_build *build,
                               const struct bm_data_set *set,
                               const char *path,
                               uint32_t number,
                               struct bm_error *error) {
    struct bm_data_file file;
    int is_test = number == set->file_count - 1;
    uint32_t split = is_test ? BM_SPLIT_TEST : BM_SPLIT_TRAIN;
    uint64_t first = is_test ? 0 : (uint64_t)number * set->file_records;
    uint64_t count = is_test ? CIFAR_TEST_COUNT : set->file_records;
    int32_t status = bm_data_file_open(path, &file, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = bm_cifar_read(&file, count, set->class_count,
                           bm_data_build_images(build, split) + first * BM_CIFAR_PIXELS,
                           bm_data_build_labels(build, split) + first, error);
    if (status == BM_STATUS_OK) {
        status = bm_data_file_finish(&file, bm_data_build_source(build), error);
    }
    bm_data_file_close(&file);
    return status;
}

static int32_t load_cifar(struct bm_data_build *build,
                          const struct bm_data_set *set,
                          const struct bm_data_location *location,
                          struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; status == BM_STATUS_OK && i < set->file_count; i++) {
        status = load_cifar_file(build, set, location->paths[i], i, error);
    }
    return status;
}

/* MNIST and Fashion-MNIST have the same file names and sizes; the small label file tells them
 * apart. */
static int32_t check_not_another(const struct bm_data_set *set,
                                 const struct bm_data_location *location,
                                 struct bm_error *error) {
    char digest[65];
    int32_t status = bm_data_content_digest(location->paths[1], digest, error);
    for (size_t i = 0; status == BM_STATUS_OK && i < sizeof sets / sizeof sets[0]; i++) {
        if (&sets[i] != set && sets[i].content_sha256[1] != NULL &&
            strcmp(digest, sets[i].content_sha256[1]) == 0) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "%s: expected the labels of %s, found those of %s", location->paths[1],
                           set->name, sets[i].name);
        }
    }
    return status;
}

static int32_t load_files(const struct bm_data_set *set,
                          const struct bm_data_location *location,
                          struct bm_dataset *dataset,
                          struct bm_error *error) {
    struct bm_data_build build;
    struct bm_data_summary summary;
    int is_idx = set->format == BM_DATA_FORMAT_IDX;
    int32_t status = bm_data_summarize(set, location, &summary, error);
    if (status == BM_STATUS_OK && is_idx) {
        status = check_not_another(set, location, error);
    }
    if (status == BM_STATUS_OK) {
        status = bm_data_build_begin(&build, set->name, &summary, error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = is_idx ? load_idx(&build, location, error) : load_cifar(&build, set, location, error);
    if (status != BM_STATUS_OK) {
        bm_data_build_abandon(&build);
        return status;
    }
    bm_data_build_normalize(&build, set->mean, set->deviation);
    return bm_data_build_finish(&build, dataset, error);
}

int32_t bm_dataset_open(const char *name,
                        const char *data_dir,
                        const struct bm_data_synthetic *synthetic,
                        struct bm_dataset *dataset,
                        struct bm_error *error) {
    struct bm_data_location location;
    const struct bm_data_set *set = bm_data_set_find(name);
    *dataset = (struct bm_dataset){.fd = -1};
    if (set == NULL || strcmp(set->name, name) != 0) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "dataset: expected fashion-mnist, mnist, cifar10, cifar100 or synthetic, "
                       "found \"%.64s\"",
                       name);
    }
    if (set->format == BM_DATA_FORMAT_SYNTHETIC) {
        return bm_synthetic_open(synthetic, dataset, error);
    }
    int32_t status = bm_data_locate(set, data_dir, &location, error);
    return status == BM_STATUS_OK ? load_files(set, &location, dataset, error) : status;
}
