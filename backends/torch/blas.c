/* The BLAS below libtorch: which one it is, and threads of its own. It is looked up by name, since
 * the library that is loaded in its place need not be the one that was linked. */
#include "torch.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A function found by name; C has no cast from an object's address to a function's. */
union found {
    void *address;
    void (*set)(int);
    int (*get)(void);
};

static union found find(const char *name) {
    union found found = {.address = dlsym(RTLD_DEFAULT, name)};
    return found;
}

/* The last two parts of a path. */
static const char *tail_of(const char *path) {
    const char *slash = strrchr(path, '/');
    while (slash != NULL && slash > path) {
        slash--;
        if (*slash == '/') {
            return slash + 1;
        }
    }
    return path;
}

void bm_torch_blas_name(char name[BM_TORCH_BLAS_NAME_SIZE]) {
    char path[PATH_MAX];
    Dl_info info;
    union found sgemm = find("sgemm_");
    if (sgemm.address == NULL || dladdr(sgemm.address, &info) == 0) {
        (void)snprintf(name, BM_TORCH_BLAS_NAME_SIZE, "inside libtorch");
        return;
    }
    const char *real = realpath(info.dli_fname, path);
    (void)snprintf(name, BM_TORCH_BLAS_NAME_SIZE, "%s",
                   tail_of(real != NULL ? real : info.dli_fname));
}

uint32_t bm_torch_blas_threads(void) {
    union found get = find("openblas_get_num_threads");
    int count = get.address != NULL ? get.get() : 0;
    return count > 0 ? (uint32_t)count : 0;
}

void bm_torch_blas_set_threads(uint32_t count) {
    union found set = find("openblas_set_num_threads");
    if (set.address != NULL && bm_torch_blas_threads() != count) {
        set.set((int)count);
    }
}
