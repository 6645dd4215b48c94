"""What a page says, on facts made up by hand; and that nothing on it comes from, or goes, elsewhere."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from quimbi_assets.marketing.groups import GROUPINGS
from quimbi_assets.page.content import MEANINGS, store_view
from quimbi_assets.page.customer import customer_view
from quimbi_assets.page.facts import CustomerFacts, CustomerList, StoreFacts
from quimbi_assets.page.render import content_policy, customer_page, store_page, style

AS_OF = datetime(2025, 7, 1, tzinfo=UTC)
EVIL = "</script><script>alert(1)</script>"


def figures(axis, group, customers, revenue=0.1, before=None):
    return {
        "axis_name": axis, "group_id": group, "customers": customers, "share_of_customers": customers / 100,
        "revenue": 1000.0 * revenue, "share_of_revenue": revenue, "value_per_customer": 10.0,
        "customers_4w_ago": before, "customers_13w_ago": None, "action": "Write to them.",
        "lifecycle": dict.fromkeys(GROUPINGS["lifecycle"], 0) | {"active": customers // 2, "lost": customers // 2},
    }  # fmt: skip


@pytest.fixture
def facts():
    rows = [
        figures(of, group, 10, before={"slowing": 4, "active": 16, "new": 10}.get(group))
        for of, groups in GROUPINGS.items()
        for group in groups
    ]
    rows += [figures("purchase_value", "purchase_value_1", 60, 0.9), figures("purchase_value", "purchase_value_2", 40)]
    rows += [figures("price_sensitivity", "price_sensitivity_1", 100, 1.0)]
    axes = pd.DataFrame(
        {
            "axis_name": ["purchase_value", "price_sensitivity", "support_history"],
            "status": ["active", "weak", "inactive"],
            "reason": [None, "it cannot be told yet", "not recorded: tickets"],
            "halves_ari": [0.8, 0.2, None],
            "customers_fitted": [1_000, 1_000, None],
        }
    )
    segments = pd.DataFrame(
        {
            "axis_name": ["purchase_value", "purchase_value", "price_sensitivity"],
            "segment_id": ["purchase_value_1", "purchase_value_2", "price_sensitivity_1"],
            "segment_name": ["small_orders", "large_orders", "all_alike"],
            "interpretation": ["They spend little.", None, "They are alike."],
        }
    )
    person = {
        "customer_id": EVIL, "lifecycle": "at risk", "value": 1234.5, "risk": 0.6, "last_order_at": AS_OF,
        "interpretation": "At risk.",
    }  # fmt: skip
    return StoreFacts(
        store_id="tea & co", currency="GBP", time_zone="Europe/London", as_of=AS_OF, customers=100, revenue=1000.0,
        bought_once=25, orders_per_customer=3.21,
        first_order_at=datetime(2024, 1, 5, tzinfo=UTC), last_order_at=AS_OF, groups=pd.DataFrame(rows), axes=axes,
        segments=segments,
        going=CustomerList("going", "", "", 0, 0.0, []),
        lists=[CustomerList("worth_saving", "In doubt.", "risk > 0.4", 1, 1234.5, [person])],
        moves=pd.DataFrame({"week": [date(2025, 6, 23)], "cause": ["acted"], "customers": [7]}),
        flows=pd.DataFrame([{"from_segment": "active", "to_segment": "slowing", "cause": "silent", "customers": 3}]),
        last_week=date(2025, 6, 23), churn={"horizon_days": 90, "calibration_error": 0.021,
        "calibration_bins": [[0.1, 0.12, 50], [0.8, 0.7, 50]]}, value="two stretches of history are needed",
    )  # fmt: skip


def test_cards_say_how_many_what_they_bring_what_changed_and_whether_that_is_good(facts):
    cards = {card.name: card for card in store_view(facts).cards}
    assert list(cards) == ["new", "active", "slowing", "at risk", "lapsed", "lost"]
    assert (cards["slowing"].change, cards["slowing"].is_good) == ("+6 in 4 weeks", False)
    assert (cards["active"].change, cards["active"].is_good) == ("−6 in 4 weeks", False)
    assert (cards["new"].change, cards["lost"].change) == ("", "")
    assert cards["lost"].where == "lifecycle = 'lost'"
    assert cards["new"].action == "Write to them."
    names = {group.name for group in store_view(facts).rfm}
    assert "once good, long silent" in names
    assert not names & set(MEANINGS)
    assert cards["new"].stages == "50 % in rhythm, 50 % gone"


def test_of_the_late_who_likely_come_it_is_said_and_their_list_goes_without_them(facts):
    view = store_view(replace(facts, likely={"slowing": 2, "at risk": 3}))
    cards = {card.name: card for card in view.cards}
    assert cards["at risk"].meaning.endswith(
        "late for them; 3 of them very likely come by themselves (risk under 10 %)"
    )
    assert cards["at risk"].where == "lifecycle = 'at risk' and (risk >= 0.1 or risk is null)"
    assert cards["active"].where == "lifecycle = 'active'"
    assert "Of them 5 are late but very likely come by themselves (risk under 10 %)." in view.leaving


def test_an_empty_card_says_why(facts):
    groups = facts.groups.copy()
    groups.loc[groups["group_id"].isin(["lapsed", "lost"]), "customers"] = 0
    view = store_view(replace(facts, groups=groups, untold=frozenset({"lost"})))
    cards = {card.name: card for card in view.cards}
    assert cards["lost"].meaning == "Not told apart yet: 18 months of history are too few to see who never comes back"
    assert cards["lapsed"].meaning == "Of customers as silent, fewer than a third came back"
    assert cards["lost"].action == ""
    assert '<p class="do"></p>' not in store_page(view, live=False)


def test_bought_once_is_said_once(facts):
    once = facts.segments.replace({"segment_name": {"small_orders": "one_time_buyers"}})
    axes = facts.groups.replace({"axis_name": {"purchase_value": "purchase_frequency"}})
    of = {"axis_name": {"purchase_value": "purchase_frequency"}}
    view = store_view(replace(facts, groups=axes, segments=once.replace(of), axes=facts.axes.replace(of)))
    assert view.once.startswith("25 customers have bought once (25 % of all)")
    assert [segment.name for segment in view.axes[0].segments] == ["large orders"]


def test_weak_axes_are_apart_and_inactive_ones_say_why(facts):
    view = store_view(facts)
    assert [axis.name for axis in view.axes] == ["purchase value"]
    assert [segment.name for segment in view.axes[0].segments] == ["small orders", "large orders"]
    assert [axis.name for axis in view.weak] == ["price sensitivity"]
    assert view.doubt == "With 3.2 orders a customer this cannot be told from chance yet."
    assert view.inactive == [("What has support meant to them?", "not recorded: tickets")]
    assert view.until == "1 Jul 2025"


def test_whether_it_helped_is_said_of_what_is_tried(facts):
    assert "Whether it helped" not in store_page(store_view(facts), live=True)
    tried = [("audience/win_back", "cannot tell yet: too few to compare"), (f"rule/{EVIL}", "helped")]
    page = store_page(store_view(replace(facts, helped=tried)), live=True)
    assert "<dt>win back (audience)</dt><dd>cannot tell yet: too few to compare.</dd>" in page
    assert '<a href="#helped">' in page
    assert EVIL not in page


def test_a_page_says_so_where_nothing_is_known(facts):
    nothing = replace(
        facts, moves=facts.moves[:0], flows=facts.flows[:0], last_week=None, lists=[], churn="too young",
        axes=facts.axes.assign(status="weak"), first_order_at=None,
    )  # fmt: skip
    page = store_page(store_view(nothing), live=False)
    for words in (
        "Not known yet: it takes two weeks",
        "On none of the questions",
        "too young",
        "There are no lists yet",
    ):
        assert words in page


@pytest.mark.parametrize("live", [True, False])
def test_a_page_needs_nothing_from_elsewhere_and_believes_no_text(facts, live):
    page = store_page(store_view(facts), live=live)
    assert "<script" not in page
    assert "alert(1)" in page
    assert "tea &amp; co" in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert " style=" not in page
    assert content_policy() in page.replace("&#39;", "'")
    assert f"<style>{style()}</style>" in page
    assert page.count('<svg role="img" aria-label=') == 4
    assert ("/stores/tea%20%26%20co/customers.csv" in page) == live
    assert len(page) < 1_000_000


def test_a_customers_page_says_what_they_buy_most_where_that_is_known():
    lists = {"categories": [{"id": EVIL, "lift": 3.2}], "products": None, "reason": "products: so it is"}
    profile = {"customer_id": "ann", "segments": {}, "affinities": lists}
    view = customer_view(CustomerFacts("tea", "GBP", "UTC", profile))
    assert dict(view.figures)["Buys most"] == f"{EVIL} (3 times as often as the shop's customers)"
    assert EVIL not in customer_page(view)
    assert "Buys most" not in dict(
        customer_view(CustomerFacts("tea", "GBP", "UTC", {**profile, "affinities": None})).figures
    )


def test_a_backtest_that_could_measure_no_axis_is_passed_over(facts):
    nothing = pd.DataFrame({"axis": ["returns"], "verdict": ["unknown"], "reason": ["too few customers"]})
    assert store_view(replace(facts, backtest=nothing)).backtest == ""


def test_a_file_has_the_profiles_that_a_server_has_a_link_to(facts):
    profile = {
        "customer_id": "c2", "segments": {"purchase_value": {"name": "small_orders", "membership": 0.8,
        "stays_strength": "strong"}}, "lifecycle": "at risk", "churn_risk_score": 0.6,
        "churn_drivers": {"horizon_days": 90, "drivers": [{"effect": "lowers", "words": "9 orders"},
        {"effect": "raises", "words": "silent for 90 days"}]},
    }  # fmt: skip
    (known,) = facts.lists
    person = known.rows[0] | {"customer_id": "c2"}
    others = [person | {"customer_id": f"d{n}"} for n in range(8)]
    one = replace(known, rows=[person, *others], profiles={"c2": profile}, elsewhere=2)
    page = store_page(store_view(replace(facts, lists=[one])), live=False)
    assert "More of c2" in page
    assert "<li>silent for 90 days</li>" in page
    assert "9 orders" not in page  # what lowers a risk is no reason to leave
    assert "The next 3</summary>" in page
    assert "Not shown again: 2 of them, in another list on this page." in page
    assert "More of" not in store_page(store_view(facts), live=True)
