/* Fields of the landscape's objects as texts. */
#include "field.h"
#include "landscape_table_parts.h"
#include "printable.h"

#include <math.h>
#include <string.h>

#define NAME_CHARACTERS 48u
#define SENTENCE_CHARACTERS 400u
#define LIST_SHOWN 4u
#define LARGEST 1e100 /* more is what overflowed */

const json_t *bm_landscape_at(const json_t *object, const char *path) {
    while (object != NULL && *path != '\0') {
        char key[64];
        size_t length = strcspn(path, ".");
        (void)snprintf(key, sizeof key, "%.*s", (int)length, path);
        object = json_object_get(object, key);
        path += length + (path[length] == '.');
    }
    return object;
}

static int is_sound(const json_t *value) {
    return json_is_number(value) && fabs(json_number_value(value)) <= LARGEST;
}

int bm_landscape_measure(const json_t *object, const char *path, double *value) {
    const json_t *found = bm_landscape_at(object, path);
    if (!is_sound(found)) {
        return 0;
    }
    *value = json_number_value(found);
    return 1;
}

/* ---- Numbers ---- */

/* Zeros behind the point tell nothing: "0.250" is "0.25", "5.00e-05" is "5e-05". */
static void strip_zeros(char *text) {
    char *exponent = strchr(text, 'e');
    char *end = exponent == NULL ? text + strlen(text) : exponent;
    char *last = end;
    if (memchr(text, '.', (size_t)(end - text)) == NULL) {
        return;
    }
    while (last[-1] == '0') {
        last--;
    }
    last -= last[-1] == '.';
    memmove(last, end, strlen(end) + 1);
}

void bm_landscape_put_value(double value, int digits, char *text, uint32_t capacity) {
    double size = fabs(value);
    if (size == 0 || (value == floor(value) && size < 1e6)) {
        (void)snprintf(text, capacity, "%.0f", value == 0 ? 0.0 : value);
        return;
    }
    if (size >= 1e-4 && size < 1e6) {
        int behind = digits - 1 - (int)floor(log10(size));
        (void)snprintf(text, capacity, "%.*f", behind > 0 ? behind : 0, value);
    } else {
        (void)snprintf(text, capacity, "%.*e", digits - 1, value);
    }
    strip_zeros(text);
}

static void put_digits(const json_t *value, int digits, char *text, uint32_t capacity) {
    if (is_sound(value)) {
        bm_landscape_put_value(json_number_value(value), digits, text, capacity);
    } else {
        (void)snprintf(text, capacity, "-");
    }
}

void bm_landscape_put_number(const json_t *object,
                             const char *path,
                             char *text,
                             uint32_t capacity) {
    put_digits(bm_landscape_at(object, path), 3, text, capacity);
}

void bm_landscape_put_loss(const json_t *object, const char *path, char *text, uint32_t capacity) {
    put_digits(bm_landscape_at(object, path), 5, text, capacity);
}

void bm_landscape_put_whole(const json_t *object, const char *path, char *text, uint32_t capacity) {
    double value = 0;
    int is_known = bm_landscape_measure(object, path, &value) && value >= 0 && value <= 1e15;
    (void)snprintf(text, capacity, is_known ? "%.0f" : "-", value);
}

void bm_landscape_put_percent(const json_t *object,
                              const char *path,
                              char *text,
                              uint32_t capacity) {
    double value = 0;
    int is_known = bm_landscape_measure(object, path, &value) && value >= 0 && value <= 1;
    (void)snprintf(text, capacity, is_known ? "%.2f" : "-", 100 * value);
}

void bm_landscape_put_flag(const json_t *object, const char *path, char *text, uint32_t capacity) {
    const json_t *value = bm_landscape_at(object, path);
    const char *word = json_is_true(value) ? "yes" : "no";
    (void)snprintf(text, capacity, "%s", json_is_boolean(value) ? word : "-");
}

static const json_t *middle_of(const json_t *object) {
    static const char *const names[] = {"value", "median", "scale", "critical_batch"};
    const json_t *found = NULL;
    for (size_t i = 0; found == NULL && i < sizeof names / sizeof names[0]; i++) {
        found = json_object_get(object, names[i]);
    }
    return found;
}

void bm_landscape_put_interval(const json_t *object,
                               const char *path,
                               char *text,
                               uint32_t capacity) {
    const json_t *of = bm_landscape_at(object, path);
    char low[32];
    char high[32];
    put_digits(middle_of(of), 3, text, capacity);
    put_digits(json_object_get(of, "low"), 3, low, sizeof low);
    put_digits(json_object_get(of, "high"), 3, high, sizeof high);
    size_t used = strlen(text);
    if (strcmp(text, "-") == 0 || strcmp(low, "-") == 0) {
        return;
    }
    if (strcmp(high, "-") == 0) {
        (void)snprintf(text + used, capacity - used, " (from %s)", low);
    } else {
        (void)snprintf(text + used, capacity - used, " (%s to %s)", low, high);
    }
}

