"""Winsor limits, mean and spread of transformed features: what makes distances comparable.

Belongs here: fitting those figures and applying them. Fitted once, part of the saved model, applied at
scoring exactly as at fitting.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quimbi_assets.clustering.transforms import Array, apply_transforms

WINSOR = (0.01, 0.99)
"""Quantiles beyond which a value counts as the quantile itself."""

LARGEST = 1e100
"""Magnitude to which raw values are cut before anything else, so that no later square overflows."""

CONSTANT = 1e-9
"""Spread, relative to the largest value, below which a feature tells nobody apart."""


State = tuple[int, float, float]
"""A structural state: column, the raw value that is the state, its scaled score."""


@dataclass(frozen=True)
class Scaler:
    """Fitted transform of d features into comparable units.

    Parameters
    ----------
    transforms : list of str of length d
        Transform of each feature.
    low, high : ndarray of shape (d,)
        Winsor limits, in transformed units.
    mean, scale : ndarray of shape (d,)
        Mean and standard deviation after winsorising, in transformed units; ``scale`` is above 0.
    states : list of State
        Raw values with a score of their own; of several that a customer has, the first counts.
    """

    transforms: list[str]
    low: Array
    high: Array
    mean: Array
    scale: Array
    states: list[State]

    def scale_values(self, values: Array) -> Array:
        """Bring raw feature values to scaled units.

        Parameters
        ----------
        values : ndarray of shape (n, d)
            Raw values in shop units; NaN or infinite where undefined.

        Returns
        -------
        ndarray of shape (n, d)
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

    def shop_values(self, scaled: Array) -> Array:
        """Bring scaled values back to shop units.

        Parameters
        ----------
        scaled : ndarray of shape (n, d)
            Standard scores, of customers in no state.

        Returns
        -------
        ndarray of shape (n, d)
            The raw values that have these scores.
        """
        return apply_transforms(scaled * self.scale + self.mean, self.transforms, inverse=True)

    def take(self, columns: NDArray[np.bool_]) -> "Scaler":
        """Return the scaler of some of the features; ``columns`` is a mask of shape (d,)."""
        names = [name for name, kept in zip(self.transforms, columns, strict=True) if kept]
        place = np.cumsum(columns) - 1
        states = [(int(place[i]), equals, score) for i, equals, score in self.states if columns[i]]
        return Scaler(names, self.low[columns], self.high[columns], self.mean[columns], self.scale[columns], states)

    def params(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """Return the figures by feature name, ready for JSON."""
        figures = zip(self.low, self.high, self.mean, self.scale, strict=True)
        keys = ("winsor_low", "winsor_high", "mean", "scale")
        rows = [dict(zip(keys, map(float, row), strict=True)) for row in figures]
        return {
            name: {
                "transform": self.transforms[i],
                **rows[i],
                "states": [{"equals": equals, "score": score} for column, equals, score in self.states if column == i],
            }
            for i, name in enumerate(names)
        }


def clean(values: Array) -> Array:
    """Return a float64 copy in which undefined values are NaN and the rest is at most :data:`LARGEST`.

    An infinite value is no measurement (it comes from a division by zero), so it is undefined, not extreme.
    """
    out = np.array(values, dtype=np.float64)
    out[~np.isfinite(out)] = np.nan
    return np.clip(out, -LARGEST, LARGEST, out=out)


def fit_scaler(values: Array, transforms: list[str]) -> tuple[Scaler, NDArray[np.bool_]]:
    """Fit limits, means and spreads.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        Raw values of the customers to divide: those in no structural state.
    transforms : list of str of length d
        Transform of each feature.

    Returns
    -------
    Scaler
        Figures of all d features, without states; ``scale`` is 1 where nothing varies.
    ndarray of bool of shape (d,)
        Which features vary.

    Notes
    -----
    Limits, mean and spread come from the customers who are *divided*. Were they taken over everybody, a state
    shared by 80 % (``refund_rate`` = 0) would place the 99th percentile at the others' 95th, at 99 % it would
    cut the others to one value, and the spread would measure how many are in the state rather than how the
    others differ. This way one unit of distance always is one standard deviation among those who need
    dividing.
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
