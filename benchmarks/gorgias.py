"""Pulls 50,000 tickets from a local server of Gorgias's documented shape, with faults, and compares what is stored.

Calls are answered with 429 and 502, or cut within the body; tickets change between two pages; the process is killed in
the middle. The bucket empties faster than Gorgias's, with which a pull lasts half an hour: ``--period 20`` is theirs.
Prints calls, those over the rate, seconds, and whether every ticket is stored once as it is.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets_tests.gorgias_api import GorgiasApi

PULL = """
import sys, time
from quimbi_assets.resources.gorgias.puller import pull_tickets
from quimbi_assets.resources.postgres.database import open_database
began = time.monotonic()
report = pull_tickets(open_database(), "gorgias", print, every=None, period=float(sys.argv[1]))
print(*report.lines(), f"{time.monotonic() - began:.1f} s", sep="\\n")
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
            number: lambda number=number: _happen(api, now + timedelta(seconds=number), number)
            for number in range(20, last, 97)
        }
        with _served(api):
            _killed(options.period, api, at_call=last // 3)
            _pull(options.period, api, database)
            api.faults, api.then = {}, {}
            _pull(options.period, api, database)


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


@contextmanager
def _served(api: GorgiasApi) -> Iterator[None]:
    with api.serving() as address:
        settings = {"DOMAIN": "acme", "EMAIL": "ann@acme.example", "API_KEY": "key", "BASE_URL": address}
        os.environ |= {f"GORGIAS_{name}": value for name, value in settings.items()}
        yield


def _killed(period: float, api: GorgiasApi, at_call: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", PULL, str(period)], stdout=subprocess.DEVNULL)
    while len(api.calls) < at_call and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    print(f"killed after {len(api.calls):,} calls")


def _pull(period: float, api: GorgiasApi, database: Database) -> None:
    before = len(api.calls)
    subprocess.run([sys.executable, "-c", PULL, str(period)], check=True)
    stored = {row[0]: tuple(row[1:]) for row in database.execute(STORED)}
    expected = api.expected()
    differ = sum(stored.get(one) != facts for one, facts in expected.items())
    print(
        f"calls {len(api.calls) - before:,}, over the rate {api.over:,}; tickets at Gorgias {len(expected):,}, "
        f"stored {len(stored):,}, differ or missing {differ:,}",
        flush=True,
    )


if __name__ == "__main__":
    main()
