"""The page of a store that was run: as a file and as served, in a browser, beside the tables."""

import csv
import io
import os
import shutil

import pyarrow as pa
import pytest
from dagster import AssetKey
from fastapi.testclient import TestClient

from quimbi_assets.api.app import HEADERS, create_app
from quimbi_assets.axis_table import Facts, write_table
from quimbi_assets.cli import main
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.pages import read_store_facts, view_store
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.database import EVERY_STORE
from quimbi_assets_tests.administrator import administer

pytestmark = pytest.mark.xdist_group("graph")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def client(two_stores, database):
    return TestClient(create_app(database), base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def report(two_stores, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "north.html"
    with pytest.raises(SystemExit) as ended:
        main(["report", "--store-id", "north", "--out", str(path)])
    assert ended.value.code == 0
    return path


def test_its_numbers_are_the_tables(two_stores, database):
    cards = {card.name: card.customers for card in view_store(database, "north").cards}
    sql = "SELECT lifecycle, count(*) FROM quimbi.customer_profiles WHERE store_id = 'north' GROUP BY 1"
    counted = dict(administer(database, sql))
    assert {name: n for name, n in cards.items() if n != "0"} == {name: f"{n:,}" for name, n in counted.items()}


def test_nobody_is_leaving_who_very_likely_comes(client, two_stores, database):
    facts, late = read_store_facts(database, "north"), "store_id = 'north' AND lifecycle IN ('slowing', 'at risk')"
    ((n, likely),) = administer(
        database,
        "SELECT count(*), count(*) FILTER (WHERE churn_risk_score < 0.1) FROM quimbi.customer_profiles WHERE " + late,
    )
    assert facts.going.customers == n - likely
    assert facts.likely.get("slowing", 0) + facts.likely.get("at risk", 0) == likely
    most = [row["value"] * (1 if row["risk"] is None else row["risk"]) for row in facts.going.rows]
    assert most == sorted(most, reverse=True)


def test_nobody_stands_in_two_lists_and_a_file_has_their_profiles(report, two_stores, database):
    facts = read_store_facts(database, "north", in_a_file=True)
    rows = [row["customer_id"] for one in (*facts.lists, facts.going) for row in one.rows]
    assert len(set(rows)) == len(rows) > 0
    assert {customer for one in (*facts.lists, facts.going) for customer in one.profiles} == set(rows)
    page = report.read_text()
    assert page.count('<details class="profile">') == len(rows)
    assert all(f"More of {customer}<" in page for customer in rows)


def test_served_once_a_publication(client, monkeypatch):
    first = client.get("/stores/north")
    assert first.status_code == 200
    assert {name: first.headers[name] for name in HEADERS} == HEADERS
    monkeypatch.setattr("quimbi_assets.resources.pages.view_store", None)  # not made again
    assert client.get("/stores/north").text == first.text
    assert client.get("/stores/north", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_made_again_when_audiences_change(client, home):
    first = client.get("/stores/north").headers["ETag"]
    audiences = home / "audiences.yaml"
    audiences.write_text("audiences:\n  big: {where: value > 100, about: Big ones.}\n")
    try:
        again = client.get("/stores/north", headers={"If-None-Match": first})
    finally:
        audiences.unlink()
    assert again.status_code == 200
    assert "Big ones." in again.text


def test_made_again_when_zone_currency_or_backtest_change(client, two_stores, database, home):
    tags = [client.get("/stores/north").headers["ETag"]]
    ((zone, currency),) = database.execute(
        EVERY_STORE, "SELECT time_zone, currency FROM quimbi.stores WHERE store_id = 'north'"
    )
    change = "UPDATE quimbi.stores SET time_zone = %s, currency = %s WHERE store_id = 'north'"
    report = parquet_tables().place(AssetKey(["backtest", "report"]), "north")
    try:
        for settings in (("Asia/Tokyo", currency), ("Asia/Tokyo", "JPY")):
            administer(database, change, settings)
            tags.append(client.get("/stores/north").headers["ETag"])
        rows = {"axis": ["returns"], "segments": [0.1], "added_verdict": ["better"]}
        write_table(report, [pa.table(rows)], Facts())
        tags.append(client.get("/stores/north").headers["ETag"])
    finally:
        administer(database, change, (zone, currency))
        report.unlink(missing_ok=True)
    assert len(set(tags)) == 4


def test_customers_and_lists(client, database):
    (customer,) = database.execute(
        EVERY_STORE, "SELECT min(customer_id) FROM quimbi.customer_profiles WHERE store_id = 'north'"
    )[0]
    page = client.get(f"/stores/north/customers/{customer}")
    assert page.status_code == 200
    assert f"Customer {customer}" in page.text
    assert "What would move them" not in page.text  # it takes seconds: a link asks for it
    why = client.get(f"/stores/north/customers/{customer}", params={"why": "true"})
    assert "up to which the store was last run" in why.text
    assert "What would move them" in why.text
    answer = client.get("/stores/north/customers.csv", params={"where": "lifecycle = 'active'"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    sql = "SELECT count(*) FROM quimbi.customer_profiles WHERE store_id = 'north' AND lifecycle = 'active'"
    assert len(rows) == administer(database, sql)[0][0] > 0
    assert {row["lifecycle"] for row in rows} == {"active"}
    asked = {"where": "orders > 1", "sort": "value_at_risk"}
    rows = list(csv.DictReader(io.StringIO(client.get("/stores/north/customers.csv", params=asked).text)))
    most = [float(row["churn_risk_score"] or 1) * float(row["lifetime_value"]) for row in rows]
    assert most == sorted(most, reverse=True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/stores/nowhere", 404),
        ("/stores/north/customers/nobody", 404),
        ("/stores/north/customers.csv?where=lifecycle+%3D+%27gone%27", 400),
        ("/stores/north/customers.csv?audience=none_such", 400),
        ("/stores/north/customers.csv?audience=has+no+profile+of", 400),
        ("/stores/%00", 404),
        ("/stores/north/customers/a%00b", 404),
        ("/stores/north/customers.csv?audience=%00", 404),
        ("/healthz", 200),
        ("/", 200),
    ],
)
def test_what_cannot_be_shown_is_said(client, path, status):
    assert client.get(path).status_code == status


@pytest.mark.parametrize("host", ["evil.example", "testserver"])
def test_it_answers_to_its_own_name_only(client, host):
    assert client.get("/stores/north", headers={"Host": host}).status_code == 400


def test_a_store_never_run_has_no_page(database):
    with pytest.raises(BadInputError):
        view_store(database, "nowhere")


@pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM: pages are not looked at in a browser")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(report, width, scheme):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        messages, requests = [], []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report.as_uri())
        violations = Axe().run(page).response["violations"]
        assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert page.locator("figure svg.chart").count() >= 2
        page.emulate_media(media="print")
        assert page.locator("nav").is_hidden()
        assert messages == []
        assert requests == [report.as_uri()]
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM: pages are not looked at in a browser")
@pytest.mark.parametrize("width", [390, 1280])
def test_why_a_customer_is_where_they_are_in_a_browser(client, database, width):
    """Asked for by its link, as people do; what is served, with its headers, is what the browser is given."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    def answer(route):
        asked = client.get(route.request.url.removeprefix("http://127.0.0.1"))
        route.fulfill(status=asked.status_code, headers=dict(asked.headers), body=asked.text)

    sql = "SELECT min(customer_id) FROM quimbi.customer_profiles WHERE store_id = 'north' AND n_orders > 3"
    ((customer,),) = database.execute(EVERY_STORE, sql)
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": width, "height": 900})
        messages = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.route("**/*", answer)
        page.goto(f"http://127.0.0.1/stores/north/customers/{customer}")
        page.get_by_role("link", name="Why they belong where they do").click(timeout=60_000)
        why = page.locator("section", has=page.locator("#h-why"))
        assert why.locator(".axis").count() > 1
        assert "would move them" in why.inner_text()
        violations = Axe().run(page).response["violations"]
        assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        bars = [box["width"] for bar in why.locator(".segment").all() if (box := bar.bounding_box())]
        assert 0 < max(bars) < width
        assert messages == []
        browser.close()
