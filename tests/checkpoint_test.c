/* Checkpoints: what is written is read, whatever was damaged is refused, and a training goes on
 * from one to the bits it would have had. */
#include "checkpoint.h"
#include "test.h"
#include "test_bench.h"

#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

static char folder[] = "/tmp/bm-checkpoint-XXXXXX";

static const char *path_of(const char *name) {
    static char path[4][256];
    static unsigned next;
    char *found = path[next++ % 4];
    (void)snprintf(found, sizeof path[0], "%s/%s", folder, name);
    return found;
}

static int exists(const char *path) {
    return access(path, F_OK) == 0;
}

/* Names in the folder, "." and ".." apart. */
static int file_count(const char *path) {
    char command[300];
    int count = -1;
    (void)snprintf(command, sizeof command, "ls -A '%s' | wc -l", path);
    FILE *stream = popen(command, "r");
    TEST_CHECK(stream != NULL && fscanf(stream, "%d", &count) == 1);
    TEST_CHECK(pclose(stream) == 0);
    return count;
}

/* ---- The system's calls, seen and made to fail ---- */

/* What the harness has asked for, a letter a call: s for fsync, r for rename. */
static char calls[16];
static char failing_call; /* the letter of the one that fails */
static int failing_at;    /* which of its kind, from 1 */
static int failing_errno;
static const char *rename_at_lock; /* another process's move of the partial file, once */

/* Whether this call shall fail. */
static int note_call(char letter) {
    size_t length = strlen(calls);
    int number = 1;
    for (size_t i = 0; i < length; i++) {
        number += calls[i] == letter;
    }
    if (length + 1 < sizeof calls) {
        calls[length] = letter;
        calls[length + 1] = '\0';
    }
    errno = failing_errno;
    return letter == failing_call && number == failing_at;
}

/* The program's own symbols come before the C library's. */
int fsync(int fd) {
    return note_call('s') ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *old, const char *new) {
    return note_call('r') ? -1 : renameat(AT_FDCWD, old, AT_FDCWD, new);
}

