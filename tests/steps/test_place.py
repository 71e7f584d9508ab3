"""The place of local machines: one mark in each folder of tickets, which all who ask are told."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from deployengine.steps.errors import WorkdirUnusable
from deployengine.steps.local import LocalRunner
from deployengine.steps.place import place_of
from tests.persistence.conftest import at_once

ASK = """
import sys
from pathlib import Path
from deployengine.steps.place import place_of
print("ready", flush=True)
sys.stdin.readline()
print(place_of(Path(sys.argv[1])))
"""


def ask_from_so_many_processes(count: int, tickets: Path) -> list[str]:
    """What each of so many processes is told that ask at the same time."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(tickets)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return [answer.strip() for answer in answers]


def test_a_place_stays_the_same_however_often_one_asks(tmp_path: Path) -> None:
    tickets = tmp_path / "tickets"
    first = place_of(tickets)
    mark = (tickets / ".place").read_text()
    assert place_of(tickets) == first
    assert first.endswith(f":{mark}")
    assert os.listdir(tickets) == [".place"]


def test_all_processes_that_ask_at_once_are_told_the_same(tmp_path: Path) -> None:
    tickets = tmp_path / "tickets"
    (told,) = set(ask_from_so_many_processes(6, tickets))
    assert told == place_of(tickets)
    assert os.listdir(tickets) == [".place"], "no draft is left"


def test_all_threads_of_a_process_that_ask_at_once_are_told_the_same(tmp_path: Path) -> None:
    # As processes in containers do over one volume: each has the same process number.
    for number in range(20):
        tickets = tmp_path / f"tickets-{number}"
        (told,) = set(at_once(8, partial(place_of, tickets)))
        assert told == place_of(tickets)
        assert os.listdir(tickets) == [".place"]


def test_a_folder_that_cannot_be_used_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "tickets").write_text("no folder")
    with pytest.raises(WorkdirUnusable, match=r"the folder of tickets .* can't be used"):
        place_of(tmp_path / "tickets")


def test_two_folders_are_two_places(tmp_path: Path) -> None:
    assert place_of(tmp_path / "one") != place_of(tmp_path / "two")


def test_a_folder_that_was_moved_is_the_same_place_and_one_made_anew_is_not(
    tmp_path: Path,
) -> None:
    before = place_of(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    assert place_of(tmp_path / "two") == before
    assert place_of(tmp_path / "one") != before


def test_two_names_of_one_folder_are_one_place(tmp_path: Path) -> None:
    before = place_of(tmp_path / "one")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert place_of(tmp_path / "link") == before


def test_a_place_fits_where_the_database_keeps_it_and_none_but_its_owner_looks_in(
    tmp_path: Path,
) -> None:
    tickets = tmp_path / "home" / "tickets"
    assert len(place_of(tickets)) <= 255
    assert tickets.stat().st_mode & 0o777 == 0o700


def test_the_mark_is_no_ticket(tmp_path: Path) -> None:
    place_of(tmp_path / "tickets")
    assert LocalRunner(str(tmp_path / "work"), str(tmp_path / "tickets")).tickets() == []
