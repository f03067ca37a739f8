#!/usr/bin/env python3
"""Batchmark's backends against PyTorch as its users run it, in interleaved rounds.

Each round visits, in an order shuffled from the seed, every backend (a whole `batchmark run`, checked, for one batch size)
and every Python interpreter given (this file again as the peer: the same network, optimizer and order of work, on bytes that
it makes up, the gather included). The sample of an arm is one figure a round, the median of that visit; ratios are paired by
round.

    results/peers.py --ours avx512 --rivals torch --python debian=/usr/bin/python3 --versus torch=torch,debian \\
        -o results/NAME/peers-mlp.jsonl

The settings of the peer are its environment: give them with --env NAME:KEY=VALUE, NAME being that of --python.
Prints a markdown table; every visit with its samples is a line of the file.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

from networks import MODELS, build


def peer(arguments):
    """One visit of the peer: blocks of updates until `seconds` have passed, as JSON on standard output."""
    import torch

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    shape, layers = MODELS[arguments.model]
    count = 60000 if arguments.model != "c1" else 50000
    images = torch.randint(0, 256, [count] + shape, dtype=torch.uint8)
    labels = torch.randint(0, 10, [count])
    network = build(torch, shape, layers)
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, foreach=True)
    order = torch.randperm(count)
    batch = min(arguments.batch, count)
    first = 0

    def update():
        nonlocal first
        if first + batch > count:
            first = 0
        chosen = order[first:first + batch]
        first += batch
        x = images.index_select(0, chosen).to(torch.float32).mul_(1 / 255.0).sub_(0.2860)
        y = labels.index_select(0, chosen)
        if arguments.model != "c1":
            x = x.flatten(1)
        loss_of(network(x), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        update()
    samples = []
    start = time.perf_counter_ns()
    while len(samples) < 5 or (time.perf_counter_ns() - start < arguments.seconds * 1e9 and len(samples) < 2000):
        before = time.perf_counter_ns()
        update()
        samples.append(time.perf_counter_ns() - before)
    step = max(1, len(samples) // 400)
    print(json.dumps({"median_ns": statistics.median(samples), "samples_ns": samples[::step], "count": len(samples),
                      "torch": torch.__version__, "threads": torch.get_num_threads(), "blas": mapped_blas()}))


def mapped_blas():
    """Names of the BLAS libraries that this process has mapped."""
    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if ".so" in line}
    wanted = ("blas", "blis", "mkl", "dnnl", "mkldnn")
    return sorted({os.path.join(os.path.basename(os.path.dirname(f)), os.path.basename(f))
                   for f in files if any(w in os.path.basename(f).lower() for w in wanted)})


def visit_backend(arguments, name, batch, ini):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "run.jsonl")
        words = [arguments.batchmark, "run", "--backend", name, "--model", arguments.model, "--batch", str(batch),
                 "--threads", str(arguments.threads), "--seed", str(arguments.seed), "--time-limit", arguments.time_limit,
                 "--cell-time", f"{arguments.seconds}s", "--epoch-time", "10ms", "-o", file]
        if arguments.model == "c1":
            words += ["--dataset", "cifar10"]
        if ini:
            words += ["--config", ini]
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        with open(file) as lines:
            objects = [json.loads(line) for line in lines]
    cell = next(o for o in objects if o["kind"] == "cell")
    update = cell["update"]
    return {"arm": name, "status": cell["status"], "reason": cell["reason"], "bound": cell.get("bound"),
            "median_ns": update["median_ns"] if update else None, "samples_ns": update["samples_ns"] if update else [],
            "describe": cell["plugin"]["describe"], "host": next(o for o in objects if o["kind"] == "run")["host"]}


def visit_python(arguments, name, batch):
    environment = dict(os.environ)
    for setting in arguments.env:
        owner, pair = setting.split(":", 1)
        if owner == name:
            key, value = pair.split("=", 1)
            environment[key] = value
    words = [arguments.pythons[name], os.path.abspath(__file__), "--peer", "--model", arguments.model, "--batch", str(batch),
             "--threads", str(arguments.threads), "--seed", str(arguments.seed), "--seconds", str(arguments.seconds)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {"arm": name, "status": "error", "reason": last, "median_ns": None, "samples_ns": []}
    return {"arm": name, "status": "ok", "reason": "", **json.loads(done.stdout)}


def interval(values):
    """Median and extremes; of eight or more without the outermost on either side."""
    ordered = sorted(values)
    k = 1 if len(ordered) >= 8 else 0
    return statistics.median(ordered), ordered[k], ordered[-1 - k]


def medians(visits, batch, arm):
    return {v["round"]: v["median_ns"] for v in visits if v["batch"] == batch and v["arm"] == arm and v["median_ns"]}


def shares(visits, batch, arm):
    found = [v["bound"]["share"] for v in visits if v["batch"] == batch and v["arm"] == arm and v.get("bound")]
    known = [share for share in found if share]
    return f"{100 * statistics.median(known):.0f} %" if known else "-"


def ratio(visits, batch, ours, rivals):
    """The fastest of the rivals in each round, divided by ours: median, least and largest."""
    own = medians(visits, batch, ours)
    theirs = [medians(visits, batch, arm) for arm in rivals]
    found = [min(t[r] for t in theirs if r in t) / own[r] for r in own if any(r in t for t in theirs)]
    if not found:
        return "-"
    middle, low, high = interval(found)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def table(visits, arms, ours, groups, batches):
    heading = [f"{arm} (ms)" for arm in arms] + [f"{arm}, of the bound" for arm in ours]
    heading += [f"{name} / {arm}" for name in groups for arm in ours]
    lines = ["| batch | " + " | ".join(heading) + " |", "|--:|" + "--:|" * len(heading)]
    for batch in batches:
        cells = []
        for arm in arms:
            found = medians(visits, batch, arm)
            cells.append(f"{statistics.median(found.values()) / 1e6:.4g}" if found else "-")
        cells += [shares(visits, batch, arm) for arm in ours]
        cells += [ratio(visits, batch, arm, rivals) for rivals in groups.values() for arm in ours]
        lines.append(f"| {batch} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="avx512,avx2", help="backends that are compared, by commas")
    parser.add_argument("--rivals", default="", help="backends that they are compared with; NAME+FILE.ini for settings")
    parser.add_argument("--versus", action="append", default=[], help="NAME=ARM,ARM: the fastest of these, divided by ours")
    parser.add_argument("--python", action="append", default=[], help="NAME=INTERPRETER of a peer; may be repeated")
    parser.add_argument("--env", action="append", default=[], help="NAME:KEY=VALUE for a peer; may be repeated")
    parser.add_argument("--model", default="mlp", choices=sorted(MODELS))
    parser.add_argument("--batch", default="1,10,100,1000,10000,60000")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of timed updates in a visit")
    parser.add_argument("--time-limit", default="10m", help="of one `batchmark run`")
    parser.add_argument("--batchmark", default="build/batchmark")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output")
    arguments = parser.parse_args()
    if arguments.peer:
        arguments.batch = int(arguments.batch)
        return peer(arguments)
    arguments.pythons = dict(pair.split("=", 1) for pair in arguments.python)
    ours = arguments.ours.split(",")
    words = ours + [word for word in arguments.rivals.split(",") if word]
    backends = dict((word.split("+", 1) + [None])[:2] for word in words)
    arms = list(backends) + list(arguments.pythons)
    groups = {name: rivals.split(",") for name, rivals in (word.split("=", 1) for word in arguments.versus)}
    batches = [int(word) for word in arguments.batch.split(",")]
    visits = []
    shuffler = random.Random(arguments.seed)
    with open(arguments.output, "w") if arguments.output else open(os.devnull, "w") as out:
        settings = {key: value for key, value in vars(arguments).items() if key not in ("pythons", "python", "output", "peer")}
        out.write(json.dumps({"kind": "peers", "schema": 1, **settings}) + "\n")
        for batch in batches:
            for round_number in range(arguments.rounds):
                for arm in shuffler.sample(arms, len(arms)):
                    found = (visit_python(arguments, arm, batch) if arm in arguments.pythons
                             else visit_backend(arguments, arm, batch, backends[arm]))
                    visits.append({"kind": "visit", "schema": 1, "batch": batch, "round": round_number, **found})
                    out.write(json.dumps(visits[-1]) + "\n")
                    out.flush()
                    if found["status"] != "ok":
                        print(f"{arm}, batch {batch}: {found['status']}: {found['reason']}", file=sys.stderr)
        print(table(visits, arms, ours, groups, batches))
    return 0


if __name__ == "__main__":
    sys.exit(main())
