"""The one error that means "what you gave cannot be used", for every stage.

Belongs here: the error. Does not: row-level refusals, which are data (see ``prepare``).
"""


class BadInputError(ValueError):
    """A file, an option or a name that cannot be used; the message is one line: what, where, how to mend it.

    Examples
    --------
    >>> raise BadInputError("orders.csv has no rows")
    Traceback (most recent call last):
        ...
    quimbi_assets.orders.errors.BadInputError: orders.csv has no rows
    """
