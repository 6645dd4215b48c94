"""What names are made from: answers that were paid for, names that people set, names that segments have or had.

Belongs here: ``quimbi.segment_naming``, ``quimbi.segment_renames``, and names out of ``quimbi.dim_segment_master``.
Does not: asking (``claude``), choosing a name (``naming``), publishing it (``publications``).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from quimbi_assets.naming.asking import PROMPT_VERSION
from quimbi_assets.naming.conversation import Conversation, Named
from quimbi_assets.naming.plan import CurrentNames
from quimbi_assets.resources.postgres.copy import upsert
from quimbi_assets.resources.postgres.database import Database

CURRENT_NAMES = """
    WITH last AS (
        SELECT DISTINCT ON (axis_name, segment_id) axis_name, segment_id, segment_name,
            name_source AS source, CASE text_source WHEN 'claude' THEN interpretation END AS text
        FROM quimbi.dim_segment_master WHERE store_id = %(store)s AND axis_name = ANY(%(axes)s)
        ORDER BY axis_name, segment_id, model_version IS DISTINCT FROM %(versions)s::jsonb ->> axis_name,
            valid_to DESC NULLS FIRST, valid_from DESC
    )
    SELECT DISTINCT ON (axis_name, segment_id) axis_name, segment_id,
        coalesce(renamed.by_person, segment_name) AS name, cluster_center AS centre,
        CASE WHEN renamed.by_person IS NULL THEN last.source ELSE 'person' END AS source, last.text
    FROM quimbi.dim_segment_master AS named JOIN last USING (axis_name, segment_id, segment_name)
    LEFT JOIN (
        SELECT axis_name, segment_id, segment_name FROM quimbi.segment_renames WHERE store_id = %(store)s
    ) AS renamed (axis_name, segment_id, by_person) USING (axis_name, segment_id)
    WHERE named.store_id = %(store)s
    ORDER BY axis_name, segment_id, valid_from
"""
"""Per segment, current or not: its last name (a person's before any other; where a version returns, the last it had
with that), its centre when it first had that name, who gave it, and the last text if Claude wrote it."""


def read_answers(database: Database, store_id: str, digests: Iterable[str]) -> dict[str, Named]:
    """Return what was answered, and passed, by digest of what was described; what was not answered is left out."""
    rows = database.execute(
        store_id,
        "SELECT digest, answers FROM quimbi.segment_naming "
        "WHERE store_id = %s AND digest = ANY(%s) AND failure IS NULL",
        (store_id, list(digests)),
    )
    return {
        digest: {segment: (one["name"], one["interpretation"]) for segment, one in answers.items()}
        for digest, answers in rows
    }


def write_answer(
    database: Database, store_id: str, digest: str, axis_name: str, model: str, answer: Conversation, run_id: str
) -> None:
    """Insert or replace a model's answer to a description, known by its digest (``AxisBrief.digest``).

    Only names and texts that passed every test are written; of the others the reasons.
    """
    passed = {segment: {"name": name, "interpretation": text} for segment, (name, text) in answer.passed.items()}
    row = {
        "store_id": store_id,
        "digest": digest,
        "axis_name": axis_name,
        "model": model,
        "prompt_version": PROMPT_VERSION,
        "answers": json.dumps(passed),
        "checks": json.dumps([asdict(outcome) for outcome in answer.outcomes]),
        "failure": None if answer.failure is None else str(answer.failure),
        **answer.usage.counts(),
        "cost_usd": answer.usage.cost_usd(model),
        "run_id": run_id,
    }
    with database.transaction(store_id) as cursor:
        upsert(cursor, "segment_naming", ("store_id", "digest"), [row], stamp="asked_at")


def write_rename(database: Database, store_id: str, axis_name: str, segment_id: str, name: str) -> None:
    """Set a segment's name by a person; it stays until a person sets another."""
    key = {"store_id": store_id, "axis_name": axis_name, "segment_id": segment_id}
    with database.transaction(store_id) as cursor:
        upsert(cursor, "segment_renames", tuple(key), [{**key, "segment_name": name}], stamp="named_at")


def read_given_names(database: Database, store_id: str, versions: Mapping[str, str]) -> dict[str, CurrentNames]:
    """Return the names that segments have or last had, by axis; axes never named are left out.

    ``versions``: of the models, by axis; where one serves again, its segments have the names they last had with it.
    """
    asked = {"store": store_id, "axes": list(versions), "versions": json.dumps(dict(versions))}
    rows = database.query(store_id, CURRENT_NAMES, asked)
    current = {}
    for axis, of_axis in rows.groupby("axis_name"):
        by_segment = of_axis.set_index("segment_id")
        columns: Any = (by_segment[column].dropna().to_dict() for column in ("name", "centre", "source", "text"))
        current[str(axis)] = CurrentNames(*columns)
    return current
