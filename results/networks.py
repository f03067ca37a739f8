"""Batchmark's networks as PyTorch's modules, for the scripts that time PyTorch or train with it."""

MODELS = {
    "mlp": ([1, 28, 28], ["linear 512", "relu", "linear 512", "relu", "linear 10"]),
    "f1": ([1, 28, 28], ["linear 512", "norm", "relu"] * 5 + ["linear 10"]),
    "c1": ([3, 32, 32], ["conv 64", "norm", "relu", "pool"] * 2 + ["flatten", "linear 384", "norm", "relu", "linear 192",
                                                               "norm", "relu", "linear 10"]),
}

# As they are trained; the speed tables leave out dropout, on every side.
TRAINED = {
    **{name: layers for name, (_, layers) in MODELS.items()},
    "c1": ["conv 64", "norm", "relu", "pool"] * 2 + ["flatten", "linear 384", "norm", "relu", "dropout 0.5", "linear 192",
                                                     "norm", "relu", "dropout 0.5", "linear 10"],
}


def build(torch, shape, layers):
    nn = torch.nn
    modules = []
    channels, side = shape[0], shape[1]
    width = None if "conv 64" in layers else shape[0] * shape[1] * shape[2]
    for layer in layers:
        kind, *rest = layer.split()
        if kind == "conv":
            modules.append(nn.Conv2d(channels, int(rest[0]), 5, padding=2))
            channels = int(rest[0])
        elif kind == "pool":
            modules.append(nn.MaxPool2d(3, 2))
            side = (side - 3) // 2 + 1
        elif kind == "flatten":
            modules.append(nn.Flatten())
            width = channels * side * side
        elif kind == "linear":
            modules.append(nn.Linear(width, int(rest[0])))
            width = int(rest[0])
        elif kind == "norm":
            modules.append(nn.BatchNorm2d(channels) if width is None else nn.BatchNorm1d(width))
        elif kind == "dropout":
            modules.append(nn.Dropout(float(rest[0])))
        else:
            modules.append(nn.ReLU(inplace=False))
    return nn.Sequential(*modules)
