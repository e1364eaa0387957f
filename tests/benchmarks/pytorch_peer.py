#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The training step as a good user of PyTorch writes it, measured as `multigrnformer bench --stage step` is.

The same model (N cells of 4 columns, sinusoidal positions, 2 post-norm encoder layers with 4 heads of one column
and GELU, flatten, Linear, ReLU, Linear), the same loss, Adam with two rates, float32, and data of the same
statistics. Batches lie ready in memory: gathering them costs PyTorch nothing here, while `bench` counts it.

Variants: `encoder_layer` (nn.TransformerEncoderLayer), `sdpa` (an own layer around
scaled_dot_product_attention), `sdpa_pad8` (its heads padded to the 8 columns that its kernels like); each also
`+compile`, and on a GPU `+graphs` (compiled, and replayed as CUDA graphs). `best` tries all of them and goes on with
the fastest, `eager` all but the compiled ones. On a GPU (`--device cuda`) the batches lie in its memory, matrix products
are in float32 (no TF32), and a measurement ends when the GPU has finished.

One line of JSON per figure on stdout, as `bench` prints them; what happens goes to stderr.
"""
import argparse
import contextlib
import json
import math
import os
import statistics
import sys
import tempfile
import time

WIDTH, HEADS, INNER = 4, 4, 16
MICRO_POOL = 4  # batches that take turns
BASES = ("encoder_layer", "sdpa", "sdpa_pad8")
VARIANTS = BASES + tuple(base + "+compile" for base in BASES) + tuple(base + "+graphs" for base in BASES)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=500, help="cells per sample, N")
    parser.add_argument("--batch", type=int, default=32, help="samples per step, over all ranks")
    parser.add_argument("--threads", type=int, default=1, help="threads per rank")
    parser.add_argument("--ranks", type=int, default=1, help="processes, DistributedDataParallel over gloo")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=10.0, help="time of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variant", default="best", choices=("best", "eager", "all") + VARIANTS)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--serve", action="store_true",
                        help="one round for each line of standard input, printed at once; the line is ignored")
    arguments = parser.parse_args()
    for name in ("cells", "batch", "threads", "ranks", "layers", "hidden", "rounds"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if arguments.batch % arguments.ranks:
        parser.error("--batch must be a multiple of --ranks")
    if arguments.device == "cuda" and arguments.ranks > 1:
        parser.error("--device cuda is measured on one rank")
    if arguments.device == "cpu" and arguments.variant.endswith("+graphs"):
        parser.error("+graphs needs --device cuda")
    if arguments.variant == "all" and (arguments.serve or arguments.ranks > 1):
        parser.error("--variant all neither serves nor runs on several ranks")
    return arguments


arguments = parse_arguments()
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(arguments.threads)
try:
    import torch
except (ImportError, OSError) as error:
    sys.exit(f"error: PyTorch cannot be imported: {error}\nhint: launch/compare.sh sets up an environment with it")
import torch.nn.functional as functional  # noqa: E402
from torch import nn  # noqa: E402


def say(text):
    print(f"peer: {text}", file=sys.stderr, flush=True)


def wait():
    if arguments.device == "cuda":
        torch.cuda.synchronize()


def positions(cells):
    m = torch.arange(cells, dtype=torch.float64).unsqueeze(1)
    encoding = torch.empty(cells, WIDTH, dtype=torch.float64)
    for column in range(WIDTH):
        angle = m[:, 0] / 10000 ** ((column - column % 2) / WIDTH)
        encoding[:, column] = torch.cos(angle) if column % 2 else torch.sin(angle)
    return encoding.float()


class OwnLayer(nn.Module):
    """nn.TransformerEncoderLayer without what this model has no use for: no masks, no dropout, no checks."""

    def __init__(self, pad):
        super().__init__()
        self.pad = pad
        self.in_proj = nn.Linear(WIDTH, 3 * WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)
        self.linear1 = nn.Linear(WIDTH, INNER)
        self.linear2 = nn.Linear(INNER, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x):
        batch, cells, _ = x.shape
        # (B, N, 3 h d) -> 3 x (B, h, N, d)
        q, k, v = self.in_proj(x).view(batch, cells, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        if self.pad:
            q, k, v = (functional.pad(part, (0, self.pad - WIDTH // HEADS)) for part in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, scale=1 / math.sqrt(WIDTH // HEADS))
        mixed = mixed[..., :WIDTH // HEADS].transpose(1, 2).reshape(batch, cells, WIDTH)
        x = self.norm1(x + self.out_proj(mixed))
        return self.norm2(x + self.linear2(functional.gelu(self.linear1(x))))


def make_layer(base):
    if base == "encoder_layer":
        return nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, dropout=0.0, activation="gelu", batch_first=True,
                                          norm_first=False)
    return OwnLayer(pad=8 if base == "sdpa_pad8" else 0)


class Model(nn.Module):
    def __init__(self, base, cells, layers, hidden):
        super().__init__()
        self.register_buffer("positions", positions(cells), persistent=False)
        self.layers = nn.ModuleList(make_layer(base) for _ in range(layers))
        self.predictor = nn.Sequential(nn.Flatten(), nn.Linear(cells * WIDTH, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        x = x + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.predictor(x).squeeze(-1)


def make_batches(cells, batch):
    """z-scores of a sparse count matrix: most slightly negative, a third expressed with a long tail, cut at 10."""
    generator = torch.Generator().manual_seed(1)
    batches = []
    for _ in range(MICRO_POOL):
        shape = (batch, cells, WIDTH)
        low = -0.3 + 0.05 * torch.randn(shape, generator=generator)
        high = torch.exp(0.9 * torch.randn(shape, generator=generator)) - 0.2
        expressed = torch.rand(shape, generator=generator) < 0.35
        inputs = torch.where(expressed, high, low).clamp(max=10)
        labels = torch.arange(batch).remainder(2).float()
        batches.append((inputs.to(arguments.device), labels.to(arguments.device)))
    return batches


class Training:
    def __init__(self, variant, rank):
        torch.manual_seed(1)
        base, _, compiled = variant.partition("+")
        self.variant = variant
        self.model = Model(base, arguments.cells, arguments.layers, arguments.hidden).to(arguments.device)
        predictor = list(self.model.predictor.parameters())
        self.optimiser = torch.optim.Adam([{"params": list(self.model.layers.parameters()), "lr": 3e-3},
                                           {"params": predictor, "lr": 1e-4}], fused=True)
        self.loss = nn.BCEWithLogitsLoss()
        self.batches = make_batches(arguments.cells, arguments.batch // arguments.ranks)
        self.next = rank
        self.call = self.model
        if arguments.ranks > 1:
            self.call = nn.parallel.DistributedDataParallel(self.model)
        if compiled:
            self.call = torch.compile(self.call, mode="reduce-overhead" if compiled == "graphs" else None)

    def step(self):
        inputs, labels = self.batches[self.next % len(self.batches)]
        self.next += 1
        self.optimiser.zero_grad(set_to_none=True)
        self.loss(self.call(inputs), labels).backward()
        self.optimiser.step()

    def samples_per_second(self, steps):
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        wait()
        return steps * arguments.batch / (time.perf_counter() - start)

    def warm_up(self, seconds):
        """Steps that a measurement of so many seconds takes."""
        for _ in range(2):  # compilation, pages, thread pools
            self.step()
        speed = self.samples_per_second(1)
        speed = self.samples_per_second(max(1, math.ceil(0.15 * seconds * speed / arguments.batch)))
        return max(1, round(seconds * speed / arguments.batch))


def line_of(variant, figures):
    line = {"stage": "step", "measure": "forward, backward, Adam", "engine": "pytorch/" + variant,
            "cells": arguments.cells, "batch": arguments.batch, "threads": arguments.threads,
            "ranks": arguments.ranks, "device": arguments.device, "rounds": len(figures),
            "seconds": arguments.seconds, "unit": "samples/s",
            "min": min(figures), "median": statistics.median(figures), "max": max(figures)}
    line.update({key: float(f"{line[key]:.6g}") for key in ("min", "median", "max")})
    return json.dumps(line, sort_keys=True, separators=(",", ":"))


def first_line(error):
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def try_variants(names, seconds):
    """{variant: (training, speed)} of those that run here."""
    found = {}
    for name in names:
        try:
            training = Training(name, 0)
            with contextlib.redirect_stdout(sys.stderr):
                speed = training.samples_per_second(training.warm_up(seconds))
        except Exception as error:  # torch.compile fails in as many ways as there are compilers
            say(f"{name} is not available here: {first_line(error)}")
            continue
        say(f"{name}: {speed:.4g} samples/s")
        found[name] = (training, speed)
    if not found:
        sys.exit("error: no variant runs here")
    return found


def run_rounds(training, rank, share):
    """`share` hands rank 0's number to all ranks; 0 steps end the service."""
    steps = share(training.warm_up(arguments.seconds))
    if rank == 0:
        say(f"{training.variant} is ready")
        if arguments.serve:
            print(json.dumps({"stage": "ready", "variant": training.variant}, sort_keys=True), flush=True)
    figures = []
    for _ in range(1 << 30 if arguments.serve else arguments.rounds):
        go = not arguments.serve or rank != 0 or bool(sys.stdin.readline())
        if share(steps if go else 0) == 0:
            break
        figures.append(training.samples_per_second(steps))
        if rank == 0:
            say(f"{training.variant}, N = {arguments.cells}: {figures[-1]:.4g} samples/s")
            if arguments.serve:
                print(line_of(training.variant, figures[-1:]), flush=True)
    if rank == 0 and not arguments.serve:
        print(line_of(training.variant, figures), flush=True)


