"""Superseding: a newer release takes the place of older ones that wait whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from deployengine.domain.deployment import RunState
from deployengine.domain.identity import deployment_id
from deployengine.engine.ports import Clock
from deployengine.persistence import Transaction


class Superseding:
    """Ends older deployments within one transaction, for projects that want it so.

    ``ended`` are their ids, to be told to admission afterwards.
    """

    def __init__(self, tx: Transaction, clock: Clock) -> None:
        self._tx = tx
        self._clock = clock
        self._projects: dict[str, Mapping[str, Any]] = {}
        self.ended: list[str] = []

    def wanted_by(self, projects: Iterable[str]) -> list[str]:
        """Those of them that want it by today's catalog."""
        names = set(projects)
        if unknown := names - self._projects.keys():
            found = self._tx.catalog.find("project", sorted(unknown))
            self._projects |= {name: found.get(name, {}) for name in unknown}
        return sorted(name for name in names if self._projects[name].get("supersede"))

    def reserve(self, projects: Iterable[str], also: Collection[int] = ()) -> None:
        """Holds the rows that may have to end, and some others, before any ticket is drawn.

        Everybody locks deployments before the counter of tickets, and those by their ids.
        """
        wanted = self.wanted_by(projects)
        if wanted or also:
            self._tx.deployments.lock_all(also, queued_of=wanted)

    def make_room(self, project: str, environment: str, release_id: int, version: str) -> None:
        """Ends what older releases have waiting whole for the environment."""
        if not self.wanted_by([project]):
            return
        now, said = self._clock.now(), f"superseded by {version}"
        for number in self._tx.deployments.supersede(project, environment, release_id, said, now):
            self._tx.runs.give_up_pending(number, RunState.CANCELLED, now)
            self.ended.append(deployment_id(number))
