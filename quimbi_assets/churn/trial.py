"""The test on unseen history: the last windows of H days, each foretold from what was known before it.

Belongs here: several windows put together, and the verdict. Does not: one window (``window``), the model that serves
(``training``).

One window is one season: a gift shop's first run-up to Christmas says as little about next spring as a quiet spring
would about it. So the origin rolls back, a window at a time, for as long as the history before it is enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.churn.history import History
from quimbi_assets.churn.measures import (
    Interval,
    auc,
    auc_difference,
    brier,
    calibration_bins,
    calibration_error,
    lift,
)
from quimbi_assets.churn.model import SILENCE_ALONE
from quimbi_assets.churn.window import Window, try_window
from quimbi_assets.errors import InsufficientHistoryError

Array = NDArray[np.float64]

MOST_WINDOWS = 3
"""Windows at most; before the third last, few stores have enough to learn from (``horizon.PARTS_OF_HISTORY``)."""
CHANCE = 0.5


@dataclass(frozen=True)
class Figures:
    """How one way to tell risk did: AUC, Brier score, lift as means over windows; calibration of all customers."""

    auc: Interval
    brier: float
    calibration_error: float
    lift: float


@dataclass(frozen=True)
class Trial:
    """What the last windows of history say about a store's churn risk.

    Parameters
    ----------
    windows : list of Window
        Latest first, one to three, not overlapping.
    horizon_days : int
        H, length of each.
    model, silence : Figures
        The kind chosen before each window, and days since the last order alone, calibrated.
    base_brier : float
        Of everybody at the base rate before each window.
    difference : Interval
        AUC of the model less that of silence, on the same customers.

    References
    ----------
    L. J. Tashman, Out-of-sample tests of forecasting accuracy: an analysis and review, International Journal of
    Forecasting 16 (2000): rolling origins.
    """

    windows: list[Window]
    horizon_days: int
    model: Figures
    silence: Figures
    base_brier: float
    difference: Interval

    @property
    def kind(self) -> str:
        """The kind chosen before the latest window, which is fitted to serve."""
        return self.windows[0].kind

    @property
    def n_customers(self) -> int:
        """Customers of the latest window; earlier ones hold fewer."""
        return len(self.windows[0].truth)

    @property
    def away_share(self) -> float:
        """Share of the customers of all windows who stayed away."""
        return float(np.concatenate([window.truth for window in self.windows]).mean())

    @property
    def serves(self) -> str:
        """The kind that serves: the chosen one, unless silence alone ranks or tells better on unseen history."""
        beaten = self.difference.value < 0 or self.model.brier > self.silence.brier
        return SILENCE_ALONE if beaten else self.kind

    @property
    def weak_reason(self) -> str | None:
        """Why the risk says little about anybody: it ranks no better than chance; None where it does."""
        area = self.served.auc
        if area.low > CHANCE:
            return None
        return f"ranks customers no better than chance (AUC {area.value:.2f}, {area.low:.2f}-{area.high:.2f})"

    @property
    def served(self) -> Figures:
        """Figures of the kind that serves."""
        return self.silence if self.serves == SILENCE_ALONE else self.model

    def told(self, window: Window) -> Array:
        """Return the risks that the way which serves gave before a window."""
        return window.alone if self.serves == SILENCE_ALONE else window.risk

    @property
    def worst_calibration_error(self) -> float:
        """Of what serves, the calibration error in the window where it was largest."""
        return float(self.by_window["calibration_error"].max())

    @cached_property
    def by_window(self) -> pd.DataFrame:
        """What serves, window by window.

        One row a window, latest first: ``from`` (ISO date), ``customers``, ``stayed_away``, ``mean_risk`` and ``auc``
        (0-1), ``brier``, ``calibration_error``.
        """
        rank = by_days if self.serves == SILENCE_ALONE else self.told
        rows = [
            {
                "from": f"{window.cut:%Y-%m-%d}",
                "customers": len(window.truth),
                "stayed_away": float(window.truth.mean()),
                "mean_risk": float(self.told(window).mean()),
                "auc": auc(window.truth, rank(window)).value,
                "brier": brier(window.truth, self.told(window)),
                "calibration_error": calibration_error(window.truth, self.told(window)),
            }
            for window in self.windows
        ]
        return pd.DataFrame(rows)


def run_trial(history: History, sample: History, observation_end: pd.Timestamp, horizon_days: int) -> Trial:
    """Test on the last windows of history what was learnt before each.

    Parameters
    ----------
    history : History
        Everybody, who are tested on.
    sample : History
        Whom to learn from.
    observation_end : Timestamp
        Naive UTC, exclusive.
    horizon_days : int
        H.

    Raises
    ------
    InsufficientHistoryError
        If the history does not reach for one window, or nearly everybody did the same in it.
    """
    windows = [try_window(history, sample, observation_end, horizon_days)]
    try:
        while len(windows) < MOST_WINDOWS:
            windows.append(try_window(history, sample, windows[-1].cut, horizon_days))
    except InsufficientHistoryError:
        pass  # the history reaches no further back
    return judge(windows, horizon_days)


def judge(windows: list[Window], horizon_days: int) -> Trial:
    """Put windows together.

    Parameters
    ----------
    windows : list of Window
        Latest first, at least one.
    horizon_days : int
        H.
    """
    return Trial(
        windows=windows,
        horizon_days=horizon_days,
        model=figures(windows, lambda window: window.risk),
        silence=figures(windows, lambda window: window.alone, by_days),
        base_brier=float(np.mean([brier(w.truth, np.full(len(w.truth), w.base_rate)) for w in windows])),
        difference=mean_interval([auc_difference(w.truth, w.risk, w.days) for w in windows]),
    )


def figures(
    windows: list[Window], told: Callable[[Window], Array], rank: Callable[[Window], Array] | None = None
) -> Figures:
    """Judge one way to tell risk.

    Parameters
    ----------
    windows : list of Window
        At least one.
    told : callable
        Risks that it gave before a window, shape (n,), 0-1.
    rank : callable, optional
        What orders customers as these risks do, or more finely, shape (n,), any scale; the risks by default.
    """
    rank = rank or told
    return Figures(
        auc=mean_interval([auc(w.truth, rank(w)) for w in windows]),
        brier=float(np.mean([brier(w.truth, told(w)) for w in windows])),
        calibration_error=calibration_error(*_together(windows, told)),
        lift=float(np.mean([lift(w.truth, rank(w)) for w in windows])),
    )


def bins_of(windows: list[Window], told: Callable[[Window], Array]) -> Array:
    """Return :func:`calibration_bins` of the customers of all windows together, shape (n_bins, 3)."""
    return calibration_bins(*_together(windows, told))


def by_days(window: Window) -> Array:
    """Rank by days since the last order themselves, shape (n,): their calibrated curve is flat at both ends."""
    return window.days


def _together(windows: list[Window], told: Callable[[Window], Array]) -> tuple[NDArray[np.bool_], Array]:
    """Return who stayed away and the risk told, of the customers of all windows."""
    return np.concatenate([window.truth for window in windows]), np.concatenate([told(window) for window in windows])


def mean_interval(intervals: list[Interval]) -> Interval:
    """Return the mean of estimates from several windows, its interval as wide as theirs on average.

    Notes
    -----
    Most customers are in all windows, so the estimates are not independent. An interval of their mean that is right
    whatever their correlation is that of full correlation; with independent ones it would be narrower.

    Examples
    --------
    >>> mean_interval([Interval(0.8, 0.7, 0.9), Interval(0.6, 0.4, 0.8)])
    Interval(value=0.7, low=0.55, high=0.85)
    """
    values = np.array([[each.value, each.low, each.high] for each in intervals]).mean(axis=0).round(12)
    return Interval(*values.tolist())
