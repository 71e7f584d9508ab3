"""The line: who holds and who waits for what, as Redis has it and as it should be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from redis import Redis

from deployengine.locks.keys import Keys
from deployengine.services import LOCKS_PREFIX

KEYS = Keys(LOCKS_PREFIX)


@dataclass(frozen=True, slots=True)
class Line:
    """The members of Redis' three lists, in the order that they have there."""

    holders: Sequence[str]
    waiters: Sequence[str]
    exclusive_waiters: Sequence[str]

    @classmethod
    def read(cls, client: Redis) -> Line:
        """As it is now."""
        names = (KEYS.holders, KEYS.waiters, KEYS.exclusive_waiters)
        lists = (cast(list[bytes], client.zrange(name, 0, -1)) for name in names)
        return cls(*(tuple(member.decode() for member in each) for each in lists))

    def waiting(self) -> list[str]:
        """The ids of those who wait, by resource, and in the order of each resource."""
        return [identity(member) for member in self.waiters]


def moved(
    before: Line, after: Line, handed_on: Sequence[str], ended: Collection[str] = ()
) -> list[str]:
    """What is not as it should be after these resources were handed on, each to the next in line.

    Nobody may be lost, come in, or change places; and who holds anything else and has not
    ``ended`` holds on.
    """
    granted = {next(w for w in before.waiters if resource(w) == r) for r in handed_on}
    ids = {identity(member) for member in granted}
    others = [h for h in before.holders if resource(h) not in handed_on]
    stays = [h for h in others if identity(h) not in ended]
    now = [h for h in after.holders if resource(h) not in handed_on]
    told = [*_difference("holders", stays, now)]
    new = {identity(h) for h in after.holders if resource(h) in handed_on}
    if new != ids:
        told.append(f"handed on to {sorted(new)} and not to the next in line, {sorted(ids)}")
    for name in ("waiters", "exclusive_waiters"):
        left = [m for m in getattr(before, name) if identity(m) not in ids]
        told += _difference(name, left, getattr(after, name))
    return told


def resource(member: str) -> str:
    """What the member of a list is about."""
    return member.split("\0", 1)[0]


def identity(member: str) -> str:
    """Whom it is about."""
    return member.rsplit("\0", 1)[1]


def _difference(name: str, wanted: Iterable[str], found: Iterable[str]) -> list[str]:
    wanted, found = list(wanted), list(found)
    if wanted == found:
        return []
    lost, new = set(wanted) - set(found), set(found) - set(wanted)
    if lost or new:
        some = ", ".join(sorted(map(identity, lost | new))[:5])
        return [f"{name}: {len(lost)} lost, {len(new)} that should not be there: {some} …"]
    return [f"{name}: all there, in another order"]
