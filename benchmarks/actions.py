"""Rules on a store of 27,415 customers: how long fifty of them take, and where the ready ones send whom.

``.venv/bin/python benchmarks/actions.py --store-id sim --labels labels.parquet``: the store was simulated
(``quimbi simulate``), loaded and run in this home. Its profiles are copied under a name of their own until there are
``--customers`` of them, in the same database, and evaluated: first written down whole, then again (nothing changed),
then with one rule more (what changed). With ``--labels`` it says how well the ready rules route the planted customers.
"""

import argparse
import time
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path

import psycopg2
import pyarrow.parquet as pq

from quimbi_assets.actions.rules import ActionRule, RuleBook, read_rules, ready_text
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.resources.actions import route_ticket, rules_of
from quimbi_assets.resources.postgres.database import Database, administration, open_database
from quimbi_assets.resources.postgres.tables.actions import refresh_actions
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary

CROWD = "actions_benchmark"
N_RULES = 50
TABLES = (
    "customer_profiles", "segment_migrations", "dim_segment_master", "axis_models", "archetypes",
    "stores",
)  # fmt: skip
WRITTEN = ("customer_actions", "trials", "treatments")
"""What rules write."""
MOVES = """
    INSERT INTO quimbi.segment_migrations (store_id, week, customer_id, axis_name, cause, from_segment, to_segment,
        from_week, at)
    SELECT store_id, date_trunc('week', as_of)::date - 7 * n, customer_id, 'lifecycle', 'silent', 'active',
        CASE WHEN hashtext(customer_id || n) %% 3 = 0 THEN 'slowing' ELSE 'active' END,
        date_trunc('week', as_of)::date - 7 * n - 7, as_of - n * interval '7 days'
    FROM quimbi.customer_profiles CROSS JOIN generate_series(0, 45, 5) AS n WHERE store_id = %s
"""
TESTED = ("loyalty_trajectory", "purchase_value", "price_sensitivity", "support_history", "purchase_frequency")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store-id", default="sim")
    parser.add_argument("--customers", type=int, default=27_415)
    parser.add_argument("--labels", type=Path)
    asked = parser.parse_args()
    database = open_database()
    if asked.labels:
        route(database, asked.store_id, asked.labels)
    try:
        copy_store(database, asked.store_id, asked.customers)
        measure(database)
    finally:
        clear(database)


def copy_store(database: Database, store_id: str, n_customers: int) -> None:
    """Copy a store under the name of the benchmark, its customers several times."""
    clear(database)
    ((present,),) = database.execute(
        store_id, "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = %s", (store_id,)
    )
    copies = -(-n_customers // present)
    every_store = administration(database, database.libpq_url)
    with closing(psycopg2.connect(every_store)) as connection, connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'quimbi' AND table_name = %s "
                "AND is_generated = 'NEVER' ORDER BY ordinal_position",
                (table,),
            )
            names = [name for (name,) in cursor.fetchall()]
            is_of_customer = "customer_id" in names
            taken = {"store_id": f"'{CROWD}'", **({"customer_id": "customer_id || '.' || n"} if is_of_customer else {})}
            listed = ", ".join(taken.get(name, name) for name in names)
            cursor.execute(
                f"INSERT INTO quimbi.{table} ({', '.join(names)}) SELECT {listed} FROM quimbi.{table} "
                f"CROSS JOIN generate_series(1, {copies if is_of_customer else 1}) AS n WHERE store_id = %s "
                + (f"LIMIT {n_customers}" if table == "customer_profiles" else ""),
                (store_id,),
            )
        cursor.execute(MOVES, (CROWD,))  # who moved: ten times a year, one of them late
        cursor.execute("ANALYZE quimbi.customer_profiles, quimbi.segment_migrations")


def clear(database: Database) -> None:
    """Delete what the benchmark wrote, and its room: without, half a million dead profiles were 3.9 GB."""
    with database.transaction(CROWD) as cursor:
        for table in (*TABLES, *WRITTEN):
            cursor.execute(f"DELETE FROM quimbi.{table} WHERE store_id = %s", (CROWD,))
    with closing(psycopg2.connect(administration(database, database.libpq_url))) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"VACUUM (FULL) {', '.join(f'quimbi.{table}' for table in (*TABLES, *WRITTEN))}")