int flock(int fd, int operation) {
    if (rename_at_lock != NULL) {
        char from[300];
        (void)snprintf(from, sizeof from, "%s.partial", rename_at_lock);
        TEST_CHECK(renameat(AT_FDCWD, from, AT_FDCWD, rename_at_lock) == 0);
        rename_at_lock = NULL;
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static void fail_call(char letter, int at, int code) {
    calls[0] = '\0';
    failing_call = letter;
    failing_at = at;
    failing_errno = code;
}

/* ---- Files as bytes ---- */

struct bytes {
    size_t count;
    unsigned char data[16384];
};

static void load(const char *path, struct bytes *bytes) {
    FILE *stream = fopen(path, "r");
    TEST_CHECK_MSG(stream != NULL, "%s", path);
    bytes->count = fread(bytes->data, 1, sizeof bytes->data, stream);
    TEST_CHECK(bytes->count < sizeof bytes->data);
    (void)fclose(stream);
}

static void store(const char *path, const void *data, size_t count) {
    FILE *stream = fopen(path, "w");
    TEST_CHECK(stream != NULL && fwrite(data, 1, count, stream) == count);
    TEST_CHECK(fclose(stream) == 0);
}

static void poke(const char *path, size_t at, unsigned char byte) {
    int fd = open(path, O_WRONLY);
    TEST_CHECK(fd >= 0 && pwrite(fd, &byte, 1, (off_t)at) == 1 && close(fd) == 0);
}

static void add(struct bytes *bytes, const void *data, size_t count) {
    TEST_CHECK(bytes->count + count <= sizeof bytes->data);
    memcpy(bytes->data + bytes->count, data, count);
    bytes->count += count;
}

static void add_word(struct bytes *bytes, uint32_t word) {
    const unsigned char data[4] = {(unsigned char)word, (unsigned char)(word >> 8),
                                   (unsigned char)(word >> 16), (unsigned char)(word >> 24)};
    add(bytes, data, 4);
}

static void add_crc(struct bytes *bytes) {
    add_word(bytes, (uint32_t)crc32(crc32(0, NULL, 0), bytes->data, (uInt)bytes->count));
}

/* A file made by hand, sound but for what the arguments say. */
static void craft(const char *path, uint32_t version, const char *header, size_t floats) {
    static struct bytes bytes;
    bytes.count = 0;
    add(&bytes,
        "\x89"
        "BMCKPT\n",
        8);
    add_word(&bytes, version);
    add_word(&bytes, (uint32_t)strlen(header));
    add(&bytes, header, strlen(header));
    for (size_t i = 0; i < floats; i++) {
        add_word(&bytes, UINT32_C(0x3f800000));
    }
    add_crc(&bytes);
    store(path, bytes.data, bytes.count);
}

/* ---- A checkpoint of its own ---- */

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float *make_array(uint64_t count, float first) {
    float *values = malloc(count * sizeof *values);
    TEST_CHECK(values != NULL);
    for (uint64_t i = 0; i < count; i++) {
        values[i] = first + (float)i / 3;
    }
    return values;
}

static void make(struct bm_checkpoint *checkpoint, uint64_t params, uint64_t statistics) {
    *checkpoint = (struct bm_checkpoint){.backend = "vulkan:0",
                                         .model = "custom",
                                         .layers = "dense 512, relu, dense 10",
                                         .dataset = "fashion-mnist",
                                         .optimizer = "adam",
                                         .precision = "bf16/f32",
                                         .schedule = "step \xc3\xb7"
                                                     "10 at \"30\", 60",
                                         .seed = UINT64_C(0xfedcba9876543210),
                                         .batch = 256,
                                         .micro_batch = 64,
                                         .threads = 2,
                                         .epoch = 7,
                                         .first = 1024,
                                         .update = INT64_MAX,
                                         .train_count = 55000,
                                         .validation_count = 5000,
                                         .seconds = 1.0 / 3,
                                         .param_count = params,
                                         .slot_count = 2,
                                         .statistics_count = statistics};
    checkpoint->params = make_array(params, -1);
    checkpoint->slot[0] = make_array(params, 100);
    checkpoint->slot[1] = make_array(params, 1e-42f);
    checkpoint->statistics = statistics > 0 ? make_array(statistics, 3e38f) : NULL;
    checkpoint->details =
        json_pack("{s:f, s:[i, n, {s:s}]}", "lr", 0.1, "plan", 3, "a", "\xc3\xa9");
    const uint32_t odd[] = {UINT32_C(0x7fc01234), UINT32_C(0x80000000), UINT32_C(0xff800000)};
    memcpy(checkpoint->params, odd, params < 3 ? params * 4 : sizeof odd);
}

static void check_array(const float *found, const float *expected, uint64_t count) {
    TEST_CHECK((found == NULL) == (expected == NULL));
    for (uint64_t i = 0; i < (expected == NULL ? 0 : count); i++) {
        TEST_CHECK_MSG(bits_of(found[i]) == bits_of(expected[i]), "[%llu] %08x, expected %08x",
                       (unsigned long long)i, bits_of(found[i]), bits_of(expected[i]));
    }
}

static void check_equal(const struct bm_checkpoint *a, const struct bm_checkpoint *b) {
    TEST_CHECK_STR(a->backend, b->backend);
    TEST_CHECK_STR(a->model, b->model);
    TEST_CHECK_STR(a->layers, b->layers);
    TEST_CHECK_STR(a->dataset, b->dataset);
    TEST_CHECK_STR(a->optimizer, b->optimizer);
    TEST_CHECK_STR(a->precision, b->precision);
    TEST_CHECK_STR(a->schedule, b->schedule);
    TEST_CHECK(a->seed == b->seed && a->batch == b->batch && a->micro_batch == b->micro_batch);
    TEST_CHECK(a->threads == b->threads && a->epoch == b->epoch && a->first == b->first);
    TEST_CHECK(a->update == b->update && a->train_count == b->train_count);
    TEST_CHECK(a->validation_count == b->validation_count && a->seconds == b->seconds);
    TEST_CHECK(a->param_count == b->param_count && a->slot_count == b->slot_count);
    TEST_CHECK(a->statistics_count == b->statistics_count);
    TEST_CHECK(json_equal(a->details, b->details));
    check_array(a->params, b->params, b->param_count);
    check_array(a->slot[0], b->slot[0], b->param_count);
    check_array(a->slot[1], b->slot[1], b->param_count);
    check_array(a->statistics, b->statistics, b->statistics_count);
}

static void write_well(const char *path, const struct bm_checkpoint *checkpoint) {
    struct bm_error error = {0};
    TEST_CHECK_MSG(bm_checkpoint_write(path, checkpoint, &error) == BM_STATUS_OK, "%s", error.text);
}

static void read_well(const char *path, struct bm_checkpoint *checkpoint) {
    struct bm_error error = {0};
    TEST_CHECK_MSG(bm_checkpoint_read(path, checkpoint, &error) == BM_STATUS_OK, "%s", error.text);
}

/* Refused as INVALID with this in the one line that names the file, and nothing left in the struct.
 */
static void refused(const char *path, const char *part) {
    static const struct bm_checkpoint nothing;
    struct bm_checkpoint found;
    struct bm_error error = {0};
    memset(&found, 0x55, sizeof found);
    int32_t status = bm_checkpoint_read(path, &found, &error);
    TEST_CHECK_MSG(status == BM_STATUS_INVALID, "%d \"%s\", expected \"%s\"", status, error.text,
                   part);
    TEST_CHECK(error.code == BM_STATUS_INVALID);
    TEST_CONTAINS(error.text, path);
    TEST_CONTAINS(error.text, part);
    TEST_CHECK_MSG(strpbrk(error.text, "\n\r\x1b") == NULL, "%s", error.text);
    TEST_CHECK(memcmp(&found, &nothing, sizeof found) == 0);
}

/* ---- Round trip ---- */

static void test_round_trip(void) {
    struct bm_checkpoint made;
    struct bm_checkpoint found;
    const uint64_t params[] = {1, 16384, 16385, 40000};
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        make(&made, params[i], i == 1 ? 0 : i + 5);
        write_well(path_of("round.ckpt"), &made);
        read_well(path_of("round.ckpt"), &found);
        check_equal(&found, &made);
        bm_checkpoint_free(&made);
        bm_checkpoint_free(&found);
        TEST_CHECK(found.params == NULL && found.details == NULL && found.batch == 0);
    }
    bm_checkpoint_free(NULL);
    TEST_CHECK(file_count(folder) == 1);
    TEST_CHECK(unlink(path_of("round.ckpt")) == 0);
}

static void test_little(void) {
    struct bm_checkpoint made;
    struct bm_checkpoint found;
    make(&made, 1, 0);
    json_decref(made.details);
    free(made.slot[0]);
    free(made.slot[1]);
    made.details = NULL;
    made.slot_count = 0;
    made.slot[0] = made.slot[1] = NULL;
    (void)snprintf(made.schedule, sizeof made.schedule, "%s", "");
    memset(made.model, 'm', sizeof made.model - 1);
    write_well(path_of("little.ckpt"), &made);
    read_well(path_of("little.ckpt"), &found);
    TEST_CHECK(json_is_object(found.details) && json_object_size(found.details) == 0);
    TEST_CHECK(strlen(found.model) == sizeof found.model - 1);
    TEST_CHECK(found.slot[0] == NULL && found.slot[1] == NULL && found.statistics == NULL);
    bm_checkpoint_free(&made);
    bm_checkpoint_free(&found);
    TEST_CHECK(unlink(path_of("little.ckpt")) == 0);
}

/* The layout itself: bytes at the places that the header says. */
static void test_layout(void) {
    static struct bytes bytes;
    struct bm_checkpoint made;
    make(&made, 2, 1);
    made.params[0] = 1.0f;
    made.slot[1][1] = -2.0f;
    made.statistics[0] = 0.5f;
    write_well(path_of("layout.ckpt"), &made);
    load(path_of("layout.ckpt"), &bytes);
    TEST_CHECK(memcmp(bytes.data,
                      "\x89"
                      "BMCKPT\n\x01\0\0\0",
                      12) == 0);
    size_t header = bytes.data[12] | (size_t)bytes.data[13] << 8;
    TEST_CHECK(bytes.data[16] == '{' && bytes.data[15 + header] == '}');
    TEST_CHECK(bytes.count == 16 + header + 4 * (3 * 2 + 1) + 4);
    TEST_CHECK(memcmp(bytes.data + 16 + header, "\0\0\x80\x3f", 4) == 0);
    TEST_CHECK(memcmp(bytes.data + 16 + header + 20, "\0\0\0\xc0\0\0\0\x3f", 8) == 0);
    size_t crc_at = bytes.count - 4;
    bytes.count = crc_at;
    add_crc(&bytes);
    struct bytes *again = calloc(1, sizeof *again);
    TEST_CHECK(again != NULL);
    load(path_of("layout.ckpt"), again);
    TEST_CHECK(memcmp(again->data + crc_at, bytes.data + crc_at, 4) == 0);
    free(again);
    bm_checkpoint_free(&made);
    TEST_CHECK(unlink(path_of("layout.ckpt")) == 0);
}

/* ---- Damage ---- */

static void make_small_file(struct bytes *bytes) {
    struct bm_checkpoint made;
    make(&made, 5, 3);
    write_well(path_of("small.ckpt"), &made);
    load(path_of("small.ckpt"), bytes);
    bm_checkpoint_free(&made);
}

static void test_truncation(void) {
    static struct bytes bytes;
    make_small_file(&bytes);
    store(path_of("cut.ckpt"), bytes.data, bytes.count);
    for (size_t length = bytes.count; length-- > 0;) {
        TEST_CHECK(truncate(path_of("cut.ckpt"), (off_t)length) == 0);
        refused(path_of("cut.ckpt"), "expected");
    }
    store(path_of("cut.ckpt"), bytes.data, 7);
    refused(path_of("cut.ckpt"), "offset 7: expected 1 more bytes, found the file's end");
    store(path_of("cut.ckpt"), bytes.data, bytes.count - 4);
    refused(path_of("cut.ckpt"), "5 parameters, as many in 2 slots, 3 statistics, of 4 bytes each, "
                                 "found 68 bytes");
    store(path_of("cut.ckpt"), bytes.data, bytes.count - 1);
    refused(path_of("cut.ckpt"), "found 71 bytes");
    bytes.data[bytes.count] = 0;
    store(path_of("cut.ckpt"), bytes.data, bytes.count + 1);
    refused(path_of("cut.ckpt"), "found 73 bytes");
    TEST_CHECK(unlink(path_of("cut.ckpt")) == 0);
}

static void test_flips(void) {
    static const unsigned char masks[] = {0x01, 0x10, 0x80, 0xff};
    static struct bytes bytes;
    make_small_file(&bytes);
    store(path_of("flip.ckpt"), bytes.data, bytes.count);
    for (size_t at = 0; at < bytes.count; at++) {
        for (size_t i = 0; i < sizeof masks; i++) {
            poke(path_of("flip.ckpt"), at, bytes.data[at] ^ masks[i]);
            refused(path_of("flip.ckpt"), at < 8 ? "magic" : at < 12 ? "offset 8: " : "expected");
        }
        poke(path_of("flip.ckpt"), at, bytes.data[at]);
    }
    struct bm_checkpoint whole;
    read_well(path_of("flip.ckpt"), &whole);
    bm_checkpoint_free(&whole);
    bytes.data[bytes.count - 10] ^= 1;
    store(path_of("flip.ckpt"), bytes.data, bytes.count);
    refused(path_of("flip.ckpt"), "expected CRC-32");
    TEST_CHECK(unlink(path_of("flip.ckpt")) == 0);
    TEST_CHECK(unlink(path_of("small.ckpt")) == 0);
}

static json_t *good_header(void) {
    json_t *header = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "backend", "scalar", "model",
                               "mlp", "layers", "dense 10", "dataset", "mnist", "optimizer", "adam",
                               "precision", "float32", "schedule", "constant");
    json_t *numbers =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:{}}", "seed",
                  1, "batch", 2, "micro_batch", 0, "threads", 1, "epoch", 0, "first", 0, "update",
                  1, "train_count", 9, "validation_count", 0, "param_count", 3, "slot_count", 2,
                  "statistics_count", 1, "seconds", 1.5, "details");
    TEST_CHECK(header != NULL && json_object_update(header, numbers) == 0);
    json_decref(numbers);
    return header;
}

