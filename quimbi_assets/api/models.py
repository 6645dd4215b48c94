"""What programs are answered, over HTTP and MCP alike: every field with its unit and range.

Belongs here: the shape of answers. Does not: making them (``answers``), whom they are for (``guard``).

A number that is not known is null, never NaN. No field holds a word that a customer wrote.
"""

import math
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A number, or null where it is not known."""
Money = Annotated[float | None, BeforeValidator(_finite), AfterValidator(lambda sum_: sum_ and round(sum_, 2))]
"""An amount, to the hundredth."""
Value = Annotated[float | bool | str | None, BeforeValidator(_finite)]
"""What an axis measured: a number, a flag, a word or a date."""
Strength = Literal["strong", "balanced", "weak"] | None


class Answer(BaseModel):
    """What all answers have in common: their fields, and no others."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Reason(Answer):
    """A comparison of a rule's condition, with the customer's value."""

    condition: str
    value: Value = Field(description="A number, a word, a date, or a segment by its name; null: not known")
    short_by: Number = Field(description="By how much a number misses; null of words, and of what holds")
    is_more: bool = Field(description="Whether more than short_by is wanting, as of > and <: the limit is not enough")


class FiredRule(Answer):
    """A rule that chooses the customer."""

    rule: str
    about: str
    why: list[Reason] = Field(description="What holds of the customer")
    sets: dict[str, str] = Field(description="What it sets, by queue, priority and so on; earlier rules come first")
    unheard: dict[str, str] = Field(description="What it would set otherwise: which rule is heard instead, or why not")


class NearRule(Answer):
    """A rule that lacks one comparison: any of those named would do."""

    rule: str
    about: str
    would_set: dict[str, str]
    wanting: list[Reason]


class Routing(Answer):
    """Who answers a customer's ticket, and what else is to be done, by which rules."""

    store_id: str
    customer_id: str | None
    is_known: bool = Field(description="Whether the store has a profile of them; if not, what holds for everybody")
    as_of: datetime | None = Field(description="Instant of the profile that it rests on")
    queue: str = Field(description="Who answers")
    assignee: str | None
    priority: Literal["low", "normal", "high", "urgent"] | None
    campaign: str | None = Field(description="Null also of whoever may not be written to")
    message: str | None = Field(description="What to write or tell them; null also of whoever may not be written to")
    export: str | None = Field(description="The list they are for; null also of whoever may not be written to")
    by: dict[str, str] = Field(
        description="The rule that set each; what is not in it holds where no rule says otherwise"
    )
    reason: str | None = Field(description="Why it is so, where no rule fired")
    fired: list[FiredRule]
    nearly: list[NearRule] = Field(description="Rules that one comparison keeps from firing, five at most")
    left_alone: list[str] = Field(description="Rules in whose control group they are: not to be acted on")
    not_asked: dict[str, str] = Field(description="Rules that cannot be asked in this store, and why")


class Trial(Answer):
    """What was tried on customers: those acted on beside a control group, and what came of it."""

    subject: str = Field(description="What is tried: audience/NAME, export/NAME, rule/NAME or alert/NAME")
    verdict: Literal["helped", "harmed", "cannot tell yet", "cannot tell"] = Field(
        description="cannot tell yet: it may still turn out; cannot tell: the trial is over, or was ended"
    )
    words: str = Field(description="The same in a sentence, with its figures")
    outcome: Literal["ordered", "orders", "spend", "reopened", "rating"]
    control_share: Number = Field(description="Share, 0-1, of those who enter now that is never acted on")
    window_days: int = Field(description="Days from entry on in which the outcome counts")
    weeks: int = Field(description="Weeks from the beginning on in which whoever enters counts")
    entered_acted: int
    entered_control: int
    reached: int | None = Field(
        description="Customers of the acted arm of whom something went out; null of a rule: it fired, no more is known"
    )
    computed_at: datetime | None = Field(description="When this was counted; null: not yet")
    n_acted: int = Field(description="Those whose window is over, of whom the figures are")
    n_control: int
    n_open: int = Field(description="Those who came in time to count, and whose window is not over")
    acted: Number | None = Field(description="Mean of the outcome; null: of nobody yet")
    control: Number | None
    difference: Number | None = Field(description="Acted less control, adjusted for what was foretold at entry")
    low: Number | None = Field(description="The interval: all looks of 95 of 100 trials hold the true difference")
    high: Number | None
    could_see: Number | None = Field(description="The least true difference that would mostly be seen by now")
    began_at: datetime
    decided_at: datetime | None = Field(description="When it was first clear")
    looked_at: datetime | None = Field(description="The look that the figures are of: one a week")
    ends_at: datetime = Field(description="From when on nothing more is counted")
    ended_at: datetime | None = Field(description="When the control group was let in; null: it was not")
    known_until: datetime | None = Field(description="The newest order, or ticket where these are compared")


