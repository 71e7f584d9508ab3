"""What was done to the engine, by whom, when: the only excuse that the judge accepts."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

#: Seconds for which a fault is still felt after it was lifted, and by which its note may be late.
SLACK = 10.0
#: What the faults are called that a failpoint did; they are over when they are noted.
AT_A_FAILPOINT = "at a failpoint"


@dataclass
class Injected:
    """One fault; times are of the wall clock, ``lifted`` is ``None`` while it lasts."""

    kind: str
    target: str
    detail: str
    begun: float
    lifted: float | None = None

    @property
    def over(self) -> float:
        """When it was lifted; never, while it lasts."""
        if self.lifted is not None:
            return self.lifted
        return self.begun if self.kind.endswith(AT_A_FAILPOINT) else math.inf


@dataclass
class Request:
    """What somebody asked of the engine; ``ended`` and ``code`` are ``None`` until he is done.

    ``begun`` is never later than the begin of the command, ``ended`` never earlier than its end; a
    refusal has a code that is not 0.
    """

    words: tuple[str, ...]
    begun: float = 0.0
    ended: float | None = None
    code: int | None = None


@dataclass
class Ledger:
    """Everything that was injected, and what happened that nobody injected."""

    faults: list[Injected] = field(default_factory=list)
    #: What people asked meanwhile: cancels, deployments by hand, answers, another order.
    requests: list[Request] = field(default_factory=list)
    #: Processes that ended by themselves, commands that never succeeded.
    surprises: list[str] = field(default_factory=list)
    #: What could not be injected here, and why.
    impossible: dict[str, str] = field(default_factory=dict)
    #: Failpoints at which a process was killed.
    killed_at: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, target: str = "", detail: str = "") -> Injected:
        """Puts a fault on record."""
        fault = Injected(kind, target, detail, time.time())
        self.faults.append(fault)
        return fault

    def asked(self, *words: str) -> Request:
        """Puts a request on record."""
        request = Request(words, time.time())
        self.requests.append(request)
        return request

    def of(self, *kinds: str) -> Iterator[Injected]:
        """The faults of these kinds."""
        return (fault for fault in self.faults if fault.kind in kinds)

    def targets(self, *kinds: str) -> set[str]:
        """What the faults of these kinds hit."""
        return {fault.target for fault in self.of(*kinds)}

    def during(
        self,
        kinds: Iterable[str],
        target: str | None,
        start: float,
        stop: float,
        slack: float = SLACK,
    ) -> bool:
        """Whether one of these was felt by this target (none: by any) between the two instants."""
        return any(
            fault.begun - slack <= stop and start <= fault.over + slack
            for fault in self.of(*kinds)
            if target is None or fault.target == target
        )

    def done(self, *words: str) -> Sequence[Request]:
        """The requests that begin with these words and were granted."""
        return [r for r in self.asked_for(*words) if r.code == 0]

    def asked_for(self, *words: str) -> Sequence[Request]:
        """The requests that begin with these words, granted or not: who is killed says nothing."""
        return [r for r in self.requests if r.words[: len(words)] == words]

    def answer_to(self, run: str) -> Request | None:
        """What the battery asked for when this run had a question; there is one at most."""
        for start in (("deployment", "answer", run), ("approve", run), ("guide", run)):
            for request in self.asked_for(*start):
                return request
        return None

    def said_to(self, run: str) -> str | None:
        """The answer itself: ``proceed``, ``retry``, …; ``None`` while there is none."""
        request = self.answer_to(run)
        if request is None:
            return None
        if request.words[0] == "approve":
            return "abort" if "--abort" in request.words else "proceed"
        return request.words[-1]

    def by_kind(self) -> dict[str, int]:
        """How many of each."""
        return dict(sorted(Counter(fault.kind for fault in self.faults).items()))
