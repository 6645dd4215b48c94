"""Feature transforms and their inverses, by the names that features declare.

Belongs here: elementwise, parameter-free functions that keep NaN as NaN and never overflow for finite input.
Does not: anything learnt from data (``scaling``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHRINK = 0.05
"""Pull of ``logit_shrunk`` towards one half. Assumption: 0 and 1 of few orders are not infinitely far away;
with 0.05 the whole range [0, 1] spans ±3.04 and one order in twenty moves 0 by ln 2."""

_LARGEST_LOG = 700.0


@dataclass(frozen=True)
class Transform:
    """A monotone function of one feature and its inverse.

    Parameters
    ----------
    forward, inverse : callable
        Elementwise on float64 arrays of any shape; NaN stays NaN.
    """

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]


def _identity(x: Array) -> Array:
    return x


def _log1p(x: Array) -> Array:
    return np.log1p(np.maximum(x, 0.0))


def _expm1(y: Array) -> Array:
    return np.expm1(np.minimum(y, _LARGEST_LOG))


def _signed_log1p(x: Array) -> Array:
    return np.copysign(np.log1p(np.abs(x)), x)


def _signed_expm1(y: Array) -> Array:
    return np.copysign(np.expm1(np.minimum(np.abs(y), _LARGEST_LOG)), y)


def _logit_shrunk(x: Array) -> Array:
    share = np.clip(x, 0.0, 1.0)
    return np.log((share + SHRINK) / (1.0 - share + SHRINK))


def _expit_shrunk(y: Array) -> Array:
    odds = np.exp(-np.clip(y, -_LARGEST_LOG, _LARGEST_LOG))
    return np.clip((1.0 + 2.0 * SHRINK) / (1.0 + odds) - SHRINK, 0.0, 1.0)


TRANSFORMS: dict[str, Transform] = {
    "identity": Transform(_identity, _identity),
    "log1p": Transform(_log1p, _expm1),
    "signed_log1p": Transform(_signed_log1p, _signed_expm1),
    "logit_shrunk": Transform(_logit_shrunk, _expit_shrunk),
}
"""Transforms by name. ``log1p`` reads a negative value as 0, ``logit_shrunk`` clips to [0, 1]: such values
are outside the range the feature declares."""


def apply_transforms(values: Array, names: list[str], *, inverse: bool = False) -> Array:
    """Transform each column by the transform named for it.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        Feature values, NaN where undefined. Not modified.
    names : list of str of length d
        A key of :data:`TRANSFORMS` per column.
    inverse : bool
        Undo instead of apply.

    Returns
    -------
    ndarray of shape (n, d)
        Transformed values, float64, NaN exactly where ``values`` is NaN.

    Raises
    ------
    ValueError
        If a name is not a known transform.

    Examples
    --------
    >>> apply_transforms(np.array([[0.0, -3.0], [np.nan, 3.0]]), ["log1p", "signed_log1p"]).round(3)
    array([[ 0.   , -1.386],
           [  nan,  1.386]])
    """
    out = np.array(values, dtype=np.float64)
    for name in dict.fromkeys(names):
        if name not in TRANSFORMS:
            raise ValueError(f"unknown transform {name!r}; known: {', '.join(TRANSFORMS)}")
        if name == "identity":
            continue
        columns = [i for i, other in enumerate(names) if other == name]
        function = TRANSFORMS[name].inverse if inverse else TRANSFORMS[name].forward
        out[:, columns] = function(out[:, columns])
    return out
