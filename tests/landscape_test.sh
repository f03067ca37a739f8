#!/usr/bin/env bash
# What `batchmark landscape` promises its users: points trained here are those of `train`, lines and planes whose figures agree,
# noise along a training, the knee of a record, checkpoints, limits, Ctrl-C, mishaps, clear refusals. The analyses that look at
# surfaces and curvature have tests of their own.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
PYTHONPATH=$BM_TEST_SOURCE_DIR/tests/support PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import math
import os
import signal
import subprocess

from train_runs import *

# Five stops of a path, seven points of a line, three times three of a plane.
OWN = "points = 7\nplane = 3\nslice = 20\nloss-images = 120\n"
SETTINGS = PRESET.replace("batch = 32\n", "batch = 32,250\n") + ""
os.makedirs("presets/landscape", exist_ok=True)


def write_preset(name, text):
    with open(f"presets/landscape/{name}.ini", "w") as file:
        file.write(text)


def preset(**replaced):
    text = SETTINGS
    for old, new in replaced.values():
        text = text.replace(old, new)
    return text.replace("[synthetic]", f"epochs = 4\n{OWN}[synthetic]")


write_preset("lecture", preset())


def landscape(name, *words, **more):
    backend = [] if "--backend" in words else ["--backend", "scalar"]
    batchmark("landscape", *backend, *words, "-o", f"{name}.jsonl", **more)
    return read(f"{name}.jsonl")


def parts(objects, analysis, part, **fields):
    return of(objects, "landscape", analysis=analysis, part=part, **fields)


def part(objects, analysis, name, **fields):
    return one(objects, "landscape", analysis=analysis, part=name, **fields)


def near(a, b, tolerance=1e-6):  # a record has nine digits
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def timeless(objects):
    return [untimed(o) for o in objects if o["kind"] == "landscape"]


