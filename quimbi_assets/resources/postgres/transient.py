"""Which faults pass by themselves: a server that restarts, a connection that breaks, a lock that two runs want.

Belongs here: telling them from others. Does not: trying again (``defs.retries``).
"""

from collections.abc import Iterator

import psycopg2

SERIALIZATION, DEADLOCK, TOO_MANY, SHUTTING_DOWN = "40001", "40P01", "53300", "57P"
"""PostgreSQL's codes of faults that another try may not meet (the last one begins three)."""


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: the error, or one that it was raised from, is of the connection or the moment.

    Examples
    --------
    >>> is_transient(psycopg2.OperationalError("server closed the connection unexpectedly"))
    True
    >>> is_transient(ValueError("no such column"))
    False
    """
    return any(_passes(cause) for cause in _causes(error))


def _passes(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError | psycopg2.InterfaceError):
        return True
    if not isinstance(error, psycopg2.Error):
        return False
    if error.pgcode is None:
        return isinstance(error, psycopg2.OperationalError)
    return error.pgcode in (SERIALIZATION, DEADLOCK, TOO_MANY) or error.pgcode.startswith(SHUTTING_DOWN)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and what libraries keep of it (SQLAlchemy's ``orig``)."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__, getattr(found, "orig", None)]
