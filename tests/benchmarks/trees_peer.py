#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of GENIE3 and GRNBoost2 on one core: scikit-learn with arboreto's settings, and multigrnformer, by turns.

scikit-learn fits every so-many-th of the program's targets, timed inside fit alone; the program does all targets with one thread, timed
as a whole, start and files included. Compared is the time a tree, since both decide themselves how many GRNBoost2
needs. Bind it to a core: `taskset -c 0 trees_peer.py ...`.

  trees_peer.py --program P --dataset D.h5 --tfs TFS --network NET [--methods genie3,grnboost2] [--targets 20]
                [--trees 100] [--rounds 3]

--trees: of GENIE3, for both; a tree takes as long whether it is one of 100 or of 1000.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "baselines" / "trees"))
import sklearn_trees  # noqa: E402


def peer(options, method, x, targets):
    """Seconds a tree, and trees."""
    trees, seconds = 0, 0.0
    for columns, y in targets:
        chosen = np.ascontiguousarray(x[:, columns])
        if method == "grnboost2":
            model = GradientBoostingRegressor(learning_rate=0.01, n_estimators=5000, max_features=0.1, subsample=0.9,
                                              random_state=1)
            monitor = {"monitor": sklearn_trees.telescoping}
        else:
            model = RandomForestRegressor(n_estimators=options.trees, max_features="sqrt", random_state=1, n_jobs=1)
            monitor = {}
        start = time.perf_counter()
        model.fit(chosen, y, **monitor)
        seconds += time.perf_counter() - start
        trees += len(model.estimators_)
    return seconds / trees, trees


def own(options, method, folder):
    start = time.perf_counter()
    subprocess.run([options.program, "baseline", "--method", method, "--data.dataset", options.dataset, "--data.tfs",
                    options.tfs, "--data.network", options.network, "--data.modalities", "rna", "--baseline.trees",
                    str(options.trees), "--log-level", "warning", "--out", folder], check=True,
                   stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    trees = json.loads((folder / "result.json").read_text())["trees"]
    return seconds / trees, trees


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "dataset", "tfs", "network"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--methods", default="genie3,grnboost2")
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    expression = sklearn_trees.Expression(options.dataset)
    with open(options.tfs, encoding="utf-8") as file:
        names = sorted({line.split(",")[0].strip().upper() for line in file})
    regulators = [expression.index[name] for name in names if name in expression.index]
    x = np.stack([expression.column(gene) for gene in regulators], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        own(options, options.methods.split(",")[0], run)
        with open(run / "network.tsv", encoding="utf-8") as file:
            names = sorted({line.split("\t")[1] for line in list(file)[1:]})
    targets = []
    for i in range(options.targets):
        target = expression.index[names[i * len(names) // options.targets].upper()]
        columns = [place for place, gene in enumerate(regulators) if gene != target]
        targets.append((columns, expression.column(target).astype(np.float64)))
    for method in options.methods.split(","):
        figures = []
        for turn in range(options.rounds):
            theirs, their_trees = peer(options, method, x, targets)
            with tempfile.TemporaryDirectory() as folder:
                ours, our_trees = own(options, method, pathlib.Path(folder) / "run")
            figures.append((theirs, ours))
            print(json.dumps({"method": method, "round": turn + 1, "scikit_learn_us_a_tree": theirs * 1e6,
                              "own_us_a_tree": ours * 1e6, "scikit_learn_trees": their_trees, "own_trees": our_trees,
                              "ratio": theirs / ours}), flush=True)
        print(f"{method}: {statistics.median(a / b for a, b in figures):.1f} times as fast "
              f"({min(a for a, _ in figures) / min(b for _, b in figures):.1f} by the least times)", file=sys.stderr)


if __name__ == "__main__":
    main()
