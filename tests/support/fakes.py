"""Stand-ins at the engine's own seams, and a house that is built with them.

Nothing here moves by itself: time stands until a test advances it, and a message lies in the
dispatcher until a test delivers it, loses it, or delivers it twice.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from redis import Redis
from sqlalchemy import Connection

from deployengine.catalog import load
from deployengine.domain.errors import Unreachable
from deployengine.engine.ports import Backlog, GrantedRun, Link, LinkKind
from deployengine.engine.queries import DeploymentDetail
from deployengine.engine.releases import Wanted
from deployengine.engine.step_runs import Outcome
from deployengine.locks import Beats
from deployengine.persistence import Database, Transaction
from deployengine.persistence.records import DeploymentRecord
from deployengine.persistence.tables import prepare
from deployengine.services import LOCKS_PREFIX, Services
from deployengine.settings import Settings
from tests.support.databases import lay_database
from tests.support.fences import from_zero


class FakeClock:
    """A clock that a test moves. It begins with the real time, since Redis has its own."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self._seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The present instant in UTC."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        with self._lock:
            return self._seconds

    def advance(self, seconds: float) -> None:
        """Lets so much time pass."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._seconds += seconds


class RecordingDispatcher:
    """Keeps every message until it is taken out; what lies here is the backlog."""

    def __init__(self) -> None:
        self.chains: list[tuple[Link, ...]] = []
        self.granted: list[GrantedRun] = []
        self.told_parked: list[tuple[int, str]] = []
        self.told_cancelled: list[int] = []
        self.told_left = 0

    def chain(self, links: Sequence[Link]) -> None:
        """Has the links done in order, each when the one before has ended."""
        self.chains.append(tuple(links))

    def runs(self, granted: Sequence[GrantedRun]) -> None:
        """Hands each run to whichever worker has a free slot."""
        self.granted.extend(granted)

    def parked(self, labels: Sequence[tuple[int, str]]) -> None:
        """Tells those who watch the queues that these runs wait, by id and label."""
        self.told_parked.extend(labels)

    def cancel(self, run_ids: Sequence[int]) -> None:
        """Tells the workers that run these to end them."""
        self.told_cancelled.extend(run_ids)

    def left(self) -> None:
        """Tells the workers that one of them has left."""
        self.told_left += 1

    def backlog(self) -> Backlog:
        """How much is on its way."""
        return Backlog(links=len(self.chains), runs=len(self.granted))

    @property
    def quiet(self) -> bool:
        """Whether nothing has been sent since the last :meth:`lose`, or all of it was delivered."""
        return not (self.chains or self.granted or self.told_cancelled)

    def lose(self) -> None:
        """Every message is gone, as with a broker that lost its memory."""
        self.chains.clear()
        self.granted.clear()
        self.told_parked.clear()
        self.told_cancelled.clear()

    def take_chains(self) -> list[tuple[Link, ...]]:
        """The chains that nobody has taken yet."""
        taken, self.chains[:] = list(self.chains), []
        return taken

    def take_runs(self) -> list[GrantedRun]:
        """The runs that nobody has taken yet."""
        taken, self.granted[:] = list(self.granted), []
        return taken


class FragileDatabase(Database):
    """The real database, from which a test may cut one process off."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        #: Nothing can be asked.
        self.away = False
        #: Names of writes that are committed, each once, with their answer lost.
        self.unanswered: list[str] = []
        #: What happens in the world, once, when the write of this name has been committed.
        self.meanwhile: dict[str, Callable[[], None]] = {}
        #: What happens in the world, once, just before the write of this name begins.
        self.beforehand: dict[str, Callable[[], None]] = {}

    @contextmanager
    def connected(self, begin: str = "BEGIN") -> Iterator[Connection]:
        """A connection, unless the database is away."""
        if self.away:
            raise Unreachable("the database", self.url, "the test has cut it off")
        with super().connected(begin) as connection:
            yield connection

    @contextmanager
    def write(self, name: str | None = None) -> Iterator[Transaction]:
        """A transaction; its answer may get lost once it is committed."""
        if name in self.beforehand:
            self.beforehand.pop(name)()
        with super().write(name) as tx:
            yield tx
        if name in self.meanwhile:
            self.meanwhile.pop(name)()
        if name in self.unanswered:
            self.unanswered.remove(name)
            raise Unreachable("the database", self.url, "the test has lost its answer")


