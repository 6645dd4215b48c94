"""From a store's orders to the churn model that serves it, with the test that vouches for it.

Belongs here: the whole of it; the last hold-outs of H days put together, the decision which kind serves, its picture.
Does not: one hold-out (``examples``), registering (``resources``), scoring (``model``).

One hold-out is one season: a gift shop's first run-up to Christmas says as little about next spring as a quiet spring
would about it. So the origin rolls back, a hold-out at a time, for as long as the history before it is enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from quimbi_assets.churn import measures
from quimbi_assets.churn.examples import HoldOut, choose_horizon, fit_kind, gather, hold_out
from quimbi_assets.churn.history import History, measure, read_history
from quimbi_assets.churn.measures import Array, Flags, Interval
from quimbi_assets.churn.model import CURVES, RECENCY_BASELINE, ChurnModel, Risk
from quimbi_assets.clustering.canvas import COLOURS, QUIET, canvas, plain_axes, to_png
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History as StoreHistory

MOST_HOLD_OUTS = 3
"""Before the third last, few stores have enough to learn from (``examples.PARTS_OF_HISTORY``)."""
CHANCE = 0.5
MOST_CUSTOMERS = 8_000
"""Customers learnt from, each at up to six cut-offs."""
MOST_FOR_TESTS = 4_000
"""Customers learnt from where something else is tested with a risk."""
MOST_TESTED = 50_000
"""Customers the evaluation is run on."""


@dataclass(frozen=True)
class Figures:
    """How one way to tell risk did: AUC, Brier score, lift as means over hold-outs; calibration of all customers."""

    auc: Interval
    brier: float
    calibration_error: float
    lift: float


@dataclass(frozen=True)
class Evaluation:
    """What the last hold-outs of history, one to three, latest first, not overlapping, say about a store's churn risk.

    ``model`` is the kind chosen before each hold-out, ``baseline`` recency alone; ``difference`` is the AUC of the one
    less that of the other on the same customers, ``base_brier`` that of the base rate before each hold-out. Rolling
    origins: L. J. Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 16 (2000).
    """

    hold_outs: list[HoldOut]
    horizon_days: int
    model: Figures
    baseline: Figures
    base_brier: float
    difference: Interval

    @property
    def kind(self) -> str:
        """The kind chosen before the latest hold-out, which is fitted to serve."""
        return self.hold_outs[0].kind

    @property
    def n_customers(self) -> int:
        """Customers of the latest hold-out; earlier ones hold fewer."""
        return len(self.hold_outs[0].truth)

    @property
    def away_share(self) -> float:
        """Share of the customers of all hold-outs who stayed away."""
        return float(np.concatenate([each.truth for each in self.hold_outs]).mean())

    @property
    def serves(self) -> str:
        """The kind that serves: the chosen one, unless the baseline ranks or tells better on unseen history."""
        beaten = self.difference.value < 0 or self.model.brier > self.baseline.brier
        return RECENCY_BASELINE if beaten else self.kind

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
        return self.baseline if self.serves == RECENCY_BASELINE else self.model

    def risk_served(self, each: HoldOut) -> Array:
        """Return the risks that the kind which serves gave before a hold-out."""
        return each.baseline if self.serves == RECENCY_BASELINE else each.risk

    @property
    def worst_calibration_error(self) -> float:
        """Of what serves, the calibration error in the hold-out where it was largest."""
        return float(self.by_hold_out["calibration_error"].max())

    @cached_property
    def by_hold_out(self) -> pd.DataFrame:
        """What serves, hold-out by hold-out.

        Latest first: ``from`` (ISO date), ``customers``, ``stayed_away``, ``mean_risk`` and ``auc`` (0-1), ``brier``,
        ``calibration_error``.
        """
        rows = [
            {
                "from": f"{each.cut_off:%Y-%m-%d}",
                "customers": len(each.truth),
                "stayed_away": float(each.truth.mean()),
                "mean_risk": float(risk.mean()),
                "auc": measures.auc(each.truth, each.days if self.serves == RECENCY_BASELINE else risk).value,
                "brier": measures.brier(each.truth, risk),
                "calibration_error": measures.calibration_error(each.truth, risk),
            }
            for each, risk in zip(self.hold_outs, map(self.risk_served, self.hold_outs), strict=True)
        ]
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class ChurnFit:
    """A churn model of the kind that serves, fitted on all outcomes known, and the test of its kind."""

    model: ChurnModel
    evaluation: Evaluation


def train_churn(
    store_history: StoreHistory, *, most_customers: int = MOST_CUSTOMERS, random_state: int = 0
) -> ChurnFit:
    """Learn who stays away; nothing beyond the history's end is looked at.

    Of a large store, :data:`MOST_TESTED` customers are looked at and ``most_customers`` learnt from, drawn by a hash of
    their ids with the seed; nothing else is random. Raises ``InsufficientHistoryError`` if the past is not enough to
    learn from, with the reason.
    """
    observation_end = store_history.end
    tested = store_history.sample(MOST_TESTED, random_state)
    history = read_history(tested)
    if not len(history.customers):
        raise InsufficientHistoryError("no orders before that instant")
    horizon_days = choose_horizon(history, observation_end)
    sample = read_history(tested.sample(most_customers, random_state))
    evaluation = evaluate(history, sample, observation_end, horizon_days)
    examples = gather(sample, observation_end, horizon_days)
    assert examples is not None  # the evaluation's own cut-offs end earlier
    model = fit_kind(evaluation.serves, examples, horizon_days)
    model.weak_reason_ = evaluation.weak_reason
    return ChurnFit(model, evaluation)


def foretell_risk(store_history: StoreHistory, customers: pd.Index, random_state: int) -> Risk | None:
    """Return the risk of customers of a history as a fit at its end would have it; None where nothing can be learnt.

    Of a bounded number of customers; learnt from :data:`MOST_FOR_TESTS` of them, by curves, and not tested: for tests
    of what has to agree with a risk, which need one at several instants.
    """
    end, history = store_history.end, read_history(store_history)
    sample = read_history(store_history.sample(MOST_FOR_TESTS, random_state))
    try:
        horizon_days = choose_horizon(history, end)
        examples = gather(sample, end, horizon_days)
    except InsufficientHistoryError:
        return None
    if examples is None:
        return None
    model = fit_kind(CURVES, examples, horizon_days)
    return Risk(model.risk(measure(history, end, horizon_days).loc[customers]), horizon_days)


def evaluate(history: History, sample: History, observation_end: pd.Timestamp, horizon_days: int) -> Evaluation:
    """Test on the last hold-outs of history (the population) what a sample showed before each.

    Raises ``InsufficientHistoryError`` if the history does not reach for one hold-out, or nearly everybody did the same
    in it.
    """
    hold_outs = [hold_out(history, sample, observation_end, horizon_days)]
    try:
        while len(hold_outs) < MOST_HOLD_OUTS:
            hold_outs.append(hold_out(history, sample, hold_outs[-1].cut_off, horizon_days))
    except InsufficientHistoryError:
        pass  # the history reaches no further back
    return put_together(hold_outs, horizon_days)


def put_together(hold_outs: list[HoldOut], horizon_days: int) -> Evaluation:
    """Evaluate at least one hold-out, latest first."""
    return Evaluation(
        hold_outs=hold_outs,
        horizon_days=horizon_days,
        model=figures(hold_outs, lambda each: each.risk),
        # Ranked by the days themselves: their calibrated curve is flat at both ends.
        baseline=figures(hold_outs, lambda each: each.baseline, lambda each: each.days),
        base_brier=float(np.mean([measures.brier(h.truth, np.full(len(h.truth), h.base_rate)) for h in hold_outs])),
        difference=mean_interval([measures.auc_difference(h.truth, h.risk, h.days) for h in hold_outs]),
    )


def figures(
    hold_outs: list[HoldOut], risk: Callable[[HoldOut], Array], rank: Callable[[HoldOut], Array] | None = None
) -> Figures:
    """Judge one way to tell risk (0-1, before a hold-out) on at least one.

    ``rank`` orders customers as these risks do, or more finely, on any scale; the risks by default.
    """
    rank = rank or risk
    return Figures(
        auc=mean_interval([measures.auc(h.truth, rank(h)) for h in hold_outs]),
        brier=float(np.mean([measures.brier(h.truth, risk(h)) for h in hold_outs])),
        calibration_error=measures.calibration_error(*_together(hold_outs, risk)),
        lift=float(np.mean([measures.lift(h.truth, rank(h)) for h in hold_outs])),
    )


def bins_of(hold_outs: list[HoldOut], risk: Callable[[HoldOut], Array]) -> Array:
    """Return :func:`calibration_bins` of the customers of all hold-outs together, shape (n_bins, 3)."""
    return measures.calibration_bins(*_together(hold_outs, risk))


def _together(hold_outs: list[HoldOut], risk: Callable[[HoldOut], Array]) -> tuple[Flags, Array]:
    """Return who stayed away and the risk told, of the customers of all hold-outs."""
    return np.concatenate([each.truth for each in hold_outs]), np.concatenate([risk(each) for each in hold_outs])


def mean_interval(intervals: list[Interval]) -> Interval:
    """Return the mean of estimates from several hold-outs, its interval as wide as theirs on average.

    Most customers are in all hold-outs, so the estimates are not independent. An interval of their mean that is right
    whatever their correlation is that of full correlation; with independent ones it would be narrower.

    >>> mean_interval([Interval(0.8, 0.7, 0.9), Interval(0.6, 0.4, 0.8)])
    Interval(value=0.7, low=0.55, high=0.85)
    """
    values = np.array([[each.value, each.low, each.high] for each in intervals]).mean(axis=0).round(12)
    return Interval(*values.tolist())


def draw_calibration(evaluation: Evaluation) -> bytes:
    """Draw how risk and outcome agree, for the model that serves and for the recency baseline, as PNG.

    All hold-outs together as thick lines; each on its own, of what serves, as a thin one.
    """
    alone = evaluation.serves == RECENCY_BASELINE
    title = "Churn risk: days since the last order serve alone" if alone else "Churn risk, beside the last order alone"
    starts = ", ".join(f"{each.cut_off:%Y-%m-%d}" for each in reversed(evaluation.hold_outs))
    subtitle = (
        f"No order in the {evaluation.horizon_days} days from {starts} on, foretold before; up to "
        f"{evaluation.n_customers:,} customers in tenths by risk"
    )
    figure = canvas(8.0, 5.0, title, subtitle)
    axes = figure.add_axes((0.1, 0.12, 0.86, 0.7))
    axes.plot([0, 100], [0, 100], color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), label="as it should be")
    if len(evaluation.hold_outs) > 1:
        for i, each in enumerate(evaluation.hold_outs):
            thin = measures.calibration_bins(each.truth, evaluation.risk_served(each))
            label = "thin: each window on its own" if i == 0 else None
            colour = COLOURS[7] if alone else COLOURS[0]
            axes.plot(100 * thin[:, 0], 100 * thin[:, 1], color=colour, linewidth=0.7, alpha=0.45, label=label)
    baseline_bins = bins_of(evaluation.hold_outs, lambda each: each.baseline)
    shown = [(baseline_bins, COLOURS[7], "days since the last order alone", evaluation.baseline)]
    if not alone:
        bins = bins_of(evaluation.hold_outs, lambda each: each.risk)
        shown.append((bins, COLOURS[0], f"model ({evaluation.kind})", evaluation.model))
    for bins, colour, label, by in shown:
        text = f"{label}: AUC {by.auc.value:.3f}, calibration error {100 * by.calibration_error:.1f} points"
        axes.plot(100 * bins[:, 0], 100 * bins[:, 1], "o-", color=colour, markersize=5, linewidth=1.4, label=text)
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.set_xlabel("risk given, %", fontsize=9, color=QUIET)
    axes.set_ylabel("stayed away, %", fontsize=9, color=QUIET)
    plain_axes(axes, grid="both")
    axes.legend(loc="upper left", frameon=False, fontsize=8.5)
    return to_png(figure)
