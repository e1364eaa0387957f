# SPDX-License-Identifier: Apache-2.0
"""Writes metrics.json, beeline.json and stability.json beside this file: expected values from scikit-learn,
SciPy and exact fractions, BEELINE's by making its whole universe. Needs numpy, scipy and scikit-learn:
python make_golden.py"""
import json
import pathlib
import random
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

HERE = pathlib.Path(__file__).parent


def trapezoid(labels, scores):
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(auc(recall, precision))


def davis_goadrich(labels, scores):
    """Davis and Goadrich (2006), section 4: every true positive's point, false positives interpolated, in exact
    fractions; None for more positives than fractions can stand."""
    points, hits, misses = [(0, Fraction(0))], 0, 0
    for score in sorted(set(scores.tolist()), reverse=True):
        group = labels[scores == score]
        new_hits, new_misses = int(group.sum()), int(len(group) - group.sum())
        for i in range(1, new_hits + 1):
            points.append((hits + i, misses + Fraction(new_misses * i, new_hits)))
        hits, misses = hits + new_hits, misses + new_misses
        points.append((hits, Fraction(misses)))
    curve = [(Fraction(tp, hits), Fraction(tp) / (tp + fp)) for tp, fp in points if tp + fp > 0]
    if curve[0][0] > 0:  # the first point's precision holds from recall 0
        first = next(int(labels[scores == s].sum()) / Fraction(len(labels[scores == s])) for s in [scores.max()])
        curve.insert(0, (Fraction(0), first))
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(curve, curve[1:]))
    return float(area)


def within(labels, scores, groups):
    total, weight = 0.0, 0
    for group in np.unique(groups):
        mask = groups == group
        if len(np.unique(labels[mask])) == 2:
            total += roc_auc_score(labels[mask], scores[mask]) * mask.sum()
            weight += int(mask.sum())
    return total / weight if weight else None


def expected(labels, scores, groups):
    both = len(np.unique(labels)) == 2
    return {
        "auroc": float(roc_auc_score(labels, scores)) if both else None,
        "average_precision": float(average_precision_score(labels, scores)) if labels.any() else None,
        "auprc": trapezoid(labels, scores) if labels.any() else None,
        "davis_goadrich": davis_goadrich(labels, scores) if labels.any() and len(labels) < 1000 else None,
        "within": within(labels, scores, groups) if both else None,
    }


def case(name, scores, labels, groups):
    scores, labels, groups = np.asarray(scores, float), np.asarray(labels, int), np.asarray(groups, int)
    return {"name": name, "scores": scores.tolist(), "labels": labels.tolist(), "groups": groups.tolist(),
            "expected": expected(labels, scores, groups)}


def congruential(count):
    """The generator that the C++ test repeats: Knuth's MMIX constants."""
    state, out = 12345, np.empty(count, dtype=np.uint64)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = state
    return out


def metrics():
    draw = np.random.default_rng(7)
    n = 60
    labels = (draw.random(n) < 0.3).astype(int)
    groups = draw.integers(0, 7, n)
    cases = [
        case("distinct scores", draw.normal(size=n) + labels, labels, groups),
        case("many ties", np.round(draw.normal(size=n) + labels), labels, groups),
        case("constant scores", np.full(n, 0.25), labels, groups),
        case("one distinct positive", draw.random(n), np.eye(1, n, 17)[0], groups),
        case("positives only", draw.random(9), np.ones(9), np.zeros(9)),
        case("negatives only", draw.random(9), np.zeros(9), np.zeros(9)),
        case("perfect", [4, 3, 2, 1], [1, 1, 0, 0], [0, 0, 0, 0]),
        case("reversed", [1, 2, 3, 4], [1, 1, 0, 0], [0, 1, 0, 1]),
        case("tiny and huge scores", [1e-300, 1e300, -1e300, 5e-324, 0.0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]),
        case("best group holds negatives only", [3, 3, 2, 2, 1], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0]),
    ]
    words = congruential(1_000_000)
    scores = (words >> np.uint64(44)).astype(float)  # 20 bits: a million draws hold many ties
    labels = ((words >> np.uint64(20)) % np.uint64(1000) < 3 + (words >> np.uint64(61))).astype(int)
    groups = ((words >> np.uint64(5)) % np.uint64(97)).astype(int)
    big = expected(labels, scores, groups)
    big["positives"] = int(labels.sum())
    return {"cases": cases, "million": big}


