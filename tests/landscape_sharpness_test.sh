#!/usr/bin/env bash
# The records of `batchmark landscape sharpness`: which objects there are and whether their figures agree, the same network
# re-scaled, pairs of batch sizes, a subspace, missing libraries, a limit of time.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cd "$work"
PYTHONPATH=$BM_TEST_SOURCE_DIR/tests/support PYTHONDONTWRITEBYTECODE=1 python3 - <<'PYTHON'
import ctypes
import math
import os
import sys

from train_runs import *

LIBRARIES = {"liblbfgsb.so.0": "liblbfgsb0", "libnlopt.so.0": "libnlopt0"}
os.makedirs("presets/landscape", exist_ok=True)
with open("presets/landscape/lecture.ini", "w") as file:
    text = PRESET.replace("batch = 32\n", "batch = 32,250\n").replace("dense 16, batchnorm, relu", "dense 8, batchnorm, relu, dense 6, relu")
    file.write(text.replace("[synthetic]", "epochs = 2\nloss-images = 120\nsubspace = 5\nseed = 1,2\n[synthetic]"))
for library in LIBRARIES:
    try:
        ctypes.CDLL(library)
    except OSError as reason:
        print("skipped:", reason)
        sys.exit(77)


def landscape(name, *words, **more):
    batchmark("landscape", "sharpness", "--backend", "scalar", *words, "-o", f"{name}.jsonl", **more)
    return [o for o in read(f"{name}.jsonl") if o["kind"] == "landscape" and o["analysis"] == "sharpness"]


def parts(objects, name, **fields):
    return of(objects, "landscape", part=name, **fields)


def near(a, b, tolerance=1e-5):  # a record has nine digits, and phi is a difference
    return abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-3)


def check_ascent(found, limit):
    expect(found["after"][0] == 0 and len(found["after"]) == found["evaluations"] <= limit, "evaluations of", found)
    expect(found["steps"] <= 10 and found["ended"], "steps of", found)
    expect(near(found["value"], 100 * (found["highest"] - found["loss"]) / (1 + found["loss"])), "phi of", found)
    expect(near(found["value"], max(found["after"])), "the highest of", found)


def check_value(found):
    expect(found["status"] == "ok" and found["method"] == "L-BFGS-B" and found["images"] == 120, found)
    check_ascent(found, 40)
    expect([other["method"] for other in found["beside"]] == ["NLopt LD_LBFGS", "corners"], found["beside"])
    for other, limit in zip(found["beside"], (40, 8)):
        check_ascent(other, limit)
        expect(other["loss"] == found["loss"], "another loss in", other)


# ---- Values ----

objects = landscape("a")
points = ["batch 32, seed 1", "batch 250, seed 1", "batch 32, seed 2", "batch 250, seed 2"]
for space, dimensions, scaled, epsilons in (("full", 394, 1, (1e-3, 5e-4)), ("subspace", 5, 1, (1e-3, 5e-4)), ("full", 394, 4, (1e-3,))):
    for epsilon in epsilons:
        found = parts(objects, "sharpness", space=space, epsilon=epsilon, scaled=scaled)
        expect(sorted(f["point"] for f in found) == sorted(points), "points of", space, epsilon, [f["point"] for f in found])
        for value in found:
            check_value(value)
            expect(value["dimensions"] == dimensions and value["draw"] == (1 if space == "subspace" else None), value)
            expect(value["value"] > 0 and value["columns"] == ("standard normal" if space == "subspace" else None), value)
            expect((value["function_change"] is None) == (scaled == 1), value)
            if scaled != 1:  # not a bit of the function changes, but the sharpness does
                plain = one(objects, "landscape", part="sharpness", space=space, epsilon=epsilon, scaled=1, point=value["point"])
                expect(value["function_change"] == 0 and value["loss"] == plain["loss"], "re-scaling changed", value)
                expect(value["value"] > 1.1 * plain["value"], "as sharp as before:", value, plain)
for point in points:  # a larger box holds the smaller one
    values = [one(objects, "landscape", part="sharpness", space="full", epsilon=e, scaled=1, point=point)["value"] for e in (1e-3, 5e-4)]
    expect(values[0] > values[1], "sharper in the smaller box:", values)

