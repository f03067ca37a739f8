#!/usr/bin/env bash
# `--format gbench` and `--export gbench=`: every round of every series is a repetition with the record's own median, and Google
# Benchmark's compare.py (where it is) reads two of them and finds what differs.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
export HOME=$work XDG_STATE_HOME=$work/state
program=$BM_TEST_PROGRAM
compare=/usr/share/benchmark/compare.py

python3 "$BM_TEST_SOURCE_DIR/tests/support/report_records.py" records
"$program" report records/alpha-run.jsonl --format gbench >alpha.json
"$program" report records/alpha-run.jsonl records/beta-run.jsonl --export gbench=both.json >both.txt
cat >run.ini <<'INI'
backend = scalar
model = custom
layers = dense 4
dataset = synthetic
batch = 8
threads = 1
cell-time = 2s
roofline = none
[synthetic]
shape = 1x4x4
classes = 4
train = 64
test = 8
seed = 1
INI
"$program" run --config run.ini -o run.jsonl --export gbench=run.json >run.txt 2>&1 || fail "$(cat run.txt)"
"$program" report run.jsonl --format gbench >again.json

python3 - <<'PYTHON'
import json
import statistics

SERIES = ["gradient", "apply", "update", "pipelined", "updates", "device_gradient", "device_apply", "device_update", "submission"]


def expect(holds, *what):
    if not holds:
        raise SystemExit(f"failed: {what}")


def check(file, records, is_report=True):
    document = json.load(open(file))
    cells = [o for r in records for o in map(json.loads, open(r)) if o["kind"] == "cell"]
    expect(set(document) == {"context", "benchmarks", "errors"}, "members", file)
    rounds = errors = 0
    for c in cells:
        name = (f"{c['backend']}:{c['device']}/{c['model']}/{c['dataset']}/{c['optimizer']}/batch:{c['batch']}/"
                f"threads:{c['threads']}/{c['precision']}/")
        among = document["benchmarks" if c["status"] == "ok" else "errors"]
        of = [b for b in among if (b["name"] if len(records) == 1 else b["name"].split("/", 1)[1]).startswith(name)]
        if c["status"] != "ok":
            errors += 1
            expect(len(of) == 1 and of[0]["error_occurred"] and of[0]["error_message"].startswith(c["status"]), name, of)
            expect("real_time" not in of[0], "a time of what failed", of)
            continue
        for series in SERIES:
            if is_report and series != "update":
                expect(not any(b["name"].endswith("/" + series) for b in of), "a report has but updates", of)
                continue
            times = c[series]
            found = [b for b in of if b["name"].endswith("/" + series)]
            first = 0
            for i, count in enumerate(times["round_counts"] if times else []):
                median = statistics.median(times["samples_ns"][first:first + count])
                first += count
                matching = [b for b in found if b["repetition_index"] == i and abs(b["real_time"] / median - 1) < 1e-8]
                expect(matching and matching[0]["time_unit"] == "ns" and matching[0]["run_type"] == "iteration", name, series, i)
                steps = (1 if is_report else count) * times["block"]
                expect(matching[0]["repetitions"] == times["rounds"] and matching[0]["iterations"] == steps, matching)
                expect(matching[0]["cpu_time"] > 0, matching)
                rounds += 1
            expect(times or not found, "what was not measured", found)
    expect(len(document["benchmarks"]) == rounds and len(document["errors"]) == errors, file, rounds, errors)
    return document, errors


alpha, errors = check("alpha.json", ["records/alpha-run.jsonl"])
expect(errors > 0, "no cell that failed among those of alpha")
expect(alpha["context"]["num_cpus"] == 8 and alpha["context"]["executable"] == "batchmark", alpha["context"])
both, _ = check("both.json", ["records/alpha-run.jsonl", "records/beta-run.jsonl"])
expect({b["name"].split("/")[0] for b in both["benchmarks"]} == {"alpha", "beta"}, "machines")
run, errors = check("run.json", ["run.jsonl"], is_report=False)
expect(errors == 0 and run["benchmarks"], "a run")
again, _ = check("again.json", ["run.jsonl"])
updates = [b for b in run["benchmarks"] if b["name"].endswith("/update")]
expect(len(updates) == len(again["benchmarks"]), "the report of a run")
for a, b in zip(updates, again["benchmarks"]):  # a record has nine digits
    expect(a["name"] == b["name"] and abs(a["real_time"] / b["real_time"] - 1) < 1e-8, "the report of a run", a, b)
for b in alpha["benchmarks"]:
    for time in ("real_time", "cpu_time"):
        if time in b and "batch:100/" in b["name"]:
            b[time] *= 2
json.dump(alpha, open("slower.json", "w"))
PYTHON

# Rounds and counts that do not fit, of a record that somebody wrote.
python3 - <<'PYTHON'
import json
objects = [json.loads(line) for line in open("run.jsonl")]
for o in objects:
    if o["kind"] == "cell":
        o["update"]["round_counts"] = [10**6]
        o["gradient"]["samples_ns"][0] = -1
open("damaged.jsonl", "w").write("".join(json.dumps(o) + "\n" for o in objects))
PYTHON
"$program" report damaged.jsonl --format gbench >damaged.json || fail 'a record with counts that do not fit'
python3 -c 'import json; assert json.load(open("damaged.json"))["benchmarks"] == []' || fail 'times out of counts that do not fit'

python=
for one in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! "$one" -c 'import scipy' 2>/dev/null || python=$one
done
if [ ! -e $compare ] || [ -z "$python" ]; then
    printf 'no compare.py with scipy here (packages libbenchmark-tools, python3-scipy): not compared with it\n'
    exit 0
fi
"$python" $compare --no-color benchmarks alpha.json slower.json >compared.txt 2>&1 || fail "$(cat compared.txt)"
grep -qE '^avx2:0/mlp/fashion-mnist/momentum/batch:100/threads:[0-9]+/float32/update .*\+1\.0000 +\+1\.0000' compared.txt ||
    fail "compare.py: $(head -n 20 compared.txt)"
grep -qE '^avx2:0/mlp/.*/batch:1/.*/update_pvalue +1\.0000' compared.txt || fail "compare.py: $(head -n 20 compared.txt)"
printf 'ok\n'
