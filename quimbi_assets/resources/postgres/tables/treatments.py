"""Who entered which trial, in which arm, and what came of it: the tables ``trials`` and ``treatments``.

Belongs here: their SQL, the condition that leaves a control group out. Does not: the hash and what follows from sums
(``quimbi_assets.lift``), acting.

Whoever would be acted on is written down before anything goes out, the control group with them: killed in between,
nobody was acted on who is not recorded, and the same customers are in the same arms when it goes on. The weekly message
alone is recorded after it was taken (``drift.mark_told``): killed in between, it is told again, and recorded then.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from quimbi_assets.actions.rules import EFFECTS, OUTREACH, ActionRule
from quimbi_assets.audiences.filters import Query
from quimbi_assets.errors import BadInputError
from quimbi_assets.lift.assignment import OF_TICKETS, Outcome, Trial, in_control_sql, parameters
from quimbi_assets.lift.comparison import ACTED, ARMS, CONTROL, SUMS, Calendar, Sums
from quimbi_assets.lift.verdict import Finding, conclude, in_words
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.customers import stream

IN_CONTROL = f"""coalesce((
    SELECT treated.arm = 'control' FROM quimbi.treatments AS treated WHERE treated.store_id = %(store)s
        AND treated.subject = %(subject)s AND treated.customer_id = {{customer}}), {in_control_sql("{customer}")})"""
"""Condition over a column of customers: whoever entered stays in their arm, whatever the share is now.

Lists are written by it. Rules and the weekly message go by the hash and the share of now.
"""
IN_ACTED = """EXISTS (
    SELECT FROM quimbi.treatments AS treated WHERE treated.store_id = %(store)s AND treated.subject = %(subject)s
        AND treated.customer_id = profile.customer_id AND treated.arm = 'acted')"""
"""Condition over ``profile``: they entered, and are not in the control group."""
ANEW = """
    ON CONFLICT (store_id, subject) DO UPDATE SET control = EXCLUDED.control, ended_at = NULL,
        began_at = CASE WHEN trials.control = EXCLUDED.control THEN trials.began_at ELSE EXCLUDED.began_at END
    WHERE trials.control <> EXCLUDED.control OR trials.ended_at IS NOT NULL
"""
"""What is compared, and for how long, stays as it was when it began: nobody chooses it once figures are there.

A trial that had ended goes on, its control group held back again. With another share it begins anew, and who entered
before counts no more: arms of several shares together are not the same mix of customers. In lists they stay in their
arm; rules and the weekly message go by the share of now, and a smaller one lets some of the control group in.
"""
BEGIN = f"""
    INSERT INTO quimbi.trials (store_id, subject, control, outcome, window_days, weeks, began_at)
    VALUES (%(store)s, %(subject)s, %(control)s, %(outcome)s, %(window_days)s, %(weeks)s, coalesce(%(entered)s, now()))
    {ANEW}
"""
ENTER = """
    INSERT INTO quimbi.treatments (store_id, subject, customer_id, arm, entered_at, expected_orders, expected_spend)
    SELECT %(store)s, %(subject)s, profile.customer_id, CASE WHEN {in_control} THEN 'control' ELSE 'acted' END,
        coalesce(%(entered)s, now()),
        profile.predicted_orders_90d, profile.predicted_value_90d
    {chosen} ON CONFLICT DO NOTHING
"""
END = "UPDATE quimbi.trials SET ended_at = now() WHERE store_id = %s AND subject = %s AND ended_at IS NULL"
ACT = """
    UPDATE quimbi.treatments SET acted_at = now()
    WHERE store_id = %(store)s AND subject = %(subject)s AND arm = 'acted' AND acted_at IS NULL
"""
WOULD_SET = " OR ".join(
    f"{effect} AND coalesce({effect}_by > place, true)" + (" AND may" if effect in OUTREACH else "")
    for effect in EFFECTS
)
"""Whether a rule would set anything of a customer whom it holds back."""
TRIED = f"""jsonb_to_recordset(%(tried)s::jsonb)
    AS tried (place integer, subject text, {", ".join(f"{effect} boolean" for effect in EFFECTS)})"""
HELD = f"""
    CREATE TEMP TABLE held ON COMMIT DROP AS
    SELECT place, subject, customer_id, predicted_orders_90d, predicted_value_90d
    FROM hits CROSS JOIN LATERAL unnest(fires) AS fired JOIN {TRIED} ON place = -fired
    WHERE (last IS NULL OR place <= last) AND ({WOULD_SET})
