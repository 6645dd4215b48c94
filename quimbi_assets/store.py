"""A store: its name, its clock, its currency, and what counts as a purchase there.

Belongs here: the value that travels with a store's history. Does not: where stores are kept (``resources``).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from quimbi_assets.instants import zone


@dataclass(frozen=True)
class BusinessHours:
    """Opening hours, local, Monday to Friday: an order at ``opens`` counts, one at ``closes`` does not."""

    opens: int = 9
    closes: int = 17

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> "BusinessHours":
        """Return the hours that a store gave; the usual ones where it gave none."""
        known = {part.name for part in fields(cls)} & set(given or {})
        return cls(**{name: int((given or {})[name]) for name in known})


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
    def from_json(cls, text: str | Mapping[str, Any]) -> "OrderPolicy":
        """Return the policy that `text` (or its parsed form) describes; what it leaves out takes the default."""
        given = json.loads(text) if isinstance(text, str) else text
        known = {part.name for part in fields(cls)} & set(given)
        values: dict[str, Any] = {
            name: tuple(given[name]) if isinstance(given[name], list) else given[name] for name in known
        }
        return cls(**values)


@dataclass(frozen=True)
class Store:
    """How a store's orders are to be read.

    Parameters
    ----------
    store_id : str
    time_zone : str
        IANA name.
    currency : str or None
        ISO 4217; None: the currency most of its orders are in.
    policy : OrderPolicy
    business_hours : mapping or None
        As the store gave them; see ``hours``.
    """

    store_id: str = "store"
    time_zone: str = "UTC"
    currency: str | None = None
    policy: OrderPolicy = field(default_factory=OrderPolicy)
    business_hours: Mapping[str, Any] | None = None

    @property
    def hours(self) -> BusinessHours:
        """Opening hours."""
        return BusinessHours.of(self.business_hours)

    def checked(self) -> "Store":
        """Return itself.

        Raises
        ------
        BadInputError
            If its time zone is unknown.
        """
        zone(self.time_zone)
        return self

    def to_json(self) -> str:
        """Return the store as JSON text, as it rests beside its history."""
        return json.dumps({**asdict(self), "policy": asdict(self.policy)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Store":
        """Return the store that ``to_json`` described.

        Examples
        --------
        >>> Store.from_json(Store("mine", "Europe/Berlin", "EUR").to_json()).time_zone
        'Europe/Berlin'
        """
        given = json.loads(text)
        return cls(**{**given, "policy": OrderPolicy.from_json(given["policy"])})
