#!/usr/bin/env python3
"""Writes reference_f1.json and reference_c1.json: three updates of two small networks with each of
the nine optimizers, computed by PyTorch in float64.

The gradients, losses and running statistics come from autograd and torch.nn, the steps of sgd,
momentum, adagrad, rmsprop, adam and adamw from torch.optim; nesterov (the form of plugin.h), lars and
lamb are written out. Parameters are rounded to float32 after every update, because they cross the
plugin border as float32; state stays in float64. Run it in this folder; needs python3-torch.
"""
import json
import torch
from torch import nn

RATE, DECAY, MOMENTUM, TRUST = 0.0625, 0.015625, 0.875, 0.25
BATCH, UPDATES, CLASSES = 5, 3, 3


def f1():
    return "dense 4, batchnorm, relu, dense 3", [6, 1, 1], nn.Sequential(
        nn.Flatten(), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))


def c1():
    text = "conv 2 5x5 pad 2, batchnorm, relu, maxpool 3 stride 2, dense 4, batchnorm, relu, dense 3"
    return text, [1, 6, 6], nn.Sequential(
        nn.Conv2d(1, 2, 5, padding=2), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))


def grid(shape, low, high):
    return torch.randint(low, high, shape).double() / 64


def flat(tensors):
    return [float("%.13g" % x) for t in tensors for x in t.detach().reshape(-1).tolist()]


class Written:
    """nesterov, lars and lamb as in plugin.h."""

    def __init__(self, name, params):
        self.name, self.params, self.t = name, params, 0
        self.m = [torch.zeros_like(p) for p in params]
        self.v = [torch.zeros_like(p) for p in params]

    def step(self):
        self.t += 1
        for i, p in enumerate(self.params):
            w, g = p.data.clone(), p.grad
            weight = p.dim() > 1
            if self.name == "nesterov":
                g = g + DECAY * w
                self.m[i] = MOMENTUM * self.m[i] - RATE * g
                p.data = w + MOMENTUM * self.m[i] - RATE * g
            elif self.name == "lars":
                ratio = TRUST * w.norm() / (g.norm() + DECAY * w.norm()) if weight else 1
                g = g + DECAY * w if weight else g
                self.m[i] = MOMENTUM * self.m[i] + RATE * ratio * g
                p.data = w - self.m[i]
            else:
                self.m[i] = 0.9 * self.m[i] + 0.1 * g
                self.v[i] = 0.999 * self.v[i] + 0.001 * g * g
                d = (self.m[i] / (1 - 0.9 ** self.t)) / ((self.v[i] / (1 - 0.999 ** self.t)).sqrt() + 1e-6)
                d = d + DECAY * w if weight else d
                p.data = w - RATE * (w.norm() / d.norm() if weight else 1) * d

    def slots(self):
        return [self.m, self.v] if self.name == "lamb" else [self.m]


class Torch:
    def __init__(self, name, params):
        self.name, self.params = name, params
        o = torch.optim
        self.optimizer = {
            "sgd": lambda: o.SGD(params, lr=RATE, weight_decay=DECAY),
            "momentum": lambda: o.SGD(params, lr=RATE, weight_decay=DECAY, momentum=MOMENTUM),
            "adagrad": lambda: o.Adagrad(params, lr=RATE, weight_decay=DECAY, eps=1e-10),
            "rmsprop": lambda: o.RMSprop(params, lr=RATE, weight_decay=DECAY, alpha=0.99, eps=1e-8),
            "adam": lambda: o.Adam(params, lr=RATE, weight_decay=DECAY),
            "adamw": lambda: o.AdamW(params, lr=RATE, weight_decay=DECAY),
        }[name]()

    def step(self):
        self.optimizer.step()

    def slots(self):
        keys = {"sgd": [], "momentum": ["momentum_buffer"], "adagrad": ["sum"], "rmsprop": ["square_avg"],
                "adam": ["exp_avg", "exp_avg_sq"], "adamw": ["exp_avg", "exp_avg_sq"]}[self.name]
        # The lecture's m is -rate times PyTorch's buffer while the rate is constant.
        scale = -RATE if self.name == "momentum" else 1
        return [[scale * self.optimizer.state[p][k] for p in self.params] for k in keys]


def statistics(net):
    return [t for l in net if isinstance(l, (nn.BatchNorm1d, nn.BatchNorm2d))
            for t in (l.running_mean, l.running_var)]


def run(make, name, start, images, labels, with_state):
    net = make()[2].double()
    params = list(net.parameters())
    for p, value in zip(params, start):
        p.data = value.clone()
    rule = (Written if name in ("nesterov", "lars", "lamb") else Torch)(name, params)
    updates = []
    for _ in range(UPDATES):
        net.zero_grad()
        loss = nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        update = {"loss": loss.item(), "gradient": flat(p.grad for p in params)}
        rule.step()
        update["params"] = flat(params)
        update["statistics"] = flat(statistics(net))
        if with_state:
            update["state"] = [flat(slot) for slot in rule.slots()]
        updates.append(update)
        for p in params:
            p.data = p.data.float().double()
    return updates


def write(file, make, with_state):
    torch.manual_seed(20)
    layers, shape, net = make()
    start = [grid(p.shape, -48, 48) for p in net.parameters()]
    images, labels = grid([BATCH] + shape, -64, 64), torch.randint(0, CLASSES, [BATCH])
    names = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lars", "lamb"]
    out = {"made_by": "make.py with PyTorch " + torch.__version__.split("+")[0], "layers": layers, "shape": shape,
           "rate": RATE, "decay": DECAY, "momentum": MOMENTUM, "trust": TRUST, "params": flat(start),
           "images": flat([images]), "labels": labels.tolist(),
           "optimizers": {n: run(make, n, start, images, labels, with_state) for n in names}}
    with open(file, "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


write("reference_f1.json", f1, True)
write("reference_c1.json", c1, False)
