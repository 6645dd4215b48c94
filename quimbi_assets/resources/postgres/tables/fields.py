"""What a helpdesk is to be told of its customers in a few words, and what it was last told.

Belongs here: the comparison with ``export_profiles``. Does not: telling it (``resources.gorgias.pusher``), whose
customers are whose (``tickets``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quimbi_assets.exports.gorgias import RISKS
from quimbi_assets.resources.postgres.database import Database

TARGET = "gorgias/fields"
CHANGED = """
    WITH known AS (
        SELECT customer_id, array_agg(helpdesk_id ORDER BY helpdesk_id) AS ids FROM quimbi.helpdesk_customers
        WHERE store_id = %(store)s GROUP BY customer_id
    ), wanted AS (
        SELECT profile.customer_id, known.ids, jsonb_strip_nulls(jsonb_build_object(
            'lifecycle', lifecycle, 'value_tier', value_tier, 'risk', {risk}
        ) || coalesce((
            SELECT jsonb_object_agg(axis, coalesce(%(names)s::jsonb -> axis ->> (dominant_segments ->> axis),
                dominant_segments ->> axis)) FROM unnest(%(axes)s::text[]) AS axis), '{{}}')) AS state
        FROM quimbi.customer_profiles AS profile JOIN known USING (customer_id) WHERE profile.store_id = %(store)s
    )
    SELECT wanted.customer_id, wanted.ids, wanted.state, md5(concat_ws('|', wanted.ids::text, wanted.state::text)),
        sent.digest IS NULL
    FROM wanted LEFT JOIN quimbi.export_profiles AS sent ON sent.store_id = %(store)s AND sent.target = %(target)s
        AND sent.customer_id = wanted.customer_id
    WHERE wanted.state <> '{{}}' AND sent.digest IS DISTINCT FROM
        md5(concat_ws('|', wanted.ids::text, wanted.state::text))
    ORDER BY wanted.customer_id
"""
NO_JOB = 0
"""Of ``export_profiles``: nothing is written down before it is sent, since to set a field again does no harm."""
TOLD = """
    INSERT INTO quimbi.export_profiles (store_id, target, customer_id, job_id, digest, state, refused)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (store_id, target, customer_id) DO UPDATE SET digest = EXCLUDED.digest, state = EXCLUDED.state,
        refused = EXCLUDED.refused, sent_at = now()
"""


@dataclass(frozen=True)
class Telling:
    """What is to be told of one customer."""

    customer_id: str
    helpdesk_ids: Sequence[str]
    state: Mapping[str, str]
    """Field, without prefix → value."""
    digest: str
    is_new: bool


def read_changed(
    database: Database, store_id: str, axes: Sequence[str], names: Mapping[str, Mapping[str, str]]
) -> list[Telling]:
    """Return the helpdesk's customers of whom something is not as it was last told, by id."""
    words = " ".join(f"WHEN churn_risk_score >= {least} THEN '{word}'" for word, least in reversed(RISKS.items()))
    asked = {"store": store_id, "target": TARGET, "axes": list(axes), "names": json.dumps(names)}
    rows = database.execute(CHANGED.format(risk=f"CASE {words} END"), asked)
    return [Telling(*row) for row in rows]


def note_told(database: Database, store_id: str, one: Telling, refused: str | None) -> None:
    """Write down what the helpdesk was told of a customer, or why it would not hear it."""
    state = {name: {"id": value, "name": value} for name, value in one.state.items()}
    database.execute(TOLD, (store_id, TARGET, one.customer_id, NO_JOB, one.digest, json.dumps(state), refused))
