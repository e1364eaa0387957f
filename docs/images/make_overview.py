#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/images/overview.svg (no packages needed): from raw counts to a ranked network."""
import pathlib
import random

random.seed(4)
out = []


def add(text):
    out.append(text)


def box(x, y, w, h, cls="card"):
    add(f'<rect class="{cls}" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>')


def text(x, y, words, cls="t", anchor="middle"):
    add(f'<text class="{cls}" x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>')


def arrow(x1, y1, x2, y2):
    add(f'<line class="arrow" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" marker-end="url(#head)"/>')


W, H = 1000, 300
add(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" role="img" '
    'aria-label="Raw RNA and ATAC counts are prepared into one dataset file; for each pair of transcription '
    'factor and gene a sample of cells goes through a Transformer; ranks share the samples and add their '
    'gradients exactly; the result is a ranked network.">')
add("""<style>
.card{fill:#f6f8fa;stroke:#57606a;stroke-width:1.2}
.t{font:600 14px system-ui,sans-serif;fill:#1f2328}
.s{font:12px system-ui,sans-serif;fill:#57606a}
.m{font:11px ui-monospace,monospace;fill:#0550ae}
.arrow{stroke:#57606a;stroke-width:1.6}
.rna{fill:#0969da}.rp{fill:#bf8700}.edge{stroke:#8250df;stroke-opacity:.6}
.tf{fill:#8250df}.gene{fill:#1a7f37}
@media (prefers-color-scheme:dark){.card{fill:#161b22;stroke:#8b949e}.t{fill:#e6edf3}.s{fill:#9da7b1}
.m{fill:#79c0ff}.arrow{stroke:#8b949e}.rna{fill:#58a6ff}.rp{fill:#d29922}}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>""")

# 1 raw counts
box(15, 60, 165, 180)
text(97, 48, "raw multiome counts")
for row, cls in enumerate(["rna", "rp"]):
    for i in range(9):
        for j in range(4):
            value = random.random() ** 2
            add(f'<rect class="{cls}" opacity="{0.08 + 0.9 * value:.2f}" x="{33 + i * 14.5:.1f}" '
                f'y="{84 + row * 74 + j * 11.5:.1f}" width="12" height="9" rx="1"/>')
text(97, 76, "RNA: genes × cells", "s")
text(97, 150, "ATAC: peaks × cells", "s")
text(97, 229, "10x · h5ad · h5mu · CSV", "m")

arrow(182, 150, 216, 150)
# 2 dataset
box(220, 95, 130, 110)
text(285, 83, "prepare")
text(285, 124, "quality control", "s")
text(285, 144, "normalisation", "s")
text(285, 164, "regulatory potential", "s")
text(285, 192, "dataset.h5", "m")

arrow(352, 150, 386, 150)
# 3 sample
box(390, 60, 150, 180)
text(465, 48, "a pair's sample")
for i in range(10):
    for c, cls in enumerate(["rna", "rp", "rna", "rp"]):
        value = random.random()
        add(f'<rect class="{cls}" opacity="{0.12 + 0.85 * value:.2f}" x="{419 + c * 24}" y="{100 + i * 10}" '
            'width="21" height="8" rx="1"/>')
text(443, 92, "TF", "s")
text(491, 92, "gene", "s")
text(465, 218, "N cells × 4, drawn anew", "s")
text(465, 233, "in every epoch", "s")

arrow(542, 150, 576, 150)
# 4 ranks
text(665, 48, "Transformer, data-parallel")
for r in range(3):
    y = 62 + r * 48
    box(580, y, 170, 40)
    text(665, y + 17, f"rank {r}" if r < 2 else "rank K", "s")
    text(665, y + 32, "linear-time attention", "m")
box(580, 212, 170, 30)
text(665, 232, "exact sum of gradients", "s")
for x in (615, 665, 715):
    add(f'<line class="arrow" x1="{x}" y1="199" x2="{x}" y2="210"/>')
text(665, 262, "the same bits on 1, 2 or 1000 ranks", "s")

arrow(752, 150, 796, 150)
# 5 network
box(800, 60, 185, 180)
text(892, 48, "a ranked network")
tfs = [(835, 95), (832, 150), (838, 205)]
genes = [(950, 82 + 26 * i) for i in range(6)]
for tx, ty in tfs:
    for gx, gy in genes:
        weight = random.random()
        if weight > 0.45:
            add(f'<line class="edge" stroke-width="{weight * 3:.1f}" x1="{tx}" y1="{ty}" x2="{gx}" y2="{gy}"/>')
for x, y in tfs:
    add(f'<circle class="tf" cx="{x}" cy="{y}" r="9"/>')
for x, y in genes:
    add(f'<circle class="gene" cx="{x}" cy="{y}" r="6"/>')
text(835, 230, "TFs", "s")
text(950, 230, "genes", "s")
add("</svg>")
pathlib.Path(__file__).with_name("overview.svg").write_text("\n".join(out) + "\n")
