#include "record_scan.h"

#include "error.h"
#include "field.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CAPACITY ((size_t)1 << 18)
#define BLANKS " \t\r\n"

/* ---- Lines ---- */

int32_t bm_record_scan_open(struct bm_record_scan *scan,
                            const char *path,
                            const struct bm_record_wanted *wanted,
                            struct bm_error *error) {
    struct stat info;
    scan->wanted = wanted;
    scan->path = path;
    scan->line = 0;
    scan->begin = 0;
    scan->end = 0;
    scan->is_at_end = 0;
    /* Without O_NONBLOCK a pipe of that name would wait for its writer. */
    scan->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (scan->fd < 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", path);
    }
    if (fstat(scan->fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        bm_record_scan_close(scan);
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a plain file", path);
    }
    return BM_STATUS_OK;
}

int bm_record_scan_is_torn(const struct bm_record_scan *scan) {
    return scan->is_at_end && scan->end > scan->begin;
}

void bm_record_scan_close(struct bm_record_scan *scan) {
    if (scan->fd >= 0) {
        (void)close(scan->fd);
    }
    scan->fd = -1;
}

void bm_record_scan_free(struct bm_record_scan *scan) {
    free(scan->buffer);
    free(scan->thin);
    scan->buffer = NULL;
    scan->thin = NULL;
    scan->capacity = 0;
}

static int resize(char **text, size_t capacity) {
    char *resized = realloc(*text, capacity);
    if (resized == NULL) {
        return 0;
    }
    *text = resized;
    return 1;
}

/* What was read and not yet taken goes to the front; a full buffer doubles. */
static int32_t make_room(struct bm_record_scan *scan, struct bm_error *error) {
    size_t left = scan->end - scan->begin;
    if (left >= BM_RECORD_LINE_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "%s:%llu: expected at most %zu bytes in a line",
                       scan->path, (unsigned long long)scan->line + 1, BM_RECORD_LINE_MAX);
    }
    if (left > 0 && scan->begin > 0) {
        memmove(scan->buffer, scan->buffer + scan->begin, left);
    }
    scan->begin = 0;
    scan->end = left;
    if (scan->capacity > 0 && left + 1 < scan->capacity) {
        return BM_STATUS_OK;
    }
    size_t capacity = scan->capacity == 0 ? FIRST_CAPACITY : 2 * scan->capacity;
    if (!resize(&scan->buffer, capacity) || !resize(&scan->thin, capacity)) {
        return bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory", scan->path);
    }
    scan->capacity = capacity;
    return BM_STATUS_OK;
}

static int32_t read_more(struct bm_record_scan *scan, struct bm_error *error) {
    int32_t status = make_room(scan, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    ssize_t got = read(scan->fd, scan->buffer + scan->end, scan->capacity - 1 - scan->end);
    if (got < 0 && errno != EINTR) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", scan->path);
    }
    scan->is_at_end = got == 0;
    scan->end += got > 0 ? (size_t)got : 0;
    return BM_STATUS_OK;
}

/* A whole line, its newline replaced by a 0; *line NULL at the end of the file. */
static int32_t
next_line(struct bm_record_scan *scan, char **line, size_t *length, struct bm_error *error) {
    size_t searched = 0;
    *line = NULL;
    for (;;) {
        size_t left = scan->end - scan->begin;
        char *newline = NULL;
        if (left > searched) { /* otherwise there may be no buffer yet */
            newline = memchr(scan->buffer + scan->begin + searched, '\n', left - searched);
        }
        if (newline != NULL) {
            *newline = '\0';
            *line = scan->buffer + scan->begin;
            *length = (size_t)(newline - *line);
            scan->begin += *length + 1;
            scan->line++;
            return BM_STATUS_OK;
        }
        searched = left;
        int32_t status = scan->is_at_end ? BM_STATUS_OK : read_more(scan, error);
        if (status != BM_STATUS_OK || scan->is_at_end) {
            return status;
        }
    }
}

/* ---- Cutting down ---- */

/* Each skip_ takes the place of a value's text and returns the place behind it, or NULL if that is
 * no value. They look no closer than they need: what is kept is parsed afterwards. */

static const char *skip_string(const char *text) {
    for (const char *p = text + 1;; p += 2) {
        p += strcspn(p, "\"\\");
        if (*p == '"') {
            return p + 1;
        }
        if (p[0] == '\0' || p[1] == '\0') {
            return NULL;
        }
    }
}

static const char *skip_value(const char *text) {
    const char *p = text;
    uint64_t depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if ((*p == '}' || *p == ']') && depth > 0) {
            depth--;
            p++;
        } else {
            size_t length = strcspn(p, depth > 0 ? "\"{}[]" : "\"{}[]," BLANKS);
            p = length == 0 ? NULL : p + length;
        }
    } while (p != NULL && depth > 0);
    return p;
}

static int is_listed(const char *const *names, const char *name, size_t length) {
    for (; *names != NULL; names++) {
        if (strncmp(*names, name, length) == 0 && (*names)[length] == '\0') {
            return 1;
        }
    }
    return 0;
}

static const char *skip_blanks(const char *text) {
    return text + strspn(text, BLANKS);
}

/* A member "key": value. */
struct member {
    const char *key; /* its quote */
    size_t length;   /* without quotes */
    const char *value;
    const char *end;
};

