"""The filter language: ``lifecycle = 'at risk' and value > 500``, checked and turned into SQL with parameters.

Belongs here: reading a filter, what is wrong with it and where. Does not: what it can speak of (``fields``), running
it.

The text is SQL's expression grammar, read by sqlglot; of what that knows only the nodes named here are let through, and
every value of the text reaches the server as a parameter (docs/filters.md).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import sqlglot
from sqlglot import exp
from sqlglot import parser as sql_parser
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError

from quimbi_assets.audiences.fields import KIND, MOVING, SAID_ELSEWHERE, SCALARS, Field, Kind, Vocabulary
from quimbi_assets.audiences.kinds import SEGMENT_KINDS
from quimbi_assets.errors import FilterError, UnmeasuredError

LONGEST = 10_000
"""Characters of a filter."""
COMPARISONS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
}  # fmt: skip
TURNED = {"=": "=", "<>": "<>", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
MOST_WEEKS = 5_000
MOVES = {"entered": "to_segment", "left": "from_segment"}
MOVE = """move.axis_name = {} AND move.{side} = ANY({})
    AND move.cause IN ('acted', 'silent') AND move.at > profile.as_of - {} * interval '7 days'
    AND move.at <= profile.as_of"""
MOVED = f"""EXISTS (SELECT FROM quimbi.segment_migrations AS move WHERE move.store_id = profile.store_id
    AND move.customer_id = profile.customer_id AND {MOVE})"""
"""A change that is the customer's: what a new model or a mended past changed is none."""
EXAMPLE = "lifecycle = 'at risk' and value > 500"


class _Language(Dialect):
    """SQL in which no function has a meaning of its own."""

    class Parser(sql_parser.Parser):
        FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[Any, Any]] = {}
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[Any, Any]] = {}


LATE = frozenset(("slowing", "at risk", "lapsed", "at_risk", "cannot_lose_them"))
"""Stages of the lifecycle, and RFM groups, of who may leave."""


@dataclass(frozen=True)
class Query:
    """Which customers: a condition over ``profile``, a row of ``quimbi.customer_profiles``, with its parameters.

    Unknown values make no comparison true, nor its opposite: ``risk is null`` asks for them.
    """

    text: str
    condition: str = "TRUE"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    compared: tuple[tuple[Field, Any], ...] = ()
    """The numbers and dates that are compared, and with what."""
    asks_moves: bool = False
    asks_leaving: bool = False
    """Whether it asks for who may leave: late stages of the lifecycle, who entered one, a risk from some figure on."""


EVERYBODY = Query("")
Joined = Literal["and", "or", "not", ""]


@dataclass(frozen=True)
class Part:
    """A condition taken apart: one comparison, or parts that are joined. Its SQL is over ``profile``, as a query's."""

    text: str
    condition: str
    joined: Joined = ""
    parts: tuple["Part", ...] = ()
    """Of what is joined; one of what is negated, none of a comparison."""
    one: Field | None = None
    """What is compared; None of moves and of what is joined."""
    sql: str = ""
    """The SQL of what is compared."""
    sign: Literal["=", "<>", "<", "<=", ">", ">=", "null", "moved", ""] = ""
    """How: ``null`` asks whether it is not known, ``moved`` whether they moved."""
    against: tuple[Any, ...] = ()
    """With what: a number; a day's first instant and that after it; the words or ids that it may, or may not, be."""

    @property
    def leaves(self) -> tuple["Part", ...]:
        """The comparisons, in the order of the text."""
        return (self,) if not self.joined else tuple(leaf for part in self.parts for leaf in part.leaves)


def compile_filter(text: str | None, vocabulary: Vocabulary) -> Query:
    """Read a filter and check every name and value of it against what a store has; no text means everybody.

    FilterError, with the place, if it cannot be read, or speaks of what is not there.
    """
    if text is None or not text.strip():
        return EVERYBODY
    tree, compiler = read_filter(text), _Compiler(text, vocabulary)
    try:
        condition = compiler.condition(tree)
        compared = tuple(compiler.compared)
        return Query(text, condition, compiler.parameters, compared, compiler.asks_moves, compiler.asks_leaving)
    except RecursionError:
        raise _too_deep(text) from None


def take_apart(text: str, vocabulary: Vocabulary) -> tuple[Part, Mapping[str, Any]]:
    """Return a filter's parts, checked as ``compile_filter`` does, and the parameters of their SQL."""
    tree, compiler = read_filter(text), _Compiler(text, vocabulary)
    try:
        return compiler.part(tree), compiler.parameters
    except RecursionError:
        raise _too_deep(text) from None


