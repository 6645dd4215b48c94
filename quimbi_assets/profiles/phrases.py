"""Numbers as people read them, for a whole column at once: ``£1,240``, ``12 orders``, ``9 days ago``.

Belongs here: Arrow text kernels that write numbers. Does not: single values (``segments.values``), sentences
(``interpretation``).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.naming.values import CURRENCY_SIGNS

THREE_DIGITS = pa.array([f"{i:03d}" for i in range(1000)])
LARGEST = 9e15


def join(*parts: Any) -> pa.StringArray:
    """Put texts side by side, row by row; null where any part is null."""
    return pc.binary_join_element_wise(*parts, "")


def whole_numbers(values: NDArray[np.float64]) -> pa.StringArray:
    """Write whole numbers with thousands separated; null where undefined or beyond 9e15.

    Examples
    --------
    >>> whole_numbers(np.array([0, 999, 1240, 1002003, -1240, float("nan")])).to_pylist()
    ['0', '999', '1,240', '1,002,003', '-1,240', None]
    """
    known = np.abs(values) <= LARGEST
    rest = np.where(known, np.abs(np.rint(np.where(known, values, 0.0))), 0.0).astype(np.int64)
    text = pc.cast(pa.array(rest % 1000), pa.string())
    padded = pc.take(THREE_DIGITS, pa.array(rest % 1000))
    while (rest := rest // 1000).any():
        more = pa.array(rest > 0)
        head = pa.array(rest % 1000)
        text = pc.if_else(more, join(pc.cast(head, pa.string()), ",", padded), text)
        padded = pc.if_else(more, join(pc.take(THREE_DIGITS, head), ",", padded), padded)
    signed = pc.if_else(pa.array(np.rint(np.where(known, values, 0.0)) < 0), join("-", text), text)
    return pc.if_else(pa.array(known), signed, pa.scalar(None, pa.string()))


def amounts(values: NDArray[np.float64], currency: str) -> pa.StringArray:
    """Write amounts of at least 0 as ``segments.values.format_money`` does; null where undefined.

    Examples
    --------
    >>> amounts(np.array([1240.4, 12.5, float("nan")]), "GBP").to_pylist()
    ['£1,240', '£12.50', None]
    """
    sign = CURRENCY_SIGNS.get(currency.upper(), currency)
    gap = " " if sign and sign[-1].isalpha() else ""
    small = np.where(np.abs(values) < 99.995, values, 0.0)
    cents = np.rint(small * 100).astype(np.int64)
    hundredths = pc.utf8_slice_codeunits(pc.take(THREE_DIGITS, pa.array(cents % 100)), 1, 3)
    with_cents = join(pc.cast(pa.array(cents // 100), pa.string()), ".", hundredths)
    number = pc.if_else(pa.array(np.abs(values) < 99.995), with_cents, whole_numbers(values))
    return join(sign + gap, number)


def counted(values: NDArray[np.float64], singular: str, plural: str) -> pa.StringArray:
    """Write whole numbers with their noun; null where undefined.

    Examples
    --------
    >>> counted(np.array([1.0, 12.0]), "order", "orders").to_pylist()
    ['1 order', '12 orders']
    """
    noun = pc.if_else(pa.array(np.rint(values) == 1), f" {singular}", f" {plural}")
    return join(whole_numbers(values), noun)
