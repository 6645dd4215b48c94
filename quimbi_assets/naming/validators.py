"""The tests of one segment's name and text that need nobody else: form, plain words, numbers, directions.

Belongs here: which test is put to what; ``quimbi rename`` uses two of them. Words that are not plain are never kept,
logged or shown. Does not: the round-trip check (``conversation``).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import Feature, Word
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.descriptors import DAY_PARTS, MINORITY, holds, judged_share
from quimbi_assets.naming.values import mean_hour, part_of_day

FORM = re.compile(r"[a-z][a-z0-9_]{2,39}")
FILLER = re.compile(
    r"(the_)?(segment|cluster|group|type|class|bucket|category|label|name)s?(_([a-z]|\d+|one|two|three))?"
    r"|(other|misc|miscellaneous|various|general|generic|default|average|typical|moderate|unknown|unnamed|"
    r"remaining)(_[a-z]+)?|\w+_(\d+|group_\d+|[a-z])|(customer|buyer|shopper|spender|people)s?"
)
FORM_RULE = "lower-case letters, digits and underscores, beginning with a letter, 3 to 40 characters"

FEWEST, MOST = 20, 420
ALLOWED = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ0-9 .,;:%()'’+\-–/$£€¥₹]*")
CODE = re.compile(
    r"--|/\*|\*/|//|;\s*\w+\s+(table|from|into)\b|\b(drop|alter|truncate|create)\s+(table|database|schema|user|role)\b"
    r"|\b(delete\s+from|insert\s+into|union\s+(all\s+)?select|select\s+.*\bfrom|update\s+\w+\s+set)\b"
    r"|\b(script|javascript|iframe|onerror|onclick|href|http|https|www|html|sql|eval|exec|xp cmdshell)\b"
    r"|\bor\s+'?1'?\s*=",
    re.IGNORECASE,
)
ADDRESSED = re.compile(
    r"\b(you|your|yours|yourself|i|me|my|we|us|our|please|ignore|disregard|forget|override|instructions?|prompt|system|"
    r"assistant|chatgpt|claude|anthropic|openai|language model|jailbreak|developer mode|passwords?|credentials?|"
    r"api key|secret|token|click|visit|download|execute|run this|send (this|the|all|them|an|it)|e-?mail|reply|respond|"
    r"output|pretend|act as|dear|attention|urgent|must)\b",
    re.IGNORECASE,
)
WORD_AND_DIGIT = re.compile(r"[A-Za-z]\d|\d(?!(?:st|nd|rd|th)\b)[A-Za-z]")

# Assumption: two in a hundred is how people round; single digits may be rounded to whole ones, up to a fifth away.
CLOSE = 0.02
COARSE = 0.2
MINUTES = 20
NUMBER = re.compile(
    r"(?<![\w.,])(?P<currency>[£$€¥₹]?)(?P<number>\d[\d,]*(?:\.\d+)?)(?P<clock>:\d{2})?(?P<percent>\s?(?:%|percent\b))?"
    r"(?P<next>\s[a-z]+)?"
)
SPELLED = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundreds?|thousands?|dozens?|twice|thrice|doubled?|tripled?|half|halves|thirds?|quarters?|fifths?|tenths?)\b",
    re.IGNORECASE,
)
OF_ALL = re.compile(
    r"\b(typical|typically|average|overall|others?|every(one|body)|than|against|compared|versus|whole|all|usual|rest)\b",
    re.IGNORECASE,
)
Kind = Literal["percent", "money", "plain", "clock"]

TURNING = frozenset(
    re.findall("[a-z]+", "less least not never no without hardly seldom rarely fewer non fewest lowest")
)
"""Words before another that turn it round."""
SIZES = frozenset(
    re.findall("[a-z]+", "heavy heaviest big biggest large largest huge top vip premium elite whale whales major")
)
"""Words that say that most others are not so."""
LIFECYCLE = ("new", "active", "slowing", "at_risk", "lapsed", "lost")
"""Stages that each customer has by their own waits (``marketing.lifecycle``): a segment called so would be another."""
ABSOLUTES = {"always": 1.0, "constantly": 1.0, "only": 1.0, "never": 0.0}
"""Words that are true where a share is so, and of nothing less."""
HEDGES = frozenset({"almost", "nearly", "hardly"})
SUPERLATIVES = {
    "rare": "rarest", "low": "lowest", "high": "highest", "deep": "deepest", "few": "fewest", "new": "newest",
    "old": "oldest", "small": "smallest", "large": "largest", "big": "biggest", "broad": "broadest",
    "narrow": "narrowest", "wide": "widest", "steady": "steadiest", "loyal": "most_loyal", "light": "lightest",
    "heavy": "heaviest", "slowing": "fastest_slowing", "growing": "fastest_growing", "shrinking": "fastest_shrinking",
    "lapsed": "longest_lapsed",
}  # fmt: skip
EXTREME = {"most", "least", "highest", "lowest", "fewest", "top"}
SUPERLATIVE_OF = {most: word for word, most in SUPERLATIVES.items() if "_" not in most}


def check_named(brief: AxisBrief, segment: str, name: str, text: str, others: list[str]) -> list[tuple[str, list[str]]]:
    """Return what every test says of a segment's text, and name unless it is fixed: the test, its reasons if it failed.

    The axis's ``others`` are the names it must not repeat.
    """
    row, is_fixed = brief.ids.index(segment), segment in brief.fixed
    form = None if is_fixed else bad_form(name)
    unsafe = [None if is_fixed else unsafe_name(name), unsafe_text(text)]
    checks = [("plain_text", unsafe)]
    if not is_fixed:
        says_nothing = None if form else filler(name, brief.rule_made["segment_name"])
        checks += [("form", [form]), ("unique", [taken(name, others)]), ("not_filler", [says_nothing])]
    outcomes = [(check, [reason for reason in reasons if reason]) for check, reasons in checks]
    if any(unsafe):
        return outcomes
    directions = [] if is_fixed else wrong_directions(brief, row, name, is_name=True)
    directions += wrong_directions(brief, row, text, is_name=False)
    if not is_fixed:
        outcomes.append(("wording", wrong_words(brief, row, name)))
    return [*outcomes, ("numbers", wrong_numbers(brief, row, text)), ("directions", directions)]


def bad_form(name: str) -> str | None:
    """Return what is wrong with the form of a name; None if nothing is.

    >>> bad_form("silent_regulars"), bad_form("Silent Regulars") is None
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

    >>> filler("silent_regulars", ["silent_buyers"])
    >>> filler("segment_2", []), filler("silent_buyers", ["silent_buyers"])
    ('the name is filler that fits any segment', 'the name is the one made by rule')
    """
    if name in set(rule_made):
        return "the name is the one made by rule"
    return "the name is filler that fits any segment" if FILLER.fullmatch(name) else None


def unsafe_name(name: str) -> str | None:
    """Return what is wrong with the words of a name; None if they are plain.

    >>> unsafe_name("silent_regulars"), unsafe_name("ignore_all_instructions")
    (None, 'the name speaks to its reader or to a machine, not about customers')
    """
    return _reason("name", name.replace("_", " "))


def unsafe_text(text: str) -> str | None:
    """Return what is wrong with an interpretation as text; None if it is plain.

    >>> unsafe_text("They come back every 18 days, against 38 for the typical customer.")
    >>> unsafe_text("They <b>buy</b> a lot, and they do so often.")
    'the interpretation holds characters other than letters, digits and ordinary punctuation'
    """
    if not FEWEST <= len(text) <= MOST:
        return f"the interpretation has to have {FEWEST} to {MOST} characters"
    if WORD_AND_DIGIT.search(text):
        return "the interpretation runs letters and digits together"
    return _reason("interpretation", text)


def _reason(what: str, text: str) -> str | None:
    if not ALLOWED.fullmatch(text):
        return f"the {what} holds characters other than letters, digits and ordinary punctuation"
    if CODE.search(text):
        return f"the {what} reads like code, markup or an address"
    if ADDRESSED.search(text):
        return f"the {what} speaks to its reader or to a machine, not about customers"
    return None


class Known(NamedTuple):
    """A number the data hold: kind, value (percentages 0-100, hours 0-24), and whether it is the segment's own."""

    kind: Kind
    value: float
    is_own: bool


