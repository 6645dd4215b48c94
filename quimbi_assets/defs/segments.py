"""Stage 4: clusters → named segments.

Belongs here: describing and naming each selected axis's segments. Does not: words (``naming``), publishing
(``profiles``).
"""

from collections.abc import Iterator, Mapping

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.axis_table import AxisTable
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.pictures import segment_shares
from quimbi_assets.defs.events import Metadata, StageEvent, facts, inactive, rule_check
from quimbi_assets.defs.naming import NamingOptions, name_store
from quimbi_assets.defs.partitions import ORDERS_KEY, axis_key, axis_spec
from quimbi_assets.defs.runs import retried
from quimbi_assets.naming.plan import CurrentNames, NamePlan, plan_names
from quimbi_assets.naming.rows import segment_rows
from quimbi_assets.pipeline import dominant_counts, sampled_features
from quimbi_assets.resources.claude import Claude
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.postgres.tables.naming import read_given_names

CHECK = "names_unique_and_counts_whole"


@dg.multi_asset(
    name="segments",
    specs=[
        axis_spec(
            "segments",
            axis.name,
            [ORDERS_KEY, axis_key("features", axis.name), axis_key("memberships", axis.name)],
            f"{axis.question} Named segments with their sizes and centres, published to `quimbi.dim_segment_master`.",
            {"postgres"},
        )
        for axis in AXES.values()
    ],
    can_subset=True,
    check_specs=[dg.AssetCheckSpec(CHECK, asset=axis_key("segments", name)) for name in AXES],
)
@retried
def segments(
    context: dg.AssetExecutionContext,
    config: NamingOptions,
    tables: Tables,
    database: StoreDatabase,
    tracking: Mlflow,
    claude: Claude,
    progress: Listener,
) -> Iterator[StageEvent]:
    """Name the selected axes' segments of the partition's store; they are published with its profiles."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("segments", name) in context.selected_asset_keys]
    scored = {name: tables.required(axis_key("memberships", name), store_id) for name in selected}
    active = [name for name in selected if scored[name].facts.inactive_reason is None]
    versions = {name: str(scored[name].facts.model_version) for name in active}
    serving = tracking.registry.load_versions(store_id, versions)
    progress.step("naming segments", 0.75)
    plans = _plans(tables, store_id, serving, scored, read_given_names(database, store_id, active))

    def tell(line: str) -> None:
        context.log.warning(line)
        progress.warn(line)

    naming = name_store(store_id, context.run_id, plans, config, claude, database, tracking, tell)
    if naming.warning:
        tell(naming.warning)
    now = pd.Timestamp.now("UTC")
    for name in selected:
        key, source = axis_key("segments", name), scored[name].facts
        if name not in active:
            yield from inactive(tables, key, store_id, source, [CHECK])
            continue
        described, names, served = plans[name].brief.description, naming.names[name], serving[name]
        rows = segment_rows(
            store_id, AXES[name], described, names, served.model, valid_from=now, model_version=served.version
        )
        tables.write(key, store_id, rows, source)
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(rows) | naming.metadata(name))
        yield _check(key, rows, scored[name].n_rows)


def _plans(
    tables: Tables,
    store_id: str,
    serving: Mapping[str, LoadedModel],
    scored: Mapping[str, AxisTable],
    current: Mapping[str, CurrentNames],
) -> dict[str, NamePlan]:
    """Describe the segments of the models that serve, and find which names stay."""
    orders = tables.required(ORDERS_KEY, store_id).facts
    currency = "" if orders.store is None else orders.store.currency or ""
    measured = {name: tables.required(axis_key("features", name), store_id) for name in serving}
    frames = sampled_features(measured, {name: FitOptions.of(one.model) for name, one in serving.items()})
    return {
        name: plan_names(
            AXES[name], one.model, frames[name], currency, current.get(name), dominant_counts(scored[name])
        )
        for name, one in serving.items()
    }


def _metadata(rows: pd.DataFrame) -> Metadata:
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
        key, CHECK, passed, "Names are unique in the axis; every customer is counted once.", customers=n_customers
    )
