"""When each script ran, on one clock for all machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Span:
    """From begin to end in seconds since 1970; the end is infinite while there is none."""

    begin: float
    end: float


def spans(evidence: Evidence) -> tuple[Mapping[str, Span], str]:
    """By ticket, and where they come from: ``stamps`` or ``database``.

    The scripts' own stamps where every script that began has made one. Else all come from the
    database, whose spans are wider: the claim before the script, the record after it.
    """
    begun = {line.ticket for lines in evidence.journals.values() for line in lines}
    if begun and begun <= evidence.stamps.keys():
        stamped = {t: Span(b, _or_never(e)) for t, (b, e) in evidence.stamps.items()}
        return stamped, "stamps"
    return database_spans(evidence), "database"


def database_spans(evidence: Evidence) -> Mapping[str, Span]:
    """From claim to record: as long as the run took a slot, but for what followed the record."""
    return {
        name: Span(run.started, _or_never(run.finished))
        for name, run in evidence.runs.items()
        if run.started is not None
    }


def _or_never(end: float | None) -> float:
    return math.inf if end is None else end


def milli(seconds: float) -> float:
    """Milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)
