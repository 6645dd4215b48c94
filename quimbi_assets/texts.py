"""Texts that somebody else chose (ids, titles, names of files), harmless wherever people are shown them.

Belongs here: what a line, a terminal, Slack and a spreadsheet would take for a command, and its escape, once each. HTML
is escaped by its templates, JSON by its own rules. Does not: which texts are shown.
"""

import re

LONGEST = 64
"""Characters that are shown of an id or a title."""
FORMULA = r"\A(\s*[=+\-@＝＋－＠]|[\t\r])"
"""How a text begins that a spreadsheet would compute: a customer named ``=HYPERLINK(...)`` must stay a name."""
UNSEEN = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
"""What a terminal obeys that shows a file: control characters but tab and line end, and what turns
text around (marks of direction, which names have, stay). Of a line that ends
as in Windows ``\r`` is taken off first."""
_ENDS = r"\s@<>|`\"'(),;:\\"
ADDRESS = re.compile(rf"[^{_ENDS}]+@[^{_ENDS}]*[^{_ENDS}.]")
_OBEYED = re.compile(r"[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def printable(text: str, keeping: str = "") -> str:
    r"""Return a text whose characters are all seen: none of control, direction or of another line, but those `keeping`.

    >>> printable("\x1b[2Jann\u202e\n", keeping="\n")
    '�[2Jann�\n'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keeping else "\ufffd" for letter in text)


def shown(text: str) -> str:
    r"""Return an id or a title as one line shows it: whoever chose it may have put lines of their own into it.

    >>> shown("c1\n<!channel> pay here"), len(shown("c" * 99))
    ('c1�<!channel> pay here', 64)
    """
    return printable(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def escaped_json(text: str) -> str:
    """Return JSON in which what a terminal may obey, and JSON allows, is escaped; it reads as the same values.

    >>> escaped_json('"\\x9b2J"')
    '"\\\\u009b2J"'
    """
    return _OBEYED.sub(lambda obeyed: f"\\u{ord(obeyed[0]):04x}", text)


def cell(text: str) -> str:
    r"""Return a text that a spreadsheet takes for one, and a terminal, too.

    >>> cell("=1+1"), cell("a-b"), cell("\x1b[2Jann")
    ("'=1+1", 'a-b', '�[2Jann')
    """
    return re.sub(UNSEEN, "\ufffd", re.sub(FORMULA, r"'\1", text).replace("\r\n", "\n"))


def slack(text: str) -> str:
    """Return a text that Slack shows as it is, whatever it holds.

    >>> slack("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Return an id as Markdown and Slack show code: nothing in it is mark-up, an address in it is no link.

    >>> code("https://pay.example `now`")
    '`https://pay.example ’now’`'
    """
    return f"`{shown(text).replace('`', '’')}`"


def without_addresses(text: str) -> str:
    """Return a text with what looks like an e-mail address taken out.

    >>> without_addresses("`ann@example.com`: 30, bob@shop.")
    '`(an address)`: 30, (an address).'
    """
    return ADDRESS.sub("(an address)", text)
