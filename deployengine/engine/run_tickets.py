"""The ticket of a claimed run, by the kind of its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from deployengine.domain.acquisition import needing
from deployengine.domain.environment import Machine
from deployengine.domain.insertion import Insertion, Plain, insert_script
from deployengine.domain.planning import Unseal
from deployengine.domain.project import StepKind
from deployengine.engine.acquisition import Acquisition
from deployengine.engine.claims import Claimed
from deployengine.engine.installation import Installations, Prepared
from deployengine.engine.package_store import PackageStore
from deployengine.engine.values import values_of
from deployengine.engine.work import work_of
from deployengine.recipes.recipe import recipe
from deployengine.steps.contract import Runner, WorkTicket

RunnerOf = Callable[[Machine], Runner]


class RunTickets:
    """Makes tickets; nothing is touched on a machine until one is started."""

    def __init__(
        self,
        runner_of: RunnerOf,
        packages: PackageStore,
        installations: Installations,
        unseal: Unseal,
        grace: timedelta,
    ) -> None:
        self._runner_of = runner_of
        self._packages = packages
        self._installations = installations
        self._unseal = unseal
        self._grace = grace

    def runner_of(self, claimed: Claimed) -> Runner:
        """The way to the machine that carries the run out."""
        return self._runner_of(claimed.machine)

    def of(self, claimed: Claimed, *, begun: bool = False) -> tuple[WorkTicket, frozenset[str]]:
        """The ticket, and the secrets that its output must be masked of.

        One that has ``begun`` is only followed. Raises what keeps the script from being made: a
        missing value, or a package that cannot be had.
        """
        runner = self._runner_of(claimed.machine)
        if claimed.step.kind is StepKind.ACQUIRE:
            package = claimed.snapshot.packages[claimed.step.package]
            name = claimed.machine.name
            configured = any(
                step.substitute or step.settings
                for step in needing(claimed.step, claimed.snapshot.process)
            )
            brought = Acquisition(package, name, runner, self._packages, at_hand=configured)
            return brought, frozenset()
        values = values_of(
            claimed.deployment,
            claimed.snapshot,
            claimed.step,
            claimed.planned.machine,
            claimed.earlier,
            self._unseal,
        )
        prepared = self._prepared(claimed, values, begun=begun)
        work, secrets = work_of(claimed, prepared, self._grace)
        return runner.ticket(work), secrets

    def _prepared(self, claimed: Claimed, values: Mapping[str, Plain], *, begun: bool) -> Prepared:
        step = claimed.step
        if step.tool is not None:
            return Prepared(recipe(step.tool, claimed.run.machine, values), values)
        if step.kind is not StepKind.PACKAGE:
            return Prepared(insert_script(step.script, values), values)
        if begun:  # its script is on the machine, and the package need not be at hand here
            return Prepared(Insertion(""), values)
        package = claimed.snapshot.packages[step.package]
        return self._installations.prepare(package, step, claimed.machine, values)
