"""What rules decide of customers: the table ``customer_actions``, evaluated by the server.

Belongs here: the SQL, of all customers and of one. Does not: what rules are (``actions.rules``), what is told of a
decision (``actions.routing``), which rules a store understands (``resources.actions``).

All conditions are asked in one reading of the store's profiles; of several rules that choose a customer the first sets
a thing, and after one with ``stop`` none is asked.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from quimbi_assets.actions.routing import Judged
from quimbi_assets.actions.rules import EFFECTS, OUTREACH, PLACEHOLDER, SPOKEN, ActionRule
from quimbi_assets.audiences.fields import SCALARS
from quimbi_assets.audiences.filters import MOVE, MOVED, Part, Query
from quimbi_assets.lift.assignment import in_control_sql, parameters
from quimbi_assets.naming.values import currency_sign
from quimbi_assets.resources.postgres.database import Database, lock
from quimbi_assets.resources.postgres.tables.consent import BARRED, CONTACTABLE
from quimbi_assets.resources.postgres.tables.customers import CHOSEN, utc
from quimbi_assets.resources.postgres.tables.treatments import enter_rules, hold_back

PUBLISHED = """EXISTS (
    SELECT FROM quimbi.customer_actions AS decided WHERE decided.store_id = profile.store_id
        AND decided.customer_id = profile.customer_id
        AND coalesce(decided.campaign, decided.message, decided.export) IS NOT NULL)"""
"""Condition over ``profile``, for who may not read suppressed addresses: when last run or loaded, they could be written
to."""
DECIDED_BY = """EXISTS (
    SELECT FROM quimbi.customer_actions AS decided WHERE decided.store_id = profile.store_id
        AND decided.customer_id = profile.customer_id AND decided.rule = %(rule)s
        AND coalesce({effects}) IS NOT NULL)"""
"""Condition over ``profile``: the last run had a rule act on them."""
HITS = """
    CREATE TEMP TABLE hits ON COMMIT DROP AS
    WITH profile AS MATERIALIZED (SELECT {apart} FROM (
        SELECT {whole} FROM quimbi.customer_profiles AS profile WHERE profile.store_id = %(store)s OFFSET 0
    ) AS profile)
    SELECT {carried}, may, fires, last, {first} FROM (
        SELECT *, array_remove(ARRAY[{places}]::integer[], NULL) AS fires, {stopping} AS last FROM (
            SELECT {asked}, customer_id NOT IN ({barred}) AS may FROM {moved} AS profile OFFSET 0
        ) AS asked OFFSET 0
    ) AS asked
"""
"""A row a customer: the places of the rules that choose them (``fires``, negative where it holds them back), the first
that ends it (``last``), of each effect the rule that sets it (``queue_by``), whether they may be written to (``may``),
and what messages speak of."""
MOVES = """(SELECT profile.*, {all} FROM profile LEFT JOIN (
    SELECT move.customer_id, {each} FROM quimbi.segment_migrations AS move JOIN profile USING (customer_id)
    WHERE move.store_id = %(store)s AND ({any}) GROUP BY move.customer_id
) AS moves USING (customer_id) OFFSET 0)"""
"""Profiles with who moved, of all moves that rules ask for, in one reading of them."""
SETTING = ", ".join(f"{one}_by" for one in EFFECTS)
SET = ", ".join(f"CASE WHEN place = {one}_by THEN rule.{one} END AS {one}" for one in EFFECTS if one != "message")
DECIDED = f"""
    CREATE TEMP TABLE decided ON COMMIT DROP AS
    SELECT profile.customer_id, name AS rule, place, {SET}, {{message}} AS message, profile.as_of,
        profile.predicted_orders_90d, profile.predicted_value_90d
    FROM hits AS profile CROSS JOIN LATERAL (SELECT DISTINCT unnest(ARRAY[{SETTING}]) AS place) AS setting
    JOIN jsonb_to_recordset(%(rules)s::jsonb)
        AS rule (place integer, name text, {", ".join(f"{one} text" for one in EFFECTS)}) USING (place)
