"""Audiences: filters with a name. Those that every store has, and those of the project's own file.

Belongs here: the built-in audiences, reading the file, what is wrong with it and where. Does not: who is in
them (``resources.postgres.tables.audiences``), sending (``resources``).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from os import PathLike
from typing import Any

from quimbi_assets.audiences.filters import read_filter
from quimbi_assets.errors import BadInputError, FilterError
from quimbi_assets.lift.assignment import LONGEST_DAYS, MOST_CONTROL, MOST_WEEKS, OUTCOMES, Outcome, Trial

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
FILE_NAME = "audiences.yaml"
FORMATS = ("klaviyo", "csv", "parquet", "meta", "google", "audience")
ACTING = ("klaviyo", "meta", "google", "audience")
"""Forms that something is done with, so that control groups are left out; the others are for reading."""
LEAST_IN_DOUBT = 0.4
"""Risk from which it is in doubt whether somebody comes again."""
TRIAL = ("control", "outcome", "window_days", "weeks")


@dataclass(frozen=True)
class Audience:
    """Customers whom a filter chooses, under a name that lasts."""

    name: str
    where: str
    about: str = ""
    sort: str = "value"
    """The field by which the most worthwhile come first."""
    stores: tuple[str, ...] = ()
    """Whose customers; empty: every store's."""
    webhook: str | None = None
    """Address that hears who enters and leaves."""
    trial: Trial | None = None
    """How it is found out whether acting on it helps; None: it is not."""
    is_assigned_at_once: bool = False
    """Whether the file says so: who enters is assigned then, for those who act on the view."""

    def is_of(self, store_id: str) -> bool:
        """Whether a store has this audience."""
        return not self.stores or store_id in self.stores


@dataclass(frozen=True)
class ExportTarget:
    """A list that is written or sent whenever a store was run."""

    name: str
    form: str
    where: str | None = None
    audience: str | None = None
    rule: str | None = None
    """Whom: those on whom a rule acts."""
    axes: tuple[str, ...] | None = None
    """Of whose segments a service is told; None: of all that are active and not weak."""
    out: str | PathLike[str] | None = None
    """The file, of formats that are files; ``{store}`` stands for the store."""
    contacts: str | PathLike[str] | None = None
    """A file with the customers' addresses."""
    send: bool = False
    """Whether it is sent, not only shown."""
    value: bool = False
    """google: whether its column of value is written, too."""
    stores: tuple[str, ...] = ()
    trial: Trial | None = None
    """How it is found out whether it helps; None: as the audience says, of a filter not at all."""
    outcome: Outcome | None = None
    """What was asked to be compared; None: nothing was said."""
    entered_at: datetime | None = None
    """Since when it counts as done; None: from when it is."""

    def is_of(self, store_id: str) -> bool:
        """Whether a store's list goes there."""
        return not self.stores or store_id in self.stores


@dataclass(frozen=True)
class Definitions:
    """All audiences and export targets of a project, by name."""

    audiences: Mapping[str, Audience]
    exports: Mapping[str, ExportTarget] = field(default_factory=dict)

    def audience(self, name: str, store_id: str) -> Audience:
        """Return an audience of a store; BadInputError, with those there are, if it has none of that name."""
        known = {one.name: one for one in self.audiences.values() if one.is_of(store_id)}
        if name not in known:
            raise BadInputError(f"store {store_id} has no audience {name!r}; there are: {', '.join(known)}")
        return known[name]


BUILT_IN = {
    one.name: one
    for one in (
        Audience(
            "worth_saving",
            f"(risk between {LEAST_IN_DOUBT} and 0.8 and lifecycle in ('slowing', 'at risk', 'lapsed') "
            "or risk is null and lifecycle in ('slowing', 'at risk')) and value_tier in ('top', 'high', 'medium')",
            "The upper half by spend, out of rhythm and in doubt: a message may decide it. Most to lose first.",
            "value_at_risk",
            trial=Trial(),
        ),
        Audience(
            "new_and_promising",
            "lifecycle = 'new' and (value_tier in ('top', 'high') or orders >= 2)",
            "First ordered within 90 days, and already spent much or came again: make them feel it was noticed.",
            trial=Trial(),
        ),
        Audience(
            "cooling",
            "lifecycle = 'slowing' and value_tier in ('top', 'high')",
            "Good customers who are later than usual: remind them before the habit is gone.",
            trial=Trial(),
        ),
    )
}
"""The standing lists."""


YAML_PROBLEMS = {
    "mapping values are not allowed in this context": "a colon where none can be: mend the indentation, or put the "
    'text in quotes: "..."',
    "found character that cannot start any token": "this cannot begin a value: indent with blanks, not tabs, and put "
    'it in quotes: "..."',
}
"""What YAML's reader says, as whoever wrote the file can mend it."""
MOST_NESTED = 20
"""Lists and mappings within one another: what can be said needs five."""


