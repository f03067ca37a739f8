/* What a plugin's `describe` says of how it runs, for telling whether two sessions run alike. */
#ifndef BM_CHOICES_H
#define BM_CHOICES_H

#include <stddef.h>
#include <stdint.h>

/* The lines of `describe` that fit; how much memory a session takes is no choice. */
void bm_choices_copy(const char *describe, char *choices, size_t capacity);

/* Whether a key that both have has another value. Who tells more than another chose nothing else.
 */
uint32_t bm_choices_differ(const char *base, const char *head);

#endif
