"""Which column of a store's file is which canonical column.

Belongs here: recognising columns, and line exports: orders and lines in one file, one row a line, the order's fields
on each or, as Shopify writes them, on an order's first row only. Does not: the names themselves (``tables``), reading
values (``rows``).
"""

import re
from collections.abc import Collection, Iterable

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS, TableSpec

STATES = {"test": "test", "is_test": "test", "cancelled_at": "cancelled", "canceled_at": "cancelled"}
"""Columns that say of an order that it is none, and the status it has then."""


def normalised(name: object) -> str:
    """Return a column name in lower snake case.

    >>> normalised("Lineitem price"), normalised("customer.id"), normalised(" Created at ")
    ('lineitem_price', 'customer_id', 'created_at')
    """
    return re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).strip("_")


def by_name(columns: Iterable[str]) -> dict[str, str]:
    """Return a file's columns by their normalised names; of two with one name the first."""
    names: dict[str, str] = {}
    for column in columns:
        names.setdefault(normalised(column), column)
    return names


def is_shopify_export(columns: Iterable[str]) -> bool:
    """Tell whether a file with these columns is a line export of Shopify's."""
    return {"name", "lineitem_quantity", "lineitem_price"} <= by_name(columns).keys()


def is_line_export(columns: Iterable[str]) -> bool:
    """Tell whether a file with these columns is a line export: Shopify's, or with all that orders and lines need."""
    names = by_name(columns).keys()
    needed = [spec.aliases[column] for spec in (ORDERS, ORDER_ITEMS) for column in spec.required]
    return is_shopify_export(names) or all(names & set(spellings) for spellings in needed)


def candidates(columns: Iterable[str], spec: TableSpec) -> dict[str, list[str]]:
    """Return, for each canonical column, the file's columns that may be it, best first.

    Shopify's line export repeats "Name" on every row ("Id" only on an order's first), and a bare "Refunded Amount"
    there is the order's, not the line's. In another line export a refund that has a date is the line's.
    """
    columns = list(columns)
    names, exported = by_name(columns), is_shopify_export(columns)
    line_refunds = is_line_export(columns) and bool(names.keys() & set(ORDER_ITEMS.aliases["refunded_at"]))
    possible = {}
    for column, spellings in spec.aliases.items():
        meant = spellings
        if exported and column == "order_id":
            meant = ("name",)
        elif exported and spec is ORDER_ITEMS:
            meant = tuple(name for name in spellings if name.startswith("lineitem_"))
        elif not exported and line_refunds and spec is ORDERS and column == "refund_amount":
            meant = tuple(name for name in spellings if name not in ORDER_ITEMS.aliases[column])
        possible[column] = [names[name] for name in meant if name in names]
    return possible


def person_columns(columns: Iterable[str], spec: TableSpec) -> dict[str, str]:
    """Return the file's columns that say whose a row is, best first, each with its kind of key."""
    names = by_name(columns)
    return {names[name]: kind for kind, spellings in spec.person.items() for name in spellings.split() if name in names}


def find_columns(columns: Iterable[str], filled: Collection[str], spec: TableSpec) -> dict[str, str]:
    """Return canonical name → the file's, for every column of the table that is among those `filled`."""
    possible = candidates(columns, spec)
    return {name: column for name, those in possible.items() for column in reversed(those) if column in filled}


def require_columns(columns: Collection[str], found: Collection[str], spec: TableSpec, where: str) -> None:
    """Refuse a file, called `where`, if a required column is missing or wholly NULL: not among those `found`."""
    if column := next((column for column in spec.required if column not in found), None):
        accepted = ", ".join(spec.aliases[column])
        empty = " (it is there but empty in every row)" if by_name(columns).keys() & set(spec.aliases[column]) else ""
        raise BadInputError(
            f"{where} has no column {column}{empty}: it has {', '.join(columns)}; "
            f"rename one of them to {column} (accepted: {accepted})"
        )


def order_status(frame: pd.DataFrame, found: dict[str, str]) -> pd.Series | None:
    """Return each order's status; None where no column of the file says anything.

    A true ``test`` says more than a date in ``cancelled_at``, and that more than the status column.
    """
    status = frame[found["status"]] if "status" in found else None
    for column in frame.columns:
        state = STATES.get(normalised(column))
        if state is None:
            continue
        says = frame[column].notna()
        if state == "test":
            says &= frame[column].astype("str").str.strip().str.lower().isin(["true", "1", "1.0", "yes", "t"])
        if says.any():
            before = pd.Series(None, index=frame.index, dtype="str") if status is None else status.astype("str")
            overruled = (before == "test").fillna(value=False).astype(bool)
            status = before.mask(says & ~overruled, state)
    return status
