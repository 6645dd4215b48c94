"""Cells of any type become text, as identifiers and names need them.

Belongs here: type to text, without ``1001.0`` for 1001. Does not: numbers and dates (``amounts``, ``dates``).
"""

from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.ingest.files import NULL_WORDS


def as_text(values: pd.Series) -> pd.Series:
    """Return values as text without surrounding space, NULL where there is nothing.

    Parameters
    ----------
    values : pandas.Series
        (n,) of any type, lists included.

    Returns
    -------
    pandas.Series
        (n,) ``str``. Whole numbers held as floats lose their ``.0``, in text columns only if every value has it.

    Examples
    --------
    >>> as_text(pd.Series([1001.0, None, 7.0])).tolist()
    ['1001', nan, '7']
    >>> as_text(pd.Series([" a ", "", "NULL"])).tolist()
    ['a', nan, nan]
    """
    if pd.api.types.is_float_dtype(values.dtype):
        known = values.dropna()
        if np.isfinite(known.to_numpy("float64")).all() and (known % 1 == 0).all():
            return values.astype("Int64").astype("str")
    if values.dtype == object:
        values = values.map(_plain, na_action="ignore")
    text = values.astype("str").str.strip()
    if text.str.contains("\0", regex=False).any():
        text = text.str.replace("\0", "", regex=False)  # PostgreSQL's text cannot hold it
    text = text.mask(text.isin(NULL_WORDS))
    known = text.dropna()
    if len(known) and known.iloc[0].endswith(".0") and known.str.fullmatch(r"\d+\.0").all():
        text = text.str.slice(0, -2)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(str(part) for part in value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)