static void refused_header(json_t *header, const char *part) {
    char *text = json_dumps(header, JSON_COMPACT);
    TEST_CHECK(text != NULL);
    craft(path_of("craft.ckpt"), 1, text, 10);
    refused(path_of("craft.ckpt"), part);
    free(text);
    json_decref(header);
}

static void refused_value(const char *field, json_t *value, const char *part) {
    json_t *header = good_header();
    TEST_CHECK(value != NULL && json_object_set_new(header, field, value) == 0);
    refused_header(header, part);
}

/* Every field once missing and once of each type; which of them fit is told by the field. */
static void test_missing_and_other_types(void) {
    const char *field;
    json_t *value;
    json_t *all = good_header();
    TEST_CHECK(json_object_size(all) == 21);
    json_object_foreach(all, field, value) {
        json_t *header = good_header();
        char part[64];
        (void)snprintf(part, sizeof part, "offset 16: header: %s: expected", field);
        TEST_CHECK(json_object_del(header, field) == 0);
        refused_header(header, part);
        refused_value(field, json_true(), part);
        refused_value(field, json_null(), part);
        refused_value(field, json_array(), part);
        if (!json_is_string(value)) {
            refused_value(field, json_string("3"), part);
        }
        if (!json_is_object(value)) {
            refused_value(field, json_object(), part);
        }
        if (!json_is_number(value)) {
            refused_value(field, json_integer(3), part);
        }
        if (!json_is_real(value)) {
            refused_value(field, json_real(3), part);
        }
    }
    json_decref(all);
}

