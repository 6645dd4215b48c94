"""Kinds of segments: what was measured, not what a store calls it, decides."""

import pytest

from quimbi_assets.audiences.fields import UNKNOWN, Vocabulary
from quimbi_assets.audiences.filters import compile_filter
from quimbi_assets.audiences.kinds import SEGMENT_KINDS, segments_by_kind
from quimbi_assets.axes import AXES
from quimbi_assets.errors import FilterError

KINDS = {"purchase_value": {"big_spenders": ("v_1", "v_2"), "small": ()}}
HERE = Vocabulary({"archetype": {}, "purchase_value": {"v_1": "heavy", "v_2": "vip", "v_3": "light"}}, kinds=KINDS.get)


@pytest.mark.parametrize("kind", SEGMENT_KINDS, ids=lambda kind: f"{kind.axis}.{kind.name}")
def test_a_kind_speaks_of_features_that_shape_its_axis(kind):
    bounds = [bound for part in kind.either for bound in part]
    features = {feature.name: feature for feature in AXES[kind.axis].clustering_features}
    for bound in bounds:
        assert bound.feature in features
        assert bound.low < bound.high
    segments = segments_by_kind(kind.axis, {}, {})
    assert segments[kind.name] == ()


def test_beside_the_store_s_other_customers():
    def high_touch(mine, others):
        centres = {"mine": {"tickets_per_order": mine}, "others": {"tickets_per_order": others}}
        return segments_by_kind("support_history", centres, {"mine": 10, "others": 90})["high_touch"]

    assert high_touch(0.6, 0.1) == ("mine",)
    assert high_touch(0.06, 0.01) == ("mine",)  # where hardly anybody writes, a little is much
    assert high_touch(0.6, 0.5) == ()


def test_a_store_in_which_all_use_discounts_has_its_hunters_among_them():
    centres = {
        "some": {"discount_rate": 0.7, "discount_depth": 0.1},
        "deep": {"discount_rate": 0.75, "discount_depth": 0.3},
        "none": {"discount_rate": 0.0, "discount_depth": 0.0},
    }
    kinds = segments_by_kind("price_sensitivity", centres, {"some": 60, "deep": 30, "none": 0})
    assert (kinds["discount_hunters"], kinds["full_price_buyers"]) == (("deep",), ("none",))


def test_who_bought_once_is_not_declining():
    centres = {
        "once": {"frequency_trend": -0.2, "overdue_ratio": 9.0},
        "fading": {"frequency_trend": -0.2, "overdue_ratio": 9.0, "value_trend": 0.0},
        "steady": {"frequency_trend": 0.0, "overdue_ratio": 0.8, "value_trend": 0.1},
    }
    kinds = segments_by_kind("loyalty_trajectory", centres, {"once": 5, "fading": 5, "steady": 5})
    assert kinds["declining"] == ("fading",)


def test_a_filter_speaks_of_kinds():
    query = compile_filter("purchase_value.kind = 'big_spenders' and purchase_value.kind.big_spenders > 0.5", HERE)
    assert query.parameters["where_0"] == ["v_1", "v_2"]
    assert query.condition.count("segment_memberships") == 2
    moved = compile_filter("entered(purchase_value.kind, 'big_spenders', 4)", HERE)
    assert {"purchase_value": True, "v_1": True}.keys() <= {
        str(one) for value in moved.parameters.values() for one in (value if isinstance(value, list) else [value])
    }
    assert UNKNOWN in compile_filter("purchase_value.kind.small > 0.5", HERE).condition
    assert compile_filter("purchase_value.kind <> 'small'", HERE).parameters["where_0"] == []


def test_a_kind_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(FilterError, match="no kind 'vip' of purchase_value; there are: big_spenders, small"):
        compile_filter("purchase_value.kind = 'vip'", HERE)
    with pytest.raises(FilterError, match=r"no field 'purchase_value\.kind\.vip'"):
        compile_filter("purchase_value.kind.vip > 0.5", HERE)
