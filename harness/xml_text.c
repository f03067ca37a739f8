#include "xml_text.h"

#include <stdint.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* Bytes of the UTF-8 character that begins here; 0 if none does: a stray or missing continuation, a
 * longer form than needed, a surrogate, a number above U+10FFFF. */
static uint32_t character_length(const unsigned char *text) {
    static const struct {
        unsigned char first, last; /* of the first byte */
        unsigned char second_low;  /* what the second may be, which rules out the above */
        unsigned char second_high;
        uint32_t length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    if (text[0] < 0x80) {
        return 1;
    }
    for (uint32_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last) {
            continue;
        }
        uint32_t length = text[1] >= forms[i].second_low && text[1] <= forms[i].second_high;
        while (length > 0 && length + 1 < forms[i].length) {
            length = (text[length + 1] & 0xc0) == 0x80 ? length + 1 : 0;
        }
        return length > 0 ? forms[i].length : 0;
    }
    return 0;
}

/* U+FFFE and U+FFFF are no characters of XML. */
static int is_noncharacter(const unsigned char *text) {
    return text[0] == 0xef && text[1] == 0xbf && text[2] >= 0xbe;
}

/* What stands for an ASCII character; NULL: itself. */
static const char *reference_of(unsigned char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&apos;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return c < ' ' || c == 0x7f ? REPLACEMENT : NULL;
    }
}

void bm_xml_text_print(const char *text, FILE *stream) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        uint32_t length = character_length(at);
        const char *reference = length == 1 ? reference_of(*at) : NULL;
        if (length == 0 || (length == 3 && is_noncharacter(at))) {
            reference = REPLACEMENT;
        }
        if (reference != NULL) {
            (void)fputs(reference, stream);
        } else {
            (void)fwrite(at, 1, length, stream);
        }
        at += length > 0 ? length : 1;
    }
}
