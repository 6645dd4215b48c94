import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import skops.io

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.promotion import Comparison, decide
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.code_version import code_version
from quimbi_assets.resources.mlflow import record as model_record
from quimbi_assets.resources.mlflow.model_files import read
from quimbi_assets.resources.mlflow.registry import registered_name
from quimbi_assets.resources.mlflow.tracking import Tracking

TAGS = {"dagster_run_id": "d-1", "as_of": "2010-06-01"}


def toy_features(seed=0):
    rng = np.random.default_rng(seed)
    n_orders = rng.geometric(0.5, 600)
    gap = np.where(n_orders > 1, rng.lognormal(3, 1, 600), np.nan)
    columns = {"value": rng.lognormal(3, 1, 600) * n_orders + 1234.5, "gap": gap, "n_orders": n_orders}
    return pd.DataFrame(columns, index=pd.Index([f"secret_{i}" for i in range(600)], name="customer_id"))


def toy_model(axis, features):
    transforms = {"value": "log1p", "gap": "log1p"}
    return AxisModel(axis, transforms, structural=(("n_orders", 1, "bought_once"),), min_orders=2).fit(features)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def tracking(database, root):
    return Tracking(database.mlflow_url, root)


@pytest.fixture(scope="module")
def logged(tracking):
    """Two axes of one store, the first logged twice."""
    features = toy_features()
    models = {axis: toy_model(axis, features) for axis in ("frequency", "value")}
    parent = tracking.start_parent("tracked_shop", TAGS)
    first = tracking.log_axis_model("tracked_shop", "frequency", models["frequency"], parent, features, TAGS)
    segments = pd.DataFrame({"segment_id": ["frequency_1"], "segment_name": ["once"]})
    second = tracking.log_axis_model(
        "tracked_shop",
        "frequency",
        models["frequency"],
        parent,
        features,
        TAGS,
        segments_table=segments,
        extra_files={"note.txt": "seen"},
    )
    other = tracking.log_axis_model("tracked_shop", "value", models["value"], parent, features, TAGS)
    tracking.log_inactive(parent, "support_history", "no tickets recorded")
    tracking.finish(parent)
    return {"features": features, "models": models, "parent": parent, "runs": [first, second, other]}


