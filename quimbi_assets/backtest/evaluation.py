"""A store's backtest: at each cut-off, fits on what was known, held against what came; whether segments beat RFM.

Belongs here: one cut-off, the choice of all, the table over them, its picture. Does not: statistics (``baseline``),
outcomes (``hold_out``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, Outcome
from quimbi_assets.backtest.baseline import Array, explained_share, resample_weights, rfm_groupings, rfm_scores, sharp
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


@dataclass(frozen=True)
class Finding:
    """What one axis's segments and as many RFM groups explained after one cut-off (naive UTC).

    ``n_customers`` have a defined outcome; of several outcomes the fewest. The share of variance explained, mean over
    the outcomes, is that by each customer's dominant segment, by the memberships in all of them, and by the one of two
    RFM groupings that explains more. Differences, shape (n_resamples,), are segments less RFM, and memberships less
    RFM, over resampled customers.
    """

    axis: str
    cut: pd.Timestamp
    n_segments: int
    n_customers: int
    outcomes: tuple[str, ...]
    segments: float
    memberships: float
    rfm: float
    differences: Array
    membership_differences: Array


@dataclass(frozen=True)
class Backtest:
    """What segments told about the days after each cut-off.

    Cut-offs (naive UTC) ascend. ``axes`` has by ``axis``: ``verdict`` (``better`` or ``worse`` than RFM where the 90 %
    interval of the difference leaves out 0, ``level`` between, ``not measured``), ``segments`` and ``rfm`` (share of
    variance explained, mean over cut-offs), ``difference`` with ``low`` and ``high``; the same for memberships:
    ``memberships`` and ``memberships_`` ``difference``, ``low``, ``high``, ``verdict``; ``outcomes``, ``n_segments``,
    ``n_customers``, ``n_cuts``, ``reason``. ``by_cut_off`` has the figures of every axis at every cut-off.
    """

    cut_offs: list[pd.Timestamp]
    horizon_days: int
    axes: pd.DataFrame
    by_cut_off: pd.DataFrame


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
    columns = ["axis", "cut", "n_segments", "n_customers", "segments", "memberships", "rfm"]
    return Backtest(cut_offs, HORIZON_DAYS, _axes(findings, reasons), pd.DataFrame(findings, columns=columns))


def evaluate_cut_off(history: History, cut_off: Instant, days: int) -> tuple[list[Finding], dict[str, str]]:
    """Fit every axis as of a cut-off and see what its segments tell about the next ``days`` days, over by the end.

    Of customers known then, a seeded sample as large as that of a fit is looked at. Returns findings, and by axis why
    there is none.
    """
    options, then = FitOptions(pictures=False), history.until(cut_off)
    known = sample_store(then, None, options)
    reference, recorded = known.reference, known.recorded
    fitted = fit_store(then, known, reference, recorded, options, noise_test=False)
    reasons = known.inactive | dict(fitted.inactive)
    frequency, value = known["purchase_frequency"], known["purchase_value"]
    hold_out = measure_hold_out(history, frequency.index, cut_off, days, recorded=recorded, reference=reference)
    scores = rfm_scores(frequency["days_since_last_order"], frequency["n_orders"], value["lifetime_value"])
    findings = []
    for name, model in fitted.models.items():
        groups = rfm_groupings(scores, model.k_)
        finding = _finding(name, cut_off, hold_out, model.predict_proba(known[name]), groups)
        if finding is None:
            reasons[name] = "its outcome is not recorded, the same for everyone, or defined for too few customers"
        else:
            findings.append(finding)
    return findings, reasons


def _finding(
    name: str, cut: pd.Timestamp, hold_out: HoldOut, memberships: Array, yardsticks: Sequence[NDArray[np.intp]]
) -> Finding | None:
    outcomes = {o.name: v for o in AXES[name].outcomes if (v := _values(name, o, hold_out)) is not None}
    if not outcomes:
        return None
    weights, values = resample_weights(len(memberships), N_RESAMPLES), list(outcomes.values())
    segments = _explained(values, sharp(np.argmax(memberships, axis=1)), weights)
    fuzzy = _explained(values, memberships, weights)
    rfm = max((_explained(values, sharp(other), weights) for other in yardsticks), key=lambda shares: shares[0])
    return Finding(
        axis=name,
        cut=cut,
        n_segments=memberships.shape[1],
        n_customers=min(int(np.isfinite(v).sum()) for v in values),
        outcomes=tuple(outcomes),
        segments=float(segments[0]),
        memberships=float(fuzzy[0]),
        rfm=float(rfm[0]),
        differences=segments[1:] - rfm[1:],
        membership_differences=fuzzy[1:] - rfm[1:],
    )


def _explained(outcomes: Sequence[Array], memberships: Array, weights: Array) -> Array:
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
        unknown = {"verdict": UNKNOWN, "memberships_verdict": UNKNOWN, "reason": reasons.get(name)}
        rows.append(_verdict(name, of_axis) if of_axis else {"axis": name, **unknown})
    return pd.DataFrame(rows).set_index("axis")


def _verdict(name: str, findings: list[Finding]) -> dict[str, object]:
    """Put the cut-offs of one axis together; customers are resampled within each."""
    low, high = np.quantile(np.mean([finding.differences for finding in findings], axis=0), CONFIDENCE)
    lowest, highest = np.quantile(np.mean([f.membership_differences for f in findings], axis=0), CONFIDENCE)
    columns = ("segments", "memberships", "rfm")
    segments, memberships, rfm = (float(np.mean([getattr(f, column) for f in findings])) for column in columns)
    return {
        "axis": name,
        "verdict": _against(low, high),
        "segments": segments,
        "rfm": rfm,
        "difference": segments - rfm,
        "low": float(low),
        "high": float(high),
        "memberships_verdict": _against(lowest, highest),
        "memberships": memberships,
        "memberships_difference": memberships - rfm,
        "memberships_low": float(lowest),
        "memberships_high": float(highest),
        "outcomes": ", ".join(dict.fromkeys(outcome for finding in findings for outcome in finding.outcomes)),
        "n_segments": max(finding.n_segments for finding in findings),
        "n_customers": min(finding.n_customers for finding in findings),
        "n_cuts": len(findings),
        "reason": None,
    }


def _against(low: float, high: float) -> str:
    return BETTER if low > 0 else WORSE if high < 0 else LEVEL


def draw_backtest(report: Backtest) -> bytes:
    """Draw per axis what its segments explained, beside RFM, as PNG; at least one axis is measured."""
    table = report.axes[report.axes["verdict"] != UNKNOWN].sort_values("difference")
    height = 1.7 + 0.55 * len(table)
    n_better = int((table["verdict"] == BETTER).sum())
    n_fuzzy = int((table["memberships_verdict"] == BETTER).sum())
    subtitle = (
        f"Share of variance of the next {report.horizon_days} days' outcomes that they explain, and as many RFM "
        f"groups; mean of {len(report.cut_offs)} cuts; orange: segments no better than RFM"
    )
    title = f"Segments tell more than RFM on {n_better} of {len(table)} axes, memberships in them on {n_fuzzy}"
    figure = canvas(9.6, height, title, subtitle)
    axes = figure.add_axes((0.24, 0.5 / height, 0.72, 1 - 1.65 / height))
    places = np.arange(len(table))
    for offset, column, colour, strength, label in (
        (0.27, "memberships", COLOURS[0], 1.0, "memberships in segments"),
        (0.0, "segments", COLOURS[0], 0.55, "segments"),
        (-0.27, "rfm", COLOURS[7], 1.0, "RFM groups"),
    ):
        lengths = 100 * table[column].clip(lower=0)
        bars = axes.barh(places + offset, lengths, 0.25, color=colour, alpha=strength, label=label)
        axes.bar_label(bars, [f"{100 * share:.1f} %" for share in table[column]], padding=3, fontsize=7.5, color=QUIET)
    axes.set_yticks(places, [in_words(name) for name in table.index])
    axes.set_xlim(0, max(1.0, 112 * float(table[["segments", "memberships", "rfm"]].to_numpy().max())))
    axes.set_xlabel("variance explained, %", fontsize=9, color=QUIET)
    plain_axes(axes, grid="x")
    for tick, verdict in zip(axes.get_yticklabels(), table["verdict"], strict=True):
        tick.set_color(INK if verdict == BETTER else COLOURS[1])
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=8.5)
    return to_png(figure)
