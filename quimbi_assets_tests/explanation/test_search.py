"""What would move a customer does, whoever it is, and so does silence; and who can be moved by nothing is told so."""

from copy import copy
from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quimbi_assets.axes import AXES, Features, extract_features, measure
from quimbi_assets.explanation.changes import CENT, MOST, RELEVANT, Change, Past
from quimbi_assets.explanation.receipt import explain
from quimbi_assets.explanation.search import (
    NUMBERS,
    SILENCES,
    AxisMoves,
    naming_features,
    score_changes,
    score_history,
    smallest_moves,
    tried_changes,
    with_silences,
)
from quimbi_assets.explanation.words import NOTHING, Shown, receipt_record, what_moves
from quimbi_assets.instants import Instant
from quimbi_assets.profiles.scores import score_features
from quimbi_assets_tests.explanation.conftest import MODELLED, ZONE


@pytest.fixture(scope="module")
def frames(history):
    """The whole store's orders, lines and tickets."""
    return history.frames()


def moves_of(history, models, reference, customer, axes):
    past = Past(history.of([customer]).in_memory(), history.recorded, reference)
    scored = score_changes(past, models, tried_changes(past, axes))
    return past, smallest_moves(past, {axis: models[axis] for axis in axes}, axes, scored)


def segments_in_the_store(history, models, reference, frames, past, move):
    """Return a customer's segments by axis, of the store's rows with what a change adds to them, as of its day."""
    after = past.applied(move.change)
    places = zip(("raw_orders", "raw_items", "raw_tickets"), frames, strict=True)
    added = {name: after.tables[name].to_pandas().iloc[len(past.tables[name]) :] for name in after.tables}
    orders, items, tickets = (pd.concat([rows, added[name]]) if len(added[name]) else rows for name, rows in places)
    features = extract_features(
        orders, items, list(models), Instant(history.end + timedelta(days=move.change.days)), tickets=tickets,
        time_zone=ZONE, recorded=history.recorded, reference=reference,
    )  # fmt: skip
    customer = past.tables["raw_orders"]["customer_id"][0].as_py()
    scores = score_features(features, models)
    return {axis: one.dominant_ids[one.customers.get_loc(customer)] for axis, one in scores.items()}


