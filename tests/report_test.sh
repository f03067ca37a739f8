#!/usr/bin/env bash
# `batchmark report` on made-up records: figures known by hand, machines side by side, every kind of record, what must not get
# into a page, hostile files, and a page that is whole or not written. The page's own looks are tested in report_page_test.sh;
# here the template is a small one.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
python3 "$BM_TEST_SOURCE_DIR/tests/support/report_records.py" made
python3 "$BM_TEST_SOURCE_DIR/tests/support/landscape_records.py" --small made-landscape.jsonl
PYTHONPATH=$BM_TEST_SOURCE_DIR/tests/support PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import copy
import json
import math
import os
import re
import resource
import statistics
import subprocess
import sys

PROGRAM = os.environ["BM_TEST_PROGRAM"]
TEMPLATE = {
    "page.html": "<!doctype html>\n<title>x</title>\n<style>\n@STYLE@\n</style>\n<script type=\"application/json\" id=\"data\">\n"
                 "@DATA@\n</script>\n<script>\n\t@CHART@\n</script>\n<script>\n@SCRIPT@\n</script>\n",
    "page.css": "body { color: black }", "order.txt": "second.js\nfirst.js\n", "first.js": "first();", "second.js": "second();",
    "chart.min.js": "chart();",
}


def fail(text):
    sys.exit("failed: " + text)


def expect(condition, *what):
    if not condition:
        fail(" ".join(str(part) for part in what))


# Control characters that are none of ASCII, and those that turn the direction of a line.
OBEYED = {chr(c) for c in (0x7f, *range(0x80, 0xa0), 0x61c, 0x200e, 0x200f, *range(0x202a, 0x202f), *range(0x2066, 0x206a))}


def make_template(folder, **changed):
    os.makedirs(folder, exist_ok=True)
    for name, text in {**TEMPLATE, **{k.replace("__", "."): v for k, v in changed.items()}}.items():
        if text is not None:
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)


def report(*words, code=0, says=None, template="template", limit=None, lines=1):
    """Runs the command; returns its standard output. A failure is one line on standard error."""
    def before():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    done = subprocess.run([PROGRAM, "report", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=before,
                          env={**os.environ, "BATCHMARK_REPORT": os.path.abspath(template)}, timeout=120, check=False)
    out, err = done.stdout.decode(), done.stderr.decode()
    expect(done.returncode == code, f"expected exit code {code}, found {done.returncode}:", *words, "\n", out, err)
    if says is not None:
        expect(says in err, f"expected {says!r} on standard error of", *words, "\nfound", err)
        expect(err.count("\n") == lines, f"expected {lines} lines of", err)
    expect(all(c >= " " or c == "\n" for c in out + err), "a control character in", repr(out + err))
    expect(not OBEYED & set(out + err), "what a terminal obeys in", repr(out + err))
    return out


def write(name, objects, end="\n"):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "w", encoding="utf-8") as file:
        file.write("\n".join(o if isinstance(o, str) else json.dumps(o) for o in objects) + end)
    return name


