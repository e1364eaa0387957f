# SPDX-License-Identifier: Apache-2.0
"""Writes nepdf.json, windows.json (numpy) and networks.json (PyTorch) beside this file: CNNC's and STGRNS's inputs
and networks, built from their descriptions. Needs numpy and torch: python make_neural_golden.py"""
import json
import math
import pathlib

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent


def uniform(seed, count):
    """Numbers in [0, 1) that the C++ test draws too: Knuth's MMIX generator."""
    state, out = seed * 2654435761 + 12345, np.empty(count)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = (state >> 11) * 2.0**-53
    return out


# ---- inputs ------------------------------------------------------------------------------------------------

def genes(cells):
    draw = np.random.default_rng(3)
    sparse = np.where(draw.random(cells) < 0.7, 0.0, np.round(draw.gamma(2.0, 3.0, cells), 3))
    dense = np.round(draw.gamma(3.0, 2.0, cells), 3) + 0.5
    # Values on the edges of bins, and a gene that does not vary at all.
    steps = 10.0 ** (np.arange(cells) % 33 / 16.0 - 2.0) - 0.01
    constant = np.full(cells, 1.25)
    return {"sparse": sparse, "dense": dense, "steps": steps, "constant": constant}


def image(tf, gene, scale):
    u, v = np.log10(tf + 0.01), np.log10(gene + 0.01)
    counts = np.histogram2d(u, v, bins=32)[0].T
    values = (np.log10(counts / len(tf) + 1e-4) + 4) / 4 if scale == "log" else counts
    values[counts == 0] = 0
    return values.ravel()


def nepdf():
    values = genes(211)
    pairs = [("sparse", "dense"), ("dense", "sparse"), ("sparse", "sparse"), ("steps", "dense"), ("steps", "constant")]
    cases = []
    for tf, gene in pairs:
        for scale in ("log", "counts"):
            pixels = image(values[tf], values[gene], scale)
            at = np.nonzero(pixels)[0]
            cases.append({"tf": tf, "gene": gene, "scale": scale, "pixels": at.tolist(), "values": pixels[at].tolist()})
    return {"genes": {name: value.tolist() for name, value in values.items()}, "cases": cases}


def windows():
    values = genes(47)
    size = 10
    tf, gene = np.log10(values["sparse"] + 0.01), np.log10(values["dense"] + 0.01)
    count = 47 // size
    rows = [np.concatenate([tf[w * size:(w + 1) * size], gene[w * size:(w + 1) * size]]) for w in range(count)]
    return {"tf": values["sparse"].tolist(), "gene": values["dense"].tolist(), "window": size,
            "sample": np.concatenate(rows).tolist()}


# ---- networks ----------------------------------------------------------------------------------------------

class Cnnc(nn.Module):
    def __init__(self):
        super().__init__()
        layers, inputs = [], 1
        for channels in (32, 64, 128):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3), nn.ReLU(),
                       nn.MaxPool2d(2), nn.Dropout(0.5)]
            inputs = channels
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 1))

    def forward(self, x):
        return self.classifier(self.features(x.view(-1, 1, 32, 32)).flatten(1)).squeeze(1)


class Stgrns(nn.Module):
    def __init__(self, window=100):
        super().__init__()
        self.width = 2 * window
        self.encoder = nn.TransformerEncoderLayer(self.width, 2, 256, dropout=0.1, batch_first=True)
        self.classifier = nn.Sequential(nn.Linear(self.width, self.width), nn.ReLU(), nn.Linear(self.width, 2))

    def forward(self, x):
        x = x.view(x.shape[0], -1, self.width)
        position = torch.arange(x.shape[1], dtype=x.dtype).unsqueeze(1)
        rates = torch.exp(torch.arange(0, self.width, 2, dtype=x.dtype) * (-math.log(10000.0) / self.width))
        table = torch.zeros(x.shape[1], self.width, dtype=x.dtype)
        table[:, 0::2], table[:, 1::2] = torch.sin(position * rates), torch.cos(position * rates)
        return self.classifier(self.encoder(x + table).mean(dim=1))


def weights(module):
    for number, (name, tensor) in enumerate(module.named_parameters()):
        u = torch.from_numpy(uniform(number + 1, tensor.numel()) * 2 - 1).view(tensor.shape)
        if "norm" in name:
            value = 0.1 * u + (1.0 if name.endswith("weight") else 0.0)
        elif tensor.dim() == 1:
            value = 0.1 * u
        else:
            field = tensor[0][0].numel()
            value = u * math.sqrt(6.0 / (field * (tensor.shape[0] + tensor.shape[1])))
        with torch.no_grad():
            tensor.copy_(value.float().double())


def network(module, inputs, loss_of):
    module = module.double().eval()
    weights(module)
    samples, labels = 3, [1, 0, 1]
    x = torch.from_numpy((uniform(99, samples * inputs["size"]) * inputs["range"] + inputs["least"]).astype(np.float32))
    logits, loss = loss_of(module(x.double().view(samples, -1)), torch.tensor(labels))
    loss.backward()
    tensors = {}
    for name, tensor in module.named_parameters():
        flat = tensor.grad.flatten()
        at = [i * 7919 % flat.numel() for i in range(6)]
        probe = torch.from_numpy(uniform(7, flat.numel()) - 0.5)
        tensors[name] = {"size": flat.numel(), "norm": flat.norm().item(), "probe": (flat @ probe).item(),
                         "at": at, "values": [flat[i].item() for i in at]}
    return {"size": inputs["size"], "range": inputs["range"], "least": inputs["least"], "labels": labels,
            "parameters": sum(tensor.numel() for tensor in module.parameters()),
            "logits": logits.tolist(), "loss": loss.item(), "tensors": tensors}


def binary(logits, labels):
    return logits, nn.functional.binary_cross_entropy_with_logits(logits, labels.double(), reduction="sum")


def two_classes(classes, labels):
    return classes[:, 1] - classes[:, 0], nn.functional.cross_entropy(classes, labels, reduction="sum")


def write(name, content):
    (HERE / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


write("nepdf.json", nepdf())
write("windows.json", windows())
write("networks.json", {
    "cnnc": network(Cnnc(), {"size": 1024, "range": 1.0, "least": 0.0}, binary),
    "stgrns": network(Stgrns(), {"size": 5 * 200, "range": 3.0, "least": -2.0}, two_classes)})