def fifty_rules(vocabulary: Vocabulary) -> RuleBook:
    """Return rules of every sort: the ready ones, then segments, memberships, value, risk, features and moves."""
    ready = read_rules(ready_text(), "ready.yaml")
    segments = [(axis, name) for axis in TESTED for name in vocabulary.groups.get(axis, {}).values()]
    shapes = (
        "{axis} = '{name}' and value > {n}00",
        "{axis}.{name} > 0.6 and lifecycle in ('active', 'slowing')",
        "{axis} = '{name}' and risk between 0.{n} and 0.9 and value_tier in ('top', 'high')",
        "{axis}.strength = 'strong' and {axis} <> '{name}' and orders >= {n}",
        "purchase_value.avg_order_value > {n}0 and {axis} = '{name}'",
        "entered(lifecycle, 'slowing', 4) and {axis} = '{name}'",
    )
    rules = []
    for n, (shape, (axis, name)) in enumerate(
        islice(zip(cycle(shapes), cycle(segments)), N_RULES - len(ready.rules)), 1
    ):
        sets = {"queue": f"queue_{n % 4}", "campaign": f"campaign_{n}"} if n % 2 else {"export": f"list_{n}"}
        rules.append(ActionRule(f"rule_{n}", shape.format(axis=axis, name=name, n=n % 9 + 1), sets))
    return RuleBook((*ready.rules, *rules), ready.otherwise, "benchmark")


def measure(database: Database) -> None:
    """Print how long the rules take."""
    vocabulary = read_vocabulary(database, CROWD)
    book = fifty_rules(vocabulary)
    one_more = ActionRule("one_more", "value > 1000", {"assignee": "somebody"})
    ((customers,),) = database.execute(
        CROWD, "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = %s", (CROWD,)
    )
    for what, asked in (
        ("written down whole", book),
        ("again, nothing changed", book),
        ("with one rule more", RuleBook((*book.rules, one_more), book.otherwise, book.where)),
    ):
        started = time.monotonic()
        rules = rules_of(CROWD, vocabulary, asked)
        state = refresh_actions(database, CROWD, rules.compiled, vocabulary.time_zone)
        seconds = time.monotonic() - started
        fired, n_rules = sum(state.chosen.values()), len(rules.compiled)
        print(
            f"{customers:,} customers x {n_rules} rules, {what}: {seconds:.2f} s; {fired:,} times a rule fires; "
            f"rows +{state.entered:,} ~{state.changed:,} -{state.left:,}; {len(rules.problems)} rules not understood"
        )
    seconds = []
    for (customer,) in database.execute(
        CROWD,
        "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY md5(customer_id) LIMIT 50",
        (CROWD,),
    ):
        started = time.monotonic()
        route_ticket(database, CROWD, customer)
        seconds.append(time.monotonic() - started)
    print(f"one ticket by the project's rules: {1000 * sorted(seconds)[len(seconds) // 2]:.0f} ms (median of 50)")


def route(database: Database, store_id: str, labels: Path) -> None:
    """Print precision and recall of the senior queue against the planted customers who need much of support."""
    vocabulary = read_vocabulary(database, store_id)
    rules = rules_of(store_id, vocabulary, read_rules(ready_text(), "ready.yaml"))
    refresh_actions(database, store_id, rules.compiled, vocabulary.time_zone)
    sent = "SELECT customer_id FROM quimbi.customer_actions WHERE store_id = %s AND queue = 'senior'"
    senior = {customer for (customer,) in database.execute(store_id, sent, (store_id,))}
    planted = pq.read_table(labels, columns=["customer_id", "support_history"]).to_pylist()
    states = {row["customer_id"]: row["support_history"] for row in planted if row["support_history"] is not None}
    needing = {customer for customer, state in states.items() if state in ("curious", "frustrated")}
    right = len(needing & senior)
    print(
        f"{len(states):,} labelled customers, {len(needing):,} of them high-touch: precision "
        f"{right / len(senior & set(states)):.3f}, recall {right / len(needing):.3f}"
    )


if __name__ == "__main__":
    main()
