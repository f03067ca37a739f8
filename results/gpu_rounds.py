#!/usr/bin/env python3
"""A backend of Batchmark and PyTorch on the same device, in interleaved rounds.

Each round visits both for every network, the first in turn: a whole `batchmark run`, checked, over the batch sizes, and
gpu_torch.py, which stays and is idle meanwhile. So clocks and temperature are the same for both. The rounds end when another
would not fit into the time limit. Each visit's quartiles and samples are lines of the file, which gpu_summary.py reads.

    results/gpu_rounds.py --backend vulkan --work mlp=1,1000 --work c1=100 --time-limit 120 -o rounds.jsonl

Without --python, or where PyTorch does not start, only Batchmark is visited and the exit code is 1.
"""
import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

SERIES = ("update", "pipelined", "updates")
SAMPLES_MAX = 100
START_S = 90  # for PyTorch to load


class Peer:
    """gpu_torch.py in a process of its own."""

    def __init__(self, arguments):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu_torch.py")
        self.process = subprocess.Popen([arguments.python, script, "--serve", "--device", arguments.torch_device],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.rest = b""
        self.facts = next(self.lines(START_S, until="facts"), None)

    def lines(self, seconds, until):
        """What it says, up to the line of that kind, which is the last; less if it ends or takes longer."""
        deadline = time.monotonic() + seconds
        while True:
            line, newline, rest = self.rest.partition(b"\n")
            if newline:
                self.rest = rest
                found = json.loads(line)
                yield found
                if found["kind"] == until:
                    return
                continue
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            read = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not read:
                return
            self.rest += read

    def visit(self, model, batches, seconds, limit):
        wish = {"model": model, "batches": batches, "seconds": seconds}
        try:
            self.process.stdin.write(json.dumps(wish).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return
        for line in self.lines(limit, until="done"):
            if line["kind"] == "done":
                return
            yield line
        yield {"arm": "torch", "model": model, "batch": None, "status": "error", "reason": self.last_words()}

    def last_words(self):
        """Why it said nothing more; ends it."""
        self.process.kill()
        said = self.process.communicate()[1].decode(errors="replace").strip().splitlines()
        return said[-1][:300] if said else "it took too long or ended without a word"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def thin(series):
    """A series without most of its samples."""
    if not series:
        return None
    samples = series["samples_ns"]
    step = max(1, -(-len(samples) // SAMPLES_MAX))
    kept = {key: series[key] for key in ("median_ns", "q1_ns", "q3_ns", "count", "block", "rounds", "stopped")}
    return {**kept, "samples_ns": samples[::step]}


def visit_backend(arguments, model, batches, limit):
    """One `batchmark run`: its cells."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "run.jsonl")
        words = [arguments.batchmark, "run", "--backend", arguments.backend, "--model", model, "--batch",
                 ",".join(map(str, batches)), "--cell-time", arguments.cell_time, "--epoch-time", "1ms", "--roofline", "none",
                 "--time-limit", f"{limit:.0f}s", "-o", file]
        if model in arguments.configs:
            words += ["--config", arguments.configs[model]]
        try:
            done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                                  timeout=limit + 30)
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            said = "it took longer than its time limit"
        lines = []
        for name in (file, file + ".partial"):
            if os.path.exists(name):
                with open(name, encoding="utf-8") as opened:
                    lines = [json.loads(line) for line in opened if line.endswith("\n")]
    cells = [line for line in lines if line["kind"] == "cell"]
    for cell in cells:
        yield {"arm": cell["label"], "model": model, "batch": cell["batch"], "status": cell["status"],
               "reason": cell["reason"], "flops": cell["bound"]["flops"], "device_name": cell["device_name"],
               "check": cell["check"], "describe": cell["plugin"]["describe"],
               **{name: thin(cell[name]) for name in SERIES}}
    if not cells:
        yield {"arm": arguments.backend, "model": model, "batch": None, "status": "error", "reason": said}


class Rounds:
    def __init__(self, arguments, out):
        self.arguments = arguments
        self.out = out
        self.begun = time.monotonic()
        self.lost = 0
        self.peer = None

    def write(self, line):
        self.out.write(json.dumps(line) + "\n")
        self.out.flush()

    def left(self):
        return self.arguments.time_limit - (time.monotonic() - self.begun)

    def open_peer(self):
        if self.arguments.python is None:
            self.write({"kind": "torch", "schema": 1, "status": "skipped", "reason": "no Python with PyTorch"})
            return
        peer = Peer(self.arguments)
        if peer.facts:
            self.peer = peer
            self.write(peer.facts)
        else:
            self.write({"kind": "torch", "schema": 1, "status": "error", "reason": peer.last_words()})
            self.lost += 1

    def visits(self, side, model, batches):
        limit = max(45, self.left())
        if side == "ours":
            return visit_backend(self.arguments, model, batches, limit)
        return self.peer.visit(model, batches, self.arguments.seconds, limit) if self.peer else ()

    def round(self, number):
        sides = ["ours", "torch"] if number % 2 == 0 else ["torch", "ours"]
        for model, batches in self.arguments.works:
            for side in sides:
                for visit in self.visits(side, model, batches):
                    self.write({**visit, "kind": "visit", "schema": 1, "round": number})
                    if visit["status"] not in ("ok", "unsupported", "skipped"):
                        self.lost += 1
                        print(f"{visit['arm']}, {model}, batch {visit['batch']}: {visit['status']}: {visit['reason']}",
                              file=sys.stderr)
                if self.peer and self.peer.process.poll() is not None:
                    self.peer = None

    def all(self):
        self.open_peer()
        longest = 0
        for number in range(self.arguments.rounds):
            before = self.left()
            if before < 1.1 * longest:
                break
            self.round(number)
            longest = max(longest, before - self.left())
            print(f"round {number + 1}: {before - self.left():.0f} s", file=sys.stderr)


def stop(number, frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batchmark", default="build/batchmark")
    parser.add_argument("--backend", default="vulkan")
    parser.add_argument("--work", action="append", default=[], metavar="MODEL=BATCHES", help="may be repeated")
    parser.add_argument("--config", action="append", default=[], metavar="MODEL=FILE.ini", help="for its data set")
    parser.add_argument("--python", help="the interpreter that has PyTorch")
    parser.add_argument("--torch-device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--rounds", type=int, default=7, help="at most")
    parser.add_argument("--seconds", type=float, default=0.25, help="of PyTorch's timed updates in each of the two ways")
    parser.add_argument("--cell-time", default="1600ms", help="of Batchmark's cells")
    parser.add_argument("--time-limit", type=float, default=120, help="in seconds")
    parser.add_argument("-o", "--output", required=True)
    arguments = parser.parse_args()
    arguments.works = [(model, [int(b) for b in batches.split(",")])
                       for model, batches in (work.split("=", 1) for work in arguments.work or ["mlp=1,10,100,1000"])]
    arguments.configs = dict(pair.split("=", 1) for pair in arguments.config)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with open(arguments.output, "w", encoding="utf-8") as out:
        rounds = Rounds(arguments, out)
        rounds.write({"kind": "rounds", "schema": 1, "work": arguments.work, "seconds": arguments.seconds,
                      "cell_time": arguments.cell_time, "backend": arguments.backend})
        try:
            rounds.all()
        except KeyboardInterrupt:
            return 130
        finally:
            if rounds.peer:
                rounds.peer.close()
    return 1 if rounds.lost else 0


if __name__ == "__main__":
    sys.exit(main())
