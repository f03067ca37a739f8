/* `batchmark new`: a folder with a backend that builds, passes `check`, and is to be changed. */
#include "command.h"
#include "error.h"
#include "options.h"
#include "place.h"
#include "scaffold.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The backend's name as plugin.h allows it, in the forms that the template needs. */
struct names {
    char name[32];
    char identifier[33]; /* with an underscore in place of each hyphen, and one at its end */
    char guard[32];      /* in capitals */
};

/* Where things are taken from and go to. */
struct plan {
    struct names names;
    char template[PATH_MAX];
    char prefix[PATH_MAX]; /* of the installation to build against */
    char folder[PATH_MAX]; /* to be made */
};

static const char small_letters[] = "abcdefghijklmnopqrstuvwxyz";

/* ---- The name ---- */

static void derive(struct names *names) {
    size_t length = strlen(names->name);
    for (size_t i = 0; i < length; i++) {
        char c = names->name[i];
        names->identifier[i] = c;
        names->guard[i] = c;
        if (c == '-') {
            names->identifier[i] = '_';
            names->guard[i] = '_';
        } else if (c >= 'a' && c <= 'z') {
            names->guard[i] = (char)(c - 'a' + 'A');
        }
    }
    names->identifier[length] = '_';
}

static int32_t read_name(const char *word, struct names *names, struct bm_error *error) {
    size_t length = strlen(word);
    if (length == 0 || strchr(small_letters, word[0]) == NULL ||
        word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != '\0' ||
        length >= sizeof names->name) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "NAME: expected a small letter, then at most %zu of a-z, 0-9, _ and -, "
                       "found \"%.64s\"",
                       sizeof names->name - 2, word);
    }
    memset(names, 0, sizeof *names);
    memcpy(names->name, word, length);
    derive(names);
    return BM_STATUS_OK;
}

/* A backend that comes with Batchmark would be shadowed by the new one, or shadow it. */
static int32_t check_new(const struct plan *plan, struct bm_error *error) {
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s/batchmark/bm_%s.so", plan->prefix, BM_LIBDIR,
                   plan->names.name);
    return access(path, F_OK) != 0
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID,
                         "NAME: expected one that no installed backend has, found %s", path);
}

/* ---- The installation ---- */

/* The path goes into a CMake preset and a makefile, where these mean something else. */
static int32_t check_characters(const char *prefix, struct bm_error *error) {
    for (const char *c = prefix; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || strchr("\"\\$#;:", *c) != NULL) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "--prefix: expected a path without \" \\ $ # ; : and control "
                           "characters, found 0x%02x at byte %d",
                           (unsigned char)*c, (int)(c - prefix));
        }
    }
    return BM_STATUS_OK;
}

static int32_t check_installation(const char *prefix, struct bm_error *error) {
    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", prefix, BM_HEADER);
    return access(path, R_OK) == 0
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID,
                         "--prefix: expected an installation of Batchmark with %s, found none in "
                         "%s (`cmake --install BUILD --prefix FOLDER` makes one)",
                         BM_HEADER, prefix);
}

/* Where the program lies, if that is an installation. */
static int32_t own_prefix(char *prefix, size_t capacity, struct bm_error *error) {
    if (bm_place_build_tree(prefix, capacity)) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "--prefix: expected the folder of an installation, as this program runs "
                       "from a build tree, found none (`cmake --install %s --prefix FOLDER` makes "
                       "one)",
                       prefix);
    }
    return bm_place_prefix(prefix, capacity)
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID,
                         "--prefix: expected the folder of an installation, found none");
}

static int32_t find_prefix(const char *asked, struct plan *plan, struct bm_error *error) {
    char prefix[PATH_MAX];
    int32_t status = BM_STATUS_OK;
    if (asked[0] == '\0') {
        status = own_prefix(prefix, sizeof prefix, error);
    } else {
        (void)snprintf(prefix, sizeof prefix, "%s", asked);
    }
    if (status == BM_STATUS_OK && realpath(prefix, plan->prefix) == NULL) {
        status =
            bm_fail_errno(error, BM_STATUS_INVALID,
                          "--prefix: expected the folder of an installation, found %s", prefix);
    }
    if (status == BM_STATUS_OK) {
        status = check_characters(plan->prefix, error);
    }
    return status == BM_STATUS_OK ? check_installation(plan->prefix, error) : status;
}

static int32_t find_template(struct plan *plan, struct bm_error *error) {
    if (!bm_place_source(plan->template, sizeof plan->template, "plugins/template") &&
        !bm_place_installed_template(plan->template, sizeof plan->template)) {
        plan->template[0] = '\0';
    }
    return access(plan->template, R_OK | X_OK) == 0
               ? BM_STATUS_OK
               : bm_fail(
                     error, BM_STATUS_INVALID,
                     "template: expected a folder %s, as installed with the program, found none",
                     plan->template);
}

/* ---- The folder ---- */

