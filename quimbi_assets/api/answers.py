"""The answers that programs get: one function a question, on the database as one store's (``ServedDatabase.of_store``).

Belongs here: questions with their limits, reading what they need, filling the models. Does not: HTTP and MCP, which
call these, who may ask (``guard``), SQL (``resources.postgres.tables``).

Errors are ``BadInputError``: of a question that cannot be understood, ``UnknownCustomerError``, ``UnknownStoreError``.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from quimbi_assets.api import models
from quimbi_assets.audiences.fields import Kind, Vocabulary
from quimbi_assets.audiences.filters import Query, compile_filter, order_by, usual_sort
from quimbi_assets.axes import AXES
from quimbi_assets.errors import BadInputError, NeverRunError, UnknownAudienceError, UnknownCustomerError
from quimbi_assets.naming.rows import why_provisional
from quimbi_assets.page.card import UNKNOWN, card_of
from quimbi_assets.profiles.rendering import profile_record
from quimbi_assets.resources import actions
from quimbi_assets.resources.audiences import audiences_now, choice_of, project_definitions
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables import served
from quimbi_assets.resources.postgres.tables.audiences import read_audiences
from quimbi_assets.resources.postgres.tables.customers import Place, count_chosen, read_page, read_vocabulary
from quimbi_assets.resources.postgres.tables.drift import read_moves, read_silent
from quimbi_assets.resources.postgres.tables.fields import read_card
from quimbi_assets.resources.postgres.tables.history import read_weeks
from quimbi_assets.resources.postgres.tables.identities import customer_called, find_by_email
from quimbi_assets.resources.postgres.tables.products import name_products
from quimbi_assets.resources.postgres.tables.similar import SimilarCustomers
from quimbi_assets.resources.postgres.tables.stores import store_currency
from quimbi_assets.resources.postgres.tables.treatments import read_trials, trial_record

LONGEST_FILTER = 10_000
MOST = 500
"""Items of a page."""
MOST_VERSIONS = 50
"""Versions of a segment's history."""
WORTH_SAVING = "worth_saving"
LIMIT = Field(50, ge=1, le=MOST, description="Items of a page")
CURSOR = Field(None, max_length=4_000, description="next_cursor of the page before; everything else as then")


class Question(BaseModel):
    """What all questions have in common: an argument that there is none of is an error."""

    model_config = ConfigDict(extra="forbid")


class SegmentQuestion(Question):
    """Which segments."""

    axis: str | None = Field(None, max_length=100, description="Of this axis alone")
    history: bool = Field(default=False, description=f"With the last {MOST_VERSIONS} versions of each segment")


class ProfileQuestion(Question):
    """How much of a profile."""

    details: bool = Field(default=False, description="With all memberships, and what was measured on each axis")


class CustomerQuestion(Question):
    """Which customers, in which order."""

    where: str | None = Field(
        None, max_length=LONGEST_FILTER, description="A filter, e.g. lifecycle = 'at risk' and value > 500"
    )
    audience: str | None = Field(None, max_length=100, description="An audience by name, in place of where")
    segment: str | None = Field(
        None, max_length=200, description="Whose dominant segment it is: axis.segment, by name or id"
    )
    min_membership: float | None = Field(
        None, ge=0, le=1, description="With segment: who belongs to it at least so far, dominant or not"
    )
    min_risk: float | None = Field(None, ge=0, le=1, description="Whose churn risk is at least this")
    sort: str | None = Field(
        None,
        max_length=200,
        description="Any field of filters, largest first; 'risk asc' turns it round. Without: an audience's own; of "
        "who may leave (late stages, a risk from some figure on) value_at_risk; else value",
    )
    limit: int = LIMIT
    cursor: str | None = CURSOR
    count: bool = Field(default=False, description="Also say how many there are in all, and what they spent")


class EmailQuestion(Question):
    """Whose profile, by e-mail; sent in a body, since addresses of requests end up in logs."""

    email: str | None = Field(
        None, min_length=3, max_length=320, description="Hashed at once with the store's secret; not kept"
    )
    email_sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="Of the address in small letters without space around it"
    )
    details: bool = Field(default=False, description="With all memberships, and what was measured on each axis")


class CardQuestion(Question):
    """Whose card; a helpdesk can only put the address into the address it asks at, as it is: empty, too, or with &."""

    model_config = ConfigDict(extra="ignore")
    email: str = Field(description="Hashed at once with the store's secret; not kept. A blank within it is a +")


