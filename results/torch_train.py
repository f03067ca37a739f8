#!/usr/bin/env python3
"""PyTorch's own training with the settings, the start and the shuffles of `batchmark train`, for comparing the two.

The network, the split of the data, the scaling of the images, the start (of the seed), the order of every epoch (of seed and
epoch), the short last batch (an update by the mean over its own images) and the rules of the optimizers are Batchmark's, made
here without its program. The arithmetic is PyTorch's: float32, TF32 off. Two things cannot be equal: roundings, and the masks
of dropout (model c1), which PyTorch's own generator draws. lars and lamb are written out; PyTorch has neither.

    results/torch_train.py --dataset mnist --model mlp --optimizer momentum --lr 0.05 --batch 100 --epochs 20 --seed 1-5 \\
        --output results/NAME/torch-train.jsonl
    results/compare_torch.py results/NAME/train.jsonl results/NAME/torch-train.jsonl

--optimizer, --batch, --lr and --seed take lists, every combination is a training. Its lines are added to the output file: one
`run` object a call, then an `epoch` object an epoch, whose `updates` and `seconds` (of training alone) count from the start.
The same command goes on where it was interrupted: a training that the file holds to its end is not repeated, what it holds of
an unfinished last one is dropped. Losses and accuracies are those of whole splits after the epoch, with running statistics.

The split: of the training images that are used (--train-images, default all) the last min(5000, n / 10) are the validation's.

--dump-start writes the bits of the start in hexadecimal, --dump-order EPOCH COUNT an order (the first epoch is 0), a number a
line; both for the first seed, and without PyTorch.
"""
import argparse
import datetime
import fcntl
import itertools
import json
import math
import os
import sys
import time
import uuid

try:
    import numpy as np
except ImportError as missing:
    sys.exit(f"torch_train.py: expected numpy, found: {missing}")

import images
import start
from networks import TRAINED, build

OPTIMIZERS = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lars", "lamb"]
WRITTEN_OUT = ["lars", "lamb"]
DECAYS = {"adamw": 0.01, "lamb": 0.01}  # of the others 0
EVALUATED_AT_ONCE = 1000
# What an epoch object says of its training besides numbers of the epoch itself: equal in all of these, the same training.
IDENTITY = ["backend", "model", "dataset", "optimizer", "schedule", "batch", "seed", "rate", "role", "momentum", "weight_decay",
            "epochs", "train_images", "threads", "device"]


def fail(text):
    sys.exit(f"torch_train.py: {text}")


# ---- Training ----

class Trainer:
    """One training: network, optimizer and data on the device. `splits` as images.load gives them."""

    def __init__(self, torch, training, splits):
        import rules

        self.torch = torch
        self.training = training
        self.device = torch.device(training["device"])
        self.is_flat = "flatten" not in TRAINED[training["model"]]
        self.splits = {name: self.to_device(split) for name, split in splits.items()}
        scale, shift = images.scale_and_shift(training["dataset"])
        self.scale, self.shift = (torch.from_numpy(v).to(self.device).view(1, -1, 1, 1) for v in (scale, shift))
        self.network = self.build_network()
        self.optimizer = rules.build(training["optimizer"], list(self.network.parameters()), training["rate"],
                                     training["momentum"], training["weight_decay"])
        self.updates = 0

    def to_device(self, split):
        pixels, labels = (np.ascontiguousarray(array) for array in split)
        return (self.torch.tensor(pixels, device=self.device),
                self.torch.tensor(labels.astype(np.int64), device=self.device))

    def build_network(self):
        """Only dropout draws from PyTorch's generator after this; the start is written over PyTorch's own."""
        layers, shape = TRAINED[self.training["model"]], images.SETS[self.training["dataset"]]["shape"]
        self.torch.manual_seed(self.training["seed"])
        network = build(self.torch, shape, layers)
        owners = [module for module in network if list(module.parameters())]
        with self.torch.no_grad():
            for module, (weight, bias) in zip(owners, start.parameters(shape, layers, self.training["seed"]), strict=True):
                module.weight.copy_(self.torch.from_numpy(weight).view_as(module.weight))
                module.bias.copy_(self.torch.from_numpy(bias))
        return network.to(self.device)

    def input_of(self, pixels):
        x = pixels.float().mul_(self.scale).add_(self.shift)
        return x.flatten(1) if self.is_flat else x

    def wait(self):
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()

    def loss_of(self, chosen):
        """Mean cross entropy of the images `chosen` of the training part."""
        pixels, labels = (tensor.index_select(0, chosen) for tensor in self.splits["train"])
        return self.torch.nn.functional.cross_entropy(self.network(self.input_of(pixels)), labels)

    def train_epoch(self, epoch):
        """One walk over the order of epoch number `epoch`, the first being 0; returns its seconds. The order itself is made
        before the clock starts, since Python is slow at it and PyTorch's users have it from torch.randperm."""
        count, batch = len(self.splits["train"][0]), self.training["batch"]
        order = start.order(self.training["seed"], epoch, count).astype(np.int64)
        self.network.train()
        self.wait()
        before = time.perf_counter()
        order = self.torch.from_numpy(order).to(self.device)
        for first in range(0, count, batch):
            self.optimizer.zero_grad(set_to_none=True)
            self.loss_of(order[first:first + batch]).backward()
            self.optimizer.step()
            self.updates += 1
        self.wait()
        return time.perf_counter() - before

    def evaluate(self, name):
        """Mean loss and accuracy of a split with running statistics, without dropout."""
        pixels, labels = self.splits[name]
        loss = correct = 0
        self.network.eval()
        with self.torch.no_grad():
            for first in range(0, len(pixels), EVALUATED_AT_ONCE):
                logits = self.network(self.input_of(pixels[first:first + EVALUATED_AT_ONCE]))
                answers = labels[first:first + EVALUATED_AT_ONCE]
                loss += self.torch.nn.functional.cross_entropy(logits, answers, reduction="sum").item()
                correct += (logits.argmax(1) == answers).sum().item()
        return outcome(loss / len(pixels), correct / len(pixels))


