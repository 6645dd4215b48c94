"""Which accepted orders count as purchases, and what each is worth, as expressions on the stored tables.

Belongs here: applying a store's order policy. Does not: the policy's settings (``store``), whether a row is acceptable
at all (``prepare``).
"""

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from quimbi_assets.engines import DuckEngine
from quimbi_assets.ingest.canonical import ITEMS, ORDERS, canonical_tables
from quimbi_assets.store import OrderPolicy, Store

Report = dict[str, int]
"""What happened, in words, and to how many rows; in the order it happened."""

DROPPED, GUEST = "orders dropped: ", "guest without customer"
STORED_ORDERS = {**ORDERS, "status": "string", "currency": "string"}
STORED_ITEMS = {name: kind for name, kind in ITEMS.items() if name != "customer_id"}
LINES = {**ITEMS, "is_card": "boolean"}
ZERO = ibis.literal(0, "float64")
ROUNDING = 0.005
"""Money by which a refund may exceed what was paid before it is said to have been cut."""
SAME_ON_ALL_LINES = 0.9
"""Share of the refunded orders of several lines whose lines carry one refund, from which it may be the order's."""
NOT_A_LINES = 0.5
"""Share of them in which it cannot be, or is not, one line's, from which it is taken for the order's."""
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
    stored = _t("stored_orders", STORED_ORDERS)
    _keep(engine, "policy_orders", stored.filter(_reason(stored, policy, currency).isnull()).select(*ORDERS))
    _keep(engine, "policy_items", _lines(policy))
    for name in ("stored_orders", "stored_items"):
        engine.drop(name)
    if n_repeated := _n_repeated_refunds(engine):
        counted["orders whose refund stands on each of their lines: counted once"] = n_repeated
        _keep(engine, "policy_orders", _refunded_once())
        _keep(engine, "policy_items", _t("policy_items", LINES).mutate(refund_amount=ibis.null("float64")))
    _keep(engine, "cards", _cards())
    _define(engine, "orders_without_cards", _without_cards())
    if n_cards := _count(engine, "policy_items", "is_card"):
        counted["gift card lines dropped"] = n_cards
        counted[f"{DROPPED}only gift cards"] = _count(engine, "cards", "only_cards")
    is_silent = not _count(engine, "orders_without_cards", "refund_amount IS NOT NULL")
    known = "refund_amount IS NOT NULL" if is_silent else "refund_amount > 0"
    by_lines = not _count(engine, "orders_without_cards", "refund_amount > 0") and bool(
        _count(engine, "policy_items", f"NOT is_card AND {known}")
    )
    _define(engine, "orders_with_refunds", _with_refunds(by_lines))
    if by_lines:
        refunded = _count(engine, "orders_with_refunds", "refund_amount > 0")
        counted["orders whose refund is the sum of their lines'"] = refunded
    if excess := _count(engine, "orders_with_refunds", f"refund_amount > total_price + {ROUNDING}"):
        counted["refunds cut to what was paid"] = excess
    _define(engine, "purchases", _capped_orders())
    _define(engine, "purchase_items", _capped_items())
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


def _t(name: str, schema: dict[str, str]) -> ir.Table:
    return ibis.table(schema, name=name)


def _keep(engine: DuckEngine, name: str, rows: ir.Table) -> None:
    engine.materialise(name, str(ibis.to_sql(rows, dialect=engine.dialect)))


def _define(engine: DuckEngine, name: str, rows: ir.Table) -> None:
    engine.define(name, str(ibis.to_sql(rows, dialect=engine.dialect)))


def _count(engine: DuckEngine, table: str, condition: str = "true") -> int:
    return int(engine.arrow(f"SELECT count(*) AS n FROM {table} WHERE {condition}")["n"][0].as_py())


def common_currency(engine: DuckEngine) -> str | None:
    """Return the currency of most orders, of equally many the first by name."""
    first = engine.arrow(
        "SELECT currency FROM stored_orders WHERE currency IS NOT NULL GROUP BY currency "
        "ORDER BY count(*) DESC, currency LIMIT 1"
    )
    return first["currency"][0].as_py() if len(first) else None


