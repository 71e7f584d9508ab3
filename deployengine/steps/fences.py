"""Fence and lock at the machine: no clashing script and no late one, whatever the engine believes.

What it is for
    Redis orders and SQL ratifies, but a worker that was paused, or a database that was restored,
    may let the wrong script come to the machine, or the right one too late. So the machine has the
    last word, and keeps it in files that need no server. Under ``.fences`` beside the tickets lie

    - one file per resource, which is locked (``flock``) as long as a script holds the resource, and
      which keeps the newest fence of an exclusive holder and that holder's ticket;
    - ``revoked-N``, the marker that no start with fence N may begin a script any more.

    A fence is a number from SQL, drawn when a worker claims a run. Whoever takes a run over, or
    gets the machine next, has a higher one.

The way of a start
    1. If the marker of its fence is there, it is refused, and leaves no folder. If the ticket's
       script has begun, it attaches.
    2. It makes and fills the ticket's folder, which a second start may do at the same time.
    3. It locks the file of every resource, shared or exclusive, in sorted order, all or none, and
       never blocks in the kernel: while somebody else has one it looks again, at first after 2 ms,
       then every 50 ms, so that the bell or its patience can call it off. Or it ends the older
       ones (``OnStale.TERMINATE``): every record of a beginning says what its ticket holds, and
       with which fence.
    4. Under the lock it compares fences. One lower than a file's newest is refused, shared or
       exclusive. An exclusive start writes its own, which no earlier one can pass any more. Shared
       ones write nothing: neighbours that run together may come in any order of their fences.
    5. It spawns the wrapper, which inherits the locked descriptors as 4 to 9, and closes its own.
       The kernel keeps the lock as long as a copy is open: the wrapper's life, which ends after the
       script's end is on record. The script gets no copy, so what it leaves behind keeps nothing.
    6. The wrapper makes the state file, which only one can, *then* looks for the marker. If it is
       there it takes its state back and begins nothing.

Why no late start begins
    ``revoke`` makes the marker, and *then* its caller looks at the state. The wrapper makes the
    state, and *then* looks for the marker. Whichever order the four come in, either the caller sees
    the state, and follows that run, or the wrapper sees the marker. A start that was stopped at any
    point and goes on after hours, when the run was carried out elsewhere and its folder cleaned,
    finds the marker, or no folder.
    A rightful start that meets the record of a revoked one waits until that is decided: once the
    wrapper has looked for the marker it takes room for the exit status (``exit.new``), or takes its
    record back.

When a wrapper is killed
    Its locks are free though its script lives. So a lock that was got counts only if no neighbour
    lives on that holds it by its record: an exclusive start looks at all neighbours, a shared one
    at the last exclusive holder, whose name stands in the file. Nobody else can be in its way.

What is not done
    The first lock names the machine. With more than six a start locks the machine alone, and that
    exclusively: it has not more descriptors to hand over, as shells know only those up to 9 and use
    those up to 3. All its fences are compared and written as ever; only if its wrapper is killed
    a shared start does not see it.
    A start that was stopped (SIGSTOP) between locking and spawning holds the machine until it goes
    on or is killed; the others wait for it.
    The files of resources are never removed: a fence that was forgotten would be no fence. The
    markers go with the next exclusive start on the machine that has a higher fence: from then on
    the file of the machine refuses what they refused. Where all share the machine they stay, a few
    bytes for each run that was ever taken over.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from deployengine import failpoints
from deployengine.steps.contract import Lock, Work
from deployengine.steps.errors import MachineUnfit, StaleFence
from deployengine.steps.ticket import quoted

#: The folder beside the tickets' own; no ticket can have this name.
FOLDER = ".fences"
#: So many locks can be handed to a wrapper: descriptors 4 to 9.
MOST = 6

_MARKER = re.compile(r"revoked-(\d+)")
_NEWEST = re.compile(rb"(\d{1,20}) (\S+) *\n")
_LONGEST_NAME = 200
#: Above those that the wrapper gets, so that handing one over never closes another.
_LOWEST_DESCRIPTOR = 10


def held_by(locks: tuple[Lock, ...]) -> tuple[Lock, ...]:
    """What a work with these locks holds in fact: each resource once, in order; or the machine."""
    exclusive = {lock.resource for lock in locks if lock.exclusive}
    resources = sorted({lock.resource for lock in locks})
    if len(resources) > MOST:
        return (Lock(locks[0].resource, exclusive=True),)
    return tuple(Lock(resource, resource in exclusive) for resource in resources)


def clash(some: Iterable[Lock], others: Iterable[Lock]) -> bool:
    """Whether two may not hold their locks at once."""
    modes = {lock.resource: lock.exclusive for lock in some}
    return any(
        lock.resource in modes and (lock.exclusive or modes[lock.resource]) for lock in others
    )


@dataclass(slots=True)
class Held:
    """The locks of a start that has yet to hand them to its wrapper; free once closed."""

    #: Those that are locked, to be handed over.
    handed: list[int] = field(default_factory=list)
    #: The tickets of the last exclusive holders of the resources.
    last: set[str] = field(default_factory=set)
    _opened: list[int] = field(default_factory=list)
    _to_sign: list[int] = field(default_factory=list)

    def sign(self, work: Work) -> None:
        """Makes the fence of this start the newest of what it holds exclusively."""
        for descriptor in self._to_sign:
            os.pwrite(descriptor, f"{work.fence:020d} {work.ticket:<127}\n".encode(), 0)

    def close(self) -> None:
        """Closes this process's own descriptors; a wrapper that has copies keeps the locks."""
        while self._opened:
            os.close(self._opened.pop())

    def add(self, descriptor: int, *, locked: bool, exclusive: bool) -> None:
        """Takes charge of an open file."""
        self._opened.append(descriptor)
        if locked:
            self.handed.append(descriptor)
        if exclusive:
            self._to_sign.append(descriptor)


