"""Renews the table of rule-made names in ``segment-names.md`` from the demo's two stores.

``make demo && .venv/bin/python docs/segment_names.py``. Names are made anew from the models that serve, by rule alone;
names that the home has, or anybody set, do not count.
"""

import sys
import warnings
from pathlib import Path

import pandas as pd

from quimbi_assets.axes import AXES, feature_frame
from quimbi_assets.commands.demo import REAL, SIMULATED
from quimbi_assets.defs.partitions import axis_key
from quimbi_assets.naming.rule_names import name_segments
from quimbi_assets.naming.segment_statistics import describe_segments
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.parquet_io import ParquetTables, parquet_tables
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.tables.promotions import read_promotions

PAGE = Path(__file__).with_name("segment-names.md")
BEGIN, END = "<!-- names: begin -->", "<!-- names: end -->"


def store_tables(tables: ParquetTables, store_id: str, currency: str) -> str:
    """Return a store's axes as Markdown: a table each of name, share and the numbers beside it."""
    parts = [f"### {store_id}\n"]
    versions = read_promotions(open_database(), store_id).serving()
    axes = {name: versions[name] for name in AXES if name in versions}
    for name, champion in open_tracking().registry.load_versions(store_id, axes).items():
        table = feature_frame(tables.required(axis_key("features", name), store_id).read())
        description = describe_segments(champion.model, table)
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
    tables = parquet_tables()
    histories = {store_id: tables.history(store_id) for store_id in (REAL, SIMULATED)}
    if None in histories.values():
        print("the demo's stores are not in this home: make demo", file=sys.stderr)
        return 2
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page = "\n".join(store_tables(tables, name, history.store.currency or "") for name, history in histories.items())
    PAGE.write_text(f"{before}{BEGIN}\n{page}\n{END}{after}")
    print(f"{PAGE}: {page.count('| `')} names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
