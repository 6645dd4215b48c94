"""A whole installation in one file, and back: the three databases, and the files of the home.

Belongs here: what is in a backup, writing it, putting it into an empty home. Does not: who may meanwhile do what
(``commands.upkeep`` holds every store's right to be run), tables kept outside of the home (``QUIMBI_STORAGE_URL``).

A tar file that only its owner reads, since it holds all customers and the stores' keys: ``databases/*.dump`` as
``pg_dump`` writes them, ``home/...``, and, last, ``manifest.json`` with the SHA-256 of each. One without a manifest was
not written to its end.
"""

import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import psycopg2

from quimbi_assets.errors import BadInputError, DatabaseUnavailableError
from quimbi_assets.resources.home import BEGUN, directory, private_file, quimbi_home
from quimbi_assets.resources.postgres.access import allow_reading, allow_serving
from quimbi_assets.resources.postgres.database import EVERY_STORE, LOCK, Database, client_command, new_databases
from quimbi_assets.resources.postgres.migrations import EVERYBODY, HEAD, OPERATOR, ROLES, secure, upgrade
from quimbi_assets.resources.postgres.server.files import binary

MANIFEST, FORMAT = "manifest.json", 1
ARTIFACTS = "mlartifacts"
"""Folder of MLflow's artifacts below the home; MLflow knows each by its whole address."""
NOT_KEPT = ("postgres", "postgres.*", "dagster", "logs", "pages_address", BEGUN.parts[0], "*.lock", "*.partial")
"""Of a home: the server's own files, and what is made anew."""
DUMPS = {f"databases/{name}.dump" for name in ("quimbi", "dagster", "mlflow")}
UNKNOWN_BEFORE_17 = b"SET transaction_timeout = 0;"
"""What ``pg_restore`` sets on every server, and an earlier one refuses."""
FACTS = {"format": int, "made_at": str, "schema": str, "stores": list, "roles": list, "artifacts": str, "files": dict}
"""What a manifest says, and the types of that."""
ADDRESSES = """
    SELECT format('UPDATE %I SET %I = %%(new)s || substr(%I, length(%%(old)s) + 1) WHERE starts_with(%I, %%(old)s)',
        table_name, column_name, column_name, column_name)
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type IN ('text', 'character varying')
"""
"""Changes, column by column, that let MLflow's addresses of files lead into another home."""


def write_backup(database: Database, path: Path) -> dict[str, Any]:
    """Write everything into a new file and return its manifest; the file is there whole, or not at all."""
    home = quimbi_home()
    sums: dict[str, str] = {}
    if path.is_relative_to(home):
        raise BadInputError(f"{path} is in the home, and would be in the next backup itself: write it elsewhere")
    _sweep(path)
    with private_file(path) as file, tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".partial", dir=path.parent) as folder:
            for dump in _dumps(database, Path(folder)):
                sums[f"databases/{dump.name}"] = _add(tar, dump, f"databases/{dump.name}")
        for one in _files_of(home):
            name = f"home/{one.relative_to(home).as_posix()}"
            sums[name] = _add(tar, one, name)
        manifest = _facts(database, home) | {"files": sums}
        text = json.dumps(manifest, indent=1).encode()
        about = tarfile.TarInfo(MANIFEST)
        about.size, about.mode = len(text), 0o600
        tar.addfile(about, BytesIO(text))
    return manifest


