"""The ``quimbi`` command: options in, exit code out.

Belongs here: reading options and turning errors into one line. Does not: what the commands do (``commands``).
Exit 0: done. 2: bad input, nothing lost. 1: done in part, or anything else. 130: interrupted.
"""

import gc
import os
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from quimbi_assets.commands.console import print_json, stdout_fault
from quimbi_assets.errors import BadInputError, DatabaseUnavailableError, FilterError, ServiceUnavailableError
from quimbi_assets.resources.home import PRIVATE
from quimbi_assets.texts import printable

T = TypeVar("T")
STORE = click.option("--store-id", required=True, metavar="S", help="Name of the store.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
WAIT = click.option("--wait", is_flag=True, help="Wait while somebody else runs the store, instead of giving up.")
WHERE = click.option(
    "--where", metavar="FILTER", help='Whom, e.g. "risk > 0.4 and value > 500"; docs/filters.md has the language.'
)
AUDIENCE = click.option("--audience", metavar="A", help="Whom: an audience by name (quimbi audiences lists them).")
LIMIT = click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(0, 1_000_000), metavar="N", help="How many to show."
)
FILE = click.Path(path_type=Path)
PORT = click.IntRange(1, 65535)
WHO = click.option("--customer-id", metavar="C", help="Who, by the shop's id.")
EMAIL = click.option("--email", metavar="E", help="Who, by an address.")
CSV = click.option("--csv", type=FILE, metavar="F", help="Write all of them, with every column, as CSV; - is stdout.")
COLLECTED_AFTER = 50_000
"""Objects after which garbage is looked for: at 700, as in Python, a fifth of the time of imports, which leave none."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="quimbi_assets")
def cli() -> None:
    """Behavioural segments and customer profiles from a store's orders."""


@cli.command()
@click.option("--customers", default=3_000, show_default=True, help="Customers of the simulated store.")
def demo(customers: int) -> None:
    """Load a real store and a simulated one, run the whole graph and show what was found."""
    from quimbi_assets.commands.demo import run_demo

    run_demo(customers)


@cli.command()
@STORE
@click.option("--orders", metavar="F", help="Orders, CSV or Parquet; needed the first time.")
@click.option("--items", metavar="F", help="Order lines, CSV or Parquet.")
@click.option("--tickets", metavar="F", help="Support tickets, CSV, JSON or Parquet.")
@click.option("--customers", metavar="F", help="Customers with their e-mails or other keys, to know them by.")
@click.option("--products", metavar="F", help="Products, for the categories that lines do not say.")
@click.option("--columns", metavar="C=NAME,...", help="Which column is which: order_id=Invoice,customer_id=Buyer.")
@click.option(
    "--from",
    "address",
    metavar="URL",
    help="A shop's PostgreSQL; files: *.parquet, s3://bucket/*.csv, https://...; env:NAME of such an address.",
)
@click.option(
    "--layout", default="quimbi", type=click.Choice(["quimbi", "fivetran", "airbyte", "dlt"]), help="Of --from."
)
@click.option("--schema", metavar="S", help="Where the tables of --from are, if in several schemas.")
@click.option("--orders-query", metavar="SQL", help="Orders of --from, instead of a layout.")
@click.option("--items-query", metavar="SQL", help="Their lines.")
@click.option("--every", type=click.Choice(["hour", "day", "never"]), help="Pull from there again and again.")
@click.option("--full", is_flag=True, help="Read all of --from again, not what is new.")
@click.option("--time-zone", metavar="TZ", help="IANA name, e.g. Europe/London; times without offset are in it.")
@click.option("--currency", metavar="C", help="ISO code; orders in other currencies are left out of runs.")
def load(store_id: str, **options: Any) -> None:
    """Load a store's files or tables; the same twice changes nothing, bad rows are kept with their reason."""
    from quimbi_assets.commands.loading import LoadOptions, load_files

    load_files(store_id, LoadOptions(**options))


@cli.command()
@JSON
def stores(as_json: bool) -> None:
    """List the stores: customers, last order, last run, and whether there is something to do."""
    from quimbi_assets.commands import shops

    _print(shops.stores_known(), shops.print_stores, as_json=as_json)


