import json
import re

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.profiles.archetype_choice import ArchetypeChoice
from quimbi_assets.profiles.archetype_rows import archetype_names, archetype_rows, kept_archetypes
from quimbi_assets.profiles.archetypes import ArchetypeSet, archetype_id

NOW = pd.Timestamp("2025-01-06", tz="UTC").to_pydatetime()
SEGMENTS = {
    "purchase_frequency": pd.DataFrame(
        {"segment_id": ["f_1", "f_2"], "segment_name": ["rare_buyers", "weekly_buyers"]}
    ),
    "purchase_value": pd.DataFrame(
        {"segment_id": ["v_1", "v_2"], "segment_name": ["small_order_spenders", "big_order_spenders"]}
    ),
    "return_behavior": pd.DataFrame(
        {"segment_id": ["r_1", "r_2"], "segment_name": ["never_returners", "repeatedly_refunded_buyers"]}
    ),
}
KEPT = ArchetypeSet(
    tuple(SEGMENTS), (("f_1", "v_1", "r_1"), ("f_1", "v_1", "r_2"), ("f_1", "v_2", "r_1"), ("f_2", "v_1", "r_1"))
)


def choice(counts=(50, 30, 20, 10)):
    return ArchetypeChoice(KEPT, np.repeat(np.arange(len(counts)), counts), np.array(counts), 10, 1.0, 2.0)


def test_rows_say_who_they_are_and_how_many():
    rows = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    assert rows["customer_count"].tolist() == [50, 30, 20, 10]
    assert rows["population_percentage"].sum() == pytest.approx(100)
    assert rows["population_percentage"].iloc[0] == pytest.approx(100 * 50 / 110)
    assert rows["archetype_id"].tolist() == KEPT.ids()
    traits = json.loads(rows["traits"].iloc[3])
    assert traits["purchase_frequency"] == {"segment_id": "f_2", "segment_name": "weekly_buyers"}
    assert archetype_id({axis: own["segment_id"] for axis, own in traits.items()}) == rows["archetype_id"].iloc[3]


def test_names_begin_with_the_rarest_traits_and_tell_all_apart():
    names = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)["name"].tolist()
    # Held by: weekly 10, big orders 20, refunded 30, never returners 80, small orders 90, rare 100.
    assert names == [
        "rare small-order never returners",
        "small-order repeatedly-refunded customers",
        "big-order never returners",
        "weekly never returners",
    ]


def test_names_grow_until_they_differ():
    kept = ArchetypeSet(tuple(SEGMENTS), (("f_1", "v_1", "r_1"), ("f_2", "v_1", "r_1")))
    alike = ArchetypeChoice(kept, np.repeat([0, 1], [90, 91]), np.array([90, 91]), 10, 1.0, 1.0)
    frames = {
        **SEGMENTS,
        "purchase_frequency": pd.DataFrame({"segment_id": ["f_1", "f_2"], "segment_name": ["x", "x"]}),
    }
    names = archetype_rows("shop", alike, frames, NOW, NOW).set_index("archetype_id")["name"]
    assert names.is_unique


def test_a_name_stays_while_it_is_true():
    before = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    shifted = archetype_rows("shop", choice((10, 20, 30, 50)), SEGMENTS, NOW, NOW, before)
    fresh = archetype_rows("shop", choice((10, 20, 30, 50)), SEGMENTS, NOW, NOW)
    by_id = before.set_index("archetype_id")["name"].to_dict()
    assert shifted.set_index("archetype_id")["name"].to_dict() == by_id
    assert fresh.set_index("archetype_id")["name"].to_dict() != by_id
    renamed = {
        **SEGMENTS,
        "return_behavior": SEGMENTS["return_behavior"].replace("repeatedly_refunded_buyers", "our_doubters"),
    }
    names = archetype_rows("shop", choice(), renamed, NOW, NOW, before).set_index("archetype_id")["name"]
    assert names[KEPT.ids()[1]] == "small-order our doubters"
    assert names[KEPT.ids()[0]] == by_id[KEPT.ids()[0]]


def test_the_kept_set_comes_back_from_rows_in_any_order():
    rows = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    assert kept_archetypes(rows.sample(frac=1, random_state=0)) == KEPT
    as_dicts = rows.assign(traits=[dict(reversed(json.loads(t).items())) for t in rows["traits"]])
    assert kept_archetypes(as_dicts) == KEPT
    assert kept_archetypes(rows.iloc[:0]) is None
    assert kept_archetypes(None) is None


def test_everybody_in_one():
    all_in_one = ArchetypeChoice(ArchetypeSet((), ((),)), np.zeros(7, dtype=int), np.array([7]), 30, 1.0, 0.0)
    rows = archetype_rows("shop", all_in_one, SEGMENTS, NOW, NOW)
    assert rows[["name", "customer_count", "traits"]].to_numpy().tolist() == [["all customers", 7, "{}"]]
    assert kept_archetypes(rows) == all_in_one.kept


def test_a_name_is_short_and_says_nothing_twice():
    names = {
        "purchase_frequency": ["one_time_buyers", "weekly_recent_buyers"],
        "repurchase_behavior": ["one_time_buyers", "almost_always_rebuying_shoppers"],
        "loyalty_trajectory": ["once_or_twice_buyers", "slowing_long_overdue_customers"],
        "customer_maturity": ["first_year_dormant_customers", "long_standing_gone_quiet_customers"],
        "purchase_value": ["light_small_order_spenders", "heavy_big_order_spenders"],
    }
    frames = {axis: pd.DataFrame({"segment_id": ["1", "2"], "segment_name": words}) for axis, words in names.items()}
    rows = tuple(dict.fromkeys(tuple(np.random.default_rng(i).choice(["1", "2"], 5)) for i in range(40)))
    choice = ArchetypeChoice(ArchetypeSet(tuple(frames), rows), np.zeros(1, int), np.ones(len(rows), int), 1, 1.0, 1.0)
    made = archetype_names(choice, frames)
    assert len(set(made.values())) == len(rows) > 20
    for name in made.values():
        assert len(name.split()) <= 5
        assert len(set(re.findall("[a-z]+", name))) == len(re.findall("[a-z]+", name))
        assert not ("one-time" in name and "once-or-twice" in name)
        assert not ("recent" in name and ("overdue" in name or "dormant" in name))


def test_a_name_of_former_rules_goes():
    before = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    before["name"] = [f"high refund complex order customers, {name}" for name in before["name"]]
    made = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW, before)["name"]
    assert not made.str.contains(",").any()
