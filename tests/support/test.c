#include "test.h"

const char *bm_test_env(const char *name) {
    const char *value = getenv(name);
    TEST_CHECK_MSG(value != NULL, "%s is not set; run the test through ctest", name);
    return value;
}

int bm_test_whole(void) {
    return getenv("BM_TEST_WHOLE") != NULL;
}

int bm_test_sanitized(void) {
    return bm_test_env("BM_TEST_SANITIZE")[0] != '\0';
}
