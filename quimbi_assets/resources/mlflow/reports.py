"""What is logged to MLflow beside axes: what is foretold, backtests, what naming asked and cost, pictures of a week.

Belongs here: what is logged of each, and under which names. Does not: making any of it (``churn``, ``value``,
``backtest``, ``naming``, ``weekly``), axes (``records``). Figures of groups only, never of a customer.
"""

from collections.abc import Mapping

import pandas as pd

from quimbi_assets.axis_table import ACTIVE, WEAK
from quimbi_assets.backtest.evaluation import BETTER, SHARES, WORSE, Backtest, draw_backtest
from quimbi_assets.churn.evaluation import ChurnFit, Figures, bins_of
from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.history import History
from quimbi_assets.naming.asking import PROMPT_VERSION, Usage
from quimbi_assets.naming.conversation import Conversation
from quimbi_assets.resources.mlflow.registry import (
    CHURN,
    FOR_PAST,
    PASSED,
    STATUS_TAG,
    VALUE,
    LoadedModel,
    model_description,
)
from quimbi_assets.resources.mlflow.runs import NOTE, Tracking
from quimbi_assets.value.evaluation import ValueFit

BACKTEST, NAMING = "backtest", "segment names"
ADDED = ("added_difference", "added_low", "added_high")
BACKTEST_FIGURES = (*SHARES, "difference", "low", "high", "memberships_difference", *ADDED)


def log_churn(
    tracking: Tracking,
    store_id: str,
    fit: ChurnFit,
    as_of: str,
    tags: Mapping[str, str],
    picture: bytes,
    *,
    for_past: bool = False,
) -> LoadedModel:
    """Log a churn model as a run of its own and register it; it waits until a publication is made with it.

    A fit is to serve without further checks: there is no identity to protect, and the test on unseen history has
    already chosen between it and days since the last order alone. ``as_of`` is where its data end (naive UTC),
    ``picture`` its calibration (PNG); a model ``for_past`` is to score snapshots of its time only.
    """
    test = fit.evaluation
    facts = _facts(fit.model.horizon_days, test.weak_reason)
    every_tag = {**tags, "as_of": as_of, "kind": "churn", **_run_tags(store_id, CHURN, facts, test.weak_reason)}
    bins = pd.DataFrame(bins_of(test.hold_outs, test.risk_served), columns=["risk", "stayed_away", "customers"])
    params = {
        "kind_chosen": test.kind,
        "kind_served": test.serves,
        "horizon_days": test.horizon_days,
        "test_windows_from": ", ".join(f"{one.cut_off:%Y-%m-%d}" for one in test.hold_outs),
        "training_cuts": ", ".join(f"{cut:%Y-%m-%d}" for cut in test.hold_outs[0].training),
    }
    with tracking.run(store_id, f"churn {as_of[:10]}", every_tag) as run:
        run.log(churn_metrics(fit), params)
        run.write(
            {
                "calibration.png": picture,
                "calibration.csv": bins.to_csv(index=False),
                "test_windows.csv": test.by_hold_out.to_csv(index=False),
            }
        )
        return tracking.registry.register(
            run,
            store_id,
            CHURN,
            fit.model,
            _churn_example(fit.model.horizon_days),
            as_of,
            (PASSED, FOR_PAST if for_past else test.serves),
            {"kind": fit.model.kind, **facts},
        )


def churn_metrics(fit: ChurnFit) -> dict[str, float]:
    """Return the figures of a churn fit's test by the names they have in MLflow."""
    test, difference = fit.evaluation, fit.evaluation.difference
    return {
        **_figures("model", test.model),
        **_figures("silence", test.baseline),
        "base_rate.brier": test.base_brier,
        "auc_difference": difference.value,
        "auc_difference.low": difference.low,
        "auc_difference.high": difference.high,
        "worst_window.calibration_error": test.worst_calibration_error,
        "test_customers": float(test.n_customers),
        "test_stayed_away": test.away_share,
        "examples_fitted": float(fit.model.n_fit_),
    }


def _figures(name: str, figures: Figures) -> dict[str, float]:
    return {
        f"{name}.auc": figures.auc.value,
        f"{name}.auc.low": figures.auc.low,
        f"{name}.auc.high": figures.auc.high,
        f"{name}.brier": figures.brier,
        f"{name}.calibration_error": figures.calibration_error,
        f"{name}.lift_top_decile": figures.lift,
    }


def _churn_example(horizon_days: int) -> pd.DataFrame:
    """Return features of one made-up customer."""
    history = _example_history()
    return measure(read_history(history), history.end, horizon_days).reset_index(drop=True)


def _example_history() -> History:
    """Return orders of one made-up customer."""
    end = pd.Timestamp("2025-01-01")
    dates = [end - pd.Timedelta(days=days) for days in (90, 60, 35, 10)]
    orders = {"customer_id": "example", "order_date": dates, "total_price": [20.0, 35.0, 15.0, 30.0]}
    return History.from_frames(pd.DataFrame(orders).reset_index(names="order_id")).until(end)


