"""Checks a record of `batchmark run` against what its readers rely on.

Every figure of a series is computed again from the samples in the file; fields have their names and types; statuses and
nulls agree. With a second file of the same run's table as CSV, the table's figures are those of the record.
"""
import csv
import json
import math
import statistics
import sys

SERIES = ["gradient", "apply", "update", "pipelined", "updates", "device_gradient", "device_apply", "device_update"]
STATUSES = {"ok", "skipped", "unsupported", "wrong", "crashed", "timeout", "error"}
CELL = {
    "backend": str, "device": int, "software": bool, "model": str, "dataset": str, "optimizer": str, "batch": int,
    "threads": int, "precision": str, "status": str, "reason": str, "repro": str, "check": dict, "plugin": dict,
    "bound": dict,
    "memory": dict,
    "data_parallel": int, "devices": list,
}


def quantile(values, q):
    values = sorted(values)
    at = q * (len(values) - 1)
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def near(found, expected, what, abs_tol=1e-12):
    assert math.isclose(found, expected, rel_tol=1e-6, abs_tol=abs_tol), f"{what}: expected {expected}, found {found}"


def check_series(series, what):
    samples, counts = series["samples_ns"], series["round_counts"]
    assert len(samples) == series["count"] == sum(counts) <= 400, what
    assert len([c for c in counts if c]) == series["rounds"], what
    assert all(s > 0 for s in samples), what
    medians, at = [], 0
    for count in counts:
        if count:
            medians.append(statistics.median(samples[at:at + count]))
        at += count
    near(series["median_ns"], statistics.median(medians), what + " median")
    near(series["q1_ns"], quantile(samples, 0.25), what + " q1")
    near(series["q3_ns"], quantile(samples, 0.75), what + " q3")
    near(series["min_ns"], min(samples), what + " min")
    between = quantile(medians, 0.75) - quantile(medians, 0.25)
    near(series["spread"], between / (2 * statistics.median(medians)), what + " spread",
         abs_tol=1e-8)  # a small difference of large numbers, each written with nine digits
    assert series["block"] >= 1 and series["stopped"], what


def check_epoch(cell, what):
    epoch = cell["epoch"]
    each = (cell["pipelined"] or cell["update"])["median_ns"]
    if epoch["measured"]:
        near(epoch["seconds"], statistics.median(epoch["samples_s"]), what + " epoch")
        total = 1e-9 * epoch["updates"] * cell["update"]["median_ns"]
        near(epoch["gap"], (epoch["seconds"] - total) / epoch["seconds"], what + " gap", abs_tol=1e-8)
    else:
        near(epoch["seconds"], 1e-9 * epoch["updates"] * each, what + " epoch")
        assert epoch["gap"] is None, what


def check_bound(cell, roofline, what):
    """max(operations / peak, bytes / bandwidth of the nearest level that holds parameters and state)"""
    bound = cell["bound"]
    assert bound["flops"] > 0 and bound["bytes"] > bound["working_bytes"] > 0, what
    assert (bound["ns"] is None) == (bound["reason"] != ""), f"{what}: bound {bound}"
    if bound["ns"] is None:
        assert bound["share"] is None and bound["level"] is None and bound["limit"] is None, what
        return
    point = next(p for p in roofline["points"] if p["threads"] == cell["threads"])
    level = next(l for l in point["levels"] if l["bytes"] is None or bound["working_bytes"] <= l["bytes"])
    compute = 1e9 * bound["flops"] / point["flop_per_s"]["best"]
    memory = 1e9 * bound["bytes"] / max(level[way]["best"] for way in ("read_bytes_per_s", "update_bytes_per_s"))
    near(bound["ns"], max(compute, memory), what + " bound")
    assert bound["level"] == level["name"], what
    assert bound["limit"] == ("compute" if compute > memory else "memory"), what
    if cell["status"] == "ok" and cell["check"]["status"] != "none":
        near(bound["share"], bound["ns"] / cell["update"]["median_ns"], what + " share")
    else:
        assert bound["share"] is None, what


def check_memory(cell, what):
    memory = cell["memory"]
    assert memory["needed_bytes"] > 0, what
    assert (memory["peak_bytes"] is None) == (memory["ratio"] is None), what
    if memory["ratio"] is not None:
        near(memory["ratio"], memory["peak_bytes"] / memory["needed_bytes"], what + " memory")


def round_medians(series):
    medians, at = [], 0
    for count in series["round_counts"]:
        if count:
            medians.append(statistics.median(series["samples_ns"][at:at + count]))
        at += count
    return medians


