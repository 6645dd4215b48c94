"""What a store sends, table by table: the one declaration of every column, from which all else is derived.

Belongs here: columns, their kinds and limits, and the names other systems use for them. Does not: finding the columns
in a file (``columns``), reading values (``cells``, ``dates``), judging rows (``rows``).

Known are the column names of this project, of Shopify's exports and Admin API, of the order exports of WooCommerce,
Magento, BigCommerce, Square and Amazon, of plain invoices, and of Gorgias', Zendesk's and Intercom's tickets. Where a
system means something else by a name than others do, `EXPORTS` says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

Kind = Literal["text", "labels", "money", "number", "rating", "whole", "date"]
"""How cells are read: ``labels`` are lists of words, ``money`` is limited by currency, ``rating`` may be a word of a
helpdesk's, ``whole`` is a line number."""


class Limit(NamedTuple):
    """What values may be: a check of pandera's by name, its arguments, and the message about a value beyond."""

    check: str
    arguments: tuple[Any, ...]
    message: str


NOT_NEGATIVE = Limit("ge", (0,), "is negative")
LONGEST_ID = 500
"""Characters: what PostgreSQL's indexes can hold, and more than any system's ids have."""


@dataclass(frozen=True)
class Column:
    """A canonical column."""

    name: str
    kind: Kind
    names: str
    """What it is called in files, normalised (see ``columns.normalised``), best first, with a space between."""
    required: bool = False
    """A file must have it, and a row a value in it."""
    optional_value: bool = False
    """Rows of a required column may do without: an order without customer is a guest's."""
    limits: tuple[Limit, ...] = ()

    @property
    def nullable(self) -> bool:
        """Whether a row may have no value here."""
        return not self.required or self.optional_value


@dataclass(frozen=True)
class TableSpec:
    """A canonical table, by its name in the database."""

    name: str
    key: tuple[str, ...]
    """Columns that identify a row within a store."""
    declared: tuple[Column, ...] = field(repr=False)
    person: dict[str, str] = field(repr=False, default_factory=dict)
    """Kinds of keys that say whose a row is, and the names of columns that hold them, as in `Column`."""
    aids: tuple[Column, ...] = field(repr=False, default=())
    """Columns that are not kept, from which some that are can be worked out."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All canonical columns, in order."""
        return tuple(column.name for column in self.declared)

    @cached_property
    def aliases(self) -> dict[str, tuple[str, ...]]:
        """Canonical column → the names it goes by."""
        return {column.name: tuple(column.names.split()) for column in (*self.declared, *self.aids)}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Columns a file must have."""
        return tuple(column.name for column in self.declared if column.required)


_EMAILS = "email customer_email requester_email contact_email billing_email email_billing buyer_email e_mail "
_EMAILS += "source_author_email user_email"
_HELPDESK_IDS = "requester_id helpdesk_id gorgias_id zendesk_id source_author_id"
_SHOPS_IDS = "customer_id customer customer_external_id external_customer_id requester_external_id shopify_customer_id"

_ID = (Limit("str_length", (None, LONGEST_ID), f"is longer than {LONGEST_ID} characters: shorten it in the file"),)
_CODE = Limit("str_matches", ("^[A-Z]{3}$",), "is not a three-letter code")
_LINE = Limit("in_range", (0, 2**31 - 1), "is out of range")
_SCORE = Limit("in_range", (1, 5), "is not between 1 and 5")
_TIMES = Limit("in_range", (0, 1e4), "is not between 0 and 10,000")
_QUANTITY = (Limit("gt", (0,), "is not above 0"), Limit("le", (1e7,), "is absurd (above 10,000,000)"))
_ORDER_IDS = "order_number order_name name order order_no invoice_no invoiceno invoice invoice_number transaction_id "
_ORDER_IDS += "increment_id"
_CUSTOMERS = "customer_id customer_customer_id client_id user_id customer customerid customer_no email customer_email "
_CUSTOMERS += "billing_email email_billing buyer_email"
_ORDERED = "order_date created_at processed_at order_created_at ordered_at date timestamp purchase_date date_created "
_ORDERED += "invoice_date invoicedate"
_TOTALS = "total_price total order_total total_amount amount grand_total order_total_amount order_total_inc_tax "
_TOTALS += "total_inc_tax grand_total_base grand_total_purchased"
_DISCOUNTS = "discount_amount total_discounts total_discount discounts discount discount_total cart_discount_amount"
_REFUNDED = "refund_amount refunded_amount total_refunded total_refunds refunds refunded refunded_total "
_REFUNDED += "order_refund_amount"
_PRODUCTS = "product_id lineitem_product_id sku lineitem_sku variant_id product stock_code stockcode item_sku "
_PRODUCTS += "product_sku asin item_product_id lineitem_name item_name product_name item description"
PRODUCT_NAMES = "lineitem_name item_name product_name item description"
"""Columns that name a line's product where it has no id: many shops give only some products a SKU."""
_QUANTITIES = "quantity lineitem_quantity qty item_quantity quantity_purchased quantity_shipped quantity_refund "
_QUANTITIES += "qty_ordered"
_PRICES = "price unit_price lineitem_price item_price unitprice item_cost"
_WRITTEN = "created_at created created_datetime opened_at opened_datetime first_message_datetime date "
_WRITTEN += "conversation_started_at conversation_created_at"
_ANSWERED = "first_response_at first_reply_at first_responded_at first_response_datetime "
_ANSWERED += "first_agent_message_datetime first_agent_response_datetime statistics_first_admin_reply_at "
_ANSWERED += "conversation_first_replied_at"
_SOLVED = "resolved_at solved_at closed_at closed_datetime resolved_datetime metric_set_solved_at "
_SOLVED += "statistics_last_close_at conversation_last_closed_at conversation_first_closed_at"
_RATED = "satisfaction_score satisfaction satisfaction_survey_score csat_score csat survey_score rating "
_RATED += "satisfaction_rating_score conversation_rating_rating last_teammate_rating conversation_rating"

