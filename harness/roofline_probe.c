#include "roofline_probe.h"

#include "environment.h"
#include "error.h"
#include "interrupt.h"
#include "roofline_kernels.h"
#include "stats.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Many short repetitions: where others use the processor, a short one is more often left alone. */
#define ROUNDS 25u
#define ROUNDS_MIN 3u
#define SLICE_S_MIN 1e-3
#define SLICE_S_MAX 20e-3
#define STEPS_MAX 14u /* two instruction sets, each with a peak and two loops a level */
#define PIECE_COUNT ((size_t)8192) /* values of an array between two looks at the clock */
/* Values that two arrays lie off a power of two from each other: otherwise they share the sets of a
 * cache, which costs up to two thirds of the bandwidth. */
#define SKEW ((size_t)5 * BM_ROOFLINE_STEP)
#define PAGE_BYTES (2u << 20)
#define MEMORY_BYTES_MIN 64e6
#define MEMORY_BYTES_MAX 1e9

enum loop { LOOP_MULTIPLY_ADD, LOOP_READ, LOOP_UPDATE };

/* One loop on one level; what a thread works on is `count` values, after `offset`. */
struct step {
    const struct bm_roofline_kernel *kernel;
    enum loop loop;
    uint32_t level;
    size_t offset;
    size_t count;
};

struct team;

struct member {
    struct team *team;
    pthread_t thread;
    uint64_t meetings;
    float *values;
    float *state;
    size_t cursor; /* in memory, which is walked on from step to step so that nothing is still near
                      in a cache */
    double start_s;
    double end_s;
    double cpu_s;
    double units;
};

struct team {
    uint32_t threads;
    uint32_t cores;
    uint32_t step_count;
    struct step step[STEPS_MAX];
    double rates[STEPS_MAX][ROUNDS];
    double cpu_shares[STEPS_MAX][ROUNDS];
    double slice_s;
    double end_s;         /* no further round from then on, once there are ROUNDS_MIN */
    uint32_t round_count; /* done */
    size_t value_count;   /* of each member */
    const struct bm_roofline_request *request;
    struct member *members;
    _Atomic uint64_t arrived;
    _Atomic int32_t failed;
    _Atomic int32_t enough; /* set by the first member before a meeting */
};

