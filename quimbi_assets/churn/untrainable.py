"""Why a store has no churn risk.

Belongs here: the exception that says so. Does not: when it is raised.
"""


class UntrainableError(ValueError):
    """A store's past is not enough to learn from; the message says why, as a clause that people read."""
