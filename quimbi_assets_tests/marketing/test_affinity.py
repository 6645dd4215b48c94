"""What a customer buys most: by hand, as of any instant, and shown only where it tells the next order."""

import json

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.history import History
from quimbi_assets.marketing.affinity import Affinity, affinity_figures, affinity_texts, fit_affinities
from quimbi_assets.marketing.groups import MarketingReference, fit_marketing, group_customers

START = pd.Timestamp("2025-01-01")
UNTESTED = {"categories": Affinity({"tea": 0.5, "milk": 0.4, "jam": 0.1}), "products": Affinity(reason="so it is")}


def store(bought: list[tuple[str, float, list[str]]], **refunds: pd.Series) -> History:
    """A store of who bought what on which day; a product is of the category of its name."""
    rows = [(f"o{i}", who, START + pd.Timedelta(days=day), what) for i, (who, day, what) in enumerate(bought)]
    orders = pd.DataFrame(rows, columns=["order_id", "customer_id", "order_date", "category"])
    lines = orders.explode("category").reset_index(drop=True)
    items = lines.assign(product_id="one " + lines["category"], quantity=2.0, price=5.0)[
        ["order_id", "product_id", "category", "quantity", "price"]
    ].assign(**{name: values.reindex(range(len(lines))).to_numpy() for name, values in refunds.items()})
    return History.from_frames(orders.drop(columns="category").assign(total_price=10.0), items)


def lists(history: History, affinities=UNTESTED, customers=("ann",)) -> list[dict]:
    return [json.loads(text) for text in affinity_texts(history, affinities, pd.Index(customers)).to_pylist()]


def of_habits(*, have_favourites: bool, seed: int = 3) -> History:
    """200 customers of 50 orders in ten months, of 30 categories; with three favourites each, or with none."""
    rng, names = np.random.default_rng(seed), np.array([f"k{i:02d}" for i in range(30)])
    bought = []
    for customer in range(200):
        weights = np.ones(30)
        weights[rng.permutation(30)[:3]] += 15.0 * have_favourites
        chosen = rng.choice(names, 50, p=weights / weights.sum())
        bought += [
            (f"c{customer:03d}", day, [str(one)]) for day, one in zip(rng.uniform(0, 300, 50), chosen, strict=True)
        ]
    return store(bought)


@pytest.fixture(scope="module")
def favourites() -> History:
    return of_habits(have_favourites=True)


def test_a_list_by_hand():
    history = store(
        [
            ("ann", 1, ["jam", "jam", "tea"]),
            ("ann", 2, ["jam", "milk"]),
            ("ann", 3, ["milk", "tea"]),
            ("ann", 4, ["tea"]),
            ("bob", 5, ["jam"]),
        ]
    )
    ann, bob = lists(history, customers=("ann", "bob"))
    assert ann == {
        # 3 of 4 orders, 2 expected: (3 + 2) / (2 + 2); of jam, 0.4 are. Milk is bought less than 1.25 times as often.
        "categories": [
            {"id": "tea", "orders": 3, "share": 0.75, "lift": 1.25},
            {"id": "jam", "orders": 2, "share": 0.5, "lift": 1.67},
        ],
        "products": None,
        "reason": "products: so it is",
    }
    assert bob["categories"] == []  # once is no habit


def test_what_went_back_was_not_bought_from_the_refund_on():
    bought = [("ann", day, ["jam"]) for day in (1, 2, 3)]
    back = {"refund_amount": pd.Series({0: 10.0, 1: 9.0}), "refunded_at": pd.Series({0: START + pd.Timedelta(days=9)})}
    history = store(bought, **back)  # a line and the part of one
    by_day = [lists(history.until(START + pd.Timedelta(days=day)))[0]["categories"] for day in (8, 10)]
    assert [one["orders"] for (one,) in by_day] == [3, 2]


def test_favourites_tell_the_next_order_and_chance_does_not(favourites):
    shown = fit_affinities(favourites)["categories"]
    assert shown.reason is None
    assert shown.hit_rates["affinity"] > max(shown.hit_rates["bestsellers"], shown.hit_rates["bought_last"]) + 0.1
    assert all(0 < gain < 1 for gain in shown.gains.values())
    assert shown.shares.keys() == {f"k{i:02d}" for i in range(30)}
    assert sum(shown.shares.values()) == pytest.approx(1)
    for seed in range(3):
        chance = fit_affinities(of_habits(have_favourites=False, seed=seed))
        assert all(one.reason.startswith("they tell a next order no better than") for one in chance.values())
        assert not any(one.shares for one in chance.values())
    table = affinity_figures(chance)
    assert table["level"].tolist() == ["categories", "products"]
    assert table["affinity"].between(0, 1).all()


def test_where_there_is_no_choice_or_no_past_it_says_so(favourites):
    young = fit_affinities(favourites.until(START + pd.Timedelta(days=40)))
    assert "fewer than the 84" in young["products"].reason
    few = fit_affinities(favourites.of(pd.Index([f"c{i:03d}" for i in range(20)])))
    assert "customers had a list and ordered again, fewer than the 100" in few["categories"].reason
    single = fit_affinities(store([("ann", day, ["jam"]) for day in range(100)]))
    assert single["categories"].reason == "no more than 3 are on order lines"
    orders = favourites.frames().orders
    assert fit_affinities(History.from_frames(orders))["products"].reason == "order lines name none"


def test_one_customer_alone_is_as_in_the_crowd_and_later_orders_change_nothing(favourites):
    then = favourites.until(START + pd.Timedelta(days=290))
    reference = fit_marketing(then, fit_affinities(then))
    reference = MarketingReference.from_json(json.loads(json.dumps(reference.to_json())))
    everybody = pd.Index(then.customers.to_pandas())
    crowd = group_customers(then, reference, everybody).columns
    assert sum(bool(json.loads(text)["categories"]) for text in crowd["affinities"].to_pylist()) > 190
    for row in (0, 77):
        alone = group_customers(then.of(everybody[[row]]), reference, everybody[[row]]).columns
        assert alone.equals(crowd.slice(row, 1))
    frames = then.frames()
    blind = History(then.store, History.from_frames(frames.orders, frames.items).tables).until(then.end)
    assert fit_affinities(blind) == fit_affinities(then)
    assert group_customers(blind, reference, everybody).columns.equals(crowd)