static void test_absurd_counts(void) {
    static const struct {
        const char *field;
        json_int_t value;
        const char *part;
    } cases[] = {
        {"param_count", INT64_MAX, "expected 9223372036854775807 parameters"},
        {"param_count", INT64_C(1) << 62, "parameters, as many in 2 slots"},
        {"statistics_count", INT64_MAX, "9223372036854775807 statistics"},
        {"statistics_count", 2, "found 40 bytes"},
        {"param_count", 4, "found 40 bytes"},
        {"param_count", 0, "an integer from 1 to 9223372036854775807, found 0"},
        {"param_count", -3, "found -3"},
        {"slot_count", 1, "found 40 bytes"},
        {"slot_count", 3, "an integer from 0 to 2, found 3"},
        {"slot_count", -1, "an integer from 0 to 2, found -1"},
        {"batch", 0, "header: batch: expected an integer from 1"},
        {"threads", 0, "header: threads"},
        {"update", 0, "header: update"},
        {"first", -1, "header: first"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refused_value(cases[i].field, json_integer(cases[i].value), cases[i].part);
    }
    refused_value("seconds", json_real(-1e-300),
                  "header: seconds: expected a number of at least 0");
    /* 3 times the one and the other are 2^64 + 10: in 64 bits, what the file has. */
    json_t *header = good_header();
    (void)json_object_set_new(header, "param_count", json_integer(INT64_C(6148914691236517206)));
    (void)json_object_set_new(header, "statistics_count", json_integer(8));
    refused_header(header, "expected 6148914691236517206 parameters");
}

static void test_texts(void) {
    char longest[BM_NAME_SIZE + 1];
    memset(longest, 'x', sizeof longest);
    longest[BM_NAME_SIZE] = '\0';
    refused_value("model", json_string(longest), "at most 63 bytes");
    refused_value("dataset", json_string("\x1b[2J"), "found \"\\u001B[2J\"");
    refused_value("dataset", json_stringn("a\0b", 3), "without control characters");
    refused_value("backend", json_string("a\nb"), "without control characters");
}

/* As text, for what a JSON library does not write. */
static void refused_text(const char *header, const char *part) {
    craft(path_of("craft.ckpt"), 1, header, 10);
    refused(path_of("craft.ckpt"), part);
}

static void test_headers(void) {
    json_t *header = good_header();
    char *good = json_dumps(header, JSON_COMPACT);
    char *text = malloc(strlen(good) + 64);
    struct bm_checkpoint found;
    TEST_CHECK(good != NULL && text != NULL);
    craft(path_of("craft.ckpt"), 1, good, 10);
    read_well(path_of("craft.ckpt"), &found);
    TEST_CHECK(found.param_count == 3 && found.statistics[0] == 1.0f && found.seconds == 1.5);
    bm_checkpoint_free(&found);
    craft(path_of("craft.ckpt"), 2, good, 10);
    refused(path_of("craft.ckpt"), "offset 8: expected version 1 of the format, found 2");
    craft(path_of("craft.ckpt"), 1, good, 11);
    refused(path_of("craft.ckpt"), "found 44 bytes");
    good[strlen(good) - 1] = '\0';
    refused_text(good, "expected a JSON object");
    (void)sprintf(text, "%s,\"batch\":2}", good);
    refused_text(text, "duplicate");
    (void)sprintf(text, "%s,\"more\":1e999}", good);
    refused_text(text, "real number overflow");
    (void)sprintf(text, "%s,\"more\":NaN}", good);
    refused_text(text, "expected a JSON object");
    (void)sprintf(text, "%s,\"more\":99999999999999999999}", good);
    refused_text(text, "too big integer");
    (void)sprintf(text, "%s}\n}", good);
    refused_text(text, "expected a JSON object");
    (void)sprintf(text, "%s,\"more\":\"\xff\"}", good);
    refused_text(text, "expected a JSON object");
    refused_text("", "expected a JSON object");
    refused_text("[1]", "found another value");
    refused_text("\x1b]0;x\n", "expected a JSON object");
    free(good);
    free(text);
    json_decref(header);
}

/* More nesting than a stack holds. */
static void test_deep_header(void) {
    char *text = malloc(9001);
    TEST_CHECK(text != NULL);
    memset(text, '[', 9000);
    text[9000] = '\0';
    refused_text(text, "expected a JSON object");
    free(text);
}

/* A length beyond the file is refused before memory is asked for it, and so is one beyond the
 * format's limit in a file, sparse, that would have room for it. */
static void test_header_length(void) {
    static struct bytes bytes;
    bytes.count = 0;
    add(&bytes,
        "\x89"
        "BMCKPT\n\x01\0\0\0",
        12);
    add_word(&bytes, UINT32_MAX);
    add_word(&bytes, 0);
    store(path_of("craft.ckpt"), bytes.data, bytes.count);
    refused(path_of("craft.ckpt"),
            "offset 12: expected a header of at most 0 bytes in a file of 20, found 4294967295");
    poke(path_of("craft.ckpt"), 12, 1);
    for (size_t at = 13; at < 16; at++) {
        poke(path_of("craft.ckpt"), at, 0);
    }
    refused(path_of("craft.ckpt"), "expected a header of at most 0 bytes in a file of 20, found 1");
    store(path_of("craft.ckpt"), bytes.data, bytes.count);
    TEST_CHECK(truncate(path_of("craft.ckpt"), INT64_C(1) << 33) == 0);
    refused(path_of("craft.ckpt"), "offset 12: expected a header of at most 1048576 bytes");
}

static void test_no_plain_file(void) {
    TEST_CHECK(mkfifo(path_of("fifo"), 0600) == 0);
    refused(path_of("fifo"), "expected a plain file");
    refused(folder, "expected a plain file");
    refused(path_of("none"), "No such file");
    store(path_of("craft.ckpt"), "{\"kind\":\"run\"}\n", 15);
    refused(path_of("craft.ckpt"),
            "offset 0: expected the magic of a checkpoint, 89424d434b50540a, found "
            "7b226b696e64223a");
    TEST_CHECK(unlink(path_of("fifo")) == 0 && unlink(path_of("craft.ckpt")) == 0);
}

/* ---- Writes that fail ---- */

static void write_refused(const char *path,
                          const struct bm_checkpoint *checkpoint,
                          int32_t expected,
                          const char *part) {
    struct bm_error error = {0};
    int32_t status = bm_checkpoint_write(path, checkpoint, &error);
    TEST_CHECK_MSG(status == expected, "%d \"%s\", expected \"%s\"", status, error.text, part);
    TEST_CHECK(error.code == expected);
    TEST_CONTAINS(error.text, part);
}

/* Nothing is written that would not be read. */
static void test_bad_contents(void) {
    struct bm_checkpoint made;
    struct bm_checkpoint bad;
    const char *path = path_of("bad.ckpt");
    make(&made, 4, 2);
    bad = made;
    (void)snprintf(bad.model, sizeof bad.model, "a\tb");
    write_refused(path, &bad, BM_STATUS_INVALID, "model");
    bad = made;
    (void)snprintf(bad.dataset, sizeof bad.dataset, "\xff");
    write_refused(path, &bad, BM_STATUS_INVALID, "dataset: expected UTF-8");
    bad = made;
    bad.batch = 0;
    write_refused(path, &bad, BM_STATUS_INVALID, "batch: expected an integer from 1");
    bad = made;
    bad.epoch = UINT64_C(1) << 63;
    write_refused(path, &bad, BM_STATUS_INVALID, "epoch");
    bad = made;
    bad.slot_count = 3;
    write_refused(path, &bad, BM_STATUS_INVALID, "slot_count: expected an integer from 0 to 2");
    bad = made;
    bad.seconds = (double)NAN;
    write_refused(path, &bad, BM_STATUS_INVALID, "seconds");
    bad = made;
    bad.details = json_array();
    write_refused(path, &bad, BM_STATUS_INVALID, "details: expected an object");
    json_decref(bad.details);
    bad.details = json_object();
    char *text = malloc(BM_CHECKPOINT_HEADER_MAX + 1);
    TEST_CHECK(text != NULL);
    memset(text, 't', BM_CHECKPOINT_HEADER_MAX);
    text[BM_CHECKPOINT_HEADER_MAX] = '\0';
    (void)json_object_set_new(bad.details, "text", json_string(text));
    write_refused(path, &bad, BM_STATUS_INVALID, "expected at most 1048576 bytes");
    json_decref(bad.details);
    free(text);
    bm_checkpoint_free(&made);
    TEST_CHECK(file_count(folder) == 0);
}

static void test_bad_paths(void) {
    struct bm_checkpoint made;
    char deep[BM_PATH_SIZE + 2];
    make(&made, 4, 2);
    TEST_CHECK(mkfifo(path_of("fifo"), 0600) == 0);
    write_refused(path_of("fifo"), &made, BM_STATUS_INVALID, "fifo: expected a plain file");
    TEST_CHECK(unlink(path_of("fifo")) == 0);
    write_refused(folder, &made, BM_STATUS_INVALID, "expected a plain file");
    write_refused(path_of("none/x.ckpt"), &made, BM_STATUS_INTERNAL, "none/x.ckpt");
    write_refused(path_of("none/x.ckpt"), &made, BM_STATUS_INTERNAL, "No such file");
    memset(deep, 'd', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    write_refused(deep, &made, BM_STATUS_INVALID, "expected a path of at most 1015 bytes");
    if (geteuid() != 0) {
        TEST_CHECK(mkdir(path_of("shut"), 0500) == 0);
        write_refused(path_of("shut/x.ckpt"), &made, BM_STATUS_INTERNAL, "Permission denied");
        TEST_CHECK(rmdir(path_of("shut")) == 0);
    }
    bm_checkpoint_free(&made);
    TEST_CHECK(file_count(folder) == 0);
}

/* A file beside it, by its name alone. */
static void test_present_folder(void) {
    struct bm_checkpoint made;
    struct bm_checkpoint found;
    struct stat written;
    mode_t mask = umask(0027);
    make(&made, 4, 2);
    TEST_CHECK(chdir(folder) == 0);
    write_well("here.ckpt", &made);
    TEST_CHECK(stat(path_of("here.ckpt"), &written) == 0 && (written.st_mode & 0777) == 0640);
    (void)umask(mask);
    read_well("here.ckpt", &found);
    check_equal(&found, &made);
    TEST_CHECK(chdir("/") == 0 && unlink(path_of("here.ckpt")) == 0);
    bm_checkpoint_free(&made);
    bm_checkpoint_free(&found);
}

/* In a process of its own; returns when it has ended well. */
static void in_child(void (*run)(const void *argument), const void *argument) {
    int state = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        run(argument);
        (void)fflush(NULL);
        _exit(0);
    }
    TEST_CHECK(waitpid(child, &state, 0) == child);
    TEST_CHECK_MSG(WIFEXITED(state) && WEXITSTATUS(state) == 0, "state %d", state);
}

/* What stays in place, and what shall take it. */
static struct bm_checkpoint old_one;
static struct bm_checkpoint new_one;

static void write_with_limit(const void *argument) {
    const rlim_t *bytes = argument;
    const struct rlimit limit = {*bytes, *bytes};
    (void)signal(SIGXFSZ, SIG_IGN);
    TEST_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    write_refused(path_of("kept.ckpt"), &new_one, BM_STATUS_INTERNAL,
                  "kept.ckpt: cannot write it: File too large");
}

static void check_kept(const char *path, const char *in) {
    struct bm_checkpoint found;
    read_well(path, &found);
    check_equal(&found, &old_one);
    TEST_CHECK(file_count(in) == 1);
    bm_checkpoint_free(&found);
}

/* The disk takes the file up to the magic, the header, the arrays, all but the last byte. */
static void test_limited_size(void) {
    struct stat whole;
    write_well(path_of("kept.ckpt"), &new_one);
    TEST_CHECK(stat(path_of("kept.ckpt"), &whole) == 0);
    const rlim_t limits[] = {0, 5, 13, 100, 100000, (rlim_t)whole.st_size - 1};
    write_well(path_of("kept.ckpt"), &old_one);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        in_child(write_with_limit, &limits[i]);
        check_kept(path_of("kept.ckpt"), folder);
    }
    TEST_CHECK(unlink(path_of("kept.ckpt")) == 0);
}

