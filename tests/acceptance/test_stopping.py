"""Stopping lets end what runs; what waits goes on later."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.acceptance.catalogs import HELD, catalog, project
from tests.support.engine import LiveEngine, until


def test_a_worker_that_is_told_to_stop_lets_its_script_end_and_records_it(
    engine: LiveEngine,
) -> None:
    gate = engine.gate("app")
    engine.apply(catalog(project("app", HELD)))
    worker = engine.worker()
    (deployment,) = engine.create("app")
    engine.await_inside("qa-1", "app")

    worker.send_signal(signal.SIGTERM)
    until(lambda: "Warm shutdown" in engine.logs(), "the worker has heard it")
    assert worker.poll() is None
    assert engine.inside("qa-1") == {"app"}
    gate.open()

    assert worker.wait(timeout=45) == 0
    (run,) = engine.detail(deployment.id).runs
    assert (run.state, run.exit_code) == ("succeeded", 0)


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
def test_up_ends_clean_and_what_waited_goes_on_with_the_next_up(
    engine: LiveEngine, word: signal.Signals
) -> None:
    names = ["first", "second", "third"]
    gates = {name: engine.gate(name) for name in names}
    engine.apply(catalog(*(project(n, HELD) for n in names)))
    up = engine.up()
    engine.create("first")
    engine.await_inside("qa-1", "first")
    for place, name in enumerate(names[1:], start=1):
        engine.create(name)
        _await_waiters(engine, place)

    _stop(engine, up, word)
    gates["first"].open()
    assert up.wait(timeout=45) == 0

    until(lambda: not engine.living(), f"an end of {engine.living()}")
    assert engine.begun("qa-1") == ["first"]
    second_up = engine.up()
    for name in names[1:]:
        engine.await_inside("qa-1", name)
        gates[name].open()
    until(lambda: _states(engine) == ["succeeded"] * 3, "all succeed")
    assert engine.begun("qa-1") == names
    assert engine.end(second_up, word) == 0


def _await_waiters(engine: LiveEngine, number: int) -> None:
    def waiters() -> int:
        return sum(len(view.waiters) for view in engine.services.queries.locks("qa-1"))

    until(lambda: waiters() == number, f"{number} in line for qa-1")


def _states(engine: LiveEngine) -> list[str]:
    return [d.state.value for d in engine.deployments()]


def _stop(engine: LiveEngine, up: subprocess.Popen[bytes], word: signal.Signals) -> None:
    up.send_signal(word)
    log = engine.home / "logs" / "worker-1.log"
    until(lambda: "Warm shutdown" in log.read_text(), "the worker of up has heard it")


def test_a_second_ctrl_c_does_not_wait_and_leaves_only_the_script(engine: LiveEngine) -> None:
    gate = engine.gate("app")
    engine.apply(catalog(project("app", HELD)))
    up = engine.up()
    engine.create("app")
    engine.await_inside("qa-1", "app")
    _stop(engine, up, signal.SIGINT)
    assert up.poll() is None

    up.send_signal(signal.SIGINT)
    up.wait(timeout=45)

    assert engine.inside("qa-1") == {"app"}, "the script goes on"
    until(lambda: not any("-m workers" in line for line in engine.living()), "no worker is left")
    assert "Traceback" not in engine.logs()
    gate.open()
    engine.await_inside("qa-1")
