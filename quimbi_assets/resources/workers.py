"""Who does the work of many independent pieces: processes, or threads for a handful of customers.

Belongs here: when which, starting and stopping them. Does not: the work.

Fits and pictures are Python between short calls of numpy, so threads take turns at them: 13 axes of 27,415 customers
took as long on two threads as on one, and kept the main thread waiting. A process costs its imports, 2-3 s, once for
all (they are forked from one that has imported) and while the database answers. On two cores a run of 300 customers
took 18 s by processes and 25 s by threads, one of 800 took 20 and 28 s, one of 3,000 took 36 and 50 s.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from threading import Thread

from threadpoolctl import threadpool_limits

from quimbi_assets.engines import cores

WORTH_PROCESSES = 250
"""Customers from which processes start; fewer were not measured."""
IMPORTED = ["quimbi_assets.clustering.axis_fit", "matplotlib.figure", "matplotlib.backends.backend_agg"]
"""What the process that others are forked from imports."""
METHOD = "forkserver"


class WorkersKilledError(RuntimeError):
    """A process died without a word, as when the machine runs out of memory."""


def warm_up(n_customers: int) -> None:
    """Begin the imports of processes that ``workers`` will want for a store of this size; returns at once."""
    if _by_processes(n_customers):
        multiprocessing.get_context(METHOD).set_forkserver_preload(IMPORTED)
        forkserver.ensure_running()


@contextmanager
def workers(n_customers: int) -> Iterator[Executor]:
    """Open as many workers as there are cores; what is not begun when the block fails is dropped.

    Each piece of work sees one thread of numpy: with several, sums are taken in another order, and the last digits of a
    fit would depend on the machine. A process that is killed raises ``WorkersKilledError``.
    """
    pool: Executor = ThreadPoolExecutor(cores())
    if _by_processes(n_customers):
        context = multiprocessing.get_context(METHOD)
        context.set_forkserver_preload(IMPORTED)
        pool = ProcessPoolExecutor(cores(), mp_context=context, initializer=_begin)
    with threadpool_limits(1):
        try:
            yield pool
        except BrokenExecutor as error:
            raise WorkersKilledError(
                "a process that fits axes was killed, most likely because the machine ran out of memory; free some, or "
                "run fewer axes at once (--axes)"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _by_processes(n_customers: int) -> bool:
    possible = METHOD in multiprocessing.get_all_start_methods() and not multiprocessing.current_process().daemon
    return possible and cores() > 1 and n_customers >= WORTH_PROCESSES


def _begin() -> None:
    """Prepare a process: one thread of numpy; it ends with the process that waits, which alone hears the keyboard."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that waits for it is gone, killed too: else it waits for ever to be read."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
