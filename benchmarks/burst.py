"""The burst: all releases at once, from submission to the last one's end."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks import usage
from benchmarks.bound import lower_bound
from benchmarks.evidence import Evidence, gather, rows
from benchmarks.handoffs import handoffs, summary
from benchmarks.journal import judge
from benchmarks.order_rules import peak
from benchmarks.scenario import Scenario
from benchmarks.script_cost import script_cpu_seconds, stamp_resolution
from benchmarks.system import Broken, System, running
from benchmarks.times import database_spans, milli, spans
from benchmarks.usage import by_kind, cpu_seconds, difference, monitored
from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted

MEASURED, SAMPLED = "1.0.0", "1.0.1"
#: Releases of the second, small batch, whose Redis commands are looked at one by one.
SAMPLE = 5
#: Seconds between two looks whether everything has ended: one cheap query each.
LOOK_EVERY = 0.2

OPEN = "select count(*) from deployment where state in ('queued', 'running')"
ENDED = "select state, count(*) from deployment group by state order by state"


@dataclass(frozen=True, slots=True)
class Used:
    """What one batch took: seconds of CPU by process, Redis commands, when it was submitted."""

    submitted: float
    submitting: float
    cpu: dict[str, float]
    redis_commands: int


def measure(
    scenario: Scenario, task_cap: int, workers: int, database_url: str | None
) -> dict[str, Any]:
    """Runs the scenario once in a fresh home; raises :class:`Broken` rather than lie."""
    cap = task_cap * workers
    bound = lower_bound(scenario, cap)
    patience = 60 + 5 * bound.seconds
    print(
        f"{len(scenario.seconds)} scripts, lower bound {bound.seconds:g} s ({bound.limit})",
        file=sys.stderr,
    )
    catalog = scenario.catalog()
    with running(database_url, task_cap, workers, scenario.furnish, catalog) as system:
        used = _run(system, scenario.projects, MEASURED, patience)
        with monitored(system.services.redis) as monitor:
            _run(system, scenario.projects[:SAMPLE], SAMPLED, patience)
        system.stop()
        evidence = gather(system.home, system.database_url)
        script = script_cpu_seconds()
        resolution = stamp_resolution(system.home)
        states = rows(system.home, system.database_url, ENDED)
    _refuse_unlawful(evidence, cap, [(str(state), int(number)) for state, number in states])
    measured = _only(evidence, MEASURED)
    makespan = max(r.finished or 0 for r in measured.runs.values()) - used.submitted
    number = len(measured.runs)
    net = sum(used.cpu.values()) - script * number
    stamped, slots = spans(measured)[0], database_spans(measured)
    return {
        "step_runs": number,
        "makespan_s": round(makespan, 3),
        "lower_bound_s": round(bound.seconds, 3),
        "lower_bound_from": bound.limit,
        "makespan_over_lower_bound": round(makespan / bound.seconds, 4) if bound.seconds else None,
        "submit_s": round(used.submitting, 3),
        "cpu_ms_per_run": {
            "net": milli(net / number),
            "total": milli(sum(used.cpu.values()) / number),
            "script_alone": milli(script),
            "by_process": {k: milli(v / number) for k, v in by_kind(used.cpu).items()},
        },
        "redis_commands_per_run": {
            "total": round(used.redis_commands / number, 1),
            "inside_scripts_share": round(monitor.share_inside_scripts, 3),
            "inside_scripts": round(used.redis_commands * monitor.share_inside_scripts / number, 1),
        },
        "handoff_ms": {
            "script_end_to_script_begin": summary(handoffs(measured, stamped, slots, cap)),
            "record_to_claim": summary(handoffs(measured, slots, slots, cap)),
            "stamp_resolution": milli(resolution),
        },
        "peak_concurrency": {"scripts": peak(stamped.values()), "slots": peak(slots.values())},
    }


def _run(system: System, projects: tuple[str, ...], version: str, patience: float) -> Used:
    """Releases the projects in one batch and waits until nothing is open any more."""
    pids, redis = system.pids, system.services.redis
    cpu, commands = cpu_seconds(pids), usage.commands(redis)
    submitted, begun = time.time(), time.monotonic()
    system.services.batches.run([Row(Wanted(name, version)) for name in projects], version)
    submitting = time.monotonic() - begun
    while rows(system.home, system.database_url, OPEN)[0][0]:
        system.check()
        if time.monotonic() - begun > patience:
            raise Broken(f"not everything had ended after {patience:g} s")
        time.sleep(LOOK_EVERY)
    return Used(
        submitted,
        submitting,
        difference(cpu, cpu_seconds(pids)),
        usage.commands(redis) - commands,
    )


def _refuse_unlawful(evidence: Evidence, cap: int, states: list[tuple[str, int]]) -> None:
    verdict = judge(evidence, cap)
    if not verdict.lawful:
        raise Broken("the machines' journals show that rules were broken", verdict.document())
    if verdict.source != "stamps":
        raise Broken("a script left no stamp", verdict.document())
    if [state for state, _ in states] != ["succeeded"]:
        raise Broken(f"not every deployment succeeded: {dict(states)}")
    most = peak(database_spans(evidence).values())
    if most > cap:
        raise Broken(f"{most} slots were taken at once, the task cap is {cap}")


def _only(evidence: Evidence, version: str) -> Evidence:
    """The part that is of one version."""
    runs = {name: run for name, run in evidence.runs.items() if run.version == version}
    journals = {
        machine: tuple(line for line in lines if line.ticket in runs)
        for machine, lines in evidence.journals.items()
    }
    stamps = {ticket: times for ticket, times in evidence.stamps.items() if ticket in runs}
    return Evidence(journals, stamps, runs, evidence.deployments, evidence.environments)
