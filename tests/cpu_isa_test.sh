#!/usr/bin/env bash
# The avx2 and avx512 backends on a processor that cannot run them are a line of `list` and an unsupported row, never SIGILL:
# with an entry that asks for too much, and under an emulator of older processors where one is installed. What answers before
# the processor has been looked at is baseline code, and the sums of the large tiles stay in registers.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

nobody=$BM_TEST_BINARY_DIR/tests/plugins/nobody/bm_nobody.so
[ -e "$nobody" ] || skip "the backends of this folder are for x86-64"

"$BM_TEST_PROGRAM" list --plugin "$nobody" >"$work/list"
grep -A 1 '^  nobody ' "$work/list" | grep -q 'not available: this processor has not got' ||
    fail "list does not say why: $(grep -A 2 nobody "$work/list")"
code=0
"$BM_TEST_PROGRAM" run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --plugin "$nobody" --backend nobody,null \
    --batch 7 -o "$work/run.jsonl" >"$work/table" 2>&1 || code=$?
grep -q '"backend":"null".*"status":"ok"' "$work/run.jsonl" || fail "null was not measured beside it: $(cat "$work/table")"
[ "$code" != 7 ] || fail "a worker crashed: $(cat "$work/table")"

if [ -n "${BM_TEST_SANITIZE-}" ]; then
    printf 'ok; the code is that of a sanitizer, and not looked at\n'
    exit 0
fi

# Every vector instruction of the new encoding begins with v.
for name in avx2 avx512; do
    entry=$BM_TEST_BINARY_DIR/backends/cpu/CMakeFiles/bm_plugin_$name.dir/entry.c.o
    [ -z "$(objdump -d --no-show-raw-insn "$entry" | grep -P '\tv[a-z]' || true)" ] || fail "$entry is not baseline code"
done
# tile FUNCTION PLUGIN: its vector instructions, as far as its first return.
tile() {
    # grep: an empty answer is the caller's to judge
    objdump -d --no-show-raw-insn "$BM_TEST_PLUGIN_DIR/$2" | sed -n "/<$1>:/,/\tret/p" | grep -E '[yz]mm' || true
}
for pair in "6_2 bm_avx2.so" "14_2 bm_avx512.so"; do
    for kind in rows outer; do
        # shellcheck disable=SC2086 # two words
        set -- ${kind}_$pair
        nm "$BM_TEST_PLUGIN_DIR/$2" 2>/dev/null | grep -q ' [tT] ' || { printf '%s is stripped: not looked at\n' "$2"; continue; }
        [ -n "$(tile "$1" "$2")" ] || fail "$2 has no function $1"
        [ -z "$(tile "$1" "$2" | grep '(%rsp' || true)" ] || fail "$1 of $2 keeps sums on the stack"
    done
done

if ! command -v qemu-x86_64 >/dev/null; then
    printf 'ok; no emulator here\n'
    exit 0
fi
export BM_TEST_PLUGIN_DIR
for pair in "Nehalem avx2" "Nehalem avx512" "Haswell avx512"; do
    # shellcheck disable=SC2086 # two words
    set -- $pair
    code=0
    qemu-x86_64 -cpu "$1" "$BM_TEST_PROGRAM" check "$BM_TEST_PLUGIN_DIR/bm_$2.so" --in-process >"$work/out" 2>&1 || code=$?
    [ "$code" = 5 ] || fail "$2 on a $1: expected status 5, found $code: $(cat "$work/out")"
    grep -q 'not available' "$work/out" || fail "$2 on a $1 does not say why: $(cat "$work/out")"
done
printf 'ok\n'
