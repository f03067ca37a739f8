#!/bin/bash
# gbench.h is the border between C and the C++ library: it is plain C99, and C++ as well.
set -eu
compiler=${CC:-cc}
command -v "$compiler" >/dev/null || { echo "skipped: no C compiler"; exit 77; }
check() {
    echo '#include "gbench.h"
struct bm_gbench_block block;
struct bm_gbench_result result;' |
        "$compiler" "$@" -pedantic-errors -Wall -Wextra -Werror -fsyntax-only -I"$BM_TEST_SOURCE_DIR/harness" -
}
check -x c -std=c99
check -x c -std=c11
check -x c++ -std=c++17
