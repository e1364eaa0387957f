#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small multiome sample and what `prepare` makes of it, computed independently.

Needs numpy, scipy and scikit-misc. Run in this folder; writes annotation.tsv (refGene table), rna.csv and
atac.csv (features x cells), expected_{genes,rna,rp}.csv, and loess.csv.
"""
import sys

import numpy as np
import scipy.sparse as sparse
from skmisc.loess import loess

sys.path.insert(0, "..")
import independent_rp as independent  # noqa: E402

random = np.random.default_rng(20260101)
GENES, PEAKS, CELLS = 60, 400, 50


def write_matrix(path, names, cells, matrix, number):
    with open(path, "w") as out:
        out.write("," + ",".join(cells) + "\n")
        for name, row in zip(names, matrix):
            out.write(name + "," + ",".join(number(v) for v in row) + "\n")


# Genes of two chromosomes, dense enough that promoters, exons and introns of different genes overlap.
lines = ["#bin\tname\tchrom\tstrand\ttxStart\ttxEnd\tcdsStart\tcdsEnd\texonCount\texonStarts\texonEnds\tscore\tname2"]
lines[0] = lines[0][1:]
symbols = [("mt-" if g < 3 else "Gene") + str(g + 1) for g in range(GENES)]
for g, symbol in enumerate(symbols[:-4]):  # the last four are in no annotation
    chromosome = "chr1" if g % 2 == 0 else "chr2"
    start = int(random.integers(10_000, 1_500_000))
    strand = "+" if random.random() < 0.5 else "-"
    for isoform in range(int(random.integers(1, 4))):
        shift = int(random.integers(-3000, 3000)) * (isoform > 0)
        first = start + shift
        exons, at = [], first
        for _ in range(int(random.integers(1, 5))):
            length = int(random.integers(80, 2500))
            exons.append((at, at + length))
            at += length + int(random.integers(200, 9000))
        lines.append("\t".join(["0", f"NM_{g}_{isoform}", chromosome, strand, str(exons[0][0]), str(exons[-1][1]), "0",
                                "0", str(len(exons)), "".join(f"{s}," for s, _ in exons),
                                "".join(f"{e}," for _, e in exons), "0", symbol]))
open("annotation.tsv", "w").write("\n".join(lines) + "\n")
transcripts = independent.read_ref_gene("annotation.tsv")

peaks = []
for _ in range(PEAKS):
    chromosome = ["chr1", "chr2", "chrUn_1"][int(random.choice(3, p=[0.49, 0.49, 0.02]))]
    start = int(random.integers(1000, 1_600_000))
    peaks.append((chromosome, start, start + int(random.integers(150, 900))))
peak_names = [f"{c}:{s}-{e}" for c, s, e in peaks]
cells = ["".join(random.choice(list("ACGT"), 16)) + "-1" for _ in range(CELLS)]

depth = random.lognormal(0, 0.4, CELLS)
depth[[4, 17]] *= 30  # far above the median
rate = random.lognormal(-1.0, 1.3, GENES)
rna = random.poisson(rate[:, None] * depth[None, :] * random.gamma(1.5, 1 / 1.5, (GENES, CELLS)))
rna[10] = 0  # never seen
atac = random.poisson(0.25 * random.lognormal(0, 0.3, CELLS)[None, :] * random.gamma(1.0, 1.0, PEAKS)[:, None],
                      (PEAKS, CELLS))
atac[:, 30] = 0  # a cell without peaks
write_matrix("rna.csv", symbols, cells, rna, str)
write_matrix("atac.csv", peak_names, cells, atac, str)

mito = np.array([s.upper().startswith("MT-") for s in symbols])
genes, keep_peaks, keep = independent.quality(sparse.csr_matrix(rna), sparse.csr_matrix(atac), mito, logged=True)
# A row without values passes no share above 0; a cell without values never stays.
keep &= atac.sum(0) > 0
order = sorted(np.flatnonzero(genes), key=lambda g: symbols[g].upper())
kept = rna[order][:, keep].astype(float)
names = [symbols[g] for g in order]
logged = independent.log_normalise(kept)
rp = independent.regulatory_potential(transcripts, [p for p, k in zip(peaks, keep_peaks) if k],
                                      sparse.csr_matrix(atac[keep_peaks][:, keep]), names)

mean, variance = kept.mean(1), kept.var(1, ddof=1)
varying = variance > 0
model = loess(np.log10(mean[varying]), np.log10(variance[varying]), span=0.3, degree=2)
model.fit()
expected = np.zeros(len(names))
expected[varying] = np.sqrt(10 ** model.outputs.fitted_values)
n = kept.shape[1]
standard = np.zeros(len(names))
for g in np.flatnonzero(varying):
    z = np.minimum((kept[g] - mean[g]) / expected[g], np.sqrt(n))
    standard[g] = (z ** 2).sum() / (n - 1)

kept_cells = [c for c, k in zip(cells, keep) if k]
with open("expected_genes.csv", "w") as out:
    out.write("gene,variance,vst\n")
    for g, name in enumerate(names):
        out.write(f"{name},{float(logged[g].var())!r},{float(standard[g])!r}\n")
digits = lambda v: f"{v:.9g}"  # noqa: E731
write_matrix("expected_rna.csv", names, kept_cells, independent.z_score(logged), digits)
write_matrix("expected_rp.csv", names, kept_cells, independent.normalise_rp(rp), digits)

x = np.sort(random.normal(size=80))
y = np.sin(2 * x) + x + 0.2 * random.normal(size=80)
model = loess(x, y, span=0.3, degree=2)
model.fit()
with open("loess.csv", "w") as out:
    out.write("x,y,fitted\n")
    for row in zip(x, y, model.outputs.fitted_values):
        out.write(",".join(repr(float(v)) for v in row) + "\n")
print(len(names), "genes", len(kept_cells), "cells", int((rp.sum(1) == 0).sum()), "genes without RP")
