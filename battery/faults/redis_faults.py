"""Faults of Redis: gone, empty, back in time, replaced, silent, full, wrong about the hour."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import redis

from battery.clock import library
from battery.faults.fault import NotPossible, Stage
from battery.redis_server import RedisServer

REDIS = frozenset({"redis"})


@dataclass
class RedisFault:
    """One of them; those that last are lifted after ``seconds``."""

    kind: ClassVar[str] = "Redis"
    lawful: ClassVar[bool] = False
    seconds: float
    touches: ClassVar[frozenset[str]] = REDIS
    _snapshot: Path | None = field(default=None, init=False)

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(round(dice.uniform(0.2, 1.2), 2) * min(lease, 2.0))

    def inject(self, stage: Stage) -> str:
        self.harm(stage.house.redis)
        return f"{self.seconds:.2f} s"

    def lift(self, stage: Stage) -> bool:
        self.mend(stage.house.redis)
        return True

    def harm(self, server: RedisServer) -> None:
        """What is done."""

    def mend(self, server: RedisServer) -> None:
        """What is done after ``seconds``."""


class RedisKilled(RedisFault):
    """SIGKILL; after a while an empty one stands in its place."""

    kind: ClassVar[str] = "Redis killed, restarted empty"

    def harm(self, server: RedisServer) -> None:
        server.kill()

    def mend(self, server: RedisServer) -> None:
        server.start()


class RedisFlushed(RedisFault):
    """FLUSHALL."""

    kind: ClassVar[str] = "Redis FLUSHALL"

    def harm(self, server: RedisServer) -> None:
        with server.client() as client:
            client.flushall()


class RedisScriptsFlushed(RedisFault):
    """SCRIPT FLUSH."""

    kind: ClassVar[str] = "Redis SCRIPT FLUSH"

    def harm(self, server: RedisServer) -> None:
        with server.client() as client:
            client.script_flush()


class RedisOldSnapshot(RedisFault):
    """It is restarted with what it held a while ago."""

    kind: ClassVar[str] = "Redis restarted from an old snapshot"

    def harm(self, server: RedisServer) -> None:
        self._snapshot = server.snapshot()

    def mend(self, server: RedisServer) -> None:
        server.kill()
        server.start(self._snapshot)


class RedisFailedOver(RedisFault):
    """A replica takes its place, which lacks what was written last."""

    kind: ClassVar[str] = "Redis replaced by a replica that lost writes"

    def harm(self, server: RedisServer) -> None:
        server.replicate()

    def mend(self, server: RedisServer) -> None:
        server.promote()


class RedisStopped(RedisFault):
    """SIGSTOP and SIGCONT."""

    kind: ClassVar[str] = "Redis SIGSTOP"

    def harm(self, server: RedisServer) -> None:
        server.freeze()

    def mend(self, server: RedisServer) -> None:
        server.thaw()


class RedisPaused(RedisFault):
    """CLIENT PAUSE."""

    kind: ClassVar[str] = "Redis CLIENT PAUSE"

    def harm(self, server: RedisServer) -> None:
        with server.client() as client:
            client.client_pause(int(self.seconds * 1000))


class RedisFull(RedisFault):
    """Out of memory: it takes no writes."""

    kind: ClassVar[str] = "Redis out of memory"

    def harm(self, server: RedisServer) -> None:
        with server.client() as client:
            client.config_set("maxmemory", 1)

    def mend(self, server: RedisServer) -> None:
        with server.client() as client:
            client.config_set("maxmemory", 0)


class RedisConnectionsCut(RedisFault):
    """Every connection is cut."""

    kind: ClassVar[str] = "Redis connections cut"

    def harm(self, server: RedisServer) -> None:
        with server.client() as client, suppress(redis.RedisError):
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@dataclass
class RedisClock(RedisFault):
    """Its clock is an hour wrong for a while."""

    kind: ClassVar[str] = "clock of Redis wrong by an hour"
    offset: str = "+1h"

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:
        return cls(2 * min(lease, 2.0), offset=dice.choice(("+1h", "-1h")))

    def inject(self, stage: Stage) -> str:
        if library() is None:
            raise NotPossible("libfaketime is not installed")
        self._restart(stage.house.redis, self.offset)
        return self.offset

    def mend(self, server: RedisServer) -> None:
        self._restart(server, None)

    def _restart(self, server: RedisServer, clock: str | None) -> None:
        snapshot = server.snapshot()
        server.kill()
        server.start(snapshot, clock)


FAULTS: tuple[type[RedisFault], ...] = (
    *(RedisKilled, RedisFlushed, RedisScriptsFlushed, RedisOldSnapshot, RedisFailedOver),
    *(RedisStopped, RedisPaused, RedisFull, RedisConnectionsCut, RedisClock),
)
