"""Features of any axes for any customers, as of any instant: the one door into this package.

Belongs here: which columns a store records, which axes that makes active, store-wide references, extraction.
Does not: formulas (the axis modules), how an engine runs (``_engine``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field

import pandas as pd
import pyarrow as pa

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import Axis
from quimbi_assets.axes._engine import DuckEngine, Engine, axis_sql, materialise_prepared, register_inputs
from quimbi_assets.axes._inputs import canonical_inputs, default_observation_end, recorded_columns
from quimbi_assets.axes._reference import StoreReference, fit_reference
from quimbi_assets.axes._tables import BusinessHours
from quimbi_assets.errors import UnknownAxisError

__all__ = [
    "Features",
    "StoreReference",
    "UnknownAxisError",
    "axis_activity",
    "default_observation_end",
    "extract_features",
    "fit_reference",
    "recorded_columns",
]

#: Below this many orders one DuckDB thread is faster than several.
SMALL_INPUT_ORDERS = 5_000


@dataclass(eq=False)
class Features(dict[str, pd.DataFrame]):
    """Feature tables by axis, and why the axes that are missing are missing.

    Each table is indexed by ``customer_id`` (str, sorted; the same index in every table) and holds every declared
    feature of its axis (NULL where undefined or not recorded) and ``n_orders``.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Feature tables of the active axes; they become the items of this dict.
    inactive : dict of str to str
        Reason for each axis that was asked for and is inactive.
    unrecorded : dict of str to list of str
        Clustering features of active axes that the store cannot have, by axis.
    observation_end : Timestamp
        Instant (naive UTC, exclusive) as of which everything was computed.
    recorded : frozenset of str
        Columns that the store records.
    """

    tables: InitVar[dict[str, pd.DataFrame]]
    inactive: dict[str, str] = field(default_factory=dict)
    unrecorded: dict[str, list[str]] = field(default_factory=dict)
    observation_end: pd.Timestamp | None = None
    recorded: frozenset[str] = frozenset()

    def __post_init__(self, tables: dict[str, pd.DataFrame]) -> None:
        super().__init__(tables)


def axis_activity(axis: Axis, recorded: frozenset[str]) -> tuple[str | None, list[str]]:
    """Tell whether a store's columns are enough for an axis.

    Parameters
    ----------
    axis : Axis
        The axis.
    recorded : frozenset of str
        Columns that the store records.

    Returns
    -------
    reason : str or None
        Why the axis is inactive; None if it is active.
    unrecorded : list of str
        Clustering features that lack their columns.
    """
    absent = [column for column in axis.essential if column not in recorded]
    unrecorded = [f.name for f in axis.clustering_features if not set(f.needs) <= recorded]
    if absent:
        return f"not recorded: {', '.join(map(_in_words, absent))}", unrecorded
    n_left = len(axis.clustering_features) - len(unrecorded)
    if n_left < 2:
        needed = {c for f in axis.clustering_features for c in f.needs if c not in recorded}
        words = ", ".join(sorted(map(_in_words, needed)))
        return f"not recorded: {words} (only {n_left} of its features can be computed)", unrecorded
    return None, unrecorded


def _in_words(column: str) -> str:
    special = {"orders.time_of_day": "time of day of orders", "orders.refund": "refunds"}
    table, _, name = column.partition(".")
    return special.get(column, f"{table}.{name}")


def extract_features(
    orders: pd.DataFrame,
    items: pd.DataFrame | None = None,
    axes: Iterable[str] | None = None,
    observation_end: pd.Timestamp | str | None = None,
    *,
    time_zone: str = "UTC",
    business_hours: BusinessHours | None = None,
    recorded: frozenset[str] | None = None,
    reference: StoreReference | None = None,
    engine: Engine | None = None,
) -> Features:
    """Compute feature tables of customers from their orders.

    Parameters
    ----------
    orders : DataFrame
        One row an order: ``order_id``, ``customer_id``, ``order_date``, ``total_price`` (paid) and, where
        recorded, ``discount_amount``, ``refund_amount``, ``source``, ``order_date_local``. Dates with an offset
        are converted to UTC; naive ones are UTC. Rows without a customer are left out.
    items : DataFrame, optional
        One row an order line: ``order_id``, ``product_id``, ``quantity``, ``price`` and, where recorded,
        ``line_no``, ``category``, ``product_type``, ``refund_amount``, ``refunded_at``.
    axes : iterable of str, optional
        Axes to compute; all by default.
    observation_end : Timestamp or str, optional
        Instant, exclusive; a naive one is UTC. Default: the end of the local day of the last order.
    time_zone : str
        IANA name of the store's time zone, used where ``order_date_local`` is absent.
    business_hours : BusinessHours, optional
        Store-local opening hours; 9 to 17 by default.
    recorded : frozenset of str, optional
        Columns the store records; by default read off the visible rows. Pass the store's own when scoring a few
        of its customers, whose rows may not show every column.
    reference : StoreReference, optional
        Store-wide quantities fitted with the models; features that need them are NULL without.
    engine : Engine, optional
        Where to run; DuckDB in process by default.

    Returns
    -------
    Features
        Tables by axis, with the reasons of inactive axes.

    Raises
    ------
    UnknownAxisError
        If ``axes`` names one that does not exist.
    ValueError
        If a required column is missing or the time zone is unknown.

    Examples
    --------
    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["ann", "ann"], "total_price": [20.0, 30.0],
    ...                        "order_date": pd.to_datetime(["2025-01-01 10:00", "2025-01-31 10:00"])})
    >>> features = extract_features(orders, axes=["purchase_value"], observation_end="2025-03-02 10:00")
    >>> features["purchase_value"][["lifetime_value", "avg_order_value", "value_trend"]]
                 lifetime_value  avg_order_value  value_trend
    customer_id
    ann                    50.0             25.0          NaN
    """
    names = _checked_axes(axes)
    end = default_observation_end(orders, time_zone) if observation_end is None else _naive_utc(observation_end)
    inputs = canonical_inputs(orders, items, end, time_zone)
    columns = recorded_columns(inputs) if recorded is None else recorded
    hours = business_hours or BusinessHours()
    activity = {name: axis_activity(AXES[name], columns) for name in names}
    result = Features(
        {},
        inactive={name: reason for name, (reason, _) in activity.items() if reason is not None},
        unrecorded={n: lost for n, (reason, lost) in activity.items() if reason is None and lost},
        observation_end=end,
        recorded=columns,
    )
    frames = {**inputs, **(reference or StoreReference.empty()).tables()}
    active = [name for name in names if name not in result.inactive]
    if engine is not None:
        _fill(result, active, engine, frames, hours)
        return result
    threads = 1 if inputs["raw_orders"].num_rows < SMALL_INPUT_ORDERS else None
    with DuckEngine(threads) as duck:
        _fill(result, active, duck, frames, hours)
    return result


def _fill(
    result: Features, active: list[str], engine: Engine, frames: Mapping[str, pa.Table], hours: BusinessHours
) -> None:
    register_inputs(engine, frames)
    materialise_prepared(engine)
    for name in active:
        frame = engine.fetch(axis_sql(name, result.recorded, hours, engine.dialect))
        result[name] = _typed(frame.set_index("customer_id"), AXES[name])


def _typed(frame: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    frame.index = frame.index.astype("str")
    types = {f.name: {"number": "float64", "flag": "boolean"}.get(f.kind, "str") for f in axis.features}
    return frame.astype({**types, "n_orders": "int64"})


def _checked_axes(axes: Iterable[str] | None) -> list[str]:
    if axes is None:
        return list(AXES)
    names = [axes] if isinstance(axes, str) else list(dict.fromkeys(axes))
    unknown = [name for name in names if name not in AXES]
    if unknown:
        raise UnknownAxisError(f"unknown axis {', '.join(unknown)}; there are: {', '.join(AXES)}")
    return names


def _naive_utc(instant: pd.Timestamp | str) -> pd.Timestamp:
    stamp = pd.Timestamp(instant)
    if pd.isna(stamp):
        raise ValueError("observation_end is no instant")
    return stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)
