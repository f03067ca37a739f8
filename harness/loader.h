/* Loading one plugin into this process and negotiating the ABI with it. Used by workers only: the
 * parent loads nothing. */
#ifndef BM_LOADER_H
#define BM_LOADER_H

#include "opened_file.h"

/* Loads `path` (absolute) with RTLD_NOW | RTLD_LOCAL; it stays loaded until the process ends.
 * Nothing in it has been called, its constructors aside. INVALID if it is no shared object, or not
 * the file `file`, where one is given. */
int32_t bm_loader_open(const char *path,
                       const struct bm_opened_file *file,
                       void **handle,
                       struct bm_error *error);

/* Opens it and returns its table in *plugin. Fails with UNSUPPORTED (refused by either side: both
 * numbers in the text) or INVALID (as above, no symbol, wrong magic, a mandatory call missing).
 * Checks what plugin.h says of the table; the name must be that of the file. */
int32_t bm_loader_load(const char *path,
                       const struct bm_opened_file *file,
                       const struct bm_plugin **plugin,
                       struct bm_error *error);

/* "scalar" for ".../bm_scalar.so"; INVALID if the file name has another form. */
int32_t bm_loader_name(const char *path, char *name, uint32_t capacity, struct bm_error *error);

#endif
