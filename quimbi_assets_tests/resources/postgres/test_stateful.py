"""A store under files that come in any order: first, again, corrected, and after somebody was erased.

Beside it is what the store should hold, in a dict. What loses an order, merges customers, changes on a file that was
loaded before, or brings back who was erased, is shrunk by Hypothesis to the fewest steps.
"""

import re
from collections import Counter

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.keys import without_addresses
from quimbi_assets.ingest.rows import stored_schema
from quimbi_assets.ingest.tables import ORDERS
from quimbi_assets.resources.erasure import person_of
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.identities import store_secret
from quimbi_assets.resources.postgres.tables.personal import delete_rows
from quimbi_assets.resources.postgres.tables.stores import read_change
from quimbi_assets_tests.ingest.prepared import prepare_table

NOW = pd.Timestamp("2026-06-01", tz="UTC")
CUSTOMERS = ("c1", "c2", "1e5", "Ann@Example.com", "ben@example.com")
"""Two by id, one whose id reads as a number, two by address."""
PLACED = st.dictionaries(
    st.sampled_from([f"o{number}" for number in range(8)]),
    st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from(("10", "12.5", "0"))),
    min_size=1,
    max_size=6,
)
REFUSED = ("x9", "c1", "soon", "10")
"""A row that every file has beside the others: its date is none."""


class Loads(RuleBasedStateMachine):
    """A store, and what it should hold."""

    database = folder = None
    n_stores = 0

    @initialize()
    def begin(self):
        Loads.n_stores += 1
        self.store = f"stateful-{self.n_stores}"
        self.held, self.last = {}, None
        self.erased, self.gone = set(), set()  # customers, orders

    @rule(orders=PLACED)
    def load(self, orders):
        self._load(orders)

    @rule(price=st.sampled_from(("1", "99")))
    @precondition(lambda self: self.held)
    def correct(self, price):
        order, (customer, _) = sorted(self.held.items())[0]
        self._load({order: (customer, price)})

    @rule()
    @precondition(lambda self: self.last)
    def load_again(self):
        before = read_change(self.database, self.store)
        report = load_store(self.database, self.store, self.last, now=NOW)
        assert not any(table.changed for table in report.tables)
        assert read_change(self.database, self.store) == before

    @rule()
    @precondition(lambda self: self.held)
    def erase(self):
        customer = min(customer for customer, _ in self.held.values())
        who = (None, customer) if "@" in customer else (customer, None)
        person = person_of(self.database, quimbi_home(), self.store, *who, to_erase=True)
        with self.database.transaction(self.store) as cursor:
            delete_rows(cursor, person)
        self.erased.add(customer)
        self.gone |= {order for order, (one, _) in self.held.items() if one == customer}
        self.held = {order: placed for order, placed in self.held.items() if order not in self.gone}
        self.last = None  # a file that names them is left out by now

    @invariant()
    def the_store_holds_what_it_should(self):
        sql = "SELECT order_id, customer_id, total_price FROM quimbi.orders WHERE store_id = %s"
        rows = {order: placed for order, *placed in self.database.execute(self.store, sql, (self.store,))}
        assert rows == {order: [self._id(one), float(price)] for order, (one, price) in self.held.items()}

    def _load(self, orders):
        rows = [(order, one, f"2025-01-0{1 + int(order[1:])} 10:00", price) for order, (one, price) in orders.items()]
        file = self.folder / f"{self.store}-{len(list(self.folder.iterdir()))}.csv"
        columns = ["order_id", "customer_id", "order_date", "total_price"]
        pd.DataFrame([*rows, REFUSED], columns=columns).to_csv(file, index=False)
        taken = {
            order: placed for order, placed in orders.items() if placed[0] not in self.erased and order not in self.gone
        }
        self.gone |= {order for order, (customer, _) in orders.items() if customer in self.erased}
        n_refused = int(REFUSED[1] not in self.erased)
        if not taken and n_refused:
            with pytest.raises(BadInputError, match=r"1 of 1 rows refused, so nothing was loaded"):
                load_store(self.database, self.store, file, now=NOW)
            return
        (table,) = load_store(self.database, self.store, file, now=NOW).tables
        assert (table.read, table.refused) == (len(taken) + n_refused, n_refused)
        self.held |= taken
        self.last = file

    def _id(self, customer):
        return without_addresses(pd.Series([customer]), store_secret(quimbi_home(), self.store))[0]


def test_a_store_holds_what_its_files_said_last_but_who_was_erased(database, tmp_path):
    Loads.database, Loads.folder = database, tmp_path
    few = settings(
        max_examples=5, stateful_step_count=6, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Loads, settings=few)
    assert Loads.n_stores >= 5


@pytest.mark.filterwarnings("ignore:no explicit representation of timezones")  # of instants that pandera makes
@settings(max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(stored_schema(ORDERS, 1e7).strategy(size=3))
def test_rows_that_the_schema_allows_are_taken_or_refused_for_what_it_does_not_say(frame):
    """Made by pandera of the schema itself."""
    prepared = prepare_table(ORDERS, frame, "UTC", NOW)
    assert len(prepared.accepted) + len(prepared.refused) <= len(frame)  # rows that repeat another are taken once
    reasons = Counter(reason for reason in prepared.refused["reason"])
    about = re.compile(r"order_date (lies|is)|order_id (occurs twice|is missing|is longer)|customer_id is longer")
    assert all(about.match(reason) for reason in reasons), reasons
    by_id = frame.set_index(frame["order_id"].str.strip())["total_price"]
    for row in prepared.accepted.itertuples():
        assert row.total_price in by_id.loc[[row.order_id]].tolist()
