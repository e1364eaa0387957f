# SPDX-License-Identifier: Apache-2.0
"""Writes components.json beside this file: sparse rows, and the first right singular vectors of the rows after
standardising, by numpy.linalg.svd. Needs numpy: python make_components.py"""
import json
import pathlib

import numpy as np

CELLS, GENES, WANTED = 60, 24, 5


def main():
    draw = np.random.default_rng(5)
    factors = draw.normal(size=(GENES, 6)) * np.array([3, 2.2, 1.6, 1.2, 0.9, 0.5])
    dense = factors @ draw.normal(size=(6, CELLS)) + 0.3 * draw.normal(size=(GENES, CELLS))
    rows, matrix = [], []
    for values in dense:
        stored = draw.random(CELLS) < 0.6
        background = round(float(draw.normal()), 3)
        values = np.where(stored, np.round(values, 3), background).astype(np.float32).astype(float)
        values[~stored] = background
        rows.append({"cell": np.flatnonzero(stored).tolist(), "value": values[stored].tolist(),
                     "background": background})
        matrix.append((values - values.mean()) / values.std())
    _, _, right = np.linalg.svd(np.array(matrix), full_matrices=False)
    right = right[:WANTED]
    largest = right[np.arange(WANTED), np.abs(right).argmax(axis=1)]
    right = right * np.sign(largest)[:, None]
    text = json.dumps({"cells": CELLS, "rows": rows, "components": right.tolist()})
    (pathlib.Path(__file__).parent / "components.json").write_text(text + "\n")


main()
