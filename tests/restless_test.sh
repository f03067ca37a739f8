#!/usr/bin/env bash
# A plugin whose thread goes on spinning after wait does not take the processor from the others: a worker is stopped until
# its next turn.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
restless=$BM_TEST_BINARY_DIR/tests/plugins/restless/bm_restless.so

"$BM_TEST_PROGRAM" run --config "$BM_TEST_SOURCE_DIR/tests/support/small.ini" --batch 7 --threads 1 --cell-time 300ms \
    --plugin "$restless" --backend scalar,restless -o restless.jsonl >restless.txt 2>/dev/null

# The largest share of a processor that others used during a backend's blocks, and the number of cells that were measured.
read -r share measured < <(python3 - <<'PYTHON'
import json
cells = [o for o in map(json.loads, open("restless.jsonl")) if o["kind"] == "cell"]
print(max(c["asleep_cpu_share"] for c in cells), sum(c["status"] == "ok" for c in cells))
PYTHON
)
fail() { cat restless.txt; echo "restless_test: $1" >&2; exit 1; }
[ "$measured" = 2 ] || fail "expected 2 cells that are ok, found $measured"
python3 -c "import sys; sys.exit(not float(sys.argv[1]) < 0.05)" "$share" ||
    fail "expected stopped workers, found that they used $share of a processor"
! grep -q 'should have slept' restless.txt || fail "stopped workers are said to be awake"
