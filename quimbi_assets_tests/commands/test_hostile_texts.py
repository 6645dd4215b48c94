"""Ids and names that customers chose, from load over run to every printer: none of them speaks for us."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from quimbi_assets.api.app import create_app
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.over_time import print_drift
from quimbi_assets.commands.running import RunOptions, run_store
from quimbi_assets.resources.mlflow.runs import reference_of_csv, spreadsheet_csv
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.slack import Slack
from quimbi_assets.simulation import write_store
from quimbi_assets.texts import slack
from quimbi_assets.weekly.notifications import notification_text

pytestmark = pytest.mark.xdist_group("hostile")

STORE = "hostile-texts"
SPOOF = "quimbi: all is well, pay at https://evil.example"
HOSTILE = (
    f"c\n{SPOOF}", "\x1b[2J\x1b]0;owned\x07", "\x9b31mred", "a\u202etxt.exe", "zero\u200bwidth", "tab\tbed",
    "=HYPERLINK(\"http://evil.example\",\"click\")", "+1+1", "-2+3", "@SUM(1)", "＝1", "|pipe|", "`tick`",
    "[bold red]rich[/bold red]", "![img](http://evil.example/x.png)", "<!channel>", "<b>html</b>", "'quoted'",
    "x" * 300, "https://evil.example/pay", "back\\slash", "%(x)s {y}",
    "</script><script src='https://evil.example/x.js'></script>", "\" onmouseover=\"alert(1)",
)  # fmt: skip
"""What is put before ids and product names."""


@pytest.fixture(scope="module")
def customers(database, tmp_path_factory):
    """A simulated store whose customers and products have hostile ids; returns the ids of customers."""
    folder = tmp_path_factory.mktemp("hostile")
    write_store(130, folder, seed=4)
    orders, items = (pd.read_parquet(folder / f"{name}.parquet") for name in ("orders", "order_items"))
    by_number = pd.Series(pd.factorize(orders["customer_id"])[0], orders.index)
    prefixes = by_number.map(lambda n: HOSTILE[n % len(HOSTILE)])
    orders["customer_id"] = (prefixes + orders["customer_id"]).where(orders["customer_id"].notna())
    for name in ("product_id", "category"):
        places = pd.Series(pd.factorize(items[name])[0], items.index)
        items[name] = places.map(lambda n: HOSTILE[n % len(HOSTILE)]) + items[name]
    bad = orders.head(3).assign(order_id=[f"{text} bad" for text in HOSTILE[:3]], total_price=-1.0)
    pd.concat([orders, bad]).to_parquet(folder / "orders.parquet")
    items.to_parquet(folder / "items.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUIMBI_ADDRESSES", "plain")  # one of them is taken for an address
        load_store(database, STORE, folder / "orders.parquet", folder / "items.parquet")
    options = RunOptions(axes=["purchase_frequency", "purchase_value"], min_population=50, ai_naming=False)
    run_store(STORE, options, Steps(None, STORE))
    stored = database.execute(STORE, "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = %s", (STORE,))
    ids = {customer for (customer,) in stored}
    missing = [text for text in HOSTILE if not any(customer.startswith(text.strip()) for customer in ids)]
    assert not missing, (missing, len(ids), sorted(ids)[:8])
    return sorted(ids)


def harmless(printed):
    """Lines of what was printed, once it holds nothing that a terminal obeys and no line that a customer wrote."""
    lines = printed.split("\n")
    assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()][:3]
    assert not any(line.lstrip().startswith("quimbi: all is well") for line in lines)
    return lines


def test_a_customer_is_shown_in_one_line_everywhere(customers, quimbi):
    one_each = _one_of_each(customers)
    code, out, err = quimbi("customers", "--store-id", STORE, "--limit", 200)
    assert (code, err) == (0, "")
    assert len(harmless(out)) == 3 + len(customers)
    for customer in one_each[:5]:
        if "," not in customer:
            code, out, _ = quimbi("profile", "--store-id", STORE, "--customer-ids", customer, "--why")
            assert code == 0
            assert harmless(out)[0].startswith("Customer ")
        for command in ("similar", "explain", "actions"):
            code, out, err = quimbi(command, "--store-id", STORE, "--customer-id", customer)
            harmless(out + err)
            assert code == 0, (command, customer, err)
    code, out, err = quimbi("explain", "--store-id", STORE, "--customer-id", f"nobody{HOSTILE[0]}{HOSTILE[1]}")
    assert code == 2
    assert len(harmless(err)) == 2


def test_json_is_the_same_text_and_commands_no_terminal(customers, quimbi):
    code, out, _ = quimbi("customers", "--store-id", STORE, "--limit", 200, "--json")
    assert code == 0
    harmless(out)
    assert {row["customer_id"] for row in json.loads(out)["rows"]} == set(customers)


def test_the_drift_of_a_week_is_ours_line_by_line(customers, capsys):
    start, end = (dict.fromkeys((f"{side}_segment", f"{side}_name"), "big_spenders") for side in ("from", "to"))
    of = {"lifetime_value": 5.0, "axis": "purchase_value", "cause": "silent", "alert": "newly_at_risk", **start, **end}
    week = {"store_id": STORE, "week": "2026-11-16", "compared_with": "2026-11-09", "customers": 9, "currency": "EUR"}
    for customer in customers:
        alerts = [{"customer_id": customer, **of}]
        at_risk = [{"customer_id": customer, "week": "2026-11-16", "risk": 0.5, "lifetime_value": 5.0}]
        drift = {"causes": {"silent": 1}, "migrations": [], "floors": {"silence_test": None}, "segment_psi": {}}
        print_drift({**week, **drift, "alerts": alerts, "at_risk": at_risk, "large_psi": 1.0, "later_models": []})
        assert len(harmless(capsys.readouterr().out)) == 9


def test_an_erasure_says_so_in_its_own_words(database, home, quimbi, tmp_path):
    ids = [f"{text}{number}" for number, text in enumerate(HOSTILE)]
    rows = {"customer_id": ids, "order_date": "2026-01-05T10:00:00Z", "total_price": 5.0}
    orders = pd.DataFrame({"order_id": [f"{text} order" for text in ids], **rows})
    orders.to_parquet(tmp_path / "orders.parquet")
    load_store(database, "hostile-erased", tmp_path / "orders.parquet")
    stored = "SELECT customer_id FROM quimbi.orders WHERE store_id = %s ORDER BY 1"
    ids = [customer for (customer,) in database.execute("hostile-erased", stored, ("hostile-erased",))]
    assert len(ids) == len(HOSTILE)
    for customer in ids[::3]:
        whose = ("--store-id", "hostile-erased", "--customer-id", customer)
        code, out, err = quimbi("export-customer", *whose, "--out", "-")
        assert code == 0, err
        harmless(out + err)
        assert customer in texts_of(json.loads(out))
        code, out, err = quimbi("erase", *whose)
        harmless(out + err)
        assert code == 0, (customer, err)
        (line,) = [line for line in out.splitlines() if line.startswith("receipt: ")]
        receipt = Path(line.removeprefix("receipt: ").split(" (")[0])
        harmless(receipt.read_text())
        assert receipt.parent == home / "erasures"
        assert customer not in receipt.read_text()


def texts_of(document):
    parts = document.values() if isinstance(document, dict) else document if isinstance(document, list) else []
    return {document} if isinstance(document, str) else {text for part in parts for text in texts_of(part)}


class Page(HTMLParser):
    """What a browser takes for elements of a page: tags, and where they lead."""

    def __init__(self, text):
        super().__init__()
        self.leads_to, self.scripts, self.handlers, self.marked = [], 0, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.leads_to += [value for name, value in attrs if name in ("href", "src", "action") and value]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.scripts += tag == "script"

    def handle_decl(self, decl):
        self.marked.append(decl)


def test_a_page_has_no_element_that_a_customer_wrote(customers, database):
    client = TestClient(create_app(database), base_url="http://127.0.0.1")
    plain = next(customer for customer in customers if customer.startswith("|pipe|"))
    scripts = Page(client.get(f"/stores/{STORE}/customers/{quote(plain, safe='')}").text).scripts
    for path in ["", *(f"/customers/{quote(customer, safe='')}" for customer in _one_of_each(customers))]:
        answer = client.get(f"/stores/{STORE}{path}")
        assert answer.status_code == (404 if "%0A" in path else 200), path  # no route has a line's end
        page = Page(answer.text)
        assert not [one for one in page.leads_to if one.startswith(("http:", "https:", "//", "javascript:"))], path
        assert (page.handlers, page.marked) == ([], ["doctype html"]), path
        assert not path or page.scripts == scripts, path


def _one_of_each(customers):
    return [next(c for c in customers if c.startswith(text.strip())) for text in HOSTILE]


def cells(text):
    return [cell for row in csv.reader(io.StringIO(text)) for cell in row]


@pytest.mark.parametrize(
    "command", [("customers", "--csv"), ("refused", "--csv"), ("export", "--format", "csv", "--out")], ids=" ".join
)
def test_no_spreadsheet_computes_a_cell(customers, quimbi, tmp_path, command):
    path = tmp_path / "out.csv"
    code, _, err = quimbi(command[0], "--store-id", STORE, *command[1:], path)
    assert code == 0, err
    texts = cells(path.read_text())
    assert len(texts) > 5
    assert not [cell for cell in texts if cell[:1] in ("=", "+", "@", "＝", "\t", "\r")]
    assert not [cell for cell in texts if cell.startswith("-") and not _is_number(cell)]


def _is_number(text):
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def test_columns_that_a_file_names_are_no_formulas_either(database, quimbi, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "order_id,customer_id,order_date,total_price,=cmd|calc\n1,a,2024-01-01,5,x\n2,b,2024-01-01,-5,x\n3,c,2024-01-02,7,x\n"
    )
    load_store(database, "hostile-heads", path)
    code, _, _ = quimbi("refused", "--store-id", "hostile-heads", "--csv", tmp_path / "refused.csv")
    assert code == 0
    assert not [cell for cell in cells((tmp_path / "refused.csv").read_text()) if cell.startswith("=")]


def test_what_slack_is_sent_is_one_line_a_customer_and_links_only_to_us(customers, channel, monkeypatch):
    url, _, received = channel
    monkeypatch.setenv("SLACK_WEBHOOK_URL", url)
    rows = pd.DataFrame({"customer_id": customers, "alert": "newly_at_risk", "priority": 1.0, "named": True})
    text = notification_text(STORE, pd.Timestamp("2026-11-16").date(), rows, [], "EUR")
    assert Slack().send(slack(text)) == "sent"
    lines = harmless(received[-1]["text"])
    assert len(lines) == 3 + len(customers)
    assert all(line.startswith("  `") and line.count("`") == 2 for line in lines[2:-1])
    assert not [line for line in lines if "<" in line]


def test_a_store_reference_beside_a_model_is_no_formula_and_reads_as_it_was(tmp_path):
    texts = [*HOSTILE, "'=1", "''+2"]
    frame = pd.DataFrame({"kind": "product_price", "key": texts, "value": 1.5})
    text = spreadsheet_csv(frame)
    assert not [cell for cell in cells(text) if cell[:1] in ("=", "+", "-", "@", "＝")]
    (tmp_path / "store_reference.csv").write_text(text, newline="")
    assert reference_of_csv(tmp_path / "store_reference.csv")["key"].tolist() == texts
