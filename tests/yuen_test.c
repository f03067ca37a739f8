/* Yuen's test against values that others have published or that can be had by hand, against an
 * exact permutation test, and on many random samples whose truth is known. */
#include "random.h"
#include "test.h"
#include "yuen.h"

#include <math.h>

static void check_close(double found, double expected, double tolerance) {
    TEST_CHECK_MSG(fabs(found - expected) <= tolerance * fabs(expected),
                   "found %.17g, expected %.17g", found, expected);
}

/* The example in SciPy's documentation of ttest_ind: trim = .2 gives statistic 3.4463884028073513
 * and p 0.01369338726499547 with variances taken as equal, so from both samples' squares pooled.
 * Seven values lose one at each end, three none. */
static void test_published_example(void) {
    const double a[] = {56, 128.6, 12, 123.8, 64.34, 78, 763.3};
    const double b[] = {1.1, 2.9, 4.2};
    double scratch[7];
    struct bm_yuen of_a;
    struct bm_yuen of_b;
    struct bm_yuen found;
    bm_yuen_one(a, 7, &of_a, scratch);
    bm_yuen_one(b, 3, &of_b, scratch);
    double squares = 5 * 4 * pow(of_a.error, 2) + 3 * 2 * pow(of_b.error, 2);
    struct bm_yuen pooled = {
        .estimate = of_a.estimate - of_b.estimate,
        .error = sqrt(squares / 6 * (1.0 / 5 + 1.0 / 3)),
        .freedom = of_a.freedom + of_b.freedom,
    };
    check_close(pooled.estimate / pooled.error, 3.4463884028073513, 1e-12);
    check_close(bm_yuen_p_above(&pooled, 0), 0.01369338726499547 / 2, 1e-10);

    /* The same pieces as Yuen has them: d = 361.6... and 4.84667 / 6 = .80778, freedom
     * (d1 + d2)^2 / (d1^2 / 4 + d2^2 / 2). */
    bm_yuen_two(b, 3, a, 7, &found, scratch);
    double d1 = pow(of_a.error, 2);
    double d2 = 0.80777777777777777;
    check_close(found.estimate, 90.148 - 8.2 / 3, 1e-14);
    check_close(found.error, sqrt(d1 + d2), 1e-12);
    check_close(found.freedom, (d1 + d2) * (d1 + d2) / (d1 * d1 / 4 + d2 * d2 / 2), 1e-12);
    double p = bm_yuen_p_above(&found, 0);
    bm_yuen_two(a, 7, b, 3, &found, scratch);
    check_close(found.estimate, 8.2 / 3 - 90.148, 1e-14);
    check_close(bm_yuen_p_above(&found, 0), 1 - p, 1e-12);
}

/* 0 1 2 3 100: the middle three have mean 2; moved in they are 1 1 2 3 3 around 2, squares 4, and
 * 4 / (3 * 2) = 2/3. */
static void test_one_sample_by_hand(void) {
    const double values[] = {3, 100, 0, 2, 1};
    double scratch[5];
    struct bm_yuen found;
    bm_yuen_one(values, 5, &found, scratch);
    check_close(found.estimate, 2, 1e-15);
    check_close(found.error, sqrt(2.0 / 3), 1e-15);
    check_close(found.freedom, 2, 1e-15);
    TEST_CHECK(values[1] == 100);
    /* t tables: 2.920 for .95 and 6.965 for .99 with two degrees of freedom. */
    check_close(bm_yuen_bound(&found, .95), 2 + 2.920 * sqrt(2.0 / 3), 1e-4);
    check_close(bm_yuen_bound(&found, .01), 2 - 6.965 * sqrt(2.0 / 3), 1e-4);
    check_close(bm_yuen_p_above(&found, 2 - 2.920 * sqrt(2.0 / 3)), .05, 1e-3);
    /* 1.886 is the value for .9. */
    check_close(bm_yuen_sensitivity(&found, .99, .9), (6.965 + 1.886) * sqrt(2.0 / 3), 1e-3);
}

/* Below five values nothing is trimmed: it is Student's t. 1 2 3 4: variance 5/3. */
static void test_few_values(void) {
    const double values[] = {4, 1, 3, 2};
    double scratch[4];
    struct bm_yuen found;
    bm_yuen_one(values, 4, &found, scratch);
    check_close(found.estimate, 2.5, 1e-15);
    check_close(found.error, sqrt(5.0 / 3 / 4), 1e-15);
    check_close(found.freedom, 3, 1e-15);
    bm_yuen_one(values, 2, &found, scratch);
    check_close(found.estimate, 2.5, 1e-15);
    check_close(found.freedom, 1, 1e-15);
}

