#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the polynomial coefficients of simd_math.hpp and gelu.hpp, and their largest error.

Weighted least squares, the weights iterated towards the minimax solution (Lawson's method).
Needs numpy and scipy.
"""
import numpy as np
from scipy.special import erf


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


def odd_function(function, limit, terms, points=1500, rounds=100):
    """function(x) = x p(y), y = 2 x^2 / limit^2 - 1, |x| <= limit; the error is absolute, of x p(y)."""
    x = limit * np.cos(np.linspace(0, np.pi / 2, points))[:-1]
    basis = np.polynomial.chebyshev.chebvander(2 * (x / limit) ** 2 - 1, terms - 1)
    error, coefficients = lawson(function(x) / x, basis, x, rounds)
    return error, np.polynomial.chebyshev.cheb2poly(coefficients)


def normal_distribution():
    """Phi(x) - 1/2 on |x| <= 5.2."""
    return odd_function(distribution_less_half, 5.2, 14, points=3000, rounds=300)


def within(terms):
    """Up to where GELU' - 1/2 has so many terms, and Phi - 1/2 one less, to 6e-8; rounded down."""
    limit = 1.0
    while odd_function(gelu_slope_less_half, limit + 0.05, terms)[0] < 6e-8 and (
            odd_function(distribution_less_half, limit + 0.05, terms - 1)[0] < 6e-8):
        limit += 0.05
    return round(limit, 2)


def pieces(function, degree):
    """function on [0, 5.8] as 16 polynomials in u = 15.5 x / 5.8 - i about the nearest whole number i: one row
    of coefficients for each power of u, highest first; the error is absolute."""
    scale = 15.5 / 5.8
    rows, worst = [], 0.0
    for i in range(16):
        u = 0.5 * np.cos(np.linspace(0, np.pi, 400))
        if i == 0:
            u = 0.5 * (0.5 + u)
        x = (i + u) / scale
        error, coefficients = lawson(function(x), np.stack([u**n for n in range(degree + 1)], 1), np.ones_like(x), 200)
        worst = max(worst, error)
        rows.append(coefficients[::-1])
    return worst, np.array(rows).T


def distribution_less_half(x):
    return 0.5 * erf(x / np.sqrt(2))


def gelu_slope_less_half(x):
    return distribution_less_half(x) + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


if __name__ == "__main__":
    for name, (error, coefficients) in (("exp", exponential()), ("Phi", normal_distribution())):
        print(name, "relative error %.2g" % error)
        for value in coefficients:
            print("  %.9gf," % np.float32(value))
    for name, (error, rows) in (("Phi - 1/2", pieces(distribution_less_half, 4)),
                                ("GELU' - 1/2", pieces(gelu_slope_less_half, 5))):
        print(name, "in pieces, error %.2g" % error)
        for row in rows:
            print("  {" + ", ".join("%.9gf" % np.float32(value) for value in row) + "},")
    for terms in range(6, 14):
        limit = within(terms)
        for name, function, count in (("Phi - 1/2", distribution_less_half, terms - 1),
                                      ("GELU' - 1/2", gelu_slope_less_half, terms)):
            error, coefficients = odd_function(function, limit, count)
            print("%s on |x| <= %g, error %.2g" % (name, limit, error))
            print("  {" + ", ".join("%.9gf" % np.float32(value) for value in coefficients[::-1]) + "},")
