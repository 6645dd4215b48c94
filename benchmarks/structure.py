"""How much there is of the package, and what its structure promises: counted, not estimated.

Prints a table of what there is beside what there may be at most, then what is too much, by name. The last row runs a
small simulated store in a home of its own (``--customers 400``) and counts every opening of a Parquet file in the
home's ``storage``, DuckDB's and Arrow's as well as Python's: the kernel is asked, by inotify. ``--no-run`` leaves that
out.
"""

import argparse
import ast
import ctypes
import io
import os
import struct
import subprocess
import sys
import tempfile
import threading
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp

import quimbi_assets

PACKAGE = Path(quimbi_assets.__file__).parent
ROOT = PACKAGE.parent
MOST_CODE_LINES = 40
SAY_NOTHING = frozenset({"found", "own", "kept", "given", "said", "told"})
"""Names that could stand for the result of anything, be it a function's name or that of what is assigned."""
AT_MOST = {"modules": 341, "lines": 55_500, "Parquet files opened by a run": 60, "names that say nothing": 1}
"""What there may be; of everything else none. The names that say nothing may only become fewer. Fourteen
axes from orders to drift fit in 26,000 lines; what is foretold of customers (value, who stays) has 2,500 beside, and
what people do with it (lifecycle, words, lists out, the page, any shop in) 9,500 more, and what machines and operators
ask of it (HTTP, MCP, health of three hundred stores) 4,500; tickets, rules, receipts and whether they helped 6,700;
erasing a person and giving out what is held of them 950; a password, logs, what kills leave cleared away 800; what
fresh eyes found of trials, rules, other services' exports and erasures 1,100."""
_NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
IN_CLOSE_WRITE, IN_CLOSE_NOWRITE = 0x8, 0x10


