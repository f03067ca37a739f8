/*
 * The CBLAS library: where its file lies, and opening it.
 *
 * OpenBLAS starts its threads when it is loaded, and they spin. So what only asks whether a library
 * is there (device_count, supports) looks for its file in the folders that the loader would search,
 * and create alone loads it.
 */
#include "blas.h"

#include "loop.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A library belongs to the process, and so does the right to use it. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* ---- Finding ---- */

/* What a library's file may be called, the best first; "p": a build with threads beside one without
 * (Fedora). */
static const char *const names[BM_BLAS_KIND_COUNT][4] = {
    [BM_BLAS_OPENBLAS] = {"libopenblasp.so.0", "libopenblas.so.0", "libopenblas.so", NULL},
    [BM_BLAS_BLIS] = {"libblis.so.4", "libblis.so", NULL},
};

/* What to look for, and what brings it on Debian. */
static const char *const wanted[BM_BLAS_KIND_COUNT] = {
    [BM_BLAS_OPENBLAS] = "libopenblas.so.0 (package libopenblas0)",
    [BM_BLAS_BLIS] = "libblis.so.4 (package libblis4)"};

static int32_t is_file(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

static int32_t find_in(const char *folder, uint32_t kind, char path[BM_BLAS_PATH_SIZE]) {
    for (uint32_t i = 0; names[kind][i] != NULL; i++) {
        int length = snprintf(path, BM_BLAS_PATH_SIZE, "%s/%s", folder, names[kind][i]);
        if (length > 0 && length < (int)BM_BLAS_PATH_SIZE && is_file(path)) {
            return 1;
        }
    }
    return 0;
}

/* The loader's search path: $LD_LIBRARY_PATH, then the folders built into it. NULL: no memory. */
static Dl_serinfo *search_path(void *program) {
    Dl_serinfo size;
    if (dlinfo(program, RTLD_DI_SERINFOSIZE, &size) != 0) {
        return NULL;
    }
    Dl_serinfo *folders = malloc(size.dls_size);
    if (folders != NULL && (dlinfo(program, RTLD_DI_SERINFOSIZE, folders) != 0 ||
                            dlinfo(program, RTLD_DI_SERINFO, folders) != 0)) {
        free(folders);
        return NULL;
    }
    return folders;
}

/* OK with an empty path: not installed. */
static int32_t find_kind(uint32_t kind, char path[BM_BLAS_PATH_SIZE], struct bm_error *error) {
    /* Folders that distributions add to the loader's cache rather than to its search path. */
    static const char *const more[] = {"/usr/local/lib", "/usr/lib64", NULL};
    int32_t found = 0;
    path[0] = '\0';
    void *program = dlopen(NULL, RTLD_NOW);
    Dl_serinfo *folders = program != NULL ? search_path(program) : NULL;
    if (folders == NULL) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "no memory for the loader's search path");
    }
    for (unsigned int i = 0; i < folders->dls_cnt && !found; i++) {
        found = find_in(folders->dls_serpath[i].dls_name, kind, path);
    }
    for (uint32_t i = 0; more[i] != NULL && !found; i++) {
        found = find_in(more[i], kind, path);
    }
    free(folders);
    if (!found) {
        path[0] = '\0';
    }
    return BM_STATUS_OK;
}

static int32_t find_path(const char *given, char path[BM_BLAS_PATH_SIZE], struct bm_error *error) {
    /* A name without a slash would be searched for by the loader. */
    int length =
        snprintf(path, BM_BLAS_PATH_SIZE, "%s%s", strchr(given, '/') != NULL ? "" : "./", given);
    if (length < 0 || length >= (int)BM_BLAS_PATH_SIZE || !is_file(path)) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "option path: expected the file of a CBLAS library, found no file "
                           "\"%.300s\"",
                           given);
    }
    return BM_STATUS_OK;
}

int32_t bm_blas_find(const struct bm_blas_choice *choice,
                     char path[BM_BLAS_PATH_SIZE],
                     struct bm_error *error) {
    if (choice->path != NULL) {
        return find_path(choice->path, path, error);
    }
    uint32_t kind = choice->kind < 0 ? BM_BLAS_OPENBLAS : (uint32_t)choice->kind;
    int32_t status = find_kind(kind, path, error);
    if (status == BM_STATUS_OK && path[0] == '\0') {
        return bm_kit_fail(error, BM_STATUS_UNSUPPORTED,
                           "library %s: expected %s where the loader looks, found none; the "
                           "options library and path choose another",
                           bm_blas_kinds[kind], wanted[kind]);
    }
    return status;
}

/* ---- Opening ---- */

/* A symbol as a function pointer, which C does not convert to. */
static void take_symbol(void *handle, const char *name, void *function) {
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
}

static int32_t fail_open(const char *path, struct bm_error *error) {
    const char *reason = dlerror();
    int32_t status = reason == NULL || strstr(reason, strerror(ENOMEM)) != NULL ||
                             strstr(reason, "out of memory") != NULL
                         ? BM_STATUS_NO_MEMORY
                         : BM_STATUS_INTERNAL;
    return bm_kit_fail(error, status, "CBLAS library: expected one that loads, found %.400s",
                       reason != NULL ? reason : path);
}

