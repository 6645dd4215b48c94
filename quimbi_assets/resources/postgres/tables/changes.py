"""Who is not as a service was last told, and what it is to be told: jobs for the outbox, written by the server.

Belongs here: the comparison with ``export_profiles``, payloads, how many go into a request. Does not: the journal
(``outbox``), the service's limits (``exports.klaviyo``).

All of it is SQL: payloads of a million customers never meet in one process.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quimbi_assets.audiences.filters import Query
from quimbi_assets.exports.klaviyo import NOTHING, PREFIX, Limits
from quimbi_assets.resources.advertisers import JOINED, MAY
from quimbi_assets.resources.postgres.tables.customers import CHOSEN

PLAIN = {"lifecycle": "profile.lifecycle", "value_tier": "profile.value_tier"}
"""Columns of profiles that are told with what they were before."""
RISK = "churn_risk"
WANTED = """
    CREATE TEMP TABLE wanted ON COMMIT DROP AS
    SELECT profile.customer_id, contacts.email, contacts.phone, {current} AS current
"""
LEFT = """
    INSERT INTO wanted SELECT sent.customer_id, contacts.email, CASE WHEN may THEN contacts.phone END, (
        SELECT jsonb_object_agg(key, jsonb_build_object('id', %(nothing)s, 'name', %(nothing)s))
        FROM jsonb_object_keys(sent.state) AS key)
    FROM quimbi.export_profiles AS sent LEFT JOIN contacts USING (customer_id) CROSS JOIN LATERAL (
        SELECT {may} AS may,
            EXISTS (SELECT FROM quimbi.customer_profiles AS profile
                    WHERE profile.store_id = sent.store_id AND profile.customer_id = sent.customer_id) AS has_profile,
            EXISTS (SELECT FROM quimbi.orders AS placed
                    WHERE placed.store_id = sent.store_id AND placed.customer_id = sent.customer_id) AS has_orders,
            md5(concat_ws('|', coalesce(email, ''), coalesce(phone, ''), (
                SELECT jsonb_object_agg(key, value - 'previous' - 'changed_at') FROM jsonb_each(sent.state)
            ))) AS digest) AS now
    WHERE sent.store_id = %(store)s AND sent.target = %(target)s AND CASE
        WHEN may THEN NOT has_profile AND has_orders
        ELSE (has_orders OR has_profile) AND refused IS NULL AND sent.digest = now.digest END
"""
"""Those who were sent and have no profile any more, or may not be written to any more, but orders: who was erased is
not written of again. Of the latter only by what they were sent by, or the service would make somebody new of them."""
CHANGED = """
    CREATE TEMP TABLE changed ON COMMIT DROP AS
    WITH hashed AS (
        SELECT *, md5(concat_ws('|', coalesce(email, ''), coalesce(phone, ''), current)) AS digest FROM wanted
    ), latest AS (
        SELECT DISTINCT ON (customer_id, axis_name) customer_id, axis_name, from_segment, to_segment, at
        FROM quimbi.segment_migrations WHERE store_id = %(store)s AND cause IN ('acted', 'silent')
        ORDER BY customer_id, axis_name, at DESC
    ), stated AS (
        SELECT hashed.customer_id, email, phone, hashed.digest, sent.state IS NULL AS is_new, (
            SELECT jsonb_object_agg(key, value || CASE
                WHEN key = %(risk)s THEN '{}'
                WHEN sent.state -> key IS NULL THEN jsonb_build_object(
                    'previous', coalesce(%(names)s::jsonb -> key ->> from_segment, from_segment, %(nothing)s),
                    'changed_at', to_jsonb(at))
                WHEN sent.state -> key ->> 'id' = value ->> 'id' THEN jsonb_build_object(
                    'previous', sent.state -> key -> 'previous', 'changed_at', sent.state -> key -> 'changed_at')
                ELSE jsonb_build_object('previous', sent.state -> key -> 'name', 'changed_at', %(as_of)s) END)
            FROM jsonb_each(current) LEFT JOIN latest ON latest.customer_id = hashed.customer_id
                AND latest.axis_name = key AND latest.to_segment = value ->> 'id') AS state
        FROM hashed LEFT JOIN quimbi.export_profiles AS sent
            ON sent.store_id = %(store)s AND sent.target = %(target)s AND sent.customer_id = hashed.customer_id
        WHERE sent.digest IS DISTINCT FROM hashed.digest
            AND (email IS NOT NULL OR hashed.customer_id NOT LIKE ALL (ARRAY['%%_@_%%', 'email:%%']))
    )
    SELECT customer_id, email, digest, is_new, state, jsonb_build_object('type', 'profile', 'attributes',
        jsonb_strip_nulls(jsonb_build_object(
            'email', email, 'phone_number', phone,
            'external_id', CASE WHEN email IS NULL THEN customer_id END,
            'properties', (
                SELECT jsonb_object_agg(name, fact) FROM jsonb_each(state), LATERAL (VALUES
                    (%(prefix)s || key, value -> 'name'),
                    (%(prefix)s || key || '_previous', value -> 'previous'),
                    (%(prefix)s || key || '_changed_at', value -> 'changed_at')) AS property (name, fact)
                WHERE fact <> 'null'))))::text AS payload
    FROM stated
