"""What has support meant to a customer: how often they needed it, how it went, what it was about?

A customer who never contacted support has 0 tickets an order, and how their tickets went is not defined. Tickets from
before the first order count too.

Six of the features cluster. The time to the first response is part of the time to the resolution, and the share of bad
ratings another reading of the average one: each pair would count one fact twice. Of the topics, complaints and
questions about products are the customer's own; deliveries are the carrier's doing, and what is sent back has an axis
of its own. The others are stored for people.

Assumption: a store has recorded tickets for as long as it has recorded orders.
"""

from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from quimbi_assets.axes._axis import Axis, Feature, Outcome, Structural, Word
from quimbi_assets.axes._measures import count_if, join, most_common, ratio, share
from quimbi_assets.axes._tables import Tables

# Assumption: tags and subjects are English; a store with words of its own adds them here, in lower case. A ticket may
# have several topics, as a complaint about a delivery is both: otherwise the share of complaints would hang on the
# order of these rules. Tags come first, being somebody's judgement; a subject counts where they tell no topic.
TOPICS = (
    ("shipping", r"(^|[^a-z])ship|deliver|dispatch|tracking|courier|parcel|wismo|order.?status|where.{0,20}order"),
    ("product_question", r"product.{0,3}(question|usage|info|advice|recomm)|question.{0,20}product|pre.?sale|in stock"),
    ("return_request", r"(^|[^a-z])return(s|ed)?([^a-z]|$)|refund|exchange|money back|send.{0,20}back"),
    ("complaint", r"complain|damage|broken|defect|faulty|wrong.{0,3}(item|size|product)|(not |un)happy|disappoint"),
)
#: Ratings up to this one are bad, of 1 to 5.
BAD_RATING = 2


def measure(tables: Tables) -> ir.Table:
    """Tickets an order; times, reopenings, ratings and topics of a customer's tickets; the last one's date."""
    tickets = _with_topics(tables.tickets)
    n_described = count_if(tickets.tags.notnull() | tickets.subject.notnull())
    rating, reopenings = tickets.satisfaction_score, tickets.reopen_count
    of_tickets = tickets.group_by("customer_id").agg(
        n_written=tickets.ticket_id.count().cast("int64"),
        avg_first_response_hours=tickets.response_hours.mean(),
        avg_resolution_hours=tickets.resolution_hours.mean(),
        reopen_rate=share(count_if(reopenings > 0), reopenings.count()),
        satisfaction_avg=rating.mean(),
        negative_rate=share(count_if(rating <= BAD_RATING), rating.count()),
        last_ticket_at=tickets.local_time.max().date().cast("string"),
        **{f"topic_{name}": share(count_if(tickets[name]), n_described) for name, _ in TOPICS},
    )
    channels = tickets.filter(tickets.channel.notnull()).group_by("customer_id", "channel").agg(n=ibis._.count())
    t = join(
        tables.customers.select("customer_id", "n_orders"),
        of_tickets,
        most_common(channels, "channel", "n", "primary_ticket_channel"),
    )
    n_tickets = t.n_written.fill_null(ibis.literal(0, "int64"))
    return t.mutate(n_tickets=n_tickets.cast("float64"), tickets_per_order=ratio(n_tickets, t.n_orders))


def _with_topics(tickets: ir.Table) -> ir.Table:
    tags, subject = tickets.tags.lower(), tickets.subject.lower()
    by_tags = {name: tags.re_search(words).fill_null(False) for name, words in TOPICS}
    has_topic = reduce(or_, by_tags.values())
    by_subject = {name: ~has_topic & subject.re_search(words).fill_null(False) for name, words in TOPICS}
    return tickets.mutate(**{name: by_tags[name] | by_subject[name] for name, _ in TOPICS})


_TICKETS, _RATINGS = ("tickets.ticket_id",), ("tickets.satisfaction_score",)


def _topic_share(name: str, which: str, aim: str = "", word: str = "", synonym: str = "") -> Feature:
    """Declare the share of tickets of a topic; one without a word does not cluster."""
    return Feature.share(
        f"topic_{name}",
        f"Share of support tickets {which}",
        clusters=bool(word),
        tells=f"write {{}} of their tickets {aim}",
        words=(Word(word, 1, low=0.4),) if word else (),
        synonyms=("", synonym),
        needs=("tickets.topic",),
    )


AXIS = Axis(
    name="support_history", question="What has support meant to them?", kind="support", people="customers",
    measure=measure, description=__doc__, usual="ordinary_ticket",
    essential=_TICKETS,
    structural=(Structural("n_tickets", 0, "no_ticket_customers", "never contacted support"),),
    outcomes=(
        Outcome("tickets_per_order", log=True), Outcome("satisfaction_avg"),
        Outcome("avg_resolution_hours", log=True), Outcome("topic_complaint"),
    ),
    features=(
        Feature(
            "satisfaction_avg", "of 5", "Average rating of support, 1 (bad) to 5 (good)",
            tells="rate support {}",
            words=(
                Word("dissatisfied", -1, high=2.7, like="unhappy annoyed disappointed"),
                Word("satisfied", 1, low=3.7, like="happy pleased content"),
            ),
            low=1, high=5, neutral=3, needs=_RATINGS,
        ),
        Feature(
            "avg_resolution_hours", "hours", "Average hours from a support ticket to its resolution",
            tells="wait {} until their question is solved",
            words=(Word("quickly_helped", -1, high=24), Word("slowly_helped", 1, low=48)),
            synonyms=("fast quick prompt", "slow waiting"),
            low=0, transform="log1p", needs=("tickets.resolved_at",),
        ),
        Feature(
            "tickets_per_order", "tickets an order", "Support tickets per order",
            tells="write to support {} times in ten orders", figure="in_ten",
            words=(Word("few_ticket", -1, high=0.25), Word("many_ticket", 1, low=0.5, times=1.5, of_few=True)),
            synonyms=("self_sufficient independent", "demanding support_heavy"),
            low=0, transform="log1p", needs=_TICKETS,
        ),
        Feature.share(
            "reopen_rate", "Share of support tickets that were opened again",
            tells="have {} of their tickets opened again",
            words=(Word("easily_helped", -1, high=0.1), Word("often_reopening", 1, low=0.3)),
            synonyms=("", "unresolved"), needs=("tickets.reopen_count",),
        ),
        _topic_share("complaint", "that complain", "to complain", "complaining", "grumbling"),
        _topic_share(
            "product_question", "with a question about a product", "to ask about a product", "advice_seeking", "curious"
        ),
        Feature(
            "avg_first_response_hours", "hours", "Average hours from a support ticket to the first response",
            low=0, transform="log1p", clusters=False, needs=("tickets.first_response_at",),
        ),
        Feature.share(
            "negative_rate", "Share of ratings of support that are 1 or 2 of 5",
            transform="identity", clusters=False, needs=_RATINGS,
        ),
        _topic_share("shipping", "about a delivery"),
        _topic_share("return_request", "about a return"),
        Feature("n_tickets", "count", "Support tickets in all", low=0, clusters=False, needs=_TICKETS),
        Feature(
            "last_ticket_at", "date", "Day of the last support ticket", clusters=False, kind="date", needs=_TICKETS
        ),
        Feature.text("primary_ticket_channel", "Channel of most support tickets", ("tickets.channel",)),
    ),
)  # fmt: skip
