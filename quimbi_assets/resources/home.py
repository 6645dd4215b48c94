"""Where a project keeps its files: ``$QUIMBI_HOME``, or ``.quimbi`` in the working directory.

Belongs here: paths. Does not: what is stored under them.
"""

import os
from pathlib import Path

from quimbi_assets.errors import BadInputError


def quimbi_home() -> Path:
    """Return the absolute path of the project's home directory, created if missing."""
    chosen = os.environ.get("QUIMBI_HOME") or ".quimbi"
    return directory(Path(chosen).expanduser().absolute())


def pages_file() -> Path:
    """Return the file that holds the address of the stores' pages while they are served from this home."""
    return quimbi_home() / "pages_address"


def home_catalogue() -> Path | None:
    """Return the catalogue of actions that the project has of its own, None if it goes by the one that comes along."""
    path = quimbi_home() / "catalogue.yaml"
    return path if path.exists() else None


def directory(path: Path, setting: str = "QUIMBI_HOME") -> Path:
    """Return `path`, created with its parents if missing; BadInputError if it is then no writable directory."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file is in the way" if isinstance(error, FileExistsError) else error.strerror
        raise BadInputError(f"cannot create {path}: {reason}; point {setting} at a directory you own") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise BadInputError(f"cannot write to {path}; point {setting} at a directory you own")
    return path
