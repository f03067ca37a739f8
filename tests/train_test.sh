#!/usr/bin/env bash
# What `batchmark train` promises its users: records whose figures agree, the same training on every backend and in every run,
# budgets, targets, tuning, mishaps with their update, limits, verdicts on equal training, clear refusals.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
PYTHONPATH=$BM_TEST_SOURCE_DIR/tests/support PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import csv
import io
import math
import os
import resource
import re
import signal

from train_runs import *

OPTIMIZERS = "sgd,momentum,nesterov,adagrad,rmsprop,adam,adamw,lars,lamb"
SCHEDULES = "constant,linear,sqrt,step,polynomial"
# A second backend: avx2 where the processor has it, otherwise the scalar one under another name.
has_avx2 = "avx2:0" in batchmark("list")
OTHER = "avx2" if has_avx2 else "twin"
PAIR = [] if has_avx2 else plugin("twin", "twin")


def near(a, b, tolerance):
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def points_of(objects, training):
    same = {name: training[name] for name in ("backend", "optimizer", "schedule", "batch", "seed", "role", "rate")}
    return of(objects, "epoch", **same)


def check_training(objects, training):
    """A curve from the start on, whose last point is what the training ended with."""
    points = points_of(objects, training)
    places = [p["updates"] for p in points]
    expect(places[0] == 0 and places == sorted(set(places)), "updates of points:", places)
    for point in points:
        expect(point["updates"] == point["epoch"] * EACH + round(point["fraction"] * EACH), "place of", point)
        expect(0 <= point["validation"]["accuracy"] <= 1 and point["train"]["loss"] > 0, "point", point)
        expect(point["test"] is None or point is points[-1], "test images before the end")
    for split in ("train", "validation", "test"):
        expect(training[split] == points[-1][split], split, "of the training is not that of its last point")
    expect(training["updates"] == places[-1] and training["epochs"] == training["updates"] / EACH, "updates of", training)
    return points


# ---- Record and table ----

objects = train("a", "--epochs", 3, "--seed", "1,2", "--export", "csv=a.csv", "--export", "markdown=a.md")
expect(objects[0]["kind"] == "run" and objects[0]["command"].startswith("batchmark train "), "no run object")
expect(objects[-1]["kind"] == "end" and objects[-1]["exit"] == 0, "no end object")
expect(all(o["schema"] == 1 for o in objects), "schema")
for seed in (1, 2):
    training = one(objects, "training", seed=seed)
    expect(training["status"] == "ok" and training["role"] == "final" and training["images"] == IMAGES, training)
    points = check_training(objects, training)
    # Fifteen batches of 32 and the short one of 20 are 16 updates.
    expect([p["updates"] for p in points] == [0, EACH, 2 * EACH, 3 * EACH], "the short last batch is not counted")
    expect(points[-1]["train"]["loss"] < points[0]["train"]["loss"] / 1.5, "nothing was learned")
    expect(training["test"]["accuracy"] > 0.3, "no better than chance", training["test"])
    expect(training["plugin"]["name"] == "scalar" and len(training["plugin"]["sha256"]) == 64, "plugin")
expect({o["at"] for o in of(objects, "noise")} == {"start", "end"}, "noise at start and end of one seed")
expect(sorted(os.listdir(".")) == ["a.csv", "a.jsonl", "a.md", "presets", "state"], "left beside the record:", os.listdir("."))

mean = 100 * sum(o["test"]["accuracy"] for o in of(objects, "training")) / 2
table = batchmark("train", "--backend", "scalar", "--epochs", 3, "--seed", "1,2", "-o", "b.jsonl")
expect("final accuracy, %" in table and f"{mean:.2f}" in table, f"no {mean:.2f} in", table)
expect(table.splitlines()[-1] == "record: b.jsonl; for a page: batchmark report b.jsonl -o report.html",
       "the last line does not name the record")
expect(found_by(read("b.jsonl")) == found_by(objects), "another result in a second run")
with open("a.md") as file:
    expect(f"{mean:.2f}" in file.read(), "no mean in the markdown table")
with open("a.csv", newline="") as file:
    rows = list(csv.DictReader(file))
