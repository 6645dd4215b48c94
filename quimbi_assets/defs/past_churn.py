"""The churn model that scores a week: the one that was serving when it ended, or that would have been.

Belongs here: choosing it, and fitting one as of then where there is none. Does not: learning (``churn``), the axes'
models (``week_models``, ``past_models``). No alias moves: what serves today goes on serving.
"""

import pandas as pd

from quimbi_assets.churn.picture import draw_calibration
from quimbi_assets.churn.training import train_churn
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.resources.mlflow.registry import CHURN, LoadedModel
from quimbi_assets.resources.mlflow.resource import MlflowTracking


def churn_of_week(
    store_id: str, end: pd.Timestamp, orders: pd.DataFrame, run_id: str, tracking: MlflowTracking
) -> LoadedModel | None:
    """Return the churn model of an instant; None where nothing can be learnt by then.

    Parameters
    ----------
    store_id : str
    end : Timestamp
        The week's end, naive UTC, exclusive.
    orders : DataFrame
        Canonical rows; later ones do not count.
    run_id : str
        Dagster's run.
    tracking : MlflowTracking
        Where models are.
    """
    serving = tracking.predecessors(store_id, {CHURN: str(end)}).get(CHURN)
    if serving is not None:
        return serving
    try:
        fit = train_churn(orders[orders["order_date"] < end], end)
    except InsufficientHistoryError:
        return None
    return tracking.log_churn(store_id, fit, str(end), run_id, draw_calibration(fit.trial), for_past=True)
