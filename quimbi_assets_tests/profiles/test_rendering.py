import json

import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.profiles.rendering import profile_record, render_profile


def test_a_record_is_plain_json(profiles):
    record = profile_record(profiles.iloc[0])
    assert list(record) == profiles.columns.tolist()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["churn_risk_score"] is None
    assert isinstance(record["segment_memberships"], dict)
    assert record["as_of"] == "2025-01-06T00:00:00+00:00"
    assert record["fingerprint"] == [float(x) for x in profiles["fingerprint"].iloc[0]]


def test_a_record_says_where_a_customer_stands_by_name(profiles, segments):
    names = {axis: dict(zip(own["segment_id"], own["segment_name"], strict=True)) for axis, own in segments.items()}
    record = profile_record(profiles.iloc[0], names)
    assert list(record) == [*profiles.columns, "segments"]
    assert set(record["segments"]) == set(record["dominant_segments"])
    for axis, own in record["segments"].items():
        assert own == {
            "id": record["dominant_segments"][axis],
            "name": names[axis][own["id"]],
            "membership": max(record["segment_memberships"][axis].values()),
            "strength": record["membership_strength"][axis],
        }


def test_nested_columns_may_come_as_dicts(profiles):
    record = profile_record(profiles.iloc[0])
    assert profile_record(record) == record


def test_a_person_reads_it(profiles, segments, features):
    text = render_profile(profiles.iloc[0], AXES, segments, "GBP")
    lines = text.splitlines()
    row = profiles.iloc[0]
    assert lines[0] == f"Customer c000 of store shop, archetype {row['archetype_id']}"
    assert lines[1] == row["interpretation"]
    assert "purchase frequency - How often do they buy?" in lines
    dominant = json.loads(row["dominant_segments"])["purchase_value"]
    name = segments["purchase_value"].set_index("segment_id").loc[dominant, "segment_name"].replace("_", " ")
    share = json.loads(row["segment_memberships"])["purchase_value"][dominant]
    place = lines[lines.index("purchase value - How much do they spend?") + 1]
    assert place.startswith(f"  {name} {100 * share:.0f} %")
    assert (
        f"    Average value of an order, net of refunds: £{features['purchase_value']['avg_order_value'].iloc[0]:.2f}"
        in lines
    )


def test_low_evidence_is_said(profiles, segments, features):
    row = int((features["purchase_value"]["n_orders"] == 1).to_numpy().argmax())
    assert "too few orders to judge" in render_profile(profiles.iloc[row], AXES, segments)


@pytest.mark.parametrize("row", [0, 1, 2])
def test_undefined_features_are_not_listed(profiles, segments, row):
    assert "not known" not in render_profile(profiles.iloc[row], AXES, segments)


def test_the_archetype_is_called_by_name_and_the_most_alike_are_listed(profiles, segments):
    row = profiles.iloc[0]
    lines = render_profile(row, AXES, segments, "GBP", "rare buyers, big baskets", ["c007", "c009"]).splitlines()
    assert lines[0].endswith(f"archetype {row['archetype_id']} (rare buyers, big baskets)")
    assert lines[2] == "Most alike: customers c007, c009."


def test_a_weak_axis_is_marked(profiles, segments):
    text = render_profile(profiles.iloc[0], AXES, segments, weak={"purchase_value"})
    assert text.count("weak axis: its segments may be chance") == 1
    assert "How much do they spend? (weak axis" in text
