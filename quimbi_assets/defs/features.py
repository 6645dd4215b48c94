"""Stage 2: raw orders → one feature table per axis, all from one subsettable multi_asset.

Belongs here: the assets, their checks and what people read about them in the UI. Does not: any formula (``axes``).
An inactive axis writes an empty table that says why, so that nothing downstream has to guess.
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.axes import (
    AXES,
    Axis,
    Features,
    extract_features,
    feature_schema,
    fit_reference,
)
from quimbi_assets.defs.checks import schema_check
from quimbi_assets.defs.partitions import (
    FRAMES,
    ITEMS_KEY,
    ORDERS_KEY,
    OWNERS,
    REFERENCE_KEY,
    STORES,
    axis_key,
    out_name,
)
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import business_hours, facts, inactive_frame, instant_of
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.spark import open_engine

CHECK = "declared_types_and_ranges"


class FeatureOptions(dg.Config):
    """As of when, and for how many customers at least."""

    as_of: str | None = None
    min_population: int = 100
    engine: str = "duckdb"


def _out(axis: Axis) -> dg.AssetOut:
    return dg.AssetOut(
        key=axis_key("features", axis.name),
        is_required=False,
        description=f"{axis.question}\n\n{axis.description}",
        group_name="features",
        owners=OWNERS,
        kinds={"duckdb", "ibis"},
        io_manager_key=FRAMES,
        metadata={f.name: dg.MetadataValue.text(f"{f.meaning} ({f.unit})") for f in axis.features},
    )


_REFERENCE_OUT = dg.AssetOut(
    key=REFERENCE_KEY,
    is_required=False,
    description="Store-wide prices and gaps that a few features are measured against, as of the same instant.",
    group_name="features",
    owners=OWNERS,
    kinds={"pandas"},
    io_manager_key=FRAMES,
)


@dg.multi_asset(
    name="features",
    outs={out_name(axis_key("features", a.name)): _out(a) for a in AXES.values()}
    | {out_name(REFERENCE_KEY): _REFERENCE_OUT},
    ins={"orders": dg.AssetIn(ORDERS_KEY), "items": dg.AssetIn(ITEMS_KEY)},
    can_subset=True,
    partitions_def=STORES,
    check_specs=[dg.AssetCheckSpec(CHECK, asset=axis_key("features", name)) for name in AXES],
)
@retried
def features(
    context: dg.AssetExecutionContext,
    config: FeatureOptions,
    progress: dg.ResourceParam[Progress],
    orders: pd.DataFrame,
    items: pd.DataFrame,
) -> Iterator[dg.Output | dg.AssetCheckResult]:
    """Compute the selected axes' features of every customer of the partition's store."""
    selected = [name for name in AXES if axis_key("features", name) in context.selected_asset_keys]
    end = instant_of(config.as_of, orders)
    _require_population(context.partition_key, orders, end, config.min_population)
    progress.step(f"features of {len(selected)} axes", 0.1)
    reference = fit_reference(orders, items, end)
    with open_engine(config.engine) as engine:
        found = extract_features(
            orders,
            items,
            axes=selected,
            observation_end=end,
            business_hours=business_hours(orders),
            reference=reference,
            engine=engine,
        )
    if REFERENCE_KEY in context.selected_asset_keys:
        yield dg.Output(_stamped(reference.to_frame(), found, context.run_id), out_name(REFERENCE_KEY))
    for name in selected:
        key = axis_key("features", name)
        if name in found.inactive:
            frame = _stamped(inactive_frame(found.inactive[name]), found, context.run_id)
            yield dg.Output(frame, out_name(key), metadata={"status": "inactive", "reason": found.inactive[name]})
            yield dg.AssetCheckResult(asset_key=key, check_name=CHECK, passed=True, metadata={"status": "inactive"})
            continue
        frame = _stamped(found[name], found, context.run_id)
        yield dg.Output(frame, out_name(key), metadata=_metadata(AXES[name], frame, found))
        yield schema_check(key, CHECK, frame, feature_schema(AXES[name]))


def _require_population(store_id: str, orders: pd.DataFrame, end: pd.Timestamp, at_least: int) -> None:
    n = int(orders.loc[orders["order_date"] < end, "customer_id"].nunique())
    if n < at_least:
        raise BadInputError(
            f"store {store_id} has {n} customers before {end}, fewer than {at_least}: "
            f"segments of so few would be arbitrary; to try all the same, use --min-population {max(n, 2)}"
        )


def _stamped(frame: pd.DataFrame, found: Features, run_id: str) -> pd.DataFrame:
    """Return the frame with the facts that later stages and readers need, as attributes."""
    frame.attrs = {
        **frame.attrs,
        "observation_end": str(found.observation_end),
        "recorded": sorted(found.recorded),
        "run_id": run_id,
    }
    return frame


def _metadata(axis: Axis, frame: pd.DataFrame, found: Features) -> dict[str, dg.MetadataValue]:
    defined = [f for f in axis.clustering_features if f.name in frame]
    table = pd.DataFrame(
        {
            "feature": [f.name for f in defined],
            "meaning": [f.meaning for f in defined],
            "unit": [f.unit for f in defined],
            "defined for": [f"{frame[f.name].notna().mean():.0%}" for f in defined],
            "10 %": [frame[f.name].quantile(0.1) for f in defined],
            "median": [frame[f.name].median() for f in defined],
            "90 %": [frame[f.name].quantile(0.9) for f in defined],
        }
    )
    return facts(
        row_count=len(frame),
        status="active",
        as_of=str(found.observation_end),
        not_recorded=", ".join(found.unrecorded.get(axis.name, [])) or "nothing",
        features=table,
    )
