from dataclasses import replace

import pytest

from quimbi_assets.naming.asking.decision import Standing, decide_names, standing
from quimbi_assets.naming.describe import describe_segments
from quimbi_assets.naming.persistence import GivenNames
from quimbi_assets_tests.descriptions import brief_by_hand

IDS = ["purchase_frequency_1", "purchase_frequency_2", "purchase_frequency_3"]
TEXT = "They are 20 % of all customers of the shop."


def names_of(table):
    return dict(zip(table["segment_id"], table["segment_name"], strict=True))


def test_a_person_before_claude_before_rules():
    brief = brief_by_hand(fixed={IDS[0]: "our_friends"})
    asked = {IDS[0]: ("our_friends", TEXT), IDS[1]: ("sleeping_souls", TEXT)}
    table = decide_names(Standing(brief, by_person={IDS[0]: "our_friends"}), asked)
    assert list(table["segment_name"])[:2] == ["our_friends", "sleeping_souls"]
    assert list(table["name_source"]) == ["person", "claude", "rules"]
    assert list(table["text_source"]) == ["claude", "claude", "rules"]
    assert table["interpretation"].iloc[1] == TEXT


@pytest.mark.parametrize("who", ["by_person", "kept"])
def test_nobody_gets_a_name_that_is_taken(who):
    brief = brief_by_hand()
    table = decide_names(Standing(brief, **{who: {IDS[0]: "sleeping_souls"}}), {IDS[1]: ("sleeping_souls", TEXT)})
    names = names_of(table)
    assert len(set(names.values())) == 3
    assert names[IDS[0 if who == "by_person" else 1]] == "sleeping_souls"


def test_a_declared_name_gives_way_to_a_person_only():
    brief = brief_by_hand(structural=["one_time_buyers", None, None], fixed={IDS[0]: "one_time_buyers"})
    asked = {IDS[0]: ("one_time_buyers", TEXT), IDS[1]: ("one_time_buyers", TEXT)}
    table = decide_names(Standing(brief), asked)
    assert names_of(table)[IDS[0]] == "one_time_buyers"
    assert len(set(table["segment_name"])) == 3
    table = decide_names(Standing(brief, by_person={IDS[0]: "tried_us_once"}), {})
    assert names_of(table)[IDS[0]] == "tried_us_once"


@pytest.fixture
def described(axis, model, features):
    description = describe_segments(axis, model, features)
    centre = {
        row["segment_id"]: {f: row[f"centre:{f}"] for f in model.features_} for row in description.to_dict("records")
    }
    return description, centre


def given(centre, source, text=None):
    names = {segment: f"souls_of_{'abcdef'[i]}way" for i, segment in enumerate(centre)}
    return GivenNames(names, centre, dict.fromkeys(centre, source), text or {})


def test_a_kept_name_of_claude_with_a_true_text_needs_no_request(axis, model, features, described):
    description, centre = described
    shares = dict(zip(description["segment_id"], description["population_percentage"], strict=True))
    texts = {segment: f"They are {share:.1f} % of customers of this shop." for segment, share in shares.items()}
    stands = standing(axis, model, features, "USD", given(centre, "claude", texts))
    assert not stands.wants_claude
    table = decide_names(stands, {})
    assert set(table["text_source"]) == {"claude"}
    stale = dict.fromkeys(texts, "They are 99.9 % of customers of this shop.")
    stands = standing(axis, model, features, "USD", given(centre, "claude", stale))
    assert stands.wants_claude  # the names stay, their texts are not true any more
    table = decide_names(stands, {})
    assert set(table["text_source"]) == {"rules"}
    free = [s for s, d in zip(description["segment_id"], description["structural"], strict=True) if d is None]
    assert {names_of(table)[s] for s in free} == {given(centre, "claude").name[s] for s in free}


def test_a_rule_made_name_stays_and_claude_may_replace_it(axis, model, features, described):
    description, centre = described
    stands = standing(axis, model, features, "USD", given(centre, "rules"))
    assert stands.wants_claude
    free = [s for s, d in zip(description["segment_id"], description["structural"], strict=True) if d is None]
    assert names_of(decide_names(stands, {}))[free[0]] == given(centre, "rules").name[free[0]]
    assert names_of(decide_names(stands, {free[0]: ("old_souls", TEXT)}))[free[0]] == "old_souls"


def test_a_persons_name_stays_wherever_the_segment_goes(axis, model, features, described):
    _, centre = described
    far = {segment: {f: v + 100 for f, v in own.items()} for segment, own in centre.items()}
    by_person = given(far, "person")
    stands = standing(axis, model, features, "USD", by_person)
    assert names_of(decide_names(stands, {})) == dict(by_person.name)
    by_claude = replace(by_person, source=dict.fromkeys(far, "claude"))
    moved = standing(axis, model, features, "USD", by_claude)
    assert moved.wants_claude
    assert moved.by_claude == {}