def test_a_child_run_holds_what_determined_the_fit(tracking, logged):
    run = tracking.client.get_run(logged["runs"][1].run_id)
    assert run.data.tags["mlflow.parentRunId"] == logged["parent"]
    assert run.data.tags["store"] == "tracked_shop"
    assert run.data.tags["axis"] == "frequency"
    assert run.data.tags["dagster_run_id"] == "d-1"
    assert run.data.tags["as_of"] == "2010-06-01"
    assert run.data.tags["mlflow.source.git.commit"] == code_version()
    assert run.data.params["max_k"] == "6"
    assert json.loads(run.data.params["transforms"])["gap"] == "log1p"
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "frequency 2010-06-01"
    parent = tracking.client.get_run(logged["parent"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["inactive.support_history"] == "no tickets recorded"
    assert parent.info.experiment_id == run.info.experiment_id
    assert tracking.client.get_experiment(run.info.experiment_id).name == "quimbi/tracked_shop"


@pytest.mark.parametrize("name", model_record.BY_K)
def test_figures_of_every_candidate_are_steps(tracking, logged, name):
    table = logged["models"]["frequency"].selection_.set_index("k")[name].dropna()
    history = tracking.client.get_metric_history(logged["runs"][1].run_id, name)
    assert {point.step: point.value for point in history} == pytest.approx(table.to_dict())


def test_final_figures(tracking, logged):
    model, metrics = logged["models"]["frequency"], tracking.client.get_run(logged["runs"][1].run_id).data.metrics
    assert metrics["best_k"] == model.k_
    assert metrics["silhouette_best"] == pytest.approx(model.silhouette_)
    assert 1 <= metrics["effective_segments"] <= model.k_
    shares = tracking.client.get_metric_history(logged["runs"][1].run_id, "segment_share")
    assert sum(point.value for point in shares) == pytest.approx(1.0)


def test_files_and_dataset_hold_no_customer(tracking, logged, root):
    run_id = logged["runs"][1].run_id
    names = {item.path for item in tracking.client.list_artifacts(run_id)}
    assert {"silhouette_by_k.png", "centres.png", "centres.csv", "centres.json", "selection.csv"} <= names
    assert {"segments.csv", "note.txt"} <= names
    dataset = tracking.client.get_run(run_id).inputs.dataset_inputs[0].dataset
    assert json.loads(dataset.profile)["num_rows"] == 600
    assert dataset.digest == model_record.digest(logged["features"].sample(frac=1, random_state=1))
    values = [f"{value:.6f}"[:9].encode() for value in logged["features"]["value"]]
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() and path.suffix != ".png" else b""
        assert b"secret_" not in content
        assert sum(value in content for value in values) < 10, path


def test_digest_tells_other_data_apart(logged):
    features = logged["features"]
    changed = features.assign(value=features["value"].mask(features.index == "secret_5", 0.0))
    assert model_record.digest(features) != model_record.digest(changed)
    assert model_record.digest(features) != model_record.digest(features.rename(columns={"gap": "gaps"}))


def test_champions_are_the_last_versions_and_score_alike(tracking, logged):
    fresh = Tracking(tracking.tracking_uri, tracking.artifact_root)
    loaded = fresh.load_champions("tracked_shop")
    assert {axis: found.version for axis, found in loaded.items()} == {"frequency": "2", "value": "1"}
    assert fresh.champion_versions("tracked_shop", ["value", "unknown"]) == {"value": "1"}
    assert loaded["frequency"].run_id == logged["runs"][1].run_id
    for axis, model in logged["models"].items():
        expected = model.predict_proba(logged["features"])
        np.testing.assert_array_equal(loaded[axis].model.predict_proba(logged["features"]), expected)
    assert fresh.load_champions("tracked_shop")["value"].model is loaded["value"].model


def test_moving_the_alias_changes_what_serves(tracking, logged):
    name = registered_name("tracked_shop", "frequency")
    tracking.client.set_registered_model_alias(name, "champion", "1")
    assert tracking.load_champions("tracked_shop", ["frequency"])["frequency"].run_id == logged["runs"][0].run_id
    tracking.client.set_registered_model_alias(name, "champion", "2")


def aliases(tracking, name):
    return {alias: str(version) for alias, version in tracking.client.get_registered_model(name).aliases.items()}


def test_a_held_version_waits_as_candidate_until_promoted(tracking, logged):
    model, features = logged["models"]["frequency"], logged["features"]
    parent = tracking.start_parent("held_shop")
    first = tracking.log_axis_model("held_shop", "frequency", model, parent, features)
    decision = decide(Comparison(0.3, 0.0, 0.0, 0.0, 0.0))
    held = tracking.log_axis_model("held_shop", "frequency", model, parent, features, decision=decision)
    name = registered_name("held_shop", "frequency")
    assert tracking.champion_versions("held_shop") == {"frequency": first.version}
    assert aliases(tracking, name) == {
        "champion": first.version,
        "present": first.version,
        "candidate": held.version,
    }
    run = tracking.client.get_run(held.run_id).data
    assert run.tags["promotion"] == "held"
    assert run.tags["promotion.failed"] == "label_churn"
    assert run.metrics["churn"] == 0.3
    tracking.promote("held_shop", "frequency", held.version)
    assert aliases(tracking, name) == {"champion": held.version, "present": held.version}
    tracking.promote("held_shop", "frequency", first.version)
    assert tracking.champion_versions("held_shop") == {"frequency": first.version}
    with pytest.raises(BadInputError, match="axis frequency of store held_shop has no model version 9"):
        tracking.promote("held_shop", "frequency", "9")


def test_the_largest_id_of_any_version_is_remembered(tracking, logged):
    features = logged["features"]
    more = toy_model("value", features)
    parent = tracking.start_parent("counting_shop")
    for named in (7, 3):
        more.segments_named_ = named
        tracking.log_axis_model("counting_shop", "value", more, parent, features)
    assert tracking.registry.segments_named("counting_shop") == {"value": 7}
    assert tracking.registry.segments_named("nowhere") == {}


def test_stores_do_not_see_each_other(tracking, logged):
    features = logged["features"]
    odd = "tracked_sho'p %/:1"
    parent = tracking.start_parent(odd)
    tracking.log_axis_model(odd, "value", toy_model("value", features), parent, features)
    assert set(tracking.load_champions(odd)) == {"value"}
    assert tracking.load_champions("tracked") == {}
    assert tracking.load_champions("tracked_sho_") == {}
    assert set(tracking.load_champions("tracked_shop")) == {"frequency", "value"}


def test_a_version_has_signature_example_and_its_segments(tracking, logged):
    from mlflow.models import Model

    version = tracking.client.get_model_version("tracked_shop.frequency", "2")
    assert json.loads(version.tags["segment_ids"]) == logged["models"]["frequency"].segment_ids_
    folder = Path(version.source.removeprefix("file://"))
    saved = Model.load(str(folder))
    assert saved.signature.inputs.input_names() == ["value", "gap", "n_orders"]
    example = json.loads((folder / "input_example.json").read_text())["data"]
    assert np.array(example) == pytest.approx(model_record.input_example(logged["models"]["frequency"]).to_numpy())
    assert any(line.startswith("scikit-learn==") for line in (folder / "requirements.txt").read_text().split())


def test_mlflow_itself_loads_the_model(tracking, logged):
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracking.tracking_uri)
    try:
        model = mlflow.sklearn.load_model("models:/tracked_shop.frequency@champion")
    finally:
        mlflow.set_tracking_uri(before)
    expected = logged["models"]["frequency"].predict(logged["features"])
    np.testing.assert_array_equal(model.predict(logged["features"]), expected)


def test_a_model_file_of_another_kind_is_refused(tmp_path):
    from sklearn.cluster import KMeans

    skops.io.dump({"model": KMeans, "call": Path}, tmp_path / "model.skops")
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        read(tmp_path.as_uri(), "")


def test_a_failed_axis_ends_its_run_as_failed(tracking, logged):
    parent = tracking.start_parent("failing_shop")
    with pytest.raises(AttributeError):
        tracking.log_axis_model("failing_shop", "value", AxisModel("value"), parent, logged["features"])
    tracking.finish(parent, "FAILED")
    runs = tracking.client.search_runs([tracking.experiment("failing_shop")])
    assert [run.info.status for run in runs] == ["FAILED", "FAILED"]
    assert tracking.load_champions("failing_shop") == {}


def test_a_deleted_experiment_is_restored(tracking):
    experiment = tracking.experiment("forgotten_shop")
    tracking.client.delete_experiment(experiment)
    assert tracking.experiment("forgotten_shop") == experiment
    assert tracking.client.get_experiment(experiment).lifecycle_stage == "active"


def test_addresses_and_the_command_that_serves_them(tracking, logged):
    run = logged["runs"][0].run_id
    experiment = tracking.experiment("tracked_shop")
    assert tracking.run_url(run, "http://h:1/") == f"http://h:1/#/experiments/{experiment}/runs/{run}"
    compared = unquote(tracking.comparison_url([run, logged["runs"][1].run_id], "http://h:1"))
    assert f'runs=["{run}", "{logged["runs"][1].run_id}"]' in compared
    command, environment = tracking.serve_command("127.0.0.1", 5055)
    assert tracking.tracking_uri not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == tracking.tracking_uri
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_importing_tracking_does_not_import_mlflow():
    code = "import sys, quimbi_assets.resources.mlflow.tracking; print('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
