"""Dates as files write them become instants in UTC, or a reason why not.

Belongs here: date formats, offsets, the store's clock. Does not: which columns hold dates (``tables``).
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from quimbi_assets.ingest.cells import Signs, plain_text
from quimbi_assets.store import zone

EARLIEST = pd.Timestamp("1980-01-01", tz="UTC")
"""Assumption: no store on file is older; 1970-01-01 and 1900-01-01 are what broken exports write."""

UNREADABLE = "is not a date (write it as 2024-12-31 or 2024-12-31 23:59:59)"
AMBIGUOUS = "is ambiguous: day or month first? (write it as 2024-12-31)"
MIXED = "has no UTC offset although others in the column have one"
ODD = "has a UTC offset although others in the column have none"
FUTURE = "lies in the future"
TOO_EARLY = "lies before 1980"

_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?"
ODD_BELOW = 0.1
"""Share of a chunk's dates below which offsets are odd ones out. Assumption: a system writes them always, or never."""
_HAS_OFFSET = r":\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_WRITTEN = (
    r"^(?:(?P<y1>\d{4})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})|(?P<y3>\d{4})(?P<m3>\d{2})(?P<d3>\d{2})"
    r"|(?P<a>\d{1,2})(?P<separator>[-/.])(?P<b>\d{1,2})[-/.](?P<y2>\d{4}))"
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<second>:\d{2}(?:\.\d+)?)?\s*(?P<half>[AaPp][Mm])?)?"
    r"\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$"
)
_OFFSET = r":\d{2}(?:\.\d+)?\s*(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})$"
EXPLAINED = 0.98
"""Share of orders whose offsets a zone must have had: days of a change are counted as wholly one or the other."""
ZONES = {
    "Europe/London": "GBP", "Europe/Berlin": "EUR", "Europe/Dublin": "EUR", "Europe/Athens": "EUR",
    "Europe/Zurich": "CHF", "Europe/Stockholm": "SEK", "Europe/Oslo": "NOK", "Europe/Copenhagen": "DKK",
    "Europe/Warsaw": "PLN", "Europe/Prague": "CZK", "Europe/Istanbul": "TRY", "America/New_York": "USD",
    "America/Chicago": "USD", "America/Denver": "USD", "America/Los_Angeles": "USD", "America/Phoenix": "USD",
    "America/Toronto": "CAD", "America/Vancouver": "CAD", "America/Halifax": "CAD", "America/Mexico_City": "MXN",
    "America/Sao_Paulo": "BRL", "America/Bogota": "COP", "America/Santiago": "CLP", "Asia/Dubai": "AED",
    "Asia/Kolkata": "INR", "Asia/Bangkok": "THB", "Asia/Singapore": "SGD", "Asia/Tokyo": "JPY",
    "Asia/Jerusalem": "ILS", "Africa/Johannesburg": "ZAR", "Africa/Lagos": "NGN", "Australia/Sydney": "AUD",
    "Australia/Brisbane": "AUD", "Australia/Adelaide": "AUD", "Australia/Perth": "AUD", "Pacific/Auckland": "NZD",
}  # fmt: skip
"""Time zones of most shops, with the currency that is usual there; of those with one clock the first is named."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_IN_WORDS = (
    r"^(?:[A-Za-z]{3,9},\s*)?(?:(?P<month>[A-Za-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?"
    r"|(?P<day2>\d{1,2})(?:st|nd|rd|th)?[\s-]+(?P<month2>[A-Za-z]{3,9})\.?),?[\s-]+(?P<year>\d{4}),?(?P<rest>.*)$"
)
"""English months: "Jan 5, 2024 10:00:00 AM" as Magento writes it, "Mon, 23 Sep 2024 14:21:24 +0000", "5-Jan-2024"."""


def date_signs(values: pd.Series) -> Signs:
    """Return what a chunk of a column says about reading it as dates: which comes first, whether offsets occur."""
    filled = Signs.FILLED if values.notna().any() else Signs.NONE
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return filled
    return filled | _text_signs(pd.Series(plain_text(values).dropna().unique(), dtype="str"))


def offsets_seen(values: pd.Series) -> Counter[tuple[str, int]]:
    """Count dates that are written with a UTC offset: by day in UTC, as text, and offset in minutes.

    >>> offsets_seen(pd.Series(["2025-07-01 00:30:00 +0100", "2025-07-01"]))
    Counter({('2025-06-30', 60): 1})
    """
    if not pd.api.types.is_string_dtype(values.dtype):
        return Counter()
    part = values.dropna().astype("str").str.extract(_OFFSET).dropna()
    minutes = (part["hours"].astype("int64") * 60 + part["minutes"].astype("int64")) * part["sign"].map(
        {"+": 1, "-": -1}
    )
    instants = pd.to_datetime(values.loc[part.index], format="ISO8601", errors="coerce", utc=True)
    days = instants.dt.strftime("%Y-%m-%d")
    shown = pd.DataFrame({"day": days, "minutes": minutes}).dropna()
    return Counter(zip(shown["day"].tolist(), shown["minutes"].tolist(), strict=True))


def likely_zone(offsets: Mapping[tuple[str, int], int], currency: str | None = None) -> str | None:
    """Return the time zone that explains offsets, as `offsets_seen` counts them; None where they tell too little.

    They tell something where two offsets are seen, or one that is not UTC's in winter and summer; the currency decides
    between zones that share their clock.
    """
    months = {day[5:7] for day, _ in offsets}
    is_yearly = bool(months & {"12", "01", "02"}) and bool(months & {"06", "07", "08"})
    distinct = {offset for _, offset in offsets}
    if len(distinct) < 2 and (not is_yearly or distinct == {0}):
        return None
    days = pd.DatetimeIndex([f"{day}T12:00Z" for day, _ in offsets])
    shown, counts = (np.array(part) for part in ([offset for _, offset in offsets], list(offsets.values())))
    for name in sorted(ZONES, key=lambda name: ZONES[name] != currency):
        local = days.tz_convert(name)
        minutes = (local.tz_localize(None) - days.tz_localize(None)) // pd.Timedelta(minutes=1)
        if counts[minutes.to_numpy() == shown].sum() >= EXPLAINED * counts.sum():
            return name
    return None


def parse_dates(values: pd.Series, time_zone: str, signs: Signs | None = None) -> tuple[pd.Series, pd.Series]:
    """Read instants: ``datetime64[us, UTC]``, NaT where there is none; and, as text, why a value could not be read.

    `signs` are `date_signs` of the whole column, of which `values` may be a part. Values without offset are in
    `time_zone`: a clock time that daylight saving skips moves to the moment after the gap; one that occurs twice is the
    first.

    >>> instants, reasons = parse_dates(pd.Series(["2024-01-05 10:00", "31/12/2023", "soon"]), "Europe/Berlin")
    >>> instants.dt.strftime("%Y-%m-%d %H:%M").tolist()
    ['2024-01-05 09:00', '2023-12-30 23:00', nan]
    """
    reasons: pd.Series = pd.Series(np.nan, index=values.index, dtype="str")
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values.dt.tz_convert("UTC").astype("datetime64[us, UTC]"), reasons
    if pd.api.types.is_datetime64_dtype(values.dtype):
        return _from_store_clock(values, time_zone), reasons
    if pd.api.types.is_numeric_dtype(values.dtype) and not values.isna().all():
        nowhere = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
        return nowhere, reasons.mask(values.notna(), UNREADABLE)
    codes, texts = pd.factorize(values.astype("str").str.strip())
    distinct = pd.Series(texts, dtype="str")
    instants, why = _parse_text(distinct, time_zone, _text_signs(distinct) if signs is None else signs)
    result = instants.reindex(codes).set_axis(values.index)  # code -1 is NULL and finds nothing
    return result, why.reindex(codes).set_axis(values.index)


def _text_signs(text: pd.Series) -> Signs:
    """Return what distinct texts, none of them NULL, show."""
    is_iso = text.str.fullmatch(_ISO).astype(bool)
    n_offsets = int(text[is_iso].str.contains(_HAS_OFFSET).sum())
    if is_iso.all():
        return _offset_sign(n_offsets, len(text))
    part = _in_numbers(text[~is_iso]).str.extract(_WRITTEN)
    numeric, a, b, unclear = _day_and_month(part)
    has_offset = part["offset"].notna() & part["hour"].notna() & ~_is_no_hour(part)
    signs = _offset_sign(n_offsets + int((has_offset & ~unclear).sum()), len(text))
    shown = {
        Signs.DAY_FIRST: numeric & (a > 12),
        Signs.MONTH_FIRST: numeric & (b > 12),
        Signs.UNCLEAR_OFFSET: has_offset & unclear,
    }
    for sign, where in shown.items():
        if where.any():
            signs |= sign
    return signs


def _offset_sign(n_offsets: int, n_dates: int) -> Signs:
    if not n_offsets:
        return Signs.NONE
    return Signs.ODD_OFFSET if n_offsets < ODD_BELOW * n_dates else Signs.OFFSET


def _in_numbers(text: pd.Series) -> pd.Series:
    """Return dates whose month is a word with its number, year first; others as they are."""
    if not text.str.contains("[A-Za-z]{3}", regex=True).any():
        return text
    part = text.str.extract(_IN_WORDS)
    word = part["month"].fillna(part["month2"]).str[:3].str.lower()
    month = word.map({name: f"{number}" for number, name in enumerate(_MONTHS, start=1)}).astype("str")
    written = part["year"] + "-" + month + "-" + part["day"].fillna(part["day2"]) + part["rest"]
    return written.fillna(text)


def _day_and_month(part: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series, pd.Series]:
    """Return which dates are of two numbers and a year, the numbers, and of which either may be the month."""
    a, b = (part[name].astype("Float64").fillna(0) for name in "ab")
    numeric = part["separator"].isin(["/", "-"])
    return numeric, a, b, (numeric & (a <= 12) & (b <= 12) & (a != b)).astype(bool)


def _is_no_hour(part: pd.DataFrame) -> pd.Series:
    """Tell where a clock of twelve hours shows an hour that it has not."""
    hour = part["hour"].astype("Float64")
    return (part["half"].notna() & ((hour < 1) | (hour > 12)).fillna(value=False)).astype(bool)


def _parse_text(text: pd.Series, time_zone: str, signs: Signs) -> tuple[pd.Series, pd.Series]:
    """Read distinct texts, none of them NULL; same returns as `parse_dates`."""
    reasons: pd.Series = pd.Series(np.nan, index=text.index, dtype="str")
    day_first, month_first = Signs.DAY_FIRST in signs, Signs.MONTH_FIRST in signs
    other = ~text.str.fullmatch(_ISO)
    text = text.copy()
    if other.any():
        text[other], ambiguous = _as_iso(text[other], day_first, month_first)
        reasons = reasons.mask(ambiguous.reindex(text.index, fill_value=False), AMBIGUOUS)
    offset = text.str.contains(_HAS_OFFSET).fillna(value=False).astype(bool)
    if Signs.OFFSET in signs or (Signs.UNCLEAR_OFFSET in signs and day_first != month_first):
        result = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us, UTC]")
        parsed = pd.to_datetime(text[offset], format="ISO8601", errors="coerce", utc=True)
        result[offset] = parsed.astype("datetime64[us, UTC]")
        reasons = reasons.mask(~offset & text.notna(), MIXED)
    else:
        reasons = reasons.mask(offset & reasons.isna(), ODD)
        parsed = pd.to_datetime(text.mask(offset), format="ISO8601", errors="coerce")
        result = _from_store_clock(parsed, time_zone)
    return result, reasons.mask(result.isna() & reasons.isna(), UNREADABLE)


def _as_iso(text: pd.Series, day_first: bool, month_first: bool) -> tuple[pd.Series, pd.Series]:
    """Rewrite dates in ISO form, NULL where unreadable; and tell which are ambiguous."""
    part = _in_numbers(text).str.extract(_WRITTEN)
    _, a, _, unclear = _day_and_month(part)
    ambiguous = unclear & (day_first == month_first)
    reads_day_first = (part["separator"] == ".") | (a > 12) | (unclear & day_first)
    year = part["y1"].fillna(part["y3"]).fillna(part["y2"])
    month = part["m1"].fillna(part["m3"]).fillna(part["b"].where(reads_day_first, part["a"]))
    day = part["d1"].fillna(part["d3"]).fillna(part["a"].where(reads_day_first, part["b"]))
    hour, half = part["hour"].astype("Float64"), part["half"].str.lower()
    hour = hour.mask(half.notna(), hour % 12 + 12 * (half == "pm").astype("Float64"))
    clock = "T" + hour.astype("Int64").astype("str").str.zfill(2) + ":" + part["minute"] + part["second"].fillna(":00")
    offset = part["offset"].replace({"UTC": "Z", "GMT": "Z"}).fillna("")
    written = year + "-" + month.str.zfill(2) + "-" + day.str.zfill(2)
    written += (clock + offset).where(part["hour"].notna(), "")
    return written.mask(ambiguous | _is_no_hour(part)), ambiguous


def _from_store_clock(naive: pd.Series, time_zone: str) -> pd.Series:
    """Read naive timestamps as the store's clock showed them."""
    clock = pd.DatetimeIndex(naive.astype("datetime64[us]"))
    first = np.ones(len(clock), dtype=bool)
    local = clock.tz_localize(zone(time_zone), ambiguous=first, nonexistent="shift_forward")
    return pd.Series(local.tz_convert("UTC"), index=naive.index, dtype="datetime64[us, UTC]")
