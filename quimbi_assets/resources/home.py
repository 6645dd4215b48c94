"""Where a project keeps its files: ``$QUIMBI_HOME``, or ``.quimbi`` in the working directory.

Belongs here: paths, and who may read them: nobody but who owns them. Does not: what is stored under them.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO
from urllib.parse import quote

from quimbi_assets.errors import BadInputError

PRIVATE = 0o077
"""Rights that nobody else has to what is made in a home, as a umask."""
OURS = ["dagster", "erasures", "keys", "logs", "mlartifacts", "reports", "storage", "pages_address"]
OURS += ["postgres.lock", "postgres.users", "postgres.log", "postgres.log.1"]
"""What a home may hold of ours; ``postgres`` is its server's, and closed by it."""
BEGUN = Path(".restoring", "begun")
"""Of a home that is being restored, from when there may be databases of the backup: which backup, and which databases.

What is unpacked waits beside it until the databases have arrived.
"""
PAGES_VARIABLE, DEFAULT_PAGES = "QUIMBI_PAGES_UI", "http://127.0.0.1:8000"


def quimbi_home() -> Path:
    """Return the absolute path of the project's home directory, created if missing."""
    home = directory(_chosen_home())
    _close(home)
    return home


def _chosen_home() -> Path:
    return Path(os.environ.get("QUIMBI_HOME") or ".quimbi").expanduser().absolute()


def refuse_half_restored(home: Path | None = None) -> None:
    """Raise a BadInputError if a restoration into a home, by default ``quimbi_home()``, was begun and has not ended."""
    home = home or _chosen_home()
    if (home / BEGUN).is_file():
        raise BadInputError(
            f"a restore into {home} was begun and has not ended: give the same command again (quimbi restore FILE), "
            "or take an empty folder"
        )


@cache
def _close(home: Path) -> None:
    """Take from others what they may do in a home, once a process; a folder that was there may be for more than this.

    A lock that others can open they can hold, and what waits for it would wait for ever.
    """
    for path in (home / name for name in OURS):
        with suppress(OSError):  # not there, or another user's
            mode = path.stat(follow_symlinks=False).st_mode
            if mode & PRIVATE and not path.is_symlink():
                path.chmod(mode & ~PRIVATE)


def project_text(name: str) -> str | None:
    """Return the text of one of the project's own files in the home, None if it has none.

    BadInputError if it cannot be read, or is no file: a pipe would be waited for, and with it whoever writes a ticket.
    """
    path = quimbi_home() / name
    try:
        if path.is_symlink() and not path.exists():
            raise BadInputError(f"cannot read {path}: it is a link to what is not there")
        if path.exists() and not path.is_file():
            raise BadInputError(f"cannot read {path}: it is no regular file")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadInputError(f"cannot read {path}, line {line}: it is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error}") from error


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that nobody else may read, and that is there, whole, when the block ends well; else nothing is."""
    unready = path.with_name(f".{path.name}.{os.getpid()}.partial")
    unready.unlink(missing_ok=True)  # where others may write, one of theirs could stand there
    try:
        with open(os.open(unready, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unready.replace(path)
    finally:
        unready.unlink(missing_ok=True)


@contextmanager
def pages_noted(address: str) -> Iterator[None]:
    """Let others of this home know where its stores' pages are, for as long as the block runs."""
    path = _pages_file()
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # which ends with the process, however it ends
        path.write_text(address)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def noted_pages() -> str | None:
    """Return where stores' pages are served from this home, None if nobody does; who was killed left its note."""
    try:
        with _pages_file().open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:  # somebody holds it, so serves
        return _pages_file().read_text() or None
    return None


def _pages_file() -> Path:
    return quimbi_home() / "pages_address"


def pages_address() -> str:
    """Return where stores' pages are: as somebody says, else as whoever serves them from this home noted."""
    return (os.environ.get(PAGES_VARIABLE) or noted_pages() or DEFAULT_PAGES).rstrip("/")


def store_page(store_id: str) -> str:
    """Return the address of a store's live page."""
    return f"{pages_address()}/stores/{quote(store_id, safe='')}"


def home_catalogue() -> Path | None:
    """Return the catalogue of actions that the project has of its own, None if it goes by the one that comes along."""
    path = quimbi_home() / "catalogue.yaml"
    return path if path.exists() else None


def directory(path: Path, setting: str = "QUIMBI_HOME") -> Path:
    """Return `path`, created with its parents if missing, for its owner alone.

    BadInputError if it is then no writable directory.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file is in the way" if isinstance(error, FileExistsError) else error.strerror
        raise BadInputError(f"cannot create {path}: {reason}; point {setting} at a directory you own") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise BadInputError(f"cannot write to {path}; point {setting} at a directory you own")
    return path
