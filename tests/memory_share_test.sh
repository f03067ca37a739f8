#!/usr/bin/env bash
# How much memory a backend's process takes, against what activations, data and parameters need: it is in the record, it is
# printed, and ours stay within 1.2 of it.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cat >"$work/wide.ini" <<'INI'
model = custom
layers = dense 16, batchnorm, relu, dense 10
dataset = synthetic
batch = 4000
threads = 2
time-limit = 10m
cell-time = 50ms
epoch-time = 1ms
roofline = none
[synthetic]
shape = 1x28x28
classes = 10
train = 4000
test = 100
seed = 3
INI

backends=scalar
for backend in avx2 avx512; do # one that is not for this processor is left out
    [ ! -e "$BM_TEST_PLUGIN_DIR/bm_$backend.so" ] || backends+=,$backend
done
"$BM_TEST_PROGRAM" run --config "$work/wide.ini" --backend $backends -v -o "$work/run.jsonl" >"$work/table" ||
    fail "$backends: $(cat "$work/table")"
python3 - "$work/run.jsonl" <<'PYTHON' || fail "see above"
import json
import os
import sys

cells = {o["backend"]: o for o in map(json.loads, open(sys.argv[1])) if o["kind"] == "cell"}
for name, cell in cells.items():
    print(name, cell["status"], cell["memory"])
    assert cell["status"] == "ok", name
memory = cells["scalar"]["memory"]
outputs, widest, slots = 16 + 16 + 10 + 10, 16, 1
params = 784 * 16 + 16 + 2 * 16 + 16 * 10 + 10
session = 4 * 4000 * (784 + outputs + 2 * widest) + 4 * ((2 + slots) * params + 2 * 16)
assert memory["needed_bytes"] > session + 4000 * 784, memory
assert memory["needed_bytes"] < session + 2 * 4100 * 784, memory
if memory["ratio"] is None:
    print("this system does not tell the peak")
else:
    assert memory["peak_bytes"] > 4 * 4000 * 784, memory
if not os.environ["BM_TEST_SANITIZE"]:
    for name, cell in cells.items():
        assert cell["memory"]["ratio"] is None or cell["memory"]["ratio"] <= 1.2, f"{name}: more than 1.2 times what is needed"
PYTHON
grep -q 'MiB at its peak, [0-9.]* of what is needed' "$work/table" || grep -q '"ratio":null' "$work/run.jsonl" ||
    fail "the table does not tell: $(cat "$work/table")"