"""
"""Makes the table of those of ``hits`` whom a rule holds back and else would do something about."""
OF_RULES = (
    f"""INSERT INTO quimbi.treatments
            (store_id, subject, customer_id, arm, acted_at, expected_orders, expected_spend)
        SELECT %(store)s, subject, customer_id, arm, CASE WHEN arm = 'acted' THEN now() END,
            predicted_orders_90d, predicted_value_90d
        FROM (SELECT subject, customer_id, 'acted' AS arm, predicted_orders_90d, predicted_value_90d
            FROM decided JOIN {TRIED} USING (place)
            UNION ALL SELECT subject, customer_id, 'control', predicted_orders_90d, predicted_value_90d FROM held
        ) AS entering
        WHERE NOT EXISTS (SELECT FROM quimbi.treatments AS treated WHERE treated.store_id = %(store)s
            AND treated.subject = entering.subject AND treated.customer_id = entering.customer_id)""",
    f"""INSERT INTO quimbi.trials (store_id, subject, control, outcome, window_days, weeks)
        SELECT %(store)s, tried.subject, tried.control, tried.outcome, tried.window_days, tried.weeks
        FROM jsonb_to_recordset(%(tried)s::jsonb) AS tried
            (subject text, control float, outcome text, window_days integer, weeks integer)
        WHERE EXISTS (SELECT FROM quimbi.treatments AS treated
            WHERE treated.store_id = %(store)s AND treated.subject = tried.subject)
        {ANEW}""",
    """UPDATE quimbi.trials SET ended_at = now()
        WHERE store_id = %(store)s AND subject LIKE 'rule/%%' AND NOT subject = ANY(%(going_on)s)
            AND ended_at IS NULL""",
)
"""Trials of all rules at once, from the tables ``decided`` and ``held``: for whom which rules set something, by their
places, and whom they hold back."""
EXPECTED = {"ordered": "expected_orders", "orders": "expected_orders", "spend": "expected_spend"}
MEASURED: dict[Outcome, str] = {
    "ordered": "least(count(happened.order_id), 1)",
    "orders": "count(happened.order_id)",
    "spend": "coalesce(sum(happened.net), 0)",
    "reopened": "coalesce(sum(happened.reopen_count), 0)",
    "rating": "avg(happened.satisfaction_score)",
}
ORDERS = "(SELECT *, order_date AS at FROM ({judged}) AS judged WHERE reason IS NULL)"
TICKETS = "(SELECT *, created_at AS at FROM quimbi.support_tickets WHERE store_id = %(store)s)"
COUNTED = """
    WITH stored_orders AS (SELECT * FROM quimbi.orders WHERE store_id = %(store)s),
    entered AS (
        SELECT customer_id, arm, entered_at, entered_at + %(window)s * interval '24 hours' AS over_at,
            coalesce({expected}, 0) AS x FROM quimbi.treatments
        WHERE store_id = %(store)s AND subject = %(subject)s
            AND entered_at >= %(began)s AND entered_at < %(began)s + %(weeks)s * interval '168 hours'
    ), measured AS (
        SELECT entered.customer_id, {measured}::double precision AS y
        FROM entered LEFT JOIN {happened} AS happened ON happened.customer_id = entered.customer_id
            AND happened.at >= entered.entered_at AND happened.at < entered.over_at
        GROUP BY entered.customer_id
    ), placed AS (
        SELECT arm, x, y, floor(extract(epoch FROM entered_at - %(began)s) / 604800)::int AS came,
            least(ceil(extract(epoch FROM over_at - %(began)s) / 604800)::int, %(looks)s) - 1 AS over
        FROM entered JOIN measured USING (customer_id)
    )
    SELECT 'came', arm, came, count(*), 0, 0, 0, 0, 0 FROM placed GROUP BY arm, came
    UNION ALL
    SELECT 'closed', arm, over, count(*), 0, 0, 0, 0, 0 FROM placed GROUP BY arm, over
    UNION ALL
    SELECT 'over', arm, over, count(y), sum(y), sum(y * y), sum(x), sum(x * x), sum(x * y)
    FROM placed WHERE y IS NOT NULL GROUP BY arm, over
