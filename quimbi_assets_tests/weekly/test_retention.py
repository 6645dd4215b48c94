from datetime import date, timedelta

from quimbi_assets.weekly.retention import Retention, weeks_to_drop

WEEKS = [date(2024, 1, 1) + timedelta(days=7 * i) for i in range(104)]


def test_half_a_year_weekly_then_monthly():
    dropped = set(weeks_to_drop(WEEKS, Retention()))
    kept = [week for week in WEEKS if week not in dropped]
    assert kept[-26:] == WEEKS[-26:]
    older = kept[:-26]
    assert len({(week.year, week.month) for week in older}) == len(older) == 18
    assert all(week.day <= 7 for week in older)


def test_thinning_again_changes_nothing_and_the_next_week_thins_one_more_at_most():
    kept = [week for week in WEEKS if week not in weeks_to_drop(WEEKS, Retention())]
    assert weeks_to_drop(kept, Retention()) == []
    assert len(weeks_to_drop([*kept, WEEKS[-1] + timedelta(days=7)], Retention())) <= 1


def test_months_can_end():
    kept = set(WEEKS) - set(weeks_to_drop(WEEKS, Retention(weekly_weeks=4, monthly_months=6)))
    assert min(kept) >= date(2025, 6, 1)
    assert weeks_to_drop([], Retention()) == []