/* How many wild values change nothing: one in five at each end. */
static void test_wild_values(void) {
    double calm[20];
    double wild[20];
    double scratch[20];
    struct bm_yuen a;
    struct bm_yuen b;
    for (int i = 0; i < 20; i++) {
        calm[i] = wild[i] = i;
    }
    for (int i = 16; i < 20; i++) {
        wild[i] = 1e6 * i;
    }
    bm_yuen_one(calm, 20, &a, scratch);
    bm_yuen_one(wild, 20, &b, scratch);
    check_close(b.estimate, a.estimate, 1e-15);
    check_close(b.error, a.error, 1e-15);
    wild[15] = 1e6;
    bm_yuen_one(wild, 20, &b, scratch);
    TEST_CHECK(b.estimate > 2 * a.estimate);
}

static void test_without_spread(void) {
    const double ones[] = {1, 1, 1, 1, 1};
    const double twos[] = {2, 2, 2, 2};
    double scratch[5];
    struct bm_yuen found;
    bm_yuen_two(ones, 5, twos, 4, &found, scratch);
    check_close(found.estimate, 1, 1e-15);
    TEST_CHECK(found.error == 0);
    check_close(found.freedom, 5, 1e-15);
    check_close(bm_yuen_bound(&found, .99), 1, 1e-15);
    TEST_CHECK(bm_yuen_p_above(&found, .5) == 0);
    TEST_CHECK(bm_yuen_p_above(&found, 1) == 1);
    TEST_CHECK(bm_yuen_p_above(&found, 2) == 1);
}

/* Of the 12870 ways to part these values into eight and eight, the share whose trimmed means differ
 * at least as much: the exact one-sided p, of no distribution. */
static void test_permutations(void) {
    const double values[] = {1.01, 1.20, 0.90, 1.31, 1.12, 1.25, 1.07, 0.96,
                             1.42, 1.15, 1.18, 1.61, 1.29, 1.04, 1.36, 1.22};
    double scratch[8];
    struct bm_yuen own;
    uint32_t ways = 0;
    uint32_t as_large = 0;
    bm_yuen_two(values, 8, values + 8, 8, &own, scratch);
    for (uint32_t mask = 0; mask < 65536; mask++) {
        double parts[2][8];
        uint32_t counts[2] = {0, 0};
        struct bm_yuen found;
        if (__builtin_popcount(mask) != 8) {
            continue;
        }
        for (uint32_t i = 0; i < 16; i++) {
            uint32_t part = mask >> i & 1;
            parts[part][counts[part]++] = values[i];
        }
        bm_yuen_two(parts[0], 8, parts[1], 8, &found, scratch);
        ways++;
        as_large += found.estimate >= own.estimate - 1e-12;
    }
    TEST_CHECK(ways == 12870);
    double exact = (double)as_large / ways;
    double p = bm_yuen_p_above(&own, 0);
    TEST_CHECK_MSG(p > exact / 1.5 && p < 1.5 * exact, "p %g, exact %g", p, exact);
}

/* A sum of twelve is near enough to normal; one value in ten is three times as far out. */
static double noise(struct bm_random *random) {
    double sum = -6;
    double scale = bm_random_double(random) < .1 ? 3 : 1;
    for (int i = 0; i < 12; i++) {
        sum += bm_random_double(random);
    }
    return scale * sum;
}

/* Among samples of equal distributions a bound at 5 % errs in about 5 %, and a shift as large as
 * the sensitivity says is found in about nine of ten. */
static void test_rates(void) {
    enum { REPEATS = 4000, BASE = 12, HEAD = 20 };

    struct bm_random random;
    uint32_t false_alarms = 0;
    double sensitivity = 0;
    bm_random_init(&random, 7, BM_RANDOM_DATA, 0);
    for (int pass = 0; pass < 2; pass++) {
        uint32_t found_count = 0;
        double sum = 0;
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            double base[BASE];
            double head[HEAD];
            double scratch[HEAD];
            struct bm_yuen found;
            for (int i = 0; i < BASE; i++) {
                base[i] = noise(&random);
            }
            for (int i = 0; i < HEAD; i++) {
                head[i] = noise(&random) + sensitivity;
            }
            bm_yuen_two(base, BASE, head, HEAD, &found, scratch);
            found_count += bm_yuen_bound(&found, .05) > 0;
            sum += bm_yuen_sensitivity(&found, .95, .9);
        }
        if (pass == 0) {
            false_alarms = found_count;
            sensitivity = sum / REPEATS;
        } else {
            TEST_CHECK_MSG(found_count > .87 * REPEATS && found_count < .93 * REPEATS,
                           "%u of %d shifts found", found_count, REPEATS);
        }
    }
    TEST_CHECK_MSG(false_alarms > .035 * REPEATS && false_alarms < .06 * REPEATS,
                   "%u of %d false alarms", false_alarms, REPEATS);
}

int main(void) {
    test_published_example();
    test_one_sample_by_hand();
    test_few_values();
    test_wild_values();
    test_without_spread();
    test_permutations();
    test_rates();
    return 0;
}
