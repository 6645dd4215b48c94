import subprocess
import sys
from urllib.parse import parse_qs

import pytest
from fastapi.testclient import TestClient

from quimbi_assets.api.app import create_app
from quimbi_assets.resources.home import DEFAULT_PAGES, pages_noted
from quimbi_assets.resources.mlflow.records import SHARED_VIEW, fits_over_time
from quimbi_assets.resources.mlflow.runs import Tracking, axis_url, code_version, run_url


@pytest.fixture(scope="module")
def tracking(database, tmp_path_factory):
    return Tracking(database.mlflow_url, tmp_path_factory.mktemp("artifacts"))


def test_a_run_takes_figures_tags_and_files_and_ends_with_its_block(tracking):
    with tracking.run("run_shop", "a run", {"dagster_run_id": "d-1"}) as parent:
        with tracking.run("run_shop", "below", parent=parent) as run:
            run.log({"plain": 1.0}, {"size": 3}, {"kind": "toy"})
            run.log([("stepped", 0.5, 2), ("stepped", 0.25, 3)])
            run.write({"note.txt": "seen", "dot.png": b"\x89PNG"})
        assert tracking.client.get_run(parent.run_id).info.status == "RUNNING"
    found = tracking.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "below"
    assert found.data.tags["mlflow.parentRunId"] == parent.run_id
    assert found.data.tags["store"] == "run_shop"
    assert found.data.tags["mlflow.source.git.commit"] == code_version()
    assert (found.data.tags["kind"], found.data.params["size"], found.data.metrics["plain"]) == ("toy", "3", 1.0)
    steps = {point.step: point.value for point in tracking.client.get_metric_history(run.run_id, "stepped")}
    assert steps == {2: 0.5, 3: 0.25}
    assert {item.path for item in tracking.client.list_artifacts(run.run_id)} == {"note.txt", "dot.png"}
    assert tracking.client.get_experiment(found.info.experiment_id).name == "quimbi/run_shop"
    assert tracking.client.get_run(parent.run_id).data.tags["dagster_run_id"] == "d-1"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_run_that_breaks_off_is_failed_and_the_error_goes_on(tracking, error):
    with pytest.raises(error), tracking.run("failing_shop", "a run") as run:
        raise error
    assert tracking.client.get_run(run.run_id).info.status == "FAILED"


def test_a_deleted_experiment_is_restored(tracking):
    experiment = tracking.experiment("forgotten_shop")
    tracking.client.delete_experiment(experiment)
    assert tracking.experiment("forgotten_shop") == experiment
    assert tracking.client.get_experiment(experiment).lifecycle_stage == "active"


def test_links_lead_to_where_mlflow_is_at_the_time_of_the_click(tracking, database, monkeypatch, tmp_path):
    monkeypatch.setenv("QUIMBI_HOME", str(tmp_path))
    with tracking.run("linked/shop", "a fit", {"axis": "price"}) as run:
        run.write({"centres.png": b"picture"})
    experiment = tracking.experiment("linked/shop")
    client = TestClient(create_app(database), base_url=DEFAULT_PAGES, follow_redirects=False)

    def leads_to(address):
        answer = client.get(address.removeprefix(DEFAULT_PAGES))
        return answer.headers.get("location", answer.status_code)

    page = f"/#/experiments/{experiment}/runs/{run.run_id}"
    assert leads_to(run_url(run.run_id)) == f"http://127.0.0.1:5000{page}"
    monkeypatch.setenv("QUIMBI_MLFLOW_UI", "http://h:2/")
    assert leads_to(run_url(run.run_id)) == f"http://h:2{page}"
    assert (
        leads_to(run_url(run.run_id, "centres.png"))
        == f"http://h:2/get-artifact?path=centres.png&run_uuid={run.run_id}"
    )
    place, _, asked = leads_to(axis_url("linked/shop", "price")).partition("?")
    assert place == f"http://h:2/#/experiments/{experiment}/runs"
    assert parse_qs(asked) == {"compareRunsMode": ["CHART"], "searchFilter": ["tags.axis = 'price'"]}
    tracking.client.set_experiment_tag(experiment, f"{SHARED_VIEW}price", fits_over_time("price"))
    _, _, asked = leads_to(axis_url("linked/shop", "price")).partition("?")
    assert parse_qs(asked) == {"compareRunsMode": ["CHART"], "viewStateShareKey": ["price"]}
    assert leads_to(axis_url("linked/shop", "colour")) == 400
    assert leads_to(run_url("nobody's")) == 400
    assert leads_to(axis_url("no_shop", "price")) == 400
    with pages_noted("http://127.0.0.1:13300"):
        assert run_url("r") == "http://127.0.0.1:13300/mlflow/runs/r"
    assert run_url("r") == f"{DEFAULT_PAGES}/mlflow/runs/r"
    monkeypatch.setenv("QUIMBI_PAGES_UI", "http://pages:1/")
    assert run_url("r") == "http://pages:1/mlflow/runs/r"


NOTES_AND_WAITS = """
import sys
from quimbi_assets.resources.home import pages_noted
with pages_noted("http://127.0.0.1:13301"):
    print("noted", flush=True)
    sys.stdin.read()
"""


def test_a_note_of_who_was_killed_leads_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("QUIMBI_HOME", str(tmp_path))
    monkeypatch.delenv("QUIMBI_PAGES_UI", raising=False)
    command = [sys.executable, "-c", NOTES_AND_WAITS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "noted\n"
        assert run_url("r") == "http://127.0.0.1:13301/mlflow/runs/r"
        server.kill()
        server.wait()
    assert (tmp_path / "pages_address").exists()
    assert run_url("r") == f"{DEFAULT_PAGES}/mlflow/runs/r"


def test_the_command_that_serves_its_pages(tracking):
    command, environment = tracking.serve_command("127.0.0.1", 5055)
    assert tracking.tracking_uri not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == tracking.tracking_uri
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_importing_it_does_not_import_mlflow():
    code = "import sys, quimbi_assets.resources.mlflow.runs; print('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
