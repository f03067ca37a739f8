"""Pages to be looked at: records, made ones or those that are changed for a test, and what `batchmark report` makes of them."""
import json
import os
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


def everything():
    """A page of every kind of record: two machines, a wrong, a skipped, a crashed and an unsteady cell among them."""
    names = ["alpha-run.jsonl", "beta-run.jsonl", "train.jsonl", "compare.jsonl", "history.jsonl"]
    return report("everything", *[os.path.join(folder_of_all(), name) for name in names])


def large(count):
    folder = make_records(os.path.join(WORK, f"large-{count}"), "--cells", str(count))
    return report(f"large-{count}", folder)


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
