"""Retention: what lifecycles do not keep is removed, a little at a time.

What goes is decided by today's catalog (:mod:`deployengine.domain.retention`). It is removed in
many short transactions, so that nobody waits for long; each may be the last, as what is left is
found again. A release itself goes in one, once all that is much of it is gone, and only if nobody
has done anything with it since.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TypeVar

from deployengine.domain.audit import Action
from deployengine.domain.history import Visit, way_back
from deployengine.domain.identity import deployment_id
from deployengine.domain.lifecycle import Lifecycle
from deployengine.domain.retention import Rule, let_go, rule_of
from deployengine.engine.audit import ENGINE, record
from deployengine.engine.history import begun, visit
from deployengine.engine.ports import Clock
from deployengine.engine.schedules import versions_of
from deployengine.persistence import Conflict, Database, Transaction
from deployengine.persistence.pages import pages
from deployengine.persistence.records import Trace

log = logging.getLogger("deployengine.retention")

T = TypeVar("T")
Act = Callable[[Transaction], None]

#: Rows that one transaction removes.
ROWS = 1000
#: Releases, or deployments, that are removed together.
_PAGE = 25
#: Seconds between two transactions, in which others get their turn.
BREATH = 0.02


@dataclass(frozen=True, slots=True)
class Going:
    """A release that goes, with all its deployments."""

    release: int
    project: str
    version: str
    deployments: tuple[Trace, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """What would go now: releases, and the logs of deployments whose releases stay.

    ``ruled``: some phase of a lifecycle says how many it keeps.
    """

    ruled: bool
    releases: tuple[Going, ...] = ()
    logs: tuple[Trace, ...] = ()


@dataclass(slots=True)
class Removed:
    """How much has gone; ``logs`` counts deployments whose releases stay."""

    releases: int = 0
    deployments: int = 0
    runs: int = 0
    logs: int = 0


class Retention:
    """Finds what goes, and removes it; several may do so at once, and everybody else work."""

    def __init__(
        self, database: Database, clock: Clock, rows: int = ROWS, breath: float = BREATH
    ) -> None:
        self._database = database
        self._clock = clock
        self._rows = rows
        self._breath = breath
        self._pause = threading.Event()  # never set: to wait by

    def look(self) -> None:
        """Housekeeping's turn; raises ``Unreachable``."""
        removed = self.apply(self.due())
        if removed.releases or removed.logs:
            log.info("%d releases went, and the logs of %d", removed.releases, removed.logs)

    def due(self) -> Due:
        """What would go now; changes nothing."""
        releases: list[Going] = []
        logs: list[Trace] = []
        with self._database.read() as tx:
            rules = _rules(tx)
            if not rules:
                return Due(ruled=False)
            held = _held(tx)
            for project, of_channels in rules.items():
                stays = tx.retention.stays(project)
                gone = let_go(stays, of_channels, held | _ways_back(tx, project))
                releases += _going(tx, gone.releases)
                stay_there = {(stay.release, stay.environment) for stay in gone.stays}
                some = tx.retention.deployments({release for release, _ in stay_there})
                some = [t for t in some if (t.release_id, t.environment) in stay_there]
                full = tx.retention.with_logs([trace.id for trace in some])
                logs += [trace for trace in some if trace.id in full]
        return Due(True, tuple(releases), tuple(logs))

    def apply(
        self, due: Due, who: str = ENGINE, progress: Callable[[Removed], None] = lambda _: None
    ) -> Removed:
        """Removes what is due, but for what has been used since that was found out.

        ``progress`` is told how much has gone so far.
        """
        removed = Removed()
        for logs in _pages(due.logs):
            numbers = [trace.id for trace in logs]
            at_end = self._recording(who, logs=_ids(logs))
            self._drop(partial(self._some_logs, numbers), at_end)
            removed.logs += len(logs)
            progress(removed)
        for going in _pages(due.releases):
            gone, runs = self._remove(going, who)
            removed.runs += runs
            removed.releases += len(gone)
            removed.deployments += sum(len(each.deployments) for each in gone)
            progress(removed)
        if due.ruled:
            self._drop(lambda tx: tx.retention.drop_snapshots(self._rows))
        return removed

    def _remove(self, going: Sequence[Going], who: str) -> tuple[list[Going], int]:
        """Removes releases, but for those that somebody has used meanwhile; and how many runs."""
        with self._database.read() as tx:
            going = _still(tx, going)
        runs = 0
        for numbers in pages([trace.id for each in going for trace in each.deployments]):
            self._drop(partial(self._some_logs, numbers))
            runs += self._drop(partial(self._some_runs, numbers))
        with self._database.write("retain") as tx:
            free = tx.retention.free([each.release for each in going])
            gone = _still(tx, [each for each in going if each.release in free])
            if gone:
                releases = [each.release for each in gone]
                tx.batches.strike_off(releases)
                tx.retention.remove(releases)
                names = [f"{each.project} {each.version}" for each in gone]
                ids = _ids([trace for each in gone for trace in each.deployments])
                self._recording(who, releases=names, deployments=ids)(tx)
        self._pause.wait(self._breath)
        return gone, runs

    def _drop(self, rows: Callable[[Transaction], int], at_end: Act = lambda _: None) -> int:
        """Removes rows in as many transactions as it takes; the last one does this ``at_end``."""
        dropped, full = 0, True
        while full:
            try:
                with self._database.write("retain") as tx:
                    found = rows(tx)
                    full = found == self._rows
                    if not full:
                        at_end(tx)
            except Conflict:
                log.info("something that was to go has just been taken into use")
                return dropped
            dropped += found
            self._pause.wait(self._breath)
        return dropped

    def _some_logs(self, numbers: Sequence[int], tx: Transaction) -> int:
        return tx.retention.drop_logs(numbers, self._rows)

    def _some_runs(self, numbers: Sequence[int], tx: Transaction) -> int:
        return tx.retention.drop_runs(numbers, self._rows)

    def _recording(self, who: str, **gone: list[str]) -> Act:
        """Puts on record what goes with a transaction."""
        return lambda tx: record(
            tx, self._clock.now(), who, Action.RETENTION_APPLY, "retention", after=gone
        )