ORDERS = TableSpec(
    "orders",
    ("order_id",),
    (
        Column("order_id", "text", f"order_id amazon_order_id id {_ORDER_IDS}", required=True, limits=_ID),
        Column("customer_id", "text", _CUSTOMERS, required=True, optional_value=True, limits=_ID),
        Column("order_date", "date", _ORDERED, required=True),
        Column("total_price", "money", _TOTALS, required=True),
        Column("discount_amount", "money", _DISCOUNTS),
        Column("source", "text", "source source_name sales_channel channel channel_name purchase_point"),
        Column("status", "text", "status order_status financial_status"),
        Column("currency", "text", "currency currency_code order_currency order_currency_code", limits=(_CODE,)),
        Column("refund_amount", "money", _REFUNDED),
    ),
    {"email": _EMAILS},
)

ORDER_ITEMS = TableSpec(
    "order_items",
    ("order_id", "line_no"),
    (
        Column("order_id", "text", f"order_id amazon_order_id {_ORDER_IDS}", required=True),
        Column("line_no", "whole", "line_no line_number line position", limits=(_LINE,)),
        Column("product_id", "text", _PRODUCTS, required=True),
        Column("category", "text", "category product_category lineitem_category item_category"),
        Column("product_type", "text", "product_type lineitem_product_type type"),
        Column("quantity", "number", _QUANTITIES, required=True, limits=_QUANTITY),
        Column("price", "money", _PRICES, required=True),
        Column("refund_amount", "money", "refund_amount refunded_amount refund item_refunded"),
        Column("refunded_at", "date", "refunded_at refund_date returned_at"),
    ),
    aids=(
        Column("line_total", "money", "line_total item_total line_amount extended_price"),
        Column("line_discount", "money", "line_discount"),
    ),
)

