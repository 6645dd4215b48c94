"""Files in buckets and on web servers: which an address means, their state, and a copy for as long as a load runs.

Belongs here: ``s3://``, ``gs://``, ``https://``, ``http://``. Does not: what a file holds (``ingest.files``), what was
loaded before (``postgres.pulling``).

A load goes through its files more than once, so that each is fetched once, whole, into a temporary folder: what is
read is of one moment, and read as a file of this machine is. Credentials come from the environment, as the vendors'
own programs take them. An address is shown without what follows ``?``, which may be a signature.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from glob import glob
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from quimbi_assets.errors import BadInputError

if TYPE_CHECKING:
    import httpx2
    from pyarrow import fs

BUCKETS, WEB = ("s3://", "gs://"), ("https://", "http://")
SCHEMES = (*BUCKETS, *WEB)
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or ~/.aws",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
}
CONNECT_SECONDS, ANSWER_SECONDS = 15, 60
TRIES = 3
GOOGLE_SECONDS = 20
"""For how long Google's client tries again; 15 minutes if it is not told."""
FETCHED_AT_ONCE = 8
LEFT_FREE = 1 << 30
"""Bytes of the temporary folder's disk that no copy takes."""
LONGEST_REASON = 200
LOOK = "look at the address and the network"
_SUFFIXES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".jsonl", ".ndjson")
"""Of files that are what their name says, whatever a server calls them."""
_PATTERN = re.compile(r"[*?\[]")
_ADDRESS = re.compile(r"^\s*\w+=|^\s*[A-Za-z][\w+.-]+:|://|:.*@|[?&]\w+=")
"""What begins as an address or a setting does, or holds a password as one does, well written or not."""


def is_remote(place: str | Path) -> bool:
    """Whether a place is an address that is read here."""
    return isinstance(place, str) and place.lower().startswith(SCHEMES)


def is_address(place: str | Path) -> bool:
    """Whether a place looks like an address, of whatever kind and however written, and is no file of this machine.

    >>> is_address("postgres:ann:s3cret@shop"), is_address("ann:s3cret@shop/db"), is_address("orders/*.csv")
    (True, True, False)
    """
    return bool(_ADDRESS.search(str(place))) and not _exists(place)


def _exists(place: str | Path) -> bool:
    """Whether a file of this machine, or one that a pattern means, is there; an error would show what it was asked."""
    try:
        path = Path(place).expanduser()
        return path.exists() or bool(glob(str(path)))
    except (OSError, RuntimeError, ValueError):
        return False


def shown(place: str | Path) -> str:
    """Return a place as it may be shown and stored.

    >>> shown("https://shop.example/orders.csv?signature=s3cret"), shown("s3://shop/orders/*.csv")
    ('https://shop.example/orders.csv', 's3://shop/orders/*.csv')
    """
    return re.split(r"[?#]", place)[0] if isinstance(place, str) and place.lower().startswith(WEB) else str(place)


def check_place(place: str | Path) -> None:
    """Refuse, with a ``BadInputError``, what is no file or pattern and no address that can be read.

    An address that is refused for what it holds, such as a password, is not shown.
    """
    if is_remote(place):
        _checked(str(place))
    elif is_address(place):
        raise BadInputError(f"there is no such file, and addresses of files begin with {', '.join(SCHEMES)}")
    elif not _PATTERN.search(str(place)) and not _exists(place):
        raise BadInputError(f"no such file: {place}")


def _checked(address: str) -> tuple[str, str, str]:
    """Return the scheme, host or bucket, and path of an address; of web addresses the path is the last part's."""
    scheme = address.partition("://")[0].lower()
    web = scheme in ("http", "https")
    example = "host/orders.csv" if web else "bucket/orders/*.parquet"
    names_no_file = BadInputError(f"an address {scheme}://... that names no file: it is to be as {scheme}://{example}")
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets, as of IPv6, that nothing closes
        raise names_no_file from None
    # A key may hold a slash, before which the host seems to end: s3://KEY:a/b@bucket.
    if "@" in parts.netloc or (not web and (":" in parts.netloc or re.search(r"[?&]\w+=", address))):
        means = "" if web else f"; credentials come from the environment: {CREDENTIALS[scheme]}"
        raise BadInputError(f"an address {scheme}://... may hold no user, password or setting{means}")
    try:
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not parts.hostname or not has_port or (not web and not parts.path.strip("/")):
        raise names_no_file
    if web and "*" in parts.path:
        raise BadInputError(f"{shown(address)}: a web server does not list its files: name one file, without *")
    if web:
        return scheme, parts.netloc, unquote(parts.path)
    bucket, _, key = address.partition("://")[2].partition("/")
    return scheme, bucket, key