"""
"""Days are of 24 hours, as the looks are: a day of the server's clock may have 23 or 25."""
TRIALS = f"""
    SELECT subject, control, outcome, window_days, weeks, began_at, ended_at,
        CASE WHEN outcome IN {OF_TICKETS}
            THEN (SELECT max(created_at) FROM quimbi.support_tickets WHERE store_id = %(store)s)
            ELSE (SELECT max(order_date) FROM quimbi.orders WHERE store_id = %(store)s) END,
        finding, computed_at, n_acted, n_control, reached
    FROM quimbi.trials CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE arm = 'acted') AS n_acted,
            count(*) FILTER (WHERE arm = 'control') AS n_control,
            count(acted_at) FILTER (WHERE arm = 'acted') AS reached FROM quimbi.treatments
        WHERE treatments.store_id = trials.store_id AND treatments.subject = trials.subject
            AND treatments.entered_at >= trials.began_at
    ) AS entered WHERE store_id = %(store)s ORDER BY subject
"""
OTHERWISE_BEGUN = """
    SELECT FROM quimbi.trials WHERE store_id = %(store)s AND subject = %(subject)s
        AND (began_at <> %(entered)s OR control <> %(control)s)
"""
SUBJECTS = "SELECT subject FROM quimbi.trials WHERE store_id = %s ORDER BY subject"
ACTED_ON = """
    SELECT customer_id, entered_at FROM quimbi.treatments
    WHERE store_id = %(store)s AND subject = %(subject)s AND arm = 'acted' ORDER BY customer_id
"""
STORE = """
    UPDATE quimbi.trials SET finding = %s, computed_at = now() WHERE store_id = %s AND subject = %s
    RETURNING computed_at
"""
UNCOUNTED = "not counted yet: the next run does"
NOTHING = Sums(np.zeros((0, 2, len(SUMS))), np.zeros((0, 2)))


@dataclass(frozen=True)
class Group:
    """Those who would be acted on, and how it is tried."""

    subject: str
    trial: Trial
    query: Query
    """Who would be acted on, the control group among them."""
    entered_at: datetime | None = None
    """Since when it counts that they were, as if it had been done then; None: from now on."""

    def acted(self, store_id: str) -> Query:
        """Return whom there is to act on: all but the control group."""
        if not self.trial.control:
            return self.query
        condition = f"({self.query.condition}) AND NOT {IN_CONTROL.format(customer='profile.customer_id')}"
        asked = {**self.query.parameters, **parameters(store_id, self.subject, self.trial.control)}
        return replace(self.query, condition=condition, parameters=asked)

    def entered(self, store_id: str) -> Query:
        """Return whom there is to act on of those who are recorded: profiles may be published once they have entered.

        Without a control group, as ``acted``: then nobody is recorded.
        """
        query = self.acted(store_id)
        return replace(query, condition=f"({query.condition}) AND {IN_ACTED}") if self.trial.control else query


@dataclass(frozen=True)
class TrialState:
    """A trial of a store by now."""

    subject: str
    trial: Trial
    began_at: datetime
    ended_at: datetime | None
    known_until: datetime | None
    """The newest order there is; where tickets are compared, the newest ticket."""
    entered: tuple[int, int]
    """Customers of the acted arm, and of the control group."""
    reached: int
    """Customers of the acted arm of whom something went out; of a rule, for whom it fired: no more is known."""
    finding: Finding
    computed_at: datetime | None = None
    """When the finding was counted; None: never."""

    @property
    def over_at(self) -> datetime:
        """From when on nothing more is counted."""
        return min(self.ended_at or self.finding.ends_at, self.finding.ends_at)

    def words(self, currency: str) -> str:
        """Say what was found, for people."""
        return in_words(self.finding, currency, self.ended_at, self.entered)


