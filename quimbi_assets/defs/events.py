"""What assets yield: facts as Dagster metadata, and check results, generated from schemas rather than one by one.

Belongs here: turning Python values, a schema or a rule into what people read in the UI. Does not: any asset or schema.
"""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from quimbi_assets.axis_table import INACTIVE, TableFacts
from quimbi_assets.resources.parquet_io import ParquetTables

SHOWN = 20
"""Rows of a failed check shown in the UI."""

Metadata = dict[str, Any]
StageEvent = dg.MaterializeResult[Any] | dg.AssetCheckResult


def inactive(
    tables: ParquetTables,
    key: dg.AssetKey,
    store_id: str,
    why: TableFacts,
    checks: Sequence[str],
    schema: pa.Schema | None = None,
) -> Iterator[StageEvent]:
    """Leave an empty table that says why an asset has no rows."""
    tables.write(key, store_id, [], why, schema=schema)
    return inactive_events(key, str(why.inactive_reason), checks)


def inactive_events(key: dg.AssetKey, reason: str, checks: Sequence[str]) -> Iterator[StageEvent]:
    """Say why an asset has nothing; its checks have nothing to complain about."""
    status = {"status": INACTIVE}
    yield dg.MaterializeResult(asset_key=key, metadata={**status, "reason": reason})
    for check in checks:
        yield dg.AssetCheckResult(asset_key=key, check_name=check, passed=True, metadata=status)


def facts(row_count: int | None = None, **values: Any) -> Metadata:
    """Turn values into metadata: frames become Markdown tables, bytes (PNG) pictures, URLs links; None is left out.

    ``row_count`` becomes ``dagster/row_count``, which the UI plots.
    """
    counted = {} if row_count is None else {"dagster/row_count": row_count}
    return counted | {name: _value(value) for name, value in values.items() if value is not None}


def _value(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return dg.MetadataValue.md(markdown_table(value))
    if isinstance(value, bytes):
        return dg.MetadataValue.md(f"![picture](data:image/png;base64,{base64.b64encode(value).decode()})")
    if isinstance(value, int | float | dict | list):
        return value
    text = str(value)
    return dg.MetadataValue.url(text) if text.startswith(("http://", "https://")) else text


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


class SchemaCheck:
    """Validates a table batch by batch and reports every kind of failure, counted."""

    def __init__(self, schema: pandera.DataFrameSchema) -> None:
        self._schema = schema
        self._cases: list[pd.DataFrame] = []
        self.n_rows = 0

    def look_at(self, batch: pd.DataFrame) -> None:
        """Validate some rows."""
        self.n_rows += len(batch)
        try:
            self._schema.validate(batch, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            self._cases.append(errors.failure_cases[["column", "check", "failure_case"]])

    def result(self, key: dg.AssetKey, name: str) -> dg.AssetCheckResult:
        """Return the result of the check of that name of an asset."""
        metadata: dict[str, Any] = {"rows": self.n_rows}
        if self._cases:
            cases = pd.concat(self._cases, ignore_index=True)
            rules = cases["column"].astype(str) + " " + cases["check"].astype(str)
            first = dg.MetadataValue.md("```\n" + cases.head(SHOWN).to_string() + "\n```")
            metadata = {"failures": len(cases), "by_check": dict(Counter(rules)), "first_cases": first}
        return dg.AssetCheckResult(asset_key=key, check_name=name, passed=not self._cases, metadata=metadata)


def rule_check(
    key: dg.AssetKey, name: str, passed: bool, description: str, *, warn: bool = False, **values: Any
) -> dg.AssetCheckResult:
    """Report a rule about a whole table, with facts; ``warn``: broken, it is a warning and no error."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=bool(passed),
        severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
        description=description,
        metadata=facts(**values),
    )
