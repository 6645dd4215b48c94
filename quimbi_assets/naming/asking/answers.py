"""The shape of what is asked of Claude and of what it answers, and the ways in which there is no answer.

Belongs here: models, the protocol of asking, errors. Does not: the network (``resources.claude``).
"""

from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

Turn = dict[str, str]
"""``{"role": "user" | "assistant", "content": text}``."""


class NamedSegment(BaseModel):
    """One segment's name and interpretation."""

    model_config = ConfigDict(extra="forbid")

    segment: str
    name: str
    interpretation: str


class AxisNames(BaseModel):
    """Names and interpretations of an axis's segments."""

    model_config = ConfigDict(extra="forbid")

    segments: list[NamedSegment]


class Match(BaseModel):
    """Which set of numbers a text describes."""

    model_config = ConfigDict(extra="forbid")

    text: str
    set: str


class Matching(BaseModel):
    """Every text with its set of numbers."""

    model_config = ConfigDict(extra="forbid")

    matches: list[Match]


A = TypeVar("A", bound=BaseModel)


class Ask(Protocol):
    """Puts one request to Claude."""

    async def __call__(self, system: str, turns: list[Turn], answer: type[A]) -> A:
        """Return the answer.

        Raises
        ------
        NoAnswerError
            If there is none that can be read.
        """
        ...


class NoAnswerError(Exception):
    """There is no answer; the message is of our own words, none of the service's."""


class UnavailableError(NoAnswerError):
    """The service cannot be used now, by this axis or any other; ``remedy`` says what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


class RefusedError(NoAnswerError):
    """Claude declined to answer."""


class MalformedError(NoAnswerError):
    """The answer is not of the shape that was asked for."""
