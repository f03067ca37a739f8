"""Pages to be looked at: records, made ones or those that are changed for a test, and what `batchmark report` makes of them."""
import json
import os
import re
import subprocess
import sys

SOURCE = os.environ["BM_TEST_SOURCE_DIR"]
WORK = os.environ["BM_TEST_WORK"]
PROGRAM = os.environ["BM_TEST_PROGRAM"]
HOSTILE = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(2)>'


def report(name, *records):
    """The page of some records, made once: its path."""
    path = os.path.join(WORK, name + ".html")
    if not os.path.exists(path):
        done = subprocess.run(
            [PROGRAM, "report", *records, "-o", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"batchmark report: exit code {done.returncode}: {done.stderr.decode()}")
    return path


def make_records(folder, *options):
    if not os.path.isdir(folder):
        subprocess.run(
            [sys.executable, os.path.join(SOURCE, "tests", "support", "report_records.py"), *options, folder], check=True
        )
    return folder


def folder_of_all():
    return make_records(os.path.join(WORK, "all"))


def record(name):
    """The objects of one of the made records."""
    with open(os.path.join(folder_of_all(), name), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def cells(name):
    return [item for item in record(name) if item["kind"] == "cell"]


def landscape_file():
    path = os.path.join(WORK, "landscape.jsonl")
    if not os.path.exists(path):
        subprocess.run([sys.executable, os.path.join(SOURCE, "tests", "support", "landscape_records.py"), path], check=True)
    return path


def landscape(part=None):
    """The objects of the made landscape that are ok; of one part."""
    with open(landscape_file(), encoding="utf-8") as file:
        objects = [json.loads(line) for line in file]
    return [item for item in objects if item.get("status") == "ok" and part in (None, item["part"])]


def measured_records():
    names = ["alpha-run.jsonl", "beta-run.jsonl", "train.jsonl", "compare.jsonl", "history.jsonl"]
    return [os.path.join(folder_of_all(), name) for name in names]


def everything():
    """A page of every kind of record: two machines, a wrong, a skipped, a crashed and an unsteady cell among them."""
    return report("everything", *measured_records(), landscape_file())


def measured():
    """The same without a landscape, which is half of the charts."""
    return report("measured", *measured_records())


def landscape_only():
    return report("landscape-only", landscape_file())


def two_landscapes():
    """A page of two landscape records, of which the newer has another noise scale and no more."""
    path = os.path.join(WORK, "second-landscape.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        with open(landscape_file(), encoding="utf-8") as first:
            objects = [json.loads(line) for line in first]
        for item in objects:
            if item["kind"] == "run":
                file.write(json.dumps({**item, "id": "second", "started": "2026-11-26T22:00:00Z"}) + "\n")
            elif item.get("part") == "noise" and item["status"] == "ok":
                file.write(json.dumps({**item, "scale": 2 * item["scale"]}) + "\n")
    return report("two-landscapes", path, landscape_file())


def strange_landscape():
    """A page of a landscape whose names are markup, whose numbers are null and most of whose fields are absent."""
    path = os.path.join(WORK, "strange-landscape.jsonl")
    keep = {"kind", "schema", "analysis", "part", "status", "surface", "x", "y", "values", "updates", "losses", "t", "coefficients"}
    with open(landscape_file(), encoding="utf-8") as file:
        objects = [json.loads(line) for line in file]
    with open(path, "w", encoding="utf-8") as file:
        for item in objects:
            if item["kind"] != "landscape":
                file.write(json.dumps(item) + "\n")
                continue
            bare = {key: value for key, value in item.items() if key in keep}
            # A number that stands in a list elsewhere; the average's and the knee's own are left out.
            bare = {key: value for key, value in bare.items() if key != "updates" or item["part"] in ("path", "knee")}
            named = {key: IMAGE if isinstance(value, str) and key not in ("kind", "analysis", "part", "status") else value
                     for key, value in item.items()}
            empty = {key: [None] * len(value) if isinstance(value, list) and not isinstance(value[0] if value else 0, (dict, str, list))
                     else value for key, value in item.items()}
            for variant in (bare, named, empty):
                file.write(json.dumps({**variant, "reason": HOSTILE}) + "\n")
            file.write(json.dumps({**named, "status": "error", "reason": HOSTILE}) + "\n")
    return report("strange-landscape", path)


def large(count):
    """A page of many cells. Those with one thread are made; making them takes long, so the others have the same times."""
    made = 1080  # so many cells report_records.py makes with one thread, before it goes on with the next number of threads
    folder = make_records(os.path.join(WORK, "large"), "--cells", str(made))
    with open(os.path.join(folder, "large-run.jsonl"), encoding="utf-8") as file:
        run, *cells, end = file
    path = os.path.join(WORK, f"large-{count}.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.write(run)
        for number in range(count):
            threads = 1 + number // made
            file.write(re.sub(r'(threads(?:":|=| ))1\b', rf"\g<1>{threads}", cells[number % made]))
        file.write(json.dumps({**json.loads(end), "cells": count}) + "\n")
    return report(f"large-{count}", path)


def hostile():
    """A page of a record whose names are markup."""
    path = os.path.join(WORK, "hostile.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for item in record("alpha-run.jsonl"):
            if item["kind"] == "cell" and item["backend"] == "avx2":
                item["backend"] = item["label"] = item["plugin"]["name"] = HOSTILE
                item["device_name"] = IMAGE
                item["plugin"]["describe"] = f"isa={IMAGE}\n"
            if item["kind"] == "cell" and item["status"] == "wrong":
                item["reason"] = f"</script>{HOSTILE}{IMAGE}"
            file.write(json.dumps(item) + "\n")
    return report("hostile", path)


def diverged():
    """A page of trainings of which one setting has no seed that went well."""
    path = os.path.join(WORK, "diverged.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for item in record("train.jsonl"):
            if item["kind"] == "training" and (item["optimizer"], item["batch"]) == ("momentum", 1000):
                item.update(status="diverged", reason="the loss is not finite", at_update=77, test=None)
                for part in (item, *item["budgets"]):
                    part["train"] = part["validation"] = {"loss": None, "accuracy": None}
            file.write(json.dumps(item) + "\n")
    return report("diverged", path)


def two_trainings():
    """A page of two records of trainings: all of them, and those of one optimizer on other data."""
    path = os.path.join(WORK, "second-train.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for item in record("train.jsonl"):
            item["machine"] = "delta" if item["kind"] == "run" else item.get("machine")
            if item["kind"] in ("run", "end"):
                file.write(json.dumps({**item, "id": "second"} if item["kind"] == "run" else item) + "\n")
            elif item.get("optimizer") == "adam":
                file.write(json.dumps({**item, "dataset": "fashion-mnist"}) + "\n")
    return report("two-trainings", os.path.join(folder_of_all(), "train.jsonl"), path)


def of_results():
    """A page of what was really measured."""
    return report("results", os.path.join(SOURCE, "results"))
