# SPDX-License-Identifier: Apache-2.0
"""The same statistics by SciPy, for statistics_test.cpp: a line of differences comes in, a line of numbers goes out.

`signed-rank d1 d2 ...`  -> plus, minus, exact p (all signs gone through, or the normal distribution beyond 50)
`resampled ratio d1 ...` -> low, high, p of the corrected resampled t, written out from its definition
"""

import sys

import numpy as np
from scipy import stats


def signed_rank(values):
    others = values[values != 0]
    ranks = stats.rankdata(np.abs(others))
    if len(others) > 50:
        p = stats.wilcoxon(others, method="asymptotic", correction=False).pvalue
    elif len(others) <= 12 or len(set(np.abs(others))) < len(others):
        # SciPy's own exact table knows no ties; its permutation test does, and goes through all signs.
        method = stats.PermutationMethod(n_resamples=2**14)
        assert len(others) <= 12, "too many to go through"
        p = stats.wilcoxon(others, method=method).pvalue
    else:
        p = stats.wilcoxon(others, method="exact").pvalue
    return ranks[others > 0].sum(), ranks[others < 0].sum(), p


def resampled(ratio, values):
    runs = len(values)
    error = np.sqrt((1 / runs + ratio) * values.var(ddof=1))
    low, high = stats.t.interval(0.95, runs - 1, loc=values.mean(), scale=error)
    return low, high, 2 * stats.t.sf(abs(values.mean()) / error, runs - 1)


for line in sys.stdin:
    what, *numbers = line.split()
    numbers = np.array([float(number) for number in numbers])
    answer = signed_rank(numbers) if what == "signed-rank" else resampled(numbers[0], numbers[1:])
    print(*(repr(float(number)) for number in answer))
