"""What an axis declares: its features, in words, units and ranges, and the expression that measures them.

Belongs here: the declarations and what follows from them alone: the schema of a feature table, its checks, whether a
store's columns are enough. Does not: any formula (``_measures``), any axis.

The declaration of an axis is a table, laid out by hand: what a feature is and means, the words for it, how it is cut.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandera.pandas as pandera

    from quimbi_assets.axes._tables import Tables

Transform = Literal["identity", "log1p", "signed_log1p", "logit_shrunk"]
Kind = Literal["number", "text", "flag", "date"]
Figure = Literal["value", "number", "in_ten", "growth", "change", "pace", "choice", "times"]
_ARROW_TYPES = {"number": pa.float64(), "text": pa.string(), "flag": pa.bool_(), "date": pa.string()}
_IN_WORDS = {
    "orders.time_of_day": "time of day of orders",
    "orders.refund": "refunds",
    "tickets.ticket_id": "support tickets",
    "tickets.topic": "tags or subjects of tickets",
}
"""Columns that an inactive axis does not name as they are."""


@dataclass(frozen=True)
class Word:
    """An adjective in a segment's name, and of which figures it is true.

    Figures are those of a typical member: the median of a feature that is scaled by its logarithm, the mean of others,
    whose median has to be in the range, too: what is true of the mean need not be true of most.
    """

    text: str
    """Snake_case, before the axis's noun for people: ``"weekly"``, ``"big_order"``."""
    side: Literal[-1, 0, 1] = 0
    """1 (-1): said of customers above (below) the others only; 0: of whoever has that figure."""
    low: float = -math.inf
    high: float = math.inf
    """Inclusive range of the figure, in the feature's unit, in which the word is true whatever others do."""
    times: float = 1.0
    """How many times as large (as small, on side -1) as the typical customer's the figure has to be."""
    of_few: bool = False
    """Whether it says that most are not so ("heavy", "premium"): then it is true of a minority only."""
    of_most: bool = False
    """Whether eight in ten members have to be in the range, not only the typical one: who is called silent is late."""
    of_half: bool = False
    """Whether more than half of them have to be: a narrow range may hold a typical member and few others."""
    untypical: bool = False
    """Whether it is not said where it is true of the typical customer, too: in a young store everybody is young."""
    where: tuple[tuple[str, float, float], ...] = ()
    """Ranges that other features of the axis have to be in, where they are recorded: name, low, high."""
    never_beside: str = ""
    """Words of other features that would contradict it in one name, between blanks."""
    tells: str = ""
    """What a sentence says of them instead of the feature's figure, where that alone would say little."""
    noun: str = ""
    """The same of people, where the language has it, for names that have no room: ``"bargain_hunters"``."""
    like: str = ""
    """Further words of the same truth, by which names that are not the rules' are judged: phrases joined by ``_``,
    between blanks."""

    @property
    def is_comparison(self) -> bool:
        """Whether nothing makes it true but that others are otherwise: ``"bigger"``."""
        return (
            bool(self.side) and not self.of_few and self.times == 1 and (self.low, self.high) == (-math.inf, math.inf)
        )

    @property
    def phrases(self) -> list[str]:
        """The word and those of the same truth."""
        return [self.text, *self.like.split()]


