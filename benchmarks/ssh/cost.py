"""CPU per step run: machines that are reached by SSH beside those of the worker's own host."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from benchmarks.ssh.engine import Bill

#: By how much a run by SSH may cost the engine's own processes more than a local one.
ALLOWED = 2.0


def compare(local: Sequence[Bill], ssh: Sequence[Bill]) -> dict[str, Any]:
    """Milliseconds per step run, the mean of the batches of each kind."""
    ratio = _per_run(ssh)["engine"] / _per_run(local)["engine"]
    return {
        "runs": local[0].runs,
        "local": _per_run(local) | {"by_process": _by_process(local)},
        "ssh": _per_run(ssh) | {"by_process": _by_process(ssh)},
        "ssh_over_local": round(ratio, 2),
        "allowed": ALLOWED,
        "reached": ratio <= ALLOWED,
    }


def _per_run(bills: Sequence[Bill]) -> dict[str, float]:
    """``children``: wrappers and scripts of local machines; ``machines``: sshd and all it runs."""
    return {
        "engine": round(mean(1000 * bill.engine / bill.runs for bill in bills), 2),
        "children": round(mean(1000 * bill.children / bill.runs for bill in bills), 2),
        "machines": round(mean(1000 * bill.machines / bill.runs for bill in bills), 2),
    }


def _by_process(bills: Sequence[Bill]) -> dict[str, float]:
    return {
        name: round(mean(1000 * bill.own[name] / bill.runs for bill in bills), 2)
        for name in bills[0].own
    }
