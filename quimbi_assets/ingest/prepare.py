"""Rows as found become canonical rows, or are refused one by one with a reason.

Belongs here: the order of the checks, repetitions, references between tables. Does not: one row's own checks
(``rows``, ``schemas``), which accepted orders count as purchases (``policy``).
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from quimbi_assets.ingest import aliases, schemas, tables
from quimbi_assets.ingest.amounts import largest_amount
from quimbi_assets.ingest.keys import among
from quimbi_assets.ingest.refusals import refused_rows, split_broken
from quimbi_assets.ingest.rows import apply_schema, read_rows
from quimbi_assets.ingest.text import as_text

TWICE = "occurs twice with different contents; the first was kept"
NO_ORDER = "no accepted order has this order_id"


@dataclass(frozen=True)
class Prepared:
    """One table of a file, sorted into accepted and refused.

    Parameters
    ----------
    table : str
        Name of the table.
    accepted : pandas.DataFrame
        (n_accepted, n_columns) canonical columns; those the file does not record are wholly NULL.
    refused : pandas.DataFrame
        (n_refused, 2): ``row`` (JSON text, as the file had it) and ``reason``.
    ignored_columns, absent_columns : list of str
        The file's columns that mean nothing here; canonical columns that the file does not record.
    notes : list of str
        What else a person should know.
    contested : pandas.Series
        (n,) keys (first key column) of rows that were refused; what is stored about them must stay.
    """

    table: str
    accepted: pd.DataFrame
    refused: pd.DataFrame
    ignored_columns: list[str] = field(default_factory=list)
    absent_columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    contested: pd.Series = field(default_factory=lambda: pd.Series(dtype="str"))

    @property
    def n_read(self) -> int:
        """Rows of the file, identical repetitions not counted."""
        return len(self.accepted) + len(self.refused)


def prepare_orders(
    frame: pd.DataFrame, time_zone: str, now: pd.Timestamp, currency: str | None = None, where: str = "the orders file"
) -> Prepared:
    """Sort a file of orders into accepted and refused rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        (n_rows, n_columns) as `files.read_table` returns it.
    time_zone : str
        IANA zone of dates without offset.
    now : pandas.Timestamp
        Present instant, with zone; later dates (by more than a day, for clocks that differ) are refused.
    currency : str, optional
        The store's currency, which tells what amount is absurd; by default the file's most common one.
    where : str
        What to call the file in a message.

    Returns
    -------
    Prepared

    Raises
    ------
    BadInputError
        If a required column is missing or wholly NULL.
    """
    spec = tables.ORDERS
    frame, broken = split_broken(frame)
    found = aliases.find_columns(frame, spec, where)
    exported = aliases.is_line_export(frame)
    if exported:
        frame = _one_row_an_order(frame, found)
    status, used = aliases.order_status(frame, found)
    typed, reasons = read_rows(frame, spec, found, time_zone, now)
    if status is not None:
        typed["status"] = as_text(status)
    typed["currency"] = typed["currency"].str.upper()
    common = typed["currency"].mode()
    usual = currency or (str(common.iloc[0]) if len(common) else None)
    reasons = apply_schema(typed, reasons, schemas.stored_orders(largest_amount(usual)))
    ignored = _ignored(frame, spec, [*found.values(), *used], exported)
    return _sorted(spec, frame, typed, reasons, ignored, broken)


def prepare_order_items(
    frame: pd.DataFrame,
    time_zone: str,
    now: pd.Timestamp,
    known_orders: Collection[str] | pd.Series,
    currency: str | None = None,
    where: str = "the items file",
) -> Prepared:
    """Sort a file of order lines into accepted and refused rows.

    Parameters
    ----------
    known_orders : collection of str
        Ids of the orders that lines may belong to: accepted from the same load, or already stored.
    frame, time_zone, now, currency, where
        As for `prepare_orders`.

    Returns
    -------
    Prepared
        ``line_no`` is the order of appearance within the order, from 1, where the file has none.

    Raises
    ------
    BadInputError
        If a required column is missing or wholly NULL.
    """
    spec = tables.ORDER_ITEMS
    frame, broken = split_broken(frame)
    found = aliases.find_columns(frame, spec, where)
    exported = aliases.is_line_export(frame)
    typed, reasons = read_rows(frame, spec, found, time_zone, now)
    if exported:  # many shops give only some products a SKU; the line's name is always there
        names = {aliases.normalised(column): column for column in frame.columns}
        if "lineitem_name" in names:
            typed["product_id"] = typed["product_id"].fillna(as_text(frame[names["lineitem_name"]]))
            reasons = reasons.mask(reasons.eq("product_id is missing") & typed["product_id"].notna())
    if "line_no" not in found:
        typed["line_no"] = typed.groupby("order_id", dropna=False, sort=False).cumcount() + 1
    else:
        broken_number = typed["line_no"].isna() | ~np.isfinite(typed["line_no"]) | (typed["line_no"] % 1 != 0)
        reasons = reasons.mask(reasons.isna() & broken_number, "line_no is not a whole number")
        typed["line_no"] = typed["line_no"].mask(broken_number | (typed["line_no"].abs() > 2**31), -1).astype("int64")
    reasons = apply_schema(typed, reasons, schemas.stored_order_items(largest_amount(currency)))
    orphans = ~among(typed["order_id"], pd.Series(list(known_orders), dtype="str"))
    reasons = reasons.mask(reasons.isna() & orphans, NO_ORDER)
    return _sorted(spec, frame, typed, reasons, _ignored(frame, spec, list(found.values()), exported), broken)


def prepare_support_tickets(
    frame: pd.DataFrame, time_zone: str, now: pd.Timestamp, where: str = "the tickets file"
) -> Prepared:
    """Sort a file of support tickets into accepted and refused rows; parameters as for `prepare_orders`."""
    spec = tables.SUPPORT_TICKETS
    frame, broken = split_broken(frame)
    found = aliases.find_columns(frame, spec, where)
    typed, reasons = read_rows(frame, spec, found, time_zone, now)
    reasons = apply_schema(typed, reasons, schemas.stored_support_tickets())
    return _sorted(spec, frame, typed, reasons, _ignored(frame, spec, list(found.values()), False), broken)


def _one_row_an_order(frame: pd.DataFrame, found: dict[str, str]) -> pd.DataFrame:
    """Keep the rows of a line export that carry the order's fields; of an order without one, its first row."""
    heads = frame[found["total_price"]].notna()
    order = frame[found["order_id"]]
    headless = ~order.isin(order[heads]) & ~order.duplicated()
    return frame[heads | headless]