expect(len(rows) == len(of(objects, "epoch")), "csv has", len(rows), "rows")
for row, point in zip(rows, of(objects, "epoch")):
    expect((int(row["seed"]), int(row["updates"])) == (point["seed"], point["updates"]), "csv:", row)
    expect(near(float(row["validation_accuracy"]), point["validation"]["accuracy"], 1e-6), "csv:", row)
told = batchmark("train", "--backend", "scalar", "--epochs", 1, "--format", "jsonl", "-o", "c.jsonl").splitlines()
with open("c.jsonl") as file:
    expect([t for t in told if '"end"' not in t] == [f.rstrip("\n") for f in file if '"end"' not in f], "--format jsonl is not the record")
expect("| momentum |" in batchmark("train", "--backend", "scalar", "--epochs", 1, "--format", "markdown", "-o", "d.jsonl"), "no markdown")

# ---- The same training everywhere ----

objects = train("two", "--epochs", 3, "--backend", f"scalar,{OTHER}", *PAIR)
curves = [points_of(objects, one(objects, "training", backend=b)) for b in ("scalar", OTHER)]
for ours, theirs in zip(*curves):
    expect(ours["updates"] == theirs["updates"] and near(ours["train"]["loss"], theirs["train"]["loss"], 1e-3), ours["train"], theirs["train"])
expect(near(curves[0][0]["train"]["loss"], curves[1][0]["train"]["loss"], 1e-6), "another start on", OTHER)
# An order of their own would show: it is not rounding that tells two seeds apart.
other_seed = of(train("seed2", "--epochs", 3, "--seed", 2), "epoch")
expect(not near(curves[0][-1]["train"]["loss"], other_seed[-1]["train"]["loss"], 1e-3), "seeds make no difference")
first = bits("bits1", "--epochs", 3)
expect(first == bits("bits2", "--epochs", 3), "other bits in a second run")
expect(first != bits("bits3", "--epochs", 3, "--seed", 2), "the same bits from another seed")
# Batches: all images make one update an epoch, and more than all are all.
objects = train("full", "--epochs", 2, "--batch", "500,7,5000")
expect([(t["batch"], t["requested_batch"], t["updates"]) for t in of(objects, "training")] == [(7, 7, 144), (500, 500, 2)],
       [(t["batch"], t["requested_batch"], t["updates"]) for t in of(objects, "training")])
training = one(train("more", "--epochs", 2, "--batch", 5000), "training")
expect((training["batch"], training["requested_batch"]) == (500, 5000), training)

# ---- Rules and schedules ----

with open("rules.ini", "w") as file:
    file.write(PRESET.replace("lr = 0.004\n", ""))
os.rename("presets/train/accuracy.ini", "presets/train/usual.ini")
with open("presets/train/accuracy.ini", "w") as file:
    file.write(PRESET.replace("lr = 0.004\n", ""))
objects = train("rules", "--optimizer", OPTIMIZERS, "--schedule", SCHEDULES, "--epochs", 6, "--trajectory", 6)
os.rename("presets/train/usual.ini", "presets/train/accuracy.ini")
trainings = of(objects, "training")
expect(len(trainings) == 45, "expected 45 trainings, found", len(trainings))
for training in trainings:
    expect(training["status"] == "ok", training["optimizer"], training["schedule"], training["status"], training["reason"])
    expect(training["updates"] == 6 * EACH, training["optimizer"], training["updates"])
trajectories = of(objects, "trajectory")
expect(len(trajectories) == 45 and all(t["status"] == "ok" for t in trajectories), [(t["optimizer"], t["reason"]) for t in trajectories])
for optimizer in OPTIMIZERS.split(","):
    ends = {t["schedule"]: t["train"]["loss"] for t in of(objects, "training", optimizer=optimizer)}
    # Without a warm-up, as below the base batch, linear is another constant; all five differ.
    expect(len(set(ends.values())) == 5, optimizer, "ends alike under several schedules:", ends)
# A schedule is what its formula says: the square root of batch / base batch as a rate of its own gives the same bits.
rate = 0.004 * math.sqrt(32 / 100)
expect(bits("sqrt", "--epochs", 2, "--schedule", "sqrt") == bits("rate", "--epochs", 2, "--lr", repr(rate)), "schedule sqrt")
expect(bits("linear", "--epochs", 2, "--schedule", "linear") == bits("rate2", "--epochs", 2, "--lr", repr(0.004 * (32 / 100))), "schedule linear")

