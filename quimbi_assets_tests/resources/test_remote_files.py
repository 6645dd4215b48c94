"""Files out of a bucket (a real server that speaks S3) and from a web server, loaded as files of this machine are."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.pulling import Pull, pull
from quimbi_assets.resources.postgres.tables.sources import Source, read_sources
from quimbi_assets.resources.remote_files import check_place

SECRET = "s3cret-word"


def orders(first, n=3):
    numbers = range(first, first + n)
    columns = {"order_id": [str(i) for i in numbers], "customer_id": "ann", "order_date": "2025-01-05T10:00:00Z"}
    return pd.DataFrame(columns | {"total_price": [10.0 + i for i in numbers]})


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket ``shop`` on a server of its own; write(key, bytes) puts a file into it."""
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "ann")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_REGION", "eu-west-2")
        system = fs.S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", region="eu-west-2", allow_bucket_creation=True
        )
        system.create_dir("shop")

        def write(key, content):
            with system.open_output_stream(f"shop/{key}") as file:
                file.write(content)

        yield write
    server.stop()


@pytest.fixture
def web():
    """A web server; answers maps a path to status, headers, body."""
    answers, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            usual = answers.get(self.path.split("?")[0], (404, {}, b"<html>no</html>"))
            status, headers, body = answers.get(self.path, usual)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers, asked
    server.shutdown()
    server.server_close()


def stored(database, store_id):
    return [
        row[0]
        for row in database.execute(store_id, "SELECT order_id FROM quimbi.orders WHERE store_id = %s", (store_id,))
    ]


def test_a_pattern_of_a_bucket_is_read_and_again_only_when_a_file_is_new(database, bucket):
    bucket("drops/a.parquet", orders(1).to_parquet(index=False))
    bucket("drops/deep/b.parquet", orders(100).to_parquet(index=False))  # * ends at a slash
    source = Source("s3://shop/drops/*.parquet")
    assert pull(database, "bucket", source, Pull()).tables[0].inserted == 3
    assert pull(database, "bucket", source, Pull()) is None
    bucket("drops/c.parquet", orders(4).to_parquet(index=False))
    (report,) = pull(database, "bucket", source, Pull()).tables
    assert (report.read, report.inserted) == (3, 3)  # what was loaded before is not fetched again
    cancelled = orders(2, 1).assign(total_price=1.0)
    bucket("drops/d.parquet", cancelled.to_parquet(index=False))
    assert pull(database, "bucket", source, Pull(full=True)).tables[0].updated == 1  # the later file is right
    for name in "ab":
        bucket(f"drops/{name}.parquet", orders(1).to_parquet(index=False))  # b is new, a sent again as it was
        report = pull(database, "bucket", source, Pull())
    assert (report.tables[0].read, report.tables[0].updated) == (7, 2)  # from b on, of which the last is right again
    assert sorted(stored(database, "bucket")) == ["1", "2", "3", "4", "5", "6"]
    deep = pull(database, "deep", Source("s3://shop/drops/**/*.parquet"), Pull())
    assert deep.tables[0].inserted == 9


def test_a_file_of_a_bucket_is_read_as_one_of_this_machine(database, bucket, tmp_path):
    path = tmp_path / "orders.csv"
    orders(1).assign(customer_id="Ren\u00e9").to_csv(path, sep=";", index=False, encoding="cp1252")
    bucket("orders.csv", path.read_bytes())
    load_store(database, "cp1252", "s3://shop/orders.csv")
    rows = database.execute(EVERY_STORE, "SELECT DISTINCT customer_id FROM quimbi.orders WHERE store_id = 'cp1252'")
    assert list(rows) == [("Ren\u00e9",)]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://shop/nix.csv", "no such file: s3://shop/nix.csv"),
        ("s3://shop/nix/*.csv", r"no such file: s3://shop/nix/\*.csv"),
        ("s3://nobody/*.csv", r"cannot read s3://nobody/\*.csv: NO_SUCH_BUCKET.*credentials come from the environment"),
    ],
)
def test_what_a_bucket_lacks_is_one_line(database, bucket, address, message):
    with pytest.raises(BadInputError, match=f"^{message}[^\n]*$"):
        load_store(database, "nix", address)


