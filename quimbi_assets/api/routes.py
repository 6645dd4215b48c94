"""The routes of programs, below ``/v1``: a question in, a model out.

Belongs here: paths and their documents. Does not: what is answered (``answers``), who may ask (``guard``).
"""

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.routing import Match
from starlette.types import Scope

from quimbi_assets.api import answers, models
from quimbi_assets.api.guard import CALLED, MACHINES, hung_up, problem, token_of
from quimbi_assets.api.profiles import ProfileRequest, explain_customer, profile_orders
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.tables.sources import note_call

PROBLEM = {"application/problem+json": {"schema": models.Problem.model_json_schema()}}
PROBLEMS = {
    400: "The request cannot be read, or asks by a name that the server does not answer to",
    401: "No token, or one that is not known, expired or revoked",
    403: "The token may not do this",
    404: "There is none, or not for this token",
    413: "The body is too large",
    422: "The question cannot be understood",
    503: "No answer in time: ask for less, or again",
}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": PROBLEM} for status, text in PROBLEMS.items()
}
DOCUMENTED[503]["headers"] = {
    "Retry-After": {"description": "After how many seconds to ask again", "schema": {"type": "integer"}}
}
"""What every route may answer beside its model."""
T = TypeVar("T")
Store = Annotated[str, Path(max_length=63, description="The store")]
Customer = Annotated[str, Path(max_length=500, description="The customer's id, as orders have it")]
TOKEN = HTTPBearer(auto_error=False, description="Made by: quimbi token create --store-id S")
"""For the document alone: ``guard`` has looked at the token by then."""


class AsWritten(APIRoute):
    """A route whose words after a customer's id have to stand in the address as such.

    An id may hold any: of customer ``a/similar`` the profile is at ``customers/a%2Fsimilar``.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a request is for this route."""
        words = self.path.rpartition(":path}")[2] if ":path}" in self.path else ""
        written = scope.get("raw_path", b"").partition(b"?")[0]
        return super().matches(scope) if written.endswith(words.encode()) else (Match.NONE, {})


def require_once(request: Request) -> None:
    """BadInputError if a parameter stands in the address twice: either could be meant."""
    times = Counter(name for name, _ in request.query_params.multi_items())
    twice = [name for name, n in times.items() if n > 1]
    if twice:
        raise BadInputError(f"{twice[0]!r} is given more than once: write it once")


router = APIRouter(
    prefix=MACHINES, dependencies=[Depends(TOKEN), Depends(require_once)], responses=DOCUMENTED, route_class=AsWritten
)


def ask(request: Request, question: Callable[..., T], *arguments: Any) -> T:
    """Answer a question out of one instant of the token's store; no row of another can be in the answer."""
    with request.app.state.database.of_store(token_of(request).store_id) as now:
        return question(now, *arguments)


@router.get("/stores", summary="Stores of the token")
def stores(request: Request) -> models.Stores:
    """Return the one store that the token is good for."""
    return ask(request, answers.list_stores, token_of(request).store_id)


@router.get("/gorgias/card", summary="A customer in ten strings, for the helpdesk", response_model_exclude_none=True)
def card(request: Request, asked: Annotated[answers.CardQuestion, Query()]) -> models.Card:
    """Return what an agent reads in three seconds; {"known": "no"} where nobody is known by the address."""
    return ask(request, answers.card_by_email, token_of(request).store_id, asked)


@router.post(CALLED.removeprefix(MACHINES), summary="A helpdesk says that a ticket has changed (scope notify)")
def webhook(request: Request) -> models.Called:
    """Note it; the tickets are read from the helpdesk itself soon. What else is sent is neither read nor believed."""
    store_id = token_of(request).store_id
    if not note_call(request.app.state.database, store_id):
        command = f"quimbi gorgias pull --store-id {store_id} --every day"
        raise HTTPException(404, f"no tickets of store {store_id} are pulled every hour or day: {command}")
    return models.Called(store_id=store_id)


@router.get("/stores/{store_id}/axes", summary="What the store was asked, and how far its orders answer")
def axes(request: Request, store_id: Store) -> models.Axes:
    """Return every axis: its question, whether it can be told from chance, how well its segments hold."""
    return ask(request, answers.list_axes, store_id)


@router.get("/stores/{store_id}/segments", summary="Segments by axis")
def segments(request: Request, store_id: Store, asked: Annotated[answers.SegmentQuestion, Query()]) -> models.Segments:
    """Return the segments of today, largest first, and what they were before if asked for."""
    return ask(request, answers.list_segments, store_id, asked)


@router.get("/stores/{store_id}/customers", summary="Customers by a filter, page by page")
def customers(
    request: Request, store_id: Store, asked: Annotated[answers.CustomerQuestion, Query()]
) -> models.Customers:
    """Return the customers whom a filter chooses; docs/filters.md has the language."""
    return ask(request, answers.find_customers, store_id, asked)


@router.get("/stores/{store_id}/at-risk", name="at_risk", summary="Good customers in doubt, most value at risk first")
@router.get("/stores/{store_id}/worth-saving", name="worth_saving", summary="As at-risk, by the audience's name")
def worth_saving(
    request: Request, store_id: Store, asked: Annotated[answers.ListQuestion, Query()]
) -> models.Customers:
    """Return who is out of their rhythm, spent well and may still be won back; ``quimbi at-risk`` lists them, too."""
    return ask(request, answers.worth_saving, store_id, asked)


