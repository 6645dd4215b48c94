"""The customers most like one, out of what is published, and what they have in common.

Belongs here: reading fingerprints, keeping them in memory, the rows of who was chosen. Does not: the search itself
(``profiles.fingerprint``). All are compared, whatever the server: ``pgvector`` is not asked (docs/adr/0026).
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore, Lock
from typing import Any

import numpy as np
import pyarrow as pa
from cachetools import LRUCache

from quimbi_assets.errors import BadInputError, DatabaseUnavailableError, UnknownCustomerError
from quimbi_assets.profiles.fingerprint import Fingerprints, Neighbour
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.customers import stream, utc
from quimbi_assets.resources.postgres.tables.served import read_names

MOST_BYTES = 2**30
"""Memory that the fingerprints of all stores may take: those of four million customers, 238 bytes each."""
LOG = logging.getLogger(__name__)
MOST_WAITING = 16
"""Questions that may wait for a reading at once, of the 40 that a server's threads answer at a time."""
TRIES = 3
VECTORS = "SELECT customer_id, fingerprint FROM quimbi.customer_profiles WHERE store_id = %(store)s"
PUBLISHED = "SELECT max(publication_id) FROM quimbi.publications WHERE store_id = %s"
PEOPLE = """
    SELECT profile.customer_id, coalesce(profile.dominant_segments, '{}') AS dominant, profile.lifecycle,
        profile.value_tier, round(profile.lifetime_value::numeric, 2)::float8 AS value, profile.n_orders AS orders,
        profile.last_order_at, profile.churn_risk_score AS risk, archetype.name AS archetype
    FROM quimbi.customer_profiles AS profile
    LEFT JOIN quimbi.archetypes AS archetype ON archetype.store_id = profile.store_id
        AND archetype.archetype_id = profile.archetype_id AND archetype.valid_to IS NULL
    WHERE profile.store_id = %(store)s AND profile.customer_id = ANY(%(ids)s)
"""


@dataclass(frozen=True)
class SimilarCustomer:
    """A customer beside the one asked about."""

    customer_id: str
    likeness: float
    """0-1 (``fingerprint.Neighbour``)."""
    distance: float
    lifecycle: str | None
    value_tier: str | None
    value: float | None
    orders: int | None
    last_order_at: datetime | None
    risk: float | None
    archetype: str | None
    shared_axes: list[str]
    """Axes on which both are in the same segment above all others: those of ``Similar.segments``."""
    other_segments: dict[str, str]
    """By axis on which they differ, the name of this customer's segment."""


@dataclass(frozen=True)
class Similar:
    """A customer, the names of their segments by axis that is not weak, and the customers most like them."""

    customer_id: str
    segments: dict[str, str]
    customers: list[SimilarCustomer]


