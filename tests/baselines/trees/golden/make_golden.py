#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Single trees of scikit-learn, for regression_tree_test.cpp: `make_golden.py > trees.json`.

All columns are tried at each node, and data are drawn until no two splits of a node are equally good, which shows
in that the order of the columns does not matter: so the trees are determined. Written are what each column takes off
the sum of squared errors, and the mean of each cell's leaf.
"""
import json

import numpy as np
import sklearn
from sklearn.tree import DecisionTreeRegressor

CELLS = 80


def column(rng, share, low, high):
    values = np.zeros(CELLS, np.float32)
    chosen = rng.choice(CELLS, int(share * CELLS), replace=False)
    values[chosen] = rng.uniform(low, high, len(chosen)).astype(np.float32)
    return values


def case(name, columns, target, depth, weighted=False):
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        x = np.stack([column(rng, *one) for one in columns], axis=1)
        y = target(x) + 0.5 * rng.normal(size=CELLS)
        weight = rng.poisson(1.0, CELLS).astype(float) if weighted else np.ones(CELLS)
        trees = [DecisionTreeRegressor(max_depth=depth, random_state=order).fit(x, y, sample_weight=weight).tree_
                 for order in range(20)]
        drop = np.array([tree.compute_feature_importances(normalize=False) for tree in trees]) * weight.sum()
        if np.ptp(drop, axis=0).max() < 1e-9:
            return {
                "name": name, "depth": depth, "x": [[float(v) for v in one] for one in x.T], "y": y.tolist(),
                "weight": [int(w) for w in weight], "drop": drop[0].tolist(),
                "mean": trees[0].predict(x)[:, 0].tolist(), "splits": int((trees[0].feature >= 0).sum()),
            }
    raise SystemExit(f"no determined tree for {name}")


def main():
    dense = [(1, -2, 2)] * 4
    sparse = [(0.1, 0.5, 2), (0.3, 0.5, 2), (0.3, -2, -0.5), (0.4, -2, 2), (0.8, -1, 3)]
    cases = [
        case("dense", dense, lambda x: x[:, 0] * 2 - np.abs(x[:, 2]), 3),
        case("sparse", sparse, lambda x: x[:, 1] - 2 * x[:, 3], 3),
        case("sparse, deep", sparse, lambda x: x[:, 2] * x[:, 4], 4),
        case("weights", sparse, lambda x: x[:, 4] - x[:, 0], 3, weighted=True),
    ]
    print(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases}))


if __name__ == "__main__":
    main()
