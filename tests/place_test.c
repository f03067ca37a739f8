/* Where a build tree's sources are: as its cache says. This program asks, of its own tree and as a
 * copy of itself that lies in a made-up one. */
#include "place.h"
#include "test.h"

#include <unistd.h>

static char root[] = "/tmp/bm-place-XXXXXX";

static void clean_up(void) {
    char line[64];
    (void)snprintf(line, sizeof line, "rm -rf %s", root);
    (void)system(line); /* NOLINT(cert-env33-c): the test's own words */
}

/* What the copy answers where the cache holds `text`; "none" where it finds nothing. */
static void expect(const char *text, size_t capacity, const char *expected) {
    char line[256];
    (void)snprintf(line, sizeof line, "%s/CMakeCache.txt", root);
    FILE *cache = fopen(line, "w");
    TEST_CHECK(cache != NULL && fputs(text, cache) >= 0 && fclose(cache) == 0);
    (void)snprintf(line, sizeof line, "%s/tests/program %zu", root, capacity);
    FILE *copy = popen(line, "r"); /* NOLINT(cert-env33-c): the test's own words */
    TEST_CHECK(copy != NULL && fgets(line, sizeof line, copy) != NULL && pclose(copy) == 0);
    line[strcspn(line, "\n")] = '\0';
    TEST_CHECK_STR(line, expected);
}

static void answer(size_t capacity) {
    char *folder = malloc(capacity); /* as long as it says: a sanitizer sees the end */
    TEST_CHECK(folder != NULL);
    (void)puts(bm_place_source(folder, capacity, "harness/presets") ? folder : "none");
    free(folder);
}

int main(int argc, char **argv) {
    if (argc == 2) {
        answer(strtoul(argv[1], NULL, 10));
        return 0;
    }
    char path[4096];
    char line[128];
    TEST_CHECK(bm_place_source(path, sizeof path, "harness/presets/run/quick.ini") == 1);
    TEST_CHECK_MSG(access(path, R_OK) == 0, "%s", path);

    TEST_CHECK(mkdtemp(root) != NULL && atexit(clean_up) == 0);
    (void)snprintf(line, sizeof line, "mkdir %s/tests && cp /proc/%d/exe %s/tests/program", root,
                   (int)getpid(), root);
    TEST_CHECK(system(line) == 0); /* NOLINT(cert-env33-c): the test's own words */
    const size_t enough = 200;
    expect("", enough, "none");
    expect("CMAKE_HOME:INTERNAL=/a\n", enough, "none");
    expect("A:STRING=b\nCMAKE_HOME_DIRECTORY:INTERNAL=/a/b c\nD:BOOL=ON\n", enough,
           "/a/b c/harness/presets");
    expect("CMAKE_HOME_DIRECTORY:INTERNAL=/a", enough, "/a/harness/presets");

    /* A path that was cut off would be another one: too little room for it, or with what follows.
     */
    const size_t room = strlen(root) + sizeof "/tests/program" + 1;
    char cache[256] = "CMAKE_HOME_DIRECTORY:INTERNAL=";
    const size_t key = strlen(cache);
    (void)memset(cache + key, '/', room);
    expect(cache, room, "none");
    cache[key + room - 3] = '\0';
    expect(cache, room, "none");
    return 0;
}
