"""Two snapshots scored by one model: how far each customer moved, and which moves are more than noise.

Belongs here: drift a week, and migrations with hysteresis. Does not: why a customer moved (``causes``), what is noise
(``floors``), alerts (``alerts``).

A customer stays *settled* in a segment until they have moved clearly out of it: by an order, or by a silence that is
unusual for them. Time that merely passes moves memberships, and their rows say so, but settles nobody elsewhere.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.weekly.causes import ACTED, CORRECTED, MODEL, NEW, SILENT
from quimbi_assets.weekly.change import axis_drift
from quimbi_assets.weekly.floors import DRIFT, Floors
from quimbi_assets.weekly.sides import ARCHETYPE, Ids, Side, lead_over, segments_of

SETTLED = "settled:"


def measure_drift(older: Side, newer: Side) -> pd.DataFrame:
    """Return how far the newer side's customers moved.

    Returns
    -------
    DataFrame of n rows
        Indexed by customer: ``drift:<axis>`` (0-1), NaN for customers and axes that the older side lacks.
    """
    customers = newer.customers
    place = older.customers.get_indexer(customers)
    known = place >= 0
    columns = {}
    for axis, score in newer.scores.items():
        drift = np.full(len(customers), np.nan)
        if axis in older.scores:
            drift[known] = axis_drift(older.scores[axis].memberships[place[known]], score.memberships[known])
        columns[DRIFT + axis] = drift
    return pd.DataFrame(columns, index=customers)


def settle_before(older: Side, state: pd.DataFrame | None, own: pd.DataFrame) -> pd.DataFrame:
    """Say, in segments of the newer models, where the older side's customers were settled.

    Parameters
    ----------
    older : Side
        Scored by the newer models.
    state : DataFrame, optional
        ``settled:<axis>`` and ``settled:archetype`` as the comparison before this one left them.
    own : DataFrame
        The same columns as the older snapshot itself had them: dominant segments by the models of then.

    Returns
    -------
    DataFrame of n_older rows
        ``settled:<axis>``: where they were settled; ``model:<axis>``: the segment of then that became another one by
        the change of models alone, None where it did not.

    Notes
    -----
    Who was settled in their dominant segment is so under the new model. Who was held in another keeps it as long as
    the new model has it.
    """
    columns: dict[str, Ids] = {}
    for axis, ids in segments_of(older).items():
        now, known = ids
        own_then = _aligned(own, SETTLED + axis, older.customers)
        settled = own_then if state is None else _aligned(state, SETTLED + axis, older.customers)
        settled = np.where(pd.isna(settled), own_then, settled)
        held = (settled != own_then) & ~pd.isna(settled) & np.isin(settled.astype(str), known)
        became = np.where(held, settled, now)
        by_model = ~pd.isna(settled) & ~pd.isna(became) & (settled != became)
        columns[SETTLED + axis] = became
        columns[f"model:{axis}"] = _where(by_model, settled)
    return pd.DataFrame(columns, index=older.customers)


def settle(newer: Side, week: pd.DataFrame, before: pd.DataFrame, floors: Floors) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decide who migrated.

    Parameters
    ----------
    newer : Side
        Of n customers.
    week : DataFrame of n rows
        ``drift:<axis>``, ``cause``, ``fallen``.
    before : DataFrame
        From ``settle_before``.
    floors : Floors
        The store's.

    Returns
    -------
    settled : DataFrame of n rows
        ``settled:<axis>`` and ``settled:archetype``.
    moves : DataFrame
        A row a migration: ``customer_id``, ``axis_name`` (``archetype`` for archetypes), ``from_segment``,
        ``to_segment``, ``cause``, ``drift`` (NaN for archetypes and changed models).
    """
    cause = week["cause"].to_numpy()
    # About these something new is known, be it a silence that is unusual for them.
    free = np.isin(cause, (ACTED, CORRECTED)) | ((cause == SILENT) & week["fallen"].to_numpy(dtype=bool))
    columns: dict[str, Ids] = {}
    moves = []
    moved = np.zeros(len(week), dtype=np.bool_)
    for axis, (now, _) in segments_of(newer).items():
        settled, by_model = (_aligned(before, kind + axis, newer.customers) for kind in (SETTLED, "model:"))
        is_elsewhere = ~pd.isna(settled) & ~pd.isna(now) & (settled != now)
        if axis == ARCHETYPE:
            goes = is_elsewhere & moved & free
            drift = np.full(len(week), np.nan)
        else:
            lead = lead_over(newer.scores[axis], settled)
            goes = is_elsewhere & free & ((lead > floors.lead.get(axis, 0.0)) | (cause == CORRECTED))
            drift = week[DRIFT + axis].to_numpy() if DRIFT + axis in week else np.full(len(week), np.nan)
            moved |= goes
        columns[SETTLED + axis] = np.where(goes | pd.isna(settled), now, settled)
        moves.append(
            _rows(newer.customers, axis, by_model, settled, np.full(len(week), MODEL), None, ~pd.isna(by_model))
        )
        moves.append(_rows(newer.customers, axis, settled, now, cause, drift, goes))
    return pd.DataFrame(columns, index=newer.customers), pd.concat(moves, ignore_index=True)


def acted_scores(moves: pd.DataFrame, customers: pd.Index, weak: frozenset[str]) -> NDArray[np.float64]:
    """Return the drift of the farthest migration that an order caused, weak axes left out; 0 without; shape (n,)."""
    telling = moves[(moves["cause"] == ACTED) & ~moves["axis_name"].isin([*weak, ARCHETYPE])]
    farthest = telling.groupby("customer_id")["drift"].max()
    return farthest.reindex(customers).fillna(0.0).to_numpy(dtype=np.float64)


def _aligned(table: pd.DataFrame, column: str, customers: pd.Index) -> Ids:
    if column not in table:
        return np.full(len(customers), None, dtype=object)
    found = table[column].astype(object).reindex(customers).to_numpy(dtype=object)
    return _where(~pd.isna(found), found)


def _where(rows: NDArray[np.bool_], values: Ids) -> Ids:
    """Return the values of those rows, None elsewhere."""
    kept = np.full(len(values), None, dtype=object)
    kept[rows] = values[rows]
    return kept


def _rows(
    customers: pd.Index,
    axis: str,
    start: Ids,
    end: Ids,
    cause: NDArray[np.str_],
    drift: NDArray[np.float64] | None,
    rows: NDArray[np.bool_],
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": customers[rows].astype(str),
            "axis_name": axis,
            "from_segment": start[rows],
            "to_segment": end[rows],
            "cause": cause[rows].astype(object),
            "drift": np.nan if drift is None else drift[rows],
        }
    ).astype({"drift": "float64"})


__all__ = ["ARCHETYPE", "NEW", "SETTLED", "Side", "acted_scores", "measure_drift", "settle", "settle_before"]
