"""On a store with tickets the axes that read them are active, and the planted support archetypes are found."""

import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from quimbi_assets.analysis import open_store
from quimbi_assets.axes import AXES, Features, fit_reference, measure
from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.clustering.axis_fit import FitOptions, axis_model
from quimbi_assets.history import History
from quimbi_assets.simulation import simulate_store
from quimbi_assets.store import Store

READ_TICKETS = ("communication_preference", "support_history")


@pytest.fixture(scope="module")
def measured():
    """A store of 3,000 customers, with and without its tickets."""
    drawn = simulate_store(3_000, seed=0)
    orders = drawn.orders[(drawn.orders["status"] == "paid") & drawn.orders["customer_id"].notna()]
    store = Store(time_zone="America/New_York")
    history = History.from_frames(orders, drawn.order_items, drawn.support_tickets, store)
    reference = fit_reference(history)
    without = Features(measure(History.from_frames(orders, drawn.order_items, store=store), reference=reference))
    features = Features(measure(history, reference=reference))
    found = measure_differences(history, READ_TICKETS, features.recorded, reference)
    return drawn.labels.set_index("customer_id"), without, features, found


def test_tickets_make_one_axis_active_and_leave_the_others_as_they_are(measured):
    _, without, features, _ = measured
    assert set(without.inactive) == {"support_history"}
    assert not features.inactive
    told = ["primary_channel", "preferred_contact_time"]
    for axis, table in without.items():
        words = told if axis == "communication_preference" else []
        pd.testing.assert_frame_equal(table.drop(columns=words), features[axis].drop(columns=words), check_exact=True)
    assert set(features["communication_preference"]["primary_channel"]) > {"email", "phone", "chat", "web"}


@pytest.mark.parametrize(("axis", "at_least"), [("support_history", 0.8), ("communication_preference", 0.9)])
def test_planted_states_are_the_dominant_segments(measured, axis, at_least):
    """Of every customer whose planted state can be seen: 2 tickets or more, or 5 orders; whatever the segment is."""
    labels, _, features, found = measured
    model = axis_model(AXES[axis], FitOptions()).fit(features[axis])
    assert found[axis].with_model(model).status == "active"
    dominant = pd.Series(model.predict(features[axis]), features[axis].index)
    planted = labels[axis].dropna()
    assert adjusted_rand_score(planted, dominant[planted.index]) >= at_least


def test_whoever_never_wrote_is_a_segment_of_their_own(measured):
    features = measured[2]["support_history"]
    model = axis_model(AXES["support_history"], FitOptions()).fit(features)
    never = features["n_tickets"] == 0
    assert model.structural_[0] == "no_ticket_customers"
    assert ((model.predict(features) == 0) == never).all()


@pytest.mark.parametrize("keys", [["email"], ["customer_id", "email"], ["requester_id"]])
def test_tickets_by_a_helpdesks_keys_are_the_same_tickets(measured, keys):
    """By addresses alone, its own ids beside them, or these alone; they are numbers that others have in the shop."""
    customers = pd.DataFrame({"customer_id": measured[0].index})
    customers = customers.assign(
        requester_id=customers["customer_id"].to_numpy()[::-1], email=customers["customer_id"] + "@example.com"
    )
    drawn = simulate_store(3_000, seed=0)
    own = customers.set_index("customer_id").loc[drawn.support_tickets["customer_id"]].reset_index(drop=True)
    own = own.assign(customer_id=own["requester_id"], email=own["email"].str.upper())
    tickets = drawn.support_tickets.drop(columns="customer_id").join(own[keys])
    sent = {"orders": drawn.orders, "items": drawn.order_items, "currency": "USD"}
    known, wanted = (
        open_store(**sent, tickets=tickets, customers=customers),
        open_store(**sent, tickets=drawn.support_tickets),
    )
    assert known.history.tables["raw_tickets"].equals(wanted.history.tables["raw_tickets"])