constant = bits("form1", "--epochs", 3)
expect(constant == bits("form2", "--epochs", 3, "--momentum-form", "pytorch"), "the form of the momentum matters at a constant rate")
for schedule in ("linear", "step"):
    words = ["--epochs", 3, "--schedule", schedule, "--base-batch", 8, "--warmup-epochs", 1]
    expect(bits(f"form-{schedule}-1", *words) != bits(f"form-{schedule}-2", *words, "--momentum-form", "pytorch"), "form and", schedule)
expect(constant != bits("plain", "--epochs", 3, "--momentum", 0.5) and constant != bits("decay", "--epochs", 3, "--weight-decay", 0.01),
       "--momentum or --weight-decay is not taken")

# ---- Budgets and targets ----

training = one(objects := train("budgets", "--epochs", 2, "--updates", 20), "training")
expect([p["updates"] for p in check_training(objects, training)] == [0, 16, 20, 32], "no point where a budget ends")
ends = {b["budget"]: (b["reached"], b["updates"], b["epoch"], b["fraction"]) for b in training["budgets"]}
expect(ends == {"epochs": (True, 32, 2, 0.0), "updates": (True, 20, 1, 0.25)}, ends)
at_20 = one(objects, "epoch", updates=20)
expect([b["validation"] for b in training["budgets"] if b["budget"] == "updates"] == [at_20["validation"]], "accuracy under a budget")
training = one(train("updates", "--updates", 19), "training")
expect(training["updates"] == 19 and training["epochs"] == 19 / EACH, training["updates"])
# Budgets of the command line are all that there are, whatever the preset has.
with open("presets/train/epochs.ini", "w") as file:
    file.write("epochs = 9\n" + PRESET)
training = one(train("preset", "--preset", "epochs", "--updates", 19), "training")
expect((training["updates"], training["budget_epochs"]) == (19, 0), training["updates"], training["budgets"])
expect(one(train("preset9", "--preset", "epochs"), "training")["updates"] == 9 * EACH, "epochs of the preset")
training = one(objects := train("seconds", "--seconds", "3ms", "--epochs", 1), "training")
(budget,) = [b for b in training["budgets"] if b["budget"] == "seconds"]
expect(budget["reached"] and budget["seconds"] >= 0.003 and training["epochs"] >= 1, budget)
expect(len(of(objects, "epoch", updates=budget["updates"])) == 1, "no point where the time was used up")

# Between the accuracies on training and validation images, which tells the two apart, and one that nothing reaches.
points = of(train("before", "--epochs", 4), "epoch")[1:]
targets = sorted({round((p["train"]["accuracy"] + p["validation"]["accuracy"]) / 2, 4) for p in points} | {0.9999})
words = [f"{100 * t:g}%" for t in targets]
training = one(objects := train("targets", "--epochs", 4, "--target", ",".join(words)), "training")
points = check_training(objects, training)
expect(all(near(t["accuracy"], x, 1e-8) for t, x in zip(training["targets"], targets, strict=True)), training["targets"])
reached = 0
for target in training["targets"]:
    at = [p for p in points[1:] if p["validation"]["accuracy"] >= target["accuracy"]]
    expect(target["reached"] == (at != []), "target", target, [p["validation"] for p in points])
    expect(not at or target["updates"] == at[0]["updates"], "target", target, "was reached at", at and at[0]["updates"])
    expect(at or "updates" not in target, "a target that was not reached has a place:", target)
    reached += target["reached"]
expect(0 < reached < len(targets), "of", targets, reached, "were reached")

# ---- Tuning ----

