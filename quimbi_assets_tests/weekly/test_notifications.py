from datetime import date

import pandas as pd
import pytest

from quimbi_assets.store import StorePlan
from quimbi_assets.weekly.notifications import MOST_NAMED, choose_notifications, is_held_out, notification_text

WEEK = date(2026, 11, 16)
EVERYBODY = StorePlan(repeat_after_weeks=8, holdout_share=0.0)


def alerts(*rows):
    return pd.DataFrame(rows, columns=["customer_id", "alert", "lifetime_value", "churn_risk_score"])


def test_the_most_valuable_at_risk_come_first():
    found = choose_notifications(
        alerts(
            ("a", "newly_at_risk", 100.0, 0.5),
            ("b", "newly_at_risk", 90.0, 0.9),
            ("c", "moved", 1e6, 1.0),
            ("d", "newly_at_risk", 70.0, None),
        ),
        {},
        "s",
        WEEK,
        EVERYBODY,
    )
    assert found["customer_id"].tolist() == ["c", "b", "d", "a"]
    assert found["priority"].tolist() == [1e6, 81.0, 70.0, 50.0]
    assert found.loc[found["named"], "customer_id"].tolist() == ["b", "d", "a"]


def test_ten_at_most_and_nobody_twice_within_eight_weeks():
    many = alerts(*((f"c{i:02}", "newly_at_risk", 100.0 - i, 1.0) for i in range(20)))
    before = {"c00": date(2026, 9, 28), "c01": date(2026, 9, 21), "c02": date(2025, 1, 6)}
    found = choose_notifications(many, before, "s", WEEK, EVERYBODY).set_index("customer_id")
    assert found.index[found["repeated"]].tolist() == ["c00"]
    assert found.index[found["named"]].tolist() == [f"c{i:02}" for i in range(1, MOST_NAMED + 1)]


def test_the_hold_out_is_never_named_and_always_the_same():
    ids = pd.Series([f"customer {i}" for i in range(20_000)])
    held = is_held_out(ids, "s", 0.1)
    assert held.mean() == pytest.approx(0.1, abs=0.01)
    assert (is_held_out(ids[::-1], "s", 0.1)[::-1] == held).all()
    assert (is_held_out(ids, "s", 0.2) >= held).all()
    assert (is_held_out(ids, "other", 0.1) != held).any()
    some = alerts(*((name, "newly_at_risk", 1.0, 1.0) for name in ids[:50]))
    found = choose_notifications(some, {}, "s", WEEK, StorePlan(holdout_share=0.5))
    assert found["held_out"].any()
    assert not (found["named"] & found["held_out"]).any()


def test_nobody_is_nobody():
    assert choose_notifications(alerts(), {}, "s", WEEK, EVERYBODY).empty


def test_the_message_names_ids_and_causes_only():
    found = choose_notifications(alerts(("a", "newly_at_risk", 1234.4, 1.0)), {}, "s", WEEK, EVERYBODY)
    flow = {"axis": "purchase_value", "from_segment": "v_1", "to_segment": "v_2", "from_name": "big_spenders"}
    flows = [
        {**flow, "to_name": None, "cause": "silent", "customers": 1200},
        {**flow, "to_name": "x", "cause": "acted", "customers": 1000},
        {**flow, "to_name": "x", "cause": "model", "customers": 900},
        {**flow, "axis": "archetype", "to_name": "x", "cause": "acted", "customers": 800},
    ]
    assert notification_text("s", WEEK, found, flows, "EUR").splitlines() == [
        "s, week of 16 November 2026: 1 customer has fallen silent",
        "The most valuable of them (risk of leaving times value so far):",
        "  a: 1,234 EUR",
        "Largest migrations:",
        "  1,200 from big spenders to v 2 (fallen silent)",
        "  1,000 from big spenders to x (after an order, a refund or a ticket)",
        "All of it: quimbi drift --store-id s --week 2026-11-16",
    ]
