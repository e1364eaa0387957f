#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The regulatory potential as SciPy computes it best, measured as `multigrnformer bench --stage rp` is.

    scipy_rp.py 10X.h5 ANNOTATION [--seconds X] [--rounds N]

It begins with numbers, as the program does: entries by cell, peaks and transcripts in the order of the genome, genes of
transcripts. Reading, names and sorting are not measured. What is, is the potential by genes, without a loop over
transcripts, peaks or cells: all chromosomes lie behind one another on one axis, ranges are found by searchsorted in the
sorted peaks and unfolded, weights become a sparse matrix, and its product with the binary matrix of peaks and cells is
the potential, in blocks of genes, which takes no longer than all at once and a fraction of the memory.

Also tried: cells x peaks times peaks x genes, which needs the matrix turned afterwards instead of before, and the same
with only those peaks that weigh; neither is faster. Everything in the file takes part: all cells, genes and peaks.
Lines of JSON on stdout, with the names that `bench` gives the same measures.
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
GENES_AT_ONCE = 256
CHROMOSOME = 1 << 33  # longer than any, with room for what reaches beyond its ends

Transcript = collections.namedtuple("Transcript", "symbol chromosome forward start end exons number")


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
        yield Transcript(key[2], chromosome_key(key[1]), key[3], start, end, sorted(exons), 0)


def read_ref_gene(path):
    for field in lines_of(path):
        if field[1] == "name":
            continue
        starts, ends = ([int(x) for x in field[i].split(",") if x] for i in (9, 10))
        yield Transcript(field[12], chromosome_key(field[2]), field[3] == "+", int(field[4]), int(field[5]),
                         sorted(zip(starts, ends)), 0)


def unique(transcripts):
    """The first of those with one symbol and body."""
    seen = set()
    for one in transcripts:
        body = (one.start - PROMOTER, one.end) if one.forward else (one.start, one.end + PROMOTER)
        if (one.symbol, one.chromosome, body) not in seen:
            seen.add((one.symbol, one.chromosome, body))
            yield one._replace(number=len(seen))


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
        number = {}
        offset = lambda name: number.setdefault(name, len(number)) * CHROMOSOME + CHROMOSOME // 4  # noqa: E731
        transcripts.sort(key=lambda one: (offset(one.chromosome), one.start))  # stable: the first stays first
        self.count = len(transcripts)
        base = np.array([offset(one.chromosome) for one in transcripts], dtype=np.float64)
        forward = np.array([one.forward for one in transcripts])
        start = base + [one.start for one in transcripts]
        end = base + [one.end for one in transcripts]
        self.owner = np.repeat(np.arange(self.count), [len(one.exons) for one in transcripts])
        exons = np.array([exon for one in transcripts for exon in one.exons], dtype=np.float64)
        self.exon_start = base[self.owner] + exons[:, 0]
        self.exon_end = base[self.owner] + exons[:, 1]
        self.tss = np.where(forward, start, end)
        self.promoter_low = np.maximum(np.where(forward, start - PROMOTER, start), self.tss - PROMOTER)
        self.promoter_high = np.minimum(np.where(forward, end, end + PROMOTER), self.tss + PROMOTER)
        self.per_kilobase = 1000.0 / np.bincount(self.owner, self.exon_end - self.exon_start, self.count)
        middle = np.array([offset(chromosome_key(name)) + (int(start) + int(end)) / 2 for name, start, end in peaks])
        self.order = np.argsort(middle, kind="stable")
        self.middle = middle[self.order]
        self.match(transcripts)

    def match(self, transcripts):
        """Pairs of gene and isoform, by gene; of a gene's isoforms the annotation's first first."""
        rows = collections.defaultdict(list)
        spelling = {}
        for row in sorted(range(self.count), key=lambda row: transcripts[row].number):
            rows[transcripts[row].symbol].append(row)
            spelling.setdefault(transcripts[row].symbol.upper(), transcripts[row].symbol)
        pairs = []
        for gene, symbol in enumerate(self.symbols):
            name = symbol if symbol in rows else spelling.get(symbol.upper())
            pairs += [(gene, row) for row in rows.get(name, ())]
        self.gene, self.isoform = np.array(pairs).T
        self.wanted = np.unique(self.isoform)  # other transcripts claim peaks, but their weights serve nobody


