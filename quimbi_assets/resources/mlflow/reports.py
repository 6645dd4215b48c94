"""What is logged to MLflow where no model is registered: backtests, what naming asked and cost, pictures of a week.

Belongs here: what is logged of each, and under which names. Does not: making any of it (``backtest``, ``naming``,
``weekly``), fitted models (``records``).
"""

from collections.abc import Mapping

import pandas as pd

from quimbi_assets.backtest.evaluation import BETTER, UNKNOWN, WORSE, Backtest, draw_backtest
from quimbi_assets.naming.asking import PROMPT_VERSION, Usage
from quimbi_assets.resources.claude import AxisAnswer
from quimbi_assets.resources.mlflow.runs import Tracking

BACKTEST, NAMING = "backtest", "segment names"
"""Names of the runs."""
BACKTEST_FIGURES = ("segments", "memberships", "rfm", "difference", "low", "high", "memberships_difference")


def log_backtest(tracking: Tracking, store_id: str, found: Backtest, tags: Mapping[str, str] | None = None) -> str:
    """Log a backtest as a run and return the run's id: figures by axis, the table and the picture.

    Parameters
    ----------
    tracking : Tracking
    store_id : str
    found : Backtest
        Figures of groups only, never a customer.
    tags : mapping of str to str
        Such as ``dagster_run_id``.
    """
    measured = found.axes[found.axes["verdict"] != UNKNOWN]
    figures = [(f"{axis}.{name}", row[name], 0) for axis, row in measured.iterrows() for name in BACKTEST_FIGURES]
    figures += [(f"axes_{verdict}", int((found.axes["verdict"] == verdict).sum()), 0) for verdict in (BETTER, WORSE)]
    figures.append(("axes_memberships_better", int((found.axes["memberships_verdict"] == BETTER).sum()), 0))
    for step, cut in enumerate(found.cut_offs):
        rows = found.by_cut_off[found.by_cut_off["cut"] == cut]
        for name in ("segments", "memberships", "rfm"):
            figures += [
                (f"{axis}.{name}.by_cut", value, step) for axis, value in zip(rows["axis"], rows[name], strict=True)
            ]
    files: dict[str, str | bytes] = {
        "backtest.csv": found.axes.to_csv(),
        "backtest_by_cut.csv": found.by_cut_off.to_csv(index=False),
    }
    if len(measured):
        files["backtest.png"] = draw_backtest(found)
    params = {"cuts": ", ".join(f"{cut:%Y-%m-%d}" for cut in found.cut_offs), "horizon_days": found.horizon_days}
    with tracking.run(store_id, BACKTEST, {**(tags or {}), "as_of": str(found.cut_offs[-1]), "kind": BACKTEST}) as run:
        run.log(figures, params)
        run.write(files)
    return run.run_id


def log_naming(
    tracking: Tracking, store_id: str, dagster_run_id: str, model: str, answers: Mapping[str, AxisAnswer]
) -> str:
    """Log what was asked about names in one materialization, as a run, and return the run's id.

    Parameters
    ----------
    tracking : Tracking
    store_id, dagster_run_id : str
    model : str
        The model asked.
    answers : mapping of axis name to AxisAnswer
        What came of it; of names that failed a test only the reasons are logged.
    """
    total = sum((answer.usage for answer in answers.values()), Usage())
    figures: dict[str, float] = {**total.counts(), **_counts(answers)}
    costs = {"": total, **{f".{name}": answer.usage for name, answer in answers.items()}}
    for suffix, usage in costs.items():
        cost = usage.cost_usd(model)
        if cost is not None:
            figures[f"cost_usd{suffix}"] = cost
    with tracking.run(store_id, NAMING, {"dagster_run_id": dagster_run_id, "kind": "naming"}) as run:
        run.log(figures, {"model": model, "prompt_version": PROMPT_VERSION})
        run.write({"naming_checks.csv": checks_table(answers).to_csv(index=False)})
    return run.run_id


def checks_table(answers: Mapping[str, AxisAnswer]) -> pd.DataFrame:
    """Return every test's outcome: axis, segment, round, test, whether it passed, and why not."""
    rows = [
        (name, o.segment_id, o.round, o.check, o.passed, o.reason)
        for name, answer in answers.items()
        for o in answer.conversation.outcomes
    ]
    return pd.DataFrame(rows, columns=["axis", "segment_id", "round", "check", "passed", "reason"])


def _counts(answers: Mapping[str, AxisAnswer]) -> dict[str, int]:
    checks = checks_table(answers)
    return {
        "axes_asked": len(answers),
        "axes_not_answered": sum(answer.conversation.failure is not None for answer in answers.values()),
        "names_passed": sum(len(answer.conversation.passed) for answer in answers.values()),
        "checks_failed": int((~checks["passed"].astype(bool)).sum()),
    }


def log_pictures(
    tracking: Tracking, store_id: str, name: str, pictures: Mapping[str, bytes], tags: Mapping[str, str]
) -> str:
    """Log pictures (PNG by file name) as a run of their own, and return the address of its page."""
    with tracking.run(store_id, name, tags) as run:
        run.write(pictures)
    return tracking.run_url(run.run_id)
