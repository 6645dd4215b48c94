"""Every command of the tutorials and how-tos works, in their order, and says what the page shows.

In a block of ``console``, ``$`` begins a command, and what follows is its output, with ``...`` for whatever differs
from run to run; a command that fails shows its error. A block of ``bash`` shows none. Blocks after
``<!-- not run: why -->`` are left out. All work on one store, in one folder. ``QUIMBI_DOCS_WRITE=1`` puts what was
answered into the pages, where they do not say so.
"""

import doctest
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from quimbi_assets.cli import _code

pytestmark = pytest.mark.xdist_group("docs")
DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    *("tutorials/shopify", "tutorials/klaviyo", "tutorials/drift"),
    *sorted(f"howto/{path.stem}" for path in (DOCS / "howto").glob("*.md")),
]
BLOCK = re.compile(r"(?P<why><!-- not run: [^>]*-->\n+)?^```(?P<kind>console|bash)\n(?P<text>.*?)^```$", re.M | re.S)
NOT_RUN = 12
"""Blocks at most that are not run."""
OF_A_SHELL = {"|", "||", "&", "&&", ";", ">", ">>", "<", "<<"}
VARIES = {
    r"\d+\.\d s\b": "... s",
    r"[0-9a-f]{8}-[0-9a-f-]{27}": "...",
    r"(on )\d+ \w{3} 20\d\d\)": r"\1...)",
    r"(next on )[\d-]+": r"\1...",
    r"host=\S+/postgres": "host=...",
    r"/[\w./-]*/(?=[\w-]+\.\w+)": ".../",
}
"""What is not the same in two runs."""
SHOWN = 14
"""Lines of an output that are put into a page."""


@dataclass(frozen=True)
class Step:
    """A command of a page, and what the page says of its output; None where it says nothing."""

    written: str
    shown: str | None

    @property
    def command(self):
        return self.written.replace("\\\n", " ")


def blocks(page):
    return list(BLOCK.finditer((DOCS / f"{page}.md").read_text()))


def steps(kind, text):
    """Split a block into its commands; a line ends in a backslash where the command goes on."""
    if kind == "bash":
        return (
            [Step(text, None)] if re.search(r"<<|^export ", text, re.M) else [Step(one, None) for one in commands(text)]
        )
    return [
        Step(command, shown) for command, shown in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", text, re.M)
    ]


def commands(text):
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def folder(home, database, tmp_path_factory):
    """The folder that all pages work in, and an environment with ``quimbi`` on its path and no keys."""
    place, before = tmp_path_factory.mktemp("docs"), os.getcwd()
    os.chdir(place)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    yield place, {**os.environ, "PATH": path, "PYTHONPATH": str(DOCS.parent)}
    os.chdir(before)
    for name in ("audiences.yaml", "actions.yaml"):
        (home / name).unlink(missing_ok=True)


@pytest.fixture
def answer(folder, capfd):
    """Runs a command and returns exit code and output: what it prints, or its error."""

    def ask(command):
        tokens = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        if command.startswith("quimbi ") and not OF_A_SHELL & set(tokens) and "$" not in command:
            capfd.readouterr()
            code = _code(shlex.split(command, comments=True)[1:])
            captured = capfd.readouterr()
            return code, errors(captured.err) if code else captured.out
        done = subprocess.run(["bash", "-ec", command], env=folder[1], capture_output=True, text=True, check=False)
        return done.returncode, errors(done.stderr) if done.returncode else done.stdout

    return ask


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page, answer):
    text = (DOCS / f"{page}.md").read_text()
    for block in blocks(page):
        if block["why"]:
            continue
        for step in steps(block["kind"], block["text"]):
            code, output = answer(step.command)
            if os.environ.get("QUIMBI_DOCS_WRITE") and step.shown and not agrees(step.shown, output):
                text = text.replace(f"{step.written}\n{step.shown}", f"{step.written}\n{as_shown(output)}", 1)
                continue
            fails = bool(step.shown) and step.shown.startswith("quimbi: ")
            assert (code != 0) == fails, f"{page}: {step.command}: exit code {code}\n{output}"
            assert step.shown is None or agrees(step.shown, output), f"{page}: {step.command} says\n{output}"
    if os.environ.get("QUIMBI_DOCS_WRITE"):
        (DOCS / f"{page}.md").write_text(text)


def errors(text):
    """Return what a command says of its failure, without what it said it was doing."""
    return text[text.find("quimbi: ") :] if "quimbi: " in text else text


def agrees(shown, output):
    """Compare as a doctest does; a command that a page shows nothing of may say anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return not shown.strip() or doctest.OutputChecker().check_output(shown, output, flags)


def as_shown(output):
    for pattern, shown in VARIES.items():
        output = re.sub(pattern, shown, output)
    lines = [line.rstrip() for line in output.splitlines()]
    lines = lines if len(lines) <= SHOWN else [*lines[:SHOWN], "..."]
    return "".join(f"{line}\n" for line in lines)


def test_few_blocks_are_not_run():
    left_out = [f"{page}: {block['why'].strip()}" for page in PAGES for block in blocks(page) if block["why"]]
    assert len(left_out) <= NOT_RUN, left_out


def test_a_difference_is_seen():
    assert agrees("12 customers\n...\n", "12 customers\nand more\n")
    assert not agrees("12 customers\n", "13 customers\n")
    (first, second) = steps("console", "$ quimbi a \\\n    --b\none\n$ quimbi c\n")
    assert (first.command, first.shown) == ("quimbi a      --b", "one\n")
    assert second == Step("quimbi c", "")
