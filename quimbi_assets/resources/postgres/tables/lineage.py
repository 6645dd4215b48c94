"""What carries a segment from one run to the next: lineage, names it was given, reasons a fit was held back.

Belongs here: the SQL of these. Does not: deciding any of it (``clustering``, ``segments``), the current segments
(``publishing``).
"""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from quimbi_assets.naming.persistence import GivenNames
from quimbi_assets.resources.postgres.database import Database

GIVEN_NAMES = """
    WITH last AS (
        SELECT DISTINCT ON (axis_name, segment_id) axis_name, segment_id, segment_name,
            name_source AS source, CASE text_source WHEN 'claude' THEN interpretation END AS text
        FROM quimbi.dim_segment_master WHERE store_id = %(store)s AND axis_name = ANY(%(axes)s)
        ORDER BY axis_name, segment_id, valid_to DESC NULLS FIRST, valid_from DESC
    )
    SELECT DISTINCT ON (axis_name, segment_id) axis_name, segment_id,
        coalesce(renamed.by_person, segment_name), cluster_center,
        CASE WHEN renamed.by_person IS NULL THEN last.source ELSE 'person' END, last.text
    FROM quimbi.dim_segment_master AS named JOIN last USING (axis_name, segment_id, segment_name)
    LEFT JOIN (
        SELECT axis_name, segment_id, segment_name FROM quimbi.segment_renames WHERE store_id = %(store)s
    ) AS renamed (axis_name, segment_id, by_person) USING (axis_name, segment_id)
    WHERE named.store_id = %(store)s
    ORDER BY axis_name, segment_id, valid_from
"""
"""Per segment, current or not: its last name (a person's before any other), its centre when it first had that name,
who gave it, and the last text if Claude wrote it."""


def publish_lineage(database: Database, store_id: str, versions: Mapping[str, tuple[str, pd.DataFrame]]) -> None:
    """Insert the lineage of newly registered versions into ``quimbi.segment_lineage``.

    Parameters
    ----------
    database : Database
        Where to write.
    store_id : str
        The store.
    versions : mapping of axis name to (str, DataFrame)
        Version in the registry, and the model's ``lineage_``. A version that is there already stays as it is.
    """
    rows = [
        (store_id, axis_name, version, line, segment, previous, relation, None if math.isnan(score) else score)
        for axis_name, (version, lineage) in versions.items()
        for line, (segment, previous, relation, score) in enumerate(lineage.itertuples(index=False, name=None), 1)
    ]
    with database.transaction() as cursor:
        cursor.executemany(
            "INSERT INTO quimbi.segment_lineage (store_id, axis_name, model_version, line, segment_id, "
            "previous_segment_id, relation, score) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            rows,
        )


def read_given_names(database: Database, store_id: str, axes: Iterable[str]) -> dict[str, GivenNames]:
    """Return the names that segments of a store's axes have or last had; axes never named are left out."""
    with database.transaction() as cursor:
        cursor.execute(GIVEN_NAMES, {"store": store_id, "axes": list(axes)})
        found = cursor.fetchall()
    given: dict[str, GivenNames] = {}
    for axis_name, segment, name, centre, source, text in found:
        names = given.setdefault(axis_name, GivenNames({}, {}))
        given[axis_name] = GivenNames(
            {**names.name, segment: name},
            {**names.centre, segment: centre},
            {**names.source, segment: source},
            {**names.text, **({segment: text} if text else {})},
        )
    return given


def read_held_reasons(database: Database, store_id: str) -> dict[str, str]:
    """Return why the last fits of a store's axes do not serve; axes whose last fit serves are left out."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT axis_name, held_reason FROM quimbi.axis_models WHERE store_id = %s AND held_reason IS NOT NULL",
            (store_id,),
        )
        return dict(cursor.fetchall())
