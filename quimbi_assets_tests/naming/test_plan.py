from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.naming.plan import CurrentNames, NamePlan, decide_names, plan_names
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.segment_statistics import describe_segments
from quimbi_assets_tests.descriptions import brief_by_hand

IDS = ["purchase_frequency_1", "purchase_frequency_2", "purchase_frequency_3"]
TEXT = "They are 20 % of all customers of the shop."


def names_of(table):
    return dict(zip(table["segment_id"], table["segment_name"], strict=True))


def test_a_person_before_claude_before_rules():
    brief = brief_by_hand(fixed={IDS[0]: "our_friends"})
    asked = {IDS[0]: ("our_friends", TEXT), IDS[1]: ("sleeping_souls", TEXT)}
    table = decide_names(NamePlan(brief, by_person={IDS[0]: "our_friends"}), asked)
    assert list(table["segment_name"])[:2] == ["our_friends", "sleeping_souls"]
    assert list(table["name_source"]) == ["person", "claude", "rules"]
    assert list(table["text_source"]) == ["claude", "claude", "rules"]
    assert table["interpretation"].iloc[1] == TEXT


@pytest.mark.parametrize("who", ["by_person", "by_rule"])
def test_nobody_gets_a_name_that_is_taken(who):
    brief = brief_by_hand()
    table = decide_names(NamePlan(brief, **{who: {IDS[0]: "sleeping_souls"}}), {IDS[1]: ("sleeping_souls", TEXT)})
    names = names_of(table)
    assert len(set(names.values())) == 3
    assert names[IDS[0 if who == "by_person" else 1]] == "sleeping_souls"


def test_a_declared_name_gives_way_to_a_person_only():
    brief = brief_by_hand(structural=["one_time_buyers", None, None], fixed={IDS[0]: "one_time_buyers"})
    asked = {IDS[0]: ("one_time_buyers", TEXT), IDS[1]: ("one_time_buyers", TEXT)}
    table = decide_names(NamePlan(brief), asked)
    assert names_of(table)[IDS[0]] == "one_time_buyers"
    assert len(set(table["segment_name"])) == 3
    table = decide_names(NamePlan(brief, by_person={IDS[0]: "tried_us_once"}), {})
    assert names_of(table)[IDS[0]] == "tried_us_once"


@pytest.fixture
def described(axis, model, features):
    description = describe_segments(model, features)
    centre = {
        row["segment_id"]: {f: row[f"centre:{f}"] for f in model.features_} for row in description.to_dict("records")
    }
    return description, centre


def current(centre, source, text=None):
    names = {segment: f"souls_of_{'abcdef'[i]}way" for i, segment in enumerate(centre)}
    return CurrentNames(names, centre, dict.fromkeys(centre, source), text or {})


def test_a_kept_name_of_claude_with_a_true_text_needs_no_request(axis, model, features, described):
    description, centre = described
    shares = dict(zip(description["segment_id"], description["population_percentage"], strict=True))
    texts = {segment: f"They are {share:.1f} % of customers of this shop." for segment, share in shares.items()}
    plan = plan_names(axis, model, features, "USD", current(centre, "claude", texts))
    assert not plan.wants_model
    table = decide_names(plan, {})
    assert set(table["text_source"]) == {"claude"}
    stale = dict.fromkeys(texts, "They are 99.9 % of customers of this shop.")
    plan = plan_names(axis, model, features, "USD", current(centre, "claude", stale))
    assert plan.wants_model  # the names stay, their texts are not true any more
    table = decide_names(plan, {})
    assert set(table["text_source"]) == {"rules"}
    free = [s for s, d in zip(description["segment_id"], description["structural"], strict=True) if d is None]
    assert {names_of(table)[s] for s in free} == {current(centre, "claude").name[s] for s in free}


def test_a_rule_made_name_stays_and_claude_may_replace_it(axis, model, features, described):
    description, centre = described
    made = names_of(name_segments(axis, description))
    free = [s for s, d in zip(description["segment_id"], description["structural"], strict=True) if d is None]
    plan = plan_names(axis, model, features, "USD", CurrentNames({free[0]: f"{made[free[0]]}_1_to_4"}, centre))
    assert plan.wants_model
    assert names_of(decide_names(plan, {}))[free[0]] == f"{made[free[0]]}_1_to_4"
    assert names_of(decide_names(plan, {free[0]: ("old_souls", TEXT)}))[free[0]] == "old_souls"


@pytest.mark.parametrize("name", ["typical_buyers", "big_order_rare_frequent_buyers"])
def test_a_rule_made_name_that_rules_would_not_say_any_more_goes(name, axis, model, features, described):
    description, centre = described
    free = [s for s, d in zip(description["segment_id"], description["structural"], strict=True) if d is None]
    plan = plan_names(axis, model, features, "USD", CurrentNames({free[0]: name}, centre))
    assert names_of(decide_names(plan, {})) == names_of(name_segments(axis, description))


