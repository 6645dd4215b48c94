"""The tests that need nobody else: form, plain words, numbers and directions of one segment's name and text.

Belongs here: which test is put to what. Does not: the tests, the blind one (``matching``).
"""

from quimbi_assets.naming.asking.brief import AxisBrief
from quimbi_assets.naming.asking.directions import wrong_directions
from quimbi_assets.naming.asking.name_form import bad_form, filler, taken
from quimbi_assets.naming.asking.numbers import wrong_numbers
from quimbi_assets.naming.asking.plain_text import unsafe_name, unsafe_text


def check_named(brief: AxisBrief, segment: str, name: str, text: str, others: list[str]) -> list[tuple[str, list[str]]]:
    """Return what every test of the house says of a name and a text: the test, and its reasons if it failed.

    Parameters
    ----------
    brief : AxisBrief
        The axis.
    segment : str
        Segment id.
    name, text : str
        What is tested; a fixed name is not.
    others : list of str
        The axis's other names.
    """
    row, is_fixed = brief.ids.index(segment), segment in brief.fixed
    made = list(brief.rule_made["segment_name"])
    safe = [reason for reason in (unsafe_name(name) if not is_fixed else None, unsafe_text(text)) if reason]
    checks = [("plain_text", safe)]
    if not is_fixed:
        form = bad_form(name)
        checks += [
            ("form", [form] if form else []),
            ("unique", [reason for reason in [taken(name, others)] if reason]),
            ("not_filler", [reason for reason in [filler(name, made)] if reason and not form]),
        ]
    if safe:
        return checks
    directions = wrong_directions(brief, row, text, is_name=False)
    if not is_fixed:
        directions = [*wrong_directions(brief, row, name, is_name=True), *directions]
    return [*checks, ("numbers", wrong_numbers(brief, row, text)), ("directions", directions)]
