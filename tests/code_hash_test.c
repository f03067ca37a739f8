/* Two builds of the same code have the same hash wherever they were made; a changed instruction,
 * constant, relocation or library changes it; files that are cut or lie are refused. */
#include "code_hash.h"

#include "test.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 65536u

static const char source[] = "#include <math.h>\n"
                             "#ifndef OPERATION\n#define OPERATION +\n#endif\n"
                             "#ifndef CONSTANT\n#define CONSTANT 1.25\n#endif\n"
                             "#ifndef TARGET\n#define TARGET first\n#endif\n"
                             "#ifndef POWER\n#define POWER pow\n#endif\n"
                             "#ifndef ROOMS\n#define ROOMS 64\n#endif\n"
                             "static int first(int x) { return x; }\n"
                             "static int second(int x) { return -x; }\n"
                             "int (*chosen[])(int) = {first, second, TARGET};\n"
                             "static char numbers[ROOMS];\n"
                             "char *number(int i) { return numbers + i; }\n"
                             "double work(double x) { return POWER(x, 3) OPERATION CONSTANT; }\n";

static char folder[] = "/tmp/code_hash_test_XXXXXX";

static void write_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wbe");
    TEST_CHECK_MSG(file != NULL, "%s", path);
    TEST_CHECK(fwrite(bytes, 1, count, file) == count && fclose(file) == 0);
}

static int32_t hash_file(const char *path, char hex[65], struct bm_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    TEST_CHECK_MSG(fd >= 0, "%s", path);
    int32_t status = bm_code_hash_file(fd, path, hex, error);
    (void)close(fd);
    return status;
}

/* The hash of what the compiler makes of the source in the folder `name`, with these flags; the
 * folder is in the file as its run path. */
static void build(const char *name, const char *flags, char hex[65]) {
    char path[256];
    char command[1024];
    struct bm_error error = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    TEST_CHECK(mkdir(path, 0700) == 0);
    (void)snprintf(path, sizeof path, "%s/%s/code.c", folder, name);
    write_file(path, source, sizeof source - 1);
    (void)snprintf(command, sizeof command,
                   "cc -shared -fPIC -O1 -Wl,-rpath,%s/%s %s -o %s/%s/code.so %s -lm "
                   "-Wl,--no-as-needed -lresolv",
                   folder, name, flags, folder, name, path);
    TEST_CHECK_MSG(system(command) == 0, "%s", command);
    (void)snprintf(path, sizeof path, "%s/%s/code.so", folder, name);
    TEST_CHECK_MSG(hash_file(path, hex, &error) == BM_STATUS_OK, "%s", error.text);
    TEST_CHECK(strlen(hex) == 64);
}

static void test_equal(const char *base) {
    static const char *const flags[] = {"",
                                        "-g",
                                        "-Wl,-rpath,/a/folder/with/a/longer/name",
                                        "-Wl,--build-id=0x1234567890",
                                        "-s",
                                        "-DCONSTANT=1.25"};
    static const char *const names[] = {"another",  "debug",    "a_folder_with_a_longer_name",
                                        "build_id", "stripped", "said"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        char hex[65];
        build(names[i], flags[i], hex);
        TEST_CHECK_MSG(strcmp(hex, base) == 0, "%s: another hash", names[i]);
    }
}

static void test_different(const char *base) {
    static const char *const flags[] = {
        "-DCONSTANT=1.5", "-DOPERATION=-", "-DTARGET=second",       "-Dwork=walk",
        "-DPOWER=fmod",   "-DROOMS=96",    "-falign-functions=256", "-Wl,-z,now",
    };
    char seen[sizeof flags / sizeof flags[0]][65];
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "different%zu", i);
        build(name, flags[i], seen[i]);
        TEST_CHECK_MSG(strcmp(seen[i], base) != 0, "%s: the same hash", flags[i]);
        for (size_t k = 0; k < i; k++) {
            TEST_CHECK_MSG(strcmp(seen[i], seen[k]) != 0, "%s: as %s", flags[i], flags[k]);
        }
    }
}

/* ---- Files that are none ---- */

static int32_t
hash_bytes(const unsigned char *bytes, size_t count, char hex[65], struct bm_error *error) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/broken.so", folder);
    write_file(path, bytes, count);
    return hash_file(path, hex, error);
}

static void refuse(const unsigned char *bytes, size_t count, const char *text) {
    struct bm_error error = {0};
    char hex[65];
    TEST_CHECK_MSG(hash_bytes(bytes, count, hex, &error) == BM_STATUS_INVALID, "%zu bytes: %s",
                   count, text);
    TEST_CONTAINS(error.text, text);
    TEST_CONTAINS(error.text, "broken.so: ");
    TEST_CHECK(strchr(error.text, '\n') == NULL && error.code == BM_STATUS_INVALID);
}

static void put16(unsigned char *bytes, uint16_t value) {
    memcpy(bytes, &value, sizeof value);
}

static void put64(unsigned char *bytes, uint64_t value) {
    memcpy(bytes, &value, sizeof value);
}

/* Offsets into the ELF header: class 4, order 5, type 16, machine 18, section headers' place 40,
 * their size 58 and number 60, the section of their names 62. */
