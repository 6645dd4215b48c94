"""What a filter can speak of: the columns of a profile by friendly names, and what hangs on an axis.

Belongs here: the declaration of every field, and what of it a store has. Does not: reading a filter (``filters``).
A field's SQL is written over ``profile``, a row of ``quimbi.customer_profiles``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["number", "text", "date", "flag", "group"]
"""``group``: an id, which is also known by a name."""


@dataclass(frozen=True)
class Field:
    """One thing that can be asked of a customer."""

    name: str
    kind: Kind
    sql: str
    meaning: str
    words: tuple[str, ...] = ()
    """The values a text can have; empty: any."""
    parameters: tuple[str, ...] = ()
    """What the ``{}`` of the SQL stand for, in order; they reach the server as parameters."""
    is_share: bool = False
    """Whether it is a number from 0 to 1."""
    is_money: bool = False
    """Whether it is an amount in the store's currency."""
    least: float | None = None
    """What a number that every profile has is at least; None: of others."""


def _column(
    name: str, kind: Kind, meaning: str, column: str = "", words: tuple[str, ...] = (), *, is_money: bool = False
) -> Field:
    return Field(name, kind, f"profile.{column or name}", meaning, words, is_money=is_money)


MONEY = "in the store's currency, net of refunds"
LIMITS = {"": "", "_low": ", lower limit (one of ten has less)", "_high": ", upper limit (one of ten has more)"}
PREDICTED = tuple(
    _column(
        f"predicted_{what}_{days}d{limit}", "number", f"{words} expected in {days} days{note}", is_money=what == "value"
    )
    for days in (90, 365)
    for what, words in (("orders", "Orders"), ("value", f"Spend, {MONEY},"))
    for limit, note in LIMITS.items()
)
GROUPINGS = {
    "lifecycle": (
        "Where they are in their life with the store", "new", "active", "slowing", "at risk", "lapsed", "lost",
    ),
    "value_tier": ("How much they spent beside others", "top", "high", "medium", "low"),
    "rfm_group": (
        "By recency, frequency and spend", "champions", "loyal", "potential_loyalists", "new_customers", "promising",
        "need_attention", "about_to_sleep", "at_risk", "cannot_lose_them", "hibernating",
    ),
}  # fmt: skip
"""Meaning and words; written down here too, since to import ``marketing`` takes a second (a test compares them)."""
SCALARS = {
    one.name: one
    for one in (
        _column("customer_id", "text", "The customer's id"),
        *(_column(name, "text", meaning, words=tuple(words)) for name, (meaning, *words) in GROUPINGS.items()),
        _column("archetype", "group", "The archetype, by name or id", "archetype_id"),
        _column("value", "number", f"Spend so far, {MONEY}", "lifetime_value", is_money=True),
        Field("orders", "number", "profile.n_orders", "Orders so far", least=1),
        _column("first_order_at", "date", "First order"),
        _column("last_order_at", "date", "Last order"),
        Field(
            "days_since_last_order", "number", "profile.days_since_last_order",
            "Days from the last order to the profiles' instant", least=0,
        ),
        Field(
            "risk", "number", "profile.churn_risk_score", "Chance, 0 to 1, of no order within the churn horizon",
            is_share=True,
        ),
        Field(
            "value_at_risk", "number", "(coalesce(profile.churn_risk_score, 1) * profile.lifetime_value)",
            "Risk times spend so far, spend where no risk is known: whom to write to first", is_money=True,
        ),
        *PREDICTED,
        _column("expected_next_order_at", "date", "By when half of such customers order again"),
    )
}  # fmt: skip
SAID_ELSEWHERE = {
    "customer": "customer_id", "tier": "value_tier", "spent": "value", "spend": "value", "revenue": "value",
    "lifetime_value": "value", "n_orders": "orders", "last order": "last_order_at", "last_order": "last_order_at",
    "churn_risk_score": "risk", "next 90 days": "predicted_value_90d", "archetype_id": "archetype",
}  # fmt: skip
"""Fields by what lists and files of customers call them."""
OF_AXIS = {
    "strength": ("text", "stays_strength", "How likely they stay in their segment, in words"),
    "stays": ("number", "stays", "Chance, 0 to 1, to be in the same segment one horizon on"),
    "evidence": ("text", "evidence", "Whether they have orders enough to say much"),
}
"""What can be asked of a customer on every axis: kind, column, meaning."""
WORDS = {"strength": ("strong", "balanced", "weak"), "evidence": ("ok", "low")}
KIND = "kind"
"""After an axis: of which kind (``kinds``) a segment is."""
UNKNOWN = "NULL::double precision"
"""The SQL of what is known of nobody."""
MOVING = ("archetype", *GROUPINGS)
"""Beside the axes, the fields whose changes are recorded."""


