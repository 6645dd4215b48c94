"""What a helpdesk is told: Customer Fields of those who changed; and what it needs for it, made or taken away.

Belongs here: the order of requests. Does not: shapes (``exports.gorgias``), who changed (``postgres.tables.fields``).

A field is set, not added to: a request that was cut is repeated, and a push that was killed tells the one customer whom
it had not written down once more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from quimbi_assets.errors import BadInputError
from quimbi_assets.exports import gorgias as shapes
from quimbi_assets.lift.assignment import Trial
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.actions import project_rules
from quimbi_assets.resources.gorgias.client import PERIOD, Client, RefusedError, Say, account_of
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables import fields
from quimbi_assets.resources.postgres.tables.fields import Telling
from quimbi_assets.resources.postgres.tables.outbox import only_sender
from quimbi_assets.resources.postgres.tables.served import read_names
from quimbi_assets.resources.postgres.tables.sources import read_sources
from quimbi_assets.resources.postgres.tables.stores import read_store
from quimbi_assets.resources.postgres.tables.tickets import count_meetings

SAID_EVERY = 100
MOST_REJECTED = 20
"""Customers refused in a row from the first on, after which a push ends: what is sent is wrong, not they."""


@dataclass(frozen=True)
class PushReport:
    """What was told, or is to be."""

    account: str
    changed: int
    new: int
    taken: int | None
    """None: nothing was sent."""
    refused: int = 0
    rejected: int = 0
    """Customers of whom Gorgias would not take what was sent."""
    reason: str = ""
    """Of the first of them."""
    erased: int = 0
    """Customers who were there when it began and not when it was their turn."""
    left_out: int = 0
    """Customers of the control group."""
    example: str = ""
    calls: int = 0
    """That telling takes, where nothing was sent."""
    known: int = 0
    """Customers with a profile whom the helpdesk knows, where nothing was sent."""
    is_foreign: bool = False
    """Whether the store has tickets of files alone, where nothing was sent."""

    def lines(self) -> list[str]:
        """Say it in words."""
        size = f"customers of whom something changed: {self.changed:,} (for the first time: {self.new:,})"
        lines = [f"left out to compare with: {plural(self.left_out, 'customer')} (quimbi lift)"] * (self.left_out > 0)
        if self.taken is None:
            first = [f"the first: {self.example}" if self.example else self._why_nothing()]
            return [f"{self.account}: dry run, nothing was sent; {size}, {plural(self.calls, 'call')}", *first, *lines]
        refused = f"; not known to Gorgias any more: {self.refused:,}" if self.refused else ""
        rejected = [f"refused, and to be sent again by the next push: {self.rejected:,}, first {self.reason}"]
        rejected *= self.rejected > 0
        erased = f"; not customers any more, as whoever was erased meanwhile: {self.erased:,}" if self.erased else ""
        return [f"{self.account}: told {self.taken:,} of {self.changed:,}{refused}{erased}", *rejected, *lines]

    def _why_nothing(self) -> str:
        """Say why there is nobody to tell of."""
        if not self.known:
            if self.is_foreign:
                return "these tickets did not come from Gorgias, whose own are not known yet: quimbi gorgias pull"
            return (
                "nobody who wrote to support is known among the customers with a profile: pull tickets and run the "
                "store; quimbi stores says how many tickets find their customer"
            )
        if self.left_out >= self.known:
            return "all of them are in the control group"
        return f"of {plural(self.known - self.left_out, 'customer')} all is as they were last told"


def push_fields(
    database: Database,
    store_id: str,
    axes: Sequence[str],
    say: Say = lambda _: None,
    *,
    control: float | None = None,
    send: bool = False,
    period: float = PERIOD,
    pause: float = 1.0,
) -> PushReport:
    """Tell Gorgias of the customers who changed, within the account's rate; without `send` only count.

    It is a call for all that is known of a customer, and one for each field that says nothing any more. Who is erased
    while it goes on is not told of.
    Of a share `control` of customers (None: that of before) it is told nothing, so that rules treat them as before.
    BadInputError: an axis without segments, a share that cannot be, or fields that Gorgias has not got (`install`).
    """
    read_store(database, store_id)
    account = account_of(database, store_id)
    names, _ = read_names(database, store_id)
    if strange := [axis for axis in axes if axis not in (*names, shapes.QUEUE)]:
        raise BadInputError(f"--axes {strange[0]}: store {store_id} has no segments of it: {', '.join(sorted(names))}")

    otherwise = project_rules().otherwise["queue"] if shapes.QUEUE in axes else None

    def read() -> tuple[Trial, list[Telling], int, int]:
        trial = fields.trial_of(database, store_id, control)
        changed, n_left_out = fields.read_changed(database, store_id, axes, names, trial, otherwise)
        return trial, changed, sum(one.is_new for one in changed), n_left_out

    if not send:
        _, changed, _, n_left_out = read()
        shown = _shown(account.name, changed, n_left_out, fields.count_known(database, store_id))
        return replace(shown, is_foreign=_is_foreign(database, store_id))
    with (
        closing(Client(account, say, period, pause)) as client,
        only_sender(database, store_id, f"{account.name}/fields"),
    ):
        numbers = _numbers_of(client, store_id, axes)
        trial, changed, n_new, n_left_out = read()  # while no other push can tell somebody in between
        fields.enter_trial(database, store_id, trial)
        n, reason = _tell_each(client, database, store_id, changed, numbers, say)
    outcomes = (n["taken"], n["refused"], n["rejected"], reason, n["erased"])
    return PushReport(account.name, len(changed), n_new, *outcomes, n_left_out)


def _tell_each(
    client: Client, database: Database, store_id: str, changed: Sequence[Telling], numbers: Mapping[str, int], say: Say
) -> tuple[Counter[str], str]:
    """Tell of customers one by one, writing each down; return how many were what, and why the first was ``rejected``.

    They are ``taken``, ``refused`` (not known there any more), ``rejected`` or ``erased``. RefusedError if Gorgias
    would take nothing of the first :data:`MOST_REJECTED`: it is not their fault.
    """
    outcomes, reason = Counter[str](), ""
    for number, one in enumerate(changed, start=1):
        theirs = (who for who in one.helpdesk_ids if fields.is_customer(database, store_id, who, one.customer_id))
        try:
            taken = [_tell(client, who, one, numbers) for who in theirs]  # each looked up just before
        except RefusedError as error:
            reason = reason or str(error)
            outcomes["rejected"] += 1
            if outcomes["rejected"] == number == MOST_REJECTED:
                raise
            fields.note_told(database, store_id, one, str(error), is_final=False)
            continue
        if taken:
            fields.note_told(database, store_id, one, None if any(taken) else "no such customer")
        outcomes["taken" if any(taken) else "refused" if taken else "erased"] += 1
        if number % SAID_EVERY == 0:
            say(f"told of {number:,} of {len(changed):,}")
    return outcomes, reason


def _shown(account: str, changed: Sequence[Telling], n_left_out: int, n_known: int) -> PushReport:
    """Return what telling would be."""
    n_new = sum(one.is_new for one in changed)
    example = f"{changed[0].customer_id} {dict(changed[0].state) or 'nothing any more'}" if changed else ""
    n_calls = sum(len(one.helpdesk_ids) * (bool(one.state) + len(one.taken_back)) for one in changed)
    return PushReport(
        account, len(changed), n_new, None, left_out=n_left_out, example=example, calls=n_calls, known=n_known
    )


def _is_foreign(database: Database, store_id: str) -> bool:
    """Tell whether a store has tickets, none of them pulled."""
    if any(known.source.is_helpdesk for known in read_sources(database, store_id)):
        return False
    with database.transaction(store_id) as cursor:
        return count_meetings(cursor, store_id).tickets > 0


def _numbers_of(client: Client, store_id: str, axes: Sequence[str]) -> dict[str, int]:
    """Return the numbers of fields, by name without prefix; BadInputError if one that is to be told is not there."""
    numbers = _field_numbers(client)
    if missing := [name for name in (*shapes.FIELDS, *axes) if name not in numbers]:
        raise BadInputError(
            f"Gorgias has no Customer Field {shapes.PREFIX}{missing[0]}: quimbi gorgias install --store-id "
            f"{store_id}" + (f" --axes {','.join(axes)}" if axes else "")
        )
    return numbers


def _tell(client: Client, who: str, one: Telling, numbers: Mapping[str, int]) -> bool:
    """Set what is known of a customer, empty what is not any more; return whether the customer is there."""
    path = f"/customers/{quote(who, safe='')}/custom-fields"
    for name in one.taken_back:
        if name in numbers:
            client.delete(f"{path}/{numbers[name]}")
    body = [{"id": numbers[name], "value": value} for name, value in one.state.items()]
    return client.put(path, body) if body else True


def install(
    database: Database,
    store_id: str,
    axes: Sequence[str],
    card: tuple[str, str] | None,
    call: tuple[str, str] | None,
    say: Say,
    *,
    dry_run: bool,
    period: float = PERIOD,
) -> list[str]:
    """Make what Gorgias lacks: fields, with `card` (our address, a token) an integration and its widget.

    With `call` (the same) also one that calls when tickets change. Returned is what was made, or would be; what is
    there stays as it is, but for an integration's address and token.
    """
    with closing(Client(account_of(database, store_id), say, period)) as client:
        there, made = _field_numbers(client), []
        for name in (*shapes.FIELDS, *axes):
            if name not in there:
                made.append(f"Customer Field {shapes.PREFIX}{name}")
                if not dry_run:
                    client.post("/custom-fields", shapes.field_of(name))
        wanted = [shapes.card_integration(*card)] if card is not None else []
        wanted += [shapes.call_integration(*call)] if call is not None else []
        known = _integrations(client)
        for body in wanted:
            made += _integrate(client, body, [one for one in known if one["name"] == body["name"]], dry_run=dry_run)
    return made


def _integrate(client: Client, body: dict[str, Any], there: Sequence[dict[str, Any]], *, dry_run: bool) -> list[str]:
    """Make an integration, or have those that are there ask as it does, and the card's widget; return what."""
    name, numbers = body["name"], [client.number_of(one) for one in there]
    made = [] if there else [f"HTTP integration {name}"]
    if any(not isinstance(one.get("http"), dict | None) for one in there):
        raise client.no_answer()
    stale = [one for one in there if {**(one.get("http") or {}), **body["http"]} != one.get("http")]
    made += [f"address and token of HTTP integration {name}"] * bool(stale)
    lacks_widget = name == shapes.CARD_NAME and not any(_widgets(client, number) for number in numbers)
    made += ["widget beside tickets"] * lacks_widget
    if not dry_run:
        for one in stale:
            client.put(f"/integrations/{client.number_of(one)}", body)
        numbers = numbers or [client.number_of(client.post("/integrations", body))]
        if lacks_widget:
            client.post("/widgets", shapes.widget_of(numbers[0]))
    return made


