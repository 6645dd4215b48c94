"""Asks every route of programs at random, by its document and against it, and holds the answers to the document.

Half of the questions fit the document, half do not; filters are put together of words of the language, cursors are
those of other questions or damaged. Prints answers by route and status, and every one that the document does not have,
or that is not as it says. ``--store-id S`` is a store that was run in ``QUIMBI_HOME``; ``--calls 10000``.
"""

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from quimbi_assets.api.app import create_app
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.tokens import create_token, revoke_token

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
WORDS = [
    "lifecycle", "value", "risk", "orders", "customer_id", "purchase_value", "purchase_value.n_orders", "archetype",
    "first_order_at", "customer_maturity.lifecycle_stage", "=", "<>", "<", ">=", "and", "or", "not", "in", "between",
    "is", "null", "true", "(", ")", ",", "'at risk'", "'2010-05-01'", "'purchase_value_1'", "500", "0.4", "-1e308",
    "1e999", "entered(lifecycle, 'at risk', 4)", "left(", "--", ";", "%s", "%(store)s", "{}", "'", '"', "/*", "*/",
    "\u2028", "é",
]  # fmt: skip
FILTERS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
SORTS = st.sampled_from(
    ["value", "risk asc", "customer_id", "archetype", "purchase_value", "first_order_at", "shoe size", ""]
)


def fuzz(
    app: Any, token: str, store_id: str, known: dict[str, list[str]], calls: int
) -> tuple[Counter[Any], list[str]]:
    """Ask about ``calls`` questions; return answers by (method, path, status), and what the document does not have.

    ``known``: by name of a path's parameter, values that lead somewhere.
    """
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    operations = [one.ok() for one in schema.get_all_operations()]
    statuses: Counter[Any] = Counter()
    wrong: list[str] = []
    cursors = [""]
    places = {name: st.sampled_from(values) for name, values in known.items()}
    headers = {"Authorization": f"Bearer {token}", "Host": "127.0.0.1"}
    each = max(calls // (2 * len(operations)), 1)

    def ask(data: st.DataObject, questions: st.SearchStrategy[Any]) -> None:
        case = data.draw(questions)
        _steer(data, case, places, store_id, cursors)
        response = case.call(headers=headers, timeout=300)
        statuses[case.method, case.operation.path, response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS, headers=headers)
        except Exception as error:  # whatever it is, it is what this looks for
            wrong.append(f"{case.method} {case.formatted_path} {case.query} {case.body}: {error}"[:1_000])
        if response.status_code == 200 and (cursor := response.json().get("next_cursor")):
            cursors.append(cursor)

    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _repeat(partial(ask, questions=operation.as_strategy(generation_mode=mode)), each)
    return statuses, wrong


def _repeat(ask: Callable[[st.DataObject], None], times: int) -> None:
    """Call with different data each time, the same in every run."""

    @settings(
        max_examples=times,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def once(data: st.DataObject) -> None:
        ask(data)

    with suppress(Unsatisfiable):  # a route without arguments cannot be asked wrongly
        once()


def _steer(data: st.DataObject, case: Any, places: dict[str, Any], store_id: str, cursors: list[str]) -> None:
    """Lead most questions to where there is something: the store, a customer, a filter that may be read."""
    case.path_parameters = dict(case.path_parameters or {})
    if "{store_id}" in case.operation.path:
        case.path_parameters["store_id"] = store_id
    for name, values in places.items():
        if f"{{{name}}}" in case.operation.path and data.draw(st.booleans()):
            case.path_parameters[name] = data.draw(values)
    names = {parameter.name for parameter in case.operation.query}
    for name, values in (("where", FILTERS), ("sort", SORTS), ("cursor", st.sampled_from(cursors[-50:]))):
        if name in names and data.draw(st.booleans()):
            case.query = {**(case.query or {}), name: data.draw(values)}


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store-id", required=True)
    parser.add_argument("--calls", type=int, default=10_000)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    database = open_database()
    token, made = create_token(database, options.store_id, ["read"], 1)
    sql = "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY md5(customer_id) LIMIT 50"
    customers = [customer for (customer,) in database.execute(options.store_id, sql, (options.store_id,))]
    known = {"customer_id": customers, "audience": ["cooling", "worth_saving", "new_and_promising"]}
    start = time.perf_counter()
    statuses, wrong = fuzz(create_app(database), token, options.store_id, known, options.calls)
    revoke_token(database, made.token_id)
    for (method, path, status), n in sorted(statuses.items()):
        print(f"{n:7,}  {status}  {method} {path}")
    print(f"{statuses.total():7,}  calls in {time.perf_counter() - start:.0f} s, {len(wrong)} not as documented")
    print(*dict.fromkeys(wrong), sep="\n\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
