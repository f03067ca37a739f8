#!/usr/bin/env python3
"""Made-up records of every kind that `batchmark report` reads, plausible and always the same.

usage: report_records.py [--cells N] OUT_DIR

Writes into OUT_DIR:
  alpha-run.jsonl  machine `alpha`: five backends, one of them a GPU with device times, on two models; among the cells a wrong,
                   a skipped, an unsteady, a crashed one, extrapolated epochs, and a backend that computes nothing
  beta-run.jsonl   machine `beta`: two backends, the same first model, on another processor and build
  train.jsonl      three optimizers, two batch sizes, five seeds: targets, budgets, tuning, noise, a training that diverged
  compare.jsonl    two builds, a cell of each common verdict
  history.jsonl    trends of four cells, one of which became slower and one of which is lost
  nightly/         thirty runs of `gamma` of three cells, the level of one of which changes at the twentieth

With --cells, only large-run.jsonl: one machine, N cells.
"""
import json
import os
import random
import statistics
import sys

TWISTER = random.Random(8)
IMAGES = 60000
LAYERS = {
    "mlp": "dense 512, relu, dense 512, relu, dense 10",
    "f1": "dense 512, batchnorm, relu, " * 5 + "dense 10",
}
FLOPS = {"mlp": 3.2e6, "f1": 6.9e6}


def write(folder, name, objects):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for item in objects:
            file.write(json.dumps(item, separators=(",", ":")) + "\n")


def run_object(command, machine, started, **more):
    hosts = {
        "alpha": ("Example Alpha 8-Core", 8, ["sse2", "avx2", "avx512f"], "65536K"),
        "beta": ("Example Beta 4-Core", 4, ["neon"], "8192K"),
        "gamma": ("Example Gamma 2-Core", 2, ["sse2", "avx2"], "16384K"),
    }
    cpu, cores, isa, cache = hosts[machine]
    run = {
        "kind": "run", "schema": 1, "id": f"{machine}-{command}-{started}", "started": started,
        "command": f"batchmark {command} --preset lecture --machine {machine}", "seed": 1, "version": "0.1.0",
        "revision": "3117c53280d5" if machine == "alpha" else "88ab01f2c4d9", "machine": machine,
        "host": {
            "cpu": cpu, "isa": isa, "cores": cores, "processors": cores,
            "caches": {"L1 Data": "32K", "L2 Unified": "1024K", "L3 Unified": cache}, "memory_bytes": 33554432000,
            "kernel": "Linux 6.1.0", "architecture": "aarch64" if machine == "beta" else "x86_64", "governor": None,
            "governor_reason": "not told", "clock_source": "tsc", "load": [0.1, 0.2, 0.1],
        },
        "build": {"version": "0.1.0", "compiler": "12.2.0", "flags": "Release -O2 -DNDEBUG "},
        "options": {"model": "mlp", "dataset": "fashion-mnist", "optimizer": "momentum", "batch": "1,10,100", "threads": str(cores),
                    "settings": []},
        "in_process": False, "resumed": False,
        "data": {"name": "fashion-mnist", "shape": [1, 28, 28], "classes": 10, "train": IMAGES, "test": 10000, "files": []},
        "command_name": command, "roofline": None, "roofline_reason": "made up",
    }
    run.update(more)
    return run


def end_object(cells, seconds, left_out=""):
    return {"kind": "end", "schema": 1, "cells": cells, "seconds": seconds, "exit": 0, "left_out": left_out}


# ---- Cells ----


