"""The tools as agents' hosts call them: by the SDK's client, over HTTP and as a process of its own."""

import importlib.util
import json
import logging
import os
import re
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from quimbi_assets.api import mcp_server
from quimbi_assets.api.mcp_server import CHARACTERS, MOST, MOST_TOKENS, MOST_WEEKS, create_server
from quimbi_assets.resources.postgres.access import ServedDatabase
from quimbi_assets.resources.postgres.tables.similar import SimilarCustomers
from quimbi_assets_tests.administrator import administer

pytestmark = pytest.mark.xdist_group("graph")
ONE = "c0000450"
"""A customer of north; south has fewer."""
ARGUMENTS = {
    "list_segments": {},
    "get_customer_profile": {"customer_id": ONE, "details": True},
    "find_customers": {"limit": MOST},
    "similar_customers": {"customer_id": ONE, "limit": MOST},
    "route_ticket": {"customer_id": ONE},
    "explain_customer": {"customer_id": ONE},
    "segment_trends": {"weeks": MOST_WEEKS},
    "trial_results": {},
    "at_risk_customers": {"limit": MOST},
}
"""What every tool is called with: the longest answer it has."""


@pytest.fixture(scope="module")
def address(two_stores, address):
    """Where a server answers agents with both stores."""
    return f"{address}/mcp"


@pytest.fixture(scope="module")
def north(two_stores, database):
    """Runs an async function with a client of north's tools, without a transport."""
    served = ServedDatabase.of(database)
    server = create_server(served, SimilarCustomers(database), "north")

    def run(conversation):
        async def main():
            async with Client(server) as client:
                return await conversation(client)

        return anyio.run(main)

    yield run
    served.close()


@asynccontextmanager
async def over_http(address, headers, mode="auto"):
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        yield client


async def answer(client, tool, **arguments):
    """Return a tool's answer, which must be the same as text and as structure but for nulls and decimals."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    text = json.loads(result.content[0].text)
    assert set(text) <= set(result.structured_content)
    return result.structured_content


async def refusal(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content is None
    return result.content[0].text


async def converse(client):
    """Use what there is as an agent would; return the names of the tools."""
    tools = (await client.list_tools()).tools
    for one in tools:
        hints = one.annotations
        assert (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint) == (
            True, False, True, False,
        )  # fmt: skip
        assert one.input_schema["additionalProperties"] is False
        assert one.output_schema["type"] == "object"
        assert len(one.description) > 80
    assert "weak" in client.instructions
    segments = await answer(client, "list_segments", axis="purchase_value")
    (axis,) = segments["items"]
    name = axis["segments"][0]["segment_name"]
    members = await answer(client, "find_customers", where=f"purchase_value = '{name}'", limit=5)
    assert members["customers"] == axis["segments"][0]["customer_count"]
    first = members["items"][0]["customer_id"]
    profile = await answer(client, "get_customer_profile", customer_id=first)
    assert profile["segments"]["purchase_value"]["name"] == name
    alike = await answer(client, "similar_customers", customer_id=first, limit=3)
    assert len(alike["items"]) == 3
    likeness = [one["likeness"] for one in alike["items"]]
    assert likeness == sorted(likeness, reverse=True)
    explained = await answer(client, "explain_customer", customer_id=first)
    assert {one["axis"]: one["segment"]["id"] for one in explained["axes"]} == {
        axis: segment["id"] for axis, segment in profile["segments"].items()
    }
    trends = await answer(client, "segment_trends", axis="purchase_value")
    assert {one["name"]: one["customers"] for one in trends["items"][0]["groups"]}[name] == members["customers"]
    assert all(one["lifecycle"] for one in (await answer(client, "at_risk_customers"))["items"])
    documents = {str(one.uri) for one in (await client.list_resources()).resources}
    assert documents == {"quimbi://glossary", "quimbi://filters"}
    glossary = (await client.read_resource("quimbi://glossary")).contents[0].text
    assert glossary == (Path(__file__).parents[2] / "docs" / "glossary.md").read_text()
    return [one.name for one in tools]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_conversation_over_http(address, headers, mode):
    async def main():
        async with over_http(address, headers["good"], mode) as client:
            return await converse(client)

    assert anyio.run(main) == list(ARGUMENTS)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_conversation_with_the_command(two_stores, home, mode):
    command = ["-m", "quimbi_assets.cli", "mcp", "--store-id", "north"]

    async def main():
        process = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(stdio_client(process), mode=mode, read_timeout_seconds=60) as client:
            return await converse(client)

    assert anyio.run(main) == list(ARGUMENTS)


@pytest.mark.parametrize("kind", ["none", "wrong", "expired", "revoked", "scope"])
def test_no_other_token_opens_any_tool(address, headers, kind):
    async def tools():
        async with over_http(address, headers["good"]) as client:
            return [one.name for one in (await client.list_tools()).tools]

    for name in anyio.run(tools):
        call = {"name": name, "arguments": ARGUMENTS[name]}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        sent = {"Accept": "application/json, text/event-stream", **headers[kind]}
        response = httpx2.post(address, json=asked, headers=sent)
        assert response.status_code == (403 if kind == "scope" else 401)
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert "token" in response.json()["error"]["message"]  # which the SDK's client passes on


def test_another_store_s_token_gets_that_store_alone(address, headers, database):
    """The store is the token's: there is no argument by which to ask for another."""

    async def main():
        async with over_http(address, headers["other store's"]) as client:
            for tool in (await client.list_tools()).tools:
                assert "store_id" not in tool.input_schema["properties"]
                arguments = ARGUMENTS[tool.name]
                if tool.name == "route_ticket":  # whoever is unknown has a queue, too
                    routed = await answer(client, tool.name, **arguments)
                    assert (routed["fired"], routed["nearly"]) == ([], [])
                    assert "south" in str(routed)
                elif "customer_id" in arguments:
                    assert "store south has no profile" in await refusal(client, tool.name, **arguments)
                else:
                    yielded = await answer(client, tool.name, **arguments)
                    assert yielded.get("store_id", "south") == "south"
                    listed = {one["customer_id"] for one in yielded["items"] if "customer_id" in one}
                    assert listed <= theirs

    sql = "SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = 'south'"
    theirs = {customer for (customer,) in administer(database, sql)}
    anyio.run(main)


