import numpy as np
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.profiles.archetype_names import ORDER, handle, is_sayable, name_archetypes, words_of

ALL_YEAR, PART_YEAR = "evening_all_year_shoppers", "evening_part_year_shoppers"
NAMES = {
    "purchase_frequency": {"f1": "one_time_buyers", "f2": "weekly_recent_buyers", "f3": "occasional_buyers"},
    "purchase_value": {
        "v1": "light_small_order_spenders",
        "v2": "heavy_big_order_spenders",
        "v3": "mid_range_spenders",
    },
    "purchase_cadence": {"c1": ALL_YEAR, "c2": "weekend_shoppers"},
    "customer_maturity": {"m1": "first_year_short_stay_customers", "m2": "longtime_quiet_customers"},
    "value_sophistication": {"s1": "bargain_hunting_buyers", "s2": "steady_amount_buyers"},
    "loyalty_trajectory": {"l1": "once_or_twice_buyers", "l2": "fading_long_overdue_customers"},
}


def named(*combinations, counts=None, known=None, names=NAMES, held=()):
    ids = [str(combination) for combination in combinations]
    traits = [dict(zip(names, combination, strict=False)) for combination in combinations]
    return name_archetypes(ids, traits, counts or [100] * len(ids), names, known or {}, held)


def test_a_name_says_what_sets_apart_and_leaves_out_what_says_nothing():
    assert named(("f2", "v2"), ("f2", "v3"), ("f3", "v3"), counts=[10, 50, 40]) == [
        "heavy weekly spenders",
        "weekly buyers",
        "occasional buyers",
    ]


def test_of_those_who_bought_once_it_is_said_and_nothing_that_takes_two_orders():
    names = named(("f1", "v1", "c1", "m1"), ("f1", "v3", "c2", "m1"), ("f2", "v2", "c1", "m2"))
    assert names == ["evening one-timers", "weekend one-timers", "longtime weekly buyers"]
    assert handle("purchase_cadence", ALL_YEAR, [PART_YEAR]).adjective == "all-year"
    assert handle("purchase_cadence", ALL_YEAR, [PART_YEAR], bought_once=True).adjective == "evening"


def test_a_noun_takes_fewer_words_than_an_adjective_before_one():
    two = {axis: NAMES[axis] for axis in ("purchase_cadence", "value_sophistication")}
    assert named(("c2", "s1"), ("c1", "s2"), names=two) == ["weekend bargain hunters", "evening steady-amount buyers"]


def test_what_is_said_of_spend_is_said_of_spenders():
    made = named(("f2", "v2", "c2", "m2", "s1"), ("f1", "v1", "c2", "m2", "s1"), ("f1", "v2", "c2", "m2", "s1"))
    assert made[1:] == ["light one-time spenders", "heavy one-time spenders"]
    assert "heavy bargain hunters" not in made


def test_whoever_has_the_only_name_of_another_takes_another():
    names = {"purchase_frequency": NAMES["purchase_frequency"], "purchase_value": NAMES["purchase_value"]}
    usual = {**names, "purchase_cadence": {"c1": "any_time_shoppers", "c2": "weekend_shoppers"}}
    rows = [(f, v, c) for f in ("f2", "f3") for v in ("v1", "v2") for c in ("c1", "c2")]
    made = named(*rows, names=usual, counts=range(800, 0, -100))
    assert len(set(made)) == 8
    assert all(is_sayable(name) and len(words_of(name)) > 2 for name in made)


def test_names_are_sayable_and_none_is_another_s():
    generator = np.random.default_rng(0)
    rows = {tuple(generator.choice(list(of_axis)) for of_axis in NAMES.values()) for _ in range(300)}
    names = named(*sorted(rows))
    assert len(set(names)) == len(rows) > 70
    sayable = [name for name in names if is_sayable(name)]
    assert len(sayable) > 0.9 * len(rows)
    for name in sayable:
        assert len(words_of(name)) <= 5
        assert not ("one-timers" in name and ("quiet" in name or "short-stay" in name or "all-year" in name))
        assert not ("recent" in name and ("fading" in name or "quiet" in name))


def test_a_few_customers_more_change_no_name():
    generator = np.random.default_rng(1)
    rows = sorted({tuple(generator.choice(list(of_axis)) for of_axis in NAMES.values()) for _ in range(40)})
    counts = generator.integers(30, 3000, len(rows)).tolist()
    more = [int(count * generator.uniform(0.99, 1.01)) for count in counts]
    same = [a == b for a, b in zip(named(*rows, counts=counts), named(*rows, counts=more), strict=True)]
    assert np.mean(same) > 0.9


def test_a_name_says_what_is_so_of_most_customers_though_a_segment_of_another_axis_has_to_tell_it():
    frequency, value, cadence = "purchase_frequency", "purchase_value", "purchase_cadence"
    two = {axis: NAMES[axis] for axis in (frequency, value, cadence)}
    rows = ("f2", "v2"), ("f3", "v2"), ("f2", "v1")
    all_so = [{(frequency, f): 1.0, (value, v): 1.0, (cadence, "c2"): 0.9} for f, v in rows]
    assert named(*rows, names=two, held=all_so)[0] == "heavy weekly spenders"
    few_so = {(frequency, "f2"): 0.79, (value, "v2"): 1.0, (cadence, "c2"): 0.8}
    assert named(*rows, names=two, held=[few_so, *all_so[1:]])[0] == "heavy weekend spenders"
    nobody_so = {(frequency, "f3"): 0.7, (value, "v1"): 0.5, (cadence, "c1"): 0.7}
    assert named(*rows, names=two, held=[*all_so[:2], nobody_so])[2] == "mixed customers"


def test_names_that_people_gave_are_used_as_they_are():
    names = {**NAMES, "purchase_frequency": {"f2": "our_dear_regulars", "f3": "sunday_tea_buyers"}}
    assert named(("f2", "v2"), ("f3", "v2"), ("f2", "v1"), names=names) == [
        "heavy our dear regulars",
        "heavy sunday-tea spenders",
        "light our dear regulars",
    ]


@pytest.mark.parametrize("called", [("x", "x"), ("a_b_c_d_e_f", "f_e_d_c_b_a")])
def test_never_a_silent_duplicate(called):
    names = {"an_axis": dict(zip(("1", "2"), called, strict=True))}
    assert len(set(named(("1",), ("2",), names=names))) == 2


def test_every_axis_has_its_place_before_the_noun():
    assert set(ORDER) == set(AXES)
