"""What is wrong with freezes whose every name is right: when they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from deployengine.catalog.entries import Entries, Entry
from deployengine.catalog.names import expanded
from deployengine.catalog.times import gaps
from deployengine.catalog.timetable import Freeze
from deployengine.domain.errors import Fault
from deployengine.domain.local_time import instant

_ONCE = ("from", "to")
_AGAIN = ("cron", "lasts")

#: Beginning and end of a freeze, and which it is.
Window = tuple[datetime, datetime, str, Entry[Freeze]]


def unsound_freezes(entries: Entries) -> Iterator[Fault]:
    """Freezes that say no time, or two, and those that say a time twice.

    Freezes add up, so those of other projects or environments may overlap; two that are alike are
    a slip.
    """
    alike: dict[tuple[frozenset[str], frozenset[str]], list[Window]] = {}
    for entry, freeze in entries.of("freezes", Freeze):
        wrong = list(_time(entry, freeze))
        yield from wrong
        if freeze.begins and freeze.ends and not wrong:
            what = frozenset(freeze.environments), frozenset(expanded(freeze.projects))
            window = (
                instant(freeze.begins, freeze.time_zone),
                instant(freeze.ends, freeze.time_zone),
            )
            alike.setdefault(what, []).append((*window, freeze.name, entry))
    for windows in alike.values():
        yield from _overlaps(windows)


def _time(entry: Entry[Freeze], freeze: Freeze) -> Iterator[Fault]:
    once = [key for key in _ONCE if entry.says(key)]
    again = [key for key in _AGAIN if entry.says(key)]
    if once and again:
        message = "a freeze is once (from and to) or again and again (cron and lasts), not both"
        yield entry.fault(message, again[0])
    elif not once and not again:
        yield entry.fault("a freeze needs from and to, or cron and lasts")
    else:
        for key in _ONCE if once else _AGAIN:
            if not entry.says(key):
                yield entry.fault(f"{key!r} is missing beside {(once or again)[0]!r}")
    if freeze.begins and freeze.ends:
        begin, end = (instant(at, freeze.time_zone) for at in (freeze.begins, freeze.ends))
        if end <= begin:
            yield entry.fault("the freeze ends before it begins", "to")
    if freeze.cron and freeze.lasts and _is_endless(freeze.cron, freeze.lasts):
        message = "the freeze begins again before it has ended; let it begin less often"
        yield entry.fault(message, "lasts")


def _is_endless(cron: str, lasts: float) -> bool:
    """Whether it begins again before it has ended, or always at once."""
    found = gaps(cron)
    return bool(found) and (min(found) < lasts or max(found) == lasts)


def _overlaps(windows: Sequence[Window]) -> Iterator[Fault]:
    """Each is told beside the one that ends last of those that begin before it."""
    (_, last, name, entry), *others = sorted(windows, key=lambda window: window[:2])
    for begin, end, next_name, next_entry in others:
        if begin < last:
            message = (
                f"overlaps freeze {name!r} ({entry.line('name')}) of the same projects and "
                "environments; make one of them"
            )
            yield next_entry.fault(message, "from")
        if end > last:
            last, name, entry = end, next_name, next_entry
