"""What a rule of the order policy leaves out, and whom its opposite puts elsewhere, against another way of asking."""

import json

import pandas as pd
import pytest

from quimbi_assets.commands.shops import print_policy
from quimbi_assets.resources.policy_effects import policy_effects
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.profiling import open_profiler
from quimbi_assets.simulation import write_store


@pytest.fixture(scope="module")
def effects(two_stores):
    return policy_effects("north")


def test_every_rule_says_what_it_leaves_out_and_what_is_left_is_counted(effects, database):
    (read,) = database.execute(
        "north",
        "SELECT count(*), round(sum(total_price)::numeric, 2)::float, count(DISTINCT customer_id) FROM quimbi.orders "
        "WHERE store_id = 'north'",
    )
    stored = effects["stored"]
    assert (stored["orders"], stored["customers"]) == (read[0], read[2])
    assert stored["paid"] == pytest.approx(read[1], abs=0.01)
    by_rule = {row["rule"]: row for row in effects["rules"]}
    of_status = (
        "SELECT count(*), count(DISTINCT customer_id) FROM quimbi.orders WHERE store_id = 'north' AND status = %s"
    )
    for status in ("cancelled", "test"):
        rule = by_rule[f"status {status}"]
        assert [(rule["orders"], rule["customers"])] == database.execute("north", of_status, (status,))
    for figure in ("orders", "lines", "paid", "discount", "refunds"):
        left = sum(row[figure] for row in effects["rules"])
        assert effects["counted"][figure] == pytest.approx(stored[figure] - left, abs=0.02)


def test_whom_the_opposite_puts_elsewhere_is_whom_profiling_their_rows_would(effects, tmp_path):
    write_store(600, tmp_path, seed=1)  # north once more
    names = ("orders", "order_items", "support_tickets")
    orders, items, tickets = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in names)
    orders = orders[orders["customer_id"].notna() & (orders["status"] != "test")]
    concerned = orders.loc[orders["status"] == "cancelled", "customer_id"].unique()
    orders = orders[orders["customer_id"].isin(concerned)]
    profiler = open_profiler("north")

    def segments(rows):
        lines, wrote = items[items["order_id"].isin(rows["order_id"])], tickets[tickets["customer_id"].isin(concerned)]
        profiles = profiler.profile(rows, lines, wrote).set_index("customer_id")
        return pd.DataFrame(profiles["dominant_segments"].map(_read).to_dict()).T

    before, after = segments(orders[orders["status"] != "cancelled"]), segments(orders)
    known = before.index
    moved = before != after.loc[known]
    opposite = next(row for row in effects["rules"] if row["rule"] == "status cancelled")["opposite"]
    assert opposite["by_axis"] == moved.sum().to_dict()
    assert opposite["any_axis"] == moved.any(axis=1).sum() > 0
    assert opposite["new"] == len(after) - len(known)


def _read(segments):
    return json.loads(segments) if isinstance(segments, str) else segments


def test_guests_are_nobody_whatever_the_rule_about_them(effects, capsys):
    guests = next(row for row in effects["rules"] if row["rule"] == "guest without customer")
    assert guests["customers"] == guests["opposite"]["any_axis"] == guests["opposite"]["new"] == 0
    print_policy(effects)
    printed = capsys.readouterr().out
    assert "if guest without customer counted: nobody in another segment" in printed
    assert printed.splitlines()[1].split() == ["orders", "customers", "paid", "discounts", "refunds"]


def test_of_a_store_that_never_ran_it_says_what_is_left_out_and_that_no_more_is_known(database, tmp_path, capsys):
    path = tmp_path / "orders.csv"
    path.write_text(
        "order_id,customer_id,order_date,total_price,currency,product_id,product_type,quantity,price\n"
        "1,ann,2024-01-02,10,EUR,p,mug,1,10\n2,ann,2024-02-02,5,USD,p,mug,1,5\n"
        "3,bob,2024-02-02,50,EUR,p,gift card,1,50\n4,bob,2024-02-02,20,EUR,p,mug,1,20\n"
    )
    load_store(database, "policy-new", path)
    effects = policy_effects("policy-new")
    left = {row["rule"]: (row["orders"], row["paid"], row["customers"], row["opposite"]) for row in effects["rules"]}
    assert left == {"currency other than EUR": (1, 5.0, 1, None), "gift cards": (1, 50.0, 1, None)}
    assert effects["counted"]["paid"] == 30.0
    print_policy(effects)
    assert "not known: quimbi run --store-id policy-new has not ended yet" in capsys.readouterr().out


def test_of_a_store_nothing_is_left_out_of_it_says_so_in_a_line(database, tmp_path, capsys):
    path = tmp_path / "orders.csv"
    path.write_text("order_id,customer_id,order_date,total_price\n1,ann,2024-01-02,10\n2,ann,2024-02-02,5\n")
    load_store(database, "policy-whole", path)
    print_policy(policy_effects("policy-whole"))
    line = "store policy-whole: its order policy leaves nothing out; all 2 stored orders count\n"
    assert capsys.readouterr().out == line