def beeline_case(name, seed, genes, density, weights):
    draw = random.Random(seed)
    names = [f"G{i}" for i in range(genes)]
    reference = []
    for tf in names[: genes // 4]:
        for gene in names:
            if draw.random() < density:
                reference.append([tf, gene])  # self-edges may occur
    reference += reference[:5]  # repeats
    ranked = []
    for _ in range(6 * genes):
        tf, gene = draw.choice(names + ["X1", "X2"]), draw.choice(names + ["X1", "X2"])
        ranked.append([tf.lower() if draw.random() < 0.3 else tf, gene, weights(draw)])

    nodes = sorted({gene for edge in reference for gene in edge})
    truth = {(a, b) for a, b in reference if a != b}
    best = {}
    for tf, gene, weight in ranked:
        key = (tf.upper(), gene.upper())
        best[key] = max(best.get(key, 0.0), abs(weight))
    universe = [(a, b) for a in nodes for b in nodes if a != b]
    labels = np.array([pair in truth for pair in universe], int)
    scores = np.array([best.get(pair, 0.0) for pair in universe])
    ratio = len(truth) / len(universe)
    out = {"auroc": float(roc_auc_score(labels, scores)), "auprc": trapezoid(labels, scores),
           "average_precision": float(average_precision_score(labels, scores)),
           "davis_goadrich": davis_goadrich(labels, scores),
           "auprc_ratio": trapezoid(labels, scores) / ratio}
    signs = {pair: "+" if draw.random() < 0.6 else "-" for pair in sorted(truth)}
    for mode in ("tf_only", "all"):
        tfs = {a for a, _ in reference} if mode == "tf_only" else set(nodes)
        pairs = {(a, b) for a, b in universe if a in tfs}
        listed = [(w, p) for p, w in best.items() if p[0] != p[1] and (mode == "all" or p in pairs)]
        listed.sort(key=lambda item: -item[0])
        k = len(truth & pairs)
        cut = max(min(w for w, _ in listed if w > 0), listed[min(len(listed), k) - 1][0])
        kept = [p for w, p in listed if w >= cut]
        precision = sum(p in truth for p in kept) / len(kept)
        signed = {}
        for sign in "+-":
            signed_truth = {pair for pair in truth & pairs if signs[pair] == sign}
            signed_cut = max(min(w for w, _ in listed if w > 0), listed[min(len(listed), len(signed_truth)) - 1][0])
            signed_kept = [p for w, p in listed if w >= signed_cut]
            hits = sum(p in signed_truth for p in signed_kept) / len(signed_kept)
            signed[sign] = {"kept": len(signed_kept), "early_precision": hits,
                            "early_precision_ratio": hits / (len(signed_truth) / len(pairs))}
        out[mode] = {"signed": signed, "kept": len(kept), "early_precision": precision,
                     "early_precision_ratio": precision / (k / len(pairs))}
    return {"name": name, "reference": reference, "ranked": ranked, "expected": out,
            "signs": [[a, b, sign] for (a, b), sign in signs.items()]}


def stability():
    """Three lists of the same genes, Spearman's correlation over the whole universe made."""
    draw = random.Random(9)
    names = [f"G{i}" for i in range(16)]
    reference = [[a, b] for a in names[:5] for b in names if a != b and draw.random() < 0.4]
    truth = {(a, b) for a, b in reference}
    nodes = sorted({gene for edge in reference for gene in edge})
    lists = [[[draw.choice(names + ["X1"]), draw.choice(names), draw.choice([-2, -1, 0, 1, 2, 3]) / 4]
              for _ in range(size)] for size in (150, 90, 40)]
    expected = {}
    for mode in ("tf_only", "all"):
        tfs = {a for a, _ in reference} if mode == "tf_only" else set(nodes)
        universe = [(a, b) for a in nodes for b in nodes if a != b and a in tfs]
        k, scores, best = len(truth & set(universe)), [], []
        for ranked in lists:
            weights = {}
            for tf, gene, weight in ranked:
                weights[tf, gene] = max(weights.get((tf, gene), 0.0), abs(weight))
            scores.append([weights.get(pair, 0.0) for pair in universe])
            listed = sorted((w for w in scores[-1] if w > 0), reverse=True)
            cut = listed[min(k, len(listed)) - 1]
            best.append({pair for pair, w in zip(universe, scores[-1]) if w >= cut})
        expected[mode] = {
            "universe": len(universe), "best": k,
            "jaccard": [len(best[a] & best[b]) / len(best[a] | best[b]) for a, b in combinations(range(3), 2)],
            "spearman": [float(spearmanr(scores[a], scores[b])[0]) for a, b in combinations(range(3), 2)]}
    return {"reference": reference, "lists": lists, "expected": expected}


def beeline():
    return [
        beeline_case("weights with ties and signs", 1, 24, 0.3, lambda d: d.choice([-3, -2, -1, 0, 1, 2, 3]) / 4),
        beeline_case("distinct weights", 2, 20, 0.4, lambda d: d.gauss(0, 1)),
        beeline_case("more true edges than predictions", 3, 40, 0.9, lambda d: d.random()),
        beeline_case("mostly zero", 4, 24, 0.3, lambda d: d.random() if d.random() < 0.05 else 0.0),
    ]


for stem, content in (("metrics", metrics()), ("beeline", beeline()), ("stability", stability())):
    (HERE / f"{stem}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