def test_a_bucket_out_of_reach_is_one_line(database, bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(BadInputError, match=r"^cannot read s3://shop/a\.csv: NETWORK_CONNECTION[^\n]*$"):
        pull(database, "nix", Source("s3://shop/a.csv"), Pull())


def test_a_key_that_a_bucket_refuses_is_one_line(database, web, monkeypatch):
    address, answers, _ = web
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    answers["/shop/a.csv"] = (403, {}, b"")
    with pytest.raises(BadInputError, match=r"^cannot read s3://shop/a\.csv: ACCESS_DENIED.*AWS_ACCESS_KEY_ID[^\n]*$"):
        load_store(database, "nix", "s3://shop/a.csv")


def test_a_bucket_of_googles_is_read(database, web, monkeypatch):
    """Answers are as of the JSON API's documents; nothing was tried against Google."""
    address, answers, _ = web
    monkeypatch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", address)
    body = orders(1).to_csv(index=False).encode()
    there = {"name": "drops/a.csv", "bucket": "shop", "size": str(len(body)), "updated": "2025-01-01T00:00:00Z"}
    of_bucket = "/storage/v1/b/shop/o"
    answers[of_bucket] = (200, {}, json.dumps({"items": [there]}).encode())
    answers[f"{of_bucket}/drops%2Fa.csv"] = (200, {}, json.dumps(there).encode())
    answers[f"{of_bucket}/drops%2Fa.csv?alt=media"] = (200, {}, body)
    assert pull(database, "google", Source("gs://shop/drops/*.csv"), Pull()).tables[0].inserted == 3
    with pytest.raises(BadInputError, match=r"^no such file: gs://shop/nix\.csv$"):
        load_store(database, "google", "gs://shop/nix.csv")


def test_a_file_of_the_web_is_read_and_again_only_when_its_tag_changes(database, web):
    address, answers, asked = web
    body = orders(1).to_csv(index=False).encode()
    answers["/orders.csv"] = (200, {"ETag": '"1"'}, body)
    source = Source(f"{address}/orders.csv?signature={SECRET}")
    assert pull(database, "web", source, Pull()).tables[0].inserted == 3
    assert pull(database, "web", source, Pull()) is None
    answers["/orders.csv"] = (200, {"ETag": '"2"'}, body)
    assert pull(database, "web", source, Pull()) is None  # the same under another tag
    answers["/orders.csv"] = (200, {"ETag": '"3"'}, orders(1, 4).to_csv(index=False).encode())
    assert pull(database, "web", source, Pull()).tables[0].inserted == 1
    assert all(SECRET in path for path in asked)  # is asked for, and nowhere kept
    assert SECRET not in str(read_sources(database, "web"))
    with pytest.raises(BadInputError, match="nor what follows") as raised:
        pull(database, "web", source, Pull(every="day"))
    assert SECRET not in str(raised.value)


def test_what_names_no_change_is_compared_by_what_it_is_and_its_address_may_be_a_variables(database, web, monkeypatch):
    address, answers, _ = web
    monkeypatch.setenv("ORDERS_URL", f"{address}/export?key={SECRET}")
    answers["/export"] = (200, {"Content-Type": "application/json"}, orders(1).to_json(orient="records").encode())
    source = Source("env:ORDERS_URL")
    assert pull(database, "variable", source, Pull(every="day")).tables[0].inserted == 3
    assert pull(database, "variable", source, Pull()) is None
    answers["/export"] = (200, {"Content-Type": "application/json"}, orders(1, 4).to_json(orient="records").encode())
    assert pull(database, "variable", source, Pull()).tables[0].inserted == 1
    answers["/export"] = (200, {}, orders(1).rename(columns={"customer_id": "x"}).to_csv(index=False).encode())
    with pytest.raises(BadInputError, match=r"env:ORDERS_URL has no column customer_id.*--from env:ORD") as raised:
        pull(database, "variable", source, Pull())
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, b""), "no such file: .*/orders.csv"),
        ((403, {}, b""), "cannot read .*/orders.csv: the server answers with status 403"),
        ((200, {}, b"<!DOCTYPE html><html>Log in</html>"), "cannot read .*/orders.csv: a web page"),
        ((200, {"Content-Length": "900"}, b"order_id,x\n"), "cannot read .*/orders.csv: remote protocol error"),
        ((302, {"Location": "/orders.csv"}, b""), "cannot read .*/orders.csv: too many redirects"),
        ((200, {"Content-Length": str(1 << 60)}, b""), "cannot read .*/orders.csv: at least .* set TMPDIR"),
    ],
)
def test_what_a_web_server_does_not_give_is_one_line(database, web, answer, message):
    address, answers, _ = web
    answers["/orders.csv"] = answer
    with pytest.raises(BadInputError, match=f"^{message}[^\n]*$") as raised:
        load_store(database, "nix", f"{address}/orders.csv?signature={SECRET}")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        f"s3://KEY:{SECRET}@shop/a.csv",
        f"s3://KEY:a/{SECRET}@shop/a.csv",
        f"s3://shop/a.csv?secret_key={SECRET}",
        f"https://ann:{SECRET}@shop.example/a.csv",
        f"https://ann:a/{SECRET}@shop.example/a.csv",
        f"ftp://ann:{SECRET}@shop.example/a.csv",
        f"https://ann:{SECRET}@[shop/a.csv",
        f"https:/ann:{SECRET}@shop/a.csv",
        f"postgres:ann:{SECRET}@shop",
        f"ann:{SECRET}@shop/a.csv",
        f"password={SECRET} host=shop",
        f"shop/a.csv?signature={SECRET}",
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(address):
    with pytest.raises(BadInputError) as raised:
        check_place(address)
    assert SECRET not in str(raised.value)
    assert os.linesep not in str(raised.value)


def test_a_file_that_is_named_as_an_address_may_be_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ann:orders@shop.csv", "year=2024.csv"):
        Path(name).touch()
        check_place(name)
        check_place(name[:-5] + "*")
    with pytest.raises(BadInputError, match=r"^no such file: ann@shop\.csv$"):
        check_place("ann@shop.csv")


@pytest.mark.parametrize(
    "address", ["s3://shop", "s3://[x/y.csv", "gs://", "https://", "https://[/x.csv", "https://shop.example/*.csv"]
)
def test_an_address_that_names_no_file_is_refused(address):
    with pytest.raises(BadInputError, match="name"):
        check_place(address)
