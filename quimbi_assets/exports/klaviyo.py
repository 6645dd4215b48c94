"""What Klaviyo takes: its limits, a request's body, and how to read its answers.

Belongs here: shapes of Klaviyo's API at one revision. Does not: who is sent what
(``resources.postgres.tables.outbox``), requests (``resources.klaviyo``).

References: developers.klaviyo.com, *Bulk Import Profiles*, *Get Bulk Import Profiles Job*, *Get Errors for Bulk Import
Profiles Job*. The import cannot clear a property, so what a customer left is said in a word.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REVISION = "2026-10-15"
ADDRESS = "https://a.klaviyo.com"
JOBS = "/api/profile-bulk-import-jobs"
PREFIX, NOTHING = "quimbi_", "none"
FINAL, CANCELLED = "complete", "cancelled"
_PLACE = re.compile(r"/profiles/data/(\d+)")


@dataclass(frozen=True)
class Limits:
    """Most profiles and bytes of a request, and requests a second: at once, and on and on."""

    profiles: int = 10_000
    bytes: int = 4_800_000
    """5 MB, less the envelope and one profile, which has at most 100 kB."""
    burst: int = 10
    per_second: float = 2.5
    """150 a minute."""


def import_body(payloads: str) -> bytes:
    """Return the body of a request, of profiles as JSON with commas between them."""
    head = '{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":['
    return (head + payloads + "]}}}}").encode()


def refusals(errors: Iterable[Mapping[str, Any]], customers: list[str], emails: Mapping[str, str]) -> dict[str, str]:
    """Return why customers of a request were refused, by id.

    ``customers`` are the request's, in its order; ``emails`` says whose an address is. An error names its profile by
    what was sent, or by its place.
    """
    reasons: dict[str, str] = {}
    known = set(customers)
    for error in errors:
        facts = error.get("attributes") or {}
        sent = facts.get("original_payload") or {}
        sent = sent.get("attributes") or sent
        place = _PLACE.search(str((facts.get("source") or {}).get("pointer") or ""))
        customer = sent.get("external_id") or emails.get(str(sent.get("email") or "").lower())
        if customer not in known and place and int(place[1]) < len(customers):
            customer = customers[int(place[1])]
        if customer in known:
            reason = str(facts.get("detail") or facts.get("title") or facts.get("code") or "no reason given")
            reasons.setdefault(str(customer), " ".join(reason.split())[:500])
    return reasons


def identifiers(profiles: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return by what Klaviyo knows profiles: external ids and e-mails."""
    facts = [profile.get("attributes") or {} for profile in profiles]
    return {str(fact[name]).lower() for fact in facts for name in ("external_id", "email") if fact.get(name)}
