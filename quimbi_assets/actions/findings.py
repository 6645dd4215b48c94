"""What is wrong with rules before anybody is harmed: those that can never fire, and those that nobody hears.

Belongs here: what a book of rules comes to by what its conditions say. Does not: how many customers each chooses, and
which of two rules is heard (``resources.postgres.tables.actions``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from quimbi_assets.actions.rules import ActionRule
from quimbi_assets.actions.satisfiability import can_be
from quimbi_assets.audiences.fields import KIND, UNKNOWN, Vocabulary
from quimbi_assets.audiences.filters import Part

Asked = Sequence[tuple[ActionRule, Part]]
"""Rules that a store understands, in order, each with its condition taken apart."""


def without_segments(rules: Asked, vocabulary: Vocabulary) -> dict[str, str]:
    """Return the rules that choose nobody since no segment of the store is of a kind, with the reason: no mistake."""
    reasons: dict[str, str] = {}
    for rule, part in rules:
        lacking = [leaf for leaf in part.leaves if _has_no_segment(leaf)]
        if lacking and not can_be([(part, "true")], domains_of(vocabulary)):
            axis = lacking[0].one.name.partition(".")[0] if lacking[0].one else ""
            weak = vocabulary.weak.get(axis)
            reasons[rule.name] = (
                f"{axis} is weak here: {weak}" if weak else f"there is nobody of whom {lacking[0].text}"
            )
    return reasons


def never_fire(rules: Asked, vocabulary: Vocabulary) -> dict[str, str]:
    """Return the rules that can never set anything, with the reason; none of those ``without_segments``."""
    domains, lacking = domains_of(vocabulary), without_segments(rules, vocabulary)
    reasons: dict[str, str] = {}
    before: list[tuple[ActionRule, Part]] = []
    for rule, part in ((rule, part) for rule, part in rules if rule.name not in lacking):
        reason = _contradiction(part, domains) or _shadow(rule, part, before, domains)
        if reason:
            reasons[rule.name] = reason
        elif not rule.trial.control:
            before.append((rule, part))
    return reasons


def with_shares(part: Part, shares: frozenset[str]) -> Part:
    """Return a condition in which features that are shares are known as such, by ``axis.feature``: 0 to 1."""
    if part.one is not None and part.one.name in shares:
        return replace(part, one=replace(part.one, is_share=True))
    return replace(part, parts=tuple(with_shares(one, shares) for one in part.parts))


def domains_of(vocabulary: Vocabulary) -> dict[str, frozenset[Any]]:
    """Return all ids there are of archetypes, and of segments by axis."""
    return {group: frozenset(ids) for group, ids in vocabulary.groups.items()}


def _contradiction(part: Part, domains: Mapping[str, frozenset[Any]]) -> str:
    if can_be([(part, "true")], domains):
        return ""
    alone = [leaf.text for leaf in part.leaves if not can_be([(leaf, "true")], domains)]
    shares = [leaf.one.name for leaf in part.leaves if leaf.text in alone and leaf.one and leaf.one.is_share]
    hint = f"; {shares[0]} is a share, 0 to 1: 60 % is 0.6" if shares else ""
    return f"it is true of nobody: {' and '.join(alone or [part.text])}{hint}"


def _has_no_segment(leaf: Part) -> bool:
    """Whether a comparison is with a kind that no segment of the store is of."""
    if leaf.one is None or f".{KIND}" not in leaf.one.name:
        return False
    return not leaf.against if leaf.one.kind == "group" else leaf.one.sql == UNKNOWN


def _shadow(rule: ActionRule, part: Part, before: Asked, domains: Mapping[str, frozenset[Any]]) -> str:
    """Return by which earlier rules, that hold nobody back, all is set already for everybody whom a rule could choose.

    Those after which none is asked set all; the others what they say.
    """
    by: list[str] = []
    for effect in rule.sets:
        earlier = [(one, other) for one, other in before if one.stop or effect in one.sets]
        if not earlier or can_be([(part, "true"), *((other, "not true") for _, other in earlier)], domains):
            return ""
        alone = [one.name for one, other in earlier if not can_be([(part, "true"), (other, "not true")], domains)]
        by += alone[:1] or [one.name for one, _ in earlier]
    names = dict.fromkeys(by)
    ends = all(one.stop for one, _ in before if one.name in names)
    what = "ends with" if ends else "has all that it sets from"
    return f"shadowed: whoever it could choose {what} {(' or ' if ends else ' and ').join(names)}"
