"""One number in original units as a person reads it: ``2.4 orders a month``, ``31 %``, ``£1,240``, ``13:30``.

Belongs here: rounding, units, currency signs, and a mean hour on the clock (the ``<name>_sin`` / ``<name>_cos`` pairs,
which mean nothing to a shopkeeper one by one). Does not: sentences (``rule_names``), measuring.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # commands print amounts and import no axis
    import pandas as pd

    from quimbi_assets.axes import Feature

CURRENCY_SIGNS = {"GBP": "£", "USD": "$", "EUR": "€", "JPY": "¥", "INR": "₹", "CAD": "CA$", "AUD": "A$"}
UNKNOWN = "not known"
SKEWED = ("log1p", "signed_log1p")
"""Transforms of features whose mean a few customers can carry far away: their medians are reported instead."""
MIN_CONCENTRATION = 0.3
"""Assumption: below this resultant length hours are spread too widely for a mean hour to mean anything."""


def format_value(feature: "Feature", value: float, currency: str = "") -> str:
    """Write a feature's value with its unit, rounded as a shopkeeper would say it.

    ``share`` is printed as a percentage, ``money`` in the store's currency, which is an ISO code or a sign; NaN as "not
    known".

    >>> from quimbi_assets.axes import Feature
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
    if feature.unit == "share":
        return format_percent(value)
    if feature.unit in ("count", "index"):
        return format_number(value)
    unit = singular(feature.unit) if format_number(value) == "1" else feature.unit
    return f"{format_number(value)} {unit}".strip()


def format_number(value: float) -> str:
    """Round to two significant digits below ten, to a whole number above, with thousands separated.

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

    >>> format_money(1240.4, "£"), format_money(12.5, "USD"), format_money(-3, "SEK"), format_money(7)
    ('£1,240', '$12.50', '-SEK 3.00', '7.00')
    """
    number = f"{abs(amount):,.0f}" if abs(amount) >= 99.995 else f"{abs(amount):,.2f}"
    minus = "-" if amount < 0 and number != "0.00" else ""
    return f"{minus}{currency_sign(currency)}{number}"


def currency_sign(currency: str) -> str:
    """Return what stands before an amount in a currency.

    >>> currency_sign("USD") + "5", currency_sign("SEK") + "5", currency_sign("") + "5"
    ('$5', 'SEK 5', '5')
    """
    sign = CURRENCY_SIGNS.get(currency.upper(), currency)
    return f"{sign} " if sign and sign[-1].isalpha() else sign


def plural(n: int, noun: str, many: str = "") -> str:
    """Write a number with its noun.

    >>> plural(1, "feature"), plural(1200, "customer"), plural(3, "axis", "axes")
    ('1 feature', '1,200 customers', '3 axes')
    """
    return f"{n:,} {noun if n == 1 else many or noun + 's'}"


def spoken(name: object) -> str:
    """Write a snake_case name as it is said.

    >>> spoken("never_rebuyers")
    'never rebuyers'
    """
    return str(name).replace("_", " ")


def singular(unit: str) -> str:
    """Turn the first word of a unit into the singular: ``1 day``, ``1 order a month``."""
    first, *rest = unit.split(" ")
    one = first.removesuffix("ies") + "y" if first.endswith("ies") else first.removesuffix("s")
    return " ".join([one, *rest])


def clock_pairs(names: list[str]) -> dict[str, tuple[str, str]]:
    """Find the features that are the sine and cosine of one clock angle, by their common stem.

    >>> clock_pairs(["weekend_ratio", "hour_sin", "hour_cos"])
    {'hour': ('hour_sin', 'hour_cos')}
    """
    stems = [name.removesuffix("_sin") for name in names if name.endswith("_sin")]
    return {stem: (f"{stem}_sin", f"{stem}_cos") for stem in stems if f"{stem}_cos" in names}


def clock_hour(sine: float, cosine: float) -> float:
    """Return the hour of day, 0-24, of a mean clock angle; NaN where the hours are too spread out to have one.

    >>> round(clock_hour(1.0, 0.0), 6), round(clock_hour(0.0, -1.0), 6), clock_hour(0.1, 0.1)
    (6.0, 12.0, nan)
    """
    if not math.hypot(sine, cosine) >= MIN_CONCENTRATION:
        return math.nan
    return (math.atan2(sine, cosine) / (2 * math.pi) * 24) % 24


def format_hour(hour: float) -> str:
    """Write an hour of day as a clock time, to the nearest ten minutes.

    >>> format_hour(13.54), format_hour(23.99)
    ('13:30', '00:00')
    """
    minutes = round(hour * 6) * 10 % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def part_of_day(hour: float) -> str:
    """Name the part of the day: morning from 6, afternoon from 12, evening from 17, night from 22.

    >>> [part_of_day(hour) for hour in (5.9, 6, 12, 17, 22)]
    ['night', 'morning', 'afternoon', 'evening', 'night']
    """
    parts = ("night", "morning", "afternoon", "evening", "night")
    return parts[int(np.searchsorted((6.0, 12.0, 17.0, 22.0), hour, side="right"))]


def mean_hour(segment: "Mapping[str, float] | pd.Series", statistic: str, pair: tuple[str, ...]) -> float:
    """Return a segment's hour of day by a statistic (``centre``, ``population``) of the pair; NaN without a pair."""
    return clock_hour(*(float(segment[f"{statistic}:{name}"]) for name in pair)) if pair else math.nan
