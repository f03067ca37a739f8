#!/usr/bin/env bash
# `train --preset gate` as it is shipped: two honest backends train alike, and five bugs that show in the course of a training only
# are each found, for the right reason. What the gate says of a bug is printed.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
bugs=$BM_TEST_BINARY_DIR/tests/plugins/training_bugs
cd "$work"

"$program" list >list.txt
grep -q 'fashion-mnist .*60000' list.txt || skip "no fashion-mnist here"
other=avx2
plugin=()
if ! grep -q 'avx2:0' list.txt; then
    other=twin
    plugin=(--plugin "$BM_TEST_BINARY_DIR/tests/plugins/twin/bm_twin.so")
fi
# The first run of all is the one that users have to wait for; the scalar backend's trainings are taken from it by the others.
code=0
"$program" train --preset gate "${plugin[@]}" --backend "scalar,$other" --time-limit 20m -o honest.jsonl >honest.txt 2>err || code=$?
[ "$code" = 0 ] || { cat honest.txt err >&2; fail "scalar against $other: expected exit code 0, found $code"; }

# Name of the bug, and which of the two comparisons finds it: the path of the first updates or what the seeds reach.
while read -r bug finder; do
    code=0
    "$program" train --resume honest.jsonl --plugin "$bugs/bm_bug_$bug.so" --backend "scalar,bug_$bug" --time-limit 20m \
        -o "$bug.jsonl" >"$bug.txt" 2>err || code=$?
    [ "$code" = 3 ] || { cat "$bug.txt" err >&2; fail "$bug: expected exit code 3, found $code"; }
    python3 - "$bug" "$finder" <<'PYTHON'
import json, sys
bug, finder = sys.argv[1:]
with open(f"{bug}.jsonl") as file:
    objects = [o for o in map(json.loads, file) if o.get("backend") == f"bug_{bug}"]
(path,) = [o for o in objects if o["kind"] == "trajectory"]
(equal,) = [o for o in objects if o["kind"] == "equivalence"]
trainings = [o for o in objects if o["kind"] == "training"]
assert len(trainings) == 5 and all(o["status"] == "ok" for o in trainings), [(o["status"], o["reason"]) for o in trainings]
print(f"{bug}: path {path['status']} (update {path['updates']}, {path['ratio']:.3g} of {path['factor']:.3g}); test accuracy "
      f"{equal['verdict']}, {100 * equal['difference']:.2f} % ({100 * equal['low']:.2f} to {100 * equal['high']:.2f})")
if finder == "path":
    assert path["status"] == "wrong", path
    assert path["at_update"] == {"momentum_lost": 5, "stale_gradient": 20}[bug], path["at_update"]
else:
    assert path["status"] == "ok", "found too early: the check or the path sees it by itself"
    assert equal["verdict"] == "different" and equal["high"] < -equal["margin"], equal
PYTHON
done <<'BUGS'
momentum_lost path
stale_gradient path
rate_lost seeds
few_images seeds
frozen_statistics seeds
BUGS
printf 'ok\n'
