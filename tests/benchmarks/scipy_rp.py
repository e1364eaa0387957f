#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The regulatory potential as SciPy computes it best, measured as `multigrnformer bench --stage rp` is.

    scipy_rp.py 10X.h5 ANNOTATION [--seconds X] [--rounds N]

No loop over transcripts, peaks or cells: all chromosomes lie behind one another on one axis, ranges are found by
searchsorted in the sorted peaks and unfolded, weights become a sparse matrix, and its product with the binary
matrix of peaks and cells is the potential. Everything in the file takes part: all cells, genes and peaks.

Reading is not measured; the file holds the matrix by cells, the potential is wanted by genes, so turning it is. Lines of JSON on stdout, with the names that `bench` gives the same measures.
"""
import argparse
import collections
import ctypes
import gc
import gzip
import json
import re
import statistics
import sys
import time

import h5py
import numpy as np
from scipy import sparse

DECAY, PROMOTER, RANGE = 10000.0, 2000, 150000
CHROMOSOME = 1 << 33  # longer than any, with room for what reaches beyond its ends

Transcript = collections.namedtuple("Transcript", "symbol chromosome forward start end exons")


def chromosome_key(name):
    key = name[3:] if name.lower().startswith("chr") else name
    return "M" if key.upper() in ("M", "MT") else key


def lines_of(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as lines:
        for line in lines:
            if not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def read_gtf(path):
    parts = collections.OrderedDict()
    spans = {}
    attribute = {key: re.compile(rf'\b{key} "([^"]*)"') for key in ("gene_name", "gene_id", "transcript_id")}
    for field in lines_of(path):
        if len(field) < 9 or field[2] not in ("transcript", "exon"):
            continue
        found = {key: match.group(1) for key, pattern in attribute.items() if (match := pattern.search(field[8]))}
        key = (found["transcript_id"], field[0], found.get("gene_name", found["gene_id"]), field[6] == "+")
        exons = parts.setdefault(key, [])
        start, end = int(field[3]) - 1, int(field[4])
        if field[2] == "exon":
            exons.append((start, end))
        else:
            spans[key] = (start, end)
    for key, exons in parts.items():
        start, end = spans.get(key, (min(e[0] for e in exons), max(e[1] for e in exons)) if exons else None)
        yield Transcript(key[2], chromosome_key(key[1]), key[3], start, end, sorted(exons))


def read_ref_gene(path):
    for field in lines_of(path):
        if field[1] == "name":
            continue
        starts, ends = ([int(x) for x in field[i].split(",") if x] for i in (9, 10))
        yield Transcript(field[12], chromosome_key(field[2]), field[3] == "+", int(field[4]), int(field[5]),
                         sorted(zip(starts, ends)))


def unique(transcripts):
    """The first of those with one symbol and body."""
    seen = set()
    for one in transcripts:
        body = (one.start - PROMOTER, one.end) if one.forward else (one.start, one.end + PROMOTER)
        if (one.symbol, one.chromosome, body) not in seen:
            seen.add((one.symbol, one.chromosome, body))
            yield one


class Inputs:
    def __init__(self, matrix, annotation):
        with h5py.File(matrix) as file:
            group = file["matrix"]
            whole = sparse.csc_matrix((group["data"][:], group["indices"][:], group["indptr"][:]),
                                      shape=group["shape"][:])
            names = group["features/name"][:].astype(str)
            kinds = group["features/feature_type"][:].astype(str)
        self.symbols = names[kinds == "Gene Expression"]
        peaks = [re.split(r"[:_-](?=\d+[:_-]\d+$)|[:_-](?=\d+$)", name) for name in names[kinds == "Peaks"]]
        self.binary = whole[np.flatnonzero(kinds == "Peaks")].astype(np.float64)  # by cells
        self.binary.data[:] = 1.0
        is_gtf = ".gtf" in annotation
        transcripts = list(unique(read_gtf(annotation) if is_gtf else read_ref_gene(annotation)))
        self.count = len(transcripts)
        self.names = [one.symbol for one in transcripts]
        number = {}
        offset = lambda name: number.setdefault(name, len(number)) * CHROMOSOME + CHROMOSOME // 4  # noqa: E731
        base = np.array([offset(one.chromosome) for one in transcripts], dtype=np.float64)
        self.forward = np.array([one.forward for one in transcripts])
        self.start = base + [one.start for one in transcripts]
        self.end = base + [one.end for one in transcripts]
        self.owner = np.repeat(np.arange(self.count), [len(one.exons) for one in transcripts])
        exons = np.array([exon for one in transcripts for exon in one.exons], dtype=np.float64)
        self.exon_start = base[self.owner] + exons[:, 0]
        self.exon_end = base[self.owner] + exons[:, 1]
        self.middle = np.array([offset(chromosome_key(name)) + (int(start) + int(end)) / 2
                                for name, start, end in peaks])


def unfold(first, last):
    """Ranges first[i] .. last[i]-1 as pairs (i, each of them)."""
    lengths = np.maximum(last - first, 0)
    rows = np.repeat(np.arange(len(first)), lengths)
    starts = np.cumsum(lengths) - lengths
    return rows, np.arange(len(rows)) - starts[rows] + first[rows]


def within(sorted_values, low, high):
    """Both ends inclusive."""
    return unfold(np.searchsorted(sorted_values, low, "left"), np.searchsorted(sorted_values, high, "right"))


def peak_weights(inputs):
    """Transcripts x peaks."""
    order = np.argsort(inputs.middle, kind="stable")
    middle = inputs.middle[order]
    peaks = len(middle)
    tss = np.where(inputs.forward, inputs.start, inputs.end)
    kilobases = np.bincount(inputs.owner, inputs.exon_end - inputs.exon_start, inputs.count) / 1000.0
    exon, peak = within(middle, inputs.exon_start, inputs.exon_end)
    in_exon = np.unique(inputs.owner[exon] * peaks + peak)
    low = np.where(inputs.forward, inputs.start - PROMOTER, inputs.start)
    high = np.where(inputs.forward, inputs.end, inputs.end + PROMOTER)
    row, peak = within(middle, np.maximum(low, tss - PROMOTER), np.minimum(high, tss + PROMOTER))
    promoter = np.setdiff1d(row * peaks + peak, in_exon, assume_unique=True)
    claimed = np.zeros(peaks, bool)
    claimed[in_exon % peaks] = True
    claimed[promoter % peaks] = True
    free = np.flatnonzero(~claimed)
    row, place = within(middle[free], tss - RANGE, tss + RANGE)
    by_distance = np.concatenate([promoter, row * peaks + free[place]])
    rows = np.concatenate([in_exon, by_distance]) // peaks
    columns = np.concatenate([in_exon, by_distance]) % peaks
    distance = np.abs(middle[by_distance % peaks] - tss[by_distance // peaks])
    values = np.concatenate([1.0 / kilobases[in_exon // peaks], np.exp2(-distance / DECAY)])
    return sparse.csr_matrix((values, (rows, order[columns])), shape=(inputs.count, peaks))


def gene_weights(inputs):
    """Genes x peaks: of each gene the isoform with the most potential over all cells."""
    weights = peak_weights(inputs)
    totals = weights @ np.asarray(inputs.binary.sum(axis=1)).ravel()
    known, first_spelling = set(inputs.names), {}
    for name in inputs.names:
        first_spelling.setdefault(name.upper(), name)
    genes = collections.defaultdict(list)
    for number, symbol in enumerate(inputs.symbols):
        name = symbol if symbol in known else first_spelling.get(symbol.upper())
        if name is not None:
            genes[name].append(number)
    best = {}
    for row in np.lexsort((np.arange(inputs.count), -totals)):
        best.setdefault(inputs.names[row], row)
    rows = np.array([(number, best[name]) for name, numbers in genes.items() for number in numbers])
    pick = sparse.csr_matrix((np.ones(len(rows)), (rows[:, 0], rows[:, 1])), shape=(len(inputs.symbols), inputs.count))
    return pick @ weights


def memory(name):
    with open("/proc/self/status") as status:
        return int(re.search(rf"{name}:\s+(\d+)", status.read()).group(1)) / 1000 * 1.024


def seconds_per_call(seconds, work):
    calls, taken = 0, 0.0
    start = time.perf_counter()
    while calls == 0 or taken + taken / calls / 2 < seconds:
        work()
        calls += 1
        taken = time.perf_counter() - start
    return taken / calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix")
    parser.add_argument("annotation")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    inputs = Inputs(arguments.matrix, arguments.annotation)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = memory("VmRSS")
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    genes = gene_weights(inputs)
    potential = genes @ inputs.binary.tocsr()
    total = float(potential.sum())
    peak = memory("VmHWM")
    del potential
    figures = collections.defaultdict(list)
    for _ in range(arguments.rounds):
        weigh = seconds_per_call(arguments.seconds, lambda: gene_weights(inputs))
        cells = seconds_per_call(arguments.seconds, lambda: genes @ inputs.binary.tocsr())
        figures["weights of peaks", "transcripts/s"].append(inputs.count / weigh)
        figures["sums of cells", "cells/s"].append(inputs.binary.shape[1] / cells)
        figures["all", "s"].append(weigh + cells)
        figures["memory beyond the inputs", "MB"].append(peak - before)
        figures["peak memory of the process", "MB"].append(peak)
    for (measure, unit), values in figures.items():
        line = {"stage": "rp", "measure": measure, "engine": "scipy", "cells": inputs.binary.shape[1], "batch": 1,
                "threads": 1, "ranks": 1, "rounds": len(values), "seconds": arguments.seconds, "unit": unit,
                "peaks": inputs.binary.shape[0], "transcripts": inputs.count, "genes": len(inputs.symbols),
                "nonzeros": inputs.binary.nnz, "weights": genes.nnz, "sum": total}
        for key, value in (("min", min(values)), ("median", statistics.median(values)), ("max", max(values))):
            line[key] = float(f"{value:.6g}")
        print(json.dumps(line, sort_keys=True, separators=(",", ":")))


if __name__ == "__main__":
    sys.exit(main())
