"""What the judge looks at: journals, the database at rest, logs, and what was injected."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from battery.database import Database
from battery.ledger import SLACK, Ledger
from battery.policies import Policy, policies
from benchmarks.evidence import Evidence, Line, gather

PLANS = """
select id, project, version, environment, state, automatic, message, requested_by,
       priority, created_at, not_before, started_at, finished_at, plan
from deployment order by id
"""
RUNS = """
select id, deployment_id, step, machine, attempt, state, exit_code, message,
       answered_at is not null, granted_at, recalled
from step_run order by id
"""
OUTPUT = "select run_id, start, stop, text from run_output order by run_id, start"

#: How the script of a run came to its end, told by the last word in its journal.
ENDS = ("end", "stopped", "killed")


@dataclass(frozen=True, slots=True)
class Run:
    """A step run as the database has it at rest; claims are ``(resource, mode, limit)``."""

    id: int
    deployment: int
    step: int
    machine: str
    attempt: int
    state: str
    exit_code: int | None
    message: str
    #: Whether it asked a person something and asks no more.
    answered: bool
    #: Whether the grant under which it ran had been taken back.
    recalled: bool
    claims: tuple[tuple[str, str, int | None], ...]

    @property
    def name(self) -> str:
        """As journals have it."""
        return f"run-{self.id}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment at rest.

    Instants are by the clocks of the processes that wrote them, which may be an hour wrong.
    """

    id: int
    project: str
    version: str
    environment: str
    state: str
    automatic: bool
    message: str
    requested_by: str
    priority: int
    created: float | None
    not_before: float | None
    started: float | None
    finished: float | None

    @property
    def label(self) -> str:
        """How people recognise it."""
        return f"{self.project} {self.version} → {self.environment}"


@dataclass(frozen=True, slots=True)
class Death:
    """A wrapper died at a door, somewhen between the two instants.

    A trace does not tell of which ticket it was, and the ledger knows only those deaths that were
    seen while the process which had started the wrapper was there.
    """

    point: str
    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Case:
    """All evidence of one round. ``given`` are the releases that the engine has accepted."""

    home: Path
    database: Database
    evidence: Evidence
    #: By run, the last word of its journal, if it has ended.
    ends: Mapping[str, str]
    runs: tuple[Run, ...]
    deployments: Mapping[int, Deployment]
    pieces: Mapping[int, tuple[tuple[int, int, str], ...]]
    ledger: Ledger
    given: frozenset[tuple[str, str]]
    cancelled: frozenset[int]
    given_up: frozenset[tuple[str, str]]
    deaths: tuple[Death, ...]
    #: By project, what its steps say; as the battery wrote it.
    policies: Mapping[str, tuple[Policy, ...]]

    def span(self, run: Run) -> tuple[float, float]:
        """Between which instants a run was at work: by its script's stamps, else by the database.

        The stamps are of the machine's own clock. The database's are set right where the process
        that wrote them had a clock that was an hour wrong. Without either it is any time.
        """
        if run.name in self.evidence.stamps:
            begin, end = self.evidence.stamps[run.name]
            return begin, math.inf if end is None else end
        row, near = self.evidence.runs[run.name], self._near
        start = -math.inf if row.started is None else set_right(row.started, near)
        stop = math.inf if row.finished is None else set_right(row.finished, near)
        return start, stop

    def policy(self, run: Run) -> Policy:
        """What the run's step says."""
        return self.policies[self.deployments[run.deployment].project][run.step]

    def right(self, instant: float) -> float:
        """An instant of some process's clock, on the clock of the machines."""
        return set_right(instant, self._near)

    @property
    def _near(self) -> float | None:
        return self.ledger.faults[0].begun if self.ledger.faults else None


def set_right(instant: float, near: float | None) -> float:
    """An instant of a clock that may be wrong by whole hours, when it is known to be near this."""
    if near is None:
        return instant
    hours = round((instant - near) / 3600)
    return instant - 3600 * hours if abs(hours) == 1 else instant


