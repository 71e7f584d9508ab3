"""The lock rule, as an executable specification.

A request asks for its whole set of claims at once and holds nothing while it waits. Only holders
and earlier tickets stand in its way, so nobody waits in a circle and nobody is overtaken:

- an exclusive claim is free when nobody holds the resource and no earlier ticket waits for it;
- a shared claim is free when no exclusive one holds it, no earlier exclusive one waits for it and,
  with a limit of N, fewer than N hold it;
- a request is granted when every claim of it is free.

A grant unblocks nobody: who waited in a mode now holds in that mode, and a holder is in the way
of at least those whom it was in the way of as a waiter. So one look at the waiters, in ticket
order, is enough after each departure, and after an arrival only the new request need be looked at.

The scripts in ``deployengine/locks/lua`` state the same rule for Redis; a test drives both.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile

LAST_TICKET = 10**15


class Mode(StrEnum):
    """How a resource is used: alone, or together with other shared users."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Claim:
    """The wish to use one resource; ``limit``: at most so many shared holders, this one included.

    Claims on one resource should bear one limit: who has the larger one passes who has the smaller.
    Raises ValueError for an empty resource, one with a NUL, a limit below 1 or on an exclusive
    claim (which is alone in any case).
    """

    resource: str
    mode: Mode
    limit: int | None = None

    def __post_init__(self) -> None:
        _check_name("resource", self.resource)
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit of {self.resource!r} is {self.limit}, must be 1 or more")
        if self.limit is not None and self.mode is Mode.EXCLUSIVE:
            raise ValueError(f"exclusive claim on {self.resource!r} cannot have a limit")


@dataclass(frozen=True, slots=True)
class Request:
    """A set of claims that is granted as a whole or not at all; smaller tickets come first.

    Raises ValueError when it has no claim, claims a resource twice, has more than one limited
    claim, or its id or ticket is out of range. ``label`` says for people what it is.
    """

    id: str
    ticket: int
    claims: tuple[Claim, ...]
    label: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _check_name("request id", self.id)
        if "\0" in self.label:
            raise ValueError(f"label of {self.id!r} contains a NUL")
        if not 0 <= self.ticket <= LAST_TICKET:
            raise ValueError(f"ticket {self.ticket} is not within 0 and {LAST_TICKET}")
        if not self.claims:
            raise ValueError(f"request {self.id!r} claims nothing")
        if len({claim.resource for claim in self.claims}) < len(self.claims):
            raise ValueError(f"request {self.id!r} claims a resource twice")
        # A full house does not reserve the next free place for who waits for more than that place
        # (it would stand empty meanwhile). With one limited claim this ends well: everything else
        # is kept for the earlier ticket, then the next place is its own. With two, either may be
        # full whenever the other has room, forever.
        if sum(claim.limit is not None for claim in self.claims) > 1:
            raise ValueError(f"request {self.id!r} has more than one claim with a limit")


