#include "allocations.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#define EXPORTED __attribute__((visibility("default")))

/* The size is a power of two. */
#define SLOT_COUNT 65536u

EXPORTED extern struct bm_allocations bm_allocations;
struct bm_allocations bm_allocations = {.failing = INT64_MAX};

/* glibc's allocator below the names that we take over. */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

/* Declared here, because the names of their parameters in the system's headers are reserved. */
/* NOLINTBEGIN(readability-identifier-naming) */
EXPORTED void *malloc(size_t size);
EXPORTED void *calloc(size_t number, size_t size);
EXPORTED void *realloc(void *memory, size_t size);
EXPORTED void *aligned_alloc(size_t alignment, size_t size);
EXPORTED void *memalign(size_t alignment, size_t size);
EXPORTED int posix_memalign(void **memory, size_t alignment, size_t size);
EXPORTED void free(void *memory);
/* NOLINTEND(readability-identifier-naming) */

/* ---- The live ones: a hash table with linear probing ---- */

static atomic_flag locked = ATOMIC_FLAG_INIT;
static uintptr_t slots[SLOT_COUNT];
static uint32_t used;

static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&locked, memory_order_acquire)) {
    }
}

static void unlock(void) {
    atomic_flag_clear_explicit(&locked, memory_order_release);
}

static uint32_t home_of(uintptr_t address) {
    return (uint32_t)(((uint64_t)address >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48) &
           (SLOT_COUNT - 1);
}

static uint32_t find(uintptr_t address) {
    uint32_t slot = home_of(address);
    while (slots[slot] != 0 && slots[slot] != address) {
        slot = (slot + 1) & (SLOT_COUNT - 1);
    }
    return slot;
}

static void *remember(void *memory) {
    if (memory == NULL) {
        return NULL;
    }
    lock();
    if (used < SLOT_COUNT / 2) {
        slots[find((uintptr_t)memory)] = (uintptr_t)memory;
        used++;
        bm_allocations.live++;
    } else {
        bm_allocations.lost++;
    }
    unlock();
    return memory;
}

/* Moves back those that were pushed on by the one that goes. */
static void close_gap(uint32_t gap) {
    for (uint32_t slot = (gap + 1) & (SLOT_COUNT - 1); slots[slot] != 0;
         slot = (slot + 1) & (SLOT_COUNT - 1)) {
        uint32_t home = home_of(slots[slot]);
        if (((slot - home) & (SLOT_COUNT - 1)) >= ((slot - gap) & (SLOT_COUNT - 1))) {
            slots[gap] = slots[slot];
            gap = slot;
        }
    }
    slots[gap] = 0;
}

/* 1 if it was one of the plugin's own. */
static int forget(void *memory) {
    int known = 0;
    if (memory == NULL || bm_allocations.live == 0) {
        return 0;
    }
    lock();
    uint32_t slot = find((uintptr_t)memory);
    if (slots[slot] != 0) {
        close_gap(slot);
        used--;
        bm_allocations.live--;
        known = 1;
    }
    unlock();
    return known;
}

/* ---- The calls ---- */

/* Set by operator new for the malloc below it. */
static __thread int new_is_own __attribute__((tls_model("initial-exec")));

static int is_own(const void *caller) {
    int own = new_is_own;
    uintptr_t address = (uintptr_t)caller;
    new_is_own = 0;
    return own || (address >= bm_allocations.first && address < bm_allocations.end);
}

static int fails(void) {
    return ++bm_allocations.asked >= bm_allocations.failing;
}

void *malloc(size_t size) {
    if (!is_own(__builtin_return_address(0))) {
        return __libc_malloc(size);
    }
    return fails() ? NULL : remember(__libc_malloc(size));
}

void *calloc(size_t number, size_t size) {
    if (!is_own(__builtin_return_address(0))) {
        return __libc_calloc(number, size);
    }
    return fails() ? NULL : remember(__libc_calloc(number, size));
}

/* It stays the plugin's own, whoever makes it larger. */
void *realloc(void *memory, size_t size) {
    int own = is_own(__builtin_return_address(0));
    if (own && fails()) {
        return NULL;
    }
    int known = forget(memory);
    void *moved = __libc_realloc(memory, size);
    if (moved == NULL && size > 0 && known) {
        (void)remember(memory);
    }
    return own || known ? remember(moved) : moved;
}

static void *allocate_aligned(const void *caller, size_t alignment, size_t size) {
    if (!is_own(caller)) {
        return __libc_memalign(alignment, size);
    }
    return fails() ? NULL : remember(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    return allocate_aligned(__builtin_return_address(0), alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    return allocate_aligned(__builtin_return_address(0), alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    void *made = allocate_aligned(__builtin_return_address(0), alignment, size);
    if (made == NULL) {
        return ENOMEM;
    }
    *memory = made;
    return 0;
}

void free(void *memory) {
    (void)forget(memory);
    __libc_free(memory);
}

/* ---- C++: operator new of libstdc++ calls malloc, and throws where that fails ---- */

/* The operator that is next of that name; the malloc below it is the caller's. */
static void *next_new(const char *name, void *_Atomic *next, const void *caller) {
    if (*next == NULL) {
        *next = dlsym(RTLD_NEXT, name);
    }
    new_is_own = is_own(caller);
    return *next;
}

/* Parameters and arguments come with the parentheses that they need. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define NEW(name, parameters, arguments)                                                           \
    EXPORTED void *name parameters;                                                                \
    void *name parameters {                                                                        \
        static void *_Atomic next;                                                                 \
        void *(*call)parameters;                                                                   \
        *(void **)&call = next_new(#name, &next, __builtin_return_address(0));                     \
        return call arguments;                                                                     \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

/* The names that C++'s operators new have in an object file. */
NEW(_Znwm, (size_t size), (size))
NEW(_Znam, (size_t size), (size))
NEW(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), (size, tag))
NEW(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), (size, tag))
NEW(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment))
NEW(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment))
