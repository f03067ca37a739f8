#!/usr/bin/env bash
# `batchmark landscape escape`: pictures whose numbers agree with one another, paths and counts of what must hold, a network at a
# saddle, the weighted sum, parts by choice, a backend that dies.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
PYTHONPATH=$BM_TEST_SOURCE_DIR/tests/support PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import math

from train_runs import *

os.makedirs("presets/landscape", exist_ok=True)
# Ten classes of four noisy pixels: three hidden units do not fit them, and come to rest.
SMALL = PRESET.replace("1x6x6", "1x2x2").replace("classes = 4", "classes = 10").replace("dense 4", "dense 10")
with open("presets/landscape/lecture.ini", "w") as preset:
    preset.write(SMALL)

SEEDS = 2


def escape(name, *words, backend="scalar", **more):
    batchmark("landscape", "escape", "--backend", backend, "--seed", "1,2", *words, "-o", f"{name}.jsonl", **more)
    return [o for o in read(f"{name}.jsonl") if o["kind"] == "landscape"]


def parts(objects, part, **fields):
    return [o for o in objects if o["part"] == part and all(o[k] == v for k, v in fields.items())]


def rule(o):
    return o["optimizer"], o["rate"], o["momentum"], o["batch"]


def near(a, b, tolerance=1e-6):
    return abs(a - b) <= tolerance * max(1, abs(a), abs(b))


def check_contour(o):
    count = o["x"]["count"] * (o["y"]["count"] if o["dimensions"] == 2 else 1)
    expect(len(o["values"]) == count, o["surface"], "has", len(o["values"]), "values")
    expect(all(math.isfinite(v) for v in o["values"]), o["surface"])
    lowest = min(c["value"] for c in o["critical"])
    expect(min(o["values"]) >= lowest - 1e-6, o["surface"], "is below its minimum")


def check_path(o):
    lengths = {len(o[k]) for k in ("points", "updates", "losses")}
    expect(lengths == {len(o["updates"])} and len(o["updates"]) <= 400, o["surface"], lengths)
    expect(o["updates"][0] == 0 and sorted(set(o["updates"])) == o["updates"], o["updates"])
    expect(all(e == u * o["examples_per_update"] for e, u in zip(o["examples"], o["updates"])), o["surface"], "examples")
    expect(near(o["end"]["loss"], o["losses"][-1], 1e-5), o["surface"], o["end"], o["losses"][-1])
    expect(o["end"]["kind"] == "moving" or o["end"]["gradient_norm"] <= 1e-6, o["end"])


def check_counts(objects):
    for o in objects:
        expect(o["runs"] == SEEDS and 0 <= o["yes"] <= SEEDS and o["share"]["value"] == o["yes"] / SEEDS, o)
        expect(o["share"]["low"] <= o["share"]["value"] <= o["share"]["high"], o["share"])
        expect((o["updates"] is None) == (o["yes"] == 0), o)


# ---- Surfaces, and the momentum as a sum ----

objects = escape("surfaces", "--part", "surfaces,weights")
expect({o["part"] for o in objects} == {"contour", "path", "count", "weights"}, "parts")
for contour in parts(objects, "contour"):
    check_contour(contour)
for path in parts(objects, "path"):
    check_path(path)
check_counts(parts(objects, "count"))


def yes(question, **fields):
    return [o["yes"] for o in parts(objects, "count", question=question, **fields)]


STEEP = {"optimizer": "sgd", "rate": 0.1}
expect(yes("crosses the hill", batch=None, **STEEP) == [0], "plain descent crosses the hill")
expect(yes("crosses the hill", batch=None, optimizer="sgd", rate=1) == [0], "nor with a longer step")
expect(yes("crosses the hill", batch=None, optimizer="momentum", rate=0.1) == [SEEDS], "momentum does not cross the hill")
expect(yes("crosses the hill", batch=1, **STEEP) == [SEEDS], "noise does not cross the hill")
expect(set(yes("leaves the ridge of the saddle", batch=None)) == {0}, "something leaves the ridge without noise")
expect(yes("leaves the saddle", batch=None, **STEEP) == [SEEDS], "plain descent stays at the saddle")
expect(len(yes("leaves the saddle")) == 18, "rules and noises")

weights = parts(objects, "weights")[0]
total = sum(c * g for c, g in zip(weights["coefficients"], weights["gradients"]))
expect(len(weights["coefficients"]) == weights["updates"] and near(total, weights["recursion"]), weights["recursion"], total)
expect(weights["difference"] < 1e-12 and abs(weights["recursion"]) > 1e-3, weights["difference"])
expect(near(weights["coefficients"][-1], -weights["rate"]), "the newest gradient's coefficient")