def _check_name(what: str, name: str) -> None:
    if not name or "\0" in name:
        raise ValueError(f"{what} {name!r} is empty or contains a NUL")


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why one claim is not free now: ids in the way, in ticket order.

    With ``limit_reached`` the holders are those that take the places.
    """

    resource: str
    mode: Mode
    holders: tuple[str, ...]
    earlier: tuple[str, ...]
    limit_reached: bool


Place = tuple[int, str]  # ticket, request id


class Line:
    """Who holds and who waits for one resource, by mode, each in ticket order."""

    __slots__ = ("holding", "waiting")

    def __init__(self) -> None:
        self.holding: dict[Mode, list[Place]] = {mode: [] for mode in Mode}
        self.waiting: dict[Mode, list[Place]] = {mode: [] for mode in Mode}

    def earlier(self, mode: Mode, ticket: int) -> Iterator[Place]:
        """Those that wait in this mode with a smaller ticket."""
        return takewhile(lambda place: place[0] < ticket, self.waiting[mode])


Obstacle = Callable[[Claim, int, Line], Iterator[Place]]


def any_holder(claim: Claim, ticket: int, line: Line) -> Iterator[Place]:
    yield from exclusive_holder(claim, ticket, line)
    yield from line.holding[Mode.SHARED]


def exclusive_holder(_claim: Claim, _ticket: int, line: Line) -> Iterator[Place]:
    yield from line.holding[Mode.EXCLUSIVE]


def earlier_waiter(claim: Claim, ticket: int, line: Line) -> Iterator[Place]:
    yield from earlier_exclusive_waiter(claim, ticket, line)
    yield from line.earlier(Mode.SHARED, ticket)


def earlier_exclusive_waiter(_claim: Claim, ticket: int, line: Line) -> Iterator[Place]:
    yield from line.earlier(Mode.EXCLUSIVE, ticket)


def taken_places(claim: Claim, _ticket: int, line: Line) -> Iterator[Place]:
    if claim.limit is not None and len(line.holding[Mode.SHARED]) >= claim.limit:
        yield from line.holding[Mode.SHARED]


@dataclass(frozen=True, slots=True)
class Rule:
    """What stands in the way of a claim, by its mode, and when a set of claims is free.

    Handed in, so that the model check can leave out one condition and must then find a fault.
    """

    exclusive: tuple[Obstacle, ...] = (any_holder, earlier_waiter)
    shared: tuple[Obstacle, ...] = (exclusive_holder, earlier_exclusive_waiter, taken_places)
    whole: Callable[[Iterable[bool]], bool] = all

    def obstacles(self, claim: Claim) -> tuple[Obstacle, ...]:
        return self.exclusive if claim.mode is Mode.EXCLUSIVE else self.shared

    def is_free(self, claim: Claim, ticket: int, line: Line) -> bool:
        return all(
            next(obstacle(claim, ticket, line), None) is None for obstacle in self.obstacles(claim)
        )


RULE = Rule()


class Admission:
    """Holders and waiters, and what each arrival and departure grants.

    ``holding`` and ``waiting`` are taken as they are, without asking the rule: so a state can be
    restored or copied. Several requests in one call arrive, or leave, in one instant.
    """

    def __init__(
        self,
        holding: Iterable[Request] = (),
        waiting: Iterable[Request] = (),
        rule: Rule = RULE,
    ) -> None:
        self._rule = rule
        self._holding: dict[str, Request] = {}
        self._waiting: dict[str, Request] = {}
        self._lines: defaultdict[str, Line] = defaultdict(Line)
        for request in holding:
            self._hold(request)
        for request in waiting:
            self._wait(request)

    @property
    def holding(self) -> tuple[Request, ...]:
        """Every request that is granted, in ticket order."""
        return tuple(sorted(self._holding.values(), key=_place))

    @property
    def waiting(self) -> tuple[Request, ...]:
        """Every request that waits, in ticket order."""
        return tuple(sorted(self._waiting.values(), key=_place))

    def submit(self, *requests: Request) -> tuple[str, ...]:
        """Takes requests in; returns the ids that hold now, in ticket order.

        An id that is known already changes nothing; it is reported again if it holds.
        """
        return self.exchange((), requests)

    def release(self, *ids: str) -> tuple[str, ...]:
        """Lets holders go and cancels waiters; returns the ids granted by it, in ticket order.

        An unknown id does nothing.
        """
        return self.exchange(ids, ())

    def exchange(self, leaving: Sequence[str], entering: Sequence[Request]) -> tuple[str, ...]:
        """Both in one instant; returns the ids granted by it, in ticket order.

        Those of ``entering`` that held before are reported again.
        """
        left = [request for each in leaving if (request := self._leave(each))]
        held = {request.id for request in entering} & self._holding.keys()
        candidates = {}
        for request in entering:
            if request.id not in self._holding and request.id not in self._waiting:
                self._wait(request)
                candidates[request.id] = request
        resources = {claim.resource for request in left for claim in request.claims}
        candidates |= {request.id: request for request in self.candidates(resources)}
        granted = self._grant(candidates.values())
        return _ids(self._holding[each] for each in (*held, *granted))

    def candidates(self, resources: Iterable[str]) -> Iterable[Request]:
        """The waiters to look at again after something left these resources."""
        lines = [self._lines[resource] for resource in resources]
        ids = {each for line in lines for queue in line.waiting.values() for _, each in queue}
        return [self._waiting[each] for each in ids]

    def blockers(self, request_id: str) -> tuple[Blocker, ...]:
        """Why a waiter is not granted: one blocker for each claim that is not free.

        Empty for an id that holds or is unknown.
        """
        request = self._waiting.get(request_id)
        if request is None:
            return ()
        found = (self._blocker(claim, request.ticket) for claim in request.claims)
        return tuple(blocker for blocker in found if blocker)

    def holders(self, resource: str) -> tuple[str, ...]:
        """Ids that hold a resource, in ticket order."""
        return _ids_of(self._lines[resource].holding) if resource in self._lines else ()

    def waiters(self, resource: str) -> tuple[str, ...]:
        """Ids that wait for a resource, in ticket order."""
        return _ids_of(self._lines[resource].waiting) if resource in self._lines else ()

    def _grant(self, candidates: Iterable[Request]) -> tuple[str, ...]:
        granted = []
        # In ticket order, as an earlier ticket must get the last free place before a later one.
        for request in sorted(candidates, key=_place):
            if self._is_free(request):
                self._leave(request.id)
                self._hold(request)
                granted.append(request)
        return _ids(granted)

    def _is_free(self, request: Request) -> bool:
        return self._rule.whole(
            self._rule.is_free(claim, request.ticket, self._lines[claim.resource])
            for claim in request.claims
        )

    def _hold(self, request: Request) -> None:
        self._holding[request.id] = request
        for claim in request.claims:
            insort(self._lines[claim.resource].holding[claim.mode], _place(request))

    def _wait(self, request: Request) -> None:
        self._waiting[request.id] = request
        for claim in request.claims:
            insort(self._lines[claim.resource].waiting[claim.mode], _place(request))

    def _leave(self, request_id: str) -> Request | None:
        holds = request_id in self._holding
        request = (self._holding if holds else self._waiting).pop(request_id, None)
        if request is None:
            return None
        for claim in request.claims:
            line = self._lines[claim.resource]
            queue = (line.holding if holds else line.waiting)[claim.mode]
            del queue[bisect_left(queue, _place(request))]
        return request

    def _blocker(self, claim: Claim, ticket: int) -> Blocker | None:
        line = self._lines[claim.resource]
        in_the_way = {
            place
            for obstacle in self._rule.obstacles(claim)
            for place in obstacle(claim, ticket, line)
        }
        holders = in_the_way & {place for queue in line.holding.values() for place in queue}
        if not in_the_way:
            return None
        return Blocker(
            claim.resource,
            claim.mode,
            holders=tuple(each for _, each in sorted(holders)),
            earlier=tuple(each for _, each in sorted(in_the_way - holders)),
            limit_reached=any(taken_places(claim, ticket, line)),
        )


def _place(request: Request) -> Place:
    return request.ticket, request.id


def _ids(requests: Iterable[Request]) -> tuple[str, ...]:
    return tuple(request.id for request in sorted(requests, key=_place))


def _ids_of(queues: dict[Mode, list[Place]]) -> tuple[str, ...]:
    return tuple(each for _, each in sorted(place for queue in queues.values() for place in queue))
