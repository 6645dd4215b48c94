"""How many standard errors from zero a difference must be at each look, so that all looks together err once in twenty.

Belongs here: the spending of the error over looks, and the boundary that follows. Does not: what is looked at
(``comparison``).

Notes
-----
Of the error ``ERROR`` (both sides) the share ``information ** LATE`` is spent by a look, so early looks must show
much and the last is nearly as easy as if it were the only one: with 30 looks 2.06 standard errors instead of 1.96. What
is spent depends on entries alone. The boundary follows from the joint normal distribution of the looks, whose
correlation is the root of the ratio of their information; the density of what has not crossed yet is carried from look
to look.

References
----------
Lan & DeMets 1983, *Discrete sequential boundaries for clinical trials*; Kim & DeMets 1987 for the family of powers;
Armitage, McPherson & Rowe 1969 for the integration; Jennison & Turnbull 1989, *Interim analyses: the repeated
confidence interval approach*.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ERROR = 0.05
LATE = 6.0
FARTHEST = 8.0
"""Standard errors beyond which nothing comes by chance."""
GROWTH = 1.02
"""Factor by which information grows from one look to the next at least: a finer step the grid would not resolve. A
smaller one counts as this, which errs to the safe side."""
POINTS = 201


def boundary(variance: Floats, information: Floats) -> Floats:
    """Return, for every look, how many standard errors are far enough from zero, shape (n_looks,).

    ``variance`` is the difference's at each look (standard error squared), ``information`` the share of what will be
    known, both of looks in their order; infinity where nothing new was seen since the look before.

    >>> boundary(np.array([1.0]), np.array([1.0])).round(2).tolist()
    [1.96]
    """
    spent, before = ERROR * information**LATE, 0.0
    seen = np.maximum.accumulate(1 / variance)
    bounds = np.full(len(seen), np.inf)
    points = weights = np.zeros(0)
    last = 0.0
    for number, by_now in enumerate(spent):
        if by_now <= before or (seen[number] <= last and information[number] < 1):
            continue
        now = max(seen[number], last * GROWTH)
        if last:
            step = np.sqrt(now - last)
            bounds[number] = _far_enough(points, weights, step, np.sqrt(now), (by_now - before) / 2)
        else:
            step = np.sqrt(now)
            bounds[number] = min(_quantile((by_now - before) / 2), FARTHEST)
        reach = min(bounds[number], FARTHEST) * np.sqrt(now)
        grid = np.linspace(-reach, reach, POINTS)
        density = _density((grid[:, None] - points[None, :]) / step) @ weights / step if last else _density(grid / step)
        points, weights = grid, (density if last else density / step) * _simpson(grid)
        last, before = now, by_now
    return bounds


def _far_enough(points: Floats, weights: Floats, step: float, root: float, error: float) -> float:
    """Return the distance beyond which, on one side, as much of what had not crossed lies as may be wrong."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def beyond(bound: float) -> float:
        return float(weights @ ndtr((points - bound * root) / step)) - error

    return FARTHEST if beyond(FARTHEST) >= 0 else float(brentq(beyond, 0.0, FARTHEST))


def _quantile(error: float) -> float:
    from scipy.special import ndtri

    return float(-ndtri(error))


def _density(values: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * values**2) / np.sqrt(2 * np.pi))


def _simpson(grid: Floats) -> Floats:
    weights = np.full(len(grid), (grid[1] - grid[0]) / 3)
    weights[1:-1:2] *= 4
    weights[2:-1:2] *= 2
    return weights
