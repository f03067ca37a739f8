#!/usr/bin/env bash
# A plugin whose thread goes on spinning after wait takes the processor from the others: the run says so, and in whose rows.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
restless=$BM_TEST_BINARY_DIR/tests/plugins/restless/bm_restless.so

run() {
    "$BM_TEST_PROGRAM" run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --batch 7 --threads 1 \
        --cell-time 300ms "$@" 2>/dev/null
}

# The largest share of a processor that others used during this backend's blocks.
share() {
    python3 - "$1" "$2" <<'PYTHON'
import json, sys
cells = [json.loads(line) for line in open(sys.argv[1])]
print(max(c["asleep_cpu_share"] for c in cells if c["kind"] == "cell" and c["backend"] == sys.argv[2]))
PYTHON
}

run --plugin "$restless" --backend scalar,restless -o restless.jsonl >restless.txt
grep -q '^scalar, batch 7: other workers used [1-9][0-9]* % of a processor while they should have slept' restless.txt ||
    { cat restless.txt; echo "restless_test: no word on it" >&2; exit 1; }
python3 -c "import sys; sys.exit(not float(sys.argv[1]) > 0.2)" "$(share restless.jsonl scalar)"

run --backend scalar,null -o calm.jsonl >calm.txt
if grep -q 'should have slept' calm.txt; then
    cat calm.txt
    echo "restless_test: sleeping workers are said to be awake" >&2
    exit 1
fi
python3 -c "import sys; sys.exit(not float(sys.argv[1]) < 0.05)" "$(share calm.jsonl scalar)"