@cli.command()
@STORE
@click.option("--csv", "path", type=FILE, metavar="F", help="Write all of them here, with their columns.")
@JSON
def refused(store_id: str, path: Path | None, as_json: bool) -> None:
    """Show which rows of a store's files were refused, and why."""
    from quimbi_assets.commands import shops

    _print(shops.refused_rows(store_id, path), shops.print_refused, as_json=as_json)


@cli.command()
@STORE
@JSON
def policy(store_id: str, as_json: bool) -> None:
    """Show what each rule of the order policy leaves out, and whom the opposite would put elsewhere."""
    from quimbi_assets.commands import shops
    from quimbi_assets.resources.policy_effects import policy_effects

    _print(policy_effects(store_id), shops.print_policy, as_json=as_json)


@cli.command()
@STORE
@click.option("--axes", metavar="A,B", help="Axes to compute, comma-separated; all by default.")
@click.option("--as-of", metavar="T", help="Compute as of this instant, blind to anything later.")
@click.option("--dry-run", is_flag=True, help="Say what would be computed; write nothing.")
@click.option(
    "--no-ai-naming",
    is_flag=True,
    help="Ask Claude nothing: new segments are named by rule; names that were given stay.",
)
@click.option("--min-population", default=100, show_default=True, help="Fewest customers worth segmenting.")
@click.option("--min-k", default=2, show_default=True, help="Fewest segments of an axis.")
@click.option("--max-k", default=6, show_default=True, help="Most segments of an axis.")
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True)
@click.option("--promote", is_flag=True, help="Let new models serve whatever the promotion checks say.")
@WAIT
def run(store_id: str, axes: str | None, dry_run: bool, no_ai_naming: bool, wait: bool, **options: Any) -> None:
    """Compute features, models, segments and profiles of a loaded store."""
    from quimbi_assets.commands.running import RunOptions, print_dry_run, run_and_summarise

    wanted = RunOptions(None if axes is None else _listed(axes), ai_naming=not no_ai_naming, **options)
    if dry_run:
        print_dry_run(store_id, wanted)
    else:
        run_and_summarise(store_id, wanted, wait=wait)


@cli.command()
@STORE
@click.option("--axis", "axis_name", required=True, metavar="A", help="The axis.")
@click.option("--version", required=True, metavar="N", help="Version of its registered model.")
@WAIT
def promote(store_id: str, axis_name: str, version: str, wait: bool) -> None:
    """Choose by hand the model version that serves an axis: accept a held refit, or roll back."""
    from quimbi_assets.commands.decisions import promote_and_publish

    promote_and_publish(store_id, axis_name, version, wait=wait)


@cli.command()
@STORE
@click.option("--axis", "axis_name", required=True, metavar="A", help="The axis.")
@click.option("--segment", required=True, metavar="ID_OR_NAME", help="The segment's id or present name.")
@click.option("--to", "name", required=True, metavar="NAME", help="Its name from now on, in snake_case.")
@WAIT
def rename(store_id: str, axis_name: str, segment: str, name: str, wait: bool) -> None:
    """Name a segment yourself; no run or refit overwrites that name."""
    from quimbi_assets.commands.decisions import rename_segment

    rename_segment(store_id, axis_name, segment, name, wait=wait)


@cli.command()
@STORE
@click.option("--all", "show_all", is_flag=True, help="Open axes that cannot be told from chance, too.")
@click.option("--why", is_flag=True, help="Open them, and show the figures that axes are judged by.")
@JSON
def segments(store_id: str, show_all: bool, why: bool, as_json: bool) -> None:
    """Show the segments of every axis."""
    from quimbi_assets.commands import showing

    _print(showing.segments_of(store_id), partial(showing.print_segments, show_all=show_all, why=why), as_json=as_json)


@cli.command()
@STORE
@JSON
def archetypes(store_id: str, as_json: bool) -> None:
    """Show the archetypes: customers alike on several axes, how many, and their share of the revenue."""
    from quimbi_assets.commands import showing

    _print(showing.archetypes_of(store_id), showing.print_archetypes, as_json=as_json)


