"""The form in which everything after ingestion reads orders, lines and tickets, and pandas frames brought into it.

Belongs here: columns and types of the canonical tables. Does not: which orders are in them (``policy``), what of them
is visible at an instant (``history``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import tables
from quimbi_assets.ingest.cells import Signs, rounded_ids, text_signs
from quimbi_assets.instants import naive_utc
from quimbi_assets.store import zone

if TYPE_CHECKING:
    import pandera.pandas as pandera

_TYPES: Mapping[tables.Kind, str] = {"text": "string", "labels": "string", "whole": "int64", "date": "timestamp(6)"}
"""The others are floating-point numbers."""


def _typed(spec: tables.TableSpec, names: str) -> dict[str, str]:
    """Return columns with the types that their table declares; a line's customer is its order's."""
    kinds = {column.name: column.kind for column in (*tables.ORDERS.declared, *spec.declared)}
    return {name: _TYPES.get(kinds[name.removesuffix("_local")], "float64") for name in names.split()}


ORDERS = _typed(
    tables.ORDERS, "order_id customer_id order_date order_date_local total_price discount_amount refund_amount source"
)
ITEMS = _typed(
    tables.ORDER_ITEMS,
    "customer_id order_id line_no product_id category product_type quantity price refund_amount refunded_at",
)
TICKETS = _typed(
    tables.SUPPORT_TICKETS,
    "ticket_id customer_id created_at created_at_local channel subject tags first_response_at resolved_at "
    "satisfaction_score reopen_count",
)
CANONICAL: Mapping[str, Mapping[str, str]] = {"raw_orders": ORDERS, "raw_items": ITEMS, "raw_tickets": TICKETS}
"""Tables by name, columns with their Ibis types. Times are naive UTC, ``_local`` ones naive on the store's clock."""


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a canonical table."""
    return ibis.schema(CANONICAL[table]).to_pyarrow()


def canonical_schema(table: str) -> "pandera.DataFrameSchema":
    """Return what a batch of a canonical table's rows must fulfil: types, what may be NULL, money and counts >= 0.

    Any row may lack a customer: guests, where the store's order policy keeps them, and tickets that found nobody.
    """
    import pandera.pandas as pandera  # half a second, which a page or a list does not need

    required = {"order_id", "order_date", "order_date_local", "total_price", "line_no", "product_id"}
    required |= {"quantity", "price", "ticket_id", "created_at", "created_at_local"}
    types = {
        "string": pd.StringDtype(na_value=np.nan),
        "float64": float,
        "int64": "int64",
        "timestamp(6)": np.dtype("datetime64[us]"),
    }
    return pandera.DataFrameSchema(
        {
            name: pandera.Column(
                types[kind],
                pandera.Check.ge(0, error=f"{name} is negative") if kind == "float64" else None,
                nullable=name not in required,
            )
            for name, kind in CANONICAL[table].items()
        },
        name=table,
        strict=True,
    )


def canonical_tables(
    orders: pd.DataFrame, items: pd.DataFrame | None = None, tickets: pd.DataFrame | None = None, time_zone: str = "UTC"
) -> dict[str, pa.Table]:
    """Bring pandas frames of orders, lines and tickets into the canonical form.

    Each needs the columns in which its table must have a value (``tables``) and may have the others of
    :data:`CANONICAL`; absent ones are NULL. ``total_price`` is what was paid. Dates with an offset are converted; naive
    ones are UTC. Local times that are absent follow from the store's clock. Rows without a customer, and lines of
    orders that are not there, are left out. ``ValueError``: missing column, rounded ids, order twice, unknown zone.
    """
    _require(orders, "orders", tables.ORDERS)
    orders = _with_local(orders, "order_date", time_zone)
    orders = orders[orders["customer_id"].notna()]
    raw_orders = _arrow(orders, "raw_orders")
    if len(again := orders["order_id"][orders["order_id"].duplicated()]):
        raise BadInputError(f"orders: order_id {again.iloc[0]} stands on several rows; give one row an order")
    return {
        "raw_orders": raw_orders,
        "raw_items": _items(items, raw_orders),
        "raw_tickets": _tickets(tickets, time_zone),
    }


def _items(items: pd.DataFrame | None, orders: pa.Table) -> pa.Table:
    if items is None:
        return arrow_schema("raw_items").empty_table()
    _require(items, "items", tables.ORDER_ITEMS)
    if "refunded_at" in items:
        items = items.assign(refunded_at=naive_utc(items["refunded_at"]))
    if "line_no" not in items:
        items = items.assign(line_no=range(1, len(items) + 1))
    table = _arrow(items.drop(columns="customer_id", errors="ignore"), "raw_items")
    place = pc.index_in(table["order_id"], orders["order_id"])
    owned = table.set_column(0, "customer_id", orders["customer_id"].combine_chunks().take(place.combine_chunks()))
    return owned.filter(pc.is_valid(place))


def _tickets(tickets: pd.DataFrame | None, time_zone: str) -> pa.Table:
    if tickets is None:
        return arrow_schema("raw_tickets").empty_table()
    _require(tickets, "tickets", tables.SUPPORT_TICKETS)
    dates = [name for name in ("first_response_at", "resolved_at") if name in tickets]
    tickets = _with_local(tickets, "created_at", time_zone).assign(**{name: naive_utc(tickets[name]) for name in dates})
    return _arrow(tickets[tickets["customer_id"].notna()], "raw_tickets")


def _with_local(frame: pd.DataFrame, column: str, time_zone: str) -> pd.DataFrame:
    """Return the frame with an instant as naive UTC and, as ``<column>_local``, on the store's clock."""
    dates = naive_utc(frame[column])
    local = dates.dt.tz_localize("UTC").dt.tz_convert(zone(time_zone)).dt.tz_localize(None)
    name = f"{column}_local"
    return frame.assign(**{column: dates, name: frame[name].fillna(local) if name in frame else local})


def _require(frame: pd.DataFrame, what: str, spec: tables.TableSpec) -> None:
    missing = [column for column in spec.required if column not in frame]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}; its columns are {', '.join(map(str, frame.columns))}")


def _arrow(frame: pd.DataFrame, table: str) -> pa.Table:
    columns = {}
    for field in arrow_schema(table):
        if field.name not in frame:
            columns[field.name] = pa.nulls(len(frame), field.type)
            continue
        series = frame[field.name]
        if pa.types.is_string(field.type) and not isinstance(series.dtype, pd.StringDtype):
            if pd.api.types.is_float_dtype(series.dtype) and Signs.ROUNDED in text_signs(series):
                raise rounded_ids(table.removeprefix("raw_"), field.name)
            if pd.api.types.is_float_dtype(series.dtype) and (series.dropna() % 1 == 0).all():
                series = series.astype("Int64")  # whole numbers that a gap turned into floats: "17850", not "17850.0"
            series = series.astype("str").where(series.notna())
        elif not pa.types.is_timestamp(field.type) and not pa.types.is_string(field.type):
            series = pd.to_numeric(series)
        columns[field.name] = pa.Array.from_pandas(series, type=field.type, safe=False)
    return pa.table(columns)
