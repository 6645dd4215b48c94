"""Makes, lists and revokes the tokens by which programs ask for a store's results.

Belongs here: ``quimbi token``. Does not: the table (``resources.postgres.tables.tokens``), checking them (``api``).
"""

from collections.abc import Sequence
from typing import Any

from quimbi_assets.commands.console import err, out
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables import tokens
from quimbi_assets.resources.postgres.tables.stores import read_store


def create_token(store_id: str, scopes: Sequence[str], days: int) -> dict[str, Any]:
    """Make a token of a store and return the structure of ``quimbi token create --json``."""
    if not scopes or (unknown := sorted(set(scopes) - set(tokens.SCOPES))):
        what = f"there is no scope {unknown[0]!r}" if scopes else "--scopes names none"
        raise BadInputError(f"{what}; there are: {', '.join(tokens.SCOPES)}")
    database = open_database()
    read_store(database, store_id)
    text, token = tokens.create_token(database, store_id, scopes, days)
    if not {"read", "notify"} & set(scopes):
        what = "without the scopes read and notify this token may do nothing: over HTTP nothing is written yet"
        err.print(what, markup=False)
    return {"token": text, **_facts(token, "token_id", "store_id", "scopes", "expires_at")}


def print_token(made: dict[str, Any]) -> None:
    """Print a new token alone on stdout; what is said of it stands beside it."""
    out.print(made["token"], markup=False)
    err.print(
        f"token {made['token_id']} of store {made['store_id']} may {', '.join(made['scopes'])} until "
        f"{made['expires_at'][:10]}. It is shown this once: keep it where passwords are kept.",
        markup=False,
    )


def tokens_known() -> dict[str, Any]:
    """Return the structure of ``quimbi token list --json``."""
    names = ("token_id", "store_id", "scopes", "state", "created_at", "expires_at", "revoked_at", "last_used_at")
    return {"tokens": [_facts(token, *names) for token in tokens.list_tokens(open_database())]}


def print_tokens(known: dict[str, Any]) -> None:
    """Print tokens as a table."""
    if not known["tokens"]:
        out.print("no token yet; next: quimbi token create --store-id S", markup=False)
        return
    heads = ("token", "store", "scopes", "state", "expires", "last used")
    rows = [
        (
            one["token_id"],
            one["store_id"],
            ",".join(one["scopes"]),
            one["state"],
            one["expires_at"][:10],
            (one["last_used_at"] or "never")[:10],
        )
        for one in known["tokens"]
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        out.print("  ".join(f"{v:<{w}}" for v, w in zip(row, widths, strict=True)).rstrip(), markup=False)


def revoke_token(token_id: str) -> None:
    """Make a token worthless."""
    token = tokens.revoke_token(open_database(), token_id)
    out.print(f"token {token.token_id} of store {token.store_id} is revoked", markup=False)


def _facts(token: tokens.Token, *names: str) -> dict[str, Any]:
    values = {name: getattr(token, name) for name in names}
    return {
        name: list(value) if isinstance(value, tuple) else value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in values.items()
    }
