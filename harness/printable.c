#include "printable.h"

#include <stddef.h>
#include <string.h>

/* Bytes of the character at `text` that is to be replaced; 0: it is not. */
static size_t obeyed_length(const unsigned char *text, const char *kept) {
    if (text[0] < 0x20 || text[0] == 0x7f) {
        return strchr(kept, text[0]) == NULL;
    }
    if (text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0) { /* U+0080 to U+009F */
        return 2;
    }
    if (text[0] == 0xd8 && text[1] == 0x9c) { /* U+061C */
        return 2;
    }
    if (text[0] != 0xe2) {
        return 0;
    }
    int is_mark = text[1] == 0x80 && (text[2] == 0x8e || text[2] == 0x8f);    /* U+200E, U+200F */
    int is_embedding = text[1] == 0x80 && text[2] >= 0xaa && text[2] <= 0xae; /* U+202A to U+202E */
    int is_isolate = text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9;   /* U+2066 to U+2069 */
    return is_mark || is_embedding || is_isolate ? 3 : 0;
}

void bm_printable(char *text, const char *kept) {
    for (char *at = text; *at != '\0';) {
        size_t length = obeyed_length((const unsigned char *)at, kept);
        memset(at, ' ', length);
        at += length > 0 ? length : 1;
    }
}
