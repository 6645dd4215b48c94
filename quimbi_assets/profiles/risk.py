"""Churn risk as profiles carry it: the score, its two or three drivers, and a sentence; or why there is none.

Belongs here: the columns ``churn_risk_score`` and ``churn_drivers``, with what a risk rests on in shop words ("last
order 95 days ago, 3.2 times the usual gap"). Does not: the model, weighing facts (``churn``).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axes._tables import DAYS_PER_MONTH
from quimbi_assets.churn.additive import FACTS, PACE, RECENCY, SPEND, TENURE
from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.churn.model import COMPARED, ChurnModel, Risk
from quimbi_assets.history import History
from quimbi_assets.naming.values import format_money, plural
from quimbi_assets.profiles.interpretation import amounts, counted, join, told_gap, whole_numbers
from quimbi_assets.profiles.json_text import column_texts, number_texts

MOST_DRIVERS = 3
NOTABLE = 0.1
"""Log odds from which a fact is called a driver: it moves a risk of 50 % by 2.5 points."""
DECIMALS = 6
IN_MONTHS_FROM = 60
"""Days from which a time is told in months."""


@dataclass(frozen=True)
class ChurnRisks:
    """Churn risk of n customers, 0-1, NaN where it cannot be had, and the version of the registered model.

    ``drivers``, JSON: ``{"horizon_days", "drivers": [{"fact", "effect": "raises" | "lowers", "log_odds", "words"}],
    "reason"}``, at most three, first what raises the risk beside customers who came again, strongest first;
    ``reason`` says why there is no risk, or why it means little.
    ``sentence``: for the interpretation; null where there is no risk. ``horizon_days``: None where nobody has one.
    """

    risk: NDArray[np.float64]
    drivers: pa.StringArray
    sentence: pa.StringArray
    version: str | None = None
    horizon_days: int | None = None

    def part(self, rows: slice) -> "ChurnRisks":
        """Return the risks of some of the customers."""
        return ChurnRisks(self.risk[rows], self.drivers[rows], self.sentence[rows], self.version, self.horizon_days)

    @property
    def known(self) -> Risk | None:
        """The risks with their days, which whatever else is foretold must agree with; None where nobody has one."""
        return None if self.horizon_days is None else Risk(self.risk, self.horizon_days)


def risk_scores(model: ChurnModel, history: History, customers: pd.Index) -> NDArray[np.float64]:
    """Return the risks alone, as ``churn_risks`` does; NaN of customers without orders by then."""
    return _risk(model, _features(model, history, customers))


def _features(model: ChurnModel, history: History, customers: pd.Index) -> pd.DataFrame:
    measured = measure(read_history(history), history.end, model.horizon_days)
    return measured.reindex(customers.astype("str"))


def _risk(model: ChurnModel, features: pd.DataFrame) -> NDArray[np.float64]:
    known = features["n_orders"].notna().to_numpy()
    risk = np.full(len(features), np.nan)
    if known.any():
        risk[known] = np.round(model.risk(features[known]), DECIMALS)
    return risk


def churn_risks(
    model: ChurnModel | str,
    history: History,
    customers: pd.Index,
    *,
    version: str | None,
    currency: str = "",
    usual_days: NDArray[np.float64] | None = None,
) -> ChurnRisks:
    """Score customers with a fitted model of that version, or say why there is none (``model``: the reason).

    The history is of these customers and maybe others. Without drivers where the model's risk says little of anybody.
    ``usual_days``, shape (n,): the wait that their lifecycle is told by, for the words; None: the mean of their gaps.
    """
    if isinstance(model, str):
        n = len(customers)
        why = json.dumps({"horizon_days": None, "drivers": [], "reason": model}, ensure_ascii=False)
        return ChurnRisks(np.full(n, np.nan), pa.repeat(pa.scalar(why, pa.string()), n), pa.nulls(n, pa.string()))
    features = _features(model, history, customers)
    known = features["n_orders"].notna().to_numpy()
    risk = _risk(model, features)
    weights = np.zeros((len(features), len(FACTS)))
    if known.any() and model.weak_reason_ is None:
        weights[known] = model.contributions(features[known])
    words = fact_words(features, model.horizon_days, currency, usual_days, model.usual_)
    drivers = _drivers(weights, _is_worse(features, model.usual_), words)
    rest = f'], "reason": {json.dumps(model.weak_reason_, ensure_ascii=False)}}}'
    text = join(f'{{"horizon_days": {model.horizon_days}, "drivers": [', drivers, rest)
    return ChurnRisks(risk, text, _sentence(risk, model.horizon_days), version, model.horizon_days)


def _is_worse(features: pd.DataFrame, usual: Mapping[str, float]) -> NDArray[np.bool_]:
    """Return where a customer's fact is worse than is usual of who came again (silent for longer; else less): (n, 4).

    Of models that do not know what is usual, all that may have raised a risk: all but orders of late.
    """
    if not usual:
        worse = np.ones((len(features), len(FACTS)), dtype=bool)
        worse[:, FACTS.index(PACE)] = features["orders_in_horizon"].to_numpy() == 0
        return worse
    beside = {fact: features[COMPARED[fact]].to_numpy(np.float64) - usual[fact] for fact in FACTS}
    return np.column_stack([beside[fact] > 0 if fact == RECENCY else beside[fact] < 0 for fact in FACTS])


def _drivers(
    weights: NDArray[np.float64], is_worse: NDArray[np.bool_], words: Mapping[str, pa.StringArray]
) -> pa.StringArray:
    """Write the strongest facts of each customer as JSON objects, joined by commas; empty where none is strong.

    What raises the risk comes first. Only what is worse than usual does, for people ("24 orders" is no reason to
    leave, though they be of few months), and only what is not lowers it.
    """
    clauses = pa.concat_arrays([column_texts(pd.Series(words[fact].to_pandas())) for fact in FACTS])
    is_told = np.column_stack([words[fact].is_valid() for fact in FACTS]) & ((weights > 0) == is_worse)
    strength = np.where(is_told, np.abs(weights), 0.0)
    ranked = np.lexsort((-strength, (weights <= 0) | (strength < NOTABLE)), axis=1)[:, :MOST_DRIVERS]
    n, rows = len(weights), np.arange(len(weights))
    names = pa.array([f'{{"fact": "{fact}", "effect": "' for fact in FACTS])
    parts: list[pa.StringArray] = []
    for fact in ranked.T:
        weight = weights[rows, fact]
        effect = pc.if_else(pa.array(weight > 0), 'raises", "log_odds": ', 'lowers", "log_odds": ')
        number = number_texts(np.round(weight, 3)[:, None])
        clause = pc.take(clauses, pa.array(fact * n + rows))
        # Commas by hand: Arrow leaves out rows whose parts are all null when it joins with null_handling="skip".
        part = join(", " if parts else "", pc.take(names, pa.array(fact)), effect, number, ', "words": ', clause, "}")
        parts.append(pc.if_else(pa.array(strength[rows, fact] >= NOTABLE), part, ""))
    return join(*parts)


def _sentence(risk: NDArray[np.float64], horizon_days: int) -> pa.StringArray:
    """Write the risk in a sentence; null where there is none."""
    percents = [f"{i} %" for i in range(101)]
    percents[0], percents[100] = "under 1 %", "over 99 %"
    places = pa.array(np.rint(100 * np.nan_to_num(risk)).astype(np.int64), mask=np.isnan(risk))
    head = f"The risk that they order nothing in the next {horizon_days} days is "
    return join(head, pc.take(pa.array(percents), places), ".")


def fact_words(
    features: pd.DataFrame,
    horizon_days: int,
    currency: str,
    usual_days: NDArray[np.float64] | None = None,
    usual: Mapping[str, float] = MappingProxyType({}),
) -> Mapping[str, pa.StringArray]:
    """Write the clause of every fact, from features of ``churn.history.measure``; null where a fact is not known.

    ``usual``: what is usual of customers who came again, by fact (``ChurnModel.usual_``), told beside it.
    """
    raw = {name: features[name].to_numpy(np.float64, na_value=np.nan) for name in features}
    gap = told_gap(raw["n_orders"], raw["avg_days_between_orders"] if usual_days is None else usual_days)
    clauses = {
        RECENCY: _recency(raw["days_since_last_order"], gap),
        PACE: _pace(raw["orders_in_horizon"], gap, horizon_days),
        TENURE: _tenure(raw["n_orders"], raw["tenure_days"]),
        SPEND: join(amounts(np.maximum(raw["avg_order_value"], 0.0), currency), " an order on average"),
    }
    return {fact: join(clause, _usually(fact, usual.get(fact), currency)) for fact, clause in clauses.items()}


def _usually(fact: str, usual: float | None, currency: str) -> str:
    """Say what is usual of customers who came again; nothing where that is not known."""
    if usual is None or np.isnan(usual):
        return ""
    words = {RECENCY: plural(math.floor(usual), "day"), SPEND: format_money(usual, currency)}
    return f" (who came again: {words.get(fact) or plural(round(usual), 'order')})"


def _recency(days: NDArray[np.float64], gap: NDArray[np.float64]) -> pa.StringArray:
    ago = join("last order ", counted(np.floor(days), "day", "days"), " ago")
    ago = pc.if_else(pa.array(days < 1), "last order less than a day ago", ago)
    times = np.rint(10 * days / np.maximum(gap, 1.0))
    tenths = join(whole_numbers(np.floor(times / 10)), ".", whole_numbers(times % 10))
    beside = join(ago, ", ", pc.coalesce(tenths, ""), " times the usual gap")
    return pc.if_else(pa.array(np.isfinite(gap) & (days >= 1)), beside, ago)


def _pace(n: NDArray[np.float64], gap: NDArray[np.float64], horizon_days: int) -> pa.StringArray:
    orders = pc.if_else(pa.array(n == 0), "no order", counted(n, "order", "orders"))
    late = join(orders, f" in the last {horizon_days} days")
    usual = join(", usually ", counted(np.rint(gap), "day", "days"), " apart")
    return join(late, pc.coalesce(usual, ""))


def _tenure(n: NDArray[np.float64], tenure: NDArray[np.float64]) -> pa.StringArray:
    months = counted(np.rint(tenure / DAYS_PER_MONTH), "month", "months")
    since = pc.if_else(pa.array(tenure >= IN_MONTHS_FROM), months, counted(np.ceil(tenure), "day", "days"))
    return pc.if_else(pa.array(n == 1), "bought once", join(counted(n, "order", "orders"), " in ", since))
