"""Test: somebody who has only names and texts must find the numbers they are about.

Belongs here: the blind question and its marking. Does not: asking it (``conversation``).
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quimbi_assets.naming.asking.answers import Matching
from quimbi_assets.naming.asking.brief import AxisBrief

#: Letters of the numbers: none of those that segments had when they were named.
LETTERS = "ZYXWVUTSRQPONM"


@dataclass(frozen=True)
class BlindQuestion:
    """Texts by number and sets of numbers by letter, both shuffled.

    Parameters
    ----------
    texts : dict of str to (str, str)
        Name and text, its numbers blanked out: words have to carry it.
    numbers : dict of str to dict
        What ``AxisBrief.segment_facts`` says, without a declared state.
    text_of : dict of segment id to str
        Key of each segment's text.
    truth : dict of str to set of str
        Letters that are right for a text: its own, and those of segments whose numbers are the same.
    """

    texts: dict[str, tuple[str, str]]
    numbers: dict[str, dict[str, Any]]
    text_of: dict[str, str]
    truth: dict[str, set[str]]


def blind_question(brief: AxisBrief, names: Mapping[str, tuple[str, str]], seed: str) -> BlindQuestion:
    """Shuffle texts and numbers, each on its own.

    Parameters
    ----------
    brief : AxisBrief
        The axis.
    names : mapping of segment id to (str, str)
        Name and interpretation of every segment.
    seed : str
        The same seed shuffles the same way.
    """
    order = random.Random(seed)
    facts = {
        s: {k: v for k, v in brief.segment_facts(row).items() if k != "all_of_them"} for row, s in enumerate(brief.ids)
    }
    text_order, number_order = (order.sample(brief.ids, k=len(brief.ids)) for _ in range(2))
    text_of = {segment: str(i) for i, segment in enumerate(text_order, 1)}
    letter = dict(zip(number_order, LETTERS, strict=False))
    return BlindQuestion(
        texts={text_of[s]: (names[s][0], blanked(names[s][1])) for s in text_order},
        numbers={letter[s]: facts[s] for s in number_order},
        text_of=text_of,
        truth={text_of[s]: {letter[other] for other in brief.ids if facts[other] == facts[s]} for s in brief.ids},
    )


def mark(question: BlindQuestion, answer: Matching) -> dict[str, bool]:
    """Return by segment id whether its text was given its numbers, once and rightly."""
    said: dict[str, list[str]] = {}
    for match in answer.matches:
        said.setdefault(match.text, []).append(match.set)
    return {
        segment: len(said.get(key, [])) == 1 and said[key][0] in question.truth[key]
        for segment, key in question.text_of.items()
    }


def blanked(text: str) -> str:
    """Blank out numbers.

    Examples
    --------
    >>> blanked("They spend $3,492 in all, 25 % of customers.")
    'They spend $# in all, # % of customers.'
    """
    return re.sub(r"\d[\d,.:]*\d|\d", "#", text)
