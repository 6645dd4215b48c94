"""A store's backtest: at each cut-off, fits on what was known, held against what came; whether segments beat RFM.

Belongs here: one cut-off, the choice of all, the table over them, its picture. Does not: statistics (``baseline``),
outcomes (``hold_out``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, Outcome
from quimbi_assets.backtest.baseline import (
    Array,
    continuous_rfm,
    explained_share,
    resample_weights,
    rfm_groupings,
    rfm_scores,
    sharp,
)
from quimbi_assets.backtest.hold_out import HoldOut, measure_hold_out, measure_outcome
from quimbi_assets.churn.examples import rolling_cut_offs
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.canvas import COLOURS, INK, QUIET, canvas, in_words, plain_axes, to_png
from quimbi_assets.errors import BadInputError
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.pipeline import fit_store, sample_store

N_RESAMPLES = 200
FEWEST_CUSTOMERS = 100
"""Customers with a defined outcome below which nothing is said about it."""
HORIZON_DAYS = 90
"""Days between cut-offs, too, so that outcomes do not overlap."""
MOST_CUT_OFFS = 3
SHORTEST_HISTORY_DAYS = 90
CONFIDENCE = (0.05, 0.95)
BETTER, LEVEL, WORSE, UNKNOWN = "better", "level", "worse", "not measured"


OF_CUTS = ("n_segments", "n_customers")
SHARES = ("segments", "memberships", "rfm", "continuous_rfm", "rfm_and_memberships")
"""What explains: each customer's dominant segment; the memberships in all segments; the one of two RFM groupings, of as
many groups, that explains more; continuous RFM; this and memberships together."""
COMPARISONS = {
    "": ("segments", "rfm", 0.0),
    "memberships_": ("memberships", "rfm", 0.0),
    "added_": ("rfm_and_memberships", "continuous_rfm", 0.005),
}
"""What is held against what, by the prefix of its columns, and the difference that is worth telling: there is more to
RFM than logarithms, squares and products, and memberships that only say that add thousandths of the variance."""


@dataclass(frozen=True)
class Finding:
    """What one axis's segments and RFM explained after one cut-off (naive UTC).

    ``n_customers`` have a defined outcome; of several outcomes the fewest. ``shares`` has by `SHARES` the share of
    variance explained, mean over the outcomes, shape (1 + n_resamples,): of the customers, then of resamples of them.
    """

    axis: str
    cut: pd.Timestamp
    n_segments: int
    n_customers: int
    outcomes: tuple[str, ...]
    shares: Mapping[str, Array]

    def figures(self) -> dict[str, object]:
        """Return a row of ``Backtest.by_cut_off``."""
        whose = {name: getattr(self, name) for name in ("axis", "cut", *OF_CUTS)}
        return whose | {name: float(values[0]) for name, values in self.shares.items()}


@dataclass(frozen=True)
class Backtest:
    """What segments told about the days after each cut-off.

    Cut-offs (naive UTC) ascend. ``axes`` has by ``axis``: of each of `SHARES` the share of variance explained, mean
    over cut-offs; of each of `COMPARISONS` ``difference`` with ``low`` and ``high``, and ``verdict``: ``better`` or
    ``worse`` where all of the 90 % interval is worth telling, ``level`` between, ``not measured``; ``outcomes``,
    ``n_segments``, ``n_customers``, ``n_cuts``, ``reason``. ``by_cut_off`` has the shares of every axis at every cut.
    """

    cut_offs: list[pd.Timestamp]
    horizon_days: int
    axes: pd.DataFrame
    by_cut_off: pd.DataFrame

    @property
    def measured(self) -> pd.DataFrame:
        """The axes of which something can be said."""
        return self.axes[self.axes["verdict"] != UNKNOWN]

    def better(self, comparison: str) -> int:
        """Count the axes with the verdict ``better`` in one of `COMPARISONS`."""
        return int((self.axes[f"{comparison}verdict"] == BETTER).sum())


def backtest(history: History, progress: Callable[[str, float], None] = lambda message, done: None) -> Backtest:
    """Try a store's segments on its own past: same history, same result.

    ``progress`` hears a message and the share already done. Raises ``BadInputError`` if the history is too short for a
    single cut-off.
    """
    latest_first = rolling_cut_offs(
        history.span[0],
        history.end,
        HORIZON_DAYS,
        apart_days=HORIZON_DAYS,
        most=MOST_CUT_OFFS,
        least_history_days=SHORTEST_HISTORY_DAYS,
    )
    if not latest_first:
        needed = SHORTEST_HISTORY_DAYS + HORIZON_DAYS
        raise BadInputError(f"a backtest needs {needed} days of orders; this store has fewer")
    cut_offs = latest_first[::-1]
    findings: list[Finding] = []
    reasons: dict[str, str] = {}
    for i, cut_off in enumerate(cut_offs):
        progress(f"history up to {cut_off:%Y-%m-%d}", i / len(cut_offs))
        more, why = evaluate_cut_off(history, cut_off, HORIZON_DAYS)
        findings += more
        reasons |= why
    by_cut_off = pd.DataFrame([one.figures() for one in findings], columns=["axis", "cut", *OF_CUTS, *SHARES])
    return Backtest(cut_offs, HORIZON_DAYS, _axes(findings, reasons), by_cut_off)


def evaluate_cut_off(history: History, cut_off: Instant, days: int) -> tuple[list[Finding], dict[str, str]]:
    """Fit every axis as of a cut-off and see what its segments tell about the next ``days`` days, over by the end.

    Of customers known then, a seeded sample as large as that of a fit is looked at. Returns findings, and by axis why
    there is none.
    """
    options, then = FitOptions(pictures=False, halves=False), history.until(cut_off)
    known = sample_store(then, None, options)
    reference, recorded = known.reference, known.recorded
    fitted = fit_store(then, known, reference, recorded, options, noise_test=False)
    reasons = known.inactive | dict(fitted.inactive)
    frequency, value = known["purchase_frequency"], known["purchase_value"]
    hold_out = measure_hold_out(history, frequency.index, cut_off, days, recorded=recorded, reference=reference)
    rfm = frequency["days_since_last_order"], frequency["n_orders"], value["lifetime_value"]
    scores, continuous = rfm_scores(*rfm), continuous_rfm(*rfm)
    findings = []
    for name, model in fitted.models.items():
        yardsticks = [sharp(groups) for groups in rfm_groupings(scores, model.k_)]
        finding = _finding(name, cut_off, hold_out, model.predict_proba(known[name]), yardsticks, continuous)
        if finding is None:
            reasons[name] = "its outcome is not recorded, the same for everyone, or defined for too few customers"
        else:
            findings.append(finding)
    return findings, reasons


def _finding(
    name: str, cut: pd.Timestamp, hold_out: HoldOut, memberships: Array, groupings: Sequence[Array], continuous: Array
) -> Finding | None:
    outcomes = {o.name: v for o in AXES[name].outcomes if (v := _values(name, o, hold_out)) is not None}
    if not outcomes:
        return None
    weights, values = resample_weights(len(memberships), N_RESAMPLES), list(outcomes.values())
    explained = partial(_explained, values, weights=weights)
    shares = (
        explained(sharp(np.argmax(memberships, axis=1))),
        explained(memberships),
        max(map(explained, groupings), key=lambda of_groups: of_groups[0]),
        explained(continuous),
        explained(np.hstack([continuous, memberships])),
    )
    n_customers = min(int(np.isfinite(v).sum()) for v in values)
    return Finding(
        name, cut, memberships.shape[1], n_customers, tuple(outcomes), dict(zip(SHARES, shares, strict=True))
    )


def _explained(outcomes: Sequence[Array], memberships: Array, *, weights: Array) -> Array:
    """Mean share of variance explained over the outcomes: of the customers, then of every resample of them."""
    counted = np.vstack([np.ones(len(memberships)), weights])
    defined = [np.isfinite(values) for values in outcomes]
    shares = [explained_share(v[d], memberships[d], counted[:, d]) for v, d in zip(outcomes, defined, strict=True)]
    # In a resample where a rare outcome never occurs there is nothing to explain.
    return np.asarray(np.mean(np.nan_to_num(shares), axis=0), dtype=np.float64)


def _values(axis_name: str, outcome: Outcome, hold_out: HoldOut) -> Array | None:
    """Return an outcome worth explaining: recorded, defined for enough customers, and not the same for all."""
    values = measure_outcome(axis_name, outcome, hold_out)
    if values is None:
        return None
    defined = values[np.isfinite(values)]
    return values if len(defined) >= FEWEST_CUSTOMERS and np.ptp(defined) > 0 else None


def _axes(findings: list[Finding], reasons: dict[str, str]) -> pd.DataFrame:
    rows = []
    for name in AXES:
        of_axis = [finding for finding in findings if finding.axis == name]
        unknown = dict.fromkeys((f"{prefix}verdict" for prefix in COMPARISONS), UNKNOWN) | {"reason": reasons.get(name)}
        rows.append(_verdict(name, of_axis) if of_axis else {"axis": name, **unknown})
    return pd.DataFrame(rows).set_index("axis")


def _verdict(name: str, findings: list[Finding]) -> dict[str, object]:
    """Put the cut-offs of one axis together; customers are resampled within each."""
    shares = {name: np.mean([finding.shares[name] for finding in findings], axis=0) for name in SHARES}
    row: dict[str, object] = {"axis": name, **{share: float(values[0]) for share, values in shares.items()}}
    for prefix, (one, other, least) in COMPARISONS.items():
        difference, resampled = np.split(shares[one] - shares[other], [1])
        # Resamples repeat customers, which favours whatever has more columns: only their spread is chance's.
        low, high = float(difference[0]) + np.quantile(resampled - resampled.mean(), CONFIDENCE)
        verdict = BETTER if low > least else WORSE if high < -least else LEVEL
        figures = {"verdict": verdict, "difference": difference[0], "low": low, "high": high}
        row |= {f"{prefix}{figure}": value for figure, value in figures.items()}
    return row | {
        "outcomes": ", ".join(dict.fromkeys(outcome for finding in findings for outcome in finding.outcomes)),
        "n_segments": max(finding.n_segments for finding in findings),
        "n_customers": min(finding.n_customers for finding in findings),
        "n_cuts": len(findings),
        "reason": None,
    }


def draw_backtest(report: Backtest) -> bytes:
    """Draw per axis what memberships, segments and RFM explained, as PNG; at least one axis is measured."""
    table = report.measured.sort_values("added_difference")
    height = 1.7 + 0.62 * len(table)
    subtitle = (
        f"Share of variance of the next {report.horizon_days} days' outcomes that they explain; mean of "
        f"{len(report.cut_offs)} cuts; orange: memberships add less than 0.5 % to continuous RFM"
    )
    added, better = report.better("added_"), report.better("")
    title = f"Memberships add to RFM on {added} of {len(table)} axes; segments tell more than RFM groups on {better}"
    figure = canvas(9.6, height, title, subtitle)
    axes = figure.add_axes((0.24, 0.5 / height, 0.72, 1 - 1.65 / height))
    places = np.arange(len(table))
    for offset, column, colour, strength, label in (
        (0.33, "rfm_and_memberships", COLOURS[0], 1.0, "continuous RFM and memberships"),
        (0.11, "continuous_rfm", COLOURS[7], 1.0, "continuous RFM"),
        (-0.11, "segments", COLOURS[0], 0.55, "segments"),
        (-0.33, "rfm", COLOURS[7], 0.55, "as many RFM groups"),
    ):
        lengths = 100 * table[column].clip(lower=0)
        bars = axes.barh(places + offset, lengths, 0.2, color=colour, alpha=strength, label=label)
        axes.bar_label(bars, [f"{100 * share:.1f} %" for share in table[column]], padding=3, fontsize=7.5, color=QUIET)
    axes.set_yticks(places, [in_words(name) for name in table.index])
    axes.set_xlim(0, max(1.0, 112 * float(table[[*SHARES]].to_numpy().max())))
    axes.set_xlabel("variance explained, %", fontsize=9, color=QUIET)
    plain_axes(axes, grid="x")
    for tick, verdict in zip(axes.get_yticklabels(), table["added_verdict"], strict=True):
        tick.set_color(INK if verdict == BETTER else COLOURS[1])
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=8)
    return to_png(figure)
