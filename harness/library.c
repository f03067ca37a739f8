#include "library.h"

#include "error.h"

#include <dlfcn.h>
#include <string.h>

int32_t bm_library_open(const char *file,
                        const char *package,
                        const char *const *names,
                        void (**functions)(void),
                        struct bm_error *error) {
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED, "expected %s (Debian: %s), found none: %s",
                       file, package, dlerror());
    }
    for (uint32_t i = 0; names[i] != NULL; i++) {
        void *found = dlsym(library, names[i]);
        if (found == NULL) {
            return bm_fail(error, BM_STATUS_UNSUPPORTED, "%s: expected the function %s, found none",
                           file, names[i]);
        }
        memcpy(&functions[i], &found, sizeof found);
    }
    return BM_STATUS_OK;
}
