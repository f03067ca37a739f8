#!/usr/bin/env python3
"""A page of markdown from the records that ci/gpu-host leaves in a folder.

    results/gpu_summary.py FOLDER > FOLDER/summary.md

Reads checks.jsonl, lecture.jsonl, sweep.jsonl, rounds.jsonl, cpu.jsonl and environment.txt, as far as they are there.
"""
import argparse
import json
import os
import statistics
import sys

# Multiprocessors, where PyTorch does not tell; the longest name that fits counts.
MULTIPROCESSORS = {"H100 PCIe": 114, "H100 80GB HBM3": 132, "H100 NVL": 132, "H200": 132, "A100": 108, "L40S": 142, "L4": 58,
                   "A10": 72}
LANES = {"7.0": 64, "7.5": 64, "8.0": 64}  # of float32 in a multiprocessor; others have 128
SERIES = ("gradient", "apply", "update", "pipelined", "updates")
KNEE = 2.0


def read(folder, name):
    """The objects of a file; a torn last line is left out."""
    path = os.path.join(folder, name)
    found = []
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
    return found


def cells_of(objects):
    return [o for o in objects if o.get("kind") == "cell"]


def duration(ns):
    if ns is None:
        return "-"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:.0f} {unit}"
    return f"{ns:.3g} ns"


def table(heading, rows):
    lines = ["| " + " | ".join(map(str, heading)) + " |", "|---|" + "--:|" * (len(heading) - 1)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def median_of(cell, series):
    return cell[series]["median_ns"] if cell and cell.get(series) else None


def with_quartiles(series):
    if not series:
        return "-"
    return f"{duration(series['median_ns'])} ({duration(series['q1_ns'])} to {duration(series['q3_ns'])})"


# ---- The device ----


def environment(folder):
    """The "key: value" lines of environment.txt."""
    path = os.path.join(folder, "environment.txt")
    pairs = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, colon, value = line.strip().partition(": ")
                if colon:
                    pairs.setdefault(key, value)
    return pairs


def peak(known, facts):
    """FLOP/s in float32 at the highest clock, and how it was reckoned; None where something is not known."""
    name = known.get("gpu name", "")
    fitting = [key for key in MULTIPROCESSORS if key in name]
    count = facts.get("multiprocessors") or (MULTIPROCESSORS[max(fitting, key=len)] if fitting else None)
    try:
        clock = float(known.get("gpu clocks.max.sm", "").split()[0])
    except (IndexError, ValueError):
        clock = None
    if not count or not clock:
        return None, "not known"
    lanes = LANES.get(known.get("gpu compute_cap", facts.get("capability", "")), 128)
    return 2e6 * count * lanes * clock, f"{count} multiprocessors x {lanes} lanes x 2 x {clock:.0f} MHz"


# ---- Checks ----


def check_lines(objects):
    cells = cells_of(objects)
    if not cells:
        return ["No check was recorded.", ""]
    states = [c["status"] for c in cells]
    counts = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
    ratios = [c["check"].get("ratio") for c in cells if c["check"].get("ratio") is not None]
    lines = [f"{len(cells)} cells: {counts}."]
    if ratios:
        lines.append(f"Largest error: {max(ratios):.2g} of its bound.")
    for cell in cells:
        if cell["status"] not in ("ok", "skipped", "unsupported"):
            what = f"{cell['layers']}, {cell['optimizer']}, batch {cell['batch']}"
            lines.append(f"- **{cell['status']}**: {what}: {cell['reason']}")
    return lines + [""]


# ---- What Batchmark measured ----


def rates(cell, highest):
    """GFLOP/s of an update and its share of the peak, by the fastest of the three ways to ask for one."""
    best = min((median_of(cell, s) for s in ("update", "pipelined", "updates") if median_of(cell, s)), default=None)
    if best is None:
        return "-", "-"
    rate = cell["bound"]["flops"] / best * 1e9
    text = f"{rate / 1e9:.0f}" if rate > 1e11 else f"{rate / 1e9:.3g}"
    return text, f"{100 * rate / highest:.3g} %" if highest else "-"


def groups_of(cells):
    """Cells by (label, model), in the order of their appearance."""
    groups = {}
    for cell in cells:
        groups.setdefault((cell["label"], cell["model"]), []).append(cell)
    return groups


def lecture_lines(objects, highest):
    lines = []
    for (label, model), cells in groups_of(cells_of(objects)).items():
        rows = []
        for cell in cells:
            epoch = cell["epoch"]
            seconds = "-" if not epoch else ("" if epoch["measured"] else "~") + duration(1e9 * epoch["seconds"])
            what = [duration(median_of(cell, s)) for s in SERIES] + [seconds, *rates(cell, highest)]
            rows.append([cell["batch"], *what, "" if cell["status"] == "ok" else f"{cell['status']}: {cell['reason']}"])
        lines += [f"### {model}, {cells[0]['dataset']}, {cells[0]['optimizer']}, {label}", ""]
        lines += table(["batch", *SERIES, "epoch", "GFLOP/s", "of the peak", ""], rows)
    return lines


def sweep_lines(objects):
    lines = []
    for (label, model), cells in groups_of(cells_of(objects)).items():
        rows = []
        for cell in cells:
            update = median_of(cell, "update")
            speed = f"{cell['batch'] / update * 1e9:.3g}" if update else "-"
            rows.append([cell["batch"], with_quartiles(cell["update"]), with_quartiles(cell["updates"]), speed])
        lines += [f"### {model}, {label}", ""] + table(["batch", "update", "updates", "images/s"], rows)
    return lines


def cpu_lines(objects):
    cells = cells_of(objects)
    batches = sorted({c["batch"] for c in cells})
    labels = list(dict.fromkeys(c["label"] for c in cells))
    rows = []
    for label in labels:
        found = {c["batch"]: c for c in cells if c["label"] == label}
        rows.append([label] + [duration(median_of(found.get(b), "update")) for b in batches])
    return table(["one update, batch", *batches], rows) if rows else []


# ---- Against PyTorch ----


class Visits:
    """The visits of one network, by (arm, batch): what each round saw."""

    def __init__(self, objects, model):
        self.found = {}
        for visit in objects:
            if visit.get("kind") == "visit" and visit["model"] == model and visit["status"] == "ok":
                self.found.setdefault((visit["arm"], visit["batch"]), {})[visit["round"]] = visit

    def arms(self):
        return list(dict.fromkeys(arm for arm, _ in self.found))

    def batches(self):
        return sorted({batch for _, batch in self.found})

    def rounds(self, arms, batch, series):
        """The fastest of the arms and series in each round."""
        fastest = {}
        for arm in arms:
            for number, visit in self.found.get((arm, batch), {}).items():
                for name in series:
                    median = median_of(visit, name)
                    if median and median < fastest.get(number, float("inf")):
                        fastest[number] = median
        return fastest

    def text(self, arm, batch, series):
        """Median of the rounds, and quartiles: medians of the rounds' quartiles."""
        rounds = [v[series] for v in self.found.get((arm, batch), {}).values() if v.get(series)]
        if not rounds:
            return "-"
        return with_quartiles({key: statistics.median(r[key] for r in rounds) for key in ("median_ns", "q1_ns", "q3_ns")})

    def ratio(self, ours, theirs, batch, own_series, series):
        """Ours over theirs, paired by round: median, least and largest."""
        own, other = self.rounds([ours], batch, own_series), self.rounds(theirs, batch, series)
        found = sorted(own[r] / other[r] for r in own if r in other)
        return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})" if found else "-"


