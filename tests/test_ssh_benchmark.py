"""The SSH benchmark gives no figures for scripts that were lost or ran twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.ssh.park import expect
from benchmarks.ssh.processes import family_seconds
from benchmarks.ssh.scripts import JOURNAL, TRIVIAL, UNEVEN, Kind
from benchmarks.system import Broken

SCRIPTS = ["app-1", "app-2"]


def journal(folder: Path, *lines: str) -> dict[str, Path]:
    """A machine whose journal has these lines."""
    (folder / JOURNAL).write_text("".join(f"{line}\n" for line in lines))
    return {"prod-01": folder}


def test_journals_that_tell_every_script_once_pass_and_are_taken_away(tmp_path: Path) -> None:
    expect(journal(tmp_path, "app-2", "app-1"), SCRIPTS)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["app-1"], "prod-01: app-2 ran 0 times"),
        (["app-1", "app-2", "app-1"], "prod-01: app-1 ran 2 times"),
        (["app-1", "app-2", "app-3"], "prod-01: nobody asked for 'app-3'"),
        (["app-1", "app"], "prod-01: app-2 ran 0 times"),
    ],
)
def test_a_script_that_is_lost_doubled_or_strange_is_told(
    tmp_path: Path, lines: list[str], fault: str
) -> None:
    with pytest.raises(Broken, match=fault):
        expect(journal(tmp_path, *lines), SCRIPTS)


def test_a_machine_without_a_journal_has_lost_everything(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="2 scripts were lost"):
        expect({"prod-01": tmp_path}, SCRIPTS)


@pytest.mark.parametrize("work", [TRIVIAL.work, UNEVEN.work])
def test_a_script_writes_its_name_once(tmp_path: Path, work: str) -> None:
    folders = {"prod-01": tmp_path}
    kind = Kind("app", work, (0.0, 0.01))
    kind.furnish(folders, 2)
    for name in kind.names(2):
        subprocess.run(["/bin/sh", "-c", kind.text(name)], cwd=tmp_path, check=True)

    expect(folders, kind.names(2))


def test_what_children_and_their_children_used_is_counted_when_they_have_ended() -> None:
    burn = "import time; b = time.process_time()\nwhile time.process_time() - b < 0.2: pass"
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    before = family_seconds([psutil.Process().pid])
    subprocess.run([sys.executable, "-c", grandchild], check=True)

    assert family_seconds([psutil.Process().pid]) - before > 0.19