"""
COUNTED = f"""
    SELECT abs(place), GROUPING({SETTING}), {SETTING}, sum(n)::integer,
        coalesce(sum(n) FILTER (WHERE place > 0 AND (last IS NULL OR place <= last)), 0)::integer
    FROM (SELECT fires, last, {SETTING}, count(*) AS n FROM hits GROUP BY fires, last, {SETTING}) AS alike
        CROSS JOIN LATERAL unnest(fires) AS place
    GROUP BY GROUPING SETS ((abs(place)), {", ".join(f"(abs(place), {one}_by)" for one in EFFECTS)})
"""
"""How often each rule fires: in all, and where it is asked; and that by who is heard of an effect."""
BARRED_BY = """
    SELECT place, count(*) FROM hits CROSS JOIN LATERAL unnest(fires) AS place
    WHERE NOT may AND place > 0 AND (last IS NULL OR place <= last) GROUP BY place
"""
EACH_RULE = 2 ** len(EFFECTS) - 1
"""``GROUPING`` of the rows that are of no effect."""
SAME = f"({', '.join(f'{{0}}.{one}' for one in ('place', *EFFECTS))})"
CHANGES = (
    f"""DELETE FROM quimbi.customer_actions AS stored WHERE store_id = %(store)s AND NOT EXISTS (SELECT FROM decided
        WHERE decided.customer_id = stored.customer_id AND decided.rule = stored.rule)
        AND NOT (rule = ANY(%(unasked)s) AND coalesce({", ".join(EFFECTS)}) IS NOT NULL
            AND EXISTS (SELECT FROM quimbi.customer_profiles AS profile
            WHERE profile.store_id = stored.store_id AND profile.customer_id = stored.customer_id))""",
    f"""UPDATE quimbi.customer_actions AS stored SET ({", ".join(EFFECTS)}, place, as_of, decided_at)
        = ({", ".join(f"decided.{one}" for one in EFFECTS)}, decided.place, decided.as_of, now())
        FROM decided WHERE stored.store_id = %(store)s AND stored.customer_id = decided.customer_id
            AND stored.rule = decided.rule AND {SAME.format("stored")} IS DISTINCT FROM {SAME.format("decided")}""",
    f"""INSERT INTO quimbi.customer_actions (store_id, customer_id, rule, place, {", ".join(EFFECTS)}, as_of)
        SELECT %(store)s, customer_id, rule, place, {", ".join(EFFECTS)}, as_of FROM decided WHERE NOT EXISTS (
            SELECT FROM quimbi.customer_actions AS stored WHERE stored.store_id = %(store)s
                AND stored.customer_id = decided.customer_id AND stored.rule = decided.rule)""",
)
"""What makes the table as it was decided: who is not chosen any more, whose actions changed, who is new."""
OVER = "DROP TABLE hits, decided, held"
"""Takes away what an evaluation made: another may follow in the same session."""
GIVE_WAY = f"""
    UPDATE quimbi.customer_actions AS stored
    SET {", ".join(f"{one} = CASE WHEN NOT by_others.{one} THEN stored.{one} END" for one in EFFECTS)}
    FROM (SELECT customer_id, {", ".join(f"bool_or({one} IS NOT NULL) AS {one}" for one in EFFECTS)}
        FROM decided GROUP BY customer_id) AS by_others
    WHERE stored.store_id = %(store)s AND stored.rule = ANY(%(unasked)s) AND stored.customer_id = by_others.customer_id
        AND ({" OR ".join(f"by_others.{one} AND stored.{one} IS NOT NULL" for one in EFFECTS)})
"""
"""What a rule decided that is not asked any more gives way to what others set now: one rule sets a thing."""
CURRENCY = """
    SELECT coalesce((SELECT currency FROM quimbi.stores WHERE store_id = %(store)s), (SELECT mode()
        WITHIN GROUP (ORDER BY currency) FROM quimbi.orders WHERE store_id = %(store)s))
