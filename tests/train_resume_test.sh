#!/usr/bin/env bash
# A training that is interrupted or killed goes on, by --resume, to the bits in which an uninterrupted one ends; one whose worker
# dies is that row's verdict, and the others go on. A timed cell takes seconds: the short form loses no worker where one thread of
# two is timed, and has the cells of a SWAP that is resumed in its record.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
PYTHONPATH=$BM_TEST_SOURCE_DIR/tests/support PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import os
import shutil
import time

from train_runs import *

SABOTEUR = ["--backend", "saboteur", *plugin("saboteur", "saboteur")]
# Two trainings, the first of which takes 96 updates, with points at 0, 16, ..., 96, each of two evaluations, the last of three.
WORDS = [*SABOTEUR, "--epochs", 6, "--seed", "1,2", "--keep", "kept", "--target", "50%,99%"]
INT, KILL = 2, 9


def sabotaged(plan, *words, code):
    with open("token", "w"):
        pass
    out = batchmark("train", *words, environment={"SABOTAGE": plan, "SABOTAGE_TOKEN": os.path.abspath("token")}, code=code)
    expect(not os.path.exists("token"), plan, "did not happen")
    return out


def forget(name):
    """What a run of that name left."""
    for file in os.listdir("."):
        if file.startswith(name):
            os.remove(file)
    shutil.rmtree("kept", ignore_errors=True)


def resume(what, name, had_ended=False):
    """Goes on, and is then like the run that was not interrupted, but for the noise at the end of a training that had ended: its
    last state was not kept."""
    batchmark("train", "--resume", f"{name}.jsonl", *plugin("saboteur", "saboteur"), "--keep", "kept")
    found = found_by(read(f"{name}.jsonl"))
    expected = [o for o in WHOLE if not (had_ended and o["kind"] == "noise" and o["at"] == "end")]
    for ours, theirs in zip(found, expected):
        expect(ours == theirs, what, "\nfound", ours, "\nexpected", theirs)
    expect(len(found) == len(expected), what, "found", len(found), "objects, expected", len(expected))
    expect(kept("kept") == WHOLE_BITS, what, "other bits")
    left = [file for file in os.listdir(".") if file.startswith(name) and file != f"{name}.jsonl"]
    expect(left == [], what, "left", left)


def measured(name):
    return [o for o in read(f"{name}.jsonl") if o["kind"] not in ("run", "end")]


def resume_finished(name, *words, code=0):
    """Nothing is measured again, counted less, or written twice."""
    before = measured(name)
    batchmark("train", "--resume", f"{name}.jsonl", *words, code=code)
    kinds = [[(o["kind"], o.get("status")) for o in objects] for objects in (measured(name), before)]
    expect(measured(name) == before, name, "found", kinds[0], "\nexpected", kinds[1])


batchmark("train", *WORDS, "-o", "whole.jsonl")
WHOLE = found_by(read("whole.jsonl"))
WHOLE_BITS = kept("kept")
expect(len(WHOLE_BITS) == 2, WHOLE_BITS.keys())
expect(len([o for o in WHOLE if o["kind"] == "epoch"]) == 14, "points of two trainings")

# ---- Ctrl-C ----

# In an update, in the first and the last of an epoch, in the evaluation at the start, in the middle and at the end, and in the
# second training. (The noise of the gradient is measured with updates of no number.)
for plan in ("update 37", "update 17", "update 16", "update 96", "evaluate 1", "evaluate 2", "evaluate 7", "evaluate 8", "evaluate 13", "evaluate 15"):
    forget("stopped")
    out = sabotaged(f"{plan} parent {INT}", *WORDS, "-o", "stopped.jsonl", code=130)
    expect("--resume stopped.jsonl goes on" in out, "no word on how to go on:", out)
    expect(os.path.exists("stopped.jsonl.partial") and not os.path.exists("stopped.jsonl"), plan, "the partial record is not there")
    had_ended = of(read("stopped.jsonl.partial"), "training") != []
    expect(had_ended == (plan in ("update 96", "evaluate 13", "evaluate 15")), plan, "ended a training, or did not")
    expect(os.path.exists("stopped.jsonl.checkpoint") != had_ended, plan, "a checkpoint is there, or is not")
    if os.path.exists("stopped.jsonl.checkpoint"):
        state = Checkpoint("stopped.jsonl.checkpoint").header
        expect(0 < state["update"] - 1 < 96 and state["details"]["updates"] == state["update"] - 1, plan, state)
    resume(plan, "stopped", had_ended)

# ---- Checkpoints that are missing, torn, another's ----

