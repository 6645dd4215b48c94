"""Pools: a step that waits for a place gets it, also where the place was given back while the step was queueing."""

import pytest

from quimbi_assets.resources.dagster_instance import open_instance, tell_when_waiting


@pytest.fixture
def full_pool(database, request):
    """The event log and a pool of its own, both of whose places are taken."""
    pool = request.node.name
    with open_instance() as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(pool)
        for holder in ("first", "second"):
            assert storage.claim_concurrency_slot(pool, f"{pool}-{holder}", "step").is_claimed
        yield storage, pool
        for holder in ("first", "second", "third", "fourth"):
            storage.free_concurrency_slots_for_run(f"{pool}-{holder}")


def test_a_place_given_back_while_somebody_queues_is_not_lost(full_pool, monkeypatch):
    storage, pool = full_pool
    looks = storage.has_unassigned_slots

    def looks_and_then_a_place_is_given_back(key):
        room = looks(key)
        monkeypatch.setattr(storage, "has_unassigned_slots", looks)
        storage.free_concurrency_slots_for_run(f"{pool}-first")
        return room

    monkeypatch.setattr(storage, "has_unassigned_slots", looks_and_then_a_place_is_given_back)
    found = [storage.claim_concurrency_slot(pool, f"{pool}-third", "step").is_claimed for _ in range(3)]
    assert any(found)


def test_a_full_pool_lets_nobody_in_and_the_first_to_come_goes_first(full_pool):
    storage, pool = full_pool

    def ask(who):
        return storage.claim_concurrency_slot(pool, f"{pool}-{who}", "step").is_claimed

    assert not any(ask(who) for _ in range(3) for who in ("third", "fourth"))
    assert storage.get_concurrency_info(pool).active_run_ids == {f"{pool}-first", f"{pool}-second"}
    storage.free_concurrency_slots_for_run(f"{pool}-second")
    assert not ask("fourth")
    assert ask("third")


def test_who_waits_says_so_once(full_pool):
    storage, pool = full_pool
    said = []
    with open_instance() as instance:
        tell_when_waiting(instance, said.append)
        own = instance.event_log_storage
        for _ in range(3):
            assert not own.claim_concurrency_slot(pool, f"{pool}-third", "step").is_claimed
        assert len(said) == 1
        assert repr(pool) in said[0]
        storage.free_concurrency_slots_for_run(f"{pool}-first")
        assert own.claim_concurrency_slot(pool, f"{pool}-third", "step").is_claimed
    assert len(said) == 1
