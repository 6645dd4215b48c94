"""Killed before any of its effects, a run leaves a whole state behind, and the next one publishes what is missing."""

import copy
import json
from contextlib import contextmanager

import pandas as pd
import pytest

from quimbi_assets.axis_table import ACTIVE, INACTIVE, WEAK
from quimbi_assets.commands.showing import churn_of, value_of
from quimbi_assets.instants import Instant
from quimbi_assets.resources.mlflow.records import input_example, version_facts
from quimbi_assets.resources.mlflow.registry import CHURN, PASSED, VALUE, registered_name
from quimbi_assets.resources.mlflow.runs import Run, Tracking
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database
from quimbi_assets.resources.postgres.tables.promotions import (
    FitRecord,
    choose_versions,
    read_fit,
    read_promotions,
    write_fit,
)
from quimbi_assets.resources.postgres.tables.publications import read_lineages, read_publication, read_segments
from quimbi_assets.resources.publishing import (
    follow,
    forecast_model,
    models_before,
    models_chosen,
    no_forecast_model,
    publish,
)
from quimbi_assets_tests.administrator import administering
from quimbi_assets_tests.resources.made_up import axis_state, profiles, publication, segments
from quimbi_assets_tests.resources.toy_axis import AS_OF, toy_features, toy_model

AXIS = "value"
WRITES = ("create_", "set_", "delete_", "finalize_", "log_")
"""What the names of MLflow's methods begin with that change something."""


class KilledError(BaseException):
    """Stands for the end of the process."""


class Effects:
    """Counts what a run does outside, and kills it before the effect of that number or name."""

    def __init__(self):
        self.fatal, self.count = None, 0

    def before(self, name):
        self.count += 1
        if self.fatal in (self.count, name):
            raise KilledError(name)

    @contextmanager
    def killing(self, fatal):
        self.fatal, self.count = fatal, 0
        try:
            yield
        finally:
            self.fatal = None


class Watched:
    """Does what another object does, and says so before."""

    def __init__(self, inner, effects, is_effect):
        self._inner, self._effects, self._is_effect = inner, effects, is_effect

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not callable(found) or not self._is_effect(name):
            return found

        def watched(*args, **kwargs):
            self._effects.before(name)
            return found(*args, **kwargs)

        return watched


@pytest.fixture
def effects(monkeypatch):
    """Every statement, every commit and every call that changes MLflow is an effect."""
    found = Effects()
    transaction = Database.transaction

    @contextmanager
    def watched(self, whose):
        with transaction(self, whose) as cursor:
            yield Watched(cursor, found, lambda name: name in ("execute", "executemany", "copy_expert"))
            found.before("commit")

    monkeypatch.setattr(Database, "transaction", watched)
    return found


class Shop:
    """A made-up store of one axis: its models, and runs of it."""

    def __init__(self, database, tracking, run, model, store_id):
        self.database, self.tracking, self.run_, self.store_id = database, tracking, run, store_id
        self.model, self.registry, self.fits = model, tracking.registry, 0

    def fit(self, as_of=AS_OF, fate=(PASSED, "it passed")):
        """Register a model whose segments are others than those of the model before."""
        self.fits += 1
        model = copy.deepcopy(self.model)
        model.segment_ids_ = [f"value_{self.fits}_{i}" for i in range(model.k_)]
        return self.registry.register(
            self.run_, self.store_id, AXIS, model, input_example(model), as_of, fate, version_facts(model)
        )

    def refit(self):
        """All of a run: fit, choose, score, publish."""
        models_before(self.database, self.registry, self.store_id, {AXIS: AS_OF})
        fitted = self.fit()
        choose_versions(self.database, self.store_id, {AXIS: fitted.choice()})
        return self.rescore()

    def rescore(self):
        """Publish with the model that was chosen last."""
        (loaded,) = models_chosen(self.database, self.registry, self.store_id, [AXIS]).values()
        ids, versions = loaded.model.segment_ids_, {AXIS: loaded.version}
        rows = segments(self.store_id, AXIS, loaded.version, [f"name_of_{i}" for i in ids]).assign(segment_id=ids)
        batch = profiles(5, versions, mark=loaded.version)
        lineage = self.registry.lineages(self.store_id, [AXIS], read_lineages(self.database, self.store_id))
        publish(
            self.database,
            self.registry,
            publication(
                self.store_id,
                versions,
                [batch.slice(0, 2), batch.slice(2)],
                axes={AXIS: axis_state(loaded.version)},
                segments={AXIS: rows},
                lineage=lineage,
            ),
        )
        return loaded.version

    def read(self):
        """What a reader finds: the version of everything, which has to be one."""
        with self.database.snapshot(EVERY_STORE) as now:
            published = read_publication(now, self.store_id)
            axes, current = read_segments(now, self.store_id)
            found = now.query(
                EVERY_STORE,
                "SELECT model_versions, interpretation FROM quimbi.customer_profiles WHERE store_id = %s",
                (self.store_id,),
            )
        versions = published.model_versions
        models = {axis: one.model for axis, one in self.registry.load_versions(self.store_id, versions).items()}
        version = versions[AXIS]
        assert set(axes["model_version"]) | set(current["model_version"]) == {version}
        assert set(current["segment_id"]) == set(models[AXIS].segment_ids_)
        assert [row[AXIS] for row in found["model_versions"]] == [version] * 5
        assert found["interpretation"].str.startswith(f"{version}: ").all()
        assert (AXIS, version) in read_lineages(self.database, self.store_id)
        assert read_promotions(self.database, self.store_id).serving() == {AXIS: version}
        return version

    def tags(self):
        """The tag ``promotion`` of every version."""
        name = registered_name(self.store_id, AXIS)
        return {
            str(v.version): v.tags["promotion"] for v in self.tracking.client.search_model_versions(f"name = '{name}'")
        }

    def aliases(self):
        found = self.tracking.client.get_registered_model(registered_name(self.store_id, AXIS)).aliases
        return {alias: str(version) for alias, version in found.items()}

    def assert_in_line(self, version):
        """Tables, lineage of all versions, tags of all that ever served, and aliases say the same."""
        assert self.read() == version
        served = {row.version for row in read_promotions(self.database, self.store_id).rows if row.is_published}
        tags = self.tags()
        assert {one for one, tag in tags.items() if tag.startswith("promoted: ")} == served
        assert read_lineages(self.database, self.store_id) == {(AXIS, one) for one in tags}
        assert self.aliases() == {"champion": version}


