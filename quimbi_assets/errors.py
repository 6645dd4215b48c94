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


class FilterError(BadInputError):
    """A filter that cannot be used: what is wrong, and where in its text.

    ``start`` and ``end`` count characters of ``text`` from 0 on; ``pointed`` shows the place below the message.
    """

    def __init__(self, message: str, text: str, start: int, end: int) -> None:
        super().__init__(f"{message} (at character {start + 1})")
        self.text, self.start, self.end = text, start, max(end, start + 1)

    @property
    def pointed(self) -> str:
        """The line of the text that is meant, and marks below the place.

        >>> print(FilterError("no such field", "valu > 5", 0, 4).pointed)
        valu > 5
        ^^^^
        """
        before = self.text.rfind("\n", 0, self.start) + 1
        line = self.text[before:].split("\n", 1)[0]
        at = self.start - before
        return f"{line}\n{' ' * at}{'^' * max(min(self.end - before, len(line)) - at, 1)}"


class UnmeasuredError(FilterError):
    """A filter speaks of an axis that the store's data cannot answer: no mistake of who wrote it."""


class MissingColumnsError(BadInputError):
    """A file lacks columns that its table needs; ``guesses``: column → which of the file's may be it, or None."""

    def __init__(self, message: str, guesses: dict[str, str | None]) -> None:
        super().__init__(message)
        self.guesses = guesses


class UnknownStoreError(BadInputError):
    """No orders were ever loaded for a store of that name."""


class NeverRunError(BadInputError):
    """A store has none of what a run makes.

    >>> raise NeverRunError("mine", "segments")
    Traceback (most recent call last):
        ...
    quimbi_assets.errors.NeverRunError: store mine has no segments yet; compute them: quimbi run --store-id mine
    """

    def __init__(self, store_id: str, what: str) -> None:
        super().__init__(f"store {store_id} has no {what} yet; compute them: quimbi run --store-id {store_id}")


class UnknownCustomerError(BadInputError):
    """None of the customers who were asked for has a profile."""


class UnknownAudienceError(BadInputError):
    """A store has no audience of that name."""


class StoreBusyError(BadInputError):
    """Somebody else runs the store; the message says who and since when."""


class UnknownAxisError(BadInputError):
    """An axis was asked for that does not exist; the message lists those that do."""


class InactiveAxisError(ValueError):
    """An axis has nothing to segment for this store: no failure of the run; the message, for people, is the reason."""


class InsufficientHistoryError(ValueError):
    """A store's past is not enough to learn from; the message says why, as a clause that people read."""


class ServerBusyError(RuntimeError):
    """The server computes as much at once as it may; the message says to ask again."""


class DatabaseUnavailableError(RuntimeError):
    """The database cannot be reached or prepared; the message is one line: what, where, how to mend it."""


class ServiceUnavailableError(RuntimeError):
    """A service outside did not do what it was asked to; the message is one line: what, and how to go on."""


class EngineFailedError(RuntimeError):
    """An engine outside this process gave up; the message is one line: its reason."""
