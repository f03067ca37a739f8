/* One case of the conformance suite in a worker that is started for it: a crash, a hang or an exit
 * of the plugin is the case's verdict. */
#ifndef BM_CONFORM_WORKER_H
#define BM_CONFORM_WORKER_H

#include "conform.h"
#include "discover.h"

/* Thread budgets of the cases where the processor computes: parts that differ in size too. */
#define BM_CONFORM_THREADS 3u

/* What is checked: a device of a plugin that could be loaded. Borrowed. */
struct bm_conform_subject {
    const struct bm_options *options; /* settings of backends, threads, hang_time, in_process */
    const struct bm_plugin_file *file;
    const json_t *device; /* of the plugin's answer */
    uint32_t device_index;
    const char *word; /* the plugin's file as the user named it, for the command that repeats */
};

/* Runs it: an object of kind "case" ({number, name, property, counts, holds, backend, device,
 * status, reason, seconds, repro}; the caller's), or NULL if a signal came. status: pass, fail,
 * unsupported, crashed, timeout, error; counts: what fails is a failure of the whole. */
json_t *bm_conform_ask(const struct bm_conform_subject *subject,
                       const struct bm_conform_case *which);

#endif
