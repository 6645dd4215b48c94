"""From a store's orders to the churn model that serves it, with the test that vouches for it.

Belongs here: the whole of it, for one store as of one instant. Does not: registering (``resources``), scoring
(``model``).
"""

from dataclasses import dataclass

from quimbi_assets.churn.evaluation import Evaluation, evaluate
from quimbi_assets.churn.examples import choose_horizon, fit_kind, gather
from quimbi_assets.churn.history import read_history
from quimbi_assets.churn.model import ChurnModel
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.history import History as StoreHistory

MOST_CUSTOMERS = 8_000
"""Customers learnt from, each at up to six cut-offs."""
MOST_TESTED = 50_000
"""Customers the evaluation is run on."""


@dataclass(frozen=True)
class ChurnFit:
    """A churn model of the kind that serves, fitted on all outcomes known, and the test of its kind."""

    model: ChurnModel
    evaluation: Evaluation


def train_churn(
    store_history: StoreHistory, *, most_customers: int = MOST_CUSTOMERS, random_state: int = 0
) -> ChurnFit:
    """Learn who stays away; nothing beyond the history's end is looked at.

    Of a large store, :data:`MOST_TESTED` customers are looked at and ``most_customers`` learnt from, drawn by a hash of
    their ids with the seed; nothing else is random. Raises ``InsufficientHistoryError`` if the past is not enough to
    learn from, with the reason.
    """
    observation_end = store_history.end
    tested = store_history.sample(MOST_TESTED, random_state)
    history = read_history(tested)
    if not len(history.customers):
        raise InsufficientHistoryError("no orders before that instant")
    horizon_days = choose_horizon(history, observation_end)
    sample = read_history(tested.sample(most_customers, random_state))
    evaluation = evaluate(history, sample, observation_end, horizon_days)
    examples = gather(sample, observation_end, horizon_days)
    assert examples is not None  # the evaluation's own cut-offs end earlier
    model = fit_kind(evaluation.serves, examples, horizon_days)
    model.weak_reason_ = evaluation.weak_reason
    return ChurnFit(model, evaluation)
