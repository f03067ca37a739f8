/* What a terminal would obey becomes spaces, byte for byte; all else stays as it is. */
#include "printable.h"

#include "error.h"
#include "test.h"

static void check(const char *text, const char *kept, const char *expected) {
    char copy[64];
    TEST_CHECK(strlen(text) < sizeof copy);
    strcpy(copy, text);
    bm_printable(copy, kept);
    TEST_CHECK_STR(copy, expected);
}

int main(void) {
    struct bm_error error;
    check("", "", "");
    check("plain ~ text", "", "plain ~ text");
    check("a\x1b[31m\r\n\tb\x7f", "", "a [31m   b ");
    check("a\nb\r\nc", "\n", "a\nb \nc");
    check("a\nb\tc\v", "\n\t", "a\nb\tc ");
    check("\xc2\x80|\xc2\x9b|\xc2\x9f|", "", "  |  |  |"); /* U+0080 to U+009F */
    check("\xc2\xa0|\xc3\xa9|\xc2\xb5s", "", "\xc2\xa0|\xc3\xa9|\xc2\xb5s");
    check("\xd8\x9c|\xe2\x80\x8e|\xe2\x80\x8f|", "", "  |   |   |"); /* marks */
    check("\xe2\x80\xaa|\xe2\x80\xae|\xe2\x81\xa6|\xe2\x81\xa9|", "", "   |   |   |   |");
    check("\xe2\x80\xa6|\xe2\x80\xaf|\xe2\x81\xa5|\xe2\x81\xaa|", "",
          "\xe2\x80\xa6|\xe2\x80\xaf|\xe2\x81\xa5|\xe2\x81\xaa|"); /* their neighbours */
    check("\xf0\x9f\x98\x80", "", "\xf0\x9f\x98\x80");
    check("cut \xc2", "", "cut \xc2");
    check("cut \xe2\x80", "", "cut \xe2\x80");
    TEST_CHECK(bm_fail(&error, BM_STATUS_INVALID, "found \"%s\"", "\x1b]0;x\n") ==
               BM_STATUS_INVALID);
    TEST_CHECK_STR(error.text, "found \" ]0;x \"");
    return 0;
}
