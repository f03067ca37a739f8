#!/usr/bin/env python3
"""A made-up record of `batchmark landscape` with an object of every part, plausible and always the same.

usage: landscape_records.py [--small] FILE

The surfaces and the paths on them are really computed; what takes a network is made up in the sizes that the papers tell. With
--small grids, paths and curves have few points, so that a golden file stays readable.
"""
import json
import math
import random
import sys

TWISTER = random.Random(9)
NETWORK = {
    "backend": "avx2", "device_name": "Example Alpha 8-Core", "software": False, "model": "f1",
    "layers": "dense 512, batchnorm, relu, " * 5 + "dense 10", "dataset": "mnist", "images": 60000, "batch_norm": "ghost-6000",
    "threads": 8, "precision": "float32",
}
SMALL_BATCH = {"point": "batch 256", "optimizer": "adam", "batch": 256, "epochs": 20, "train": {"loss": 0.0012, "accuracy": 0.9998},
               "test": {"loss": 0.081, "accuracy": 0.9803}}
LARGE_BATCH = {"point": "batch 6000", "optimizer": "adam", "batch": 6000, "epochs": 20,
               "train": {"loss": 0.0009, "accuracy": 0.9999}, "test": {"loss": 0.097, "accuracy": 0.9779}}
SADDLE = {**NETWORK, "model": "custom", "layers": "dense 12, relu, dense 10", "images": 2000, "batch_norm": None}


class Sizes:
    def __init__(self, small):
        self.side = 5 if small else 61
        self.line = 9 if small else 161
        self.updates = 6 if small else 120
        self.seeds = 2 if small else 20
        self.steps = 5 if small else 25


def item(analysis, part, *parts, **fields):
    made = {"kind": "landscape", "schema": 1, "analysis": analysis, "part": part, "status": "ok"}
    for one in parts:
        made.update(one)
    made.update(fields)
    return made


def short(value):
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def axis(low, high, count):
    return {"low": low, "high": high, "count": count}


def places(of):
    return [of["low"] + i * (of["high"] - of["low"]) / (of["count"] - 1) for i in range(of["count"])]


# ---- Surfaces ----

XS = [-1 + i / 9.5 for i in range(20)]
YS = [0.7 * x + 0.3 + TWISTER.gauss(0, 0.25) for x in XS]


def examples_loss(p):
    return sum((p[0] * x + p[1] - y) ** 2 for x, y in zip(XS, YS)) / 40


def example_gradient(p, i):
    error = p[0] * XS[i] + p[1] - YS[i]
    return [error * XS[i], error]


def hill(p):
    x = p[0]
    return 0.06 * (x - 4) ** 2 + 0.9 * math.exp(-((x - 0.9) ** 2) / 0.5) - 0.5 * math.exp(-((x + 0.6) ** 2) / 0.5)


def saddle(p):
    return 0.5 * p[0] ** 2 - 0.5 * p[1] ** 2 + 0.125 * p[1] ** 4


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 10 * (p[1] - p[0] ** 2) ** 2


def slope(function, p, h=1e-5):
    found = []
    for i in range(len(p)):
        up, down = list(p), list(p)
        up[i] += h
        down[i] -= h
        found.append((function(up) - function(down)) / (2 * h))
    return found


def curvature(function, p, h=1e-3):
    """Eigenvalues of the Hessian by differences, of one or two parameters."""
    def second(i, j):
        total = 0
        for a, b, sign in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
            q = list(p)
            q[i] += a * h
            q[j] += b * h
            total += sign * function(q)
        return total / (4 * h * h)
    if len(p) == 1:
        return [second(0, 0)]
    a, b, c = second(0, 0), second(0, 1), second(1, 1)
    middle, half = (a + c) / 2, math.hypot((a - c) / 2, b)
    return [middle + half, middle - half]


def kind_of(norm, values):
    if norm > 0.05:
        return "moving"
    if min(values) > 1e-3:
        return "minimum"
    return "saddle" if max(values) > 1e-3 and min(values) < -1e-3 else "maximum" if max(values) < -1e-3 else "flat"


def valley(p):
    return 0.05 * p[0] ** 2 + p[1] ** 2


