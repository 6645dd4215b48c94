"""Writes ``filters.md``: the language of ``--where`` and every field it knows, out of ``quimbi_assets.audiences``.

``.venv/bin/python docs/filters.py``; a test compares the page with the declarations.
"""

from pathlib import Path

from quimbi_assets.audiences.fields import MOVING, OF_AXIS, SCALARS
from quimbi_assets.audiences.kinds import SEGMENT_KINDS
from quimbi_assets.axes import AXES

PAGE = Path(__file__).with_name("filters.md")
HEAD = """# Filters

Written by `docs/filters.py` out of `quimbi_assets/audiences`; a test compares them.

One language says *which customers*: `quimbi customers --where`, exports, audiences.

```
lifecycle = 'at risk' and value > 500 and risk between 0.4 and 0.8
purchase_value in ('heavy_spenders') and not price_sensitivity.discount_rate > 0.3
purchase_value.heavy_spenders > 0.6 or entered(purchase_value, 'heavy_spenders', 4)
last_order_at < '2026-02-01' and value_tier in ('top', 'high') and entered(lifecycle, 'slowing', 4)
```

- `=`, `<>` (or `!=`), `<`, `<=`, `>`, `>=`, `between a and b`, `in (...)`, `is null`, joined by `and`, `or`, `not` and
  brackets.
- Names of segments and other words stand in single quotes, as they are now or as ids: names may change, ids last.
  Capitals, and a space for `_`, make no difference. A quote within is doubled: `'it''s'`. Numbers
  stand without; shares are 0 to 1.
- A date is `'2026-01-31'`, the whole day by the store's clock, or an instant, `'2026-01-31T12:00'`.
- `axis` is the segment a customer is in; `axis.segment` the membership in one, 0 to 1; `axis.feature` what was measured
  ([axes.md](axes.md)); `axis.strength`, `axis.stays` and `axis.evidence` say how likely they stay, and how much is
  known.
- `axis.kind = 'name'` chooses by what a segment is, not by what it is called: a kind means the same in every store.
  `axis.kind.name` is the membership in all segments of that kind together, 0 to 1, and `entered(axis.kind, 'name', N)`
  speaks of moves into any of them.
- `entered(axis, 'segment', N)` and `left(axis, 'segment', N)`: they moved into it, or out of it, within N weeks before
  the profiles' instant, by what they did or by their silence. What a refit or a mended past moved is no move here.
  Moves are recorded by `quimbi snapshot`, so from the first two weeks on.
- What is unknown makes no comparison true, nor its opposite: `not (risk > 0.5)` leaves out whose risk is not known.
  Ask for them with `risk is null`.

Everything is checked before any customer is looked at: an unknown field, a segment that the axis has not, a word where
a number belongs. The message names the nearest name and marks the place. Values reach the database as parameters; of
SQL's grammar only the above is let through.
"""


def page() -> str:
    """Return the page."""
    rows = ["## Fields\n", "| field | kind | meaning |", "|---|---|---|"]
    for one in SCALARS.values():
        words = f": {', '.join(f'`{word}`' for word in one.words)}" if one.words else ""
        rows.append(f"| `{one.name}` | {one.kind} | {one.meaning}{words} |")
    rows.append(
        "| *axis* | group | The segment on that axis, by name or id: " + ", ".join(f"`{a}`" for a in AXES) + " |"
    )
    rows.append("| *axis*.*segment* | number | Membership in it, 0 to 1 |")
    rows += [f"| *axis*.`{name}` | {kind} | {meaning} |" for name, (kind, _, meaning) in OF_AXIS.items()]
    rows.append("| *axis*.`kind` | group | Of which kind the segment is |")
    rows.append("| *axis*.`kind`.*kind* | number | Membership in all segments of that kind together, 0 to 1 |")
    moving = ", ".join(f"`{name}`" for name in MOVING)
    rows.append(f"\n`entered` and `left` know every axis, and {moving}.\n\n## Kinds\n")
    rows.append(
        "A segment is of a kind by the means of its customers, beside those of all customers; of a weak axis none is.\n"
    )
    rows += ["| axis | kind | customers who |", "|---|---|---|"]
    rows += [f"| `{one.axis}` | `{one.name}` | {one.meaning} |" for one in SEGMENT_KINDS]
    rows.append("\n## Features\n")
    for axis in AXES.values():
        features = ", ".join(f"`{feature.name}` ({feature.unit})" for feature in axis.features)
        rows.append(f"- **{axis.name}**: {features}")
    return f"{HEAD}\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
