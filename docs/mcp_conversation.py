"""Writes ``howto/mcp.md``: how hosts are told of the server, its tools, and a conversation that was held with it.

``.venv/bin/python docs/mcp_conversation.py`` asks ``quimbi mcp`` by the SDK's client, as a host does, about the grocery
store that ``quimbi demo`` has loaded and run. A test compares the list of tools.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import Tool

PAGE = Path(__file__).parent / "howto" / "mcp.md"
STORE = "grocery"
HEAD = """# Let an agent ask (MCP)

Written by `docs/mcp_conversation.py`; the answers are those that the server gave.

`quimbi mcp --store-id S` is an MCP server on standard input and output, for a host on this machine. `quimbi api` and
`quimbi ui` answer the same at `/mcp` (streamable HTTP, stateless) to whoever has a token of the store. There is no
OAuth: a host must be able to send a header. Filters are written [as everywhere](../filters.md).

## Hosts

Claude Code:

```text
claude mcp add quimbi -- quimbi mcp --store-id mine
claude mcp add --transport http quimbi http://127.0.0.1:8000/mcp --header "Authorization: Bearer $TOKEN"
```

Claude Desktop (`claude_desktop_config.json`) and Cursor (`.cursor/mcp.json`) start the command. They know neither your
shell's path nor its folder: give the whole path of `quimbi`, and `QUIMBI_HOME`, the `.quimbi` of the folder that you
work in (or `DATABASE_URL`):

```json
{"mcpServers": {"quimbi": {
  "command": "/path/to/.venv/bin/quimbi",
  "args": ["mcp", "--store-id", "mine"],
  "env": {"QUIMBI_HOME": "/path/to/.quimbi"}}}}
```

Cursor over HTTP:

```json
{"mcpServers": {"quimbi": {
  "url": "http://127.0.0.1:8000/mcp",
  "headers": {"Authorization": "Bearer ${env:QUIMBI_TOKEN}"}}}}
```

VS Code (`.vscode/mcp.json`), either way:

```json
{"servers": {
   "quimbi-here": {
     "type": "stdio",
     "command": "/path/to/.venv/bin/quimbi",
     "args": ["mcp", "--store-id", "mine"],
     "env": {"QUIMBI_HOME": "/path/to/.quimbi"}},
   "quimbi": {
     "type": "http",
     "url": "http://127.0.0.1:8000/mcp",
     "headers": {"Authorization": "Bearer ${input:token}"}}},
 "inputs": [{"id": "token", "type": "promptString", "description": "Token of quimbi", "password": true}]}
```

These entries follow the hosts' documents; what was tried is the SDK's client, in its newest and its older protocol.

## Tools

All of them read, none changes anything, and none takes a store: it is the token's, or the command's. An argument that a
tool does not have is refused. A page has 100 customers at most; `next_cursor` as `cursor` brings those who follow. No
answer is over 25,000 tokens long, or has a word that a customer wrote.

"""
TALK = """
## A conversation

About the grocery store of `quimbi demo` (2,469 real households, one year). The questions are a script, no model was
asked; of the answers, a part is shown.
"""


def tool_lines(tools: Sequence[Tool]) -> str:
    """Return the table of the tools, as the server lists them."""
    lines = ["| tool | arguments | tells |", "|---|---|---|"]
    for tool in tools:
        needed = tool.input_schema.get("required", [])
        arguments = [f"`{name}`" + ("" if name in needed else "?") for name in tool.input_schema["properties"]]
        tells = " ".join((tool.description or "").split())
        lines.append(f"| `{tool.name}` | {', '.join(arguments)} | {tells} |")
    return "\n".join(lines) + "\n"


def part(value: Any, names: Sequence[str]) -> Any:
    """Return of a dict what is called by the names; of a list of them, of each of the first three."""
    if isinstance(value, list):
        return [part(item, names) for item in value[:3]]
    return {name: value[name] for name in names if name in value}


def written(value: Any) -> str:
    """Write a part as JSON, an item of a list a line."""
    if isinstance(value, dict) and any(isinstance(item, list) for item in value.values()):
        return "{" + ",\n ".join(f"{json.dumps(key)}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[\n  " + ",\n  ".join(written(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


class Conversation:
    """Asks, and writes down what was said."""

    def __init__(self, client: Client, head: str) -> None:
        self._client, self.text = client, head

    async def ask(self, words: str, tool: str, show: Callable[[Any], Any], **arguments: Any) -> Any:
        """Call a tool for a question of the person's; write down both, and what is to be shown of the answer."""
        result = await self._client.call_tool(tool, arguments)
        called = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
        content = result.content[0].text  # type: ignore[union-attr]
        answer = None if result.is_error else json.loads(content)
        shown, kind = (content, "text") if result.is_error else (written(show(answer)), "json")
        self.text += f"\n{words}\n\n`{tool}({called})`\n\n```{kind}\n{shown}\n```\n"
        return answer


def people(answer: Any) -> Any:
    """Show of a list of customers how many there are, and some."""
    names = ("customer_id", "lifecycle", "value", "orders", "risk", "likeness", "other_segments")
    return part(answer, ("customers", "value")) | {"items": part(answer["items"], names)}


async def hold(client: Client) -> str:
    """Hold the conversation and return it."""
    talk = Conversation(client, TALK)
    segment = ("segment_name", "customer_count", "share_of_revenue", "interpretation", "action")
    spenders = "**What kinds of spenders do we have?**"
    await talk.ask(spenders, "list_segments", lambda a: part(a["items"][0]["segments"], segment), axis="purchase_value")
    risky = await talk.ask("**Whom should I write to first?**", "at_risk_customers", people, limit=3)
    first = risky["items"][0]["customer_id"]
    facts = ("interpretation", "predicted_value_90d", "predicted_value_90d_low", "predicted_value_90d_high")
    await talk.ask(
        "**What about the first of them?**", "get_customer_profile", lambda a: part(a, facts), customer_id=first
    )
    await talk.ask("**Who is like them?**", "similar_customers", people, customer_id=first, limit=3)
    where = "lifecycle in ('slowing', 'at risk') and value_tier = 'top'"
    wrong = where.replace("value_tier", "value_tear")
    await talk.ask("**Which of the best are slowing down?**", "find_customers", people, where=wrong, limit=3)
    await talk.ask("The error says what to write instead:", "find_customers", people, where=where, limit=3)
    group = ("name", "customers", "customers_4w_ago", "customers_13w_ago", "share_of_revenue")
    before = "**Were more of them slowing down a month ago?**"
    await talk.ask(before, "segment_trends", lambda a: part(a["items"][0]["groups"], group), axis="lifecycle", weeks=1)
    return talk.text


async def main() -> None:
    """Ask, and write the page."""
    arguments = ["-m", "quimbi_assets.cli", "mcp", "--store-id", STORE]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    async with Client(stdio_client(command), read_timeout_seconds=60) as client:
        tools = (await client.list_tools()).tools
        PAGE.write_text(HEAD + tool_lines(tools) + await hold(client))


if __name__ == "__main__":
    anyio.run(main)
