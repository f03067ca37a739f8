#!/usr/bin/env bash
# `batchmark run` with several devices: each is a row of its own, and with --data-parallel those of a kind share a batch in one
# more, with its efficiency. Where only the rows matter nothing is measured; the short form measures them on fewer devices, and one
# network on the software device.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

program=$BM_TEST_PROGRAM
support=$BM_TEST_SOURCE_DIR/tests/support
quintet=$BM_TEST_BINARY_DIR/tests/plugins/quintet/bm_quintet.so
cd "$work"

# run NAME OPTIONS...: a short run, all of whose cells are well. On a busy machine threads that meet often take long.
run() {
    local name=$1
    shift
    "$program" run --config "$support/small.ini" --plugin "$quintet" --roofline none --cell-time 20ms --epoch-time 20ms \
        --hang-time 200s --time-limit 10m -o "$name.jsonl" "$@" >"$name.txt" 2>"$name.err" ||
        { cat "$name.txt" "$name.err" >&2; fail "$name"; }
    python3 "$support/check_record.py" "$name.jsonl" >/dev/null || fail "$name: the record is not right"
}

# plan NAME OPTIONS...: the rows of a run that has no time for any of them.
plan() {
    local name=$1 code=0
    shift
    "$program" run --config "$support/small.ini" --plugin "$quintet" --roofline none --time-limit 1ms -o "$name.jsonl" "$@" \
        >"$name.txt" 2>"$name.err" || code=$?
    [ $code = 5 ] || { cat "$name.txt" "$name.err" >&2; fail "$name: expected exit code 5, found $code"; }
    python3 "$support/check_record.py" "$name.jsonl" >/dev/null || fail "$name: the record is not right"
}

# expect CODE TEXT COMMAND...: the exit code, and a text on standard error in one line.
expect() {
    local code=$1 text=$2 found=0
    shift 2
    "$@" >out 2>err || found=$?
    [ "$found" = "$code" ] || { cat out err >&2; fail "expected exit code $code, found $found: $*"; }
    grep -qF -- "$text" err || { cat err >&2; fail "expected \"$text\" on standard error: $*"; }
}

# rows NAME LABEL=DEVICES...: the rows of a record, in their order, with the devices of their sessions.
rows() {
    local name=$1
    shift
    python3 - "$name.jsonl" "$@" <<'PYTHON' || fail "$name: other rows than expected"
import json, sys
found = []
for cell in map(json.loads, open(sys.argv[1])):
    if cell["kind"] == "cell":
        assert cell["data_parallel"] == len(cell["devices"]) and cell["device"] == cell["devices"][0], cell
        row = cell["label"] + "=" + ",".join(map(str, cell["devices"]))
        if row not in found:
            found.append(row)
assert found == sys.argv[2:], found
PYTHON
}

# Every device of a backend is a row; those of a kind share a batch, and a device that is alone takes all sessions.
plan all --backend quintet --batch 7
rows all quintet:0=0 quintet:1=1 quintet:2=2 quintet:3=3 quintet:4=4
plan each --backend quintet --batch 7 --data-parallel 2
rows each quintet:0=0 'quintet:0 x2=0,2' quintet:1=1 'quintet:1 x2=1,1' quintet:2=2 quintet:3=3 'quintet:3 x2=3,3' quintet:4=4
devices=quintet:0,quintet:1
pairs=2
if [ -n "${BM_TEST_WHOLE-}" ]; then
    devices=quintet
    pairs=3
fi
run pairs --backend $devices --batch 7 --data-parallel 2
grep -qx 'quintet:0 x2: 2 sessions; each normalizes its own part: ghost-4 at batch 7' pairs.txt ||
    { cat pairs.txt >&2; fail "no word on the parts that normalize alone"; }
grep -q '^quintet:1 x2: 2 sessions share one device: an efficiency of 50 % is its speed alone' pairs.txt ||
    fail "no word on a device that takes both sessions"
[ "$(grep -c '^quintet:[013] x2 .* % (' pairs.txt)" = $pairs ] || fail "no efficiencies"
python3 - pairs.jsonl <<'PYTHON' || fail "sessions are not where the record says"
import json, sys
for cell in map(json.loads, open(sys.argv[1])):
    if cell["kind"] == "cell":
        created = [str(cell["devices"].count(device)) for device in range(5)]
        describe = cell["plugin"]["describe"]
        assert "created=" + ",".join(created) + "\n" in describe, describe
        assert ("data_parallel=2\nthreads_each=1\n" in describe) == (cell["data_parallel"] == 2), describe
PYTHON

