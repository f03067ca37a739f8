#!/usr/bin/env bash
# usage: abi.sh C-COMPILER C++-COMPILER [--write]
#
# The headers that others compile are clean in every language and dialect they promise, and the layout and the constants
# of plugin.h are those of layout.golden and constants.golden. --write replaces the golden files: a change of the ABI,
# which raises BM_ABI_MINOR as well and only adds. Ends with 77 (skipped) where the compiler is not installed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cc=$1
cxx=$2
mode=${3-}
if ! command -v "$cc" >/dev/null || ! command -v "$cxx" >/dev/null; then
    echo "skipped: no $cc or $cxx"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

header=$root/plugins/include/batchmark/plugin.h
include=(-I "$root/plugins/include" -I "$root/plugins/kit/include")
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wdouble-promotion -Wundef -Wcast-qual
    -Wwrite-strings -Werror)
c_warnings=(-Wstrict-prototypes -Wmissing-prototypes -Wc++-compat)
cxx_warnings=(-Wold-style-cast -Wzero-as-null-pointer-constant -Wextra-semi)

compile_c() {
    printf '#include <%s>\nint bm_unused;\n' "$2" >"$work/unit.c"
    "$cc" "-std=$1" "${include[@]}" "${warnings[@]}" "${c_warnings[@]}" -c "$work/unit.c" -o "$work/unit.o"
}

compile_cxx() {
    printf '#include <%s>\nint bm_unused;\n' "$2" >"$work/unit.cc"
    "$cxx" "-std=$1" "${include[@]}" "${warnings[@]}" "${cxx_warnings[@]}" -c "$work/unit.cc" -o "$work/unit.o"
}

compile_c c11 batchmark/plugin.h
compile_c c17 batchmark/plugin.h
compile_cxx c++17 batchmark/plugin.h
cd "$root/plugins/kit/include"
for kit_header in */*.h; do
    compile_c c11 "$kit_header"
    compile_cxx c++17 "$kit_header"
done

layout() {
    "$@" "${include[@]}" -E "$header" | awk -f "$here/layout.awk" >"$work/layout.c"
    "$@" "${include[@]}" "${warnings[@]}" -Wpadded "$work/layout.c" -o "$work/layout"
    "$work/layout"
}

# Every macro of plugin.h as it is written there, but for the guard and what only marks the entry.
constants() {
    "$cc" "${include[@]}" -x c -dM -E "$header" | sed -n 's/^#define \(BM_.*\)/\1/p' |
        grep -v '^BM_PLUGIN_EXPORT ' | LC_ALL=C sort
}

if [ "$mode" = --write ]; then
    layout "$cc" -std=c11 -x c >"$here/layout.golden"
    constants >"$here/constants.golden"
    exit 0
fi
layout "$cc" -std=c11 -x c | diff -u "$here/layout.golden" -
layout "$cxx" -std=c++17 -x c++ | diff -u "$here/layout.golden" -
constants | diff -u "$here/constants.golden" -
[ "$(grep -c '^bm_' "$here/layout.golden")" -ge 11 ] # the structs of ABI 1.0: the script has found them
