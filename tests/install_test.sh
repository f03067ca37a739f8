#!/usr/bin/env bash
# An installation is enough to build a backend, by CMake and by a bare compiler with pkg-config, also after it was moved;
# the installed program lists both. Nothing of the source tree but the author's own file is used.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "an installation with sanitizers is for nobody"
author=$BM_TEST_SOURCE_DIR/tests/support/outside

cmake --install "$BM_TEST_BINARY_DIR" --prefix "$work/first" >"$work/log" || fail "$(tail -n 3 "$work/log")"
mv "$work/first" "$work/prefix"
for file in bin/batchmark include/batchmark/plugin.h include/batchmark/kit.h lib/libbatchmark_kit.a \
    lib/batchmark/allocations/libbatchmark_allocations.so lib/batchmark/bm_null.so lib/batchmark/delay/bm_delay.so \
    lib/cmake/batchmark/BatchmarkPlugin.cmake share/batchmark/presets/run/lecture.ini \
    share/batchmark/report/page.html share/batchmark/report/chart.min.js share/man/man1/batchmark.1 \
    share/bash-completion/completions/batchmark share/zsh/vendor-completions/_batchmark; do
    [ -e "$work/prefix/$file" ] || fail "$file is not installed"
done
extra=$(find "$work/prefix/lib/batchmark" -mindepth 1 -not -name 'bm_*.so' -printf '%P ' | tr ' ' '\n' | sort | xargs)
[ "$extra" = "allocations allocations/libbatchmark_allocations.so delay" ] ||
    fail "in the folder of the plugins: expected the folders allocations and delay, found $extra"
extra=$(find "$work/prefix/lib" -mindepth 1 -maxdepth 1 -name '*.so*')
[ -z "$extra" ] || fail "among the system's libraries: $extra"
# By its name valgrind knows what to count, in a stripped program too.
nm -D --defined-only "$work/prefix/bin/batchmark" >"$work/log"
grep -q ' bm_counted_updates$' "$work/log" || fail "the program does not export bm_counted_updates"
if grep -rIlF -e "$BM_TEST_SOURCE_DIR/" -e "$BM_TEST_BINARY_DIR/" "$work/prefix"; then
    fail "installed files name the folders they were built in"
fi

# A page is made from what is installed, wherever that lies now.
python3 "$BM_TEST_SOURCE_DIR/tests/support/report_records.py" "$work/records"
"$work/prefix/bin/batchmark" report "$work/records/alpha-run.jsonl" -o "$work/page.html" >"$work/log" 2>&1 ||
    fail "$(cat "$work/log")"
[ "$(stat -c %s "$work/page.html")" -gt 200000 ] || fail "the page lacks Chart.js"

# What has been looked at; the libraries that these load are large.
rm -f "$work"/prefix/lib/batchmark/bm_{blas,onednn,torch}.so

# expect_plugin FILE: one exported symbol, and the installed program lists it with its device.
expect_plugin() {
    local exported listed
    exported=$(nm -D --defined-only "$1" | awk '{ print $3 }')
    [ "$exported" = bm_plugin_entry ] || fail "$1 exports ${exported//$'\n'/ }"
    listed=$("$work/prefix/bin/batchmark" list --plugin "$1") || fail "list: $listed"
    [[ $listed == *"outside device"* ]] || fail "expected \"outside device\" in: $listed"
}

# The build tool of this build: another need not be installed.
CMAKE_GENERATOR=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$BM_TEST_BINARY_DIR/CMakeCache.txt")
export CMAKE_GENERATOR
cp -r "$author" "$work/author"
cmake -S "$work/author" -B "$work/by-cmake" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
cmake --build "$work/by-cmake" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
expect_plugin "$work/by-cmake/bm_outside.so"

mkdir "$work/by-hand"
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
read -r -a flags <<<"$(pkg-config --cflags --libs batchmark-plugin)"
cc -shared -Wall -Wextra -Werror "$work/author/outside.c" -o "$work/by-hand/bm_outside.so" "${flags[@]}"
expect_plugin "$work/by-hand/bm_outside.so"

plugins=$(pkg-config --variable=plugindir batchmark-plugin)
[ "$plugins" -ef "$work/prefix/lib/batchmark" ] || fail "plugindir: expected lib/batchmark, found $plugins"
