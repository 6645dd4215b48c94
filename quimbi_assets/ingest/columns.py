"""Which column of a store's file is which canonical column.

Belongs here: recognising columns, and line exports: orders and lines in one file, one row a line, the order's fields
on each or, as Shopify writes them, on an order's first row only. Does not: the names themselves (``tables``), reading
values (``rows``).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.tables import EXPORTS, ORDER_ITEMS, ORDERS, PRODUCT_NAMES, Export, TableSpec

NOTHING: Mapping[str, str] = MappingProxyType({})
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


def export_of(columns: Iterable[str]) -> Export | None:
    """Return which system's export a file with these columns is, if any that is known."""
    names = by_name(columns).keys()
    return next((export for export in EXPORTS if export.marks <= names), None)


def candidates(columns: Iterable[str], spec: TableSpec, chosen: Mapping[str, str] = NOTHING) -> dict[str, list[str]]:
    """Return, for each canonical column, the file's columns that may be it, best first.

    What a person has `chosen` is it: canonical column → the file's. In a line export a refund that has a date is the
    line's, not the order's; Shopify's bare "Refunded Amount" is the order's, not the line's.
    """
    columns = list(columns)
    names, export = by_name(columns), export_of(columns)
    possible = {}
    for column, names_of in spec.aliases.items():
        here = export.means.get(f"{spec.name}.{column}") if export else None
        meant = names_of if here is None else tuple(here.split())
        if export and export.line_prefix and spec is ORDER_ITEMS and here is None:
            meant = tuple(name for name in meant if name.startswith(export.line_prefix))
        mine = [chosen[column]] if column in chosen else []
        possible[column] = mine or [names[name] for name in meant if name in names]
    if spec is ORDERS and export is None and "refund_amount" not in chosen:
        lines = candidates(columns, ORDER_ITEMS, chosen)
        if all(lines[column] for column in (*ORDER_ITEMS.required, "refunded_at")):
            possible["refund_amount"] = [c for c in possible["refund_amount"] if c not in lines["refund_amount"]]
    return possible


def missing_columns(columns: Iterable[str], spec: TableSpec, chosen: Mapping[str, str] = NOTHING) -> list[str]:
    """Return the columns that the table requires and that none of the file's can be."""
    possible = candidates(columns, spec, chosen)
    return [column for column in spec.required if not possible[column]]


def is_line_export(columns: Iterable[str], chosen: Mapping[str, str] = NOTHING) -> bool:
    """Tell whether a file with these columns is a line export: one with all that orders and lines need."""
    return not any(missing_columns(columns, spec, chosen) for spec in (ORDERS, ORDER_ITEMS))


def has_only_lines(columns: Iterable[str], chosen: Mapping[str, str] = NOTHING) -> bool:
    """Tell whether a file with these columns holds all that orders and lines need but the orders' totals."""
    return missing_columns(columns, ORDERS, chosen) == ["total_price"] and not lacks_lines(columns, chosen)


def lacks_lines(columns: Iterable[str], chosen: Mapping[str, str] = NOTHING) -> bool:
    """Tell whether a file with these columns cannot be lines; what all pieces of a line cost will do for the price."""
    possible = candidates(columns, ORDER_ITEMS, chosen)
    possible["price"] = possible["price"] or possible["line_total"]
    return not all(possible[column] for column in ORDER_ITEMS.required)


def product_names(columns: Iterable[str]) -> list[str]:
    """Return the file's columns that name a line's product in words, best first."""
    names = by_name(columns)
    return [names[name] for name in PRODUCT_NAMES.split() if name in names]


def person_columns(columns: Iterable[str], spec: TableSpec) -> dict[str, str]:
    """Return the file's columns that say whose a row is, best first, each with its kind of key."""
    names = by_name(columns)
    return {names[name]: kind for kind, spellings in spec.person.items() for name in spellings.split() if name in names}


def find_columns(
    columns: Iterable[str], filled: Collection[str], spec: TableSpec, chosen: Mapping[str, str] = NOTHING
) -> dict[str, str]:
    """Return canonical name → the file's, for every column of the table that is among those `filled`."""
    possible = candidates(columns, spec, chosen)
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