def rounds_lines(objects):
    lines = []
    for model in dict.fromkeys(o["model"] for o in objects if o.get("kind") == "visit"):
        visits = Visits(objects, model)
        arms = visits.arms()
        ours = [a for a in arms if not a.startswith("torch")]
        theirs = [a for a in arms if a.startswith("torch")]
        if not arms:
            continue
        ways = [(a, s) for a in ours for s in ("update", "pipelined", "updates")]
        ways += [(a, s) for a in theirs for s in ("update", "pipelined")]
        rows = [[b] + [visits.text(a, b, s) for a, s in ways] for b in visits.batches()]
        lines += [f"### {model}: one update", ""] + table(["batch"] + [f"{a} {s}" for a, s in ways], rows)
        if not theirs:
            continue
        heading = ["batch"]
        for arm in ours:
            heading += [f"{arm} / {t}, {w}" for t in theirs for w in ("wait", "pipelined")]
            heading += [f"{arm} / the faster, {w}" for w in ("wait", "pipelined")]
        rows = []
        for b in visits.batches():
            row = [b]
            for arm in ours:
                for group in [[t] for t in theirs] + [theirs]:
                    row.append(visits.ratio(arm, group, b, ["update"], ["update"]))
                    row.append(visits.ratio(arm, group, b, ["pipelined", "updates"], ["pipelined"]))
            rows.append(row)
        count = len({v["round"] for found in visits.found.values() for v in found.values()})
        lines += [f"### {model}: ours / PyTorch", "",
                  f"Below 1: ours is faster. Paired by round ({count}), median with least and largest. Pipelined: the faster of ours `pipelined` and `updates` against PyTorch's.", ""]
        lines += table(heading, rows)
    return lines


