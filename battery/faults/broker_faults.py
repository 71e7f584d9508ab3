"""Faults of messages: the battery stands in the queue as one more consumer and misbehaves."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Self

import redis

from battery.faults.fault import Stage
from deployengine.queue.app import CONTROL_QUEUE, KEY_PREFIX, RUNS_QUEUE
from deployengine.queue.transport import URGENT_LIST

#: A message, and the list that it was in: what is urgent has one of its own beside its queue's.
Taken = tuple[bytes, bytes]

QUEUES = (f"{KEY_PREFIX}{RUNS_QUEUE}", f"{KEY_PREFIX}{CONTROL_QUEUE}")


@dataclass
class BrokerFault:
    """Takes messages for ``seconds``, at most ``count``, and gives them back ill, or not at all."""

    kind: ClassVar[str] = "messages"
    lawful: ClassVar[bool] = False
    queue: str
    count: int
    seconds: float
    #: Messages that it must have taken, or nothing has happened.
    least: ClassVar[int] = 1
    touches: ClassVar[frozenset[str]] = frozenset({"redis"})

    @classmethod
    def drawn(cls, dice: random.Random, lease: float) -> Self:  # noqa: ARG003
        seconds = round(dice.uniform(0.5, 1.5), 2)
        return cls(dice.choice(QUEUES), dice.randint(cls.least, 4), seconds)

    def inject(self, stage: Stage) -> str:
        self._taken: list[Taken] = []
        self._thread = threading.Thread(target=self._take, args=(stage,), daemon=True)
        self._thread.start()
        return f"{self.queue.removeprefix(KEY_PREFIX)}, up to {self.count}"

    def lift(self, stage: Stage) -> bool:  # noqa: ARG002
        self._thread.join()
        return len(self._taken) >= self.least

    def _take(self, stage: Stage) -> None:
        deadline, taken = time.monotonic() + self.seconds, self._taken
        lists = [f"{self.queue}{URGENT_LIST}", self.queue]
        with stage.house.redis.client() as client, suppress(redis.RedisError):
            while len(taken) < self.count and (left := deadline - time.monotonic()) > 0:
                found = client.brpop(lists, timeout=max(left, 0.05))
                if found:
                    taken.append((found[0], found[1]))
            self.give_back(client, taken)

    def give_back(self, client: redis.Redis, taken: list[Taken]) -> None:
        """What becomes of the messages."""


class MessagesDropped(BrokerFault):
    """They never come."""

    kind: ClassVar[str] = "messages dropped"


class MessagesDoubled(BrokerFault):
    """Each comes twice."""

    kind: ClassVar[str] = "messages doubled"

    def give_back(self, client: redis.Redis, taken: list[Taken]) -> None:
        for where, message in taken:
            client.lpush(where, message, message)


class MessagesDelayed(BrokerFault):
    """They come late."""

    kind: ClassVar[str] = "messages delayed"

    def give_back(self, client: redis.Redis, taken: list[Taken]) -> None:
        time.sleep(1.0)
        for where, message in taken:
            client.lpush(where, message)


class MessagesReordered(BrokerFault):
    """The last one comes first; of one alone there is no order."""

    kind: ClassVar[str] = "messages reordered"
    least: ClassVar[int] = 2

    def give_back(self, client: redis.Redis, taken: list[Taken]) -> None:
        for where, message in reversed(taken):
            client.lpush(where, message)


FAULTS: tuple[type[BrokerFault], ...] = (
    *(MessagesDropped, MessagesDoubled, MessagesDelayed, MessagesReordered),
)