class TicketQuestion(Question):
    """Whose ticket; sent in a body, since addresses of requests end up in logs. One of the three; null: it has none."""

    customer_id: str | None = Field(
        None, min_length=1, max_length=500, description="The customer's id, as orders have it"
    )
    email: str | None = Field(
        None, description="Hashed at once with the store's secret; not kept. Of nobody where it is empty"
    )
    email_sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="Of the address in small letters without space around it"
    )


class TrendQuestion(Question):
    """Which groups, how far back."""

    axis: str | None = Field(None, max_length=100, description="Of this axis, lifecycle, value_tier or rfm_group alone")
    weeks: int = Field(13, ge=1, le=104, description="Snapshots of so many weeks")


class MigrationQuestion(Question):
    """Which moves."""

    week: date | None = Field(None, description="The Monday that opens it; else the newest")
    axis: str | None = Field(None, max_length=100, description="On this axis, archetype or lifecycle alone")
    limit: int = LIMIT


class ListQuestion(Question):
    """How much of a list."""

    limit: int = LIMIT
    cursor: str | None = CURSOR


class SimilarQuestion(Question):
    """How many of those most alike."""

    limit: int = Field(10, ge=1, le=100, description="Customers")


class TopQuestion(Question):
    """How many of a list, most important first."""

    limit: int = LIMIT


def list_stores(now: Database, store_id: str) -> models.Stores:
    """Return the one store that there is to see."""
    return models.Stores(items=[models.Store(**served.read_served_store(now, store_id))])


def list_axes(now: Database, store_id: str) -> models.Axes:
    """Return all axes that the store was tried on."""
    axes = [models.Axis(**row) for row in _axes(now, store_id)]
    return models.Axes(store_id=store_id, as_of=served.read_instant(now, store_id), items=axes)


def list_segments(now: Database, store_id: str, question: SegmentQuestion) -> models.Segments:
    """Return the segments of today by axis, axes in their own order."""
    axes = _axes(now, store_id)
    if question.axis is not None and question.axis not in (known := [row["axis"] for row in axes]):
        raise BadInputError(f"store {store_id} has no axis {question.axis!r}; there are: {', '.join(known)}")
    segments: dict[str, list[models.Segment]] = {}
    versions: dict[tuple[str, str], list[models.SegmentVersion]] = {}
    if question.history:
        for row in served.records(now, store_id, served.VERSIONS, (store_id,)):
            versions.setdefault((row.pop("axis"), row.pop("segment_id")), []).append(models.SegmentVersion(**row))
    for row in served.records(now, store_id, served.SEGMENTS, (store_id,)):
        axis = row.pop("axis")
        past = versions.get((axis, row["segment_id"]), [])[:MOST_VERSIONS] if question.history else None
        segments.setdefault(axis, []).append(models.Segment(**row, history=past))
    items = [
        models.AxisSegments(**row, segments=segments.get(row["axis"], []))
        for row in axes
        if question.axis in (None, row["axis"])
    ]
    return models.Segments(store_id=store_id, as_of=served.read_instant(now, store_id), items=items)


def get_profile(now: Database, store_id: str, customer_id: str, question: ProfileQuestion) -> models.CustomerProfile:
    """Return a customer's profile; UnknownCustomerError if there is none."""
    known = is_text(customer_id)
    called = customer_called(now, store_id, customer_id) if known else customer_id
    row = served.read_profile(now, store_id, called, details=question.details) if known else None
    if row is None:
        raise UnknownCustomerError(f"store {store_id} has no profile of customer {customer_id}")
    name_products(now, store_id, [row])
    return profile_of(row, *served.read_names(now, store_id), details=question.details)


def profile_of(
    row: dict[str, Any], names: Mapping[str, Mapping[str, str]], statuses: Mapping[str, str | None], *, details: bool
) -> models.CustomerProfile:
    """Return a row of ``customer_profiles`` with ``archetype_name`` and ``currency`` as programs are answered it."""
    record = profile_record(row, names)
    for axis, segment in record["segments"].items():
        segment |= {"evidence": (record["evidence"] or {}).get(axis), "axis_status": statuses.get(axis)}
    archetype = record["archetype_id"]
    record["archetype"] = None if archetype is None else {"id": archetype, "name": record["archetype_name"]}
    if details:
        record |= {"memberships": record["segment_memberships"], "features": record["feature_vectors"]}
    return models.CustomerProfile(
        **{name: record[name] for name in models.CustomerProfile.model_fields if name in record}
    )


