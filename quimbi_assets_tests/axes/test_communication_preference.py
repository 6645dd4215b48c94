import pytest

AXIS = "communication_preference"


def test_by_hand(store):
    for hour, source in enumerate(("web", "web", "pos", "shopify_draft_order"), start=12):
        store.order(f"2025-01-04 {hour}:00", source=source)
    row = store.measure(AXIS, "2025-02-01")
    assert (row["channel_web"], row["channel_pos"], row["channel_draft_order"], row["channel_other"]) == (
        0.5,
        0.25,
        0.25,
        0,
    )
    assert row["channel_switching_rate"] == pytest.approx(2 / 3)
    assert (row["weekend_ratio"], row["business_hours_ratio"]) == (1, 0)
    assert (row["primary_channel"], row["preferred_contact_time"]) == ("web", "afternoon")


@pytest.mark.parametrize(
    ("source", "channel"),
    [
        *(("Online Store", "web"), ("WEB", "web"), ("In-Store", "pos"), ("Shopify POS", "pos")),
        *(("Draft", "draft_order"), ("Amazon", "other"), ("cobweb", "other"), ("position", "other")),
    ],
)
def test_channel_names(store, source, channel):
    assert store.order(0, source=source).measure(AXIS, 10)["primary_channel"] == channel


def test_one_order_cannot_switch(store):
    assert store.order(0, source="web").measure(AXIS, 10)["channel_switching_rate"] is None


def test_unknown_channels_are_left_out_not_counted_as_steady(store):
    store.order(0, source="web").order(1).order(2, source="pos")
    store.order(0, customer="bob").order(1, customer="bob")
    row, bob = store.measure(AXIS, 10), store.measure(AXIS, 10, customer="bob")
    assert (row["channel_web"], row["channel_switching_rate"]) == (0.5, None)  # no two known orders in a row
    assert (bob["channel_web"], bob["channel_switching_rate"], bob["primary_channel"]) == (None, None, None)


def test_whoever_wrote_is_reached_where_and_when_they_wrote(store):
    for day in range(3):
        store.order(day + 0.5, source="web").order(day + 0.5, source="pos", customer="bob")
    before = store.measure(AXIS, 10), store.measure(AXIS, 10, customer="bob")
    store.ticket(3.9, channel="E-Mail").ticket(4.9, channel="E-Mail").ticket(5.4)
    row, bob = store.measure(AXIS, 10), store.measure(AXIS, 10, customer="bob")
    assert (row["primary_channel"], row["preferred_contact_time"]) == ("e-mail", "evening")
    told = {"primary_channel": "e-mail", "preferred_contact_time": "evening"}
    assert row == before[0] | told  # shares stay those of orders, which everybody has
    assert bob == before[1]


def test_tickets_without_a_channel_leave_that_of_orders(store):
    row = store.order(0.5, source="web").ticket(0.9).measure(AXIS, 10)
    assert (row["primary_channel"], row["preferred_contact_time"]) == ("web", "evening")


def test_tickets_yet_to_come_reach_nobody(store):
    row = store.order(0.5, source="web").ticket(10, channel="chat").measure(AXIS, 10)
    assert (row["primary_channel"], row["preferred_contact_time"]) == ("web", "afternoon")
