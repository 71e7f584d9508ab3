"""What a look at a machine says of it, however the machine is reached."""

from __future__ import annotations

from dataclasses import dataclass

from deployengine.steps.errors import DiskFull

#: With less free room than this a machine is told of: bytes.
LITTLE_ROOM = 100 * 1024 * 1024
#: With less than this it is unfit: a script's output would have no place.
NO_ROOM = 1024 * 1024
#: A clock that differs by more than this is told of: seconds.
CLOCK_DIFFERENCE = 5.0


@dataclass(frozen=True, slots=True)
class Checkup:
    """A machine that can be used, as it was found. (One that can't be raises instead.)"""

    #: Its system, as people say it: name, release, kind of processor.
    platform: str
    #: What the shortest errand there takes: seconds.
    round_trip: float
    #: Its clock minus ours: seconds; ``None`` where nothing tells.
    clock_difference: float | None
    #: On the disk of its tickets.
    free_bytes: int
    #: Programs that are not there, and without which scripts run with less comfort or guarantee.
    missing: tuple[str, ...] = ()
    #: What somebody should see to, one plain sentence each.
    warnings: tuple[str, ...] = ()


def warnings_about_room(free_bytes: int, where: str) -> tuple[str, ...]:
    """What to say of a disk; ``where`` it is. Raises :class:`DiskFull` where nothing has room."""
    room = f"{free_bytes / 1024 / 1024:.1f} MB"
    if free_bytes < NO_ROOM:
        raise DiskFull(f"{where}: only {room} are free; make room on that disk")
    if free_bytes < LITTLE_ROOM:
        return (f"Only {room} are free on the disk of {where}.",)
    return ()


def warnings_about_clock(difference: float | None) -> tuple[str, ...]:
    """What to say of a machine's clock, by its difference from ours in seconds."""
    if difference is None or abs(difference) <= CLOCK_DIFFERENCE:
        return ()
    side = "ahead of" if difference > 0 else "behind"
    return (f"Its clock is {abs(difference):.0f} seconds {side} the engine's.",)
