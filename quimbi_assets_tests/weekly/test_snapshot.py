"""A snapshot at rest, and what has to hold of any week that is made: point in time, the same bytes, in parts."""

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import StoreReference
from quimbi_assets.axis_table import AxisTable, write_table
from quimbi_assets.history import History
from quimbi_assets.marketing import GROUPINGS
from quimbi_assets.simulation import simulate_store
from quimbi_assets.store import Store
from quimbi_assets.weekly.rows import drift_rows, history_rows, migration_rows, population_rows
from quimbi_assets.weekly.snapshot import SnapshotFacts, SnapshotPart, snapshot_schema, take_snapshot, weeks_to_drop
from quimbi_assets_tests.weekly.conftest import Weeks, fitted

WEEKS = [date(2024, 1, 1) + timedelta(days=7 * i) for i in range(104)]
AXES = ["purchase_frequency", "loyalty_trajectory", "value_sophistication"]
END = pd.Timestamp("2025-09-08")


@pytest.fixture(scope="module")
def past():
    store = simulate_store(400, seed=6, end_date="2025-10-31")
    paid = store.orders[store.orders["status"] == "paid"]
    return History.from_frames(paid, store.order_items, None, Store())


@pytest.fixture(scope="module")
def models(past):
    return fitted(past.until("2025-09-01"), AXES)


def watched(history, models, folder, n=3):
    weeks = Weeks(history, models, folder)
    return weeks, [weeks.next(END + pd.Timedelta(days=7 * i)) for i in range(n)]


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_half_a_year_weekly_then_monthly():
    dropped = set(weeks_to_drop(WEEKS))
    kept = [week for week in WEEKS if week not in dropped]
    assert kept[-26:] == WEEKS[-26:]
    older = kept[:-26]
    assert len({(week.year, week.month) for week in older}) == len(older) == 18
    assert all(week.day <= 7 for week in older)


def test_thinning_again_changes_nothing_and_the_next_week_thins_one_more_at_most():
    kept = [week for week in WEEKS if week not in weeks_to_drop(WEEKS)]
    assert weeks_to_drop(kept) == []
    assert len(weeks_to_drop([*kept, WEEKS[-1] + timedelta(days=7)])) <= 1


def test_months_can_end():
    kept = set(WEEKS) - set(weeks_to_drop(WEEKS, weekly_weeks=4, monthly_months=6))
    assert min(kept) >= date(2025, 6, 1)
    assert weeks_to_drop([]) == []


def test_a_part_comes_back_as_models_read_it():
    index = pd.Index(["ann", "bob"], dtype="str", name="customer_id")
    frequency = pd.DataFrame(
        {"orders_per_month": [1.0, 2.0], "avg_days_between_orders": 3.0, "order_count_30d": 1.0}, index
    )
    axis = "purchase_frequency"
    names = snapshot_schema([axis]).field(axis).type.names
    frequency = frequency.reindex(columns=names).assign(n_orders=[3, 4])
    columns = {"digest": [2**63 + 1, 7], "dated_ticket_digest": [0, 2**63 + 3], "undated_ticket_digest": [0, 1]}
    digests = pd.DataFrame(columns, index, dtype="uint64")
    assigned = {axis: np.array(["a_1", "a_2"], dtype=object), "archetype": np.array([None, "x"], dtype=object)}
    assigned |= {name: np.array([groups[0], None], dtype=object) for name, groups in GROUPINGS.items()}
    part = SnapshotPart({axis: frequency}, digests, np.array([0.0, 1.5]), assigned)
    again = SnapshotPart.from_table(part.to_table().cast(snapshot_schema([axis])))
    pd.testing.assert_frame_equal(again.features[axis], frequency.astype(dict.fromkeys(names, "float64")))
    pd.testing.assert_frame_equal(again.digests, digests)
    assert again.surprisal.tolist() == [0.0, 1.5]
    assert {name: ids.tolist() for name, ids in again.assigned.items()} == {a: i.tolist() for a, i in assigned.items()}


