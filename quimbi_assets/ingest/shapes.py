"""Files whose rows are not orders and lines one by one, brought into that form.

Belongs here: files of lines alone, whose orders are the sums of their lines and whose negative lines are refunds; all
lines of an order in one cell; what a line cost instead of a price; date and time apart. Does not: which column is which
(``columns``), reading values (``cells``, ``dates``), whether a row is acceptable (``prepare``).
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from quimbi_assets.engines import DuckEngine
from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import columns
from quimbi_assets.ingest.cells import Signs, as_text, parse_amounts, plain_text
from quimbi_assets.ingest.dates import parse_dates
from quimbi_assets.ingest.files import CHUNK_ROWS, Chunk, Table, as_frame
from quimbi_assets.ingest.survey import kinds_of, read_signs
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS, Export

_OURS = "row", "order", "customer", "product", "at", "amount", "discount", "back"
ROW, ORDER, CUSTOMER, PRODUCT, AT, AMOUNT, DISCOUNT, BACK = (f"quimbi {name}" for name in _OURS)
"""Columns that lines carry beside the file's own: its rows count from 0, amounts are money, ``at`` is naive UTC."""
CREDIT_NOTE = r"[Cc]\d+"
"""An invoice of this form takes back what another one charged."""
REFUND, REFUNDED_AT = "refund_amount", "refunded_at"


class Shaped(NamedTuple):
    """A file of orders as tables of orders and of lines, None where it holds none; and what there is to say of it."""

    orders: Table
    lines: Table | None
    notes: list[str]


def shaped(table: Table, time_zone: str, opened: ExitStack) -> Shaped:
    """Bring a file that is given for orders into tables of orders and lines.

    Dates without offset are in `time_zone`. What has to be worked out over all rows rests in an engine while `opened`
    is.
    """
    export = columns.export_of(table.columns)
    if export and export.lacks:
        raise BadInputError(f"the file of orders is {export.name}, which {export.lacks}")
    if export and export.clock:
        table = _with_clock(table, export)
    if export and export.minus:
        table = _without_minus(table, export)
    if export and export.packed:
        return Shaped(table, _unpacked(table, export.packed), [])
    amount = None if export else _amount_of_lines(table)
    if amount is not None:
        table = replace(table, chosen={**table.chosen, "line_total": amount})
    priced = with_prices(table)
    if amount is None and columns.is_line_export(priced.columns, priced.chosen):
        return Shaped(priced, priced, [])
    if columns.has_only_lines(table.columns, table.chosen) or (
        amount and not columns.lacks_lines(table.columns, table.chosen)
    ):
        return _of_lines(priced, opened, time_zone) or Shaped(table, None, [])
    return Shaped(table, None, [])


def _amount_of_lines(table: Table) -> str | None:
    """Return the column that seems to hold orders' totals but differs between lines of one order: it is the lines'."""
    possible = columns.candidates(table.columns, ORDERS, table.chosen)
    lines = columns.candidates(table.columns, ORDER_ITEMS, table.chosen)
    if not (possible["order_id"] and possible["total_price"] and lines["quantity"] and lines["product_id"]):
        return None
    (order, *_), (total, *_) = possible["order_id"], possible["total_price"]
    chunk = next(iter(table.chunks([order, total])), None)
    if chunk is None:
        return None
    totals = chunk.frame[[order, total]].dropna().groupby(order, sort=False)[total].agg(["size", "nunique"])
    several = totals[totals["size"] > 1]
    return total if 2 * (several["nunique"] > 1).sum() > len(several) else None


def with_prices(table: Table) -> Table:
    """Return a table of lines with the price of a piece, where the file has only what all pieces of a line cost."""
    possible = columns.candidates(table.columns, ORDER_ITEMS, table.chosen)
    if possible["price"] or columns.lacks_lines(table.columns, table.chosen):
        return table
    cost, quantity = possible["line_total"][0], possible["quantity"][0]
    signs = _signs(table, {cost: "money", quantity: "number"})

    def priced(frame: pd.DataFrame) -> pd.DataFrame:
        pieces = parse_amounts(frame[quantity], signs[quantity])
        return frame.assign(price=parse_amounts(frame[cost], signs[cost]) / pieces.where(pieces != 0))

    return replace(table.changed(priced, ["price"]), chosen={**table.chosen, "price": "price"})