"""
COLUMNS_READ = re.compile(r"\bprofile\.(\w+)")
OUT_OF_JSON = re.compile(r"\bprofile\.\w+(?: ->>? %\(\w+\)s)+")
ONE_MOVE = re.escape(MOVE).replace(re.escape("{side}"), r"\w+").replace(re.escape("{}"), r"%\(\w+\)s")
MOVING = re.compile(re.escape(MOVED).replace(re.escape(MOVE), f"({ONE_MOVE})"))
CARRIED = ("store_id", "customer_id", "as_of", "predicted_orders_90d", "predicted_value_90d")
"""What is taken along of a profile whatever rules ask: it is read once."""
SPOKEN_COLUMNS = {"archetype_id", *COLUMNS_READ.findall(" ".join(SCALARS[name].sql for name in SPOKEN))}
"""What messages may speak of."""
OF_JSON = ("segment_memberships", "dominant_segments", "feature_vectors", "stays", "stays_strength", "evidence")
"""Columns of profiles that are taken out of storage once a customer, not once a condition: a third of the time."""


@dataclass(frozen=True)
class Compiled:
    """A rule as a store understands it."""

    rule: ActionRule
    query: Query


@dataclass(frozen=True)
class Conflict:
    """Two rules that set an effect otherwise for the same customers: the earlier is heard."""

    effect: str
    heard: str
    unheard: str
    customers: int


@dataclass(frozen=True)
class Evaluation:
    """What rules decide of a store's customers."""

    chosen: Mapping[str, int]
    """Customers whom each rule chooses, by its name, its control group among them."""
    held: Mapping[str, int]
    """Those of them who are in its control group and for whom it else would set something."""
    acted: Mapping[str, int]
    """Those for whom it sets something."""
    barred: Mapping[str, int]
    """Those whom it would reach out to, but who may not be written to."""
    conflicts: tuple[Conflict, ...]
    customers: int
    """For whom any rule sets something."""
    entered: int = 0
    changed: int = 0
    left: int = 0
    """Rows that came, became others and went, where it was written down."""
    as_of: datetime | None = None


def refresh_actions(
    database: Database,
    store_id: str,
    rules: Sequence[Compiled],
    zone: str,
    unasked: Iterable[str] = (),
    unmeasured: Iterable[str] = (),
) -> Evaluation:
    """Bring ``customer_actions`` up to date with the published profiles, in one transaction; only changes are written.

    What rules decided that are `unasked`, to be mended first, stays, but for what others set now; of whoever has no
    profile any more nothing does. Trials of rules that are `unasked` or `unmeasured` go on, those of rules that there
    are no longer end.
    """
    with utc(database, store_id) as cursor:
        lock(cursor, f"actions:{store_id}")
        evaluation = _evaluate(cursor, store_id, rules, zone)
        # Where statistics say that a store has no rows yet, a nested loop reads those that it writes again and again:
        # 70 s of the first 66,000 actions in place of 0.1 s.
        cursor.execute("SET LOCAL enable_nestloop = off")
        enter_rules(cursor, store_id, [one.rule for one in rules], [*unasked, *unmeasured])
        counts, asked = [], {"store": store_id, "unasked": list(unasked)}
        cursor.execute(GIVE_WAY, asked)
        for change in CHANGES:
            cursor.execute(change, asked)
            counts.append(cursor.rowcount)
        cursor.execute("SELECT max(as_of) FROM hits")
        (as_of,) = cursor.fetchone()
        cursor.execute(OVER)
    left, changed, entered = counts
    return replace(evaluation, entered=entered, changed=changed, left=left, as_of=as_of)


def evaluate_actions(database: Database, store_id: str, rules: Sequence[Compiled], zone: str) -> Evaluation:
    """Return what rules would decide; nothing is written down."""
    with utc(database, store_id) as cursor:
        evaluation = _evaluate(cursor, store_id, rules, zone)
        cursor.execute(OVER)
    return evaluation


