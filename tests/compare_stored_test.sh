#!/usr/bin/env bash
# `batchmark compare BASE.jsonl HEAD.jsonl` on records that the test makes: verdicts, exit codes, refusals.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"

fail() {
    printf 'failed: %s\n' "$1" >&2
    cat "$work/out" "$work/err" >&2
    exit 1
}
# expect CODE ARGUMENTS...: runs the command, output in $work/out and $work/err
expect() {
    local expected=$1 code=0
    shift
    "$BM_TEST_PROGRAM" compare "$@" >out 2>err || code=$?
    [ "$code" = "$expected" ] || fail "compare $*: exit code $code, expected $expected"
}
has() { grep -qF -- "$2" "$1" || fail "$1 lacks: $2"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 has: $2"; }
# verdict CELL VERDICT: the row of a cell
verdict() { grep -qE "^$1 +$2 " out || fail "expected $2 for $1"; }
refused() {
    expect 2 "${@:2}"
    has err "$1"
    [ "$(wc -l <err)" = 1 ] || fail "expected one line of error"
}

# make FILE [PYTHON]: a record of two backends at three batch sizes; the code changes `run`, `cells` or `end` first.
cat >make.py <<'PYTHON'
import json
import random
import sys


def series(ns, spread=0.003, rounds=20, each=5):
    """Rounds of a few samples around a time, the same for the same numbers."""
    dice = random.Random(f"{ns} {spread}")
    samples = [ns * (1 + dice.gauss(0, spread)) for _ in range(rounds) for _ in range(each)]
    return {"median_ns": ns, "count": len(samples), "rounds": rounds, "round_counts": [each] * rounds, "samples_ns": samples}


def times(cell, factor, **more):
    cell["update"] = series(cell["update"]["median_ns"] * factor, **more)


def change(cell, sha256="2" * 64):
    cell["plugin"] = dict(cell["plugin"], sha256=sha256)


def gone(cell, status, reason, **more):
    cell.update(status=status, reason=reason, update=None, **more)


def cell(backend, batch, ns):
    return {
        "kind": "cell", "schema": 1, "backend": backend, "label": backend, "device": 0, "device_name": "Example CPU",
        "software": False, "computes_nothing": backend == "null", "model": "mlp", "layers": "dense 10", "dataset": "mnist",
        "optimizer": "momentum", "batch": batch, "threads": 2, "precision": "float32", "seed": 1, "micro_batch": 0,
        "data_parallel": 1, "status": "ok", "refused": False, "reason": "", "update": series(ns), "gradient": series(ns / 2),
        "updates": None, "plugin": {"name": backend, "sha256": "1" * 64, "version": "1", "describe": "isa=avx2\ntiles=6x16\n"},
    }


run = {
    "kind": "run", "schema": 1, "command_name": "run", "seed": 1, "version": "1.0", "revision": "aaa", "machine": "example",
    "host": {"cpu": "Example CPU", "isa": ["avx", "avx2"], "cores": 2, "kernel": "Linux 6.1", "load": [0, 0, 0]},
    "build": {"version": "1.0", "compiler": "12", "flags": "-O2"}, "in_process": False,
    "options": {"batch": "1,10,100", "threads": "2", "lr": "0.0001", "cell-time": "30s", "settings": []},
    "data": {"name": "mnist", "train": 60000},
}
cells = [cell(b, n, 1e5 * n * f) for n in (1, 10, 100) for b, f in (("avx2", 1), ("scalar", 8), ("null", 1e-4))]
avx2 = [c for c in cells if c["backend"] == "avx2"]
end = {"kind": "end", "schema": 1}
exec(sys.argv[2] if len(sys.argv) > 2 else "")
with open(sys.argv[1], "w") as stream:
    for line in [run] + cells + ([end] if end else []):
        stream.write(json.dumps(line) + "\n")
PYTHON
make() { python3 -B make.py "$@"; }

# ---- Verdicts ----

make base.jsonl
expect 0 base.jsonl base.jsonl
has out 'records: base.jsonl (base) against base.jsonl (head), 2.0 % accepted'
has out 'mlp, mnist, momentum, 2 threads, float32'
has out '6 IDENTICAL'
lacks out 'null'

# One of three slower, one faster; those of the unchanged plugin tell what runs differ by.
make head.jsonl 'for c in avx2: change(c)
times(avx2[0], 1.06); times(avx2[1], 0.9); times(avx2[2], 1.0001)'
expect 1 base.jsonl head.jsonl
verdict 'avx2, batch 1' REGRESSION
verdict 'avx2, batch 10' IMPROVEMENT
verdict 'avx2, batch 100' PASS
verdict 'scalar, batch 1' IDENTICAL
has out '1 PASS, 1 REGRESSION, 1 IMPROVEMENT, 3 IDENTICAL'
expect 0 head.jsonl base.jsonl --filter 'avx2, *, batch 1, *'
verdict 'avx2, batch 1' IMPROVEMENT
lacks out 'batch 10'
expect 0 base.jsonl head.jsonl --threshold 10%
has out '10 % accepted'

# Another series of the same cells did not change.
expect 0 base.jsonl head.jsonl --series gradient --no-identical
has out '6 PASS'
verdict gradient verdict
expect 5 base.jsonl head.jsonl --series updates
has out 'SKIPPED: head: no series updates'
has err 'nothing compared: no cell has times in both records'

# Rounds that spread too much say so, and what they would have found.
make noisy.jsonl 'for c in avx2: change(c); times(c, 1.0001, spread=0.2)'
expect 0 base.jsonl noisy.jsonl
verdict 'avx2, batch 1' INCONCLUSIVE
has out 'the rounds allow for anything from -'
expect 4 base.jsonl noisy.jsonl --strict

# All cells slower, the unchanged ones too: the machine is.
make slow.jsonl 'for c in cells: times(c, 1.1)
for c in avx2: change(c)'
expect 4 base.jsonl slow.jsonl --strict
verdict 'avx2, batch 1' INCONCLUSIVE
has out 'the 3 cells of unchanged plugins on this device changed by +10 %: it is the machine that differs'
# Asked to judge those too, it does.
expect 1 base.jsonl slow.jsonl --no-identical
has out '6 REGRESSION'

# The same file that chose otherwise is judged, and the choice told.
make chose.jsonl 'for c in avx2: times(c, 1.06); c["plugin"] = dict(c["plugin"], describe="isa=avx2\ntiles=4x24\n")'
expect 1 base.jsonl chose.jsonl
has out 'avx2, batch 10: the two chose otherwise: tiles: 6x16, now 4x24'

# The samples count, whatever else stands there.
make lies.jsonl 'for c in avx2: change(c); times(c, 1.06); c["update"]["median_ns"] = 1'
expect 1 base.jsonl lies.jsonl
has out '3 REGRESSION'

# A wrong head is no improvement; what failed, was lost or came has its code, in the order of the design.
make wrong.jsonl 'gone(avx2[0], "wrong", "gradient off by 3"); times(avx2[1], 0.5); change(avx2[1])'
expect 3 base.jsonl wrong.jsonl
verdict 'avx2, batch 1' WRONG
has out 'avx2, batch 1: WRONG: wrong: gradient off by 3'
make lost.jsonl 'cells.remove(avx2[0]); gone(avx2[1], "unsupported", "too large")'
expect 5 base.jsonl lost.jsonl
has out 'avx2, batch 1: LOST: head: not in the record'
has out 'avx2, batch 10: LOST: head: unsupported: too large'
expect 0 lost.jsonl base.jsonl
has out 'avx2, batch 1: ADDED: base: not in the record'
has out 'avx2, batch 10: ADDED: base: unsupported: too large'
make crashed.jsonl 'gone(avx2[0], "crashed", "signal 11"); gone(avx2[1], "wrong", ""); cells.remove(avx2[2])'
expect 7 base.jsonl crashed.jsonl
verdict 'avx2, batch 1' CRASHED
make timeout.jsonl 'gone(avx2[0], "timeout", "silent")'
expect 7 base.jsonl timeout.jsonl
make refused.jsonl 'gone(avx2[0], "error", "ABI", refused=True); gone(avx2[1], "crashed", "")'
expect 6 base.jsonl refused.jsonl
verdict 'avx2, batch 1' REFUSED
make error.jsonl 'gone(avx2[0], "error", "no memory")'
expect 5 base.jsonl error.jsonl
verdict 'avx2, batch 1' ERROR
expect 0 error.jsonl base.jsonl
has out 'avx2, batch 1: ADDED: base: error: no memory'

# A run that was cut short: what is missing is lost, a torn last line is dropped.
head -n 3 base.jsonl >cut.jsonl
printf '{"kind": "cell", "schema": 1, "backe' >>cut.jsonl
expect 5 base.jsonl cut.jsonl
has out 'run: finished, now cut short'
has out 'avx2, batch 100: LOST: head: not in the record'
mv cut.jsonl cut.jsonl.partial
expect 5 base.jsonl cut.jsonl
expect 5 base.jsonl cut.jsonl.partial

# Nothing to compare.
expect 5 base.jsonl head.jsonl --filter 'avx512*'
has err 'nothing compared: --filter "avx512*" matches no cell'
make none.jsonl 'for c in cells: gone(c, "skipped", "time limit")'
expect 5 none.jsonl none.jsonl
has err 'nothing compared'
make null.jsonl 'cells = [c for c in cells if c["backend"] == "null"]'
expect 5 null.jsonl null.jsonl
has err 'nothing compared: the records have no cells'

# Other shuffles of the same work are compared; of several seeds each with its own.
make seed2.jsonl 'for c in cells: c["seed"] = 2
run["options"]["seed"] = "2"'
expect 0 base.jsonl seed2.jsonl
has out 'options seed: not known, now 2'
has out 'mlp, mnist, momentum, 2 threads, float32, seed 2'
make seeds.jsonl 'more = [dict(c, seed=2) for c in cells]
for c in more: times(c, 1.06)
cells = more + cells'
expect 0 base.jsonl seeds.jsonl --no-identical
has out '6 PASS, 6 ADDED'

# Records did not always say which command wrote them.
make older.jsonl 'del run["command_name"]; del cells[0]["data_parallel"]'
expect 0 base.jsonl older.jsonl
has out '6 IDENTICAL'

# Software devices are as good as others, and named.
make software.jsonl 'for c in avx2: c["software"] = True; c["device_name"] = "llvmpipe"'
expect 0 software.jsonl software.jsonl --verbose
has out 'avx2, batch 1: llvmpipe (software): isa=avx2 tiles=6x16'

# ---- Machines and settings ----

make other.jsonl 'run["host"].update(cpu="Other CPU", isa=["avx", "avx512f"], kernel="Linux 6.2")
run["options"]["threads"] = "4"; run["revision"] = "bbb"'
refused 'batchmark compare: expected records of the same machine and settings, found 3 differences that change times; --force' \
    base.jsonl other.jsonl
has out 'host cpu: Example CPU, now Other CPU'
has out 'host isa: avx2, now avx512f'
has out 'host kernel: Linux 6.1, now Linux 6.2'
has out 'options threads: 2, now 4'
has out 'revision: aaa, now bbb'
expect 0 base.jsonl other.jsonl --force
has out 'host cpu: Example CPU, now Other CPU'
has out '6 IDENTICAL'
make kernel.jsonl 'run["host"].update(kernel="Linux 6.2", load=[3, 2, 1]); run["build"]["version"] = "1.1"'
expect 0 base.jsonl kernel.jsonl
has out 'host kernel: Linux 6.1, now Linux 6.2'
has out 'build version: 1.0, now 1.1'
lacks out 'load'
for code in 'run["machine"] = "b"' 'run["build"]["flags"] = "-O0"' 'run["options"]["lr"] = "1"' 'run["data"]["train"] = 9' \
    'run["options"]["settings"] = [{"backend": "avx2", "key": "x", "value": "1"}]' 'run["host"]["governor"] = "powersave"' \
    'del run["host"]'; do
    make setting.jsonl "$code"
    refused 'that change' base.jsonl setting.jsonl
done
make device.jsonl 'for c in avx2: c["device_name"] = "Other"'
refused 'found 1 difference that changes times' base.jsonl device.jsonl
has out 'device of avx2: Example CPU, now Other'
make trusted.jsonl 'for c in avx2: c["plugin"]["by_trust"] = True'
expect 0 base.jsonl trusted.jsonl
has out 'plugin of avx2: loaded without --trust, now loaded with --trust'
lacks out 'plugin of scalar'
expect 0 trusted.jsonl trusted.jsonl
has out 'plugin of avx2: loaded with --trust, now loaded with --trust'
make inside.jsonl 'run["in_process"] = True'
refused 'inside.jsonl: expected plugins measured in workers, found --in-process' base.jsonl inside.jsonl --force

# What a terminal obeys: it gets none of it, in no table and no error.
nasty='\x1b]0;x\x07 \x9b2J \u202e'
make nasty.jsonl 'run["revision"] = "'"$nasty"'"
for c in avx2: c["device_name"] = "'"$nasty"'"; c["label"] += "'"$nasty"'"; c["reason"] = "'"$nasty"'"; c["status"] = "error"
avx2[0]["update"] = None'
make kind.jsonl 'run["kind"] = "'"$nasty"'"'
make status.jsonl 'avx2[0]["status"] = "'"$nasty"'"'
for file in nasty kind status; do
    for form in table markdown csv; do
        "$BM_TEST_PROGRAM" compare base.jsonl $file.jsonl --force --format $form >out 2>err && fail "$file: expected a failure"
        [ -s out ] || [ -s err ] || fail "$file, $form: nothing is said"
        ! LC_ALL=C.UTF-8 grep -qP '[^\P{Cc}\n]|\x{202e}' out err || fail "$file, $form: $(cat -v out err)"
    done
done

# ---- Files that are no such records ----
# shellcheck disable=SC2016 # quoted as the message has it
a_run='a record of `batchmark run`'
refused 'batchmark compare: absent.jsonl: cannot read it: No such file' absent.jsonl base.jsonl
mkfifo pipe.jsonl # opened for reading, it would wait for its writer
refused 'pipe.jsonl: expected a plain file' base.jsonl pipe.jsonl
: >empty.jsonl
refused "empty.jsonl:1: expected $a_run, found nothing" base.jsonl empty.jsonl
printf '{"kind": "run"\n' >broken.jsonl
refused 'broken.jsonl:1: expected a JSON object with a kind' base.jsonl broken.jsonl
sed '4s/.$//' base.jsonl >broken.jsonl
refused 'broken.jsonl:4: expected a JSON object with a kind' base.jsonl broken.jsonl
printf '{"kind": "peers"}\n' >peers.jsonl
refused 'object of a record, found one of kind "peers"' peers.jsonl base.jsonl
make train.jsonl 'run["command_name"] = "train"'
refused "train.jsonl:1: expected $a_run, found one of" base.jsonl train.jsonl
make schema.jsonl 'run["schema"] = 2'
refused 'schema.jsonl:1: expected schema 1, found 2' base.jsonl schema.jsonl
damaged() {
    make damaged.jsonl "$2"
    refused "damaged.jsonl:$1" base.jsonl damaged.jsonl
}
damaged '2: samples_ns: expected numbers from 0.001 on, found -5 in place 3' 'avx2[0]["update"]["samples_ns"][2] = -5'
damaged '2: samples_ns: expected numbers from 0.001 on, found 0 in place 1' 'avx2[0]["update"]["samples_ns"][0] = "1"'
damaged '5: samples_ns: expected a list of 1 to 400 numbers, found 0' 'avx2[1]["update"]["samples_ns"] = []'
damaged '5: samples_ns: expected a list of 1 to 400 numbers, found 401' 'avx2[1]["update"] = series(1, 0, 401, 1)'
damaged '5: round_counts: expected whole numbers with a sum of 100 samples, found 96' \
    'avx2[1]["update"]["round_counts"][4] = 1'
damaged '5: round_counts: expected whole numbers' 'avx2[1]["update"]["round_counts"][:2] = [4.5, 5.5]'
damaged '5: round_counts: expected whole numbers' 'avx2[1]["update"]["round_counts"][:2] = [2 ** 62, 5]'
damaged '5: round_counts: expected numbers from 0 on, found -1' 'avx2[1]["update"]["round_counts"][:2] = [-1, 11]'
damaged '2: cell: expected batch from 1 to 4294967295, found 0' 'avx2[0]["batch"] = 0'
damaged '2: cell: expected a batch, found none' 'del avx2[0]["batch"]'
damaged '2: cell: expected a whole number threads, found none' 'avx2[0]["threads"] = "2"'
damaged '2: cell: expected a text model, found none' 'avx2[0]["model"] = 7'
damaged '2: cell: expected a status like ok or wrong, found "fine"' 'avx2[0]["status"] = "fine"'
damaged '11: cell: expected another one than in line 2, found the same: avx2, batch 1' 'cells.append(avx2[0])'
grep -v '"null"' base.jsonl | head -c -10 >torn.jsonl
expect 0 base.jsonl torn.jsonl

# ---- What is given and what comes out ----

refused 'expected BASE and HEAD (see --help)' base.jsonl
refused 'expected two records or two plugins, found one of each' base.jsonl other.so
refused '--threshold: expected a share like 2% or 0.02, found "2"' base.jsonl head.jsonl --threshold 2
refused '--output: expected another file than those that are compared' base.jsonl head.jsonl -o head.jsonl
expect 0 --help
has out 'usage: batchmark compare BASE'

expect 1 base.jsonl head.jsonl -o record.jsonl --export junit=junit.xml --export github=lines --export markdown=table.md \
    --export csv=cells.csv --format jsonl
cmp out record.jsonl || fail 'the record is not what was printed'
has lines '::error title=avx2%3A REGRESSION::avx2, mlp, mnist, momentum, batch 1, 2 threads, float32: REGRESSION +'
has table.md '| avx2, batch 1 | REGRESSION |'
[ "$(wc -l <cells.csv)" = 7 ] || fail 'expected a line a cell'
python3 - <<'PYTHON' || fail 'the record or the JUnit file is not right'
import json
import xml.etree.ElementTree as tree

lines = [json.loads(line) for line in open("record.jsonl")]
assert [o["kind"] for o in lines] == ["run", "comparison"] + ["compare"] * 6 + ["end"], lines
assert lines[0]["command_name"] == "compare" and lines[-1]["exit"] == 1
first = lines[2]
assert first["cell"] == "mlp, mnist, momentum, batch 1, 2 threads, float32" and first["verdict"] == "REGRESSION"
assert first["low"] < first["ratio"] < first["high"] and abs(first["ratio"] - 1.06) < 0.005
assert first["sensitivity"] > 0.02 and first["sets"] == 20 and first["aa_spread"] >= 0 and first["p"] < 0.005
assert first["details"]["head_sha256"] == "2" * 64
suites = {s.get("name"): s for s in tree.parse("junit.xml").getroot()}
assert suites["avx2"].get("failures") == "1" and suites["scalar"].get("failures") == "0", suites
failure = suites["avx2"].find("testcase/failure")
assert failure.text == failure.get("message") and "REGRESSION" in failure.text, failure.text
PYTHON
# A record of a comparison is none of a run, and a file that cannot be written is told.
refused "record.jsonl:1: expected $a_run, found one of" base.jsonl record.jsonl
expect 8 base.jsonl head.jsonl --export csv=/dev/full
