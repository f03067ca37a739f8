#!/usr/bin/env bash
# results/torch_train.py against the harness's own functions: start, order and data bit for bit; then, where there is PyTorch,
# each rule's training against the float64 reference, and the file of an interrupted study. BM_TEST_PYTHON names another python3.
set -euo pipefail

# shellcheck source=tests/support/script.sh
. "$BM_TEST_SOURCE_DIR/tests/support/script.sh"

python=${BM_TEST_PYTHON:-python3}
dump=$BM_TEST_BINARY_DIR/tests/torch_train/bm_dump
results=$BM_TEST_SOURCE_DIR/results
# Only the data that the test makes: a set that is searched in vain must not be found elsewhere. Without another HOME, in which
# Python would miss what is installed for this user.
export XDG_DATA_HOME=$work/empty
unset BATCHMARK_DATA

# The first python3 of a developer's path may be another than the one that the distribution's packages are for.
"$python" -c 'import numpy' 2>/dev/null || [ -n "${BM_TEST_PYTHON-}" ] || python=/usr/bin/python3
"$python" -c 'import numpy' 2>/dev/null || skip "$python has no numpy (Debian: python3-numpy)"

[ -z "${BM_TEST_SANITIZE-}" ] || skip "it is about Python, once is enough"

ours() {
    "$python" -B "$results/torch_train.py" "$@"
}

# same NAME: what the two wrote is equal to the last bit.
same() {
    [ -s "$work/theirs" ] || fail "$1: found nothing"
    cmp -s "$work/theirs" "$work/ours" || fail "$1: line $(cmp "$work/theirs" "$work/ours" | sed 's/.*line //') is another"
}

for case in "mlp fashion-mnist 1 28 1" "f1 mnist 1 28 2" "c1 cifar10 3 32 18446744073709551615"; do
    read -r model dataset channels side seed <<<"$case"
    "$dump" start "$model" "$channels" "$side" "$seed" >"$work/theirs"
    ours --dump-start --model "$model" --dataset "$dataset" --seed "$seed" >"$work/ours"
    same "start of $case"
done

# Seed 1, epoch 5 refuses one word of its stream, seed 2, epoch 22 two.
for case in "1 0 1" "1 0 2" "1 0 7" "1 5 55000" "2 22 55000" "8589934597 4000000000 45000"; do
    read -r seed epoch count <<<"$case"
    "$dump" order "$seed" "$epoch" "$count" >"$work/theirs"
    ours --dump-order "$epoch" "$count" --seed "$seed" >"$work/ours"
    same "order of $case"
done

"$python" -B - "$results" "$work" "$dump" <<'PYTHON'
import gzip, json, os, struct, subprocess, sys

import numpy as np

results, work, dump = sys.argv[1:]
sys.path.insert(0, results)
import images
import torch_train

IMAGES = 120


def fail(text):
    sys.exit("torch_train_test: " + text)


def harness(*words):
    return subprocess.run([dump, *map(str, words)], check=True, capture_output=True, text=True).stdout.split()


def call(*words):
    return subprocess.run([sys.executable, "-B", os.path.join(results, "torch_train.py"), *map(str, words)],
                          capture_output=True, text=True)


# ---- Data ----

def write(folder, file, content):
    os.makedirs(os.path.join(work, folder), exist_ok=True)
    with open(os.path.join(work, folder, file), "wb") as out:
        out.write(gzip.compress(content) if file.endswith(".gz") else content)


def make_idx(generator, folder):
    """A training set that is plain and a test set that is packed; classes that can be told apart."""
    prototypes = generator.integers(0, 256, [10, 784])
    for name, count, ending in (("train", IMAGES, ""), ("t10k", 50, ".gz")):
        labels = generator.integers(0, 10, count)
        pixels = (prototypes[labels] + generator.integers(0, 256, [count, 784])) // 2
        write(folder, f"{name}-images-idx3-ubyte{ending}", struct.pack(">4I", 0x803, count, 28, 28) +
              pixels.astype(np.uint8).tobytes())
        write(folder, f"{name}-labels-idx1-ubyte{ending}", struct.pack(">2I", 0x801, count) + labels.astype(np.uint8).tobytes())


def make_cifar(generator):
    """Zeros but for a few bytes, so that files of the real size cost nothing."""
    for file in images.CIFAR_FILES:
        write("cifar10", file, b"")
        with open(os.path.join(work, "cifar10", file), "r+b") as out:
            out.truncate(10000 * 3073)
            for record in generator.integers(0, 10000, 50).tolist():
                out.seek(record * 3073)
                out.write(bytes([record % 10]))
                out.seek(record * 3073 + 1 + int(generator.integers(0, 3072)))
                out.write(bytes([record % 251 + 1]))


def weighted(array):
    return int((array.ravel().astype(np.uint64) * np.arange(1, array.size + 1, dtype=np.uint64)).sum())


