"""The books of a store: what its orders come to as they were sent, what each rule of its policy takes, what is left.

Belongs here: the sums of stored rows, by month and rule, and whether they are those of the canonical tables. Does not:
which orders count (``policy``). What each rule takes follows here from its definition, not from what ``policy`` did:
two computations, on two engines, of one amount.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from quimbi_assets.engines import DuckEngine
from quimbi_assets.ingest.policy import IS_CARD, OF_LINES, ONCE, ROUNDING, Report, listed, reason_sql
from quimbi_assets.store import OrderPolicy

STORED = "stored"
GIFT_CARDS = "gift cards"
COUNTED_ONCE, LINES_REFUNDS = "refunds on every line counted once", "refunds of orders by their lines"
ABOVE_PAID = "refunds above what was paid"
COUNTS, MONEY = ("orders", "lines"), ("paid", "discount", "refunds", "worth", "line_refunds")
MEASURES = (*COUNTS, *MONEY)
"""``paid`` net of discounts, gross of refunds; ``worth`` and ``line_refunds`` of lines."""
RELATIVE = 1e-12
"""Of a sum, by which its last digits may differ where it is too large for them."""
PARTS = 10_000
"""Of a unit of money, in which rows are rounded before they are added up: sums do not depend on their order."""
_MONTH = "CAST(date_trunc('month', order_date_local) AS date)"
_LEDGER = f"""
    judged AS (
        SELECT order_id, customer_id, {_MONTH} AS month, total_price AS paid, coalesce(discount_amount, 0) AS discount,
            coalesce(refund_amount, 0) AS refund, {{reason}} AS reason
        FROM stored_orders
    ), sold AS (
        SELECT order_id, customer_id, month, reason, quantity * price AS worth, coalesce(refund_amount, 0) AS refund,
            {IS_CARD} AS is_card
        FROM stored_items JOIN judged USING (order_id)
    ), of_lines AS (
        SELECT order_id, sum(worth) FILTER (WHERE is_card) AS card_worth, bool_and(is_card) AS only_cards,
            sum(refund) FILTER (WHERE is_card) AS card_refund, sum(refund) FILTER (WHERE NOT is_card) AS sum_refund,
            max(refund) AS largest_refund
        FROM sold GROUP BY order_id HAVING bool_or(is_card) OR max(refund) > 0
    ), placed AS (
        SELECT *, least(paid_left, refund_of_lines) AS refund_left FROM (
            SELECT *, {{of_lines}} AS refund_of_lines FROM (
                SELECT *, greatest(0, refund_once - coalesce({{card_refund}}, 0)) AS refund_without_cards FROM (
                    SELECT *, greatest(0, paid - coalesce(card_worth, 0)) AS paid_left, {{once}} AS refund_once
                    FROM judged LEFT JOIN of_lines USING (order_id)
                ) AS paid
            ) AS carded
        ) AS lined
    ), counted AS (
        SELECT * FROM placed WHERE reason IS NULL AND only_cards IS NOT TRUE
    ), effects AS (
        SELECT month, '{STORED}' AS rule, customer_id, 1 AS orders, {{paid}} AS paid, {{discount}} AS discount,
            {{refund}} AS refunds, 0 AS lines, 0 AS worth, 0 AS line_refunds
        FROM placed
        UNION ALL SELECT month, coalesce(reason, '{GIFT_CARDS}'), customer_id, 1, {{paid}}, {{discount}}, {{refund}},
            0, 0, 0
        FROM placed WHERE reason IS NOT NULL OR only_cards
        UNION ALL SELECT month, '{GIFT_CARDS}', customer_id, 0, {{paid}} - {{paid_left}}, 0,
            {{refund_once}} - {{refund_without_cards}}, 0, 0, 0
        FROM counted WHERE {{paid}} <> {{paid_left}} OR {{refund_once}} <> {{refund_without_cards}}
        UNION ALL SELECT month, '{COUNTED_ONCE}', customer_id, 0, 0, 0, {{refund}} - {{refund_once}}, 0, 0, 0
        FROM counted WHERE {{refund}} <> {{refund_once}}
        UNION ALL SELECT month, '{LINES_REFUNDS}', customer_id, 0, 0, 0,
            {{refund_without_cards}} - {{refund_of_lines}}, 0, 0, 0
        FROM counted WHERE {{refund_without_cards}} <> {{refund_of_lines}}
        UNION ALL SELECT month, '{ABOVE_PAID}', customer_id, 0, 0, 0, {{refund_of_lines}} - {{refund_left}}, 0, 0, 0
        FROM counted WHERE {{refund_of_lines}} <> {{refund_left}}
        UNION ALL SELECT month, '{STORED}', customer_id, 0, 0, 0, 0, 1, {{worth}}, {{refund}} FROM sold
        UNION ALL SELECT month, coalesce(reason, '{GIFT_CARDS}'), customer_id, 0, 0, 0, 0, 1, {{worth}}, {{refund}}
        FROM sold WHERE reason IS NOT NULL OR is_card
        UNION ALL SELECT month, {{line_rule}}, customer_id, 0, 0, 0, 0, 0, 0, {{refund}} - {{line_left}}
        FROM sold WHERE reason IS NULL AND NOT is_card AND {{refund}} <> {{line_left}}
    )
