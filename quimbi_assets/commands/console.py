"""What a person sees while and after a command works: progress on stderr, results on stdout.

Belongs here: the two streams, progress lines. Does not: what is done, and how it is laid out.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment

from quimbi_assets.texts import escaped_json, printable

#: Columns where the output is no terminal that would say.
WIDTH = 120


class HarmlessConsole(Console):
    """A console on which no text commands the terminal: of what is printed, only the console's own styles do."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with what is not seen made visible; line ends are the layout's."""
        for segment in super().render(renderable, options):
            is_plain = segment.control or segment.text.isprintable()
            yield segment if is_plain else segment._replace(text=printable(segment.text, keeping="\n"))


def _open_closed_streams() -> None:
    """Lead to nowhere what of the three streams this process was started without, as some managers of services do."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "w" if number else "r", encoding="utf-8")  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


_open_closed_streams()
out = HarmlessConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
err = HarmlessConsole(stderr=True, highlight=False, soft_wrap=True, width=None if sys.stderr.isatty() else WIDTH)


class Steps:
    """Receives steps of a long task; a bar on a terminal, dated lines elsewhere."""

    def __init__(self, bar: Progress | None, title: str) -> None:
        self._bar = bar
        self._title = title
        self._started = time.monotonic()
        self._task = None if bar is None else bar.add_task(title, total=1.0)

    def step(self, message: str, done: float | None = None) -> None:
        """Show that ``message`` is under way; ``done`` is the share of the whole already finished, 0-1."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=f"{self._title}: {message}", completed=done)
        else:
            err.print(f"{time.monotonic() - self._started:6.1f} s  {self._title}: {message}", markup=False)

    def warn(self, message: str) -> None:
        """Show a line that stays: what did not go as it could have, and what to do."""
        err.print(f"{self._title}: {message}", markup=False)


@contextmanager
def steps(title: str) -> Iterator[Steps]:
    """Show progress of a task for as long as the block runs."""
    if not sys.stderr.isatty():
        yield Steps(None, title)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        yield Steps(bar, title)


def stdout_fault(error: OSError) -> str | None:
    """Return why standard output takes nothing more, None where it does: then the error is of something else."""
    if error.errno not in (ENOSPC, EDQUOT, EFBIG, EIO) or error.filename is not None:
        return None
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError as fault:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python, at its end, puts what is left
        return fault.strerror
    return None


def print_json(value: Any) -> None:
    """Print JSON on stdout, nothing else; what a terminal may obey is escaped, which reads as the same text."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False, default=str)
    print(escaped_json(text))  # noqa: T201
