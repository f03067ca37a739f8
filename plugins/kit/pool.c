/*
 * A team of threads that starts and ends a piece of work together. A run is announced by raising
 * `epoch` and ended by counting `running` down to 0; both are futex words. A side that waits spins
 * first, because the next run of an update follows within microseconds, and then sleeps.
 */
#include <batchmark/kit.h>

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS 50000
#define SPINS_BETWEEN_CLOCKS 64
#define CACHE_LINE 64
#define THREAD_COUNT_MAX 4096u

struct worker {
    struct bm_kit_pool *pool;
    pthread_t thread;
    uint32_t number;
    int cpu; /* processor it is bound to */
};

/* The words that different threads write lie on lines of their own. */
struct bm_kit_pool {
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch; /* number of the run announced last */
    _Atomic uint32_t ending;
    bm_kit_task *task;
    void *context;
    uint32_t thread_count;
    uint32_t worker_count; /* started and not joined */
    struct worker *workers;
    int caller_cpu; /* where the calling thread was last seen; -1: the threads are not bound */
    _Alignas(CACHE_LINE) _Atomic uint32_t sleepers; /* workers that are, or soon will be, asleep */
    _Alignas(CACHE_LINE) _Atomic uint32_t running;  /* workers that have not finished the run */
    _Atomic uint32_t caller_sleeps;
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* Spins until *word is no longer `value`, at most SPIN_NS; returns what it read last. After the
 * first microseconds it yields between looks: the thread it waits for may have been woken on this
 * very processor, and two that spin there show the scheduler that one of them should move, while
 * two that sleep in turn can stay together for good. */
static uint32_t spin_while(_Atomic uint32_t *word, uint32_t value) {
    int64_t end = 0;
    uint32_t found = atomic_load_explicit(word, memory_order_acquire);
    for (uint32_t spins = 1; found == value; spins++) {
        relax();
        if (spins % SPINS_BETWEEN_CLOCKS == 0) {
            int64_t now = now_ns();
            if (end == 0) {
                end = now + SPIN_NS;
            } else if (now > end) {
                break;
            }
            sched_yield();
        }
        found = atomic_load_explicit(word, memory_order_acquire);
    }
    return found;
}

/* Waits until a run after `seen` is announced, and returns its number. `sleepers` is raised before
 * the epoch is looked at again, and the caller raises the epoch before it looks at `sleepers`, so
 * one of them sees the other. */
static uint32_t wait_for_run(struct bm_kit_pool *pool, uint32_t seen) {
    uint32_t epoch = spin_while(&pool->epoch, seen);
    if (epoch != seen) {
        return epoch;
    }
    atomic_fetch_add(&pool->sleepers, 1);
    while ((epoch = atomic_load(&pool->epoch)) == seen) {
        futex_wait(&pool->epoch, seen);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
    return epoch;
}

static void announce(struct bm_kit_pool *pool) {
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->sleepers) > 0) {
        futex_wake(&pool->epoch, (int)pool->thread_count);
    }
}

static void finish_run(struct bm_kit_pool *pool) {
    if (atomic_fetch_sub(&pool->running, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
        futex_wake(&pool->running, 1);
    }
}

static void wait_for_workers(struct bm_kit_pool *pool) {
    uint32_t left = atomic_load_explicit(&pool->running, memory_order_acquire);
    int64_t end = now_ns() + SPIN_NS;
    while (left != 0 && now_ns() < end) {
        left = spin_while(&pool->running, left);
    }
    if (left == 0) {
        return;
    }
    atomic_store(&pool->caller_sleeps, 1);
    while ((left = atomic_load(&pool->running)) != 0) {
        futex_wait(&pool->running, left);
    }
    atomic_store(&pool->caller_sleeps, 0);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct bm_kit_pool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_for_run(pool, seen);
        if (atomic_load(&pool->ending)) {
            return NULL;
        }
        pool->task(pool->context, worker->number, pool->thread_count);
        finish_run(pool);
    }
}

/* ---- Places ----
 *
 * Threads that take turns with the caller are often woken on the caller's own processor, and with
 * both asleep or yielding in turn the scheduler may leave them there: two threads ran as fast as
 * one for minutes. So each worker is bound to a processor of the mask, all to different ones and
 * none to the caller's. The caller is not ours to bind: where it moves to a worker's processor,
 * that worker takes the one that it left. */

static int bind_worker(struct worker *worker, int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    worker->cpu = cpu;
    return pthread_setaffinity_np(worker->thread, sizeof one, &one);
}