class Fences:
    """The files of locks and fences of one machine. Raises plain ``OSError``."""

    def __init__(self, tickets: Path) -> None:
        self._folder = tickets / FOLDER

    def revoke(self, fence: int) -> None:
        """Makes the marker of a fence."""
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        os.close(os.open(self._marker(fence), os.O_WRONLY | os.O_CREAT, 0o600))

    def sign(self, held: Held, work: Work) -> None:
        """Makes the fence of a work the newest of what it holds exclusively.

        Where that is the machine itself, the markers of older fences have become needless.
        """
        held.sign(work)
        if not (work.locks and work.locks[0].exclusive):
            return
        for entry in os.listdir(self._folder):  # noqa: PTH208
            match = _MARKER.fullmatch(entry)
            if match and int(match[1]) < work.fence:
                (self._folder / entry).unlink(missing_ok=True)

    def revoked(self, fence: int) -> bool:
        """Whether the marker of a fence is there."""
        return os.path.lexists(self._marker(fence)) and not failpoints.left_out("revoked")

    def take(self, work: Work) -> Held | None:
        """The locks of a work, or ``None`` while somebody else holds one of them.

        Raises :class:`StaleFence` where a newer fence was seen; it need not be its turn for that.
        """
        to_lock = {lock.resource: lock.exclusive for lock in held_by(work.locks)}
        exclusive = {lock.resource for lock in work.locks if lock.exclusive}
        held = Held()
        try:
            # What is locked comes first: if it is the machine alone, it guards the others' fences.
            for resource in sorted(
                {lock.resource for lock in work.locks}, key=lambda each: (each not in to_lock, each)
            ):
                path = self._folder / lock_file(resource)
                descriptor = _open(path)
                locked = resource in to_lock
                held.add(descriptor, locked=locked, exclusive=resource in exclusive)
                free = not locked or _lock(descriptor, exclusive=to_lock[resource])
                newest, holder = _newest(descriptor, path)
                if newest > work.fence and not failpoints.left_out("stale-fence"):
                    failpoints.hit("branch.stale-fence")
                    raise StaleFence(_refusal(work, newest, holder, resource))
                if not free:
                    held.close()
                    return None
                held.last.add(holder)
        except BaseException:
            held.close()
            raise
        return held

    def signed_by(self, resource: str) -> str:
        """The ticket of the last exclusive holder of a resource, or nothing."""
        path = self._folder / lock_file(resource)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return ""
        try:
            return _newest(descriptor, path)[1]
        finally:
            os.close(descriptor)

    def _marker(self, fence: int) -> str:
        return f"{self._folder}/revoked-{fence}"


def lock_file(resource: str) -> str:
    """The name of a resource's file."""
    name = quoted(resource)
    if len(name) <= _LONGEST_NAME:
        return f"lock-{name}"
    return f"hash-{sha256(name.encode()).hexdigest()}"


def _open(path: Path) -> int:
    """The file of a resource, which is made if it is not there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    if descriptor >= _LOWEST_DESCRIPTOR:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST_DESCRIPTOR)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, exclusive: bool) -> bool:
    if failpoints.left_out("machine-lock"):
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _newest(descriptor: int, path: Path) -> tuple[int, str]:
    """The newest fence in a resource's file, and whose it is; 0 in a new file."""
    content = os.pread(descriptor, 256, 0)
    if not content.strip(b"\0"):  # new, or never written before its machine lost power
        return 0, ""
    if match := _NEWEST.fullmatch(content):
        return int(match[1]), match[2].decode("ascii", "replace")
    raise MachineUnfit(
        f"{path} should hold the newest fence of a resource and is damaged; nothing was started. "
        "See that no script runs on this machine any more, then remove that file"
    )


def _refusal(work: Work, newest: int, holder: str, resource: str) -> str:
    return (
        f"ticket {work.ticket}: its fence {work.fence} is out of date: {resource} has seen "
        f"{newest} of {holder} since; nothing was started. Whoever has the run now may start it. "
        "If the database was made anew or restored: see that nothing runs there, then remove the "
        "machine's folder .fences"
    )
