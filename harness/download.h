/*
 * Downloading one file, by libcurl, which is opened when it is needed. What arrived is kept as
 * PATH.part, and a later call goes on from there; PATH itself appears whole and checked, or not at
 * all. Proxies are those of libcurl's variables (https_proxy, no_proxy, ...).
 */
#ifndef BM_DOWNLOAD_H
#define BM_DOWNLOAD_H

#include <batchmark/plugin.h>

struct bm_download {
    const char *url;    /* http or https, also where a redirection leads: from https to https */
    const char *path;   /* of the file; its folder is there */
    const char *name;   /* for progress on standard error */
    uint64_t bytes_max; /* a file that is larger is refused */
    double silence_s;   /* a server that sends nothing for so long is given up */
    /* Whether the file at `path` (it is PATH.part) is the one that was wanted: OK, or INVALID with
     * what differs. */
    int32_t (*check)(const char *path, const void *own, struct bm_error *error);
    const void *own; /* of check */
};

/* UNSUPPORTED: no libcurl here. TIMEOUT: a signal. INTERNAL: it cannot be written. INVALID: the
 * server's or the network's fault, or another process is at it. The text is one line. A download
 * that is cut off is resumed a few times; one that turns out wrong after it was resumed begins
 * anew once. */
int32_t bm_download(const struct bm_download *download, struct bm_error *error);

#endif
