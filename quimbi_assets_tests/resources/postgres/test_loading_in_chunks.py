"""A file of many chunks is loaded as if it were one: same rows, same reasons, same report, same quarantine."""

import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import files
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables import identities
from quimbi_assets_tests.resources.postgres.stored import (
    n_orders,
    read_items,
    read_orders,
    read_quarantined,
    read_tickets,
)

NOW = pd.Timestamp("2024-06-01", tz="UTC")


@pytest.fixture
def in_chunks(monkeypatch):
    """Makes every later file one of many small chunks."""

    def shrink(rows=40):
        monkeypatch.setattr(files, "CHUNK_ROWS", rows)
        monkeypatch.setattr(files, "CHUNK_BYTES", 40 * rows)

    return shrink


def dirty_orders(seed):
    """Orders whose last rows tell how the first are meant; repeated, contradicted and broken ones between them."""
    rng = np.random.default_rng(seed)
    n = 120
    day, month = rng.integers(1, 13, n), rng.integers(1, 13, n)
    day[-1], month[-1] = 25, 3
    frame = pd.DataFrame(
        {
            "order_id": rng.integers(0, 100, n),
            "email": [f"c{i}@x" if i else "" for i in rng.integers(0, 9, n)],
            "date": [f"{d:02d}/{m:02d}/2023 10:00" for d, m in zip(day, month, strict=True)],
            "total": [f"{t:.2f}".replace(".", ",") for t in rng.integers(1, 2000, n)],
            "currency": rng.choice(["VND", "VND", "EUR"], n),
            "source": "web",
        }
    ).astype("str")
    frame.loc[rng.integers(0, n, 4), "total"] = "many"
    frame.loc[rng.integers(0, n, 4), "total"] = "1.234"  # a thousand, as the decimal commas tell
    frame.loc[3, "total"] = "25000000,00"  # credible in VND only, which most orders are in
    return pd.concat([frame, frame.sample(30, random_state=seed)], ignore_index=True)


def dirty_items(orders, seed, numbered):
    """Lines of these orders and of others, in no order."""
    rng = np.random.default_rng(seed + 1)
    n = 300
    frame = pd.DataFrame(
        {
            "order_id": rng.choice([*orders["order_id"], *(["none"] * 20)], n),
            "sku": rng.integers(0, 6, n),
            "quantity": rng.integers(0, 12, n),
            "price": rng.integers(1, 50, n) / 4,
            "refund": 0.0,
        }
    )
    if numbered:
        frame["line_no"] = rng.integers(1, 9, n)
    return pd.concat([frame, frame.sample(20, random_state=seed)], ignore_index=True)


def tickets_of(seed):
    rng = np.random.default_rng(seed + 2)
    ids = rng.integers(0, 40, 60)
    return pd.DataFrame(
        {"id": ids, "customer.email": [f"C{i % 12}@X " for i in ids], "created_datetime": "2023-11-05T10:00:00"}
    )


def write(frame, path, kind):
    if kind == "parquet":
        frame.to_parquet(path)
        return path
    text = frame.to_csv(index=False)
    lines = text.splitlines(keepends=True)
    text = "".join([*lines[:5], "one,cell,too,many,here,and,one,more\n", *lines[5:]])
    path.write_bytes(gzip.compress(text.encode()) if kind == "csv.gz" else text.encode())
    return path


def state(database, store_id):
    kept = read_quarantined(database, store_id).drop(columns=["store_id", "seen_at"])
    return [*(reader(database, store_id) for reader in (read_orders, read_items, read_tickets)), kept]


def reports(report):
    return [replace(one, path="") for one in report.tables]


