"""Dagster's web server behind its guard: request by request, and a page of another site in a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from quimbi_assets.commands.dagster_server import HOSTS, names, refuse
from quimbi_assets.definitions import defs
from quimbi_assets.defs.schedules import JOBS
from quimbi_assets.resources.dagster_instance import dagster_home, open_instance

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
OWN = "127.0.0.1:3000"
LAUNCH = """mutation { launchRun(executionParams: {
    selector: {repositoryLocationName: "quimbi_assets.definitions", repositoryName: "__repository__", jobName: "store"},
    runConfigData: "{}", executionMetadata: {tags: [{key: "quimbi/by", value: "page"}]}
}) { __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }"""
ATTACK = """<!doctype html><title>evil</title><img id="picture"><form id="form" method="post" enctype="text/plain"
    target="inside"><input name='{"query": ' value=""></form><iframe name="inside"></iframe><script>
const [server, launch] = [SERVER, LAUNCH], tried = {};
const asked = encodeURIComponent(launch), body = JSON.stringify({query: launch});
const note = (name, what) => { tried[name] = what };
const done = async () => {
    document.getElementById("picture").src = `http://${server}/graphql?query=${asked}`;
    const send = (name, address, options) => fetch(address, {method: "POST", mode: "no-cors", ...options})
        .then(() => note(name, "sent"), error => note(name, String(error)));
    await send("plain", `http://${server}/graphql`, {body, headers: {"Content-Type": "text/plain"}});
    await send("graphql", `http://${server}/graphql`, {body: launch, headers: {"Content-Type": "application/graphql"}});
    await send("address", `http://${server}/graphql?query=${asked}`, {});
    document.getElementById("form").action = `http://${server}/graphql?query=${asked}`;
    document.getElementById("form").submit();
    await new Promise(resolve => {
        const socket = new WebSocket(`ws://${server}/graphql`, "graphql-ws");
        socket.onopen = () => { note("socket", "open"); resolve() };
        socket.onerror = () => { note("socket", "refused"); resolve() };
    });
    await new Promise(resolve => setTimeout(resolve, 1500));
    document.title = JSON.stringify(tried);
};
done();
</script>"""


def asked(method="GET", path="/", query=b"", kind="http", **headers):
    headers = {"host": OWN, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
    return {"type": kind, "method": method, "path": path, "query_string": query, "headers": raw}


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        asked("POST", "/graphql"),
        asked("POST", "/graphql", origin=f"http://{OWN}", sec_fetch_site="same-origin"),
        asked(kind="websocket", origin=f"http://{OWN}"),
        asked(sec_fetch_site="cross-site", sec_fetch_dest="document"),
        asked(sec_fetch_site="none"),
        asked(path="/graphql"),
        asked(host="[::1]:3000"),
        asked(host="dagster.shop.example", origin="https://dagster.shop.example"),
    ],
)
def test_what_its_own_pages_links_and_programs_ask_for_is_let_through(request_):
    assert refuse(request_, names("https://dagster.shop.example")) is None


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (asked(host="evil.example:3000"), "by that name"),
        (asked(host=None), "by that name"),
        (asked("POST", "/graphql", origin="http://evil.example"), "another origin"),
        (asked("POST", "/graphql", origin="null"), "another origin"),
        (asked("POST", "/graphql", origin="http://127.0.0.1:8000", sec_fetch_site="same-site"), "another origin"),
        (asked("POST", "/report_asset_materialization/a", sec_fetch_site="cross-site"), "another site"),
        (asked("POST", "/", sec_fetch_site="cross-site", sec_fetch_dest="document"), "another site"),
        (asked(sec_fetch_site="cross-site", sec_fetch_dest="iframe"), "another site"),
        (asked(kind="websocket", origin="http://evil.example"), "another origin"),
        (asked(kind="websocket", host="evil.example", origin="http://evil.example"), "by that name"),
        (asked("GET", "/graphql", b"query=mutation"), "by POST"),
        (asked("GET", "/graphql/", b"query=mutation", sec_fetch_site="same-origin"), "by POST"),
        (asked("HEAD", "/graphql", b"query=mutation"), "by POST"),
    ],
)
def test_what_another_page_sends_is_refused(request_, why):
    assert why in refuse(request_, frozenset(HOSTS))


def test_no_run_says_where_anything_goes():
    for job in JOBS:
        schema = defs.resolve_job_def(job.name).run_config_schema.run_config_schema_type
        resources = schema.fields["resources"].config_type.fields
        settings = {
            (name, setting)
            for name, resource in resources.items()
            for setting in getattr(resource.config_type.fields.get("config", resource).config_type, "fields", {})
        }
        assert settings <= {("claude", "timeout_seconds"), ("claude", "max_retries"), ("claude", "at_once")}


@pytest.fixture(scope="module")
def dagster(database):
    """Dagster's server as ``quimbi ui`` starts it; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "DAGSTER_HOME": str(dagster_home()), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    command = [sys.executable, "-m", "quimbi_assets.commands.dagster_server", "127.0.0.1", str(port)]
    with subprocess.Popen(command, env=environment, cwd=dagster_home(), start_new_session=True) as process:
        address = f"127.0.0.1:{port}"
        _until_it_answers(f"http://{address}/server_info", process)
        yield address
        process.terminate()
        assert process.wait(30) == 0


def _until_it_answers(url, process):
    for _ in range(240):
        assert process.poll() is None
        try:
            return urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture
def attack(dagster):
    """A page of another origin that tries all ways to launch a run; its address."""
    page = ATTACK.replace("SERVER", json.dumps(dagster), 1).replace("LAUNCH", json.dumps(LAUNCH), 1)

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://evil.example:{server.server_port}/"
    server.shutdown()
    server.server_close()


def launched():
    """Runs that a page launched."""
    with open_instance() as instance:
        return [run.run_id for run in instance.get_runs() if run.tags.get("quimbi/by") == "page"]


@pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM: pages are not looked at in a browser")
def test_a_page_of_another_site_launches_nothing_and_its_own_does(dagster, attack):
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--host-resolver-rules=MAP evil.example 127.0.0.1", "--disable-web-security"]
    options += ["--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page()
        page.goto(attack)
        page.wait_for_function("document.title.startsWith('{')", timeout=30_000)
        tried = json.loads(page.title())
        assert tried == {"plain": "sent", "graphql": "sent", "address": "sent", "socket": "refused"}
        rebound = page.goto(f"http://evil.example:{dagster.rpartition(':')[2]}/")
        assert rebound.status == 403
        assert launched() == []
        page.goto(f"http://{dagster}/")
        page.get_by_text("Catalog").first.wait_for(timeout=60_000)
        ask = "async query => (await fetch('/graphql', {method: 'POST', body: JSON.stringify({query}), headers: "
        ask += "{'Content-Type': 'application/json'}})).json()"
        answer = page.evaluate(ask, LAUNCH)
        assert launched() == [answer["data"]["launchRun"]["run"]["id"]]
        browser.close()