def judged_orders_sql(policy: OrderPolicy, currency: str | None, dialect: str) -> str:
    """Return SQL of ``stored_orders`` with the ``reason`` why each is no purchase, NULL for one; gift cards pass."""
    columns = {name: STORED_ORDERS[name] for name in ("customer_id", "order_date", "status", "currency")}
    orders = _t("stored_orders", columns).mutate(reason=lambda t: _reason(t, policy, currency))
    return str(ibis.to_sql(orders, dialect=dialect))


def dropped_line(report: Report) -> str:
    """Return how many orders the policy dropped, and why, most frequent first; empty where it dropped none.

    >>> dropped_line({"orders read": 9, "orders dropped: guest": 1, "orders dropped: status test": 2})
    "orders that are no purchases by the store's order policy: 3: status test (2), guest (1)"
    """
    counts = {what.removeprefix(DROPPED): n for what, n in report.items() if what.startswith(DROPPED)}
    why = ", ".join(f"{reason} ({n:,})" for reason, n in sorted(counts.items(), key=lambda item: -item[1]))
    return f"orders that are no purchases by the store's order policy: {sum(counts.values()):,}: {why}" if why else ""


def _reason(orders: ir.Table, policy: OrderPolicy, currency: str | None) -> ir.StringValue:
    """Return the first reason for which an order is no purchase, NULL where it is one."""
    status = orders.status.strip().lower()
    cases: list[tuple[ir.BooleanValue, str]] = [(status == name, f"status {name}") for name in policy.dropped_statuses]
    if policy.drop_guests:
        cases.append((orders.customer_id.isnull(), GUEST))
    if currency is not None:
        cases.append((orders.currency != currency, f"currency other than {currency}"))
    return ibis.cases(*cases, else_=ibis.null("string")) if cases else ibis.null("string")


