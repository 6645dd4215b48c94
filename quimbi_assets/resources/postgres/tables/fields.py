"""What a helpdesk is told of its customers in a few words: the card that it asks for, the fields that are sent.

Belongs here: the card's query, the comparison with what was last told (``export_profiles``), who is left out to compare
with. Does not: the card's words (``quimbi_assets.page.card``), telling (``resources.gorgias.pusher``), whose customers
are whose (``tickets``), who has an address (``identities``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quimbi_assets.audiences.filters import EVERYBODY
from quimbi_assets.exports.gorgias import QUEUE, RISKS
from quimbi_assets.lift.assignment import Trial, parameters
from quimbi_assets.resources.postgres.database import Database, lock
from quimbi_assets.resources.postgres.tables.served import records
from quimbi_assets.resources.postgres.tables.treatments import IN_CONTROL, Group, enter, mark_acted

CARD = """
    SELECT profile.value_tier AS tier, profile.lifecycle, profile.n_orders AS orders, profile.lifetime_value AS value,
        profile.first_order_at AS first, profile.last_order_at AS last, profile.churn_risk_score AS risk,
        profile.as_of,
        profile.usual_days AS gap,
        (feature_vectors #>> '{return_behavior,refund_rate}')::float AS returns,
        (SELECT sum((cluster_center ->> 'refund_rate')::float * customer_count) / nullif(sum(customer_count), 0)
         FROM quimbi.dim_segment_master AS segment WHERE segment.store_id = profile.store_id
            AND axis_name = 'return_behavior' AND valid_to IS NULL AND cluster_center ->> 'refund_rate' IS NOT NULL
        ) AS shop_returns,
        coalesce(store.currency, (SELECT mode() WITHIN GROUP (ORDER BY currency) FROM quimbi.orders AS placed
            WHERE placed.store_id = profile.store_id AND placed.customer_id = profile.customer_id)) AS currency,
        store.time_zone, decided.*, ticket.*
    FROM quimbi.customer_profiles AS profile
    JOIN quimbi.stores AS store ON store.store_id = profile.store_id
    CROSS JOIN LATERAL (
        SELECT max(queue) AS queue, max(assignee) AS assignee, max(priority) AS priority, max(campaign) AS campaign
        FROM quimbi.customer_actions AS a WHERE a.store_id = profile.store_id AND a.customer_id = profile.customer_id
    ) AS decided
    CROSS JOIN LATERAL (
        SELECT count(*) AS tickets,
            CASE WHEN count(status) > 0 THEN
                count(*) FILTER (WHERE lower(status) NOT IN ('closed', 'solved', 'resolved')) END AS open_tickets,
            (array_agg(satisfaction_score ORDER BY created_at DESC) FILTER (WHERE satisfaction_score IS NOT NULL))[1]
                AS rating
        FROM quimbi.support_tickets AS t WHERE t.store_id = profile.store_id AND t.customer_id = profile.customer_id
    ) AS ticket
    WHERE profile.store_id = %s AND profile.customer_id = %s
"""
"""The shop's share of refunds is the mean of its customers', out of the segments of the axis that measures it."""

TARGET = "gorgias/fields"
CHANGED = """
    WITH known AS (
        SELECT customer_id, array_agg(helpdesk_id ORDER BY helpdesk_id) AS ids FROM quimbi.helpdesk_customers
        WHERE store_id = %(store)s GROUP BY customer_id
    ), wanted AS (
        SELECT profile.customer_id, jsonb_strip_nulls(jsonb_build_object(
            'lifecycle', lifecycle, 'value_tier', value_tier, 'risk', {risk}
        ) || coalesce((
            SELECT jsonb_object_agg(axis, coalesce(%(names)s::jsonb -> axis ->> (dominant_segments ->> axis),
                dominant_segments ->> axis)) FROM unnest(%(axes)s::text[]) AS axis), '{{}}')
            || jsonb_build_object(%(queue)s, CASE WHEN %(queue)s = ANY(%(axes)s) THEN coalesce((
                SELECT queue FROM quimbi.customer_actions AS decided WHERE decided.store_id = profile.store_id
                    AND decided.customer_id = profile.customer_id AND queue IS NOT NULL ORDER BY place LIMIT 1
            ), %(otherwise)s) END)) AS state
        FROM quimbi.customer_profiles AS profile JOIN known USING (customer_id)
        WHERE profile.store_id = %(store)s AND NOT {in_control}
    ), sent AS (
        SELECT customer_id, digest, state FROM quimbi.export_profiles
        WHERE store_id = %(store)s AND target = %(target)s
    )
    SELECT customer_id, ids, told.state, told.digest, sent.digest IS NULL,
        ARRAY(SELECT jsonb_object_keys(sent.state) EXCEPT SELECT jsonb_object_keys(told.state) ORDER BY 1)
    FROM wanted FULL JOIN sent USING (customer_id)
        JOIN known USING (customer_id)
        CROSS JOIN LATERAL (SELECT coalesce(wanted.state, '{{}}') AS state,
            md5(concat_ws('|', ids::text, coalesce(wanted.state, '{{}}')::text)) AS digest) AS told
    WHERE (told.state <> '{{}}' OR sent.state <> '{{}}') AND sent.digest IS DISTINCT FROM told.digest
    ORDER BY customer_id
"""
"""Who has no profile any more, or is left out to compare with, is told nothing: what they were told is taken back."""
KNOWN = """
    FROM quimbi.customer_profiles AS profile WHERE profile.store_id = %(store)s AND EXISTS (
        SELECT FROM quimbi.helpdesk_customers AS who
        WHERE who.store_id = profile.store_id AND who.customer_id = profile.customer_id)
"""
SHARE = "SELECT control FROM quimbi.trials WHERE store_id = %s AND subject = %s AND ended_at IS NULL"
TOLD_BEFORE = """AND customer_id IN (
    SELECT customer_id FROM quimbi.export_profiles
    WHERE store_id = %(store)s AND target = %(subject)s AND state <> '{}' AND refused IS NULL)"""
NO_JOB = 0
"""Of ``export_profiles``: nothing is written down before it is sent, since to set a field again does no harm."""
TOLD = """
    INSERT INTO quimbi.export_profiles (store_id, target, customer_id, job_id, digest, state, refused)
    SELECT store_id, %s, customer_id, %s, %s, %s, %s FROM quimbi.helpdesk_customers
    WHERE store_id = %s AND customer_id = %s LIMIT 1
    ON CONFLICT (store_id, target, customer_id) DO UPDATE SET digest = EXCLUDED.digest,
        state = CASE WHEN EXCLUDED.digest = '' THEN export_profiles.state ELSE '{}' END || EXCLUDED.state,
        refused = EXCLUDED.refused, sent_at = now()
"""


def read_card(database: Database, store_id: str, customer_id: str) -> dict[str, Any] | None:
    """Return what is known of a customer; None if there is no profile."""
    return next(iter(records(database, store_id, CARD, (store_id, customer_id))), None)


@dataclass(frozen=True)
class Telling:
    """What is to be told of one customer."""

    customer_id: str
    helpdesk_ids: Sequence[str]
    state: Mapping[str, str]
    """Field, without prefix → value."""
    digest: str
    is_new: bool
    taken_back: Sequence[str]
    """Fields, without prefix, that were told and say nothing any more."""


def trial_of(database: Database, store_id: str, share: float | None) -> Trial:
    """Return how telling is tried: with a share of customers left out, or with that of before."""
    if share is None:
        share = next((control for (control,) in database.execute(store_id, SHARE, (store_id, TARGET))), 0.0)
    return Trial(share)


def enter_trial(database: Database, store_id: str, trial: Trial) -> None:
    """Assign the helpdesk's customers to those who are told of and those left out, before anything is told.

    Whoever was told of before the trial is reached from the start.
    """
    with database.transaction(store_id) as cursor:
        enter(cursor, store_id, Group(TARGET, trial, EVERYBODY), KNOWN, {})
        mark_acted(cursor, store_id, TARGET, TOLD_BEFORE)


def read_changed(
    database: Database,
    store_id: str,
    axes: Sequence[str],
    names: Mapping[str, Mapping[str, str]],
    trial: Trial,
    otherwise: str | None = None,
) -> tuple[list[Telling], int]:
    """Return the helpdesk's customers of whom something is not as it was last told, by id; and how many are left out.

    Among ``axes`` may be :data:`QUEUE`; ``otherwise`` is that of whom no rule sends anywhere.

    Those who are left out, as the trial has or would have them, are there if they were told of before.
    """
    words = " ".join(f"WHEN churn_risk_score >= {least} THEN '{word}'" for word, least in reversed(RISKS.items()))
    in_control = IN_CONTROL.format(customer="profile.customer_id") if trial.control else "FALSE"
    asked = {
        **parameters(store_id, TARGET, trial.control),
        "target": TARGET,
        "axes": list(axes),
        "queue": QUEUE,
        "otherwise": otherwise,
        "names": json.dumps(names),
    }
    rows = database.execute(store_id, CHANGED.format(risk=f"CASE {words} END", in_control=in_control), asked)
    ((n_left_out,),) = database.execute(store_id, f"SELECT count(*) {KNOWN} AND {in_control}", asked)
    return [Telling(*row) for row in rows], n_left_out


def is_customer(database: Database, store_id: str, helpdesk_id: str, customer_id: str) -> bool:
    """Tell whether a number of the helpdesk's is that customer's: who was erased has none any more."""
    sql = "SELECT 1 FROM quimbi.helpdesk_customers WHERE store_id = %s AND helpdesk_id = %s AND customer_id = %s"
    return bool(database.execute(store_id, sql, (store_id, helpdesk_id, customer_id)))


def note_told(database: Database, store_id: str, one: Telling, refused: str | None, *, is_final: bool = True) -> None:
    """Write down what the helpdesk was told of a customer, or why it would not hear it; of who was erased nothing.

    A refusal that is not final is told again by the next push; of fields told before none is taken for emptied.
    """
    state = {name: {"id": value, "name": value} for name, value in one.state.items()}
    with database.transaction(store_id) as cursor:
        lock(cursor, f"load:{store_id}")  # an erasure, which has it too, is over or begins after this
        note = (TARGET, NO_JOB, one.digest if is_final else "", json.dumps(state), refused)
        cursor.execute(TOLD, (*note, store_id, one.customer_id))
        if state and refused is None:
            mark_acted(cursor, store_id, TARGET, "AND customer_id = %(who)s", {"who": one.customer_id})


def count_known(database: Database, store_id: str) -> int:
    """Return of how many of the helpdesk's customers there is a profile."""
    ((n,),) = database.execute(store_id, f"SELECT count(*) {KNOWN}", {"store": store_id})
    return int(n)
