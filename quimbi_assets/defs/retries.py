"""Steps try again, with growing pauses, after faults that pass by themselves.

Belongs here: the decorator every asset's function has. Does not: which faults these are
(``postgres.database``).
"""

from collections.abc import Callable, Iterator
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import dagster as dg

from quimbi_assets.resources.postgres.database import is_transient

MOST_RETRIES = 3
FIRST_PAUSE_SECONDS = 2
GROWTH = 4


def retried(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Ask Dagster for another try after a passing fault: after 2, 8 and 32 seconds; other errors go through.

    Parameters
    ----------
    compute : callable
        An asset's function, ``context`` its first parameter; what it publishes, it publishes whole or not at all.
    """
    if isgeneratorfunction(compute):

        @wraps(compute)
        def generating(context: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from compute(context, *args, **kwargs)
            except Exception as error:
                _ask_for_another_try(context, error)
                raise

        return generating

    @wraps(compute)
    def returning(context: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return compute(context, *args, **kwargs)
        except Exception as error:
            _ask_for_another_try(context, error)
            raise

    return returning


def _ask_for_another_try(context: Any, error: Exception) -> None:
    if isinstance(error, dg.RetryRequested) or not is_transient(error):
        return
    pause = FIRST_PAUSE_SECONDS * GROWTH ** int(context.retry_number)
    raise dg.RetryRequested(max_retries=MOST_RETRIES, seconds_to_wait=pause) from error
