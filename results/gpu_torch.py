#!/usr/bin/env python3
"""One update of Batchmark's networks in PyTorch: eager, and as a CUDA graph.

The work is that of `batchmark run`: the batch is picked from bytes that lie on the device in the order of a permutation,
scaled and shifted; forward, loss, backward, and the step of momentum, m = lambda m - eta g, theta += m. Float32 throughout:
TF32 is off for matrix products and for cuDNN, whose benchmark is on. Each arm is timed with a wait for every update, and
pipelined: many updates, one wait.

    results/gpu_torch.py --model mlp --batch 1,1000 --seconds 0.3

prints a JSON line for what PyTorch and device are, and one for each arm and batch size. With --serve it stays and reads what
to time from standard input, a JSON object a line: {"model": "mlp", "batches": [1, 1000], "seconds": 0.3}; the answer ends
with a line {"kind": "done"}.
"""
import argparse
import json
import statistics
import sys
import time

from networks import MODELS, build

RATE = 1e-4
DECAY = 0.9  # of the momentum
PIPELINE_NS = 16e6  # of the updates before one wait
SAMPLES_MAX = 100
GRAPH_ERROR_MAX = 1e-2  # sums in another order
COUNTS = {"c1": 50000}


class Trainer:
    """Network, data and optimizer on the device; update() asks for one update and waits for nothing."""

    def __init__(self, torch, device, model, batch, seed):
        shape, layers = MODELS[model]
        count = COUNTS.get(model, 60000)
        torch.manual_seed(seed)
        self.torch = torch
        self.batch = min(batch, count)
        self.usable = count // self.batch * self.batch
        self.flat = model != "c1"
        self.images = torch.randint(0, 256, [count] + shape, dtype=torch.uint8, device=device)
        self.labels = torch.randint(0, 10, [count], device=device)
        self.order = torch.randperm(count, device=device)
        self.network = build(torch, shape, layers).to(device)
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = momentum(torch, list(self.network.parameters()), device)
        self.first = 0
        self.offset = torch.zeros([1], dtype=torch.int64, device=device)
        self.steps = torch.arange(self.batch, device=device)

    def gradient(self, chosen):
        x = self.images.index_select(0, chosen).to(self.torch.float32).mul_(1 / 255.0).sub_(0.2860)
        y = self.labels.index_select(0, chosen)
        if self.flat:
            x = x.flatten(1)
        self.loss(self.network(x), y).backward()

    def update(self):
        chosen = self.order[self.first:self.first + self.batch]
        self.first = (self.first + self.batch) % self.usable
        self.gradient(chosen)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def update_from_device(self):
        """The same with the place in the order kept on the device, so that a replayed graph walks on without a copy."""
        self.gradient(self.order.index_select(0, self.offset + self.steps))
        self.optimizer.step()
        self.offset.add_(self.batch).remainder_(self.usable)

    def capture(self):
        """The whole update as a graph: warmed up on a stream beside, as PyTorch's documentation asks for."""
        cuda = self.torch.cuda
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            for _ in range(3):
                self.optimizer.zero_grad(set_to_none=True)
                self.update_from_device()
        cuda.current_stream().wait_stream(stream)
        graph = cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with cuda.graph(graph):
            self.update_from_device()
        return graph

    def graph_error(self, graph):
        """How far an update of the graph is from the same update without it, as a part of its largest step."""
        held = [p.detach() for p in self.network.parameters()]
        held += [self.optimizer.state[p]["momentum_buffer"] for p in self.network.parameters()] + [self.offset]
        before = [t.clone() for t in held]
        graph.replay()
        after = [t.clone() for t in held]
        for tensor, old in zip(held, before):
            tensor.copy_(old)
        self.optimizer.zero_grad(set_to_none=True)
        self.update_from_device()
        self.optimizer.zero_grad(set_to_none=True)
        step = max(float((a - b).abs().max()) for a, b in zip(after[:-1], before))
        return max(float((a - t).abs().max()) for a, t in zip(after[:-1], held)) / step if step > 0 else float("inf")


def momentum(torch, parameters, device):
    """SGD whose buffer is -m: with rate 1 and dampening 1 - eta the rule is the lecture's, at the cost of SGD's own. Fused
    where PyTorch has it."""
    settings = {"lr": 1.0, "momentum": DECAY, "dampening": 1 - RATE}
    try:
        optimizer = torch.optim.SGD(parameters, fused=device.type == "cuda", foreach=device.type != "cuda", **settings)
    except (TypeError, RuntimeError):
        optimizer = torch.optim.SGD(parameters, foreach=True, **settings)
    for parameter in parameters:  # without a buffer the first gradient would not be dampened
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def check_rule(torch, device):
    """Largest deviation, in units of the last place, from m = lambda m - eta g, theta += m in float64 over three steps."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn([1000], generator=generator)
    theta = torch.nn.Parameter(start.clone().to(device))
    optimizer = momentum(torch, [theta], device)
    exact, m = start.double(), torch.zeros([1000], dtype=torch.float64)
    for _ in range(3):
        g = torch.randn([1000], generator=generator)
        theta.grad = g.to(device)
        optimizer.step()
        m = DECAY * m - RATE * g.double()
        exact += m
    distance = (theta.detach().cpu().double() - exact).abs() / exact.abs().clamp(min=1e-3)
    return float(distance.max()) * 2 ** 23


def product_rate(torch, device, synchronize):
    """FLOP/s of a large matrix product in float32: what PyTorch's library reaches here."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn([n, n], device=device), torch.randn([n, n], device=device)
    best = None
    for _ in range(6):
        before = time.perf_counter_ns()
        torch.mm(a, b)
        synchronize()
        spent = time.perf_counter_ns() - before
        best = spent if best is None else min(best, spent)
    return 2e9 * n ** 3 / best