def test_no_tool_takes_an_argument_that_it_does_not_have(north):
    async def main(client):
        for tool in (await client.list_tools()).tools:
            text = await refusal(client, tool.name, **ARGUMENTS[tool.name], min_rsk=0.9)
            assert f"{tool.name} has no argument min_rsk; it has:" in text

    north(main)


def test_no_answer_is_too_long_to_read_and_none_has_a_word_of_a_customer(north, database):
    sql = "SELECT DISTINCT subject FROM quimbi.support_tickets WHERE store_id = 'north' AND subject IS NOT NULL"
    words = [subject for (subject,) in administer(database, sql)]

    async def main(client):
        for tool in (await client.list_tools()).tools:
            text = (await client.call_tool(tool.name, ARGUMENTS[tool.name])).content[0].text
            assert 0 < len(text) < MOST_TOKENS * CHARACTERS
            assert [word for word in words if word in text] == []
            assert "NaN" not in text
            assert "null" not in text

    assert len(words) > 3
    north(main)


def test_a_ticket_is_routed_by_its_writer_s_address(north):
    async def main(client):
        nobody = await answer(client, "route_ticket", email="nobody@example.com")
        assert (nobody["is_known"], nobody["customer_id"]) == (False, None)
        text = await refusal(client, "route_ticket", customer_id=ONE, email="nobody@example.com")
        assert "give one of customer_id, email and email_sha256" in text
        assert "give customer_id, email or email_sha256" in await refusal(client, "route_ticket")
        assert (await answer(client, "route_ticket", email=None))["queue"] == nobody["queue"]
        assert (await answer(client, "route_ticket", email_sha256="0" * 64))["queue"] == nobody["queue"]

    north(main)


