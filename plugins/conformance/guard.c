/* Memory between two pages that nobody may touch, so that reading or writing one byte beyond its
 * end is a crash in the call that did it. */
#include "case.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct bm_conform_guard bm_conform_guard_make(struct bm_conform *conform, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inside = (bytes + page - 1) / page * page;
    struct bm_conform_guard guard = {.length = inside + 2 * page};
    void *start =
        mmap(NULL, guard.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(conform, start != MAP_FAILED, "no memory for %zu guarded bytes", bytes);
    guard.start = start;
    guard.bytes = guard.start + page + inside - bytes;
    memset(guard.start + page, 0xff, inside);
    EXPECT(conform,
           mprotect(guard.start, page, PROT_NONE) == 0 &&
               mprotect(guard.start + page + inside, page, PROT_NONE) == 0,
           "cannot protect a page beside %zu bytes", bytes);
    return guard;
}

void bm_conform_guard_protect(struct bm_conform *conform, const struct bm_conform_guard *guard) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    EXPECT(conform, mprotect(guard->start + page, guard->length - 2 * page, PROT_READ) == 0,
           "cannot make %zu bytes read-only", guard->length - 2 * page);
}

void bm_conform_guard_free(struct bm_conform_guard *guard) {
    if (guard->start != NULL) {
        (void)munmap(guard->start, guard->length);
    }
    memset(guard, 0, sizeof *guard);
}