def log_value(
    tracking: Tracking, store_id: str, fit: ValueFit, as_of: str, tags: Mapping[str, str], picture: bytes
) -> LoadedModel:
    """Log a model of the value to come as a run of its own and register it, as ``log_churn`` does.

    It is to serve whatever its test found: where that is nothing, it says why.
    """
    evaluation, model = fit.evaluation, fit.model
    params = {
        "horizon_days": model.horizon_days,
        "test_windows_from": ", ".join(evaluation.by_hold_out["from"]),
        "windows_learnt_from": model.n_windows_,
    }
    names = ("r", "alpha", "a", "b", "p", "q", "gamma")
    figures = {
        **dict(zip(names, [*model.rates_, *model.amounts_], strict=True)),
        **dict(zip(("weight_of_model", "weight_of_spend_before"), model.spend_weights_, strict=True)),
        **{f"{way}.{n}": figure for way, by in evaluation.figures.items() for n, figure in vars(by).items()},
        **{f"{way}.orders_{n}": v for way, by in evaluation.figures_of_orders.items() for n, v in vars(by).items()},
        "in_interval": evaluation.covered,
        "test_customers": len(evaluation.hold_outs[0].spend.came),
    }
    facts = _facts(model.horizon_days, evaluation.weak_reason)
    every_tag = {**tags, "as_of": as_of, "kind": "value", **_run_tags(store_id, VALUE, facts, evaluation.weak_reason)}
    with tracking.run(store_id, f"value {as_of[:10]}", every_tag) as run:
        run.log({name: float(figure) for name, figure in figures.items()}, params)
        run.write({"calibration.png": picture, "test_windows.csv": evaluation.by_hold_out.to_csv(index=False)})
        fate = (PASSED, evaluation.weak_reason or "foretells better than two simple figures")
        example = _example_history().spending(model.horizon_days).reset_index(drop=True)
        return tracking.registry.register(run, store_id, VALUE, model, example, as_of, fate, facts)


def _facts(horizon_days: int, weak_reason: str | None) -> dict[str, str]:
    return {"horizon_days": str(horizon_days), STATUS_TAG: WEAK if weak_reason else ACTIVE}


def _run_tags(store_id: str, forecast: str, facts: Mapping[str, str], weak_reason: str | None) -> dict[str, str]:
    """Return the tags by which people know a run of a forecast: what it is, its status, and why it is weak."""
    reason = {"reason": weak_reason} if weak_reason else {}
    return {NOTE: model_description(store_id, forecast), STATUS_TAG: facts[STATUS_TAG], **reason}


def log_backtest(tracking: Tracking, store_id: str, result: Backtest, tags: Mapping[str, str] | None = None) -> str:
    """Log a backtest as a run and return the run's id: figures by axis, the table and the picture."""
    axes = result.measured.reindex(columns=BACKTEST_FIGURES).iterrows()
    figures = [(f"{axis}.{name}", value, 0) for axis, row in axes for name, value in row.items()]
    figures += [(f"axes_{verdict}", int((result.axes["verdict"] == verdict).sum()), 0) for verdict in (BETTER, WORSE)]
    figures += [(f"axes_{name}_better", result.better(f"{name}_"), 0) for name in ("memberships", "added")]
    for step, cut in enumerate(result.cut_offs):
        rows = result.by_cut_off[result.by_cut_off["cut"] == cut]
        for name in SHARES:
            figures += [
                (f"{axis}.{name}.by_cut", value, step) for axis, value in zip(rows["axis"], rows[name], strict=True)
            ]
    files: dict[str, str | bytes] = {
        "backtest.csv": result.axes.to_csv(),
        "backtest_by_cut.csv": result.by_cut_off.to_csv(index=False),
    }
    if len(result.measured):
        files["backtest.png"] = draw_backtest(result)
    params = {"cuts": ", ".join(f"{cut:%Y-%m-%d}" for cut in result.cut_offs), "horizon_days": result.horizon_days}
    note = (
        f"Store **{store_id}** tried on its own past: what share of the variance of the {result.horizon_days} days "
        "after each cut-off its segments and memberships explain, beside RFM."
    )
    every_tag = {**(tags or {}), "as_of": str(result.cut_offs[-1]), "kind": BACKTEST, NOTE: note}
    with tracking.run(store_id, BACKTEST, every_tag) as run:
        run.log(figures, params)
        run.write(files)
    return run.run_id


def log_naming(
    tracking: Tracking, store_id: str, dagster_run_id: str, model: str, answers: Mapping[str, Conversation]
) -> str:
    """Log what a model was asked about names in one materialization, as a run, and return the run's id.

    Of names that failed a test only the reasons are logged.
    """
    total, checks = sum((answer.usage for answer in answers.values()), Usage()), checks_table(answers)
    figures: dict[str, float] = {
        **total.counts(),
        "axes_asked": len(answers),
        "axes_not_answered": sum(answer.failure is not None for answer in answers.values()),
        "names_passed": sum(len(answer.passed) for answer in answers.values()),
        "checks_failed": int((~checks["passed"].astype(bool)).sum()),
    }
    costs = {"": total, **{f".{name}": answer.usage for name, answer in answers.items()}}
    for suffix, usage in costs.items():
        cost = usage.cost_usd(model)
        if cost is not None:
            figures[f"cost_usd{suffix}"] = cost
    note = f"What {model} was asked to name segments of store **{store_id}**, what that cost, which tests names passed."
    with tracking.run(store_id, NAMING, {"dagster_run_id": dagster_run_id, "kind": "naming", NOTE: note}) as run:
        run.log(figures, {"model": model, "prompt_version": PROMPT_VERSION})
        run.write({"naming_checks.csv": checks.to_csv(index=False)})
    return run.run_id


def checks_table(answers: Mapping[str, Conversation]) -> pd.DataFrame:
    """Return every test's outcome: axis, segment, round, test, whether it passed, and why not."""
    rows = [
        (name, o.segment_id, o.round, o.check, o.passed, o.reason)
        for name, answer in answers.items()
        for o in answer.outcomes
    ]
    return pd.DataFrame(rows, columns=["axis", "segment_id", "round", "check", "passed", "reason"])


def log_pictures(
    tracking: Tracking, store_id: str, name: str, pictures: Mapping[str, bytes], tags: Mapping[str, str]
) -> str:
    """Log pictures (PNG by file name) as a run of their own, and return the run's id."""
    with tracking.run(store_id, name, tags) as run:
        run.write(pictures)
    return run.run_id
