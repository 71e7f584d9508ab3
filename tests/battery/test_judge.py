"""The judge of the battery: it lets a lawful house pass and finds every breach by itself."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from battery.case import gathered
from battery.database import Database
from battery.judge import judge
from battery.ledger import Ledger
from battery.scenario import SECRET, STAGES, expected_output
from tests.test_journal import Scene


class Battlefield(Scene):
    """A home in which one release has come through all environments, as the battery leaves it."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.sql("insert into catalog_item values ('environment', 'Production', 2, '{}')")
        self.ledger = Ledger()
        self.given = {("app-1", "1.0")}
        self.cancelled: set[int] = set()
        number = 0
        for deployment, (stage, machines) in enumerate(STAGES.items(), 1):
            self.deployment(deployment, "app-1", stage, *machines)
            for machine in machines:
                number += 1
                self.lengths(machine, "app-1")
                self.run(number, deployment, machine, at=10 * deployment)
                lines = expected_output(home, machine, "app-1", f"run-{number}")
                self.output(number, "".join(f"{line}\n" for line in lines))

    def lengths(self, machine: str, project: str) -> None:
        folder = self.home / "machines" / machine / "lengths"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / project).write_text("0.1\n0.1\n")

    def output(self, run: int, text: str, start: int = 0) -> None:
        stop = start + len(text.encode())
        self.sql("insert into run_output values (?, ?, ?, ?)", run, start, stop, text)

    def log(self, name: str, text: str) -> None:
        (self.home / "logs").mkdir(exist_ok=True)
        (self.home / "logs" / name).write_text(text)

    def claims(self, deployment: int, *claims: tuple[str, str, int | None]) -> None:
        """What all runs of a deployment claim."""
        row = "select plan from deployment where id = ?"
        document = json.loads(self.one(row, deployment))
        for step in document["steps"]:
            for run in step["runs"]:
                run["claims"] = claims
        self.sql("update deployment set plan = ? where id = ?", json.dumps(document), deployment)

    def one(self, query: str, *values: object) -> str:
        with closing(sqlite3.connect(self.home / "deployengine.db")) as file:
            return str(file.execute(query, values).fetchone()[0])

    def found(self) -> set[str]:
        """The rules that are broken."""
        case = gathered(
            self.home,
            Database("sqlite", self.home, "", None),
            self.ledger,
            frozenset(self.given),
            frozenset(self.cancelled),
        )
        return {violation.rule for violation in judge(case)}


@pytest.fixture
def field(tmp_path: Path) -> Battlefield:
    return Battlefield(tmp_path)


def test_a_lawful_house_passes(field: Battlefield) -> None:
    assert field.found() == set()


def test_a_release_that_was_accepted_and_is_not_there_is_lost(field: Battlefield) -> None:
    field.given.add(("app-2", "1.0"))

    assert field.found() == {"lost"}


def test_a_release_that_stops_half_way_is_lost(field: Battlefield) -> None:
    for table in ("step_run", "step"):
        field.sql(f"delete from {table} where deployment_id = 3")
    field.sql("delete from deployment where id = 3")
    for machine in STAGES["Production"]:
        (field.home / "machines" / machine / "journal").unlink()
    field.sql("delete from run_output where run_id > 3")

    assert field.found() == {"lost"}


def test_what_is_open_at_the_end_is_stuck(field: Battlefield) -> None:
    field.sql("update deployment set state = 'running' where id = 3")

    assert "stuck" in field.found()


def test_a_failure_that_nothing_explains_is_told(field: Battlefield) -> None:
    field.sql("update step_run set state = 'failed', exit_code = 1 where id = 8")
    field.sql("update deployment set state = 'failed' where id = 3")

    assert field.found() == {"unexplained end"}


def test_a_script_that_the_battery_has_killed_may_end_as_unknown(field: Battlefield) -> None:
    field.sql("update step_run set state = 'unknown', exit_code = null where id = 8")
    field.sql("update deployment set state = 'failed' where id = 3")
    field.ledger.note("wrapper and script killed", "run-8")

    assert field.found() == set()


def test_a_success_without_an_end_in_the_journal_is_false(field: Battlefield) -> None:
    lines = field.lines("prod-5")
    field.journal("prod-5").write_text(lines[0] + "\n" + lines[1].replace("end", "killed") + "\n")

    assert field.found() == {"false success"}


def test_a_script_that_was_told_to_end_has_ended(field: Battlefield) -> None:
    lines = field.lines("prod-5")
    field.journal("prod-5").write_text(lines[0] + "\n" + lines[1].replace("end", "stopped") + "\n")
    field.sql("update step_run set state = 'cancelled', exit_code = 143 where id = 8")
    field.sql("update deployment set state = 'cancelled' where id = 3")
    field.cancelled.add(3)

    assert field.found() == set()


def test_a_line_that_is_missing_in_the_output_is_found(field: Battlefield) -> None:
    field.sql("update run_output set text = replace(text, 'line 1 of run-1\n', '') where run_id=1")

    assert field.found() == {"output"}


def test_a_line_that_stands_twice_in_the_output_is_found(field: Battlefield) -> None:
    field.output(1, "end of run-1 after 2\n", start=5)

    assert field.found() == {"output"}


def test_two_at_once_in_a_resource_of_all_machines_are_found(field: Battlefield) -> None:
    field.claims(2, ("resource:billing", "exclusive", None))

    assert field.found() == {"resource"}


def test_more_than_may_share_a_machine_are_found(field: Battlefield) -> None:
    field.claims(2, ("machine:both", "shared", 1))

    assert field.found() == {"limit"}


def test_a_release_that_was_promoted_without_a_success_is_found(field: Battlefield) -> None:
    field.sql("update deployment set state = 'cancelled' where id = 2")
    field.cancelled.add(2)

    assert field.found() == {"promoted early"}


def test_a_secret_in_a_log_is_found(field: Battlefield) -> None:
    field.log("worker-1.log", f"it is {SECRET}\n")

    assert field.found() == {"secret"}


def test_a_secret_in_the_database_is_found(field: Battlefield) -> None:
    field.sql("update deployment set message = ? where id = 1", SECRET)

    assert field.found() == {"secret"}


TRACEBACK = """\
Traceback (most recent call last):
  File "redis/connection.py", line 1, in read
redis.exceptions.ConnectionError: Connection closed by server.
"""


def test_a_traceback_that_nobody_expected_is_found(field: Battlefield) -> None:
    field.log("worker-1.log", TRACEBACK)

    assert field.found() == {"traceback"}


def test_a_traceback_is_explained_by_a_fault_of_redis(field: Battlefield) -> None:
    field.log("worker-1.log", TRACEBACK)
    field.ledger.note("Redis FLUSHALL")

    assert field.found() == set()


def test_what_happened_without_anybodys_doing_is_told(field: Battlefield) -> None:
    field.ledger.surprises.append("worker-1 ended with 1")

    assert field.found() == {"surprise"}
