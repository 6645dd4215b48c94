"""Stage 3: features → one fitted model per axis, tracked in MLflow, champion if it passes.

Belongs here: fitting each selected axis, deciding whether it is to serve, logging it, the UI's figures and checks of
it. Does not: how a model is fitted (``pipeline``), the rules (``clustering.promotion``, ``clustering.noise_test``), any
MLflow call (``resources.mlflow``).
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import dagster as dg
import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, StoreReference
from quimbi_assets.axis_table import AxisTable, TableFacts
from quimbi_assets.clustering.axis_fit import AxisFit, FitOptions
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.noise_test import REAL_SHARE, NoiseTest
from quimbi_assets.clustering.promotion import MAX_CHURN, Decision
from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts, inactive, mlflow_links
from quimbi_assets.defs.labels import data_version
from quimbi_assets.defs.partitions import HISTORY, REFERENCE_KEY, axis_key, axis_spec
from quimbi_assets.defs.runs import retried
from quimbi_assets.naming.rows import why_provisional
from quimbi_assets.pipeline import FittedStore, fit_store, measured_together, sampled_features
from quimbi_assets.profiles.stays import StayModel
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.mlflow.records import MaterializationLog, materialization
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.mlflow.runs import axis_url
from quimbi_assets.resources.postgres.tables.promotions import choose_versions
from quimbi_assets.resources.publishing import models_before
from quimbi_assets.resources.workers import workers

GIANT = 0.85
"""A share of customers beyond which a segment that no declared state explains says little about anybody."""
BALANCE_CHECK = Rule(
    "no_giant_segment",
    f"No segment without a declared state holds more than {GIANT:.0%} of customers.",
    "the axis says little about anybody here: leave it out of audiences. An earlier version may divide better "
    "(`quimbi promote`), or more segments (`quimbi run --axes AXIS --min-k 3`).",
)
NOISE_CHECK = Rule(
    "real_differences",
    f"Customers differ more than orders dealt anew would make them in at least {REAL_SHARE:.0%} of the features, "
    "or in how often they order where that is the question.",
    "nothing is broken: with these orders the axis cannot be told from chance, it is called weak and shown last. Leave "
    "it out of audiences until more orders have come (`quimbi segments --why` has the figures).",
    warns=True,
)
PROMOTION_CHECK = Rule(
    "refit_promoted",
    f"A refit serves only if it moves under {MAX_CHURN:.0%} of customers, is no worse than the champion beyond "
    "noise and loses no segment that has customers; else the champion keeps serving.",
    "read `reason`. If the shop did change, accept the refit: `quimbi promote --axis AXIS --version N`, N being the "
    "`registered_version` of this asset. If not, do nothing: the champion serves on.",
    warns=True,
)
CHECKS = (BALANCE_CHECK, NOISE_CHECK, PROMOTION_CHECK)
SHOWN = ("k", "silhouette", "stability_ari", "largest_share", "smallest_share", "chosen", "reason")
"""Columns of the candidates' table that the UI shows; MLflow holds all."""
RECORDERS = 2
"""Threads that record fits: they mostly wait for the tracker's database."""


class ModelOptions(dg.Config):
    """How many segments to consider, the seed of everything random, and whether refits serve without checks."""

    min_k: int = 2
    max_k: int = 6
    max_sample: int = 50_000
    random_state: int = 0
    promote: bool = False


