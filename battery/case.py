"""What the judge looks at: journals, the database at rest, logs, and what was injected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from battery import scenario
from battery.armoury import of_wrapper
from battery.database import Database
from battery.ledger import Ledger
from benchmarks.evidence import Evidence, Line, gather

PLANS = "select id, project, version, environment, state, automatic, message, plan from deployment"
RUNS = """
select id, deployment_id, step, machine, attempt, state, exit_code, message
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
    claims: tuple[tuple[str, str, int | None], ...]

    @property
    def name(self) -> str:
        """As journals have it."""
        return f"run-{self.id}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment at rest."""

    id: int
    project: str
    version: str
    environment: str
    state: str
    automatic: bool
    message: str


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
    #: How many wrappers died at failpoints; their traces do not tell of which tickets.
    wrappers_lost: int


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
    for number, project, version, environment, state, automatic, message, plan in database.rows(
        PLANS
    ):
        deployments[number] = Deployment(
            number, project, version, environment, state, bool(automatic), message or ""
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
            claims=claims.get((row[1], row[2], row[3]), ()),
        )
        for row in database.rows(RUNS)
    )
    raw = gather(home, database.direct)
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
        _wrappers_lost(home),
    )


def _wrappers_lost(home: Path) -> int:
    lines = (line for path in home.glob("traces/*") for line in path.read_text().splitlines())
    kills = (
        name for action, _, name in (line.partition(" ") for line in lines) if action == "kill"
    )
    return sum(1 for name in kills if of_wrapper(name))


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


def finished_script(run: Run) -> bool:
    """Whether the database says that the script itself came to its end."""
    return run.state == "succeeded" or (run.state == "failed" and run.exit_code == scenario.NO_ROOM)
