"""The data sets that Batchmark trains on: found, read and split as its program does. Needs numpy only."""
import gzip
import hashlib
import math
import os
import struct
import zlib

import numpy as np

VALIDATION_MAX = 5000
DISTRIBUTION = "/usr/share/datasets"
IDX_FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
CIFAR_FILES = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
CIFAR_RECORDS = 10000
# Means and deviations of pixel / 255 by channel are those of harness/data.c.
SETS = {
    "mnist": {"files": IDX_FILES, "shape": [1, 28, 28], "mean": [0.1307], "deviation": [0.3081],
              "folders": ["mnist", "MNIST"]},
    "fashion-mnist": {"files": IDX_FILES, "shape": [1, 28, 28], "mean": [0.2860], "deviation": [0.3530],
                      "folders": ["fashion-mnist"]},
    "cifar10": {"files": CIFAR_FILES, "shape": [3, 32, 32], "mean": [0.4914, 0.4822, 0.4465],
                "deviation": [0.2470, 0.2435, 0.2616],
                "folders": ["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar-10"]},
}
CLASSES = 10


class DataError(Exception):
    """A data set that is not there or not what it should be; the text is one line."""


def scale_and_shift(name):
    """input = pixel * scale + shift by channel, with the roundings of bm_data_build_normalize. float32."""
    mean, deviation = np.array(SETS[name]["mean"]), np.array(SETS[name]["deviation"])
    return (1 / (255 * deviation)).astype(np.float32), (-mean / deviation).astype(np.float32)


def split_counts(count):
    """(training, validation) of the first `count` training images: the last ones are the validation's."""
    validation = min(VALIDATION_MAX, count // 10)
    return count - validation, validation


# ---- Finding ----

def roots(data_dir):
    """Folders in the order of their strength, as harness/data_search.c has them."""
    found = [data_dir] if data_dir else []
    found += [root for root in os.environ.get("BATCHMARK_DATA", "").split(":") if root]
    if os.environ.get("XDG_DATA_HOME"):
        found.append(os.path.join(os.environ["XDG_DATA_HOME"], "batchmark"))
    elif os.environ.get("HOME"):
        found.append(os.path.join(os.environ["HOME"], ".local/share/batchmark"))
    return found + [DISTRIBUTION]


def path_of(folder, file):
    for ending in ("", ".gz"):
        if os.path.exists(os.path.join(folder, file + ending)):
            return os.path.join(folder, file + ending)
    return None


def folder_of(name, root):
    """ROOT/<name of its folder> or ROOT itself, unless that is called like another set, whose files may have the same names."""
    owner = {folder: owner for owner, facts in SETS.items() for folder in facts["folders"]}.get(os.path.basename(root), name)
    folders = [os.path.join(root, folder) for folder in SETS[name]["folders"]] + ([root] if owner == name else [])
    for folder in folders:
        if any(path_of(folder, file) for file in SETS[name]["files"]):
            return folder
    return None


def locate(name, data_dir):
    """Paths of the set's files."""
    searched = roots(data_dir)
    folder = next((found for found in (folder_of(name, root) for root in searched) if found), None)
    if folder is None:
        raise DataError(f"{name}: expected {SETS[name]['files'][0]}[.gz] in or below {', '.join(searched)}, found none")
    for file in SETS[name]["files"]:
        if path_of(folder, file) is None:
            raise DataError(f"{name}: {folder}: expected {file} or {file}.gz, found neither")
    return [path_of(folder, file) for file in SETS[name]["files"]]


# ---- Reading ----

def content(path):
    with open(path, "rb") as file:
        stored = file.read()
    try:
        return gzip.decompress(stored) if path.endswith(".gz") else stored
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a whole gzip file, found: {error}") from error


def idx(path, dimensions):
    """An idx array of unsigned bytes: big-endian 0x000008DD, then the sizes."""
    stored = content(path)
    begin = 4 + 4 * dimensions
    if len(stored) < begin:
        raise DataError(f"{path}: expected a header of {begin} bytes, found {len(stored)}")
    magic, *sizes = struct.unpack(f">{1 + dimensions}I", stored[:begin])
    if magic != 0x800 + dimensions:
        raise DataError(f"{path}: offset 0: expected the magic number {0x800 + dimensions:#010x}, found {magic:#010x}")
    expected = begin + math.prod(sizes)
    if len(stored) != expected:
        raise DataError(f"{path}: expected {expected} bytes, found {len(stored)}")
    return np.frombuffer(stored, dtype=np.uint8, offset=begin).reshape(sizes)


def idx_split(paths):
    images, labels = idx(paths[0], 3), idx(paths[1], 1)
    if len(images) != len(labels):
        raise DataError(f"{paths[1]}: expected {len(images)} labels, as many as there are images, found {len(labels)}")
    if list(images.shape[1:]) != [28, 28]:
        raise DataError(f"{paths[0]}: expected images of 28x28, found {images.shape[1]}x{images.shape[2]}")
    return images.reshape(len(images), 1, 28, 28), check_labels(paths[1], labels)


def cifar_split(paths):
    """Records of a label and 3x32x32 pixels."""
    records = []
    for path in paths:
        stored = content(path)
        if len(stored) != CIFAR_RECORDS * 3073:
            raise DataError(f"{path}: expected {CIFAR_RECORDS * 3073} bytes, found {len(stored)}")
        records.append(np.frombuffer(stored, dtype=np.uint8).reshape(CIFAR_RECORDS, 3073))
        check_labels(path, records[-1][:, 0])
    whole = np.concatenate(records)
    return whole[:, 1:].reshape(-1, 3, 32, 32), whole[:, 0]


def check_labels(path, labels):
    if labels.size and labels.max() >= CLASSES:
        raise DataError(f"{path}: expected labels below {CLASSES}, found {labels.max()}")
    return labels


def load(name, data_dir, train_images=None):
    """Splits train, validation and test as pairs (images [n][c][h][w], labels [n]) of bytes, and the files' digests.
    `train_images`: only the first so many of the file are used (all if None)."""
    paths = locate(name, data_dir)
    if SETS[name]["files"] is IDX_FILES:
        train, test = idx_split(paths[:2]), idx_split(paths[2:])
    else:
        train, test = cifar_split(paths[:-1]), cifar_split(paths[-1:])
    count = len(train[0]) if train_images is None else train_images
    if not 10 <= count <= len(train[0]):
        raise DataError(f"--train-images: expected 10 to {len(train[0])}, found {count}")
    kept, _ = split_counts(count)
    splits = {"train": (train[0][:kept], train[1][:kept]), "validation": (train[0][kept:count], train[1][kept:count]),
              "test": test}
    return splits, [{"file": os.path.basename(path), "sha256": digest(path)} for path in paths]


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
