"""From a store's orders to the churn model that serves it, with the test that vouches for it.

Belongs here: the whole of it, for one store as of one instant. Does not: registering (``resources``), scoring
(``model``).
"""

from dataclasses import dataclass

import pandas as pd

from quimbi_assets.churn.examples import gather
from quimbi_assets.churn.history import read_history
from quimbi_assets.churn.horizon import choose_horizon
from quimbi_assets.churn.model import ChurnModel
from quimbi_assets.churn.trial import Trial, run_trial
from quimbi_assets.churn.window import fit_kind
from quimbi_assets.errors import InsufficientHistoryError

MOST_CUSTOMERS = 8_000
"""Customers learnt from, each at up to six cuts."""


@dataclass(frozen=True)
class ChurnFit:
    """A fitted churn model and the test of its kind.

    Parameters
    ----------
    model : ChurnModel
        Of the kind that serves, fitted on all outcomes known.
    trial : Trial
        The kind chosen and silence alone, on the last windows of H days.
    """

    model: ChurnModel
    trial: Trial


def train_churn(
    orders: pd.DataFrame,
    observation_end: pd.Timestamp,
    *,
    most_customers: int = MOST_CUSTOMERS,
    random_state: int = 0,
) -> ChurnFit:
    """Learn who stays away.

    Parameters
    ----------
    orders : DataFrame
        As for ``read_history``.
    observation_end : Timestamp
        Naive UTC, exclusive: nothing later is looked at.
    most_customers : int
        Customers learnt from, drawn by a seeded hash of their ids.
    random_state : int
        Its seed; nothing else is random.

    Returns
    -------
    ChurnFit

    Raises
    ------
    InsufficientHistoryError
        If the past is not enough to learn from, with the reason.
    """
    history = read_history(orders, observation_end)
    if not len(history.customers):
        raise InsufficientHistoryError("no orders before that instant")
    horizon_days = choose_horizon(history, observation_end)
    sample = history.sampled(most_customers, random_state)
    trial = run_trial(history, sample, observation_end, horizon_days)
    examples = gather(sample, observation_end, horizon_days)
    assert examples is not None  # the trial's own cuts end earlier
    model = fit_kind(trial.serves, examples, horizon_days)
    model.weak_reason_ = trial.weak_reason
    return ChurnFit(model, trial)
