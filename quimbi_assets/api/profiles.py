"""Profiles of customers whose orders come with the question, and explanations, by the models that serve the store.

Belongs here: what may be sent, the models kept between questions. Does not: profiling (``resources.profiling``),
profiles that are published (``answers``). Nothing that is sent is kept, and no text of a ticket comes back.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

from cachetools import LRUCache
from pydantic import AfterValidator, Field, StringConstraints

from quimbi_assets.api import models
from quimbi_assets.api.answers import Question, is_text, profile_of
from quimbi_assets.errors import BadInputError, ServerBusyError, UnknownCustomerError
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.tables.identities import customer_called
from quimbi_assets.resources.postgres.tables.served import read_names, read_recorded, records

if TYPE_CHECKING:
    import pandas as pd

    from quimbi_assets.resources.profiling import StoreProfiler

STORES_KEPT = 8
"""Stores whose models stay in memory."""
MOST_CUSTOMERS = 200
"""Whose profiles one request gets: a second of work."""
AT_ONCE, OF_A_STORE, PATIENCE_SECONDS = 3, 2, 1
"""Requests whose profiles are computed at a time, those of one store among them, so that no store takes all turns, and
how long another waits for its own: while it does, and while they are computed, all other answers are slower."""
LOOK_SECONDS = 0.1
"""How often who waits looks whether whoever asked is still there."""
VERSION = """
    SELECT (SELECT max(publication_id) FROM quimbi.publications WHERE store_id = %(store)s) AS publication,
        (SELECT md5(string_agg(segment_name, ',' ORDER BY axis_name, segment_id)) FROM quimbi.dim_segment_master
         WHERE store_id = %(store)s AND valid_to IS NULL) AS names
"""
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _utc(at: datetime) -> datetime:
    """Return an instant in UTC, which it is where it has no offset."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not FIRST <= at < LAST:
        raise ValueError("an instant between 1970 and 2200 is wanted")
    return at.astimezone(UTC)


Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Word = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] | None
At = Annotated[datetime, AfterValidator(_utc)]
Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Count = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class SentOrder(Question):
    """An order that counts as a purchase."""

    order_id: Id
    customer_id: Id
    order_date: At = Field(description="Without an offset it is UTC")
    total_price: Money = Field(description="What was paid")
    discount_amount: Money | None = None
    refund_amount: Money | None = None
    source: Word = None


class SentItem(Question):
    """A line of an order that is sent, too."""

    order_id: Id
    product_id: Id
    quantity: Count
    price: Money = Field(description="Of one")
    category: Word = None
    product_type: Word = None
    refund_amount: Money | None = None
    refunded_at: At | None = None


class SentTicket(Question):
    """A request to support."""

    ticket_id: Id
    customer_id: Id
    created_at: At
    channel: Word = None
    subject: Word = None
    tags: Word = None
    first_response_at: At | None = None
    resolved_at: At | None = None
    satisfaction_score: Annotated[float, Field(ge=1, le=5, allow_inf_nan=False)] | None = None
    reopen_count: Count | None = None


class ProfileRequest(Question):
    """All orders of some customers, at most 200, with their lines and tickets: what is missing was not bought."""

    orders: list[SentOrder] = Field(min_length=1, max_length=5_000)
    items: list[SentItem] | None = Field(None, max_length=20_000)
    tickets: list[SentTicket] | None = Field(None, max_length=5_000)
    details: bool = Field(default=False, description="With all memberships, and what was measured on each axis")


