"""The doors of a ticket that a battery kills at, and the protections that it leaves out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployengine.failpoints import MUTATIONS
from deployengine.steps.contract import Started, State, Work
from deployengine.steps.local import LocalRunner
from tests.steps.conftest import PATIENCE, tickets_of
from tests.steps.harms import HARMS
from tests.steps.starter import ROOT, Starter

POINTS = ("ticket.state.before", "ticket.state.after", "ticket.exit.before", "ticket.exit.after")


@pytest.fixture
def runner(workdir: Path) -> LocalRunner:
    return LocalRunner(str(workdir), tickets_of(workdir))


def test_every_door_of_a_ticket_leaves_its_name_in_the_trace(workdir: Path, tmp_path: Path) -> None:
    trace = tmp_path / "a trace"
    starter = Starter(workdir, "run", 1, "exclusive:web", "echo hello", trace=str(trace))
    assert starter.came_to() == "FIRST"
    LocalRunner(str(workdir), tickets_of(workdir)).attach("run").wait(PATIENCE)
    names = trace.read_text().splitlines()
    start = ["ticket.start.before", *POINTS[:2], "ticket.start.after"]
    # The script may end before its starter goes on.
    assert [name for name in names if name in start] == start
    assert [name for name in names if name not in start] == list(POINTS[2:])


KILLED = {
    "ticket.state.before": ("CannotStart: ", State.ABSENT),
    "ticket.state.after": ("FIRST", State.UNKNOWN),
    "ticket.exit.before": ("FIRST", State.UNKNOWN),
    "ticket.exit.after": ("FIRST", State.EXITED),
}


@pytest.mark.parametrize("point", KILLED)
def test_a_wrapper_that_is_killed_at_a_door_never_leads_to_a_second_run(
    runner: LocalRunner, workdir: Path, tmp_path: Path, point: str
) -> None:
    said, state = KILLED[point]
    trace = tmp_path / "trace"
    script = "echo ran >> journal"
    starter = Starter(workdir, "run", 1, "", script, armed=f"{point}=kill", trace=str(trace))
    assert starter.came_to().startswith(said)
    ticket = runner.ticket(Work("run", 2, script))
    assert ticket.wait(PATIENCE).state is state
    lines = trace.read_text().splitlines()
    assert lines[lines.index(point) + 1] == f"kill {point}"
    again = ticket.start()
    assert again is (Started.FIRST if state is State.ABSENT else Started.ATTACHED)
    ticket.wait(PATIENCE)
    ran = (workdir / "journal").read_text() if (workdir / "journal").exists() else ""
    assert ran == ("" if point == "ticket.state.after" else "ran\n")


def test_a_door_of_the_wrapper_is_counted_over_the_wrappers_of_a_process(
    workdir: Path, tmp_path: Path
) -> None:
    program = """
import sys
from deployengine.steps.contract import Work
from deployengine.steps.local import LocalRunner
from datetime import timedelta
runner = LocalRunner(sys.argv[1], sys.argv[1] + ".tickets")
for n in range(3):
    ticket = runner.ticket(Work(f"run-{n}", 1, "exit 0"))
    ticket.start()
    print(ticket.wait(timedelta(seconds=20)).state.name)
"""
    environment = {**os.environ, "DEPLOYENGINE_FAILPOINTS": "ticket.exit.before=kill@2"}
    words = [sys.executable, "-c", program, str(workdir)]
    said = subprocess.check_output(words, cwd=ROOT, env=environment, text=True)
    assert said.split() == ["EXITED", "UNKNOWN", "EXITED"]


@pytest.mark.parametrize("protection", HARMS)
@pytest.mark.parametrize(("without", "comes"), [(True, "harm"), (False, "safe")])
def test_only_without_its_protection_the_harm_comes(
    workdir: Path, protection: str, without: bool, comes: str
) -> None:
    assert protection in MUTATIONS
    environment = dict(os.environ)
    if without:
        environment["DEPLOYENGINE_MUTATIONS"] = protection
    words = [sys.executable, "-m", "tests.steps.harms", protection, str(workdir)]
    assert subprocess.check_output(words, cwd=ROOT, env=environment, text=True) == comes