def quantile(values, q):
    values = sorted(values)
    at = q * (len(values) - 1)
    low = int(at)
    return values[low] + (at - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def series(level, noise=0.01, rounds=10, stopped="known to 1 %"):
    """A series of one sample for each of three turns of every round, its figures made as the program makes them."""
    samples = [round(level * TWISTER.lognormvariate(0, noise), 3) for _ in range(3 * rounds)]
    medians = [statistics.median(samples[i:i + 3]) for i in range(0, len(samples), 3)]
    middle = statistics.median(medians)
    return {
        "median_ns": middle, "q1_ns": quantile(samples, 0.25), "q3_ns": quantile(samples, 0.75), "min_ns": min(samples),
        "spread": (quantile(medians, 0.75) - quantile(medians, 0.25)) / (2 * middle), "low_ns": min(medians),
        "high_ns": max(medians), "count": len(samples), "block": 1, "rounds": rounds, "stopped": stopped, "cpu_ns": level,
        "repeatable": True, "round_counts": [3] * rounds, "samples_ns": samples,
    }


# name, device's name, fixed ns of an update, ns of an image, label
ALPHA = [
    ("null", "nothing", 40, 0, "null"),
    ("scalar", "Example Alpha 8-Core", 300000, 240000, "scalar"),
    ("avx2", "Example Alpha 8-Core", 90000, 14000, "avx2"),
    ("avx512", "Example Alpha 8-Core", 80000, 9000, "avx512"),
    ("vulkan", "Example GPU 16", 150000, 900, "vulkan:1"),
]
BETA = [("scalar", "Example Beta 4-Core", 500000, 400000, "scalar"), ("neon", "Example Beta 4-Core", 200000, 31000, "neon")]


def cell(row, model, batch, threads, noise=0.01, status="ok", reason="", optimizer="momentum", dataset="fashion-mnist"):
    backend, device, fixed, each, label = row
    weight = FLOPS[model] / FLOPS["mlp"]
    level = (fixed + each * batch) * weight
    nothing = backend == "null"
    is_gpu = backend == "vulkan"
    item = {
        "kind": "cell", "schema": 1, "backend": backend, "label": label, "device": 1 if is_gpu else 0, "device_name": device,
        "software": False, "computes_nothing": nothing, "model": model, "layers": LAYERS[model], "dataset": dataset,
        "optimizer": optimizer, "batch": batch, "requested_batch": batch, "full": batch == IMAGES, "threads": threads,
        "precision": "float32", "seed": 1, "micro_batch": 0, "data_parallel": 1, "devices": [0], "status": status,
        "refused": False, "reason": reason,
        "repro": f"batchmark run --backend {backend}:{1 if is_gpu else 0} --model {model} --dataset {dataset} "
                 f"--optimizer {optimizer} --batch {batch} --threads {threads} --precision float32 --seed 1 --lr 0.0001",
    }
    for name in ["gradient", "apply", "update", "pipelined", "updates", "device_gradient", "device_apply", "device_update",
                 "submission", "epoch"]:
        item[name] = None
    share = 0.9 * batch * FLOPS[model] / 1e3 / level if not nothing and not is_gpu else None
    item["bound"] = {
        "flops": FLOPS[model] * batch, "bytes": 1.1e7, "working_bytes": 5.3e6,
        "ns": share * level if share is not None else None, "share": share if status == "ok" else None,
        "level": None if share is None else "L3", "limit": None if share is None else "compute" if batch >= 100 else "memory",
        "reason": "the roofline is the processor's, and this device is another" if is_gpu else "",
    }
    item["check"] = {"status": "none", "max_error": None, "bound": None} if nothing else {
        "status": "wrong" if status == "wrong" else "ok", "determined": True, "max_error": 1.1e-9, "bound": 3.8e-9,
        "ratio": 4.2 if status == "wrong" else 0.29, "gradient_ratio": 0.2, "apply_ratio": 0.29, "update_ratio": 0.25,
    }
    item["plugin"] = {"name": backend, "sha256": f"{sum(backend.encode()):064x}", "version": "0.1.0",
                      "describe": f"isa={backend}\nthreads={threads}\nprecision=float32\nbatch_max={batch}\n"}
    item["properties"] = None
    item["memory"] = {"needed_bytes": 2.1e8, "peak_bytes": 2.2e8 + 3000.0 * batch, "ratio": 1.05}
    if status != "ok":
        return item
    for name, part in (("gradient", 0.8), ("apply", 0.2), ("update", 1), ("pipelined", 0.96), ("updates", 0.94)):
        item[name] = series(level * part, noise, stopped="cell time" if noise > 0.05 else "known to 1 %")
    if is_gpu:
        for name, part in (("device_gradient", 0.6), ("device_apply", 0.15), ("device_update", 0.75)):
            item[name] = series(level * part, noise)
        rest = item["update"]["median_ns"] - item["device_update"]["median_ns"]
        item["submission"] = {"median_ns": rest, "low_ns": 0.98 * rest, "high_ns": 1.02 * rest, "rounds": 10}
    updates = -(-IMAGES // batch)
    seconds = 1e-9 * updates * item["pipelined"]["median_ns"]
    measured = seconds < 20
    item["epoch"] = {"seconds": seconds, "updates": updates, "measured": measured, "gap": 0.012 if measured else None}
    if measured:
        item["epoch"]["samples_s"] = [seconds]
    return item


def special(backend, batch):
    """What is not as it should be, by backend and batch size."""
    return {
        ("avx512", 10000): {"status": "wrong", "reason": "gradient: weight 1 of layer 3 is 4.2 times its error bound off"},
        ("scalar", 60000): {"status": "skipped", "reason": "needs about 48 s, and 12 s are left of the time limit"},
        ("vulkan", 60000): {"status": "crashed", "reason": "signal 11 in update"},
        ("avx2", 1): {"noise": 0.2},
    }.get((backend, batch), {})


def alpha_run():
    cells = [cell(row, "mlp", batch, 8, **special(row[0], batch)) for batch in (1, 10, 100, 1000, 10000, 60000) for row in ALPHA]
    cells += [cell(row, "f1", batch, 8) for batch in (10, 100, 1000) for row in ALPHA[2:]]
    run = run_object("run", "alpha", "2026-11-25T04:44:53Z")
    return [run, *cells, end_object(len(cells), 246.6, "vulkan:0 (a software device, runs only when named)")]


def beta_run():
    cells = [cell(row, "mlp", batch, 4) for batch in (1, 10, 100, 1000) for row in BETA]
    return [run_object("run", "beta", "2026-11-26T09:01:02Z"), *cells]  # without an end: it was interrupted


def large_run(count):
    """Cases of 60 cells: ten rows, six batch sizes."""
    optimizers = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lars", "lamb"]
    rows = [(f"made{i}", "Example Alpha 8-Core", 90000 + 9000 * i, 14000 + 1000 * i, f"made{i}") for i in range(10)]
    cells = []
    for number in range(count):
        case, place = divmod(number, 60)
        model = ("mlp", "f1")[case % 2]
        optimizer = optimizers[case // 2 % len(optimizers)]
        threads = 1 + case // (2 * len(optimizers))
        cells.append(cell(rows[place % 10], model, (1, 10, 100, 1000, 10000, 60000)[place // 10], threads, optimizer=optimizer))
    return [run_object("run", "alpha", "2026-11-25T04:44:53Z"), *cells, end_object(len(cells), 3600.0)]


# ---- Trainings ----

RATES = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001}
ACCURACY = {"sgd": 0.975, "momentum": 0.981, "adam": 0.982}
EPOCHS = 10


def training(optimizer, batch, seed, status="ok"):
    """The `epoch` objects of a training and its `training` object."""
    each = -(-55000 // batch)
    update_s = 2e-4 + 1e-5 * batch
    top = ACCURACY[optimizer] - (0.012 if batch > 100 else 0) + TWISTER.gauss(0, 0.0008)
    key = {
        "schema": 1, "backend": "avx512", "label": "avx512", "device": 0, "device_name": "Example Alpha 8-Core",
        "software": False, "model": "mlp", "layers": LAYERS["mlp"], "dataset": "mnist", "optimizer": optimizer,
        "schedule": "constant", "batch": batch, "requested_batch": batch, "threads": 8, "precision": "float32", "seed": seed,
        "micro_batch": 0, "role": "final", "rate": RATES[optimizer], "momentum": 0.9 if optimizer == "momentum" else None,
        "weight_decay": None, "momentum_form": "lecture", "images": 55000, "budget_epochs": EPOCHS, "budget_updates": 0,
        "budget_seconds": 0.0, "from": None,
    }
    points = []
    for epoch in range(EPOCHS + 1 if status == "ok" else 3):
        reached = top * (1 - 0.9 * 2.0 ** (-1.6 * epoch))
        points.append({
            "kind": "epoch", **key, "epoch": epoch, "fraction": 0.0, "updates": epoch * each, "seconds": epoch * each * update_s,
            "train": {"loss": 2.3 * (1 - reached) + 0.01, "accuracy": min(reached + 0.01 * epoch / EPOCHS, 1)},
            "validation": {"loss": 2.3 * (1 - reached) + 0.04, "accuracy": reached}, "test": None,
        })
    last = points[-1]
    final = {
        "kind": "training", **key, "epoch": last["epoch"], "fraction": 0.0, "updates": last["updates"],
        "seconds": last["seconds"], "status": status, "reason": "" if status == "ok" else "the loss is not finite",
        "at_update": None if status == "ok" else last["updates"] + 17, "tuned": optimizer == "adam", "epochs": float(last["epoch"]),
        "update_ns": 1e9 * update_s, "train": last["train"], "validation": last["validation"],
        "test": {"loss": 0.08, "accuracy": last["validation"]["accuracy"] - 0.002} if status == "ok" else None,
        "budgets": [{"budget": "epochs", "limit": float(EPOCHS), "reached": status == "ok", "epoch": last["epoch"],
                     "fraction": 0.0, "updates": last["updates"], "seconds": last["seconds"], "train": last["train"],
                     "validation": last["validation"]}],
        "targets": [{"accuracy": 0.97, "reached": False}],
        "plugin": {"name": "avx512", "sha256": f"{sum(b'avx512'):064x}"},
    }
    for point in points:
        if point["validation"]["accuracy"] >= 0.97:
            final["targets"] = [{"accuracy": 0.97, "reached": True, "updates": point["updates"], "seconds": point["seconds"]}]
            break
    return key, [*points, final]


def train_record():
    objects = [run_object("train", "alpha", "2026-11-26T22:48:14Z")]
    objects[0]["data"].update(name="mnist")
    for optimizer in RATES:
        for batch in (32, 1000):
            if optimizer == "adam":
                key, _ = training(optimizer, batch, 1)
                trials = [{"rate": 10 ** (-k / 2), "status": "ok" if k > 3 else "diverged",
                           "accuracy": 0.98 - 0.01 * abs(k - 6) if k > 3 else None} for k in range(2, 9)]
                objects.append({"kind": "tuned", **{k: v for k, v in key.items() if k != "seed"}, "trials": trials,
                                "at_edge": False})
            for seed in range(1, 6):
                diverges = (optimizer, batch, seed) == ("sgd", 1000, 4)
                key, made = training(optimizer, batch, seed, "diverged" if diverges else "ok")
                objects += made
                if seed == 1:
                    for at, scale in (("start", 16.0), ("end", 900.0)):
                        objects.append({"kind": "noise", "at": at, "slice": 64, "slices": 64, "gradient_squared": 120.9,
                                        "trace": 1940.3, "scale": scale, "low": 0.9 * scale, "high": 1.1 * scale, "reason": "",
                                        **key})
            for threads in (1, 8):
                timed = cell(("avx512", "Example Alpha 8-Core", 80000, 9000 * 8 / threads, "avx512"), "mlp", batch, threads,
                             optimizer=optimizer, dataset="mnist")
                objects.append(timed)
    return [*objects, end_object(len(objects) - 1, 812.5)]


# ---- Comparisons and trends ----


def compare_record():
    def compared(backend, batch, verdict, ratio=None, reason=""):
        known = ratio is not None
        return {
            "kind": "compare", "schema": 1, "cell": f"mlp, fashion-mnist, momentum, batch {batch}, 8 threads, float32",
            "backend": backend, "device": "Example Alpha 8-Core", "batch": batch, "threads": 8, "verdict": verdict,
            "reason": reason, "ratio": ratio, "low": ratio * 0.995 if known else None, "high": ratio * 1.006 if known else None,
            "p": 0.0001 if verdict == "REGRESSION" else 0.6 if known else None, "sensitivity": 0.012 if known else None,
            "sets": 12 if known else 0, "aa_ratio": 1.001 if known else None, "aa_spread": 0.004 if known else None,
            "base_ns": 1e6 if known else None, "head_ns": 1e6 * ratio if known else None, "seconds": 21.5,
            "choices": {"base": "", "head": "", "differ": False}, "instructions": None, "details": None,
        }
    head = {"kind": "comparison", "schema": 1, "series": "update", "base": "bm_avx2.so", "head": "bm_avx2.so", "stored": False,
            "strict": False, "threshold": 0.02,
            "differences": [{"what": "revision", "base": "3117c53280d5", "head": "88ab01f2c4d9"}]}
    cells = [compared("avx2", 1, "PASS", 1.004), compared("avx2", 100, "REGRESSION", 1.083),
             compared("avx2", 1000, "IMPROVEMENT", 0.931),
             compared("avx2", 10000, "INCONCLUSIVE", 1.02, "the interval is too wide"),
             compared("scalar", 1, "IDENTICAL", reason="the same code"),
             compared("avx512", 1, "LOST", reason="head has no such cell")]
    return [run_object("compare", "alpha", "2026-11-27T01:00:00Z"), head, *cells, end_object(len(cells), 130.0)]


def day(index):
    return f"2026-{1 + index // 28:02d}-{1 + index % 28:02d}T03:00:00Z"


def history_record():
    def trend(backend, batch, level, runs=40, step=None, lost=None):
        times = [level * TWISTER.lognormvariate(0, 0.004) * (1.12 if step is not None and i >= step else 1) for i in range(runs)]
        points = [[day(i), f"rev{i}", times[i]] for i in range(runs)]
        changes = [] if step is None else [{
            "index": step, "started": day(step), "after": f"rev{step - 1}", "upto": f"rev{step}", "ratio": 1.12, "low": 1.115,
            "high": 1.125, "p": 1e-9}]
        ends = [{"started": p[0], "revision": p[1], "median_ns": p[2]} for p in (points[0], points[-1])]
        return {
            "kind": "history", "schema": 1, "series": "update",
            "host": {"machine": "alpha", "cpu": "Example Alpha 8-Core", "cores": 8, "flags": "Release -O2 -DNDEBUG "},
            "label": backend, "runs": runs, "first": ends[0], "last": ends[1], "ratio": times[-1] / times[0], "changes": changes,
            "lost": lost, "points": points, "backend": backend, "device_name": "Example Alpha 8-Core", "model": "mlp",
            "layers": LAYERS["mlp"], "dataset": "fashion-mnist", "optimizer": "momentum", "precision": "float32", "device": 0,
            "batch": batch, "threads": 8, "seed": 1, "micro_batch": 0, "data_parallel": 1, "settings": [],
        }
    return [trend("avx2", 1, 1.1e5), trend("avx2", 100, 1.5e6, step=25), trend("scalar", 1, 5.4e5),
            trend("avx512", 1, 8.9e4, runs=30, lost={"started": day(30), "revision": "rev30", "status": "absent"})]


def nightly(index):
    def timed(backend, batch, level):
        row = (backend, "Example Gamma 2-Core", level, 0, backend)
        return cell(row, "mlp", batch, 2, noise=0.004)
    step = 1.15 if index >= 20 else 1
    cells = [timed("avx2", 1, 1.2e5), timed("avx2", 100, 1.8e6 * step), timed("scalar", 1, 6e5)]
    run = run_object("run", "gamma", day(index), revision=f"rev{index}")
    return [run, *cells, end_object(len(cells), 60.0)]


def main(words):
    cells = 0
    if words[:1] == ["--cells"] and len(words) == 3 and words[1].isdigit():
        cells = int(words[1])
        words = words[2:]
    if len(words) != 1 or words[0].startswith("-"):
        sys.exit("usage: report_records.py [--cells N] OUT_DIR")
    if cells > 0:
        write(words[0], "large-run.jsonl", large_run(cells))
        return
    write(words[0], "alpha-run.jsonl", alpha_run())
    write(words[0], "beta-run.jsonl", beta_run())
    write(words[0], "train.jsonl", train_record())
    write(words[0], "compare.jsonl", compare_record())
    write(words[0], "history.jsonl", history_record())
    for index in range(30):
        write(words[0], f"nightly/{index:02d}.jsonl", nightly(index))


if __name__ == "__main__":
    main(sys.argv[1:])
