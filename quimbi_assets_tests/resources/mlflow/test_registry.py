import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import psycopg2
import pytest
import skops.io
from mlflow.exceptions import MlflowException

from quimbi_assets.clustering.promotion import Comparison, decide
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.mlflow import records
from quimbi_assets.resources.mlflow.model_files import read
from quimbi_assets.resources.mlflow.registry import FOR_PAST, PASSED, load_published, registered_name
from quimbi_assets.resources.mlflow.runs import Tracking
from quimbi_assets.resources.postgres.database import is_transient
from quimbi_assets.resources.postgres.tables.promotions import Promotion, Promotions
from quimbi_assets_tests.resources.toy_axis import AS_OF, toy_features, toy_fit, toy_model

HELD = decide(Comparison(0.3, 0.0, 0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def tracking(database, tmp_path_factory):
    return Tracking(database.mlflow_url, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def features():
    return toy_features()


@pytest.fixture(scope="module")
def model(features):
    return toy_model("value", features)


def fitted(tracking, store_id, model, features, decision=None, as_of=AS_OF):
    """Register a model of the axis ``value`` and return it."""
    with records.materialization(tracking, store_id, "d", {}) as log:
        return log.axis("value", toy_fit(model, decision), features, as_of)


def fitted_for_past(tracking, store_id, model, features, as_of=AS_OF, axis="value"):
    """Register a model that scores snapshots of its time only, as churn models are."""
    with tracking.run(store_id, "past") as run:
        return tracking.registry.register(run, store_id, axis, model, features.head(3), as_of, (PASSED, FOR_PAST), {})


def published(*loaded, axis="value", **facts):
    """Promotions of these models, all of them published and none echoed."""
    given = {"by_hand": False, "for_past": False, "is_published": True, "is_echoed": False} | facts
    rows = enumerate(loaded, 1)
    return Promotions(tuple(Promotion(axis, m.version, m.data_end, m.reason, promotion_id=i, **given) for i, m in rows))


def aliases(tracking, store_id):
    found = tracking.client.get_registered_model(registered_name(store_id, "value")).aliases
    return {alias: str(version) for alias, version in found.items()}


def tag(tracking, store_id, loaded):
    return tracking.client.get_model_version(registered_name(store_id, "value"), loaded.version).tags["promotion"]


def test_a_version_is_a_candidate_until_it_is_published(tracking, model, features):
    first = fitted(tracking, "waiting_shop", model, features)
    assert aliases(tracking, "waiting_shop") == {"candidate": first.version}
    assert tag(tracking, "waiting_shop", first) == "passed: first fit"
    assert tracking.registry.follow("waiting_shop", published(first)) == [1]
    assert aliases(tracking, "waiting_shop") == {"champion": first.version}
    assert tag(tracking, "waiting_shop", first) == "promoted: first fit"
    held = fitted(tracking, "waiting_shop", model, features, HELD)
    serving = {"champion": first.version, "candidate": held.version}
    assert aliases(tracking, "waiting_shop") == serving
    assert tracking.registry.follow("waiting_shop", published(first, is_echoed=True)) == []
    assert aliases(tracking, "waiting_shop") == serving
    tracking.registry.follow("waiting_shop", published(first, held, first, by_hand=True))
    assert aliases(tracking, "waiting_shop") == serving  # rolled back: the one held waits again


def test_a_connection_that_breaks_at_the_name_is_tried_again(tracking, model, features, monkeypatch):
    def broken(*_, **__):
        raise MlflowException("db gone") from psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(tracking.client, "create_registered_model", broken)
    with pytest.raises(MlflowException, match="db gone") as raised:
        fitted(tracking, "broken", model, features)
    assert is_transient(raised.value)


def test_a_model_that_could_not_be_saved_is_not_left_half_saved(tracking, model, features, monkeypatch):
    finalize = type(tracking.client).finalize_logged_model

    def cut(self, model_id, status):
        if status == "READY":
            raise MlflowException("the connection was cut")
        return finalize(self, model_id, status)

    monkeypatch.setattr(type(tracking.client), "finalize_logged_model", cut)
    with pytest.raises(MlflowException, match="was cut"):
        fitted(tracking, "cut_shop", model, features)
    experiment = tracking.client.get_experiment_by_name("quimbi/cut_shop")
    saved = tracking.client.search_logged_models([experiment.experiment_id])
    assert [str(one.status) for one in saved] == ["FAILED"]


def test_aliases_moved_in_mlflow_s_pages_are_put_back(tracking, model, features):
    first, second = (fitted(tracking, "moved_shop", model, features) for _ in range(2))
    tracking.registry.follow("moved_shop", published(first, second))
    tracking.client.set_registered_model_alias(registered_name("moved_shop", "value"), "champion", first.version)
    tracking.registry.follow("moved_shop", published(first, second, is_echoed=True))
    assert aliases(tracking, "moved_shop") == {"champion": second.version}


def test_served_models_are_read_without_mlflow_as_with_it(database, tracking, model, features):
    second = [fitted(tracking, "served_shop", model, features) for _ in range(2)][1]
    versions = {"value": second.version}
    (theirs,) = tracking.registry.load_versions("served_shop", versions).values()
    (ours,) = load_published(database, "served_shop", versions).values()
    assert (ours.version, ours.run_id, ours.data_end, ours.reason) == (
        theirs.version, theirs.run_id, theirs.data_end, theirs.reason,
    )  # fmt: skip
    np.testing.assert_array_equal(ours.model.predict_proba(features), theirs.model.predict_proba(features))
    with pytest.raises(BadInputError, match="axis value of store served_shop has no model version 9"):
        load_published(database, "served_shop", {"value": "9"})


def test_what_was_chosen_and_not_published_moves_nothing(tracking, model, features):
    first = fitted(tracking, "chosen_shop", model, features)
    assert tracking.registry.follow("chosen_shop", published(first, is_published=False)) == []
    assert aliases(tracking, "chosen_shop") == {"candidate": first.version}
    assert tag(tracking, "chosen_shop", first) == "passed: first fit"


def test_a_run_as_of_the_past_serves_and_the_present_stays(tracking, model, features):
    now = fitted(tracking, "past_shop", model, features)
    then = fitted(tracking, "past_shop", model, features, as_of="2009-06-01 00:00:00")
    tracking.registry.follow("past_shop", published(now, then))
    assert aliases(tracking, "past_shop") == {"champion": then.version}


def test_models_for_snapshots_of_the_past_move_no_alias(tracking, model, features):
    now = fitted(tracking, "snapshot_shop", model, features)
    waits = fitted(tracking, "snapshot_shop", model, features, HELD)
    tracking.registry.follow("snapshot_shop", published(now))
    before = aliases(tracking, "snapshot_shop")
    past = fitted_for_past(tracking, "snapshot_shop", model, features, as_of="2009-06-01 00:00:00")
    assert past.reason == FOR_PAST
    rows = published(now, is_echoed=True).rows + published(past, for_past=True, is_published=False).rows
    tracking.registry.follow("snapshot_shop", Promotions(rows))
    assert aliases(tracking, "snapshot_shop") == before == {
        "champion": now.version, "candidate": waits.version,
    }  # fmt: skip
    assert tag(tracking, "snapshot_shop", past) == f"promoted: {FOR_PAST}"


def test_versions_are_loaded_as_they_were_fitted(tracking, model, features):
    first = fitted(tracking, "loading_shop", model, features)
    fresh = Tracking(tracking.tracking_uri, tracking.artifact_root).registry
    (loaded,) = fresh.load_versions("loading_shop", {"value": first.version}).values()
    np.testing.assert_array_equal(loaded.model.predict_proba(features), model.predict_proba(features))
    assert (loaded.version, loaded.run_id, loaded.data_end) == (first.version, first.run_id, pd.Timestamp(AS_OF))
    assert loaded.reason == "first fit"
    assert loaded.choice().reason == "first fit"
    assert loaded.choice(by_hand=True).reason == "by hand"
    assert fresh.load_versions("loading_shop", {"value": first.version})["value"].model is loaded.model
    with pytest.raises(BadInputError, match="axis value of store loading_shop has no model version 9"):
        fresh.load_versions("loading_shop", {"value": "9"})
    place = fresh.client.get_model_version(registered_name("loading_shop", "value"), first.version).source
    shutil.rmtree(Path(unquote(urlsplit(place).path)))
    again = Tracking(tracking.tracking_uri, tracking.artifact_root).registry
    with pytest.raises(BadInputError, match=f"value of store loading_shop: the files of model version {first.version}"):
        again.load_versions("loading_shop", {"value": first.version})


def test_the_largest_id_of_any_version_is_remembered(tracking, features):
    more = toy_model("value", features)
    for named in (7, 3):
        more.segments_named_ = named
        fitted(tracking, "counting_shop", more, features)
    assert tracking.registry.segments_named("counting_shop") == {"value": 7}
    assert tracking.registry.segments_named("nowhere") == {}


def test_stores_do_not_see_each_other(tracking, model, features):
    odd = "tracked_sho'p %/:1"
    first = fitted(tracking, odd, model, features)
    assert set(tracking.registry.segments_named(odd)) == {"value"}
    assert set(tracking.registry.load_versions(odd, {"value": first.version})) == {"value"}
    for other in ("tracked_sho", "tracked_sho_", "tracked_sho%"):
        assert tracking.registry.segments_named(other) == {}


def test_no_name_of_an_axis_leads_to_another_store_s_models(database, tracking, model, features):
    """The store ``eu`` asks for an axis ``shop.value``, which is what the store ``eu.shop`` registers as ``value``."""
    theirs = fitted(tracking, "eu.shop", model, features)
    crafted, axis = {"shop.value": theirs.version}, "shop.value"

    def tags():
        return tracking.client.get_model_version(registered_name("eu.shop", "value"), theirs.version).tags

    before = tags()
    for ask in (
        lambda: tracking.registry.load_versions("eu", crafted),
        lambda: load_published(database, "eu", crafted),
        lambda: tracking.registry.lineages("eu", [axis], []),
        lambda: tracking.registry.weak_axes("eu", {axis: AS_OF}),
        lambda: tracking.registry.judged("eu", axis, theirs.version, "weak"),
        lambda: fitted_for_past(tracking, "eu", model, features, axis=axis),
    ):
        with pytest.raises(BadInputError, match=r"there is no axis 'shop\.value'"):
            ask()
    assert tracking.registry.segments_named("eu") == {}
    assert tracking.experiment("eu") != tracking.experiment("eu.shop")
    with tracking.run("eu.shop", "under way") as run:
        assert tracking.end_left("eu") == 0
        assert tracking.client.get_run(run.run_id).info.status == "RUNNING"
    assert tags() == before


def test_lineage_of_what_was_fitted_since_the_last_one_published(tracking, model, features):
    loaded = [fitted(tracking, "lineage_shop", model, features, decision) for decision in (None, HELD, None)]
    fitted_for_past(tracking, "lineage_shop", model, features)
    registry = tracking.registry
    every = registry.lineages("lineage_shop", ["value", "unknown"], [])
    assert [version for _, version, _ in every] == [one.version for one in reversed(loaded)]
    pd.testing.assert_frame_equal(every[0][2], model.lineage_)
    known = [("value", loaded[1].version), ("other", loaded[2].version)]
    assert [version for _, version, _ in registry.lineages("lineage_shop", ["value"], known)] == [loaded[2].version]


def test_an_axis_is_weak_if_its_last_fit_by_an_instant_was(tracking, model, features):
    first = fitted(tracking, "weak_shop", model, features)
    later = fitted(tracking, "weak_shop", model, features, HELD, as_of="2010-07-01 00:00:00")
    tracking.client.set_tag(later.run_id, "status", "weak")
    assert tracking.registry.weak_axes("weak_shop", {"value": pd.Timestamp("2010-08-01")}) == {"value"}
    assert tracking.registry.weak_axes("weak_shop", {"value": first.data_end}) == frozenset()


def test_mlflow_itself_loads_the_model(tracking, model, features):
    import mlflow

    first = fitted(tracking, "standard_shop", model, features)
    tracking.registry.follow("standard_shop", published(first))
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracking.tracking_uri)
    try:
        loaded = mlflow.sklearn.load_model("models:/standard_shop.value@champion")
    finally:
        mlflow.set_tracking_uri(before)
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))


def test_a_model_file_of_another_kind_is_refused(tmp_path):
    from sklearn.cluster import KMeans

    skops.io.dump({"model": KMeans, "call": Path}, tmp_path / "model.skops")
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        read(tmp_path.as_uri(), "")
