#include "expected.h"

#include "error.h"
#include "parallel.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAGIC UINT64_C(0x3150584543544142) /* "BATCEXP1" */

struct file_entry {
    uint64_t batch;
    uint64_t data_parallel;
    uint64_t is_undetermined;
    double loss;
    double loss_bound;
};

/* The file: this header, then for each entry gradient, bound [param_count], statistics, bound
 * [statistics_count]. */
struct file_header {
    uint64_t magic;
    uint64_t param_count;
    uint64_t statistics_count;
    uint64_t entry_count;
    struct file_entry entry[BM_EXPECTED_MAX];
};

static uint64_t entry_bytes(const struct file_header *header) {
    return 2 * (header->param_count + header->statistics_count) * sizeof(double);
}

/* ---- The check's order ---- */

int32_t bm_expected_order(
    uint64_t seed, uint64_t image_count, uint64_t batch, uint32_t *order, struct bm_error *error) {
    uint32_t *permutation = malloc(image_count * sizeof *permutation);
    if (permutation == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "check: no memory for its order");
    }
    bm_random_permutation(seed, 0, permutation, (uint32_t)image_count);
    if (batch < BM_EXPECTED_IMAGES || image_count <= BM_EXPECTED_IMAGES) {
        for (uint64_t i = 0; i < batch; i++) {
            order[i] = permutation[i % image_count];
        }
    } else {
        struct bm_random random;
        bm_random_init(&random, seed, BM_RANDOM_CHECK, (uint32_t)batch);
        for (uint64_t i = 0; i < batch; i++) {
            order[i] = permutation[bm_random_below(&random, BM_EXPECTED_IMAGES)];
        }
    }
    free(permutation);
    return BM_STATUS_OK;
}

/* ---- Making the file ---- */

static int32_t
write_at(int fd, const void *bytes, uint64_t count, uint64_t offset, struct bm_error *error) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = pwrite(fd, next, count, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "check: cannot store the reference");
        }
        next += written;
        offset += (uint64_t)written;
        count -= (uint64_t)written;
    }
    return BM_STATUS_OK;
}

static void add_slice(struct bm_reference *sum, const struct bm_reference *slice) {
    for (uint64_t i = 0; i < sum->param_count; i++) {
        sum->gradient[i] += slice->gradient[i];
        sum->bound[i] += slice->bound[i];
    }
    sum->is_undetermined |= slice->is_undetermined;
    sum->loss += slice->loss;
    sum->loss_bound += slice->loss_bound;
}

/* The statistics of a later slice already hold those before it. */
static void add_statistics(struct bm_reference *sum, const struct bm_reference *slice) {
    for (uint64_t i = 0; i < sum->statistics_count; i++) {
        sum->statistics[i] = slice->statistics[i];
        sum->statistics_bound[i] += slice->statistics_bound[i];
    }
}

/* What normalizes alone, from image `first` of the batch on: of a slice, the part of one session.
 * *is_kept: it changes the running statistics, which are those of the first session. */
static uint64_t part_from(const struct bm_expected_request *request,
                          uint32_t data_parallel,
                          uint64_t batch,
                          uint64_t first,
                          uint32_t *is_kept) {
    uint64_t slice = request->micro_batch == 0 || !bm_model_has_batchnorm(request->model)
                         ? batch
                         : request->micro_batch;
    uint64_t at = first % slice;
    uint64_t begin = first - at;
    uint64_t count = batch - begin < slice ? batch - begin : slice;
    uint64_t part = data_parallel > 1 ? bm_parallel_share(count, data_parallel) : count;
    *is_kept = at == 0;
    return count - at < part ? count - at : part;
}