def read_filter(text: str) -> exp.Expr:
    """Read a filter without knowing the store; FilterError, with the place, if it cannot be read."""
    if len(text) > LONGEST or "\0" in text:
        what = "holds a NUL character" if "\0" in text else f"is longer than {LONGEST:,} characters"
        raise FilterError(f"the filter {what}", text[:60].replace("\0", " "), 0, 60)
    try:
        return _parsed(text)
    except RecursionError:
        raise _too_deep(text) from None


def _too_deep(text: str) -> FilterError:
    return FilterError("the filter is nested too deeply", text[:60], 0, 60)


@dataclass(frozen=True)
class Order:
    """By what customers are sorted, over ``profile``; what is unknown comes last."""

    sql: str
    kind: Kind
    is_ascending: bool
    parameters: Mapping[str, Any]

    @property
    def terms(self) -> str:
        """What follows ``ORDER BY``."""
        return f"{self.sql} {'ASC' if self.is_ascending else 'DESC'} NULLS LAST"


def usual_sort(query: Query) -> str:
    """Return by which field whom a filter chooses are worked off: who may go by what may be lost, others by spend."""
    return "value_at_risk" if query.asks_leaving else "value"


def order_by(name: str, vocabulary: Vocabulary) -> Order:
    """Return how to sort by a field, largest first (words from a on), unless it ends in `` asc`` or `` desc``.

    FilterError if there is no such field.
    """
    words = name.split()
    backwards = len(words) == 2 and words[1].lower() in ("asc", "desc")
    compiler = _Compiler(name, vocabulary)
    plain = words[0] if backwards else name.strip()
    one = compiler.known(plain, (0, len(plain)))
    ascending = words[1].lower() == "asc" if backwards else one.kind in ("text", "group")
    return Order(compiler.sql(one), one.kind, ascending, compiler.parameters)


def _parsed(text: str) -> exp.Expr:
    try:
        trees = sqlglot.parse(text, dialect=_Language)
    except ParseError as error:
        first = error.errors[0]
        lines = text.splitlines()
        start = sum(len(line) + 1 for line in lines[: first["line"] - 1]) + max(first["col"] - 1, 0)
        start = max(start - len(first["highlight"]) + 1, 0)
        is_missing = first["description"].startswith("Required keyword")
        problem = "something is missing beside this" if is_missing else "this cannot be read here"
        for heading, name in SAID_ELSEWHERE.items():
            if " " in heading and (at := text.lower().find(heading)) >= 0:
                raise FilterError(f"the field of {heading!r} is {name}", text, at, at + len(heading)) from None
        raise FilterError(f"{problem}; write for instance {EXAMPLE}", text, start, start + 1) from None
    except SqlglotError:
        at = text.rfind("'")
        raise FilterError("a quote is opened and not closed", text, max(at, 0), len(text)) from None
    if len(trees) != 1 or trees[0] is None:
        at = max(text.find(";"), 0)
        raise FilterError("a filter is one condition, without semicolon", text, at, at + 1)
    tree: exp.Expr = trees[0]
    return tree