objects = train("tuning", "--tune", 5, "--optimizer", "sgd,adam", "--epochs", 4, "--seed", "1,2")
for optimizer in ("sgd", "adam"):
    trials = of(objects, "training", optimizer=optimizer, role="trial")
    finals = of(objects, "training", optimizer=optimizer, role="final")
    expect((len(trials), len(finals)) == (5, 2), optimizer, len(trials), len(finals))
    expect(all(t["test"] is None and t["epochs"] == 2 for t in trials), "a trial saw the test images, or more epochs than it has")
    expect(all(p["test"] is None for p in of(objects, "epoch", role="trial")), "a trial saw the test images")
    tuned = one(objects, "tuned", optimizer=optimizer)
    expect([t["rate"] for t in tuned["trials"]] == [t["rate"] for t in trials], tuned)
    best = min((t for t in trials if t["status"] == "ok"), key=lambda t: (-t["validation"]["accuracy"], t["rate"]))
    expect(tuned["rate"] == best["rate"] and all(f["rate"] == best["rate"] and f["tuned"] for f in finals), optimizer, tuned["rate"], best["rate"])
    expect(tuned["at_edge"] == (best["rate"] in (min(t["rate"] for t in trials), max(t["rate"] for t in trials))), "at_edge")
expect(len({tuple(t["rate"] for t in of(objects, "training", role="trial", optimizer=o)) for o in ("sgd", "adam")}) == 2, "both rules were tried at the same rates")

# ---- Mishaps ----

with open("presets/train/plain.ini", "w") as file:
    file.write(PRESET.replace("batchnorm, ", ""))
PLAIN = ["--preset", "plain", "--optimizer", "sgd"]


def mishap(name, status, reason, *words):
    table = batchmark("train", "--backend", "scalar", *words, "-o", f"{name}.jsonl", "--keep", f"{name}.kept")
    training = one(objects := read(f"{name}.jsonl"), "training")
    expect(training["status"] == status and reason in training["reason"], name, training["status"], repr(training["reason"]))
    expect(status in table and (status == "stalled" or f"update {training['at_update']}" in table), "the table does not say", status, table)
    check_training(objects, training) if status != "nan" else None
    return training


# A loss that is no number has its update: with one update less it has none yet, and how many are asked at once is no matter.
for name, words in {"a": ["--lr", 100], "b": ["--lr", 1e4], "c": ["--lr", 30, "--batch", 25]}.items():
    training = mishap(f"nan-{name}", "nan", "is not a number", *PLAIN, *words, "--epochs", 9)
    at = training["at_update"]
    expect(1 < at <= training["updates"], at, training["updates"])
    before = one(train(f"nan-{name}-before", *PLAIN, *words, "--updates", at - 1), "training")
    expect((before["status"], before["updates"]) == ("diverged", at - 1), before["status"], before["updates"])
    after = one(train(f"nan-{name}-at", *PLAIN, *words, "--updates", at), "training")
    expect((after["status"], after["at_update"]) == ("nan", at), after["status"], after["at_update"])
training = mishap("diverged", "diverged", "training loss", *PLAIN, "--lr", 10, "--epochs", 9)
# Its last state is none to begin from, which is said of each training and does not end the program.
(file,) = os.listdir("nan-a.kept")
lost = mishap("from-nan", "nan", "update 1 ", *PLAIN, "--epochs", 1, "--from", f"nan-a.kept/{file}")
expect(training["epochs"] < 9 and training["at_update"] <= training["updates"], "a training that diverged went on")
mishap("stalled", "stalled", "no progress", *PLAIN, "--lr", 1e-12, "--epochs", 2)

# Where none is named, one that fails is left out, and that is said.
batchmark("train", *plugin("bad", "bad_segfault_gradient"), "--epochs", 1, "-o", "choice.jsonl",
          says="backend: bad_segfault_gradient left out: crashed: ")
expect(one(read("choice.jsonl"), "training")["status"] == "ok", "the fastest did not train")

# ---- Limits ----

cut = mishap("cut", "cut", "--training-time", "--training-time", "1ms", "--epochs", 10**9)
expect(cut["updates"] > 0 and cut["test"] is not None and not cut["budgets"][0]["reached"], cut)
# More updates than a plan counts are as many as it counts.
with open("presets/train/many.ini", "w") as file:
    file.write(PRESET.replace("batchnorm, ", "").replace("train = 600", "train = 9500"))
