/* What the plugin tally tells a test of the calls that it gets, by its extension. */
#ifndef BM_TALLY_H
#define BM_TALLY_H

#include <batchmark/plugin.h>

#define BM_TALLY_EXTENSION "batchmark.test-tally/1"
#define BM_TALLY_ARGUMENTS 7u

struct bm_tally {
    void (*on_call)(void *context); /* while a call lasts; NULL: nothing */
    void *context;
    int32_t status; /* that calls return */
    uint32_t calls;
    const char *name;                       /* of the last call */
    uint64_t arguments[BM_TALLY_ARGUMENTS]; /* of the last call, the session and `error` excluded */
    char options[256];                      /* of the last problem, "key=value " each */
};

/* The extension. */
struct bm_tally_table {
    struct bm_tally *tally;
};

#endif
