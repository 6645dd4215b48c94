"""Tokens by which programs ask for a store's results: the table ``tokens``.

Belongs here: making, finding and revoking them. Does not: what they are shown for (``api``).

A token is found by its SHA-256, in an index. How long that takes says nothing of the token: whoever guesses cannot
choose the hash, so nothing is compared in constant time, and 32 random bytes need no slow hash.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database

PREFIX = "quimbi_"
"""What tokens begin with, so that people and scanners of secrets know one when they see it."""
SCOPES = ("read", "notify", "write")
"""``notify`` is to say that something has changed, and not to be told anything: that of a helpdesk's webhook."""
COLUMNS = "token_id, store_id, scopes, created_at, expires_at, revoked_at, last_used_at"


@dataclass(frozen=True)
class Token:
    """What is known of a token; the token itself is not."""

    token_id: str
    store_id: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def state(self) -> str:
        """``valid``, ``expired`` or ``revoked``, now."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if datetime.now(UTC) < self.expires_at else "expired"


def create_token(database: Database, store_id: str, scopes: Sequence[str], days: int) -> tuple[str, Token]:
    """Make a token of a store for some days and return it, which nobody can do again, and what is known of it."""
    text = PREFIX + secrets.token_urlsafe(32)
    values = (store_id, secrets.token_hex(6), _hash(text), list(scopes), datetime.now(UTC) + timedelta(days=days))
    sql = "INSERT INTO quimbi.tokens (store_id, token_id, token_hash, scopes, expires_at) VALUES (%s, %s, %s, %s, %s)"
    (row,) = database.execute(store_id, f"{sql} RETURNING {COLUMNS}", values)
    return text, _token(row)


def find_token(database: Database, text: str) -> Token | None:
    """Return what is known of a token, be it valid or not; None if there is none.

    That it was used is written down once an hour.
    """
    sql = f"SELECT {COLUMNS}, last_used_at IS NULL OR last_used_at < now() - interval '1 hour' FROM quimbi.tokens"
    rows = database.execute(EVERY_STORE, f"{sql} WHERE token_hash = %s", (_hash(text),))
    if not rows:
        return None
    *row, is_stale = rows[0]
    token = _token(row)
    if is_stale and token.state == "valid":
        database.execute(
            token.store_id, "UPDATE quimbi.tokens SET last_used_at = now() WHERE token_id = %s", (token.token_id,)
        )
    return token


def list_tokens(database: Database) -> list[Token]:
    """Return all tokens, by store, newest first."""
    sql = f"SELECT {COLUMNS} FROM quimbi.tokens ORDER BY store_id, created_at DESC, token_id"
    return [_token(row) for row in database.execute(EVERY_STORE, sql)]


def revoke_token(database: Database, token_id: str) -> Token:
    """Make a token worthless from now on; one that is revoked already stays so. BadInputError if there is none."""
    sql = "UPDATE quimbi.tokens SET revoked_at = coalesce(revoked_at, now()) WHERE token_id = %s"
    token = next((one for one in list_tokens(database) if one.token_id == token_id), None)
    if token is None:
        raise BadInputError(f"there is no token {token_id!r}; those there are: quimbi token list")
    (row,) = database.execute(token.store_id, f"{sql} RETURNING {COLUMNS}", (token_id,))
    return _token(row)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _token(row: Any) -> Token:
    token_id, store_id, scopes, *instants = row
    return Token(token_id, store_id, tuple(scopes), *instants)
