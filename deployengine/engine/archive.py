"""What never changes once it is stored is read and parsed once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from deployengine.domain.plan import Plan
from deployengine.domain.release import Snapshot
from deployengine.persistence import Transaction
from deployengine.persistence.records import DeploymentRecord

T = TypeVar("T")


class Archive:
    """Keeps the plans, snapshots and deployments used last; safe to share between threads."""

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[str, int], object] = OrderedDict()
        self._lock = threading.Lock()

    def plan(self, tx: Transaction, deployment_id: int) -> Plan:
        """The plan that is stored with the deployment."""
        return self._get(
            ("plan", deployment_id), lambda: Plan.from_document(tx.deployments.plan(deployment_id))
        )

    def deployment(self, tx: Transaction, deployment_id: int) -> DeploymentRecord:
        """The deployment as it was when it was first read: of whom, to where, in which phase.

        Its state and times are not those of now; who needs them asks the repository.
        """

        def read() -> DeploymentRecord:
            found = tx.deployments.get(deployment_id)
            assert found is not None
            return found

        return self._get(("deployment", deployment_id), read)

    def snapshot(self, tx: Transaction, snapshot_id: int) -> Snapshot:
        """What a release froze."""
        return self._get(
            ("snapshot", snapshot_id), lambda: Snapshot(tx.releases.snapshot(snapshot_id))
        )

    def _get(self, key: tuple[str, int], read: Callable[[], T]) -> T:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]  # type: ignore[return-value]  # the key names the type
        value = read()
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value
