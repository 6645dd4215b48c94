"""What a store's page is made of, read out of the tables; and the page itself, once a publication.

Belongs here: the queries, and remembering pages. Does not: what a page says (``page``), serving it (``api``).
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.axis_table import INACTIVE, AxisTable
from quimbi_assets.errors import BadInputError, NeverRunError
from quimbi_assets.page.content import StoreView, store_view
from quimbi_assets.page.customer import customer_view, written_day
from quimbi_assets.page.facts import CustomerFacts, CustomerList, StoreFacts
from quimbi_assets.page.render import customer_page, looks, store_page
from quimbi_assets.resources.audiences import audience_query, project_definitions
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables import publications as published
from quimbi_assets.resources.postgres.tables.customers import read_chosen, read_vocabulary
from quimbi_assets.resources.postgres.tables.history import read_weeks
from quimbi_assets.resources.postgres.tables.identities import customer_called
from quimbi_assets.resources.postgres.tables.promotions import FORECASTS, read_fit
from quimbi_assets.resources.postgres.tables.stores import read_store, store_currency
from quimbi_assets.resources.postgres.tables.treatments import UNCOUNTED, TrialState, read_trials

CHURN, VALUE = FORECASTS
MOST_TO_LOSE = "Most to lose first: risk of leaving times what they spent; whoever has under 10 % is not among them."
GOING = Audience("going", "lifecycle in ('slowing', 'at risk')", "Those who spent most first.", "value_at_risk")
IN_DOUBT = replace(GOING, where=f"{GOING.where} and (risk >= 0.1 or risk is null)", about=MOST_TO_LOSE)
"""The same where risk is known."""
STAGES_TOLD_LATE = ("lapsed", "lost")
"""The last stages, which it takes customers who did not come back to tell."""
SHOWN_OF_A_LIST = 6
"""Customers that a list on the page shows, where their own pages are a link away."""
SHOWN_IN_A_FILE = 25
"""Customers that a list in a file shows, with their profiles."""
WEEKS = 13
TOTALS = """
    SELECT count(*) AS customers, coalesce(sum(lifetime_value), 0) AS revenue, min(first_order_at) AS first_order_at,
        max(last_order_at) AS last_order_at, count(*) FILTER (WHERE n_orders = 1) AS bought_once
    FROM quimbi.customer_profiles WHERE store_id = %(store)s
"""
LIKELY = """
    SELECT lifecycle, count(*) FROM quimbi.customer_profiles WHERE store_id = %(store)s AND churn_risk_score < 0.1
        AND lifecycle IN ('slowing', 'at risk', 'lapsed', 'lost') GROUP BY lifecycle
"""
MOVES = """
    SELECT week, cause, count(DISTINCT customer_id) AS customers FROM quimbi.segment_migrations AS move
    WHERE store_id = %(store)s AND week > (SELECT max(week) FROM quimbi.segment_migrations WHERE store_id = %(store)s)
        - 7 * %(weeks)s AND EXISTS (SELECT FROM quimbi.axis_models AS axis WHERE axis.store_id = move.store_id
            AND axis.axis_name = move.axis_name AND axis.status = 'active')
    GROUP BY week, cause ORDER BY week, cause
"""
FLOWS = """
    SELECT from_segment, to_segment, cause, count(*) AS customers FROM quimbi.segment_migrations
    WHERE store_id = %(store)s AND week = %(week)s AND axis_name = 'lifecycle'
    GROUP BY 1, 2, 3 ORDER BY customers DESC, 1, 2, 3
"""
PEOPLE = """
    SELECT customer_id, lifecycle, lifetime_value AS value, churn_risk_score AS risk, last_order_at, interpretation
    FROM quimbi.customer_profiles WHERE store_id = %(store)s AND customer_id = ANY(%(ids)s)
"""
HISTORY = """
    SELECT week, lifecycle, lifetime_value, churn_risk_score FROM quimbi.customer_history
    WHERE store_id = %(store)s AND customer_id = %(customer)s ORDER BY week DESC LIMIT 26
