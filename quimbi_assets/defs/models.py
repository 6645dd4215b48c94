"""Stage 3: features → one fitted model per axis, tracked in MLflow and registered as champion.

Belongs here: fitting each selected axis, logging it, and the pictures in the UI. Does not: how a model is fitted
(``clustering``), any MLflow call (``resources.tracking``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES, Axis
from quimbi_assets.clustering.axis_model import axis_model
from quimbi_assets.clustering.inactive import InactiveAxisError
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.verdict import Differences
from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.differences import CHECK as DIFFERENCES_CHECK
from quimbi_assets.defs.differences import axis_differences, differences_check, differences_facts
from quimbi_assets.defs.partitions import ITEMS_KEY, ORDERS_KEY, REFERENCE_KEY, axis_key, axis_spec
from quimbi_assets.defs.stage_tables import INACTIVE, StageEvent, facts, inactive_reason, inactive_result
from quimbi_assets.resources.frames import FrameIOManager
from quimbi_assets.resources.model_tracking import MlflowTracking
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.store import StoreDatabase

CHECK = "no_giant_segment"
CHECKS = (CHECK, DIFFERENCES_CHECK)
#: A share of customers beyond which a segment that no declared state explains says little about anybody.
GIANT = 0.85
#: Columns of the candidates' table that the UI shows; MLflow holds all.
SHOWN = ("k", "silhouette", "stability_ari", "largest_share", "smallest_share", "chosen", "reason")


class ModelOptions(dg.Config):
    """How many segments to consider, and the seed of everything random."""

    min_k: int = 2
    max_k: int = 6
    max_sample: int = 50_000
    random_state: int = 0


def _spec(axis: Axis) -> dg.AssetSpec:
    return axis_spec(
        "models",
        axis.name,
        [ORDERS_KEY, ITEMS_KEY, axis_key("features", axis.name), *([REFERENCE_KEY] if axis.reference else [])],
        f"Segments of customers by {axis.name.replace('_', ' ')}: {axis.question} "
        "Fitted on a bounded sample, tracked in MLflow, served under the alias `champion`.",
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
    """Fit, log and register the selected axes' models of the partition's store."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("models", name) in context.selected_asset_keys]
    progress.step("comparing customers with chance", 0.12)
    differences = axis_differences(frames, store_id, selected, config.random_state)
    with tracking.materialization(store_id, context.run_id, parameters=dict(config)) as log:
        for position, name in enumerate(selected):
            progress.step(f"fitting {name}", 0.15 + 0.5 * position / len(selected))
            key, table = axis_key("models", name), frames.read(axis_key("features", name), store_id)
            reason = inactive_reason(table)
            fitted = None if reason else _fit(AXES[name], config, table)
            if fitted is None or isinstance(fitted, str):
                yield from _inactive(key, name, reason or str(fitted), log)
                continue
            reference = frames.read(REFERENCE_KEY, store_id)
            run = log.axis(AXES[name], fitted, table, reference)
            found = differences[name]
            log.differences(run, found)
            summary = _summary(fitted, run, table, found)
            yield dg.MaterializeResult(asset_key=key, value=summary, metadata=_metadata(fitted, run, found))
            yield _giant_check(key, fitted)
            yield differences_check(key, found)
    store.publish_axis_models(store_id, {name: frames.read(axis_key("models", name), store_id) for name in selected})
    progress.step("models registered", 0.65)


def _fit(axis: Axis, config: ModelOptions, table: pd.DataFrame) -> AxisModel | str:
    """Fit one axis; a reason in words where its customers give nothing to tell apart."""
    model = axis_model(
        axis,
        min_k=config.min_k,
        max_k=config.max_k,
        max_sample=config.max_sample,
        random_state=config.random_state,
    )
    try:
        return model.fit(table)
    except InactiveAxisError as error:
        return str(error)


def _inactive(key: dg.AssetKey, name: str, reason: str, log: Any) -> Iterator[StageEvent]:
    log.inactive(name, reason)
    yield inactive_result(key, reason)
    for check in CHECKS:
        yield dg.AssetCheckResult(asset_key=key, check_name=check, passed=True, metadata={"status": INACTIVE})


def _summary(model: AxisModel, run: Any, table: pd.DataFrame, differences: Differences) -> pd.DataFrame:
    """One row about the model, as the next stages and ``quimbi segments`` read it."""
    frame = pd.DataFrame(
        {
            "status": [differences.status],
            "reason": [differences.reason],
            "k": [model.k_],
            "silhouette": [model.silhouette_],
            "stability_ari": [model.stability_ari_],
            "mlflow_run_id": [run.run_id],
            "model_version": [str(run.version)],
        }
    )
    frame.attrs = {key: table.attrs[key] for key in ("observation_end", "recorded")}
    return frame


def _metadata(model: AxisModel, run: Any, differences: Differences) -> dict[str, dg.MetadataValue]:
    return facts(
        **differences_facts(differences),
        segments=model.k_,
        silhouette=float(model.silhouette_),
        stability_ari=float(model.stability_ari_),
        largest_share=float(model.shares_.max()),
        customers_fitted=int(model.n_fit_),
        customers_of_low_evidence=int(model.n_low_evidence_),
        features_dropped=dict(model.dropped_) or None,
        registered_version=str(run.version),
        mlflow_run=run.url,
        choice_of_k=model.selection_[[column for column in SHOWN if column in model.selection_]],
        silhouette_by_k=run.pictures["silhouette_by_k.png"],
        centres=run.pictures["centres.png"],
    )


def _giant_check(key: dg.AssetKey, model: AxisModel) -> dg.AssetCheckResult:
    free = [share for share, state in zip(model.shares_, model.structural_, strict=True) if state is None]
    largest = max(free)
    return rule_check(
        key,
        CHECK,
        bool(largest <= GIANT),
        f"No segment without a declared state holds more than {GIANT:.0%} of the customers fitted.",
        largest_share=float(largest),
    )
