"""What ``quimbi customers`` prints, and where a filter's error goes."""

import json
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.customers import entered_on
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.simulation import write_store
from quimbi_assets_tests.resources.published import publish


@pytest.fixture(scope="module")
def shop(database):
    n = 30
    publish(
        database, "lists", n, churn_risk_score=pa.array([i / 100 for i in range(n)]),
        lifecycle=pa.array(["slowing"] * n), value_tier=pa.array(["top"] * n), n_orders=pa.array([3] * n),
        last_order_at=pa.array([datetime(2024, 6, 20, tzinfo=UTC)] * n),
    )  # fmt: skip
    return "lists"


def test_the_first_twenty_with_count_and_worth(quimbi, shop):
    code, out, err = quimbi("customers", "--store-id", shop)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "30 customers, who spent €406; the first 20:"
    assert len(lines) == 22
    assert lines[1].split() == [
        "customer",
        "lifecycle",
        "tier",
        "spent",
        "orders",
        "last",
        "order",
        "risk",
        "next",
        "90",
        "days",
        "archetype",
    ]
    assert lines[2].split() == [
        "c0029",
        "slowing",
        "top",
        "€28.00",
        "3",
        "20",
        "Jun",
        "2024",
        "29",
        "%",
        "-",
        "all",
        "customers",
    ]


def test_json(quimbi, shop):
    code, out, _ = quimbi("customers", "--store-id", shop, "--where", "value = 5", "--json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["customers"], answer["value"], answer["where"]) == (1, 5.0, "value = 5")
    assert answer["rows"][0]["customer_id"] == "c0006"


def test_a_wrong_filter_is_marked_and_nothing_is_printed(quimbi, shop):
    code, out, err = quimbi("customers", "--store-id", shop, "--where", "a = 'few' and valu > 5")
    assert (code, out) == (2, "")
    assert "no field 'valu' (nearest: value)" in err
    assert err.splitlines()[1:] == ["    a = 'few' and valu > 5", "                  ^^^^"]


def test_nobody(quimbi, shop):
    assert quimbi("customers", "--store-id", shop, "--where", "value < 0")[1] == "0 customers\n"


def test_a_list_leaves_as_a_file(quimbi, shop, tmp_path):
    code, out, err = quimbi("customers", "--store-id", shop, "--where", "value > 25", "--csv", tmp_path / "a.csv")
    assert (code, out) == (0, "")
    assert "3 customers written to" in err
    assert "only hashes are kept" in err
    assert quimbi("export", "--store-id", shop, "--format", "csv", "--where", "value > 25", "--out", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert quimbi("export", "--store-id", shop, "--format", "parquet")[0] == 2


def test_what_klaviyo_would_be_sent_is_shown_or_written(quimbi, shop, tmp_path):
    code, out, _ = quimbi("export", "--store-id", shop, "--format", "klaviyo", "--where", "value > 25")
    assert code == 0
    assert out.startswith("dry run, nothing was sent; profiles that changed: 3 (for the first time: 3), requests: 1")
    arguments = ("export", "--store-id", shop, "--format", "klaviyo", "--axes", "a", "--where", "value > 25")
    code, out, err = quimbi(*arguments, "--out", tmp_path / "profiles.jsonl")
    assert (code, out, "3 profiles written to" in err) == (0, "", True)
    profiles = [json.loads(line) for line in (tmp_path / "profiles.jsonl").read_text().splitlines()]
    assert [profile["attributes"]["external_id"] for profile in profiles] == ["c0027", "c0028", "c0029"]
    assert profiles[0]["attributes"]["properties"]["quimbi_a"] == "few"
    assert "quimbi_b" not in profiles[0]["attributes"]["properties"]
    assert quimbi(*arguments, "--send")[0] == 2  # no key
    assert quimbi("export", "--store-id", shop, "--format", "klaviyo", "--axes", "x")[0] == 2


def test_standing_lists_and_audiences(quimbi, shop):
    code, out, _ = quimbi("at-risk", "--store-id", shop)
    assert code == 0
    assert out.startswith("worth_saving: (risk between")
    code, out, _ = quimbi("audiences", "--store-id", shop, "--json")
    first = json.loads(out)[0]
    assert (first["audience"], first["customers"], first["entered"]) == ("worth_saving", 0, None)
    code, out, err = quimbi("customers", "--store-id", shop, "--audience", "nobody")
    assert (code, out) == (2, "")
    assert "there are: worth_saving" in err
    assert quimbi("customers", "--store-id", shop, "--audience", "worth_saving", "--where", "value > 1")[0] == 2


def test_an_audience_that_the_store_does_not_understand_says_so(quimbi, shop, home):
    path = home / "audiences.yaml"
    path.write_text("audiences: {gone: {where: \"purchase_value in ('nobody')\"}}\n")
    try:
        code, out, _ = quimbi("audiences", "--store-id", shop)
    finally:
        path.unlink()
    assert code == 0
    assert "gone  audience gone: " in out


def test_a_store_from_before_says_what_it_lacks(quimbi, database, shop):
    publish(database, "lists-before", 3)
    _, out, err = quimbi("customers", "--store-id", "lists-before", "--where", "lifecycle = 'lost'")
    assert (out, "from before lifecycle" in err) == ("0 customers\n", True)
    assert quimbi("customers", "--store-id", shop, "--where", "lifecycle = 'lost'")[2] == ""


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("risk > 60", "nobody: risk is 0 to 1: write 0.6 for 60 %"),
        ("a.few > 7", "nobody: a.few is 0 to 1: write 0.07 for 7 %"),
        ("predicted_value_365d > 1", "nobody: predicted_value_365d is not known of anybody: a year was not tested"),
        ("entered(a, 'few', 4)", "nobody: no moves are recorded yet: quimbi snapshot --store-id lists-nobody"),
        ("value > 1000000", ""),
    ],
)
def test_a_filter_that_chooses_nobody_says_why(quimbi, database, shop, where, why):
    publish(database, "lists-nobody", 3, prediction_reason=pa.array(["a year was not tested"] * 3))
    code, out, err = quimbi("customers", "--store-id", "lists-nobody", "--where", where)
    assert (code, out) == (0, "0 customers\n")
    assert " ".join(err.split()).startswith(why)
    assert why or not err