def _with_clock(table: Table, export: Export) -> Table:
    """Return a table whose order date holds the time too, where the export has that in a column of its own."""
    clock = columns.by_name(table.columns).get(export.clock)
    dates = columns.candidates(table.columns, ORDERS, table.chosen)["order_date"]
    if clock is None or not dates:
        return table
    date = dates[0]

    def joined(frame: pd.DataFrame) -> pd.DataFrame:
        days, times = plain_text(frame[date]), plain_text(frame[clock])
        return frame.assign(**{date: (days + " " + times).fillna(days)})

    return table.changed(joined)


def _without_minus(table: Table, export: Export) -> Table:
    """Return a table whose amounts taken off are written as they are elsewhere, without a minus."""
    names = columns.by_name(table.columns)
    taken_off = [names[name] for name in export.minus.split() if name in names]

    def plain(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{name: plain_text(frame[name]).str.removeprefix("-") for name in taken_off})

    return table.changed(plain)


class _Packed(NamedTuple):
    """How the lines of an order are written in one cell."""

    between: str
    """Pattern between two lines."""
    field: str
    """Pattern of a field's value; ``{}`` is its name."""
    fields: dict[str, str]
    """Column of a table of lines → the field's name."""


_PACKED = {
    "line_items": _Packed(
        r"(?<!\\);",
        r"(?:^|(?<!\\)\|){}:((?:[^|\\]|\\.)*)",
        {
            "product_id": "sku",
            "product_name": "name",
            "quantity": "quantity",
            "line_total": "subtotal",
            REFUND: "refunded",
        },
    ),
    "product_details": _Packed(
        r"\s*\|\s*(?=Product )",
        r"Product {}:\s*(.*?)\s*(?:,\s*Product [A-Z][A-Za-z ]*:|$)",
        {"product_id": "SKU", "product_name": "Name", "quantity": "Qty", "line_total": "Total Price"},
    ),
}
"""By the cell's column: as WooCommerce (which may write JSON, with the same names) and as BigCommerce write it."""


def _unpacked(table: Table, packed: str) -> Table | None:
    """Return the lines that stand in one cell of each order; None where the file names no order."""
    way, cells = _PACKED[packed], columns.by_name(table.columns)[packed]
    orders = columns.candidates(table.columns, ORDERS, table.chosen)["order_id"]
    if not orders:
        return None

    def lines(frame: pd.DataFrame) -> pd.DataFrame:
        written = plain_text(frame[cells]).dropna().str.strip()
        is_json = written.str.startswith("[")
        values = pd.concat([_of_text(written[~is_json], way), _of_json(written[is_json], way)]).sort_index(
            kind="stable"
        )
        products = values["product_id"].mask(values["product_id"] == "unknown_product")
        return values.assign(product_id=products, order_id=frame[orders[0]].loc[values.index])

    return with_prices(Table(["order_id", *way.fields], table.changed(lines).chunks))


def _of_text(cells: pd.Series, way: _Packed) -> pd.DataFrame:
    """Return the lines of cells as columns of text, indexed by their order's row."""
    written = cells.str.split(way.between, regex=True).explode().dropna().str.strip()
    parts = {column: written.str.extract(way.field.format(name))[0] for column, name in way.fields.items()}
    values = {column: part.str.replace(r"\\(.)", r"\1", regex=True) for column, part in parts.items()}
    return pd.DataFrame(values, index=written.index)


def _of_json(cells: pd.Series, way: _Packed) -> pd.DataFrame:
    """Return the same of cells that are lists of objects; what is no such list becomes a line that says nothing."""
    lines = cells.map(_objects).explode().dropna()
    texts = {
        column: [None if line.get(name) is None else str(line[name]) for line in lines]
        for column, name in way.fields.items()
    }
    return pd.DataFrame(texts, index=lines.index, dtype="str")


def _objects(cell: str) -> list[dict[str, Any]]:
    try:
        lines = json.loads(cell)
    except (ValueError, RecursionError):
        return [{}]
    return [line if isinstance(line, dict) else {} for line in lines]


def _signs(table: Table, kinds: dict[str, str]) -> dict[str, Signs]:
    signs = dict.fromkeys(kinds, Signs.NONE)
    for chunk in table.chunks(list(kinds)):
        read_signs(chunk.frame, kinds, signs)
    return signs


class _Roles(NamedTuple):
    """Which of the file's columns are the orders', which the lines', and how their cells are written."""

    of_order: dict[str, str]
    of_line: dict[str, str]
    discount: str | None
    signs: dict[str, Signs]


