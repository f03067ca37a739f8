#!/usr/bin/env bash
# How much memory a backend's process takes, against what activations, data and parameters need: it is in the record, it is
# printed, and ours stay within 1.2 of it.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cat >"$work/wide.ini" <<'INI'
model = custom
layers = dense 64, batchnorm, relu, dense 10
dataset = synthetic
threads = 2
time-limit = 10m
cell-time = 50ms
epoch-time = 1ms
roofline = none
[synthetic]
shape = 1x28x28
classes = 10
train = 8000
test = 100
seed = 3
INI

"$BM_TEST_PROGRAM" run --config "$work/wide.ini" --backend scalar,null --batch 8000 -v -o "$work/run.jsonl" >"$work/table"
python3 - "$work/run.jsonl" <<'PYTHON' || fail "see above"
import json
import sys

cell = next(o for o in map(json.loads, open(sys.argv[1])) if o["kind"] == "cell" and o["backend"] == "scalar")
memory = cell["memory"]
outputs, widest, slots = 64 + 64 + 10 + 10, 64, 1
params = 784 * 64 + 64 + 2 * 64 + 64 * 10 + 10
session = 4 * 8000 * (784 + outputs + 2 * widest) + 4 * ((2 + slots) * params + 2 * 64)
assert memory["needed_bytes"] > session + 8000 * 784, memory
assert memory["needed_bytes"] < session + 2 * 8100 * 784, memory
if memory["ratio"] is None:
    print("this system does not tell the peak")
else:
    assert memory["peak_bytes"] > 4 * 8000 * 784, memory
PYTHON
grep -q 'MiB at its peak, [0-9.]* of what is needed' "$work/table" || grep -q '"ratio":null' "$work/run.jsonl" ||
    fail "the table does not tell: $(cat "$work/table")"

if [ -z "${BM_TEST_SANITIZE-}" ]; then
    "$BM_TEST_PROGRAM" list >"$work/list"
    grep -q '^ *scalar:0 ' "$work/list" || fail "no scalar backend: $(cat "$work/list")"
    for backend in scalar avx2 avx512; do
        grep -q "^ *$backend:0 " "$work/list" || continue # not built, or not for this processor
        "$BM_TEST_PROGRAM" run --config "$work/wide.ini" --backend $backend --batch 8000 -o "$work/$backend.jsonl" >"$work/table" ||
            fail "$backend: $(cat "$work/table")"
        python3 - "$work/$backend.jsonl" <<'PYTHON' || fail "$backend: more than 1.2 times what is needed"
import json
import sys

cell = next(o for o in map(json.loads, open(sys.argv[1])) if o["kind"] == "cell")
print(cell["backend"], cell["status"], cell["memory"])
assert cell["status"] == "ok" and (cell["memory"]["ratio"] is None or cell["memory"]["ratio"] <= 1.2)
PYTHON
    done
fi
