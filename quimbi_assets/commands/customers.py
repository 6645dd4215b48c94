"""Prints customers whom a filter or an audience chooses.

Belongs here: laying the list out. Does not: the filter (``audiences``), the query (``resources``), files (``export``).
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from quimbi_assets.audiences.filters import compile_filter
from quimbi_assets.commands.console import out, print_json
from quimbi_assets.commands.exporting import write_profiles
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.customers import Chosen, read_chosen, read_vocabulary
from quimbi_assets.resources.postgres.tables.stores import store_currency


@dataclass(frozen=True)
class ListOptions:
    """Whom to list: by which field sorted, how many."""

    where: str | None = None
    sort: str = "value"
    limit: int = 20
    csv: Path | None = None
    """Where to write all of them, instead of showing the first."""


def list_customers(store_id: str, options: ListOptions, *, as_json: bool) -> None:
    """Print how many customers a filter chooses, what they spent, and the first of them."""
    database = open_database()
    with database.snapshot() as now:
        vocabulary = read_vocabulary(now, store_id)
        query = compile_filter(options.where, vocabulary)
        if options.csv is not None:
            return write_profiles(database, store_id, query, vocabulary, options.csv, "csv")
        chosen = read_chosen(now, store_id, query, vocabulary, options.sort, options.limit)
        currency = store_currency(now, store_id) or ""
    if as_json:
        return print_json({"store_id": store_id, "where": options.where, **vars(chosen)})
    return _print_list(chosen, currency)


def _print_list(chosen: Chosen, currency: str) -> None:
    noun = "customer" if chosen.customers == 1 else "customers"
    worth = "" if chosen.value is None else f", who spent {chosen.value:,.0f} {currency}".rstrip()
    shown = len(chosen.rows)
    first = "" if shown == chosen.customers else f"; the first {shown}:" if shown else ""
    out.print(f"{chosen.customers:,} {noun}{worth}{first}", markup=False)
    if not chosen.rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, value in chosen.rows[0].items():
        table.add_column(name.replace("_", " "), justify="right" if _is_number(value, name) else "left")
    for row in chosen.rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    out.print(table, soft_wrap=False)


def _is_number(value: Any, name: str) -> bool:
    return isinstance(value, int | float) or name in ("value", "risk", "predicted_value_90d")


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%d %b %Y}".lstrip("0")
    if name == "risk":
        return f"{100 * value:.0f} %"
    return f"{value:,.0f}" if isinstance(value, float) else str(value).replace("_", " ")