"""
NUMBERED = """
    CREATE TEMP TABLE numbered ON COMMIT DROP AS
    WITH sized AS (
        SELECT *, sum(octet_length(payload) + 1) OVER (ORDER BY customer_id) AS bytes,
            row_number() OVER (ORDER BY customer_id) AS place FROM changed
    )
    SELECT *, dense_rank() OVER (ORDER BY (bytes - 1) / %(bytes)s, (place - 1) / %(profiles)s) AS job FROM sized
"""
"""A job's customers end within the same so many bytes and profiles, so that it holds no more, but for its first."""

JOBS = """
    WITH job AS (
        INSERT INTO quimbi.export_jobs (store_id, target, state, customers)
        SELECT %(store)s, %(target)s, 'planned', count(*) FROM numbered GROUP BY job ORDER BY job RETURNING job_id
    ), known AS (SELECT job_id, row_number() OVER (ORDER BY job_id) AS job FROM job)
    INSERT INTO quimbi.export_outbox (store_id, job_id, customer_id, digest, state, payload)
    SELECT %(store)s, job_id, customer_id, digest, state, payload FROM numbered JOIN known USING (job)
"""
"""All at once: ids are given in the order of the jobs."""


@dataclass(frozen=True)
class Changes:
    """What a service does not know yet: customers, those of them it was never sent, requests, bytes."""

    customers: int
    new: int
    without_address: int
    """Known to the service by the shop's id alone."""
    jobs: int
    bytes: int
    example: str | None
    """The first payload."""


def plan_changes(
    cursor: Any,
    store_id: str,
    target: str,
    query: Query,
    names: Mapping[str, Mapping[str, str]],
    audience: str | None,
    limits: Limits,
) -> Changes:
    """Find who of the chosen, and of those sent before, is not as the service was last told; write jobs for them.

    Of those sent before who may not be written to any more it is told that they are nothing any more, once.

    ``names`` are those of segments by id, by axis; with ``audience`` a property says whether they are in it. The table
    ``contacts`` is there. Rolled back, nothing was planned.
    """
    parameters: dict[str, Any] = {
        "store": store_id, "target": target, "nothing": NOTHING, "prefix": PREFIX, "risk": RISK,
        "names": json.dumps({axis: dict(segments) for axis, segments in names.items()}),
        "bytes": limits.bytes, "profiles": limits.profiles, **query.parameters,
    }  # fmt: skip
    current = _current(names, audience, query.condition, parameters)
    sent = "EXISTS (SELECT FROM quimbi.export_profiles AS sent WHERE sent.store_id = profile.store_id "
    sent += "AND sent.target = %(target)s AND sent.customer_id = profile.customer_id)"
    chosen = CHOSEN.format(condition=f"(({query.condition}) OR {sent}) AND {MAY}", joined=JOINED)
    cursor.execute(
        "SELECT to_jsonb(max(as_of)) #>> '{}' FROM quimbi.customer_profiles WHERE store_id = %s", (store_id,)
    )
    parameters["as_of"] = cursor.fetchone()[0]
    cursor.execute(WANTED.format(current=current) + chosen, parameters)
    cursor.execute(LEFT.format(may=MAY.replace("profile.", "sent.")), parameters)
    cursor.execute("ANALYZE wanted")
    cursor.execute(CHANGED, parameters)
    cursor.execute(NUMBERED, parameters)
    cursor.execute(
        "SELECT count(*), count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE email IS NULL), "
        "coalesce(max(job), 0), coalesce(max(bytes), 0), min(payload) FILTER (WHERE place = 1) FROM numbered"
    )
    changes = Changes(*cursor.fetchone())
    cursor.execute(JOBS, parameters)
    cursor.execute("DROP TABLE wanted, changed, numbered")
    return changes


def _current(
    names: Mapping[str, Mapping[str, str]], audience: str | None, condition: str, parameters: dict[str, Any]
) -> str:
    """Return the SQL of ``{property: {id, name}}`` of a customer now; takes its parameters in."""
    facts = {RISK: "coalesce(to_jsonb(round(profile.churn_risk_score::numeric, 2)), to_jsonb(%(nothing)s::text))"}
    parts = [f"'{RISK}', jsonb_build_object('name', {facts[RISK]}, 'id', %(risk)s)"]
    for name, sql in PLAIN.items():
        parts.append(f"'{name}', jsonb_build_object('id', {_or_nothing(sql)}, 'name', {_or_nothing(sql)})")
    for number, axis in enumerate(names):
        parameters[f"axis_{number}"] = axis
        segment = f"profile.dominant_segments ->> %(axis_{number})s"
        name = f"coalesce(%(names)s::jsonb -> %(axis_{number})s ->> ({segment}), {segment}, %(nothing)s)"
        parts.append(f"%(axis_{number})s, jsonb_build_object('id', {_or_nothing(segment)}, 'name', {name})")
    if audience is not None:
        parameters["audience"] = f"audience_{audience}"
        inside = f"CASE WHEN {condition} THEN 'in' ELSE %(nothing)s END"
        parts.append(f"%(audience)s, jsonb_build_object('id', {inside}, 'name', {inside})")
    return f"jsonb_build_object({', '.join(parts)})"


def _or_nothing(sql: str) -> str:
    return f"coalesce({sql}, %(nothing)s)"
