"""How long a server takes for a customer's profile while 50 programs are connected, 20 questions a second in all.

Over REST and over MCP, one after the other; for the customers most like one, over MCP; for a helpdesk's card, by
addresses that all customers are given first (``--ways card``). The server is a process of its own (``quimbi api``'s
application) on ``QUIMBI_HOME``; what it took is measured in it, from a request's arrival to its answer's last byte,
so that the clients' own work, on the same cores, counts only where it is in the way.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from typing import Any

import httpx2
import numpy as np
import pandas as pd
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from quimbi_assets.api.app import create_app
from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables.identities import OrderAddresses, store_secret
from quimbi_assets.resources.postgres.tables.tokens import create_token, revoke_token

Ask = Callable[[str], Awaitable[None]]


def serve(port: int, taken: Any) -> None:
    """Serve, and put what each request took on the queue, in seconds."""
    app = create_app(open_database())

    async def timed(scope: Any, receive: Any, send: Any) -> None:
        start = time.perf_counter()
        await app(scope, receive, send)
        if scope["type"] == "http":
            taken.put(time.perf_counter() - start)

    uvicorn.run(timed, port=port, log_level="warning")


async def paced(asks: list[Ask], customers: list[str], per_second: float, seconds: float) -> None:
    """Ask so many times a second in all, each client in its turn, whether or not answers are late."""
    start, tasks = time.perf_counter(), []
    for number, ask in zip(range(int(per_second * seconds)), itertools.cycle(asks), strict=False):
        await asyncio.sleep(max(start + number / per_second - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(ask(random.choice(customers))))
    await asyncio.gather(*tasks)


async def connected(
    way: str, base: str, store: str, n: int, headers: dict[str, str], stack: AsyncExitStack
) -> list[Ask]:
    """Return so many clients, each with a connection of its own."""
    asks: list[Ask] = []
    for _ in range(n):
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=60))
        if way == "rest":

            async def ask(customer: str, http: httpx2.AsyncClient = http) -> None:
                (await http.get(f"{base}/v1/stores/{store}/customers/{customer}")).raise_for_status()

        elif way == "card":

            async def ask(customer: str, http: httpx2.AsyncClient = http) -> None:
                answer = await http.get(f"{base}/v1/gorgias/card", params={"email": f"{customer}@example.com"})
                assert answer.raise_for_status().json()["known"] == "yes"

        else:
            client = await stack.enter_async_context(Client(streamable_http_client(f"{base}/mcp", http_client=http)))

            async def ask(customer: str, client: Client = client) -> None:
                answer = await client.call_tool(way, {"customer_id": customer})
                assert not answer.is_error, answer.content

        asks.append(ask)
    return asks


def give_addresses(database: Database, store_id: str, customers: list[str]) -> None:
    """Let each customer be known by an address, as orders that hold one would have it."""
    names = pd.Series(customers, dtype="str")
    secret = store_secret(database.home or quimbi_home(), store_id)
    with database.transaction(store_id) as cursor:
        cursor.execute("CREATE TEMP TABLE shared (key_hash bytea) ON COMMIT DROP")
        addresses = OrderAddresses(cursor, secret)
        addresses.add(names + "@example.com", names, pd.Series(pd.Timestamp.now("UTC"), index=names.index))
        addresses.learn(store_id)


async def measure(way: str, arguments: argparse.Namespace, base: str, token: str, taken: Any) -> None:
    """Print a row of the table."""
    database = open_database()
    sql = "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = %s"
    customers = [customer for (customer,) in database.execute(arguments.store_id, sql, (arguments.store_id,))]
    if way == "card":
        give_addresses(database, arguments.store_id, customers)
    headers = {"Authorization": f"Bearer {token}"}
    async with AsyncExitStack() as stack:
        asks = await connected(way, base, arguments.store_id, arguments.clients, headers, stack)
        await asks[0](customers[0])  # reads fingerprints; of those who ask meanwhile most would be sent away
        await paced(asks, customers, arguments.per_second, 5)  # imports, the first connections
        await asyncio.sleep(1)
        while not taken.empty():
            taken.get()
        await paced(asks, customers, arguments.per_second, arguments.seconds)
        await asyncio.sleep(1)
    seconds = []
    while not taken.empty():
        seconds.append(taken.get())
    p50, p95, p99 = np.percentile(np.array(seconds) * 1000, [50, 95, 99])
    print(f"| {way} | {len(customers):,} | {len(seconds):,} | {p50:.1f} | {p95:.1f} | {p99:.1f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store-id", required=True)
    parser.add_argument("--ways", default="rest,get_customer_profile,similar_customers")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--per-second", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    random.seed(0)
    database = open_database()
    text, token = create_token(database, arguments.store_id, ["read"], 1)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    taken: Any = multiprocessing.get_context("spawn").Queue()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port, taken))
    server.start()
    try:
        base = f"http://127.0.0.1:{port}"
        while True:
            try:
                httpx2.get(f"{base}/healthz", timeout=5).raise_for_status()
                break
            except httpx2.TransportError:
                time.sleep(0.2)
        print(f"{arguments.clients} clients, {arguments.per_second:g} a second in all; load {os.getloadavg()[0]:.1f}")
        print("| way | customers | requests | p50 ms | p95 ms | p99 ms |\n|---|---:|---:|---:|---:|---:|")
        for way in arguments.ways.split(","):
            asyncio.run(measure(way, arguments, base, text, taken))
    finally:
        server.terminate()
        server.join()
        revoke_token(database, token.token_id)


if __name__ == "__main__":
    main()
