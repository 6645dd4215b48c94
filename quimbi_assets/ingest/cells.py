"""Cells as files hold them become text or numbers, or are refused where two readings are possible.

Belongs here: type to text, number formats, what amount is absurd, and what the cells of a whole column say about how
each one is meant. Does not: dates (``dates``), which columns hold what (``tables``).
"""

import json
from enum import Flag, auto
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.errors import BadInputError

NULL_WORDS: tuple[str, ...] = ("", "nan", "NaN", "NAN", "null", "NULL", "Null", "none", "None", "NONE")
NULL_WORDS += ("n/a", "N/A", "#N/A", "<NA>", "NaT", "NA")
"""Cells that say "nothing here"."""


class Signs(Flag):
    """What some cell of a column shows; a column's signs are the union of its chunks'."""

    NONE = 0
    FILLED = auto()
    """There is a cell with something in it."""
    NOT_WHOLE = auto()
    """... that is not a whole number written as ``1001.0``, or as ``1001`` beside such."""
    ROUNDED = auto()
    """... that is, or was written from, a floating-point number too large for its whole numbers to be exact."""
    DECIMAL_DOT = auto()
    DECIMAL_COMMA = auto()
    LONE_DOT = auto()
    """... with a decimal point and no comma before it; so for `LONE_COMMA`."""
    LONE_COMMA = auto()
    DAY_FIRST = auto()
    MONTH_FIRST = auto()
    OFFSET = auto()
    ODD_OFFSET = auto()
    """... with a UTC offset where more than nine in ten of a chunk's dates have none, which are the ones to be read."""
    UNCLEAR_OFFSET = auto()
    """... with a UTC offset at a date of which only the other cells tell whether it can be read."""


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

RATING_WORDS = {"good": "5", "bad": "1", "offered": None, "unoffered": None, "not offered": None}
"""Zendesk's ratings on the scale 1 to 5; one that was offered only is none."""

_UNIT = r"(?:[A-Z]{2,3}|[$€£¥₹₩₫₽]|kr\.?|zł|Kč)"
_WRITTEN = (
    rf"^(?P<before>[-+(]?)\s*{_UNIT}?\s*(?P<after>[-+]?)\s*"
    rf"(?P<digits>\d[\d.,'’\s]*|[.,]\d+)\s*{_UNIT}?\s*(?P<end>[-)]?)$"
)
_DECIMALS = {
    Signs.DECIMAL_DOT: r"\.\d{1,2}\D*$",
    Signs.LONE_DOT: r"^[^,]*\.\d{1,2}\D*$",
    Signs.DECIMAL_COMMA: r",\d{1,2}\D*$",
    Signs.LONE_COMMA: r"^[^.]*,\d{1,2}\D*$",
}


def largest_amount(currency: str | None) -> float:
    """Return the amount above which a row is refused as absurd, in `currency`.

    >>> largest_amount("USD"), largest_amount("VND"), largest_amount(None)
    (10000000.0, 10000000000.0, 10000000.0)
    """
    return LARGEST_AMOUNT_IN_SMALL_UNITS if currency in SMALL_UNITS else LARGEST_AMOUNT


def text_signs(values: pd.Series) -> Signs:
    """Return what a chunk of a column says about reading it as text: `FILLED`, `NOT_WHOLE`, `ROUNDED`."""
    known = values.dropna().infer_objects()
    signs = Signs.FILLED if len(known) else Signs.NONE
    if pd.api.types.is_integer_dtype(known.dtype):
        return signs | Signs.NOT_WHOLE
    if pd.api.types.is_float_dtype(known.dtype):
        numbers = known.to_numpy("float64")
        is_whole = (np.isfinite(numbers) & (np.trunc(numbers) == numbers)).all()
        largest_exact = 2.0 ** (24 if str(known.dtype).lower() == "float32" else 53)
    else:
        for some in (known.head(100), known):  # nearly always the first hundred tell
            text = plain_text(some).dropna()
            floats = text[~text.str.fullmatch(r"\d+")]
            written = r"\d+\.0" if len(floats) < len(text) else r"\d+\.0|\d(?:\.\d+)?[eE]\+?\d+"
            if not floats.str.fullmatch(written).all():
                return signs | Signs.NOT_WHOLE
        numbers, largest_exact = pd.to_numeric(floats).to_numpy("float64"), 2.0**53
        is_whole = floats.str.endswith(".0").all()
    if (np.abs(numbers) > largest_exact).any():
        signs |= Signs.ROUNDED
    return signs if is_whole else signs | Signs.NOT_WHOLE


def rounded_ids(where: str, column: str) -> BadInputError:
    """Return the error about a column of ids with the sign `ROUNDED`."""
    return BadInputError(
        f"{where}: {column} holds ids above 2^53 as floating-point numbers, so several ids have become one; "
        "read or export the column as text or whole numbers (in pandas: dtype string or Int64)"
    )


NUL_SHOWN = "\\u0000"
"""The NUL byte, which PostgreSQL's text cannot hold, as ids and refused rows have it: without it ids become others."""


