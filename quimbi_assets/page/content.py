"""What the page says of a store: words and one number first, then a picture, then what to do.

Belongs here: choosing and wording, on facts at hand. Does not: HTML (``render``), charts' looks (``charts``), the page
of one customer (``customer``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import BOUGHT_ONCE
from quimbi_assets.axis_table import ACTIVE, WEAK
from quimbi_assets.marketing.groups import GROUPINGS
from quimbi_assets.naming.rows import ROUGH_BELOW, why_provisional
from quimbi_assets.naming.values import format_money, format_number, format_percent, plural, spoken
from quimbi_assets.page import charts
from quimbi_assets.page.customer import TIER_MEANINGS, CustomerView, customer_view, local_time, written_day
from quimbi_assets.page.facts import CustomerFacts, CustomerList, StoreFacts

MEANINGS = {
    "new": "First order within the last 90 days",
    "active": "Silent for no longer than usual",
    "slowing": "Silent for longer than four of five waits like theirs",
    "at risk": "Silent for longer than nineteen of twenty waits like theirs",
    "lapsed": "Of customers as silent, fewer than a third came back",
    "lost": "Of customers as silent, fewer than one in ten came back",
}
GOOD_TO_GROW = {"new": True, "active": True, "slowing": False, "at risk": False, "lapsed": False, "lost": False}
CAUSE_MEANINGS = {"acted": "they ordered, sent back or wrote", "silent": "time passed without an order"}
ENOUGH_MONTHS = 24
"""History from which it is not too short to see who never comes back."""
ROUGH = "where one group ends and the next begins is rough: take them as a rule of thumb"
RFM_NAMES = {"at_risk": "once good, long silent", "new_customers": "first-time buyers of late"}
"""Groups that are called here as stages of the lifecycle are, which are other customers."""
RECORDS = {"orders.source": "which channel an order came by"}
"""Columns in an owner's words."""
NEARLY = 0.005
"""Share below which a change is none."""


@dataclass(frozen=True)
class Group:
    """A group or segment in words: how many, what they bring, how that changed, what to do."""

    name: str
    meaning: str
    customers: str
    share: str
    width: float
    """Share of customers, 0-100."""
    revenue: str
    value: str
    change: str
    action: str
    where: str
    """The filter that chooses them."""
    stages: str = ""
    """How many of them are in rhythm, going and gone."""
    is_good: bool | None = None
    """Whether the change is; None where it is neither."""


@dataclass(frozen=True)
class AxisView:
    """An axis with its segments, largest first."""

    name: str
    question: str
    segments: Sequence[Group]
    """Without those who bought once, of whom ``StoreView.once`` speaks."""
    doubt: str | None = None
    """What is the matter with its segments, if anything."""


@dataclass(frozen=True)
class Person:
    """A customer in a list."""

    customer_id: str
    lifecycle: str
    value: str
    risk: str
    last_order: str
    sentence: str
    profile: CustomerView | None = None
    """Where their own page cannot be asked for."""


@dataclass(frozen=True)
class ListView:
    """A list of customers to act on."""

    name: str
    title: str
    about: str
    headline: str
    where: str
    people: Sequence[Person]
    elsewhere: str = ""
    """Who would be in it, but stands elsewhere on the page."""


@dataclass(frozen=True)
class StoreView:
    """Everything the store's page says; charts are SVG, empty where there is nothing to draw."""

    store_id: str
    until: str
    summary: str
    cards: Sequence[Group]
    money: str
    money_chart: str
    tiers: Sequence[Group]
    rfm: Sequence[Group]
    leaving: str
    flows: Sequence[str]
    going: ListView | None
    lists: Sequence[ListView]
    helped: Sequence[tuple[str, str]]
    """What is tried, and whether it helped, each in words."""
    once: str
    axes: Sequence[AxisView]
    weak: Sequence[AxisView]
    doubt: str
    inactive: Sequence[tuple[str, str]]
    movement: str
    movement_chart: str
    trust: Sequence[str]
    calibration_chart: str
    agreement_chart: str
    backtest: str


