"""Amounts as people write them become numbers, or are refused where two readings are possible.

Belongs here: number formats and what amount is absurd. Does not: which columns hold amounts (``prepare``).
"""

import numpy as np
import pandas as pd

LARGEST_AMOUNT = 1e7
"""Assumption: no shop's order or unit price reaches ten million of an ordinary currency; what does is a typing error
or a placeholder such as 99999999.99."""

LARGEST_AMOUNT_IN_SMALL_UNITS = 1e10
"""The same for currencies whose unit is worth about a cent or less."""

SMALL_UNITS = frozenset(
    {"CLP", "COP", "CRC", "GNF", "HUF", "IDR", "IRR", "JPY", "KHR", "KRW", "LAK", "LBP", "MGA", "MMK"}
)
SMALL_UNITS |= {"MNT", "PYG", "RWF", "TZS", "UGX", "UZS", "VND", "XAF", "XOF"}
"""ISO 4217 codes of such currencies."""

_UNIT = r"(?:[A-Z]{2,3}|[$€£¥₹₩₫₽]|kr\.?|zł|Kč)"
_WRITTEN = (
    rf"^(?P<before>[-+(]?)\s*{_UNIT}?\s*(?P<after>[-+]?)\s*"
    rf"(?P<digits>\d[\d.,'’\s]*|[.,]\d+)\s*{_UNIT}?\s*(?P<end>[-)]?)$"
)
_DECIMAL_DOT = r"\.\d{1,2}\D*$"
_DECIMAL_COMMA = r",\d{1,2}\D*$"


def largest_amount(currency: str | None) -> float:
    """Return the amount above which a row is refused as absurd, in `currency`.

    Examples
    --------
    >>> largest_amount("USD"), largest_amount("VND"), largest_amount(None)
    (10000000.0, 10000000000.0, 10000000.0)
    """
    return LARGEST_AMOUNT_IN_SMALL_UNITS if currency in SMALL_UNITS else LARGEST_AMOUNT


def parse_amounts(values: pd.Series) -> pd.Series:
    """Read amounts.

    Parameters
    ----------
    values : pandas.Series
        (n,) numbers, or text such as ``"12.50"``, ``"$1,234.50"``, ``"12,50 €"``, ``"(3.00)"``; NULL allowed.

    Returns
    -------
    pandas.Series
        (n,) float64, NaN where `values` is NULL **or** cannot be read; compare with ``values.notna()``.
        Infinities stay, for the schema to refuse.

    Notes
    -----
    ``"1,234"`` has two readings. The rest of the column decides: where other values have a decimal point it is a
    thousand, where others have a decimal comma it is 1.234, and where neither occurs it is not read at all.

    Examples
    --------
    >>> parse_amounts(pd.Series(["$1,234.50", "12,50", "(3.00)", "1,234", "abc", None])).tolist()
    [1234.5, 12.5, -3.0, nan, nan, nan]
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        return pd.Series(np.nan, index=values.index, dtype="float64")
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.astype("float64")
    text = values.astype("str")
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    odd = values.notna() & numbers.isna()
    if odd.any():
        codes, distinct = pd.factorize(text)
        read = _parse_distinct(pd.Series(distinct, dtype="str"))
        numbers = read.reindex(codes).set_axis(values.index)
    return numbers


def _parse_distinct(text: pd.Series) -> pd.Series:
    """Read distinct texts, none of them NULL, some of them not plain numbers."""
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    odd = numbers.isna()
    comma_decimals = _any(text, _DECIMAL_COMMA) and not _any(text, r"^[^,]*" + _DECIMAL_DOT)
    dot_decimals = _any(text, _DECIMAL_DOT) and not _any(text, r"^[^.]*" + _DECIMAL_COMMA)
    if comma_decimals:  # then "1.234" is a thousand as well, although it reads as a number
        odd |= text.str.fullmatch(r"\s*-?[1-9]\d{0,2}(?:\.\d{3})+\s*")
    numbers[odd] = _parse_written(text[odd], dot_decimals, comma_decimals)
    return numbers


def _any(text: pd.Series, pattern: str) -> bool:
    return bool(text.str.contains(pattern).any())


def _parse_written(text: pd.Series, dot_decimals: bool, comma_decimals: bool) -> pd.Series:
    """Read what is not a plain number: signs, symbols, separators; NaN where unreadable or ambiguous."""
    part = text.str.strip().str.extract(_WRITTEN).fillna("")
    signs = part["before"] + part["after"] + part["end"]
    bare = part["digits"].str.replace(r"(?<=\d)['’\s](?=\d{3})", "", regex=True).str.strip()
    dotted = bare.str.fullmatch(r"\d{1,3}(?:,\d{3})+\.\d+|\d+\.?\d*|\.\d+|\d{1,3}(?:,\d{3}){2,}")
    comma = bare.str.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2}|\d+,\d{4,}|0,\d+|,\d+|\d{1,3}(?:\.\d{3}){2,}")
    if dot_decimals != comma_decimals:  # the column tells what the separator of "1,234" or "1.234" means
        unclear = bare.str.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}")
        dotted, comma = (dotted | unclear, comma) if dot_decimals else (dotted & ~unclear, comma | unclear)
    as_dotted = bare.str.replace(",", "", regex=False)
    as_comma = bare.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    chosen = as_dotted.where(dotted, as_comma.where(comma & ~dotted))
    numbers = pd.to_numeric(chosen, errors="coerce").astype("float64")
    numbers = numbers.where(~signs.isin(["-", "()"]), -numbers)
    return numbers.where(signs.isin(["", "+", "-", "()"]))