SUPPORT_TICKETS = TableSpec(
    "support_tickets",
    ("ticket_id",),
    (
        Column("ticket_id", "text", "ticket_id id ticket ticket_number conversation_id", required=True, limits=_ID),
        Column("customer_id", "text", f"{_SHOPS_IDS} {_HELPDESK_IDS} {_EMAILS}", required=True, optional_value=True),
        Column("created_at", "date", _WRITTEN, required=True),
        Column("channel", "text", "channel via source via_channel source_type"),
        Column("status", "text", "status state current_conversation_state conversation_state"),
        Column("priority", "text", "priority conversation_priority"),
        Column("subject", "text", "subject title source_subject"),
        Column("tags", "labels", "tags labels topic tags_tags conversation_tag conversation_tags"),
        Column("first_response_at", "date", _ANSWERED),
        Column("resolved_at", "date", _SOLVED),
        Column("satisfaction_score", "rating", _RATED, limits=(_SCORE,)),
        Column(
            "reopen_count",
            "number",
            "reopen_count reopens n_reopens metric_set_reopens statistics_count_reopens",
            limits=(_TIMES,),
        ),
    ),
    {"customer_id": _SHOPS_IDS, "helpdesk_id": _HELPDESK_IDS, "email": _EMAILS},
)

CUSTOMERS = TableSpec(
    "customers",
    (),
    (),
    {
        "customer_id": "customer_id id client_id user_id customer external_id customer_external_id shopify_customer_id",
        "helpdesk_id": _HELPDESK_IDS,
        "email": _EMAILS,
    },
)
"""A list of customers is kept as identities only: its rows say which keys are one person's."""

_PRODUCT_KEYS = "product_id variant_sku sku product_code_sku product_sku item_sku variant_id id asin handle url_handle "
_PRODUCT_KEYS += "title name product_name"

PRODUCTS = TableSpec(
    "products",
    ("product_id",),
    (
        Column("product_id", "text", _PRODUCT_KEYS, required=True, limits=_ID),
        Column("category", "text", "category product_category categories category_details"),
        Column("product_type", "text", "product_type type custom_product_type standard_product_type"),
    ),
)
"""A list of products; every column that may be the id is one, because lines are known by any of them."""

TABLES = {spec.name: spec for spec in (ORDERS, ORDER_ITEMS, PRODUCTS, CUSTOMERS, SUPPORT_TICKETS)}
"""In the order in which they are loaded."""

GUESSES = {
    "order_id": "bestellnummer bestellung bestellnr auftrag auftragsnummer commande pedido ordine ordernummer receipt",
    "customer_id": "kunde kundennummer kundennr cliente klant klantnummer buyer member account shopper",
    "order_date": "datum bestelldatum fecha data jour when day time",
    "total_price": "summe gesamt gesamtbetrag betrag montant importe totale totaal bedrag sum value revenue paid",
    "product_id": "artikel artikelnummer artikelnr produkt article producto prodotto",
    "quantity": "menge anzahl stueck quantite cantidad aantal quantita units pieces count",
    "price": "preis einzelpreis stueckpreis prix precio prijs prezzo rate",
    "ticket_id": "ticketnummer case conversation",
    "created_at": "erstellt datum fecha opened",
}
"""Words of other languages and trades that a column's name may hold: a guess for a person to look at, no more."""


@dataclass(frozen=True)
class Export:
    """An export of a shop system's, and what its column names mean where that is not what they mean elsewhere."""

    name: str
    marks: frozenset[str]
    """Columns, normalised, that together no other file has."""
    means: Mapping[str, str] = field(default_factory=dict)
    """``table.column`` → the names it has here, as in `Column`; empty: none."""
    line_prefix: str = ""
    """What the names of a line's own columns begin with."""
    clock: str = ""
    """The column that holds the time of the day whose date the order's column holds."""
    packed: str = ""
    """The column that holds all lines of an order in one cell."""
    minus: str = ""
    """Columns whose amounts are written with a minus, as what is taken off."""
    lacks: str = ""
    """Why it cannot be used, and what to export instead."""