def store_view(facts: StoreFacts) -> StoreView:
    """Say what there is to say of a store."""
    groups = {str(of): rows.set_index("group_id") for of, rows in facts.groups.groupby("axis_name")}
    shown = {of: _grouping(facts, groups[of], of) for of in GROUPINGS if of in groups}
    axes = {status: _axes(facts, groups, status) for status in (ACTIVE, WEAK)}
    inactive = facts.axes[~facts.axes["status"].isin((ACTIVE, WEAK))]
    return StoreView(
        store_id=facts.store_id,
        until=written_day(facts.as_of - timedelta(seconds=1), facts.time_zone),
        summary=_summary(facts),
        cards=[_card(group, facts) for group in shown["lifecycle"]],
        money=_money(groups["value_tier"]),
        money_chart=_tier_chart(groups["value_tier"]),
        tiers=shown["value_tier"],
        rfm=[group for group in shown["rfm_group"] if group.customers != "0"],
        leaving=_leaving(groups["lifecycle"], facts),
        flows=_flows(facts),
        going=None if not facts.going.customers else _list(facts.going, facts),
        lists=[_list(one, facts) for one in facts.lists if one.customers or not one.is_known],
        helped=[(_tried(subject), words) for subject, words in facts.helped],
        once=_once(facts),
        axes=axes[ACTIVE],
        weak=axes[WEAK],
        doubt=f"With {format_number(facts.orders_per_customer)} orders a customer this cannot be told from chance yet.",
        inactive=[_unanswered(*row) for row in inactive[["axis_name", "reason"]].itertuples(index=False)],
        movement=_movement(facts),
        movement_chart=charts.movement(facts.moves) if len(facts.moves) else "",
        trust=_trust(facts),
        calibration_chart=_calibration(facts),
        agreement_chart=_agreement(facts),
        backtest=_backtest(facts),
    )


def _summary(facts: StoreFacts) -> str:
    since = "" if facts.first_order_at is None else f" since {_month(facts.first_order_at, facts.time_zone)}"
    return f"{facts.customers:,} customers, {format_money(facts.revenue, facts.currency)} net of refunds{since}"


def _grouping(facts: StoreFacts, rows: pd.DataFrame, of: str) -> list[Group]:
    meaning: Mapping[str, str] = {"lifecycle": MEANINGS, "value_tier": TIER_MEANINGS}.get(of, {})
    known = rows.reindex([group for group in GROUPINGS[of] if group in rows.index])
    return [
        _group(facts, row, RFM_NAMES.get(str(name)) or spoken(name), meaning.get(str(name), ""), f"{of} = '{name}'")
        for name, row in known.iterrows()
    ]


def _card(group: Group, facts: StoreFacts) -> Group:
    """Say of a stage what is true of its customers beside their lateness, or why it has none."""
    if group.customers == "0" and group.name in facts.untold:
        return replace(group, meaning=_untold(facts))
    if not (likely := facts.likely.get(group.name)):
        return group
    late = f"late for them; {likely:,} of them very likely come by themselves (risk under 10 %)"
    where = f"{group.where} and (risk >= 0.1 or risk is null)"
    return replace(group, meaning=f"{group.meaning}: {late}", where=where)


def _untold(facts: StoreFacts) -> str:
    """Say why nobody is said to have gone: silences were too short, or ended, by how long a store's history is."""
    days = 0 if facts.first_order_at is None else (facts.as_of - facts.first_order_at).days
    if (months := round(days / 30.4)) < ENOUGH_MONTHS:
        return f"Not told apart yet: {plural(months, 'month')} of history are too few to see who never comes back"
    return "Not told apart: even of the longest silent, enough still come back"


def _unanswered(axis: str, reason: str) -> tuple[str, str]:
    """Return the question of an axis that a shop's data cannot answer, and why."""
    for column, words in RECORDS.items():
        reason = reason.replace(column, words)
    return _question(axis), reason


def _question(axis: str) -> str:
    """Return what an axis asks; its name if it is one of another version."""
    return AXES[axis].question if axis in AXES else spoken(axis)


def _group(facts: StoreFacts, row: pd.Series, name: str, meaning: str, where: str) -> Group:
    more, in_13w = (_more(row, facts.customers, when) for when in ("4w", "13w"))
    is_clear = more is not None and (not in_13w or (in_13w > 0) == (more > 0))
    good = GOOD_TO_GROW.get(name) if is_clear and where.startswith("lifecycle") else None
    value = row["value_per_customer"]
    return Group(
        name=name,
        meaning=meaning,
        customers=f"{int(row['customers']):,}",
        share=format_percent(float(row["share_of_customers"])),
        width=round(100 * float(row["share_of_customers"]), 1),
        revenue=format_percent(float(row["share_of_revenue"])),
        value="" if pd.isna(value) else format_money(float(value), facts.currency),
        change=_change(more, in_13w),
        stages=_stages(row),
        action=row["action"] if isinstance(row["action"], str) and row["customers"] else "",
        where=where,
        is_good=None if good is None or not more else good == (more > 0),
    )


