from datetime import date

import pandas as pd

from quimbi_assets.lift.assignment import in_control
from quimbi_assets.store import StorePlan
from quimbi_assets.weekly.notifications import MOST_NAMED, SUBJECT, choose_notifications, notification_text

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
    some = alerts(*((f"customer {i}", "newly_at_risk", 100.0 - i, 1.0) for i in range(50)))
    found = choose_notifications(some, {}, "s", WEEK, StorePlan(holdout_share=0.5))
    again = choose_notifications(some[::-1], {}, "s", WEEK, StorePlan(holdout_share=0.5))
    assert found.equals(again)
    held = [in_control("s", SUBJECT, customer, 0.5) for customer in found["customer_id"]]
    assert found["held_out"].tolist() == held
    assert not (found["named"] & found["held_out"]).any()
    # Tried are those named, and who stands among them and was held out: whoever is below would not have been named.
    last = found.index[found["named"]].max()
    assert found["named"].sum() == MOST_NAMED
    assert found["tried"].tolist() == [place <= last for place in range(50)]


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
        "  `a`: 1,234 EUR",
        "Largest migrations:",
        "  1,200 from big spenders to v 2 (fallen silent)",
        "  1,000 from big spenders to x (after an order, a refund or a ticket)",
        "All of it: quimbi drift --store-id s --week 2026-11-16",
    ]


def test_an_id_writes_no_line_of_its_own():
    found = choose_notifications(alerts(("c1`\n*pay* <!channel>", "newly_at_risk", 9.0, 1.0)), {}, "s", WEEK, EVERYBODY)
    assert notification_text("s", WEEK, found, [], "EUR").splitlines()[2] == "  `c1’\ufffd*pay* <!channel>`: 9 EUR"