def _roles(table: Table) -> _Roles:
    discount = next(iter(columns.candidates(table.columns, ORDER_ITEMS, table.chosen)["line_discount"]), None)
    kinds = kinds_of(table, ORDERS) | kinds_of(table, ORDER_ITEMS) | ({discount: "money"} if discount else {})
    signs = _signs(table, kinds)
    filled = [name for name, shown in signs.items() if Signs.FILLED in shown]
    of_order, of_line = (
        columns.find_columns(table.columns, filled, spec, table.chosen) for spec in (ORDERS, ORDER_ITEMS)
    )
    of_line = {column: name for column, name in of_line.items() if column in ORDER_ITEMS.columns}
    return _Roles(of_order, of_line, discount if discount in filled else None, signs)


def _of_lines(table: Table, opened: ExitStack, time_zone: str) -> Shaped | None:
    """Make orders of lines, and refunds of lines that take something back; None where a needed column is empty."""
    roles = _roles(table)
    of_order, of_line = roles.of_order, roles.of_line
    if not {*ORDERS.required, *ORDER_ITEMS.required} - {"total_price"} <= of_order.keys() | of_line.keys():
        return None
    broken: list[str] = []
    words = Counter[str]()
    engine = opened.enter_context(DuckEngine())
    engine.take("lines", _stream(table, roles, time_zone, broken, words))
    notes = _set_against_purchases(engine)
    totals = {"total_price": "total_price"} | ({"discount_amount": "discount_amount"} if roles.discount else {})
    engine.materialise("orders", _ORDERS)
    states = [name for name in table.columns if columns.normalised(name) in columns.STATES]
    used = dict.fromkeys([*of_order.values(), *states, *columns.person_columns(table.columns, ORDERS)])
    orders = Table([*used, *totals], partial(_rows, engine, "orders", [], words), of_order | totals)
    # A known system's further columns are no mistake, those of others are told of as ignored.
    rest = [] if columns.export_of(table.columns) else [name for name in table.columns if name not in used]
    refunds = [REFUND, REFUNDED_AT] if notes else []
    names = dict.fromkeys([*of_line.values(), *columns.product_names(table.columns), *rest, *refunds])
    lines = Table(
        list(names),
        partial(_rows, engine, "refunded" if notes else "bought", broken, words),
        of_line | {name: name for name in refunds},
    )
    return Shaped(orders, lines, notes)


def _stream(
    table: Table, roles: _Roles, time_zone: str, broken: list[str], words: Counter[str]
) -> pa.RecordBatchReader:
    """Stream lines with what orders and refunds are made of; lines of text that are none are put into `broken`.

    `words` counts by column the cells that say in a word that nothing is there.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        n_rows = 0
        for chunk in table.chunks(None):
            frame = chunk.frame.assign(**{ROW: range(n_rows, n_rows + len(chunk.frame))})
            n_rows += len(frame)
            broken.extend(chunk.broken)
            words.update(chunk.words)
            yield from pa.Table.from_pandas(_with_keys(frame, roles, time_zone), preserve_index=False).to_batches()

    waiting = batches()
    first = next(waiting)
    rows = chain([first], (batch.cast(first.schema) for batch in waiting))
    return pa.RecordBatchReader.from_batches(first.schema, rows)


def _with_keys(frame: pd.DataFrame, roles: _Roles, time_zone: str) -> pd.DataFrame:
    """Return lines with the columns named above: whose each is, of which order, when, worth what, and if it is back."""
    of_order, of_line, signs = roles.of_order, roles.of_line, roles.signs
    dates = of_order["order_date"]

    def text(name: str) -> pd.Series:
        return as_text(frame[name], signs[name], are_ids=name != dates)

    def number(name: str) -> pd.Series:
        return parse_amounts(frame[name], signs.get(name))

    quantity = number(of_line["quantity"])
    written = frame[dates] if pd.api.types.is_datetime64_any_dtype(frame[dates].dtype) else text(dates)
    instants, _ = parse_dates(written, time_zone, signs[dates])
    order, cost = text(of_order["order_id"]), quantity * number(of_line["price"])
    is_back = (cost < 0) | (quantity < 0) | order.str.fullmatch(CREDIT_NOTE).fillna(value=False).astype(bool)
    discount = 0.0 if roles.discount is None else number(roles.discount).fillna(0).abs()
    keys = {
        ORDER: order,
        CUSTOMER: text(of_order["customer_id"]),
        PRODUCT: text(of_line["product_id"]),
        AT: instants.dt.tz_localize(None),
        AMOUNT: cost.abs(),
        DISCOUNT: discount,
        BACK: is_back,
    }
    return frame.assign(**keys)


_ORDERS = f"""
    SELECT * EXCLUDE ("{ROW}", first_row) FROM bought JOIN (
        SELECT min("{ROW}") AS first_row, round(sum("{DISCOUNT}" ORDER BY "{ROW}"), 4) AS discount_amount,
            round(greatest(0, coalesce(sum("{AMOUNT}" - "{DISCOUNT}" ORDER BY "{ROW}"), 0)), 4) AS total_price
        FROM bought GROUP BY "{ORDER}"
    ) ON "{ROW}" = first_row ORDER BY first_row
