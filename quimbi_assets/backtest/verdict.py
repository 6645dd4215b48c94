"""A store's backtest: all cuts, and for each axis whether its segments beat RFM.

Belongs here: running the cuts and the table over them. Does not: a single cut (``trial``), drawing (``picture``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, BusinessHours, default_observation_end
from quimbi_assets.backtest.cuts import HORIZON_DAYS, SHORTEST_HISTORY_DAYS, cut_instants
from quimbi_assets.backtest.trial import Finding, try_cut
from quimbi_assets.errors import BadInputError

CONFIDENCE = (0.05, 0.95)
BETTER, LEVEL, WORSE, UNKNOWN = "better", "level", "worse", "not measured"


@dataclass(frozen=True)
class Backtest:
    """What segments told about the days after each cut.

    Parameters
    ----------
    cuts : list of Timestamp
        Naive UTC, ascending.
    horizon_days : int
        Days after a cut whose outcomes count.
    axes : DataFrame of n_axes rows
        By ``axis``: ``verdict`` (``better`` or ``worse`` than RFM where the 90 % interval of the difference leaves out
        0, ``level`` between, ``not measured``), ``segments`` and ``rfm`` (share of variance explained, mean over cuts),
        ``difference`` with ``low`` and ``high``; the same for memberships: ``memberships``, ``memberships_difference``,
        ``memberships_low``, ``memberships_high``, ``memberships_verdict``; ``outcomes``, ``n_segments``,
        ``n_customers``, ``n_cuts``, ``reason``.
    by_cut : DataFrame
        ``axis``, ``cut``, ``n_segments``, ``n_customers``, ``segments``, ``memberships``, ``rfm``.
    """

    cuts: list[pd.Timestamp]
    horizon_days: int
    axes: pd.DataFrame
    by_cut: pd.DataFrame


def backtest(
    orders: pd.DataFrame,
    items: pd.DataFrame | None,
    *,
    time_zone: str = "UTC",
    business_hours: BusinessHours | None = None,
    random_state: int = 0,
    progress: Callable[[str, float], None] = lambda message, done: None,
) -> Backtest:
    """Try a store's segments on its own past.

    Parameters
    ----------
    orders, items : DataFrame
        As for ``extract_features``; ``order_date`` naive UTC.
    time_zone, business_hours
        Of the store.
    random_state : int
        Seed of everything random: same orders and seed, same result.
    progress : callable
        Hears a message and the share already done.

    Returns
    -------
    Backtest

    Raises
    ------
    BadInputError
        If the history is too short for a single cut.
    """
    orders = orders[orders["customer_id"].notna()]
    cuts = cut_instants(orders["order_date"].min(), default_observation_end(orders, time_zone))
    if not cuts:
        needed = SHORTEST_HISTORY_DAYS + HORIZON_DAYS
        raise BadInputError(f"a backtest needs {needed} days of orders; this store has fewer")
    findings: list[Finding] = []
    reasons: dict[str, str] = {}
    for i, cut in enumerate(cuts):
        progress(f"history up to {cut:%Y-%m-%d}", i / len(cuts))
        found, why = try_cut(
            orders,
            items,
            cut,
            HORIZON_DAYS,
            time_zone=time_zone,
            business_hours=business_hours,
            random_state=random_state,
        )
        findings += found
        reasons |= why
    return Backtest(cuts, HORIZON_DAYS, _axes(findings, reasons), _by_cut(findings))


def _by_cut(findings: list[Finding]) -> pd.DataFrame:
    columns = ["axis", "cut", "n_segments", "n_customers", "segments", "memberships", "rfm"]
    return pd.DataFrame([[getattr(finding, column) for column in columns] for finding in findings], columns=columns)


def _axes(findings: list[Finding], reasons: dict[str, str]) -> pd.DataFrame:
    rows = []
    for name in AXES:
        own = [finding for finding in findings if finding.axis == name]
        unknown = {"verdict": UNKNOWN, "memberships_verdict": UNKNOWN, "reason": reasons.get(name)}
        rows.append(_verdict(name, own) if own else {"axis": name, **unknown})
    return pd.DataFrame(rows).set_index("axis")


def _verdict(name: str, own: list[Finding]) -> dict[str, object]:
    """Put the cuts of one axis together; customers are resampled within each cut."""
    low, high = np.quantile(np.mean([finding.differences for finding in own], axis=0), CONFIDENCE)
    lowest, highest = np.quantile(np.mean([f.membership_differences for f in own], axis=0), CONFIDENCE)
    columns = ("segments", "memberships", "rfm")
    segments, memberships, rfm = (float(np.mean([getattr(f, column) for f in own])) for column in columns)
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
        "outcomes": ", ".join(dict.fromkeys(outcome for finding in own for outcome in finding.outcomes)),
        "n_segments": max(finding.n_segments for finding in own),
        "n_customers": min(finding.n_customers for finding in own),
        "n_cuts": len(own),
        "reason": None,
    }


def _against(low: float, high: float) -> str:
    """Return the verdict of a difference whose interval is known."""
    return BETTER if low > 0 else WORSE if high < 0 else LEVEL