def find_customers(now: Database, store_id: str, question: CustomerQuestion) -> models.Customers:
    """Return a page of the customers whom a filter chooses.

    Pages follow one another by the value sorted by and the customer's id, not by number: nobody is told twice or left
    out while the profiles stay as they are, and by ``sort=customer_id`` nobody who stays in the list, whatever is
    published in between.
    """
    vocabulary = read_vocabulary(now, store_id)
    query, usual = _chosen(store_id, vocabulary, question)
    order = order_by(usual if question.sort is None else question.sort, vocabulary)
    asked = _digest([store_id, query.text, order.terms, [str(value) for value in order.parameters.values()]])
    after = None if question.cursor is None else _place(question.cursor, asked, order.kind)
    rows, place = read_page(now, store_id, query, order, after, question.limit)
    ((customers, value),) = count_chosen(now, store_id, [query]) if question.count else [(None, None)]
    items = [models.CustomerRow(**row) for row in rows]
    cursor = None if place is None else _cursor(asked, place)
    return models.Customers(items=items, next_cursor=cursor, customers=customers, value=value)


def worth_saving(now: Database, store_id: str, question: ListQuestion) -> models.Customers:
    """Return good customers out of their rhythm and in doubt, most value at risk first (an audience of this name).

    "At risk" by themselves they are called wherever programs and people ask for them. The first page says how many.
    """
    return find_customers(
        now, store_id, CustomerQuestion(audience=WORTH_SAVING, count=question.cursor is None, **question.model_dump())
    )


def fallen_silent(now: Database, store_id: str, question: TopQuestion) -> models.FallenSilent:
    """Return who fell silent of late and has not ordered since: newest first, then by risk times value."""
    _require_run(now, store_id)
    week, reason, customers, rows = read_silent(now, store_id, question.limit)
    items = [
        models.SilentCustomer(
            customer_id=row["customer_id"],
            week=row["week"],
            value=row["lifetime_value"],
            risk=row["risk"],
            priority=row["priority"],
        )
        for row in rows
    ]
    return models.FallenSilent(store_id=store_id, week=week, reason=reason, customers=customers, items=items)


def similar_customers(
    database: ServedDatabase, store_id: str, customer_id: str, limit: int, similar: SimilarCustomers
) -> models.Similar:
    """Return the customers most like one, nearest first; UnknownCustomerError if there is no such customer.

    No connection is held while the store's fingerprints are read: others are answered meanwhile.
    """
    if not is_text(customer_id):
        raise UnknownCustomerError(f"store {store_id} has no profile of that customer")
    with database.of_store(store_id) as now:
        customer_id = customer_called(now, store_id, customer_id)
    answer = similar.find(partial(database.of_store, store_id), store_id, customer_id, limit)
    items = [models.SimilarCustomer(**vars(one)) for one in answer.customers]
    return models.Similar(customer_id=customer_id, segments=answer.segments, items=items)


def get_profile_by_email(now: Database, store_id: str, question: EmailQuestion) -> models.CustomerProfile:
    """Return the profile of whoever has an e-mail address; UnknownCustomerError if nobody is known by it."""
    if (question.email is None) == (question.email_sha256 is None):
        raise BadInputError("give email, or email_sha256")
    known, home = is_text(question.email or ""), now.home or quimbi_home()
    customer_id = find_by_email(now, home, store_id, question.email, question.email_sha256) if known else None
    if customer_id is None:
        raise UnknownCustomerError(
            f"store {store_id} knows no customer by that e-mail: quimbi load --customers tells it"
        )
    return get_profile(now, store_id, customer_id, ProfileQuestion(details=question.details))


def card_by_email(now: Database, store_id: str, question: CardQuestion) -> models.Card:
    """Return the card of whoever has an e-mail address, or that nobody is known by it."""
    home, email = now.home or quimbi_home(), question.email.strip().replace(" ", "+")
    customer_id = find_by_email(now, home, store_id, email, None) if is_text(email) else None
    facts = None if customer_id is None else read_card(now, store_id, customer_id)
    return models.Card(**(UNKNOWN if facts is None else card_of(facts, datetime.now(UTC))))