@pytest.mark.parametrize(("kind", "numbered"), [("csv", False), ("csv.gz", True), ("parquet", True)])
def test_many_chunks_are_as_one(database, tmp_path, in_chunks, kind, numbered, monkeypatch):
    monkeypatch.setattr(identities.secrets, "token_bytes", lambda n: b"k" * n)  # both stores hash alike
    orders = [dirty_orders(seed) for seed in (0, 1)]
    loads = [[o, dirty_items(o, seed, numbered), tickets_of(seed)] for seed, o in enumerate(orders)]
    paths = [
        [write(frame, tmp_path / f"{number}-{part}", kind) for part, frame in enumerate(load)]
        for number, load in enumerate(loads)
    ]
    whole, small = f"whole-{kind}-{numbered}", f"small-{kind}-{numbered}"
    at_once = [reports(load_store(database, whole, *three, now=NOW)) for three in [*paths, paths[1]]]
    in_chunks()
    for three, expected in zip([*paths, paths[1]], at_once, strict=True):
        assert reports(load_store(database, small, *three, now=NOW)) == expected
    for one, other in zip(state(database, whole), state(database, small), strict=True):
        pd.testing.assert_frame_equal(one, other)
    first, second, third = at_once
    assert first[0].inserted > 60
    assert first[0].refused > 20
    assert "order_id occurs twice with different contents; the first was kept" in first[0].reasons
    assert any("repeat an earlier row exactly" in note for note in first[0].notes)
    assert second[1].updated > 0
    assert not any(table.changed for table in third)


def test_a_line_export_in_chunks(database, tmp_path, in_chunks, monkeypatch):
    monkeypatch.setenv("QUIMBI_ADDRESSES", "plain")  # each store has a key of its own: hashes differ
    lines = ["Name,Email,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price\n"]
    for order in range(40):
        lines.append(f"#{order},a{order % 5}@x,30,2024-01-05 10:00:00 +0100,1,Mug,10\n")
        lines += [f"#{order},a{order % 5}@x,,,2,Cup,10\n"] * (200 if order == 20 else order % 4)
    lines += ["#99,a@x,,,1,Cup,10\n"] * 12  # the order's first row is missing
    path = tmp_path / "orders.csv"
    path.write_text("".join(lines))
    at_once = reports(load_store(database, "export-whole", path, now=NOW))
    in_chunks()
    assert reports(load_store(database, "export-small", path, now=NOW)) == at_once
    assert at_once[0].reasons == {"order_date is missing": 1}
    assert at_once[0].inserted == 40
    for one, other in zip(state(database, "export-whole"), state(database, "export-small"), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_file_that_turns_out_to_be_refused_leaves_nothing(database, tmp_path, in_chunks):
    in_chunks(20)
    good = [f"o{i},c,2024-01-05,1\n" for i in range(100)]
    bad = [f"x{i},c,someday,1\n" for i in range(150)]
    path = tmp_path / "orders.csv"
    path.write_text("".join(["order_id,customer_id,order_date,total\n", *good, *bad]))
    with pytest.raises(BadInputError, match="150 of 250 rows refused, so nothing was loaded"):
        load_store(database, "late-refusal", path, now=NOW)
    assert not n_orders(database, "late-refusal")
    assert len(read_quarantined(database, "late-refusal")) == 150


def test_a_column_that_is_filled_only_at_the_end_is_found(database, tmp_path, in_chunks):
    in_chunks(10)
    rows = [f"o{i},c,2024-01-05,1,,\n" for i in range(60)] + ["o60,c,2024-01-05,1,7,web\n"]
    path = tmp_path / "orders.csv"
    path.write_text("".join(["id,customer_id,order_date,total,order_id,source\n", *rows]))
    with pytest.raises(BadInputError, match="60 of 61 rows refused, so nothing was loaded: order_id is missing"):
        load_store(database, "late-column", path, now=NOW)
    path.write_text("".join(["order_id,customer_id,order_date,total,discount,source\n", *rows]))
    report = load_store(database, "late-column", path, now=NOW)
    assert report.tables[0].absent_columns == ["status", "currency", "refund_amount"]
