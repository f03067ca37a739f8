/* Lines of `describe`: which are choices, and when two sessions chose otherwise. */
#include "choices.h"
#include "test.h"

static void check_copy(const char *describe, size_t capacity, const char *expected) {
    char choices[64];
    TEST_CHECK(capacity <= sizeof choices);
    bm_choices_copy(describe, choices, capacity);
    TEST_CHECK_STR(choices, expected);
}

static void test_copy(void) {
    check_copy("", 64, "");
    check_copy("isa=avx2\ntiles=6x16\n", 64, "isa=avx2\ntiles=6x16\n");
    check_copy("isa=avx2\nmemory_bytes=17\ntiles=6x16", 64, "isa=avx2\ntiles=6x16\n");
    check_copy("memory_bytes=17", 64, "");
    /* What does not fit is left out whole. */
    check_copy("isa=avx2\ntiles=6x16\nx=1\n", 14, "isa=avx2\nx=1\n");
    check_copy("isa=avx2\n", 10, "isa=avx2\n");
    check_copy("isa=avx2\n", 9, "");
}

static void test_differ(void) {
    TEST_CHECK(!bm_choices_differ("", ""));
    TEST_CHECK(!bm_choices_differ("a=1\nb=2\n", "a=1\nb=2\n"));
    TEST_CHECK(!bm_choices_differ("a=1\nb=2\n", "b=2\na=1"));
    TEST_CHECK(bm_choices_differ("a=1\nb=2\n", "a=1\nb=3\n"));
    TEST_CHECK(bm_choices_differ("a=1\nb=2\n", "a=1\nb=22\n"));
    TEST_CHECK(bm_choices_differ("a=1\nb=22", "a=1\nb=2"));
    /* Keys of one only, words without a key, and memory. */
    TEST_CHECK(!bm_choices_differ("a=1\nb=2\n", "a=1\n"));
    TEST_CHECK(!bm_choices_differ("a=1\n", "a=1\nb=2\n"));
    TEST_CHECK(!bm_choices_differ("some words\na=1\n", "other words\na=1\n"));
    TEST_CHECK(!bm_choices_differ("memory_bytes=1\n", "memory_bytes=2\n"));
    TEST_CHECK(!bm_choices_differ("ab=1\n", "a=2\n"));
}

int main(void) {
    test_copy();
    test_differ();
    return 0;
}
