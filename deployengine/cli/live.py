"""The live view of a batch: a bar for each environment, and who waits for what."""

from __future__ import annotations

import time

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from deployengine.cli.questions import Questions
from deployengine.cli.session import Session
from deployengine.domain.deployment import RunState
from deployengine.engine.batches import BatchProgress
from deployengine.engine.patience import looks
from deployengine.engine.progress import EnvironmentProgress, ProgressView
from deployengine.engine.progress import Progress as Seen

#: Seconds between two lines where the output is no terminal.
LINE_EVERY = 5.0


def watch_batch(session: Session, name: str, timeout: float | None) -> BatchProgress:
    """Shows a batch until it has ended; raises ``GaveUpWaiting``."""
    services = session.services
    begun = services.batches.progress(name)
    view = ProgressView(services.database, services.archive, services.queries, begun)

    def look() -> tuple[BatchProgress, Seen]:
        return services.batches.progress(name), view.look(services.roll.task_cap())

    questions = Questions(session)
    screen: _Bars | _Lines = _Bars(session, name) if session.err.is_terminal else _Lines(session)
    with screen:
        for progress, seen in looks(look, f"batch {name}", timeout):
            screen.show(seen, _left(progress, seen))
            questions.tell(d for release in progress.releases for d in release.deployments)
            if progress.ended:
                return progress
    raise AssertionError("looks() never ends by itself")


class _Lines:
    """One line now and then, for logs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last = 0.0

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, seen: Seen, left: str) -> None:
        if time.monotonic() - self._last < LINE_EVERY:
            return
        self._last = time.monotonic()
        parts = [f"{e.environment} {e.ended}/{e.expected}" for e in seen.environments]
        self._session.say(f"{', '.join(parts)} · {_waits(seen)}{left}")


class _Bars:
    """Bars that move, for people."""

    def __init__(self, session: Session, name: str) -> None:
        self._name = name
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=36),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            console=session.err,
        )
        self._tasks: dict[str, TaskID] = {}
        self._foot = Text()
        self._live = Live(Group(self._progress, self._foot), console=session.err)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, seen: Seen, left: str) -> None:
        for each in seen.environments:
            task = self._tasks.get(each.environment)
            if task is None:
                task = self._progress.add_task(each.environment, total=each.expected, detail="")
                self._tasks[each.environment] = task
            self._progress.update(
                task,
                total=each.expected,
                completed=each.ended,
                detail=_detail(each),
            )
        self._foot.plain = f"{self._name}: {_waits(seen)}{left}"


def _detail(each: EnvironmentProgress) -> str:
    failed = each.count(RunState.FAILED, RunState.UNKNOWN)
    parts = [
        f"{each.count(RunState.RUNNING)} running",
        f"{each.count(RunState.WAITING)} waiting for machine",
        f"{each.count(RunState.GRANTED)} waiting for cap",
    ]
    if each.asking:
        parts.append(f"[magenta]{each.asking} waiting for an answer[/]")
    return ", ".join([*parts, f"[red]{failed} failed[/]"] if failed else parts)


def _waits(seen: Seen) -> str:
    running = sum(e.count(RunState.RUNNING) for e in seen.environments)
    machine = sum(e.count(RunState.WAITING) for e in seen.environments)
    cap = sum(e.count(RunState.GRANTED) for e in seen.environments)
    failed = sum(e.count(RunState.FAILED, RunState.UNKNOWN) for e in seen.environments)
    told = f"{running} running, {machine} waiting for a machine, {cap} waiting for the task cap"
    asking = sum(e.asking for e in seen.environments)
    told += f", {asking} waiting for an answer" if asking else ""
    return f"{told}, {failed} failed" if failed else told


def _left(progress: BatchProgress, seen: Seen) -> str:
    """How long it will take, unless a person decides that or nothing more comes."""
    asked = any(each.asking for each in seen.environments)
    if seen.seconds_left is None or asked or progress.ended or progress.batch.cancelled_at:
        return ""
    return f" · about {seen.seconds_left:.0f} s left"
