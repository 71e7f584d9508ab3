"""The long-running processes: ``up``, ``worker``, ``housekeeping``, ``flower``, and ``down``.

Each takes the place of this process, or starts others; none is imported here.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click

from deployengine.cli.session import Session, command
from deployengine.cli.supervisor import Supervisor
from deployengine.domain.errors import RequestError
from deployengine.embedded.broker_url import broker_url
from deployengine.services import Services

_task_cap = click.option(
    "--task-cap", type=click.IntRange(min=1), help="Scripts at once in each worker (default 5)."
)

LOOPBACK = ("127.0.0.1", "localhost", "::1")
FLOWER_LOGIN = "FLOWER_BASIC_AUTH"


class FlowerOpen(RequestError):
    """Flower was to listen beyond this host without a password."""


@click.command(epilog="Example:  deployengine up --task-cap 16")
@_task_cap
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
@command
def up(session: Session, task_cap: int | None, workers: int) -> int:
    """Run everything that one machine needs, in the foreground; Ctrl-C ends it clean.

    The first Ctrl-C lets running scripts end, the second does not wait for them.
    """
    session.services.close()  # opened once: the database and Redis are there now
    supervisor = Supervisor(session.settings, session.say)
    code = supervisor.run(task_cap or session.settings.task_cap, workers)
    if session.settings.embedded_redis:
        session.services.embedded_redis.stop()
    return code


@click.command(epilog="Example:  deployengine down")
@command
def down(session: Session) -> None:
    """Stop the embedded Redis; what waits is in the database and goes on with the next `up`."""
    services = Services(session.settings)
    ran = session.settings.embedded_redis and services.embedded_redis.running()
    if ran:
        services.embedded_redis.stop()
    said = "stopped the embedded Redis" if ran else "nothing to stop"
    session.answer({"stopped": ran}, lambda out: out.print(said))


@click.command(epilog="Example:  deployengine worker --task-cap 16")
@_task_cap
@click.option(
    "--no-housekeeping", is_flag=True, help="Leave links and housekeeping to another process."
)
@command
def worker(session: Session, task_cap: int | None, no_housekeeping: bool) -> None:
    """Run scripts: N slots, each with one running script and nothing else.

    Brings its own housekeeping process unless told not to. SIGTERM lets running scripts end;
    SIGQUIT ends it at once, and its scripts go on under another worker.
    """
    arguments = ["slots", "--task-cap", str(task_cap or session.settings.task_cap)]
    _become("workers", *arguments, *(["--no-control"] if no_housekeeping else []))


@click.command(epilog="Example:  deployengine housekeeping")
@command
def housekeeping(session: Session) -> None:
    """Carry releases from step to step and send again what got lost; run one or more of these."""
    del session
    _become("workers", "control")


@click.command(epilog="Example:  deployengine flower --port 5555")
@click.option("--address", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=5555, show_default=True)
@command
def flower(session: Session, address: str, port: int) -> None:
    """Watch workers and tasks in Flower (needs the extra `flower`).

    Beyond this host it asks for a name and password: set FLOWER_BASIC_AUTH=name:password.
    """
    if find_spec("flower") is None:
        raise RequestError(
            "Flower is not installed", None, "install it: pip install 'deployengine[flower]'"
        )
    if address not in LOOPBACK and ":" not in os.environ.get(FLOWER_LOGIN, ""):
        raise FlowerOpen(
            f"Flower on {address} would be open to the network",
            None,
            f"set {FLOWER_LOGIN}=name:password, or keep to 127.0.0.1",
        )
    # By environment, as the broker's URL may hold a password.
    os.environ["FLOWER_BROKER"] = broker_url(session.services.redis_url)
    _become("workers", "flower", "--address", address, "--port", str(port))


def _become(module: str, *arguments: str) -> None:
    sys.stdout.flush()
    # -P: the folder that people stand in may hold a module of any name.
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606