def unfold(first, last):
    """Ranges first[i] .. last[i]-1 as pairs (i, each of them)."""
    lengths = np.maximum(last - first, 0)
    rows = np.repeat(np.arange(len(first)), lengths)
    starts = np.cumsum(lengths) - lengths
    return rows, np.arange(len(rows)) - starts[rows] + first[rows]


def within(sorted_values, low, high):
    """Both ends inclusive."""
    return unfold(np.searchsorted(sorted_values, low, "left"), np.searchsorted(sorted_values, high, "right"))


def weigh(inputs, totals):
    """Genes x peaks: of each gene the isoform with the most potential over all cells."""
    middle, tss = inputs.middle, inputs.tss
    peaks = len(middle)
    exon, peak = within(middle, inputs.exon_start, inputs.exon_end)
    in_exon = np.unique(inputs.owner[exon] * peaks + peak)
    row, peak = within(middle, inputs.promoter_low, inputs.promoter_high)
    promoter = np.setdiff1d(row * peaks + peak, in_exon, assume_unique=True)
    claimed = np.zeros(peaks, bool)
    claimed[in_exon % peaks] = True
    claimed[promoter % peaks] = True
    free = np.flatnonzero(~claimed)
    wanted = np.zeros(inputs.count, bool)
    wanted[inputs.wanted] = True
    in_exon = in_exon[wanted[in_exon // peaks]]
    promoter = promoter[wanted[promoter // peaks]]
    near, place = within(middle[free], tss[inputs.wanted] - RANGE, tss[inputs.wanted] + RANGE)
    by_distance = np.concatenate([promoter, inputs.wanted[near] * peaks + free[place]])
    rows = np.concatenate([in_exon, by_distance]) // peaks
    columns = np.concatenate([in_exon, by_distance]) % peaks
    distance = np.abs(middle[by_distance % peaks] - tss[by_distance // peaks])
    values = np.concatenate([inputs.per_kilobase[in_exon // peaks], np.exp2(-distance / DECAY)])
    weights = sparse.csr_matrix((values, (rows, inputs.order[columns])), shape=(inputs.count, peaks))
    total = (weights @ totals)[inputs.isoform]
    best = np.lexsort((-total, inputs.gene))  # stable: of equals the first
    genes, first = np.unique(inputs.gene[best], return_index=True)
    row = np.full(len(inputs.symbols), -1)
    row[genes] = inputs.isoform[best[first]]
    pick = sparse.csr_matrix((np.ones(len(genes)), (genes, row[genes])), shape=(len(inputs.symbols), inputs.count))
    return pick @ weights


def turn(inputs):
    """Peaks x cells by peak, and of each peak in how many cells it is."""
    by_peak = inputs.binary.tocsr()
    return by_peak, np.diff(by_peak.indptr).astype(np.float64)


def sum_cells(genes, by_peak, work=lambda block: None):
    for first in range(0, genes.shape[0], GENES_AT_ONCE):
        work(genes[first:first + GENES_AT_ONCE] @ by_peak)


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
    by_peak, totals = turn(inputs)
    genes = weigh(inputs, totals)
    sum_cells(genes, by_peak)
    peak = memory("VmHWM")
    sums = []
    sum_cells(genes, by_peak, lambda block: sums.append(float(block.data.sum())))
    total = sum(sums)
    figures = collections.defaultdict(list)
    for _ in range(arguments.rounds):
        turning = seconds_per_call(arguments.seconds, lambda: turn(inputs))
        weighing = seconds_per_call(arguments.seconds, lambda: weigh(inputs, totals))
        summing = seconds_per_call(arguments.seconds, lambda: sum_cells(genes, by_peak))
        figures["cells of peaks", "cells/s"].append(inputs.binary.shape[1] / turning)
        figures["weights of peaks", "transcripts/s"].append(inputs.count / weighing)
        figures["sums of cells", "cells/s"].append(inputs.binary.shape[1] / summing)
        figures["all", "s"].append(turning + weighing + summing)
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