def gathered(
    home: Path,
    database: Database,
    ledger: Ledger,
    given: frozenset[tuple[str, str]],
    cancelled: frozenset[int] = frozenset(),
    given_up: frozenset[tuple[str, str]] = frozenset(),
) -> Case:
    """Reads everything, once the engine has stopped."""
    deployments, claims = {}, {}
    for *facts, plan in database.rows(PLANS):
        number, project, version, environment, state, automatic, message, by, priority = facts[:9]
        deployments[number] = Deployment(
            number,
            project,
            version,
            environment,
            state,
            bool(automatic),
            message or "",
            by or "",
            priority,
            *(_instant(value) for value in facts[9:]),
        )
        claims.update(_claims(number, json.loads(plan) if isinstance(plan, str) else plan))
    runs = tuple(
        Run(
            id=row[0],
            deployment=row[1],
            step=row[2],
            machine=row[3],
            attempt=row[4],
            state=row[5],
            exit_code=row[6],
            message=row[7] or "",
            answered=bool(row[8]),
            recalled=_void(row[9], row[10]),
            claims=claims.get((row[1], row[2], row[3]), ()),
        )
        for row in database.rows(RUNS)
    )
    raw = without_moved(gather(home, database.direct), frozenset(_moved(ledger)))
    pieces: dict[int, list[tuple[int, int, str]]] = {}
    for number, start, stop, text in database.rows(OUTPUT):
        pieces.setdefault(number, []).append((start, stop, text))
    return Case(
        home,
        database,
        _as_benchmarks_read_it(raw),
        {
            line.ticket: line.kind
            for lines in raw.journals.values()
            for line in lines
            if line.kind in ENDS
        },
        runs,
        deployments,
        {number: tuple(found) for number, found in pieces.items()},
        ledger,
        given,
        cancelled,
        given_up,
        tuple(_deaths(home, ledger)),
        policies(),
    )


def _deaths(home: Path, ledger: Ledger) -> Iterator[Death]:
    """Every death in the traces, with the time of the ledger if all of its kind are there.

    A wrapper may outlive who started it. Then nobody looks at that trace any more, and all that is
    known is that the death was not after the trace's last line.
    """
    noted: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for fault in ledger.of("kill -9 of a wrapper at a failpoint"):
        noted[fault.target, fault.detail].append(fault.begun)
    traced: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for trace in sorted(home.glob("traces/*")):
        process = trace.name.rpartition(".")[0]
        for line in trace.read_text("utf-8", "replace").splitlines():
            action, _, point = line.partition(" ")
            if action == "kill" and point.startswith(("ticket.state.", "ticket.exit.")):
                traced[process, point].append(trace.stat().st_mtime)
    for key, latest in traced.items():
        if len(noted[key]) == len(latest):
            yield from (Death(key[1], at - SLACK, at + SLACK) for at in noted[key])
        else:
            yield from (Death(key[1], -math.inf, at + SLACK) for at in latest)


def without_moved(evidence: Evidence, moved: frozenset[int]) -> Evidence:
    """Evidence in which runs of deployments that people moved in line have no place in order."""
    runs = {
        name: replace(run, ticket=None) if run.deployment in moved else run
        for name, run in evidence.runs.items()
    }
    return replace(evidence, runs=runs)


def _moved(ledger: Ledger) -> Iterator[int]:
    for how in ("top", "prioritise"):
        for request in ledger.asked_for("deployment", how):
            yield int(request.words[2].removeprefix("dep-"))


def _instant(value: str | datetime | None) -> float | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value).replace(tzinfo=UTC)
    return None if value is None else value.timestamp()


def _claims(number: int, plan: Mapping[str, Any]) -> dict[tuple[int, int, str], Any]:
    return {
        (number, position, run["machine"]["name"]): tuple(tuple(claim) for claim in run["claims"])
        for position, step in enumerate(plan["steps"])
        for run in step["runs"]
    }


def _as_benchmarks_read_it(raw: Evidence) -> Evidence:
    """With the two further words for an end as ``end``, and no code where no script ran."""
    journals = {
        machine: tuple(
            Line(line.number, "end" if line.kind in ENDS else line.kind, line.ticket, line.rest)
            for line in lines
        )
        for machine, lines in raw.journals.items()
    }
    begun = {line.ticket for lines in journals.values() for line in lines}
    # A script that was told to end before its first line has a code and no entry.
    runs = {
        name: replace(run, exit_code=None)
        if run.state == "cancelled" and name not in begun
        else run
        for name, run in raw.runs.items()
    }
    return replace(raw, journals=journals, runs=runs)


def _void(granted: Any, recalled: Any) -> bool:
    """Whether the grant of this moment is among those that were taken back."""
    taken = json.loads(recalled) if isinstance(recalled, str) else recalled
    moment = _instant(granted)
    return moment is not None and moment in {_instant(each) for each in taken or ()}
