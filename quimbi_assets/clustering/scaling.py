"""What makes distances comparable: feature transforms, winsor limits, mean and spread.

Belongs here: the transforms that features declare by name, elementwise and parameter-free, NaN staying NaN and nothing
finite overflowing; fitting limits, means and spreads, and applying them. Fitted once, part of the saved model, applied
at scoring exactly as at fitting.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHRINK = 0.05
"""Pull of ``logit_shrunk`` towards one half. Assumption: 0 and 1 of few orders are not infinitely far away;
with 0.05 the whole range [0, 1] spans ±3.04 and one order in twenty moves 0 by ln 2."""

WINSOR = (0.01, 0.99)
"""Quantiles beyond which a value counts as the quantile itself."""
LARGEST = 1e100
"""Magnitude to which raw values are cut before anything else, so that no later square overflows."""
CONSTANT = 1e-9
"""Spread, relative to the largest value, below which a feature tells nobody apart."""
_LARGEST_LOG = 700.0

State = tuple[int, float, float]
"""A structural state: column, the raw value that is the state, its scaled score."""


def _logit_shrunk(x: Array) -> Array:
    share = np.clip(x, 0.0, 1.0)
    return np.log((share + SHRINK) / (1.0 - share + SHRINK))


def _expit_shrunk(y: Array) -> Array:
    odds = np.exp(-np.clip(y, -_LARGEST_LOG, _LARGEST_LOG))
    return np.clip((1.0 + 2.0 * SHRINK) / (1.0 + odds) - SHRINK, 0.0, 1.0)


TRANSFORMS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (np.positive, np.positive),
    "log1p": (lambda x: np.log1p(np.maximum(x, 0.0)), lambda y: np.expm1(np.minimum(y, _LARGEST_LOG))),
    "signed_log1p": (
        lambda x: np.copysign(np.log1p(np.abs(x)), x),
        lambda y: np.copysign(np.expm1(np.minimum(np.abs(y), _LARGEST_LOG)), y),
    ),
    "logit_shrunk": (_logit_shrunk, _expit_shrunk),
}
"""Monotone functions and their inverses, elementwise; NaN stays NaN. ``log1p`` reads a negative value as 0,
``logit_shrunk`` clips to [0, 1]: such values are outside the range the feature declares."""


def apply_transforms(values: Array, names: list[str], *, inverse: bool = False) -> Array:
    """Transform each column of ``values`` (n, d) by the transform named for it; NaN where undefined, and there alone.

    >>> apply_transforms(np.array([[0.0, -3.0], [np.nan, 3.0]]), ["log1p", "signed_log1p"]).round(3)
    array([[ 0.   , -1.386],
           [  nan,  1.386]])
    """
    out = np.array(values, dtype=np.float64)
    for name in dict.fromkeys(names):
        if name not in TRANSFORMS:
            raise ValueError(f"unknown transform {name!r}; known: {', '.join(TRANSFORMS)}")
        columns = [i for i, other in enumerate(names) if other == name]
        function = TRANSFORMS[name][1 if inverse else 0]
        out[:, columns] = function(out[:, columns])
    return out


@dataclass(frozen=True)
class Scaler:
    """Fitted transform of d features into comparable units.

    In transformed units, each of shape (d,): winsor limits ``low`` and ``high``, ``mean`` and standard deviation
    ``scale`` (above 0) after winsorising. ``states`` are raw values with a score of their own; of several that a
    customer has, the first counts.
    """

    transforms: list[str]
    low: Array
    high: Array
    mean: Array
    scale: Array
    states: list[State]

    def scale_values(self, values: Array) -> Array:
        """Bring values (n, d) in original units, NaN or infinite where undefined, to scaled units.

        Standard scores, finite; 0, the population mean, where a value is undefined.
        """
        scaled = apply_transforms(clean(values), self.transforms)
        np.clip(scaled, self.low, self.high, out=scaled)
        scaled -= self.mean
        scaled /= self.scale
        scaled[np.isnan(scaled)] = 0.0
        stateless = np.ones(len(scaled), dtype=np.bool_)
        for column, equals, score in self.states:
            inside = stateless & (values[:, column] == equals)
            scaled[inside, column] = score
            stateless &= ~inside
        return scaled

    def original_values(self, scaled: Array) -> Array:
        """Bring standard scores (n, d) of customers in no state back to original units."""
        return apply_transforms(scaled * self.scale + self.mean, self.transforms, inverse=True)

    def take(self, columns: NDArray[np.bool_]) -> "Scaler":
        """Return the scaler of some of the features; ``columns`` is a mask of shape (d,)."""
        names = [name for name, used in zip(self.transforms, columns, strict=True) if used]
        place = np.cumsum(columns) - 1
        states = [(int(place[i]), equals, score) for i, equals, score in self.states if columns[i]]
        return Scaler(names, self.low[columns], self.high[columns], self.mean[columns], self.scale[columns], states)


def clean(values: Array) -> Array:
    """Return a float64 copy in which undefined values are NaN and the rest is at most :data:`LARGEST`.

    An infinite value is no measurement (it comes from a division by zero), so it is undefined, not extreme.
    """
    out = np.array(values, dtype=np.float64)
    out[~np.isfinite(out)] = np.nan
    return np.clip(out, -LARGEST, LARGEST, out=out)


def fit_scaler(values: Array, transforms: list[str]) -> tuple[Scaler, NDArray[np.bool_]]:
    """Fit limits, means and spreads to raw values (n, d) of the customers to divide: those in no structural state.

    Returns the scaler of all d features, without states, its ``scale`` 1 where nothing varies; and which vary. Limits,
    mean and spread come from the customers who are *divided*. Were they taken over the population, a state shared by 80
    % (``refund_rate`` = 0) would place the 99th percentile at the others' 95th, at 99 % it would cut the others to one
    value, and the spread would measure how many are in the state rather than how the others differ. This way one unit
    of distance always is one standard deviation among those who need dividing.
    """
    transformed = apply_transforms(clean(values), transforms)
    figures = [_column_figures(column) for column in transformed.T]
    low, high, mean, scale = np.array(figures, dtype=np.float64).reshape(-1, 4).T
    varies = scale > 0
    return Scaler(transforms, low, high, mean, np.where(varies, scale, 1.0), []), varies


def _column_figures(column: Array) -> tuple[float, float, float, float]:
    """Return low, high, mean and standard deviation (0 if constant) of one transformed feature."""
    defined = column[~np.isnan(column)]
    if not len(defined):
        return 0.0, 0.0, 0.0, 0.0
    low, high = np.quantile(defined, WINSOR)
    cut = np.clip(defined, low, high)
    spread = float(cut.std())
    varies = spread > CONSTANT * float(np.abs(cut).max())
    return float(low), float(high), float(cut.mean()), spread if varies else 0.0
