"""Errors of the outside world, each with a message a person can act on.

Belongs here: errors. Does not: bad input (``quimbi_assets.orders.errors``).
"""


class DatabaseUnavailableError(RuntimeError):
    """The database cannot be reached or prepared; the message is one line: what, where, how to mend it."""