static int write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    int done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}

/* Mounts of this process alone: as root, or as root of a name space of its own. */
static int may_mount(void) {
    char users[32];
    char groups[32];
    (void)snprintf(users, sizeof users, "0 %u 1", geteuid());
    (void)snprintf(groups, sizeof groups, "0 %u 1", getegid());
    return unshare(CLONE_NEWNS) == 0 ||
           (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", users) &&
            write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", groups));
}

/* A disk of 64 KiB of its own; not everywhere may a process make one. */
static void fill_disk(const void *argument) {
    (void)argument;
    if (!may_mount() || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=64k") != 0) {
        (void)printf("no full disk: this system lets no process mount one\n");
        return;
    }
    write_well(path_of("kept.ckpt"), &old_one);
    write_refused(path_of("kept.ckpt"), &new_one, BM_STATUS_INTERNAL,
                  "kept.ckpt: cannot write it: No space left");
    check_kept(path_of("kept.ckpt"), folder);
}

static void test_full_disk(void) {
    make(&old_one, 7, 1);
    make(&new_one, 20000, 4);
    test_limited_size();
    in_child(fill_disk, NULL);
    TEST_CHECK(file_count(folder) == 0);
}

/* A file that a killed process left is written over; one that another process writes is its own. */
static void test_partial(void) {
    static struct bytes other_bytes;
    char partial[256];
    char junk[2000];
    (void)snprintf(partial, sizeof partial, "%s", path_of("kept.ckpt.partial"));
    memset(junk, 'j', sizeof junk);
    store(partial, junk, sizeof junk);
    write_well(path_of("kept.ckpt"), &old_one);
    check_kept(path_of("kept.ckpt"), folder);
    FILE *other = fopen(partial, "w");
    TEST_CHECK(other != NULL && flock(fileno(other), LOCK_EX) == 0);
    write_refused(path_of("kept.ckpt"), &old_one, BM_STATUS_INVALID,
                  "kept.ckpt.partial: another process is writing it");
    TEST_CHECK(exists(partial) && unlink(partial) == 0);
    (void)fclose(other);
    check_kept(path_of("kept.ckpt"), folder);
    store(path_of("other"), junk, sizeof junk);
    TEST_CHECK(symlink("other", partial) == 0);
    write_refused(path_of("kept.ckpt"), &old_one, BM_STATUS_INTERNAL, "kept.ckpt.partial");
    load(path_of("other"), &other_bytes);
    TEST_CHECK(other_bytes.count == sizeof junk && memcmp(other_bytes.data, junk, 2000) == 0);
    TEST_CHECK(unlink(partial) == 0 && unlink(path_of("other")) == 0);
    check_kept(path_of("kept.ckpt"), folder);
    TEST_CHECK(unlink(path_of("kept.ckpt")) == 0);
    bm_checkpoint_free(&old_one);
}

/* Between open and lock another process has finished the partial file: that is its checkpoint now,
 * and stays whole until it is replaced. */
static void test_finished_by_another(void) {
    const char *path = path_of("kept.ckpt");
    struct stat whole;
    struct stat moved;
    make(&old_one, 7, 1);
    write_well(path_of("kept.ckpt.partial"), &new_one);
    int fd = open(path_of("kept.ckpt.partial"), O_RDONLY);
    TEST_CHECK(fd >= 0 && fstat(fd, &whole) == 0);
    rename_at_lock = path;
    write_well(path, &old_one);
    TEST_CHECK(rename_at_lock == NULL && fstat(fd, &moved) == 0);
    TEST_CHECK(moved.st_size == whole.st_size && moved.st_nlink == 0);
    (void)close(fd);
    check_kept(path, folder);
}

/* The file is synced before it gets its name, the folder after. */
static void test_order_of_syncs(void) {
    fail_call('-', 0, 0);
    write_well(path_of("kept.ckpt"), &old_one);
    TEST_CHECK_STR(calls, "srs");
}

static void test_failing_calls(void) {
    fail_call('s', 1, EIO);
    write_refused(path_of("kept.ckpt"), &new_one, BM_STATUS_INTERNAL,
                  "kept.ckpt: cannot write it: Input/output error");
    TEST_CHECK_STR(calls, "s");
    check_kept(path_of("kept.ckpt"), folder);
    fail_call('r', 1, EPERM);
    write_refused(path_of("kept.ckpt"), &new_one, BM_STATUS_INTERNAL, "not permitted");
    check_kept(path_of("kept.ckpt"), folder);
    fail_call('s', 2, EIO);
    write_refused(path_of("kept.ckpt"), &old_one, BM_STATUS_INTERNAL, "cannot sync the folder of");
    check_kept(path_of("kept.ckpt"), folder);
    fail_call('s', 2, EINVAL); /* of a file system without that call */
    write_well(path_of("kept.ckpt"), &old_one);
    fail_call('-', 0, 0);
    TEST_CHECK(unlink(path_of("kept.ckpt")) == 0);
    bm_checkpoint_free(&old_one);
    bm_checkpoint_free(&new_one);
}

/* ---- Sessions ---- */

static const char with_batchnorm[] = "dense 12, batchnorm, relu, dropout 0.5, dense 4";
static const char without_batchnorm[] = "dense 12, relu, dense 4";

static struct bm_test_bench *
open_bench(const struct bm_plugin *plugin, const char *layers, uint32_t optimizer) {
    const struct bm_test_bench_spec spec = {.layers = layers,
                                            .input = {1, 5, 5},
                                            .image_count = 100,
                                            .optimizer = optimizer,
                                            .batch = 16,
                                            .micro_batch = 12};
    struct bm_test_bench *test = bm_test_bench_create(plugin, &spec);
    test->bench.flags = 0; /* with dropout, which goes by the update's number */
    return test;
}

static void update(struct bm_test_bench *test, int count) {
    for (int i = 0; i < count; i++) {
        TEST_CHECK_MSG(bm_bench_update(&test->bench, &test->error) == BM_STATUS_OK, "%s",
                       test->error.text);
    }
}

/* With what a header needs besides. */
static void take(struct bm_test_bench *test, struct bm_checkpoint *checkpoint) {
    checkpoint->batch = 16;
    checkpoint->threads = 1;
    TEST_CHECK_MSG(bm_checkpoint_take(&test->bench, checkpoint, &test->error) == BM_STATUS_OK, "%s",
                   test->error.text);
}

static void give(const struct bm_checkpoint *checkpoint, struct bm_test_bench *test) {
    TEST_CHECK_MSG(bm_checkpoint_give(checkpoint, &test->bench, &test->error) == BM_STATUS_OK, "%s",
                   test->error.text);
}

/* Updates 1 to 5 of a session, through a file. */
static void
half_way(const struct bm_plugin *plugin, uint32_t optimizer, struct bm_checkpoint *half) {
    struct bm_checkpoint taken = {0};
    struct bm_test_bench *test = open_bench(plugin, with_batchnorm, optimizer);
    update(test, 5);
    take(test, &taken);
    write_well(path_of("half.ckpt"), &taken);
    read_well(path_of("half.ckpt"), half);
    TEST_CHECK(half->first == 80 && half->update == 6);
    bm_checkpoint_free(&taken);
    bm_test_bench_destroy(test);
}

/* The array is neither that of half way nor nothing, so that equality with it means something. */
static void check_moved(const float *end, const float *half, uint64_t count) {
    TEST_CHECK(memcmp(end, half, count * sizeof *end) != 0);
}

static void test_goes_on(const struct bm_plugin *plugin, uint32_t optimizer) {
    struct bm_checkpoint straight = {0};
    struct bm_checkpoint half;
    struct bm_checkpoint resumed = {0};
    struct bm_test_bench *test = open_bench(plugin, with_batchnorm, optimizer);
    update(test, 10);
    take(test, &straight);
    TEST_CHECK(straight.slot_count == bm_optimizer_slot_count(optimizer));
    TEST_CHECK(straight.statistics_count == 24 && straight.update == 11);
    bm_test_bench_destroy(test);
    half_way(plugin, optimizer, &half);
    test = open_bench(plugin, with_batchnorm, optimizer);
    give(&half, test);
    take(test, &resumed);
    check_array(resumed.params, half.params, half.param_count);
    update(test, 5);
    take(test, &resumed);
    TEST_CHECK(resumed.details == NULL);
    resumed.details = json_incref(half.details);
    straight.details = json_incref(half.details);
    check_equal(&resumed, &straight);
    check_moved(straight.params, half.params, half.param_count);
    check_moved(straight.statistics, half.statistics, half.statistics_count);
    for (uint64_t i = 0; i < half.slot_count; i++) {
        check_moved(straight.slot[i], half.slot[i], half.param_count);
    }
    bm_test_bench_destroy(test);
    bm_checkpoint_free(&straight);
    bm_checkpoint_free(&half);
    bm_checkpoint_free(&resumed);
}

static double distance(const float *a, const float *b, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    }
    return sqrt(sum);
}

