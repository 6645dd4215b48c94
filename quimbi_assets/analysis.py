"""A store in a notebook: its segments and profiles from files, frames or the database.

Belongs here: the few verbs that a person calls, over ``pipeline``. Does not: any step, publishing. Files and frames
need no server; nothing is written anywhere.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES, Features, measure
from quimbi_assets.axis_table import ACTIVE
from quimbi_assets.churn.evaluation import train_churn
from quimbi_assets.churn.model import ChurnModel
from quimbi_assets.clustering.axis_fit import MOST_SEGMENTS, FitOptions
from quimbi_assets.errors import BadInputError, InsufficientHistoryError, UnknownAxisError
from quimbi_assets.history import History
from quimbi_assets.ingest import tables
from quimbi_assets.ingest.cells import as_text
from quimbi_assets.ingest.files import Chunk, Table, open_table
from quimbi_assets.ingest.helpdesks import tickets_shaped
from quimbi_assets.ingest.keys import IdSet, addresses_of, find_customers, read_list
from quimbi_assets.ingest.policy import Report, purchases
from quimbi_assets.ingest.prepare import Preparation, Prepared
from quimbi_assets.ingest.products import product_rows
from quimbi_assets.ingest.shapes import shaped, with_prices
from quimbi_assets.ingest.survey import Survey, survey
from quimbi_assets.instants import Instant, to_instant, zoned
from quimbi_assets.marketing import MarketingReference, fit_affinities, fit_marketing, group_customers
from quimbi_assets.naming.plan import NamePlan, decide_names, plan_names
from quimbi_assets.naming.rows import why_provisional
from quimbi_assets.pipeline import FittedStore, fit_store, require_population, sample_store, score_store
from quimbi_assets.profiles.archetype_choice import ArchetypeChoice, choose_archetypes
from quimbi_assets.profiles.archetype_rows import archetype_names
from quimbi_assets.profiles.assemble import ProfileContext, profile_customers
from quimbi_assets.profiles.expected import predictions
from quimbi_assets.profiles.rendering import profile_record
from quimbi_assets.profiles.risk import churn_risks
from quimbi_assets.profiles.scores import AxisScores
from quimbi_assets.profiles.stays import StayModel
from quimbi_assets.resources.remote_files import local_copy, shown
from quimbi_assets.store import BusinessHours, OrderPolicy, Store
from quimbi_assets.value.evaluation import train_value
from quimbi_assets.value.model import ValueModel

Sent = pd.DataFrame | str | Path
By = Literal["name", "id"]
SPECS = {"orders": tables.ORDERS, "items": tables.ORDER_ITEMS, "tickets": tables.SUPPORT_TICKETS}
MOST_REFUSED = 0.5
"""Share of a table's rows from which it is taken for another kind of table."""
LARGEST_SEED = 2**32 - 1
"""NumPy's."""
_WRITERS = """
    SELECT count(*) AS n_tickets, count(buyer) AS n_known, count(DISTINCT buyer) AS n_writers
    FROM raw_tickets LEFT JOIN (SELECT DISTINCT customer_id AS buyer FROM raw_orders) ON buyer = customer_id
"""