@dataclass(frozen=True)
class Vocabulary:
    """What the filters of a store can speak of.

    ``groups`` has the ids and names of archetypes, and of segments by axis; ``features`` returns the kinds of an axis's
    features by name, and is called only where a filter speaks of one.
    """

    groups: Mapping[str, Mapping[str, str]]
    features: Callable[[str], Mapping[str, Kind]] = field(default=lambda _: {}, repr=False)
    time_zone: str = "UTC"
    inactive: Mapping[str, str] = field(default_factory=dict)
    """Axes that the store's data cannot answer, and why."""
    kinds: Callable[[str], Mapping[str, tuple[str, ...]]] = field(default=lambda _: {}, repr=False)
    """Returns the ids of an axis's segments by what kind they are of (``kinds``); of a weak axis none are."""
    weak: Mapping[str, str] = field(default_factory=dict)
    """Axes that cannot be told from chance, and why."""

    @property
    def axes(self) -> list[str]:
        """Axes that have segments."""
        return [name for name in self.groups if name not in SCALARS]

    def names(self, axis: str = "") -> list[str]:
        """Return all fields, or all of an axis, as a filter writes them."""
        if not axis:
            return [*SCALARS, *self.axes]
        kinds = (KIND, *(f"{KIND}.{name}" for name in self.kinds(axis))) if self.kinds(axis) else ()
        return [f"{axis}.{name}" for name in (*self.groups[axis].values(), *self.features(axis), *OF_AXIS, *kinds)]

    def field(self, name: str) -> Field | None:
        """Return the field of a name: a column of profiles, an axis, or ``axis.`` and a segment, feature or fact."""
        if name in SCALARS:
            return SCALARS[name]
        axis, _, part = name.partition(".")
        if axis in SCALARS or axis not in self.groups:
            return None
        if part in ("", KIND):
            return Field(name, "group", "profile.dominant_segments ->> {}", "The segment", parameters=(axis,))
        if part.startswith(f"{KIND}."):
            return self._of_kind(axis, part.removeprefix(f"{KIND}."))
        return self._of_axis(axis, part)

    def _of_kind(self, axis: str, kind: str) -> Field | None:
        """Return the memberships in segments of a kind, together; unknown where the store has no segment of it."""
        ids = self.kinds(axis).get(kind)
        if ids is None:
            return None
        member = "(profile.segment_memberships -> {} ->> {})::double precision"
        parameters = tuple(text for segment in ids for text in (axis, segment))
        sql = f"({' + '.join([member] * len(ids))})" if ids else UNKNOWN
        return Field(f"{axis}.{KIND}.{kind}", "number", sql, "Memberships together", (), parameters, is_share=True)

    def _of_axis(self, axis: str, part: str) -> Field | None:
        for segment, segment_name in self.groups[axis].items():
            if part in (segment, segment_name):
                member = "(profile.segment_memberships -> {} ->> {})::double precision"
                return Field(
                    f"{axis}.{part}", "number", member, "Membership, 0 to 1", (), (axis, segment), is_share=True
                )
        if part in OF_AXIS:
            kind, column, meaning = OF_AXIS[part]
            sql = f"profile.{column} ->> {{}}"
            return _cast(Field(f"{axis}.{part}", kind, sql, meaning, WORDS.get(part, ()), (axis,)))  # type: ignore[arg-type]
        kinds = self.features(axis)
        if part not in kinds:
            return None
        sql = "profile.feature_vectors -> {} ->> {}"
        return _cast(Field(f"{axis}.{part}", kinds[part], sql, "", parameters=(axis, part)))


TYPES = {"number": "double precision", "date": "timestamptz", "flag": "boolean"}


def _cast(of_json: Field) -> Field:
    """Return the field with its text from JSON read as what it is."""
    sql = of_json.sql if of_json.kind == "text" else f"({of_json.sql})::{TYPES[of_json.kind]}"
    return replace(of_json, sql=sql)
