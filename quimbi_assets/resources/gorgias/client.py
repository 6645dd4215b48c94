"""Gorgias's REST API: requests within the account's limit, repeated where that can do no harm.

Belongs here: HTTP, pace, pauses, errors, which account. Does not: shapes (``ingest.gorgias``), what is asked when
(``puller``).

The limit is the account's, shared with all other apps of the shop: a bucket of 40 calls that empties in 20 seconds
(developers.gorgias.com, *Rate limits*); every answer says how full it is.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from quimbi_assets.errors import BadInputError, ServiceUnavailableError
from quimbi_assets.resources.pauses import Pace, retry_seconds, server_address
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.stores import store_ids

DOMAIN, EMAIL, KEY, ADDRESS = "GORGIAS_DOMAIN", "GORGIAS_EMAIL", "GORGIAS_API_KEY", "GORGIAS_BASE_URL"
LIMIT_HEADER = "X-Gorgias-Account-Api-Call-Limit"
CALLS, PERIOD = 40, 20.0
"""Of the bucket, until an answer says otherwise, and the seconds in which it empties."""
SHARE = 0.75
"""Of the bucket that is used here: the rest is left to the shop's other apps."""
BURST = 5
MOST_TRIES = 8
MOST_PAGES = 3
"""Tries after which what is no JSON is an answer: a proxy's page may pass, a wrong address does not."""
LONG_PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds from which a pause is told of, and the most that one lasts."""
TIMEOUT_SECONDS = 60
PAGE = 100
MERGED, GONE = (301, 302, 307, 308), (404, 410)
"""Statuses by which a customer is another one now, or nobody."""
Say = Callable[[str], None]
LOOK = "look whether it was made, or say the same again: what is there is not made twice"
NEXT = "what was read is stored: the same command goes on from here"


@dataclass(frozen=True)
class Account:
    """A shop's account with Gorgias, and how to get in."""

    domain: str
    email: str
    key: str
    address: str
    suffix: str = ""
    """What the names of its variables end with."""

    @property
    def name(self) -> str:
        """What it is known by, without a secret."""
        return f"gorgias:{self.domain}"


def account_of(database: Database, store_id: str) -> Account:
    """Return a store's account as the environment says; BadInputError if it does not, or another store's is the same.

    ``GORGIAS_API_KEY_MINE`` and so on are those of the store ``mine``, without a suffix those of every other store.
    """
    suffix = _suffix(store_id)
    suffix = suffix if os.environ.get(DOMAIN + suffix) or os.environ.get(KEY + suffix) else ""
    others = [one for one in store_ids(database) if one != store_id and _suffix(one) == suffix]
    if others:
        raise BadInputError(
            f"{DOMAIN}{suffix} would be that of store {store_id} and of store {others[0]}: load one of the two under "
            f"an id that differs in letters or digits, or unset {DOMAIN}{suffix}, {EMAIL}{suffix} and {KEY}{suffix}"
        )
    values = {name: os.environ.get(name + suffix, "").strip() for name in (DOMAIN, EMAIL, KEY)}
    if missing := [name + suffix for name, value in values.items() if not value]:
        raise BadInputError(
            f"{', '.join(missing)} not set: give the account's domain (acme of acme.gorgias.com), the e-mail and the "
            "key of Settings > REST API"
        )
    domain = values[DOMAIN].removeprefix("https://").strip("/").removesuffix(".gorgias.com")
    if not re.fullmatch(r"[A-Za-z0-9-]+", domain):
        raise BadInputError(f"{DOMAIN}{suffix} is no domain of Gorgias's: of acme.gorgias.com it is acme")
    address = server_address(ADDRESS, f"https://{domain}.gorgias.com")
    return Account(domain, values[EMAIL], values[KEY], address, suffix)


def _suffix(store_id: str) -> str:
    """Return what the names of a store's variables end with."""
    return "_" + re.sub(r"[^A-Z0-9]", "_", store_id.upper())


class RefusedError(BadInputError):
    """Gorgias refuses what one request says, not who asks: others may be taken."""


