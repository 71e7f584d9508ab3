"""Faults: one that nothing came of is none."""

from __future__ import annotations

import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE

import psutil
import pytest

from battery.faults.broker_faults import BrokerFault, MessagesDropped, MessagesReordered
from battery.faults.fault import NotPossible, Stage
from battery.faults.machine_faults import DISKS, DiskFull, MachineAway, takes_a_file
from battery.faults.people import MachineDrained
from battery.faults.ssh_faults import SessionsCut, SessionsStill, SshFault, SshRefused
from battery.house import house
from battery.injector import Injector
from battery.scenario import AWAY, DRAINED
from battery.schedule import Planned
from battery.work import Work
from tests.steps.gates import until

QUEUE, OTHER_QUEUE = "a-queue-that-nobody-reads", "and-another"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with house(None, "faults") as built:
        yield Stage(built, Work(built, random.Random(1)))


def done_to(stage: Stage, fault: BrokerFault, *messages: str) -> tuple[bool, list[bytes]]:
    """Whether anything came of it, and what stands in the queue then, the next one first."""
    with stage.house.redis.client() as client:
        client.delete(QUEUE)
        if messages:
            client.lpush(QUEUE, *messages)
        fault.inject(stage)
        came = fault.lift(stage)
        return came, client.lrange(QUEUE, 0, -1)[::-1]


def test_nothing_is_dropped_from_an_empty_queue(stage: Stage) -> None:
    assert done_to(stage, MessagesDropped(QUEUE, 3, 0.1)) == (False, [])


def test_a_message_that_was_dropped_counts(stage: Stage) -> None:
    assert done_to(stage, MessagesDropped(QUEUE, 3, 0.1), "one") == (True, [])


def test_one_message_alone_is_not_reordered(stage: Stage) -> None:
    assert done_to(stage, MessagesReordered(QUEUE, 3, 0.1), "one") == (False, [b"one"])


def test_two_messages_that_changed_places_count(stage: Stage) -> None:
    came = done_to(stage, MessagesReordered(QUEUE, 2, 0.1), "one", "two")

    assert came == (True, [b"two", b"one"])


@pytest.mark.parametrize("kind", DISKS)
def test_a_full_disk_takes_no_new_file_until_it_is_lifted(
    stage: Stage, kind: type[DiskFull]
) -> None:
    folder = stage.house.home / kind.folder
    fault = kind(0.1)
    if not folder.is_mount():
        with pytest.raises(NotPossible):
            fault.inject(stage)
        return

    fault.inject(stage)
    while_it_lasts = takes_a_file(folder)
    fault.lift(stage)

    assert (while_it_lasts, takes_a_file(folder)) == (False, True)


def test_a_machine_that_is_out_of_use_takes_nothing_until_it_is_lifted(stage: Stage) -> None:
    folder, fault = stage.house.home / "work" / AWAY, MachineAway(0.1)

    fault.inject(stage)
    while_it_lasts = folder.is_dir()
    fault.lift(stage)

    assert (while_it_lasts, folder.is_dir(), takes_a_file(folder)) == (False, True, True)


@contextmanager
def session(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody who is logged in, and gets back what he says."""
    way = stage.house.ssh.connection()
    words = ["ssh", "-F", "none", "-p", str(way["port"]), "-i", way["identity_file"]]
    words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    words += [f"{way['user']}@{way['host']}", "echo there; exec cat"]
    with subprocess.Popen(words, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"there\n"
        yield client
        client.kill()


def lets_in(stage: Stage) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", stage.house.ssh.connection()["port"])) == 0


@pytest.mark.parametrize(("kind", "refused"), [(SessionsCut, False), (SshRefused, True)])
def test_a_session_that_is_cut_ends_at_once(
    stage: Stage, kind: type[SshFault], *, refused: bool
) -> None:
    fault = kind(0.1)
    with session(stage) as client:
        fault.inject(stage)
        assert client.communicate()[0] == b""
        assert lets_in(stage) is not refused
        fault.lift(stage)
    with session(stage):
        pass


def test_a_session_that_stands_still_goes_on(stage: Stage) -> None:
    fault = SessionsStill(0.1)
    with session(stage) as client:
        fault.inject(stage)
        until(lambda: stands_still(stage), "a session goes on")
        fault.lift(stage)
        assert client.communicate(b"still here\n")[0] == b"still here\n"


def stands_still(stage: Stage) -> bool:
    states = {each.status() for each in stage.house.ssh.sessions()}
    return states == {psutil.STATUS_STOPPED}


def test_a_machine_is_enabled_after_its_drain_and_no_other_fault_waits_for_that(
    stage: Stage,
) -> None:
    fault = MachineDrained(0.1)

    fault.inject(stage)
    fault.lift(stage)
    drain, enable = stage.house.commands[-2:]
    tries = (drain.tries, enable.tries)

    def over() -> bool:
        for command in (enable, drain):
            command.tend(())
        assert drain.done or not enable.tries
        return enable.done

    until(over, "the machine is not enabled")
    assert tries == (0, 0)
    assert drain.process.words[-2:] == ["drain", DRAINED]
    assert enable.process.words[-2:] == ["enable", DRAINED]


def test_what_came_to_nothing_is_on_no_record_and_is_tried_again(stage: Stage) -> None:
    ledger = stage.house.ledger
    injector = Injector(stage, [Planned(0.0, MessagesDropped(OTHER_QUEUE, 1, 0.1))])

    injector.tend()
    while ledger.by_kind():
        injector.tend()
    tried_again = not injector.done
    with stage.house.redis.client() as client:
        client.lpush(OTHER_QUEUE, "one")
    while not injector.done:
        injector.tend()

    assert tried_again
    assert ledger.by_kind() == {MessagesDropped.kind: 1}