def outcome(loss, accuracy):
    if math.isfinite(loss):
        return {"loss": loss, "accuracy": accuracy}
    return {"loss": None, "accuracy": accuracy, "reason": f"the loss is {loss}"}


def epochs_of(trainer):
    """The epoch objects of a training as they come."""
    training = trainer.training
    seconds = 0
    for epoch in range(training["epochs"]):
        seconds += trainer.train_epoch(epoch)
        is_last = epoch + 1 == training["epochs"]
        yield {"kind": "epoch", "schema": 1, **training, "epoch": epoch + 1, "updates": trainer.updates, "seconds": seconds,
               "train": trainer.evaluate("train"), "validation": trainer.evaluate("validation"),
               "test": trainer.evaluate("test") if is_last else None}


# ---- The file ----

def identity(epoch):
    return tuple(epoch[field] for field in IDENTITY)


def is_last(found):
    return found["kind"] == "epoch" and found["epoch"] == found["epochs"]


def check_line(path, number, line):
    """A line of ours, as an object. Nothing is cut from or added to a file that is somebody else's."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if isinstance(found, dict) and (found.get("kind") == "run" and found.get("program") == "torch_train.py" or
                                    found.get("kind") == "epoch" and all(field in found for field in IDENTITY + ["epoch"])):
        return found
    return fail(f"{path}: line {number}: expected an object of torch_train.py, found {line[:60].decode(errors='replace')!r}")


def resume(path, file):
    """Cuts a torn line and an unfinished training from the file's end; returns the identities of the finished trainings."""
    finished, kept, offset, dropped = set(), 0, 0, 0
    for number, line in enumerate(file.read().splitlines(keepends=True), 1):
        offset += len(line)
        if not line.endswith(b"\n"):
            dropped += 1
            continue
        found = check_line(path, number, line)
        dropped += 1
        if found["kind"] == "run" or is_last(found):
            kept, dropped = offset, 0
        if is_last(found):
            finished.add(identity(found))
    if dropped:
        print(f"{os.path.basename(path)}: {dropped} lines of an unfinished training are dropped", file=sys.stderr)
    file.truncate(kept)
    file.seek(kept)
    return finished


def open_output(path):
    """The file, locked: two that add to one file would tear each other's trainings apart."""
    try:
        file = open(path, "a+b")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fail(f"{path}: expected a file of our own, found that another process writes it")
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    file.seek(0)
    return file


def write(file, line):
    try:
        file.write((json.dumps(line, allow_nan=False) + "\n").encode())
        file.flush()
    except OSError as error:
        fail(f"{file.name}: {error.strerror}")


def processor():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def command_line():
    """As given, paths as file names only."""
    return " ".join([os.path.basename(sys.argv[0])] + [word if os.sep not in word else
                                                       "=".join(os.path.basename(part) for part in word.split("=", 1))
                                                       for word in sys.argv[1:]])


def run_object(torch, arguments, splits, files):
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else processor()
    written_out = [rule for rule in arguments.optimizer if rule in WRITTEN_OUT]
    return {"kind": "run", "schema": 1, "id": str(uuid.uuid4()), "program": "torch_train.py",
            "started": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "command": command_line(), "seed": arguments.seed, "torch": torch.__version__, "numpy": np.__version__,
            "python": sys.version.split()[0], "threads": arguments.threads, "device": arguments.device,
            "host": {"processor": processor(), "device_name": name}, "cuda": torch.version.cuda,
            "written_out": written_out, "dropout": "masks of PyTorch's generator" if arguments.model == "c1" else None,
            "data": {"name": arguments.dataset, "files": files,
                     **{split: len(labels) for split, (_, labels) in splits.items()}}}


# ---- Command line ----

def positive_list(kind):
    def parse(text):
        found = [kind(word) for word in text.split(",")]
        if not all(0 < value < math.inf for value in found):
            raise ValueError
        return found
    parse.__name__ = "list of positive numbers"
    return parse