def _evaluate(cursor: Any, store_id: str, rules: Sequence[Compiled], zone: str) -> Evaluation:
    """Make the temporary tables ``hits``, ``decided`` and ``held``, and count what is in them."""
    named = [one.rule.name for one in rules]
    cursor.execute("SET LOCAL work_mem = '64MB'")  # all firings of 27,000 customers are joined without files
    asked = _Asked(cursor, store_id)
    cases = [asked.case(one, place) for place, one in enumerate(rules, 1)]
    sign = _sign(cursor, store_id, [one.rule for one in rules])
    messages = [
        f"WHEN {at} THEN {_message(cursor, one.rule, zone, sign)}"
        for at, one in enumerate(rules, 1)
        if "message" in one.rule.sets
    ]
    message = f"CASE WHEN place = message_by THEN CASE place {' '.join(messages)} END END" if messages else "NULL"
    cursor.execute(_hits(asked, cases, rules, message), {"store": store_id})
    rows = [{"place": at, "name": one.rule.name, **one.rule.sets} for at, one in enumerate(rules, 1)]
    cursor.execute(DECIDED.format(message=message), {"store": store_id, "rules": json.dumps(rows)})
    cursor.execute(COUNTED)
    counted = cursor.fetchall()
    chosen = {named[row[0] - 1]: row[-2] for row in counted if row[1] == EACH_RULE}
    held = hold_back(cursor, [one.rule for one in rules])
    cursor.execute(BARRED_BY)
    barred = dict(cursor.fetchall())
    cursor.execute("SELECT rule, count(*) FROM decided GROUP BY rule")
    acted = dict(cursor.fetchall())
    cursor.execute(f"SELECT count(*) FROM hits WHERE coalesce({SETTING}) IS NOT NULL")
    (customers,) = cursor.fetchone()
    return Evaluation(
        {name: chosen.get(name, 0) for name in named},
        {name: held.get(place, 0) for place, name in enumerate(named, 1)},
        {name: acted.get(name, 0) for name in named},
        {
            one.rule.name: barred.get(place, 0)
            for place, one in enumerate(rules, 1)
            if not {*OUTREACH}.isdisjoint(one.rule.sets)
        },
        tuple(_conflicts(counted, [one.rule for one in rules])),
        customers,
    )


class _Asked:
    """What conditions ask of a profile, each thing once: parts of its JSON columns, and moves, by the SQL of each."""

    def __init__(self, cursor: Any, store_id: str) -> None:
        self._cursor, self._store_id = cursor, store_id
        self.taken: dict[str, str] = {}
        self.moved: dict[str, str] = {}

    def case(self, one: Compiled, place: int) -> str:
        """Return the SQL of a rule's place where it chooses the customer, negative in its control group; else NULL.

        What is asked is named before values are filled in: what a rule says in quotes is never taken for a column.
        """
        trial = parameters(self._store_id, one.rule.subject, one.rule.trial.control)
        values = {**one.query.parameters, **trial}

        def named(names: dict[str, str], name: str, sql: str) -> str:
            return "profile." + names.setdefault(_filled(self._cursor, sql, values), f"{name}_{len(names)}")

        condition = MOVING.sub(lambda match: named(self.moved, "moved", match[1]), one.query.condition)
        condition = OUT_OF_JSON.sub(lambda match: named(self.taken, "taken", match[0]), condition)
        held = in_control_sql("profile.customer_id")
        chosen = f"CASE WHEN {held} THEN -{place} ELSE {place} END" if one.rule.trial.control else str(place)
        return _filled(self._cursor, f"CASE WHEN {condition} THEN {chosen} END AS at_{place}", values)

    @property
    def profiles(self) -> str:
        """The profiles, with the moves that are asked for."""
        if not self.moved:
            return "profile"
        each = ", ".join(f"bool_or({sql}) AS {name}" for sql, name in self.moved.items())
        moved = ", ".join(f"coalesce({name}, false) AS {name}" for name in self.moved.values())
        return MOVES.format(all=moved, each=each, any=" OR ".join(self.moved))


