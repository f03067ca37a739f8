#!/usr/bin/env bash
# What becomes of a run whose Vulkan device is lost, hangs, has no memory or lacks a feature (plugins/vulkan_faults): a verdict
# with a reason for its row, an exit code, and other rows that go on. What the validation layer says when all is taken away,
# and what an interrupted run leaves behind.
#
# The short form leaves out faults of a kind that it has another of, a cache folder that cannot be made (vulkan_cache_test has
# it), of the validation layer's silence the suite's case of thousands of calls and vulkan_session_test, and of few workgroups
# the small batch of a software device.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

support=$BM_TEST_SOURCE_DIR/tests/support
cd "$work"
export faults=$BM_TEST_BINARY_DIR/tests/plugins/vulkan_faults

[ -e "$BM_TEST_PLUGIN_DIR/bm_vulkan.so" ] || skip "the backend was not built"
[ -e "$faults/libvulkan.so.1" ] || skip "the loader with faults was not built"
# A copy lies in no build tree: it lists this plugin, and loads no other.
cp "$BM_TEST_PROGRAM" "$BM_TEST_PLUGIN_DIR/bm_vulkan.so" .
BATCHMARK_PLUGINS=$work ./batchmark list >list.txt
grep -q 'llvmpipe.*software.*runs only when named' list.txt || skip "no software device (Debian: mesa-vulkan-drivers)"
cp "$support/small.ini" small.ini

python3 - "$work" <<'PYTHON'
import json, os, re, signal, subprocess, sys, time

work = sys.argv[1]
program = os.environ["BM_TEST_PROGRAM"]
faults = os.environ["faults"]
tests = os.path.join(os.environ["BM_TEST_BINARY_DIR"], "tests")
whole = bool(os.environ.get("BM_TEST_WHOLE"))
record = os.path.join(work, "run.jsonl")
partial = record + ".partial"


def fail(text):
    sys.exit("vulkan_faults_test: " + text)


def environment(fault, **variables):
    """Finds the loader with that fault first."""
    return {**os.environ, "BM_TEST_VULKAN_FAULT": fault, "LD_LIBRARY_PATH": faults, **variables}


def words_of(batch, options, file=record):
    return [program, "run", "--config", "small.ini", "--backend", "null,vulkan:llvmpipe", "--batch", batch, "--cell-time",
            "1ms", "--epoch-time", "1ms", "--roofline", "none", "-o", file] + list(options)


def read_cells(file):
    """The cells of each backend; a line that is still being written is left out."""
    cells = {"null": [], "vulkan": []}
    with open(file) as lines:
        for line in lines:
            found = json.loads(line) if line.endswith("\n") else {"kind": ""}
            if found["kind"] == "cell":
                cells[found["backend"]].append(found)
    return cells


def start(fault, *options, batch="7", file=record, **variables):
    return subprocess.Popen(words_of(batch, options, file), env=environment(fault, **variables), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child, fault, file=record):
    """The run's cells by backend and its exit code."""
    _, err = child.communicate()
    if not os.path.exists(file):
        fail(f"{fault}: exit code {child.returncode}, no record; {err}")
    cells = read_cells(file)
    os.remove(file)
    for cell in cells["null"]:
        if cell["status"] != "ok" or cell["update"] is None:
            fail(f"{fault}: null is {cell['status']}: {cell['reason']}")
    if not cells["null"]:
        fail(f"{fault}: null has no row")
    return cells["vulkan"], child.returncode


def run(fault, *options, **more):
    return finish(start(fault, *options, **more), fault)


# ---- Verdicts ----

LOST = "expected VK_SUCCESS, found VK_ERROR_DEVICE_LOST (-4)"
DEVICE = r"llvmpipe \(.*\): "

