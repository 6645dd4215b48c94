"""A run's result appears at once: everything that people query, in one transaction; and is read back.

Belongs here: the tables ``publications``, ``segment_lineage``, ``axis_models``, ``dim_segment_master``, ``archetypes``
and ``customer_profiles``. Does not: what is in their rows (``naming``, ``profiles``), the names that segments had
(``naming``), MLflow's aliases, which follow (``resources.publishing``). Whoever reads more than one of the tables reads
a ``Database.snapshot``.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
from psycopg2.extras import execute_values

from quimbi_assets.axis_table import INACTIVE
from quimbi_assets.errors import NeverRunError, UnknownCustomerError
from quimbi_assets.instants import Instant, to_instant
from quimbi_assets.resources.postgres.copy import as_csv, behind, copy_csv, copy_frame, upsert
from quimbi_assets.resources.postgres.database import Database, lock, owning
from quimbi_assets.resources.postgres.migrations import show_axes
from quimbi_assets.resources.postgres.tables.promotions import mark_published

PERSONS_NAMES = """
    UPDATE quimbi.dim_segment_master AS current SET segment_name = renamed.segment_name, name_source = 'person'
    FROM quimbi.segment_renames AS renamed
    WHERE current.store_id = %s AND current.axis_name = ANY(%s) AND current.valid_to IS NULL
        AND renamed.store_id = current.store_id AND renamed.axis_name = current.axis_name
        AND renamed.segment_id = current.segment_id AND renamed.segment_name <> current.segment_name
"""
"""Lets names stand that people set while a run was under way."""
OTHER_VERSIONS = """
    SELECT profiled.key FROM jsonb_each_text(%(versions)s) AS profiled
    JOIN quimbi.axis_models AS axis ON axis.store_id = %(store)s AND axis.axis_name = profiled.key
    WHERE axis.model_version IS DISTINCT FROM profiled.value
    UNION
    SELECT profiled.key FROM jsonb_each_text(%(versions)s) AS profiled
    JOIN quimbi.dim_segment_master AS segment
        ON segment.store_id = %(store)s AND segment.axis_name = profiled.key AND segment.valid_to IS NULL
    WHERE segment.model_version IS DISTINCT FROM profiled.value
"""
"""Axes whose figures or segments are of another version than the profiles."""


@dataclass(frozen=True)
class AxisState:
    """What people read about an axis: a row of ``axis_models``, of the model that serves.

    Weak and inactive ones have their ``reason`` in words; figures of an inactive one are None. ``held_reason`` says why
    the last fit does not serve, the model named here being the one before; ``as_of`` (with zone) is where the data end
    that the axis was fitted on; ``stays``, JSON text, how customers stay in its segments (``profiles.stays``).
    """

    status: str
    reason: str | None = None
    k: int | None = None
    silhouette: float | None = None
    stability_ari: float | None = None
    halves_ari: float | None = None
    customers_fitted: int | None = None
    mlflow_run_id: str | None = None
    model_version: str | None = None
    held_reason: str | None = None
    as_of: datetime | None = None
    stays: str | None = None


@dataclass(frozen=True)
class Publication:
    """All that a run found out."""

    store_id: str
    run_id: str
    as_of: datetime
    """Instant of the profiles, with zone."""
    axes: Mapping[str, AxisState]
    """Axes that are not named stay as they are published; the segments of inactive ones end."""
    segments: Mapping[str, pd.DataFrame]
    """Rows of ``dim_segment_master`` by axis; what was current ends where they begin, but for rows that are there."""
    profiles: Iterable[pa.Table]
    """All rows of ``customer_profiles``, JSON as text, some thousand at a time; taken once."""
    archetypes: Callable[[], pd.DataFrame]
    """Returns all rows of ``archetypes``; called when all profiles have been taken."""
    model_versions: Mapping[str, str]
    """The models that all of the profiles were made with, by axis (and ``churn_risk``, ``value_to_come``)."""
    marketing: Mapping[str, Any] | None = None
    """What customers' groups are measured against, as JSON (``marketing.MarketingReference``)."""
    figures: Callable[[], pd.DataFrame] | None = None
    """Returns all rows of ``group_figures``; called when all profiles have been taken."""
    lineage: Sequence[tuple[str, str, pd.DataFrame]] = ()
    """Axis, version and ``lineage_`` of models that were fitted, served or held."""