def whole(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


def natural(text):
    if not 0 <= int(text) < 2 ** 32:
        raise ValueError
    return int(text)


def fraction(text):
    if not 0 <= float(text) < math.inf:
        raise ValueError
    return float(text)


def seeds(text):
    """1,3-5: numbers and ranges."""
    found = []
    for word in text.split(","):
        first, _, last = word.partition("-")
        found += range(int(first), int(last or first) + 1)
    if not found or not all(0 <= seed < 2 ** 64 for seed in found):
        raise ValueError
    return found


def optimizers(text):
    for name in text.split(","):
        if name not in OPTIMIZERS:
            raise argparse.ArgumentTypeError(f"expected {', '.join(OPTIMIZERS)}, found \"{name}\"")
    return text.split(",")


def parse_arguments():
    summary, rest = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion-mnist", choices=list(images.SETS))
    parser.add_argument("--data-dir", help="searched before $BATCHMARK_DATA and the distribution's folder")
    parser.add_argument("--train-images", type=whole, help="use only the first so many of the training images")
    parser.add_argument("--model", default="mlp", choices=list(TRAINED))
    parser.add_argument("--optimizer", type=optimizers, default=["momentum"], help="of " + ", ".join(OPTIMIZERS))
    parser.add_argument("--batch", type=positive_list(int), default=[100])
    parser.add_argument("--lr", type=positive_list(float), help="constant rate")
    parser.add_argument("--momentum", type=fraction, default=0.9)
    parser.add_argument("--weight-decay", type=fraction, help="default 0, adamw and lamb 0.01")
    parser.add_argument("--epochs", type=whole, default=10)
    parser.add_argument("--seed", type=seeds, default=[1], help="1-5 or 1,2,7")
    parser.add_argument("--threads", type=whole, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--output", "-o")
    parser.add_argument("--dump-start", action="store_true")
    parser.add_argument("--dump-order", nargs=2, type=natural, metavar=("EPOCH", "COUNT"))
    arguments = parser.parse_args()
    for name in ("lr", "output"):
        if getattr(arguments, name) is None and not (arguments.dump_start or arguments.dump_order):
            parser.error(f"expected --{name}, found none")
    return arguments


def dump(arguments):
    if arguments.dump_order:
        epoch, count = arguments.dump_order
        lines = start.order(arguments.seed[0], epoch, count).tolist()
    else:
        found = start.parameters(images.SETS[arguments.dataset]["shape"], TRAINED[arguments.model], arguments.seed[0])
        bits = np.concatenate([array.ravel() for layer in found for array in layer]).view(np.uint32)
        lines = map("{:08x}".format, bits.tolist())
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def trainings_of(arguments, count):
    """Every combination, as the fields that all of its epoch objects share. A batch above `count` is the whole."""
    axes = itertools.product(arguments.optimizer, arguments.batch, arguments.lr, arguments.seed)
    for optimizer, batch, rate, seed in axes:
        decay = DECAYS.get(optimizer, 0.0) if arguments.weight_decay is None else arguments.weight_decay
        yield {"backend": "pytorch", "model": arguments.model, "dataset": arguments.dataset, "optimizer": optimizer,
               "schedule": "constant", "batch": min(batch, count), "seed": seed, "rate": rate, "role": "final",
               "momentum": arguments.momentum, "weight_decay": decay, "epochs": arguments.epochs,
               "train_images": arguments.train_images, "threads": arguments.threads, "device": arguments.device}


def check_batches(arguments, trainings, count):
    """PyTorch refuses to normalize a batch of one value a channel; it shall not do so after an hour."""
    for training in trainings:
        if "norm" in TRAINED[arguments.model] and 1 in (training["batch"], count % training["batch"]):
            fail(f"--batch {training['batch']}: expected no batch of one image, which PyTorch's batch norm refuses, found one "
                 f"in {count} images")


def load_torch(arguments):
    try:
        import torch
    except ImportError as error:
        fail(f"expected PyTorch, found: {error}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        fail("expected a CUDA device that PyTorch can use, found none")
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch


def report(found):
    parts = [f"{name} {found[name]['accuracy']:.4f}" for name in ("train", "validation", "test") if found[name]]
    print(f"{found['optimizer']}, batch {found['batch']}, rate {found['rate']}, seed {found['seed']}, epoch {found['epoch']} of "
          f"{found['epochs']}, {found['seconds']:.1f} s: {'; '.join(parts)}", file=sys.stderr)


def main():
    arguments = parse_arguments()
    if arguments.dump_start or arguments.dump_order:
        return dump(arguments)
    torch = load_torch(arguments)
    try:
        splits, files = images.load(arguments.dataset, arguments.data_dir, arguments.train_images)
    except images.DataError as error:
        fail(error)
    count = len(splits["train"][0])
    arguments.train_images = count + len(splits["validation"][0])
    trainings = list({identity(training): training for training in trainings_of(arguments, count)}.values())
    check_batches(arguments, trainings, count)
    with open_output(arguments.output) as file:
        finished = resume(arguments.output, file)
        missing = [training for training in trainings if identity(training) not in finished]
        print(f"{len(trainings)} trainings, {len(trainings) - len(missing)} of them in the file", file=sys.stderr)
        if missing:
            write(file, run_object(torch, arguments, splits, files))
        for training in missing:
            for found in epochs_of(Trainer(torch, training, splits)):
                write(file, found)
                report(found)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
