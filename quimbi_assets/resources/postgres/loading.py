"""A store's files into the database: one transaction, idempotent, what is refused kept with its reason.

Belongs here: the order of a load. Does not: which rows are acceptable (``quimbi_assets.ingest.prepare``), one file's
way (``transfer``), how rows find their customer (``matching``).
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.cells import as_text
from quimbi_assets.ingest.consent import consent_columns
from quimbi_assets.ingest.dates import likely_zone
from quimbi_assets.ingest.keys import HELPDESK, ErasedKeys, IdSet, hashed
from quimbi_assets.ingest.prepare import LEFT_OUT, Preparation, Prepared
from quimbi_assets.ingest.products import product_rows
from quimbi_assets.ingest.rows import broken_rows, hide_addresses
from quimbi_assets.ingest.tables import CUSTOMERS, ORDER_ITEMS, ORDERS, PRODUCTS, SUPPORT_TICKETS
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres import copy as bulk
from quimbi_assets.resources.postgres import matching
from quimbi_assets.resources.postgres.database import Database, lock
from quimbi_assets.resources.postgres.load_report import LoadReport, TableReport, table_report
from quimbi_assets.resources.postgres.sent import Sent, SentFile, load_command, open_files
from quimbi_assets.resources.postgres.tables import consent, identities, products, stores
from quimbi_assets.resources.postgres.tables.personal import keep_erased_orders, read_erased, refuse_erased
from quimbi_assets.resources.postgres.tables.shops import summarise_shop
from quimbi_assets.resources.postgres.transfer import Refusals, Transfer, drop_expired
from quimbi_assets.store import Store
from quimbi_assets.texts import shown

NO_CATEGORY = "lines say no category; a list of products brings it: --products F (in Shopify: Products, Export)"
_HAS_LIST = "SELECT EXISTS (SELECT FROM quimbi.products WHERE store_id = %s)"
Progress = Callable[[str], None]
"""Called with a short sentence when a step begins."""


def load_store(
    database: Database,
    store_id: str,
    orders_path: str | Path | None = None,
    items_path: str | Path | None = None,
    tickets_path: str | Path | None = None,
    customers_path: str | Path | None = None,
    products_path: str | Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    shown_as: Mapping[str, str] | None = None,
    origin: Mapping[str, str] | None = None,
    time_zone: str | None = None,
    currency: str | None = None,
    now: pd.Timestamp | None = None,
    progress: Progress | None = None,
    is_part: bool = False,
) -> LoadReport:
    """Load a store's files, CSV or Parquet, here or at an address of ``remote_files``; the store is created if new.

    A store that is known may do without orders. Without `items_path`, lines are taken from the orders file if it holds
    them. `columns` says which of the files' columns is which, where their names do not. Dates without offset are in
    `time_zone`, by default the store's, for a new store UTC. The currency is by default the store's, or that of most
    orders; the present instant, `now` (with zone), the clock's. Where a load `is_part` of what a source has,
    lines are in files of their own, not in the orders', and `columns` may be other files'.

    If a file or an option cannot be used, more than half of a file's rows are refused, or no ticket or customer of a
    file has to do with any order, nothing is loaded, refused rows are in the quarantine, and it is a ``BadInputError``.

    A stored row changes only in the columns the file records. Lines that an order no longer has are deleted, if
    the file holds the order's lines and none of them was refused. Loading the same files again changes nothing.

    Files are gone through twice, in chunks (`files.CHUNK_ROWS`): what decides about a row is known after the first
    time (``survey``), so that a chunk that is judged can be copied at once. Memory holds two chunks, 8 to 16 bytes an
    order, and 16 a row whose id lies in several chunks.
    """
    say = progress or (lambda _: None)
    wanted = stores.requested_store(store_id, time_zone, currency)
    stores.refuse_alike(database, store_id)
    paths = {ORDERS.name: orders_path, ORDER_ITEMS.name: items_path, PRODUCTS.name: products_path}
    paths |= {CUSTOMERS.name: customers_path, SUPPORT_TICKETS.name: tickets_path}
    files_sent = {name: path for name, path in paths.items() if path is not None}
    sent = Sent(files_sent, columns or {}, shown_as or {}, origin or {}, is_part)
    if not sent.paths:
        raise BadInputError("nothing to load: give --orders F; a store that is known may do without")
    if orders_path is None:
        stores.read_store(database, store_id)
    drop_expired(database)
    with ExitStack() as opened:
        files, notes = open_files(sent, wanted, _time_zone(database, wanted), opened, say)
        refusals = Refusals(opened.enter_context(TemporaryFile(prefix="quimbi-refused-")))
        try:
            report = _loaded(database, wanted, sent, files, refusals, now or pd.Timestamp.now("UTC"), say)
        except BadInputError:
            with database.transaction(store_id) as cursor:
                refusals.write(cursor, store_id)
            raise
    return replace(report, notes=[*report.notes, *notes])


def _time_zone(database: Database, wanted: Store) -> str:
    """Return the zone of dates without offset."""
    with database.transaction(wanted.store_id) as cursor:
        known = stores.find_store(cursor, wanted.store_id)
    return wanted.time_zone or (known.time_zone if known else "") or "UTC"


def _loaded(
    database: Database,
    wanted: Store,
    sent: Sent,
    files: dict[str, SentFile],
    refusals: Refusals,
    now: pd.Timestamp,
    say: Progress,
) -> LoadReport:
    began, store_id = time.monotonic(), wanted.store_id
    with database.transaction(store_id) as cursor:
        lock(cursor, f"load:{store_id}")
        before = stores.find_store(cursor, store_id)
        known = before or wanted
        store = replace(
            known, time_zone=wanted.time_zone or known.time_zone or "UTC", currency=wanted.currency or known.currency
        )
        reports, n_adopted = _Load(database, cursor, store, sent, files, say).run(refusals, now)
        refusals.write(cursor, store_id)
        stores.write_store(cursor, store)
        is_read_otherwise = before not in (None, store)
        if n_adopted or is_read_otherwise or any(_changes_orders(report) for report in reports):
            stores.note_change(cursor, store_id)
    notes = []
    if before is not None and before.time_zone != store.time_zone:
        notes.append(f"the store's time zone was {before.time_zone} and is now {store.time_zone}; stored instants stay")
    if n_adopted:
        notes.append(f"tickets loaded before that now have their customer: {n_adopted:,}")
    orders, summary, likely = files.get(ORDERS.name), None, None
    currency = stores.store_currency(database, store_id)
    if orders is not None:
        summary = summarise_shop(database, store)
        likely = likely_zone(orders.survey.offsets, currency)
        if any(report.table == ORDER_ITEMS.name and "category" in report.absent_columns for report in reports):
            ((has_list,),) = database.execute(store_id, _HAS_LIST, (store_id,))
            notes += [] if has_list else [NO_CATEGORY]
    likely = None if likely == store.time_zone else likely
    return LoadReport(store, before is None, reports, time.monotonic() - began, currency, notes, summary, likely)


def _changes_orders(report: TableReport) -> bool:
    """Whether profiles are to be made anew; a list of customers says whose keys are one's, and who agreed, no more."""
    return report.changed and report.table != CUSTOMERS.name