# The named devices come first, then those after them; a thread budget below their number is told.
plan named --backend quintet:4 --batch 7 --data-parallel 2
rows named quintet:4=4 'quintet:4 x2=4,0'
plan both --backend quintet:2,quintet:1,quintet:0 --batch 7 --data-parallel 2 --threads 1
rows both quintet:2=2 'quintet:2 x2=2,0' quintet:1=1 'quintet:1 x2=1,1' quintet:0=0
grep -q '^quintet:2 x2: 2 sessions; the budget is 1 thread, and each has one' both.txt || fail "no word on the thread budget"

# Too few GPUs: a refusal where they were named, otherwise left out.
small=("$program" run --config "$support/small.ini" --plugin "$quintet" --roofline none)
expect 2 '--data-parallel 4: expected 4 GPUs of quintet, found 3' "${small[@]}" --backend quintet:0 --data-parallel 4 -o no.jsonl
expect 2 '--data-parallel: expected a number from 1 to 64, found "65"' "${small[@]}" --data-parallel 65
[ -z "$(find . -name 'no.jsonl*')" ] || fail "a refusal left a record"
"${small[@]}" --data-parallel 4 --batch 1 --time-limit 100ms -o left.jsonl >left.txt 2>/dev/null || true # some had no time
grep -q 'left out: .*--data-parallel 4: expected 4 GPUs of quintet, found 3' left.txt || { cat left.txt >&2; fail "not left out"; }

# One batch size after the other, more sessions than images, slices of a batch, other networks, in this process.
plan parts --backend null,scalar --data-parallel 3
rows parts null=0 scalar=0 'scalar x3=0,0,0'
grep -q 'ghost-3 at batch 7, ghost-22 at 64, ghost-500 at 1500' parts.txt || fail "parts of the batches are not told"
run small --backend scalar --batch 1,7 --data-parallel 3 --export csv=small.csv --verbose
python3 "$support/check_record.py" small.jsonl small.csv >/dev/null || fail "csv"
[ "$(grep -c '^one update, batch' small.txt)" = 1 ] || fail "one case has several tables"
run slices --backend scalar --batch 64 --data-parallel 2 --micro-batch 10 --optimizer adam
rows slices scalar=0 'scalar x2=0,0'
grep -q '"model":"custom ghost-5",.*"batch":64\|"batch":64.*"model":"custom ghost-5"' slices.jsonl ||
    fail "slices of sessions are not labelled"
sed 's/^layers = .*/layers = dense 24, relu, dense 10/' "$support/small.ini" >mlp.ini
run mlp --config mlp.ini --backend scalar --batch 64 --data-parallel 2 --in-process
rows mlp scalar=0 'scalar x2=0,0'
! grep -q ghost mlp.jsonl || fail "a network without batch norm is labelled"

# What another number of sessions measured is not taken over.
grep -v '"kind":"end"' mlp.jsonl | grep -v '"data_parallel":2' >resumed.jsonl.partial
"$program" run --config mlp.ini --plugin "$quintet" --resume resumed.jsonl >resumed.txt 2>/dev/null || fail "resume"
python3 "$support/check_record.py" resumed.jsonl >/dev/null || fail "the resumed record is not right"
rows resumed scalar=0 'scalar x2=0,0'
grep '"data_parallel":1' mlp.jsonl | sort >expected
grep '"data_parallel":1' resumed.jsonl | sort >found
cmp -s expected found || fail "cells of one device were measured again"

# A backend without write_gradient cannot share a batch, and says so.
QUINTET_MUTE=1 run mute --backend quintet:1 --batch 7 --data-parallel 2
grep '"data_parallel":2' mute.jsonl | grep '"status":"unsupported"' >mute.cells || fail "not unsupported"
grep -q 'expected a plugin with write_gradient, found none in quintet' mute.cells || fail "no reason for an unsupported cell"
grep -q '"efficiency":null' mute.cells || fail "an efficiency without a time"

# The software device, where there is one.
code=0
"$program" run --config "$support/small.ini" --backend vulkan:llvmpipe --time-limit 1ms -o none.jsonl >none.txt 2>&1 || code=$?
if [ $code = 5 ]; then
    export XDG_CACHE_HOME=$work/cache
    run vulkan --backend vulkan:llvmpipe --batch 7 --data-parallel 2
    grep -q '"data_parallel":2.*"status":"ok"\|"status":"ok".*"data_parallel":2' vulkan.jsonl || fail "vulkan"
    [ -z "${BM_TEST_WHOLE-}" ] || run vulkan_mlp --config mlp.ini --backend vulkan:llvmpipe --batch 64 --data-parallel 2
elif [ $code != 2 ]; then
    fail "vulkan: expected exit code 5, or 2 without such a device, found $code: $(cat none.txt)"
fi
printf 'ok\n'