def _change(in_4w: int | None, in_13w: int | None) -> str:
    parts = [f"{more:+,} in {n} weeks" for more, n in ((in_4w, 4), (in_13w, 13)) if more]
    return ", ".join(parts).replace("-", "−")


def _stages(row: pd.Series) -> str:
    """Say how a group lies in the lifecycle; nothing of a group nobody is in."""
    n, stages = int(row["customers"]), row["lifecycle"]
    if not n:
        return ""
    parts = {"in rhythm": ("new", "active"), "slowing or at risk": ("slowing", "at risk"), "gone": ("lapsed", "lost")}
    shares = {name: sum(stages[stage] for stage in of) / n for name, of in parts.items()}
    return ", ".join(f"{100 * share:.0f} % {name}" for name, share in shares.items() if share >= NEARLY)


def _more(row: pd.Series, everybody: int, when: str) -> int | None:
    """Return how many more there are than some weeks ago; 0 where hardly any, None where nobody knows."""
    before = row[f"customers_{when}_ago"]
    if pd.isna(before):
        return None
    more = int(row["customers"]) - int(before)
    return 0 if abs(more) < max(NEARLY * everybody, 1) else more


def _money(tiers: pd.DataFrame) -> str:
    if "top" not in tiers.index or not tiers.loc["top", "customers"]:
        return "Customers are worth about the same: nobody stands out."
    top = tiers.to_dict("index")["top"]
    share = format_percent(float(top["share_of_revenue"]))
    who = f"{int(top['customers']):,} customers, {format_percent(float(top['share_of_customers']))} of all"
    return f"{who}, brought {share} of the revenue."


def _tier_chart(tiers: pd.DataFrame) -> str:
    rows = tiers.reset_index()[["group_id", "share_of_customers", "share_of_revenue"]]
    return charts.tiers(rows.set_axis(["tier", "customers", "revenue"], axis=1))


def _leaving(stages: pd.DataFrame, facts: StoreFacts) -> str:
    going = stages.reindex(["slowing", "at risk"]).fillna(0)
    n, revenue = int(going["customers"].sum()), float(going["share_of_revenue"].sum())
    gone = stages.reindex(["lapsed", "lost"]).fillna(0)
    worth = format_money(float(going["revenue"].sum()), facts.currency)
    left = f" {int(gone['customers'].sum()):,} have lapsed or are lost." if gone["customers"].sum() else ""
    if not n:
        return f"Nobody is slowing down.{left}"
    late = f"{n:,} are slowing or at risk: they spent {worth}, {format_percent(revenue)} of the revenue."
    if likely := facts.likely.get("slowing", 0) + facts.likely.get("at risk", 0):
        late += f" Of them {likely:,} are late but very likely come by themselves (risk under 10 %)."
    return late + left


def _flows(facts: StoreFacts) -> list[str]:
    """Say what the last week's snapshot saw between lifecycle stages, largest first."""
    rows = facts.flows[facts.flows["cause"].isin(list(CAUSE_MEANINGS))].head(6)
    return [
        f"{row['customers']:,} from {row['from_segment']} to {row['to_segment']}: {CAUSE_MEANINGS[row['cause']]}"
        for row in rows.to_dict("records")
    ]


def _list(one: CustomerList, facts: StoreFacts) -> ListView:
    worth = f"{plural(one.customers, 'customer')} who spent {format_money(one.value, facts.currency)}"
    people = [_person(row, facts, one.profiles.get(row["customer_id"])) for row in one.rows]
    elsewhere = f"Not shown again: {one.elsewhere} of them, in another list on this page." if one.elsewhere else ""
    return ListView(one.name, spoken(one.name), one.about, worth, one.where, people, elsewhere)


def _person(row: Mapping[str, Any], facts: StoreFacts, profile: Mapping[str, Any] | None) -> Person:
    risk, value, last = row["risk"], row["value"], row["last_order_at"]
    currency, zone = facts.currency, facts.time_zone
    return Person(
        customer_id=str(row["customer_id"]),
        lifecycle=row["lifecycle"] or "",
        value="" if value is None else format_money(value, currency),
        risk="" if risk is None else format_percent(risk),
        last_order="" if last is None else written_day(last, zone),
        sentence=row["interpretation"] or "",
        profile=customer_view(CustomerFacts(facts.store_id, currency, zone, profile)) if profile else None,
    )


def _tried(subject: str) -> str:
    """Say what is tried: ``win back (audience)``."""
    kind, _, name = subject.partition("/")
    return f"{spoken(name)} ({kind})"


