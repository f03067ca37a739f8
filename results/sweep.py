#!/usr/bin/env python3
"""Every batch size of a range, in interleaved rounds: is one slower than the next?

Each round is a whole `batchmark run` over all sizes; the figure of a size is the median over the rounds. Where a size is
slower than the next by more than the limit, both are run again with the sizes around them, and the table lists what was
found before and after: a pair is judged by rounds that both were in. The file holds each round's medians; --plot draws
them (with matplotlib), and --read FILE makes table and plot of an earlier sweep.

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


class Rounds:
    """What was measured: for each (backend, batch) the medians of the first rounds, and of those run again."""

    def __init__(self):
        self.first = {}
        self.again = {}

    def add(self, line):
        side = self.first if line["kind"] == "round" else self.again
        side.setdefault((line["backend"], line["batch"]), []).append(line["median_ns"])

    def best(self, key):
        """The rounds that count for a size alone."""
        return self.again.get(key) or self.first.get(key)

    def ratio(self, backend, batch, with_again):
        """A size's time over the next one's, from rounds that both were in; None where one was not measured."""
        sides = [self.again, self.first] if with_again else [self.first]
        for side in sides:
            pair = [side.get((backend, b)) for b in (batch, batch + 1)]
            if all(pair):
                return statistics.median(pair[0]) / statistics.median(pair[1])
        return None

    def inversions(self, backend, batches, limit, with_again=True):
        """Sizes that are slower than the next by more than the limit, with the ratio."""
        ratios = {b: self.ratio(backend, b, with_again) for b in batches}
        return {b: ratio for b, ratio in ratios.items() if ratio and ratio > 1 + limit}


def plot(rounds, backends, batches, file):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5))
    for backend in backends:
        known = [b for b in batches if rounds.best((backend, b))]
        series = [rounds.best((backend, b)) for b in known]
        axes.plot(known, [statistics.median(values) / 1e6 for values in series], label=backend, linewidth=1)
        quartiles = [statistics.quantiles(values * (1 if len(values) > 1 else 2), method="inclusive") for values in series]
        axes.fill_between(known, [q[0] / 1e6 for q in quartiles], [q[2] / 1e6 for q in quartiles], alpha=0.2)
    axes.set_xlabel("batch")
    axes.set_ylabel("one update (ms), median and quartiles of the rounds")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})


def measure(arguments, backends, batches):
    rounds = Rounds()
    with open(arguments.output, "w") as out:
        settings = {key: value for key, value in vars(arguments).items() if key not in ("output", "plot", "read")}

        def write(line):
            out.write(json.dumps(line) + "\n")
            out.flush()

        def add_rounds(kind, chosen):
            for number in range(arguments.rounds):
                for (backend, batch), ns in run_round(arguments, chosen):
                    line = {"kind": kind, "round": number, "backend": backend, "batch": batch, "median_ns": ns}
                    rounds.add(line)
                    write(line)

        write({"kind": "sweep", "schema": 1, **settings})
        add_rounds("round", batches)
        found = {b for backend in backends for b in rounds.inversions(backend, batches, arguments.limit)}
        again = sorted({b + d for b in found for d in (-1, 0, 1, 2)} & set(batches))
        if again:
            add_rounds("again", again)
    return rounds


def read(arguments):
    """An earlier sweep, whose settings it was made with replace the given ones."""
    rounds = Rounds()
    with open(arguments.read) as lines:
        for line in map(json.loads, lines):
            if line["kind"] == "sweep":
                vars(arguments).update({key: line[key] for key in ("backend", "batch", "limit")})
            else:
                rounds.add(line)
    return rounds


def print_table(rounds, backends, batches, limit):
    print("| backend | batch | slower than the next | after running it again |\n|---|--:|--:|--:|")
    for backend in backends:
        before = rounds.inversions(backend, batches, limit, with_again=False)
        after = rounds.inversions(backend, batches, limit)
        for b in sorted(set(before) | set(after)):
            text = [f"{100 * (found[b] - 1):.1f} %" if b in found else "no" for found in (before, after)]
            print(f"| {backend} | {b} | {text[0]} | {text[1]} |")


def parse_arguments():
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
    parser.add_argument("--read", metavar="FILE", help="measure nothing")
    parser.add_argument("-o", "--output", metavar="FILE")
    arguments = parser.parse_args()
    if (arguments.read is None) == (arguments.output is None):
        parser.error("expected one of --output and --read")
    return arguments


def main():
    arguments = parse_arguments()
    earlier = read(arguments) if arguments.read else None
    first, last = map(int, arguments.batch.split("-"))
    batches = list(range(first, last + 1))
    backends = arguments.backend.split(",")
    rounds = earlier or measure(arguments, backends, batches)
    print_table(rounds, backends, batches, arguments.limit)
    if arguments.plot:
        plot(rounds, backends, batches, arguments.plot)


if __name__ == "__main__":
    main()
