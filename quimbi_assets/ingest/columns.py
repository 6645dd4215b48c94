"""Which column of a store's file is which canonical column.

Belongs here: recognising columns, and line exports: orders and lines in one file, one row a line, the order's fields
on each or, as Shopify writes them, on an order's first row only. Does not: the names themselves (``tables``), reading
values (``rows``).
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher
from types import MappingProxyType

import pandas as pd

from quimbi_assets.errors import MissingColumnsError
from quimbi_assets.ingest.cells import parse_amounts
from quimbi_assets.ingest.dates import parse_dates
from quimbi_assets.ingest.tables import EXPORTS, GUESSES, ORDER_ITEMS, ORDERS, PRODUCT_NAMES, Export, Kind, TableSpec

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


def require_columns(
    rows: pd.DataFrame, columns: list[str], found: Mapping[str, str], spec: TableSpec, where: str
) -> None:
    """Refuse a file, called `where`, if required columns are missing or wholly NULL: not among those `found`.

    MissingColumnsError names all of them, with a guess for each that rests on names and on the first `rows`.
    """
    if not (missing := [column for column in spec.required if column not in found]):
        return
    if spec is ORDERS and len(missing) > 1 and not lacks_lines(columns):
        missing = [column for column in missing if column != "total_price"]  # its lines add up to it
    names = by_name(columns).keys()
    empty = [column for column in missing if names & set(spec.aliases[column])]
    free = [column for column in columns if column not in found.values() and not holds_lists(rows[column])]
    guesses = dict.fromkeys(empty) | _guesses([c for c in missing if c not in empty], rows[free].head(_TRIED), spec)
    lacking = [f"{column} (it is there but empty in every row)" if column in empty else column for column in missing]
    known = [f"{c} is also known as {', '.join(spec.aliases[c][1:])}" for c in missing if not guesses[c]]
    raise MissingColumnsError(
        f"{where} has no column {', '.join(lacking)}: it has {', '.join(columns)}{'; '.join(['', *known])}",
        {column: guesses[column] for column in missing},
    )


def holds_lists(values: pd.Series) -> bool:
    """Tell whether a column's cells are lists or maps, by the first that is there: a column is of one type."""
    return bool(values.dtype == object and values.dropna().head(1).map(pd.api.types.is_list_like).any())


_TRIED = 1_000
"""Rows by which it is judged whether a column may hold dates or money."""
_LIKE = 0.7
"""Likeness of names, of 1, from which one may mean the other."""


def _guesses(missing: list[str], rows: pd.DataFrame, spec: TableSpec) -> dict[str, str | None]:
    """Return for each missing column the most likely of the file's, each at most once."""
    kinds = {column.name: column.kind for column in spec.declared}
    scored = [
        (_likeness(name, (*spec.aliases[column], *GUESSES.get(column, "").split())), column, name)
        for column in missing
        for name in rows.columns
        if _may_be(kinds[column], rows[name].dropna())
    ]
    guesses: dict[str, str | None] = dict.fromkeys(missing)
    for likeness, column, name in sorted(scored, key=lambda one: -one[0]):
        if guesses[column] is None and name not in guesses.values() and (likeness >= _LIKE or kinds[column] == "date"):
            guesses[column] = name
    rest = [name for name in rows.columns if name not in guesses.values() and rows[name].is_unique]
    if spec.key and guesses.get(spec.key[0], "") is None and len(rows) > 1 and rest:
        guesses[spec.key[0]] = rest[0]
    return guesses


def _likeness(name: str, meanings: Collection[str]) -> float:
    """Return how much a column's name is like one of several, 0 to 1; one that holds the other is .8 of it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = normalised(plain)
    parts = set(plain.split("_"))
    return max(max(0.8 * (meaning in parts), SequenceMatcher(None, plain, meaning).ratio()) for meaning in meanings)


def _may_be(kind: Kind, values: pd.Series) -> bool:
    """Tell whether most values of a column can be read as what is looked for."""
    if kind == "date":
        instants, _ = parse_dates(values, "UTC")
        return bool(2 * instants.count() > len(values) > 0)
    if kind in ("money", "number", "whole", "rating"):
        return bool(2 * parse_amounts(values).count() > len(values) > 0)
    return len(values) > 0


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