@dataclass(frozen=True)
class Feature:
    """One measured quantity of an axis."""

    name: str
    """Column name; carries its unit (``_days``, ``_per_month``, ``_ratio``, ``n_``)."""
    unit: str
    """Unit as a shopkeeper reads it: ``"days"``, ``"orders a month"``, ``"share"``, ``"money"``, ``"count"``,
    ``"index"`` (unitless)."""
    meaning: str
    """One sentence in a shopkeeper's words."""
    low: float | None = None
    high: float | None = None
    """Inclusive range of every defined value; None is unbounded."""
    clusters: bool = True
    """Whether the feature shapes the segments; False: stored for people to read."""
    transform: Transform = "identity"
    """Applied before winsorising and scaling: ``identity``, ``log1p``, ``signed_log1p`` (``sign(x) log1p(|x|)``) or
    ``logit_shrunk`` (``log((x + 0.05) / (1 - x + 0.05))``)."""
    words: tuple[Word, ...] = ()
    """What a segment's name may say of it; of several that are true the first. None: nothing that belongs to the axis's
    question."""
    tells: str = ""
    """What a sentence says of a segment, after "They", with ``{}`` for the figure; of a change two variants, less and
    more, on both sides of ``|``. Empty: no sentence tells it."""
    figure: Figure = "value"
    """How the figure is written: ``value`` with its unit, ``number`` without, ``in_ten`` ten times it; per cent of
    ``growth`` for a step of a logarithm, of ``change`` for a ratio, of ``pace`` for (now - then) / (now + then);
    ``choice``: how many things would meet again as seldom; ``times``, if it is one or more."""
    told_by: str = ""
    """The feature that tells it in a sentence, where that is known."""
    synonyms: tuple[str, str] = ("", "")
    """Further words for a low and for a high value, by which names that are not the rules' are held to the direction of
    the numbers: phrases joined by ``_``, between blanks."""
    about: str = ""
    """What it tells, where several features tell it from several sides, also on several axes: a name, also one of an
    archetype, says one of them. Empty: nothing else tells it."""
    neutral: float | None = None
    """Value on whose two sides the words for low and high are true: a trend of +0.01 is not "shrinking", however fast
    others grow. None: low and high are relative to the other customers."""
    needs: tuple[str, ...] = ()
    """Columns without which the feature is not recorded, as ``"orders.discount_amount"``; ``"orders.time_of_day"``
    stands for order dates that carry a clock time, ``"orders.refund"`` for refunds recorded on orders or on their
    lines."""
    of_several: bool = False
    """Whether it takes two orders to say anything: how regular, how much alike they are."""
    kind: Kind = "number"
    """``number``, ``text``, ``flag`` (yes/no) or ``date`` (ISO 8601 text); only numbers cluster."""

    @classmethod
    def share(cls, name: str, meaning: str, *, transform: Transform = "logit_shrunk", **declared: Any) -> "Feature":
        """Declare a share of 0 to 1, whose ends the shrunk logit draws apart where nothing else is said."""
        return cls(name, "share", meaning, low=0, high=1, transform=transform, **declared)

    @classmethod
    def text(cls, name: str, meaning: str, needs: tuple[str, ...] = ()) -> "Feature":
        """Declare a text for people to read."""
        return cls(name, "text", meaning, clusters=False, kind="text", needs=needs)


@dataclass(frozen=True)
class Outcome:
    """What an axis claims to tell of the days to come, and is held to by the backtest."""

    name: str
    """One of the axis's features, measured on those days alone, or a quantity of ``backtest.hold_out``."""
    absent: float | None = None
    """Value of a customer who did not order in those days; None: only those who did are looked at."""
    log: bool = False
    """Whether ``log1p`` of it is explained: money and counts, whose few largest would be all the variance."""


@dataclass(frozen=True)
class Structural:
    """A state that a mass of customers share exactly and that may be its own segment."""

    feature: str
    """Column of the axis that tells the state."""
    equals: float
    """Its value in that state."""
    name: str
    """Segment name, snake_case."""
    meaning: str
    """The state as a clause about the customers: ``"bought exactly once"``."""
    noun: str = ""
    """The name in fewer words, for names that have no room: ``"one_timers"``."""


ONE_TIME_BUYERS = Structural("n_orders", 1, "one_time_buyers", "bought exactly once", noun="one_timers")
ONCE_OR_TWICE_BUYERS = tuple(
    Structural("n_orders", n, "once_or_twice_buyers", "bought only once or twice, too little to tell") for n in (1, 2)
)

BOUGHT_ONCE = (ONE_TIME_BUYERS, *ONCE_OR_TWICE_BUYERS)
"""States that say no more than how few orders there are."""


