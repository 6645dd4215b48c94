"""The project's file of audiences, and what its filters mean to a store.

Belongs here: finding the file, a filter as a store understands it, how large each audience is. Does not: reading it
(``audiences.definitions``), SQL (``postgres.tables``).
"""

from typing import Any

from quimbi_assets.audiences.definitions import BUILT_IN, FILE_NAME, Audience, Definitions, read_definitions
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.audiences.filters import Query, compile_filter
from quimbi_assets.errors import BadInputError, FilterError
from quimbi_assets.resources.home import project_text, quimbi_home
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.audiences import read_audiences
from quimbi_assets.resources.postgres.tables.customers import count_chosen, read_vocabulary


def project_definitions() -> Definitions:
    """Return the audiences and export targets of the project: its file's, ``$QUIMBI_HOME/audiences.yaml``, if any.

    BadInputError with the line if the file cannot be used.
    """
    text = project_text(FILE_NAME)
    return Definitions(BUILT_IN) if text is None else read_definitions(text, str(quimbi_home() / FILE_NAME))


def choice_of(
    store_id: str, vocabulary: Vocabulary, where: str | None, audience: str | None
) -> tuple[Query, Audience | None]:
    """Return whom a filter or an audience chooses; everybody without either, a BadInputError with both."""
    if where is not None and not where.strip():
        raise BadInputError("the filter is empty: leave --where out for everybody")
    if audience is None:
        return compile_filter(where, vocabulary), None
    if where is not None:
        raise BadInputError("audience and where both say who: give one of them")
    one = project_definitions().audience(audience, store_id)
    return audience_query(one, vocabulary), one


def audience_query(audience: Audience, vocabulary: Vocabulary) -> Query:
    """Return an audience's filter as a store understands it; BadInputError, by its name, if it does not."""
    try:
        return compile_filter(audience.where, vocabulary)
    except FilterError as error:
        raise BadInputError(f"audience {audience.name}: {error}") from error


def audiences_now(database: Database, store_id: str) -> list[dict[str, Any]]:
    """Return the audiences of a store: who would be in each now, and who entered and left at its last renewal.

    One whose filter the store does not understand has the reason as ``problem``.
    """
    from quimbi_assets.resources.postgres.tables.stores import store_currency  # pandas, 0.3 s

    vocabulary = read_vocabulary(database, store_id)
    states, currency = read_audiences(database, store_id), store_currency(database, store_id) or ""
    rows: list[dict[str, Any]] = []
    queries: dict[str, Query] = {}
    for one in project_definitions().audiences.values():
        if not one.is_of(store_id):
            continue
        row: dict[str, Any] = {"audience": one.name, "about": one.about, "where": one.where, "problem": None}
        try:
            queries[one.name] = audience_query(one, vocabulary)
        except BadInputError as error:
            row["problem"] = str(error)
        state = states.get(one.name)
        row |= {"customers": None, "value": None, "currency": currency}
        row |= {"entered": state and state.entered, "left": state and state.left}
        rows.append(row | {"refreshed_at": state and state.refreshed_at})
    sizes = dict(zip(queries, count_chosen(database, store_id, list(queries.values())), strict=True)) if queries else {}
    for row in rows:
        if row["audience"] in sizes:
            row["customers"], row["value"] = sizes[row["audience"]]
    return rows
