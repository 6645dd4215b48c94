"""Which column of a store's file is which canonical column.

Belongs here: recognising columns, and the shape of a Shopify order export (one row a line item, order fields on an
order's first row only). Does not: the names themselves (``tables``), reading values (``rows``).
"""

import re

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.tables import ORDER_ITEMS, TableSpec


def normalised(name: object) -> str:
    """Return a column name in lower snake case.

    Examples
    --------
    >>> normalised("Lineitem price"), normalised("customer.id"), normalised(" Created at ")
    ('lineitem_price', 'customer_id', 'created_at')
    """
    return re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).strip("_")


def is_line_export(frame: pd.DataFrame) -> bool:
    """Tell whether `frame` is a Shopify order export: one row a line item, orders and lines in one file."""
    names = {normalised(name) for name in frame.columns}
    return {"name", "lineitem_quantity", "lineitem_price"} <= names


def _in_line_export(column: str, aliases: tuple[str, ...], spec: TableSpec) -> tuple[str, ...]:
    """Keep the spellings that hold in a line export: it repeats "Name" on every row ("Id" only on an order's first),
    and a bare "Refunded Amount" there is the order's, not the line's."""
    if column == "order_id":
        return ("name",)
    if spec is ORDER_ITEMS:
        return tuple(alias for alias in aliases if alias.startswith("lineitem_"))
    return aliases


def order_status(frame: pd.DataFrame, found: dict[str, str]) -> tuple[pd.Series | None, list[str]]:
    """Return each order's status and the file's columns it comes from.

    A true ``test`` says more than a date in ``cancelled_at``, and that more than the status column.
    """
    status = frame[found["status"]] if "status" in found else None
    used = []
    for column in frame.columns:
        state = {"test": "test", "is_test": "test", "cancelled_at": "cancelled", "canceled_at": "cancelled"}.get(
            normalised(column)
        )
        if state is None:
            continue
        used.append(str(column))
        says = frame[column].notna()
        if state == "test":
            says &= frame[column].astype("str").str.strip().str.lower().isin(["true", "1", "1.0", "yes", "t"])
        if says.any():
            before = pd.Series(None, index=frame.index, dtype="str") if status is None else status.astype("str")
            overruled = (before == "test").fillna(value=False).astype(bool)
            status = before.mask(says & ~overruled, state)
    return status, used


def find_columns(frame: pd.DataFrame, spec: TableSpec, where: str) -> dict[str, str]:
    """Find the file's column for each canonical column.

    Parameters
    ----------
    frame : pandas.DataFrame
        (n_rows, n_columns) as read.
    spec : TableSpec
        The table it should become.
    where : str
        What to call the file in a message.

    Returns
    -------
    dict
        Canonical name → the file's name, for every column that is there and not wholly NULL.

    Raises
    ------
    BadInputError
        If a required column is missing or wholly NULL.
    """
    names: dict[str, str] = {}
    for name in frame.columns:
        names.setdefault(normalised(name), str(name))
    exported = is_line_export(frame)
    found = {}
    for column, aliases in spec.aliases.items():
        spellings = _in_line_export(column, aliases, spec) if exported else aliases
        chosen = next((names[a] for a in spellings if a in names and frame[names[a]].notna().any()), None)
        if chosen is not None:
            found[column] = chosen
    missing = [column for column in spec.required if column not in found]
    if missing:
        column = missing[0]
        accepted = ", ".join(spec.aliases[column])
        empty = " (it is there but empty in every row)" if any(alias in names for alias in spec.aliases[column]) else ""
        columns = ", ".join(str(name) for name in frame.columns)
        raise BadInputError(
            f"{where} has no column {column}{empty}: it has {columns}; "
            f"rename one of them to {column} (accepted: {accepted})"
        )
    return found