"""
_SUMS = ", ".join(f"sum({name})::float8 AS {name}" for name in MEASURES)
BY_MONTH = f"SELECT month, rule, {_SUMS} FROM effects GROUP BY month, rule"
BY_RULE = f"SELECT rule, {_SUMS}, count(DISTINCT customer_id) AS customers FROM effects GROUP BY rule"
WHOSE = "SELECT DISTINCT rule, customer_id FROM effects WHERE customer_id IS NOT NULL"
"""What can be asked of a ledger: sums by ``month`` (of the store's clock) and ``rule``, or by rule; of whom each is."""
_CANONICAL = f"""
    SELECT month, {_SUMS} FROM (
        SELECT {_MONTH} AS month, 1 AS orders, 0 AS lines, {{paid}} AS paid, {{discount}} AS discount,
            {{refund}} AS refunds, 0 AS worth, 0 AS line_refunds
        FROM (
            SELECT order_date_local, total_price AS paid, coalesce(discount_amount, 0) AS discount,
                coalesce(refund_amount, 0) AS refund
            FROM raw_orders
        )
        UNION ALL SELECT {_MONTH}, 0, 1, 0, 0, 0, {{worth}}, {{refund}}
        FROM (
            SELECT order_id, quantity * price AS worth, coalesce(refund_amount, 0) AS refund FROM raw_items
        ) JOIN raw_orders USING (order_id)
    ) GROUP BY month
"""
_ROUNDED = {
    name: f"floor({name} * {PARTS} + 0.5)"
    for name in (
        *("paid", "discount", "refund", "worth", "paid_left"),
        *("refund_once", "refund_without_cards", "refund_of_lines", "refund_left"),
    )
}


def ledger_sql(policy: OrderPolicy, currency: str | None, report: Report, question: str = BY_MONTH) -> str:
    """Return what follows ``WITH`` and tables ``stored_orders`` and ``stored_items``, for DuckDB or PostgreSQL.

    It adds up (:data:`MEASURES`, money in ten-thousandths) what is :data:`STORED`, and what each rule leaves out; what
    a rule adds is negative. ``report`` is what ``apply_policy`` returned: it says how the store's refunds are read.
    """
    is_once = ONCE in report
    return (
        _LEDGER.format(
            **_ROUNDED,
            kinds=listed(policy.gift_card_kinds),
            reason=reason_sql(policy, currency),
            once="coalesce(nullif(refund, 0), largest_refund, 0)" if is_once else "refund",
            card_refund="0" if is_once else "card_refund",
            of_lines="coalesce(sum_refund, 0)" if OF_LINES in report else "refund_without_cards",
            line_rule=f"'{COUNTED_ONCE if is_once else ABOVE_PAID}'",
            line_left="0" if is_once else f"floor(least(worth, refund) * {PARTS} + 0.5)",
        )
        + question
    )


def canonical_sums(engine: DuckEngine) -> pa.Table:
    """Add up ``raw_orders`` and ``raw_items`` of an engine: :data:`MEASURES` by ``month``, as a ledger has them."""
    return engine.arrow(_CANONICAL.format(**_ROUNDED))


@dataclass(frozen=True)
class Books:
    """A ledger by month beside the sums of the canonical tables."""

    ledger: pa.Table
    canonical: pa.Table

    @cached_property
    def left_out(self) -> pd.DataFrame:
        """What each rule leaves out in each month: ``month``, ``rule``, counts, money in the store's currency."""
        rows = in_money(self.ledger.to_pandas())
        left = rows[rows["rule"] != STORED].sort_values(["month", "rule"], ignore_index=True)
        return left.loc[left[list(MEASURES)].ne(0).any(axis=1), ["month", "rule", *MEASURES]].reset_index(drop=True)

    @cached_property
    def months(self) -> pd.DataFrame:
        """By month and measure: ``stored``, ``left_out``, ``counted`` and the ``difference``, which is to be 0."""
        rows = in_money(self.ledger.to_pandas()).melt(["month", "rule"], list(MEASURES), "measure")
        is_stored = rows["rule"] == STORED
        sums = {
            "stored": rows[is_stored].groupby(["month", "measure"])["value"].sum(),
            "left_out": rows[~is_stored].groupby(["month", "measure"])["value"].sum(),
            "counted": in_money(self.canonical.to_pandas()).melt("month", list(MEASURES), "measure")
            .groupby(["month", "measure"])["value"].sum(),
        }  # fmt: skip
        months = pd.DataFrame(sums).fillna(0.0)
        return months.assign(difference=months["stored"] - months["left_out"] - months["counted"]).reset_index()

    @cached_property
    def differences(self) -> pd.DataFrame:
        """The months and measures that do not add up, the largest difference first."""
        tolerance = ROUNDING + RELATIVE * self.months["stored"].abs()
        apart = self.months[~(self.months["difference"].abs() < tolerance)]
        order = np.argsort(-apart["difference"].abs().to_numpy(), kind="stable")
        return apart.iloc[order].reset_index(drop=True)


def in_money(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a ledger's sums, a row a month or rule, with money in the store's currency, not in ten-thousandths."""
    return rows.assign(**{name: rows[name].astype(float) / PARTS for name in MONEY})
