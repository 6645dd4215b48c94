"""Runs as of the past: blind to what came later, and no hindrance to what comes after them."""

import pandas as pd
import pytest

from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.decisions import promote_version
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.commands.showing import segments_of
from quimbi_assets.defs.partitions import axis_key
from quimbi_assets.profiles.scores import scores_from_table
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.mlflow.registry import CHURN
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.promotions import read_promotions
from quimbi_assets.resources.postgres.tables.publications import read_archetypes, read_held_reasons
from quimbi_assets.resources.publishing import models_before
from quimbi_assets.simulation import write_store

pytestmark = pytest.mark.xdist_group("as-of")

AXES = ["purchase_value", "purchase_frequency"]
PAST, PRESENT = "2024-10-01", "2026-01-01"


def run(store_id, as_of):
    run_store(store_id, RunOptions(axes=AXES, as_of=as_of), Steps(None, store_id))


def memberships(store_id, axis):
    """Memberships with segments by position: ids are numbered on, whatever becomes of their models."""
    table = parquet_tables().table(axis_key("memberships", axis), store_id)
    scores = scores_from_table(table.read(), table.facts.segment_ids)
    return pd.DataFrame(scores.memberships, index=scores.customers)


def named(store_id):
    return {
        a["axis"]: {s["segment_id"]: s["segment_name"] for s in a["segments"]} for a in segments_of(store_id)["axes"]
    }


def churn(database, store_id):
    columns = "customer_id, churn_risk_score, churn_drivers, model_versions->>'churn_risk' AS version"
    return database.query(
        store_id,
        f"SELECT {columns} FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY customer_id",
        (store_id,),
    ).set_index("customer_id")


def serving(store_id):
    return read_promotions(open_database(), store_id).serving()


@pytest.fixture(scope="module")
def stores(database, tmp_path_factory):
    """A store with three years, run as of now, then of the past; and one that was never told what came later."""
    folder = tmp_path_factory.mktemp("as-of")
    write_store(500, folder, seed=8)
    load_store(database, "whole", folder / "orders.parquet", folder / "order_items.parquet")
    orders = pd.read_parquet(folder / "orders.parquet")
    orders = orders[pd.to_datetime(orders["order_date"], utc=True) < pd.Timestamp(PAST, tz="UTC")]
    items = pd.read_parquet(folder / "order_items.parquet")
    orders.to_parquet(folder / "then.parquet")
    items[items["order_id"].isin(orders["order_id"])].to_parquet(folder / "then_items.parquet")
    load_store(database, "then", folder / "then.parquet", folder / "then_items.parquet")
    run("whole", PRESENT)
    present = named("whole"), serving("whole"), read_archetypes(database, "whole"), churn(database, "whole")
    run("whole", PAST)
    run("then", PAST)
    return present


def test_a_past_run_finds_what_it_would_have_found_then(stores, database):
    for axis in AXES:
        pd.testing.assert_frame_equal(memberships("whole", axis), memberships("then", axis))
        assert list(named("whole")[axis].values()) == list(named("then")[axis].values())
        assert read_held_reasons(open_database(), "whole") == {}
    then = read_archetypes(database, "then")
    assert read_archetypes(database, "whole")["customer_count"].tolist() == then["customer_count"].tolist()


def test_of_the_risk_nothing_later_is_known(stores, database):
    (*_, present) = stores
    past, then = churn(database, "whole"), churn(database, "then")
    assert past["churn_risk_score"].nunique() > 100
    columns = ["churn_risk_score", "churn_drivers"]
    pd.testing.assert_frame_equal(past[columns], then[columns])
    before = read_promotions(database, "whole").predecessors({CHURN: f"{PRESENT} 00:00:00"})
    assert before == {CHURN: present["version"].iloc[0]}


def test_a_past_run_serves_under_ids_of_its_own(stores):
    (present_names, present_versions, *_) = stores
    for axis in AXES:
        assert serving("whole")[axis] != present_versions[axis]
        assert not set(named("whole")[axis]) & set(present_names[axis])


def test_a_second_run_of_the_same_past_goes_on_from_the_first(stores):
    before = named("whole")
    run("whole", PAST)
    assert named("whole") == before


def test_after_it_the_present_goes_on_where_it_was(stores, database):
    (present_names, _, present_archetypes, present_churn) = stores
    run("whole", PRESENT)
    assert read_held_reasons(open_database(), "whole") == {}
    assert named("whole") == present_names
    columns = ["archetype_id", "name", "customer_count"]
    pd.testing.assert_frame_equal(read_archetypes(database, "whole")[columns], present_archetypes[columns])
    again = churn(database, "whole")
    pd.testing.assert_series_equal(again["churn_risk_score"], present_churn["churn_risk_score"])


def test_rolled_back_by_hand_the_present_goes_on_from_there(stores):
    (present_names, present_versions, *_) = stores
    past = {axis: str(max(set(range(1, int(serving("whole")[axis]))) - {int(present_versions[axis])})) for axis in AXES}
    for axis in AXES:
        promote_version("whole", axis, past[axis])
    registry = open_tracking().registry
    found = models_before(open_database(), registry, "whole", dict.fromkeys(AXES, PRESENT))
    assert {axis: model.version for axis, model in found.items()} == past
    for axis in AXES:
        assert not set(found[axis].model.segment_ids_) & set(present_names[axis])