def wrong_numbers(brief: AxisBrief, row: int, text: str) -> list[str]:
    """List the numbers of a text on a segment that its data do not hold, as reasons.

    A number only the average or typical customer has must stand in a sentence that compares. Numbers that stand in a
    feature's meaning ("the last 90 days") are no claim.
    """
    known = known_numbers(brief, row)
    meanings = " ".join([*(f.meaning for f in brief.features), *(s.meaning for s in brief.axis.structural)]).lower()
    reasons = [
        f"write numbers as digits, those of the data only, not {match.group().lower()!r}"
        for match in SPELLED.finditer(text)
        if not re.search(rf"\b{match.group().lower()}\b", meanings)
    ]
    for sentence in re.split(r"[.;](?!\d)", text):
        compares = OF_ALL.search(sentence) is not None
        for match in NUMBER.finditer(sentence):
            phrase = f"{match['number']}{match['next'] or ''}"
            if match["next"] and phrase in meanings:
                continue
            if not any(_agrees(match, one) for one in known if one.is_own or compares):
                reasons.append(f"the number {match['number'] + (match['clock'] or '')} is not in this segment's data")
    return reasons


def known_numbers(brief: AxisBrief, row: int) -> list[Known]:
    """List every number that may be said of a segment; an index means nothing to a reader and may not."""
    segment = brief.description.iloc[row]
    known = [
        Known("percent", float(segment["population_percentage"]), True),
        Known("plain", float(segment["customer_count"]), True),
    ]
    for feature in (one for one in brief.counted if one.unit != "index"):
        kind: Kind = "percent" if feature.unit == "share" else "money" if feature.unit == "money" else "plain"
        for stat in ("centre", "q10", "q50", "q90", "population", "population_q50"):
            value = float(segment[f"{stat}:{feature.name}"]) * (100.0 if kind == "percent" else 1.0)
            known.append(Known(kind, abs(value), not stat.startswith("population")))
    hours = ((stat, mean_hour(segment, stat, brief.clock or ())) for stat in ("centre", "population"))
    known += [Known("clock", hour, stat == "centre") for stat, hour in hours]
    return [one for one in known if np.isfinite(one.value)]