def state_of(address: str, called: str | None = None) -> dict[str, str]:
    """Return, by the files of an address, what changes when they do: sizes and times of change, or an entity tag.

    BadInputError, in which the address is `called` something else if it may not be shown, if they cannot be read.
    """
    called = called or shown(address)
    scheme, _, _ = _checked(address)
    if scheme in ("s3", "gs"):
        _, files = _of_bucket(address, called)
        return {file.path: f"{file.size} {file.mtime_ns}" for file in files}
    with _answer(address, called) as answer:
        tag, changed = (answer.headers.get(name, "") for name in ("etag", "last-modified"))
        if not tag and not changed:
            digest = sha256()
            for part in answer.iter_bytes():
                digest.update(part)
            tag = digest.hexdigest()
        asked = "" if tag else sha256(address.encode()).hexdigest()
        return {shown(address): " ".join((tag, changed, asked, answer.headers.get("content-length", "")))}


def local_copy(place: str | Path, opened: ExitStack, called: str | None = None) -> str | Path:
    """Return a path or pattern of copies, kept while `opened` is, of what an address means; a place here as it is.

    BadInputError as of ``state_of``, and if there is no room for them.
    """
    if not is_remote(place):
        return place
    copies = list(_copies(str(place), opened, called or shown(place)).values())
    is_pattern = str(place).lower().startswith(BUCKETS) and _PATTERN.search(str(place))
    return copies[0].parents[1] / "*" / "*" if is_pattern else copies[0]


def local_files(place: str, names: Sequence[str], opened: ExitStack, called: str) -> dict[str, Path]:
    """Return some of the files that a place means, by their names in ``state_of``, copied as by ``local_copy``."""
    if not is_remote(place) or not names:
        return {name: Path(name) for name in names}
    return _copies(place, opened, called, names)


def _copies(address: str, opened: ExitStack, called: str, names: Sequence[str] | None = None) -> dict[str, Path]:
    """Return copies of an address's files by name, of all or of some."""
    scheme, _, path = _checked(address)
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="quimbi-load-")))
    if scheme in ("http", "https"):
        return {shown(address): _downloaded(address, called, folder / _name(path))}
    system, files = _of_bucket(address, called)
    files = [file for file in files if names is None or file.path in names]
    _check_room(sum(file.size for file in files), called, folder)
    copies = [folder / f"{number:06}" / _name(file.path) for number, file in enumerate(files)]
    try:
        _fetch(system, [file.path for file in files], copies)
    except OSError as error:
        raise _unreadable(error, called, scheme) from None
    return {file.path: copy for file, copy in zip(files, copies, strict=True)}