class StaleCursorError(BadInputError):
    """Gorgias does not know a place in a list any more: the list is to be read from its beginning."""


class Client:
    """An account's API; ``period`` is the seconds in which its bucket empties (tests have a faster one)."""

    def __init__(self, account: Account, say: Say, period: float = PERIOD, pause: float = 1.0) -> None:
        self._pace, self._period = Pace(BURST, SHARE * CALLS / period), period
        self._account, self._say, self._pause, self.n_calls = account, say, pause, 0
        self._http = httpx2.Client(
            base_url=f"{account.address}/api",
            auth=(account.email, account.key),
            headers={"accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def pages(self, path: str, query: Mapping[str, str], cursor: str | None = None) -> Iterator[tuple[list[Any], str]]:
        """Yield a list's pages, each with the cursor of the next one, empty at the end; from `cursor` on if given.

        What is no object on a page of some is not yielded. StaleCursorError if Gorgias refuses the cursor.
        """
        following, places = cursor or "", set[str]()
        while True:
            places.add(following)
            asked = {**query, "limit": str(PAGE)} | ({"cursor": following} if following else {})
            answer = self._ask("GET", path, asked)
            data, meta = answer.get("data"), answer.get("meta") or {}
            rows = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
            is_list = isinstance(data, list) and isinstance(meta, dict) and bool(rows or not data)
            following = str(meta.get("next_cursor") or "") if is_list else ""
            if not is_list or (following and following in places):  # the same pages would follow for ever
                raise self.no_answer()
            yield rows, following
            if not following:
                return

    def ticket(self, ticket_id: str) -> dict[str, Any] | None:
        """Return a ticket with its messages and its survey; None of one that is gone or was merged."""
        answer = self._request("GET", f"/tickets/{quote(ticket_id, safe='')}", None, None)
        if answer.status_code in GONE or _moved_to(answer, "tickets"):
            return None
        if answer.status_code >= 300:
            raise _refusal(answer, self._account)
        return self._parsed(answer)

    def customer(self, helpdesk_id: str) -> dict[str, Any] | None:
        """Return a customer with all keys; of one that was merged into another that one, None of one that is gone."""
        path = f"/customers/{quote(helpdesk_id, safe='')}"
        for _ in range(3):
            answer = self._request("GET", path, None, None)
            if answer.status_code in GONE:
                return None
            path = _moved_to(answer)
            if not path:
                return self._parsed(answer)
        return None

    def put(self, path: str, body: Any) -> bool:
        """Set something; return whether it is there to be set: a customer may be gone, or merged into another."""
        answer = self._request("PUT", path, None, body)
        if answer.status_code in GONE or _moved_to(answer):
            return False
        if answer.status_code >= 400:
            raise _refusal(answer, self._account)
        values = _read(answer)
        if answer.status_code >= 300 or not isinstance(values, dict | list):  # a page to sign in, a proxy's
            raise self.no_answer()
        if "error" in values:
            raise _refusal(answer, self._account)
        return True

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """Make something; return it as it is there. Not repeated where it may have been made."""
        return self._ask("POST", path, None, body)

    def delete(self, path: str) -> None:
        """Take something away, if it is there: a customer may be gone, or merged into another."""
        answer = self._request("DELETE", path, None, None)
        if answer.status_code >= 300 and answer.status_code not in GONE and not _moved_to(answer):
            raise _refusal(answer, self._account)

    def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> dict[str, Any]:
        answer = self._request(method, path, query, body)
        if answer.status_code == 400 and query and "cursor" in query:
            raise StaleCursorError(f"Gorgias does not know the place in {path} any more")
        if answer.status_code >= 300:
            raise _refusal(answer, self._account)
        return self._parsed(answer)

    def _request(self, method: str, path: str, query: Mapping[str, str] | None, body: Any) -> httpx2.Response:
        """Ask and return the answer, whatever it says, but that it is too much or Gorgias is not well."""
        problem = ""
        for number in range(MOST_TRIES):
            self._pace.wait()
            self.n_calls += 1
            try:
                answer = self._http.request(method, path, params=query, json=body)
            except httpx2.RequestError as error:
                problem = type(error).__name__
                if method == "POST" and not isinstance(error, httpx2.ConnectError):
                    raise ServiceUnavailableError(f"Gorgias did not answer ({problem}); {LOOK}") from error
                self._rest(number, None)
                continue
            self._heed(answer.headers.get(LIMIT_HEADER))
            is_page = method == "GET" and answer.status_code < 300 and _read(answer) is None
            if answer.status_code != 429 and answer.status_code < 500 and not (is_page and number + 1 < MOST_PAGES):
                return answer
            problem = f"status {answer.status_code}"
            self._rest(number, answer.headers.get("retry-after"))
        raise ServiceUnavailableError(f"Gorgias could not be asked ({problem}, {MOST_TRIES} times); {NEXT}")

    def _heed(self, limit: str | None) -> None:
        """Take the pace from how large the account's bucket is, and leave it alone while others fill it."""
        numbers = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", limit or "")
        if numbers is None or not int(numbers[2]):
            return
        used, size = int(numbers[1]), int(numbers[2])
        self._pace.per_second = SHARE * size / self._period
        if (beyond := used - SHARE * size) > 0:
            seconds = min(beyond * self._period / size, LONGEST_PAUSE)
            self._say_rest(seconds)
            self._pace.hold(seconds)

    def _parsed(self, answer: httpx2.Response) -> dict[str, Any]:
        parsed = _read(answer)
        if not isinstance(parsed, dict):
            raise self.no_answer()
        return parsed

    def number_of(self, thing: Mapping[str, Any]) -> int:
        """Return the number of what Gorgias lists or has made; ServiceUnavailableError where it has none."""
        number = thing.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            raise self.no_answer()
        return number

    def no_answer(self) -> ServiceUnavailableError:
        """Return the error of an answer that is none of Gorgias's."""
        return ServiceUnavailableError(f"{self._account.address} {NO_ANSWER}")

    def _rest(self, number: int, wished: str | None) -> None:
        """Pause after a fault: as long as Gorgias wishes, else twice as long each time."""
        seconds = retry_seconds(wished, self._pause * 2**number, LONGEST_PAUSE)
        self._say_rest(seconds)
        time.sleep(seconds)

    def _say_rest(self, seconds: float) -> None:
        if seconds >= LONG_PAUSE:
            self._say(f"waiting {seconds:.0f} s before Gorgias is asked again")


NO_ANSWER = f"does not answer as Gorgias does (a web page, a proxy?); look at {ADDRESS} and the network; {NEXT}"


def _read(answer: httpx2.Response) -> Any:
    """Return an answer's JSON, an empty object of an empty one; None where it is no JSON that can be read."""
    try:
        return answer.json() if answer.content else {}
    except (ValueError, RecursionError):
        return None


def _moved_to(answer: httpx2.Response, kind: str = "customers") -> str:
    """Return the path of whom, or what, one was merged into; empty where an answer says nothing of that."""
    location = re.split("[?#]", answer.headers.get("location", ""))[0]
    place = re.search(rf"/{kind}/[^/]+", location) if answer.status_code in MERGED else None
    return place[0] if place else ""


def _refusal(answer: httpx2.Response, account: Account) -> BadInputError:
    if answer.status_code in (401, 403):
        return BadInputError(
            f"Gorgias refuses {EMAIL}{account.suffix} and {KEY}{account.suffix} (status {answer.status_code}): make a "
            f"key in Settings > REST API of {account.domain}.gorgias.com"
        )
    try:
        error = answer.json()["error"]
        reason = str(error.get("msg") or error)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        reason = "without a reason"
    place, is_of_request = answer.request.url.path, answer.status_code < 300 or answer.status_code in (400, 422)
    return (RefusedError if is_of_request else BadInputError)(
        f"Gorgias refused {place}: {' '.join(reason.split())[:300]} (status {answer.status_code})"
    )