class Lift(Answer):
    """Whether acting on customers helped, by what is tried."""

    store_id: str
    currency: str | None = Field(description="Of spend; null: not known")
    items: list[Trial]


class Named(Answer):
    """An id, which lasts, and the name it has today."""

    id: str
    name: str | None


class Store(Answer):
    """A store, and as of when its results are."""

    store_id: str
    time_zone: str = Field(description="IANA name of the store's clock")
    currency: str | None = Field(description="ISO 4217; null: not known")
    customers: int = Field(description="Customers who have a profile")
    as_of: datetime | None = Field(description="Instant of the profiles: nothing later is in them; null: never run")
    published_at: datetime | None = Field(description="When they appeared")


class Stores(Answer):
    """The stores that the token is good for."""

    items: list[Store]


class Segment(Answer):
    """A segment of an axis as it is today."""

    segment_id: str = Field(description="Lasts, also where the name changes")
    segment_name: str
    interpretation: str | None = Field(description="Who they are, in a sentence or two")
    customer_count: int = Field(description="Customers whose dominant segment it is")
    population_percentage: Number = Field(description="Of all customers, 0 to 100")
    stability: Number = Field(description="How often refits find it again, 0 to 1")
    share_of_revenue: Number = Field(None, description="Of the revenue of all customers, 0 to 1")
    value_per_customer: Money = Field(None, description="Mean spend, net of refunds, in the store's currency")
    predicted_value_90d: Money = Field(None, description="Spend expected of all of them in the next 90 days")
    action: str | None = Field(None, description="What to do about them")
    valid_from: datetime = Field(description="Since when it is as it is")
    history: list["SegmentVersion"] | None = Field(None, description="What it was before, newest first, if asked for")


class SegmentVersion(Answer):
    """What a segment was for a time."""

    segment_name: str
    interpretation: str | None
    customer_count: int
    population_percentage: Number
    model_version: str | None
    valid_from: datetime
    valid_to: datetime


class Axis(Answer):
    """A behavioural question, and how far this store's orders answer it."""

    axis: str
    question: str
    status: Literal["active", "weak", "inactive"] = Field(
        description="weak: its segments cannot be told from chance, do not act on them; inactive: it has none"
    )
    reason: str | None = Field(description="Why it is weak or inactive")
    provisional: str | None = Field(description="Why its segments may yet change: few customers shape them")
    k: int | None = Field(description="Number of segments")
    silhouette: Number = Field(description="How well segments are apart, -1 to 1")
    halves_ari: Number = Field(description="How far two halves of the customers agree: 1 always, 0 by chance")


class Axes(Answer):
    """The axes of a store."""

    store_id: str
    as_of: datetime | None
    items: list[Axis]


class AxisSegments(Axis):
    """An axis with its segments, largest first."""

    segments: list[Segment]


class Segments(Answer):
    """The segments of a store, by axis."""

    store_id: str
    as_of: datetime | None
    items: list[AxisSegments]


class CustomerSegment(Answer):
    """Where a customer belongs on an axis."""

    id: str
    name: str
    membership: Number = Field(description="How far they belong to it, 0 to 1")
    strength: Strength = Field(description="How clear the memberships are; read stays_strength")
    stays: Number = Field(description="Chance, 0 to 1, to be in the same segment one horizon on")
    stays_strength: Strength = Field(description="The same in words: how much to rely on it")
    evidence: Literal["ok", "low"] | None = Field(description="low: too few orders to say")
    axis_status: Literal["active", "weak", "inactive"] | None = Field(description="weak: do not act on it")


class Driver(Answer):
    """What raises or lowers the churn risk, beside customers who came again."""

    fact: str
    words: str
    effect: Literal["raises", "lowers"]
    log_odds: Number


