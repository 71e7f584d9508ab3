"""Bringing a package to a machine, as a run: its ticket is a record of what is there.

No script runs for it, so there is nothing that could run twice: whoever finds the package on the
machine finds the run ended well, and whoever does not brings it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from deployengine.domain.errors import DeployEngineError
from deployengine.domain.package import Package
from deployengine.engine.package_store import PackageStore
from deployengine.steps.contract import Runner, Started, State, Status
from deployengine.steps.errors import CannotStart, DamagedOnTheWay
from deployengine.steps.wake import Wake

log = logging.getLogger("deployengine.runs")

#: How long the bell may go unheard: seconds.
_LOOK_EVERY = 0.05
_THREAD = "acquisition"


class _CalledOff(DeployEngineError):
    """Nobody waits for it any more."""


class Acquisition:
    """One package on its way to one machine."""

    def __init__(
        self,
        package: Package,
        machine: str,
        runner: Runner,
        store: PackageStore,
        *,
        at_hand: bool = False,
    ) -> None:
        """``at_hand``: it is wanted here, too, as values will be written into its files."""
        self._package = package
        self._at_hand = at_hand
        self._machine = machine
        self._runner = runner
        self._store = store
        self._said = b""
        self._over = threading.Event()
        self._called_off = threading.Event()
        self._error: Exception | None = None

    def start(self, wake: Wake | None = None, patience: timedelta | None = None) -> Started:
        """Brings the package, unless it is there; raises whatever is in the way of that."""
        there = self._runner.has(self._package.digest)
        if there:
            self._say(f"{self._package} is on {self._machine} already")
            if not self._at_hand or self._store.has(self._package):
                return Started.ATTACHED
        end = math.inf if patience is None else time.monotonic() + patience.total_seconds()
        act = self._fetch if there else self._bring
        threading.Thread(target=self._do, args=(act,), name=_THREAD, daemon=True).start()
        while not self._over.wait(_LOOK_EVERY):
            if (wake and wake.is_set()) or time.monotonic() > end:
                self._called_off.set()
                return Started.CALLED_OFF
        if isinstance(self._error, DeployEngineError):
            raise self._error
        if self._error is not None:
            log.error("%s was not brought", self._package, exc_info=self._error)
            raise CannotStart(f"{self._package} can't be brought here: {self._error}")
        return Started.FIRST

    def status(self) -> Status:
        """EXITED once it is there."""
        if self._runner.has(self._package.digest):
            return Status(State.EXITED, 0)
        return Status(State.ABSENT)

    def wait(self, timeout: timedelta, wake: Wake | None = None) -> Status:  # noqa: ARG002
        """As :meth:`status`: whoever has started it has waited for it."""
        return self.status()

    def output(self, offset: int, limit: int = 65536) -> bytes:
        """What there is to say of it, to who has started it."""
        return self._said[offset : offset + limit]

    def outputs(self) -> dict[str, str]:
        """None."""
        return {}

    def cancel(self) -> None:
        """What has come stays, for the next time."""
        self._called_off.set()

    def clean(self) -> None:
        """Nothing was left but the package."""

    def clean_soon(self) -> None:
        """As :meth:`clean`."""

    def _fetch(self) -> Path:
        archive = self._store.fetch(self._package, self._check)
        self._check(0, None)
        return archive

    def _bring(self) -> None:
        began = time.monotonic()
        archive = self._fetch()
        self._runner.deliver(archive, self._package.digest)
        took = time.monotonic() - began
        size = archive.stat().st_size
        self._say(f"{self._package} brought to {self._machine}: {size} bytes in {took:.1f} s")

    def _do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except _CalledOff:
            log.info("%s was not brought to %s: called off", self._package, self._machine)
        except Exception as error:
            if isinstance(error, DamagedOnTheWay):
                self._store.suspect(self._package)
            self._error = error
        finally:
            self._over.set()

    def _check(self, _done: int, _whole: int | None) -> None:
        if self._called_off.is_set():
            raise _CalledOff

    def _say(self, line: str) -> None:
        self._said = f"{line}\n".encode()
