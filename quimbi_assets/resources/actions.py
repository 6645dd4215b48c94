"""The project's file of rules, what they mean to a store, and what is done about one customer.

Belongs here: finding the file, which rules a store understands, decisions and findings out of the database. Does not:
reading the file (``actions.rules``), SQL (``postgres.tables.actions``), what can never be (``actions.findings``).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quimbi_assets.actions.findings import never_fire, with_shares, without_segments
from quimbi_assets.actions.routing import Decision, Reason, decide
from quimbi_assets.actions.rules import (
    EFFECTS,
    FILE_NAME,
    GENERAL,
    OUTREACH,
    READY,
    ActionRule,
    RuleBook,
    UnusableRulesError,
    read_rules,
    ready_text,
)
from quimbi_assets.audiences.fields import KIND, Vocabulary
from quimbi_assets.audiences.filters import Part, Query, compile_filter, take_apart
from quimbi_assets.errors import BadInputError, FilterError, UnmeasuredError
from quimbi_assets.naming.values import plural
from quimbi_assets.resources.home import project_text, quimbi_home
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database
from quimbi_assets.resources.postgres.tables.actions import (
    DECIDED_BY,
    Compiled,
    Evaluation,
    evaluate_actions,
    judge_customer,
    refresh_actions,
)
from quimbi_assets.resources.postgres.tables.consent import CONTACTABLE
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary

LOG = logging.getLogger(__name__)
UNUSABLE = f"{FILE_NAME} cannot be used: until it is mended everybody goes where no rule says otherwise"


def project_rules() -> RuleBook:
    """Return the rules of the project: its file's, ``$QUIMBI_HOME/actions.yaml``, else the ready ones.

    BadInputError with line and column if the file cannot be used.
    """
    text = project_text(FILE_NAME)
    return read_rules(ready_text(), READY) if text is None else read_rules(text, str(quimbi_home() / FILE_NAME))


def rule_query(store_id: str, name: str) -> Query:
    """Return whom the last run had a rule act on: not its control group, nor who may not be written to by now."""
    book = project_rules().of_store(store_id)
    rule = next((one for one in book if one.name == name), None)
    if rule is None:
        raise BadInputError(f"store {store_id} has no rule {name!r}; there are: {', '.join(one.name for one in book)}")
    reaching = [effect for effect in OUTREACH if effect in rule.sets]
    decided = DECIDED_BY.format(effects=", ".join(reaching or rule.sets))
    return Query(f"rule {name}", f"{decided} AND {CONTACTABLE}" if reaching else decided, {"rule": name})


@dataclass(frozen=True)
class StoreRules:
    """The rules of a store, in order: those it understands, and why it does not understand the others."""

    book: RuleBook
    compiled: tuple[Compiled, ...]
    parts: tuple[tuple[ActionRule, Part, Mapping[str, Any]], ...]
    """The conditions of the same rules taken apart, with their parameters."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why a rule cannot be asked here, by its name: to be mended."""
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Rules that speak of what this store does not record: nothing is wrong, they choose nobody."""


def rules_of(store_id: str, vocabulary: Vocabulary, book: RuleBook | None = None) -> StoreRules:
    """Return the project's rules as a store understands them."""
    book = project_rules() if book is None else book
    compiled, parts = [], []
    problems: dict[str, str] = {}
    unmeasured: dict[str, str] = {}
    for rule in book.of_store(store_id):
        try:
            query = compile_filter(rule.when, vocabulary)
            parts.append((rule, *take_apart(rule.when, vocabulary)))
            compiled.append(Compiled(rule, query))
        except UnmeasuredError as error:
            unmeasured[rule.name] = str(error)
        except FilterError as error:
            problems[rule.name] = str(error)
    return StoreRules(book, tuple(compiled), tuple(parts), problems, unmeasured)


@dataclass(frozen=True)
class Check:
    """What is to be known of a store's rules before they are relied on."""

    rules: StoreRules
    evaluation: Evaluation
    never: Mapping[str, str]
    """Rules that can never set anything, and why."""
    idle: Mapping[str, str]
    """Rules that are right, but have nobody to speak of in this store, and why."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Rules of stores that there are not, with their names."""

    @property
    def nobody(self) -> list[str]:
        """Rules that may choose somebody one day, and choose nobody today."""
        spoken = {*self.never, *self.idle}
        return [name for name, n in self.evaluation.chosen.items() if not n and name not in spoken]

    @property
    def conflicts(self) -> list[str]:
        """Rules that set a thing otherwise for the same customers, in words."""
        return [
            f"{one.effect}: {one.heard} is heard before {one.unheard} for {plural(one.customers, 'customer')}"
            for one in self.evaluation.conflicts
        ]

    @property
    def barred(self) -> list[str]:
        """Rules that would reach out to customers who may not be written to, in words."""
        counts = self.evaluation.barred.items()
        return [f"{name}: {plural(n, 'customer')} may not be written to" for name, n in counts if n]

    @property
    def problems(self) -> list[str]:
        """What has to be mended."""
        book = self.rules.book
        places = {one.name: f"{book.where}, line {one.line}: rule {one.name}" for one in book.rules}
        cannot = [f"{places[name]} cannot be asked: {reason}" for name, reason in self.rules.problems.items()]
        cannot += [f"{places[name]} can never fire: {reason}" for name, reason in self.never.items()]
        return cannot + [f"{places[name]} is of no store there is: {stores}" for name, stores in self.elsewhere.items()]


