#!/usr/bin/env python3
"""How often `batchmark compare` is right: gates of builds whose difference is known, counted.

    results/gates.py --machine NAME [--backend avx2] [--build build] [PART...]
    results/gates.py --machine NAME --program ./batchmark --plugins BASE.so HEAD.so [--batch 1,1000] [PART...]

Each part is a number of gates for some batch sizes, one after the other, on a machine that does nothing else:

    equal     two builds that differ in the order of their code alone, --no-identical: 100 a size
    slower-5  a delay of 5 %, --threshold 2%: 50 a size
    slower-2  a delay of 2 %, --threshold 0.5%: 50 a size
    slower-1  a delay of 1 %, --threshold 0.2%, one thread: 50 a size
    loaded-*  each of these, 20 a size, beside a process that loads the first core half of the time

What a gate found is a line of results/NAME/gates-PART.jsonl, and results/NAME/gates.md counts them. An interrupted part goes on
where it was; one that is complete is not repeated. --gates N makes fewer of each.

Where nothing can be linked, as on the host of a GPU, --plugins names the two builds that `equal` compares, and the first of them
is what is slowed down; --link-only, where there is a build, makes the second.
"""
import argparse
import collections
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD_S = 0.5
PARTS = {
    "equal": {"gates": 100, "batches": (1, 100, 1000), "threads": 2, "threshold": "2%", "delay": None},
    "slower-5": {"gates": 50, "batches": (1, 100, 1000), "threads": 2, "threshold": "2%", "delay": "5%"},
    "slower-2": {"gates": 50, "batches": (1, 100, 1000), "threads": 2, "threshold": "0.5%", "delay": "2%"},
    "slower-1": {"gates": 50, "batches": (1, 100), "threads": 1, "threshold": "0.2%", "delay": "1%"},
}
PARTS.update({f"loaded-{name}": {**part, "gates": 20} for name, part in PARTS.items()})


def fail(text):
    sys.exit(f"gates: {text}")


def relink(build, backend, folder):
    """The build's plugin, linked again with its object files in the opposite order."""
    target = f"plugins/bm_{backend}.so"
    listed = subprocess.run(["ninja", "-C", build, "-t", "commands", target], capture_output=True, text=True, check=False)
    if listed.returncode:
        fail(f"{build}: expected a build by ninja with {target}, found: {listed.stderr.strip().splitlines()[-1]}")
    line = listed.stdout.splitlines()[-1]
    words = shlex.split(re.sub(r"^: && (.*) && :$", r"\1", line))
    objects = [word for word in words if word.endswith(".o")]
    if len(objects) < 2 or target not in words:
        fail(f"expected a command that links {target}, found: {line[:200]}")
    head = os.path.join(folder, f"bm_{backend}.so")
    turned = iter(reversed(objects))
    subprocess.run([next(turned) if word in objects else head if word == target else word for word in words], cwd=build, check=True)
    with open(head, "rb") as one, open(os.path.join(build, target), "rb") as other:
        if one.read() == other.read():
            fail(f"{target}: expected other bytes from another order, found the same")
    return head


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]


class Load:
    """A process that uses the first core half of the time, copying and adding, and ends with this one, whatever ends it."""

    def __init__(self, is_wanted):
        work = ("import os, time\n"
                "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
                "block = bytearray(1 << 22)\n"
                f"while os.getppid() == {os.getpid()}:\n"
                f"    end = time.monotonic() + {LOAD_S}\n"
                "    while time.monotonic() < end:\n"
                "        sum(bytes(block)[:1 << 16])\n"
                f"    time.sleep({LOAD_S})\n")
        self.process = subprocess.Popen([sys.executable, "-c", work]) if is_wanted else None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process:
            self.process.kill()
            self.process.wait()


def gate(arguments, part, batch, plugins, number):
    """One comparison: its `compare` object as a `gate`, with what a reader needs beside it."""
    with tempfile.TemporaryDirectory() as folder:
        record = os.path.join(folder, "compare.jsonl")
        words = [arguments.program, "compare", *shlex.split(arguments.compare), "--batch", str(batch),
                 "--threads", str(part["threads"]), "--threshold", part["threshold"], "--seed", str(number + 1),
                 "--machine", arguments.machine, "-o", record]
        words += (["--self-test", plugins[0], "--delay", part["delay"]] if part["delay"]
                  else ["--no-identical", *plugins])
        begun = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        found = [line for line in lines_of(record) if line["kind"] == "compare"]
        if len(found) != 1:
            fail(f"expected one cell from {shlex.join(words)}, found {len(found)}, exit code {done.returncode}: "
                 f"{(done.stderr.strip().splitlines() or ['-'])[-1]}")
        return {**found[0], "kind": "gate", "gate": number, "batch": batch, "gate_s": round(time.monotonic() - begun, 2),
                "load": list(os.getloadavg())}