@dataclass(frozen=True)
class Axis:
    """One behavioural question about a customer, and how it is measured."""

    name: str
    """Snake-case name, equal to the module's."""
    question: str
    """The question it answers, in a shopkeeper's words."""
    kind: Literal["marketing", "support"]
    """Which half of the fourteen it belongs to."""
    people: str
    """Plural noun for customers seen through this axis: ``"buyers"``, ``"spenders"``."""
    features: tuple[Feature, ...]
    """Clustering features first, 3 to 6 of them."""
    measure: "Callable[[Tables], ir.Table]" = field(repr=False)
    """``Tables -> ibis Table`` with ``customer_id`` and every recorded feature, one row a customer. Customers it leaves
    out, and values it cannot define, become NULL."""
    essential: tuple[str, ...] = ()
    """Columns without which the axis's question makes no sense for a store."""
    min_orders: int = 1
    """Orders from which a customer's values are evidence; below it ``evidence`` is ``"low"``."""
    structural: tuple[Structural, ...] = ()
    """States offered to the model as segments of their own."""
    usual: str = "middling"
    """Adjective of a segment of which no feature has a word to say."""
    usual_k: int = 4
    """Number of segments that decides between several that divide customers about equally well, in stores of any size:
    five where that explains more and is met again as often, in the stores of ADR 4 that record the axis."""
    order_rate: str = ""
    """The feature that is the number of orders over time, if that is the question: where the counts show that
    customers differ in it, they differ on the axis."""
    is_state: bool = False
    """Whether it asks where customers are now, not what they are like: then it is judged by what it foretells, too."""
    outcomes: tuple[Outcome, ...] = ()
    """What it is held to; empty: its own clustering features."""
    stay_temperature: float = 0.5
    stayers: float = 0.5
    """Of what the chance to stay in a segment for a horizon follows from (``profiles.stays``), the usual figures
    (docs/adr/0017-stays.md). Who does nothing stays as they are, but not where
    time alone moves a customer."""
    reference: bool = False
    """Whether features are measured against the store reference, which is then kept with the model."""
    description: str = ""
    """The module's docstring: text of the asset, of the docs and of prompts."""

    @property
    def clustering_features(self) -> tuple[Feature, ...]:
        """Features that shape the segments."""
        return tuple(f for f in self.features if f.clusters)

    @property
    def reads_tickets(self) -> bool:
        """Whether the question makes no sense without support tickets."""
        return any(column.startswith("tickets.") for column in self.essential)

    def feature(self, name: str) -> Feature:
        """Return the declared feature of that name."""
        return {feature.name: feature for feature in self.features}[name]


def axis_schema(axis: Axis) -> pa.Schema:
    """Return the columns of an axis's features: ``customer_id``, every declared feature, ``n_orders``."""
    features = [(feature.name, _ARROW_TYPES[feature.kind]) for feature in axis.features]
    return pa.schema([("customer_id", pa.string()), *features, ("n_orders", pa.int64())])


def feature_schema(axis: Axis) -> "pandera.DataFrameSchema":
    """Build the checks of an axis's feature table.

    Every declared column, finite and within its range or NULL; ``n_orders`` >= 1; unique customers. Validating
    raises ``pandera.errors.SchemaErrors`` when called with ``lazy=True``.
    """
    import pandera.pandas as pandera

    columns = {feature.name: _column(feature) for feature in axis.features}
    columns["n_orders"] = pandera.Column("int64", pandera.Check.ge(1))
    return pandera.DataFrameSchema(
        columns,
        index=pandera.Index(name="customer_id", unique=True, nullable=False),
        strict=True,
        name=f"features/{axis.name}",
    )


def _column(feature: Feature) -> "pandera.Column":
    import pandera.pandas as pandera

    if feature.kind != "number":
        return pandera.Column(nullable=True)
    limits = (pandera.Check.ge, feature.low), (pandera.Check.le, feature.high)
    checks = [check(limit) for check, limit in limits if limit is not None]
    return pandera.Column("float64", [pandera.Check(np.isfinite, name="finite"), *checks], nullable=True)


def axis_activity(axis: Axis, recorded: frozenset[str]) -> tuple[str | None, list[str]]:
    """Return why the columns do not do for an axis, None if they do, and clustering features that lack theirs."""
    unrecorded = [f for f in axis.clustering_features if not set(f.needs) <= recorded]
    names = [f.name for f in unrecorded]
    absent = [_IN_WORDS.get(column, column) for column in axis.essential if column not in recorded]
    if absent:
        return f"not recorded: {', '.join(absent)}", names
    n_left = len(axis.clustering_features) - len(unrecorded)
    if n_left < 2:
        words = {_IN_WORDS.get(column, column) for f in unrecorded for column in f.needs if column not in recorded}
        return f"not recorded: {', '.join(sorted(words))} (only {n_left} of its features can be computed)", names
    return None, names
