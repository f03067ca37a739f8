#include "scaffold.h"

#include "error.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scaffold {
    const char *from;
    char folder[PATH_MAX]; /* where the files are made, beside their place */
    const struct bm_scaffold_word *words;
    uint32_t word_count;
};

/* ---- Placeholders ---- */

static const struct bm_scaffold_word *word_at(const struct scaffold *scaffold, const char *text) {
    for (uint32_t i = 0; i < scaffold->word_count; i++) {
        if (strncmp(text, scaffold->words[i].word, strlen(scaffold->words[i].word)) == 0) {
            return &scaffold->words[i];
        }
    }
    return NULL;
}

/* The text with its words replaced; free() it. NULL without memory. */
static char *expand(const struct scaffold *scaffold, const char *text) {
    char *expanded = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&expanded, &size);
    if (stream == NULL) {
        return NULL;
    }
    while (*text != '\0') {
        const struct bm_scaffold_word *word = word_at(scaffold, text);
        if (word != NULL) {
            (void)fputs(word->value, stream);
            text += strlen(word->word);
        } else {
            (void)fputc(*text++, stream);
        }
    }
    int failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed) {
        free(expanded);
        return NULL;
    }
    return expanded;
}

/* ---- One file ---- */

#define TEXT_MAX ((size_t)1 << 20)

/* The whole file; free() it. NULL, with the error filled, if it cannot be read. */
static char *read_text(const char *path, struct bm_error *error) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read this template", path);
        return NULL;
    }
    char *text = calloc(TEXT_MAX, 1);
    size_t length = text != NULL ? fread(text, 1, TEXT_MAX, file) : 0;
    int failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed || length == TEXT_MAX || text == NULL) {
        (void)bm_fail(error, BM_STATUS_INVALID,
                      "%s: expected a template of less than %zu bytes that can be read", path,
                      TEXT_MAX);
        free(text);
        return NULL;
    }
    return text;
}

static int32_t write_text(const char *path, const char *text, struct bm_error *error) {
    FILE *file = fopen(path, "wxe");
    int failed = file == NULL || fputs(text, file) < 0;
    failed |= file != NULL && fclose(file) != 0;
    return failed ? bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write this file", path)
                  : BM_STATUS_OK;
}

static int32_t copy_text(const struct scaffold *scaffold,
                         const char *from,
                         const char *name,
                         struct bm_error *error) {
    char to[PATH_MAX];
    char *text = read_text(from, error);
    if (text == NULL) {
        return error->code;
    }
    int32_t status = BM_STATUS_OK;
    char *expanded = expand(scaffold, text);
    if (expanded == NULL) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory for a copy", from);
    } else if (snprintf(to, sizeof to, "%s/%s", scaffold->folder, name) >= (int)sizeof to) {
        status = bm_fail(error, BM_STATUS_INVALID, "%s: expected a shorter path", name);
    } else {
        status = write_text(to, expanded, error);
    }
    free(expanded);
    free(text);
    return status;
}

/* What is no regular file, such as a folder that a build left there, is not part of a template. */
static int32_t
copy_entry(const struct scaffold *scaffold, const char *entry, struct bm_error *error) {
    char from[PATH_MAX];
    struct stat facts;
    if (snprintf(from, sizeof from, "%s/%s", scaffold->from, entry) >= (int)sizeof from ||
        stat(from, &facts) != 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot look at this template", from);
    }
    if (!S_ISREG(facts.st_mode)) {
        return BM_STATUS_OK;
    }
    char *name = expand(scaffold, entry);
    int32_t status = name != NULL
                         ? copy_text(scaffold, from, name, error)
                         : bm_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory for a name", from);
    free(name);
    return status;
}

/* ---- All of them ---- */

static int is_file_name(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int32_t copy_all(const struct scaffold *scaffold, struct bm_error *error) {
    struct dirent **entries = NULL;
    int count = scandir(scaffold->from, &entries, is_file_name, alphasort);
    int32_t status = BM_STATUS_OK;
    if (count <= 0) {
        status = bm_fail(error, BM_STATUS_INVALID, "%s: expected the template's files, found none",
                         scaffold->from);
    }
    for (int i = 0; i < count; i++) {
        if (status == BM_STATUS_OK) {
            status = copy_entry(scaffold, entries[i]->d_name, error);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* The folder and the files that were made in it. */
static void remove_all(const char *folder) {
    struct dirent **entries = NULL;
    char path[PATH_MAX];
    int count = scandir(folder, &entries, is_file_name, NULL);
    for (int i = 0; i < count; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < (int)sizeof path) {
            (void)unlink(path);
        }
        free(entries[i]);
    }
    free(entries);
    (void)rmdir(folder);
}

/* mkdtemp lets nobody else in; the folder gets the permissions of any other. */
static int32_t open_up(const char *folder, struct bm_error *error) {
    mode_t mask = umask(0);
    (void)umask(mask);
    return chmod(folder, 0777 & ~mask) == 0
               ? BM_STATUS_OK
               : bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot set its permissions", folder);
}

int32_t bm_scaffold_make(const char *from,
                         const char *to,
                         const struct bm_scaffold_word *words,
                         uint32_t word_count,
                         struct bm_error *error) {
    struct scaffold scaffold = {.from = from, .words = words, .word_count = word_count};
    if (snprintf(scaffold.folder, sizeof scaffold.folder, "%s.XXXXXX", to) >=
        (int)sizeof scaffold.folder) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a shorter path", to);
    }
    if (mkdtemp(scaffold.folder) == NULL) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot make this folder", to);
    }
    int32_t status = open_up(scaffold.folder, error);
    if (status == BM_STATUS_OK) {
        status = copy_all(&scaffold, error);
    }
    if (status == BM_STATUS_OK && rename(scaffold.folder, to) != 0) {
        status = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR
                     ? bm_fail(error, BM_STATUS_INVALID,
                               "%s: expected nothing or an empty folder, found something", to)
                     : bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot make this folder", to);
    }
    if (status != BM_STATUS_OK) {
        remove_all(scaffold.folder);
    }
    return status;
}