class Published(NamedTuple):
    """What all profiles have in common: their instant (naive UTC), versions by axis and forecast, the groups' measure.

    The last is None where it was published before customers had groups.
    """

    as_of: Instant
    model_versions: dict[str, str]
    marketing: dict[str, Any] | None = None


def publish_run(database: Database, publication: Publication) -> None:
    """Publish a run's result: readers see what was there until all of it is, and if anything fails they go on so.

    ValueError if the profiles are of other versions than the figures or segments of an axis then are, or of one that
    nobody chose (``promotions.choose_versions``): what people would see would not belong together.
    """
    store_id = publication.store_id
    with database.transaction(store_id) as cursor:
        lock(cursor, f"publication:{store_id}")
        number = _begin(cursor, publication)
        _write_lineage(cursor, store_id, publication.lineage)
        _write_axes(cursor, store_id, publication.axes)
        without_segments = [axis for axis, state in publication.axes.items() if state.status == INACTIVE]
        _replace(cursor, "dim_segment_master", "axis_name", store_id, publication.segments, without_segments)
        cursor.execute(PERSONS_NAMES, (store_id, list(publication.segments)))
        _refuse_mixture(cursor, store_id, publication.model_versions)
        mark_published(cursor, store_id, number, publication.model_versions)
        _replace_profiles(cursor, store_id, publication.profiles)
        with owning(cursor):
            show_axes(cursor, publication.axes)
        _replace(cursor, "archetypes", "store_id", store_id, {store_id: publication.archetypes()})
        if publication.figures is not None:
            cursor.execute("DELETE FROM quimbi.group_figures WHERE store_id = %s", (store_id,))
            copy_frame(cursor, "quimbi.group_figures", publication.figures().assign(store_id=store_id))


def publish_reasons(database: Database, store_id: str, axes: Mapping[str, AxisState]) -> None:
    """Publish why no axis of a store is active, for people who look; what an earlier run published stays as it is."""
    with database.transaction(store_id) as cursor:
        lock(cursor, f"publication:{store_id}")
        cursor.execute("SELECT EXISTS (SELECT FROM quimbi.publications WHERE store_id = %s)", (store_id,))
        if not cursor.fetchone()[0]:
            _write_axes(cursor, store_id, axes)


def read_publication(database: Database, store_id: str) -> Published | None:
    """Return what all of a store's profiles have in common; None before its first run."""
    last = (
        "SELECT as_of, model_versions, marketing FROM quimbi.publications WHERE store_id = %s "
        "ORDER BY publication_id DESC LIMIT 1"
    )
    return next((Published(to_instant(at), *rest) for at, *rest in database.execute(store_id, last, (store_id,))), None)


def read_lineages(database: Database, store_id: str) -> set[tuple[str, str]]:
    """Return the axes and versions whose lineage is published."""
    sql = "SELECT DISTINCT axis_name, model_version FROM quimbi.segment_lineage WHERE store_id = %s"
    return set(database.execute(store_id, sql, (store_id,)))