@cli.command()
@STORE
@click.option("--customer-ids", default="", metavar="A,B", help="Customers, comma-separated.")
@EMAIL
@click.option("--why", is_flag=True, help="Show what was measured, and axes that cannot be told from chance.")
@JSON
def profile(store_id: str, customer_ids: str, email: str | None, why: bool, as_json: bool) -> None:
    """Show customers' profiles."""
    from quimbi_assets.commands import showing

    ids = [*_listed(customer_ids), *([] if email is None else [showing.customer_of(store_id, email)])]
    if not ids:
        raise BadInputError("--customer-ids names no customer; --email E finds one by an address")
    unknown = showing.show_profiles(store_id, ids, as_json=as_json, why=why)
    if unknown:
        click.get_current_context().exit(_fail(f"store {store_id} has no profile of customer {', '.join(unknown)}", 1))


@cli.command()
@STORE
@WHERE
@AUDIENCE
@click.option(
    "--sort", metavar="FIELD", help="A field; else value, value_at_risk of who may leave; 'risk asc' turns it round."
)
@LIMIT
@CSV
@JSON
def customers(store_id: str, as_json: bool, **options: Any) -> None:
    """List customers: all, or those whom a filter chooses."""
    from quimbi_assets.commands.customers import ListOptions, list_customers

    list_customers(store_id, ListOptions(**options), as_json=as_json)


@cli.command("at-risk")
@STORE
@LIMIT
@CSV
@JSON
def at_risk(store_id: str, as_json: bool, **options: Any) -> None:
    """List the customers worth saving: good ones out of their rhythm, most to lose first."""
    from quimbi_assets.commands.customers import ListOptions, list_customers

    list_customers(store_id, ListOptions(audience="worth_saving", **options), as_json=as_json)


@cli.command()
@click.option("--store-id", metavar="S", help="Name of the store.")
@WHO
@EMAIL
@click.option("--dry-run", is_flag=True, help="List what would go; erase nothing.")
@click.option("--verify", type=FILE, metavar="FILE", help="Check a receipt instead.")
@WAIT
@JSON
def erase(
    store_id: str | None,
    customer_id: str | None,
    email: str | None,
    verify: Path | None,
    as_json: bool,
    **options: bool,
) -> None:
    """Erase a person's data everywhere in the home, for good, and write a signed receipt."""
    from quimbi_assets.commands import personal

    if verify is not None:
        return personal.verify_receipt(verify)
    receipt = personal.erase_customer(store_id, customer_id, email, **options)
    return _print(receipt, personal.print_receipt, as_json=as_json)


@cli.command("export-customer")
@STORE
@WHO
@EMAIL
@click.option("--out", type=FILE, default=Path("-"), metavar="F", help="The file to write; by default standard output.")
def export_customer(store_id: str, customer_id: str | None, email: str | None, out: Path) -> None:
    """Give out all that is held of a person, as JSON."""
    from quimbi_assets.commands import personal

    personal.export_customer(store_id, customer_id, email, out)


