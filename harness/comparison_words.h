/* The words in which a comparison is told, the same in tables, JUnit files and CI's messages. Texts
 * go to the caller's buffer, cut where it ends. */
#ifndef BM_COMPARISON_WORDS_H
#define BM_COMPARISON_WORDS_H

#include "comparison.h"

#define BM_COMPARISON_WORDS_SIZE 2048

/* A share as "0.52 %", "1.5 %", "12 %"; with `sign` a gain has its plus. "> 1000 %" from there on;
 * not finite: "-". */
void bm_comparison_percent(double share, int sign, char *text, uint32_t capacity);

/* How much slower head is: "+2.1 % (+1.0 % to +3.2 %)"; "-" where that is unknown. */
void bm_comparison_change(const struct bm_comparison_cell *cell, char *text, uint32_t capacity);

/* Of the tuners' choices, those that differ: "tiles: 6x16, now 4x24; isa: ..."; empty if none. */
void bm_comparison_choices(const struct bm_comparison_cell *cell, char *text, uint32_t capacity);

/* Whether instructions were counted, how many more they are, or why not; empty if nobody asked. */
void bm_comparison_instructions_words(const struct bm_comparison_instructions *instructions,
                                      char *text,
                                      uint32_t capacity);

/* All that is known of a cell but its name, in one line. */
void bm_comparison_sentence(const struct bm_comparison_cell *cell, char *text, uint32_t capacity);

/* "4 PASS, 1 REGRESSION": how many cells have each verdict. */
void bm_comparison_summary(const struct bm_comparison *comparison, char *text, uint32_t capacity);

#endif
