"""A receipt: what decides adds up, what would move a customer does, and the same rows give the same words."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import BOUGHT_ONCE
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.explanation.changes import KINDS, RELEVANT, Change, Past
from quimbi_assets.explanation.decision import decide
from quimbi_assets.explanation.receipt import explain
from quimbi_assets.explanation.search import first_moves, score_changes, score_history, smallest_moves, tried_changes
from quimbi_assets.explanation.words import Shown, change_words, receipt_lines, receipt_record, split_axes
from quimbi_assets.instants import Instant
from quimbi_assets.naming.descriptors import NOISE


@pytest.fixture(scope="module")
def tried(pasts, models):
    """What was tried of each customer, scored, and what moves them."""
    found = {}
    for one, past in pasts.items():
        scored = score_changes(past, models, tried_changes(past, list(models)))
        found[one] = scored, smallest_moves(past, models, list(models), scored)
    return found


@pytest.fixture(scope="module")
def shown(models):
    names = {axis: {key: f"{key}_people" for key in model.segment_ids_} for axis, model in models.items()}
    return Shown(names, "USD", frozenset({"purchase_cadence"}), (), dict.fromkeys(models, "7"), "abc")


def test_a_decision_by_hand():
    """Two groups at (0, 0) and (10, 10), apart by as much in both; (1, 4) is nearer the first in both."""
    model = AxisModel(axis="hand")
    model.features_, model.transforms_, model.states_ = ["a", "b"], ["identity"] * 2, []
    model.winsor_low_, model.winsor_high_ = np.full(2, -9.0), np.full(2, 99.0)
    model.mean_, model.scale_ = np.full(2, 5.0), np.full(2, 5.0)
    model.cluster_centers_, model.structural_ = np.array([[-1.0, -1.0], [1.0, 1.0]]), [None, None]
    model.segment_ids_ = ["near", "far"]
    decision = decide(model, {"a": 1.0, "b": 4.0})
    assert (decision.segment, decision.neighbour) == ("near", "far")
    # In units of the spread, 5, the differences of squares are (81 - 1) / 25 and (36 - 16) / 25.
    assert {one.feature: one.pull for one in decision.shares} == pytest.approx({"a": 3.2, "b": 0.8})
    assert [one.feature for one in decision.shares] == ["a", "b"]
    assert decision.margin == pytest.approx(4.0)
    assert (decision.shares[0].here, decision.shares[0].there) == (pytest.approx(0), pytest.approx(10))


def test_pulls_add_up_and_the_segment_is_the_model_s(history, models, reference, pasts):
    for past in pasts.values():
        features, scores = score_history(past.history, models, past)
        for axis, model in models.items():
            decision = decide(model, dict(features[axis].iloc[0]))
            assert decision.segment == scores[axis].dominant_ids[0]
            assert decision.margin >= 0
            assert sum(one.pull for one in decision.shares) == pytest.approx(decision.margin, abs=1e-9)
            assert list(decision.memberships.values()) == pytest.approx(scores[axis].memberships[0])


def test_features_alone_give_the_receipt_s_decision(models, pasts):
    """As they are stored: undefined ones as None, numbers as JSON has them."""
    past = next(iter(pasts.values()))
    features, _ = score_history(past.history, models, past)
    receipt = explain(past, models, list(models))
    for one in receipt.axes:
        stored = json.loads(features[one.axis].iloc[[0]].to_json(orient="records", double_precision=15))[0]
        again = decide(models[one.axis], stored)
        assert again.segment == one.decision.segment
        assert again.margin == pytest.approx(one.decision.margin, rel=1e-9)


@pytest.mark.parametrize("days", [-30, 0, 45])
def test_looked_at_earlier_or_later_features_are_those_of_that_day(models, pasts, days):
    for past in pasts.values():
        shifted = score_changes(past, models, [Change.waiting(days)]).features
        then = past.history.until(Instant(past.history.end + pd.Timedelta(days=days)))
        features, _ = score_history(then, models, past)
        for axis in models:
            read = [name for name in models[axis].features_ if name in shifted[axis]]
            np.testing.assert_array_equal(
                shifted[axis][read].to_numpy(float, na_value=np.nan),
                features[axis][read].to_numpy(float, na_value=np.nan),
            )


def test_every_kind_of_change_does_what_it_says(models, pasts):
    past = max(pasts.values(), key=lambda one: len(one.tables["raw_tickets"]))
    kinds = [kind for kind in past.possible(list(AXES)) if past.most(kind) >= 2]
    assert {kind.name for kind in kinds} == set(KINDS)
    changes = [Change.of(kind.name, 2, 7) for kind in kinds]
    together = score_changes(past, models, changes)
    for place, (change, kind) in enumerate(zip(changes, kinds, strict=True)):
        after = past.applied(change)
        features, _ = score_history(after, models, past)
        for axis, model in models.items():
            read = [name for name in model.features_ if name in features[axis]]
            here, there = together.features[axis][read].iloc[place], features[axis][read].iloc[0]
            np.testing.assert_allclose(here.to_numpy(float), there.to_numpy(float), rtol=1e-12)
        table, key = ("raw_orders", "order_date_local") if kind.ticket is None else ("raw_tickets", "created_at_local")
        added = after.tables[table].to_pandas().iloc[len(past.tables[table]) :]
        assert list(added[key]) == past.dates(change)
        local_end = past.history.end.tz_localize("UTC").tz_convert("America/New_York").tz_localize(None)
        assert (added[key] >= local_end).all()
        assert (added[key] < local_end + pd.Timedelta(days=14)).all()
        if kind.discount is not None:
            paid = added["total_price"] + added["discount_amount"]
            assert (added["discount_amount"] / paid).to_numpy() == pytest.approx(kind.discount, abs=0.01)
        if kind.when == "weekend":
            assert (added[key].dt.dayofweek >= 5).all()
        if kind.when in ("office", "morning", "evening", "night"):
            assert (added[key].dt.dayofweek < 5).all()


def test_what_is_new_to_them_is_new_each_time(models, pasts):
    past = max(pasts.values(), key=lambda one: len(one.tables["raw_items"]))
    lines = past.applied(Change.of("new_things", 3, 7)).tables["raw_items"].to_pandas()
    added = lines.iloc[len(past.tables["raw_items"]) :]
    assert added["product_id"].is_unique
    assert not added["product_id"].isin(past.lines["product_id"]).any()
    n = min(past.most(KINDS["new_category"]), 3)
    lines = past.applied(Change.of("new_category", n, 7)).tables["raw_items"].to_pandas()
    added = lines.iloc[len(past.tables["raw_items"]) :]
    assert added.groupby("order_id")["category"].first().nunique() == n
    assert not added["category"].isin(past.lines["category"]).any()


def test_what_is_told_moves_them_and_nothing_smaller_does(models, pasts, tried):
    """Applied to the rows and scored anew, as of the day; without it, the same day finds them where they are."""
    told = 0
    for one, past in pasts.items():
        scored, moves = tried[one]
        _, now = score_history(past.history, models, past)
        for axis, model in models.items():
            if moves[axis].change is None:
                assert first_moves(axis, model, scored, past).change is None
                continue
            change, told = moves[axis].change.change, told + 1
            _, after = score_history(past.applied(change), {axis: model}, past)
            assert after[axis].dominant_ids[0] == moves[axis].change.segment != now[axis].dominant_ids[0]
            fewer = [replace(change, n=n, days=n * change.every) for n in range(1, change.n)]
            waits = [Change.waiting(days) for days in sorted({0, change.days, *(less.days for less in fewer)})]
            again = score_changes(past, {axis: model}, [*waits, *fewer])
            places = dict(zip(again.changes, again.segments(axis), strict=True))
            assert places[Change.waiting(change.days)] == places[Change.waiting(0)]
            moved = [less for less in fewer if places[less] != places[Change.waiting(0)]]
            by_place = dict(zip(again.changes, again.apart(axis), strict=True))
            assert all(
                places[Change.waiting(less.days)] != places[Change.waiting(0)]
                or by_place[less][places[less]] > by_place[Change.waiting(less.days)][places[less]] + NOISE
                for less in moved
            )
    assert told > 3 * len(pasts)


def test_a_receipt_is_the_same_again_and_another_where_rows_are(models, pasts, shown):
    past = list(pasts.values())[2]
    receipt = explain(past, models, list(models))
    again = explain(Past(past.history.in_memory(), past.recorded, past.reference), models, list(models))
    records = [receipt_record(one, past, shown) for one in (receipt, again)]
    assert json.dumps(records[0]) == json.dumps(records[1])
    acted = past.applied(Change.of("again", 1, 7))
    later = explain(Past(acted, past.recorded, past.reference), models, list(models))
    assert later.data_version != receipt.data_version
    assert (later.since.cause, later.since.orders) == ("acted", 1 + _recent(past, 23))


def _recent(past, days):
    orders = past.tables["raw_orders"].to_pandas()["order_date"]
    return int((orders >= past.history.end - pd.Timedelta(days=days)).sum())


def test_in_words(models, pasts, shown):
    for past in pasts.values():
        record = receipt_record(explain(past, models, list(models)), past, shown)
        text = "\n".join(receipt_lines(record))
        opened, once, weak = split_axes(record["axes"])
        for one in record["axes"]:
            assert one["attainable"] == (one["change"] is not None)
            assert len(one["because"]) <= 3
            assert sum(fact["share"] for fact in one["because"]) <= 1 + 1e-9
            if one["change"]:
                assert one["change"]["kind"] in RELEVANT[one["axis"]]
                assert len(one["change"]["dates"]) == one["change"]["number"]
                assert one["change"]["by"] == one["change"]["dates"][-1][:10] or one["change"]["kind"] not in ("again",)
        for one in opened:
            assert "would move them" in text.partition(one["axis"].replace("_", " "))[2]
        assert not any(fact["words"].startswith("They {") for one in opened for fact in one["because"])
        assert [one["axis"] for one in weak] in ([], ["purchase_cadence"])
        meanings = {state.meaning.partition(",")[0] for state in BOUGHT_ONCE}
        assert sum(text.count(f"They {meaning}") for meaning in meanings) == bool(once)
        assert not re.search(r"nan|None|\{\}|The how", text)
        pulls = re.findall(r"pull ([+-][\d.]+) of", "\n".join(receipt_lines(record, why=True)))
        assert pulls
        assert not {"+0.000", "-0.000"} & set(pulls)


@pytest.mark.parametrize(("kind", "n", "words"), [
    ("complaint", 1, r"1 more complaint to support, rated 1, by \d"),
    ("complaint", 2, r"2 more complaints to support, rated 1, one a week, by \d"),
    ("weekend", 1, r"1 more order at the weekend \(\$[\d.,]+\) by \d"),
    ("weekend", 2, r"2 more orders at the weekend \(\$[\d.,]+ each\), one a week, by \d"),
])  # fmt: skip
def test_a_change_in_words(pasts, kind, n, words):
    past = next(iter(pasts.values()))
    assert re.match(words, change_words(Change.of(kind, n, 7), past, "USD"))


def test_silence_in_words(pasts, models, shown):
    past = next(iter(pasts.values()))
    last = past.history.end.tz_localize("UTC").tz_convert(past.history.store.time_zone) + pd.Timedelta(days=246)
    until = f"{last:%-d %b %Y}"
    assert change_words(Change.waiting(247), past) == f"247 more days without an order, until {until},"
    assert change_words(Change.waiting(1), past).startswith("1 more day without an order, until ")
    receipt = explain(past, models, ["purchase_value"])
    silent = replace(receipt, since=replace(receipt.since, cause="silent", orders=0, tickets=0))
    said = receipt_record(silent, past, shown)["since"]["words"]
    assert said.endswith("no order of theirs is recorded, and no request to support.")
    recorded = frozenset(column for column in past.recorded if not column.startswith("tickets."))
    said = receipt_record(silent, replace(past, recorded=recorded), shown)["since"]["words"]
    assert said.endswith("no order of theirs is recorded.")


def test_moves_that_were_recorded_are_told(models, pasts, shown):
    past = list(pasts.values())[-1]
    move = {"week": "2026-01-05", "axis": "purchase_value", "from": "light", "to": "heavy", "cause": "model"}
    record = receipt_record(explain(past, models, ["purchase_value"]), past, replace(shown, recorded=(move,)))
    assert "a new model placed them as heavy instead of light (purchase value)" in "\n".join(receipt_lines(record))
