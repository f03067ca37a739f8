"""The rules of Batchmark's optimizers (plugins/include/batchmark/plugin.h) by torch.optim, and LARS and LAMB, which it lacks,
written out. w is a parameter, g its gradient, r the rate, wd the decay, u the momentum; state begins at 0."""
import torch


def build(name, parameters, rate, momentum, decay):
    """The optimizer of that name. Without a schedule of the rate, which all of these equalities need, it makes Batchmark's rule."""
    common = {"lr": rate, "weight_decay": decay}
    makers = {
        # g += wd w; w -= r g.
        "sgd": lambda: torch.optim.SGD(parameters, **common),
        # PyTorch has v = u v + g; w -= r v with v = g at the first step (dampening 0), ours m = u m - r g; w += m. At a
        # constant rate m = -r v. A rate that changes would need the factor r_t / r_{t-1} on our u.
        "momentum": lambda: torch.optim.SGD(parameters, momentum=momentum, dampening=0, **common),
        # PyTorch has w -= r (g + u v) with v already updated, ours w += u m - r g with m already updated: m = -r v again.
        "nesterov": lambda: torch.optim.SGD(parameters, momentum=momentum, dampening=0, nesterov=True, **common),
        # s += g^2; w -= r g / (sqrt(s) + eps), eps outside the root; lr_decay 0 leaves the rate alone.
        "adagrad": lambda: torch.optim.Adagrad(parameters, lr_decay=0, initial_accumulator_value=0, eps=1e-10, **common),
        # s = alpha s + (1 - alpha) g^2; w -= r g / (sqrt(s) + eps): neither centred nor with a momentum.
        "rmsprop": lambda: torch.optim.RMSprop(parameters, alpha=0.99, eps=1e-8, momentum=0, centered=False, **common),
        # Coupled decay; eps is added to sqrt(v / (1 - b2^t)), after the correction.
        "adam": lambda: torch.optim.Adam(parameters, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, **common),
        # w -= r wd w, then adam; of all parameters, biases and batch norm too.
        "adamw": lambda: torch.optim.AdamW(parameters, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, **common),
        "lars": lambda: Lars(parameters, rate, momentum, decay),
        "lamb": lambda: Lamb(parameters, rate, decay),
    }
    return makers[name]()


def norm(values):
    return torch.linalg.vector_norm(values, dtype=torch.float64)


def ratio(above, below, usable):
    """above / below where both norms of `usable` are above 0, otherwise 1; without a wait for the device."""
    whole = (usable[0] > 0) & (usable[1] > 0)
    return torch.where(whole, above / torch.where(whole, below, 1.0), 1.0).float()


class Lars(torch.optim.Optimizer):
    """v = u v + r q (g + wd w); w -= v with q = trust |w| / (|g| + wd |w|): You, Gitman and Ginsburg 2017, Algorithm 1. Biases
    and batch norm have q = 1 and no decay."""

    def __init__(self, parameters, rate, momentum, decay, trust=0.001):
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "weight_decay": decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for w in group["params"]:
                if not self.state[w]:
                    self.state[w]["momentum_buffer"] = torch.zeros_like(w)
                v = self.state[w]["momentum_buffer"]
                v.mul_(group["momentum"]).add_(self.direction(group, w), alpha=group["lr"])
                w.sub_(v)

    @staticmethod
    def direction(group, w):
        if w.dim() < 2:  # a bias, or a gain or shift of batch norm
            return w.grad
        sizes = norm(w), norm(w.grad)
        q = ratio(group["trust"] * sizes[0], sizes[1] + group["weight_decay"] * sizes[0], sizes)
        return q * w.grad.add(w, alpha=group["weight_decay"])


class Lamb(torch.optim.Optimizer):
    """p = mhat / (sqrt(vhat) + eps) + wd w; w -= r (|w| / |p|) p, m and v as in adam with bias correction: You et al. 2020,
    Algorithm 2, phi the identity. Biases and batch norm have ratio 1 and no decay."""

    def __init__(self, parameters, rate, decay, betas=(0.9, 0.999), epsilon=1e-6):
        super().__init__(parameters, {"lr": rate, "weight_decay": decay, "betas": betas, "eps": epsilon})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for w in group["params"]:
                p = self.direction(group, w)
                if w.dim() >= 2:
                    p.add_(w, alpha=group["weight_decay"])
                    sizes = norm(w), norm(p)
                    p.mul_(ratio(sizes[0], sizes[1], sizes))
                w.sub_(p, alpha=group["lr"])

    def direction(self, group, w):
        state = self.state[w]
        if not state:
            state.update(step=0, m=torch.zeros_like(w), v=torch.zeros_like(w))
        state["step"] += 1
        b1, b2 = group["betas"]
        state["m"].mul_(b1).add_(w.grad, alpha=1 - b1)
        state["v"].mul_(b2).addcmul_(w.grad, w.grad, value=1 - b2)
        root = (state["v"] / (1 - b2 ** state["step"])).sqrt_().add_(group["eps"])
        return (state["m"] / (1 - b1 ** state["step"])).div_(root)
