#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CNNC and STGRNS as their authors' pipelines work, with PyTorch: inputs of all pairs are made by numpy, written to
disk and read again, then a network is trained on them. One thread; data of the same statistics as neural_speed's.

Prints lines of JSON: samples/s of `inputs` (made, written and read), of a training `step` by the method's recipe in
float32, whose inputs lie ready in memory, and of such an `authors' step`, which STGRNS's authors take in float64 (CNNC's
use Keras, for which PyTorch stands here). Usage: neural_baselines_peer.py cnnc|stgrns SECONDS
"""
import json
import math
import os
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

CELLS, GENES, TFS, WINDOW = 3000, 300, 50, 100
PAIRS_OF_A_FILE = 100  # the authors write one file for each TF


def expression():
    draw = np.random.default_rng(1)
    values = np.where(draw.random((GENES, CELLS)) < 0.1, np.exp(1 + draw.normal(size=(GENES, CELLS))), 0.0)
    return values


def image(tf, gene):
    counts = np.histogram2d(np.log10(tf + 0.01), np.log10(gene + 0.01), bins=32)[0].T
    return (np.log10(counts / CELLS + 1e-4) + 4) / 4


def windows(tf, gene):
    a, b = np.log10(tf + 0.01), np.log10(gene + 0.01)
    return np.stack([np.concatenate([a[w:w + WINDOW], b[w:w + WINDOW]]) for w in range(0, CELLS - WINDOW + 1, WINDOW)])


def make_inputs(method, values, folder, number):
    make = image if method == "cnnc" else windows
    made = [make(values[i % TFS], values[TFS + i * 7 % (GENES - TFS)]) for i in range(PAIRS_OF_A_FILE)]
    file = os.path.join(folder, f"{number % 4}.npy")
    np.save(file, np.array(made))
    return np.load(file)


def cnnc():
    layers, inputs = [], 1
    for channels in (32, 64, 128):
        layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3), nn.ReLU(),
                   nn.MaxPool2d(2), nn.Dropout(0.5)]
        inputs = channels
    return nn.Sequential(nn.Unflatten(1, (1, 32)), *layers, nn.Flatten(), nn.Linear(512, 512), nn.ReLU(),
                         nn.Dropout(0.5), nn.Linear(512, 1))


class Stgrns(nn.Module):
    def __init__(self):
        super().__init__()
        width = 2 * WINDOW
        self.dropout = nn.Dropout(0.1)
        self.encoder = nn.TransformerEncoderLayer(width, 2, 256, dropout=0.1, batch_first=True)
        self.classifier = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
        position = torch.arange(CELLS // WINDOW).unsqueeze(1)
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(CELLS // WINDOW, width)
        table[:, 0::2], table[:, 1::2] = torch.sin(position * rates), torch.cos(position * rates)
        self.register_buffer("table", table)

    def forward(self, x):
        return self.classifier(self.encoder(self.dropout(x + self.table)).mean(dim=1))


def rate(seconds, work):
    work()
    start, samples = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        samples += work()
    return samples / (time.perf_counter() - start)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("cnnc", "stgrns"):
        sys.exit(__doc__)
    method, seconds = sys.argv[1], float(sys.argv[2])
    torch.set_num_threads(1)
    values = expression()

    def report(measure, figure):
        print(json.dumps({"stage": "neural", "method": method, "measure": measure, "median": figure},
                         separators=(",", ":")), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        number = iter(range(1 << 30))
        report("inputs", rate(seconds / 4, lambda: len(make_inputs(method, values, folder, next(number)))))
        batch = 1024 if method == "cnnc" else 32
        made = make_inputs(method, values, folder, 0).astype(np.float32)
    made = torch.from_numpy(np.resize(made, (batch,) + made.shape[1:]))
    figure = rate(seconds, training_step(method, made))
    report("step", figure)
    if method == "stgrns":
        torch.set_default_dtype(torch.float64)
        figure = rate(seconds, training_step(method, made.double()))
    report("authors' step", figure)


def training_step(method, x):
    batch = len(x)
    labels = torch.arange(batch) % 2
    if method == "cnnc":
        network = cnnc()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, nesterov=True)

        def loss():
            return nn.functional.binary_cross_entropy_with_logits(network(x).squeeze(1), labels.to(x.dtype))
    else:
        network = Stgrns()
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-4, weight_decay=1e-5)

        def loss():
            return nn.functional.cross_entropy(network(x), labels)

    def step():
        optimizer.zero_grad()
        loss().backward()
        if method == "stgrns":
            nn.utils.clip_grad_norm_(network.parameters(), 10)
        optimizer.step()
        return batch

    return step


main()
