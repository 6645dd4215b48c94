from datetime import date, timedelta

import pandas as pd

from quimbi_assets.weekly.pictures import migration_heat_map, shares_over_weeks

PNG = b"\x89PNG"


def test_migrations_are_drawn_also_where_there_are_none_to_draw():
    moves = pd.DataFrame(
        {
            "axis_name": ["a", "a", "archetype", "b"],
            "from_segment": ["a_1", "a_2", "x", "b_1"],
            "to_segment": ["a_2", "a_1", "y", "b_2"],
            "cause": ["acted", "silent", "acted", "model"],
        }
    )
    drawn = migration_heat_map(moves, {"a_1": "rare_buyers"})
    assert drawn.startswith(PNG)
    empty = migration_heat_map(moves.iloc[2:], {})
    assert empty.startswith(PNG)
    assert drawn != empty


def test_shares_are_drawn_for_one_week_and_for_many():
    weeks = [date(2025, 6, 2) + timedelta(days=7 * i) for i in range(5)]
    rows = [(week, "a", f"a_{i}", f"segment_{i}", 0.5) for week in weeks for i in (1, 2)]
    shares = pd.DataFrame(rows, columns=["week", "axis_name", "segment_id", "segment_name", "share"])
    for part in (shares, shares.head(2), shares.iloc[1:]):
        assert shares_over_weeks(part).startswith(PNG)