/* The gradient of one update, part by part: with batch norm every part normalizes alone. */
static int32_t compute(const struct bm_expected_request *request,
                       uint32_t data_parallel,
                       const uint32_t *order,
                       uint64_t batch,
                       const float *params,
                       struct bm_reference *sum,
                       struct bm_error *error) {
    uint64_t part = 0;
    for (uint64_t first = 0; first < batch; first += part) {
        struct bm_reference slice = {0};
        uint32_t is_kept;
        part = part_from(request, data_parallel, batch, first, &is_kept);
        struct bm_reference_request of = {
            .model = request->model,
            .data = &request->dataset->split[BM_SPLIT_TRAIN],
            .order = order + first,
            .count = part,
            .divisor = (double)batch,
            .update = 1,
            .seed = request->seed,
            .flags = BM_SLICE_NO_DROPOUT | (is_kept ? 0 : BM_SLICE_KEEP_STATISTICS),
            .thread_count = request->thread_count,
            .multiply_roundoff = request->multiply_roundoff,
            .accumulate_roundoff = request->accumulate_roundoff,
            .params = params,
            .statistics = first == 0 ? NULL : sum->statistics,
        };
        int32_t status = bm_reference_gradient(&of, first == 0 ? sum : &slice, error);
        if (status == BM_STATUS_OK && first > 0) {
            add_slice(sum, &slice);
            if (is_kept) {
                add_statistics(sum, &slice);
            }
        }
        bm_reference_free(&slice);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    return BM_STATUS_OK;
}

static int32_t store(int fd,
                     const struct file_header *header,
                     uint32_t index,
                     const struct bm_reference *reference,
                     struct bm_error *error) {
    uint64_t params = header->param_count * sizeof(double);
    uint64_t statistics = header->statistics_count * sizeof(double);
    uint64_t offset = sizeof *header + index * entry_bytes(header);
    int32_t status = write_at(fd, reference->gradient, params, offset, error);
    if (status == BM_STATUS_OK) {
        status = write_at(fd, reference->bound, params, offset + params, error);
    }
    if (status == BM_STATUS_OK) {
        status = write_at(fd, reference->statistics, statistics, offset + 2 * params, error);
    }
    if (status == BM_STATUS_OK) {
        status = write_at(fd, reference->statistics_bound, statistics,
                          offset + 2 * params + statistics, error);
    }
    return status;
}

static int32_t add_entry(const struct bm_expected_request *request,
                         uint64_t batch,
                         uint32_t data_parallel,
                         const float *params,
                         int fd,
                         struct file_header *header,
                         struct bm_error *error) {
    struct bm_reference reference = {0};
    uint32_t index = (uint32_t)header->entry_count;
    uint32_t *order = malloc(batch * sizeof *order);
    if (order == NULL) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "check: no memory for its order");
    }
    int32_t status = bm_expected_order(request->seed, request->dataset->split[BM_SPLIT_TRAIN].count,
                                       batch, order, error);
    if (status == BM_STATUS_OK) {
        status = compute(request, data_parallel, order, batch, params, &reference, error);
    }
    if (status == BM_STATUS_OK) {
        status = store(fd, header, index, &reference, error);
    }
    if (status == BM_STATUS_OK) {
        header->entry[index] = (struct file_entry){batch, data_parallel, reference.is_undetermined,
                                                   reference.loss, reference.loss_bound};
        header->entry_count++;
    }
    bm_reference_free(&reference);
    free(order);
    return status;
}

/* One entry for all where nothing depends on how a batch is split. */
static int32_t add_size(const struct bm_expected_request *request,
                        uint64_t batch,
                        const float *params,
                        int fd,
                        struct file_header *header,
                        struct bm_error *error) {
    if (request->data_parallel < 2 || !bm_model_has_batchnorm(request->model)) {
        return add_entry(request, batch, 0, params, fd, header, error);
    }
    int32_t status = add_entry(request, batch, 1, params, fd, header, error);
    return status == BM_STATUS_OK
               ? add_entry(request, batch, request->data_parallel, params, fd, header, error)
               : status;
}