def read_segments(database: Database, store_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of ``axis_models`` and the current ones of ``dim_segment_master``, by axis name.

    BadInputError if the store was never run.
    """
    axes = database.query(
        store_id, "SELECT * FROM quimbi.axis_models WHERE store_id = %s ORDER BY axis_name", (store_id,)
    )
    if axes.empty:
        raise NeverRunError(store_id, "segments")
    segments = database.query(
        store_id,
        "SELECT * FROM quimbi.dim_segment_master WHERE store_id = %s AND valid_to IS NULL "
        "ORDER BY axis_name, segment_id",
        (store_id,),
    )
    return axes, segments


def orders_per_customer(database: Database, store_id: str) -> float | None:
    """Return the orders of the typical (median) customer of a store; None where profiles do not say."""
    median = "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n_orders) FROM quimbi.customer_profiles"
    ((n,),) = database.execute(store_id, f"{median} WHERE store_id = %s", (store_id,))
    return None if n is None else float(n)


def archetype_figures(database: Database, store_id: str) -> pd.DataFrame:
    """Return what an archetype's customers are like, by its id; no row where profiles do not say.

    ``share_of_revenue`` (0-1, of the store's net spend); of the customer in the middle ``spent``, ``orders`` and
    ``silent_days``; ``lifecycle`` that most are in, and ``share_of_lifecycle`` (0-1) of them.
    """
    figures = """
        SELECT archetype_id,
            (sum(lifetime_value) / nullif(sum(sum(lifetime_value)) OVER (), 0))::float8 AS share_of_revenue,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY lifetime_value) AS spent,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY n_orders) AS orders,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM as_of - last_order_at) / 86400)
                AS silent_days,
            mode() WITHIN GROUP (ORDER BY lifecycle) AS lifecycle,
            avg((lifecycle = common.stage)::int)::float8 AS share_of_lifecycle
        FROM quimbi.customer_profiles JOIN (
            SELECT archetype_id, mode() WITHIN GROUP (ORDER BY lifecycle) AS stage
            FROM quimbi.customer_profiles WHERE store_id = %(store)s GROUP BY archetype_id
        ) AS common USING (archetype_id)
        WHERE store_id = %(store)s AND lifetime_value IS NOT NULL GROUP BY archetype_id
    """
    return database.query(store_id, figures, {"store": store_id}).set_index("archetype_id")


def read_held_reasons(database: Database, store_id: str) -> dict[str, str]:
    """Return why the last fits of a store's axes do not serve; axes whose last fit serves are left out."""
    held = "SELECT axis_name, held_reason FROM quimbi.axis_models WHERE store_id = %s AND held_reason IS NOT NULL"
    return dict(database.execute(store_id, held, (store_id,)))


def read_archetypes(database: Database, store_id: str, until: pd.Timestamp | None = None) -> pd.DataFrame:
    """Return the store's archetypes, largest first; no row before its first run. ``traits`` as dicts.

    With ``until`` (UTC, zoned) the last ones made from data up to then; without, those that hold now. The two differ
    for a run as of the past, which must not know what came later, and for the first run after it.
    """
    of_store = "SELECT * FROM quimbi.archetypes WHERE store_id = %(store)s AND"
    largest = "ORDER BY customer_count DESC, archetype_id"
    if until is None:
        return database.query(store_id, f"{of_store} valid_to IS NULL {largest}", {"store": store_id})
    # Rows without an instant are older than any that have one.
    made = "coalesce(as_of, '-infinity'), valid_from"
    instants = f"SELECT {made} FROM quimbi.archetypes WHERE store_id = %(store)s"
    newest = f"({instants} AND coalesce(as_of, '-infinity') <= %(until)s ORDER BY 1 DESC, 2 DESC LIMIT 1)"
    return database.query(store_id, f"{of_store} ({made}) = {newest} {largest}", {"store": store_id, "until": until})


def read_profiles(database: Database, store_id: str, customer_ids: Sequence[str]) -> pd.DataFrame:
    """Read the profiles of those who have one, in the order asked for; UnknownCustomerError if nobody has."""
    rows = database.query(
        store_id,
        "SELECT * FROM quimbi.customer_profiles WHERE store_id = %s AND customer_id = ANY(%s)",
        (store_id, list(customer_ids)),
    ).set_index("customer_id", drop=False)
    if rows.empty:
        raise UnknownCustomerError(f"store {store_id} has no profile of customer {', '.join(customer_ids)}")
    return rows.loc[[customer for customer in customer_ids if customer in rows.index]]


def _begin(cursor: Any, publication: Publication) -> int:
    cursor.execute(
        "INSERT INTO quimbi.publications (store_id, publication_id, run_id, as_of, model_versions, marketing) "
        "SELECT %(store)s, coalesce(max(publication_id), 0) + 1, %(run)s, %(as_of)s, %(versions)s, %(marketing)s "
        "FROM quimbi.publications WHERE store_id = %(store)s RETURNING publication_id",
        {
            "store": publication.store_id,
            "run": publication.run_id,
            "as_of": publication.as_of,
            "versions": json.dumps(dict(publication.model_versions)),
            "marketing": None if publication.marketing is None else json.dumps(publication.marketing),
        },
    )
    return int(cursor.fetchone()[0])