forget("other")
sabotaged(f"update 40 parent {INT}", *SABOTEUR, "--epochs", 7, "-o", "other.jsonl", code=130)
os.rename("other.jsonl.checkpoint", "foreign")
forget("stopped")
sabotaged(f"update 37 parent {INT}", *WORDS, "-o", "stopped.jsonl", code=130)
for file in ("stopped.jsonl.partial", "stopped.jsonl.checkpoint"):
    shutil.copy(file, file.replace("stopped", "saved"))
with open("stopped.jsonl.checkpoint", "rb") as file:
    whole = file.read()
# Made by hand: the key of this training, and nothing to go on with; no key at all; details that make no sense.
hollow = Checkpoint("stopped.jsonl.checkpoint")
hollow.header["details"] = {"key": hollow.header["details"]["key"]}
hollow.write("hollow")
hollow.header["details"] = {}
hollow.write("bare")
short = Checkpoint("stopped.jsonl.checkpoint")
short.header["train_count"] -= 1
short.write("short")
states = {"missing": None, "torn": whole[:-1000], "empty": b"", "changed": whole[:600] + b"?" + whole[601:]}
for name in ("foreign", "hollow", "bare", "short"):
    with open(name, "rb") as file:
        states[name] = file.read()
for name, state in states.items():
    forget("stopped")
    shutil.copy("saved.jsonl.partial", "stopped.jsonl.partial")
    if state is not None:
        with open("stopped.jsonl.checkpoint", "wb") as file:
            file.write(state)
    resume(f"a checkpoint that is {name}", "stopped")

# A torn last line of the record, and none of the training's points.
forget("stopped")
with open("saved.jsonl.partial", "rb") as file:
    lines = file.read()
with open("stopped.jsonl.partial", "wb") as file:
    file.write(lines[:-30])
resume("a torn record", "stopped")
forget("stopped")
shutil.copy("saved.jsonl.checkpoint", "stopped.jsonl.checkpoint")
with open("stopped.jsonl.partial", "wb") as file:
    file.write(lines.splitlines(keepends=True)[0])
resume("a record without points", "stopped")

# A network that an ini file gave is in the record too.
with open("presets/train/wide.ini", "w") as file:
    file.write(PRESET.replace("dense 16", "dense 12"))
WIDE = [*SABOTEUR, "--preset", "wide", "--epochs", 6]
forget("stopped")
sabotaged(f"update 37 parent {INT}", *WIDE, "-o", "stopped.jsonl", code=130)
batchmark("train", "--resume", "stopped.jsonl", *plugin("saboteur", "saboteur"))
expect("dense 12" in one(read("stopped.jsonl"), "training")["layers"], "another network")
expect(found_by(read("stopped.jsonl")) == found_by(train("wide", *WIDE)), "another training")

# ---- Killed ----

for plan in ("update 37", "evaluate 4"):
    forget("killed")
    sabotaged(f"{plan} parent {KILL}", *WORDS, "-o", "killed.jsonl", code=-KILL)
    resume(f"{plan}, killed", "killed")

# The worker alone: its training is lost, the next one is made, and the noise after a training that was lost is none.
for plan in ("update 37", "evaluate 4"):
    forget("alone")
    sabotaged(f"{plan} worker {KILL}", *WORDS, "-o", "alone.jsonl", code=7)
    objects = read("alone.jsonl")
    lost, made = of(objects, "training")
    expect((lost["status"], made["status"]) == ("crashed", "ok") and "SIGKILL" in lost["reason"], plan, lost["status"], lost["reason"])
    expect(untimed(made) == [o for o in WHOLE if o["kind"] == "training"][1], plan, "the other training is another")
    expect([o["at"] for o in of(objects, "noise")] == ["start"], plan, of(objects, "noise"))

# ---- SWAP ----

SWAP = [*SABOTEUR, "--epochs", 2, "--swap", 2, "--swap-epochs", 3, "--batch", 250]
forget("swapping")
sabotaged(f"update 7 parent {INT}", *SWAP, "-o", "swapping.jsonl", code=130)
expect([file for file in os.listdir(".") if ".swap" in file] == [], "SWAP left", os.listdir("."))
batchmark("train", "--resume", "swapping.jsonl", *plugin("saboteur", "saboteur"))
# It was interrupted in a small-batch training, and the state before that is gone.
swap = one(read("swapping.jsonl"), "swap")
expect(swap["status"] == "skipped" and "was not kept" in swap["reason"], swap["status"], swap["reason"])
# A signal in the last evaluation of a final: of its average, which is not begun, nothing is said.
sabotaged(f"evaluate 7 parent {INT}", *SWAP, "-o", "ended.jsonl", code=130)
kinds = [o["kind"] for o in read("ended.jsonl.partial")]
expect((kinds.count("training"), kinds.count("swap")) == (1, 0), kinds)
# A worker that is lost where updates are timed, which have higher numbers than those of trainings (10 here) even where a busy
# machine has time for few, costs that cell.
SWAP = [*SABOTEUR, "--swap", 2, "--swap-batch", 50, "--swap-epochs", 1, "--batch", "250,500", "--epochs", 3, "--seed", "1,2"]
sabotaged(f"update 12 worker {KILL}", *SWAP, "-o", "averaged.jsonl", code=7)
whole = read("averaged.jsonl")
cells = [(c["batch"], c["threads"], c["status"]) for c in of(whole, "cell")]
expect(cells == [(250, 1, "crashed"), (500, 1, "ok")], cells)
expect({o["status"] for o in of(whole, "training")} == {"ok"}, "trainings beside a cell that was lost")
resume_finished("averaged", *plugin("saboteur", "saboteur"), code=7)
# An average that was finished stays: the record as an interruption in the second of four finals leaves it. The others have
# small-batch trainings of their own, also those of the same seed at the other batch size.
with open("averaged.jsonl", "rb") as file:
    lines = file.read().splitlines(keepends=True)