def route_ticket(now: Database, store_id: str, question: TicketQuestion) -> models.Routing:
    """Return who answers a customer's ticket and what else is to be done; of the unknown what holds for everybody.

    BadInputError where it is said of nobody whose it is, not even that the ticket names none: null.
    """
    if not question.model_fields_set:
        raise BadInputError("give customer_id, email or email_sha256; null where a ticket has none")
    by_email = question.email is not None or question.email_sha256 is not None
    if (question.customer_id is not None) + (question.email is not None) + (question.email_sha256 is not None) > 1:
        raise BadInputError("give one of customer_id, email and email_sha256")
    customer_id = question.customer_id if is_text(question.customer_id) else None
    customer_id = None if customer_id is None else customer_called(now, store_id, customer_id)
    if by_email and is_text(question.email or ""):
        customer_id = find_by_email(now, now.home or quimbi_home(), store_id, question.email, question.email_sha256)
    return models.Routing(**actions.route_ticket(now, store_id, customer_id, is_served=True))


def lift(now: Database, store_id: str) -> models.Lift:
    """Return what each trial of a store showed when it was last counted."""
    currency = store_currency(now, store_id)
    records = [trial_record(state, currency or "") for state in read_trials(now, store_id, anew=False)]
    return models.Lift(store_id=store_id, currency=currency, items=[models.Trial(**one) for one in records])


def trends(now: Database, store_id: str, question: TrendQuestion) -> models.Trends:
    """Return how large groups are and were, and how customers were spread over the segments of axes week by week."""
    as_of = _require_run(now, store_id)
    _require_groups(now, store_id, question.axis)
    asked = {"store": store_id, "axis": question.axis, "weeks": question.weeks}
    groups: dict[str, list[models.GroupTrend]] = {}
    for row in served.records(now, store_id, served.GROUPS, asked):
        groups.setdefault(row.pop("axis"), []).append(models.GroupTrend(**row))
    weeks: dict[str, list[models.WeekShares]] = {}
    for row in served.records(now, store_id, served.SHARES, asked):
        weeks.setdefault(row.pop("axis"), []).append(models.WeekShares(**row))
    items = [models.Trend(axis=axis, groups=rows, weeks=weeks.get(axis, [])) for axis, rows in groups.items()]
    return models.Trends(store_id=store_id, as_of=as_of, items=items)


def migrations(now: Database, store_id: str, question: MigrationQuestion) -> models.Migrations:
    """Return who moved between groups in a week, and for which cause."""
    _require_run(now, store_id)
    _require_groups(now, store_id, question.axis)
    weeks = read_weeks(now, store_id)
    week = question.week or next(iter(weeks[-1:]), None)
    if question.week is not None and question.week not in weeks:
        near = (
            f"those there are: {weeks[0]} to {weeks[-1]}" if weeks else f"next: quimbi snapshot --store-id {store_id}"
        )
        raise BadInputError(f"there is no snapshot of week {question.week}; {near}")
    causes, rows = ({}, []) if week is None else read_moves(now, store_id, week)
    items = [
        models.Migration(
            axis=row["axis"],
            from_id=row["from_segment"],
            from_name=row["from_name"],
            to_id=row["to_segment"],
            to_name=row["to_name"],
            cause=row["cause"],
            customers=row["customers"],
        )
        for row in rows
        if question.axis in (None, row["axis"])
    ]
    before = [one for one in weeks if week is not None and one < week]
    return models.Migrations(
        store_id=store_id,
        week=week,
        compared_with=next(iter(before[-1:]), None),
        weeks=weeks,
        customers_by_cause=causes,
        items=items[: question.limit],
    )


def list_audiences(now: Database, store_id: str) -> models.Audiences:
    """Return the audiences of a store, each with how many customers it has."""
    items = [models.Audience(**row) for row in audiences_now(now, store_id)]
    return models.Audiences(store_id=store_id, items=items)


def audience_members(now: Database, store_id: str, audience: str, question: ListQuestion) -> models.Members:
    """Return a page of who is in an audience, by customer id; UnknownAudienceError if there is none of that name."""
    try:
        project_definitions().audience(audience, store_id)
    except BadInputError as error:
        raise UnknownAudienceError(str(error)) from error
    asked = _digest([store_id, audience])
    after = None if question.cursor is None else _place(question.cursor, asked, "text").customer_id
    sought = {"store": store_id, "audience": audience, "after": after, "limit": question.limit + 1}
    rows = served.records(now, store_id, served.MEMBERS, sought)
    items = [models.Member(**row) for row in rows[: question.limit]]
    cursor = _cursor(asked, Place(None, items[-1].customer_id)) if len(rows) > question.limit else None
    state = read_audiences(now, store_id).get(audience)
    return models.Members(
        audience=audience, refreshed_at=None if state is None else state.refreshed_at, items=items, next_cursor=cursor
    )


