"""Writes lists of customers as files, or sends them, and says what is in them.

Belongs here: ``quimbi export``, and the files that other commands write of a list. Does not: what a row looks like
(``exports``), writing and sending (``resources``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.audiences.filters import Query, compile_filter
from quimbi_assets.commands.console import err, out, steps
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.audiences import audience_query, project_definitions
from quimbi_assets.resources.exports import STDOUT, Format, write_rows
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables.consent import CONTACTABLE, read_consent_counts
from quimbi_assets.resources.postgres.tables.customers import active_axes, read_vocabulary, stream_profiles

if TYPE_CHECKING:
    from quimbi_assets.resources.klaviyo.sender import Report

ADVERTISERS = ("meta", "google")
SHOWN = 10
"""Refused customers that are named."""


@dataclass(frozen=True)
class ExportOptions:
    """Whom to export, in which form, where to."""

    form: str
    out: Path | None = None
    where: str | None = None
    audience: str | None = None
    contacts: Path | None = None
    """A file with the customers' addresses."""
    contactable: bool = False
    """Whether a file for reading leaves out who may not be written to, too."""
    axes: list[str] | None = None
    """Of whose segments a service is told; None: of all that are active and not weak."""
    send: bool = False


def choice_of(
    store_id: str, vocabulary: Vocabulary, where: str | None, audience: str | None
) -> tuple[Query, Audience | None]:
    """Return whom a filter or an audience chooses; everybody without either, a BadInputError with both."""
    if audience is None:
        return compile_filter(where, vocabulary), None
    if where is not None:
        raise BadInputError("--audience and --where both say who: give one of them")
    one = project_definitions().audience(audience, store_id)
    return audience_query(one, vocabulary), one


def export_customers(store_id: str, options: ExportOptions) -> None:
    """Write the customers whom a filter chooses in the form asked for, or send them."""
    if options.form == "klaviyo":
        return _export_to_klaviyo(store_id, options)
    if options.send or options.axes is not None:
        raise BadInputError(f"--send and --axes are for --format klaviyo: --format {options.form} writes a file")
    if options.out is None:
        raise BadInputError(f"--out is missing: name a file, or - for standard output (--format {options.form})")
    database = open_database()
    with database.snapshot() as now:
        vocabulary = read_vocabulary(now, store_id)
        query, audience = choice_of(store_id, vocabulary, options.where, options.audience)
    if options.form in ADVERTISERS:
        return _write_advertisers_list(database, store_id, query, options, options.out)
    if options.form == "audience":
        return _write_membership(database, store_id, audience, options, options.out)
    form: Format = "parquet" if options.form == "parquet" else "csv"
    if options.contactable:
        query = Query(query.text, f"{query.condition} AND {CONTACTABLE}", query.parameters)
    return write_profiles(database, store_id, query, vocabulary, options.out, form)


def write_profiles(
    database: Database, store_id: str, query: Query, vocabulary: Vocabulary, path: Path, form: Format
) -> None:
    """Write every scalar column and every segment of the chosen customers; say how many, beside the file."""
    n_rows = write_rows(path, stream_profiles(database, store_id, query, vocabulary), form)
    _say_written(n_rows, "customer", path)


def _write_advertisers_list(
    database: Database, store_id: str, query: Query, options: ExportOptions, path: Path
) -> None:
    from quimbi_assets.resources.advertisers import write_advertisers_list

    written = write_advertisers_list(database, store_id, query, path, options.form, options.contacts)
    _say_written(written.rows, "customer", path)
    if written.without_address:
        hint = "" if options.contacts else "; --contacts F joins a file with customer_id and email"
        err.print(f"{written.without_address:,} are left out, having no address here{hint}", markup=False)
    err.print(read_consent_counts(database, store_id).words(), markup=False)


def _write_membership(
    database: Database, store_id: str, audience: Audience | None, options: ExportOptions, path: Path
) -> None:
    from quimbi_assets.resources.postgres.tables.audiences import stream_membership

    if options.where is not None:
        raise BadInputError("--format audience writes who entered and left audiences: give --audience, or nothing")
    rows = stream_membership(database, store_id, None if audience is None else audience.name)
    _say_written(write_rows(path, rows, "csv"), "event", path)
    err.print(read_consent_counts(database, store_id).words(), markup=False)


def _export_to_klaviyo(store_id: str, options: ExportOptions) -> None:
    """Send to Klaviyo whoever is not as it was last told, or show what would be sent."""
    from quimbi_assets.exports.klaviyo import Limits
    from quimbi_assets.resources.klaviyo.sender import Selection, send_changes, show_changes

    if options.out is not None:
        raise BadInputError("--out is for files: --format klaviyo shows what it would send, and sends it with --send")
    database = open_database()
    with database.snapshot() as now:
        vocabulary = read_vocabulary(now, store_id)
        query, audience = choice_of(store_id, vocabulary, options.where, options.audience)
        names = axes_to_tell(now, store_id, vocabulary, options.axes)
    name = None if audience is None else audience.name
    selection = Selection(query, names, name, options.contacts)
    if options.send:
        with steps("klaviyo") as progress:
            report = send_changes(database, store_id, selection, Limits(), progress.step)
    else:
        report = show_changes(database, store_id, selection, Limits())
    for line in klaviyo_lines(report):
        out.print(line, markup=False)
    out.print(read_consent_counts(database, store_id).words(), markup=False)


def axes_to_tell(
    database: Database, store_id: str, vocabulary: Vocabulary, axes: list[str] | None
) -> dict[str, Mapping[str, str]]:
    """Return the names of segments by axis, of the axes asked for; BadInputError if one has no segments."""
    if axes is None:
        axes = active_axes(database, store_id)
    unknown = [axis for axis in axes if axis not in vocabulary.axes]
    if unknown:
        raise BadInputError(f"--axes: {', '.join(unknown)} has no segments; there are: {', '.join(vocabulary.axes)}")
    return {axis: vocabulary.groups[axis] for axis in axes}


def klaviyo_lines(report: "Report") -> list[str]:
    """Say what was sent, or what would be."""
    changes, lines = report.changes, []
    if report.outcome is None:
        size = (
            f"{changes.customers:,} profiles, {changes.new:,} of them for the first time, in {changes.jobs:,} requests"
        )
        what = f"{size} and {changes.bytes / 1e6:.1f} MB" if changes.customers else "nothing has changed"
        lines.append(f"dry run, nothing was sent: {what}")
        if report.open_jobs:
            lines.append(f"an earlier --send did not finish {report.open_jobs:,} requests; --send goes on with them")
        if changes.example is not None:
            lines.append(f"the first: {changes.example}")
    elif not changes.customers and not report.open_jobs:
        lines.append("nothing has changed since the last time; no request was made")
    else:
        lines.append(f"{report.outcome.customers:,} profiles taken, {report.outcome.requests:,} requests sent")
    if changes.without_address:
        lines.append(
            f"{changes.without_address:,} of them are known here by the shop's id alone (external_id): whom Klaviyo "
            "does not know by it, it creates, and bills; --contacts F joins their e-mails"
        )
    if report.refused:
        lines.append(f"refused by Klaviyo, and not sent again until they change: {len(report.refused):,}")
        lines += [f"  {customer}: {reason}" for customer, reason in report.refused[:SHOWN]]
    return lines


def _say_written(n_rows: int, noun: str, path: Path) -> None:
    where = "standard output" if path == STDOUT else str(path)
    err.print(f"{n_rows:,} {noun}{'' if n_rows == 1 else 's'} written to {where}", markup=False)
