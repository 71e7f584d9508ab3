"""Thirty-two scripts at once in one worker: whether they are, and what it costs that they wait."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.evidence import rows
from benchmarks.ssh.engine import CAP, OPEN, Engine
from benchmarks.ssh.park import expect
from benchmarks.ssh.scripts import GATE, GATED, JOURNAL
from benchmarks.system import PATIENCE, Broken

WORKER = "worker-1"


def measure(engine: Engine, seconds: float) -> dict[str, Any]:
    """Threads, memory and CPU while as many scripts as there are slots stand at their gates."""
    folders = engine.folders["ssh"]
    projects = GATED.names(1 + CAP // len(folders))
    for folder in folders.values():
        os.mkfifo(folder / GATE)
    worker = psutil.Process(engine.system.pids[WORKER])
    threads, memory = worker.num_threads(), worker.memory_info().rss
    engine.submit(projects)
    _until_inside(engine, folders, CAP)
    print(f"watching {CAP} scripts for {seconds:g} s", file=sys.stderr)
    machines, used, begun = engine.machines(), engine.used(), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - begun
    own = {name: each.own - used[name].own for name, each in engine.used().items()}
    machines = engine.machines() - machines
    inside = _inside(folders)
    figures = {
        "inside": inside,
        "threads": worker.num_threads(),
        "threads_before": threads,
        "memory_mib": round(worker.memory_info().rss / 2**20, 1),
        "memory_added_mib": round((worker.memory_info().rss - memory) / 2**20, 1),
        "watched_s": round(elapsed, 1),
        "cpu_percent_of_a_core": {
            **{name: round(100 * seconds / elapsed, 2) for name, seconds in own.items()},
            "sshd_and_shells": round(100 * machines / elapsed, 2),
        },
    }
    _let_all_go(engine, folders)
    expect(folders, projects)
    for folder in folders.values():
        (folder / GATE).unlink()
    if inside != CAP:
        raise Broken(f"{inside} scripts were inside at once, there are {CAP} slots")
    return figures


def _until_inside(engine: Engine, folders: dict[str, Path], number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while _inside(folders) < number:
        engine.system.check()
        if time.monotonic() > deadline:
            raise Broken(f"{_inside(folders)} scripts began, there are {number} slots")
        time.sleep(0.05)


def _inside(folders: dict[str, Path]) -> int:
    """How many scripts have begun; none gets past its gate."""
    journals = [folder / JOURNAL for folder in folders.values()]
    return sum(len(j.read_text("utf-8").splitlines()) for j in journals if j.exists())


def _let_all_go(engine: Engine, folders: dict[str, Path]) -> None:
    deadline = time.monotonic() + PATIENCE
    while rows(engine.system.home, None, OPEN)[0][0]:
        for folder in folders.values():
            _open(folder / GATE)
        if time.monotonic() > deadline:
            raise Broken("scripts did not end though their gates were opened")
        time.sleep(0.05)
    engine.await_end()


def _open(gate: Path) -> None:
    try:
        descriptor = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody waits there
            raise
        return
    with os.fdopen(descriptor, "w") as opened:
        opened.write("\n")
