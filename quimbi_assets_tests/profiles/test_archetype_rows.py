import json

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.profiles.archetype_choice import ArchetypeChoice
from quimbi_assets.profiles.archetype_rows import archetype_rows, kept_archetypes
from quimbi_assets.profiles.archetypes import ArchetypeSet, archetype_id

NOW = pd.Timestamp("2025-01-06", tz="UTC").to_pydatetime()
SEGMENTS = {
    "purchase_frequency": pd.DataFrame(
        {"segment_id": ["f_1", "f_2"], "segment_name": ["occasional_buyers", "weekly_buyers"]}
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


def choice(counts=(50, 30, 20, 10), held=()):
    shares = tuple(dict.fromkeys(traits.items(), 1.0) | dict(held) for traits in KEPT.traits())
    return ArchetypeChoice(KEPT, np.repeat(np.arange(len(counts)), counts), np.array(counts), 10, 1.0, 2.0, shares)


def test_rows_say_who_they_are_and_how_many():
    rows = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    assert rows["customer_count"].tolist() == [50, 30, 20, 10]
    assert rows["population_percentage"].sum() == pytest.approx(100)
    assert rows["population_percentage"].iloc[0] == pytest.approx(100 * 50 / 110)
    assert rows["archetype_id"].tolist() == KEPT.ids()
    traits = json.loads(rows["traits"].iloc[3])
    assert traits["purchase_frequency"] == {"segment_id": "f_2", "segment_name": "weekly_buyers"}
    assert archetype_id({axis: own["segment_id"] for axis, own in traits.items()}) == rows["archetype_id"].iloc[3]


def test_a_name_stays_while_its_segments_are_called_the_same():
    before = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    before["name"] = ["old friends", "fussy friends", "rich friends", "weekly friends"]
    by_id = before.set_index("archetype_id")["name"].to_dict()
    shifted = archetype_rows("shop", choice((10, 20, 30, 50)), SEGMENTS, NOW, NOW, before)
    assert shifted.set_index("archetype_id")["name"].to_dict() == by_id
    renamed = {
        **SEGMENTS,
        "return_behavior": SEGMENTS["return_behavior"].replace("repeatedly_refunded_buyers", "our_doubters"),
    }
    names = archetype_rows("shop", choice(), renamed, NOW, NOW, before).set_index("archetype_id")["name"]
    assert names[KEPT.ids()[1]] == "occasional our doubters"
    assert names[KEPT.ids()[0]] == by_id[KEPT.ids()[0]]


def test_a_name_goes_that_is_not_true_of_most_customers_any_more():
    before = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    before["name"] = ["small-order buyers", "old friends", "rich friends", "weekly buyers"]
    names = {}
    for share in (0.75, 0.74):
        held = {("purchase_value", "v_1"): share, ("purchase_frequency", "f_2"): share}
        rows = archetype_rows("shop", choice(held=held), SEGMENTS, NOW, NOW, before)
        names[share] = rows.set_index("archetype_id")["name"][KEPT.ids()]
    assert names[0.75].tolist() == before["name"].tolist()
    assert names[0.74].iloc[1:3].tolist() == ["old friends", "rich friends"]
    assert not names[0.74].iloc[[0, 3]].str.contains("small|weekly").any()


def test_the_kept_set_comes_back_from_rows_in_any_order():
    rows = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    assert kept_archetypes(rows.sample(frac=1, random_state=0)) == KEPT
    as_dicts = rows.assign(traits=[dict(reversed(json.loads(t).items())) for t in rows["traits"]])
    assert kept_archetypes(as_dicts) == KEPT
    assert kept_archetypes(rows.iloc[:0]) is None
    assert kept_archetypes(None) is None


def test_everybody_in_one():
    all_in_one = ArchetypeChoice(ArchetypeSet((), ((),)), np.zeros(7, dtype=int), np.array([7]), 30, 1.0, 0.0, ({},))
    rows = archetype_rows("shop", all_in_one, SEGMENTS, NOW, NOW)
    assert rows[["name", "customer_count", "traits"]].to_numpy().tolist() == [["all customers", 7, "{}"]]
    assert kept_archetypes(rows) == all_in_one.kept


@pytest.mark.parametrize("former", ["refund customers, {}", "{} (2)", "steady on-time always-rebuying {}"])
def test_a_name_of_former_rules_goes(former):
    before = archetype_rows("shop", choice(), SEGMENTS, NOW, NOW)
    now = before["name"].tolist()
    before["name"] = [former.format(name) for name in now]
    assert archetype_rows("shop", choice(), SEGMENTS, NOW, NOW, before)["name"].tolist() == now
