#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything `prepare` computes, once more, from the raw files, with numpy and scipy alone.

Written from the specification, not from the C++: brute force over transcripts with masks over all peaks of a
chromosome, dense rows, no blocks, no ranks.

    independent_rp.py 10X.h5 REFGENE OUT

writes OUT/genes.txt, OUT/cells.txt and the dense normalised matrices OUT/rna.f32, OUT/rp.f32 (genes x cells,
float32, row-major) for rule mad-linear, lognorm+z and binary+rowsum+z with clip 10.
"""
import collections
import gzip
import pathlib
import sys

import numpy as np
import scipy.sparse as sparse

Transcript = collections.namedtuple("Transcript", "symbol chromosome forward start end exons")


def chromosome_key(name):
    return name[3:] if name.lower().startswith("chr") else name


def read_ref_gene(path):
    opener = gzip.open if str(path).endswith(".gz") else open
    seen = set()
    transcripts = []
    with opener(path, "rt") as lines:
        for line in lines:
            field = line.rstrip("\n").split("\t")
            if field[1] == "name":
                continue
            starts = [int(x) for x in field[9].split(",") if x]
            ends = [int(x) for x in field[10].split(",") if x]
            one = Transcript(field[12], chromosome_key(field[2]), field[3] == "+", int(field[4]), int(field[5]),
                             list(zip(starts, ends)))
            body = (one.start - 2000, one.end) if one.forward else (one.start, one.end + 2000)
            name = (one.symbol, one.chromosome, body)
            if name not in seen:
                seen.add(name)
                transcripts.append(one)
    return transcripts


def peak_weights(transcripts, peaks, decay=10000.0):
    """peaks: list of (chromosome, start, end). Sparse transcripts x peaks."""
    chromosomes = np.array([chromosome_key(p[0]) for p in peaks])
    centre = np.array([(p[1] + p[2]) / 2.0 for p in peaks])
    on = {c: np.flatnonzero(chromosomes == c) for c in set(chromosomes)}
    claimed = np.zeros(len(peaks), bool)
    weights = [{} for _ in transcripts]
    for row, t in enumerate(transcripts):
        index = on.get(t.chromosome)
        if index is None:
            continue
        c = centre[index]
        tss = t.start if t.forward else t.end
        low, high = (t.start - 2000, t.end) if t.forward else (t.start, t.end + 2000)
        body = (c >= low) & (c <= high)
        exon = np.zeros(len(c), bool)
        for start, end in t.exons:
            exon |= (c >= start) & (c <= end)
        exon &= body
        promoter = body & ~exon & (np.abs(c - tss) <= 2000)
        kilobases = sum(end - start for start, end in t.exons) / 1000.0
        for i in index[exon]:
            weights[row][i] = 1.0 / kilobases
        for i, d in zip(index[promoter], np.abs(c - tss)[promoter]):
            weights[row][i] = 2.0 ** (-d / decay)
        claimed[index[exon | promoter]] = True
    for row, t in enumerate(transcripts):
        index = on.get(t.chromosome)
        if index is None:
            continue
        tss = t.start if t.forward else t.end
        d = np.abs(centre[index] - tss)
        free = ~claimed[index] & (d <= 15 * decay)
        for i, distance in zip(index[free], d[free]):
            weights[row][i] = 2.0 ** (-distance / decay)
    rows = [r for r, w in enumerate(weights) for _ in w]
    columns = [p for w in weights for p in w]
    values = [v for w in weights for v in w.values()]
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(transcripts), len(peaks)))


def quality(rna, atac, mito, logged, mads=3.0, share=0.001):
    """Boolean masks of genes, peaks and cells that stay. rna, atac: features x cells, sparse."""
    cells = rna.shape[1]
    genes = np.asarray((rna > 0).sum(1)).ravel() >= share * cells
    peaks = np.asarray((atac > 0).sum(1)).ravel() >= share * cells
    r, a = rna[genes], atac[peaks]
    enough = (np.asarray((r > 0).sum(0)).ravel() >= share * r.shape[0]) & \
             (np.asarray((a > 0).sum(0)).ravel() >= share * a.shape[0])
    totals = np.asarray(r.sum(0)).ravel().astype(float)
    ratio = np.asarray(r[mito[genes]].sum(0)).ravel() / np.maximum(totals, 1e-300)
    accessible = np.asarray(a.sum(0)).ravel().astype(float)
    keep = enough.copy()
    for value in ((np.log10(np.maximum(totals, 1e-9)), np.log10(np.maximum(accessible, 1e-9)), ratio) if logged
                  else (totals, accessible, ratio)):
        middle = np.median(value[enough])
        mad = 1.4826 * np.median(np.abs(value[enough] - middle))
        if mad > 0:
            keep &= np.abs(value - middle) <= mads * mad
    return genes, peaks, keep


def z_score(rows, clip=10.0):
    deviation = rows.std(axis=1, keepdims=True)
    centred = rows - rows.mean(axis=1, keepdims=True)
    z = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    return np.clip(z, -clip, clip)


def log_normalise(counts):
    return np.log1p(counts / counts.sum(axis=0, keepdims=True) * 1e4)


def regulatory_potential(transcripts, peaks, atac, symbols):
    """Raw RP of binary peaks, genes x cells, dense. atac: peaks x cells, sparse."""
    weights = peak_weights(transcripts, peaks)
    binary = (atac > 0).astype(float)
    totals = weights @ np.asarray(binary.sum(1)).ravel()
    isoforms = collections.defaultdict(list)
    folded = collections.defaultdict(list)
    for row, t in enumerate(transcripts):
        isoforms[t.symbol].append(row)
        folded[t.symbol.upper()].append(row)
    out = np.zeros((len(symbols), atac.shape[1]))
    for g, symbol in enumerate(symbols):
        rows = isoforms.get(symbol) or folded.get(symbol.upper(), [])
        if rows and max(totals[r] for r in rows) > 0:
            best = max(rows, key=lambda r: (totals[r], -r))
            out[g] = (weights[best] @ binary).toarray().ravel()
    return out


def normalise_rp(rows):
    sums = rows.sum(axis=1, keepdims=True)
    return z_score(np.divide(rows, sums, out=np.zeros_like(rows), where=sums > 0))


def parse_peak(name):
    chromosome, rest = name.rsplit(":", 1)
    start, end = rest.split("-")
    return chromosome, int(start), int(end)


def main(matrix, annotation, out):
    import h5py

    with h5py.File(matrix) as file:
        m = file["matrix"]
        whole = sparse.csc_matrix((m["data"][:], m["indices"][:], m["indptr"][:]), shape=m["shape"][:]).tocsr()
        names = m["features/name"][:].astype(str)
        kind = m["features/feature_type"][:].astype(str)
        barcodes = m["barcodes"][:].astype(str)
    is_gene = kind == "Gene Expression"
    symbols = names[is_gene]
    mito = np.array([s.upper().startswith("MT-") for s in symbols])
    genes, peaks, cells = quality(whole[is_gene], whole[~is_gene], mito, logged=False)
    order = sorted(np.flatnonzero(genes), key=lambda g: symbols[g].upper())
    counts = whole[is_gene][order][:, cells].toarray().astype(float)
    places = [parse_peak(n) for n in names[~is_gene][peaks]]
    rp = regulatory_potential(read_ref_gene(annotation), places, whole[~is_gene][peaks][:, cells], symbols[order])
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "genes.txt").write_text("\n".join(symbols[order]) + "\n")
    (out / "cells.txt").write_text("\n".join(barcodes[cells]) + "\n")
    z_score(log_normalise(counts)).astype("<f4").tofile(out / "rna.f32")
    normalise_rp(rp).astype("<f4").tofile(out / "rp.f32")


if __name__ == "__main__":
    main(*sys.argv[1:])