def check_efficiency(cell, cells, what):
    """t(1) / (N t(N)), paired by round"""
    keys = ("backend", "device", "layers", "dataset", "optimizer", "batch", "threads", "precision", "seed", "micro_batch")
    alone = [c for c in cells if c["data_parallel"] == 1 and all(c[k] == cell[k] for k in keys)]
    efficiency = cell["efficiency"]
    if cell["data_parallel"] == 1 or cell["status"] != "ok" or alone[0]["status"] != "ok":
        assert efficiency is None, f"{what}: efficiency {efficiency}"
        return
    pairs = list(zip(round_medians(alone[0]["update"]), round_medians(cell["update"])))
    near(efficiency["value"], statistics.median(a / b for a, b in pairs) / cell["data_parallel"], what + " efficiency")
    assert efficiency["low"] <= efficiency["value"] <= efficiency["high"], what
    assert efficiency["rounds"] == len(pairs), what


def check_submission(cell, what):
    """what an update takes beyond the device's own time, paired by round"""
    submission = cell["submission"]
    if cell["status"] != "ok" or cell["device_update"] is None:
        assert submission is None, f"{what}: submission {submission}"
        return
    pairs = list(zip(round_medians(cell["update"]), round_medians(cell["device_update"])))
    near(submission["median_ns"], statistics.median(a - b for a, b in pairs), what + " submission", abs_tol=1)
    assert submission["low_ns"] <= submission["median_ns"] <= submission["high_ns"], what
    assert submission["rounds"] == len(pairs), what


def check_cell(cell, roofline):
    what = f"{cell.get('backend')} batch {cell.get('batch')}"
    for name, kind in CELL.items():
        assert isinstance(cell.get(name), kind), f"{what}: {name} is {cell.get(name)!r}"
    assert cell["status"] in STATUSES, what
    assert set(["submission", "epoch", *SERIES]) <= set(cell), what
    check_bound(cell, roofline, what)
    check_memory(cell, what)
    if cell["status"] != "ok":
        assert cell["reason"], f"{what}: {cell['status']} without a reason"
        assert all(cell[name] is None for name in SERIES), f"{what}: a time beside {cell['status']}"
        return
    assert cell["check"]["status"] in ("ok", "none"), what
    assert len(cell["plugin"]["sha256"]) == 64, what
    for name in SERIES:
        if cell[name] is not None:
            check_series(cell[name], f"{what} {name}")
    assert cell["update"] is not None, what
    check_submission(cell, what)
    check_epoch(cell, what)


def check_csv(path, cells):
    with open(path, newline="") as file:
        rows = {(r["backend"], int(r["data_parallel"]), int(r["batch"])): r for r in csv.DictReader(file)}
    assert len(rows) == len(cells)
    for cell in cells:
        row = rows[cell["backend"], cell["data_parallel"], cell["batch"]]
        assert row["status"] == cell["status"] and row["reason"] == cell["reason"]
        for column, name in (("bound_ns", "ns"), ("share", "share")):
            expected = cell["bound"][name]
            assert (row[column] == "") == (expected is None), f"csv {column}"
            if expected is not None:
                near(float(row[column]), expected, "csv " + column)
        if cell["status"] == "ok":
            near(float(row["update_ns"]), cell["update"]["median_ns"], "csv")
        assert (row["efficiency"] == "") == (cell["efficiency"] is None), "csv efficiency"
        if cell["efficiency"] is not None:
            near(float(row["efficiency"]), cell["efficiency"]["value"], "csv efficiency")


def main():
    with open(sys.argv[1]) as file:
        objects = [json.loads(line) for line in file]
    assert objects[0]["kind"] == "run" and objects[-1]["kind"] == "end"
    assert all(o["schema"] == 1 for o in objects)
    for name in ("id", "started", "command", "seed", "version", "revision", "host", "build", "data"):
        assert name in objects[0], name
    assert objects[0]["roofline"] or objects[0]["roofline_reason"], "no roofline, and no reason"
    assert "/" not in objects[0]["command"], "a path in the command line: " + objects[0]["command"]
    cells = [o for o in objects if o["kind"] == "cell"]
    assert cells and objects[-1]["cells"] == len(cells)
    for cell in cells:
        check_cell(cell, objects[0]["roofline"])
        check_efficiency(cell, cells, f"{cell['label']} batch {cell['batch']}")
    if len(sys.argv) > 2:
        check_csv(sys.argv[2], cells)
    print(f"{len(cells)} cells")


main()