/* Another backend has the very numbers, and five updates later nearly those of the first: the
 * distance is that of rounding, far below what an update moves. */
static void test_other_backend(const struct bm_plugin *scalar, const struct bm_plugin *other) {
    struct bm_checkpoint half;
    struct bm_checkpoint expected = {0};
    struct bm_checkpoint found = {0};
    half_way(scalar, BM_OPTIMIZER_MOMENTUM, &half);
    struct bm_test_bench *one = open_bench(scalar, with_batchnorm, BM_OPTIMIZER_MOMENTUM);
    struct bm_test_bench *two = open_bench(other, with_batchnorm, BM_OPTIMIZER_MOMENTUM);
    give(&half, one);
    give(&half, two);
    take(two, &found);
    check_array(found.params, half.params, half.param_count);
    check_array(found.slot[0], half.slot[0], half.param_count);
    check_array(found.statistics, half.statistics, half.statistics_count);
    update(one, 5);
    update(two, 5);
    take(one, &expected);
    take(two, &found);
    TEST_CHECK(found.first == expected.first && found.update == 11);
    double moved = distance(expected.params, half.params, half.param_count);
    double apart = distance(expected.params, found.params, half.param_count);
    TEST_CHECK_MSG(apart < 1e-3 * moved, "%g apart after moving by %g", apart, moved);
    bm_test_bench_destroy(one);
    bm_test_bench_destroy(two);
    bm_checkpoint_free(&half);
    bm_checkpoint_free(&expected);
    bm_checkpoint_free(&found);
}

