"""Connections that break or fall silent: each run happens once, and all of its output comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployengine.steps.contract import Lock, Started, State, Status, Ticket, Work
from deployengine.steps.errors import InDoubt, MachineUnreachable
from deployengine.steps.ssh.machine import SshMachine
from deployengine.steps.ssh.runner import SshRunner
from deployengine.steps.ssh.way import way_to
from deployengine.steps.wake import Wake
from tests.steps.conftest import PATIENCE, begin, end, sshd, tickets_of
from tests.steps.gates import Gate
from tests.support.bad_network import BadNetwork

Fresh = Callable[..., Work]
ALONE = (Lock("machine", exclusive=True),)
SCRIPT = "echo once >> journal; echo begun; for n in 1 2 3; do echo line $n; done; set_output N 1"
WRITTEN = b"begun\nline 1\nline 2\nline 3\n"


@pytest.fixture
def network() -> Iterator[BadNetwork]:
    with BadNetwork(sshd().port) as between:
        yield between


def machine(network: BadNetwork, workdir: Path, **more: object) -> SshMachine:
    """A machine beyond a bad network; a new one has no connections yet."""
    tickets = tickets_of(workdir)
    connection = sshd().connection(workdir, port=network.port, tickets=tickets, **more)
    way = way_to("target", connection, (), lambda _set, _variable: "")
    return SshMachine("target", lambda: way)


def written(ticket: Ticket) -> bytes:
    """All that a script wrote."""
    content = b""
    while piece := ticket.output(len(content)):
        content += piece
    return content


def carried_out(runner: SshRunner, work: Work) -> tuple[Status, bytes, dict[str, str]]:
    """What becomes of a run whose starter begins anew until its machine can be reached."""
    ticket = runner.ticket(work)
    while True:
        try:
            ticket.start()
            break
        except MachineUnreachable:
            continue
    status = end(ticket)
    result = (status, _again(lambda: written(ticket)), _again(ticket.outputs))
    _again(ticket.clean)
    return result


def _again(act: Callable[[], object]) -> object:
    for _ in range(3):
        try:
            return act()
        except MachineUnreachable:
            continue
    return act()


def test_with_the_connection_cut_at_every_piece_in_turn_each_run_happens_once(
    network: BadNetwork, workdir: Path, fresh: Fresh
) -> None:
    number = 0
    whole = False
    there = machine(network, workdir)
    while not whole:
        number += 1
        work = fresh(SCRIPT, fence=number, locks=ALONE)
        there.connect_once()
        network.cut_after(number)
        result = carried_out(SshRunner(there), work)
        assert result == (Status(State.EXITED, 0), WRITTEN, {"N": "1"}), number
        assert (workdir / "journal").read_text() == "once\n" * number, number
        whole = network.cuts == 0
        network.cut_after(None)
    assert number > 10
    assert SshRunner(there).tickets() == []


@pytest.mark.parametrize("number", [1, 4, 9, 16, 25])
def test_a_login_that_is_cut_is_tried_once_more(
    network: BadNetwork, workdir: Path, fresh: Fresh, number: int
) -> None:
    runner = SshRunner(machine(network, workdir))
    network.cut_after(number)
    ticket = runner.ticket(fresh(SCRIPT))
    assert ticket.start() is Started.FIRST
    assert network.cuts == 1
    assert end(ticket) == Status(State.EXITED, 0)
    assert (workdir / "journal").read_text() == "once\n"


@pytest.mark.parametrize("number", [1, 4, 9, 16, 25])
def test_a_login_that_is_cut_twice_begins_nothing_and_is_told(
    network: BadNetwork, workdir: Path, fresh: Fresh, number: int
) -> None:
    runner = SshRunner(machine(network, workdir))
    work = fresh(SCRIPT)
    network.deaf_after_cut = True
    network.cut_after(number)
    with pytest.raises(MachineUnreachable, match=r"^machine target: "):
        runner.ticket(work).start()
    network.deaf = network.deaf_after_cut = False
    assert not (workdir / "journal").exists()
    assert carried_out(runner, work) == (Status(State.EXITED, 0), WRITTEN, {"N": "1"})


def test_a_script_runs_on_while_its_connection_is_cut_and_is_followed_anew(
    network: BadNetwork, workdir: Path, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(
        SshRunner(machine(network, workdir)),
        fresh("echo one; echo > ready; read x < go; echo two; exit 7"),
    )
    ready.hear()
    network.cut()
    assert ticket.wait(timedelta(milliseconds=300)) == Status(State.RUNNING)
    network.cut()
    go.let()
    assert end(ticket) == Status(State.EXITED, 7)
    assert written(ticket) == b"one\ntwo\n"


def test_what_was_read_before_a_cut_is_not_sent_again_and_nothing_is_missing(
    network: BadNetwork, workdir: Path, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(
        SshRunner(machine(network, workdir)),
        fresh("dd if=/dev/zero bs=1000 count=300 2>&-; echo > ready; read x < go; echo end"),
    )
    ready.hear()
    taken = b""
    while len(taken) < 300_000:
        assert ticket.wait(timedelta(milliseconds=50)) == Status(State.RUNNING)
        taken += ticket.output(len(taken))
    ticket.output(len(taken))
    network.cut()
    network.passed = 0
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.output(len(taken)) == b"end\n"
    assert network.passed < 100


def test_a_network_that_falls_silent_is_noticed_and_the_run_followed_anew(
    network: BadNetwork, workdir: Path, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    there = machine(network, workdir, keepalive_seconds=0.2)
    ticket = begin(SshRunner(there), fresh("echo > ready; read x < go; echo done"))
    ready.hear()
    network.stall_after(1)
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)
    assert written(ticket) == b"done\n"


def test_a_start_whose_answer_is_lost_for_good_is_in_doubt_and_not_called_unbegun(
    network: BadNetwork, workdir: Path, fresh: Fresh
) -> None:
    there = machine(network, workdir, patience_seconds=0.05)
    came: list[str] = []
    while "FIRST" not in came:
        there.connect_once()
        network.deaf_after_cut = True
        network.cut_after(len(came) + 1)
        ran = workdir / f"ran-{len(came)}"
        try:
            came.append(SshRunner(there).ticket(fresh(f"echo > {ran}")).start().name)
        except (InDoubt, MachineUnreachable) as error:
            came.append(type(error).__name__)
        network.cut_after(None)
        network.deaf = network.deaf_after_cut = False
        if came[-1] == "MachineUnreachable":
            assert not ran.exists()
    assert {"InDoubt", "MachineUnreachable"} <= set(came)


def test_a_machine_that_stays_away_is_in_doubt_after_its_patience(
    network: BadNetwork, workdir: Path, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    there = machine(network, workdir, patience_seconds=0.2)
    ticket = begin(SshRunner(there), fresh("echo > ready; read x < go"))
    ready.hear()
    network.deaf = True
    network.cut()
    with pytest.raises(InDoubt, match="may have begun, run on, or ended there"):
        end(ticket)
    network.deaf = False
    assert ticket.wait(timedelta(milliseconds=100)) == Status(State.RUNNING)
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)


def test_a_bell_ends_the_wait_for_a_machine_that_is_away(
    network: BadNetwork, workdir: Path, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(SshRunner(machine(network, workdir)), fresh("echo > ready; read x < go"))
    ready.hear()
    network.deaf = True
    network.cut()
    with Wake() as wake:
        wake.set()
        assert ticket.wait(PATIENCE, wake) == Status(State.RUNNING)
    network.deaf = False
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)


def test_a_cut_connection_leaves_nobody_behind_on_the_machine(
    network: BadNetwork, workdir: Path, fresh: Fresh, ready: Gate, go: Gate
) -> None:
    ticket = begin(SshRunner(machine(network, workdir)), fresh("echo > ready; read x < go"))
    ready.hear()
    for _ in range(3):
        network.cut()
        assert ticket.wait(timedelta(milliseconds=200)) == Status(State.RUNNING)
    go.let()
    assert end(ticket) == Status(State.EXITED, 0)
    assert ticket.status() == Status(State.EXITED, 0)


def test_a_machine_that_was_started_anew_in_the_middle_is_unknown(
    network: BadNetwork, workdir: Path, fresh: Fresh, ready: Gate
) -> None:
    ticket = begin(SshRunner(machine(network, workdir)), fresh("echo > ready; exec sleep 600"))
    ready.hear()
    state = Path(tickets_of(workdir), "run-1", "state")
    lines = state.read_text().splitlines()
    os.killpg(int(lines[4].split()[1]), signal.SIGKILL)
    lines[3] = "boot 00000000-0000-0000-0000-000000000000"  # as if that were long ago
    state.write_text("\n".join([*lines, ""]))
    network.cut()
    status = end(ticket)
    assert status == Status(State.UNKNOWN)
    assert "the machine was started anew since" in status.known


def test_a_start_that_is_sent_twice_begins_once(
    network: BadNetwork, workdir: Path, fresh: Fresh
) -> None:
    runner = SshRunner(machine(network, workdir))
    work = fresh("echo once >> journal")
    assert runner.ticket(work).start() is Started.FIRST
    assert runner.ticket(work).start() is Started.ATTACHED
    assert (workdir / "journal").read_text() == "once\n"