@cli.command()
@STORE
@click.option("--customer-id", required=True, metavar="C", help="The customer.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), metavar="N", help="How many.")
@JSON
def similar(store_id: str, customer_id: str, limit: int, as_json: bool) -> None:
    """List the customers most like one, how alike they are, and where they differ."""
    from quimbi_assets.commands.customers import list_similar

    list_similar(store_id, customer_id, limit, as_json=as_json)


@cli.command()
@STORE
@click.option("--customer-id", required=True, metavar="C", help="The customer.")
@click.option(
    "--why", is_flag=True, help="Show what each feature adds, axes that cannot be told from chance, versions."
)
@JSON
def explain(store_id: str, customer_id: str, as_json: bool, why: bool) -> None:
    """Say why a customer is in their segments, what moved of late, and what would move them."""
    from quimbi_assets.commands.showing import show_explanation

    show_explanation(store_id, customer_id, as_json=as_json, why=why)


@cli.command()
@STORE
@JSON
def audiences(store_id: str, as_json: bool) -> None:
    """Show the audiences of a store: the standing ones and those of $QUIMBI_HOME/audiences.yaml."""
    from quimbi_assets.commands import customers as lists

    _print(lists.audiences_of(store_id), lists.print_audiences, as_json=as_json)


@cli.command()
@click.option("--store-id", metavar="S", help="The store.")
@click.option("--customer-id", metavar="C", help="What is to be done about this customer, why, and what nearly was.")
@click.option(
    "--check",
    is_flag=True,
    help="Which rules set a thing otherwise, and which can never fire; exit 1 where one is to be mended.",
)
@click.option("--example", is_flag=True, help="Print the ready rules, to be edited as $QUIMBI_HOME/actions.yaml.")
@JSON
def actions(store_id: str | None, customer_id: str | None, check: bool, example: bool, as_json: bool) -> None:
    """Show what the rules of $QUIMBI_HOME/actions.yaml, or the ready ones, do about whom."""
    from quimbi_assets.commands import acting

    acting.show(store_id, customer_id, check=check, example=example, as_json=as_json)


@cli.command()
@STORE
@click.option(
    "--format", "form", required=True, type=click.Choice(["csv", "parquet", "klaviyo", "meta", "google", "audience"])
)
@WHERE
@AUDIENCE
@click.option("--rule", metavar="R", help="Whom: those on whom a rule acts (quimbi actions); not its control group.")
@click.option("--out", type=FILE, metavar="F", help="The file to write; - is standard output.")
@click.option("--contacts", type=FILE, metavar="F", help="Customers' e-mails and phones, for klaviyo, meta and google.")
@click.option(
    "--contactable", is_flag=True, help="csv, parquet: leave out who may not be written to, as other formats always do."
)
@click.option("--value", is_flag=True, help="google: with the column lifetime_value_micros, which meta's has as value.")
@click.option("--axes", metavar="A,B", help="klaviyo: whose segments to tell; by default those that are not weak.")
@click.option("--send", is_flag=True, help="klaviyo: send what has changed, instead of showing it.")
@click.option(
    "--control", type=float, metavar="P", help="Leave out this share, e.g. 0.1, to compare with (quimbi lift); 0: none."
)
@click.option(
    "--outcome",
    type=click.Choice(["ordered", "orders", "spend", "reopened", "rating"]),
    help="With --control: what is compared; else who ordered.",
)
@click.option("--entered", metavar="DATE", help="With --control: count from then on, to try a simulated store.")
@click.option("--name", metavar="NAME", help="Of the list, by which quimbi lift speaks of it; else what was asked.")
def export(store_id: str, axes: str | None, **options: Any) -> None:
    """Write customers to a file, or send them: all, or those whom a filter or an audience chooses."""
    from quimbi_assets.audiences.definitions import ExportTarget
    from quimbi_assets.commands.customers import entered_on, export_customers, list_named
    from quimbi_assets.lift.assignment import Trial

    contactable, control, name, outcome = (options.pop(one) for one in ("contactable", "control", "name", "outcome"))
    entered = options.pop("entered")
    if control is None and (outcome or entered):
        raise BadInputError("--outcome and --entered are of what is compared with a control group: give --control, too")
    trial = None if control is None else Trial(control, outcome or "ordered")
    listed = None if axes is None else tuple(_listed(axes))
    target = ExportTarget(
        list_named(name, options), axes=listed, trial=trial, outcome=outcome,
        entered_at=entered_on(entered, options), **options,
    )  # fmt: skip
    export_customers(store_id, target, contactable=contactable)


@cli.command()
@STORE
@click.option("--acted", metavar="TRIAL", help="Write who was acted on in this trial, and since when, to --out.")
@click.option("--out", type=FILE, metavar="F.csv", help="With --acted: the file; - is standard output.")
@JSON
def lift(store_id: str, acted: str | None, out: Path | None, as_json: bool) -> None:
    """Say whether what was done to customers helped: those acted on beside their control groups."""
    from quimbi_assets.commands import over_time

    if acted is not None or out is not None:
        over_time.write_acted(store_id, acted, out)
        return
    _print(over_time.lift_of(store_id), over_time.print_lift, as_json=as_json)


@cli.command()
@STORE
@WAIT
@JSON
def backtest(store_id: str, wait: bool, as_json: bool) -> None:
    """Hold segments of past instants against what customers did next, beside RFM."""
    from quimbi_assets.commands import over_time

    _print(over_time.backtest_of(store_id, wait=wait), over_time.print_backtest, as_json=as_json)


@cli.command()
@STORE
@click.option("--weekday", help="Day of the weekly work: monday to sunday.")
@click.option("--hour", type=int, help="Hour of that day by the store's clock, 0 to 23.")
@click.option("--refit", help="Fit models anew: weekly, monthly or never.")
@click.option("--snapshot", help="Record the week that ended: weekly or never.")
@click.option("--stale-after-days", type=int, help="Days after which orders and profiles count as stale.")
@click.option("--repeat-after-weeks", type=int, help="Weeks in which a customer is not named again in messages.")
@click.option("--holdout-share", type=float, help="Share of customers never named, to measure what acting brings.")
@JSON
def plan(store_id: str, as_json: bool, **changes: str | float | None) -> None:
    """Show or set what the schedules do for a store, and when."""
    from quimbi_assets.commands import decisions

    changed = decisions.plan_of(store_id, {name: value for name, value in changes.items() if value is not None})
    _print(changed, decisions.print_plan, as_json=as_json)


@cli.command()
@STORE
@click.option(
    "--week", metavar="MONDAY", help="The Monday that opens it, e.g. 2010-06-07; by default the last one over."
)
@WAIT
def snapshot(store_id: str, week: str | None, wait: bool) -> None:
    """Keep where every customer stood at the end of a week, and compare with the week before."""
    from quimbi_assets.commands.over_time import snapshot_and_summarise

    snapshot_and_summarise(store_id, week, wait=wait)


@cli.command()
@STORE
@JSON
def drift(store_id: str, as_json: bool) -> None:
    """Show who moved since the last snapshot and why, and who has fallen silent."""
    from quimbi_assets.commands import over_time

    _print(over_time.drift_of(store_id), over_time.print_drift, as_json=as_json)


@cli.command()
@click.option("--customers", required=True, type=click.IntRange(1), metavar="N", help="How many customers.")
@click.option("--out", "out_dir", required=True, type=FILE, metavar="DIR", help="Folder for the files.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same store.")
@click.option(
    "--format",
    "form",
    default="parquet",
    show_default=True,
    type=click.Choice(["parquet", "shopify"]),
    help="parquet, with the truth beside it, or CSV as Shopify exports it.",
)
@click.option("--slow-down-share", default=0.0, metavar="P", help="Share of customers who slow down, e.g. 0.1.")
@click.option("--slow-down-from", metavar="DATE", help="Day from which they do.")
@click.option("--end-date", metavar="DATE", help="Last day of its three years.  [default: 2025-12-31]")
@click.option("--acted", type=FILE, metavar="F", help="Who was acted on: customer_id, entered_at (CSV, Parquet).")
@click.option("--effect", type=float, metavar="P", help="By which share they order more from then on, e.g. 0.3.")
@click.option("--effect-days", default=30, show_default=True, metavar="N", help="For how long.")
def simulate(customers: int, out_dir: Path, seed: int, form: str, **planted: Any) -> None:
    """Make a store whose true segments are known."""
    from quimbi_assets.commands.loading import simulate_files

    simulate_files(customers, out_dir, seed, as_shopify=form == "shopify", **planted)


@cli.command()
@click.option("--command", "-c", metavar="SQL", help="Run this and end, instead of asking for more.")
@click.option("--url", is_flag=True, help="Print the database's address alone; while `quimbi ui` runs, it answers.")
@click.option("--write", is_flag=True, help="To change rows of one store; without it, as the tables' owner.")
@click.option("--store-id", metavar="S", help="With --write: the store.")
def sql(command: str | None, url: bool, write: bool, store_id: str | None) -> None:
    """Open psql on the store database, wherever it is, to read."""
    from quimbi_assets.commands.services import open_psql, print_url

    if url:
        print_url(write=write, store_id=store_id)
    else:
        click.get_current_context().exit(open_psql(command, write=write, store_id=store_id))


@cli.command()
@STORE
@click.option("--out", type=FILE, required=True, metavar="F.html", help="The file; - is standard output.")
def report(store_id: str, out: Path) -> None:
    """Write a store's page: who there is, who brings the money, who is leaving, whom to write to."""
    from quimbi_assets.commands.reporting import write_report

    write_report(store_id, out)


@cli.command()
@JSON
def doctor(as_json: bool) -> None:
    """Look over everything that has to work, a line each with what to do; exit 1 if something is to be done."""
    from quimbi_assets.commands import upkeep

    click.get_current_context().exit(upkeep.doctor(as_json=as_json))


@cli.command()
@click.option("--out", type=FILE, required=True, metavar="F.tar", help="The file, which nobody else can read.")
@WAIT
def backup(out: Path, wait: bool) -> None:
    """Write all stores into one file: databases, tables, models, keys."""
    from quimbi_assets.commands import upkeep

    upkeep.backup(out, wait=wait)


@cli.command()
@click.argument("path", type=FILE, metavar="F.tar")
def restore(path: Path) -> None:
    """Put a backup into an empty QUIMBI_HOME."""
    from quimbi_assets.commands import upkeep

    upkeep.restore(path)


@cli.command()
@click.option("--dagster-port", default=3000, show_default=True, type=PORT)
@click.option("--mlflow-port", default=5000, show_default=True, type=PORT)
@click.option("--page-port", default=8000, show_default=True, type=PORT)
@click.option("--automate", is_flag=True, help="Switch all schedules and sensors on, but those switched off by hand.")
def ui(dagster_port: int, mlflow_port: int, page_port: int, automate: bool) -> None:
    """Serve the pages of stores, Dagster and MLflow until Ctrl-C."""
    from quimbi_assets.commands.services import serve

    serve(dagster_port, mlflow_port, page_port, automate=automate)


@cli.command()
@click.option("--port", default=8000, show_default=True, type=PORT)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="IP", help="Where to listen; with --public.")
@click.option("--public", multiple=True, metavar="NAME", help="Also answer programs by this host name; no pages then.")
def api(port: int, host: str, public: tuple[str, ...]) -> None:
    """Serve the pages of stores, and /v1 for programs, until Ctrl-C."""
    from quimbi_assets.commands.services import serve_api

    serve_api(port, host, public)


