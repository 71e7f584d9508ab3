"""Lock views: what admins, `why` and housekeeping read of the locks. Nothing here changes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis import Redis
from redis.exceptions import ResponseError

from deployengine.domain.admission import Admission, Mode, Request
from deployengine.locks.beats import reachable
from deployengine.locks.keys import MODE_OF_LETTER, Keys, Record, Reply, text, unpack
from deployengine.locks.scripts import Grant

PAGE = 1000


@dataclass(frozen=True, slots=True)
class HolderView:
    """A request that holds a resource since it was granted (UTC)."""

    id: str
    label: str
    mode: Mode
    since: datetime


@dataclass(frozen=True, slots=True)
class WaiterView:
    """A request that waits since it was submitted (UTC); position 1 is the head of the line."""

    id: str
    label: str
    mode: Mode
    since: datetime
    position: int


@dataclass(frozen=True, slots=True)
class ResourceView:
    """One resource with its holders (by mode and id) and its waiters (in ticket order)."""

    resource: str
    holders: tuple[HolderView, ...]
    waiters: tuple[WaiterView, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is: requests; claims of them that hold and wait; marks to work off."""

    requests: int
    holding_claims: int
    waiting_claims: int
    pending: int


class LockViews:
    """Reads one lock domain; a view is a moment's picture and may be old when it is read.

    Raises ``Unreachable`` when there is no Redis.
    """

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._keys = Keys(prefix)

    def generation(self) -> int | None:
        """The generation under which the locks are ready; None when they are not."""
        with reachable(self._client):
            found = self._client.get(self._keys.generation)
        return None if found is None else int(text(found).partition("@")[0])

    def loading(self) -> tuple[str, int] | None:
        """Who loads the locks now, and how many requests are loaded; None when nobody does."""
        with reachable(self._client), self._client.pipeline(transaction=False) as batch:
            batch.get(self._keys.rebuild)
            batch.hlen(self._keys.requests)
            token, requests = batch.execute()
        return None if token is None else (text(token), int(requests))

    def lost(self) -> bool:
        """Whether this server has no locks that are ready, and nobody is loading them into it."""
        with reachable(self._client):
            found = self._client.mget(self._keys.generation, self._keys.rebuild)
            run_id = self._run_id()
        return not any(each and text(each).endswith(f"@{run_id}") for each in found)

    def counts(self) -> Counts:
        """Costs the same however much there is."""
        keys = self._keys
        with reachable(self._client), self._client.pipeline(transaction=False) as batch:
            batch.hlen(keys.requests)
            for key in (keys.holders, keys.waiters, keys.pending):
                batch.zcard(key)
            return Counts(*batch.execute())

    def view(self, request_id: str) -> Record | None:
        """One request with its times, or None if the locks do not know it."""
        return self._records([request_id]).get(request_id)

    def granted_ids(self) -> frozenset[str]:
        """Every id that holds. Read before ``waiting_ids``, as requests go from there to here."""
        return frozenset(parts[-1] for parts in self._members(self._keys.holders))

    def grants(self) -> list[Grant]:
        """Every request that holds, in ticket order."""
        found = self._records(self.granted_ids()).values()
        return [
            Grant(record.request.id, record.granted_at, record.request.label, record.request.ticket)
            for record in sorted(found, key=lambda record: record.request.ticket)
            if record.granted_at is not None
        ]

    def ids(self) -> frozenset[str]:
        """Every id that is known, waiting or granted, as of one moment or a little later each."""
        with reachable(self._client):
            return frozenset(text(name) for name, _ in self._client.hscan_iter(self._keys.requests))

    def waiting_tickets(self) -> dict[str, int]:
        """The tickets of all that wait, as these locks have them; read off the lines, not one by
        one.
        """
        with reachable(self._client):
            return {parts[-1]: int(parts[1]) for parts in self._members(self._keys.waiters)}

    def waiting_ids(self) -> frozenset[str]:
        """Every id that waits; one that is granted meanwhile may be in neither set."""
        return frozenset(parts[-1] for parts in self._members(self._keys.waiters))

    def holders_and_waiters(self, resource_prefix: str | None = None) -> list[ResourceView]:
        """The resources in use whose name begins so (all: None), by name."""
        prefix = resource_prefix or ""
        holders = list(self._members(self._keys.holders, prefix))
        waiters = list(self._members(self._keys.waiters, prefix))
        records = self._records({parts[-1] for parts in holders + waiters})
        views = _Views()
        for resource, letter, request_id in holders:
            views.add_holder(resource, MODE_OF_LETTER[letter], records.get(request_id))
        for resource, _, letter, request_id in waiters:
            views.add_waiter(resource, MODE_OF_LETTER[letter], records.get(request_id))
        return views.resources()

    def snapshot(self, resources: Iterable[str]) -> Admission:
        """The specification's state of just these resources: ask it for ``blockers``.

        Claims on other resources are left out, so give all those of the request to explain.
        """
        wanted = set(resources)
        members = [
            parts
            for key in (self._keys.holders, self._keys.waiters)
            for resource in wanted
            for parts in self._members(key, f"{resource}\0")
        ]
        records = self._records({parts[-1] for parts in members}).values()
        return Admission(
            holding=[_only(wanted, each.request) for each in records if each.granted_at],
            waiting=[_only(wanted, each.request) for each in records if not each.granted_at],
        )

    def _run_id(self) -> str:
        """This server's, as the scripts see it."""
        try:
            return str(self._client.info("server")["run_id"])
        except ResponseError:
            return "unknown"

    def _members(self, key: str, prefix: str = "") -> Iterator[list[str]]:
        """The members of a line that begin so, taken apart; page by page, to block nobody."""
        start = b"[" + prefix.encode()
        end = b"(" + prefix.encode() + b"\xff"  # a byte that no UTF-8 text contains
        while True:
            with reachable(self._client):
                found = self._client.zrange(
                    key, cast(int, start), cast(int, end), bylex=True, offset=0, num=PAGE
                )
            page = cast("list[Reply]", found)
            yield from (text(member).split("\0") for member in page)
            if len(page) < PAGE:
                return
            start = b"(" + text(page[-1]).encode()

    def _records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Those of the ids that are known."""
        asked = list(ids)
        found: dict[str, Record] = {}
        for begin in range(0, len(asked), PAGE):
            page = asked[begin : begin + PAGE]
            with reachable(self._client):
                packed = self._client.hmget(self._keys.requests, page)
            found |= {
                each: unpack(each, body) for each, body in zip(page, packed, strict=True) if body
            }
        return found


class _Views:
    """Gathers holders and waiters by resource; leaves out who has gone since the line was read."""

    def __init__(self) -> None:
        self._holders: defaultdict[str, list[HolderView]] = defaultdict(list)
        self._waiters: defaultdict[str, list[WaiterView]] = defaultdict(list)

    def add_holder(self, resource: str, mode: Mode, record: Record | None) -> None:
        if record and record.granted_at:
            request = record.request
            self._holders[resource].append(
                HolderView(request.id, request.label, mode, record.granted_at)
            )

    def add_waiter(self, resource: str, mode: Mode, record: Record | None) -> None:
        if record and not record.granted_at:
            line = self._waiters[resource]
            line.append(
                WaiterView(
                    record.request.id,
                    record.request.label,
                    mode,
                    record.submitted_at,
                    len(line) + 1,
                )
            )

    def resources(self) -> list[ResourceView]:
        return [
            ResourceView(name, tuple(self._holders[name]), tuple(self._waiters[name]))
            for name in sorted(self._holders.keys() | self._waiters.keys())
        ]


def _only(resources: set[str], request: Request) -> Request:
    claims = tuple(claim for claim in request.claims if claim.resource in resources)
    return Request(request.id, request.ticket, claims, request.label)
