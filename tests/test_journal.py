"""The judge of journals: it lets the lawful pass, and finds every kind of breach by itself."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from benchmarks.evidence import gather
from benchmarks.journal import judge
from deployengine.persistence.schema import metadata

#: Every script here takes a second, and begins so many seconds after this instant.
START = 1_800_000_000


class Scene:
    """A home in the making: rows by plain SQL in the engine's tables, and journals by hand."""

    def __init__(self, home: Path) -> None:
        self.home = home
        engine = create_engine(f"sqlite:///{home / 'deployengine.db'}")
        metadata.create_all(engine)
        engine.dispose()
        self.sql("insert into snapshot values (1, '', '{}')")
        for position, name in enumerate(("QA", "Staging")):
            self.sql("insert into catalog_item values ('environment', ?, ?, '{}')", name, position)

    def sql(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.home / "deployengine.db")) as file, file:
            file.execute(statement, values)

    def deployment(
        self, number: int, project: str, environment: str, *machines: str, version: str = "1.0"
    ) -> None:
        runs = [{"machine": {"name": machine}, "claims": []} for machine in machines]
        plan = {"tag": "", "steps": [{"name": "Install", "runs": runs}]}
        self.sql(
            "insert into deployment (id, release_id, snapshot_id, project, version, environment,"
            " phase, automatic, state, ticket, tag, plan, created_at)"
            " values (?, ?, 1, ?, ?, ?, 'p', 1, 'succeeded', ?, ?, ?, '2027-01-01 00:00:00')",
            *(number, number, project, version, environment),
            *(1000 + number, f"{project}/{environment}", json.dumps(plan)),
        )
        self.sql("insert into step values (?, 0, 'Install', 'done', 0, null)", number)

    def run(
        self,
        number: int,
        deployment: int,
        machine: str,
        at: float,
        mode: str = "exclusive",
        said: str = "",
        step: tuple[int, str] = (0, "Install"),
        attempt: int = 1,
    ) -> None:
        """A run whose ticket is its number, with its lines, its stamps and its row."""
        position, name = step
        self.sql(
            "insert into step_run (id, deployment_id, step, place, machine, attempt, state,"
            " lock_mode, ticket, exit_code, ready_at, started_at, finished_at) values"
            " (?, ?, ?, ?, ?, ?, 'succeeded', ?, ?, 0, '2027-01-15 08:00:00',"
            " datetime(?, 'unixepoch'), datetime(?, 'unixepoch'))",
            *(number, deployment, position, number, machine, attempt, mode, number),
            *(START + at, START + at + 1),
        )
        project, version, environment = self.row(deployment)
        words = f"run-{number} {project} {version} {environment} {name} {attempt}{said}"
        self.write(machine, f"begin {words}", f"end {words}")
        self.stamp(machine, f"run-{number}.begin", at)
        self.stamp(machine, f"run-{number}.end", at + 1)

    def row(self, deployment: int) -> tuple[str, str, str]:
        query = "select project, version, environment from deployment where id = ?"
        with closing(sqlite3.connect(self.home / "deployengine.db")) as file:
            project, version, environment = file.execute(query, (deployment,)).fetchone()
        return project, version, environment

    def stamp(self, machine: str, name: str, at: float) -> None:
        stamp = self.home / "machines" / machine / "stamps" / name
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
        os.utime(stamp, (START + at, START + at))

    def journal(self, machine: str) -> Path:
        return self.home / "machines" / machine / "journal"

    def write(self, machine: str, *lines: str) -> None:
        self.journal(machine).parent.mkdir(parents=True, exist_ok=True)
        with self.journal(machine).open("a") as journal:
            journal.writelines(f"{line}\n" for line in lines)

    def lines(self, machine: str) -> list[str]:
        return self.journal(machine).read_text().splitlines()

    def arrange(self, machine: str, *order: int) -> None:
        """Keeps these lines of the journal, in this order."""
        lines = self.lines(machine)
        self.journal(machine).unlink()
        self.write(machine, *(lines[place] for place in order))

    def broken(self, task_cap: int | None = None) -> list[tuple[str, str | None]]:
        verdict = judge(gather(self.home), task_cap)
        return [(violation.rule, violation.machine) for violation in verdict.violations]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Two projects one after the other on the QA machine, then the first on two in Staging."""
    scene = Scene(tmp_path)
    scene.deployment(1, "app-1", "QA", "qa-1")
    scene.deployment(2, "app-2", "QA", "qa-1")
    scene.deployment(3, "app-1", "Staging", "stg-1", "stg-2")
    scene.run(1, 1, "qa-1", at=0)
    scene.run(2, 2, "qa-1", at=1)
    scene.run(3, 3, "stg-1", at=1)
    scene.run(4, 3, "stg-2", at=1)
    return scene


def make_shared(scene: Scene, *runs: int) -> None:
    for number in runs:
        scene.sql("update step_run set lock_mode = 'shared' where id = ?", number)


def test_a_lawful_home_passes_by_the_scripts_own_stamps(scene: Scene) -> None:
    verdict = judge(gather(scene.home), task_cap=3)
    assert verdict.lawful
    assert (verdict.begun, verdict.machines, verdict.peak) == (4, 3, 3)
    assert verdict.source == "stamps"


def test_without_a_stamp_the_database_tells_the_times(scene: Scene) -> None:
    (scene.home / "machines/qa-1/stamps/run-1.begin").unlink()
    verdict = judge(gather(scene.home), task_cap=3)
    assert verdict.lawful
    assert (verdict.source, verdict.peak) == ("database", 3)


def test_two_exclusive_runs_at_once_break_the_mutex(scene: Scene) -> None:
    scene.arrange("qa-1", 0, 2, 1, 3)
    assert scene.broken() == [("mutex", "qa-1")]


@pytest.mark.parametrize("shared", [1, 2])
def test_a_shared_run_beside_an_exclusive_one_breaks_the_mutex(scene: Scene, shared: int) -> None:
    make_shared(scene, shared)
    scene.arrange("qa-1", 0, 2, 1, 3)
    assert scene.broken() == [("mutex", "qa-1")]


def test_shared_runs_may_overlap_and_begin_in_any_order(scene: Scene) -> None:
    make_shared(scene, 1, 2)
    scene.arrange("qa-1", 2, 0, 1, 3)
    assert scene.broken() == []


@pytest.mark.parametrize("shared", [(), (1,), (2,)])
def test_a_run_overtaken_by_a_conflicting_one_breaks_the_ticket_order(
    scene: Scene, shared: tuple[int, ...]
) -> None:
    make_shared(scene, *shared)
    scene.arrange("qa-1", 2, 3, 0, 1)
    assert scene.broken() == [("ticket order", "qa-1")]


def test_an_old_ticket_is_missed_behind_several_newer_ones(scene: Scene) -> None:
    scene.deployment(5, "app-5", "QA", "qa-1")
    scene.run(5, 5, "qa-1", at=5)
    make_shared(scene, 5)
    scene.arrange("qa-1", 4, 5, 2, 3, 0, 1)
    assert scene.broken() == [("ticket order", "qa-1")] * 3


def test_everybody_who_was_overtaken_is_found(scene: Scene) -> None:
    scene.deployment(5, "app-5", "QA", "qa-1")
    scene.run(5, 5, "qa-1", at=5)
    scene.arrange("qa-1", 4, 5, 0, 1, 2, 3)
    assert scene.broken() == [("ticket order", "qa-1")] * 2


def test_a_run_that_begins_twice_is_found_on_one_machine(scene: Scene) -> None:
    scene.arrange("qa-1", 0, 1, 0, 1, 2, 3)
    assert scene.broken() == [("begin twice", "qa-1"), ("end twice", "qa-1")]


def test_a_run_that_begins_twice_is_found_across_machines(scene: Scene) -> None:
    scene.write("stg-2", *scene.lines("stg-1"))
    rules = scene.broken()
    assert ("begin twice", "stg-2") in rules
    assert ("not planned", "stg-2") in rules


def test_a_success_without_an_end_is_found(scene: Scene) -> None:
    scene.arrange("stg-1", 0)
    assert scene.broken() == [("begin without end", "stg-1")]


def test_a_failed_script_need_not_have_written_its_end(scene: Scene) -> None:
    scene.arrange("stg-1", 0)
    scene.sql("update step_run set state = 'failed', exit_code = 1 where id = 3")
    scene.sql("update deployment set state = 'failed' where id = 3")
    assert scene.broken() == []


def test_an_end_without_a_begin_is_found(scene: Scene) -> None:
    scene.arrange("stg-1", 1)
    assert set(scene.broken()) == {("end without begin", "stg-1"), ("missing run", "stg-1")}


def test_a_line_that_says_nothing_is_found(scene: Scene) -> None:
    scene.write("stg-1", "bgin")
    assert ("unreadable line", "stg-1") in scene.broken()


def test_a_run_on_record_that_its_machine_never_saw_is_missing(scene: Scene) -> None:
    scene.arrange("qa-1", 0, 1)
    assert scene.broken() == [("missing run", "qa-1")]


def test_a_success_that_left_out_a_machine_of_its_plan_is_found(scene: Scene) -> None:
    scene.sql("update step_run set state = 'pending', exit_code = null where id = 4")
    scene.journal("stg-2").unlink()
    assert scene.broken() == [("missing run", "stg-2")]


def test_a_run_that_the_database_does_not_know_is_in_no_plan(scene: Scene) -> None:
    words = "run-99 app-9 1.0 QA Install 1"
    scene.write("qa-1", f"begin {words}", f"end {words}")
    assert scene.broken() == [("not planned", "qa-1")] * 2


def test_a_run_whose_machine_is_in_no_plan_is_found(scene: Scene) -> None:
    scene.run(5, 3, "stg-3", at=1)
    assert scene.broken() == [("not planned", "stg-3")] * 2


def test_lines_that_speak_of_another_release_are_found(scene: Scene) -> None:
    journal = scene.journal("stg-1")
    journal.write_text(journal.read_text().replace(" 1.0 ", " 2.0 "))
    assert scene.broken() == [("not planned", "stg-1")] * 2


def test_a_script_that_ran_without_a_claim_is_found(scene: Scene) -> None:
    scene.sql("update step_run set state = 'waiting', started_at = null where id = 3")
    scene.sql("update deployment set state = 'running' where id = 3")
    assert ("not planned", "stg-1") in scene.broken()


def test_a_mode_that_differs_from_the_granted_one_is_found(scene: Scene) -> None:
    scene.deployment(5, "app-5", "QA", "qa-2")
    scene.run(5, 5, "qa-2", at=0, mode="shared", said=" shared")
    assert scene.broken() == []
    scene.sql("update step_run set lock_mode = 'exclusive' where id = 5")
    assert scene.broken() == [("mode", "qa-2")] * 2


@pytest.mark.parametrize("stamped", [True, False])
def test_a_release_that_begins_in_staging_before_qa_has_ended_is_found(
    scene: Scene, stamped: bool
) -> None:
    early = START + 0.5
    if stamped:
        scene.stamp("stg-1", "run-3.begin", 0.5)
    else:
        (scene.home / "machines/stg-1/stamps/run-3.begin").unlink()
        scene.sql("update step_run set started_at = datetime(?, 'unixepoch') where id = 3", early)
    assert scene.broken() == [("phase order", "stg-1")]


def test_people_may_deploy_in_any_order(scene: Scene) -> None:
    scene.stamp("stg-1", "run-3.begin", 0.5)
    scene.sql("update deployment set automatic = 0 where id = 3")
    assert scene.broken() == []


def test_two_deployments_of_a_project_to_one_environment_may_not_overlap(scene: Scene) -> None:
    scene.deployment(5, "app-1", "Staging", "stg-3", version="1.1")
    scene.run(5, 5, "stg-3", at=2)
    assert scene.broken() == []
    scene.stamp("stg-3", "run-5.begin", 1.5)
    assert scene.broken() == [("tag", "stg-3")]


@pytest.mark.parametrize(("keeps", "broken"), [(False, []), (True, [("tag", "stg-1")])])
def test_a_deployment_that_asks_people_may_give_its_tag_up_meanwhile(
    scene: Scene, keeps: bool, broken: list[tuple[str, str]]
) -> None:
    steps: list[dict[str, Any]] = [{"name": name} for name in ("Install", "Agree", "More")]
    steps[1] |= {"kind": "manual", "keep_tag": keeps}
    scene.sql("update snapshot set document = ?", json.dumps({"process": steps}))
    place = {"machine": {"name": "stg-1"}, "claims": []}
    runs = {"Install": [place], "Agree": [], "More": [place]}
    plan = {"tag": "", "steps": [{"name": name, "runs": own} for name, own in runs.items()]}
    for number in (5, 6):
        scene.deployment(number, "app-5", "Staging", "stg-1", version=f"{number}.0")
        scene.sql("update deployment set plan = ? where id = ?", json.dumps(plan), number)
        scene.sql("insert into step values (?, 1, 'Agree', 'done', 0, null)", number)
        scene.sql("insert into step values (?, 2, 'More', 'done', 0, null)", number)
    for run, deployment, step in ((5, 5, 0), (6, 6, 0), (7, 5, 2), (8, 6, 2)):
        name = ("Install", "", "More")[step]
        scene.run(run, deployment, "stg-1", at=run, step=(step, name))

    assert scene.broken() == broken


@pytest.mark.parametrize(("answer", "broken"), [("ignore", 0), ("exclude", 0), ("fail", 1)])
def test_a_success_may_lack_a_place_that_people_gave_up(
    scene: Scene, answer: str, broken: int
) -> None:
    scene.sql("update step_run set state='failed', exit_code=1, answer=? where id = 4", answer)

    assert scene.broken() == [("missing run", "stg-2")] * broken


def test_the_order_of_tickets_holds_among_those_of_one_priority(scene: Scene) -> None:
    scene.sql("update step_run set ticket = 9 where id = 1")
    assert scene.broken() == [("ticket order", "qa-1")]

    scene.sql("update deployment set priority = 1 where id = 2")
    assert scene.broken() == []


def test_more_scripts_at_once_than_the_task_cap_are_found(scene: Scene) -> None:
    assert scene.broken(task_cap=3) == []
    assert scene.broken(task_cap=2) == [("task cap", None)]


@pytest.fixture
def command(scene: Scene) -> Callable[[], tuple[int, dict[str, Any]]]:
    def run() -> tuple[int, dict[str, Any]]:
        words = [sys.executable, "-m", "benchmarks.journal", str(scene.home), "--task-cap", "3"]
        done = subprocess.run(words, capture_output=True, check=False)
        return done.returncode, json.loads(done.stdout)

    return run


def test_the_command_prints_a_document_and_exits_with_one_on_a_breach(
    scene: Scene, command: Callable[[], tuple[int, dict[str, Any]]]
) -> None:
    code, document = command()
    assert (code, document["lawful"], document["violations"]) == (0, True, [])
    scene.arrange("qa-1", 0, 2, 1, 3)
    code, document = command()
    assert (code, document["lawful"], document["broken"]) == (1, False, {"mutex": 1})
    assert "run-2 (exclusive) began while run-1 ran" in document["violations"][0]["message"]