class ChurnDrivers(Answer):
    """What raises the churn risk, strongest first, then what lowers it; or why there is none."""

    model_config = ConfigDict(extra="ignore")

    horizon_days: int | None = Field(None, description="Days without an order that churn_risk_score speaks of")
    drivers: list[Driver] | None = None
    reason: str | None = None


class Affinity(Answer):
    """A category or product that a customer buys more than others do."""

    id: str
    name: str | None = Field(None, description="What the shop's lines call a product that they know by a code")
    orders: int = Field(description="Their orders that hold it")
    share: Number = Field(description="Of their orders, 0 to 1")
    lift: Number = Field(description="Times as often as the store's customers")


class Affinities(Answer):
    """What a customer buys more than others do; null where that tells their next order no better than bestsellers."""

    categories: list[Affinity] | None = None
    products: list[Affinity] | None = None
    reason: str | None = None


class CustomerProfile(Answer):
    """Who a customer is, as of one instant; money is net of refunds, in the store's currency."""

    store_id: str
    customer_id: str
    as_of: datetime
    interpretation: str | None = Field(description="What matters about them, most important first")
    archetype: Named | None = Field(description="The kind of customer nearest to them, over several axes")
    lifecycle: str | None = Field(description="new, active, slowing, at risk, lapsed or lost")
    value_tier: str | None = Field(description="top (a tenth), high (a quarter), medium (half) or low, by spend")
    rfm_group: str | None = Field(description="One of the usual ten groups by recency, frequency and spend")
    n_orders: int | None
    first_order_at: datetime | None
    last_order_at: datetime | None
    days_since_last_order: Number
    lifetime_value: Money
    currency: str | None
    churn_risk_score: Number = Field(
        description="Chance, 0 to 1, of no order in the days churn_drivers says; null: see there"
    )
    churn_drivers: ChurnDrivers | None
    predicted_orders_90d: Number
    predicted_orders_90d_low: Number
    predicted_orders_90d_high: Number
    predicted_value_90d: Money
    predicted_value_90d_low: Money = Field(description="Of ten such customers, one has less")
    predicted_value_90d_high: Money = Field(description="Of ten such customers, one has more")
    predicted_orders_365d: Number
    predicted_orders_365d_low: Number
    predicted_orders_365d_high: Number
    predicted_value_365d: Money
    predicted_value_365d_low: Money
    predicted_value_365d_high: Money
    expected_next_order_at: datetime | None = Field(description="By when half of such customers order again")
    prediction_reason: str | None = Field(description="What is not foretold, and why, in sentences")
    affinities: Affinities | None
    segments: dict[str, CustomerSegment] = Field(description="By axis")
    memberships: dict[str, dict[str, Number]] | None = Field(
        None, description="By axis and segment id, 0 to 1, 1 in all; with details"
    )
    features: dict[str, dict[str, Value]] | None = Field(None, description="By axis, what was measured; with details")
    model_versions: dict[str, str] = Field(description="The models it was made by")


class Card(Answer):
    """A customer in at most ten strings, for who answers them; what is not known is left out."""

    known: str = Field(description="yes or no")
    who: str | None = Field(None, description="Value tier and usual wait between orders")
    silence: str | None = Field(None, description="Days since the last order, and the lifecycle stage")
    orders: str | None = Field(None, description="How many, what they spent, since when")
    returns: str | None = Field(None, description="Share of what they buy that is sent back, beside the shop's")
    support: str | None = Field(None, description="Open tickets, all tickets, the last rating")
    do: str | None = Field(None, description="The one thing to do")
    rules: str | None = Field(None, description="What the shop's rules decided: queue, assignee, priority, campaign")
    risk: str | None = Field(None, description="Chance to stay away")


class Called(Answer):
    """What becomes of a helpdesk's call: its tickets are read soon."""

    store_id: str


class CustomerRow(Answer):
    """A customer as lists show them."""

    customer_id: str
    lifecycle: str | None
    value_tier: str | None
    rfm_group: str | None
    value: Money = Field(description="Spend so far, net of refunds, in the store's currency")
    orders: int | None
    last_order_at: datetime | None
    risk: Number = Field(description="Chance, 0 to 1, of no order within the churn horizon")
    predicted_value_90d: Money
    expected_next_order_at: datetime | None
    archetype: str | None


