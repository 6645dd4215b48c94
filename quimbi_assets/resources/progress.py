"""What a long command tells the person who waits: one line per finished step.

Belongs here: the resource that assets report to. Does not: how a terminal shows it (``commands.console``).
"""

from collections.abc import Callable

Listener = Callable[[str, float | None], None]


class Progress:
    """Receives a line per step from the assets; silent without a listener.

    Within Dagster's UI the same facts are the assets' metadata, so nothing is printed there. (A plain object: a
    configurable resource is built anew for a run and would lose its listener.)

    Parameters
    ----------
    listener : callable, optional
        Called with the message and the share of the whole run finished (0-1) or None.
    warner : callable, optional
        Called with a line that a person should act on.
    """

    def __init__(self, listener: Listener | None = None, warner: Callable[[str], None] | None = None) -> None:
        self._listener = listener
        self._warner = warner

    def step(self, message: str, done: float | None = None) -> None:
        """Report a step.

        Parameters
        ----------
        message : str
            What is being done, in the present tense.
        done : float, optional
            Share of the whole run finished, 0-1.
        """
        if self._listener is not None:
            self._listener(message, done)

    def warn(self, message: str) -> None:
        """Tell something that did not fail the run, and what to do about it, in one line."""
        if self._warner is not None:
            self._warner(message)
