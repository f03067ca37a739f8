/* What every test program uses: checks that survive release builds and say where they failed. */
#ifndef BM_TEST_H
#define BM_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BM_TEST_SKIPPED 77 /* ctest shows the test as skipped */

#define TEST_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Like TEST_CHECK, with a printf-style explanation of expected and found. */
#define TEST_CHECK_MSG(condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #condition);          \
            (void)fprintf(stderr, __VA_ARGS__);                                                    \
            (void)fputc('\n', stderr);                                                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define TEST_CHECK_STR(found, expected)                                                            \
    TEST_CHECK_MSG(strcmp((found), (expected)) == 0, "found \"%s\", expected \"%s\"", (found),     \
                   (expected))

#define TEST_CONTAINS(text, part)                                                                  \
    TEST_CHECK_MSG(strstr((text), (part)) != NULL, "\"%s\" does not contain \"%s\"", (text), (part))

#define TEST_SKIP(why)                                                                             \
    do {                                                                                           \
        (void)printf("skipped: %s\n", (why));                                                      \
        exit(BM_TEST_SKIPPED);                                                                     \
    } while (0)

/* The variable of that name that ctest sets (BM_TEST_PROGRAM, BM_TEST_PLUGIN_DIR, ...); ends the
 * test when it is missing. */
const char *bm_test_env(const char *name);

/* Whether this is slow_NAME, the nightly form of the test, which leaves out no case: BM_TEST_WHOLE
 * is set. */
int bm_test_whole(void);

/* Whether this build has sanitizers, which make all slow. */
int bm_test_sanitized(void);

#endif
