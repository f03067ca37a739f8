/* Where this program lies, and from there its plugins, presets and data: a build tree and an
 * installed tree may both be moved. And making the folders that files go to. */
#ifndef BM_PLACE_H
#define BM_PLACE_H

#include <batchmark/plugin.h>

#include <stddef.h>

/* The folder of the running program, without the last slash; 0 if it is not known, otherwise 1. */
int bm_place_program(char *folder, size_t capacity);

/* The top folder of the build tree that the program (or a test, one folder below) runs from; 0 if
 * it runs from elsewhere. */
int bm_place_build_tree(char *folder, size_t capacity);

/* A folder of the sources (`tail`, from their top) that the build tree was made from, as its cache
 * names them: no path of them is in the program. 0 if it runs from elsewhere. */
int bm_place_source(char *folder, size_t capacity, const char *tail);

/* The installed plugins', presets', data's, template's and report's folders, and the prefix: those
 * beside the program, as CMake installs them; data comes only with a bundle. 0 if the program's
 * folder is not known. */
int bm_place_installed_plugins(char *folder, size_t capacity);
int bm_place_installed_presets(char *folder, size_t capacity);
int bm_place_installed_data(char *folder, size_t capacity);
int bm_place_installed_template(char *folder, size_t capacity);
int bm_place_installed_report(char *folder, size_t capacity);
int bm_place_prefix(char *folder, size_t capacity);

/* The allocator that counts (plugins/conformance/allocations/), of the build tree or installed; 0
 * if it is not there, as in a build with sanitizers. */
int bm_place_allocations(char *path, size_t capacity);

/* The plugin that makes another one slower (plugins/delay/), of the build tree or installed; 0 if
 * it is not there. */
int bm_place_delay(char *path, size_t capacity);

/* Whether both paths are of one file, or would be, where none is there yet. */
int bm_place_same_file(const char *a, const char *b);

/* Makes a folder and those above it, as far as they are missing. INVALID, naming the first that
 * cannot be made. */
int32_t bm_place_make_folders(const char *folder, struct bm_error *error);

#endif
