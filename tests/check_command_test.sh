#!/usr/bin/env bash
# `batchmark check` as its users meet it: verdicts and exit codes for healthy and bad plugins, formats, the list, a filter
# that takes nothing, an interrupt. What the cases find is the matter of mutants_test.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

bad=$BM_TEST_BINARY_DIR/tests/plugins/bad
scalar=$BM_TEST_PLUGIN_DIR/bm_scalar.so

# expect CODE TEXT ARGUMENTS...: that exit code, and the text on standard output or error.
expect() {
    local code=$1 text=$2 found=0
    shift 2
    "$BM_TEST_PROGRAM" check "$@" >"$work/out" 2>"$work/err" || found=$?
    [ $found -eq "$code" ] || fail "check $*: expected exit code $code, found $found: $(tail -n 3 "$work/out" "$work/err")"
    grep -qF -- "$text" "$work/out" "$work/err" ||
        fail "check $*: expected \"$text\", found $(cat "$work/out" "$work/err")"
}

params=(--filter calls.params)
expect 0 "300 calls.params" "$scalar" "${params[@]}"
expect 0 "300 calls.params" "$BM_TEST_BINARY_DIR/tests/plugins/twin/bm_twin.so" "${params[@]}" # of a later minor
expect 0 "the plugin says that it computes nothing" "$BM_TEST_PLUGIN_DIR/bm_null.so" --filter 'calls.*'
# What a backend does not support is a list; a table shows its beginning.
few=$BM_TEST_BINARY_DIR/tests/template/bm_mychip.so
expect 0 "..." "$few" --filter memory.guards
[ "$(grep memory.guards "$work/out" | wc -L)" -le 150 ] || fail "a long line: $(cat "$work/out")"
expect 0 "expected dense (1) or relu (5), found kind 2" "$few" --filter memory.guards --verbose
expect 0 "expected dense (1) or relu (5), found kind 2" "$few" --filter memory.guards --format jsonl
expect 5 "nothing was asked of" "$BM_TEST_PLUGIN_DIR/bm_null.so" --filter 'cells.*'
expect 0 "300 calls.params" --list
expect 2 "expected a plugin, a file bm_NAME.so, found none"
expect 2 "no such plugin" "$work/bm_nothing.so"
expect 2 "expected a pattern of case names" "$scalar" --filter nothing
expect 2 "of a device of scalar" "$scalar" --backend scalar:7
expect 2 "as the plugin's file has it" "$scalar" --backend avx2 "${params[@]}"
expect 2 "as the plugin's file has it" "$scalar" --backend scalar,null "${params[@]}"
for format in table jsonl junit; do
    code=0
    "$BM_TEST_PROGRAM" check "$scalar" "${params[@]}" --format $format >/dev/full 2>"$work/err" || code=$?
    [ $code -eq 8 ] || fail "a full disk, $format: expected exit code 8, found $code: $(cat "$work/err")"
done
expect 6 "expected magic" "$bad/bm_bad_wrong_magic.so"
expect 6 "ABI: host has" "$bad/bm_bad_wrong_version.so"
expect 3 "expected" "$bad/bm_bad_wrong_results.so" --filter 'numerics.dense'
expect 3 "to standard output" "$bad/bm_bad_stdout_print.so" "${params[@]}"
if [ -z "${BM_TEST_SANITIZE-}" ]; then
    expect 7 "killed by SIGSEGV in load" "$bad/bm_bad_segfault_load.so"
    expect 7 "killed by SIGSEGV in gradient" "$bad/bm_bad_segfault_gradient.so" "${params[@]}"
fi
expect 3 'gradient of "dense 4" on 1x5x7, sgd, batch_max 1000, threads 1: expected OK, found TIMEOUT' "$bad/bm_bad_timeout.so" \
    --filter numerics.dense
expect 7 "timeout" "$bad/bm_bad_hang.so" "${params[@]}" --hang-time 1s
grep -q "again: batchmark check .*bm_bad_hang.so --backend bad_hang:0 --filter calls.params --in-process" "$work/out" ||
    fail "no command that repeats the case: $(cat "$work/out")"

# The command that a failure shows does run that case, here. What a failed case holds is lost until the process ends.
export ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0
expect 3 "expected" "$bad/bm_bad_wrong_results.so" --backend bad_wrong_results:0 --filter numerics.dense --in-process

expect 3 '"kind":"end"' "$bad/bm_bad_wrong_results.so" --filter 'numerics.d*' --format jsonl
python3 - "$work/out" <<'PYTHON'
import json, sys

objects = [json.loads(line) for line in open(sys.argv[1])]
kinds = [entry["kind"] for entry in objects]
assert kinds[0] == "conformance" and kinds[-1] == "end" and set(kinds[1:-1]) == {"case"}, kinds
statuses = {entry["name"]: entry["status"] for entry in objects[1:-1]}
assert statuses["numerics.dense"] == "fail" and len(statuses) > 1, statuses
assert all(entry["reason"] for entry in objects if entry.get("status") == "fail")
assert objects[-1]["failed"] == list(statuses.values()).count("fail") and objects[-1]["exit"] == 3, objects[-1]
PYTHON

expect 3 "<testsuites>" "$bad/bm_bad_wrong_results.so" --filter 'numerics.d*' --format junit
python3 - "$work/out" <<'PYTHON'
import sys, xml.etree.ElementTree

suite, = xml.etree.ElementTree.parse(sys.argv[1]).getroot()
cases = suite.findall("testcase")
failed = [case for case in cases if case.find("failure") is not None]
assert int(suite.get("tests")) == len(cases) > 1 and int(suite.get("failures")) == len(failed) > 0, suite.attrib
assert failed[0].get("classname") == "bad_wrong_results.0" and "expected" in failed[0].find("failure").get("message")
PYTHON

# Ctrl-C: what has been found so far is shown, nothing stays behind.
"$BM_TEST_PROGRAM" check "$bad/bm_bad_hang.so" --filter '[cn]*' --hang-time 60s >"$work/out" 2>&1 &
child=$!
for _ in $(seq 1200); do
    mapfile -t workers < <(pgrep -P $child)
    if [ ${#workers[@]} -gt 0 ] && grep -q "bad_hang:0" "$work/out"; then
        break
    fi
    sleep 0.1
done
[ ${#workers[@]} -gt 0 ] || fail "interrupted: no worker before the signal: $(cat "$work/out")"
kill -INT $child
code=0
wait $child || code=$?
[ $code -eq 130 ] || fail "interrupted: expected exit code 130, found $code: $(cat "$work/out")"
for worker in "${workers[@]}"; do
    ! kill -0 "$worker" 2>/dev/null || fail "interrupted: the worker $worker stays behind"
done
grep -q "of the cases that ran" "$work/out" || fail "interrupted: no verdict on what ran: $(cat "$work/out")"
