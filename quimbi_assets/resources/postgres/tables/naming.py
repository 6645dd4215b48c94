"""What names are made from: answers that were paid for, names that people set, names that segments have or had.

Belongs here: ``quimbi.segment_naming``, ``quimbi.segment_renames``, and names out of ``quimbi.dim_segment_master``.
Does not: asking (``claude``), choosing a name (``naming``), publishing it (``publications``).
"""

import json
from collections.abc import Iterable
from dataclasses import asdict

from quimbi_assets.naming.asking import PROMPT_VERSION
from quimbi_assets.naming.conversation import Named
from quimbi_assets.naming.plan import CurrentNames
from quimbi_assets.resources.claude import AxisAnswer
from quimbi_assets.resources.postgres.database import Database

COLUMNS = (
    "store_id",
    "digest",
    "axis_name",
    "model",
    "prompt_version",
    "answers",
    "checks",
    "failure",
    "calls",
    "input_tokens",
    "output_tokens",
    "cache_write_tokens",
    "cache_read_tokens",
    "cost_usd",
    "run_id",
)
CURRENT_NAMES = """
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


def read_answers(database: Database, store_id: str, digests: Iterable[str]) -> dict[str, Named]:
    """Return what was answered, and passed, by digest of what was described; what was not answered is left out."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT digest, answers FROM quimbi.segment_naming "
            "WHERE store_id = %s AND digest = ANY(%s) AND failure IS NULL",
            (store_id, list(digests)),
        )
        return {
            digest: {segment: (one["name"], one["interpretation"]) for segment, one in answers.items()}
            for digest, answers in cursor.fetchall()
        }


def write_answer(
    database: Database, store_id: str, digest: str, axis_name: str, model: str, answer: AxisAnswer, run_id: str
) -> None:
    """Insert or replace a model's answer to a description, known by its digest (``AxisBrief.digest``).

    Only names and texts that passed every test are written; of the others the reasons.
    """
    conversation, usage = answer.conversation, answer.usage
    passed = {segment: {"name": name, "interpretation": text} for segment, (name, text) in conversation.passed.items()}
    row = (
        store_id,
        digest,
        axis_name,
        model,
        PROMPT_VERSION,
        json.dumps(passed),
        json.dumps([asdict(outcome) for outcome in conversation.outcomes]),
        None if conversation.failure is None else str(conversation.failure),
        *usage.counts().values(),
        usage.cost_usd(model),
        run_id,
    )
    updates = ", ".join(f"{c} = EXCLUDED.{c}" for c in COLUMNS[2:])
    with database.transaction() as cursor:
        cursor.execute(
            f"INSERT INTO quimbi.segment_naming ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))}) "
            f"ON CONFLICT (store_id, digest) DO UPDATE SET {updates}, asked_at = now()",
            row,
        )


def write_rename(database: Database, store_id: str, axis_name: str, segment_id: str, name: str) -> None:
    """Set a segment's name by a person; it stays until a person sets another."""
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO quimbi.segment_renames (store_id, axis_name, segment_id, segment_name) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT (store_id, axis_name, segment_id) "
            "DO UPDATE SET segment_name = EXCLUDED.segment_name, named_at = now()",
            (store_id, axis_name, segment_id, name),
        )


def read_given_names(database: Database, store_id: str, axes: Iterable[str]) -> dict[str, CurrentNames]:
    """Return the names that segments of a store's axes have or last had; axes never named are left out."""
    with database.transaction() as cursor:
        cursor.execute(CURRENT_NAMES, {"store": store_id, "axes": list(axes)})
        rows = cursor.fetchall()
    current: dict[str, CurrentNames] = {}
    for axis_name, segment, name, centre, source, text in rows:
        names = current.setdefault(axis_name, CurrentNames({}, {}))
        current[axis_name] = CurrentNames(
            {**names.name, segment: name},
            {**names.centre, segment: centre},
            {**names.source, segment: source},
            {**names.text, **({segment: text} if text else {})},
        )
    return current
