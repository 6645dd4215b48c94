"""Customers chosen by a filter, out of what is published: how many, what they are worth, and their rows.

Belongs here: the queries, what a store's filters can speak of. Does not: the language (``audiences``), writing files
(``resources.exports``), whole profiles (``publications``).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from quimbi_assets.audiences.fields import SCALARS, Kind, Vocabulary
from quimbi_assets.audiences.filters import Order, Query, order_by
from quimbi_assets.audiences.kinds import segments_by_kind
from quimbi_assets.errors import NeverRunError
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database, bound_to
from quimbi_assets.resources.postgres.tables.served import read_names

LISTED = {
    "customer_id": "profile.customer_id",
    "lifecycle": "profile.lifecycle",
    "value_tier": "profile.value_tier",
    "rfm_group": "profile.rfm_group",
    "value": "profile.lifetime_value",
    "orders": "profile.n_orders",
    "last_order_at": "profile.last_order_at",
    "risk": "profile.churn_risk_score",
    "predicted_value_90d": "profile.predicted_value_90d",
    "expected_next_order_at": "profile.expected_next_order_at",
    "archetype": "archetype.name",
}
"""Columns of a list of customers, by the names that filters use."""
FEATURES = """
    SELECT feature.key, max(jsonb_typeof(feature.value)) FILTER (WHERE feature.value <> 'null'),
        bool_and(feature.value #>> '{}' ~ '^\\d{4}-\\d\\d-\\d\\d') AS is_date
    FROM (SELECT feature_vectors -> %(axis)s AS features FROM quimbi.customer_profiles
          WHERE store_id = %(store)s ORDER BY customer_id LIMIT 500) AS profiled
    CROSS JOIN LATERAL jsonb_each(features) AS feature GROUP BY feature.key
"""
"""The features of an axis that a store's profiles hold: to read the declarations takes five times as long."""
CENTRES = """
    SELECT segment_id, cluster_center, customer_count FROM quimbi.dim_segment_master
    WHERE store_id = %s AND axis_name = %s AND valid_to IS NULL ORDER BY segment_id
"""
CHOSEN = """
    FROM quimbi.customer_profiles AS profile
    LEFT JOIN quimbi.archetypes AS archetype ON archetype.store_id = profile.store_id
        AND archetype.archetype_id = profile.archetype_id AND archetype.valid_to IS NULL
    {joined}
    WHERE profile.store_id = %(store)s AND ({condition})
"""


@dataclass(frozen=True)
class Chosen:
    """Customers whom a filter chooses: how many, what they spent in all, and the first of them."""

    customers: int
    value: float | None
    """None where no spend is recorded of any."""
    rows: list[dict[str, Any]]
    """Of :data:`LISTED`."""


def read_vocabulary(database: Database, store_id: str) -> Vocabulary:
    """Return what filters of a store can speak of; BadInputError if it was never run, or there is no such store."""
    archetypes = """
        SELECT archetype_id, name FROM quimbi.archetypes WHERE store_id = %s AND valid_to IS NULL ORDER BY archetype_id
    """
    groups = {
        "archetype": dict(database.execute(store_id, archetypes, (store_id,))),
        **read_names(database, store_id)[0],
    }
    zones = database.execute(store_id, "SELECT time_zone FROM quimbi.stores WHERE store_id = %s", (store_id,))
    if not zones:
        _refuse(database, store_id)
    if len(groups) == 1:
        raise NeverRunError(store_id, "segments")

    @cache
    def features(axis: str) -> dict[str, Kind]:
        rows = database.execute(store_id, FEATURES, {"store": store_id, "axis": axis})
        return {name: _kind(json_type, bool(is_date)) for name, json_type, is_date in rows}

    doubtful = """
        SELECT axis_name, status, reason FROM quimbi.axis_models WHERE store_id = %s AND status IN ('inactive', 'weak')
    """
    reasons: dict[str, dict[str, str]] = {"inactive": {}, "weak": {}}
    for axis, status, reason in database.execute(store_id, doubtful, (store_id,)):
        reasons[status][axis] = reason or status

    @cache
    def kinds(axis: str) -> dict[str, tuple[str, ...]]:
        rows = [] if axis in reasons["weak"] else database.execute(store_id, CENTRES, (store_id, axis))
        return segments_by_kind(axis, {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows})

    return Vocabulary(groups, features, str(zones[0][0]), reasons["inactive"], kinds, reasons["weak"])


def _refuse(database: Database, store_id: str) -> None:
    """Say that there is no such store; whoever asks about one that there is does without importing pandas, 0.3 s."""
    from quimbi_assets.resources.postgres.tables.stores import read_store

    read_store(database, store_id)


def _kind(json_type: str | None, is_date: bool) -> Kind:
    if json_type == "string":
        return "date" if is_date else "text"
    return "flag" if json_type == "boolean" else "number"


def read_chosen(
    database: Database, store_id: str, query: Query, vocabulary: Vocabulary, sort: str = "value", limit: int = 20
) -> Chosen:
    """Return whom a filter chooses, the first ``limit`` of them as ``order_by`` sorts by ``sort``."""
    order = order_by(sort, vocabulary)
    chosen = CHOSEN.format(condition=query.condition, joined="")
    parameters = {"store": store_id, **query.parameters}
    listed = ", ".join(f"{sql} AS {name}" for name, sql in LISTED.items())
    with utc(database, store_id) as cursor:
        # The two kinds of parameters have names alike: those of the order are filled in apart.
        ordered = cursor.mogrify(f"ORDER BY {order.terms}, profile.customer_id LIMIT {max(limit, 1)}", order.parameters)
        cursor.execute(
            f"SELECT count(*) OVER (), sum(profile.lifetime_value) OVER (), {listed} {chosen} "
            + ordered.decode().replace("%", "%%"),
            parameters,
        )
        rows = cursor.fetchall()
    customers, value = rows[0][:2] if rows else (0, None)
    return Chosen(customers, value, [dict(zip(LISTED, row[2:], strict=True)) for row in rows[:limit]])


@dataclass(frozen=True)
class Place:
    """Where a page of customers ended: the last one's id, and the value they were sorted by."""

    value: Any
    customer_id: str


SORTED = {"number": "double precision", "date": "timestamptz", "flag": "boolean", "text": "text", "group": "text"}


def read_page(
    database: Database, store_id: str, query: Query, order: Order, after: Place | None, limit: int
) -> tuple[list[dict[str, Any]], Place | None]:
    """Return whom a filter chooses, ``limit`` at most, in an order from a place on, and where the next ones begin.

    Rows are of :data:`LISTED`; the place is None where nobody comes any more. By ``value`` and ``customer_id``, which
    have an index, the thousandth page takes as long as the first; by any other field all whom the filter chooses are
    sorted for each page.
    """
    listed = ", ".join(f"{sql} AS {name}" for name, sql in LISTED.items())
    chosen = CHOSEN.format(condition=query.condition, joined="")
    listed_of = CHOSEN.format(condition="TRUE", joined="JOIN page ON page.customer_id = profile.customer_id")
    values = {**order.parameters, **({} if after is None else {"after": after.value, "after_id": after.customer_id})}
    rows: list[tuple[Any, ...]] = []
    with utc(database, store_id) as cursor:
        for later in _later(order, after):
            wanted = limit + 1 - len(rows)
            # The two kinds of parameters have names alike: those of the order are filled in apart.
            apart = [
                cursor.mogrify(text, values).decode().replace("%", "%%")
                for text in (order.sql, f"AND {later} ORDER BY {order.terms}, profile.customer_id LIMIT {wanted}")
            ]
            # Whom an index holds all that is asked of is chosen from there; whole profiles are read of the page alone.
            sql = f"""
                WITH page AS (SELECT profile.customer_id, {apart[0]} AS value {chosen} {apart[1]})
                SELECT page.value, {listed} {listed_of}
                ORDER BY page.value {"ASC" if order.is_ascending else "DESC"} NULLS LAST, profile.customer_id
            """
            cursor.execute(sql, {"store": store_id, **query.parameters})
            rows += cursor.fetchall()
            if len(rows) > limit:
                break
    items = [dict(zip(LISTED, row[1:], strict=True)) for row in rows[:limit]]
    return items, Place(rows[limit - 1][0], items[-1]["customer_id"]) if len(rows) > limit else None


def _later(order: Order, after: Place | None) -> tuple[str, ...]:
    """Return the conditions that a customer comes after a place in an order: whoever the first lets through is before.

    Those of whom the value is not known are asked for apart: in one condition they keep the server from starting at the
    place within an index.
    """
    if after is None:
        return ("true",)
    if after.value is None:
        return (f"({order.sql} IS NULL AND profile.customer_id > %(after_id)s)",)
    value, sign = f"%(after)s::{SORTED[order.kind]}", ">" if order.is_ascending else "<"
    beyond = f"({order.sql} {sign} {value} OR profile.customer_id > %(after_id)s)"
    return f"({order.sql} {sign}= {value} AND {beyond})", f"{order.sql} IS NULL"


def count_chosen(database: Database, store_id: str, queries: Sequence[Query]) -> list[tuple[int, float | None]]:
    """Return how many customers each filter chooses and what they spent in all; None where no spend is recorded.

    All are counted in one reading of the store's profiles.
    """
    with database.transaction(store_id) as cursor:
        # The parameters of all have names alike: each filter's are filled in apart.
        conditions = [cursor.mogrify(one.condition, dict(one.parameters)).decode() for one in queries]
        figures = [
            f"count(*) FILTER (WHERE {one}), sum(profile.lifetime_value) FILTER (WHERE {one})"
            for one in (text.replace("%", "%%") for text in conditions)
        ]
        any_of = " OR ".join(f"({text})" for text in conditions).replace("%", "%%")
        cursor.execute(f"SELECT {', '.join(figures)} {CHOSEN.format(condition=any_of, joined='')}", {"store": store_id})
        (row,) = cursor.fetchall()
    return list(zip(map(int, row[::2]), row[1::2], strict=True))


def why_nobody(database: Database, store_id: str, query: Query) -> str | None:
    """Return why a filter chooses nobody, where that can be known."""
    for one, value in query.compared:
        if one.is_share and value > 1:
            return f"{one.name} is 0 to 1: write {value / 100:g} for {value:g} %"
    for one, _ in query.compared:
        if one.name not in SCALARS:
            continue
        reason = "profile.churn_drivers ->> 'reason'" if one.name == "risk" else "profile.prediction_reason"
        sql = f"SELECT count({one.sql}), min({reason}) FROM quimbi.customer_profiles AS profile WHERE store_id = %s"
        ((n_known, why),) = database.execute(store_id, sql, (store_id,))
        if not n_known:
            clause = f": {why[:1].lower()}{why[1:].removesuffix('.')}" if why else ""
            return f"{one.name} is not known of anybody{clause}"
    recorded = "SELECT EXISTS (SELECT FROM quimbi.segment_migrations WHERE store_id = %s)"
    if query.asks_moves and not database.execute(store_id, recorded, (store_id,))[0][0]:
        return f"no moves are recorded yet: quimbi snapshot --store-id {store_id}, for two weeks at least"
    return None


def active_axes(database: Database, store_id: str) -> list[str]:
    """Return a store's axes that are active and not weak, by name."""
    sql = "SELECT axis_name FROM quimbi.axis_models WHERE store_id = %s AND status = 'active' ORDER BY axis_name"
    return [axis for (axis,) in database.execute(store_id, sql, (store_id,))]


def lacks_groupings(database: Database, store_id: str) -> bool:
    """Whether no profile of a store has a lifecycle: they were published before there was one."""
    sql = "SELECT NOT EXISTS (SELECT FROM quimbi.customer_profiles WHERE store_id = %s AND lifecycle IS NOT NULL)"
    ((lacking,),) = database.execute(store_id, sql, (store_id,))
    return bool(lacking)


ADDRESS_OF = """
    (SELECT hidden.email FROM quimbi.customer_addresses AS hidden
     WHERE hidden.store_id = profile.store_id AND hidden.customer_id = profile.customer_id)
"""


def scalar_columns(database: Database) -> list[str]:
    """Return the columns of ``customer_profiles`` that hold one value, in the table's order, without the sentence."""
    sql = """
        SELECT column_name FROM information_schema.columns WHERE table_schema = 'quimbi'
            AND table_name = 'customer_profiles' AND data_type NOT IN ('jsonb', 'ARRAY') ORDER BY ordinal_position
    """
    return [name for (name,) in database.execute(EVERY_STORE, sql)]


def stream_profiles(
    database: Database,
    store_id: str,
    query: Query,
    vocabulary: Vocabulary,
    order: Order | None = None,
    *,
    with_addresses: bool = False,
) -> Iterator[pa.Table]:
    """Yield the rows of an export: whom a filter chooses, in an order, else by id, some thousand at a time.

    All scalar columns of profiles; the archetype's name; of each axis the segment's name today (``segment_<axis>``),
    its id (``segment_id_<axis>``) and how likely the customer stays in it (``strength_<axis>``: ``stays_strength``).
    Who bought once is told so once, by ``n_orders``: name and strength are null on axes that one order says nothing of.
    ``with_addresses``: also ``email``, where the store's customers are known by hashes of it; not for programs.
    """
    columns = {name: f"profile.{name}" for name in scalar_columns(database)}
    columns["archetype"] = LISTED["archetype"]
    names: dict[str, str] = {}
    for number, axis in enumerate(vocabulary.axes):
        segment, names[f"names_{number}"] = f"segment.{quoted(axis)}", json.dumps(dict(vocabulary.groups[axis]))
        judged = f"CASE WHEN profile.n_orders = 1 AND evidence.{quoted(axis)} = 'low' THEN NULL ELSE"
        columns |= {
            f"segment_{axis}": f"{judged} coalesce(%(names_{number})s::jsonb ->> {segment}, {segment}) END",
            f"segment_id_{axis}": segment,
            f"strength_{axis}": f"{judged} strength.{quoted(axis)} END",
        }
    listed = ", ".join(f"{quoted(axis)} text" for axis in vocabulary.axes)
    # Taken apart at once: one by one, each of fourteen axes would read the customer's whole object again.
    apart = f"""
        CROSS JOIN LATERAL jsonb_to_record(coalesce(profile.dominant_segments, '{{}}')) AS segment ({listed})
        CROSS JOIN LATERAL jsonb_to_record(coalesce(profile.stays_strength, '{{}}')) AS strength ({listed})
        CROSS JOIN LATERAL jsonb_to_record(coalesce(profile.evidence, '{{}}')) AS evidence ({listed})
    """
    if with_addresses and holds_addresses(database, store_id):
        columns["email"] = ADDRESS_OF
    listed = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in columns.items())
    sql = f"SELECT {listed} {CHOSEN.format(condition=query.condition, joined=apart)} ORDER BY "
    by = {} if order is None else {f"sorted_{name}": value for name, value in order.parameters.items()}
    sql += "" if order is None else f"{order.terms.replace('%(', '%(sorted_')}, "
    parameters = {"store": store_id, **query.parameters, **names, **by}
    yield from stream(database, store_id, f"{sql}profile.customer_id", parameters)