static void test_avx2(const struct bm_plugin *scalar) {
    char path[4096];
    struct bm_error error;
    uint32_t count = 0;
    (void)snprintf(path, sizeof path, "%s/bm_avx2.so", bm_test_env("BM_TEST_PLUGIN_DIR"));
    if (!exists(path)) {
        (void)printf("no second backend: avx2 is not built\n");
        return;
    }
    const struct bm_plugin *avx2 = bm_test_plugin("avx2");
    TEST_CHECK_MSG(avx2->device_count(&count, &error) == BM_STATUS_OK, "%s", error.text);
    if (count == 0) {
        (void)printf("no second backend: %s\n", error.text);
        return;
    }
    test_other_backend(scalar, avx2);
}

static void expect_take(const struct bm_plugin *plugin,
                        const char *layers,
                        uint32_t optimizer,
                        const char *reason) {
    struct bm_checkpoint half = {0};
    struct bm_test_bench *test = open_bench(plugin, layers, optimizer);
    int32_t status = bm_checkpoint_take(&test->bench, &half, &test->error);
    TEST_CHECK(status == (reason == NULL ? BM_STATUS_OK : BM_STATUS_UNSUPPORTED));
    if (reason == NULL) {
        update(test, 2);
        give(&half, test);
        TEST_CHECK(test->bench.first == 0 && test->bench.update == 1);
    } else {
        TEST_CONTAINS(test->error.text, reason);
    }
    bm_checkpoint_free(&half);
    bm_test_bench_destroy(test);
}

