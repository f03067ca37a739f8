#!/usr/bin/env python3
"""Compares trainings of `batchmark train` with PyTorch's own of torch_train.py.

Trainings are paired by model, data set, optimizer, batch, seed and rate: start and shuffles are then the same, and what is left
is arithmetic (and, with dropout, the masks). Only constant schedules and the final role, not a tuner's trials, are taken.

    results/compare_torch.py results/NAME/train.jsonl results/NAME/torch-train.jsonl

For each optimizer it prints a line of a markdown table: test accuracy after the last epoch of both, the mean over the seeds;
the mean paired difference, Batchmark less PyTorch, with its interval of 95 % (Student's t); and how far the two mean curves of
validation accuracy are apart where they are farthest, in units of the seeds' standard deviation at that epoch, of both sides
pooled. Two sets of n independent trainings of one kind would differ by about sqrt(2 / n) of it at any one epoch.
"""
import argparse
import json
import math
import statistics
import sys

KEY = ["model", "dataset", "optimizer", "batch", "rate"]
SEEDS_MIN = 5  # fewer say little about a spread
COVERAGE = 0.95


def fail(text):
    sys.exit(f"compare_torch.py: {text}")


# ---- Student's t ----

def t_inside(t, freedom):
    """P(-t < T < t) for a whole number of degrees of freedom: Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    term = cosine if freedom % 2 else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(3 if freedom % 2 else 2, freedom - 1, 2):
        term *= (k - 1) / k * cosine ** 2
        total += term
    if freedom % 2:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def t_quantile(coverage, freedom):
    """The t with P(-t < T < t) = coverage, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_inside(middle, freedom) < coverage else (low, middle)
    return high


# ---- Reading ----

def read_lines(path):
    """The objects of a file; a torn last line, which an interrupted run leaves, is no object."""
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines(keepends=True)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            continue
        try:
            yield number, json.loads(line)
        except ValueError:
            fail(f"{path}: line {number}: expected a JSON object, found {line[:60].decode(errors='replace')!r}")


def is_wanted(found):
    """The ends of epochs of final trainings: not their start, which only Batchmark tells, and not points inside an epoch."""
    return (found["kind"] == "epoch" and found["schedule"] == "constant" and found.get("role", "final") == "final"
            and found["epoch"] > 0 and found.get("fraction", 0) == 0)


def read_trainings(path):
    """{(backend, key, seed): {epoch: object}} of the trainings that were finished, which a test accuracy tells."""
    trainings = {}
    for number, found in read_lines(path):
        if not is_wanted(found):
            continue
        name = (found["backend"], tuple(found[field] for field in KEY), found["seed"])
        curve = trainings.setdefault(name, {})
        if found["epoch"] in curve:
            fail(f"{path}: line {number}: expected one training of {describe(name)}, found epoch {found['epoch']} again")
        curve[found["epoch"]] = found
    finished = {name: curve for name, curve in trainings.items() if curve[max(curve)]["test"]}
    if len(finished) < len(trainings):
        print(f"{path}: {len(trainings) - len(finished)} unfinished trainings are left out", file=sys.stderr)
    return finished


def describe(name):
    backend, key, seed = name
    return ", ".join([backend] + [f"{field} {value}" for field, value in zip(KEY, key)] + [f"seed {seed}"])


# ---- Comparing ----

def check_pair(name, ours, theirs):
    """Equal epochs with equal numbers of updates, or the two were not trained alike."""
    counts = [[(epoch, curve[epoch]["updates"]) for epoch in sorted(curve)] for curve in (ours, theirs)]
    if counts[0] != counts[1]:
        texts = [f"{found[-1][0]} epochs, {found[-1][1]} updates" for found in counts]
        fail(f"{describe(name)}: expected {texts[0]}, found {texts[1]} of PyTorch")


def pair(ours, theirs):
    """{(backend, key): [(curve, PyTorch's curve) a seed]}, and the names that have no counterpart."""
    pairs, single = {}, []
    by_key = {(key, seed): curve for (_, key, seed), curve in theirs.items()}
    used = set()
    for name in sorted(ours, key=str):
        backend, key, seed = name
        if (key, seed) not in by_key:
            single.append(name)
            continue
        check_pair(name, ours[name], by_key[key, seed])
        pairs.setdefault((backend, key), []).append((ours[name], by_key[key, seed]))
        used.add((key, seed))
    return pairs, single + [name for name in theirs if name[1:] not in used]


