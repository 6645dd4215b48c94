"""What an axis declares: its features, in words, units and ranges, and the expression that measures them.

Belongs here: the declarations and their checks. Does not: any formula (``_measures``), any axis.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from quimbi_assets.axes._tables import Tables

Transform = Literal["identity", "log1p", "signed_log1p", "logit_shrunk"]
Kind = Literal["number", "text", "flag", "date"]


@dataclass(frozen=True)
class Feature:
    """One measured quantity of an axis.

    Parameters
    ----------
    name : str
        Column name; carries its unit (``_days``, ``_per_month``, ``_ratio``, ``n_``).
    unit : str
        Unit as a shopkeeper reads it: ``"days"``, ``"orders a month"``, ``"share"``, ``"money"``, ``"count"``,
        ``"index"`` (unitless).
    meaning : str
        One sentence in a shopkeeper's words.
    low, high : float or None
        Inclusive range of every defined value; None is unbounded.
    clusters : bool
        Whether the feature shapes the segments; False: stored for people to read.
    transform : str
        Applied before winsorising and scaling: ``identity``, ``log1p``, ``signed_log1p``
        (``sign(x) log1p(|x|)``) or ``logit_shrunk`` (``log((x + 0.05) / (1 - x + 0.05))``).
    few, many : str
        Words for a low and a high value in a segment's name: ``"rare"`` / ``"frequent"``.
    synonyms : (str, str)
        Further words for a low and for a high value, by which names that are not the rules' are held to the numbers:
        phrases joined by ``_``, between blanks.
    fact : str
        Features of an axis with the same fact show it from several sides: a name says one of them.
    at_end : str
        Word for a value at the low end of the range, where ``few`` would say too little.
    of_most : bool
        Whether ``many`` is true of the larger half of the whole only: 20 % at full price is not a full-price buyer.
    neutral : float, optional
        Value on whose two sides the words ``few`` and ``many`` are true: a trend of +0.01 is not "shrinking", however
        fast others grow. None: low and high are relative to the other customers.
    unmoved : (float, str), optional
        How far from ``neutral`` a value is neither, and the word for it: a trend of 1 % a month is ``"steady"``.
    needs : tuple of str
        Columns without which the feature is not recorded, as ``"orders.discount_amount"``;
        ``"orders.time_of_day"`` stands for order dates that carry a clock time, ``"orders.refund"`` for
        refunds recorded on orders or on their lines.
    kind : str
        ``number``, ``text``, ``flag`` (yes/no) or ``date`` (ISO 8601 text); only numbers cluster.
    """

    name: str
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    clusters: bool = True
    transform: Transform = "identity"
    few: str = "low"
    many: str = "high"
    synonyms: tuple[str, str] = ("", "")
    fact: str = ""
    at_end: str = ""
    of_most: bool = False
    neutral: float | None = None
    unmoved: tuple[float, str] | None = None
    needs: tuple[str, ...] = ()
    kind: Kind = "number"


@dataclass(frozen=True)
class Outcome:
    """What an axis claims to tell of the days to come, and is held to by the backtest.

    Parameters
    ----------
    name : str
        One of the axis's features, measured on those days alone, or a quantity of ``backtest.outcomes``.
    absent : float or None
        Value of a customer who did not order in those days; None: only those who did are looked at.
    log : bool
        Whether ``log1p`` of it is explained: money and counts, whose few largest would be all the variance.
    """

    name: str
    absent: float | None = None
    log: bool = False


@dataclass(frozen=True)
class Structural:
    """A state that a mass of customers share exactly and that may be its own segment.

    Parameters
    ----------
    feature : str
        Column of the axis that tells the state.
    equals : float
        Its value in that state.
    name : str
        Segment name, snake_case.
    meaning : str
        The state as a clause about the customers: ``"bought exactly once"``.
    """

    feature: str
    equals: float
    name: str
    meaning: str


@dataclass(frozen=True)
class Axis:
    """One behavioural question about a customer, and how it is measured.

    Parameters
    ----------
    name : str
        Snake-case name, equal to the module's.
    question : str
        The question it answers, in a shopkeeper's words.
    kind : {"marketing", "support"}
        Which half of the fourteen it belongs to.
    people : str
        Plural noun for customers seen through this axis: ``"buyers"``, ``"spenders"``.
    features : tuple of Feature
        Clustering features first, 3 to 6 of them.
    measure : callable
        ``Tables -> ibis Table`` with ``customer_id`` and every recorded feature, one row a customer.
        Customers it leaves out, and values it cannot define, become NULL.
    essential : tuple of str
        Columns without which the axis's question makes no sense for a store.
    min_orders : int
        Orders from which a customer's values are evidence; below it ``evidence`` is ``"low"``.
    structural : tuple of Structural
        States offered to the model as segments of their own.
    outcomes : tuple of Outcome
        What it is held to; empty: its own clustering features.
    reference : bool
        Whether features are measured against the store reference, which is then kept with the model.
    description : str
        The module's docstring: text of the asset, of the docs and of prompts.
    """

    name: str
    question: str
    kind: Literal["marketing", "support"]
    people: str
    features: tuple[Feature, ...]
    measure: "Callable[[Tables], ir.Table]" = field(repr=False)
    essential: tuple[str, ...] = ()
    min_orders: int = 1
    structural: tuple[Structural, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    reference: bool = False
    description: str = ""

    @property
    def clustering_features(self) -> tuple[Feature, ...]:
        """Features that shape the segments."""
        return tuple(f for f in self.features if f.clusters)

    def feature(self, name: str) -> Feature:
        """Return the declared feature of that name.

        Raises
        ------
        KeyError
            If the axis declares no such feature.
        """
        for candidate in self.features:
            if candidate.name == name:
                return candidate
        raise KeyError(f"axis {self.name} has no feature {name!r}")