@dg.multi_asset(
    name="models",
    specs=[
        axis_spec(
            "models",
            axis.name,
            [*HISTORY, axis_key("features", axis.name), REFERENCE_KEY],
            f"Segments of customers by {axis.name.replace('_', ' ')}: {axis.question} "
            "Fitted on a bounded sample, tracked in MLflow, served under the alias `champion` if it passes.",
            {"scikitlearn", "mlflow"},
        )
        for axis in AXES.values()
    ],
    can_subset=True,
    check_specs=[rule.spec(axis_key("models", name)) for name in AXES for rule in CHECKS],
)
@retried
def models(
    context: dg.AssetExecutionContext,
    config: ModelOptions,
    tables: Tables,
    database: StoreDatabase,
    tracking: Mlflow,
    progress: Listener,
) -> Iterator[StageEvent]:
    """Fit, log and register the selected axes' models of the partition's store; those that pass serve from now on."""
    store_id = context.partition_key
    selected = [name for name in AXES if axis_key("models", name) in context.selected_asset_keys]
    measured = {name: tables.required(axis_key("features", name), store_id) for name in selected}
    active = {name: table for name, table in measured.items() if table.facts.inactive_reason is None}
    options, chosen = FitOptions(**dict(config)), {}
    instants = {name: str(table.facts.at) for name, table in active.items()}
    before = models_before(database, tracking.registry, store_id, instants)
    frames = sampled_features(active, dict.fromkeys(active, options))
    with materialization(tracking, store_id, context.run_id, dict(config)) as log:
        progress.step("comparing customers with chance", 0.12)
        fitted, recorded = _fitted(store_id, active, frames, before, options, log, tables)
        for position, name in enumerate(selected):
            progress.step(f"fitting {name}", 0.3 + 0.35 * position / len(selected))
            key, source = axis_key("models", name), measured[name].facts
            if (reason := source.inactive_reason or fitted.inactive.get(name)) is not None:
                log.inactive(name, reason)
                why = TableFacts.inactive(reason, at=source.at, recorded=source.recorded)
                yield from inactive(tables, key, store_id, why, CHECKS)
                continue
            fit, run, noise = fitted.fits[name], recorded[name].result(), fitted.noise[name]
            serving = chosen[name] = run if fit.decision.promoted else before[name]
            if not fit.decision.promoted:
                noise = noise.with_model(serving.model)
            stays = fitted.stays(name, serving.model)
            log.judged(run, noise, stays)
            served = TableFacts(source.at, noise.status, noise.reason, source.recorded, context.run_id, serving.version)
            tables.write(key, store_id, _beside(fit, serving.model, stays), served)
            metadata = _figures(fit, run, noise, stays, axis_url(store_id, name))
            yield dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=data_version(serving.version))
            yield from _checks(key, fit.decision, serving.model, noise, frames[name])
    choose_versions(database, store_id, {name: model.choice() for name, model in chosen.items()})
    progress.step("models registered", 0.65)


def _beside(fit: AxisFit, serving: AxisModel, stays: StayModel) -> pd.DataFrame:
    """Return the row of what was found beside the model; a champion of before has no agreement of halves of its own."""
    agreed = (float(model.halves_ari_) for model in (serving, fit.model))
    halves = next((ari for ari in agreed if np.isfinite(ari)), None)
    held = None if fit.decision.promoted else fit.decision.reason
    return pd.DataFrame({"held_reason": [held], "stays": [stays.to_json()], "halves_ari": [halves]})


def _fitted(
    store_id: str,
    active: dict[str, AxisTable],
    frames: dict[str, pd.DataFrame],
    before: dict[str, LoadedModel],
    options: FitOptions,
    log: MaterializationLog,
    tables: Tables,
) -> tuple[FittedStore, "dict[str, Future[LoadedModel]]"]:
    """Fit the active axes, each recorded as soon as it is there."""
    if not active:
        return FittedStore({}, {}, {}), {}
    reference_table = tables.required(REFERENCE_KEY, store_id)
    at, columns = measured_together(store_id, {**active, "store_reference": reference_table})
    reference = reference_table.read().to_pandas()
    recorded: dict[str, Future[LoadedModel]] = {}
    with (
        ThreadPoolExecutor(RECORDERS) as recorders,  # outside of workers: what these drop need not be waited for
        workers(max(map(len, frames.values()))) as pool,
    ):

        def record(name: str, fit: AxisFit) -> None:
            measured_against = reference if AXES[name].reference else None
            recorded[name] = recorders.submit(log.axis, name, fit, frames[name], str(at), measured_against)

        fitted = fit_store(
            tables.history(store_id).until(at),
            frames,
            StoreReference.from_frame(reference),
            columns,
            options,
            champions={name: old.model for name, old in before.items()},
            named=log.tracking.registry.segments_named(store_id),
            pool=pool,
            on_fit=record,
        )
    return fitted, recorded


