"""The application: pages of stores for who sits at this machine, and ``/v1`` for programs with a token.

Belongs here: putting it together, routes of pages, errors. Does not: starting a server (``commands.services``), routes
of programs (``routes``).

Pages know nobody (``login`` asks for a password, if there is one), so they are for this machine alone: the server
listens here and answers only to this machine's names, so that a page of another origin cannot read it through a name of
its own (DNS rebinding). Where it is to answer to other names too, behind a proxy, it has no pages.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.exceptions import HTTPException

from quimbi_assets.api.guard import AGAIN, AGENTS, HOSTS, MACHINES, Guard, hung_up, in_words, problem
from quimbi_assets.api.mcp_server import create_server, http_routes
from quimbi_assets.api.mlflow_links import mlflow_links
from quimbi_assets.api.profiles import Profilers, explanation_record
from quimbi_assets.api.routes import DOCUMENTED, router
from quimbi_assets.audiences.filters import order_by, usual_sort
from quimbi_assets.errors import (
    BadInputError,
    DatabaseUnavailableError,
    ServerBusyError,
    UnknownAudienceError,
    UnknownCustomerError,
    UnknownStoreError,
)
from quimbi_assets.page.render import content_policy, message_page, stores_page
from quimbi_assets.resources.audiences import choice_of
from quimbi_assets.resources.exports import csv_parts
from quimbi_assets.resources.login import Login
from quimbi_assets.resources.pages import Pages
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary, stream_profiles
from quimbi_assets.resources.postgres.tables.shops import OrderCounts, list_shops
from quimbi_assets.resources.postgres.tables.similar import SimilarCustomers

HEADERS = {
    "Content-Security-Policy": content_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def create_app(database: Database, public: Sequence[str] = ()) -> FastAPI:
    """Return the application on a database, which it also answers for by these ``public`` names: then without pages.

    BadInputError if the role that programs read as can neither be made nor used.
    """
    served, hosts = ServedDatabase.of(database), [*HOSTS, *map(str.lower, public)]
    similar, profilers = SimilarCustomers(database), Profilers()
    server = create_server(served, similar, profilers=profilers)
    agents = http_routes(server, hosts)
    app = FastAPI(
        title="quimbi",
        version="1",
        summary="Segments and customer profiles of a store",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lambda _: server.session_manager.run(),
    )

    beside = CapacityLimiter(1)  # neither a thread nor a connection of those that questions wait for

    app.state.database, app.state.profilers, app.state.similar = served, profilers, similar
    app.add_middleware(Guard, database=served, hosts=hosts, headers=HEADERS)
    _add_errors(app)

    @app.get("/healthz", summary="Whether the database answers", responses={503: DOCUMENTED[503]})
    async def healthz() -> dict[str, str]:
        await to_thread.run_sync(served.check, limiter=beside)
        return {"status": "ok"}

    if not public:
        app.add_middleware(Login, open_to=(MACHINES, AGENTS, "/healthz"))
        _add_pages(app, database)
    app.include_router(router)
    app.router.routes.extend(agents)
    return app


def _add_errors(app: FastAPI) -> None:
    """Say what went wrong: to programs as problem details, to people on a page."""

    def answer(request: Request, status: int, detail: str, headers: Any = None) -> Response:
        if request.url.path.startswith((MACHINES, AGENTS, "/healthz")):
            return problem(status, detail, headers)
        return HTMLResponse(message_page("Nothing to show", detail), status, headers)

    @app.exception_handler(BadInputError)
    async def refused(request: Request, error: BadInputError) -> Response:
        unknown = isinstance(error, UnknownStoreError | UnknownCustomerError | UnknownAudienceError)
        for_programs = request.url.path.startswith(MACHINES)
        return answer(request, 404 if unknown else 422 if for_programs else 400, str(error))

    @app.exception_handler(ServerBusyError)
    @app.exception_handler(DatabaseUnavailableError)
    async def unavailable(request: Request, error: Exception) -> Response:
        return answer(request, 503, str(error), AGAIN)

    @app.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> Response:
        return answer(request, 422, in_words([{**one, "loc": one["loc"][1:]} for one in error.errors()]))

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        return answer(request, error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        headers = {**HEADERS, "Cache-Control": "private, no-store"}  # which the guard sets: this is outside of it
        return answer(request, 500, "this failed; the server's log says where", headers)


def _add_pages(app: FastAPI, database: Database) -> None:
    """Add the pages of stores, each made once a publication, of customers, and lists as CSV."""
    pages, counts = Pages(database), OrderCounts()

    @app.get("/", include_in_schema=False)
    def stores() -> Response:
        return HTMLResponse(stores_page(list_shops(database, counts, with_checks=False)))

    @app.get("/stores/{store_id}", include_in_schema=False)
    def store(store_id: str, request: Request) -> Response:
        page, version = pages.of_store(store_id)
        tag = f'"{version}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return HTMLResponse(page, headers={"ETag": tag, "Cache-Control": "private, no-cache"})

    @app.get("/stores/{store_id}/customers.csv", include_in_schema=False)
    def customers(
        store_id: str, where: str | None = None, audience: str | None = None, sort: str | None = None
    ) -> Response:
        rows = _csv(database, store_id, where, audience, sort)
        name = "".join(letter if letter.isalnum() else "_" for letter in audience or "customers")
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)

    @app.get("/stores/{store_id}/customers/{customer_id:path}", include_in_schema=False)
    def customer(request: Request, store_id: str, customer_id: str, why: bool = False) -> Response:
        asked = app.state.database, store_id, customer_id, app.state.profilers, hung_up(request)
        return HTMLResponse(pages.of_customer(store_id, customer_id, explanation_record(*asked) if why else None))

    app.include_router(mlflow_links(database))


def _csv(
    database: Database, store_id: str, where: str | None, audience: str | None, sort: str | None
) -> Iterator[bytes]:
    """Return the chosen customers as CSV, part by part; BadInputError at once if the choice cannot be understood."""
    with database.snapshot(store_id) as now:
        vocabulary = read_vocabulary(now, store_id)
        query, named = choice_of(store_id, vocabulary, where, audience)
        by = sort or (named.sort if named else usual_sort(query))
        order = order_by(by, vocabulary)
    return csv_parts(stream_profiles(database, store_id, query, vocabulary, order))
