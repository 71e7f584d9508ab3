"""Machine locks: who may use which machine, window, tag or named resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from secrets import token_hex
from typing import TypeVar

from redis import Redis

from deployengine.domain.admission import Request
from deployengine.locks.errors import GenerationStale, LocksNotReady, RebuildSuperseded
from deployengine.locks.lock_views import LockViews
from deployengine.locks.scripts import Grant, Operation, Refused, Scripts, operands

PER_CALL = 100
CHUNK = 500

Item = TypeVar("Item")


class MachineLocks(LockViews):
    """Admits requests in ticket order, each as a whole, under one generation of the locks.

    Every method is idempotent by request id. Grants come back to whoever made the call that
    granted them, for whomever they are: publish them all. ``per_call`` bounds the waiters that
    one call of a script looks at, so that Redis is never busy for long.

    Raises LocksNotReady when Redis does not hold the generation given (lost, restarted, or being
    rebuilt); then nothing was changed, or a rebuild has wiped what was.
    """

    def __init__(self, client: Redis, prefix: str, per_call: int = PER_CALL) -> None:
        super().__init__(client, prefix)
        self._scripts = Scripts(client, self._keys)
        self._per_call = per_call

    def submit(self, generation: int, requests: Sequence[Request]) -> list[Grant]:
        """Takes requests in; returns what is granted by now, in ticket order.

        An id that is known already changes nothing; it is reported again if it holds.
        """
        in_order = sorted(requests, key=_by_ticket)
        return self._run(generation, "submit", (operands(part) for part in _chunks(in_order)))

    def release(self, generation: int, ids: Sequence[str]) -> list[Grant]:
        """Lets holders go and cancels waiters; returns what that grants, in ticket order.

        An unknown id does nothing.
        """
        return self._run(generation, "release", _chunks(ids))

    def exchange(
        self, generation: int, leaving: Sequence[str], entering: Sequence[Request]
    ) -> list[Grant]:
        """Lets some go and takes others in; returns what is granted by it, in ticket order.

        In one instant: who leaves and comes again with another ticket is passed by nobody who
        comes after that. Of more than fit into one call the first leave before the last come.
        """
        in_order = sorted(entering, key=_by_ticket)
        if len(leaving) + len(in_order) <= CHUNK:
            part = [str(len(leaving)), *leaving, *operands(in_order)]
            return self._run(generation, "exchange", [part])
        left = self.release(generation, leaving)
        return sorted({*left, *self.submit(generation, in_order)}, key=lambda grant: grant.ticket)

    def advance(self, generation: int) -> list[Grant]:
        """Ends what a process that died between two calls has left half done."""
        return self._run(generation, "advance", [[]])

    def rebuild(
        self, generation: int, granted: Iterable[Request], waiting: Iterable[Request]
    ) -> list[Grant]:
        """Replaces all that Redis holds; returns the waiters that are granted by it.

        Everybody else sees LocksNotReady until it is complete. Of several rebuilders the newest
        wins, the others get RebuildSuperseded; GenerationStale if Redis knows a newer generation.
        """
        token = f"{generation}:{token_hex(8)}"
        outcome, found = self._scripts.rebuild("begin", generation, token)
        if outcome == "stale":
            raise GenerationStale(generation, found)
        loads: list[tuple[Operation, Iterable[Request]]] = [
            ("hold", granted),
            ("submit", sorted(waiting, key=_by_ticket)),
        ]
        grants: set[Grant] = set()
        for operation, requests in loads:
            for chunk in _chunks(requests):
                self._drain_as_rebuilder(token, operation, operands(chunk), grants)
        outcome, _ = self._scripts.rebuild("finish", generation, token)
        if outcome != "ok":
            raise RebuildSuperseded
        return sorted(grants, key=lambda grant: grant.ticket)

    def _run(
        self, generation: int, operation: Operation, parts: Iterable[Sequence[str]]
    ) -> list[Grant]:
        grants: set[Grant] = set()
        for part in parts:
            refused = self._drain(self._keys.generation, str(generation), operation, part, grants)
            if refused:
                raise LocksNotReady(generation, refused.found)
        return sorted(grants, key=lambda grant: grant.ticket)

    def _drain_as_rebuilder(
        self, token: str, operation: Operation, part: Sequence[str], grants: set[Grant]
    ) -> None:
        if self._drain(self._keys.rebuild, token, operation, part, grants):
            raise RebuildSuperseded

    def _drain(
        self,
        guard: str,
        expected: str,
        operation: Operation,
        part: Sequence[str],
        grants: set[Grant],
    ) -> Refused | None:
        """One operation, and as many calls more as it takes to look at all it has woken."""
        while True:
            step = self._scripts.admission(guard, expected, operation, self._per_call, part)
            if isinstance(step, Refused):
                return step
            grants.update(step.grants)
            if not step.more:
                return None
            operation, part = "advance", ()


def _by_ticket(request: Request) -> tuple[int, str]:
    return request.ticket, request.id


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
