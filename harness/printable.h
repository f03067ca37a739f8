/* Texts that others wrote, on their way to a terminal. */
#ifndef BM_PRINTABLE_H
#define BM_PRINTABLE_H

/* Puts spaces in the place of what a terminal obeys instead of showing it: control characters,
 * those of Latin-1 in UTF-8 (U+0080 to U+009F) too, and what turns the direction of the letters
 * after it. `kept` lists control characters that stay, such as "\n". */
void bm_printable(char *text, const char *kept);

#endif
