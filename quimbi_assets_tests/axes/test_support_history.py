import pytest

from quimbi_assets.axes import AXES

AXIS = "support_history"
HOUR = 1 / 24


@pytest.fixture
def helped(store):
    """Ann ordered four times and wrote twice; Bob ordered once and never wrote."""
    for day in (0, 10, 20, 30):
        store.order(day)
    store.order(5, customer="bob")
    store.ticket(2, 2 + 3 * HOUR, 2 + 10 * HOUR, channel="chat", tags="Shipping", satisfaction_score=5, reopen_count=0)
    store.ticket(21, 22, 23, channel="email", tags="complaint,vip", satisfaction_score=2, reopen_count=2)
    return store


def test_by_hand(helped):
    row = helped.measure(AXIS, 40)
    assert row["tickets_per_order"] == 2 / 4
    assert row["avg_first_response_hours"] == pytest.approx((3 + 24) / 2)
    assert row["avg_resolution_hours"] == pytest.approx((10 + 48) / 2)
    assert (row["reopen_rate"], row["satisfaction_avg"], row["negative_rate"]) == (0.5, 3.5, 0.5)
    assert (row["topic_shipping"], row["topic_complaint"]) == (0.5, 0.5)
    assert (row["topic_product_question"], row["topic_return_request"]) == (0, 0)
    assert (row["n_tickets"], row["last_ticket_at"], row["primary_ticket_channel"]) == (2, "2025-01-22", "chat")


def test_whoever_never_wrote_has_no_tickets_and_nothing_is_known_of_their_help(helped):
    row = helped.measure(AXIS, 40, customer="bob")
    assert {name for name, value in row.items() if value is not None} == {"tickets_per_order", "n_tickets", "n_orders"}
    assert row["tickets_per_order"] == 0
    assert next(state for state in AXES[AXIS].structural).name == "no_ticket_customers"


def test_whoever_never_ordered_is_not_profiled(helped):
    helped.ticket(1, customer="cem")
    assert list(helped.features(40, axes=[AXIS])[AXIS].index) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("end", "known"),
    [
        (21, (1, 3.0, 10.0, 5.0, 0.0)),  # the second ticket does not exist yet
        (21.5, (2, 3.0, 10.0, 5.0, 0.0)),  # written, not answered
        (22, (2, 3.0, 10.0, 5.0, 0.0)),  # answered at that very instant: not yet
        (22.5, (2, 13.5, 10.0, 5.0, 0.0)),  # answered, not resolved, hence not rated and not reopened
        (23.5, (2, 13.5, 29.0, 3.5, 0.5)),
    ],
)
def test_what_happens_to_a_ticket_is_unknown_before_it_happens(helped, end, known):
    row = helped.measure(AXIS, end)
    names = ("n_tickets", "avg_first_response_hours", "avg_resolution_hours", "satisfaction_avg", "reopen_rate")
    assert tuple(row[name] for name in names) == pytest.approx(known)


@pytest.mark.parametrize(("answered", "known_from"), [(5, 5), (None, 2)])
def test_without_a_resolution_a_rating_is_known_from_the_response_or_the_creation(store, answered, known_from):
    store.order(0).ticket(1, 1, 1, satisfaction_score=5, reopen_count=0)
    store.ticket(2, answered, satisfaction_score=4, reopen_count=1)
    before, after = store.measure(AXIS, known_from), store.measure(AXIS, known_from + 0.5)
    assert (before["satisfaction_avg"], before["reopen_rate"]) == (5, 0)
    assert (after["satisfaction_avg"], after["reopen_rate"]) == (4.5, 0.5)


def test_an_answer_before_the_question_is_not_known(store):
    store.order(0).ticket(2, 1, 4).ticket(3, 3 + HOUR, 2)
    row = store.measure(AXIS, 10)
    assert (row["avg_first_response_hours"], row["avg_resolution_hours"]) == (pytest.approx(1), pytest.approx(48))


@pytest.mark.parametrize(
    ("tags", "subject", "topics"),
    [
        ("shipping,delivery", None, {"shipping"}),
        ("WISMO", None, {"shipping"}),
        ("return_request,refund", "Where is my order?", {"return_request"}),  # tags come first
        ("vip,urgent", "Where is my order?", {"shipping"}),  # and tell no topic here
        (None, "I'd like to send the shoes back", {"return_request"}),
        (None, "Damaged on delivery", {"shipping", "complaint"}),  # several may be true
        ("complaint,delivery", None, {"shipping", "complaint"}),
        (None, "A question about this product", {"product_question"}),
        ("pre-sale", None, {"product_question"}),
        ("product/recommendation", None, {"product_question"}),
        ("returning_customer,membership", None, set()),  # no words of support
        ("wrong-item", "Hello", {"complaint"}),
        (None, "Not happy at all", {"complaint"}),
        (None, "Hello", set()),
    ],
)
def test_topics(store, tags, subject, topics):
    row = store.order(0).ticket(1, 2, 3, tags=tags, subject=subject).measure(AXIS, 10)
    assert {name.removeprefix("topic_") for name in row if name.startswith("topic_") and row[name] == 1} == topics
    assert {row[name] for name in row if name.startswith("topic_")} <= {0, 1}


def test_tickets_without_tags_and_subject_have_no_topic_to_count(store):
    row = store.order(0).ticket(1, 2, 3, tags="complaint").ticket(2, 3, 4).measure(AXIS, 10)
    assert row["topic_complaint"] == 1


def test_a_store_without_tickets_has_no_such_axis(store):
    store.order(0).order(3)
    assert store.features(10).inactive[AXIS] == "not recorded: support tickets"
    store.ticket(12, 13, 14)
    assert AXIS in store.features(10).inactive


def test_a_store_that_records_little_of_its_tickets_is_told_what_is_missing(store):
    store.order(0).ticket(1)
    reason = store.features(10).inactive[AXIS]
    assert "only 1 of its features" in reason
    assert "tags or subjects of tickets" in reason
    lost = store.ticket(2, 3, 4).features(10).unrecorded[AXIS]
    assert set(lost) == {"reopen_rate", "satisfaction_avg", "topic_complaint", "topic_product_question"}