def _export(name: str, marks: str, means: Mapping[str, str] | None = None, **more: str) -> Export:
    return Export(name, frozenset(marks.split()), means or {}, **more)


_BY_ADDRESS = {"orders.customer_id": "billing_email email_billing"}
"""WooCommerce's customers without an account have the id 0."""
_WOO_LINES = {
    "orders.total_price": "order_total",
    "order_items.product_id": "item_sku item_product_id item_name",
    "order_items.refund_amount": "item_refunded",
}
_AMAZON = {
    "orders.customer_id": "buyer_email",
    "order_items.price": "",  # the column so called holds that of all pieces together
    "order_items.line_total": "item_price",
    "order_items.line_discount": "item_promotion_discount",
}
_NO_BUYER = (
    "names no buyer: download, in Seller Central, Order Reports, New Orders (orders that you send yourself) or Amazon "
    "Fulfilled Shipments (orders that Amazon sends), which have the column buyer-email"
)

EXPORTS = (
    _export(
        "Shopify orders",
        "name lineitem_quantity lineitem_price",
        {"orders.order_id": "name", "order_items.order_id": "name"},
        line_prefix="lineitem_",
    ),
    _export("WooCommerce lines", "order_id billing_email order_total item_quantity", {**_BY_ADDRESS, **_WOO_LINES}),
    _export("WooCommerce orders", "order_id billing_email order_total line_items", _BY_ADDRESS, packed="line_items"),
    _export(
        "WooCommerce Advanced Order Export",
        "order_number order_total_amount email_billing",
        {**_BY_ADDRESS, "orders.discount_amount": "cart_discount_amount", "order_items.product_id": "sku item_name"},
    ),
    _export(
        "WooCommerce Analytics",
        "order items_sold net_sales customer_type",
        {"orders.total_price": "net_sales n_revenue n_revenue_formatted", "orders.customer_id": "customer"},
    ),
    _export("Magento orders", "id purchase_point purchase_date grand_total_base"),
    _export(
        "BigCommerce orders",
        "order_id order_total_inc_tax product_details",
        {"orders.customer_id": "customer_email customer_id"},
        clock="order_time",
        packed="product_details",
    ),
    _export(
        "Square items",
        "transaction_id event_type gross_sales item qty",
        {
            "orders.discount_amount": "",
            "orders.source": "channel location",
            "order_items.product_id": "sku item",
            "order_items.line_total": "gross_sales",
            "order_items.line_discount": "discounts",
        },
        clock="time",
    ),
    _export(
        "Square transactions",
        "transaction_id event_type net_sales total_collected",  # what was collected holds tax and tips
        {
            "orders.total_price": "net_sales",
            "orders.refund_amount": "partial_refunds",
            "orders.source": "channel source",
        },
        clock="time",
        minus="discounts partial_refunds",
    ),
    _export("Amazon orders", "order_id buyer_email item_price quantity_purchased", _AMAZON),
    _export("Amazon Fulfilled Shipments", "amazon_order_id buyer_email item_price quantity_shipped", _AMAZON),
    _export("Amazon All Orders", "amazon_order_id last_updated_date order_status", lacks=_NO_BUYER),
    _export("a report of Amazon's orders", "order_id order_item_id quantity_purchased", lacks=_NO_BUYER),
    _export("Shopify customers", "customer_id email accepts_email_marketing"),
    _export("Zendesk tickets", "id requester_email first_reply_time_in_minutes"),
    _export("Zendesk tickets as JSON", "id requester_email metric_set_reopens"),
    _export("Intercom conversations", "id source_author_id state"),
    _export("Intercom conversations as CSV", "conversation_id current_conversation_state"),
)
"""Where two match, the first counts."""
