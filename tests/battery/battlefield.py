"""A battlefield: a home as the battery leaves it, made by hand for the judge to look at."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from battery.case import gathered
from battery.database import Database
from battery.judge import judge
from battery.ledger import Injected, Ledger
from battery.scenario import STAGES, expected_output
from tests.test_journal import START, Scene


class Battlefield(Scene):
    """A home in which one release has come through all environments, as the battery leaves it.

    Run 1 is on qa-1, 2 and 3 on Staging's machines, 4 to 8 on Production's, from second 30 to 31.
    """

    def __init__(self, home: Path, project: str = "app-1") -> None:
        super().__init__(home)
        self.sql("insert into catalog_item values ('environment', 'Production', 2, '{}')")
        self.ledger = Ledger()
        self.project = project
        self.given = {(project, "1.0")}
        self.cancelled: set[int] = set()
        number = 0
        for deployment, (stage, machines) in enumerate(STAGES.items(), 1):
            self.deployment(deployment, project, stage, *machines)
            for machine in machines:
                number += 1
                self.lengths(machine, project)
                self.run(number, deployment, machine, at=10 * deployment)
                self.print(number, machine)

    def print(self, run: int, machine: str) -> None:
        """All that its script prints."""
        lines = expected_output(self.home, machine, self.project, f"run-{run}")
        self.output(run, "".join(f"{line}\n" for line in lines))

    def again(
        self, run: int, attempt: int, at: float, machine: str = "prod-5", deployment: int = 3
    ) -> None:
        """A further attempt that succeeds; in Production on prod-5 run 8 was the first."""
        self.run(run, deployment, machine, at, attempt=attempt)
        self.print(run, machine)

    def end(self, run: int, state: str, code: int | None = None, message: str = "") -> None:
        """Another end for a run and its deployment."""
        query = "update step_run set state = ?, exit_code = ?, message = ? where id = ?"
        self.sql(query, state, code, message, run)
        whole = "failed" if state == "unknown" else state
        row = "(select deployment_id from step_run where id = ?)"
        self.sql(f"update deployment set state = ? where id = {row}", whole, run)

    def fault(self, kind: str, target: str, at: float, detail: str = "") -> None:
        """A fault of one second."""
        self.ledger.faults.append(Injected(kind, target, detail, START + at, START + at + 1))

    def unseen_death(self, point: str, process: str, last: float) -> None:
        """A wrapper that dies at a failpoint when nobody looks at the trace any more."""
        trace = self.home / "traces" / process
        trace.parent.mkdir(exist_ok=True)
        trace.write_text(f"{point}\nkill {point}\n")
        os.utime(trace, (START + last, START + last))

    def death(self, point: str, at: float) -> None:
        """A wrapper that dies at a failpoint, seen by everybody."""
        trace = self.home / "traces" / "worker-1.1"
        trace.parent.mkdir(exist_ok=True)
        with trace.open("a") as file:
            file.write(f"{point}\nkill {point}\n")
        os.utime(trace, (START + 1000, START + 1000))
        self.fault("kill -9 of a wrapper at a failpoint", "worker-1", at, point)

    def answer(self, run: int, answer: str) -> None:
        """The battery is asked how a run ended, and answers."""
        self.sql("update step_run set answered_at = '2027-01-15 08:10:00' where id = ?", run)
        self.request("deployment", "answer", f"run-{run}", answer, at=600)

    def request(self, *words: str, at: float) -> None:
        """What somebody asked and was granted, both at this second."""
        request = self.ledger.asked(*words)
        request.begun, request.ended, request.code = START + at, START + at, 0

    def steps(self, deployment: int, *names: str) -> None:
        """Gives a deployment these steps; the first one it has."""
        row = "select plan from deployment where id = ?"
        document = json.loads(self.one(row, deployment))
        (first,) = document["steps"]
        document["steps"] = [{**first, "name": name} for name in names]
        self.sql("update deployment set plan = ? where id = ?", json.dumps(document), deployment)
        for position, name in enumerate(names[1:], 1):
            self.sql(
                "insert into step values (?, ?, ?, 'done', 0, null)", deployment, position, name
            )

    def later(self, run: int, deployment: int, step: int, machine: str, at: float) -> None:
        """A run of a later step that succeeded."""
        row = "select name from step where deployment_id = ? and position = ?"
        self.run(run, deployment, machine, at, step=(step, self.one(row, deployment, step)))
        self.print(run, machine)

    def asks(self, run: int, deployment: int, step: int, answer: str | None = None) -> None:
        """A manual step's run that succeeded."""
        self.sql(
            "insert into step_run (id, deployment_id, step, place, machine, attempt, state,"
            " lock_mode, asked_at, answered_at, answer) values (?, ?, ?, 0, '', 1, 'succeeded',"
            " 'shared', '2027-01-15 08:00:00', '2027-01-15 08:01:00', ?)",
            *(run, deployment, step, answer),
        )

    def move(self, run: int, at: float) -> None:
        """Has a run begin at this second and end a second later."""
        row = "select machine from step_run where id = ?"
        machine = self.one(row, run)
        self.stamp(machine, f"run-{run}.begin", at)
        self.stamp(machine, f"run-{run}.end", at + 1)
        self.sql(
            "update step_run set started_at = datetime(?, 'unixepoch'),"
            " finished_at = datetime(?, 'unixepoch') where id = ?",
            *(START + at, START + at + 1, run),
        )

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
