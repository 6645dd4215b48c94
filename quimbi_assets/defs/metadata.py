"""Facts as Dagster metadata: what people read about a table in the UI.

Belongs here: turning Python values into metadata, and what an inactive axis says. Does not: any asset.
"""

import base64
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from quimbi_assets.axis_table import INACTIVE

#: What the assets of a stage yield.
StageEvent = dg.MaterializeResult | dg.AssetCheckResult


def inactive_events(key: dg.AssetKey, reason: str, checks: Sequence[str]) -> list[StageEvent]:
    """Materialize an inactive axis: the reason where the UI shows it; its checks have nothing to complain about."""
    said = {"status": INACTIVE}
    return [
        dg.MaterializeResult(asset_key=key, metadata={**said, "reason": reason}),
        *(dg.AssetCheckResult(asset_key=key, check_name=check, passed=True, metadata=said) for check in checks),
    ]


def facts(row_count: int | None = None, **values: Any) -> dict[str, dg.MetadataValue]:
    """Turn values into metadata: tables and pictures as Markdown, the rest by type.

    Parameters
    ----------
    row_count : int, optional
        Becomes ``dagster/row_count``, which the UI plots.
    values : anything
        DataFrames become Markdown tables, bytes (PNG) pictures, URLs links.
    """
    metadata: dict[str, dg.MetadataValue] = {}
    if row_count is not None:
        metadata["dagster/row_count"] = dg.MetadataValue.int(row_count)
    for name, value in values.items():
        if value is not None:
            metadata[name] = _value(value)
    return metadata


def _value(value: Any) -> dg.MetadataValue:
    if isinstance(value, pd.DataFrame):
        return dg.MetadataValue.md(markdown_table(value))
    if isinstance(value, bytes):
        return dg.MetadataValue.md(f"![picture](data:image/png;base64,{base64.b64encode(value).decode()})")
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    if isinstance(value, dict | list):
        return dg.MetadataValue.json(value)
    if str(value).startswith(("http://", "https://")):
        return dg.MetadataValue.url(str(value))
    return dg.MetadataValue.text(str(value))


def markdown_table(frame: pd.DataFrame) -> str:
    """Write a small frame as a Markdown table; numbers with four significant digits."""
    header = [str(column) for column in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:,.4g}"
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
