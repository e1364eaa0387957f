#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the polynomial coefficients of simd_math.hpp and their largest relative error.

Weighted least squares, the weights iterated towards the minimax solution (Lawson's method).
Needs numpy and scipy.
"""
import numpy as np
from scipy.special import erfcx


def lawson(values, basis, weight, rounds):
    """The coefficients whose largest weighted residual over the sample points is least."""
    density = np.ones_like(values)
    best = (np.inf, None)
    for _ in range(rounds):
        scale = np.sqrt(density) * weight
        coefficients, *_ = np.linalg.lstsq(basis * scale[:, None], values * scale, rcond=None)
        error = np.abs((basis @ coefficients - values) * weight)
        if error.max() < best[0]:
            best = (error.max(), coefficients)
        density = density * error
        density /= density.sum()
    return best


def exponential():
    """exp(r) = 1 + r + r^2 q(r), |r| <= ln(2)/2; the error is relative to exp(r)."""
    half = np.log(2) / 2 * 1.002
    r = half * np.cos(np.linspace(0, np.pi, 2000))
    q = (np.expm1(r) - r) / r**2
    return lawson(q, np.stack([r**i for i in range(5)], 1), r**2 / np.exp(r), 400)


def normal_tail():
    """Phi(-t) = exp(-t^2/2) p(u), u = 1/(1 + t/4), 0 <= t <= 13.3."""
    t = np.unique(np.concatenate([13.3 * 0.5 * (1 - np.cos(np.linspace(0, np.pi, 3001))), np.linspace(0, 2, 800)]))
    tail = 0.5 * erfcx(t / np.sqrt(2))
    basis = np.polynomial.chebyshev.chebvander(2 / (1 + 0.25 * t) - 1, 9)
    error, coefficients = lawson(tail, basis, 1 / tail, 200)
    argument = np.polynomial.Chebyshev(coefficients)
    powers = argument(np.polynomial.Polynomial([-1.0, 2.0])).coef
    return error, powers


if __name__ == "__main__":
    for name, (error, coefficients) in (("exp", exponential()), ("Phi", normal_tail())):
        print(name, "relative error %.2g" % error)
        for value in coefficients:
            print("  %.9gf," % np.float32(value))
