"""What rules say of one customer: which fire and why, which is heard, and which lack one condition only.

Belongs here: conditions that are true, false or unknown, the order in which rules are heard. Does not: asking the
database what holds of a customer (``resources.postgres.tables.actions``), words (``commands``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quimbi_assets.actions.rules import OUTREACH, ActionRule
from quimbi_assets.audiences.filters import Part

Truth = bool | None
"""Of a comparison; None where what is compared is not known."""
MOST_NEARLY = 3
NEAR = 0.5
"""Share of what is asked of a number up to which missing it is near; a word is near where another comparison holds."""

AT_LIMIT: Mapping[bool, tuple[str, ...]] = {True: (">=", "<=", "="), False: (">", "<", "<>")}
"""The signs of comparisons that are as they are at the limit itself, true or not true."""


@dataclass(frozen=True)
class Judged:
    """A rule with what holds of one customer."""

    rule: ActionRule
    part: Part
    """Its condition; ``truths`` and ``values`` are of its leaves, in order."""
    truths: tuple[Truth, ...]
    values: tuple[Any, ...]
    is_held: bool = False
    """Whether the customer is in its control group."""
    message: str | None = None
    """Its message, filled in."""

    @property
    def fires(self) -> bool:
        """Whether its condition is true."""
        return truth(self.part, self.truths) is True

    @property
    def sets(self) -> dict[str, str]:
        """What it would set."""
        return {**self.rule.sets, **({"message": self.message} if self.message is not None else {})}


@dataclass(frozen=True)
class Reason:
    """A comparison of a condition, with the customer's value."""

    condition: str
    value: Any
    """A number, a flag, a date, a word or an id; None: not known."""
    short_by: float | None = None
    """By how much a number misses; None of what holds, and of words."""
    is_more: bool = False
    """Whether more than that is wanting: at the limit itself the comparison misses, too."""
    part: Part | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Fired:
    """A rule that chooses the customer, and what came of it."""

    rule: str
    about: str
    why: tuple[Reason, ...]
    sets: Mapping[str, str]
    """What it sets: none of what an earlier rule set."""
    unheard: Mapping[str, str] = field(default_factory=dict)
    """What it would set otherwise than an earlier rule does, whose name it is; or why that is not done."""


@dataclass(frozen=True)
class Nearly:
    """A rule that one comparison keeps from firing, and not by far: any of those named here would do."""

    rule: str
    about: str
    would_set: Mapping[str, str]
    wanting: tuple[Reason, ...]


@dataclass(frozen=True)
class Decision:
    """What is to be done about a customer."""

    sets: Mapping[str, str]
    """By effect; what no rule sets is as ``otherwise`` has it."""
    by: Mapping[str, str]
    """The rule that set an effect; nothing of ``otherwise``."""
    fired: tuple[Fired, ...] = ()
    nearly: tuple[Nearly, ...] = ()
    left_alone: tuple[str, ...] = ()
    """Rules that would fire, but keep the customer in their control group."""
    reason: str = ""
    """Why it is as it is, where no rule fired."""


NO_RULE = "no rule is about them"
HELD = "rules leave them alone, to compare with: "
MAY_NOT = "they may not be written to"