def run(arguments, name, part, plugins):
    path = os.path.join(arguments.folder, f"gates-{name}.jsonl")
    made = collections.Counter(line["batch"] for line in lines_of(path))
    count = min(part["gates"], arguments.gates or part["gates"])
    with open(path, "a", encoding="utf-8") as out, Load(name.startswith("loaded-")):
        # Sizes take turns, so that an interrupted part has some of each.
        for number in range(count):
            for batch in arguments.batch or part["batches"]:
                if made[batch] > number:
                    continue
                found = gate(arguments, part, batch, plugins, number)
                out.write(json.dumps(found) + "\n")
                out.flush()
                print(f"{name}, batch {batch}, {number + 1} of {count}: {found['verdict']}, {found['gate_s']:.0f} s",
                      file=sys.stderr)


def percent(value):
    return "-" if value is None else f"{100 * value:+.2f} %"


def row(name, batch, gates):
    verdicts = collections.Counter(found["verdict"] for found in gates)
    seconds = [found["gate_s"] for found in gates]
    ratios = [found["ratio"] - 1 for found in gates if found["ratio"]]
    seen = [found["sensitivity"] for found in gates if found["sensitivity"]]
    kinds = ("PASS", "REGRESSION", "IMPROVEMENT", "INCONCLUSIVE")
    cells = [name, batch, len(gates), *(verdicts[kind] for kind in kinds), len(gates) - sum(verdicts[kind] for kind in kinds),
             percent(statistics.median(ratios) if ratios else None), percent(statistics.median(seen) if seen else None),
             f"{statistics.median(seconds):.0f} s", f"{max(seconds):.0f} s"]
    return "| " + " | ".join(map(str, cells)) + " |"


def summarize(arguments):
    heads = ("part", "batch", "gates", "PASS", "REGRESSION", "IMPROVEMENT", "INCONCLUSIVE", "others", "slower by, median",
             "finds in 9 of 10, median", "time, median", "longest")
    text = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for name in PARTS:
        found = lines_of(os.path.join(arguments.folder, f"gates-{name}.jsonl"))
        for batch in sorted({line["batch"] for line in found}):
            of_size = [line for line in found if line["batch"] == batch]
            text.append(row(name, batch, of_size))
    with open(os.path.join(arguments.folder, "gates.md"), "w", encoding="utf-8") as out:
        out.write("\n".join(text) + "\n")
    print("\n".join(text))


def sizes(text):
    return [int(size) for size in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", required=True, help="folder of results/ to write to")
    parser.add_argument("--backend", default="avx2")
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build"), help="made by ninja (default: build)")
    parser.add_argument("--program", default="", help="default: batchmark of the build")
    parser.add_argument("--plugins", nargs=2, metavar=("BASE", "HEAD"), help="default: the backend of the build, and linked again")
    parser.add_argument("--link-only", metavar="FILE", help="the backend of the build, linked again, and nothing else")
    parser.add_argument("--batch", type=sizes, metavar="LIST", help="1,1000: instead of the part's sizes")
    parser.add_argument("--compare", default="", metavar="OPTIONS", help="more options of `batchmark compare`")
    parser.add_argument("--gates", type=int, default=0, help="at most so many for each size")
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*PARTS, []], help="default: all")
    arguments = parser.parse_args()
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", arguments.machine):
        fail(f"expected --machine NAME, found \"{arguments.machine}\"")
    arguments.folder = os.path.join(HERE, arguments.machine)
    arguments.program = arguments.program or os.path.join(arguments.build, "batchmark")
    try:
        with tempfile.TemporaryDirectory() as folder:
            plugins = arguments.plugins or (os.path.join(arguments.build, "plugins", f"bm_{arguments.backend}.so"),
                                            relink(arguments.build, arguments.backend, folder))
            if arguments.link_only:
                shutil.copy(plugins[1], arguments.link_only)
                return 0
            os.makedirs(arguments.folder, exist_ok=True)
            for name in arguments.parts or PARTS:
                run(arguments, name, PARTS[name], plugins)
    except KeyboardInterrupt:
        summarize(arguments)
        return 130
    summarize(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
