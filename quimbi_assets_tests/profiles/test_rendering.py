import json

import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.profiles.rendering import Doubts, profile_record, render_profile


def test_a_record_is_plain_json(profiles):
    record = profile_record(profiles.iloc[0])
    assert list(record) == profiles.columns.tolist()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["churn_risk_score"] is None
    assert isinstance(record["segment_memberships"], dict)
    assert record["as_of"] == "2025-01-06T00:00:00+00:00"
    assert record["fingerprint"] == [float(x) for x in profiles["fingerprint"].iloc[0]]


@pytest.fixture
def names(segments):
    return {axis: dict(zip(own["segment_id"], own["segment_name"], strict=True)) for axis, own in segments.items()}


def test_a_record_says_where_a_customer_stands_by_name(profiles, names):
    record = profile_record(profiles.iloc[0], names)
    assert list(record) == [*profiles.columns, "segments"]
    assert set(record["segments"]) == set(record["dominant_segments"])
    for axis, own in record["segments"].items():
        assert own == {
            "id": record["dominant_segments"][axis],
            "name": names[axis][own["id"]],
            "membership": max(record["segment_memberships"][axis].values()),
            "strength": record["membership_strength"][axis],
            "stays": record["stays"][axis],
            "stays_strength": record["stays_strength"][axis],
        }


def test_nested_columns_may_come_as_dicts(profiles):
    record = profile_record(profiles.iloc[0])
    assert profile_record(record) == record


def test_a_person_reads_it(profiles, names, features):
    text = render_profile(profiles.iloc[0], AXES, names, "GBP", why=True)
    lines = text.splitlines()
    row = profiles.iloc[0]
    assert lines[0] == f"Customer c000 of store shop, archetype {row['archetype_id']}"
    assert lines[1] == row["interpretation"]
    assert "purchase frequency - How often do they buy?" in lines
    dominant = json.loads(row["dominant_segments"])["purchase_value"]
    name = names["purchase_value"][dominant].replace("_", " ")
    share = json.loads(row["segment_memberships"])["purchase_value"][dominant]
    place = lines[lines.index("purchase value - How much do they spend?") + 1]
    assert place.startswith(f"  {name} {100 * share:.0f} %")
    assert (
        f"    Average value of an order, net of refunds: £{features['purchase_value']['avg_order_value'].iloc[0]:.2f}"
        in lines
    )


def test_low_evidence_is_said_once(profiles, names, features):
    row = int((features["purchase_value"]["n_orders"] == 1).to_numpy().argmax())
    record = profile_record(profiles.iloc[row])
    early = [axis for axis, evidence in record["evidence"].items() if evidence == "low"]
    once = "purchase_frequency"
    names[once][record["dominant_segments"][once]] = "one_time_buyers"
    lines = render_profile(record, AXES, names).splitlines()
    start = lines.index("So far, on what cannot be judged yet:")
    assert lines[start + 1] == "  bought exactly once: that is all to be said of purchase frequency"
    listed = [line.split(":")[0].strip().replace(" ", "_") for line in lines[start + 2 :]]
    assert sorted([once, *listed]) == sorted(early)
    assert "likely to stay" not in "".join(lines[start:])
    assert not any(line.startswith(f"{axis.replace('_', ' ')} - ") for axis in early for line in lines)


def test_what_is_known_of_one_order_is_said_although_the_axis_has_a_state_for_it(profiles, names, features):
    row = int((features["purchase_value"]["n_orders"] == 1).to_numpy().argmax())
    text = render_profile(profiles.iloc[row], AXES, names)  # in a segment of another name
    assert "bought exactly once" not in text
    assert "\n  purchase frequency: " in text


@pytest.mark.parametrize("row", [0, 1, 2])
def test_undefined_features_are_not_listed(profiles, names, row):
    assert "not known" not in render_profile(profiles.iloc[row], AXES, names)


def test_the_archetype_is_called_by_name_and_the_most_alike_are_listed(profiles, names):
    called = profiles["archetype_id"].iloc[0]
    record = profile_record(profiles.iloc[0], archetypes={called: "rare buyers, big baskets"})
    assert record["archetype"] == {"id": called, "name": "rare buyers, big baskets"}
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    lines = render_profile(record, AXES, names, "GBP", ["c007", "c009"]).splitlines()
    assert lines[0].endswith(f"archetype {called} (rare buyers, big baskets)")
    assert lines[2] == "Most alike: customers c007, c009."


def test_by_default_an_axis_is_a_line_and_weak_ones_are_one(profiles, names):
    clause = "with 4 orders a customer this cannot be told from chance yet"
    doubts = Doubts({"purchase_value": "halves agree at 0.1"}, (), clause)
    lines = render_profile(profiles.iloc[0], AXES, names, doubts=doubts).splitlines()
    assert [line for line in lines if line.startswith("purchase frequency: ")]
    assert not [line for line in lines if line.startswith("purchase value")]
    assert f"W{clause[1:]}: purchase value (--why shows them)." in lines
    opened = render_profile(profiles.iloc[0], AXES, names, doubts=doubts, why=True)
    assert f"  Weak: {clause}: halves agree at 0.1." in opened.splitlines()
    assert "--why" not in opened


def test_a_provisional_axis_is_marked_where_it_is_not_weak(profiles, names):
    doubts = Doubts({"purchase_value": "why"}, {"purchase_value", "purchase_frequency"})
    text = render_profile(profiles.iloc[0], AXES, names, doubts=doubts, why=True)
    assert "How often do they buy? (provisional: few customers shape its segments)" in text
    assert text.count("provisional") == 1


def test_a_clock_is_told_as_a_time_of_day(profiles, names):
    record = profile_record(profiles.iloc[0])
    record["feature_vectors"]["purchase_frequency"] = {"hour_sin": 0.0, "hour_cos": -1.0}
    record["segment_memberships"]["purchase_cadence"] = record["segment_memberships"]["purchase_frequency"]
    record["feature_vectors"]["purchase_cadence"] = {"hour_sin": 0.0, "hour_cos": -1.0}
    record["evidence"]["purchase_cadence"] = "ok"
    text = render_profile(record, AXES, names | {"purchase_cadence": names["purchase_frequency"]}, why=True)
    assert "Average time of day: 12:00" in text
    assert "sine" not in text


def test_what_a_customer_buys_most_is_said_where_it_may_be(profiles, names):
    tea, jam = {"id": "tea", "lift": 1.43}, {"id": "jam", "lift": 3.2}
    lists = {"categories": [tea, jam], "products": [jam], "reason": None}

    def said(**levels):
        text = render_profile({**profiles.iloc[0], "affinities": json.dumps(lists | levels)}, AXES, names)
        return [line for line in text.splitlines() if line.startswith("Buys most")]

    categories = "Buys most: tea (1.4 times as often as the shop's customers), jam (3 times)"
    assert said() == [f"{categories}; of products jam (3 times)."]
    named = [jam | {"name": "Jam of plums"}]
    assert said(products=named) == [f"{categories}; of products Jam of plums (3 times)."]
    assert said(products=None, reason="products: so it is") == [f"{categories}."]
    assert said(categories=None) == ["Buys most: jam (3 times as often as the shop's customers)."]
    assert said(categories=[], products=None) == []
    assert "Buys most" not in render_profile(profiles.iloc[0], AXES, names)
