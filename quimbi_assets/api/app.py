"""The application: one page a store, one a customer, lists as CSV.

Belongs here: its routes, errors, and whom it answers. Does not: starting a server (``commands.services``).

It listens on this machine alone and answers only where it is asked for by this machine's name, so that a page of
another origin cannot read it through a name of its own (DNS rebinding).
"""

from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import unquote

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from quimbi_assets.errors import BadInputError, UnknownCustomerError, UnknownStoreError
from quimbi_assets.page.render import content_policy, message_page, stores_page
from quimbi_assets.resources.audiences import choice_of
from quimbi_assets.resources.exports import csv_parts
from quimbi_assets.resources.pages import Pages
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary, stream_profiles
from quimbi_assets.resources.postgres.tables.shops import list_shops

HOSTS = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": content_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def create_app(database: Database) -> FastAPI:
    """Return the application on a database; pages are made once a publication."""
    app, pages = FastAPI(title="quimbi", docs_url=None, redoc_url=None), Pages(database)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))

    @app.middleware("http")
    async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        has_nul = "\0" in unquote(request.url.path) or "%00" in request.url.query  # which no text in a table has
        page = HTMLResponse(message_page("Nothing to show", "there is nothing of that name"), 404)
        response = page if has_nul else await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(BadInputError)
    async def refused(request: Request, error: BadInputError) -> Response:
        unknown = isinstance(error, UnknownStoreError | UnknownCustomerError)
        return HTMLResponse(message_page("Nothing to show", str(error)), 404 if unknown else 400)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        database.execute("SELECT 1")
        return {"status": "ok"}

    @app.get("/")
    def stores() -> Response:
        return HTMLResponse(stores_page(list_shops(database)))

    @app.get("/stores/{store_id}")
    def store(store_id: str, request: Request) -> Response:
        page, version = pages.of_store(store_id)
        tag = f'"{version}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return HTMLResponse(page, headers={"ETag": tag, "Cache-Control": "private, no-cache"})

    @app.get("/stores/{store_id}/customers.csv")
    def customers(store_id: str, where: str | None = None, audience: str | None = None) -> Response:
        rows = _csv(database, store_id, where, audience)
        name = "".join(letter if letter.isalnum() else "_" for letter in audience or "customers")
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)

    @app.get("/stores/{store_id}/customers/{customer_id:path}")
    def customer(store_id: str, customer_id: str) -> Response:
        return HTMLResponse(pages.of_customer(store_id, customer_id))

    return app


def _csv(database: Database, store_id: str, where: str | None, audience: str | None) -> Iterator[bytes]:
    """Return the chosen customers as CSV, part by part; BadInputError at once if the choice cannot be understood."""
    with database.snapshot() as now:
        vocabulary = read_vocabulary(now, store_id)
        query, _ = choice_of(store_id, vocabulary, where, audience)
    return csv_parts(stream_profiles(database, store_id, query, vocabulary))
