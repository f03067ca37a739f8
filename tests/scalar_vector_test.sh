#!/usr/bin/env bash
# "Built without vectorization": bm_scalar.so holds no packed float arithmetic. The search is tried first on a file that does.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

# Instructions of packed float arithmetic; moves and bitwise operations on whole registers are not arithmetic.
packed() {
    objdump -d --no-show-raw-insn "$1" |
        grep -E $'\t'"v?(f(n?m(add|sub)[0-9]*)|h?add|h?sub|addsub|mul|div|sqrt|max|min|dp|rcp|rsqrt)p[sd]( |$)" || true
}

[ "$(uname -m)" = x86_64 ] || skip "the instructions are those of x86"
[ -z "${BM_TEST_SANITIZE-}" ] || skip "sanitizers are built with other flags"
cat >"$work/packed.c" <<'CODE'
void add(float *restrict a, const float *restrict b);
void add(float *restrict a, const float *restrict b) {
    for (int i = 0; i < 64; i++) {
        a[i] += b[i];
    }
}
CODE
${CC:-cc} -O3 -c "$work/packed.c" -o "$work/packed.o"
if [ -z "$(packed "$work/packed.o")" ]; then
    echo "scalar_vector_test: finds nothing in a file that was vectorized" >&2
    exit 1
fi
found=$(packed "$BM_TEST_PLUGIN_DIR/bm_scalar.so")
if [ -n "$found" ]; then
    printf 'scalar_vector_test: packed arithmetic in bm_scalar.so:\n%s\n' "$(head -5 <<<"$found")" >&2
    exit 1
fi
if [ -z "$(objdump -d "$BM_TEST_PLUGIN_DIR/bm_scalar.so" | grep mulss | head -1)" ]; then
    echo "scalar_vector_test: no scalar multiplication either; was the file disassembled?" >&2
    exit 1
fi
