# SPDX-License-Identifier: Apache-2.0
"""Writes the small reference files of the formats room with the field's own libraries.

Run in a Python with anndata, h5py and scipy: python make_golden.py
The matrix is in expected.csv (cells in rows, in the order of the features below).
"""
import csv
import pathlib

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(7)
cells = [f"AAACCCAAGAAACAC{b}-1" for b in "ACGT"] + ["TTTGGGTTCTTTGTGA-1"]
symbols = ["Actb", "Sox2", "Rpl3", "Pax6", "mt-Co1", "Gata4"]
ids = [f"ENSMUSG{i:011d}" for i in (29580, 74637, 60036, 27168, 64351, 21944)]
dense = np.where(rng.random((5, 6)) < 0.5, rng.integers(1, 9, (5, 6)), 0).astype(np.float32)
dense[3] = 0  # an empty cell
dense[0, 1] = 2.5

with open(here / "expected.csv", "w", newline="") as handle:
    writer = csv.writer(handle, lineterminator="\n")
    writer.writerow(["cell"] + symbols)
    for cell, row in zip(cells, dense):
        writer.writerow([cell] + [repr(float(v)) for v in row])

obs = pd.DataFrame({"kind": pd.Categorical(["a", "b", "a", "b", "a"])}, index=cells)
by_symbol = pd.DataFrame({"gene_ids": ids}, index=symbols)
by_id = pd.DataFrame({"feature_name": pd.Categorical(symbols)}, index=ids)

anndata.AnnData(sp.csr_matrix(dense), obs, by_symbol, layers={"doubled": sp.csr_matrix(dense * 2)}).write_h5ad(
    here / "csr.h5ad"
)
anndata.AnnData(sp.csc_matrix(dense), obs, by_id).write_h5ad(here / "csc.h5ad")
anndata.AnnData(dense, obs, by_symbol).write_h5ad(here / "dense.h5ad")

peaks = ["chr1:100-300", "chr1:900-1100", "chrX_KI270880v1_random:5-250"]
access = sp.csr_matrix((dense[:, :3] > 0).astype(np.float32))
with h5py.File(here / "pair.h5mu", "w") as f:
    for name, data in (
        ("rna", anndata.AnnData(sp.csr_matrix(dense), obs, by_symbol)),
        ("atac", anndata.AnnData(access, obs, pd.DataFrame(index=peaks))),
    ):
        anndata.io.write_elem(f, f"mod/{name}", data)
    anndata.io.write_elem(f, "obs", obs)
    anndata.io.write_elem(f, "var", pd.DataFrame(index=symbols + peaks))

csr = sp.csr_matrix(dense)
with h5py.File(here / "legacy07.h5ad", "w") as f:  # AnnData 0.7: __categories
    x = f.create_group("X")
    x.attrs["encoding-type"], x.attrs["encoding-version"], x.attrs["shape"] = "csr_matrix", "0.1.0", [5, 6]
    for key in ("data", "indices", "indptr"):
        x[key] = getattr(csr, key)
    for frame, index in (("obs", cells), ("var", ids)):
        g = f.create_group(frame)
        g.attrs["_index"], g.attrs["encoding-type"] = "names", "dataframe"
        g["names"] = np.array(index, dtype=h5py.string_dtype())
    order = sorted(symbols)
    f["var/__categories/gene_symbols"] = np.array(order, dtype=h5py.string_dtype())
    f["var/gene_symbols"] = np.array([order.index(s) for s in symbols], dtype=np.int8)
    f["var/gene_symbols"].attrs["categories"] = f["var/__categories/gene_symbols"].ref

with h5py.File(here / "legacy06.h5ad", "w") as f:  # before: compounds and h5sparse
    x = f.create_group("X")
    x.attrs["h5sparse_format"], x.attrs["h5sparse_shape"] = "csr", [5, 6]
    for key in ("data", "indices", "indptr"):
        x[key] = getattr(csr, key)
    f["obs"] = np.array([(c.encode(), 1.0) for c in cells], dtype=[("index", "S18"), ("size", "f4")])
    f["var"] = np.array(
        [(i, s) for i, s in zip(ids, symbols)],
        dtype=[("index", h5py.string_dtype()), ("gene_symbols", h5py.string_dtype())],
    )

with h5py.File(here / "tenx_v2.h5", "w") as f:  # Cell Ranger 2
    g = f.create_group("mm10")
    counts = sp.csr_matrix(np.floor(dense).astype(np.int32))
    g["data"], g["indices"], g["indptr"] = counts.data, counts.indices.astype("i8"), counts.indptr.astype("i8")
    g["shape"] = np.array([6, 5], dtype="i4")
    g["barcodes"], g["genes"], g["gene_names"] = (np.array(v, dtype="S") for v in (cells, ids, symbols))

folder = here / "mtx"
folder.mkdir(exist_ok=True)
scipy.io.mmwrite(folder / "matrix.mtx", sp.coo_matrix(dense.T), precision=7)
(folder / "barcodes.tsv").write_text("\n".join(cells) + "\n")
(folder / "genes.tsv").write_text("".join(f"{i}\t{s}\n" for i, s in zip(ids, symbols)))
