"""Stage 3: features → one fitted model per axis, tracked in MLflow, champion if it passes.

Belongs here: fitting each selected axis, logging it, and the pictures in the UI. Does not: how a model is fitted
(``clustering``), any MLflow call (``resources.tracking``), what is said about a refit (``promotions``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from quimbi_assets.axes import AXES, Axis
from quimbi_assets.clustering.comparison import consider
from quimbi_assets.clustering.inactive import InactiveAxisError
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.promotion import Decision
from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.partitions import FRAMES, OWNERS, REFERENCE_KEY, STORES, axis_key, out_name
from quimbi_assets.defs.promotions import CHECK as PROMOTION_CHECK
from quimbi_assets.defs.promotions import promotion_check
from quimbi_assets.defs.stage_tables import INACTIVE, facts, inactive_frame, inactive_reason
from quimbi_assets.resources.frames import FrameIOManager
from quimbi_assets.resources.model_registry import LoadedModel
from quimbi_assets.resources.model_tracking import MlflowTracking
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.store import StoreDatabase

CHECK = "no_giant_segment"
#: A share of customers beyond which a segment that no declared state explains says little about anybody.
GIANT = 0.85


class ModelOptions(dg.Config):
    """How many segments to consider, the seed of everything random, and whether refits serve without checks."""

    min_k: int = 2
    max_k: int = 6
    max_sample: int = 50_000
    random_state: int = 0
    promote: bool = False


def _out(axis: Axis) -> dg.AssetOut:
    return dg.AssetOut(
        key=axis_key("models", axis.name),
        is_required=False,
        description=f"Segments of customers by {axis.name.replace('_', ' ')}: {axis.question} "
        "Fitted on a bounded sample, tracked in MLflow, served under the alias `champion`.",
        group_name="models",
        owners=OWNERS,
        kinds={"scikitlearn", "mlflow"},
        io_manager_key=FRAMES,
    )


@dg.multi_asset(
    name="models",
    outs={out_name(axis_key("models", a.name)): _out(a) for a in AXES.values()},
    deps=[*(axis_key("features", name) for name in AXES), REFERENCE_KEY],
    can_subset=True,
    partitions_def=STORES,
    check_specs=[
        dg.AssetCheckSpec(check, asset=axis_key("models", name)) for name in AXES for check in (CHECK, PROMOTION_CHECK)
    ],
)
def models(
    context: dg.AssetExecutionContext,
    config: ModelOptions,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.Output | dg.AssetCheckResult]:
    """Fit, log and register the selected axes' models of the partition's store."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("models", name) in context.selected_asset_keys]
    champions, named = tracking.champions(store_id, selected), tracking.segments_named(store_id)
    lineages: dict[str, tuple[str, pd.DataFrame]] = {}
    with tracking.materialization(store_id, context.run_id, parameters=dict(config)) as log:
        for position, name in enumerate(selected):
            progress.step(f"fitting {name}", 0.15 + 0.5 * position / len(selected))
            key, table = axis_key("models", name), frames.read(axis_key("features", name), store_id)
            reason = inactive_reason(table)
            champion = champions.get(name)
            fitted = None if reason else _fit(AXES[name], config, table, champion, named.get(name, 0))
            if fitted is None or isinstance(fitted, str):
                yield from _inactive(key, name, reason or str(fitted), log)
                continue
            reference = frames.read(REFERENCE_KEY, store_id)
            decision = consider(champion and champion.model, fitted, table, by_hand=config.promote)
            run = log.axis(AXES[name], fitted, table, reference, decision)
            lineages[name] = (run.version, fitted.lineage_)
            held = champion if champion and not decision.promoted else None
            serving = held or LoadedModel(fitted, run.version, run.run_id)
            yield dg.Output(
                _summary(serving, decision, table), out_name(key), metadata=_metadata(fitted, run, decision)
            )
            yield _giant_check(key, serving.model)
            yield promotion_check(key, decision)
    store.publish_lineage(store_id, lineages)
    store.publish_axis_models(store_id, {name: frames.read(axis_key("models", name), store_id) for name in selected})
    progress.step("models registered", 0.65)


def _fit(
    axis: Axis, config: ModelOptions, table: pd.DataFrame, champion: LoadedModel | None, named: int
) -> AxisModel | str:
    """Fit one axis; a reason in words where its customers give nothing to tell apart."""
    model = AxisModel(
        axis=axis.name,
        transforms={f.name: f.transform for f in axis.clustering_features},
        structural=tuple((s.feature, s.equals, s.name) for s in axis.structural),
        min_orders=axis.min_orders,
        min_k=config.min_k,
        max_k=config.max_k,
        max_sample=config.max_sample,
        random_state=config.random_state,
    )
    try:
        return model.fit(table, champion=champion.model if champion else None, named=named)
    except InactiveAxisError as error:
        return str(error)


def _inactive(key: dg.AssetKey, name: str, reason: str, log: Any) -> Iterator[dg.Output | dg.AssetCheckResult]:
    log.inactive(name, reason)
    yield dg.Output(inactive_frame(reason), out_name(key), metadata={"status": INACTIVE, "reason": reason})
    yield dg.AssetCheckResult(asset_key=key, check_name=CHECK, passed=True, metadata={"status": INACTIVE})
    yield promotion_check(key, None)


def _summary(serving: LoadedModel, decision: Decision, table: pd.DataFrame) -> pd.DataFrame:
    """One row about the model that serves, as the next stages and ``quimbi segments`` read it."""
    model = serving.model
    frame = pd.DataFrame(
        {
            "status": ["active"],
            "reason": [None],
            "k": [model.k_],
            "silhouette": [model.silhouette_],
            "stability_ari": [model.stability_ari_],
            "mlflow_run_id": [serving.run_id],
            "model_version": [str(serving.version)],
            "held_reason": [None if decision.promoted else decision.reason],
        }
    )
    frame.attrs = {key: table.attrs[key] for key in ("observation_end", "recorded")}
    return frame


def _metadata(model: AxisModel, run: Any, decision: Decision) -> dict[str, dg.MetadataValue]:
    return facts(
        segments=model.k_,
        silhouette=float(model.silhouette_),
        stability_ari=float(model.stability_ari_),
        largest_share=float(model.shares_.max()),
        customers_fitted=int(model.n_fit_),
        customers_of_low_evidence=int(model.n_low_evidence_),
        features_dropped=dict(model.dropped_) or None,
        registered_version=str(run.version),
        promotion=("promoted: " if decision.promoted else "held, the champion keeps serving: ") + decision.reason,
        lineage=model.lineage_,
        mlflow_run=run.url,
        choice_of_k=model.selection_,
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
