/*
 * The parent's side of a worker: the program started again (exec, not fork) with one plugin to
 * load. A worker answers one question at a time and is stopped (SIGSTOP) until the next; a crash,
 * a hang, an exit or garbage becomes a verdict on what was asked.
 */
#ifndef BM_WORKER_H
#define BM_WORKER_H

#include "channel.h"
#include "opened_file.h"
#include "page.h"

#include <pthread.h>
#include <sys/types.h>

enum bm_verdict_kind {
    BM_VERDICT_OK,
    BM_VERDICT_UNSUPPORTED,
    BM_VERDICT_REFUSED, /* no plugin, or one that does not fit this host */
    BM_VERDICT_WRONG,
    BM_VERDICT_ERROR,
    BM_VERDICT_CRASHED,
    BM_VERDICT_TIMEOUT,
    BM_VERDICT_SKIPPED,
    BM_VERDICT_INTERRUPTED,
};

/* What came of asking. The reason is one line, empty for OK. */
struct bm_verdict {
    enum bm_verdict_kind kind;
    uint32_t is_other_abi; /* REFUSED, and only for the version of its ABI */
    char reason[768];
};

/* The word that records use for it: ok, unsupported, wrong, error, crashed, timeout, skipped. */
const char *bm_verdict_status(enum bm_verdict_kind kind);

/* A variable that only this worker gets. */
struct bm_worker_variable {
    const char *name;
    const char *value;
};

struct bm_worker_spec {
    int data_fd; /* memory files to inherit; -1 for none */
    int reference_fd;
    int vectors_fd;                      /* arrays that both write (serve_landscape.h); 0: none */
    const struct bm_opened_file *plugin; /* that it is to load; NULL: none */
    const struct bm_worker_variable *variables;
    uint32_t variable_count;
    uint32_t in_process;  /* a thread of this process instead: for debuggers and sanitizers */
    char *const *wrapper; /* absolute path of a program that runs this one, and its words,
                                   NULL-terminated; NULL: none */
};

#define BM_WORKER_WRAPPER_MAX 12u /* most words of a wrapper */
#define BM_WORKER_TAIL_SIZE 512

struct bm_worker {
    pid_t pid; /* 0: not running */
    uint32_t in_process;
    pthread_t thread;
    int command_fd;
    int reply_fd;
    int stdout_fd;
    int stderr_fd;
    struct bm_page *page;
    struct bm_frame_buffer replies;
    double grace_s;       /* how long a question may go on after a signal to this process; 0: not */
    double interrupted_s; /* when that was first seen, monotonic; 0: not yet */
    uint64_t stdout_bytes;
    char stdout_head[80];
    char stderr_tail[BM_WORKER_TAIL_SIZE];
};

/* Starts a worker in a process group of its own that dies with this process. On failure nothing is
 * left behind. */
int32_t bm_worker_start(const struct bm_worker_spec *spec,
                        struct bm_worker *worker,
                        struct bm_error *error);

/* The question that loads a plugin, `what` being "load" or another that does; the worker is one
 * with this file in its spec. The caller's; NULL if the path is not UTF-8. */
json_t *
bm_worker_load_command(const char *what, const char *path, const struct bm_opened_file *file);

/* Sends `command` and waits for its answer, at most `limit_s` seconds. A command that cannot be
 * sent, NULL among them, is ERROR. *reply is the caller's (json_decref) and NULL unless the verdict
 * is OK or WRONG. Any verdict of CRASHED, TIMEOUT, INTERRUPTED, and ERROR from garbage or a write
 * to standard output, has ended the worker. An interrupted question is INTERRUPTED once
 * worker->grace_s has passed. */
void bm_worker_ask(struct bm_worker *worker,
                   const json_t *command,
                   double limit_s,
                   json_t **reply,
                   struct bm_verdict *verdict);

/* Ends the worker and its process group, however it is; a worker that is not running is fine. */
void bm_worker_stop(struct bm_worker *worker);

int32_t bm_worker_running(const struct bm_worker *worker);

/* Processor time the worker has used, all threads, in ns; 0 in process. */
uint64_t bm_worker_cpu_ns(const struct bm_worker *worker);

/* Most resident bytes of a worker's process since its last session was created; 0 if unknown, as of
 * one in this process. */
uint64_t bm_worker_peak_bytes(const struct bm_worker *worker);

#endif