def decide_store(database: Database, store_id: str) -> Check:
    """Bring a store's actions up to date with its profiles and the project's rules; return what came of it."""
    vocabulary = read_vocabulary(database, store_id)
    rules = rules_of(store_id, vocabulary)
    evaluation = refresh_actions(
        database, store_id, rules.compiled, vocabulary.time_zone, rules.problems, rules.unmeasured
    )
    return checked(rules, evaluation, vocabulary)


def check_rules(database: Database, store_id: str) -> Check:
    """Return whom the project's rules choose of a store now, which contradict one another, which never can fire."""
    vocabulary = read_vocabulary(database, store_id)
    rules = rules_of(store_id, vocabulary)
    evaluation = evaluate_actions(database, store_id, rules.compiled, vocabulary.time_zone)
    stores = {store for (store,) in database.execute(EVERY_STORE, "SELECT store_id FROM quimbi.stores")}
    absent = {one.name: [store for store in one.stores if store not in stores] for one in rules.book.rules}
    return replace(
        checked(rules, evaluation, vocabulary),
        elsewhere={name: ", ".join(missing) for name, missing in absent.items() if missing},
    )


def checked(rules: StoreRules, evaluation: Evaluation, vocabulary: Vocabulary) -> Check:
    """Return what is to be known of rules that were evaluated."""
    from quimbi_assets.axes import AXES  # imports Ibis, which a ticket does not wait for

    shares = frozenset(
        f"{axis.name}.{feature.name}" for axis in AXES.values() for feature in axis.features if feature.unit == "share"
    )
    asked = [(rule, with_shares(part, shares)) for rule, part, _ in rules.parts]
    idle = {**rules.unmeasured, **without_segments(asked, vocabulary)}
    return Check(rules, evaluation, never_fire(asked, vocabulary), idle)


def route_ticket(
    database: Database, store_id: str, customer_id: str | None, *, is_served: bool = False
) -> dict[str, Any]:
    """Return who answers a customer's ticket and what else is to be done, by which rules, and which nearly fired.

    Of whoever is not known, or None, what holds where no rule says otherwise. ``is_served``: the database is that of
    a program, which may not read suppressed addresses. A ticket has to go somewhere: where the file of rules cannot be
    used, all go where no rule says otherwise, ``not_asked`` says why, and the log does.
    """
    vocabulary = read_vocabulary(database, store_id)
    rules, unusable = _usable_rules(store_id, vocabulary)
    judged = None
    if customer_id is not None:
        judged = judge_customer(database, store_id, customer_id, rules.parts, vocabulary.time_zone, is_served=is_served)
    if judged is None:
        who = "whoever asks" if customer_id is None else f"customer {customer_id}"
        decision, as_of = Decision(rules.book.otherwise, {}, reason=f"store {store_id} has no profile of {who}"), None
    else:
        decision, as_of = decide(judged[0], rules.book.otherwise, may_write=judged[1]), judged[2]
    if unusable:
        decision = replace(decision, reason=UNUSABLE)
    return {
        "store_id": store_id,
        "customer_id": customer_id,
        "is_known": judged is not None,
        "as_of": as_of,
        **{effect: decision.sets.get(effect) for effect in EFFECTS},
        "by": dict(decision.by),
        "reason": decision.reason or None,
        "fired": [{**_plain(one), "why": [_spoken(why, vocabulary) for why in one.why]} for one in decision.fired],
        "nearly": [
            {**_plain(one), "wanting": [_spoken(why, vocabulary) for why in one.wanting]} for one in decision.nearly
        ],
        "left_alone": list(decision.left_alone),
        "not_asked": {**rules.problems, **rules.unmeasured, **unusable},
    }


def _usable_rules(store_id: str, vocabulary: Vocabulary) -> tuple[StoreRules, dict[str, str]]:
    """Return a store's rules; none, with the reason by the name of the file, where that cannot be used."""
    try:
        return rules_of(store_id, vocabulary), {}
    except BadInputError as error:
        LOG.warning("no rule is asked: %s", error)
        # Where the server has the file is nobody's business who asks it.
        unusable = {FILE_NAME: str(error).replace(f"{quimbi_home()}/", "")}
        otherwise = error.otherwise if isinstance(error, UnusableRulesError) else {"queue": GENERAL}
        return StoreRules(RuleBook((), otherwise, FILE_NAME), (), ()), unusable


def _plain(one: Any) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(one).items()}


def _spoken(reason: Reason, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return a reason with the name of a segment in place of its id."""
    value, one = reason.value, None if reason.part is None else reason.part.one
    if one is not None and one.kind == "group":
        value = vocabulary.groups.get(one.name.removesuffix(f".{KIND}"), {}).get(value, value)
    return {"condition": reason.condition, "value": value, "short_by": reason.short_by, "is_more": reason.is_more}
