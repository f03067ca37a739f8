/* `batchmark data`: which data sets are there, whether their files are whole, and fetching them. */
#include "command.h"
#include "data_source.h"
#include "error.h"
#include "interrupt.h"
#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder_of(const struct bm_options *options) {
    return options->data_dir[0] == '\0' ? NULL : options->data_dir;
}

static void print_summary(const struct bm_data_summary *summary) {
    (void)printf("%" PRIu64 " + %" PRIu64 " images of %ux%ux%u, %u classes", summary->train_count,
                 summary->test_count, summary->shape.channels, summary->shape.height,
                 summary->shape.width, summary->class_count);
}

/* ---- list ---- */

static void list_set(const char *name, const struct bm_options *options) {
    const struct bm_data_set *set = bm_data_set_find(name);
    struct bm_data_location location;
    struct bm_data_summary summary;
    struct bm_error error;
    if (set->format == BM_DATA_FORMAT_SYNTHETIC) {
        (void)printf("  %-14s made from the seed, any shape: section [synthetic] of an ini file\n",
                     name);
        return;
    }
    if (bm_data_locate(set, folder_of(options), &location, &error) != BM_STATUS_OK ||
        bm_data_summarize(set, &location, &summary, &error) != BM_STATUS_OK) {
        /* The text may begin with the name, which stands there already. */
        size_t named = strlen(name);
        int repeats = strncmp(error.text, name, named) == 0 && error.text[named] == ':';
        (void)printf("  %-14s not available: %s\n", name, error.text + (repeats ? named + 2 : 0));
        return;
    }
    (void)printf("  %-14s ", name);
    print_summary(&summary);
    (void)printf("\n  %-14s in %s\n", "", location.folder);
}

static int list(const struct bm_options *options) {
    (void)printf("data sets:\n");
    for (uint32_t i = 0; bm_data_names[i] != NULL; i++) {
        list_set(bm_data_names[i], options);
    }
    return BM_EXIT_OK;
}

/* ---- verify ---- */

static int complain(const char *text) {
    (void)fflush(stdout); /* after what was printed before it */
    (void)fprintf(stderr, "batchmark data: %s\n", text);
    return BM_EXIT_USAGE;
}

static int verify_digests(const struct bm_data_set *set, const struct bm_data_location *location) {
    int code = BM_EXIT_OK;
    for (uint32_t i = 0; i < set->file_count; i++) {
        char digest[65];
        struct bm_error error;
        const char *known = set->content_sha256[i];
        if (bm_data_content_digest(location->paths[i], digest, &error) != BM_STATUS_OK) {
            return complain(error.text);
        }
        int differs = known != NULL && strcmp(known, digest) != 0;
        (void)printf("  %s  %s%s\n", digest, set->files[i],
                     known == NULL ? "" : (differs ? "  DIFFERS" : "  as published"));
        if (differs) {
            char text[BM_DATA_PATH_SIZE + 192];
            (void)snprintf(text, sizeof text, "%s: expected the content with SHA-256 %s, found %s",
                           location->paths[i], known, digest);
            code = complain(text);
        }
    }
    return code;
}

/* Reads it as `run` would, which checks everything, then compares digests of the content. */
static int verify_files(const struct bm_data_set *set,
                        const struct bm_data_location *location,
                        const struct bm_options *options) {
    struct bm_dataset dataset;
    struct bm_error error;
    (void)printf("%s in %s\n", set->name, location->folder);
    if (bm_dataset_open(set->name, folder_of(options), NULL, &dataset, &error) != BM_STATUS_OK) {
        return complain(error.text);
    }
    const struct bm_data_summary summary = {dataset.shape, dataset.class_count,
                                            dataset.split[BM_SPLIT_TRAIN].count,
                                            dataset.split[BM_SPLIT_TEST].count};
    (void)printf("  ");
    print_summary(&summary);
    (void)printf(": whole, labels in range\n");
    bm_dataset_close(&dataset);
    return verify_digests(set, location);
}

/* The set of that very name, with files. NULL, and *code, if there is none or it has none. */
static const struct bm_data_set *find_set(const char *name, int *code) {
    const struct bm_data_set *set = bm_data_set_find(name);
    if (set == NULL || strcmp(set->name, name) != 0) {
        char text[192];
        (void)snprintf(text, sizeof text,
                       "expected fashion-mnist, mnist, cifar10, cifar100 or synthetic, found "
                       "\"%.64s\"",
                       name);
        *code = complain(text);
        return NULL;
    }
    if (set->format == BM_DATA_FORMAT_SYNTHETIC) {
        (void)printf("%s is made from the seed: there are no files\n", name);
        *code = BM_EXIT_OK;
        return NULL;
    }
    return set;
}

static int verify_set(const char *name, int is_asked_for, const struct bm_options *options) {
    struct bm_data_location location;
    struct bm_error error;
    int code = BM_EXIT_OK;
    const struct bm_data_set *set = find_set(name, &code);
    if (set == NULL) {
        return code;
    }
    if (bm_data_locate(set, folder_of(options), &location, &error) != BM_STATUS_OK) {
        if (is_asked_for || location.folder[0] != '\0') {
            return complain(error.text);
        }
        (void)printf("%s is not here\n", name);
        return BM_EXIT_OK;
    }
    return verify_files(set, &location, options);
}

static int verify(const struct bm_options *options, const char **names, uint32_t count) {
    int code = BM_EXIT_OK;
    for (uint32_t i = 0; i < count; i++) {
        int found = verify_set(names[i], 1, options);
        code = found != BM_EXIT_OK ? found : code;
    }
    for (uint32_t i = 0; count == 0 && bm_data_names[i] != NULL; i++) {
        int found = verify_set(bm_data_names[i], 0, options);
        code = found != BM_EXIT_OK ? found : code;
    }
    return code;
}

