"""Faults of the database: connections cut in the midst of a statement, a commit without an answer,
the whole server away, a writer that holds everybody up."""

from __future__ import annotations

import random
import sqlite3
import time
from dataclasses import dataclass, field
from typing import ClassVar, Self

from battery.faults.fault import NotNow, NotPossible, Stage
from battery.postgres_proxy import PostgresProxy

DATABASE = frozenset({"database"})


@dataclass
class DatabaseFault:
    """One of them."""

    kind: ClassVar[str] = "database"
    lawful: ClassVar[bool] = False
    number: int
    seconds: float
    touches: ClassVar[frozenset[str]] = DATABASE

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        return cls(dice.randint(1, 60), 1.0)

    def inject(self, stage: Stage) -> str:
        proxy = stage.house.database.proxy
        if proxy is None:
            raise NotPossible("only where a proxy stands before the database")
        stage.house.deaf_until = time.monotonic() + self.seconds + 5
        return self.harm(proxy)

    def lift(self, stage: Stage) -> bool:
        proxy = stage.house.database.proxy
        return proxy is not None and self.mend(proxy)

    def harm(self, proxy: PostgresProxy) -> str:
        """What is done."""
        raise NotImplementedError

    def mend(self, proxy: PostgresProxy) -> bool:
        """What is done after ``seconds``; says whether anything came of it."""
        raise NotImplementedError


@dataclass
class ConnectionCut(DatabaseFault):
    """A trap in the proxy; it counts if it has sprung while it was set."""

    _cuts: int = field(default=0, init=False)

    def harm(self, proxy: PostgresProxy) -> str:
        self._cuts = proxy.cuts
        return self.set(proxy)

    def mend(self, proxy: PostgresProxy) -> bool:
        proxy.disarm()
        return proxy.cuts > self._cuts

    def set(self, proxy: PostgresProxy) -> str:
        """Sets it; says where."""
        raise NotImplementedError


class StatementCut(ConnectionCut):
    """The N-th message to the server is lost, and the connection."""

    kind: ClassVar[str] = "database connection cut at a statement"

    def set(self, proxy: PostgresProxy) -> str:
        proxy.cut_message(self.number)
        return f"message {self.number}"


class CommitCut(ConnectionCut):
    """A commit is carried out, and its answer is lost with the connection."""

    kind: ClassVar[str] = "database connection cut after a commit"

    def set(self, proxy: PostgresProxy) -> str:
        proxy.cut_commit()
        return "the next COMMIT"


class ServerAway(DatabaseFault):
    """Nobody can reach it for a while."""

    kind: ClassVar[str] = "database away"

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(0, round(dice.uniform(0.5, 2.0), 2) * min(lease, 2.0))

    def harm(self, proxy: PostgresProxy) -> str:
        proxy.away()
        return f"{self.seconds:.2f} s"

    def mend(self, proxy: PostgresProxy) -> bool:
        proxy.back()
        return True


@dataclass
class WriterInTheWay:
    """Somebody else holds SQLite's write lock for a while."""

    kind: ClassVar[str] = "database locked by a writer"
    lawful: ClassVar[bool] = False
    seconds: float
    touches: ClassVar[frozenset[str]] = DATABASE
    _writer: sqlite3.Connection | None = field(default=None, init=False)

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(round(dice.uniform(0.5, 2.0), 2) * min(lease, 2.0))

    def inject(self, stage: Stage) -> str:
        if stage.house.database.kind != "sqlite":
            raise NotPossible("only on SQLite")
        path = stage.house.home / "deployengine.db"
        writer = sqlite3.connect(path, timeout=0.5, isolation_level=None)
        try:
            writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            # A process that was stopped in the middle of its own may hold it, and wakes only when
            # this thread comes to it.
            writer.close()
            raise NotNow("somebody else is writing") from error
        self._writer = writer
        return f"{self.seconds:.2f} s"

    def lift(self, stage: Stage) -> bool:  # noqa: ARG002
        if self._writer is None:
            return False
        self._writer.execute("ROLLBACK")
        self._writer.close()
        self._writer = None
        return True


FAULTS: tuple[type[DatabaseFault] | type[WriterInTheWay], ...] = (
    *(StatementCut, CommitCut, ServerAway, WriterInTheWay),
)
