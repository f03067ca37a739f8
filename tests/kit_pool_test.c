/* The kit's pool: every thread once a run, results visible, threads asleep after the last run. */
#include "test.h"

#include <batchmark/kit.h>

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 5u
#define RUNS 2000u

struct tally {
    uint32_t calls[THREADS_MAX * 64]; /* a line for each thread */
    uint32_t thread_count;
    pid_t ids[THREADS_MAX];
    uint32_t blocked[THREADS_MAX];
};

static void count_call(void *context, uint32_t thread, uint32_t thread_count) {
    struct tally *tally = context;
    sigset_t mask;
    tally->calls[thread * 64]++;
    tally->ids[thread] = gettid();
    tally->blocked[thread] =
        pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGINT) == 1;
    if (thread == 0) {
        tally->thread_count = thread_count;
    }
}

/* The sums need no atomics: a run's writes are seen by the next run and by the caller. */
static void test_runs(uint32_t thread_count) {
    struct bm_kit_pool *pool = NULL;
    struct tally tally = {{0}, 0, {0}, {0}};
    struct bm_error error;
    TEST_CHECK(bm_kit_pool_create(thread_count, &pool, &error) == BM_STATUS_OK);
    TEST_CHECK(bm_kit_pool_thread_count(pool) == thread_count);
    for (uint32_t run = 1; run <= RUNS; run++) {
        bm_kit_pool_run(pool, count_call, &tally);
        for (uint32_t thread = 0; thread < thread_count; thread++) {
            TEST_CHECK(tally.calls[thread * 64] == run);
        }
        if (run % 500 == 0) {
            usleep(2000); /* long enough to sleep */
        }
    }
    TEST_CHECK(tally.thread_count == thread_count && tally.ids[0] == getpid());
    TEST_CHECK(tally.blocked[0] == 0);
    for (uint32_t thread = 1; thread < thread_count; thread++) {
        TEST_CHECK(tally.ids[thread] != tally.ids[thread - 1]);
        TEST_CHECK(tally.blocked[thread] == 1);
    }
    bm_kit_pool_destroy(pool);
}

static uint32_t count_threads(void) {
    DIR *folder = opendir("/proc/self/task");
    uint32_t count = 0;
    TEST_CHECK(folder != NULL);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count;
}

static void test_threads(void) {
    struct bm_kit_pool *pool = NULL;
    struct bm_error error;
    uint32_t before = count_threads();
    TEST_CHECK(bm_kit_pool_create(1, &pool, &error) == BM_STATUS_OK);
    TEST_CHECK(count_threads() == before);
    bm_kit_pool_destroy(pool);
    TEST_CHECK(bm_kit_pool_create(4, &pool, &error) == BM_STATUS_OK);
    TEST_CHECK(count_threads() == before + 3);
    bm_kit_pool_destroy(pool);
    TEST_CHECK(count_threads() == before);
    bm_kit_pool_destroy(NULL);
    TEST_CHECK(bm_kit_pool_create(0, &pool, &error) == BM_STATUS_INVALID && pool == NULL);
    TEST_CHECK(bm_kit_pool_create(100000, &pool, &error) == BM_STATUS_INVALID && pool == NULL);
}

/* Processor time that a thread has used: unlike a clock it does not run while others do. */
static uint64_t cpu_ns(pid_t thread) {
    char path[64];
    unsigned long long used = 0;
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", thread);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%llu", &used) != 1) {
        TEST_SKIP("this kernel tells no processor time of a thread");
    }
    (void)fclose(file);
    return used;
}

/* Processor time of a thread when it uses none any more: the same in two looks, 50 ms apart. */
static uint64_t cpu_ns_asleep(pid_t thread) {
    uint64_t before = cpu_ns(thread);
    for (int look = 0; look < 200; look++) {
        usleep(50000);
        uint64_t now = cpu_ns(thread);
        if (now == before) {
            return now;
        }
        before = now;
    }
    TEST_CHECK_MSG(0, "thread %d goes on", thread);
    return 0;
}

