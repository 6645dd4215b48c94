"""One axis's names: asked for, tested, repaired once, and what passed.

Belongs here: the order of asking and testing. Does not: the tests themselves, the network, what is done with names
(``decision``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from quimbi_assets.naming.asking.answers import Ask, AxisNames, MalformedError, Matching, NoAnswerError, Turn
from quimbi_assets.naming.asking.brief import AxisBrief
from quimbi_assets.naming.asking.house_tests import check_named
from quimbi_assets.naming.asking.matching import blind_question, mark
from quimbi_assets.naming.asking.prompt import (
    MATCHING,
    NAMING,
    UNREADABLE,
    matching_request,
    naming_request,
    repair_request,
)

Named = dict[str, tuple[str, str]]
"""Name and interpretation by segment id."""
UNMATCHED = "a reader who had only names and texts did not find the numbers of this one; make it tell apart"


@dataclass(frozen=True)
class Outcome:
    """What a test said of a segment's name and text; the reason never quotes them."""

    segment_id: str
    round: int
    check: str
    passed: bool
    reason: str = ""


@dataclass
class Conversation:
    """What came of asking for one axis's names.

    Parameters
    ----------
    passed : dict of segment id to (str, str)
        Names and interpretations that passed every test; for a fixed name, that name.
    outcomes : list of Outcome
        Of every test.
    failure : NoAnswerError or None
        Why there is no usable answer to a request; then asking again may help.
    """

    passed: Named = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    failure: NoAnswerError | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every request was answered, so that asking the same again says nothing new."""
        return self.failure is None


async def ask_names(ask: Ask, brief: AxisBrief, seed: str) -> Conversation:
    """Ask for the names of an axis's segments, test them, and have failures repaired once.

    Parameters
    ----------
    ask : Ask
        Puts one request.
    brief : AxisBrief
        The axis.
    seed : str
        Of the blind test's order.

    Returns
    -------
    Conversation
        Never an error: what is not answered, or fails, is not in ``passed``.

    Notes
    -----
    One request if nothing can be used; else two (names, blind test); three if a test of the house or the shape of the
    answer called for the repair; four if the blind test did.
    """
    found = Conversation()
    turns: list[Turn] = [{"role": "user", "content": naming_request(brief)}]
    try:
        candidates, reasons = await _first_round(ask, brief, turns, found)
        repaired = bool(reasons)
        if reasons:
            candidates = await _repair(ask, brief, turns, reasons, candidates, found)
        unmatched = await _matched(ask, brief, candidates, seed, 1 + repaired, found)
        if unmatched and not repaired:
            kept = {s: named for s, named in candidates.items() if s not in unmatched}
            again = await _repair(ask, brief, turns, {s: [UNMATCHED] for s in unmatched}, kept, found)
            found.passed = {}
            await _matched(ask, brief, again, seed + " repaired", 2, found)
    except NoAnswerError as error:
        found.failure = error
    return found


async def _first_round(
    ask: Ask, brief: AxisBrief, turns: list[Turn], found: Conversation
) -> tuple[Named, dict[str, list[str]]]:
    """Ask; an answer that cannot be read is a failure of every segment."""
    try:
        answer = await ask(NAMING, turns, AxisNames)
    except MalformedError:
        found.outcomes += [Outcome(segment, 1, "readable", False, UNREADABLE) for segment in brief.ids]
        return {}, {segment: [UNREADABLE] for segment in brief.ids}
    turns.append({"role": "assistant", "content": answer.model_dump_json()})
    return _tested(brief, answer, {}, 1, found)


async def _repair(
    ask: Ask, brief: AxisBrief, turns: list[Turn], reasons: Mapping[str, list[str]], kept: Named, found: Conversation
) -> Named:
    """Ask again with the reasons; what was good before stays."""
    by_letter = {brief.labels[segment]: own for segment, own in reasons.items()}
    if turns[-1]["role"] == "user":  # nothing readable came: say so in the same turn, turns alternate
        turns[-1] = {"role": "user", "content": f"{turns[-1]['content']}\n\n{UNREADABLE}"}
    else:
        turns.append({"role": "user", "content": repair_request(by_letter)})
    answer = await ask(NAMING, turns, AxisNames)
    candidates, _ = _tested(brief, answer, kept, 2, found)
    return candidates


async def _matched(
    ask: Ask, brief: AxisBrief, candidates: Named, seed: str, number: int, found: Conversation
) -> list[str]:
    """Have the texts matched blind; those found again have passed. Returns those that were not."""
    if not candidates:
        return []
    everybody = {
        s: candidates.get(s, (brief.fixed.get(s, name), text))
        for s, name, text in brief.rule_made[["segment_id", "segment_name", "interpretation"]].itertuples(index=False)
    }
    question = blind_question(brief, everybody, seed)
    request: list[Turn] = [{"role": "user", "content": matching_request(brief, question.texts, question.numbers)}]
    right = mark(question, await ask(MATCHING, request, Matching))
    for segment in candidates:
        reason = "" if right[segment] else UNMATCHED
        found.outcomes.append(Outcome(segment, number, "matching", right[segment], reason))
        if right[segment]:
            found.passed[segment] = candidates[segment]
    return [segment for segment in candidates if not right[segment]]


def _tested(
    brief: AxisBrief, answer: AxisNames, kept: Named, number: int, found: Conversation
) -> tuple[Named, dict[str, list[str]]]:
    """Put an answer to the tests of the house; returns what may be matched, and the reasons of the rest."""
    said: dict[str, list[tuple[str, str]]] = {}
    for one in answer.segments:
        said.setdefault(one.segment, []).append((one.name, one.interpretation))
    candidates, reasons = dict(kept), {}
    for segment in [s for s in brief.ids if s not in kept]:
        own = said.get(brief.labels[segment], [])
        name, text = own[0] if len(own) == 1 else ("", "")
        name = brief.fixed.get(segment, name)
        others = [*brief.fixed.items(), *((s, n) for s, (n, _) in candidates.items())]
        taken_names = [other for s, other in others if s != segment]
        outcomes = check_named(brief, segment, name, text, taken_names) if own else [("answered", ["no answer for it"])]
        failed = [reason for _, found_wrong in outcomes for reason in found_wrong]
        found.outcomes += [Outcome(segment, number, check, not wrong, "; ".join(wrong)) for check, wrong in outcomes]
        if failed:
            reasons[segment] = failed
        else:
            candidates[segment] = (name, text)
    return candidates, reasons