@cli.command()
@STORE
def mcp(store_id: str) -> None:
    """Serve a store's results to an agent (MCP) on standard input and output, as its host starts it."""
    from quimbi_assets.commands.services import serve_agent

    serve_agent(store_id)


@cli.group()
def gorgias() -> None:
    """Bring tickets from Gorgias, tell it who writes; GORGIAS_DOMAIN, _EMAIL and _API_KEY say which account."""


@gorgias.command("pull")
@STORE
@click.option("--every", type=click.Choice(["hour", "day", "never"]), help="Pull again and again.")
@click.option(
    "--look-up",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Ask for the shop's ids of up to N writers whom no order knows, a call each.",
)
@click.option("--full", is_flag=True, help="Read everything again, not what is new.")
@click.option("--dry-run", is_flag=True, help="Read one page, say what it would bring; store nothing.")
def gorgias_pull(store_id: str, **options: Any) -> None:
    """Store the tickets that are new or have changed; killed in the middle, it goes on from there."""
    from quimbi_assets.commands.gorgias import pull

    pull(store_id, **options)


@gorgias.command("push")
@STORE
@click.option("--axes", metavar="A,B", help="Tell segments of these axes, too; queue: who answers them.")
@click.option("--control", type=float, metavar="P", help="Tell nothing of this share, to compare with (quimbi lift).")
@click.option("--send", is_flag=True, help="Send what has changed, instead of showing it.")
def gorgias_push(store_id: str, axes: str | None, **options: Any) -> None:
    """Tell lifecycle, value tier and risk of customers as Customer Fields; only what has changed."""
    from quimbi_assets.commands.gorgias import push

    push(store_id, axes=_listed(axes or ""), **options)