def read(name):
    with open(name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def data_text(page):
    with open(page, encoding="utf-8") as file:
        return re.search(r'id="data">\n(.*)\n</script>\n<script>\nchart', file.read(), re.S).group(1)


def page(*words, **more):
    """The data of the page that is made of these records."""
    report(*words, "-o", "page.html", **more)
    return json.loads(data_text("page.html"))


def of(objects, **fields):
    return [o for o in objects if all(o[name] == value for name, value in fields.items())]


def one(objects, **fields):
    found = of(objects, **fields)
    expect(len(found) == 1, f"expected one with {fields}, found", len(found))
    return found[0]


def near(found, expected, what):
    expect(math.isclose(found, expected, rel_tol=6e-6), f"{what}: expected {expected}, found {found}")


make_template("template")

# ---- A small record, known by hand ----

RUN = {"kind": "run", "schema": 1, "id": "small-1", "started": "2026-11-25T04:44:53Z", "command": "batchmark run --preset quick",
       "seed": 1, "version": "0.1.0", "revision": "abc", "machine": "small", "host": {"cpu": "CPU", "cores": 2}, "build": {},
       "options": {"settings": []}, "in_process": False, "resumed": False, "data": {"name": "mnist", "train": 60000},
       "command_name": "run"}
END = {"kind": "end", "schema": 1, "cells": 4, "seconds": 12.5, "exit": 0, "left_out": "nothing"}


def series(rounds, spread=0.01):
    """One sample a round."""
    return {"median_ns": statistics.median(rounds), "q1_ns": min(rounds), "q3_ns": max(rounds), "min_ns": min(rounds),
            "low_ns": min(rounds), "high_ns": max(rounds), "spread": spread, "count": len(rounds), "block": 1,
            "rounds": len(rounds), "stopped": "known to 1 %", "round_counts": [1] * len(rounds), "samples_ns": rounds}


def cell(backend, batch, rounds=None, spread=0.01, **more):
    item = {"kind": "cell", "schema": 1, "backend": backend, "label": backend, "device": 0, "device_name": "CPU",
            "software": False, "computes_nothing": backend == "null", "model": "mlp", "layers": "dense 10", "dataset": "mnist",
            "optimizer": "sgd", "batch": batch, "requested_batch": batch, "full": False, "threads": 2, "precision": "float32",
            "seed": 1, "micro_batch": 0, "data_parallel": 1, "status": "ok", "reason": "", "repro": "batchmark run -b x",
            "update": series(rounds, spread) if rounds else None, "epoch": None, "bound": {"flops": 8.0, "share": 0.25},
            "check": {"status": "ok", "ratio": 0.5, "max_error": 1e-9, "bound": 2e-9}, "memory": {"peak_bytes": 123456789.0},
            "plugin": {"name": backend, "sha256": "00", "version": "1", "describe": "isa=none\n"}}
    item.update(more)
    return item


SMALL = [RUN,
         cell("null", 1, [10.0] * 5), cell("fast", 1, [100.0] * 5), cell("slow", 1, [200.0, 210.0, 190.0, 200.0, 220.0], 0.051),
         cell("fast", 4, [400.0] * 5, epoch={"seconds": 3.0, "updates": 15000, "measured": False, "gap": None}),
         cell("slow", 4, [300.0] * 5, epoch={"seconds": 2.0, "updates": 15000, "measured": True, "gap": 0.1,
                                             "samples_s": [2.0, 1.5, 2.5]}),
         cell("fast", 16, status="skipped", reason="no time"), END]
write("small.jsonl", SMALL)
small = page("small.jsonl")
expect(small["schema"] == 1 and small["version"] and small["made"].endswith("Z"), "the head", list(small))
run = small["runs"][0]
expect((run["file"], run["finished"], run["torn"], run["command_name"], run["machine"], run["seconds"], run["exit"],
        run["left_out"])
       == ("small.jsonl", True, False, "run", "small", 12.5, 0, "nothing"), "the run", run)
cells = small["cells"]
expect([c["row"] for c in cells] == ["null, 2 threads", "fast, 2 threads", "slow, 2 threads", "fast, 2 threads",
                                     "slow, 2 threads", "fast, 2 threads"], [c["row"] for c in cells])
slow = one(cells, backend="slow", batch=1)
expect(slow["update"] == {"median_ns": 200, "q1_ns": 190, "q3_ns": 220, "low_ns": 190, "high_ns": 220, "min_ns": 190,
                          "spread": 0.051, "count": 5, "rounds": 5, "stopped": "known to 1 %", "unsteady": True}, slow["update"])
expect(one(cells, backend="fast", batch=1)["update"]["unsteady"] is False, "a steady series")
expect(one(cells, backend="fast", batch=4)["epoch"] == {"seconds": 3, "updates": 15000, "measured": False, "gap": None,
                                                        "low_seconds": None, "high_seconds": None}, "an extrapolated epoch")
expect(one(cells, backend="slow", batch=4)["epoch"] == {"seconds": 2, "updates": 15000, "measured": True, "gap": 0.1,
                                                        "low_seconds": 1.5, "high_seconds": 2.5}, "an epoch")
skipped = one(cells, batch=16)
expect((skipped["status"], skipped["reason"], skipped["update"], skipped["gradient"]) == ("skipped", "no time", None, None),
       skipped)
expect(slow["memory_bytes"] == 123457000 and slow["check"]["status"] == "ok" and slow["bound"]["share"] == 0.25, slow)
expect(small["plugins"][slow["plugin"]]["name"] == "slow" and len(small["plugins"]) == 3, small["plugins"])
expect(small["cases"] == [{"index": 0, "model": "mlp", "layers": "dense 10", "dataset": "mnist", "optimizer": "sgd",
                           "precision": "float32", "micro_batch": 0, "data_parallel": 1, "images": 60000}], small["cases"])
# From 100 ns at 1 to 400 ns at 4: twice as long at 2, on the line in logarithms. `slow` never takes twice as long.
expect({k["row"]: k["batch"] for k in small["knees"]} == {"fast, 2 threads": 2, "slow, 2 threads": None}, small["knees"])
# 100/200, 100/210, 100/190, 100/200, 100/220 by rounds: the median .5, the interval smallest to largest; at 4 exactly 4/3.
expect(len(small["ratios"]) == 2, small["ratios"])
first = one(small["ratios"], batch=1)
expect((first["base"], first["row"], first["ratio"], first["tie"], first["run"], first["case"])
       == ("fast, 2 threads", "slow, 2 threads", 0.5, False, 0, 0), first)
near(first["low"], 100 / 220, "low")
near(first["high"], 100 / 190, "high")
near(one(small["ratios"], batch=4)["ratio"], 4 / 3, "ratio at 4")
tied = page(write("tied.jsonl", [RUN, cell("fast", 1, [100.0, 101.0, 99.0, 100.0, 100.0]), cell("slow", 1, [100.0] * 5)]))
expect(tied["ratios"][0]["tie"] is True and tied["runs"][0]["finished"] is False, "a tie", tied["ratios"])
few = page(write("few.jsonl", [RUN, cell("fast", 1, [100.0] * 4), cell("slow", 1, [200.0] * 5)]))["ratios"][0]
expect((few["rounds"], few["ratio"], few["low"], few["high"], few["tie"]) == (4, 0.5, None, None, None), "few rounds", few)

# Pairs grow with the square of the rows: of more than 24, those with as many threads stay; of 24, all.
for count, pairs in ((24, 24 * 23 / 2), (26, 2 * 13 * 12 / 2)):
    many = page(write("many.jsonl", [RUN, *(cell(f"b{i}", 1, [1.0] * 5, threads=1 + i % 2) for i in range(count))]))
    expect(len(many["ratios"]) == pairs, count, "rows:", len(many["ratios"]))

# The page is the template with its parts in their places, the scripts in the order that is told.
with open("page.html") as file:
    whole = file.read()
expect(re.fullmatch(r'<!doctype html>\n<title>x</title>\n<style>\nbody \{ color: black \}\n</style>\n'
                    r'<script type="application/json" id="data">\n\{.*\}\n</script>\n<script>\nchart\(\);\n</script>\n'
                    r'<script>\nsecond\(\);\nfirst\(\);\n\n</script>\n', whole, re.S), whole)

# Its tables: what `run` prints of one record, with the threads in the rows.
table = report("small.jsonl")
expect("small: batchmark 0.1.0 on CPU, 2 cores, 2026-11-25 (small.jsonl); left out: nothing\n" in table, table)
expect(re.search(r"^one update, batch +1 +4 +16$", table, re.M)
       and re.search(r"^slow, 2 threads +200 ns ± 5.1 % +300 ns", table, re.M), table)
expect("fast, 2 threads, batch 16: skipped: no time" in table and "unsteady" in table, table)

# ---- Texts ----

NASTY = "<script>alert(1)</script>"
TEXT = "a & b </script> \u2028\u2029 \x1b[31m \u00e9 \U0001f600" + "".join(sorted(OBEYED))
write("nasty.jsonl", [{**RUN, "id": "nasty", "machine": NASTY}, cell(NASTY, 1, [1.0] * 5, reason=TEXT),
                      cell("x", 1, status="error", reason=TEXT)])
nasty = page("nasty.jsonl")
expect(not set("<>&\u2028\u2029\x1b") & set(data_text("page.html")), "markup in the data")
expect(nasty["runs"][0]["machine"] == NASTY and nasty["cells"][0]["backend"] == NASTY and nasty["cells"][0]["reason"] == TEXT,
       nasty["cells"][0])
expect(nasty["plugins"][0]["name"] == NASTY and nasty["cells"][0]["row"] == NASTY + ", 2 threads", nasty["plugins"])
for form in ("table", "markdown", "csv"):  # no control character of it is printed
    report("nasty.jsonl", "--format", form)

# Nothing says whose machine it was, and what is a path becomes the name of its file.
write("paths.jsonl", [
    {**RUN, "id": "paths",
     "command": "batchmark run --plugin=/home/jane/lib/bm_x.so --data-dir ../jane/images --precision bf16/f32,f16/f32",
     "options": {"settings": [{"backend": "x", "key": "k", "value": "/home/jane/k.bin"}], "config": "/home/jane/a.ini"},
     "host": {"cpu": "CPU", "cores": 2, "note": "see ~/jane/x", "list": ["(/home/jane/y)"]}},
    cell("x", 1, status="error", reason="cannot load: /home/jane/bm_x.so: no such symbol, 3 images/s, https://example.org/jane",
         repro="batchmark run --plugin jane/bm_x.so --precision bf16/f32",
         plugin={"name": "x", "describe": "library=/home/jane/lib/libblas.so.3\nthreads=2\n"}),
    cell("y", 1, [1.0] * 5)])
paths = page("paths.jsonl")
text = data_text("page.html").replace("https://example.org/jane", "")
expect("jane" not in text and "home" not in text, text)
expect(paths["runs"][0]["command"] == "batchmark run --plugin=bm_x.so --data-dir images --precision bf16/f32,f16/f32",
       paths["runs"][0]["command"])
expect(paths["cells"][0]["repro"] == "batchmark run --plugin bm_x.so --precision bf16/f32", paths["cells"][0]["repro"])
expect(paths["cells"][0]["reason"] == "cannot load: bm_x.so: no such symbol, 3 images/s, https://example.org/jane",
       paths["cells"][0]["reason"])
expect(paths["plugins"][0]["describe"] == "library=libblas.so.3\nthreads=2\n", paths["plugins"][0])
expect(paths["cells"][0]["row"] == "x k=k.bin, 2 threads", paths["cells"][0]["row"])

# ---- Several machines, several records ----

OTHER = {**RUN, "id": "other", "machine": "other", "started": "2026-11-26T00:00:00Z", "host": {"cpu": "Other CPU", "cores": 4}}
AGAIN = {**RUN, "id": "again", "started": "2026-11-26T00:00:00Z"}
write("several/other.jsonl", [OTHER, cell("fast", 1, [50.0] * 5, threads=4), cell("slow", 1, [25.0] * 5, threads=4), END])
write("several/z.jsonl", [AGAIN, cell("fast", 1, [110.0] * 5), END])
write("several/a.jsonl", SMALL)
write("several/.hidden/b.jsonl", ["nonsense"])
write("several/study.jsonl", [{"kind": "visit", "batch": 1}])
write("several/torch.jsonl", [{"kind": "run", "schema": 1, "program": "other.py"}, {"kind": "epoch"}])
write("several/notes.txt", ["no record"])
several = page("several", says="left out, no records of this program: study.jsonl, torch.jsonl")
expect([r["file"] for r in several["runs"]] == ["a.jsonl", "other.jsonl", "z.jsonl"], several["runs"])
# What a machine measured again replaces the older, wherever its record stands.
states = [(r, c["superseded"]) for r in (0, 1, 2) for c in of(several["cells"], run=r, backend="fast", batch=1)]
expect(states == [(0, True), (1, False), (2, False)], states)
expect(not any(c["superseded"] for c in of(several["cells"], backend="slow")), "superseded")
expect(all(len({c["run"] for c in several["cells"] if (c["run"], c["case"], c["batch"]) == (r["run"], r["case"], r["batch"])}) == 1
           for r in several["ratios"]) and len(several["ratios"]) == 3, "ratios within runs", several["ratios"])
trend = one(several["trends"], label="fast", batch=1)
expect((trend["run"], trend["host"]["machine"], [p[2] for p in trend["points"]]) == (None, "small", [100, 110]), trend)
expect(len(several["trends"]) == 1, "trends of cells that one run has", several["trends"])
table = report("several", says="left out")
rows = re.findall(r"^((?:small|other): \w+, \d threads) +(\S+) ns", table.split("one epoch")[0], re.M)
expect(sorted(rows) == [("other: fast, 4 threads", "50.0"), ("other: slow, 4 threads", "25.0"), ("small: fast, 2 threads", "110"),
                        ("small: null, 2 threads", "10.0"), ("small: slow, 2 threads", "200")], rows)
expect("speed against other: fast, 4 threads" in table and "2.00x (2.00 to 2.00)" in table, table)
against = table.split("speed against small: slow, 2 threads")[1].split("\n\n")[0].splitlines()[1:]
expect([line.split()[:6] for line in against] == [["small:", "fast,", "2", "threads", "-", "0.75x"]],
       "speed of another machine or run", against)
expect(re.search(r"^fast, batch 1 +2 +100 ns +110 ns", table, re.M), "no trend in", table)
lines = report("several", "--format", "csv", says="left out").splitlines()
expect(lines[0].startswith("machine,backend,") and sum(line.startswith('"other",') for line in lines) == 2, lines)
expect("| one update, batch | 1 | 4 | 16 |" in report("several", "--format", "markdown", says="left out"), "markdown")
report("small.jsonl", "--export", "markdown=x.md", "--export", "csv=x.csv", "--export", "html=x.html", "--export", "table=x.txt")
with open("x.txt") as file:
    expect(file.read() == report("small.jsonl"), "the exported table is another")
expect(json.loads(data_text("x.html"))["cells"] == small["cells"], "the exported page is another")
expect(os.path.getsize("x.md") > 100 and os.path.getsize("x.csv") > 100, "exports")

# Records of other batch sizes: what holds for a whole row is told wherever its cells stand.
trusted = {"name": "fast", "sha256": "00", "version": "1", "describe": "", "by_trust": True}
wide = [AGAIN, cell("null", 100, [10.0] * 5), cell("pair", 100, [50.0] * 5, data_parallel=2, devices=[0, 0]),
        cell("fast", 100, [90.0] * 5, plugin=trusted)]
table = report(write("narrow.jsonl", [RUN, cell("fast", 1, [100.0] * 5)]), write("wide.jsonl", wide))
for told in ("null, 2 threads computes nothing: 10.0 ns is", "pair, 2 threads: 2 sessions share one device",
             "fast, 2 threads: loaded by --trust"):
    expect(told in table, "not told:", told, "\n", table)

# What was skipped lately does not hide what was measured; what went wrong does.
for state, hidden in (("skipped", [False, True]), ("unsupported", [False, True]), ("wrong", [True, False])):
    lately = page(write("lately.jsonl", [RUN, cell("fast", 1, [1.0] * 5), AGAIN, cell("fast", 1, status=state)]))
    expect([c["superseded"] for c in lately["cells"]] == hidden, state)
    lately = page(write("lately.jsonl", [AGAIN, cell("fast", 1, status=state), RUN, cell("fast", 1, [1.0] * 5)]))
    expect([c["superseded"] for c in lately["cells"]] == hidden[::-1], state)

# Networks that are called alike are other cases; so is made data of another size. What no pair is told of has no block.
def custom(number, layers, **more):
    data = {"name": "synthetic", "train": 100 * number}
    return [{**RUN, "id": f"custom-{number}", "data": data},
            cell("fast", 1, [100.0 * number] * 5, model="custom", layers=layers, dataset="synthetic", **more), END]


networks = [*custom(1, "dense 1"), *custom(2, "dense 2"), *custom(3, "dense 2", micro_batch=7)]
table = report(write("networks.jsonl", networks))
expect(re.findall(r"^custom.*$", table, re.M) == ["custom, synthetic, sgd, float32, 100 images (dense 1)",
                                                  "custom, synthetic, sgd, float32, 200 images (dense 2)",
                                                  "custom, synthetic, sgd, float32, 300 images, slices of 7 (dense 2)"], table)
expect("(networks.jsonl); left out: nothing, 3 runs\n" in table and "speed against" not in table, table)
expect([(c["layers"], c["images"], c["micro_batch"]) for c in page("networks.jsonl")["cases"]]
       == [("dense 1", 100, 0), ("dense 2", 200, 0), ("dense 2", 300, 7)], "cases")
# Where the first row was measured in another run than the rest, the next one is what they are told against.
apart = [RUN, cell("alone", 1, [1.0] * 5), AGAIN, cell("fast", 1, [100.0] * 5), cell("slow", 1, [200.0] * 5)]
table = report(write("apart.jsonl", apart))
expect("speed against fast, 2 threads" in table and "0.50x (0.50 to 0.50)" in table and "against alone" not in table, table)

# A record counts once: the file under another name, a copy of it, the folder that it lies in.
os.link("small.jsonl", "link.jsonl")
write("copy.jsonl", SMALL)
twice = page("small.jsonl", "./small.jsonl", "link.jsonl", "copy.jsonl", os.getcwd() + "/small.jsonl")
expect(len(twice["runs"]) == 1 and len(twice["cells"]) == 6, twice["runs"])
expect(len(page("made/history.jsonl", "made/../made/history.jsonl")["trends"]) == 4, "trends twice")
# Several runs in one file are several runs.
joined = page(write("joined.jsonl", [*SMALL, OTHER, cell("fast", 1, [50.0] * 5)]))
expect([(r["machine"], r["finished"]) for r in joined["runs"]] == [("small", True), ("other", False)], joined["runs"])

# ---- What is not finished ----

write("broken.jsonl.partial", SMALL[:3], end="\n" + '{"kind":"cell","sch')
broken = page("broken.jsonl")
expect((broken["runs"][0]["finished"], broken["runs"][0]["torn"], len(broken["cells"]), broken["runs"][0]["seconds"])
       == (False, True, 2, None), broken["runs"])
expect("not finished, its last line torn" in report("broken.jsonl.partial"), "the table does not tell")
report(write("only.jsonl", [RUN]), code=5, 
       says="expected cells, trainings, verdicts, trends or landscapes in these records, found none")

# ---- Every kind, against the made records ----

made = page("made/alpha-run.jsonl", "made/beta-run.jsonl", "made/train.jsonl", "made/compare.jsonl", "made/history.jsonl")
expect([r["command_name"] for r in made["runs"]] == ["run", "run", "train", "compare", "history"], made["runs"])
source = [o for o in read("made/alpha-run.jsonl") if o["kind"] == "cell"]
mine = of(made["cells"], run=0)
expect(len(mine) == len(source) == 39, len(mine))
for found, wanted in zip(mine, source):
    for name in ("update", "gradient", "pipelined", "device_update", "submission"):
        expect((found[name] is None) == (wanted[name] is None), name, found["row"])
        if wanted[name] is not None:
            for key in ("median_ns", "low_ns", "high_ns"):
                near(found[name][key], wanted[name][key], f"{found['row']} {name} {key}")
expect(report("made/alpha-run.jsonl").count("speed against") == 2, "one base a case")
expect({c["status"] for c in mine} == {"ok", "wrong", "skipped", "crashed"}, "statuses")
expect(one(mine, backend="avx512", batch=10000)["check"]["status"] == "wrong", "the wrong cell")
expect(one(mine, backend="avx2", batch=1)["update"]["unsteady"] is True, "the unsteady cell")
expect(one(mine, backend="scalar", batch=1)["epoch"]["measured"] is False, "the extrapolated epoch")

training = made["trainings"][0]
trained = [o for o in read("made/train.jsonl") if o["kind"] == "training"]
expect(len(made["trainings"]) == 1 and len(training["settings"]) == 6 and training["images"] == 55000, training["label"])
for setting in training["settings"]:
    own = [t for t in trained if (t["optimizer"], t["batch"]) == (setting["optimizer"], setting["batch"])]
    good = [t for t in own if t["status"] == "ok"]
    expect((setting["tried"], setting["seeds"]) == (5, len(good)), setting["name"])
    for split in ("train", "validation", "test"):
        values = [t[split]["accuracy"] for t in good]
        near(setting["final"][split]["mean"], statistics.mean(values), "mean")
        t975 = {4: 3.182446, 5: 2.776445}[len(values)]
        half = t975 * statistics.stdev(values) / math.sqrt(len(values))
        expect(math.isclose(setting["final"][split]["high"], statistics.mean(values) + half, rel_tol=1e-5), "interval",
               setting["name"])
        near(setting["final"][split]["min"], min(values), "min")
    near(setting["budgets"]["epochs"]["validation"]["mean"], statistics.mean(t["validation"]["accuracy"] for t in good), "budget")
    expect((setting["budgets"]["epochs"]["reached"], setting["budgets"]["epochs"]["of"]) == (len(good), 5), setting["budgets"])
    expect(setting["budgets"]["epochs"]["limit"] == 10 and setting["budgets"]["updates"] is None, setting["budgets"])
    expect(setting["budgets"]["epochs"]["updates"]["mean"] == good[0]["updates"], setting["budgets"])
    reached = [t["targets"][0]["updates"] for t in own if t["targets"][0]["reached"]]
    target = one(setting["targets"], target=0.97)
    expect((target["reached"], target["of"]) == (len(reached), 5), target)
    slowest = sorted(reached + [math.inf] * (5 - len(reached)))[2]
    expect(target["updates"] == (None if slowest == math.inf else slowest), target)
    expect([p["epoch"] for p in setting["curve"]] == list(range(11)), "epochs of the curve")
    start = [o for o in read("made/train.jsonl") if o["kind"] == "epoch" and o["epoch"] == 1
             and (o["optimizer"], o["batch"]) == (setting["optimizer"], setting["batch"])]
    near(setting["curve"][1]["validation"]["mean"], statistics.mean(o["validation"]["accuracy"] for o in start), "curve")
    expect(setting["curve"][1]["validation"]["count"] == 5, "seeds of a point")
diverged = one(training["settings"], optimizer="sgd", batch=1000)
expect([(v["status"], v["seed"], v["at_update"]) for v in diverged["verdicts"]] == [("diverged", 4, 127)], diverged["verdicts"])
adam = one(training["settings"], optimizer="adam", batch=32)
expect(adam["tuned"] is True and adam["rate"] == 0.001 and len(adam["trials"]) == 7 and adam["trials"][0]["validation"] is None,
       adam["trials"])
expect(len(training["noise"]) == 12 and training["noise"][0]["scale"] == 16, training["noise"])
expect(len(training["times"]) == 12 and training["times"][0]["case"] is None, len(training["times"]))
# The blocks are what `train` prints: every grid's fields stand in the table, in order.
printed = re.sub(r"\s+", " ", report("made/train.jsonl"))
at = 0
for block in training["blocks"]:
    for row in block.get("grid", [[block.get("text", block.get("note"))]]):
        line = re.sub(r"\s+", " ", " ".join(row).strip())
        found = printed.find(line, at)
        expect(found >= 0, "the table lacks, in its place,", line)
        at = found
kinds = [next(iter(block)) for block in training["blocks"]]
expect(set(kinds) == {"grid", "text", "note"} and kinds.count("grid") >= 7, kinds)
expect(any(block.get("grid", [[""]])[0][0] == "adam, batch" for block in training["blocks"]), "no table of small against large")

comparison = made["comparisons"][0]
expect((comparison["base"], comparison["threshold"], comparison["stored"], comparison["exit"], comparison["series"])
       == ("bm_avx2.so", 0.02, False, 5, "update"), comparison)
expect([c["verdict"] for c in comparison["cells"]] == ["PASS", "REGRESSION", "IMPROVEMENT", "INCONCLUSIVE", "IDENTICAL", "LOST"],
       "verdicts")
expect(comparison["cells"][1]["ratio"] == 1.083 and comparison["differences"][0]["what"] == "revision", comparison)
changed = one(made["trends"], label="avx2", batch=100)
expect((changed["run"], len(changed["points"]), changed["changes"][0]["index"], changed["points"][25][1]) == (4, 40, 25, "rev25"),
       changed["changes"])
expect(one(made["trends"], label="avx512")["lost"]["status"] == "absent", "lost")

# Landscapes: every part as it is in the record, and what is not ok told.
landscape = read("made-landscape.jsonl")
found = page("made-landscape.jsonl")["landscapes"]
expect(len(found) == 1 and found[0]["run"] == 0, found)
parts = {}
for item in landscape:
    if item["kind"] == "landscape" and item["status"] == "ok":
        parts.setdefault(item["part"], []).append(item)
expect({part: len(own) for part, own in found[0]["parts"].items()} == {part: len(own) for part, own in parts.items()}, "parts")
expect(len(parts) == 18, "kinds of parts", len(parts))


def same(mine, wanted, what):
    """As in the record, numbers with six digits."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            if key not in ("schema", "analysis", "part") and (key, value) != ("kind", "landscape"):
                expect(isinstance(mine, dict), what, mine)
                if value is None:
                    expect(not mine.get(key), what, key, mine.get(key))
                else:
                    same(mine.get(key), value, f"{what}.{key}")
    elif isinstance(wanted, list):
        expect(len(mine or []) == len(wanted), what, "length")
        for i, value in enumerate(wanted):
            same(mine[i], value, f"{what}[{i}]")
    elif isinstance(wanted, float):
        expect(math.isclose(mine, wanted, rel_tol=6e-6, abs_tol=1e-30), what, mine, wanted)
    else:
        expect(mine == wanted, what, mine, wanted)


for part, own in parts.items():
    for i, item in enumerate(own):
        same(found[0]["parts"][part][i], item, f"{part} {i}")
expect([(v["part"], v["point"], v["status"]) for v in found[0]["verdicts"]]
       == [("sharpness", "batch 6000", "unsupported"), ("noise", "batch 6000", "timeout")], found[0]["verdicts"])
table = report("made-landscape.jsonl")
expect("landscape of made-landscape.jsonl:\n" in table and "crosses the hill" in table and "arXiv" not in table, table[:500])
expect(report("made-landscape.jsonl", "--format", "csv").startswith("analysis,part,status,"), "CSV of a landscape")
SCAPE = landscape[0]
noise = next(item for item in landscape if item.get("part") == "noise")
contour = next(item for item in landscape if item.get("part") == "contour")
write("cut-landscape.jsonl.partial", [SCAPE, noise], end="\n" + json.dumps(contour)[:300])
cut = page("cut-landscape.jsonl")
expect((cut["runs"][0]["torn"], list(cut["landscapes"][0]["parts"])) == (True, ["noise"]), cut["runs"])

nights = page("made/nightly")
steps = [(t["label"], t["batch"], t["points"][c["index"]][1]) for t in nights["trends"] for c in t["changes"]]
expect(steps == [("avx2", 100, "rev20")], steps)
expect(len(of(nights["cells"], superseded=False)) == 3, "only the newest of thirty nights stands")

# Of long trends at most 500 points stay, the first, the last and the changes among them.
trends = read("made/history.jsonl")
points = [[f"2026-01-01T00:00:{i:04d}", f"r{i}", 1000.0 + i] for i in range(3000)]
long = {**trends[0], "points": points, "changes": [{"index": i, "started": "", "after": "", "upto": "", "ratio": 1.1, "low": 1.0,
                                                    "high": 1.2, "p": 0.0} for i in (777, 2999)]}
thin = page(write("long.jsonl", [long]))["trends"][0]
expect(400 < len(thin["points"]) <= 500 and thin["points"][0][1] == "r0" and thin["points"][-1][1] == "r2999", len(thin["points"]))
expect([thin["points"][c["index"]][1] for c in thin["changes"]] == ["r777", "r2999"], thin["changes"])
expect("r776" in [p[1] for p in thin["points"]], "the last point of the old level")

# ---- Sizes ----

import report_records
report_records.main(["--cells", "500", "large"])
report("large/large-run.jsonl", "-o", "large.html")
expect(os.path.getsize("large.html") < 1600000, "500 cells leave no room for charts in 2 MB:", os.path.getsize("large.html"))

# ---- Files that are no records, and damaged ones ----


def refused(lines, says, end="\n"):
    write("bad.jsonl", lines, end)
    report("bad.jsonl", "-o", "bad.html", code=2, says="bad.jsonl:" + says)
    expect(not os.path.exists("bad.html"), "a page was made of", lines)
    write("folder/bad.jsonl", lines, end)


refused([], "1: expected a record of batchmark, found nothing", "")
refused(["<!doctype html>", "<p>x"], "1: expected a JSON object with a kind")
refused(["\x89PNG\r", "\x1a"], "1: expected a JSON object with a kind")
refused(["{"], "1: expected a record of batchmark, found a line without an end", "")
refused(["[1, 2]"], "1: expected a JSON object with a kind")
refused([{"name": "package.json"}], "1: expected a JSON object with a kind")
OTHERS = "1: expected a record of batchmark, which begins with a run and its version, found an object of kind"
refused([{"kind": "visit"}], OTHERS + ' "visit"')
refused([cell("x", 1, [1.0])], OTHERS + ' "cell"')
refused([{**RUN, "schema": 2}], "1: run: expected 1 as schema, found 2")
refused([{**RUN, "version": 7}], "1: run: expected a text as version, found 7")
refused([{**RUN, "host": []}], "1: run: expected an object as host, found []")
refused([{**RUN, "command_name": "check"}],
        '1: run: expected run, train, compare, history or landscape as command_name, found "check"')
report(write("unnamed.jsonl", [{**RUN, "command_name": None}, cell("x", 1, [1.0] * 5)]), "-o", "unnamed.html")
refused([{**RUN, "started": "yesterday"}, cell("x", 1, [1.0])], "1: started: expected a time like 2026-11-25T04:44:53Z")
refused([RUN, "garbage"], "2: expected a JSON object with a kind")
refused([RUN, cell("x", 1, [1.0])] + ['{"kind":"cell","batch":1e999}'], "3: expected a JSON object with a kind")
refused([RUN, "[" * 100000], "2: expected a JSON object with a kind")
refused([RUN, '{"kind":"cell","backend":"\\ud800"}'], "2: expected a JSON object with a kind")
for damage, says in (
        ({"backend": None}, "cell: expected a text as backend, found null"),
        ({"batch": "1"}, 'cell: expected a whole number from 0 on as batch, found "1"'),
        ({"batch": -1}, "cell: expected a whole number from 0 on as batch, found -1"),
        ({"batch": 0}, "cell: expected a whole number from 1 on as batch, found 0"),
        ({"batch": 1.5}, "cell: expected a whole number from 0 on as batch, found 1.5"),
        ({"status": "fine"}, 'cell: expected ok, skipped, wrong, ... as status, found "fine"'),
        ({"status": 7}, "cell: expected ok, skipped, wrong, ... as status, found 7"),
        ({"update": 7}, "cell: expected an object as update, found 7"),
        ({"update": {}}, "cell: expected a time above 0 as update, found nothing"),
        ({"update": {"median_ns": -5}}, "cell: expected a time above 0 as update, found -5"),
        ({"update": {"median_ns": 0}}, "cell: expected a time above 0 as update, found 0"),
        ({"update": {"median_ns": 1e300}}, "cell: expected a time above 0 as update, found 1"),
        ({"update": {"median_ns": 5, "spread": "x"}}, 'cell: expected a number as spread, found "x"'),
        ({"update": {"median_ns": 5, "samples_ns": 7}}, "cell: expected a list as samples_ns, found 7"),
        ({"gradient": {"median_ns": []}}, "cell: expected a time above 0 as gradient, found []"),
        ({"epoch": {"seconds": "1"}}, 'cell: expected a number as seconds, found "1"'),
        ({"epoch": []}, "cell: expected an object as epoch, found []"),
        ({"bound": {"share": True}}, "cell: expected a number as share, found true"),
        ({"check": 1}, "cell: expected an object as check, found 1"),
        ({"plugin": {"describe": 1}}, "cell: expected a text as describe, found 1"),
        ({"threads": None}, "cell: expected a whole number from 0 on as threads, found null"),
        ({"memory": 1}, "cell: expected an object as memory, found 1")):
    refused([RUN, cell("y", 1, [1.0]), {**cell("x", 1, [1.0] * 5), **damage}], "3: " + says)
refused([RUN, cell("y", 1, [1.0]), cell("x" * 3000, 1, [1.0])], "3: backend: expected a text")
made_training = trained[0]
TRAIN = {**RUN, "id": "train", "command_name": "train"}
for damage, says in (({"status": None}, "training: expected a text as status, found null"),
                     ({"test": 1}, "training: expected an object as test, found 1"),
                     ({"optimizer": 5}, "training: expected a text as optimizer, found 5"),
                     ({"targets": {}}, "training: expected a list as targets, found {}")):
    refused([TRAIN, {**made_training, **damage}], "2: " + says)
refused([TRAIN, {"kind": "epoch", "backend": "x"}], "2: epoch: expected a text as model, found nothing")
refused([TRAIN, {"kind": "tuned", "trials": 1}], "2: tuned: expected a list as trials, found 1")
compared = read("made/compare.jsonl")
refused([compared[0], compared[1], {**compared[2], "verdict": "FINE"}],
        '3: compare object of "mlp, fashion-mnist, momentum, batch 1, 8 threads, float32": damaged field verdict')
refused([{**compared[1], "threshold": None}], "1: comparison object: damaged field threshold")
refused([{**trends[0], "points": [[1, 2, 3]]}],
        "1: history: expected lists of a time, a revision and a number as points, found [1,2,3]")
refused([{**trends[1], "changes": [{"index": -1, "ratio": 1}]}], "1: history: expected a whole number from 0 on as index, found -1")
for damage, says in (({"status": "fine"}, 'expected ok, cut, skipped, ... as status, found "fine"'),
                     ({"part": 1}, "expected a text as part, found 1"),
                     ({"values": contour["values"][1:]}, f"expected {len(contour['values'])} numbers as values, found"),
                     ({"values": [0] * 50000}, "expected a grid of at most 201 x 201 numbers as values, found [0,"),
                     ({"x": {**contour["x"], "count": 10 ** 15}}, "expected a count from 2 to 201 as x, found 1000000000000000"),
                     ({"critical": [[]]}, "expected objects as critical, found []"),
                     ({"surface": None}, "expected a text as surface, found null")):
    refused([SCAPE, noise, {**contour, **damage}], "3: landscape: " + says)
refused([trends[0], {**trends[1], "host": "x"}], '2: history: expected an object as host, found "x"')
report("folder", "-o", "bad.html", code=2, says="folder/bad.jsonl:2: history")
report("absent.jsonl", code=2, says="absent.jsonl: cannot read it: No such file or directory")
os.mkfifo("pipe.jsonl")
report("pipe.jsonl", code=2, says="pipe.jsonl: expected a plain file")
os.mkdir("empty")
report("empty", code=2, says="empty: expected records (*.jsonl) in this folder, found none")
report(code=2, says="expected records or folders of them, found nothing (see --help)")
report("small.jsonl", "--format", "jsonl", code=2, says="--format")
report("small.jsonl", "--verbos", code=2, says="expected an option, found an unknown name")
expect("usage: batchmark report FILES... [-o PAGE.html]" in report("--help") and "--export FORMAT=FILE" in report("--help"), "help")

# Strange values that are no damage: a page is made, and what is strange is bounded or null.
huge = "x" * 1000000
deep = {"a": 1}
for _ in range(500):
    deep = {"a": deep}
write("strange.jsonl", [{**RUN, "host": {"cpu": "CPU", "cores": 1e30, "deep": deep, "long": huge, "many": list(range(100000))}},
                        cell("x", 10 ** 15, [1e-3] * 5, reason=huge, layers=None, device=2 ** 62),
                        cell("x", 1, [5.0] * 5, update={**series([5.0] * 5), "samples_ns": [1, "x", None]}),
                        cell("y", 1, [5.0] * 5, update={**series([5.0] * 5), "round_counts": [-1, 10 ** 18]}),
                        cell("usual", 1, [5.0] * 5),
                        cell("tiny", 1, [5.0] * 5, update={**series([5.0] * 5), "samples_ns": [1e-300] * 5}),
                        cell("vast", 1, [5.0] * 5, update={**series([5.0] * 5), "samples_ns": [1e300] * 5}),
                        cell("z", 1, [5.0] * 5, update={"median_ns": 5}, check=None, bound=None, plugin=None, memory=None),
                        {"kind": "unheard of", "x": [1]}])
strange = page("strange.jsonl")
expect(len(data_text("page.html")) < 100000, "size of the page", len(data_text("page.html")))
expect("null" in json.dumps(strange["runs"][0]["host"]["deep"]) and strange["runs"][0]["host"]["cores"] == 1e30, "a deep object")
expect(len(strange["cells"]) == 7 and strange["ratios"] == [] and strange["cells"][6]["update"]["q1_ns"] is None,
       strange["ratios"])
expect(len(strange["cells"][0]["reason"]) == 4096, len(strange["cells"][0]["reason"]))
report("strange.jsonl")

# ---- The page is whole, or what was there stays ----

with open("old.html", "w") as file:
    file.write("old")


def kept(*words, **more):
    before = set(os.listdir("."))
    report(*words, "-o", "old.html", **more)
    with open("old.html") as file:
        expect(file.read() == "old", "the older page is gone after", *words)
    expect(set(os.listdir(".")) == before, "left behind:", set(os.listdir(".")) - before)


kept("small.jsonl", code=8, says="old.html: cannot write it: File too large", limit=1000)
report("small.jsonl", "-o", "absent/page.html", code=8, says="absent/page.html: cannot write it: No such file or directory")
report("small.jsonl", "--export", "csv=absent/x.csv", code=8, says="absent/x.csv: cannot write it")
os.mkdir("sealed", 0o555)
if not os.access("sealed", os.W_OK):  # root may write anywhere; bad_day_test has a folder where it may not
    report("small.jsonl", "--export", "csv=sealed/x.csv", code=8, says="sealed/x.csv: cannot write it: Permission denied")
report("small.jsonl", "-o", "empty", code=2, says="empty: expected a plain file to write the page to")
report("small.jsonl", "-o", "small.jsonl", code=2, says="small.jsonl: expected another file than the records that are read")
expect(len(read("small.jsonl")) == len(SMALL), "the record was written over")
for number, (changed, says) in enumerate((
        ({"page__html": None}, "expected the report's template, page.html, in"), ({"page__css": None}, "page.css: cannot read it"),
        ({"order__txt": "absent.js\n"}, "absent.js: cannot read it"),
        ({"order__txt": "../first.js\n"}, "order.txt: expected names of files"),
        ({"first__js": "x = '</SCRIPT>';"}, "first.js: expected a text without </script"),
        ({"page__css": "</style>"}, "page.css: expected a text without </style"),
        ({"page__html": "@STYLE@\n@CHART@\n@SCRIPT@\n"}, "page.html: expected one line @DATA@, found 0"),
        ({"page__html": TEMPLATE["page.html"] + "@DATA@\n"}, "page.html: expected one line @DATA@, found 2"))):
    make_template(f"template{number}", **changed)
    kept("small.jsonl", code=2, says=says, template=f"template{number}")
page("small.jsonl")
expect(os.stat("page.html").st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022)), "the page's mode")

# ---- From the command that made the objects ----

history = subprocess.run([PROGRAM, "history", "made/nightly", "--export", "html=trend.html"], capture_output=True, check=False,
                         env={**os.environ, "BATCHMARK_REPORT": os.path.abspath("template")})
expect(history.returncode == 0, history.stderr)
trend_page = json.loads(data_text("trend.html"))
expect([r["command_name"] for r in trend_page["runs"]] == ["history"] and len(trend_page["trends"]) == 3, trend_page["runs"])
PYTHON
