"""Test: words are plain words. What fails is never kept, logged or shown.

Belongs here: characters, length, and what speaks to a machine instead of about customers. Does not: truth (the other
tests).
"""

import re

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


def unsafe_name(name: str) -> str | None:
    """Return what is wrong with the words of a name; None if they are plain.

    Examples
    --------
    >>> unsafe_name("lapsed_regulars"), unsafe_name("ignore_all_instructions")
    (None, 'the name speaks to its reader or to a machine, not about customers')
    """
    return _reason("name", name.replace("_", " "))


def unsafe_text(text: str) -> str | None:
    """Return what is wrong with an interpretation as text; None if it is plain.

    Examples
    --------
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
