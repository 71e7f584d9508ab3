"""Logs: a traceback is an error that nobody expected, unless a fault explains it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from battery.case import Case
from benchmarks.violation import Violation

_HEAD = "Traceback (most recent call last):"
_LAST = re.compile(r"^(?:[\w.]+\.)?(\w+)(?::|$)")

#: What libraries themselves log with a traceback while Redis is away, out of memory or loading.
_REDIS = {
    *("ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError"),
    *("OperationalError", "FileNotFoundError", "TimeoutError", "Unreachable", "OutOfMemoryError"),
    *("ResponseError", "BusyLoadingError", "InconsistencyError", "RestartFreqExceeded"),
}


def tracebacks(case: Case) -> Iterator[Violation]:
    """Kinds of traceback that no fault of this round explains."""
    excused = _excused(case)
    for log in sorted(case.home.glob("logs/*.log")):
        found = Counter(_tracebacks(log))
        for (name, line), times in found.items():
            if name not in excused:
                yield Violation("traceback", f"{log.name}, {times} times: {line}")


def _excused(case: Case) -> set[str]:
    kinds = " ".join(case.ledger.by_kind())
    excused: set[str] = set()
    if "Redis" in kinds:
        excused |= _REDIS
    if "database" in kinds or "failure" in kinds:
        excused |= {"Unreachable", "OperationalError"}
    return excused


def _tracebacks(log: Path) -> Iterator[tuple[str, str]]:
    """The kind and the line of the error that each traceback in the file ends with."""
    inside = False
    for line in log.read_text("utf-8", "replace").splitlines():
        if line.strip() == _HEAD:
            inside = True
        elif inside and line and not line.startswith((" ", "\t")):
            match = _LAST.match(line)
            if match and match[1][0].isupper():
                yield match[1], line[:300]
            inside = False
