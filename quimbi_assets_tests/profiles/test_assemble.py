import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import quimbi_assets.profiles.assemble as assembling
from quimbi_assets.marketing.groups import COLUMNS as GROUP_COLUMNS
from quimbi_assets.profiles import expected
from quimbi_assets.profiles.archetype_choice import choose_archetypes
from quimbi_assets.profiles.archetypes import archetype_id
from quimbi_assets.profiles.assemble import profile_batches, profile_customers, profile_schema
from quimbi_assets.profiles.fingerprint import axis_order
from quimbi_assets.profiles.interpretation import STRENGTHS, strengths
from quimbi_assets.profiles.scores import score_features, scores_from_table, scores_to_table

COLUMNS = [
    "store_id", "customer_id", "archetype_id", "segment_memberships", "dominant_segments", "feature_vectors",
    "membership_strength", "stays", "stays_strength", "evidence", "fingerprint", "lifetime_value",
    "churn_risk_score", "churn_drivers",
    *expected.COLUMNS.names, *GROUP_COLUMNS.names, "interpretation", "model_versions", "as_of",
]  # fmt: skip


def some(frames, rows):
    return {axis: frame.iloc[rows] for axis, frame in frames.items()}


def test_the_columns_of_the_table(profiles, features):
    assert profiles.columns.tolist() == COLUMNS
    assert profiles[GROUP_COLUMNS.names].isna().all(axis=None)
    words = {"lifecycle": "new", "value_tier": "top", "rfm_group": "loyal"}
    instants = dict.fromkeys(("first_order_at", "last_order_at"), pd.Timestamp("2025-01-01", tz="UTC"))
    profile_schema().validate(profiles.assign(**words, n_orders=1, days_since_last_order=0.0, **instants))
    assert profiles["customer_id"].tolist() == features["purchase_value"].index.tolist()
    assert profiles["churn_risk_score"].isna().all()
    assert (profiles["as_of"] == pd.Timestamp("2025-01-06", tz="UTC")).all()
    np.testing.assert_allclose(profiles["lifetime_value"].astype(float), features["purchase_value"]["lifetime_value"])
    assert profiles["model_versions"].map(json.loads).tolist() == [
        {"purchase_frequency": "7", "purchase_value": "7"}
    ] * len(profiles)


def test_memberships_sum_to_one_after_the_round_trip(profiles, models, features):
    for row, read in enumerate(profiles["segment_memberships"].map(json.loads)):
        assert list(read) == ["purchase_frequency", "purchase_value"]
        for axis, memberships in read.items():
            assert list(memberships) == models[axis].segment_ids_
            assert abs(sum(memberships.values()) - 1) < 1e-9
            if row % 50 == 0:
                expected = models[axis].predict_proba(features[axis].iloc[[row]])[0]
                assert list(memberships.values()) == expected.tolist()


def test_dominant_segments_strength_evidence_and_archetype_agree(profiles, models, features):
    for row in profiles.iloc[::30].to_dict("records"):
        dominant = json.loads(row["dominant_segments"])
        memberships = json.loads(row["segment_memberships"])
        assert dominant == {axis: max(shares, key=shares.get) for axis, shares in memberships.items()}
        assert row["archetype_id"] == archetype_id(dominant)
        strong = {a: STRENGTHS[strengths(np.array([[*s.values()]]))[0]] for a, s in memberships.items()}
        assert json.loads(row["membership_strength"]) == strong
        own = {axis: features[axis].loc[[row["customer_id"]]] for axis in dominant}
        assert json.loads(row["evidence"]) == {axis: models[axis].evidence(own[axis])[0] for axis in dominant}


def test_the_fingerprint_holds_all_distances_where_its_positions_say(profiles, models, features):
    distances = [models[axis].transform(features[axis].iloc[[4]])[0] for axis in axis_order(models)]
    assert [len(part) for part in distances] == [models[axis].k_ for axis in sorted(models)]
    np.testing.assert_allclose(profiles["fingerprint"].iloc[4], np.concatenate(distances), rtol=1e-6)


def test_one_alone_is_one_in_a_crowd(profiled, profiles, features):
    for row in range(0, 300, 17):
        alone = profiled(some(features, [row]))
        pd.testing.assert_frame_equal(alone, profiles.iloc[[row]].reset_index(drop=True), check_exact=True)


def test_the_order_of_customers_and_axes_does_not_matter(profiled, profiles, features):
    back = {axis: features[axis].iloc[::-1] for axis in reversed(features)}
    again = profiled(back).iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, profiles, check_exact=True)