def _ignored(frame: pd.DataFrame, spec: tables.TableSpec, used: list[str], exported: bool) -> list[str]:
    if exported:  # orders and lines share the file: what one does not read the other does
        return []
    meant = {alias for spellings in spec.aliases.values() for alias in spellings}  # but empty: told as absent
    return [
        str(column)
        for column in frame.columns
        if str(column) not in used and not (aliases.normalised(column) in meant and frame[column].isna().all())
    ]


def _sorted(
    spec: tables.TableSpec,
    frame: pd.DataFrame,
    typed: pd.DataFrame,
    reasons: pd.Series,
    ignored: list[str],
    broken: pd.DataFrame,
) -> Prepared:
    """Collapse repetitions, refuse contradictions, and split the rows."""
    key, notes = list(spec.key), []
    good = typed[reasons.isna()]
    again = good.duplicated(key)
    if again.any():
        same = good[good.duplicated(key, keep=False)].duplicated().reindex(good.index, fill_value=False) & again
        if same.any():
            notes.append(f"{int(same.sum()):,} rows repeat an earlier row exactly and were taken once")
        reasons = reasons.copy()
        reasons[again.index[again & ~same]] = f"{key[-1]} {TWICE}"
        good = good[~again]
    refused = reasons.notna()
    contested = typed.loc[refused, key[0]].dropna().drop_duplicates()
    absent = [column for column in spec.columns if column != "line_no" and typed[column].isna().all()]
    rows = pd.concat([refused_rows(frame[refused], reasons[refused]), broken], ignore_index=True)
    return Prepared(spec.name, good.reset_index(drop=True), rows, ignored, absent, notes, contested)