def facts(torch, device, synchronize):
    found = {"kind": "facts", "schema": 1, "torch": torch.__version__, "device": device.type,
             "matmul_precision": torch.get_float32_matmul_precision(), "threads": torch.get_num_threads(),
             "rule_ulp": check_rule(torch, device), "product_flops": product_rate(torch, device, synchronize)}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found.update(name=properties.name, multiprocessors=properties.multi_processor_count, cuda=torch.version.cuda,
                     capability=f"{properties.major}.{properties.minor}", cudnn=torch.backends.cudnn.version(),
                     tf32_matmul=torch.backends.cuda.matmul.allow_tf32, tf32_cudnn=torch.backends.cudnn.allow_tf32,
                     cudnn_benchmark=torch.backends.cudnn.benchmark)
    return found


def summary(samples, block):
    quartiles = statistics.quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else samples * 3
    step = -(-len(samples) // SAMPLES_MAX)
    return {"median_ns": statistics.median(samples), "q1_ns": quartiles[0], "q3_ns": quartiles[2], "count": len(samples),
            "block": block, "samples_ns": [round(s, 1) for s in samples[::step]]}


def time_blocks(update, synchronize, block, seconds):
    """Blocks of updates with one wait each, until `seconds` have passed: time of one update in each."""
    samples = []
    start = time.perf_counter_ns()
    while len(samples) < 3 or (time.perf_counter_ns() - start < seconds * 1e9 and len(samples) < 20000):
        before = time.perf_counter_ns()
        for _ in range(block):
            update()
        synchronize()
        samples.append((time.perf_counter_ns() - before) / block)
    return summary(samples, block)


def time_arm(update, synchronize, seconds):
    for _ in range(3):
        update()
    synchronize()
    waited = time_blocks(update, synchronize, 1, seconds)
    block = max(3, round(PIPELINE_NS / waited["median_ns"]))
    return {"update": waited, "pipelined": time_blocks(update, synchronize, block, seconds)}


def run_arm(torch, device, synchronize, arm, wish, batch, seed):
    trainer = Trainer(torch, device, wish["model"], batch, seed)
    found = {}
    update = trainer.update
    if arm == "torch-graph":
        graph = trainer.capture()
        update = graph.replay
        found["graph_error"] = trainer.graph_error(graph)
        if found["graph_error"] > GRAPH_ERROR_MAX:
            return {**found, "status": "wrong", "reason": "the graph's update is not the one that was captured"}
    found.update(time_arm(update, synchronize, wish["seconds"]))
    if not all(torch.isfinite(p).all() for p in trainer.network.parameters()):
        found.update(status="wrong", reason="parameters are not finite", update=None, pipelined=None)
    return found


def time_cell(torch, device, synchronize, arm, wish, batch, seed):
    cell = {"kind": "cell", "schema": 1, "arm": arm, "model": wish["model"], "batch": batch, "status": "ok", "reason": "",
            "update": None, "pipelined": None}
    if arm == "torch-graph" and device.type != "cuda":
        return {**cell, "status": "skipped", "reason": "a CUDA graph needs a CUDA device"}
    try:
        cell.update(run_arm(torch, device, synchronize, arm, wish, batch, seed))
    except (RuntimeError, ValueError) as error:  # out of memory; batch norm of one value a channel
        unsupported = "Expected more than 1 value" in str(error)
        text = (str(error).strip().splitlines() or ["no word"])[0][:300]
        cell.update(status="unsupported" if unsupported else "error", reason=text)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return cell


def write(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def time_cells(torch, device, synchronize, arguments, wish):
    for batch in wish["batches"]:
        for arm in ("torch-eager", "torch-graph"):
            write(time_cell(torch, device, synchronize, arm, wish, batch, arguments.seed))
    write({"kind": "done"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], epilog="\n".join(__doc__.split("\n")[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--model", default="mlp", choices=sorted(MODELS))
    parser.add_argument("--batch", default="1,10,100,1000,10000,60000")
    parser.add_argument("--seconds", type=float, default=0.3, help="of timed updates in each of the two ways")
    parser.add_argument("--threads", type=int, default=0, help="of the processor (default: PyTorch's choice)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help="read what to time from standard input")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError as error:
        sys.exit(f"gpu_torch.py: {error}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu_torch.py: expected a CUDA device that PyTorch can use, found none")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    device = torch.device(arguments.device)
    synchronize = torch.cuda.synchronize if arguments.device == "cuda" else lambda: None
    write(facts(torch, device, synchronize))
    if arguments.serve:
        for line in sys.stdin:
            time_cells(torch, device, synchronize, arguments, json.loads(line))
    else:
        batches = [int(word) for word in arguments.batch.split(",")]
        time_cells(torch, device, synchronize, arguments,
                   {"model": arguments.model, "batches": batches, "seconds": arguments.seconds})


if __name__ == "__main__":
    main()
