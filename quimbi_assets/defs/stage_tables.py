"""What stages hand each other besides rows: an axis's status, opening hours, and facts as Dagster metadata.

Belongs here: the empty table of an inactive axis, what rides on a table's ``attrs``, and turning Python values into
metadata. Does not: any asset.
"""

import base64
from typing import Any

import dagster as dg
import pandas as pd

from quimbi_assets.axes import BusinessHours, default_observation_end

INACTIVE = "inactive"

#: What the assets of a stage yield.
StageEvent = dg.MaterializeResult | dg.AssetCheckResult


def inactive_frame(reason: str) -> pd.DataFrame:
    """Return the empty table of an inactive axis, its reason in ``attrs``."""
    frame = pd.DataFrame()
    frame.attrs = {"status": INACTIVE, "reason": reason}
    return frame


def inactive_result(key: dg.AssetKey, reason: str) -> dg.MaterializeResult:
    """Materialize an inactive axis: the empty table, and the reason where the UI shows it."""
    return dg.MaterializeResult(
        asset_key=key, value=inactive_frame(reason), metadata={"status": INACTIVE, "reason": reason}
    )


def inactive_reason(frame: pd.DataFrame | None) -> str | None:
    """Return why an axis is inactive; None if it is active. No table at all counts as not computed."""
    if frame is None:
        return "not computed yet: run the axis's features first"
    return frame.attrs["reason"] if frame.attrs.get("status") == INACTIVE else None


def business_hours(orders: pd.DataFrame) -> BusinessHours:
    """Return the store's opening hours, as the orders carry them in ``attrs``; the usual ones where they do not."""
    given = orders.attrs.get("business_hours") or {}
    return BusinessHours(**{key: int(given[key]) for key in ("opens", "closes") if key in given})


def instant_of(as_of: str | None, orders: pd.DataFrame) -> pd.Timestamp:
    """Return the instant everything is computed as of, naive UTC: the one given, or the end of the last order's day."""
    if as_of is None:
        return default_observation_end(orders, orders.attrs.get("time_zone", "UTC"))
    stamp = pd.Timestamp(as_of)
    return stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)


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