def running_trial(database: Database, store_id: str, subject: str) -> Trial | None:
    """Return how a subject is being tried, None where it is not, or not any more."""
    sql = "SELECT control, outcome, window_days, weeks FROM quimbi.trials WHERE store_id = %s AND subject = %s"
    rows = database.execute(store_id, f"{sql} AND ended_at IS NULL AND control > 0", (store_id, subject))
    return Trial(*rows[0]) if rows else None


def enter(cursor: Any, store_id: str, group: Group, chosen: str, asked: dict[str, Any]) -> int:
    """Assign those whom SQL chooses and who were not assigned yet; return how many of the chosen are controls.

    ``chosen`` is SQL from ``FROM`` on, over ``profile``. Without a share of control nobody enters, and a trial that
    there was ends: whoever was held back is acted on from now on.
    """
    key = (store_id, group.subject)
    if not group.trial.control:
        cursor.execute(END, key)
        return 0
    asked = {**asked, **parameters(store_id, group.subject, group.trial.control), **vars(group.trial)}
    asked["entered"] = group.entered_at
    in_control = IN_CONTROL.format(customer="profile.customer_id")
    if group.entered_at is not None:
        cursor.execute(OTHERWISE_BEGUN, asked)
        if cursor.fetchone() is not None:
            raise BadInputError(
                f"{group.subject} began at another time or with another share: give the list another --name"
            )
    cursor.execute(BEGIN, asked)
    cursor.execute(ENTER.format(in_control=in_control, chosen=chosen), asked)
    cursor.execute(f"SELECT count(*) {chosen} AND {in_control}", asked)
    return int(cursor.fetchone()[0])


def enter_rules(cursor: Any, store_id: str, rules: Sequence[ActionRule], unasked: Iterable[str] = ()) -> None:
    """Assign those whom rules, in order, choose (tables ``decided``, ``held``) and who were not assigned yet.

    Of a rule enters for whom it sets something, and whom it holds back and else would. For whom an earlier rule leaves
    it nothing to set, or who may not be written to, both arms are alike, and they would only blur what it does. A
    trial begins with its first entry; a rule that holds nobody back any more ends its, and so does one that is not in
    the book any more. Trials of rules of the book that are ``unasked`` at present stay as they are.
    """
    going_on = [f"rule/{name}" for name in unasked] + [rule.subject for rule in rules if rule.trial.control]
    for statement in OF_RULES:
        cursor.execute(statement, {"store": store_id, "tried": _tried(rules), "going_on": going_on})


def hold_back(cursor: Any, rules: Sequence[ActionRule]) -> dict[int, int]:
    """Make the temporary table ``held`` of those whom rules hold back and else would do something about (of ``hits``).

    Return how many each rule, by its place, holds back.
    """
    cursor.execute(HELD, {"tried": _tried(rules)})
    cursor.execute("SELECT place, count(*) FROM held GROUP BY place")
    return dict(cursor.fetchall())


def _tried(rules: Sequence[ActionRule]) -> str:
    return json.dumps(
        [
            {"place": place, "subject": rule.subject, **{one: one in rule.sets for one in EFFECTS}, **vars(rule.trial)}
            for place, rule in enumerate(rules, 1)
            if rule.trial.control
        ]
    )


def mark_acted(cursor: Any, store_id: str, subject: str, among: str = "", asked: dict[str, Any] | None = None) -> None:
    """Note that something went out of the acted arm, or of those of it whom SQL says (``AND ...``)."""
    cursor.execute(f"{ACT} {among}", {**(asked or {}), "store": store_id, "subject": subject})


