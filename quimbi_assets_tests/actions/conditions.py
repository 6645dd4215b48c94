"""Conditions at random over a few fields, and whether they hold of a made-up customer: in Python alone."""

from quimbi_assets.audiences.fields import Vocabulary
from quimbi_assets.audiences.filters import Part, take_apart

SEGMENTS = {"a_1": "few", "a_2": "many"}
HERE = Vocabulary({"archetype": {"x": "all"}, "a": SEGMENTS})
SIGNS = ("=", "<>", "<", "<=", ">", ">=")
COMPARISONS = (
    *(f"{field} {sign} {n}" for field in ("value", "orders") for sign in SIGNS for n in (1, 2)),
    *(f"{field} is null" for field in ("value", "orders", "lifecycle")),
    "value between 1 and 2", "orders in (1, 3)", "lifecycle = 'new'", "lifecycle in ('new', 'lost')",
    "lifecycle <> 'lost'", "a = 'few'", "a <> 'few'", "a in ('few', 'many')", "risk > 0.5", "risk <= 0.5",
)  # fmt: skip


def random_condition(rng, depth=3):
    """A condition of some comparisons."""
    if depth == 0 or rng.random() < 0.3:
        return str(rng.choice(COMPARISONS))
    if rng.random() < 0.25:
        return f"not ({random_condition(rng, depth - 1)})"
    joined = " and " if rng.random() < 0.6 else " or "
    return "(" + joined.join(random_condition(rng, depth - 1) for _ in range(2)) + ")"


def part_of(text) -> Part:
    """The condition taken apart."""
    return take_apart(text, HERE)[0]


def truths_of(part, customer):
    """What holds of a customer, by field, of each comparison; None where its value is not known."""
    return tuple(_holds(leaf, customer[leaf.one.name]) for leaf in part.leaves)


def _holds(leaf, value):
    if leaf.sign == "null":
        return value is None
    if value is None:
        return None
    if leaf.sign in ("=", "<>"):
        return (value in leaf.against) == (leaf.sign == "=")
    (limit,) = leaf.against
    return {"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[leaf.sign]
