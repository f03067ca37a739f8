"""Batchmark's start and shuffles without its program: harness/random.c and bm_model_start of harness/model.c in numpy."""
import numpy as np

ROUNDS = 10
MULTIPLIERS = (0xd2511f53, 0xcd9e8d57)
WEYL = (0x9e3779b9, 0xbb67ae85)
MASK = 0xffffffff
STREAM_BIT = 0x80000000
START, SHUFFLE = 1, 2  # what a stream is for; its index is the layer or the epoch


def words(seed, purpose, index, count):
    """The first `count` words of a stream: Philox4x32-10 (Salmon et al., SC11) over the counters 0, 1, 2, ..."""
    position = np.arange(-(-count // 4), dtype=np.uint64)
    c0, c2 = position & MASK, position >> 32
    c1, c3 = np.full_like(position, STREAM_BIT | purpose), np.full_like(position, index)
    k0, k1 = seed & MASK, seed >> 32
    for _ in range(ROUNDS):
        product0, product1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1 = (product1 >> 32) ^ c1 ^ np.uint64(k0), product1 & MASK
        c2, c3 = (product0 >> 32) ^ c3 ^ np.uint64(k1), product0 & MASK
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return np.stack([c0, c1, c2, c3], axis=1).ravel()[:count]


def uniform(seed, purpose, index, count):
    """Uniform in [0, 1), 53 bits of two words each."""
    pairs = words(seed, purpose, index, 2 * count).reshape(count, 2)
    return ((pairs[:, 0] >> 5) << 26 | pairs[:, 1] >> 6).astype(np.float64) * 2.0 ** -53


def draws(seed, purpose, index, bounds):
    """One number below each bound: the high half of word * bound. A word whose low half is below 2^32 mod bound is refused
    and the next one takes its place (Lemire, "Fast random integer generation in an interval", 2019)."""
    bounds = np.asarray(bounds, dtype=np.uint64)
    surplus = (2 ** 32 - bounds) % bounds
    spare = 64  # about one word in 100 000 is refused
    stream = words(seed, purpose, index, len(bounds) + spare)
    result = np.empty(len(bounds), dtype=np.int64)
    done = refused = 0
    while done < len(bounds):
        if refused > spare:
            spare *= 2
            stream = words(seed, purpose, index, len(bounds) + spare)
        products = stream[done + refused:len(bounds) + refused] * bounds[done:]
        bad = np.flatnonzero((products & MASK) < surplus[done:])
        good = int(bad[0]) if len(bad) else len(products)
        result[done:done + good] = products[:good] >> 32
        done, refused = done + good, refused + 1
    return result


def order(seed, epoch, count):
    """The order of one epoch, the first being 0: Fisher-Yates from the last place downwards. [count], uint32."""
    places = list(range(count))
    for last, drawn in zip(range(count - 1, 0, -1), draws(seed, SHUFFLE, epoch, range(count, 1, -1)).tolist()):
        places[last], places[drawn] = places[drawn], places[last]
    return np.array(places, dtype=np.uint32)


def parameters(shape, layers, seed):
    """The start in the canonical order, a pair (weight [out][inputs of one output], bias) for each layer that has them:
    weights uniform in +-sqrt(6 / inputs), biases and shifts 0, gains 1. `layers` as in networks.py. float32."""
    channels, side = shape[0], shape[1]
    size = shape[0] * shape[1] * shape[2]
    found = []
    number = 0  # of the layer as Batchmark counts: flatten is none
    for layer in layers:
        kind, *rest = layer.split()
        if kind == "conv":
            found.append(pair(seed, number, int(rest[0]), channels * 25))
            channels = int(rest[0])
            size = channels * side * side
        elif kind == "linear":
            found.append(pair(seed, number, int(rest[0]), size))
            channels = size = int(rest[0])
        elif kind == "norm":
            found.append((np.ones(channels, dtype=np.float32), np.zeros(channels, dtype=np.float32)))
        elif kind == "pool":
            side = (side - 3) // 2 + 1
            size = channels * side * side
        number += kind != "flatten"
    return found


def pair(seed, layer, outputs, inputs):
    limit = np.sqrt(6.0 / inputs)
    weight = limit * (2 * uniform(seed, START, layer, outputs * inputs) - 1)
    return weight.astype(np.float32).reshape(outputs, inputs), np.zeros(outputs, dtype=np.float32)