def _rules(tx: Transaction) -> dict[str, dict[str | None, Rule]]:
    """The rules of each project's channels; ``None`` is the project's own lifecycle."""
    environments = tx.catalog.names("environment")
    rules = {
        document["name"]: rule_of(Lifecycle.from_document(document).filled(environments))
        for document in tx.catalog.documents("lifecycle")
    }
    if not any(rules.values()):
        return {}
    return {
        project["name"]: {
            None: rules[project["lifecycle"]],
            **{c["name"]: rules[c["lifecycle"]] for c in project.get("channels", ())},
        }
        for project in tx.catalog.documents("project")
    }


def _held(tx: Transaction) -> set[int]:
    """Releases of which nothing may go; among them those that schedules name.

    Of a schedule for the latest this is the newest; an older one that it takes as the newest may
    not enter is current in the phase before, and so stays.
    """
    held = tx.retention.held()
    for schedule in tx.catalog.documents("schedule"):
        version = next(iter(versions_of(tx, schedule)), None)
        named = tx.releases.find(schedule["project"], version) if version else None
        if named is not None:
            held.add(named.id)
    return held


def _ways_back(tx: Transaction, project: str) -> set[int]:
    """The releases to which rollbacks would go."""
    there: dict[str, list[Visit]] = defaultdict(list)
    for deployment in begun(tx.deployments.some(project)):
        there[deployment.environment].append(visit(deployment))
    return {release for each in there.values() if (release := way_back(each)) is not None}


def _going(tx: Transaction, releases: Collection[int]) -> Iterator[Going]:
    traces = sorted(tx.retention.deployments(releases), key=lambda trace: trace.release_id)
    for release, group in groupby(traces, key=lambda trace: trace.release_id):
        deployments = tuple(group)
        first = deployments[0]
        yield Going(release, first.project, first.version, deployments)


def _still(tx: Transaction, going: Sequence[Going]) -> list[Going]:
    """Those with which nobody has done anything since it was decided that they go."""
    held = _held(tx).union(*(_ways_back(tx, name) for name in {each.project for each in going}))
    now = _going(tx, [each.release for each in going])
    unchanged = {each for each in now if each.release not in held}
    return [each for each in going if each in unchanged]


def _ids(traces: Sequence[Trace]) -> list[str]:
    return [deployment_id(trace.id) for trace in traces]


def _pages(some: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(some), _PAGE):
        yield some[begin : begin + _PAGE]
