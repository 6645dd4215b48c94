"""How services outside are asked: at which address, how fast, and how long they wish to be left alone.

Belongs here: what is the same of all of them. Does not: requests, how often they are repeated (``klaviyo.client``,
``gorgias.client``, ``webhooks``).
"""

import math
import os
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from quimbi_assets.errors import BadInputError


class Pace:
    """Lets requests through no faster than a service allows: some at once, then so many a second."""

    def __init__(self, burst: float, per_second: float) -> None:
        self.burst, self.per_second = burst, per_second
        self._ready, self._at = float(burst), time.monotonic()

    def wait(self) -> None:
        """Wait until one more request is allowed."""
        now = time.monotonic()
        self._ready = min(self.burst, self._ready + (now - self._at) * self.per_second)
        pause = max(0.0, (1 - self._ready) / self.per_second)
        time.sleep(pause)
        self._at, self._ready = now + pause, max(self._ready, 1.0) - 1

    def hold(self, seconds: float) -> None:
        """Let nothing through for some seconds: others have used up what there was."""
        self._ready = min(self._ready, 1 - seconds * self.per_second)


def server_address(variable: str, otherwise: str) -> str:
    """Return the address that a variable of the environment holds, or another; BadInputError if it is no server's."""
    address = os.environ.get(variable, "").strip() or otherwise
    try:
        parts = urlsplit(address)
        is_server = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server or "@" in address:  # not shown: it may hold a password
        raise BadInputError(f"{variable} is no address of a server: leave it out, or give {otherwise}")
    return address.rstrip("/")


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