def open_store(
    store_id: str = "store",
    *,
    orders: Sent | None = None,
    items: Sent | None = None,
    tickets: Sent | None = None,
    customers: Sent | None = None,
    products: Sent | None = None,
    columns: Mapping[str, str] | None = None,
    time_zone: str = "UTC",
    currency: str | None = None,
    policy: OrderPolicy | None = None,
    business_hours: BusinessHours | None = None,
) -> "StoreAnalysis":
    """Open a store to look at: without ``orders``, one that was loaded into the database, with its own settings.

    Orders, items, tickets and customers are frames, or CSV or Parquet files, with columns under any name that ``quimbi
    load`` understands. Without ``items``, lines are taken from orders that are a line export. Tickets find their
    customers by ``customer_id``, by e-mail, where orders carry it too, or by whichever key of a row of ``customers``,
    a list that holds two keys or more of each. ``products`` bring categories that lines do not say, ``columns`` says
    which column is which where names do not. The currency is by default that of most orders. Segments are found anew,
    so their names are this notebook's own: those that runs or ``quimbi rename`` have set for a loaded store are not
    looked up.

    It is a ``BadInputError`` if a table or an option cannot be used, more than half of a table's rows are refused, no
    ticket is of a customer with orders, or there is no such store.
    """
    is_path = isinstance(store_id, str) and (Path(store_id).is_file() or Path(store_id).suffix in (".csv", ".parquet"))
    if not isinstance(store_id, str) or (orders is None and is_path):
        shown = repr(store_id) if isinstance(store_id, str) else "..."
        raise BadInputError(f"what is opened is given by name: open_store(orders={shown})")
    if orders is None:
        return _from_database(store_id)
    hours = None if business_hours is None else vars(business_hours)
    store = Store(store_id, time_zone, currency, policy or OrderPolicy(), hours).checked()
    sent = {"orders": orders, "items": items, "tickets": tickets, "customers": customers, "products": products}
    opened, notes = _opened(sent, columns or {}, store.time_zone)
    surveys = {name: survey(opened[name], spec, name) for name, spec in SPECS.items() if name in opened}
    store = replace(store, currency=store.currency or surveys["orders"].currency)
    prepared = _prepared(store, opened, surveys)
    rows = {name: table.accepted for name, table in prepared.items()}
    if "tickets" in prepared:
        rows["tickets"], note = _of_customers(prepared, surveys, opened.get("customers"))
        notes.append(note)
    if products is not None and "items" in rows:
        rows["items"] = _with_products(rows["items"], opened["products"])
    canonical, report = purchases(rows["orders"], rows.get("items"), rows.get("tickets"), store)
    refused = {SPECS[name].name: table.refused for name, table in prepared.items()}
    return StoreAnalysis(History(store, canonical), report, refused, notes)


def _from_database(store_id: str) -> "StoreAnalysis":
    from quimbi_assets.resources.postgres.database import open_database
    from quimbi_assets.resources.postgres.reading import stored_history

    folder = TemporaryDirectory(prefix="quimbi-")
    history, report = stored_history(open_database(), store_id, Path(folder.name))
    with history.open() as engine:
        n_tickets, n_known, n_writers = engine.arrow(_WRITERS).to_pylist()[0].values()
    notes = [f"{n_known:,} of {n_tickets:,} tickets belong to {n_writers:,} known customers"] if n_tickets else []
    return StoreAnalysis(replace(history, keeps=folder), report, notes=notes)


def _table(name: str, sent: Sent) -> Table:
    """Return a table as found, in memory as one chunk."""
    if isinstance(sent, pd.DataFrame):
        if sent.empty:
            raise BadInputError(f"{name}: the frame has no rows" + ("" if name == "orders" else "; leave it out"))
        return Table.of(Chunk(sent.reset_index(drop=True)))
    if not isinstance(sent, (str, Path)):
        raise BadInputError(
            f"{name}: give a DataFrame or the path of a CSV or Parquet file, not a {type(sent).__name__}"
        )
    with ExitStack() as opened:
        return _whole(opened.enter_context(open_table(local_copy(sent, opened), shown(sent))))


def _opened(
    sent: Mapping[str, Sent | None], columns: Mapping[str, str], time_zone: str
) -> tuple[dict[str, Table], list[str]]:
    """Return tables as found, orders and lines apart, which know the columns that a person has named; with notes."""
    opened = {name: _table(name, table) for name, table in sent.items() if table is not None}
    if nowhere := [its for its in columns.values() if not any(its in table.columns for table in opened.values())]:
        raise BadInputError(f"columns: no table has a column {nowhere[0]}")
    for name, table in opened.items():
        named = {column: its for column, its in columns.items() if its in table.columns}
        opened[name] = replace(table, chosen=named)
    with ExitStack() as shaping:
        opened["orders"], lines, notes = shaped(opened["orders"], time_zone, shaping)
        if "items" in opened:
            opened["items"] = with_prices(opened["items"])
        elif lines is not None:
            opened["items"] = lines
        if "tickets" in opened:
            opened["tickets"] = tickets_shaped(opened["tickets"], time_zone)
        return {name: _whole(table) for name, table in opened.items()}, notes