def _sweep(path: Path) -> None:
    """Remove what a killed backup into the same file left half written: nobody else writes it now."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def restore_backup(path: Path) -> dict[str, Any]:
    """Put a backup into the home, which has to be empty, and return its manifest.

    Killed in the middle, it can be called again. BadInputError if the file is no backup, damaged, or of a newer
    version than this one, or if there is something already.
    """
    home, which = quimbi_home(), _sum(path)
    begun = home / BEGUN
    unpacked = begun.parent
    mark = begun.read_text() if begun.is_file() else ""
    is_resumed = bool(mark) and mark.startswith(which)
    if not is_resumed and any(one != unpacked for one in home.iterdir()):
        raise BadInputError(f"{home} is not empty: restore into a new folder, QUIMBI_HOME=/path/of/another quimbi ...")
    if not is_resumed:
        begun.unlink(missing_ok=True)
    _clear(unpacked)
    manifest = _unpack(path, unpacked)
    if not is_resumed:
        _note(begun, which)  # from here on what is there is of this restoration: a server that is being made
    try:
        empty = new_databases()
    except (BadInputError, DatabaseUnavailableError):
        if not is_resumed and [*home.iterdir()] == [unpacked]:  # nothing was made anywhere
            shutil.rmtree(unpacked)
        raise
    wanted = f"{which} {hashlib.sha256(empty.libpq_url.encode()).hexdigest()}"
    if mark != wanted and _has_stores(empty):
        is_elsewhere = mark not in ("", which)
        (_clear if is_elsewhere else shutil.rmtree)(unpacked)
        raise BadInputError(
            "the database of DATABASE_URL has stores already: restore into one that is empty"
            + "; the restore that was begun here is into another, and is ended with that address" * is_elsewhere
        )
    _note(begun, wanted)  # and these databases may be of the backup
    _restore_databases(empty, unpacked / "databases", manifest)
    for one in sorted((unpacked / "home").glob("*")):
        shutil.rmtree(home / one.name, ignore_errors=True)
        one.replace(home / one.name)
    shutil.rmtree(unpacked)
    return manifest


def _note(begun: Path, text: str) -> None:
    with private_file(begun) as file:
        file.write(text.encode())


def _clear(unpacked: Path) -> None:
    """Remove what was unpacked, but not the mark of what was begun."""
    for half in (unpacked / "home", unpacked / "databases"):
        shutil.rmtree(half, ignore_errors=True)
    if not (unpacked / BEGUN.name).exists():
        shutil.rmtree(unpacked, ignore_errors=True)


def _has_stores(database: Database) -> bool:
    with database.by_owner() as cursor:
        cursor.execute("SELECT to_regclass('quimbi.stores') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def _unpack(path: Path, unpacked: Path) -> dict[str, Any]:
    """Unpack a backup and return its manifest; BadInputError, nothing being left, if it is none or damaged."""
    try:
        with tarfile.open(path) as tar:
            manifest = _manifest(tar, path)
            members = [one for one in tar.getmembers() if one.isreg() and one.name in manifest["files"]]
            tar.extractall(directory(unpacked), members, filter="data")
        for name, wanted in manifest["files"].items():
            if not (unpacked / name).is_file() or _sum(unpacked / name) != wanted:
                raise BadInputError(f"{path} is damaged at {name}; nothing was restored")
    except (tarfile.TarError, OSError) as error:
        _clear(unpacked)
        reason = (isinstance(error, OSError) and error.strerror) or "it is no tar file, or damaged"
        raise BadInputError(f"{path} cannot be read as a backup: {reason}") from error
    except BadInputError:
        _clear(unpacked)
        raise
    return manifest


def _restore_databases(empty: Database, dumps: Path, manifest: dict[str, Any]) -> None:
    """Bring the databases back, the store's last: until then there is no store."""
    with empty.by_owner() as cursor:
        cursor.execute(ROLES)  # policies name them
    for name, url in reversed(empty.libpq_urls.items()):
        _restore_database(url, dumps / f"{name}.dump")
    old, new = manifest["artifacts"], (quimbi_home() / ARTIFACTS).as_uri()
    with closing(psycopg2.connect(empty.libpq_urls["mlflow"])) as connection, connection, connection.cursor() as cursor:
        cursor.execute(ADDRESSES)
        for (change,) in cursor.fetchall():
            cursor.execute(change, {"old": old, "new": new})
    upgrade(empty.url, LOCK)
    with empty.by_owner() as cursor:
        secure(cursor)
    allow_reading(empty)
    allow_serving(empty)