def compose(text: str, where: str) -> Any:
    """Return the root node of YAML, None of an empty file; BadInputError with line and column if it is none."""
    import yaml

    loader, depth = yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader, 0
    try:
        for event in yaml.parse(text, loader):  # no call within a call, as composing is: that ends the process
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_NESTED:
                mark = event.start_mark
                place = f"{where}, line {mark.line + 1}, column {mark.column + 1}"
                raise BadInputError(f"{place}: lists within lists, deeper than {MOST_NESTED}; nothing here is")
        return yaml.compose(text, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "line 1" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
        problem = getattr(error, "problem", None) or "this cannot be read"
        words = YAML_PROBLEMS.get(problem, f"{problem}: it is no YAML from here on; is a bracket or quote not closed?")
        raise BadInputError(f"{where}, {place}: {words}") from None


def read_definitions(text: str, where: str) -> Definitions:
    """Read the file ``where`` holds; built-in audiences are there too, unless it says otherwise under their names.

    BadInputError with line and column if it is no YAML, or says what cannot be.
    """
    root, reader = compose(text, where), _Reader(where, 'audiences: {big: {where: "value > 500"}}')
    parts = {} if root is None else reader.mapping(root, "the file", {"audiences", "exports"})
    audiences = {name: reader.audience(name, node) for name, node in reader.named(parts.get("audiences"), "audiences")}
    known = {**BUILT_IN, **audiences}
    exports = {name: reader.export(name, node, known) for name, node in reader.named(parts.get("exports"), "exports")}
    return Definitions(known, exports)


class NodeReader:
    """Turns YAML's nodes, which know their places, into plain values; what cannot be is said with line and column."""

    def __init__(self, where: str, example: str) -> None:
        self._where, self._example = where, example

    def mapping(self, node: Any, what: str, allowed: set[str] | None = None) -> dict[str, Any]:
        """Return the nodes of a mapping by key; ``allowed``: the keys there may be."""
        if node.id != "mapping":
            raise self.wrong(node, f"{what} must be names with values below, as in {self._example}")
        parts: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise self.wrong(key, f"a name is wanted here, as in {self._example}")
            if key.value in parts:
                raise self.wrong(key, f"{key.value} stands twice in {what}")
            if allowed is not None and key.value not in allowed:
                near = "".join(f" (nearest: {one})" for one in get_close_matches(key.value, allowed, 1))
                listed = ", ".join(sorted(allowed))
                raise self.wrong(key, f"{what} cannot have {key.value!r}{near}; there are: {listed}")
            parts[key.value] = value
        return parts

    def named(self, node: Any, what: str) -> list[tuple[str, Any]]:
        """Return names and their nodes."""
        if node is None or (node.id == "scalar" and not node.value):
            return []
        parts = self.mapping(node, what)
        for key, _ in node.value:
            if not NAME.fullmatch(str(key.value)):
                raise self.wrong(key, f"{key.value!r} cannot be a name: small letters, digits and _, a letter first")
        return list(parts.items())

    def filter(self, parts: Mapping[str, Any], key: str) -> str:
        """Return a filter that can be read."""
        text, node = self.text(parts, key), parts[key]
        if not text:
            raise self.wrong(node, f"{key} is empty: say whom, such as {key}: value > 500")
        try:
            read_filter(text)
        except FilterError as error:
            raise self.wrong(node, str(error), error.start) from None
        return text

    def text(self, parts: Mapping[str, Any], key: str) -> str:
        """Return a text; empty where there is none."""
        node = parts.get(key)
        if node is not None and node.id != "scalar":
            raise self.wrong(node, f"{key} is one text")
        return "" if node is None else str(node.value).strip()

    def flag(self, parts: Mapping[str, Any], key: str) -> bool:
        """Return true or false; false where nothing is said."""
        text = self.text(parts, key).lower() or "false"
        if text not in ("true", "false"):
            raise self.wrong(parts[key], f"{key} is true or false")
        return text == "true"

    def number(self, parts: Mapping[str, Any], key: str, usual: float, low: float, high: float) -> float:
        """Return a number within limits; the usual one where nothing is said."""
        text = self.text(parts, key) or str(usual)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise self.wrong(parts[key], f"{key} is a number from {low:g} to {high:g}")
        return value

    def whole(self, parts: Mapping[str, Any], key: str, usual: int, high: int) -> int:
        """Return a whole number from 1 to ``high``; the usual one where nothing is said."""
        value = self.number(parts, key, usual, 1, high)
        if not value.is_integer():
            raise self.wrong(parts[key], f"{key} is a whole number from 1 to {high}")
        return int(value)

    def texts(self, parts: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """Return a list of texts; empty where there is none."""
        node = parts.get(key)
        if node is None:
            return ()
        if node.id != "sequence" or any(one.id != "scalar" for one in node.value):
            raise self.wrong(node, f"{key} is a list, such as [one, two]")
        return tuple(str(one.value) for one in node.value)

    def stores(self, parts: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the stores that are named; empty where the file names none, which means every store."""
        stores = self.texts(parts, "stores")
        if "stores" in parts and not stores:
            raise self.wrong(parts["stores"], "stores names none: leave it out for every store, or name some")
        return stores

    def wrong(self, node: Any, message: str, offset: int = 0) -> BadInputError:
        """Return the error that a node is; ``offset``: at which character of its text, told where it is in one line."""
        mark, style = node.start_mark, getattr(node, "style", None)
        is_line = node.id == "scalar" and mark.line == node.end_mark.line
        column = mark.column + 1 + (offset + bool(style) if offset and is_line else 0)
        return BadInputError(f"{self._where}, line {mark.line + 1}, column {column}: {message}")

    def trial(self, parts: Mapping[str, Any], basis: Trial | None = None) -> Trial:
        """Return how something is tried: as ``basis``, if not as usual, where the file does not say."""
        basis, outcome = basis or Trial(), self.text(parts, "outcome") or "ordered"
        if outcome not in OUTCOMES:
            raise self.wrong(parts["outcome"], f"there is no outcome {outcome!r}; there are: {', '.join(OUTCOMES)}")
        control = self.number(parts, "control", basis.control, 0, MOST_CONTROL)
        days = self.whole(parts, "window_days", basis.window_days, LONGEST_DAYS)
        return Trial(control, outcome, days, self.whole(parts, "weeks", basis.weeks, MOST_WEEKS))


class _Reader(NodeReader):
    """Turns nodes into audiences and targets."""

    def audience(self, name: str, node: Any) -> Audience:
        """Return an audience."""
        allowed = {"where", "about", "sort", "stores", "webhook", *TRIAL}
        parts = self.mapping(node, f"audience {name}", allowed)
        if "where" not in parts:
            raise self.wrong(node, f"audience {name} has no where: say who is in it, as in {self._example}")
        webhook = self.text(parts, "webhook") or None
        if webhook and not webhook.startswith(("https://", "http://")):
            raise self.wrong(parts["webhook"], "a webhook begins with https://")
        where, about = self.filter(parts, "where"), self.text(parts, "about")
        sort, stores = self.text(parts, "sort") or "value", self.stores(parts)
        return Audience(name, where, about, sort, stores, webhook, self.trial(parts), "control" in parts)

    def export(self, name: str, node: Any, audiences: Mapping[str, Audience]) -> ExportTarget:
        """Return a target of exports."""
        allowed = {"format", "where", "audience", "rule", "axes", "out", "contacts", "send", "value", "stores", *TRIAL}
        parts = self.mapping(node, f"export {name}", allowed)
        form = self.text(parts, "format") or name
        if form not in FORMATS:
            raise self.wrong(parts.get("format", node), f"there is no format {form!r}; there are: {', '.join(FORMATS)}")
        audience = self.text(parts, "audience") or None
        if audience and audience not in audiences:
            raise self.wrong(parts["audience"], f"there is no audience {audience!r}: {', '.join(audiences)}")
        if len(whose := [key for key in ("where", "audience", "rule") if key in parts]) > 1:
            raise self.wrong(parts[whose[0]], f"export {name} has {' and '.join(whose)}: one of them says who")
        if "rule" in parts and (tried := next((key for key in TRIAL if key in parts), None)):
            raise self.wrong(parts[tried], f"{tried} belongs to the rule, in actions.yaml: its control group is one")
        if audience and (tried := next((key for key in TRIAL if key in parts), None)):
            raise self.wrong(parts[tried], f"{tried} belongs to audience {audience}: its control group is one")
        is_tried = any(key in parts for key in TRIAL) or ("where" in parts and form in ACTING)
        trial = self.trial(parts) if is_tried else None
        out = self.text(parts, "out") or None
        if form == "klaviyo" and out:
            raise self.wrong(parts["out"], "klaviyo takes no out: it is sent (send: true), or shown")
        if form != "klaviyo" and not out:
            raise self.wrong(node, f"export {name} has no out: the file to write, such as lists/{{store}}.csv")
        flags = {key: self.flag(parts, key) for key in ("send", "value")}
        where = self.filter(parts, "where") if "where" in parts else None
        stores, contacts = self.stores(parts), self.text(parts, "contacts")
        axes = self.texts(parts, "axes") if "axes" in parts else None
        if out and "{store}" not in out and len(stores) != 1:
            raise self.wrong(parts["out"], "out must hold {store}, else one store's file replaces another's")
        return ExportTarget(
            name, form, where, audience, self.text(parts, "rule") or None, axes, out, contacts or None, flags["send"],
            flags["value"], stores, trial,
        )  # fmt: skip
