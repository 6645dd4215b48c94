"""A local server that speaks the part of Klaviyo's API that is used, as documented, and plays its faults.

Shapes by developers.klaviyo.com (*Bulk Import Profiles*, *Get Bulk Import Profiles Jobs*, *Get Profiles for Bulk Import
Profiles Job*, *Get Errors for Bulk Import Profiles Job*); limits as there.
"""

import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

JOBS = "/api/profile-bulk-import-jobs"
PAGE = 20
KIND = "application/vnd.api+json"
HEADERS = {"revision": "2026-10-15", "authorization": "Klaviyo-API-Key pk_test", "content-type": KIND}


class KlaviyoApi:
    """Takes jobs; ``faults`` play one after the other, each on one request to import.

    ``429``: too many; ``500``: fails before anything is taken; ``cut``: taken, and no answer; ``hang``: taken, and no
    answer until the test is over; ``drop``: not taken, and no answer; ``cancelled``: taken, cancelled later. ``bad``
    are profiles that the import refuses, ``poison`` those for which a whole request is refused; a ``page`` stands in
    the way of every answer.
    """

    def __init__(self):
        self.jobs, self.faults, self.bad, self.poison = [], [], set(), set()
        self.requests, self.arrived, self.polls, self.lists = [], threading.Event(), 1, True
        self.retry_after, self.page = "0.2", None
        self._over, self._lock = threading.Event(), threading.Lock()

    @property
    def sent(self):
        """Of every profile of a job that was not cancelled, by id or address, the properties it was sent, in order."""
        sent = {}
        for job in self.jobs:
            for profile in [] if job["cancelled"] else job["profiles"]:
                sent.setdefault(name_of(profile), []).append(profile["attributes"]["properties"])
        return sent

    @contextmanager
    def serving(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                api.post(self)

            def do_GET(self):
                api.get(self) if api.page is None else api.write(self, 200, api.page)

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
            self._over.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def post(self, handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        if self.page is not None:
            return self.write(handler, 200, self.page)
        with self._lock:
            self.requests.append(("POST", handler.path, time.monotonic()))
            fault = self.faults.pop(0) if self.faults else None
        if problem := self._problem(handler, body):
            return self._answer(handler, *problem)
        if fault == "429":
            return self._answer(handler, 429, {"errors": [{"detail": "throttled"}]}, {"Retry-After": self.retry_after})
        if fault == "500":
            return self._answer(handler, 500, {"errors": [{"detail": "oops"}]})
        if fault == "drop":
            return self._cut(handler)
        profiles = json.loads(body)["data"]["attributes"]["profiles"]["data"]
        with self._lock:
            now, number = datetime.now(UTC).isoformat(), len(self.jobs) + 1
            job = {"id": f"job-{number}", "profiles": profiles, "polls": 0, "created_at": now}
            job["cancelled"] = fault == "cancelled"
            self.jobs.append(job)
        if fault == "hang":
            self.arrived.set()
            self._over.wait(30)
        if fault in ("cut", "hang"):
            return self._cut(handler)
        return self._answer(handler, 202, {"data": self._resource(job)})

    def _problem(self, handler, body):
        wrong = [name for name, value in HEADERS.items() if handler.headers.get(name) != value]
        if wrong == ["authorization"]:
            return 401, {"errors": [{"detail": "Missing or invalid private key."}]}
        profiles = json.loads(body)["data"]["attributes"]["profiles"]["data"]
        sizes = [len(json.dumps(profile)) for profile in profiles]
        named = [name_of(profile) for profile in profiles]
        if (
            wrong
            or len(profiles) > 10_000
            or len(body) > 5_000_000
            or max(sizes) > 100_000
            or len(set(named)) < len(named)
        ):
            return 400, {"errors": [{"detail": f"out of limits or wrong: {wrong}"}]}
        if self.poison & set(named):
            return 400, {"errors": [{"detail": "Invalid email address"}]}
        return None

    def get(self, handler):
        with self._lock:
            self.requests.append(("GET", handler.path, time.monotonic()))
        parts = urlsplit(handler.path)
        if parts.path == JOBS:
            if not self.lists:
                return self._answer(handler, 404, {"errors": [{"detail": "not here"}]})
            return self._page(handler, [self._resource(job) for job in reversed(self.jobs)])
        number = parts.path.removeprefix(f"{JOBS}/").split("/")[0]
        job = next(job for job in self.jobs if job["id"] == number)
        if parts.path.endswith("/profiles"):
            held = [{"type": "profile", "attributes": p["attributes"]} for p in job["profiles"]]
            return self._page(handler, held)
        if parts.path.endswith("/import-errors"):
            return self._page(handler, [error_of(p) for p in job["profiles"] if name_of(p) in self.bad])
        job["polls"] += 1
        return self._answer(handler, 200, {"data": self._resource(job)})

    def _resource(self, job):
        status = "processing" if job["polls"] <= self.polls else "cancelled" if job["cancelled"] else "complete"
        failed = sum(name_of(profile) in self.bad for profile in job["profiles"])
        facts = {"status": status, "created_at": job["created_at"], "total_count": len(job["profiles"]),
                 "completed_count": len(job["profiles"]) - failed, "failed_count": failed}  # fmt: skip
        return {"type": "profile-bulk-import-job", "id": job["id"], "attributes": facts}

    def _page(self, handler, rows):
        parts = urlsplit(handler.path)
        start = int(parse_qs(parts.query).get("page[cursor]", ["0"])[0])
        address = f"http://{handler.headers['host']}{parts.path}"
        more = f"{address}?page[cursor]={start + PAGE}" if start + PAGE < len(rows) else None
        self._answer(handler, 200, {"data": rows[start : start + PAGE], "links": {"next": more}})

    def _answer(self, handler, status, value, headers=None):
        self.write(handler, status, json.dumps(value).encode(), headers)

    @staticmethod
    def write(handler, status, body, headers=None):
        handler.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, text)
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def _cut(handler):
        handler.close_connection = True
        handler.connection.close()


def name_of(profile):
    facts = profile["attributes"]
    return facts.get("external_id") or facts["email"]


def error_of(profile):
    facts = {"code": "invalid", "title": "Invalid input.", "detail": "Invalid email address", "source": {"pointer": ""}}
    return {"type": "import-error", "id": "x", "attributes": {**facts, "original_payload": profile["attributes"]}}