again = escape("again", "--part", "surfaces,weights")
expect(again == objects, "other numbers from the same seeds")

# ---- Twenty examples ----


def goes_up(path):  # by more than rounding
    return [b > a + 1e-6 for a, b in zip(path["losses"], path["losses"][1:])]



objects = escape("examples", "--part", "examples")
contour = parts(objects, "contour")[0]
check_contour(contour)
expect(contour["check"]["difference"] < 1e-5, "the backend's loss is not the formula's", contour["check"])
paths = parts(objects, "path")
expect([o["examples_per_update"] for o in paths] == [20, 20, 1, 1] and len(objects) == 5, len(objects), "objects")
for path in paths:
    check_path(path)
    expect(path["asymmetry"] < 1e-5, "not antisymmetric", path["asymmetry"])
    expect(path["examples"][-1] == 20 * 60 and len(path["seconds"]) == len(path["updates"]), "examples")
    expect(path["seconds"] == sorted(path["seconds"]), "seconds")
full, _, single, tuned = paths
expect(full["rate"] == single["rate"], "not the same rate")
expect(not any(goes_up(full)), "the full batch goes up")
expect(near(full["losses"][-1], contour["critical"][0]["value"], 1e-4), "the full batch does not arrive")
expect(any(goes_up(single)), "batch 1 has no noise")
expect(tuned["losses"][-1] <= single["losses"][-1], "the best rate is worse")

# ---- A network at a saddle ----

objects = escape("saddle", "--part", "saddle", "--images", 300)
saddle = parts(objects, "saddle")[0]
expect(saddle["narrow"].startswith("dense 3,") and saddle["wide"].startswith("dense 6,"), saddle["narrow"], saddle["wide"])
expect(saddle["check"]["loss_difference"] < 1e-6, "doubling changes the loss", saddle["check"])
if saddle["status"] == "ok":
    expect(saddle["smallest"]["value"] < -saddle["smallest"]["error"], "no negative curvature", saddle["smallest"])
else:
    expect(saddle["status"] == "unsupported" and "arpack" in saddle["reason"].lower(), saddle["reason"])
counts = parts(objects, "count")
check_counts(counts)
expect(len({rule(o) for o in counts}) == 7, "rules", [rule(o) for o in counts])
for count in counts:
    runs = [o for o in parts(objects, "leave") if rule(o) == rule(count) and o["perturbation"] > 0]
    expect(len(runs) == SEEDS and sum(o["updates"] is not None for o in runs) == count["yes"], rule(count))
    for run in runs:
        expect(run["updates"] is None or run["curve"]["losses"][-1] < 0.9 * saddle["loss"], run["updates"])
        expect(run["batch"] or near(run["curve"]["losses"][0], saddle["loss"], 1e-4), "does not begin at the plateau")
controls = parts(objects, "leave", perturbation=0)
expect(len(controls) == 7 and all(o["updates"] is None for o in controls), "equal copies part by themselves")
left = [o["yes"] for o in counts if o["momentum"] > 0 and o["batch"] is None]
expect(left == [SEEDS], "momentum does not leave", left)

# ---- A backend that dies ----


# A sanitizer turns the signal into another end.
told = "SIGSEGV in update" if os.environ["BM_TEST_SANITIZE"] == "" else "in update"


def sabotaged(name, update):
    """The part of that name, whose worker dies once, in the update of that number."""
    with open("token", "w"):
        pass
    plan = {"SABOTAGE": f"update {update} worker 11", "SABOTAGE_TOKEN": os.path.abspath("token")}
    objects = escape(f"crashed_{name}", "--part", name, "--images", 300, *plugin("saboteur", "saboteur"), backend="saboteur",
                     environment=plan, code=7)
    crashed = parts(objects, objects[-1]["part"], status="crashed")
    expect(len(crashed) == 1 and told in crashed[0]["reason"], name, [(o["part"], o["status"], o["reason"]) for o in objects])
    return objects


# Only batch 1 gets as far as that; the training of the narrow network does.
expect([o["part"] for o in sabotaged("examples", 100)] == ["contour", "path", "path", "path"], "paths of the full batch")
expect([o["part"] for o in sabotaged("saddle", 300)] == ["saddle"], "a saddle")
PYTHON
