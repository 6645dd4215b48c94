"""A local server that speaks the Messages API and plays good, bad, hostile, slow and failing replies."""

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from quimbi_assets.naming.conversation import blanked

USAGE = {"input_tokens": 1000, "output_tokens": 500, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 200}
NOUNS = ["harbour", "meadow", "lantern", "orchard", "pebble", "thistle", "walnut"]


@dataclass
class Reply:
    """What the server sends: a status, and a body or a way of failing (``hang``, ``cut``, ``cut_body``)."""

    body: object = None
    status: int = 200
    headers: dict = field(default_factory=dict)
    failing: str = ""


def message(text, stop_reason="end_turn", content=None):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": text}] if content is None else content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": USAGE,
    }


def error(status, headers=None):
    body = {"type": "error", "error": {"type": "some_error", "message": "<script>alert(1)</script> DROP TABLE x"}}
    return Reply(body, status, headers or {})


class MessagesApi:
    """Replies as ``play`` says: a function of the request's body and how many came before.

    Knows which numbers each text was written for, so that it can match like a careful reader.
    """

    def __init__(self):
        self.requests, self.headers, self.most_at_once, self.play = [], [], 0, good
        self.facts_of_text = {}
        self._lock, self._now = threading.Lock(), 0
        self._over = threading.Event()

    @property
    def naming(self):
        return [request for request in self.requests if not is_matching(request)]

    @property
    def matching(self):
        return [request for request in self.requests if is_matching(request)]

    @contextmanager
    def serving(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                api.handle(self)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # a client that left is part of the play
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            self._over.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def handle(self, handler):
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self._lock:
            self.requests.append(request)
            self.headers.append(dict(handler.headers))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            number = len(self.requests)
        try:
            reply = self.play(self, request, number)
        finally:
            with self._lock:
                self._now -= 1  # before the answer goes out: who has it may ask again at once
        self.send(handler, reply)

    def send(self, handler, reply):
        if reply.failing == "hang":
            self._over.wait(30)
        if reply.failing in ("hang", "cut"):
            handler.close_connection = True
            handler.connection.close()
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(body) * (2 if reply.failing == "cut_body" else 1)))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        if reply.failing == "cut_body":
            handler.close_connection = True


def is_matching(request):
    return "test whether names" in request["system"][0]["text"]


def facts(request):
    return json.loads(request["messages"][0]["content"].split("\n\n")[0])


def names(api, request):
    """True and different names for every segment of a request, with texts of true numbers."""
    found = []
    for segment, noun in zip(facts(request)["segments"], NOUNS, strict=False):
        name = segment.get("name_given", f"{noun}_folk")
        text = f"They are the {noun} folk of this shop, {segment['share_percent']:g} % of its customers."
        api.facts_of_text[facts(request)["axis"], blanked(text)] = segment["numbers"]
        found.append({"segment": segment["segment"], "name": name, "interpretation": text})
    return found


def matches(api, request):
    """The right numbers for every text that was written here, the others in any order."""
    asked = json.loads(request["messages"][0]["content"])
    left = {one["set"]: one["numbers"] for one in asked["sets"]}
    found = {}
    for text in asked["texts"]:
        own = api.facts_of_text.get((asked["axis"], text["description"]))
        letter = next((letter for letter, facts in left.items() if facts == own), None)
        if letter:
            found[text["text"]] = letter
            del left[letter]
    for text in asked["texts"]:
        if text["text"] not in found:
            found[text["text"]] = next(iter(left))
            del left[found[text["text"]]]
    return [{"text": text, "set": letter} for text, letter in found.items()]


def answer(api, request, change=lambda found: found):
    if is_matching(request):
        return Reply(message(json.dumps({"matches": matches(api, request)})))
    return Reply(message(json.dumps({"segments": change(names(api, request))})))


def good(api, request, number):
    return answer(api, request)


def changed(**values):
    """Good but for the first segment's name or interpretation, in every round."""

    def play(api, request, number):
        return answer(api, request, lambda found: [found[0] | values, *found[1:]])

    return play


def first(reply):
    """One reply, then good ones."""

    def play(api, request, number):
        return reply if number == 1 else answer(api, request)

    return play


def always(reply):
    return lambda api, request, number: reply


def slowly(api, request, number):
    time.sleep(0.05)
    return answer(api, request)
