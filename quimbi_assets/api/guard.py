"""Who may ask for what: names the server answers to, tokens, and what is said to whoever may not.

Belongs here: the checks before any route of programs, problem details (RFC 9457). Does not: routes, answers.

All paths below ``/v1`` and ``/mcp`` ask for a token, whichever route they lead to, also if there is none: a route
cannot forget to. Below ``/v1`` the path names a store; another than the token's is not there.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from anyio import from_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quimbi_assets.errors import DatabaseUnavailableError
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.tables.tokens import Token, find_token

MACHINES, AGENTS = "/v1", "/mcp"
HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""This machine's own names."""
MOST_BYTES = 4 * 2**20
"""Of a request's body."""
AGAIN = {"Retry-After": "2"}
"""The header that says after how many seconds to ask again where an answer was not to be had in time."""
STORE = re.compile(rf"{MACHINES}/stores/([^/]+)(?:/|$)")
CALLED = f"{MACHINES}/gorgias/webhook"
"""Where a helpdesk says that something has changed: asks for the scope `notify`, all else for `read`."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem as RFC 9457 has it; one that passes says after how many seconds to ask again."""
    headers = {**AGAIN, **(headers or {})} if status == 503 else headers
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    text = json.dumps(body, ensure_ascii=False).encode(errors="replace")
    return Response(text, status, headers=headers, media_type="application/problem+json")


def in_words(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with arguments, the first five, each with its name."""
    places = (("/".join(str(part) for part in one["loc"]), one["msg"]) for one in errors[:5])
    return "; ".join(f"{place}: {message[:1].lower()}{message[1:]}" for place, message in places)


def agent_problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem as MCP's clients pass it on: an error of JSON-RPC, of no request in particular."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": detail}}
    return Response(json.dumps(body), status, headers=headers, media_type="application/json")


@dataclass(frozen=True)
class RefusedError(Exception):
    """Why a token does not do, and the status that says so."""

    status: int
    detail: str
    scope: str = "read"

    @property
    def challenge(self) -> dict[str, str]:
        """The header by which clients learn what is asked for (RFC 6750)."""
        lacking = f' error="insufficient_scope", scope="{self.scope}"'
        error = {403: lacking, 401: ' error="invalid_token"'}.get(self.status, "")
        return {"WWW-Authenticate": f'Bearer realm="quimbi"{error if self.detail != MISSING else ""}'}


NOT_THIS_NAME = "this server does not answer by that name; quimbi api --public NAME adds one"
MISSING = "this needs a token: Authorization: Bearer quimbi_...; quimbi token create --store-id S makes one"


def check_token(database: ServedDatabase, text: str, scope: str = "read") -> Token:
    """Return what is known of a token that may do what ``scope`` says; else a :class:`RefusedError`."""
    token = find_token(database, text) if text else None
    if token is None:
        raise RefusedError(401, "there is no such token" if text else MISSING)
    if token.state != "valid":
        raise RefusedError(401, f"token {token.token_id} is {token.state}; quimbi token create makes another")
    if scope not in token.scopes:
        may = ", ".join(token.scopes) or "nothing"
        raise RefusedError(403, f"token {token.token_id} may {may}, not {scope}", scope)
    return token


class Guard:
    """Lets requests through to whom they are for, and names their store in ``request.state.token``."""

    def __init__(
        self, app: ASGIApp, database: ServedDatabase, hosts: Sequence[str], headers: Mapping[str, str]
    ) -> None:
        self._app, self._database, self._hosts, self._headers = app, database, frozenset(hosts), headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path, headers = scope["path"], Headers(scope=scope)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    answered.setdefault(name, value)
                if path.startswith(MACHINES):
                    answered.setdefault("Cache-Control", "private, no-store")
            await send(message)

        refused = _wrong_host(headers.get("host", ""), self._hosts)
        if refused is None and ("\0" in path or b"%00" in scope["query_string"]):  # which no text in a table has
            refused = problem(404, "there is nothing of that name")
        if refused is None and any(path == root or path.startswith(f"{root}/") for root in (MACHINES, AGENTS)):
            refused = await self._refused(scope, headers)
        if refused is not None:
            return await refused(scope, receive, sent)
        return await self._app(scope, receive, sent)

    async def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """Return why a program's request is not let through, if it is not."""
        refuse = agent_problem if scope["path"].startswith(AGENTS) else problem
        scheme, _, text = headers.get("authorization", "").partition(" ")
        shown = text.strip() if scheme.lower() == "bearer" else ""
        may = "notify" if scope["path"] == CALLED else "read"
        try:
            token = await run_in_threadpool(check_token, self._database, shown, may)
        except RefusedError as refusal:
            return refuse(refusal.status, refusal.detail, refusal.challenge)
        except DatabaseUnavailableError as error:
            return refuse(503, str(error))
        scope.setdefault("state", {})["token"] = token
        store = STORE.match(scope["path"])
        if store is not None and store[1] != token.store_id:
            return refuse(404, f"there is no store {store[1]!r} for this token")
        size = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not size.isdigit() or int(size) > MOST_BYTES:
            return refuse(413, f"the body must say its length and have at most {MOST_BYTES:,} bytes")
        return None


def _wrong_host(host: str, hosts: frozenset[str]) -> Response | None:
    """Return why the server does not answer to a name, if it does not (DNS rebinding)."""
    name = re.sub(r":\d*$", "", host).lower()
    return None if name in hosts else problem(400, NOT_THIS_NAME)


def hung_up(request: Request) -> Callable[[], bool]:
    """Return what tells the thread that answers whether whoever asked has gone."""
    return partial(from_thread.run, request.is_disconnected)


def token_of(request: HTTPConnection) -> Token:
    """Return the token that a request was let through by."""
    token: Token = request.state.token
    return token
