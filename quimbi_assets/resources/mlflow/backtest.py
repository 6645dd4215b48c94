"""A backtest in MLflow: one run in the store's experiment, with figures by axis, the table and the picture.

Belongs here: what is logged of it, and under which names. Does not: the backtest (``quimbi_assets.backtest``).
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from quimbi_assets.backtest.picture import draw_backtest
from quimbi_assets.backtest.verdict import BETTER, UNKNOWN, WORSE, Backtest
from quimbi_assets.resources.mlflow.tracking import Tracking

RUN = "backtest"
FIGURES = ("segments", "memberships", "rfm", "difference", "low", "high", "memberships_difference")


def log_backtest(tracking: Tracking, store_id: str, found: Backtest, tags: Mapping[str, str] | None = None) -> str:
    """Log a backtest as a finished run and return the run's id.

    Parameters
    ----------
    tracking : Tracking
        Where to.
    store_id : str
        The store.
    found : Backtest
        Its backtest; figures of groups only, never a customer.
    tags : mapping of str to str
        Such as ``dagster_run_id``.
    """
    from mlflow.entities import Metric, Param

    run_id = tracking.start_run(store_id, RUN, {**(tags or {}), "as_of": str(found.cuts[-1]), "kind": RUN})
    try:
        now = int(time.time() * 1000)
        measured = found.axes[found.axes["verdict"] != UNKNOWN]
        values = {f"{axis}.{name}": row[name] for axis, row in measured.iterrows() for name in FIGURES}
        counts = {f"axes_{verdict}": int((found.axes["verdict"] == verdict).sum()) for verdict in (BETTER, WORSE)}
        counts["axes_memberships_better"] = int((found.axes["memberships_verdict"] == BETTER).sum())
        metrics = [Metric(name, float(value), now, 0) for name, value in {**values, **counts}.items()]
        for i, cut in enumerate(found.cuts):
            rows = found.by_cut[found.by_cut["cut"] == cut]
            for name in ("segments", "memberships", "rfm"):
                metrics += [
                    Metric(f"{axis}.{name}.by_cut", float(value), now, i)
                    for axis, value in zip(rows["axis"], rows[name], strict=True)
                ]
        params = [
            Param("cuts", ", ".join(f"{cut:%Y-%m-%d}" for cut in found.cuts)),
            Param("horizon_days", str(found.horizon_days)),
        ]
        tracking.client.log_batch(run_id, metrics=metrics, params=params)
        with tempfile.TemporaryDirectory() as folder:
            found.axes.to_csv(Path(folder) / "backtest.csv")
            found.by_cut.to_csv(Path(folder) / "backtest_by_cut.csv", index=False)
            if len(measured):
                (Path(folder) / "backtest.png").write_bytes(draw_backtest(found))
            tracking.client.log_artifacts(run_id, folder)
    except BaseException:
        tracking.finish(run_id, "FAILED")
        raise
    tracking.finish(run_id)
    return run_id
