#include "choices.h"

#include <string.h>

#define MEMORY "memory_bytes="

static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return *line == '\n' ? line + 1 : line;
}

void bm_choices_copy(const char *describe, char *choices, size_t capacity) {
    size_t used = 0;
    choices[0] = '\0';
    for (const char *line = describe; *line != '\0'; line = next_line(line)) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, MEMORY, strlen(MEMORY)) != 0 && used + length + 1 < capacity) {
            memcpy(choices + used, line, length);
            used += length;
            choices[used++] = '\n';
            choices[used] = '\0';
        }
    }
}

/* The line of the same key, or NULL. `key` is its length with the '='. */
static const char *find_key(const char *lines, const char *line, size_t key) {
    for (; *lines != '\0'; lines = next_line(lines)) {
        if (strncmp(lines, line, key) == 0) {
            return lines;
        }
    }
    return NULL;
}

uint32_t bm_choices_differ(const char *base, const char *head) {
    for (const char *line = base; *line != '\0'; line = next_line(line)) {
        size_t length = strcspn(line, "\n");
        size_t key = strcspn(line, "=\n") + 1;
        const char *other = key <= length ? find_key(head, line, key) : NULL;
        if (other != NULL && strncmp(line, MEMORY, strlen(MEMORY)) != 0 &&
            (strcspn(other, "\n") != length || strncmp(line, other, length) != 0)) {
            return 1;
        }
    }
    return 0;
}
