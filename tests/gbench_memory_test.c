/* The n-th allocation of a block fails, for n = 1, 2, ... until the block succeeds: each failure is
 * a status, nothing escapes, and the next block is whole. */
#include "gbench.h"
#include "test.h"

#include <batchmark/plugin.h>

#ifdef BM_SANITIZED

int main(void) {
    TEST_SKIP("sanitizers bring their own allocator");
}

#else

/* glibc's allocator below the name that we take over. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming) */
void *__libc_malloc(size_t size);

static int64_t allocations_left = -1; /* -1: no limit */

/* Visible, so that the C++ libraries are served by it as well. */
__attribute__((visibility("default"))) void *malloc(size_t size) {
    if (allocations_left == 0) {
        return NULL;
    }
    if (allocations_left > 0) {
        allocations_left--;
    }
    return __libc_malloc(size);
}

static uint64_t fake_ns;

static uint64_t read_fake_clock(void) {
    return fake_ns;
}

static int32_t count_step(void *context, struct bm_error *error) {
    (void)error;
    *(uint64_t *)context += 1;
    fake_ns += 10;
    return BM_STATUS_OK;
}

static int32_t run_block(int64_t limit, struct bm_error *error) {
    uint64_t steps = 0;
    const struct bm_gbench_block block = {
        .name = "a name that is too long to be kept inside of a string object",
        .values = 3,
        .per_value = 2,
        .context = &steps,
        .step = count_step,
        .now_ns = read_fake_clock,
    };
    struct bm_gbench_result result;
    double samples[3];
    error->text[0] = '\0';
    allocations_left = limit;
    int32_t status = bm_gbench_run(&block, samples, &result, error);
    allocations_left = -1;
    TEST_CHECK(status != BM_STATUS_OK || (steps == 6 && result.iterations == 6));
    return status;
}

int main(void) {
    struct bm_error error;
    int64_t limit = 0;
    while (run_block(limit, &error) != BM_STATUS_OK) {
        TEST_CHECK_MSG(error.code == BM_STATUS_NO_MEMORY, "allocation %ld: %s", (long)limit + 1,
                       error.text);
        TEST_CONTAINS(error.text, "out of memory");
        if (limit % 8 == 7) {
            TEST_CHECK(run_block(-1, &error) == BM_STATUS_OK);
        }
        limit++;
    }
    TEST_CHECK_MSG(limit > 5, "only %ld allocations were seen to fail", (long)limit);
    printf("%ld allocations failed one by one\n", (long)limit);
    return 0;
}

#endif