@contextmanager
def away(redis: Redis) -> Iterator[None]:
    """Lets nobody reach the Redis within this process."""
    server = redis.connection_pool.connection_kwargs["server"]
    server.connected = False
    try:
        yield
    finally:
        server.connected = True


class House(Services):
    """The engine as ``services`` joins it, over a SQLite file, with the fakes at its seams.

    Several over one home and one clock are the several processes of one engine.
    """

    clock: FakeClock

    def __init__(
        self, home: Path, redis: Redis, clock: FakeClock | None = None, **settings: Any
    ) -> None:
        chosen = {
            "master_key": Fernet.generate_key().decode(),
            "output_interval": 0.02,
            "cancel_grace": 5.0,
            **settings,
        }
        super().__init__(Settings(home=home, **chosen), clock or FakeClock())
        self._redis = redis
        lay_database(home / "deployengine.db")
        prepare(self.database)
        from_zero(self.database)

    def neighbour(self, **settings: Any) -> House:
        """Another process of the same engine; the caller closes it."""
        key = self.settings.master_key
        return House(self.settings.home, self.redis, self.clock, master_key=key, **settings)

    @property
    def redis(self) -> Redis:
        """The Redis it was given, which is not its own to close."""
        return self._redis

    @cached_property
    def database(self) -> FragileDatabase:
        """The SQLite file in the home."""
        return FragileDatabase(self.settings.database_url)

    @cached_property
    def beats(self) -> Beats:
        """Signs of life in the same Redis."""
        return Beats(self.redis, LOCKS_PREFIX)

    @cached_property
    def dispatcher(self) -> RecordingDispatcher:  # type: ignore[override]  # the port is what counts
        """Keeps the messages."""
        return RecordingDispatcher()

    # ---- what there is ----

    def apply(self, catalog: Mapping[str, Any]) -> None:
        """Makes the catalog what there is."""
        path = self.settings.home / "catalog.yaml"
        path.write_text(json.dumps(catalog), encoding="utf-8")
        self.catalogs.apply(load([path]).sealed(self.secrets.seal))

    def create(
        self, project: str, version: str = "1.0", channel: str | None = None
    ) -> DeploymentRecord:
        """A release of the project: the one deployment that it begins with."""
        (deployment,) = self.releases.create(Wanted(project, version, channel)).deployments
        return deployment

    def detail(self, number: int) -> DeploymentDetail:
        """A deployment with its runs."""
        return self.queries.deployment(number)

    def states(self, number: int) -> list[str]:
        """The states of a deployment's runs by step, machine and attempt."""
        return [run.state.value for run in self.detail(number).runs]

    def workdir(self, machine: str) -> Path:
        """The folder of a machine."""
        return self.settings.home / "machines" / machine

    # ---- delivering ----

    def carry(self, links: Iterable[Link]) -> bool:
        """Does the links of a chain as a worker does; false when it stopped on the way."""
        for link in links:
            if link.kind is LinkKind.FINISH:
                self.phases.finish(link.deployment_id)
            elif link.kind is LinkKind.BEGIN:
                if not self.phases.begin(link.deployment_id):
                    return False
            elif not self.phases.open_stage(link.deployment_id, link.position):
                return False
        return True

    def carry_on(self, number: int) -> None:
        """Sends what is left of a deployment's chain, as housekeeping does."""
        self.handoff.resume(number)

    def deliver_chains(self) -> None:
        """Delivers chains until no more come."""
        while chains := self.dispatcher.take_chains():
            for links in chains:
                self.carry(links)

    def execute(self, run: GrantedRun) -> Outcome | None:
        """Carries a run out here and now."""
        return self.step_runs.execute(run.run_id, run.granted_at)

    def deliver_runs(self) -> list[Outcome | None]:
        """Carries out the runs that are granted now, in order."""
        return [self.execute(run) for run in self.dispatcher.take_runs()]

    def deliver_all(self) -> None:
        """Delivers whatever comes until nothing more does."""
        while self.dispatcher.chains or self.dispatcher.granted:
            self.deliver_chains()
            self.deliver_runs()

    def held(self) -> dict[str, tuple[list[str], list[str]]]:
        """Who holds and who waits, by resource."""
        return {
            view.resource: ([h.id for h in view.holders], [w.id for w in view.waiters])
            for view in self.queries.locks()
        }