def test_assembling_stored_scores_gives_the_same_rows(models, context, profiles, features):
    scores = score_features(features, models)
    stored = {a: scores_from_table(scores_to_table(s), s.segment_ids) for a, s in reversed(scores.items())}
    [table] = profile_batches(stored, features, context)
    again = table.to_pandas(types_mapper=pd.ArrowDtype)
    pd.testing.assert_frame_equal(again, profiles, check_exact=True)


def test_batches_leave_no_trace(profiled, profiles, features, monkeypatch):
    monkeypatch.setattr(assembling, "MOST_ROWS", 70)
    pd.testing.assert_frame_equal(profiled(features), profiles, check_exact=True)


def test_extremes_are_scored_like_anybody(profiled, features):
    frames = {axis: frame.iloc[:4].copy() for axis, frame in features.items()}
    frames["purchase_value"]["lifetime_value"] = [1e300, -1e300, np.inf, np.nan]
    frames["purchase_value"]["avg_order_value"] = [1e300, 0.0, np.nan, np.nan]
    profiles = profiled(frames)
    for read in profiles["segment_memberships"].map(json.loads):
        assert abs(sum(read["purchase_value"].values()) - 1) < 1e-9
    assert json.loads(profiles["evidence"].iloc[3])["purchase_value"] == "low"
    assert json.loads(profiles["feature_vectors"].iloc[3])["purchase_value"]["lifetime_value"] is None
    assert profiles["lifetime_value"].isna().tolist()[3]
    assert all(np.isfinite(list(vector)).all() for vector in profiles["fingerprint"])


def test_an_axis_without_features_is_left_out(profiled, features):
    only = {"purchase_frequency": features["purchase_frequency"]}
    row = profiled(only).iloc[0]
    assert list(json.loads(row["dominant_segments"])) == ["purchase_frequency"]
    assert pd.isna(row["lifetime_value"])


def test_nobody(profiled, profiles, features):
    empty = profiled(some(features, slice(0, 0)))
    assert empty.columns.tolist() == COLUMNS
    assert len(empty) == 0
    assert (empty.dtypes == profiles.dtypes).all()


def test_frames_of_different_customers_are_refused(profiled, features):
    mixed = {**features, "purchase_value": features["purchase_value"].iloc[::-1]}
    with pytest.raises(ValueError, match="same customers"):
        profiled(mixed)


def test_no_axis_is_refused(profiled):
    with pytest.raises(ValueError, match="no active axis"):
        profiled({})


def test_segments_need_names(models, context, features):
    nameless = {**context.segments, "purchase_value": context.segments["purchase_value"].iloc[1:]}
    with pytest.raises(ValueError, match="no name for segment purchase_value_1"):
        profile_customers(features, models, replace(context, segments=nameless))


def test_one_alone_is_of_the_kept_archetype_of_the_crowd(models, context, features):
    choice = choose_archetypes(score_features(features, models))
    assert len(choice.kept.segments) > 1
    kept = replace(context, archetypes=choice.kept)
    crowd = profile_customers(features, models, kept)["archetype_id"]
    assert crowd.value_counts().min() >= choice.floor
    assert crowd.tolist() == [choice.kept.ids()[i] for i in choice.position]
    every = range(0, 300, 11)
    alone = [profile_customers(some(features, [row]), models, kept)["archetype_id"].iloc[0] for row in every]
    assert alone == crowd.iloc[::11].tolist()


def test_a_trait_and_the_archetype_name_the_same_segment_of_an_axis(features, models, context, monkeypatch):
    monkeypatch.setattr(assembling, "TOLD_BY_GROUPS", ())
    shared = {axis: rows.assign(population_percentage=10.0) for axis, rows in context.segments.items()}
    few = replace(context.archetypes, segments=context.archetypes.segments[::5])
    rows = profile_customers(features, models, replace(context, segments=shared, archetypes=few))
    made = dict(zip(few.ids(), few.traits(), strict=True))
    named = dict(
        pair for frame in shared.values() for pair in zip(frame["segment_name"], frame["segment_id"], strict=True)
    )
    n_told, n_else = 0, 0
    for row in rows.to_dict("records"):
        dominant, traits = json.loads(row["dominant_segments"]), made[row["archetype_id"]]
        n_else += dominant != traits
        if trait := re.search("They are among the (.+), 10 % of customers", row["interpretation"]):
            n_told += 1
            assert named[trait[1].replace(" ", "_")] in traits.values()
    assert n_told > 20
    assert n_else > 20
