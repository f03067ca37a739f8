/*
 * Which plugins there are and what they offer: files found by folder, each asked in a worker of its
 * own, so that one that crashes while it is loaded is a line in a list.
 */
#ifndef BM_DISCOVER_H
#define BM_DISCOVER_H

#include "opened_file.h"
#include "options.h"
#include "trust.h"
#include "worker.h"

#define BM_PLUGIN_MAX 64

/* A file bm_NAME.so in one of the searched places. */
struct bm_plugin_file {
    char name[BM_NAME_SIZE];
    char path[BM_PATH_SIZE];      /* absolute */
    struct bm_opened_file opened; /* what is hashed, and what workers must find at `path` */
    char sha256[65];
    uint32_t shadowed; /* an earlier file has the same name */
    uint32_t trusted;  /* others may change it: taken for --trust only */
    /* Why it is not loaded: it is none, in a searched folder, or not to be trusted (trust.h).
     * Empty: it is. */
    char fault[BM_TRUST_DOUBT_SIZE];
};

/* What the plugin said when a worker loaded it. */
struct bm_plugin_answer {
    struct bm_verdict verdict; /* OK, REFUSED, CRASHED, TIMEOUT or ERROR */
    json_t
        *reply; /* name, version, summary, computes_nothing, devices[], why_none; NULL unless OK */
};

struct bm_plugin_list {
    uint32_t count;
    struct bm_plugin_file file[BM_PLUGIN_MAX];
    struct bm_plugin_answer answer[BM_PLUGIN_MAX];
};

/* Finds the files: those of --plugin, the folders of $BATCHMARK_PLUGINS, the build tree's plugins
 * folder if the program runs from one,
 * ~/.local/lib/batchmark, the install folder. INVALID if a --plugin file is not there or not named
 * bm_NAME.so. */
int32_t bm_discover_files(const struct bm_options *options,
                          struct bm_plugin_list *list,
                          struct bm_error *error);

/* One plugin, or those of one folder, and no other. INVALID if there is no such plugin or the
 * folder holds none. */
int32_t bm_discover_place(const struct bm_options *options,
                          const char *path,
                          struct bm_plugin_list *list,
                          struct bm_error *error);

/* Asks one plugin, in a worker or, with --in-process, here. */
void bm_discover_ask(const struct bm_options *options, struct bm_plugin_list *list, uint32_t index);

/* Forgets the answers and closes the files. */
void bm_discover_free(struct bm_plugin_list *list);

/* The variables that the settings [backend NAME] env.X give its worker; returns their number. */
uint32_t bm_discover_variables(const struct bm_options *options,
                               const char *backend,
                               struct bm_worker_variable *variables,
                               uint32_t capacity);

#endif
