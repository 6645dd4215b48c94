"""A process that is killed while it assigns or sends: nobody is in two arms, nobody of a control group hears of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.lift.assignment import Trial, in_control
from quimbi_assets.resources import actions
from quimbi_assets.resources.audiences import audience_query
from quimbi_assets.resources.postgres.tables.audiences import refresh_audience
from quimbi_assets.resources.postgres.tables.customers import read_vocabulary
from quimbi_assets.resources.webhooks import send_events
from quimbi_assets_tests.administrator import administer, administering
from quimbi_assets_tests.resources.published import publish

N = 200
IDS = [f"k{number:04}" for number in range(N)]
RULES = "rules: {rich: {when: value >= 100, campaign: call, control: 0.3}}"
SENDING = """
import sys
from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.lift.assignment import Trial
from quimbi_assets.resources import webhooks
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
webhooks.EVENTS_PER_MESSAGE = 40
one = Audience("rich", "value >= 0", trial=Trial(control=0.3), webhook=sys.argv[2])
webhooks.send_events(open_database(), sys.argv[1], one)
"""
DECIDING = """
import sys
from quimbi_assets.resources.actions import decide_store
from quimbi_assets.resources.postgres.database import open_database
decide_store(open_database(), sys.argv[1])
"""
BLOCKED = "SELECT count(*) FROM pg_locks WHERE relation = 'quimbi.treatments'::regclass AND NOT granted"


def begin(code, home, *arguments):
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "QUIMBI_HOME": str(home), "QUIMBI_WEBHOOK_SECRET": "secret"}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, stderr=subprocess.PIPE)


def assigned(database, store_id):
    rows = database.execute(store_id, "SELECT customer_id, arm FROM quimbi.treatments WHERE store_id = %s", (store_id,))
    assert len(rows) == len(dict(rows))
    return dict(rows)


@pytest.fixture
def receiver():
    """Takes down what it hears; ``deadly`` requests from now it kills ``victim`` in place of an answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.heard.append(body["data"]["events"])
            server.deadly -= 1
            if server.deadly == 0:
                os.kill(server.victim.pid, signal.SIGKILL)
                server.victim.wait()
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.heard, server.deadly, server.victim = [], 0, None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_killed_while_sending(database, home, receiver, monkeypatch):
    store_id, address = "killed-sending", f"http://127.0.0.1:{receiver.server_port}/hook"
    publish(database, store_id, N, customer_id=pa.array(IDS), lifetime_value=pa.array(np.arange(N, dtype=float)))
    one = Audience("rich", "value >= 0", trial=Trial(control=0.3), webhook=address)
    refresh_audience(database, store_id, one, audience_query(one, read_vocabulary(database, store_id)))
    for deadly in (2, 1):
        receiver.deadly = deadly
        receiver.victim = begin(SENDING, home, store_id, address)
        _, trouble = receiver.victim.communicate(timeout=120)
        assert receiver.victim.returncode == -signal.SIGKILL, trouble.decode()
    monkeypatch.setenv("QUIMBI_WEBHOOK_SECRET", "secret")
    assert send_events(database, store_id, one).endswith("events sent")
    arms = assigned(database, store_id)
    controls = {who for who in IDS if in_control(store_id, "audience/rich", who, 0.3)}
    assert {who for who, arm in arms.items() if arm == "control"} == controls
    heard = [event for events in receiver.heard for event in events]
    assert {event["customer_id"] for event in heard} == set(IDS) - controls
    # What came again, since no answer was heard, has the same id: a receiver that knows it has had it.
    ids = {(event["customer_id"], event["event_id"]) for event in heard}
    assert len(ids) == len(set(IDS) - controls)
    assert max(Counter(event["event_id"] for event in heard).values()) == 3


def test_killed_while_assigning(database, home):
    store_id = "killed-deciding"
    publish(database, store_id, N, customer_id=pa.array(IDS), lifetime_value=pa.array(np.arange(N, dtype=float)))
    (home / "actions.yaml").write_text(RULES)
    try:
        with administering(database) as cursor:
            cursor.execute("LOCK TABLE quimbi.treatments IN SHARE MODE")  # it is decided, and cannot be written down
            with begin(DECIDING, home, store_id) as deciding:
                until = time.monotonic() + 120
                while administer(database, BLOCKED) == [(0,)]:
                    assert time.monotonic() < until, deciding.poll()
                    time.sleep(0.05)
                deciding.kill()
        assert assigned(database, store_id) == {}
        decided = "SELECT customer_id FROM quimbi.customer_actions WHERE store_id = %s"
        assert administer(database, decided, (store_id,)) == []
        for _ in range(2):
            actions.decide_store(database, store_id)
            arms = assigned(database, store_id)
            assert arms == {
                who: "control" if in_control(store_id, "rule/rich", who, 0.3) else "acted" for who in IDS[100:]
            }
            acted = [who for (who,) in administer(database, decided, (store_id,))]
            assert sorted(acted) == [who for who, arm in sorted(arms.items()) if arm == "acted"]
    finally:
        (home / "actions.yaml").unlink()
