"""`quimbi backtest`: what it prints and what it leaves in MLflow."""

import json

import pandas as pd
import pytest

from quimbi_assets.resources.dagster_resources import MlflowTracking

pytestmark = pytest.mark.xdist_group("graph")


def test_json_text_and_mlflow(quimbi, two_stores, monkeypatch):
    monkeypatch.setattr("quimbi_assets.backtest.evaluation.MOST_CUT_OFFS", 1)
    code, out, _ = quimbi("backtest", "--store-id", "north", "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"store_id", "cuts", "horizon_days", "mlflow_run_id", "mlflow_url", "axes"}
    client = MlflowTracking().tracking().client
    run = client.get_run(found["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "backtest"
    for axis in found["axes"]:
        if axis["segments"] is not None:
            assert run.data.metrics[f"{axis['axis']}.segments"] == pytest.approx(axis["segments"])
            assert run.data.metrics[f"{axis['axis']}.memberships"] == pytest.approx(axis["memberships"])
            assert run.data.metrics[f"{axis['axis']}.rfm"] == pytest.approx(axis["rfm"])
    assert {file.path for file in client.list_artifacts(found["mlflow_run_id"])} == {
        "backtest.csv", "backtest_by_cut.csv", "backtest.png",
    }  # fmt: skip
    monkeypatch.setattr("quimbi_assets.commands.backtesting.backtest_of", lambda *_, **__: found)
    code, out, _ = quimbi("backtest", "--store-id", "north")
    assert code == 0
    better = sum(axis["verdict"] == "better" for axis in found["axes"])
    assert f"Segments tell more than RFM on {better} of" in out
    fuzzy = sum(axis["memberships_verdict"] == "better" for axis in found["axes"])
    assert f"memberships on {fuzzy} (90 % intervals)" in out


def test_an_unknown_store_is_bad_input(quimbi):
    code, out, err = quimbi("backtest", "--store-id", "nowhere")
    assert (code, out) == (2, "")
    assert "unknown store 'nowhere'" in err.splitlines()[-1]


def test_a_history_too_short_is_bad_input(quimbi, tmp_path):
    days = pd.date_range("2025-01-01", periods=40, freq="D")
    orders = pd.DataFrame({"order_id": range(40), "customer_id": [i % 9 for i in range(40)], "order_date": days})
    orders.assign(total_price=10.0).to_csv(tmp_path / "orders.csv", index=False)
    items = pd.DataFrame({"order_id": range(40), "product_id": "p", "quantity": 1, "price": 10.0})
    items.to_csv(tmp_path / "items.csv", index=False)
    files = ["--orders", str(tmp_path / "orders.csv"), "--items", str(tmp_path / "items.csv")]
    assert quimbi("load", "--store-id", "young", *files)[0] == 0
    code, out, err = quimbi("backtest", "--store-id", "young")
    assert (code, out) == (2, "")
    assert "a backtest needs 180 days of orders; this store has fewer" in err.splitlines()[-1]
