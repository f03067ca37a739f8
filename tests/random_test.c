/* Philox against the authors' known answers; streams, bounds and permutations. */
#include "random.h"
#include "test.h"

static void
check_block(const uint32_t key[2], const uint32_t counter[4], const uint32_t expected[4]) {
    uint32_t out[4];
    bm_philox(key, counter, out);
    for (int i = 0; i < 4; i++) {
        TEST_CHECK_MSG(out[i] == expected[i], "word %d: found %08x, expected %08x", i, out[i],
                       expected[i]);
    }
}

/* Random123, tests/kat_vectors, philox4x32 with 10 rounds. */
static void test_known_answers(void) {
    check_block((uint32_t[]){0, 0}, (uint32_t[]){0, 0, 0, 0},
                (uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    check_block((uint32_t[]){0xffffffff, 0xffffffff},
                (uint32_t[]){0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                (uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    check_block((uint32_t[]){0xa4093822, 0x299f31d0},
                (uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                (uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

static void test_stream_walks_counter(void) {
    struct bm_random random;
    uint32_t first[4];
    bm_random_init(&random, UINT64_C(0x1122334455667788), BM_RANDOM_DATA, 7);
    bm_philox((uint32_t[]){0x55667788, 0x11223344}, (uint32_t[]){0, 0x80000003, 0, 7}, first);
    for (int i = 0; i < 4; i++) {
        TEST_CHECK(bm_random_u32(&random) == first[i]);
    }
    bm_philox((uint32_t[]){0x55667788, 0x11223344}, (uint32_t[]){1, 0x80000003, 0, 7}, first);
    TEST_CHECK(bm_random_u32(&random) == first[0]);
}

/* After 2^32 blocks the counter's next word counts on: no block returns. */
static void test_stream_carries(void) {
    struct bm_random random;
    uint32_t expected[4];
    bm_random_init(&random, 1, BM_RANDOM_DATA, 0);
    random.counter[0] = 0xffffffff;
    for (int i = 0; i < 4; i++) {
        (void)bm_random_u32(&random);
    }
    bm_philox((uint32_t[]){1, 0}, (uint32_t[]){0, 0x80000003, 1, 0}, expected);
    TEST_CHECK(bm_random_u32(&random) == expected[0]);
}

static void test_streams_differ(void) {
    const uint64_t seeds[] = {1, 2, UINT64_C(1) << 32};
    uint32_t seen[3 * 5 * 2];
    int count = 0;
    for (int s = 0; s < 3; s++) {
        for (uint32_t purpose = BM_RANDOM_START; purpose <= BM_RANDOM_ROUND; purpose++) {
            for (uint32_t index = 0; index < 2; index++) {
                struct bm_random random;
                bm_random_init(&random, seeds[s], purpose, index);
                seen[count++] = bm_random_u32(&random);
            }
        }
    }
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < i; j++) {
            TEST_CHECK_MSG(seen[i] != seen[j], "streams %d and %d begin alike", i, j);
        }
    }
}

/* 30 000 draws in 3 bins: each within 5 standard deviations (82) of 10 000. */
static void test_below_is_even(void) {
    struct bm_random random;
    uint32_t bins[3] = {0, 0, 0};
    bm_random_init(&random, 5, BM_RANDOM_ROUND, 0);
    for (int i = 0; i < 30000; i++) {
        bins[bm_random_below(&random, 3)]++;
    }
    for (int i = 0; i < 3; i++) {
        TEST_CHECK_MSG(bins[i] > 9590 && bins[i] < 10410, "bin %d holds %u", i, bins[i]);
    }
}

/* With a bound of 3 * 2^30 a draw without rejection would be floor(3 word / 4): multiples of 3
 * twice as often as the other values. */
static void test_below_rejects(void) {
    struct bm_random random;
    uint32_t residues[3] = {0, 0, 0};
    uint32_t largest = 0;
    bm_random_init(&random, 6, BM_RANDOM_ROUND, 0);
    for (int i = 0; i < 30000; i++) {
        uint32_t drawn = bm_random_below(&random, 3u << 30);
        TEST_CHECK(drawn < 3u << 30);
        largest = drawn > largest ? drawn : largest;
        residues[drawn % 3]++;
    }
    TEST_CHECK(largest > (3u << 30) - (1u << 20));
    for (int i = 0; i < 3; i++) {
        TEST_CHECK_MSG(residues[i] > 9590 && residues[i] < 10410, "residue %d: %u", i, residues[i]);
    }
    TEST_CHECK(bm_random_below(&random, 1) == 0);
}

static void test_double_fills_unit_interval(void) {
    struct bm_random random;
    double sum = 0;
    double lowest = 1;
    double highest = 0;
    bm_random_init(&random, 7, BM_RANDOM_START, 0);
    for (int i = 0; i < 10000; i++) {
        double drawn = bm_random_double(&random);
        TEST_CHECK(drawn >= 0 && drawn < 1);
        sum += drawn;
        lowest = drawn < lowest ? drawn : lowest;
        highest = drawn > highest ? drawn : highest;
    }
    /* The mean's standard deviation is 0.0029. */
    TEST_CHECK_MSG(sum > 4855 && sum < 5145, "sum %g", sum);
    TEST_CHECK(lowest < 0.002 && highest > 0.998);
}

static void test_permutation(void) {
    enum { COUNT = 1000 };

    static uint32_t order[COUNT];
    static uint32_t again[COUNT];
    static uint8_t seen[COUNT];
    bm_random_permutation(1, 0, order, COUNT);
    bm_random_permutation(1, 0, again, COUNT);
    TEST_CHECK(memcmp(order, again, sizeof order) == 0);
    uint32_t fixed = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        TEST_CHECK(order[i] < COUNT && !seen[order[i]]);
        seen[order[i]] = 1;
        fixed += order[i] == i;
    }
    TEST_CHECK_MSG(fixed < 10, "%u of 1000 in their place", fixed);
    bm_random_permutation(1, 1, again, COUNT);
    TEST_CHECK(memcmp(order, again, sizeof order) != 0);
    bm_random_permutation(2, 0, again, COUNT);
    TEST_CHECK(memcmp(order, again, sizeof order) != 0);
}

/* All six orders of three images turn up, none of them rarely: 600 epochs, 100 each, sd 9.1. */
static void test_permutation_is_even(void) {
    uint32_t seen[27] = {0};
    for (uint32_t epoch = 0; epoch < 600; epoch++) {
        uint32_t order[3];
        bm_random_permutation(3, epoch, order, 3);
        seen[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    const int codes[6] = {0 * 9 + 1 * 3 + 2, 0 * 9 + 2 * 3 + 1, 1 * 9 + 0 * 3 + 2,
                          1 * 9 + 2 * 3 + 0, 2 * 9 + 0 * 3 + 1, 2 * 9 + 1 * 3 + 0};
    for (int i = 0; i < 6; i++) {
        TEST_CHECK_MSG(seen[codes[i]] > 54 && seen[codes[i]] < 146, "order %d: %u times", i,
                       seen[codes[i]]);
    }
    uint32_t single = 9;
    bm_random_permutation(1, 0, &single, 1);
    TEST_CHECK(single == 0);
    bm_random_permutation(1, 0, NULL, 0);
}

/* Frozen: a change of these numbers changes every stored run. */
static void test_frozen(void) {
    uint32_t order[5];
    bm_random_permutation(1, 0, order, 5);
    const uint32_t expected[5] = {2, 4, 3, 1, 0};
    TEST_CHECK(memcmp(order, expected, sizeof order) == 0);
}

int main(void) {
    test_known_answers();
    test_stream_walks_counter();
    test_stream_carries();
    test_streams_differ();
    test_below_is_even();
    test_below_rejects();
    test_double_fills_unit_interval();
    test_permutation();
    test_permutation_is_even();
    test_frozen();
    return 0;
}
