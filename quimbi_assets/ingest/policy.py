"""Which accepted orders count as purchases, and what each is worth.

Belongs here: the order policy and its application. Does not: whether a row is acceptable at all (``prepare``).
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.ingest.canonical import ITEM_COLUMNS, ORDER_COLUMNS, empty_items, naive_utc
from quimbi_assets.ingest.dates import zone
from quimbi_assets.ingest.keys import among

Report = dict[str, int]
"""What happened, in words, and to how many rows; in the order it happened."""


@dataclass(frozen=True)
class OrderPolicy:
    """What a store counts as a purchase.

    Parameters
    ----------
    dropped_statuses : tuple of str
        Statuses (lower case) of orders that are no purchases.
    drop_guests : bool
        Drop orders without a customer: nobody's behaviour can be read from them.
    gift_card_kinds : tuple of str
        Values (lower case) of ``product_type`` or ``category`` that mark a gift card: buying one is a deposit, not
        a purchase; it becomes one when it is spent.
    currency : str or None
        Keep only orders in this currency; None: the store's.
    """

    dropped_statuses: tuple[str, ...] = ("test", "cancelled", "canceled", "voided", "void", "draft", "failed")
    drop_guests: bool = True
    gift_card_kinds: tuple[str, ...] = ("gift card", "gift cards", "gift_card", "gift_cards", "gift-card", "giftcard")
    currency: str | None = None

    def to_json(self) -> str:
        """Return the policy as JSON text, as ``stores.order_policy`` keeps it.

        Examples
        --------
        >>> OrderPolicy.from_json(OrderPolicy(drop_guests=False).to_json()).drop_guests
        False
        """
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | dict[str, Any]) -> "OrderPolicy":
        """Return the policy that `text` (or its parsed form) describes; what it leaves out takes the default."""
        given = json.loads(text) if isinstance(text, str) else text
        known = {part.name for part in fields(cls)} & set(given)
        values: dict[str, Any] = {
            name: tuple(given[name]) if isinstance(given[name], list) else given[name] for name in known
        }
        return cls(**values)


def apply_policy(
    orders: pd.DataFrame,
    items: pd.DataFrame | None = None,
    policy: OrderPolicy | None = None,
    time_zone: str = "UTC",
    currency: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, Report]:
    """Turn stored orders into canonical ones.

    Parameters
    ----------
    orders : pandas.DataFrame
        (n_orders, >= 9) columns of the table ``orders``, ``order_date`` in UTC with zone.
    items : pandas.DataFrame, optional
        (n_lines, >= 9) columns of the table ``order_items``; None: no lines recorded.
    policy : OrderPolicy, optional
        Default policy if None.
    time_zone : str
        IANA zone of the store's clock.
    currency : str, optional
        The store's; by default the currency of most of its orders.

    Returns
    -------
    orders : pandas.DataFrame
        (n_kept, 8) as ``schemas.CANONICAL_ORDERS``.
    items : pandas.DataFrame
        (n_kept_lines, 9) as ``schemas.CANONICAL_ITEMS``.
    report : dict
        Counts in words, in order.

    Notes
    -----
    A gift card's value and refund leave its order's total and refund. Where refunds are recorded on lines only,
    an order's refund is the sum of its lines'. A refund never exceeds what was paid.
    """
    policy = policy or OrderPolicy()
    if items is None:
        items = empty_items()
    report: Report = {"orders read": len(orders), "lines read": len(items)}
    for reason, dropped in _not_purchases(orders, policy, currency):
        gone = dropped.reindex(orders.index, fill_value=False)
        if gone.any():
            report[f"orders dropped: {reason}"] = int(gone.sum())
            orders = orders[~gone]
    items = items[among(items["order_id"], orders["order_id"])]
    orders, items = _without_gift_cards(orders, items, policy, report)
    orders, items = _with_capped_refunds(orders, items, report)
    report |= {"orders kept": len(orders), "lines kept": len(items)}
    utc = orders["order_date"].dt.tz_convert("UTC")
    orders = orders.assign(
        order_date=utc.dt.tz_localize(None).astype("datetime64[us]"),
        order_date_local=utc.dt.tz_convert(zone(time_zone)).dt.tz_localize(None).astype("datetime64[us]"),
    )
    items = items.assign(refunded_at=naive_utc(items["refunded_at"]))
    return orders[ORDER_COLUMNS].reset_index(drop=True), items[ITEM_COLUMNS].reset_index(drop=True), report


def _not_purchases(orders: pd.DataFrame, policy: OrderPolicy, currency: str | None) -> list[tuple[str, pd.Series]]:
    """List, reason by reason, the orders that are no purchases; all indexed like `orders`."""
    status = orders["status"].str.strip().str.lower()
    reasons = [(f"status {name}", status.eq(name).fillna(value=False)) for name in policy.dropped_statuses]
    if policy.drop_guests:
        reasons.append(("guest without customer", orders["customer_id"].isna()))
    common = orders["currency"].mode()
    kept = policy.currency or currency or (common.iloc[0] if len(common) else None)
    if kept is not None:
        reasons.append((f"currency other than {kept}", orders["currency"].notna() & orders["currency"].ne(kept)))
    return [(reason, dropped.astype(bool)) for reason, dropped in reasons if dropped.any()]


def _without_gift_cards(
    orders: pd.DataFrame, items: pd.DataFrame, policy: OrderPolicy, report: Report
) -> tuple[pd.DataFrame, pd.DataFrame]:
    kinds = list(policy.gift_card_kinds)
    is_card = items["product_type"].str.strip().str.lower().isin(kinds)
    is_card |= items["category"].str.strip().str.lower().isin(kinds)
    if not is_card.any():
        return orders, items
    cards, items = items[is_card], items[~is_card]
    only_cards = among(orders["order_id"], cards["order_id"]) & ~among(orders["order_id"], items["order_id"])
    report["gift card lines dropped"] = len(cards)
    report["orders dropped: only gift cards"] = int(only_cards.sum())
    orders = orders[~only_cards]
    value = (cards["quantity"] * cards["price"]).groupby(cards["order_id"]).sum()
    refund = cards["refund_amount"].groupby(cards["order_id"]).sum()
    ids = orders["order_id"]
    return orders.assign(
        total_price=(orders["total_price"] - _by_order(value, ids)).clip(lower=0.0),
        refund_amount=(orders["refund_amount"] - _by_order(refund, ids)).clip(lower=0.0),
    ), items


def _by_order(sums: pd.Series, ids: pd.Series) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return each order's sum, 0 where it has none: (n_orders,)."""
    return sums.reindex(ids).fillna(0.0).to_numpy(dtype="float64")


def _with_capped_refunds(
    orders: pd.DataFrame, items: pd.DataFrame, report: Report
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if orders["refund_amount"].isna().all() and items["refund_amount"].notna().any():
        refund = items["refund_amount"].groupby(items["order_id"]).sum()
        orders = orders.assign(refund_amount=_by_order(refund, orders["order_id"]))
        report["orders whose refund is the sum of their lines'"] = int((orders["refund_amount"] > 0).sum())
    worth = items["quantity"] * items["price"]
    excess = (orders["refund_amount"] > orders["total_price"] + 0.005).sum()
    if excess:
        report["refunds cut to what was paid"] = int(excess)
    return (
        orders.assign(refund_amount=orders["refund_amount"].clip(upper=orders["total_price"])),
        items.assign(refund_amount=items["refund_amount"].clip(upper=worth)),
    )
