/*
 * What a process holds and uses, for the cases that compare before with after, and a session's
 * calls all together.
 */
#ifndef BM_CONFORM_MEASURE_H
#define BM_CONFORM_MEASURE_H

#include "allocations/allocations.h"
#include "case.h"

/* Processor time of this process, all threads. */
uint64_t bm_conform_cpu_ns(void);

/* Threads and open descriptors of this process; -1 if the system does not say. */
int64_t bm_conform_thread_count(void);
int64_t bm_conform_descriptor_count(void);

/* The number of threads, once those that have been joined are really gone: the system takes a
 * moment. Waits until it is `expected` or less, but not for ever. */
int64_t bm_conform_settled_threads(int64_t expected);

/* Bytes handed out by malloc, in all arenas and by mapping; 0 under a sanitizer, which has an
 * allocator of its own. */
uint64_t bm_conform_allocated_bytes(void);

/* The counter of the plugin's own allocations, at work from now on. Ends the case as unsupported
 * if the process was started without it. */
struct bm_allocations *bm_conform_allocations(struct bm_conform *conform);

/*
 * Every call of the table that the plugin has, with arguments that all lie in guarded memory of
 * exactly their size: a session is created, used with a training slice of `batch` images, read and
 * written, and destroyed. Structs and arrays that the plugin only reads are read-only. A batch
 * that a network's batch norm does not take is left out.
 */
void bm_conform_every_call(struct bm_conform *conform,
                           const struct bm_conform_spec *spec,
                           uint64_t batch);

#endif
