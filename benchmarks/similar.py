"""Ways of finding the ten customers most like one among a million: how long they take, whether they find the right.

Fingerprints are made up: 14 axes of 4 segments. One store holds 99 % of them, another 1 %. In memory is what
``quimbi_assets.profiles.fingerprint`` does; the others run in an embedded PostgreSQL of their own, on a table that
holds nothing else, which ``customer_profiles`` is not (28 kB a customer).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
from adbc_driver_postgresql import dbapi

from quimbi_assets.profiles.fingerprint import Fingerprints
from quimbi_assets.resources.postgres.database import administration, open_database

N_AXES, N_SEGMENTS, N_FEATURES, K = 14, 4, 5, 10
VECTOR = f"halfvec({N_AXES * N_SEGMENTS})"
TABLE = """
    CREATE EXTENSION IF NOT EXISTS vector;
    CREATE TABLE public.fingerprints (store_id text, customer_id text, fingerprint real[]);
"""
NARROW = f"""
    CREATE TABLE public.vectors AS
    SELECT store_id, customer_id, fingerprint::{VECTOR} AS v FROM public.fingerprints
"""
BY_ARRAY = """
    SELECT customer_id FROM public.fingerprints WHERE store_id = %(store)s AND customer_id <> %(me)s ORDER BY
    (SELECT sum((a - b) ^ 2) FROM unnest(fingerprint, %(q)s::real[]) AS both_of (a, b)) LIMIT 10
"""
BY_VECTOR = f"""
    SELECT customer_id FROM public.vectors WHERE store_id = %(store)s AND customer_id <> %(me)s
    ORDER BY v <-> %(q)s::real[]::{VECTOR} LIMIT 10
"""


def made_up(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return fingerprints, shape (n, axes x segments), float32."""
    parts = []
    for _ in range(N_AXES):
        centres = rng.normal(0, 1.5, (N_SEGMENTS, N_FEATURES))
        points = centres[rng.integers(0, N_SEGMENTS, n)] + rng.normal(0, 0.8, (n, N_FEATURES))
        parts += [np.linalg.norm(points - centre, axis=1).astype(np.float32) for centre in centres]
    return np.ascontiguousarray(np.stack(parts, axis=1))


class Truth:
    """The right answers, counted in double precision, and how a way does beside them."""

    def __init__(self, ids: np.ndarray, vectors: np.ndarray, asked: np.ndarray) -> None:
        self.asked = {str(ids[row]): vectors[row] for row in asked}
        self.right = {}
        for row in asked:
            apart = ((vectors.astype(np.float64) - vectors[row]) ** 2).sum(axis=1)
            apart[row] = np.inf
            self.right[str(ids[row])] = set(ids[np.argsort(apart)[:K]].tolist())

    def score(self, way: str, answer: Callable[[str, np.ndarray], list[str]], n_asked: int | None = None) -> None:
        """Ask for everybody, or the first, once unmeasured, and print a row of the table."""
        asked = list(self.asked.items())[:n_asked]
        answer(*asked[0])
        seconds, hits, n_answers = [], 0, []
        for customer, vector in asked:
            start = time.perf_counter()
            answers = answer(customer, vector)
            seconds.append(time.perf_counter() - start)
            hits += len(self.right[customer] & set(answers))
            n_answers.append(len(answers))
        p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
        recall = hits / (K * len(asked))
        print(f"| {way} | {p50:.1f} | {p95:.1f} | {recall:.3f} | {np.mean(n_answers):.1f} |", flush=True)


def in_database(cursor: Any, sql: str, store: str) -> Callable[[str, np.ndarray], list[str]]:
    """Return a way that asks the database."""

    def answer(customer: str, vector: np.ndarray) -> list[str]:
        cursor.execute(sql, {"store": store, "me": customer, "q": vector.tolist()})
        return [one for (one,) in cursor.fetchall()]

    return answer


