"""What each rule of a store's order policy leaves out, and who would be in another segment if it did the opposite.

Belongs here: the store's rows under its policy and under each opposite one, scored with the models that serve (nothing
is fitted). Does not: the sums (``ingest.ledger``), the policy (``ingest.policy``), printing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from quimbi_assets.engines import DuckEngine
from quimbi_assets.errors import NeverRunError
from quimbi_assets.history import History
from quimbi_assets.ingest.ledger import BY_RULE, GIFT_CARDS, MEASURES, STORED, WHOSE, in_money, ledger_sql
from quimbi_assets.ingest.policy import CURRENCY, GUEST, STATUS, Report, apply_policy, common_currency
from quimbi_assets.pipeline import score_store
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.reading import SORTED, stored_rows
from quimbi_assets.resources.profiling import StoreProfiler, open_profiler
from quimbi_assets.store import OrderPolicy, Store

ROWS = {"orders": "orders", "items": "order_items", "tickets": "support_tickets"}
"""Tables of the database by what they are called on the engine, after ``sent_`` and ``stored_``."""
_WITH = "WITH stored_orders AS (FROM sent_orders), stored_items AS (FROM sent_items)"


def policy_effects(store_id: str) -> dict[str, Any]:
    """Return what is stored, what each rule leaves out and what counts: orders, lines, money, ``customers``.

    Of a rule that has an opposite, ``opposite`` says how many of its ``customers`` stand in another dominant segment
    under it, on ``any_axis`` and ``by_axis``, and how many are ``new``: they had bought nothing that counts. In words,
    ``not_scored`` says why that is not known. Money is in the store's currency. UnknownStoreError if there is none of
    that id.
    """
    try:
        profiler: StoreProfiler | None = open_profiler(store_id)
    except NeverRunError:
        profiler = None
    with _sent_rows(store_id) as (engine, store):
        report = _apply(engine, store.policy, store.currency)
        asked = store.policy, store.currency, report
        sums = in_money(engine.arrow(f"{_WITH}, {ledger_sql(*asked, BY_RULE)}").to_pandas()).set_index("rule")
        sums = sums[sums[list(MEASURES)].ne(0).any(axis=1)].sort_values("orders", ascending=False)
        columns = [*MEASURES, "customers"]
        by_rule = {str(rule): dict(zip(columns, row, strict=True)) for rule, *row in sums[columns].itertuples()}
        engine.materialise("whose", f"{_WITH}, {ledger_sql(*asked, WHOSE)}")
        left = [rule for rule in by_rule if rule != STORED]
        opposites = dict.fromkeys(left) if profiler is None else _opposites(engine, store, profiler, left)
        customers = engine.arrow("SELECT count(DISTINCT customer_id) AS n FROM sent_orders")["n"][0].as_py()
    stored = by_rule.get(STORED) or dict.fromkeys(MEASURES, 0.0)
    counted = {name: stored[name] - sum(by_rule[rule][name] for rule in left) for name in MEASURES}
    return {
        "store_id": store_id,
        "currency": store.currency,
        "as_of": None if profiler is None else profiler.observation_end.isoformat(),
        "not_scored": f"quimbi run --store-id {store_id} has not ended yet" if profiler is None else None,
        "stored": {**_figures(stored), "customers": customers},
        "rules": [
            {"rule": rule, **_figures(by_rule[rule]), "customers": int(by_rule[rule]["customers"])}
            | {"opposite": opposites[rule]}
            for rule in left
        ],
        "counted": _figures(counted),
    }


def _figures(row: Mapping[str, float]) -> dict[str, float]:
    counts = {name: int(row[name]) for name in ("orders", "lines")}
    return counts | {name: round(float(row[name]), 2) for name in ("paid", "discount", "refunds")}


@contextmanager
def _sent_rows(store_id: str) -> Iterator[tuple[DuckEngine, Store]]:
    """Open an engine with all rows of a store, before any policy, as ``sent_orders``, ``_items`` and ``_tickets``."""
    with DuckEngine() as engine:
        with stored_rows(open_database(), store_id) as rows:
            for name, table in ROWS.items():
                engine.take(f"sent_{name}", rows.stream(table))
        engine.materialise("stored_orders", "FROM sent_orders")
        currency = rows.store.policy.currency or rows.store.currency or common_currency(engine)
        yield engine, replace(rows.store, currency=currency)


def _apply(engine: DuckEngine, policy: OrderPolicy, currency: str | None, *, in_any_currency: bool = False) -> Report:
    """Make the canonical tables of an engine those of a policy."""
    for name in ROWS:
        blank = " REPLACE (NULL AS currency)" if in_any_currency and name == "orders" else ""
        engine.materialise(f"stored_{name}", f"SELECT *{blank} FROM sent_{name}")
    return apply_policy(engine, policy, currency)


def _opposite(policy: OrderPolicy, rule: str) -> dict[str, Any] | None:
    """Return what ``_apply`` is to be told for a rule to do the opposite; None where it has none."""
    if rule.startswith(STATUS):
        name = rule.removeprefix(STATUS)
        return {"policy": replace(policy, dropped_statuses=tuple(s for s in policy.dropped_statuses if s != name))}
    if rule.startswith(CURRENCY):
        return {"policy": policy, "in_any_currency": True}
    opposites = {GUEST: replace(policy, drop_guests=False), GIFT_CARDS: replace(policy, gift_card_kinds=())}
    return {"policy": opposites[rule]} if rule in opposites else None


def _opposites(
    engine: DuckEngine, store: Store, profiler: StoreProfiler, rules: list[str]
) -> dict[str, dict[str, Any] | None]:
    """Score whom each rule concerns under the policy, which the engine's tables are of, and under its opposite."""
    asked = {rule: _opposite(store.policy, rule) for rule in rules}
    before = _segments(engine, store, profiler, [rule for rule, opposite in asked.items() if opposite])
    effects: dict[str, dict[str, Any] | None] = dict.fromkeys(asked)
    for rule, opposite in asked.items():
        if opposite is not None:
            _apply(engine, currency=store.currency, **opposite)
            effects[rule] = _moved(before, _segments(engine, store, profiler, [rule]))
    return effects


def _segments(engine: DuckEngine, store: Store, profiler: StoreProfiler, rules: list[str]) -> pd.DataFrame:
    """Return the dominant segment, by its place in the model, of everybody whom rules concern; a column an axis."""
    engine.view("concerned", pa.table({"rule": pa.array(rules, pa.string())}))
    whom = "SELECT customer_id FROM whose SEMI JOIN concerned USING (rule)"
    sorted_rows = {name: f"FROM ({sql}) WHERE customer_id IN ({whom}) ORDER BY ALL" for name, sql in SORTED.items()}
    tables = {name: engine.arrow(sql) for name, sql in sorted_rows.items()}
    history = History(store, tables).until(profiler.observation_end)
    if not history.n_customers:
        return pd.DataFrame(columns=list(profiler.models), dtype=np.int8)
    references = dict.fromkeys(profiler.models, profiler.reference)
    parts = score_store(history, profiler.models, references, profiler.recorded)
    return pd.concat(
        pd.DataFrame({axis: pd.Series(s.dominant_ids, s.customers) for axis, s in part.scores.items()})
        for part in parts
    )


def _moved(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    known = after.index.intersection(before.index)
    moved = before.loc[known] != after.loc[known, before.columns]
    return {
        "any_axis": int(moved.any(axis=1).sum()),
        "by_axis": {str(axis): int(n) for axis, n in moved.sum().items()},
        "new": len(after.index.difference(before.index)),
    }