first = [o["kind"] for o in whole].index("swap")
expect(whole[first]["status"] == "ok", whole[first])
os.rename("averaged.jsonl", "averaged.whole")
with open("averaged.jsonl.partial", "wb") as file:
    timed = [] if "BM_TEST_WHOLE" in os.environ else [line for line, o in zip(lines, whole) if o["kind"] == "cell"]
    file.write(b"".join(lines[:first + 1] + timed))
batchmark("train", "--resume", "averaged.jsonl", *plugin("saboteur", "saboteur"), code=7 if timed else 0)
found = of(read("averaged.jsonl"), "swap")
expect([o["status"] for o in found] == ["ok"] * 4, "one average a batch size and seed:", found)
expect(found_by(read("averaged.jsonl")) == found_by(whole), "another record, expected", found_by(whole), "\nfound", found_by(read("averaged.jsonl")))

# ---- Nothing left to do ----

# A worker that is lost around a training counts as one that is lost in it: in the path of the first updates, in a small-batch
# training of SWAP, and where one thread of two is timed.
sabotaged(f"update 8 worker {KILL}", *SABOTEUR, "--trajectory", 8, "--epochs", 1, "-o", "path.jsonl", code=7)
objects = read("path.jsonl")
lost = one(objects, "trajectory")
expect(lost["status"] == "crashed" and "SIGKILL" in lost["reason"] and lost["updates"] == 7, lost)
expect(one(objects, "training")["status"] == "ok", "no training after a path that was lost")
SWAP = [*SABOTEUR, "--epochs", 2, "--swap", 2, "--swap-epochs", 3, "--batch", 250]
sabotaged(f"update 7 worker {KILL}", *SWAP, "-o", "small.jsonl", code=7)
objects = read("small.jsonl")
expect([o["status"] for o in of(objects, "training")] == ["ok", "crashed"], of(objects, "training"))
lost = one(objects, "swap")
expect((lost["status"], lost["reason"]) == ("crashed", "a small-batch training failed"), lost)
expect([file for file in os.listdir(".") if ".swap" in file] == [], "SWAP left", os.listdir("."))
resume_finished("small", *plugin("saboteur", "saboteur"), code=7)
if "BM_TEST_WHOLE" in os.environ:
    sabotaged(f"threads 1 worker {KILL}", *SABOTEUR, "--threads", 2, "--batch", "250,500", "--epochs", 3, "-o", "timed.jsonl", code=7)
    objects = read("timed.jsonl")
    cells = [(c["batch"], c["threads"], c["status"]) for c in of(objects, "cell")]
    expect(cells == [(250, 1, "crashed"), (250, 2, "ok"), (500, 1, "ok"), (500, 2, "ok")], cells)
    expect([o["status"] for o in of(objects, "training")] == ["ok", "ok"], "trainings beside a cell that was lost")
    resume_finished("timed", *plugin("saboteur", "saboteur"), code=7)
# Rows that fail their check: another check of them would find the same.
for fault, status, code in (("wrong_results", "wrong", 3), ("timeout", "timeout", 7)):
    bad = plugin("bad", f"bad_{fault}")
    training = one(train(fault, "--backend", f"bad_{fault}", *bad, "--epochs", 1, "--seed", "1,2", code=code), "training")
    expect(training["status"] == status, training["status"], training["reason"])
    resume_finished(fault, *bad, code=code)
# Parts of a batch that normalize alone are in the name of a timed cell's model.
cells = of(train("parts", "--batch", "25,50", "--micro-batch", 10, "--epochs", 1), "cell")
expect([(c["batch"], c["model"]) for c in cells] == [(25, "custom ghost-10"), (50, "custom ghost-10")], cells)
resume_finished("parts")
PYTHON
printf 'ok\n'
