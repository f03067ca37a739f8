#!/usr/bin/env bash
# The backends of plugins/examples build against an installation, as their authors would build them, pass the conformance
# suite, and are measured, which compares them with the reference at four batch sizes.
# Where BM_TEST_WHOLE is not set, they are compiled with fewer optimizations and pass the parts of the suite that are quick.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "an installation with sanitizers is for nobody"
install_program "$work/prefix"
program=$work/prefix/bin/batchmark
# The build tool of this build: another need not be installed.
CMAKE_GENERATOR=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$BM_TEST_BINARY_DIR/CMakeCache.txt")
export CMAKE_GENERATOR
build=()
check=()
if [ -z "${BM_TEST_WHOLE-}" ]; then
    build=(-DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O1 -DNDEBUG")
    check=(--filter '!(numerics|optimizers|precision|wait|property).*')
fi

# run NAME: builds, checks, measures a small cell. 77: a library that it needs is not installed.
run() {
    local name=$1 plugin=$work/$1/bm_$1.so
    cp -r "$BM_TEST_SOURCE_DIR/plugins/examples/$name" "$work/source-$name"
    if ! cmake -S "$work/source-$name" -B "$work/$name" -DCMAKE_PREFIX_PATH="$work/prefix" "${build[@]}" >"$work/log" 2>&1; then
        grep -q 'Could not find a package configuration file provided by' "$work/log" || fail "$name: $(cat "$work/log")"
        printf '%s: not built: %s\n' "$name" "$(grep -m 1 'provided by' "$work/log")"
        return 77
    fi
    cmake --build "$work/$name" >"$work/log" 2>&1 || fail "$name: $(tail -n 20 "$work/log")"
    "$program" check "$plugin" "${check[@]}" --hang-time 5m >"$work/out" 2>&1 || fail "$name: $(grep -A 2 -v -E ' (pass|unsupported|holds)' "$work/out")"
    printf '%s: %s\n' "$name" "$(tail -n 1 "$work/out")"
    "$program" run --plugin "$plugin" --backend "$name" --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --dataset synthetic \
        --cell-time 20ms --epoch-time 1ms --format csv -o "$work/run.jsonl" >"$work/out" 2>&1 || fail "$name: $(cat "$work/out")"
    grep -q "^\"\?$name\"\?,.*,\"\?ok\"\?," "$work/out" || fail "$name: not measured: $(cat "$work/out")"
}

built=0
for folder in "$BM_TEST_SOURCE_DIR"/plugins/examples/*/; do
    code=0
    run "$(basename "$folder")" || code=$?
    [ $code -eq 0 ] && built=$((built + 1))
done
[ $built -gt 0 ] || skip "no example has its library here"