def _agrees(written_as: re.Match[str], known: Known) -> bool:
    """Whether a number as written is that value, of that kind."""
    if written_as["clock"]:
        hour = int(written_as["number"].replace(",", "")) + int(written_as["clock"][1:]) / 60
        apart = abs(hour - known.value) % 24
        return known.kind == "clock" and min(apart, 24 - apart) <= MINUTES / 60
    if bool(written_as["percent"]) != (known.kind == "percent") or (written_as["currency"] and known.kind != "money"):
        return False
    digits = written_as["number"].replace(",", "").rstrip(".")
    written = float(digits)
    step = 0.5 * 10.0 ** -len(digits.partition(".")[2])
    apart = abs(written - known.value)
    return apart <= max(CLOSE * known.value, min(step, COARSE * known.value)) + 1e-9


class Claim(NamedTuple):
    """A word of a text that says that a feature is high (side 1), low (-1) or as it says (0), perhaps the utmost.

    ``declared``: the axis's word of that truth, if it is one; ``is_turned``: whether the text says the contrary.
    """

    word: str
    feature: Feature
    side: int
    is_extreme: bool
    declared: Word | None = None
    is_turned: bool = False


def wrong_directions(brief: AxisBrief, row: int, text: str, *, is_name: bool) -> list[str]:
    """List the words of a segment's name or interpretation that the centres contradict, as reasons.

    A name's words must be so: not at the wrong end of the siblings, and on the right side of the average or the typical
    customer; superlatives at the very end. In a sentence, which also speaks of others, only a word that is wrong in
    both ways counts. A word that may stand for several features is wrong if it is so for all.
    """
    words = re.findall("[a-z]+", text.lower())
    tokens, superlative = [SUPERLATIVE_OF.get(t, t) for t in words], [t in SUPERLATIVE_OF for t in words]
    claims: dict[str, list[Claim]] = {}
    for claim in _claims(brief, tokens, superlative):
        if claim.side:
            claims.setdefault(claim.word, []).append(claim)
    reasons = [
        f"{word.replace('_', ' ')!r} does not agree with {' or '.join(dict.fromkeys(c.feature.name for c in claimed))}"
        for word, claimed in claims.items()
        if all(_is_wrong(brief, row, claim, is_name) for claim in claimed)
    ]
    return reasons + (_wrong_hours(brief, row, tokens) if is_name else [])


