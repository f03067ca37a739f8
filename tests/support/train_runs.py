"""Small runs of `batchmark train` on made data, and what their records and checkpoints say: for the train_*_test.sh.

The working folder is the test's own. The preset `accuracy`, which `train` takes by itself, is replaced by a small one.
"""
import json
import os
import struct
import subprocess
import sys
import zlib

PROGRAM = os.environ["BM_TEST_PROGRAM"]
BUILT = os.path.join(os.environ["BM_TEST_BINARY_DIR"], "tests", "plugins")
IMAGES, BATCH = 500, 32
EACH = 16  # updates of an epoch: 15 of 32 images and one of 20
TIMES = {"seconds", "update_ns", "update_s"}

PRESET = """
model = custom
layers = dense 16, batchnorm, relu, dense 4
dataset = synthetic
optimizer = momentum
batch = 32
threads = 1
lr = 0.004
held-out = 100
hang-time = 20s
[synthetic]
shape = 1x6x6
classes = 4
train = 600
test = 100
seed = 3
"""

os.makedirs("presets/train", exist_ok=True)
with open("presets/train/accuracy.ini", "w") as preset:
    preset.write(PRESET)
os.mkdir("state")
ENVIRONMENT = {**os.environ, "BATCHMARK_PRESETS": os.path.abspath("presets"), "XDG_STATE_HOME": os.path.abspath("state")}


def fail(text):
    sys.exit("failed: " + text)


def expect(condition, *what):
    if not condition:
        fail(" ".join(str(part) for part in what))


def plugin(folder, name):
    """The option that adds a plugin of tests/plugins."""
    return ["--plugin", os.path.join(BUILT, folder, f"bm_{name}.so")]


def batchmark(*words, code=0, says=None, environment=None, **more):
    """Runs the program, expects an exit code and, on standard error, a text; returns its standard output."""
    done = subprocess.run([PROGRAM, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**ENVIRONMENT, **(environment or {})}, timeout=250, check=False, **more)
    expect(code is None or done.returncode == code, f"expected exit code {code}, found {done.returncode}:", *words, "\n", done.stdout, done.stderr)
    expect(says is None or says in done.stderr, f"expected {says!r} on standard error of", *words, "\n", done.stderr)
    return done.stdout


def train(name, *words, **more):
    """Trains into NAME.jsonl, on scalar unless words say otherwise; returns the record's objects."""
    backend = [] if "--backend" in words else ["--backend", "scalar"]
    batchmark("train", *backend, *words, "-o", f"{name}.jsonl", **more)
    return read(f"{name}.jsonl")


def refuse(says, *words, lines=1):
    """A usage error: exit code 2, one line, no record and no partial one."""
    before = set(os.listdir("."))
    done = subprocess.run([PROGRAM, "train", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=250, check=False)
    expect(done.returncode == 2, f"expected exit code 2, found {done.returncode}:", *words, "\n", done.stderr)
    expect(says in done.stderr, f"expected {says!r}, found", done.stderr)
    told = [line for line in done.stderr.splitlines() if not line.startswith("plan: ")]
    expect(len(told) == lines, "expected one line, found", done.stderr)
    left = set(os.listdir(".")) - before | {file for _, _, files in os.walk("state") for file in files}
    expect(not left, "a refusal left", left)


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def of(objects, kind, **fields):
    return [o for o in objects if o["kind"] == kind and all(o[name] == value for name, value in fields.items())]


def one(objects, kind, **fields):
    found = of(objects, kind, **fields)
    expect(len(found) == 1, f"expected one {kind} with {fields}, found", len(found), [o.get("status") for o in found])
    return found[0]


def untimed(value):
    """The same without whatever a clock said."""
    if isinstance(value, dict):
        return {name: untimed(item) for name, item in value.items() if name not in TIMES}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def found_by(objects):
    """What a run found, in the order of its record, without times."""
    return [untimed(o) for o in objects if o["kind"] in ("epoch", "training", "noise", "tuned", "swap", "equivalence")]


class Checkpoint:
    """harness/checkpoint.h"""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        expect(data[:8] == b"\x89BMCKPT\n", path, "is no checkpoint")
        (length,) = struct.unpack_from("<I", data, 12)
        self.prefix = data[:12]
        self.header = json.loads(data[16:16 + length])
        self.arrays = data[16 + length:-4]
        expect(struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4]), path, "has another sum")

    def write(self, path):
        text = json.dumps(self.header).encode()
        data = self.prefix + struct.pack("<I", len(text)) + text + self.arrays
        with open(path, "wb") as file:
            file.write(data + struct.pack("<I", zlib.crc32(data)))


def kept(folder):
    """Arrays of every checkpoint of a folder, by its name: parameters, state, statistics."""
    return {name: Checkpoint(os.path.join(folder, name)).arrays for name in sorted(os.listdir(folder))}


def bits(name, *words, **more):
    """The arrays in which a run of one training ends."""
    train(name, *words, "--keep", f"{name}.kept", **more)
    arrays = list(kept(f"{name}.kept").values())
    expect(len(arrays) == 1, "expected one checkpoint, found", len(arrays))
    return arrays[0]