# Fault, options, status and reason of the row, exit code of the run. The first waits most of its time; it
# hangs where updates are timed, for as long as it takes to get there.
verdicts = [
    ("vkWaitSemaphores:300:hang", ["--hang-time", "10s", "--cell-time", "20s"], "timeout",
     r"no answer from \w+ within .* s; stopped", 7),
    ("vkQueueSubmit:60:lost", [], "error", re.escape("vkQueueSubmit: " + LOST), 5),
    ("vkWaitSemaphores:60:stuck", ["--option", "vulkan.timeout=7"], "timeout",
     DEVICE + r"expected some work done within 7 s \(option timeout\), found none", 7),
    ("vkAllocateMemory:1:device-memory", [], "unsupported", "upload: no memory on the device for [0-9]+ bytes", 0),
    ("vkCreateComputePipelines:1:device-memory", [], "unsupported",
     re.escape("vkCreateComputePipelines: expected VK_SUCCESS, found VK_ERROR_OUT_OF_DEVICE_MEMORY (-2)"), 0),
    ("vkCreateComputePipelines:2:shader", [], "error",
     re.escape("vkCreateComputePipelines: expected VK_SUCCESS, found VK_ERROR_INVALID_SHADER_NV (-1000012000)"), 5),
    ("missing:bufferDeviceAddress", [], "unsupported", DEVICE + "expected the feature bufferDeviceAddress, found none", 0),
    ("version:1.1", [], "unsupported", DEVICE + re.escape("expected Vulkan 1.2 or later, found 1.1"), 0),
    ("vkCreateDevice:1:initialization", [], "error",
     re.escape("vkCreateDevice: expected VK_SUCCESS, found VK_ERROR_INITIALIZATION_FAILED (-3)"), 5),
]
if whole:
    verdicts += [
        ("vkWaitSemaphores:60:lost", [], "error", re.escape("vkWaitSemaphores: " + LOST), 5),
        ("vkAllocateMemory:9:host-memory", [], "unsupported", ".+: no memory on the device for [0-9]+ bytes", 0),
        ("missing:timelineSemaphore", [], "unsupported", DEVICE + "expected the feature timelineSemaphore, found none", 0),
        ("vkCreateInstance:1:initialization", [], "error",
         re.escape("vkCreateInstance: expected VK_SUCCESS, found VK_ERROR_INITIALIZATION_FAILED (-3)"), 5),
    ]


def check_verdict(fault, options, status, reason, code, ended=None):
    cells, found = ended or run(fault, *options)
    if [cell["status"] for cell in cells] != [status] or not re.fullmatch(reason, cells[0]["reason"]):
        fail(f"{fault}: expected {status}, \"{reason}\", found {[(cell['status'], cell['reason']) for cell in cells]}")
    if any(cells[0][series] is not None for series in ("gradient", "apply", "update", "pipelined", "epoch")):
        fail(f"{fault}: and times with it")
    if found != code:
        fail(f"{fault}: exit code {found}, expected {code}")


def check_verdicts():
    """The first of them beside the others."""
    first, options = verdicts[0][:2]
    file = os.path.join(work, "first.jsonl")
    child = start(first, *options, file=file)
    for verdict in verdicts[1:]:
        check_verdict(*verdict)
    check_verdict(*verdicts[0], ended=finish(child, first, file))


def check_later_cell():
    """A worker's second session fails: what came before it is kept."""
    cells, code = run("vkCreateDevice:2:lost", batch="1,7")
    found = [(cell["batch"], cell["status"], cell["update"] is not None) for cell in cells]
    if found != [(1, "ok", True), (7, "error", False)] or code != 5:
        fail(f"a device lost in the second cell: exit code {code}, {found}: {[cell['reason'] for cell in cells]}")


# ---- The validation layer at the end ----

def layer_settings(log):
    """The layer writes by itself what it says, and so what nobody can be told any more."""
    folder = os.path.join(work, "layer" if log else "layer_stdout")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "vk_layer_settings.txt"), "w") as settings:
        settings.write("khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG\n"
                       "khronos_validation.report_flags = error,warn,perf\n")
        if log:
            settings.write(f"khronos_validation.log_filename = {log}\n")
    return {"VK_LAYER_SETTINGS_PATH": folder}


def run_validated(fault):
    """As run(), and what the layer says, if there is one."""
    log = os.path.join(work, "layer.log")
    cells, code = run(fault, "--option", "vulkan.validate=1", **layer_settings(log))
    if code != 0:
        return cells, code, ""
    with open(log) as lines:
        said = lines.read()
    os.remove(log)
    return cells, code, said


def check_silent_run(fault, is_silent, status):
    cells, code, said = run_validated(fault)
    found = [(cell["status"], cell["reason"]) for cell in cells]
    if code != 0 or [cell["status"] for cell in cells] != [status] or (said == "") != is_silent:
        fail(f"validation, \"{fault}\": exit code {code}, {found}, and the layer says \"{said}\"")


