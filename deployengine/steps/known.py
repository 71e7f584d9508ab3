"""What is known of a run whose end is not."""

from __future__ import annotations

from datetime import UTC, datetime

from deployengine.steps import processes
from deployengine.steps.folder import TicketFolder
from deployengine.steps.ticket import Begun

_ADVICE = "see on the machine what it did before it is run again"


def of_unknown(folder: TicketFolder, begun: Begun) -> str:
    """One sentence about a run that is UNKNOWN."""
    if begun.damage:
        return f"{begun.damage}, so nobody knows whether its script ran or runs; {_ADVICE}"
    pid = f" as process {begun.leader.pid}" if begun.leader else ""
    return (
        f"it began{_when(folder)} with fence {begun.fence}{pid} and wrote {folder.output_size()} "
        f"bytes of output; {_how_it_got_lost(folder, begun)}; {_ADVICE}"
    )


def _when(folder: TicketFolder) -> str:
    seconds = folder.began_at()
    if seconds is None:
        return ""
    return f" at {datetime.fromtimestamp(seconds, UTC).isoformat(' ', 'seconds')}"


def _how_it_got_lost(folder: TicketFolder, begun: Begun) -> str:
    if folder.has_exit():
        return f"{folder.path / 'exit'} is damaged and tells no exit status"
    if not folder.exists():
        return f"its folder {folder.path} is gone, and so are its processes"
    if begun.leader and begun.leader.boot != processes.this_boot():
        return "the machine was started anew since, and no exit status is on record"
    return "its processes are gone, and no exit status is on record"
