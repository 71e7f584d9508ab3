"""``demo``: the newcomer's first minute."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from deployengine.catalog import load
from deployengine.cli.batch_commands import finish_batch
from deployengine.cli.batch_report import html_option
from deployengine.cli.live import watch_batch
from deployengine.cli.session import Session, command
from deployengine.cli.supervisor import Supervisor
from deployengine.domain.errors import DeployEngineError, RequestError
from deployengine.engine.batches import Row
from deployengine.engine.patience import looks
from deployengine.engine.releases import Wanted
from deployengine.settings import Settings
from deployengine.shipped import shipped

DEMO_CAP = 32
PROJECTS = 200
#: Seconds that workers may take to start.
START_TIMEOUT = 60.0

SECONDS_LINE = '{{name: Seconds, value: "{seconds}"}}'
SHIPPED_SECONDS = SECONDS_LINE.format(seconds="0.5")


@click.command(epilog="Example:  deployengine demo --releases 50 --task-cap 32 --seconds 0.5")
@click.option("--releases", type=click.IntRange(1, PROJECTS), default=50, show_default=True)
@click.option("--task-cap", type=click.IntRange(min=1), default=DEMO_CAP, show_default=True)
@click.option("--seconds", type=click.FloatRange(0, 3600), default=0.5, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the scratch home in this new folder, to look at afterwards.",
)
@html_option()
@command
def demo(
    session: Session,
    releases: int,
    task_cap: int,
    seconds: float,
    workers: int,
    keep: Path | None,
    html: Path | None,
) -> int:
    """Carry fifty releases at once through 35 machines, and show what waited for what.

    In a scratch home of its own: 1 QA, 4 Staging and 30 Production machines (folders of this
    host), 200 projects, an automatic lifecycle, every machine under its exclusive mutex. The
    script of each step sleeps for SECONDS.
    """
    with _scratch(keep) as home, Session(as_json=session.as_json, settings=Settings(home)) as own:
        try:
            _apply_scenario(own, home, seconds)
            rows = [Row(Wanted(f"app-{n:03}", "1.0.0")) for n in range(1, releases + 1)]
            own.say(
                f"{releases} releases → QA (1 machine) → Staging (4) → Production (30): "
                f"{releases * 35} scripts of {seconds:g} s, task cap {task_cap * workers}"
            )
            supervisor = Supervisor(own.settings, own.say)
            with supervisor.running(task_cap, workers):
                _await_workers(own, supervisor, workers)
                batch = own.services.batches.run(rows, "demo")
                watch_batch(own, batch.name, None)
                return finish_batch(own, batch.name, html)
        finally:
            own.services.embedded_redis.stop()


@contextmanager
def _scratch(keep: Path | None) -> Iterator[Path]:
    """A new home, removed at the end unless it is to be kept."""
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise RequestError(f"{keep} is there and not empty", None, "name a new folder")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="deployengine-demo-") as folder:
        yield Path(folder)


def _apply_scenario(session: Session, home: Path, seconds: float) -> None:
    """The shipped scenario, with the script's length as it was asked for."""
    folder = home / "catalog"
    shutil.copytree(shipped("scenario"), folder)
    file = folder / "catalog.yaml"
    text = file.read_text(encoding="utf-8")
    wanted = SECONDS_LINE.format(seconds=f"{seconds:g}")
    if text.count(SHIPPED_SECONDS) != 1:
        raise DeployEngineError(f"the shipped scenario has no single line {SHIPPED_SECONDS!r}")
    file.write_text(text.replace(SHIPPED_SECONDS, wanted), encoding="utf-8")
    session.services.catalogs.apply(load([folder]).sealed(session.services.secrets.seal))


def _await_workers(session: Session, supervisor: Supervisor, workers: int) -> None:
    """Until all slots are there, so that starting them is not taken for waiting."""
    for present in looks(session.services.roll.present, "the workers to start", START_TIMEOUT):
        if len(present) == workers:
            return
        supervisor.check()
