"""What an acceptable row is: values of their column's type, what is wrong about each row, how refused ones look.

Belongs here: one row at a time (set-wise). Does not: rows against each other or other tables (``prepare``).
"""

import hmac
import json
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pandera.pandas as pandera

from quimbi_assets.ingest.cells import NUL_SHOWN, Signs, as_labels, as_text, parse_amounts, plain_ratings, plain_text
from quimbi_assets.ingest.dates import EARLIEST, FUTURE, TOO_EARLY, parse_dates
from quimbi_assets.ingest.survey import Survey
from quimbi_assets.ingest.tables import NOT_NEGATIVE, Kind, Limit, TableSpec
from quimbi_assets.texts import ADDRESS

HOLDS_NUL = f"holds a NUL byte, shown as {NUL_SHOWN}, which no id has"
BROKEN_LINE = "the line does not have as many cells as the header"

_UTC = pd.DatetimeTZDtype("us", "UTC")  # pandera compares types exactly: plain "datetime64[ns, UTC]" would fail
_TEXT = pd.StringDtype(na_value=np.nan)
_TYPES: dict[Kind, object] = {"text": _TEXT, "labels": _TEXT, "whole": "int64", "date": _UTC}
"""The others are floating-point numbers."""


def stored_schema(spec: TableSpec, largest: float) -> pandera.DataFrameSchema:
    """Return the schema of a table as it is kept; `largest` is the highest credible amount in the store's currency.

    Comparisons let NULL pass, ``nullable`` refuses it.
    """
    money = (NOT_NEGATIVE, Limit("le", (largest,), f"is absurd (above {largest:,.0f})"))
    return pandera.DataFrameSchema(
        {
            column.name: pandera.Column(
                _TYPES.get(column.kind, float),
                [
                    getattr(pandera.Check, limit.check)(*limit.arguments, error=f"{column.name} {limit.message}")
                    for limit in (money if column.kind == "money" else column.limits)
                ],
                nullable=column.nullable and column.kind != "whole",
            )
            for column in spec.declared
        }
    )


def read_rows(frame: pd.DataFrame, survey: Survey, time_zone: str, now: pd.Timestamp) -> tuple[pd.DataFrame, pd.Series]:
    """Read rows as found: every canonical column, wholly NULL if it was not found, and the first thing wrong with each.

    `survey` is of the whole file, `time_zone` that of dates without offset, `now` (with zone) the present instant. The
    reasons are text, NULL for rows with nothing wrong so far.
    """
    nothing: pd.Series = pd.Series(np.nan, index=frame.index, dtype="str")
    typed: dict[str, pd.Series] = {}
    reasons = nothing
    for column in survey.spec.declared:
        name = survey.columns.get(column.name)
        values, signs = (nothing, Signs.NONE) if name is None else (frame[name], survey.signs[name])
        wrong = nothing
        if column.kind in ("text", "labels"):
            is_id = column.name.endswith("_id")
            text = as_text(values, signs, are_ids=is_id)
            if is_id and (has_nul := text.str.contains(NUL_SHOWN, regex=False).fillna(value=False).astype(bool)).any():
                wrong, text = wrong.mask(has_nul, f"{column.name} {HOLDS_NUL}"), text.mask(has_nul)
            typed[column.name] = as_labels(text) if column.kind == "labels" else text
        elif column.kind == "date":
            typed[column.name], wrong = _dates(column.name, values, signs, time_zone, now)
        else:
            amounts = plain_ratings(values) if column.kind == "rating" else values
            typed[column.name], wrong = _amounts(column.name, amounts, signs)
        if not column.nullable:
            wrong = wrong.mask(wrong.isna() & typed[column.name].isna(), f"{column.name} is missing")
        reasons = reasons.where(reasons.notna(), wrong) if wrong is not nothing else reasons
    return pd.DataFrame(typed, index=frame.index), reasons


def _amounts(name: str, values: pd.Series, signs: Signs) -> tuple[pd.Series, pd.Series]:
    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = plain_text(values)
    numbers = parse_amounts(values, signs)
    unread = values.notna() & numbers.isna()
    reasons = pd.Series(np.nan, index=values.index, dtype="str").mask(unread, f"{name} is not a number")
    return numbers, reasons


def _dates(
    name: str, values: pd.Series, signs: Signs, time_zone: str, now: pd.Timestamp
) -> tuple[pd.Series, pd.Series]:
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = as_text(values, signs)
    instants, reasons = parse_dates(values, time_zone, signs)
    reasons = reasons.mask(instants > now + pd.Timedelta(days=1), FUTURE).mask(instants < EARLIEST, TOO_EARLY)
    return instants, (name + " " + reasons) if reasons.notna().any() else reasons


def apply_schema(typed: pd.DataFrame, reasons: pd.Series, schema: pandera.DataFrameSchema) -> pd.Series:
    """Return `reasons` with, for each row that had none, the first thing its schema finds wrong: (n,) text or NULL."""
    clean = typed[reasons.isna()] if reasons.notna().any() else typed
    try:
        schema.validate(clean, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        failures = errors.failure_cases.dropna(subset="index").drop_duplicates("index")
        if len(failures) == 0 or failures["check"].str.startswith("dtype").any():
            raise
        reasons = reasons.copy()
        reasons.loc[failures["index"].astype("int64")] = failures["check"].astype("str").to_numpy()
    return reasons


def as_json(rows: pd.DataFrame) -> pd.Series:
    """Return each row as one JSON object in text, a NUL as `NUL_SHOWN`: (n,) indexed from 0."""
    if rows.empty:
        return pd.Series(dtype="str")
    rows = rows.reset_index(drop=True)
    for column in rows.columns:
        if pd.api.types.is_float_dtype(rows[column].dtype) and np.isinf(rows[column]).any():
            rows[column] = rows[column].astype("str")  # JSON has no infinity
        elif rows[column].dtype == object:
            rows[column] = rows[column].map(str, na_action="ignore")
    lines = rows.to_json(orient="records", lines=True, date_format="iso", date_unit="us").splitlines()
    return pd.Series(lines, dtype="str").str.replace(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1\\\\u0000", regex=True)


def hide_addresses(rows: pd.Series, secret: bytes) -> pd.Series:
    """Return refused rows, JSON objects in text, with the id of whom it is for each e-mail address in them: (n,).

    That is the id that ``keys.without_addresses`` makes of it.

    >>> hide_addresses(pd.Series(['{"line":"7,Ann@Example.com,x"}', '{"n":7}']), b"s").tolist()
    ['{"line": "7,email:b7f3809f719a53a88e8fe8a97791a254,x"}', '{"n":7}']
    """

    def hidden(match: re.Match[str]) -> str:
        return f"email:{hmac.digest(secret, match[0].casefold().encode(), 'sha256').hex()[:32]}"

    def rewritten(row: str) -> str:
        cells = json.loads(row)
        return json.dumps({n: ADDRESS.sub(hidden, v) if isinstance(v, str) else v for n, v in cells.items()})

    return rows.map(lambda row: rewritten(row) if "@" in row else row).astype("str")


def broken_rows(lines: Sequence[str]) -> pd.DataFrame:
    """Return lines that could not be split into columns as `Prepared.refused` holds rows: ``row`` and ``reason``."""
    texts = [json.dumps({"line": line.replace("\0", "")}, ensure_ascii=False) for line in lines]
    return pd.DataFrame({"row": pd.Series(texts, dtype="str")}).assign(reason=BROKEN_LINE).astype("str")
