/* Data sets: the search for their files, what does not fit together, the memory file and what a
 * worker believes of it, synthetic images, and the constants of real data where it is present. */
#include "data.h"
#include "data_source.h"
#include "mapping.h"
#include "test.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/bm_data_test_XXXXXX";

/* A path below the test's folder; good until the call after the next. */
static const char *below(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *below(const char *format, ...) {
    static char paths[2][512];
    static int turn;
    char *path = paths[turn ^= 1];
    int length = snprintf(path, sizeof paths[0], "%s/", top);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(path + length, sizeof paths[0] - (size_t)length, format, arguments);
    va_end(arguments);
    return path;
}

static void remove_all(void) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", top);
    TEST_CHECK(system(command) == 0);
}

static void make_folder(const char *name) {
    TEST_CHECK(mkdir(below("%s", name), 0700) == 0);
}

static void write_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    TEST_CHECK(file != NULL && fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

/* ---- Small idx sets ---- */

static void write_images(const char *path, uint8_t count, uint8_t side, uint8_t first_pixel) {
    uint8_t bytes[16 + 8 * 16] = {0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, side, 0, 0, 0, side};
    for (size_t i = 0; i < (size_t)count * side * side; i++) {
        bytes[16 + i] = (uint8_t)(first_pixel + i);
    }
    write_file(path, bytes, 16 + (size_t)count * side * side);
}

static void write_labels(const char *path, uint8_t count) {
    uint8_t bytes[8 + 16] = {0, 0, 8, 1, 0, 0, 0, count};
    for (uint8_t i = 0; i < count; i++) {
        bytes[8 + i] = i;
    }
    write_file(path, bytes, 8u + count);
}

/* 5 training and 3 test images of 4x4 in a folder. */
static void write_set(const char *folder, uint8_t first_pixel) {
    write_images(below("%s/train-images-idx3-ubyte", folder), 5, 4, first_pixel);
    write_labels(below("%s/train-labels-idx1-ubyte", folder), 5);
    write_images(below("%s/t10k-images-idx3-ubyte", folder), 3, 4, 100);
    write_labels(below("%s/t10k-labels-idx1-ubyte", folder), 3);
}

static struct bm_dataset opened(const char *name, const char *data_dir) {
    struct bm_dataset dataset;
    struct bm_error error = {.text = ""};
    TEST_CHECK_MSG(bm_dataset_open(name, data_dir, NULL, &dataset, &error) == BM_STATUS_OK, "%s",
                   error.text);
    return dataset;
}

static const uint8_t *train_pixels(const struct bm_dataset *dataset) {
    return dataset->split[BM_SPLIT_TRAIN].images;
}

static void test_open(void) {
    make_folder("one");
    write_set("one", 7);
    struct bm_dataset dataset = opened("mnist", below("one"));
    TEST_CHECK_STR(dataset.name, "mnist");
    TEST_CHECK(dataset.shape.channels == 1 && dataset.shape.height == 4);
    TEST_CHECK(dataset.class_count == 10 && dataset.source_count == 4);
    TEST_CHECK_STR(dataset.source[1].file, "train-labels-idx1-ubyte");
    TEST_CHECK(strlen(dataset.source[3].sha256) == 64);
    TEST_CHECK(dataset.split[BM_SPLIT_TRAIN].count == 5 && dataset.split[BM_SPLIT_TEST].count == 3);
    TEST_CHECK(dataset.split[BM_SPLIT_VALIDATION].count == 0);
    for (uint8_t i = 0; i < 80; i++) {
        TEST_CHECK(train_pixels(&dataset)[i] == i + 7);
    }
    TEST_CHECK(dataset.split[BM_SPLIT_TEST].labels[2] == 2);
    TEST_CHECK((uintptr_t)dataset.split[BM_SPLIT_TEST].images % 64 == 0);
    TEST_CHECK((uintptr_t)dataset.split[BM_SPLIT_TRAIN].labels % 64 == 0);
    /* pixel / 255 of mean .1307 and deviation .3081 */
    double input = (double)dataset.split[0].scale[0] * 128 + (double)dataset.split[0].shift[0];
    TEST_CHECK(fabs(input - (128 / 255.0 - 0.1307) / 0.3081) < 1e-6);
    bm_dataset_close(&dataset);
    TEST_CHECK(dataset.mapped == NULL);
    bm_dataset_close(&dataset);
    bm_dataset_close(NULL);
}

/* --data-dir, $BATCHMARK_DATA, the XDG folder; in each ROOT/mnist, ROOT/MNIST, ROOT. */
static void check_first_pixel(const char *data_dir, uint8_t expected) {
    struct bm_dataset dataset = opened("mnist", data_dir);
    TEST_CHECK_MSG(train_pixels(&dataset)[0] == expected, "found %d, expected %d",
                   train_pixels(&dataset)[0], expected);
    bm_dataset_close(&dataset);
}

static void test_search_order(void) {
    make_folder("home");
    make_folder("home/.local");
    make_folder("home/.local/share");
    make_folder("home/.local/share/batchmark");
    make_folder("home/.local/share/batchmark/mnist");
    write_set("home/.local/share/batchmark/mnist", 10);
    TEST_CHECK(setenv("HOME", below("home"), 1) == 0);
    check_first_pixel(NULL, 10);
    make_folder("xdg");
    make_folder("xdg/batchmark");
    make_folder("xdg/batchmark/MNIST");
    write_set("xdg/batchmark/MNIST", 11);
    TEST_CHECK(setenv("XDG_DATA_HOME", below("xdg"), 1) == 0);
    check_first_pixel(NULL, 11);
    make_folder("env");
    write_set("env", 12);
    char folders[300];
    (void)snprintf(folders, sizeof folders, "%s:%s", below("absent"), below("env"));
    TEST_CHECK(setenv("BATCHMARK_DATA", folders, 1) == 0);
    check_first_pixel(NULL, 12);
    make_folder("dir");
    write_set("dir", 13);
    check_first_pixel(below("dir"), 13);
    make_folder("dir/MNIST");
    write_set("dir/MNIST", 14);
    check_first_pixel(below("dir"), 14);
    make_folder("dir/mnist");
    write_set("dir/mnist", 15);
    check_first_pixel(below("dir"), 15);
    check_first_pixel(below("empty"), 12);
    TEST_CHECK(unsetenv("BATCHMARK_DATA") == 0 && unsetenv("XDG_DATA_HOME") == 0);
}

/* A folder called like another data set is not taken for this one. */
static void test_folder_of_another(void) {
    struct bm_dataset dataset;
    struct bm_error error;
    make_folder("fashion-mnist");
    write_set("fashion-mnist", 20);
    TEST_CHECK(setenv("HOME", below("absent"), 1) == 0);
    TEST_CHECK(bm_dataset_open("mnist", below("fashion-mnist"), NULL, &dataset, &error) ==
               BM_STATUS_INVALID);
    dataset = opened("fashion-mnist", below("fashion-mnist"));
    TEST_CHECK(train_pixels(&dataset)[0] == 20);
    bm_dataset_close(&dataset);
}

static void refused(const char *name, const char *data_dir, const char *expected) {
    struct bm_dataset dataset;
    struct bm_error error = {.text = ""};
    TEST_CHECK_MSG(bm_dataset_open(name, data_dir, NULL, &dataset, &error) == BM_STATUS_INVALID,
                   "expected \"%s\"", expected);
    TEST_CHECK(error.code == BM_STATUS_INVALID && dataset.mapped == NULL);
    TEST_CHECK_STR(error.text, expected);
    bm_dataset_close(&dataset);
}

static void test_not_found(void) {
    char expected[512];
    TEST_CHECK(setenv("XDG_DATA_HOME", "/nonexistent", 1) == 0);
    (void)snprintf(expected, sizeof expected,
                   "cifar100: expected train.bin[.gz] in or below %s, /nonexistent/batchmark, "
                   "/usr/share/datasets, found none (`batchmark data fetch cifar100`)",
                   top);
    refused("cifar100", top, expected);
    TEST_CHECK(unsetenv("XDG_DATA_HOME") == 0);
    refused("imagenet", NULL,
            "dataset: expected fashion-mnist, mnist, cifar10, cifar100 or synthetic, found "
            "\"imagenet\"");
    refused("MNIST", NULL,
            "dataset: expected fashion-mnist, mnist, cifar10, cifar100 or synthetic, found "
            "\"MNIST\"");
}

static void test_files_that_do_not_fit(void) {
    char expected[512];
    make_folder("bad");
    write_set("bad", 1);
    TEST_CHECK(unlink(below("bad/t10k-labels-idx1-ubyte")) == 0);
    (void)snprintf(expected, sizeof expected,
                   "mnist: %s/bad: expected t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz, "
                   "found neither",
                   top);
    refused("mnist", below("bad"), expected);
    write_labels(below("bad/t10k-labels-idx1-ubyte"), 4);
    (void)snprintf(expected, sizeof expected,
                   "%s/bad/t10k-labels-idx1-ubyte: offset 4: expected 3 labels, as many as there "
                   "are images, found 4",
                   top);
    refused("mnist", below("bad"), expected);
    write_set("bad", 1);
    write_images(below("bad/t10k-images-idx3-ubyte"), 3, 3, 1);
    (void)snprintf(expected, sizeof expected,
                   "%s/bad/t10k-images-idx3-ubyte: offset 8: expected 4x4 pixels, as in the "
                   "training images, found 3x3",
                   top);
    refused("mnist", below("bad"), expected);
}

/* ---- CIFAR as a set ---- */

/* 10 000 records, gzip'd: label n % 10, every pixel of record n is n + number. */
static void write_cifar_file(const char *path, uint8_t number) {
    static uint8_t record[3073];
    gzFile file = gzopen(path, "wb1");
    TEST_CHECK(file != NULL);
    for (uint32_t n = 0; n < 10000; n++) {
        memset(record, (int)((n + number) & 255), sizeof record);
        record[0] = (uint8_t)(n % 10);
        TEST_CHECK(gzwrite(file, record, sizeof record) == sizeof record);
    }
    TEST_CHECK(gzclose(file) == Z_OK);
}

static void test_cifar10(void) {
    make_folder("cifar");
    make_folder("cifar/cifar-10-batches-bin");
    for (uint8_t i = 1; i <= 5; i++) {
        write_cifar_file(below("cifar/cifar-10-batches-bin/data_batch_%d.bin.gz", i), i);
    }
    write_cifar_file(below("cifar/cifar-10-batches-bin/test_batch.bin.gz"), 77);
    struct bm_dataset dataset = opened("cifar10", below("cifar"));
    TEST_CHECK(dataset.split[BM_SPLIT_TRAIN].count == 50000);
    TEST_CHECK(dataset.split[BM_SPLIT_TEST].count == 10000 && dataset.source_count == 6);
    TEST_CHECK(dataset.shape.channels == 3 && dataset.shape.width == 32);
    for (size_t n = 0; n < 50000; n += 1234) {
        TEST_CHECK(dataset.split[BM_SPLIT_TRAIN].labels[n] == (int32_t)(n % 10));
        size_t expected = (n % 10000 + 1 + n / 10000) & 255;
        TEST_CHECK(train_pixels(&dataset)[n * 3072] == expected);
        TEST_CHECK(train_pixels(&dataset)[n * 3072 + 3071] == expected);
    }
    const uint8_t *test = dataset.split[BM_SPLIT_TEST].images;
    TEST_CHECK(test[0] == 77 && test[9999 * 3072] == ((9999 + 77) & 255));
    bm_dataset_close(&dataset);
}

/* ---- Synthetic ---- */

static struct bm_dataset synthesized(uint64_t seed) {
    const struct bm_data_synthetic asked = {{2, 6, 5}, 3, 400, 100, seed};
    struct bm_dataset dataset;
    struct bm_error error = {.text = ""};
    TEST_CHECK_MSG(bm_dataset_open("synthetic", NULL, &asked, &dataset, &error) == BM_STATUS_OK,
                   "%s", error.text);
    return dataset;
}

static void check_normalized(const struct bm_dataset *dataset, double tolerance) {
    uint64_t plane = (uint64_t)dataset->shape.height * dataset->shape.width;
    uint64_t count = dataset->split[BM_SPLIT_TRAIN].count;
    for (uint32_t c = 0; c < dataset->shape.channels; c++) {
        double sum = 0;
        double squares = 0;
        for (uint64_t n = 0; n < count; n++) {
            const uint8_t *pixels =
                train_pixels(dataset) + (n * dataset->shape.channels + c) * plane;
            for (uint64_t i = 0; i < plane; i++) {
                double x = (double)dataset->scale[c] * pixels[i] + (double)dataset->shift[c];
                sum += x;
                squares += x * x;
            }
        }
        double mean = sum / (double)(count * plane);
        double deviation = sqrt(squares / (double)(count * plane) - mean * mean);
        TEST_CHECK_MSG(fabs(mean) < tolerance && fabs(deviation - 1) < tolerance,
                       "%s channel %u: mean %g, deviation %g", dataset->name, c, mean, deviation);
    }
}

/* Nearest mean image of each class, from the training images, must know most test images. */
static double nearest_mean_accuracy(const struct bm_dataset *dataset) {
    static double means[3][60];
    double counts[3] = {0, 0, 0};
    const struct bm_data *train = &dataset->split[BM_SPLIT_TRAIN];
    const struct bm_data *test = &dataset->split[BM_SPLIT_TEST];
    const uint8_t *pixels = test->images;
    memset(means, 0, sizeof means);
    for (uint64_t n = 0; n < train->count; n++) {
        counts[train->labels[n]]++;
        for (uint64_t i = 0; i < 60; i++) {
            means[train->labels[n]][i] += train_pixels(dataset)[n * 60 + i];
        }
    }
    uint32_t correct = 0;
    for (uint64_t n = 0; n < test->count; n++) {
        double best = INFINITY;
        int32_t nearest = -1;
        for (int32_t k = 0; k < 3; k++) {
            double distance = 0;
            for (uint64_t i = 0; i < 60; i++) {
                double gap = pixels[n * 60 + i] - means[k][i] / counts[k];
                distance += gap * gap;
            }
            nearest = distance < best ? k : nearest;
            best = distance < best ? distance : best;
        }
        correct += nearest == test->labels[n];
    }
    return correct / (double)test->count;
}

static void test_synthetic(void) {
    struct bm_dataset one = synthesized(1);
    struct bm_dataset again = synthesized(1);
    struct bm_dataset other = synthesized(2);
    TEST_CHECK(one.shape.channels == 2 && one.class_count == 3 && one.source_count == 0);
    TEST_CHECK(one.split[BM_SPLIT_TRAIN].count == 400 && one.split[BM_SPLIT_TEST].count == 100);
    TEST_CHECK(memcmp(one.split[0].images, again.split[0].images, 400 * 60) == 0);
    TEST_CHECK(memcmp(one.split[0].labels, again.split[0].labels, 400 * sizeof(int32_t)) == 0);
    TEST_CHECK(memcmp(one.split[0].images, other.split[0].images, 400 * 60) != 0);
    TEST_CHECK(memcmp(one.split[0].images, one.split[2].images, 100 * 60) != 0);
    check_normalized(&one, 1e-5);
    TEST_CHECK(nearest_mean_accuracy(&one) > 0.95);
    bm_dataset_close(&one);
    bm_dataset_close(&again);
    bm_dataset_close(&other);
    one = opened("synthetic", NULL);
    TEST_CHECK(one.split[0].count == 60000 && one.split[2].count == 10000);
    TEST_CHECK(one.shape.height == 28 && one.class_count == 10);
    bm_dataset_close(&one);
}

static void test_absurd_synthetic(void) {
    struct bm_dataset dataset;
    struct bm_error error = {.text = ""};
    const struct bm_data_synthetic huge = {{4, 1024, 1024}, 10, UINT64_C(1) << 31, 1, 0};
    TEST_CHECK(bm_dataset_open("synthetic", NULL, &huge, &dataset, &error) == BM_STATUS_NO_MEMORY);
    TEST_CONTAINS(error.text, "bytes of this machine, found a need of 9007207848871232");
    const struct bm_data_synthetic wide = {{1, 1, 5000}, 10, 1, 1, 0};
    TEST_CHECK(bm_dataset_open("synthetic", NULL, &wide, &dataset, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "data: expected images of at most 4x1024x1024, found 1x1x5000");
}

/* ---- The memory file ---- */

static void test_sealed(void) {
    struct bm_dataset dataset = synthesized(1);
    char byte = 0;
    TEST_CHECK(write(dataset.fd, &byte, 1) < 0);
    TEST_CHECK(ftruncate(dataset.fd, 1) < 0);
    TEST_CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, dataset.fd, 0) == MAP_FAILED);
    bm_dataset_close(&dataset);
}

