#!/usr/bin/env bash
# `compare --self-test`: a plugin against itself made slower. The delays are far from what any noise could hide or make up.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
scalar=$BM_TEST_PLUGIN_DIR/bm_scalar.so
cd "$work"
[ -e "$BM_TEST_PLUGIN_DIR/delay/bm_delay.so" ] || skip "no delay plugin here"

# A set gets a sixtieth of a cell's time; a sanitizer's processes begin and end slowly.
cell_time=10s
[ -z "${BM_TEST_SANITIZE-}" ] || cell_time=30s
cat >small.ini <<INI
model = custom
layers = dense 64, relu, dense 10
dataset = synthetic
batch = 32
threads = 1
cell-time = $cell_time
hang-time = 60s
[synthetic]
shape = 1x12x12
train = 500
test = 100
INI

fail() {
    cat out err >&2
    printf 'compare_self_test: %s\n' "$1" >&2
    exit 1
}

# expect CODE TEXT [OPTION...]: the exit code, and a text on standard output or error.
expect() {
    local code=$1 text=$2 found=0
    shift 2
    rm -f record.jsonl
    "$program" compare --self-test --config small.ini -o record.jsonl "$@" >out 2>err || found=$?
    [ "$found" = "$code" ] || fail "expected exit code $code, found $found: $*"
    grep -qE -- "$text" out || grep -qE -- "$text" err || fail "expected \"$text\": $*"
}

# Columns: gates, PASS, REGRESSION, IMPROVEMENT, INCONCLUSIVE.
expect 0 '^scalar \+0% +32 +2 +2 +0 +0 +0 ' "$scalar" --delay 0%,400% --repeat 2 --threshold 100%
grep -qE '^scalar \+400% +32 +2 +0 +2 +0 +0 ' out || fail "expected two regressions of two"
[ "$(grep -c '"kind":"compare"' record.jsonl)" = 4 ] || fail "expected four cells in the record"
grep -q '"verdict":"REGRESSION"' record.jsonl || fail "no regression in the record"
grep -q 'percent=400' record.jsonl || fail "the delay is not among the choices of head"
# The gates of a kind draw other orders and layouts.
grep -o '"first_set":[0-9]*' record.jsonl | sort -u | tr '\n' ' ' >sets
[ "$(cat sets)" = '"first_set":0 "first_set":48 ' ] || fail "expected sets from 0 and from 48 on, found $(cat sets)"

# By name, among those that are found; options of the plugin hold for it in disguise too.
expect 5 'nothing' --backend scalar --filter 'nothing*'
expect 3 'FAILED: gates without a verdict' --backend scalar --delay 0% --option scalar.nosuch=1

# A plugin's own options hold for it in disguise.
code=0
"$program" compare --self-test --config small.ini --backend avx2 --filter 'nothing*' >out 2>err || code=$?
if [ $code = 5 ]; then # not where it is not built, or not for this processor
    expect 0 'PASS' --backend avx2 --delay 0% --threshold 100% --option avx2.skinny_max=17
    [ "$(sed '/"kind":"compare"/!d; s/skinny_max=17/&\n/g' record.jsonl | grep -c 'skinny_max=17')" = 2 ] || fail "expected the option in the choices of both"
fi

# False alarms are the gate's failure.
expect 3 'FAILED: false alarms' "$BM_TEST_BINARY_DIR/tests/plugins/heads/bm_head_shy.so" --delay 0%

# A plugin that crashes has no gate.
expect 3 'FAILED: gates without a verdict' "$BM_TEST_BINARY_DIR/tests/plugins/bad/bm_bad_segfault_gradient.so" --delay 0%

expect 2 'expected one plugin, found two' "$scalar" "$scalar"
expect 2 'nosuch/bm_x.so: no such plugin' nosuch/bm_x.so
expect 2 '--delay: expected delays like' "$scalar" --delay 5
expect 2 '--backend: expected one of' --backend nosuch
printf 'ok\n'