class Customers(Answer):
    """A page of customers."""

    items: list[CustomerRow]
    next_cursor: str | None = Field(description="Give it as cursor for those who follow; null: nobody does")
    customers: int | None = Field(None, description="How many there are in all, if counted")
    value: Money = Field(None, description="What they spent in all, if counted")


class SilentCustomer(Answer):
    """Somebody who fell silent, and has not ordered since."""

    customer_id: str
    week: date = Field(description="The week in which they fell silent, by its Monday")
    value: Money = Field(description="Spend so far, net of refunds, in the store's currency")
    risk: Number = Field(description="Chance, 0 to 1, of no order within the churn horizon")
    priority: Number = Field(description="Risk times value: whom to write to first")


class FallenSilent(Answer):
    """Who fell silent within eight weeks, newest first."""

    store_id: str
    week: date | None = Field(description="The newest snapshot, by its Monday; null: there is none yet")
    reason: str | None = Field(description="Why nobody is named, whoever falls silent")
    customers: int = Field(description="How many there are in all")
    items: list[SilentCustomer]


class GroupTrend(Answer):
    """A segment, lifecycle stage, value tier or RFM group now and before."""

    id: str
    name: str
    customers: int
    share_of_customers: Number = Field(description="0 to 1")
    share_of_revenue: Number = Field(description="0 to 1")
    customers_4w_ago: int | None = Field(description="Null: not known")
    customers_13w_ago: int | None = Field(description="Null: not known")


class WeekShares(Answer):
    """How customers were spread at the end of a week."""

    week: date = Field(description="The Monday that opens the week")
    shares: dict[str, Number] = Field(description="By group id, 0 to 1")


class Trend(Answer):
    """The groups of an axis, or of lifecycle, value_tier or rfm_group, over time."""

    axis: str
    groups: list[GroupTrend]
    weeks: list[WeekShares] = Field(description="Oldest first; of axes alone, from snapshots")


class Trends(Answer):
    """How the groups of a store change."""

    store_id: str
    as_of: datetime | None
    items: list[Trend]


class Migration(Answer):
    """Customers who went from one group to another in a week, for one cause."""

    axis: str
    from_id: str
    from_name: str | None
    to_id: str
    to_name: str | None
    cause: Literal["acted", "silent", "model", "corrected"] = Field(
        description="acted: an order, refund or ticket; silent: time alone; model, corrected: nothing of theirs"
    )
    customers: int


class Migrations(Answer):
    """Who moved in a week, largest moves first."""

    store_id: str
    week: date | None = Field(description="The Monday that opens it; null: there is no snapshot")
    compared_with: date | None = Field(description="The week before it that there is a snapshot of")
    weeks: list[date] = Field(description="All weeks that can be asked for")
    customers_by_cause: dict[str, int] = Field(description="Customers of whom anything changed, by cause")
    items: list[Migration]


class Audience(Answer):
    """A list of customers with a name."""

    audience: str
    about: str
    where: str = Field(description="Who is in it, in the filter language")
    problem: str | None = Field(description="Why the store does not understand it")
    customers: int | None = Field(description="Whom the filter chooses now, be they allowed to be written to or not")
    value: Money = Field(description="What they spent, net of refunds")
    currency: str | None
    entered: int | None = Field(description="Who came in when it was last renewed")
    left: int | None = Field(description="Who went out then")
    refreshed_at: datetime | None


class Audiences(Answer):
    """The audiences of a store."""

    store_id: str
    items: list[Audience]


class Member(Answer):
    """Somebody in an audience."""

    customer_id: str
    entered_at: datetime


class Members(Answer):
    """A page of who is in an audience as it was last renewed: those alone who may be written to."""

    audience: str
    refreshed_at: datetime | None = Field(description="Null: never")
    items: list[Member]
    next_cursor: str | None


class Profiles(Answer):
    """Profiles made of orders that were sent; nothing of them is kept."""

    store_id: str
    as_of: datetime = Field(description="Orders from then on were not looked at")
    items: list[CustomerProfile]


class Place(Answer):
    """A segment, and how far a customer belongs to it."""

    id: str
    name: str
    membership: Number = Field(description="0 to 1")


class DecidingFact(Answer):
    """A fact that decides for a segment, beside the middles of it and of the next one."""

    features: list[str]
    share: Number = Field(description="Of all that speaks for the segment, 0 to 1")
    words: str


