"""How soon work that has been done could have ended at best.

Three things no schedule of the same runs can beat, whatever its order:

- *task cap*: with N slots, N seconds of running at most pass in each second::

      running seconds of all runs ÷ N

- *release*: what must come one after the other. A run's ``before`` is the longest chain of runs
  that must end before it may start, its ``after`` the longest chain that can start only when it
  has ended, both of the same release. A chain counts its running seconds and nothing else::

      greatest (before + own seconds + after) of any run

- *machine*: runs of which no two may overlap there. The first of them to start cannot start
  earlier than the least ``before`` among them, then all of them pass one by one, and the one that
  ends last leaves at least the least ``after`` to do::

      least before + sum of their seconds + least after

  Exclusive runs overlap nothing. Shared ones may all overlap each other, so beside the exclusive
  runs at most one of them counts: that one, or none, which gives the greatest bound.

The greatest of the three is the lower bound. What must come before what is read off the facts, and
only where the engine's own rules bring it about:

- within one deployment, a step that became ready after all runs of another had ended follows it;
- within one step, an attempt on a machine follows the earlier attempts on that machine;
- a deployment that was created after another one of its release had ended follows it: promotion
  creates it in that moment. (So does a person who asks for it then; asking sooner is not counted
  among the schedules that are compared.)

Projects, named resources, ``max_concurrent``, ``mutex: deployment``, and what a machine carries out
for others are left out. That, like an order that went unseen because the clocks of two hosts
differ, can only make the bound smaller.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Job:
    """A run that has run, and what tells its place among those of its release.

    ``created`` and ``closed``: when its deployment was created and ended (``None``: it is open).
    ``elsewhere``: another machine carried it out, so it kept nobody from its own.
    """

    release: tuple[str, str]
    deployment: str
    step: str
    machine: str
    attempt: int
    exclusive: bool
    created: datetime
    ready: datetime
    started: datetime
    finished: datetime
    closed: datetime | None
    elsewhere: bool = False

    @property
    def seconds(self) -> float:
        """How long it ran; never negative, whatever the clocks said."""
        return max((self.finished - self.started).total_seconds(), 0.0)


class Limit(StrEnum):
    """What a lower bound comes from."""

    TASK_CAP = "task cap"
    MACHINE = "machine"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Bound:
    """A lower bound in seconds, and the three terms that anybody can add up again.

    ``name`` is the machine, or the release as "project version"; empty for the task cap, whose
    ``work`` is already divided by the cap.
    """

    limit: Limit
    name: str
    before: float
    work: float
    after: float

    @property
    def seconds(self) -> float:
        """No schedule of these runs takes less."""
        return self.before + self.work + self.after


@dataclass(frozen=True, slots=True)
class _Placed:
    """A job with the length of what must precede and of what must follow it."""

    job: Job
    before: float
    after: float


class _Block:
    """All jobs of one step of one deployment, machine by machine, attempts in order."""

    __slots__ = ("after", "before", "closed", "created", "deployment", "ended", "lines", "ready")

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.lines: defaultdict[str, list[Job]] = defaultdict(list)
        for job in sorted(jobs, key=lambda j: j.attempt):
            self.lines[job.machine].append(job)
        self.deployment = jobs[0].deployment
        self.created = jobs[0].created
        self.closed = jobs[0].closed
        self.ready = min(job.ready for job in jobs)
        self.ended = max(job.finished for job in jobs)
        self.before = self.after = 0.0

    @property
    def length(self) -> float:
        return max(sum(job.seconds for job in line) for line in self.lines.values())

    def precedes(self, other: _Block) -> bool:
        if self.deployment == other.deployment:
            return self.ended <= other.ready
        return self.closed is not None and max(self.closed, self.ended) <= other.created

    def placed(self) -> Iterable[_Placed]:
        for line in self.lines.values():
            done, whole = 0.0, sum(job.seconds for job in line)
            for job in line:
                rest = whole - done - job.seconds
                yield _Placed(job, self.before + done, rest + self.after)
                done += job.seconds


def lower_bound(jobs: Iterable[Job], task_cap: int | None) -> Bound | None:
    """The greatest of the module's three bounds; ``None`` when nothing ran.

    Without a task cap only machines and releases count. Raises ValueError for a cap below 1.
    """
    if task_cap is not None and task_cap < 1:
        raise ValueError(f"task cap is {task_cap}, must be 1 or more")
    placed = _placed(jobs)
    if not placed:
        return None
    bounds = [*(_of_release(p) for p in placed), *_of_machines(placed)]
    if task_cap is not None:
        work = sum(p.job.seconds for p in placed)
        bounds.append(Bound(Limit.TASK_CAP, "", 0.0, work / task_cap, 0.0))
    return max(bounds, key=lambda b: b.seconds)  # of equal ones the first: one release is plainest


def _placed(jobs: Iterable[Job]) -> list[_Placed]:
    steps: defaultdict[tuple[str, str], defaultdict[tuple[str, str], list[Job]]]
    steps = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        steps[job.release][job.deployment, job.step].append(job)
    return [p for of_release in steps.values() for p in _in_order(of_release.values())]


def _in_order(steps: Iterable[Sequence[Job]]) -> Iterable[_Placed]:
    """Longest ways through the steps of one release, to each and from each."""
    blocks = sorted((_Block(jobs) for jobs in steps), key=lambda b: b.ready)
    for place, block in enumerate(blocks):
        earlier = (b for b in blocks[:place] if b.precedes(block))
        block.before = max((b.before + b.length for b in earlier), default=0.0)
    for place in range(len(blocks) - 1, -1, -1):
        block = blocks[place]
        later = (b for b in blocks[place + 1 :] if block.precedes(b))
        block.after = max((b.length + b.after for b in later), default=0.0)
    for block in blocks:
        yield from block.placed()


def _of_release(placed: _Placed) -> Bound:
    name = " ".join(placed.job.release)
    return Bound(Limit.RELEASE, name, placed.before, placed.job.seconds, placed.after)


def _of_machines(placed: Iterable[_Placed]) -> Iterable[Bound]:
    """A machine without exclusive runs needs none: each run's own way is a bound already."""
    machines: defaultdict[str, list[_Placed]] = defaultdict(list)
    for each in placed:
        if not each.job.elsewhere:
            machines[each.job.machine].append(each)
    for machine, present in machines.items():
        alone = [p for p in present if p.job.exclusive]
        if not alone:
            continue
        before, after = min(p.before for p in alone), min(p.after for p in alone)
        work = sum(p.job.seconds for p in alone)
        yield Bound(Limit.MACHINE, machine, before, work, after)
        for p in present:
            if not p.job.exclusive:
                least = min(before, p.before), min(after, p.after)
                yield Bound(Limit.MACHINE, machine, least[0], work + p.job.seconds, least[1])