def _restore_database(url: str, dump: Path) -> None:
    """Bring a database back in one transaction, on a server of an earlier version, too."""
    reading = [str(binary("pg_restore")), "--clean", "--if-exists", "--no-owner", "--no-acl", "--file=-", str(dump)]
    writing, environment = client_command("psql", url, "-c client_min_messages=error")
    writing += ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(reading, stdout=subprocess.PIPE, stderr=errors) as script,
        subprocess.Popen(writing, stdin=subprocess.PIPE, stderr=errors, env={**os.environ, **environment}) as session,
    ):
        assert script.stdout is not None
        assert session.stdin is not None
        with suppress(BrokenPipeError):  # the server's client says why
            session.stdin.write(b"BEGIN;\n")
            for line in script.stdout:
                if line.strip() != UNKNOWN_BEFORE_17:
                    session.stdin.write(line)
                if line.startswith(b"SELECT "):  # settings are over: what follows may be a shop's own words
                    break
            shutil.copyfileobj(script.stdout, session.stdin, 1 << 20)
            if not script.wait():  # half of a script is not to stay
                session.stdin.write(b"COMMIT;\n")
        with suppress(BrokenPipeError):  # what is still to be written goes nowhere, and is not tried again
            session.stdin.close()
        script.stdout.close()
        codes = script.wait(), session.wait()
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    if any(codes):
        raise DatabaseUnavailableError(f"the restore of {dump.stem} failed: {_reason(text, max(codes))}")


def _facts(database: Database, home: Path) -> dict[str, Any]:
    stores = database.execute(EVERY_STORE, "SELECT store_id FROM quimbi.stores ORDER BY 1")
    return {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "schema": HEAD,
        "stores": [store for (store,) in stores],
        "roles": list(EVERYBODY),
        "artifacts": (home / ARTIFACTS).as_uri(),
    }


def _manifest(tar: tarfile.TarFile, path: Path) -> dict[str, Any]:
    member = next((one for one in tar.getmembers() if one.name == MANIFEST), None)
    content = None if member is None else tar.extractfile(member)
    try:
        manifest: dict[str, Any] = {} if content is None else json.loads(content.read())
        is_ours = {name: type(manifest[name]) for name in FACTS} == FACTS and set(manifest["files"]) >= DUMPS
    except (ValueError, LookupError, TypeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise BadInputError(f"{path} is no backup, or was not written to its end: it has no {MANIFEST} of ours")
    if manifest["format"] > FORMAT or manifest["schema"] > HEAD:
        raise BadInputError(f"{path} was made by a newer version (schema {manifest['schema']}, here {HEAD}): update")
    return manifest


def _dumps(database: Database, folder: Path) -> Iterator[Path]:
    """Write the databases one after the other, each as it is at an instant."""
    for name, url in database.libpq_urls.items():
        path = folder / f"{name}.dump"
        whose = [f"--role={OPERATOR}", "--enable-row-security"] if name == "quimbi" else []  # who reads all stores
        _run("pg_dump", url, ["--format=custom", f"--file={path}", *whose])
        yield path
        path.unlink()


def _run(program: str, url: str, options: list[str]) -> None:
    command, environment = client_command(program, url)
    done = subprocess.run(
        [*command, *options], check=False, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        reason = _reason(done.stderr, done.returncode)
        if -done.returncode == signal.SIGXFSZ:
            reason = "its file would be larger than files may be here (ulimit -f)"
        raise DatabaseUnavailableError(f"{program} failed: {reason}")


def _reason(text: str, code: int) -> str:
    """Return the line of a client of the server that says why it ended, which is seldom the last."""
    lines = text.strip().splitlines()
    telling = [line for line in lines if re.search("error|fatal", line, re.IGNORECASE)]
    return [f"exit code {code}", *lines[-1:], *telling[:1]][-1]


def _files_of(home: Path) -> list[Path]:
    """Return the files of a home that a backup has, in order."""
    files = (path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(
        path
        for path in files
        if not any(Path(part).match(pattern) for part in path.relative_to(home).parts[:1] for pattern in NOT_KEPT)
        and not path.match("*.partial")
    )


class _Summed:
    """A file that is read once, and its SHA-256."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sum = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sum.update(data)
        return data


def _add(tar: tarfile.TarFile, path: Path, name: str) -> str:
    with path.open("rb") as file:
        about = tar.gettarinfo(arcname=name, fileobj=file)
        about.uid = about.gid = 0
        about.uname = about.gname = ""
        summed: Any = _Summed(file)
        tar.addfile(about, summed)
    return str(summed.sum.hexdigest())


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
