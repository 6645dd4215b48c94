"""Pandas frames become the typed input tables that axes are written on, cut at the instant of observation.

Belongs here: types, naive UTC and store-local clocks, and which columns a store records. Does not: order policy
(``orders``), formulas.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.axes._tables import CLOCK_SCHEMA, ITEMS_SCHEMA, ORDERS_SCHEMA

REQUIRED_ORDERS = ("order_id", "customer_id", "order_date", "total_price")
REQUIRED_ITEMS = ("order_id", "product_id", "quantity", "price")
_ARROW_TYPES = {
    "string": pa.string(),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "timestamp(6)": pa.timestamp("us"),
}


def canonical_inputs(
    orders: pd.DataFrame, items: pd.DataFrame | None, observation_end: pd.Timestamp, time_zone: str
) -> dict[str, pa.Table]:
    """Build the tables ``raw_orders``, ``raw_items`` and ``clock`` from pandas frames.

    Parameters
    ----------
    orders, items : DataFrame
        As for ``extract_features``; not modified.
    observation_end : Timestamp
        Naive UTC, exclusive: later orders are left out here already.
    time_zone : str
        IANA name, used where ``order_date_local`` is absent.

    Returns
    -------
    dict of str to pyarrow Table
        Tables with exactly the columns of their schemas; absent columns are NULL. Lines of orders that are left
        out are left out.

    Raises
    ------
    ValueError
        If a required column is missing or the time zone is unknown.
    """
    _require(orders, REQUIRED_ORDERS, "orders")
    frame = orders.assign(order_date=naive_utc(orders["order_date"]))
    local = frame["order_date"].dt.tz_localize("UTC").dt.tz_convert(_zone(time_zone)).dt.tz_localize(None)
    frame["order_date_local"] = frame["order_date_local"].fillna(local) if "order_date_local" in frame else local
    frame = frame[frame["customer_id"].notna() & (frame["order_date"] < observation_end)]
    if items is None:
        items = pd.DataFrame({name: pd.Series(dtype="object") for name in ITEMS_SCHEMA})
    _require(items, REQUIRED_ITEMS, "items")
    lines = items if "refunded_at" not in items else items.assign(refunded_at=naive_utc(items["refunded_at"]))
    if "line_no" not in lines:
        lines = lines.assign(line_no=range(1, len(lines) + 1))
    clock = pa.table({"observation_end": pa.array([observation_end], pa.timestamp("us"))})
    raw_orders, raw_items = _arrow(frame, ORDERS_SCHEMA), _arrow(lines, ITEMS_SCHEMA)
    return {
        "raw_orders": raw_orders,
        "raw_items": raw_items.filter(pc.is_in(raw_items["order_id"], raw_orders["order_id"])),
        "clock": clock.select(list(CLOCK_SCHEMA)),
    }


def recorded_columns(inputs: Mapping[str, pa.Table]) -> frozenset[str]:
    """Columns that hold at least one value among the visible rows.

    Parameters
    ----------
    inputs : mapping of str to pyarrow Table
        Result of ``canonical_inputs``.

    Returns
    -------
    frozenset of str
        ``"orders.<column>"`` and ``"items.<column>"``, not counting what a line shows of a refund that was
        yet to come; ``"orders.time_of_day"`` if any local order time is not midnight; ``"orders.refund"`` if
        refunds are recorded on orders or lines. With no orders at all: every column, so that nothing in looks
        like nothing recorded.
    """
    orders, items = inputs["raw_orders"], _without_later_refunds(inputs["raw_items"], inputs["clock"])
    pseudo = {"orders.time_of_day", "orders.refund"}
    if orders.num_rows == 0:
        return frozenset(pseudo | {f"orders.{c}" for c in ORDERS_SCHEMA} | {f"items.{c}" for c in ITEMS_SCHEMA})
    found = {f"orders.{c}" for c in ORDERS_SCHEMA if orders[c].null_count < orders.num_rows}
    found |= {f"items.{c}" for c in ITEMS_SCHEMA if items[c].null_count < items.num_rows}
    local = orders["order_date_local"].to_pandas()
    if bool((local != local.dt.normalize()).any()):
        found.add("orders.time_of_day")
    if {"orders.refund_amount", "items.refund_amount"} & found:
        found.add("orders.refund")
    return frozenset(found)


def default_observation_end(orders: pd.DataFrame, time_zone: str = "UTC") -> pd.Timestamp:
    """End of the store-local day of the last order, as naive UTC; nothing reads the wall clock.

    Examples
    --------
    >>> orders = pd.DataFrame({"order_date": pd.to_datetime(["2025-06-01 23:30"])})
    >>> default_observation_end(orders, "America/New_York")
    Timestamp('2025-06-02 04:00:00')
    """
    zone, dates = _zone(time_zone), naive_utc(orders["order_date"])
    if dates.notna().sum() == 0:
        return pd.Timestamp("1970-01-01")
    last = dates.max().tz_localize("UTC").tz_convert(zone)
    next_day = pd.Timestamp(last.date()) + pd.Timedelta(days=1)
    local_midnight = next_day.tz_localize(zone, nonexistent="shift_forward", ambiguous=True)
    return local_midnight.tz_convert("UTC").tz_localize(None)


def _require(frame: pd.DataFrame, columns: tuple[str, ...], table: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"{table} lacks {', '.join(missing)}; its columns are {', '.join(map(str, frame.columns))}")


def _zone(time_zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError, TypeError):
        raise ValueError(f"unknown time zone {time_zone!r}: give an IANA name such as Europe/Berlin or UTC") from None


def _without_later_refunds(items: pa.Table, clock: pa.Table) -> pa.Table:
    later = pc.fill_null(pc.greater_equal(items["refunded_at"], clock["observation_end"][0]), False)
    for column in ("refund_amount", "refunded_at"):
        position = items.schema.get_field_index(column)
        visible = pc.if_else(later, pa.scalar(None, items.schema.field(column).type), items[column])
        items = items.set_column(position, column, visible)
    return items


def naive_utc(dates: pd.Series) -> pd.Series:
    """Instants as naive UTC in microseconds; naive ones are UTC already, text is read as ISO 8601."""
    if not pd.api.types.is_datetime64_any_dtype(dates):
        dates = pd.to_datetime(dates, format="ISO8601")
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.dt.as_unit("us")


def _arrow(frame: pd.DataFrame, schema: Mapping[str, str]) -> pa.Table:
    columns = {}
    for name, kind in schema.items():
        type_ = _ARROW_TYPES[kind]
        if name not in frame:
            columns[name] = pa.nulls(len(frame), type_)
            continue
        series = frame[name]
        if kind == "string" and not isinstance(series.dtype, pd.StringDtype):
            if pd.api.types.is_float_dtype(series.dtype) and (series.dropna() % 1 == 0).all():
                series = series.astype("Int64")  # whole numbers that a gap turned into floats: "17850", not "17850.0"
            series = series.astype("str").where(series.notna())
        elif kind in {"float64", "int64"}:
            series = pd.to_numeric(series)
        array = pa.Array.from_pandas(series, type=type_, safe=False)
        columns[name] = array
    return pa.table(columns)