far = ["--preset", "many", "--schedule", "polynomial", "--lr", 1e-6, "--batch", 1, "--epochs", 2**40]
cut = one(train("far", *far, "--training-time", "1ms"), "training")
expect((cut["status"], cut["budget_epochs"]) == ("cut", 2**40), cut["status"], cut["reason"])
# The last of three has no time left; of the first it depends on the machine whether it had any.
done = batchmark("train", "--backend", "scalar", "--time-limit", "500ms", "--epochs", 10**9, "--seed", "1-3", "--training-time", "400ms",
                 "-o", "limit.jsonl", code=None)
statuses = [t["status"] for t in of(read("limit.jsonl"), "training")]
expect(len(statuses) == 3 and set(statuses[:2]) <= {"cut", "skipped"} and statuses[2] == "skipped", statuses)
expect("time was left" in of(read("limit.jsonl"), "training")[2]["reason"] and "skipped" in done, "no reason for a skipped training")
expect(not any(n["at"] == "end" for n in of(read("limit.jsonl"), "noise")) or statuses[0] == "cut", "noise at the end of a training that was skipped")
expect(one(read("limit.jsonl"), "end")["exit"] == (0 if "cut" in statuses else 5), "exit code")

# ---- From one training to another ----

start = train("source", "--epochs", 2, "--keep", "source.kept")
(file,) = os.listdir("source.kept")
last = of(start, "epoch")[-1]
for backend in ("scalar", OTHER):
    objects = train(f"from-{backend}", "--epochs", 1, "--seed", 5, "--from", f"source.kept/{file}", "--backend", backend, *PAIR)
    points = check_training(objects, one(objects, "training"))
    expect(points[0]["from"] == file, "the record does not say where it began")
    expect(near(points[0]["train"]["loss"], last["train"]["loss"], 1e-5), backend, "does not begin where", file, "ended")
    expect(backend != "scalar" or points[0]["train"] == last["train"], "other bits")

# ---- SWAP ----

objects = train("swap", "--swap", 2, "--swap-batch", 25, "--swap-epochs", 1, "--batch", 500, "--epochs", 3)
swap = one(objects, "swap")
expect((swap["status"], swap["runs"], swap["swap_batch"], swap["swap_epochs"]) == ("ok", 2, 25, 1), swap)
final = one(objects, "training", role="final")
for split in ("train", "validation", "test"):
    expect(swap["before"][split] == final[split] and 0 <= swap[split]["accuracy"] <= 1, "swap", split, swap[split])
small = of(objects, "training", role="swap")
expect(len(small) == 2 and len({t["seed"] for t in small}) == 2 and all(t["updates"] == 20 and t["batch"] == 25 for t in small), small)
expect(swap["train"]["loss"] < final["train"]["loss"], "an average of trainings that went on learned nothing")
expect([f for f in os.listdir(".") if "swap" in f] == ["swap.jsonl"], "SWAP left", os.listdir("."))
# As in the grid, a batch of more than all images is all of them.
objects = train("swap-all", "--swap", 1, "--swap-batch", 5000, "--swap-epochs", 2, "--epochs", 1)
swap = one(objects, "swap")
(small,) = of(objects, "training", role="swap")
expect((swap["swap_batch"], small["batch"], small["requested_batch"], small["updates"]) == (500, 500, 5000, 2), swap, small)

# ---- Equal training ----

equal = ["--backend", f"scalar,{OTHER}", *PAIR, "--epochs", 3]
found = one(train("equal5", *equal, "--seed", "1-5"), "equivalence")
expect((found["verdict"], found["seeds"], found["baseline"]) == ("equivalent", 5, "scalar"), found)
expect("equivalent" in batchmark("train", *equal, "--seed", "1-5", "--strict", "-o", "strict5.jsonl"), "no verdict in the table")
found = one(train("equal3", *equal, "--seed", "1-3"), "equivalence")
expect((found["verdict"], found["seeds"]) == ("undecided", 3), found)
expect(one(train("strict3", *equal, "--seed", "1-3", "--strict", code=4), "equivalence")["verdict"] == "undecided", "--strict")
# Training that is right update by update, or so it seems: the rate is lost after update 60.
bug = ["--backend", "scalar,bug_rate_lost", *plugin("training_bugs", "bug_rate_lost"), "--preset", "plain", "--seed", "1-5", "--lr", 0.001, "--batch", 8]
found = one(train("bug", *bug, "--epochs", 4, code=3), "equivalence")
expect(found["verdict"] == "different" and found["high"] < 0, found)
lost = of(read("bug.jsonl"), "epoch", backend="bug_rate_lost", seed=1)
expect(near(lost[2]["train"]["loss"], lost[4]["train"]["loss"], 1e-3), "it learns after update 126")
# One that the path of the first updates shows.
bug = ["--backend", "bug_momentum_lost", *plugin("training_bugs", "bug_momentum_lost"), "--trajectory", 8]
found = one(train("path", *bug, "--epochs", 1, code=3), "trajectory")
expect((found["status"], found["at_update"], found["updates"]) == ("wrong", 5, 5), found)
found = one(train("path2", "--trajectory", 8, "--epochs", 1), "trajectory")
expect((found["status"], found["at_update"], found["updates"]) == ("ok", None, 8), found)