def _reasons(engine: DuckEngine, policy: OrderPolicy, currency: str | None) -> list[tuple[str, int]]:
    """Count the orders dropped by reason, in the order in which reasons are looked at."""
    judged = judged_orders_sql(policy, currency, engine.dialect)
    counts = f"SELECT reason, count(*) AS n FROM ({judged}) WHERE reason IS NOT NULL GROUP BY reason"
    order = [*(f"status {name}" for name in policy.dropped_statuses), GUEST]
    by_reason = {row["reason"]: int(row["n"]) for row in engine.arrow(counts).to_pylist()}
    return sorted(by_reason.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _lines(policy: OrderPolicy) -> ir.Table:
    """Lines of kept orders with their customer, and whether each is a gift card."""
    orders = _t("policy_orders", ORDERS).select("order_id", "customer_id")
    lines = _t("stored_items", STORED_ITEMS).join(orders, "order_id")
    kinds = list(policy.gift_card_kinds)
    by_type, by_category = (
        words.strip().lower().isin(kinds).fill_null(False) for words in (lines.product_type, lines.category)
    )
    return lines.mutate(is_card=by_type | by_category)


def _n_repeated_refunds(engine: DuckEngine) -> int:
    """Count the orders whose refund is repeated on each of several lines; 0 where line refunds are the lines' own."""
    if not _count(engine, "policy_items", "refund_amount > 0"):
        return 0
    _define(engine, "refunds", _line_refunds())
    several = _count(engine, "refunds", "n_lines > 1")
    n_same = _count(engine, "refunds", "n_lines > 1 AND is_same")
    n_not_a_lines = _count(engine, "refunds", "n_lines > 1 AND is_same AND is_not_a_lines")
    return n_same if n_same >= SAME_ON_ALL_LINES * several and n_not_a_lines >= NOT_A_LINES * several else 0


def _line_refunds() -> ir.Table:
    """Per order with a refund on a line: the largest, whether all lines carry it, and whether it is no line's own."""
    lines = _t("policy_items", LINES)
    by_order = lines.group_by("order_id").agg(
        n_lines=lines.count(),
        n_refunds=lines.refund_amount.count(),
        smallest=lines.refund_amount.min(),
        refund=lines.refund_amount.max(),
        cheapest=(lines.quantity * lines.price).min(),
        dearest=(lines.quantity * lines.price).max(),
    )
    orders = _t("policy_orders", ORDERS).select("order_id", "total_price", of_order="refund_amount")
    t = by_order.join(orders, "order_id")
    rounding = ibis.literal(ROUNDING)
    is_orders = ((t.of_order - t.refund).abs() <= rounding).fill_null(False)
    is_sum = ((t.of_order - t.n_lines * t.refund).abs() <= rounding).fill_null(False)
    exceeds_paid = (t.n_lines * t.refund > t.total_price + rounding).fill_null(False)
    at_different_prices = (t.dearest > t.cheapest + rounding).fill_null(False)
    return t.filter(t.refund > 0).select(
        "order_id",
        "n_lines",
        "refund",
        is_same=(t.n_refunds == t.n_lines) & (t.smallest == t.refund),
        is_not_a_lines=is_orders | ((exceeds_paid | at_different_prices) & ~is_sum),
    )


def _refunded_once() -> ir.Table:
    """Orders with their own refund or, where none is recorded, the one their lines repeat."""
    refunds = _t("refunds", {"order_id": "string", "refund": "float64"})
    joined = _t("policy_orders", ORDERS).left_join(refunds, "order_id")
    recorded = joined.refund_amount.nullif(ZERO)
    return joined.mutate(refund_amount=ibis.coalesce(recorded, joined.refund, ZERO)).select(*ORDERS)


def _cards() -> ir.Table:
    """Per order with gift cards: their value and refund, and whether it holds nothing else."""
    lines = _t("policy_items", LINES)
    by_order = lines.group_by("order_id").agg(
        value=(lines.quantity * lines.price).sum(where=lines.is_card),
        refund=lines.refund_amount.sum(where=lines.is_card).fill_null(ZERO),
        n_cards=lines.is_card.sum(),
        only_cards=lines.is_card.all(),
    )
    return by_order.filter(by_order.n_cards > 0)


def _without_cards() -> ir.Table:
    orders = _t("policy_orders", ORDERS)
    cards = _t("cards", {"order_id": "string", "value": "float64", "refund": "float64", "only_cards": "boolean"})
    joined = orders.left_join(cards, "order_id").filter(lambda t: ~t.only_cards.fill_null(False))
    # Where there are no cards the numbers stay as they were, to the last bit.
    return joined.mutate(
        total_price=(joined.total_price - joined.value.fill_null(ZERO)).clip(lower=ZERO),
        refund_amount=(joined.refund_amount - joined.refund.fill_null(ZERO)).clip(lower=ZERO),
    ).select(*ORDERS)


def _with_refunds(by_lines: bool) -> ir.Table:
    """Orders with their own refunds, or with the sums of their lines' where only these are recorded."""
    orders = _t("orders_without_cards", ORDERS)
    if not by_lines:
        return orders
    lines = _t("policy_items", LINES)
    sums = lines.filter(~lines.is_card).group_by("order_id").agg(of_lines=lambda t: t.refund_amount.sum())
    joined = orders.left_join(sums, "order_id")
    return joined.mutate(refund_amount=joined.of_lines.fill_null(ZERO)).select(*ORDERS)


def _capped_orders() -> ir.Table:
    orders = _t("orders_with_refunds", ORDERS)
    return orders.mutate(refund_amount=orders.refund_amount.clip(upper=orders.total_price))


def _capped_items() -> ir.Table:
    lines = _t("policy_items", LINES)
    orders = _t("orders_without_cards", ORDERS).select("order_id")
    bought = lines.filter(~lines.is_card).semi_join(orders, "order_id")
    return bought.mutate(refund_amount=bought.refund_amount.clip(upper=bought.quantity * bought.price)).select(*ITEMS)
