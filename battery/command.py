"""A command of ``deployengine`` that is given until it succeeds, whatever kills it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from battery.process import Process

#: Seconds between two tries.
PAUSE = 0.4
#: So many tries without success are a fault of the engine.
MOST_TRIES = 60


@dataclass
class Command:
    """The words, and what in its talk tells that an earlier try has succeeded after all."""

    process: Process
    accepted: Sequence[str] = ()
    #: It begins when this one is done.
    after: Command | None = None
    tries: int = 0
    done: bool = False
    failed: str | None = None
    _next: float = field(default=0.0, repr=False)

    def tend(self, armed: Sequence[str]) -> None:
        """Looks after it; the first try is made with these failpoints."""
        if self.done or self.process.alive or time.monotonic() < self._next:
            return
        if self.after is not None and not self.after.done:
            return
        if self.tries:
            self._judge()
        if not self.done:
            self.tries += 1
            self.process.start(armed if self.tries == 1 else ())

    def _judge(self) -> None:
        child = self.process.child
        said = self.process.log.read_text("utf-8", "replace")
        if (child and child.returncode == 0) or any(words in said for words in self.accepted):
            self.done = True
        elif self.tries >= MOST_TRIES:
            self.done, self.failed = True, f"{' '.join(self.process.words)}: {said[-500:]}"
