"""The engine beside its peers: the same scripts on the same machines, one tool after the other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.ssh import peer, scripts
from benchmarks.ssh.engine import CAP, Bill, Engine
from benchmarks.ssh.peer import Effort, Peer
from benchmarks.ssh.scripts import Kind

OURS = "deployengine"

FABRIC = Peer(
    "Fabric",
    "fabric",
    "fabric_group",
    "",
    "ThreadingGroup (a thread per machine), script after script, connected beforehand",
)
PSSH = Peer(
    "parallel-ssh",
    "parallel-ssh",
    "pssh_client",
    "",
    f"ParallelSSHClient, pool {CAP}, script after script, connected beforehand",
)
PYINFRA = Peer(
    "pyinfra",
    "pyinfra",
    "pyinfra_api",
    "",
    f"its API, PARALLEL={CAP}, server.shell, connected beforehand",
)
ANSIBLE = Peer(
    "Ansible",
    "ansible-core",
    "ansible_play",
    "",
    f"one playbook, forks {CAP}, pipelining, ControlPersist with masters that are there already, "
    "gather_facts off, raw (the text goes to the shell; no Python there)",
    "raw",
)
#: What playbooks mostly say. It takes a Python on the machine each time, so it runs a part only.
ANSIBLE_SHELL = replace(
    ANSIBLE,
    name="Ansible, shell",
    way="free",
    module="shell",
    how="the same with the module shell, strategy free",
)
#: Those with more than one way, of which the faster one is taken.
WAYS = {PYINFRA: ("together", "no_wait"), ANSIBLE: ("free", "linear")}


@dataclass(frozen=True, slots=True)
class Lap:
    """So many scripts of a kind on all machines; ``slow_module``: with Ansible's shell, too."""

    kind: Kind
    number: int
    slow_module: int = 0


def measure(
    engine: Engine, python: Path, laps: Sequence[Lap], trial: int
) -> tuple[dict[str, Any], list[Bill]]:
    """All laps, and the engine's bills of the first one.

    The engine runs first and last in each, so that a host that changes meanwhile is seen. So many
    scripts as ``trial`` says find out which way of a peer is the faster one.
    """
    peers = [FABRIC, PSSH, *(_faster(engine, python, tool, trial) for tool in WAYS)]
    installed = peer.versions(python)
    told = [
        {"name": each.name, "version": installed[each.package], "way": each.way, "how": each.how}
        for each in (*peers, ANSIBLE_SHELL)
    ]
    documents, bills = [], []
    for lap in laps:
        busiest = lap.kind.furnish(engine.folders["ssh"], lap.number)
        ours = [_release(engine, lap)]
        entries = [_peer_entry(each, engine, python, lap, lap.number) for each in peers]
        if lap.slow_module:
            entries.append(_peer_entry(ANSIBLE_SHELL, engine, python, lap, lap.slow_module))
        ours.append(_release(engine, lap))
        bills += ours if lap is laps[0] else []
        documents.append(_document(lap, busiest, ours, entries, len(engine.park)))
    return {"task_cap": CAP, "peers": told, "laps": documents}, bills


def _faster(engine: Engine, python: Path, tool: Peer, trial: int) -> Peer:
    ways = [replace(tool, way=way) for way in WAYS[tool]]
    walls = {way: peer.run(way, python, engine.park, scripts.TRIVIAL, trial).wall for way in ways}
    return min(ways, key=lambda way: walls[way])


def _release(engine: Engine, lap: Lap) -> Bill:
    print(f"{lap.number} {lap.kind.name} scripts: {OURS}", file=sys.stderr)
    return engine.release(lap.kind, lap.number)


def _peer_entry(tool: Peer, engine: Engine, python: Path, lap: Lap, number: int) -> dict[str, Any]:
    print(f"{number} {lap.kind.name} scripts: {tool.name} {tool.way}", file=sys.stderr)
    effort = peer.run(tool, python, engine.park, lap.kind, number)
    return {"name": tool.name} | _figures(effort, number * len(engine.park))


def _figures(effort: Effort, runs: int) -> dict[str, Any]:
    return {
        "runs": runs,
        "wall_s": round(effort.wall, 2),
        "wall_ms_per_run": round(1000 * effort.wall / runs, 2),
        "controller_cpu_ms_per_run": round(1000 * effort.controller / runs, 2),
        "machines_cpu_ms_per_run": round(1000 * effort.machines / runs, 2),
    }


def _document(
    lap: Lap, busiest: float, ours: Sequence[Bill], entries: list[dict[str, Any]], machines: int
) -> dict[str, Any]:
    middle = Effort(
        mean(bill.wall for bill in ours),
        mean(bill.engine for bill in ours),
        mean(bill.machines for bill in ours),
    )
    runs = lap.number * machines
    own = {"name": OURS} | _figures(middle, runs)
    own["walls_s"] = [round(bill.wall, 2) for bill in ours]
    for entry in entries:
        entry["we_take"] = round(own["wall_ms_per_run"] / entry["wall_ms_per_run"], 2)
    return {
        "kind": lap.kind.name,
        "scripts": lap.number,
        "machines": machines,
        "seconds_each": lap.kind.seconds,
        "busiest_machine_s": round(busiest, 2),
        "entries": [own, *entries],
        "ahead_of_all": all(entry["we_take"] < 1 for entry in entries),
    }