def check_data(name):
    found = [f"{bits:08x}" for bits in np.concatenate(images.scale_and_shift(name)).view(np.uint32)]
    splits, _ = images.load(name, work)
    for parts in (["train", "validation"], ["test"]):
        pixels, labels = (np.concatenate([splits[part][i] for part in parts]) for i in (0, 1))
        found += [str(len(labels)), str(weighted(pixels) + weighted(labels))]
    expected = harness("data", name, work)
    if found != expected:
        fail(f"{name}: expected {expected}, found {found}")


generator = np.random.default_rng(1)
make_idx(generator, "mnist")
make_idx(generator, "fashion-mnist")
make_cifar(generator)
for name in images.SETS:
    check_data(name)
if [images.split_counts(n) for n in (60000, 50000, 1000, 119)] != [(55000, 5000), (45000, 5000), (900, 100), (108, 11)]:
    fail("the split is another")
splits, _ = images.load("mnist", work, 57)
if [len(splits[part][1]) for part in ("train", "validation", "test")] != [52, 5, 50]:
    fail("the first 57 images are split otherwise")


def refuses(text, *words):
    done = call(*words)
    if done.returncode == 0 or text not in done.stderr or "Traceback" in done.stderr:
        fail(f"{words}: expected \"{text}\", found {done}")


def refuses_data(text, function, *words):
    try:
        function(*words)
    except images.DataError as error:
        if text in str(error) and "\n" not in str(error):
            return
        fail(f"expected \"{text}\", found \"{error}\"")
    fail(f"expected \"{text}\", found no error")


refuses_data("expected 10 to 120, found 121", images.load, "mnist", work, 121)
refuses_data("expected train-images", images.load, "mnist", os.path.join(work, "cifar10"))
refuses_data("found none", images.load, "mnist", os.path.join(work, "fashion-mnist"))
images_file = "train-images-idx3-ubyte"
header = struct.pack(">4I", 0x803, 2, 28, 28)
for text, content in (("expected a header of 16 bytes, found 10", b"\0" * 10), ("magic number 0x00000803", b"\0" * 16),
                      ("expected 1584 bytes, found 1583", header + b"\0" * 1567)):
    write("bad", images_file, content)
    refuses_data(text, images.idx, os.path.join(work, "bad", images_file), 3)
with open(os.path.join(work, "mnist", "t10k-images-idx3-ubyte.gz"), "rb") as file:
    cut = file.read()[:-9]
with open(os.path.join(work, "bad", "cut.gz"), "wb") as file:
    file.write(cut)
refuses_data("expected a whole gzip file", images.idx, os.path.join(work, "bad", "cut.gz"), 3)
write("bad", "labels", struct.pack(">2I", 0x801, 1) + b"\x0a")
refuses_data("expected labels below 10, found 10", images.check_labels, "labels", images.idx(
    os.path.join(work, "bad", "labels"), 1))
refuses("expected --lr, found none", "--output", os.path.join(work, "x"))
refuses("found \"sdg\"", "--optimizer", "sdg", "--lr", "1", "--output", os.path.join(work, "x"))

try:
    import torch
except ImportError:
    print("torch_train_test: no PyTorch: its training was not compared")
    sys.exit(0)

# ---- Training against the float64 reference: 108 images in batches of 25, the last one of 8, an epoch and two updates ----

torch.set_num_threads(1)
RATES = {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02, "adagrad": 0.005, "rmsprop": 0.0005, "adam": 0.0005, "adamw": 0.0005,
         "lars": 0.5, "lamb": 0.01}


def train(model, optimizer, decay, batch, updates):
    training = {"model": model, "dataset": "mnist", "optimizer": optimizer, "rate": RATES[optimizer], "momentum": 0.8,
                "weight_decay": decay, "batch": batch, "seed": 3, "device": "cpu"}
    trainer = torch_train.Trainer(torch, training, images.load("mnist", work)[0])
    for layer in trainer.network:
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0  # the masks are another generator's
    begin = flat(trainer)
    losses = []
    forward = trainer.loss_of

    def loss_of(chosen):
        if len(losses) == updates:  # before the forward pass, which would change the running statistics
            raise StopIteration
        loss = forward(chosen)
        losses.append(loss.item())
        return loss

    trainer.loss_of = loss_of
    try:
        for epoch in range(updates):
            trainer.train_epoch(epoch)
    except StopIteration:
        pass
    return losses, begin, flat(trainer), statistics(trainer), tensors(trainer)


def flat(trainer):
    return np.concatenate([p.detach().numpy().ravel() for p in trainer.network.parameters()]).astype(np.float64)


def norms(trainer):
    return [module for module in trainer.network if hasattr(module, "running_mean")]


def statistics(trainer):
    return np.concatenate([np.empty(0)] + [v.numpy() for module in norms(trainer)
                                           for v in (module.running_mean, module.running_var)])


