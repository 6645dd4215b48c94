"""Whether a condition can be true of anybody, by what it says alone.

Belongs here: what a comparison leaves open, alternatives of a condition, contradictions. Does not: which rules are
asked of a customer before (``findings``), whether somebody is chosen today, which the database knows.

A condition becomes alternatives, each of comparisons that have to hold at once (its disjunctive normal form); one whose
comparisons of a field leave nothing open holds of nobody. As in SQL a comparison with what is not known is neither
true nor false. Of two fields that hang together in fact ("orders = 1 and days between orders < 9") nothing is known
here, so "can be" may be wrong, "can never be" is not.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any, Literal

from quimbi_assets.audiences.fields import UNKNOWN, Field
from quimbi_assets.audiences.filters import Part

MOST_ALTERNATIVES = 2_000
"""Above, it is not judged."""
Wanted = Literal["true", "false", "not true", "not false"]
TURNED: Mapping[Wanted, Wanted] = {"true": "false", "false": "true", "not true": "not false", "not false": "not true"}
COMPLEMENT = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class NotJudgedError(Exception):
    """A condition has too many alternatives."""


@dataclass(frozen=True)
class Open:
    """What comparisons leave open of a field: values, and whether it may be unknown."""

    known: bool = True
    unknown: bool = True
    low: float = -math.inf
    high: float = math.inf
    takes_low: bool = True
    takes_high: bool = True
    allowed: frozenset[Any] | None = None
    """The values there may be; None: all within the limits."""
    barred: frozenset[Any] = frozenset()

    def __and__(self, other: "Open") -> "Open":
        """Return what both leave open."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        allowed = [one.allowed for one in (self, other) if one.allowed is not None]
        return Open(
            self.known and other.known,
            self.unknown and other.unknown,
            low,
            high,
            all(one.takes_low for one in (self, other) if one.low == low),
            all(one.takes_high for one in (self, other) if one.high == high),
            frozenset.intersection(*allowed) if allowed else None,
            self.barred | other.barred,
        )

    @property
    def is_nothing(self) -> bool:
        """Whether no value is left, nor that it is unknown."""
        if self.unknown:
            return False
        if not self.known or self.low > self.high:
            return True
        if self.allowed is not None:
            return not self.allowed - self.barred
        return self.low == self.high and not (self.takes_low and self.takes_high and self.low not in self.barred)


Alternative = dict[str, Open]
"""What is left open by field; a move goes by its text."""


def can_be(parts: Iterable[tuple[Part, Wanted]], domains: Mapping[str, frozenset[Any]]) -> bool:
    """Return whether conditions can be as wanted at once: True also where they are too many to judge.

    ``domains``: all values there can be of a field of words or ids, where that is known.
    """
    try:
        alternatives: list[Alternative] = [{}]
        for part, wanted in parts:
            alternatives = _both(alternatives, _alternatives(part, wanted, domains))
    except NotJudgedError:
        return True
    return bool(alternatives)


def _both(left: list[Alternative], right: list[Alternative]) -> list[Alternative]:
    """Return what is left where one of both holds."""
    if len(left) * len(right) > MOST_ALTERNATIVES:
        raise NotJudgedError
    merged = (
        {**a, **{key: a[key] & one if key in a else one for key, one in b.items()}} for a, b in product(left, right)
    )
    return [one for one in merged if not any(open_.is_nothing for open_ in one.values())]


def _alternatives(part: Part, wanted: Wanted, domains: Mapping[str, frozenset[Any]]) -> list[Alternative]:
    if not part.joined:
        return [{_key(part): one} for one in _of_leaf(part, wanted, domains) if not one.is_nothing]
    if part.joined == "not":
        return _alternatives(part.parts[0], TURNED[wanted], domains)
    of_each = [_alternatives(one, wanted, domains) for one in part.parts]
    # "Both" is true where each is, and false or not true where one is; of "either" it is the other way round.
    if (part.joined == "and") == (wanted in ("true", "not false")):
        return _all(of_each)
    return [one for alternatives in of_each for one in alternatives]


def _all(of_each: Sequence[list[Alternative]]) -> list[Alternative]:
    together: list[Alternative] = [{}]
    for alternatives in of_each:
        together = _both(together, alternatives)
    return together


def _key(part: Part) -> str:
    return part.text if part.one is None else part.one.name.removesuffix(".kind")


def _of_leaf(part: Part, wanted: Wanted, domains: Mapping[str, frozenset[Any]]) -> list[Open]:
    """Return what a comparison leaves open; several where that is in two pieces."""
    holds = wanted in ("true", "not false")
    nothing_said = Open(unknown=False)
    if part.sign == "moved" or part.one is None:
        return [replace(nothing_said, allowed=frozenset({holds}))]
    if part.sign == "null":
        return [] if holds and part.one.least is not None else [Open(known=not holds, unknown=holds)]
    if part.one.sql == UNKNOWN:
        return [Open(known=False)] if wanted in ("not true", "not false") else []
    may_lack = part.one.least is None and wanted in ("not true", "not false")
    is_unknown = [Open(known=False)] if may_lack else []
    return [*(_within(one, part.one, domains) for one in _values(part, holds)), *is_unknown]


def _within(open_: Open, one: Field, domains: Mapping[str, frozenset[Any]]) -> Open:
    limits = Open(unknown=False)
    if one.is_share:
        limits = replace(limits, low=0.0, high=1.0)
    elif one.least is not None:
        limits = replace(limits, low=one.least)
    key = one.name.removesuffix(".kind")
    known = frozenset(one.words) or domains.get(key)
    return open_ & (replace(limits, allowed=known) if known else limits)


def _values(part: Part, holds: bool) -> list[Open]:
    """Return the values of which a comparison is true, or false."""
    assert part.one is not None
    base, sign = Open(unknown=False), part.sign
    if part.one.kind in ("text", "group", "flag"):
        values = frozenset(part.against)
        if part.one.kind == "flag":
            base = replace(base, allowed=frozenset({True, False}))
        is_in = (sign == "=") == holds
        return [base & (replace(base, allowed=values) if is_in else replace(base, barred=values))]
    start, end = _interval(part)
    if sign in ("=", "<>"):
        if (sign == "=") == holds:
            return [replace(base, low=start, high=end, takes_high=start == end)]
        return [replace(base, high=start, takes_high=False), replace(base, low=end, takes_low=start != end)]
    sign = sign if holds else COMPLEMENT[sign]  # type: ignore[assignment]
    at = end if sign in ("<=", ">") else start
    if start != end:  # a day: up to its end, or from its end on
        return [replace(base, high=at, takes_high=False) if sign[0] == "<" else replace(base, low=at)]
    takes = sign.endswith("=")
    return [replace(base, high=at, takes_high=takes) if sign[0] == "<" else replace(base, low=at, takes_low=takes)]


def _interval(part: Part) -> tuple[float, float]:
    """Return from where to where what is compared with reaches: a number is a point, a day has a length."""
    numbers = [one.timestamp() if isinstance(one, datetime) else float(one) for one in part.against]
    return numbers[0], numbers[-1]
