"""Intake: a deployment is planned, stored, and gets its place in the order of arrival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.deployment import DeploymentState
from deployengine.domain.errors import RequestError, check_known
from deployengine.domain.plan import SHARE, Plan
from deployengine.domain.planning import Destination, Unseal, plan
from deployengine.domain.prompts import Prompt, check, prompts
from deployengine.domain.release import Snapshot
from deployengine.domain.selection import WHOLE, Selection
from deployengine.domain.sharing import shared_by_bypass
from deployengine.domain.variables import Context, Sealed, key
from deployengine.engine.audit import record_bypass
from deployengine.engine.freezes import Freezes, Hold
from deployengine.engine.ports import Clock
from deployengine.engine.projects import Projects
from deployengine.engine.roster import Roster
from deployengine.engine.superseding import Superseding
from deployengine.engine.tickets import draw
from deployengine.engine.values import stored_values
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord, NewDeployment, ReleaseRecord


class NoMachines(RequestError):
    """No step of the process has a machine in the environment."""


class Required(RequestError):
    """A step that somebody wants to skip may never be skipped."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a deployment is carried out, beside what is deployed and where.

    What is ``None`` is as the project, its lifecycle's phase or the environment says.
    ``not_before`` and ``expires_at``: it begins between the two or never. ``override_freeze``: it
    begins although there is a freeze, for this reason.
    """

    automatic: bool = False
    selection: Selection = WHOLE
    priority: int | None = None
    guided: bool | None = None
    requested_by: str | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    override_freeze: str | None = None
    #: Values of prompted variables; sealed once they are taken in.
    values: Mapping[str, str | Sealed] = field(default_factory=dict)
    #: The deployments of which it is the retry, the oldest first.
    carries_on: tuple[int, ...] = ()
    #: Whether it goes back to what was there before, from what came then.
    rolls_back: bool = False
    #: Whether it brings machines what is there already, as they were left out before.
    catches_up: bool = False

    def options(self) -> dict[str, Any] | None:
        """What is kept with the deployment beside its columns."""
        kept: dict[str, Any] = {}
        if not self.selection.whole:
            kept["selection"] = self.selection.to_document()
        if self.override_freeze is not None:
            kept["override_freeze"] = self.override_freeze
        if self.values:
            kept["values"] = {
                name: value if isinstance(value, str) else value.to_document()
                for name, value in self.values.items()
            }
        if self.carries_on:
            kept["carries_on"] = list(self.carries_on)
        for name in ("rolls_back", "catches_up"):
            if getattr(self, name):
                kept[name] = True
        return kept or None


#: What somebody asks for who says no more.
PLAIN = Terms()
#: What the lifecycle does by itself.
BY_ITSELF = Terms(automatic=True)


class Intake:
    """Takes deployments in within one transaction, by the catalog of today."""

    def __init__(self, tx: Transaction, clock: Clock, unseal: Unseal) -> None:
        self._tx = tx
        self._clock = clock
        self._unseal = unseal
        self._roster = Roster(tx)
        self._environments = {d["name"]: d for d in tx.catalog.documents("environment")}
        self._freezes = Freezes.from_catalog(tx)
        self._projects = Projects(tx)
        #: Let it :meth:`~Superseding.reserve` what it needs before the first :meth:`queue`.
        self.superseding = Superseding(tx, clock, self._projects)

    def plan(self, snapshot: Snapshot, environment: str, terms: Terms) -> Plan:
        """The plan for one environment.

        Raises :class:`NoMachines` when nothing would run, and ``NotEnabled``.
        """
        self._check_selection(snapshot, environment, terms.selection)
        phase = snapshot.lifecycle.phase_of(environment)
        destination = Destination(
            environment,
            phase.name if phase else "",
            self._roster.enabled_in(environment),
            self._share(snapshot.project, environment),
            self._roster.machines,
        )
        self._check_values(snapshot, environment, terms)
        made = plan(snapshot, destination, self._unseal, terms.selection, terms.values)
        if not any(step.runs for step in made.steps if not step.left_out):
            raise self._no_machines(snapshot, environment, terms.selection)
        self._roster.check_carriers(made)
        return made

    def _no_machines(
        self, snapshot: Snapshot, environment: str, selection: Selection
    ) -> NoMachines:
        without = self._roster.without(snapshot, environment, selection)
        if without:
            said = ", ".join(f"{name} is {mode}" for name, mode in without.items())
            advice = f"deployengine machine enable {next(iter(without))}"
            found = f"{snapshot.project} has no machine in {environment} that is enabled: {said}"
            return NoMachines(found, None, advice)
        return NoMachines(
            f"{snapshot.project} has no step with a machine in {environment}"
            f"{'' if selection.whole else ' among those that were chosen'}",
            None,
            "give a machine of that environment one of the roles that the steps name"
            if selection.whole
            else "skip fewer steps, or choose other machines",
        )

    def asked(self, snapshot: Snapshot, environment: str) -> tuple[Prompt, ...]:
        """What is asked for a deployment to the environment."""
        phase = snapshot.lifecycle.phase_of(environment)
        place = Context(
            environment=environment,
            channel=snapshot.channel,
            phase=phase.name if phase else "",
        )
        return prompts(snapshot.sources, place)

    def still_asked(
        self, snapshot: Snapshot, deployment: DeploymentRecord
    ) -> dict[str, str | Sealed]:
        """What was given for an earlier deployment there, as far as it would be asked for now."""
        asked = {key(prompt.name) for prompt in self.asked(snapshot, deployment.environment)}
        return {n: v for n, v in stored_values(deployment).items() if key(n) in asked}

    def _check_values(self, snapshot: Snapshot, environment: str, terms: Terms) -> None:
        """Raises ``UnknownName`` and ``MissingValues``."""
        given = {
            name: value if isinstance(value, str) else self._unseal(value)
            for name, value in terms.values.items()
        }
        check(self.asked(snapshot, environment), given, snapshot.project)

    def _check_selection(self, snapshot: Snapshot, environment: str, selection: Selection) -> None:
        """Raises ``UnknownName`` for what is not there, :class:`Required` and ``NotEnabled``."""
        steps = {step.name: step for step in snapshot.process}
        groups = {step.rolling.name: step for step in snapshot.process if step.rolling}
        known = {**groups, **steps}
        for name in selection.skip:
            check_known(f"step of {snapshot.project}", name, known)
            if known[name].required:
                raise Required(f"step {name} of {snapshot.project} is required and never skipped")
        self._roster.check(environment, selection)

    def queue(
        self,
        snapshot: Snapshot,
        release: ReleaseRecord,
        environment: str,
        planned: Plan,
        terms: Terms,
    ) -> DeploymentRecord:
        """Stores a deployment with its steps and runs, and gives it its place in line."""
        phase = snapshot.lifecycle.phase_of(environment)
        project = self._projects.document(snapshot.project)
        priority = terms.priority
        if priority is None:
            priority = project.get("priority", 0) + (phase.priority if phase else 0)
        without = self._roster.without(snapshot, environment, terms.selection)
        options = {**(terms.options() or {}), **({"without": without} if without else {})}
        new = NewDeployment(
            release_id=release.id,
            snapshot_id=release.snapshot_id,
            project=snapshot.project,
            version=snapshot.version,
            environment=environment,
            phase=phase.name if phase else "",
            automatic=terms.automatic,
            plan=planned.to_document(),
            priority=priority,
            guided=self._guided(terms, project, environment),
            requested_by=terms.requested_by,
            partial=not terms.selection.whole,
            options=options or None,
            not_before=terms.not_before,
            expires_at=terms.expires_at,
        )
        waits = terms.not_before is not None and terms.not_before > self._clock.now()
        if terms.selection.whole and planned.steps and not waits:
            self.superseding.make_room(release.project, environment, release.id, release.version)
        stored = self._store(new, planned)
        for name, mode in without.items():
            self._tx.absences.add(name, stored.id, mode, self._clock.now())
        shared = shared_by_bypass(planned, snapshot.process)
        if shared:
            record_bypass(self._tx, self._clock.now(), stored, shared)
        return stored

    def fail(
        self, snapshot: Snapshot, release: ReleaseRecord, environment: str, message: str
    ) -> None:
        """Stores a deployment that could not even be planned, as failed."""
        nothing = Plan(tag=f"{snapshot.project}/{environment}", steps=())
        stored = self.queue(snapshot, release, environment, nothing, BY_ITSELF)
        now = self._clock.now()
        self._tx.deployments.end(stored.id, DeploymentState.FAILED, message, now)

    def _store(self, new: NewDeployment, planned: Plan) -> DeploymentRecord:
        tx = self._tx
        now = self._clock.now()
        later = new.not_before is not None and new.not_before > now
        hold = None if later else self.hold(new.project, new.environment, new.options)
        if hold is not None:
            new = replace(new, frozen_by=hold.name)
        # What cannot begin yet has no place in line: nobody waits behind it.
        ticket = None if later or hold else draw(tx, new.priority).start
        number = tx.deployments.add(new, ticket, now)
        tx.holds.add(number, planned.holds)
        tx.steps.add(number, [step.name for step in planned.steps])
        for position, step in enumerate(planned.steps):
            runs = [(run.machine.name, run.own_lock) for run in step.runs]
            anywhere = [run.machine.name for run in step.runs if not run.where.is_local]
            tx.runs.add(number, position, runs, anywhere)
        stored = tx.deployments.get(number)
        assert stored is not None
        return stored

    def hold(
        self, project: str, environment: str, options: Mapping[str, Any] | None
    ) -> Hold | None:
        """The freeze that keeps a deployment from beginning now, unless it overrides freezes."""
        if options and "override_freeze" in options:
            return None
        return self._freezes.hold(project, environment, self._clock.now())

    def overridden(self, deployment: DeploymentRecord) -> Hold | None:
        """The freeze in which a deployment is to begin all the same, as far as is known now."""
        if not deployment.overrides_freezes:
            return None
        begins = deployment.not_before or self._clock.now()
        return self._freezes.hold(deployment.project, deployment.environment, begins)

    def _guided(self, terms: Terms, project: Mapping[str, Any], environment: str) -> bool:
        said = (
            terms.guided,
            project.get("guided_failure"),
            self._environments.get(environment, {}).get("guided_failure"),
        )
        return next((each for each in said if each is not None), False)

    def _share(self, project: str, environment: str) -> Claim | None:
        """The environment's, or else the project's."""
        shares = (
            (f"environment/{environment}", self._environments.get(environment, {}).get("share")),
            (f"project/{project}", self._projects.document(project).get("share")),
        )
        found = (Claim(f"{SHARE}{name}", Mode.SHARED, limit) for name, limit in shares if limit)
        return next(found, None)