def _once(facts: StoreFacts) -> str:
    """Say once of those who bought once what the axes would say of them one by one."""
    if not facts.bought_once:
        return ""
    share = format_percent(facts.bought_once / max(facts.customers, 1))
    who = plural(facts.bought_once, "customer has", "customers have")
    return (
        f"{who} bought once ({share} of all): what they are like is not known before they come again. Questions that "
        "take three orders leave out who bought twice, too."
    )


def _axes(facts: StoreFacts, groups: Mapping[str, pd.DataFrame], status: str) -> list[AxisView]:
    names = set(facts.axes.loc[facts.axes["status"] == status, "axis_name"])
    return [_axis(facts, name, groups[name]) for name in AXES if name in groups and name in names]


def _axis(facts: StoreFacts, axis: str, rows: pd.DataFrame) -> AxisView:
    once = {state.name for state in AXES[axis].structural if state in BOUGHT_ONCE}
    named = facts.segments[facts.segments["axis_name"] == axis].set_index("segment_id")
    ranked = rows.join(named[["segment_name", "interpretation"]], how="inner").sort_values("customers", ascending=False)
    views = [
        _group(facts, row, spoken(name), row["interpretation"] or "", f"{axis} = '{name}'")
        for name, (_, row) in zip(ranked["segment_name"], ranked.iterrows(), strict=True)
        if name not in once
    ]
    of_axis = facts.axes.set_index("axis_name")[["customers_fitted", "halves_ari"]].astype(float)
    fitted, halves = of_axis.loc[axis].to_numpy(float)
    doubt = why_provisional(float(fitted)) or (ROUGH if float(halves) < ROUGH_BELOW else None)
    return AxisView(spoken(axis), AXES[axis].question, views, doubt)


def _movement(facts: StoreFacts) -> str:
    if facts.last_week is None:
        return "Not known yet: it takes two weeks that were recorded."
    if not len(facts.moves):
        return "Nobody changed a segment in the weeks that were recorded."
    last = facts.moves[facts.moves["week"] == facts.moves["week"].max()]
    by_cause = dict(zip(last["cause"], last["customers"], strict=True))
    reasons = [
        f"{int(by_cause[cause]):,} because {words}" for cause, words in CAUSE_MEANINGS.items() if cause in by_cause
    ]
    week = f"{facts.moves['week'].max():%-d %B}"
    return f"In the week of {week} customers changed a segment: {' and '.join(reasons) or 'nobody of their own doing'}."


def _trust(facts: StoreFacts) -> list[str]:
    n_active, n_weak = ((facts.axes["status"] == status).sum() for status in (ACTIVE, WEAK))
    lines = [
        f"On {n_active} of {len(facts.axes)} questions customers differ by more than chance would make them"
        + (f"; on {n_weak} that cannot be told, and their groups are folded away." if n_weak else ".")
    ]
    if isinstance(facts.churn, str):
        lines.append(f"Risk of leaving: {facts.churn}.")
    else:
        days, error = facts.churn["horizon_days"], 100 * facts.churn["calibration_error"]
        lines.append(
            f"Risk of leaving is the chance of no order within {days} days. Tried on the past, it was off by "
            f"{max(error, 0.1):.1f} customers in a hundred."
        )
    if isinstance(facts.value, str):
        lines.append(f"Spend to come: {facts.value}.")
    else:
        total = format_percent(float(facts.value["total"]))
        lines.append(f"Tried on the past, the spend to come added up to {total} of what came.")
    return lines


def _calibration(facts: StoreFacts) -> str:
    bins = [] if isinstance(facts.churn, str) else facts.churn.get("calibration_bins", [])
    return charts.calibration(bins) if bins else ""


def _agreement(facts: StoreFacts) -> str:
    known = facts.axes[facts.axes["halves_ari"].notna() & facts.axes["status"].isin((ACTIVE, WEAK))]
    rows = [
        (_question(axis), max(float(ari), 0.0))
        for axis, ari in known[["axis_name", "halves_ari"]].itertuples(index=False)
    ]
    return charts.agreement(rows) if rows else ""


def _backtest(facts: StoreFacts) -> str:
    if facts.backtest is None or "segments" not in facts.backtest:  # no axis could be measured
        return ""
    measured = facts.backtest[facts.backtest["segments"].notna()]
    adding = [_question(axis) for axis in measured.loc[measured["added_verdict"] == "better", "axis"]]
    of = f"{len(adding)} of {len(measured)} questions"
    return (
        "Held against what customers did next, the groups tell more than when, how often and for how much somebody "
        f"bought on {of}: {_listed(adding)}"
    )


def _listed(names: Iterable[str]) -> str:
    return " ".join(names) or "none"


def _month(instant: datetime, zone: str) -> str:
    return f"{local_time(instant, zone):%B %Y}"
