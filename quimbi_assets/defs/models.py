"""Stage 3: features → one fitted model per axis, tracked in MLflow, champion if it passes.

Belongs here: fitting each selected axis, deciding whether it serves, logging it. Does not: how a model is fitted
(``clustering``), any MLflow call (``resources.tracking``), what is said about a model (``model_facts``).
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import pandas as pd
from threadpoolctl import threadpool_limits

from quimbi_assets.axes import AXES, Axis
from quimbi_assets.clustering.axis_model import axis_model
from quimbi_assets.clustering.comparison import consider
from quimbi_assets.clustering.inactive import InactiveAxisError
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.defs.differences import CHECK as DIFFERENCES_CHECK
from quimbi_assets.defs.differences import axis_differences, differences_check
from quimbi_assets.defs.model_facts import CHECK, giant_check, model_metadata, model_summary
from quimbi_assets.defs.partitions import ITEMS_KEY, ORDERS_KEY, REFERENCE_KEY, axis_key, axis_spec
from quimbi_assets.defs.promotions import CHECK as PROMOTION_CHECK
from quimbi_assets.defs.promotions import promotion_check
from quimbi_assets.defs.stage_tables import INACTIVE, StageEvent, inactive_reason, inactive_result
from quimbi_assets.resources.frames import FrameIOManager
from quimbi_assets.resources.model_registry import LoadedModel
from quimbi_assets.resources.model_tracking import MlflowTracking
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.store import StoreDatabase

CHECKS = (CHECK, DIFFERENCES_CHECK, PROMOTION_CHECK)


class ModelOptions(dg.Config):
    """How many segments to consider, the seed of everything random, and whether refits serve without checks."""

    min_k: int = 2
    max_k: int = 6
    max_sample: int = 50_000
    random_state: int = 0
    promote: bool = False


def _spec(axis: Axis) -> dg.AssetSpec:
    return axis_spec(
        "models",
        axis.name,
        [ORDERS_KEY, ITEMS_KEY, axis_key("features", axis.name), *([REFERENCE_KEY] if axis.reference else [])],
        f"Segments of customers by {axis.name.replace('_', ' ')}: {axis.question} "
        "Fitted on a bounded sample, tracked in MLflow, served under the alias `champion` if it passes.",
        {"scikitlearn", "mlflow"},
    )


@dg.multi_asset(
    name="models",
    specs=[_spec(axis) for axis in AXES.values()],
    can_subset=True,
    check_specs=[dg.AssetCheckSpec(c, asset=axis_key("models", name)) for name in AXES for c in CHECKS],
)
def models(
    context: dg.AssetExecutionContext,
    config: ModelOptions,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[StageEvent]:
    """Fit, log and register the selected axes' models of the partition's store; those that pass serve from now on."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("models", name) in context.selected_asset_keys]
    champions, named = tracking.champions(store_id, selected), tracking.segments_named(store_id)
    lineages: dict[str, tuple[str, pd.DataFrame]] = {}
    tables = {name: frames.read(axis_key("features", name), store_id) for name in selected}
    for name in selected:
        if _looks_back(frames.read(axis_key("models", name), store_id), tables[name]):
            champions.pop(name, None)
    with (
        tracking.materialization(store_id, context.run_id, parameters=dict(config)) as log,
        threadpool_limits(1),
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        # Fits release the interpreter and run on a thread each; one within another would change their last digits.
        fits = {
            name: pool.submit(_fit, AXES[name], config, tables[name], champions.get(name), named.get(name, 0))
            for name in selected
            if inactive_reason(tables[name]) is None
        }
        progress.step("comparing customers with chance", 0.12)
        differences = axis_differences(frames, store_id, selected, config.random_state)
        for position, name in enumerate(selected):
            progress.step(f"fitting {name}", 0.3 + 0.35 * position / len(selected))
            key, table, champion = axis_key("models", name), tables[name], champions.get(name)
            reason, fitted = inactive_reason(table), fits[name].result() if name in fits else None
            if fitted is None or isinstance(fitted, str):
                yield from _inactive(key, name, reason or str(fitted), log)
                continue
            decision = consider(champion and champion.model, fitted, table, by_hand=config.promote)
            run = log.axis(AXES[name], fitted, table, frames.read(REFERENCE_KEY, store_id), decision)
            found = differences[name]
            log.differences(run, found)
            lineages[name] = (run.version, fitted.lineage_)
            held = champion if champion and not decision.promoted else None
            serving = held or LoadedModel(fitted, run.version, run.run_id)
            metadata = model_metadata(fitted, run, found, decision)
            yield dg.MaterializeResult(
                asset_key=key, value=model_summary(serving, decision, table, found), metadata=metadata
            )
            yield giant_check(key, serving.model)
            yield differences_check(key, found)
            yield promotion_check(key, decision)
    store.publish_lineage(store_id, lineages)
    store.publish_axis_models(store_id, {name: frames.read(axis_key("models", name), store_id) for name in selected})
    progress.step("models registered", 0.65)


def _looks_back(before: pd.DataFrame | None, table: pd.DataFrame | None) -> bool:
    """Whether the last model saw more than this run may: a run as of the past is blind to what came later."""
    if before is None or table is None:
        return False
    return pd.Timestamp(before.attrs.get("observation_end")) > pd.Timestamp(table.attrs["observation_end"])


def _fit(
    axis: Axis, config: ModelOptions, table: pd.DataFrame, champion: LoadedModel | None, named: int
) -> AxisModel | str:
    """Fit one axis; a reason in words where its customers give nothing to tell apart."""
    model = axis_model(
        axis,
        min_k=config.min_k,
        max_k=config.max_k,
        max_sample=config.max_sample,
        random_state=config.random_state,
    )
    try:
        return model.fit(table, champion=champion.model if champion else None, named=named)
    except InactiveAxisError as error:
        return str(error)


def _inactive(key: dg.AssetKey, name: str, reason: str, log: Any) -> Iterator[StageEvent]:
    log.inactive(name, reason)
    yield inactive_result(key, reason)
    for check in CHECKS:
        yield dg.AssetCheckResult(asset_key=key, check_name=check, passed=True, metadata={"status": INACTIVE})
