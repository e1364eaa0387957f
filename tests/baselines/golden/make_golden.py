# SPDX-License-Identifier: Apache-2.0
"""Writes boosting.json and methods.json beside this file: what scikit-learn and SciPy say of the same data.
Needs numpy, scipy and scikit-learn: python make_golden.py"""
import json
import pathlib

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier

HERE = pathlib.Path(__file__).parent


def classifier(rounds):
    return HistGradientBoostingClassifier(max_iter=rounds, early_stopping=False)


def boosting_case(name, seed, samples, columns, digits, rounds):
    draw = np.random.default_rng(seed)
    features = np.round(draw.normal(size=(samples, columns)), digits)
    signal = features[:, 0] * features[:, 1] + np.abs(features[:, -1]) - 0.5
    labels = (signal + draw.normal(scale=0.7, size=samples) > 0).astype(int)
    unseen = np.round(draw.normal(size=(100, columns)), digits)
    model = classifier(rounds).fit(features, labels)
    return {"name": name, "columns": columns, "rounds": rounds, "features": features.ravel().tolist(),
            "labels": labels.tolist(), "unseen": unseen.ravel().tolist(),
            "log_odds": model.decision_function(np.vstack([features, unseen])).tolist()}


def sparse_layer(draw, genes, cells, share, background):
    """Values in steps of 1/4, so that ranks are tied, also with the background."""
    stored = draw.random((genes, cells)) < share
    stored[2] = False  # a gene that no cell expresses
    values = np.round(draw.normal(size=(genes, cells)) * 4) / 4
    values[:6] += values[6:12] * 0.75  # something to correlate
    return stored, np.where(stored, values, background)


def loadings(matrix, components):
    left, singular, _ = np.linalg.svd(matrix - matrix.mean(axis=1, keepdims=True), full_matrices=False)
    scaled = left[:, :components] * singular[:components]
    largest = scaled[np.abs(scaled).argmax(axis=0), np.arange(components)]
    return scaled * np.sign(largest)


def methods():
    """Three regulators and all genes of a small dataset, every method's score of every pair."""
    genes, cells, components, rounds = 40, 60, 3, 20
    draw = np.random.default_rng(5)
    stored, values = sparse_layer(draw, genes, cells, 0.5, -0.5)
    counts = np.where(stored, draw.integers(1, 6, (genes, cells)), 0)
    rp_stored, rp_values = sparse_layer(draw, genes, cells, 0.7, -0.25)
    regulators = list(range(12))
    pairs = [(tf, gene) for tf in regulators for gene in range(genes) if tf != gene]
    order = draw.permutation(len(pairs))
    labelled = [pairs[i] for i in order[:240]]
    labels = [int((tf * 7 + gene * 3) % 11 < 4) for tf, gene in labelled]

    mean = counts.mean(axis=1)
    marginals = np.column_stack([mean, (counts**2).mean(axis=1) - mean**2, (counts > 0).mean(axis=1)])
    embeddings = np.hstack([loadings(values, components), loadings(rp_values, components)])

    def learned(features):
        rows = np.array([np.concatenate([features[tf], features[gene]]) for tf, gene in pairs])
        seen = np.array([np.concatenate([features[tf], features[gene]]) for tf, gene in labelled])
        return classifier(rounds).fit(seen, labels).predict_proba(rows)[:, 1].tolist()

    def paths():
        edges = np.zeros((genes, genes))
        for (tf, gene), label in zip(labelled, labels):
            edges[tf, gene] = label
        scale = np.sqrt(np.maximum(np.outer(edges.sum(axis=1), edges.sum(axis=0)), 1))
        weighted = edges / scale
        three = weighted @ weighted.T @ weighted
        return [float(three[tf, gene]) for tf, gene in pairs]

    def correlated(correlation):
        with np.errstate(all="ignore"):
            found = [correlation(values[tf], values[gene])[0] if values[tf].std() > 0 and values[gene].std() > 0
                     else 0.0 for tf, gene in pairs]
        return [float(value) for value in found]

    def layer(mask, numbers):
        return [{"cell": np.flatnonzero(mask[g]).tolist(), "value": numbers[g][mask[g]].tolist()}
                for g in range(genes)]

    rna = layer(stored, values)
    for gene, row in enumerate(rna):
        row["count"] = counts[gene][stored[gene]].tolist()
    return {"genes": genes, "cells": cells, "components": components, "rounds": rounds,
            "regulators": regulators, "rna": rna, "rna_background": -0.5,
            "rp": layer(rp_stored, rp_values), "rp_background": -0.25,
            "pairs": pairs, "labelled": [[tf, gene, label] for (tf, gene), label in zip(labelled, labels)],
            "weights": {"pearson": correlated(stats.pearsonr), "spearman": correlated(stats.spearmanr),
                        "coexpression": [int(((counts[tf] > 0) & (counts[gene] > 0)).sum()) for tf, gene in pairs],
                        "marginals": learned(marginals), "embeddings": learned(embeddings),
                        "neighbours": paths()}}


def boosting():
    return [
        boosting_case("a bin for every value", 1, 300, 4, 1, 30),
        # A prime: where i n / 255 is a whole number, numpy's percentiles depend on how 100 i / 255 was rounded.
        boosting_case("more values than bins", 2, 907, 3, 4, 20),
        boosting_case("too few samples for a split", 3, 39, 2, 2, 3),
    ]


for stem, content in (("boosting", boosting()), ("methods", methods())):
    (HERE / f"{stem}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