def check_silent_test(name, fault, is_silent):
    variables = {"BM_TEST_OPTIONS": "validate=1", **layer_settings(None)}
    ended = subprocess.run([os.path.join(tests, name), "vulkan"], env=environment(fault, **variables),
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode != 0 or ("Validation" in ended.stdout + ended.stderr) == is_silent:
        fail(f"validation, \"{fault}\": {name} ends with {ended.returncode}: {ended.stdout[-2000:]} {ended.stderr[-2000:]}")


def check_silent_suite():
    """In one process, so that what a layer prints when a session is destroyed is seen too."""
    ended = subprocess.run([program, "check", os.path.join(os.environ["BM_TEST_PLUGIN_DIR"], "bm_vulkan.so"), "--backend", "vulkan:0", "--option",
                            "vulkan.validate=1", "--filter", "calls.*" if whole else "calls.!(many-pending)", "--in-process"],
                           env=environment("", **layer_settings(None)), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode != 0 or "Validation" in ended.stdout + ended.stderr:
        fail(f"validation: check ends with {ended.returncode}: {ended.stdout[-2000:]} {ended.stderr[-2000:]}")


def check_validation():
    cells, code, said = run_validated("")
    if code != 0:
        print("no validation layer (Debian: vulkan-validationlayers): its silence is not tested")
        return
    if [cell["status"] for cell in cells] != ["ok"] or said != "":
        fail(f"validation: {[(cell['status'], cell['reason']) for cell in cells]}, and the layer says \"{said}\"")
    check_silent_run("vkDestroySemaphore:1:skip", False, "ok")
    check_silent_run("vkAllocateMemory:9:host-memory", True, "unsupported")
    check_silent_suite()
    if whole:
        check_silent_test("vulkan_session_test", "", True)


# ---- Few workgroups in a line ----

def check_few_groups(family, batch):
    """Dispatches go on in y, and every shader finds its place there; the tile is so small that products have more groups."""
    options = ["--option", f"vulkan.family={family}", "--option", "vulkan.tile=0", "--hang-time", "200s"]
    cells, code = run("groups:3", *options, batch=batch)
    found = [(str(cell["batch"]), cell["status"], cell["reason"]) for cell in cells]
    if code != 0 or found != [(one, "ok", "") for one in batch.split(",")]:
        fail(f"3 workgroups in a line, {family}: exit code {code}, {found}")


# ---- The cache ----

def cache_files(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def check_no_cache():
    """A cache folder that cannot be made fails nothing."""
    with open(os.path.join(work, "file"), "w"):
        pass
    cells, code = run("", XDG_CACHE_HOME=os.path.join(work, "file", "cache"))
    if [cell["status"] for cell in cells] != ["ok"] or code != 0 or "start=cold" not in cells[0]["plugin"]["describe"]:
        fail(f"no cache folder: exit code {code}, {cells}")


def check_interrupt():
    """Ctrl-C in the second cell, in which every worker hangs: the first is printed and kept, and what is in the cache is
    whole."""
    home = os.path.join(work, "interrupted")
    words = words_of("1,7", ["--hang-time", "10m", "--time-limit", "60m"])
    child = subprocess.Popen(words, env=environment("vkCreateDevice:2:hang", XDG_CACHE_HOME=home), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and (not os.path.exists(partial) or len(read_cells(partial)["vulkan"]) == 0):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    if child.returncode != 130:
        fail(f"Ctrl-C: exit code {child.returncode}, expected 130; {err}")
    cells = read_cells(partial)["vulkan"]
    os.remove(partial)
    if [(cell["batch"], cell["status"]) for cell in cells][:1] != [(1, "ok")] or os.path.exists(record):
        fail(f"Ctrl-C: expected the first cell, found {cells}")
    if not re.search(r"^vulkan +[0-9.]+ .s ", out, re.MULTILINE):
        fail(f"Ctrl-C: no row of vulkan in the table: {out}")
    files = cache_files(os.path.join(home, "batchmark"))
    if len(files) != 1 or not files[0].endswith(".cache"):
        fail(f"Ctrl-C: expected one file in the cache, found {files}")
    cells, _ = run("", XDG_CACHE_HOME=home)
    if "start=warm" not in cells[0]["plugin"]["describe"]:
        fail("Ctrl-C: what is in the cache is not whole")


check_verdicts()
check_later_cell()
if whole:
    check_no_cache()
check_interrupt()
check_validation()
check_few_groups("software", "7,64" if whole else "64")
check_few_groups("gpu", "7,64")  # for few images other products
print(f"{len(verdicts)} faults, each with its verdict")
PYTHON
