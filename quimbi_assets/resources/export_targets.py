"""A list on its way out, whoever asks for it: a command or an asset.

Belongs here: which writer or sender a form has, and what to say of it. Does not: what they do (``exports``,
``advertisers``, ``klaviyo``), printing.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from quimbi_assets.audiences.definitions import ACTING, Audience, ExportTarget
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.audiences.filters import Query
from quimbi_assets.errors import BadInputError
from quimbi_assets.lift.assignment import Trial
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.actions import rule_query
from quimbi_assets.resources.audiences import choice_of, project_definitions
from quimbi_assets.resources.exports import STDOUT, write_rows
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.audiences import assign_members, stream_membership
from quimbi_assets.resources.postgres.tables.consent import CONTACTABLE, read_consent_counts
from quimbi_assets.resources.postgres.tables.customers import (
    CHOSEN,
    active_axes,
    holds_addresses,
    lacks_groupings,
    read_vocabulary,
    stream_profiles,
    utc,
)
from quimbi_assets.resources.postgres.tables.treatments import Group, enter, mark_acted, running_trial

if TYPE_CHECKING:
    import pyarrow as pa

    from quimbi_assets.resources.klaviyo.sender import Selection

ADVERTISERS = ("meta", "google")
MOST_WORDS = 60
"""Characters of a filter by which a trial without a name of its own is recognised."""
NO_ADDRESSES = (
    "customers go by the shop's own customer_id: of e-mail addresses only hashes are kept, and no names. To write to "
    "them: --format klaviyo, meta or google, with --contacts FILE of the shop's addresses"
)


@dataclass(frozen=True)
class Summary:
    """What became of a list."""

    lines: list[str]
    """For everybody: they name no customer."""
    named: list[str] = field(default_factory=list)
    """For whoever asked for the list, and no log: of single customers, addresses among it."""


def export(
    database: Database, store_id: str, target: ExportTarget, say: Callable[[str], None], contactable: bool = False
) -> Summary:
    """Write or send a list; return what became of it. ``say`` hears of requests while they are made.

    ``contactable``: files for reading leave out who may not be written to, too. BadInputError if the target cannot be
    used.
    """
    with database.snapshot(store_id) as now:
        vocabulary = read_vocabulary(now, store_id)
        query, audience = _choice(store_id, vocabulary, target)
        names = axes_to_tell(now, store_id, vocabulary, target.axes) if target.form == "klaviyo" else {}
        if target.form == "klaviyo" and lacks_groupings(now, store_id):
            raise BadInputError(f"the profiles are from before lifecycle was known: quimbi run --store-id {store_id}")
    group = group_of(database, store_id, target, query, audience)
    lines = [] if group is None else _of_before(database, store_id, group)
    if target.form == "klaviyo":
        from quimbi_assets.resources.klaviyo.sender import Selection

        contacts = Path(target.contacts) if target.contacts else None
        selection = Selection(query, names, None if audience is None else audience.name, contacts, group)
        summary = _to_klaviyo(database, store_id, selection, target, say)
    elif target.form in ADVERTISERS:
        summary = _to_advertisers(database, store_id, query, target, group)
    elif target.form == "audience":
        summary = _memberships(database, store_id, target, audience, group)
    else:
        summary = _to_read(database, store_id, query, target, group, vocabulary, contactable=contactable)
    return replace(summary, lines=[*summary.lines, *lines])


def _of_before(database: Database, store_id: str, group: Group) -> list[str]:
    """Say that a comparison begins anew, where a list has a control group of another share than it had."""
    running = running_trial(database, store_id, group.subject)
    if running is None or not group.trial.control or running.control == group.trial.control:
        return []
    return [
        f"{group.subject} had a control group of {running.control:.0%}: with another share the comparison begins anew, "
        "of those who are new to the list; who was on it stays where they were, and counts no more"
    ]


def _memberships(
    database: Database, store_id: str, target: ExportTarget, audience: Audience | None, group: Group | None
) -> Summary:
    """Write who entered and left audiences."""
    if target.where is not None or target.rule is not None:
        raise BadInputError("--format audience writes who entered and left audiences: give --audience, or nothing")
    path = Path(str(target.out))
    tried = {audience.name: group.trial} if audience and group else {} if audience else _tried(store_id)
    controls = assign_members(database, store_id, tried, is_out=True)
    rows = stream_membership(database, store_id, None if audience is None else audience.name)
    n_events = written(write_rows(path, rows, "csv"), "event", path)
    return Summary([n_events, *left_out(controls), read_consent_counts(database, store_id).words()])


def _to_read(
    database: Database, store_id: str, query: Query, target: ExportTarget, group: Group | None, vocabulary: Vocabulary,
    *, contactable: bool,
) -> Summary:  # fmt: skip
    """Write a list for reading, CSV or Parquet."""
    path = Path(str(target.out))
    if contactable:
        query = Query(query.text, f"({query.condition}) AND {CONTACTABLE}", query.parameters)
    group = None if group is None else replace(group, query=query)
    controls = 0 if group is None else _enter(database, store_id, group)
    listed = query if group is None else group.entered(store_id)
    rows, customers = stream_profiles(database, store_id, listed, vocabulary, with_addresses=True), []

    def noted() -> "Iterator[pa.Table]":
        for part in rows:
            customers.append(part["customer_id"])
            yield part

    n_rows = write_rows(path, rows if group is None else noted(), "parquet" if target.form == "parquet" else "csv")
    if group is not None:
        _mark(database, store_id, group.subject, customers)
    lines = [written(n_rows, "customer", path), *left_out(controls)]
    if target.rule is not None and not n_rows and not contactable:
        lines.append(f"the last run had rule {target.rule} act on nobody; written or changed since: quimbi run")
    return Summary([*lines, *without_addresses(database, store_id)])


def _choice(store_id: str, vocabulary: Vocabulary, target: ExportTarget) -> tuple[Query, Audience | None]:
    """Return whom a target is of; BadInputError if it says that twice, or not at all what there is."""
    if target.rule is None:
        return choice_of(store_id, vocabulary, target.where, target.audience)
    if target.where is not None or target.audience is not None:
        raise BadInputError("--rule, --audience and --where each say who: give one of them")
    if target.trial is not None:
        raise BadInputError(f"rule {target.rule} has a control group of its own, in actions.yaml: leave --control out")
    return rule_query(store_id, target.rule), None


def without_addresses(database: Database, store_id: str) -> list[str]:
    """Say of a list for reading how its customers are met again in the shop; nothing where it has their addresses."""
    sql = "SELECT customer_id LIKE '%%_@_%%' FROM quimbi.customer_profiles WHERE store_id = %s LIMIT 1"
    are_known = holds_addresses(database, store_id) or any(
        are for (are,) in database.execute(store_id, sql, (store_id,))
    )
    return [] if are_known else [NO_ADDRESSES]


def group_of(
    database: Database, store_id: str, target: ExportTarget, query: Query, audience: Audience | None
) -> Group | None:
    """Return how a list is tried, None if it is not.

    An audience has one control group wherever it goes. Lists for reading leave nobody out unless they are asked to; a
    list of the same filter goes on with the control group that it has, until it is asked to have none.
    """
    trial, subject = target.trial, f"export/{target.name}"
    if audience is not None:
        subject, usual = f"audience/{audience.name}", audience.trial
        if trial is None:
            trial = usual if target.form in ACTING else None
        elif usual is not None:
            trial = replace(usual, control=trial.control)
    elif target.name == target.form and query.text:  # a command's, which has no name of its own
        words = re.sub(r"[^a-z0-9]+", "-", query.text.lower()).strip("-")[:MOST_WORDS].rstrip("-")
        subject += f"/{words}-{hashlib.md5(query.text.encode(), usedforsecurity=False).hexdigest()[:6]}"
    running = running_trial(database, store_id, subject)
    compared = running or trial
    if target.outcome and compared is not None and compared.outcome != target.outcome:
        raise BadInputError(
            f"{subject} is compared by {compared.outcome}, which nobody chooses anew once figures are there: leave "
            f"--outcome {target.outcome} out, or give the list another --name"
        )
    if audience is None:
        trial = trial or running
    return None if trial is None else Group(subject, trial, query, target.entered_at)


def _tried(store_id: str) -> dict[str, Trial]:
    """Return how the audiences of a store are tried, of those that are."""
    known = project_definitions().audiences.values()
    return {one.name: one.trial for one in known if one.trial is not None and one.is_of(store_id)}


def left_out(controls: int) -> list[str]:
    """Say how many customers are left out to compare with, if any."""
    if not controls:
        return []
    return [
        f"left out to compare with: {plural(controls, 'customer')} (control group; quimbi lift says what it showed)"
    ]


def _enter(database: Database, store_id: str, group: Group) -> int:
    """Let those on a list for reading enter its trial; return how many are left out."""
    with utc(database, store_id) as cursor:
        chosen = CHOSEN.format(condition=group.query.condition, joined="")
        return enter(cursor, store_id, group, chosen, {"store": store_id, **group.query.parameters})


def _mark(database: Database, store_id: str, subject: str, customers: "Sequence[pa.ChunkedArray]") -> None:
    """Note that the customers on a list for reading were acted on, once its file is there."""
    ids = [one for part in customers for one in part.to_pylist()]
    with utc(database, store_id) as cursor:
        mark_acted(cursor, store_id, subject, "AND customer_id = ANY(%(customers)s)", {"customers": ids})


def written(n_rows: int, noun: str, path: Path) -> str:
    """Say how many rows a file has."""
    where = "standard output" if path == STDOUT else str(path)
    return f"{plural(n_rows, noun)} written to {where}"


def axes_to_tell(
    database: Database, store_id: str, vocabulary: Vocabulary, axes: tuple[str, ...] | None
) -> dict[str, Mapping[str, str]]:
    """Return the names of segments by axis, of the axes asked for, None: all that are active and not weak.

    BadInputError if one has no segments.
    """
    wanted = active_axes(database, store_id) if axes is None else axes
    unknown = [axis for axis in wanted if axis not in vocabulary.axes]
    if unknown:
        known = ", ".join(vocabulary.axes)
        raise BadInputError(f"axes: {', '.join(unknown)} has no segments in store {store_id}; there are: {known}")
    return {axis: vocabulary.groups[axis] for axis in wanted}


def _to_advertisers(
    database: Database, store_id: str, query: Query, target: ExportTarget, group: Group | None
) -> Summary:
    """Write a list of hashes for an advertiser."""
    from quimbi_assets.resources.advertisers import write_advertisers_list

    contacts, path = Path(target.contacts) if target.contacts else None, Path(str(target.out))
    made = write_advertisers_list(
        database, store_id, query, path, target.form, contacts, value=target.value, group=group
    )
    lines = [written(made.rows, "customer", path), *left_out(made.controls)]
    if target.form == "google" and not target.value:
        lines.append("without a column of value, which Google's page of uploads does not take: --value adds it")
    if made.without_address:
        hint = "" if contacts else "; --contacts F joins a file with customer_id and email"
        lines.append(f"{made.without_address:,} are left out, having no address here{hint}")
    return Summary([*lines, read_consent_counts(database, store_id, query).words(listed=contacts is not None)])


def _to_klaviyo(
    database: Database, store_id: str, selection: "Selection", target: ExportTarget, say: Callable[[str], None]
) -> Summary:
    """Send to Klaviyo whoever is not as it was last told, or find who that would be."""
    from quimbi_assets.exports.klaviyo import Limits
    from quimbi_assets.resources.klaviyo.sender import send_changes, show_changes

    path = None if target.out is None else Path(target.out)
    if target.send:
        report = send_changes(database, store_id, selection, Limits(), say)
    else:
        report = show_changes(database, store_id, selection, Limits(), path)
    lines = [*report.lines(), *left_out(report.controls)]
    if path is not None:
        lines.append(written(report.changes.customers, "profile", path))
    words = read_consent_counts(database, store_id, selection.query).words(listed=selection.contacts is not None)
    return Summary([*lines, words], report.named())
