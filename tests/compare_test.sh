#!/usr/bin/env bash
# `batchmark compare` of builds, as its users meet it: every verdict, its exit code, the record. Nothing depends on how long
# anything takes: heads are many times slower or faster than base. The short form leaves out a growth of instructions that is
# accepted.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
scalar=$BM_TEST_PLUGIN_DIR/bm_scalar.so
plugins=$BM_TEST_BINARY_DIR/tests/plugins
twin=$plugins/twin/bm_twin.so
cd "$work"

# A set gets a sixtieth of a cell's time; a sanitizer's processes begin and end slowly.
cell_time=10s
[ -z "${BM_TEST_SANITIZE-}" ] || cell_time=30s
cat >small.ini <<INI
model = custom
layers = dense 24, relu, dense 10
dataset = synthetic
optimizer = momentum
batch = 7
threads = 1
lr = 1e-3
cell-time = $cell_time
hang-time = 60s
[synthetic]
shape = 1x6x6
classes = 10
train = 500
test = 100
seed = 3
INI

fail() {
    cat out err >&2
    printf 'compare_test: %s\n' "$1" >&2
    exit 1
}

# expect CODE TEXT BASE HEAD [OPTION...]: the exit code, and a text on standard output or error.
expect() {
    local code=$1 text=$2 found=0
    shift 2
    rm -f record.jsonl record.jsonl.partial
    "$program" compare --config small.ini -o record.jsonl "$@" >out 2>err || found=$?
    [ "$found" = "$code" ] || fail "expected exit code $code, found $found: $*"
    grep -qF -- "$text" out || grep -qF -- "$text" err || fail "expected \"$text\": $*"
}

# check EXPRESSION: of the record's `compare` objects (c: the first, cells: all), `run` and `end`.
check() {
    python3 - "$1" <<'PYTHON' || fail "the record is not as expected: $1"
import json, math, sys
objects = [json.loads(line) for line in open("record.jsonl")]
run, end = objects[0], objects[-1]
cells = [o for o in objects if o["kind"] == "compare"]
c = cells[0] if cells else None
assert run["kind"] == "run" and run["command_name"] == "compare" and end["kind"] == "end" and end["cells"] == len(cells)
assert objects[1]["kind"] == "comparison"
if not eval(sys.argv[1]):
    sys.exit(json.dumps(cells, indent=1))
PYTHON
}

# Slower, faster.
expect 1 'REGRESSION' "$scalar" "$plugins/heads/bm_head_slow.so" --export junit=slow.xml
check 'c["verdict"] == "REGRESSION" and c["ratio"] > 2 and 1 < c["low"] < c["ratio"] < c["high"] and c["p"] < 0.01'
check 'c["cell"] == "custom (dense 24, relu, dense 10), synthetic, momentum, batch 7, 1 thread, float32"'
check 'c["sets"] == len(c["details"]["log_ratio"]) >= 12 and c["details"]["screened"] < c["sets"] and end["exit"] == 1'
check 'c["head_ns"] > 300000 and c["aa_spread"] is not None and c["choices"]["differ"]'
check 'c["choices"]["base"].startswith("isa=none") and c["choices"]["head"].startswith("isa=asleep")'
grep -q '<failure' slow.xml || fail "no failure in the JUnit file"
expect 0 'IMPROVEMENT' "$plugins/heads/bm_head_slow.so" "$scalar"
check 'c["verdict"] == "IMPROVEMENT" and c["ratio"] < 0.5'

