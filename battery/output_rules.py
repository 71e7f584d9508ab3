"""Output: every line that a script printed is on record once, in order, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from battery.case import Case, Run
from battery.scenario import NO_ROOM, expected_output
from benchmarks.violation import Violation

#: What shells say when they cannot write.
_NO_ROOM = re.compile(r".*: (I/O error|.*No space left on device)")


def incomplete(case: Case) -> Iterator[Violation]:
    """A finished run's output with a gap, a repetition or a wrong line."""
    for run in case.runs:
        pieces = case.pieces.get(run.id, ())
        yield from _joints(run, pieces)
        cramped = case.ledger.during(["disk full under tickets"], run.machine, *case.span(run))
        if "tickets was full" in run.message and not cramped:
            message = f"{run.name} says that its disk was full, and it was not"
            yield Violation("false alarm", message, run.machine)
        if run.name not in case.evidence.stamps or cramped:
            continue
        project = case.deployments[run.deployment].project
        wanted = expected_output(case.home, run.machine, project, run.name)
        found = "".join(text for _, _, text in pieces).splitlines()
        if case.ends.get(run.name) == "stopped":
            # What the shell itself says when the script's sleep is ended.
            found = [line for line in found if line != "Terminated"]
        if run.state == "succeeded" and case.ends.get(run.name) == "end":
            if found != wanted:
                yield Violation("output", _told(run, found, wanted), run.machine)
        elif run.exit_code == NO_ROOM or _found_no_room(case, run, found):
            if not all(_NO_ROOM.fullmatch(line) for line in found):
                yield Violation("output", _told(run, found, []), run.machine)
        elif found != wanted[: len(found)]:
            yield Violation("output", _told(run, found, wanted), run.machine)


def _found_no_room(case: Case, run: Run, found: list[str]) -> bool:
    """Whether a script could not write in its folder, and was ended before it said so itself."""
    full = case.ledger.during(["disk full under a work folder"], run.machine, *case.span(run))
    return bool(full and found and _NO_ROOM.fullmatch(found[0]))


def _joints(run: Run, pieces: tuple[tuple[int, int, str], ...]) -> Iterator[Violation]:
    at = 0
    for start, stop, _ in pieces:
        if start != at or stop < start:
            message = f"{run.name}: a piece of the output begins at {start}, should at {at}"
            yield Violation("output", message, run.machine)
        at = stop


def _told(run: Run, found: list[str], wanted: list[str]) -> str:
    at = next((n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
    at = min(len(found), len(wanted)) if at is None else at
    there = found[at] if at < len(found) else "nothing"
    meant = wanted[at] if at < len(wanted) else "nothing"
    return f"{run.name} ({run.state}): line {at + 1} is {there!r}, should be {meant!r}"