def tensors(trainer):
    """Slices of the tensors in the flat parameters, but for biases that a batch norm follows: their gradient is nothing but
    rounding, which lamb and adam scale up to steps of full length."""
    found, offset = [], 0
    layers = list(trainer.network)
    for layer, follower in zip(layers, layers[1:] + [None]):
        for name, tensor in layer.named_parameters():
            if name != "bias" or layer in norms(trainer) or follower not in norms(trainer):
                found.append(slice(offset, offset + tensor.numel()))
            offset += tensor.numel()
    return found


def distance(found, expected, unit):
    return float(np.linalg.norm(found - expected) / np.linalg.norm(unit))


def check_training(model, optimizer, decay, batch=25, updates=7):
    losses, begin, end, running, parts = train(model, optimizer, decay, batch, updates)
    words = harness("train", "mnist", work, 108, model, optimizer, RATES[optimizer], 0.8, decay, 3, batch, updates)
    exact = np.array([float.fromhex(word) for word in words])
    exact_losses, exact_end, exact_running = np.split(exact, [updates, updates + len(end)])
    first = abs(losses[0] - exact_losses[0]) / exact_losses[0]
    far = {"first loss": (first, 1e-6), "losses": (distance(losses, exact_losses, exact_losses), LOSSES),
           "parameters": (max(distance(end[part], exact_end[part], (exact_end - begin)[part]) for part in parts), MOVED)}
    if len(running):
        far["statistics"] = (distance(running, exact_running, exact_running), STATISTICS)
    print(f"{model}, {optimizer}: " + ", ".join(f"{name} {value:.1e}" for name, (value, _) in far.items()))
    for name, (value, allowed) in far.items():
        if not value <= allowed:
            fail(f"{model}, {optimizer}: {name}: expected at most {allowed} from the float64 reference, found {value}")


LOSSES = 1e-5
STATISTICS = 1e-4
MOVED = 5e-3  # of the way that each tensor went; another convention changes a hundredth of it and more
for optimizer in torch_train.OPTIMIZERS:
    check_training("mlp", optimizer, 0.03)
# Before release 2 its batch norm on a processor is some ten times as coarse, and the short last batch of 8 images amplifies it.
if int(torch.__version__.split(".")[0]) >= 2:
    check_training("f1", "momentum", 0)
    check_training("f1", "lamb", 0.03)
    check_training("c1", "momentum", 0, batch=10, updates=2)
else:
    print(f"PyTorch {torch.__version__}, before 2: its batch norm is not compared")

# ---- The file ----

output = os.path.join(work, "study.jsonl")
study = ["--dataset", "mnist", "--data-dir", work, "--optimizer", "adam,lars", "--batch", "50,108,1000", "--lr", "0.001",
         "--epochs", "2", "--seed", "1-2", "--threads", "1", "--output", output]


def read():
    with open(output) as lines:
        return [json.loads(line) for line in lines]


def timeless(objects):
    return [{key: value for key, value in found.items() if key != "seconds"} for found in objects if found["kind"] == "epoch"]


def run_study():
    done = call(*study)
    if done.returncode != 0:
        fail(f"study: found {done}")
    return done.stderr


run_study()
whole = read()
epochs = timeless(whole)
# 1000 is the whole of 108 images, so that there are two batch sizes.
if [found["kind"] for found in whole] != ["run"] + ["epoch"] * 16:
    fail(f"study: found {[found['kind'] for found in whole]}")
if [(e["epoch"], e["updates"], e["test"] is None) for e in epochs[:2]] != [(1, 3, True), (2, 6, False)]:
    fail(f"study: found {epochs[:2]}")
if work in json.dumps(whole) or "study.jsonl" not in whole[0]["command"]:
    fail(f"study: found a path in {whole[0]['command']}")
if "8 of them in the file" not in run_study() or read() != whole:
    fail("a finished study was changed")

# Interrupted in the second epoch of the third training, in the middle of a line.
with open(output) as lines:
    text = lines.read().splitlines(keepends=True)
for kept, tail in ((6, text[6][:40]), (7, "")):
    with open(output, "w") as lines:
        lines.write("".join(text[:kept]) + tail)
    said = run_study()
    finished = (kept - 1) // 2
    if f"{finished} of them in the file" not in said:
        fail(f"after {kept} lines: found {said}")
    if timeless(read()) != epochs or sum(found["kind"] == "run" for found in read()) != 2:
        fail(f"after {kept} lines: the study is another")

with open(output, "w") as lines:
    lines.write(text[0] + '{"kind": "cell"}\n' + text[1][:20])
before = os.path.getsize(output)
refuses("line 2: expected an object of torch_train.py", *study)
if os.path.getsize(output) != before:
    fail("a file that is not ours was changed")
refuses("expected no batch of one image", *study[:-1], os.path.join(work, "x"), "--model", "f1", "--batch", "107")
PYTHON
