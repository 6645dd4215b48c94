"""Three hundred stores at once: does `stores/health` name exactly those that are broken, and how fast do pages open?

Runs one small simulated store for real, copies all that it left, row by row, as that many stores (its tables, and what
Dagster and MLflow recorded of its run), and breaks some: orders that grew old, a refit that was held, a run that
fails, a check that fails. Then it asks `quimbi stores`, serves Dagster and MLflow, and opens their pages in Chromium,
each twice (the second time is what the table says). ``--home H`` leaves the home there; one that is there is used as it
is.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

FIRST = "s000"
"""The store that is run; the others are called as it is, with other digits."""
BROKEN = {
    "orders": ("s007", "s111", "s200"),
    "held": ("s023", "s250"),
    "failed": ("s042", "s099"),
    "checks": ("s064", "s099", "s180"),
}
BROKEN_CHECK = "models/purchase_value no_giant_segment"
STORE_TABLES = (
    *("stores", "orders", "order_items", "publications", "axis_models", "customer_profiles", "dim_segment_master"),
    *("group_figures", "promotions"),
)
REGISTRY_TABLES = (
    *("registered_models", "registered_model_tags", "model_versions", "model_version_tags"),
    "registered_model_aliases",
)
PORTS = {"dagster": 23000, "mlflow": 25000, "page": 28000}
PAGES = {
    "stores/health": ("dagster", "/assets/stores/health", "stores_that_need_a_look"),
    "a model, all stores": ("dagster", "/assets/models/purchase_value", "Latest materialization"),
    "its partitions": ("dagster", "/assets/models/purchase_value?view=partitions", "s000"),
    "one store of it": (
        "dagster",
        "/assets/models/purchase_value?view=partitions&partition=s150",
        "registered_version",
    ),
    "its checks": ("dagster", "/assets/models/purchase_value?view=checks", "real_differences"),
    "published profiles": ("dagster", "/assets/profiles/customer_profiles", "Latest materialization"),
    "runs": ("dagster", "/runs", "store"),
    "timeline": ("dagster", "/overview/activity/timeline", "store"),
    "catalogue": ("dagster", "/assets", "customer_actions"),
    "models (MLflow)": ("mlflow", "/#/models", "s000."),
    "an axis over time (MLflow)": ("page", "/mlflow/axes/purchase_value?store=s150", "stability_ari_best"),
}


def main() -> None:
    """Make the stores, ask, open the pages, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=300)
    parser.add_argument("--customers", type=int, default=150)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for screenshots")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quimbi-stores-") as folder:
        home = options.home or Path(folder) / "home"
        os.environ["QUIMBI_HOME"] = str(home)
        os.environ["QUIMBI_PAGES_UI"] = f"http://127.0.0.1:{PORTS['page']}"
        if not (home / "postgres").exists():
            make(Path(folder), options.stores, options.customers)
        ask()
        registry()
        with served(home):
            for name, seconds in opened(options.pictures):
                print(f"{name:32} {seconds:5.2f} s")