# Equal: measured only if asked for; a gate that accepts a doubling has no doubt. Instructions, which no noise touches, judge
# beside time; where nothing can count them, a reason stands there. The thread sanitizer's own are most of them, and not the
# same twice.
expect 0 'IDENTICAL' "$scalar" "$scalar"
check 'c["verdict"] == "IDENTICAL" and c["sets"] == 0'
instructions=(--instructions 'twin, *')
[ "${BM_TEST_SANITIZE-}" != thread ] || instructions=()
expect 0 'PASS' "$scalar" "$twin" --threshold 100% "${instructions[@]}"
check 'c["verdict"] == "PASS" and c["sensitivity"] is not None and 0.2 < c["ratio"] < 5'
check 'all(r >= 3 for r in c["details"]["rounds"]) and len(c["details"]["aa_log_ratio"]) == c["sets"]'
if [ ${#instructions[@]} = 0 ]; then
    printf 'skipped under the thread sanitizer: instructions\n'
else
    check 'c["instructions"]["ratio"] == 1 if c["instructions"]["known"] else c["instructions"]["reason"] != ""'
    if grep -q '"known":true' record.jsonl; then
        wordy=("$scalar" "$plugins/heads/bm_head_wordy.so" --threshold 100% --instructions '*')
        expect 1 'REGRESSION' "${wordy[@]}" --instructions-threshold 5%
        check 'c["verdict"] == "PASS" and c["instructions"]["regression"] and c["instructions"]["ratio"] > 1.05'
        check 'c["instructions"]["threshold"] == 0.05'
        [ -z "${BM_TEST_WHOLE-}" ] || expect 0 'PASS' "${wordy[@]}" --instructions-threshold 100%
    else
        printf 'skipped: a head with more instructions: '
        grep -o '"reason":"[^"]*"' record.jsonl | tail -n 1
    fi
fi

# Fast and wrong is wrong. A wrong base is none.
expect 3 'WRONG' "$scalar" "$plugins/heads/bm_head_lazy.so"
check 'c["verdict"] == "WRONG" and c["ratio"] is None'
expect 0 'NO BASE' "$plugins/bad/bm_bad_wrong_results.so" "$scalar"

# Another ABI.
expect 0 'NO BASE' "$plugins/bad/bm_bad_wrong_version.so" "$scalar"
expect 4 'NO BASE' "$plugins/bad/bm_bad_wrong_version.so" "$scalar" --strict
expect 6 'REFUSED' "$scalar" "$plugins/bad/bm_bad_wrong_version.so"
expect 6 'REFUSED' "$plugins/bad/bm_bad_wrong_magic.so" "$scalar"

# Crashes, of either side.
[ -n "${BM_TEST_SANITIZE-}" ] || word='killed by SIGSEGV in gradient'
expect 7 "${word-CRASHED}" "$scalar" "$plugins/bad/bm_bad_segfault_gradient.so"
expect 7 'base: ' "$plugins/bad/bm_bad_segfault_gradient.so" "$scalar"

# Lost, added, neither.
expect 5 'LOST' "$scalar" "$plugins/heads/bm_head_picky.so"
check 'c["verdict"] == "LOST" and "no batch above 4" in c["reason"]'
expect 5 'ADDED' "$plugins/heads/bm_head_picky.so" "$scalar"
expect 5 'SKIPPED' "$plugins/heads/bm_head_picky.so" "$plugins/heads/bm_head_picky.so" --no-identical

# Two folders: plugins of one name are pairs.
mkdir old new
cp "$scalar" "$twin" old
cp "$scalar" new
expect 5 '1 IDENTICAL, 1 LOST' old new
check '[c["backend"] for c in cells] == ["scalar", "twin"]'
expect 0 '1 IDENTICAL, 1 ADDED' new old/ --strict
expect 0 '1 IDENTICAL' old new --backend scalar
expect 0 '3 IDENTICAL' new new --batch 1,7,9
check '[c["batch"] for c in cells] == [1, 7, 9]'
expect 0 '1 IDENTICAL' new new --batch 1,7,9 --filter 'scalar, *, batch 9, *'
check 'c["batch"] == 9'
expect 0 'plan: 1 cell to measure' new new --no-identical --batch 1,7,9 --filter 'scalar, *, batch 9, *' --cell-time 150ms
check 'c["verdict"] == "INCONCLUSIVE" and c["sets"] > 0'

# Nothing to compare, and what cannot be.
expect 5 'matches "nothing*"' new new --filter 'nothing*'
[ -z "$(find . -name 'record.jsonl*')" ] || fail "a record of nothing"
expect 5 'no cell to compare' new new --backend nosuch
expect 2 'nosuch/bm_x.so: no such plugin' "$scalar" nosuch/bm_x.so
expect 2 'expected a file bm_NAME.so' "$scalar" small.ini
expect 2 'found one folder' old "$scalar"
expect 2 'expected files bm_NAME.so, found none' old "$plugins"
expect 2 'expected two records or two plugins' "$scalar" nosuch.jsonl
expect 5 'the time limit came before its turn' "$scalar" "$twin" --time-limit 1ms
expect 0 'INCONCLUSIVE' "$scalar" "$twin" --cell-time 150ms
check 'c["verdict"] == "INCONCLUSIVE" and "too few" in c["reason"]'
expect 4 'INCONCLUSIVE' "$scalar" "$twin" --cell-time 150ms --strict
expect 8 'cannot write' "$scalar" "$scalar" --export markdown=/dev/full

# An interrupt keeps what was measured: the first cell is judged before any time passes. Beside other work a run may be void:
# what it found is printed all the same, and one of three is not.
verdict=
for _ in 1 2 3; do
    rm -f record.jsonl*
    code=0
    "$program" compare --config small.ini --batch 7,8 --threshold 0 --cell-time 20s -o record.jsonl \
        "$scalar" "$plugins/heads/bm_head_slow.so" >out 2>err &
    pid=$!
    for _ in $(seq 1200); do
        grep -q '"kind":"compare"' record.jsonl.partial 2>/dev/null && break
        sleep 0.1
    done
    kill -INT $pid
    wait $pid || code=$?
    [ "$code" = 130 ] || fail "SIGINT: expected exit code 130, found $code"
    verdict=$(sed -n 's/.*"kind":"compare".*"verdict":"\([A-Z]*\)".*/\1/p' record.jsonl.partial)
    grep -qE "^head_slow, batch 7 +$verdict " out || fail "SIGINT: what was measured is not printed"
    grep -q 'what is done is in record.jsonl.partial' out || fail "SIGINT: the partial record is not named"
    [ "$(grep -c '"kind":"compare"' record.jsonl.partial)" = 1 ] || fail "SIGINT: the partial record has not one cell"
    [ ! -e record.jsonl ] || fail "SIGINT: an unfinished record has the name of a finished one"
    [ "$verdict" != REGRESSION ] || break
done
[ "$verdict" = REGRESSION ] || fail "SIGINT: expected REGRESSION, found $verdict three times"
# A data set that is not there after one that was compared: that one is shown and kept.
BATCHMARK_DATA=$work expect 2 cifar100 "$scalar" "$scalar" --dataset synthetic,cifar100
grep -q IDENTICAL out || fail 'a data set that is not there: no table of the one before'
grep -q 'not finished; what is done is in record.jsonl.partial' out || fail 'a data set that is not there: no word on what is kept'
grep -q '"kind":"compare"' record.jsonl.partial || fail 'a data set that is not there: a cell is lost'
BATCHMARK_DATA=$work expect 2 cifar100 "$scalar" "$scalar" --dataset cifar100
[ ! -e record.jsonl.partial ] || fail 'a record without a cell is left'
printf 'ok\n'