def _hits(asked: _Asked, cases: Sequence[str], rules: Sequence[Compiled], message: str) -> str:
    """Return the SQL of who is chosen; of what several conditions ask, each is taken out of a profile once."""
    # What a rule says in quotes is no column, whatever it looks like.
    columns = {*CARRIED, *COLUMNS_READ.findall(" ".join(one.query.condition for one in rules)), *SPOKEN_COLUMNS}
    carried = sorted({*CARRIED, *(SPOKEN_COLUMNS & set(COLUMNS_READ.findall(message)))})
    plain = sorted({*carried, *(columns & set(COLUMNS_READ.findall(" ".join(cases))))})
    read = sorted({*plain, *COLUMNS_READ.findall(" ".join(asked.taken))})
    apart = [f"profile.{one}" for one in plain]
    apart += [f"{sql} AS {name}" for sql, name in asked.taken.items()]
    whole = [f"profile.{one} || '{{}}'::jsonb AS {one}" if one in OF_JSON else f"profile.{one}" for one in read]
    ordered = [one.rule for one in rules]
    return HITS.format(
        apart=", ".join(apart), whole=", ".join(whole), asked=", ".join([*carried, *cases]), moved=asked.profiles,
        places=", ".join(f"at_{place}" for place in range(1, len(cases) + 1)), barred=BARRED,
        carried=", ".join(carried), stopping=_first(ordered, [one.stop for one in ordered]),
        first=", ".join(_setting(ordered, one) for one in EFFECTS),
    )  # fmt: skip


def _first(rules: Sequence[ActionRule], asked: Sequence[bool]) -> str:
    """Return the SQL of the first of these rules that chooses a customer and does not hold them back."""
    heard = [
        f"nullif(at_{place}, -{place})" if rule.trial.control else f"at_{place}"
        for place, (rule, is_asked) in enumerate(zip(rules, asked, strict=True), 1)
        if is_asked
    ]
    return f"coalesce({', '.join(heard)})" if heard else "NULL::integer"


def _setting(rules: Sequence[ActionRule], effect: str) -> str:
    """Return the SQL of the rule that sets an effect: the first that does, not after one that ends it."""
    first = _first(rules, [effect in one.sets for one in rules])
    may = "may AND " if effect in OUTREACH else ""
    return f"CASE WHEN {may}(last IS NULL OR {first} <= last) THEN {first} END AS {effect}_by"


def _filled(cursor: Any, sql: str, values: Mapping[str, Any]) -> str:
    """Return SQL with its parameters filled in, to stand in a statement with parameters of its own.

    The parameters of all rules have names alike.
    """
    text: str = cursor.mogrify(sql, dict(values)).decode()
    return text.replace("%", "%%")


def _conflicts(counted: Sequence[tuple[Any, ...]], rules: Sequence[ActionRule]) -> list[Conflict]:
    """Return the rules that set a thing otherwise than the one that is heard of it, of the rows of ``COUNTED``."""
    pairs = [
        (heard, row[0], at, row[-1])
        for row in counted
        for at, heard in enumerate(row[2:-2])
        if heard is not None and heard != row[0] and row[-1]
    ]
    return [
        Conflict(EFFECTS[at], rules[heard - 1].name, rules[place - 1].name, n)
        for heard, place, at, n in sorted(pairs)
        if rules[place - 1].sets.get(EFFECTS[at], rules[heard - 1].sets[EFFECTS[at]])
        != rules[heard - 1].sets[EFFECTS[at]]
    ]


def _sign(cursor: Any, store_id: str, rules: Sequence[ActionRule]) -> str:
    """Return what stands before the amounts that messages speak of: the sign of the store's currency, if one is known.

    Where the store does not say, it is that of most of its orders.
    """
    spoken = {name for rule in rules for name in PLACEHOLDER.findall(rule.sets.get("message", ""))}
    if not any(SCALARS[name].is_money for name in spoken):
        return ""
    cursor.execute(CURRENCY, {"store": store_id})
    return currency_sign(cursor.fetchone()[0] or "")


