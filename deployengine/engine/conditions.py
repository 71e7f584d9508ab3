"""Run conditions: whether a step is to run, by how those before it ended or by an expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployengine.domain.conditions import evaluate_condition
from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError
from deployengine.domain.insertion import Plain, insert
from deployengine.domain.planning import Unseal
from deployengine.domain.project import ALWAYS, FAILURE, SUCCESS, Step
from deployengine.domain.release import Snapshot
from deployengine.domain.turns import Judged
from deployengine.domain.variable_names import ERROR, key
from deployengine.engine.values import values_of
from deployengine.persistence.records import DeploymentRecord, RunRecord
from deployengine.sealing import WrongMasterKey


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a step's condition comes to; if it does not run, why."""

    judged: Judged
    why: str | None = None


_RUNS = Verdict(Judged.RUN)


class Conditions:
    """Judges the conditions of one deployment's steps, and says what manual ones ask."""

    def __init__(
        self,
        deployment: DeploymentRecord,
        snapshot: Snapshot,
        earlier: Sequence[RunRecord],
        unseal: Unseal,
    ) -> None:
        """``earlier`` are the runs that have set outputs."""
        self._deployment = deployment
        self._snapshot = snapshot
        self._earlier = earlier
        self._unseal = unseal

    def judge(
        self, condition: str, step: Step, *, failed: bool, machine: Machine | None = None
    ) -> Verdict:
        """Whether the step runs where something has or has not ``failed`` before it."""
        if condition == ALWAYS:
            return _RUNS
        if condition == SUCCESS:
            return Verdict(Judged.SKIP, "something before it failed") if failed else _RUNS
        if condition == FAILURE:
            return _RUNS if failed else Verdict(Judged.SKIP, "nothing before it failed")
        try:
            values = self._values(step, machine)
            if failed:
                values[key(ERROR)] = Plain(ERROR, "a step failed")
            true = evaluate_condition(condition, values)
        except WrongMasterKey:
            raise  # another process may have the key
        except RequestError as error:
            return Verdict(Judged.BROKEN, f"its condition cannot be told: {error}")
        return _RUNS if true else Verdict(Judged.SKIP, "its condition is false")

    def told(self, step: Step) -> str:
        """The instructions of a manual step, with their values if none of them is a secret."""
        try:
            inserted = insert(step.instructions, self._values(step, None))
        except RequestError:
            return step.instructions
        return step.instructions if inserted.sensitive else inserted.text

    def _values(self, step: Step, machine: Machine | None) -> dict[str, Plain]:
        earlier = [run for run in self._earlier if run.step < self._snapshot.process.index(step)]
        return values_of(self._deployment, self._snapshot, step, machine, earlier, self._unseal)