def test_a_persons_name_stays_wherever_the_segment_goes(axis, model, features, described):
    _, centre = described
    far = {segment: {f: v + 100 for f, v in own.items()} for segment, own in centre.items()}
    by_person = current(far, "person")
    plan = plan_names(axis, model, features, "USD", by_person)
    assert names_of(decide_names(plan, {})) == dict(by_person.name)
    by_model = replace(by_person, source=dict.fromkeys(far, "claude"))
    moved = plan_names(axis, model, features, "USD", by_model)
    assert moved.wants_model
    assert moved.by_model == {}


def test_current_names_stay_and_others_are_named_around_them(axis, by_hand):
    description = by_hand({"orders_per_month": [1, 2, 3], "days_since_last_order": [90, 50, 10]}, [10, 10, 10])
    free = name_segments(axis, description)["segment_name"].tolist()
    assert len(set(free)) == 3
    names = name_segments(axis, description, current={"rhythm_1": free[2]})["segment_name"].tolist()
    assert names[0] == free[2]
    assert len(set(names)) == 3


def test_a_current_name_changes_no_sentence(axis, by_hand):
    description = by_hand({"orders_per_month": [1, 3]}, [10, 10])
    plain = name_segments(axis, description)
    renamed = name_segments(axis, description, current={"rhythm_1": "the_regulars"})
    assert renamed["segment_name"].iloc[0] == "the_regulars"
    assert renamed["interpretation"].tolist() == plain["interpretation"].tolist()


def test_named_again_by_their_own_names_segments_say_the_same(axis, by_hand):
    """Names that clashed got a second feature, which the sentence tells; the name given again, it still does."""
    centres = {
        "orders_per_month": [3.0, 9.0, 3.0, 3.0],
        "days_since_last_order": [9.0, 2.0, 9.0, 1.0],
        "value_trend": [2.0, 3.0, 3.0, 1.0],
    }
    description = by_hand(centres, [10] * 4)
    plain = name_segments(axis, description)
    assert "lapsed_growing_buyers" in set(plain["segment_name"])
    own = dict(zip(plain["segment_id"], plain["segment_name"], strict=True))
    pd.testing.assert_frame_equal(name_segments(axis, description, current=own), plain)


def named(axis, model, features):
    description = describe_segments(model, features)
    names = names_of(name_segments(axis, description))
    columns = {f"centre:{feature}": feature for feature in model.features_}
    centres = description.set_index("segment_id")[list(columns)].rename(columns=columns)
    return description, CurrentNames(names, centres.to_dict("index"))


def test_names_fit_until_a_mean_moved_by_a_standard_deviation(axis, model, features):
    description, names = named(axis, model, features)
    assert names.still_fitting(model, description) == dict(names.name)
    column = "centre:orders_per_month"
    raw_sd = model.scale_[model.features_.index("orders_per_month")]
    segment = description["segment_id"].iloc[-1]
    here = description[column].iloc[-1]
    inward = -1 if here > features["orders_per_month"].mean() else 1
    for way, fits in ((0.9, True), (1.1, False)):
        moved = description.copy()
        moved.loc[moved.index[-1], column] = here + inward * way * raw_sd
        assert (segment in names.still_fitting(model, moved)) is fits


def test_creeping_counts_from_where_the_name_was_given(axis, model, features):
    description, names = named(axis, model, features)
    column, row = "centre:orders_per_month", description.index[-1]
    raw_sd = model.scale_[model.features_.index("orders_per_month")]
    inward = -1 if description[column].iloc[-1] > features["orders_per_month"].mean() else 1
    kept = []
    for _ in range(4):
        description = description.copy()
        description.loc[row, column] += inward * 0.3 * raw_sd
        kept.append(description["segment_id"].iloc[-1] in names.still_fitting(model, description))
    assert kept == [True, True, True, False]


def test_what_was_undefined_does_not_count(axis, model, features):
    description, names = named(axis, model, features)
    holes = {segment: {**centre, "orders_per_month": np.nan} for segment, centre in names.centre.items()}
    assert set(CurrentNames(names.name, holes).still_fitting(model, description)) == set(names.name)
    assert CurrentNames({}, {}).still_fitting(model, description) == {}


def test_a_name_of_claude_that_says_what_is_not_so_goes(axis, model, features, described):
    description, centre = described
    (segment, *_) = (s for s, d in zip(description["segment_id"], description["structural"], strict=True) if d is None)
    for name, stays in (("sleeping_souls", True), ("weekend_souls", False)):
        plan = plan_names(axis, model, features, "USD", CurrentNames({segment: name}, centre, {segment: "claude"}))
        assert (plan.brief.fixed.get(segment) == name) == stays