def test_similar_customers_in_words_and_json(quimbi, shop):
    code, out, err = quimbi("similar", "--store-id", shop, "--customer-id", "c0002", "--limit", "2")
    assert (code, err) == (0, "")
    first, header, nearest, *_ = out.splitlines()
    assert first == "Customer c0002: few, few"
    assert header.split()[:2] == ["alike", "customer"]
    assert nearest.split()[:3] == ["92", "%", "c0001"]  # half of the others are 13 apart or more
    assert nearest.rstrip().endswith("the same on all 2 axes")
    code, out, _ = quimbi("similar", "--store-id", shop, "--customer-id", "c0002", "--limit", "2", "--json")
    found = json.loads(out)
    assert [one["customer_id"] for one in found["customers"]] == ["c0001", "c0003"]
    assert found["customers"][0]["shared_axes"] == ["a", "b"]
    code, out, err = quimbi("similar", "--store-id", shop, "--customer-id", "nobody")
    assert (code, out) == (2, "")
    assert "no profile of customer nobody" in err


@pytest.mark.parametrize(("text", "why"), [("0001-01-01", "lies before 1980"), ("2999-01-01", "yet to come")])
def test_a_list_counts_from_a_time_that_was(text, why):
    with pytest.raises(BadInputError, match=why):
        entered_on(text, {"form": "csv", "audience": None})


@pytest.mark.parametrize("lines", ["of nobody", "of some"])
def test_customers_without_lines_are_explained(database, quimbi, tmp_path, lines):
    store = f"lines_{lines.replace(' ', '_')}"
    write_store(150, tmp_path, seed=6)
    path, items = tmp_path / "orders.parquet", tmp_path / "order_items.parquet"
    orders = pd.read_parquet(path)
    whose = sorted(orders["customer_id"].dropna().unique())[::40]
    theirs = orders.loc[orders["customer_id"].isin(whose[:2]), "order_id"]
    rows = pd.read_parquet(items)
    rows[rows["order_id"].isin(theirs)].to_parquet(items)
    load_store(database, store, path, items if lines == "of some" else None)
    run_store(store, RunOptions(axes=["purchase_frequency", "purchase_value"]), Steps(None, store))
    for customer in whose:
        code, out, err = quimbi("explain", "--store-id", store, "--customer-id", customer)
        assert code == 0, err
        assert "purchase" in out