def no(says, *words):
    """A usage error: exit code 2, one line, no record."""
    before = set(os.listdir("."))
    done = subprocess.run([PROGRAM, "landscape", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=250, check=False)
    told = [line for line in done.stderr.splitlines() if not line.startswith("plan: ")]
    expect(done.returncode == 2 and len(told) == 1 and says in told[0], f"expected {says!r} and exit code 2, found", done.returncode, done.stderr)
    left = set(os.listdir(".")) - before | {file for _, _, files in os.walk("state") for file in files}
    expect(not left, "a refusal left", left)


# ---- Help ----

text = batchmark("landscape", "--help")
for word in ("[ANALYSIS...] [FILES...]", "escape", "noise", "line", "hessian", "sharpness", "--epsilon", "--loss-images", "--plane"):
    expect(word in text, f"no {word!r} in --help")
expect("--resume" not in text, "--help offers --resume")
expect("landscape" in batchmark("--help") and "presets of landscape:" in batchmark("list"), "the program does not name landscape")

# ---- Points that are trained here ----

kept = train("there", "--batch", "32,250", "--epochs", 4, "--keep", "kept")
objects = landscape("a", "line", "noise", "--keep", "ours")
expect(objects[0]["command"].startswith("batchmark landscape ") and one(objects, "end")["exit"] == 0, "no run or no end")
small, large = parts(objects, "points", "training")
expect((small["point"], large["point"]) == ("batch 32", "batch 250"), small["point"], large["point"])
expect((small["updates"], large["updates"], small["epochs"], small["dataset"]) == (4 * EACH, 8, 4, "synthetic"), small)
for found in (small, large):
    there = one(kept, "training", batch=found["batch"])
    expect(found["images"] == IMAGES, "a training of", found["images"], "images")
    expect(found["status"] == "ok" and found["train"] == there["train"] and found["test"] == there["test"],
           "not the training of `train`:", found["train"], there["train"])
    name = f"scalar-0-custom-synthetic-momentum-constant-{found['batch']}-seed1.checkpoint"
    ours, theirs = Checkpoint(f"ours/{name}"), Checkpoint(f"kept/{name}")
    floats = 4 * ours.header["param_count"]
    expect(ours.arrays[:floats] == theirs.arrays[:floats], "other parameters than those of `train`")
    expect(ours.arrays[floats:] == theirs.arrays[2 * floats:], "other statistics than those of `train`")
expect(timeless(objects) == timeless(landscape("b", "noise", "line")), "another result in a second run")
expect(timeless(objects) == timeless(landscape("c", "line", "noise", "--in-process")), "another result with --in-process")
told = batchmark("landscape", "line", "--backend", "scalar", "--format", "jsonl", "-o", "d.jsonl").splitlines()
with open("d.jsonl") as file:
    expect([t for t in told if '"end"' not in t] == [f.rstrip("\n") for f in file if '"end"' not in f], "--format jsonl is not the record")

# ---- Distances, lines, planes ----

start = parts(objects, "line", "distance", **{"from": "start"})
(between,) = parts(objects, "line", "distance", **{"from": "batch 32"})
expect([d["point"] for d in start] == ["batch 32", "batch 250"] and between["point"] == "batch 250", "distances of", start, between)
for distance in (*start, between):
    layers = [layer["norm"] for layer in distance["by_layer"]]
    expect(len(layers) == 3 and all(n > 0 for n in layers), "layers of", distance)
    expect(near(math.hypot(*layers), distance["norm"]) and 0 < distance["relative"] < 10, "norm of", distance)
# The norm of a start is one number.
expect(near(start[0]["norm"] / start[0]["relative"], start[1]["norm"] / start[1]["relative"]), "relative to another start")

lines = {shape: part(objects, "line", "line", shape=shape) for shape in ("straight", "curved")}
for shape, line in lines.items():
    expect((line["status"], line["from"], line["to"], line["statistics"]) == ("ok", "batch 32", "batch 250", "renewed"), line)
    expect(line["t"] == [-1, -0.5, 0, 0.5, 1, 1.5, 2] and line["images"] == IMAGES, line["t"], line["images"])
    expect(line["batch_norm"] == "running", "batch norm of a line:", line["batch_norm"])
    for split in ("train", "test"):
        expect(all(0 <= a <= 1 for a in line[split]["accuracy"]) and all(v > 0 for v in line[split]["loss"]), shape, split, line[split])
        expect(len(line[split]["loss"]) == len(line[split]["accuracy"]) == 7, shape, split)
    loss = line["train"]["loss"]
    expect(near(line["barrier"], max(0, loss[3] - (loss[2] + loss[4]) / 2)), shape, line["barrier"], loss)
    # Only the statistics differ from those that the training left, and they do.
    expect(loss[2] != small["train"]["loss"], "statistics were not renewed")
    expect(near(loss[2], small["train"]["loss"], 0.3) and near(loss[4], large["train"]["loss"], 0.3), "ends of", shape, loss)
ends = [[line["train"]["loss"][i] for i in (2, 4)] for line in lines.values()]
expect(near(ends[0][0], ends[1][0]) and near(ends[0][1], ends[1][1], 1e-5), "lines with other ends:", ends)
# At t = -1 and 2 the curved line is at minus one end: not where the straight one is.
expect(not near(lines["straight"]["train"]["loss"][0], lines["curved"]["train"]["loss"][0], 1e-3), "straight and curved are one line")

plane = part(objects, "line", "plane")
expect(plane["names"] == ["start", "batch 32", "batch 250"] and plane["images"] == 120 and plane["batch_norm"] == "batch", plane["names"], plane["images"])
expect(len(plane["values"]) == 9 and all(v > 0 for v in plane["values"]), plane["values"])
places = {p["name"]: (p["x"], p["y"], p["off"]) for p in plane["points"]}
expect(places["start"] == (0, 0, 0) and near(places["batch 32"][0], 1) and abs(places["batch 32"][1]) < 1e-9, places)
unit = start[0]["norm"]
expect(near(unit * math.hypot(*places["batch 250"][:2]), start[1]["norm"], 1e-6), "the second point is elsewhere:", places)
x, y = (places["batch 250"][i] - places["batch 32"][i] for i in (0, 1))
expect(near(unit * math.hypot(x, y), between["norm"], 1e-6), "the points have another distance:", places)
expect(all(p["off"] < 1e-3 * unit for p in plane["points"]), "points off their own plane:", places)
for path in plane["paths"]:
    expect(path["epochs"] == [0, 1, 2, 3, 4] and len(path["x"]) == len(path["off"]) == 5, path)
    expect((path["x"][0], path["y"][0]) == (0, 0) and near(path["x"][4], places[path["name"]][0]), "path of", path["name"])
    expect(all(o > 1e-4 * unit for o in path["off"][1:4]) and path["off"][4] < 1e-6, "a path within the plane:", path["off"])
    for axis in ("x", "y"):
        expect(all(plane[axis]["low"] < v < plane[axis]["high"] for v in path[axis]), "a path beyond the picture")

# ---- Noise ----

for point in ("batch 32", "batch 250"):
    noises = parts(objects, "noise", "noise", point=point)
    expect([n["at"] for n in noises] == ["start", None, "middle", None, "end"], [n["at"] for n in noises])
    expect([n["epoch"] for n in noises] == [0, 1, 2, 3, 4] and noises[0]["update"] == 0, "stops of", noises)
    for noise in noises:
        expect((noise["slice"], noise["slices"], noise["images"], noise["batch_norm"]) == (20, 25, IMAGES, "ghost-20"), noise)
        if noise["scale"] is not None:
            expect(near(noise["scale"], noise["trace"] / noise["gradient_squared"]), noise)
            expect(noise["low"] < noise["scale"] and (noise["high"] is None or noise["scale"] < noise["high"]), noise)
    known = [n["scale"] for n in noises if n["scale"] is not None]
    average = part(objects, "noise", "average", point=point)
    expect((average["images"], average["batch_norm"]) == (IMAGES, "ghost-20"), average)
    expect(average["from"] == [n["scale"] for n in noises] and average["published"] is None, average)
    expect(known and near(average["scale"], sum(known) / len(known)) and average["within"] is None, average)
    pooled = average["pooled"]
    expect(near(pooled["scale"], sum(n["trace"] for n in noises) / sum(n["gradient_squared"] for n in noises)), pooled)
    expect(min(n["low"] for n in noises) < pooled["low"] < pooled["scale"] < pooled["high"] < max(n["high"] for n in noises), pooled, known)
# The same numbers as those of `train` at the start.
there = one(kept, "noise", batch=32, at="start")
ours = parts(landscape("n", "noise", "--slice", there["slice"], "--batch", 32), "noise", "noise", at="start")[0]
expect(there["slices"] != ours["slices"] or near(there["scale"], ours["scale"]), "noise of the start:", there["scale"], ours["scale"])

# ---- Seeds ----

objects = landscape("seeds", "line", "--seed", "1-2", "--plane", 0)
expect([o["point"] for o in parts(objects, "points", "training")] == [f"batch {b}, seed {s}" for s in (1, 2) for b in (32, 250)], "points of seeds")
found = [(line["shape"], line["from"], line["to"]) for line in parts(objects, "line", "line")]
expect(found == [(shape, f"batch 32, seed {s}", f"batch 250, seed {s}") for s in (1, 2) for shape in ("straight", "curved")], found)
expect(not parts(objects, "line", "plane"), "--plane 0 made a plane")

# ---- Checkpoints ----

files = [f"kept/scalar-0-custom-synthetic-momentum-constant-{b}-seed1.checkpoint" for b in (32, 250)]
names = [os.path.basename(f)[:-len(".checkpoint")] for f in files]
objects = landscape("read", "line", *files)
expect(not parts(objects, "points", "training"), "checkpoints, and a training all the same")
again = parts(objects, "line", "distance")
expect([d["norm"] for d in again] == [d["norm"] for d in (*start, between)] or
       sorted(d["norm"] for d in again) == sorted(d["norm"] for d in (*start, between)), "distances of checkpoints", again)
for shape, line in lines.items():
    of_files = part(objects, "line", "line", shape=shape)
    expect((of_files["from"], of_files["to"]) == tuple(names) and of_files["train"] == line["train"], "line of checkpoints:", shape)
plane = part(objects, "line", "plane")
expect(plane["paths"] == [] and len(plane["points"]) == 3 and plane["model"] == "custom", plane["paths"])
(noise,) = parts(landscape("read2", "noise", files[0]), "noise", "noise")
expect((noise["at"], noise["point"], noise["update"], noise["epochs"]) == (None, names[0], 4 * EACH, 4), noise)
expect(part(landscape("alone", "line", files[0], code=None), "line", "line")["status"] == "skipped", "a line of one point")

# ---- The knee of a record ----

train("knee", "--batch", "8,20,60,150,500", "--epochs", 12, "--target", "45%", "--seed", "1-2", "--lr", 0.002)
knee = part(landscape("with", "noise", "knee.jsonl", files[0]), "noise", "knee")
expect((knee["record"], knee["target"], knee["optimizer"]) == ("knee.jsonl", 0.45, "momentum"), knee)
reached = {}
for training in of(read("knee.jsonl"), "training", role="final"):
    (target,) = training["targets"]
    reached.setdefault(training["batch"], []).append(target["updates"] if target["reached"] else None)
expected = {b: sum(u) / len(u) for b, u in reached.items() if None not in u}
expect(dict(zip(knee["batches"], knee["updates"])) == expected and len(expected) == knee["points"], knee, reached)
expect(knee["points"] >= 3 and (knee["status"] == "skipped") == (knee["critical_batch"] is None), knee)

# ---- Limits ----

for at in ("--time-limit", "-l"):
    objects = landscape(f"limit{at}", at, "1ms", code=5, says="plan: escape, noise, line, hessian, sharpness; of custom")
    rest = [(o["analysis"], o["part"], o["status"], o["reason"]) for o in of(objects, "landscape")]
    expect(rest == [(a, "rest", "skipped", "not reached: the time limit (--time-limit)")
                    for a in ("escape", "noise", "line", "hessian", "sharpness")], "something was done without time", rest)
    expect(one(objects, "end")["exit"] == 5, "exit code without time")
# In the line, which evaluates two splits a point: no session before it evaluates so often.
with open("token", "w"):
    pass
told = batchmark("landscape", "line", "--backend", "saboteur", *plugin("saboteur", "saboteur"), "--batch", "32,33", "--points", 1000,
                 "-o", "stopped.jsonl", code=130,
                 environment={"SABOTAGE": f"evaluate 100 parent {int(signal.SIGINT)}", "SABOTAGE_TOKEN": os.path.abspath("token")})
expect(not os.path.exists("token"), "Ctrl-C did not happen")
expect("what is done is in stopped.jsonl.partial\n" in told and "--resume" not in told, "Ctrl-C:", told)
objects = read("stopped.jsonl.partial")
line = part(objects, "line", "line")
expect((line["status"], line["reason"], line["shape"]) == ("cut", "interrupted", "straight"), line["status"], line["reason"])
expect(49 <= len(line["t"]) == len(line["train"]["loss"]) <= 50, "what was done is not recorded:", len(line["t"]))
expect(part(objects, "line", "rest")["reason"] == "not reached: interrupted", "what was not done is not told")
expect(len(parts(objects, "points", "training")) == 2, "what was done is not recorded")
expect(not os.path.exists("stopped.jsonl"), "an unfinished record has the name of a finished one")

# ---- Mishaps ----

for name, code, status, reason in (("segfault_gradient", 7, "crashed", "gradient"), ("wrong_magic", 6, "error", "magic"), ("wrong_results", 3, "wrong", "")):
    objects = landscape(name, "line", "--backend", f"bad_{name}", *plugin("bad", f"bad_{name}"), code=code)
    check = one(objects, "landscape")
    expect((check["part"], check["status"]) == ("check", status) and reason in check["reason"], check)
diverged = landscape("nan", "line", "--lr", 1e30, "--batch", 32, code=5)
expect(part(diverged, "points", "training")["status"] == "error" and "not a number" in part(diverged, "points", "training")["reason"], diverged)

# ---- Refusals ----

with open("nothing.checkpoint", "w"):
    pass
with open("torn.checkpoint", "wb") as file:
    file.write(open(files[0], "rb").read()[:-100])
for name, old, new in (("wide", "dense 16", "dense 17"), ("fewer", "held-out = 100", "held-out = 90"), ("larger", "1x6x6", "1x6x7")):
    os.makedirs(name, exist_ok=True)
    write_preset(name, preset(one=(old, new)))
    landscape(f"{name}/r", "noise", "--preset", name, "--epochs", 1, "--batch", 32, "--keep", name)
wide, fewer, larger = (f"{n}/{os.path.basename(files[0])}" for n in ("wide", "fewer", "larger"))
no("expected escape, noise, line, hessian, sharpness or a file, found \"lines\"", "lines")
no("nosuch.checkpoint", "line", "nosuch.checkpoint")
no("nosuch.jsonl", "noise", "nosuch.jsonl")
no("nothing.checkpoint", "line", "nothing.checkpoint")
no("torn.checkpoint", "line", files[0], "torn.checkpoint")
no(f"{wide}: expected the network of the first checkpoint", "line", files[0], wide)
no(f"{fewer}: expected 500 training images of synthetic, held out 100", "line", files[0], fewer)
no("expected data for the", "line", larger)
no("there.jsonl: expected a record of `train` with targets", "noise", "there.jsonl")
no("--model: expected one, found 2", "line", "--model", "mlp,f1")
no("--optimizer: expected one, found 2", "line", "--optimizer", "adam,sgd")
no("--epsilon: expected numbers above 0 like 1e-3,5e-4", "sharpness", "--epsilon", "0")
no("--statistics: expected one of batch, running", "line", "--statistics", "mine")
no("--resume", "line", "--resume", "a.jsonl")
no("--keep: no folder nodir/sub", "line", "--keep", "nodir/sub")
PYTHON
printf 'ok\n'