def fill(database: Any, cursor: Any, store: str, ids: np.ndarray, vectors: np.ndarray) -> None:
    """Copy a store's fingerprints into the table."""
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]).cast(pa.list_(pa.float32()))
    table = pa.table({"store_id": pa.array([store] * len(ids)), "customer_id": pa.array(ids), "fingerprint": lists})
    with (
        closing(dbapi.connect(administration(database, database.libpq_url))) as connection,
        connection.cursor() as bulk,
    ):
        bulk.adbc_ingest("fingerprints", table, mode="append", db_schema_name="public")
        connection.commit()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=50)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    n_small = arguments.customers // 100
    vectors = made_up(arguments.customers, rng)
    ids = np.array([f"c{number:07d}" for number in range(len(vectors))])
    stores = {"big": slice(n_small, None), "small": slice(0, n_small)}
    truths = {
        name: Truth(ids[part], vectors[part], rng.choice(len(ids[part]), arguments.queries, replace=False))
        for name, part in stores.items()
    }
    print("| way | p50 ms | p95 ms | recall of 10 | answers |\n|---|---:|---:|---:|---:|")
    for name, part in stores.items():
        index = Fingerprints(pa.array(ids[part]), vectors[part])
        truths[name].score(f"{name}: in memory", lambda one, _, i=index: [n.customer_id for n in i.nearest(one, K)])
    with tempfile.TemporaryDirectory(prefix="quimbi-similar-") as home:
        os.environ["QUIMBI_HOME"] = home
        database = open_database(Path(home))
        with closing(psycopg2.connect(administration(database, database.libpq_url))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                measure(database, cursor, ids, vectors, stores, truths)


def measure(database: Any, cursor: Any, ids: Any, vectors: Any, stores: Any, truths: dict[str, Truth]) -> None:
    """Print the rows of the ways of PostgreSQL."""

    def timed(what: str, sql: str) -> None:
        start = time.perf_counter()
        cursor.execute(sql)
        print(f"  {what}: {time.perf_counter() - start:.0f} s", flush=True)

    cursor.execute(TABLE)
    for name, part in stores.items():
        fill(database, cursor, name, ids[part], vectors[part])
    cursor.execute("ANALYZE public.fingerprints")
    truths["big"].score("big: SQL over real[]", in_database(cursor, BY_ARRAY, "big"), n_asked=3)
    timed("narrow table of halfvec", NARROW)
    cursor.execute("CREATE INDEX ON public.vectors (store_id, customer_id); ANALYZE public.vectors")
    for name in stores:
        truths[name].score(f"{name}: pgvector, exact", in_database(cursor, BY_VECTOR, name))
    cursor.execute("SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = 0")
    timed("HNSW of all stores", "CREATE INDEX all_stores ON public.vectors USING hnsw (v halfvec_l2_ops)")
    cursor.execute("SELECT pg_size_pretty(pg_relation_size('public.all_stores'))")
    print("  its size:", cursor.fetchone()[0])
    for search in (40, 200):
        cursor.execute(f"SET hnsw.ef_search = {search}")
        for name in stores:
            for setting in ("off", "strict_order"):
                cursor.execute(f"SET hnsw.iterative_scan = {setting}; SET enable_seqscan = off; SET enable_sort = off")
                way = f"{name}: HNSW of all stores, ef_search {search}, iterative_scan {setting}"
                truths[name].score(way, in_database(cursor, BY_VECTOR, name))
    cursor.execute("RESET ALL; DROP INDEX public.all_stores; SET maintenance_work_mem = '2GB'")
    timed(
        "HNSW of the small store",
        "CREATE INDEX one ON public.vectors USING hnsw (v halfvec_l2_ops) WHERE store_id = 'small'",
    )
    cursor.execute("SET hnsw.ef_search = 200")
    truths["small"].score(
        "small: HNSW of its own, ef_search 200", in_database(cursor, BY_VECTOR.replace("%(store)s", "'small'"), "small")
    )


if __name__ == "__main__":
    main()