class _Load:
    """One load inside its transaction: all files are judged before the first is merged."""

    def __init__(
        self, database: Database, cursor: Any, store: Store, sent: Sent, files: dict[str, SentFile], say: Progress
    ) -> None:
        self._cursor, self._store, self._sent, self._files, self._say = cursor, store, sent, files, say
        self._database, self._home = database, database.home or quimbi_home()
        self._transfers: dict[str, Transfer] = {}
        self._keys: dict[str, matching.RowKeys] = {}
        self._addresses: identities.OrderAddresses | None = None
        self._consent: consent.RowConsent | None = None
        self._n_left_out = 0
        cursor.execute("CREATE TEMP TABLE shared (key_hash bytea) ON COMMIT DROP")

    def run(self, refusals: Refusals, now: pd.Timestamp) -> tuple[list[TableReport], int]:
        """Load the files; return what became of each, and how many stored tickets found their customer thereby."""
        for name, file in self._files.items():
            self._say(f"checking {file.survey.n_rows:,} rows of {file.place}")
            if name == CUSTOMERS.name:
                self._read_customers(file, refusals)
            elif name != PRODUCTS.name:
                self._judge(file, refusals, now)
        reports = [self._write(name, file) for name, file in self._files.items()]
        keep_erased_orders(self._cursor, self._store.store_id, self._erased)
        consent.withhold_outreach(self._cursor, self._store.store_id)
        if not {ORDERS.name, CUSTOMERS.name} & self._files.keys():
            return reports, 0
        return reports, identities.adopt_tickets(self._cursor, self._store.store_id, self._home)

    def _row_keys(self, file: SentFile, with_customers: bool = False) -> matching.RowKeys:
        cursor, store_id, name = self._cursor, self._store.store_id, file.survey.spec.name
        keys = matching.RowKeys(cursor, name, file.survey.person, self._secret, store_id, with_customers)
        self._keys[name] = keys
        return keys

    @cached_property
    def _secret(self) -> bytes:
        return identities.store_secret(self._home, self._store.store_id)

    @cached_property
    def _erased(self) -> ErasedKeys:
        return read_erased(self._cursor, self._store.store_id, self._secret)

    def _judge(self, file: SentFile, refusals: Refusals, now: pd.Timestamp) -> None:
        spec = file.survey.spec
        known = self._known_orders() if spec is ORDER_ITEMS else None
        hiding_with = self._secret if self._hides else None
        preparation = Preparation(
            file.survey, self._store.time_zone, now, self._currency(), known, self._erased, hiding_with
        )
        is_tickets = spec is SUPPORT_TICKETS
        transfer = Transfer(self._cursor, self._store.store_id, file, preparation, refusals, always_staged=is_tickets)
        self._transfers[spec.name] = transfer
        if is_tickets:
            keys = self._row_keys(file, with_customers=CUSTOMERS.name in self._files)
            transfer.judge(lambda prepared: keys.add(prepared.persons))
        elif spec is ORDERS and (columns := self._address_columns(file)):
            self._addresses = addresses = identities.OrderAddresses(self._cursor, self._secret)
            transfer.judge(lambda prepared: _add_addresses(addresses, columns, prepared))
        else:
            transfer.judge()
        refuse_erased(file.place, preparation.n_left_out)

    @cached_property
    def _hides(self) -> bool:
        return identities.hides_addresses(self._cursor, self._store.store_id)

    def _address_columns(self, file: SentFile) -> list[str]:
        """Return the columns of orders with addresses beside, or hidden behind, customers' ids."""
        return [*file.survey.address_columns, *([file.survey.columns["customer_id"]] if self._hides else [])]

    def _currency(self) -> str | None:
        """Return the currency that tells what amount is absurd."""
        if self._store.currency is None and ORDERS.name in self._files:
            return self._files[ORDERS.name].survey.currency
        return self._store.currency or stores.store_currency(self._database, self._store.store_id)

    def _known_orders(self) -> IdSet:
        """Return the orders that lines may belong to: accepted from this load or stored."""
        orders = self._transfers.get(ORDERS.name)
        accepted = [] if orders is None else orders.preparation.accepted_ids
        if orders is not None and orders.staged is None:
            return IdSet.of(accepted)
        question = "SELECT order_id FROM quimbi.orders WHERE store_id = %s"
        stored = bulk.read_column(self._cursor, self._cursor.mogrify(question, (self._store.store_id,)).decode())
        return IdSet.of([*accepted, *map(hashed, stored)])

    def _read_customers(self, file: SentFile, refusals: Refusals) -> None:
        """Read which keys are one customer's; a file with fewer than two is refused."""
        sources, n_rows = file.survey.person, 0
        if len(sources) < (1 if any(consent_columns(file.table.columns)) else 2):
            has = f"only {next(iter(sources))}" if sources else "none"
            raise BadInputError(
                f"{file.place} must hold two keys of each customer, such as customer_id and email: it has {has}"
            )
        keys, self._consent = self._row_keys(file), consent.RowConsent(self._cursor)
        for chunk in file.table.chunks(None):
            rows = chunk.frame.set_axis(pd.RangeIndex(n_rows, n_rows + len(chunk.frame)))
            n_rows += len(rows)
            ids = pd.DataFrame({name: as_text(rows[name], file.survey.signs[name], are_ids=True) for name in sources})
            broken = chunk.broken
            if self._erased:
                named, in_lines = self._erased.name(ids, sources), self._erased.name_lines(broken)
                rows, ids = rows[~named], ids[~named]
                broken = [line for line, is_theirs in zip(broken, in_lines, strict=True) if not is_theirs]
                self._n_left_out += int(named.sum()) + sum(in_lines)
            self._consent.add(rows)
            keys.add(ids.apply(lambda values: values.str.removeprefix("'")))
            lines = broken_rows(broken)
            if self._hides:
                lines["row"] = hide_addresses(lines["row"], self._secret)
            refusals.add(CUSTOMERS.name, lines)
        refuse_erased(file.place, self._n_left_out)

    def _write(self, name: str, file: SentFile) -> TableReport:
        if name == CUSTOMERS.name:
            return self._write_customers(file)
        if name == PRODUCTS.name:
            return self._write_products(file)
        transfer = self._transfers[name]
        notes = [*self._name_writers(file), *self._taken_over(transfer)] if name == SUPPORT_TICKETS.name else []
        self._say(f"writing {transfer.preparation.n_accepted:,} {name.replace('_', ' ')}")
        counts = transfer.merge()
        if name == ORDERS.name and self._addresses is not None:
            self._addresses.learn(self._store.store_id)
        if name == ORDER_ITEMS.name:
            products.keep_names(self._cursor, self._store.store_id, transfer.preparation.product_names)
        return table_report(transfer.preparation, file.place, *counts, notes)

    def _write_customers(self, file: SentFile) -> TableReport:
        self._say(f"writing {file.survey.n_rows:,} customers")
        keys, consents = self._keys[CUSTOMERS.name], [n for names in consent_columns(file.table.columns) for n in names]
        n_blocked = self._consent.keep_addresses(self._store.store_id, keys.table) if self._consent else 0
        match = self._find(file)
        if match is None and n_blocked:
            notes = [f"none of them has orders yet; {n_blocked:,} suppressed addresses are kept for when somebody has"]
            return TableReport(CUSTOMERS.name, file.place, file.survey.n_rows, 0, 0, 0, 0, 0, {}, [], [], notes, 0)
        if match is None and self._n_left_out >= file.survey.n_rows:
            notes = [LEFT_OUT.format(self._n_left_out)]
            return TableReport(CUSTOMERS.name, file.place, file.survey.n_rows, 0, 0, 0, 0, 0, {}, [], [], notes, 0)
        match = match or self._match(file, "customers is")
        new, changed, same = matching.learn(self._cursor, self._store.store_id, keys, match)
        self._cursor.execute("SELECT count(*) FROM met WHERE has_orders")
        (n_met,) = self._cursor.fetchone()
        notes = [f"{n_met:,} of {file.survey.n_rows:,} customers have orders (by {match.source})"]
        if self._n_left_out:
            notes.append(LEFT_OUT.format(self._n_left_out))
        if consents and self._consent is not None:
            agreed, refused, suppressed = self._consent.keep(self._store.store_id)
            notes.append(f"{agreed:,} agreed to marketing, {refused:,} did not, {suppressed:,} are suppressed")
        n_rows, n_keys = file.survey.n_rows, new + changed + same
        ignored = [name for name in file.survey.ignored if name not in consents]
        return TableReport(CUSTOMERS.name, file.place, n_rows, new, changed, same, 0, 0, {}, ignored, [], notes, n_keys)

    def _write_products(self, file: SentFile) -> TableReport:
        self._say(f"writing {file.survey.n_rows:,} products")
        rows = product_rows(file.table, file.survey, file.place)
        counts = products.keep_products(self._cursor, self._store.store_id, rows)
        n_lines, n_known = products.count_lines_with_products(self._cursor, self._store.store_id)
        notes = [f"{n_known:,} of {n_lines:,} lines are of these products"]
        if n_known * 2 < n_lines:
            notes.append("fewer than half: lines know a product by its SKU, id, handle or name; does the list have it?")
        return TableReport(PRODUCTS.name, file.place, file.survey.n_rows, *counts, 0, 0, {}, [], [], notes, sum(counts))

    def _name_writers(self, file: SentFile) -> list[str]:
        """Write whose each is into the staged tickets; say how many are of customers."""
        self._cursor.execute("SELECT EXISTS (SELECT FROM quimbi.orders WHERE store_id = %s)", (self._store.store_id,))
        if not self._cursor.fetchone()[0] or not self._transfers[SUPPORT_TICKETS.name].preparation.n_accepted:
            return []
        keys, match = self._keys[SUPPORT_TICKETS.name], self._match(file, "tickets is of")
        if not match.is_guess:
            matching.learn(self._cursor, self._store.store_id, keys, match, HELPDESK)
        staged = str(self._transfers[SUPPORT_TICKETS.name].staged)
        matching.name_writers(self._cursor, self._store.store_id, staged, keys, match)
        n_tickets, n_known, n_customers, n_strangers, n_shared = matching.count_writers(self._cursor, staged, keys)
        notes = [f"{n_known:,} of {n_tickets:,} tickets belong to {n_customers:,} known customers (by {match.source})"]
        if n_shared:
            rule = "another key decided, else whose order is the latest, in a list of customers the first by id"
            notes.append(f"{n_shared:,} tickets met more than one customer by a key that these share: {rule}")
        if match.is_guess and len(keys.sources) > 1:
            notes.append(
                f"nothing confirms that {match.source} is the shop's own: if it holds a helpdesk's ids, load a list of "
                "customers, then these again (--customers F)"
            )
        if n_ambiguous := matching.count_ambiguous(self._cursor, match):
            notes.append(
                f"{n_ambiguous:,} of them by an id that is a helpdesk's for another customer: if {match.source} holds "
                "the helpdesk's ids, call it helpdesk_id"
            )
        if n_known * 2 < n_tickets:
            notes.append(
                "fewer than half: a list of customers that holds both systems' keys tells more (--customers F)"
            )
        if n_strangers:
            notes.append(f"people who wrote but never ordered: {n_strangers:,}")
        return notes

    def _taken_over(self, transfer: Transfer) -> list[str]:
        """Say how many stored tickets become another customer's of another time, as ids of two helpdesks do."""
        n, example = matching.count_taken_over(self._cursor, self._store.store_id, str(transfer.staged))
        if not n:
            return []
        return [
            f"{plural(n, 'stored ticket')}, such as {shown(example)}, had another customer and another time: "
            "ids of two helpdesks overwrite each other, a store has tickets of one"
        ]

    def _find(self, file: SentFile) -> matching.Match | None:
        cursor, store_id = self._cursor, self._store.store_id
        if "email" in file.survey.person.values():
            identities.learn_customers_that_are_addresses(cursor, store_id, self._secret)
        name = file.survey.spec.name
        return matching.match_rows(cursor, store_id, self._keys[name], is_list=name == CUSTOMERS.name)

    def _match(self, file: SentFile, what: str) -> matching.Match:
        """Find whose the rows of a file are; one without any of a customer who has orders is refused."""
        match, sources = self._find(file), file.survey.person
        if match is None:
            raise BadInputError(
                f"{file.place}: none of {file.survey.n_rows:,} {what} a customer who has orders (tried: "
                f"{', '.join(sources)}), so nothing was loaded; load them together with a list of customers that holds "
                "the orders' customer_id (a helpdesk's ids as helpdesk_id) beside one of these keys: "
                + load_command(self._store, self._sent, "--customers F")
            )
        return match


def _add_addresses(addresses: identities.OrderAddresses, columns: list[str], prepared: Prepared) -> None:
    for name in columns:
        addresses.add(prepared.persons[name], prepared.accepted["customer_id"], prepared.accepted["order_date"])
