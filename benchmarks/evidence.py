"""What a run has left behind: the machines' journals and stamps, and the database at rest.

Nothing here is the engine's code, so that a fault of the engine cannot hide itself.

A machine's folder ``<home>/machines/<machine>`` holds

- ``journal``: one line when a script begins and one when it ends, appended by the script itself::

      begin|end <ticket> <project> <release> <environment> <step> <attempt> [exclusive|shared]

- ``stamps/<ticket>.begin`` and ``.end``, optional: files that the script touches at these
  moments; when they were last modified is when it happened, on one clock for all machines.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

RUNS = """
select r.id, r.ticket, r.lock_mode, r.machine, r.step, r.attempt, r.state, r.exit_code,
       r.ready_at, r.started_at, r.finished_at,
       d.id, d.project, d.version, d.environment, d.tag, d.automatic, s.name, r.answer, d.priority
from step_run r
join deployment d on d.id = r.deployment_id
join step s on s.deployment_id = r.deployment_id and s.position = r.step
order by r.id
"""
DEPLOYMENTS = """
select d.id, d.project, d.version, d.environment, d.state, d.plan, s.document
from deployment d join snapshot s on s.id = d.snapshot_id order by d.id
"""
ENVIRONMENTS = "select name from catalog_item where kind = 'environment' order by position"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journal; ``rest`` is what follows the ticket."""

    number: int
    kind: str
    ticket: str
    rest: str


@dataclass(frozen=True, slots=True)
class Run:
    """A step run as the database has it; instants in seconds since 1970, ``None``: not yet."""

    name: str
    ticket: int | None
    mode: str
    machine: str
    position: int
    attempt: int
    state: str
    exit_code: int | None
    ready: float | None
    started: float | None
    finished: float | None
    deployment: int
    project: str
    version: str
    environment: str
    tag: str
    automatic: bool
    step: str
    #: What a person said when the run asked.
    answer: str | None
    priority: int

    @property
    def words(self) -> str:
        """What its lines in the journal say after the ticket, but for the mode."""
        return f"{self.project} {self.version} {self.environment} {self.step} {self.attempt}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment with the places that its plan names: (step position, machine).

    ``rests`` are the positions of the manual steps for which it gives its task tag up.
    """

    id: int
    label: str
    state: str
    places: frozenset[tuple[int, str]]
    rests: frozenset[int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it. ``stamps`` has, by ticket, the begin and the end that the script stamped."""

    journals: Mapping[str, tuple[Line, ...]]
    stamps: Mapping[str, tuple[float, float | None]]
    runs: Mapping[str, Run]
    deployments: tuple[Deployment, ...]
    environments: tuple[str, ...]


def gather(home: Path, database_url: str | None = None) -> Evidence:
    """Reads everything; without a URL the database is the SQLite file in the home."""
    machines = sorted(home.glob("machines/*/journal"))
    runs = {f"run-{row[0]}": _run(row) for row in rows(home, database_url, RUNS)}
    return Evidence(
        {path.parent.name: tuple(_lines(path)) for path in machines},
        {ticket: times for path in machines for ticket, times in _stamps(path.parent)},
        runs,
        tuple(_deployment(row) for row in rows(home, database_url, DEPLOYMENTS)),
        tuple(str(row[0]) for row in rows(home, database_url, ENVIRONMENTS)),
    )


def rows(home: Path, database_url: str | None, query: str) -> list[tuple[Any, ...]]:
    """What a query finds, in the SQLite file of the home or where the URL says."""
    if database_url and database_url.startswith("postgresql"):
        import psycopg

        with psycopg.connect(database_url.replace("+psycopg", "", 1)) as server:
            return server.execute(query.encode()).fetchall()
    path = home / "deployengine.db"
    if database_url:
        path = Path(unquote(database_url.removeprefix("sqlite:///")))
    if not path.exists():
        raise FileNotFoundError(f"there is no database {path}")
    with closing(sqlite3.connect(path, timeout=30)) as file:
        return file.execute(query).fetchall()


def _lines(journal: Path) -> Iterator[Line]:
    text = journal.read_text("utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        kind, _, tail = line.partition(" ")
        ticket, _, rest = tail.partition(" ")
        yield Line(number, kind, ticket, rest)


def _stamps(machine: Path) -> Iterator[tuple[str, tuple[float, float | None]]]:
    for begin in machine.glob("stamps/*.begin"):
        end = begin.with_suffix(".end")
        ended = end.stat().st_mtime_ns / 1e9 if end.exists() else None
        yield begin.stem, (begin.stat().st_mtime_ns / 1e9, ended)


def _run(row: tuple[Any, ...]) -> Run:
    number, ticket, mode, machine, position, attempt, state, exit_code = row[:8]
    ready, started, finished = (_instant(value) for value in row[8:11])
    deployment, project, version, environment, tag, automatic, step, answer, priority = row[11:]
    return Run(
        name=f"run-{number}",
        ticket=ticket,
        mode=mode,
        machine=machine,
        position=position,
        attempt=attempt,
        state=state,
        exit_code=exit_code,
        ready=ready,
        started=started,
        finished=finished,
        deployment=deployment,
        project=project,
        version=version,
        environment=environment,
        tag=tag,
        automatic=bool(automatic),
        step=step,
        answer=answer,
        priority=priority,
    )


def _deployment(row: tuple[Any, ...]) -> Deployment:
    number, project, version, environment, state = row[:5]
    plan, snapshot = (json.loads(each) if isinstance(each, str) else each for each in row[5:])
    places = frozenset(
        (position, run["machine"]["name"])
        for position, step in enumerate(plan["steps"])
        for run in step["runs"]
    )
    label = f"{project} {version} → {environment}"
    return Deployment(number, label, state, places, frozenset(_rests(plan, snapshot)))


def _rests(plan: Mapping[str, Any], snapshot: Mapping[str, Any]) -> Iterator[int]:
    """The positions of stages in which people are asked, and no step keeps the tag meanwhile."""
    keeps = {
        step["name"]: bool(step.get("keep_tag"))
        for step in snapshot.get("process", ())
        if step.get("kind") == "manual"
    }
    by_stage: dict[int, list[bool]] = {}
    for position, step in enumerate(plan["steps"]):
        if step["name"] in keeps:
            by_stage.setdefault(step.get("stage", position), []).append(keeps[step["name"]])
    for position, step in enumerate(plan["steps"]):
        asking = by_stage.get(step.get("stage", position), [])
        if asking and not any(asking):
            yield position


def _instant(value: str | datetime | None) -> float | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value).replace(tzinfo=UTC)
    return None if value is None else value.timestamp()
