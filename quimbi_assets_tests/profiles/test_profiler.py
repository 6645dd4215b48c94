import json

import numpy as np
import pandas as pd
import pytest

import quimbi_assets.profiles.assemble as assembling
from quimbi_assets.profiles.archetype_choice import choose_archetypes
from quimbi_assets.profiles.archetypes import archetype_id
from quimbi_assets.profiles.assemble import PROFILE_SCHEMA, Profiler, profile_batches
from quimbi_assets.profiles.fingerprint import axis_order
from quimbi_assets.profiles.interpretation import STRENGTHS, strengths
from quimbi_assets.profiles.scores import scores_from_table, scores_to_table

COLUMNS = [
    "store_id", "customer_id", "archetype_id", "segment_memberships", "dominant_segments", "feature_vectors",
    "membership_strength", "evidence", "fingerprint", "lifetime_value", "churn_risk_score", "churn_drivers",
    "interpretation", "model_versions", "as_of",
]  # fmt: skip


def some(frames, rows):
    return {axis: frame.iloc[rows] for axis, frame in frames.items()}


def test_the_columns_of_the_table(profiles, features):
    assert profiles.columns.tolist() == COLUMNS
    PROFILE_SCHEMA.validate(profiles)
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


def test_the_fingerprint_holds_all_distances_where_its_positions_say(profiles, profiler, models, features):
    distances = [models[axis].transform(features[axis].iloc[[4]])[0] for axis in axis_order(models)]
    assert [len(part) for part in distances] == [models[axis].k_ for axis in sorted(models)]
    np.testing.assert_allclose(profiles["fingerprint"].iloc[4], np.concatenate(distances), rtol=1e-6)


def test_one_alone_is_one_in_a_crowd(profiler, profiles, features):
    for row in range(0, 300, 17):
        alone = profiler.profile(some(features, [row]))
        pd.testing.assert_frame_equal(alone, profiles.iloc[[row]].reset_index(drop=True), check_exact=True)


def test_the_order_of_customers_and_axes_does_not_matter(profiler, profiles, features):
    back = {axis: features[axis].iloc[::-1] for axis in reversed(features)}
    again = profiler.profile(back).iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, profiles, check_exact=True)


def test_assembling_stored_scores_gives_the_same_rows(profiler, profiles, features):
    scores = profiler.scores(features)
    stored = {a: scores_from_table(scores_to_table(s), s.segment_ids) for a, s in reversed(scores.items())}
    [table] = profile_batches(stored, features, profiler.context)
    again = table.to_pandas(types_mapper=pd.ArrowDtype)
    pd.testing.assert_frame_equal(again, profiles, check_exact=True)


def test_batches_leave_no_trace(profiler, profiles, features, monkeypatch):
    monkeypatch.setattr(assembling, "MOST_ROWS", 70)
    pd.testing.assert_frame_equal(profiler.profile(features), profiles, check_exact=True)


def test_extremes_are_scored_like_anybody(profiler, features):
    frames = {axis: frame.iloc[:4].copy() for axis, frame in features.items()}
    frames["purchase_value"]["lifetime_value"] = [1e300, -1e300, np.inf, np.nan]
    frames["purchase_value"]["avg_order_value"] = [1e300, 0.0, np.nan, np.nan]
    profiles = profiler.profile(frames)
    for read in profiles["segment_memberships"].map(json.loads):
        assert abs(sum(read["purchase_value"].values()) - 1) < 1e-9
    assert json.loads(profiles["evidence"].iloc[3])["purchase_value"] == "low"
    assert json.loads(profiles["feature_vectors"].iloc[3])["purchase_value"]["lifetime_value"] is None
    assert profiles["lifetime_value"].isna().tolist()[3]
    assert all(np.isfinite(list(vector)).all() for vector in profiles["fingerprint"])


def test_an_axis_without_features_is_left_out(profiler, features):
    only = {"purchase_frequency": features["purchase_frequency"]}
    row = profiler.profile(only).iloc[0]
    assert list(json.loads(row["dominant_segments"])) == ["purchase_frequency"]
    assert pd.isna(row["lifetime_value"])


def test_nobody(profiler, profiles, features):
    empty = profiler.profile(some(features, slice(0, 0)))
    assert empty.columns.tolist() == COLUMNS
    assert len(empty) == 0
    assert (empty.dtypes == profiles.dtypes).all()


def test_frames_of_different_customers_are_refused(profiler, features):
    mixed = {**features, "purchase_value": features["purchase_value"].iloc[::-1]}
    with pytest.raises(ValueError, match="same customers"):
        profiler.profile(mixed)


def test_no_axis_is_refused(profiler):
    with pytest.raises(ValueError, match="no active axis"):
        profiler.profile({})


def test_models_need_names_and_versions(models, segments):
    nameless = {**segments, "purchase_value": segments["purchase_value"].iloc[1:]}
    with pytest.raises(ValueError, match="no name for segment purchase_value_1"):
        Profiler(models, nameless, dict.fromkeys(models, "1"), store_id="s", as_of=pd.Timestamp(0))
    with pytest.raises(ValueError, match="no version"):
        Profiler(models, segments, {}, store_id="s", as_of=pd.Timestamp(0))


def test_one_alone_is_of_the_kept_archetype_of_the_crowd(models, segments, features, profiler):
    choice = choose_archetypes(profiler.scores(features))
    assert len(choice.kept.segments) > 1
    versions = dict.fromkeys(models, "7")
    kept = Profiler(models, segments, versions, store_id="shop", as_of=pd.Timestamp(0), archetypes=choice.kept)
    crowd = kept.profile(features)["archetype_id"]
    assert crowd.value_counts().min() >= choice.floor
    assert crowd.tolist() == [choice.kept.ids()[i] for i in choice.position]
    alone = [kept.profile(some(features, [row]))["archetype_id"].iloc[0] for row in range(0, 300, 11)]
    assert alone == crowd.iloc[::11].tolist()