def _with_products(lines: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return lines with what a list of products says of theirs, where they do not say it themselves."""
    listed = pd.concat(product_rows(table, survey(table, tables.PRODUCTS, "products"), "products"))
    by_key = listed.drop_duplicates("product_id").set_index("product_id")
    return lines.assign(
        **{name: lines[name].fillna(lines["product_id"].map(by_key[name])) for name in ("category", "product_type")}
    )


def _whole(table: Table) -> Table:
    """Return a table in memory as one chunk."""
    chunks = list(table.chunks(None))
    frames, broken = [chunk.frame for chunk in chunks], [line for chunk in chunks for line in chunk.broken]
    rows = Chunk(pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0], broken)
    return replace(table, chunks=lambda _: [rows])


def _prepared(store: Store, found: Mapping[str, Table], surveys: Mapping[str, Survey]) -> dict[str, Prepared]:
    """Sort tables into accepted and refused rows, orders before their lines."""
    now, prepared, known = pd.Timestamp.now("UTC"), {}, IdSet()
    for name, surveyed in surveys.items():
        preparation = Preparation(surveyed, store.time_zone, now, store.currency, known)
        (prepared[name],) = map(preparation.prepare, found[name].chunks(None))
        n_refused, n_read = preparation.n_refused, preparation.n_read
        if n_refused > MOST_REFUSED * n_read:
            why = prepared[name].refused["reason"].value_counts().index[0]
            raise BadInputError(f"{n_refused:,} of {n_read:,} {name} are refused, most often: {why}")
        known = IdSet.of(preparation.accepted_ids) if name == "orders" else known
    return prepared


def _of_customers(
    prepared: Mapping[str, Prepared], surveys: Mapping[str, Survey], listed: Table | None
) -> tuple[pd.DataFrame, str]:
    """Return tickets with the customers of the orders, or a key that no order has; and what there is to say of it."""
    orders, tickets, kinds = prepared["orders"], prepared["tickets"], surveys["tickets"].person
    customers = orders.accepted["customer_id"]
    keys = orders.persons[surveys["orders"].address_columns]
    addresses = addresses_of(keys, customers, orders.accepted["order_date"])
    addresses, ids = (addresses, None) if listed is None else _listed(listed, customers, addresses)
    writers, trusted = find_customers(tickets.persons, kinds, customers, addresses, ids)
    n_tickets = len(tickets.accepted)
    if not trusted:
        raise BadInputError(
            f"none of {n_tickets:,} tickets is of a customer who has orders (tried: {', '.join(kinds)}): give "
            "tickets with the orders' customer_id, orders with e-mail addresses beside it, or customers=, a list that "
            "holds the orders' customer_id beside one of these keys"
        )
    named = writers
    for key, kind in kinds.items():
        named = named.fillna(f"{kind}:" + tickets.persons[key])
    best, n_known = trusted[0][0], writers.nunique()
    note = f"{writers.count():,} of {n_tickets:,} tickets belong to {n_known:,} known customers (by {best})"
    return tickets.accepted.assign(customer_id=named), note


def _listed(table: Table, customers: pd.Series, addresses: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the customers of addresses and of other ids, as a list of customers has them; it overrules the orders."""
    surveyed = survey(table, tables.CUSTOMERS, "customers")
    kinds, (chunk,) = surveyed.person, table.chunks(None)
    if len(kinds) < 2:
        has = f"only {next(iter(kinds))}" if kinds else "none"
        raise BadInputError(
            f"customers must hold two keys of each customer, such as customer_id and email: it has {has}"
        )
    keys = pd.DataFrame({name: as_text(chunk.frame[name], surveyed.signs[name], are_ids=True) for name in kinds})
    by_key = read_list(keys, kinds, customers, addresses)
    if by_key is None:
        raise BadInputError(
            f"none of {len(keys):,} customers is a customer who has orders (tried: {', '.join(kinds)}): "
            "give a list that holds the orders' customer_id"
        )
    by_address, by_id = by_key
    return by_address.combine_first(addresses), by_id


@dataclass(frozen=True, repr=False)
class StoreAnalysis:
    """A store, ready to be segmented."""

    history: History
    policy_report: Report
    """What its order policy did, in words and rows."""
    refused: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """By table, ``row`` and ``reason`` of rows that cannot be used."""
    notes: list[str] = field(default_factory=list)
    """What else to know: how many tickets are of known customers."""

    def __repr__(self) -> str:
        """Return the store's size, and what of its rows was left out."""
        dropped = {what: n for what, n in self.policy_report.items() if not what.endswith((" read", " kept"))}
        dropped |= {f"rows refused of {table}": len(rows) for table, rows in self.refused.items() if len(rows)}
        strangers = self.history.n_writers_without_order
        return "\n  ".join(
            [
                f"{self.history.store.store_id}: {len(self.history.population):,} customers, "
                f"{self.policy_report['orders kept']:,} orders, {self.policy_report['lines kept']:,} lines",
                *(f"{what}: {n:,}" for what, n in dropped.items()),
                *self.notes,
                *([f"people who wrote but never ordered: {strangers:,}"] if strangers else []),
            ]
        )

    def discover(
        self,
        axes: Iterable[str] | str | None = None,
        *,
        min_k: int = 2,
        max_k: int = 6,
        ai_naming: bool = False,
        as_of: Instant | str | None = None,
        min_population: int = 100,
        random_state: int = 0,
    ) -> "Discovery":
        """Find the segments, ``min_k`` to ``max_k`` of them, of every axis or of some.

        Nothing at or after ``as_of`` is seen, by default the end of the last order's day. With ``ai_naming`` Claude
        names the segments (``ANTHROPIC_API_KEY``), else a rule does, whatever names a loaded store has. Same data and
        seed, same result. An axis that does not exist is an ``UnknownAxisError``, an option that cannot be or too few
        customers a ``BadInputError``.
        """
        if not (isinstance(min_k, Integral) and isinstance(max_k, Integral) and 2 <= min_k <= max_k <= MOST_SEGMENTS):
            needed = f"need 2 <= min_k <= max_k <= {MOST_SEGMENTS}, in whole numbers"
            raise BadInputError(f"min_k {min_k}, max_k {max_k}: {needed}")
        if not (isinstance(random_state, Integral) and 0 <= random_state <= LARGEST_SEED):
            raise BadInputError(f"random_state {random_state!r}: need a whole number from 0 to {LARGEST_SEED}")
        if not isinstance(axes, Iterable | None):
            raise BadInputError(f"axes {axes!r}: give the name of an axis, or a list of names")
        axes = [axes] if isinstance(axes, str) else axes if axes is None else [str(axis) for axis in axes]
        if axes == []:
            raise BadInputError("no axis was asked for; leave axes out for all of them")
        history = self.history.until(None if as_of is None else to_instant(as_of, "as_of"))
        history = history.until(history.end)
        require_population(history, min_population, "min_population=")
        options = FitOptions(min_k, max_k, random_state=random_state, pictures=False)
        sample = sample_store(history, axes, options)
        fitted = fit_store(history, sample, sample.reference, sample.recorded, options)
        return Discovery(self, history, fitted, sample, ai_naming)


@dataclass(frozen=True, repr=False)
class Discovery:
    """What was found in a store."""

    store: StoreAnalysis
    history: History
    """What the models saw."""
    fitted: FittedStore
    sample: Features
    """Of the customers that shaped the fits."""
    ai_naming: bool = False

    def __repr__(self) -> str:
        """Return every axis with its segments and their sizes, by id where Claude has not named them yet."""
        lines = [f"{self.history.store.store_id}, {len(self.history.population):,} customers before {self.history.end}"]
        names = {} if self.ai_naming and "segments" not in vars(self) else self._names("name")
        for axis, row in self.axes.iterrows():
            line = f"{axis}: {row['status']}{', provisional' if row['provisional'] else ''}"
            if axis in self.scores:
                ids = self.scores[str(axis)].segment_ids
                shown = [names[str(axis)][segment] if names else segment for segment in ids]
                sizes = zip(shown, self.scores[str(axis)].counts, strict=True)
                line += ", " + ", ".join(f"{name} {n:,}" for name, n in sizes)
            lines.append(line)
        return "\n  ".join(lines)

    @cached_property
    def scores(self) -> dict[str, AxisScores]:
        """Memberships, distances and evidence of everybody, by axis."""
        references = dict.fromkeys(self.fitted.models, self.sample.reference)
        parts = list(score_store(self.history, self.fitted.models, references, self.sample.recorded))
        return {axis: AxisScores.joined([part.scores[axis] for part in parts]) for axis in self.fitted.models}

    @cached_property
    def axes(self) -> pd.DataFrame:
        """By axis: ``status`` (active, weak, inactive), ``reason``, ``k``, ``silhouette``; how far two halves agree.

        That is ``halves_ari``; ``stability_ari`` is the agreement of bootstrap refits, ``provisional`` why segments of
        few customers are (None where they are not).
        """
        rows = {}
        inactive = {**self.sample.inactive, **self.fitted.inactive}
        for axis in [name for name in AXES if name in self.fitted.models or name in inactive]:
            model, noise = self.fitted.models.get(axis), self.fitted.noise.get(axis)
            rows[axis] = {
                "status": "inactive" if noise is None else noise.status,
                "reason": inactive.get(axis) if noise is None else noise.reason,
                "k": pd.NA if model is None else model.k_,
                "silhouette": np.nan if model is None else float(model.silhouette_),
                "halves_ari": np.nan if model is None else float(model.halves_ari_),
                "stability_ari": np.nan if model is None else float(model.stability_ari_),
                "provisional": None if model is None else why_provisional(model.n_divided_),
            }
        return pd.DataFrame.from_dict(rows, orient="index").astype({"k": "Int64"}).rename_axis("axis")

    @cached_property
    def segments(self) -> pd.DataFrame:
        """One row a segment: axis, segment_id, segment_name, interpretation, customers, share (0-1)."""
        currency = self.history.store.currency or ""
        plans = {
            axis: plan_names(AXES[axis], model, self.sample[axis], currency, None, self.scores[axis].counts)
            for axis, model in self.fitted.models.items()
        }
        answers = self._asked(plans) if self.ai_naming else {}
        rows = []
        for axis, plan in plans.items():
            named = decide_names(plan, answers.get(axis, {}))[["segment_id", "segment_name", "interpretation"]]
            counts = dict(zip(self.scores[axis].segment_ids, self.scores[axis].counts.tolist(), strict=True))
            named.insert(0, "axis", axis)
            rows.append(named.assign(customers=named["segment_id"].map(counts)))
        columns = ["axis", "segment_id", "segment_name", "interpretation", "customers"]
        segments = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)
        return segments.assign(share=segments["customers"] / max(len(self.history.population), 1))

    def _asked(self, plans: Mapping[str, NamePlan]) -> dict[str, Mapping[str, tuple[str, str]]]:
        from quimbi_assets.resources.claude import Claude

        claude = Claude()
        answers = claude.name_axes({axis: plan.brief for axis, plan in plans.items()}, claude.model())
        return {axis: answer.passed for axis, answer in answers.items()}

    def memberships(self, axis: str, by: By = "name") -> pd.DataFrame:
        """Return how much each customer belongs to each segment of an axis, by name or by id.

        Shape (n_customers, k), 0-1, rows sum to 1. An axis without segments is an ``UnknownAxisError``.
        """
        if axis not in self.scores:
            raise UnknownAxisError(f"axis {axis} has no segments here; there are: {', '.join(self.scores)}")
        scores, names = self.scores[axis], self._names(by)[axis]
        columns = [names[segment] for segment in scores.segment_ids]
        return pd.DataFrame(scores.memberships, index=scores.customers.rename("customer_id"), columns=columns)

    def dominant_segments(self, by: By = "name") -> pd.DataFrame:
        """Return each customer's nearest segment on every axis, by name or by id; shape (n_customers, n_axes)."""
        names = self._names(by)
        columns = {
            axis: np.array([names[axis][segment] for segment in scores.segment_ids], dtype=object)[scores.dominant]
            for axis, scores in self.scores.items()
        }
        customers = pd.Index(self.history.customers.to_pandas(), name="customer_id")
        return pd.DataFrame(columns, index=customers)

    def stays(self) -> pd.DataFrame:
        """Return the chance of each customer to be in the same segment of each axis one horizon on.

        Shape (n_customers, n_axes), 0-1.
        """
        columns = {axis: self._stays[axis].chances(one.memberships, one.dominant) for axis, one in self.scores.items()}
        return pd.DataFrame(columns, index=pd.Index(self.history.customers.to_pandas(), name="customer_id"))

    def _names(self, by: By) -> dict[str, dict[str, str]]:
        if by not in ("name", "id"):
            raise BadInputError(f"by {by!r}: segments are shown by name or by id")
        shown = "segment_name" if by == "name" else "segment_id"
        by_axis = self.segments.groupby("axis")
        return {str(axis): dict(zip(rows["segment_id"], rows[shown], strict=True)) for axis, rows in by_axis}

    def profile(self, customer_ids: Iterable[str] | str | int) -> pd.DataFrame:
        """Profile some customers, or one, in the order asked for.

        Columns are those of ``customer_profiles``, ``segments``: by axis ``id``, ``name``, ``membership``,
        ``strength``, ``stays`` and ``stays_strength``, and ``archetype``: its ``id`` and ``name``. A customer who is
        unknown, or none, is a ``BadInputError``.
        """
        if not isinstance(customer_ids, Iterable | int):
            raise BadInputError(f"customers are asked for by their ids, not by {customer_ids!r}")
        ids = [customer_ids] if isinstance(customer_ids, (str, int)) else customer_ids
        wanted = pd.Index([str(customer) for customer in ids], name="customer_id")
        if wanted.empty:
            raise BadInputError("no customer was asked for")
        unknown = wanted.difference(pd.Index(self.history.customers.to_pandas()))
        if len(unknown):
            raise BadInputError(f"no customer {', '.join(unknown[:5])} in store {self.history.store.store_id}")
        theirs = self.history.of(wanted.unique())
        features = Features(
            measure(theirs, self.fitted.models, recorded=self.sample.recorded, reference=self.sample.reference)
        )
        customers = next(iter(features.values())).index
        groups = group_customers(theirs, self._marketing, customers)
        risks = churn_risks(
            self._churn, theirs, customers, version="0", currency=self._context.currency, usual_days=groups.usual_days
        )
        foretold = predictions(self._value, theirs, customers, version="0", risk=risks.known)
        rows = profile_customers(features, self.fitted.models, self._context, risks, foretold, groups)
        named = self._names("name"), archetype_names(self._archetypes, self._segments_by_axis)
        records = [profile_record({str(k): v for k, v in row.items()}, *named) for row in rows.to_dict("records")]
        return pd.DataFrame(records).set_index("customer_id").reindex(wanted)

    @cached_property
    def _context(self) -> ProfileContext:
        return ProfileContext(
            store_id=self.history.store.store_id,
            as_of=zoned(self.history.end),
            segments=self._segments_by_axis,
            versions=dict.fromkeys(self.fitted.models, "0"),
            archetypes=self._archetypes.kept,
            currency=self.history.store.currency or "",
            weak=frozenset(axis for axis, noise in self.fitted.noise.items() if noise.status != ACTIVE),
            stays=self._stays,
        )

    @cached_property
    def _stays(self) -> dict[str, StayModel]:
        return {axis: self.fitted.stays(axis, model) for axis, model in self.fitted.models.items()}

    @property
    def _segments_by_axis(self) -> dict[str, pd.DataFrame]:
        shown = self.segments.assign(population_percentage=100 * self.segments["share"])
        return {str(axis): rows for axis, rows in shown.groupby("axis")}

    @cached_property
    def _archetypes(self) -> ArchetypeChoice:
        active = [axis for axis, noise in self.fitted.noise.items() if noise.status == ACTIVE]
        return choose_archetypes(self.scores, None, active)

    @cached_property
    def _churn(self) -> ChurnModel | str:
        try:
            return train_churn(self.history).model
        except InsufficientHistoryError as why:
            return str(why)

    @cached_property
    def _marketing(self) -> MarketingReference:
        return fit_marketing(self.history, fit_affinities(self.history))

    @cached_property
    def _value(self) -> ValueModel | str:
        try:
            return train_value(self.history).model
        except InsufficientHistoryError as why:
            return str(why)
