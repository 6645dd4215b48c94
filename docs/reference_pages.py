"""Writes the generated pages of the reference: commands, tables, checks, errors, each out of where it is declared.

``docs/conf.py`` calls it at every build. Features are in ``axes.md``, fields of filters in ``filters.md``, which are
written by scripts of their own and committed. Only pages whose text changed are written, so that Sphinx reads no other.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click

import quimbi_assets
from quimbi_assets import errors

PACKAGE = Path(quimbi_assets.__file__).parent
FOR_PEOPLE = {
    name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)
} - {"MissingColumnsError"}
COLUMNS = """
    SELECT class.relname, class.relkind = 'v', obj_description(class.oid, 'pg_class'), attname,
        format_type(atttypid, atttypmod), col_description(class.oid, attnum),
        EXISTS (SELECT FROM pg_index WHERE indrelid = class.oid AND indisprimary AND attnum = ANY(indkey))
    FROM pg_class AS class JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
    WHERE relnamespace = 'quimbi'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'alembic_version'
    ORDER BY relname, attnum
"""


def write(folder: Path) -> None:
    """Write every page that is not what it would be."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"commands": commands(), "tables": tables(), "http": routes(), "checks": checks(), "errors": messages()}
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def commands() -> str:
    """Return what ``quimbi --help`` and the help of every command say."""
    from quimbi_assets.cli import cli

    head = "# Commands\n\nExit code 0: done. 2: bad input, nothing lost. 1: done in part, or else. 130: interrupted."
    return "\n\n".join([head, *_command(cli, "quimbi", 2)]) + "\n"


def _command(command: click.Command, name: str, level: int) -> Iterator[str]:
    """Yield the sections of a command, or of those of a group."""
    if isinstance(command, click.Group):
        for part in sorted(command.commands):
            yield from _command(command.commands[part], f"{name} {part}", level)
        return
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"{'#' * level} {name}\n\n{command.help}\n\n```text\n{usage}\n```"
    rows = [
        record
        for one in command.params
        if (record := one.get_help_record(context)) and not getattr(one, "hidden", False)
    ]
    if rows:
        yield _table(("option", "meaning"), [(f"`{option}`", _cell(text)) for option, text in rows])


def tables() -> str:
    """Return what the comments of the database say of every table, view and column."""
    from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database

    parts = [
        "# Tables and columns\n\nAll are in the schema `quimbi`; `quimbi sql` opens psql on them, `quimbi sql --url` "
        "prints the address for SQLAlchemy. Columns in bold are the key."
    ]
    for (name, is_view, about), columns in groupby(
        open_database().execute(EVERY_STORE, COLUMNS), key=lambda row: row[:3]
    ):
        parts.append(f"## {name}\n\n{'A view: ' if is_view else ''}{_cell(about)}.")
        rows = [
            (f"**`{column}`**" if is_key else f"`{column}`", kind, _cell(text))
            for *_, column, kind, text, is_key in columns
        ]
        parts.append(_table(("column", "type", "holds"), rows))
    return "\n\n".join(parts) + "\n"


def checks() -> str:
    """Return what every check of an asset holds its rows to, and what to do where it fails."""
    from quimbi_assets.definitions import defs

    graph = defs.resolve_asset_graph()
    by_text: dict[tuple[str, str, bool], list[str]] = {}
    for key in graph.asset_check_keys:
        check = graph.get(key)
        text = (key.name, check.description or "", bool(check.blocking))
        by_text.setdefault(text, []).append(key.asset_key.to_user_string())
    parts = [
        "# Checks\n\nDagster shows them on an asset's page under *Checks*, each by store. One that **blocks**, failed, "
        "lets nothing that depends on the asset be made; the others say so and go on."
    ]
    for (name, text, blocks), assets in sorted(by_text.items()):
        of = f"of `{assets[0]}`" if len(assets) == 1 else f"of {len(assets)} assets: {_listed(assets)}"
        parts.append(f"## {name}\n\n{'**Blocks.** ' if blocks else ''}A check {of}.\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _listed(assets: list[str]) -> str:
    groups = sorted({asset.rsplit("/", 1)[0] for asset in assets})
    return ", ".join(f"`{group}/*`" for group in groups)


def routes() -> str:
    """Return the routes of programs: what may be asked, and every field of the answers."""
    from fastapi import FastAPI

    from quimbi_assets.api.routes import router

    app = FastAPI()
    app.include_router(router)
    document = app.openapi()
    models = document["components"]["schemas"]
    parts = ["# HTTP\n\nBelow `/v1`, with a token ([how to](../../howto/http.md)). A field that is null is not known."]
    for path, operations in document["paths"].items():
        for method, one in operations.items():
            parts.append(f"## {one['summary']}\n\n`{method.upper()} {path}`\n\n{one['description']}")
            asked = [place for place in one.get("parameters", []) if place["in"] == "query"]
            body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            rows = [(f"`{place['name']}`", _cell(place.get("description", ""))) for place in asked]
            rows += _fields(models.get(_model(body), {}))
            parts += [_table(("asked with", ""), rows)] if rows else []
            answer = _model(one["responses"]["200"]["content"]["application/json"]["schema"])
            parts.append(f"Answer: [{answer}](#{answer.lower()})")
    parts.append("## Fields")
    for name, model in sorted(models.items()):
        about = f"{model['description']}\n\n" if "description" in model else ""
        parts.append(f"### {name}\n\n{about}{_table(('field', ''), _fields(model))}")
    return "\n\n".join(parts) + "\n"


def _model(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]


def _fields(model: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the fields of a model: name, and what it holds in words, or of which models."""
    rows = []
    for name, field in model.get("properties", {}).items():
        inner = sorted({ref.rsplit("/", 1)[-1] for ref in re.findall(r"'\$ref': '([^']+)'", str(field))})
        of = f" ({', '.join(f'[{one}](#{one.lower()})' for one in inner)})" if inner else ""
        rows.append((f"`{name}`", _cell(field.get("description", "")) + of))
    return rows


def messages() -> str:
    """Return every message of an error that a person may read, and of a check of input, in alphabetical order."""
    rows = sorted(
        {row for path in sorted(PACKAGE.rglob("*.py")) for row in _raised(path)}, key=lambda row: row[0].lower()
    )
    head = (
        "# Errors, A to Z\n\nEvery message of an error, out of the code; … is what it speaks of (a store, a file, a "
        "number). A message says what is wrong, where, and how to mend it; [when something goes wrong]"
        "(../../howto/mend.md) has the usual ones. `QUIMBI_DEBUG=1` before a command shows where an error arose."
    )
    table = _table(("message", "raised in"), [(text, f"`{module}`") for text, module in rows])
    return f"{head}\n\n{table}\n"


def _raised(path: Path) -> Iterator[tuple[str, str]]:
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)):
            continue
        text = _text(node.exc.args[0]) if node.exc.args else ""
        if node.exc.func.id in FOR_PEOPLE and len(text.replace("…", "").split()) > 2:
            yield _cell(" ".join(text.split())), module


def _text(node: ast.expr) -> str:
    """Return the text of an expression, … for whatever is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return "…"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("---",) * len(head), *rows])


def _cell(text: str) -> str:
    """Return text as a cell of a table shows it: signs that mean something to Markdown are themselves."""
    for sign in "\\|*_<>[]$":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("``", "`").replace("\n", " ")