"""


def page_version(database: Database, store_id: str) -> str:
    """Return what a store's page is as good as: publication, week, names, trials, audiences, settings, looks.

    BadInputError if the store was not run yet; UnknownStoreError if there is no such store.
    """
    store, report = read_store(database, store_id), _backtest_table(store_id)
    sql = """
        SELECT (SELECT max(publication_id) FROM quimbi.publications WHERE store_id = %(store)s),
            (SELECT max(week) FROM quimbi.population_drift WHERE store_id = %(store)s),
            (SELECT md5(string_agg(segment_name, ',' ORDER BY axis_name, segment_id)) FROM quimbi.dim_segment_master
             WHERE store_id = %(store)s AND valid_to IS NULL),
            (SELECT md5(string_agg(concat_ws('|', subject, finding, ended_at), ',' ORDER BY subject))
             FROM quimbi.trials WHERE store_id = %(store)s)
    """
    (publication, week, names, trials), *_ = database.execute(store_id, sql, {"store": store_id})
    if publication is None:
        raise NeverRunError(store_id, "profiles")
    audiences = sorted((one.name, one.where, one.about) for one in project_definitions().audiences.values())
    settings = store.time_zone, store.currency, report and report.place.stat().st_mtime
    others = hashlib.sha256(repr((week, names, trials, audiences, *settings, looks())).encode()).hexdigest()[:16]
    return f"{publication}-{others}"


def read_store_facts(database: Database, store_id: str, *, in_a_file: bool = False) -> StoreFacts:
    """Read what a store's page says, as of one instant; BadInputError if the store was not run since it has groups.

    Nobody is in two lists: who is worth saving is not told again among those who are leaving.
    """
    with database.snapshot(store_id) as now:
        store, last = read_store(now, store_id), published.read_publication(now, store_id)
        asked = {"store": store_id, "weeks": WEEKS}
        groups = now.query(store_id, "SELECT * FROM quimbi.group_figures WHERE store_id = %(store)s", asked)
        if last is None or groups.empty:
            raise BadInputError(f"store {store_id} has no page yet; compute it: quimbi run --store-id {store_id}")
        axes, segments = published.read_segments(now, store_id)
        vocabulary = read_vocabulary(now, store_id)
        totals = now.query(store_id, TOTALS, asked).iloc[0]
        week, currency = next(iter(read_weeks(now, store_id)[-1:]), None), store_currency(now, store_id) or ""
        churn = _forecast(now, store_id, CHURN, last.model_versions)
        going = GOING if isinstance(churn, str) else IN_DOUBT
        *lists, leaving = _lists(now, store_id, going, vocabulary, in_a_file=in_a_file)
        return StoreFacts(
            store_id=store_id,
            currency=currency,
            time_zone=store.time_zone,
            as_of=last.as_of.tz_localize("UTC").to_pydatetime(),
            customers=int(totals["customers"]),
            revenue=float(totals["revenue"]),
            bought_once=int(totals["bought_once"]),
            orders_per_customer=published.orders_per_customer(now, store_id) or 0.0,
            first_order_at=_instant(totals["first_order_at"]),
            last_order_at=_instant(totals["last_order_at"]),
            groups=groups,
            axes=axes,
            segments=segments,
            going=leaving,
            lists=lists,
            moves=now.query(store_id, MOVES, asked),
            flows=now.query(store_id, FLOWS, {**asked, "week": week}),
            last_week=week,
            churn=churn,
            value=_forecast(now, store_id, VALUE, last.model_versions),
            backtest=_backtest(store_id),
            likely={stage: int(customers) for stage, customers in now.execute(store_id, LIKELY, asked)},
            helped=[_helped(one, currency, store.time_zone) for one in read_trials(now, store_id, anew=False)],
            untold=_untold(last.marketing),
        )


def _helped(trial: TrialState, currency: str, zone: str) -> tuple[str, str]:
    """Say what is tried, and what is known of it as of when."""
    if trial.computed_at is None:
        return trial.subject, UNCOUNTED
    words = trial.words(currency)
    return trial.subject, f"{words}, as counted on {written_day(trial.computed_at, zone)}"


def read_customer_facts(database: Database, store_id: str, customer_id: str) -> CustomerFacts:
    """Read what a customer's page says; UnknownCustomerError if the store has no profile of them."""
    with database.snapshot(store_id) as now:
        store = read_store(now, store_id)
        customer_id = customer_called(now, store_id, customer_id)
        profile = _profiles(now, store_id, [customer_id])[customer_id]
        return CustomerFacts(
            store_id=store_id,
            currency=store_currency(now, store_id) or "",
            time_zone=store.time_zone,
            profile=profile,
            weeks=_records(now.query(store_id, HISTORY, {"store": store_id, "customer": customer_id})),
        )


