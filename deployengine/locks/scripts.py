"""The Lua scripts: one call each, no loop, nothing kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Literal, cast

from redis import Redis

from deployengine import failpoints
from deployengine.domain.admission import Request
from deployengine.locks.beats import reachable
from deployengine.locks.keys import Keys, Reply, moment, pack, text

Operation = Literal["submit", "hold", "release", "exchange", "advance"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that holds all its claims since ``granted_at`` (UTC, by the clock of Redis).

    ``label`` is what its request said for people, or its id.
    """

    request_id: str
    granted_at: datetime
    label: str
    ticket: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one call did: grants, marks left to work off, waiters it looked at."""

    grants: tuple[Grant, ...]
    more: int
    looked_at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard differed, so nothing was changed; ``found`` is empty when the key was missing."""

    found: str


def operands(requests: Iterable[Request]) -> list[str]:
    """Requests as ``submit`` and ``hold`` take them."""
    return [part for request in requests for part in (request.id, pack(request))]


class Scripts:
    """Calls the scripts by digest; a server that does not know them yet is taught."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._keys = keys
        self._client = client
        self._admission = client.register_script(_source("admission"))
        self._rebuild = client.register_script(_source("rebuild"))

    def admission(
        self,
        guard: str,
        expected: str,
        operation: Operation,
        per_call: int,
        operands: Sequence[str] = (),
    ) -> Step | Refused:
        """One atomic operation, while the key ``guard`` holds ``expected``."""
        failpoints.hit(f"lua.{operation}.before")
        arguments: list[str | int] = [expected, operation, per_call, *operands]
        with reachable(self._client):
            reply = self._admission(keys=self._keys.for_admission(guard), args=arguments)
        failpoints.hit(f"lua.{operation}.after")
        outcome, *rest = cast("list[Reply | int | list[Reply]]", reply)
        if text(cast(Reply, outcome)) != "ok":
            return Refused(text(cast(Reply, rest[0])).partition("@")[0])
        more, looked_at, flat = cast("tuple[int, int, list[Reply]]", rest)
        grants = tuple(
            Grant(text(request_id), moment(granted), text(label), int(ticket))
            for request_id, ticket, granted, label in zip(
                flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True
            )
        )
        return Step(grants, more, looked_at)

    def rebuild(
        self, operation: Literal["begin", "finish"], generation: int, token: str
    ) -> tuple[str, str]:
        """The outcome, ``ok`` or what prevented it, and the figure that goes with it."""
        failpoints.hit(f"lua.rebuild-{operation}.before")
        with reachable(self._client):
            arguments = [operation, generation, token]
            reply = self._rebuild(keys=self._keys.for_rebuild(), args=arguments)
        failpoints.hit(f"lua.rebuild-{operation}.after")
        outcome, *rest = cast("list[Reply | int]", reply)
        found = rest[0] if rest else ""
        return text(cast(Reply, outcome)), str(found if isinstance(found, int) else text(found))


def _source(name: str) -> str:
    return (files("deployengine.locks") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