def holds_addresses(database: Database, store_id: str) -> bool:
    """Whether customers of a store are known by hashes of their addresses, which are kept."""
    sql = "SELECT EXISTS (SELECT FROM quimbi.customer_addresses WHERE store_id = %s)"
    return bool(database.execute(store_id, sql, (store_id,))[0][0])


def stream(database: Database, store_id: str, sql: str, parameters: Mapping[str, Any]) -> Iterator[pa.Table]:
    """Yield a query's rows, times in UTC, some thousand at a time; first none, which tells the columns.

    Of a ``Database.snapshot``, as they are at its instant.
    """
    # Not ``adbc_driver_postgresql.dbapi``, which imports pandas: a third of the time of a small list.
    import adbc_driver_postgresql
    from adbc_driver_manager import AdbcConnection, AdbcStatement

    with database.transaction(store_id) as cursor:
        # With parameters ADBC does not COPY: they are written into the text, by the driver's rules.
        text = cursor.mogrify(sql, dict(parameters)).decode()
        bound = cursor.mogrify(*bound_to(store_id)).decode()
    settings = ["SET TIME ZONE 'UTC'", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"]
    if (snapshot := database.exported()) is not None:
        settings.append(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    settings += bound.split("; ", 1)
    with (
        adbc_driver_postgresql.connect(database.libpq_url) as opened,
        AdbcConnection(opened) as connection,
        AdbcStatement(connection) as statement,
    ):
        for setting in settings:
            statement.set_sql_query(setting)
            statement.execute_update()
        statement.set_sql_query(text)
        rows, _ = statement.execute_query()
        with pa.RecordBatchReader.from_stream(rows) as batches:
            yield pa.Table.from_batches([], batches.schema)
            for batch in batches:
                yield pa.Table.from_batches([batch])


def quoted(name: str) -> str:
    """Return an identifier of SQL, whatever is in it, for a statement with parameters."""
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


@contextmanager
def utc(database: Database, store_id: str) -> Iterator[Any]:
    """Yield a cursor in a transaction of the database that writes and reads times in UTC."""
    with database.transaction(store_id) as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        yield cursor
