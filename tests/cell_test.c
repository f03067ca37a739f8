/* The plan's estimate of an update from those that are known. */
#include "cell.h"
#include "test.h"

static void check_estimate(const struct bm_row *row, uint64_t batch, double expected_ns) {
    double found_ns = bm_row_estimate_ns(row, batch);
    TEST_CHECK_MSG(found_ns > expected_ns * 0.999999 && found_ns < expected_ns * 1.000001,
                   "batch %d: found %g, expected %g", (int)batch, found_ns, expected_ns);
}

static void test_estimate(void) {
    struct bm_row row = {0};
    TEST_CHECK(bm_row_estimate_ns(&row, 1) == 0);
    bm_row_learn(&row, 1, 1000);
    check_estimate(&row, 1, 1000);
    check_estimate(&row, 100, 1000); /* at least */
    bm_row_learn(&row, 10, 1900);    /* 900 and 100 an image */
    check_estimate(&row, 100, 10900);
    check_estimate(&row, 60000, 6000900);
    bm_row_learn(&row, 100, 5500); /* 40 an image from here */
    check_estimate(&row, 1000, 41500);
    TEST_CHECK(row.known_count == 3);
}

/* Noise must not make larger batches cheaper than smaller ones. */
static void test_no_slope(void) {
    struct bm_row row = {0};
    bm_row_learn(&row, 1, 1000);
    bm_row_learn(&row, 10, 900);
    check_estimate(&row, 100, 900);
    bm_row_learn(&row, 10, 950); /* the same size again */
    check_estimate(&row, 100, 950);
    bm_row_learn(&row, 10, 1900);
    check_estimate(&row, 100, 10900);
    TEST_CHECK(row.known_count == 2);
}

int main(void) {
    test_estimate();
    test_no_slope();
    return 0;
}
