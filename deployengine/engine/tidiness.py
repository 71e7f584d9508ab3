"""Tidiness: no ticket stays on a machine when its run has ended.

Workers see to it, and housekeeping after each look at machines: one that is reached by SSH is at
hand for whoever has a connection to it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from deployengine import failpoints
from deployengine.domain.environment import Machine
from deployengine.domain.errors import DeployEngineError
from deployengine.domain.identity import Kind, number_of
from deployengine.engine.ports import Clock
from deployengine.engine.sightings import Sightings
from deployengine.persistence import Database
from deployengine.steps.contract import Runner

log = logging.getLogger("deployengine.tidiness")

#: How long whoever recorded the end may take to remove the ticket himself: seconds.
LEFT_AFTER = 3.0

#: A ticket of ours; whatever else lies there is somebody's who knows why.
_TICKET = re.compile(r"run-[1-9][0-9]{0,17}")

#: A machine's name and a ticket's.
Left = tuple[str, str]


class Tidiness:
    """Removes what a worker that died between record and removal has left on its machine."""

    def __init__(
        self, database: Database, runner_of: Callable[[Machine], Runner | None], clock: Clock
    ) -> None:
        """``runner_of`` gives none for a machine that is not at hand, as without a connection."""
        self._database = database
        self._runner_of = runner_of
        self._sightings: Sightings[Left] = Sightings(clock, LEFT_AFTER)

    def look(self) -> None:
        """One look at all machines; one that cannot be looked at is left for the next time."""
        if failpoints.left_out("tidy"):
            return
        with self._database.read() as tx:
            machines = [Machine.from_document(d) for d in tx.catalog.documents("machine")]
        at_hand = ((machine.name, self._runner_of(machine)) for machine in machines)
        runners = {name: runner for name, runner in at_hand if runner is not None}
        found = [(name, each) for name, runner in runners.items() for each in _tickets(runner)]
        ended = self._ended(found)
        for name, each in self._sightings.ripe(ended):
            try:
                # A start of it may still be on its way, and find no folder that tells it.
                for fence in ended[name, each]:
                    runners[name].revoke(fence)
                runners[name].attach(each).clean()
            except DeployEngineError as error:
                log.warning("a ticket is left on %s: %s", name, error)

    def _ended(self, found: list[Left]) -> dict[Left, list[int]]:
        """Those whose run is on record as ended, each with every fence that the run ever had."""
        numbers = {each: number_of(each, Kind.RUN) for _, each in found}
        with self._database.read() as tx:
            runs = {run.id: run for run in tx.runs.some(list(numbers.values())) if run.state.final}
        return {
            (name, each): [*(run.revoked or ()), *([] if run.fence is None else [run.fence])]
            for name, each in found
            if (run := runs.get(numbers[each])) is not None
        }


def _tickets(runner: Runner) -> list[str]:
    try:
        return [name for name in runner.tickets() if _TICKET.fullmatch(name)]
    except DeployEngineError as error:
        log.warning("a machine cannot be looked at: %s", error)
        return []