# ---- Pairs ----

comparisons = parts(objects, "comparison")
expect([c["method"] for c in comparisons] == ["L-BFGS-B", "highest of all"] * 4, [c["method"] for c in comparisons])
expect(any(c["small"] != d["small"] for c, d in zip(comparisons[::2], comparisons[1::2])), "no method found more than another")
for found in comparisons:
    def phi(batch):
        points = [one(objects, "landscape", part="sharpness", space=found["space"], epsilon=found["epsilon"], scaled=1, batch=batch,
                      training_seed=seed) for seed in (1, 2)]
        if found["method"] == "L-BFGS-B":
            return [point["value"] for point in points]
        return [max([point["value"]] + [other["value"] for other in point["beside"]]) for point in points]
    expect((found["pairs"], found["small_batch"], found["large_batch"], found["paper"]) == (2, 32, 250, None), found)
    expect(found["small"] == phi(32) and found["large"] == phi(250), "pairs of", found)
    logs = [math.log(large / small) for small, large in zip(found["small"], found["large"])]
    mean, half = sum(logs) / 2, 12.7062047 * abs(logs[0] - logs[1]) / 2  # t of one degree of freedom
    expected = [math.exp(mean), math.exp(mean - half), math.exp(mean + half)]
    expect(all(near(found["ratio"][k], e) for k, e in zip(("value", "low", "high"), expected)), found["ratio"], expected)
    expect(found["agrees"] == (True if expected[1] > 1 else False if expected[2] < 1 else None), found)

# ---- Lines ----

lines = parts(objects, "filter_line")
expect([line["point"] for line in lines] == points, "lines of", [line["point"] for line in lines])
for line in lines:
    expect(line["status"] == "ok" and len(line["t"]) == len(line["losses"]) == 25 and (line["t"][0], line["t"][12]) == (-1, 0), line)
    at_point = one(objects, "landscape", part="sharpness", space="full", epsilon=1e-3, scaled=1, point=line["point"])
    expect(near(line["losses"][12], at_point["loss"]) and 0 < line["width"] <= 2, line)
    limit = 2 * line["losses"][12] + 0.1
    halves = [line["losses"][:13], line["losses"][12:]]
    expect(line["at_least"] == any(all(loss < limit for loss in half) for half in halves), "width of", line)

# ---- One batch size, no relu, no subspace ----

one_size = landscape("b", "--batch", "32", "--seed", "1", "--subspace", "0", "--epsilon", "1e-3", "--layers", "dense 5, batchnorm, dense 4",
                     "--model", "custom")
expect([o["part"] for o in one_size] == ["sharpness", "sharpness", "filter_line"], [o["part"] for o in one_size])
expect(one_size[1]["status"] == "unsupported" and "expected a relu" in one_size[1]["reason"] and one_size[1]["value"] is None, one_size[1])

# ---- Without the libraries ----

for missing in (["liblbfgsb.so.0"], ["libnlopt.so.0"], list(LIBRARIES)):
    folder = os.path.abspath("no " + " ".join(missing))
    os.mkdir(folder)
    for library in missing:
        open(os.path.join(folder, library), "w").close()
    found = landscape("c", "--batch", "32", "--seed", "1", "--subspace", "0", "--epsilon", "1e-3", environment={"LD_LIBRARY_PATH": folder})
    first = found[0]
    if len(missing) == 2:
        expect(first["status"] == "unsupported" and "liblbfgsb0" in first["reason"] and first["value"] is None, first)
        expect(found[-1]["part"] == "filter_line" and found[-1]["status"] == "ok", found[-1])
    else:
        other = LIBRARIES[missing[0]]
        expect(first["status"] == "ok" and first["method"] == ("NLopt LD_LBFGS" if other == "liblbfgsb0" else "L-BFGS-B"), first)
        expect(any(other in b.get("reason", "") and b["value"] is None for b in first["beside"]), "nothing about", other, first["beside"])
    os.remove("c.jsonl")
PYTHON
