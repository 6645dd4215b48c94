"""How long to wait before a service is asked again.

Belongs here: reading its wish. Does not: waiting, how often (``klaviyo.client``, ``webhooks``).
"""

import math
import time
from email.utils import parsedate_to_datetime


def retry_seconds(header: str | None, otherwise: float, most: float) -> float:
    """Return the seconds that a ``Retry-After`` asks for, a number or a date, between 0 and ``most``.

    ``otherwise`` where it says nothing that can be read.

    >>> [retry_seconds(text, 2, 60) for text in ("5", "1e9", "-1", "nan", "soon", None)]
    [5.0, 60, 0.0, 2, 2, 2]
    >>> retry_seconds("Fri, 01 Jan 2100 00:00:00 GMT", 2, 60)
    60
    """
    wished = _seconds(header or "")
    return min(max(otherwise if math.isnan(wished) else wished, 0.0), most)


def _seconds(text: str) -> float:
    """Return what a header asks for, NaN where it cannot be read."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return math.nan
