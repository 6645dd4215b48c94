"""Where and when is a customer reached: through which of the store's channels, and at what times?

A channel is a share, never a code. The fourth share is the complement of the other three and is stored for
people only, so that no fact counts twice.
"""

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import Axis, Feature, Structural
from quimbi_assets.axes._measures import (
    count_if,
    is_business_time,
    is_weekend,
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
    (
        "web",
        r"(^|[^a-z])(web|web ?shop|web ?site|online|online ?store|e-?shop|e-?commerce|internet)([^a-z]|$)",
    ),
    ("pos", r"(^|[^a-z])(pos|store|retail|in-?store|branch)([^a-z]|$)"),
)


def measure(tables: Tables) -> ir.Table:
    """Channel shares, how often the channel changes, weekend and office-hour shares."""
    channel = _channel(tables.orders.source.lower())
    orders = tables.orders.mutate(channel=where(tables.orders.source.notnull(), channel))
    in_time = ibis.window(group_by="customer_id", order_by="order_index")
    orders = orders.mutate(switched=orders.channel != orders.channel.lag().over(in_time))
    n_orders, n_known = orders.order_id.count(), orders.channel.count()
    shares = orders.group_by("customer_id").agg(
        n_pairs=orders.switched.count(),
        n_switches=count_if(orders.switched),
        weekend_ratio=share(count_if(is_weekend(orders.local_time)), n_orders),
        business_hours_ratio=share(count_if(is_business_time(orders.local_time, tables.business_hours)), n_orders),
        **{
            f"channel_{name}": share(count_if(orders.channel == name), n_known)
            for name in ("web", "pos", "draft_order", "other")
        },
    )
    channels = orders.filter(orders.channel.notnull()).group_by("customer_id", "channel").agg(n=ibis._.count())
    times = orders.mutate(time=part_of_day(orders.local_time)).group_by("customer_id", "time").agg(n=ibis._.count())
    t = join(
        shares,
        most_common(channels, "channel", "n", "primary_channel"),
        most_common(times, "time", "n", "preferred_contact_time"),
    )
    return t.mutate(channel_switching_rate=share(t.n_switches, t.n_pairs))


def _channel(source: ir.StringValue) -> ir.StringValue:
    return ibis.cases(*((source.re_search(words), name) for name, words in CHANNEL_WORDS), else_="other")


_CHANNEL = ("orders.source",)


def _channel_share(name: str, words: str, few: str, many: str, clusters: bool = True) -> Feature:
    return Feature(
        f"channel_{name}",
        "share",
        f"Share of orders through {words}",
        low=0,
        high=1,
        transform="logit_shrunk",
        clusters=clusters,
        few=few,
        many=many,
        needs=_CHANNEL,
    )


AXIS = Axis(
    name="communication_preference",
    question="Where and when are they reached?",
    kind="support",
    people="customers",
    measure=measure,
    description=__doc__,
    essential=_CHANNEL,
    min_orders=2,
    structural=(Structural("n_orders", 1, "one_time_buyers", "bought exactly once"),),
    features=(
        _channel_share("web", "the web shop", "offline", "web"),
        _channel_share("pos", "a physical shop", "remote", "in_store"),
        _channel_share("draft_order", "orders written by staff", "self_serve", "staff_served"),
        Feature(
            "channel_switching_rate",
            "share",
            "How often the channel changes from one order to the next",
            low=0,
            high=1,
            transform="logit_shrunk",
            few="single_channel",
            many="channel_switching",
            needs=_CHANNEL,
        ),
        Feature(
            "weekend_ratio",
            "share",
            "Share of orders placed on a Saturday or Sunday",
            low=0,
            high=1,
            transform="logit_shrunk",
            few="weekday",
            many="weekend",
        ),
        Feature(
            "business_hours_ratio",
            "share",
            "Share of orders placed Monday to Friday within opening hours",
            low=0,
            high=1,
            transform="logit_shrunk",
            few="off_hours",
            many="office_hours",
            needs=("orders.time_of_day",),
        ),
        _channel_share("other", "any other channel", "main_channel", "other_channel", clusters=False),
        Feature("primary_channel", "text", "Channel of most orders", clusters=False, kind="text", needs=_CHANNEL),
        Feature(
            "preferred_contact_time",
            "text",
            "Part of the day with most orders",
            clusters=False,
            kind="text",
            needs=("orders.time_of_day",),
        ),
    ),
)