def decide(judged: Sequence[Judged], otherwise: Mapping[str, str], *, may_write: bool = True) -> Decision:
    """Return what rules, in order, say of a customer; the same as the server decides of all of them at once.

    The first rule that sets an effect is heard; after one with ``stop`` none is asked. To whom may not be written no
    rule sets what reaches out. A rule whose control group the customer is in is as if it were not there.
    """
    sets: dict[str, str] = {}
    by: dict[str, str] = {}
    fired: list[Fired] = []
    stopped = ""
    for one in (one for one in judged if one.fires and not one.is_held):
        heard: dict[str, str] = {}
        unheard: dict[str, str] = {}
        for effect, value in one.sets.items():
            if stopped:
                unheard[effect] = f"{stopped} ends it"
            elif effect in OUTREACH and not may_write:
                unheard[effect] = MAY_NOT
            elif effect in by:
                unheard |= {effect: by[effect]} if sets[effect] != value else {}
            else:
                heard[effect] = sets[effect] = value
                by[effect] = one.rule.name
        fired.append(Fired(one.rule.name, one.rule.about, reasons(one), heard, unheard))
        stopped = stopped or (one.rule.name if one.rule.stop else "")
    nearly = sorted((one for one in map(_nearly, judged) if one is not None), key=_distance)[:MOST_NEARLY]
    held = tuple(one.rule.name for one in judged if one.fires and one.is_held)
    why = "" if fired else HELD + ", ".join(held) if held else NO_RULE
    return Decision({**otherwise, **sets}, by, tuple(fired), tuple(nearly), held, why)


def truth(part: Part, truths: Sequence[Truth]) -> Truth:
    """Return whether a condition holds, of the truths of its leaves, as SQL does: unknown is not false."""
    return _truth(part, iter(truths))


def _truth(part: Part, truths: Iterator[Truth]) -> Truth:
    if not part.joined:
        return next(truths)
    parts = [_truth(one, truths) for one in part.parts]
    if part.joined == "not":
        return None if parts[0] is None else not parts[0]
    decisive = part.joined == "or"
    return decisive if decisive in parts else None if None in parts else not decisive


def reasons(one: Judged) -> tuple[Reason, ...]:
    """Return the comparisons by which a condition that holds does; of alternatives those that hold."""
    return tuple(_reason(one, at) for at in _because(one.part, list(one.truths), 0, True))


def _because(part: Part, truths: list[Truth], start: int, wanted: bool) -> list[int]:
    """Return the numbers of the leaves that make a part, whose leaves begin at ``start``, what is wanted."""
    if not part.joined:
        return [start]
    if part.joined == "not":
        return _because(part.parts[0], truths, start, not wanted)
    deciding: list[int] = []
    for one in part.parts:
        end = start + len(one.leaves)
        if truth(one, truths[start:end]) is wanted:
            deciding += _because(one, truths, start, wanted)
        start = end
    return deciding


def _nearly(one: Judged) -> Nearly | None:
    """Return what keeps a rule from firing, if any single comparison does and is near."""
    if one.fires:
        return None
    places = range(len(one.truths))
    wanting = [_reason(one, at) for at in places if any(_would_fire(one, at, other) for other in (True, False))]
    near = tuple(
        reason
        for reason in wanting
        if _missed(reason) <= NEAR and (True in one.truths or reason.short_by is not None)  # it can be said how far
    )
    return Nearly(one.rule.name, one.rule.about, one.sets, near) if near else None


def _missed(reason: Reason) -> float:
    """Return by which share of what is asked a number misses; of words, as far as near goes."""
    if reason.short_by is None or reason.part is None:
        return NEAR
    return reason.short_by / max(abs(float(reason.part.against[0])), 1e-9)


def _distance(nearly: Nearly) -> float:
    return min(map(_missed, nearly.wanting))


def _would_fire(one: Judged, at: int, otherwise: bool) -> bool:
    truths = [*one.truths[:at], otherwise, *one.truths[at + 1 :]]
    return truth(one.part, truths) is True


def _reason(one: Judged, at: int) -> Reason:
    leaf, value = one.part.leaves[at], one.values[at]
    plain = Reason(leaf.text, one.truths[at] if leaf.sign == "moved" else value, part=leaf)
    if leaf.one is None or leaf.one.kind != "number" or value is None or leaf.sign in ("null", "moved"):
        return plain
    if one.fires:
        return plain
    short_by = abs(float(leaf.against[0]) - float(value))
    return replace(plain, short_by=short_by, is_more=leaf.sign in AT_LIMIT[one.truths[at] is True])
