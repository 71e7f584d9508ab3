"""Rules that one machine's journal tells by the order of its lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.evidence import Evidence, Line, Run
from benchmarks.violation import Violation

EXCLUSIVE = "exclusive"
MODES = (EXCLUSIVE, "shared")

#: States of a run whose script need not have written its end: it was killed or failed before.
MAY_LACK_AN_END = {"cancelled", "unknown", "failed", "running"}


def journal_broken(evidence: Evidence) -> Iterator[Violation]:
    """Lines that say nothing, begins and ends that are missing or doubled, anywhere."""
    seen: dict[tuple[str, str], str] = {}
    for machine, lines in evidence.journals.items():
        for line in lines:
            if line.kind not in ("begin", "end") or not line.ticket:
                yield Violation("unreadable line", f"line {line.number}", machine)
                continue
            where = seen.setdefault((line.kind, line.ticket), f"{machine} line {line.number}")
            if where != f"{machine} line {line.number}":
                message = f"{line.ticket}: {where} and line {line.number}"
                yield Violation(f"{line.kind} twice", message, machine)
            if line.kind == "end" and ("begin", line.ticket) not in seen:
                yield Violation("end without begin", line.ticket, machine)
        yield from _endless(evidence, machine, lines)


def _endless(evidence: Evidence, machine: str, lines: Sequence[Line]) -> Iterator[Violation]:
    ended = {line.ticket for line in lines if line.kind == "end"}
    for ticket in dict.fromkeys(line.ticket for line in lines if line.kind == "begin"):
        run = evidence.runs.get(ticket)
        if ticket not in ended and not (run and run.state in MAY_LACK_AN_END):
            state = run.state if run else "unknown to the database"
            yield Violation("begin without end", f"{ticket} is {state}", machine)


def mutex_broken(evidence: Evidence) -> Iterator[Violation]:
    """A run that began while a conflicting one had not ended."""
    for machine, lines in evidence.journals.items():
        inside: dict[str, str] = {}
        for line in lines:
            if line.kind == "end":
                inside.pop(line.ticket, None)
            elif line.kind == "begin":
                mode = _mode(evidence, line)
                others = [t for t, m in inside.items() if EXCLUSIVE in (mode, m)]
                if others:
                    message = f"{line.ticket} ({mode}) began while {', '.join(others)} ran"
                    yield Violation("mutex", f"{message} (line {line.number})", machine)
                inside[line.ticket] = mode
        yield from _misstated(evidence, machine, lines)


def _misstated(evidence: Evidence, machine: str, lines: Sequence[Line]) -> Iterator[Violation]:
    for line in lines:
        run, said = evidence.runs.get(line.ticket), _said_mode(evidence, line)
        if run and said in MODES and said != run.mode:
            yield Violation("mode", f"{line.ticket} says {said}, is granted {run.mode}", machine)


def ticket_order_broken(evidence: Evidence) -> Iterator[Violation]:
    """A run that began after a conflicting one with a greater ticket: it was overtaken.

    Among those of one priority: a higher one has lower tickets whenever it comes.
    """
    for machine, lines in evidence.journals.items():
        newest: dict[tuple[bool, int], Run] = {}
        for line in lines:
            run = evidence.runs.get(line.ticket)
            if line.kind != "begin" or run is None or run.ticket is None:
                continue
            alone = _mode(evidence, line) == EXCLUSIVE
            for of_kind in (True, False) if alone else (True,):
                before = newest.get((of_kind, run.priority))
                if before and (before.ticket or 0) > run.ticket:
                    message = f"{before.name} (ticket {before.ticket}) began before"
                    message += f" {run.name} (ticket {run.ticket})"
                    yield Violation("ticket order", message, machine)
            first = newest.setdefault((alone, run.priority), run)
            newest[alone, run.priority] = max(first, run, key=lambda r: r.ticket or 0)


def _said_mode(evidence: Evidence, line: Line) -> str:
    """The mode that the line itself tells, or nothing."""
    run = evidence.runs.get(line.ticket)
    return line.rest.removeprefix(run.words).strip() if run else ""


def _mode(evidence: Evidence, line: Line) -> str:
    """The mode that was granted; for a run that nobody knows the stricter one."""
    run = evidence.runs.get(line.ticket)
    return run.mode if run else EXCLUSIVE
