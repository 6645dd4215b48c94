"""Pulls 50,000 tickets from a local server of Gorgias's documented shape, with faults, and compares what is stored.

Calls are answered with 429 and 502, or cut within the body; tickets change between two pages; the process is killed in
the middle. The bucket empties faster than Gorgias's, with which a pull lasts half an hour: ``--period 20`` is theirs.
Prints a row a process: calls by list, those over the rate, seconds, and whether every ticket is stored once as it is.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest

from quimbi_assets.resources.postgres.database import EVERY_STORE, Database, open_database
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets_tests.gorgias_api import GorgiasApi

PULL = """
import sys
from quimbi_assets.resources.gorgias.puller import pull_tickets
from quimbi_assets.resources.postgres.database import open_database
report = pull_tickets(open_database(), "gorgias", every=None, period=float(sys.argv[1]))
print(*report.lines(), sep="; ", file=sys.stderr)
"""
STORED = """
    SELECT ticket_id, created_at, priority, first_response_at, reopen_count::int, satisfaction_score::int
    FROM quimbi.support_tickets WHERE store_id = 'gorgias'
"""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=50_000)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--period", type=float, default=1.0)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["QUIMBI_HOME"] = folder
        database = open_database()
        emails = [f"c{number}@example.com" for number in range(options.customers)]
        _load(database, Path(folder), emails)
        api = GorgiasApi(period=options.period)
        api.retry_after = str(options.period / 4)
        now = datetime.now(UTC)
        api.fill(
            options.tickets,
            [*emails, *(f"s{number}@example.com" for number in range(5_000))],
            last=now - timedelta(days=1),
        )
        last = 6 * options.tickets // 100
        api.faults = {number: ("429", "cut", "502")[number % 3] for number in range(50, last, 149)}
        api.then = {
            number: lambda number=number: _happen(api, datetime.now(UTC), number) for number in range(20, last, 97)
        }
        with pytest.MonkeyPatch.context() as patch, api.connected(patch):
            print(f"load {os.getloadavg()[0]:.1f}; {options.tickets:,} tickets, a bucket of 40 in {options.period:g} s")
            print("| process | seconds | calls | by list | over the rate | at Gorgias | stored | differ or missing |")
            print("|---|---:|---:|---|---:|---:|---:|---:|", flush=True)
            _pull("killed", options.period, api, database, kill_at=last // 3)
            _pull("the next", options.period, api, database)
            api.faults, api.then = {}, {}
            _pull("and again", options.period, api, database)


def _load(database: Database, folder: Path, emails: list[str]) -> None:
    n = range(len(emails))
    orders = pd.DataFrame({"order_id": [f"o{i}" for i in n], "customer_id": [f"shop-{i}" for i in n], "email": emails})
    orders.assign(order_date="2024-01-01T10:00:00Z", total_price=10.0).to_csv(folder / "orders.csv", index=False)
    load_store(database, "gorgias", folder / "orders.csv")


def _happen(api: GorgiasApi, at: datetime, number: int) -> None:
    """Change ten tickets, write one, reopen one."""
    for ticket_id in range(number % 1000 + 1, number % 1000 + 11):
        api.change(ticket_id, at, priority="high")
    api.write_ticket(at, "c0@example.com")
    api.happen("ticket-reopened", number, at)
    api.change(number, at)


def _pull(name: str, period: float, api: GorgiasApi, database: Database, kill_at: int | None = None) -> None:
    """Pull in a process of its own, which is killed after so many calls; print a row."""
    before, began = len(api.calls), time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", PULL, str(period)])
    while process.poll() is None:
        time.sleep(0.01)
        if kill_at is not None and len(api.calls) >= kill_at:
            os.kill(process.pid, signal.SIGKILL)
            break
    code, seconds = process.wait(), time.monotonic() - began
    if code != (0 if kill_at is None else -signal.SIGKILL):
        sys.exit(f"the pull {name!r} ended with {code}")
    stored = {row[0]: tuple(row[1:]) for row in database.execute(EVERY_STORE, STORED)}
    expected, calls = api.expected(), api.calls[before:]
    differ = sum(stored.get(one) != facts for one, facts in expected.items())
    lists = Counter(call.partition("?")[0].removeprefix("/api/").partition("/")[0] for call in calls)
    shown = ", ".join(f"{kind} {n:,}" for kind, n in lists.most_common())
    print(
        f"| {name} | {seconds:,.0f} | {len(calls):,} | {shown} | {api.over:,} | {len(expected):,} | {len(stored):,} | "
        f"{differ:,} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
