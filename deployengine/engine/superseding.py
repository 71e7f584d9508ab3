"""Superseding: a newer release takes the place of older ones that wait whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from deployengine.domain.deployment import RunState
from deployengine.domain.identity import deployment_id
from deployengine.engine.ports import Clock
from deployengine.engine.projects import Projects
from deployengine.persistence import Transaction


class Superseding:
    """Ends older deployments within one transaction, for projects that want it so.

    ``ended`` are their ids, to be told to admission afterwards.
    """

    def __init__(self, tx: Transaction, clock: Clock, projects: Projects) -> None:
        self._tx = tx
        self._clock = clock
        self._projects = projects
        self.ended: list[str] = []

    def reserve(self, projects: Iterable[str], also: Collection[int] = ()) -> None:
        """Holds the rows that may have to end, and some others, before any ticket is drawn.

        Everybody locks deployments before the counter of tickets, and those by their ids.
        """
        names = set(projects)
        self._projects.read(names)
        wanted = [name for name in names if self._wanted_by(name)]
        if wanted or also:
            self._tx.deployments.lock_all(also, queued_of=wanted)

    def make_room(self, project: str, environment: str, release_id: int, version: str) -> None:
        """Ends what older releases have waiting whole for the environment."""
        if not self._wanted_by(project):
            return
        now, said = self._clock.now(), f"superseded by {version}"
        for number in self._tx.deployments.supersede(project, environment, release_id, said, now):
            self._tx.runs.give_up_pending(number, RunState.CANCELLED, now)
            self.ended.append(deployment_id(number))

    def _wanted_by(self, project: str) -> bool:
        return bool(self._projects.document(project).get("supersede"))
