"""A machine for recipes: one shell, a folder, and no tools but those that a test puts there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployengine.domain.insertion import Insertion, Plain
from deployengine.domain.tools import Tool
from deployengine.domain.variables import key
from deployengine.recipes.recipe import recipe
from tests.support.sshd import tool as tool_here

BUSYBOX = shutil.which("busybox")
SHELLS = [s for s in ("dash", "bash") if shutil.which(s)] + (["busybox"] if BUSYBOX else [])

#: What recipes need beside the shell and their own tool; a machine has these and no others.
PLAIN_TOOLS = ("cat", "rm", "date", "sleep", "grep", "id", "true", "timeout", "env", "sh")


@dataclass
class Place:
    """Where a recipe runs."""

    folder: Path
    shell: str

    def __post_init__(self) -> None:
        self.bin = self.folder / "bin"
        self.ticket = self.folder / "ticket"
        self.workdir = self.folder / "workdir"
        for each in (self.bin, self.ticket, self.workdir):
            each.mkdir()
        self.install(*PLAIN_TOOLS)

    def install(self, *names: str) -> None:
        """Puts programs of this host there; those of busybox where that is the shell."""
        for name in names:
            own = self.shell == "busybox" and name in _applets()
            (self.bin / name).symlink_to(str(BUSYBOX) if own else tool_here(name))

    def program(self, name: str, text: str) -> None:
        """Puts a program of the test's own there."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def run(
        self, script: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script there."""
        path = self.ticket / "script"
        path.write_text(script)
        words = [str(BUSYBOX), "sh"] if self.shell == "busybox" else [tool_here(self.shell)]
        return subprocess.run(
            [*words, str(path)],
            cwd=self.workdir,
            env={
                "PATH": str(self.bin),
                "LANG": "C.UTF-8",
                "HOME": str(self.folder),
                "DEPLOYENGINE_TICKET_FOLDER": str(self.ticket),
                "DEPLOYENGINE_TICKET": "run-1",
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def carry_out(
        self, tool: Tool, values: Mapping[str, Plain] | None = None, machine: str = "web-1"
    ) -> subprocess.CompletedProcess[str]:
        """Runs the recipe of a tool there."""
        return self.run(recipe(tool, machine, values or {}).text)


def values(**plain: str) -> dict[str, Plain]:
    """Variables."""
    return {key(name): Plain(name, text) for name, text in plain.items()}


def secrets(**secret: str) -> dict[str, Plain]:
    """Sensitive variables."""
    return {key(name): Plain(name, text, sensitive=True) for name, text in secret.items()}


def made(tool: Tool, values: Mapping[str, Plain]) -> Insertion:
    """The recipe of a tool for some machine."""
    return recipe(tool, "web-1", values)


def _applets() -> list[str]:
    done = subprocess.run([str(BUSYBOX), "--list"], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.fixture(params=SHELLS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A machine with each of the shells."""
    return Place(tmp_path, request.param)


@pytest.fixture
def dash(tmp_path: Path) -> Place:
    """A machine with one shell, for what does not depend on it."""
    return Place(tmp_path, "dash" if "dash" in SHELLS else "bash")
