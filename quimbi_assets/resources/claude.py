"""Claude, through the official SDK: the only code that talks to it.

Belongs here: requests, how many at once, what they cost, and errors in words of our own. Does not: what is asked or
believed (``naming``). Retries and time limits of a request are the SDK's. What the service says in an error is
never repeated: it could be anything.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from dagster import ConfigurableResource
from pydantic import ValidationError

from quimbi_assets.naming.asking import PROMPT_VERSION, A, MalformedError, RefusedError, Turn, UnavailableError, Usage
from quimbi_assets.naming.brief import AxisBrief
from quimbi_assets.naming.conversation import Conversation, ask_names

DEFAULT_MODEL = "claude-sonnet-5-5"
MODEL_VARIABLE = "QUIMBI_NAMING_MODEL"
KEY_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
#: Room for six segments' names and the thinking before them; an answer of names takes about 1,000.
MAX_TOKENS = 16_000
#: Seconds a request may take beyond the limits of its attempts, for the waits between them.
GRACE_SECONDS = 60.0
LATER = "names given before stay; run again later"
REMEDIES = {
    400: f"check that the model of {MODEL_VARIABLE} takes structured output",
    401: "check ANTHROPIC_API_KEY",
    402: "check the account's credit",
    403: "check what ANTHROPIC_API_KEY may do",
    404: f"check {MODEL_VARIABLE} and ANTHROPIC_BASE_URL",
}


class Claude(ConfigurableResource[Any]):
    """Names axes; the key is that of ``ANTHROPIC_API_KEY``, the address the SDK's or ``ANTHROPIC_BASE_URL``."""

    timeout_seconds: float = 90.0
    """Limit of one attempt at a request."""
    max_retries: int = 2
    """The SDK's further attempts after 408, 409, 429, 5xx, and connections that failed."""
    at_once: int = 4
    """Axes asked about at the same time."""

    def model(self, chosen: str | None = None) -> str:
        """Return the model: the one chosen, else that of ``QUIMBI_NAMING_MODEL``, else the default."""
        return chosen or os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL

    def missing(self) -> UnavailableError | None:
        """Return why nothing can be asked, found without importing the SDK; None if it can."""
        if any(os.environ.get(name) for name in KEY_VARIABLES):
            return None
        return UnavailableError("no ANTHROPIC_API_KEY is set", "set it to have Claude name them")

    def name_axes(self, briefs: Mapping[str, AxisBrief], model: str) -> dict[str, Conversation]:
        """Ask a model for the names of axes; never an error, see ``Conversation.failure``.

        The first axis is asked about alone: it leaves the fixed part of the prompt in the service's cache for the
        others, and finds an outage before all run into it. Then no further axis is asked about.
        """
        return asyncio.run(self._name_axes(briefs, model)) if briefs else {}

    async def _name_axes(self, briefs: Mapping[str, AxisBrief], model: str) -> dict[str, Conversation]:
        from anthropic import AsyncAnthropic

        answers: dict[str, Conversation] = {}
        gate = asyncio.Semaphore(self.at_once)

        async def name_one(name: str) -> None:
            async with gate:
                failures = (answer.failure for answer in answers.values())
                outage = next((one for one in failures if isinstance(one, UnavailableError)), None)
                if outage is not None:
                    answers[name] = Conversation(failure=outage)
                    return
                asker = _Asker(client, model, self.timeout_seconds * (self.max_retries + 1) + GRACE_SECONDS)
                seed = briefs[name].digest(model, PROMPT_VERSION)
                answers[name] = await ask_names(asker, briefs[name], seed)
                answers[name].usage = asker.usage

        async with AsyncAnthropic(timeout=self.timeout_seconds, max_retries=self.max_retries) as client:
            first, *others = briefs
            await name_one(first)
            await asyncio.gather(*map(name_one, others))
        return {name: answers[name] for name in briefs}


class _Asker:
    """Puts the requests of one axis, and adds up what they cost."""

    def __init__(self, client: Any, model: str, seconds: float) -> None:
        self.usage = Usage()
        self._client, self._model, self._seconds = client, model, seconds

    async def __call__(self, system: str, turns: list[Turn], answer: type[A]) -> A:
        """Ask; see ``naming.asking.Ask``."""
        import anthropic

        shape = {"type": "json_schema", "schema": anthropic.transform_schema(answer)}
        self.usage += Usage(calls=1)
        try:
            # The SDK obeys any wait the service asks for, an hour even.
            async with asyncio.timeout(self._seconds):
                message = await self._client.messages.create(
                    model=self._model,
                    max_tokens=MAX_TOKENS,
                    system=[{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
                    messages=turns,
                    output_config={"format": shape},
                )
            self.usage += _usage(message.usage)
            if message.stop_reason == "refusal":
                raise RefusedError("Claude declined to answer")
            texts = [part.text for part in message.content if part.type == "text"]
            return answer.model_validate_json(texts[0] if texts else "")
        except RefusedError:
            raise
        except anthropic.APIStatusError as error:
            code = error.status_code
            reason = "is overloaded or failing" if code >= 500 else "asks for patience" if code == 429 else "refuses"
            raise UnavailableError(f"Claude {reason} (HTTP {code})", REMEDIES.get(code, LATER)) from error
        except (anthropic.APITimeoutError, TimeoutError) as error:
            raise UnavailableError("Claude did not answer in time", LATER) from error
        except anthropic.APIConnectionError as error:
            raise UnavailableError("Claude cannot be reached", "check the network and ANTHROPIC_BASE_URL") from error
        except ValidationError as error:
            raise MalformedError("the answer is not of the shape that was asked for") from error
        except Exception as error:  # an answer of no known shape must not end a run
            raise MalformedError(f"the answer cannot be read ({type(error).__name__})") from error


def _usage(counts: Any) -> Usage:
    """Return what a message cost; what the service says in no number is not counted."""
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    tokens = (getattr(counts, name, None) for name in names)
    return Usage(0, *(max(0, n) if isinstance(n, int) else 0 for n in tokens))