SURFACES = {
    # name: function, about, formula, x, y, log, start, rate, critical points, and what crossing means
    "hill": (hill, "a slope with a local minimum before a hill, behind it the lower minimum",
             "0.06 (x - 4)^2 + 0.9 exp(-(x - 0.9)^2 / 0.5) - 0.5 exp(-(x + 0.6)^2 / 0.5)", (-3, 6), None, False, [-2.4], 0.15,
             [(-0.52, None, "minimum"), (0.93, None, "maximum"), (3.86, None, "minimum")], lambda p: p[0] > 0.93),
    "saddle": (saddle, "a saddle between two minima, begun on its ridge", "x^2 / 2 - y^2 / 2 + y^4 / 8", (-2, 2), (-2.2, 2.2),
               False, [1.6, 0.0], 0.1, [(0, 0, "saddle"), (0, 1.41421, "minimum"), (0, -1.41421, "minimum")],
               lambda p: abs(p[1]) > 0.7),
    "rosenbrock": (rosenbrock, "a curved valley (Rosenbrock)", "(1 - x)^2 + 10 (y - x^2)^2", (-1.8, 1.8), (-0.8, 2.6), True,
                   [-1.2, 1.6], 0.01, [(1, 1, "minimum")], None),
    "valley": (valley, "a long valley, twenty times as steep across as along", "x^2 / 20 + y^2", (-3, 3), (-1.5, 1.5), False,
               [-2.6, 1.0], 0.1, [(0, 0, "minimum")], lambda p: valley(p) < 0.05),
}


def contour(name, size):
    function, about, formula, xs, ys, log, _, _, critical, _ = SURFACES[name]
    fields = {"surface": name, "about": about, "formula": formula, "dimensions": 1 if ys is None else 2, "log": log}
    if ys is None:
        fields["x"] = axis(*xs, size.line)
        fields["values"] = [short(function([x])) for x in places(fields["x"])]
    else:
        fields["x"], fields["y"] = axis(*xs, size.side), axis(*ys, size.side)
        fields["values"] = [short(function([x, y])) for y in places(fields["y"]) for x in places(fields["x"])]
    fields["critical"] = [
        {"x": x, "y": y, "value": short(function([x] if y is None else [x, y])), "kind": kind} for x, y, kind in critical
    ]
    return item("escape", "contour", fields)


def walk(function, start, optimizer, rate, updates, noise=0.0, gradient=None):
    """The points of an optimizer on a surface."""
    point, m, v = list(start), [0.0] * len(start), [0.0] * len(start)
    points = [list(point)]
    for t in range(1, updates + 1):
        at = [p + 0.9 * s for p, s in zip(point, m)] if optimizer == "nesterov" else point
        g = [one + (TWISTER.gauss(0, noise) if noise else 0) for one in (gradient(at, t) if gradient else slope(function, at))]
        if optimizer == "adam":
            m = [0.9 * a + 0.1 * b for a, b in zip(m, g)]
            v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g)]
            step = [-rate * a / (1 - 0.9 ** t) / (math.sqrt(b / (1 - 0.999 ** t)) + 1e-8) for a, b in zip(m, v)]
        elif optimizer in ("momentum", "nesterov"):
            m = [0.9 * a - rate * b for a, b in zip(m, g)]
            step = m
        else:
            step = [-rate * b for b in g]
        point = [p + s for p, s in zip(point, step)]
        points.append(list(point))
    return points


def path(name, function, points, optimizer, rate, crossed, examples=None, batch=None, noise=0.0, seconds=None, seed=1,
         start="the usual start"):
    norm = math.hypot(*slope(function, points[-1]))
    values = curvature(function, points[-1])
    each = 20 if batch is None else batch
    kind = kind_of(norm, values)
    told = None if crossed is None else bool(crossed(points[-1]))
    return item(
        "escape", "path", surface=name, **{"from": start}, optimizer=optimizer, rate=rate,
        momentum=0.9 if optimizer in ("momentum", "nesterov") else 0.0, batch=batch, noise=noise, examples_per_update=each,
        seed=seed, points=[[short(x) for x in p] for p in points], updates=list(range(len(points))),
        examples=[each * i for i in range(len(points))] if examples is None else examples, seconds=seconds,
        losses=[short(function(p)) for p in points],
        end={"point": [short(x) for x in points[-1]], "loss": short(function(points[-1])), "gradient_norm": short(norm),
             "eigenvalues": [short(x) for x in values], "kind": kind},
        crossed=told, why=f"the gradient is {norm:.2g} and the smallest eigenvalue {min(values):.2g}: {kind}")


