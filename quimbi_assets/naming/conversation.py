"""One axis's names: asked for, tested, repaired once, and what passed.

Belongs here: the order of asking and testing, and the round-trip check: somebody who has only names and texts must find
the numbers they are about. Does not: the tests of one name and text (``validators``), the network, what is done with
names (``plan``).
"""

import random
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from quimbi_assets.naming import asking
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.validators import check_named

Named = dict[str, tuple[str, str]]
"""Name and interpretation by segment id."""
LETTERS = "ZYXWVUTSRQPONM"
"""Letters of the numbers: none of those that segments had when they were named."""
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
    """What came of asking for one axis's names, and what it cost: names that ``passed`` every test, fixed ones as such.

    ``failure``: why there is no usable answer to a request; then asking again may help.
    """

    passed: Named = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    failure: asking.NoAnswerError | None = None
    usage: asking.Usage = field(default_factory=asking.Usage)


async def ask_names(ask: asking.Ask, brief: AxisBrief, seed: str) -> Conversation:
    """Ask for the names of an axis's segments, test them, and have failures repaired once.

    The seed orders the round-trip check. Never an error: what is not answered, or fails, is not in ``passed``.
    One request if nothing can be used; else two (names, round trip); three if a test or the shape of the answer called
    for the repair; four if the round trip did.
    """
    asked = _Interview(ask, brief)
    try:
        candidates, reasons = await asked.first_round()
        repaired = bool(reasons)
        if reasons:
            candidates = await asked.repair(reasons, candidates)
        unmatched = await asked.found_again(candidates, seed, 1 + repaired)
        if unmatched and not repaired:
            good = {s: named for s, named in candidates.items() if s not in unmatched}
            again = await asked.repair({s: [UNMATCHED] for s in unmatched}, good)
            asked.conversation.passed = {}
            await asked.found_again(again, seed + " repaired", 2)
    except asking.NoAnswerError as error:
        asked.conversation.failure = error
    return asked.conversation


class _Interview:
    """A conversation under way."""

    def __init__(self, ask: asking.Ask, brief: AxisBrief) -> None:
        self.conversation = Conversation()
        self._ask, self._brief = ask, brief
        self._turns: list[asking.Turn] = [{"role": "user", "content": asking.naming_request(brief)}]

    async def first_round(self) -> tuple[Named, dict[str, list[str]]]:
        """Ask; an answer that cannot be read is a failure of every segment."""
        ids = self._brief.ids
        try:
            answer = await self._ask(asking.NAMING, self._turns, asking.AxisNames)
        except asking.MalformedError:
            self.conversation.outcomes += [Outcome(s, 1, "readable", False, asking.UNREADABLE) for s in ids]
            return {}, {segment: [asking.UNREADABLE] for segment in ids}
        self._turns.append({"role": "assistant", "content": answer.model_dump_json()})
        return self._tested(answer, {}, 1)

    async def repair(self, reasons: Mapping[str, list[str]], good: Named) -> Named:
        """Ask again with the reasons; what was good before stays."""
        by_letter = {self._brief.labels[segment]: faults for segment, faults in reasons.items()}
        if self._turns[-1]["role"] == "user":  # nothing readable came: say so in the same turn, turns alternate
            self._turns[-1] = {"role": "user", "content": f"{self._turns[-1]['content']}\n\n{asking.UNREADABLE}"}
        else:
            self._turns.append({"role": "user", "content": asking.repair_request(by_letter)})
        return self._tested(await self._ask(asking.NAMING, self._turns, asking.AxisNames), good, 2)[0]

    async def found_again(self, candidates: Named, seed: str, number: int) -> list[str]:
        """Check the round trip; those found again have passed. Returns those that were not."""
        if not candidates:
            return []
        brief, columns = self._brief, ["segment_id", "segment_name", "interpretation"]
        every = {
            s: candidates.get(s, (brief.fixed.get(s, name), text))
            for s, name, text in brief.rule_made[columns].itertuples(index=False)
        }
        question = round_trip(brief, every, seed)
        content = asking.round_trip_request(brief, question.texts, question.numbers)
        right = mark(
            question, await self._ask(asking.ROUND_TRIP, [{"role": "user", "content": content}], asking.Matching)
        )
        for segment in candidates:
            reason = "" if right[segment] else UNMATCHED
            self.conversation.outcomes.append(Outcome(segment, number, "matching", right[segment], reason))
            if right[segment]:
                self.conversation.passed[segment] = candidates[segment]
        return [segment for segment in candidates if not right[segment]]

    def _tested(self, answer: asking.AxisNames, good: Named, number: int) -> tuple[Named, dict[str, list[str]]]:
        """Put an answer to the tests of the house; returns what may be matched, and the reasons of the rest."""
        brief, answers = self._brief, defaultdict[str, list[tuple[str, str]]](list)
        for one in answer.segments:
            answers[one.segment].append((one.name, one.interpretation))
        candidates, reasons = dict(good), {}
        for segment in [s for s in brief.ids if s not in good]:
            offered = answers[brief.labels[segment]]
            name, text = offered[0] if len(offered) == 1 else ("", "")
            name = brief.fixed.get(segment, name)
            names = {**brief.fixed, **{s: n for s, (n, _) in candidates.items()}}
            others = [other for s, other in names.items() if s != segment]
            unanswered = [("answered", ["no answer for it"])]
            checks = check_named(brief, segment, name, text, others) if offered else unanswered
            for check, wrong in checks:
                self.conversation.outcomes.append(Outcome(segment, number, check, not wrong, "; ".join(wrong)))
            if failed := [reason for _, wrong in checks for reason in wrong]:
                reasons[segment] = failed
            else:
                candidates[segment] = (name, text)
        return candidates, reasons


