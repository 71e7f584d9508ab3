"""The only place that joins parts: settings in, a ready engine out."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from celery import Celery
from redis import Redis

from deployengine.domain.environment import Machine
from deployengine.embedded.broker_url import broker_url
from deployengine.embedded.master_key import MasterKeys
from deployengine.embedded.private_folder import make_folder
from deployengine.embedded.redis_server import EmbeddedRedis
from deployengine.engine.again import Again
from deployengine.engine.answers import Answers
from deployengine.engine.archive import Archive
from deployengine.engine.audit_trail import AuditTrail
from deployengine.engine.batches import Batches
from deployengine.engine.calendar import Calendar
from deployengine.engine.catalogs import Catalogs
from deployengine.engine.catching_up import CatchingUp
from deployengine.engine.clock import SystemClock
from deployengine.engine.deployments import Deployments
from deployengine.engine.feeds import Feeds
from deployengine.engine.fingerprint_key import fingerprint_key
from deployengine.engine.handoff import HandOff
from deployengine.engine.health import HealthChecks
from deployengine.engine.installation import Installations
from deployengine.engine.key_rotation import KeyRotation
from deployengine.engine.lease import Lease, beat_interval
from deployengine.engine.machines import Machines
from deployengine.engine.order import Order
from deployengine.engine.package_choice import PackageChoice
from deployengine.engine.package_store import PackageStore
from deployengine.engine.phases import Phases
from deployengine.engine.pick_up import PickUp
from deployengine.engine.ports import Clock
from deployengine.engine.queries import Queries
from deployengine.engine.recall import Recall
from deployengine.engine.recovery import Recovery
from deployengine.engine.releases import Releases
from deployengine.engine.retention import Retention
from deployengine.engine.roll import Roll
from deployengine.engine.run_tickets import RunTickets
from deployengine.engine.schedules import Schedules
from deployengine.engine.step_runs import StepRuns
from deployengine.engine.tidiness import Tidiness
from deployengine.engine.trust import Trust
from deployengine.engine.waits import Waits
from deployengine.engine.watch import Watch
from deployengine.engine.ways import Ways
from deployengine.locks import Beats, MachineLocks
from deployengine.packages.cache import PackageCache
from deployengine.persistence import Database
from deployengine.persistence.tables import prepare
from deployengine.queue.app import make_app
from deployengine.queue.dispatcher import CeleryDispatcher
from deployengine.sealing import KeyRing, SecretBox
from deployengine.settings import Settings
from deployengine.steps.contract import Runner
from deployengine.steps.local import LocalRunner
from deployengine.steps.place import place_of
from deployengine.steps.ssh import Fleet

LOCKS_PREFIX = "deployengine:locks"


class Services:
    """Every use case over one set of connections; parts are made when they are first used."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()

    @classmethod
    def open(cls, settings: Settings, clock: Clock | None = None) -> Self:
        """Services over a database that is ready; starts the embedded Redis where one is meant.

        Raises ``Unreachable`` when the database cannot be reached or is not up to date.
        """
        services = cls(settings, clock)
        # What is in the home is nobody else's business: outputs, plans, the key.
        make_folder(settings.home)
        prepare(services.database)
        return services

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes connections; servers go on."""
        for name in ("_fleet", "redis", "database", "app"):
            if name in self.__dict__:
                self.__dict__[name].close()

    @cached_property
    def database(self) -> Database:
        """SQLite in the home, or PostgreSQL."""
        return Database(self.settings.database_url, self.settings.lease)

    @cached_property
    def embedded_redis(self) -> EmbeddedRedis:
        """The server in the home, whether it runs or not."""
        return EmbeddedRedis(self.settings.home)

    @cached_property
    def redis_url(self) -> str:
        """Where Redis is; the embedded one is started."""
        return self.settings.redis_url or self.embedded_redis.ensure()

    def ensure_redis(self) -> None:
        """Starts the embedded Redis again if it died; one given by URL is somebody else's."""
        if self.settings.embedded_redis:
            self.embedded_redis.ensure()

    @cached_property
    def redis(self) -> Redis:
        """A client for the locks; a server that is deaf for longer counts as away."""
        return Redis.from_url(self.redis_url, socket_timeout=5, socket_connect_timeout=5)

    @cached_property
    def app(self) -> Celery:
        """The Celery application on that Redis."""
        return make_app(broker_url(self.redis_url))

    @cached_property
    def master_keys(self) -> MasterKeys:
        """The keys, and the file that they are in."""
        return MasterKeys(self.settings)

    @cached_property
    def _key_ring(self) -> KeyRing:
        return KeyRing(self.master_keys)

    @cached_property
    def secrets(self) -> SecretBox:
        """Seals and unseals with the master keys."""
        return SecretBox(self._key_ring, fingerprint_key(self.database, self._key_ring))

    @cached_property
    def key_rotation(self) -> KeyRotation:
        """Change master keys."""
        return KeyRotation(self.database, self._key_ring)

    @cached_property
    def locks(self) -> MachineLocks:
        """Admission in Redis."""
        return MachineLocks(self.redis, LOCKS_PREFIX)

    @cached_property
    def dispatcher(self) -> CeleryDispatcher:
        """Carries messages."""
        return CeleryDispatcher(self.app, self.redis)

    @cached_property
    def archive(self) -> Archive:
        """Plans and snapshots read before."""
        return Archive()

    @cached_property
    def handoff(self) -> HandOff:
        """The way in and out of admission."""
        handoff = HandOff(self.database, self.locks, self.dispatcher, self.archive)
        recall = Recall(self.database, self.locks, handoff, self.archive)
        handoff.make_way = recall.make_way
        return handoff

    @cached_property
    def audit_trail(self) -> AuditTrail:
        """Read and check what is on record."""
        return AuditTrail(self.database)

    @cached_property
    def catalogs(self) -> Catalogs:
        """Apply catalogs."""
        return Catalogs(self.database, self.clock)

    @cached_property
    def releases(self) -> Releases:
        """Create releases."""
        return Releases(self.database, self.handoff, self.clock, self.secrets, self._package_choice)

    @cached_property
    def deployments(self) -> Deployments:
        """Deploy and cancel."""
        return Deployments(
            self.database,
            self.handoff,
            self.dispatcher,
            self.archive,
            self.clock,
            self.secrets,
            self.secrets.seal,
        )

    @cached_property
    def answers(self) -> Answers:
        """Take answers to runs whose end is unknown."""
        return Answers(self.database, self.handoff, self.archive, self.clock, self.secrets)

    @cached_property
    def batches(self) -> Batches:
        """Run, watch and cancel batches."""
        return Batches(
            self.database,
            self.handoff,
            self.deployments,
            self.clock,
            self.secrets,
            self._package_choice,
        )

    @cached_property
    def phases(self) -> Phases:
        """Carry deployments through their steps."""
        return Phases(self.database, self.handoff, self.archive, self.clock, self.secrets)

    @cached_property
    def step_runs(self) -> StepRuns:
        """Carry step runs out."""
        return StepRuns(
            self.database,
            self.handoff,
            self.archive,
            self.clock,
            self.lease,
            self._run_tickets,
            self.secrets.seal,
            self.secrets,
            task_cap=self.settings.task_cap,
            output_interval=timedelta(seconds=self.settings.output_interval),
        )

    @cached_property
    def _run_tickets(self) -> RunTickets:
        grace = timedelta(seconds=self.settings.cancel_grace)
        packages, secrets = self.packages, self.secrets
        installations = Installations(packages, self._scripts_of, secrets)
        return RunTickets(self._runner_of, packages, installations, secrets, grace)

    @cached_property
    def _package_choice(self) -> PackageChoice:
        return PackageChoice(self.database, self.packages)

    @cached_property
    def packages(self) -> PackageStore:
        """Have packages at hand."""
        home = self.settings.home
        feeds = Feeds(self.database, self.secrets, home)
        return PackageStore(feeds, PackageCache(home / "packages"))

    @cached_property
    def beats(self) -> Beats:
        """Signs of life in Redis; over a client of its own, which does not wait for long."""
        patience = beat_interval(self.settings.lease)
        client = Redis.from_url(
            self.redis_url, socket_timeout=patience, socket_connect_timeout=patience
        )
        return Beats(client, LOCKS_PREFIX)

    @cached_property
    def lease(self) -> Lease:
        """This process's right to begin scripts, if it is a worker."""
        name = f"worker-{os.getpid()}@{socket.gethostname()}"
        task_cap, seconds = self.settings.task_cap, self.settings.lease
        place = place_of(self.settings.home / "tickets")
        return Lease(self.database, self.beats, self.clock, name, task_cap, seconds, place)

    @cached_property
    def pick_up(self) -> PickUp:
        """Go on with what lost workers were running."""
        watch = Watch(self.database, self.beats, self.clock, self.settings.lease)
        return PickUp(watch, self.lease, self.step_runs, self.clock)

    @cached_property
    def tidiness(self) -> Tidiness:
        """Remove what is left on machines."""
        return Tidiness(self.database, self._runner_at_hand, self.clock)

    @cached_property
    def recovery(self) -> Recovery:
        """Find what got lost."""
        return Recovery(
            self.database, self.locks, self.handoff, self.dispatcher, self.archive, self.clock
        )

    @cached_property
    def again(self) -> Again:
        """Try again, roll back, catch up."""
        return Again(self.database, self.deployments, self.archive, self.clock, self.secrets)

    @cached_property
    def order(self) -> Order:
        """Change who comes next."""
        return Order(self.database, self.handoff, self.archive, self.locks, self.clock)

    @cached_property
    def machines(self) -> Machines:
        """Look machines up, take them out of use and back in."""
        return Machines(self.database, self.handoff, self.archive, self.clock, self.secrets)

    @cached_property
    def health_checks(self) -> HealthChecks:
        """Look at machines."""
        interval = self.settings.health_interval
        checks = HealthChecks(self.database, self._runner_of, self.clock, interval)
        checks.on_return = self._welcome
        return checks

    @cached_property
    def catching_up(self) -> CatchingUp:
        """Bring machines what they have missed."""
        return CatchingUp(self.database, self.deployments, self.archive, self.clock, self.secrets)

    def _welcome(self) -> None:
        """A machine is back: what waits for it goes on, and it gets what it has missed."""
        with self.handoff.or_later("what a machine that is back gets"):
            self.calendar.look()
            self.catching_up.look()

    def look_at_machines(self) -> None:
        """Those that are due, what those that are back have missed, and what is left on them."""
        self.health_checks.look()
        self.catching_up.look()
        # Machines that are reached by SSH are at hand now, though no worker may be connected.
        self.tidiness.look()

    @cached_property
    def calendar(self) -> Calendar:
        """Let go on what waits for a time."""
        return Calendar(self.database, self.handoff, self.archive, self.clock)

    @cached_property
    def schedules(self) -> Schedules:
        """Ask for what is to be deployed again and again."""
        return Schedules(self.database, self.deployments, self.clock)

    def look_at_the_clock(self) -> None:
        """What is due now."""
        self.schedules.look()
        self.calendar.look()

    @cached_property
    def retention(self) -> Retention:
        """Remove what lifecycles do not keep."""
        return Retention(self.database, self.clock)

    @cached_property
    def roll(self) -> Roll:
        """Which workers there are."""
        return Roll(self.database, self.clock, self.settings.lease)

    @cached_property
    def queries(self) -> Queries:
        """Look things up."""
        return Queries(self.database, self.locks, self.secrets)

    @cached_property
    def waits(self) -> Waits:
        """Say what waits for what."""
        return Waits(self.database, self.locks, self.archive, self.clock, self.roll)

    def workdir_of(self, machine: Machine) -> Path:
        """The folder of a local machine; a relative one counts from the home."""
        workdir = str(machine.connection["workdir"]).replace("#{machine}", machine.name)
        return Path(self.settings.home, workdir)

    def _scripts_of(self, machine: Machine) -> str:
        """The folder of a machine's scripts, as far as it is known here."""
        if machine.is_local:
            return str(self.workdir_of(machine))
        return str(machine.connection["workdir"])

    def _runner_of(self, machine: Machine) -> Runner:
        return self._local_runner(machine) if machine.is_local else self._fleet.runner(machine)

    def _runner_at_hand(self, machine: Machine) -> Runner | None:
        """Without a connection of its own: looking for what was left there is not worth one."""
        if machine.is_local:
            return self._local_runner(machine)
        return self._fleet.runner(machine) if self._fleet.connected(machine) else None

    def _local_runner(self, machine: Machine) -> Runner:
        tickets = self.settings.home / "tickets" / machine.name
        return LocalRunner(str(self.workdir_of(machine)), str(tickets))

    @cached_property
    def ways(self) -> Ways:
        """Look up how machines are reached."""
        return Ways(self.database, self.secrets)

    @cached_property
    def trust(self) -> Trust:
        """Learn the host keys of machines."""
        return Trust(self.database, self.ways, self.clock)

    @cached_property
    def _fleet(self) -> Fleet:
        return Fleet(self.ways.to)