class Profilers:
    """The models of stores, loaded once a publication; threads may share it."""

    def __init__(self) -> None:
        self._held: LRUCache[str, tuple[Any, StoreProfiler]] = LRUCache(STORES_KEPT)
        self._lock, self._loading = Lock(), defaultdict[str, Lock](Lock)
        self._turns = BoundedSemaphore(AT_ONCE)
        self._of_stores = defaultdict[str, BoundedSemaphore](lambda: BoundedSemaphore(OF_A_STORE))

    @contextmanager
    def turn(self, store_id: str, gone: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold one of a store's :data:`OF_A_STORE` turns to compute, and one of :data:`AT_ONCE`.

        ServerBusyError if none is free in :data:`PATIENCE_SECONDS`, or nobody waits for the answer any more (``gone``).
        """
        until = monotonic() + PATIENCE_SECONDS
        with self._lock:
            of_store = self._of_stores[store_id]
        with ExitStack() as held:
            for turns, most, whose in ((of_store, OF_A_STORE, " of this store"), (self._turns, AT_ONCE, "")):
                while not turns.acquire(timeout=min(LOOK_SECONDS, max(until - monotonic(), 0))):
                    still_there(gone)
                    if monotonic() >= until:
                        what = f"{most} profiles or explanations{whose} are being computed"
                        raise ServerBusyError(f"{what}: ask again in a moment")
                held.callback(turns.release)
            still_there(gone)
            yield

    def of(self, store_id: str, version: Any) -> "StoreProfiler":
        """Return the profiler of a store as it is published in that version; whoever asks while it is loaded waits."""
        with self._loading[store_id]:
            with self._lock:
                held = self._held.get(store_id)
            if held is not None and held[0] == version:
                return held[1]
            from quimbi_assets.resources.profiling import open_profiler  # MLflow and Dagster, 5 s

            profiler = open_profiler(store_id)
            with self._lock:
                self._held[store_id] = version, profiler
            return profiler


def still_there(gone: Callable[[], bool]) -> None:
    """ServerBusyError if whoever asked has hung up: nothing more is computed for them, and their turn is free."""
    if gone():
        raise ServerBusyError("whoever asked has hung up")


def profile_orders(
    database: ServedDatabase,
    store_id: str,
    sent: ProfileRequest,
    profilers: Profilers,
    gone: Callable[[], bool] = lambda: False,
) -> models.Profiles:
    """Return the profiles of the customers whose orders were sent, as of the store's last publication.

    BadInputError if an order stands twice, more than :data:`MOST_CUSTOMERS` are asked about, or no order is from before
    then; ServerBusyError as ``Profilers.turn``. No connection is held while models are loaded and customers measured:
    others are answered meanwhile.
    """
    ((again, times),) = Counter(order.order_id for order in sent.orders).most_common(1)
    if times > 1:
        raise BadInputError(f"order {again!r} is there twice: give each once, its lines in items")
    customers = len({order.customer_id for order in sent.orders})
    if customers > MOST_CUSTOMERS:
        raise BadInputError(f"orders of {customers:,} customers: send those of at most {MOST_CUSTOMERS} at a time")
    with profilers.turn(store_id, gone):
        return _profiles(database, store_id, sent, profilers, gone)


def _profiles(
    database: ServedDatabase, store_id: str, sent: ProfileRequest, profilers: Profilers, gone: Callable[[], bool]
) -> models.Profiles:
    with database.of_store(store_id) as now:
        (version,) = records(now, store_id, VERSION, {"store": store_id})
        _, statuses = read_names(now, store_id)
    profiler = profilers.of(store_id, version)
    still_there(gone)
    as_of = profiler.observation_end.tz_localize("UTC").to_pydatetime()
    if all(order.order_date >= as_of for order in sent.orders):
        raise BadInputError(f"no order is from before {as_of:%Y-%m-%d %H:%M} UTC, up to which the store was last run")
    items, tickets = (_frame(rows) if rows else None for rows in (sent.items, sent.tickets))
    rows = profiler.profile(_frame(sent.orders), items, tickets)
    called = rows["archetype_id"].map(profiler.archetype_names)
    rows = rows.assign(currency=profiler.store.currency, archetype_name=called)
    plain = ({str(name): value for name, value in row.items()} for row in rows.to_dict("records"))
    names = profiler.context.segment_names
    profiles = [profile_of(row, names, statuses, details=sent.details) for row in plain]
    return models.Profiles(store_id=store_id, as_of=as_of, items=profiles)


def explain_customer(
    database: ServedDatabase,
    store_id: str,
    customer_id: str,
    profilers: Profilers,
    gone: Callable[[], bool] = lambda: False,
) -> models.Explanation:
    """Return why a customer is where they are and what would move them, as of the store's last publication.

    UnknownCustomerError if there is no such customer; ServerBusyError as ``Profilers.turn``. No connection is held
    while models are loaded and changes tried.
    """
    return models.Explanation.model_validate(explanation_record(database, store_id, customer_id, profilers, gone))


def explanation_record(
    database: ServedDatabase,
    store_id: str,
    customer_id: str,
    profilers: Profilers,
    gone: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Return the same as ``explanation.words.receipt_record`` makes it."""
    if not is_text(customer_id):
        raise UnknownCustomerError(f"store {store_id} has no profile of that customer")
    with profilers.turn(store_id, gone):
        with database.of_store(store_id) as now:
            (version,) = records(now, store_id, VERSION, {"store": store_id})
            customer_id = customer_called(now, store_id, customer_id)
            recorded = read_recorded(now, store_id, customer_id)
        profiler = profilers.of(store_id, version)
        still_there(gone)
        return profiler.explain(customer_id, recorded)


def _frame(rows: Sequence[Question]) -> "pd.DataFrame":
    """Return what was sent as a table; columns that nothing was sent of are not recorded."""
    import pandas as pd

    return pd.DataFrame([row.model_dump() for row in rows]).dropna(axis="columns", how="all")
