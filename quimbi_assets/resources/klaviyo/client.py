"""Klaviyo's API: requests within its limits, repeated where that can do no harm.

Belongs here: HTTP, pace, pauses, errors. Does not: shapes (``exports.klaviyo``), what is sent when (``sender``).
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from quimbi_assets.errors import BadInputError, ServiceUnavailableError
from quimbi_assets.exports import klaviyo as shapes
from quimbi_assets.exports.klaviyo import Limits
from quimbi_assets.resources.pauses import Pace, retry_seconds, server_address

KEY_VARIABLE, ADDRESS_VARIABLE = "KLAVIYO_API_KEY", "KLAVIYO_BASE_URL"
TIMEOUT_SECONDS = 60
MOST_TRIES = 6
LONGEST_PAUSE = 60.0
PAGES_LOOKED_AT = 5
Say = Callable[[str], None]


class MayHaveArrivedError(ServiceUnavailableError):
    """No answer to a request that may have been taken."""


class Client:
    """Klaviyo's API at one revision, with a key."""

    def __init__(self, key: str, address: str, limits: Limits, say: Say, pause: float = 1.0) -> None:
        self._pace, self._say, self.pause = Pace(limits.burst, limits.per_second), say, pause
        headers = {
            "Authorization": f"Klaviyo-API-Key {key}",
            "revision": shapes.REVISION,
            "accept": "application/vnd.api+json",
            "content-type": "application/vnd.api+json",
        }
        self._http = httpx2.Client(base_url=address, headers=headers, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def start_import(self, body: bytes) -> str:
        """Send a job; return Klaviyo's number of it. MayHaveArrivedError if it is not known whether it was taken."""
        answer = self._ask("POST", shapes.JOBS, body)
        try:
            return str(answer["data"]["id"])
        except (KeyError, TypeError) as error:
            raise MayHaveArrivedError(f"{self._http.base_url} {NO_ANSWER}") from error

    def job(self, remote_id: str) -> dict[str, Any]:
        """Return a job's attributes: status, counts."""
        try:
            attributes: dict[str, Any] = self._ask("GET", f"{shapes.JOBS}/{remote_id}")["data"]["attributes"]
        except (KeyError, TypeError) as error:
            raise ServiceUnavailableError(f"{self._http.base_url} {NO_ANSWER}; {NEXT}") from error
        return attributes

    def errors(self, remote_id: str) -> Iterator[dict[str, Any]]:
        """Yield the errors of a job, a profile each."""
        for page in self._pages(f"{shapes.JOBS}/{remote_id}/import-errors"):
            yield from page

    def first_profiles(self, remote_id: str) -> list[dict[str, Any]]:
        """Return the first profiles of a job."""
        return next(self._pages(f"{shapes.JOBS}/{remote_id}/profiles"), [])

    def latest_jobs(self) -> Iterator[dict[str, Any]]:
        """Yield Klaviyo's jobs, the latest first."""
        for number, page in enumerate(self._pages(f"{shapes.JOBS}?sort=-created_at")):
            yield from page
            if number + 1 == PAGES_LOOKED_AT:
                return

    def _pages(self, path: str) -> Iterator[list[dict[str, Any]]]:
        following: str | None = path
        while following:
            answer = self._ask("GET", following)
            yield answer.get("data") or []
            following = (answer.get("links") or {}).get("next")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """Ask and return the answer; trying again where that can do no harm."""
        problem = ""
        for number in range(MOST_TRIES):
            self._pace.wait()
            try:
                answer = self._http.request(method, path, content=body)
            except httpx2.TransportError as error:
                problem = type(error).__name__
                if method == "POST" and not isinstance(error, httpx2.ConnectError):
                    raise MayHaveArrivedError(f"Klaviyo did not answer ({problem})") from error
                self._rest(number, None)
                continue
            if answer.status_code < 300:
                return self._parsed(answer, method)
            problem = f"status {answer.status_code}"
            if answer.status_code == 429:
                self._rest(number, answer.headers.get("retry-after"))
            elif answer.status_code >= 500:
                if method == "POST":
                    raise MayHaveArrivedError(f"Klaviyo answered with {problem}")
                self._rest(number, answer.headers.get("retry-after"))
            else:
                raise _refusal(answer)
        raise ServiceUnavailableError(f"Klaviyo could not be asked ({problem}, {MOST_TRIES} times); {NEXT}")

    def _parsed(self, answer: httpx2.Response, method: str) -> dict[str, Any]:
        """Return an answer's object; what is none comes from something between here and Klaviyo, or elsewhere."""
        try:
            parsed = answer.json()
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        problem = f"{self._http.base_url} {NO_ANSWER}"
        if method == "POST":
            raise MayHaveArrivedError(problem)
        raise ServiceUnavailableError(f"{problem}; {NEXT}")

    def _rest(self, number: int, wished: str | None) -> None:
        """Pause after a fault: as long as Klaviyo wishes, else twice as long each time."""
        seconds = retry_seconds(wished, self.pause * 2**number, LONGEST_PAUSE)
        if seconds >= 5:
            self._say(f"waiting {seconds:.0f} s before Klaviyo is asked again")
        time.sleep(seconds)


NO_ANSWER = f"does not answer as Klaviyo does (a web page, a proxy?); look at {ADDRESS_VARIABLE} and the network"
NEXT = "what was sent is written down: the same command goes on from here"


class RefusedRequestError(BadInputError):
    """Klaviyo refused a request as a whole."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"Klaviyo refused a request: {reason} (status {status}); {NEXT}")
        self.status, self.reason = status, reason


def _refusal(answer: httpx2.Response) -> BadInputError:
    if answer.status_code in (401, 403):
        return BadInputError(
            f"Klaviyo refuses the key of {KEY_VARIABLE} (status {answer.status_code}): it needs the scopes "
            "lists:write, lists:read, profiles:write and profiles:read"
        )
    try:
        first = answer.json()["errors"][0]
        reason = str(first.get("detail") or first.get("title"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        reason = "without a reason"
    return RefusedRequestError(answer.status_code, " ".join(reason.split())[:300])


def open_client(limits: Limits, say: Say, pause: float = 1.0) -> Client:
    """Return a client with the key and address of the environment; BadInputError without a key, or if it is no URL."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise BadInputError(f"{KEY_VARIABLE} is not set: give a private key of Klaviyo's, pk_..., to send")
    address = server_address(ADDRESS_VARIABLE, shapes.ADDRESS)
    return Client(key, address, limits, say, pause)