def modules() -> dict[str, str]:
    """Return the text of every module of the package, by its path in the repository."""
    return {str(path.relative_to(ROOT)): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


def code_lines(text: str) -> set[int]:
    """Return the numbers of the lines that hold code: no blank, no comment, no docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {
        line for t in tokens if t.type not in _NOT_CODE for line in range(t.start[0], t.end[0] + 1) if t.string.strip()
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _is_text(node.body):
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def _is_text(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def long_functions() -> list[str]:
    """Return functions of more than 40 lines of code, signature and inner functions included."""
    return [
        f"{path}:{node.lineno} {node.name}: {n} lines"
        for path, text in modules().items()
        for lines in [code_lines(text)]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (n := len(lines & set(range(node.lineno, (node.end_lineno or 0) + 1)))) > MOST_CODE_LINES
    ]


def attrs() -> list[str]:
    """Return uses of ``DataFrame.attrs``, or of anything of that name."""
    return [
        f"{path}:{node.lineno}"
        for path, text in modules().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr == "attrs"
    ]


def names_that_say_nothing() -> list[str]:
    """Return functions and assigned results that are called by one of ``SAY_NOTHING``, with or without underscores."""
    return [
        f"{path}:{node.lineno} {name}"
        for path, text in modules().items()
        for node in ast.walk(ast.parse(text))
        for name in [_name_given(node)]
        if name.strip("_") in SAY_NOTHING
    ]


def _name_given(node: ast.AST) -> str:
    """Return the name that a function's definition or an assignment gives; empty for any other node."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else ""


def defs_without_dagster() -> list[str]:
    """Return modules of ``defs`` that import no Dagster, and so belong elsewhere."""
    return [
        path
        for path, text in modules().items()
        if path.startswith("quimbi_assets/defs/") and not path.endswith("__init__.py") and "dagster" not in _roots(text)
    ]


FRAME_MAKERS = {"to_pandas", "toPandas", "read_pandas", "read_parquet", "read_sql", "read_sql_query", "frames"}
"""Methods and functions that make a pandas frame of all rows there are."""
_COLUMNS = {"customers", "dictionary"}


def pandas_frames() -> list[str]:
    """Return the modules outside ``ingest`` that turn rows into pandas frames; single columns are none."""
    return sorted(
        {
            path.removeprefix("quimbi_assets/")
            for path, text in modules().items()
            if not path.startswith("quimbi_assets/ingest/")
            for call in ast.walk(ast.parse(text))
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in FRAME_MAKERS
            and not _is_column(call.func.value)
        }
    )


def _is_column(node: ast.expr) -> bool:
    """Tell whether an expression is one column of a table by how it is written."""
    if isinstance(node, ast.Subscript):
        return True
    return isinstance(node, ast.Attribute) and node.attr in _COLUMNS


def _roots(text: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def import_cycles() -> list[str]:
    """Return groups of modules each of which imports, by way of others, itself; imports within functions count."""
    graph = grimp.build_graph("quimbi_assets", exclude_type_checking_imports=True, cache_dir=None)
    reached = {module: graph.find_upstream_modules(module) for module in graph.modules}
    groups = {
        frozenset({module, *(other for other in up if module in reached[other])}) for module, up in reached.items()
    }
    return sorted(", ".join(sorted(group)) for group in groups if len(group) > 1)


def type_errors() -> list[str]:
    """Return what mypy has against the whole package."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "-p", "quimbi_assets"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if ": error:" in line]


class Openings:
    """Counts, as a context manager, the openings of Parquet files in folders that are there when it begins."""

    def __init__(self, folder: Path) -> None:
        self.reads, self.writes = Counter[str](), Counter[str]()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._queue = self._libc.inotify_init1(os.O_CLOEXEC)
        inside = [path for path in (folder, *folder.rglob("*")) if path.is_dir()]
        self._folders = {self._watch(path): str(path.relative_to(folder)) for path in inside}
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Openings":
        """Begin to count."""
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Count what is in the queue still."""
        for watch in self._folders:
            self._libc.inotify_rm_watch(self._queue, watch)  # the queue says so when everything before it is read
        self._reader.join()
        os.close(self._queue)

    def _watch(self, path: Path) -> int:
        # Each opening ends in one closing, which also says whether it was to write.
        watch = int(self._libc.inotify_add_watch(self._queue, os.fsencode(path), IN_CLOSE_WRITE | IN_CLOSE_NOWRITE))
        if watch < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {path}")
        return watch

    def _read(self) -> None:
        waiting = set(self._folders)
        while waiting:
            for watch, mask, name in _events(os.read(self._queue, 2**16)):
                if ".parquet" in name:
                    (self.writes if mask & IN_CLOSE_WRITE else self.reads)[f"{self._folders[watch]}/{name}"] += 1
                elif not name and not mask & (IN_CLOSE_WRITE | IN_CLOSE_NOWRITE):
                    waiting.discard(watch)


def _events(queue: bytes) -> Iterator[tuple[int, int, str]]:
    place = 0
    while place < len(queue):
        watch, mask, _, length = struct.unpack_from("iIII", queue, place)
        place += 16 + length
        yield watch, mask, queue[place - length : place].rstrip(b"\0").decode()


def openings_of_a_run(n_customers: int) -> tuple[Counter[str], Counter[str]]:
    """Run a small store twice in a home of its own; return reads and writes of the second run, by file.

    Not the first: folders that it makes could be written to before they are watched.
    """
    with tempfile.TemporaryDirectory(prefix="quimbi-structure-") as folder:
        home, files = Path(folder) / "home", Path(folder) / "files"
        home.mkdir()
        _quimbi(home, "simulate", "--customers", str(n_customers), "--out", str(files), "--seed", "0")
        paths = (f"--orders={files / 'orders.parquet'}", f"--items={files / 'order_items.parquet'}")
        _quimbi(home, "load", "--store-id", "s", *paths, "--time-zone", "America/New_York")
        _quimbi(home, "run", "--store-id", "s", "--no-ai-naming")
        with Openings(home / "storage") as openings:
            _quimbi(home, "run", "--store-id", "s", "--no-ai-naming")
        return openings.reads, openings.writes


def _quimbi(home: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "quimbi_assets.cli", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "QUIMBI_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"quimbi {arguments[0]} failed: {done.stderr.strip().splitlines()[-1]}")


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--no-run", action="store_true")
    options = parser.parse_args()
    texts = modules()
    too_much = {
        f"functions over {MOST_CODE_LINES} code lines": long_functions(),
        "uses of .attrs": attrs(),
        "import cycles": import_cycles(),
        "names that say nothing": names_that_say_nothing(),
        "modules of defs without Dagster": defs_without_dagster(),
        "mypy errors, whole package": type_errors(),
    }
    _row("modules", len(texts))
    schema = sum(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.sql"))
    python = sum(len(text.splitlines()) for text in texts.values())
    _row("lines", python + schema, f"{schema:,} of them of the schema in SQL")
    for name, found in too_much.items():
        _row(name, len(found))
    if not options.no_run:
        reads, writes = openings_of_a_run(options.customers)
        n_reads, n_writes = reads.total(), writes.total()
        note = f"{n_reads} to read, of {len(reads)} files; {n_writes} to write"
        _row("Parquet files opened by a run", n_reads + n_writes, note)
        too_much["read more than once"] = [f"{n} times {name}" for name, n in reads.most_common() if n > 1]
    for name, found in too_much.items():
        if found:
            print(f"\n{name}:", *found, sep="\n    ")


def _row(name: str, n: int, note: str = "") -> None:
    most = AT_MOST.get(name, 0)
    print(f"{name:36}{n:8,}  at most {most:6,}  {'yes' if n <= most else 'NO'}{note and '   ' + note}", flush=True)


if __name__ == "__main__":
    main()
