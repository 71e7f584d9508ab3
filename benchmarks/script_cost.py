"""What the script costs by itself, without any engine, and how fine its stamps are."""

from __future__ import annotations

import os
import resource
from contextlib import chdir
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scenario import MACHINES, SCRIPT, SLEEP, STAGES, furnished

TIMES = 150


def script_cpu_seconds(times: int = TIMES) -> float:
    """User and system time of one run of the very same script, which sleeps for no time at all."""
    with TemporaryDirectory(prefix="deployengine-script-") as folder:
        workdir = furnished(Path(folder), MACHINES[0])
        (workdir / "lengths").mkdir()
        (workdir / "lengths" / "app-001").write_text("0\n")
        script = Path(folder, "script")
        script.write_text(SCRIPT.replace("WORK", SLEEP))
        with chdir(workdir):
            before = _children()
            for n in range(times):
                _run(script, f"run-{n}")
            return (_children() - before) / times


def _run(script: Path, ticket: str) -> None:
    """In the machine's folder, with environment and output file as the engine gives them."""
    environment = {
        **os.environ,
        "DEPLOYENGINE_PROJECT": "app-001",
        "DEPLOYENGINE_RELEASE": "1.0.0",
        "DEPLOYENGINE_ENVIRONMENT": next(iter(STAGES)),
        "DEPLOYENGINE_MACHINE": MACHINES[0],
        "DEPLOYENGINE_STEP": "Install",
        "DEPLOYENGINE_DEPLOYMENT": "dep-1",
        "DEPLOYENGINE_ATTEMPT": "1",
        "DEPLOYENGINE_TICKET": ticket,
    }
    child = os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", str(script)],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "output", os.O_WRONLY | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise ChildProcessError(f"the script alone ended with status {status}")


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stamp_resolution(home: Path) -> float:
    """Seconds: the smallest step between two stamps that scripts have left in this home."""
    times = sorted({p.stat().st_mtime_ns for p in home.glob("machines/*/stamps/*")})
    return min((b - a for a, b in pairwise(times)), default=0) / 1e9