def wrong_words(brief: AxisBrief, row: int, name: str) -> list[str]:
    """List what a name says that its segment's figures or share do not bear out, or that is not the axis's, as reasons.

    A word that the axis declares must be true by its own figures, one of size only be said of a minority, one that
    another axis declares not be said at all, and nothing be said twice.
    """
    tokens, share = re.findall("[a-z]+", name), judged_share(brief.description, row)
    plain = [SUPERLATIVE_OF.get(token, token) for token in tokens]
    claims = list(_claims(brief, plain, [a != b for a, b in zip(plain, tokens, strict=True)]))
    reasons = []
    declared = {token for claim in claims if claim.declared for token in claim.word.split("_")}
    if share > MINORITY and (sizes := sorted(SIZES.intersection(tokens) - declared)):
        reasons.append(f"{sizes[0]!r} is said of a minority, not of {100 * share:.0f} % of those who can be judged")
    for word in dict.fromkeys(claim.word for claim in claims):
        needed = [(c.feature, c.declared) for c in claims if c.word == word and c.declared and not c.is_turned]
        if needed and not any(holds(brief.axis, *one, brief.description, row) for one in needed):
            reasons.append(f"{word.replace('_', ' ')!r} is not true of them: it needs {_needs(*needed[0])}")
    reasons += _of_lifecycle(brief, name) + _absolutes(brief, row, tokens, declared)
    if "seasonal" in tokens:
        reasons.append("'seasonal' says that a time of year comes again: no figure here spans several years")
    facts = [claim.feature.about for claim in {claim.word: claim for claim in claims}.values() if claim.feature.about]
    twice = [fact.replace("_", " ") for fact in dict.fromkeys(facts) if facts.count(fact) > 1]
    reasons += [f"it says two things about {fact}" for fact in twice]
    reasons += [
        f"{claim.word.replace('_', ' ')!r} contradicts {other.replace('_', ' ')!r}"
        for claim in claims
        for other in (claim.declared.never_beside.split() if claim.declared else ())
        if f"_{other}_" in f"_{name}_"
    ]
    return reasons + _foreign(brief, name)


def _of_lifecycle(brief: AxisBrief, name: str) -> list[str]:
    """List words of a name that are stages of the lifecycle, unless the axis measures that itself."""
    here = {phrase for feature in brief.counted for word in feature.words for phrase in word.phrases}
    return [
        f"{stage.replace('_', ' ')!r} is a stage of the lifecycle, which is each customer's own"
        for stage in LIFECYCLE
        if stage not in here and f"_{stage}_" in f"_{name}_"
    ]


def _absolutes(brief: AxisBrief, row: int, tokens: Sequence[str], declared: Collection[str]) -> list[str]:
    """List absolute words of a name of which no share is absolutely true; what the axis declares has a range."""
    shares = [brief.description[f"centre:{f.name}"].iloc[row] for f in brief.counted if f.unit == "share"]
    return [
        f"{token!r} is said of nothing that is not so of all: no share here is {100 * ABSOLUTES[token]:.0f} %"
        for before, token in zip(["", *tokens], tokens, strict=False)
        if token in ABSOLUTES and token not in declared and before not in HEDGES and ABSOLUTES[token] not in shares
    ]


