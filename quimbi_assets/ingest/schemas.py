"""What an acceptable row is, as pandera schemas; their messages are the reasons people read.

Belongs here: column types, ranges, what may be NULL. Does not: parsing (``amounts``, ``dates``), reference checks
between tables (``prepare``).

``stored_*`` describe tables as they are kept; ``CANONICAL_*`` what the features read, after the order policy.
"""

import numpy as np
import pandas as pd
import pandera.pandas as pa

_UTC = pd.DatetimeTZDtype("us", "UTC")  # pandera compares types exactly: plain "datetime64[ns, UTC]" would fail
_NAIVE = np.dtype("datetime64[us]")
_TEXT = pd.StringDtype(na_value=np.nan)


def _text(required: bool = False) -> pa.Column:
    return pa.Column(_TEXT, nullable=not required)


def _amount(name: str, largest: float, required: bool = False) -> pa.Column:
    """Amount of money from 0 to `largest`; comparisons let NULL pass, ``nullable`` refuses it."""
    checks = [
        pa.Check.ge(0, error=f"{name} is negative"),
        pa.Check.le(largest, error=f"{name} is absurd (above {largest:,.0f})"),
    ]
    return pa.Column(float, checks, nullable=not required)


def stored_orders(largest: float) -> pa.DataFrameSchema:
    """Return the schema of ``orders``; `largest` is the highest credible amount in the store's currency."""
    return pa.DataFrameSchema(
        {
            "order_id": _text(required=True),
            "customer_id": _text(),
            "order_date": pa.Column(_UTC),
            "total_price": _amount("total_price", largest, required=True),
            "discount_amount": _amount("discount_amount", largest),
            "source": _text(),
            "status": _text(),
            "currency": pa.Column(
                _TEXT, pa.Check.str_matches("^[A-Z]{3}$", error="currency is not a three-letter code"), nullable=True
            ),
            "refund_amount": _amount("refund_amount", largest),
        }
    )


def stored_order_items(largest: float) -> pa.DataFrameSchema:
    """Return the schema of ``order_items``; `largest` is the highest credible amount in the store's currency."""
    quantity = [
        pa.Check.gt(0, error="quantity is not above 0"),
        pa.Check.le(1e7, error="quantity is absurd (above 10,000,000)"),
    ]
    line_no = pa.Check.in_range(0, 2**31 - 1, error="line_no is out of range")
    return pa.DataFrameSchema(
        {
            "order_id": _text(required=True),
            "line_no": pa.Column("int64", line_no),
            "product_id": _text(required=True),
            "category": _text(),
            "product_type": _text(),
            "quantity": pa.Column(float, quantity),
            "price": _amount("price", largest, required=True),
            "refund_amount": _amount("refund_amount", largest),
            "refunded_at": pa.Column(_UTC, nullable=True),
        }
    )


def stored_support_tickets() -> pa.DataFrameSchema:
    """Return the schema of ``support_tickets``."""
    score = pa.Check.in_range(1, 5, error="satisfaction_score is not between 1 and 5")
    reopened = pa.Check.in_range(0, 1e4, error="reopen_count is not between 0 and 10,000")
    return pa.DataFrameSchema(
        {
            "ticket_id": _text(required=True),
            "customer_id": _text(),
            "created_at": pa.Column(_UTC),
            **{name: _text() for name in ("channel", "status", "priority", "subject", "tags")},
            "first_response_at": pa.Column(_UTC, nullable=True),
            "resolved_at": pa.Column(_UTC, nullable=True),
            "satisfaction_score": pa.Column(float, score, nullable=True),
            "reopen_count": pa.Column(float, reopened, nullable=True),
        }
    )


def _not_negative(name: str, required: bool = False) -> pa.Column:
    return pa.Column(float, pa.Check.ge(0, error=f"{name} is negative"), nullable=not required)


CANONICAL_ORDERS = pa.DataFrameSchema(
    {
        "order_id": pa.Column(_TEXT, unique=True),
        "customer_id": _text(required=True),
        "order_date": pa.Column(_NAIVE),
        "order_date_local": pa.Column(_NAIVE),
        "total_price": _not_negative("total_price", required=True),
        "discount_amount": _not_negative("discount_amount"),
        "refund_amount": _not_negative("refund_amount"),
        "source": _text(),
    },
    name="orders",
    strict=True,
)
"""Orders that count as purchases: dates naive UTC and naive store-local, in microseconds."""

CANONICAL_ITEMS = pa.DataFrameSchema(
    {
        "order_id": _text(required=True),
        "line_no": pa.Column("int64"),
        "product_id": _text(required=True),
        "category": _text(),
        "product_type": _text(),
        "quantity": pa.Column(float, pa.Check.gt(0, error="quantity is not above 0")),
        "price": _not_negative("price", required=True),
        "refund_amount": _not_negative("refund_amount"),
        "refunded_at": pa.Column(_NAIVE, nullable=True),
    },
    name="order_items",
    strict=True,
    unique=["order_id", "line_no"],
)
"""Lines of those orders."""

CANONICAL_TICKETS = pa.DataFrameSchema(
    {
        "ticket_id": pa.Column(_TEXT, unique=True),
        "customer_id": _text(),
        "created_at": pa.Column(_NAIVE),
        **{name: _text() for name in ("channel", "status", "priority", "subject", "tags")},
        "first_response_at": pa.Column(_NAIVE, nullable=True),
        "resolved_at": pa.Column(_NAIVE, nullable=True),
        "satisfaction_score": pa.Column(float, nullable=True),
        "reopen_count": pa.Column(float, nullable=True),
    },
    name="support_tickets",
    strict=True,
)
"""Support tickets with dates naive UTC."""