@settings(max_examples=6, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_move_that_is_told_is_made_by_orders_in_the_store(history, models, reference, frames, data):
    """Whichever customer and axes: the change, put into the raw rows of the store and scored the ordinary way."""
    customer = data.draw(st.sampled_from(history.customers.to_pylist()))
    axes = data.draw(st.lists(st.sampled_from(MODELLED), min_size=1, max_size=3, unique=True))
    past, moves = moves_of(history, models, reference, customer, axes)
    _, now = score_history(past.history, models, past)
    for axis in axes:
        for move in (moves[axis].change, moves[axis].waiting):
            if move is not None:
                of_axis = {axis: models[axis]}
                after = segments_in_the_store(history, of_axis, reference, frames, past, move)[axis]
                assert after == move.segment != now[axis].dominant_ids[0]


@pytest.fixture(scope="module")
def silent_segments(history, models, reference):
    """Returns everybody's segments by axis after so many days in which nobody orders, of the rows as they then are."""

    @cache
    def after(days):
        then = history.until(Instant(history.end + timedelta(days=days)))
        features = Features(measure(then, models, recorded=history.recorded, reference=reference))
        scores = score_features(features, models)
        return {axis: dict(zip(one.customers, one.dominant_ids, strict=True)) for axis, one in scores.items()}

    return after


def test_silence_that_is_told_moves_them_and_a_day_less_does_not(history, models, reference, silent_segments):
    """To the day; shorter silences that were tried leave them where they are, and all of them who are told of none."""
    n_moved = 0
    for customer in history.customers.to_pylist()[::10]:
        past = Past(history.of([customer]).in_memory(), history.recorded, reference)
        silences = [change for change in tried_changes(past, list(models)) if not change.kind]
        moves = smallest_moves(past, models, list(models), score_changes(past, models, silences))
        for axis, one in moves.items():
            present = silent_segments(0)[axis][customer]
            days = None if one.waiting is None else one.waiting.change.days
            shorter = {less for less in SILENCES if days is None or less < days} | ({days - 1} if days else set())
            assert {silent_segments(less)[axis][customer] for less in shorter} <= {present}
            if days is not None:
                n_moved += 1
                assert silent_segments(days)[axis][customer] == one.waiting.segment != present
    assert n_moved >= 3


def test_who_can_be_moved_by_nothing_is_told_so(models, pasts):
    """All segments but their own lie where no customer comes: no order, request or silence leads there."""
    for past in pasts.values():
        _, now = score_history(past.history, models, past)
        far = {}
        for axis, model in models.items():
            far[axis] = copy(model)
            is_own = np.arange(len(model.segment_ids_)) == now[axis].dominant[0]
            far[axis].cluster_centers_ = np.where(is_own[:, None], model.cluster_centers_, 100.0)
        moves = smallest_moves(past, far, list(far), score_changes(past, far, tried_changes(past, list(far))))
        assert moves == dict.fromkeys(far, AxisMoves(None, None))
    nothing = f"{NOTHING[0].upper()}{NOTHING[1:]}"
    assert what_moves({"change": None, "waiting": None}) == [f"{nothing}, or no order for up to {SILENCES[-1]} days."]
    waiting = {"words": "9 more days without an order would move them"}
    assert what_moves({"change": None, "waiting": waiting}) == [f"{nothing}.", f"{waiting['words']}."]


def test_what_no_customer_does_is_told_as_out_of_reach(models, pasts):
    """With one order, return or request in any time as the most that is usual, unless they did more themselves."""
    n_beyond = 0
    for past in pasts.values():
        bounded, axes = replace(past, usual={("orders", 7): 1}), list(models)
        scored = score_changes(past, models, tried_changes(past, axes))
        free = smallest_moves(past, models, axes, scored)
        for axis, one in smallest_moves(bounded, models, axes, scored).items():
            assert one.waiting == free[axis].waiting
            assert one.change is None or bounded.is_attainable(one.change.change)
            if one.beyond is not None:
                n_beyond += 1
                assert one.change is None
                assert one.beyond == free[axis].change
                assert not bounded.is_attainable(one.beyond.change)
            if free[axis].change is None:
                assert (one.change, one.beyond) == (None, None)
    assert n_beyond >= 3


def test_what_lies_between_numbers_that_are_tried_is_tried_where_it_may_be_smaller(models, pasts):
    """As if every number had been tried at once: the same moves."""
    for past in pasts.values():
        axes = list(models)
        moves = smallest_moves(past, models, axes, score_changes(past, models, tried_changes(past, axes)))
        every = {
            "all": [
                Change.of(kind.name, n, days)
                for kind in past.possible(axes)
                for days, numbers in NUMBERS.items()
                for n in range(numbers[0], 1 + min(numbers[-1], past.most(kind)))
            ]
        }
        at_once = score_changes(past, models, with_silences(every))
        whole = smallest_moves(past, models, axes, at_once)
        for axis in axes:
            assert moves[axis].change == whole[axis].change


def test_nothing_told_leads_away_from_what_a_segment_is_named_for(history, models, reference):
    """Of orders on weekdays nobody is told that they make a weekend shopper."""
    axis, n_told = "purchase_cadence", 0
    model = models[axis]
    weekend = max(range(len(model.segment_ids_)), key=lambda one: model.centers_shop_["weekend_ratio"].iloc[one])
    assert [model.features_[column] for column in naming_features(model, weekend)] == ["weekend_ratio"]
    for customer in history.customers.to_pylist()[::6]:
        past, moves = moves_of(history, models, reference, customer, [axis])
        move = moves[axis].change or moves[axis].beyond
        if move is not None and move.segment == model.segment_ids_[weekend]:
            n_told += 1
            features = score_changes(past, {axis: model}, [Change.waiting(0), move.change]).features[axis]
            assert features["weekend_ratio"].iloc[1] >= features["weekend_ratio"].iloc[0]
    assert n_told


def test_no_axis_is_forgotten():
    assert set(RELEVANT) == set(AXES)
    assert max(NUMBERS[7]) == MOST


def test_what_no_customer_pays_for_an_order_is_out_of_reach(models, pasts):
    """With their middle order as the most that is paid for one, unless they paid more themselves."""
    n_beyond = 0
    for past in pasts.values():
        bounded, axes = replace(past, usual_times=1.0), list(models)
        paid = past.tables["raw_orders"]["total_price"].to_numpy()
        assert bounded.usual_worth == paid.max()
        scored = score_changes(past, models, tried_changes(past, axes))
        free = smallest_moves(past, models, axes, scored)
        for axis, one in smallest_moves(bounded, models, axes, scored).items():
            if one.change is not None:
                assert (bounded.order_total(one.change.change) or 0.0) <= paid.max() + CENT
            if one.beyond is not None:
                n_beyond += 1
                assert one.beyond == free[axis].change
                assert bounded.order_total(one.beyond.change) > paid.max()
                one_of_them = bounded, axis
    assert n_beyond >= 1
    bounded, axis = one_of_them
    record = receipt_record(explain(bounded, models, [axis]), bounded, Shown({axis: {}}, "USD"))
    beyond = record["axes"][0]["beyond"]
    assert beyond["usual_worth"] == bounded.usual_worth
    assert (
        "which is out of reach: 95 of 100 orders cost at most 1 times their customer's middle one here"
        in beyond["words"]
    )
    assert not record["axes"][0]["attainable"]
