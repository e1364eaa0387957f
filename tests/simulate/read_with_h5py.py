# SPDX-License-Identifier: Apache-2.0
"""Reads a simulated dataset with h5py and scipy alone: read_with_h5py.py FOLDER RNA_ENTRIES ATAC_ENTRIES."""
import gzip
import json
import sys

import h5py
import numpy as np
import scipy.sparse

folder, rna_entries, atac_entries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with h5py.File(f"{folder}/multiome.h5") as file:
    matrix = file["matrix"]
    shape = tuple(matrix["shape"][:])
    counts = scipy.sparse.csc_matrix((matrix["data"][:], matrix["indices"][:], matrix["indptr"][:]), shape=shape)
    types = matrix["features/feature_type"][:].astype(str)
    names = matrix["features/name"][:].astype(str)
    barcodes = matrix["barcodes"][:].astype(str)
    assert np.issubdtype(matrix["data"].dtype, np.integer)
assert counts.has_canonical_format or counts.has_sorted_indices
assert counts.data.min() > 0
assert set(types) == {"Gene Expression", "Peaks"}
assert counts[types == "Gene Expression"].nnz == rna_entries
assert counts[types == "Peaks"].nnz == atac_entries
assert len(barcodes) == shape[1] and barcodes[0].endswith("-1")
truth = json.load(open(f"{folder}/truth.json"))
edges = truth["edges"]
assert set(edges["tf"]) | set(edges["gene"]) <= set(names)
assert {peak for peaks in edges["peaks"] for peak in peaks} <= set(names)
with gzip.open(f"{folder}/annotation.gtf.gz", "rt") as annotation:
    genes = {line.split('gene_name "')[1].split('"')[0] for line in annotation if line.split("\t")[2] == "gene"}
assert genes == set(names[types == "Gene Expression"])
