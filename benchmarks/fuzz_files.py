"""Gives the readers files that are damaged at random, and files made up by rules, and holds what they say of them.

A file is taken, or refused in one line (``BadInputError``, exit 2 of the command); anything else, and more than
``SECONDS``, is a failure and printed. Of what is taken: accepted + refused + repeated = rows, and distinct customer ids
in = distinct ids out, row by row.

``--fuzzed 10000``: the exports of the tests, and Parquet and gzip made of them, with bytes flipped, pieces cut, doubled
and exchanged, and words put in that mean something to a reader. With ``--atheris`` (installed beside, it is no
dependency) its coverage of ``quimbi_assets.ingest`` leads the changes. ``--made 2000``: CSV, JSON lines and Parquet of
orders with odd ids, dates and amounts, from Hypothesis. ``--seed N`` gives the same files again; after
``--minutes M`` no more are damaged.
"""

import argparse
import csv
import gzip
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.cells import NULL_WORDS
from quimbi_assets.ingest.files import Table, open_table
from quimbi_assets.ingest.helpdesks import tickets_shaped
from quimbi_assets.ingest.keys import IdSet
from quimbi_assets.ingest.prepare import Preparation
from quimbi_assets.ingest.shapes import shaped, with_prices
from quimbi_assets.ingest.survey import survey
from quimbi_assets.ingest.tables import ORDER_ITEMS, ORDERS, SUPPORT_TICKETS

EXPORTS = Path(__file__).parents[1] / "quimbi_assets_tests" / "ingest" / "exports"
NOW = pd.Timestamp("2026-06-01", tz="UTC")
SECONDS = 120
TOKENS = (
    *(word.encode() for word in NULL_WORDS), b"\0", b"\r", b"\n", b"\r\n", b'"', b'""', b",", b";", b"\t", b"'", b"\\",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"PAR1", b"\x1f\x8b", b"1e999", b"-0.0", b"inf", b"0x1F", b"9" * 40,
    b"2024-02-30", b"31/12/2023", b"2024-01-01T00:00:00+14:00", b"9999-12-31", b"0001-01-01", b"[", b"]", b"{", b"}",
    b"null", b"\xe2\x80\xae", b"=1+1", "ünï".encode(), b" " * 300,
)  # fmt: skip
Outcome = str


@contextmanager
def _limited() -> Iterator[None]:
    """End what takes more than ``SECONDS``."""

    def ring(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judge(path: Path, spec: Any = ORDERS) -> tuple[Preparation, dict[int, tuple[Any, Any]]]:
    """Read a file as the load does; return what became of it, and (given, taken) customer id by row of orders.

    An export of lines is brought into its shape first, and the lines of a file of orders are read too.
    """
    with ExitStack() as opened:
        table, lines = opened.enter_context(open_table(path)), None
        if spec is ORDERS:
            table, lines, _ = shaped(table, "UTC", opened)
        elif spec is ORDER_ITEMS:
            table = with_prices(table)
        elif spec is SUPPORT_TICKETS:
            table = tickets_shaped(table, "UTC")
        preparation, pairs = _judged(table, spec, path.name)
        if lines is not None:
            _judged(lines, ORDER_ITEMS, path.name, IdSet.of(preparation.accepted_ids))
    return preparation, pairs


def _judged(
    table: Table, spec: Any, place: str, orders: IdSet | None = None
) -> tuple[Preparation, dict[int, tuple[Any, Any]]]:
    pairs: dict[int, tuple[Any, Any]] = {}
    known = survey(table, spec, place)
    preparation = Preparation(known, "UTC", NOW, known_orders=orders)
    n_rows = n_lines = 0
    for chunk in table.chunks(None):
        rows = chunk.frame.set_axis(pd.RangeIndex(n_rows, n_rows + len(chunk.frame)))
        prepared = preparation.prepare(chunk)
        n_rows, n_lines = n_rows + len(chunk.frame), n_lines + len(chunk.frame) + len(chunk.broken)
        if spec is ORDERS:
            given_ids = rows.loc[prepared.accepted.index, known.columns["customer_id"]]
            taken = prepared.accepted["customer_id"]
            pairs |= dict(zip(taken.index, zip(given_ids, taken, strict=True), strict=True))
    counted = preparation.n_accepted + preparation.n_refused + preparation.n_repeated
    if not (spec is ORDERS and known.is_export) and counted != n_lines:
        raise AssertionError(f"{n_lines} rows given, {counted} accounted for")
    return preparation, pairs


def outcome(path: Path, spec: Any) -> Outcome:
    """Return what became of a file: ``taken``, ``refused``, or the failure."""
    try:
        with _limited():
            judge(path, spec)
    except BadInputError as error:
        return "refused" if "\n" not in str(error) else f"refused in several lines: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return "taken"


def seeds() -> list[tuple[str, bytes, Any]]:
    """Return files to begin with: name, content, table."""
    files = []
    for path in sorted(EXPORTS.iterdir()):
        if path.suffix not in (".csv", ".txt", ".json") or "customers" in path.name or "products" in path.name:
            continue
        content, name = path.read_bytes(), path.name
        is_tickets = "zendesk" in name or "intercom" in name
        spec = SUPPORT_TICKETS if is_tickets else ORDER_ITEMS if name == "square_items.csv" else ORDERS
        files += [(name, content, spec)] * 3  # damage to what is packed is mostly seen before a row is read
        if path.suffix == ".csv":
            files += [(f"{name}.gz", gzip.compress(content, mtime=0), spec)]
            with suppress(pa.ArrowInvalid):
                sink = pa.BufferOutputStream()
                pq.write_table(pacsv.read_csv(io.BytesIO(content)), sink)
                files += [(f"{path.stem}.parquet", sink.getvalue().to_pybytes(), spec)]
    return files


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return a file's content with one to eight changes, mostly few."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 2, 8, 64, 512)))
        match chance.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at:at] = chance.choice(TOKENS)
            case 2:
                data[at:end] = chance.choice(TOKENS)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end] * chance.choice((1, 2, 30))
            case _:
                other = chance.randrange(len(data) + 1)
                data[at:end] = data[other : other + end - at]
    return bytes(data)


