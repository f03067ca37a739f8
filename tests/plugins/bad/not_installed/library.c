#include "library.h"

const char *bm_bad_library_version(void) {
    return "1.0";
}