void bm_landscape_put_list(const json_t *object, const char *path, char *text, uint32_t capacity) {
    const json_t *list = bm_landscape_at(object, path);
    size_t count = json_array_size(list);
    (void)snprintf(text, capacity, "%s", count == 0 ? "-" : "");
    for (size_t i = 0; i < count && i < LIST_SHOWN; i++) {
        char number[32];
        size_t used = strlen(text);
        put_digits(json_array_get(list, i), 3, number, sizeof number);
        (void)snprintf(text + used, capacity - used, "%s%s", i == 0 ? "" : ", ", number);
    }
    if (count > LIST_SHOWN) {
        size_t used = strlen(text);
        (void)snprintf(text + used, capacity - used, ", ...");
    }
}

/* ---- Texts ---- */

/* Of UTF-8, or of whatever a record holds instead. */
static size_t letter_length(const char *text) {
    size_t length = 1;
    while (((unsigned char)text[length] & 0xc0) == 0x80) {
        length++;
    }
    return length;
}

/* Copies at most so many letters and says where some are missing. */
static void copy_letters(const char *from, uint32_t characters, char *text, uint32_t capacity) {
    static const char more[] = "…";
    size_t used = 0;
    for (uint32_t seen = 0; *from != '\0'; seen++) {
        size_t length = letter_length(from);
        if (seen == characters || used + length + sizeof more > capacity) {
            memcpy(text + used, more, sizeof more);
            return;
        }
        memcpy(text + used, from, length);
        used += length;
        from += length;
    }
    text[used] = '\0';
}

static void put_cut(
    const json_t *object, const char *path, uint32_t characters, char *text, uint32_t capacity) {
    const char *found = json_string_value(bm_landscape_at(object, path));
    copy_letters(found == NULL || found[0] == '\0' ? "-" : found, characters, text, capacity);
    bm_printable(text, ""); /* one line, whatever a record holds */
}

void bm_landscape_put_text(const json_t *object, const char *path, char *text, uint32_t capacity) {
    put_cut(object, path, NAME_CHARACTERS, text, capacity);
}

void bm_landscape_put_words(const json_t *object, const char *path, char *text, uint32_t capacity) {
    put_cut(object, path, SENTENCE_CHARACTERS, text, capacity);
}

void bm_landscape_put_method(const json_t *object,
                             const char *path,
                             char *text,
                             uint32_t capacity) {
    double momentum = 0;
    (void)path;
    put_cut(object, "optimizer", NAME_CHARACTERS, text, capacity);
    if (bm_landscape_measure(object, "momentum", &momentum) && momentum != 0) {
        size_t used = strlen(text);
        (void)snprintf(text + used, capacity - used, " %.3g", momentum);
    }
}

void bm_landscape_put_gradient(const json_t *object,
                               const char *path,
                               char *text,
                               uint32_t capacity) {
    double batch = 0;
    double noise = 0;
    (void)path;
    if (bm_landscape_measure(object, "batch", &batch) && batch >= 0 && batch <= 1e15) {
        (void)snprintf(text, capacity, "batch %.0f", batch);
    } else {
        (void)snprintf(text, capacity, "full");
    }
    if (bm_landscape_measure(object, "noise", &noise) && noise != 0) {
        size_t used = strlen(text);
        (void)snprintf(text + used, capacity - used, ", noise %.3g", noise);
    }
}

/* ", batch norm of ghost-256", or nothing. */
static void put_details(const json_t *object, char *text, uint32_t capacity) {
    char images[32];
    char norm[64];
    bm_landscape_put_whole(object, "images", images, sizeof images);
    bm_landscape_put_text(object, "batch_norm", norm, sizeof norm);
    int has_images = strcmp(images, "-") != 0;
    int has_norm = strcmp(norm, "-") != 0;
    (void)snprintf(text, capacity, "%s%s%s%s%s", has_images ? ", " : "", has_images ? images : "",
                   has_images ? " images" : "", has_norm ? ", batch norm: " : "",
                   has_norm ? norm : "");
}

void bm_landscape_put_network(const json_t *object,
                              const char *path,
                              char *text,
                              uint32_t capacity) {
    char fields[5][128];
    (void)path;
    if (bm_field_text(object, "backend")[0] == '\0') {
        text[0] = '\0';
        return;
    }
    bm_landscape_put_text(object, "model", fields[0], sizeof fields[0]);
    bm_landscape_put_text(object, "dataset", fields[1], sizeof fields[1]);
    bm_landscape_put_text(object, "backend", fields[2], sizeof fields[2]);
    bm_landscape_put_text(object, "precision", fields[3], sizeof fields[3]);
    put_details(object, fields[4], sizeof fields[4]);
    uint64_t threads = bm_field_whole(object, "threads");
    (void)snprintf(text, capacity, "%s on %s%s; %s, %llu thread%s, %s%s", fields[0], fields[1],
                   fields[4], fields[2], (unsigned long long)threads, threads == 1 ? "" : "s",
                   fields[3],
                   json_is_true(json_object_get(object, "software")) ? ", a software device" : "");
}
