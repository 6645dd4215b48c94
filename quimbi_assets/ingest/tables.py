"""The three tables a store sends: their columns, and the names other systems use for them.

Belongs here: declarations. Does not: finding the columns in a file (``aliases``), what a value may be (``schemas``).

Known are the column names of this project, of Shopify's order export and of its Admin API.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TableSpec:
    """A canonical table as files may spell it.

    Parameters
    ----------
    name : str
        Table name in the database.
    key : tuple of str
        Columns that identify a row within a store.
    required : tuple of str
        Columns a file must have.
    aliases : dict of str to tuple of str
        Canonical column → names it goes by, normalised (see `normalised`), best first.
    text, amounts, dates : tuple of str
        Canonical columns by kind; every column is in exactly one (``line_no`` is in ``amounts``).
    """

    name: str
    key: tuple[str, ...]
    required: tuple[str, ...]
    aliases: dict[str, tuple[str, ...]] = field(repr=False)
    text: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All canonical columns."""
        return tuple(self.aliases)


ORDERS = TableSpec(
    name="orders",
    key=("order_id",),
    required=("order_id", "customer_id", "order_date", "total_price"),
    aliases={
        "order_id": ("order_id", "id", "order_number", "order_name", "name", "order"),
        "customer_id": (
            "customer_id",
            "customer_customer_id",
            "client_id",
            "user_id",
            "customer",
            "email",
            "customer_email",
        ),
        "order_date": (
            "order_date",
            "created_at",
            "processed_at",
            "order_created_at",
            "ordered_at",
            "date",
            "timestamp",
        ),
        "total_price": ("total_price", "total", "order_total", "total_amount", "amount", "grand_total"),
        "discount_amount": ("discount_amount", "total_discounts", "total_discount", "discounts", "discount"),
        "source": ("source", "source_name", "sales_channel", "channel"),
        "status": ("status", "order_status", "financial_status"),
        "currency": ("currency", "currency_code", "order_currency"),
        "refund_amount": ("refund_amount", "refunded_amount", "total_refunded", "total_refunds", "refunds", "refunded"),
    },
    text=("order_id", "customer_id", "source", "status", "currency"),
    amounts=("total_price", "discount_amount", "refund_amount"),
    dates=("order_date",),
)

ORDER_ITEMS = TableSpec(
    name="order_items",
    key=("order_id", "line_no"),
    required=("order_id", "product_id", "quantity", "price"),
    aliases={
        "order_id": ("order_id", "order_number", "order_name", "name", "order"),
        "line_no": ("line_no", "line_number", "line", "position"),
        "product_id": (
            "product_id",
            "lineitem_product_id",
            "sku",
            "lineitem_sku",
            "variant_id",
            "product",
            "lineitem_name",
        ),
        "category": ("category", "product_category", "lineitem_category"),
        "product_type": ("product_type", "lineitem_product_type", "type"),
        "quantity": ("quantity", "lineitem_quantity", "qty"),
        "price": ("price", "unit_price", "lineitem_price", "item_price"),
        "refund_amount": ("refund_amount", "refunded_amount", "refund"),
        "refunded_at": ("refunded_at", "refund_date", "returned_at"),
    },
    text=("order_id", "product_id", "category", "product_type"),
    amounts=("line_no", "quantity", "price", "refund_amount"),
    dates=("refunded_at",),
)

SUPPORT_TICKETS = TableSpec(
    name="support_tickets",
    key=("ticket_id",),
    required=("ticket_id", "customer_id", "created_at"),
    aliases={
        "ticket_id": ("ticket_id", "id", "ticket", "ticket_number"),
        "customer_id": ("customer_id", "requester_id", "customer", "email", "customer_email", "requester_email"),
        "created_at": ("created_at", "created", "opened_at", "created_datetime", "date"),
        "channel": ("channel", "via", "source"),
        "status": ("status", "state"),
        "priority": ("priority",),
        "subject": ("subject", "title"),
        "tags": ("tags", "labels", "topic"),
        "first_response_at": ("first_response_at", "first_reply_at", "first_responded_at"),
        "resolved_at": ("resolved_at", "solved_at", "closed_at", "closed_datetime"),
        "satisfaction_score": ("satisfaction_score", "satisfaction", "csat", "rating"),
        "reopen_count": ("reopen_count", "reopens", "n_reopens"),
    },
    text=("ticket_id", "customer_id", "channel", "status", "priority", "subject", "tags"),
    amounts=("satisfaction_score", "reopen_count"),
    dates=("created_at", "first_response_at", "resolved_at"),
)
