"""Tickets that nobody needs any more leave a machine with what it is asked for anyway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployengine.steps.contract import Work
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.ssh.runner import SshRunner
from deployengine.steps.ssh.way import way_to
from tests.steps.conftest import begin, end, sshd, tickets_of
from tests.steps.gates import Gate, until

Fresh = Callable[..., Work]


@pytest.fixture
def machine(workdir: Path) -> SshMachine:
    connection = sshd().connection(workdir, tickets=tickets_of(workdir))
    way = way_to("target", connection, (), lambda _set, _variable: "")
    return SshMachine("target", lambda: way)


def sessions() -> int:
    """How many commands the machine has been asked to run."""
    return sshd().log.count("Starting session")


def test_the_next_start_takes_along_what_is_to_be_removed(
    machine: SshMachine, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    machine.leftovers.pause = 3600.0
    runner = SshRunner(machine)
    for _ in range(3):
        ended = begin(runner, fresh("true"))
        end(ended)
        ended.clean_soon()
    before = sessions()
    ticket = begin(runner, fresh("echo > ready; read x < go"))
    ready.hear()
    folders = Path(tickets_of(workdir))
    until(lambda: [each.name for each in folders.glob("run-*")] == ["run-4"], "left")
    assert machine.leftovers.take() == []
    go.let()
    end(ticket)
    assert sessions() == before + 1


def test_what_still_runs_is_left_and_named(
    machine: SshMachine, fresh: Fresh, workdir: Path, ready: Gate, go: Gate
) -> None:
    runner = SshRunner(machine)
    running = begin(runner, fresh("echo > ready; read x < go"))
    ready.hear()
    end(begin(runner, fresh("true")))
    assert machine.ask("clean", "run-1", "any", "run-2", "any") == b"run-1\n"
    assert [each.name for each in Path(tickets_of(workdir)).glob("run-*")] == ["run-1"]
    go.let()
    end(running)


def test_a_machine_that_is_left_keeps_nothing(
    machine: SshMachine, fresh: Fresh, workdir: Path
) -> None:
    machine.leftovers.pause = 3600.0
    ticket = begin(SshRunner(machine), fresh("true"))
    end(ticket)
    ticket.clean_soon()
    machine.retire().result()
    assert list(Path(tickets_of(workdir)).glob("run-*")) == []
    assert not machine.connected
