"""What takes both systems: a store's result in the tables, which MLflow's tags and aliases follow, and who scores what.

Belongs here: publishing, loading the models that the tables name (those that serve, and those of a week;
docs/adr/0010, 0013), clearing away what killed runs left. Does not: SQL (``postgres``), calls of MLflow (``mlflow``),
scoring.

The tables are the truth. Killed between the two, MLflow's pages show the version before until the next publication.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import pandas as pd

from quimbi_assets.axes import AXES, StoreReference, fit_reference
from quimbi_assets.axis_table import INACTIVE
from quimbi_assets.churn.evaluation import draw_calibration, train_churn
from quimbi_assets.errors import BadInputError, InsufficientHistoryError
from quimbi_assets.history import History
from quimbi_assets.instants import Instant
from quimbi_assets.marketing import fit_marketing
from quimbi_assets.naming.values import plural
from quimbi_assets.profiles.archetype_rows import kept_archetypes
from quimbi_assets.resources.mlflow.registry import CHURN, VALUE, LoadedModel, ModelRegistry
from quimbi_assets.resources.mlflow.reports import log_churn
from quimbi_assets.resources.mlflow.runs import Tracking
from quimbi_assets.resources.parquet_io import ParquetTables
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.history import read_versions, read_weeks
from quimbi_assets.resources.postgres.tables.promotions import choose_versions, mark_echoed, read_fit, read_promotions
from quimbi_assets.resources.postgres.tables.publications import Publication, publish_run, read_archetypes
from quimbi_assets.weekly.snapshot import WeekModels


def publish(database: Database, registry: ModelRegistry, publication: Publication) -> None:
    """Publish a run's result and let MLflow follow; where ``publish_run`` raises, nothing is published."""
    publish_run(database, publication)
    follow(database, registry, publication.store_id)


def follow(database: Database, registry: ModelRegistry, store_id: str) -> None:
    """Bring MLflow's tags and aliases in line with what is published of a store; to do so again changes nothing."""
    echoed = registry.follow(store_id, read_promotions(database, store_id))
    mark_echoed(database, store_id, echoed)


def sweep(database: Database, tables: ParquetTables, tracking: Tracking, store_id: str) -> str | None:
    """Clear away what killed runs of a store left, and say in a line what it was; None if there was nothing.

    The caller holds the right to run the store, so that whatever looks under way is not. Versions that no publication
    chose stay: later fits may be compared with them, and a person may promote them.
    """
    n_files = tables.mend(store_id)
    n_weeks = tables.keep_weeks(store_id, read_weeks(database, store_id))
    n_runs = tracking.end_left(store_id)
    counts = {
        plural(n_files, "half-written table"): n_files,
        plural(n_weeks, "table") + " of weeks that are not kept": n_weeks,
        plural(n_runs, "run or model", "runs or models") + " under way in MLflow": n_runs,
    }
    if not any(counts.values()):
        return None
    return f"cleared away what a run that was killed had left: {', '.join(what for what, n in counts.items() if n)}"


def models_before(
    database: Database, registry: ModelRegistry, store_id: str, instants: Mapping[str, pd.Timestamp | str]
) -> dict[str, LoadedModel]:
    """Load what new fits are compared with, and what scores snapshots: see ``Promotions.predecessors``."""
    versions = read_promotions(database, store_id).predecessors(instants)
    return registry.load_versions(store_id, versions)


def models_chosen(
    database: Database, registry: ModelRegistry, store_id: str, axes: Iterable[str]
) -> dict[str, LoadedModel]:
    """Load the models that customers are to be scored with, by axis: the last ones chosen."""
    chosen, wanted = read_promotions(database, store_id).chosen(), set(axes)
    return registry.load_versions(store_id, {axis: v for axis, v in chosen.items() if axis in wanted})


