"""What naming asked and cost, in MLflow: a run of its own in the store's experiment.

Belongs here: what is logged of it, and under which names. Does not: asking (``claude``).
"""

import time
from collections.abc import Mapping

import pandas as pd

from quimbi_assets.naming.asking.prompt import PROMPT_VERSION
from quimbi_assets.naming.asking.usage import Usage
from quimbi_assets.resources.claude import AxisAnswer
from quimbi_assets.resources.mlflow.tracking import Tracking

RUN = "segment names"


def log_naming(
    tracking: Tracking, store_id: str, dagster_run_id: str, model: str, answers: Mapping[str, AxisAnswer]
) -> str:
    """Log what was asked in one materialization, as a finished run, and return the run's id.

    Parameters
    ----------
    tracking : Tracking
        Where to.
    store_id : str
        The store.
    dagster_run_id : str
        Tagged, so that the two UIs can be matched.
    model : str
        The model asked.
    answers : mapping of axis name to AxisAnswer
        What came of it; of names that failed a test only the reasons are logged.
    """
    from mlflow.entities import Metric, Param

    tags = {"dagster_run_id": dagster_run_id, "kind": "naming"}
    run_id = tracking.start_run(store_id, RUN, tags)
    try:
        total = sum((answer.usage for answer in answers.values()), Usage())
        figures: dict[str, float] = {**total.counts(), **_counts(answers)}
        costs = {"": total, **{f".{name}": answer.usage for name, answer in answers.items()}}
        for suffix, usage in costs.items():
            cost = usage.cost_usd(model)
            if cost is not None:
                figures[f"cost_usd{suffix}"] = cost
        now = int(time.time() * 1000)
        tracking.client.log_batch(
            run_id,
            metrics=[Metric(name, float(value), now, 0) for name, value in figures.items()],
            params=[Param("model", model), Param("prompt_version", PROMPT_VERSION)],
        )
        tracking.client.log_text(run_id, checks_table(answers).to_csv(index=False), "naming_checks.csv")
    except BaseException:
        tracking.finish(run_id, "FAILED")
        raise
    tracking.finish(run_id)
    return run_id


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
