import dagster as dg
import psycopg2
import pytest

from quimbi_assets.defs import retries


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0)


def materialize(fault, times, generating):
    """Materialize an asset that fails so often; return its result and how often it was tried."""
    tries = []

    def fail_or_answer():
        tries.append(1)
        if len(tries) <= times:
            raise fault
        return 7

    if generating:

        @dg.asset
        @retries.retried
        def flaky(context: dg.AssetExecutionContext):
            yield dg.Output(fail_or_answer())
    else:

        @dg.asset
        @retries.retried
        def flaky(context: dg.AssetExecutionContext) -> int:
            return fail_or_answer()

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([flaky], instance=instance, raise_on_error=False)
    return result, len(tries)


@pytest.mark.parametrize("generating", [False, True])
def test_a_fault_that_passes_is_tried_again(quick, generating):
    result, tries = materialize(psycopg2.OperationalError("the server closed the connection"), 2, generating)
    assert (result.success, tries) == (True, 3)


@pytest.mark.parametrize("generating", [False, True])
def test_not_for_ever(quick, generating):
    result, tries = materialize(ConnectionResetError("gone"), 99, generating)
    assert (result.success, tries) == (False, 1 + retries.MOST_RETRIES)


@pytest.mark.parametrize("generating", [False, True])
def test_an_error_of_ours_is_not(quick, generating):
    result, tries = materialize(ValueError("no such column"), 1, generating)
    assert (result.success, tries) == (False, 1)


def test_pauses_grow():
    class Tried:
        def __init__(self, number):
            self.retry_number = number

    pauses = []
    for number in range(3):
        with pytest.raises(dg.RetryRequested) as asked:
            retries._ask_for_another_try(Tried(number), ConnectionError())
        pauses.append(asked.value.seconds_to_wait)
    assert pauses == [2, 8, 32]
