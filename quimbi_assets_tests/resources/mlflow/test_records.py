import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.pictures import draw
from quimbi_assets.clustering.promotion import Comparison, Decision, decide
from quimbi_assets.resources.mlflow import records
from quimbi_assets.resources.mlflow.runs import STORE_REFERENCE, Tracking
from quimbi_assets_tests.resources.toy_axis import AS_OF, toy_features, toy_fit, toy_model


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def tracking(database, root):
    return Tracking(database.mlflow_url, root)


@pytest.fixture(scope="module")
def logged(tracking):
    """An axis that passed and one that was held, of one materialization."""
    features = toy_features()
    model = toy_model("frequency", features)
    reference = pd.DataFrame({"kind": ["usual_gap"], "key": [""], "value": [30.5]})
    with records.materialization(tracking, "recorded_shop", "d-1", {"max_k": 6}) as log:
        first = log.axis("frequency", toy_fit(model, pictures=draw(model)), features, AS_OF, reference)
        held = log.axis("frequency", toy_fit(model, decide(Comparison(0.3, 0.0, 0.0, 0.0, 0.0))), features, AS_OF)
        log.inactive("support_history", "no tickets recorded")
    return {"features": features, "model": model, "parent": log.run.run_id, "first": first, "held": held}


def test_a_child_run_holds_what_determined_the_fit(tracking, logged):
    run = tracking.client.get_run(logged["first"].run_id)
    assert run.data.tags["mlflow.parentRunId"] == logged["parent"]
    assert run.data.tags["axis"] == "frequency"
    assert run.data.tags["dagster_run_id"] == "d-1"
    assert run.data.tags["as_of"] == AS_OF
    assert run.data.params["max_k"] == "6"
    assert run.data.params["as_of"] == "2010-06-01"
    assert json.loads(run.data.params["transforms"])["gap"] == "log1p"
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "frequency 2010-06-01"
    parent = tracking.client.get_run(logged["parent"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["option.max_k"] == "6"
    assert parent.data.tags["inactive.support_history"] == "no tickets recorded"


def test_the_experiment_says_how_an_axis_s_fits_are_shown_over_time(tracking, logged):
    experiment = tracking.client.get_experiment_by_name("quimbi/recorded_shop")
    view = json.loads(experiment.tags["mlflow.sharedViewState.frequency"])
    fits = tracking.client.search_runs(
        [experiment.experiment_id], view["searchFilter"], order_by=[f"{view['orderByKey']} ASC"]
    )
    assert {fit.info.run_id for fit in fits} == {logged["first"].run_id, logged["held"].run_id}
    charted = [chart["metricKey"] for chart in view["compareRunCharts"]]
    assert {"silhouette_best", "best_k", "stability_ari_best"} <= set(charted)
    for fit in fits:
        assert set(charted) - {"halves_ari"} <= fit.data.metrics.keys()  # these fits were not tried in halves
    assert len(experiment.tags["mlflow.sharedViewState.frequency"]) < 5_000


@pytest.mark.parametrize("name", records.BY_K)
def test_figures_of_every_candidate_are_steps(tracking, logged, name):
    table = logged["model"].selection_.set_index("k")[name].dropna()
    history = tracking.client.get_metric_history(logged["first"].run_id, name)
    assert {point.step: point.value for point in history} == pytest.approx(table.to_dict())


def test_final_figures(tracking, logged):
    model, metrics = logged["model"], tracking.client.get_run(logged["first"].run_id).data.metrics
    assert metrics["best_k"] == model.k_
    assert metrics["silhouette_best"] == pytest.approx(model.silhouette_)
    assert 1 <= metrics["effective_segments"] <= model.k_
    shares = tracking.client.get_metric_history(logged["first"].run_id, "segment_share")
    assert sum(point.value for point in shares) == pytest.approx(1.0)


def test_a_held_fit_says_why(tracking, logged):
    run = tracking.client.get_run(logged["held"].run_id).data
    assert run.tags["promotion"] == "held"
    assert run.tags["promotion.failed"] == "label_churn"
    assert run.metrics["churn"] == 0.3
    version = tracking.client.get_model_version("recorded_shop.frequency", logged["held"].version)
    assert version.tags["promotion"] == f"held: {run.tags['promotion.reason']}"
    assert logged["held"].reason == run.tags["promotion.reason"]


def test_files_and_dataset_hold_no_customer(tracking, logged, root):
    run_id = logged["first"].run_id
    names = {item.path for item in tracking.client.list_artifacts(run_id)}
    assert {"silhouette_by_k.png", "centres.png", "centres.csv", "centres.json", "selection.csv"} <= names
    assert {"lineage.csv", "reference_bins.csv", "scaler.json", "quantiles.csv", "population.csv"} <= names
    dataset = tracking.client.get_run(run_id).inputs.dataset_inputs[0].dataset
    assert json.loads(dataset.profile)["num_rows"] == 600
    assert dataset.digest == records.digest(logged["features"].sample(frac=1, random_state=1))
    values = [f"{value:.6f}"[:9].encode() for value in logged["features"]["value"]]
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() and path.suffix != ".png" else b""
        assert b"secret_" not in content
        assert sum(value in content for value in values) < 10, path


def test_the_reference_is_kept_beside_the_model_that_has_one(tracking, logged):
    kept = tracking.store_reference(logged["first"].run_id)
    assert kept.to_dict("records") == [{"kind": "usual_gap", "key": "", "value": 30.5}]
    assert tracking.store_reference(logged["held"].run_id) is None
    assert STORE_REFERENCE in {item.path for item in tracking.client.list_artifacts(logged["first"].run_id)}


def test_digest_tells_other_data_apart(logged):
    features = logged["features"]
    changed = features.assign(value=features["value"].mask(features.index == "secret_5", 0.0))
    assert records.digest(features) != records.digest(changed)
    assert records.digest(features) != records.digest(features.rename(columns={"gap": "gaps"}))


def test_a_version_has_signature_example_and_its_segments(tracking, logged):

    from mlflow.models import Model

    version = tracking.client.get_model_version("recorded_shop.frequency", logged["first"].version)
    assert json.loads(version.tags["segment_ids"]) == logged["model"].segment_ids_
    folder = Path(version.source.removeprefix("file://"))
    saved = Model.load(str(folder))
    assert saved.signature.inputs.input_names() == ["value", "gap", "n_orders"]
    example = json.loads((folder / "input_example.json").read_text())["data"]
    assert np.array(example) == pytest.approx(records.input_example(logged["model"]).to_numpy())
    assert any(line.startswith("scikit-learn==") for line in (folder / "requirements.txt").read_text().split())


def test_a_failed_axis_ends_its_run_as_failed(tracking, logged):
    unfitted = toy_fit(logged["model"])._replace(model=AxisModel("value"), decision=Decision(True, "x"))
    with pytest.raises(AttributeError), records.materialization(tracking, "failing_fits", "d-2", {}) as log:
        log.axis("value", unfitted, logged["features"], AS_OF)
    runs = tracking.client.search_runs([tracking.experiment("failing_fits")])
    assert [run.info.status for run in runs] == ["FAILED", "FAILED"]
    assert tracking.registry.segments_named("failing_fits") == {}
