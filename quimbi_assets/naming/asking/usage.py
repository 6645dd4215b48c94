"""What asking costs: tokens as the service counts them, and dollars at its list prices.

Belongs here: counting and prices. Does not: asking.
"""

from dataclasses import dataclass

PRICES: dict[str, tuple[float, float, float, float]] = {
    "claude-fable-5-1": (10.0, 50.0, 12.5, 0.25),
    "claude-opus-5-5": (4.0, 20.0, 5.0, 0.2),
    "claude-opus-5": (5.0, 25.0, 6.25, 0.5),
    "claude-sonnet-5-5": (2.0, 10.0, 2.5, 0.1),
    "claude-sonnet-5": (2.0, 10.0, 2.5, 0.2),
    "claude-haiku-5-5": (0.1, 0.5, 0.125, 0.01),
    "claude-haiku-4-5": (1.0, 5.0, 1.25, 0.1),
}
"""Dollars for a million tokens in, out, written to and read from the prompt cache (5 minutes); list prices of October
2026, of prompts up to 100,000 tokens. A model that is not here has tokens and no cost."""


@dataclass(frozen=True)
class Usage:
    """Requests answered or not, and tokens."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(*(a + b for a, b in zip(self.counts().values(), other.counts().values(), strict=True)))

    def counts(self) -> dict[str, int]:
        """Return the figures by name."""
        return dict(vars(self))

    def cost_usd(self, model: str) -> float | None:
        """Return the cost at list prices in dollars; None for a model whose prices are not known.

        Examples
        --------
        >>> Usage(2, 1_000_000, 100_000).cost_usd("claude-sonnet-5-5")
        3.0
        """
        if model not in PRICES:
            return None
        tokens = (self.input_tokens, self.output_tokens, self.cache_write_tokens, self.cache_read_tokens)
        return sum(n * price for n, price in zip(tokens, PRICES[model], strict=True)) / 1e6
