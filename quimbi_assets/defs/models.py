"""Stage 3: features → one fitted model per axis, tracked in MLflow, champion if it passes.

Belongs here: fitting each selected axis, deciding whether it serves, logging it. Does not: how a model is fitted
(``clustering``), any MLflow call (``resources.tracking``), what is said about a model (``model_facts``).
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES, Axis
from quimbi_assets.clustering.axis_fit import AxisFit, FitOptions, fit_axis_model
from quimbi_assets.defs.differences import CHECK as DIFFERENCES_CHECK
from quimbi_assets.defs.differences import axis_differences, differences_check
from quimbi_assets.defs.model_facts import CHECK, giant_check, model_metadata, model_summary
from quimbi_assets.defs.partitions import ITEMS_KEY, ORDERS_KEY, REFERENCE_KEY, axis_key, axis_spec
from quimbi_assets.defs.promotions import CHECK as PROMOTION_CHECK
from quimbi_assets.defs.promotions import promotion_check
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.stage_tables import INACTIVE, StageEvent, inactive_reason, inactive_result
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.mlflow.resource import LoggedModel, MaterializationLog, MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.workers import workers

CHECKS = (CHECK, DIFFERENCES_CHECK, PROMOTION_CHECK)
RECORDERS = 2
"""Threads that record fits: they mostly wait for the tracker's database."""


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
@retried
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
    lineages: dict[str, tuple[str, pd.DataFrame]] = {}
    tables = {name: frames.read(axis_key("features", name), store_id) for name in selected}
    options = FitOptions(**dict(config))
    reference = frames.read(REFERENCE_KEY, store_id)
    active = {name: table for name, table in tables.items() if table is not None and inactive_reason(table) is None}
    before = tracking.predecessors(store_id, {name: table.attrs["observation_end"] for name, table in active.items()})
    named = tracking.segments_named(store_id)
    with (
        tracking.materialization(store_id, context.run_id, parameters=dict(config)) as log,
        ThreadPoolExecutor(RECORDERS) as recorders,  # outside of workers: what these drop need not be waited for
        workers(max(map(len, active.values()), default=0)) as pool,
    ):
        fits = {}
        for name, table in active.items():
            old = before.get(name)
            fit = pool.submit(fit_axis_model, name, options, table, old and old.model, named.get(name, 0))
            fits[name] = recorders.submit(_recorded, fit, AXES[name], table, reference, old and old.version, log)
        progress.step("comparing customers with chance", 0.12)
        differences = axis_differences(frames, store_id, selected, config.random_state)
        for position, name in enumerate(selected):
            progress.step(f"fitting {name}", 0.3 + 0.35 * position / len(selected))
            key, table = axis_key("models", name), tables[name]
            reason, fit = inactive_reason(table), fits[name].result() if name in fits else None
            if fit is None or isinstance(fit, str):
                yield from _inactive(key, name, reason or str(fit), log)
                continue
            (model, decision, _), run = fit
            lineages[name] = (run.version, model.lineage_)
            serving = LoadedModel(model, run.version, run.run_id) if decision.promoted else before[name]
            found = differences[name].with_division(serving.model.selection_)
            log.differences(run, found)
            metadata = model_metadata(model, run, found, decision)
            yield dg.MaterializeResult(
                asset_key=key, value=model_summary(serving, decision, table, found), metadata=metadata
            )
            yield giant_check(key, serving.model, table)
            yield differences_check(key, found)
            yield promotion_check(key, decision)
    store.publish_lineage(store_id, lineages)
    store.publish_axis_models(store_id, {name: frames.read(axis_key("models", name), store_id) for name in selected})
    progress.step("models registered", 0.65)


def _recorded(
    fit: "Future[AxisFit | str]",
    axis: Axis,
    table: pd.DataFrame,
    reference: pd.DataFrame | None,
    predecessor: str | None,
    log: MaterializationLog,
) -> tuple[AxisFit, LoggedModel] | str:
    """Wait for a fit and record it; a reason in words where there is none."""
    found = fit.result()
    return found if isinstance(found, str) else (found, log.axis(axis, found, table, reference, predecessor))


def _inactive(key: dg.AssetKey, name: str, reason: str, log: MaterializationLog) -> Iterator[StageEvent]:
    log.inactive(name, reason)
    yield inactive_result(key, reason)
    for check in CHECKS:
        yield dg.AssetCheckResult(asset_key=key, check_name=check, passed=True, metadata={"status": INACTIVE})
