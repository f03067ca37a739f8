#!/usr/bin/env bash
# A plugin that crashes, hangs, lies or is none costs its own rows and nobody else's: each has its verdict, the others are
# measured, the exit code says what was worst, and no process stays behind.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

cat >"$work/small.ini" <<'INI'
model = custom
layers = dense 16, relu, dense 10
threads = 1
cell-time = 300ms
epoch-time = 100ms
[synthetic]
shape = 1x6x6
train = 500
test = 100
INI

python3 - "$work" <<'PYTHON'
import json, os, subprocess, sys

work = sys.argv[1]
program = os.environ["BM_TEST_PROGRAM"]
bad_folder = os.path.join(os.environ["BM_TEST_BINARY_DIR"], "tests/plugins/bad")
scalar = os.path.join(os.environ["BM_TEST_PLUGIN_DIR"], "bm_scalar.so")
sanitized = os.environ["BM_TEST_SANITIZE"] != ""

# Status, whether the plugin is refused, and what the reason says. A sanitizer turns a signal into an exit.
expected = {
    "wrong_magic": ("error", True, "expected magic"),
    "wrong_version": ("error", True, "ABI: host has 1.0, plugin has 2."),
    "no_symbol": ("error", True, "expected the symbol bm_plugin_entry"),
    "missing_dependency": ("error", True, "libbm_bad_not_installed.so"),
    "segfault_load": ("crashed", False, "killed by SIGSEGV in load"),
    "segfault_gradient": ("crashed", False, "killed by SIGSEGV in gradient"),
    "stack_overflow": ("crashed", False, "killed by SIGSEGV in gradient (stack overflow)"),
    "abort": ("crashed", False, "killed by SIGABRT in gradient"),
    "abort_destroy": ("crashed", False, "killed by SIGABRT in destroy"),
    "exit0": ("crashed", False, "exited with status 0 in gradient"),
    "hang": ("timeout", False, "gradient"),
    "timeout": ("timeout", False, "found none"),
    "stdout_print": ("error", False, "to standard output"),
    "wrong_results": ("wrong", False, "gradient"),
}
killed = [fault for fault, (_, _, reason) in expected.items() if reason.startswith("killed")]


def fail(text):
    sys.exit("bad_plugins_test: " + text)


def session_members(session):
    """Processes of a session that still run, by /proc/PID/stat: pid (name) state ppid pgrp session."""
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                members.append(int(entry))
    return members


def run(faults, batches):
    """Runs scalar, null and the bad plugins in a session of its own; the exit code and the cells by backend."""
    file = os.path.join(work, "run.jsonl")
    names = ["scalar", "null"] + ["bad_" + fault for fault in faults]
    words = [program, "run", "--preset", "quick", "--config", os.path.join(work, "small.ini"), "--dataset", "synthetic",
             "--batch", ",".join(map(str, batches)), "--hang-time", "3s", "--time-limit", "10m", "-o", file,
             "--backend", ",".join(names), "--plugin", scalar]
    for fault in faults:
        words += ["--plugin", os.path.join(bad_folder, f"bm_bad_{fault}.so")]
    child = subprocess.Popen(words, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    out, err = child.communicate()
    left = session_members(child.pid)
    if left:
        fail(f"processes {left} are left of: {words}")
    try:
        with open(file) as lines:
            objects = [json.loads(line) for line in lines]
    except OSError as error:
        fail(f"{error}; exit code {child.returncode}; {err}")
    os.remove(file)
    cells = {name: [] for name in names}
    for found in objects:
        if found["kind"] == "cell":
            cells[found["backend"]].append(found)
    if "bad_stdout_print was here" in out and "standard output" not in out:
        fail("what a plugin printed stands among the results")
    return child.returncode, cells, out, err


def check_healthy(cells, batches):
    for name in ("scalar", "null"):
        found = [(cell["batch"], cell["status"], cell["update"] is not None) for cell in cells[name]]
        if found != [(batch, "ok", True) for batch in batches]:
            fail(f"{name}: expected measured cells of {batches}, found {found}: {[cell['reason'] for cell in cells[name]]}")


def check_bad(fault, cells):
    status, refused, reason = expected[fault]
    if not cells:
        fail(f"bad_{fault}: expected a cell, found none")
    if fault == "abort_destroy" and cells[-1]["status"] == "skipped":
        cells = cells[:-1]  # each of a cell's processes crashed once: the row is not tried again
    for cell in cells:
        found = f"bad_{fault}, batch {cell['batch']}: found {cell['status']}: {cell['reason']}"
        if cell["status"] != status or cell["refused"] != refused:
            fail(f"{found}; expected {status}, refused {refused}")
        if reason not in cell["reason"] and not (sanitized and fault in killed + ["exit0"]):
            fail(f"{found}; expected \"{reason}\" in it")
        if any(cell[series] is not None for series in ("gradient", "apply", "update", "pipelined", "epoch")):
            fail(f"{found}; and times with it")
    if fault == "segfault_gradient" and "stack overflow" in cells[0]["reason"]:
        fail("a write to address 0 is called a stack overflow")


def check_run(faults, batches, code):
    found, cells, out, err = run(faults, batches)
    check_healthy(cells, batches)
    for fault in faults:
        check_bad(fault, cells["bad_" + fault])
    if found != code:
        fail(f"scalar, null and {faults}: exit code {found}, expected {code}; {err}")
    if faults == ["wrong_results"] and "WRONG" not in out:
        fail(f"no row says WRONG: {out}")


# The priorities of the exit codes: refused 6, crashed or timed out 7, wrong 3, cells lost 5.
check_run(["stdout_print"], [10], 5)
check_run(["wrong_results"], [10], 3)
check_run(["wrong_results", "segfault_gradient"], [10], 7)
check_run(list(expected), [1, 10], 6)
print(f"{len(expected)} bad plugins, each with its verdict")
PYTHON
