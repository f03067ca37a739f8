#!/usr/bin/env bash
# results/compare_torch.py on made trainings whose means, intervals and distances are known, and what it refuses.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

python3 -B - "$BM_TEST_SOURCE_DIR/results" "$work" <<'PYTHON'
import json, os, subprocess, sys

results, work = sys.argv[1:]
sys.path.insert(0, results)
import compare_torch


def fail(text):
    sys.exit("compare_torch_test: " + text)


def epochs(backend, optimizer, seed, validation, test, **fields):
    """The curve of a training: one object an epoch."""
    return [{"kind": "epoch", "schema": 1, "backend": backend, "model": "mlp", "dataset": "mnist", "optimizer": optimizer,
             "schedule": "constant", "batch": 100, "seed": seed, "rate": 0.05, "role": "final", "epoch": i + 1,
             "updates": 550 * (i + 1), "seconds": 1, "train": {"loss": 1, "accuracy": accuracy},
             "validation": {"loss": 1, "accuracy": accuracy},
             "test": {"loss": 1, "accuracy": test} if i + 1 == len(validation) else None, **fields}
            for i, accuracy in enumerate(validation)]


def run(ours, theirs, tail=""):
    for name, lines in (("ours", ours), ("theirs", theirs)):
        with open(os.path.join(work, name), "w") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return subprocess.run([sys.executable, "-B", os.path.join(results, "compare_torch.py"), os.path.join(work, "ours"),
                           os.path.join(work, "theirs")], capture_output=True, text=True)


def row(text, optimizer):
    found = [line.strip("|").split("|") for line in text.splitlines() if f"| {optimizer} |" in line]
    if len(found) != 1:
        fail(f"expected one row of {optimizer}, found {text}")
    return [word.strip() for word in found[0]]


def expect(done, code, *parts):
    if done.returncode != code or not all(part in done.stdout + done.stderr for part in parts):
        fail(f"expected status {code} and {parts}, found {done}")
    if code and len(done.stderr.splitlines()) != 1:
        fail(f"expected one line, found {done.stderr}")


# Quantiles of Student's t as tables print them.
for freedom, expected in ((1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042)):
    found = compare_torch.t_quantile(0.95, freedom)
    if abs(found - expected) > 6e-4:
        fail(f"t of {freedom} degrees of freedom: expected {expected}, found {found}")

# Differences of 0.1 to 0.5 points: mean 0.3, deviation 0.158, half the interval 2.776 * 0.158 / sqrt(5) = 0.196. The curves
# are 1 deviation apart at epoch 1 (0.0158 of 0.0158) and 2 at epoch 2.
spread = [0.01, 0.02, 0.03, 0.04, 0.05]
step = compare_torch.statistics.stdev(spread)
ours = [line for i, s in enumerate(spread) for line in epochs("avx2", "adam", i + 1, [0.5 + s, 0.6 + s], 0.97 + s / 10)]
theirs = [line for i, s in enumerate(spread)
          for line in epochs("pytorch", "adam", i + 1, [0.5 + s + step, 0.6 + s - 2 * step], 0.97)]
ours += epochs("avx2", "lars", 1, [0.5, 0.6], 0.9)
theirs += epochs("pytorch", "lars", 1, [0.5, 0.6], 0.8)
# What must not be counted: trials of a tuner, other schedules, another rate, an unfinished training, a torn line.
ours += epochs("avx2", "adam", 1, [0.1, 0.1], 0.1, role="tune") + epochs("avx2", "adam", 1, [0.1, 0.1], 0.1, schedule="step")
ours += epochs("avx2", "adam", 1, [0.1, 0.1], 0.1, rate=0.1) + epochs("avx2", "sgd", 1, [0.1, 0.1], 0.1)[:1]
done = run(ours, theirs, tail='{"kind": "epo')
expect(done, 0, "1 unfinished", "rate 0.1, seed 1", "written out", "fewer than 5")
found = row(done.stdout, "adam")[6:]
if found != ["5", "97.30", "97.00", "0.30", "0.10 to 0.50", "2.00 (epoch 2)"]:
    fail(f"adam: found {found}")
found = row(done.stdout, "lars")[6:]
if found != ["1 !", "90.00", "80.00", "10.00", "- (one seed)", "- (one seed)"]:
    fail(f"lars: found {found}")
only_five = run(ours[:10], theirs[:10])
if "fewer than 5" in only_five.stdout or "written out" in only_five.stdout:
    fail(f"a remark too much: {only_five.stdout}")

two = epochs("avx2", "adam", 1, [0.5, 0.6], 0.9)
expect(run(two, epochs("pytorch", "adam", 1, [0.5], 0.9)), 1, "expected 2 epochs, 1100 updates, found 1 epochs, 550 updates")
expect(run(two, epochs("pytorch", "adam", 2, [0.5, 0.6], 0.9)), 1, "without a counterpart")
expect(run(two + two, epochs("pytorch", "adam", 1, [0.5, 0.6], 0.9)), 1, "line 3", "found epoch 1 again")
expect(run(two, epochs("torch", "adam", 1, [0.5, 0.6], 0.9)), 1, "expected finished trainings of the backend pytorch")
expect(run(two, two, tail="nonsense\n"), 1, "line 3: expected a JSON object")
PYTHON
