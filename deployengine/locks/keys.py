"""The names of the keys in Redis, and how requests and members are written in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deployengine.domain.admission import Claim, Mode, Request

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DIGITS = 16  # of a ticket or limit, so that the order of bytes is that of numbers
LETTER_OF_MODE = {Mode.EXCLUSIVE: "x", Mode.SHARED: "s"}
MODE_OF_LETTER = {letter: mode for mode, letter in LETTER_OF_MODE.items()}

Reply = bytes | str


class Keys:
    """The keys of one lock domain; their hash tag keeps them together on a cluster."""

    def __init__(self, prefix: str) -> None:
        self.generation = f"{{{prefix}}}:generation"
        self.rebuild = f"{{{prefix}}}:rebuild"
        self.requests = f"{{{prefix}}}:requests"
        self.holders = f"{{{prefix}}}:holders"
        self.waiters = f"{{{prefix}}}:waiters"
        self.exclusive_waiters = f"{{{prefix}}}:exclusive_waiters"
        self.full = f"{{{prefix}}}:full"
        self.pending = f"{{{prefix}}}:pending"

    def for_admission(self, guard: str) -> list[str]:
        """In the order of the legend in ``admission.lua``."""
        lines = [self.holders, self.waiters, self.exclusive_waiters, self.full]
        return [guard, self.requests, *lines, self.pending]

    def for_rebuild(self) -> list[str]:
        """In the order of the legend in ``rebuild.lua``."""
        lines = [self.holders, self.waiters, self.exclusive_waiters, self.full]
        return [self.generation, self.rebuild, self.pending, self.requests, *lines]


@dataclass(frozen=True, slots=True)
class Record:
    """A request as it stands in Redis; ``granted_at`` is None while it waits."""

    request: Request
    submitted_at: datetime
    granted_at: datetime | None


def text(reply: Reply) -> str:
    """A reply as text, whether or not the client decodes replies itself."""
    return reply.decode() if isinstance(reply, bytes) else reply


def pack(request: Request) -> str:
    """Ticket, label and claims in the form of the legend in ``admission.lua``."""
    parts = [f"{request.ticket:0{DIGITS}}", request.label or request.id]
    for claim in request.claims:
        parts += [LETTER_OF_MODE[claim.mode], f"{claim.limit or 0:0{DIGITS}}", claim.resource]
    return "\0".join(parts)


def unpack(request_id: str, packed: Reply) -> Record:
    """What ``admission.lua`` stored for a request."""
    submitted, granted, ticket, label, *rest = text(packed).split("\0")
    claims = tuple(
        Claim(resource, MODE_OF_LETTER[letter], int(limit) or None)
        for letter, limit, resource in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    )
    return Record(
        Request(request_id, int(ticket), claims, label),
        moment(submitted),
        moment(granted) if int(granted) else None,
    )


def moment(microseconds: Reply) -> datetime:
    """A time of Redis, in microseconds since 1970, in UTC."""
    return EPOCH + timedelta(microseconds=int(microseconds))
