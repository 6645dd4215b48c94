"""Refused rows as they are kept: the row as the file had it, in JSON, beside the reason.

Belongs here: their form. Does not: why a row is refused (``schemas``, ``prepare``).
"""

import json

import numpy as np
import pandas as pd

from quimbi_assets.ingest.files import BROKEN

BROKEN_LINE = "the line does not have as many cells as the header"


def refused_rows(rows: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """Return refused rows in the form of the quarantine.

    Parameters
    ----------
    rows : pandas.DataFrame
        (n, n_columns) as the file had them.
    reasons : pandas.Series
        (n,) text.

    Returns
    -------
    pandas.DataFrame
        (n, 2): ``row`` (one JSON object as text; infinities as text) and ``reason``.
    """
    if rows.empty:
        return pd.DataFrame({"row": pd.Series(dtype="str"), "reason": pd.Series(dtype="str")})
    rows = rows.reset_index(drop=True)
    for column in rows.columns:
        if pd.api.types.is_float_dtype(rows[column].dtype) and np.isinf(rows[column]).any():
            rows[column] = rows[column].astype("str")  # JSON has no infinity
        elif rows[column].dtype == object:
            rows[column] = rows[column].map(str, na_action="ignore")
    lines = rows.to_json(orient="records", lines=True, date_format="iso", date_unit="us").splitlines()
    text = pd.Series(lines, dtype="str").str.replace("\\u0000", "", regex=False)
    return pd.DataFrame({"row": text, "reason": reasons.to_numpy()})


def split_broken(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part a file's rows from its lines that could not be split into columns.

    Returns
    -------
    rows : pandas.DataFrame
        `frame` without ``attrs`` (pandas copies them at every operation).
    broken : pandas.DataFrame
        The broken lines in the form of `refused_rows`.
    """
    lines = frame.attrs.get(BROKEN, [])
    texts = [json.dumps({"line": line.replace("\0", "")}, ensure_ascii=False) for line in lines]
    broken = pd.DataFrame({"row": pd.Series(texts, dtype="str")}).assign(reason=BROKEN_LINE)
    rows = frame.copy(deep=False)
    rows.attrs = {}
    return rows, broken.astype("str")
