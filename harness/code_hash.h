/*
 * A hash of what a plugin's file executes and reads, for telling whether two builds are the same
 * code. Equal: the same instructions, constants, relocations, symbols and needed libraries. What
 * only tells where or when the file was made is left out: build id, debug information, comments,
 * the text of a run path. A path in the code itself (__FILE__) is a constant like any other. Code
 * of libraries that the plugin loads is not in its file and not in the hash.
 */
#ifndef BM_CODE_HASH_H
#define BM_CODE_HASH_H

#include <batchmark/plugin.h>

/* SHA-256, hexadecimal, of an ELF shared object for x86-64, which is open in `fd`. INVALID, with
 * the file and what was expected and found in the text, if it cannot be read, is another kind of
 * file, or contradicts itself. */
int32_t bm_code_hash_file(int fd, const char *path, char hex[65], struct bm_error *error);

#endif