def run_rank(rank, variant, meeting_point):
    torch.set_num_threads(arguments.threads)
    import torch.distributed as distributed
    distributed.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=rank,
                                   world_size=arguments.ranks)

    def share(number):
        tensor = torch.tensor([number])
        distributed.broadcast(tensor, 0)
        return int(tensor)

    run_rounds(Training(variant, rank), rank, share)
    distributed.destroy_process_group()


def run_ranks(variant):
    """The other ranks are children; rank 0 is this process, which has standard input."""
    import torch.multiprocessing as multiprocessing
    with tempfile.TemporaryDirectory() as folder:
        meeting_point = os.path.join(folder, "ranks")
        context = multiprocessing.get_context("spawn")
        others = [context.Process(target=run_rank, args=(rank, variant, meeting_point), daemon=True)
                  for rank in range(1, arguments.ranks)]
        for other in others:
            other.start()
        run_rank(0, variant, meeting_point)
        for other in others:
            other.join()


def main():
    torch.set_num_threads(arguments.threads)
    torch.set_num_interop_threads(1)
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{arguments.threads} threads"
    say(f"PyTorch {torch.__version__}, {where}, {arguments.ranks} ranks")
    if arguments.variant in ("all", "best", "eager"):
        ranks, arguments.ranks = arguments.ranks, 1
        tried = BASES if arguments.variant == "eager" else [
            name for name in VARIANTS if arguments.device == "cuda" or not name.endswith("+graphs")]
        found = try_variants(tried, max(0.5, arguments.seconds / 4))
        arguments.ranks = ranks
        best = max(found, key=lambda name: found[name][1])
        names = list(found) if arguments.variant == "all" else [best]
    else:
        found, names = {}, [arguments.variant]
    if arguments.ranks > 1:
        run_ranks(names[0])
        return
    for name in names:
        run_rounds(found[name][0] if name in found else Training(name, 0), 0, lambda number: number)


if __name__ == "__main__":
    main()
