"""What a database that is no more has left on a machine is nobody's: neither run, read nor told."""

from __future__ import annotations

from deployengine.domain.deployment import RunState
from deployengine.persistence.counters import FENCE
from deployengine.steps.contract import Work
from deployengine.steps.local import LocalRunner
from tests.engine.test_step_runs import granted, output, stored
from tests.steps.conftest import begin, end
from tests.support.fakes import House


def left(house: House, fence: int, script: str) -> None:
    """A ticket of run-1 that an earlier database began and nobody removed."""
    runner = LocalRunner(str(house.workdir("qa-1")), str(house.settings.home / "tickets" / "qa-1"))
    end(begin(runner, Work("run-1", fence, script, earlier=())))


def test_what_another_run_printed_and_set_does_not_become_this_runs(house: House) -> None:
    with house.database.write() as tx:
        tx.counters.draw(FENCE, 20)
    run = granted(house, "echo new >> ran\n")
    left(house, 7, "echo the-old-secret; set_output Name value")
    house.execute(run)
    found = stored(house, run)
    assert found.state is RunState.UNKNOWN
    assert "another run of that name" in (found.message or "")
    assert (found.outputs, output(house, run)) == (None, "")
    assert not (house.workdir("qa-1") / "ran").exists()


def test_the_folder_of_another_run_stays_until_it_is_tidied_up(house: House) -> None:
    with house.database.write() as tx:
        tx.counters.draw(FENCE, 20)
    run = granted(house, "true\n")
    left(house, 7, "true")
    house.execute(run)
    folder = house.settings.home / "tickets" / "qa-1" / "run-1"
    assert folder.exists()
    house.tidiness.look()
    house.clock.advance(10)
    house.tidiness.look()
    assert not folder.exists()