@gorgias.command("install")
@STORE
@click.option("--axes", metavar="A,B", help="With a field for segments of these axes; or queue.")
@click.option("--card-url", metavar="URL", help="Where `quimbi api` is reached; then the card is beside tickets, too.")
@click.option("--webhook-url", metavar="URL", help="The same; then Gorgias calls it when tickets change.")
@click.option("--dry-run", is_flag=True, help="Say what would be made; make nothing.")
def gorgias_install(store_id: str, axes: str | None, **options: Any) -> None:
    """Make the Customer Fields, and the card beside tickets, in Gorgias; show three rules to begin with."""
    from quimbi_assets.commands.gorgias import install

    install(store_id, axes=_listed(axes or ""), **options)


@gorgias.command("support")
@STORE
@click.option("--axis", default="value_tier", show_default=True, metavar="A", help="An axis, lifecycle or value_tier.")
@click.option("--weeks", default=4, show_default=True, type=click.IntRange(1, 520), metavar="N", help="How many.")
@JSON
def gorgias_support(store_id: str, axis: str, weeks: int, as_json: bool) -> None:
    """Show tickets per 100 orders and ratings by segment; from whatever helpdesk."""
    from quimbi_assets.commands import gorgias as commands

    _print(commands.support(store_id, axis, weeks), commands.print_support, as_json=as_json)


