"""Which accepted orders count as purchases, and what each is worth, as queries on the stored tables.

Belongs here: applying a store's order policy. Does not: the policy's settings (``store``), whether a row is acceptable
at all (``prepare``).
"""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from quimbi_assets.engines import DuckEngine
from quimbi_assets.ingest.canonical import ITEMS, ORDERS, canonical_tables
from quimbi_assets.store import OrderPolicy, Store

Report = dict[str, int]
"""What happened, in words, and to how many rows; in the order it happened."""

DROPPED = "orders dropped: "
STATUS, GUEST, CURRENCY = "status ", "guest without customer", "currency other than "
"""Why an order is none: what of its status and of its currency follows."""
ONCE, OF_LINES = (
    "orders whose refund stands on each of their lines: counted once",
    "orders whose refund is the sum of their lines'",
)
"""In a report where the store's refunds are read so."""
STORED_ORDERS = {**ORDERS, "status": "string", "currency": "string"}
STORED_ITEMS = {name: kind for name, kind in ITEMS.items() if name != "customer_id"}
ROUNDING = 0.005
"""Money by which a refund may exceed what was paid before it is said to have been cut."""
SAME_ON_ALL_LINES = 0.9
"""Share of the refunded orders of several lines whose lines carry one refund, from which it may be the order's."""
NOT_A_LINES = 0.5
"""Share of them in which it cannot be, or is not, one line's, from which it is taken for the order's."""
PLAIN = r"lower(trim(BOTH E' \t\n\r\x0b\x0c' FROM {}))"
IS_CARD = " OR ".join(f"coalesce({PLAIN.format(name)} IN ({{kinds}}), false)" for name in ("product_type", "category"))
LINES = f"SELECT items.*, customer_id, {IS_CARD} AS is_card FROM stored_items items JOIN policy_orders USING (order_id)"
"""Lines of kept orders with their customer, and whether each is a gift card."""
LINE_REFUNDS = f"""
    SELECT order_id, n_lines, refund, n_refunds = n_lines AND smallest = refund AS is_same,
        coalesce(abs(refund_amount - refund) <= {ROUNDING}, false) OR (
            (coalesce(n_lines * refund > total_price + {ROUNDING}, false) OR dearest > cheapest + {ROUNDING})
            AND NOT coalesce(abs(refund_amount - n_lines * refund) <= {ROUNDING}, false)
        ) AS is_not_a_lines
    FROM (
        SELECT order_id, count(*) AS n_lines, count(refund_amount) AS n_refunds, min(refund_amount) AS smallest,
            max(refund_amount) AS refund, min(quantity * price) AS cheapest, max(quantity * price) AS dearest
        FROM policy_items GROUP BY order_id
    ) JOIN policy_orders USING (order_id)
    WHERE refund > 0
"""
"""Per order with a refund on a line: the largest, whether all lines carry it, and whether it is no line's own."""
REFUNDED_ONCE = """
    SELECT orders.* REPLACE (coalesce(nullif(refund_amount, 0), refund, 0) AS refund_amount)
    FROM policy_orders orders LEFT JOIN refunds USING (order_id)
"""
"""Orders with their own refund or, where none is recorded, the one their lines repeat."""
CARDS = """
    SELECT order_id, sum(quantity * price) FILTER (is_card) AS value, bool_and(is_card) AS only_cards,
        coalesce(sum(refund_amount) FILTER (is_card), 0) AS refund
    FROM policy_items GROUP BY order_id HAVING bool_or(is_card)
"""
"""Per order with gift cards: their value and refund, and whether it holds nothing else."""
WITHOUT_CARDS = """
    SELECT orders.* REPLACE (
        greatest(0, total_price - coalesce(value, 0)) AS total_price,
        CASE WHEN refund_amount IS NOT NULL THEN greatest(0, refund_amount - coalesce(refund, 0)) END AS refund_amount
    )
    FROM policy_orders orders LEFT JOIN cards USING (order_id) WHERE only_cards IS NOT TRUE
"""
"""Where there are no cards the numbers stay as they were, to the last bit."""
REFUNDS_OF_LINES = """
    SELECT orders.* REPLACE (coalesce(of_lines, 0) AS refund_amount)
    FROM orders_without_cards orders LEFT JOIN (
        SELECT order_id, sum(refund_amount) AS of_lines FROM policy_items WHERE NOT is_card GROUP BY order_id
    ) USING (order_id)
"""
"""Orders with the sums of their lines' refunds, where only these are recorded."""
SORTED = {
    "raw_orders": f"SELECT {', '.join(ORDERS)} FROM purchases ORDER BY customer_id, order_date, order_id",
    "raw_items": f"SELECT {', '.join(ITEMS)} FROM purchase_items ORDER BY customer_id, order_id, line_no",
}
"""The canonical tables, once ``apply_policy`` has run: rows of one customer together."""


