"""Dagster's pages, its daemon and its code server as ``quimbi ui`` starts them: behind a guard, since they have none.

Belongs here: which requests reach Dagster's web server, and starting it. Does not: the password (``resources.login``).

Dagster executes what any page of any site sends it: mutations by GET, from any origin, under any name, and WebSockets.
A page that somebody opens elsewhere could launch runs with a configuration of its own.
"""

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import yaml
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from quimbi_assets.api.guard import HOSTS
from quimbi_assets.defs.runs import dagster_ui
from quimbi_assets.resources.login import CLOSED_BY_POLICY, Login

QUERIES = "/graphql"
ENDING_SECONDS = 5
"""In which pages that are open may end, before the server does."""
POLL_MILLISECONDS = 2000
"""Between two looks of a page at what has changed, as ``dagster dev`` has it."""


class SameOrigin:
    """Lets through what Dagster's own pages ask for, links to them, and programs; no page of another origin."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        refusal = None if scope["type"] == "lifespan" else refuse(scope, self._hosts)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": CLOSED_BY_POLICY, "reason": refusal})
        else:
            await PlainTextResponse(f"refused: {refusal}\n", 403)(scope, receive, send)


def refuse(scope: Scope, hosts: frozenset[str]) -> str | None:
    """Return why a request is not let through; None if it is.

    Programs send neither ``Origin`` nor ``Sec-Fetch-Site``; a browser sends the first with whatever could change
    something and with every WebSocket, and no page can keep it from that.
    """
    headers = Headers(scope=scope)
    host, origin = headers.get("host", "").lower(), headers.get("origin")
    if re.sub(r":\d*$", "", host) not in hosts:
        return "this server does not answer by that name (QUIMBI_DAGSTER_UI says its address)"
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        return "asked by a page of another origin"
    if scope["type"] == "websocket":
        return None
    is_link = scope["method"] == "GET" and headers.get("sec-fetch-dest") == "document"
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not is_link:
        return "asked by a page of another site"
    if scope["path"].rstrip("/") == QUERIES and scope["method"] != "POST" and scope["query_string"]:
        return "queries come by POST: what a link says must change nothing"
    return None


def names(address: str) -> frozenset[str]:
    """Return the names that the server answers by: this machine's own, and that of its address."""
    return frozenset((*HOSTS, (urlsplit(address).hostname or HOSTS[0]).lower()))


def serve(host: str, port: int) -> None:
    """Serve Dagster's pages, with daemon and code server, until interrupted or terminated; as ``dagster dev`` does."""
    import uvicorn
    from dagster import DagsterInstance
    from dagster._cli.proxy_server_manager import ProxyServerManager
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget
    from dagster_webserver.version import __version__

    from quimbi_assets.resources.dagster_instance import LOCATION, POOL_RECYCLE_SECONDS, STATEMENT_TIMEOUT_MS

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else daemon and code server would stay
    target = ModuleTarget(LOCATION, attribute=None, working_directory=None, location_name=LOCATION)
    with (
        DagsterInstance.get() as instance,
        tempfile.TemporaryDirectory() as folder,
        ProxyServerManager(instance, target, "warning") as code,
    ):
        workspace = Path(folder) / "workspace.yaml"
        workspace.write_text(yaml.safe_dump({"load_from": code.get_code_server_specs()}))
        command = [sys.executable, "-m", "dagster._daemon", "run", "--log-level", "warning", "-w", str(workspace)]
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, max_overflow=20)
        places = WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)]), version=__version__)
        with subprocess.Popen(command) as daemon, places:
            settings = uvicorn.Config(
                guarded(places), host, port, log_level="warning", timeout_graceful_shutdown=ENDING_SECONDS
            )
            server = uvicorn.Server(settings)
            Thread(target=_end_with, args=(daemon, server), daemon=True).start()
            try:
                server.run()
            finally:
                daemon.terminate()


def _end_with(daemon: "subprocess.Popen[bytes]", server: Any) -> None:
    """End the server once the daemon has: pages without it would let people launch runs that nobody begins."""
    daemon.wait()
    server.should_exit = True


def guarded(places: object) -> ASGIApp:
    """Return Dagster's web server on its workspace, behind the guard."""
    from dagster_webserver.webserver import DagsterWebserver

    class Guarded(DagsterWebserver):  # type: ignore[type-arg]
        def build_middleware(self) -> list[Middleware]:
            guards = [Middleware(SameOrigin, names(dagster_ui())), Middleware(Login)]
            return [*guards, *super().build_middleware()]

    return Guarded(places, "", POLL_MILLISECONDS).create_asgi_app()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        serve(sys.argv[1], int(sys.argv[2]))