"""
"""An order is its first line's, and worth what all of them are."""

_KEYS = f'"{ROW}" AS row_no, "{ORDER}" AS order_id, "{CUSTOMER}" AS customer, "{PRODUCT}" AS product, "{AT}" AS instant'
_SENT_BACK = f"""
    WITH back AS (
        SELECT {_KEYS},
            "{AMOUNT}" - "{DISCOUNT}" AS amount
        FROM lines WHERE "{BACK}" AND "{AMOUNT}" > 0
    ), line AS (
        SELECT {_KEYS},
            ("{AMOUNT}", -"{ROW}") AS dearest
        FROM bought WHERE "{AMOUNT}" > 0
    ), of_order_and_product AS (
        SELECT order_id, product, arg_max(row_no, dearest) AS row_no FROM line GROUP BY ALL
    ), of_order AS (
        SELECT order_id, arg_max(row_no, dearest) AS row_no FROM line GROUP BY ALL
    ), of_product AS (
        SELECT customer, product, instant, arg_max(row_no, dearest) AS row_no FROM line
        WHERE instant IS NOT NULL GROUP BY ALL
    ), of_customer AS (
        SELECT customer, instant, arg_max(row_no, dearest) AS row_no FROM line
        WHERE instant IS NOT NULL GROUP BY ALL
    )
    SELECT back.row_no, back.instant, amount,
        coalesce(first.row_no, second.row_no, third.row_no, fourth.row_no) AS bought_row
    FROM back
    LEFT JOIN of_order_and_product first USING (order_id, product) LEFT JOIN of_order second USING (order_id)
    ASOF LEFT JOIN of_product third
        ON back.customer = third.customer AND back.product = third.product AND back.instant >= third.instant
    ASOF LEFT JOIN of_customer fourth ON back.customer = fourth.customer AND back.instant >= fourth.instant
"""
"""Lines that take something back, and the line that each is set against: of its own order the same product, else the
dearest line; else the customer's last purchase of the product, else the dearest line of their last order before."""

_REFUNDED = f"""
    SELECT bought.*, coalesce(refund, 0) AS {REFUND}, {REFUNDED_AT}
    FROM bought LEFT JOIN (
        SELECT bought_row, round(sum(amount ORDER BY row_no), 4) AS refund, max(instant) AS {REFUNDED_AT}
        FROM sent_back WHERE bought_row IS NOT NULL GROUP BY bought_row
    ) ON bought_row = "{ROW}" ORDER BY "{ROW}"
"""


def _set_against_purchases(engine: DuckEngine) -> list[str]:
    """Set what was sent back against what was bought; return what there is to say of it, nothing where nothing was."""
    engine.define("bought", f'SELECT * FROM lines WHERE NOT "{BACK}"')  # in the order in which they were put in
    engine.materialise("sent_back", _SENT_BACK)
    counts = "SELECT count(*) AS n, count(bought_row) AS n_met, sum(amount) FILTER (bought_row IS NULL) AS rest"
    n, n_met, rest = engine.arrow(f"{counts} FROM sent_back").to_pylist()[0].values()
    if not n:
        return []
    engine.materialise("refunded", _REFUNDED)
    unmet = f"; {n - n_met:,} worth {rest:,.2f} met nobody who bought before and are left out" if n > n_met else ""
    return [f"{n_met:,} lines that take something back became refunds of what was bought{unmet}"]


def _rows(
    engine: DuckEngine, table: str, broken: Sequence[str], words: Mapping[str, int], _: Sequence[str] | None
) -> Iterable[Chunk]:
    """Yield rows with the file's own columns and what was worked out."""
    waiting, counted = list(broken), dict(words)
    for batch in engine.batches(f"FROM {table}", CHUNK_ROWS):
        frame = as_frame(pa.Table.from_batches([batch]))
        frame = frame.drop(columns=[name for name in frame.columns if name.startswith("quimbi ")])
        if REFUNDED_AT in frame and pd.api.types.is_datetime64_dtype(frame[REFUNDED_AT].dtype):
            frame[REFUNDED_AT] = frame[REFUNDED_AT].dt.tz_localize("UTC")
        yield Chunk(frame, waiting, counted)
        waiting, counted = [], {}
