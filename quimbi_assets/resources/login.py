"""A password before the pages of stores, Dagster and MLflow, for machines that several people have accounts on.

Belongs here: asking for it (HTTP Basic, RFC 7617), by which way MLflow's server is led through it. Does not: who may do
what (whoever has the password may do everything), tokens of programs (``guard``).

Pages listen on 127.0.0.1, which keeps other machines out and nobody who has an account on this one.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from quimbi_assets.errors import BadInputError

PASSWORD_VARIABLE = "QUIMBI_PASSWORD"  # noqa: S105  (where it is, not what it is)
USER = "quimbi"
LEAST_CHARACTERS = 12
CHALLENGE = {"WWW-Authenticate": 'Basic realm="quimbi", charset="UTF-8"'}
CLOSED_BY_POLICY = 1008
"""Code of a WebSocket that is not let in (RFC 6455)."""


def password() -> str | None:
    """Return the password that pages ask for; None if there is none.

    BadInputError if it is shorter than ``LEAST_CHARACTERS``: an empty one would keep nobody out and look as if it did.
    """
    text = os.environ.get(PASSWORD_VARIABLE)
    if text is not None and len(text) < LEAST_CHARACTERS:
        raise BadInputError(
            f"{PASSWORD_VARIABLE} has fewer than {LEAST_CHARACTERS} characters; leave it out or set more"
        )
    return text


class Login:
    """Lets through who says the password, if there is one; paths ``open_to`` programs ask for other things."""

    def __init__(self, app: ASGIApp, open_to: Sequence[str] = ()) -> None:
        self._app, self._open_to, self._password = app, tuple(open_to), password()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if (
            scope["type"] == "lifespan"
            or self._password is None
            or self._is_open(scope["path"])
            or self._is_said(scope)
        ):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": CLOSED_BY_POLICY, "reason": "no password"})
        else:
            text = f"this needs the password of {PASSWORD_VARIABLE}; the user is {USER}\n"
            await PlainTextResponse(text, 401, CHALLENGE)(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return any(path == root or path.startswith(f"{root}/") for root in self._open_to)

    def _is_said(self, scope: Scope) -> bool:
        scheme, _, encoded = Headers(scope=scope).get("authorization", "").partition(" ")
        try:
            words = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(words, f"{USER}:{self._password}".encode())


def mlflow_pages() -> ASGIApp:
    """Return MLflow's server behind the password: what its own server runs as ``--app-name quimbi``."""
    from mlflow.server.fastapi_app import app

    return Login(app)
