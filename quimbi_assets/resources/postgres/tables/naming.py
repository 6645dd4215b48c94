"""Answers about segments' names that were paid for, and names that people set, in the store database.

Belongs here: the SQL of ``quimbi.segment_naming`` and ``quimbi.segment_renames``. Does not: asking (``claude``), the
current names (``publishing``), the names segments had (``succession``).
"""

import json
from collections.abc import Iterable
from dataclasses import asdict

from quimbi_assets.naming.asking.conversation import Named
from quimbi_assets.naming.asking.prompt import PROMPT_VERSION
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
    """Insert or replace the answer to a description.

    Parameters
    ----------
    database : Database
        Where to write.
    store_id, axis_name : str
        Store and axis.
    digest : str
        Of what was described, see ``AxisBrief.digest``.
    model : str
        The model asked.
    answer : AxisAnswer
        Only names and texts that passed every test are written; of the others the reasons.
    run_id : str
        Dagster's run.
    """
    found, usage = answer.conversation, answer.usage
    answers = {segment: {"name": name, "interpretation": text} for segment, (name, text) in found.passed.items()}
    row = (
        store_id,
        digest,
        axis_name,
        model,
        PROMPT_VERSION,
        json.dumps(answers),
        json.dumps([asdict(outcome) for outcome in found.outcomes]),
        None if found.failure is None else str(found.failure),
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