/* ---- fetch ---- */

static int complain_of_fetch(int32_t status, const struct bm_error *error) {
    int code = complain(error->text);
    if (status == BM_STATUS_TIMEOUT) {
        (void)fprintf(stderr, "the same command goes on from there\n");
        return 128 + bm_interrupt_signal();
    }
    return status == BM_STATUS_INTERNAL ? BM_EXIT_WRITE : code;
}

/* FOLDER/NAME of --data-dir, else of the user's own folder. */
static int32_t fetch_folder(const char *name,
                            const struct bm_options *options,
                            char folder[BM_DATA_PATH_SIZE],
                            struct bm_error *error) {
    char home[BM_DATA_PATH_SIZE];
    const char *root = options->data_dir;
    if (root[0] == '\0') {
        if (!bm_data_home(home, sizeof home)) {
            return bm_fail(error, BM_STATUS_INVALID,
                           "expected --data-dir, XDG_DATA_HOME or HOME, found none");
        }
        root = home;
    }
    int length = snprintf(folder, BM_DATA_PATH_SIZE, "%s/%s", root, name);
    return length < BM_DATA_PATH_SIZE
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID, "%.64s...: expected a shorter path", root);
}

static int fetch_set(const char *name, const struct bm_options *options) {
    char folder[BM_DATA_PATH_SIZE];
    struct bm_data_location location;
    struct bm_data_summary summary;
    struct bm_error error = {0};
    int code = BM_EXIT_OK;
    const struct bm_data_set *set = find_set(name, &code);
    if (set == NULL) {
        return code;
    }
    const char *mirror = options->mirror[0] == '\0' ? NULL : options->mirror;
    int32_t status = fetch_folder(name, options, folder, &error);
    uint32_t is_checked = 0;
    status = status ? status
                    : bm_data_fetch(set, folder, mirror, options->hang_time_s, &is_checked, &error);
    status = status ? status : bm_data_locate(set, folder_of(options), &location, &error);
    status = status ? status : bm_data_summarize(set, &location, &summary, &error);
    if (status != BM_STATUS_OK) {
        return complain_of_fetch(status, &error);
    }
    (void)printf("%s: ", name);
    print_summary(&summary);
    (void)printf("\n  in %s, %s\n", folder,
                 is_checked ? "as published" : "which were there, and were not checked");
    if (strcmp(location.folder, folder) != 0) {
        (void)printf("  but those in %s come first\n", location.folder);
    }
    return BM_EXIT_OK;
}

static int fetch(const struct bm_options *options, const char **names, uint32_t count) {
    int code = BM_EXIT_OK;
    if (count == 0) {
        return complain("fetch: expected fashion-mnist, mnist, cifar10 or cifar100, found nothing");
    }
    bm_interrupt_catch();
    for (uint32_t i = 0; i < count && bm_interrupt_signal() == 0; i++) {
        int found = fetch_set(names[i], options);
        code = found != BM_EXIT_OK ? found : code;
    }
    /* Also where the signal came while nothing was on its way. */
    return bm_interrupt_signal() != 0 ? 128 + bm_interrupt_signal() : code;
}

/* ---- The command ---- */

static void print_help(void) {
    (void)printf("usage: batchmark data list\n"
                 "       batchmark data verify [NAME...]\n"
                 "       batchmark data fetch NAME... [--mirror URL]\n\n"
                 "list shows which data sets are found, and where. verify reads them whole, prints "
                 "the SHA-256 of\n"
                 "each file's unpacked content and compares it with the published one where that "
                 "is known.\n"
                 "fetch downloads them from where they were published into FOLDER/NAME, FOLDER "
                 "being --data-dir,\n"
                 "else $XDG_DATA_HOME/batchmark, and checks their SHA-256. One that was cut off "
                 "goes on where it was.\n"
                 "Searched: --data-dir, the folders of $BATCHMARK_DATA, "
                 "$XDG_DATA_HOME/batchmark,\n"
                 "/usr/share/datasets; in each FOLDER/NAME first, then FOLDER.\n\n");
    bm_options_help(BM_COMMAND_DATA, stdout);
}

#define WORD_MAX 16u

static int dispatch(const struct bm_options *options, const char **words, uint32_t word_count) {
    const char *what = word_count > 0 ? words[0] : "";
    if (strcmp(what, "list") == 0 && word_count == 1) {
        return list(options);
    }
    if (strcmp(what, "fetch") == 0) {
        return fetch(options, words + 1, word_count - 1);
    }
    if (strcmp(what, "verify") == 0) {
        return verify(options, words + 1, word_count - 1);
    }
    char text[128];
    (void)snprintf(text, sizeof text,
                   "expected list, verify [NAME...] or fetch NAME..., found \"%.64s\"",
                   word_count > 1 && strcmp(what, "list") == 0 ? words[1] : what);
    return complain(text);
}

int bm_command_data(int argc, char **argv) {
    struct bm_options *options = malloc(sizeof *options);
    const char *words[WORD_MAX];
    uint32_t word_count = 0;
    struct bm_error error;
    int code = BM_EXIT_OK;
    if (options == NULL) {
        return complain("no memory");
    }
    if (bm_options_parse(BM_COMMAND_DATA, argc, argv, options, words, WORD_MAX, &word_count,
                         &error) != BM_STATUS_OK) {
        code = complain(error.text);
    } else if (options->help) {
        print_help();
    } else {
        code = dispatch(options, words, word_count);
    }
    free(options);
    return code;
}