def apply_policy(engine: DuckEngine, policy: OrderPolicy, currency: str | None = None) -> Report:
    """Turn stored orders into canonical ones, inside an engine, and return what was done.

    The engine holds ``stored_orders`` and ``stored_items`` (:data:`STORED_ORDERS`, :data:`STORED_ITEMS`), afterwards,
    instead, what :data:`SORTED` reads. Without a store's `currency` it is that of most of its orders.

    Notes
    -----
    A gift card's value and refund leave its order's total and refund. Where refunds are recorded on lines only,
    an order's refund is the sum of its lines'. A refund never exceeds what was paid.

    Orders joined to their lines repeat an order's refund on each of them. Assumption: that is so if, of the orders of
    several lines with a refund, nine in ten carry the same on all lines, and in half of them it is what the order
    itself records; or all of them do not add up to that, and they would exceed what was paid or are the same at
    different prices. Then it is counted once, as the order's, and what came back of each line is not known. The same on
    lines of equal prices, within what was paid, proves nothing and stays the lines'. Where no order records more than 0
    and lines do, the orders' column says nothing.
    """
    counted: Report = {"orders read": _count(engine, "stored_orders"), "lines read": _count(engine, "stored_items")}
    currency = policy.currency or currency or common_currency(engine)
    counted |= {f"{DROPPED}{reason}": n for reason, n in _reasons(engine, policy, currency)}
    why_none = reason_sql(policy, currency)
    engine.materialise("policy_orders", f"SELECT {', '.join(ORDERS)} FROM stored_orders WHERE {why_none} IS NULL")
    engine.materialise("policy_items", LINES.format(kinds=listed(policy.gift_card_kinds)))
    for name in ("stored_orders", "stored_items"):
        engine.drop(name)
    if n_repeated := _n_repeated_refunds(engine):
        counted[ONCE] = n_repeated
        engine.materialise("policy_orders", REFUNDED_ONCE)
        engine.materialise("policy_items", "SELECT * REPLACE (NULL::double AS refund_amount) FROM policy_items")
    engine.materialise("cards", CARDS)
    engine.define("orders_without_cards", WITHOUT_CARDS)
    if n_cards := _count(engine, "policy_items", "is_card"):
        counted["gift card lines dropped"] = n_cards
        counted[f"{DROPPED}only gift cards"] = _count(engine, "cards", "only_cards")
    is_silent = not _count(engine, "orders_without_cards", "refund_amount IS NOT NULL")
    known = "refund_amount IS NOT NULL" if is_silent else "refund_amount > 0"
    by_lines = not _count(engine, "orders_without_cards", "refund_amount > 0") and bool(
        _count(engine, "policy_items", f"NOT is_card AND {known}")
    )
    engine.define("orders_with_refunds", REFUNDS_OF_LINES if by_lines else "FROM orders_without_cards")
    if by_lines:
        counted[OF_LINES] = _count(engine, "orders_with_refunds", "refund_amount > 0")
    if excess := _count(engine, "orders_with_refunds", f"refund_amount > total_price + {ROUNDING}"):
        counted["refunds cut to what was paid"] = excess
    engine.define("purchases", f"SELECT * {_cut_to('total_price')} FROM orders_with_refunds")
    lines = "policy_items SEMI JOIN orders_without_cards USING (order_id) WHERE NOT is_card"
    engine.define("purchase_items", f"SELECT * {_cut_to('quantity * price')} FROM {lines}")
    return counted | {"orders kept": _count(engine, "purchases"), "lines kept": _count(engine, "purchase_items")}


def purchases(
    orders: pd.DataFrame, items: pd.DataFrame | None, tickets: pd.DataFrame | None, store: Store
) -> tuple[dict[str, pa.Table], Report]:
    """Apply a store's policy to accepted rows in pandas: the canonical tables, and what happened."""
    frame = orders.assign(customer_id=orders["customer_id"].fillna(""))  # guests are the policy's business
    tables = canonical_tables(frame, items, tickets, store.time_zone)
    stored = tables["raw_orders"]
    for name in ("status", "currency"):
        stored = stored.append_column(name, pa.array(orders[name], pa.string(), from_pandas=True))
    with DuckEngine() as engine:
        engine.view("given", stored)
        engine.materialise("stored_orders", "SELECT * REPLACE (nullif(customer_id, '') AS customer_id) FROM given")
        engine.take("stored_items", tables["raw_items"].drop_columns("customer_id").to_reader())
        report = apply_policy(engine, store.policy, store.currency)
        canonical = {name: engine.arrow(sql) for name, sql in SORTED.items()}
    return {**canonical, "raw_tickets": tables["raw_tickets"]}, report