def test_a_week_made_again_has_the_same_bytes(past, models, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        watched(past, models, folder)
    assert files(one) == files(other)


def test_a_week_is_blind_to_what_came_later(past, models, tmp_path):
    """Orders, and refunds that lines date: those of orders alone carry no date."""
    last = END + pd.Timedelta(days=14)
    orders, items, _ = past.frames()
    orders = orders.assign(refund_amount=np.nan)
    later = items["refunded_at"] >= last
    undone = items.assign(
        refund_amount=items["refund_amount"].mask(later, 0.0), refunded_at=items["refunded_at"].mask(later)
    )
    assert later.any()
    for folder, rows in (("with", (orders, items)), ("without", (orders[orders["order_date"] < last], undone))):
        (tmp_path / folder).mkdir()
        watched(History.from_frames(*rows, None, past.store), models, tmp_path / folder)
    assert files(tmp_path / "with") == files(tmp_path / "without")


def test_a_store_in_parts_is_the_store_as_a_whole(past, models, monkeypatch):
    history = past.until(END)
    whole = list(take_snapshot(history, models))
    monkeypatch.setattr(History, "parts", lambda self: [self.between("", "c0000150"), self.between("c0000151", "d")])
    parts = list(take_snapshot(history, models))
    assert len(whole) == 1
    assert len(parts) == 2
    rows = pd.concat([history_rows(WEEKS[0], END, part, models) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(rows, history_rows(WEEKS[0], END, whole[0], models))
    digests = pd.concat([part.snapshot.digests for part in parts])
    pd.testing.assert_frame_equal(digests, whole[0].snapshot.digests)
    assert set(rows["customer_id"]) == set(history.customers.to_pylist())


def test_a_comparison_in_parts_is_the_comparison_of_the_whole(past, models, tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    found = []
    for folder, most in ((one, 50_000), (other, 77)):
        folder.mkdir()
        for module in ("rescore", "compare", "rows"):
            monkeypatch.setattr(f"quimbi_assets.weekly.{module}.PART_ROWS", most)
        week = watched(past, models, folder)[1][-1]
        rows = pd.concat(drift_rows(week), ignore_index=True)
        found.append((rows, week.moves.sort_values(["customer_id", "axis_name"], ignore_index=True), week.thresholds))
    (rows, moves, thresholds), (in_parts, moves_in_parts, thresholds_in_parts) = found
    assert len(moves)
    pd.testing.assert_frame_equal(rows, in_parts)
    pd.testing.assert_frame_equal(moves, moves_in_parts)
    assert thresholds == thresholds_in_parts


def test_rows_say_how_far_how_fast_and_why(past, models, tmp_path):
    weeks, found = watched(past, models, tmp_path)
    rows = pd.concat(drift_rows(found[-1]), ignore_index=True)
    known = [json.loads(text)["purchase_frequency"] for text in rows["drift"].dropna()]
    assert {one["cause"] for one in known} == {"acted", "silent"}
    assert all(one["velocity_per_day"] == pytest.approx(one["drift"] / 7, abs=1e-6) for one in known)
    moves = migration_rows(found[-1], END)
    assert set(moves.loc[~moves["axis_name"].isin(GROUPINGS), "cause"]) <= {"acted", "silent"}
    stages = moves[moves["axis_name"] == "lifecycle"]
    assert {"acted", "silent"} <= set(stages["cause"])
    assert stages["drift"].isna().all()
    assert set(moves["from_week"]) == {(END + pd.Timedelta(days=0)).date()}
    population = population_rows(found[-1], weeks.older, models)
    shares = population[population["figure"] == "segment_share"].groupby("axis_name")["value"].sum()
    assert shares.round(12).eq(1).all()
    assert set(population["figure"]) == {"segment_share", "feature_psi", "segment_psi"}
    assert (population["value"] >= 0).all()


def test_nothing_is_said_of_the_drift_of_a_first_snapshot(past, models, tmp_path):
    weeks = Weeks(past, models, tmp_path)
    weeks.next(END)
    table = weeks.comparisons[0].table.read().to_pandas()
    assert set(table["cause"]) == {"new"}
    assert all(pd.isna(one["drift"]) and one["stable_segment"] for one in table["loyalty_trajectory"])


def test_corrected_data_are_told_from_what_customers_did(past, models, tmp_path):
    weeks, _ = watched(past, models, tmp_path, n=2)
    orders, items, _ = past.frames()
    someone = orders.loc[orders["order_date"] < END, "customer_id"].iloc[0]
    first = orders.index[orders["customer_id"] == someone][0]
    orders.loc[first, "total_price"] *= 100
    weeks.history = History.from_frames(orders, items, None, past.store)
    found = weeks.next(END + pd.Timedelta(days=14))
    corrected = found.movement.customers[found.movement.cause == "corrected"]
    assert corrected.tolist() == [someone]
    assert found.alert[found.movement.customers == someone].tolist() == [None]


def test_features_are_measured_anew_where_what_they_are_measured_against_changed(past, models, tmp_path):
    """The older side is then what the new reference would have made of it, and only of the axes that read one."""
    other = StoreReference(
        models.references["loyalty_trajectory"].product_prices, StoreReference.empty().category_prices, 400.0
    )
    new = replace(models, versions=dict.fromkeys(AXES, "2"), references=dict.fromkeys(models.references, other))
    weeks, fresh = Weeks(past, models, tmp_path), tmp_path / "fresh"
    fresh.mkdir()
    weeks.next(END)
    found = weeks.next(END + pd.Timedelta(days=7), new)
    expected = watched(past, new, fresh, n=2)[1][-1]
    for axis in AXES:
        np.testing.assert_array_equal(found.movement.drift[axis], expected.movement.drift[axis])
    assert weeks.older.facts_as(SnapshotFacts).references == new.reference_contents()
    assert new.reference_contents() != models.reference_contents()


@pytest.fixture(scope="module")
def writing():
    """A store with tickets, and its models."""
    store = simulate_store(300, seed=4, end_date="2025-10-31")
    paid = store.orders[store.orders["status"] == "paid"]
    history = History.from_frames(paid, store.order_items, store.support_tickets, Store())
    return history, fitted(history.until("2025-09-01"), ["purchase_frequency", "support_history"])


def only_writers(history, start, end):
    """Ids of customers who wrote between two instants and did nothing else."""
    orders, items, tickets = history.until(end).frames()
    acted = {*orders.loc[orders["order_date"] >= start, "customer_id"]}
    acted |= {*items.loc[items["refunded_at"].between(start, end), "customer_id"]}
    wrote = {*tickets.loc[tickets["created_at"] >= start, "customer_id"]} & {*orders["customer_id"]}
    return sorted(wrote - acted)


def test_who_only_wrote_acted_and_moves_on_support_history(writing, tmp_path):
    """A move that a ticket made is a migration, and an alert where it is far."""
    history, models = writing
    weeks = Weeks(history, models, tmp_path)
    moves, alerts = [], []
    for number in range(6):
        end = END + pd.Timedelta(days=7 * number)
        found = weeks.next(end)
        if found is None:
            continue
        moved = found.movement
        writers = moved.customers.isin(only_writers(history, end - pd.Timedelta(days=7), end))
        assert writers.any()
        assert set(moved.cause[writers]) == {"acted"}
        assert moved.only_wrote[writers].all()
        moves.append(found.moves[found.moves["customer_id"].isin(moved.customers[writers])])
        alerts.extend(found.alert[writers])
    far = pd.concat(moves)
    far = far[(far["axis_name"] == "support_history") & (far["cause"] == "acted")]
    assert len(far)
    assert "moved" in alerts


def test_the_first_comparison_with_a_snapshot_of_before_digests_of_tickets(writing, tmp_path):
    """Nobody was corrected; who wrote since acted."""
    history, models = writing
    weeks, end = Weeks(history, models, tmp_path), END + pd.Timedelta(days=7)
    weeks.next(END)
    old = weeks.older
    place = tmp_path / "old.parquet"
    rows = old.read().drop_columns(["dated_ticket_digest", "undated_ticket_digest"])
    write_table(place, [rows], old.facts_as(SnapshotFacts), rows.schema)
    weeks.older = AxisTable(place)
    moved = weeks.next(end).movement
    assert set(moved.cause) <= {"acted", "silent", "new"}
    writers = moved.customers.isin(only_writers(history, END, end))
    assert set(moved.cause[writers]) == {"acted"}


def test_a_ticket_loaded_late_is_a_corrected_past(writing, tmp_path):
    history, models = writing
    orders, items, tickets = history.frames()
    customers = history.until(END).customers.to_pylist()
    late = tickets[(tickets["created_at"] < END) & tickets["customer_id"].isin(customers)].iloc[[0]]
    fewer = History.from_frames(orders, items, tickets.drop(late.index), history.store)
    weeks = Weeks(fewer, models, tmp_path)
    weeks.next(END)
    weeks.history = history
    moved = weeks.next(END + pd.Timedelta(days=7)).movement
    assert moved.customers[moved.cause == "corrected"].tolist() == late["customer_id"].tolist()