def _message(cursor: Any, rule: ActionRule, zone: str, sign: str) -> str:
    """Return the SQL of a rule's message over ``profile``, filled in."""
    parts = PLACEHOLDER.split(rule.sets["message"])
    texts = [_spoken(text) if at % 2 else "%(text)s" for at, text in enumerate(parts)]
    values = {"zone": zone, "sign": sign}
    filled = [_filled(cursor, sql, {"text": text, **values}) for sql, text in zip(texts, parts, strict=True)]
    return f"concat({', '.join(filled)})"


def _spoken(name: str) -> str:
    """Return the SQL of a field as a message says it: whole numbers, per cent, a day by the store's clock, words."""
    one = SCALARS[name]
    if name == "archetype":
        sql = """(SELECT archetype.name FROM quimbi.archetypes AS archetype
            WHERE archetype.store_id = profile.store_id AND archetype.archetype_id = profile.archetype_id
                AND archetype.valid_to IS NULL)"""
    elif one.kind == "date":
        sql = f"to_char({one.sql} AT TIME ZONE %(zone)s, 'FMDD Mon YYYY')"
    elif one.kind == "number":
        amount = f"100 * {one.sql}" if one.is_share else one.sql
        whole = "floor" if name == "days_since_last_order" else "round"  # days as profiles say them
        sql = f"to_char({whole}(({amount})::numeric), 'FM999,999,999,999,990')" + (" || ' %%'" if one.is_share else "")
        sql = f"regexp_replace({sql}, '\\d', %(sign)s || '\\&')" if one.is_money else sql
    else:
        sql = f"replace({one.sql}, '_', ' ')"
    return f"coalesce({sql}, 'unknown')"


def judge_customer(
    database: Database,
    store_id: str,
    customer_id: str,
    rules: Sequence[tuple[ActionRule, Part, Mapping[str, Any]]],
    zone: str,
    *,
    is_served: bool,
) -> tuple[list[Judged], bool, datetime] | None:
    """Return what holds of one customer of every rule, whether they may be written to, and as of when; None if unknown.

    ``is_served``: who asks may not read suppressed addresses; then only whom the last run wrote to may be.
    """
    with utc(database, store_id) as cursor:
        sign = _sign(cursor, store_id, [rule for rule, _, _ in rules])
        columns = [sql for one in rules for sql in _judged(cursor, store_id, *one, zone, sign)]
        may = PUBLISHED if is_served else CONTACTABLE
        chosen = CHOSEN.format(condition="profile.customer_id = %(customer)s", joined="")
        listed = f"ARRAY[{', '.join(columns)}]::jsonb[]"
        cursor.execute(
            f"SELECT to_jsonb({listed}), {may}, profile.as_of {chosen}", {"store": store_id, "customer": customer_id}
        )
        row = cursor.fetchone()
    if row is None:
        return None
    truths, values, others = row[0][::3], row[0][1::3], row[0][2::3]
    judged = [
        Judged(rule, part, tuple(is_so), tuple(are), other[0], other[1])
        for (rule, part, _), is_so, are, other in zip(rules, truths, values, others, strict=True)
    ]
    return judged, row[1], row[2]


def _judged(
    cursor: Any, store_id: str, rule: ActionRule, part: Part, values: Mapping[str, Any], zone: str, sign: str
) -> tuple[str, str, str]:
    """Return the SQL of the truths and of the values of a condition's leaves, and of what else its rule comes to."""
    trial = parameters(store_id, rule.subject, rule.trial.control)
    held = _filled(cursor, in_control_sql("profile.customer_id"), trial) if rule.trial.control else "false"
    message = f"to_jsonb({_message(cursor, rule, zone, sign)})" if "message" in rule.sets else "NULL"
    truths = ", ".join(one.condition for one in part.leaves)
    compared = ", ".join(f"to_jsonb({one.sql})" if one.sql else "NULL" for one in part.leaves)
    return (
        _filled(cursor, f"to_jsonb(ARRAY[{truths}])", values),
        _filled(cursor, f"to_jsonb(ARRAY[{compared}]::jsonb[])", values),
        f"to_jsonb(ARRAY[to_jsonb({held}), {message}]::jsonb[])",
    )
