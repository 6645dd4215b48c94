"""The receipt of one customer: where they belong on every axis and why, what moved of late, what would move them.

Belongs here: putting it together, from the customer's rows, the models and what of the store they are measured against.
Does not: words (``words``), reading rows and models (``resources.profiling``). The same rows and models give the same
receipt, whoever else is there; ``decision`` gives its first part from features alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
import pyarrow.compute as pc

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.explanation.changes import Change, Past
from quimbi_assets.explanation.decision import Decision, decide
from quimbi_assets.explanation.search import AxisMoves, score_changes, smallest_moves, tried_changes
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.weekly.causes import NEW, causes, customer_digests

MONTH_DAYS = 30


@dataclass(frozen=True)
class Since:
    """What came in the last month: why the customer stands elsewhere (``weekly.causes``), and what they did.

    ``cause`` is ``new`` of who had not ordered before it began, at ``at``; else ``acted`` or ``silent``. Money is net
    of refunds.
    """

    at: Instant
    cause: str
    orders: int
    spent: float
    tickets: int


@dataclass(frozen=True)
class AxisReceipt:
    """One axis: the decision, the segment and the memberships of a month before by the same model, what would move."""

    axis: str
    decision: Decision
    before: Decision | None
    moves: AxisMoves


@dataclass(frozen=True)
class Receipt:
    """All axes of one customer, as of ``as_of``; ``data_version`` is a digest of the customer's rows."""

    customer_id: str
    as_of: Instant
    data_version: str
    since: Since
    axes: tuple[AxisReceipt, ...]


def explain(past: Past, models: Mapping[str, AxisModel], axes: Sequence[str]) -> Receipt:
    """Return the receipt of a customer on some of the axes that have models."""
    tried = [Change.waiting(-MONTH_DAYS), *tried_changes(past, axes)]
    scored = score_changes(past, models, tried)
    moves = smallest_moves(past, models, axes, scored)
    present = f"{tried.index(Change.waiting(0)):06d}"
    receipts = []
    for axis in axes:
        rows = scored.features[axis]
        then = decide(models[axis], dict(rows.loc["000000"])) if "000000" in rows.index else None
        receipts.append(AxisReceipt(axis, decide(models[axis], dict(rows.loc[present])), then, moves[axis]))
    customer, digests = str(past.tables["raw_orders"]["customer_id"][0]), customer_digests(past.history)
    version = "-".join(f"{int(digest):016x}" for digest in digests.iloc[0])
    return Receipt(customer, past.history.end, version, _since(past.history, digests), tuple(receipts))


def _since(history: History, now: pd.DataFrame) -> Since:
    """Say what came of a customer in the last month, ``now`` being the digests of the history."""
    before = history.until(Instant(history.end - timedelta(days=MONTH_DAYS)))
    then = customer_digests(before)
    cause = str(causes(then, then, now)[0][0]) if len(then) else NEW
    older, newer = (_figures(one) for one in (before, history))
    orders, spent, tickets = (b - a for a, b in zip(older, newer, strict=True))
    return Since(before.end, cause, int(orders), spent, int(tickets))


def _figures(history: History) -> tuple[float, float, float]:
    """Return orders, spend net of refunds and tickets up to a history's end."""
    orders, tickets = history.visible("orders"), history.visible("tickets")
    spent = (pc.sum(orders[name]).as_py() or 0.0 for name in ("total_price", "refund"))
    paid, refunded = spent
    return len(orders), paid - refunded, len(tickets)