def surfaces(size):
    made = []
    for name, (function, _, _, _, _, _, start, rate, _, crossed) in SURFACES.items():
        made.append(contour(name, size))
        for optimizer in ("sgd", "momentum", "nesterov", "adam"):
            own = 10 * rate if optimizer == "adam" and name == "rosenbrock" else rate
            for noise in (0.0, 0.6 if name == "hill" else 0.2):
                points = walk(function, start, optimizer, own, size.updates, noise)
                made.append(path(name, function, points, optimizer, own, crossed, batch=None if noise == 0 else 4, noise=noise))
    for rate in (0.1, 0.4):
        points = walk(valley, [2.5, 1.2], "sgd", rate, size.updates)
        made.append(path("valley", valley, points, "sgd", rate, SURFACES["valley"][-1], start="the other end"))
    return made


def examples(size):
    count = size.side
    xs, ys = axis(-1.2, 1.8, count), axis(-0.9, 1.5, count)
    made = [item("escape", "contour", surface="examples", about="20 examples, a line through them: two parameters",
                 formula="mean of (w x + b - y)^2 / 2", dimensions=2, x=xs, y=ys, log=True,
                 values=[short(examples_loss([x, y])) for y in places(ys) for x in places(xs)], critical=[])]
    epochs = 2 if size.updates < 10 else 10
    for batch, each in ((None, 20), (1, 1)):
        updates = epochs * 20 // each

        def gradient(at, t, each=each):
            chosen = [((t - 1) * each + k) * 7 % 20 for k in range(each)]
            both = [example_gradient(at, i) for i in chosen]
            return [sum(g[k] for g in both) / each for k in (0, 1)]
        points = walk(examples_loss, [-0.9, -0.6], "sgd", 0.25, updates, gradient=gradient)
        seconds = [short(i * (2e-6 + each * 1.5e-7)) for i in range(updates + 1)]
        made.append(path("examples", examples_loss, points, "sgd", 0.25, None, batch=batch, seconds=seconds))
    return made


