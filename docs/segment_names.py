"""Renews the table of rule-made names in ``segment-names.md`` from the demo's two stores.

``make demo && .venv/bin/python docs/segment_names.py``. Names are made anew from the models that serve, by rule alone;
names that the home has, or anybody set, do not count.
"""

import sys
import warnings
from pathlib import Path

import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.commands.demo import REAL, SIMULATED
from quimbi_assets.defs.partitions import ORDERS_KEY, axis_key
from quimbi_assets.naming.describe import describe_segments
from quimbi_assets.naming.naming import name_segments
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager, frame_io_manager

PAGE = Path(__file__).with_name("segment-names.md")
BEGIN, END = "<!-- names: begin -->", "<!-- names: end -->"


def store_tables(frames: FrameIOManager, store_id: str) -> str:
    """Return a store's axes as Markdown: a table each of name, share and the numbers beside it."""
    orders = frames.read(ORDERS_KEY, store_id)
    currency = "" if orders is None else orders.attrs.get("currency") or ""
    parts = [f"### {store_id}\n"]
    for name, champion in MlflowTracking().champions(store_id, list(AXES)).items():
        table = frames.read(axis_key("features", name), store_id)
        description = describe_segments(AXES[name], champion.model, table)
        named = name_segments(AXES[name], description, currency)
        rows = pd.concat([named, description["population_percentage"]], axis=1)
        parts.append(f"**{name}**: {AXES[name].question}\n\n| name | share | numbers |\n|---|---:|---|")
        parts += [
            f"| `{row.segment_name}` | {row.population_percentage:.1f} % | {row.interpretation} |"
            for row in rows.sort_values("population_percentage", ascending=False).itertuples()
        ]
        parts.append("")
    return "\n".join(parts)


def main() -> int:
    """Write the tables between the page's marks."""
    warnings.filterwarnings("ignore")
    frames = frame_io_manager()
    if frames.read(ORDERS_KEY, REAL) is None or frames.read(ORDERS_KEY, SIMULATED) is None:
        print("the demo's stores are not in this home: make demo", file=sys.stderr)
        return 2
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(store_tables(frames, store_id) for store_id in (REAL, SIMULATED))
    PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}")
    print(f"{PAGE}: {tables.count('| `')} names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
