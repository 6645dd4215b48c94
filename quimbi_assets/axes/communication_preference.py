"""Where and when is a customer reached: through which of the store's channels, and at what times?

A channel is a share, never a code. The fourth share is the complement of the other three and is stored for
people only, so that no fact counts twice.

Whoever wrote to support is reached where and when they wrote: their tickets decide ``primary_channel`` and
``preferred_contact_time``. The shares that make segments are those of orders for everybody. Taken from tickets where
there are some, they would tell who ever wrote, not who is reached where (docs/adr/0014-support-history.md).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Axis, Feature, Outcome, Word
from quimbi_assets.axes._measures import (
    BUSINESS_HOURS_RATIO,
    WEEKEND_RATIO,
    calendar_shares,
    count_if,
    join,
    most_common,
    part_of_day,
    share,
    where,
)
from quimbi_assets.axes._tables import Tables

# Assumption: stores name their channels freely; these words decide, in this order.
CHANNEL_WORDS = (
    ("draft_order", r"draft"),
    ("web", r"(^|[^a-z])(web|web ?shop|web ?site|online|online ?store|e-?shop|e-?commerce|internet)([^a-z]|$)"),
    ("pos", r"(^|[^a-z])(pos|store|retail|in-?store|branch)([^a-z]|$)"),
)


def measure(tables: Tables) -> ir.Table:
    """Channel shares, how often the channel changes, weekend and office-hour shares."""
    channel = _channel(tables.orders.source.lower())
    orders = tables.orders.mutate(channel=where(tables.orders.source.notnull(), channel))
    in_time = ibis.window(group_by="customer_id", order_by="order_index")
    orders = orders.mutate(switched=orders.channel != orders.channel.lag().over(in_time))
    n_known = orders.channel.count()
    shares = orders.group_by("customer_id").agg(
        n_pairs=orders.switched.count(),
        n_switches=count_if(orders.switched),
        **calendar_shares(orders, tables.business_hours),
        **{
            f"channel_{name}": share(count_if(orders.channel == name), n_known)
            for name in ("web", "pos", "draft_order", "other")
        },
    )
    orders = orders.mutate(time=part_of_day(orders.local_time))
    tickets = tables.tickets.mutate(channel=_.channel.lower(), time=part_of_day(_.local_time))
    t = join(
        shares,
        _of_tickets_first(orders, tickets, "channel", "primary_channel"),
        _of_tickets_first(orders, tickets, "time", "preferred_contact_time"),
    )
    return t.mutate(channel_switching_rate=share(t.n_switches, t.n_pairs))


def _of_tickets_first(orders: ir.Table, tickets: ir.Table, value: str, name: str) -> ir.Table:
    """Most common value among a customer's tickets; among their orders where no ticket has one."""
    written, ordered = (rows.filter(rows[value].notnull()).select("customer_id", value) for rows in (tickets, orders))
    contacts = ordered.anti_join(written, "customer_id").union(written)
    return most_common(contacts.group_by("customer_id", value).agg(n=_.count()), value, "n", name)


def _channel(source: ir.StringValue) -> ir.StringValue:
    return ibis.cases(*((source.re_search(words), name) for name, words in CHANNEL_WORDS), else_="other")


_CHANNEL = ("orders.source",)


def _channel_share(name: str, through: str, place: str = "", word: str = "", synonym: str = "") -> Feature:
    """Declare the share of orders of a channel; one without a word does not cluster."""
    return Feature.share(
        f"channel_{name}",
        f"Share of orders through {through}",
        clusters=bool(word),
        tells=f"place {{}} of their orders {place}",
        words=(Word(word, 1, low=0.5),) if word else (),
        synonyms=("", synonym),
        about="channel",
        needs=_CHANNEL,
    )


AXIS = Axis(
    name="communication_preference", question="Where and when are they reached?", kind="support", people="customers",
    measure=measure, description=__doc__, usual="any_channel",
    essential=_CHANNEL,
    min_orders=2,
    structural=(ONE_TIME_BUYERS,),
    outcomes=(
        Outcome("channel_web"), Outcome("channel_pos"), Outcome("channel_draft_order"), Outcome("channel_other"),
        Outcome("weekend_ratio"), Outcome("business_hours_ratio"),
    ),
    features=(
        _channel_share("web", "the web shop", "in the web shop", "web", "online"),
        _channel_share("pos", "a physical shop", "in a physical shop", "in_store", "in_shop"),
        _channel_share("draft_order", "orders written by staff", "through staff", "staff_served"),
        Feature.share(
            "channel_switching_rate", "How often the channel changes from one order to the next",
            tells="change the channel from one order to the next {} of the time",
            words=(Word("mixed_channel", 1, low=0.4), Word("one_channel", -1, high=0.1)), about="channel",
            of_several=True,
            needs=_CHANNEL,
        ),
        WEEKEND_RATIO,
        BUSINESS_HOURS_RATIO,
        _channel_share("other", "any other channel"),
        Feature.text(
            "primary_channel", "Channel of most support tickets, or of most orders where there are none", _CHANNEL
        ),
        Feature.text(
            "preferred_contact_time",
            "Part of the day with most support tickets, or with most orders where there are none",
            ("orders.time_of_day",),
        ),
    ),
)  # fmt: skip