def final(curve):
    return curve[max(curve)]["test"]["accuracy"]


def difference(pairs):
    """Mean of the paired differences of the test accuracy and half the width of its interval (None of one seed)."""
    found = [final(a) - final(b) for a, b in pairs]
    if len(found) < 2:
        return found[0], None
    error = statistics.stdev(found) / math.sqrt(len(found))
    return statistics.mean(found), t_quantile(COVERAGE, len(found) - 1) * error


def farthest(pairs):
    """The largest difference of the mean validation curves in units of the seeds' deviation, and its epoch; None of one seed."""
    if len(pairs) < 2:
        return None
    found = []
    for epoch in sorted(pairs[0][0]):
        sides = [[pair[side][epoch]["validation"]["accuracy"] for pair in pairs] for side in (0, 1)]
        apart = abs(statistics.mean(sides[0]) - statistics.mean(sides[1]))
        deviation = math.sqrt((statistics.variance(sides[0]) + statistics.variance(sides[1])) / 2)
        found.append((apart / deviation if deviation > 0 else math.inf if apart > 0 else 0.0, epoch))
    return max(found, key=lambda one: one[0])


def percent(value, digits=2):
    return f"{100 * value:.{digits}f}"


def line(name, pairs):
    backend, key = name
    middle, half = difference(pairs)
    apart = farthest(pairs)
    interval = "- (one seed)" if half is None else f"{percent(middle - half)} to {percent(middle + half)}"
    words = [backend, *map(str, key), str(len(pairs)) + (" !" if len(pairs) < SEEDS_MIN else ""),
             percent(statistics.mean(final(a) for a, _ in pairs)), percent(statistics.mean(final(b) for _, b in pairs)),
             percent(middle), interval, "- (one seed)" if apart is None else f"{apart[0]:.2f} (epoch {apart[1]})"]
    return "| " + " | ".join(words) + " |"


def table(pairs):
    heading = ["backend", *KEY, "seeds", "test (%)", "PyTorch's (%)", "difference (points)", "95 % interval",
               "curves apart (deviations)"]
    lines = ["| " + " | ".join(heading) + " |", "|" + "--|" * 5 + "--:|" * (len(heading) - 5)]
    return "\n".join(lines + [line(name, pairs[name]) for name in sorted(pairs, key=lambda name: (name[1], name[0]))])


def remarks(pairs, single):
    few = sorted({len(found) for found in pairs.values() if len(found) < SEEDS_MIN})
    if few:
        counts = " or ".join(map(str, few))
        yield (f"! Only {counts} seed{'s' if few != [1] else ''}, fewer than {SEEDS_MIN}: neither the interval nor the deviation "
               "says much.")
    if any(name[1][2] in ("lars", "lamb") for name in pairs):
        yield "lars and lamb of PyTorch's side are written out (torch_train.py); PyTorch has neither."
    if any(name[1][0] == "c1" for name in pairs):
        yield "The masks of dropout of c1 are each side's own, so that its pairs share start and shuffles only."
    if single:
        yield f"Not compared, without a counterpart: {'; '.join(describe(name) for name in single)}."


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("batchmark", metavar="FILE_BATCHMARK", help="record of `batchmark train`")
    parser.add_argument("torch", metavar="FILE_TORCH", help="output of torch_train.py")
    arguments = parser.parse_args()
    ours, theirs = read_trainings(arguments.batchmark), read_trainings(arguments.torch)
    strange = sorted({name[0] for name in theirs} - {"pytorch"})
    if strange or not theirs:
        fail(f"{arguments.torch}: expected finished trainings of the backend pytorch, found {', '.join(strange) or 'none'}")
    pairs, single = pair(ours, theirs)
    if not pairs:
        fail(f"expected trainings that both files have, found {len(ours)} and {len(theirs)} without a counterpart")
    print(table(pairs))
    for remark in remarks(pairs, single):
        print(f"\n{remark}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