static double read_clock_s(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double now_s(void) {
    return read_clock_s(CLOCK_MONOTONIC);
}

/* ---- Sizes ---- */

/* Bytes that the caches of a level hold for so many threads, each on a core of its own as long as
 * there are cores. */
static double cache_bytes(uint32_t level, uint32_t threads) {
    uint32_t sharers = 1;
    double bytes = (double)bm_environment_cache(level, &sharers);
    double caches = ceil((double)sysconf(_SC_NPROCESSORS_ONLN) / sharers);
    return bytes * (threads < caches ? threads : caches);
}

/* Caches that keep different lines hold the sum, others less: the bound errs on the fast side. */
static void set_levels(uint32_t threads, struct bm_roofline_point *point) {
    double l2 = cache_bytes(2, threads);
    double l3 = cache_bytes(3, threads);
    point->level[BM_ROOFLINE_L2].bytes = l2;
    point->level[BM_ROOFLINE_L3].bytes = l3 > 0 ? l2 + l3 : 0;
    point->level[BM_ROOFLINE_MEMORY].bytes = INFINITY;
}

/* Half of L2; what L2 cannot hold but L3 does; far more than all caches together. */
static double working_bytes(const struct bm_roofline_point *point, uint32_t level) {
    double l2 = point->level[BM_ROOFLINE_L2].bytes;
    double near = point->level[BM_ROOFLINE_L3].bytes > 0 ? point->level[BM_ROOFLINE_L3].bytes : l2;
    if (level == BM_ROOFLINE_L2) {
        return l2 / 2;
    }
    if (level == BM_ROOFLINE_L3) {
        return fmin(fmax(near / 4, 2 * l2), 0.75 * near);
    }
    double wanted = fmin(fmax(4 * near, MEMORY_BYTES_MIN), MEMORY_BYTES_MAX);
    return fmin(wanted, (double)bm_environment_memory_available() / 4);
}

/* Values of one thread: both halves are whole pieces or at least whole steps. */
static size_t count_of(const struct bm_roofline_point *point, uint32_t level) {
    double share = working_bytes(point, level) / point->threads / sizeof(float);
    size_t unit = share > 4.0 * PIECE_COUNT ? 2 * PIECE_COUNT : (size_t)2 * BM_ROOFLINE_STEP;
    size_t count = (size_t)share / unit * unit;
    return count > 0 ? count : unit;
}

/* ---- Plan ---- */

static void add_step(struct team *team,
                     const struct bm_roofline_kernel *kernel,
                     enum loop loop,
                     uint32_t level,
                     const struct bm_roofline_point *point) {
    BM_ASSERT(team->step_count < STEPS_MAX);
    size_t memory = count_of(point, BM_ROOFLINE_MEMORY);
    int32_t near = level != BM_ROOFLINE_MEMORY;
    team->step[team->step_count++] = (struct step){
        .kernel = kernel,
        .loop = loop,
        .level = level,
        .offset = near ? memory : 0,
        .count = near ? count_of(point, level) : memory,
    };
}

static void plan(struct team *team, const struct bm_roofline_point *point) {
    uint32_t kernel_count = 0;
    const struct bm_roofline_kernel *kernels = bm_roofline_kernels(&kernel_count);
    for (uint32_t k = 0; k < kernel_count; k++) {
        add_step(team, &kernels[k], LOOP_MULTIPLY_ADD, BM_ROOFLINE_L2, point);
        for (uint32_t level = 0; level < BM_ROOFLINE_LEVELS; level++) {
            if (point->level[level].bytes > 0) {
                add_step(team, &kernels[k], LOOP_READ, level, point);
                add_step(team, &kernels[k], LOOP_UPDATE, level, point);
            }
        }
    }
    for (uint32_t i = 0; i < team->step_count; i++) {
        size_t end = team->step[i].offset + team->step[i].count;
        team->value_count = end > team->value_count ? end : team->value_count;
    }
    double slice_s = team->request->seconds / (team->step_count * ROUNDS);
    team->slice_s = fmin(fmax(slice_s, SLICE_S_MIN), SLICE_S_MAX);
    team->end_s = now_s() + team->request->seconds;
}

/* ---- Threads ---- */

static int32_t is_stopped(struct team *team) {
    return bm_interrupt_signal() != 0 || atomic_load(&team->failed) != BM_STATUS_OK;
}

/* Waits for all others without sleeping: they must leave together. 0 if the team is stopped, which
 * every member then sees, here or at its next meeting. */
static int32_t meet(struct member *member) {
    struct team *team = member->team;
    uint64_t all = ++member->meetings * team->threads;
    (void)atomic_fetch_add(&team->arrived, 1);
    while (atomic_load(&team->arrived) < all) {
        if (is_stopped(team)) {
            return 0;
        }
        (void)sched_yield();
    }
    return 1;
}

/* Values of each array of a step. */
static size_t length_of(const struct step *step) {
    if (step->loop == LOOP_READ) {
        return step->count;
    }
    return step->count > 8 * SKEW ? step->count / 2 - SKEW : step->count / 2;
}

/* One piece of a step, at the cursor; operations or bytes. */
static double do_piece(const struct step *step, struct member *member, size_t *cursor) {
    float *values = member->values + step->offset;
    if (step->loop == LOOP_MULTIPLY_ADD) {
        step->kernel->multiply_add(0.5F, 1.0F, member->state);
        return step->kernel->multiply_add_flops;
    }
    size_t length = length_of(step);
    size_t at = *cursor < length ? *cursor : 0;
    size_t count = length - at < PIECE_COUNT ? length - at : PIECE_COUNT;
    if (step->loop == LOOP_READ) {
        step->kernel->read(values + at, count, member->state);
    } else {
        step->kernel->update(values + at, values + length + at, count);
    }
    *cursor = at + count;
    return (step->loop == LOOP_READ ? 1.0 : 4.0) * sizeof(float) * (double)count;
}

/* Brings what is near into its cache. */
static void warm_up(const struct step *step, struct member *member) {
    if (step->loop != LOOP_MULTIPLY_ADD && step->level != BM_ROOFLINE_MEMORY) {
        size_t cursor = 0;
        size_t length = length_of(step);
        while (cursor < length) {
            (void)do_piece(step, member, &cursor);
        }
    }
}

/* What the members did together, from the first start to the last end. */
static void note_rate(struct team *team, uint32_t index, uint32_t round) {
    double start_s = team->members[0].start_s;
    double end_s = team->members[0].end_s;
    double units = 0;
    double cpu_s = 0;
    for (uint32_t i = 0; i < team->threads; i++) {
        start_s = fmin(start_s, team->members[i].start_s);
        end_s = fmax(end_s, team->members[i].end_s);
        units += team->members[i].units;
        cpu_s += team->members[i].cpu_s;
    }
    team->rates[index][round] = units / (end_s - start_s);
    team->cpu_shares[index][round] = cpu_s / (end_s - start_s) / fmin(team->threads, team->cores);
    team->round_count = round + 1;
}

/* 0 if the team is stopped or has done enough. */
static int32_t do_step(struct member *member, uint32_t index, uint32_t round) {
    struct team *team = member->team;
    const struct step *step = &team->step[index];
    size_t near = 0;
    size_t *cursor = step->level == BM_ROOFLINE_MEMORY ? &member->cursor : &near;
    warm_up(step, member);
    if (!meet(member) || atomic_load(&team->enough)) {
        return 0;
    }
    member->units = 0;
    double cpu_s = read_clock_s(CLOCK_THREAD_CPUTIME_ID);
    member->start_s = now_s();
    do {
        member->units += do_piece(step, member, cursor);
        member->end_s = now_s();
    } while (member->end_s - member->start_s < team->slice_s);
    member->cpu_s = read_clock_s(CLOCK_THREAD_CPUTIME_ID) - cpu_s;
    if (!meet(member)) {
        return 0;
    }
    if (member == team->members) {
        /* The others wait at the next meeting. */
        note_rate(team, index, round);
    }
    return 1;
}

/* Each thread touches its own memory first; large pages, so that a peak is not that of the page
 * walk. */
static int32_t allocate(struct member *member) {
    struct team *team = member->team;
    size_t count = team->value_count + BM_ROOFLINE_STATE;
    size_t bytes = (count * sizeof(float) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    member->values = aligned_alloc(PAGE_BYTES, bytes);
    if (member->values == NULL) {
        return 0;
    }
    (void)madvise(member->values, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < count; i++) {
        member->values[i] = 1.0F;
    }
    member->state = member->values + team->value_count;
    return 1;
}

/* Where others use the processor, rounds last longer than their slices. */
static void begin_round(struct team *team, uint32_t round) {
    if (round >= ROUNDS_MIN && now_s() > team->end_s) {
        atomic_store(&team->enough, 1);
    } else if (team->request->progress != NULL) {
        team->request->progress(team->request->context, team->threads);
    }
}

static void *run_member(void *argument) {
    struct member *member = argument;
    struct team *team = member->team;
    int32_t running = allocate(member);
    if (!running) {
        atomic_store(&team->failed, BM_STATUS_NO_MEMORY);
    }
    for (uint32_t round = 0; round < ROUNDS && running; round++) {
        if (member == team->members) {
            begin_round(team, round);
        }
        for (uint32_t i = 0; i < team->step_count && running; i++) {
            running = do_step(member, i, round);
        }
    }
    free(member->values);
    return NULL;
}

/* The caller is the first member. */
static void run_team(struct team *team) {
    uint32_t started = 1;
    for (uint32_t i = 0; i < team->threads; i++) {
        team->members[i].team = team;
    }
    while (started < team->threads && pthread_create(&team->members[started].thread, NULL,
                                                     run_member, &team->members[started]) == 0) {
        started++;
    }
    if (started < team->threads) {
        atomic_store(&team->failed, BM_STATUS_INTERNAL);
    } else {
        (void)run_member(&team->members[0]);
    }
    for (uint32_t i = 1; i < started; i++) {
        (void)pthread_join(team->members[i].thread, NULL);
    }
}

/* ---- Result ---- */

static struct bm_roofline_rate *target_of(const struct step *step,
                                          struct bm_roofline_point *point) {
    if (step->loop == LOOP_MULTIPLY_ADD) {
        return &point->multiply_add;
    }
    struct bm_roofline_level *level = &point->level[step->level];
    return step->loop == LOOP_READ ? &level->read : &level->update;
}

static uint32_t best_round(const struct team *team, uint32_t step) {
    uint32_t best = 0;
    for (uint32_t round = 1; round < team->round_count; round++) {
        best = team->rates[step][round] > team->rates[step][best] ? round : best;
    }
    return best;
}

/* Of the instruction sets the faster. */
static void take_best(const struct team *team, struct bm_roofline_point *point) {
    for (uint32_t i = 0; i < team->step_count; i++) {
        struct bm_roofline_rate *rate = target_of(&team->step[i], point);
        uint32_t best = best_round(team, i);
        if (team->rates[i][best] > rate->best) {
            double scratch[ROUNDS];
            rate->best = team->rates[i][best];
            rate->cpu_share = team->cpu_shares[i][best];
            rate->median = bm_stats_quantile(team->rates[i], team->round_count, 0.5, scratch);
            (void)snprintf(rate->isa, sizeof rate->isa, "%s", team->step[i].kernel->isa);
        }
    }
}

static int32_t explain(struct team *team, struct bm_error *error) {
    int32_t failed = atomic_load(&team->failed);
    if (bm_interrupt_signal() != 0) {
        return bm_fail(error, BM_STATUS_INTERNAL, "the probe was interrupted");
    }
    if (failed == BM_STATUS_NO_MEMORY) {
        return bm_fail(error, failed, "the probe found no memory for its arrays");
    }
    return failed == BM_STATUS_OK
               ? BM_STATUS_OK
               : bm_fail(error, failed, "the probe could not start %u threads", team->threads);
}

int32_t bm_roofline_probe(const struct bm_roofline_request *request,
                          struct bm_roofline_point *point,
                          struct bm_error *error) {
    struct team *team = calloc(1, sizeof *team);
    struct member *members = calloc(request->threads, sizeof *members);
    int32_t status = BM_STATUS_OK;
    memset(point, 0, sizeof *point);
    point->threads = request->threads;
    if (team == NULL || members == NULL) {
        status = bm_fail(error, BM_STATUS_NO_MEMORY, "the probe found no memory for its threads");
    } else {
        team->threads = request->threads;
        team->cores = bm_environment_cores();
        team->request = request;
        team->members = members;
        set_levels(request->threads, point);
        plan(team, point);
        run_team(team);
        status = explain(team, error);
        if (status == BM_STATUS_OK) {
            take_best(team, point);
        }
    }
    free(members);
    free(team);
    return status;
}
