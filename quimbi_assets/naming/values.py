"""One number in shop units as a person reads it: ``2.4 orders a month``, ``31 %``, ``£1,240``.

Belongs here: rounding, units and currency signs. Does not: sentences (``interpretation``).
"""

import math
from collections.abc import Callable

from quimbi_assets.axes._axis import Feature

CURRENCY_SIGNS = {"GBP": "£", "USD": "$", "EUR": "€", "JPY": "¥", "INR": "₹", "CAD": "CA$", "AUD": "A$"}
UNKNOWN = "not known"
SKEWED = ("log1p", "signed_log1p")
"""Transforms of features whose mean a few customers can carry far away: their medians are reported instead."""


def format_value(feature: Feature, value: float, currency: str = "") -> str:
    """Write a feature's value with its unit, rounded as a shopkeeper would say it.

    Parameters
    ----------
    feature : Feature
        Declares the unit; ``share`` and ``yes/no`` are printed as a percentage, ``money`` in the store's
        currency.
    value : float
        In shop units; NaN is written as "not known".
    currency : str, default ""
        ISO code (``"GBP"``) or sign (``"£"``).

    Returns
    -------
    str

    Examples
    --------
    >>> from quimbi_assets.axes._axis import Feature
    >>> format_value(Feature("orders_per_month", "orders a month", "Orders per month"), 2.4312)
    '2.4 orders a month'
    >>> format_value(Feature("discount_rate", "share", "Orders with a discount"), 0.3149)
    '31 %'
    >>> format_value(Feature("lifetime_value", "money", "Spent in all"), 1240.4, "GBP")
    '£1,240'
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if feature.unit == "money":
        return format_money(value, currency)
    writer = _WRITERS.get(feature.unit)
    if writer is not None:
        return writer(value)
    unit = singular(feature.unit) if format_number(value) == "1" else feature.unit
    return f"{format_number(value)} {unit}".strip()


def format_number(value: float) -> str:
    """Round to two significant digits below ten, to a whole number above, with thousands separated.

    Examples
    --------
    >>> [format_number(x) for x in (0, 0.0312, 0.8, 2.43, 12.4, 1240.4)]
    ['0', '0.031', '0.8', '2.4', '12', '1,240']
    """
    if abs(value) < 5e-5:
        return "0"
    digits = 0 if abs(value) >= 9.95 else 1 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{max(digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_percent(share: float) -> str:
    """Write a share (0-1) as a percentage that is 0 or 100 only when the share is exactly so.

    Examples
    --------
    >>> [format_percent(x) for x in (0, 0.004, 0.0002, 0.31, 0.996, 1)]
    ['0 %', '0.4 %', 'under 0.1 %', '31 %', '99.6 %', '100 %']
    """
    percent = 100.0 * share
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.9 < percent < 100:
        return "over 99.9 %"
    near_an_end = abs(percent) < 0.95 or 99 < percent < 100
    return f"{percent:.1f} %" if near_an_end else f"{percent:.0f} %"


def format_money(amount: float, currency: str = "") -> str:
    """Write an amount in the store's currency: whole units from 100 up, cents below.

    Examples
    --------
    >>> format_money(1240.4, "£"), format_money(12.5, "USD"), format_money(-3, "SEK"), format_money(7)
    ('£1,240', '$12.50', '-SEK 3.00', '7.00')
    """
    sign = CURRENCY_SIGNS.get(currency.upper(), currency)
    gap = " " if sign and sign[-1].isalpha() else ""
    number = f"{abs(amount):,.0f}" if abs(amount) >= 99.995 else f"{abs(amount):,.2f}"
    minus = "-" if amount < 0 and number != "0.00" else ""
    return f"{minus}{sign}{gap}{number}"


def _signed(value: float) -> str:
    """Write a slope with its sign."""
    number = format_number(value)
    return f"+{number}" if value > 0 and number != "0" else number


def singular(unit: str) -> str:
    """Turn the first word of a unit into the singular: ``1 day``, ``1 order a month``."""
    first, *rest = unit.split(" ")
    one = first.removesuffix("ies") + "y" if first.endswith("ies") else first.removesuffix("s")
    return " ".join([one, *rest])


_WRITERS: dict[str, Callable[[float], str]] = {
    "share": format_percent,
    "yes/no": format_percent,
    "count": format_number,
    "index": format_number,
    "slope": _signed,
}
