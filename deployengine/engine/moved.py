"""What came of a move within a deployment, for admission and for its chain."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployengine.persistence.records import DeploymentRecord, RunRecord


@dataclass(slots=True)
class Moved:
    """Runs that are ready now, and whether all of their stage is done.

    ``leaving`` are the ids of what gives up its place: runs of a machine that was left out, and a
    deployment that stands aside while people decide. ``lining_up``: the deployment itself, which
    had given up its place and goes on.
    """

    ready: list[RunRecord] = field(default_factory=list)
    done: bool = False
    leaving: list[str] = field(default_factory=list)
    lining_up: list[DeploymentRecord] = field(default_factory=list)
