"""One transaction: the repositories over one connection."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import Connection

from deployengine.persistence.absences import Absences
from deployengine.persistence.audit import Audit
from deployengine.persistence.batches import Batches
from deployengine.persistence.catalog_items import CatalogItems
from deployengine.persistence.claims import Claims
from deployengine.persistence.counters import Counters
from deployengine.persistence.deployments import Deployments
from deployengine.persistence.holds import Holds
from deployengine.persistence.lanes import Lanes
from deployengine.persistence.machines import Machines
from deployengine.persistence.outputs import Outputs
from deployengine.persistence.questions import Questions
from deployengine.persistence.recurrences import Recurrences
from deployengine.persistence.releases import Releases
from deployengine.persistence.retention import Retention
from deployengine.persistence.sealed_values import SealedValues
from deployengine.persistence.setting_values import SettingValues
from deployengine.persistence.step_runs import StepRuns
from deployengine.persistence.steps import Steps
from deployengine.persistence.trusted_keys import TrustedKeys
from deployengine.persistence.views import Views
from deployengine.persistence.workers import Workers


class Transaction:
    """Gives each repository once; all of them speak in the same transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def absences(self) -> Absences:
        """Deployments that go without a machine."""
        return Absences(self._connection)

    @cached_property
    def audit(self) -> Audit:
        """Who changed what."""
        return Audit(self._connection)

    @cached_property
    def batches(self) -> Batches:
        """Batches."""
        return Batches(self._connection)

    @cached_property
    def catalog(self) -> CatalogItems:
        """The applied catalog."""
        return CatalogItems(self._connection)

    @cached_property
    def claims(self) -> Claims:
        """What open runs claim."""
        return Claims(self._connection)

    @cached_property
    def counters(self) -> Counters:
        """Tickets, fences and generations."""
        return Counters(self._connection)

    @cached_property
    def deployments(self) -> Deployments:
        """Deployments."""
        return Deployments(self._connection)

    @cached_property
    def holds(self) -> Holds:
        """What deployments hold as a whole."""
        return Holds(self._connection)

    @cached_property
    def lanes(self) -> Lanes:
        """The runs of several steps, machine by machine."""
        return Lanes(self._connection)

    @cached_property
    def machines(self) -> Machines:
        """How machines were found, and what people want of them."""
        return Machines(self._connection)

    @cached_property
    def outputs(self) -> Outputs:
        """What the scripts printed."""
        return Outputs(self._connection)

    @cached_property
    def questions(self) -> Questions:
        """What runs ask people."""
        return Questions(self._connection)

    @cached_property
    def recurrences(self) -> Recurrences:
        """When schedules come next."""
        return Recurrences(self._connection)

    @cached_property
    def releases(self) -> Releases:
        """Releases."""
        return Releases(self._connection)

    @cached_property
    def retention(self) -> Retention:
        """What goes."""
        return Retention(self._connection)

    @cached_property
    def runs(self) -> StepRuns:
        """Step runs."""
        return StepRuns(self._connection)

    @cached_property
    def sealed(self) -> SealedValues:
        """Rows with sealed values."""
        return SealedValues(self._connection)

    @cached_property
    def settings(self) -> SettingValues:
        """What the engine keeps for itself."""
        return SettingValues(self._connection)

    @cached_property
    def steps(self) -> Steps:
        """Steps of deployments."""
        return Steps(self._connection)

    @cached_property
    def trusted_keys(self) -> TrustedKeys:
        """Host keys that somebody trusts."""
        return TrustedKeys(self._connection)

    @cached_property
    def views(self) -> Views:
        """Read-only summaries."""
        return Views(self._connection)

    @cached_property
    def workers(self) -> Workers:
        """Worker processes."""
        return Workers(self._connection)
