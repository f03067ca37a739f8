#!/usr/bin/env python3
"""Every batch size of a range, in interleaved rounds: is one slower than the next?

Each round is a whole `batchmark run` over all sizes; the figure of a size is the median over the rounds. Where a size is
slower than the next by more than the limit, both are run again with the sizes around them, and the table lists what was
found before and after. The file holds each round's medians; --plot draws them (with matplotlib).

    results/sweep.py --backend avx512 --batch 1-300 -o results/NAME/sweep.jsonl --plot results/NAME/sweep.svg
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile


BATCHES_MAX = 64  # that one run takes


def run_round(arguments, batches):
    """Runs over all sizes, as many at a time as a run takes: ((backend, batch), median of an update in ns) one by one."""
    for begin in range(0, len(batches), BATCHES_MAX):
        yield from sorted(run_piece(arguments, batches[begin:begin + BATCHES_MAX]).items())


def run_piece(arguments, batches):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "run.jsonl")
        words = [arguments.batchmark, "run", "--backend", arguments.backend, "--model", arguments.model, "--threads",
                 str(arguments.threads), "--batch", ",".join(map(str, batches)), "--cell-time", arguments.cell_time,
                 "--epoch-time", "1ms", "--time-limit", "1h", "--roofline", "none", "-o", file]
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if not os.path.exists(file):
            sys.exit(done.stderr.strip())
        with open(file) as lines:
            objects = [json.loads(line) for line in lines]
    return {(o["backend"], o["batch"]): o["update"]["median_ns"] for o in objects if o["kind"] == "cell" and o["update"]}


def inversions(figures, backend, batches, limit):
    """Sizes that are slower than the next by more than the limit, with the ratio."""
    middle = {b: statistics.median(figures[backend, b]) for b in batches if figures.get((backend, b))}
    pairs = [(b, middle[b] / middle[b + 1]) for b in batches if b in middle and b + 1 in middle]
    return {b: ratio for b, ratio in pairs if ratio > 1 + limit}


def plot(figures, backends, batches, file):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5))
    for backend in backends:
        known = [b for b in batches if figures.get((backend, b))]
        axes.plot(known, [statistics.median(figures[backend, b]) / 1e6 for b in known], label=backend, linewidth=1)
        axes.fill_between(known, [min(figures[backend, b]) / 1e6 for b in known],
                          [max(figures[backend, b]) / 1e6 for b in known], alpha=0.2)
    axes.set_xlabel("batch")
    axes.set_ylabel("one update (ms), median and extremes of the rounds")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="avx512,avx2")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--batch", default="1-300", help="FIRST-LAST")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=0.03)
    parser.add_argument("--cell-time", default="100ms")
    parser.add_argument("--batchmark", default="build/batchmark")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("-o", "--output", required=True)
    arguments = parser.parse_args()
    first, last = map(int, arguments.batch.split("-"))
    batches = list(range(first, last + 1))
    backends = arguments.backend.split(",")
    figures = {}
    with open(arguments.output, "w") as out:
        settings = {key: value for key, value in vars(arguments).items() if key not in ("output", "plot")}
        out.write(json.dumps({"kind": "sweep", "schema": 1, **settings}) + "\n")
        out.flush()

        def add_rounds(what, chosen):
            for number in range(arguments.rounds):
                for (backend, batch), ns in run_round(arguments, chosen):
                    figures.setdefault((backend, batch), []).append(ns)
                    out.write(json.dumps({"kind": what, "round": number, "backend": backend, "batch": batch,
                                          "median_ns": ns}) + "\n")
                    out.flush()

        add_rounds("round", batches)
        before = {backend: inversions(figures, backend, batches, arguments.limit) for backend in backends}
        again = sorted({b + d for found in before.values() for b in found for d in (-1, 0, 1, 2)} & set(batches))
        if again:
            for key in [(backend, b) for backend in backends for b in again]:
                figures.pop(key, None)
            add_rounds("again", again)
        after = {backend: inversions(figures, backend, batches, arguments.limit) for backend in backends}
    print("| backend | batch | slower than the next | after running it again |\n|---|--:|--:|--:|")
    for backend in backends:
        for b in sorted(set(before[backend]) | set(after[backend])):
            text = [f"{100 * (found[backend][b] - 1):.1f} %" if b in found[backend] else "no" for found in (before, after)]
            print(f"| {backend} | {b} | {text[0]} | {text[1]} |")
    if arguments.plot:
        plot(figures, backends, batches, arguments.plot)


if __name__ == "__main__":
    main()