static int find_member(const char *text, struct member *member) {
    member->key = skip_blanks(text);
    const char *p = *member->key == '"' ? skip_string(member->key) : NULL;
    if (p == NULL) {
        return 0;
    }
    member->length = (size_t)(p - member->key) - 2;
    p = skip_blanks(p);
    if (*p != ':') {
        return 0;
    }
    member->value = skip_blanks(p + 1);
    member->end = skip_value(member->value);
    return member->end != NULL;
}

static char *append(char *to, const char *from, const char *end) {
    memcpy(to, from, (size_t)(end - from));
    return to + (end - from);
}

/* Copies an object with only the members that are listed, and of those that are objects only the
 * inner ones; never more than it reads. Moves both places behind it. 0 if it is no object. */
static int
copy_object(const char **text, char **copy, const char *const *members, const char *const *inner) {
    const char *p = *text;
    char *to = *copy;
    struct member member;
    if (*p != '{') {
        return 0;
    }
    *to++ = '{';
    int is_empty = 1;
    do {
        if (!find_member(p + 1, &member)) {
            return 0;
        }
        p = skip_blanks(member.end);
        if (!is_listed(members, member.key + 1, member.length)) {
            continue;
        }
        if (!is_empty) {
            *to++ = ',';
        }
        is_empty = 0;
        to = append(to, member.key, member.value);
        if (*member.value != '{' || inner == NULL) {
            to = append(to, member.value, member.end);
        } else if (!copy_object(&member.value, &to, inner, NULL)) {
            return 0;
        }
    } while (*p == ',');
    *to++ = '}';
    *text = p + 1;
    *copy = to;
    return *p == '}';
}

static json_t *parse_thin(struct bm_record_scan *scan, const char *line) {
    const char *p = skip_blanks(line);
    char *to = scan->thin;
    if (!copy_object(&p, &to, scan->wanted->members, scan->wanted->inner) ||
        *skip_blanks(p) != '\0') {
        return NULL;
    }
    return json_loadb(scan->thin, (size_t)(to - scan->thin), 0, NULL);
}

/* ---- Sizes ---- */

/* Whether a text or a name in it is too long. Jansson parses no deeper than 2048. */
static int has_long_text(json_t *value) {
    const char *key;
    json_t *inner;
    size_t index;
    int is_long = json_is_string(value) && json_string_length(value) > BM_RECORD_TEXT_MAX;
    json_array_foreach(value, index, inner) {
        is_long = is_long || has_long_text(inner);
    }
    json_object_foreach(value, key, inner) {
        is_long = is_long || strlen(key) > BM_RECORD_TEXT_MAX || has_long_text(inner);
    }
    return is_long;
}

static int32_t
check_sizes(const struct bm_record_scan *scan, json_t **object, struct bm_error *error) {
    if (!has_long_text(*object)) {
        return BM_STATUS_OK;
    }
    json_decref(*object);
    *object = NULL;
    return bm_fail(error, BM_STATUS_INVALID,
                   "%s:%llu: expected texts of at most %zu bytes, found a longer one", scan->path,
                   (unsigned long long)scan->line, BM_RECORD_TEXT_MAX);
}

/* ---- Objects ---- */

static int32_t parse_whole(const struct bm_record_scan *scan,
                           const char *line,
                           size_t length,
                           json_t **object,
                           struct bm_error *error) {
    json_error_t json_error = {.text = ""};
    *object = json_loadb(line, length, 0, &json_error);
    if (json_is_object(*object) && json_is_string(json_object_get(*object, "kind"))) {
        return BM_STATUS_OK;
    }
    json_decref(*object);
    *object = NULL;
    return bm_fail(error, BM_STATUS_INVALID,
                   "%s:%llu: expected a JSON object with a kind, found %.200s", scan->path,
                   (unsigned long long)scan->line,
                   json_error.text[0] != '\0' ? json_error.text : "something else");
}

/* A line that cannot be cut down is judged whole. NULL: of another kind. */
static int32_t parse(struct bm_record_scan *scan,
                     const char *line,
                     size_t length,
                     json_t **object,
                     struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    if (scan->wanted == NULL) {
        return parse_whole(scan, line, length, object, error);
    }
    *object = memchr(line, '\0', length) == NULL ? parse_thin(scan, line) : NULL;
    if (!bm_field_is_kind(*object, scan->wanted->thin) &&
        (*object == NULL || bm_field_text(*object, "kind")[0] == '\0' ||
         bm_field_is_kind(*object, scan->wanted->whole))) {
        json_decref(*object);
        status = parse_whole(scan, line, length, object, error);
    }
    if (*object != NULL && !bm_field_is_kind(*object, scan->wanted->thin) &&
        !bm_field_is_kind(*object, scan->wanted->whole)) {
        json_decref(*object);
        *object = NULL;
    }
    return status;
}

int32_t bm_record_scan_next(struct bm_record_scan *scan, json_t **object, struct bm_error *error) {
    char *line = NULL;
    size_t length = 0;
    int32_t status = BM_STATUS_OK;
    *object = NULL;
    while (status == BM_STATUS_OK && *object == NULL) {
        status = next_line(scan, &line, &length, error);
        if (status != BM_STATUS_OK || line == NULL) {
            return status;
        }
        status = parse(scan, line, length, object, error);
        if (status == BM_STATUS_OK && *object != NULL) {
            status = check_sizes(scan, object, error);
        }
    }
    return status;
}
