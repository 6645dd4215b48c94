"""``quimbi drift`` says what is counted, in the words of the glossary; ``backtest``: what it prints and logs."""

import json
from datetime import date

import pandas as pd
import pytest

from quimbi_assets.commands.over_time import newest_week, print_drift
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets_tests.administrator import administer

pytestmark = pytest.mark.xdist_group("graph")


def alert(customer, kind, cause, axis=None, value=None):
    named = {"from_segment": "v_1", "from_name": "small_spenders", "to_segment": "v_2", "to_name": None}
    return {"customer_id": customer, "alert": kind, "cause": cause, "axis": axis, "lifetime_value": value, **named}


def test_a_week_in_words(capsys):
    week = {
        "store_id": "shop",
        "week": "2026-01-05",
        "compared_with": "2025-12-29",
        "customers": 3000,
        "currency": "GBP",
        "causes": {"acted": 100, "silent": 2900},
        "migrations": [],
        "alerts": [alert("ann", "newly_at_risk", "silent"), alert("bob", "moved", "acted", "purchase_value", 1234.4)],
        "at_risk": [{"week": "2026-01-05", "customer_id": "ann", "risk": 0.5, "lifetime_value": 20}],
        "later_models": [],
        "segment_psi": {},
        "large_psi": 0.25,
        "floors": {"silence_test": None},
    }
    print_drift(week)
    lines = capsys.readouterr().out.splitlines()
    since = "since the snapshot of 2025-12-29: 100 acted, 2,900 silent (only time passed"
    assert f"{since}; 1 has fallen silent this week)" in lines
    assert "  ann  fallen silent (cause: silent)" in lines
    assert "  bob  moved (cause: acted)  purchase_value: small_spenders -> v_2  worth £1,234 so far" in lines
    sorted_by = "newest first, by risk of leaving times value"
    assert f"fallen silent: 1 within 8 weeks who have not ordered since; {sorted_by}" in lines
    assert "  2026-01-05  ann  risk of leaving 50%  worth £20.00 so far" in lines
    print_drift(week | {"alerts": [], "floors": {"silence_test": {"reason": "silence foretells too little"}}})
    lines = capsys.readouterr().out.splitlines()
    assert f"{since})" in lines
    assert "nobody counts as fallen silent: silence foretells too little" in lines


def test_a_backtest_as_json_in_words_and_in_mlflow(quimbi, two_stores, monkeypatch):
    monkeypatch.setattr("quimbi_assets.backtest.evaluation.MOST_CUT_OFFS", 1)
    code, out, _ = quimbi("backtest", "--store-id", "north", "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"store_id", "cuts", "horizon_days", "mlflow_run_id", "mlflow_url", "axes"}
    client = open_tracking().client
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
    monkeypatch.setattr("quimbi_assets.commands.over_time.backtest_of", lambda *_, **__: found)
    code, out, _ = quimbi("backtest", "--store-id", "north")
    assert code == 0
    better = sum(axis["verdict"] == "better" for axis in found["axes"])
    assert f"Segments tell more than as many RFM groups on {better} of" in out
    adding = [axis["axis"] for axis in found["axes"] if axis["added_verdict"] == "better"]
    assert f"Memberships add to RFM on {len(adding)} of" in out
    assert set(adding) <= set(out.replace(",", " ").replace(".", " ").split())


def test_a_backtest_of_an_unknown_store_is_bad_input(quimbi):
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


def test_the_week_that_is_taken_where_none_is_said(database):
    administer(database, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES ('weeks', 'America/New_York')")
    with pytest.raises(BadInputError, match="has no orders"):
        newest_week("weeks")
    # Monday 3 March, 03:00 UTC, is Sunday evening in New York: with that day the week of 24 February is over.
    for number, at in enumerate(("2025-02-20T12:00Z", "2025-03-03T03:00Z")):
        administer(
            database,
            "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
            "VALUES ('weeks', %s, 'a', %s, 1)",
            (str(number), at),
        )
    assert newest_week("weeks") == date(2025, 2, 24)