def _write_lineage(cursor: Any, store_id: str, lineage: Sequence[tuple[str, str, pd.DataFrame]]) -> None:
    """Write what became of segments in newly registered versions; a version that is there already stays as it is."""
    rows = [
        (store_id, axis, version, line, segment, previous, relation, None if math.isnan(score) else score)
        for axis, version, frame in lineage
        for line, (segment, previous, relation, score) in enumerate(frame.itertuples(index=False, name=None), 1)
    ]
    execute_values(
        cursor,
        "INSERT INTO quimbi.segment_lineage (store_id, axis_name, model_version, line, segment_id, "
        "previous_segment_id, relation, score) VALUES %s ON CONFLICT DO NOTHING",
        rows,
    )


def _write_axes(cursor: Any, store_id: str, axes: Mapping[str, AxisState]) -> None:
    rows = ({"store_id": store_id, "axis_name": axis, **vars(state)} for axis, state in axes.items())
    upsert(cursor, "axis_models", ("store_id", "axis_name"), rows)


def _replace(
    cursor: Any, table: str, sets: str, store_id: str, rows: Mapping[str, pd.DataFrame], ended: Sequence[str] = ()
) -> None:
    """Make these the current rows of their sets; those until now end where these begin, of ``ended`` sets now.

    Rows of ``table`` hold from ``valid_from`` to ``valid_to``; the column ``sets`` tells sets apart that end apart.
    """
    starts = {name: str(frame["valid_from"].iloc[0]) for name, frame in rows.items() if len(frame)}
    cursor.execute(
        f"""
        UPDATE quimbi.{table} SET valid_to = coalesce((%(starts)s::jsonb ->> {sets})::timestamptz, now())
        WHERE store_id = %(store)s AND {sets} = ANY(%(sets)s) AND valid_to IS NULL
            AND valid_from IS DISTINCT FROM (%(starts)s::jsonb ->> {sets})::timestamptz
        """,
        {"store": store_id, "starts": json.dumps(starts), "sets": [*rows, *ended]},
    )
    for frame in rows.values():
        plain = frame.astype(object).where(frame.notna(), None)
        execute_values(
            cursor,
            f"INSERT INTO quimbi.{table} ({', '.join(frame.columns)}) VALUES %s ON CONFLICT DO NOTHING",
            plain.itertuples(index=False, name=None),
        )


def _refuse_mixture(cursor: Any, store_id: str, versions: Mapping[str, str]) -> None:
    cursor.execute(OTHER_VERSIONS, {"store": store_id, "versions": json.dumps(dict(versions))})
    mixed = sorted(axis for (axis,) in cursor.fetchall())
    if mixed:
        raise ValueError(
            f"store {store_id}: profiles are of other model versions than what is published of {', '.join(mixed)}; "
            "publish these axes with them"
        )


def _replace_profiles(cursor: Any, store_id: str, profiles: Iterable[pa.Table]) -> None:
    """Replace all profiles of the store; the server takes a batch while the next one is made and written as CSV."""
    cursor.execute("DELETE FROM quimbi.customer_profiles WHERE store_id = %s", (store_id,))
    texts = ((batch.column_names, as_csv(batch)) for batch in profiles)
    behind(lambda batch: copy_csv(cursor, "quimbi.customer_profiles", *batch), texts)


