"""Models of a time from which there are none: fitted as of then, to score snapshots and nothing else.

Belongs here: fitting, naming and keeping them. Does not: which week needs them (``week_models``). No alias moves: what
serves today goes on serving (docs/adr/0010).
"""

from collections.abc import Sequence
from concurrent.futures import Future

import pandas as pd

from quimbi_assets.axes import AXES, extract_features, fit_reference
from quimbi_assets.axes._engine import DuckEngine
from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.clustering.axis_fit import AxisFit, FitOptions, fit_axis_model
from quimbi_assets.defs.stage_tables import business_hours
from quimbi_assets.naming.describe import describe_segments
from quimbi_assets.naming.naming import name_segments
from quimbi_assets.naming.rows import segment_rows
from quimbi_assets.profiles.archetype_choice import choose_archetypes
from quimbi_assets.profiles.archetype_rows import archetype_rows
from quimbi_assets.profiles.scores import AxisScores, score_axis
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.workers import workers
from quimbi_assets.weekly.measuring import ONE_THREAD

OPTIONS = FitOptions(min_k=2, max_k=6, max_sample=50_000, random_state=0, promote=False)


def fit_past_models(
    store_id: str,
    axes: Sequence[str],
    orders: pd.DataFrame,
    items: pd.DataFrame,
    end: pd.Timestamp,
    run_id: str,
    store: StoreDatabase,
    tracking: MlflowTracking,
) -> None:
    """Fit axes of a store as of an instant; keep models, names of their segments, and archetypes.

    Parameters
    ----------
    store_id : str
    axes : sequence of str
        Those that have a model today.
    orders, items : DataFrame
        Canonical rows; later ones do not count.
    end : Timestamp
        Naive UTC, exclusive.
    run_id : str
        Dagster's run.
    store, tracking
        Where they are kept.
    """
    visible = orders[orders["order_date"] < end]
    reference = fit_reference(visible, items, end)
    hours, time_zone = business_hours(orders), orders.attrs.get("time_zone", "UTC")
    with DuckEngine(ONE_THREAD) as engine:
        found = extract_features(
            visible,
            items,
            axes=axes,
            observation_end=end,
            time_zone=time_zone,
            business_hours=hours,
            reference=reference,
            engine=engine,
        )
    named = tracking.segments_named(store_id)
    with (
        tracking.materialization(store_id, run_id, {"for_snapshots_as_of": str(end)}, for_past=True) as log,
        workers(max(map(len, found.values()), default=0)) as pool,
    ):
        fits: dict[str, Future[AxisFit | str]] = {
            name: pool.submit(fit_axis_model, name, OPTIONS, table, None, named.get(name, 0))
            for name, table in found.items()
        }
        differences = measure_differences(
            visible,
            items,
            list(found),
            end,
            time_zone=time_zone,
            business_hours=hours,
            recorded=found.recorded,
            reference=reference,
        )
        scores, rows, weak = {}, {}, []
        for name, table in found.items():
            fit = fits[name].result()
            if isinstance(fit, str):
                log.inactive(name, fit)
                continue
            table.attrs = {"observation_end": str(end)}
            logged = log.axis(AXES[name], fit, table, reference.to_frame())
            verdict = differences[name].with_division(fit.model.selection_)
            log.differences(logged, verdict)
            if verdict.is_weak:
                weak.append(name)
            scores[name] = score_axis(fit.model, table)
            rows[name] = _segments(store_id, name, fit, table, logged.version, orders.attrs.get("currency") or "")
    store.keep_past_segments(rows)
    if scores:
        store.keep_past_archetypes(_archetypes(store_id, scores, rows, weak, end))


def _segments(store_id: str, name: str, fit: AxisFit, table: pd.DataFrame, version: str, currency: str) -> pd.DataFrame:
    description = describe_segments(AXES[name], fit.model, table)
    names = name_segments(AXES[name], description, currency, None)
    now = pd.Timestamp.now("UTC").to_pydatetime()
    return segment_rows(store_id, AXES[name], description, names, fit.model, valid_from=now, model_version=version)


def _archetypes(
    store_id: str, scores: dict[str, AxisScores], rows: dict[str, pd.DataFrame], weak: list[str], end: pd.Timestamp
) -> pd.DataFrame:
    choice = choose_archetypes(scores, None, [name for name in scores if name not in weak])
    instant = end.tz_localize("UTC").to_pydatetime()
    return archetype_rows(store_id, choice, rows, pd.Timestamp.now("UTC").to_pydatetime(), instant, None)
