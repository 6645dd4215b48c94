from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES, extract_features, fit_reference
from quimbi_assets.clustering.axis_model import axis_model
from quimbi_assets.errors import InactiveAxisError
from quimbi_assets.profiles.scores import AxisScores, score_axis
from quimbi_assets.weekly.comparison import SETTLED, acted_scores, measure_drift, settle, settle_before
from quimbi_assets.weekly.digest import customer_digests
from quimbi_assets.weekly.floors import learn_floors, learnt_from
from quimbi_assets.weekly.sides import Side
from quimbi_assets.weekly.silence import AXIS, closed_days, fallen_silent, surprise


@pytest.fixture
def scores():
    """Makes the scores of an axis from memberships by customer."""

    def make(memberships, ids):
        values = np.array(list(memberships.values()), dtype=float)
        index = pd.Index(list(memberships), name="customer_id")
        return AxisScores(index, list(ids), values, 1 - values, np.zeros(len(index), dtype=bool))

    return make


def fitted(orders, items, instant, names=None, seed=0):
    """Models of a store as of an instant, and what their features are measured against."""
    reference = fit_reference(orders, items, instant)
    features = extract_features(orders, items, axes=names, observation_end=instant, reference=reference)
    models = {}
    for name, table in features.items():
        try:
            models[name] = axis_model(AXES[name], random_state=seed).fit(table)
        except InactiveAxisError:
            continue
    return models, reference


class Weeks:
    """A store watched week by week, as the assets watch it, all in memory."""

    def __init__(self, orders, items, models, reference, weak=frozenset()):
        self.orders, self.items, self.models, self.reference, self.weak = orders, items, models, reference, weak
        self.before = self.state = None
        self.seen = []

    def next(self, instant):
        """Take the snapshot of an instant and compare it with the one before; None for the first."""
        from quimbi_assets.weekly.alerts import decide_alerts
        from quimbi_assets.weekly.causes import causes

        features = extract_features(
            self.orders, self.items, axes=list(self.models), observation_end=instant, reference=self.reference
        )
        side = Side({name: score_axis(self.models[name], table) for name, table in features.items()})
        digests = customer_digests(self.orders, self.items, instant)
        silence = surprise(features[AXIS], closed_days(self.orders["order_date"], instant))
        now = SimpleNamespace(side=side, digests=digests, surprise=pd.Series(silence, index=side.customers))
        older, self.before = self.before, now
        if older is None:
            return None
        axes = list(side.scores)
        week = measure_drift(older.side, side)
        week["cause"] = causes(older.digests, older.digests, digests)
        week["surprise_before"] = older.surprise.reindex(week.index).fillna(0.0)
        week["surprise"] = now.surprise
        floors = learn_floors(learnt_from(self.seen, week), axes)
        was = older.surprise > floors.silence if self.state is None else self.state["fallen"]
        week["fallen_before"] = was.astype(bool).reindex(week.index, fill_value=False)
        week["fallen"] = fallen_silent(week, floors.silence)
        own = {SETTLED + n: np.array(s.segment_ids, dtype=object)[s.dominant] for n, s in older.side.scores.items()}
        own = pd.DataFrame(own, index=older.side.customers)
        settled, moves = settle(side, week, settle_before(older.side, self.state, own), floors)
        week["acted_score"] = acted_scores(moves, week.index, self.weak)
        week["alert"] = decide_alerts(week, learn_floors(learnt_from(self.seen, week), axes), self.weak)
        self.state = settled.assign(fallen=week["fallen"])
        self.seen = [*self.seen, week][-26:]
        return SimpleNamespace(week=week, moves=moves, floors=floors)