def _profiles(now: Database, store_id: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Read profiles of customers with the names of today, by id; UnknownCustomerError if nobody has one."""
    from quimbi_assets.profiles.rendering import profile_record
    from quimbi_assets.resources.postgres.tables.products import name_products

    rows = published.read_profiles(now, store_id, ids).to_dict("records")
    _, segments = published.read_segments(now, store_id)
    archetypes = published.read_archetypes(now, store_id)
    names = {
        str(axis): dict(zip(of["segment_id"], of["segment_name"], strict=True))
        for axis, of in segments.groupby("axis_name")
    }
    called = dict(zip(archetypes["archetype_id"], archetypes["name"], strict=True))
    records = [profile_record({str(name): value for name, value in row.items()}, names, called) for row in rows]
    name_products(now, store_id, records)
    return {str(record["customer_id"]): record for record in records}


def _lists(
    now: Database, store_id: str, going: Audience, vocabulary: Vocabulary, *, in_a_file: bool
) -> list[CustomerList]:
    """Read a store's audiences and who is going, each without those who stand in one before it.

    In a file with the profiles of all whom the lists show.
    """
    audiences = (one for one in project_definitions().audiences.values() if one.is_of(store_id))
    lists: list[CustomerList] = []
    for one in (*audiences, going):
        listed = {row["customer_id"] for other in lists for row in other.rows}
        lists.append(_list(now, store_id, one, vocabulary, listed, SHOWN_IN_A_FILE if in_a_file else SHOWN_OF_A_LIST))
    ids = [row["customer_id"] for one in lists for row in one.rows]
    profiles = _profiles(now, store_id, ids) if in_a_file and ids else {}
    return [replace(one, profiles=profiles) for one in lists]


def _list(
    now: Database, store_id: str, one: Audience, vocabulary: Vocabulary, listed: set[str], shown: int
) -> CustomerList:
    """Read an audience; one whose filter the store does not understand says so."""
    try:
        query = audience_query(one, vocabulary)
        chosen = read_chosen(now, store_id, query, vocabulary, one.sort, shown + len(listed))
    except BadInputError as error:
        return CustomerList(one.name, str(error), one.where, 0, 0.0, [], is_known=False)
    first = [row["customer_id"] for row in chosen.rows]
    ids = [customer for customer in first if customer not in listed][:shown]
    elsewhere = len(listed.intersection(first[: first.index(ids[-1])] if ids else first))
    people = {row["customer_id"]: row for row in _records(now.query(store_id, PEOPLE, {"store": store_id, "ids": ids}))}
    rows = [people[customer] for customer in ids]
    return CustomerList(one.name, one.about, one.where, chosen.customers, chosen.value or 0.0, rows, elsewhere)


def _untold(marketing: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the last stages that no limit of a publication's leads to."""
    limits = [] if marketing is None else list(zip(*marketing["limits"], strict=True))[-2:]
    return frozenset(stage for stage, of in zip(STAGES_TOLD_LATE, limits, strict=False) if not any(of))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): cell for name, cell in row.items()} for row in plain.to_dict("records")]


def _forecast(now: Database, store_id: str, forecast: str, versions: dict[str, str]) -> dict[str, Any] | str:
    fit = read_fit(now, store_id, forecast, version=versions.get(forecast))
    if fit is None or fit.status == INACTIVE or forecast not in versions:
        return "not known" if fit is None or not fit.reason else fit.reason
    return fit.reason or "not known" if forecast == VALUE and fit.reason else dict(fit.figures)


def _backtest(store_id: str) -> pd.DataFrame | None:
    table = _backtest_table(store_id)
    return None if table is None else table.read().to_pandas()


def _backtest_table(store_id: str) -> AxisTable | None:
    if not os.environ.get("QUIMBI_STORAGE_URL") and not (quimbi_home() / "storage" / "backtest").exists():
        return None  # what looks into storage takes half a second to import
    from dagster import AssetKey

    from quimbi_assets.resources.parquet_io import parquet_tables

    return parquet_tables().table(AssetKey(["backtest", "report"]), store_id)


def _instant(value: Any) -> Any:
    return None if pd.isna(value) else value.to_pydatetime()


class Pages:
    """Pages of stores, each made once a publication."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._made: dict[str, tuple[str, str]] = {}

    def of_store(self, store_id: str) -> tuple[str, str]:
        """Return a store's page and its version."""
        version = page_version(self._database, store_id)
        if self._made.get(store_id, ("", ""))[0] != version:
            self._made[store_id] = version, store_page(view_store(self._database, store_id), live=True)
        return self._made[store_id][1], version

    def of_customer(self, store_id: str, customer_id: str, receipt: Mapping[str, Any] | None = None) -> str:
        """Return the page of a customer; with their receipt (``explanation.words``), it says why."""
        facts = replace(read_customer_facts(self._database, store_id, customer_id), receipt=receipt)
        return customer_page(customer_view(facts))


def view_store(database: Database, store_id: str, *, in_a_file: bool = False) -> StoreView:
    """Return what a store's page says; BadInputError if the store was not run yet."""
    return store_view(read_store_facts(database, store_id, in_a_file=in_a_file))