def _checks(
    key: dg.AssetKey, decision: Decision, serving: AxisModel, noise: NoiseTest, features: pd.DataFrame
) -> Iterator[dg.AssetCheckResult]:
    yield _balance_check(key, serving, features)
    yield _noise_check(key, noise)
    yield _promotion_check(key, decision)


def _figures(fit: AxisFit, logged: LoadedModel, noise: NoiseTest, stays: StayModel, over_time: str) -> Metadata:
    """Say what a fit is: its figures and pictures, and how customers stay in the segments of the model that serves."""
    model, decision = logged.model, fit.decision
    figures = facts(
        status=noise.status,
        reason=noise.reason,
        segments=model.k_,
        promotion=("promoted: " if decision.promoted else "held, the champion keeps serving: ") + decision.reason,
        registered_version=logged.version,
        silhouette=float(model.silhouette_),
        halves_ari=float(model.halves_ari_),
        stability_ari=float(model.stability_ari_),
        provisional=why_provisional(model.n_divided_),
        largest_share=float(model.shares_.max()),
        customers_fitted=int(model.n_fit_),
        customers_of_low_evidence=int(model.n_low_evidence_),
        features_dropped=dict(model.dropped_) or None,
        stays_not_learnt=stays.reason,
        fits_over_time=over_time,
    )
    tables = facts(
        choice_of_k=model.selection_[[column for column in SHOWN if column in model.selection_]],
        lineage=model.lineage_,
        real_differences=_noise_figures(noise),
        stays_in_segment=pd.DataFrame(stays.figures().items(), columns=["figure", "value"]),
    )
    return figures | mlflow_links(logged.run_id, fit.pictures) | tables


def _balance_check(key: dg.AssetKey, model: AxisModel, features: pd.DataFrame) -> dg.AssetCheckResult:
    """Check that no segment without a declared state holds nearly everybody, as the model that serves assigns them."""
    counts = np.bincount(model.predict(features), minlength=model.k_)
    free = [count for count, state in zip(counts, model.structural_, strict=True) if state is None]
    largest = max(free) / max(len(features), 1)
    return BALANCE_CHECK.result(key, largest <= GIANT, largest_share=float(largest))


def _noise_check(key: dg.AssetKey, noise: NoiseTest) -> dg.AssetCheckResult:
    """Warn where neither half of the tested features nor rates tell customers apart; the axis keeps its segments."""
    return NOISE_CHECK.result(
        key,
        not noise.is_chance,
        status=noise.status,
        reason=noise.reason,
        real_features_share=noise.real_share,
        customers_compared=noise.n_customers,
        figures=_noise_figures(noise),
    )


def _noise_figures(noise: NoiseTest) -> pd.DataFrame:
    figures = noise.figures
    verdict = figures["is_real"].map({True: "real", False: "chance"}).where(figures["is_tested"], "cannot be tested")
    return pd.DataFrame(
        {
            "feature": figures["feature"],
            "verdict": verdict,
            "variance ratio": figures["variance_ratio"],
            "z": figures["variance_z"],
            "reliability": figures["reliability"],
            "by chance": figures["reliability_by_chance"],
            "z of reliability": figures["reliability_z"],
            "customers": figures["n_customers"],
            "rates vary by": figures["rate_spread"],
            "dealt to": figures["is_count"].map({True: "anybody who had begun", False: "as many each as before"}),
        }
    )


def _promotion_check(key: dg.AssetKey, decision: Decision) -> dg.AssetCheckResult:
    """Report whether a fit serves; a held one is a warning, no error: the champion keeps serving, the run goes on."""
    figures: dict[str, float] = {}
    if (compared := decision.comparison) is not None:
        figures = {
            "label_churn": compared.churn,
            "silhouette_change": compared.silhouette_change,
            "stability_change": compared.stability_change,
        }
    return PROMOTION_CHECK.result(
        key, decision.promoted, reason=decision.reason, failed=", ".join(decision.failed) or "none", **figures
    )
