#!/usr/bin/env bash
# A GPU is kept at work until its clock is up before anything is recorded, in every process.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"

fail() { cat drowsy.txt; echo "drowsy_test: $1" >&2; exit 1; }
# An update that the machine's own stalls make seem to take seconds is timed in one process: again, then.
stalled=75
for _ in 1 2 3 4 5; do
    "$BM_TEST_PROGRAM" run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --batch 7 --threads 1 --cell-time 300ms \
        --time-limit 30m --epoch-time 1ms --plugin "$BM_TEST_BINARY_DIR/tests/plugins/drowsy/bm_drowsy.so" --backend drowsy \
        -o drowsy.jsonl >drowsy.txt 2>&1 || fail "expected exit code 0"
    # While the device is slow each update sleeps 5 ms, which takes no machine less; later 1 ms, which a stall may lengthen, but
    # not in all of a round's first ten.
    result=0
    python3 - "$stalled" <<'PYTHON' || result=$?
import json, sys
cell = next(o for o in map(json.loads, open("drowsy.jsonl")) if o["kind"] == "cell")
assert cell["status"] == "ok", cell["status"]
if cell["processes"] == 1 and cell["estimate_ns"] > 1e9:
    sys.exit(int(sys.argv[1]))
assert cell["processes"] == 3, cell["processes"]
samples, rounds = list(cell["update"]["samples_ns"]), []
for count in cell["update"]["round_counts"]:
    rounds.append(min(samples[:min(count, 10)]))
    del samples[:count]
print(rounds)
sys.exit(len(rounds) < 3 or max(rounds) >= 5e6)
PYTHON
    [ "$result" = "$stalled" ] || break
    rm drowsy.jsonl
done
[ "$result" = 0 ] || fail "expected rounds of a device that is awake, found slow ones, or a machine that stalls all the time"