/* What such a plugin cannot take it does not take in part. */
static void expect_no_give(const struct bm_plugin *plugin, const struct bm_plugin *without) {
    struct bm_checkpoint half;
    half_way(plugin, BM_OPTIMIZER_ADAM, &half);
    struct bm_test_bench *test = open_bench(without, with_batchnorm, BM_OPTIMIZER_ADAM);
    float *params = make_array(half.param_count, 0);
    TEST_CHECK(bm_checkpoint_give(&half, &test->bench, &test->error) == BM_STATUS_UNSUPPORTED);
    TEST_CONTAINS(test->error.text, "expected a plugin with write_state, for 2 slots of adam and "
                                    "24 running statistics, found none in scalar");
    TEST_CHECK(bm_bench_read_params(&test->bench, params, &test->error) == BM_STATUS_OK);
    check_array(params, test->bench.start, half.param_count);
    TEST_CHECK(test->bench.update == 1);
    TEST_CHECK(bm_bench_write_state(&test->bench, 0, half.params, half.param_count, &test->error) ==
               BM_STATUS_UNSUPPORTED);
    free(params);
    bm_checkpoint_free(&half);
    bm_test_bench_destroy(test);
}

static void test_without_state(const struct bm_plugin *plugin) {
    struct bm_plugin without = *plugin;
    without.read_state = NULL;
    without.write_state = NULL;
    expect_take(&without, without_batchnorm, BM_OPTIMIZER_SGD, NULL);
    expect_take(&without, without_batchnorm, BM_OPTIMIZER_MOMENTUM,
                "expected a plugin with read_state, for 1 slots of momentum");
    expect_take(&without, with_batchnorm, BM_OPTIMIZER_SGD,
                "0 slots of sgd and 24 running statistics");
    expect_no_give(plugin, &without);
}

static void expect_misfit(const struct bm_checkpoint *checkpoint,
                          struct bm_test_bench *test,
                          const char *part) {
    TEST_CHECK(bm_checkpoint_give(checkpoint, &test->bench, &test->error) == BM_STATUS_INVALID);
    TEST_CONTAINS(test->error.text, part);
    TEST_CHECK(test->bench.first == 0 && test->bench.update == 1);
}

static void test_misfits(const struct bm_plugin *plugin) {
    struct bm_checkpoint half;
    half_way(plugin, BM_OPTIMIZER_ADAM, &half);
    struct bm_test_bench *sgd = open_bench(plugin, with_batchnorm, BM_OPTIMIZER_SGD);
    struct bm_test_bench *plain = open_bench(plugin, without_batchnorm, BM_OPTIMIZER_ADAM);
    struct bm_test_bench *same = open_bench(plugin, with_batchnorm, BM_OPTIMIZER_ADAM);
    expect_misfit(&half, sgd, "expected 0 slots of the optimizer, found 2");
    expect_misfit(&half, plain, "expected 364 parameters, found 388");
    half.statistics_count = 22;
    expect_misfit(&half, same, "expected 24 running statistics, found 22");
    half.statistics_count = 24;
    half.first = 101;
    expect_misfit(&half, same, "expected a position in an order of 100 images, found 101");
    half.first = 100;
    give(&half, same);
    TEST_CHECK(same->bench.first == 100);
    bm_checkpoint_free(&half);
    bm_test_bench_destroy(sgd);
    bm_test_bench_destroy(plain);
    bm_test_bench_destroy(same);
}

/* An array is used again, and made anew for another session. */
static void test_arrays_again(const struct bm_plugin *plugin) {
    struct bm_checkpoint taken = {0};
    struct bm_test_bench *adam = open_bench(plugin, with_batchnorm, BM_OPTIMIZER_ADAM);
    struct bm_test_bench *sgd = open_bench(plugin, without_batchnorm, BM_OPTIMIZER_SGD);
    take(adam, &taken);
    taken.params = realloc(taken.params, 1 << 20); /* elsewhere than one made anew */
    const float *params = taken.params;
    update(adam, 1);
    take(adam, &taken);
    TEST_CHECK(taken.params == params && taken.update == 2);
    take(sgd, &taken);
    TEST_CHECK(taken.param_count == 364 && taken.slot_count == 0 && taken.slot[0] == NULL);
    TEST_CHECK(taken.statistics == NULL && taken.statistics_count == 0);
    check_array(taken.params, sgd->bench.start, 364);
    bm_checkpoint_free(&taken);
    bm_test_bench_destroy(adam);
    bm_test_bench_destroy(sgd);
}

int main(void) {
    TEST_CHECK(mkdtemp(folder) != NULL);
    test_round_trip();
    test_little();
    test_layout();
    test_truncation();
    test_flips();
    test_missing_and_other_types();
    test_absurd_counts();
    test_texts();
    test_headers();
    test_deep_header();
    test_header_length();
    test_no_plain_file();
    test_bad_contents();
    test_bad_paths();
    test_present_folder();
    test_full_disk();
    test_partial();
    test_finished_by_another();
    test_order_of_syncs();
    test_failing_calls();
    const struct bm_plugin *scalar = bm_test_plugin("scalar");
    test_goes_on(scalar, BM_OPTIMIZER_SGD);
    test_goes_on(scalar, BM_OPTIMIZER_MOMENTUM);
    test_goes_on(scalar, BM_OPTIMIZER_ADAM);
    test_avx2(scalar);
    test_without_state(scalar);
    test_misfits(scalar);
    test_arrays_again(scalar);
    TEST_CHECK(unlink(path_of("half.ckpt")) == 0 && rmdir(folder) == 0);
    return 0;
}