def as_text(values: pd.Series, signs: Signs | None = None, *, are_ids: bool = False) -> pd.Series:
    """Return values of any type, lists included, as text without surrounding space, NULL where there is nothing.

    Whole numbers held as floats, or written so, lose their ``.0`` if every value of the column is a whole number:
    `signs` are `text_signs` of the whole column, of which `values` may be a part. A NUL byte is left out, of ids shown.

    >>> as_text(pd.Series([1001.0, None, 7.0])).tolist()
    ['1001', nan, '7']
    >>> as_text(pd.Series(["12", "12.0"])).tolist()
    ['12', '12']
    >>> as_text(pd.Series([" a ", "", "NULL"])).tolist()
    ['a', nan, nan]
    """
    signs = text_signs(values) if signs is None else signs
    whole = Signs.NOT_WHOLE not in signs
    if whole and pd.api.types.is_float_dtype(values.dtype):
        return values.astype("Int64").astype("str")
    text = plain_text(values, are_ids=are_ids)
    return text.str.removesuffix(".0") if whole and Signs.FILLED in signs else text


def as_labels(text: pd.Series) -> pd.Series:
    """Return lists written as JSON, as helpdesks export tags, as words with commas; other text as it is.

    >>> as_labels(pd.Series(['[{"id": 1, "name": "late"}, {"id": 2, "name": "refund"}]', "late", "[]"])).tolist()
    ['late, refund', 'late', nan]
    """
    listed = text[text.str.startswith("[").fillna(value=False).astype(bool)]
    if listed.empty:
        return text
    codes, distinct = pd.factorize(listed)
    words = pd.Series([_words(one) for one in distinct], dtype="str")
    return text.where(~text.index.isin(listed.index), words.reindex(codes).set_axis(listed.index))


def _words(listed: str) -> str | None:
    try:
        parts = json.loads(listed)
    except ValueError:
        parts = [part.strip(" '\"") for part in listed.strip("[]").split(",")]
    return _joined(parts) or None


def _joined(parts: Any) -> str:
    return ", ".join(str(part.get("name", part) if isinstance(part, dict) else part) for part in parts)


def plain_text(values: pd.Series, *, are_ids: bool = False) -> pd.Series:
    """Return values as text, stripped, NULL for `NULL_WORDS`; floats keep their ``.0``, and ids what is a NUL byte."""
    if values.dtype == object:
        values = values.map(_plain, na_action="ignore")
    text = values.astype("str").str.strip()
    if text.str.contains("\0", regex=False).any():
        text = text.str.replace("\0", NUL_SHOWN if are_ids else "", regex=False)
    return text.mask(text.isin(NULL_WORDS))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (list, tuple, np.ndarray)):
        return _joined(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def plain_ratings(values: pd.Series) -> pd.Series:
    """Return ratings with `RATING_WORDS` as the numbers, in text, that they stand for.

    >>> plain_ratings(pd.Series(["Good", "bad", "Offered", "4"])).tolist()
    ['5', '1', nan, '4']
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values
    text = plain_text(values)
    words = text.str.lower()
    return text.mask(words.isin(list(RATING_WORDS)), words.map(RATING_WORDS)).astype("str")


def amount_signs(values: pd.Series, known: Signs = Signs.NONE) -> Signs:
    """Return what a chunk of a column says about reading it as amounts; signs already `known` are not looked for."""
    signs = Signs.FILLED if values.notna().any() else Signs.NONE
    if pd.api.types.is_numeric_dtype(values.dtype):
        return signs
    text = plain_text(values)
    has_comma = bool(text.str.contains(",", regex=False).any())
    for sign, pattern in _DECIMALS.items():
        needs_comma = sign in Signs.DECIMAL_COMMA | Signs.LONE_COMMA
        if sign not in known and (has_comma or not needs_comma) and text.str.contains(pattern).any():
            signs |= sign
    return signs


def parse_amounts(values: pd.Series, signs: Signs | None = None) -> pd.Series:
    """Read numbers, or text such as ``"12.50"``, ``"$1,234.50"``, ``"12,50 €"``, ``"(3.00)"``, as float64.

    What cannot be read is NaN, as NULL is: compare with ``values.notna()``. Infinities stay, for the schema to refuse.
    ``"1,234"`` has two readings. The rest of the column decides, by its `amount_signs`: where other values have a
    decimal point it is a thousand, where others have a decimal comma it is 1.234, and where neither occurs it is not
    read at all.

    >>> parse_amounts(pd.Series(["$1,234.50", "12,50", "(3.00)", "1,234", "abc", None])).tolist()
    [1234.5, 12.5, -3.0, nan, nan, nan]
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        return pd.Series(np.nan, index=values.index, dtype="float64")
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.astype("float64")
    signs = amount_signs(values) if signs is None else signs
    codes, distinct = pd.factorize(values.astype("str"))
    text = pd.Series(distinct, dtype="str")
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    odd = numbers.isna()
    comma_decimals = Signs.DECIMAL_COMMA in signs and Signs.LONE_DOT not in signs
    dot_decimals = Signs.DECIMAL_DOT in signs and Signs.LONE_COMMA not in signs
    if comma_decimals:  # then "1.234" is a thousand as well, although it reads as a number
        odd |= text.str.fullmatch(r"\s*-?[1-9]\d{0,2}(?:\.\d{3})+\s*")
    numbers[odd] = _parse_written(text[odd], dot_decimals, comma_decimals)
    return numbers.reindex(codes).set_axis(values.index)  # code -1 is NULL and finds nothing


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
