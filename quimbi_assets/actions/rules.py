"""Rules: what is done about customers whom a condition chooses. Those of a file, and the ready ones.

Belongs here: what a rule is, reading the file, what is wrong with it and where. Does not: whom a rule chooses
(``resources.postgres.tables.actions``), which of several is heard (``routing``).
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from quimbi_assets.audiences.definitions import NodeReader, compose
from quimbi_assets.audiences.fields import SCALARS
from quimbi_assets.errors import BadInputError
from quimbi_assets.lift.assignment import Trial

FILE_NAME = "actions.yaml"
READY = "ready.yaml"
EFFECTS = ("queue", "assignee", "priority", "campaign", "message", "export")
"""What a rule may set, in the order in which it is told."""
OUTREACH = ("campaign", "message", "export")
"""Those that reach out to the customer: nobody who may not be written to has them."""
ROUTING = tuple(one for one in EFFECTS if one not in OUTREACH)
"""The others: what is asked of everybody's tickets."""
PRIORITIES = ("low", "normal", "high", "urgent")
SPOKEN = tuple(name for name in SCALARS if name != "customer_id" and not name.endswith(("_low", "_high", "_365d")))
"""What a message may say of a customer, as ``{field}``: facts of the profile, nothing that anybody wrote."""
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
WORD = re.compile(r"[\w][\w .:/+-]{0,99}")
GENERAL = "general"
"""The queue where the file names none."""
MOST_RULES, LONGEST_MESSAGE = 500, 2_000
OTHERWISE = re.compile(r"""^\ufeff?(["']?otherwise["']?:.*(?:\n(?:[ \t#}\]].*)?)*)""", re.MULTILINE)
"""Where a file says what holds otherwise, whatever else it says."""
TRIAL = ("control", "outcome", "window_days", "weeks")
ROUTED = Trial(control=0)
"""How a rule that only says who answers is tried, unless it says otherwise: a ticket has to go somewhere."""


@dataclass(frozen=True)
class ActionRule:
    """What is done about the customers whom a condition chooses."""

    name: str
    """Lasts: with the store it is the rule's identity."""
    when: str
    """A filter (docs/filters.md)."""
    sets: Mapping[str, str]
    """What it sets, of :data:`EFFECTS`."""
    about: str = ""
    stop: bool = False
    """Whether later rules are not asked about whom it chooses."""
    stores: tuple[str, ...] = ()
    """Whose customers; empty: every store's."""
    trial: Trial = field(default_factory=Trial)
    """Who of those chosen is left alone, and by what it is judged whether the rule helps."""
    line: int = field(default=0, compare=False)
    """Where it stands in its file; 0: in none."""

    def is_of(self, store_id: str) -> bool:
        """Whether a store has this rule."""
        return not self.stores or store_id in self.stores

    @property
    def subject(self) -> str:
        """By what its control group is drawn."""
        return f"rule/{self.name}"


@dataclass(frozen=True)
class RuleBook:
    """The rules of a project in the order in which they are asked, and what holds where no rule says otherwise."""

    rules: tuple[ActionRule, ...]
    otherwise: Mapping[str, str]
    where: str
    """The file, as it is called in messages."""

    def of_store(self, store_id: str) -> tuple[ActionRule, ...]:
        """Return a store's rules, in order."""
        return tuple(rule for rule in self.rules if rule.is_of(store_id))


class UnusableRulesError(BadInputError):
    """A file of rules says what cannot be: ``problems`` has a line of each, with its place.

    ``otherwise`` is what holds where no rule says otherwise, as far as that can be read.
    """

    def __init__(self, problems: Sequence[str], otherwise: Mapping[str, str] | None = None) -> None:
        self.problems, self.otherwise = tuple(problems), {"queue": GENERAL, **(otherwise or {})}
        more = f" (and {len(problems) - 1} more: quimbi actions --check says all)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")


def ready_text() -> str:
    """Return the file of the ready rules."""
    return files("quimbi_assets.actions").joinpath(READY).read_text(encoding="utf-8")


def read_rules(text: str, where: str) -> RuleBook:
    """Read the file ``where`` holds.

    UnusableRulesError, with lines and columns, if it is no YAML, or says what cannot be: of rules, with all of them.
    """
    try:
        book, problems = _read(text, where)
    except BadInputError as error:
        book, problems = None, [str(error)]
    if book is None or problems:
        raise UnusableRulesError(problems, _readable_otherwise(text, where))
    return book