/* After the last run a thread may use less than 1 ms, and then nothing. */
static void test_sleep(void) {
    struct bm_kit_pool *pool = NULL;
    struct tally tally = {{0}, 0, {0}, {0}};
    struct bm_error error;
    TEST_CHECK(bm_kit_pool_create(3, &pool, &error) == BM_STATUS_OK);
    for (uint32_t run = 0; run < 100; run++) {
        bm_kit_pool_run(pool, count_call, &tally);
    }
    uint64_t at_end = cpu_ns(tally.ids[2]);
    uint64_t asleep = cpu_ns_asleep(tally.ids[2]);
    TEST_CHECK_MSG(asleep - at_end < 1000000, "%llu ns", (unsigned long long)(asleep - at_end));
    bm_kit_pool_run(pool, count_call, &tally);
    TEST_CHECK(tally.calls[2 * 64] == 101);
    bm_kit_pool_destroy(pool);
}

static void keep_mask(void *context, uint32_t thread, uint32_t thread_count) {
    cpu_set_t *masks = context;
    (void)thread_count;
    TEST_CHECK(sched_getaffinity(0, sizeof masks[thread], &masks[thread]) == 0);
}

static void test_mask(void) {
    struct bm_kit_pool *pool = NULL;
    struct bm_error error;
    cpu_set_t before;
    cpu_set_t one;
    cpu_set_t masks[2];
    size_t cpu = 0;
    TEST_CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    while (!CPU_ISSET(cpu, &before)) {
        cpu++;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    TEST_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    TEST_CHECK(bm_kit_pool_create(2, &pool, &error) == BM_STATUS_OK);
    bm_kit_pool_run(pool, keep_mask, masks);
    bm_kit_pool_destroy(pool);
    TEST_CHECK(CPU_EQUAL(&masks[1], &one));
    TEST_CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
}

static int only_cpu(const cpu_set_t *mask) {
    TEST_CHECK(CPU_COUNT(mask) == 1);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, mask)) {
            return cpu;
        }
    }
    return -1;
}

/* A worker is bound to one processor of the mask, away from the caller, and makes room when the
 * caller moves there. */
static void test_places(void) {
    struct bm_kit_pool *pool = NULL;
    struct bm_error error;
    cpu_set_t before;
    cpu_set_t after;
    cpu_set_t one;
    cpu_set_t masks[2];
    TEST_CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    if (CPU_COUNT(&before) < 2) {
        printf("one processor: places not tested\n");
        return;
    }
    TEST_CHECK(bm_kit_pool_create(2, &pool, &error) == BM_STATUS_OK);
    for (int move = 0; move < 4; move++) {
        bm_kit_pool_run(pool, keep_mask, masks);
        int cpu = only_cpu(&masks[1]);
        TEST_CHECK(CPU_ISSET((size_t)cpu, &before));
        CPU_ZERO(&one);
        CPU_SET((size_t)cpu, &one);
        TEST_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        bm_kit_pool_run(pool, keep_mask, masks);
        TEST_CHECK_MSG(only_cpu(&masks[1]) != cpu, "worker and caller on processor %d", cpu);
        TEST_CHECK(sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&after, &one));
    }
    bm_kit_pool_destroy(pool);
    TEST_CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
}

/* The parts follow one another, cover everything, and are whole grains. */
static void test_split(void) {
    for (uint64_t count = 0; count < 70; count++) {
        for (uint64_t grain = 1; grain < 18; grain += 3) {
            for (uint32_t threads = 1; threads <= THREADS_MAX; threads++) {
                uint64_t next = 0;
                for (uint32_t thread = 0; thread < threads; thread++) {
                    uint64_t begin = 0;
                    uint64_t end = 0;
                    bm_kit_split(count, grain, thread, threads, &begin, &end);
                    TEST_CHECK(begin == next && end >= begin && end <= count);
                    TEST_CHECK(end == count || end % grain == 0);
                    TEST_CHECK(end - begin <= (count / grain / threads + 1) * grain);
                    next = end;
                }
                TEST_CHECK(next == count);
            }
        }
    }
}

int main(void) {
    test_split();
    for (uint32_t thread_count = 1; thread_count <= THREADS_MAX; thread_count++) {
        test_runs(thread_count);
    }
    test_threads();
    test_mask();
    test_places();
    test_sleep();
    return 0;
}
