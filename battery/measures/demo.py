"""Demo: the shipped demo, as a newcomer gives it, while every worker is killed and Redis emptied.

Kills and wipes come in any order, a few seconds apart. Demanded are the exit code 0, a success of
every release, and one journal entry per run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from redis.exceptions import RedisError

from battery.measures.figure import Measured
from battery.measures.installation import killed_all, named, scratch
from benchmarks.evidence import gather
from benchmarks.journal import judge
from benchmarks.system import Broken

RELEASES = 50
#: Seconds between two acts, at least and at most.
APART = (1.0, 6.0)
#: Seconds that the demo may take in all.
PATIENCE = 900.0


@dataclass(slots=True)
class _Demo:
    """The command under way, in its own home."""

    home: Path
    child: subprocess.Popen[bytes]
    kills: int = 0
    killed: int = 0
    wipes: int = 0

    @property
    def over(self) -> bool:
        return self.child.poll() is not None

    def kill_workers(self) -> bool:
        """Kills every worker that is there; no, when none is."""
        found = list(self._workers())
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed += len(found)
        self.kills += bool(found)
        return bool(found)

    def wipe_redis(self) -> bool:
        """Empties the demo's Redis; no, when it does not answer."""
        try:
            socket = (self.home / "redis" / "socket.txt").read_text("utf-8")
            with Redis(unix_socket_path=socket, socket_timeout=5) as client:
                client.flushall()
        except (OSError, RedisError):
            return False
        self.wipes += 1
        return True

    def _workers(self) -> Iterator[int]:
        for pid in named(self.home):
            with suppress(psutil.Error):
                words = " ".join(psutil.Process(pid).cmdline())
                if "-m workers slots" in words:
                    yield pid


def measure(kills: int, wipes: int, seed: str) -> Measured:
    """Runs the demo under so many kills of every worker and so many wipes."""
    dice = random.Random(seed)
    with scratch() as root, killed_all(root / "demo"):
        begun = time.monotonic()
        demo = _started(root)
        _disturb(demo, dice, kills, wipes)
        undisturbed = time.monotonic()
        _until(demo, lambda: demo.over, "the end of the demo")
        ended = time.monotonic()
        document = _document(root / "said.json")
        owing = (kills - demo.kills, wipes - demo.wipes)
        harms = [*harms_of(demo.child.returncode, document, *owing), *_by_journals(demo.home)]
    details = {
        "seed": seed,
        "exit_code": demo.child.returncode,
        "kills": demo.kills,
        "workers_killed": demo.killed,
        "wipes": demo.wipes,
        "seconds": round(ended - begun, 1),
        "seconds_after_the_last_fault": round(ended - undisturbed, 1),
        "makespan_s": document.get("makespan_seconds"),
    }
    name = f"demo, workers killed {demo.kills} times, Redis emptied {demo.wipes} times"
    return Measured(f"{name}, {ended - begun:.0f} s", [], harms, details)


def _started(root: Path) -> _Demo:
    """The demo, once its first script has begun."""
    home, said = root / "demo", root / "said.json"
    command = Path(sys.executable).with_name("deployengine")
    if not command.exists():
        raise Broken(f"there is no {command}: install the project into this environment")
    words = [str(command), "demo", "--keep", str(home), "--releases", str(RELEASES), "--json"]
    with said.open("wb") as out, (root / "errors").open("wb") as errors:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            cwd=root,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("DEPLOYENGINE_")},
        )
    demo = _Demo(home, child)
    journal = home / "machines" / "qa-1" / "journal"
    _until(demo, lambda: demo.over or journal.exists(), "the first script")
    return demo


def _disturb(demo: _Demo, dice: random.Random, kills: int, wipes: int) -> None:
    acts: list[Callable[[], bool]] = [demo.kill_workers] * kills + [demo.wipe_redis] * wipes
    dice.shuffle(acts)
    for act in acts:
        _until(demo, partial(_over_or_past, demo, time.monotonic() + dice.uniform(*APART)), "time")
        _until(demo, partial(_over_or_done, demo, act), "somebody to disturb")
        print(f"kills {demo.kills}, wipes {demo.wipes}", file=sys.stderr)


def _over_or_past(demo: _Demo, moment: float) -> bool:
    return demo.over or time.monotonic() >= moment


def _over_or_done(demo: _Demo, act: Callable[[], bool]) -> bool:
    return demo.over or act()


def _until(demo: _Demo, is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise Broken(f"{what} did not come within {PATIENCE:g} s (demo: {demo.child.poll()})")
        time.sleep(0.02)


def _document(said: Path) -> Mapping[str, Any]:
    """What the demo printed; nothing, if that is no document."""
    with suppress(json.JSONDecodeError):
        found = json.loads(said.read_text("utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def harms_of(code: int | None, document: Mapping[str, Any], kills: int, wipes: int) -> list[str]:
    """What is wrong with the demo's own words; ``kills`` and ``wipes`` are still owing."""
    told = [] if code == 0 else [f"the demo ended with {code}"]
    counts = document.get("counts", {})
    if counts != {"succeeded": RELEASES}:
        told.append(f"not {RELEASES} successes: {counts}")
    if kills or wipes:
        told.append(f"the demo was over with {kills} kills and {wipes} wipes to come")
    return told


def _by_journals(home: Path) -> list[str]:
    """By the machines' own journals: one begin and one end for every run that there is."""
    evidence = gather(home)
    verdict = judge(evidence)
    told = [f"{v.rule}: {v.message} [{v.machine or ''}]" for v in verdict.violations]
    if verdict.begun != len(evidence.runs):
        told.append(f"{verdict.begun} scripts began for {len(evidence.runs)} runs")
    return told