class RoundTrip(NamedTuple):
    """Texts by number and sets of numbers by letter, both shuffled.

    ``texts``: names and texts, their numbers blanked out: words have to carry them. ``numbers``: what
    ``AxisBrief.segment_facts`` says, without a declared state. ``text_of``: number of the text by segment id.
    ``right``: letters that are right for a text, its own and those of segments whose numbers are the same.
    """

    texts: dict[str, tuple[str, str]]
    numbers: dict[str, dict[str, Any]]
    text_of: dict[str, str]
    right: dict[str, set[str]]


def round_trip(brief: AxisBrief, names: Mapping[str, tuple[str, str]], seed: str) -> RoundTrip:
    """Shuffle names and texts, by segment id, and numbers, each on its own; the same seed shuffles the same way."""
    order = random.Random(seed)  # noqa: S311  (no secret: the same shuffle for the same seed)
    facts = {
        s: {k: v for k, v in brief.segment_facts(row).items() if k != "all_of_them"} for row, s in enumerate(brief.ids)
    }
    text_order, number_order = (order.sample(brief.ids, k=len(brief.ids)) for _ in range(2))
    text_of = {segment: str(i) for i, segment in enumerate(text_order, 1)}
    letter = dict(zip(number_order, LETTERS, strict=False))
    return RoundTrip(
        texts={text_of[s]: (names[s][0], blanked(names[s][1])) for s in text_order},
        numbers={letter[s]: facts[s] for s in number_order},
        text_of=text_of,
        right={text_of[s]: {letter[other] for other in brief.ids if facts[other] == facts[s]} for s in brief.ids},
    )


def mark(question: RoundTrip, answer: asking.Matching) -> dict[str, bool]:
    """Return by segment id whether its text was given its numbers, once and rightly."""
    matched: dict[str, list[str]] = {}
    for match in answer.matches:
        matched.setdefault(match.text, []).append(match.set)
    return {
        segment: len(matched.get(key, [])) == 1 and matched[key][0] in question.right[key]
        for segment, key in question.text_of.items()
    }


def blanked(text: str) -> str:
    """Blank out numbers.

    >>> blanked("They spend $3,492 in all, 25 % of customers.")
    'They spend $# in all, # % of customers.'
    """
    return re.sub(r"\d[\d,.:]*\d|\d", "#", text)
