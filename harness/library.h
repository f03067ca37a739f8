/*
 * Libraries that are opened when a command needs them, in this process only: the program is also
 * its workers, and ARPACK brings a BLAS with threads of its own into whatever loads it.
 */
#ifndef BM_LIBRARY_H
#define BM_LIBRARY_H

#include <batchmark/plugin.h>

/* Opens the shared object `file` ("libnlopt.so.0") and finds its functions `names`,
 * NULL-terminated; their addresses go to `functions`, in that order. Never closed. UNSUPPORTED,
 * naming the Debian `package` that has it, if it is not there or lacks one. */
int32_t bm_library_open(const char *file,
                        const char *package,
                        const char *const *names,
                        void (**functions)(void),
                        struct bm_error *error);

#endif
