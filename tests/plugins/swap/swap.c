/*
 * Preloaded: exchanges two files, those of SWAP_PLUGIN and SWAP_OTHER, in the moment that SWAP_AT
 * names, which no test would meet by chance:
 *  - "start": a worker is about to be started; the parent has judged and hashed the file;
 *  - "load": the worker is about to load it. They are exchanged back when it has, so that the name
 *    tells nothing afterwards.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_moment(const char *moment) {
    const char *chosen = getenv("SWAP_AT");
    return chosen != NULL && strcmp(chosen, moment) == 0;
}

static void exchange(void) {
    if (renameat2(AT_FDCWD, getenv("SWAP_PLUGIN"), AT_FDCWD, getenv("SWAP_OTHER"),
                  RENAME_EXCHANGE) != 0) {
        perror("swap");
        abort();
    }
}

__attribute__((visibility("default"))) int posix_spawn(pid_t *pid,
                                                       const char *path,
                                                       const posix_spawn_file_actions_t *actions,
                                                       const posix_spawnattr_t *attrp,
                                                       char *const argv[],
                                                       char *const envp[]) {
    __typeof__(posix_spawn) *next = NULL;
    void *symbol = dlsym(RTLD_NEXT, "posix_spawn");
    memcpy(&next, &symbol, sizeof next);
    if (is_moment("start")) {
        exchange();
    }
    return next(pid, path, actions, attrp, argv, envp);
}

__attribute__((visibility("default"))) void *dlopen(const char *file, int mode) {
    __typeof__(dlopen) *next = NULL;
    void *symbol = dlsym(RTLD_NEXT, "dlopen");
    const char *plugin = getenv("SWAP_PLUGIN");
    int is_it = is_moment("load") && file != NULL && plugin != NULL && strcmp(file, plugin) == 0;
    memcpy(&next, &symbol, sizeof next);
    if (is_it) {
        exchange();
    }
    void *handle = next(file, mode);
    if (is_it) {
        exchange();
    }
    return handle;
}