def _count(engine: DuckEngine, table: str, condition: str = "true") -> int:
    return int(engine.arrow(f"SELECT count(*) AS n FROM {table} WHERE {condition}")["n"][0].as_py())


def common_currency(engine: DuckEngine) -> str | None:
    """Return the currency of most orders, of equally many the first by name."""
    first = engine.arrow(
        "SELECT currency FROM stored_orders WHERE currency IS NOT NULL GROUP BY currency "
        "ORDER BY count(*) DESC, currency LIMIT 1"
    )
    return first["currency"][0].as_py() if len(first) else None


def judged_orders_sql(policy: OrderPolicy, currency: str | None) -> str:
    """Return SQL of ``stored_orders`` with the ``reason`` why each is no purchase, NULL for one; gift cards pass.

    DuckDB and PostgreSQL read it alike.
    """
    columns = "order_id, customer_id, order_date, total_price, refund_amount"
    return f"SELECT {columns}, {reason_sql(policy, currency)} AS reason FROM stored_orders"


def dropped_line(report: Report) -> str:
    """Return how many orders the policy dropped, and why, most frequent first; empty where it dropped none.

    >>> dropped_line({"orders read": 9, "orders dropped: guest": 1, "orders dropped: status test": 2})
    "orders that are no purchases by the store's order policy: 3: status test (2), guest (1)"
    """
    counts = {what.removeprefix(DROPPED): n for what, n in report.items() if what.startswith(DROPPED)}
    why = ", ".join(f"{reason} ({n:,})" for reason, n in sorted(counts.items(), key=lambda item: -item[1]))
    return f"orders that are no purchases by the store's order policy: {sum(counts.values()):,}: {why}" if why else ""


def reason_sql(policy: OrderPolicy, currency: str | None) -> str:
    """Return, as SQL, the first reason for which an order is no purchase, NULL where it is one."""
    status = PLAIN.format("status")
    cases = [(f"{status} = {_quoted(name)}", f"{STATUS}{name}") for name in policy.dropped_statuses]
    if policy.drop_guests:
        cases.append(("customer_id IS NULL", GUEST))
    if currency is not None:
        cases.append((f"currency <> {_quoted(currency)}", f"{CURRENCY}{currency}"))
    whens = " ".join(f"WHEN {condition} THEN {_quoted(reason)}" for condition, reason in cases)
    return f"CASE {whens} END" if cases else "NULL::text"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def listed(words: Sequence[str]) -> str:
    """Return words as SQL, for ``IN``."""
    return ", ".join(map(_quoted, words)) or "NULL"


def _cut_to(paid: str) -> str:
    """Return SQL that lets no refund exceed what was paid; one that is not recorded stays so."""
    return f"REPLACE (CASE WHEN refund_amount IS NOT NULL THEN least({paid}, refund_amount) END AS refund_amount)"


def _reasons(engine: DuckEngine, policy: OrderPolicy, currency: str | None) -> list[tuple[str, int]]:
    """Count the orders dropped by reason, in the order in which reasons are looked at."""
    judged = judged_orders_sql(policy, currency)
    counts = f"SELECT reason, count(*) AS n FROM ({judged}) WHERE reason IS NOT NULL GROUP BY reason"
    order = [*(f"{STATUS}{name}" for name in policy.dropped_statuses), GUEST]
    by_reason = {row["reason"]: int(row["n"]) for row in engine.arrow(counts).to_pylist()}
    return sorted(by_reason.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _n_repeated_refunds(engine: DuckEngine) -> int:
    """Count the orders whose refund is repeated on each of several lines; 0 where line refunds are the lines' own."""
    if not _count(engine, "policy_items", "refund_amount > 0"):
        return 0
    engine.define("refunds", LINE_REFUNDS)
    several = _count(engine, "refunds", "n_lines > 1")
    n_same = _count(engine, "refunds", "n_lines > 1 AND is_same")
    n_not_a_lines = _count(engine, "refunds", "n_lines > 1 AND is_same AND is_not_a_lines")
    return n_same if n_same >= SAME_ON_ALL_LINES * several and n_not_a_lines >= NOT_A_LINES * several else 0
