"""Tells an audience's webhook who entered and left, at least once each, signed.

Belongs here: sending, trying again, the signature: that of Standard Webhooks (standardwebhooks.com, 1.0), which many
libraries verify. Does not: which events there are (``postgres.tables.audiences``). What cannot be sent is reported,
never raised: no run fails because of a receiver, and the next one sends it.
"""

import base64
import binascii
import hashlib
import hmac
import os
import time
from urllib.parse import urlsplit

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.resources.pauses import retry_seconds
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.audiences import assign_members, mark_sent, unsent_events

SECRET_VARIABLE = "QUIMBI_WEBHOOK_SECRET"  # noqa: S105  (where it is, not what it is)
EVENTS_PER_MESSAGE = 500
MOST_TRIES = 3
LONGEST_PAUSE = 30.0
TIMEOUT_SECONDS = 20
PREFIX = "whsec_"


def send_events(database: Database, store_id: str, audience: Audience, pause: float = 1.0) -> str:
    """Send all entries and exits that the audience's webhook has not taken; return what became of it.

    Oldest first, some hundred a message; each is marked as sent when the receiver answered with 2xx, so that one may
    come twice, under the same ``event_id``. It does not hear of the audience's control group.
    """
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not audience.webhook or not secret:
        return "no webhook" if not audience.webhook else f"not sent: {SECRET_VARIABLE} is not set"
    if audience.trial is not None:
        assign_members(database, store_id, {audience.name: audience.trial}, is_out=False)
    n_sent = 0
    while (events := unsent_events(database, store_id, audience.name, EVENTS_PER_MESSAGE)) is not None:
        problem = _delivered(audience.webhook, secret, events.message_id, events.body.encode(), pause)
        if problem:
            host = urlsplit(audience.webhook).hostname
            return f"not sent: {host} {problem}; the next renewal tries again ({n_sent:,} events sent before)"
        mark_sent(database, store_id, audience.name, events)
        n_sent += events.count
    return f"{n_sent:,} events sent" if n_sent else "nothing new to send"


def _delivered(address: str, secret: str, message_id: str, body: bytes, pause: float) -> str:
    """Send a message; return why the receiver did not take it, empty if it did."""
    import httpx2

    problem = ""
    for number in range(MOST_TRIES):
        headers = signed_headers(secret, message_id, int(time.time()), body) | {"content-type": "application/json"}
        wished = None
        try:
            answer = httpx2.post(address, content=body, headers=headers, timeout=TIMEOUT_SECONDS)
            if answer.is_success:
                return ""
            problem, wished = f"answered {answer.status_code}", answer.headers.get("retry-after")
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            problem = f"did not answer ({type(error).__name__})"
        if number + 1 < MOST_TRIES:
            time.sleep(retry_seconds(wished, pause * 4**number, LONGEST_PAUSE))
    return problem


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message; a secret ``whsec_...`` is base64, any other is taken as it is.

    The signature is of ``id.timestamp.body``; a receiver that knows the id has had the message.

    >>> secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    >>> signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)["webhook-signature"]
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = secret.encode()
    if secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            key = secret.encode()
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
