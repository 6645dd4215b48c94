"""The chance that a customer is in the same segment of an axis one horizon on, learnt from the store's last transition.

Belongs here: learning it, applying it, the words for it. Does not: memberships (``clustering.scoring``), how clear
these are (``interpretation.strengths``), the transition (``clustering.transition``).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quimbi_assets.axes import Axis
from quimbi_assets.churn.measures import Array, Flags, calibration_error
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.transition import Transition
from quimbi_assets.profiles.scores import score_axis
from quimbi_assets.store import JsonRecord

TEMPERATURES = np.geomspace(0.1, 2.0, 21)
STAYERS = np.linspace(0.0, 0.9, 10)
"""Steps finer than stores' own transitions repeat."""
SPREADS = 0.5, 0.2
"""Standard deviations of stores about an axis's usual temperature (of logarithms) and share of stayers."""
STATE_PRIOR = 8, 10
"""Of ten more customers in a structural state eight stayed: the share in the stores of ADR 17."""
LEAST = 1e-6
MOST = 0.999
SURE, LIKELY = 0.8, 0.6
"""From where staying is called strong, and balanced."""
DIGITS = 3


@dataclass(frozen=True)
class StayModel(JsonRecord):
    """How the chance to stay follows from the memberships of one axis.

    ``temperature``, above 0, and the share of ``stayers``, 0-1; ``states``, by structural segment, has the chance of
    those in it. Learnt from ``n_customers`` over ``horizon_days``, of whom the share ``stayed`` did, as said within
    ``calibration_error``; or, with a ``reason``, not learnt: what the axis declares.

    Notes
    -----
    ``g + (1 - g) max_j m_j^(1/t) / sum_j m_j^(1/t)`` with memberships m, temperature t and stayers g. Memberships to
    the power 1/t, renormalised, are the axis's softmax at a temperature t. Who does nothing for a horizon hardly moves
    on a trait, and stays however near a border: a stayer of the mover-stayer model.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks, ICML 2017. Blumen, Kogan, McCarthy: The
    industrial mobility of labor as a probability process, Cornell University, 1955.
    """

    temperature: float = 0.5
    stayers: float = 0.5
    states: tuple[float, ...] = ()
    n_customers: int = 0
    horizon_days: int | None = None
    stayed: float | None = None
    calibration_error: float | None = None
    reason: str | None = None

    def chances(self, memberships: Array, dominant: NDArray[np.intp]) -> Array:
        """Return the chance to stay in the dominant segment, shape (n,), from memberships (n, k).

        In thousandths, at most 0.999: nothing that is to come is certain.

        >>> model = StayModel(temperature=0.5, stayers=0.5)
        >>> model.chances(np.array([[0.786, 0.175, 0.039]]), np.array([0]))
        array([0.975])
        """
        top = memberships.max(axis=1, keepdims=True)
        chances = self.stayers + (1 - self.stayers) / ((memberships / top) ** (1 / self.temperature)).sum(axis=1)
        if self.states:
            in_state = dominant < len(self.states)
            chances = np.where(in_state, np.take(self.states, np.where(in_state, dominant, 0)), chances)
        return np.asarray(np.minimum(chances.round(DIGITS), MOST))

    def figures(self) -> dict[str, float]:
        """Return the figures of the fit by name, those that there are."""
        figures = {
            "temperature": self.temperature, "stayers": self.stayers, "customers": self.n_customers,
            "share": self.stayed, "calibration_error": self.calibration_error,
        }  # fmt: skip
        return {f"stays_{name}": float(value) for name, value in figures.items() if value is not None}


def words(chances: Array) -> NDArray[np.int8]:
    """Say how sure chances to stay are, as positions in ``interpretation.STRENGTHS``; of the same shape."""
    return np.where(chances >= SURE, 0, np.where(chances >= LIKELY, 1, 2)).astype(np.int8)


def learn_stays(axis: Axis, model: AxisModel, transition: Transition | str) -> StayModel:
    """Learn how the segments of a model are stayed in, from customers scored by it at both ends of a transition.

    Temperature and stayers are the likeliest, given who stayed and what the axis declares. Those in a structural state,
    whom a rule and no distance put there, have the share of them that stayed. With a reason in the place of a
    transition, what the axis declares stands.
    """
    n_states = sum(state is not None for state in model.structural_)
    usual = StayModel(axis.stay_temperature, axis.stayers, (STATE_PRIOR[0] / STATE_PRIOR[1],) * n_states)
    if isinstance(transition, str) or axis.name not in transition.before:
        return replace(usual, reason=transition if isinstance(transition, str) else "not recorded a horizon ago")
    before = score_axis(model, transition.before[axis.name])
    dominant, stayed = before.dominant, before.dominant == score_axis(model, transition.after[axis.name]).dominant
    in_state = dominant < n_states
    temperature, stayers = _likeliest(before.memberships[~in_state], stayed[~in_state], usual)
    n_in, n_stayed = (
        np.bincount(dominant[who], minlength=n_states)[:n_states] for who in (in_state, in_state & stayed)
    )
    states = ((n_stayed + STATE_PRIOR[0]) / (n_in + STATE_PRIOR[1])).round(DIGITS)
    learnt = StayModel(temperature, stayers, tuple(states.tolist()), len(stayed), transition.horizon_days)
    error = calibration_error(stayed, learnt.chances(before.memberships, dominant))
    return replace(learnt, stayed=float(stayed.mean().round(DIGITS)), calibration_error=round(error, DIGITS))


def _likeliest(memberships: Array, stayed: Flags, usual: StayModel) -> tuple[float, float]:
    """Return temperature and stayers at the peak of the posterior, on the grid of both; the usual ones for nobody."""
    with np.errstate(divide="ignore"):
        logs = np.log(memberships / memberships.max(axis=1, keepdims=True))
    softened = np.stack([1 / np.exp(logs / temperature).sum(axis=1) for temperature in TEMPERATURES])
    chances = (np.clip(stayers + (1 - stayers) * softened, LEAST, 1 - LEAST) for stayers in STAYERS)
    fit = np.stack([np.log(np.where(stayed, each, 1 - each)).sum(axis=1) for each in chances], axis=1)
    from_usual = np.log(TEMPERATURES / usual.temperature) / SPREADS[0], (STAYERS - usual.stayers) / SPREADS[1]
    posterior = fit - (from_usual[0][:, None] ** 2 + from_usual[1][None, :] ** 2) / 2
    row, column = np.unravel_index(posterior.argmax(), posterior.shape)
    return round(float(TEMPERATURES[row]), DIGITS), round(float(STAYERS[column]), DIGITS)
