/* A new folder from a template folder: every file copied, its placeholders filled in, and all of
 * them or none put in place. */
#ifndef BM_SCAFFOLD_H
#define BM_SCAFFOLD_H

#include <batchmark/plugin.h>

/* In the texts and file names of the template `word` stands for `value`; of two words that begin
 * alike the longer one stands first. */
struct bm_scaffold_word {
    const char *word;
    const char *value;
};

/* Copies the regular files of the folder `from` to the new folder `to`, which may be there if it is
 * empty. INVALID if `from` cannot be read or `to` cannot be made there, INTERNAL if writing failed;
 * then nothing is left behind. */
int32_t bm_scaffold_make(const char *from,
                         const char *to,
                         const struct bm_scaffold_word *words,
                         uint32_t word_count,
                         struct bm_error *error);

#endif
