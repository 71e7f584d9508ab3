"""Ten thousand parked runs: what waiting costs, and whether a long line makes hand-offs slow."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks import scenario
from benchmarks.evidence import gather, rows
from benchmarks.gates import Gates
from benchmarks.handoffs import handoffs, summary
from benchmarks.journal import judge
from benchmarks.script_cost import stamp_resolution
from benchmarks.system import PATIENCE, Broken, System, running
from benchmarks.times import database_spans, milli, spans
from benchmarks.usage import DRIVER, by_kind, cpu_seconds, difference, memory_bytes
from deployengine.engine.batches import Row
from deployengine.engine.releases import Wanted

MACHINES = scenario.STAGES["Production"]
CAP = len(MACHINES) + 2
#: Hand-offs that are measured, one after the other, on machine after machine.
HANDOFFS = 90

STATES = "select state, count(*) from step_run group by state"


def measure(wanted: int, watch: float, database_url: str | None) -> dict[str, Any]:
    """Parks runs behind one exclusive script per machine, watches, then lets some pass."""
    projects = tuple(f"app-{n:04}" for n in range(-(-wanted // len(MACHINES)) + 1))
    gates = Gates(MACHINES)
    started = running(database_url, CAP, 1, gates.furnish, gates.catalog(projects))
    with started as system, _nobody_left(system, gates):
        idle = memory_bytes(system.pids)
        submitting = _park(system, projects)
        figures = _watch(system, watch, idle)
        passed = _pass_gates(system, gates, min(HANDOFFS, figures["parked"]))
        system.stop(while_ending=gates.open_all)
        evidence = gather(system.home, system.database_url)
        resolution = stamp_resolution(system.home)
    verdict = judge(evidence, CAP)
    if not verdict.lawful:
        raise Broken("the machines' journals show that rules were broken", verdict.document())
    slots = database_spans(evidence)
    stamped = spans(evidence)[0]
    pairs = [
        pair
        for pair in handoffs(evidence, stamped, slots, CAP)
        if (pair.before.finished or 0) < passed
    ]
    return figures | {
        "submit_s": round(submitting, 3),
        "handoff_ms": {
            "script_end_to_script_begin": summary(pairs),
            "stamp_resolution": milli(resolution),
        },
    }


def _park(system: System, projects: tuple[str, ...]) -> float:
    """Until one script runs on each machine and all other runs wait; seconds it took."""
    begun = time.monotonic()
    system.services.batches.run([Row(Wanted(name, "1.0.0")) for name in projects], "parked")
    expected = {"running": len(MACHINES), "waiting": (len(projects) - 1) * len(MACHINES)}
    patience = PATIENCE + 0.05 * sum(expected.values())
    while (states := _states(system)) != expected:
        system.check()
        print(f"parking: {states}", file=sys.stderr)
        if time.monotonic() - begun > patience:
            raise Broken(f"not parked within {patience:g} s: {states}")
        time.sleep(1)
    return time.monotonic() - begun


def _states(system: System) -> dict[str, int]:
    return {str(s): int(n) for s, n in rows(system.home, system.database_url, STATES)}


def _watch(system: System, seconds: float, idle: Mapping[str, int]) -> dict[str, Any]:
    """CPU and memory of the engine's processes while nothing can happen but waiting."""
    pids = system.pids
    print(f"watching for {seconds:g} s", file=sys.stderr)
    before, begun = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    used, elapsed = difference(before, cpu_seconds(pids)), time.monotonic() - begun
    del used[DRIVER]
    states = _states(system)
    if states["running"] != len(MACHINES):
        raise Broken(f"somebody did not wait: {states}")
    memory = difference(idle, memory_bytes(pids))
    return {
        "parked": states["waiting"],
        "watched_s": round(elapsed, 1),
        "cpu_percent_of_a_core": {
            "total": round(100 * sum(used.values()) / elapsed, 2),
            "by_process": {k: round(100 * v / elapsed, 2) for k, v in by_kind(used).items()},
        },
        "memory_added_mib": {
            "total": round(sum(memory.values()) / 2**20, 1),
            "by_process": {k: round(v / 2**20, 1) for k, v in by_kind(memory).items()},
        },
    }


def _pass_gates(system: System, gates: Gates, times: int) -> float:
    """Lets one script after another end, each on the next machine; when the last one was let."""
    for number in range(times):
        machine = MACHINES[number % len(MACHINES)]
        begun = gates.begun(machine)
        _within(partial(gates.open, machine), system)
        _within(partial(_more_begun, gates, machine, begun), system)
    return time.time()


@contextmanager
def _nobody_left(system: System, gates: Gates) -> Iterator[None]:
    """Should the block fail, no script is left waiting at a gate that is gone."""
    try:
        yield
    except BaseException:
        system.kill()
        deadline = time.monotonic() + 1  # a script that was just started has yet to get there
        while time.monotonic() < deadline:
            gates.open_all()
            time.sleep(0.05)
        raise


def _more_begun(gates: Gates, machine: str, before: int) -> bool:
    return gates.begun(machine) > before


def _within(is_so: Callable[[], bool], system: System) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise Broken(f"no script came to the gate within {PATIENCE:g} s")
        system.check()
        time.sleep(0.005)