def _check_room(size: int, called: str, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free - LEFT_FREE:
        raise BadInputError(
            f"cannot read {called}: at least {size / 1e9:,.1f} GB, and {tempfile.gettempdir()} has {free / 1e9:,.1f} "
            "free: set TMPDIR to a folder with more room"
        )


def _of_bucket(address: str, called: str) -> "tuple[fs.FileSystem, list[fs.FileInfo]]":
    """Return the files of a bucket that an address means, by name, and what reads them."""
    from fsspec.utils import glob_translate
    from pyarrow import fs

    scheme, bucket, key = _checked(address)
    try:
        system = _s3(bucket) if scheme == "s3" else _google()
        path = f"{bucket}/{key}"
        if begin := _PATTERN.search(path):
            folder, _, rest = path[: begin.start()].rpartition("/")
            deep = "/" in rest + path[begin.start() :] or "**" in path
            there = system.get_file_info(fs.FileSelector(folder, recursive=deep))
        else:
            there = [system.get_file_info(path)]
    except FileNotFoundError:
        there = []
    except OSError as error:
        raise _unreadable(error, called, scheme) from None
    fits = re.compile(glob_translate(path) if _PATTERN.search(path) else re.escape(path))
    files = [file for file in there if file.type == fs.FileType.File and fits.fullmatch(file.path)]
    if not files:
        raise BadInputError(f"no such file: {called}")
    return system, sorted(files, key=lambda file: file.path)


def _s3(bucket: str) -> "fs.FileSystem":
    """Return S3, or what speaks its language at the address of the environment."""
    from pyarrow import fs

    at = next((os.environ[name] for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") if os.environ.get(name)), "")
    scheme, _, host = at.rpartition("://")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(
        endpoint_override=host.rstrip("/") or None,
        scheme=scheme or "https",
        region=region or (None if at else fs.resolve_s3_region(bucket)),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=ANSWER_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
    )


def _google() -> "fs.FileSystem":
    from pyarrow import fs

    is_emulated = bool(os.environ.get("CLOUD_STORAGE_EMULATOR_ENDPOINT"))
    return fs.GcsFileSystem(anonymous=is_emulated, retry_time_limit=timedelta(seconds=GOOGLE_SECONDS))


def _fetch(system: "fs.FileSystem", paths: list[str], copies: list[Path]) -> None:
    """Copy files of a bucket, some at once."""
    from pyarrow import fs

    def copy(path: str, target: Path) -> None:
        target.parent.mkdir()
        fs.copy_files(path, str(target), source_filesystem=system, destination_filesystem=fs.LocalFileSystem())

    with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
        list(pool.map(copy, paths, copies))


def _unreadable(error: OSError, called: str, scheme: str) -> BadInputError:
    """Return why a bucket could not be read, as its client has it, short."""
    reason = " ".join(str(error).split())
    reason = re.split(r"AWS Error |with a last message of |google::cloud::Status\(", reason)[-1]
    reason = re.split(r" \(Request ID| error_info=|; Details:|\}\}\)|\. ", reason)[0][:LONGEST_REASON]
    if reason.startswith("NETWORK_CONNECTION"):
        return BadInputError(f"cannot read {called}: {reason}; {LOOK}")
    return BadInputError(
        f"cannot read {called}: {reason}; credentials come from the environment: {CREDENTIALS[scheme]}"
    )


@contextmanager
def _answer(address: str, called: str) -> "Iterator[httpx2.Response]":
    """Ask a web server; BadInputError where it does not give the file, also while the answer is read."""
    import httpx2

    try:
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        with httpx2.stream("GET", address, follow_redirects=True, timeout=timeout) as answer:
            if answer.status_code == 404:
                raise BadInputError(f"no such file: {called} (status 404)")
            if not answer.is_success:
                raise BadInputError(f"cannot read {called}: the server answers with status {answer.status_code}")
            yield answer
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        # The text of an error may hold the address.
        raise BadInputError(f"cannot read {called}: {_words(type(error).__name__)}; {LOOK}") from None


def _words(name: str) -> str:
    """Return the name of an error as words.

    >>> _words("ConnectTimeout"), _words("RemoteProtocolError")
    ('connect timeout', 'remote protocol error')
    """
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*", name)).lower()


def _name(path: str) -> str:
    """Return the name of a file's copy: its own, without signs of patterns."""
    return re.sub(r"[^\w.-]", "_", PurePosixPath(path).name)[-100:] or "file"


def _downloaded(address: str, called: str, target: Path) -> Path:
    with _answer(address, called) as answer:
        if "json" in answer.headers.get("content-type", "") and target.suffix.lower() not in _SUFFIXES:
            target = target.with_suffix(".json")
        size = answer.headers.get("content-length", "")
        _check_room(int(size) if size.isdecimal() else 0, called, target.parent)
        with target.open("wb") as file:
            for number, part in enumerate(answer.iter_bytes(1 << 20)):
                if number % 64 == 0:
                    _check_room(len(part), called, target.parent)
                file.write(part)
    return target
