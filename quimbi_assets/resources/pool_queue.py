"""Dagster's event log on PostgreSQL, with a queue for pools that loses nobody.

Belongs here: the one step of claiming a place in a pool that Dagster leaves open. Does not: which pools there are
(``dagster.yaml``), who gives places back when a run was killed (``instance.release_slots``).

Dagster 1.13 looks whether a pool has room, and then queues the step, in two transactions. Where the last place is given
back between the two, nobody is told of the step in the queue: it waits although the pool is empty, for ever.
"""

from collections.abc import Callable
from typing import Any

from dagster_postgres.event_log import PostgresEventLogStorage


class PoolQueueEventLogStorage(PostgresEventLogStorage):
    """An event log in which a step that waits looks again for room each time it asks.

    Attributes
    ----------
    on_wait : callable, optional
        Told the pool's name whenever a step asked and has to wait.
    """

    on_wait: Callable[[str], None] | None = None

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> Any:
        """Claim a place in a pool; called by a waiting step every second or so.

        Parameters
        ----------
        concurrency_key : str
            The pool.
        run_id, step_key : str
            Who asks.
        priority : int, optional
            Higher goes first.

        Returns
        -------
        ConcurrencyClaimStatus
        """
        status = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if not status.is_claimed and not status.is_assigned and self.has_unassigned_slots(concurrency_key):
            self.assign_pending_steps([concurrency_key])  # to the first of the queue, which need not be this step
            status = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if not status.is_claimed and self.on_wait is not None:
            self.on_wait(concurrency_key)
        return status
