"""The one way an axis says that a store's customers cannot be told apart on it."""


class InactiveAxisError(ValueError):
    """An axis has nothing to segment for this store.

    No failure of the run: the axis is inactive and the message, written for people, is the reason.
    """
