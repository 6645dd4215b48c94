"""The file of audiences: what it says, and in which line it is wrong."""

import pytest

from quimbi_assets.audiences.definitions import BUILT_IN, read_definitions
from quimbi_assets.errors import BadInputError
from quimbi_assets.lift.assignment import Trial

FILE = """
audiences:
  win_back:
    where: "risk > 0.8 and value > 500"
    about: Write once, then stop
    stores: [mine, other]
    webhook: https://example.com/hook
  worth_saving:
    where: risk between 0.5 and 0.6
exports:
  klaviyo: {audience: win_back, axes: [purchase_value], send: true}
  big_list: {format: csv, where: value > 100, out: "lists/{store}.csv", stores: [mine]}
"""


def test_what_a_file_says():
    defined = read_definitions(FILE, "audiences.yaml")
    one = defined.audience("win_back", "mine")
    assert (one.where, one.stores) == ("risk > 0.8 and value > 500", ("mine", "other"))
    assert (one.about, one.webhook) == ("Write once, then stop", "https://example.com/hook")
    assert defined.audience("worth_saving", "mine").where == "risk between 0.5 and 0.6"
    klaviyo, big_list = defined.exports.values()
    assert (klaviyo.form, klaviyo.audience, klaviyo.axes, klaviyo.send) == (
        "klaviyo", "win_back", ("purchase_value",), True
    )  # fmt: skip
    assert (big_list.form, big_list.out, big_list.send, big_list.is_of("x")) == (
        "csv",
        "lists/{store}.csv",
        False,
        False,
    )
    with pytest.raises(BadInputError, match="there are: worth_saving, new_and_promising, cooling"):
        defined.audience("win_back", "third")


def test_how_it_is_tried():
    defined = read_definitions(
        "audiences:\n  a: {where: value > 1}\n  b: {where: value > 1, control: 0.2, outcome: spend, window_days: 60}\n"
        "  c: {where: value > 1, control: 0}\n"
        "exports:\n  all: {format: meta, out: '{store}.csv'}\n"
        "  some: {format: meta, where: value > 1, out: '{store}.csv'}\n"
        "  read: {format: csv, where: value > 1, out: '{store}.csv'}\n"
        "  tried: {format: csv, where: value > 1, out: '{store}.csv', control: 0.1, weeks: 8}\n",
        "f",
    )
    one, other, nobody = (defined.audiences[name] for name in "abc")
    assert (one.trial, one.is_assigned_at_once) == (Trial(), False)
    assert (other.trial, other.is_assigned_at_once) == (Trial(0.2, "spend", 60), True)
    assert nobody.trial == Trial(0.0)
    assert [target.trial for target in defined.exports.values()] == [None, Trial(), None, Trial(0.1, weeks=8)]


@pytest.mark.parametrize("text", ["", "audiences:\n", "# nothing\n"])
def test_a_file_may_be_empty(text):
    assert read_definitions(text, "f").audiences == BUILT_IN


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("audiences: [", 2, "expected"),
        ("audience:\n  a: {where: value > 1}", 1, "cannot have 'audience' (nearest: audiences); there are"),
        ("audiences:\n  a: {where: value > 1}\n  a: {where: value > 2}", 3, "a stands twice"),
        ("audiences:\n  Big One: {where: value > 1}", 2, "cannot be a name"),
        ("audiences:\n  a:\n    about: x", 3, "has no where"),
        ("audiences:\n  a:\n    where: value >", 3, "something is missing"),
        ("audiences:\n  a:\n    where: value > 1\n    when: now", 4, "cannot have 'when'"),
        ("audiences:\n  a: {where: value > 1, stores: mine}", 2, "stores is a list"),
        ("audiences:\n  a: {where: value > 1, webhook: ftp://x}", 2, "https://"),
        ("audiences:\n  a:\n    where: value > 1\n    control: 0.9", 4, "control is a number from 0 to 0.5"),
        ("audiences:\n  a:\n    where: value > 1\n    control: some", 4, "control is a number from 0 to 0.5"),
        ("audiences:\n  a:\n    where: value > 1\n    outcome: clicks", 4, "there are: ordered"),
        ("exports:\n  klaviyo: {audience: cooling, control: 0.1}", 2, "control belongs to audience cooling"),
        ("exports:\n  klaviyo: {audience: nobody}", 2, "no audience 'nobody'"),
        ("exports:\n  x: {format: fax}", 2, "no format 'fax'"),
        ("exports:\n  csv: {where: value > 1}", 2, "has no out"),
        ("exports:\n  csv: {out: x.csv, stores: [a, b]}", 2, "must hold {store}"),
        ("exports:\n  klaviyo: {audience: worth_saving, where: value > 1}", 2, "one of them"),
        ("exports:\n  klaviyo: {send: maybe}", 2, "true or false"),
        ("- a", 1, "names with values below"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text, line, message):
    with pytest.raises(BadInputError) as error:
        read_definitions(text, "audiences.yaml")
    assert str(error.value).startswith(f"audiences.yaml, line {line}, column ")
    assert message in str(error.value)