@router.get("/stores/{store_id}/fallen-silent", summary="Who fell silent of late and has not ordered since")
def fallen_silent(
    request: Request, store_id: Store, asked: Annotated[answers.TopQuestion, Query()]
) -> models.FallenSilent:
    """Return who fell silent within eight weeks, newest first, by risk times value."""
    return ask(request, answers.fallen_silent, store_id, asked)


@router.get("/stores/{store_id}/trends", summary="How groups of customers change")
def trends(request: Request, store_id: Store, asked: Annotated[answers.TrendQuestion, Query()]) -> models.Trends:
    """Return groups now, 4 and 13 weeks ago, and the segments of axes week by week."""
    return ask(request, answers.trends, store_id, asked)


@router.get("/stores/{store_id}/migrations", summary="Who moved in a week, and why")
def migrations(
    request: Request, store_id: Store, asked: Annotated[answers.MigrationQuestion, Query()]
) -> models.Migrations:
    """Return moves between segments, lifecycle stages and archetypes, largest first."""
    return ask(request, answers.migrations, store_id, asked)


@router.get("/stores/{store_id}/lift", summary="Whether acting on customers helped")
def lift(request: Request, store_id: Store) -> models.Lift:
    """Return those acted on beside their control group, by audience, export and rule, as of the last run."""
    return ask(request, answers.lift, store_id)


@router.get("/stores/{store_id}/audiences", summary="Audiences and how large they are")
def audiences(request: Request, store_id: Store) -> models.Audiences:
    """Return the standing audiences and those of the project's file."""
    return ask(request, answers.list_audiences, store_id)


@router.get("/stores/{store_id}/audiences/{audience}", summary="Who is in an audience")
def members(
    request: Request,
    store_id: Store,
    audience: Annotated[str, Path(max_length=100, description="Its name")],
    asked: Annotated[answers.ListQuestion, Query()],
) -> models.Members:
    """Return who was in it when it was last renewed and may be written to."""
    return ask(request, answers.audience_members, store_id, audience, asked)


@router.post("/stores/{store_id}/customers/by-email", summary="A customer's profile by e-mail")
def profile_by_email(request: Request, store_id: Store, asked: answers.EmailQuestion) -> models.CustomerProfile:
    """Return who has an e-mail address; it is hashed and forgotten."""
    return ask(request, answers.get_profile_by_email, store_id, asked)


@router.post("/stores/{store_id}/route-ticket", summary="Who answers a ticket, and what else is to be done")
def route_ticket(request: Request, store_id: Store, asked: answers.TicketQuestion) -> models.Routing:
    """Return the queue, by which rule and why, and which rules nearly fired; nothing is kept of the question."""
    return ask(request, answers.route_ticket, store_id, asked)


@router.get("/stores/{store_id}/customers/{customer_id:path}/actions", summary="What is to be done about a customer")
def customer_actions(request: Request, store_id: Store, customer_id: Customer) -> models.Routing:
    """Return the same as ``route-ticket`` of a customer by id."""
    asked = answers.TicketQuestion(customer_id=customer_id, email=None, email_sha256=None)
    return ask(request, answers.route_ticket, store_id, asked)


@router.get("/stores/{store_id}/customers/{customer_id:path}/similar", summary="The customers most like one")
def similar(
    request: Request, store_id: Store, customer_id: Customer, asked: Annotated[answers.SimilarQuestion, Query()]
) -> models.Similar:
    """Return who is most alike on all axes, nearest first, and where they agree."""
    state = request.app.state
    return answers.similar_customers(
        state.database, token_of(request).store_id, customer_id, asked.limit, state.similar
    )


@router.get("/stores/{store_id}/customers/{customer_id:path}/explanation", summary="Why a customer is where they are")
def explanation(request: Request, store_id: Store, customer_id: Customer) -> models.Explanation:
    """Return what decides on each axis, what moved of late, and the smallest thing that would move them.

    Orders and tickets that may come are scored to know that: part of a second, the first time after a run some more.
    """
    state = request.app.state
    return explain_customer(state.database, token_of(request).store_id, customer_id, state.profilers, hung_up(request))


@router.get("/stores/{store_id}/customers/{customer_id:path}", summary="A customer's profile")
def profile(
    request: Request, store_id: Store, customer_id: Customer, asked: Annotated[answers.ProfileQuestion, Query()]
) -> models.CustomerProfile:
    """Return who a customer is and what is expected of them."""
    return ask(request, answers.get_profile, store_id, customer_id, asked)


@router.post("/stores/{store_id}/profiles", summary="Profiles of customers whose orders are sent")
def profiles(request: Request, store_id: Store, asked: ProfileRequest) -> models.Profiles:
    """Return what the store's models say of these orders; the first time after a run takes seconds. Nothing is kept."""
    state = request.app.state
    return profile_orders(state.database, token_of(request).store_id, asked, state.profilers, hung_up(request))


@router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
def unknown(request: Request, path: str) -> Response:
    """Answer every other path: last, so that whatever is mounted at the root does not."""
    others = [route for route in router.routes if isinstance(route, APIRoute) and route.include_in_schema]
    fitting = {method for route in others if route.path_regex.match(request.url.path) for method in route.methods or ()}
    if fitting:
        return problem(
            405, f"{MACHINES}/{path} takes {', '.join(sorted(fitting))}", {"Allow": ", ".join(sorted(fitting))}
        )
    return problem(404, f"there is no {MACHINES}/{path}; /openapi.json lists what there is")