/* The library's integers must be the 32-bit ones that we call it with. */
static int32_t has_wide_integers(void *handle) {
    int64_t (*blis_bits)(void) = NULL;
    const char *(*openblas_config)(void) = NULL;
    take_symbol(handle, "bli_info_get_blas_int_type_size", &blis_bits);
    take_symbol(handle, "openblas_get_config", &openblas_config);
    return (blis_bits != NULL && blis_bits() != 32) ||
           (openblas_config != NULL && strstr(openblas_config(), "USE64BITINT") != NULL);
}

static int32_t
take_library(struct bm_blas_library *library, const char *path, struct bm_error *error) {
    take_symbol(library->handle, "cblas_sgemm", &library->sgemm);
    take_symbol(library->handle, "cblas_sgemv", &library->sgemv);
    take_symbol(library->handle, "openblas_set_num_threads", &library->set_openblas_threads);
    take_symbol(library->handle, "bli_thread_set_num_threads", &library->set_blis_threads);
    library->kind = library->set_openblas_threads != NULL ? BM_BLAS_OPENBLAS : BM_BLAS_BLIS;
    if (library->sgemm == NULL || library->sgemv == NULL ||
        (library->set_openblas_threads == NULL && library->set_blis_threads == NULL)) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "%.300s: expected cblas_sgemm, cblas_sgemv and the thread setter of "
                           "OpenBLAS or BLIS, found not all of them",
                           path);
    }
    if (has_wide_integers(library->handle)) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "%.300s: expected a library with integers of 32 bits, found 64", path);
    }
    return BM_STATUS_OK;
}

int32_t bm_blas_open(const struct bm_blas_choice *choice,
                     struct bm_blas_library *library,
                     struct bm_error *error) {
    char path[BM_BLAS_PATH_SIZE];
    int32_t status = bm_blas_find(choice, path, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    library->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library->handle == NULL) {
        return fail_open(path, error);
    }
    status = take_library(library, path, error);
    if (status == BM_STATUS_OK && choice->kind >= 0 && library->kind != (uint32_t)choice->kind) {
        return bm_kit_fail(error, BM_STATUS_INVALID,
                           "option path: expected the library %s, found %s in \"%.300s\"",
                           bm_blas_kinds[choice->kind], bm_blas_kinds[library->kind], path);
    }
    return status;
}

/* ---- Using ---- */

void bm_blas_enter(const struct bm_blas_library *library, uint32_t thread_count) {
    (void)pthread_mutex_lock(&turn);
    if (library->kind == BM_BLAS_OPENBLAS) {
        library->set_openblas_threads((int)thread_count);
    } else {
        library->set_blis_threads((int64_t)thread_count);
    }
}

void bm_blas_leave(void) {
    (void)pthread_mutex_unlock(&turn);
}

/* ---- Describing ---- */

static const char *text_of(void *handle, const char *name) {
    const char *(*text)(void) = NULL;
    take_symbol(handle, name, &text);
    return text != NULL ? text() : "unknown";
}

static int64_t library_threads(const struct bm_blas_library *library) {
    int (*openblas)(void) = NULL;
    int64_t (*blis)(void) = NULL;
    take_symbol(library->handle, "openblas_get_num_threads", &openblas);
    take_symbol(library->handle, "bli_thread_get_num_threads", &blis);
    return openblas != NULL ? openblas() : blis != NULL ? blis() : 0;
}

/* Folder and name of the file that was mapped, links followed: the folder tells Debian's builds
 * apart. */
static void mapped_file(const struct bm_blas_library *library, char text[BM_BLAS_PATH_SIZE]) {
    void *address = NULL;
    Dl_info facts;
    memcpy(&address, &library->sgemm, sizeof address);
    char *real = dladdr(address, &facts) != 0 ? realpath(facts.dli_fname, NULL) : NULL;
    const char *tail = real != NULL ? strrchr(real, '/') : NULL;
    while (tail != NULL && tail > real && tail[-1] != '/') {
        tail--;
    }
    (void)snprintf(text, BM_BLAS_PATH_SIZE, "%s", tail != NULL ? tail : "unknown");
    free(real);
}

/* The kernels that the library has chosen for this processor. */
static const char *kernels_of(const struct bm_blas_library *library) {
    int (*query)(void) = NULL;
    const char *(*name)(int) = NULL;
    if (library->kind == BM_BLAS_OPENBLAS) {
        return text_of(library->handle, "openblas_get_corename");
    }
    take_symbol(library->handle, "bli_arch_query_id", &query);
    take_symbol(library->handle, "bli_arch_string", &name);
    return query != NULL && name != NULL ? name(query()) : "unknown";
}

void bm_blas_describe(const struct bm_blas_library *library, char *text, size_t capacity) {
    char file[BM_BLAS_PATH_SIZE];
    mapped_file(library, file);
    (void)snprintf(
        text, capacity,
        "library=%s\n"
        "library_version=%s\n"
        "library_file=%s\n"
        "library_threads=%lld\n"
        "isa=%s\n"
        "loop_isa=%s\n",
        bm_blas_kinds[library->kind],
        text_of(library->handle, library->kind == BM_BLAS_OPENBLAS ? "openblas_get_config"
                                                                   : "bli_info_get_version_str"),
        file, (long long)library_threads(library), kernels_of(library), BM_BLAS_LOOP_ISA);
}
