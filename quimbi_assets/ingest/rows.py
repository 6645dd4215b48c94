"""Values as found become values of their column's type, with what is wrong about each row.

Belongs here: one row at a time (set-wise). Does not: rows against each other or other tables (``prepare``).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pandera.pandas as pa

from quimbi_assets.ingest.amounts import parse_amounts
from quimbi_assets.ingest.dates import EARLIEST, FUTURE, TOO_EARLY, parse_dates
from quimbi_assets.ingest.tables import TableSpec
from quimbi_assets.ingest.text import as_text


def read_rows(
    frame: pd.DataFrame, spec: TableSpec, found: dict[str, str], time_zone: str, now: pd.Timestamp
) -> tuple[pd.DataFrame, pd.Series]:
    """Read every canonical column; the first thing wrong with a row is its reason.

    Parameters
    ----------
    frame : pandas.DataFrame
        (n, n_columns) as the file has it.
    spec : TableSpec
    found : dict
        Canonical column → the file's.
    time_zone : str
        IANA zone of dates without offset.
    now : pandas.Timestamp
        Present instant, with zone.

    Returns
    -------
    typed : pandas.DataFrame
        (n, n_canonical) typed; columns that were not found are wholly NULL.
    reasons : pandas.Series
        (n,) text, NULL for rows with nothing wrong so far.
    """
    read: dict[str, tuple[pd.Series, pd.Series]] = {}
    nothing = pd.Series(np.nan, index=frame.index, dtype="str")
    readers: dict[str, Callable[[str, pd.Series], tuple[pd.Series, pd.Series]]] = {
        **dict.fromkeys(spec.text, lambda _, values: (as_text(values), nothing)),
        **dict.fromkeys(spec.amounts, _amount),
        **dict.fromkeys(spec.dates, lambda name, values: _date(name, values, time_zone, now)),
    }
    for column in spec.columns:
        values = frame[found[column]] if column in found else nothing
        read[column] = readers[column](column, values)
    reasons = nothing
    for column in spec.columns:
        values, wrong = read[column]
        if column in spec.required and column != "customer_id":  # an order without customer is a guest's
            wrong = wrong.mask(wrong.isna() & values.isna(), f"{column} is missing")
        reasons = reasons.where(reasons.notna(), wrong) if wrong is not nothing else reasons
    return pd.DataFrame({column: values for column, (values, _) in read.items()}, index=frame.index), reasons


def _amount(name: str, values: pd.Series) -> tuple[pd.Series, pd.Series]:
    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = as_text(values)
    numbers = parse_amounts(values)
    unread = values.notna() & numbers.isna()
    reasons = pd.Series(np.nan, index=values.index, dtype="str").mask(unread, f"{name} is not a number")
    return numbers, reasons


def _date(name: str, values: pd.Series, time_zone: str, now: pd.Timestamp) -> tuple[pd.Series, pd.Series]:
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = as_text(values)
    instants, reasons = parse_dates(values, time_zone)
    reasons = reasons.mask(instants > now + pd.Timedelta(days=1), FUTURE).mask(instants < EARLIEST, TOO_EARLY)
    return instants, (name + " " + reasons) if reasons.notna().any() else reasons


def apply_schema(typed: pd.DataFrame, reasons: pd.Series, schema: pa.DataFrameSchema) -> pd.Series:
    """Return `reasons` with, for each row that had none, the first thing its schema finds wrong: (n,) text or NULL."""
    clean = typed[reasons.isna()] if reasons.notna().any() else typed
    try:
        schema.validate(clean, lazy=True)
    except pa.errors.SchemaErrors as errors:
        failures = errors.failure_cases.dropna(subset="index").drop_duplicates("index")
        if len(failures) == 0 or failures["check"].str.startswith("dtype").any():
            raise
        reasons = reasons.copy()
        reasons.loc[failures["index"].astype("int64")] = failures["check"].astype("str").to_numpy()
    return reasons