static int next_cpu(const cpu_set_t *mask, int cpu) {
    do {
        cpu = (cpu + 1) % CPU_SETSIZE;
    } while (!CPU_ISSET((size_t)cpu, mask));
    return cpu;
}

/* Leaves the threads where the scheduler puts them if there are more of them than processors. */
static void place_workers(struct bm_kit_pool *pool) {
    cpu_set_t mask;
    int caller_cpu = sched_getcpu();
    pool->caller_cpu = -1;
    if (caller_cpu < 0 || sched_getaffinity(0, sizeof mask, &mask) != 0 ||
        !CPU_ISSET((size_t)caller_cpu, &mask) || (uint32_t)CPU_COUNT(&mask) < pool->thread_count) {
        return;
    }
    int cpu = caller_cpu;
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        cpu = next_cpu(&mask, cpu);
        if (bind_worker(&pool->workers[i], cpu) != 0) {
            return;
        }
    }
    pool->caller_cpu = caller_cpu;
}

static void keep_apart(struct bm_kit_pool *pool) {
    int cpu = pool->caller_cpu < 0 ? -1 : sched_getcpu();
    if (cpu == pool->caller_cpu || cpu < 0) {
        return;
    }
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        if (pool->workers[i].cpu == cpu) {
            (void)bind_worker(&pool->workers[i], pool->caller_cpu);
        }
    }
    pool->caller_cpu = cpu;
}

void bm_kit_pool_run(struct bm_kit_pool *pool, bm_kit_task *task, void *context) {
    if (pool->worker_count == 0) {
        task(context, 0, 1);
        return;
    }
    keep_apart(pool);
    pool->task = task;
    pool->context = context;
    atomic_store_explicit(&pool->running, pool->worker_count, memory_order_relaxed);
    announce(pool);
    task(context, 0, pool->thread_count);
    wait_for_workers(pool);
}

/* The host's signals are for the host's threads: a new thread inherits the mask of this one. */
static int start_worker(struct bm_kit_pool *pool, uint32_t number) {
    struct worker *worker = &pool->workers[number - 1];
    sigset_t all;
    sigset_t before;
    worker->pool = pool;
    worker->number = number;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pool->worker_count += result == 0;
    return result;
}

static int32_t start_workers(struct bm_kit_pool *pool, struct bm_error *error) {
    for (uint32_t i = 1; i < pool->thread_count; i++) {
        int result = start_worker(pool, i);
        if (result != 0) {
            bm_kit_fail(error, BM_STATUS_NO_MEMORY, "thread %u of %u: cannot start (errno %d)",
                        i + 1, pool->thread_count, result);
            error->native_code = result;
            return error->code;
        }
    }
    return BM_STATUS_OK;
}

int32_t
bm_kit_pool_create(uint32_t thread_count, struct bm_kit_pool **pool, struct bm_error *error) {
    *pool = NULL;
    if (thread_count == 0 || thread_count > THREAD_COUNT_MAX) {
        return bm_kit_fail(error, BM_STATUS_INVALID, "thread count: expected 1 .. %u, found %u",
                           THREAD_COUNT_MAX, thread_count);
    }
    struct bm_kit_pool *made = aligned_alloc(CACHE_LINE, sizeof *made);
    struct worker *workers = calloc(thread_count, sizeof *workers);
    if (made == NULL || workers == NULL) {
        free(made);
        free(workers);
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for a pool of %u threads",
                           thread_count);
    }
    *made = (struct bm_kit_pool){.thread_count = thread_count, .workers = workers};
    int32_t status = start_workers(made, error);
    if (status != BM_STATUS_OK) {
        bm_kit_pool_destroy(made);
        return status;
    }
    place_workers(made);
    *pool = made;
    return BM_STATUS_OK;
}

void bm_kit_pool_destroy(struct bm_kit_pool *pool) {
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->ending, 1);
    announce(pool);
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    free(pool->workers);
    free(pool);
}

uint32_t bm_kit_pool_thread_count(const struct bm_kit_pool *pool) {
    return pool->thread_count;
}

void bm_kit_split(uint64_t count,
                  uint64_t grain,
                  uint32_t thread,
                  uint32_t thread_count,
                  uint64_t *begin,
                  uint64_t *end) {
    uint64_t grains = count / grain + (count % grain != 0);
    uint64_t each = grains / thread_count;
    uint64_t more = grains % thread_count;
    uint64_t first = each * thread + (thread < more ? thread : more);
    uint64_t last = first + each + (thread < more);
    *begin = first * grain < count ? first * grain : count;
    *end = last * grain < count ? last * grain : count;
}
