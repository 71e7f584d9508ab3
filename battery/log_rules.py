"""Logs: a traceback is an error that nobody expected, unless a fault at that time explains it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from battery.case import Case, set_right
from battery.ledger import Injected, Ledger
from benchmarks.violation import Violation

_HEAD = "Traceback (most recent call last):"
#: What stands before each line of an exception group and of what is in it.
_MARGIN = re.compile(r"^\s*[+|] ?")
#: The name of an error begins with a capital letter, or it stands in a module.
_LAST = re.compile(r"((?:\w+\.)*[A-Z]\w*|(?:\w+\.)+\w+)(?::|$)")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) [A-Z]+ ")

#: What libraries themselves log with a traceback while Redis is away, out of memory or loading.
_REDIS = (
    r"((redis|kombu|amqp)\.exceptions\.)?(Connection|Operational)Error: .*",
    r"(ConnectionRefused|ConnectionReset|BrokenPipe)Error: .*",
    # Of a socket that is not there; a file that is missing has its name in the message.
    r"FileNotFoundError: \[Errno 2\] No such file or directory",
    r"(redis\.exceptions\.)?TimeoutError: (Timeout (reading|connecting).*|timed out)",
    r"redis\.exceptions\.(OutOfMemory|BusyLoading|ReadOnly|NoScript)Error: .*",
    r"redis\.exceptions\.ResponseError: .*(OOM|LOADING|NOSCRIPT|READONLY|MASTERDOWN|maxmemory).*",
    r"(redis\.exceptions\.)?ResponseError: UNBLOCKED .*",
    r"kombu\.exceptions\.InconsistencyError: .*",
    r"billiard\.exceptions\.RestartFreqExceeded: .*",
    r"deployengine\.\S*\.Unreachable: .*\bRedis\b.*",
)
_DATABASE = (
    r"(sqlalchemy\.exc\.|sqlite3\.|psycopg\.)OperationalError: .*",
    r"deployengine\.\S*\.Unreachable: .*",
)


@dataclass(frozen=True, slots=True)
class Error:
    """The line that a traceback ends with, and between which instants it was written."""

    line: str
    earliest: float
    latest: float


def tracebacks(case: Case) -> Iterator[Violation]:
    """Errors that no fault of their time explains."""
    near = case.ledger.faults[0].begun if case.ledger.faults else None
    for log in sorted(case.home.glob("logs/*.log")):
        errors = [e for e in _errors(log, near) if not _excused(case.ledger, e)]
        for line, times in Counter(error.line for error in errors).items():
            yield Violation("traceback", f"{log.name}, {times} times: {line}")


def _excused(ledger: Ledger, error: Error) -> bool:
    kinds = {
        fault.kind
        for fault in ledger.faults
        if any(re.fullmatch(pattern, error.line) for pattern in _explained_by(fault))
    }
    return ledger.during(kinds, None, error.earliest, error.latest)


def _explained_by(fault: Injected) -> Sequence[str]:
    if "Redis" in fault.kind:
        return _REDIS
    return _DATABASE if "database" in fault.kind else ()


def _errors(log: Path, near: float | None) -> Iterator[Error]:
    """One for each traceback, those of chains and groups too.

    A traceback that is cut off, since its process was killed, has none. One that a record of the
    log is followed by has the record's time; else it came between the records around it.
    """
    lines = log.read_text("utf-8", "replace").splitlines()
    stamps = [_instant(line, near) for line in lines]
    inside, began, known = False, -math.inf, False
    for number, whole in enumerate(lines):
        line = _MARGIN.sub("", whole)
        if stamps[number] is not None:
            began, inside = stamps[number] or began, False
            known = number + 1 < len(lines) and lines[number + 1].strip(" +|").endswith(_HEAD)
        elif line.strip(" +").endswith(_HEAD):
            inside = True
        elif inside and line and not line.startswith((" ", "\t")):
            inside = False
            if _LAST.match(line):
                after = (stamp for stamp in stamps[number:] if stamp is not None)
                latest = began if known else next(after, log.stat().st_mtime)
                yield Error(line[:300], began, latest)


def _instant(line: str, near: float | None) -> float | None:
    """When a record was written; clocks of processes may be an hour wrong."""
    if match := _STAMP.match(line):
        written = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").timestamp()  # noqa: DTZ007
        return set_right(written + int(match[2]) / 1000, near)
    return None