def forecast_model(
    database: Database, registry: ModelRegistry, store_id: str, forecast: str, as_of: Instant
) -> LoadedModel | str:
    """Load the model of a forecast (``CHURN``, ``VALUE``) to serve as of an instant, or say why there is none."""
    if reason := _untrainable(database, store_id, forecast, as_of):
        return reason
    versions = read_promotions(database, store_id).predecessors({forecast: as_of}, to_serve=True)
    serving = registry.load_versions(store_id, versions).get(forecast)
    return serving or no_forecast_model(database, store_id, forecast, as_of)


def no_forecast_model(database: Database, store_id: str, forecast: str, as_of: Instant) -> str:
    """Say why no model of a forecast knows a store up to an instant."""
    what = {CHURN: "churn model", VALUE: "model of the value to come"}[forecast]
    unknown = f"no {what} was fitted on data up to {as_of}; quimbi run --store-id {store_id} fits one"
    return _untrainable(database, store_id, forecast, as_of) or unknown


def _untrainable(database: Database, store_id: str, forecast: str, as_of: Instant) -> str | None:
    """Return why a fit as of an instant gave no model; None where it did, or none was tried."""
    fit = read_fit(database, store_id, forecast, at=as_of)
    return fit.reason if fit and fit.status == INACTIVE else None


def models_of_week(
    database: Database, tracking: Tracking, week: date, history: History, run_id: str, *, renew: bool = False
) -> WeekModels:
    """Return what scores a week, known by its Monday, with which the history ends; chosen before, unless to ``renew``.

    BadInputError if the store was never run.
    """
    store_id, registry = history.store.store_id, tracking.registry
    scored_by = {} if renew else read_versions(database, store_id, week) or {}
    loaded = registry.load_versions(store_id, scored_by or _versions(database, history))
    if not loaded:
        raise BadInputError(f"store {store_id} has no models yet; fit them first: quimbi run --store-id {store_id}")
    churn = loaded.pop(CHURN, None) if scored_by else _churn_model(database, tracking, history, run_id)
    ordered = {axis: loaded[axis] for axis in AXES if axis in loaded}
    ends = [model.data_end for model in ordered.values()]
    # Archetypes are made of segments: before the first models there are none but the first.
    until = history.end if min(ends) <= history.end else min(ends)
    return WeekModels(
        models={axis: model.model for axis, model in ordered.items()},
        versions={axis: model.version for axis, model in ordered.items()},
        data_end={axis: model.data_end for axis, model in ordered.items()},
        references={
            axis: _reference(tracking, model, history) for axis, model in ordered.items() if AXES[axis].reference
        },
        archetypes=kept_archetypes(read_archetypes(database, store_id, until.tz_localize("UTC"))),
        churn=None if churn is None else churn.model,
        churn_version=None if churn is None else churn.version,
        marketing=fit_marketing(history),
    )


def _versions(database: Database, history: History) -> dict[str, str]:
    """Return by axis the version that served when a history ended; where none did yet, the first that ever did."""
    promotions = read_promotions(database, history.store.store_id)
    before = promotions.predecessors(dict.fromkeys(AXES, history.end))
    first = {axis: version for axis, version in promotions.first().items() if axis in AXES}
    return first | before


def _reference(tracking: Tracking, model: LoadedModel, history: History) -> StoreReference:
    """Return what a model's features are measured against."""
    beside = tracking.store_reference(model.run_id)
    return fit_reference(history) if beside is None else StoreReference.from_frame(beside)


def _churn_model(database: Database, tracking: Tracking, history: History, run_id: str) -> LoadedModel | None:
    """Return the churn model as of a history's end, fitted as of then if need be; None where nothing can be learnt.

    Never one of later: it would know who of the customers came back.
    """
    store_id, at = history.store.store_id, str(history.end)
    serving = models_before(database, tracking.registry, store_id, {CHURN: at}).get(CHURN)
    if serving is not None:
        return serving
    try:
        fit = train_churn(history)
    except InsufficientHistoryError:
        return None
    tags, picture = {"dagster_run_id": run_id}, draw_calibration(fit.evaluation)
    fitted = log_churn(tracking, store_id, fit, at, tags, picture, for_past=True)
    choose_versions(database, store_id, {CHURN: fitted.choice()}, for_past=True)
    follow(database, tracking.registry, store_id)
    return fitted
