#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""multigrnformer's GENIE3 and GRNBoost2 against scikit-learn with arboreto's settings (sklearn_trees.py).

Both are random, so runs of the reference with different seeds say how alike two right answers are. The program passes
when, over the targets compared,
  - Spearman's correlation of its scores with the reference's, and the overlap of the best edges, are no lower than
    between seeds of the reference, less 0.02, on average over pairs of runs;
  - with --dataset, AUROC and average precision on the network lie no further than 0.01 from the range of the
    reference's.

  parity.py --program P [--dataset D.h5 --tfs TFS --network NET] [--targets N] [--trees N] [--rounds N]
            [--seeds N] [--methods genie3,grnboost2,...] [--arguments "..."]

Without a dataset a small one is simulated, with too few edges for areas to say anything. Its few best edges overlap by
chance as well, so that there are four seeds of both then, otherwise two.
"""
import argparse
import gzip
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

import sklearn_trees

METHODS = {
    "genie3": ("genie3", [], ""),
    "extra-trees": ("genie3", ["--baseline.forest", "extra"], ""),
    "grnboost2": ("grnboost2", [], "same-cells"),
    "grnboost2-telescoping": ("grnboost2", ["--baseline.oob", "oob_telescoping"], "telescoping"),
}


def simulate(program, folder):
    subprocess.run([program, "simulate", "--out", folder / "raw", "--cells", "400", "--genes", "120", "--tfs", "20",
                    "--peaks", "400", "--seed", "3", "--log-level", "warning"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "prepare", "--rna", folder / "raw/multiome.h5", "--annotation",
                    folder / "raw/annotation.gtf.gz", "--out", folder / "data.h5", "--log-level", "warning"],
                   check=True, stdout=subprocess.DEVNULL)
    return folder / "data.h5", folder / "raw/tfs.csv", folder / "raw/network.csv"


def read_edges(path):
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = [line.strip().split(",") for line in file]
    return {(row[0].upper(), row[1].upper()) for row in rows[1:]}


def ours(options, method, folder, seed):
    name, arguments, _ = METHODS[method]
    command = [options.program, "baseline", "--method", name, "--data.dataset", options.dataset, "--data.tfs",
               options.tfs, "--data.network", options.network, "--data.genes", "all", "--data.modalities", "rna",
               "--train.seed", str(seed), "--out", folder, "--log-level", "warning", *arguments,
               *options.arguments.split()]
    if options.trees:
        command += ["--baseline.trees", str(options.trees)]
    if options.rounds:
        command += ["--baseline.rounds", str(options.rounds)]
    start = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    with open(folder / "network.tsv", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    return {(tf.upper(), target.upper()): float(score) for tf, target, score in rows}, seconds


def reference(options, expression, regulators, targets, method, seed):
    name, _, oob = METHODS[method]
    kind = "extra-trees" if method == "extra-trees" else name
    trees = options.trees if name == "genie3" else options.rounds
    x = np.stack([expression.column(gene) for gene in regulators], axis=1)
    scores, seconds = {}, 0.0
    for target in targets:
        used = [i for i, gene in enumerate(regulators) if gene != target]
        y = expression.column(target).astype(np.float64)
        start = time.perf_counter()
        found = sklearn_trees.importances(kind, np.ascontiguousarray(x[:, used]), y, seed, trees, oob)
        seconds += time.perf_counter() - start
        for i, score in zip(used, found):
            scores[expression.genes[regulators[i]].upper(), expression.genes[target].upper()] = score
    return scores, seconds


def overlap(a, b, count):
    return len(set(np.argsort(-a, kind="stable")[:count]) & set(np.argsort(-b, kind="stable")[:count])) / count


def compare(options, expression, regulators, targets, method, folder):
    references, own, seconds, own_seconds = [], [], 0.0, 0.0
    for seed in range(1, options.seeds + 1):
        scores, seconds = reference(options, expression, regulators, targets, method, seed)
        references.append(scores)
        scores, own_seconds = ours(options, method, folder / f"{method}-{seed}", seed)
        own.append(scores)
    pairs = sorted(references[0])
    edges = read_edges(options.network)
    label = np.array([pair in edges for pair in pairs])
    of_reference, of_own = ([np.array([scores.get(pair, 0.0) for pair in pairs]) for scores in runs]
                            for runs in (references, own))
    count = max(10, len(pairs) // 20)

    def alike(measure):
        """Between seeds of the reference, and between the program's and the reference's."""
        return ([measure(a, b) for a, b in itertools.combinations(of_reference, 2)],
                [measure(a, b) for a, b in itertools.product(of_reference, of_own)])

    def areas(measure):
        return [measure(label, scores) for scores in of_reference], [measure(label, scores) for scores in of_own]

    figures = {
        "method": method, "pairs": len(pairs), "edges": int(label.sum()), "targets": len(targets),
        "reference_s": round(seconds, 3), "own_s_all_targets": round(own_seconds, 3),
        "spearman": alike(lambda a, b: spearmanr(a, b).statistic),
        "overlap": alike(lambda a, b: overlap(a, b, count)),
        "auroc": areas(roc_auc_score),
        "average_precision": areas(average_precision_score),
        "sum": [[float(scores.sum()) for scores in runs] for runs in (of_reference, of_own)],
    }
    failures = []
    for measure in ("spearman", "overlap"):
        within, with_own = (float(np.mean(values)) for values in figures[measure])
        if with_own < within - 0.02:
            failures.append(f"{measure}: {with_own:.4f} with the reference, {within:.4f} within it")
    for measure in () if options.simulated else ("auroc", "average_precision"):
        by_reference, by_own = figures[measure]
        if not all(min(by_reference) - 0.01 <= figure <= max(by_reference) + 0.01 for figure in by_own):
            failures.append(f"{measure}: {by_own}, the reference {by_reference}")
    figures["passed"] = not failures
    print(json.dumps(figures))
    for failure in failures:
        print(f"{method}: {failure}", file=sys.stderr)
    return not failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--dataset", default="")
    parser.add_argument("--tfs", default="")
    parser.add_argument("--network", default="")
    parser.add_argument("--targets", type=int, default=0)
    parser.add_argument("--trees", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--methods", default="genie3,grnboost2")
    parser.add_argument("--arguments", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        options.simulated = not options.dataset
        options.seeds = options.seeds or (4 if options.simulated else 2)
        if options.simulated:
            options.dataset, options.tfs, options.network = simulate(options.program, folder)
            options.targets = options.targets or 20
            options.trees = options.trees or 100
            options.rounds = options.rounds or 250
        expression = sklearn_trees.Expression(options.dataset)
        with open(options.tfs, encoding="utf-8") as file:
            names = sorted({line.split(",")[0].strip().upper() for line in file})
        regulators = [expression.index[tf] for tf in names if tf in expression.index]
        # Targets that the network names, evenly spaced.
        known = {gene for _, gene in read_edges(options.network)}
        targets = [i for i, gene in enumerate(expression.genes) if gene.upper() in known]
        if options.targets:
            targets = [targets[i * len(targets) // options.targets] for i in range(options.targets)]
        passed = [compare(options, expression, regulators, targets, method, folder)
                  for method in options.methods.split(",")]
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
