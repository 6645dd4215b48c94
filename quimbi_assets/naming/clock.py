"""A mean hour on the clock: the two coordinates of an angle read back as a time of day.

Belongs here: the ``<name>_sin`` / ``<name>_cos`` pairs, which mean nothing to a shopkeeper one by one. Does
not: measuring them.
"""

import math

import numpy as np
import pandas as pd

# Assumption: below this resultant length the hours are spread too widely for a mean hour to mean anything.
MIN_CONCENTRATION = 0.3


def clock_pairs(names: list[str]) -> dict[str, tuple[str, str]]:
    """Find the features that are the sine and cosine of one clock angle.

    Returns
    -------
    dict
        Common stem to (sine name, cosine name).

    Examples
    --------
    >>> clock_pairs(["weekend_ratio", "hour_sin", "hour_cos"])
    {'hour': ('hour_sin', 'hour_cos')}
    """
    stems = [name.removesuffix("_sin") for name in names if name.endswith("_sin")]
    return {stem: (f"{stem}_sin", f"{stem}_cos") for stem in stems if f"{stem}_cos" in names}


def clock_hour(sine: float, cosine: float) -> float:
    """Return the hour of day, 0-24, of a mean clock angle; NaN where the hours are too spread out to have
    one.

    Examples
    --------
    >>> round(clock_hour(1.0, 0.0), 6), round(clock_hour(0.0, -1.0), 6), clock_hour(0.1, 0.1)
    (6.0, 12.0, nan)
    """
    if not math.hypot(sine, cosine) >= MIN_CONCENTRATION:
        return math.nan
    return (math.atan2(sine, cosine) / (2 * math.pi) * 24) % 24


def format_hour(hour: float) -> str:
    """Write an hour of day as a clock time, to the nearest ten minutes.

    Examples
    --------
    >>> format_hour(13.54), format_hour(23.99)
    ('13:30', '00:00')
    """
    minutes = round(hour * 6) * 10 % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def part_of_day(hour: float) -> str:
    """Name the part of the day: morning from 6, afternoon from 12, evening from 17, night from 22.

    Examples
    --------
    >>> [part_of_day(hour) for hour in (5.9, 6, 12, 17, 22)]
    ['night', 'morning', 'afternoon', 'evening', 'night']
    """
    parts = ("night", "morning", "afternoon", "evening", "night")
    return parts[int(np.searchsorted((6.0, 12.0, 17.0, 22.0), hour, side="right"))]


def segment_hours(description: pd.DataFrame, pair: tuple[str, str]) -> pd.Series:
    """Return each segment's mean hour, shape (k,), NaN where it has none."""
    sine, cosine = (description[f"centre:{name}"] for name in pair)
    return pd.Series(
        [clock_hour(s, c) for s, c in zip(sine, cosine, strict=True)], index=description.index, dtype=float
    )