@gorgias.command("uninstall")
@STORE
@click.option("--dry-run", is_flag=True, help="Say what would be taken away; take nothing.")
def gorgias_uninstall(store_id: str, dry_run: bool) -> None:
    """Take away what `install` made; what fields hold stays in Gorgias."""
    from quimbi_assets.commands.gorgias import uninstall

    uninstall(store_id, dry_run=dry_run)


@cli.group()
def token() -> None:
    """Let programs ask for a store's results."""


@token.command("create")
@STORE
@click.option("--scopes", default="read", show_default=True, metavar="A,B", help="What it may: read, notify, write.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3650), help="How long it is good.")
@JSON
def create_token(store_id: str, scopes: str, days: int, as_json: bool) -> None:
    """Make a token of one store and show it, this once."""
    from quimbi_assets.commands import tokens

    _print(tokens.create_token(store_id, _listed(scopes), days), tokens.print_token, as_json=as_json)


@token.command("list")
@JSON
def list_tokens(as_json: bool) -> None:
    """List the tokens there are, and which are still good."""
    from quimbi_assets.commands import tokens

    _print(tokens.tokens_known(), tokens.print_tokens, as_json=as_json)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
def revoke_token(token_id: str) -> None:
    """Make a token worthless at once."""
    from quimbi_assets.commands import tokens

    tokens.revoke_token(token_id)


def _listed(text: str) -> list[str]:
    """Return what is listed with commas, each once."""
    return [name for name in dict.fromkeys(part.strip() for part in text.split(",")) if name]


def _print(value: T, in_words: Callable[[T], None], *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        in_words(value)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(COLLECTED_AFTER)
    os.umask(PRIVATE)
    warnings.filterwarnings("ignore")
    sys.exit(_code(arguments))


def _code(arguments: list[str] | None) -> int:
    try:
        code = cli.main(arguments, prog_name="quimbi", standalone_mode=False)
        sys.stdout.flush()
    except FilterError as error:
        code = _fail(str(error), 2)
        click.echo(printable(textwrap.indent(error.pointed, "    "), keeping="\n"), err=True)
        return code
    except BadInputError as error:
        return _fail(str(error), 2)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "quimbi"
        return _fail(f"{error.format_message()} (see {command} --help)", 2)
    except UnicodeEncodeError as error:
        return _fail(f"{error.object!r} is not text in UTF-8: give it as the store's files have it", 2)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; what was published before stays as it is", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and (reason := stdout_fault(error)):
            return _fail(f"cannot write to standard output: {reason}", 2)
        if os.environ.get("QUIMBI_DEBUG"):
            traceback.print_exc()
        line = " ".join(str(error).split())[:500] or type(error).__name__
        says_all = isinstance(error, DatabaseUnavailableError | ServiceUnavailableError)
        return _fail(line if says_all else f"{line} (QUIMBI_DEBUG=1 shows where)", 1)
    return int(code or 0)


def _fail(message: str, code: int) -> int:
    click.echo(f"quimbi: {printable(' '.join(message.split()))}", err=True)
    return code


if __name__ == "__main__":
    main()