def test_who_hangs_up_while_asking_is_no_failure(address, token):
    logged = []
    handler = logging.Handler()
    handler.emit = logged.append
    transport = logging.getLogger(mcp_server.TRANSPORT)
    transport.addHandler(handler)
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        head = f"POST /mcp HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n"
        kinds = "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\r\n"
        connection.sendall(f"{head}{kinds}{{".encode())
        sleep(0.3)
    sleep(0.5)
    transport.removeHandler(handler)
    assert [record.getMessage() for record in logged] == []


def test_a_longer_answer_says_how_to_ask_for_less(north, monkeypatch):
    monkeypatch.setattr(mcp_server, "MOST_TOKENS", 100)
    text = north(lambda client: refusal(client, "find_customers", limit=MOST))
    assert "over 100 tokens long: ask for one axis, fewer weeks or a lower limit" in text


def test_pages_follow_one_another_to_the_end(north, database):
    async def main(client):
        pages = [await answer(client, "find_customers", limit=MOST, sort="risk")]
        while cursor := pages[-1]["next_cursor"]:
            pages.append(await answer(client, "find_customers", limit=MOST, sort="risk", cursor=cursor))
        return pages

    pages = north(main)
    ids = [one["customer_id"] for page in pages for one in page["items"]]
    assert len(ids) == len(set(ids)) == pages[0]["customers"]
    assert max(len(page["items"]) for page in pages) == MOST


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("find_customers", {"where": "lifecycl = 'at risk'"}, "nearest: lifecycle"),
        ("find_customers", {"where": "lifecycl = 'at risk'"}, "^^^^^^^^"),
        ("find_customers", {"limit": MOST + 1}, "find_customers: limit: input should be less than or equal to 100"),
        ("find_customers", {"cursor": "x"}, "the cursor belongs to another question"),
        ("find_customers", {"audience": "nobody"}, "nobody"),
        ("list_segments", {"axis": "colour"}, "there are: category_exploration"),
        ("get_customer_profile", {"customer_id": "nobody"}, "find_customers lists those there are"),
        ("similar_customers", {"customer_id": "nobody"}, "find_customers lists those there are"),
        ("similar_customers", {}, "similar_customers: customer_id: field required"),
    ],
)
def test_errors_say_what_to_do(north, tool, arguments, words):
    answered = north(lambda client: refusal(client, tool, **arguments))
    assert words in answered
    assert "pydantic" not in answered


def test_a_tool_that_is_none_and_a_failure_that_nobody_expected(north, monkeypatch):
    async def main(client):
        with pytest.raises(MCPError):
            await client.read_resource("quimbi://secrets")
        assert "list_segment" in await refusal(client, "list_segment")
        monkeypatch.setattr(mcp_server.answers, "list_segments", lambda *_: 1 / 0)
        return await refusal(client, "list_segments")

    assert north(main) == "Error executing tool list_segments"


def test_there_is_nothing_to_listen_to_and_no_other_origin_or_name(address, headers):
    """A stream that a host opens to listen would stay open until the server ends."""
    good, body = headers["good"] | {"Accept": "application/json, text/event-stream"}, {"jsonrpc": "2.0"}
    assert httpx2.get(address, headers=good, timeout=5).status_code == 405
    assert httpx2.get(address, timeout=5).status_code == 401
    assert httpx2.post(address, json=body, headers=good | {"Origin": "https://evil.example"}).status_code == 403
    assert httpx2.post(address, json=body, headers=good | {"Host": "evil.example"}).status_code == 400
    assert httpx2.get(f"{address}/secrets", headers=good).json()["status"] == 404


def test_the_page_lists_the_tools_and_the_readme_shows_its_conversation(north):
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location("mcp_conversation", root / "docs" / "mcp_conversation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    async def main(client):
        return (await client.list_tools()).tools

    page = module.PAGE.read_text()
    assert page.startswith(module.HEAD + module.tool_lines(north(main)) + module.TALK)
    (shown,) = re.findall(r"^```text\n(find_customers\(.*?)^```$", (root / "README.md").read_text(), re.M | re.S)
    asked, *answer = shown.splitlines()
    assert f"`{asked}`" in page
    assert "\n".join(answer) in page