def uninstall(database: Database, store_id: str, say: Say, *, dry_run: bool, period: float = PERIOD) -> list[str]:
    """Take away what ``install`` made: integrations, the widget; fields are archived, what they hold stays."""
    with closing(Client(account_of(database, store_id), say, period)) as client:
        gone = []
        for one in _integrations(client):
            gone.append(f"HTTP integration {one['name']}" + " and its widget" * (one["name"] == shapes.CARD_NAME))
            if not dry_run:
                for widget in _widgets(client, client.number_of(one)):
                    client.delete(f"/widgets/{widget}")
                client.delete(f"/integrations/{client.number_of(one)}")
        for name, number in _field_numbers(client).items():
            gone.append(f"Customer Field {shapes.PREFIX}{name}")
            if not dry_run:
                client.put(
                    f"/custom-fields/{number}",
                    {**shapes.field_of(name), "deactivated_datetime": datetime.now(UTC).isoformat()},
                )
    return gone


def _field_numbers(client: Client) -> dict[str, int]:
    """Return the numbers of our fields that are in use, by name without prefix."""
    listed = _listed(client, "/custom-fields", {"object_type": "Customer"})
    in_use = [one for one in listed if not one.get("deactivated_datetime")]
    labels = {str(one.get("label")): one for one in in_use}
    return {
        label.removeprefix(shapes.PREFIX): client.number_of(one)
        for label, one in labels.items()
        if label.startswith(shapes.PREFIX)
    }


def _integrations(client: Client) -> list[dict[str, Any]]:
    """Return our integrations; two may have one name."""
    ours = (shapes.CARD_NAME, shapes.CALL_NAME)
    return [one for one in _listed(client, "/integrations", {}) if one.get("name") in ours]


def _widgets(client: Client, integration: int) -> list[int]:
    """Return the numbers of an integration's widgets."""
    listed = _listed(client, "/widgets", {"integration_id": str(integration)})
    return [client.number_of(one) for one in listed if one.get("integration_id") == integration]


def _listed(client: Client, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
    return [one for rows, _ in client.pages(path, query) for one in rows]
