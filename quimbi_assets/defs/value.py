"""Beside the axes: raw orders → what customers will order and spend, one model a store.

Belongs here: the asset, its check and what people read about it. Does not: learning (``value``), any MLflow call
(``resources.mlflow``), the profile's columns (``profiles.expected``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from quimbi_assets.axis_table import ACTIVE, INACTIVE, WEAK
from quimbi_assets.defs.churn import LATER, ForecastOptions, forecast_facts
from quimbi_assets.defs.events import Rule, StageEvent, inactive_events
from quimbi_assets.defs.labels import data_version, table_metadata
from quimbi_assets.defs.partitions import HISTORY, OWNERS, STORES, VALUE_KEY
from quimbi_assets.defs.runs import retried
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.instants import to_instant
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.mlflow.registry import VALUE, LoadedModel
from quimbi_assets.resources.mlflow.reports import log_value
from quimbi_assets.resources.postgres.tables.promotions import FITS, FitRecord, choose_versions, write_fit
from quimbi_assets.value.evaluation import (
    LEVEL,
    MODEL,
    NAIVE,
    RECENT,
    Evaluation,
    ValueFit,
    draw_calibration,
    train_value,
)

CHECK = Rule(
    "value_is_in_level",
    f"In each of the last windows, unseen, the total foretold was {LEVEL[0]} to {LEVEL[1]} times what came.",
    "order customers by their value to come, and plan no budget by its sum: a season turned, or the store grew or "
    "shrank. The page of `value/model` has the windows; the next refit (`quimbi run`) learns from them.",
    warns=True,
)


@dg.asset(
    key=VALUE_KEY,
    deps=[*HISTORY],
    partitions_def=STORES,
    group_name="value",
    op_tags=LATER,
    owners=OWNERS,
    kinds={"scipy", "mlflow", "postgres"},
    check_specs=[CHECK.spec(VALUE_KEY)],
    description="What customers will order and spend in 90 days and a year: learnt from the store's own past, tested "
    "on its last windows beside what came in as many days before and a customer's average at their rate; what does not "
    "beat both (spend, orders, a year) is left out, with the reason. Registered in MLflow as `<store>.value_to_come`.",
)
@retried
def value_model(
    context: dg.AssetExecutionContext,
    config: ForecastOptions,
    database: StoreDatabase,
    tracking: Mlflow,
    tables: Tables,
    progress: Listener,
) -> Iterator[StageEvent]:
    """Fit, test, log and register the model of the value to come of the partition's store."""
    progress.step("learning what customers will spend")
    store_id = context.partition_key
    as_of = None if config.as_of is None else to_instant(config.as_of, "as_of")
    history = tables.history(store_id).until(as_of)
    end = history.end
    try:
        fit = train_value(history, most_customers=config.most_customers, random_state=config.random_state)
    except InsufficientHistoryError as why:
        write_fit(database, store_id, context.run_id, VALUE, end, FitRecord(INACTIVE, str(why)))
        yield from inactive_events(VALUE_KEY, str(why), [CHECK], table_metadata(database, FITS))
        return
    picture = draw_calibration(fit.evaluation)
    logged = log_value(tracking, store_id, fit, str(end), {"dagster_run_id": context.run_id}, picture)
    summary, evaluation = _summary(fit, logged), fit.evaluation
    fitted = FitRecord(WEAK if evaluation.weak_reason else ACTIVE, evaluation.weak_reason, logged.version, summary)
    write_fit(database, store_id, context.run_id, VALUE, end, fitted)
    choose_versions(database, store_id, {VALUE: logged.choice()})
    metadata = forecast_facts(fitted, logged.run_id, evaluation.by_hold_out) | table_metadata(database, FITS)
    yield dg.MaterializeResult(asset_key=VALUE_KEY, metadata=metadata, data_version=data_version(logged.version))
    yield _check(evaluation)


def _summary(fit: ValueFit, logged: LoadedModel) -> dict[str, Any]:
    """Say what the test found."""
    evaluation, figures, orders = fit.evaluation, fit.evaluation.figures, fit.evaluation.figures_of_orders
    return {
        "horizon_days": fit.model.horizon_days,
        "error": figures[MODEL].error,
        "error_of_spend_before": figures[RECENT].error,
        "error_of_average": figures[NAIVE].error,
        "concordance": figures[MODEL].concordance,
        "concordance_of_spend_before": figures[RECENT].concordance,
        "concordance_of_average": figures[NAIVE].concordance,
        "total": figures[MODEL].total,
        "totals": evaluation.totals,
        "in_interval": evaluation.covered,
        "weight_of_spend_before": float(fit.model.spend_weights_[1]),
        "orders_error": orders[MODEL].error,
        "orders_error_of_orders_before": orders[RECENT].error,
        "orders_error_of_rate": orders[NAIVE].error,
        "not_foretold": fit.model.partly_weak_reason,
        "tested_from": str(evaluation.hold_outs[-1].start),
        "customers_tested": len(evaluation.hold_outs[0].spend.came),
        "mlflow_run_id": logged.run_id,
        "model_version": logged.version,
    }


def _check(evaluation: Evaluation) -> dg.AssetCheckResult:
    return CHECK.result(
        VALUE_KEY,
        all(LEVEL[0] <= total <= LEVEL[1] for total in evaluation.totals),
        totals=evaluation.totals,
        windows=len(evaluation.hold_outs),
        in_interval=evaluation.covered,
    )