def _require_run(now: Database, store_id: str) -> datetime:
    """Return as of when a store's results are; NeverRunError if there are none, rather than an answer without any."""
    as_of = served.read_instant(now, store_id)
    if as_of is None:
        raise NeverRunError(store_id, "profiles")
    return as_of


def _require_groups(now: Database, store_id: str, axis: str | None) -> None:
    """BadInputError if a store's customers are not grouped by what was asked for."""
    names = sorted(
        {row["axis"] for row in served.records(now, store_id, served.GROUPS, {"store": store_id, "axis": None})}
    )
    if axis is not None and axis not in names:
        raise BadInputError(f"store {store_id} has no groups of {axis!r}; there are: {', '.join(names)}")


def _axes(now: Database, store_id: str) -> list[dict[str, Any]]:
    """Return the axes of a store in their own order, as ``models.Axis`` has them."""
    rows = {row["axis"]: row for row in served.records(now, store_id, served.AXES, (store_id,))}
    if not rows:
        served.read_instant(now, store_id)
        raise NeverRunError(store_id, "segments")
    ordered = [name for name in AXES if name in rows] + sorted(set(rows) - set(AXES))
    for name, row in rows.items():
        row["question"] = AXES[name].question if name in AXES else ""
        row["provisional"] = why_provisional(row.pop("customers_fitted"))
    return [rows[name] for name in ordered]


def _chosen(store_id: str, vocabulary: Vocabulary, question: CustomerQuestion) -> tuple[Query, str]:
    """Return whom a question chooses, and by what they are sorted unless it says."""
    query, audience = choice_of(store_id, vocabulary, question.where, question.audience)
    parts = [f"({query.text}\n)"] if query.text else []  # a comment at its end ends with the line
    if question.segment is not None:
        parts.append(_in_segment(vocabulary, question.segment, question.min_membership))
    elif question.min_membership is not None:
        raise BadInputError("min_membership says how far into a segment: give segment, too")
    if question.min_risk is not None:
        parts.append(f"risk >= {question.min_risk!r}")
    chosen = compile_filter(" and ".join(parts), vocabulary)
    return chosen, usual_sort(chosen) if audience is None else audience.sort


def _in_segment(vocabulary: Vocabulary, segment: str, min_membership: float | None) -> str:
    """Return the filter for a segment, which goes by ``axis.segment``, or by itself where one axis alone has it."""
    named = {
        f"{axis}.{name}": (axis, key)
        for axis in vocabulary.axes
        for pair in vocabulary.groups[axis].items()
        for name, key in ((pair[0], pair[0]), (pair[1], pair[0]))
    }
    meant = {place for text, place in named.items() if segment in (text, text.partition(".")[2])}
    if len(meant) != 1:
        near = (
            get_close_matches(segment, named, 3, 0.3) if not meant else [f"{axis}.{key}" for axis, key in sorted(meant)]
        )
        what = "there is no segment" if not meant else "several axes have a segment"
        raise BadInputError(f"{what} {segment!r}; write axis.segment, such as {', '.join(near or sorted(named)[:3])}")
    ((axis, key),) = meant
    return f"{axis} = '{key}'" if min_membership is None else f"{axis}.{key} >= {min_membership!r}"


def _digest(question: Any) -> str:
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()[:12]


def _cursor(asked: str, place: Place) -> str:
    """Write a place down as text that means nothing to who keeps it."""
    value = place.value.isoformat() if isinstance(place.value, datetime) else place.value
    text = json.dumps([asked, value, place.customer_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str, asked: str, kind: Kind) -> Place:
    """Read a place back; BadInputError if it is none, or one of another question."""
    try:
        digest, value, customer_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        known = value is None or _is_of(value, kind)
        if known and kind == "date" and value is not None:
            value = datetime.fromisoformat(value).astimezone(UTC).isoformat()  # PostgreSQL takes no offset of 16 hours
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        digest, known, customer_id, value = "", False, "", None
    if digest != asked or not known or not is_text(customer_id):
        raise BadInputError("the cursor belongs to another question: ask as for the page before, or begin without one")
    return Place(value, customer_id)


def _is_of(value: Any, kind: Kind) -> bool:
    if kind == "flag":
        return isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(float(value))
    return is_text(value) and (kind != "date" or datetime.fromisoformat(value).tzinfo is not None)


def is_text(value: Any) -> bool:
    """Whether a value is text that PostgreSQL can hold: no NUL, no half of a pair of code units."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