int32_t bm_expected_create(const struct bm_expected_request *request,
                           const uint64_t *batches,
                           uint32_t batch_count,
                           int32_t (*stop)(void *context, uint32_t index),
                           void *context,
                           int *fd,
                           struct bm_error *error) {
    struct file_header header = {0};
    header.magic = FILE_MAGIC;
    header.param_count = bm_model_param_count(request->model);
    header.statistics_count = bm_model_statistics_count(request->model);
    BM_ASSERT(batch_count <= BM_EXPECTED_MAX / 2);
    float *params = malloc(header.param_count * sizeof *params);
    *fd = memfd_create("batchmark reference", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (params == NULL || *fd < 0) {
        free(params);
        return bm_fail_errno(error, BM_STATUS_NO_MEMORY, "check: cannot make its memory file");
    }
    bm_model_start(request->model, request->seed, params);
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < batch_count && status == BM_STATUS_OK; i++) {
        if (stop != NULL && stop(context, i)) {
            break;
        }
        status = add_size(request, batches[i], params, *fd, &header, error);
    }
    free(params);
    if (status == BM_STATUS_OK) {
        status = write_at(*fd, &header, sizeof header, 0, error);
    }
    if (status == BM_STATUS_OK &&
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "check: cannot seal the reference");
    }
    if (status != BM_STATUS_OK) {
        (void)close(*fd);
        *fd = -1;
    }
    return status;
}

/* ---- Mapping it ---- */

static int32_t
check_header(const struct file_header *header, uint64_t file_bytes, struct bm_error *error) {
    if (file_bytes < sizeof *header || header->magic != FILE_MAGIC ||
        header->entry_count > BM_EXPECTED_MAX || header->param_count > UINT32_MAX ||
        header->statistics_count > UINT32_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "reference file: not one of ours");
    }
    uint64_t expected = sizeof *header + header->entry_count * entry_bytes(header);
    if (file_bytes != expected) {
        return bm_fail(error, BM_STATUS_INVALID, "reference file: expected %llu bytes, found %llu",
                       (unsigned long long)expected, (unsigned long long)file_bytes);
    }
    return BM_STATUS_OK;
}

static void
view_entry(const struct file_header *header, uint32_t index, struct bm_expected_entry *entry) {
    const char *bytes = (const char *)(header + 1) + index * entry_bytes(header);
    const double *values = (const double *)(const void *)bytes;
    entry->batch = header->entry[index].batch;
    entry->data_parallel = header->entry[index].data_parallel;
    entry->is_undetermined = header->entry[index].is_undetermined;
    entry->loss = header->entry[index].loss;
    entry->loss_bound = header->entry[index].loss_bound;
    entry->gradient = values;
    entry->gradient_bound = values + header->param_count;
    entry->statistics = values + 2 * header->param_count;
    entry->statistics_bound = entry->statistics + header->statistics_count;
}

int32_t bm_expected_map(int fd, struct bm_expected *expected, struct bm_error *error) {
    struct stat file;
    memset(expected, 0, sizeof *expected);
    if (fstat(fd, &file) != 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "reference file: cannot look at it");
    }
    expected->mapped_bytes = (uint64_t)file.st_size;
    void *mapped = mmap(NULL, expected->mapped_bytes, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (mapped == MAP_FAILED) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "reference file: cannot map it");
    }
    expected->mapped = mapped;
    const struct file_header *header = mapped;
    int32_t status = check_header(header, expected->mapped_bytes, error);
    if (status != BM_STATUS_OK) {
        bm_expected_unmap(expected);
        return status;
    }
    expected->param_count = header->param_count;
    expected->entry_count = (uint32_t)header->entry_count;
    for (uint32_t i = 0; i < expected->entry_count; i++) {
        view_entry(header, i, &expected->entry[i]);
    }
    return BM_STATUS_OK;
}

const struct bm_expected_entry *
bm_expected_find(const struct bm_expected *expected, uint64_t batch, uint32_t data_parallel) {
    for (uint32_t i = 0; i < expected->entry_count; i++) {
        const struct bm_expected_entry *entry = &expected->entry[i];
        if (entry->batch == batch &&
            (entry->data_parallel == 0 || entry->data_parallel == data_parallel)) {
            return entry;
        }
    }
    return NULL;
}

void bm_expected_unmap(struct bm_expected *expected) {
    if (expected->mapped != NULL) {
        (void)munmap(expected->mapped, expected->mapped_bytes);
    }
    memset(expected, 0, sizeof *expected);
}
