"""Planning: a release's steps meet the machines of an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from deployengine.domain import acquisition, flags, groups
from deployengine.domain.admission import Claim
from deployengine.domain.behalf import carrier
from deployengine.domain.environment import Machine
from deployengine.domain.errors import RequestError
from deployengine.domain.holds import held
from deployengine.domain.insertion import expand, plain_values
from deployengine.domain.plan import (
    NOWHERE,
    Plan,
    PlannedRun,
    PlannedStep,
)
from deployengine.domain.project import Hook, Mutex, Step, StepKind
from deployengine.domain.prompts import answered
from deployengine.domain.release import Snapshot
from deployengine.domain.selection import WHOLE, Selection
from deployengine.domain.step_claims import claims_of
from deployengine.domain.ties import may_tie
from deployengine.domain.turns import Pace
from deployengine.domain.variables import (
    MASK,
    Context,
    Sealed,
    resolve,
    resolve_all,
    system_source,
    system_variables,
)

CONCURRENCY_TAG = "Octopus.Task.ConcurrencyTag"
MAX_PARALLELISM = "Octopus.Action.MaxParallelism"
LONGEST_TAG = 200


class Unseal(Protocol):
    """Opens sealed values, and says what stands for a secret where it must not be shown."""

    def __call__(self, sealed: Sealed) -> str:
        """The secret."""
        ...

    def fingerprint(self, text: str) -> str:
        """The same for equal texts, and nothing that the text could be guessed from."""
        ...


class BadTag(RequestError):
    """What deployments are to be kept apart by cannot stand in a list for people."""


class BadWindow(RequestError):
    """The number of machines at once is no whole number from 1 on."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a release is planned to: an environment, and the lifecycle's phase with it.

    ``share`` bounds how many scripts run at once of the environment or, in one without, of the
    project. ``everywhere`` are the machines of all environments, for what runs on one of them on
    behalf of another.
    """

    environment: str
    phase: str
    machines: Sequence[Machine]
    share: Claim | None = None
    everywhere: Sequence[Machine] = ()


@dataclass(frozen=True, slots=True)
class _Value:
    text: str = field(repr=False)
    sensitive: bool
    source: str


def plan(
    snapshot: Snapshot,
    destination: Destination,
    unseal: Unseal,
    selection: Selection = WHOLE,
    values: Mapping[str, str | Sealed] = MappingProxyType({}),
) -> Plan:
    """Plans a deployment of the release; ``values`` are those of prompted variables.

    Raises :class:`~deployengine.domain.flags.UnparsableFlag` when the bypass variable is no
    boolean for some step on some machine, :class:`BadWindow`, :class:`BadTag`,
    ``AmbiguousVariable`` when two values of a variable tie that some run would meet, and as
    :func:`~deployengine.domain.behalf.carrier`.
    """
    return _Planning(snapshot, destination, unseal, selection, values).plan()


class _Planning:
    def __init__(
        self,
        snapshot: Snapshot,
        destination: Destination,
        unseal: Unseal,
        selection: Selection,
        values: Mapping[str, str | Sealed],
    ) -> None:
        self._snapshot = snapshot
        self._sources = answered(snapshot.sources, values)
        self._to = destination
        self._unseal = unseal
        self._selection = selection
        self._machines = [m for m in destination.machines if selection.takes(m.name)]
        self._everywhere = {m.name: m for m in destination.everywhere}
        self._done = frozenset(selection.done)
        self._may_tie = may_tie(self._sources)
        self._whole = snapshot.mutex is Mutex.DEPLOYMENT

    def plan(self) -> Plan:
        scope = self._context()
        default = f"{self._snapshot.project}/{self._to.environment}"
        steps = tuple(self._steps())
        return Plan(
            tag=self._tag(scope) or default,
            steps=steps,
            holds=held(steps) if self._whole else (),
        )

    def _tag(self, scope: Context) -> str:
        """What others see of it, in every list of who waits for what, must not be a secret."""
        found = self._value(CONCURRENCY_TAG, scope)
        if found is None or not (text := found.text.strip()):
            return ""
        if found.sensitive:
            return f"secret:{self._unseal.fingerprint(text)[:16]}"
        if not text.isprintable() or len(text) > LONGEST_TAG:
            raise BadTag(
                f"variable {CONCURRENCY_TAG} has a value that can be no tag",
                found.source,
                f"write at most {LONGEST_TAG} printable characters",
            )
        return text

    def _steps(self) -> Iterator[PlannedStep]:
        stage = track = -1
        group: str | None = None
        planned = [(step, tuple(self._runs(step))) for step in self._snapshot.process]
        for step, runs in planned:
            own = step.rolling.name if step.rolling else None
            if own is None or own != group:
                track += 1
                if not (step.with_previous and stage >= 0):
                    stage += 1
            group = own
            left_out = self._left_out(step)
            if left_out is None:
                self._check_ties(step, runs)
            size = groups.size(step, planned)
            pace = Pace(self._window(step), groups.ramp(step, size))
            most = groups.max_failures(step, size)
            yield PlannedStep(step.name, runs, stage, track, pace, left_out, most)

    def _check_ties(self, step: Step, runs: Sequence[PlannedRun]) -> None:
        """Raises ``AmbiguousVariable`` for what no run could resolve when it begins."""
        for name in self._may_tie:
            for run in runs:
                resolve(
                    name, self._sources, self._context(step, run.machine if run.claims else None)
                )

    def _left_out(self, step: Step) -> str | None:
        why = step.left_out(self._to.environment, self._snapshot.channel)
        if step.kind is StepKind.ACQUIRE:
            reasons = [self._left_out(each) for each in self._needing(step)]
            why = reasons[0] if all(reasons) else None
        return why or self._selection.skips(step)

    def _needing(self, acquire: Step) -> list[Step]:
        return acquisition.needing(acquire, self._snapshot.process)

    def _runs(self, step: Step) -> Iterator[PlannedRun]:
        if step.kind is StepKind.MANUAL:
            if (step.name, NOWHERE.name) not in self._done:
                yield PlannedRun(NOWHERE, ())
            return
        for machine in self._machines:
            if self._is_for(step, machine):
                where = self._where(step, machine)
                elsewhere = where if where.name != machine.name else None
                yield PlannedRun(machine, self._claims(step, machine, where), elsewhere)

    def _is_for(self, step: Step, machine: Machine) -> bool:
        """Whether there is something to do for a machine: it has its role, and has not had it."""
        if step.kind is StepKind.ACQUIRE:
            needing = [each for each in self._needing(step) if not self._left_out(each)]
            return any(self._is_for(each, machine) for each in needing)
        return machine.bears_one_of(step.roles) and not self._is_done(step, machine)

    def _is_done(self, step: Step, machine: Machine) -> bool:
        """Whether it has been carried out before; hooks go together, with what is left between."""
        if step.hook is None or not self._done:
            return (step.name, machine.name) in self._done
        return not any(
            (other.name, machine.name) not in self._done
            for other in self._snapshot.process
            if other.rolling == step.rolling
            and other.hook is not Hook.BEFORE
            and not other.for_failures
            and not self._left_out(other)
        )

    def _where(self, step: Step, machine: Machine) -> Machine:
        """The machine that carries a step out for this one: itself, unless the step says so."""
        if step.runs_on is None or self._left_out(step):
            return machine
        system = system_variables(
            project=self._snapshot.project,
            release=self._snapshot.version,
            environment=self._to.environment,
            machine=machine.name,
            roles=machine.roles,
            step=step.name,
            channel=self._snapshot.channel,
        )
        sources = (system_source(system), *self._sources)
        found = resolve_all(sources, self._context(step, machine)) if "#{" in step.runs_on else {}
        return carrier(step, machine, self._everywhere, plain_values(found, self._unseal))

    def _claims(self, step: Step, machine: Machine, where: Machine) -> tuple[Claim, ...]:
        """What it holds (:func:`claims_of`), and the share of the task cap.

        A request has one bound at most, or two streams that each fill one of them could keep it
        waiting for ever. A machine's own comes first: it protects the machine. To keep places for
        who lacks some would end that and leave others empty: thirty ready runs of a project with a
        share of one would keep thirty of their environment's.
        """
        share = () if self._to.share is None else (self._to.share,)
        if step.kind is StepKind.ACQUIRE:
            package = self._snapshot.packages[step.package]
            return (acquisition.package_claim(package, machine.name), *share)
        shared = bool(step.touches) or (
            step.kind is not StepKind.HTTP and self._bypassed(step, machine)
        )
        own = claims_of(step, machine, where, shared=shared)
        return (*own, *(() if any(claim.limit for claim in own) else share))

    def _bypassed(self, step: Step, machine: Machine) -> bool:
        context = self._context(step, machine)
        found = self._value(flags.BYPASS, context)
        if found is None:
            return False
        return flags.bypass(found.text, found.source, sensitive=found.sensitive)

    def _window(self, step: Step) -> int | None:
        """The variable says it for the step or, for the children of a group, for the group."""
        acquires = step.kind is StepKind.ACQUIRE
        variable = acquisition.MAX_PARALLELISM if acquires else MAX_PARALLELISM
        name = step.rolling.name if step.rolling else step.name
        context = self._context(step, named=name)
        found = self._value(variable, context)
        if found is None:
            return step.rolling.window if step.rolling else step.max_parallel
        text = found.text.strip()
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise BadWindow(
                f"variable {variable} has the value "
                f"{MASK if found.sensitive else repr(text)} for step {name}, which is no number "
                "of machines",
                found.source,
                "write a whole number from 1 on",
            )
        return int(text)

    def _context(
        self, step: Step | None = None, machine: Machine | None = None, named: str | None = None
    ) -> Context:
        return Context(
            environment=self._to.environment,
            machine=machine.name if machine else None,
            roles=machine.roles if machine else (),
            channel=self._snapshot.channel,
            step=named or (step.name if step else None),
            phase=self._to.phase,
        )

    def _value(self, name: str, context: Context) -> _Value | None:
        """What the variable comes to; what is made from a sensitive one is sensitive."""
        resolved = resolve(name, self._sources, context)
        if resolved is None:
            return None
        if isinstance(resolved.value, str) and "#{" not in resolved.value:
            return _Value(resolved.value, resolved.sensitive, resolved.source)  # mostly
        values = plain_values(resolve_all(self._sources, context), self._unseal)
        inserted = expand(name, values)
        return _Value(inserted.text, inserted.sensitive, resolved.source)