class FeatureShare(Answer):
    """What one feature adds to the difference of the squared distances to the two segments' centres."""

    feature: str
    value: Number = Field(description="In its own unit; null: not known, taken as average")
    here: Number = Field(description="Centre of the customer's segment, in that unit")
    there: Number = Field(description="Centre of the next segment")
    scaled: Number = Field(description="The value in standard deviations from the mean")
    pull: Number = Field(description="Above 0: it speaks for the customer's segment; all add up to margin")


class WhatMoves(Answer):
    """What would move a customer to another segment of an axis, scored as if it had come."""

    kind: str = Field(description="waiting: no order at all")
    number: int = Field(description="Orders, or requests to support")
    every_days: int
    by: date = Field(description="Day of the last of them by the store's clock")
    dates: list[str] = Field(description="ISO 8601 by the store's clock, without offset")
    order_total: Money = Field(description="What is paid for each")
    to: Named
    words: str


class OutOfReach(WhatMoves):
    """What would move a customer, and no such customer of the store does."""

    usual_most: int | None = Field(
        description="Orders, returns or requests that 95 of 100 who have any have then at most; null: nobody counted"
    )
    usual_worth: float | None = Field(
        description="Where one order is worth too much: what 95 of 100 orders of customers of such a middle order cost "
        "at most, or one of theirs did"
    )


class AxisExplanation(Answer):
    """Why a customer is in a segment of an axis and not in the next, and what would move them."""

    axis: str
    question: str
    weak: bool = Field(description="It cannot be told from chance: do not act on it")
    segment: Place
    neighbour: Place = Field(description="The segment that comes next")
    state: str | None = Field(description="What places them there, where that is a state they are in exactly")
    bought_once: bool = Field(description="The state says no more than how few orders there are")
    margin: Number = Field(description="Squared distance to the next centre less that to the segment's own")
    because: list[DecidingFact] = Field(description="What decides, most first, three facts at most")
    shares: list[FeatureShare] = Field(description="All features: their pulls add up to margin")
    before: Place | None = Field(description="Segment of a month before by the same model; null: had not ordered yet")
    moved: bool = Field(description="That was another one")
    change: WhatMoves | None = Field(description="The smallest thing tried that they could do; null: nothing would")
    waiting: WhatMoves | None = Field(description="After how many days without an order they would move")
    attainable: bool = Field(description="Whether there is a change")
    beyond: OutOfReach | None = Field(description="Where there is none: the smallest that would, and is too much")


class Since(Answer):
    """What came of a customer in the last month."""

    at: datetime
    cause: Literal["acted", "silent", "new"]
    orders: int
    spent: Money = Field(description="Net of refunds")
    tickets: int
    words: str


class RecordedMove(Answer):
    """A move between two weeks that a customer had no part in."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    week: date
    axis: str
    from_: str = Field(alias="from")
    to: str
    cause: Literal["model", "corrected"]


class ReceiptVersions(Answer):
    """What an explanation can be made again from."""

    models: dict[str, str] = Field(description="Version of the registered model by axis")
    data: str = Field(description="Digest of the customer's orders and tickets up to as_of")
    code: str


class Explanation(Answer):
    """Why a customer is where they are on every axis: what decides, what moved of late, what would move them."""

    store_id: str
    customer_id: str
    as_of: datetime
    versions: ReceiptVersions
    since: Since
    recorded: list[RecordedMove]
    axes: list[AxisExplanation]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="What, and how to mend it")


class SimilarCustomer(Answer):
    """A customer beside the one asked about."""

    customer_id: str
    likeness: float = Field(description="1: the same; 0: no nearer than half of the store's customers are")
    distance: float = Field(description="Between fingerprints: comparable within one store as of one instant")
    lifecycle: str | None
    value_tier: str | None
    value: Money = Field(description="Spend so far, net of refunds, in the store's currency")
    orders: int | None
    last_order_at: datetime | None
    risk: Number = Field(description="Chance, 0 to 1, of no order within the churn horizon")
    archetype: str | None
    shared_axes: list[str] = Field(description="Axes on which both are in the same segment")
    other_segments: dict[str, str] = Field(description="By axis on which they differ, this customer's segment")


class Similar(Answer):
    """The customers most like one, nearest first."""

    customer_id: str
    segments: dict[str, str] = Field(description="By axis that is not weak, the customer's segment")
    items: list[SimilarCustomer]
