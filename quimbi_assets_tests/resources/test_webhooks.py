"""A real receiver hears who enters and leaves an audience, at least once, signed."""

import base64
import hashlib
import hmac
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pyarrow as pa
import pytest

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.resources import webhooks
from quimbi_assets.resources.audiences import audience_query
from quimbi_assets.resources.postgres.tables.audiences import refresh_audience
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets.resources.webhooks import send_events
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.resources.published import publish


@pytest.fixture
def told(database, channel, monkeypatch):
    """Renews an audience of those worth more than 1, tells its webhook, and returns what became of it."""
    address, statuses, received = channel
    monkeypatch.setenv("QUIMBI_WEBHOOK_SECRET", "secret")
    audience = Audience("big", "value > 1", webhook=address)

    def tell(values, store_id="hooked"):
        publish(database, store_id, len(values), lifetime_value=pa.array(values, pa.float64()))
        query = audience_query(audience, read_vocabulary(database, store_id))
        refresh_audience(database, store_id, audience, query)
        return send_events(database, store_id, audience, pause=0.01)

    return tell, statuses, received


def events(message):
    return [(event["customer_id"], event["event"]) for event in message["data"]["events"]]


def test_entries_and_exits_at_least_once_and_marked(database, told, monkeypatch):
    tell, statuses, received = told
    administer(database, "INSERT INTO quimbi.customer_consent VALUES ('hooked', 'c0002', NULL, true, now())")
    statuses[:] = [500, 429, 200]
    assert tell([5, 0, 9, 3]) == "2 events sent"
    assert len(received) == 3
    assert received[0] == received[1] == received[2]
    first = received[-1]
    assert (first["type"], first["data"]["store_id"], first["data"]["audience"]) == (
        "audience.changed",
        "hooked",
        "big",
    )
    assert events(first) == [("c0000", "enter"), ("c0003", "enter")]
    assert tell([5, 0, 9, 3]) == "nothing new to send"
    # A receiver that does not answer hears it at the next renewal, under the same ids.
    statuses[:] = [500]
    assert tell([0, 7, 9, 3]).startswith("not sent: 127.0.0.1 answered 500")
    missed = received[-1]
    statuses[:] = [200]
    assert tell([0, 7, 9, 3]) == "2 events sent"
    assert received[-1] == missed
    assert sorted(events(missed)) == [("c0000", "exit"), ("c0001", "enter")]
    ids = {event["event_id"] for message in (first, missed) for event in message["data"]["events"]}
    assert len(ids) == 4
    monkeypatch.delenv("QUIMBI_WEBHOOK_SECRET")
    assert tell([1]).startswith("not sent: QUIMBI_WEBHOOK_SECRET")


def test_who_is_suppressed_after_entering_is_heard_to_leave(database, told):
    tell, statuses, received = told
    statuses[:] = [200, 500]
    assert tell([5, 0, 3], "blocked") == "2 events sent"
    assert tell([5, 4, 3], "blocked").startswith("not sent")
    consent = "INSERT INTO quimbi.customer_consent VALUES ('blocked', %s, NULL, true, now())"
    administer(database, consent, ("c0000",))
    administer(database, consent, ("c0001",))  # whose entry was not heard of
    statuses[:] = [200]
    assert tell([5, 4, 3], "blocked") == "1 events sent"
    (event,) = received[-1]["data"]["events"]
    assert event.keys() == {"event_id", "customer_id", "event", "at"}
    assert (event["customer_id"], event["event"]) == ("c0000", "exit")
    assert tell([5, 4, 3], "blocked") == "nothing new to send"


@pytest.mark.parametrize("wish", ["-1", "nan", "1e9", "Fri, 01 Jan 2100 00:00:00 GMT", "soon"])
def test_no_wish_of_a_receiver_raises_or_hangs(told, monkeypatch, wish):
    tell, statuses, _ = told
    monkeypatch.setattr(webhooks, "LONGEST_PAUSE", 0.05)
    statuses[:] = [(429, wish), 200]
    assert tell([5, 6], f"wish-{wish[:3]}").endswith("events sent")


def test_the_signature_is_on_the_wire(database, monkeypatch):
    heard = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    monkeypatch.setenv("QUIMBI_WEBHOOK_SECRET", "secret")
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.handle_request, daemon=True).start()
        audience = Audience("all", "value >= 0", webhook=f"http://127.0.0.1:{server.server_port}/hook")
        publish(database, "signed", 2)
        refresh_audience(database, "signed", audience, audience_query(audience, read_vocabulary(database, "signed")))
        assert send_events(database, "signed", audience) == "1 events sent"
    ((headers, body),) = heard
    number, at = headers["webhook-id"], headers["webhook-timestamp"]
    signed = hmac.new(b"secret", f"{number}.{at}.".encode() + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"