def read_trials(database: Database, store_id: str, *, anew: bool = True) -> list[TrialState]:
    """Return what is known of all trials of a store, by subject: counted anew, or as ``refresh_findings`` stored it.

    Counting reads the store's orders and tickets, once a trial. A trial that was never counted has no looks.
    """
    judged = _judged_orders(database, store_id) if anew else ""
    states = []
    for row in database.execute(store_id, TRIALS, {"store": store_id}):
        subject, control, outcome, days, weeks, began, ended, known, stored, stored_at, n_acted, n_control, reached = (
            row
        )
        trial, calendar = Trial(control, outcome, days, weeks), Calendar(began, weeks, days)
        if stored is not None and not anew:
            finding, counted_at = Finding.from_json(stored), stored_at
        else:
            counted_at = datetime.now(UTC) if anew else None
            until = began if known is None else min(known, ended or known)
            sums = _counted(database, store_id, subject, trial, calendar, judged) if anew else NOTHING
            finding = conclude(sums.of_looks(calendar.n_looked(until)), calendar, trial.outcome, ended)
        states.append(
            TrialState(subject, trial, began, ended, known, (n_acted, n_control), reached, finding, counted_at)
        )
    return states


def stream_acted(database: Database, store_id: str, subject: str) -> Iterator[pa.Table]:
    """Yield ``customer_id`` and ``entered_at`` of those acted on in a trial; BadInputError if there is none such."""
    names = [name for (name,) in database.execute(store_id, SUBJECTS, (store_id,))]
    if subject not in names:
        there_are = f"there are: {', '.join(names)}" if names else "it tries nothing yet"
        raise BadInputError(f"store {store_id} has no trial {subject!r}; {there_are}")
    return stream(database, store_id, ACTED_ON, {"store": store_id, "subject": subject})


def refresh_findings(database: Database, store_id: str) -> list[TrialState]:
    """Count a store's trials anew, and store what each shows for the page and programs."""
    states, counted = read_trials(database, store_id), []
    with database.transaction(store_id) as cursor:
        for state in states:
            cursor.execute(STORE, (state.finding.to_json(), store_id, state.subject))
            counted.append(replace(state, computed_at=cursor.fetchone()[0]))
    return counted


def trial_record(state: TrialState, currency: str) -> dict[str, Any]:
    """Return a trial as the command's JSON and the HTTP API have it."""
    trial, (acted, control) = state.trial, state.entered
    return {
        "subject": state.subject, "control_share": 0.0 if state.ended_at else trial.control, "weeks": trial.weeks,
        "window_days": trial.window_days, "entered_acted": acted, "entered_control": control,
        "reached": None if state.subject.startswith("rule/") else state.reached, "computed_at": state.computed_at,
        "began_at": state.began_at, "ended_at": state.ended_at, "known_until": state.known_until,
        **asdict(state.finding),
        "words": state.words(currency) if state.computed_at else UNCOUNTED,
    }  # fmt: skip


def _judged_orders(database: Database, store_id: str) -> str:
    """Return the SQL of the store's orders by its policy, with what each came to."""
    from quimbi_assets.resources.postgres.tables.shops import net_orders_sql  # imports Ibis, 0.5 s
    from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency

    store = read_store(database, store_id)
    return net_orders_sql(database, store, store.policy.currency or store_currency(database, store_id))


def _counted(database: Database, store_id: str, subject: str, trial: Trial, calendar: Calendar, judged: str) -> Sums:
    """Return the sums of all looks; those that were not yet are of windows that are open."""
    happened = TICKETS if trial.outcome in OF_TICKETS else ORDERS.format(judged=judged)
    sql = COUNTED.format(expected=EXPECTED.get(trial.outcome, "0"), measured=MEASURED[trial.outcome], happened=happened)
    asked = {
        "store": store_id, "subject": subject, "window": trial.window_days, "weeks": trial.weeks,
        "began": calendar.began_at, "looks": calendar.n_looks,
    }  # fmt: skip
    entered, closed = np.zeros((calendar.n_looks, 2)), np.zeros((calendar.n_looks, 2))
    sums = Sums(np.zeros((calendar.n_looks, 2, len(SUMS))), entered, closed)
    for what, arm, week, *counted in database.execute(store_id, sql, asked):
        place = ACTED if arm == ARMS[ACTED] else CONTROL
        if what == "over":
            sums.over[week, place] = counted
        else:
            (entered if what == "came" else closed)[week, place] = counted[0]
    return sums
