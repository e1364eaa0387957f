# SPDX-License-Identifier: Apache-2.0
"""Writes calibration.json beside this file: scikit-learn's calibrated probabilities (CalibratedClassifierCV,
IsotonicRegression), LogisticRegression without a penalty for labels that are not smoothed away, Brier scores,
and the expected calibration error from calibration_curve. Needs numpy and scikit-learn: python make_calibration.py"""
import json
import pathlib

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

HERE = pathlib.Path(__file__).parent
BINS = 15


class GivenScores(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision is the log-odds of the score that it is handed."""

    def fit(self, x, y):
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, x):
        p = np.clip(np.asarray(x)[:, 0], 1e-12, 1 - 1e-12)
        return np.log(p) - np.log1p(-p)

    def predict(self, x):
        return (self.decision_function(x) > 0).astype(int)


def platt(scores, labels, asked):
    given = FrozenEstimator(GivenScores().fit(None, None))
    fitted = CalibratedClassifierCV(given, method="sigmoid").fit(scores[:, None], labels)
    return fitted.predict_proba(asked[:, None])[:, 1]


def isotonic(scores, labels, asked):
    return IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(scores, labels).predict(asked)


def logistic(scores, labels, asked):
    decide = GivenScores().fit(None, None).decision_function
    fitted = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10000)
    fitted.fit(decide(scores[:, None])[:, None], labels)
    return fitted.predict_proba(decide(asked[:, None])[:, None])[:, 1]


def expected_calibration_error(labels, probabilities):
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.digitize(probabilities, edges) - 1, 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    share, mean = calibration_curve(labels, probabilities, n_bins=BINS, strategy="uniform")
    return float(np.sum(np.abs(share - mean) * counts[counts > 0]) / len(labels))


def case(name, scores, labels):
    scores, labels = np.asarray(scores, float), np.asarray(labels, int)
    asked = np.concatenate([scores[:40], np.linspace(0.01, 0.99, 23)])
    return {
        "name": name, "scores": scores.tolist(), "labels": labels.tolist(), "asked": asked.tolist(),
        "platt": platt(scores, labels, asked).tolist(),
        "isotonic": isotonic(scores, labels, asked).tolist(),
        "logistic": logistic(scores, labels, asked).tolist(),
        "brier": float(brier_score_loss(labels, scores)),
        "expected_calibration_error": expected_calibration_error(labels, scores),
    }


def main():
    draw = np.random.default_rng(11)

    def scored(pairs, share, signal, sharpness):
        labels = (draw.random(pairs) < share).astype(int)
        logits = sharpness * (signal * (2 * labels - 1) + draw.normal(size=pairs))
        return 1 / (1 + np.exp(-logits)), labels

    coarse, coarse_labels = scored(120, 0.5, 0.5, 1)
    cases = [
        case("balanced and overconfident", *scored(200, 0.5, 0.5, 4)),
        case("balanced and timid", *scored(150, 0.5, 1.0, 0.2)),
        case("few positives", *scored(400, 0.1, 0.7, 2)),
        case("ties", np.round(coarse, 1), coarse_labels),
    ]
    (HERE / "calibration.json").write_text(json.dumps({"cases": cases}) + "\n")


main()
