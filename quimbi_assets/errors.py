"""Every error of this package, each with a message that a person can act on.

Belongs here: errors. Does not: rows that are refused one by one, which are data (``ingest.prepare``).
"""


class BadInputError(ValueError):
    """A file, an option or a name that cannot be used; the message is one line: what, where, how to mend it.

    >>> raise BadInputError("orders.csv has no rows")
    Traceback (most recent call last):
        ...
    quimbi_assets.errors.BadInputError: orders.csv has no rows
    """


class UnknownStoreError(BadInputError):
    """No orders were ever loaded for a store of that name."""


class StoreBusyError(BadInputError):
    """Somebody else runs the store; the message says who and since when."""


class UnknownAxisError(BadInputError):
    """An axis was asked for that does not exist; the message lists those that do."""


class InactiveAxisError(ValueError):
    """An axis has nothing to segment for this store: no failure of the run; the message, for people, is the reason."""


class InsufficientHistoryError(ValueError):
    """A store's past is not enough to learn from; the message says why, as a clause that people read."""


class DatabaseUnavailableError(RuntimeError):
    """The database cannot be reached or prepared; the message is one line: what, where, how to mend it."""


class EngineFailedError(RuntimeError):
    """An engine outside this process gave up; the message is one line: its reason."""