def trouble_lines(objects):
    """What of the rounds was not well."""
    lines = []
    for found in objects:
        status = found.get("status", "ok")
        if found.get("kind") == "torch":
            lines.append(f"PyTorch: {status}: {found['reason']}")
        elif found.get("kind") == "visit" and status != "ok":
            lines.append(f"{found['arm']}, {found['model']}, batch {found['batch']}: {status}: {found['reason']}")
    return [f"- {line}" for line in dict.fromkeys(lines)] + ([""] if lines else [])


# ---- In short ----


def knee(cells):
    """The largest batch of those from the smallest on whose update costs at most KNEE times the smallest's."""
    known = sorted((c["batch"], median_of(c, "update")) for c in cells if median_of(c, "update"))
    reached = None
    for batch, ns in known:
        if ns > KNEE * known[0][1]:
            break
        reached = batch
    return reached


def short_lines(lecture, sweep, highest):
    rows = []
    for (label, model), cells in groups_of(cells_of(lecture)).items():
        at = {c["batch"]: c for c in cells}
        first, thousand = at.get(min(at)), at.get(1000)
        for series, words in (("update", "update with wait"), ("updates", "update in `updates`")):
            low, high = median_of(first, series), median_of(thousand, series)
            rows.append([f"{model}, {label}: {words} at {min(at)}", duration(low)])
            if thousand:
                times = f" ({high / low:.2f} times that at {min(at)})" if low and high else ""
                rows.append([f"{model}, {label}: {words} at 1000", duration(high) + times])
        for batch in (10000, 60000):
            if batch in at:
                rate, share = rates(at[batch], highest)
                rows.append([f"{model}, {label}: at {batch}", f"{rate} GFLOP/s, {share} of the float32 peak"])
    for (label, model), cells in groups_of(cells_of(sweep)).items():
        first = min(c["batch"] for c in cells)
        rows.append([f"{model}, {label}: knee, the largest batch at most {KNEE:g} times batch {first}", knee(cells) or "-"])
    return table(["in short", ""], rows) if rows else []


def heading_lines(known, lecture, facts, highest, how):
    run = next((o for o in lecture if o.get("kind") == "run"), {})
    device = next((c["device_name"] for c in cells_of(lecture) if c.get("device_name")), known.get("gpu name", "no device"))
    lines = [f"# {device}", "", f"Batchmark {run.get('version', '?')}, revision {run.get('revision', '?')}; "
             f"{run.get('host', {}).get('cpu', 'unknown processor')}; driver {known.get('gpu driver_version', '-')}."]
    if highest:
        lines.append(f"Float32 peak: {highest / 1e12:.1f} TFLOP/s ({how}).")
    if facts:
        lines.append(f"PyTorch {facts['torch']} on {facts.get('name', facts['device'])}; a large float32 matrix product "
                     f"there: {facts['product_flops'] / 1e12:.2f} TFLOP/s; TF32 for matrix products {facts.get('tf32_matmul', '-')}, "
                     f"for cuDNN {facts.get('tf32_cudnn', '-')}.")
    steps = [[key[len("step "):], *value.split(", ")] for key, value in known.items() if key.startswith("step ")]
    if steps:
        lines += ["", *table(["step", "exit code", "time"], steps)[:-1]]
    return lines + [""]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    names = ("checks", "lecture", "sweep", "rounds", "cpu")
    checks, lecture, sweep, rounds, cpu = (read(folder, f"{name}.jsonl") for name in names)
    known = environment(folder)
    facts = next((o for o in rounds if o.get("kind") == "facts"), {})
    highest, how = peak(known, facts)
    lines = heading_lines(known, lecture, facts, highest, how)
    parts = [("In short", short_lines(lecture, sweep, highest)), ("Checks", check_lines(checks)),
             ("Against PyTorch, in interleaved rounds", rounds_lines(rounds) + trouble_lines(rounds)),
             ("All series", lecture_lines(lecture, highest)), ("Every power of two", sweep_lines(sweep)),
             ("The processor of this host", cpu_lines(cpu))]
    for title, part in parts:
        if part:
            lines += [f"## {title}", "", *part]
    sys.stdout.write("\n".join(lines).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
