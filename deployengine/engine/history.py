"""History: the deployments of a project in an environment, as a rollback looks at them."""

from __future__ import annotations

from collections.abc import Iterable

from deployengine.domain.deployment import DeploymentState
from deployengine.domain.history import Visit
from deployengine.persistence.records import DeploymentRecord


def begun(deployments: Iterable[DeploymentRecord]) -> list[DeploymentRecord]:
    """Those that have begun, in the order in which they did."""
    found = [(d.started_at, d.id, d) for d in deployments]
    return [d for _, _, d in sorted((began, n, d) for began, n, d in found if began is not None)]


def current(deployments: Iterable[DeploymentRecord]) -> DeploymentRecord | None:
    """The last of those that were for all machines and have begun, however it ended.

    Its release is the one that is there, unless it went wrong: then nobody knows.
    """
    everywhere = (d for d in deployments if not (d.selection.machines or d.selection.exclude))
    return next(reversed(begun(everywhere)), None)


def visit(deployment: DeploymentRecord) -> Visit:
    """One that has begun."""
    succeeded = deployment.state is DeploymentState.SUCCEEDED
    well = succeeded and not deployment.selection.chosen
    return Visit(deployment.release_id, well, deployment.rolls_back)