def _foreign(brief: AxisBrief, name: str) -> list[str]:
    """List words of a name that other axes declare, and this one knows in no sense."""
    here = {phrase for words, *_ in _phrases(brief) for phrase in ("_".join(words), *words)}.union(DAY_PARTS)
    return [
        f"{phrase.replace('_', ' ')!r} answers another question: {other.question}"
        for other in AXES.values()
        for feature in other.clustering_features
        for phrase in (p for word in feature.words for p in word.phrases)
        if other.name != brief.axis.name and phrase not in here and f"_{phrase}_" in f"_{name}_"
    ]


def _needs(feature: Feature, word: Word) -> str:
    """Say when a word of the axis is true."""
    ranges = [
        f"{name} {'' if low == -np.inf else f'of {low:.4g} or more'}{'' if high == np.inf else f' up to {high:.4g}'}"
        for name, low, high in [(feature.name, word.low, word.high), *word.where]
        if (low, high) != (-np.inf, np.inf)
    ]
    if word.times > 1:
        ranges.append(f"{feature.name} {word.times:.4g} times the typical customer's")
    if word.of_few:
        ranges.append(f"a share up to {100 * MINORITY:.0f} %")
    return re.sub(" +", " ", " and ".join(ranges)) or "others to be otherwise"


def _claims(brief: AxisBrief, tokens: list[str], superlative: list[bool]) -> Iterator[Claim]:
    """Find what a text claims; the longest phrase at a place counts."""
    phrases = list(_phrases(brief))
    for start in range(len(tokens)):
        here = [p for p in phrases if tokens[start : start + len(p[0])] == list(p[0])]
        longest = max((len(words) for words, *_ in here), default=0)
        inside = any(
            tokens[begin : begin + len(words)] == list(words) and begin + len(words) > start
            for words, *_ in phrases
            for begin in range(max(0, start - len(words) + 1), start)
        )
        for words, feature, side, declared in here:
            if len(words) < longest or inside:
                continue
            before = tokens[max(0, start - 2) : start]
            turned = any(token in TURNING for token in before)
            extreme = superlative[start] or any(token in EXTREME for token in tokens[max(0, start - 1) : start])
            yield Claim("_".join(words), feature, -side if turned else side, extreme, declared, turned)


def _phrases(brief: AxisBrief) -> Iterator[tuple[tuple[str, ...], Feature, int, Word | None]]:
    for feature in brief.counted:
        for side, words in zip((-1, 1), feature.synonyms, strict=True):
            for phrase in words.split():
                yield tuple(phrase.split("_")), feature, side, None
        for word in feature.words:
            for phrase in word.phrases:
                yield tuple(phrase.split("_")), feature, word.side, word


def _is_wrong(brief: AxisBrief, row: int, claim: Claim, is_name: bool) -> bool:
    name, side = claim.feature.name, claim.side
    centres = side * brief.description[f"centre:{name}"].to_numpy(dtype=float)
    segment = brief.description.iloc[row]
    if np.isnan(centres[row]):
        return is_name
    last = bool(centres[row] <= np.nanmin(centres) and np.nanmin(centres) < np.nanmax(centres))
    limits = [(mine, segment[f"{all_}:{name}"]) for mine, all_ in (("centre", "population"), ("q50", "population_q50"))]
    if claim.feature.neutral is not None:
        limits += [(mine, claim.feature.neutral) for mine in ("centre", "q50")]
    beyond = any(side * (segment[f"{mine}:{name}"] - limit) > 0 for mine, limit in limits)
    if not is_name:
        return last and not beyond
    first = bool(centres[row] >= np.nanmax(centres))
    return last or not beyond or (claim.is_extreme and not first)


def _wrong_hours(brief: AxisBrief, row: int, tokens: list[str]) -> list[str]:
    """Check a part of the day in a name against the segment's mean hour."""
    if not brief.clock:
        return []
    hour = mean_hour(brief.description.iloc[row], "centre", brief.clock)
    actual = part_of_day(hour) if np.isfinite(hour) else "no part of the day"
    claimed = {part for part in DAY_PARTS if part in tokens}
    return [f"{part!r} does not agree with the time of day: {actual}" for part in sorted(claimed - {actual})]