class _Compiler:
    """Turns a tree into SQL; collects the parameters."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text, self._vocabulary = text, vocabulary
        self.parameters: dict[str, Any] = {}
        self.compared: list[tuple[Field, Any]] = []
        self.asks_moves = self.asks_leaving = False

    def condition(self, node: exp.Expr) -> str:
        """Return the SQL of a condition."""
        if isinstance(node, exp.And | exp.Or):
            word = "AND" if isinstance(node, exp.And) else "OR"
            # A long chain leans to the left: it is taken apart in a loop. What is in brackets stays a part of it.
            parts = [self.condition(part) for part in node.flatten(unnest=False)]
            # The server asks them in order: moves, which are looked up for each customer, of whom the rest leaves open.
            return f"({f' {word} '.join(sorted(parts, key=lambda sql: 'EXISTS (' in sql))})"
        if isinstance(node, exp.Not):
            before, negated = self.asks_leaving, f"(NOT {self.condition(node.this)})"
            self.asks_leaving = before  # who is not late is not leaving
            return negated
        if isinstance(node, exp.Paren):
            return self.condition(node.this)
        if type(node) in COMPARISONS:
            return self._comparison(node)
        if isinstance(node, exp.In):
            return self._in(node)
        if isinstance(node, exp.Between):
            one = self._field(node.this)
            low, high = self._compared(one, ">=", node.args["low"]), self._compared(one, "<=", node.args["high"])
            return f"({low} AND {high})"
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return f"({self.sql(self._field(node.this))} IS NULL)"
        if isinstance(node, exp.Anonymous):
            return self._move(node)
        if isinstance(node, exp.Column):
            one = self._field(node)
            if one.kind == "flag":
                return f"({self.sql(one)})"
            raise self._refused(node, f"say what {one.name} should be, for instance {self._example(one)}")
        if isinstance(node, exp.Alias):
            raise self._refused(
                node.args["alias"], "this word is left over: put names of several words in single quotes"
            )
        raise self._refused(node, "this is no condition: compare a field with =, <>, <, >, in, between, is null")

    def part(self, node: exp.Expr) -> Part:
        """Return a condition taken apart."""
        if isinstance(node, exp.Paren):
            return self.part(node.this)
        text, condition = node.sql(dialect=_Language), self.condition(node)
        if isinstance(node, exp.And | exp.Or):
            parts = tuple(self.part(one) for one in node.flatten(unnest=False))
            return Part(text, condition, "and" if isinstance(node, exp.And) else "or", parts)
        if isinstance(node, exp.Not):
            return Part(text, condition, "not", (self.part(node.this),))
        if isinstance(node, exp.Between):
            limits = (
                exp.GTE(this=node.this, expression=node.args["low"]),
                exp.LTE(this=node.this, expression=node.args["high"]),
            )
            return Part(text, condition, "and", tuple(self.part(one) for one in limits))
        if isinstance(node, exp.Anonymous):
            return Part(text, condition, sign="moved")
        if isinstance(node, exp.In):
            return self._listed(node, text, condition)
        return self._leaf(node, text, condition)

    def _listed(self, node: exp.In, text: str, condition: str) -> Part:
        one = self._field(node.this)
        if one.kind in ("number", "date"):
            alternatives = tuple(self.part(exp.EQ(this=node.this, expression=value)) for value in node.expressions)
            return Part(text, condition, "or", alternatives)
        words = [word for value in node.expressions for word in self._against(one, value)]
        return Part(text, condition, one=one, sql=self.sql(one), sign="=", against=tuple(words))

    def _leaf(self, node: exp.Expr, text: str, condition: str) -> Part:
        if isinstance(node, exp.Column):
            one = self._field(node)
            return Part(text, condition, one=one, sql=self.sql(one), sign="=", against=(True,))
        left, right = node.this, node.expression
        if isinstance(node, exp.Is):
            one = self._field(left)
            return Part(text, condition, one=one, sql=self.sql(one), sign="null")
        sign: Any = COMPARISONS[type(node)]
        if isinstance(left, exp.Literal):
            left, right, sign = right, left, TURNED[sign]
        one = self._field(left)
        return Part(text, condition, one=one, sql=self.sql(one), sign=sign, against=self._against(one, right))

    def _against(self, one: Field, node: exp.Expr) -> tuple[Any, ...]:
        if one.kind == "date":
            return self._instants(node)
        if one.kind == "group":
            return tuple(self._ids(one.name, node))
        if one.kind == "flag":
            return (bool(node.this),)
        return (self._number(node) if one.kind == "number" else self._word(one, node),)

    def known(self, name: str, span: tuple[int, int]) -> Field:
        """Return the field of a name; FilterError with the nearest names if there is none."""
        one = self._vocabulary.field(name) or self._vocabulary.field(name.lower())
        if one is None:
            axis = name.partition(".")[0]
            if (reason := self._vocabulary.inactive.get(axis)) is not None:
                raise UnmeasuredError(f"{axis} is inactive in this store: {reason}", self._text, *span)
            if axis not in self._vocabulary.groups and axis in {kind.axis for kind in SEGMENT_KINDS}:
                raise UnmeasuredError(f"{axis} was never run in this store: it has no segments", self._text, *span)
            of_axis = "." in name and axis in self._vocabulary.axes
            meant = SAID_ELSEWHERE.get(name.lower())
            near = f" (nearest: {meant})" if meant else _nearest(name, self._vocabulary.names(axis if of_axis else ""))
            raise self._error(f"there is no field {name!r}{near}; docs/filters.md has them all", span)
        return one

    def sql(self, one: Field) -> str:
        """Return the SQL of a field, its parameters taken in."""
        return one.sql.format(*(self._parameter(value) for value in one.parameters)) if one.parameters else one.sql

    def _comparison(self, node: exp.Expr) -> str:
        left, right, sign = node.this, node.expression, COMPARISONS[type(node)]
        if isinstance(right, exp.Null):
            raise self._refused(node, "nothing equals null: write is null, or is not null")
        if isinstance(left, exp.Literal) and isinstance(right, exp.Column):
            left, right, sign = right, left, TURNED[sign]
        one = self._field(left)
        if one.kind in ("text", "group", "flag") and sign not in ("=", "<>"):
            raise self._refused(node, f"{one.name} is a name: it can be compared with =, <> and in only")
        return f"({self._compared(one, sign, right)})"

    def _compared(self, one: Field, sign: str, node: exp.Expr) -> str:
        if one.kind == "date":
            return self._compared_date(one, sign, node)
        if one.kind == "group":
            ids = self._ids(one.name, node)
            self.asks_leaving |= sign == "=" and not LATE.isdisjoint(ids)
            groups = self._parameter(ids)
            return f"{self.sql(one)} {'=' if sign == '=' else '<>'} {'ANY' if sign == '=' else 'ALL'}({groups})"
        if one.kind == "flag":
            if not isinstance(node, exp.Boolean):
                raise self._refused(node, f"{one.name} is true or false")
            return f"{self.sql(one)} {sign} {self._parameter(bool(node.this))}"
        value = self._number(node) if one.kind == "number" else self._word(one, node)
        if one.kind == "number":
            self.compared.append((one, value))
        self.asks_leaving |= (one.name == "risk" and sign in ("=", ">", ">=")) or (sign == "=" and value in LATE)
        return f"{self.sql(one)} {sign} {self._parameter(value)}"

    def _compared_date(self, one: Field, sign: str, node: exp.Expr) -> str:
        """Compare with an instant, or with a whole day by the store's clock."""
        start, end = self._instants(node)
        self.compared.append((one, start))
        sql = self.sql(one)
        if sign in ("=", "<>"):
            inside = f"({sql} >= {self._parameter(start)} AND {sql} < {self._parameter(end)})"
            return inside if sign == "=" else f"(NOT {inside})"
        if sign in ("<=", ">"):
            return f"{sql} {'<' if sign == '<=' else '>='} {self._parameter(end)}"
        return f"{sql} {sign} {self._parameter(start)}"

    def _in(self, node: exp.In) -> str:
        values = node.expressions
        if not values or set(node.args) - {"this", "expressions"} - {n for n, v in node.args.items() if not v}:
            raise self._refused(node, "after in comes a list: ('one', 'two')")
        one = self._field(node.this)
        if one.kind == "group":
            ids = [segment for value in values for segment in self._ids(one.name, value)]
            self.asks_leaving |= not LATE.isdisjoint(ids)
            return f"({self.sql(one)} = ANY({self._parameter(ids)}))"
        return f"({' OR '.join(self._compared(one, '=', value) for value in values)})"

    def _move(self, node: exp.Anonymous) -> str:
        name, parts = str(node.this).lower(), node.expressions
        if name not in MOVES:
            raise self._refused(
                node, f"there is no {name}(...){_nearest(name, list(MOVES))}; there are entered and left"
            )
        usage = f"write {name}(lifecycle, 'at risk', 4): the axis, the segment, within how many weeks"
        if len(parts) != 3 or not isinstance(parts[0], exp.Column):
            raise self._refused(node, usage)
        group = self._field(parts[0]).name
        axis = group.removesuffix(f".{KIND}")
        if axis not in (*MOVING, *self._vocabulary.axes):
            raise self._refused(parts[0], f"no moves of {axis} are recorded; {usage}")
        listed = parts[1].expressions if isinstance(parts[1], exp.Tuple) else [parts[1]]
        listed = [one.this if isinstance(one, exp.Paren) else one for one in listed]
        ids = [segment for value in listed for segment in self._ids(group, value)]
        weeks = self._number(parts[2])
        if not 0 < weeks <= MOST_WEEKS:
            raise self._refused(parts[2], f"weeks are counted from 1 to {MOST_WEEKS:,}")
        self.asks_moves = True
        self.asks_leaving |= name == "entered" and not LATE.isdisjoint(ids)
        values = (self._parameter(value) for value in (axis, ids, weeks))
        return MOVED.format(*values, side=MOVES[name])

    def _field(self, node: exp.Expr) -> Field:
        if isinstance(node, exp.Paren):
            return self._field(node.this)
        if not isinstance(node, exp.Column):
            raise self._refused(node, "a field is wanted here, such as value or lifecycle")
        return self.known(".".join(part.name for part in node.parts), self._span(node))

    def _ids(self, group: str, node: exp.Expr) -> list[str]:
        """Return the ids of the groups called so: several archetypes can have one name."""
        text, groups = self._text_of(node), self._vocabulary.groups.get(group)
        one, axis = SCALARS.get(group), group.removesuffix(f".{KIND}")
        if axis != group:
            kinds = self._vocabulary.kinds(axis)
            if text not in kinds:
                raise self._refused(
                    node, f"there is no kind {text!r} of {axis}; there are: {', '.join(kinds) or 'none'}"
                )
            return list(kinds[text])
        if groups is None and one is not None:
            return [self._word(one, node)]
        ids = [key for key, name in (groups or {}).items() if text in (key, name)]
        ids = ids or [key for key, name in (groups or {}).items() if _plain(text) == _plain(name)]
        if not ids:
            what = "archetype" if group == "archetype" else f"segment of {group}"
            names = [name for pair in (groups or {}).items() for name in pair]
            raise self._refused(node, f"there is no {what} {text!r}{_nearest(text, names)}")
        return ids

    def _word(self, one: Field, node: exp.Expr) -> str:
        text = self._text_of(node)
        if one.words and text not in one.words:
            if (meant := [word for word in one.words if _plain(word) == _plain(text)]) != []:
                return meant[0]
            raise self._refused(node, f"{one.name} is never {text!r}: it is one of {', '.join(one.words)}")
        return text

    def _text_of(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Literal) and node.is_string:
            return str(node.this)
        hint = f": '{node.name}'" if isinstance(node, exp.Column | exp.Literal) else ""
        raise self._refused(node, f"a name is wanted here, in single quotes{hint}")

    def _number(self, node: exp.Expr) -> float:
        negative = isinstance(node, exp.Neg)
        literal = node.this if negative else node
        if isinstance(literal, exp.Literal) and not literal.is_string:
            try:
                value = float(literal.this)
            except ValueError:
                value = math.inf
            if math.isfinite(value):
                return -value if negative else value
        raise self._refused(node, "a number is wanted here, such as 500 or 0.8, without quotes")

    def _instants(self, node: exp.Expr) -> tuple[datetime, datetime]:
        """Return from when to when a date or instant lasts: a day by the store's clock, or a microsecond."""
        text = self._text_of(node)
        try:
            at = datetime.fromisoformat(text)
            clock = ZoneInfo(self._vocabulary.time_zone)
            start = at if at.tzinfo else at.replace(tzinfo=clock)
            lasts = timedelta(days=1) if len(text) <= 10 else timedelta(microseconds=1)
            # The next midnight is by the clock, however long the day is.
            end = (at + lasts).replace(tzinfo=start.tzinfo) if len(text) <= 10 else start.astimezone(UTC) + lasts
            return start.astimezone(UTC), end.astimezone(UTC)
        except (ValueError, OverflowError):
            problem = f"{text!r} is not a date; write it as '2026-01-31' or '2026-01-31T12:00'"
            raise self._refused(node, problem) from None

    def _example(self, one: Field) -> str:
        return {"number": f"{one.name} > 1", "date": f"{one.name} < '2026-01-31'"}.get(one.kind, f"{one.name} = 'name'")

    def _parameter(self, value: Any) -> str:
        name = f"where_{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"

    def _span(self, node: exp.Expr) -> tuple[int, int]:
        """Return where a node stands in the text; the whole text where it does not say."""
        places = [part.meta for part in node.walk() if "start" in part.meta]
        if not places:
            return 0, len(self._text)
        return min(place["start"] for place in places), max(place["end"] for place in places) + 1

    def _refused(self, node: exp.Expr, message: str) -> FilterError:
        return self._error(message, self._span(node))

    def _error(self, message: str, span: tuple[int, int]) -> FilterError:
        return FilterError(message, self._text, *span)


def _plain(name: str) -> str:
    """Return a name as people may write it: capitals, and spaces for ``_``, make no difference."""
    return name.lower().replace("_", " ").strip()


def _nearest(name: str, names: list[str]) -> str:
    near = get_close_matches(name.lower(), names, n=3)
    return f" (nearest: {', '.join(dict.fromkeys(near))})" if near else ""
