#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GENIE3 and GRNBoost2 with scikit-learn and arboreto's settings: what multigrnformer's own trees are held against.

Reads a dataset file of multigrnformer; writes TF, target, importance, best first, as arboreto does.

  sklearn_trees.py DATASET --tfs FILE --method {genie3,grnboost2} [--targets NAME,... | --genes FILE] [--seed N]
                   [--trees N] [--oob {same-cells,telescoping}] [--out FILE]

grnboost2 --oob same-cells stops as scikit-learn did when GRNBoost2 was published: the improvement of a round is the
squared error before its tree less that after it, on the cells that the round holds out.
"""
import argparse
import sys
import time

import h5py
import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor

WINDOW = 25


class Expression:
    """Columns of a dataset file's RNA layer, dense."""

    def __init__(self, path):
        with h5py.File(path) as file:
            self.genes = [name.decode() for name in file["genes"][:]]
            self.cells = file["barcodes"].shape[0]
            self.offsets = file["rna/offsets"][:]
            self.cell = file["rna/cell"][:]
            self.value = file["rna/value"][:]
            self.background = file["rna/background"][:]
        self.index = {name.upper(): i for i, name in enumerate(self.genes)}

    def column(self, gene):
        values = np.full(self.cells, self.background[gene], np.float32)
        first, last = self.offsets[gene], self.offsets[gene + 1]
        values[self.cell[first:last]] = self.value[first:last]
        return values


class SameCells:
    """arboreto's early stopping, with the improvement measured on the cells that the round itself holds out."""

    def __init__(self, y):
        self.before = np.full(len(y), y.mean())
        self.improvement = []

    def __call__(self, stage, _regressor, scope):
        out = ~scope["sample_mask"]
        y = np.asarray(scope["y"]).ravel()
        after = scope["raw_predictions"].ravel()
        self.improvement.append(np.mean((y[out] - self.before[out]) ** 2) - np.mean((y[out] - after[out]) ** 2))
        self.before = after.copy()
        return stage >= WINDOW - 1 and np.mean(self.improvement[-WINDOW:]) < 0


def telescoping(stage, regressor, _scope):
    recent = regressor.oob_improvement_[stage - WINDOW + 1:stage + 1]
    return stage >= WINDOW - 1 and np.mean(recent) < 0


def importances(method, x, y, seed, trees, oob):
    if method == "grnboost2":
        model = GradientBoostingRegressor(learning_rate=0.01, n_estimators=trees or 5000, max_features=0.1,
                                          subsample=0.9, random_state=seed)
        model.fit(x, y, monitor=SameCells(y) if oob == "same-cells" else telescoping)
        return model.feature_importances_ * len(model.estimators_)
    kind = RandomForestRegressor if method == "genie3" else ExtraTreesRegressor
    model = kind(n_estimators=trees or 1000, max_features="sqrt", random_state=seed, n_jobs=1)
    return model.fit(x, y).feature_importances_


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("--tfs", required=True)
    parser.add_argument("--method", choices=["genie3", "extra-trees", "grnboost2"], required=True)
    parser.add_argument("--targets", default="")
    parser.add_argument("--genes", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trees", type=int, default=0)
    parser.add_argument("--oob", choices=["same-cells", "telescoping"], default="same-cells")
    parser.add_argument("--out", default="")
    options = parser.parse_args()

    expression = Expression(options.dataset)
    with open(options.tfs, encoding="utf-8") as file:
        names = sorted({line.split(",")[0].strip().upper() for line in file})
    regulators = [expression.index[name] for name in names if name in expression.index]
    wanted = options.targets.split(",") if options.targets else []
    if options.genes:
        with open(options.genes, encoding="utf-8") as file:
            wanted = [line.strip() for line in file if line.strip()]
    targets = [expression.index[name.upper()] for name in wanted] or range(len(expression.genes))
    x = np.stack([expression.column(gene) for gene in regulators], axis=1)
    rows, seconds = [], 0.0
    for target in targets:
        used = [i for i, gene in enumerate(regulators) if gene != target]
        y = expression.column(target).astype(np.float64)
        columns = np.ascontiguousarray(x[:, used])
        start = time.perf_counter()
        scores = importances(options.method, columns, y, options.seed, options.trees, options.oob)
        seconds += time.perf_counter() - start
        rows += [(expression.genes[regulators[i]], expression.genes[target], score)
                 for i, score in zip(used, scores) if score > 0]
    rows.sort(key=lambda row: -row[2])
    print(f"{seconds:.3f} s in fit for {len(targets)} targets", file=sys.stderr)
    with open(options.out, "w", encoding="utf-8") if options.out else sys.stdout as file:
        file.write("TF\ttarget\timportance\n")
        file.writelines(f"{tf}\t{target}\t{score:.17g}\n" for tf, target, score in rows)


if __name__ == "__main__":
    main()
