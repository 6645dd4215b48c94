"""What assets yield: facts as Dagster metadata, and check results, generated from schemas rather than one by one.

Belongs here: turning Python values, a schema or a rule into what people read in the UI. Does not: any asset or schema.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

from quimbi_assets.axis_table import INACTIVE, TableFacts
from quimbi_assets.defs.partitions import STORES
from quimbi_assets.resources.mlflow.runs import run_url
from quimbi_assets.resources.parquet_io import ParquetTables

SHOWN = 20
"""Rows of a failed check shown in the UI."""

Metadata = dict[str, Any]
StageEvent = dg.MaterializeResult[Any] | dg.AssetCheckResult | dg.AssetCheckEvaluation | dg.Output[None]


@dataclass(frozen=True)
class Rule:
    """A check of assets, by partition: what holds where it passes, and what to do where it does not."""

    name: str
    holds: str
    remedy: str
    warns: bool = False
    """Broken, it is a warning and no error."""
    blocks: bool = False
    """Broken, nothing that depends on the asset is made."""
    partitions_def: dg.PartitionsDefinition | None = STORES

    def spec(self, key: dg.AssetKey) -> dg.AssetCheckSpec:
        """Specify the check of an asset, with its partitions: what one store breaks says nothing of another."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*partitions_def")  # a preview of Dagster's, which is pinned
            return dg.AssetCheckSpec(
                self.name,
                asset=key,
                description=f"{self.holds}\n\n**If it fails:** {self.remedy}",
                blocking=self.blocks,
                partitions_def=self.partitions_def,
            )

    def result(self, key: dg.AssetKey, passed: bool, **values: Any) -> dg.AssetCheckResult:
        """Report on the asset's partition that a run makes, with facts."""
        return dg.AssetCheckResult(
            asset_key=key,
            check_name=self.name,
            passed=bool(passed),
            severity=dg.AssetCheckSeverity.WARN if self.warns else dg.AssetCheckSeverity.ERROR,
            description=self.holds,
            metadata=facts(**values),
        )

    def of_partition(
        self, context: dg.AssetExecutionContext, partition: str, passed: bool, **values: Any
    ) -> dg.AssetCheckEvaluation:
        """Report on one of the partitions that a run makes at once, after the asset's materialization of it."""
        result = self.result(context.asset_key, passed, **values)
        made = dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[partition])
        record = next(iter(context.instance.fetch_materializations(made, limit=1).records), None)
        return dg.AssetCheckEvaluation(
            asset_key=context.asset_key,
            check_name=self.name,
            passed=result.passed,
            metadata=result.metadata,
            target_materialization_data=record
            and AssetCheckEvaluationTargetMaterializationData(
                storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
            ),
            severity=result.severity,
            description=self.holds,
            blocking=self.blocks,
            partition=partition,
        )

    def done(self, key: dg.AssetKey) -> dg.Output[None]:
        """Say that all of a run's partitions are reported on."""
        return dg.Output(None, self.spec(key).get_python_identifier())


def inactive(
    tables: ParquetTables,
    key: dg.AssetKey,
    store_id: str,
    why: TableFacts,
    checks: Sequence[Rule],
    schema: pa.Schema | None = None,
) -> Iterator[StageEvent]:
    """Leave an empty table that says why an asset has no rows."""
    tables.write(key, store_id, [], why, schema=schema)
    return inactive_events(key, str(why.inactive_reason), checks)


def inactive_events(
    key: dg.AssetKey, reason: str, checks: Sequence[Rule], columns: Metadata | None = None
) -> Iterator[StageEvent]:
    """Say why an asset has nothing; its checks have nothing to complain about."""
    yield dg.MaterializeResult(asset_key=key, metadata=facts(status=INACTIVE, reason=reason) | (columns or {}))
    for check in checks:
        yield check.result(key, True, status=INACTIVE)


def facts(row_count: int | None = None, **values: Any) -> Metadata:
    """Turn values into metadata: frames become tables, URLs links, figures rounded; None is left out.

    ``row_count`` becomes ``dagster/row_count``, which the UI plots.
    """
    counted = {} if row_count is None else {"dagster/row_count": row_count}
    return counted | {name: _value(value) for name, value in values.items() if value is not None}


def mlflow_links(run_id: str, pictures: Iterable[str] = ()) -> Metadata:
    """Return a link to a run in MLflow, its id, and pictures of it (by file name), seen at once."""
    links = {"mlflow_run": run_url(run_id), "mlflow_run_id": run_id}
    return facts(None, **links, **{Path(name).stem: _picture(run_url(run_id, name)) for name in pictures})


def _picture(address: str) -> dg.MarkdownMetadataValue:
    # Dagster shows Markdown at once where it is short: a picture by its address is, one in itself is not.
    return dg.MetadataValue.md(f"![picture]({address})")


def _value(value: Any) -> Any:
    if isinstance(value, dg.MetadataValue):
        return value
    if isinstance(value, pd.DataFrame):
        return table(value)
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, int | dict | list):
        return value
    text = str(value)
    return dg.MetadataValue.url(text) if text.startswith(("http://", "https://")) else text


def table(frame: pd.DataFrame) -> dg.TableMetadataValue:
    """Turn a small frame into a table that the UI shows at once; missing values are empty, figures rounded."""
    columns = [dg.TableColumn(str(name), _kind(frame[name])) for name in frame.columns]
    rows = ({column.name: _cell(cell) for column, cell in zip(columns, row, strict=True)} for row in _rows(frame))
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], dg.TableSchema(columns))


def _rows(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    return frame.astype(object).itertuples(index=False, name=None)


def _kind(column: "pd.Series[Any]") -> str:
    kinds = {"b": "bool", "i": "int", "u": "int", "f": "float"}
    return kinds.get(column.dtype.kind, "string")


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not np.isfinite(value)) or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    return rounded(float(value)) if isinstance(value, float | np.floating) else str(value)


def rounded(value: float) -> float:
    """Return a figure as people read it: whole above a thousand, else to four significant digits.

    >>> rounded(121914.82999999999), rounded(0.123456), rounded(999.96)
    (121915.0, 0.1235, 1000.0)
    """
    return float(f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}")


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
            cases = errors.failure_cases[["column", "check", "failure_case"]].astype({"failure_case": object})
            # Who it is, and what people wrote, is not for Dagster's log, which keeps it for ever.
            figures = batch.select_dtypes(["number", "bool", "datetime", "datetimetz"]).columns
            cases.loc[~cases["column"].isin(figures), "failure_case"] = "not shown: text"
            self._cases.append(cases)

    def result(self, key: dg.AssetKey, rule: Rule) -> dg.AssetCheckResult:
        """Return the result of the rule that an asset's rows follow the schema."""
        if not self._cases:
            return rule.result(key, True, rows=self.n_rows)
        cases = pd.concat(self._cases, ignore_index=True)
        rules = cases["column"].astype(str) + " " + cases["check"].astype(str)
        return rule.result(
            key,
            False,
            rows=self.n_rows,
            failures=len(cases),
            by_check=dict(Counter(rules)),
            first_cases=cases.head(SHOWN),
        )
