/*
 * The worker's side: loads one plugin and answers the parent's questions about it. Descriptors are
 * fixed so that they survive exec.
 */
#ifndef BM_SERVE_H
#define BM_SERVE_H

#include "page.h"

#define BM_SERVE_COMMAND_FD 3
#define BM_SERVE_REPLY_FD 4
#define BM_SERVE_PAGE_FD 5
#define BM_SERVE_DATA_FD 6
#define BM_SERVE_REFERENCE_FD 7
#define BM_SERVE_VECTORS_FD 8
#define BM_SERVE_PLUGIN_FD 9

/* What a worker works with; descriptors of -1 are absent. */
struct bm_serve_files {
    int command_fd;
    int reply_fd;
    int data_fd;
    int reference_fd;
    int vectors_fd; /* see serve_landscape.h */
    int plugin_fd;  /* see opened_file.h */
    struct bm_page *page;
};

/* Answers until the command pipe ends. Takes over the descriptors, not the page. */
void bm_serve(const struct bm_serve_files *files);

/* The hidden command `worker PARENT_PID`: sets up signals, parent-death signal and the page, then
 * serves. Does not return. */
void bm_serve_main(int argc, char **argv) __attribute__((noreturn));

#endif
