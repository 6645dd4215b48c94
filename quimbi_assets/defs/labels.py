"""What assets carry besides their own words: tags to select them by, versions of their code, columns and their meaning.

Belongs here: labels that follow from an asset's key, an axis's declaration or a table's comments. Does not: any asset.
"""

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from quimbi_assets import axes
from quimbi_assets.axes import AXES, Axis, Feature
from quimbi_assets.backtest.evaluation import COMPARISONS, SHARES
from quimbi_assets.defs.partitions import BACKTEST_KEY, REFERENCE_KEY, axis_key
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database

TIERS = {
    "input": ("source", "raw"),
    "model": ("features", "models", "memberships", "churn", "value", "backtest"),
    "published": ("segments", "profiles", "actions", "audiences", "exports", "drift", "stores"),
}
"""Groups of assets by how far they are from what a store sent: what people query is published."""
_TIER_OF = {group: tier for tier, groups in TIERS.items() for group in groups}
SCHEMA, TABLE_NAME = "dagster/column_schema", "dagster/table_name"
_SCORES = dg.TableSchema(
    [
        dg.TableColumn("customer_id", "string"),
        dg.TableColumn("membership", "list<double>", "Of each segment, 0-1, in the order of their ids; they sum to 1."),
        dg.TableColumn("distance", "list<double>", "To each segment's centre, in scaled units."),
        dg.TableColumn("low_evidence", "bool", "The customer has fewer orders than the axis asks for."),
    ]
)
_MODEL = dg.TableSchema(
    [
        dg.TableColumn("held_reason", "string", "Why the last fit does not serve; empty where it does."),
        dg.TableColumn("stays", "string", "JSON: how customers stayed in their segments over a horizon."),
        dg.TableColumn(
            "halves_ari", "double", "Agreement of the segments found in two halves of the customers, -1 to 1."
        ),
    ]
)
"""What rests beside a model, one row; the model itself is a registered version in MLflow."""
_REFERENCE = dg.TableSchema(
    [
        dg.TableColumn("kind", "string", "product: its cheap price; category: its luxury price; gap: the usual one."),
        dg.TableColumn("key", "string", "The product or category; empty of the gap."),
        dg.TableColumn("value", "double", "In the store's currency; the gap between orders in days."),
    ]
)
_SHARE = "Share of the variance of the outcomes, 0-1, mean over cut-offs, that {} explain."
_VERDICTS = {
    "verdict": ("string", "better, level, worse or not measured: {}."),
    "difference": ("double", "Of the shares explained: {}."),
    "low": ("double", "Lower end of the 90 % interval of the difference: {}."),
    "high": ("double", "Upper end of the 90 % interval of the difference: {}."),
}
_BACKTEST = dg.TableSchema(
    [
        dg.TableColumn("axis", "string"),
        *(dg.TableColumn(name, "double", _SHARE.format(name.replace("_", " "))) for name in SHARES),
        *(
            dg.TableColumn(f"{prefix}{name}", kind, meaning.format(f"{one} beside {other}".replace("_", " ")))
            for prefix, (one, other, _) in COMPARISONS.items()
            for name, (kind, meaning) in _VERDICTS.items()
        ),
        dg.TableColumn("outcomes", "string", "What customers did in the next 90 days that was to be explained."),
        dg.TableColumn("n_segments", "int", "Of the axis, the most of any cut-off."),
        dg.TableColumn("n_customers", "int", "Whose outcome is defined, the fewest of any cut-off."),
        dg.TableColumn("n_cuts", "int", "Cut-offs at which the axis was measured."),
        dg.TableColumn("reason", "string", "Why the axis was not measured."),
    ]
)
_BY_STAGE = {"memberships": _SCORES, "models": _MODEL}
_BY_KEY = {REFERENCE_KEY: _REFERENCE, BACKTEST_KEY: _BACKTEST}


def labelled(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Return a spec with the labels that follow from its key."""
    stage, name = spec.key.path[0], spec.key.path[-1]
    axis = AXES.get(name) if spec.key == axis_key(stage, name) else None
    tags = {"tier": _TIER_OF[stage]} | ({} if axis is None else {"axis": name, "domain": axis.kind})
    columns = _BY_KEY.get(spec.key) if axis is None else _columns(stage, axis)
    return spec.merge_attributes(tags=tags, metadata={} if columns is None else {SCHEMA: columns}).replace_attributes(
        code_version=code_version("" if axis is None else name)
    )


@cache
def code_version(axis_name: str = "") -> str:
    """Return the package's version; of what is about an axis also a digest of its declaration."""
    version = metadata.version("quimbi_assets")
    if not axis_name:
        return version
    source = Path(axes.__file__).with_name(f"{axis_name}.py").read_bytes()
    return f"{version}+{hashlib.sha256(source).hexdigest()[:8]}"


def data_version(*parts: object) -> dg.DataVersion:
    """Return the version of data that follow from these, and from nothing else."""
    return dg.DataVersion(hashlib.sha256(repr(tuple(map(str, parts))).encode()).hexdigest()[:16])


def _columns(stage: str, axis: Axis) -> dg.TableSchema | None:
    if stage == "features":
        return dg.TableSchema([dg.TableColumn("customer_id", "string"), *(_feature(one) for one in axis.features)])
    return _BY_STAGE.get(stage)


def _feature(feature: Feature) -> dg.TableColumn:
    low, high = ("" if end is None else f"{end:g}" for end in (feature.low, feature.high))
    limits = [f"{low or 'any'} to {high or 'any'}"] if low or high else []
    return dg.TableColumn(
        feature.name,
        "double" if feature.kind == "number" else feature.kind,
        f"{feature.meaning} ({feature.unit})",
        dg.TableColumnConstraints(nullable=True, other=limits),
    )


def table_metadata(database: Database, name: str, schema: pa.Schema | None = None) -> dict[str, Any]:
    """Return name and columns of a table that people query, with its comments; or those of a dataset made of it.

    A dataset of ``schema`` has the comments of the table's columns of the same names; ``_local`` ones are of a clock.
    """
    columns = {str(row[0]): row for row in database.execute(EVERY_STORE, _COLUMNS, (f"quimbi.{name}",))}
    if schema is None:
        known = [
            dg.TableColumn(column, kind, comment, dg.TableColumnConstraints(nullable=not required))
            for column, kind, required, comment in columns.values()
        ]
        return {TABLE_NAME: f"quimbi.{name}", SCHEMA: dg.TableSchema(known)}
    meanings = {column: row[3] for column, row in columns.items()}
    meanings |= {
        f"{column}_local": f"{comment or column}, by the store's clock" for column, comment in meanings.items()
    }
    return {SCHEMA: dg.TableSchema([dg.TableColumn(f.name, str(f.type), meanings.get(f.name)) for f in schema])}


_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum)
    FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
