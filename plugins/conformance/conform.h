/*
 * The conformance suite: what every backend must do, as a frozen, numbered list of cases. One case
 * is run at a time, by a worker that was started for it; `batchmark check` shows what came of them.
 *
 * A case is required (it passes or fails) or a property (something a user wants to know of a
 * backend that keeps the contract; it holds or not). Cases share no code with backends or the
 * author's kit: they look at the plugin's file, call its table, and compare with the harness's
 * float64 reference.
 */
#ifndef BM_CONFORM_H
#define BM_CONFORM_H

#include <batchmark/plugin.h>

/*
 * Of the list, which is frozen: a case never changes its meaning, its number, its name, or from
 * required to property or back. The minor grows when a case is added, which a backend of before may
 * fail; a case that goes, or that must mean something else, is the next major. A case may be mended
 * where an honest backend fails it, or come to find more of what its text already says.
 * tests/golden/conformance-1.0.txt holds the list of 1.0.
 */
#define BM_CONFORM_MAJOR 1u
#define BM_CONFORM_MINOR 0u

#define BM_CONFORM_PROPERTY 1u /* holds or not; otherwise required */
#define BM_CONFORM_NUMERIC 2u  /* not for a plugin that says that it computes nothing */
#define BM_CONFORM_UNLOADED 4u /* starts before the plugin is loaded, and needs no device */
/* The worker is started with the allocator that counts; see allocations/allocations.h. */
#define BM_CONFORM_ALLOCATIONS 8u

struct bm_conform;
struct bm_opened_file;
struct bm_page;

struct bm_conform_case {
    uint32_t number;   /* never given to another case */
    uint32_t flags;    /* BM_CONFORM_* */
    const char *name;  /* "group.what" */
    const char *holds; /* one line: what is true of a backend that passes */
    void (*run)(struct bm_conform *conform);
};

extern const struct bm_conform_case bm_conform_cases[];
extern const uint32_t bm_conform_case_count;

/* NULL if there is no such case. */
const struct bm_conform_case *bm_conform_find(const char *name);

/* What is checked. Borrowed until bm_conform_run returns. */
struct bm_conform_request {
    const char *path;                  /* the plugin's file, absolute */
    const struct bm_opened_file *file; /* that must be found there */
    uint32_t device;
    uint32_t thread_count; /* most threads a session is given */
    const struct bm_option *options;
    uint32_t option_count;
    struct bm_page *page; /* notes the call that the plugin is in */
};

enum bm_conform_status {
    BM_CONFORM_PASSED, /* a property: holds */
    BM_CONFORM_FAILED,
    BM_CONFORM_UNSUPPORTED, /* does not apply to this backend: the text says why */
};

struct bm_conform_result {
    enum bm_conform_status status;
    char text[1024]; /* one line: expected, found, where; or what was left out; may be empty */
};

/* Runs one case in this process. A plugin that cannot be loaded is FAILED; one that crashes or
 * hangs takes the process with it. What the case allocated may be lost if it fails. */
void bm_conform_run(const struct bm_conform_case *which,
                    const struct bm_conform_request *request,
                    struct bm_conform_result *result);

#endif
