"""Stage 4: clusters → named segments, in the table that people query.

Belongs here: describing, naming and publishing each selected axis's segments. Does not: words (``segments``).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES, Axis
from quimbi_assets.clustering.pictures import segment_shares
from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.naming import POOL, NamingOptions, name_store
from quimbi_assets.defs.partitions import ORDERS_KEY, axis_key, axis_spec
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import INACTIVE, StageEvent, facts, inactive_reason, inactive_result
from quimbi_assets.naming.asking.decision import Standing, standing
from quimbi_assets.naming.rows import segment_rows
from quimbi_assets.resources.claude import Claude
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress

CHECK = "names_unique_and_counts_whole"


def _spec(axis: Axis) -> dg.AssetSpec:
    return axis_spec(
        "segments",
        axis.name,
        [axis_key("features", axis.name), axis_key("memberships", axis.name)],
        f"{axis.question} Named segments with their sizes and centres, published to `quimbi.dim_segment_master`.",
        {"postgres"},
    )


@dg.multi_asset(
    name="segments",
    specs=[_spec(axis) for axis in AXES.values()],
    can_subset=True,
    pool=POOL,
    check_specs=[dg.AssetCheckSpec(CHECK, asset=axis_key("segments", name)) for name in AXES],
)
@retried
def segments(
    context: dg.AssetExecutionContext,
    config: NamingOptions,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    tracking: MlflowTracking,
    claude: Claude,
    progress: dg.ResourceParam[Progress],
) -> Iterator[StageEvent]:
    """Name and publish the selected axes' segments of the partition's store."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("segments", name) in context.selected_asset_keys]
    scored = {name: frames.read(axis_key("memberships", name), store_id) for name in selected}
    active = [name for name in selected if inactive_reason(scored[name]) is None]
    champions = tracking.champions(store_id, active)
    orders = frames.read(ORDERS_KEY, store_id)
    currency = "" if orders is None else orders.attrs.get("currency") or ""
    given = store.given_names(store_id, active)
    progress.step("naming segments", 0.75)
    tables = {name: frames.read(axis_key("features", name), store_id) for name in active}
    standings = {
        name: standing(AXES[name], champions[name].model, tables[name], currency, given.get(name)) for name in active
    }
    naming = name_store(store_id, context.run_id, standings, config, claude, store, tracking)
    if naming.warning:
        context.log.warning(naming.warning)
        progress.warn(naming.warning)
    published, now = {}, pd.Timestamp.now("UTC")
    for name in selected:
        key = axis_key("segments", name)
        if name not in active:
            reason = str(inactive_reason(scored[name]))
            yield inactive_result(key, reason)
            yield dg.AssetCheckResult(asset_key=key, check_name=CHECK, passed=True, metadata={"status": INACTIVE})
            continue
        rows = published[name] = _rows(store_id, standings[name], naming.names[name], champions[name], now)
        rows.attrs = dict(tables[name].attrs)
        yield dg.MaterializeResult(asset_key=key, value=rows, metadata=_metadata(rows) | naming.metadata(name))
        yield _check(key, rows, len(tables[name]))
    store.publish_segments(store_id, published, retired=[name for name in selected if name not in active])


def _rows(
    store_id: str, standing: Standing, names: pd.DataFrame, champion: LoadedModel, now: pd.Timestamp
) -> pd.DataFrame:
    brief, version = standing.brief, str(champion.version)
    return segment_rows(
        store_id, brief.axis, brief.description, names, champion.model, valid_from=now, model_version=version
    )


def _metadata(rows: pd.DataFrame) -> dict[str, dg.MetadataValue]:
    shown = rows.sort_values("customer_count", ascending=False)
    table = pd.DataFrame(
        {
            "segment": shown["segment_name"],
            "customers": shown["customer_count"],
            "share": [f"{p:.1f} %" for p in shown["population_percentage"]],
            "named by": shown["name_source"],
            "who they are": shown["interpretation"],
        }
    )
    picture = segment_shares(list(shown["segment_name"]), list(shown["population_percentage"]))
    return facts(len(rows), segments=table, shares=picture)


def _check(key: dg.AssetKey, rows: pd.DataFrame, n_customers: int) -> dg.AssetCheckResult:
    passed = rows["segment_name"].is_unique and int(rows["customer_count"].sum()) == n_customers
    return rule_check(
        key,
        CHECK,
        bool(passed),
        "Names are unique in the axis; every customer is counted once.",
        customers=n_customers,
    )