class SimilarCustomers:
    """Finds the customers most like one; a store's fingerprints stay in memory until its next publication.

    Threads may share it. To read a store's fingerprints takes 10 s for a million customers: once a publication. They
    are read over a connection of ``database``, while whoever asks has none: other stores are answered meanwhile.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: LRUCache[str, tuple[int, Fingerprints]] = LRUCache(MOST_BYTES, lambda one: one[1].nbytes)
        self._lock, self._reading = Lock(), defaultdict[str, Lock](Lock)
        self._waiting = BoundedSemaphore(MOST_WAITING)

    def find(
        self, snapshot: Callable[[], AbstractContextManager[Database]], store_id: str, customer_id: str, limit: int = 10
    ) -> Similar:
        """Return the customers most like one, nearest first; fewer where the store has no more.

        ``snapshot`` opens the database as of one instant, twice: nothing is open while fingerprints are read.
        BadInputError if the store was not run yet; UnknownCustomerError if it has no profile of the customer;
        DatabaseUnavailableError if too many wait, or whenever it looks another result is published.
        """
        with snapshot() as now:
            published = _publication(now, store_id)
        stale = None
        for _ in range(TRIES):
            read = self._fingerprints(store_id, published, stale)
            try:
                near = read[1].nearest(customer_id, limit)
            except KeyError:
                raise UnknownCustomerError(f"store {store_id} has no profile of customer {customer_id}") from None
            with snapshot() as now:
                published, names = _publication(now, store_id), _names(now, store_id)
                people = _people(now, store_id, [customer_id, *(one.customer_id for one in near)])
            if published == read[0] and len(people) > len(near):
                asked = _segments(people[customer_id]["dominant"], names)
                beside = [_beside(asked, people[one.customer_id], one, names) for one in near]
                return Similar(customer_id, asked, beside)
            stale = read  # a result was published since all were read, or somebody's profile erased
        raise DatabaseUnavailableError(f"results of store {store_id} change while they are read; try again")

    def _fingerprints(
        self, store_id: str, published: int, stale: tuple[int, Fingerprints] | None
    ) -> tuple[int, Fingerprints]:
        """Return a publication, this or a later one, and its fingerprints, not the ``stale`` ones.

        Whoever asks while they are read waits for that reading.
        """
        usable = self._usable(store_id, published, stale)
        if usable is not None:
            return usable
        if not self._waiting.acquire(blocking=False):
            raise DatabaseUnavailableError(f"customers of store {store_id} are being read and many wait; try again")
        try:
            with self._reading[store_id]:
                usable = self._usable(store_id, published, stale)
                return usable or self._read(store_id)
        finally:
            self._waiting.release()

    def _usable(
        self, store_id: str, published: int, stale: tuple[int, Fingerprints] | None
    ) -> tuple[int, Fingerprints] | None:
        with self._lock:
            held = self._held.get(store_id)
        return held if held is not None and held[0] >= published and held is not stale else None

    def _read(self, store_id: str) -> tuple[int, Fingerprints]:
        """Read a store's fingerprints as they are published now, and keep them if there is room for so many."""
        with self._database.snapshot(store_id) as at:
            read = _publication(at, store_id), read_fingerprints(at, store_id)
        if read[1].nbytes > MOST_BYTES:
            size = f"the fingerprints of store {store_id} take {read[1].nbytes:,} bytes, more than {MOST_BYTES:,}"
            LOG.warning("%s: they are read anew for every question about similar customers", size)
        else:
            with self._lock:
                self._held[store_id] = read
        return read


def read_fingerprints(database: Database, store_id: str) -> Fingerprints:
    """Read the fingerprints of all of a store's customers, batch by batch into one matrix."""
    ids, parts = [], []
    for batch in stream(database, store_id, VECTORS, {"store": store_id}):
        ids += batch["customer_id"].chunks
        parts += [chunk.flatten().to_numpy() for chunk in batch["fingerprint"].chunks]
    flat = np.concatenate(parts, dtype=np.float32) if parts else np.empty(0, dtype=np.float32)
    customer_ids = pa.chunked_array(ids, pa.string()).combine_chunks()
    return Fingerprints(customer_ids, flat.reshape(len(customer_ids), -1 if len(flat) else 0))


def _publication(now: Database, store_id: str) -> int:
    ((publication,),) = now.execute(store_id, PUBLISHED, (store_id,))
    if publication is None:
        from quimbi_assets.resources.postgres.tables.stores import read_store  # imports pandas, 0.3 s

        read_store(now, store_id)
        raise BadInputError(f"store {store_id} has no profiles yet; compute them: quimbi run --store-id {store_id}")
    return int(publication)


def _names(now: Database, store_id: str) -> dict[str, dict[str, str]]:
    """Return names of segments by axis and id, of axes that are not weak: on those nobody can be told from chance."""
    names, statuses = read_names(now, store_id)
    return {axis: of_axis for axis, of_axis in names.items() if statuses[axis] == "active"}


def _people(now: Database, store_id: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the rows of :data:`PEOPLE` by customer."""
    with utc(now, store_id) as cursor:
        cursor.execute(PEOPLE, {"store": store_id, "ids": ids})
        columns = [column.name for column in cursor.description]
        return {row[0]: dict(zip(columns, row, strict=True)) for row in cursor.fetchall()}


def _segments(dominant: dict[str, str], names: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the names of dominant segments by axis."""
    return {axis: of_axis[dominant[axis]] for axis, of_axis in names.items() if dominant.get(axis) in of_axis}


def _beside(
    asked: dict[str, str], person: dict[str, Any], near: Neighbour, names: dict[str, dict[str, str]]
) -> SimilarCustomer:
    """Say of a neighbour how alike it is, who it is, and where both belong."""
    facts = {name: fact for name, fact in person.items() if name != "dominant"}
    segments = _segments(person["dominant"], names)
    shared = [axis for axis, name in segments.items() if asked.get(axis) == name]
    return SimilarCustomer(
        likeness=round(near.likeness, 4),
        distance=round(near.distance, 4),
        shared_axes=shared,
        other_segments={axis: name for axis, name in segments.items() if axis not in shared},
        **facts,
    )