static void test_header(const unsigned char *good, size_t count) {
    static unsigned char bytes[FILE_BYTES_MAX];

    const struct {
        size_t at;
        uint16_t value;
        const char *text;
    } faults[] = {
        {0, 0x4d42, "expected an ELF file of 64 bits, little endian, found another kind"},
        {4, 0x0101, "expected an ELF file of 64 bits, little endian, found another kind"},
        {4, 0x0202, "expected an ELF file of 64 bits, little endian, found another kind"},
        {16, 2, "found type 2, machine 62"},
        {18, 183, "found type 3, machine 183"},
        {58, 40, "expected section headers of 64 bytes and their names"},
        {60, 0, "expected section headers of 64 bytes and their names"},
        {60, 0xff00, "section headers: expected 4177920 bytes at"},
        {62, 0xff00, "expected section headers of 64 bytes and their names"},
    };

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        memcpy(bytes, good, count);
        put16(bytes + faults[i].at, faults[i].value);
        refuse(bytes, count, faults[i].text);
    }
    memcpy(bytes, good, count);
    put64(bytes + 40, UINT64_MAX - 8);
    refuse(bytes, count, "section headers: expected");
    refuse(good, 0, "ELF header: expected 64 bytes at 0, found the end of the file at 0");
    refuse(good, 63, "ELF header: expected 64 bytes at 0, found the end of the file at 63");
    refuse(good, count - 1, "section headers: expected");
}

/* Whatever a byte of the headers and tables says, nothing outside of the file is read (a sanitizer
 * sees that), and it ends; a wrong byte that is taken changes the hash or is of no account. */
static void test_lies(const unsigned char *good, size_t count) {
    static unsigned char bytes[FILE_BYTES_MAX];
    uint64_t headers = 0;
    uint32_t refused = 0;
    memcpy(&headers, good + 40, sizeof headers);
    for (size_t i = 0; i < count; i += i < 64 || i >= headers ? 1 : 7) {
        for (uint32_t value = 0; value < 256; value += 85) {
            struct bm_error error = {0};
            char hex[65];
            memcpy(bytes, good, count);
            bytes[i] = (unsigned char)value;
            int32_t status = hash_bytes(bytes, count, hex, &error);
            TEST_CHECK(status == (error.text[0] == '\0' ? BM_STATUS_OK : BM_STATUS_INVALID));
            refused += status != BM_STATUS_OK;
        }
    }
    TEST_CHECK(refused > 100);
}

/* One letter or bit of what the loader reads, and nothing else. */
static void test_names(const unsigned char *good, size_t count, const char *base) {
    static const char *const names[] = {"libresolv.so.2", "libm.so.6", "number", "pow", "GLIBC_2."};
    static unsigned char bytes[FILE_BYTES_MAX];
    struct bm_error error = {0};
    char hex[65];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        memcpy(bytes, good, count);
        unsigned char *found = memmem(bytes, count, names[i], strlen(names[i]));
        TEST_CHECK_MSG(found != NULL, "%s", names[i]);
        found[2] ^= 1;
        TEST_CHECK(hash_bytes(bytes, count, hex, &error) == BM_STATUS_OK);
        TEST_CHECK_MSG(strcmp(hex, base) != 0, "%s: the same hash", names[i]);
    }
    memcpy(bytes, good, count);
    unsigned char *run_path = memmem(bytes, count, folder, strlen(folder));
    TEST_CHECK(run_path != NULL);
    run_path[1] ^= 1;
    TEST_CHECK(hash_bytes(bytes, count, hex, &error) == BM_STATUS_OK);
    TEST_CHECK_STR(hex, base);
}

static void test_broken(const char *base) {
    static unsigned char good[FILE_BYTES_MAX];
    char path[256];
    struct bm_error error = {0};
    char hex[65];
    (void)snprintf(path, sizeof path, "%s/base/code.so", folder);
    FILE *file = fopen(path, "rbe");
    TEST_CHECK(file != NULL);
    size_t count = fread(good, 1, sizeof good, file);
    TEST_CHECK(fclose(file) == 0 && count > 64 && count < sizeof good);
    test_names(good, count, base);
    test_header(good, count);
    for (size_t length = 0; length < count; length += 97) {
        TEST_CHECK(hash_bytes(good, length, hex, &error) == BM_STATUS_INVALID);
    }
    test_lies(good, count);
    TEST_CHECK(bm_code_hash_file(-1, "/nowhere/bm_none.so", hex, &error) == BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "/nowhere/bm_none.so: cannot read it: Bad file descriptor");
    TEST_CHECK(hash_file(folder, hex, &error) == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, "expected a file of at most");
}

int main(void) {
    char base[65];
    char command[64];
#ifndef __x86_64__
    TEST_SKIP("the files that the compiler makes here are not for x86-64");
#endif
    if (system("command -v cc >/dev/null") != 0) {
        TEST_SKIP("no C compiler");
    }
    TEST_CHECK(mkdtemp(folder) != NULL);
    build("base", "", base);
    test_equal(base);
    test_different(base);
    test_broken(base);
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    TEST_CHECK(system(command) == 0);
    return 0;
}