# ---- Refusals ----

with open("torn", "wb") as file:
    file.write(open(f"source.kept/{os.listdir('source.kept')[0]}", "rb").read()[:-100])
with open("nothing", "w"):
    pass
batchmark("run", "--config", os.path.join(os.environ["BM_TEST_SOURCE_DIR"], "tests/support/small.ini"), "--backend", "null", "--batch", 7,
          "--roofline", "none", "-o", "run.jsonl", environment={"BATCHMARK_PRESETS": ""})
refuse("--schedule: expected one of constant, linear", "--schedule", "cosine")
refuse("step", "--schedule", "step", "--seconds", 1)
refuse("polynomial", "--schedule", "polynomial", "--seconds", 1)
refuse("schedule linear: expected a finite rate above 0 at batch 1000, found inf", "--schedule", "linear", "--lr", "1e308", "--batch", "100,1000")
refuse("schedule sqrt: expected a finite rate above 0 at batch 64", "--schedule", "constant,sqrt", "--lr", "1e308", "--batch", 64, "--base-batch", 1)
refuse("--target: expected accuracies like 97%", "--target", "0.97")
refuse("--target", "--target", "101%")
refuse("600", "--backend", "scalar", "--epochs", 1, "--images", 601)
refuse("600", "--backend", "scalar", "--epochs", 1, "--held-out", 600)
refuse("expected a backend that can train", "--precision", "bf16/f32", "--epochs", 1)
refuse("nosuch", "--epochs", 1, "--from", "nosuch")
refuse("torn", "--epochs", 1, "--from", "torn")
refuse("nothing", "--epochs", 1, "--from", "nothing")
refuse("--keep: no folder nodir/sub", "--epochs", 1, "--keep", "nodir/sub")
refuse("--keep: no folder torn", "--epochs", 1, "--keep", "torn")
refuse("run.jsonl: expected a record of `train`, found one of `run`", "--resume", "run.jsonl")
refuse("nosuch.jsonl", "--resume", "nosuch.jsonl")
refuse("--preset: expected a preset", "--preset", "nosuch")
refuse("--optimizer: expected one of", "--optimizer", "sgdm")
refuse("--momentum-form: expected one of lecture, pytorch", "--momentum-form", "goyal")
refuse("--backend: expected one of", "--backend", "nosuch")
refuse("--momentum", "--momentum", 1)
refuse("--swap-batch: expected a number from 1 to 2147483648, found \"2147483649\"", "--swap-batch", 2**31 + 1)
refuse("--epochs", "--epochs", 0)
# The parameters of another network are that training's error.
with open("presets/train/wide.ini", "w") as file:
    file.write(PRESET.replace("dense 16", "dense 17"))
wide = one(train("wide", "--preset", "wide", "--epochs", 1, "--from", f"source.kept/{os.listdir('source.kept')[0]}", code=5), "training")
expect(wide["status"] == "error" and "parameters" in wide["reason"], wide["status"], wide["reason"])

# ---- A full disk ----


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


batchmark("train", "--backend", "scalar", "--epochs", 1000, "-o", "disk.jsonl", code=8, says="cannot write", preexec_fn=limit_files)
expect(not os.path.exists("disk.jsonl"), "a torn record has the name of a finished one")
batchmark("train", "--backend", "scalar", "--epochs", 1, "-o", "export.jsonl", "--export", "csv=/dev/full", code=8, says="cannot write")
PYTHON
printf 'ok\n'
