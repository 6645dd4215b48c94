"""A local server that speaks the part of Gorgias's API that is used, as documented, and plays its faults.

Shapes by developers.gorgias.com (*List tickets*, *List messages*, *List events*, *List surveys*, *Retrieve a customer*,
*Rate limits*): lists of at most 100 with an opaque cursor, a bucket of calls that every answer tells of, instants with
and without microseconds and offset.
"""

import base64
import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
CREDENTIALS = "Basic " + base64.b64encode(b"ann@acme.example:key").decode()
CHANNELS = ("email", "chat", "contact_form", "instagram-comment", "our own form ☂")
LISTS = {"tickets", "messages", "events", "satisfaction-surveys"}
MADE = {"custom-fields", "integrations", "widgets"}
FORMATS = ("%Y-%m-%dT%H:%M:%S.%f+00:00", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ")


def written(at, number=0):
    """Write an instant in one of the ways that Gorgias does, and now and then in one that ISO 8601 allows."""
    if at is None:
        return None
    if number % 11 == 3:
        return at.astimezone(timezone(timedelta(hours=5, minutes=45))).isoformat()
    if number % 11 == 7:
        return at.astimezone(timezone(-timedelta(hours=3, minutes=30))).strftime("%Y-%m-%dT%H:%M:%S.%f%z")
    return at.strftime(FORMATS[number % len(FORMATS)])


class GorgiasApi:
    """An account. ``faults``: number of a call → ``429``, ``502``, ``cut``, which breaks off within the body, ``page``,
    which is a web page, ``stuck``, whose next page is itself, ``circle``, whose next page is the list's second,
    ``zip``, which is not packed as it says, ``deep``, nested too deep to be read, or a text that is how full the bucket
    is.

    ``capacity`` calls fit into the bucket, which empties in ``period`` seconds; ``over`` counts calls that came when it
    was full. ``then``: number of a call → what happens to the account after it.
    """

    def __init__(self, capacity=40, period=0.5):
        self.lists = {name: [] for name in LISTS | MADE}
        self.told = []
        self.customers, self.merged, self.shop_ids, self._numbers = {}, {}, {}, {}
        self.capacity, self.period, self.over = capacity, period, 0
        self.faults, self.then, self.calls, self.retry_after = {}, {}, [], "0.1"
        self.refuses_cursors = False
        self._level, self._at, self._lock, self._sorted, self._version = 0.0, time.monotonic(), threading.RLock(), {}, 0

    def fill(self, n, emails, last=None):
        """Make n tickets, an hour apart, the last one at ``last``, written by whoever has these addresses in turn."""
        first = BEGIN if last is None else last - timedelta(hours=n - 1)
        for number in range(n):
            self.write_ticket(first + timedelta(hours=number, microseconds=number), emails[number % len(emails)])

    def write_ticket(self, at, email):
        """Let somebody write at an instant, whatever becomes of it; return the ticket."""
        number = len(self.lists["tickets"]) + 1
        is_closed, answer = number % 4 != 0, at + timedelta(minutes=30 + number % 90)
        customer = None if number % 199 == 0 else self.customer(email)
        ticket = {
            "id": number, "uri": f"/api/tickets/{number}/", "external_id": None, "language": "en",
            "status": "closed" if is_closed else "open",
            "priority": ("normal", "high", "critical", "low")[number % 4],
            "channel": CHANNELS[number % len(CHANNELS)], "via": "email", "from_agent": number % 50 == 7,
            "customer": customer, "subject": f"Where is № {number}, \N{WAVING HAND SIGN}?", "spam": number % 97 == 0,
            "tags": [{"id": 1, "name": "refund, late"}, {"id": 2, "name": "größe"}][: number % 3], "messages_count": 4,
            "created_datetime": written(at, number), "opened_datetime": written(at, number),
            "last_received_message_datetime": written(at, number + 1),
            "last_message_datetime": written(answer if number % 8 else at, number + 2),
            "updated_datetime": written(answer + timedelta(hours=2), number + 3),
            "closed_datetime": written(answer + timedelta(hours=1), number) if is_closed else None,
            "trashed_datetime": written(answer, number) if number % 101 == 0 else None, "snooze_datetime": None,
        }  # fmt: skip
        with self._lock:
            self._version += 1
            self.lists["tickets"].append(ticket)
            self._speak(number, at, False)
            self._speak(number, at + timedelta(minutes=1), True, public=False, channel="internal-note")
            self._speak(number, at + timedelta(minutes=2), True, rule_id=3, via="rule")
            if number % 8:
                self._speak(number, answer, True)
            if number % 10 == 0:
                for _ in range(number % 3 + 1):
                    self.happen("ticket-reopened", number, answer + timedelta(hours=1))
            self.happen("ticket-closed", number, answer + timedelta(hours=1))
            if number % 3 == 0:
                self.ask(number, answer + timedelta(hours=2), number % 5 + 1 if number % 2 else None)
        return ticket

    def customer(self, email):
        """Return the customer of an address, as a ticket has it."""
        if email not in self._numbers:
            number = self._numbers[email] = 1000 + len(self._numbers)
            facts = {"id": number, "email": email, "name": "", "firstname": "", "lastname": ""}
            self.customers[number] = facts
        return self.customers[self._numbers[email]]

    def _speak(self, ticket_id, at, from_agent, **more):
        number = len(self.lists["messages"]) + 1
        message = {"id": number, "ticket_id": ticket_id, "channel": "email", "via": "email", "from_agent": from_agent,
                   "public": True, "sent_datetime": written(at, number), "created_datetime": written(at, number),
                   "rule_id": None, "body_text": "dear shop"} | more  # fmt: skip
        self.lists["messages"].append(message)

    def happen(self, kind, ticket_id, at):
        """Let something happen to a ticket."""
        number = len(self.lists["events"]) + 1
        self.lists["events"].append({"id": number, "type": kind, "object_type": "Ticket", "object_id": ticket_id,
                                     "created_datetime": written(at, number)})  # fmt: skip

    def ask(self, ticket_id, at, score):
        """Ask how a ticket went."""
        number = len(self.lists["satisfaction-surveys"]) + 1
        self.lists["satisfaction-surveys"].append(
            {"id": number, "ticket_id": ticket_id, "score": score, "created_datetime": written(at, number),
             "body_text": None, "scored_datetime": written(at, number) if score else None}
        )  # fmt: skip

    def change(self, ticket_id, at, **facts):
        """Change a ticket."""
        with self._lock:
            self._version += 1
            self.lists["tickets"][ticket_id - 1] |= {**facts, "updated_datetime": written(at, ticket_id)}

    def call(self, trigger, ticket_id):
        """Do what integrations ask for when something has happened to a ticket; return the statuses of the answers."""
        asked = [one["http"] for one in self.lists["integrations"] if one["http"]["triggers"].get(trigger)]
        forms = [json.dumps(one.get("form")).replace("{{ticket.id}}", str(ticket_id)) for one in asked]
        return [
            httpx2.request(one["method"], one["url"], headers=one["headers"], json=json.loads(form)).status_code
            for one, form in zip(asked, forms, strict=True)
            if one["method"] == "POST"
        ]

    @property
    def left_out(self):
        """Ids of tickets that are no customer's question."""
        return {
            str(one["id"])
            for one in self.lists["tickets"]
            if one["spam"] or one["trashed_datetime"] or one["from_agent"]
        }

    def expected(self):
        """Return what is to be stored of each ticket: created, priority, first answer, times reopened, score."""
        first, reopened, scores, left_out = {}, {}, {}, self.left_out
        for message in self.lists["messages"]:
            if message["from_agent"] and message["public"] and message["rule_id"] is None:
                first.setdefault(message["ticket_id"], datetime_of(message["sent_datetime"]))
        for event in self.lists["events"]:
            if event["type"] == "ticket-reopened":
                reopened[event["object_id"]] = reopened.get(event["object_id"], 0) + 1
        for survey in self.lists["satisfaction-surveys"]:
            scores[survey["ticket_id"]] = survey["score"]
        return {
            str(one["id"]): (
                datetime_of(one["created_datetime"]),
                one["priority"].replace("critical", "urgent"),
                first.get(one["id"]), reopened.get(one["id"], 0), scores.get(one["id"]),
            )
            for one in self.lists["tickets"] if str(one["id"]) not in left_out
        }  # fmt: skip

    @contextmanager
    def connected(self, monkeypatch):
        """Serve, with the settings by which it is found."""
        with self.serving() as address:
            settings = {"DOMAIN": "acme", "EMAIL": "ann@acme.example", "API_KEY": "key", "BASE_URL": address}
            for name, value in settings.items():
                monkeypatch.setenv(f"GORGIAS_{name}", value)
            yield self

    @contextmanager
    def serving(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                api.answer(self)

            def do_POST(self):
                api.answer(self)

            def do_PUT(self):
                api.answer(self)

            def do_DELETE(self):
                api.answer(self)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, handler):
        received = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        sent = json.loads(received) if received else None
        with self._lock:
            status, value, headers = self._answer(handler, sent)
            number = len(self.calls)
            text = "" if status == 204 else value if isinstance(value, str) else json.dumps(value)
            if happens := self.then.pop(number, None):
                happens()  # after what is answered was made: rows are changed where they are
        body = text.encode()
        handler.send_response(status)
        headers["X-Gorgias-Account-Api-Call-Limit"] = f"{round(self._level)}/{self.capacity}"
        if "/" in self.faults.get(number, ""):
            headers["X-Gorgias-Account-Api-Call-Limit"] = self.faults[number]
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, text)
        handler.end_headers()
        if self.faults.get(number) == "cut":
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            handler.close_connection = True
            handler.connection.close()
        else:
            handler.wfile.write(body)

    def _answer(self, handler, sent):
        self.calls.append(handler.path if handler.command == "GET" else f"{handler.command} {handler.path}")
        now = time.monotonic()
        self._level = max(0.0, self._level - (now - self._at) * self.capacity / self.period)
        self._at = now
        if handler.headers.get("authorization") != CREDENTIALS:
            return 401, {"error": {"msg": "Unauthorized"}}, {}
        fault = self.faults.get(len(self.calls))
        if fault == "502":
            return 502, {}, {}
        if fault == "page":
            return 200, "<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"}
        if fault == "zip":
            return 200, "no gzip", {"Content-Encoding": "gzip"}
        if fault == "deep":
            return 200, "[" * 200_000 + "]" * 200_000, {}
        if self._level + 1 > self.capacity or fault == "429":
            self.over += fault != "429"
            return 429, {"error": {"msg": "Too many requests"}}, {"Retry-after": self.retry_after}
        self._level += 1
        parts = urlsplit(handler.path)
        name = parts.path.removeprefix("/api/").strip("/")
        if handler.command != "GET":
            return self._change(handler.command, name, sent)
        if name in LISTS | MADE:
            return self._page(name, {key: values[0] for key, values in parse_qs(parts.query).items()})
        if name.startswith("tickets/"):
            return self._ticket(int(name.removeprefix("tickets/")))
        if name.startswith("customers/"):
            return self._customer(int(name.removeprefix("customers/")))
        return 404, {"error": {"msg": f"no such thing: {parts.path}"}}, {}

    def _change(self, method, name, sent):
        """Make, set or take away something, as documented: fields of a customer are a list of ids and values."""
        kind, _, rest = name.partition("/")
        if method == "DELETE" and kind == "customers":  # customers/{id}/custom-fields/{id}
            number, _, field = rest.split("/")
            label = next(one["label"] for one in self.lists["custom-fields"] if one["id"] == int(field))
            if int(number) in self.merged:
                return 301, {}, {"Location": f"/api/customers/{self.merged[int(number)]}"}
            if int(number) not in self.customers:
                return 404, {"error": {"msg": "no such customer"}}, {}
            self.told.append((int(number), {label: None}))
            return 204, {}, {}
        if method == "PUT" and rest.endswith("/custom-fields"):
            number, known = int(rest.split("/")[0]), {one["id"]: one for one in self.lists["custom-fields"]}
            if number in self.merged:
                return 301, {}, {"Location": f"/api/customers/{self.merged[number]}"}
            if number not in self.customers:
                return 404, {"error": {"msg": "no such customer"}}, {}
            if any(set(one) != {"id", "value"} or one["id"] not in known for one in sent):
                return 400, {"error": {"msg": f"no such field: {sent}"}}, {}
            self.told.append((number, {known[one["id"]]["label"]: one["value"] for one in sent}))
            return 200, {"data": sent}, {}
        if kind not in MADE:
            return 404, {"error": {"msg": "no such thing"}}, {}
        self._version += 1
        if method == "POST":
            made = {"id": 100 + self._version, "created_datetime": written(BEGIN), **sent}
            self.lists[kind].append(made)
            return 201, made, {}
        which = next((one for one in self.lists[kind] if one["id"] == int(rest)), None)
        if which is None:
            return 404, {"error": {"msg": "no such thing"}}, {}
        if method == "DELETE":
            self.lists[kind].remove(which)
            return 204, {}, {}
        which |= sent
        return 202, which, {}

    def _ticket(self, number):
        of_ticket = {key: [row for row in self.lists[key] if row["ticket_id"] == number]
                     for key in ("messages", "satisfaction-surveys")}  # fmt: skip
        survey = next((one for one in of_ticket["satisfaction-surveys"]), None)
        more = {"messages": of_ticket["messages"], "satisfaction_survey": survey}
        return 200, {**self.lists["tickets"][number - 1], **more}, {}

    def _customer(self, number):
        if number in self.merged:
            return 301, {}, {"Location": f"/api/customers/{self.merged[number]}"}
        if number not in self.customers:
            return 404, {"error": {"msg": "no such customer"}}, {}
        shop_id = self.shop_ids.get(number)
        shops = {"7": {"customer": {"id": shop_id, "note": "x"}}} if shop_id else {}
        return 200, {**self.customers[number], "channels": [], "integrations": shops}, {}

    def _page(self, name, query):
        limit, start = int(query.get("limit", 30)), 0
        if "cursor" in query:
            if self.refuses_cursors:
                return 400, {"error": {"msg": "Invalid cursor"}}, {}
            start = json.loads(base64.b64decode(query["cursor"]))[2]
        if limit > 100 or set(query) - {"limit", "cursor", "order_by", "types[]", "object_type", "integration_id"}:
            return 400, {"error": {"msg": f"unknown or out of range: {query}"}}, {}
        if name == "satisfaction-surveys" and query.get("order_by", "").startswith("updated"):
            return 400, {"error": {"msg": "order_by"}}, {}
        rows = self._rows(name, query.get("order_by", "created_datetime:desc"), query.get("types[]"))
        following = base64.b64encode(json.dumps(["next", limit, start + limit]).encode()).decode()
        following = following if start + limit < len(rows) else None
        fault = self.faults.get(len(self.calls))
        following = query.get("cursor") if fault == "stuck" else following
        if fault == "circle":
            following = base64.b64encode(json.dumps(["next", limit, limit]).encode()).decode()
        return 200, {"data": rows[start : start + limit], "object": "list", "uri": f"/api/{name}",
                     "meta": {"prev_cursor": None, "next_cursor": following}}, {}  # fmt: skip

    def _rows(self, name, order, kind):
        key = (name, order, kind, self._version, len(self.lists[name]))
        if key not in self._sorted:
            column, _, way = order.partition(":")
            rows = [row for row in self.lists[name] if kind in (None, row.get("type"))]
            number = {id(row): row["id"] if isinstance(row["id"], int) else 0 for row in rows}
            rows.sort(key=lambda row: (datetime_of(row[column]), number[id(row)]), reverse=way == "desc")
            self._sorted[key] = rows
        return self._sorted[key]


def datetime_of(text):
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