def _read(text: str, where: str) -> tuple[RuleBook, list[str]]:
    """Return the rules that can be, and what is wrong with the others; BadInputError where there is no telling."""
    root, reader = compose(text, where), _Reader(where, "rules: {regulars: {when: orders > 9, queue: regulars}}")
    parts = {} if root is None else reader.mapping(root, "the file", {"rules", "otherwise"})
    if root is None or getattr(parts.get("rules"), "value", None) in ("", "~", "null"):
        # An editor that was killed leaves such a file: what was decided is not to be taken back for it.
        raise BadInputError(f"{where}, line 1: the file has no rules; if there are to be none: rules: {{}}")
    named, rules, problems = reader.named(parts.get("rules"), "rules"), [], []
    if len(named) > MOST_RULES:
        raise reader.wrong(parts["rules"], f"{len(named):,} rules are more than {MOST_RULES}")
    for name, node in named:
        try:
            rules.append(reader.rule(name, node))
        except BadInputError as error:
            problems.append(str(error))
    otherwise: dict[str, str] = {}
    try:
        otherwise |= {} if "otherwise" not in parts else reader.otherwise(parts["otherwise"])
    except BadInputError as error:
        problems.append(str(error))
    return RuleBook(tuple(rules), {"queue": GENERAL, **otherwise}, where), problems


def _readable_otherwise(text: str, where: str) -> dict[str, str]:
    """Return what a file that cannot be used says under ``otherwise``, as far as that can be read by itself."""
    reader, sets = _Reader(where, "otherwise: {queue: general}"), dict[str, str]()
    for part in (text, *OTHERWISE.findall(text)):
        with suppress(BadInputError):
            parts = {} if (root := compose(part, where)) is None else reader.mapping(root, "the file")
            for effect, node in reader.mapping(parts["otherwise"], "it").items() if "otherwise" in parts else ():
                with suppress(BadInputError):
                    sets |= reader.routing(effect, node)
            return sets
    return sets


class _Reader(NodeReader):
    """Turns YAML's nodes into rules."""

    def rule(self, name: str, node: Any) -> ActionRule:
        """Return a rule."""
        parts = self.mapping(node, f"rule {name}", {"when", "about", "stop", "stores", *TRIAL, *EFFECTS})
        if "when" not in parts:
            raise self.wrong(node, f"rule {name} has no when: say of whom it is, such as when: lifecycle = 'at risk'")
        sets = self._effects(parts)
        if not sets:
            raise self.wrong(node, f"rule {name} does nothing: give it one of {', '.join(EFFECTS)}")
        about, stop, stores = self.text(parts, "about"), self.flag(parts, "stop"), self.stores(parts)
        line = parts["when"].start_mark.line + 1
        trial = self.trial(parts, Trial() if set(sets) & set(OUTREACH) else ROUTED)
        return ActionRule(name, self.filter(parts, "when"), sets, about, stop, stores, trial, line)

    def otherwise(self, node: Any) -> dict[str, str]:
        """Return what holds where no rule sets it: never what reaches out to customers."""
        return self._effects(self.mapping(node, "otherwise", set(ROUTING)))

    def routing(self, effect: str, node: Any) -> dict[str, str]:
        """Return one thing of it, nothing if it is none of :data:`ROUTING`."""
        return self._effects({effect: node}) if effect in ROUTING else {}

    def _effects(self, parts: Mapping[str, Any]) -> dict[str, str]:
        sets = {one: self.text(parts, one) for one in EFFECTS if one in parts}
        for one, text in sets.items():
            if one == "message":
                self._message(parts[one], text)
            elif one == "priority" and text not in PRIORITIES:
                raise self.wrong(parts[one], f"there is no priority {text!r}; there are: {', '.join(PRIORITIES)}")
            elif not WORD.fullmatch(text):
                raise self.wrong(parts[one], f"{one} is a name of up to 100 letters, digits, blanks and .:/+-_")
        return sets

    def _message(self, node: Any, text: str) -> None:
        if not text or len(text) > LONGEST_MESSAGE or "\0" in text:
            raise self.wrong(node, f"a message has 1 to {LONGEST_MESSAGE:,} characters")
        for match in PLACEHOLDER.finditer(text):
            if match[1] not in SPOKEN:
                raise self.wrong(node, f"a message cannot say {match[0]}; it can: {', '.join(SPOKEN)}", match.start())
        if (at := re.search(r"[{}]", PLACEHOLDER.sub(lambda match: "_" * len(match[0]), text))) is not None:
            raise self.wrong(node, "a brace is opened and not closed, or closed and not opened", at.start())