@pytest.fixture(scope="module")
def tracking(database, tmp_path_factory):
    return Tracking(database.mlflow_url, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def model():
    return toy_model(AXIS, toy_features(), max_k=3)


@pytest.fixture
def shop(database, tracking, model, effects, request):
    plain = tracking.client
    with tracking.run(request.node.name, "all fits") as run:
        watched = Tracking(tracking.tracking_uri, tracking.artifact_root)
        watched.client = Watched(plain, effects, lambda name: name.startswith(WRITES))
        yield Shop(database, watched, Run(watched.client, run.run_id, run.experiment_id), model, request.node.name)


def test_killed_before_any_effect_a_whole_state_stays_and_the_next_run_mends_the_rest(shop, effects):
    before, number, names, states = shop.refit(), 0, [], []
    shop.assert_in_line(before)
    while True:
        number += 1
        try:
            with effects.killing(number):
                before = shop.refit()
            break
        except KilledError as killed:
            names.append(str(killed))
        found = shop.read()
        states.append(found != before)
        before = shop.refit()
        shop.assert_in_line(before)
    shop.assert_in_line(before)
    assert states == sorted(states)  # the old state before the commit, the new one after it
    assert {True, False} == set(states)
    assert names.count("copy_expert") == 2
    assert {"create_model_version", "set_model_version_tag", "delete_registered_model_alias"} <= set(names)
    assert len(names) > 30


def test_what_was_chosen_and_never_published_is_published_by_the_next_rescore(shop):
    first = shop.refit()
    choose_versions(shop.database, shop.store_id, {AXIS: shop.fit().choice()})
    assert shop.read() == first
    second = shop.rescore()
    assert second != first
    shop.assert_in_line(second)


def test_killed_after_the_commit_mlflow_follows_without_a_run(shop, effects):
    first = shop.refit()
    with pytest.raises(KilledError), effects.killing("set_model_version_tag"):
        shop.refit()
    second = shop.read()
    assert second != first
    assert shop.aliases() == {"champion": first, "candidate": second}
    follow(shop.database, shop.registry, shop.store_id)
    shop.assert_in_line(second)


def test_a_version_chosen_by_hand_serves_with_the_next_publication(shop):
    first, second = shop.refit(), shop.refit()
    (old,) = shop.registry.load_versions(shop.store_id, {AXIS: first}).values()
    choose_versions(shop.database, shop.store_id, {AXIS: old.choice(by_hand=True)})
    assert shop.read() == second
    assert shop.aliases()["champion"] == second
    assert shop.rescore() == first
    shop.assert_in_line(first)
    assert shop.tags() == {first: "promoted: by hand", second: "promoted: it passed"}
    (before,) = models_before(shop.database, shop.registry, shop.store_id, {AXIS: AS_OF}).values()
    assert before.version == first


def test_models_of_the_past_score_the_past_and_change_nothing_else(shop):
    now = shop.refit()
    past = shop.fit("2009-06-01 00:00:00", (PASSED, "for snapshots of the past"))
    choose_versions(shop.database, shop.store_id, {AXIS: past.choice()}, for_past=True)
    follow(shop.database, shop.registry, shop.store_id)
    assert shop.read() == now
    assert shop.aliases() == {"champion": now}
    assert shop.tags()[past.version] == "promoted: for snapshots of the past"
    found = models_before(shop.database, shop.registry, shop.store_id, {AXIS: pd.Timestamp("2009-07-01")})
    assert {axis: one.version for axis, one in found.items()} == {AXIS: past.version}
    assert models_before(shop.database, shop.registry, shop.store_id, {AXIS: "2009-05-01"}) == {}


def test_why_there_is_no_churn_model(shop):
    said = forecast_model(shop.database, shop.registry, shop.store_id, CHURN, Instant(AS_OF))
    assert said == no_forecast_model(shop.database, shop.store_id, CHURN, Instant(AS_OF))
    assert f"quimbi run --store-id {shop.store_id} fits one" in said


def test_the_reason_is_that_of_the_fit_as_of_the_instant(shop):
    then, later = Instant("2025-02-01"), Instant("2025-03-01")
    for run_id, reason in (("a run", "x"), ("a run", "not known"), ("another", "too young")):  # the last one counts
        write_fit(shop.database, shop.store_id, run_id, CHURN, then, FitRecord(INACTIVE, reason))
    for why in (no_forecast_model, lambda *where: forecast_model(where[0], shop.registry, *where[1:])):
        assert why(shop.database, shop.store_id, CHURN, then) == "too young"
        assert "no churn model was fitted" in why(shop.database, shop.store_id, CHURN, later)
        assert "no model of the value to come was fitted" in why(shop.database, shop.store_id, VALUE, then)
    assert read_fit(shop.database, shop.store_id, CHURN, at=later) is None
    write_fit(shop.database, shop.store_id, "third", CHURN, then, FitRecord(ACTIVE, None, "7", {"auc": 0.9}))
    assert "no churn model was fitted" in no_forecast_model(shop.database, shop.store_id, CHURN, then)


def test_what_is_said_of_the_churn_risk_is_of_the_published_version(shop):
    figures = dict.fromkeys(("auc_of_chosen", "auc_of_silence", "calibration_error"), 0.5) | {"windows_tested": 1}
    versions = {CHURN: "1"}
    with administering(shop.database) as cursor:
        cursor.execute(
            "INSERT INTO quimbi.publications VALUES (%s, 1, 'a run', %s, now(), %s)",
            (shop.store_id, AS_OF, json.dumps(versions)),
        )
    assert churn_of(shop.store_id).startswith("version 1 serves; how it did is known from the next")
    for version, days in (("1", 30), ("2", 60)):  # the second run died before it published
        fit = FitRecord(ACTIVE, None, version, {**figures, "serves": "curves", "horizon_days": days})
        write_fit(shop.database, shop.store_id, f"run {version}", CHURN, Instant(AS_OF), fit)
    assert churn_of(shop.store_id).startswith("no order in 30 days: a model of curves serves")


def test_what_is_said_of_the_value_to_come(shop):
    with administering(shop.database) as cursor:
        cursor.execute(
            "INSERT INTO quimbi.publications VALUES (%s, 1, 'a run', %s, now(), %s)",
            (shop.store_id, AS_OF, json.dumps({VALUE: "1"})),
        )
    figures = {"horizon_days": 90, "error": 0.76, "error_of_spend_before": 0.81, "error_of_average": 0.83}
    figures |= {"total": 0.87, "totals": [1.07, 0.67], "year_reason": None}
    write_fit(shop.database, shop.store_id, "run", VALUE, Instant(AS_OF), FitRecord(ACTIVE, None, "1", figures))
    assert value_of(shop.store_id) == (
        "on the last 2 times 90 days, unseen, spend was missed by 76 % of its mean, against 81 % by spend of as many "
        "days before and 83 % by a customer's average at their rate; foretold in total: 87 % of what came "
        "(67 % to 107 %)"
    )
    weak = FitRecord(WEAK, "it is as it is", "1", figures | {"totals": [0.87]})
    write_fit(shop.database, shop.store_id, "run", VALUE, Instant(AS_OF), weak)
    assert value_of(shop.store_id).startswith("not foretold: it is as it is; on the last 90 days, unseen")
    assert churn_of(shop.store_id).startswith("inactive: no churn model was fitted")