/* From a multiple of 2 MiB on, the last part of a huge page too; a bad file is an error. */
static void test_mapping(void) {
    const size_t bytes = ((size_t)5 << 20) + 12345;
    int fd = memfd_create("mapping", MFD_CLOEXEC);
    TEST_CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    uint8_t last = 77;
    TEST_CHECK(pwrite(fd, &last, 1, (off_t)bytes - 1) == 1);
    void *mapped = bm_mapping_read(fd, bytes);
    const uint8_t *values = mapped;
    TEST_CHECK(mapped != NULL && (uintptr_t)mapped % ((size_t)2 << 20) == 0);
    TEST_CHECK(values[0] == 0 && values[bytes / 2] == 0 && values[bytes - 1] == last);
    TEST_CHECK(munmap(mapped, bytes) == 0);
    TEST_CHECK(close(fd) == 0);
    TEST_CHECK(bm_mapping_read(fd, bytes) == NULL);
}

#define SEALS_ALL (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* Maps a copy of a good memory file in which `size` bytes at `offset` are replaced. */
static int32_t map_patched(const struct bm_dataset *good,
                           size_t offset,
                           const void *bytes,
                           size_t size,
                           uint64_t length,
                           int seals,
                           struct bm_error *error) {
    struct bm_dataset dataset;
    int fd = memfd_create("patched", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    TEST_CHECK(fd >= 0);
    TEST_CHECK(write(fd, good->mapped, length) == (ssize_t)length);
    TEST_CHECK(pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size);
    TEST_CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
    int32_t status = bm_dataset_map(fd, &dataset, error);
    if (status == BM_STATUS_OK) {
        TEST_CHECK(memcmp(dataset.split[0].images, good->split[0].images, 400 * 60) == 0);
    } else {
        TEST_CHECK(fcntl(fd, F_GETFD) < 0); /* given back, not leaked */
    }
    bm_dataset_close(&dataset);
    return status;
}

static void check_patch(const struct bm_dataset *good,
                        size_t offset,
                        const void *bytes,
                        size_t size,
                        const char *expected) {
    struct bm_error error = {.text = ""};
    int32_t status = map_patched(good, offset, bytes, size, good->mapped_bytes, SEALS_ALL, &error);
    TEST_CHECK_MSG(status == BM_STATUS_INVALID, "expected %s", expected);
    char whole[256];
    (void)snprintf(whole, sizeof whole, "data: memory file: expected %s, found another", expected);
    TEST_CHECK_STR(error.text, whole);
}

#define PATCH_U64(offset, value, expected)                                                         \
    check_patch(&good, (offset), (uint64_t[]){(value)}, 8, (expected))
#define PATCH_U32(offset, value, expected)                                                         \
    check_patch(&good, (offset), (uint32_t[]){(value)}, 4, (expected))

/* Offsets of the layout: magic 0, total 8, name 16, shape 48, classes 60, scale 64, shift 80,
 * splits 96 (32 each: count, images, labels, type), source count 192, sources 200 (129 each). */
static void test_map_believes_nothing(void) {
    struct bm_dataset good = synthesized(1);
    struct bm_error error = {.text = ""};
    uint64_t total = good.mapped_bytes;
    TEST_CHECK(map_patched(&good, 16, "s", 1, total, SEALS_ALL, &error) == BM_STATUS_OK);
    TEST_CHECK(map_patched(&good, 16, "s", 1, total, F_SEAL_SHRINK | F_SEAL_WRITE, &error) < 0);
    TEST_CONTAINS(error.text, "sealed against all changes");
    TEST_CHECK(map_patched(&good, 16, "s", 1, 100, SEALS_ALL, &error) < 0);
    TEST_CONTAINS(error.text, "room for its header");
    TEST_CHECK(map_patched(&good, 16, "s", 1, total - 64, SEALS_ALL, &error) < 0);
    TEST_CONTAINS(error.text, "the size in its header");
    PATCH_U64(0, 1, "its magic number");
    PATCH_U64(8, total + 64, "the size in its header");
    check_patch(&good, 16, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32, "terminated texts");
    PATCH_U32(48, 0, "images of at most 4x1024x1024");
    PATCH_U32(48, 5, "images of at most 4x1024x1024");
    PATCH_U32(52, 1025, "images of at most 4x1024x1024");
    PATCH_U32(56, 0xffffffff, "images of at most 4x1024x1024");
    PATCH_U32(60, 1, "2 to 65536 classes");
    PATCH_U32(60, 65537, "2 to 65536 classes");
    PATCH_U32(60, 2, "labels below the number of classes");
    PATCH_U32(64, 0x7fc00000, "finite scale and shift");
    PATCH_U32(80, 0xff800000, "finite scale and shift");
    PATCH_U64(96, 0, "training images");
    PATCH_U64(96, 401 * 60, "arrays inside the file");
    PATCH_U64(96, UINT64_MAX, "arrays inside the file");
    PATCH_U64(96, UINT64_C(1) << 62, "arrays inside the file"); /* times 60 or 4 is 0 mod 2^64 */
    PATCH_U64(104, total + 64, "arrays inside the file");
    uint64_t images =
        (uint64_t)((const uint8_t *)good.split[0].images - (const uint8_t *)good.mapped);
    PATCH_U64(104, images + 8, "arrays inside the file");
    PATCH_U64(104, UINT64_MAX - 63, "arrays inside the file");
    PATCH_U64(104, 64, "arrays inside the file");
    PATCH_U64(112, 8, "arrays inside the file");
    PATCH_U64(112, total - 64, "arrays inside the file");
    PATCH_U32(120, 2, "a data type of uint8 or float32");
    PATCH_U64(96 + 64 + 16, 0, "arrays inside the file");
    PATCH_U32(192, 9, "at most 8 sources");
    const uint8_t *labels = (const uint8_t *)good.split[0].labels;
    size_t label_offset = (size_t)(labels - (const uint8_t *)good.mapped);
    PATCH_U32(label_offset + 4 * 399, 3, "labels below the number of classes");
    PATCH_U32(label_offset, 0xffffffff, "labels below the number of classes");
    bm_dataset_close(&good);
}

static void test_map_of_something_else(void) {
    struct bm_dataset dataset;
    struct bm_error error;
    TEST_CHECK(bm_dataset_map(open("/dev/null", O_RDONLY | O_CLOEXEC), &dataset, &error) ==
               BM_STATUS_INVALID);
    TEST_CHECK(bm_dataset_map(-1, &dataset, &error) == BM_STATUS_INVALID);
}

/* A source without an end must not be read past it. */
static void test_map_checks_sources(void) {
    char long_text[64];
    memset(long_text, 'a', sizeof long_text);
    make_folder("sources");
    write_set("sources", 1);
    struct bm_dataset good = opened("mnist", below("sources"));
    check_patch(&good, 200, long_text, sizeof long_text, "terminated texts");
    bm_dataset_close(&good);
}

/* ---- Real data, where it is ---- */

static void check_real(const char *name, uint64_t train_count) {
    struct bm_dataset dataset;
    struct bm_error error = {.text = ""};
    if (bm_dataset_open(name, NULL, NULL, &dataset, &error) != BM_STATUS_OK) {
        TEST_CONTAINS(error.text, "found none"); /* absent is fine, damaged is not */
        printf("not checked: %s\n", error.text);
        return;
    }
    TEST_CHECK(dataset.split[BM_SPLIT_TRAIN].count == train_count);
    TEST_CHECK(dataset.split[BM_SPLIT_TEST].count == 10000);
    /* The constants have four digits: 0.00005 of a deviation of about 0.25. */
    check_normalized(&dataset, 4e-4);
    bm_dataset_close(&dataset);
}

/* The distribution's Fashion-MNIST, put where MNIST is looked for. */
static void test_other_labels(void) {
    struct bm_dataset dataset;
    struct bm_error error;
    static const char *const files[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    if (access("/usr/share/datasets/fashion-mnist", F_OK) != 0) {
        printf("not checked: MNIST and Fashion-MNIST told apart (no Fashion-MNIST here)\n");
        return;
    }
    make_folder("mixed");
    make_folder("mixed/mnist");
    for (int i = 0; i < 4; i++) {
        char from[128];
        (void)snprintf(from, sizeof from, "/usr/share/datasets/fashion-mnist/%s.gz", files[i]);
        TEST_CHECK(symlink(from, below("mixed/mnist/%s.gz", files[i])) == 0);
    }
    TEST_CHECK(bm_dataset_open("mnist", below("mixed"), NULL, &dataset, &error) ==
               BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected the labels of mnist, found those of fashion-mnist");
}

int main(void) {
    TEST_CHECK(mkdtemp(top) != NULL);
    check_real("fashion-mnist", 60000);
    check_real("mnist", 60000);
    check_real("cifar10", 50000);
    check_real("cifar100", 50000);
    TEST_CHECK(unsetenv("BATCHMARK_DATA") == 0 && unsetenv("XDG_DATA_HOME") == 0);
    test_open();
    test_search_order();
    test_folder_of_another();
    test_not_found();
    test_files_that_do_not_fit();
    test_cifar10();
    test_synthetic();
    test_absurd_synthetic();
    test_sealed();
    test_mapping();
    test_map_believes_nothing();
    test_map_of_something_else();
    test_map_checks_sources();
    test_other_labels();
    remove_all();
    return 0;
}
