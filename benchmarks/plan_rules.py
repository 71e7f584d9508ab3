"""Rules that hold the journals against the plans: nothing more than planned, and nothing less."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.evidence import Evidence
from benchmarks.machine_rules import MODES
from benchmarks.violation import Violation


def not_planned(evidence: Evidence) -> Iterator[Violation]:
    """Lines of runs that no plan has: no such row, another machine, other words, never started."""
    places = {d.id: d.places for d in evidence.deployments}
    for machine, lines in evidence.journals.items():
        for line in lines:
            run = evidence.runs.get(line.ticket)
            if run is None:
                yield Violation("not planned", f"{line.ticket}: no such run", machine)
            elif run.machine != machine or (run.position, machine) not in places[run.deployment]:
                yield Violation("not planned", f"{line.ticket}: not for this machine", machine)
            elif not line.rest.startswith(run.words) or (
                line.rest.removeprefix(run.words).strip() not in ("", *MODES)
            ):
                message = f"{line.ticket} says {line.rest!r}, is {run.words!r}"
                yield Violation("not planned", message, machine)
            elif run.started is None:
                message = f"{line.ticket} is {run.state}: it was never claimed"
                yield Violation("not planned", message, machine)


#: What people may say of a failure so that the deployment goes on without that place; after the
#: second one nothing more happens on the machine.
IGNORED, EXCLUDED = "ignore", "exclude"


def not_carried_out(evidence: Evidence) -> Iterator[Violation]:
    """Runs on record as done that no machine knows of, and successes that lack a place."""
    begun = {
        line.ticket
        for lines in evidence.journals.values()
        for line in lines
        if line.kind == "begin"
    }
    done: defaultdict[int, set[tuple[int, str]]] = defaultdict(set)
    excluded: defaultdict[int, set[str]] = defaultdict(set)
    for run in evidence.runs.values():
        if run.exit_code is not None and run.name not in begun:
            yield Violation("missing run", f"{run.name} is {run.state}", run.machine)
        if run.state == "succeeded" or run.answer == IGNORED:
            done[run.deployment].add((run.position, run.machine))
        if run.answer == EXCLUDED:
            excluded[run.deployment].add(run.machine)
    for deployment in evidence.deployments:
        if deployment.state != "succeeded":
            continue
        for position, machine in sorted(deployment.places - done[deployment.id]):
            if machine not in excluded[deployment.id]:
                message = f"{deployment.label} succeeded without its step {position + 1}"
                yield Violation("missing run", message, machine)