_RECOUNT = """
    WITH profiled AS MATERIALIZED (
        SELECT lifecycle, value_tier, rfm_group, archetype_id, dominant_segments, n_orders,
            coalesce(lifetime_value, 0) AS spent, predicted_value_90d AS foretold
        FROM quimbi.customer_profiles WHERE store_id = %(store)s
    ), placed AS MATERIALIZED (
        SELECT placed.*, lifecycle, n_orders, spent, foretold FROM profiled, LATERAL (
            SELECT key AS axis_name, value AS group_id FROM jsonb_each_text(dominant_segments)
            UNION ALL VALUES ('lifecycle', lifecycle), ('value_tier', value_tier), ('rfm_group', rfm_group)) AS placed
    ), counted AS MATERIALIZED (
        SELECT axis_name, group_id, count(*) AS n, sum(spent) AS revenue, sum(n_orders) AS orders,
            sum(foretold) AS foretold FROM placed GROUP BY 1, 2
    ), staged AS MATERIALIZED (
        SELECT axis_name, group_id, jsonb_object_agg(lifecycle, n) AS stages FROM (
            SELECT axis_name, group_id, lifecycle, count(*) AS n FROM placed GROUP BY 1, 2, 3
        ) AS by_stage WHERE lifecycle IS NOT NULL GROUP BY 1, 2
    ), whole AS (SELECT greatest(count(*), 1) AS n, greatest(sum(spent), 1e-9) AS revenue FROM profiled
    ), segments AS (
        UPDATE quimbi.dim_segment_master AS segment SET customer_count = coalesce(counted.n, 0),
            population_percentage = 100.0 * coalesce(counted.n, 0) / whole.n
        FROM whole, quimbi.dim_segment_master AS same
        LEFT JOIN counted ON counted.axis_name = same.axis_name AND counted.group_id = same.segment_id
        WHERE same.store_id = %(store)s AND same.valid_to IS NULL AND same.ctid = segment.ctid
    ), archetypes AS (
        UPDATE quimbi.archetypes AS one
        SET customer_count = nearest.n, population_percentage = 100.0 * nearest.n / whole.n
        FROM whole, (
            SELECT same.archetype_id, count(profiled.archetype_id) AS n FROM quimbi.archetypes AS same
            LEFT JOIN profiled USING (archetype_id) WHERE store_id = %(store)s AND valid_to IS NULL GROUP BY 1
        ) AS nearest
        WHERE store_id = %(store)s AND valid_to IS NULL AND nearest.archetype_id = one.archetype_id
    )
    UPDATE quimbi.group_figures AS figure SET customers = coalesce(counted.n, 0),
        share_of_customers = coalesce(counted.n, 0)::float8 / whole.n,
        revenue = round(coalesce(counted.revenue, 0)::numeric, 2),
        share_of_revenue = coalesce(counted.revenue, 0) / whole.revenue,
        orders_per_customer = counted.orders::float8 / counted.n, value_per_customer = counted.revenue / counted.n,
        predicted_value_90d = round(counted.foretold::numeric, 2),
        lifecycle = (
            SELECT jsonb_object_agg(key, coalesce(staged.stages -> key, '0')) FROM jsonb_each(figure.lifecycle)
        )
    FROM whole, quimbi.group_figures AS same
    LEFT JOIN counted ON counted.axis_name = same.axis_name AND counted.group_id = same.group_id
    LEFT JOIN staged ON staged.axis_name = same.axis_name AND staged.group_id = same.group_id
    WHERE same.store_id = %(store)s AND same.ctid = figure.ctid
"""
_RECOUNT_AUDIENCES = """
    UPDATE quimbi.audiences AS audience SET customers = counted.n, value = counted.spent FROM (
        SELECT listed.audience, count(member.customer_id) AS n, coalesce(sum(profile.lifetime_value), 0) AS spent
        FROM quimbi.audiences AS listed
        LEFT JOIN quimbi.audience_members AS member ON member.store_id = listed.store_id
            AND member.audience = listed.audience AND member.left_at IS NULL
        LEFT JOIN quimbi.customer_profiles AS profile ON profile.store_id = member.store_id
            AND profile.customer_id = member.customer_id
        WHERE listed.store_id = %(store)s GROUP BY 1
    ) AS counted WHERE audience.store_id = %(store)s AND counted.audience = audience.audience
"""


def recount(cursor: Any, store_id: str) -> None:
    """Publish anew how many customers are in each group, segment, archetype and audience, by the profiles there are.

    For whoever takes profiles away; where none was, every figure stays as it is. Trends and texts are of the last run.
    """
    lock(cursor, f"publication:{store_id}")
    cursor.execute(_RECOUNT, {"store": store_id})
    cursor.execute(_RECOUNT_AUDIENCES, {"store": store_id})
