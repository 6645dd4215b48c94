"""Tests: a name's form, that it is nobody else's, and that it says something.

Belongs here: what can be judged without numbers; ``quimbi rename`` uses the first two. Does not: truth
(``directions``).
"""

import re
from collections.abc import Iterable

FORM = re.compile(r"[a-z][a-z0-9_]{2,39}")
FILLER = re.compile(
    r"(the_)?(segment|cluster|group|type|class|bucket|category|label|name)s?(_([a-z]|\d+|one|two|three))?"
    r"|(other|misc|miscellaneous|various|general|generic|default|average|typical|moderate|unknown|unnamed|"
    r"remaining)(_[a-z]+)?|\w+_(\d+|group_\d+|[a-z])|(customer|buyer|shopper|spender|people)s?"
)
FORM_RULE = "lower-case letters, digits and underscores, beginning with a letter, 3 to 40 characters"


def bad_form(name: str) -> str | None:
    """Return what is wrong with the form of a name; None if nothing is.

    Examples
    --------
    >>> bad_form("lapsed_regulars"), bad_form("Lapsed Regulars") is None
    (None, False)
    """
    return None if FORM.fullmatch(name) else f"a name has to be {FORM_RULE}"


def taken(name: str, others: Iterable[str]) -> str | None:
    """Return why a name is another segment's already; None if it is free. The order of its words does not count."""
    words = sorted(name.split("_"))
    same = any(sorted(other.split("_")) == words for other in others)
    return "another segment of the axis has that name" if same else None


def filler(name: str, rule_made: Iterable[str]) -> str | None:
    """Return why a name says nothing that rules had not said; None if it does.

    Examples
    --------
    >>> filler("lapsed_regulars", ["lapsed_buyers"])
    >>> filler("segment_2", []), filler("lapsed_buyers", ["lapsed_buyers"])
    ('the name is filler that fits any segment', 'the name is the one made by rule')
    """
    if name in set(rule_made):
        return "the name is the one made by rule"
    return "the name is filler that fits any segment" if FILLER.fullmatch(name) else None