def wilson(yes, runs):
    z = 1.959964
    p = yes / runs
    middle = (p + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z / (1 + z * z / runs) * math.sqrt(p * (1 - p) / runs + z * z / (4 * runs * runs))
    return {"value": p, "low": short(max(0, middle - half)), "high": short(min(1, middle + half))}


def counts():
    rows = [("hill", "crosses the hill", "sgd", None, 0, 0, None), ("hill", "crosses the hill", "sgd", 4, 0.6, 11, 88),
            ("hill", "crosses the hill", "momentum", None, 0, 20, 14), ("hill", "crosses the hill", "momentum", 4, 0.6, 20, 13),
            ("hill", "crosses the hill", "adam", None, 0, 0, None), ("saddle", "leaves the saddle", "sgd", None, 0, 0, None),
            ("saddle", "leaves the saddle", "sgd", 4, 0.2, 20, 31), ("saddle", "leaves the saddle", "momentum", None, 0, 0, None),
            ("saddle", "leaves the saddle", "momentum", 4, 0.2, 20, 17),
            ("network", "leaves the saddle", "sgd", None, None, 3, 1510), ("network", "leaves the saddle", "sgd", 20, None, 20, 640),
            ("network", "leaves the saddle", "momentum", None, None, 20, 190)]
    made = []
    for surface, question, optimizer, batch, noise, yes, median in rows:
        of = SADDLE if surface == "network" else {}
        made.append(item("escape", "count", of, surface=surface, question=question, optimizer=optimizer,
                         momentum=0.9 if optimizer == "momentum" else 0, batch=batch, noise=noise, rate=0.1, runs=20,
                         yes=yes, share=wilson(yes, 20), ends={"minimum": yes, "saddle": 20 - yes, "diverged": 0},
                         updates=None if median is None else {"median": median, "low": int(0.8 * median), "high": int(1.3 * median)},
                         limit=2000))
    return made


def leaves(size):
    made = [item("escape", "saddle", SADDLE, narrow="dense 4, relu, dense 10", wide="dense 12, relu, dense 10",
                 method="units duplicated, outgoing weights split (Fukumizu and Amari 2000)", loss=0.8312, gradient_norm=3.1e-4,
                 smallest={"value": -0.0213, "residual": 0.012, "error": 2.1e-4},
                 largest={"value": 14.27, "residual": 1e-4, "error": 3e-3}, duplicated=[0, 1, 2, 3],
                 share=0.5, updates=4000, relative_gradient_norm=2.1e-4,
                 check={"loss_difference": 2.4e-8}, point_kind="saddle")]
    for optimizer, batch, middle in (("sgd", None, 1500), ("sgd", 20, 640), ("momentum", None, 190)):
        for seed in range(1, size.seeds + 1):
            takes = int(middle * TWISTER.lognormvariate(0, 0.2))
            left = takes if optimizer != "sgd" or batch or seed <= 3 else None
            total = int(1.2 * takes) if left else 2000
            updates = [int(total * i / (size.steps - 1)) for i in range(size.steps)]
            losses = [short(0.8312 * (1 - 0.35 / (1 + math.exp(-(u - (takes if left else 3 * takes)) / (0.06 * takes)))))
                      for u in updates]
            made.append(item("escape", "leave", SADDLE, optimizer=optimizer, momentum=0.9 if optimizer == "momentum" else 0,
                             rate=0.05, batch=batch, seed=seed, perturbation=1e-4, updates=left, limit=2000,
                             curve={"updates": updates, "losses": losses}))
    count = min(size.updates, 20)
    made.append(item("escape", "weights", momentum=0.9, rate=0.1, updates=count,
                     coefficients=[short(-0.1 * 0.9 ** (count - 1 - i)) for i in range(count)], recursion=-0.3187421, sum=-0.3187421,
                     difference=2.8e-17))
    return made


# ---- hessian, sharpness ----


def spectra(size):
    made = []
    for point, top, bottom, kind in ((SMALL_BATCH, 31.2, -0.041, "minimum"), (LARGE_BATCH, 268.0, -1.9, "saddle")):
        for seed in (1,):
            made.append(item(
                "hessian", "spectrum", NETWORK, point, seed=seed, loss=point["train"]["loss"], gradient_norm=short(2e-3 * top ** 0.5),
                step={"value": 1e-3, "error": 2.2e-4, "tried": [{"step": 10.0 ** -k, "error": short(10.0 ** (k - 6) + 10.0 ** -k / 9)}
                                                                for k in (2, 3, 4)]},
                largest=[{"value": short(top * 0.72 ** i), "residual": short(0.002 * 1.6 ** i), "error": short(top * 1e-3)}
                         for i in range(5)],
                smallest=[{"value": short(bottom * 0.6 ** i), "residual": short(0.02 * 1.3 ** i), "error": short(abs(bottom) * 0.06)}
                          for i in range(3)],
                trace={"value": short(4.1 * top), "standard_error": short(0.2 * top), "vectors": 10}, products=64, gradients=128,
                point_kind=kind, evidence=f"gradient {2e-3 * top ** .5:.2g}; eigenvalues {bottom:.3g} to {top:.3g}, errors below 5 %"))
    t = [short((i - size.steps // 2) / (size.steps // 2) * 0.02) for i in range(size.steps)]
    losses = [short(0.0009 - 0.95 * x * x + 800 * x ** 4) for x in t]
    made.append(item("hessian", "walk", NETWORK, LARGE_BATCH, seed=1, eigenvalue=-1.9, t=t, losses=losses,
                     quadratic=[short(0.0009 - 0.95 * x * x) for x in t],
                     lowest={"t": t[-1], "loss": losses[-1]}))
    return made


PAPER = {("full", 1e-3): (1.23, 205.14), ("full", 5e-4): (0.61, 42.9), ("subspace", 1e-3): (0.11, 9.22),
         ("subspace", 5e-4): (0.05, 9.17)}


def sharpness():
    made = []
    for (space, epsilon), (small, large) in PAPER.items():
        for point, paper in ((SMALL_BATCH, small), (LARGE_BATCH, large)):
            for draw in ([None] if space == "full" else [1, 2, 3]):
                value = paper * TWISTER.lognormvariate(0.3, 0.25)
                loss = point["train"]["loss"]
                after = [short(value * (1 - 0.6 ** k)) for k in range(1, 13)]
                made.append(item("sharpness", "sharpness", NETWORK, point, seed=1, space=space,
                                 dimensions=1462794 if space == "full" else 100, epsilon=epsilon, draw=draw, value=short(value),
                                 loss=loss, highest=short(loss + value / 100 * (1 + loss)), steps=10, evaluations=12, after=after,
                                 method="L-BFGS-B", ended="10 iterations", columns=None if space == "full" else "standard normal",
                                 beside=[{"method": "NLopt LD_LBFGS", "value": short(0.98 * value), "loss": loss,
                                          "highest": short(loss + value / 100), "steps": 10, "evaluations": 11, "after": after[:4],
                                          "ended": "10 iterations"},
                                         {"method": "corners", "value": None, "reason": "time is up"} if point is SMALL_BATCH else
                                         {"method": "corners", "value": short(1.5 * value), "loss": loss,
                                          "highest": short(loss + 1.5 * value / 100), "steps": 7, "evaluations": 8, "after": after[:4],
                                          "ended": "no evaluations were left"}],
                                 scaled=1, function_change=0.0))
        for method, more in (("L-BFGS-B", 1), ("highest of all", 1.5)):
            made.append(item("sharpness", "comparison", NETWORK, method=method, pairs=5, space=space, epsilon=epsilon,
                             ratio={"value": short(large / small * 0.7 * more), "low": short(large / small * 0.4 * more),
                                    "high": short(large / small * 1.1 * more)},
                             paper={"small": small, "large": large}, agrees=True, verdict="agrees", small_batch=256,
                             large_batch=6000, small=[small] * 5, large=[large * more] * 5))
    for scaled in (2, 10):
        made.append(item("sharpness", "sharpness", NETWORK, SMALL_BATCH, seed=1, space="full", dimensions=1462794, epsilon=1e-3,
                         draw=None, value=short(1.4 * scaled ** 1.7), loss=0.0012, highest=0.02, steps=10, evaluations=12, after=[],
                         scaled=scaled, function_change=3.1e-8))
    return made


def filter_lines(size):
    made = []
    for point, bend in ((SMALL_BATCH, 1.4), (LARGE_BATCH, 2.3)):
        for seed in (1, 2):
            t = [short(-1 + 2 * i / (size.steps - 1)) for i in range(size.steps)]
            losses = [short(point["train"]["loss"] + bend * (1 + 0.1 * seed) * x * x + 0.4 * x ** 4) for x in t]
            made.append(item("sharpness", "filter_line", NETWORK, point, seed=seed, t=t, losses=losses,
                             width=short(2 * math.sqrt(0.1 / bend)), at_least=seed == 2))
    made.append(item("sharpness", "sharpness", NETWORK, LARGE_BATCH, status="unsupported", reason="NLopt is not there: libnlopt-dev",
                     space="full", epsilon=1e-2))
    return made


# ---- line, noise ----


def lines(size):
    made = []
    t = [-1 + 3 * i / 24 for i in range(25)]
    for shape in ("straight", "curved"):
        over = 0.35 if shape == "straight" else 0.6
        train = [0.0011 + over * max(0.0, math.sin(math.pi * x)) + 0.9 * max(0.0, x - 1) ** 1.5 + 0.3 * max(0.0, -x) ** 1.5 for x in t]
        test = [0.085 + 0.8 * value for value in train]

        def right(loss, top):
            return short(max(0.1, top - 0.35 * loss))
        made.append(item("line", "line", NETWORK, shape=shape, to="batch 6000", t=[short(x) for x in t], statistics="renewed",
                         barrier=short(max(train[8:17])), **{"from": "batch 256"},
                         train={"loss": [short(x) for x in train], "accuracy": [right(x, 0.9999) for x in train]},
                         test={"loss": [short(x) for x in test], "accuracy": [right(x, 0.991) for x in test]}))
    for point, norm in ((SMALL_BATCH, 41.2), (LARGE_BATCH, 9.7)):
        made.append(item("line", "distance", NETWORK, point, norm=norm, relative=short(norm / 29.4), **{"from": "start"},
                         by_layer=[{"layer": f"dense {i + 1}", "norm": short(norm / (i + 2))} for i in range(6)]))
    xs, ys = axis(-0.5, 1.5, size.side), axis(-0.4, 1.4, size.side)
    values = [short(0.001 + 0.6 * (1 - math.exp(-3 * min(x * x + y * y, (x - 1) ** 2 + y * y))) + 0.4 * (y - 0.1) ** 2)
              for y in places(ys) for x in places(xs)]
    paths = []
    for name, end in (("batch 256", 0.0), ("batch 6000", 1.0)):
        epochs = list(range(0, 21, 4))
        paths.append({"name": name, "x": [short(end + (0.5 - end) * 0.7 ** e) for e in epochs],
                      "y": [short(1.0 * 0.7 ** e) for e in epochs], "off": [short(3 * math.sin(math.pi * e / 20)) for e in epochs],
                      "epochs": epochs})
    made.append(item("line", "plane", NETWORK, names=["batch 256", "batch 6000", "start"], x=xs, y=ys, values=values,
                     points=[{"name": "batch 256", "x": 0, "y": 0, "off": 0}, {"name": "batch 6000", "x": 1, "y": 0, "off": 0},
                             {"name": "start", "x": 0.5, "y": 1, "off": 0}], paths=paths))
    return made


def noises():
    made = []
    of = {**NETWORK, "images": 55000}
    training = {"point": "batch 256", "optimizer": "sgd", "batch": 256}
    for at, epoch, scale in (("start", 0, 38.0), (None, 2, 240.0), ("middle", 10, 760.0), (None, 15, 1100.0), ("end", 20, 1900.0)):
        made.append(item("noise", "noise", of, training, seed=1, at=at, update=int(epoch * 215), epoch=epoch, slice=64, slices=859,
                         gradient_squared=short(0.4 / (1 + epoch)), trace=short(0.4 / (1 + epoch) * scale), scale=scale,
                         low=short(0.75 * scale), high=short(1.4 * scale) if at != "end" else None))
    made.append(item("noise", "average", of, training, scale=640.0, low=520.0, high=810.0, **{"from": ["start", "middle", "end"]},
                     published={"start": 50, "average": 900}, within=1.41))
    batches = [16, 64, 256, 1024, 4096]
    updates = [round(700 * (1 + 330 / b)) for b in batches]
    made.append(item("noise", "knee", of, record="train.jsonl", target=0.97, optimizer="sgd", batches=batches, updates=updates,
                     examples=[u * b for u, b in zip(updates, batches)], smallest_updates=690, smallest_examples=231000,
                     critical_batch=335, low=280, high=400, points=5))
    made.append(item("noise", "noise", of, status="timeout", reason="the worker was silent for 60 s", point="batch 6000", at="end"))
    return made


def trainings():
    return [item("points", "training", NETWORK, point, training_seed=1, updates=5000 if point is SMALL_BATCH else 200,
                 seconds=61.5 if point is SMALL_BATCH else 22.0) for point in (SMALL_BATCH, LARGE_BATCH)]


def record(size):
    run = {
        "kind": "run", "schema": 1, "id": "alpha-landscape-2026-11-26T20:00:00Z", "started": "2026-11-26T20:00:00Z",
        "command": "batchmark landscape --preset lecture --machine alpha", "seed": 1, "version": "0.1.0",
        "revision": "3117c53280d5", "machine": "alpha",
        "host": {"cpu": "Example Alpha 8-Core", "isa": ["sse2", "avx2", "avx512f"], "cores": 8, "processors": 8,
                 "memory_bytes": 33554432000, "kernel": "Linux 6.1.0", "architecture": "x86_64"},
        "build": {"version": "0.1.0", "compiler": "12.2.0", "flags": "Release -O2 -DNDEBUG "},
        "options": {"model": "f1", "dataset": "mnist", "settings": []}, "in_process": False, "resumed": False,
        "data": {"name": "mnist", "shape": [1, 28, 28], "classes": 10, "train": 60000, "test": 10000, "files": []},
        "command_name": "landscape",
    }
    objects = [run, *trainings(), *examples(size), *surfaces(size), *counts(), *leaves(size), *spectra(size), *sharpness(), *filter_lines(size),
               *lines(size), *noises()]
    return [*objects, {"kind": "end", "schema": 1, "cells": 0, "seconds": 812.0, "exit": 0, "left_out": ""}]


def main():
    small = sys.argv[1:2] == ["--small"]
    names = sys.argv[2 if small else 1:]
    if len(names) != 1:
        sys.exit(__doc__)
    with open(names[0], "w", encoding="utf-8") as file:
        for one in record(Sizes(small)):
            file.write(json.dumps(one, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