/* The shell would be left in a folder that is gone. */
static int32_t check_folder(const char *folder, struct bm_error *error) {
    char path[PATH_MAX];
    char here[PATH_MAX];
    return realpath(folder, path) == NULL || getcwd(here, sizeof here) == NULL ||
                   strcmp(path, here) != 0
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID,
                         "%s: expected a folder other than the current one", folder);
}

/* Without the slashes at its end, so that what is made first lies beside it. */
static int32_t read_folder(const char *word, struct plan *plan, struct bm_error *error) {
    size_t length = strlen(word);
    while (length > 1 && word[length - 1] == '/') {
        length--;
    }
    if (length == 0 || length >= sizeof plan->folder) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "FOLDER: expected a path of 1 to %zu bytes, found %zu",
                       sizeof plan->folder - 1, length);
    }
    memcpy(plan->folder, word, length);
    return check_folder(plan->folder, error);
}

static int32_t make_folder(const struct plan *plan, struct bm_error *error) {
    const struct bm_scaffold_word words[] = {
        {"@BATCHMARK_PREFIX@", plan->prefix}, {"@BATCHMARK_PKGCONFIG@", BM_LIBDIR "/pkgconfig"},
        {"@BATCHMARK_PROGRAM@", BM_PROGRAM},  {"mychip_", plan->names.identifier},
        {"mychip", plan->names.name},         {"MYCHIP", plan->names.guard},
    };
    return bm_scaffold_make(plan->template, plan->folder, words, sizeof words / sizeof words[0],
                            error);
}

/* Around a path that a shell would take for several words. */
static const char *quote(const char *path) {
    return strpbrk(path, " ()&|<>*?~!'`") != NULL ? "\"" : "";
}

static void print_next(const struct plan *plan) {
    const char *name = plan->names.name;
    char program[PATH_MAX + 64];
    (void)snprintf(program, sizeof program, "%s%s/%s%s", quote(plan->prefix), plan->prefix,
                   BM_PROGRAM, quote(plan->prefix));
    (void)printf("%s: a backend that computes, slowly. Build it, check it, time it:\n\n"
                 "    cd %s%s%s\n"
                 "    cmake --preset release && cmake --build --preset release\n"
                 "    %s check build/bm_%s.so\n"
                 "    %s run --plugin build/bm_%s.so --backend %s,scalar --dataset synthetic "
                 "--preset quick\n\n"
                 "What to replace first stands in its README.md.\n",
                 plan->folder, quote(plan->folder), plan->folder, quote(plan->folder), program,
                 name, program, name, name);
}

/* ---- The command ---- */

static int complain(const char *text, int code) {
    (void)fprintf(stderr, "batchmark new: %s\n", text);
    return code;
}

static int make(const struct bm_options *options, const char **words, uint32_t word_count) {
    struct plan *plan = calloc(1, sizeof *plan);
    struct bm_error error = {0};
    if (plan == NULL) {
        return complain("no memory", BM_EXIT_USAGE);
    }
    int32_t status = read_name(words[0], &plan->names, &error);
    if (status == BM_STATUS_OK) {
        status = read_folder(word_count > 1 ? words[1] : words[0], plan, &error);
    }
    if (status == BM_STATUS_OK) {
        status = find_template(plan, &error);
    }
    if (status == BM_STATUS_OK) {
        status = find_prefix(options->prefix, plan, &error);
    }
    if (status == BM_STATUS_OK) {
        status = check_new(plan, &error);
    }
    if (status == BM_STATUS_OK) {
        status = make_folder(plan, &error);
    }
    if (status == BM_STATUS_OK) {
        print_next(plan);
    }
    free(plan);
    return status == BM_STATUS_OK
               ? BM_EXIT_OK
               : complain(error.text, status == BM_STATUS_INTERNAL ? BM_EXIT_WRITE : BM_EXIT_USAGE);
}

static void print_help(void) {
    (void)printf(
        "usage: batchmark new NAME [FOLDER]\n\n"
        "Writes a backend of your own into a new folder (default: ./NAME): the mandatory calls in "
        "plain C, built\n"
        "by CMake or make against the installation that this program is part of. It passes "
        "`batchmark check` as it\n"
        "is; its comments say what to replace first.\n\n");
    bm_options_help(BM_COMMAND_NEW, stdout);
}

int bm_command_new(int argc, char **argv) {
    struct bm_options *options = malloc(sizeof *options);
    struct bm_error error = {0};
    const char *words[2];
    uint32_t word_count = 0;
    int code = BM_EXIT_OK;
    if (options == NULL) {
        return complain("no memory", BM_EXIT_USAGE);
    }
    if (bm_options_parse(BM_COMMAND_NEW, argc, argv, options, words, 2, &word_count, &error) !=
        BM_STATUS_OK) {
        code = complain(error.text, BM_EXIT_USAGE);
    } else if (options->help) {
        print_help();
    } else if (word_count == 0) {
        code = complain("expected a name for the backend, found none (see --help)", BM_EXIT_USAGE);
    } else {
        code = make(options, words, word_count);
    }
    free(options);
    return code;
}
