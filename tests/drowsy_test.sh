#!/usr/bin/env bash
# A GPU is kept at work until its clock is up before anything is recorded, in every process.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"

fail() { cat drowsy.txt; echo "drowsy_test: $1" >&2; exit 1; }
"$BM_TEST_PROGRAM" run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --batch 7 --threads 1 --cell-time 300ms \
    --epoch-time 1ms --plugin "$BM_TEST_BINARY_DIR/tests/plugins/drowsy/bm_drowsy.so" --backend drowsy -o drowsy.jsonl \
    >drowsy.txt 2>&1 || fail "expected exit code 0"
# Each update sleeps 1 ms, the first of a process 5 ms: a median of 5 ms is one of those.
python3 - <<'PYTHON' || fail "expected rounds of a device that is awake, found slow ones"
import json, statistics, sys
cell = next(o for o in map(json.loads, open("drowsy.jsonl")) if o["kind"] == "cell")
assert cell["status"] == "ok" and cell["processes"] == 3, cell["status"]
samples, rounds = list(cell["update"]["samples_ns"]), []
for count in cell["update"]["round_counts"]:
    rounds.append(statistics.median(samples[:count]))
    del samples[:count]
print(rounds)
sys.exit(len(rounds) < 3 or max(rounds) >= 5e6)
PYTHON
