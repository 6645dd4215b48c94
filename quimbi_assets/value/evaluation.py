"""From a store's orders to the model of what customers will spend, with the test that vouches for it.

Belongs here: hold-outs, the two figures to beat, whether anything is foretold, the picture. Does not: measuring
(``windows``), the estimator (``model``), registering (``resources``).

Before each of the last windows all is learnt from those before it. Spend that is foretold no better than by spend of
the last days, or than by a customer's average at their rate, is not; orders alike, and a year, of which there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, norm

from quimbi_assets.churn.evaluation import foretell_risk
from quimbi_assets.churn.measures import Array, Flags
from quimbi_assets.churn.model import Risk
from quimbi_assets.clustering.canvas import COLOURS, QUIET, canvas, plain_axes, to_png
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History
from quimbi_assets.sampling import sample_places
from quimbi_assets.value.model import Forecast, ValueModel
from quimbi_assets.value.windows import (
    FEWEST,
    LEAST_BEFORE,
    YEAR_DAYS,
    Window,
    measured_borders,
    window_days,
    windows_between,
)

MOST_HOLD_OUTS = 3
MOST_LEARNT = 4
"""Windows learnt from: with 90 days a year, over which seasons cancel out."""
MOST_CUSTOMERS = 8_000
"""Customers learnt from."""
MOST_TESTED = 20_000
MOST_ROWS = 1_000_000
"""Orders and lines together of these customers: what a store of heavier ones may hold in memory."""
CERTAIN = 0.01
"""Chance that customers who are all alike are ranked as well."""
LEVEL = (0.75, 1.33)
"""Between them, the total foretold is near what came."""
SHORTEST_TENURE = 30.0
"""Days over which a rate is taken at least: who came yesterday does not order daily."""
N_BINS = 10
MODEL, RECENT, NAIVE = "model", "recent", "naive"
SPEND, ORDERS = "spend", "orders"
NAMES = {
    SPEND: {RECENT: "what they spent in the last {days} days", NAIVE: "their average order at their rate"},
    ORDERS: {RECENT: "how often they ordered in the last {days} days", NAIVE: "their rate of orders so far"},
}


@dataclass(frozen=True)
class Figures:
    """How one way did.

    ``error``: mean absolute error over the mean of what came; ``concordance``, 0-1: of two customers of whom not as
    much came, how often it puts first of whom more did, ties half; ``total``: foretold over what came.
    """

    error: float
    concordance: float
    total: float


@dataclass(frozen=True)
class Outcome:
    """What came of n customers, shape (n,), not all 0, and what three ways had foretold.

    ``by_way`` holds that by :data:`MODEL`, :data:`RECENT` and :data:`NAIVE`, the latter with its level set on the
    window before; ``is_within`` says of whom as much came as the model's interval holds.
    """

    came: Array
    by_way: dict[str, Array]
    is_within: Flags

    @cached_property
    def figures(self) -> dict[str, Figures]:
        """The figures of each way."""
        return {way: self._figures(foretold) for way, foretold in self.by_way.items()}

    def _figures(self, foretold: Array) -> Figures:
        return Figures(
            error=float(np.abs(foretold - self.came).mean() / self.came.mean()),
            concordance=concordance(foretold, self.came),
            total=float(foretold.sum() / self.came.sum()),
        )


@dataclass(frozen=True)
class HoldOut:
    """A window of ``days`` from ``start`` on: spend and orders of the same customers."""

    start: pd.Timestamp
    days: int
    spend: Outcome
    orders: Outcome


@dataclass(frozen=True)
class Evaluation:
    """What the last windows of history say about what is foretold; latest first, not overlapping.

    ``year`` is a hold-out of the last year, or why there is none.
    """

    hold_outs: list[HoldOut]
    year: HoldOut | str

    @cached_property
    def figures(self) -> dict[str, Figures]:
        """The figures of each way to foretell spend, as means over the hold-outs."""
        return mean_figures([each.spend for each in self.hold_outs])

    @cached_property
    def figures_of_orders(self) -> dict[str, Figures]:
        """The figures of each way to foretell orders, as means over the hold-outs."""
        return mean_figures([each.orders for each in self.hold_outs])

    @cached_property
    def weak_reason(self) -> str | None:
        """Why nothing is foretold, which spend decides; None where it is."""
        return unranked(self.hold_outs, SPEND) or unbeaten(self.hold_outs, SPEND)

    @cached_property
    def weak_parts(self) -> dict[str, str]:
        """What is not foretold although spend is (``orders``, ``a year``, ``orders of a year``), and why."""
        year = f"it was not tested ({self.year})" if isinstance(self.year, str) else unbeaten([self.year], SPEND)
        parts = {"orders": unranked(self.hold_outs, ORDERS) or unbeaten(self.hold_outs, ORDERS), "a year": year}
        if not any(parts.values()) and isinstance(self.year, HoldOut):
            parts["orders of a year"] = unbeaten([self.year], ORDERS)
        return {what: why for what, why in parts.items() if why}

    @property
    def totals(self) -> list[float]:
        """Total spend foretold over what came, of each hold-out."""
        return [each.spend.figures[MODEL].total for each in self.hold_outs]

    @property
    def covered(self) -> float:
        """Share of customers of all hold-outs whose spend was within the interval."""
        return float(np.concatenate([each.spend.is_within for each in self.hold_outs]).mean())

    @cached_property
    def by_hold_out(self) -> pd.DataFrame:
        """Each hold-out, that of a year last.

        ``from`` (ISO date), ``days``, ``customers``, ``spent`` (share of them who spent anything), ``total``, ``error``
        and ``concordance`` of the model, ``error_recent``, ``error_naive``, ``covered``; the same of orders as
        ``orders_...``.
        """
        rows = [
            {
                "from": f"{each.start:%Y-%m-%d}",
                "days": each.days,
                "customers": len(each.spend.came),
                "spent": float((each.spend.came > 0).mean()),
                **_row(each.spend),
                **{f"orders_{name}": figure for name, figure in _row(each.orders).items()},
            }
            for each in [*self.hold_outs, *([self.year] if isinstance(self.year, HoldOut) else [])]
        ]
        return pd.DataFrame(rows)


def _row(outcome: Outcome) -> dict[str, float]:
    return {
        **vars(outcome.figures[MODEL]),
        "error_recent": outcome.figures[RECENT].error,
        "error_naive": outcome.figures[NAIVE].error,
        "covered": float(outcome.is_within.mean()),
    }


@dataclass(frozen=True)
class ValueFit:
    """A model fitted on all windows known, and the test of such models."""

    model: ValueModel
    evaluation: Evaluation


def mean_figures(outcomes: Sequence[Outcome]) -> dict[str, Figures]:
    """Return the mean figures of each way."""
    each = {way: np.array([list(vars(one.figures[way]).values()) for one in outcomes]) for way in outcomes[0].by_way}
    return {way: Figures(*figures.mean(axis=0).tolist()) for way, figures in each.items()}


def unranked(hold_outs: Sequence[HoldOut], what: str) -> str | None:
    """Say that spend, or orders, are ranked no better than chance would have it; None if they are."""
    outcomes = [getattr(each, what) for each in hold_outs]
    if np.mean([certainty(one.by_way[MODEL], one.came) for one in outcomes]) >= norm.isf(CERTAIN):
        return None
    return f"who will {what.removesuffix('s')} more than others cannot be told from the store's past"


def unbeaten(hold_outs: Sequence[HoldOut], what: str) -> str | None:
    """Say which figure the model of spend, or orders, does not beat, in error and in rank; None if it beats both."""
    by_way = mean_figures([getattr(each, what) for each in hold_outs])
    model = by_way[MODEL]
    for way, name in NAMES[what].items():
        other, called = by_way[way], name.format(days=hold_outs[0].days)
        if model.error >= other.error:
            errors = f"by {100 * other.error:.0f} % of the mean, this by {100 * model.error:.0f} %"
            return f"on past windows {called} was no farther off ({errors})"
        if model.concordance <= other.concordance:
            pairs = f"{100 * other.concordance:.0f} % of pairs, this {100 * model.concordance:.0f} %"
            return f"on past windows {called} ranked customers as well ({pairs})"
    return None


def concordance(foretold: Array, came: Array) -> float:
    """Return how often, of two customers who spent differently, the one who spent more is put first; ties are half.

    It is (1 + D) / 2 with Somers' D (R. H. Somers, American Sociological Review 27, 1962): other than Spearman's rho,
    which is the higher the more customers are put level where many spend nothing, it gains nothing by ties.

    >>> round(concordance(np.array([3.0, 1.0, 1.0]), np.array([9.0, 0.0, 5.0])), 3)
    0.833
    """
    n = len(came)
    tied = [float((counts * (counts - 1)).sum()) for counts in (_counts(foretold), _counts(came))]
    pairs, different = n * (n - 1) - tied[0], n * (n - 1) - tied[1]
    if not pairs or not different:
        return 0.5
    return float(0.5 + 0.5 * kendalltau(foretold, came).statistic * np.sqrt(pairs / different))


def certainty(foretold: Array, came: Array) -> float:
    """Return by how many standard deviations the ranking is better than chance (Kendall's test)."""
    tau = kendalltau(foretold, came, alternative="greater")
    return 0.0 if np.isnan(tau.pvalue) else float(norm.isf(tau.pvalue))


def _counts(values: Array) -> Array:
    return np.unique(values, return_counts=True)[1].astype(np.float64)


def naive(features: pd.DataFrame, days: int, what: str = SPEND) -> Array:
    """Return what a customer's average order at their own rate comes to in some days, or how many orders do."""
    tenure = np.maximum(features["tenure_days"].to_numpy(), SHORTEST_TENURE)
    return np.asarray(features[{SPEND: "spent", ORDERS: "n_orders"}[what]].to_numpy() / tenure * days)


def hold_out(
    window: Window,
    before: Sequence[Window],
    customers: pd.Index,
    horizon_days: int,
    days: int,
    recent: pd.DataFrame,
    risk: Risk | None = None,
) -> HoldOut:
    """Learn from some customers in the windows of H days before one, and hold it against what came in this one.

    It has ``days``; ``recent`` holds what everybody in it had ordered and spent in as many before, ``risk`` their churn
    risk as of then.
    """
    learnt = window.of(customers).features
    model = ValueModel(horizon_days).fit(learnt, [one.of(customers) for one in before])

    def outcome(what: str, forecast: Forecast) -> Outcome:
        came, previous = getattr(window, what), getattr(before[0], what)
        level = previous.sum() / max(naive(before[0].features, horizon_days, what).sum(), 1e-9)
        simple = {RECENT: recent[f"recent_{what}"].to_numpy(), NAIVE: naive(window.features, days, what) * level}
        is_within = (forecast.low <= came) & (came <= forecast.high)
        return Outcome(came, {MODEL: forecast.mean, **simple}, is_within)

    orders, spend = model.foretell(window.features, days, risk)
    return HoldOut(window.start, days, outcome(SPEND, spend), outcome(ORDERS, orders))


def train_value(history: History, *, most_customers: int = MOST_CUSTOMERS, random_state: int = 0) -> ValueFit:
    """Learn what customers will order and spend; nothing beyond the history's end is looked at.

    Of a large store, :data:`MOST_TESTED` customers are looked at, fewer where they hold more than :data:`MOST_ROWS`
    orders and lines, and ``most_customers`` learnt from, drawn by a hash of their ids with the seed; nothing else is
    random. Raises ``InsufficientHistoryError`` if the past is not enough to learn from and test on, with the reason.
    """
    if not history.n_customers:
        raise InsufficientHistoryError("no orders before that instant")
    tested = history.sample(MOST_TESTED, random_state, MOST_ROWS).in_memory()
    days = window_days(tested)
    borders = measured_borders(tested, days, MOST_HOLD_OUTS + MOST_LEARNT)
    windows, present = windows_between(borders), borders[0][1]
    if len(windows) < 2:
        raise InsufficientHistoryError(_too_few(borders[len(windows) + 1][0], days))
    customers = present.index[sample_places(present.index, most_customers, random_state)]
    n_tests = min(MOST_HOLD_OUTS, len(windows) - 1)
    tests = [
        hold_out(
            window,
            windows[i + 1 : i + 1 + MOST_LEARNT],
            customers,
            days,
            days,
            window.features,
            foretell_risk(tested.until(window.start), window.features.index, random_state),
        )
        for i, window in enumerate(windows[:n_tests])
    ]
    evaluation = Evaluation(tests, _last_year(tested, customers, days, random_state))
    model = ValueModel(days).fit(present.loc[customers], [one.of(customers) for one in windows[:MOST_LEARNT]])
    model.weak_reason_, model.weak_parts_ = evaluation.weak_reason, evaluation.weak_parts
    return ValueFit(model, evaluation)


def _too_few(start: pd.Timestamp, days: int) -> str:
    return (
        f"fewer than {FEWEST} of the customers known before {start:%Y-%m-%d} spent anything in the {days} days from "
        "then on"
    )


def _last_year(tested: History, customers: pd.Index, days: int, random_state: int) -> HoldOut | str:
    """Test a year's forecast on the last one; or say what the history has too little of."""
    known, needed = (tested.end - tested.span[0]).days, YEAR_DAYS + (1 + LEAST_BEFORE) * days
    if known < needed:
        return f"{known} days of orders, fewer than the {needed:.0f} that it takes"
    before = tested.until(tested.end - pd.Timedelta(days=YEAR_DAYS))
    borders = measured_borders(before, days, MOST_LEARNT)
    windows = windows_between(borders)
    if not windows:
        return _too_few(borders[1][0], days)
    window = Window.between(*borders[0], tested.spending(YEAR_DAYS))
    if (window.spend > 0).sum() < FEWEST:
        return _too_few(window.start, YEAR_DAYS)
    risk = foretell_risk(before, window.features.index, random_state)
    return hold_out(window, windows, customers, days, YEAR_DAYS, before.spending(YEAR_DAYS), risk)


def draw_calibration(evaluation: Evaluation) -> bytes:
    """Draw how spend foretold and spend that came agree, tenth by tenth of customers, for the three ways, as PNG.

    All hold-outs together as thick lines; each on its own, of the model, as a thin one. Scales are logarithmic.
    """
    starts = ", ".join(f"{each.start:%Y-%m-%d}" for each in reversed(evaluation.hold_outs))
    subtitle = (
        f"Spend of the {evaluation.hold_outs[0].days} days from {starts} on; up to "
        f"{len(evaluation.hold_outs[0].spend.came):,} customers in tenths"
    )
    figure = canvas(8.0, 5.0, "Value to come, beside two simple figures", subtitle)
    axes = figure.add_axes((0.1, 0.12, 0.86, 0.7))
    outcomes = [each.spend for each in evaluation.hold_outs]
    for i, each in enumerate(outcomes):
        label = "thin: each window on its own" if i == 0 else None
        axes.plot(*tenths([each], MODEL), color=COLOURS[0], linewidth=0.7, alpha=0.45, label=label)
    names = {MODEL: "model", RECENT: "spend of as many days before", NAIVE: "average at own rate, level set"}
    for way, colour in zip(names, (COLOURS[0], COLOURS[7], COLOURS[3]), strict=True):
        by = evaluation.figures[way]
        text = f"{names[way]}: error {by.error:.2f} of mean spend, concordance {by.concordance:.2f}"
        axes.plot(*tenths(outcomes, way), "o-", color=colour, markersize=5, linewidth=1.4, label=text)
    axes.set(xscale="log", yscale="log")
    low, high = min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), label="as it should be")
    axes.set_xlabel("foretold, a customer", fontsize=9, color=QUIET)
    axes.set_ylabel("spent, a customer", fontsize=9, color=QUIET)
    plain_axes(axes, grid="both")
    axes.legend(loc="upper left", frameon=False, fontsize=8.5)
    return to_png(figure)


def tenths(outcomes: Sequence[Outcome], way: str) -> tuple[Array, Array]:
    """Return what was foretold to tenths of customers, ascending, and what they spent, on average; above 0 only."""
    foretold, spend = (
        np.concatenate(values) for values in zip(*((one.by_way[way], one.came) for one in outcomes), strict=True)
    )
    parts = np.array_split(np.argsort(foretold, kind="stable"), N_BINS)
    means = np.array([[foretold[part].mean(), spend[part].mean()] for part in parts if len(part)])
    shown = means[(means > 0).all(axis=1)]
    return shown[:, 0], shown[:, 1]