def fuzz(
    n: int, number: int, folder: Path, seconds: float = float("inf")
) -> tuple[Counter[Outcome], dict[Outcome, Path]]:
    """Damage files and read them, no longer than so many seconds.

    Returned are the outcomes, and by each that is none of the two allowed the first such file.
    """
    end = time.monotonic() + seconds
    chance, files = random.Random(number), seeds()
    outcomes: Counter[Outcome] = Counter()
    examples: dict[Outcome, Path] = {}
    for place in range(n):
        if time.monotonic() > end:
            break
        name, content, spec = files[place % len(files)]
        _try(folder, name, damaged(content, chance), spec, f"{number}-{place}", outcomes, examples)
    return outcomes, examples


def _try(
    folder: Path,
    name: str,
    content: bytes,
    spec: Any,
    label: str,
    outcomes: Counter[Outcome],
    examples: dict[str, Path],
) -> None:
    path = folder / name
    path.write_bytes(content)
    became = outcome(path, spec)
    outcomes[became] += 1
    if became not in ("taken", "refused") and became not in examples:
        examples[became] = folder / f"failed-{label}-{name}"
        examples[became].write_bytes(content)


def fuzz_by_coverage(n: int, number: int, folder: Path, seconds: float = float("inf")) -> None:
    """Let Atheris change the files, led by which code of ``ingest`` they reach, no longer than so many seconds.

    Prints outcomes at the end, and ends the process: 1 where a file was neither taken nor refused in one line.
    """
    import atheris

    for name, module in list(sys.modules.items()):
        if name.startswith("quimbi_assets.ingest"):
            for function in _functions(module):
                atheris.instrument_func(function)
    files, outcomes, examples = seeds(), Counter[Outcome](), dict[Outcome, Path]()
    corpus, end = folder / "corpus", time.monotonic() + seconds
    corpus.mkdir()
    for place, (_, content, _) in enumerate(files):
        (corpus / str(place)).write_bytes(bytes([place]) + content)

    def one(data: bytes) -> None:
        name, _, spec = files[(data[0] if data else 0) % len(files)]
        _try(folder, name, data[1:], spec, str(outcomes.total()), outcomes, examples)
        if outcomes.total() >= n or time.monotonic() > end:
            report(outcomes, examples)
            print(f"{len(list(corpus.iterdir())) - len(files):,} files reached code that none before had reached")
            sys.stdout.flush()
            os._exit(bool(examples))  # libFuzzer knows no other end before its own

    atheris.Setup([sys.argv[0], f"-seed={number or 1}", "-max_len=20000", "-timeout=0", str(corpus)], one)
    atheris.Fuzz()


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Yield the functions that a module defines, methods among them."""
    for one in vars(module).values():
        if isinstance(one, FunctionType) and one.__module__ == module.__name__:
            yield one
        elif isinstance(one, type) and one.__module__ == module.__name__:
            yield from (method for method in vars(one).values() if isinstance(method, FunctionType))


ID = st.one_of(
    st.integers(-5, 2**63).map(str), st.sampled_from(("a", "A", "ä", "a b", "o'r", 'q"q', "x,y", "c;d", "0", "1e5")),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
)  # fmt: skip
CUSTOMER = st.one_of(ID, ID, ID, st.sampled_from(NULL_WORDS))
DATE = st.sampled_from(
    ("2024-01-05", "2024-02-29 10:00:00", "2023-12-31T23:59:59Z", "2024-13-01", "soon", "2031-01-01")
)
MONEY = st.sampled_from(("10", "0", "12.50", "1e3", "-3", "x", "", "99999999999999"))
ROW = st.tuples(ID, CUSTOMER, DATE, MONEY)
MADE = st.tuples(st.lists(ROW, min_size=1, max_size=12), st.sampled_from(("csv", "csv.gz", "jsonl", "parquet")))
HEADS = ("order_id", "customer_id", "order_date", "total_price")


def written(rows: list[tuple[str, ...]], form: str, folder: Path) -> Path:
    """Write rows of text as a file of a form."""
    path = folder / f"made.{form}"
    if form == "parquet":
        pq.write_table(pa.table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], HEADS), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(HEADS, row, strict=True))) + "\n" for row in rows))
    else:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADS, *rows])
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if form == "csv.gz" else content)
    return path


def hold(path: Path, n_rows: int) -> Outcome:
    """Read a made-up file; return what became of it. AssertionError if what is held of it is not so."""
    try:
        with _limited():
            preparation, pairs = judge(path)
    except BadInputError:
        return "refused"
    accounted = preparation.n_accepted + preparation.n_refused + preparation.n_repeated
    assert accounted == n_rows, f"{n_rows} rows given, {accounted} accounted for"
    by_given: dict[str, set[Any]] = {}
    by_taken: dict[Any, set[str]] = {}
    for given_id, taken in pairs.values():
        text = "" if pd.isna(given_id) else str(given_id).strip()
        assert pd.isna(taken) == (text in NULL_WORDS), f"{given_id!r} became {taken!r}"
        if not pd.isna(taken):
            by_given.setdefault(text, set()).add(taken)
            by_taken.setdefault(taken, set()).add(text.removesuffix(".0"))
    several = [one for one in (*by_given.values(), *by_taken.values()) if len(one) > 1]
    assert not several, f"customers merged or split: {several}"
    return "taken"


def make(n: int, number: int, folder: Path) -> Counter[Outcome]:
    """Make up files and hold what is promised of them; the first that breaks it is shrunk and raised."""
    outcomes: Counter[Outcome] = Counter()

    @seed(number)
    @settings(
        max_examples=n, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(MADE)
    def holds(made: tuple[list[tuple[str, ...]], str]) -> None:
        rows, form = made
        outcomes[hold(written(rows, form, folder), len(rows))] += 1

    holds()
    return outcomes


def report(outcomes: Counter[Outcome], examples: dict[Outcome, Path]) -> None:
    """Print how often each outcome was, and where an example of a failure lies."""
    for became, count in outcomes.most_common():
        print(f"{count:8,}  {became}{f'   {examples[became]}' if became in examples else ''}", flush=True)


def main() -> None:
    """Fuzz, make up, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuzzed", type=int, default=0)
    parser.add_argument("--made", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    folder = Path(tempfile.mkdtemp(prefix="quimbi-fuzz-"))
    if options.made:
        report(make(options.made, options.seed, folder), {})
    if options.fuzzed:
        if options.atheris:
            fuzz_by_coverage(options.fuzzed, options.seed, folder, 60 * options.minutes)
        report(*fuzz(options.fuzzed, options.seed, folder, 60 * options.minutes))


if __name__ == "__main__":
    main()
