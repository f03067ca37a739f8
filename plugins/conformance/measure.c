/* What a process holds and uses. */
#include "measure.h"

#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <time.h>

uint64_t bm_conform_cpu_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t entry_count(const char *folder) {
    int64_t count = 0;
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        return -1;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(entries);
    return count;
}

int64_t bm_conform_thread_count(void) {
    return entry_count("/proc/self/task");
}

int64_t bm_conform_settled_threads(int64_t expected) {
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t count = bm_conform_thread_count();
    for (int i = 0; i < 500 && count > expected; i++) {
        (void)nanosleep(&pause, NULL);
        count = bm_conform_thread_count();
    }
    return count;
}

/* Without the one that reads the folder. */
int64_t bm_conform_descriptor_count(void) {
    int64_t count = entry_count("/proc/self/fd");
    return count < 0 ? count : count - 1;
}

uint64_t bm_conform_allocated_bytes(void) {
#ifdef BM_SANITIZED
    return 0;
#else
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
}

/* ---- The plugin's own allocations ---- */

/* Where the file that holds an address lies in memory. */
struct extent {
    uintptr_t address;
    uintptr_t first;
    uintptr_t end;
};

static int find_extent(struct dl_phdr_info *info, size_t size, void *argument) {
    struct extent *extent = argument;
    uintptr_t first = UINTPTR_MAX;
    uintptr_t end = 0;
    (void)size;
    for (uint16_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD) {
            uintptr_t start = info->dlpi_addr + part->p_vaddr;
            first = start < first ? start : first;
            end = start + part->p_memsz > end ? start + part->p_memsz : end;
        }
    }
    if (extent->address < first || extent->address >= end) {
        return 0;
    }
    extent->first = first;
    extent->end = end;
    return 1;
}

struct bm_allocations *bm_conform_allocations(struct bm_conform *conform) {
    struct bm_allocations *allocations = dlsym(RTLD_DEFAULT, BM_ALLOCATIONS_SYMBOL);
    struct extent extent = {.address = (uintptr_t)conform->table};
    if (allocations == NULL) {
        bm_conform_leave(conform, "the process was started without libbatchmark_allocations.so "
                                  "(LD_PRELOAD), which counts allocations");
    }
    if (dl_iterate_phdr(find_extent, &extent) == 0) {
        bm_conform_leave(conform, "the plugin's table lies in no file: its allocations cannot be "
                                  "told from others");
    }
    allocations->end = extent.end;
    allocations->first = extent.first;
    return allocations;
}