def quimbi(*arguments: str, check: bool = True) -> str:
    """Run the command and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "quimbi_assets.cli", *arguments], check=check, capture_output=True, text=True
    )
    return done.stdout


def make(files: Path, n_stores: int, n_customers: int) -> None:
    """Run one store, copy it, break some."""
    from quimbi_assets.resources.postgres.database import administration, open_database

    started = time.monotonic()
    quimbi("simulate", "--customers", str(n_customers), "--out", str(files))
    paths = [f"--{name}={files}/{table}.parquet" for name, table in (("orders", "orders"), ("items", "order_items"))]
    quimbi("load", "--store-id", FIRST, *paths)
    quimbi("run", "--store-id", FIRST, "--no-ai-naming", "--min-population", "50")
    print(f"one store run: {time.monotonic() - started:.0f} s")
    database, names = open_database(), [f"s{number:03d}" for number in range(1, n_stores)]
    every_store = administration(database, database.libpq_url)
    with other(every_store) as cursor:
        cursor.execute(
            "UPDATE quimbi.orders SET order_date = order_date + (now() - (SELECT max(order_date) FROM quimbi.orders))"
        )
        cursor.execute("UPDATE quimbi.axis_models SET held_reason = NULL")
        for table in STORE_TABLES:
            copy(cursor, f"quimbi.{table}", names, f"original.store_id = '{FIRST}'", {"store_id": "other.store"})
    with other(database.dagster_url) as cursor:
        _copy_dagster(cursor, names)
    with other(database.mlflow_url) as cursor:
        _copy_mlflow(cursor, names)
    old = "UPDATE quimbi.orders SET order_date = order_date - interval '30 days' WHERE store_id = ANY(%s)"
    held = "UPDATE quimbi.axis_models SET held_reason = 'it moves many' WHERE axis_name = 'purchase_value' "
    with other(every_store) as cursor:
        cursor.execute(old, (list(BROKEN["orders"]),))
        cursor.execute(held + "AND store_id = ANY(%s)", (list(BROKEN["held"]),))
    with other(database.dagster_url) as cursor:
        cursor.execute(
            "UPDATE asset_check_executions SET execution_status = 'FAILED', "
            "evaluation_event = replace(evaluation_event, '\"passed\": true', '\"passed\": false') "
            "WHERE asset_key = %s AND check_name = %s AND partition = ANY(%s)",
            ('["models", "purchase_value"]', BROKEN_CHECK.partition(" ")[2], list(BROKEN["checks"])),
        )
    for store_id in BROKEN["failed"]:
        quimbi("run", "--store-id", store_id, "--min-population", "5000", check=False)
    print(f"{n_stores} stores made: {time.monotonic() - started:.0f} s")


@contextmanager
def other(url: str) -> Iterator[Any]:
    """Yield a cursor on another program's database, ``url`` being SQLAlchemy's."""
    with psycopg2.connect(url.replace("+psycopg2", "", 1)) as connection, connection.cursor() as cursor:
        yield cursor


def copy(cursor: Any, table: str, names: Sequence[str], where: str, changes: Mapping[str, str]) -> None:
    """Copy rows of a table once for every name; ``changes`` are SQL of columns, of ``original`` and ``other.store``."""
    cursor.execute(
        "SELECT attname FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' "
        "AND attidentity = '' AND coalesce(pg_get_expr(adbin, adrelid), '') NOT LIKE 'nextval%%'",
        (table,),
    )
    columns = [f'"{name}"' for (name,) in cursor.fetchall()]
    values = [changes.get(column.strip('"'), f"original.{column}") for column in columns]
    cursor.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM {table} AS original, unnest(%s::text[]) AS other(store) WHERE {where}",
        (list(names),),
    )


def _copy_dagster(cursor: Any, names: Sequence[str]) -> None:
    """Copy the run, its events and checks: every text says the other store and the other run."""
    cursor.execute("SELECT run_id FROM runs")
    ((run,),) = cursor.fetchall()
    texts = ("run_id", "event", "partition", "value", "run_body", "evaluation_event")
    changes = {
        t: f"replace(replace(original.{t}, '{FIRST}', other.store), '{run}', md5(other.store || '{run}'))"
        for t in texts
    }
    for table in ("runs", "run_tags", "event_logs", "asset_check_executions"):
        copy(cursor, table, names, f"original.run_id = '{run}'", changes)
    copy(cursor, "dynamic_partitions", names, f"original.partition = '{FIRST}'", {"partition": "other.store"})


def _copy_mlflow(cursor: Any, names: Sequence[str]) -> None:
    """Copy experiment, runs and registered models; files of models stay those of the first store."""
    other_name = {
        name: f"replace(original.{name}, '{FIRST}', other.store)" for name in ("name", "description", "value")
    }
    run = {"run_uuid": "md5(original.run_uuid || other.store)", "run_id": "md5(original.run_id || other.store)"}
    parent = (
        f"CASE WHEN key = 'mlflow.parentRunId' THEN md5(original.value || other.store) ELSE {other_name['value']} END"
    )
    copy(cursor, "experiments", names, f"original.name = 'quimbi/{FIRST}'", other_name)
    own = "original.experiment_id = (SELECT experiment_id FROM experiments WHERE experiments.name = 'quimbi/s000')"
    to_other = {"experiment_id": "(SELECT experiment_id FROM experiments e WHERE e.name = 'quimbi/' || other.store)"}
    copy(cursor, "experiment_tags", names, own, other_name | to_other)
    copy(cursor, "runs", names, own, other_name | run | to_other)
    cursor.execute("SELECT run_uuid FROM runs WHERE " + own.replace("original.", ""))
    runs = ", ".join(f"'{run_id}'" for (run_id,) in cursor.fetchall())
    for table in ("tags", "params", "metrics", "latest_metrics"):
        changes = run | ({"value": parent} if table == "tags" else {})
        copy(cursor, table, names, f"original.run_uuid IN ({runs})", changes)
    for table in REGISTRY_TABLES:
        copy(cursor, table, names, f"original.name LIKE '{FIRST}.%%'", other_name | run)


def ask() -> None:
    """Ask which stores need a look, and hold it against those that were broken."""
    from quimbi_assets.resources.postgres.database import open_database

    open_database()  # keeps the server up
    started = time.monotonic()
    shops = json.loads(quimbi("stores", "--json"))["stores"]
    took = time.monotonic() - started
    named = {
        "orders": {shop["store_id"] for shop in shops if shop["stale"] == ["orders"]},
        "held": {shop["store_id"] for shop in shops if shop["held"] == ["purchase_value"]},
        "failed": {shop["store_id"] for shop in shops if "store" in shop["failing"]},
        "checks": {shop["store_id"] for shop in shops if shop["failed_checks"] == [BROKEN_CHECK]},
    }
    others = {shop["store_id"]: shop["problems"] for shop in shops if shop["problems"]}
    for what, stores in BROKEN.items():
        agrees = "exactly these" if named[what] == set(stores) else f"DIFFERS: {sorted(named[what] ^ set(stores))}"
        print(f"broken by {what}: {', '.join(stores)}; named {agrees}")
        others = {store_id: problem for store_id, problem in others.items() if store_id not in stores}
    print(f"{len(shops)} stores, `quimbi stores` took {took:.1f} s; needing a look besides: {others or 'none'}")


def registry() -> None:
    """Time what is asked of registered models, one a store and axis, beside one a store that holds all its axes.

    The latter are made beside: 300 models, each with a version an axis, tagged and aliased by it.
    """
    from quimbi_assets.axes import AXES
    from quimbi_assets.resources.dagster_resources import open_tracking

    client, store = open_tracking().client, "s150"
    axes = list(AXES)
    by_axis = {axis: client.get_registered_model(f"{store}.{axis}") for axis in axes if axis != "support_history"}
    axes = list(by_axis)
    source = client.get_model_version_by_alias(f"{store}.{axes[0]}", "champion").source
    one = f"z_{store}"
    if not client.search_registered_models(f"name = '{one}'"):
        client.create_registered_model(one, tags={"store": store})
        for axis in axes:
            made = client.create_model_version(one, source, tags={"axis": axis})
            client.set_registered_model_alias(one, f"{axis}-champion", made.version)
        with other(client._tracking_client.tracking_uri) as cursor:
            names = [f"s{number:03d}" for number in range(300) if number != 150]
            changes = {"name": "'z_' || other.store"}
            for table in REGISTRY_TABLES:
                copy(cursor, table, names, f"original.name = '{one}'", changes)
    axis = axes[0]
    versions = {axis: client.get_model_version_by_alias(one, f"{axis}-champion").version for axis in axes}
    timed("pages of the list: 25 models a page", lambda: len(client.search_registered_models(max_results=25)))
    for what, ask_axis, ask_store in (
        ("models of a store", lambda: client.search_registered_models(f"name LIKE '{store}.%'", 100),
         lambda: client.search_model_versions(f"name = '{one}'", 100)),
        ("one axis in all stores", lambda: client.search_registered_models(f"tags.axis = '{axis}'", 1000),
         lambda: client.search_model_versions(f"tags.axis = '{axis}' AND name LIKE 'z_%'", 1000)),
        ("what serves an axis", lambda: client.get_model_version_by_alias(f"{store}.{axis}", "champion"),
         lambda: client.get_model_version_by_alias(one, f"{axis}-champion")),
        ("promote or roll back an axis", lambda: client.set_registered_model_alias(f"{store}.{axis}", "champion", "1"),
         lambda: client.set_registered_model_alias(one, f"{axis}-champion", versions[axis])),
        ("promote all axes of a store",
         lambda: [client.set_registered_model_alias(f"{store}.{a}", "champion", "1") for a in axes],
         lambda: [client.set_registered_model_alias(one, f"{a}-champion", versions[a]) for a in axes]),
        ("register a version", lambda: client.create_model_version(f"{store}.{axis}", source),
         lambda: client.create_model_version(one, source, tags={"axis": axis})),
        ("versions of an axis, newest first",
         lambda: client.search_model_versions(f"name = '{store}.{axis}'", 50, ["version_number DESC"]),
         lambda: client.search_model_versions(f"name = '{one}' AND tags.axis = '{axis}'", 50, ["version_number DESC"])),
    ):  # fmt: skip
        timed(f"{what}: one model a store and axis", ask_axis)
        timed(f"{what}: one model a store", ask_store)


def timed(what: str, asked: Callable[[], Any]) -> None:
    """Print the median time of five, after one for the caches."""
    asked()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        asked()
        times.append(time.perf_counter() - started)
    print(f"{what:62} {1000 * statistics.median(times):7.1f} ms")


@contextmanager
def served(home: Path) -> Iterator[None]:
    """Serve all pages for as long as the block runs."""
    ports = [f"--{name}-port={port}" for name, port in PORTS.items()]
    server = subprocess.Popen(
        [sys.executable, "-m", "quimbi_assets.cli", "ui", *ports], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    waiting = set(PORTS)
    for line in server.stdout:
        waiting -= {name for name in PORTS if line.lower().startswith(name)}
        if "Ctrl-C" in line:
            break
    time.sleep(45)  # Dagster answers before it has loaded the graph
    try:
        yield
    finally:
        server.terminate()
        server.wait(60)


def opened(pictures: Path | None) -> Iterator[tuple[str, float]]:
    """Open every page twice and yield how long the second time took, until its words were there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
        for name, (server, path, words) in PAGES.items():
            for _ in range(2):
                page.goto("about:blank")
                started = time.monotonic()
                page.goto(f"http://127.0.0.1:{PORTS[server]}{path}")
                page.get_by_text(words).first.wait_for(timeout=60_000)
                seconds = time.monotonic() - started
            if pictures is not None:
                page.wait_for_timeout(1500)
                if (skip := page.get_by_role("button", name="Skip")).count():  # the community's dialog
                    skip.first.click()
                page.screenshot(path=pictures / f"{name.replace('/', '_').replace(' ', '_')}.png")
            yield name, seconds
        browser.close()


if __name__ == "__main__":
    main()
