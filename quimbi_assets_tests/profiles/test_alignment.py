"""Which axes are profiled together, and on which of their customers archetypes are chosen."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from quimbi_assets.axis_table import ACTIVE, AxisTable, TableFacts, write_table
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import Instant
from quimbi_assets.profiles.alignment import AlignedAxes, align, refuse_apart
from quimbi_assets.profiles.scores import AxisScores, scores_to_table
from quimbi_assets.sampling import sample_places

CUSTOMERS = pd.Index([f"c{i:03}" for i in range(200)])
AT, LATER = Instant("2025-03-01"), Instant("2025-04-01")


@pytest.fixture
def at_rest(tmp_path):
    def write(name, rows, **facts):
        place = UPath(tmp_path) / f"{name}.parquet"
        write_table(place, [rows], TableFacts(**{"at": AT, **facts}))
        return AxisTable(place)

    return write


@pytest.fixture
def tables(at_rest):
    """Tables of every stage of an axis, measured by a run as of an instant."""

    def of(axis, customers=CUSTOMERS, segmented_by="1", **facts):
        rows = pa.table({"customer_id": customers})
        stages = {"features": None, "models": "1", "memberships": "1", "segments": segmented_by}
        return {
            stage: {axis: at_rest(f"{stage}-{axis}", rows, model_version=version, **facts)}
            for stage, version in stages.items()
        }

    return of


def together(*axes):
    return {stage: {name: table for axis in axes for name, table in axis[stage].items()} for stage in axes[0]}


def test_axes_of_two_runs_go_together_if_instant_and_customers_are_the_same(tables):
    one, two = tables("one", run_id="this"), tables("two", run_id="that")
    aligned = align(together(one, two), "this")
    assert (aligned.at, aligned.axes, aligned.not_weak) == (AT, ["one", "two"], ["one", "two"])


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"at": LATER}, f"other was computed as of {LATER}, one as of {AT}"),
        ({"customers": CUSTOMERS[1:]}, "other was computed for other customers than one"),
        ({"segmented_by": "2"}, "other: its segments are of another model than its memberships"),
    ],
)
def test_no_axis_is_dropped_because_another_is_newer_or_torn(tables, other, why):
    with pytest.raises(BadInputError, match=f"{why}; nothing new is published; compute all axes together: quimbi run"):
        align(together(tables("one", run_id="this"), tables("other", run_id="that", **other)), "this")


def test_features_measured_anew_do_not_go_with_memberships_of_before(tables, at_rest):
    latest = tables("one", run_id="this")
    latest["features"]["one"] = at_rest("anew", pa.table({"customer_id": CUSTOMERS}), at=LATER, run_id="next")
    with pytest.raises(BadInputError, match=f"one was computed as of {LATER}, one as of {AT}"):
        align(latest, "this")


def test_what_cannot_be_aligned_is_refused_before_it_is_computed(tables):
    before = tables("one")["features"] | tables("two", at=LATER, status="inactive", reason="no refunds")["features"]
    refuse_apart(before, AT, len(CUSTOMERS))
    with pytest.raises(BadInputError, match=f"one was computed as of {AT}, this run is as of {LATER}; nothing new"):
        refuse_apart(before, LATER, len(CUSTOMERS))
    with pytest.raises(BadInputError, match="one was computed for 200 customers, this run has 1,201; nothing new"):
        refuse_apart(before, AT, 1_201)


def test_without_an_active_axis_there_is_nothing_to_align(tables):
    assert align(tables("one", status="inactive", reason="no refunds"), "this") is None
    assert align(tables("one", status=ACTIVE), "this") is not None


def test_archetypes_are_chosen_on_the_largest_of_the_models_samples(at_rest):
    distances = np.column_stack([np.linspace(0, 1, 200), np.linspace(1, 0, 200)])
    scores = AxisScores(CUSTOMERS, ["a", "b"], distances[:, ::-1], distances, np.zeros(200, bool))
    table = at_rest("one", scores_to_table(scores), segment_ids=("a", "b"))
    aligned = AlignedAxes(AT, {}, {"one": table, "other": table}, {}, [])
    models = {"one": AxisModel(max_sample=40, random_state=1), "other": AxisModel(max_sample=60, random_state=2)}
    drawn = list(CUSTOMERS[sample_places(CUSTOMERS, 60, 2)])
    assert [list(axis.customers) for axis in aligned.sampled_scores(models.values()).values()] == [drawn] * 2
